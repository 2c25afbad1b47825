"""Finds the answers that agents wrote while nobody was listening: Slack repeats an event for minutes, not for hours.

Rule: what is found goes the way an event goes, under an id made of its place in Slack, so an event that comes after all
changes nothing. An answer found late is not sent before its author has said that it still should be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from desk.events import FOUND, Events
from desk.slack import Gone, Slack
from inbox.store import slack as table
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.work import Ran

EVERY = timedelta(minutes=10)
BACK = timedelta(days=7)  # Slack threads opened before that are left to the events

log = structlog.get_logger()


class Catchup:
    """Handler of the work kind `catchup`; the key is a team's Slack channel. Never done: it comes again by itself."""

    def __init__(self, database: Database, slack: Slack, events: Events, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._slack = slack
        self._events = events
        self._now = now

    async def run(self, piece: Piece) -> Ran:
        channel = piece.key
        async with self._database.connection() as c:
            seen = await table.last_seen(c, channel, self._now() - BACK)
        if seen:
            for root in await self._slack.threads(channel, min(seen)):
                ts = str(root.get("ts", ""))
                if ts in seen and str(root.get("latest_reply") or "") > seen[ts]:
                    await self._read(channel, ts, seen[ts])
        return Ran(again=self._now() + EVERY)

    async def _read(self, channel: str, thread_ts: str, after: str) -> None:
        try:
            replies = await self._slack.replies(channel, thread_ts, after)
        except Gone:
            return
        async with self._database.connection() as c:
            known = await table.known(c, channel, [str(reply.get("ts", "")) for reply in replies])
        for reply in replies:
            ts = str(reply.get("ts", ""))
            if ts == thread_ts or ts in known or reply.get("bot_id") or not reply.get("user"):
                continue
            log.info("slack.found", slack_channel=channel, ts=ts)
            await self._events.receive(_envelope(channel, thread_ts, ts, reply))


def _envelope(channel: str, thread_ts: str, ts: str, reply: Mapping[str, Any]) -> dict[str, Any]:
    """The event that should have told us of this message."""
    event = {**reply, "type": "message", "channel": channel, "thread_ts": thread_ts, "event_ts": ts}
    return {"type": "event_callback", "event_id": f"{FOUND}{channel}:{ts}", "event": event}
