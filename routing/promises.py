"""What a customer was promised: a first answer, a next answer and a resolution within so much support time.

Rule: nothing is counted down. A promise is worked out anew from the history and the hours of today, so changed hours,
a changed priority and a restart need no care. The customer's own time is not counted: it pauses while it is their turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from inbox.changes import Priority
from routing.hours import Hours

WARN_SHARE = Fraction(1, 5)  # of the target left when the thread warns, but
WARN_LEAST = timedelta(minutes=10)  # of support time, or nobody can still do something about it, and
WARN_MOST = Fraction(1, 2)  # of the target, or a short one would warn as it begins
MOST_DAYS = 365

_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_ALLOWANCE = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?")


class BadPromise(ValueError):
    """A target in the configuration that cannot be kept or understood."""


class Promise(StrEnum):
    """Also the keys of a target in the configuration."""

    FIRST = "first_answer"
    NEXT = "next_answer"
    RESOLUTION = "resolution"


class State(StrEnum):
    MET = "met"
    RUNNING = "running"
    PAUSED = "paused"  # it is the customer's turn
    WARNED = "warned"
    BROKEN = "broken"


class What(StrEnum):
    """What of a conversation's history matters here. Automatic mail, acknowledgements and notes do not."""

    ASKED = "asked"  # the customer wrote
    ANSWERED = "answered"  # an agent wrote to the customer
    WAITING = "waiting"  # an agent said it is the customer's turn, without writing
    RESUMED = "resumed"  # an agent took the turn back
    RESOLVED = "resolved"
    REOPENED = "reopened"  # by an agent; a customer reopens by writing


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    at: datetime
    what: What


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How long something may take: support time, or working days, never both.

    `30m` and `2h` are support time. `1d` is a working day: as much of each local day's support hours as was left of
    the day it began on, so a question of Friday 15:00 with 09:00-18:00 on weekdays is due on Monday at 15:00. On a
    day with shorter hours the same share of them counts.
    """

    time: timedelta = timedelta()
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> Allowance:
        """Read "30m", "2h", "1h30m" or "2d". Raises `BadPromise`."""
        plain = "".join(text.split()).lower()
        found = _ALLOWANCE.fullmatch(plain)
        if not plain or found is None:
            raise BadPromise(f'"{text}" is no length of time: write 30m, 2h, 1h30m or 2d')
        days, hours, minutes = (int(part or 0) for part in found.groups())
        if days and (hours or minutes):
            raise BadPromise(
                f'"{text}" mixes working days with hours: write either, as {days}d or {hours}h{minutes:02}m'
            )
        time = timedelta(hours=hours, minutes=minutes) if hours + minutes < 1_000_000 else timedelta.max
        if not days and not time:
            raise BadPromise(f'"{text}" cannot be kept: write at least 1m')
        if days > MOST_DAYS or time > timedelta(days=MOST_DAYS):
            raise BadPromise(f'"{text}" is longer than a year: leave the target out if there is none')
        return cls(time=time, days=days)

    def after(self, start: datetime, hours: Hours) -> datetime | None:
        return hours.after_days(start, Fraction(self.days)) if self.days else hours.after(start, self.time)

    def __str__(self) -> str:
        whole, minutes = divmod(int(self.time.total_seconds()) // 60, 60)
        return f"{self.days}d" if self.days else f"{f'{whole}h' if whole else ''}{f'{minutes}m' if minutes else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """One promise of one matter: when it ran, open-ended while it does, and when it was kept or given up."""

    promise: Promise
    runs: tuple[tuple[datetime, datetime | None], ...]
    ended_at: datetime | None = None

    @property
    def paused(self) -> bool:
        return self.ended_at is None and self.runs[-1][1] is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What is promised by priority, and by team where a team has its own."""

    common: Mapping[Priority, Mapping[Promise, Allowance]] = field(default_factory=dict)
    teams: Mapping[str, Mapping[Priority, Mapping[Promise, Allowance]]] = field(default_factory=dict)

    def of(self, team: str, priority: Priority, promise: Promise) -> Allowance | None:
        """The team's own, else the common one; None where nothing is promised."""
        for table in (self.teams.get(team, {}), self.common):
            if found := table.get(priority, {}).get(promise):
                return found
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one promise stands. `due` and `warn_at` are None while paused, or when the hours never come to it."""

    promise: Promise
    allowance: Allowance
    state: State
    due: datetime | None
    warn_at: datetime | None


def parse(table: Mapping[str, object]) -> Mapping[Priority, Mapping[Promise, Allowance]]:
    """Read `{urgent = {first_answer = "15m", resolution = "1d"}, …}`.

    Raises `BadPromise` with all mistakes, a line each.
    """
    found: dict[Priority, dict[Promise, Allowance]] = {}
    wrong = []
    priorities = {priority.name.lower(): priority for priority in Priority}
    for name, targets in table.items():
        priority = priorities.get(name)
        if priority is None:
            wrong.append(f"{name} is no priority: they are {', '.join(priorities)}")
        elif not isinstance(targets, Mapping):
            wrong.append(f'{name} must be a table such as {{ first_answer = "2h", resolution = "2d" }}')
        else:
            found[priority] = {}
            for key, text in targets.items():
                if key not in set(Promise):
                    wrong.append(f"{name}.{key} is no target: they are {', '.join(Promise)}")
                    continue
                try:
                    found[priority][Promise(key)] = Allowance.parse(text if isinstance(text, str) else str(text))
                except BadPromise as bad:
                    wrong.append(f"{name}.{key}: {bad}")
    if wrong:
        raise BadPromise("\n".join(wrong))
    return found


def clocks(history: Iterable[Event]) -> tuple[Clock, ...]:
    """Fold a conversation's history into its clocks, in the order they began.

    A matter begins when the customer writes and ends when it is resolved; the next one has a first answer of its own.
    Events are taken in the order given; one that a clock set back dates before the last counts as of the last.
    """
    done: list[Clock] = []
    answer: Clock | None = None
    matter: Clock | None = None
    answered = False
    latest: datetime | None = None
    for event in history:
        at = max(event.at.astimezone(UTC), latest) if latest else event.at.astimezone(UTC)
        latest = at
        match event.what:
            case What.ASKED:
                matter = _run(matter, at) if matter else _start(Promise.RESOLUTION, at)
                answer = _run(answer, at) if answer else _start(Promise.NEXT if answered else Promise.FIRST, at)
            case What.ANSWERED:
                done += [_end(answer, at)] if answer else []
                answer, answered = None, True
                matter = _pause(matter, at) if matter else None
            case What.WAITING:
                answer = _pause(answer, at) if answer else None
                matter = _pause(matter, at) if matter else None
            case What.RESUMED:
                answer = _run(answer, at) if answer else None
                matter = _run(matter, at) if matter else None
            case What.RESOLVED:
                done += [_end(clock, at) for clock in (answer, matter) if clock]
                answer, matter, answered = None, None, False
            case What.REOPENED if matter is None:
                matter, answered = _start(Promise.RESOLUTION, at), True
    done += [clock for clock in (answer, matter) if clock]
    return tuple(sorted(done, key=lambda clock: (clock.runs[0][0], list(Promise).index(clock.promise))))


def due(target: Allowance, clock: Clock, hours: Hours) -> datetime | None:
    """When the promise breaks or broke; None if it stands still before that, or ended in time."""
    return _reach(clock, hours, Fraction(1), target)


def warn_at(target: Allowance, clock: Clock, hours: Hours) -> datetime | None:
    """When the thread warns: a fifth of the target before `due`, at least ten minutes; None as with `due`."""
    share = 1 - WARN_SHARE
    if not target.days:
        least = Fraction(WARN_LEAST // timedelta(seconds=1), target.time // timedelta(seconds=1))
        share = 1 - min(max(WARN_SHARE, least), WARN_MOST)
    return _reach(clock, hours, share, target)


def standing(target: Allowance, clock: Clock, hours: Hours, now: datetime) -> Standing:
    """Say how a promise stands at a moment."""
    breaks, warns = due(target, clock, hours), warn_at(target, clock, hours)
    if breaks is not None and breaks < (clock.ended_at or now):
        state = State.BROKEN
    elif clock.ended_at is not None:
        state = State.MET
    elif clock.paused:
        state = State.PAUSED
    elif breaks is not None and breaks <= now:
        state = State.BROKEN
    elif warns is not None and warns <= now:
        state = State.WARNED
    else:
        state = State.RUNNING
    return Standing(promise=clock.promise, allowance=target, state=state, due=breaks, warn_at=warns)


def standings(
    history: Iterable[Event], targets: Targets, *, team: str, priority: Priority, hours: Hours, now: datetime
) -> tuple[Standing, ...]:
    """Say how the promises of the present matter stand, those that have ended left out."""
    return tuple(
        standing(target, clock, hours, now)
        for clock in clocks(history)
        if clock.ended_at is None and (target := targets.of(team, priority, clock.promise))
    )


def look_again(standings: Iterable[Standing], now: datetime) -> datetime | None:
    """The next moment when one of them changes by the clock alone: when the timer is due. None: no timer."""
    moments = (at for standing in standings for at in (standing.warn_at, standing.due) if at is not None and at > now)
    return min(moments, default=None)


def _reach(clock: Clock, hours: Hours, share: Fraction, target: Allowance) -> datetime | None:
    """When a clock has used a share of its target."""
    if target.days:
        left = share * target.days
        for start, end in clock.runs:
            at = hours.after_days(start, left)
            if at is not None and (end is None or at <= end):
                return at
            left -= hours.working_days(start, end) if end else 0
        return None
    rest = timedelta(microseconds=round(share * (target.time // timedelta(microseconds=1))))
    for start, end in clock.runs:
        at = hours.after(start, rest)
        if at is not None and (end is None or at <= end):
            return at
        rest -= hours.support_time(start, end) if end else timedelta()
    return None


def _start(promise: Promise, at: datetime) -> Clock:
    return Clock(promise=promise, runs=((at, None),))


def _run(clock: Clock, at: datetime) -> Clock:
    return replace(clock, runs=(*clock.runs, (at, None))) if clock.paused else clock


def _pause(clock: Clock, at: datetime) -> Clock:
    return clock if clock.paused else replace(clock, runs=(*clock.runs[:-1], (clock.runs[-1][0], at)))


def _end(clock: Clock, at: datetime) -> Clock:
    return replace(_pause(clock, at), ended_at=at)
