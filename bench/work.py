"""Work: how many pieces a second one worker process starts, and two.

Rule: the pieces are real ones that find nothing to do (marks of messages that do not exist), so that what is measured
is claiming, one look at the database, and settling. Every piece must have run exactly once.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import aiohttp
import asyncpg

from app.postgres import running
from bench import machine
from bench.program import BenchFailed, Program, santral
from bench.providers import Providers
from bench.rows import Row, at_least, held, median, told
from inbox.changes import Put
from inbox.store import work as table

KIND = "marks"
NOWHERE = 1 << 60  # far beyond any message's id
LOOK = 0.02  # seconds between two looks at what is left
PATIENCE = 300.0
_RAN = re.compile(rf'^santral_work_total\{{kind="{KIND}",outcome="(\w+)"\}} ([0-9.e+]+)$', re.MULTILINE)


async def work(folder: Path, *, quick: bool) -> list[Row]:
    """Rounds with one worker and with two, in turns."""
    pieces, rounds = (2_000, 1) if quick else (6_000, 2)
    single: list[float] = []
    double: list[float] = []
    ran = 0.0
    shares: list[float] = []
    keys = count(NOWHERE)
    async with AsyncExitStack() as stack:
        providers = await stack.enter_async_context(Providers.open())
        database = await stack.enter_async_context(running(folder / "data"))
        line = await asyncpg.connect(**database.kwargs)
        stack.push_async_callback(line.close)
        first = await stack.enter_async_context(
            santral(folder / "first", providers, "web,work", database_url=database.dsn)
        )
        await _round(line, keys, 500)
        before = await _ran(first)
        for _ in range(rounds):
            single.append(await _round(line, keys, pieces))
            alone = await _ran(first)
            async with santral(folder / "second", providers, "web,work", database_url=database.dsn) as second:
                await _round(line, keys, 500)
                warm, warmed = await _ran(first), await _ran(second)
                double.append(await _round(line, keys, pieces))
                mine, others = await _ran(first) - warm, await _ran(second) - warmed
            ran += (alone - before) + mine + others
            shares.append(others / max(1, mine + others))
            before = await _ran(first)
    wanted = 2 * rounds * pieces
    cores = machine.cores()
    ratio = median(double) / median(single)
    spare = "" if cores >= 4 else f"PostgreSQL shares the {cores} cores"
    return [
        told("one worker process", f"{median(single):,.0f} pieces/s"),
        told("two worker processes", f"{median(double):,.0f} pieces/s", note=f"the second ran {median(shares):.0%}"),
        at_least("… two against one", ratio, 1.7, "×", note=spare),
        held("… pieces run", f"{ran:,.0f} of {wanted:,}", "each once", ran == wanted),
    ]


async def _round(line: asyncpg.Connection, keys: count[int], pieces: int) -> float:
    """Put pieces and wait until they are gone; how many a second, without the first and last twentieth."""
    async with line.transaction():
        await table.put(line, [Put(kind=KIND, key=str(next(keys))) for _ in range(pieces)])
    begun = ended = None
    until = time.perf_counter() + PATIENCE
    while time.perf_counter() < until:
        left = await line.fetchval("select count(*) from work where kind = $1", KIND)
        now = time.perf_counter()
        if begun is None and left <= pieces * 0.95:
            begun = (now, left)
        if left <= pieces * 0.05 and ended is None:
            ended = (now, left)
        if left == 0:
            assert begun is not None and ended is not None
            return float((begun[1] - ended[1]) / max(ended[0] - begun[0], LOOK))
        await asyncio.sleep(LOOK)
    raise BenchFailed(f"work was left after {PATIENCE:.0f} s")


async def _ran(program: Program) -> float:
    """How many pieces a process has run by its own figures, however they ended."""
    async with aiohttp.ClientSession() as session, session.get(f"{program.url}/metrics") as answer:
        told_ = await answer.text()
    return sum(float(number) for _, number in _RAN.findall(told_))
