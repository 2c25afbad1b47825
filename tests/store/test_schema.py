"""The tables as the design promises them, and migrations that may be run by anybody, at any time, and cut short."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from tortoise.exceptions import OperationalError
from tortoise.fields.relational import ForeignKeyFieldInstance
from tortoise.models import Model

from app.postgres import Database as Server
from inbox.store import database as store
from inbox.store import models
from inbox.store.database import Database
from inbox.store.migrations import m0001_spine, m0005_stop
from tests.conftest import dsn
from tests.crash.program import command
from tests.world import World

MIGRATIONS = 5
TABLES = {
    "customers", "addresses", "conversations", "messages", "attachments", "deliveries", "changes", "agents", "notices",
    "slack_threads", "slack_posts", "slack_events", "early_receipts", "quarantine", "cursors", "merges", "work",
    "lanes", "letters", "copies", "message_names", "acknowledgements", "corrections", "learned",
    "secrets", "echoes", "tombstones",
}  # fmt: skip

# What makes a promise true: the columns that no two rows share, and where that holds for some rows only.
UNIQUE = {
    ("addresses", "kind,value", ""),
    ("conversations", "customer_id", ""),
    ("messages", "channel,external_id", ""),
    ("messages", "conversation_id,position", ""),
    ("attachments", "message_id,number", ""),
    ("deliveries", "message_id,part", ""),
    ("deliveries", "channel,external_id", "(external_id IS NOT NULL)"),
    ("early_receipts", "channel,external_id,status", ""),
    ("slack_threads", "conversation_id", ""),
    ("slack_threads", "slack_channel,ts", ""),
    ("slack_posts", "slack_channel,ts", ""),
    ("slack_posts", "kind,key", "(key <> ''::text)"),
    ("slack_events", "event_id", ""),
    ("notices", "key", ""),
    ("quarantine", "channel,reason,md5(body)", "(replayed_at IS NULL)"),
    ("cursors", "name", ""),
    ("agents", "slack_user", ""),
    ("work", "kind,key", ""),
    ("lanes", "lane", ""),
    ("letters", "channel,external_id", ""),
    ("letters", "channel,digest,at", ""),
    ("copies", "once", ""),
    ("message_names", "name,message_id", ""),
    ("acknowledgements", "customer_id,once", ""),
    ("corrections", "message_id", ""),
    ("learned", "version", ""),
    ("secrets", "name", ""),
    ("echoes", "channel,external_id", ""),
    ("tombstones", "channel,external_id", ""),
}

# Partial indexes over what waits, so that they stay small however much is kept.
WAITING = {
    ("deliveries", "channel,address_id,line"),
    ("notices", "conversation_id"),
    ("work", "lane,kind,priority,run_at"),
    ("work", "worker"),
    ("quarantine", "id"),
    ("letters", "channel,id"),
    ("letters", "id"),
    ("conversations", "team"),
    ("conversations", "agent"),
}

REFUSED = [
    ("a proof that is none", "insert into addresses (customer_id, kind, value, proof) values (1, 'k', 'v', 5)"),
    ("a state that is none", "update conversations set state = 'asleep'"),
    ("a priority that is none", "update conversations set priority = 4"),
    ("a second conversation of a customer", "insert into conversations (customer_id) values (1)"),
    (
        "a direction that is none",
        "insert into messages (conversation_id, position, direction, sent_at) values (1, 1, 'up', now())",
    ),
    ("work of no priority", "insert into work (kind, key, priority) values ('k', 'k', 9)"),
]


@pytest_asyncio.fixture
async def empty(server: Server) -> AsyncIterator[str]:
    """The address of a database without tables."""
    name = f"empty_{os.getpid()}"
    admin = await asyncpg.connect(**server.kwargs)
    await admin.execute(f"create database {name} template template0")
    yield dsn(server, name)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def tables(database: Database) -> set[str]:
    async with database.connection() as c:
        rows = await c.fetch("select tablename from pg_tables where schemaname = 'public'")
    return {row["tablename"] for row in rows} - {"tortoise_migrations"}


async def test_every_table_of_the_design_is_there(database: Database) -> None:
    assert await tables(database) == TABLES


async def indexes(database: Database) -> list[tuple[str, str, str, bool]]:
    """Table, columns, condition and uniqueness of each index."""
    async with database.connection() as c:
        rows = await c.fetch(
            """
            select t.relname as table, i.indisunique as unique, coalesce(pg_get_expr(i.indpred, i.indrelid), '') some,
                   (select string_agg(pg_get_indexdef(i.indexrelid, n, true), ',' order by n)
                    from generate_series(1, i.indnkeyatts) as n) as columns
            from pg_index i join pg_class t on t.oid = i.indrelid
            join pg_namespace s on s.oid = t.relnamespace where s.nspname = 'public'
            """
        )
    return [(row["table"], row["columns"].replace('"', ""), row["some"], row["unique"]) for row in rows]


async def test_what_may_exist_only_once_is_unique_in_the_database(database: Database) -> None:
    found = {(table, columns, some) for table, columns, some, unique in await indexes(database) if unique}
    assert found >= UNIQUE, UNIQUE - found


async def test_what_waits_is_found_by_small_indexes(database: Database) -> None:
    found = {(table, columns) for table, columns, some, _ in await indexes(database) if some}
    assert found >= WAITING, WAITING - found


async def test_every_reference_is_held_by_the_database(database: Database) -> None:
    async with database.connection() as c:
        rows = await c.fetch(
            """
            select a.attrelid::regclass::text || '.' || a.attname as name from pg_attribute a
            join pg_class t on t.oid = a.attrelid and t.relkind = 'r' join pg_namespace s on s.oid = t.relnamespace
            where s.nspname = 'public' and a.attname in ('customer_id', 'conversation_id', 'message_id', 'address_id',
                                                         'attachment_id') and not a.attisdropped
              and not exists (select from pg_constraint k where k.contype = 'f' and k.conrelid = a.attrelid
                              and a.attnum = any(k.conkey))
            """
        )
    assert [row["name"] for row in rows] == []


@pytest.mark.parametrize(("what", "statement"), REFUSED)
async def test_the_database_refuses(database: Database, what: str, statement: str) -> None:
    async with database.connection() as c:
        await c.execute("insert into customers (id) values (1)")
        await c.execute("insert into conversations (id, customer_id) values (1, 1)")
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await c.execute(statement)


async def test_statuses_and_revisions_of_a_delivery_are_a_closed_set(database: Database) -> None:
    async with database.connection() as c:
        checks = " ".join(
            row["words"]
            for row in await c.fetch(
                "select pg_get_constraintdef(oid) as words from pg_constraint "
                "where contype = 'c' and conrelid in ('deliveries'::regclass, 'attachments'::regclass)"
            )
        )
    assert {"edit", "withdraw", "due", "kept", "failed"} <= set(re.findall(r"'(\w+)'", checks))
    assert "9" in checks


@pytest.mark.parametrize(
    "model",
    [models.Customer, models.AddressRow, models.Quarantined, models.Agent, models.Cursor],
    ids=lambda m: m.__name__,
)
async def test_models_match_their_tables(database: Database, model: type[Model]) -> None:
    async with database.connection() as c:
        rows = await c.fetch(
            "select column_name as name, is_nullable = 'YES' as nullable from information_schema.columns "
            "where table_name = $1",
            model._meta.db_table,
        )
        columns = {row["name"]: row["nullable"] for row in rows}
        for name, field in model._meta.fields_map.items():
            if name in model._meta.fetch_fields and not isinstance(field, ForeignKeyFieldInstance):
                continue  # the other end of a reference
            column = getattr(field, "source_field", None) or model._meta.fields_db_projection.get(name, name)
            if isinstance(field, ForeignKeyFieldInstance):
                continue  # its column is a field of its own
            assert column in columns, column
            assert columns[column] == field.null, column
        # A column that the model does not know must fill itself when the ORM makes a row.
        unknown = set(columns) - set(model._meta.fields_db_projection.values())
        filled = await c.fetch(
            "select column_name as name from information_schema.columns where table_name = $1 "
            "and (column_default is not null or is_nullable = 'YES' or is_identity = 'YES')",
            model._meta.db_table,
        )
        assert unknown <= {row["name"] for row in filled}


# migrations


async def test_migrating_again_changes_nothing(database: Database) -> None:
    assert await database.pending() == 0
    await database.migrate()
    assert await tables(database) == TABLES
    async with database.connection() as c:
        assert await c.fetchval("select count(*) from tortoise_migrations") == MIGRATIONS


async def test_an_empty_database_knows_that_it_needs_migrating(empty: str) -> None:
    async with Database.open(empty, connections=2) as database:
        assert await database.pending() > 0
        await database.migrate()
        assert await database.pending() == 0


async def test_two_processes_may_migrate_at_once(empty: str, world: World) -> None:
    world.database_url = empty
    config = str(world.config_file())
    outcomes = await asyncio.gather(*(command(world, "migrate", "--config", config) for _ in range(2)))
    assert [code for code, _, _ in outcomes] == [0, 0], outcomes
    async with Database.open(empty, connections=2) as database:
        assert await tables(database) == TABLES


async def test_a_migration_that_waits_for_a_backup_stops_nobody_who_writes(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(store, "LOCK_PAUSE", 0.1)
    async with Database.open(empty, connections=4) as database:
        await database.migrate()
        async with database.connection() as c:
            await c.execute(m0005_stop.BACKWARD)
            await c.execute("delete from tortoise_migrations where name = 'm0005_stop'")
        async with database.transaction() as backup, database.connection() as shop:
            await backup.execute("select from addresses")
            with capture_logs() as told:
                migrating = asyncio.create_task(database.migrate())
                while not told:  # it gave way
                    await shop.execute("insert into customers default values")
                    await shop.execute(
                        "insert into addresses (customer_id, kind, value) select max(id), 'x', max(id) from customers"
                    )
            assert not migrating.done()
        await migrating
        assert await database.pending() == 0
        assert await tables(database) == TABLES


async def test_a_migration_that_fails_leaves_nothing(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (operation,) = m0001_spine.Migration.operations
    async with Database.open(empty, connections=2) as database:
        with monkeypatch.context() as broken:
            broken.setattr(operation, "sql", f"{m0001_spine.FORWARD}; create table customers ();")
            with pytest.raises((asyncpg.PostgresError, OperationalError)):
                await database.migrate()
        assert await tables(database) == set()
        await database.migrate()
        assert await tables(database) == TABLES


async def test_a_migration_cut_short_before_it_was_recorded_is_made_anew(empty: str) -> None:
    async with Database.open(empty, connections=2) as database:
        async with database.connection() as c:
            await c.execute(
                """
                create table tortoise_migrations (id serial primary key, app varchar(255) not null,
                    name varchar(255) not null, applied_at timestamptz not null, unique (app, name))
                """
            )
            await c.execute(
                "create function refuse() returns trigger language plpgsql as 'begin raise exception $$no$$; end'"
            )
            await c.execute("create trigger r before insert on tortoise_migrations execute function refuse()")
        with pytest.raises((asyncpg.PostgresError, OperationalError)):
            await database.migrate()
        assert await tables(database) == set()
        async with database.connection() as c:
            await c.execute("drop trigger r on tortoise_migrations")
        await database.migrate()
        assert await tables(database) == TABLES
