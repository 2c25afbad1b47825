"""Keeps the clocks of what was promised: warns in the thread before a target breaks, and escalates after.

Rule: nothing is counted down. Each run works everything out anew and names the next moment to look; so a restart,
changed hours and a changed priority need no care, and a timer that is not due costs nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import structlog

from inbox import changes, figures
from inbox.changes import Change, Conversation, FollowUp, Priority, Put, Recorded, SetPriority, SetTeam
from inbox.store import arrivals, deliveries, promises, work
from inbox.store.database import Connection, Database
from inbox.store.promises import Happened
from inbox.store.work import Piece
from inbox.work import Ran
from routing.hours import Hours
from routing.policy import Policy
from routing.promises import Event, Standing, State, What, clocks, look_again, standing
from routing.rounds.clock import later

PROMISE, TIMERS = "promise", "timers"  # kinds of work: one conversation, and all of them
TOLD = frozenset({State.WARNED, State.BROKEN})
BATCH = 1_000

log = structlog.get_logger()


class Promising:
    """Handlers of the work kinds `promise` (the key is a conversation) and `timers`."""

    def __init__(
        self,
        database: Database,
        policy: Callable[[], Policy],
        *,
        follow_up: FollowUp,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._policy = policy
        self._follow_up = follow_up  # the desk's alone: what it shows says nothing new about a promise
        self._now = now

    async def run(self, piece: Piece) -> Ran:
        conversation_id, policy, now = int(piece.key), self._policy(), self._now()
        async with self._database.transaction() as c:
            conversation = await arrivals.load(c, conversation_id)
            happened = await promises.history(c, conversation_id)
            escalated = await promises.escalated(c, conversation_id)
            standings = stand(happened, conversation, policy, now, escalated=escalated)
            puts: list[Put] = []
            for began, one in standings:
                if one.state in TOLD:
                    puts += await self._tell(c, conversation, began, one, policy, now)
            following = _next([one for _, one in standings])
            if await promises.show(
                c,
                conversation_id,
                at=following.due if following else None,
                what=following.promise.value if following else "",
                state=following.state.value if following else "",
            ):
                puts += self._follow_up(conversation, lines=False)
            await work.put(c, puts)
        again = look_again([one for _, one in standings], now)
        return Ran(again=later(again, now) if again else None)

    async def timers(self, piece: Piece) -> Ran:
        """Look at every conversation again: hours or targets have changed."""
        after = 0
        while True:
            async with self._database.transaction() as c:
                ids = await promises.unresolved(c, after, BATCH)
                await work.put(c, [Put(kind=PROMISE, key=str(id), priority=Priority.LOW) for id in ids])
            if len(ids) < BATCH:
                log.info("promise.looked_at_all", last=ids[-1] if ids else after)
                return Ran()
            after = ids[-1]

    async def _tell(
        self, c: Connection, conversation: Conversation, began: datetime, one: Standing, policy: Policy, now: datetime
    ) -> Iterable[Put]:
        """Say it in the thread, once; what is broken is escalated in the same transaction."""
        team = policy.team(conversation.team)
        notice: dict[str, Any] = {
            "notice": "promise",
            "promise": one.promise.value,
            "state": one.state.value,
            "due": one.due.isoformat() if one.due else "",
            "allowance": str(one.allowance),
            "agent": conversation.agent,
        }
        changed: list[Change] = []
        if one.state is State.BROKEN:
            escalation = team.escalation
            notice["mention"] = list(escalation.mention)
            if escalation.raise_priority and conversation.priority > Priority.URGENT:
                raised = Priority(conversation.priority - 1)
                changed.append(SetPriority(priority=raised))
                notice["raised"] = raised.name.lower()
            if escalation.move_to and escalation.move_to != conversation.team and escalation.move_to in policy.teams:
                changed.append(SetTeam(team=escalation.move_to))
                notice["moved_to"] = escalation.move_to
        key = f"promise:{conversation.id}:{one.promise.value}:{began.isoformat()}:{one.state.value}"
        if not await deliveries.notify_desk(c, conversation.id, key, notice):
            return []
        figures.PROMISED.labels(team.name, one.promise.value, one.state.value).inc()
        after = changes.apply(conversation, changed, now)
        if changed:
            because = f"{one.promise.value.replace('_', ' ')} target of {one.allowance} broken"
            await arrivals.save(c, [after])
            await arrivals.record(
                c,
                [Recorded(conversation_id=after.id, by="santral", change=x, because=because) for x in changed],
                now,
            )
        # With a new priority or team other targets hold: look again at once.
        return [*self._follow_up(after, lines=True), *([Put(kind=PROMISE, key=str(after.id))] if changed else [])]


def fingerprint(policy: Policy) -> str:
    """Two policies with the same one set the same clocks."""
    hours = [(team.name, str(team.hours and (team.hours.text, team.hours.zone.key, team.hours.exceptions)))
             for team in policy.teams.values()]  # fmt: skip
    told = repr((sorted(hours), policy.targets))
    return hashlib.blake2b(told.encode(), digest_size=12).hexdigest()


def stand(
    happened: Sequence[Happened], conversation: Conversation, policy: Policy, now: datetime, *, escalated: int = 0
) -> list[tuple[datetime, Standing]]:
    """How the promises of the present matter stand, each with the moment its clock began.

    `escalated` is how often broken promises raised the priority: a promise does not change by being broken.
    """
    team = policy.team(conversation.team)
    hours = team.hours or always(policy)
    promised = Priority(min(conversation.priority + escalated, Priority.LOW))
    return [
        (clock.runs[0][0], standing(target, clock, hours, now))
        for clock in clocks(_events(happened))
        if clock.ended_at is None and (target := policy.targets.of(team.name, promised, clock.promise)) is not None
    ]


def always(policy: Policy) -> Hours:
    """The hours of a team that names none."""
    return Hours.parse("24/7", zone=policy.zone, country="")


def _events(happened: Iterable[Happened]) -> Iterator[Event]:
    for one in happened:
        match one.what:
            case "asked":
                yield Event(at=one.at, what=What.ASKED)
            case "answered":
                yield Event(at=one.at, what=What.ANSWERED)
            case "waiting":
                yield Event(at=one.at, what=What.WAITING)
            case "resolved":
                yield Event(at=one.at, what=What.RESOLVED)
            case "open":  # one of both says nothing, by what was before
                yield Event(at=one.at, what=What.RESUMED)
                yield Event(at=one.at, what=What.REOPENED)


def _next(standings: Sequence[Standing]) -> Standing | None:
    """The promise the card shows: the one that breaks first, or has."""
    running = [(one.due, one) for one in standings if one.due is not None]
    return min(running, key=lambda pair: pair[0])[1] if running else None
