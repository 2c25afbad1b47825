"""Header fields of the mails we write.

Rule: whatever a name, a subject, an address or an id holds, a field stays one field: nothing that goes in here can end
a line, open a second field or change who is written to.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

import idna

from channels.mail.values import Mailbox

MOST_LINE = 76  # characters of a line with encoded words, RFC 2047 2
MOST_WORD = 900  # of one piece that cannot be folded; a line may have 998, RFC 5322 2.1.1
MOST_NAME = 100
MOST_ADDRESS = 320  # more than RFC 5321 allows, less than what has been seen in reply addresses

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/")  # in Q, RFC 2047 5 (3)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # turn the direction of what follows: a name can lie with them
_JOINERS = frozenset("\u200c\u200d\u200e\u200f")  # unprintable, yet Persian, emoji and mixed directions need them
_LOCAL = re.compile(r"""[^\s()<>@,;:\\"\[\]]+|"[^\s<>\\"]+\"""")
_LABEL = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}")
_ID = re.compile(r"<[!-;=?-~]{1,250}>")


def line(text: str, most: int = MOST_WORD) -> str:
    """The text as one line: no controls, no line ends of any kind, no lone surrogates, no doubled spaces."""
    text = text[: most * 4].encode("utf-8", "replace").decode("utf-8")
    text = "".join(char if char.isprintable() or char in _JOINERS else " " for char in _TURNS.sub("", text))
    return " ".join(text.split())[:most].rstrip()


def person(name: str) -> str:
    """Somebody's name as it may stand before their address; "" for one that holds an address or a torn encoded word."""
    name = line(name, MOST_NAME)
    return "" if any(sign in name for sign in ("@", "=?", "?=")) else name


def address(text: str) -> str:
    """The address as it may stand in an envelope, its domain in ASCII; "" for what is none.

    A local part beyond ASCII stays as it is: only a server with SMTPUTF8 can take it.
    """
    text = text.strip()
    local, _, domain = text.rpartition("@")
    if len(text) > MOST_ADDRESS or not _LOCAL.fullmatch(local) or not local.isprintable():
        return ""
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return ""
    domain = domain.lower()
    if len(domain) > 253 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        return ""
    return f"{local}@{domain}"


def reference(text: str) -> str:
    """A Message-ID in its angle brackets; "" for what is none."""
    text = text.strip()
    return text if _ID.fullmatch(text) else ""


def unstructured(name: str, text: str) -> str:
    """A field of words, such as a subject."""
    text = line(text)
    room = MOST_LINE - len(name) - 2
    words = text.split(" ")
    if not text.isascii() or "=?" in text or any(len(word) > MOST_LINE * 3 for word in words):
        return f"{name}: " + "\r\n ".join(_encoded(text, room))
    return f"{name}: " + "\r\n ".join(_folded(words, room))


def mailboxes(name: str, boxes: Iterable[Mailbox]) -> str:
    """A field of names and addresses. Every address has gone through `address`."""
    return f"{name}: " + ",\r\n ".join(_mailbox(box) for box in boxes)


def references(name: str, ids: Iterable[str]) -> str:
    """A field of Message-IDs. Every one has gone through `reference`."""
    return f"{name}: " + "\r\n ".join(ids)


def filename(name: str, value: str) -> Iterator[str]:
    """A file name as parameters of a field; beyond ASCII in the pieces of RFC 2231."""
    if value.isascii() and len(value) < MOST_LINE - 20:
        yield f'{name}="{_quoted(value)}"'
        return
    pieces = list(_percented(value, 50))
    for number, piece in enumerate(pieces):
        charset = "utf-8''" if number == 0 else ""
        yield f"{name}*{number}*={charset}{piece}" if len(pieces) > 1 else f"{name}*={charset}{piece}"


def _mailbox(box: Mailbox) -> str:
    name = line(box.name, MOST_NAME)
    if not name:
        return box.address if box.address.isascii() else f"<{box.address}>"
    if not name.isascii() or "=?" in name:
        return "\r\n ".join((*_encoded(name, MOST_LINE - 12), f"<{box.address}>"))
    shown = name if _ATOMS.fullmatch(name) else f'"{_quoted(name)}"'
    gap = " " if len(shown) + len(box.address) < MOST_LINE - 16 else "\r\n "
    return f"{shown}{gap}<{box.address}>"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _folded(words: Iterable[str], room: int) -> Iterator[str]:
    """Words on lines; the first has `room`."""
    held: list[str] = []
    for word in words:
        if held and sum(map(len, held)) + len(held) + len(word) > room:
            yield " ".join(held)
            held, room = [], MOST_LINE - 1
        held.append(word)
    yield " ".join(held)


def _encoded(text: str, room: int) -> Iterator[str]:
    """Encoded words of at most `room` characters, none of which cuts a letter in two (RFC 2047 5)."""
    room -= len("=?utf-8?q??=")
    plain = sum(char.isascii() for char in text)
    short = plain * 2 > len(text)  # Q is the shorter one, and readable
    held, size = bytearray(), 0
    for char in text:
        octets = char.encode()
        more = sum(1 if octet in _PLAIN or octet == 32 else 3 for octet in octets) if short else len(octets)
        if held and (size + more > room if short else -(-(size + more) // 3) * 4 > room):
            yield _word(bytes(held), short)
            held, size = bytearray(), 0
        held += octets
        size += more
    yield _word(bytes(held), short)


def _word(octets: bytes, short: bool) -> str:
    if not short:
        return f"=?utf-8?b?{base64.b64encode(octets).decode()}?="
    return "=?utf-8?q?" + "".join(_letter(octet) for octet in octets) + "?="


def _letter(octet: int) -> str:
    if octet == 32:
        return "_"
    return chr(octet) if octet in _PLAIN else f"={octet:02X}"


def _percented(text: str, most: int) -> Iterator[str]:
    held = ""
    for char in text:
        piece = char if char.isascii() and (char.isalnum() or char in "-._") else _percent(char)
        if held and len(held) + len(piece) > most:
            yield held
            held = ""
        held += piece
    yield held


def _percent(char: str) -> str:
    return "".join(f"%{octet:02X}" for octet in char.encode())
