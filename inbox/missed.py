"""Asks providers for what their webhooks did not bring: after a downtime, and now and then for what they gave up.

Rule: the cursor moves after its events are committed, so a crash between repeats events, which are known by their ids.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import structlog

from channels.channel import CatchesUp
from channels.errors import ChannelError, Misconfigured, Retry
from inbox.changes import Put
from inbox.intake import Away, Intake, Overloaded
from inbox.store import cursors
from inbox.store.database import Connection, Database
from inbox.store.work import Piece
from inbox.work import Failed, Ran, Unavailable, Wait

MISSED = "missed"
SELDOM = timedelta(minutes=15)  # where a channel does not say how often

log = structlog.get_logger()


def asking(channel: str) -> Put:
    """Ask a channel for what it missed, at once."""
    return Put(kind=MISSED, key=channel)


class Missed:
    """Handler of the work kind `missed`; the key is a channel's name."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        channels: Mapping[str, tuple[CatchesUp, timedelta | None]],
        *,
        refused: Callable[[Connection, str, str], Awaitable[None]],
        reads: Callable[[Connection, str], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        """`refused` is called when a channel will not have us, `reads` when it is read again."""
        self._database = database
        self._intake = intake
        self._channels = channels
        self._refused = refused
        self._reads = reads
        self._now = now

    async def run(self, piece: Piece) -> Ran:
        found = self._channels.get(piece.key)
        if found is None:
            return Ran()
        channel, every = found
        name = f"missed:{piece.key}"
        async with self._database.connection() as c:
            cursor = await cursors.read(c, name)
        try:
            pulled = await channel.missed(cursor)
        except Retry as error:
            if error.after is not None:
                raise Wait(error.after, str(error)) from error
            raise Unavailable(str(error)) from error
        except Misconfigured as error:
            async with self._database.transaction() as c:
                await self._refused(c, piece.key, str(error))
            raise Failed(str(error)) from error
        except ChannelError as error:
            raise Failed(str(error)) from error
        try:
            await self._intake.receive(pulled.events)
        except (Away, Overloaded) as error:
            raise Unavailable("the database is away") from error
        async with self._database.transaction() as c:
            await self._reads(c, piece.key)
            if pulled.cursor != cursor:
                await cursors.move(c, name, pulled.cursor)
        return Ran(again=self._now() + (every or SELDOM))
