"""A raw mail cut into its parts: one pass over the bytes, a stack of open boundaries, no recursion.

Rule: the cost is the size of the mail and never its shape. What exceeds a limit is left out and said in a defect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from channels.mail.parse import charsets, headers, transfer
from channels.mail.values import MOST_DEPTH, MOST_HEADERS, MOST_PARTS

_MOST_FIELDS = 2_000
_MOST_PART_FIELDS = 200  # of one part, for there may be a thousand
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
_CUT_TOP = "The headers of this mail are too long. Only their first part was read."
_CUT_PART = "The headers of a part of this mail are too long. Only their first part was read."
_FOLDED = rb"([^\n]*(?:\n[ \t][^\n]*){0,50})"
_FROM = re.compile(rb"\n(from)[ \t]{0,20}:" + _FOLDED, re.IGNORECASE)
_NEEDED = re.compile(
    rb"\n(to|cc|subject|date|sender|reply-to|message-id|in-reply-to|references|auto-submitted|mime-version"
    rb"|content-[a-z-]{1,40})[ \t]{0,20}:" + _FOLDED,
    re.IGNORECASE,
)
_STRAY = re.compile(rb"\n(?![!-9;-~]{1,200}[ \t]{0,20}:|[ \t]|>?From )")
_MOST_STRAYS = 1_000  # lines within overlong headers that may be the first one of the body
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
        return transfer.decoded(
            self.raw[self.start : end], self.first("content-transfer-encoding"), self.main == "text"
        )


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
    fields, body, is_cut = block(raw, at, len(raw))
    return Top(fields, body, _CUT_TOP if is_cut else "")


def block(raw: bytes, start: int, limit: int, most: int = _MOST_FIELDS) -> tuple[list[RawField], int, bool]:
    """Read a header block: its fields, where the body begins, and whether fields were left out.

    It ends at the first blank line, however late. Of what is left out, fields that nothing can be read without and
    every further From are taken all the same: no second sender hides there.
    """
    ended = _END.search(raw, start, limit)
    end = ended.end() if ended and ended.end() - ended.start() > 1 else limit
    bound = end
    if end - start > MOST_HEADERS:
        bound = raw.rfind(b"\n", start, start + MOST_HEADERS) + 1 or start + MOST_HEADERS
    fields, at, is_body = read(raw, start, bound, end, most)
    if is_body or at >= end:
        return fields, at if is_body else end, False
    fields += [(found[1].lower().decode(), found[2].strip()) for found in _later(raw, max(start, at - 1), end)]
    for stray in islice(_STRAY.finditer(raw, bound - 1, end), _MOST_STRAYS):
        behind = raw.find(b"\n", stray.end())
        if raw[stray.end() : stray.end() + 1] not in b"\r\n" and not _more(raw, behind if behind >= 0 else end, end):
            return fields, stray.end(), True
    return fields, end, True


def _later(raw: bytes, at: int, end: int) -> Iterator[re.Match[bytes]]:
    yield from islice(_FROM.finditer(raw, at, end), 5)
    yield from islice(_NEEDED.finditer(raw, at, min(end, at + 4 * MOST_HEADERS)), 100)


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


def read(raw: bytes, start: int, bound: int, end: int, most: int) -> tuple[list[RawField], int, bool]:
    """Read the fields of a header block up to `bound`, names in lower case, values unfolded.

    Return them, where reading ended, and whether the body begins there: a line that is no field is kept as part of the
    one above when further headers follow before `end`; else it is the first line of the body.
    """
    fields: list[RawField] = []
    folded: list[bytes] = []
    name, at, is_body = "", start, False
    for line in raw[start:bound].split(b"\n"):
        stripped = line.rstrip(b"\r")
        if stripped[:1] in (b" ", b"\t"):
            folded.append(stripped)
        elif found := _FIELD.match(stripped):
            if name:
                fields.append((name, _unfolded(folded)))
                name = ""
            if len(fields) >= most:
                break
            name, folded = found[1].decode("ascii").lower(), [found[2]]
        elif not stripped:
            if at > start and at < bound:
                at, is_body = at + len(line) + 1, True
                break
        elif _is_mbox(stripped):
            pass
        elif name and not _more(raw, at + len(line) + 1, end):
            is_body = True
            break
        else:
            folded.append(b" " + stripped)
        at = min(bound, at + len(line) + 1)
    if name:
        fields.append((name, _unfolded(folded)))
    return fields, min(at, end), is_body


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
                self.defects.append(f"This mail has more than {MOST_PARTS:,} parts. Only the first ones were read.")
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
            fields, body, is_cut = block(self.raw, begin, limit, _MOST_PART_FIELDS)
            if is_cut and _CUT_PART not in self.defects:
                self.defects.append(_CUT_PART)
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
