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


async def notice_shown(c: Connection, key: str) -> int | None:
    """Slack has it. Answers the reply it is about, which may have got further meanwhile."""
    found = await c.fetchval(
        "update notices set shown_at = now() where key = $1 returning (notice ->> 'message')::bigint", key
    )
    return int(found) if found else None


async def notice_faced(c: Connection, key: str, face: str) -> None:
    """Remember how its post looks: what looks the same by now is not changed."""
    await c.execute(
        "update notices set notice = notice || jsonb_build_object('face', $2::text) where key = $1", key, face
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A notice as it stands in Slack. `face` is what `notice_faced` remembered."""

    notice: Notice
    conversation_id: int
    slack_channel: str
    ts: str
    face: str


async def notices_about(c: Connection, message_id: int) -> list[Posted]:
    """The posts that say something of a message."""
    rows = await c.fetch(
        """
        select n.id, n.key, n.notice, m.conversation_id, p.slack_channel, p.ts, coalesce(n.notice ->> 'face', '') as face
        from messages m
        join slack_posts p on p.conversation_id = m.conversation_id and p.kind = 'notice' and p.ts is not null
        join notices n on n.key = p.key and (n.notice ->> 'message')::bigint = m.id
        where m.id = $1 order by n.id
        """,
        message_id,
    )
    return [
        Posted(
            notice=Notice(id=row["id"], key=row["key"], notice=row["notice"]),
            conversation_id=row["conversation_id"],
            slack_channel=row["slack_channel"],
            ts=row["ts"],
            face=row["face"],
        )
        for row in rows
    ]


async def notice_due_again(c: Connection, key: str) -> None:
    await c.execute("update notices set shown_at = null where key = $1", key)
