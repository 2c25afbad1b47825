"""winmail.dat taken apart: Microsoft's TNEF, in which some Outlooks hide files and text.

Rule: every length is checked against the bytes that are there. Layouts are those of MS-OXTNEF and MS-OXCDATA:
https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxtnef
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from channels.mail.parse import charsets

_SIGNATURE = 0x223E9F78
_MOST_FILES = 200
_MOST_PROPERTIES = 5_000
_MOST_DEPTH = 3  # messages enclosed in messages

# Attributes
_BODY = 0x0002800C
_ATTACHMENT_TITLE = 0x00018010
_ATTACHMENT_DATA = 0x0006800F
_ATTACHMENT_BEGINS = 0x00069002
_ATTACHMENT_PROPERTIES = 0x00069005
_MESSAGE_PROPERTIES = 0x00069003
_CODEPAGE = 0x00069007

# Properties
_PLAIN, _RTF, _HTML = 0x1000, 0x1009, 0x1013
_DATA, _LONG_NAME, _NAME, _MIME, _CONTENT_ID = 0x3701, 0x3707, 0x3704, 0x370E, 0x3712

_FIXED = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_VARIABLE = frozenset({0x0D, 0x1E, 0x1F, 0x102})


@dataclass(slots=True)
class Enclosed:
    """A file as TNEF holds it."""

    name: str = ""
    media_type: str = ""
    content_id: str = ""
    data: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class Unpacked:
    """What a winmail.dat holds. `rtf`: its text is there only as compressed RTF, which is not read."""

    files: list[Enclosed] = field(default_factory=list)
    text: str = ""
    html: str = ""
    rtf: bool = False


def unpack(data: bytes, depth: int = 0) -> Unpacked | None:
    """Read a TNEF stream. None when it is none or breaks off before anything of use."""
    if len(data) < 6 or struct.unpack_from("<I", data)[0] != _SIGNATURE:
        return None
    found, label, nested = Unpacked(), "", list[bytes]()
    for name, value in _attributes(data):
        if name == _CODEPAGE and len(value) >= 4:
            label = f"cp{struct.unpack_from('<I', value)[0]}"
        elif name == _BODY:
            found.text = found.text or _text(value, label)
        elif name == _MESSAGE_PROPERTIES:
            _message(found, value, label)
        elif name == _ATTACHMENT_BEGINS:
            if len(found.files) >= _MOST_FILES:
                break
            found.files.append(Enclosed())
        elif found.files and name == _ATTACHMENT_TITLE:
            found.files[-1].name = found.files[-1].name or _text(value, label)
        elif found.files and name == _ATTACHMENT_DATA:
            found.files[-1].data = value
        elif found.files and name == _ATTACHMENT_PROPERTIES:
            nested += _attachment(found.files[-1], value, label)
    if depth < _MOST_DEPTH:
        for stream in nested[:_MOST_FILES]:
            inner = unpack(stream, depth + 1)
            found.files += inner.files if inner else []
    found.files = [file for file in found.files if file.data][:_MOST_FILES]
    return found if found.files or found.text or found.html or found.rtf else None


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield names and values until the stream ends or breaks."""
    at = 6
    while at + 9 <= len(data):
        name, length = struct.unpack_from("<II", data, at + 1)
        at += 9
        if length > len(data) - at:
            return
        yield name, data[at : at + length]
        at += length + 2


def _message(found: Unpacked, value: bytes, label: str) -> None:
    for name, kind, content in _properties(value):
        if name == _PLAIN:
            found.text = _string(content, kind, label) or found.text
        elif name == _HTML:
            found.html = _string(content, kind, label)
        elif name == _RTF:
            found.rtf = bool(content)


def _attachment(file: Enclosed, value: bytes, label: str) -> list[bytes]:
    """Fill in a file's properties; return the message that it is, if it is one."""
    nested: list[bytes] = []
    for name, kind, content in _properties(value):
        if name == _LONG_NAME:
            file.name = _string(content, kind, label) or file.name
        elif name == _NAME:
            file.name = file.name or _string(content, kind, label)
        elif name == _MIME:
            file.media_type = _string(content, kind, label)
        elif name == _CONTENT_ID:
            file.content_id = _string(content, kind, label).strip("<>")
        elif name == _DATA and kind == 0x0D and len(content) > 16:
            nested.append(content[16:])  # behind the id of the interface that it was stored with
        elif name == _DATA and not file.data:
            file.data = content
    return nested


def _properties(value: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield id, type and first value of each property; stop where the layout breaks."""
    if len(value) < 4:
        return
    count = min(struct.unpack_from("<I", value)[0], _MOST_PROPERTIES)
    at = 4
    try:
        for _ in range(count):
            kind, name = struct.unpack_from("<HH", value, at)
            at = _past_name(value, at + 4) if name >= 0x8000 else at + 4
            several, kind = bool(kind & 0x1000), kind & 0x0FFF
            entries = 1
            if several or kind in _VARIABLE:
                entries = struct.unpack_from("<I", value, at)[0]
                at += 4
            if entries > _MOST_PROPERTIES:
                return
            first = b""
            for number in range(entries):
                content, at = _value(value, at, kind)
                first = first if number else content
            yield name, kind, first
    except (struct.error, KeyError):
        return


def _value(value: bytes, at: int, kind: int) -> tuple[bytes, int]:
    length = _FIXED.get(kind, 0)
    if kind in _VARIABLE:
        length = struct.unpack_from("<I", value, at)[0]
        at += 4
    elif not length:
        raise KeyError(kind)
    if length > len(value) - at:
        raise struct.error("cut off")
    return value[at : at + length], at + length + (-length % 4)


def _past_name(value: bytes, at: int) -> int:
    """Skip the name of a named property: a GUID and a number or a string."""
    if struct.unpack_from("<I", value, at + 16)[0] == 0:
        return at + 24
    length: int = struct.unpack_from("<I", value, at + 20)[0]
    return at + 24 + length + (-length % 4)


def _string(content: bytes, kind: int, label: str) -> str:
    if kind == 0x1F:
        return charsets.decode(content, "utf-16le").rstrip()
    return _text(content, label if kind == 0x1E else "")


def _text(content: bytes, label: str) -> str:
    return charsets.decode(content.rstrip(b"\x00"), label).rstrip()
