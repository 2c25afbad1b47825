"""Fetches files as work of its own: from the customer's channel towards Slack, or from Slack towards the customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from channels.channel import Fetches
from channels.errors import FILE_TOO_BIG, Refused, Retry
from inbox import due
from inbox.changes import FollowUp
from inbox.files import Files, TooLarge
from inbox.store import arrivals, attachments, messages, work
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.work import Failed, Ran, Unavailable, Wait

FILE_EMPTY = "file_empty"  # why a customer's file is not in the thread: there is nothing in it
FETCH_TRIES = 8  # then a file that its source still does not hand out counts as lost, and whoever waits for it is told


class Forgotten:
    """Handler of the work kind `forget`; the key is the path of a file that must not be kept any longer."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def run(self, piece: Piece) -> Ran:
        await self._files.forget(piece.key)
        return Ran()


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
            file = await attachments.file(c, int(piece.key))
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
            if piece.attempts < FETCH_TRIES:
                raise Failed(str(error)) from error
            why = str(error)
        except Refused as error:
            why = error.provider_code if error.provider_code == FILE_TOO_BIG else str(error)
        except OSError as error:  # of our own store: no reason to give the file up
            raise Failed(f"the file could not be kept ({type(error).__name__})") from error
        async with self._database.transaction() as c:
            if kept:
                waited_for = await attachments.keep_file(c, file.id, kept[0], kept[1], file.attachment.media_type)
            else:
                waited_for = await attachments.fail_file(c, file.id, why)
            if not waited_for:  # its sender took it back meanwhile
                await work.put(c, [due.forget(kept[0])] if kept else [])
                return Ran()
            direction, conversation_id = await messages.place(c, file.message_id)
            lines = await messages.lines(c, file.message_id) if direction == "out" else []
            if lines:
                await work.put(c, [due.line(*place) for place in lines])
            else:  # a customer's, or one the shop sent past us: neither goes out, both are shown
                conversation = await arrivals.look(c, conversation_id)
                await work.put(c, self._follow_up(conversation, lines=True))
                if not kept:
                    await work.put(c, [due.revise(*await messages.name_of(c, file.message_id))])
        return Ran()
