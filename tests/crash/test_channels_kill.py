"""`kill -9` between a provider's taking an answer and our writing that down: nothing is lost, nothing is sent twice.

The moments are made exact as in `test_kill.py`. Unlike Telegram, these providers know an id of ours or can be asked, so
what is in doubt after the start settles itself wherever they have it.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.crash.program import Program
from tests.providers import NUMBER_ID, SMS, VERIFY_TOKEN
from tests.world import AYSE, SUPPORT, World, eventually

pytestmark = pytest.mark.crash

FOREVER = 600.0  # seconds that an emulator holds an answer: longer than any test
RECOVERY = 40.0  # seconds until everything is shown again, on two cores that others use too
PHONE, KEY = "+905550001001", "ayse"


@dataclass(slots=True, kw_only=True)
class Scene:
    """The program between its emulators, and one customer who writes by SMS and by WhatsApp."""

    world: World
    program: Program

    @property
    def twilio(self) -> Any:
        return self.world.providers.twilio

    @property
    def meta(self) -> Any:
        return self.world.providers.meta

    async def says(self, kind: str, text: str) -> None:
        if kind == "sms":
            await self.twilio.say(PHONE, SMS, text)
        else:
            await self.meta.say(KEY, NUMBER_ID, text)

    async def card(self, text: str) -> dict[str, Any]:
        return await self.world.card_with(text)

    async def answers(self, card: dict[str, Any], text: str) -> str:
        return str((await self.world.slack.post(AYSE, SUPPORT, text, thread_ts=card["ts"]))["ts"])

    def got(self, kind: str) -> list[str]:
        """The shop's words on the phone."""
        if kind == "sms":
            chat = self.twilio.state("")["chats"].get(f"{SMS}|{PHONE}", [])
            return [one["text"] for one in chat if one["from"] == "shop" and one["status"] != "failed"]
        entries = self.meta.chat(self.meta.accounts.line(NUMBER_ID), KEY).entries.values()
        return [one.text for one in entries if one.author == "shop" and one.status != "failed"]

    def trouble(self, kind: str, action: str) -> None:
        provider, name = (self.twilio, "messages.create") if kind == "sms" else (self.meta, "whatsapp.messages")
        provider.troubles.add([{"match": name, "action": action, "seconds": FOREVER, "times": 1}])

    def held(self, kind: str) -> bool:
        provider = self.twilio if kind == "sms" else self.meta
        return all(rule["fired"] for rule in provider.troubles.plain())

    def calm(self) -> None:
        self.twilio.troubles.clear()
        self.meta.troubles.clear()

    async def marked(self, ts: str, *names: str) -> None:
        message = self.world.slack.channels[SUPPORT].messages[ts]
        await eventually(lambda: len(message.reactions) == 1 and set(message.reactions) <= set(names), within=RECOVERY)

    async def questions(self, text: str) -> list[dict[str, Any]]:
        """The posts that ask what became of an answer, with their buttons."""
        return [
            message
            for root in await self.world.roots()
            for message in root["replies"]
            if message.get("bot_id") and text in str(message) and "delivery_arrived" in str(message)
        ]


@pytest_asyncio.fixture
async def scene(cluster: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    world = World("", tmp_path)
    world.settings["database_url"] = None
    await world.open()
    await world.add_channels("sms", "whatsapp")
    world.slack.change_settings({"retry_scale": 0.05})  # so that Slack's retries outlast a restart
    shutil.copytree(cluster, tmp_path / "var" / "postgres")
    program = Program(world)
    made = Scene(world=world, program=program)
    made.twilio.add_person("Ayşe Yılmaz", PHONE)
    made.meta.add_person(KEY, "Ayşe Yılmaz", phone=PHONE.removeprefix("+"))
    try:
        await program.start()
        await world.connect()
        made.twilio.line(SMS).url = f"{world.url}/webhooks/sms#rc=5&rp=all"
        made.meta.subscribe(f"{world.url}/webhooks/whatsapp", VERIFY_TOKEN, [NUMBER_ID])
        yield made
    finally:
        if program.alive:
            await program.kill(database=True)
        made.calm()
        world.slack.troubles.clear()
        await world.close()


@pytest.mark.parametrize("kind", ["sms", "whatsapp"])
async def test_killed_between_sending_and_settling(scene: Scene, kind: str) -> None:
    await scene.says(kind, "Kargom nerede?")
    card = await scene.card("Kargom nerede?")

    # Taken by the provider, whose answer never comes; its receipts meet nobody.
    scene.trouble(kind, "hang")
    taken = await scene.answers(card, "arrived but unanswered")
    await eventually(lambda: scene.got(kind) == ["arrived but unanswered"], within=RECOVERY)
    await scene.program.kill()
    scene.calm()
    await scene.program.start()
    await scene.marked(taken, "white_check_mark", "ballot_box_with_check", "eyes")
    assert not await scene.questions("arrived but unanswered")

    # Answered, but that cannot be written down any more.
    async with scene.program.stuck("deliveries", "new.sent_at is not null") as line:
        unwritten = await scene.answers(card, "answered but unwritten")
        await scene.program.is_stuck(line)
        await eventually(lambda: scene.got(kind)[1:] == ["answered but unwritten"], within=RECOVERY)
        await scene.program.kill()
    await scene.program.start()
    await scene.marked(unwritten, "white_check_mark", "ballot_box_with_check", "eyes")

    await scene.answers(card, "the next one")
    await eventually(lambda: scene.got(kind)[2:] == ["the next one"], within=RECOVERY)
    assert scene.got(kind) == ["arrived but unanswered", "answered but unwritten", "the next one"]


@pytest.mark.parametrize("kind", ["sms", "whatsapp"])
async def test_killed_before_the_provider_had_it(scene: Scene, kind: str) -> None:
    await scene.says(kind, "Kargom nerede?")
    card = await scene.card("Kargom nerede?")
    scene.trouble(kind, "slow")
    lost = await scene.answers(card, "never came through")
    await eventually(lambda: scene.held(kind), within=RECOVERY)
    async with scene.program.look() as line:  # so long ago that Twilio has surely done with it
        await line.execute("update deliveries set sending_at = sending_at - interval '1 minute'")
    await scene.program.kill()
    await scene.program.start()
    if kind == "whatsapp":  # which says nothing of what it does not have
        await eventually(lambda: scene.questions("never came through"), within=RECOVERY)
        await scene.marked(lost, "warning")
        (question,) = await scene.questions("never came through")
        await scene.world.slack.press(AYSE, "delivery_again", channel=SUPPORT, ts=question["ts"])
    await eventually(lambda: scene.got(kind) == ["never came through"], within=RECOVERY)
    await scene.marked(lost, "white_check_mark", "ballot_box_with_check", "eyes")
    await scene.answers(card, "the next one")
    await eventually(lambda: scene.got(kind) == ["never came through", "the next one"], within=RECOVERY)


async def test_killed_while_webhooks_of_both_arrive(scene: Scene) -> None:
    await scene.says("sms", "said-0")
    await scene.card("said-0")
    for round_, table in enumerate(("messages", "work"), start=1):
        async with scene.program.look() as line:
            await line.execute(f"begin; lock table {table} in exclusive mode")
            for kind in ("sms", "whatsapp"):
                await scene.says(kind, f"said-{round_}-{kind}")
            await scene.program.is_stuck(line)
            await scene.program.kill()
        await scene.program.start()
    wanted = {"said-0", *(f"said-{round_}-{kind}" for round_ in (1, 2) for kind in ("sms", "whatsapp"))}

    async def stored() -> bool:
        async with scene.program.look() as line:
            rows = await line.fetch("select text from messages where direction = 'in'")
        return sorted(row["text"] for row in rows) == sorted(wanted)

    await eventually(stored, within=RECOVERY)

    async def shown() -> bool:
        (root,) = await scene.world.roots()
        words = [str(message["blocks"]) for message in (root, *root["replies"])]
        return all(sum(word in one for one in words) == 1 for word in wanted)

    await eventually(shown, within=RECOVERY)
