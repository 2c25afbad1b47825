"""Public holidays by country, offline, from the package `holidays`.

Rule: names are English wherever the package has them, so that what is printed does not depend on the machine's locale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """The holidays of one country in one year. `half` are days that are free from noon on; they close nothing."""

    whole: Mapping[date, str]
    half: Mapping[date, str]


def known(country: str) -> bool:
    """Tell whether the holidays of a country are known: "TR", or with its region as in "DE-BY" (ISO 3166)."""
    import holidays  # 0.4 s and 15 MB: only for who asks

    code, _, region = country.partition("-")
    regions = holidays.list_supported_countries(include_aliases=True).get(code)
    return regions is not None and (not region or region in regions)


def name(country: str, day: date) -> str:
    """What the whole day is called if it is a public holiday, else ""; "" as well for a country that is not known."""
    return year(country, day.year).whole.get(day, "")


def half(country: str, day: date) -> str:
    """The same for a day that is free from noon on, such as the eve of a feast in Turkey."""
    return year(country, day.year).half.get(day, "")


@lru_cache(maxsize=512)
def year(country: str, number: int) -> Year:
    """All holidays of one year, empty for a country that is not known."""
    if not known(country):
        return Year(whole={}, half={})
    import holidays

    code, _, region = country.partition("-")
    plain = holidays.country_holidays(code, subdiv=region or None)
    language = next((language for language in ("en_US", "en_GB", "en") if language in plain.supported_languages), None)

    def of(category: str) -> Mapping[date, str]:
        return dict(
            holidays.country_holidays(
                code,
                subdiv=region or None,
                years=number,
                language=language or plain.default_language,
                categories=(category,),
            )
        )

    return Year(whole=of("public"), half=of("half_day") if "half_day" in plain.supported_categories else {})
