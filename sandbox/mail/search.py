"""What IMAP's SEARCH finds.

Rule: pure. A criterion becomes a function of one mail and its number in the session's view.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser

from sandbox.mail.commands import BadCommand, Token, day, numbers, within, word
from sandbox.mail.values import Stored

Criterion = Callable[[Stored, int], bool]

_FLAGS = {
    "ANSWERED": "\\Answered",
    "DELETED": "\\Deleted",
    "DRAFT": "\\Draft",
    "FLAGGED": "\\Flagged",
    "SEEN": "\\Seen",
}
_HEADERS = ("BCC", "CC", "FROM", "SUBJECT", "TO")
_DAYS: dict[str, Callable[[datetime, datetime], bool]] = {
    "BEFORE": lambda at, when: at < when,
    "ON": lambda at, when: at.date() == when.date(),
    "SINCE": lambda at, when: at >= when,
}


def criterion(tokens: list[Token], highest_uid: int, highest: int) -> Criterion:
    """Read search keys; all of them must hold. Raises `BadCommand`."""
    if not tokens:
        raise BadCommand("what should be searched for?")
    rest = list(reversed(tokens))
    keys: list[Criterion] = []
    while rest:
        keys.append(_key(rest, highest_uid, highest))
    return lambda stored, number: all(key(stored, number) for key in keys)


def _next(rest: list[Token]) -> str:
    if not rest:
        raise BadCommand("a search key lacks its value")
    return word(rest.pop())


def _key(rest: list[Token], highest_uid: int, highest: int) -> Criterion:
    token = rest.pop() if rest else ""
    if isinstance(token, list):
        return criterion(token, highest_uid, highest)
    name = word(token).upper()
    if name == "ALL":
        return lambda stored, number: True
    if name == "NOT":
        inner = _key(rest, highest_uid, highest)
        return lambda stored, number: not inner(stored, number)
    if name == "OR":
        one, other = _key(rest, highest_uid, highest), _key(rest, highest_uid, highest)
        return lambda stored, number: one(stored, number) or other(stored, number)
    if name == "UID":
        uids = numbers(_next(rest), highest_uid)
        return lambda stored, number: within(stored.uid, uids)
    if name == "HEADER":
        return _header(_next(rest), _next(rest))
    if name in _HEADERS:
        return _header(name, _next(rest))
    if name in ("BODY", "TEXT"):
        wanted = _next(rest).lower().encode()
        return lambda stored, number: wanted in stored.raw.lower()
    if name in ("LARGER", "SMALLER"):
        return _sized(name, _next(rest))
    return _plain(name, rest, highest)


def _plain(name: str, rest: list[Token], highest: int) -> Criterion:
    flag, there = name.removeprefix("UN"), not name.startswith("UN")
    if flag in _FLAGS or flag == "KEYWORD":
        wanted = _FLAGS[flag] if flag in _FLAGS else _next(rest)
        return lambda stored, number: (wanted in stored.flags) is there
    when = name.removeprefix("SENT")
    if when in _DAYS:
        compare, limit = _DAYS[when], day(_next(rest))
        return lambda stored, number: compare(stored.at.replace(tzinfo=None, hour=0, minute=0, second=0), limit)
    if name in ("NEW", "OLD", "RECENT"):
        return lambda stored, number: name == "OLD"
    spans = numbers(name, highest)
    return lambda stored, number: within(number, spans)


def _sized(name: str, size: str) -> Criterion:
    if not size.isdigit():
        raise BadCommand("not a size")
    limit = int(size)
    return lambda stored, number: len(stored.raw) > limit if name == "LARGER" else len(stored.raw) < limit


def _header(name: str, value: str) -> Criterion:
    wanted = value.lower()

    def holds(stored: Stored, number: int) -> bool:
        fields = BytesHeaderParser().parsebytes(head(stored.raw)).get_all(name, [])
        return any(wanted in one for field in fields for one in (str(field).lower(), _decoded(str(field)).lower()))

    return holds


def _decoded(field: str) -> str:
    try:
        return str(make_header(decode_header(field)))
    except (ValueError, LookupError):
        return field


def head(raw: bytes) -> bytes:
    """The header block with the empty line that ends it."""
    at = raw.find(b"\r\n\r\n")
    return raw if at < 0 else raw[: at + 4]
