"""Starting: from the command to `/health/ready`, with nothing there yet and with a database that exists."""

from __future__ import annotations

from pathlib import Path

from bench.program import santral
from bench.providers import Providers
from bench.rows import Row, at_most, median

ROLES = "web,work,pull"


async def starting(folder: Path, *, quick: bool) -> list[Row]:
    """First starts in folders that are empty, then starts on what the last of them left."""
    firsts, agains = (1, 3) if quick else (3, 5)
    first, again, ends = [], [], []
    async with Providers.open() as providers:
        for number in range(firsts):
            async with santral(folder / str(number), providers, ROLES) as program:
                first.append(program.ready_after)
                ends.append(await program.stop())
        for _ in range(agains):
            async with santral(folder / str(firsts - 1), providers, ROLES) as program:
                again.append(program.ready_after)
                ends.append(await program.stop())
    return [
        at_most("first start ever", median(first), 6, "s", note=_all(first)),
        at_most("start with an existing database", median(again), 1.5, "s", note=_all(again)),
        at_most("stop after SIGTERM", median(ends), 10, "s", note=f"longest {max(ends):.2f}"),
    ]


def _all(seconds: list[float]) -> str:
    return "of " + ", ".join(f"{each:.2f}" for each in seconds)
