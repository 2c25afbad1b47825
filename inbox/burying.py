"""Looks once more whether a message is there that was taken back: both may have been stored at the same moment."""

from __future__ import annotations

from inbox import due
from inbox.changes import FollowUp
from inbox.store import arrivals, withdrawals, work
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.work import Ran

BURY = "bury"


class Burying:
    """Handler of the work kind `bury`; the key is `channel:external id` of a message."""

    def __init__(self, database: Database, *, follow_up: FollowUp) -> None:
        self._database = database
        self._follow_up = follow_up

    async def run(self, piece: Piece) -> Ran:
        channel, _, external_id = piece.key.partition(":")
        async with self._database.transaction() as c:
            event = await withdrawals.tombstone(c, channel, external_id)
            taken = await withdrawals.withdraw(c, event) if event is not None else None
            if taken is not None:
                changed = [(channel, external_id), *taken.quoting]
                gone = [*map(due.forget, taken.paths), *map(due.unshare, taken.slack_files)]
                conversation = await arrivals.look(c, taken.conversation_id)
                shown = self._follow_up(conversation, lines=True)
                await work.put(c, [*(due.revise(*name) for name in changed), *gone, *shown])
        return Ran()
