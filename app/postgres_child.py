"""Processes of PostgreSQL that end when we end, however that happens, and the end of one that did outlive its owner.

Rule: between us and a server stands a shim with one thread, for what has to happen after the fork: the change of
account, and asking for the signal of a parent's death.
"""

# ruff: noqa: S603 (every command here is a list of our own making)

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from app.postgres_folder import Account, open_ours
from app.postgres_programs import environment

log = structlog.get_logger(__name__)

STOP_STEPS = ((signal.SIGINT, 7.0), (signal.SIGQUIT, 1.5), (signal.SIGKILL, 1.0))  # below 10 s together
UNREACHABLE = 77  # our child's exit status when the account it changed to cannot get at the files


def spawn(
    command: Sequence[str | Path], bin_dir: Path, folders: Sequence[Path], account: Account | None, log_file: Path
) -> Child:
    """Run one of PostgreSQL's programs behind the shim, in a session of its own, writing to `log_file`.

    `folders` and those of the programs are what it must reach; where `account` cannot, it ends with `UNREACHABLE`.
    """
    beside = [bin_dir, bin_dir.parent / "lib", bin_dir.parent / "share"]
    by_signal = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
    order = {
        "parent": os.getpid(),
        "by_signal": by_signal,
        "uid": account.uid if account else None,
        "gid": account.gid if account else None,
        "reach": [str(folder) for folder in (*folders, *beside) if folder.is_dir()],
        "unreachable": UNREACHABLE,
    }
    with open(open_ours(log_file, os.O_WRONLY | os.O_APPEND), "ab") as output:
        process = subprocess.Popen(
            [*_PYTHON, _CHILD, json.dumps(order), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment(bin_dir),
            start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on, after our own work is done
        )
    watcher = None
    if not by_signal:
        watcher = subprocess.Popen(
            [*_PYTHON, _WATCHER, str(process.pid)], stdin=subprocess.PIPE, cwd="/", start_new_session=True
        )
    return Child(process, watcher)


class Child:
    """A process that ends with us."""

    def __init__(self, process: subprocess.Popen[bytes], watcher: subprocess.Popen[bytes] | None) -> None:
        self.process = process
        self.watcher = watcher

    async def ended(self) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # kernels before 5.3 and some sandboxes have no pidfd
                await self._ended_by_pidfd()
        while (status := self.process.poll()) is None:  # noqa: ASYNC110 (nothing signals it here)
            await asyncio.sleep(0.05)
        return status

    async def _ended_by_pidfd(self) -> None:
        if sys.platform != "linux" or self.process.poll() is not None:
            return
        handle, ended, loop = os.pidfd_open(self.process.pid), asyncio.Event(), asyncio.get_running_loop()
        try:
            loop.add_reader(handle, ended.set)
            await ended.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)

    async def stop(self) -> None:
        """End it, harder step by step, and the process that watches over it."""
        for step, patience in STOP_STEPS:
            if self.process.poll() is not None:
                break
            self.process.send_signal(step)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended(), timeout=patience)
        if self.watcher is not None and self.watcher.stdin is not None:
            self.watcher.kill()
            self.watcher.wait()
            self.watcher.stdin.close()


def pid_file(cluster: Path) -> list[str]:
    """The lines of postmaster.pid: process id, folder, start, port, socket folder, address, shared memory, state."""
    try:
        return (cluster / "postmaster.pid").read_text().splitlines() or [""]
    except FileNotFoundError:
        return []


async def settle(cluster: Path) -> None:
    """End a server that outlived its owner; forget a process id that by now belongs to somebody else.

    A dead process's file stays: PostgreSQL uses it to see whether that server's children still hold the database.
    """
    told = pid_file(cluster)
    if not told:
        return
    pid = int(told[0]) if told[0].isdigit() else 0
    if pid and not _alive(pid):
        return
    if not pid or not _serves(pid, cluster):
        log.warning("postgres.stale_pid_file", pid=pid)
        (cluster / "postmaster.pid").unlink(missing_ok=True)
        return
    for step, patience in STOP_STEPS:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, step)
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if not _serves(pid, cluster):
                return
            await asyncio.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _serves(pid: int, cluster: Path) -> bool:
    """Whether process `pid` is a server of this very database."""
    if sys.platform == "linux":
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        if os.path.basename(words[0]) != b"postgres" or words[1:2] != [b"-D"]:
            return False
        try:
            return os.path.samefile(words[2], cluster)
        except OSError:
            return False
    command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"postgres -D {cluster} " in told.stdout


_PYTHON = (sys.executable, "-I", "-S", "-c")

# Runs between us and the server, in a process with one thread. Order matters: changing accounts clears the signal of a
# parent's death, so that is asked for last; a parent that died before it was asked shows as another parent id.
_CHILD = """
import ctypes, json, os, signal, sys

KEEPCAPS, DEATHSIG, SECUREBITS, AMBIENT = 8, 1, 28, 47
READ_SEARCH, OVERRIDE, SETPCAP, NO_FIXUP = 2, 1, 8, 1 << 2
order, command = json.loads(sys.argv[1]), sys.argv[2:]
libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

def check(result):
    if result == -1:
        number = ctypes.get_errno()
        raise PermissionError(number, os.strerror(number), "capability")

def hold(capability):
    # Version 3: effective, permitted, inheritable of capabilities 0 to 31, then of the rest.
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    check(libc.capget(header, sets))
    permitted, bit = sets[1], 1 << capability
    if permitted & 1 << SETPCAP:
        # access(2), with which PostgreSQL looks for its own programs, heeds no capability without this.
        check(libc.capset(header, (ctypes.c_uint32 * 6)(1 << SETPCAP, permitted, 0, 0, 0, 0)))
        check(libc.prctl(SECUREBITS, NO_FIXUP, 0, 0, 0))
    check(libc.capset(header, (ctypes.c_uint32 * 6)(bit, permitted, bit, 0, 0, 0)))
    check(libc.prctl(AMBIENT, 4, 0, 0, 0))
    check(libc.prctl(AMBIENT, 2, capability, 0, 0))

def run():
    for folder in order["reach"]:
        os.scandir(folder).close()
    if not os.access(command[0], os.X_OK):
        raise PermissionError(13, "Permission denied", command[0])
    if order["by_signal"]:
        libc.prctl(DEATHSIG, int(signal.SIGINT), 0, 0, 0)
    if os.getppid() != order["parent"]:
        sys.exit(1)
    os.execv(command[0], command)

try:
    if order["uid"] is None:
        run()
    if libc:
        libc.prctl(KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(order["gid"])
    os.setuid(order["uid"])
    for capability in (None, READ_SEARCH, OVERRIDE) if libc else (None,):
        try:
            if capability is not None:
                hold(capability)
            run()
        except PermissionError as error:
            refused = refused if capability is not None else error
    raise refused
except OSError as error:
    print(f"santral: {error}", file=sys.stderr, flush=True)
    sys.exit(order["unreachable"])
"""

# Where no signal tells of a parent's death: our end of the pipe closes when we end.
_WATCHER = """
import os, signal, sys

sys.stdin.buffer.read()
os.kill(int(sys.argv[1]), signal.SIGINT)
"""
