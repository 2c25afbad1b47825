"""Making posts that are neither lost nor doubled: begun in the database first, known again by their metadata.

Rule: a post whose answer was lost is looked for, never repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog

from desk.blocks import Post
from desk.slack import Gone, NotAllowed, Rejected, Slack, Unknown
from inbox import due
from inbox.store import slack as table
from inbox.store import work
from inbox.store.database import Connection, Database
from inbox.store.slack import Begun, Thread
from inbox.store.work import Piece
from inbox.work import LeaseLost, Ran, Wait

SETTLING = timedelta(seconds=1)  # before looking for a post that may have been made; it counts against the rate too

log = structlog.get_logger()


class Posting:
    """Posts into the Slack threads of conversations."""

    def __init__(self, database: Database, slack: Slack, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._slack = slack
        self._now = now

    async def once(
        self,
        piece: Piece,
        thread: Thread,
        kind: str,
        key: str,
        post: Post,
        *,
        first: int | None = None,
        last: int | None = None,
    ) -> None:
        """Make a post in a thread: of bare words when Slack rejects its blocks. `first` to `last` are what it shows."""
        id = uuid4()
        async with self._database.transaction() as c:
            await fence(c, piece)
            await table.begin_post(c, id, thread.conversation_id, thread.slack_channel, kind, key, first, last)
        try:
            ts = await self.begun(thread.slack_channel, post, id, thread.ts)
        except Rejected as error:
            if not post.blocks:
                raise
            log.error("slack.post_rejected", conversation=thread.conversation_id, error=str(error))
            await self.once(piece, thread, kind, key, replace(post, blocks=[]), first=first, last=last)
            return
        async with self._database.transaction() as c:
            await table.post_sent(c, id, ts)

    async def begun(self, slack_channel: str, post: Post, id: UUID, thread_ts: str | None) -> str:
        """Make a post that the database holds as begun, and return its `ts`; one surely not made is forgotten there."""
        try:
            return await self._slack.post(slack_channel, post, id=str(id), thread_ts=thread_ts)
        except (Wait, NotAllowed, Rejected, Gone):
            async with self._database.transaction() as c:
                await table.forget_post(c, id)
            raise
        except Unknown as error:
            raise Wait(SETTLING, str(error), whole_lane=True) from error

    async def look(self, piece: Piece, thread: Thread, begun: Begun) -> Ran:
        """A post was begun and its end not seen: find it, or forget it so that it is made again."""
        found = await self._slack.find(thread.slack_channel, str(begun.id), begun.created_at, thread_ts=thread.ts)
        async with self._database.transaction() as c:
            await fence(c, piece)
            if found is not None:
                await table.post_sent(c, begun.id, found)
            else:
                await table.forget_post(c, begun.id)
        if found is not None:  # after the commit: whoever changed them before it found no post to change
            async with self._database.transaction() as c:
                await work.put(c, [due.revise(*name) for name in await table.changed_in_post(c, begun.id)])
        return Ran(again=self._now())


async def fence(c: Connection, piece: Piece) -> None:
    """Raise `LeaseLost` when somebody else has taken over this piece of work."""
    if not await work.holds(c, piece):
        raise LeaseLost
