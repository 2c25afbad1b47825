"""Names of customers that are learned after they wrote."""

from __future__ import annotations

from channels.message import Address
from inbox.store.database import Connection
from inbox.text import storable


async def nameless(c: Connection, address_id: int) -> Address | None:
    """An address that has no name yet; None when it has one by now."""
    row = await c.fetchrow("select kind, value from addresses where id = $1 and name = ''", address_id)
    return Address(kind=row["kind"], value=row["value"]) if row else None


async def name(c: Connection, address_id: int, told: str) -> int | None:
    """Name an address, and its customer if they have no name. Answers their conversation, None when it has a name."""
    customer_id = await c.fetchval(
        "update addresses set name = $2 where id = $1 and name = '' returning customer_id",
        address_id,
        storable(told, 500),
    )
    if customer_id is None:
        return None
    await c.execute("update customers set name = $2 where id = $1 and name = ''", customer_id, storable(told, 500))
    found = await c.fetchval("select id from conversations where customer_id = $1", customer_id)
    return int(found) if found is not None else None
