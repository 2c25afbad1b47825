"""What Telegram tells, read as what a customer did. Pure: the same bytes at the same time give the same events.

Rule: one odd field never costs a message. A field that cannot be read is left out, a kind that cannot be shown
becomes a stub with its payload kept, and only a body that is no update at all is `Malformed`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

import msgspec

from channels.errors import Malformed
from channels.message import (
    Address,
    AddressChanged,
    Attachment,
    Edited,
    Event,
    OptedIn,
    OptedOut,
    Proof,
    Reacted,
    Received,
    Span,
    SpanKind,
    Unreadable,
    Withdrawn,
)
from channels.telegram.wire import (
    FRAME,
    NOT_OURS,
    SERVICE,
    Contact,
    Deletion,
    Entity,
    File,
    Membership,
    Message,
    Origin,
    Press,
    Quoted,
    Reactions,
    User,
)
from channels.values import E164, MEDIA_TYPE, moment, name, on_map, shown_filename
from channels.wire import Number, decoded, mended

# --- facts

SPANS: Mapping[str, SpanKind] = {
    "bold": SpanKind.BOLD,
    "italic": SpanKind.ITALIC,
    "underline": SpanKind.UNDERLINE,
    "strikethrough": SpanKind.STRIKE,
    "code": SpanKind.CODE,
    "pre": SpanKind.PRE,
    "blockquote": SpanKind.QUOTE,
    "expandable_blockquote": SpanKind.QUOTE,
    "spoiler": SpanKind.SPOILER,
    "text_link": SpanKind.LINK,
}

# Field, media type and name for what the sender's app does not name itself. An animation is a document too: first wins.
FILES = (
    ("animation", "video/mp4", "animation.mp4"),
    ("document", "application/octet-stream", "document"),
    ("audio", "audio/mpeg", "audio.mp3"),
    ("video", "video/mp4", "video.mp4"),
    ("voice", "audio/ogg", "voice.ogg"),
    ("video_note", "video/mp4", "video-note.mp4"),
)

START = re.compile(r"/start(?:@\w+)? ([A-Za-z0-9_-]{1,64})", re.ASCII)  # /bots/features#deep-linking
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)

# --- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What every part of one update is read with."""

    channel: str
    update_id: int
    at: datetime
    body: bytes

    def unreadable(self, reason: str) -> tuple[Event, ...]:
        return (Unreadable(channel=self.channel, reason=reason, raw=self.body),)


def read(channel: str, body: bytes, at: datetime) -> tuple[Event, ...]:
    """Read one update. Raises `Malformed` when the body is no JSON object with an `update_id`.

    Empty for what no customer said: groups, service messages, updates of kinds we never asked for.
    """
    try:
        if b"\\u0000" not in body:
            try:
                return events(channel, body, body, at)
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass  # broken text in sound JSON is worth a second, slower look
        return events(channel, mended(body), body, at)
    except msgspec.ValidationError as error:
        raise Malformed("The body is not an update: it has no update_id.") from error
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error


def events(channel: str, clean: bytes, body: bytes, at: datetime) -> tuple[Event, ...]:
    update = msgspec.json.decode(clean, type=dict[str, msgspec.Raw])
    update_id = msgspec.json.decode(update.get("update_id", b"null"), type=Number)
    reading = Reading(channel=channel, update_id=update_id, at=at, body=body)
    found: list[Event] = []
    for kind, raw in update.items():
        if kind in READERS:
            found.extend(READERS[kind](reading, raw))
        elif kind not in NOT_OURS:
            found.extend(unknown(reading, kind, raw))
    return tuple(found)


def received(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    message = decoded(raw, Message)
    if message is None:
        return reading.unreadable("a message without its ids")
    if message.migrate_to_chat_id is not None:
        old, new = (Address(kind="telegram", value=str(id)) for id in (message.chat.id, message.migrate_to_chat_id))
        return (AddressChanged(channel=reading.channel, old=old, new=new, at=moment(message.date, reading.at)),)
    if message.chat.type != "private":
        return ()
    if message.sender is None:
        return reading.unreadable("a message without a sender")
    if message.business_connection_id and message.sender.id != message.chat.id:
        return ()  # the shop's own words, typed in the shop owner's app
    said = content(message)
    if not (said.get("text") or said.get("attachments")):
        kinds = [key for key in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]) if key not in FRAME]
        if SERVICE.intersection(kinds):
            return ()
        said["stub"] = name(kinds[0]) if kinds else "empty"
    return (framed(reading, message, message.sender, said),)


def framed(reading: Reading, message: Message, sender: User, said: dict[str, Any]) -> Received:
    connection = message.business_connection_id or ""
    replied = message.reply_to_message
    return Received(
        channel=reading.channel,
        external_id=external_id(connection, message.chat.id, message.message_id),
        sender=Address(kind="telegram", value=str(sender.id)),
        sender_name=person(sender),
        sent_at=moment(message.date, reading.at),
        reply_to=external_id(connection, replied.chat.id, replied.message_id) if replied else "",
        quoted=quoted(message),
        forwarded_from=told_by(message.forward_origin) if message.forward_origin else "",
        album=f"{message.chat.id}:{message.media_group_id}" if message.media_group_id else "",
        language=language(sender),
        proof=Proof.PLATFORM,
        automatic=sender.is_bot,
        context=context(message),
        raw=reading.body,
        **said,
    )


def edited(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    message = decoded(raw, Message)
    edited_at = moment(message.edit_date, reading.at) if message else reading.at
    # Telegram tells edits by the second; of several within one, the update's number says which came last.
    edited_at += timedelta(microseconds=reading.update_id % 1_000_000)
    return tuple(
        Edited(message=event, edited_at=edited_at) if isinstance(event, Received) else event
        for event in received(reading, raw)
    )


def pressed(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    press = decoded(raw, Press)
    if press is None:
        return reading.unreadable("a button press without its ids")
    message = press.message
    if message and message.chat.type != "private":
        return ()
    connection = (message.business_connection_id if message else None) or ""
    rows = message.reply_markup.inline_keyboard if message and message.reply_markup else []
    buttons = (button for row in rows for button in row if button.callback_data)
    label = next((button.text for button in buttons if button.callback_data == press.data), "")
    return (
        Received(
            channel=reading.channel,
            external_id=f"callback:{press.id}",
            sender=Address(kind="telegram", value=str(press.sender.id)),
            sender_name=person(press.sender),
            sent_at=reading.at,
            text=label or press.data or "",
            payload=press.data or "",
            stub="" if press.data else "callback_query",
            reply_to=external_id(connection, message.chat.id, message.message_id) if message else "",
            quoted=(message.text or message.caption or "") if message else "",
            language=language(press.sender),
            proof=Proof.PLATFORM,
            automatic=press.sender.is_bot,
            context=context(message) if message else {},
            raw=reading.body,
        ),
    )


def came_or_went(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    membership = decoded(raw, Membership)
    if membership is None:
        return reading.unreadable("a change of membership without its ids")
    if membership.chat.type != "private":
        return ()
    sender = Address(kind="telegram", value=str(membership.sender.id))
    at = moment(membership.date, reading.at)
    match membership.new_chat_member.status:
        case "kicked":
            return (OptedOut(channel=reading.channel, sender=sender, at=at, why="blocked the bot"),)
        case "member":
            return (OptedIn(channel=reading.channel, sender=sender, at=at),)
        case _:
            return ()


def reacted(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    """Several reactions of one person are one text; a sticker-like one, whose picture is not told, is "❔"."""
    reactions = decoded(raw, Reactions)
    if reactions is None:
        return reading.unreadable("a reaction without its ids")
    if reactions.user is None or reactions.chat.type != "private":
        return ()
    return (
        Reacted(
            channel=reading.channel,
            external_id=external_id("", reactions.chat.id, reactions.message_id),
            sender=Address(kind="telegram", value=str(reactions.user.id)),
            emoji="".join(it.emoji or ("⭐" if it.type == "paid" else "❔") for it in reactions.new_reaction),
            at=moment(reactions.date, reading.at),
        ),
    )


def deleted(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    deletion = decoded(raw, Deletion)
    if deletion is None:
        return reading.unreadable("a deletion without its ids")
    if deletion.chat.type != "private":
        return ()
    return tuple(
        Withdrawn(
            channel=reading.channel,
            external_id=external_id(deletion.business_connection_id, deletion.chat.id, message_id),
            sender=Address(kind="telegram", value=str(deletion.chat.id)),
            at=reading.at,
        )
        for message_id in deletion.message_ids
    )


def unknown(reading: Reading, kind: str, raw: msgspec.Raw) -> tuple[Event, ...]:
    """A kind of update newer than this file: kept as a stub when it reads like a customer's message."""
    message = decoded(raw, Message)
    if message is None or message.sender is None:
        return reading.unreadable(f"an update of the unknown kind {name(kind)!r}")
    if message.chat.type != "private":
        return ()
    stub = framed(reading, message, message.sender, {**content(message), "stub": name(kind)})
    return (replace(stub, external_id=f"{name(kind)}:{reading.update_id}"),)


READERS: Mapping[str, Callable[[Reading, msgspec.Raw], tuple[Event, ...]]] = {
    "message": received,
    "edited_message": edited,
    "business_message": received,
    "edited_business_message": edited,
    "deleted_business_messages": deleted,
    "callback_query": pressed,
    "my_chat_member": came_or_went,
    "message_reaction": reacted,
}

# --- parts of a message


def content(message: Message) -> dict[str, Any]:
    """Everything of `Received` that tells what was said."""
    if message.text is not None:
        text, entities = message.text, message.entities
    else:
        text, entities = message.caption or "", message.caption_entities
    start = START.fullmatch(text)
    said: dict[str, Any] = {
        "text": text,
        "spans": spans(text, entities or ()),
        "attachments": tuple(attachments(message)),
        "payload": start[1] if start else "",
    }
    if sticker := message.sticker:
        if sticker.is_animated or sticker.is_video:
            said |= {"text": text or sticker.emoji or "", "stub": "sticker"}
    elif message.venue:
        told = (
            name(message.venue.title),
            name(message.venue.address),
            on_map(message.venue.location.latitude, message.venue.location.longitude),
        )
        said["text"] = "\n".join(filter(None, told))
    elif message.location:
        said["text"] = on_map(message.location.latitude, message.location.longitude)
    elif contact := message.contact:
        full_name = name(f"{contact.first_name} {contact.last_name or ''}")
        said["text"] = "\n".join(filter(None, (full_name, name(contact.phone_number))))
        said["proofs"] = own_phone(message, contact)
    elif message.paid_media is not None:
        said["stub"] = "paid_media"
    return said


def attachments(message: Message) -> Iterator[Attachment]:
    if message.photo:
        largest = max(message.photo, key=lambda size: (size.width * size.height, size.file_size or 0))
        yield attachment(largest, "image/jpeg", "photo.jpg")
    for field, media_type, filename in FILES:
        file: File | None = getattr(message, field)
        if file:
            yield attachment(file, media_type, filename)
            break
    if sticker := message.sticker:
        if not (sticker.is_animated or sticker.is_video):
            shown = File(sticker.file_id, sticker.file_unique_id, sticker.file_size)
            yield attachment(shown, "image/webp", "sticker.webp")
        elif sticker.thumbnail:
            yield attachment(sticker.thumbnail, "image/webp", "sticker.webp")


def attachment(file: File, media_type: str, filename: str) -> Attachment:
    told = (file.mime_type or "").strip().lower()
    return Attachment(
        media_type=told if MEDIA_TYPE.fullmatch(told) else media_type,
        filename=shown_filename(file.file_name or "") or filename,
        size=file.file_size if file.file_size is not None and file.file_size >= 0 else None,
        ref=file.file_id,
        unique_ref=file.file_unique_id,
    )


def own_phone(message: Message, contact: Contact) -> tuple[tuple[Address, Proof], ...]:
    """The sender's own number, which Telegram checked; somebody else's card or a passed-on one proves nothing."""
    digits = re.sub(r"[\s()+.-]", "", contact.phone_number)
    own = message.sender is not None and contact.user_id == message.sender.id
    passed_on = message.forward_origin or message.via_bot
    if not own or passed_on or not E164.fullmatch(digits):
        return ()
    return ((Address(kind="phone", value=f"+{digits}"), Proof.PLATFORM),)


def spans(text: str, entities: Sequence[Entity]) -> tuple[Span, ...]:
    if not entities:
        return ()
    starts = offsets(text)
    found = []
    for entity in entities:
        kind = SPANS.get(entity.type)
        # An offset inside a surrogate pair takes the whole character in.
        start = max(bisect_right(starts, max(entity.offset, 0)) - 1, 0)
        end = min(bisect_left(starts, entity.offset + entity.length), len(text))
        url = name(entity.url or "", 2048) if kind is SpanKind.LINK else ""
        if kind and start < end and (url or kind is not SpanKind.LINK):
            found.append(Span(kind=kind, start=start, end=end, url=url))
    return tuple(found)


def offsets(text: str) -> Sequence[int]:
    """Where each code point begins in the UTF-16 units Telegram counts, and where the text ends."""
    if text.isascii():
        return range(len(text) + 1)
    return tuple(accumulate((2 if char > "\uffff" else 1 for char in text), initial=0))


def units(text: str) -> int:
    """Measure in UTF-16 units, as Telegram does: 😀 is two."""
    return len(text) if text.isascii() else offsets(text)[-1]


def context(message: Message | Quoted) -> dict[str, Any]:
    """What an answer must carry to arrive where the customer wrote: topic and business account."""
    told = {
        "business_connection_id": message.business_connection_id,
        "message_thread_id": message.message_thread_id,
    }
    return {key: value for key, value in told.items() if value}


def quoted(message: Message) -> str:
    replied, external = message.reply_to_message, message.external_reply
    words = message.quote.text if message.quote else (replied.text or replied.caption or "") if replied else ""
    if external and external.origin:  # said in another chat, by somebody we may not know
        return f"{told_by(external.origin)}: {words}" if words else told_by(external.origin)
    return words


def told_by(origin: Origin) -> str:
    if origin.sender_user:
        return person(origin.sender_user) or "?"
    chat = origin.sender_chat or origin.chat
    return name(origin.sender_user_name or (chat.title if chat else None) or "") or "?"


def person(user: User) -> str:
    return name(f"{user.first_name or ''} {user.last_name or ''}") or name(user.username or "")


def language(user: User) -> str:
    told = user.language_code or ""
    return told if LANGUAGE.fullmatch(told) else ""


def external_id(connection: str, chat_id: int, message_id: int) -> str:
    """Message ids count per chat, and a business chat may have the id of an ordinary one."""
    return f"{connection}:{chat_id}:{message_id}" if connection else f"{chat_id}:{message_id}"
