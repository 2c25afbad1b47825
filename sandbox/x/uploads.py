"""Files on their way up: in one piece, or initialized, appended and finalized.

Rule: a file belongs to the user who brought it, for 24 hours, and only a category for messages goes into a message.
"""

from __future__ import annotations

from typing import Any

from sandbox.journal import Json
from sandbox.x.call import Call, Reply, Upload, unpacked
from sandbox.x.values import CATEGORIES, ENDINGS, KINDS, MEDIA_LIFE, SIZES, Media, invalid, not_found

OTHERS = {"tweet_image": "photo", "tweet_gif": "animated_gif", "tweet_video": "video", "amplify_video": "video"}
MAX_SEGMENT = 999
LIFE = int(MEDIA_LIFE.total_seconds())


def sniffed(data: bytes) -> str:
    """Tell the media type from how the bytes begin; empty if it is none X takes."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "video/mp4" if data[4:8] == b"ftyp" else ""


async def upload(call: Call) -> Reply:
    """Take a file whole: base64 in JSON, raw bytes in multipart."""
    body = call.fields({"media", "media_category", "media_type", "shared", "additional_owners"}, ["media_category"])
    given = _bytes(call, body)
    if not given.data:
        raise invalid("$.media: is empty")
    # What the bytes are decides; what was said of them only where they say nothing.
    media_type = sniffed(given.data) or str(body.get("media_type") or given.media_type)
    media = _made(call, media_type, str(body["media_category"]), len(given.data))
    media.data, media.filename = given.data, given.filename or f"file.{ENDINGS[media.media_type]}"
    return Reply(body={"data": _finished(call, media)})


def _bytes(call: Call, body: Json) -> Upload:
    if call.upload is not None:
        return call.upload
    if "media" not in body:
        raise invalid("$.media: is missing but it is required")
    return Upload(filename="", media_type="", data=unpacked(body["media"]))


def _made(call: Call, media_type: str, category: str, size: int) -> Media:
    kind = KINDS.get(media_type)
    if kind is None:
        raise invalid(f"$.media_type: does not have a value in the enumeration {sorted(KINDS)}", media_type=media_type)
    if category not in (CATEGORIES[kind], *(name for name, of in OTHERS.items() if of == kind)):
        raise invalid(f"$.media_category: does not suit {media_type}", media_category=category)
    if size > SIZES[CATEGORIES[kind]]:
        raise invalid(f"File size exceeds {SIZES[CATEGORIES[kind]]} bytes.")
    world = call.world
    return world.keep_media(
        Media(
            id=world.new_id(),
            owner=call.token.user,
            media_type=media_type,
            category=category,
            expected=size,
            resource=f"{world.slug(8)}.{ENDINGS[media_type]}",
            until=world.now() + MEDIA_LIFE,
        )
    )


async def initialize(call: Call) -> Reply:
    names = ("media_type", "total_bytes", "media_category")
    body = call.fields({*names, "shared", "additional_owners"}, names)
    if not isinstance(body["total_bytes"], int) or body["total_bytes"] < 1:
        raise invalid("$.total_bytes: must be a positive integer")
    media = _made(call, str(body["media_type"]), str(body["media_category"]), body["total_bytes"])
    return Reply(body={"data": {"id": media.id, "media_key": media.key, "expires_after_secs": LIFE}})


def _open(call: Call) -> Media:
    id = call.path["id"]
    media = call.world.media.get(id)
    if media is None or media.owner != call.token.user or media.until <= call.world.now():
        raise not_found("media", "id", id)
    if media.ready:
        raise invalid("The upload has been finalized.", id=id)
    return media


async def append(call: Call) -> Reply:
    body = call.fields({"media", "segment_index"}, ["segment_index"])
    media = _open(call)
    index = _index(body["segment_index"])
    media.parts[index] = _bytes(call, body).data
    return Reply(body={"data": {"expires_at": int(media.until.timestamp())}})


def _index(value: Any) -> int:
    text = str(value)
    if not text.isdigit() or int(text) > MAX_SEGMENT:
        raise invalid(f"$.segment_index: must be between 0 and {MAX_SEGMENT}", segment_index=value)
    return int(text)


async def finalize(call: Call) -> Reply:
    media = _open(call)
    data = b"".join(media.parts[index] for index in sorted(media.parts))
    if sorted(media.parts) != list(range(len(media.parts))) or len(data) != media.expected:
        raise invalid("Segments do not add up to provided total file size.", id=media.id)
    media.data, media.parts, media.filename = data, {}, f"file.{ENDINGS[media.media_type]}"
    return Reply(body={"data": _finished(call, media)})


def _finished(call: Call, media: Media) -> Json:
    media.ready = True
    media.checks = 0 if media.kind == "photo" else call.world.settings.processing_checks
    return _shown(media, "pending")


def _shown(media: Media, state: str) -> Json:
    shown: Json = {"id": media.id, "media_key": media.key, "size": len(media.data), "expires_after_secs": LIFE}
    if media.checks:
        shown["processing_info"] = {"state": state, "check_after_secs": 1}
    elif media.kind != "photo":
        shown["processing_info"] = {"state": "succeeded", "progress_percent": 100}
    return shown


async def status(call: Call) -> Reply:
    """Say how far the processing of a film is; every question brings it on."""
    id = call.query.get("media_id", "")
    media = call.world.media.get(id)
    if media is None or media.owner != call.token.user or not media.ready:
        raise not_found("media", "media_id", id)
    media.checks = max(0, media.checks - 1)
    return Reply(body={"data": _shown(media, "in_progress")})
