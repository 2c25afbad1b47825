"""What providers tell of deliveries later: before the send has returned, twice, late, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from channels.message import Receipt
from inbox.store.database import Connection
from inbox.text import storable

RECENT = 5  # days in which a bounce that names only its recipient is taken to be about the last mail sent there


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The delivery a receipt was about.

    `failed_late`: it counted as sent until this receipt came. `certain`: the receipt named the delivery by an id that only
    its addressee and we have seen, and no other recipient.
    """

    delivery: UUID
    message_id: int
    conversation_id: int
    address_id: int
    failed_late: bool
    certain: bool


async def receive(c: Connection, event: Receipt) -> Told | None:
    """Move a delivery up its ladder. A receipt that overtook our own send is kept until the send has returned."""
    told = await _climb(c, event)
    if told is not None or not event.external_id:
        return told
    # Its send may be writing that id just now: it has looked for receipts already, and we cannot see the id yet.
    await c.execute(
        "select pg_advisory_xact_lock(hashtextextended($1::text || ':' || $2::text, 0))",
        event.channel,
        storable(event.external_id),
    )
    told = await _climb(c, event)
    if told is None:
        await c.execute(
            """
            insert into early_receipts (channel, external_id, status, code, detail, at) values ($1, $2, $3, $4, $5, $6)
            on conflict do nothing
            """,
            event.channel,
            storable(event.external_id),
            int(event.status),
            storable(event.code, 100),
            storable(event.detail, 500),
            event.at,
        )
    return told


async def _climb(c: Connection, event: Receipt) -> Told | None:
    """Move the delivery that a receipt names, if there is one."""
    row = await c.fetchrow(
        """
        with named as (
            select id from deliveries where ($1 <> '' and channel = $2 and external_id = $1) or id = $6
            union all
            (select d.id from deliveries d join addresses a on a.id = d.address_id
             where $7 <> '' and $1 = '' and $6::uuid is null and d.channel = $2 and a.value = $7 and d.status between 1 and 4
               and d.created_at > now() - make_interval(days => $8) order by d.created_at desc limit 1)
            limit 1
        ), old as (
            select d.id, d.status from deliveries d join named using (id) for no key update of d
        )
        update deliveries d set status = greatest(d.status, $3), settled_at = now(),
            sent_at = case when $3 between 2 and 4 then coalesce(d.sent_at, d.sending_at, now()) else d.sent_at end,
            sending_at = case when d.status = 1 then null else d.sending_at end,
            external_id = case when d.external_id is null and $1 <> '' and not exists (
                select from deliveries o where o.channel = $2 and o.external_id = $1) then $1 else d.external_id end,
            code = case when $3 > d.status then $4 else code end, detail = case when $3 > d.status then $5 else detail end
        from old where d.id = old.id
        returning d.id as delivery, d.message_id, d.conversation_id, d.address_id,
            old.status < 9 and d.status = 9 as failed_late,
            ($1 <> '' or $6::uuid is not null)
                and ($7 = '' or $7 = (select a.value from addresses a where a.id = d.address_id)) as certain
        """,
        storable(event.external_id),
        event.channel,
        int(event.status),
        storable(event.code, 100),
        storable(event.detail, 500),
        event.delivery,
        storable(event.recipient.value) if event.recipient else "",
        RECENT,
    )
    return Told(**dict(row)) if row is not None else None


async def earlier_read(c: Connection, delivery: UUID) -> list[int]:
    """Mark what went to the same place before a delivery as read. Answers the messages."""
    rows = await c.fetch(
        """
        update deliveries d set status = 4 from deliveries last
        where last.id = $1 and d.channel = last.channel and d.address_id = last.address_id and d.line < last.line
          and d.status in (2, 3) returning d.message_id
        """,
        delivery,
    )
    return [row["message_id"] for row in rows]


async def silence(c: Connection, address_id: int, why: str, at: datetime) -> None:
    """Nothing will ever arrive at this address: nothing more is sent there until they write again."""
    await c.execute(
        "update addresses set silenced_at = coalesce(silenced_at, $3), silenced_why = $2 where id = $1",
        address_id,
        storable(why, 500),
        at,
    )
