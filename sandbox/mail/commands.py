"""IMAP commands as they are written: lines with literals in, tokens out.

Rule: atoms and quoted strings become `str`, literals `bytes`, parentheses lists; what they mean is not known here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime

Token = str | bytes | list["Token"]

LINE_LIMIT = 64 << 10
LITERAL_LIMIT = 64 << 20
DEPTH = 20
_LITERAL = re.compile(rb"\{(\d{1,12})(\+?)\}\r\n$")
_TOKEN = re.compile(
    r"\x00(?P<literal>\d+)\x00"
    r'|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    r"|(?P<section>[A-Za-z0-9.]+\[[^\]\x00]*\](?:<\d{1,12}(?:\.\d{1,12})?>)?)"
    r'|(?P<atom>[^\s()"\x00]+)'
    r"|(?P<open>\()|(?P<close>\))"
)


class BadCommand(Exception):
    """What was written is no IMAP."""


async def read(
    reader: asyncio.StreamReader, invite: Callable[[], Awaitable[None]]
) -> tuple[str, str, list[Token]] | None:
    """Read one command as (tag, NAME, arguments); None at the end of the line.

    `invite` is called before each literal that waits for "+". Raises `BadCommand` with the tag, or "*", in front.
    """
    literals: list[bytes] = []
    text = ""
    while True:
        try:
            line = await reader.readuntil(b"\r\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            raise BadCommand("* line too long") from None
        if b"\x00" in line or len(text) > LINE_LIMIT:
            raise BadCommand("* no NUL and no such long commands")
        counted = _LITERAL.search(line)
        if counted is None:
            text += line[:-2].decode("latin-1")
            break
        size = int(counted[1])
        if size > LITERAL_LIMIT:
            raise BadCommand("* literal too large")
        if not counted[2]:
            await invite()
        text += f"{line[: counted.start()].decode('latin-1')}\x00{len(literals)}\x00"
        try:
            literals.append(await reader.readexactly(size))
        except asyncio.IncompleteReadError:
            return None
    tag, _, rest = text.partition(" ")
    name, _, arguments = rest.partition(" ")
    if not re.fullmatch(r'[^\s()"{%*\\+\x00]+', tag) or not name:
        raise BadCommand(f"{tag if re.fullmatch(r'[A-Za-z0-9.]+', tag) else '*'} a tag and a command are missing")
    try:
        return tag, name.upper(), tokens(arguments, literals)
    except BadCommand as error:
        raise BadCommand(f"{tag} {error}") from None


def tokens(text: str, literals: list[bytes]) -> list[Token]:
    """Cut the arguments of a command. Raises `BadCommand`."""
    out: list[Token] = []
    open_lists: list[list[Token]] = [out]
    at = 0
    while at < len(text):
        if text[at] == " ":
            at += 1
            continue
        found = _TOKEN.match(text, at)
        if found is None:
            raise BadCommand("cannot be read")
        at = found.end()
        kind, value = found.lastgroup, found[0]
        if kind == "open":
            inner: list[Token] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
            if len(open_lists) > DEPTH:
                raise BadCommand("too deep")
        elif kind == "close":
            if len(open_lists) == 1:
                raise BadCommand("a parenthesis too many")
            open_lists.pop()
        elif kind == "literal":
            open_lists[-1].append(literals[int(found["literal"])])
        else:
            open_lists[-1].append(re.sub(r"\\(.)", r"\1", found["quoted"]) if kind == "quoted" else value)
    if len(open_lists) > 1:
        raise BadCommand("a parenthesis is missing")
    return out


def word(token: Token) -> str:
    """Take a token as text. Raises `BadCommand` for a list."""
    if isinstance(token, list):
        raise BadCommand("a list where a word belongs")
    return token.decode("utf-8", "replace") if isinstance(token, bytes) else token


def numbers(text: str, highest: int) -> list[tuple[int, int]]:
    """Read a sequence set as spans; `*` is `highest`, so that `9:*` always holds the last. Raises `BadCommand`."""
    spans = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        ends = [first, last] if colon else [first, first]
        if not all(end == "*" or re.fullmatch(r"[1-9]\d{0,9}", end) for end in ends):
            raise BadCommand("not a set of numbers")
        low, high = sorted(highest if end == "*" else int(end) for end in ends)
        spans.append((low, high))
    return spans


def within(number: int, spans: list[tuple[int, int]]) -> bool:
    return any(low <= number <= high for low, high in spans)


def day(text: str) -> datetime:
    """Read IMAP's date, such as 5-Nov-2024, as its first instant without a zone. Raises `BadCommand`."""
    try:
        return datetime.strptime(text, "%d-%b-%Y")  # noqa: DTZ007 - IMAP's dates disregard the zone
    except ValueError:
        raise BadCommand("not a date") from None
