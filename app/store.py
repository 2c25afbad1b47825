"""The database for the length of one command: the configured one, a running server's, or our own started for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.config import StoreConfig
from app.postgres import connect_or_start
from inbox.store.database import Database


@asynccontextmanager
async def opened(config: StoreConfig) -> AsyncIterator[Database]:
    """An open, migrated database."""
    if config.database_url is not None:
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
