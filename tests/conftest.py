"""A real PostgreSQL for every test that asks for one: one server a session, an empty database a test."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import settings

from app.postgres import Database as Server
from app.postgres import Postgres
from inbox.store.database import Database
from tests.world import World

TEMPLATE = "template_santral"
TOGETHER = {
    "tests/contact/test_browser.py",
    "tests/mail/test_dovecot.py",
    "tests/sandbox/test_page.py",
    "tests/scenarios/test_demo.py",
    "tests/webchat/test_widget.py",
    "tests/webchat/test_widget_trouble.py",
}
_numbers = itertools.count()

settings.register_profile("santral", deadline=None)  # a busy machine is slow, not broken
settings.load_profile("santral")

for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
    os.environ.pop(proxy, None)  # slack_sdk ignores NO_PROXY and would call localhost through it


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file that share a server or a browser in one process, as their `xdist_group` asks.

    pytest 9.2 with xdist 3.8 passes that mark over without a word (pytest-xdist issue 1386); until it does not.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class Together(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if file in TOGETHER else super()._split_scope(nodeid)

    return Together(config, log)


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


# What a test must leave as it was for its database to serve the next one: tables, columns, constraints, who may what.
_SHAPE = """
select md5(coalesce(string_agg(part, ' ' order by part), '')) from (
    select format('%s.%s %s %s', c.oid::regclass, a.attname, a.atttypid, a.attnotnull) as part
    from pg_class c join pg_attribute a on a.attrelid = c.oid where c.relnamespace = 'public'::regnamespace
    union all select format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) from pg_constraint
    union all select format('%s %s', oid, prosrc) from pg_proc where pronamespace = 'public'::regnamespace
    union all select format('%s %s', relname, relacl) from pg_class where relnamespace = 'public'::regnamespace
    union all select format('%s %s', tgrelid::regclass, tgname) from pg_trigger
    union all select format('%s %s', app, name) from tortoise_migrations
) as parts
"""
_EMPTY = """
do $$ declare name regclass; begin
    set local session_replication_role = replica;
    for name in select oid from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
            and relname <> 'tortoise_migrations' loop
        execute format('delete from %s', name);
    end loop;
    perform setval(oid::regclass, 1, false) from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'S' and relname <> 'tortoise_migrations_id_seq';
end $$
"""


@dataclass(slots=True)
class Emptied:
    """Databases that tests are done with, empty again: to make one costs more than most tests."""

    names: list[str] = field(default_factory=list)
    shape: str = ""


@pytest.fixture(scope="session")
def emptied() -> Emptied:
    return Emptied()


@pytest_asyncio.fixture
async def database_url(server: Server, emptied: Emptied) -> AsyncIterator[str]:
    """The address of a migrated database without a row."""
    admin = await asyncpg.connect(**server.kwargs)
    if emptied.names:
        name = emptied.names.pop()
    else:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        # To copy the files costs a third of what it costs to log each page of them.
        await admin.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
    if not emptied.shape:
        emptied.shape = await _shape(server, TEMPLATE)
    yield dsn(server, name)
    await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
    if await _emptied(server, name) == emptied.shape:
        emptied.names.append(name)
    else:
        await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def _shape(server: Server, name: str) -> str:
    line = await asyncpg.connect(**{**server.kwargs, "database": name})
    try:
        return str(await line.fetchval(_SHAPE))
    finally:
        await line.close()


async def _emptied(server: Server, name: str) -> str:
    """Take every row out of a database, and tell its shape; "" of one that is not to be had."""
    try:
        line = await asyncpg.connect(**{**server.kwargs, "database": name})
        try:
            await line.execute(_EMPTY)
            return str(await line.fetchval(_SHAPE))
        finally:
            await line.close()
    except (asyncpg.PostgresError, OSError):
        return ""


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
