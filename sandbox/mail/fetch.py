"""What IMAP's FETCH gives of a mail.

Rule: pure, but for setting \\Seen, which FETCH itself does unless asked to peek.
"""

from __future__ import annotations

import re

from sandbox.mail.commands import BadCommand, Token, tokens, word
from sandbox.mail.search import head
from sandbox.mail.values import Stored

_MACROS = {"FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]}
_SECTION = re.compile(r"BODY(?P<peek>\.PEEK)?\[(?P<what>[^\]]*)\](?:<(?P<start>\d+)(?:\.(?P<count>\d+))?>)?", re.I)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def items(token: Token) -> list[str]:
    """Read what is asked for. Raises `BadCommand` for what this server cannot give."""
    asked = [word(one) for one in token] if isinstance(token, list) else [word(token)]
    if len(asked) == 1 and asked[0].upper() in _MACROS:
        asked = _MACROS[asked[0].upper()]
    known = {"UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "RFC822", "RFC822.HEADER", "RFC822.TEXT"}
    for item in asked:
        if item.upper() not in known and not _SECTION.fullmatch(item):
            raise BadCommand(f"{item} is not given here")
    return asked


def answer(stored: Stored, asked: list[str], *, writable: bool) -> bytes:
    """Make the inside of one FETCH answer."""
    out: list[bytes] = []
    reads = False
    for item in asked:
        name = item.upper()
        if name == "UID":
            out.append(b"UID %d" % stored.uid)
        elif name == "INTERNALDATE":
            out.append(b'INTERNALDATE "%s"' % internal_date(stored).encode())
        elif name == "RFC822.SIZE":
            out.append(b"RFC822.SIZE %d" % len(stored.raw))
        elif name != "FLAGS":
            part, peeks = _part(stored.raw, item)
            reads = reads or not peeks
            out.append(part)
    became_seen = reads and writable and "\\Seen" not in stored.flags
    if became_seen:
        stored.flags.add("\\Seen")
    if became_seen or any(item.upper() == "FLAGS" for item in asked):
        out.append(flags(stored))
    return b" ".join(out)


def flags(stored: Stored) -> bytes:
    return b"FLAGS (%s)" % " ".join(sorted(stored.flags)).encode()


def internal_date(stored: Stored) -> str:
    at = stored.at
    return f"{at.day:2}-{_MONTHS[at.month - 1]}-{at:%Y %H:%M:%S %z}"


def _part(raw: bytes, item: str) -> tuple[bytes, bool]:
    """A literal, and whether asking for it leaves \\Seen alone."""
    fixed = {"RFC822": raw, "RFC822.HEADER": head(raw), "RFC822.TEXT": raw[len(head(raw)) :]}
    if (whole := fixed.get(item.upper())) is not None:
        return b"%s {%d}\r\n%s" % (item.upper().encode(), len(whole), whole), item.upper() == "RFC822.HEADER"
    section = _SECTION.fullmatch(item)
    if section is None:
        raise BadCommand(f"{item} is not given here")
    what = section["what"].upper()
    data = _section(raw, what)
    name = f"BODY[{what}]"
    if section["start"] is not None:
        start = int(section["start"])
        data = data[start : start + int(section["count"])] if section["count"] else data[start:]
        name += f"<{start}>"
    return b"%s {%d}\r\n%s" % (name.encode(), len(data), data), bool(section["peek"])


def _section(raw: bytes, what: str) -> bytes:
    if what == "":
        return raw
    if what == "HEADER":
        return head(raw)
    if what == "TEXT":
        return raw[len(head(raw)) :]
    chosen, _, names = what.partition(" ")
    if chosen in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        listed = tokens(names, [])
        if len(listed) == 1 and isinstance(listed[0], list):
            wanted = {word(name).lower() for name in listed[0]}
            return _fields(raw, wanted, among=chosen == "HEADER.FIELDS")
    raise BadCommand(f"BODY[{what}] is not given here")


def _fields(raw: bytes, names: set[str], *, among: bool) -> bytes:
    kept: list[bytes] = []
    keep = False
    for line in head(raw).split(b"\r\n"):
        if line[:1] not in (b" ", b"\t"):
            keep = bool(line) and (line.partition(b":")[0].decode("latin-1").strip().lower() in names) is among
        if keep:
            kept.append(line + b"\r\n")
    return b"".join(kept) + b"\r\n"
