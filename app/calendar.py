"""The next two weeks of every team's support hours, as `santral check` prints them so that mistakes are seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from channels.channel import Finding
from routing.hours import Day, Hours
from routing.moments import moment
from routing.policy import Policy

DAYS = 14
DAY = 24 * 60  # minutes
AFTERNOON = 13 * 60  # half holidays begin at noon or one
NARROW, WIDE = 24, 48  # characters a day's bar has; each is drawn in halves: of an hour, or of half an hour
WIDE_FROM = 100  # columns of the terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The days of the teams that share these hours, the first of them today where the hours are kept."""

    teams: tuple[str, ...]
    hours: Hours
    now: datetime
    yesterday: Day  # its night shift may reach into the first day
    days: Sequence[Day]


def calendars(policy: Policy, now: datetime) -> list[Calendar]:
    """One for all teams with the same hours."""
    shared: dict[object, list[str]] = {}
    hours: dict[object, Hours] = {}
    for team in policy.teams.values():
        if team.hours is not None:
            same: object = (team.hours.text, team.hours.zone.key, team.hours.exceptions)
            shared.setdefault(same, []).append(team.name)
            hours[same] = team.hours
    found = []
    for same, names in shared.items():
        local = now.astimezone(hours[same].zone)
        yesterday, *days = hours[same].days(local.date() - timedelta(days=1), DAYS + 1)
        found.append(Calendar(teams=tuple(names), hours=hours[same], now=local, yesterday=yesterday, days=tuple(days)))
    return found


def findings(policy: Policy, now: datetime) -> Iterator[Finding]:
    """What is worth a look: when each team answers next, and days that are not as usual."""
    for calendar in calendars(policy, now):
        names, hours = ", ".join(calendar.teams), calendar.hours
        opens, closes = hours.opens_after(now), hours.closes_after(now)
        if hours.open_at(now):
            until = f" until {moment(closes, now, 'en', hours.zone).removeprefix('on ')}" if closes else ""
            state = f"open now{until}"
        elif opens is not None:
            state = f"closed, opens {moment(opens, now, 'en', hours.zone)}"
        else:
            state = "closed, and does not open within 60 days"
        special = "; ".join(f"{_date(day)} {why}" for day in calendar.days if (why := _why(day)))
        what = f"Support hours ({names}): {hours.text}; {state}{f'; {special}' if special else ''}."
        well = opens is not None or hours.open_at(now)
        yield Finding(ok=well, what=what, fix="" if well else _OPEN)
    for team in policy.teams.values():
        if team.hours is None:
            name = f"Support hours ({team.name})" if team.name else "Support hours"
            yield Finding(ok=True, what=f"{name}: none given, so customers are never told that you are closed.")


_OPEN = "Give it a day on which somebody answers, or take the hours away."


def _date(day: Day) -> str:
    return f"{day.date.day} {day.date:%B}"


def _why(day: Day) -> str:
    """What makes a day other than usual, "" for most; names a holiday that the hours take no notice of."""
    if day.exception:
        return "by exception " + (", ".join(day.spans) or "closed")
    if day.holiday:
        return f"open, though it is {day.holiday}" if day.spans else f"closed for {day.holiday}"
    if half := _half(day):
        return f"open all day, though it is {half}"
    return ""


def _half(day: Day) -> str:
    """The half holiday that the hours take no notice of, or ""."""
    if not day.half_holiday or all(end <= AFTERNOON for _, end in _minutes(day)):
        return ""
    return day.half_holiday if "(" in day.half_holiday else f"{day.half_holiday} (from noon)"


def drawn(policy: Policy, now: datetime) -> RenderableType | None:
    """The calendars as a picture for a terminal; None where no team has hours."""
    found = calendars(policy, now)
    return Picture(found) if found else None


@dataclass(frozen=True, slots=True)
class Picture:
    """Calendars below each other, as wide and with such signs as the terminal takes."""

    calendars: Sequence[Calendar]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        signs = _ASCII if options.ascii_only else _SIGNS
        length = WIDE if options.max_width >= WIDE_FROM else NARROW
        for calendar in self.calendars:
            yield Padding(_calendar(calendar, signs, length), (0, 2, 1, 2))
        key = f"{signs.full} open   {signs.none} closed   {signs.today} today"
        if any(end > DAY for calendar in self.calendars for day in calendar.days for _, end in _minutes(day)):
            key += "   a night shift stands with its first day"
        yield Padding(Text(key, style="dim"), (0, 2, 1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signs:
    none: str
    left: str
    right: str
    full: str
    today: str


_SIGNS = _Signs(none="·", left="▌", right="▐", full="█", today="▸")
_ASCII = _Signs(none=".", left="+", right="+", full="#", today=">")


def _calendar(calendar: Calendar, signs: _Signs, length: int) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for overflows in (False, False, True):
        table.add_column(no_wrap=not overflows, overflow="fold")
    table.add_row("", Text(_scale(length), style="dim"), "")
    for before, day in zip((calendar.yesterday, *calendar.days), calendar.days, strict=False):
        today = day.date == calendar.now.date()
        table.add_row(
            Text(
                f"{signs.today if today else ' '} {day.weekday[:2]} {day.date.day:2} {day.date:%b}",
                style="bold" if today else "" if day.spans else "dim",
            ),
            _bar(before, day, signs, length),
            _said(day),
        )
    title = Text(", ".join(calendar.teams), style="bold")
    title.append(f"   {calendar.hours.zone.key}, now {calendar.now:%H:%M}", style="not bold dim")
    return Group(title, table)


def _said(day: Day) -> Text:
    said = Text()
    said.append(", ".join(day.spans) or "closed", style="" if day.spans else "dim")
    if day.exception:
        said.append("  exception", style="yellow")
    elif day.holiday:
        said.append(f"  {day.holiday}{', yet open' if day.spans else ''}", style="yellow")
    elif half := _half(day):
        said.append(f"  {half}", style="yellow")
    return said


def _scale(length: int) -> str:
    """Hours above the bars, every third of them."""
    return "".join(f"{hour:<{length // 8}}" for hour in range(0, 24, 3))


def _bar(before: Day, day: Day, signs: _Signs, length: int) -> Text:
    """When somebody answers on a day, with what the night before reaches into it."""
    spans = [(start - DAY, end - DAY) for start, end in _minutes(before)] + _minutes(day)
    size = DAY // (2 * length)
    filled = [_fills(spans, at, size) for at in range(0, DAY, size)]
    halves = {(True, True): signs.full, (True, False): signs.left, (False, True): signs.right}
    cells = [halves.get(pair, signs.none) for pair in zip(filled[::2], filled[1::2], strict=True)]
    bar = Text()
    for closed, run in groupby(cells, key=lambda cell: cell == signs.none):
        bar.append("".join(run), style="dim" if closed else "green")
    return bar


def _fills(spans: Sequence[tuple[int, int]], at: int, size: int) -> bool:
    """Whether a piece of the day is open for half of its length, or has in it all of a shorter span."""
    open_for = sum(max(0, min(end, at + size) - max(start, at)) for start, end in spans)
    return 2 * open_for >= size or any(at <= start and end <= at + size for start, end in spans)


def _minutes(day: Day) -> list[tuple[int, int]]:
    """Spans as minutes of the day they begin on; what ends after midnight ends after minute 1,440."""
    found = []
    for span in day.spans:
        start, end = (int(hour) * 60 + int(minute) for hour, minute in (clock.split(":") for clock in span.split("-")))
        found.append((start, end if end > start else end + DAY))
    return found
