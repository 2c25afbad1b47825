"""The rows Santral wrote, seen from outside: a reader that asks the tables what came, changed and went.

Rule: it reads only, knows no column by name, and a database that is away is no reason to fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import asyncpg

from sandbox import trail

Json = dict[str, Any]

TABLES = ("letters", "messages", "deliveries", "work", "slack_posts")
NEWEST = 80  # rows of a table looked at
BUSY = 0.2  # seconds between two looks while something happens
QUIET = 2.0
BUSY_FOR = 4.0
JUST_NOW = 2 * BUSY
LONGEST = 2000  # characters of a value shown
# What tells a row's age, best first. A table without any of these is read in the order of its key.
_AGES = ("updated_at", "changed_at", "at", "received_at", "created_at", "stored_at", "due", "due_at", "position", "id")


class Rows:
    """Watches the tables of one database and tells of every difference as an entry of the trail."""

    def __init__(self, dsn: str, tell: Callable[[Json], None]) -> None:
        self._dsn = dsn
        self._tell = tell
        self._seen: dict[str, dict[str, tuple[str, Json]]] = {}
        self._woken = asyncio.Event()
        self._busy_until = 0.0
        self._number = 0

    def wake(self) -> None:
        """Look more often for a while: something is going on."""
        self._busy_until = time.monotonic() + BUSY_FOR
        self._woken.set()

    async def watch(self) -> None:
        """Look until cancelled; connect anew whenever the database went away."""
        while True:
            try:
                connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=5)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(1)
                continue
            try:
                await self._look_often(connection)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(1)
            finally:
                connection.terminate()

    async def _look_often(self, connection: asyncpg.Connection) -> None:
        while True:
            for table in TABLES:
                found = await self._read(connection, table)
                if found is not None:
                    self._compare(table, found)
            self._woken.clear()
            busy = time.monotonic() < self._busy_until
            if busy:
                await asyncio.sleep(BUSY)
            else:
                try:
                    await asyncio.wait_for(self._woken.wait(), QUIET)
                except TimeoutError:
                    continue

    def _compare(self, table: str, found: dict[str, tuple[str, Json]]) -> None:
        before = self._seen.get(table)
        self._seen[table] = found
        if before is None:
            return  # the first look: what was there before is no news
        for key, (version, values) in reversed(found.items()):
            if key not in before:
                self._say(table, key, values, "new row")
            elif before[key][0] != version:
                old = before[key][1]
                changed = [name for name in values if values[name] != old.get(name)]
                self._say(table, key, values, f"{', '.join(changed[:2])} changed" if changed else "touched")
        if table == "work" and len(before) < NEWEST:
            for key in before.keys() - found.keys():
                self._say(table, key, before[key][1], "done")

    def _say(self, table: str, key: str, values: Json, change: str) -> None:
        self._number += 1
        self._tell(trail.row(table, key, values, change, _happened(values, time.time()), self._number))

    async def _read(self, connection: asyncpg.Connection, table: str) -> dict[str, tuple[str, Json]] | None:
        columns = [
            name
            for (name,) in await connection.fetch(
                "select attname::text from pg_attribute where attrelid = to_regclass($1) and attnum > 0"
                " and not attisdropped",
                table,
            )
        ]
        if not columns:
            return None
        age = next((name for name in _AGES if name in columns), columns[0])
        keys = [
            name
            for (name,) in await connection.fetch(
                "select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid"
                " and a.attnum = any(i.indkey) where i.indrelid = to_regclass($1) and i.indisprimary",
                table,
            )
        ] or columns[:1]
        # Names come from the catalogue and are quoted.
        query = f'select xmin::text as "xmin ", t.* from "{table}" t order by t."{age}" desc nulls last limit {NEWEST}'  # noqa: S608
        found: dict[str, tuple[str, Json]] = {}
        for record in await connection.fetch(query):
            values = {name: _plain(record[name]) for name in columns}
            found["/".join(str(values[name]) for name in keys)] = (record["xmin "], values)
        return found

    def newest(self) -> Json:
        """The rows as last seen."""
        return {table: [values for _, values in rows.values()] for table, rows in self._seen.items()}


def _happened(values: Json, now: float) -> float:
    """When a row changed: its newest time of the last seconds, for it is seen a moment later than it was written."""
    times = []
    for value in values.values():
        if isinstance(value, str) and value[4:5] == "-" and value[13:14] == ":":
            with contextlib.suppress(ValueError):
                times.append(datetime.fromisoformat(value).timestamp())
    return max((at for at in times if now - JUST_NOW < at <= now), default=now)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, list):
        return [_plain(each) for each in value]
    shown = value if isinstance(value, str) else str(value)
    if shown[:1] in "{[" and len(shown) <= LONGEST:
        try:
            return json.loads(shown)
        except ValueError:
            return shown
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
