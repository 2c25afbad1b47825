"""Reads mails in child processes, so that a hostile one costs twenty seconds of a core and nothing else.

Rule: a child is given one mail at a time and is killed when it takes too long or too much memory; the mail it died of
is shown as a stub. They speak in frames of four bytes of length and a pickle, over pipes that only they hold.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from channels.mail.values import Us
from channels.message import Event

SECONDS = 20.0  # for one mail
MEMORY = 2 << 30  # bytes of address space of a child; a mail of 30 MB takes a tenth of it
LENGTH = struct.Struct(">I")
_PROGRAM = "from channels.mail.process import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One mail to read."""

    channel: str
    external_id: str
    digest: bytes
    at: datetime
    raw: bytes
    facts: dict[str, Any]
    us: Us


class TooMuch(Exception):
    """Reading this mail took too long or too much memory."""


class Children:
    """Up to `most` children, each started when there is work for it, and all of them ended by `close`."""

    def __init__(self, most: int = 2, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._free: asyncio.LifoQueue[asyncio.subprocess.Process | None] = asyncio.LifoQueue()
        self._closed = False
        for _ in range(most):
            self._free.put_nowait(None)

    async def read(self, job: Job) -> tuple[Event, ...]:
        """The events of a mail. Raises `TooMuch`."""
        child = await self._free.get()
        try:
            if child is None or child.returncode is not None:
                child = await _start()
            async with asyncio.timeout(self._seconds):
                answer: tuple[Event, ...] | str = pickle.loads(await _ask(child, pickle.dumps(job, -1)))  # noqa: S301
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
            await _end(child)
            raise TooMuch(
                "it took too long" if isinstance(error, TimeoutError) else "it took too much memory"
            ) from error
        except BaseException:
            await _end(child)  # an answer that nobody waits for any more would be the next mail's
            raise
        finally:
            if self._closed:
                await _end(child)
            self._free.put_nowait(child)
        if isinstance(answer, str):
            raise TooMuch(answer)
        return answer

    async def close(self) -> None:
        self._closed = True
        while not self._free.empty():
            await _end(self._free.get_nowait())


async def _start() -> asyncio.subprocess.Process:
    path = os.pathsep.join(place or os.getcwd() for place in sys.path)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PROGRAM,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,  # a Ctrl-C at the terminal is the parent's to act on
        limit=1 << 20,
    )


async def _ask(child: asyncio.subprocess.Process, asked: bytes) -> bytes:
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(LENGTH.pack(len(asked)))
    child.stdin.write(asked)
    await child.stdin.drain()
    (size,) = LENGTH.unpack(await child.stdout.readexactly(LENGTH.size))
    return await child.stdout.readexactly(size)


async def _end(child: asyncio.subprocess.Process | None) -> None:
    if child is None or child.returncode is not None:
        return
    with suppress(ProcessLookupError):
        child.kill()
    await child.wait()


# --- in the child


def main() -> None:
    """Answer jobs until the parent is gone."""
    _limit_memory()
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    from channels.mail.work import work

    serve(asked, answers, work)


def serve(asked: BinaryIO, answers: BinaryIO, work: Callable[[Job], tuple[Event, ...]]) -> None:
    while head := asked.read(LENGTH.size):
        (size,) = LENGTH.unpack(head)
        job: Job = pickle.loads(asked.read(size))  # noqa: S301 - from our own parent
        try:
            answer: tuple[Event, ...] | str = work(job)
        except MemoryError:
            answer = "it took too much memory"
        except RecursionError:
            answer = "its parts are nested too deeply"
        written = pickle.dumps(answer, -1)
        answers.write(LENGTH.pack(len(written)))
        answers.write(written)
        answers.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
