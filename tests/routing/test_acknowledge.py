"""Who is told that their message arrived, when, and in which words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.acknowledge import LONG_AGO, Acknowledge, Kind, Limits, Silence, Situation, decide
from routing.hours import Hours
from routing.moments import moment, turkish_suffix

ISTANBUL, BERLIN = ZoneInfo("Europe/Istanbul"), ZoneInfo("Europe/Berlin")
HOURS = Hours.parse("Mo-Fr 09:00-18:00; Sa 10:00-14:00; PH off", zone=ISTANBUL, country="TR")
SATURDAY_NIGHT = datetime(2026, 3, 7, 23, 40, tzinfo=ISTANBUL)
CLOSED_AT = datetime(2026, 3, 7, 14, 0, tzinfo=ISTANBUL)
MONDAY = datetime(2026, 3, 9, 9, 0, tzinfo=ISTANBUL)
NOON = datetime(2026, 3, 9, 12, 0, tzinfo=ISTANBUL)


def asked(now: datetime = SATURDAY_NIGHT, language: str = "tr", hours: Hours = HOURS) -> Situation:
    return Situation(now=now, hours=hours, language=language, sent_at=now - timedelta(seconds=3))


def told(situation: Situation, limits: Limits | None = None) -> Acknowledge:
    decided = decide(situation, limits)
    assert isinstance(decided, Acknowledge), decided
    return decided


def silent(situation: Situation, limits: Limits | None = None) -> str:
    decided = decide(situation, limits)
    assert isinstance(decided, Silence), decided
    return decided.because


def test_a_saturday_night_is_told_about_monday() -> None:
    assert told(asked()) == Acknowledge(
        kind=Kind.CLOSED,
        language="tr",
        once=CLOSED_AT,
        opens_at=MONDAY,
        opening="Pazartesi 09:00'da",
        because="outside support hours",
    )


def test_the_opening_is_named_in_the_customers_time_zone_when_it_is_known() -> None:
    assert told(replace(asked(language="de"), zone=BERLIN)).opening == "am Montag um 07:00 Uhr"
    assert told(asked(language="de")).opening == "am Montag um 09:00 Uhr"


def test_today_and_tomorrow_are_the_customers_not_the_shops() -> None:
    honolulu = ZoneInfo("Pacific/Honolulu")
    early = asked(datetime(2026, 3, 9, 8, 30, tzinfo=ISTANBUL), "en")
    assert told(early).opening == "today at 09:00"
    assert told(replace(early, zone=honolulu)).opening == "today at 20:00"
    assert told(replace(asked(datetime(2026, 3, 8, 11, 0, tzinfo=ISTANBUL), "en"), zone=honolulu)).opening == (
        "tomorrow at 20:00"  # there it is Saturday 22:00, and the shop opens on their Sunday
    )


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"bounce": True}, "a bounce"),
        ({"automatic": True}, "an automatic message"),
        ({"quiet": True}, "no program may answer it"),
        ({"bot": True}, "the sender is a bot"),
        ({"blocked": True}, "the address is blocked"),
        ({"opted_out": True}, "the customer opted out"),
        ({"tags": frozenset({"refund", "spam"})}, "tagged as spam"),
        ({"sent_at": SATURDAY_NIGHT - timedelta(minutes=61)}, "the message is old"),
        ({"answered_at": SATURDAY_NIGHT - timedelta(minutes=30)}, "an agent is talking with the customer"),
        ({"answered_at": SATURDAY_NIGHT + timedelta(minutes=3)}, "an agent is talking with the customer"),
        ({"exchanged": 5}, "too many messages in ten minutes: this may be a loop"),
        ({"mail": True, "address_day": 1}, "this address was told within a day"),
        ({"mail": True, "address_week": 3}, "this address was told often this week"),
        ({"last_minute": 60}, "too many acknowledgements this minute"),
        ({"acknowledged": CLOSED_AT}, "already told in this closed time"),
        ({"promised": MONDAY}, "already told when somebody will answer"),
    ],
)
def test_nobody_is_told_who_must_not_be(change: dict[str, object], because: str) -> None:
    assert silent(replace(asked(), **change)) == because  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"sent_at": SATURDAY_NIGHT - timedelta(minutes=60)},
        {"sent_at": SATURDAY_NIGHT + timedelta(hours=3)},  # the provider's clock is ahead of ours
        {"answered_at": SATURDAY_NIGHT - timedelta(minutes=30, seconds=1)},
        {"exchanged": 4},
        {"address_day": 1, "address_week": 9},  # limits of mail: elsewhere no vacation note can answer
        {"mail": True, "address_week": 2},
        {"last_minute": 59},
        {"acknowledged": CLOSED_AT - timedelta(days=1), "promised": CLOSED_AT - timedelta(hours=5)},
        {"tags": frozenset({"complaint"})},
    ],
)
def test_everybody_else_is(change: dict[str, object]) -> None:
    assert told(replace(asked(), **change)).once == CLOSED_AT  # type: ignore[arg-type]


def test_a_closing_between_two_messages_is_told_with_the_second() -> None:
    closing = datetime(2026, 3, 9, 18, 0, tzinfo=ISTANBUL)
    assert silent(asked(closing - timedelta(seconds=1))) == "support is open"
    assert told(asked(closing)).once == closing


def test_one_closed_time_has_one_key_and_the_next_has_another() -> None:
    nights = [told(asked(CLOSED_AT + timedelta(hours=hour))).once for hour in range(43)]
    assert set(nights) == {CLOSED_AT}
    assert told(asked(datetime(2026, 3, 9, 18, 5, tzinfo=ISTANBUL))).once != CLOSED_AT


def test_a_conversation_that_moves_to_a_team_of_other_hours_is_not_told_again() -> None:
    late = Hours.parse("Mo-Sa 09:00-20:00", zone=ISTANBUL, country="TR")
    first = told(asked(datetime(2026, 3, 9, 19, 0, tzinfo=ISTANBUL)))
    moved = asked(datetime(2026, 3, 9, 21, 0, tzinfo=ISTANBUL), hours=late)
    again = replace(moved, acknowledged=first.once, promised=first.opens_at)
    assert silent(again) == "already told when somebody will answer"


def test_a_holiday_bridge_is_skipped() -> None:
    assert told(asked(datetime(2026, 5, 26, 18, 30, tzinfo=ISTANBUL), "ru")).opening == "в понедельник в 09:00"


def test_a_season_that_is_over_promises_no_moment() -> None:
    summer = Hours.parse("2025 Jun-Sep 09:00-18:00", zone=ISTANBUL, country="TR")
    decided = told(asked(datetime(2027, 2, 1, 12, 0, tzinfo=ISTANBUL), hours=summer))
    assert (decided.opens_at, decided.opening, decided.once) == (None, "", LONG_AGO)


def test_a_long_wait_in_hours_is_told_once_if_the_shop_wants_it() -> None:
    busy = replace(asked(NOON), expected_wait=timedelta(minutes=50), waiting_since=NOON - timedelta(seconds=5))
    limits = Limits(long_wait=timedelta(minutes=30))
    assert silent(busy) == "support is open"
    decided = told(busy, limits)
    assert (decided.kind, decided.once) == (Kind.BUSY, busy.waiting_since)
    assert silent(replace(busy, acknowledged=decided.once), limits) == "already told in this wait"
    assert silent(replace(busy, expected_wait=timedelta(minutes=30)), limits) == "support is open"
    assert silent(replace(busy, automatic=True), limits) == "an automatic message"


AT = datetime(2026, 11, 14, 23, 40, tzinfo=ISTANBUL)  # a Saturday


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "tr",
            ("bugün 23:55'te", "yarın 09:00'da", "Pazartesi 09:00'da", "Çarşamba 13:40'ta", "24 Kasım Salı 08:05'te"),
        ),
        (
            "ru",
            (
                "сегодня в 23:55",
                "завтра в 09:00",
                "в понедельник в 09:00",
                "в среду в 13:40",
                "во вторник, 24 ноября, в 08:05",
            ),
        ),
        (
            "en",
            (
                "today at 23:55",
                "tomorrow at 09:00",
                "on Monday at 09:00",
                "on Wednesday at 13:40",
                "on Tuesday, 24 November, at 08:05",
            ),
        ),
        (
            "de-AT",
            (
                "heute um 23:55 Uhr",
                "morgen um 09:00 Uhr",
                "am Montag um 09:00 Uhr",
                "am Mittwoch um 13:40 Uhr",
                "am Dienstag, dem 24. November, um 08:05 Uhr",
            ),
        ),
        (
            "ar",
            (
                "اليوم الساعة 23:55",
                "غدًا الساعة 09:00",
                "يوم الاثنين الساعة 09:00",
                "يوم الأربعاء الساعة 13:40",
                "يوم الثلاثاء 24 نوفمبر الساعة 08:05",
            ),
        ),
        (
            "xx",
            ("2026-11-14 23:55", "2026-11-15 09:00", "2026-11-16 09:00", "2026-11-18 13:40", "2026-11-24 08:05"),
        ),
        (
            "",
            ("2026-11-14 23:55", "2026-11-15 09:00", "2026-11-16 09:00", "2026-11-18 13:40", "2026-11-24 08:05"),
        ),
    ],
)
def test_a_moment_is_said_as_people_say_it(language: str, words: tuple[str, ...]) -> None:
    days = ((14, 23, 55), (15, 9, 0), (16, 9, 0), (18, 13, 40), (24, 8, 5))
    moments = (datetime(2026, 11, day, hour, minute, tzinfo=ISTANBUL) for day, hour, minute in days)
    assert tuple(moment(at, AT, language, ISTANBUL) for at in moments) == words


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("tr", "4 Ocak 2027 Pazartesi 10:00'da"),
        ("ru", "в понедельник, 4 января 2027 года, в 10:00"),
        ("en", "on Monday, 4 January 2027, at 10:00"),
        ("de", "am Montag, dem 4. Januar 2027, um 10:00 Uhr"),
        ("ar", "يوم الاثنين 4 يناير 2027 الساعة 10:00"),
    ],
)
def test_another_year_is_named(language: str, words: str) -> None:
    assert moment(datetime(2027, 1, 4, 10, 0, tzinfo=ISTANBUL), AT, language, ISTANBUL) == words


def test_the_same_weekday_of_next_week_has_its_date() -> None:
    assert moment(AT + timedelta(days=6), AT, "en", ISTANBUL) == "on Friday at 23:40"
    assert moment(AT + timedelta(days=7), AT, "en", ISTANBUL) == "on Saturday, 21 November, at 23:40"


def test_every_russian_weekday_has_its_case() -> None:
    days = [moment(datetime(2026, 11, 16 + day, 9, 0, tzinfo=ISTANBUL), AT, "ru", ISTANBUL) for day in range(5)]
    assert [day.removesuffix(" в 09:00") for day in days] == [
        "в понедельник", "во вторник", "в среду", "в четверг", "в пятницу",
    ]  # fmt: skip
    thursday = AT - timedelta(days=2)
    weekend = [moment(AT + timedelta(days=day), thursday, "ru", ISTANBUL) for day in (0, 1)]
    assert weekend == ["в субботу в 23:40", "в воскресенье в 23:40"]


@pytest.mark.parametrize(
    ("suffix", "clocks"),
    [
        ("da", "00:00 06:00 09:00 10:00 16:00 19:00 09:30 09:10 09:26 09:39"),
        ("de", "01:00 02:00 07:00 08:00 11:00 12:00 17:00 18:00 20:00 21:00 22:00 09:20 09:50 09:01 09:57"),
        ("te", "03:00 04:00 05:00 13:00 14:00 15:00 23:00 08:05 09:15 09:45 09:53 09:34"),
        ("ta", "09:40 13:40"),
    ],
)
def test_turkish_clock_times_take_the_suffix_they_are_spoken_with(suffix: str, clocks: str) -> None:
    for clock in clocks.split():
        hour, _, minute = clock.partition(":")
        assert (clock, turkish_suffix(int(hour), int(minute))) == (clock, suffix)


def test_the_offset_is_added_where_it_is_wanted() -> None:
    assert moment(MONDAY, SATURDAY_NIGHT, "en", ISTANBUL, offset=True) == "on Monday at 09:00 (GMT+03:00)"


@given(
    minutes=st.lists(st.integers(0, 60 * 24 * 14), min_size=1, max_size=40),
    closed_for=st.sampled_from(["Mo-Fr 09:00-18:00; PH off", "22:00-06:00", "Sa 10:00-11:00"]),
)
@settings(max_examples=100, deadline=None)
def test_however_often_they_write_they_are_told_once_a_closed_time(minutes: list[int], closed_for: str) -> None:
    hours = Hours.parse(closed_for, zone=BERLIN, country="DE")
    acknowledged: datetime | None = None
    promised: datetime | None = None
    keys = []
    for minute in sorted(minutes):
        now = datetime(2026, 3, 20, tzinfo=UTC) + timedelta(minutes=minute)
        decided = decide(replace(asked(now, hours=hours), acknowledged=acknowledged, promised=promised))
        if isinstance(decided, Acknowledge):
            assert not hours.open_at(now)
            keys.append(decided.once)
            acknowledged, promised = decided.once, decided.opens_at
        elif not hours.open_at(now):
            assert hours.closed_since(now) == acknowledged
    assert len(keys) == len(set(keys))
