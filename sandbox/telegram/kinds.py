"""The kinds of messages: the fields Telegram writes for each, and the pictures and files they need.

Rule: pure. What a customer sends without a file gets a small true one, so that downloads have something to read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

from sandbox.journal import Json
from sandbox.telegram.values import ApiError, File, User, bad_request

MAX_PHOTO = 10 << 20  # core.telegram.org/bots/api#sending-files
MAX_UPLOAD = 50 << 20
MAX_DOWNLOAD = 20 << 20  # core.telegram.org/bots/api#getfile
FILE_KINDS = ("photo", "document", "audio", "voice", "video", "video_note", "animation", "sticker")
MEDIA_TYPES = {
    "photo": "image/jpeg",
    "document": "application/octet-stream",
    "audio": "audio/mpeg",
    "voice": "audio/ogg",
    "video": "video/mp4",
    "video_note": "video/mp4",
    "animation": "video/mp4",
    "sticker": "image/webp",
}
FOLDERS = {
    "photo": "photos",
    "audio": "music",
    "voice": "voice",
    "video": "videos",
    "video_note": "video_notes",
    "animation": "animations",
    "sticker": "stickers",
}


def picture(width: int = 320, height: int = 200, colour: tuple[int, int, int] = (90, 160, 200)) -> bytes:
    """Draw a PNG of one colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\x00" + bytes(colour) * width) * height
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Read width and height of a PNG, GIF, WebP or JPEG; None when it is no picture."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data[:4] == b"GIF8" and len(data) >= 10:
        width, height = struct.unpack("<HH", data[6:10])
        return width, height
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        if data[12:16] == b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        if data[12:16] == b"VP8L":
            packed = int.from_bytes(data[21:25], "little")
            return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return _jpeg(data) if data[:2] == b"\xff\xd8" else None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None


def check_upload(kind: str, size: int, data: bytes) -> None:
    """Refuse what Telegram refuses from a bot. `data` may be shorter than `size` claims."""
    if size == 0:
        raise bad_request("file must be non-empty")
    if size > MAX_UPLOAD:
        raise ApiError(413, "Request Entity Too Large")
    if kind != "photo":
        return
    if size > MAX_PHOTO:
        raise bad_request(f"file of size {size} bytes is too big for a photo; the maximum size is {MAX_PHOTO} bytes")
    found = dimensions(data)
    if found is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    width, height = found
    if width + height > 10_000 or max(width, height) > 20 * max(1, min(width, height)):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")


def placeholder(kind: str, number: int) -> tuple[str, str, bytes]:
    """Make a name, media type and bytes for a file nobody supplied."""
    if kind == "photo":
        colour = (60 + number * 53 % 150, 60 + number * 97 % 150, 60 + number * 31 % 150)
        return f"photo_{number}.png", "image/png", picture(colour=colour)
    names = {"document": f"document_{number}.txt", "audio": f"audio_{number}.mp3", "video": f"video_{number}.mp4"}
    media_type = "text/plain" if kind == "document" else MEDIA_TYPES[kind]
    return names.get(kind, ""), media_type, f"emulated {kind} {number}\n".encode()


def file_fields(kind: str, file: File, smaller: File | None = None) -> Json:
    """Write the fields of a message that carries a file. A photo comes in several sizes, an animation twice."""
    named = {"file_name": file.name} if file.name else {}
    media: Json = {**named, "mime_type": file.media_type, **file.reference()}
    size = {"width": file.width or 320, "height": file.height or 200}
    match kind:
        case "photo":
            small = smaller or file
            sizes = [{**small.reference(), "width": small.width or 90, "height": small.height or 56}] if smaller else []
            return {"photo": [*sizes, {**file.reference(), **size}]}
        case "audio":
            return {"audio": {"duration": 12, **media}}
        case "voice":
            return {"voice": {"duration": 3, "mime_type": file.media_type, **file.reference()}}
        case "video":
            return {"video": {"duration": 5, **size, **media}}
        case "video_note":
            return {"video_note": {"duration": 5, "length": 240, **file.reference()}}
        case "animation":
            return {"animation": {"duration": 2, **size, **media}, "document": media}
        case "sticker":
            flags = {"is_animated": file.media_type == "application/x-tgsticker", "is_video": "webm" in file.media_type}
            sticker = {"width": 512, "height": 512, "emoji": "👍", "set_name": "sandbox", "type": "regular", **flags}
            return {"sticker": {**sticker, **file.reference()}}
    return {"document": media}


def _contact(user: User, number: int) -> Json:
    return {"contact": {"phone_number": "+905551112233", "first_name": "Somebody", "last_name": "Else"}}


def _own_contact(user: User, number: int) -> Json:
    # Telegram often leaves the plus out; a reader must cope.
    phone = user.phone.lstrip("+") or f"90532{user.id % 10_000_000:07d}"
    surname = {"last_name": user.last_name} if user.last_name else {}
    return {"contact": {"phone_number": phone, "first_name": user.first_name, **surname, "user_id": user.id}}


def _venue(user: User, number: int) -> Json:
    place = {"latitude": 41.0369, "longitude": 28.985}
    return {"venue": {"location": place, "title": "Galata", "address": "Beyoğlu, Istanbul"}, "location": place}


def _poll(user: User, number: int) -> Json:
    options = [
        {"persistent_id": str(place), "text": text, "voter_count": 0} for place, text in enumerate(("Red", "Blue"))
    ]
    flags = {"is_closed": False, "is_anonymous": True, "allows_multiple_answers": False}
    more = {"type": "regular", "allows_revoting": True, "members_only": False}
    poll = {"id": str(number), "question": "Which colour?", "options": options, "total_voter_count": 0}
    return {"poll": {**poll, **flags, **more}}


def _checklist(user: User, number: int) -> Json:
    tasks = [{"id": 1, "text": "Pack the parcel"}, {"id": 2, "text": "Bring it to the post"}]
    return {"checklist": {"title": "Return", "tasks": tasks}}


def _paid_media(user: User, number: int) -> Json:
    return {"paid_media": {"star_count": 5, "paid_media": [{"type": "preview", "width": 320, "height": 200}]}}


PLAIN_KINDS: dict[str, Callable[[User, int], Json]] = {
    "location": lambda user, number: {"location": {"latitude": 41.0082, "longitude": 28.9784}},
    "venue": _venue,
    "contact": _contact,
    "own_contact": _own_contact,
    "dice": lambda user, number: {"dice": {"emoji": "🎲", "value": 1 + number % 6}},
    "poll": _poll,
    "story": lambda user, number: {"story": {"chat": user.chat(), "id": number}},
    "checklist": _checklist,
    "rich_message": lambda user, number: {
        "rich_message": {"blocks": [{"type": "paragraph", "text": "A paragraph of a rich message"}]}
    },
    "paid_media": _paid_media,
}


def forwarded(user: User, date: int) -> Json:
    """Mark a message as somebody else's words, from a person who hides who they are or from the user's other self."""
    other = {"id": user.id + 1_000_000, "is_bot": False, "first_name": "Forwarded", "last_name": "Person"}
    return {"forward_origin": {"type": "user", "sender_user": other, "date": date}}


def keyboard(markup: Any) -> tuple[Json | None, Json | None]:
    """Check a reply_markup: the inline keyboard Telegram echoes, and the reply keyboard it does not."""
    if not markup:
        return None, None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    if "inline_keyboard" in markup:
        rows = _rows(markup["inline_keyboard"])
        for button in (button for row in rows for button in row):
            actions = set(button) - {"text", "style", "icon_custom_emoji_id"}
            if len(actions) != 1:
                raise bad_request("text buttons are unallowed in the inline keyboard")
            data = button.get("callback_data")
            if data is not None and not 1 <= len(str(data).encode()) <= 64:
                raise bad_request("BUTTON_DATA_INVALID")
            if "url" in button and not str(button["url"]).startswith(("http://", "https://", "tg://")):
                raise bad_request(f"inline keyboard button URL '{button['url']}' is invalid: wrong HTTP URL")
        if sum(len(row) for row in rows) > 100:
            raise bad_request("reply markup is too long")
        return {"inline_keyboard": rows} if rows else None, None
    if "keyboard" in markup:
        _rows(markup["keyboard"])
        return None, markup
    if markup.get("remove_keyboard") or markup.get("force_reply"):
        return None, markup
    return None, None


def _rows(rows: Any) -> list[list[Json]]:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request('field "inline_keyboard" must be an Array of Arrays of buttons')
    good: list[list[Json]] = []
    for row in rows:
        buttons = [{"text": button} if isinstance(button, str) else button for button in row]
        for button in buttons:
            if not isinstance(button, dict) or not button.get("text"):
                raise bad_request("can't parse inline keyboard button: Text buttons must be non-empty")
        if buttons:
            good.append(buttons)
    return good
