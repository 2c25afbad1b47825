"""What `/inbox` makes of what people type, in their own time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.blocks import Post
from desk.inbox import LONGEST, Away, Back, Help, Status, away, read, usage
from templates.catalog import Catalog
from tests.desk.limits import broken

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2027, 3, 10, 13, 0, tzinfo=BERLIN)  # a Wednesday
ZONES = [BERLIN, UTC, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Kiritimati")]
CATALOG = Catalog.load("tr")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("", Help()),
        ("  Help ", Help()),
        ("back", Back()),
        ("BACK", Back()),
        ("status", Status()),
        ("away", Away()),
        ("away 2h", Away(until=at("2027-03-10T15:00"))),
        ("away for 2 hours", Away(until=at("2027-03-10T15:00"))),
        ("away 90m", Away(until=at("2027-03-10T14:30"))),
        ("away 1h30m", Away(until=at("2027-03-10T14:30"))),
        ("away 1 hour 30 min", Away(until=at("2027-03-10T14:30"))),
        ("away 3d", Away(until=at("2027-03-13T13:00"))),
        ("away until 14:30", Away(until=at("2027-03-10T14:30"))),
        ("away till 14.30", Away(until=at("2027-03-10T14:30"))),
        ("away 2pm", Away(until=at("2027-03-10T14:00"))),
        ("away until 12:15 am", Away(until=at("2027-03-11T00:15"))),
        ("away until 12:30", Away(until=at("2027-03-11T12:30"))),  # has passed today
        ("away tomorrow", Away(until=at("2027-03-11T00:00"), next_shift=True)),
        ("away until tomorrow 10:00", Away(until=at("2027-03-11T10:00"))),
        ("away until fri", Away(until=at("2027-03-12T00:00"), next_shift=True)),
        ("away until wednesday", Away(until=at("2027-03-17T00:00"), next_shift=True)),
        ("away until monday 9:30", Away(until=at("2027-03-15T09:30"))),
        ("away until cuma", Away(until=at("2027-03-12T00:00"), next_shift=True)),
        ("away until CUMARTESİ 10:00", Away(until=at("2027-03-13T10:00"))),
        ("away pazar", Away(until=at("2027-03-14T00:00"), next_shift=True)),
        ("away until carsamba", Away(until=at("2027-03-17T00:00"), next_shift=True)),
        ("away yarın", Away(until=at("2027-03-11T00:00"), next_shift=True)),
        ("away YARIN 9:30", Away(until=at("2027-03-11T09:30"))),
        ("away завтра", Away(until=at("2027-03-11T00:00"), next_shift=True)),
        ("away until пятницы", Away(until=at("2027-03-12T00:00"), next_shift=True)),
        ("away until вторника 10:00", Away(until=at("2027-03-16T10:00"))),
        ("away morgen", Away(until=at("2027-03-11T00:00"), next_shift=True)),
        ("away until Montag", Away(until=at("2027-03-15T00:00"), next_shift=True)),
        ("away until do", Help(unclear="away until do")),
        ("away until son", Help(unclear="away until son")),  # Sonnabend or Sonntag
        ("away 365d", Away(until=NOW + timedelta(days=365))),
        ("away until 2027-04-01", Away(until=at("2027-04-01T00:00"), next_shift=True)),
        ("away until 2027-03-28 02:30", Away(until=at("2027-03-28T03:30"))),  # there is no half past two that night
    ],
)
def test_what_is_understood(text: str, asked: object) -> None:
    assert read(text, NOW, BERLIN) == asked


@pytest.mark.parametrize(
    "text",
    [
        "away 2", "away until", "away 0h", "away 25:00", "away 13pm", "away 0am", "away until 14:60", "away until noon",
        "away until 2027-03-09", "away until 2027-02-30", "away until 2030-01-01", "away until 9999-12-31 23:59",
        "away 999d", "away tomorrow 10", "away until 2027-03-10", "away until tu", "away 2h please", "back soon",
        "stats", "away until 2027-03-10 09:00", "uzakta",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_given_back_and_changes_nothing(text: str) -> None:
    assert read(text, NOW, BERLIN) == Help(unclear=text)


WORDS = st.sampled_from(
    [
        "away",
        "until",
        "for",
        "back",
        "tomorrow",
        "monday",
        "sun",
        "2h",
        "14:30",
        "2pm",
        "9999-12-31",
        "0001-01-01",
        "1d",
    ]
)
ANYTHING = st.text(max_size=40) | st.lists(WORDS | st.text(max_size=8), max_size=5).map(" ".join)
MOMENTS = st.integers(1_577_836_800, 3_786_912_000).map(
    lambda second: datetime.fromtimestamp(second, UTC)
)  # 2020 to 2090


@given(ANYTHING, MOMENTS, st.sampled_from(ZONES))
def test_whatever_is_typed_is_answered_and_an_end_lies_ahead(text: str, now: datetime, zone: ZoneInfo) -> None:
    asked = read(text, now, zone)
    if isinstance(asked, Away) and asked.until is not None:
        assert now < asked.until <= now + LONGEST


@given(st.integers(0, 23), st.integers(0, 59), MOMENTS)
def test_a_time_is_the_next_one_of_that_name(hour: int, minute: int, now: datetime) -> None:
    asked = read(f"away until {hour}:{minute:02}", now, ZoneInfo("Asia/Dubai"))  # a zone that never turns its clocks
    assert isinstance(asked, Away)
    assert asked.until is not None
    assert timedelta() < asked.until - now <= timedelta(days=1)
    local = asked.until.astimezone(ZoneInfo("Asia/Dubai"))
    assert (local.hour, local.minute) == (hour, minute)


@pytest.mark.parametrize("language", CATALOG.languages)
def test_every_answer_fits_slack(language: str) -> None:
    say = CATALOG.voice(language)
    posts: list[Post] = [usage(say), away(None, BERLIN, say), away(NOW, BERLIN, say)]
    for post in posts:
        assert broken(post.text, post.blocks) == []
    assert "/inbox back" in posts[1].text
