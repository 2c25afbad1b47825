"""Backup and restore: one file with the database and the files customers sent, which comes back whole or not at all.

The file is a plain tar: `manifest.json` first (what is inside, counted in the dump's own snapshot), `database.dump`
(pg_dump's custom format), `files/…`, and `end.json` last with a digest over all of it: what was cut short or altered is
refused.

Rule: nothing existing is touched before everything new is complete beside it; then names are swapped.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import asyncpg
import msgspec

from app.postgres import NAME, binaries, major

FORMAT = 1
MAINTENANCE = ("postgres", "template1")  # databases every server has, to stand on while ours is renamed
MIGRATIONS = "migration"  # tables so named may have rows in a database that is still empty

# asyncpg's words for what libpq reads from the environment; other parameters of a database_url are for our pool alone.
LIBPQ: Mapping[str, str] = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}

Progress = Callable[[str, int, int], None]
"""Called with a step (`database`, `files`, `check`, `tables`), how far it is, and how far it goes (0: not known)."""


class BackupFailed(Exception):
    """The backup or restore was not done; nothing was changed."""


class NotABackup(BackupFailed):
    """This file is not a backup of Santral."""


class Damaged(BackupFailed):
    """This backup was cut short or altered."""


class WouldOverwrite(BackupFailed):
    """There is something in the database already."""


class InUse(BackupFailed):
    """Somebody is using the database."""


class ToolsMissing(BackupFailed):
    """There is no pg_dump or pg_restore that fits this server."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself. `tables` counts rows as of the dump; `server` and `pg_dump` are major versions."""

    format: int
    santral: str
    made_at: datetime
    server: int
    pg_dump: int
    tables: dict[str, int]
    files: bool  # False: the files were not in data_dir and are not in here


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What a complete backup ends with."""

    files: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """A dsn taken apart, so that asyncpg and libpq's programs each get it in their own words."""

    database: str
    given: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, dsn: str) -> _Server:
        url = urlsplit(dsn)
        asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
        given = {"host": "127.0.0.1", "user": "postgres", **{name: asked[name] for name in LIBPQ if name in asked}}
        if asked.get("ssl") in {"true", "require", "1"}:
            given.setdefault("sslmode", "require")
        for name, value in (("host", url.hostname), ("user", url.username), ("password", url.password)):
            if value:
                given[name] = unquote(value)
        if url.port:
            given["port"] = str(url.port)
        database = unquote(url.path.lstrip("/")) or NAME
        return cls(database=database, given=given)

    def environment(self, database: str) -> dict[str, str]:
        """For libpq's programs. A password goes here and not on the command line, where every user could read it."""
        return {**os.environ, **{LIBPQ[name]: value for name, value in self.given.items()}, "PGDATABASE": database}

    @asynccontextmanager
    async def connected(self, database: str) -> AsyncIterator[Any]:
        plain = {name: self.given[name] for name in ("host", "port", "user", "password") if name in self.given}
        tls = {name: value for name, value in self.given.items() if name not in plain}
        line = await asyncpg.connect(
            dsn=f"postgres://?{urlencode(tls)}" if tls else None,
            **{**plain, "database": database, **({"port": int(plain["port"])} if "port" in plain else {})},
        )
        try:
            yield line
        finally:
            await line.close()


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
    server = _Server.parse(dsn)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    dump = part.with_suffix(".dump")
    try:
        part.touch(mode=0o600)
        dump.touch(mode=0o600)
        manifest = await _dump(server, dump, bin_dir, now or datetime.now(UTC), files is not None, on_progress)
        report = _from_thread(on_progress)
        await asyncio.to_thread(_pack, part, manifest, dump, files, report)
        part.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise BackupFailed(f"The backup {target} was not made: {error}.") from error
    except asyncpg.PostgresError as error:
        raise BackupFailed(f"The backup {target} was not made: the database says: {error}.") from error
    finally:
        part.unlink(missing_ok=True)
        dump.unlink(missing_ok=True)
    return manifest


def inspect(source: Path) -> Manifest:
    """What the backup `source` says it holds, read from its first kilobytes. Raises NotABackup."""
    try:
        with tarfile.open(source, "r:") as tar:
            return _manifest(tar, source)
    except (tarfile.TarError, OSError) as error:
        raise NotABackup(f"{source} is not a backup of Santral: {error}.") from error


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
    server = _Server.parse(dsn)
    manifest = await asyncio.to_thread(inspect, source)
    beside = files.parent if files else source.parent
    try:
        running = await _admit(server, manifest, force)
        tools = _tools("pg_restore", manifest.pg_dump, running, bin_dir)
        beside.mkdir(mode=0o700, parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="restore-", dir=beside))
        try:
            await asyncio.to_thread(_unpack, source, work, _from_thread(on_progress))
            fresh = await _fill(server, manifest, work / "database.dump", tools, on_progress)
            with _files_swapped(work / "files", files if manifest.files else None):
                await _swap(server, fresh)
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


async def _dump(
    server: _Server, dump: Path, bin_dir: Path | None, now: datetime, files: bool, on_progress: Progress
) -> Manifest:
    async with server.connected(server.database) as line:
        running = line.get_server_version().major
        total = await line.fetchval("select pg_database_size(current_database())")
        tools = _tools("pg_dump", running, running, bin_dir)
        async with line.transaction(isolation="repeatable_read", readonly=True):
            snapshot = await line.fetchval("select pg_export_snapshot()")
            tables = await _count(line)
            options = ["--format=custom", "--compress=3", "--no-owner", "--no-privileges"]
            command = [*options, f"--snapshot={snapshot}", f"--file={dump}"]
            work = asyncio.create_task(_first(tools, command, server.environment(server.database)))
            try:
                while not (await asyncio.wait({work}, timeout=0.5))[0]:
                    on_progress("database", os.stat(dump).st_size, total)
                tool = await work
            finally:
                work.cancel()
                await asyncio.wait({work})
    on_progress("database", total, total)
    return Manifest(
        format=FORMAT,
        santral=_version(),
        made_at=now,
        server=running,
        pg_dump=major(tool) or running,
        tables=tables,
        files=files,
    )


async def _count(line: Any) -> dict[str, int]:
    """Rows of every table but an extension's own, whose content no dump holds."""
    names = await line.fetch(
        """
        select c.oid::regclass::text
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and c.relpersistence <> 't'
          and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
          and not exists (select 1 from pg_depend d where d.objid = c.oid and d.deptype = 'e')
        order by 1
        """
    )
    return {name: await line.fetchval(f"select count(*) from {name}") for (name,) in names}  # noqa: S608 (regclass quotes)


def _tools(program: str, at_least: int, server: int, bin_dir: Path | None) -> list[Path]:
    """Those that can do it, nearest to the server's version first: newer ones set what older servers do not know."""
    found: dict[Path, int] = {}
    for folder in [bin_dir] if bin_dir else binaries(program):
        if (version := major(folder / program)) is not None:
            found[folder / program] = version
    fitting = [tool for tool, version in found.items() if version >= at_least]
    if not fitting:
        have = ", ".join(f"{version} ({tool.parent})" for tool, version in found.items())
        raise ToolsMissing(
            f"This needs {program} of PostgreSQL {at_least} or later; here is {have or 'none'}. Install your system's "
            f"postgresql-client-{at_least}, or run the command on a machine that has it."
        )
    return sorted(fitting, key=lambda tool: abs(found[tool] - server))


async def _first(tools: list[Path], options: Sequence[str | Path], environment: dict[str, str]) -> Path:
    """Run the first of `tools` that can talk to the server, and say which: the wheels' are built without TLS."""
    for tool in tools:
        said = await _run([tool, *options], environment)
        if said is None:
            return tool
        if "SSL" not in said and "encryption" not in said:
            break
    raise BackupFailed(f"{tool} failed: {said}.")


async def _run(command: Sequence[str | Path], environment: dict[str, str]) -> str | None:
    """None when it went well, otherwise its last words."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env=environment
    )
    try:
        _, said = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode == 0:
        return None
    return " ".join(said.decode(errors="replace").split("\n")[-4:]).strip() or f"status {process.returncode}"


class _Digested(io.RawIOBase):
    """A file whose bytes are digested as they are read."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self.file, self.digest = file, digest

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.digest.update(data)
        return data


def _pack(part: Path, manifest: Manifest, dump: Path, files: Path | None, on_progress: Progress) -> None:
    digest, at = hashlib.sha256(), manifest.made_at
    count = size = 0
    found = sorted(path for path in files.rglob("*") if path.is_file() and not path.is_symlink()) if files else []
    with part.open("wb") as raw:
        with tarfile.open(fileobj=raw, mode="w:", format=tarfile.PAX_FORMAT) as tar:
            _add(tar, "manifest.json", io.BytesIO(msgspec.json.encode(manifest)), digest, at)
            with dump.open("rb") as file:
                _add(tar, "database.dump", file, digest, at)
            for path in found:
                try:
                    file = path.open("rb")
                except FileNotFoundError:  # erased since: the dump may name it, as it may any file that is gone
                    continue
                with file:
                    size += _add(tar, f"files/{path.relative_to(files or path).as_posix()}", file, digest, at)
                count += 1
                on_progress("files", count, len(found))
            end = msgspec.json.encode(End(files=count, bytes=size, sha256=digest.hexdigest()))
            _add(tar, "end.json", io.BytesIO(end), digest, at)
        raw.flush()
        os.fsync(raw.fileno())


def _add(tar: tarfile.TarFile, name: str, file: IO[bytes], digest: Any, at: datetime) -> int:
    info = tarfile.TarInfo(name)
    info.size = file.seek(0, os.SEEK_END)
    info.mode, info.mtime = 0o600, int(at.timestamp())
    file.seek(0)
    digest.update(f"{name}\0{info.size}\0".encode())
    tar.addfile(info, _Digested(file, digest))
    return info.size


def _manifest(tar: tarfile.TarFile, source: Path) -> Manifest:
    first = tar.next()
    file = tar.extractfile(first) if first and first.name == "manifest.json" and first.size < 1 << 20 else None
    if file is None:
        raise NotABackup(f"{source} is not a backup of Santral.")
    try:
        manifest = msgspec.json.decode(file.read(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise NotABackup(f"{source} is not a backup this Santral can read: {error}.") from error
    if manifest.format != FORMAT:
        raise NotABackup(
            f"{source} was made by Santral {manifest.santral} in form {manifest.format}; this one reads form {FORMAT}. "
            "Restore it with that version."
        )
    return manifest


def _unpack(source: Path, work: Path, on_progress: Progress) -> None:
    """Write the parts of `source` into `work`, and believe them only when the end is right."""
    digest = hashlib.sha256()
    count = size = 0
    end: End | None = None
    (work / "files").mkdir(mode=0o700)
    total = source.stat().st_size
    try:
        with tarfile.open(source, "r:") as tar:
            for member in tar:
                file = tar.extractfile(member)
                path = PurePosixPath(member.name)
                of_customers = path.parts[0] == "files" and len(path.parts) > 1
                known = of_customers or member.name in {"manifest.json", "database.dump", "end.json"}
                if file is None or not member.isreg() or ".." in path.parts or not known:
                    raise Damaged(f"{source} holds {member.name!r}, which no backup of ours does.")
                if member.name == "end.json":
                    end = msgspec.json.decode(file.read(1 << 20), type=End)
                    break
                digest.update(f"{member.name}\0{member.size}\0".encode())
                if of_customers:
                    count, size = count + 1, size + member.size
                place = work / path
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with place.open("xb") as out:
                    place.chmod(0o600)
                    shutil.copyfileobj(_Digested(file, digest), out, 1 << 20)
                on_progress("check", member.offset_data + member.size, total)
    except (tarfile.TarError, msgspec.MsgspecError) as error:
        raise Damaged(f"{source} is damaged: {error}.") from error
    if end is None or (end.files, end.bytes, end.sha256) != (count, size, digest.hexdigest()):
        raise Damaged(f"{source} was cut short or altered: its end does not fit what is inside. Use another backup.")


async def _admit(server: _Server, manifest: Manifest, force: bool) -> int:
    """The server's major version, if the backup may be restored there now."""
    try:
        async with server.connected(server.database) as line:
            running = line.get_server_version().major
            others = await _others(line, server.database)
            rows = {name: n for name, n in (await _count(line)).items() if n and MIGRATIONS not in name}
    except asyncpg.InvalidCatalogNameError:
        async with _standing(server) as line:
            running, others, rows = line.get_server_version().major, 0, {}
    if running < manifest.server:
        raise BackupFailed(
            f"The backup was made with PostgreSQL {manifest.server}; this server is {running} and cannot read it. "
            f"Restore into PostgreSQL {manifest.server} or later."
        )
    if others:
        raise InUse(f"The database {server.database} has {others} open connection(s). Stop `santral serve` first.")
    if rows and not force:
        some = ", ".join(f"{name} {n}" for name, n in sorted(rows.items(), key=lambda item: -item[1])[:3])
        raise WouldOverwrite(
            f"The database {server.database} is not empty ({some}). Make a backup of it, then restore with --force."
        )
    return int(running)


async def _others(line: Any, database: str) -> int:
    return await line.fetchval(  # type: ignore[no-any-return]
        "select count(*) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()"
        " and coalesce(backend_type, 'client backend') = 'client backend'",  # hidden from ordinary roles
        database,
    )


@asynccontextmanager
async def _standing(server: _Server) -> AsyncIterator[Any]:
    """A connection to the server that does not touch our database."""
    async with AsyncExitStack() as stack:
        for database in MAINTENANCE:
            try:
                line = await stack.enter_async_context(server.connected(database))
                break
            except (asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError) as error:
                refused = error
        else:
            raise BackupFailed(f"Neither of the databases {' and '.join(MAINTENANCE)} can be connected to: {refused}.")
        yield line


async def _fill(server: _Server, manifest: Manifest, dump: Path, tools: list[Path], on_progress: Progress) -> str:
    """Restore into a new database beside ours; its name. It is gone again when anything is wrong with it."""
    fresh = f"{server.database[:40]}_restored_{secrets.token_hex(4)}"
    async with _standing(server) as line:
        await line.execute(f"create database {_quoted(fresh)} template template0 encoding 'UTF8'")
    try:
        on_progress("tables", 0, len(manifest.tables))
        options: list[str | Path] = ["--exit-on-error", "--no-owner", "--no-privileges", f"--dbname={fresh}", dump]
        await _first(tools, options, server.environment(fresh))
        async with server.connected(fresh) as line:
            if (counted := await _count(line)) != manifest.tables:
                wrong = [name for name in manifest.tables if manifest.tables[name] != counted.get(name)]
                raise Damaged(f"The restored database does not count up: {', '.join(wrong) or 'other tables'}.")
            await line.execute("analyze")  # without it the first queries are planned for empty tables
        on_progress("tables", len(manifest.tables), len(manifest.tables))
    except BaseException:
        async with _standing(server) as line:
            await line.execute(f"drop database if exists {_quoted(fresh)}")
        raise
    return fresh


async def _swap(server: _Server, fresh: str) -> None:
    """Give the new database our name, in one transaction: there is never none of that name."""
    ours, old = _quoted(server.database), f"{server.database[:40]}_replaced_{secrets.token_hex(4)}"
    async with _standing(server) as line:
        exists = await line.fetchval("select exists (select 1 from pg_database where datname = $1)", server.database)
        try:
            if await _others(line, server.database):
                raise InUse("Somebody connected meanwhile. Stop `santral serve` first; nothing was changed.")
            async with line.transaction():
                if exists:
                    await line.execute(f"alter database {ours} rename to {_quoted(old)}")
                await line.execute(f"alter database {_quoted(fresh)} rename to {ours}")
        except BaseException:
            await line.execute(f"drop database if exists {_quoted(fresh)}")
            raise
        if exists:
            with contextlib.suppress(asyncpg.PostgresError):  # ours is in place; the old one only takes room
                await line.execute(f"drop database {_quoted(old)}")


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
    _sync(files.parent)
    shutil.rmtree(old, ignore_errors=True)


def _from_thread(on_progress: Progress) -> Progress:
    loop = asyncio.get_running_loop()

    def tell(step: str, done: int, total: int) -> None:
        loop.call_soon_threadsafe(on_progress, step, done, total)

    return tell


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _version() -> str:
    try:
        return version("santral")
    except PackageNotFoundError:
        return "unknown"


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
