"""The clock of the demo: where it stands, where it can be turned, and that Santral and the emulators go by the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import TurnedClock
from sandbox.clock import FURTHEST, Clock, Hours
from sandbox.page import Options, Page

ISTANBUL = ZoneInfo("Europe/Istanbul")
CLOSE = timedelta(seconds=30)  # between two readings of the real clock on a busy machine


def istanbul(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ISTANBUL)


def weekly(weeks: int = 60) -> Hours:
    """Monday to Friday from nine to six, Saturday from ten to two, from a week ago on."""
    today = datetime.now(ISTANBUL).replace(hour=0, minute=0, second=0, microsecond=0)
    spans = []
    for number in range(-7, 7 * weeks):
        day = today + timedelta(days=number)
        if day.weekday() < 5:
            spans.append((day.replace(hour=9).astimezone(UTC), day.replace(hour=18).astimezone(UTC)))
        elif day.weekday() == 5:
            spans.append((day.replace(hour=10).astimezone(UTC), day.replace(hour=14).astimezone(UTC)))
    return Hours(zone=ISTANBUL, text="Mo-Fr 09:00-18:00; Sa 10:00-14:00", spans=tuple(spans))


MONDAY = Hours(zone=ISTANBUL, spans=((istanbul("2026-11-23T09:00"), istanbul("2026-11-23T18:00")),))


@pytest.mark.parametrize(
    ("at", "is_open", "until"),
    [
        ("2026-11-22T23:40", False, "2026-11-23T09:00"),
        ("2026-11-23T08:59", False, "2026-11-23T09:00"),
        ("2026-11-23T09:00", True, "2026-11-23T18:00"),
        ("2026-11-23T17:59", True, "2026-11-23T18:00"),
        ("2026-11-23T18:00", None, None),
    ],
)
def test_it_is_known_whether_somebody_answers_and_until_when(at: str, is_open: bool | None, until: str | None) -> None:
    assert MONDAY.stand(istanbul(at)) == (is_open, istanbul(until) if until else None)


def test_without_hours_nothing_is_said_about_them() -> None:
    clock = Clock()
    assert clock.plain()["open"] is None
    assert not clock.closed
    with pytest.raises(ValueError, match="nobody said"):
        clock.find({"to": "opening"})


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=300)))
def test_the_next_opening_is_where_closed_turns_to_open(after: timedelta) -> None:
    hours = weekly()
    opening = hours.opening(datetime.now(UTC) + after)
    assert hours.stand(opening)[0] is True
    assert hours.stand(opening - timedelta(seconds=1))[0] is False


@given(st.timedeltas(min_value=timedelta(days=-300), max_value=timedelta(days=300)))
def test_saturday_night_is_the_next_one(turned: timedelta) -> None:
    clock = Clock()
    clock.offset = turned
    found = clock.find({"to": "saturday"})
    assert found is not None
    assert (found.weekday(), found.hour, found.minute) == (5, 23, 40)
    assert timedelta(0) < found - clock.now() <= timedelta(days=7)


def test_it_goes_on_from_where_it_was_turned_to(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock = Clock(weekly(), str(file))
    turned = TurnedClock(file)
    assert abs(turned() - datetime.now(UTC)) < CLOSE
    for wish in ({"to": "saturday"}, {"by": 600}, {"to": "opening"}, {"to": "2027-03-01T08:59"}, {"by": -86_400}):
        clock.turn(clock.find(wish))
        assert abs(turned() - clock.now()) < CLOSE  # Santral's clock and the page's
    assert clock.find({"to": "now"}) is None
    clock.turn(None)
    assert turned.offset() == clock.offset == timedelta(0)
    assert [left.name for left in tmp_path.iterdir()] == ["clock"]


def test_a_date_and_time_is_meant_on_the_shops_wall() -> None:
    assert Clock().find({"to": "2027-03-06T23:40"}) == datetime(2027, 3, 6, 20, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    "wish", [{}, {"to": "yesterday"}, {"to": "2027-02-30T10:00"}, {"by": "600"}, {"by": True}, {"by": 1e99}]
)
def test_what_is_no_moment_is_refused(wish: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Clock().find(wish)


def test_it_cannot_be_turned_beyond_the_calendar() -> None:
    clock = Clock()
    with pytest.raises(ValueError, match="two years"):
        clock.turn(clock.now() + FURTHEST + timedelta(days=1))
    assert clock.offset == timedelta(0)


async def test_a_turn_is_told_until_it_is_heard(tmp_path: Path) -> None:
    clock = Clock(file=str(tmp_path / "clock"))
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def look_again() -> None:
        heard.put_nowait("")
        if heard.qsize() == 1:
            raise ConnectionError("the database is away")

    watching = asyncio.create_task(TurnedClock(tmp_path / "clock").watch(look_again))
    await asyncio.sleep(0)  # it has read where the clock stands
    clock.turn(clock.now() + timedelta(hours=1))
    async with asyncio.timeout(20):
        while heard.qsize() < 2:
            await asyncio.sleep(0.05)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


def test_hours_are_read_from_a_file(tmp_path: Path) -> None:
    (opens, closes) = MONDAY.spans[0]
    told = {"zone": "Europe/Istanbul", "text": "Mo 09:00-18:00", "spans": [[opens.timestamp(), closes.timestamp()]]}
    path = tmp_path / "hours.json"
    path.write_text(json.dumps(told), encoding="utf-8")
    read = Hours.read(str(path))
    assert (read.zone, read.text, read.spans) == (ISTANBUL, "Mo 09:00-18:00", MONDAY.spans)


async def test_phones_and_mailboxes_are_turned_and_what_is_written_carries_the_turned_time() -> None:
    page = Page(Options())
    moment = istanbul("2027-03-06T23:40")
    page.telegram.add_bot(token="1:x")
    ayse = page.telegram.add_user(first_name="Ayşe")
    await page.turn(moment)
    await page.telegram.say(ayse.id, text="Kargom nerede?")
    (message,) = page.telegram.state()["chats"][str(ayse.id)]
    assert abs(datetime.fromtimestamp(message["at"], UTC) - moment) < CLOSE
    page.mail.add_account("shop@kumbara.example")
    page.mail.deliver("zeynep@posta.example", "shop@kumbara.example", "Kargo", "Kargom nerede?")
    (mail,) = page.mail.inbox("shop@kumbara.example")
    assert abs(mail.date - moment) < CLOSE
    assert abs(float(page.slack.stamp()) - datetime.now(UTC).timestamp()) < CLOSE.total_seconds()  # its ids only rise
    assert page.board.since(f"{page.board.life}.0")


def test_a_file_that_cannot_be_read_leaves_the_clock_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock = TurnedClock(file)
    file.write_text("3600\n", encoding="ascii")
    assert clock.offset() == timedelta(hours=1)
    for spoiled in ("an hour", "", "inf", "nan", "1e300"):
        file.write_text(spoiled, encoding="ascii")
        assert clock.offset() == timedelta(hours=1)
    file.unlink()
    assert clock.offset() == timedelta(0)
