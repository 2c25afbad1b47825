"""Gives conversations to agents: what nobody has, and what somebody has who is not there while the customer waits.

Rule: who gets what is decided and written by one at a time over all processes, each conversation locked and looked at
again; nothing outside the database is awaited meanwhile. What the round decides, it decides anew each time it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import structlog

from inbox import changes
from inbox.changes import Assign, Conversation, FollowUp, Put, Recorded, State
from inbox.store import arrivals, assignments, deliveries, work
from inbox.store.assignments import Person, Place, Scope, Waits
from inbox.store.database import Connection, Database
from inbox.store.work import Piece
from inbox.work import Ran
from routing.assignment import Agent, Choice, Method, Waiting, distribute, on_shift, shift_changes
from routing.hours import Hours
from routing.policy import Policy, TeamPolicy
from routing.rounds.clock import later

AUTHOR = "assignment"  # who it is that gave a conversation to somebody, in its history
BATCH = 500  # conversations decided on in one transaction
ABSENT = timedelta(minutes=15)  # Slack shows people away after 10 idle minutes (users.getPresence): a call, a coffee
STALE = timedelta(hours=1)  # how long what Slack last said still counts while it cannot be asked
RELOOK = timedelta(minutes=2)  # while something waits that nobody could be given
WATCH = timedelta(minutes=5)  # while somebody who is there has something that would be taken from who is not

log = structlog.get_logger()


class Roster(Protocol):
    """Who works in the teams, as Slack knows it. Neither raises because Slack is away."""

    async def candidates(self, team: str) -> Sequence[str]:
        """The Slack users who may be given a team's conversations, there or not; none while that is not known."""
        ...

    async def look(self, ids: Collection[str]) -> Collection[str]:
        """Keep how Slack shows these people, and tell of whom it could be asked."""
        ...


class Left(StrEnum):
    """Why somebody is not there. The values are the texts `assign.{value}`."""

    GONE = "gone"  # deactivated, no longer of the team, or never: a rule may name anybody
    AWAY = "away"  # said so
    HOURS = "hours"
    ABSENT = "absent"  # by Slack's dot alone


_BECAUSE = {
    Left.GONE: "who had it is not in this team",
    Left.AWAY: "who had it is away",
    Left.HOURS: "the shift of who had it is over",
    Left.ABSENT: "who had it has not been in Slack for a while",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """The candidates of a team at one moment. `fresh` are those whom Slack has just shown."""

    team: TeamPolicy
    policy: Policy
    people: Mapping[str, Person]
    fresh: frozenset[str]
    now: datetime

    def agents(self) -> list[Agent]:
        """The candidates as the decision looks at them."""
        return [self._agent(person) for person in self.people.values()]

    def hours(self, user: str) -> Hours | None:
        own = self.policy.agents.get(user)
        return own.hours if own is not None and own.hours is not None else self.team.hours

    def working(self) -> list[str]:
        """Who should be there by the clock and has not said otherwise."""
        return [id for id, person in self.people.items() if not person.away(self.now) and self._open(id)]

    def left(self, user: str) -> Left | None:
        """Why somebody is not there, if so. One look at Slack's dot says little; being away for long does."""
        person = self.people.get(user)
        if person is None:
            return Left.GONE
        if person.away(self.now):
            return Left.AWAY
        if not self._open(user):
            return Left.HOURS
        if person.present is False and user in self.fresh and person.seen_at is not None:
            hours = self.hours(user)
            gone = hours.support_time(person.seen_at, self.now) if hours else self.now - person.seen_at
            return Left.ABSENT if gone >= ABSENT else None
        return None

    def here(self) -> list[str]:
        """Those whose conversations stay theirs."""
        return [id for id in self.people if self.left(id) is None]

    def kept_until(self, waits: Waits) -> datetime | None:
        """Until when a conversation stays with who left: they just took it, or are in talk. None when it need not."""
        left, person = self.left(waits.agent), self.people.get(waits.agent)
        answered = waits.answered_at if waits.answered_last == waits.agent else None
        acts = [at for at in (waits.taken_at, answered) if at is not None]
        if not acts or left is None or person is None:
            return None
        if left is Left.AWAY and person.away_since is not None and person.away_since > max(acts):
            return None  # what they said last is that they are not there
        ends = [waits.taken_at + self.team.patience] if waits.taken_at else []
        ends += [answered + self.policy.limits.talk] if answered else []
        return max(ends) if max(ends) > self.now else None

    def looks(self) -> list[datetime]:
        """When somebody comes or goes by the clock, as far as can be known now."""
        changed = shift_changes(self.agents(), self.now, self.team.hours)
        back = [
            person.away_until
            for person in self.people.values()
            if person.away(self.now) and person.away_until is not None
        ]
        return [*back, *([changed] if changed else [])]

    def _open(self, user: str) -> bool:
        hours = self.hours(user)
        return hours is None or hours.open_at(self.now)

    def _agent(self, person: Person) -> Agent:
        own = self.policy.agents.get(person.id)
        present = person.present
        if present is False and person.id not in self.fresh and self.now - (person.seen_at or self.now) > STALE:
            present = None
        return Agent(
            id=person.id,
            load=person.load,
            capacity=own.capacity if own is not None and own.capacity is not None else self.team.capacity,
            languages=own.languages if own is not None else frozenset(),
            skills=own.skills if own is not None else frozenset(),
            away=person.away(self.now),
            present=present,
            hours=own.hours if own is not None else None,
            assigned_at=person.assigned_at,
        )


class Assigning:
    """Handler of the work kind `assign`; the key is a team."""

    def __init__(
        self,
        database: Database,
        policy: Callable[[], Policy],
        roster: Roster,
        *,
        follow_up: FollowUp,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._policy = policy
        self._roster = roster
        self._follow_up = follow_up  # the desk's alone: who has a conversation changes no decision about it
        self._now = now

    async def run(self, piece: Piece) -> Ran:
        policy, now = self._policy(), self._now()
        team = policy.teams.get(piece.key)
        if team is None or team.method is None:
            return Ran()
        scope = Scope(team=team.name, first=team is policy.first, teams=tuple(policy.teams))
        ids = await self._roster.candidates(team.name)
        async with self._database.connection() as c:
            waits = await assignments.any_waits(c, scope)
            people = await assignments.people(c, ids)
        crew = Crew(team=team, policy=policy, people=_by_id(people), fresh=frozenset(), now=now)
        looks = crew.looks()
        if waits:
            if not ids:  # who works here is not known yet
                return Ran(again=later(now + RELOOK, now))
            crew = replace(crew, fresh=frozenset(await self._roster.look(crew.working())))
            looks += await self._rounds(crew, scope)
        return Ran(again=later(min(looks), now) if looks else None)

    def assigns(self, team: str) -> bool:
        """Whether anybody is assigned in a team, rather than taking what they like."""
        return self._policy().team(team).method is not None

    def next_shift(self, user: str, teams: Collection[str], after: datetime) -> datetime | None:
        """When somebody next begins to work after a moment; None where that is not laid down."""
        policy = self._policy()
        own = policy.agents.get(user)
        found = [own.hours] if own is not None and own.hours is not None else [policy.team(x).hours for x in teams]
        return min((at for hours in found if hours and (at := hours.opens_after(after))), default=None)

    async def _rounds(self, crew: Crew, scope: Scope) -> list[datetime]:
        """Give away what can be given, a transaction for so many; when to look again at what could not."""
        after: Place | None = None
        looks: list[datetime] = []
        while True:
            async with self._database.transaction() as c:
                await assignments.alone(c)
                crew = replace(crew, people=_by_id(await assignments.people(c, crew.people)))
                page = await assignments.waiting(c, scope, crew.here(), after, BATCH)
                looks += await self._give(c, crew, page)
            if len(page) < BATCH or not _room(crew):
                break
            after = page[-1].place
        if any(crew.people[id].load for id in crew.here()):
            looks.append(crew.now + WATCH)
        return looks

    async def _give(self, c: Connection, crew: Crew, page: Sequence[Waits]) -> list[datetime]:
        """Decide on these and carry it out; when to look again at those that nobody was given."""
        kept = {one.id: until for one in page if one.agent and (until := crew.kept_until(one))}
        looks = list(kept.values())
        free = {one.id: one for one in page if one.id not in kept}
        choices = [
            (free[waiting.id], choice)
            for waiting, choice in distribute(
                [_waiting(one) for one in free.values()],
                crew.agents(),
                crew.now,
                method=crew.team.method or Method.ROUND_ROBIN,
                team_hours=crew.team.hours,
                patience=crew.team.patience,
            )
            if choice.agent
        ]
        if len(choices) < len(free) and crew.working():
            looks.append(crew.now + RELOOK)  # by the clock: they may come back, or have room, without a word to us
        locked = await assignments.claim(c, [one.id for one, _ in choices])
        still = [(one, choice) for one, choice in choices if self._same(one, locked.get(one.id), crew)]
        if still:
            await self._carry_out(c, crew, still, locked)
        return looks

    def _same(self, one: Waits, conversation: Conversation | None, crew: Crew) -> bool:
        """Whether a conversation is as it was when it was decided on. If not, whoever changed it has us look again."""
        return (
            conversation is not None
            and conversation.agent == one.agent
            and conversation.state is State.OPEN
            and crew.policy.team(conversation.team).name == crew.team.name
        )

    async def _carry_out(
        self,
        c: Connection,
        crew: Crew,
        given: Sequence[tuple[Waits, Choice]],
        locked: Mapping[int, Conversation],
    ) -> None:
        # Later than any before it, so that whose turn it is follows from the order in which they were given.
        latest = max([crew.now, *(person.assigned_at for person in crew.people.values() if person.assigned_at)])
        agents = {agent.id: agent for agent in crew.agents()}
        last: dict[str, datetime] = {}
        saved: list[Conversation] = []
        recorded: list[Recorded] = []
        puts: list[Put] = []
        for number, (one, choice) in enumerate(given, start=1):
            change = Assign(agent=choice.agent)
            after = changes.apply(locked[one.id], [change], crew.now)
            left = crew.left(one.agent) if one.agent else None
            because = f"{_BECAUSE[left]}; {choice.because}" if left else choice.because
            last[choice.agent] = latest + timedelta(microseconds=number)
            saved.append(after)
            recorded.append(Recorded(conversation_id=one.id, by=AUTHOR, change=change, because=because))
            key = f"assigned:{one.id}:{last[choice.agent].isoformat()}"
            await deliveries.notify_desk(c, one.id, key, _notice(crew.team, one, agents[choice.agent], left))
            puts += self._follow_up(after, lines=True)
            log.info("assign.given", conversation=one.id, agent=choice.agent, team=crew.team.name, because=because)
        await arrivals.save(c, saved)
        await arrivals.record(c, recorded, crew.now)
        await assignments.given(c, last)
        await work.put(c, puts)


def _by_id(people: Sequence[Person]) -> dict[str, Person]:
    return {person.id: person for person in people}


def _room(crew: Crew) -> bool:
    """Whether anybody who could be given something had room for it when the round began."""
    return any(a.load < a.capacity and on_shift(a, crew.now, crew.team.hours) for a in crew.agents())


def _waiting(one: Waits) -> Waiting:
    return Waiting(
        id=one.id,
        priority=one.priority,
        since=one.since,
        language=one.language,
        tags=one.tags,
        answered_last=one.answered_last,
    )


def _notice(team: TeamPolicy, one: Waits, agent: Agent, left: Left | None) -> dict[str, object]:
    """Who has it and why, for the desk to say in its own words."""
    foreign = bool(one.language and agent.languages and one.language not in agent.languages)
    if agent.id == one.answered_last:
        why = "known"
    elif foreign:
        why = "pressing"
    else:
        why = "turn" if team.method is Method.ROUND_ROBIN else "room"
    return {
        "notice": "assigned",
        "agent": agent.id,
        "why": why,
        "language": one.language if foreign or one.language in agent.languages else "",
        "tags": sorted(one.tags & agent.skills),
        "left": left.value if left else "",
        "before": one.agent,
    }
