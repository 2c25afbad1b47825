"""What providers tell of deliveries later: before the send has returned, twice, late, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from channels.message import Address, ReadUpTo, Receipt, Status
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
    address: Address
    sent_at: datetime
    failed_late: bool
    certain: bool


async def receive(c: Connection, event: Receipt) -> Told | None:
    """Move a delivery up its ladder. A receipt that overtook our own send is kept until the send has returned."""
    if event.status is Status.FAILED:  # the conversation first, as everybody locks: there will be something to tell
        await c.execute(
            """
            select from conversations where id in (
                select conversation_id from deliveries where id = $1 or (channel = $2 and external_id = $3 and $3 <> ''))
            order by id for no key update
            """,
            event.delivery,
            event.channel,
            storable(event.external_id),
        )
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
            insert into early_receipts (channel, external_id, status, code, detail, at, earlier)
            values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing
            """,
            event.channel,
            storable(event.external_id),
            int(event.status),
            storable(event.code, 100),
            storable(event.detail, 500),
            event.at,
            event.earlier,
        )
    return told


async def _climb(c: Connection, event: Receipt) -> Told | None:
    """Move the delivery that a receipt names, if there is one."""
    row = await c.fetchrow(
        """
        with named as (
            select id from deliveries where ($1 <> '' and channel = $2 and external_id = $1)
              -- By our own id it may be about a try that was made anew since.
              or (id = $6 and not coalesce(body -> 'former' ? $1, false)
                  and not ($3::smallint = 9 and status = 0 and sending_at is null))
            union all
            (select d.id from deliveries d join addresses a on a.id = d.address_id
             where $7 <> '' and $1 = '' and $6::uuid is null and d.channel = $2 and a.value = $7 and d.status between 1 and 4
               and d.created_at > now() - make_interval(days => $8) order by d.created_at desc limit 1)
            limit 1
        ), old as (
            select d.id, d.status, d.sending_at, a.kind, a.value
            from deliveries d join named using (id) join addresses a on a.id = d.address_id for no key update of d
        )
        update deliveries d set status = greatest(d.status, $3::smallint, case when $3::smallint between 2 and 4 then d.ahead end), settled_at = now(),
            sent_at = case when $3 between 2 and 4 then coalesce(d.sent_at, d.sending_at, now()) else d.sent_at end,
            sending_at = case when d.status = 1 then null else d.sending_at end,
            external_id = case when d.external_id is null and $1 <> '' and not exists (
                select from deliveries o where o.channel = $2 and o.external_id = $1) then $1 else d.external_id end,
            code = case when $3 > d.status then $4 else code end, detail = case when $3 > d.status then $5 else detail end
        from old where d.id = old.id
        returning d.id as delivery, d.message_id, d.conversation_id, d.address_id, old.kind, old.value,
            coalesce(d.sent_at, old.sending_at, d.created_at) as sent_at, old.status < 9 and d.status = 9 as failed_late,
            ($1 <> '' or $6::uuid is not null) and ($7 = '' or $7 = old.value) as certain
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
    if row is None:
        return None
    values = dict(row)
    address = Address(kind=values.pop("kind"), value=values.pop("value"))
    return Told(**values, address=address)


async def earlier(c: Connection, delivery: UUID, status: Status) -> list[int]:
    """What was sent to the same place before a delivery got as far as that one. Answers the messages it changed.

    What is under way there, or in doubt, has got so far once it turns out to be sent at all.
    """
    rows = await c.fetch(
        """
        update deliveries d set status = case when d.status in (2, 3) then $2::smallint else d.status end,
            ahead = case when d.status in (0, 1) then $2::smallint else d.ahead end
        from deliveries last
        where last.id = $1 and d.channel = last.channel and d.address_id = last.address_id and d.id <> last.id
          and coalesce(d.sent_at, d.sending_at) <= coalesce(last.sent_at, last.sending_at)
          and ((d.status in (2, 3) and d.status < $2::smallint) or (d.status in (0, 1) and d.ahead < $2::smallint)) returning d.message_id
        """,
        delivery,
        int(status),
    )
    return [row["message_id"] for row in rows]


async def read_up_to(c: Connection, event: ReadUpTo, address_id: int) -> list[int]:
    """As `earlier`, of what was sent to an address until a moment and is read by now."""
    rows = await c.fetch(
        """
        update deliveries set status = case when status in (2, 3) then $4::smallint else status end,
            ahead = case when status in (0, 1) then $4::smallint else ahead end
        where channel = $1 and address_id = $2 and coalesce(sent_at, sending_at) <= $3
          and (status in (2, 3) or (status in (0, 1) and ahead < $4::smallint)) returning message_id
        """,
        event.channel,
        address_id,
        event.at,
        int(Status.READ),
    )
    return [row["message_id"] for row in rows]
