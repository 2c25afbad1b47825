"""What agents corrected: the customer's last message of a matter, with the tags and priority it should have had.

Rule: one row a message, the latest word of an agent counts. These rows are what a learned model is trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from inbox.changes import Priority
from inbox.store.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """How a message is to be read. The first of `tags` is what it is mainly about; shops may have tags of their own."""

    message_id: int
    subject: str
    text: str
    language: str
    tags: tuple[str, ...]
    priority: Priority
    by: str
    at: datetime


async def keep(
    c: Connection,
    conversation_id: int,
    *,
    language: str,
    tags: Sequence[str],
    priority: Priority,
    by: str,
    at: datetime,
) -> bool:
    """Store a correction of the last thing the customer said. False where no customer has said anything."""
    found = await c.fetchval(
        """
        insert into corrections (message_id, language, tags, priority, by, at)
        select id, $2, $3, $4, $5, $6 from messages
        where conversation_id = $1 and direction = 'in' and (text <> '' or subject <> '')
        order by automatic, position desc limit 1
        on conflict (message_id) do update set language = $2, tags = $3, priority = $4, by = $5, at = $6
        returning true
        """,
        conversation_id,
        language,
        list(tags),
        int(priority),
        by,
        at,
    )
    return bool(found)


async def latest(c: Connection, limit: int = 20_000) -> list[Correction]:
    """The newest corrections, the oldest of them first, so that training with the same rows gives the same model."""
    rows = await c.fetch(
        """
        select k.message_id, m.subject, m.text, k.language, k.tags, k.priority, k.by, k.at
        from corrections k join messages m on m.id = k.message_id order by k.at desc, k.message_id desc limit $1
        """,
        limit,
    )
    return [
        Correction(**{**dict(row), "tags": tuple(row["tags"]), "priority": Priority(row["priority"])})
        for row in reversed(rows)
    ]
