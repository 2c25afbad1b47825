"""What Messenger and Instagram tell, read as what a customer did. Pure: the same bytes give the same events.

Rule: one odd field never costs a message, and one odd event never its neighbours.
Pages are below https://developers.facebook.com/documentation/business-messaging.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from channels.message import (
    Address,
    Edited,
    Event,
    Proof,
    Reacted,
    ReadUpTo,
    Receipt,
    Received,
    SentElsewhere,
    Status,
    Unreadable,
    Withdrawn,
)
from channels.meta.content import about, content
from channels.meta.graph import Envelope, alone, apart, broken, foreign, nobodys, told_at, walked, word
from channels.meta.wire import Delivery, Edit, Item, Message, OptIn, Postback, Reaction, Read, Referral
from channels.opting import asking
from channels.values import name
from channels.wire import decoded

# --- facts


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What surrounds an event, and events nobody said: which of several programs may answer, payments, games.
FRAME = words("sender recipient timestamp hop_context prior_message")
NOT_SAID = words(
    "pass_thread_control take_thread_control request_thread_control app_roles account_linking account_update "
    "policy_enforcement payment pre_checkout checkout_update game_play"
)
APPS: Mapping[str, str] = {"263902037430900": "Page inbox"}  # /messenger-platform/conversation-routing
MOODS: Mapping[str, str] = {
    "smile": "😆",
    "angry": "😠",
    "sad": "😢",
    "wow": "😮",
    "love": "❤️",
    "like": "👍",
    "dislike": "👎",
}
MARK = "santral:"  # before our own id in `metadata`, where every program writes what it likes
MOST_EDITS = 999  # people get five; what is told beyond is not believed

# --- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose events are read: a channel of ours, and the page or Instagram account that it answers for."""

    channel: str
    kind: str  # of its customers' addresses
    object: str  # of the envelopes: "page", "instagram"
    id: str

    def address(self, id: str) -> Address:
        """Ids of people count for one page or account only, so theirs is part of the address."""
        return Address(kind=self.kind, value=f"{self.id}:{id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What every part of one event is read with."""

    account: Account
    at: datetime
    body: bytes
    customer: str = ""
    when: datetime
    stamp: str = ""
    ours: bool = False  # said by the shop, not to it
    quiet: bool = False

    @property
    def sender(self) -> Address:
        return self.account.address(self.customer)

    def unreadable(self, reason: str) -> tuple[Event, ...]:
        return (Unreadable(channel=self.account.channel, reason=reason, raw=self.body),)

    def received(self, external_id: str, *, quiet: bool = False, **said: Any) -> Received:
        return Received(
            channel=self.account.channel,
            external_id=external_id,
            sender=self.sender,
            sent_at=self.when,
            proof=Proof.PLATFORM,
            retractable=True,
            quiet=self.quiet or quiet,
            raw=self.body,
            **said,
        )


def read(account: Account, body: bytes, at: datetime, siblings: Iterable[tuple[str, str]] = ()) -> tuple[Event, ...]:
    """Read a webhook. Raises `Malformed`.

    `siblings` are the accounts of the same app that are channels too, with their names: Meta tells all of them at one
    address, so what they are told is theirs. Entries of others are nobody's, and only logged. What comes as `standby`,
    while another program has the talk, is shown and answered by people only.
    """
    reading = Reading(account=account, at=at, body=body, when=at)
    known = {id: replace(reading, account=replace(account, channel=name, id=id)) for id, name in siblings}
    known[account.id] = reading

    def told(envelope: Envelope) -> Iterator[Event]:
        if envelope.object != account.object:
            foreign(account.channel, envelope.object)
            return
        for whole, entry in envelope.entries():
            if entry is None:
                yield from reading.unreadable("an entry that is none")
            elif not entry.account:
                yield from reading.unreadable("an entry that does not say whose it is")
            elif (here := known.get(entry.account)) is None:
                nobodys(account.channel, entry.account)
            else:
                for slot in broken(whole, "messaging", "standby"):
                    odd = replace(here, body=apart(envelope, whole) or body)
                    yield from odd.unreadable(f"an entry whose {slot} is no list")
                for slot, raws in (("messaging", entry.messaging), ("standby", entry.standby)):
                    for raw in raws:
                        mine = replace(here, body=alone(envelope, entry, slot, raw) or body)
                        yield from events(mine, raw, quiet=slot == "standby")

    return walked(body, told)


def events(told: Reading, raw: msgspec.Raw, *, quiet: bool) -> Iterator[Event]:
    item = decoded(raw, Item)
    if item is None:
        yield from told.unreadable("an event that is none")
        return
    parts = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    sender, recipient = str(item.sender.id)[:128], str(item.recipient.id)[:128]
    ours = item.message.is_echo or sender == told.account.id
    reading = Reading(
        account=told.account,
        at=told.at,
        body=told.body,
        customer=recipient if ours else sender,
        when=told_at(item.timestamp, told.at),
        stamp=name(str(item.timestamp), 32),
        ours=ours,
        quiet=quiet,
    )
    if sender and sender == recipient:
        return  # to oneself, as one tries things out
    known = READERS.keys() | NOT_SAID
    for kind, part in parts.items():
        if kind in FRAME or kind in NOT_SAID or (ours and kind != "message"):
            continue
        if kind not in READERS and known & parts.keys():
            continue  # what stands beside an event is no second one
        if reading.customer:
            yield from READERS.get(kind, unknown(kind))(reading, part)
        elif kind != "optin":  # a box ticked on a page names nobody who could be written to
            yield from reading.unreadable("an event of nobody")


def said(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    message = decoded(raw, Message)
    if message is None:
        return reading.unreadable("a message without its id")
    if reading.ours:
        return echoed(reading, message)
    if message.is_deleted:
        channel, mid = reading.account.channel, message.mid
        return (Withdrawn(channel=channel, external_id=mid, sender=reading.sender, at=reading.when, erase=True),)
    return asking(reading.received(message.mid, **content(message)))


def echoed(reading: Reading, message: Message) -> tuple[Event, ...]:
    """What was sent in the shop's name; our own when it carries our id. What was taken back there is told nobody."""
    if message.is_deleted:
        return ()
    channel = reading.account.channel
    if delivery := own_id(message.metadata):
        receipt = Receipt(
            channel=channel, status=Status.SENT, at=reading.when, external_id=message.mid, delivery=delivery
        )
        return (receipt,)
    told = content(message)
    return (
        SentElsewhere(
            channel=channel,
            external_id=message.mid,
            to=reading.sender,
            at=reading.when,
            app=APPS.get(str(message.app_id), ""),
            raw=reading.body,
            **{key: told[key] for key in ("text", "attachments", "stub", "reply_to")},
        ),
    )


def edited(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    """Edits may overtake each other within one moment, so their number is added to it."""
    edit = decoded(raw, Edit)
    if edit is None:
        return reading.unreadable("an edit without its id")
    count = str(edit.num_edit)
    number = min(int(count[:4]), MOST_EDITS) if count.isascii() and count.isdigit() else 0
    if not edit.text:
        return reading.unreadable("an edit without its words") if number else ()
    edited_at = reading.when + timedelta(microseconds=number)
    return (Edited(message=reading.received(edit.mid, text=edit.text), edited_at=edited_at),)


def pressed(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    press = decoded(raw, Postback)
    if press is None:
        return reading.unreadable("a button press that is none")
    text = press.title or press.payload
    external_id, stub = press.mid or unnamed(reading, "postback"), "" if text else "postback"
    quoted = about(press.referral)
    return (reading.received(external_id, text=text, payload=press.payload, quoted=quoted, stub=stub),)


def referred(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    """They followed a link or an ad into a talk that is there already, and have said nothing yet."""
    referral = decoded(raw, Referral) or Referral()
    external_id, quoted = unnamed(reading, "referral"), about(referral)
    return (reading.received(external_id, quiet=True, payload=referral.ref, quoted=quoted, stub="referral"),)


def opted(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    told = decoded(raw, OptIn) or OptIn()
    payload = told.ref or told.payload
    return (reading.received(unnamed(reading, "optin"), quiet=True, payload=payload, stub="optin"),)


def reacted(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    reaction = decoded(raw, Reaction)
    if reaction is None:
        return reading.unreadable("a reaction without its message")
    emoji = name(reaction.emoji, 16) or MOODS.get(reaction.reaction, "❔")
    return (
        Reacted(
            channel=reading.account.channel,
            external_id=reaction.mid,
            sender=reading.sender,
            emoji="" if reaction.action == "unreact" else emoji,
            at=reading.when,
        ),
    )


def delivered(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    """Only by the ids it names: that everything until a moment arrived is nothing we could tell of a delivery."""
    delivery = decoded(raw, Delivery) or Delivery()
    return tuple(receipt(reading, Status.DELIVERED, mid) for mid in map(word, delivery.mids) if mid)


def seen(reading: Reading, raw: msgspec.Raw) -> tuple[Event, ...]:
    """Messenger tells until when everything was read, Instagram which message was the last."""
    told = decoded(raw, Read) or Read()
    if told.mid:
        return (replace(receipt(reading, Status.READ, told.mid), earlier=True),)
    until = told_at(told.watermark, reading.when)
    return (ReadUpTo(channel=reading.account.channel, reader=reading.sender, at=until),)


def unknown(kind: str) -> Callable[[Reading, msgspec.Raw], tuple[Event, ...]]:
    """A kind of event newer than this file: shown by its name, and kept."""
    called = name(kind, 40) or "?"
    return lambda reading, raw: (reading.received(unnamed(reading, called), quiet=True, stub=called),)


READERS: Mapping[str, Callable[[Reading, msgspec.Raw], tuple[Event, ...]]] = {
    "message": said,
    "message_edit": edited,
    "postback": pressed,
    "referral": referred,
    "optin": opted,
    "reaction": reacted,
    "delivery": delivered,
    "read": seen,
}

# --- parts of an event


def receipt(reading: Reading, status: Status, mid: str) -> Receipt:
    return Receipt(channel=reading.account.channel, status=status, at=reading.when, external_id=mid)


def unnamed(reading: Reading, kind: str) -> str:
    """An id for what comes without one, the same whenever it comes again."""
    return f"{kind}:{reading.customer}:{reading.stamp}"


def own_id(metadata: str) -> UUID | None:
    """The delivery of ours that an echo names, None when these are another program's words, which may be a UUID too."""
    try:
        found = UUID(metadata.removeprefix(MARK))
    except ValueError:
        return None
    return found if metadata == f"{MARK}{found}" else None
