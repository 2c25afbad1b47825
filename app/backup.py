"""Backup and restore: one file with the database and the files customers sent, which comes back whole or not at all.

Rule: nothing existing is touched before everything new is complete beside it; then names are swapped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from app.backup_errors import BackupFailed, InUse
from app.backup_file import Manifest, Progress, inspect, pack, unpack
from app.backup_server import Server, admit, dump_to, fill, swap, tools_for
from app.postgres_folder import sync


def quiet(step: str, done: int, total: int) -> None:
    """Report progress to nobody."""


async def backup(
    dsn: str,
    target: Path,
    *,
    files: Path | None = None,
    bin_dir: Path | None = None,
    now: datetime | None = None,
    on_progress: Progress = quiet,
) -> Manifest:
    """Write the database behind `dsn`, and the folder `files`, to `target`, readable by its owner only.

    Works beside a running `serve`: the database is dumped as of one moment, the files after it, so that every file the
    database names is there. `target` appears when it is complete; an older one stays until then. Needs a pg_dump of at
    least the server's version, from `bin_dir` or `binaries()`. Raises BackupFailed; its subclasses tell why.
    """
    server = Server.parse(dsn)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    dump = part.with_suffix(".dump")
    try:
        part.touch(mode=0o600)
        dump.touch(mode=0o600)
        manifest = await dump_to(server, dump, bin_dir, now or datetime.now(UTC), files is not None, on_progress)
        report = _from_thread(on_progress)
        await asyncio.to_thread(pack, part, manifest, dump, files, report)
        part.replace(target)
        sync(target.parent)
    except OSError as error:
        raise BackupFailed(f"The backup {target} was not made: {error}.") from error
    except asyncpg.PostgresError as error:
        raise BackupFailed(f"The backup {target} was not made: the database says: {error}.") from error
    finally:
        part.unlink(missing_ok=True)
        dump.unlink(missing_ok=True)
    return manifest


async def restore(
    dsn: str,
    source: Path,
    *,
    files: Path | None = None,
    force: bool = False,
    bin_dir: Path | None = None,
    on_progress: Progress = quiet,
) -> Manifest:
    """Put the backup `source` in the place of the database behind `dsn` and of the folder `files`.

    Refuses while anybody is connected, and, unless `force`, where any table but the migrations' has a row. The backup
    is first checked to its end, then restored beside the old database and counted, then swapped with it in one
    transaction: whatever fails before leaves all as it was. The files are swapped just before, and back if the database
    is not; only a crash between the two leaves them apart (the old ones are then in `files.replaced-…`): restore again.
    With no `files` folder to put them in, the backup's files are left out.

    Needs about three times the backup's size on disk for a while, a role that may create databases, and a pg_restore of
    at least the version of the pg_dump that made the backup. Raises BackupFailed; its subclasses tell why.
    """
    server = Server.parse(dsn)
    manifest = await asyncio.to_thread(inspect, source)
    beside = files.parent if files else source.parent
    try:
        running = await admit(server, manifest, force)
        tools = tools_for("pg_restore", manifest.pg_dump, running, bin_dir)
        beside.mkdir(mode=0o700, parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="restore-", dir=beside))
        try:
            await asyncio.to_thread(unpack, source, work, _from_thread(on_progress))
            fresh = await fill(server, manifest, work / "database.dump", tools, on_progress)
            with _files_swapped(work / "files", files if manifest.files else None):
                await swap(server, fresh)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise BackupFailed(f"{source} was not restored: {error}.") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise BackupFailed(
            f"{source} was not restored: the role of database_url may not do this ({error}). It needs CREATEDB."
        ) from error
    except asyncpg.ObjectInUseError as error:
        raise InUse(
            f"Somebody connected meanwhile ({error}). Stop `santral serve` first; nothing was changed."
        ) from error
    except asyncpg.PostgresError as error:
        raise BackupFailed(f"{source} was not restored: the database says: {error}.") from error
    return manifest


@contextlib.contextmanager
def _files_swapped(new: Path, files: Path | None) -> Iterator[None]:
    if files is None:
        yield
        return
    if os.geteuid() == 0:
        owner = files.parent.stat()
        for path in (new, *new.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
    old = files.with_name(f"{files.name}.replaced-{secrets.token_hex(4)}")
    existed = files.exists()
    if existed:
        files.rename(old)
    new.rename(files)
    try:
        yield
    except BaseException:
        files.rename(new)
        if existed:
            old.rename(files)
        raise
    sync(files.parent)
    shutil.rmtree(old, ignore_errors=True)


def _from_thread(on_progress: Progress) -> Progress:
    loop = asyncio.get_running_loop()

    def tell(step: str, done: int, total: int) -> None:
        loop.call_soon_threadsafe(on_progress, step, done, total)

    return tell
