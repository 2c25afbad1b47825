"""What the contact page shows: whether somebody is there, the coming week, the ways to write.

Rule: the texts are the files in `app/pages/texts/`, one a language, all with the same keys. Pure but for reading them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import unquote, urlsplit

from babel import Locale
from babel.dates import format_date, get_timezone_location
from jinja2 import Environment, FunctionLoader, StrictUndefined

from app.contact_holidays import Named, named
from routing.hours import Day, Hours
from routing.moments import SOON
from templates.catalog import Catalog, Voice

WEEK = 7  # days that are listed
FOLDER = files("app").joinpath("pages")
ASSETS = {"contact.css": "text/css", "contact.js": "text/javascript", "icon.svg": "image/svg+xml"}
SCHEMES = frozenset({"https", "http", "mailto", "sms", "tel"})  # of links that a page may carry
SAME_DAY = timedelta(hours=24)  # a closing time this near needs no day


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Whether somebody is there. `at` is when that changes, None where it is not soon; `words` say it for the shop."""

    open: bool
    at: datetime | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLine:
    """One line of the week. `spans` are clock times of the shop, none on a closed day.

    `holiday` is what the day is called where that is in another language than the page.
    """

    weekday: str
    date: str
    iso: str
    spans: tuple[str, ...]
    note: str
    today: bool
    holiday: Named | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to write: what kind it is, where its link leads, and how that is called in print."""

    kind: str
    link: str
    shown: str


@cache
def texts() -> Catalog:
    """The words of the pages in every language there is."""
    found = {
        file.name.removesuffix(".toml"): tomllib.loads(file.read_text(encoding="utf-8"))
        for file in sorted(FOLDER.joinpath("texts").iterdir(), key=lambda file: file.name)
        if file.name.endswith(".toml")
    }
    return Catalog(texts=found)


def languages(wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of the wanted languages that the pages have words in, in their order; English where there is none."""
    known = texts().texts
    return tuple(one for one in wanted if one.partition("-")[0].lower() in known) or ("en",)


def render(template: str, language: str, values: Mapping[str, Any]) -> str:
    """A page. Whatever is put into it is escaped."""
    return _environment().get_template(template).render(say=Voice(catalog=texts(), lang=language), **values)


@cache
def asset(name: str) -> tuple[bytes, str]:
    """A file that pages load, and its media type. Raises `KeyError` for a name that is none."""
    media_type = ASSETS[name]
    return FOLDER.joinpath(name).read_bytes(), media_type


def status(hours: Hours, now: datetime, language: str) -> Status:
    """Whether somebody is there, and until or from when, on the clock of the shop."""
    if hours.open_at(now):
        closes = hours.closes_after(now)
        soon = closes if closes is not None and closes - now < SAME_DAY else None
        return Status(open=True, at=soon, words=f"{soon.astimezone(hours.zone):%H:%M}" if soon else "")
    opens = hours.opens_after(now)
    return Status(open=False, at=opens, words=_when(opens, now, hours, language) if opens else "")


def week(hours: Hours, now: datetime, language: str, shop: Sequence[str]) -> tuple[DayLine, ...]:
    """The coming days. A holiday is named in the visitor's language, else in one of the shop's.

    Loads the public holidays of a country at its first call, which takes half a second.
    """
    today = now.astimezone(hours.zone).date()
    locale, say = _locale(language), Voice(catalog=texts(), lang=language)

    def line(day: Day) -> DayLine:
        holiday = named(hours.country, day.date, (language, *shop)) if day.holiday else None
        own = holiday is not None and holiday.language == locale.language
        return DayLine(
            weekday=_capital(format_date(day.date, "EEEE", locale=locale), locale),
            date=format_date(day.date, "d MMMM", locale=locale),
            iso=day.date.isoformat(),
            spans=tuple(span.replace("-", "–") for span in day.spans),
            note=holiday.text if holiday and own else _note(day, say),
            today=day.date == today,
            holiday=None if own else holiday,
        )

    return tuple(map(line, hours.days(today, WEEK)))


def place(hours: Hours, now: datetime, language: str) -> str:
    """By whose clock the hours are: "Istanbul (GMT+3)"."""
    locale = _locale(language)
    city = get_timezone_location(hours.zone, locale=locale, return_city=True)
    minutes = (now.astimezone(hours.zone).utcoffset() or timedelta()) // timedelta(minutes=1)
    left = f":{abs(minutes) % 60:02}" if minutes % 60 else ""
    return f"{city} (GMT{'-' if minutes < 0 else '+'}{abs(minutes) // 60}{left})"


def way(kind: str, link: str) -> Way | None:
    """How a link is shown. None for a link that may not stand on a page."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    if not parts.scheme and link.startswith("/") and not link.startswith("//"):
        return Way(kind=kind, link=link.lstrip("/"), shown="")  # of our own: beside this page, whatever stands before
    if parts.scheme not in SCHEMES:
        return None
    if parts.scheme in ("mailto", "sms", "tel"):
        return Way(kind=kind, link=link, shown=unquote(parts.path))
    if not parts.hostname:
        return None
    return Way(kind=kind, link=link, shown=parts.netloc.removeprefix("www.") + unquote(parts.path).rstrip("/"))


def _when(at: datetime, now: datetime, hours: Hours, language: str) -> str:
    say = Voice(catalog=texts(), lang=language)
    local, ahead = at.astimezone(hours.zone), _days_between(now, at, hours)
    locale = _locale(language)
    if ahead < 2:
        day = say("tomorrow" if ahead else "today")
    elif ahead < SOON:
        day = format_date(local, "EEEE", locale=locale)
    else:
        day = format_date(local, "EEEE, d MMMM" if locale.language != "ar" else "EEEE d MMMM", locale=locale)
    return say("when", day=day, time=f"{local:%H:%M}")


def _days_between(now: datetime, at: datetime, hours: Hours) -> int:
    return (at.astimezone(hours.zone).date() - now.astimezone(hours.zone).date()).days


def _note(day: Day, say: Voice) -> str:
    """Why a day is not as usual."""
    if day.holiday:
        return say("holiday")
    return say("special") if day.exception and day.spans else ""


def _capital(word: str, locale: Locale) -> str:
    """A weekday as it begins a line: capital where the script has capitals."""
    first = "İ" if locale.language == "tr" and word[:1] == "i" else word[:1].upper()
    return first + word[1:]


def _locale(language: str) -> Locale:
    return Locale.parse(language.partition("-")[0])


@cache
def _environment() -> Environment:
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda name: FOLDER.joinpath(name).read_text(encoding="utf-8")),
    )
