"""The real program, `santral serve`, as a process of its own between the emulators of a `World`.

The emulators run in the test's process, so they know what was asked and answered when the program dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from app.postgres import Postgres, find
from inbox.store.database import Database
from tests.crash.forked import Forked
from tests.world import World, eventually

SANTRAL = Path(sys.executable).parent / "santral"
STUCK = 0x57_0C_4B  # the advisory lock by which steps are held
PATIENCE = 40.0  # seconds for a start, on two cores that others use too


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}


class Program:
    """One `santral serve`. Start it, kill it or stop it, and start it again; its log goes on in one file.

    One that is `closed` begins with nothing, as its user starts it, and has no standard streams; others are `Forked`.
    """

    def __init__(self, world: World, *arguments: str, log: str = "santral.log", closed: bool = False) -> None:
        self.world = world
        self.data_dir = world.folder / "var"
        self.log = world.folder / log
        self._arguments = arguments
        self._closed = closed
        self._process: Forked | asyncio.subprocess.Process | None = None

    @property
    def process(self) -> Forked | asyncio.subprocess.Process:
        assert self._process is not None, "not started"
        return self._process

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, *, ready: bool = True) -> None:
        arguments = ["serve", "--config", str(self.world.config_file()), *self._arguments]
        self.log.touch()
        if self._closed:
            command = ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', str(SANTRAL), *arguments]
            self._process = await asyncio.create_subprocess_exec(*command, env=environment(), cwd=self.world.folder)
        else:
            self._process = await Forked.start(arguments, self.world.folder, self.log, environment())
        if ready:
            await eventually(self.ready, within=PATIENCE)

    async def ready(self) -> bool:
        assert self.process.returncode is None, self.log.read_text()
        return await self.world.ready()

    async def kill(self, *, database: bool = False) -> None:
        """`kill -9`: the program alone, whose database then ends by itself, or both in the same instant."""
        if database:
            os.kill(self.postmaster(), signal.SIGKILL)
        self.process.kill()
        await self.process.wait()

    def postmaster(self) -> int:
        return int((self.data_dir / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(how)
        return await asyncio.wait_for(self.process.wait(), 10)

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(TimeoutError, ProcessLookupError):
                await self.stop()
            if self._process.returncode is None:
                await self.kill()

    @asynccontextmanager
    async def look(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of our own to the embedded database."""
        found = find(self.data_dir)
        assert found is not None
        line = await asyncpg.connect(**found.kwargs)
        try:
            yield line
        finally:
            line.terminate()

    @asynccontextmanager
    async def stuck(self, table: str, when: str) -> AsyncIterator[asyncpg.Connection]:
        """Hold whatever writes rows of a table that fit a condition on `new`, until the block ends."""
        async with self.look() as line:
            await line.execute(
                f"""
                create or replace function stuck() returns trigger language plpgsql as
                'begin perform pg_advisory_xact_lock({STUCK}); return new; end';
                create or replace trigger stuck before insert or update on {table}
                for each row when ({when}) execute function stuck();
                """
            )
            await line.execute(f"select pg_advisory_lock({STUCK})")
            yield line

    async def is_stuck(self, line: asyncpg.Connection) -> None:
        """Wait until it is held by `stuck`, or by a lock that this line of ours has on a table."""

        async def held() -> bool:
            return bool(await line.fetchval("select count(*) from pg_locks where not granted"))

        await eventually(held)

    def readers(self) -> set[int]:
        """The processes in which it reads mails."""
        return {pid for pid in map(_pid, Path("/proc").glob("[0-9]*")) if _reads_for(pid, self.process.pid)}

    def lines(self) -> list[dict[str, Any]]:
        """What it logged: every line is JSON."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.world.url}{path}") as answer:
            return answer.status, await answer.text()


def runs(pid: int) -> bool:
    """Whether a process is there and is more than the memory of one that ended."""
    return _words(pid)[:1] not in ([], ["Z"])


def _reads_for(pid: int, parent: int) -> bool:
    try:
        program = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"channels.mail.process" in program and _words(pid)[1:2] == [str(parent)]


def _words(pid: int) -> list[str]:
    """State, parent and so on of a process; none when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _pid(folder: Path) -> int:
    return int(folder.name)


async def migrated(folder: Path) -> Path:
    """A migrated database to copy, so that each test starts with one of its own at once."""
    postgres = Postgres(folder)
    server = await postgres.start()
    async with Database.open(server.dsn, connections=2) as database:
        await database.migrate()
    await postgres.stop()
    return folder / "postgres"


async def command(world: World, *arguments: str) -> tuple[int, str, str]:
    """Run `santral` to its end: exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        str(SANTRAL),
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=world.folder,
    )
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode or 0, out.decode(), err.decode()
