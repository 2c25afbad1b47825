"""Intake: signed webhooks answered after the commit, beside a bare durable receiver in the same minutes.

Rule: rounds alternate A B A B, and medians of rounds are compared, so that what else the machine does falls on both.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from bench import machine
from bench.load import Outcome, Plan, load
from bench.program import PATH, SECRET, Program, bare, santral
from bench.providers import Providers
from bench.rows import Row, at_least, at_most, held, median, times, told

CUSTOMERS, STRANGERS = 5_000_000_000, 6_000_000_000  # the first id of those who are known, and of those who are not
KNOWN = 10_000
FASTEST = 12_000  # requests a second that no receiver here exceeds; so many are made for a round
LINES = 64


class _Side:
    """One of the two receivers, and what its rounds came to."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.rounds: list[Outcome] = []
        self.alone: list[Outcome] = []  # one message at a time
        self.accepted = 0
        self.refused = 0
        self.web = self.server = 0.0  # CPU seconds of the rounds: the process, and the PostgreSQL below it
        self._known = 0
        self._number = 1
        self._strangers = STRANGERS

    async def send(self, *, requests: int, seconds: float = 600.0, lines: int = LINES, seed: int = 1) -> Outcome:
        """Bring messages of known customers, one in twenty of them new."""
        return await self._load(
            Plan(
                port=self.program.port,
                path=PATH,
                secret=SECRET,
                first=self._number,
                requests=requests,
                seconds=seconds,
                lines=lines,
                known=(CUSTOMERS, self._known),
                new=self._strangers,
                seed=seed,
            )
        )

    async def fill(self, count: int) -> Outcome:
        """Let so many customers write for the first time: those who are known from then on."""
        self._known = count
        return await self._load(
            Plan(
                port=self.program.port,
                path=PATH,
                secret=SECRET,
                first=self._number,
                requests=count,
                new=CUSTOMERS,
                new_share=1.0,
            )
        )

    async def _load(self, plan: Plan) -> Outcome:
        outcome = await load(plan)
        self._number += plan.requests
        self._strangers += outcome.new_customers
        self.accepted += outcome.accepted
        self.refused += sum(outcome.refused.values())
        return outcome

    async def round(self, seconds: float, seed: int) -> None:
        web, server = machine.cpu(self.program.pid)
        self.rounds.append(await self.send(requests=int(FASTEST * seconds), seconds=seconds, seed=seed))
        after_web, after_server = machine.cpu(self.program.pid)
        self.web += after_web - web
        self.server += after_server - server

    @property
    def rate(self) -> float:
        return median([each.rate for each in self.rounds])

    @property
    def cost(self) -> tuple[float, float]:
        """CPU seconds a message, of the process and of PostgreSQL: what other programs disturb least."""
        count = sum(each.accepted for each in self.rounds) or 1
        return self.web / count, self.server / count


async def intake(folder: Path, *, quick: bool) -> list[Row]:
    """Throughput at 64 at once, then one message at a time."""
    rounds, seconds = (2, 2.0) if quick else (5, 3.0)
    alone = (2, 150) if quick else (3, 300)
    customers = KNOWN // (5 if quick else 1)
    async with AsyncExitStack() as stack:
        providers = await stack.enter_async_context(Providers.open())
        ours = _Side(await stack.enter_async_context(santral(folder / "web", providers, "web")))
        theirs = _Side(await stack.enter_async_context(bare(folder / "bare")))
        await ours.fill(customers)
        await theirs.fill(customers)
        for number in range(rounds):
            for side in (ours, theirs):
                await side.round(seconds, seed=number)
        for number in range(alone[0]):
            for side in (ours, theirs):
                side.alone.append(await side.send(requests=alone[1], lines=1, seed=100 + number))
        line = await ours.program.connect()
        try:
            stored = await line.fetchval("select count(*) from messages where direction = 'in'")
            conversations = await line.fetchval("select count(*) from conversations")
        finally:
            await line.close()
    return [*_loaded(ours, theirs), *_kept(ours, stored, conversations), *_unloaded(ours, theirs)]


def _loaded(ours: _Side, theirs: _Side) -> list[Row]:
    p50, p99 = (median([getattr(each, name) for each in ours.rounds]) * 1000 for name in ("p50", "p99"))
    bare_p99 = median([each.p99 for each in theirs.rounds]) * 1000
    rates = ", ".join(f"{each.rate:,.0f}" for each in ours.rounds)
    share = ours.rate / theirs.rate if theirs.rate else 0.0
    return [
        at_least("webhooks to commit, 64 at once", ours.rate, 3000, "/s", note=f"rounds {rates}"),
        at_least("… of a bare durable receiver", share, 0.5, "×", note=f"bare {theirs.rate:,.0f}/s"),
        told("… p50", f"{p50:.1f} ms"),
        at_most("… p99", p99, 50, ratio=times(p99, bare_p99)),
        told(
            "… CPU a message, web + PostgreSQL",
            _cost(ours),
            ratio=times(sum(ours.cost), sum(theirs.cost)),
            note=f"bare {_cost(theirs)}; web alone {times(ours.cost[0], theirs.cost[0])}",
        ),
    ]


def _cost(side: _Side) -> str:
    return " + ".join(f"{each * 1e6:.0f}" for each in side.cost) + " µs"


def _kept(ours: _Side, stored: int, conversations: int) -> list[Row]:
    lost = ours.accepted - stored
    # A round that ran out of time may have left one message a line stored and unanswered; none may be missing.
    return [
        held(
            "… acknowledged messages in the database",
            f"{min(stored, ours.accepted):,} of {ours.accepted:,}",
            "all",
            lost <= 0,
            note=f"{conversations:,} conversations" + (f"; {ours.refused:,} not accepted" if ours.refused else ""),
        )
    ]


def _unloaded(ours: _Side, theirs: _Side) -> list[Row]:
    mine = {name: median([getattr(each, name) for each in ours.alone]) * 1000 for name in ("p50", "p99")}
    bare_ = {name: median([getattr(each, name) for each in theirs.alone]) * 1000 for name in ("p50", "p99")}
    return [
        at_most("one at a time, p50", mine["p50"], 6, ratio=times(mine["p50"], bare_["p50"])),
        at_most("… p99", mine["p99"], 20, ratio=times(mine["p99"], bare_["p99"])),
    ]


async def memory(folder: Path, *, quick: bool) -> list[Row]:
    """What a process holds: after the start, after the first message sent, after 100,000 received."""
    from bench.desk import Desk

    settled, whole = (5_000, 20_000) if quick else (20_000, 100_000)
    async with Providers.open() as providers, santral(folder / "all", providers, "web,work,pull") as program:
        everything = machine.memory(program.pid)
        async with Desk.open(program, providers) as desk:
            await desk.furnish(1)
            await desk.answer(0)
            answered = machine.memory(program.pid)
    async with Providers.open() as providers, santral(folder / "web", providers, "web") as program:
        fresh = machine.memory(program.pid)
        side = _Side(program)
        await side.fill(settled // 2)
        first = await side.send(requests=settled - settled // 2)
        early = machine.memory(program.pid)
        last = await side.send(requests=whole - settled)
        late = machine.memory(program.pid)
    growth = late.rss - early.rss
    return [
        _memory("after start, web only", fresh),
        _memory("after start, all roles", everything),
        told(
            "after the first message sent, all roles",
            str(answered),
            note=f"aiogram is loaded by then: {answered.rss - everything.rss:+.0f} MB",
        ),
        told(f"web, after {settled:,} messages", str(early), note=f"{first.rate:,.0f}/s"),
        held(
            f"web, after {whole:,} messages",
            str(late),
            "flat (± 10 %)",
            growth <= max(10.0, early.rss * 0.1),
            note=f"{growth:+.0f} MB since; {last.rate:,.0f}/s",
        ),
    ]


def _memory(what: str, found: machine.Memory) -> Row:
    return held(what, str(found), "≤ 150 MB", found.rss <= 150)
