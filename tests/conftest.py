"""A real PostgreSQL for every test that asks for one: one server a session, one fresh database a test."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from app.postgres import Database as Server
from app.postgres import Postgres
from inbox.store.database import Database
from tests.world import World

TEMPLATE = "template_santral"
_numbers = itertools.count()

for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
    os.environ.pop(proxy, None)  # slack_sdk ignores NO_PROXY and would call localhost through it


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Our own launcher's PostgreSQL, with a migrated template database. Durability is off: no test pulls the plug."""
    with tempfile.TemporaryDirectory(prefix="santral-tests-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        postgres = Postgres(Path(folder) / "var", settings={"fsync": "off", "synchronous_commit": "off"})
        found = asyncio.run(postgres.start())
        asyncio.run(_template(found))
        yield found
        asyncio.run(postgres.stop())


async def _template(server: Server) -> None:
    admin = await asyncpg.connect(**server.kwargs)
    await admin.execute(f"create database {TEMPLATE}")
    async with Database.open(dsn(server, TEMPLATE), connections=2) as database:
        await database.migrate()
    await admin.close()


def dsn(server: Server, name: str) -> str:
    return server.dsn.replace(f"/{server.name}?", f"/{name}?")


@pytest_asyncio.fixture
async def database_url(server: Server) -> AsyncIterator[str]:
    """The address of a fresh, migrated database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(**server.kwargs)
    await admin.execute(f"create database {name} template {TEMPLATE}")
    yield dsn(server, name)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(database_url, connections=8) as opened:
        yield opened


@pytest_asyncio.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """Santral between the emulators of Telegram and Slack, over real HTTP, in this process. Not started yet."""
    made = World(database_url, tmp_path)
    await made.open()
    yield made
    await made.close()


@pytest_asyncio.fixture
async def mail_world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """As `world`, with a world of mail whose servers run too: `mail_world.mail` plays customers with mailboxes."""
    made = World(database_url, tmp_path, mail=True)
    await made.open()
    yield made
    await made.close()
