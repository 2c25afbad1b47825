"""Letters: what came whole and is read later. A row stays for good; it is the original of the message made of it.

Rule: a letter is stored once for each channel, by the id of its arrival, and by its bytes and when it came: a server
that numbers its mails anew does not bring them anew. The constraints say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels.message import Letter
from inbox.store.database import Connection
from inbox.text import storable

ASIDE = "aside"  # the outcome of what nobody sees in Slack: machines that are about no conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A letter ready to be stored: small ones with their bytes, large ones with where they lie."""

    letter: Letter
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A stored letter. Its bytes are in `raw`, or in the file at `path`."""

    id: int
    channel: str
    external_id: str
    digest: bytes
    at: datetime
    facts: Mapping[str, Any]
    raw: bytes | None
    path: str
    size: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """A letter that became nothing an agent sees."""

    id: int
    channel: str
    at: datetime
    size: int
    why: str


async def keep(c: Connection, letters: Sequence[Kept]) -> int:
    """Store letters; those that are stored already are left alone. Answers how many are new."""
    answer = await c.execute(
        """
        insert into letters (channel, external_id, digest, at, facts, raw, path, size)
        select * from unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[], $5::jsonb[], $6::bytea[], $7::text[],
                             $8::bigint[])
        on conflict do nothing
        """,
        [kept.letter.channel for kept in letters],
        [storable(kept.letter.external_id, 1_000) for kept in letters],
        [kept.letter.digest for kept in letters],
        [kept.letter.at for kept in letters],
        [_plain(kept.letter.facts) for kept in letters],
        [None if kept.path else kept.letter.raw for kept in letters],
        [kept.path for kept in letters],
        [len(kept.letter.raw) for kept in letters],
    )
    return int(answer.rpartition(" ")[2])


async def unread(c: Connection, channel: str, most: int, *, but: Sequence[int] = ()) -> list[Unread]:
    """The next letters to read, in the order in which they came, apart from those that are being read."""
    rows = await c.fetch(
        """
        select id, channel, external_id, digest, at, facts, raw, path, size, attempts from letters
        where channel = $1 and read_at is null and due_at <= now() and id <> all($3::bigint[]) order by id limit $2
        """,
        channel,
        most,
        list(but),
    )
    return [Unread(**dict(row)) for row in rows]


async def next_due(c: Connection, channel: str) -> datetime | None:
    """When the next letter that could not be read is tried again."""
    found = await c.fetchval("select min(due_at) from letters where channel = $1 and read_at is null", channel)
    return found if isinstance(found, datetime) else None


async def letter(c: Connection, id: int) -> Unread | None:
    row = await c.fetchrow(
        "select id, channel, external_id, digest, at, facts, raw, path, size, attempts from letters where id = $1", id
    )
    return Unread(**dict(row)) if row else None


async def read(c: Connection, outcomes: Sequence[tuple[int, str]]) -> None:
    """Note what letters became. What the intake has set aside meanwhile stays aside."""
    await c.execute(
        """
        update letters l set read_at = now(), outcome = coalesce(nullif(l.outcome, ''), t.outcome)
        from unnest($1::bigint[], $2::text[]) as t (id, outcome) where l.id = t.id
        """,
        [id for id, _ in outcomes],
        [outcome for _, outcome in outcomes],
    )


async def later(c: Connection, id: int, due_at: datetime, why: str) -> None:
    """It could not be read now."""
    await c.execute(
        "update letters set attempts = attempts + 1, due_at = $2, why = $3 where id = $1",
        id,
        due_at,
        storable(why, 500),
    )


async def set_aside(c: Connection, channel: str, external_id: str, why: str) -> None:
    """It is about no conversation: kept and listed, shown to nobody unasked."""
    await c.execute(
        "update letters set outcome = $3, why = $4 where channel = $1 and external_id = $2",
        channel,
        external_id,
        ASIDE,
        storable(why, 500),
    )


async def aside(c: Connection, most: int = 200) -> list[Aside]:
    """The newest letters that lie aside."""
    rows = await c.fetch(
        "select id, channel, at, size, why from letters where outcome = $1 order by id desc limit $2", ASIDE, most
    )
    return [Aside(**dict(row)) for row in rows]


async def admit(c: Connection, id: int) -> str | None:
    """Have a letter that lies aside read again as if a person had written it. Answers its channel."""
    found = await c.fetchval(
        """
        update letters set read_at = null, outcome = '', why = '', due_at = now(), facts = facts || '{"person": true}'
        where id = $1 and outcome = $2 returning channel
        """,
        id,
        ASIDE,
    )
    return str(found) if found else None


def _plain(value: Any) -> Any:
    """A JSON value whose every text PostgreSQL takes."""
    match value:
        case str():
            return storable(value, 10_000)
        case Mapping():
            return {storable(str(name), 200): _plain(inner) for name, inner in value.items()}
        case list() | tuple() | frozenset() | set():
            return [_plain(inner) for inner in value]
        case _:
            return value
