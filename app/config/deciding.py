"""The values by which Santral decides, as they are written: hours, days, lengths of time, people.

Rule: a check here costs nothing. What takes the calendar of a country is found when the policy is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path

from pydantic import BaseModel, BeforeValidator

from app.config.values import filled
from app.problems import SECRET_BEGINNINGS, SHOWN_AT_MOST, Wrong
from routing.hours_text import BadHours, read, spans
from routing.promises import Allowance, BadPromise
from templates.suggesting import meant

HOURS_FIX = "write it like Mo-Fr 09:00-18:00; Sa 10:00-14:00; PH off"
DAY_FIX = 'write "09:00-13:00", or "off"'
DATE_FIX = 'write the day like 2026-12-31, with year, month and day: "2026-12-31" = "off"'
_DAY_FIRST = re.compile(r"(?P<d>\d{1,2})(?:\.|/|-)(?P<m>\d{1,2})(?:\.|/|-)(?P<y>\d{4})")  # a month 13 is refused below
_YEAR_FIRST = re.compile(r"(?P<y>\d{4})[./-]?(?P<m>\d{1,2})[./-]?(?P<d>\d{1,2})")


class WrongPart(Wrong):
    """Names a part of the value. `plain` is what to say instead where the value must not be seen."""

    def __init__(self, what: str, fix: str, plain: Wrong) -> None:
        super().__init__(what, fix, secret=True)
        self.plain = plain


def known_hours(value: str) -> str:
    """Support hours as OpenStreetMap writes them."""
    try:
        read(value)
    except BadHours as bad:
        plain = Wrong("is not a text of support hours", HOURS_FIX, secret=True)
        raise _part(str(bad), HOURS_FIX, plain) if _readable(value) else plain from None
    return value


def day(value: str) -> str:
    """A date as a key."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise Wrong("is not a date", _other_date(value) or DATE_FIX)
    try:
        date.fromisoformat(value)
    except ValueError:
        raise Wrong("is a day that no calendar has", "a month has 28 to 31 days, a year 12 months") from None
    return value


def hours_of_day(value: object) -> str:
    """The hours of one day, or "off"."""
    if not isinstance(value, str):
        raise Wrong("must be text in quotes", DAY_FIX)
    plain = Wrong("is not the hours of one day", DAY_FIX, secret=True)
    try:
        read(value)
    except BadHours as bad:
        raise _part(str(bad), DAY_FIX, plain) if _readable(value) else plain from None
    try:
        spans(value)
    except BadHours:
        raise Wrong("is not the hours of one day", DAY_FIX) from None
    return value.strip()


def table(example: str) -> BeforeValidator:
    """A value that is a table inside another section."""

    def check(value: object) -> object:
        if not isinstance(value, Mapping | BaseModel):
            raise Wrong("is not a table", f"write it like {example}")
        return value

    return BeforeValidator(check)


def whole_number(value: object) -> object:
    """A number without a fraction; it may come from the environment as text."""
    if isinstance(value, bool | list | dict) or not re.fullmatch(r"[+-]?\d+(\.0+)?", str(value).strip()):
        raise Wrong("must be a whole number, without quotes")
    return value


def path(value: object) -> object:
    """The name of a file or folder."""
    if not isinstance(value, str | Path):
        raise Wrong("must be text in quotes")
    return filled(value)


def time_allowed(value: object) -> str:
    """A length of support time, or a number of working days."""
    return _allowed(value, "write 30m, 2h or 1h30m, or 2d for working days")


def time_only(value: object) -> str:
    """A length of time, not in working days."""
    fix = "write it like 45m, 2h or 1h30m"
    text = _allowed(value, fix)
    if Allowance.parse(text).days:
        raise Wrong("is in working days", fix)
    return text


def one_person(value: str) -> str:
    """A person in Slack, not a group."""
    if value.startswith("S"):
        raise Wrong("is a user group", "give each person a section, with an id that begins with U or W")
    return value


def known_region(value: str) -> str:
    """The part of a country whose public holidays count, as ISO 3166-2 has it behind the country."""
    code = value.upper()
    if not re.fullmatch(r"[A-Z0-9]{1,4}", code):
        _, dash, behind = code.rpartition("-")
        near = meant(behind if dash and re.fullmatch(r"[A-Z0-9]{1,4}", behind) else "")
        raise Wrong("is not the code of a region", near or "write what stands behind the country, like BY for DE-BY")
    return code


def _allowed(value: object, fix: str) -> str:
    if not isinstance(value, str):
        raise Wrong("must be text in quotes", fix)
    try:
        Allowance.parse(value)
    except BadPromise as bad:
        what, better = told(str(bad).removeprefix(f'"{value}" '))
        raise Wrong(what, fix if what == "is no length of time" else better) from None
    return value.strip()


def _part(said: str, fix: str, plain: Wrong) -> WrongPart:
    what, better = told(said)
    return WrongPart(what, fix if not better or " such as " in better else better, plain)


def told(said: str) -> tuple[str, str]:
    """What is wrong, and the fix, of a message that has a colon between the two, and maybe others within quotes."""
    found = re.fullmatch(r'((?:"[^"]*"|[^":]|:(?! ))*): (.*)', said, re.DOTALL)
    return (found[1], found[2]) if found else (said, "")


def _readable(value: str) -> bool:
    """Whether words of it may be repeated: it is written in words, or too short for a secret."""
    return " " in value.strip() or (len(value) <= SHOWN_AT_MOST and not value.startswith(SECRET_BEGINNINGS))


def _other_date(value: str) -> str:
    """The date that is meant, where it can only be one."""
    found = _DAY_FIRST.fullmatch(value.strip()) or _YEAR_FIRST.fullmatch(value.strip())
    with suppress(ValueError):
        if found:
            return meant(date(int(found["y"]), int(found["m"]), int(found["d"])).isoformat())
    return ""
