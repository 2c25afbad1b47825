"""Content-Transfer-Encoding undone, and what is no such encoding left as it came.

Rule: bytes in, bytes out, nothing raises; what cannot be decoded is shown raw rather than not at all.
"""

from __future__ import annotations

import binascii
import re

from channels.mail.parse import headers

_NOT_BASE64 = bytes(
    byte for byte in range(256) if not (chr(byte).isascii() and chr(byte).isalnum()) and byte not in b"+/="
)
_UU_BEGIN = re.compile(rb"^begin ", re.MULTILINE)
_MOST_UU_LINES = 700_000  # 30 MB have 500,000
_MOST_ODD_LINES = 1_000
_ALPHABET = bytes(set(range(256)) - set(_NOT_BASE64))
_SPACE = b" \t\r\n\x0b\x0c"


def decoded(data: bytes, encoding: str, is_text: bool = False) -> bytes:
    """Undo a Content-Transfer-Encoding. An unknown one, or one that the bytes plainly do not have, is ignored."""
    name = encoding.partition(";")[0].strip(" \t\"'").lower()
    if name == "base64":
        return data if is_text and _is_prose(data) else _base64(data)
    if name in ("quoted-printable", "quotedprintable", "qp"):
        return binascii.a2b_qp(data)
    if name in ("x-uuencode", "uuencode", "x-uue", "uue"):
        begin = _UU_BEGIN.search(data)
        return (uudecoded(data[begin.start() :].split(b"\n", _MOST_UU_LINES)) if begin else b"") or data
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
    """Decode uuencoded lines, with or without their `begin` and `end`, until too many of them are none."""
    pieces: list[bytes] = []
    odd = 0
    left = 2 * sum(map(len, lines)) + 1_000  # a line that lost its spaces, which are zeros, grows: up to thirtyfold
    for line in lines:
        text = line.rstrip(b"\r\n")
        if not text or text.startswith(b"begin ") or text == b"end":
            continue
        try:
            pieces.append(binascii.a2b_uu(text))
        except binascii.Error:
            odd += 1
            if odd > _MOST_ODD_LINES:
                break
            length = (((text[0] - 32) & 63) * 4 + 5) // 3  # some programs put rubbish behind the counted letters
            try:
                pieces.append(binascii.a2b_uu(text[:length]))
            except binascii.Error:
                continue
        left -= len(pieces[-1])
        if left < 0:
            break
    return b"".join(pieces)
