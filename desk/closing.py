"""Watches the time in which a customer may be answered freely: warns once before it ends, then has the card say so.

Rule: nothing is counted down. Each run works out anew when the window closes and names the next moment to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from channels.channel import Capabilities
from inbox.changes import Conversation, FollowUp, Put, State
from inbox.clock import later
from inbox.store import arrivals, deliveries, work
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.windows import MARGIN, closes_at
from inbox.work import Ran

CLOSING = "closing"  # a kind of work; the key is a conversation
WARNING = timedelta(hours=2)  # before it closes


class Closing:
    """Handler of the work kind `closing`, and the follow-up that makes it due. `now` is the shop's clock."""

    def __init__(
        self,
        database: Database,
        capabilities: Mapping[str, Capabilities],
        *,
        follow_up: FollowUp,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._capabilities = {name: can for name, can in capabilities.items() if can.reply_window is not None}
        self._follow_up = follow_up
        self._now = now

    def follow_up(self, conversation: Conversation, *, lines: bool) -> Iterable[Put]:
        """The desk's work, and a look at the window of a conversation whose channel has one."""
        found = [*self._follow_up(conversation, lines=lines)]
        can = self._capabilities.get(conversation.channel)
        closes = closes_at(can, conversation.last_in_at) if can is not None else None
        if closes is not None:
            warns = later(closes - WARNING, self._now())
            found.append(Put(kind=CLOSING, key=str(conversation.id), priority=conversation.priority, due=warns))
        return found

    async def run(self, piece: Piece) -> Ran:
        now = self._now()
        async with self._database.transaction() as c:
            conversation = await arrivals.look(c, int(piece.key))
            can = self._capabilities.get(conversation.channel)
            if can is None or conversation.address_id is None:
                return Ran()
            heard_at = await deliveries.heard_at(c, conversation.id, conversation.channel, conversation.address_id)
            closes = closes_at(can, heard_at)
            if closes is None:
                return Ran()
            if now < closes - WARNING:
                return Ran(again=later(closes - WARNING, now))
            if now >= closes - MARGIN:
                await work.put(c, self._follow_up(conversation, lines=False))
                return Ran()
            if conversation.waiting_since is not None and conversation.state is not State.RESOLVED:
                notice = {
                    "notice": "closing",
                    "channel": conversation.channel,
                    "closes": closes.isoformat(),
                    "agent": conversation.agent,
                }
                key = f"closing:{conversation.id}:{conversation.channel}:{closes.isoformat()}"
                if await deliveries.notify_desk(c, conversation.id, key, notice):
                    await work.put(c, self._follow_up(conversation, lines=True))
        return Ran(again=later(closes - MARGIN, now))
