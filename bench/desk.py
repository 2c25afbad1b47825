"""The desk: how long a customer's message takes to be posted in Slack, and an agent's reply to be sent.

Rule: one at a time, with a breath between two, over real HTTP; the clock runs from the first byte written to the moment
the other provider's emulator holds the request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.load import SECRET_HEADER, quantile
from bench.program import PATH, SECRET, BenchFailed, Phone, Program, santral
from bench.providers import AGENT, AGENT_CHANNEL, Providers, mark, shown
from bench.rows import Row, at_most, told
from bench.updates import request, update

BREATH = 0.04  # seconds between two: the lanes' spacing (33 ms on Telegram) is over, the marks are set
PEOPLE = 40  # who take turns, so that none is sent to twice in a second, which Telegram's limit forbids
PATIENCE = 60.0  # seconds for one message; aiogram takes a few to load the first time
STRANGERS = 6_500_000_000


class Desk:
    """Customers who write and an agent who answers, both sides of a running Santral."""

    def __init__(self, program: Program, providers: Providers, phone: Phone) -> None:
        self._program = program
        self._providers = providers
        self._phone = phone
        self._numbers = 0
        self._people: list[int] = []
        self._threads: list[str] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, program: Program, providers: Providers) -> AsyncIterator[Desk]:
        await providers.connect(program.url, SECRET)
        async with Phone.open(program.port) as phone:
            yield cls(program, providers, phone)

    async def furnish(self, people: int) -> None:
        """Let customers write for the first time, by the emulated Telegram, and wait until each has a thread."""
        telegram = self._providers.telegram
        marks = []
        for number in range(people):
            user = telegram.add_user(first_name="Ayşe", last_name=f"Yılmaz {number}", language_code="tr")
            marks.append(mark(user.id, 0))
            self._people.append(user.id)
            await telegram.say(user.id, text=f"Kargom nerede? {marks[-1]}")
        if not await self._providers.until(self._providers.posted, set(marks), PATIENCE):
            raise BenchFailed("the first messages did not reach Slack")
        roots = {found: ts for ts, posts in self._providers.threads().items() for found in shown(posts[0])}
        self._threads = [roots[each] for each in marks]

    async def write(self, customer: int) -> float:
        """Bring a message of a customer; seconds until it is posted in Slack."""
        self._numbers += 1
        # Far above the ids that the emulated Telegram gives.
        number, word = 800_000_000 + self._numbers, mark(customer, self._numbers)
        text = f"Merhaba, siparişim hâlâ gelmedi, bakabilir misiniz? {word}"
        body = update(number=number, customer=customer, text=text, sent_at=int(time.time()))
        bytes_ = request(path=PATH, port=self._program.port, headers={SECRET_HEADER: SECRET}, body=body)
        written = await self._phone.bring(bytes_)
        return await self._seen(self._providers.posted, word, written)

    async def write_again(self, turn: int) -> float:
        return await self.write(self._people[turn % len(self._people)])

    async def answer(self, turn: int) -> float:
        """Post an agent's reply in a customer's thread; seconds until Telegram has it."""
        self._numbers += 1
        person = turn % len(self._people)
        word = mark(self._people[person], self._numbers)
        written = time.perf_counter()
        await self._providers.slack.post(
            AGENT, AGENT_CHANNEL, f"Yarın sizde olacak. {word}", thread_ts=self._threads[person]
        )
        return await self._seen(self._providers.sent, word, written)

    async def _seen(self, seen: dict[str, float], word: str, written: float) -> float:
        if not await self._providers.until(seen, {word}, PATIENCE):
            raise BenchFailed(f"a message did not arrive within {PATIENCE:.0f} s")
        return seen[word] - written


async def desk(folder: Path, *, quick: bool) -> list[Row]:
    """Both directions, on one program in all its roles."""
    count = 40 if quick else 100
    cards: list[float] = []
    lines: list[float] = []
    replies: list[float] = []
    async with (
        Providers.open() as providers,
        santral(folder, providers, "web,work,pull") as program,
        Desk.open(program, providers) as opened,
    ):
        await opened.furnish(PEOPLE)
        for turn in range(3):
            await opened.write_again(turn)
        first_send = await opened.answer(0)
        for turn in range(1, 4):
            await opened.answer(turn)
        # In turns, so that a noisy second falls on all three.
        for turn in range(count):
            await asyncio.sleep(BREATH)
            lines.append(await opened.write_again(turn))
            await asyncio.sleep(BREATH)
            cards.append(await opened.write(STRANGERS + turn))
            await asyncio.sleep(BREATH)
            replies.append(await opened.answer(turn + 4))
    return [
        *_latency("webhook to Slack, known customer (thread)", lines),
        *_latency("webhook to Slack, new customer (card)", cards),
        *_latency("Slack reply to Telegram", replies),
        told("… the first one after a start", f"{first_send * 1000:,.0f} ms"),
    ]


def _latency(what: str, seconds: list[float]) -> list[Row]:
    ranked = sorted(1000 * each for each in seconds)
    return [
        told(f"{what}, p50", f"{quantile(ranked, 0.5):.1f} ms"),
        at_most("… p95", quantile(ranked, 0.95), 150, note=f"longest {ranked[-1]:.0f} ms of {len(ranked)}"),
    ]
