"""The one PostgreSQL: a pool through Tortoise, plain asyncpg transactions on it, migrations under a lock.

Rule: no task is created inside a transaction, and nothing outside the database is awaited there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg
import orjson
import structlog
from tortoise.context import TortoiseContext
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget
from tortoise.transactions import in_transaction

MIGRATION_LOCK = 0x5A17_0001  # any constant of our own; every Santral process uses the same
WORKER_LOCKS = 0x5A17  # class id of the session locks by which a living worker is known
_APPS = {"inbox": {"models": ["inbox.store.models"], "migrations": "inbox.store.migrations"}}
LOCK_SECONDS = 2.0  # a webhook that waits behind a migration is still answered in time
LOCK_PAUSE = 3.0  # seconds in which whoever waited behind it has their turn
ACQUIRE_SECONDS = 5.0  # a webhook must be answered long before the provider gives up

# Every statement of ours finds its rows by an index. In a new database, before the first ANALYZE, PostgreSQL would take
# its tables for empty and scan them, and prepared plans keep that: measured, two statements of the intake then took
# 216 µs a message instead of 33.
PLANNER = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off"}

# InternalClientError is what asyncpg raises when its server dies in the middle of a call.
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # the database is closed to new connections
)


log = structlog.get_logger()


def away(error: BaseException) -> bool:
    """Whether this error says that the database cannot be reached, rather than that it refused what it was given.

    asyncpg's own complaint about an argument is an InterfaceError too, and a ValueError; that one is our mistake.
    """
    return isinstance(error, _AWAY) and not isinstance(error, ValueError)


class Connection(Protocol):
    """The part of an asyncpg connection that the store uses."""

    async def execute(self, query: str, *args: Any) -> str: ...
    async def executemany(self, query: str, args: Any) -> None: ...
    async def fetch(self, query: str, *args: Any) -> list[Any]: ...
    async def fetchrow(self, query: str, *args: Any) -> Any: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...


def credentials(dsn: str) -> dict[str, Any]:
    """What Tortoise and asyncpg need, from `postgres://user:password@host:port/database?host=/socket/folder`."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    found: dict[str, Any] = {
        "host": query.pop("host", None) or parts.hostname or "127.0.0.1",
        "port": parts.port or int(query.pop("port", 5432)),
        "user": unquote(parts.username or query.pop("user", "") or "postgres"),
        "password": unquote(parts.password) if parts.password else query.pop("password", None),
        "database": unquote(parts.path.lstrip("/")) or "santral",
    }
    if mode := query.pop("sslmode", ""):
        found["ssl"] = mode
    return found


class Database:
    """An open pool. `async with Database.open(dsn) as database` in the task whose children use it."""

    def __init__(self, dsn: str, context: TortoiseContext) -> None:
        self.dsn = dsn
        self._context = context
        self._client = context.db()

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str, *, connections: int = 12, name: str = "santral") -> AsyncIterator[Database]:
        config: dict[str, Any] = {
            "connections": {
                "default": {
                    "engine": "tortoise.backends.asyncpg",
                    "credentials": {
                        **credentials(dsn),
                        "minsize": 1,
                        "maxsize": connections,
                        "application_name": name,
                        "reset": _keep,
                        "init": _prepare,
                        "command_timeout": 60,
                        "server_settings": PLANNER,
                    },
                }
            },
            "apps": {
                "inbox": {
                    "models": ["inbox.store.models"],
                    "migrations": "inbox.store.migrations",
                    "default_connection": "default",
                }
            },
        }
        async with TortoiseContext() as context:
            await context.init(config=config)
            yield cls(dsn, context)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection in autocommit. Raises what `away` knows when there is none within five seconds."""
        wrapper = self._client.acquire_connection()
        async with asyncio.timeout(ACQUIRE_SECONDS):
            connection = await wrapper.__aenter__()
        try:
            yield cast(Connection, connection)
        finally:
            await wrapper.__aexit__(None, None, None)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A pooled connection inside one transaction (READ COMMITTED), rolled back on any exception."""
        async with self.connection() as connection:
            transaction = cast(Any, connection).transaction()
            await transaction.start()
            try:
                yield connection
                await transaction.commit()
            except (TimeoutError, asyncio.CancelledError):
                cast(
                    Any, connection
                ).terminate()  # a server that has stopped answering would not answer a rollback either
                raise
            except BaseException:
                await transaction.rollback()
                raise

    async def connect(self) -> asyncpg.Connection:
        """A connection of its own, outside the pool: for LISTEN and for session locks."""
        return await asyncpg.connect(**credentials(self.dsn), timeout=ACQUIRE_SECONDS)

    async def migrate(self, progress: Callable[[str, str, str], object] | None = None) -> None:
        """Bring the tables up to date. Any number of processes may call this at once: one works, the others wait."""
        lock = await self.connect()
        try:
            await lock.execute("select pg_advisory_lock($1)", MIGRATION_LOCK)
            await self._executor().migrate([])  # makes the table in which migrations are recorded
            for step in await self._executor().plan():
                target = MigrationTarget(step.migration.app_label, step.migration.name)
                if step.migration.atomic:
                    await self._step(target, progress)
                else:
                    await self._executor().migrate([target], direction="forward", progress=progress)
        finally:
            await lock.close()

    async def _step(self, target: MigrationTarget, progress: Callable[[str, str, str], object] | None) -> None:
        """Make one migration whole, in a moment when nobody holds the tables it changes.

        Behind a change that waits for a table everybody else waits, too: a backup that reads for an hour would stop
        every webhook of the version that still serves.
        """
        while True:
            try:
                # Tortoise itself records a migration after its commit; killed between the two it could never go on.
                async with in_transaction() as client:
                    await client.execute_script(f"set local lock_timeout = '{LOCK_SECONDS * 1000:.0f}ms'")
                    await MigrationExecutor(client, _APPS).migrate([target], direction="forward", progress=progress)
                return
            except asyncpg.LockNotAvailableError:
                log.warning("store.migration_waits", migration=target.name)
            await asyncio.sleep(LOCK_PAUSE)

    def _executor(self) -> MigrationExecutor:
        return MigrationExecutor(self._client, _APPS)

    async def pending(self) -> int:
        """How many migrations this version of Santral has that the database has not."""
        async with self.connection() as c:
            if not await c.fetchval("select to_regclass('tortoise_migrations') is not null"):
                return 1
        return len(await self._executor().plan())


async def _keep(_connection: object) -> None:
    """Stand in for asyncpg's reset on release, which costs 13-35 % here; we leave no session state behind."""


async def _prepare(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_dump, decoder=orjson.loads, format="text")


def _dump(value: Mapping[str, Any] | list[Any] | str) -> str:
    # The ORM hands over JSON it has already written; we never store a bare string as JSON.
    return value if isinstance(value, str) else orjson.dumps(value).decode()
