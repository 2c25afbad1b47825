"""Uploads that no message carries go, those that one carries stay, and nobody fills the disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest_asyncio

from tests.webchat.browser import CHANNEL, Visit
from tests.webchat.test_socket import PNG, passed, rows
from tests.world import World, eventually


@pytest_asyncio.fixture
async def shop(world: World) -> World:
    """A running Santral with a web chat beside the bot."""
    world.more = [CHANNEL]
    await world.start()
    return world


def kept(world: World) -> list[str]:
    """The files that lie in the folder of files."""
    return [path.name for path in (world.folder / "var/files").rglob("*") if path.is_file()]


async def uploaded(tab: Visit) -> str:
    return str((await (await tab.upload(PNG)).json())["file"])


async def refused(tab: Visit, **say: object) -> bool:
    id = str(uuid4())
    await tab.send(type="say", id=id, text="", **say)
    await tab.until(lambda: any(f["type"] in ("refused", "stored") and f["id"] == id for f in tab.frames))
    return any(frame["id"] == id for frame in tab.told("refused"))


async def test_an_upload_that_no_message_carries_is_forgotten_and_the_others_stay(shop: World) -> None:
    async with Visit(shop) as tab:
        await uploaded(tab)
        await tab.say("Kırık geldi", files=[await uploaded(tab)])
    [forgetting] = await rows(shop, "select key, run_at from work where kind = 'forget'")
    assert forgetting["run_at"] > datetime.now(UTC) + timedelta(days=7), "as long as its receipt is good"
    [carried] = await rows(shop, "select path from attachments")
    assert len(kept(shop)) == 2
    await rows(shop, "update work set run_at = now(), due_at = now() where kind = 'forget'")
    await rows(shop, "select pg_notify('santral_work', '*')")
    await eventually(lambda: kept(shop) == [carried["path"].rpartition("/")[2]])


async def test_an_upload_is_sent_in_one_message_however_often_that_is_sent(shop: World) -> None:
    async with Visit(shop) as tab:
        seal, id = await uploaded(tab), str(uuid4())
        await tab.say("", id=id, files=[seal, seal])
        await tab.say("", id=id, files=[seal])
        assert await refused(tab, files=[seal])
        assert await refused(tab, files=[await uploaded(tab), seal])
    assert len(await rows(shop, "select from attachments")) == 1
    assert len(await rows(shop, "select from messages")) == 1


async def test_one_internet_address_can_upload_only_so_much_in_a_day(shop: World) -> None:
    began = datetime.now(UTC)
    statuses = []
    for number in range(48):
        shop.clock = partial(passed, began, 10 * number)
        async with Visit(shop) as tab:  # whoever says hello is somebody new
            statuses.append((await tab.upload(unmeasured())).status)
    assert statuses == [200] * 47 + [429]


async def unmeasured() -> AsyncIterator[bytes]:
    """A file whose size is not told before: it counts as the largest there may be."""
    yield PNG
