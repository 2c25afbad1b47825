"""The scripted day of `bench/day.py` in small: every channel at once, with copies, late webhooks and broken files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import aiohttp

from bench.day_phones import Place
from bench.day_run import Day
from bench.day_script import written
from bench.day_site import CHAT, IDENTITY_SECRET, SHOP
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
