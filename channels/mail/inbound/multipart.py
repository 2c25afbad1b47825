"""The fields of a form that a provider posts, as multipart/form-data or in the URL's manner, as bytes.

Rule: one pass over the body, and no field is decoded here: a provider may name a charset of its own for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from channels.channel import Request
from channels.errors import Malformed
from channels.mail.values import MOST_PARTS

MOST_HEAD = 16 << 10  # bytes of one part's own headers; file names of any length in use fit
MOST_LEAD = 4 << 10  # bytes before the first part, where a preamble would stand
BOUNDARY = re.compile(r'boundary=(?:"([^"\r\n]{1,200})"|([^\s";,]{1,200}))', re.IGNORECASE)  # RFC 2046 allows 70
PARAMETER = re.compile(r';\s*([\w*-]{1,50})=(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field or file. `filename` is the sender's word; "" when it is no file."""

    name: str
    value: bytes = field(repr=False)
    filename: str = ""
    media_type: str = ""
    content_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    fields: tuple[Field, ...]

    def value(self, name: str) -> bytes | None:
        """The first field of that name, None when there is none."""
        return next((found.value for found in self.fields if found.name == name), None)

    def text(self, name: str) -> str:
        return (self.value(name) or b"").decode("utf-8", "replace")

    def __contains__(self, name: str) -> bool:
        return any(found.name == name for found in self.fields)


def form(request: Request) -> Form:
    """Read the form in a request's body. Raises `Malformed` when there is none, or when it was cut short."""
    kind = request.headers.get("content-type", "")
    if kind.strip().lower().startswith("application/x-www-form-urlencoded"):
        return Form(fields=tuple(_pairs(request.body)))
    told = BOUNDARY.search(kind[:1_000])
    line = request.body[:202].partition(b"\r\n")[0]  # what was set aside may have lost its content type
    boundary = (told[1] or told[2]).encode("utf-8", "replace") if told else line.removeprefix(b"--")
    if not boundary or (not told and not line.startswith(b"--")):
        raise Malformed("The body is not a form.")
    return Form(fields=tuple(_parts(request.body, b"\r\n--" + boundary)))


def _pairs(body: bytes) -> Iterator[Field]:
    pieces = body.split(b"&", MOST_PARTS)
    if len(pieces) > MOST_PARTS:
        raise Malformed(f"The form has more than {MOST_PARTS} fields.")
    for piece in pieces:
        name, equals, value = piece.replace(b"+", b" ").partition(b"=")
        if equals:
            yield Field(name=unquote_to_bytes(name).decode("utf-8", "replace"), value=unquote_to_bytes(value))


def _parts(body: bytes, delimiter: bytes) -> Iterator[Field]:
    first = -2 if body.startswith(delimiter[2:]) else _next(body, delimiter, 0, MOST_LEAD)
    at = first + len(delimiter)
    for _ in range(MOST_PARTS):
        if body.startswith(b"--", at):
            return
        end = _next(body, delimiter, at)
        yield _part(body, at, end)
        at = end + len(delimiter)
    if not body.startswith(b"--", at):
        raise Malformed(f"The form has more than {MOST_PARTS} fields.")


def _next(body: bytes, delimiter: bytes, start: int, within: int | None = None) -> int:
    """Where the next boundary begins; a longer line that only begins like one is none."""
    stop = len(body) if within is None else start + within
    at = body.find(delimiter, start, stop)
    while at >= 0:
        after = body[at + len(delimiter) : at + len(delimiter) + 2]
        if after in (b"\r\n", b"--"):
            return at
        at = body.find(delimiter, at + 1, stop)
    raise Malformed("The form is cut short or not a form.")


def _part(body: bytes, start: int, end: int) -> Field:
    """The part after the boundary line that ends at `start`; its first bytes are that line's break."""
    # With nothing in the part its blank line may be the line break before the next boundary as well.
    blank = body.find(b"\r\n\r\n", start, min(end + 2, start + MOST_HEAD))
    if blank < 0:
        raise Malformed("A part of the form has no end of its headers.")
    headers = {}
    for line in body[start + 2 : blank].decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    told = {name.lower(): _plain(quoted) or bare for name, quoted, bare in _parameters(headers)}
    filename = told.get("filename", "")
    if star := told.get("filename*", ""):
        filename = unquote_to_bytes(star.rpartition("'")[2]).decode("utf-8", "replace")
    return Field(
        name=told.get("name", ""),
        value=body[blank + 4 : end],
        filename=filename,
        media_type=headers.get("content-type", ""),
        content_id=headers.get("content-id", ""),
    )


def _parameters(headers: dict[str, str]) -> list[tuple[str, str, str]]:
    return PARAMETER.findall(headers.get("content-disposition", ""))


def _plain(quoted: str) -> str:
    return quoted.replace('\\"', '"').replace("%22", '"').replace("\\\\", "\\")
