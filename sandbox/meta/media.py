"""Media: what fits which kind of message, fetching from links, uploads, and the URLs that live for minutes.

Rule: a file that does not fit is refused when it is sent, not when it is uploaded; as a document nearly all fit.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp import web

from sandbox.meta.call import Call, Upload
from sandbox.meta.shelf import UPLOADED_LIFE
from sandbox.meta.values import ApiError, File, Json, Kind, Line, invalid

if TYPE_CHECKING:
    from sandbox.meta.world import World

MEGABYTE = 1 << 20
MOST = 100 * MEGABYTE

AUDIO = frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"})
AVI = ("video/avi", "video/x-msvideo")  # one format under two names
FILMS = frozenset({"video/mp4", "video/ogg", *AVI, "video/quicktime", "video/webm"})
WHATSAPP_TYPES = {
    "audio": (16 * MEGABYTE, AUDIO),
    "image": (5 * MEGABYTE, frozenset({"image/jpeg", "image/png"})),
    "video": (16 * MEGABYTE, frozenset({"video/mp4", "video/3gpp"})),
    "sticker": (500 * 1024, frozenset({"image/webp"})),
    "document": (MOST, frozenset[str]()),
}
STILL_STICKER = 100 * 1024  # an animated one may have 500 KB
INSTAGRAM_TYPES = {
    "image": (8 * MEGABYTE, frozenset({"image/png", "image/jpeg", "image/gif"})),
    "audio": (25 * MEGABYTE, frozenset({"audio/aac", "audio/mp4", "audio/x-m4a", "audio/wav", "audio/x-wav"})),
    "video": (25 * MEGABYTE, FILMS),
    "file": (25 * MEGABYTE, frozenset({"application/pdf"})),
}
MESSENGER_LIMIT = 25 * MEGABYTE
MAGIC = {"image/jpeg": (b"\xff\xd8",), "image/png": (b"\x89PNG",), "image/gif": (b"GIF8",), "image/webp": (b"RIFF",)}


def bare(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def unfit(kind: Kind, what: str, media_type: str, data: bytes, *, check_content: bool) -> str:
    """Why a file cannot be sent as `what` (image, audio, …); "" when it can."""
    sort = bare(media_type)
    if kind is Kind.MESSENGER:
        most, types = MESSENGER_LIMIT, frozenset[str]()
        if what != "file" and sort.partition("/")[0] != what:
            return f"media of type {sort} is no {what}"
    else:
        most, types = (WHATSAPP_TYPES if kind is Kind.WHATSAPP else INSTAGRAM_TYPES)[what]
    if types and sort not in types:
        return f"unsupported {what} mime type {sort}. Please use one of {', '.join(sorted(types))}."
    if what == "sticker" and b"ANIM" not in data[:64]:
        most = STILL_STICKER
    if not data or len(data) > most:
        return f"the file has {len(data)} bytes; a {what} has 1 to {most}"
    if check_content and what != "document" and not data.startswith(MAGIC.get(sort, (b"",))):
        return f"the file is not the {sort} it claims to be"
    if sort == "audio/ogg" and kind is Kind.WHATSAPP and what == "audio" and data.startswith(b"OggS"):
        return "" if b"OpusHead" in data[:512] else "only the opus codec is supported in ogg"
    return ""


async def fetch(world: World, link: str) -> tuple[bytes, str, str]:
    """Get a file from a link: data, media type, name. Raises ValueError saying why it could not be had."""
    parts = urlsplit(link)
    if parts.scheme not in ("http", "https"):
        raise ValueError("not a web address")
    try:
        timeout = aiohttp.ClientTimeout(total=world.settings.webhook_timeout)
        async with world.session().get(link, timeout=timeout) as response:
            if response.status != 200:
                raise ValueError(f"Downloading media from weblink failed with http code {response.status}")
            data = await response.content.read(MOST + 1)
            while len(data) <= MOST and (more := await response.content.read(MOST)):
                data += more
            name = unquote(parts.path.rpartition("/")[2])
            disposition = response.content_disposition
            if disposition is not None and disposition.filename:
                name = disposition.filename
            return data, response.content_type, name
    except (aiohttp.ClientError, TimeoutError) as lost:
        raise ValueError(f"Downloading media from weblink failed: {type(lost).__name__}") from lost


# WhatsApp's media


async def upload(call: Call, id: str) -> Json:
    """POST /{phone_number_id}/media."""
    line = call.line(id)
    if call.text("messaging_product") != "whatsapp":
        raise invalid("The parameter messaging_product is required.")
    given: Upload | None = call.uploads.get("file")
    if given is None:
        raise invalid("The parameter file is required.")
    if len(given.data) > MOST or not given.data:
        raise ApiError(100, "(#100) Invalid parameter", details=f"A file has 1 to {MOST} bytes")
    media_type = bare(call.text("type") or given.media_type)
    if "/" not in media_type:
        raise invalid("Param type must be a media type")
    file = call.world.shelf.add(line, given.data, media_type, given.name, life=UPLOADED_LIFE)
    return {"id": file.id}


async def describe(call: Call, id: str) -> Json:
    """GET /{media_id}: where it is to be had for some minutes."""
    file = call.media(id)
    if (owner := call.text("phone_number_id")) and owner != file.line:
        raise invalid("Param phone_number_id does not own this media")
    return {
        "messaging_product": "whatsapp",
        "url": call.world.url(call.world.accounts.lines[file.line], file),
        "mime_type": file.media_type,
        "sha256": hashlib.sha256(file.data).hexdigest(),
        "file_size": len(file.data),
        "id": file.id,
    }


async def forget(call: Call, id: str) -> Json:
    """DELETE /{media_id}."""
    call.world.shelf.files.pop(call.media(id).id)
    return {"success": True}


# downloads


def whatsapp_download(world: World, secret: str, bearer: str, user_agent: str) -> web.Response:
    """Hand out WhatsApp media: only with a token that reaches the number, only while the URL lives."""
    token = world.accounts.tokens.get(bearer)
    file: File | None = world.shelf.borrowed(secret)
    if not user_agent:
        world.note("media was asked for without a User-Agent, which Meta's media host refuses")
    if file is None:
        return web.Response(status=world.settings.media_url_status)
    if token is None or token.subcode or file.line not in token.reach:
        return web.Response(status=401)
    return handed(file)


def cdn_download(world: World, secret: str, authorized: bool) -> web.Response:
    """Hand out a file of Messenger or Instagram to whoever has the URL."""
    if authorized:
        world.note("a token was sent to the CDN, which needs none")
    file = world.shelf.borrowed(secret)
    if file is None:
        return web.Response(status=403, text="URL signature expired")
    return handed(file)


def handed(file: File) -> web.Response:
    name = re.sub(r"[^ !#-\[\]-~]", "_", file.filename)  # what a quoted string holds
    headers = {"Content-Type": file.media_type, "Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=file.data, headers=headers)


def keep(world: World, line: Line, data: bytes, media_type: str, name: str) -> File:
    """Keep a file of the shop's."""
    return world.shelf.add(line, data, bare(media_type), name, life=UPLOADED_LIFE)
