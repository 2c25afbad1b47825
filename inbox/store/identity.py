"""By what messages are known again: copies of one message, and the ids by which messages refer to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from channels.message import Address, Automated, Received
from inbox.store.arrivals import Key, Name
from inbox.store.database import Connection
from inbox.text import storable

NAME = 255  # code points of an id that is kept; longer ones are nobody's but a fool's


@dataclass(frozen=True, slots=True, kw_only=True)
class Referred:
    """The conversation a message refers to, and the address our message went to if it refers to one of ours."""

    conversation_id: int
    customer_id: int
    sent_to: Key | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose an address is, and whether anything was said in their own conversation."""

    customer_id: int
    spoke: bool


async def first_copies(c: Connection, messages: Sequence[Received | Automated]) -> set[Name]:
    """Which of these are no copy of a message that came another way. A message come the same way twice is no copy."""
    wanted = [(m.once, m.channel, m.external_id) for m in messages]
    rows = await c.fetch(
        """
        with made as (
            insert into copies (once, channel, external_id)
            select distinct on (once) once, channel, external_id
            from unnest($1::text[], $2::text[], $3::text[]) with ordinality as t (once, channel, external_id, number)
            order by once, number
            on conflict (once) do nothing returning once, channel, external_id
        )
        select channel, external_id from made
        union all
        select k.channel, k.external_id from copies k join unnest($1::text[]) as t (once) on k.once = t.once
        """,
        [once for once, _, _ in wanted],
        [channel for _, channel, _ in wanted],
        [external_id for _, _, external_id in wanted],
    )
    return {(row["channel"], row["external_id"]) for row in rows}


async def also_came(c: Connection, once: str, channel: str) -> tuple[int, Name] | None:
    """Note that a message came to another mailbox as well. Answers where it stands and its name when that is news."""
    row = await c.fetchrow(
        """
        update messages m set body = jsonb_set(m.body, '{also}', coalesce(m.body -> 'also', '[]') || to_jsonb($2::text))
        from copies k where k.once = $1 and m.channel = k.channel and m.external_id = k.external_id
          and m.channel <> $2 and not coalesce(m.body -> 'also', '[]') ? $2
        returning m.conversation_id, m.channel, m.external_id
        """,
        once,
        channel,
    )
    return (row["conversation_id"], (row["channel"], row["external_id"])) if row else None


async def referred(c: Connection, messages: Sequence[Received | Automated]) -> dict[Name, Referred]:
    """The conversations messages refer to, by the best of the ids each names."""
    wanted = [
        (number, rank, delivery, name)
        for number, message in enumerate(messages)
        for rank, (delivery, name) in enumerate(
            [
                *((id, None) for id in message.answers),
                *((None, name) for name in message.refers_to if len(name) <= NAME),
            ]
        )
    ]
    if not wanted:
        return {}
    rows = await c.fetch(
        """
        with wanted as (
            select * from unnest($1::int[], $2::int[], $3::uuid[], $4::text[]) as t (number, rank, delivery, name)
        ), found as (
            select w.number, w.rank, 0 as way, d.conversation_id, a.kind, a.value
            from wanted w join deliveries d on d.id = w.delivery join addresses a on a.id = d.address_id
            union all
            select w.number, w.rank, 1, n.conversation_id, null, null
            from wanted w join message_names n on n.name = w.name
            union all
            select w.number, w.rank, 0, d.conversation_id, a.kind, a.value
            from wanted w join unnest($5::text[]) as x (channel) on w.name is not null
            join deliveries d on d.channel = x.channel and d.external_id = w.name join addresses a on a.id = d.address_id
        )
        select distinct on (f.number) f.number, f.conversation_id, v.customer_id, f.kind, f.value
        from found f join conversations v on v.id = f.conversation_id order by f.number, f.way, f.rank, f.conversation_id
        """,
        [number for number, _, _, _ in wanted],
        [rank for _, rank, _, _ in wanted],
        [delivery for _, _, delivery, _ in wanted],
        [storable(name) if name is not None else None for _, _, _, name in wanted],
        sorted({message.channel for message in messages}),
    )
    found = {}
    for row in rows:
        message = messages[row["number"]]
        found[message.channel, message.external_id] = Referred(
            conversation_id=row["conversation_id"],
            customer_id=row["customer_id"],
            sent_to=(row["kind"], row["value"]) if row["kind"] else None,
        )
    return found


async def owners(c: Connection, addresses: Sequence[Address]) -> dict[Key, Owner]:
    """Whose these addresses are, for those that exist."""
    wanted = sorted({(address.kind, address.value) for address in addresses})
    rows = await c.fetch(
        """
        select a.kind, a.value, a.customer_id, v.last_position > 0 as spoke
        from unnest($1::text[], $2::text[]) as t (kind, value)
        join addresses a on a.kind = t.kind and a.value = t.value join conversations v on v.customer_id = a.customer_id
        """,
        [kind for kind, _ in wanted],
        [value for _, value in wanted],
    )
    return {(row["kind"], row["value"]): Owner(customer_id=row["customer_id"], spoke=row["spoke"]) for row in rows}


async def raise_proof(c: Connection, old: Address, message: Received) -> None:
    """An address has been proven: its row gets the proven name, unless that exists already."""
    await c.execute(
        """
        update addresses set kind = $3, proof = $4 where kind = $1 and value = $2
          and not exists (select from addresses where kind = $3 and value = $5)
        """,
        old.kind,
        old.value,
        message.sender.kind,
        int(message.proof),
        message.sender.value,
    )


async def name(c: Connection, names: Sequence[tuple[str, int, int]]) -> None:
    """Keep the ids (name, message, conversation) by which later messages may refer to these."""
    await c.execute(
        """
        insert into message_names (name, message_id, conversation_id)
        select * from unnest($1::text[], $2::bigint[], $3::bigint[]) on conflict do nothing
        """,
        [storable(name) for name, _, _ in names],
        [message_id for _, message_id, _ in names],
        [conversation_id for _, _, conversation_id in names],
    )
