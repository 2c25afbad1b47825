"""The processes that are measured: `santral serve` as anyone runs it, and the bare receiver beside it.

Rule: each has a folder of its own and logs into a file there; it is started, asked whether it is ready, and stopped by
a signal, like any process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from app.postgres import find
from bench.machine import ROOT
from bench.providers import AGENT_CHANNEL, TOKEN, Providers

SECRET = "bench-webhook-secret"
PATH = "/webhooks/bot"
PATIENCE = 120.0  # seconds until we give up on a start; a busy machine is slow, not broken
END = 15.0  # seconds to stop; Santral promises ten
LOOK = 0.005  # seconds between two looks whether it is ready

# Without the learned model, which is measured by itself (bench/triage.py) and would take a core of these two.
CONFIG = """\
public_url = "http://127.0.0.1:{port}"
listen = "127.0.0.1:{port}"
data_dir = "data"
model = false
{database}
[shop]
name = "Kumbara"
country = "TR"
timezone = "Europe/Istanbul"
languages = ["tr", "ru", "en"]

[slack]
bot_token = "xoxb-sandbox-bot-token"
signing_secret = "sandbox-signing-secret"
api_url = "{slack}/api/"
posts_per_second = {posts_per_second}

[[teams]]
name = "support"
slack_channel = "{slack_channel}"
ask_first = false
undo_seconds = 0

[[channels]]
name = "bot"
kind = "telegram"
token = "{token}"
receive = "webhook"
secret = "{secret}"
api_url = "{telegram}"
"""


class BenchFailed(Exception):
    """What was to be measured did not run."""


@dataclass(slots=True, kw_only=True)
class Program:
    """A running process that listens on `port`."""

    process: Process = field(repr=False)
    port: int
    folder: Path
    started: float  # `time.perf_counter()` before it was started
    ready_after: float = 0.0  # seconds

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> asyncpg.Connection:
        """A line to the embedded database."""
        database = find(self.folder / "data")
        if database is None:
            raise BenchFailed(f"no database runs in {self.folder / 'data'}")
        return await asyncpg.connect(**database.kwargs)

    async def stop(self) -> float:
        """End it as an init system would; answers the seconds that took."""
        begun = time.perf_counter()
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), END)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        return time.perf_counter() - begun


@asynccontextmanager
async def santral(
    folder: Path,
    providers: Providers,
    roles: str,
    *,
    posts_per_second: float = 200,
    database_url: str = "",
    more: str = "",
) -> AsyncIterator[Program]:
    """Run `santral serve` until the block ends; `more` is TOML. Entered when `/health/ready` says yes."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = folder / "santral.toml"
    config.write_text(
        CONFIG.format(
            port=port,
            database=f'database_url = "{database_url}"\n' if database_url else "",
            slack=providers.slack_url,
            slack_channel=AGENT_CHANNEL,
            posts_per_second=posts_per_second,
            token=TOKEN,
            secret=SECRET,
            telegram=providers.telegram_url,
        )
        + more,
        encoding="utf-8",
    )
    command = _command("santral") or [sys.executable, "-c", "from app.cli import main; main()"]
    async with _started([*command, "serve", "--roles", roles, "--config", str(config)], folder, port) as program:
        await _ready(program, b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        yield program


@asynccontextmanager
async def bare(folder: Path) -> AsyncIterator[Program]:
    """Run the bare receiver until the block ends. Entered when it answers."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "bench.bare", str(folder / "data"), str(port), SECRET]
    async with _started(command, folder, port) as program:
        await _ready(program, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", status=b"404")
        yield program


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _command(name: str) -> list[str]:
    path = Path(sys.executable).parent / name
    return [str(path)] if path.exists() else []


@asynccontextmanager
async def _started(command: Sequence[str], folder: Path, port: int) -> AsyncIterator[Program]:
    # slack_sdk takes a proxy for local addresses too.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    started = time.perf_counter()
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    program = Program(process=process, port=port, folder=folder, started=started)
    try:
        yield program
    finally:
        await program.stop()


async def _ready(program: Program, question: bytes, status: bytes = b"200") -> None:
    """Ask until it answers with `status`, and note how long that took since it was started."""
    try:
        async with asyncio.timeout(PATIENCE):
            while program.process.returncode is None:
                with suppress(OSError):
                    reader, writer = await asyncio.open_connection("127.0.0.1", program.port)
                    writer.write(question)
                    answer = await reader.read(64)
                    writer.close()
                    if answer[9:12] == status:
                        program.ready_after = time.perf_counter() - program.started
                        return
                await asyncio.sleep(LOOK)
    except TimeoutError:
        raise BenchFailed(f"not ready after {PATIENCE:.0f} s: {_last_words(program)}") from None
    raise BenchFailed(f"it ended with {program.process.returncode} before it was ready: {_last_words(program)}")


def _last_words(program: Program) -> str:
    lines = (program.folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


class Phone:
    """One kept-open line on which updates are brought to Santral, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator[Phone]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def bring(self, request: bytes) -> float:
        """Write a request; answers when it was written, once it was accepted. Raises `BenchFailed` if it was not."""
        written = time.perf_counter()
        self._writer.write(request)
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 60)
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await self._reader.readexactly(int(line.partition(b":")[2]))
        if head[9:10] != b"2":
            raise BenchFailed(f"a message was answered {head[9:12].decode()}")
        return written
