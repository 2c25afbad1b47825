"""The embedded PostgreSQL: made, started, watched, stopped and found again inside `data_dir`.

Rule: one owner at a time, who holds the lock on `data_dir` and whose direct child the server is, so that the server
ends when its owner does, however that happens. Only the program files come from a package; how they are run is ours.

What lies in `data_dir`: `postgres/` (the database), `postgres.run/` (its socket), `postgres.log` (at most 4 MB, and as
much again in `postgres.log.1`), `postgres.lock` (who owns it and where its socket is).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import structlog

from app.postgres_child import UNREACHABLE, Child, pid_file, settle, spawn
from app.postgres_errors import AccessDenied, DataDirTaken, PostgresFailed, StartFailed
from app.postgres_folder import (
    PORT,
    Account,
    account_for,
    give,
    owner,
    remove_socket_dir,
    sign,
    size,
    socket_dir_for,
    sync,
    take,
    trim,
)
from app.postgres_programs import choose, major

log = structlog.get_logger(__name__)

NAME = "santral"  # of the database and of its only role
SPAWN_PATIENCE = 15.0  # seconds; after kill -9 the old server's children need a moment to let go of the database
RECOVERY_PATIENCE = 120.0  # seconds; replaying max_wal_size on a slow disk
SWEEPS = 30  # tries, a tenth of a second apart
LONGEST_PAUSE = 30.0  # seconds between restarts of a server that keeps dying

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",  # off loses webhooks that were acknowledged
    "max_wal_size": "512MB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than our short statements
    # Parallel queries take the cores that intake needs, and more /dev/shm than containers have (64 MB).
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_destination": "stderr",
    # Failing statements and their details carry customers' words; the caller gets those errors anyway.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """How to reach a running server. Stays true over its restarts."""

    socket_dir: Path
    bin_dir: Path
    name: str = NAME

    @property
    def dsn(self) -> str:
        """The address for asyncpg, Tortoise and libpq alike."""
        return f"postgres://{NAME}@/{self.name}?host={quote(str(self.socket_dir))}&port={PORT}"

    @property
    def kwargs(self) -> dict[str, Any]:
        """The same for `asyncpg.connect(**…)` and `asyncpg.create_pool(**…)`."""
        return {"host": str(self.socket_dir), "port": PORT, "user": NAME, "database": self.name}


def find(data_dir: Path) -> Database | None:
    """The server another process runs for `data_dir`; None when there is none. AccessDenied if not ours."""
    data_dir = data_dir.resolve()
    told = owner(data_dir / "postgres.lock")
    if not told.get("socket_dir"):
        return None
    database = Database(socket_dir=Path(told["socket_dir"]), bin_dir=Path(told["bin_dir"]))
    try:
        info = database.socket_dir.stat()
        owners = {os.geteuid(), (data_dir / "postgres").stat().st_uid}
        # A folder under /tmp may be gone after a restart of the machine, and made again by anybody.
        if info.st_uid not in owners or info.st_mode & 0o077:
            return None
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(1)
            line.connect(str(database.socket_dir / f".s.PGSQL.{PORT}"))
    except PermissionError as error:
        raise AccessDenied(
            f"The database in {data_dir} is run by another user (process {told.get('pid')}). "
            f"Run this as that user or as root. ({error})"
        ) from error
    except OSError:
        return None
    return database


@asynccontextmanager
async def running(
    data_dir: Path, *, bin_dir: Path | None = None, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Database]:
    """Own the server of `data_dir` for the length of the block. See `Postgres`."""
    postgres = Postgres(data_dir, bin_dir=bin_dir, settings=settings)
    try:
        yield await postgres.start()
    finally:
        await postgres.stop()


@asynccontextmanager
async def connect_or_start(
    data_dir: Path, *, bin_dir: Path | None = None, patience: float = 30.0
) -> AsyncIterator[Database]:
    """Use the server that a `serve` runs for `data_dir`, or own one for the length of the block.

    Waits up to `patience` seconds for an owner that is just starting or stopping, then raises its DataDirTaken.
    """
    until = time.monotonic() + patience
    postgres = Postgres(data_dir, bin_dir=bin_dir)
    while True:
        database = find(data_dir)
        if database is not None and await _answers(database):
            break
        try:
            database = await postgres.start()
            break
        except DataDirTaken:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)
    try:
        yield database
    finally:
        await postgres.stop()


class Postgres:
    """A PostgreSQL of our own in `data_dir`, which is made at first start.

    `bin_dir` holds `postgres` and `initdb` of version 15 or later; None takes the first that fits from `binaries()`.
    `settings` are added to and win over `SETTINGS`; only where the socket lies is not theirs to say.

    Start it in the main thread where possible: Linux ties the signal of a parent's death to the thread that started the
    child. In any other thread, and on other systems, a small watching process does the same.

    As root the server runs as the owner of the existing database, else as `postgres` or `nobody`; no folder but its own
    changes hands. Where that account cannot pass a parent folder it is lent the one capability that lets it.
    """

    def __init__(
        self, data_dir: Path, *, bin_dir: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir.resolve()  # one database, one name: told apart from others by it
        self.cluster = self.data_dir / "postgres"
        self.log_file = self.data_dir / "postgres.log"
        self._given = bin_dir
        self._settings = {**SETTINGS, **(settings or {})}
        self._turn = asyncio.Lock()
        self._stopping = False
        self._lock: int | None = None
        self._child: Child | None = None
        self._account: Account | None = None
        self._database: Database | None = None

    @property
    def database(self) -> Database:
        """Where the server is reached. Raises StartFailed before `start`."""
        if self._database is None:
            raise StartFailed("PostgreSQL was not started.")
        return self._database

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it does not run."""
        return self._child.process.pid if self._child and self._child.process.poll() is None else None

    async def start(self) -> Database:
        """Start the server, making the database first where there is none; a second call changes nothing.

        Raises DataDirTaken, BinariesMissing, WrongVersion, AccessDenied or StartFailed, each in words for the reader.
        """
        async with self._turn:
            if self._database is not None:
                return self._database
            self._stopping = False
            try:
                return await self._start()
            except PermissionError as error:
                await self._end()
                raise AccessDenied(f"{error}. Use another data_dir, or run Santral as its owner.") from error
            except (OSError, asyncpg.PostgresError) as error:
                await self._end()
                raise StartFailed(f"The database in {self.data_dir} cannot be used: {error}.") from error
            except BaseException:
                await self._end()
                raise

    async def _start(self) -> Database:
        # Root's server is another account and must pass through; what lies inside is closed by modes of its own.
        self.data_dir.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        self._lock = take(self.data_dir)
        self._account = account_for(self.cluster)
        bin_dir = choose(self.cluster, self._given)
        before = owner(self.data_dir / "postgres.lock").get("socket_dir")
        socket_dir = socket_dir_for(self.data_dir, self._account, Path(before) if before else None)
        self._database = Database(socket_dir=socket_dir, bin_dir=bin_dir)
        sign(self._lock, socket_dir, bin_dir)
        trim(self.log_file)
        if not (self.cluster / "PG_VERSION").exists():
            await self._create()
        elif self._account and self.cluster.stat().st_uid == 0:
            give(self.cluster, self._account)
        await self._launch()
        await _ensure(self._database)
        log.info("postgres.started", pid=self.pid, data_dir=str(self.data_dir))
        return self._database

    async def stop(self) -> None:
        """Stop the server and give up `data_dir`; within 10 s, and as often as one likes.

        Open connections are closed and their transactions rolled back; what was committed stays.
        """
        self._stopping = True
        async with self._turn:
            await self._end()

    async def wait_dead(self) -> int:
        """Wait until the server process ends; its exit status, negative for a signal."""
        return await self._child.ended() if self._child else -1

    async def watch(self) -> None:
        """Restart the server whenever it dies, until `stop`, and keep its log small. Runs beside `serve` as a task.

        The first restart is immediate; one that dies again within a minute waits longer each time, up to 30 s.
        """
        pause, since = 0.0, time.monotonic()
        while not self._stopping:
            try:
                status = await asyncio.wait_for(self.wait_dead(), timeout=60)
            except TimeoutError:
                await asyncio.to_thread(trim, self.log_file)
                continue
            if self._stopping:
                return
            pause = 0.0 if time.monotonic() - since > 60 else min(max(pause * 2, 0.25), LONGEST_PAUSE)
            log.error("postgres.died", status=status, restart_in=pause)
            await asyncio.sleep(pause)
            since = time.monotonic()
            await self._restart()

    async def _restart(self) -> None:
        async with self._turn:
            if self._stopping or self._database is None:
                return
            try:
                await self._launch()
            except (PostgresFailed, OSError) as error:
                log.error("postgres.restart_failed", reason=str(error))
            else:
                log.warning("postgres.restarted", pid=self.pid)

    async def _end(self) -> None:
        if self._child is not None:
            await self._child.stop()
            self._child = None
        if self._database is not None:
            with contextlib.suppress(OSError):
                remove_socket_dir(self._database.socket_dir)
            self._database = None
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    async def _create(self) -> None:
        """Make the database under another name first: an initdb cut short is never taken for one."""
        await self._sweep()
        if self.cluster.exists():
            if any(self.cluster.iterdir()):
                raise StartFailed(f"{self.cluster} is no database and not empty. Move it away and start again.")
            self.cluster.rmdir()
        fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.data_dir))
        if self._account:
            os.chown(fresh, self._account.uid, self._account.gid)
        bin_dir = self.database.bin_dir
        if (major(bin_dir / "postgres") or 0) >= 17:
            # PostgreSQL's own rules for letters: no index goes wrong when the system's C library changes.
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        else:
            locale = ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]
        options = [f"--username={NAME}", "--encoding=UTF8", "--data-checksums", "--auth=trust", "--no-instructions"]
        start = size(self.log_file)
        child = self._spawn([bin_dir / "initdb", "-D", fresh, *options, *locale], (fresh,))
        try:
            status = await child.ended()
        finally:
            await child.stop()
        if status:
            shutil.rmtree(fresh, ignore_errors=True)
            raise self._failed(status, start)
        os.rename(fresh, self.cluster)
        sync(self.data_dir)
        await self._sweep()

    async def _sweep(self) -> None:
        """Remove what an initdb cut short left. Its last child may be writing for a moment longer, so look again."""
        for _ in range(SWEEPS):
            halves = list(self.data_dir.glob("postgres.new-*"))
            if not halves:
                return
            for half in halves:
                shutil.rmtree(half, ignore_errors=True)
            await asyncio.sleep(0.1)

    async def _launch(self) -> None:
        """Run the server until it answers. Tries again while what a killed server left behind is still letting go."""
        until = time.monotonic() + SPAWN_PATIENCE
        database = self.database
        settings = {**self._settings, "port": str(PORT), "unix_socket_directories": str(database.socket_dir)}
        command: list[str | Path] = [database.bin_dir / "postgres", "-D", self.cluster]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        while True:
            await settle(self.cluster)
            start = size(self.log_file)
            self._child = self._spawn(command, (self.cluster, database.socket_dir))
            if await self._ready(self._child):
                return
            failure = self._failed(self._child.process.returncode, start)
            transient = re.search(r"pre-existing shared memory|lock file .* already exists|is empty", str(failure))
            if not transient or time.monotonic() > until:
                raise failure
            await asyncio.sleep(0.1)

    async def _ready(self, child: Child) -> bool:
        until = time.monotonic() + RECOVERY_PATIENCE
        while child.process.poll() is None:
            told = pid_file(self.cluster)
            if len(told) >= 8 and told[0] == str(child.process.pid) and told[7].strip() == "ready":
                return True
            if self._stopping or time.monotonic() > until:
                await child.stop()
                why = "it was told to stop" if self._stopping else f"not ready after {RECOVERY_PATIENCE:.0f} s"
                raise StartFailed(f"PostgreSQL did not start: {why}. Its log is {self.log_file}.")
            await asyncio.sleep(0.005)
        return False

    def _spawn(self, command: Sequence[str | Path], folders: Sequence[Path]) -> Child:
        return spawn(command, self.database.bin_dir, folders, self._account, self.log_file)

    def _failed(self, status: int | None, start: int) -> PostgresFailed:
        """What the server wrote since `start`, as an error for the reader."""
        try:
            with self.log_file.open("rb") as file:
                file.seek(start)
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        said = [line for line in lines if re.search(r"FATAL|PANIC|error:|santral:", line)] or lines
        words = " ".join(line.strip() for line in said[-3:])
        if status == UNREACHABLE and self._account:
            return AccessDenied(
                f"PostgreSQL refuses to run as root, and as user {self._account.name} it cannot get at its files "
                f"({words}). Choose a data_dir that user can reach (such as /var/lib/santral), or run Santral as a "
                "normal user, or set database_url to a PostgreSQL of yours."
            )
        return StartFailed(
            f"PostgreSQL did not start (status {status}): {words or 'it said nothing'} Its log is {self.log_file}."
        )


async def _ensure(database: Database) -> None:
    """Make the database itself where a first start was cut short, or is this one."""
    try:
        line = await asyncpg.connect(**database.kwargs)
    except asyncpg.InvalidCatalogNameError:
        line = await asyncpg.connect(**{**database.kwargs, "database": "postgres"})
        try:
            await line.execute(f"create database {NAME} template template0")
        finally:
            await line.close()
    else:
        await line.close()


async def _answers(database: Database) -> bool:
    """Wait for a server that is still recovering; False when it is gone."""
    while True:
        try:
            line = await asyncpg.connect(**database.kwargs)
        except asyncpg.CannotConnectNowError:
            await asyncio.sleep(0.05)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return False
        else:
            await line.close()
            return True
