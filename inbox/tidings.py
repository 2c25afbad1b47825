"""Events that are no message: receipts, reactions, opt-outs, edits, machines. Each inside the commit of the intake.

Rule: what comes twice changes nothing the second time, and from strangers it means nothing and makes no customer.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from channels.errors import Refused, Unwanted
from channels.message import (
    COMPLAINT,
    REFUSED,
    AddressChanged,
    Automated,
    Edited,
    Event,
    OptedIn,
    OptedOut,
    Reacted,
    ReadUpTo,
    Receipt,
    SentElsewhere,
    Unreadable,
    Withdrawn,
)
from channels.opting import Wish, wish
from inbox import due, echoes, figures
from inbox.changes import Recorded
from inbox.group import Group
from inbox.store import arrivals, letters, notices, receipts, silences, withdrawals
from inbox.store import identity as identities
from inbox.store import tidings as table
from inbox.store.arrivals import key
from inbox.store.database import Connection

BURIAL = timedelta(seconds=5)  # in which a message that another transaction is just storing is there


async def store(c: Connection, event: Event, group: Group, now: datetime) -> None:
    match event:
        case Edited(message=message):
            name = (message.channel, message.external_id)
            changed = await table.edit(c, event, overtook=name in group.overtaken)
            if changed:
                group.touched.add(changed.conversation_id)
                group.puts.append(due.revise(*name))
            if changed and changed.files:
                for id in await arrivals.attach_more(c, message.channel, changed.message_id, changed.files):
                    group.puts.append(due.media(id))
        case Unreadable():
            await arrivals.quarantine(c, event)
        case Receipt():
            await _store_receipt(c, event, group, now)
        case Automated():
            await _store_automated(c, event, group)
        case AddressChanged():
            await _store_move(c, event, group)
        case SentElsewhere():
            group.puts += await echoes.arrived(c, event, now)
        case ReadUpTo():
            known = await arrivals.find(c, [key(event.reader)])
            for found in known.values():
                for message_id in await receipts.read_up_to(c, event, found.address_id):
                    group.puts.append(due.marks(message_id))
        case Withdrawn() | Reacted() | OptedOut() | OptedIn():
            await _store_line(c, event, group, now)


async def _store_move(c: Connection, event: AddressChanged, group: Group) -> None:
    key_ = f"address:{event.at.isoformat()}:{event.channel}:{event.old}:{event.new}"[:500]
    if await notices.noticed(c, key_):  # they may have gone back meanwhile, or somebody else have come
        return
    moved = await table.move(c, event)
    if moved is None:
        return
    notice = {
        "notice": "moved_on" if moved.done else "moved_onto",
        "channel": event.channel,
        "detail": event.new.value,
        "kind": event.new.kind,
        "old": event.old.value,
    }
    if await notices.notify_desk(c, moved.conversation_id, key_, notice):
        group.touched.add(moved.conversation_id)


async def _store_line(
    c: Connection, event: Withdrawn | Reacted | OptedOut | OptedIn, group: Group, now: datetime
) -> None:
    """Events that show as a small line. From strangers they mean nothing yet, and make no customer."""
    taken = None
    known = (await arrivals.find(c, [key(event.sender)])).get(key(event.sender))
    if isinstance(event, Withdrawn):  # also of what has not come yet, by whomever
        taken = await withdrawals.withdraw(c, event)
        if taken is not None:
            group.touched.add(taken.conversation_id)
            changed = [(event.channel, event.external_id), *taken.quoting]
            group.puts += [due.revise(*name) for name in changed]
            group.puts += [*map(due.forget, taken.paths), *map(due.unshare, taken.slack_files)]
            if event.erase:  # what was decided of it in this very transaction is not written yet
                group.changes = [_unreasoned(change, taken.conversation_id) for change in group.changes]
        else:
            group.puts.append(due.bury(event.channel, event.external_id, now + BURIAL))
    if known is None:
        return
    pending = group.conversations.get(known.conversation.id)
    if pending is not None:
        known.conversation = pending
    match event:
        case Withdrawn():
            told, what, detail = taken is not None, "withdrawn", event.external_id
        case Reacted():
            told, what, detail = True, "reacted", event.emoji
        case OptedOut():
            told, what, detail = not await silences.came_back(c, known.address_id, event), "opted_out", event.why
        case OptedIn():
            told, what, detail = True, "opted_in", ""
    word = stop_word(event) if isinstance(event, OptedOut) else ""
    if told and await table.note_event(c, known, event, what, detail, word):
        match event:  # told a second time it says nothing of how they feel by now
            case OptedOut():
                await silences.opt_out(c, known.address_id, event, word)
                figures.OPTED_OUT.labels(event.channel).inc()
            case OptedIn():
                await silences.opt_in(c, known.address_id, event)
        group.touched.add(known.conversation.id)
        if pending is not None:
            group.conversations[pending.id] = replace(pending, last_position=pending.last_position + 1)


def _unreasoned(change: Recorded, conversation_id: int) -> Recorded:
    return replace(change, because="") if change.conversation_id == conversation_id else change


def stop_word(event: OptedOut) -> str:
    """The word by which somebody asked for no more messages, "" where they blocked us or it is not known.

    A carrier's STOP may be any word that the shop has chosen there; elsewhere only those of `channels.opting` are one.
    """
    word = event.why.removeprefix("wrote ")
    return word if event.lasting or wish(word, carrier=True) is Wish.OUT else ""


async def learn(c: Connection, event: OptedOut, address_id: int, group: Group, now: datetime) -> None:
    """A carrier tells, by refusing to send, of a STOP that we may never have heard: it counts as if we had, once."""
    await arrivals.lock(c, [key(event.sender)], (), ())
    if await silences.is_news(c, address_id, event):
        await _store_line(c, event, group, now)


async def _store_receipt(c: Connection, event: Receipt, group: Group, now: datetime) -> None:
    told = await receipts.receive(c, event)
    if told is None:
        if event.letter:
            await letters.set_aside(c, event.channel, event.letter, "receipt")
        return
    group.puts.append(due.marks(told.message_id))
    if event.earlier:
        group.puts += map(due.marks, await receipts.earlier(c, told.delivery, event.status))
    if not told.failed_late:
        return
    # Whoever answered believes it arrived: they are told. Anybody can write that an address is dead, so that it is
    # silenced only by a receipt that knows the id of what was sent there.
    code = event.code or Refused.code
    if event.unreachable and not told.certain:
        code = Refused.code
    elif code == Unwanted.code:
        stop = OptedOut(channel=event.channel, sender=told.address, at=told.sent_at, lasting=True)
        await learn(c, stop, told.address_id, group, now)
    elif event.unreachable:
        await silences.silence(c, told.address_id, event.channel, event.detail or event.code, event.at)
    notice = {
        "notice": "failure",
        "delivery": str(told.delivery),
        "channel": event.channel,
        "code": code,
        "detail": event.detail,
        "message": told.message_id,
    }
    if await notices.notify_desk(c, told.conversation_id, f"failure:{told.delivery}:late", notice):
        group.touched.add(told.conversation_id)


async def _store_automated(c: Connection, event: Automated, group: Group) -> None:
    """A machine's words: a small line where its conversation is known, set aside where it is not."""
    if event.what == REFUSED:  # most likely forged: not even a line in a conversation that is known
        await letters.set_aside(c, event.channel, event.external_id, event.what)
        return
    if event.once and (event.channel, event.external_id) not in await identities.first_copies(c, [event]):
        return
    referred = await identities.referred(c, [event])
    found = referred.get((event.channel, event.external_id))
    known = (await arrivals.find(c, [key(event.sender)])).get(key(event.sender))
    if found is None and known is None:
        await letters.set_aside(c, event.channel, event.external_id, event.what)
        return
    if event.what == COMPLAINT:
        if found is None or found.sent_to is None:  # about nothing we can be sure to have sent
            await letters.set_aside(c, event.channel, event.external_id, event.what)
            return
        complaining = (await arrivals.find(c, [found.sent_to])).get(found.sent_to)
        if complaining is not None:
            await silences.silence(c, complaining.address_id, event.channel, COMPLAINT, event.at)
    conversation_id = found.conversation_id if found is not None else known.conversation.id  # type: ignore[union-attr]
    pending = group.conversations.get(conversation_id)
    conversation = pending or await arrivals.load(c, conversation_id)
    if await table.note_automated(c, conversation, event, known.address_id if known else None):
        group.touched.add(conversation_id)
        if pending is not None:
            group.conversations[pending.id] = replace(pending, last_position=pending.last_position + 1)
