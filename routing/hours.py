"""Support hours: OpenStreetMap's `opening_hours` text, public holidays, dated exceptions, and what follows from them.

Rule: a span belongs to the day it begins on, so Thursday's night shift ends on Friday morning even if Friday is a
holiday. Every moment that is returned is in UTC: two moments of one zone with summer time cannot be subtracted.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from routing import holidays
from routing.hours_text import BadHours, Minutes, Rule, clock, read, spans

__all__ = ["BadHours", "Day", "Hours"]

Span = tuple[datetime, datetime]

HORIZON = timedelta(days=60)  # nobody plans further; a shop that opens later than that says so in words of its own
PATIENCE = 400  # days without support time after which a promise has no due moment: a closed season is shorter
PROBE = frozenset({2024, 2026})  # years in which a text must open: one has a leap day, the other a week 53
KEPT = 5_000  # days kept in memory, 13 years
FIRST_DAY, LAST_DAY = 3, date.max.toordinal() - 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One line of the calendar. `spans` are wall-clock times ("22:00-06:00"), `exception` the configured text or ""."""

    date: date
    weekday: str
    spans: tuple[str, ...]
    holiday: str = ""
    half_holiday: str = ""  # free from noon on, but the hours do not say so: worth a look
    exception: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When a team answers. Made by `parse`."""

    text: str
    zone: ZoneInfo
    country: str
    exceptions: tuple[tuple[date, str], ...] = ()
    rules: tuple[Rule, ...] = field(repr=False)
    dated: Mapping[date, Minutes] = field(default_factory=dict, repr=False, compare=False)
    _cache: dict[int, tuple[Span, ...]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, *, zone: ZoneInfo, country: str, exceptions: Mapping[date, str] | None = None) -> Hours:
        """Read hours such as `Mo-Fr 09:00-18:00; Sa 10:00-14:00; PH off`.

        `country` is an ISO code, with region where holidays differ ("DE-BY"); only a text with `PH` needs it. An
        exception replaces its day: "09:00-13:00", or "off". Raises `BadHours` with the part that is wrong and a fix.
        """
        rules = read(text)
        if any(rule.holidays for rule in rules) and not holidays.known(country):
            raise BadHours(
                f'the public holidays of "{country}" are not known, so PH means nothing: '
                "leave PH out and list the days under exceptions"
            )
        dated = {}
        for day, hours in sorted((exceptions or {}).items()):
            try:
                dated[day] = spans(hours)
            except BadHours as wrong:
                raise BadHours(f"exception {day.isoformat()}: {wrong}") from None
        made = cls(
            text=text.strip(),
            zone=zone,
            country=country,
            exceptions=tuple(sorted((exceptions or {}).items())),
            rules=rules,
            dated=dated,
        )
        made._probe()
        return made

    def open_at(self, at: datetime) -> bool:
        """Tell whether somebody answers at this moment; the moment of closing is closed."""
        at, today = self._locate(at)
        return any(start <= at < end for day in (today - 1, today) for start, end in self._spans(day))

    def opens_after(self, at: datetime) -> datetime | None:
        """Find the next moment when closed turns to open; None if there is none within 60 days."""
        at, today = self._locate(at)
        found = next((start for start, _ in self._stretches(today - 1) if start > at), None)
        return found if found is not None and found - at <= HORIZON else None

    def closes_after(self, at: datetime) -> datetime | None:
        """Find the next moment when open turns to closed; None if there is none within 60 days, as with `24/7`."""
        at, today = self._locate(at)
        found = next((end for _, end in self._stretches(today - 1) if end > at), None)
        return found if found is not None and found - at <= HORIZON else None

    def closed_since(self, at: datetime) -> datetime | None:
        """Find when the closed time began that holds at this moment; None while open or after 400 closed days."""
        if self.open_at(at):
            return None
        at, today = self._locate(at)
        for day in range(today, max(FIRST_DAY, today - PATIENCE), -1):
            for _, end in reversed(self._spans(day)):
                if end <= at:
                    return end
        return None

    def support_time(self, start: datetime, end: datetime) -> timedelta:
        """Measure the support time between two moments; none if the clock went backwards."""
        end = end.astimezone(UTC)
        return sum((min(stop, end) - begin for begin, stop, _ in self._work(start, end)), timedelta())

    def after(self, start: datetime, duration: timedelta) -> datetime | None:
        """Find the moment when so much support time has passed since `start`; None if it never does.

        When that is as a span ends, it is the moment of closing, not of the next opening.
        """
        left = duration
        if left <= timedelta():
            return start.astimezone(UTC)
        for begin, stop, _ in self._work(start, None):
            if left <= stop - begin:
                return begin + left
            left -= stop - begin
        return None

    def working_days(self, start: datetime, end: datetime) -> Fraction:
        """Measure in working days: each local day with support time is one, spread evenly over its own hours."""
        end = end.astimezone(UTC)
        parts = (_share(min(stop, end) - begin, whole) for begin, stop, whole in self._work(start, end))
        return sum(parts, Fraction())

    def after_days(self, start: datetime, days: Fraction) -> datetime | None:
        """Find the moment when so many working days have passed; to the microsecond, None if they never do."""
        left = days
        if left <= 0:
            return start.astimezone(UTC)
        for begin, stop, whole in self._work(start, None):
            share = _share(stop - begin, whole)
            if left <= share:
                return begin + timedelta(microseconds=round(left * (whole // timedelta(microseconds=1))))
            left -= share
        return None

    def days(self, first: date, count: int) -> list[Day]:
        """List days as a calendar, so that a mistake is seen before a customer meets it."""
        given = dict(self.exceptions)
        return [
            Day(
                date=day,
                weekday=calendar.day_name[day.weekday()],
                spans=tuple(f"{clock(start)}-{clock(end)}" for start, end in self._minutes(day)),
                holiday=holidays.name(self.country, day),
                half_holiday=holidays.half(self.country, day),
                exception=given.get(day, ""),
            )
            for day in (first + timedelta(days=offset) for offset in range(count))
        ]

    def _locate(self, at: datetime) -> tuple[datetime, int]:
        if at.tzinfo is None:
            raise ValueError("a moment without a time zone has no support hours")
        return at.astimezone(UTC), at.astimezone(self.zone).toordinal()

    def _minutes(self, day: date) -> Minutes:
        if day in self.dated:
            return self.dated[day]
        found: Minutes = ()
        for rule in self.rules:
            found = rule.on(day, self._holiday, found)
        return found

    def _holiday(self, day: date) -> bool:
        return bool(holidays.name(self.country, day))

    def _spans(self, ordinal: int) -> tuple[Span, ...]:
        """The spans that begin on a day, in order, without what the night before reaches into them."""
        known = self._cache.get(ordinal)
        if known is not None:
            return known
        if not FIRST_DAY <= ordinal <= LAST_DAY:
            return ()
        night = self._minutes(date.fromordinal(ordinal - 1))
        floor = self._instant(ordinal - 1, night[-1][1], closing=True) if night else datetime.min.replace(tzinfo=UTC)
        found: list[Span] = []
        for opening, closing in self._minutes(date.fromordinal(ordinal)):
            start = max(self._instant(ordinal, opening, closing=False), floor)
            floor = max(self._instant(ordinal, closing, closing=True), floor)
            if start < floor:
                found.append((start, floor))
        if len(self._cache) >= KEPT:
            self._cache.clear()
        self._cache[ordinal] = tuple(found)
        return self._cache[ordinal]

    def _instant(self, ordinal: int, minute: int, *, closing: bool) -> datetime:
        """The moment of a wall-clock time. What the clock shows twice opens at the first and closes at the second;
        what it skips is the moment of the skip."""
        wall = datetime.fromordinal(ordinal) + timedelta(minutes=minute)
        moment = wall.replace(tzinfo=self.zone, fold=int(closing)).astimezone(UTC)
        if moment.astimezone(self.zone).replace(tzinfo=None, fold=0) == wall:
            return moment
        before = wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        after = wall.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
        offset = before.astimezone(self.zone).utcoffset()
        while after - before > timedelta(seconds=1):
            middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
            if middle.astimezone(self.zone).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after

    def _stretches(self, first: int) -> Iterator[Span]:
        """Spans from a day on for a little more than the horizon, those that touch joined into one."""
        whole: Span | None = None
        for ordinal in range(first, first + HORIZON.days + 5):
            for start, end in self._spans(ordinal):
                if whole is not None and start <= whole[1]:
                    whole = (whole[0], end)
                    continue
                if whole is not None:
                    yield whole
                whole = (start, end)
        if whole is not None:
            yield whole

    def _work(self, start: datetime, end: datetime | None) -> Iterator[tuple[datetime, datetime, timedelta]]:
        """Support time from `start` on, up to a span that reaches `end`, each with the whole of its day."""
        start, today = self._locate(start)
        idle = 0
        for ordinal in range(today - 1, LAST_DAY):
            spans = self._spans(ordinal)
            idle = 0 if spans else idle + 1
            if idle > PATIENCE and end is None:
                return
            whole = sum((stop - begin for begin, stop in spans), timedelta())
            for begin, stop in spans:
                if end is not None and begin >= end:
                    return
                if stop > start:
                    yield max(begin, start), stop, whole
            if end is not None and date.fromordinal(ordinal) > end.date() + timedelta(days=2):
                return

    def _probe(self) -> None:
        """Refuse a text that never opens, and a rule that another one undoes on all its days."""
        opening = {number for number, rule in enumerate(self.rules) if not rule.off}
        heard: set[int] = set()
        undone: set[int] = set()
        named = {year for rule in self.rules for year in rule.named_years()}
        for year in sorted(named | PROBE):
            for ordinal in range(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal() + 1):
                if len(heard) == len(self.rules):
                    return
                self._listen(date.fromordinal(ordinal), heard, undone)
        if not heard & opening:
            raise BadHours(f'"{self.text}" is never open: write hours such as Mo-Fr 09:00-18:00')
        for number in sorted((opening | undone) - heard):
            rule = self.rules[number]
            if rule.off:
                raise BadHours(f'"{rule.text}" has no effect: a later part opens its days again, so put it last')
            raise BadHours(
                f'"{rule.text}" has no effect: a later part replaces it on all its days; '
                "several spans of a day are joined by a comma, as in Mo-Fr 09:00-12:00,13:00-18:00"
            )

    def _listen(self, day: date, heard: set[int], undone: set[int]) -> None:
        """Note which rules have a say on a day, and which closings later rules undo."""
        last: set[int] = set()
        closings: set[int] = set()
        found: Minutes = ()
        for number, rule in enumerate(self.rules):
            before, found = found, rule.on(day, self._holiday, found)
            if not rule.matches(day, self._holiday):
                continue
            if rule.off:
                closings |= {number} if rule.selects else set()
                last = last | {number} if before != found else last
            else:
                last = {*last, number} if rule.adds else {number}
        if found:
            undone |= closings - last
        heard |= last if found else {number for number in last if self.rules[number].off}


def _share(part: timedelta, whole: timedelta) -> Fraction:
    return Fraction(part // timedelta(microseconds=1), whole // timedelta(microseconds=1))
