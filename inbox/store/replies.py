"""Replies as agents treat them: a message and its parts, stored, taken back, changed, sent again or another way.

Rule: whoever judges the parts of a reply together locks them all first, in their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from channels.message import Status
from inbox.store.database import Connection
from inbox.store.deliveries import Delivery, Target, of_message
from inbox.text import storable

ELSEWHERE = "sent_elsewhere"  # the code of a part that failed and whose words went out another way


async def insert_message(
    c: Connection,
    *,
    conversation_id: int,
    position: int,
    direction: str,
    channel: str,
    external_id: str | None,
    address_id: int | None,
    author: str,
    author_name: str,
    text: str,
    body: Mapping[str, Any],
    at: datetime,
) -> int | None:
    """A reply or note. None when this very message (channel, external id) is stored already."""
    found = await c.fetchval(
        """
        insert into messages (conversation_id, position, direction, channel, external_id, address_id, author, author_name,
                              text, body, sent_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (channel, external_id) do nothing returning id
        """,
        conversation_id,
        position,
        direction,
        channel,
        external_id,
        address_id,
        author,
        author_name,
        storable(text),
        dict(body),
        at,
    )
    return int(found) if found else None


async def insert_delivery(
    c: Connection,
    *,
    id: UUID,
    message_id: int,
    conversation_id: int,
    target: Target,
    part: int,
    body: Mapping[str, Any],
    attachment_id: int | None,
    due_at: datetime,
    refused: str = "",
) -> None:
    await c.execute(
        """
        insert into deliveries (id, message_id, conversation_id, address_id, channel, part, body, attachment_id, due_at,
                                status, code, settled_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, case when $11 <> '' then now() end)
        """,
        id,
        message_id,
        conversation_id,
        target.address_id,
        target.channel,
        part,
        dict(body),
        attachment_id,
        due_at,
        int(Status.FAILED if refused else Status.QUEUED),
        refused,
    )


async def reply_of(c: Connection, delivery: UUID) -> tuple[int, int] | None:
    """The conversation and the message that a delivery is a part of. Nothing is locked."""
    row = await c.fetchrow("select conversation_id, message_id from deliveries where id = $1", delivery)
    return (row["conversation_id"], row["message_id"]) if row else None


async def send_again(c: Connection, message_id: int) -> list[Delivery]:
    """Queue the failed parts of a reply once more, in their order. Answers them; none when there are none.

    A file that the channel refused is left out: it would be refused again. By what id the provider knew the try that
    failed is kept, because receipts of it may come again.
    """
    failed = await failed_parts(c, message_id)
    rows = await c.fetch(
        """
        update deliveries set status = 0, code = '', detail = '', sending_at = null, sent_at = null, settled_at = null,
            body = case when external_id is null then body else jsonb_set(
                body, '{former}', coalesce(body -> 'former', '[]') || to_jsonb(external_id)) end,
            external_id = null, attempts = attempts + 1, due_at = least(due_at, now())
        where id = any($1::uuid[]) and code not in ('file_refused', 'file_too_big', 'file_lost') returning id
        """,
        [part.id for part in failed],
    )
    queued = {row["id"] for row in rows}
    return [part for part in failed if part.id in queued]


async def failed_parts(c: Connection, message_id: int) -> list[Delivery]:
    """The parts of a reply that failed and were neither taken back nor sent another way, locked."""
    parts = await of_message(c, message_id)
    rows = await c.fetch(
        "select id from deliveries where message_id = $1 and status = 9 and code not in ('undone', $2)",
        message_id,
        ELSEWHERE,
    )
    failed = {row["id"] for row in rows}
    return [part for part in parts if part.id in failed]


async def sent_elsewhere(c: Connection, parts: Sequence[Delivery]) -> None:
    """The words of failed parts go out another way: they no longer count as failed."""
    await c.execute(
        "update deliveries set code = $2 where id = any($1::uuid[])", [part.id for part in parts], ELSEWHERE
    )


async def next_part(c: Connection, message_id: int) -> int:
    """The number for a further part of a reply."""
    return int(await c.fetchval("select coalesce(max(part) + 1, 0) from deliveries where message_id = $1", message_id))


async def cancel(c: Connection, message_id: int) -> bool:
    """Take back a reply of which nothing has left yet. False when it is too late."""
    # Locked first, in a statement of their own: a part that is just leaving must be seen by the one that judges them all.
    await of_message(c, message_id)
    answer = await c.execute(
        """
        update deliveries set status = 9, code = 'undone', settled_at = now()
        where message_id = $1 and status = 0 and sending_at is null
          and not exists (select from deliveries d where d.message_id = $1 and (d.status <> 0 or d.sending_at is not null)
                          and d.code not in ('file_refused', 'file_too_big', $2))
        """,
        message_id,
        ELSEWHERE,
    )
    return not answer.endswith(" 0")


async def is_undone(c: Connection, message_id: int) -> bool:
    """Whether a reply was taken back before anything of it had left."""
    return bool(
        await c.fetchval(
            """
            select bool_and(code in ('undone', 'file_refused', 'file_too_big', $2)) and bool_or(code = 'undone')
            from deliveries where message_id = $1
            """,
            message_id,
            ELSEWHERE,
        )
    )


async def cancel_rest(c: Connection, message_id: int) -> None:
    """Take back those parts of a reply that have not begun to leave, whatever became of the others."""
    await of_message(c, message_id)
    await c.execute(
        """
        update deliveries set status = 9, code = 'undone', settled_at = now()
        where message_id = $1 and status = 0 and sending_at is null
        """,
        message_id,
    )


async def discard(c: Connection, message_id: int) -> None:
    """Drop the unsent parts of a reply so that it can be planned anew."""
    await c.execute(
        "delete from deliveries where message_id = $1 and sending_at is null and status in (0, 9)", message_id
    )


async def revise(c: Connection, id: UUID, revision: str, body: Mapping[str, Any] | None = None) -> None:
    """Ask for a sent message to be changed ("edit") or taken back ("withdraw") at the customer's."""
    await c.execute(
        "update deliveries set revision = $2, body = coalesce($3, body) where id = $1",
        id,
        revision,
        dict(body) if body is not None else None,
    )
