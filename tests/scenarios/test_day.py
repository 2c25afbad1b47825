"""The scripted day of `bench/day.py` in small: every channel at once, with copies, late webhooks and broken files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.day_phones import Place
from bench.day_run import Day
from bench.day_script import mark, written
from bench.day_site import CHAT, IDENTITY_SECRET, SHOP
from bench.day_verdict import (
    ANSWERS_DOUBLED,
    ANSWERS_LOST,
    ASTRAY,
    DISORDERED,
    DOUBLED,
    FILES,
    LOST,
    MISCOUNTED,
    MISPLACED,
    UNTOLD,
    Answered,
    Shown,
    Wrote,
    judge,
)
from tests.providers import INSTAGRAM, NUMBER_ID, PAGE, SMS, WHATSAPP_TWILIO, X_USER
from tests.scenarios.desk import query
from tests.world import MAILBOX, World

LINES = {
    "sms": SMS,
    "whatsapp-twilio": WHATSAPP_TWILIO,
    "whatsapp": NUMBER_ID,
    "messenger": PAGE,
    "instagram": INSTAGRAM,
    "x": X_USER,
    "email": MAILBOX,
}


async def test_a_small_day_over_all_channels_ends_with_everything_in_its_place(mail_world: World) -> None:
    world = mail_world
    providers = await world.add_channels()
    world.more.append({"name": CHAT, "kind": "webchat", "origins": [SHOP], "identity_secret": IDENTITY_SECRET})
    await providers.twilio.settle({"seed": 5, "duplicates": 0.05, "callback_first": True})
    await providers.meta.settle({"seed": 5, "duplicates": 0.05, "callback_first": True})
    await providers.x.settle({"seed": 5, "duplicates": 0.05, "echo_first": True, "ton_url": providers.x_url})
    await world.start()
    place = Place(
        telegram=world.telegram,
        slack=world.slack,
        mail=world.mail,
        twilio=providers.twilio,
        meta=providers.meta,
        x=providers.x,
        url=world.url,
        lines=LINES,
    )

    async def ask(sql: str) -> Sequence[Mapping[str, Any]]:
        return await query(world, sql)

    script = written(seed=5, messages=120, people=24)
    day = Day(place, script, ask)
    async with aiohttp.ClientSession() as session:
        clock = world.clock
        world.clock = lambda: clock() - timedelta(minutes=1)  # the pages of the form were opened a minute ago
        await day.furnish(session)
        world.clock = clock
        played = await day.play()
    assert played.verdict.wrong == {}
    assert (played.kept.quarantined, played.kept.parked, played.kept.left) == ([], [], ())
    assert len(played.wrote) == script.messages


ONE, TWO, OTHER = (mark(1, 0), mark(1, 1), mark(2, 0))
HOME = Shown(ts="1", marks=(ONE, TWO), stored=2)
AWAY = Shown(ts="2", marks=(OTHER,), stored=1)


def said() -> list[Wrote]:
    """Two messages of one customer, a minute apart, and one of another."""
    return [
        Wrote(customer=1, number=0, kind="sms", at=0.0, taken=1.0),
        Wrote(customer=1, number=1, kind="sms", at=60.0, taken=61.0),
        Wrote(customer=2, number=0, kind="x", at=0.0, taken=1.0),
    ]


def test_a_day_on_which_nothing_went_wrong_is_judged_so() -> None:
    answer = Answered(customer=1, mark="a", kinds=frozenset({"sms"}))
    assert judge(said(), [answer], [HOME, AWAY], {(1, "sms"): ["a"]}).wrong == {}


@pytest.mark.parametrize(
    ("threads", "wrong"),
    [
        ([replace(HOME, marks=(ONE,)), AWAY], {LOST}),
        ([replace(HOME, stored=1), AWAY], {MISCOUNTED}),
        ([replace(HOME, marks=(ONE, TWO, TWO)), AWAY], {DOUBLED}),
        ([replace(HOME, marks=(TWO, ONE)), AWAY], {DISORDERED}),
        ([replace(HOME, marks=(ONE,)), replace(AWAY, marks=(OTHER, TWO))], {MISPLACED}),
        ([replace(HOME, marks=(ONE, TWO, OTHER), stored=None)], {MISPLACED}),
    ],
)
def test_what_is_wrong_in_slack_is_named(threads: Sequence[Shown], wrong: set[str]) -> None:
    assert set(judge(said(), [], threads, {}).wrong) == wrong


def test_what_was_kept_back_may_stand_where_it_came() -> None:
    late = said()
    late[0].taken, late[0].late = 120.0, True
    assert judge(late, [], [replace(HOME, marks=(TWO, ONE)), AWAY], {}).wrong == {}


def test_a_file_that_did_not_come_has_to_be_said_to_be_lost() -> None:
    wrote = said()
    wrote[0].has_file = True
    assert set(judge(wrote, [], [HOME, AWAY], {}).wrong) == {FILES}
    assert judge(wrote, [], [replace(HOME, lost=1), AWAY], {}).wrong == {}
    assert judge(wrote, [], [replace(HOME, files=(ONE,)), AWAY], {}).wrong == {}


@pytest.mark.parametrize(
    ("heard", "wrong"),
    [
        ({}, {ANSWERS_LOST}),
        ({(1, "sms"): ["a", "a"]}, {ANSWERS_DOUBLED}),
        ({(2, "sms"): ["a"]}, {ASTRAY}),
        ({(1, "x"): ["a"]}, {ASTRAY}),
    ],
)
def test_what_is_wrong_on_the_phones_is_named(heard: Mapping[tuple[int, str], Sequence[str]], wrong: set[str]) -> None:
    answer = Answered(customer=1, mark="a", kinds=frozenset({"sms"}))
    assert set(judge(said(), [answer], [HOME, AWAY], heard).wrong) == wrong


def test_an_answer_that_must_not_arrive_is_looked_for_and_the_agent_has_to_know() -> None:
    answer = Answered(customer=1, mark="a", kinds=frozenset())
    assert set(judge(said(), [answer], [HOME, AWAY], {(1, "sms"): ["a"]}).wrong) == {ASTRAY}
    answer.told = False
    assert set(judge(said(), [answer], [HOME, AWAY], {}).wrong) == {UNTOLD}


@given(seed=st.integers(0, 1000), messages=st.integers(100, 600), people=st.integers(20, 90))
def test_a_script_is_as_long_as_it_was_asked_to_be_and_the_same_for_the_same_seed(
    seed: int, messages: int, people: int
) -> None:
    script = written(seed, messages, people)
    assert script == written(seed, messages, people)
    assert script.messages >= messages
    marks = [(turn.customer, deed.number) for turn in script.turns for deed in turn.deeds]
    assert len(set(marks)) == len(marks)
    own = {customer.number: [n for who, n in marks if who == customer.number] for customer in script.customers}
    assert all(numbers == sorted(numbers) for numbers in own.values())
