"""What WhatsApp's webhooks tell, read as what a customer did. Pure: the same bytes give the same events.

Rule: one odd field never costs a message, and one odd message never its neighbours. What another number was told is
that number's channel's, and skipped where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from channels.message import (
    Address,
    AddressChanged,
    Edited,
    Event,
    Proof,
    Reacted,
    Receipt,
    Received,
    SentElsewhere,
    Status,
    Unreadable,
    Withdrawn,
)
from channels.meta.graph import (
    Change,
    Envelope,
    Fault,
    alone,
    apart,
    broken,
    foreign,
    nobodys,
    settled,
    those,
    told_at,
    walked,
)
from channels.opting import asking
from channels.phones import dialled
from channels.values import E164, name
from channels.whatsapp.content import of_catalogue, referred, said
from channels.whatsapp.wire import Contact, Content, Context, Message, Metadata, System, Value
from channels.whatsapp.wire import Status as StatusWire
from channels.wire import decoded

# --- facts

OBJECT = "whatsapp_business_account"
SCOPED = "whatsapp"  # kind of an address that is an id of this kind:
BSUID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9._-]{1,160}", re.ASCII)  # "CC." and up to 128, or "CC.ENT."

RUNGS: Mapping[str, Status] = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "played": Status.READ,
    "failed": Status.FAILED,
}
NO_NEWS = frozenset({"customer_identity_changed"})  # somebody's app has a new key: who they are has not changed
NOBODY_SAID = frozenset({"request_welcome"})  # the chat was opened, and nothing written yet

# --- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Somebody whom a value names beside what was said, by the addresses that this tells of them."""

    contact: Contact
    addresses: frozenset[Address]
    raw: msgspec.Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What every part of one value is read with."""

    channel: str
    at: datetime
    body: bytes
    account: str | int = ""  # the business account the entry is about
    own: str = ""  # the shop's number, digits
    contacts: Sequence[Named] = ()
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
        foreign(reading.channel, envelope.object)
        return
    for whole, entry in envelope.entries():
        if entry is None:
            yield from reading.unreadable("an entry that is none")
            continue
        if broken(whole, "changes"):
            odd = replace(reading, body=apart(envelope, whole) or reading.body)
            yield from odd.unreadable("an entry whose changes is no list")
        for raw in entry.changes:
            kept = alone(envelope, entry, "changes", raw) or reading.body
            mine = replace(reading, body=kept, account=entry.id)
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
    named = tuple(it for raw in value.contacts if (it := known(raw)) is not None)
    here = replace(reading, channel=channel, own=own, contacts=named, app=READERS[change.field])
    for slot in broken(change.value, "messages", "message_echoes", "statuses"):
        yield from here.unreadable(f"a change whose {slot} is no list")
    if not SLOTS & msgspec.json.decode(change.value, type=dict[str, msgspec.Raw]).keys():
        yield from here.unreadable("a change that holds nothing known")
    yield from items(here, change.field, value)


def items(here: Reading, field: str, value: Value) -> Iterator[Event]:
    """Each thing said or told. What is kept of one that came in company is kept without the others."""
    count = len(value.messages) + len(value.message_echoes) + len(value.statuses)
    for slot, raws, shape, reader, odd in (
        ("messages", value.messages, Message, received, "a message without an id"),
        ("message_echoes", value.message_echoes, Message, echoed, "an echo without an id"),
        ("statuses", value.statuses, StatusWire, receipt, "a status without an id"),
    ):
        for raw in raws:
            item: Any = decoded(raw, shape)
            mine = replace(here, contacts=beside(here.contacts, item, only=count == 1))
            if count > 1:
                mine = replace(mine, body=by_itself(mine, field, value.metadata, slot, raw))
            if item is None or not item.id:
                yield from mine.unreadable(odd)
            else:
                yield from reader(mine, item)
    bare = replace(here, contacts=())
    for raw in value.errors:
        mine = replace(bare, body=by_itself(bare, field, value.metadata, "errors", raw)) if count else bare
        if (fault := decoded(raw, Fault)) is not None:
            yield from mine.unreadable(f"WhatsApp reports an error: {fault.numbers} {fault.words()}")


def by_itself(reading: Reading, field: str, metadata: Metadata, slot: str, item: msgspec.Raw) -> bytes:
    """One item of a change as the webhook it would have been by itself, with nobody's name but its sender's."""
    held = {"metadata": metadata, "contacts": [it.raw for it in reading.contacts], slot: [item]}
    entry = {"id": reading.account, "changes": [{"field": field, "value": held}]}
    return msgspec.json.encode({"object": OBJECT, "entry": [entry]})


SLOTS = frozenset({"messages", "message_echoes", "statuses", "errors"})
READERS: Mapping[str, str] = {  # fields read, and what their echoes were written in
    "messages": "",
    "smb_message_echoes": "WhatsApp Business app",
    "message_echoes": "",
}


def received(reading: Reading, message: Message) -> Iterator[Event]:
    """What a customer's message, edit, withdrawal, reaction or change of number is."""
    if message.group_id or message.type in NOBODY_SAID:
        return
    at = told_at(message.timestamp, reading.at)
    if message.type == "system":
        yield from moved(reading, message, at)
        return
    wa_id, user_id = ids(reading, message)
    who = people(wa_id, user_id)
    if not who:
        yield from reading.unreadable("a message without a sender")
        return
    sender = who[0][0]
    if reading.own and wa_id == reading.own:
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
            yield from asking(framed(reading, message, who, at, message, message.id))


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
    wa_id, user_id = ids(reading, message)
    context = {"wa_id": phone_digits(wa_id), "user_id": user_id, "message_id": external_id}
    return Received(
        channel=reading.channel,
        external_id=external_id,
        sender=sender,
        sender_name=person(reading),
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
    """A new number comes with a new id, but the id may change with no number told. What is newer than this is kept."""
    system = message.system or System()
    if system.type in NO_NEWS:
        return
    if system.type not in ("user_changed_number", "user_changed_user_id"):
        yield from reading.unreadable(f"a notice of an unknown kind: {name(system.type, 40) or '?'}")
        return
    new_number = system.wa_id or system.new_wa_id
    pairs = (
        (phone(message.sender), phone(new_number) if system.type == "user_changed_number" else None),
        (scoped(system.previous_user_id or message.from_user_id), scoped(system.user_id)),
    )
    if not any(old and new for old, new in pairs):
        yield from reading.unreadable("a change of number that does not say from which to which")
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


def known(raw: msgspec.Raw) -> Named | None:
    contact = decoded(raw, Contact)
    if contact is None:
        return None
    addresses = frozenset(address for address, _ in people(contact.wa_id, contact.user_id))
    return Named(contact=contact, addresses=addresses, raw=raw)


def beside(contacts: Sequence[Named], item: object, *, only: bool) -> tuple[Named, ...]:
    """Of those named beside a message who wrote it.

    Beside the `only` message it is the only one named, where one of the two tells of no address.
    """
    if not isinstance(item, Message):
        return ()
    addresses = {address for address, _ in people(item.sender, item.from_user_id)}
    if only and len(contacts) == 1 and not (addresses and contacts[0].addresses):
        return tuple(contacts)
    return tuple(it for it in contacts if addresses & it.addresses)


def ids(reading: Reading, message: Message) -> tuple[str, str]:
    """Number and scoped id of who wrote, which the contact may tell where the message does not."""
    told = [it.contact for it in reading.contacts]
    wa_id = message.sender or ("" if message.from_user_id else next((it.wa_id for it in told if it.wa_id), ""))
    return wa_id, message.from_user_id or next((it.user_id for it in told if it.user_id), "")


def person(reading: Reading) -> str:
    profiles = [it.contact.profile for it in reading.contacts if it.contact.profile]
    names = (name(it.name) or (f"@{name(it.username).lstrip('@')}" if it.username else "") for it in profiles)
    return next(filter(None, names), "")


def ours(tracker: str) -> UUID | None:
    try:
        return UUID(tracker)
    except ValueError:
        return None
