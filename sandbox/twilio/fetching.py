"""Fetching what the shop wants sent: Twilio loads every MediaUrl itself and believes the file, not its label.

Page: www.twilio.com/docs/sms/accepted-mime-types, www.twilio.com/docs/whatsapp/guidance-whatsapp-media-messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import aiohttp

from sandbox.twilio.values import MMS_BYTES, WHATSAPP_BYTES, WHATSAPP_PICTURE_BYTES

PATIENCE = 15.0  # seconds for one file
WHATSAPP_TYPES = frozenset(
    {"image/jpeg", "image/png", "image/webp", "audio/aac", "audio/mp4", "audio/mpeg", "audio/amr", "audio/ogg"}
    | {"audio/opus", "video/mp4", "video/3gpp", "application/pdf", "text/vcard", "text/x-vcard", "text/plain"}
    | {"application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"}
)
OPEN_XML = "application/vnd.openxmlformats-officedocument."
BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"%PDF-": "application/pdf",
    b"OggS": "audio/ogg",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file, or the code why there is none."""

    name: str = ""
    media_type: str = ""
    data: bytes = field(default=b"", repr=False)
    code: int = 0


async def fetched(session: aiohttp.ClientSession, urls: Sequence[str], *, whatsapp: bool) -> list[Fetched]:
    """Fetch the files of one message; the last one bears a code when something was wrong with it."""
    files: list[Fetched] = []
    room = WHATSAPP_BYTES if whatsapp else MMS_BYTES
    for url in urls:
        file = await _one(session, url, room, whatsapp=whatsapp)
        files.append(file)
        if file.code:
            break
        room -= len(file.data)
    return files


async def _one(session: aiohttp.ClientSession, url: str, room: int, *, whatsapp: bool) -> Fetched:
    gone, large, wrong = (63019, 63034, 63021) if whatsapp else (11200, 11751, 12300)
    data = bytearray()
    try:
        async with asyncio.timeout(PATIENCE), session.get(url) as response:
            if response.status != 200:
                return Fetched(code=gone)
            kind = response.content_type.lower()
            async for chunk in response.content.iter_chunked(1 << 16):
                data += chunk
                if len(data) > room or (whatsapp and kind.startswith("image/") and len(data) > WHATSAPP_PICTURE_BYTES):
                    return Fetched(code=large)
            disposition = response.content_disposition
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return Fetched(code=gone)
    if not data or mislabelled(kind, bytes(data[:16])) or (whatsapp and not _fits(kind)):
        return Fetched(code=wrong)
    tail = unquote(urlsplit(url).path.rpartition("/")[2])
    name = disposition.filename if disposition is not None and disposition.filename else tail
    return Fetched(name=name, media_type=kind, data=bytes(data))


def mislabelled(media_type: str, beginning: bytes) -> bool:
    """Whether the bytes say that the Content-Type is not true."""
    found = next((kind for start, kind in BEGINNINGS.items() if beginning.startswith(start)), None)
    if found is None:
        return media_type in BEGINNINGS.values() or media_type in ("application/octet-stream", "text/html")
    return media_type != found and not (found == "audio/ogg" and media_type in ("audio/opus", "video/ogg"))


def _fits(media_type: str) -> bool:
    return media_type in WHATSAPP_TYPES or media_type.startswith(OPEN_XML)
