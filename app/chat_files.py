"""What a file of a visitor is, told by its first bytes and never by its name alone. Pure.

Rule: what a browser could run is never called by its own type.
"""

from __future__ import annotations

import codecs
from pathlib import PurePosixPath

HEAD = 4096  # bytes looked at

_BEGINS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
)
_BRANDS = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
    b"avif": "image/avif",
    b"M4A ": "audio/mp4",
}
_BOXES = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_ZIPS = {
    ".docx": f"{_OFFICE}wordprocessingml.document",
    ".xlsx": f"{_OFFICE}spreadsheetml.sheet",
    ".pptx": f"{_OFFICE}presentationml.presentation",
}
_TEXTS = {".csv": "text/csv"}
UNKNOWN = "application/octet-stream"


def sniffed(head: bytes, filename: str) -> str:
    """The media type of a file that begins like this. Its name only tells kinds apart that begin alike."""
    ending = PurePosixPath(filename).suffix.lower()
    for begins, kind in _BEGINS:
        if head.startswith(begins):
            return kind
    if head[:4] == b"RIFF" and head[8:12] in _BOXES:
        return _BOXES[head[8:12]]
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[:2] == b"\xff\xfb" or head[:2] == b"\xff\xf3":
        return "audio/mpeg"
    if head.startswith(b"PK\x03\x04"):
        return _ZIPS.get(ending, "application/zip")
    if head and _is_text(head):
        return _TEXTS.get(ending, "text/plain")  # HTML and SVG are read, not run
    return UNKNOWN


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head[:HEAD])  # a letter may be cut in two at the end
    except UnicodeDecodeError:
        return False
    return not any(char < " " and char not in "\t\n\r\f" for char in text)
