"""What WhatsApp's webhooks tell, read as what a customer did. Pure: the same bytes give the same events.

Rule: one odd field never costs a message, and one odd message never its neighbours. What another number was told is
that number's channel's, and skipped where there is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

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
    Receipt,
    Received,
    SentElsewhere,
    Status,
    Unreadable,
    Withdrawn,
)
from channels.meta.graph import Change, Envelope, Fault, alone, apart, broken, nobodys, settled, those, told_at, walked
from channels.opting import Wish, wish
from channels.phones import dialled
from channels.values import E164, media_type, name, on_map, shown_filename
from channels.whatsapp.wire import (
    Card,
    Contact,
    Content,
    Context,
    Email,
    Form,
    Interactive,
    Item,
    Media,
    Message,
    Order,
    Phone,
    Referral,
    Value,
)
from channels.whatsapp.wire import Status as StatusWire
from channels.wire import clean, decoded

# --- facts

OBJECT = "whatsapp_business_account"
SCOPED = "whatsapp"  # kind of an address that is an id of this kind:
BSUID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9._-]{1,160}", re.ASCII)  # "CC." and up to 128, or "CC.ENT."

# Kind of message, media type and file name for what the sender's app does not name itself.
FILES = (
    ("image", "image/jpeg", "image"),
    ("video", "video/mp4", "video"),
    ("audio", "audio/ogg", "audio"),
    ("voice", "audio/ogg", "voice"),
    ("document", "application/octet-stream", "document"),
    ("sticker", "image/webp", "sticker"),
)
ENDINGS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/3gpp": ".3gp",
    "audio/ogg": ".ogg",
    "audio/aac": ".aac",
    "audio/amr": ".amr",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "application/pdf": ".pdf",
}

RUNGS: Mapping[str, Status] = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "played": Status.READ,
    "failed": Status.FAILED,
}
NOBODY_SAID = frozenset({"request_welcome"})  # the chat was opened, and nothing written yet

# --- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What every part of one value is read with."""

    channel: str
    at: datetime
    body: bytes
    own: str = ""  # the shop's number, digits
    contacts: Sequence[Contact] = ()
    app: str = ""  # what echoes were written in

    def unreadable(self, reason: str) -> tuple[Event, ...]:
        return (Unreadable(channel=self.channel, reason=reason, raw=self.body),)


def read(
    channel: str, phone_number_id: str, body: bytes, at: datetime, siblings: Iterable[tuple[str, str]] = ()
) -> tuple[Event, ...]:
    """Read every change of every entry. Raises `Malformed` when the body is none of Meta's.

    `siblings` are the numbers of the same app that are channels too, with their names: Meta may tell all of them at one
    address. Empty for what no customer said: groups, other numbers, news about the account.
    """
    names = {**dict(siblings), phone_number_id: channel}
    return walked(body, lambda envelope: changes(Reading(channel=channel, at=at, body=body), names, envelope))


def changes(reading: Reading, names: Mapping[str, str], envelope: Envelope) -> Iterator[Event]:
    if envelope.object != OBJECT:
        return
    for whole, entry in envelope.entries():
        if entry is None:
            yield from reading.unreadable("an entry that is none")
            continue
        if broken(whole, "changes"):
            odd = replace(reading, body=apart(envelope, whole) or reading.body)
            yield from odd.unreadable("an entry whose changes is no list")
        for raw in entry.changes:
            mine = replace(reading, body=alone(envelope, entry, "changes", raw) or reading.body)
            change = decoded(raw, Change)
            if change is None:
                yield from mine.unreadable("a change that is none")
            elif change.field in READERS:
                yield from of_number(mine, names, change)


def of_number(reading: Reading, names: Mapping[str, str], change: Change) -> Iterator[Event]:
    """`names` are the channels by the numbers they have."""
    value = decoded(change.value, Value)
    if value is None:
        yield from reading.unreadable("a change that does not say which number it is about")
        return
    channel = names.get(str(value.metadata.phone_number_id))
    if channel is None:
        nobodys(reading.channel, str(value.metadata.phone_number_id))
        return
    own = re.sub(r"\D", "", value.metadata.display_phone_number, flags=re.ASCII)
    here = Reading(
        channel=channel,
        at=reading.at,
        body=reading.body,
        own=own,
        contacts=those(value.contacts, Contact),
        app=READERS[change.field],
    )
    for slot in broken(change.value, "messages", "message_echoes", "statuses"):
        yield from here.unreadable(f"a change whose {slot} is no list")
    for raw in value.messages:
        yield from each(here, raw, Message, received, "a message without an id")
    for raw in value.message_echoes:
        yield from each(here, raw, Message, echoed, "an echo without an id")
    for raw in value.statuses:
        yield from each(here, raw, StatusWire, receipt, "a status without an id")
    for fault in those(value.errors, Fault):
        yield from here.unreadable(f"WhatsApp reports an error: {fault.numbers} {fault.words()}")


READERS: Mapping[str, str] = {  # fields read, and what their echoes were written in
    "messages": "",
    "smb_message_echoes": "WhatsApp Business app",
    "message_echoes": "",
}


def each(
    reading: Reading, raw: msgspec.Raw, shape: type[Any], reader: Callable[[Reading, Any], Iterator[Event]], odd: str
) -> Iterator[Event]:
    item = decoded(raw, shape)
    if item is None or not item.id:
        yield from reading.unreadable(odd)
    else:
        yield from reader(reading, item)


def received(reading: Reading, message: Message) -> Iterator[Event]:
    """What a customer's message, edit, withdrawal, reaction or change of number is."""
    if message.group_id or message.type in NOBODY_SAID:
        return
    at = told_at(message.timestamp, reading.at)
    if message.type == "system":
        yield from moved(reading, message, at)
        return
    who = people(message.sender, message.from_user_id)
    if not who:
        yield from reading.unreadable("a message without a sender")
        return
    sender = who[0][0]
    if reading.own and message.sender == reading.own:
        return  # our own number's words, come back
    match message.type:
        case "reaction" if message.reaction:
            emoji = name(message.reaction.emoji, 32)
            yield Reacted(
                channel=reading.channel, external_id=message.reaction.message_id, sender=sender, emoji=emoji, at=at
            )
        case "revoke" if message.revoke:
            yield Withdrawn(
                channel=reading.channel, external_id=message.revoke.original_message_id, sender=sender, at=at
            )
        case "edit" if message.edit:
            whole = framed(reading, message, who, at, message.edit.message, message.edit.original_message_id)
            yield Edited(message=whole, edited_at=at)
        case _:
            said = framed(reading, message, who, at, message, message.id)
            yield said
            match wish(said.text, carrier=False):
                case Wish.OUT:
                    yield OptedOut(channel=reading.channel, sender=sender, at=at, why=name(said.text))
                case Wish.IN:
                    yield OptedIn(channel=reading.channel, sender=sender, at=at)


def framed(
    reading: Reading,
    message: Message,
    who: Sequence[tuple[Address, Proof]],
    at: datetime,
    content: Content,
    external_id: str,
) -> Received:
    """`who` are the sender's addresses, the one that answers go to first."""
    (sender, proof), *others = who
    asked = message.context or content.context or Context()
    context = {"wa_id": phone_digits(message.sender), "user_id": message.from_user_id, "message_id": external_id}
    return Received(
        channel=reading.channel,
        external_id=external_id,
        sender=sender,
        sender_name=person(reading.contacts, message),
        sent_at=at,
        reply_to=asked.id if asked.id != external_id else "",
        quoted=referred(message.referral) or (f"🛒 {product}" if (product := of_catalogue(asked)) else ""),
        forwarded_from="?" if asked.forwarded or asked.frequently_forwarded else "",
        proof=proof,
        proofs=tuple(others),
        retractable=True,
        context={key: value for key, value in context.items() if value},
        raw=reading.body,
        **said(content),
    )


def moved(reading: Reading, message: Message, at: datetime) -> Iterator[Event]:
    """A new number comes with a new id, but the id may change with no number told. Other news nobody said."""
    system = message.system
    if system is None or system.type not in ("user_changed_number", "user_changed_user_id"):
        return
    new_number = system.wa_id or system.new_wa_id
    pairs = (
        (phone(message.sender), phone(new_number) if system.type == "user_changed_number" else None),
        (scoped(system.previous_user_id or message.from_user_id), scoped(system.user_id)),
    )
    for old, new in pairs:
        if old and new and old != new:
            keeps = old.kind == SCOPED  # carriers give old numbers to strangers; an old id is nobody's ever again
            yield AddressChanged(channel=reading.channel, old=old, new=new, at=at, keeps=keeps)


def echoed(reading: Reading, message: Message) -> Iterator[Event]:
    """What the shop wrote past us, in its phone's app. An edit or a withdrawal there is named, and not followed."""
    if message.group_id:
        return
    who = people(message.to, message.to_user_id)
    if not who:
        yield from reading.unreadable("an echo without a receiver")
        return
    content, reply_to, stub = message, (message.context or Context()).id, ""
    parts = said(message.edit.message if message.edit else content)
    if message.edit:
        reply_to, stub = message.edit.original_message_id, "edit"
    elif message.revoke:
        reply_to, stub = message.revoke.original_message_id, "revoke"
    elif message.type == "reaction":
        if message.reaction is None or not message.reaction.emoji:
            return
        reply_to, parts = message.reaction.message_id, {"text": name(message.reaction.emoji, 32)}
    yield SentElsewhere(
        channel=reading.channel,
        external_id=message.id,
        to=who[0][0],
        at=told_at(message.timestamp, reading.at),
        text=parts.get("text", ""),
        attachments=parts.get("attachments", ()),
        reply_to=reply_to,
        app=reading.app,
        stub=stub or parts.get("stub", ""),
        raw=reading.body,
    )


def receipt(reading: Reading, told: StatusWire) -> Iterator[Event]:
    status = RUNGS.get(told.status)
    if status is None:
        return
    code, detail, unreachable = "", "", False
    if status is Status.FAILED:
        code, detail, unreachable = settled(next(iter(those(told.errors, Fault)), Fault()))
    yield Receipt(
        channel=reading.channel,
        status=status,
        at=told_at(told.timestamp, reading.at),
        external_id=told.id,
        delivery=ours(told.biz_opaque_callback_data),
        code=code,
        detail=detail,
        unreachable=unreachable,
    )


# --- people


def people(wa_id: str, user_id: str) -> tuple[tuple[Address, Proof], ...]:
    """Every address of one person, the phone first; a scoped id may also stand where the phone is expected."""
    found = ((phone(wa_id), Proof.CARRIER), (scoped(user_id) or scoped(wa_id), Proof.PLATFORM))
    return tuple((address, proof) for address, proof in found if address is not None)


def phone_digits(told: str) -> str:
    digits = told.removeprefix("+")
    return digits if E164.fullmatch(digits) else ""


def phone(told: str) -> Address | None:
    """The number by which SMS knows the same person, too."""
    digits = phone_digits(told)
    return Address(kind="phone", value=f"+{dialled(digits)}") if digits else None


def scoped(told: str) -> Address | None:
    """An id that is good for this business only, of people who show a username instead of their number."""
    return Address(kind=SCOPED, value=told) if BSUID.fullmatch(told) else None


def person(contacts: Sequence[Contact], message: Message) -> str:
    mine = [it for it in contacts if it.wa_id and it.wa_id == message.sender]
    mine += [it for it in contacts if it.user_id and it.user_id in (message.from_user_id, message.sender)]
    mine += contacts if len(contacts) == 1 else ()
    profiles = [it.profile for it in mine if it.profile]
    names = (name(it.name) or (f"@{name(it.username).lstrip('@')}" if it.username else "") for it in profiles)
    return next(filter(None, names), "")


def ours(tracker: str) -> UUID | None:
    try:
        return UUID(tracker)
    except ValueError:
        return None


# --- what was said


def said(content: Content) -> dict[str, Any]:
    """Text, attachments, payload and stub of `Received`; the stub where nothing of it can be shown."""
    parts: dict[str, Any] = {"text": "", "payload": "", "attachments": tuple(attachments(content))}
    if content.text:
        parts["text"] = content.text.body
    elif media := next(filter(None, (getattr(content, field) for field, _, _ in FILES)), None):
        parts["text"] = media.caption
    elif place := content.location:
        where = (name(place.name), name(place.address, 300), on_map(place.latitude, place.longitude))
        parts["text"] = "\n".join(filter(None, where))
    elif content.contacts:
        parts["text"] = "\n\n".join(filter(None, map(card, those(content.contacts, Card))))
    elif content.button:
        parts |= {"text": content.button.text or content.button.payload, "payload": content.button.payload}
    elif content.interactive:
        parts |= picked(content.interactive)
    elif content.order:
        parts["text"] = ordered(content.order)
    if not (parts["text"] or parts["attachments"]):
        kind = content.unsupported.type if content.unsupported else ""
        parts["stub"] = parts.get("stub") or name(kind or content.type) or "empty"
    return parts


def attachments(content: Content) -> Iterator[Attachment]:
    for field, kind, called in FILES:
        media: Media | None = getattr(content, field)
        if media:
            known = media_type(media.mime_type, kind)
            called = "voice" if media.voice else called
            yield Attachment(
                media_type=known,
                filename=shown_filename(media.filename) or called + ENDINGS.get(known, ""),
                ref=media.id,
                unique_ref=media.sha256,
            )
            return


def card(card: Card) -> str:
    called = card.name
    full = called.formatted_name or f"{called.first_name} {called.last_name}" if called else ""
    numbers = (it.phone or (f"+{it.wa_id}" if it.wa_id else "") for it in those(card.phones, Phone))
    return "\n".join(
        filter(None, (name(full), *map(name, numbers), *(name(it.email) for it in those(card.emails, Email))))
    )


def picked(interactive: Interactive) -> dict[str, Any]:
    reply = interactive.button_reply or interactive.list_reply
    if reply:
        return {"text": reply.title or reply.id, "payload": reply.id}
    if interactive.nfm_reply:
        return {"text": filled_in(interactive.nfm_reply)}
    return {"stub": name(interactive.type)}


def filled_in(form: Form) -> str:
    """A form's answers line by line, its own words where they are none. JSON inside JSON is cleaned once more."""
    try:
        answers = clean(json.loads(form.response_json))
    except (ValueError, RecursionError):
        answers = None
    plain = (str, int, float)
    rows = answers.items() if isinstance(answers, dict) else ()
    lines = [
        f"{name(key)}: {name(str(value), 1000)}"
        for key, value in rows
        if isinstance(value, plain) and key != "flow_token" and value != ""
    ]
    return "\n".join(lines) or form.body or form.name


def ordered(order: Order) -> str:
    """An order from the catalogue: two of this, one of that, at which price."""
    lines = []
    for item in those(order.product_items, Item):
        price = f"({item.item_price} {item.currency})" if item.item_price != "" else ""
        lines.append(name(f"{item.quantity} × {item.product_retailer_id or '?'} {price}"))
    return "\n".join(filter(None, (order.text, *lines)))


def referred(referral: Referral | None) -> str:
    """The advertisement a chat began with, in words."""
    if referral is None:
        return ""
    return " · ".join(filter(None, (name(referral.headline), name(referral.body, 500), name(referral.source_url, 500))))


def of_catalogue(context: Context) -> str:
    return name(context.referred_product.product_retailer_id) if context.referred_product else ""
