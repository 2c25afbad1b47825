"""`kill -9` at every step a mail takes: each is shown once and in order, no answer is sent twice, no process is left.

The moments are made exact as in `test_kill.py`; a stopped (SIGSTOP) reader is one that is inside a mail for ever.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.crash.program import Program, runs
from tests.world import AYSE, MAILBOX, SUPPORT, World, eventually

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes where Linux shows them"),
]

FOREVER = 600.0  # seconds that an emulator holds an answer: longer than any test
RECOVERY = 40.0  # seconds until everything is shown again, on two cores that others use too
CUSTOMER, ANOTHER = "ayse@ornek.com.tr", "mehmet@ornek.com.tr"


@dataclass(slots=True, kw_only=True)
class Scene:
    """The program between its emulators, and what customers wrote by mail."""

    world: World
    program: Program
    said: dict[str, list[str]] = field(default_factory=dict)

    def writes(self, customer: str = CUSTOMER) -> str:
        """A customer writes; the word that is in their mail."""
        words = self.said.setdefault(customer, [])
        words.append(f"said-{customer.partition('@')[0]}-{len(words) + 1}")
        self.world.mail.deliver(customer, MAILBOX, "Siparişim", f"Merhaba, {words[-1]} diyorum.")
        return words[-1]

    async def again(self) -> None:
        """Kill, look that none of its processes is left, and start as whoever watches over it would."""
        readers = self.program.readers()
        await self.program.kill()
        await eventually(lambda: not any(map(runs, readers)))
        await self.program.start()

    async def shown(self) -> list[str]:
        """Every word of a customer that stands in Slack, as often as it does, in the order of each thread."""
        return [
            word
            for root in await self.world.roots()
            for message in (root, *root["replies"])
            if message.get("bot_id")
            for word in re.findall(r"said-[a-z]+-\d+", json.dumps(message["blocks"]))
        ]

    async def check(self) -> None:
        """Every mail is shown once, in order, in its writer's thread, and the mailbox has been read up to it."""

        async def all_shown() -> bool:
            shown = await self.shown()
            return all(word in shown for words in self.said.values() for word in words)

        await eventually(all_shown, within=RECOVERY)
        shown = await self.shown()
        for customer, words in self.said.items():
            mine = f"said-{customer.partition('@')[0]}-"
            assert [word for word in shown if word.startswith(mine)] == words
        assert len(await self.world.roots()) == len(self.said), "one thread for each customer"
        inbox = self.world.mail.account(MAILBOX).folder("INBOX")
        async with self.program.look() as line:
            cursor = str(await line.fetchval("select value from cursors where name = 'mail'"))
            assert await line.fetchval("select count(*) from letters") == len(inbox.mails)
            assert await line.fetchval("select count(*) from letters where read_at is null") == 0
        assert re.search(rf"\b{max(inbox.mails)}\b", cursor), cursor

    async def card(self, word: str) -> dict[str, Any]:
        return await self.world.card_with(word)

    async def answers(self, card: dict[str, Any], text: str) -> None:
        await self.world.slack.post(AYSE, SUPPORT, text, thread_ts=card["ts"])

    def got(self, text: str, customer: str = CUSTOMER) -> int:
        """How many mails with these words lie in a customer's inbox."""
        return sum(text in seen.text for seen in self.world.mail.inbox(customer))

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
    world = World("", tmp_path, mail=True)
    world.settings["database_url"] = None
    await world.open()
    world.slack.change_settings({"retry_scale": 0.05})  # so that Slack's retries outlast a restart
    shutil.copytree(cluster, tmp_path / "var" / "postgres")
    program = Program(world)
    try:
        await program.start()
        await world.connect()
        yield Scene(world=world, program=program)
    finally:
        if program.alive:
            await program.kill(database=True)
        world.slack.troubles.clear()
        world.mail.troubles.clear()
        await world.close()


async def test_killed_at_every_step_from_the_mailbox_to_the_inbox(scene: Scene) -> None:
    program = scene.program
    # Fetched, but neither the letter nor the cursor is committed.
    async with program.look() as line:
        await line.execute("begin; lock table letters in exclusive mode")
        scene.writes()
        scene.writes(ANOTHER)
        await program.is_stuck(line)
        await scene.again()
    await scene.check()

    # The letter is committed; nobody has begun to read it.
    async with program.stuck("work", "new.kind = 'read' and new.lease is not null") as line:
        scene.writes()
        await program.is_stuck(line)
        assert await line.fetchval("select count(*) from letters where read_at is null") == 1
        await scene.again()
    await scene.check()

    # It is read, but the message is not committed.
    async with program.stuck("messages", "new.direction = 'in'") as line:
        scene.writes(ANOTHER)
        scene.writes()
        await program.is_stuck(line)
        await scene.again()
    await scene.check()

    # The message is committed, but not that its letter was read.
    async with program.stuck("letters", "new.read_at is not null") as line:
        scene.writes()
        await program.is_stuck(line)
        await scene.again()
    await scene.check()


async def test_a_reader_dies_with_its_parent_and_its_own_death_costs_no_mail(scene: Scene) -> None:
    program = scene.program
    scene.writes()
    await scene.check()
    await inside_a_mail(scene)
    await scene.again()  # a stopped process sees no closed pipe, and is gone all the same
    await scene.check()

    await inside_a_mail(scene)
    for pid in program.readers():
        os.kill(pid, signal.SIGKILL)
    scene.writes(ANOTHER)
    scene.writes()
    await scene.check()
    readers = program.readers()
    await program.stop()
    assert not any(map(runs, readers))


async def inside_a_mail(scene: Scene) -> None:
    """Have a mail be read by a reader that never comes to its end."""
    readers = scene.program.readers()
    assert 1 <= len(readers) <= 2
    for pid in readers:
        os.kill(pid, signal.SIGSTOP)
    scene.writes()
    async with scene.program.look() as line:

        async def asked() -> bool:
            return bool(
                await line.fetchval(
                    "select exists (select from letters where read_at is null)"
                    " and exists (select from work where kind = 'read' and lease is not null)"
                )
            )

        await eventually(asked)


async def test_killed_while_an_answer_is_handed_over(scene: Scene) -> None:
    world = scene.world
    card = await scene.card(scene.writes())
    await scene.check()

    # Taken by the mail server, which files it under Sent; that it was taken can be written down no more.
    async with scene.program.stuck("deliveries", "new.sent_at is not null") as line:
        await scene.answers(card, "kept among the sent ones")
        await scene.program.is_stuck(line)
        assert scene.got("kept among the sent ones") == 1
        await scene.again()

    async def settled() -> bool:
        async with scene.program.look() as line:
            return not await line.fetchval("select count(*) from deliveries where sent_at is null")

    await eventually(settled, within=RECOVERY)
    assert not await scene.questions("kept among the sent ones")

    # Taken by a server that keeps no copy, and its answer never comes: only a person can know.
    world.mail.change_settings({"files_sent": False})
    world.mail.troubles.add([{"match": "smtp.data", "action": "hang", "seconds": FOREVER, "times": 1}])
    await scene.answers(card, "taken without a word")
    await eventually(lambda: scene.got("taken without a word"))
    await scene.again()
    (question,) = await eventually(lambda: scene.questions("taken without a word"), within=RECOVERY)
    await world.slack.press(AYSE, "delivery_arrived", channel=SUPPORT, ts=question["ts"])
    await scene.answers(card, "the next one")
    await eventually(lambda: scene.got("the next one"), within=RECOVERY)
    assert [scene.got(words) for words in ("kept among the sent ones", "taken without a word")] == [1, 1]
