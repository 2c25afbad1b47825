"""A mail put together again from the pieces a provider took it apart into, for whom its raw bytes are not switched on.

Rule: every piece finds a place, bytes and charsets as they were told. What was signed is no longer what was signed, so
signatures are kept under another name.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from channels.mail.values import MOST_HEADERS

NAME = re.compile(r"[!-9;-~]{1,100}")
MEDIA_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}", re.ASCII)
CHARSET = re.compile(r"[\w.:+-]{1,60}", re.ASCII)
OURS = {"content-type", "content-transfer-encoding", "content-disposition", "mime-version"}
SIGNATURES = {"dkim-signature", "domainkey-signature", "arc-seal", "arc-message-signature"}
BREAKS = dict.fromkeys((*range(32), 127, 0x85, 0x2028, 0x2029), " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A text or a file. `charset` is what the provider says that the bytes of a text are in."""

    data: bytes = field(repr=False)
    media_type: str = "application/octet-stream"
    charset: str = ""
    filename: str = ""
    content_id: str = ""


def rebuilt(headers: Iterable[tuple[str, str]], texts: Sequence[Piece], files: Sequence[Piece] = ()) -> bytes:
    """A mail of these headers in this order. `texts` are the same words told in several ways, the plainest first."""
    bodies = [_leaf(piece) for piece in texts if piece.data] or [_leaf(Piece(data=b"", media_type="text/plain"))]
    body = bodies[0] if len(bodies) == 1 else _multipart("alternative", bodies)
    if files:
        body = _multipart("mixed", [body, *(_leaf(piece) for piece in files)])
    return b"".join((*_fields(headers), b"MIME-Version: 1.0\r\n", body))


def _fields(headers: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    size = 0
    for name, value in headers:
        if not NAME.fullmatch(name) or name.lower() in OURS:
            continue
        shown = f"X-Original-{name}" if name.lower() in SIGNATURES else name
        line = _bytes(f"{shown}: {value.translate(BREAKS).strip()}\r\n")
        size += len(line)
        if size > MOST_HEADERS:
            return
        yield line


def _bytes(line: str) -> bytes:
    try:
        return line.encode("utf-8", "surrogateescape")  # eight-bit headers go on as they came
    except UnicodeEncodeError:
        return line.encode("utf-8", "replace")


def _leaf(piece: Piece) -> bytes:
    media_type = piece.media_type.partition(";")[0].strip().lower()
    media_type = media_type if MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"
    lines = [f"Content-Type: {media_type}"]
    if CHARSET.fullmatch(piece.charset):
        lines[0] += f'; charset="{piece.charset}"'
    if piece.filename:
        shown = "inline" if piece.content_id else "attachment"
        name = quote(piece.filename.encode("utf-8", "replace"), safe="")
        lines.append(f"Content-Disposition: {shown}; filename*=UTF-8''{name}")
    if content_id := piece.content_id.translate(BREAKS).strip(" <>"):
        lines.append(f"Content-ID: <{content_id}>")
    # RFC 2046 5.2.1: an enclosed mail may not be encoded.
    whole = media_type.startswith("message/")
    lines.append(f"Content-Transfer-Encoding: {'8bit' if whole else 'base64'}")
    head = _bytes("\r\n".join(lines)) + b"\r\n\r\n"
    return head + (piece.data if whole else base64.encodebytes(piece.data).replace(b"\n", b"\r\n"))


def _multipart(kind: str, parts: Sequence[bytes]) -> bytes:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    boundary = f"=_{whole.hexdigest()[:40]}".encode()  # of all it encloses, so that nothing enclosed can hold it
    head = f'Content-Type: multipart/{kind}; boundary="'.encode() + boundary + b'"\r\n\r\n'
    return head + b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
