"""Reads the channels that are asked rather than call: one puller a channel over all processes, by a lease.

Rule: letters and the cursor are one commit. Where a channel brings events instead, the cursor moves after they are
committed, so a crash between repeats events and never skips them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from channels.channel import Pull, Pulled
from channels.errors import ChannelError, Misconfigured, Retry
from inbox.intake import Away, Intake, Overloaded
from inbox.letters import Letters
from inbox.store import cursors, work
from inbox.store.database import Connection, Database
from inbox.store.work import Piece
from inbox.work import Failed, LeaseLost, Ran, Unavailable, Wait

Refused = Callable[[Connection, str, str], Awaitable[None]]  # connection, channel, why
Reads = Callable[[Connection, str], Awaitable[None]]  # connection, channel


class Puller:
    """Handler of the work kind `pull`; the key is a channel's name. Runs until stopped or until the lease is lost.

    `refused` is called whenever a channel will not have us, `reads` whenever it is read after a start or a failure.
    """

    def __init__(
        self,
        database: Database,
        intake: Intake,
        letters: Letters,
        channels: Mapping[str, Pull],
        *,
        refused: Refused,
        reads: Reads,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._intake = intake
        self._letters = letters
        self._refused = refused
        self._reads = reads
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
        reads = False
        while not self._stopping.is_set():
            try:
                pulled = await self._pulled(channel, cursor)
            except Misconfigured as error:
                async with self._database.transaction() as c:
                    await self._refused(c, piece.key, str(error))
                raise Failed(str(error)) from error
            if pulled is None:
                break
            try:
                await self._intake.receive(pulled.events)
            except (Away, Overloaded) as error:
                raise Unavailable("the database is away") from error
            kept = await self._letters.prepared(pulled.letters)
            async with self._database.transaction() as c:
                if not await work.holds(c, piece):
                    raise LeaseLost
                await self._letters.keep(c, kept)
                if pulled.cursor != cursor:
                    await cursors.move(c, piece.key, pulled.cursor)
                if not reads:  # the refusal may have been told to another process, so this is asked at every start
                    await self._reads(c, piece.key)
            reads = True
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
        except Misconfigured:
            raise
        except ChannelError as error:
            raise Failed(str(error)) from error
        finally:
            pulling.cancel()
            stopping.cancel()
