"""The two PostgreSQL servers of a backup: what is dumped of one, and how another gets it back.

Rule: a restore is filled into a database beside ours and counted; then names are swapped in one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import asyncpg

from app.backup_errors import BackupFailed, Damaged, InUse, ToolsMissing, WouldOverwrite
from app.backup_file import FORMAT, Manifest, Progress
from app.postgres import NAME
from app.postgres_programs import binaries, major

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A dsn taken apart, so that asyncpg and libpq's programs each get it in their own words."""

    database: str
    given: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, dsn: str) -> Server:
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


async def dump_to(
    server: Server, dump: Path, bin_dir: Path | None, now: datetime, files: bool, on_progress: Progress
) -> Manifest:
    """Dump the database as of one moment and say what is in it; `files`: whether customers' files go along."""
    async with server.connected(server.database) as line:
        running = line.get_server_version().major
        total = await line.fetchval("select pg_database_size(current_database())")
        tools = tools_for("pg_dump", running, running, bin_dir)
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
        santral=our_version(),
        made_at=now,
        server=running,
        pg_dump=major(tool) or running,
        tables=tables,
        files=files,
    )


def tools_for(program: str, at_least: int, server: int, bin_dir: Path | None) -> list[Path]:
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


async def admit(server: Server, manifest: Manifest, force: bool) -> int:
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


async def fill(server: Server, manifest: Manifest, dump: Path, tools: list[Path], on_progress: Progress) -> str:
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


async def swap(server: Server, fresh: str) -> None:
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


@asynccontextmanager
async def _standing(server: Server) -> AsyncIterator[Any]:
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


async def _others(line: Any, database: str) -> int:
    return await line.fetchval(  # type: ignore[no-any-return]
        "select count(*) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()"
        " and coalesce(backend_type, 'client backend') = 'client backend'",  # hidden from ordinary roles
        database,
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


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def our_version() -> str:
    try:
        return version("santral")
    except PackageNotFoundError:
        return "unknown"
