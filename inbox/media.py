"""Fetches files as work of its own: from the customer's channel towards Slack, or from Slack towards the customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from channels.channel import Fetches
from channels.errors import FILE_TOO_BIG, Refused, Retry
from inbox.changes import FollowUp, Priority, Put
from inbox.files import Files, TooLarge
from inbox.store import arrivals, deliveries, messages, work
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.work import Failed, Ran, Unavailable, Wait


def send_lane(channel: str) -> str:
    """The lane in which everything to one channel is sent."""
    return f"send:{channel}"


def line(channel: str, address_id: int, priority: Priority = Priority.NORMAL, due: datetime | None = None) -> Put:
    """The work of bringing a delivery line up to date."""
    return Put(kind="deliver", key=f"{channel}/{address_id}", lane=send_lane(channel), priority=priority, due=due)


class Media:
    """Handler of the work kind `media`; the key is an attachment's id."""

    def __init__(
        self,
        database: Database,
        files: Files,
        sources: Mapping[str, Fetches],
        *,
        follow_up: FollowUp,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._files = files
        self._sources = sources
        self._follow_up = follow_up
        self._now = now

    async def run(self, piece: Piece) -> Ran:
        async with self._database.connection() as c:
            file = await deliveries.file(c, int(piece.key))
        if file is None or file.state != "due":
            return Ran()
        source = self._sources.get(file.source)
        if source is None:
            raise Failed(f"the channel {file.source} is no longer configured")
        kept: tuple[str, int] | None = None
        why = ""
        try:
            kept = await self._files.keep(source.fetch(file.attachment), self._now())
        except TooLarge:
            why = FILE_TOO_BIG
        except Retry as error:
            if error.after:
                raise Wait(error.after, str(error)) from error
            if error.whole_channel:
                raise Unavailable(str(error)) from error
            raise Failed(str(error)) from error
        except Refused as error:
            why = error.provider_code if error.provider_code == FILE_TOO_BIG else str(error)
        except (OSError, TimeoutError) as error:
            raise Failed(f"the file could not be fetched ({type(error).__name__})") from error
        async with self._database.transaction() as c:
            if kept:
                await deliveries.keep_file(c, file.id, kept[0], kept[1], file.attachment.media_type)
            else:
                await deliveries.fail_file(c, file.id, why)
            direction, conversation_id = await messages.place(c, file.message_id)
            if direction == "out":
                await work.put(c, [line(*place) for place in await messages.lines(c, file.message_id)])
            else:
                conversation = await arrivals.look(c, conversation_id)
                await work.put(c, self._follow_up(conversation, lines=True))
                if not kept:
                    await work.put(c, [Put(kind="revise", key=await messages.name_of(c, file.message_id))])
        return Ran()


AGAIN_FOR_FILE = timedelta(seconds=30)  # a look at a line that waits for a file, should its wake-up be lost
