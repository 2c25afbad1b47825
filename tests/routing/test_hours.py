"""Support hours: what the text means, when the doors open, how long is long."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing import holidays
from routing.hours import BadHours, Hours

ISTANBUL = ZoneInfo("Europe/Istanbul")
BERLIN = ZoneInfo("Europe/Berlin")
SHOP = "Mo-Fr 09:00-18:00; Sa 10:00-14:00; PH off"
MONDAY = date(2026, 3, 2)


def hours(text: str = SHOP, *, zone: ZoneInfo = ISTANBUL, country: str = "TR", **exceptions: str) -> Hours:
    dated = {date.fromisoformat(key[1:].replace("_", "-")): value for key, value in exceptions.items()}
    return Hours.parse(text, zone=zone, country=country, exceptions=dated)


def at(text: str, zone: ZoneInfo = ISTANBUL, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def week(text: str, first: date = MONDAY, **given: str) -> list[str]:
    return [",".join(day.spans) or "-" for day in hours(text, country="TR", **given).days(first, 7)]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        (SHOP, ["09:00-18:00"] * 5 + ["10:00-14:00", "-"]),
        ("Mo-Fr 9:00 – 18:00;", ["09:00-18:00"] * 5 + ["-", "-"]),
        ("mo,TU 09:00-12:00,13:00-18:00", ["09:00-12:00,13:00-18:00"] * 2 + ["-"] * 5),
        ("Fr-Mo 22:00-06:00", ["22:00-06:00", "-", "-", "-"] + ["22:00-06:00"] * 3),
        ("24/7", ["00:00-24:00"] * 7),
        ("24/7; Su off", ["00:00-24:00"] * 6 + ["-"]),
        ("09:00-00:00", ["09:00-24:00"] * 7),
        ("Mo-Fr", ["00:00-24:00"] * 5 + ["-", "-"]),
        ("Mo-Fr 09:00-18:00; We off", ["09:00-18:00"] * 2 + ["-"] + ["09:00-18:00"] * 2 + ["-", "-"]),
        ("Mo,Tu 08:00-12:00, Tu 14:00-18:00", ["08:00-12:00", "08:00-12:00,14:00-18:00"] + ["-"] * 5),
        ("Mo-Fr 09:00-18:00; Mo-Fr 12:00-13:00 off", ["09:00-12:00,13:00-18:00"] * 5 + ["-", "-"]),
        ("off; Tu 09:00-18:00", ["-", "09:00-18:00", "-", "-", "-", "-", "-"]),
        ('Mo-Fr: 09:00-18:00 open "by phone"', ["09:00-18:00"] * 5 + ["-", "-"]),
        ("Mo-Fr 09:00-18:00; Mar 03 off", ["09:00-18:00", "-"] + ["09:00-18:00"] * 3 + ["-", "-"]),
        ("Mo-We 09:00-18:00; Mar 03,05 10:00-11:00", ["09:00-18:00", "10:00-11:00"] * 2 + ["-"] * 3),
        ("Mo-Fr 09:00-18:00; 2026 Mar 3-4 off", ["09:00-18:00", "-", "-", "09:00-18:00", "09:00-18:00", "-", "-"]),
        ("Mo-Fr 09:00-18:00; 2027 Mar 3-4 off", ["09:00-18:00"] * 5 + ["-", "-"]),
        ("Mo-Fr 09:00-18:00; Dec-Mar Mo off", ["-"] + ["09:00-18:00"] * 4 + ["-", "-"]),
        ("week 10-53/2 Mo 09:00-18:00", ["09:00-18:00"] + ["-"] * 6),
        ("week 11-53/2 Mo 09:00-18:00", ["-"] * 7),
        ("Mo[1] 09:00-18:00", ["09:00-18:00"] + ["-"] * 6),
        ("Mo[-1],Tu[1-2] 09:00-18:00", ["-", "09:00-18:00"] + ["-"] * 5),
    ],
)  # fmt: skip
def test_a_text_means_these_days(text: str, spans: list[str]) -> None:
    assert week(text) == spans


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there are no hours: write hours such as Mo-Fr 09:00-18:00"),
        ("Mo-Fri 09:00-18:00", '"Fri" is not understood: write Fr'),
        ("Pzt-Cum 09:00-18:00", '"Pzt" is not understood: write Mo'),
        ("Пн-Пт 09:00-18:00", '"Пн" is not understood: write Mo'),
        ("Xx 09:00-18:00", '"Xx" is no day: the days are Mo Tu We Th Fr Sa Su, and PH'),
        ("Mo-Fr 25:00-26:00", '"25:00" is no time of day: it goes from 00:00 to 24:00'),
        ("Mo-Fr 22:00-26:00", "what ends after midnight is written 22:00-02:00"),
        ("Mo-Fr 09:60-18:00", '"09:60" is no time of day'),
        ("Mo-Fr 24:00-08:00", '"24:00-08:00" begins when the day is over'),
        ("Mo-Fr 18:00-18:00", '"18:00-18:00" begins as it ends: the whole day is 00:00-24:00'),
        ("Mo-Fr 09-18", '"09" is no time: write 09:00'),
        ("Mo-Fr 0930-1800", '"0930" is no time: write 09:30'),
        ("Mo-Fr 09.00-18.00", '"09.00" is not understood: write 09:00'),
        ("Mo-Fr 9am-6pm", '"9am" is not understood: write 09:00'),
        ("Mo-Fr 9:00-6:30 p.m.", '"6:30 p.m." is not understood: write 18:30'),
        ("Mo-Fr 09:00", '"09:00" has no end: write a span such as 09:00-18:00'),
        ("Mo-Fr 09:00-", "ends too early"),
        ("Mo-Fr 09:00-18:00,", "ends too early"),
        ("Mo-Fr 09:00-18:00 Sa 10:00-14:00", 'rules are joined by ";"'),
        ("Mo Dec 09:00-18:00", '"Dec" comes too late'),
        ("December 24 off", '"December" is not understood: write Dec'),
        ("Feb 30 off", '"30" is no day of Feb: it goes from 1 to 29'),
        ("week 54 Mo 09:00-18:00", '"54" is no week: it goes from 1 to 53'),
        ("Mo[6] 09:00-18:00", '"6" is no place in the month'),
        ("Mo-Fr sunrise-18:00", '"sunrise" changes every day'),
        ("Mo-Fr 10:00+", '"10:00+" has no end'),
        ("Mo-Fr 09:00-18:00; SH off", "school holidays (SH) are not known"),
        ("Mo-Fr 09:00-18:00 || unknown", "fallback rules"),
        ("Mo-Fr unknown", "promises nothing"),
        ("Mo-Fr 09:00-18:00; PH", 'write "PH off"'),
        ("PH -1 09:00-13:00", "write PH -1 day"),
        ("Mo-Fr 09:00-18:00;; PH off", '";" is not expected after'),
        ("off", "never open"),
        ("PH off", "never open"),
        ("Mo-Fr 09:00-18:00; Mo-Fr off", "never open"),
        ("Mo-Fr 09:00-12:00; Mo-Fr 13:00-18:00", '"Mo-Fr 09:00-12:00" has no effect: a later part replaces it'),
        ("PH off; Mo-Fr 09:00-18:00", '"PH off" has no effect: a later part opens its days again, so put it last'),
    ],
)
def test_a_text_that_is_wrong_is_refused_with_the_part_and_a_fix(text: str, words: str) -> None:
    with pytest.raises(BadHours) as refused:
        hours(text)
    assert words in str(refused.value)


@given(st.text(alphabet="MoTuWeThFrSaSuPHoffDec0123456789:-,;[]/+ \"'weekday.", max_size=30) | st.text(max_size=20))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        read = hours(text)
    except BadHours as refused:
        assert str(refused)
    else:
        assert len(read.days(MONDAY, 7)) == 7


@pytest.mark.parametrize("country", ["XX", "", "DE-XX", "Turkey"])
def test_holidays_of_an_unknown_country_are_refused_only_where_they_are_asked_for(country: str) -> None:
    with pytest.raises(BadHours, match="leave PH out"):
        hours(country=country)
    assert not hours("Mo-Fr 09:00-18:00", country=country).days(date(2026, 1, 1), 1)[0].holiday


def test_the_calendar_shows_holidays_eves_and_exceptions() -> None:
    shown = hours(_2026_05_25="11:00-13:00", _2026_05_26="off").days(date(2026, 5, 25), 6)
    assert [day.weekday for day in shown] == ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    assert [day.spans for day in shown] == [("11:00-13:00",), (), (), (), (), ()]
    assert [day.exception for day in shown] == ["11:00-13:00", "off", "", "", "", ""]
    assert shown[1].half_holiday and not shown[1].holiday
    assert all("Eid al-Adha" in day.holiday for day in shown[2:])
    assert shown[0].date == date(2026, 5, 25)


def test_a_region_has_holidays_of_its_own() -> None:
    assert holidays.name("DE-BY", date(2026, 6, 4)) == "Corpus Christi"
    assert holidays.name("DE", date(2026, 6, 4)) == ""


@pytest.mark.parametrize(
    ("text", "holiday", "day_before", "spans"),
    [
        ("Mo-Fr 09:00-18:00", "2026-04-23", "2026-04-22", ("09:00-18:00", "09:00-18:00")),
        ("Mo-Fr 09:00-18:00; PH 10:00-12:00", "2026-04-23", "2026-04-22", ("10:00-12:00", "09:00-18:00")),
        ("Mo-Fr 09:00-18:00; PH -1 day 09:00-13:00; PH off", "2026-04-23", "2026-04-22", ("-", "09:00-13:00")),
        ("Mo-Fr 09:00-18:00; Su,PH off", "2026-04-23", "2026-04-22", ("-", "09:00-18:00")),
        ("Mo-Su 09:00-18:00; PH Sa-Su off", "2026-04-23", "2026-04-22", ("09:00-18:00", "09:00-18:00")),
        ("Mo-Su 09:00-18:00; PH Sa-Su off", "2026-05-30", "2026-05-29", ("-", "09:00-18:00")),
    ],
)
def test_public_holidays_and_their_eves(text: str, holiday: str, day_before: str, spans: tuple[str, str]) -> None:
    read = hours(text)
    found = [read.days(date.fromisoformat(day), 1)[0].spans for day in (holiday, day_before)]
    assert tuple(",".join(day) or "-" for day in found) == spans


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("9-13", "exception 2026-12-31: "),
        ("Mo 09:00-13:00", "must be the hours of one day"),
        ("", "there are no hours"),
    ],
)
def test_an_exception_that_is_wrong_is_named(given: str, words: str) -> None:
    with pytest.raises(BadHours) as refused:
        hours(_2026_12_31=given)
    assert str(refused.value).startswith("exception 2026-12-31: ")
    assert words in str(refused.value)


def test_an_exception_opens_a_holiday_and_a_sunday() -> None:
    read = hours(_2026_04_23="10:00-12:00,13:00-14:00", _2026_04_26="24/7")
    assert read.open_at(at("2026-04-23T13:30"))
    assert not read.open_at(at("2026-04-23T12:00"))
    assert read.open_at(at("2026-04-26T03:00"))


def test_the_door_opens_on_the_minute_and_is_shut_on_the_minute() -> None:
    read = hours()
    assert [read.open_at(at(f"2026-03-02T{time}")) for time in ("08:59:59", "09:00", "17:59:59", "18:00")] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("now", "opens", "closes"),
    [
        ("2026-03-02T08:00", "2026-03-02T09:00", "2026-03-02T18:00"),
        ("2026-03-02T12:00", "2026-03-03T09:00", "2026-03-02T18:00"),
        ("2026-03-02T18:00", "2026-03-03T09:00", "2026-03-03T18:00"),
        ("2026-03-06T19:00", "2026-03-07T10:00", "2026-03-07T14:00"),
        ("2026-03-07T23:40", "2026-03-09T09:00", "2026-03-09T18:00"),
        ("2026-05-26T18:30", "2026-06-01T09:00", "2026-06-01T18:00"),  # Tuesday; the feast takes the rest of the week
        ("2026-04-30T18:30", "2026-05-02T10:00", "2026-05-02T14:00"),  # Friday, the first of May
        ("2025-12-31T18:00", "2026-01-02T09:00", "2026-01-02T18:00"),
        ("2028-02-28T20:00", "2028-02-29T09:00", "2028-02-29T18:00"),
    ],
)
def test_the_next_opening_is_the_true_one(now: str, opens: str, closes: str) -> None:
    assert hours().opens_after(at(now)) == at(opens)
    assert hours().closes_after(at(now)) == at(closes)


def test_a_bridge_day_from_configuration_moves_the_opening() -> None:
    read = hours("Mo-Fr 09:00-18:00; PH off", _2026_04_24="off")  # the Friday after the 23rd of April
    assert read.opens_after(at("2026-04-22T18:00")) == at("2026-04-27T09:00")


def test_what_opens_too_late_or_never_closes_is_said_so() -> None:
    summer = hours("Jun-Sep 09:00-18:00")
    assert summer.opens_after(at("2026-01-15T12:00")) is None
    assert summer.opens_after(at("2026-05-15T12:00")) == at("2026-06-01T09:00")
    assert hours("24/7").closes_after(at("2026-03-02T12:00")) is None
    assert hours("24/7").opens_after(at("2026-03-02T12:00")) is None
    assert hours("2026 Mo-Fr 09:00-18:00").after(at("2027-03-02T12:00"), timedelta(minutes=1)) is None


@pytest.mark.parametrize(
    ("now", "since"),
    [
        ("2026-03-02T12:00", None),
        ("2026-03-02T18:00", "2026-03-02T18:00"),
        ("2026-03-03T08:59", "2026-03-02T18:00"),
        ("2026-03-08T23:00", "2026-03-07T14:00"),
        ("2026-05-30T12:00", "2026-05-26T18:00"),
    ],
)
def test_closed_time_has_one_beginning(now: str, since: str | None) -> None:
    assert hours().closed_since(at(now)) == (at(since) if since else None)


def test_a_night_shift_belongs_to_the_day_it_begins_on() -> None:
    read = hours("Mo-Fr 22:00-06:00; PH off", zone=BERLIN, country="DE")  # the 3rd of April 2026 is Good Friday
    assert read.open_at(at("2026-04-03T05:00", BERLIN))
    assert not read.open_at(at("2026-04-03T23:00", BERLIN))
    assert not read.open_at(at("2026-04-04T05:00", BERLIN))
    assert read.closes_after(at("2026-04-02T23:00", BERLIN)) == at("2026-04-03T06:00", BERLIN)
    assert read.opens_after(at("2026-04-03T06:00", BERLIN)) == at("2026-04-07T22:00", BERLIN)


def test_shifts_that_touch_or_overlap_are_one_open_time() -> None:
    read = hours("Mo 20:00-08:00; Tu 06:00-12:00")
    assert read.closes_after(at("2026-03-02T21:00")) == at("2026-03-03T12:00")
    assert read.support_time(at("2026-03-02T00:00"), at("2026-03-04T00:00")) == timedelta(hours=16)


# In Berlin the clock goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October.


@pytest.mark.parametrize(
    ("text", "first", "last", "length"),
    [
        ("01:00-05:00", "2026-03-29", "2026-03-29", 3),
        ("01:00-05:00", "2026-10-25", "2026-10-25", 5),
        ("Sa 22:00-06:00", "2026-03-28", "2026-03-29", 7),
        ("Sa 22:00-06:00", "2026-10-24", "2026-10-25", 9),
        ("24/7", "2026-03-29", "2026-03-29", 23),
        ("24/7", "2026-10-25", "2026-10-25", 25),
        ("02:30-05:00", "2026-03-29", "2026-03-29", 2),  # the skipped time is the moment of the skip
        ("01:00-02:30", "2026-03-29", "2026-03-29", 1),
        ("02:15-02:45", "2026-03-29", "2026-03-29", 0),
        ("01:00-02:30", "2026-10-25", "2026-10-25", 2.5),  # open until the second 02:30
        ("02:30-05:00", "2026-10-25", "2026-10-25", 3.5),  # open from the first
    ],
)
def test_hours_across_a_change_of_the_clock(text: str, first: str, last: str, length: float) -> None:
    start, end = at(f"{first}T00:00", BERLIN), at(f"{last}T23:59:59", BERLIN)
    measured = hours(text, zone=BERLIN).support_time(start, end)
    assert measured == timedelta(hours=length) - (timedelta(seconds=1) if text == "24/7" else timedelta())


def test_the_doubled_hour_is_open_twice() -> None:
    read = hours("Su 02:00-03:00", zone=BERLIN)
    first, second = (at("2026-10-25T02:30", BERLIN, fold=fold).astimezone(UTC) for fold in (0, 1))
    assert read.open_at(first)
    assert read.open_at(second)
    assert read.support_time(first, second) == timedelta(hours=1)
    assert read.after(first, timedelta(minutes=75)) == second + timedelta(minutes=15)


def test_a_midnight_that_does_not_exist_opens_with_the_day() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # from 00:00 to 01:00 on the 24th of April 2026
    read = hours("Fr 00:00-08:00", zone=cairo, country="EG")
    assert read.opens_after(at("2026-04-23T12:00", cairo)) == at("2026-04-24T01:00", cairo)
    assert read.support_time(at("2026-04-23T12:00", cairo), at("2026-04-24T12:00", cairo)) == timedelta(hours=7)


def test_support_time_counts_only_open_hours() -> None:
    read = hours()
    friday, monday = at("2026-03-06T17:00"), at("2026-03-09T10:00")
    assert read.support_time(friday, monday) == timedelta(hours=1 + 4 + 1)
    assert read.after(friday, timedelta(hours=6)) == monday
    assert read.after(friday, timedelta(hours=1)) == at("2026-03-06T18:00")
    assert read.after(at("2026-03-08T12:00"), timedelta()) == at("2026-03-08T12:00")


def test_a_clock_that_goes_backwards_counts_nothing() -> None:
    read = hours()
    assert read.support_time(at("2026-03-03T12:00"), at("2026-03-02T12:00")) == timedelta()
    assert read.working_days(at("2026-03-03T12:00"), at("2026-03-02T12:00")) == 0
    assert read.support_time(at("2026-03-03T12:00"), at("2026-03-03T12:00")) == timedelta()


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        ("2026-03-02T15:00", 1, "2026-03-03T15:00"),
        ("2026-03-06T15:00", 1, "2026-03-07T12:40"),  # a third of Friday is left, so two thirds of Saturday's 4 h
        ("2026-03-07T23:40", 1, "2026-03-09T18:00"),
        ("2026-03-07T23:40", 2, "2026-03-10T18:00"),
        ("2026-05-26T15:00", 1, "2026-06-01T15:00"),
    ],
)
def test_a_working_day_is_a_day_with_support_hours(start: str, days: int, due: str) -> None:
    assert hours().after_days(at(start), Fraction(days)) == at(due)
    assert hours().working_days(at(start), at(due)) == days


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        hours().open_at(datetime(2026, 3, 2, 12))  # noqa: DTZ001


_TEXTS = (
    SHOP,
    "24/7",
    "Mo-Fr 22:00-06:00; PH off",
    "Mo-Su 01:30-02:45,03:10-04:00,22:00-01:00",
    "Mo-Th 20:00-08:00; Fr 00:00-24:00; Sa[1] 10:00-11:00",
    "week 01-53/2 Mo-Fr 06:00-14:00; week 02-52/2 Mo-Fr 14:00-22:00",
)
_ZONES = ("Europe/Istanbul", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Tehran")
MADE = {(text, zone): hours(text, zone=ZoneInfo(zone)) for text in _TEXTS for zone in _ZONES}
TEXTS, ZONES = st.sampled_from(_TEXTS), st.sampled_from(_ZONES)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@given(text=TEXTS, zone=ZONES, now=MOMENTS)
@settings(max_examples=200, deadline=None)
def test_openings_and_closings_agree_with_the_door(text: str, zone: str, now: datetime) -> None:
    read, instant = MADE[text, zone], timedelta(microseconds=1)
    opens, closes, since = read.opens_after(now), read.closes_after(now), read.closed_since(now)
    if opens is not None:
        assert opens > now
        assert read.open_at(opens)
        assert not read.open_at(opens - instant)
    if closes is not None:
        assert closes > now
        assert not read.open_at(closes)
        assert read.open_at(closes - instant)
    assert (since is None) == read.open_at(now)
    if since is not None:
        assert since <= now
        assert read.support_time(since, now) == timedelta()
        assert opens is None or read.support_time(since, opens) == timedelta()


@given(text=TEXTS, zone=ZONES, now=MOMENTS, minutes=st.integers(1, 60 * 24 * 20), share=st.fractions(0, 1))
@settings(max_examples=200, deadline=None)
def test_time_that_passes_is_time_that_is_measured(
    text: str, zone: str, now: datetime, minutes: int, share: Fraction
) -> None:
    read, length = MADE[text, zone], timedelta(minutes=minutes)
    end = read.after(now, length)
    assert end is not None
    assert read.support_time(now, end) == length
    middle = now + (end - now) * float(share)
    assert read.support_time(now, middle) + read.support_time(middle, end) == length
    days = Fraction(minutes, 1440)
    due = read.after_days(now, days)
    assert due is not None
    assert abs(read.working_days(now, due) - days) < Fraction(1, 10**6)


@given(day=st.dates(date(2024, 1, 1), date(2028, 12, 31)), minute=st.integers(0, 1439))
@settings(max_examples=200, deadline=None)
def test_where_the_clock_never_changes_the_wall_clock_says_it_all(day: date, minute: int) -> None:
    local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=ISTANBUL)
    weekday, free = day.weekday(), bool(holidays.name("TR", day))
    expected = not free and (
        (weekday < 5 and 9 * 60 <= minute < 18 * 60) or (weekday == 5 and 10 * 60 <= minute < 14 * 60)
    )
    assert hours().open_at(local.astimezone(UTC)) == expected
