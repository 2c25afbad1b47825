"""`kill -9` of the running program at every step: nothing acknowledged is lost, nothing is doubled, doubts are shown.

The moments are made exact from outside: an emulator holds its answer, or a lock of ours holds the database's, so the
program is provably inside that step when it dies. What counts afterwards is what people see: Slack and the phones.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.crash.program import Program
from tests.world import AYSE, SUPPORT, World, eventually

pytestmark = pytest.mark.crash

FOREVER = 600.0  # seconds that an emulator holds a call: longer than any test
RECOVERY = 40.0  # seconds until everything is shown again, on two cores that others use too


@dataclass(slots=True, kw_only=True)
class Scene:
    """The program between its emulators, and what people said."""

    world: World
    program: Program
    said: dict[int, list[str]] = field(default_factory=dict)
    replied: dict[int, list[str]] = field(default_factory=dict)

    async def says(self, customer: int, word: str) -> None:
        self.said.setdefault(customer, []).append(word)
        await self.world.telegram.say(customer, text=word)

    async def replies(self, customer: int, word: str, thread_ts: str) -> str:
        self.replied.setdefault(customer, []).append(word)
        message = await self.world.slack.post(AYSE, SUPPORT, word, thread_ts=thread_ts)
        return str(message["ts"])

    async def again(self, *, database: bool = False) -> None:
        """Kill, and start as whoever watches over it would."""
        await self.program.kill(database=database)
        await self.program.start()

    async def called(self, method: str) -> bool:
        """Whether the program is inside a Slack or Telegram call that an emulator holds."""
        rules = [*self.world.slack.troubles.plain(), *self.world.telegram.troubles.plain()]
        return any(rule["match"] == method and rule["fired"] for rule in rules)

    # what people see

    async def shown(self) -> list[str]:
        """Every word of a customer that stands in Slack, as often as it does, in the order of each thread."""
        return [
            word
            for root in await self.world.roots()
            for message in (root, *root["replies"])
            if message.get("bot_id")
            for word in re.findall(r"said-\d+-\d+", json.dumps(message["blocks"]))
        ]

    async def all_shown(self) -> bool:
        shown = await self.shown()
        return all(word in shown for words in self.said.values() for word in words)

    async def got(self, customer: int) -> list[str]:
        return await self.world.answers(customer)

    async def marks(self, ts: str) -> list[str]:
        for root in await self.world.roots():
            for message in root["replies"]:
                if message["ts"] == ts:
                    return [mark["name"] for mark in message.get("reactions", ())]
        return []

    async def questions(self, word: str) -> list[dict[str, Any]]:
        """The posts that ask what became of a reply, with their buttons."""
        return [
            message
            for root in await self.world.roots()
            for message in root["replies"]
            if message.get("bot_id") and word in str(message) and "delivery_arrived" in str(message)
        ]

    async def check_shown(self) -> None:
        """Every message of a customer is shown once, in order."""
        await eventually(self.all_shown, within=RECOVERY)
        shown = await self.shown()
        for customer, words in self.said.items():
            mine = [word for word in shown if word.startswith(f"said-{customer}-")]
            assert mine == words
        roots = await self.world.roots()
        assert len(roots) == len(self.said), "one thread for each customer"

    async def check_replies(self) -> None:
        """Every reply is at the customer's once; one that is not there is asked about in the thread."""

        async def fates() -> bool:
            return all(
                [await self._settled(customer, word) for customer in self.replied for word in self.replied[customer]]
            )

        await eventually(fates, within=RECOVERY)
        for customer, words in self.replied.items():
            got = Counter(await self.got(customer))
            assert not set(got) - set(words)
            for word in words:
                assert got[word] <= 1, f"{word} reached the customer {got[word]} times"
                if not got[word]:
                    assert await self.questions(word), f"{word} is gone without a word"

    async def _settled(self, customer: int, word: str) -> bool:
        return word in await self.got(customer) or bool(await self.questions(word))


@asynccontextmanager
async def staged(cluster: Path, folder: Path) -> AsyncIterator[Scene]:
    world = World("", folder)
    world.settings["database_url"] = None
    await world.open()
    world.slack.change_settings({"retry_scale": 0.05})  # so that Slack's retries outlast a restart
    shutil.copytree(cluster, folder / "var" / "postgres")
    program = Program(world)
    try:
        await program.start()
        await world.connect()
        yield Scene(world=world, program=program)
    finally:
        if program.alive:
            await program.kill(database=True)  # quicker than to ask, and by now nothing new to it
        world.slack.troubles.clear()
        await world.close()


@pytest_asyncio.fixture
async def scene(cluster: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with staged(cluster, tmp_path) as made:
        yield made


async def test_killed_while_many_webhooks_arrive(scene: Scene) -> None:
    chance = random.Random(5)
    world = scene.world
    customers = [world.customer(f"Müşteri {n}") for n in range(12)]
    numbers: Counter[int] = Counter()
    for _ in range(3):
        kill = asyncio.create_task(_kill_after(scene, chance.randint(5, 60)))
        for _ in range(8):
            for customer in customers:
                numbers[customer] += 1
                await scene.says(customer, f"said-{customer}-{numbers[customer]}")
        await kill
        world.telegram.running.clear()  # nothing is delivered again until we have looked
        acknowledged = {
            str(attempt["body"]["message"]["text"])
            for attempt in world.telegram.journal.attempts()
            if attempt["status"] == 200
        }
        await scene.program.start()
        async with scene.program.look() as line:
            stored = Counter(r["text"] for r in await line.fetch("select text from messages where direction = 'in'"))
        assert acknowledged <= set(stored), "answered 2xx and lost"
        assert set(stored.values()) <= {1}
        world.telegram.running.set()
        world.telegram.mail(world.telegram.bot()).wake()
    await scene.check_shown()


async def _kill_after(scene: Scene, answered: int) -> None:
    """Kill the program once so many more webhooks were answered."""
    journal = scene.world.telegram.journal
    start = journal.seq

    def enough() -> bool:
        return len([attempt for attempt in journal.attempts(start) if attempt["status"] == 200]) >= answered

    await eventually(enough)
    await scene.program.kill(database=bool(answered % 2))


async def test_killed_while_it_commits_and_while_it_claims(scene: Scene) -> None:
    customer = scene.world.customer()
    for number, lock in enumerate(("messages", "work", "lanes"), start=1):
        async with scene.program.look() as line:
            await line.execute(f"begin; lock table {lock} in exclusive mode")
            await scene.says(customer, f"said-{customer}-{number}")

            async def held() -> bool:
                return bool(
                    await line.fetchval("select count(*) from pg_locks where not granted and locktype = 'relation'")
                )

            await eventually(held)
            await scene.program.kill()
        await scene.program.start()
    await scene.check_shown()


async def test_killed_while_it_posts_to_slack(scene: Scene) -> None:
    world = scene.world
    customer = world.customer()
    # The card is posted, but Slack's answer never comes. An agent answers in the new thread before anybody knew of it.
    world.slack.troubles.add([{"match": "chat.postMessage", "action": "hang", "seconds": FOREVER, "times": 1}])
    await scene.says(customer, f"said-{customer}-1")
    await eventually(lambda: scene.called("chat.postMessage"))
    (root,) = await eventually(world.roots)
    await scene.replies(customer, "hello from the unknown thread", root["ts"])

    def accepted() -> bool:
        mine = [d for d in world.slack.deliveries if d["kind"] == "event" and "unknown thread" in str(d["body"])]
        return any(d["status"] == 200 for d in mine)

    await eventually(accepted)
    await scene.again()
    await scene.check_shown()
    await scene.check_replies()
    assert await scene.got(customer) == ["hello from the unknown thread"]

    # A line is posted and not answered; another is on its way and never arrives.
    for number, action in ((2, "hang"), (3, "slow")):
        world.slack.troubles.add([{"match": "chat.postMessage", "action": action, "seconds": FOREVER, "times": 1}])
        await scene.says(customer, f"said-{customer}-{number}")
        await eventually(lambda: all(rule["fired"] for rule in world.slack.troubles.plain()))
        await scene.again(database=number == 3)
        await scene.check_shown()


async def test_killed_while_it_sends(scene: Scene) -> None:
    world = scene.world
    arrived, lost = world.customer("Ayşe Yılmaz"), world.customer("Mehmet Kaya")
    threads = {}
    for customer in (arrived, lost):
        await scene.says(customer, f"said-{customer}-1")
        threads[customer] = (await world.card_with(f"said-{customer}-1"))["ts"]
    await scene.check_shown()

    world.telegram.troubles.add([{"match": "sendMessage", "action": "hang", "seconds": FOREVER, "times": 1}])
    await scene.replies(arrived, "arrived but unanswered", threads[arrived])

    async def there() -> bool:
        return await scene.got(arrived) == ["arrived but unanswered"]

    await eventually(there, within=RECOVERY)
    world.telegram.troubles.add([{"match": "sendMessage", "action": "slow", "seconds": FOREVER, "times": 1}])
    await scene.replies(lost, "never came through", threads[lost])
    await eventually(lambda: all(rule["fired"] for rule in world.telegram.troubles.plain()), within=RECOVERY)
    await scene.again()

    (question,) = await eventually(lambda: scene.questions("arrived but unanswered"), within=RECOVERY)
    await world.slack.press(AYSE, "delivery_arrived", channel=SUPPORT, ts=question["ts"])
    (question,) = await eventually(lambda: scene.questions("never came through"), within=RECOVERY)
    await world.slack.press(AYSE, "delivery_again", channel=SUPPORT, ts=question["ts"])

    async def sent_again() -> bool:
        return await scene.got(lost) == ["never came through"]

    await eventually(sent_again, within=RECOVERY)
    assert await scene.got(arrived) == ["arrived but unanswered"]

    # A doubt holds nothing back.
    await scene.replies(arrived, "the next one", threads[arrived])

    async def went_on() -> bool:
        return await scene.got(arrived) == ["arrived but unanswered", "the next one"]

    await eventually(went_on, within=RECOVERY)


async def test_killed_while_it_settles_what_was_sent_and_what_an_agent_did(scene: Scene) -> None:
    world = scene.world
    customer = world.customer()
    await scene.says(customer, f"said-{customer}-1")
    thread = (await world.card_with(f"said-{customer}-1"))["ts"]
    await scene.check_shown()

    # Telegram has answered; the line that says so cannot be written any more.
    world.telegram.troubles.add([{"match": "sendMessage", "action": "slow", "seconds": FOREVER, "times": 1}])
    await scene.replies(customer, "sent and answered", thread)
    await eventually(lambda: scene.called("sendMessage"), within=RECOVERY)
    async with scene.program.look() as line:
        await line.execute("begin; select 1 from deliveries for update")
        world.telegram.troubles.clear()

        async def settling() -> bool:
            return bool(await line.fetchval("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"))

        await eventually(settling)
        assert await scene.got(customer) == ["sent and answered"]
        await scene.program.kill()
    await scene.program.start()
    await eventually(lambda: scene.questions("sent and answered"), within=RECOVERY)
    assert await scene.got(customer) == ["sent and answered"]

    # The reply is stored, but not that its event was acted on.
    async with scene.program.look() as line:
        await line.execute(
            """
            create function hold() returns trigger language plpgsql as
            'begin perform pg_sleep(600); return new; end'
            """
        )
        await line.execute(
            "create trigger hold before update on slack_events for each row when (new.outcome = 'sent') "
            "execute function hold()"
        )
        await scene.replies(customer, "acted on once", thread)

        async def asleep() -> bool:
            return bool(await line.fetchval("select count(*) from pg_stat_activity where wait_event = 'PgSleep'"))

        await eventually(asleep, within=RECOVERY)
        await scene.program.kill()
    await scene.program.start()
    await scene.check_replies()
    async with scene.program.look() as line:

        async def settled() -> list[str]:
            rows = await line.fetch("select outcome from slack_events where outcome like 'sent%'")
            return [r["outcome"] for r in rows if r["outcome"] == "sent_before"]

        await eventually(settled, within=RECOVERY)
        assert await line.fetchval("select count(*) from messages where text = 'acted on once'") == 1
    await scene.check_replies()


@pytest.mark.parametrize("seed", [11])
async def test_killed_at_random_moments_under_traffic_both_ways(scene: Scene, seed: int) -> None:
    chance = random.Random(seed)
    world = scene.world
    customers = [world.customer(f"Müşteri {n}") for n in range(4)]
    numbers: Counter[int] = Counter()
    over = asyncio.Event()

    async def write(customer: int) -> None:
        while not over.is_set():
            numbers[customer] += 1
            await scene.says(customer, f"said-{customer}-{numbers[customer]}")
            await asyncio.sleep(chance.uniform(0.05, 0.4))

    async def answer() -> None:
        count = 0
        while not over.is_set():
            for root in await world.roots():
                found = re.search(r"said-(\d+)-", json.dumps(root["blocks"]))
                # Telegram takes one message a second in a chat, so more would only make everybody wait.
                if found and chance.random() < 0.2 and count < 12:
                    count += 1
                    await scene.replies(int(found[1]), f"reply-{count}", root["ts"])
            await asyncio.sleep(chance.uniform(0.1, 0.4))

    people = [asyncio.create_task(work) for work in (*map(write, customers), answer())]
    calls = world.telegram.journal
    for number in range(2):
        wanted = len(calls.calls(method="sendMessage")) + chance.randint(1, 3)

        def enough(wanted: int = wanted) -> bool:
            return len(calls.calls(method="sendMessage")) >= wanted

        await eventually(enough, within=RECOVERY)
        await asyncio.sleep(chance.uniform(0, 0.2))  # any moment after that
        await scene.again(database=number == 1)
    over.set()
    await asyncio.gather(*people)
    await world.slack.settle()
    await scene.check_shown()
    await scene.check_replies()


async def test_the_database_killed_under_traffic_comes_back_by_itself(scene: Scene) -> None:
    world = scene.world
    customer = world.customer()
    await scene.says(customer, f"said-{customer}-1")
    thread = (await world.card_with(f"said-{customer}-1"))["ts"]
    over = asyncio.Event()

    async def write() -> None:
        number = 1
        while not over.is_set():
            number += 1
            await scene.says(customer, f"said-{customer}-{number}")
            if number % 30 == 0:
                await scene.replies(customer, f"reply-{number}", thread)
            await asyncio.sleep(0.03)

    writing = asyncio.create_task(write())
    first = scene.program.postmaster()
    await eventually(lambda: scene.got(customer), within=RECOVERY)

    os.kill(first, signal.SIGKILL)

    def restarted() -> bool:
        return any(line["event"] == "postgres.restarted" for line in scene.program.lines())

    await eventually(restarted, within=RECOVERY)
    await eventually(scene.program.ready, within=RECOVERY)
    over.set()
    await writing
    await world.slack.settle()
    await scene.check_shown()
    await scene.check_replies()
    assert scene.program.process.returncode is None
