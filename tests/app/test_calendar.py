"""The calendar of `santral check`: what somebody who set the hours sees, and the mistakes they see by it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from app.calendar import DAY, WIDE, calendars, drawn, findings
from app.policy import policy_of
from routing.policy import Policy
from tests.app.test_config import BOT, SHOP, SLACK, TEAM
from tests.app.test_policy import Files

SUNDAY = datetime(2026, 11, 22, 10, tzinfo=UTC)  # 13:00 in Istanbul
EXCEPTIONS = 'exceptions = { "2026-11-27" = "09:00-13:00", "2026-11-30" = "off" }\n'
SUPPORT = 'hours = "Mo-Fr 09:00-12:30,13:30-18:00; Sa 10:00-14:00; PH off"\n'
NIGHT = 'hours = "Mo-Th 22:00-06:00; Fr-Sa 20:15-02:00"\n'
GERMAN = SHOP.replace('"TR"', '"DE"\nregion = "BY"').replace("Europe/Istanbul", "Europe/Berlin")


def policy(folder: Path, *teams: str, shop: str = SHOP) -> Policy:
    files = Files(folder)
    written = (TEAM.replace("support", f"team-{number}") + keys for number, keys in enumerate(teams, start=1))
    files.write(shop + SLACK + "".join(written) + BOT)
    return policy_of(files.load())


def shown(policy: Policy, now: datetime, columns: int = 80, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=file, width=columns, color_system=None, legacy_windows=False).print(drawn(policy, now))
    file.seek(0)
    return [line.rstrip() for line in file.read().splitlines()]


def said(policy: Policy, now: datetime) -> list[str]:
    return [finding.what for finding in findings(policy, now)]


def test_two_weeks_at_80_columns(tmp_path):
    assert shown(policy(tmp_path, SUPPORT + EXCEPTIONS), SUNDAY) == [
        "  team-1   Europe/Istanbul, now 13:00",
        "               0  3  6  9  12 15 18 21",
        "  ▸ Su 22 Nov  ························  closed",
        "    Mo 23 Nov  ·········███▌▐████······  09:00-12:30, 13:30-18:00",
        "    Tu 24 Nov  ·········███▌▐████······  09:00-12:30, 13:30-18:00",
        "    We 25 Nov  ·········███▌▐████······  09:00-12:30, 13:30-18:00",
        "    Th 26 Nov  ·········███▌▐████······  09:00-12:30, 13:30-18:00",
        "    Fr 27 Nov  ·········████···········  09:00-13:00  exception",
        "    Sa 28 Nov  ··········████··········  10:00-14:00",
        "    Su 29 Nov  ························  closed",
        "    Mo 30 Nov  ························  closed  exception",
        "    Tu  1 Dec  ·········███▌▐████······  09:00-12:30, 13:30-18:00",
        "    We  2 Dec  ·········███▌▐████······  09:00-12:30, 13:30-18:00",
        "    Th  3 Dec  ·········███▌▐████······  09:00-12:30, 13:30-18:00",
        "    Fr  4 Dec  ·········███▌▐████······  09:00-12:30, 13:30-18:00",
        "    Sa  5 Dec  ··········████··········  10:00-14:00",
        "",
        "  █ open   · closed   ▸ today",
        "",
    ]


def test_night_shifts_reach_into_the_next_day_and_holidays_have_names(tmp_path):
    christmas = datetime(2026, 12, 21, 11, tzinfo=UTC)
    lines = shown(policy(tmp_path, SUPPORT, NIGHT, shop=GERMAN), christmas, 120)
    assert lines[6] == ("    Fr 25 Dec  ················································  closed  Christmas Day")
    night = lines[lines.index("  team-2   Europe/Berlin, now 12:00") :]
    assert night[1:7] == [
        "               0     3     6     9     12    15    18    21",
        "  ▸ Mo 21 Dec  ············································████  22:00-06:00",
        "    Tu 22 Dec  ████████████································████  22:00-06:00",
        "    We 23 Dec  ████████████································████  22:00-06:00",
        "    Th 24 Dec  ████████████································████  22:00-06:00",
        "    Fr 25 Dec  ████████████····························▐███████  20:15-02:00  Christmas Day, yet open",
    ]
    assert night[7].endswith("·▐███████  20:15-02:00  Second Day of Christmas, yet open")
    assert night[-2] == "  █ open   · closed   ▸ today   a night shift stands with its first day"


def test_the_night_before_the_first_day_is_seen(tmp_path):
    first = shown(policy(tmp_path, NIGHT), datetime(2026, 11, 27, 10, tzinfo=UTC))[2]
    assert first == "  ▸ Fr 27 Nov  ██████··············████  20:15-02:00"


def test_today_is_the_day_where_the_hours_are_kept(tmp_path):
    late = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    made = policy(tmp_path, SUPPORT, SUPPORT + 'timezone = "Europe/Berlin"\n')
    today = [line.split("·")[0].strip() for line in shown(made, late) if line.startswith("  ▸")]
    assert today == ["▸ Mo 23 Nov", "▸ Su 22 Nov"]


def test_teams_with_the_same_hours_share_a_calendar(tmp_path):
    made = policy(tmp_path, SUPPORT, SUPPORT, SUPPORT + EXCEPTIONS)
    assert [calendar.teams for calendar in calendars(made, SUNDAY)] == [("team-1", "team-2"), ("team-3",)]


def test_half_a_holiday_that_the_hours_take_no_notice_of(tmp_path):
    eve = datetime(2026, 3, 18, 10, tzinfo=UTC)  # of Eid al-Fitr in Turkey
    lines = shown(policy(tmp_path, SUPPORT), eve, 120)
    assert lines[3].endswith("09:00-12:30, 13:30-18:00  Eid al-Fitr (from 1pm)")
    assert "; 19 March open all day, though it is Eid al-Fitr (from 1pm);" in said(policy(tmp_path, SUPPORT), eve)[0]
    assert "Eid al-Fitr (" not in str(shown(policy(tmp_path, 'hours = "Mo-Fr 09:00-13:00; PH off"\n'), eve))


def test_a_terminal_that_knows_only_ascii(tmp_path):
    lines = shown(policy(tmp_path, SUPPORT), SUNDAY, encoding="ascii")
    assert lines[2:4] == [
        "  > Su 22 Nov  ........................  closed",
        "    Mo 23 Nov  .........###++####......  09:00-12:30, 13:30-18:00",
    ]


def test_a_shop_without_hours_has_no_calendar(tmp_path):
    made = policy(tmp_path, "")
    assert drawn(made, SUNDAY) is None
    assert said(made, SUNDAY) == [
        "Support hours (team-1): none given, so customers are never told that you are closed."
    ]


@pytest.mark.parametrize(
    ("keys", "now", "words"),
    [
        (SUPPORT, SUNDAY, "closed, opens tomorrow at 09:00."),
        (SUPPORT, SUNDAY + timedelta(days=1, hours=2), "open now until today at 18:00."),
        (SUPPORT + EXCEPTIONS, SUNDAY,
         "closed, opens tomorrow at 09:00; 27 November by exception 09:00-13:00; 30 November by exception closed."),
        ('hours = "24/7"\n', SUNDAY, "open now."),
        ('hours = "Jun-Aug Mo-Fr 09:00-18:00"\n', SUNDAY, "closed, and does not open within 60 days."),
        (SUPPORT, datetime(2026, 12, 30, 5, tzinfo=UTC),
         "closed, opens today at 09:00; 1 January closed for New Year's Day."),
        ('hours = "Mo-Fr 09:00-18:00"\n', datetime(2026, 12, 30, 5, tzinfo=UTC),
         "closed, opens today at 09:00; 1 January open, though it is New Year's Day."),
    ],
)  # fmt: skip
def test_what_is_said_of_the_hours(tmp_path, keys, now, words):
    (finding,) = findings(policy(tmp_path, keys), now)
    assert finding.what.endswith(f"; {words}")
    assert finding.ok == ("does not open" not in words)
    assert bool(finding.fix) != finding.ok


QUARTERS = st.integers(0, DAY // 15 - 1)


@given(start=QUARTERS, length=st.integers(1, DAY // 15))
def test_the_bar_is_open_exactly_when_the_hours_are(tmp_path_factory, start, length):
    end = min(start * 15 + length * 15, start * 15 + DAY - 15)
    clock = "-".join(f"{minute // 60 % 24:02}:{minute % 60:02}" for minute in (start * 15, end))
    if start * 15 == end % DAY:
        return
    made = policy(tmp_path_factory.mktemp("bar"), f'hours = "Mo,We 00:00-00:15; Tu {clock}"\n')
    hours = made.first.hours
    assert hours is not None
    lines = shown(made, SUNDAY, 120)
    for line, day in ((lines[4], 24), (lines[5], 25)):
        bar = Text(line).plain[15 : 15 + WIDE]
        drawn_open = [half for cell in bar for half in {"█": "11", "▌": "10", "▐": "01", "·": "00"}[cell]]
        midnight = datetime(2026, 11, day, tzinfo=hours.zone)
        really = [hours.open_at(midnight + timedelta(minutes=15 * slot + 7)) for slot in range(DAY // 15)]
        assert [half == "1" for half in drawn_open] == really
