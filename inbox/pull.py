"""Reads the channels that are asked rather than call: one puller a channel over all processes, by a lease.

Rule: the cursor moves after its events are committed, so a crash between repeats events and never skips them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from channels.channel import Pull, Pulled
from channels.errors import ChannelError, Retry
from inbox.intake import Away, Intake, Overloaded
from inbox.store import cursors, work
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.work import Failed, LeaseLost, Ran, Unavailable, Wait


class Puller:
    """Handler of the work kind `pull`; the key is a channel's name. Runs until stopped or until the lease is lost."""

    def __init__(
        self, database: Database, intake: Intake, channels: Mapping[str, Pull], *, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._intake = intake
        self._channels = channels
        self._now = now
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self, piece: Piece) -> Ran:
        channel = self._channels.get(piece.key)
        if channel is None:
            return Ran()
        async with self._database.connection() as c:
            cursor = await cursors.read(c, piece.key)
        while not self._stopping.is_set():
            pulled = await self._pulled(channel, cursor)
            if pulled is None:
                break
            try:
                await self._intake.receive(pulled.events)
            except (Away, Overloaded) as error:
                raise Unavailable("the database is away") from error
            async with self._database.transaction() as c:
                if not await work.holds(c, piece):
                    raise LeaseLost
                if pulled.cursor != cursor:
                    await cursors.move(c, piece.key, pulled.cursor)
            cursor = pulled.cursor
        return Ran(again=self._now())

    async def _pulled(self, channel: Pull, cursor: str) -> Pulled | None:
        """One pull, given up when we are told to stop: what it would have brought comes with the next one."""
        pulling = asyncio.create_task(channel.pull(cursor))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({pulling, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not pulling.done():
                return None
            return await pulling
        except Retry as error:
            if error.after is not None:
                raise Wait(error.after, str(error)) from error
            # Not a failed try: a puller runs for weeks, and each line that broke would make the next pause longer.
            raise Unavailable(str(error)) from error
        except ChannelError as error:
            raise Failed(str(error)) from error
        finally:
            pulling.cancel()
            stopping.cancel()
