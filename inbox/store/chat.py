"""A conversation as its customer sees it in a chat of ours: what they and we said at their own addresses there.

Rule: nothing of other channels, no note, nothing that has not left. It is read from the tables each time, so whoever
was away misses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from channels.message import Address, Span, Status
from inbox.store import live
from inbox.store.database import Connection
from inbox.store.deliveries import spans

# What a chat is ordered by, as a phone would: when it arrived or left in microseconds since 1970, message, part.
Place = tuple[int, int, int]
NEWEST: Place = (2**62, 0, 0)
SILENCE = timedelta(days=7)  # an answer that took longer was none
ENOUGH = 5  # answers that a usual time is told from
NEWEST_ANSWERS = 200  # at most: it is read while a visitor waits, whatever the shop answers in a month


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFile:
    """A file of a shown message. `path` is "" until it is there."""

    id: int
    media_type: str
    filename: str
    size: int | None
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One bubble: a customer's message, or one delivery of an answer."""

    place: Place
    delivery: UUID | None  # None: the customer's own
    external_id: str
    text: str
    spans: tuple[Span, ...]
    author: str
    author_name: str
    at: datetime
    edited_at: datetime | None
    withdrawn: bool
    status: Status
    reply_to: str
    quoted: str
    choices: tuple[Mapping[str, Any], ...]
    files: tuple[ShownFile, ...]


# The browser's own address is theirs to see only while nobody else's account has been used in that browser.
_MINE = """
mine as materialized (
    select a.id, a.customer_id from unnest($2::text[], $3::text[]) as k (kind, value)
    join addresses a on a.kind = k.kind and a.value = k.value
    where a.kind <> 'visitor' or not exists (
        select from addresses o where o.customer_id = a.customer_id and o.kind = 'account'
          and starts_with(o.value, $1 || ':') and (o.kind, o.value) not in (select * from unnest($2::text[], $3::text[])))
)
"""

_FILES = """
coalesce((
    select jsonb_agg(jsonb_build_object('id', f.id, 'media_type', f.media_type, 'filename', f.filename, 'size', f.size,
                                        'path', case when f.state = 'kept' then f.path else '' end) order by f.number)
    from attachments f where {which}), '[]') as files
"""

_MICROSECONDS = "(extract(epoch from {}) * 1000000)::bigint"

_TRAVELLING = """
f.id = any(array[d.attachment_id] || array(select jsonb_array_elements_text(coalesce(d.body -> 'more', '[]'))::bigint))
"""

_SHOWN = f"""
with {_MINE}, said as (
    (select {_MICROSECONDS.format("m.created_at")} as came, m.id, 0 as part, null::uuid as delivery, m.external_id, m.text, m.body, '' as author, '' as author_name,
            m.sent_at as at, m.edited_at, m.withdrawn_at is not null as withdrawn, 2 as status,
            {_FILES.format(which="f.message_id = m.id")}
     from mine join conversations c on c.customer_id = mine.customer_id
     join messages m on m.conversation_id = c.id and m.address_id = mine.id
     where m.direction = 'in' and m.channel = $1 and ({_MICROSECONDS.format("m.created_at")}, m.id, 0) < ($4, $5, $6)
     order by m.position desc limit $7)
    union all
    (select {_MICROSECONDS.format("d.sent_at")}, m.id, d.part, d.id, '', d.body ->> 'text', d.body, d.body ->> 'author', d.body ->> 'author_name',
            m.sent_at, m.edited_at, m.withdrawn_at is not null, d.status,
            {_FILES.format(which=_TRAVELLING)}
     from mine join deliveries d on d.address_id = mine.id join messages m on m.id = d.message_id
     where d.channel = $1 and d.status between 2 and 4
       and ({_MICROSECONDS.format("d.sent_at")}, m.id, d.part) < ($4, $5, $6)
     order by d.sent_at desc limit $7)
)
select * from said order by came desc, id desc, part desc limit $7
"""


async def shown(
    c: Connection, channel: str, addresses: Sequence[Address], most: int, before: Place = NEWEST
) -> list[Shown]:
    """The last bubbles before a place, first to last."""
    rows = await c.fetch(
        _SHOWN,
        channel,
        [address.kind for address in addresses],
        [address.value for address in addresses],
        *before,
        most,
    )
    return [_shown(row) for row in reversed(rows)]


def _shown(row: Mapping[str, Any]) -> Shown:
    body = row["body"]
    gone = row["withdrawn"]  # its words are gone from the chat, whatever is kept
    return Shown(
        place=(row["came"], row["id"], row["part"]),
        delivery=row["delivery"],
        external_id=row["external_id"] or "",
        text="" if gone else row["text"] or "",
        spans=() if gone else spans(body.get("spans", ())),
        author=row["author"] or "",
        author_name=row["author_name"] or "",
        at=row["at"],
        edited_at=row["edited_at"],
        withdrawn=gone,
        status=Status(row["status"]),
        reply_to=body.get("reply_to", ""),
        quoted="" if gone else body.get("quoted", "") if isinstance(body.get("quoted"), str) else "",
        choices=() if gone else tuple(body.get("choices", ())),
        files=() if gone else tuple(ShownFile(**file) for file in row["files"]),
    )


async def answering(c: Connection, channel: str, addresses: Sequence[Address]) -> bool:
    """Whether an answer is written and about to leave: as much as can be known of somebody typing."""
    return bool(
        await c.fetchval(
            f"""
            with {_MINE} select exists (
                select from mine join deliveries d on d.address_id = mine.id
                where d.channel = $1 and d.status = 0 and d.due_at between now() - interval '1 minute'
                  and now() + interval '2 minutes')
            """,
            channel,
            [address.kind for address in addresses],
            [address.value for address in addresses],
        )
    )


async def queued(c: Connection, channel: str) -> list[Address]:
    """Whom an answer is on its way to."""
    rows = await c.fetch(
        """
        select distinct a.kind, a.value from deliveries d join addresses a on a.id = d.address_id
        where d.channel = $1 and d.status = 0 and d.due_at > now() - interval '1 minute'
        """,
        channel,
    )
    return [Address(kind=row["kind"], value=row["value"]) for row in rows]


async def used_by_others(c: Connection, channel: str, browser: str, account: str) -> bool:
    """Whether a browser belongs to a customer with an account in this channel that is not this one ("": none is)."""
    return bool(
        await c.fetchval(
            """
            select exists (select from addresses b join addresses o on o.customer_id = b.customer_id
                           where b.kind = 'visitor' and b.value = $2 and o.kind = 'account'
                             and starts_with(o.value, $1 || ':') and o.value <> $1 || ':' || $3)
            """,
            channel,
            browser,
            account,
        )
    )


async def owner(c: Connection, address_id: int) -> Address | None:
    """Whose address this is, by the name browsers know it by."""
    row = await c.fetchrow("select kind, value from addresses where id = $1", address_id)
    return Address(kind=row["kind"], value=row["value"]) if row else None


async def tell(c: Connection, channel: str, addresses: Sequence[Address]) -> None:
    """Hint to whoever shows these addresses that something of them has changed."""
    rows = await c.fetch(
        "select a.id from unnest($1::text[], $2::text[]) as k (kind, value) join addresses a using (kind, value)",
        [address.kind for address in addresses],
        [address.value for address in addresses],
    )
    await live.tell(c, [live.place(channel, row["id"]) for row in rows])


async def claim(c: Connection, channel: str, own: Address, external_id: str, paths: Sequence[str]) -> bool:
    """Let a message of a visitor carry uploads, which then are no longer to be forgotten.

    False, and nothing changed, where another message of theirs carries one of them. Claimed again by the same message,
    all is as it was.
    """
    if await carried(c, channel, external_id) is not None:
        return True
    taken = await c.fetchval(
        """
        select exists (
            select from addresses a join conversations t on t.customer_id = a.customer_id
            join messages m on m.conversation_id = t.id join attachments f on f.message_id = m.id
            where a.kind = $2 and a.value = $3 and m.direction = 'in' and m.channel = $1 and f.path = any($4))
        """,
        channel,
        own.kind,
        own.value,
        paths,
    )
    if not taken:
        await c.execute("delete from work where kind = 'forget' and key = any($1)", paths)
    return not taken


async def carried(c: Connection, channel: str, external_id: str) -> frozenset[str] | None:
    """The paths of the files a customer's message carries, None where there is no such message."""
    found = await c.fetchval(
        """
        select array(select f.path from attachments f where f.message_id = m.id)
        from messages m where m.channel = $1 and m.external_id = $2
        """,
        channel,
        external_id,
    )
    return frozenset(found) if found is not None else None


async def usual_answer(c: Connection, channel: str, since: datetime) -> timedelta | None:
    """How long customers of a channel usually waited for a first answer by a person; None where too few asked.

    The median over the newest `NEWEST_ANSWERS` since then; what nobody answered within a week is left out.
    """
    found = await c.fetchval(
        """
        with parts as (
            select message_id, sent_at from deliveries
            where channel = $1 and created_at >= $2 and status between 2 and 4 and body ->> 'author' = 'agent'
            order by created_at desc limit $5
        ), answers as (
            select m.conversation_id, m.position, min(p.sent_at) as at from parts p join messages m on m.id = p.message_id
            group by m.conversation_id, m.position
        ), waits as materialized (
            select a.at - (
                select min(q.sent_at) from messages q
                where q.conversation_id = a.conversation_id and q.direction = 'in' and q.channel = $1
                  and q.position < a.position and q.position > coalesce((
                      select max(o.position) from messages o where o.conversation_id = a.conversation_id
                        and o.position < a.position and o.direction = 'out' and not o.body ? 'holding'), 0)) as wait
            from answers a
        )
        select case when count(*) >= $3 then percentile_cont(0.5) within group (order by wait) end
        from waits where wait between interval '0' and $4
        """,
        channel,
        since,
        ENOUGH,
        SILENCE,
        NEWEST_ANSWERS,
    )
    return found if isinstance(found, timedelta) else None
