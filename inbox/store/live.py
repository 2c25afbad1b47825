"""Tells whoever shows a conversation to its customer, over all processes, that something of it has changed.

Rule: it is a hint and carries no content; who hears it looks into the tables, and who missed it looks when they return.
"""

from __future__ import annotations

from collections.abc import Iterable

from inbox.store.database import Connection

NOTIFY = "santral_live"


def place(channel: str, address_id: int) -> str:
    """What a hint says: which channel, whose address."""
    return f"{channel}/{address_id}"


async def tell(c: Connection, places: Iterable[str]) -> None:
    """Hint at changes when the caller's transaction commits."""
    if places := sorted(set(places)):
        await c.execute("select pg_notify($1, place) from unnest($2::text[]) as place", NOTIFY, places)
