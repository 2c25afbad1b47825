"""How far each pulled channel has been read."""

from __future__ import annotations

from inbox.store.database import Connection


async def read(c: Connection, name: str) -> str:
    """The cursor of a channel; "" before its first pull."""
    return str(await c.fetchval("select value from cursors where name = $1", name) or "")


async def move(c: Connection, name: str, value: str) -> None:
    await c.execute(
        """
        insert into cursors (name, value) values ($1, $2)
        on conflict (name) do update set value = excluded.value, moved_at = now()
        """,
        name,
        value,
    )
