"""What was promised, when it breaks, and when the thread warns."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox.changes import Priority
from routing.hours import Hours
from routing.promises import (
    Allowance,
    BadPromise,
    Clock,
    Event,
    Promise,
    State,
    Targets,
    What,
    clocks,
    due,
    look_again,
    parse,
    standing,
    standings,
    warn_at,
)

ZONE = ZoneInfo("Europe/Istanbul")
HOURS = Hours.parse("Mo-Fr 09:00-18:00; PH off", zone=ZONE, country="TR")
ALWAYS = Hours.parse("24/7", zone=ZONE, country="TR")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-{text}").replace(tzinfo=ZONE)


def history(*events: str) -> list[Event]:
    """`02T09:30 asked`: a day of March 2026, and what happened."""
    return [Event(at=at(event.split()[0]), what=What(event.split()[1])) for event in events]


def only(promise: Promise, *events: str) -> Clock:
    return [clock for clock in clocks(history(*events)) if clock.promise is promise][-1]


def of(text: str) -> Allowance:
    return Allowance.parse(text)


@pytest.mark.parametrize(
    ("text", "read", "shown"),
    [
        ("30m", Allowance(time=timedelta(minutes=30)), "30m"),
        ("2h", Allowance(time=timedelta(hours=2)), "2h"),
        (" 1h 30m", Allowance(time=timedelta(minutes=90)), "1h30m"),
        ("90M", Allowance(time=timedelta(minutes=90)), "1h30m"),
        ("1d", Allowance(days=1), "1d"),
        ("48h", Allowance(time=timedelta(hours=48)), "48h"),
    ],
)
def test_a_length_of_time_is_read_and_shown(text: str, read: Allowance, shown: str) -> None:
    assert of(text) == read
    assert str(read) == shown
    assert of(str(read)) == read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no length of time: write 30m, 2h, 1h30m or 2d"),
        ("30", '"30" is no length of time'),
        ("2 hours", '"2 hours" is no length of time'),
        ("1.5h", '"1.5h" is no length of time'),
        ("-2h", '"-2h" is no length of time'),
        ("30m 1h", '"30m 1h" is no length of time'),
        ("0m", '"0m" cannot be kept: write at least 1m'),
        ("1d4h", '"1d4h" mixes working days with hours: write either, as 1d or 4h00m'),
        ("400d", '"400d" is longer than a year'),
        ("99999999999h", "is longer than a year"),
    ],
)
def test_a_length_that_is_wrong_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(BadPromise) as refused:
        of(text)
    assert words in str(refused.value)


def test_targets_are_read_by_priority_and_all_mistakes_are_named() -> None:
    assert parse({"urgent": {"first_answer": "15m", "resolution": "1d"}}) == {
        Priority.URGENT: {Promise.FIRST: of("15m"), Promise.RESOLUTION: of("1d")}
    }
    with pytest.raises(BadPromise) as refused:
        parse({"asap": {}, "high": "2h", "low": {"first_answer": 30, "answer": "2h"}})
    assert str(refused.value).splitlines() == [
        "asap is no priority: they are urgent, high, normal, low",
        'high must be a table such as { first_answer = "2h", resolution = "2d" }',
        'low.first_answer: "30" is no length of time: write 30m, 2h, 1h30m or 2d',
        "low.answer is no target: they are first_answer, next_answer, resolution",
    ]


def test_a_team_has_its_own_targets_and_else_the_common_ones() -> None:
    targets = Targets(
        common=parse({"urgent": {"first_answer": "1h", "resolution": "1d"}}),
        teams={"vip": parse({"urgent": {"first_answer": "10m"}})},
    )
    assert targets.of("vip", Priority.URGENT, Promise.FIRST) == of("10m")
    assert targets.of("vip", Priority.URGENT, Promise.RESOLUTION) == of("1d")
    assert targets.of("support", Priority.URGENT, Promise.FIRST) == of("1h")
    assert targets.of("support", Priority.LOW, Promise.FIRST) is None


def test_a_matter_has_a_first_answer_next_answers_and_a_resolution() -> None:
    found = clocks(
        history(
            "02T09:00 asked",
            "02T09:30 asked",
            "02T10:00 answered",
            "02T12:00 asked",
            "02T13:00 answered",
            "02T15:00 resolved",
        )
    )
    assert [(clock.promise, clock.runs, clock.ended_at) for clock in found] == [
        (Promise.FIRST, ((at("02T09:00"), at("02T10:00")),), at("02T10:00")),
        (
            Promise.RESOLUTION,
            ((at("02T09:00"), at("02T10:00")), (at("02T12:00"), at("02T13:00"))),
            at("02T15:00"),
        ),
        (Promise.NEXT, ((at("02T12:00"), at("02T13:00")),), at("02T13:00")),
    ]


def test_what_comes_after_a_resolution_is_a_new_matter() -> None:
    found = clocks(history("02T09:00 asked", "02T10:00 answered", "02T11:00 resolved", "05T09:00 asked"))
    assert [clock.promise for clock in found if clock.ended_at is None] == [Promise.FIRST, Promise.RESOLUTION]


def test_an_agents_reopening_promises_a_resolution_only() -> None:
    found = clocks(history("02T09:00 asked", "02T10:00 answered", "02T11:00 resolved", "02T12:00 reopened"))
    assert [(clock.promise, clock.runs) for clock in found if clock.ended_at is None] == [
        (Promise.RESOLUTION, ((at("02T12:00"), None),))
    ]


def test_the_turn_can_be_given_and_taken_back_without_a_word() -> None:
    first = only(Promise.FIRST, "02T09:00 asked", "02T10:00 waiting", "02T12:00 resumed", "02T12:30 answered")
    assert first.runs == ((at("02T09:00"), at("02T10:00")), (at("02T12:00"), at("02T12:30")))


def test_answers_and_resolutions_out_of_the_blue_start_nothing() -> None:
    assert clocks(history("02T09:00 answered", "02T10:00 waiting", "02T10:30 resumed", "02T11:00 resolved")) == ()
    assert clocks([]) == ()


def test_a_clock_set_back_runs_nothing_backwards() -> None:
    first = only(Promise.FIRST, "02T09:00 asked", "02T08:00 answered")
    assert first.runs == ((at("02T09:00"), at("02T09:00")),)


@pytest.mark.parametrize(
    ("target", "asked", "breaks", "warns"),
    [
        ("2h", "02T09:00", "02T11:00", "02T10:36"),
        ("2h", "02T17:00", "03T10:00", "03T09:36"),
        ("30m", "02T10:00", "02T10:30", "02T10:20"),  # a fifth would be 6 minutes: at least 10
        ("10m", "02T10:00", "02T10:10", "02T10:05"),  # not as it begins either
        ("4h", "06T23:40", "09T13:00", "09T12:12"),  # Friday night to Monday
        ("1d", "02T15:00", "03T15:00", "03T13:12"),
        ("1d", "06T15:00", "09T15:00", "09T13:12"),
        ("2d", "19T15:00", "24T15:00", "24T11:24"),  # Thursday; Friday is a public holiday
    ],
)
def test_a_promise_breaks_and_warns_in_support_time(target: str, asked: str, breaks: str, warns: str) -> None:
    clock = only(Promise.FIRST, f"{asked} asked")
    assert due(of(target), clock, HOURS) == at(breaks)
    assert warn_at(of(target), clock, HOURS) == at(warns)


@pytest.mark.parametrize(
    ("now", "state"),
    [
        ("02T10:35:59", State.RUNNING),
        ("02T10:36", State.WARNED),
        ("02T10:59", State.WARNED),
        ("02T11:00", State.BROKEN),
    ],
)
def test_the_state_moves_with_the_clock(now: str, state: State) -> None:
    assert standing(of("2h"), only(Promise.FIRST, "02T09:00 asked"), HOURS, at(now)).state is state


@pytest.mark.parametrize(("answered", "state"), [("02T11:00", State.MET), ("02T11:01", State.BROKEN)])
def test_an_answer_in_time_keeps_the_promise_for_good(answered: str, state: State) -> None:
    clock = only(Promise.FIRST, "02T09:00 asked", f"{answered} answered")
    assert standing(of("2h"), clock, HOURS, at("20T12:00")).state is state


def test_a_resolution_pauses_while_the_customer_is_asked() -> None:
    asked = ("02T09:00 asked", "02T10:00 answered")
    paused = standing(of("4h"), only(Promise.RESOLUTION, *asked), HOURS, at("20T12:00"))
    assert (paused.state, paused.due, paused.warn_at) == (State.PAUSED, None, None)
    resumed = only(Promise.RESOLUTION, *asked, "04T16:00 asked")
    assert due(of("4h"), resumed, HOURS) == at("05T10:00")
    assert due(of("1d"), resumed, HOURS) == at("05T15:00")


def test_a_promise_that_broke_before_a_pause_stays_broken() -> None:
    clock = only(Promise.RESOLUTION, "02T09:00 asked", "02T12:00 answered")
    assert standing(of("2h"), clock, HOURS, at("02T13:00")).state is State.BROKEN


def test_changed_hours_move_what_was_promised() -> None:
    clock = only(Promise.FIRST, "02T17:00 asked")
    longer = Hours.parse("Mo-Fr 09:00-20:00", zone=ZONE, country="TR")
    assert due(of("2h"), clock, HOURS) == at("03T10:00")
    assert due(of("2h"), clock, longer) == at("02T19:00")
    assert due(of("2h"), clock, Hours.parse("2025 Mo-Fr 09:00-20:00", zone=ZONE, country="TR")) is None


def test_what_stands_now_and_when_to_look_again() -> None:
    targets = Targets(common=parse({"normal": {"first_answer": "2h", "resolution": "2d"}}))
    found = standings(
        history("02T09:00 asked"), targets, team="support", priority=Priority.NORMAL, hours=HOURS, now=at("02T10:40")
    )
    assert [(one.promise, one.state) for one in found] == [
        (Promise.FIRST, State.WARNED),
        (Promise.RESOLUTION, State.RUNNING),
    ]
    assert look_again(found, at("02T10:40")) == at("02T11:00")
    assert look_again(found, at("02T11:00")) == at("03T14:24")
    assert look_again((), at("02T11:00")) is None
    nothing = standings(
        history("02T09:00 asked"), targets, team="", priority=Priority.LOW, hours=HOURS, now=at("02T10:00")
    )
    assert nothing == ()


STEPS = st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from(What)), max_size=25)
LENGTHS = st.sampled_from(["10m", "2h", "9h", "1d", "3d"]).map(of)


def _events(steps: list[tuple[int, What]]) -> list[Event]:
    now, found = at("02T00:00"), []
    for minutes, what in steps:
        now += timedelta(minutes=minutes)
        found.append(Event(at=now, what=what))
    return found


@given(steps=STEPS)
@settings(max_examples=200, deadline=None)
def test_clocks_never_overlap_themselves_and_one_of_a_kind_is_open_at_most(steps: list[tuple[int, What]]) -> None:
    found = clocks(_events(steps))
    for promise in Promise:
        assert sum(clock.ended_at is None for clock in found if clock.promise is promise) <= 1
    for clock in found:
        ends = [end for run in clock.runs for end in run]
        assert all(end is not None for end in ends[:-1])
        known = [end for end in ends if end is not None]
        assert known == sorted(known)
        assert clock.ended_at is None or ends[-1] is not None


@given(steps=STEPS, target=LENGTHS, later=st.integers(0, 20_000))
@settings(max_examples=200, deadline=None)
def test_a_warning_comes_before_the_break_and_nothing_heals(
    steps: list[tuple[int, What]], target: Allowance, later: int
) -> None:
    events = _events(steps)
    end = events[-1].at if events else at("02T00:00")
    ladder = [State.RUNNING, State.WARNED, State.BROKEN]
    for clock in clocks(events):
        breaks, warns = due(target, clock, HOURS), warn_at(target, clock, HOURS)
        assert breaks is None or (warns is not None and warns < breaks)
        before = standing(target, clock, HOURS, end).state
        after = standing(target, clock, HOURS, end + timedelta(minutes=later)).state
        if before in ladder and after in ladder:
            assert ladder.index(before) <= ladder.index(after)
        else:
            assert before is after


@given(start=st.integers(0, 20_000), minutes=st.integers(1, 5_000), pause=st.integers(0, 5_000))
@settings(max_examples=200, deadline=None)
def test_a_pause_moves_the_break_by_as_much_where_it_is_always_open(start: int, minutes: int, pause: int) -> None:
    begin = at("02T00:00") + timedelta(minutes=start)
    stop, target = begin + timedelta(minutes=minutes), Allowance(time=timedelta(minutes=minutes + 7))
    again = stop + timedelta(minutes=pause)
    clock = Clock(promise=Promise.RESOLUTION, runs=((begin, stop), (again, None)))
    assert due(target, clock, ALWAYS) == again + timedelta(minutes=7)
