"""Who takes a conversation."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox.changes import Priority
from routing.assignment import Agent, Choice, Method, Waiting, choose, distribute, on_shift, order, shift_changes
from routing.hours import Hours

ISTANBUL = ZoneInfo("Europe/Istanbul")
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=ISTANBUL)  # a Monday
DAY = Hours.parse("Mo-Fr 09:00-18:00; PH off", zone=ISTANBUL, country="TR")
NIGHT = Hours.parse("Mo-Fr 18:00-02:00", zone=ISTANBUL, country="TR")
ONE = Waiting(id=1, since=NOON - timedelta(minutes=5))


def agent(id: str, *, languages: str = "", skills: str = "", **given: object) -> Agent:
    return Agent(id=id, languages=frozenset(languages.split()), skills=frozenset(skills.split()), **given)  # type: ignore[arg-type]


def waiting(id: int = 1, *, tags: str = "", since: int = 5, **given: object) -> Waiting:
    return Waiting(id=id, tags=frozenset(tags.split()), since=NOON - timedelta(minutes=since), **given)  # type: ignore[arg-type]


def test_round_robin_takes_whoever_had_one_longest_ago() -> None:
    team = [agent("U1", assigned_at=NOON), agent("U2", assigned_at=NOON - timedelta(hours=1)), agent("U3", load=9)]
    assert choose(ONE, team, NOON) == Choice(agent="U3", because="whose turn it is")
    assert choose(ONE, team[:2], NOON).agent == "U2"


def test_the_least_busy_is_the_emptiest_for_their_size() -> None:
    team = [agent("U1", load=2, capacity=4), agent("U2", load=3, capacity=10)]
    assert choose(ONE, team, NOON, method=Method.LEAST_BUSY) == Choice(agent="U2", because="has the most room")


def test_a_tie_goes_by_turn_and_then_by_id() -> None:
    team = [agent("U2"), agent("U1"), agent("U3", assigned_at=NOON)]
    assert choose(ONE, team, NOON, method=Method.LEAST_BUSY).agent == "U1"


def test_it_stays_with_whom_the_customer_knows_while_they_can() -> None:
    known = waiting(language="ru", answered_last="U1")
    speaker = agent("U2", languages="ru tr")
    assert choose(known, [agent("U1", languages="tr", load=9), speaker], NOON) == Choice(
        agent="U1", because="answered this customer last"
    )
    for gone in ({"load": 10}, {"away": True}, {"present": False}, {"hours": NIGHT}):
        assert choose(known, [agent("U1", **gone), speaker], NOON).agent == "U2"


@pytest.mark.parametrize(
    ("asked", "chosen", "because"),
    [
        (waiting(language="ru"), "U2", "speaks ru; whose turn it is"),
        (waiting(tags="legal refund"), "U3", "knows about legal; whose turn it is"),
        (waiting(language="ru", tags="legal"), "U2", "speaks ru and knows about legal; whose turn it is"),
        (waiting(language="fi"), "U1", "speaks fi; whose turn it is"),  # U1 names no languages: all of the shop's
        (waiting(tags="stock"), "U1", "whose turn it is"),  # nobody knows more of it than the others
    ],
)
def test_language_and_skill_find_their_agent(asked: Waiting, chosen: str, because: str) -> None:
    team = [
        agent("U1", assigned_at=NOON - timedelta(hours=3)),
        agent("U2", languages="ru tr", assigned_at=NOON - timedelta(hours=9)),
        agent("U3", languages="tr", skills="legal", assigned_at=NOON),
    ]
    if chosen == "U1" and not asked.language:
        team = team[:1] + team[2:]
    if asked.language == "ru":
        team = team[1:]
    choice = choose(asked, team, NOON)
    assert (choice.agent, choice.because) == (chosen, because)


def test_what_nobody_of_the_team_speaks_is_anybodys() -> None:
    assert choose(waiting(language="fi"), [agent("U1", languages="tr")], NOON).agent == "U1"


def test_it_waits_for_who_fits_unless_it_is_urgent_or_has_waited() -> None:
    team = [agent("U1", languages="tr"), agent("U2", languages="ru", load=10)]
    assert choose(waiting(language="ru"), team, NOON) == Choice(agent="", because="waits for somebody who speaks ru")
    told = Choice(agent="U1", because="cannot wait, and nobody free speaks ru")
    assert choose(waiting(language="ru", priority=Priority.URGENT), team, NOON) == told
    assert choose(waiting(language="ru", since=61), team, NOON) == told
    assert choose(waiting(language="ru", since=60), team, NOON).agent == ""


def test_patience_is_counted_in_support_time() -> None:
    team = [agent("U1", languages="tr"), agent("U2", languages="ru", load=10)]
    morning = NOON.replace(hour=9, minute=30)
    over_night = Waiting(id=1, language="ru", since=NOON - timedelta(days=2))
    assert choose(over_night, team, morning, team_hours=DAY).agent == ""
    assert choose(over_night, team, NOON, team_hours=DAY).agent == "U1"


@pytest.mark.parametrize(
    ("team", "because"),
    [
        ([], "the team has no agents"),
        ([agent("U1", away=True), agent("U2", present=False)], "nobody is on shift"),
        ([agent("U1", hours=NIGHT)], "nobody is on shift"),
        ([agent("U1", load=10), agent("U2", away=True)], "everybody on shift has as much as they can carry"),
        ([agent("U1", capacity=0)], "everybody on shift has as much as they can carry"),
    ],
)
def test_why_nobody_takes_it_is_said(team: list[Agent], because: str) -> None:
    assert choose(ONE, team, NOON) == Choice(agent="", because=because)


def test_own_hours_come_before_the_teams() -> None:
    evening = NOON.replace(hour=20)
    assert [on_shift(agent("U1"), at, DAY) for at in (NOON, evening)] == [True, False]
    assert [on_shift(agent("U1", hours=NIGHT), at, DAY) for at in (NOON, evening)] == [False, True]
    assert on_shift(agent("U1", present=True), evening)
    assert not on_shift(agent("U1", present=False), NOON, DAY)


def test_the_next_coming_or_going_is_known() -> None:
    team = [agent("U1"), agent("U2", hours=NIGHT)]
    assert shift_changes(team, NOON, DAY) == NOON.replace(hour=18)
    assert shift_changes(team, NOON.replace(hour=20), DAY) == NOON.replace(day=3, hour=2)
    assert shift_changes([agent("U1")], NOON) is None


def test_urgent_first_then_whoever_waits_longest() -> None:
    first = waiting(4, priority=Priority.URGENT, since=1)
    line = [waiting(1, since=5), waiting(2, since=90), waiting(3, since=90), Waiting(id=5), first]
    assert [one.id for one in order(line)] == [4, 2, 3, 1, 5]


LANGUAGES = st.frozensets(st.sampled_from(["tr", "ru", "en"]))
TAGS = st.frozensets(st.sampled_from(["legal", "return", "stock"]), max_size=2)
TIMES = st.none() | st.integers(0, 10_000).map(lambda minutes: NOON.astimezone(UTC) - timedelta(minutes=minutes))
AGENTS = st.lists(
    st.builds(
        Agent,
        id=st.integers(1, 9).map(lambda number: f"U{number}"),
        load=st.integers(0, 4),
        capacity=st.integers(0, 4),
        languages=LANGUAGES,
        skills=TAGS,
        away=st.booleans(),
        present=st.none() | st.booleans(),
        hours=st.none() | st.sampled_from([DAY, NIGHT]),
        assigned_at=TIMES,
    ),
    max_size=6,
    unique_by=lambda agent: agent.id,
)
WAITING = st.builds(
    Waiting,
    id=st.integers(1, 10**6),
    priority=st.sampled_from(Priority),
    since=TIMES,
    language=st.sampled_from(["", "tr", "ru", "en", "fi"]),
    tags=TAGS,
    answered_last=st.sampled_from(["", "U1", "U2"]),
)
METHODS = st.sampled_from(Method)


@given(asked=WAITING, team=AGENTS, method=METHODS)
@settings(max_examples=300, deadline=None)
def test_never_over_capacity_never_away_and_always_somebody_who_fits(
    asked: Waiting, team: list[Agent], method: Method
) -> None:
    choice = choose(asked, team, NOON, method=method, team_hours=DAY)
    free = [one for one in team if on_shift(one, NOON, DAY) and one.load < one.capacity]
    fits = [
        one
        for one in free
        if (not one.languages or not asked.language or asked.language in one.languages) and asked.tags <= one.skills
    ]
    assert choice.because
    if choice.agent:
        assert choice.agent in {one.id for one in free}
    if fits or (free and asked.priority is Priority.URGENT):
        assert choice.agent
    assert choose(asked, team[::-1], NOON, method=method, team_hours=DAY) == choice


@given(line=st.lists(WAITING, max_size=12, unique_by=lambda one: one.id), team=AGENTS, method=METHODS)
@settings(max_examples=150, deadline=None)
def test_a_whole_line_fills_nobody_over_the_brim(line: list[Waiting], team: list[Agent], method: Method) -> None:
    given_out = distribute(line, team, NOON, method=method, team_hours=DAY)
    assert [one for one, _ in given_out] == order(line)
    taken = Counter(choice.agent for _, choice in given_out if choice.agent)
    for one in team:
        assert not taken[one.id] or one.load + taken[one.id] <= one.capacity
    assert distribute(line[::-1], team[::-1], NOON, method=method, team_hours=DAY) == given_out


@given(count=st.integers(1, 40), size=st.integers(1, 7), method=METHODS)
@settings(max_examples=60, deadline=None)
def test_equals_get_equally_much(count: int, size: int, method: Method) -> None:
    team = [agent(f"U{number}", capacity=50) for number in range(size)]
    given_out = distribute([waiting(number) for number in range(count)], team, NOON, method=method)
    taken = Counter(choice.agent for _, choice in given_out)
    shares = [taken[one.id] for one in team]
    assert sum(shares) == count
    assert max(shares) - min(shares) <= 1
