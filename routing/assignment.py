"""Who takes a conversation, and which conversation is taken first. Pure: two processes agree by the database, not here.

Rule: nobody gets more than they can carry, nobody who is away gets anything, and whoever fits is found. What only some
of a team can do is left to them, unless it is urgent or has waited: then anybody's answer is better than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from inbox.changes import Priority
from routing.hours import Hours

PATIENCE = timedelta(hours=1)  # as long as a lunch break or a meeting, not as long as a holiday
_NEVER = datetime.min.replace(tzinfo=UTC)


class Method(StrEnum):
    ROUND_ROBIN = "round_robin"
    LEAST_BUSY = "least_busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Somebody who could take it. `load` is the conversations they have now, `capacity` how many they carry."""

    id: str  # Slack user id
    load: int = 0
    capacity: int = 10
    languages: frozenset[str] = frozenset()  # empty: all of the shop's
    skills: frozenset[str] = frozenset()  # tags they know more of than others
    away: bool = False  # said so themselves
    present: bool | None = None  # as Slack shows them; None: not known, taken as present
    hours: Hours | None = None  # own ones; None: the team's
    assigned_at: datetime | None = None  # when they last got one


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A conversation without an agent, as far as this decision looks at it."""

    id: int
    priority: Priority = Priority.NORMAL
    since: datetime | None = None  # when the customer's wait began
    language: str = ""
    tags: frozenset[str] = frozenset()
    answered_last: str = ""  # the agent the customer knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Whom to assign it to, "" to nobody yet, and why, in words for the thread."""

    agent: str
    because: str


def choose(
    waiting: Waiting,
    agents: Sequence[Agent],
    now: datetime,
    *,
    method: Method = Method.ROUND_ROBIN,
    team_hours: Hours | None = None,
    patience: timedelta = PATIENCE,
) -> Choice:
    """Choose among a team's agents; the order they come in does not matter.

    A conversation that somebody else of the team fits better waits for them for `patience` of support time.
    """
    if not agents:
        return Choice(agent="", because="the team has no agents")
    working = [agent for agent in agents if on_shift(agent, now, team_hours)]
    if not working:
        return Choice(agent="", because="nobody is on shift")
    free = [agent for agent in working if agent.load < agent.capacity]
    known = next((agent for agent in free if agent.id == waiting.answered_last), None)
    if known is not None:
        return Choice(agent=known.id, because="answered this customer last")
    if not free:
        return Choice(agent="", because="everybody on shift has as much as they can carry")
    skills = waiting.tags & frozenset().union(*(agent.skills for agent in agents))  # the other tags are everybody's
    lacks = {agent.id: _lacks(waiting, skills, agent) for agent in agents}
    best = min(lacks.values())
    fitting = [agent for agent in free if lacks[agent.id] == best]
    because = "whose turn it is" if method is Method.ROUND_ROBIN else "has the most room"
    needs = _needs(waiting, skills, agents)
    if not fitting and not _pressing(waiting, now, team_hours, patience):
        return Choice(agent="", because=f"waits for somebody who {needs}")
    if not fitting:
        nearest = min(lacks[agent.id] for agent in free)
        fitting = [agent for agent in free if lacks[agent.id] == nearest]
        because = f"cannot wait, and nobody free {needs}"
    elif len(fitting) < len(free):
        because = f"{needs}; {because}"
    return Choice(agent=min(fitting, key=lambda agent: _rank(agent, method)).id, because=because)


def order(waiting: Iterable[Waiting]) -> list[Waiting]:
    """Sort what waits: urgent first, then whoever waits longest."""
    return sorted(waiting, key=lambda one: (one.priority, one.since or datetime.max.replace(tzinfo=UTC), one.id))


def distribute(
    waiting: Iterable[Waiting],
    agents: Sequence[Agent],
    now: datetime,
    *,
    method: Method = Method.ROUND_ROBIN,
    team_hours: Hours | None = None,
    patience: timedelta = PATIENCE,
) -> list[tuple[Waiting, Choice]]:
    """Choose for everything that waits, in order, each assignment counted before the next is chosen."""
    team = {agent.id: agent for agent in agents}
    found = []
    for one in order(waiting):
        choice = choose(one, tuple(team.values()), now, method=method, team_hours=team_hours, patience=patience)
        found.append((one, choice))
        if choice.agent:
            taken = team[choice.agent]
            team[choice.agent] = replace(
                taken, load=taken.load + 1, assigned_at=now + timedelta(microseconds=len(found))
            )
    return found


def on_shift(agent: Agent, now: datetime, team_hours: Hours | None = None) -> bool:
    """Tell whether somebody works now: not away, not gone from Slack, inside their own hours or the team's."""
    hours = agent.hours or team_hours
    return not agent.away and agent.present is not False and (hours is None or hours.open_at(now))


def shift_changes(agents: Iterable[Agent], now: datetime, team_hours: Hours | None = None) -> datetime | None:
    """When somebody next comes or goes by the clock, so that what waits is looked at again; None if never."""
    all_hours = [hours for hours in (team_hours, *(agent.hours for agent in agents)) if hours is not None]
    moments = [at for hours in all_hours for at in (hours.opens_after(now), hours.closes_after(now)) if at is not None]
    return min(moments, default=None)


def _speaks(waiting: Waiting, agent: Agent) -> bool:
    return not waiting.language or not agent.languages or waiting.language in agent.languages


def _lacks(waiting: Waiting, skills: frozenset[str], agent: Agent) -> tuple[bool, int]:
    """How far somebody is from what it takes; a language weighs more than any skill."""
    return not _speaks(waiting, agent), len(skills - agent.skills)


def _needs(waiting: Waiting, skills: frozenset[str], agents: Sequence[Agent]) -> str:
    told = [f"speaks {waiting.language}"] if any(not _speaks(waiting, agent) for agent in agents) else []
    return " and ".join([*told, f"knows about {', '.join(sorted(skills))}"] if skills else told)


def _pressing(waiting: Waiting, now: datetime, hours: Hours | None, patience: timedelta) -> bool:
    """Whether it can no longer wait for the best one."""
    if waiting.priority is Priority.URGENT:
        return True
    if waiting.since is None:
        return False
    return (hours.support_time(waiting.since, now) if hours else now - waiting.since) > patience


def _rank(agent: Agent, method: Method) -> tuple[Fraction, datetime, str]:
    """Who is first: on a tie the one whose last one is longest ago, then by id, so that it is always the same."""
    filled = Fraction(agent.load, agent.capacity) if method is Method.LEAST_BUSY else Fraction()
    return filled, agent.assigned_at or _NEVER, agent.id
