"""Reads OpenStreetMap's `opening_hours` text: the part of the language that says when people work.

Rule: a text that could be meant in two ways is refused with the right way to write it; what depends on the sun, on
school holidays or on somebody's mood ("10:00+", "unknown") is no support hours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NoReturn

Minutes = tuple[tuple[int, int], ...]  # since midnight of the day a span begins on, in order, without overlaps

WHOLE_DAY: Minutes = ((0, 1440),)
DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# What people write for a day when they do not know the short names, in the languages of our own texts.
_MEANT = {
    "Mo": "mon monday pzt pazartesi montag пн понедельник",
    "Tu": "tue tues tuesday sal salı sali di dienstag вт вторник",
    "We": "wed wednesday çar çarşamba carsamba mi mittwoch ср среда",
    "Th": "thu thur thurs thursday per perşembe persembe do donnerstag чт четверг",
    "Fr": "fri friday cum cuma freitag пт пятница",
    "Sa": "sat saturday cmt cumartesi samstag сб суббота",
    "Su": "sun sunday paz pazar so sonntag вс воскресенье",
    "PH": "holiday holidays tatil feiertag feiertage bayram праздник праздники",
    "off": "kapalı kapali zu geschlossen выходной закрыто",
}
_CORRECT = {word: right for right, words in _MEANT.items() for word in words.split()}
_REFUSED = (
    (r"\|\|", 'fallback rules ("||") are not understood: join rules with ";"'),
    (r"\b(?:sunrise|sunset|dawn|dusk)\b", '"{}" changes every day: write a time such as 18:00'),
    (r"\bunknown\b", '"{}" promises nothing: write "off" or hours'),
    (r"\bSH\b", "school holidays (SH) are not known: write dates, as in Jul 01-Aug 31"),
    (r"\beaster\b", '"{}" is not understood: it is among the public holidays (PH), other days are exceptions'),
    (r"\d\d?:\d\d\s*\+", '"{}" has no end: write when it ends, as in 10:00-18:00'),
)
_HALF_DAY = re.compile(r"\b(\d{1,2})(?:[:.](\d{2}))?\s*([ap])\.?m\b\.?", re.IGNORECASE)
_DOTTED = re.compile(r"\b(\d{1,2})[.hH](\d{2})\b")
_TOKEN = re.compile(
    r'(?P<comment>"[^"]*")|(?P<always>24/7)|(?P<time>\d{1,2}:\d{2}(?!\d))|(?P<number>\d+)|(?P<word>[^\W\d_]+)|(?P<sign>\S)'
)
_DASHES = str.maketrans("–—−‑", "----")


class BadHours(ValueError):
    """The text does not say when support is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """From one date to another, both included: (year or 0 for every year, month, day)."""

    first: tuple[int, int, int]
    last: tuple[int, int, int]

    def holds(self, day: date) -> bool:
        if self.first[0]:
            return self.first <= (day.year, day.month, day.day) <= self.last
        here, first, last = (day.month, day.day), self.first[1:], self.last[1:]
        return first <= here <= last if first <= last else here >= first or here <= last


@dataclass(frozen=True, slots=True, kw_only=True)
class Weeks:
    """ISO weeks from one to another, every `step`-th."""

    first: int
    last: int
    step: int = 1

    def holds(self, day: date) -> bool:
        week = day.isocalendar().week
        return self.first <= week <= self.last and (week - self.first) % self.step == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One part of the text: which days, and what of them."""

    text: str
    adds: bool = False  # came after a comma: adds to the day instead of replacing it
    off: bool = False
    dates: tuple[Dates, ...] = ()
    weeks: tuple[Weeks, ...] = ()
    weekdays: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()  # (weekday, which of the month; -1 the last)
    holidays: frozenset[int] = frozenset()  # days from a public holiday: 0 itself, -1 its eve
    both: bool = False  # a public holiday that is such a weekday; else one of the two is enough
    times: Minutes = ()  # none: the whole day

    def matches(self, day: date, holiday: Callable[[date], bool]) -> bool:
        if self.dates and not any(dates.holds(day) for dates in self.dates):
            return False
        if self.weeks and not any(weeks.holds(day) for weeks in self.weeks):
            return False
        if not (self.weekdays or self.nth or self.holidays):
            return True
        weekday = day.weekday()
        named = weekday in self.weekdays or any(
            day_of_week == weekday and _which(day, number) for day_of_week, number in self.nth
        )
        if named and not self.both:
            return True
        free = any(holiday(day - timedelta(days=offset)) for offset in self.holidays)
        return free and named if self.both else free

    @property
    def selects(self) -> bool:
        """Tell whether it speaks of some days only."""
        return bool(self.dates or self.weeks or self.weekdays or self.nth or self.holidays)

    def on(self, day: date, holiday: Callable[[date], bool], before: Minutes) -> Minutes:
        """The spans of a day after this rule, given those that earlier rules left."""
        if not self.matches(day, holiday):
            return before
        if self.off:
            return _without(before, self.times) if self.times else ()
        times = self.times or WHOLE_DAY
        return join(before + times) if self.adds else times

    def named_years(self) -> frozenset[int]:
        return frozenset(year for dates in self.dates for year, _, _ in (dates.first, dates.last) if 0 < year < 9999)


def read(text: str) -> tuple[Rule, ...]:
    """Read a whole text. Raises `BadHours`."""
    return _Reader(text).rules()


def spans(text: str) -> Minutes:
    """Read the hours of one day: "09:00-12:00,13:00-18:00", or "off". Raises `BadHours`."""
    rules = read(text)
    if len(rules) != 1 or rules[0].selects:
        raise BadHours(f'"{text}" must be the hours of one day, as in 09:00-13:00 or 09:00-12:00,13:00-18:00, or off')
    return () if rules[0].off else rules[0].times or WHOLE_DAY


def clock(minute: int) -> str:
    """Minutes since midnight as a wall clock shows them; midnight at the end of a day is 24:00."""
    return "24:00" if minute == 1440 else f"{minute // 60 % 24:02}:{minute % 60:02}"


def join(minutes: Minutes) -> Minutes:
    """Order spans and join those that touch."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(minutes):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return tuple(found)


def _without(minutes: Minutes, removed: Minutes) -> Minutes:
    for begin, stop in removed:
        minutes = tuple(
            (first, last)
            for start, end in minutes
            for first, last in ((start, min(end, begin)), (max(start, stop), end))
            if first < last
        )
    return minutes


def _which(day: date, number: int) -> bool:
    if number > 0:
        return (day.day - 1) // 7 + 1 == number
    following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return ((following - day).days - 1) // 7 + 1 == -number


class _Reader:
    """Walks over the parts of a text, one method per kind of part."""

    def __init__(self, text: str) -> None:
        self.text = text.translate(_DASHES).strip()
        self._refuse()
        self.tokens = [(found.lastgroup or "", found.group(), found.start()) for found in _TOKEN.finditer(self.text)]
        self.at = 0

    def rules(self) -> tuple[Rule, ...]:
        if not self.tokens:
            raise BadHours("there are no hours: write hours such as Mo-Fr 09:00-18:00, or 24/7")
        found = [self.rule(adds=False)]
        while self.kind():
            if self.take(","):
                found.append(self.rule(adds=True))
            elif not self.take(";"):
                self.wrong()
            elif self.kind():
                found.append(self.rule(adds=False))
        return tuple(found)

    def rule(self, *, adds: bool) -> Rule:
        begin = self.at
        times: Minutes = WHOLE_DAY if self.kind() == "always" and self.step() else ()
        dates: tuple[Dates, ...] = ()
        weeks: tuple[Weeks, ...] = ()
        if not times:
            dates = self.dates()
            weeks = self.weeks()
        self.take(":")
        weekdays, nth, holidays, both = self.weekdays()
        self.take(":")
        if not times and self.kind() == "time":
            times = self.times()
        elif not times and self.kind() == "number":
            self.wrong()
        off, said = self.modifier()
        while self.kind() == "comment":
            self.step()
        if self.at == begin or all(token[0] == "comment" for token in self.tokens[begin : self.at]):
            self.wrong()
        text = self.text[self.tokens[begin][2] : self.tokens[self.at][2] if self.kind() else None].strip(" ;,")
        if holidays and not weekdays and not nth and not times and not said:
            raise BadHours(f'"{text}" does not say what is on public holidays: write "PH off", or "PH 10:00-14:00"')
        return Rule(
            text=text,
            adds=adds,
            off=off,
            dates=dates,
            weeks=weeks,
            weekdays=weekdays,
            nth=nth,
            holidays=holidays,
            both=both,
            times=times,
        )

    def dates(self) -> tuple[Dates, ...]:
        found: list[Dates] = []
        while True:
            year = self.year()
            if self.month() is None:
                if not year:
                    break
                last = year
                if self.take("-"):
                    last = self.year() or self.wrong()
                elif self.take("+"):
                    last = 9999
                found.append(Dates(first=(year, 1, 1), last=(last, 12, 31)))
            else:
                found.extend(self.days_of(year))
            following = self.tokens[self.at + 1 : self.at + 2]
            if self.value() != "," or not following or not (_month(following[0][1]) or _year(following[0][1])):
                break
            self.step()
        return tuple(found)

    def days_of(self, year: int) -> list[Dates]:
        """One month with what follows it: `Dec`, `Jun-Aug`, `Dec 24`, `Dec 24-26`, `Dec 24,31`, `Dec 24-Jan 02`."""
        month = self.month() or self.wrong()
        self.step()
        day = self.day(month)
        found = [self.range(year, month, day)]
        while day and self.value() == "," and self.kind(1) == "number" and not _year(self.value(1)):
            self.step()
            found.append(self.range(year, month, self.day(month)))
        return found

    def range(self, year: int, month: int, day: int) -> Dates:
        last_year, last_month, last_day = year, month, day
        if self.take("-"):
            last_year = self.year() or year
            if bool(last_year) != bool(year):
                self.wrong()
            if self.month() is not None:
                last_month = self.month() or 0
                self.step()
                last_day = self.day(last_month)
            elif self.kind() == "number" and day:
                last_day = self.day(month)
            else:
                self.wrong()
        first, last = (year, month, day or 1), (last_year, last_month, last_day or LENGTHS[last_month - 1])
        if year and last < first:
            last = (last_year + 1, *last[1:])
        return Dates(first=first, last=last)

    def weeks(self) -> tuple[Weeks, ...]:
        if self.value().lower() != "week":
            return ()
        self.step()
        found = []
        while True:
            first = self.number(1, 53, "week")
            last = self.number(1, 53, "week") if self.take("-") else first
            found.append(Weeks(first=first, last=last, step=self.number(1, 53, "step") if self.take("/") else 1))
            if self.value() != "," or self.kind(1) != "number":
                return tuple(found)
            self.step()

    def weekdays(self) -> tuple[frozenset[int], frozenset[tuple[int, int]], frozenset[int], bool]:
        weekdays: set[int] = set()
        nth: set[tuple[int, int]] = set()
        holidays: set[int] = set()
        both = False
        while self.kind() == "word" and self.value().lower() not in ("off", "closed", "open"):
            if self.value().upper() == "PH":
                self.step()
                holidays.add(self.offset())
            else:
                first = self.weekday()
                if self.take("["):
                    nth |= {(first, number) for number in self.places()}
                elif self.take("-"):
                    last = self.weekday()
                    weekdays |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
                else:
                    weekdays.add(first)
            if self.value() == "," and self.kind(1) == "word":
                self.step()
            elif holidays and not weekdays and not nth and self.kind() == "word" and _weekday(self.value()) is not None:
                both = True
            else:
                break
        return frozenset(weekdays), frozenset(nth), frozenset(holidays), both

    def offset(self) -> int:
        """`PH -1 day`: the eve of a holiday."""
        if self.value() not in ("+", "-"):
            return 0
        sign = -1 if self.value() == "-" else 1
        self.step()
        number = self.number(1, 7, "number of days")
        if self.value().lower() not in ("day", "days"):
            raise BadHours(f'"PH {"+" if sign > 0 else "-"}{number}" lacks the word: write PH {sign * number:+} day')
        self.step()
        return sign * number

    def places(self) -> set[int]:
        """`[1]`, `[-1]`, `[1,3]`, `[1-2]`: which of the month's."""
        found: set[int] = set()
        while True:
            sign = -1 if self.take("-") else 1
            first = self.number(1, 5, "place in the month")
            last = self.number(first, 5, "place in the month") if self.take("-") else first
            found |= {sign * number for number in range(first, last + 1)}
            if self.take("]"):
                return found
            if not self.take(","):
                self.wrong()

    def times(self) -> Minutes:
        found = []
        while True:
            start, start_text = self.time(), self.value(-1)
            if not self.take("-"):
                raise BadHours(f'"{start_text}" has no end: write a span such as {start_text}-18:00')
            if self.kind() != "time":
                self.wrong()
            end, end_text = self.time(), self.value(-1)
            if start == 1440:
                raise BadHours(f'"{start_text}-{end_text}" begins when the day is over: write 00:00 of the next day')
            if start == end:
                raise BadHours(f'"{start_text}-{end_text}" begins as it ends: the whole day is 00:00-24:00')
            found.append((start, end if end > start else end + 1440))
            if self.value() != "," or self.kind(1) != "time":
                return join(tuple(found))
            self.step()

    def time(self) -> int:
        text = self.value()
        hour, minute = (int(part) for part in text.split(":"))
        if hour * 60 + minute > 1440 or minute > 59:
            late = "; what ends after midnight is written 22:00-02:00" if 24 <= hour < 36 and minute < 60 else ""
            raise BadHours(f'"{text}" is no time of day: it goes from 00:00 to 24:00{late}')
        self.step()
        return hour * 60 + minute

    def modifier(self) -> tuple[bool, bool]:
        said = self.value().lower()
        if said in ("off", "closed", "open"):
            self.step()
            return said != "open", True
        return False, False

    def weekday(self) -> int:
        found = _weekday(self.value())
        if found is None:
            self.wrong()
        self.step()
        return found

    def day(self, month: int) -> int:
        """The day of a month, 0 if none is named."""
        if self.kind() != "number" or _year(self.value()):
            return 0
        return self.number(1, LENGTHS[month - 1], f"day of {MONTHS[month - 1]}")

    def month(self) -> int | None:
        return _month(self.value()) if self.kind() == "word" else None

    def year(self) -> int:
        if self.kind() != "number" or not _year(self.value()):
            return 0
        self.step()
        return int(self.value(-1))

    def number(self, least: int, most: int, what: str) -> int:
        if self.kind() != "number":
            self.wrong()
        if not least <= int(self.value()) <= most:
            raise BadHours(f'"{self.value()}" is no {what}: it goes from {least} to {most}')
        self.step()
        return int(self.value(-1))

    def kind(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead][0] if self.at + ahead < len(self.tokens) else ""

    def value(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead][1] if 0 <= self.at + ahead < len(self.tokens) else ""

    def step(self) -> bool:
        self.at += 1
        return True

    def take(self, sign: str) -> bool:
        return self.value() == sign and self.step()

    def wrong(self) -> NoReturn:
        """Say what the present part is instead of what it must be."""
        value, word = self.value(), self.value().lower()
        if not value:
            raise BadHours(f'"{self.text}" ends too early: write hours such as Mo-Fr 09:00-18:00')
        if word in _CORRECT:
            raise BadHours(f'"{value}" is not understood: write {_CORRECT[word]}')
        if _weekday(value) is not None or word == "ph":
            raise BadHours(
                f'"{value}" is not expected here: days stand before their hours, and rules are joined by ";"'
            )
        if self.month() is not None or word == "week":
            raise BadHours(f'"{value}" comes too late: months and weeks stand before days, as in Dec Mo-Fr 09:00-18:00')
        if month := next((month for month in MONTHS if word.startswith(month.lower())), ""):
            raise BadHours(f'"{value}" is not understood: write {month}')
        if self.kind() == "number" and len(value) <= 4:
            hour = value[:-2].zfill(2) if len(value) > 2 else value.zfill(2)
            raise BadHours(f'"{value}" is no time: write {hour}:{value[-2:] if len(value) > 2 else "00"}')
        if self.kind() == "word":
            raise BadHours(f'"{value}" is no day: the days are {" ".join(DAYS)}, and PH for public holidays')
        before = self.text[: self.tokens[self.at][2]].strip()
        where = f'after "{before}"' if before else "at the beginning"
        raise BadHours(f'"{value}" is not expected {where}: write hours such as Mo-Fr 09:00-18:00')

    def _refuse(self) -> None:
        """Name common ways of writing hours that the language does not have."""
        plain = re.sub(r'"[^"]*"', "", self.text)
        if found := _HALF_DAY.search(plain):
            hour = int(found[1]) % 12 + (12 if found[3].lower() == "p" else 0)
            raise BadHours(f'"{found[0]}" is not understood: write {hour:02}:{found[2] or "00"}')
        if found := _DOTTED.search(plain):
            raise BadHours(f'"{found[0]}" is not understood: write {int(found[1]):02}:{found[2]}')
        for pattern, words in _REFUSED:
            if found := re.search(pattern, plain):
                raise BadHours(words.format(found[0]))


def _weekday(word: str) -> int | None:
    return next((number for number, day in enumerate(DAYS) if day.lower() == word.lower()), None)


def _month(word: str) -> int | None:
    return next((number for number, month in enumerate(MONTHS, 1) if month.lower() == word.lower()), None)


def _year(word: str) -> bool:
    return len(word) == 4 and word.isdecimal() and 1900 <= int(word) < 3000
