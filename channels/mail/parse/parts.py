"""A raw mail cut into its parts: one pass over the bytes, a stack of open boundaries, no recursion.

Rule: the cost is the size of the mail and never its shape. What exceeds a limit is left out and said in a defect.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from channels.mail.parse import charsets, headers
from channels.mail.values import MOST_DEPTH, MOST_HEADERS, MOST_PARTS

_MOST_FIELDS = 2_000
_MOST_MISSES = 50_000  # lines that begin like a boundary and are none
_MOST_BANNER = 5  # lines before the headers that are no headers

_END = re.compile(rb"\n\r*\n|\n\Z")
_BLANK = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]{0,4096}")
_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]{0,20}:(.*)", re.DOTALL)
_KNOWN = re.compile(
    rb"(?:from|to|cc|date|subject|received|return-path|delivered-to|message-id|mime-version|content-[a-z-]{1,40}|reply-to"
    rb"|x-[a-z0-9-]{1,60}|dkim-signature|authentication-results)[ \t]{0,20}:",
    re.IGNORECASE,
)
_GUESSED = re.compile(rb"^--([^\s\x00-\x1f][^\r\n]{0,199}?)[ \t]{0,20}\r?$", re.MULTILINE)

RawField = tuple[str, bytes]


@dataclass(slots=True)
class Part:
    """A part with its header and the place of its body in `raw`. A multipart has children and no body of its own."""

    raw: bytes = field(repr=False)
    fields: list[RawField] = field(default_factory=list)
    start: int = 0
    end: int = -1
    media_type: str = "text/plain"
    parameters: dict[str, str] = field(default_factory=dict)
    disposition: str = ""
    filename: str = ""
    content_id: str = ""
    location: str = ""
    children: list[Part] = field(default_factory=list)

    @property
    def main(self) -> str:
        return self.media_type.partition("/")[0]

    @property
    def charset(self) -> str:
        return self.parameters.get("charset", "")

    def first(self, name: str) -> str:
        """The topmost field of this name as text, "" when there is none."""
        found = next((value for field_name, value in self.fields if field_name == name), b"")
        return readable(found)

    def data(self, most: int | None = None) -> bytes:
        """Undo the transfer encoding of the body; `most` bounds the encoded bytes that are looked at."""
        end = self.end if most is None else min(self.end, self.start + most)
        return transferred(self.raw[self.start : end], self.first("content-transfer-encoding"), self.main == "text")


def readable(value: bytes, label: str = "") -> str:
    """Decode a raw field value: UTF-8 first, then `label`, then what it looks like."""
    if value.isascii():
        return charsets.clean(value.decode("ascii")).replace("\n", " ")
    try:
        return charsets.clean(value.decode()).replace("\n", " ")
    except UnicodeDecodeError:
        return charsets.decode(value, label).replace("\n", " ")


# --- headers


@dataclass(slots=True)
class Top:
    """The header block of a mail."""

    fields: list[RawField]
    body: int
    defect: str = ""


def top(raw: bytes) -> Top:
    """Read the header block at the start of a mail, behind an mbox line, a banner or blank lines if there are any."""
    at = _first_header(raw)
    if at < 0:
        return Top([], 0)
    found = _END.search(raw, at, at + MOST_HEADERS)
    bound = found.end() if found else min(len(raw), at + MOST_HEADERS)
    fields, end = read(raw, at, bound)
    too_long = len(fields) >= _MOST_FIELDS
    if not found and end == bound < len(raw):
        too_long = True
        later = _END.search(raw, bound - 1)
        end = later.end() if later else len(raw)
    defect = "The headers of this mail are too long. Only their first part was read." if too_long else ""
    return Top(fields, end, defect)


def _first_header(raw: bytes) -> int:
    """Where the header block begins, -1 when there is none at all."""
    blank = _BLANK.match(raw)
    at = blank.end() if blank else 0
    if b"\n" in raw[:at] and not _KNOWN.match(raw, at):
        return -1  # a blank line first: a mail without headers
    for number in range(_MOST_BANNER + 1):
        end = raw.find(b"\n", at, at + 2000)
        line = raw[at : end if end >= 0 else at + 2000]
        if not line.strip():
            return end + 1 if _KNOWN.match(raw, end + 1) else -1
        if not _is_mbox(line) and (_KNOWN if number else _FIELD).match(line):
            return at
        if end < 0:
            return -1
        at = end + 1
    return -1


def _is_mbox(line: bytes) -> bool:
    return line.startswith((b"From ", b">From "))


def read(raw: bytes, start: int, end: int) -> tuple[list[RawField], int]:
    """Read the fields of a header block: names in lower case, values unfolded. Return them and where the body begins.

    A line that is no field is kept as part of the one above when further headers follow; else the body begins there.
    """
    fields: list[RawField] = []
    folded: list[bytes] = []
    name, at = "", start
    for line in raw[start:end].split(b"\n"):
        stripped = line.rstrip(b"\r")
        if stripped[:1] in (b" ", b"\t"):
            folded.append(stripped)
        elif found := _FIELD.match(stripped):
            if name:
                fields.append((name, _unfolded(folded)))
            name, folded = found[1].decode("ascii").lower(), [found[2]]
            if len(fields) >= _MOST_FIELDS:
                break
        elif not stripped:
            if at > start:
                break
        elif _is_mbox(stripped):
            pass
        elif name and not _more(raw, at + len(line) + 1, end):
            end = at
            break
        else:
            folded.append(b" " + stripped)
        at += len(line) + 1
    if name:
        fields.append((name, _unfolded(folded)))
    return fields, end


def _unfolded(lines: list[bytes]) -> bytes:
    return (lines[0] if len(lines) == 1 else b"".join(lines)).strip()


def _more(raw: bytes, at: int, end: int) -> bool:
    """Whether a well-known header stands in the next few lines."""
    return any(_KNOWN.match(line) for line in raw[at : min(end, at + 4000)].split(b"\n", 20)[:20])


def described(part: Part, inherited: str = "text/plain") -> Part:
    """Fill in what the fields of a part say about it."""
    kind = part.first("content-type")
    part.media_type = headers.media_type(kind) or ("text/plain" if kind else inherited)
    part.parameters = headers.parameters(kind) if ";" in kind or "=" in kind else {}
    shown = part.first("content-disposition")
    part.disposition = shown.partition(";")[0].strip().lower()[:40]
    named = headers.parameters(shown).get("filename", "") if "=" in shown else ""
    part.filename = headers.decoded(named or part.parameters.get("name", ""))
    part.content_id = headers.one_line(part.first("content-id")).strip("<> ")[:250]
    part.location = "".join(part.first("content-location").split())[:1000]
    return part


# --- parts


@dataclass(slots=True)
class _Open:
    """A multipart whose end was not met yet, and where its boundary comes next."""

    part: Part
    needle: bytes
    limit: int  # where the multipart around it goes on
    hit: tuple[int, int, bool] | None = None  # from, to, closing
    stale: bool = True


def parts(raw: bytes, found: Top, most: int = MOST_PARTS) -> tuple[Part, int, list[str]]:
    """Cut a mail into its parts. Return the whole as a tree, the number of its parts, and what was left out and why."""
    root = described(Part(raw, found.fields, found.body))
    walk = _Walk(raw, most)
    walk.run(root)
    return root, walk.count, walk.defects


class _Walk:
    def __init__(self, raw: bytes, most: int) -> None:
        self.raw = raw
        self.most = most
        self.count = 1
        self.misses = 0
        self.stack: list[_Open] = []
        self.defects: list[str] = []

    def run(self, root: Part) -> None:
        self.open(root, len(self.raw))
        current: Part | None = root
        at = root.start - 1
        while nearest := self.nearest(max(0, at)):
            owner, (start, end, closing) = nearest
            self.leave(current, owner + 1, start)
            del self.stack[owner + 1 :]
            current, at = None, end - 1
            if closing:
                continue
            if self.count >= self.most:
                self.defects.append(f"This mail has more than {self.most:,} parts. Only the first ones were read.")
                break
            current = self.part(self.stack[owner], end)
        self.leave(current, 0, len(self.raw))

    def leave(self, current: Part | None, above: int, at: int) -> None:
        """Everything that is open from `above` on ends here; the line break belongs to the boundary."""
        while at > 0 and self.raw[at - 1 : at] == b"\r" and at < len(self.raw):
            at -= 1
        for part in (current, *(entry.part for entry in self.stack[above:])):
            if part is not None and part.end < 0:
                part.end = max(part.start, at)

    def part(self, parent: _Open, start: int) -> Part:
        """Begin the part behind a boundary line."""
        self.count += 1
        following = self.nearest(start - 1)
        limit = following[1][0] if following else len(self.raw)
        begin = min(start, limit)
        if self.raw[begin : begin + 1] == b"\n" or self.raw[begin : begin + 2] == b"\r\n":
            fields, body = list[RawField](), self.raw.find(b"\n", begin) + 1
        else:
            bound = min(limit, begin + MOST_HEADERS)
            ended = _END.search(self.raw, begin, bound)
            fields, body = read(self.raw, begin, ended.end() if ended else bound)
            if not fields and self.raw[begin:body].strip():
                body = begin  # no header at all: the text begins at once
        inherited = "message/rfc822" if parent.part.media_type == "multipart/digest" else "text/plain"
        part = described(Part(self.raw, fields, min(body, limit)), inherited)
        parent.part.children.append(part)
        self.open(part, limit)
        return part

    def open(self, part: Part, limit: int) -> None:
        """Remember the boundary of a multipart; guess it where it is not told or not used."""
        if part.main != "multipart":
            return
        if len(self.stack) >= MOST_DEPTH:
            part.end = part.start
            if not any("deep" in defect for defect in self.defects):
                self.defects.append(
                    f"This mail is nested more than {MOST_DEPTH} parts deep. What lies deeper was not read."
                )
            return
        told = part.parameters.get("boundary", "").rstrip().encode("utf-8", "replace")[:250]
        body = max(0, part.start - 1)
        if not told or self.raw.find(b"--" + told, body, limit) < 0:
            told = self.guess(part.start, limit)
        if told:
            self.stack.append(_Open(part, b"\n--" + told, limit))

    def guess(self, start: int, limit: int) -> bytes:
        window = self.raw[start : min(limit, start + 20_000)]
        for match in islice(_GUESSED.finditer(window), 3):
            if self.raw.find(b"--" + match[1] + b"--", start + match.end(), limit) >= 0:
                return match[1]
        return b""

    def nearest(self, at: int) -> tuple[int, tuple[int, int, bool]] | None:
        """The next boundary line of any open multipart, the innermost one's where two are equal."""
        best: tuple[int, tuple[int, int, bool]] | None = None
        for place in range(len(self.stack) - 1, -1, -1):
            entry = self.stack[place]
            if entry.stale or (entry.hit is not None and entry.hit[0] < at):
                entry.hit, entry.stale = self.hit(entry, at), False
            if entry.hit is not None and (best is None or entry.hit[0] < best[1][0]):
                best = place, entry.hit
        return best

    def hit(self, entry: _Open, at: int) -> tuple[int, int, bool] | None:
        """The next line that is this boundary and nothing else: the break before it, its end, whether it closes."""
        while (start := self.raw.find(entry.needle, at, entry.limit)) >= 0 and self.misses < _MOST_MISSES:
            behind = start + len(entry.needle)
            end = self.raw.find(b"\n", behind)
            end = len(self.raw) if end < 0 else end + 1
            rest = self.raw[behind : min(end, behind + 100)]
            closing = rest.startswith(b"--")
            if not (rest[2:] if closing else rest).strip():
                return start, end, closing
            self.misses += 1
            at = behind
        return None


def leaves(root: Part) -> Iterator[Part]:
    """Yield the parts without children, in order."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.children:
            waiting += reversed(part.children)
        else:
            yield part


# --- transfer encodings

_NOT_BASE64 = bytes(
    byte for byte in range(256) if not (chr(byte).isascii() and chr(byte).isalnum()) and byte not in b"+/="
)
_ALPHABET = bytes(set(range(256)) - set(_NOT_BASE64))
_SPACE = b" \t\r\n\x0b\x0c"


def transferred(data: bytes, encoding: str, is_text: bool = False) -> bytes:
    """Undo a Content-Transfer-Encoding. An unknown one, or one that the bytes plainly do not have, is ignored."""
    name = encoding.partition(";")[0].strip(" \t\"'").lower()
    if name == "base64":
        return data if is_text and _is_prose(data) else _base64(data)
    if name in ("quoted-printable", "quotedprintable", "qp"):
        return binascii.a2b_qp(data)
    if name in ("x-uuencode", "uuencode", "x-uue", "uue"):
        return uudecoded(data.split(b"\n"))
    return data


def _is_prose(data: bytes) -> bool:
    """Whether the first line has what no line of base64 has: text that only claims to be encoded."""
    line = data[:4000].strip().partition(b"\n")[0].strip()
    return b" " in line or bool(line.translate(None, _ALPHABET))


def _base64(data: bytes) -> bytes:
    """Decode base64, also when a program encoded in chunks and padded each of them."""
    pieces: list[bytes] = []
    while data:
        padding = data.find(b"=")
        stop = padding
        while 0 <= stop < len(data) and data[stop] in b"= \t\r\n":
            stop += 1
        if padding < 0 or stop >= len(data):
            pieces.append(headers.base64(data))
            break
        pieces.append(headers.base64(data[:stop]))
        rest = data[stop:]
        if len(pieces) > 200 or rest.translate(None, _ALPHABET + _SPACE) or len(rest.translate(None, _SPACE)) % 4:
            break  # a footer in plain text, put there by a mailing list
        data = rest
    return b"".join(pieces)


def uudecoded(lines: list[bytes]) -> bytes:
    """Decode uuencoded lines, with or without their `begin` and `end`."""
    pieces: list[bytes] = []
    for line in lines:
        text = line.rstrip(b"\r\n")
        if not text or text.startswith(b"begin ") or text == b"end":
            continue
        try:
            pieces.append(binascii.a2b_uu(text))
        except binascii.Error:
            length = (((text[0] - 32) & 63) * 4 + 5) // 3  # some programs put rubbish behind the counted letters
            try:
                pieces.append(binascii.a2b_uu(text[:length]))
            except binascii.Error:
                continue
    return b"".join(pieces)
