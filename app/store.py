"""The database for the length of one command: the configured one, a running server's, or our own started for it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from app.config import StoreConfig
from app.postgres import connect_or_start
from inbox.store.database import Database, credentials

PATIENCE = 10.0  # seconds for a first connection


class DatabaseAway(Exception):
    """The configured database cannot be used."""


async def reach(dsn: str) -> None:
    """Make sure that the database at `database_url` answers. Raises `DatabaseAway` in words, without the password."""
    given = credentials(dsn)
    where = f"{given['host']}:{given['port']}, database {given['database']}"
    try:
        line = await asyncpg.connect(**given, timeout=PATIENCE)
        await line.close()
    except (OSError, TimeoutError) as error:
        number = getattr(error, "errno", None)
        why = os.strerror(number) if number and number > 0 else "nobody answers"
        raise DatabaseAway(
            f"database_url: no PostgreSQL can be reached at {where} ({why}). Start it or correct database_url; "
            "without database_url Santral runs one of its own."
        ) from error
    except asyncpg.PostgresError as error:
        why = type(error).__name__.removesuffix("Error")
        raise DatabaseAway(
            f"database_url: PostgreSQL at {where} refuses us ({why}). Correct its user, password or database name."
        ) from error


@asynccontextmanager
async def opened(config: StoreConfig) -> AsyncIterator[Database]:
    """An open, migrated database."""
    if config.database_url is not None:
        await reach(config.database_url.get_secret_value())
        async with Database.open(config.database_url.get_secret_value(), connections=3) as database:
            await database.migrate()
            yield database
        return
    async with (
        connect_or_start(config.data_dir) as server,
        Database.open(server.dsn, connections=3) as database,
    ):
        await database.migrate()
        yield database
