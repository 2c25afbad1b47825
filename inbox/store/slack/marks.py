"""The marks on agents' messages: how far the deliveries got, and what Slack shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from channels.message import Status
from inbox.store.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A reply or note as it stands in Slack, how far its deliveries got, and the marks it carries.

    A file that never left says nothing of the words it was written with, which have a mark of their own to earn.
    """

    conversation_id: int
    slack_channel: str
    ts: str
    direction: str
    withdrawn: bool
    statuses: tuple[Status, ...]
    undone: bool
    marks: tuple[str, ...]
    due_at: datetime | None


async def marked(c: Connection, message_id: int) -> Marked | None:
    """None for what stands in no Slack thread: it is a customer's, or we have not posted it there yet."""
    row = await c.fetchrow(
        """
        select m.conversation_id, m.channel, m.external_id, p.slack_channel, p.ts, m.direction, m.withdrawn_at, m.marks,
            coalesce(array_agg(d.status order by d.part) filter (where d.code <> 'sent_elsewhere'), '{}') as statuses,
            coalesce(array_agg(d.status order by d.part) filter (where d.code <> 'sent_elsewhere' and not (
                d.status = 9 and d.code in ('file_refused', 'file_too_big', 'file_lost')
                and coalesce(d.body ->> 'text', '') = '')), '{}') as carried,
            coalesce(bool_or(d.code = 'undone'), false) as undone, min(d.due_at) as due_at
        from messages m left join deliveries d on d.message_id = m.id
        left join lateral (
            select s.slack_channel, s.ts from slack_posts s
            where m.channel <> 'slack' and s.conversation_id = m.conversation_id and s.kind = 'lines'
              and s.first_position <= m.position and s.last_position >= m.position and s.ts is not null
            order by s.created_at desc limit 1
        ) as p on true
        where m.id = $1 and m.direction in ('out', 'note') group by m.id, p.slack_channel, p.ts
        """,
        message_id,
    )
    if row is None:
        return None
    # An agent's own words stand where they were written; what we said for somebody is a post of ours.
    typed = row["external_id"].partition(":") if row["channel"] == "slack" else None
    slack_channel, ts = (typed[0], typed[2]) if typed else (row["slack_channel"], row["ts"])
    if not slack_channel or not ts:
        return None
    return Marked(
        conversation_id=row["conversation_id"],
        slack_channel=slack_channel,
        ts=ts,
        direction=row["direction"],
        withdrawn=row["withdrawn_at"] is not None,
        statuses=tuple(Status(status) for status in row["carried"] or row["statuses"]),
        undone=row["undone"],
        marks=tuple(row["marks"]),
        due_at=row["due_at"],
    )


async def marks_shown(c: Connection, message_id: int, marks: Sequence[str]) -> None:
    await c.execute("update messages set marks = $2 where id = $1", message_id, list(marks))
