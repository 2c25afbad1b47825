"""What the desk is to be told, left in the transaction that makes it true. `inbox.store.slack` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from inbox.store.database import Connection


async def notify_desk(c: Connection, conversation_id: int | None, key: str, notice: Mapping[str, Any]) -> bool:
    """Leave word for the desk, once for each key: in the conversation's thread, or for all where there is none."""
    answer = await c.execute(
        "insert into notices (conversation_id, key, notice) values ($1, $2, $3) on conflict (key) do nothing",
        conversation_id,
        key,
        dict(notice),
    )
    return answer.endswith(" 1")


async def noticed(c: Connection, key: str) -> bool:
    """Whether this was left for the desk before."""
    return bool(await c.fetchval("select exists (select from notices where key = $1)", key))


async def forget_notice(c: Connection, key: str, *, before: datetime | None = None) -> bool:
    """Free the key of a notice, one left `before` then if that is given. True when people had been shown it."""
    shown = await c.fetchval(
        """
        delete from notices where key = $1 and ($2::timestamptz is null or created_at < $2)
        returning shown_at is not null
        """,
        key,
        before,
    )
    return bool(shown)
