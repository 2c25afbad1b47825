"""What came whole is kept first and read as work: a mail that cannot be read never stops the ones behind it.

Rule: letters and the cursor they were found by are one commit; reading follows, may be repeated for ever, and makes the
same events each time, which the intake stores once.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from channels.channel import Reads
from channels.errors import Retry
from channels.message import Attachment, Automated, Edited, Event, Letter, Received
from inbox import due, figures
from inbox.files import MOST, Files
from inbox.intake import Away, Intake, Overloaded
from inbox.store import letters as table
from inbox.store import work
from inbox.store.database import Connection, Database, away
from inbox.store.letters import Kept, Unread
from inbox.store.work import Piece
from inbox.work import LeaseLost, Ran, Unavailable, back_off

LARGE = 256 << 10  # bytes from which a letter's raw form lies in a file beside the database
AHEAD = 64  # letters that are being read, or have been and wait for those before them
HEAVY = 16 << 20  # bytes of letters in memory at a time
TRIES = 6  # of a letter whose reading fails for a reason of our own; then it lies aside, with the reason
AGAIN = timedelta(seconds=20)  # before the next try
PATIENCE = 2.0  # seconds that a letter may hold up one of another sender that is read
LOOK = 0.5  # seconds between two looks for new ones while one takes long
HEAD = 16 << 10  # bytes in which the sender's line is looked for

_FROM = re.compile(rb"^from:[^\n]*", re.IGNORECASE | re.MULTILINE)

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Ahead:
    """A letter whose reading has begun."""

    unread: Unread
    events: asyncio.Task[Sequence[Event] | None]
    read_at: float = math.inf  # by the monotonic clock

    def __post_init__(self) -> None:
        self.events.add_done_callback(self._note)

    def _note(self, events: asyncio.Task[Sequence[Event] | None]) -> None:
        self.read_at = time.monotonic()

    @property
    def sender(self) -> bytes:
        """Who seems to have written it, without reading it; good enough to keep one sender's letters in order."""
        found = _FROM.search((self.unread.raw or b"")[:HEAD])
        return found[0].lower() if found else b"%d" % self.unread.id


class Letters:
    """Keeps letters, and is the handler of the work kind `read`, whose key is a channel's name."""

    def __init__(
        self,
        database: Database,
        files: Files,
        intake: Intake,
        channels: Mapping[str, Reads],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._files = files
        self._intake = intake
        self._channels = channels
        self._now = now

    async def receive(self, letters: Sequence[Letter]) -> None:
        """Keep letters and return once they are committed. Raises `Away`, and then may be repeated."""
        if not letters:
            return
        kept = await self.prepared(letters)
        try:
            async with self._database.transaction() as c:
                await self.keep(c, kept)
        except Exception as error:
            if away(error):
                raise Away from error
            raise

    async def prepared(self, letters: Sequence[Letter]) -> list[Kept]:
        """Put the bytes of large letters into files, before the transaction that names them."""
        kept = []
        for letter in letters:
            path = ""
            if len(letter.raw) > LARGE:
                path, _ = await self._files.keep(_once(letter.raw), self._now())
            kept.append(Kept(letter=letter, path=path))
        return kept

    async def keep(self, c: Connection, kept: Sequence[Kept]) -> None:
        """Store prepared letters in the caller's transaction, and make their reading due."""
        if kept and await table.keep(c, kept):
            await work.put(c, [due.reading(name) for name in {x.letter.channel for x in kept}])

    async def run(self, piece: Piece) -> Ran:
        """Read what is unread, in its order. One that takes long holds up its own sender's others and nobody else's."""
        channel = self._channels.get(piece.key)
        if channel is None:
            return Ran()
        ahead: list[_Ahead] = []
        try:
            while True:
                await self._look_ahead(channel, piece.key, ahead)
                if not ahead:
                    break
                began = self._now()
                if not (done := await _some(ahead)):
                    continue
                figures.READ_SECONDS.observe((self._now() - began).total_seconds() / len(done))
                await self._store(piece, done)
                ahead = [one for one in ahead if one not in done]
        finally:
            for one in ahead:
                one.events.cancel()
            await asyncio.gather(*(one.events for one in ahead), return_exceptions=True)
        async with self._database.connection() as c:
            later = await table.next_due(c, piece.key)
        return Ran(again=later)

    async def _look_ahead(self, channel: Reads, name: str, ahead: list[_Ahead]) -> None:
        """Begin to read more when half of what was begun is stored, so that the readers never wait for a commit."""
        weight = sum(one.unread.size for one in ahead)
        if len(ahead) > AHEAD // 2 or weight > HEAVY:
            return
        async with self._database.connection() as c:
            found = await table.unread(c, name, AHEAD - len(ahead), but=[one.unread.id for one in ahead])
        for unread in found:
            weight += unread.size
            if ahead and weight > HEAVY:
                break
            ahead.append(_Ahead(unread, asyncio.create_task(self._read(channel, unread))))

    async def _store(self, piece: Piece, done: Sequence[_Ahead]) -> None:
        read = [(one.unread, one.events.result()) for one in done]
        try:
            for part in in_order(event for _, events in read for event in events or ()):
                await self._intake.receive(part, line=piece.key)
        except (Away, Overloaded) as error:
            raise Unavailable("the database is away") from error
        outcomes = [(unread.id, _outcome(found)) for unread, found in read if found is not None]
        async with self._database.transaction() as c:
            if not await work.holds(c, piece):
                raise LeaseLost
            await table.read(c, outcomes)

    async def _read(self, channel: Reads, unread: Unread) -> Sequence[Event] | None:
        """The events of one letter; None when it has to be tried again."""
        try:
            raw = unread.raw if unread.raw is not None else await self._files.read(unread.path)
            events = await channel.read(
                Letter(
                    channel=unread.channel,
                    external_id=unread.external_id,
                    digest=unread.digest,
                    at=unread.at,
                    raw=raw,
                    facts=unread.facts,
                )
            )
            return [await self._with_files(event) for event in events]
        except Retry as error:
            await self._later(unread, error.after or AGAIN, str(error))
        except Exception as error:
            log.exception("letters.not_read", channel=unread.channel, letter=unread.id)
            if unread.attempts + 1 >= TRIES and not away(error):
                async with self._database.connection() as c:
                    await table.set_aside(c, unread.channel, unread.external_id, f"failed: {type(error).__name__}")
                return ()
            await self._later(unread, back_off(unread.attempts + 1), type(error).__name__)
        return None

    async def _later(self, unread: Unread, after: timedelta, why: str) -> None:
        async with self._database.connection() as c:
            await table.later(c, unread.id, self._now() + after, why)

    async def _with_files(self, event: Event) -> Event:
        """Put the files a letter brought into the store, so that the row of each says where it lies."""
        match event:
            case Received(attachments=files) if files:
                return replace(event, attachments=tuple([await self._kept(file) for file in files]))
            case Edited(message=message) if message.attachments:
                files = tuple([await self._kept(file) for file in message.attachments])
                return replace(event, message=replace(message, attachments=files))
            case _:
                return event

    async def _kept(self, file: Attachment) -> Attachment:
        if file.data is None:
            return file
        path, size = await self._files.keep(_once(file.data), self._now(), MOST)
        return replace(file, data=None, path=path, size=size)


def in_order(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Part a batch where one event has to be stored before the next is looked at.

    Whose conversation a message belongs to is told by what is stored, so what it refers to has to be. And the intake
    stores messages before all else, while a vacation note stands behind what was written before it.
    """
    part: list[Event] = []
    names: set[str] = set()
    for event in events:
        alone = isinstance(event, Automated) and bool(event.answers or event.refers_to)
        refers = not names.isdisjoint(event.refers_to) if isinstance(event, Received) else False
        if part and (alone or refers):
            yield part
            part, names = [], set()
        part.append(event)
        if alone:
            yield part
            part = []
        elif isinstance(event, Received):
            names.update(event.names)
    if part:
        yield part


async def _some(ahead: Sequence[_Ahead]) -> list[_Ahead]:
    """Wait a moment for letters that may be stored now: all that are read up to the first that is not.

    Should that one take long, also those behind it that are of other senders and have waited for it. Only who has
    waited passes: a reader that starts slowly, or a long queue, is no reason to tear apart what refers to each other.
    """
    head = ahead[0]
    if not head.events.done():
        waiting = [one.read_at for one in ahead if one.events.done()]
        left = min(min(waiting) + PATIENCE - time.monotonic(), PATIENCE) if waiting else LOOK
        running = [one.events for one in ahead if not one.events.done()]
        wanted = running if not waiting or left <= 0 else [head.events]
        await asyncio.wait(wanted, timeout=left if left > 0 else LOOK, return_when=asyncio.FIRST_COMPLETED)
    ready: list[_Ahead] = []
    held: set[bytes] = set()
    passing = False
    for one in ahead:
        if one.events.done() and (not passing or _may_pass(one, held)):
            ready.append(one)
            continue
        passing = True
        held.add(one.sender)
    return ready


def _may_pass(one: _Ahead, held: set[bytes]) -> bool:
    return one.sender not in held and one.read_at + PATIENCE <= time.monotonic()


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _outcome(events: Sequence[Event]) -> str:
    """What a letter became, as its row says it."""
    return type(events[0]).__name__.lower() if events else "nothing"
