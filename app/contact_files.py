"""What becomes of the files of a form after its message was stored, or perhaps was.

Rule: of a message that stands, only what it carries is kept; a second click brings the same files again. While nobody
knows whether it stands, because the database's answer was lost, its files stay, and are looked at later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app.contact_body import discard
from channels.message import Attachment
from inbox.files import Files
from inbox.store import chat
from inbox.store.database import Database, away

SETTLED = timedelta(minutes=1)  # by then a commit whose answer was lost has come to its end
PATIENCE = 3.0  # seconds a visitor may wait for a database that has just answered, and does not any more
DOUBTS = 200  # remembered at most; what is forgotten keeps its files

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A message that may stand, and the files that came with it."""

    channel: str
    external_id: str
    kept: Sequence[Attachment]
    since: datetime
    taken: bool = False  # without a row it was set aside for a person to read, and needs its files


class ContactFiles:
    """Decides over kept files. What is in doubt is this process's memory, and is looked at with the next message."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database = database
        self._files = files
        self._doubts: deque[Doubt] = deque(maxlen=DOUBTS)

    def doubt(self, channel: str, external_id: str, kept: Sequence[Attachment], at: datetime) -> None:
        """Nobody knows whether this message was stored."""
        if kept:
            self._doubts.append(Doubt(channel=channel, external_id=external_id, kept=kept, since=at))

    async def stored(self, channel: str, external_id: str, kept: Sequence[Attachment], at: datetime) -> None:
        """This message was taken, now or before: discard what it does not carry, and settle older doubts."""
        waiting = self._doubts.copy()
        if kept:
            waiting.appendleft(Doubt(channel=channel, external_id=external_id, kept=kept, since=at, taken=True))
        self._doubts.clear()
        try:
            while waiting:
                if not await self._settled(waiting[0], at):
                    self._doubts.append(waiting[0])
                waiting.popleft()
        except Exception as error:
            if not away(error):
                raise
            log.warning("contact.files_in_doubt", error=type(error).__name__, messages=len(waiting))
        finally:
            self._doubts.extend(waiting)

    async def _settled(self, one: Doubt, at: datetime) -> bool:
        """False while it is too early to say."""
        async with asyncio.timeout(PATIENCE), self._database.connection() as c:
            carried = await chat.carried(c, one.channel, one.external_id)
        if carried is None and not one.taken:
            if at - one.since < SETTLED:
                return False
            carried = frozenset()
        if carried is not None:
            await discard(self._files, [file for file in one.kept if file.path not in carried])
        return True
