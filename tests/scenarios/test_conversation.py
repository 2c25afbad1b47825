"""A customer writes on Telegram, an agent answers in Slack: the ordinary day."""

from __future__ import annotations

from tests.world import AYSE, SUPPORT, World, eventually


async def test_a_customer_writes_and_reads_the_agents_answer(world: World) -> None:
    await world.start()
    customer = world.customer("Ayşe Yılmaz", language_code="tr")
    await world.telegram.say(customer, text="Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    assert "Ayşe Yılmaz · Telegram" in card["text"]

    await world.slack.post(AYSE, SUPPORT, "Yarın sizde olacak 🎉", thread_ts=card["ts"])
    await eventually(lambda: world.answers(customer))
    assert await world.answers(customer) == ["Yarın sizde olacak 🎉"]

    async def marked() -> bool:
        (root,) = await world.roots()
        return [mark["name"] for mark in root["replies"][-1]["reactions"]] == ["white_check_mark"]

    await eventually(marked)
