"""A file that its source does not hand out: tried again for a while, then said to be lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from channels.errors import Retry
from channels.message import Address, Attachment, Received
from inbox.changes import Conversation, Decision, Priority, Put
from inbox.files import Files
from inbox.intake import Intake
from inbox.media import FETCH_TRIES, Media
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.work import Failed

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Stubborn:
    """A provider that has trouble with this very file."""

    async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        yield b"the beginning"
        raise Retry("The file is not handed out now.")


def follow_up(conversation: Conversation, *, lines: bool) -> Iterable[Put]:
    return [Put(kind="mirror" if lines else "card", key=str(conversation.id))]


def tried(attachment_id: int, attempts: int) -> Piece:
    return Piece(
        kind="media",
        key=str(attachment_id),
        lane="",
        priority=Priority.NORMAL,
        generation=1,
        attempts=attempts,
        lease=uuid4(),
        since=AT,
    )


async def test_a_file_that_never_comes_is_lost_at_last_and_the_desk_hears_of_it(
    database: Database, tmp_path: Path
) -> None:
    intake = Intake(database, decide=lambda facts: Decision(), follow_up=follow_up, now=lambda: AT)
    file = Attachment(media_type="image/jpeg", filename="kargo.jpg", ref="ref")
    sender = Address(kind="telegram", value="4711")
    await intake.receive([Received(channel="bot", external_id="1", sender=sender, sent_at=AT, attachments=(file,))])
    media = Media(database, Files.in_folder(tmp_path), {"bot": Stubborn()}, follow_up=follow_up, now=lambda: AT)
    async with database.connection() as c:
        found = await c.fetchval("select id from attachments")
        await c.execute("delete from work")

    with pytest.raises(Failed):
        await media.run(tried(found, FETCH_TRIES - 1))
    await media.run(tried(found, FETCH_TRIES))

    async with database.connection() as c:
        assert await c.fetchval("select state from attachments") == "failed"
        assert {row["kind"] for row in await c.fetch("select kind from work")} == {"mirror", "revise"}
