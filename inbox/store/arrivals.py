"""The hot path: what arrives, written by a few set-based statements for a whole group inside the caller's transaction.

Rule: conversations are locked in the order of their ids, new addresses made in the order of their names, so two
processes never wait for each other in a circle. The lock is `for no key update`, which lets the desk refer to a locked
conversation meanwhile. Uniqueness is the constraint's word, never a look-up's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import asyncpg
import orjson

from channels.message import (
    Address,
    Attachment,
    Proof,
    Received,
    Span,
    Unreadable,
)
from inbox.changes import Conversation, Priority, Put, Recorded, State, as_json
from inbox.store import silences, work
from inbox.store.database import Connection
from inbox.text import storable

Key = tuple[str, str]  # an address: kind, value
Name = tuple[str, str]  # a message: channel, external id

COLUMNS = """c.id, c.customer_id, c.state, c.priority, c.tags, c.team, c.agent, c.language, c.address_id, c.channel,
    c.last_position, c.waiting_since, c.last_in_at, c.last_out_at, c.resolved_at, c.wish"""


@dataclass(slots=True, kw_only=True)
class Known:
    """An address we have, with its conversation, locked until the transaction ends."""

    address_id: int
    proof: Proof
    name: str
    silenced: bool
    conversation: Conversation
    fresh: bool = False  # made by this very group


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A received message and its place in the conversation."""

    message: Received
    conversation_id: int
    address_id: int
    position: int
    bystander: bool = False  # shown in the conversation of somebody else
    idle: bool = False  # nobody has to answer it: it is shown, and nobody waits because of it


def collided(error: BaseException) -> bool:
    """Whether the database gave up this transaction in favour of another, so that it may simply be made again."""
    return isinstance(error, asyncpg.TransactionRollbackError)


def key(address: Address) -> Key:
    return address.kind, address.value


def conversation(row: Mapping[str, Any]) -> Conversation:
    """A conversation from the columns of `COLUMNS`."""
    return Conversation(
        id=row["id"],
        customer_id=row["customer_id"],
        state=State(row["state"]),
        priority=Priority(row["priority"]),
        tags=frozenset(row["tags"]),
        team=row["team"],
        agent=row["agent"],
        language=row["language"],
        address_id=row["address_id"],
        channel=row["channel"],
        last_position=row["last_position"],
        waiting_since=row["waiting_since"],
        last_in_at=row["last_in_at"],
        last_out_at=row["last_out_at"],
        resolved_at=row["resolved_at"],
        wish=row["wish"],
    )


_FIND = f"""
select a.kind as address_kind, a.value as address_value, a.id as found_address, a.proof, a.name as address_name,
       {silences.anywhere()} as silenced, {COLUMNS}
from unnest($1::text[], $2::text[]) as k (kind, value)
join addresses a on a.kind = k.kind and a.value = k.value
join conversations c on c.customer_id = a.customer_id
order by c.id for no key update of c
"""

_CREATE = """
with fresh as materialized (
    select kind, value, proof, name, nextval('customers_id_seq') as customer_id
    from unnest($1::text[], $2::text[], $3::smallint[], $4::text[]) as t (kind, value, proof, name)
    order by kind, value
), made as (
    insert into addresses (customer_id, kind, value, proof, name)
    select customer_id, kind, value, proof, name from fresh order by kind, value
    on conflict (kind, value) do nothing returning customer_id
), people as (
    insert into customers (id, name) select customer_id, name from fresh join made using (customer_id)
)
insert into conversations (customer_id) select customer_id from made
"""


async def find(c: Connection, keys: Iterable[Key]) -> dict[Key, Known]:
    """The addresses that exist, each with its conversation locked."""
    kinds, values = zip(*sorted(set(keys)), strict=True)
    rows = await c.fetch(_FIND, list(kinds), list(values))
    return {
        (row["address_kind"], row["address_value"]): Known(
            address_id=row["found_address"],
            proof=Proof(row["proof"]),
            name=row["address_name"],
            silenced=row["silenced"],
            conversation=conversation(row),
        )
        for row in rows
    }


async def lock(c: Connection, keys: Iterable[Key], names: Iterable[Name], sent: Iterable[Name]) -> None:
    """Lock the conversations of all these in one order: of addresses, of messages, of what we sent.

    What a transaction will touch is locked before anything else of it: two of them would wait for each other otherwise.
    """
    places, said, told = sorted(set(keys)), sorted(set(names)), sorted(set(sent))
    await c.execute(
        """
        select from conversations where id in (
            select v.id from unnest($1::text[], $2::text[]) as k (kind, value)
            join addresses a on a.kind = k.kind and a.value = k.value join conversations v on v.customer_id = a.customer_id
            union all
            select m.conversation_id from unnest($3::text[], $4::text[]) as n (channel, external_id)
            join messages m using (channel, external_id)
            union all
            select d.conversation_id from unnest($5::text[], $6::text[]) as r (channel, external_id)
            join deliveries d using (channel, external_id)
        ) order by id for no key update
        """,
        [kind for kind, _ in places],
        [value for _, value in places],
        [channel for channel, _ in said],
        [external_id for _, external_id in said],
        [channel for channel, _ in told],
        [external_id for _, external_id in told],
    )


async def find_or_create(c: Connection, senders: Mapping[Key, Received]) -> dict[Key, Known]:
    """As `find`, and whoever never wrote before becomes a customer with a conversation of their own."""
    known = await find(c, senders)
    missing = sorted(set(senders) - set(known))
    if missing and (adopted := await _adopt(c, [senders[place] for place in missing])):
        known |= await find(c, adopted)
        missing = sorted(set(senders) - set(known))
    if missing:
        await c.execute(
            _CREATE,
            [kind for kind, _ in missing],
            [value for _, value in missing],
            [int(senders[k].proof) for k in missing],
            [storable(senders[k].sender_name, 500) for k in missing],
        )
        for place, found in (await find(c, missing)).items():
            found.fresh = True
            known[place] = found
    return known


async def _adopt(c: Connection, strangers: Sequence[Received]) -> list[Key]:
    """Give new addresses to the customer who is proven to have them: by one other address of theirs that we know.

    Answers those that found their owner. Who is proven to be two customers at once is a stranger: that a person settles.
    So is who shares an alias with a customer that has another address of the same kind: two accounts in one browser.
    """
    wanted = [
        (message, alias)
        for message in strangers
        for alias, proof in message.proofs
        if proof >= Proof.CARRIER and message.proof >= Proof.CARRIER
    ]
    if not wanted:
        return []
    rows = await c.fetch(
        """
        insert into addresses (customer_id, kind, value, proof, name)
        select min(a.customer_id), t.kind, t.value, max(t.proof), max(t.name)
        from unnest($1::text[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::text[])
             as t (kind, value, proof, name, alias_kind, alias)
        join addresses a on a.kind = t.alias_kind and a.value = t.alias and a.proof >= 1
          and not exists (select from addresses o where o.customer_id = a.customer_id and o.kind = t.kind)
        group by t.kind, t.value having count(distinct a.customer_id) = 1
        on conflict (kind, value) do nothing returning kind, value
        """,
        [message.sender.kind for message, _ in wanted],
        [message.sender.value for message, _ in wanted],
        [int(message.proof) for message, _ in wanted],
        [storable(message.sender_name, 500) for message, _ in wanted],
        [alias.kind for _, alias in wanted],
        [alias.value for _, alias in wanted],
    )
    return [(row["kind"], row["value"]) for row in rows]


_INSERT = """
insert into messages (conversation_id, position, direction, channel, external_id, address_id, author_name, subject, text,
                      body, album, automatic, sent_at, raw)
select conversation_id, position, 'in', channel, external_id, address_id, author_name, subject, text,
       body, album, automatic, sent_at, raw
from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[],
            $9::jsonb[], $10::text[], $11::boolean[], $12::timestamptz[], $13::bytea[])
     as t (conversation_id, position, channel, external_id, address_id, author_name, subject, text,
           body, album, automatic, sent_at, raw)
on conflict (channel, external_id) do nothing
returning id, channel, external_id
"""


async def insert(c: Connection, rows: Sequence[Row]) -> dict[Name, int]:
    """Store messages; what was stored before is left alone and missing from the answer."""
    if not rows:
        return {}
    found = await c.fetch(
        _INSERT,
        [row.conversation_id for row in rows],
        [row.position for row in rows],
        [row.message.channel for row in rows],
        [row.message.external_id for row in rows],
        [row.address_id for row in rows],
        [storable(row.message.sender_name, 500) for row in rows],
        [storable(row.message.subject, 1_000) for row in rows],
        [storable(row.message.text) for row in rows],
        [body(row.message, bystander=row.bystander, idle=row.idle) for row in rows],
        [row.message.album for row in rows],
        [row.message.automatic or row.idle for row in rows],  # the column says: nobody waits for an answer to it
        [row.message.sent_at for row in rows],
        [row.message.raw for row in rows],
    )
    return {(row["channel"], row["external_id"]): row["id"] for row in found}


def body(message: Received, *, bystander: bool = False, idle: bool = False) -> str:
    """What a message has beyond its words, as JSON text; empty parts are left out."""
    parts: dict[str, Any] = {"participant": True} if bystander else {}
    if message.spans:
        parts["spans"] = [_span(span) for span in message.spans]
    for name in ("payload", "reply_to", "quoted", "forwarded_from", "stub", "html", "language", "hidden", "why"):
        if value := getattr(message, name):
            parts[name] = storable(value)
    if message.twin is not None or message.why:
        parts["proof"] = int(message.proof)
    if message.quiet:
        parts["quiet"] = True
    if idle:
        parts["idle"] = True
    if message.warnings:
        parts["warnings"] = list(message.warnings)
    if message.also_to:
        parts["also_to"] = [storable(who, 320) for who in message.also_to]
    if message.context:
        parts["context"] = dict(message.context)
    if files := [storable(file.unique_ref) for file in message.attachments if file.unique_ref]:
        parts["files"] = files  # by these an edit that replaces a picture is known
    return orjson.dumps(parts).decode() if parts else "{}"


def _span(span: Span) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": span.kind.value, "start": span.start, "end": span.end}
    return {**found, "url": storable(span.url)} if span.url else found


async def attach(c: Connection, source: str, files: Sequence[tuple[int, int, Attachment]]) -> list[int]:
    """Note files (message id, number, file) that are to be fetched from `source`, but for those we have already.

    Answers all their ids.
    """
    rows = await c.fetch(
        """
        insert into attachments (message_id, number, source, media_type, filename, size, ref, path, state)
        select message_id, number, $1, media_type, filename, size, ref, path, case when path = '' then 'due' else 'kept' end
        from unnest($2::bigint[], $3::smallint[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[])
             as t (message_id, number, media_type, filename, size, ref, path)
        on conflict (message_id, number) do nothing returning id
        """,
        source,
        [message_id for message_id, _, _ in files],
        [number for _, number, _ in files],
        [storable(file.media_type, 200) for _, _, file in files],
        [storable(file.filename, 500) for _, _, file in files],
        [file.size for _, _, file in files],
        [storable(file.ref, 4_000) for _, _, file in files],
        [file.path for _, _, file in files],
    )
    return [row["id"] for row in rows]


async def attach_more(c: Connection, source: str, message_id: int, files: Sequence[Attachment]) -> list[int]:
    """Note files that an edit brought, behind those the message had."""
    first = await c.fetchval("select coalesce(max(number) + 1, 0) from attachments where message_id = $1", message_id)
    return await attach(c, source, [(message_id, first + number, file) for number, file in enumerate(files)])


_SAVE = """
update conversations c set state = t.state, priority = t.priority, tags = t.tags::text[], team = t.team, agent = t.agent,
    language = t.language, address_id = t.address_id, channel = t.channel, last_position = t.last_position,
    waiting_since = t.waiting_since, last_in_at = t.last_in_at, last_out_at = t.last_out_at, resolved_at = t.resolved_at,
    wish = t.wish
from unnest($1::bigint[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
            $9::text[], $10::bigint[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[],
            $15::text[])
     as t (id, state, priority, tags, team, agent, language, address_id, channel, last_position, waiting_since,
           last_in_at, last_out_at, resolved_at, wish)
where c.id = t.id
"""


# What an arrival changes of a conversation when nobody decides anything: most do not, and each column costs.
_TOUCH = """
update conversations c set state = t.state, address_id = t.address_id, channel = t.channel, last_position = t.last_position,
    waiting_since = t.waiting_since, last_in_at = t.last_in_at, resolved_at = t.resolved_at
from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::timestamptz[], $7::timestamptz[],
            $8::timestamptz[])
     as t (id, state, address_id, channel, last_position, waiting_since, last_in_at, resolved_at)
where c.id = t.id
"""

_RECORD = """
insert into changes (conversation_id, at, by, change, because)
select conversation_id, $1, by, change, because
from unnest($2::bigint[], $3::text[], $4::jsonb[], $5::text[]) as t (conversation_id, by, change, because)
"""


def _shifted(sql: str, by: int) -> str:
    """The same statement with its parameters counted from `by` + 1."""
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + by}", sql)


_FINISH_TOUCHED = f"""
with saved as ({_TOUCH}), due as ({_shifted(work.PUT, 8)})
select pg_notify($14, $15) where $15 <> ''
"""

# One statement instead of four: at 64 webhooks at once a group is about 30 messages, and each round trip costs what
# three messages do. The changes and the work come first because most groups have both.
_FINISH = f"""
with saved as ({_SAVE}), recorded as ({_shifted(_RECORD, 15)}), due as ({_shifted(work.PUT, 20)})
select pg_notify($26, $27) where $27 <> ''
"""


async def finish(
    c: Connection,
    conversations: Sequence[Conversation],
    changes: Sequence[Recorded],
    pieces: Iterable[Put],
    at: datetime,
) -> None:
    """Write what arrivals did to conversations the caller holds locked, what was decided, and the work that follows.

    Without `changes` only the columns that `inbox.changes.arrived` touches are written.
    """
    columns, doors = work.arrays(pieces)
    if not changes and conversations:
        await c.execute(_FINISH_TOUCHED, *_touched(conversations), *columns, work.NOTIFY, doors)
    elif changes or columns[0]:
        await c.execute(_FINISH, *_saved(conversations), *_recorded(changes, at), *columns, work.NOTIFY, doors)


async def save(c: Connection, conversations: Sequence[Conversation]) -> None:
    """Write conversations that the caller holds locked."""
    if conversations:
        await c.execute(_SAVE, *_saved(conversations))


def _array(words: Iterable[str]) -> str:
    """Words as PostgreSQL writes an array: one array a row cannot be sent as an array of arrays."""
    quoted = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return "{" + ",".join(f'"{word}"' for word in quoted) + "}"


async def record(c: Connection, changes: Sequence[Recorded], at: datetime) -> None:
    """Keep who changed what, and why."""
    if changes:
        await c.execute(_RECORD, *_recorded(changes, at))


def _saved(conversations: Sequence[Conversation]) -> list[list[object]]:
    return [
        [x.id for x in conversations],
        [x.state.value for x in conversations],
        [x.priority for x in conversations],
        [_array(sorted(x.tags)) for x in conversations],
        [x.team for x in conversations],
        [x.agent for x in conversations],
        [x.language for x in conversations],
        [x.address_id for x in conversations],
        [x.channel for x in conversations],
        [x.last_position for x in conversations],
        [x.waiting_since for x in conversations],
        [x.last_in_at for x in conversations],
        [x.last_out_at for x in conversations],
        [x.resolved_at for x in conversations],
        [x.wish for x in conversations],
    ]


def _touched(conversations: Sequence[Conversation]) -> list[list[object]]:
    return [
        [x.id for x in conversations],
        [x.state.value for x in conversations],
        [x.address_id for x in conversations],
        [x.channel for x in conversations],
        [x.last_position for x in conversations],
        [x.waiting_since for x in conversations],
        [x.last_in_at for x in conversations],
        [x.resolved_at for x in conversations],
    ]


def _recorded(changes: Sequence[Recorded], at: datetime) -> list[object]:
    return [
        at,
        [x.conversation_id for x in changes],
        [x.by for x in changes],
        [as_json(x.change) for x in changes],
        [x.because for x in changes],
    ]


async def describe(c: Connection, known: Known, message: Received) -> None:
    """An address's newest name and best proof; a message from it ends its silence, but no opt-out that lasts."""
    name = storable(message.sender_name, 500) if message.proof >= known.proof else ""
    await c.execute(
        """
        update addresses set name = case when $2 = '' then name else $2 end, proof = greatest(proof, $3) where id = $1
        """,
        known.address_id,
        name,
        int(message.proof),
    )
    if known.silenced:
        await silences.wrote(c, known.address_id, message.channel, message.sent_at)
    if name:
        await c.execute("update customers set name = $2 where id = $1", known.conversation.customer_id, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """An address that a message of a customer's has proven to be theirs as well."""

    customer_id: int
    conversation_id: int
    address: Address
    proof: Proof


async def prove(c: Connection, proven: Sequence[Proven]) -> tuple[set[int], list[Proven]]:
    """Add proven addresses to their customers.

    Answers the conversations that have a new one, and those of the addresses that are another customer's already.
    """
    unique = {(one.customer_id, key(one.address)): one for one in proven}
    wanted = [unique[place] for place in sorted(unique, key=lambda place: (place[1], place[0]))]
    columns = (
        [one.customer_id for one in wanted],
        [one.address.kind for one in wanted],
        [one.address.value for one in wanted],
        [int(one.proof) for one in wanted],
    )
    known = await c.fetch(
        """
        select t.number, a.customer_id, a.proof >= t.proof as good
        from unnest($1::bigint[], $2::text[], $3::text[], $4::smallint[])
             with ordinality as t (customer_id, kind, value, proof, number)
        join addresses a on a.kind = t.kind and a.value = t.value
        """,
        *columns,
    )
    owners = {row["number"] - 1: row for row in known}
    new = [n for n, one in enumerate(wanted) if n not in owners or not owners[n]["good"]]
    if new:
        await c.execute(
            """
            insert into addresses (customer_id, kind, value, proof)
            select * from unnest($1::bigint[], $2::text[], $3::text[], $4::smallint[])
            on conflict (kind, value) do update set proof = excluded.proof
                where addresses.customer_id = excluded.customer_id and addresses.proof < excluded.proof
            """,
            *([column[n] for n in new] for column in columns),
        )
    others = [wanted[n] for n, row in owners.items() if row["customer_id"] != wanted[n].customer_id]
    return {wanted[n].conversation_id for n in new}, others


async def stored(c: Connection, names: Sequence[Name]) -> set[Name]:
    """Which of these messages we have."""
    rows = await c.fetch(
        """
        select m.channel, m.external_id from unnest($1::text[], $2::text[]) as t (channel, external_id)
        join messages m using (channel, external_id)
        """,
        [channel for channel, _ in names],
        [external_id for _, external_id in names],
    )
    return {(row["channel"], row["external_id"]) for row in rows}


async def quarantine(
    c: Connection, event: Unreadable, detail: str = "", headers: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Keep what could not be read or stored, whole; the same bytes again are counted, not kept twice."""
    await c.execute(
        """
        insert into quarantine (channel, reason, detail, body, headers) values ($1, $2, $3, $4, $5)
        on conflict (channel, reason, md5(body)) where replayed_at is null do update set times = quarantine.times + 1
        """,
        event.channel,
        event.reason,
        storable(detail, 2_000),
        event.raw,
        {storable(name, 200): storable(value, 2_000) for name, value in headers.items()},
    )


_LOAD = f"select {COLUMNS} from conversations c where c.id = $1"


async def load(c: Connection, conversation_id: int) -> Conversation:
    """A conversation by its id, locked until the transaction ends."""
    return conversation(await c.fetchrow(f"{_LOAD} for no key update of c", conversation_id))


async def look(c: Connection, conversation_id: int) -> Conversation:
    """A conversation as it stands, not locked: for who only wants to say what work it needs."""
    return conversation(await c.fetchrow(_LOAD, conversation_id))
