"""What a message of Messenger or Instagram says, in words, files and links. Pure.

Rule: one odd attachment costs none of its neighbours, and of a story nothing but its link is kept: Meta forbids to keep
the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from channels.message import Attachment
from channels.meta.wire import Load, Message, Piece, Referral, ReplyTo
from channels.values import name, on_map, shown_filename
from channels.wire import decoded

# --- facts

THUMBS = frozenset({"369239263222822", "369239343222814", "369239383222810"})  # the thumb in its three sizes
# Media type and name of what the sender's app does not name itself.
FILES: Mapping[str, tuple[str, str]] = {
    "image": ("image/jpeg", "image"),
    "sticker": ("image/png", "sticker"),
    "video": ("video/mp4", "video"),
    "audio": ("audio/mp4", "audio"),
    "file": ("application/octet-stream", "file"),
}
SUFFIXES: Mapping[str, str] = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".zip": "application/zip",
}
SHARED = frozenset({"fallback", "share", "ig_reel", "reel", "ig_post"})  # a link with a title
WEB = re.compile(r"https?://[^\s<>\"]{1,4000}", re.IGNORECASE)
INSTAGRAM = "https://www.instagram.com"  # links to reels come without it

# --- parts of a message


def content(message: Message) -> dict[str, Any]:
    """Everything of `Received` that tells what was said."""
    lines, files, stub = [message.text], [], ""
    for number, piece in enumerate(pieces(message.attachments)):
        told, file, kind = shown(piece, message.mid, number)
        lines += [line for line in told.split("\n") if line not in "\n".join(lines)]
        files += [file] if file else []
        stub = stub or kind
    reply, referral = message.reply_to or ReplyTo(), message.referral
    quoted = about(referral)
    if reply.story is not None:
        quoted, stub = web(reply.story.url), stub or "story_reply"
    text = "\n".join(filter(None, lines))
    if message.is_unsupported:
        stub = "unsupported"
    elif not (text or files or stub):
        stub = "empty"
    ref = referral.ref if referral else ""
    return {
        "text": text,
        "attachments": tuple(files),
        "payload": (message.quick_reply.payload if message.quick_reply else "") or ref,
        "reply_to": reply.mid,
        "quoted": quoted,
        "stub": stub,
    }


def pieces(raw: msgspec.Raw) -> Iterator[Piece]:
    """Attachments come as a list, and a single one sometimes by itself."""
    try:
        listed = msgspec.json.decode(raw, type=list[msgspec.Raw] | None) or []
    except msgspec.ValidationError:
        listed = [raw]
    for one in listed:
        yield decoded(one, Piece) or Piece()


def shown(piece: Piece, mid: str, number: int) -> tuple[str, Attachment | None, str]:
    """The words, the file and the stub of one attachment."""
    load = piece.payload or Load()
    link, title = web(load.url or piece.url), name(load.title or piece.title, 300)
    match piece.type:
        case "image" if str(load.sticker_id) in THUMBS:
            return "👍", None, ""
        case "like_heart":
            return "❤️", None, ""
        case "story_mention":
            return link, None, "story_mention"
        case "location" if load.coordinates:
            place = on_map(load.coordinates.lat, load.coordinates.long)
            return "\n".join(filter(None, (title, place))), None, ""
        case "image" | "video" | "audio" | "file" | "sticker" if link:
            return "", file_at(link, piece.type, mid, number), ""
        case kind if kind in SHARED and (link or title or load.url or piece.url):
            return "\n".join(filter(None, (title, link or name(load.url or piece.url, 300)))), None, ""
        case kind:
            return title, None, name(kind, 40) or "unknown"


def file_at(link: str, kind: str, mid: str, number: int, **told: Any) -> Attachment:
    """A file behind a link that dies soon; the message's id brings a fresh one."""
    media_type, called = FILES[kind]
    filename = shown_filename(unquote(PurePosixPath(urlsplit(link).path).name))
    suffix = PurePosixPath(filename).suffix.lower()
    named = SUFFIXES.get(suffix, "")
    if named and (kind == "file" or named.partition("/")[0] == media_type.partition("/")[0]):
        media_type = named
    ending = next((it for it, its_type in SUFFIXES.items() if its_type == media_type), "")
    whole = {
        "media_type": media_type,
        "filename": filename if kind == "file" and suffix else f"{called}{ending}",
        "ref": json.dumps({"url": link, "mid": mid, "n": number}, separators=(",", ":")),
        "unique_ref": f"{mid}:{number}",
    }
    return Attachment(**whole | {key: value for key, value in told.items() if value})


def web(told: str) -> str:
    """A link as far as it is one: Meta also sends names of files, and reels without their host."""
    link = f"{INSTAGRAM}{told}" if told.startswith("/") and not told.startswith("//") else told
    if not WEB.fullmatch(link):
        return ""
    try:
        return link if urlsplit(link).hostname else ""
    except ValueError:
        return ""


def about(referral: Referral | None) -> str:
    """What brought them here, in words: an ad, a product, a page."""
    if referral is None:
        return ""
    if referral.ads_context_data and (title := name(referral.ads_context_data.ad_title, 300)):
        return title
    if ad := name(str(referral.ad_id), 64):
        return f"ad {ad}"
    if referral.product and (product := name(str(referral.product.id), 64)):
        return f"product {product}"
    return web(referral.referer_uri)
