"""What was promised: the thread warns before a target breaks, escalates after, and clocks survive whatever happens."""

from __future__ import annotations

import json
from typing import Any

from tests.scenarios.desk import AYSE, answer, query
from tests.scenarios.test_acknowledge import HOURS, istanbul
from tests.world import World, eventually

FRIDAY_AFTERNOON = istanbul("2027-02-05T16:00")
TARGETS = {"normal": {"first_answer": "4h", "next_answer": "2h", "resolution": "2d"}, "high": {"first_answer": "1h"}}


async def open_shop(world: World, **team: object) -> None:
    world.settings |= {"targets": TARGETS, "acknowledge": {"enabled": False}, "model": False}
    world.team |= {"hours": HOURS, **team}
    await world.turn(FRIDAY_AFTERNOON)
    await world.start()


async def asks(world: World, text: str = "Kargom nerede?") -> tuple[int, dict[str, Any]]:
    customer = world.customer()
    await world.telegram.say(customer, text=text)
    return customer, await world.card_with(text)


async def notices(world: World) -> list[tuple[str, str]]:
    """What was said of promises, and how each stood."""
    rows = await query(world, "select notice from notices where notice ->> 'notice' = 'promise' order by id")
    told = [json.loads(row["notice"]) for row in rows]
    return [(notice["promise"], notice["state"]) for notice in told]


async def said(world: World, *wanted: tuple[str, str]) -> None:
    async def look() -> bool:
        return await notices(world) == list(wanted)

    await eventually(look)


async def due(world: World) -> tuple[str, str, str]:
    """The promise the card shows: when it is due on the shop's clock, which it is, and how it stands."""
    (row,) = await query(
        world,
        """
        select to_char(due_at at time zone 'Europe/Istanbul', 'Dy HH24:MI') as at, due_what, due_state
        from conversations
        """,
    )
    return row["at"], row["due_what"], row["due_state"]


async def due_is(world: World, *wanted: str) -> None:
    async def look() -> bool:
        return await due(world) == wanted

    await eventually(look)


async def test_a_target_counts_support_hours_warns_and_breaks_once(world: World) -> None:
    await open_shop(world)
    await asks(world)
    await due_is(world, "Sat 12:00", "first_answer", "running")  # two hours on Friday, two on Saturday
    await world.turn(istanbul("2027-02-05T23:00"))
    await due_is(world, "Sat 12:00", "first_answer", "running")
    await world.turn(istanbul("2027-02-06T11:15"))
    await said(world, ("first_answer", "warned"))
    await world.turn(istanbul("2027-02-06T12:01"))
    await said(world, ("first_answer", "warned"), ("first_answer", "broken"))
    await world.turn(istanbul("2027-02-06T13:00"))
    await world.stop()
    await world.start()
    await world.turn(istanbul("2027-02-06T13:30"))
    await said(world, ("first_answer", "warned"), ("first_answer", "broken"))


async def test_an_answer_keeps_the_promise_and_the_customers_turn_stops_the_clock(world: World) -> None:
    await open_shop(world)
    customer, card = await asks(world)
    await answer(world, card, "Hemen bakıyorum", AYSE)
    await eventually(lambda: _waits(world))
    await world.turn(istanbul("2027-02-10T12:00"))
    assert await notices(world) == []
    await world.telegram.say(customer, text="Ne oldu acaba?")
    await due_is(world, "Wed 14:00", "next_answer", "running")


async def _waits(world: World) -> bool:
    (row,) = await query(world, "select state, due_state from conversations")
    return row["state"] == "waiting" and row["due_state"] in ("", "paused")


async def test_a_broken_promise_raises_moves_and_calls(world: World) -> None:
    await open_shop(world, escalate={"mention": [AYSE]})
    await asks(world)
    await world.turn(istanbul("2027-02-06T12:01"))
    await eventually(lambda: _raised(world))
    (row,) = await query(
        world, 'select notice from notices where notice @> \'{"promise": "first_answer", "state": "broken"}\''
    )
    assert json.loads(row["notice"])["mention"] == [AYSE]
    (change,) = await query(world, "select by, because from changes where change ->> 'change' = 'set_priority'")
    assert (change["by"], change["because"]) == ("santral", "first answer target of 4h broken")


async def test_a_promise_does_not_change_by_being_broken(world: World) -> None:
    await open_shop(world)
    await asks(world)
    await world.turn(istanbul("2027-02-06T12:01"))
    await eventually(lambda: _raised(world))
    await due_is(world, "Sat 12:00", "first_answer", "broken")  # not the hour that high ones are promised
    await said(world, ("first_answer", "broken"))


async def _raised(world: World) -> bool:
    (row,) = await query(world, "select priority from conversations")
    return bool(row["priority"] == 1)


async def test_changed_hours_move_what_is_due(world: World) -> None:
    await open_shop(world)
    await asks(world)
    await due_is(world, "Sat 12:00", "first_answer", "running")
    await world.stop()
    world.team["hours"] = "Mo-Fr 09:00-18:00"
    await world.start()
    await world.turn(istanbul("2027-02-05T16:05"))
    await due_is(world, "Mon 11:00", "first_answer", "running")


async def test_without_targets_there_is_no_timer(world: World) -> None:
    await open_shop(world)
    await world.stop()
    world.settings["targets"] = {}
    await world.start()
    await asks(world)
    assert await query(world, "select kind from work where kind = 'promise'") == []
