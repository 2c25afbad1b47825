"""The files of a mail: names that are safe to show, pictures told from attachments, seals opened as far as they go.

Rule: a name is a label. It is never a path, never empty, and never equal to another one of the same mail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import unquote

from channels.mail.parse import headers
from channels.mail.values import File

_LONGEST = 150  # characters; common file systems take 255 bytes

_SUFFIXES = {
    "application/gzip": "gz",
    "application/ics": "ics",
    "application/json": "json",
    "application/ms-tnef": "dat",
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/pkcs7-mime": "p7m",
    "application/rtf": "rtf",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/x-pkcs7-mime": "p7m",
    "application/zip": "zip",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/jpeg": "jpg",
    "image/jpg": "jpg",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/tiff": "tif",
    "image/webp": "webp",
    "message/global": "eml",
    "message/rfc822": "eml",
    "text/calendar": "ics",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "txt",
    "text/vcard": "vcf",
    "text/x-vcard": "vcf",
    "text/xml": "xml",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
}
_TYPES = {suffix: media_type for media_type, suffix in _SUFFIXES.items() if media_type.startswith(("image/", "video/"))}
_TYPES |= {"jpg": "image/jpeg", "jpeg": "image/jpeg", "pdf": "application/pdf"}
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')
_REFERENCE = re.compile(r"cid:([^\"'\s<>()]{1,250})", re.IGNORECASE)
_CALENDARS = frozenset({"text/calendar", "application/ics"})


def safe_name(name: str, media_type: str) -> str:
    """Return the last part of `name` without what a file system, a shell or a reader could trip over."""
    name = _UNSAFE.sub("", headers.one_line(name.replace("\\", "/").rpartition("/")[2])).strip(". ")
    if not name:
        kind = media_type.partition("/")[0]
        stem = {"image": "image", "audio": "audio", "video": "video", "message": "message"}.get(kind, "attachment")
        name = f"{stem}.{_SUFFIXES.get(media_type, 'txt' if kind in ('text', 'message') else 'bin')}"
    if len(name) <= _LONGEST:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 10:
        return name[:_LONGEST]
    return stem[: _LONGEST - len(suffix) - 1] + dot + suffix


def known_type(media_type: str, name: str) -> str:
    """Return the media type, guessed from the suffix where the mail says only that these are bytes."""
    if media_type in ("application/octet-stream", "application/x-download", "application/download", ""):
        return _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")
    return media_type


def referred(html: str) -> frozenset[str]:
    """Return the content ids that `html` shows, in lower case."""
    return (
        frozenset(unquote(found).lower() for found in _REFERENCE.findall(html))
        if "cid:" in html.lower()
        else frozenset()
    )


def finished(found: Sequence[File], html: str) -> tuple[File, ...]:
    """Give every file its final name and place: inline is what `html` shows; anything else is an attachment.

    Of two files with the same content id the first one is shown, the second one is an attachment.
    """
    wanted = set(referred(html))
    taken: set[str] = set()
    kept: list[File] = []
    calendars: set[bytes] = set()
    for file in found:
        if file.media_type in _CALENDARS:
            if file.data in calendars:  # calendars enclose the same invitation twice, shown and as a file
                continue
            calendars.add(file.data)
        name = _numbered(safe_name(file.filename, file.media_type), taken)
        inline = bool(file.content_id) and file.content_id.lower() in wanted
        wanted.discard(file.content_id.lower())
        kept.append(replace(file, filename=name, media_type=known_type(file.media_type, name), inline=inline))
    return tuple(kept)


def _numbered(name: str, taken: set[str]) -> str:
    stem, dot, suffix = name.rpartition(".")
    stem, end = (stem, dot + suffix) if dot else (name, "")
    given, number = name, 1
    while given.lower() in taken:
        number += 1
        given = f"{stem[: _LONGEST - len(end) - 8]} ({number}){end}"
    taken.add(given.lower())
    return given


# --- seals

_SIGNED_DATA = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
_ENVELOPED_DATA = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"


def is_encrypted(data: bytes) -> bool:
    """Tell whether an S/MIME file is an envelope, whatever its label says."""
    return _ENVELOPED_DATA in data[:40]


def signed_content(data: bytes) -> bytes:
    """Return the mail inside of an S/MIME file that is signed but not encrypted, b"" when there is none to be read.

    CMS, RFC 5652: ContentInfo, SignedData, EncapsulatedContentInfo, each in definite or indefinite length.
    """
    try:
        at = _open(data, 0, 0x30)
        if data[at : at + 11] != b"\x06\x09" + _SIGNED_DATA:
            return b""
        at = _open(data, _open(data, at + 11, 0xA0), 0x30)
        at = _skip(data, _skip(data, at))  # version, digest algorithms
        at = _skip(data, _open(data, at, 0x30))  # content type
        return b"".join(_octets(data, _open(data, at, 0xA0), len(data)))
    except (IndexError, ValueError):
        return b""


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Return tag, where the content begins, and its length, -1 for an indefinite one."""
    tag, length = data[at], data[at + 1]
    if length == 0x80:
        return tag, at + 2, -1
    if length < 0x80:
        return tag, at + 2, length
    digits = length & 0x7F
    if digits > 4:
        raise ValueError("longer than any mail")
    return tag, at + 2 + digits, int.from_bytes(data[at + 2 : at + 2 + digits])


def _open(data: bytes, at: int, expected: int) -> int:
    tag, start, _ = _head(data, at)
    if tag != expected:
        raise ValueError("not laid out as a signed mail")
    return start


def _skip(data: bytes, at: int) -> int:
    _, start, length = _head(data, at)
    if length < 0:
        raise ValueError("only contents are of indefinite length in what mail programs write")
    return start + length


def _octets(data: bytes, at: int, end: int) -> Iterator[bytes]:
    """Yield an OCTET STRING, whole or in the chunks of a constructed one."""
    tag, start, length = _head(data, at)
    if tag == 0x04:
        yield data[start : start + max(length, 0)]
        return
    if tag != 0x24:
        raise ValueError("no octets")
    end = min(end, start + length if length >= 0 else end)
    at = start
    while at < end:
        tag, start, length = _head(data, at)
        if tag != 0x04 or length < 0:
            return
        yield data[start : start + length]
        at = start + length
