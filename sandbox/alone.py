"""Run one emulator as a program of its own, with no demo page around it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable

from aiohttp import web


def options(name: str, words: str) -> argparse.ArgumentParser:
    """Make the command line of `python -m sandbox.<name>`; an emulator may add options of its own."""
    said = argparse.ArgumentParser(prog=f"python -m sandbox.{name}", description=words)
    said.add_argument("--host", default="127.0.0.1")
    said.add_argument("--port", type=int, default=0, help="0: any free port; the address is printed")
    return said


def run_alone(
    make: Callable[[], web.Application], chosen: argparse.Namespace, told: Callable[[str], None] | None = None
) -> None:
    """Serve what `make` makes until it is interrupted. The address is printed, after `told` has heard it."""
    try:
        asyncio.run(_serve(make, chosen.host, chosen.port, told))
    except KeyboardInterrupt:
        sys.exit(0)


async def _serve(make: Callable[[], web.Application], host: str, port: int, told: Callable[[str], None] | None) -> None:
    runner = web.AppRunner(make(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    url = f"http://{host}:{runner.addresses[0][1]}"
    if told is not None:
        told(url)
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
