"""`santral` as a process forked from one that has imported what it needs, which takes seconds and is always the same.

Rule: only modules are shared. Arguments, environment, folder, streams and signals are the new process's own, it is
killed like any other, and nothing but imports has run in the process it comes from. A start from nothing is what
`command`, a `Program` without standard streams and the demo make.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing import get_context
from pathlib import Path

_LOADED = (
    "app.cli",
    "app.serve",
    "channels.telegram.adapter",
    "channels.telegram.api",
    "channels.mail.adapter",
    "channels.meta.instagram",
    "channels.meta.messenger",
    "channels.twilio.adapter",
    "channels.webchat.adapter",
    "channels.whatsapp.adapter",
    "channels.x.adapter",
    __name__,
)
_context = get_context("forkserver")
_context.set_forkserver_preload(list(_LOADED))


class Forked:
    """What is used of an `asyncio.subprocess.Process`."""

    def __init__(self, arguments: list[str], folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        told = (arguments, str(folder), str(log), dict(environment))
        self._process = _context.Process(target=_run, args=told, daemon=True)

    @classmethod
    async def start(cls, arguments: list[str], folder: Path, log: Path, environment: Mapping[str, str]) -> Forked:
        made = cls(arguments, folder, log, environment)
        await asyncio.to_thread(made._process.start)  # the first one waits for the imports
        return made

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, which: signal.Signals) -> None:
        os.kill(self.pid, which)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        while (code := self.returncode) is None:
            await asyncio.sleep(0.01)
        return code


def _run(arguments: list[str], folder: str, log: str, environment: dict[str, str]) -> None:
    """Become `santral`."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(written, stream)
    os.close(written)
    sys.argv = ["santral", *arguments]
    from app.cli import main

    main()
