"""Which files are to stand in a Slack thread, and how far each of them got: customers', and those the shop sent past us."""

from __future__ import annotations

from dataclasses import dataclass

from inbox.store.database import Connection
from inbox.store.messages import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A file that is to stand in the thread. `slack_file` is "" until Slack has its bytes.

    `elsewhere`: not the customer's, but what the shop sent past us, and in which app.
    """

    id: int
    filename: str
    media_type: str
    path: str
    slack_file: str
    author_name: str
    channel: str
    external_id: str
    elsewhere: str


async def files_due(c: Connection, conversation_id: int, shown: int) -> tuple[list[KeptFile], bool]:
    """The kept files of the first shown message, or of its album, whose files are not in the thread yet.

    Also answers whether to wait for more: a part of it came less than twenty seconds ago and is still being fetched.
    """
    rows = await c.fetch(
        """
        with next as (
            select m.id, m.album from attachments a join messages m on m.id = a.message_id
            where m.conversation_id = $1 and m.position <= $2 and (m.direction = 'in' or m.body ? 'elsewhere') and a.state = 'kept'
              and a.shown_at is null order by m.position, a.number limit 1
        )
        select a.id, a.filename, a.media_type, a.path, a.slack_file, m.author_name, m.channel, m.external_id,
               coalesce(m.body ->> 'elsewhere', '') as elsewhere,
               a.state = 'due' and m.created_at > now() - interval '20 seconds' as coming, a.state = 'kept' as kept
        from next join messages m on m.id = next.id or (m.album <> '' and m.album = next.album and m.conversation_id = $1)
        join attachments a on a.message_id = m.id
        where m.position <= $2 and (m.direction = 'in' or m.body ? 'elsewhere') and a.state in ('kept', 'due') and a.shown_at is null
        order by m.position, a.number limit 10
        """,
        conversation_id,
        shown,
    )
    names = KeptFile.__dataclass_fields__
    kept = [KeptFile(**{name: row[name] for name in names}) for row in rows if row["kept"]]
    return kept, any(row["coming"] for row in rows)


async def files_failed(c: Connection, conversation_id: int, shown: int) -> list[Source]:
    """Mark as told the files that will not come, and name the shown messages that still promise them."""
    rows = await c.fetch(
        """
        update attachments a set shown_at = now() from messages m
        where m.id = a.message_id and m.conversation_id = $1 and m.position <= $2 and (m.direction = 'in' or m.body ? 'elsewhere')
          and a.state = 'failed' and a.shown_at is null
        returning m.channel, m.external_id
        """,
        conversation_id,
        shown,
    )
    return [(row["channel"], row["external_id"]) for row in rows]


async def file_begun(c: Connection, attachment_id: int, slack_file: str) -> bool:
    """Note which file at Slack it is. False when it must not be shown any more: its message was taken back meanwhile."""
    answer = await c.execute(
        "update attachments set slack_file = $2 where id = $1 and state = 'kept'", attachment_id, slack_file
    )
    return answer.endswith(" 1")


async def file_unshared(c: Connection, slack_file: str) -> None:
    """Slack has deleted this file."""
    await c.execute("update attachments set slack_file = '' where slack_file = $1 and state = 'failed'", slack_file)


async def file_shown(c: Connection, attachment_id: int) -> bool:
    """Slack shows it. False when it must not: its message was taken back while it was being shared."""
    state = await c.fetchval("update attachments set shown_at = now() where id = $1 returning state", attachment_id)
    return bool(state == "kept")


async def file_refused(c: Connection, attachment_id: int, why: str) -> None:
    await c.execute("update attachments set state = 'failed', why = $2 where id = $1", attachment_id, why)
