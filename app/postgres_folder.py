"""What lies in `data_dir` around the database: who owns it, where its socket is, its log, and whom the files belong to.

Rule: root leaves nothing locked behind: a file belongs to whom its folder belongs to.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.postgres_errors import AccessDenied, DataDirTaken

PORT = 5432  # only a part of the socket's name: nothing listens on TCP
SOCKET_PATH_MAX = 103  # bytes; macOS's sun_path holds 104 with the final NUL, Linux's 108
LOG_MAX = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whom the server runs as when we are root, which PostgreSQL refuses to be."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


def account_for(cluster: Path) -> Account | None:
    """Whom the server of this database runs as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(FileNotFoundError):
        info = cluster.stat()
        if info.st_uid != 0:
            return Account(uid=info.st_uid, gid=info.st_gid)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    return Account(uid=65534, gid=65534)


def give(folder: Path, account: Account) -> None:
    """Change the owner of a folder and of all that is in it."""
    for place, _, files in os.walk(folder):
        for path in (place, *(os.path.join(place, file) for file in files)):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def take(data_dir: Path) -> int:
    """Lock `data_dir`. The lock goes with the process, so it is never stale; the file stays, so there is only one."""
    path = data_dir / "postgres.lock"
    lock = open_ours(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        told = owner(path)
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


def owner(path: Path) -> dict[str, Any]:
    """What `sign` wrote; empty where nobody did. Raises `AccessDenied`."""
    try:
        told = json.loads(path.read_text())
    except PermissionError as error:
        raise AccessDenied(f"{path} belongs to another user. Run this as that user or as root.") from error
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def sign(lock: int, socket_dir: Path, bin_dir: Path) -> None:
    """Write into the lock file who has it and how its server is reached."""
    words = (
        [Path(sys.argv[0]).name, *sys.argv[1:2]] if sys.argv else ["santral"]
    )  # later arguments are not ours to show
    told = {
        "pid": os.getpid(),
        "command": " ".join(words),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "socket_dir": str(socket_dir),
        "bin_dir": str(bin_dir),
    }
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(told).encode(), 0)


def open_ours(path: Path, flags: int) -> int:
    """Open one of our files, which belongs to whom its folder belongs to, so that root leaves nothing locked behind."""
    handle = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        info = path.parent.stat()
        os.fchown(handle, info.st_uid, info.st_gid)
    return handle


def socket_dir_for(data_dir: Path, account: Account | None, before: Path | None) -> Path:
    """A fresh private folder for the socket: in `data_dir`, or in a short temporary one where that path is too long."""
    folder = data_dir / "postgres.run"
    for old in (folder, before):
        with contextlib.suppress(OSError):
            remove_socket_dir(old or folder)
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


def remove_socket_dir(folder: Path) -> None:
    """Take away what a server leaves in its socket folder and nothing else: its name was read from a file."""
    for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_MAX


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def trim(path: Path) -> None:
    """Keep a log below `LOG_MAX` bytes; what was there goes to a file with .1 at its end."""
    if size(path) > LOG_MAX:
        older = path.with_name(path.name + ".1")
        older.unlink(missing_ok=True)
        with open(path, "rb") as source, open(open_ours(older, os.O_WRONLY | os.O_EXCL), "wb") as kept:
            source.seek(-LOG_MAX, os.SEEK_END)
            shutil.copyfileobj(source, kept)
        os.truncate(path, 0)  # the server appends, so it goes on at the new end


def sync(folder: Path) -> None:
    """Make sure that a name in this folder survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
