"""Stored messages, for everything but the hot path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels.message import Attachment, Span
from inbox.store.database import Connection
from inbox.text import storable

Source = tuple[str, str]  # the channel and external id a message was written in


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What an act on a message needs to know of it."""

    id: int
    conversation_id: int
    direction: str
    text: str


async def by_source(c: Connection, source: Source) -> Stored | None:
    """The message written there, locked, and its conversation before it, as everybody locks."""
    await c.execute(
        """
        select from conversations where id in (
            select conversation_id from messages where channel = $1 and external_id = $2) for no key update
        """,
        *source,
    )
    row = await c.fetchrow(
        """
        select id, conversation_id, direction, text from messages where channel = $1 and external_id = $2 for no key update
        """,
        *source,
    )
    return Stored(**dict(row)) if row else None


async def place(c: Connection, message_id: int) -> tuple[str, int]:
    """A message's direction and conversation."""
    row = await c.fetchrow("select direction, conversation_id from messages where id = $1", message_id)
    return row["direction"], row["conversation_id"]


async def name_of(c: Connection, message_id: int) -> Source:
    """The channel and external id of a message."""
    row = await c.fetchrow("select channel, external_id from messages where id = $1", message_id)
    return row["channel"], row["external_id"]


async def lines(c: Connection, message_id: int) -> list[tuple[str, int]]:
    """The delivery lines (channel, address) a reply goes out on."""
    rows = await c.fetch("select distinct channel, address_id from deliveries where message_id = $1", message_id)
    return [(row["channel"], row["address_id"]) for row in rows]


async def rewrite(c: Connection, message_id: int, text: str, spans: tuple[Span, ...], at: datetime) -> None:
    """Put new words in place and keep the first ones."""
    await c.execute(
        """
        update messages set text = $2, body = body || $3, edited_at = $4,
            received = coalesce(received, jsonb_build_object('text', text, 'body', body))
        where id = $1
        """,
        message_id,
        storable(text),
        {"spans": spans_json(spans)},
        at,
    )


async def withdraw(c: Connection, message_id: int, at: datetime) -> None:
    await c.execute("update messages set withdrawn_at = coalesce(withdrawn_at, $2) where id = $1", message_id, at)


async def make_note(c: Connection, message_id: int) -> None:
    """A reply that never left becomes an internal note."""
    await c.execute("update messages set direction = 'note' where id = $1", message_id)


async def make_reply(c: Connection, message_id: int, address_id: int) -> None:
    """A note is for the customer after all."""
    await c.execute(
        "update messages set direction = 'out', address_id = $2, withdrawn_at = null where id = $1",
        message_id,
        address_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a stored message carries beyond its words."""

    author_name: str
    text: str
    spans: Sequence[Mapping[str, Any]]
    files: tuple[tuple[int, Attachment], ...]


async def draft_of(c: Connection, message_id: int) -> Written:
    said = await c.fetchrow("select author_name, text, body from messages where id = $1", message_id)
    rows = await c.fetch(
        "select id, media_type, filename, size, ref from attachments where message_id = $1 order by number", message_id
    )
    files = tuple(
        (
            row["id"],
            Attachment(media_type=row["media_type"], filename=row["filename"], size=row["size"], ref=row["ref"]),
        )
        for row in rows
    )
    return Written(author_name=said["author_name"], text=said["text"], spans=said["body"].get("spans", ()), files=files)


async def unanswered_since(c: Connection, conversation_id: int) -> datetime | None:
    """When the customer wrote the first message that nothing sent since has answered."""
    found = await c.fetchval(
        """
        select min(sent_at) from messages where conversation_id = $1 and direction = 'in' and not automatic
        and position > coalesce((select max(position) from messages
                                 where conversation_id = $1 and direction = 'out' and withdrawn_at is null
                                   and not body ? 'holding'), 0)
        """,
        conversation_id,
    )
    return found if isinstance(found, datetime) else None


async def answered_by(c: Connection, agent: str, at: datetime) -> None:
    """Remember that this agent has answered a customer, or has said that they mean to: they are not asked again."""
    await c.execute("update agents set answered_at = coalesce(answered_at, $2) where slack_user = $1", agent, at)


async def record_act(c: Connection, conversation_id: int, by: str, act: Mapping[str, Any], at: datetime) -> None:
    """Keep an act that changes no conversation column, such as the settling of a doubt."""
    await c.execute(
        "insert into changes (conversation_id, at, by, change) values ($1, $2, $3, $4)",
        conversation_id,
        at,
        by,
        dict(act),
    )


def spans_json(spans: tuple[Span, ...]) -> list[dict[str, Any]]:
    """Spans in their stored form."""
    return [
        {"kind": x.kind.value, "start": x.start, "end": x.end, **({"url": storable(x.url)} if x.url else {})}
        for x in spans
    ]
