"""What agents choose from in Slack's windows, taken from the policy in force; hours and the next opening in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from itertools import groupby

from babel import Locale, UnknownLocaleError
from babel.dates import get_day_names

from desk.offers import Offers
from routing.hours import Day, Hours
from routing.moments import moment
from routing.policy import Policy
from routing.weighing import TAGS

WEEKS = 4  # looked at to find a day of each name that is no holiday


def offers(policy: Callable[[], Policy], now: Callable[[], datetime]) -> Callable[[], Offers]:
    """A function that answers what can be chosen at the moment."""

    def offered() -> Offers:
        held = policy()
        own = sorted(held.rules.tags.difference(TAGS))

        def looked_up(team: str, language: str) -> Mapping[str, str]:
            return in_words(held.team(team).hours, language, now())

        return Offers(
            tags=(*TAGS, *own),
            languages=held.languages,
            replies=held.replies,
            approved=held.approved,
            looked_up=looked_up,
        )

    return offered


def in_words(hours: Hours | None, language: str, now: datetime) -> dict[str, str]:
    """The variables `hours`, and `opening` while it is closed, in words of a language (BCP 47). Empty without hours."""
    if hours is None:
        return {}
    found = {"hours": week(hours, language, now.astimezone(hours.zone).date())}
    opens = None if hours.open_at(now) else hours.opens_after(now)
    if opens is not None:
        found["opening"] = moment(opens, now, language, hours.zone)
    return found


def week(hours: Hours, language: str, today: date) -> str:
    """The usual week on one line, such as "Mon–Fri 09:00–18:00, Sat 10:00–14:00"; days that are closed are left out."""
    try:
        names = get_day_names("abbreviated", locale=Locale.parse(language.replace("-", "_").partition("_")[0]))
    except (UnknownLocaleError, ValueError):
        names = get_day_names("abbreviated", locale="en")
    usual: dict[int, Day] = {}
    for day in hours.days(today, 7 * WEEKS):
        special = bool(day.holiday or day.half_holiday or day.exception)
        if day.date.weekday() not in usual and not special:
            usual[day.date.weekday()] = day
    spans = [(weekday, ", ".join(day.spans).replace("-", "–")) for weekday, day in sorted(usual.items())]
    parts = []
    for times, run in groupby(spans, key=lambda one: one[1]):
        days = [weekday for weekday, _ in run]
        if times:
            named = names[days[0]] if len(days) == 1 else f"{names[days[0]]}–{names[days[-1]]}"
            parts.append(f"{named} {times}")
    return ", ".join(parts)
