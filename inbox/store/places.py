"""Where a customer can be answered: every channel and address they have written from in their own conversation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from inbox.changes import place_of
from inbox.store.database import Connection
from inbox.store.silences import cut_off


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """One way to a customer. `heard_at` is when they last wrote that way; `silenced` that nothing may be sent there."""

    channel: str
    address_id: int
    kind: str
    value: str
    silenced: bool
    heard_at: datetime

    @property
    def place(self) -> str:
        return place_of(self.channel, self.address_id)


async def reached(c: Connection, conversation_id: int) -> list[Reached]:
    """All ways to a customer, the one used last first. Who merely spoke up in the conversation is not the customer."""
    rows = await c.fetch(
        f"""
        select channel, address_id, kind, value, silenced, heard_at from (
            select distinct on (m.channel, m.address_id) m.channel, m.address_id, a.kind, a.value,
                {cut_off("m.channel")} <> '' as silenced,
                max(m.sent_at) over (partition by m.channel, m.address_id) as heard_at, m.position
            from messages m join conversations v on v.id = m.conversation_id
            join addresses a on a.id = m.address_id and a.customer_id = v.customer_id
            where m.conversation_id = $1 and m.direction = 'in'
            order by m.channel, m.address_id, m.position desc
        ) as used order by position desc
        """,
        conversation_id,
    )
    return [Reached(**dict(row)) for row in rows]
