"""The files of messages, theirs and ours: fetched as work of their own, then kept or given up."""

from __future__ import annotations

from dataclasses import dataclass

from channels.message import Attachment
from inbox.store.database import Connection
from inbox.text import storable


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An attachment row."""

    id: int
    message_id: int
    source: str
    attachment: Attachment
    state: str
    path: str
    why: str


async def file(c: Connection, attachment_id: int) -> File | None:
    row = await c.fetchrow("select * from attachments where id = $1", attachment_id)
    if row is None:
        return None
    return File(
        id=row["id"],
        message_id=row["message_id"],
        source=row["source"],
        attachment=Attachment(media_type=row["media_type"], filename=row["filename"], size=row["size"], ref=row["ref"]),
        state=row["state"],
        path=row["path"],
        why=row["why"],
    )


async def files_due(c: Connection, message_id: int) -> list[int]:
    """The files of a message that are still to be fetched."""
    rows = await c.fetch("select id from attachments where message_id = $1 and state = 'due'", message_id)
    return [row["id"] for row in rows]


async def keep_file(c: Connection, attachment_id: int, path: str, size: int, media_type: str) -> bool:
    """Note where a file is kept. False when nobody waits for it any more: its message was unsent, or another kept it."""
    answer = await c.execute(
        """
        update attachments set state = 'kept', path = $2, size = $3, media_type = $4, why = ''
        where id = $1 and state = 'due'
        """,
        attachment_id,
        path,
        size,
        media_type,
    )
    return answer.endswith(" 1")


async def fail_file(c: Connection, attachment_id: int, why: str) -> bool:
    """Note why a file will never be here. False when nobody waits for it any more."""
    answer = await c.execute(
        "update attachments set state = 'failed', why = $2 where id = $1 and state = 'due'",
        attachment_id,
        storable(why, 500),
    )
    return answer.endswith(" 1")
