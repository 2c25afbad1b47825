"""What Santral has to say in Slack, in the order in which it is due: each notice is shown once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inbox.store.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    id: int
    key: str
    notice: Mapping[str, Any]


async def notice_due(c: Connection, conversation_id: int) -> Notice | None:
    row = await c.fetchrow(
        "select id, key, notice from notices where conversation_id = $1 and shown_at is null order by id limit 1",
        conversation_id,
    )
    return Notice(**dict(row)) if row else None


async def notice_without_thread(c: Connection) -> Notice | None:
    """The first alarm that belongs to no conversation and was not shown."""
    row = await c.fetchrow(
        "select id, key, notice from notices where conversation_id is null and shown_at is null order by id limit 1"
    )
    return Notice(**dict(row)) if row else None


async def notice_shown(c: Connection, key: str) -> None:
    await c.execute("update notices set shown_at = now() where key = $1", key)


async def notice_due_again(c: Connection, key: str) -> None:
    await c.execute("update notices set shown_at = null where key = $1", key)
