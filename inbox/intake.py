"""What channels parsed becomes rows: greedy group commit in two slots, each event stored once and in order.

Rule: `receive` returns only after the commit, so a webhook may be answered. While one transaction is under way,
arrivals queue; the next takes all that waited, with no timer. One sender is always in the same slot, which keeps order.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

import structlog

from channels.message import (
    WORDLESS,
    Address,
    AddressChanged,
    Attachment,
    Automated,
    Edited,
    Event,
    OptedIn,
    OptedOut,
    Proof,
    Reacted,
    ReadUpTo,
    Receipt,
    Received,
    SentElsewhere,
    Unreadable,
    Withdrawn,
)
from channels.opting import wish
from inbox import changes, due, figures, identity, profiles, tidings
from inbox.changes import Conversation, Decision, Facts, FollowUp, Recorded, State
from inbox.group import Group
from inbox.store import arrivals, deliveries, live, withdrawals
from inbox.store import identity as identities
from inbox.store.arrivals import Known, Row, key
from inbox.store.database import Connection, Database, away

SLOTS = 2  # measured: four and eight are slower
GROUP = 128  # events at most in one transaction
TRIES = 5  # of one event whose transaction the database gave up in favour of another
PATIENCE = 10.0  # seconds a database that has stopped answering may take; then the provider is asked to come again
WAITING = 20_000  # events that may queue before we ask providers to come back later

TURNING = (AddressChanged, OptedOut, OptedIn)  # events that mean another thing a message earlier or later

log = structlog.get_logger()

Decide = Callable[[Facts], Decision]


class Overloaded(Exception):
    """More arrives than the database can take; ask the provider to try again."""


class Away(Exception):
    """The database cannot be reached; nothing was stored."""


@dataclass(slots=True)
class _Waiting:
    event: Event
    stored: asyncio.Future[None]


@dataclass(slots=True)
class _Slot:
    queue: deque[_Waiting] = field(default_factory=deque)
    runner: asyncio.Task[None] | None = None


class Intake:
    """Stores events. `decide` says what an arrival changes; `follow_up` names the work a changed conversation needs."""

    def __init__(
        self,
        database: Database,
        *,
        decide: Decide,
        follow_up: FollowUp,
        now: Callable[[], datetime],
        committed: Callable[[Sequence[Event]], None] = lambda events: None,
        live: Collection[str] = (),
        asked: Collection[str] = (),
    ) -> None:
        """`live` channels show their customers what is stored; those to be `asked` tell who a nameless stranger is."""
        self._database = database
        self._decide = decide
        self._follow_up = follow_up
        self._now = now
        self._committed = committed
        self._live = frozenset(live)
        self._asked = frozenset(asked)
        self._slots = [_Slot() for _ in range(SLOTS)]

    async def receive(self, events: Iterable[Event], *, line: str = "") -> None:
        """Store events and return once they are committed. Raises `Away` or `Overloaded`, and then may be repeated.

        What comes on one `line` keeps its order whoever sent it: people may speak up in each other's conversations.
        """
        loop = asyncio.get_running_loop()
        if sum(len(slot.queue) for slot in self._slots) > WAITING:
            raise Overloaded
        futures = []
        for event in events:
            slot = self._slots[zlib.crc32((line or _sender(event)).encode("utf-8", "replace")) % SLOTS]
            waiting = _Waiting(event, loop.create_future())
            slot.queue.append(waiting)
            futures.append(waiting.stored)
            if slot.runner is None:
                slot.runner = asyncio.create_task(self._run(slot))
        if len(futures) == 1:
            await futures[0]
        elif futures:
            outcomes = await asyncio.gather(*futures, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome

    async def quarantine(
        self, event: Unreadable, detail: str = "", headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Keep a whole request that could not be read. `headers` are those by which its body can be read again."""
        try:
            async with self._database.connection() as c:
                await arrivals.quarantine(c, event, detail, headers)
        except Exception as error:
            if away(error):
                raise Away from error
            raise

    async def close(self) -> None:
        """Wait until everything that was queued is stored or refused."""
        while runners := [slot.runner for slot in self._slots if slot.runner]:
            await asyncio.wait(runners)

    async def _run(self, slot: _Slot) -> None:
        try:
            while slot.queue:
                group = [slot.queue.popleft() for _ in range(min(GROUP, len(slot.queue)))]
                for part in _cut(group):
                    await self._store(part)
        finally:
            slot.runner = None

    async def _store(self, group: list[_Waiting], tries: int = TRIES) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._commit([waiting.event for waiting in group])
        except Exception as error:  # noqa: BLE001 - whatever it is, only its own event may suffer: each is tried alone
            if away(error):
                log.warning("intake.away", error=type(error).__name__, events=len(group))
                _settle(group, Away())
                return
            if len(group) > 1:
                log.warning("intake.group_failed", error=type(error).__name__, events=len(group))
                for waiting in group:
                    await self._store([waiting])
                return
            if arrivals.collided(error) and tries > 1:
                await self._store(group, tries - 1)
                return
            log.error("intake.unstorable", error=type(error).__name__, channel=_channel(group[0].event))
            await self._set_aside(group[0], error)
        else:
            figures.COMMIT.observe(time.monotonic() - began)
            _settle(group, None)

    async def _set_aside(self, waiting: _Waiting, error: Exception) -> None:
        raw = getattr(waiting.event, "raw", None) or getattr(getattr(waiting.event, "message", None), "raw", b"")
        reason = "could not be stored"
        try:
            await self.quarantine(
                Unreadable(channel=_channel(waiting.event), reason=reason, raw=raw or repr(waiting.event).encode()),
                f"{type(error).__name__}: {error}",
            )
        except Exception:  # noqa: BLE001 - the database refuses even this; the provider must keep it and come again
            _settle([waiting], Away())
        else:
            _settle([waiting], None)

    async def _commit(self, events: Sequence[Event]) -> None:
        now = self._now()
        received = [event for event in events if isinstance(event, Received)]
        others = [event for event in events if not isinstance(event, Received)]
        edits = [event for event in others if isinstance(event, Edited)]
        async with self._database.transaction() as c:
            group = Group()
            if others and (len(events) > 1 or isinstance(events[0], Withdrawn)):
                await arrivals.lock(
                    c,
                    {key(found) for found in map(_address, events) if found},
                    {(event.channel, event.external_id) for event in others if isinstance(event, Withdrawn)},
                    {(event.channel, event.external_id) for event in others if isinstance(event, Receipt)},
                )
            if edits:
                # An edit that overtook its original brings the whole message: it is stored as if it had arrived.
                names = {(e.message.channel, e.message.external_id) for e in edits}
                names -= await arrivals.stored(c, list(names))
                names -= {(message.channel, message.external_id) for message in received}
                received += [e.message for e in edits if (e.message.channel, e.message.external_id) in names]
                group.overtaken = names
            if received:
                await self._store_received(c, received, now, group)
            for event in others:
                await tidings.store(c, event, group, now)
            await self._finish(c, group, now)
        self._committed(events)

    async def _store_received(self, c: Connection, received: list[Received], now: datetime, group: Group) -> None:
        received, copies = await self._first_copies(c, received)
        elsewhere: dict[arrivals.Name, int] = {}  # a bystander's message to the conversation it is shown in
        settled = await identity.settle(c, received)
        first: dict[arrivals.Key, Received] = {}
        unique: dict[tuple[str, str], Received] = {}
        for filed in settled:
            message = filed.message
            unique.setdefault((message.channel, message.external_id), message)
            first.setdefault(key(message.sender), message)
            if filed.conversation_id is not None:
                elsewhere[message.channel, message.external_id] = filed.conversation_id
        if unique:
            await self._store_unique(c, unique, first, elsewhere, now, group)
        for copy in copies:
            if (told := await identities.also_came(c, copy.once, copy.channel)) is not None:
                group.touched.add(told[0])
                group.puts.append(due.revise(*told[1]))

    async def _store_unique(
        self,
        c: Connection,
        unique: Mapping[arrivals.Name, Received],
        first: Mapping[arrivals.Key, Received],
        elsewhere: Mapping[arrivals.Name, int],
        now: datetime,
        group: Group,
    ) -> None:
        known = await arrivals.find_or_create(c, first)
        start = {found.conversation.id: found.conversation for found in known.values()}
        for conversation_id in sorted(set(elsewhere.values()) - set(start)):
            start[conversation_id] = await arrivals.load(c, conversation_id)
        buried = await withdrawals.known_before(c, [message for message in unique.values() if message.retractable])
        if buried:
            erased = {name: withdrawals.blank(unique[name]) for name, event in buried.items() if event.erase}
            unique = {**unique, **erased}
        rows = _placed(unique.values(), known, start, elsewhere)
        stored = await arrivals.insert(c, rows)
        fresh = [row for row in rows if (row.message.channel, row.message.external_id) in stored]
        group.conversations.update(self._decided(fresh, known, start, now, group))
        files: dict[str, list[tuple[int, int, Attachment]]] = {}
        for row in fresh:
            message_id = stored[row.message.channel, row.message.external_id]
            group.named += [(name, message_id, row.conversation_id) for name in row.message.names]
            for number, file in enumerate(row.message.attachments):
                files.setdefault(row.message.channel, []).append((message_id, number, file))
        for source, found in files.items():
            ids = await arrivals.attach(c, source, found)
            if any(not file.path for _, _, file in found):
                group.puts += map(due.media, ids)
        for row in fresh:
            found_address = known[key(row.message.sender)]
            if _tells_more(found_address, row.message):
                group.described.append((found_address, row.message))
            group.proven += _proven(row.message, found_address.conversation)
            new = found_address.fresh or start[row.conversation_id].last_in_at is None  # as after an echo to a stranger
            if new and not found_address.name and row.message.channel in self._asked:
                group.puts.append(profiles.asking(row.message.channel, found_address.address_id))
        for event in buried.values():
            await withdrawals.withdraw(c, event)
        if self._live:
            shown = [live.place(r.message.channel, r.address_id) for r in fresh if r.message.channel in self._live]
            await live.tell(c, shown)

    async def _first_copies(self, c: Connection, received: list[Received]) -> tuple[list[Received], list[Received]]:
        """Part what came before by another way from what did not."""
        if not any(message.once for message in received):
            return received, []
        first = await identities.first_copies(c, [message for message in received if message.once])
        kept: list[Received] = []
        copies: list[Received] = []
        for message in received:
            known = message.once and (message.channel, message.external_id) not in first
            (copies if known else kept).append(message)
        return kept, copies

    def _decided(
        self,
        fresh: Sequence[Row],
        known: dict[arrivals.Key, Known],
        start: dict[int, Conversation],
        now: datetime,
        group: Group,
    ) -> dict[int, Conversation]:
        after: dict[int, Conversation] = {}
        for row in fresh:
            found = known[key(row.message.sender)]
            before = after.get(row.conversation_id, start[row.conversation_id])
            conversation = _arrived(before, row)
            if row.bystander:  # answers go to the customer, whoever else speaks up
                conversation = replace(conversation, address_id=before.address_id, channel=before.channel)
            facts = Facts(
                conversation=conversation,
                message=row.message,
                known=not found.fresh or row.conversation_id in after,
                address=row.message.sender,
                proof=min(found.proof, row.message.proof),
                now=now,
                before=before.state,
                fresh=not row.idle and (before.state is State.RESOLVED or before.last_in_at is None),
            )
            decision = self._decide(facts)
            group.puts += decision.puts
            if decision.changes:
                group.changes += [
                    Recorded(conversation_id=conversation.id, by="triage", change=change, because=decision.because)
                    for change in decision.changes
                ]
                conversation = changes.apply(conversation, decision.changes, now)
            after[row.conversation_id] = conversation
        return after

    async def _prove(self, c: Connection, group: Group) -> None:
        """What messages proved beside their senders. Of an address that is another customer's people are told, once."""
        told, others = await arrivals.prove(c, group.proven)
        group.touched |= told
        for other in others:
            notice = {"notice": "same_person", "kind": other.address.kind, "detail": other.address.value}
            name = f"same:{other.customer_id}:{other.address}"[:500]
            if await deliveries.notify_desk(c, other.conversation_id, name, notice):
                group.touched.add(other.conversation_id)

    async def _finish(self, c: Connection, group: Group, now: datetime) -> None:
        for found, message in group.described:
            await arrivals.describe(c, found, message)
        if group.proven:
            await self._prove(c, group)
        if group.named:
            await identities.name(c, group.named)
        changed = list(group.conversations.values())
        shown = [*changed]
        for conversation_id in sorted(group.touched - set(group.conversations)):
            shown.append(await arrivals.load(c, conversation_id))
        for conversation in shown:
            group.puts += self._follow_up(conversation, lines=True)
        await arrivals.finish(c, changed, group.changes, group.puts, now)


def _proven(message: Received, conversation: Conversation) -> list[arrivals.Proven]:
    """The further addresses a message proves to be its sender's. A claim proves nothing, whoever makes it."""
    return [
        arrivals.Proven(
            customer_id=conversation.customer_id, conversation_id=conversation.id, address=address, proof=proof
        )
        for address, proof in message.proofs
        if proof >= Proof.CARRIER
    ]


def _cut(group: Sequence[_Waiting]) -> Iterable[list[_Waiting]]:
    """A group in parts that may each be stored at once.

    What changes who somebody is, or whether they may be written to, stays between what was said before and after.
    """
    part: list[_Waiting] = []
    for waiting in group:
        if isinstance(waiting.event, TURNING):
            yield from ([part] if part else [])
            yield [waiting]
            part = []
        else:
            part.append(waiting)
    yield from ([part] if part else [])


def _placed(
    messages: Iterable[Received],
    known: dict[arrivals.Key, Known],
    start: dict[int, Conversation],
    elsewhere: Mapping[arrivals.Name, int],
) -> list[Row]:
    """Give each message the next place of its conversation, in the order they came."""
    last = {conversation_id: conversation.last_position for conversation_id, conversation in start.items()}
    rows = []
    for message in messages:
        found = known[key(message.sender)]
        conversation_id = found.conversation.id
        bystander = False
        if elsewhere and (other := elsewhere.get((message.channel, message.external_id))) is not None:
            bystander = other != conversation_id
            conversation_id = other
        last[conversation_id] += 1
        rows.append(
            Row(
                message=message,
                conversation_id=conversation_id,
                address_id=found.address_id,
                position=last[conversation_id],
                bystander=bystander,
                idle=_idle(message),
            )
        )
    return rows


def _idle(message: Received) -> bool:
    """Whether nobody has to answer: a link followed, a box ticked, a word that ends or begins messages and no more.

    Other quiet ones are for people: a mail that is not read yet, what is said while another program has the talk.
    """
    if not message.quiet or message.attachments:
        return False
    return message.stub in WORDLESS or wish(message.text, carrier=False) is not None


def _arrived(before: Conversation, row: Row) -> Conversation:
    """What an arrival does before anyone decides. An idle one leaves the wait, the state and the answer's way alone.

    Whoever begins so has it in hand to say something: it is their turn, and what they say first begins the matter.
    """
    if not row.idle:
        return changes.arrived(before, row.message, row.address_id, row.position)
    after = changes.arrived(before, replace(row.message, automatic=True), row.address_id, row.position)
    if before.last_in_at is not None:
        return after
    silent = before.state is State.OPEN and before.last_out_at is None
    return replace(after, last_in_at=None, state=State.WAITING if silent else before.state)


def _tells_more(known: Known, message: Received) -> bool:
    named = bool(message.sender_name) and message.sender_name != known.name and not known.fresh
    # Nobody renames a proven customer by merely writing in their name.
    return known.silenced or (named and message.proof >= known.proof) or message.proof > known.proof


def _sender(event: Event) -> str:
    """What decides the slot: all of one sender's events share it."""
    return event.external_id if isinstance(event, Receipt) else str(_address(event) or "")


def _address(event: Event) -> Address | None:
    match event:
        case Received(sender=sender) | Withdrawn(sender=sender) | Reacted(sender=sender):
            return sender
        case OptedOut(sender=sender) | OptedIn(sender=sender) | ReadUpTo(reader=sender) | AddressChanged(old=sender):
            return sender
        case Edited(message=message):
            return message.sender
        case Automated(sender=sender) | SentElsewhere(to=sender):
            return sender
        case Receipt() | Unreadable():
            return None


def _channel(event: Event) -> str:
    return event.message.channel if isinstance(event, Edited) else event.channel


def _settle(group: Iterable[_Waiting], error: Exception | None) -> None:
    for waiting in group:
        if waiting.stored.done():  # the request it came with was given up meanwhile
            continue
        if error is None:
            waiting.stored.set_result(None)
        else:
            waiting.stored.set_exception(error)
