"""Looks closer at what a customer wrote, within a second after: the learned model, and signals beyond the words.

Rule: it only adds tags and raises the priority, never undoes what a person changed, and may run twice: what was looked
at is noted in the transaction that changes the conversation. Time passing is a signal too, so it names its next look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from inbox import changes, figures
from inbox.changes import AddTag, Change, Conversation, FollowUp, Priority, Put, Recorded, SetPriority, State
from inbox.store import arrivals, deliveries, understanding, work
from inbox.store.database import Database
from inbox.store.understanding import ByPeople, Matter
from inbox.store.work import Piece
from inbox.work import Ran
from routing.hours import Hours
from routing.model_combine import add
from routing.model_process import ModelProcess, Said, Unusable
from routing.model_read import Read
from routing.policy import Policy
from routing.rounds.clock import later
from routing.rounds.promising import always
from routing.signals import WAITED_HIGH, WAITED_URGENT, Circumstances, raised
from routing.triage import said

SIGNALS = "signals"  # who raised a priority for what is no word

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Changes for one reason, made by a model's version or by signals."""

    by: str
    changes: tuple[Change, ...]
    because: str


class Understanding:
    """Handler of the work kind `understand`; the key is a conversation.

    `ring` names the work that shows the desk's notices.
    """

    def __init__(
        self,
        database: Database,
        policy: Callable[[], Policy],
        model: ModelProcess,
        *,
        follow_up: FollowUp,
        ring: Callable[[], Put],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._policy = policy
        self._model = model
        self._follow_up = follow_up
        self._ring = ring
        self._now = now

    async def run(self, piece: Piece) -> Ran:
        conversation_id, policy = int(piece.key), self._policy()
        async with self._database.connection() as c:
            matter = await understanding.matter(c, conversation_id)
            if matter is None:
                return Ran()
            before = await arrivals.look(c, conversation_id)
        open_to_it = before.state is not State.RESOLVED and "spam" not in before.tags
        reads = await self._read(matter, policy) if open_to_it and policy.model else None
        now = self._now()
        async with self._database.transaction() as c:
            conversation = await arrivals.load(c, conversation_id)
            people = await understanding.by_people(c, conversation_id)
            team = policy.team(conversation.team)
            hours = team.hours or always(policy)
            steps = understood(conversation, matter, reads or (), people)
            after = _after(conversation, steps, now)
            if signal := signalled(after, matter, people, hours, now):
                steps.append(signal)
                after = _after(after, [signal], now)
            if steps:
                await arrivals.save(c, [after])
                await arrivals.record(c, list(_recorded(conversation_id, steps)), now)
                await work.put(c, self._follow_up(after, lines=False))
            if matter.unread:
                await understanding.understood(c, conversation_id, matter.unread[-1].position)
        for step in steps:
            figures.UNDERSTOOD.labels("signals" if step.by == SIGNALS else "changed").inc()
        again = look_again(after, matter, hours, now)
        return Ran(again=later(again, now) if again else None, used=bool(steps))

    async def _read(self, matter: Matter, policy: Policy) -> Sequence[tuple[Said, Read]] | None:
        """What the model makes of what is new. None where it cannot be used, which the desk is told once a day."""
        messages = [
            Said(text=text, words=policy.phrases.read(text))
            for one in matter.unread
            for text in [said(one.subject, one.text)]
        ]
        if not messages:
            return ()
        async with self._database.connection() as c:
            version = await understanding.in_use(c)

        async def content() -> bytes:
            async with self._database.connection() as c:
                return await understanding.content(c, version) or b""

        answer = await self._model.read(messages, version, content)
        if not isinstance(answer, Unusable):
            return list(zip(messages, answer, strict=True))
        figures.UNDERSTOOD.labels("unusable").inc(len(messages))
        log.warning("model.unusable", why=answer.why, version=version)
        notice = {"notice": "model", "detail": answer.why}
        async with self._database.transaction() as c:
            if await deliveries.notify_desk(c, None, f"model:{self._now():%Y-%m-%d}", notice):
                await work.put(c, [self._ring()])
        return None


def understood(
    conversation: Conversation, matter: Matter, reads: Sequence[tuple[Said, Read]], people: ByPeople
) -> list[Step]:
    """What the model adds, one step for each message that adds something. Pure.

    A tag that a person took away in this matter stays away; a priority that a person set after a message came stays.
    """
    steps: list[Step] = []
    if conversation.state is State.RESOLVED:
        return steps
    tags, priority = tuple(sorted(conversation.tags)), conversation.priority
    never = frozenset(people.removed)
    for message, (one, read) in zip(matter.unread, reads, strict=False):
        raises = people.priority is None or people.priority <= message.came
        found = add(tags, priority, one.words, read, never=never, raises=raises)
        if found is None:
            continue
        made: list[Change] = [AddTag(tag=tag) for tag in found.tags if tag not in tags]
        if found.priority is not priority:
            made.append(SetPriority(priority=found.priority))
        tags, priority = found.tags, found.priority
        steps.append(Step(by=f"model {read.version}", changes=tuple(made), because=found.because))
    return steps


def signalled(conversation: Conversation, matter: Matter, people: ByPeople, hours: Hours, now: datetime) -> Step | None:
    """What the circumstances raise. Pure. A person who looked at it after the customer's last message knows better."""
    if not _waits(conversation, matter):
        return None
    if people.priority is not None and people.priority > matter.written[-1].at:
        return None
    found = raised(
        conversation.priority,
        Circumstances(
            now=now,
            since_answer=tuple(one.at for one in matter.written),
            waited=hours.support_time(matter.written[0].at, now),
            channels=frozenset(one.channel for one in matter.written),
            promised=matter.promised,
            known=matter.known,
            spam="spam" in conversation.tags,
        ),
    )
    if found.priority is conversation.priority:
        return None
    because = f"{found.priority.name.lower()}: {', '.join(found.because)}"
    return Step(by=SIGNALS, changes=(SetPriority(priority=found.priority),), because=because)


def look_again(conversation: Conversation, matter: Matter, hours: Hours, now: datetime) -> datetime | None:
    """When waiting alone would raise the priority next. Pure."""
    if not _waits(conversation, matter) or conversation.priority is Priority.LOW:
        return None
    for level, waited in ((Priority.HIGH, WAITED_HIGH), (Priority.URGENT, WAITED_URGENT)):
        if conversation.priority > level:
            at = hours.after(matter.written[0].at, waited)
            if at is not None and at > now:
                return at + timedelta(seconds=1)
    return None


def _waits(conversation: Conversation, matter: Matter) -> bool:
    return bool(matter.written) and conversation.state is not State.RESOLVED and "spam" not in conversation.tags


def _after(conversation: Conversation, steps: Sequence[Step], now: datetime) -> Conversation:
    return changes.apply(conversation, [change for step in steps for change in step.changes], now)


def _recorded(conversation_id: int, steps: Sequence[Step]) -> list[Recorded]:
    return [
        Recorded(conversation_id=conversation_id, by=step.by, change=change, because=step.because)
        for step in steps
        for change in step.changes
    ]
