"""Does work in child processes, so that a hostile mail costs twenty seconds of a core and nothing else.

Rule: a child is given one job at a time and is killed when it takes too long or too much memory; the mail it died of
is shown as a stub. They speak in frames of four bytes of length and a pickle, over pipes that only they hold. No child
outlives its parent, however that ends.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from channels.errors import Retry
from channels.mail.values import Us
from channels.message import Event

SECONDS = 20.0  # for one mail
STARTING = 60.0  # seconds until a child has loaded the parsers; half a second, but on a machine that does other things
GRACE = 5  # seconds beyond a job's own after which a child ends itself: its parent would have ended it by then
MEMORY = 2 << 30  # bytes of address space of a child; a mail of 30 MB takes a tenth of it
LENGTH = struct.Struct(">I")
LARGE_BLOCK = 1 << 20  # bytes; larger ones glibc then returns to the system as soon as they are free
PIECE = 256 << 10  # bytes written at once, so that a large mail is not copied whole into the pipe's buffer
WORK = "channels.mail.work"  # the module whose `work` reads a mail
_PROGRAM = "from channels.mail.process import main; main({parent}, {seconds}, {work!r})"
_READY = LENGTH.pack(0)
_PR_SET_PDEATHSIG = 1  # of prctl(2)


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
    """This job took too long or too much memory."""


class _Died(Exception):
    """A child ended in the middle of a job."""


class Children:
    """Up to `most` children, each started when there is work for it, and all of them ended by `close`.

    `work` names a module whose function `work` turns a job into an answer; both are pickled, and no answer is a str.
    """

    def __init__(self, most: int = 2, *, seconds: float = SECONDS, work: str = WORK) -> None:
        self._seconds = seconds
        self._work = work
        self._free: asyncio.LifoQueue[asyncio.subprocess.Process | None] = asyncio.LifoQueue()
        self._closed = False
        for _ in range(most):
            self._free.put_nowait(None)

    async def read(self, job: Job) -> tuple[Event, ...]:
        """The events of a mail. Raises as `ask` does."""
        events: tuple[Event, ...] = await self.ask(job)
        return events

    async def ask(self, job: Any) -> Any:
        """What a child makes of any job. Raises `TooMuch`, or `Retry` when no child can be started."""
        asked = pickle.dumps(job, -1)
        try:
            answer = await self._answer(asked)
        except _Died:  # perhaps not of this mail: a kernel short of memory ends whom it likes
            try:
                answer = await self._answer(asked)
            except _Died as error:
                raise TooMuch("reading it broke off twice") from error
        if isinstance(answer, str):
            raise TooMuch(answer)
        return answer

    async def _answer(self, asked: bytes) -> Any:
        child = await self._free.get()
        well = False  # an answer that nobody waited for would be the next job's
        try:
            if child is None or child.returncode is not None:
                child = await _start(self._seconds, self._work)
            async with asyncio.timeout(self._seconds):
                answer = pickle.loads(await _ask(child, asked))  # noqa: S301
            well = not isinstance(answer, str)  # whoever ran out of memory starts anew
            return answer
        except TimeoutError as error:
            raise TooMuch("it took too long") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise _Died from error
        finally:
            try:
                if self._closed or not well:
                    await _end(child)
            finally:
                self._free.put_nowait(child)

    async def rest(self) -> None:
        """End the children that have nothing to do; they start again when there is work."""
        resting = [self._free.get_nowait() for _ in range(self._free.qsize())]
        for child in resting:
            if child is not None and child.returncode is None:
                with suppress(ProcessLookupError):
                    child.kill()
            self._free.put_nowait(None)
        for child in resting:
            await _end(child)

    async def close(self) -> None:
        self._closed = True
        while not self._free.empty():
            await _end(self._free.get_nowait())


async def _start(seconds: float, work: str) -> asyncio.subprocess.Process:
    """Start a child and wait until it is ready, so that loading costs no job its time. Raises `Retry`."""
    path = os.pathsep.join(place or os.getcwd() for place in sys.path)
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _PROGRAM.format(parent=os.getpid(), seconds=seconds, work=work),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "MALLOC_MMAP_THRESHOLD_": str(LARGE_BLOCK)},
            start_new_session=True,  # a Ctrl-C at the terminal is the parent's to act on
            limit=1 << 20,
        )
    except OSError as error:
        raise Retry(f"no process to read in could be started ({type(error).__name__})") from error
    assert child.stdout is not None
    try:
        async with asyncio.timeout(STARTING):
            await child.stdout.readexactly(LENGTH.size)
    except (TimeoutError, asyncio.IncompleteReadError) as error:
        await _end(child)
        raise Retry("a process to read in did not start") from error
    except BaseException:
        await _end(child)
        raise
    return child


async def _ask(child: asyncio.subprocess.Process, asked: bytes) -> bytes:
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(LENGTH.pack(len(asked)))
    with memoryview(asked) as whole:
        for start in range(0, len(asked), PIECE):
            child.stdin.write(bytes(whole[start : start + PIECE]))
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


def main(parent: int, seconds: float, module: str) -> None:
    """Answer jobs until the parent is gone."""
    _end_with(parent)
    _limit_memory()
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    work = import_module(module).work
    answers.write(_READY)
    answers.flush()
    serve(asked, answers, work, seconds)


def serve(asked: BinaryIO, answers: BinaryIO, work: Callable[[Any], Any], seconds: float) -> None:
    """Answer one job after the other, each within its time."""
    while head := asked.read(LENGTH.size):
        (size,) = LENGTH.unpack(head)
        _alarm(int(seconds) + GRACE)
        try:
            answer = work(pickle.loads(asked.read(size)))  # noqa: S301 - from our own parent
        except MemoryError:
            answer = "it took too much memory"
        except RecursionError:
            answer = "its parts are nested too deeply"
        written = pickle.dumps(answer, -1)
        _alarm(0)
        answers.write(LENGTH.pack(len(written)))
        answers.write(written)
        answers.flush()


def _alarm(seconds: int) -> None:
    """End by SIGALRM after so many seconds, wherever we are by then; 0 calls it off."""
    if hasattr(signal, "alarm"):  # Windows has none
        signal.alarm(seconds)


def _end_with(parent: int) -> None:
    """Have the kernel end us with our parent: whoever is inside a job does not see that its pipe was closed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):  # a kernel short of memory takes us first, not the parent and not the database
            Path("/proc/self/oom_score_adj").write_text("1000")
    if os.getppid() != parent:  # it was over before we asked
        os._exit(0)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
