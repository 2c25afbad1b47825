"""What agents wrote while Santral was away and Slack had stopped repeating it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.scenarios.desk import answer, calls, opened, received
from tests.world import MEHMET, SUPPORT, World, eventually


async def test_an_answer_written_while_we_were_away_is_found_and_sent_once(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    await world.stop()
    await answer(world, card, "üç tane kaldı")
    await answer(world, card, "ayıralım mı?", MEHMET)
    await world.slack.settle()  # every repeat has been tried, and nobody listened
    missed = [each["event_id"] for each in world.slack.deliveries if each["what"] == "message" and not each["status"]]
    assert missed

    await world.start()
    await received(world, customer, "üç tane kaldı", "ayıralım mı?")
    for event_id in dict.fromkeys(missed):
        await world.slack.repeat(event_id)  # the events come after all
    await answer(world, card, "tamam")
    await received(world, customer, "üç tane kaldı", "ayıralım mı?", "tamam")


async def test_an_answer_found_late_is_asked_about_before_it_goes_out(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    await world.stop()
    await answer(world, card, "bugün kargoda")
    await world.slack.settle()

    world.clock = lambda: datetime.now(UTC) + timedelta(hours=2)
    await world.start()

    async def asked() -> bool:
        return "reply_send" in str(await world.card_with("bugün kargoda"))

    await eventually(asked)
    assert await world.answers(customer) == []


async def test_nothing_is_read_where_nothing_was_missed(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    await answer(world, card, "geliyor")
    await received(world, customer, "geliyor")
    await world.stop()
    await world.start()
    await eventually(lambda: calls(world, "conversations.history"))
    assert calls(world, "conversations.replies") == []
    assert [call["arguments"]["channel"] for call in calls(world, "conversations.history")] == [SUPPORT]


async def test_what_was_missed_in_a_thread_nobody_had_recorded_is_found_too(world: World) -> None:
    """The card's answer was lost with the process, and so was the event of the reply below it."""
    await world.start()
    world.slack.troubles.add([{"match": "chat.postMessage", "action": "drop_after", "times": 1}])
    world.slack.troubles.add([{"match": "conversations.history", "action": "down"}])
    customer, card = await opened(world)
    await world.stop()
    await answer(world, card, "buradayız")
    await world.slack.settle()
    world.slack.troubles.clear()
    await world.start()
    await received(world, customer, "buradayız")
    assert len(await world.roots()) == 1
