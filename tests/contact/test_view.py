"""What the contact page shows, and that it has the same words in every language."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import contact_view
from app.contact_form import LONGEST
from app.contact_holidays import Named, named
from app.contact_view import Status, Way, place, status, way, week
from channels.registry import KINDS
from routing.hours import Hours
from tests.contact.visitor import HOURS, SATURDAY_NIGHT, TUESDAY, istanbul

ISTANBUL = ZoneInfo("Europe/Istanbul")
SHOP = Hours.parse(HOURS, zone=ISTANBUL, country="TR")
PAGES = Path(contact_view.__file__).with_name("pages")
FIVE = ("ar", "de", "en", "ru", "tr")


def test_every_language_has_the_same_words_with_the_same_places_in_them() -> None:
    assert contact_view.texts().languages == FIVE
    assert contact_view.texts().check() == ()


@pytest.mark.parametrize("language", FIVE)
def test_every_channel_and_field_has_a_name(language: str) -> None:
    say = contact_view.texts().voice(language)
    for kind in KINDS:
        assert say.word("kind", kind) != kind or kind in {"sms", "x"}, kind
    for key in LONGEST:
        assert say(key)


def test_no_text_is_left_that_no_page_says() -> None:
    pages = [PAGES / name for name in ("base.html", "contact.html", "thanks.html")]
    said = "".join(path.read_text(encoding="utf-8") for path in [*pages, *PAGES.parent.glob("contact*.py")])
    for key in contact_view.texts().texts["en"]:
        known = key.startswith("kind.") or key in LONGEST or key.removeprefix("error_") in LONGEST
        assert known or re.search(rf"['\"]{key}['\"]", said), key


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("tr", "Pazartesi 09:00"),
        ("ru", "понедельник, 09:00"),
        ("en", "Monday 09:00"),
        ("de", "Montag, 09:00 Uhr"),
        ("ar", "الاثنين الساعة 09:00"),
    ],
)
def test_a_closed_shop_says_when_it_opens(language: str, words: str) -> None:
    assert status(SHOP, SATURDAY_NIGHT, language) == Status(open=False, at=istanbul("2027-02-08T09:00"), words=words)


def test_today_and_tomorrow_have_words_and_far_days_a_date() -> None:
    assert status(SHOP, istanbul("2027-02-08T07:00"), "en").words == "today 09:00"
    assert status(SHOP, istanbul("2027-02-08T20:00"), "en").words == "tomorrow 09:00"
    seasonal = Hours.parse("Mar-Oct Mo-Fr 09:00-18:00", zone=ISTANBUL, country="TR")
    assert status(seasonal, SATURDAY_NIGHT, "en").words == "Monday, 1 March 09:00"
    assert status(seasonal, SATURDAY_NIGHT, "tr").words == "Pazartesi, 1 Mart 09:00"
    assert status(seasonal, istanbul("2027-11-05T10:00"), "en") == Status(open=False, at=None, words="")


def test_an_open_shop_says_until_when_where_that_is_soon() -> None:
    assert status(SHOP, TUESDAY, "en") == Status(open=True, at=istanbul("2027-02-09T18:00"), words="18:00")
    always = Hours.parse("24/7", zone=ISTANBUL, country="TR")
    assert status(always, TUESDAY, "en") == Status(open=True, at=None, words="")
    night = Hours.parse("Tu 10:00-02:00", zone=ISTANBUL, country="TR")
    assert status(night, TUESDAY, "en").words == "02:00"


@given(st.datetimes(SATURDAY_NIGHT.replace(tzinfo=None), SATURDAY_NIGHT.replace(tzinfo=None) + timedelta(days=500)))
def test_what_is_said_agrees_with_the_hours(moment: datetime) -> None:
    at = moment.replace(tzinfo=UTC)
    said = status(SHOP, at, "en")
    assert said.open == SHOP.open_at(at)
    assert said.at is None or (said.at > at and SHOP.open_at(said.at) != said.open)


def test_the_week_begins_today_and_names_what_is_unusual() -> None:
    shop = Hours.parse(
        "Mo-Fr 09:00-12:30,13:30-18:00; PH off", zone=ISTANBUL, country="TR",
        exceptions={date(2027, 4, 22): "09:00-13:00", date(2027, 4, 26): "off"},
    )  # fmt: skip
    days = week(shop, istanbul("2027-04-22T10:00"), "tr", ("tr", "en"))
    assert [day.weekday for day in days][:2] == ["Perşembe", "Cuma"]
    assert (days[0].spans, days[0].note, days[0].today) == (("09:00–13:00",), "özel saatler", True)
    assert (days[1].spans, days[1].note, days[1].date) == ((), "Ulusal Egemenlik ve Çocuk Bayramı", "23 Nisan")
    assert (days[4].spans, days[4].note) == ((), "")
    assert days[5].spans == ("09:00–12:30", "13:30–18:00")


def test_a_holiday_is_named_in_the_language_of_the_visitor_or_of_the_shop_or_not_at_all() -> None:
    def third(country: str, language: str, *shop: str) -> tuple[str, Named | None]:
        hours = Hours.parse("24/7", zone=ISTANBUL, country=country)
        day = week(hours, istanbul("2027-10-01T10:00"), language, shop)[2]
        return day.note, day.holiday

    assert third("DE-BY", "de", "tr") == ("Tag der Deutschen Einheit", None)
    assert third("DE", "de-AT", "tr") == ("Tag der Deutschen Einheit", None)
    assert third("DE", "en", "de") == ("German Unity Day", None)
    german = Named(text="Tag der Deutschen Einheit", language="de")
    assert third("DE", "ru", "tr", "de", "en") == ("праздничный день", german)
    assert third("DE", "ru", "tr") == ("праздничный день", None)
    assert third("TR", "ru", "tr") == ("", None)


@given(st.sampled_from(["TR", "DE", "DE-BY", "GB", "XX", "", "US-CA"]), st.lists(st.text(max_size=8), max_size=3))
def test_a_holiday_has_a_name_or_none_whatever_is_asked(country: str, languages: list[str]) -> None:
    assert named(country, date(2027, 6, 2), languages) is None


def test_a_place_is_named_with_its_distance_from_greenwich() -> None:
    assert place(SHOP, TUESDAY, "tr") == "İstanbul (GMT+3)"
    assert place(SHOP, TUESDAY, "ru") == "Стамбул (GMT+3)"
    india = Hours.parse("24/7", zone=ZoneInfo("Asia/Kolkata"), country="IN")
    assert place(india, TUESDAY, "en").endswith("(GMT+5:30)")
    west = Hours.parse("24/7", zone=ZoneInfo("America/St_Johns"), country="CA")
    assert place(west, TUESDAY, "en").endswith("(GMT-3:30)")


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("mailto:support@kumbara.example", "support@kumbara.example"),
        ("https://t.me/kumbara_bot", "t.me/kumbara_bot"),
        ("https://www.m.example/kumbara/", "m.example/kumbara"),
        ("sms:+905320000000", "+905320000000"),
    ],
)
def test_a_link_is_shown_as_people_write_it(link: str, shown: str) -> None:
    assert way("x", link) == Way(kind="x", link=link, shown=shown)


def test_our_own_pages_stand_beside_the_contact_page() -> None:
    assert way("webchat", "/chat/bubble") == Way(kind="webchat", link="chat/bubble", shown="")


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://", "http://[", ""]
)
def test_a_link_that_may_not_stand_on_a_page_does_not(link: str) -> None:
    assert way("x", link) is None


def test_the_pages_are_written_in_the_shops_languages_that_there_are_words_in() -> None:
    assert contact_view.languages(["fr", "tr", "de-AT"]) == ("tr", "de-AT")
    assert contact_view.languages(["fr"]) == ("en",)
