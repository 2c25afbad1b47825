"""What a public holiday is called in the language of whoever looks at the contact page.

Rule: names come from the package `holidays`, which has each country's in a few languages; none is invented here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A holiday's name, and the language it is in."""

    text: str
    language: str


def named(country: str, day: date, languages: Sequence[str]) -> Named | None:
    """What a public holiday is called in the first of these languages its country has names in; None for no holiday.

    `country` may carry its region, "DE-BY". Loads the package at its first call, which takes half a second.
    """
    for language in languages:
        base = language.replace("_", "-").partition("-")[0].lower()
        if (spoken := _spoken(country, base)) and (text := _year(country, day.year, spoken).get(day)):
            return Named(text=text, language=base)
    return None


@lru_cache(maxsize=512)
def _spoken(country: str, base: str) -> str:
    """How the package calls a language, "" where the country has no names in it: "en_GB" is English too."""
    import holidays

    code, _, region = country.partition("-")
    try:
        known = holidays.country_holidays(code, subdiv=region or None)
    except NotImplementedError:
        return ""
    spoken = (*known.supported_languages, known.default_language or "")
    return next((one for one in spoken if one.partition("_")[0] == base), "")


@lru_cache(maxsize=512)
def _year(country: str, number: int, spoken: str) -> Mapping[date, str]:
    import holidays

    code, _, region = country.partition("-")
    return dict(holidays.country_holidays(code, subdiv=region or None, years=number, language=spoken))
