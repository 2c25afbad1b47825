"""A moment in words, as it stands at the end of a sentence such as "A person will answer you …": "on Monday at 09:00".

Rule: one short function a language, written by somebody who speaks it; a language without one gets figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date, get_timezone_gmt

SOON = 7  # days in which a weekday alone says which day is meant

# "saat 13.40'ta": the suffix follows the last number spoken, on the hour the hour itself. 0 is read "sıfır".
_TURKISH = {
    0: "da", 1: "de", 2: "de", 3: "te", 4: "te", 5: "te", 6: "da", 7: "de", 8: "de", 9: "da",
    10: "da", 20: "de", 30: "da", 40: "ta", 50: "de",
}  # fmt: skip
_DATES = {"de": ("d. MMMM", "d. MMMM y"), "ru": ("d MMMM", "d MMMM y 'года'")}
_RUSSIAN = ("в понедельник", "во вторник", "в среду", "в четверг", "в пятницу", "в субботу", "в воскресенье")


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """What a sentence needs: the local moment, how many days ahead, and its names in the language."""

    local: datetime
    ahead: int  # days, by the calendar of the place
    weekday: str
    date: str  # "" when the weekday alone is clear enough

    @property
    def clock(self) -> str:
        return f"{self.local:%H:%M}"


def moment(at: datetime, now: datetime, language: str, zone: ZoneInfo, *, offset: bool = False) -> str:
    """Say a coming moment in words of a language (BCP 47), on the calendar and clock of `zone`.

    With `offset` the zone is added as "(GMT+03:00)", for a reader who may live by another clock.
    """
    local, today = at.astimezone(zone), at.astimezone(zone).date() - now.astimezone(zone).date()
    base = language.replace("_", "-").partition("-")[0].lower()
    say = _LANGUAGES.get(base)
    if say is None:
        said = f"{local:%Y-%m-%d %H:%M}"
    else:
        this_year, other_year = _DATES.get(base, ("d MMMM", "d MMMM y"))
        pattern = this_year if local.year == now.astimezone(zone).year else other_year
        near = 0 <= today.days < SOON
        when = When(
            local=local,
            ahead=today.days,
            weekday=format_date(local, "EEEE", locale=base),
            date="" if near else format_date(local, pattern, locale=base),
        )
        said = say(when)
    return f"{said} ({get_timezone_gmt(at.astimezone(zone), width='long', locale='en')})" if offset else said


def _turkish(when: When) -> str:
    clock = f"{when.clock}'{turkish_suffix(when.local.hour, when.local.minute)}"
    if when.date:
        return f"{when.date} {when.weekday} {clock}"
    return f"{_near(when, 'bugün', 'yarın') or when.weekday} {clock}"


def _russian(when: When) -> str:
    day = _near(when, "сегодня", "завтра") or _RUSSIAN[when.local.weekday()]
    return f"{day}, {when.date}, в {when.clock}" if when.date else f"{day} в {when.clock}"


def _english(when: When) -> str:
    day = _near(when, "today", "tomorrow") or f"on {when.weekday}"
    return f"{day}, {when.date}, at {when.clock}" if when.date else f"{day} at {when.clock}"


def _german(when: When) -> str:
    day = _near(when, "heute", "morgen") or f"am {when.weekday}"
    return f"{day}, dem {when.date}, um {when.clock} Uhr" if when.date else f"{day} um {when.clock} Uhr"


def _arabic(when: When) -> str:
    day = _near(when, "اليوم", "غدًا") or f"يوم {when.weekday}"
    return f"{day} {when.date} الساعة {when.clock}" if when.date else f"{day} الساعة {when.clock}"


def turkish_suffix(hour: int, minute: int) -> str:
    """The locative after a clock time: 09:00'da, 10:20'de, 08:05'te, 13:40'ta."""
    number = minute or hour
    return _TURKISH[number % 10 or number]


def _near(when: When, today: str, tomorrow: str) -> str:
    return {0: today, 1: tomorrow}.get(when.ahead, "")


_LANGUAGES: Mapping[str, Callable[[When], str]] = {
    "tr": _turkish,
    "ru": _russian,
    "en": _english,
    "de": _german,
    "ar": _arabic,
}
