"""What a failed delivery means: is the address dead, is it us who are refused, or will it pass.

Rule: an address is called dead only on a permanent code, never on words alone; a refusal by policy is ours to mend.
"""

from __future__ import annotations

import re
from dataclasses import replace

from channels.mail.judge import words
from channels.mail.judge.words import folded
from channels.mail.values import Fate

# --- facts

NOTICE = 20_000  # characters of a notice that are looked through
DETAIL = 500  # characters of what a receiver said that are kept

_SENDER = frozenset({"5.1.7", "5.1.8"})  # the sender's address is refused, which is ours
_DEAD = frozenset({"5.2.1", "5.4.4", "5.4.310"})  # disabled; its domain does not exist
_CODE = re.compile(r"(?<![\d.])([45]\.[0-7]\.\d{1,3})(?![\d]|\.\d)")
_REPLY_CODE = re.compile(r"(?<![\d.#])([45]\d\d)[ -](?:[#(]{0,2}([45]\.[0-7]\.\d{1,3})(?![\d]|\.\d))?")
_REPLY_ONLY = re.compile(r"(?<![\w.,:/-])(42[1-9]|4[35][0-9]|5[05]\d)(?![\w.,/]|:\S)")


def first_code(text: str) -> str:
    """The first enhanced status code of a permanent or transient failure."""
    for place in _REPLY_CODE.finditer(text[:NOTICE]):
        if place[2]:
            return place[2]
    found = _CODE.search(text[:NOTICE])
    return found[1] if found else ""


def reply_code(text: str) -> str:
    """The first SMTP reply code of a failure, such as "550"."""
    found = _REPLY_ONLY.search(text[:NOTICE])
    return found[1] if found else ""


def around(notice: str, address: str = "") -> str:
    """The lines that say why: from the address on, else from the first code on, else the beginning."""
    lines = [line.strip() for line in notice.splitlines()[:400]]
    sure = [n for n, line in enumerate(lines) if address and address in line.lower()]
    coded = [n for n, line in enumerate(lines) if first_code(line) or reply_code(line)]
    start = sure[0] if sure else max(0, coded[0] - 1) if coded else 0
    return "\n".join(line for line in lines[start : start + 8] if line)[:DETAIL]


def fate(recipient: str, outcome: str, status: str, detail: str) -> Fate:
    """Weigh code and words: is the address dead, is it us who are refused, or is it neither."""
    detail = " ".join(detail.split())[:DETAIL]
    code = status
    if not status or status.endswith(".0.0"):
        code = first_code(detail) or status
    told = Fate(recipient=recipient, outcome=outcome, code=code, detail=detail)
    if outcome != "failed":
        return told
    said = folded(detail)
    policy = bool(words.POLICY.search(said))
    if not (code.startswith("5") or (not code and reply_code(detail).startswith("5"))):
        return replace(told, ours=policy)
    if code in _SENDER:
        return replace(told, ours=True)
    if code.startswith("5.7."):
        # Yandex says "550 5.7.1 No such user!" of addresses that do not exist.
        gone = code in ("5.7.0", "5.7.1") and not policy and bool(words.NOT_THERE.search(said))
        return replace(told, hard=gone, ours=not gone)
    if code in ("5.2.2", "5.2.3", "5.3.4"):
        return told
    if code.startswith("5.1.") and code != "5.1.0":
        return replace(told, hard=True)
    if words.FULL.search(said) and not words.NOT_THERE.search(said):
        return told
    if code in _DEAD:
        return replace(told, hard=True)
    if policy:
        return replace(told, ours=True)
    return replace(told, hard=code == "5.1.0" or bool(words.UNKNOWN.search(said)))
