"""Secrets this installation made for itself, the same in all its processes: what signs links, visitors and forms."""

from __future__ import annotations

import secrets

from inbox.store.database import Connection

BYTES = 32


async def secret(c: Connection, name: str) -> bytes:
    """The secret of that name, made at its first use by whoever is first."""
    await c.execute(
        "insert into secrets (name, value) values ($1, $2) on conflict (name) do nothing",
        name,
        secrets.token_bytes(BYTES),
    )
    return bytes(await c.fetchval("select value from secrets where name = $1", name))
