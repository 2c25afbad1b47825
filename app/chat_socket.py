"""The line between a browser and the web chat: what it says is committed before it is acknowledged, what it shows is
read from the tables at every hint.

Rule: a hint carries nothing. Whoever missed one, or comes back after an hour, reads the same tables and sees the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson
import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from app.chat_uploads import upload_purpose
from app.limits import Buckets, take_all
from channels.errors import Malformed
from channels.message import Address, Attachment, Event, Receipt, Received, Status
from channels.webchat import adapter as webchat
from channels.webchat import visitors
from channels.webchat.visitors import Visitor
from inbox import figures
from inbox.due import send_lane
from inbox.intake import Away, Intake, Overloaded
from inbox.store import chat, live, work
from inbox.store.chat import NEWEST, Place, Shown
from inbox.store.database import Database, away
from templates.values import shows

WINDOW = 50  # bubbles that are kept true while they are looked at; older ones are read when they are scrolled to
REMEMBERED = 2_000  # bubbles of which a session knows what it told
SLOW = 20.0  # seconds a browser may take to take a frame
HEARTBEAT = 25.0  # seconds between two pings: proxies close what is silent for 60
RELISTEN = 1.0  # seconds between two tries to get a lost database session back
LOOK = 15.0  # seconds between two looks whether it still stands
OWNERS = 10_000  # addresses whose owner is remembered
UNDONE = 4.0  # seconds between two looks whether an answer is still on its way
TICKET_LIFE = timedelta(hours=12)
FILE_LIFE = timedelta(days=1)  # of a link to a file, at least

FRAMES = (60, timedelta(milliseconds=200))  # of one socket
SAYS = (10, timedelta(seconds=2))  # messages of one visitor
SAYS_NEAR = (60, timedelta(milliseconds=500))  # of all who share an internet address: a school, a mobile network

log = structlog.get_logger()
Key = tuple[str, str, str]  # channel, and the kind and value of an address


class Hub:
    """The open chats of this process, and the one database session that hears for all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: dict[Key, set[Session]] = {}
        self._owners: dict[int, Address] = {}
        self._hints: asyncio.Queue[tuple[str, str]] = asyncio.Queue()  # a channel, and the id of an address or ""
        self.closing = False

    def __len__(self) -> int:
        return len({session for sessions in self._open.values() for session in sessions})

    def join(self, session: Session) -> None:
        for key in session.keys:
            self._open.setdefault(key, set()).add(session)

    def leave(self, session: Session) -> None:
        for key in session.keys:
            if sessions := self._open.get(key):
                sessions.discard(session)
                if not sessions:
                    del self._open[key]

    def wake(self, key: Key) -> None:
        for session in self._open.get(key, ()):
            session.changed.set()

    async def listen(self) -> None:
        """Hear of changes until cancelled. After every gap all open chats are looked at anew."""
        while True:
            try:
                await self._attend(await self._database.connect())
            except Exception as error:  # noqa: BLE001 - whatever the database throws, it may be back in a moment
                log.warning("chat.deaf", error=type(error).__name__)
            await asyncio.sleep(RELISTEN)

    async def close(self) -> None:
        """Send everybody away: their browsers come back to the next process by themselves."""
        self.closing = True
        sessions = {session for sessions in self._open.values() for session in sessions}
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.gather(*(session.go(WSCloseCode.SERVICE_RESTART) for session in sessions))

    async def _attend(self, session: asyncpg.Connection) -> None:
        try:
            await session.add_listener(live.NOTIFY, self._hear)
            await session.add_listener(work.NOTIFY, self._overhear)
            for key in list(self._open):
                self.wake(key)
            while not session.is_closed():
                try:
                    async with asyncio.timeout(LOOK):
                        hint = await self._hints.get()
                except TimeoutError:
                    await session.fetchval("select true", timeout=5)
                else:
                    await self._pass_on(*hint)
        finally:
            session.terminate()

    def _hear(self, _session: object, _pid: int, _channel: str, place: object) -> None:
        if self._open:
            channel, _, id = str(place).rpartition("/")
            self._hints.put_nowait((channel, id))

    def _overhear(self, _session: object, _pid: int, _channel: str, doors: object) -> None:
        """Somebody's answer was written and is about to leave: as much as can be known of an agent who types."""
        asked = set(str(doors).split(","))
        for channel in {channel for channel, _, _ in self._open}:
            if send_lane(channel) in asked:
                self._hints.put_nowait((channel, ""))

    async def _pass_on(self, channel: str, id: str) -> None:
        if not id:
            async with self._database.connection() as c:
                for queued in await chat.queued(c, channel):
                    self.wake((channel, queued.kind, queued.value))
            return
        address = self._owners.get(int(id))
        if address is None:
            async with self._database.connection() as c:
                address = await chat.owner(c, int(id))
            if address is None:
                return
            if len(self._owners) >= OWNERS:
                self._owners.clear()
            self._owners[int(id)] = address
        self.wake((channel, address.kind, address.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What every session of a channel is made with."""

    channel: str
    key: bytes = field(repr=False)
    hub: Hub
    database: Database
    intake: Intake
    now: Callable[[], datetime]  # the machine's clock: tickets and links end by it
    shop: Callable[[], datetime]  # the shop's, by which messages are dated
    facts: Callable[[str], Awaitable[Mapping[str, Any]]]  # hours and usual time, for a language
    by_visitor: Buckets
    by_client: Buckets


class Session:
    """One open socket of a visitor who has said who they are."""

    def __init__(self, line: Line, socket: web.WebSocketResponse, visitor: Visitor, client: str, language: str) -> None:
        self._line = line
        self._socket = socket
        self._visitor = visitor
        self._client = client
        self._language = language
        own = visitor.address(line.channel)
        others = [address for address, _ in visitor.proofs if address.kind == "visitor"]
        self.addresses: tuple[Address, ...] = (own, *others)
        self.keys: tuple[Key, ...] = tuple((line.channel, a.kind, a.value) for a in self.addresses)
        self.changed = asyncio.Event()
        self._told: dict[Place, bytes] = {}
        self._known: dict[Place, Shown] = {}
        self._answering = False
        self._frames = Buckets(*FRAMES, keys=1)

    async def run(self, welcome: Mapping[str, Any]) -> None:
        """Serve until the browser leaves."""
        self._line.hub.join(self)
        try:
            # What changes from here on wakes us again, so nothing can fall between the first look and the next.
            shown, answering = await self._look(WINDOW)
            self._answering = answering
            facts = await self._line.facts(self._language)
            views = [view for _, view in self._fresh(shown)]
            more = len(shown) == WINDOW
            await self._tell({**welcome, "items": views, "more": more, "answering": answering, **facts})
            pushing = asyncio.create_task(self._push())
            try:
                await self._read()
            finally:
                pushing.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await pushing
        finally:
            self._line.hub.leave(self)

    def ticket(self) -> str:
        """What lets this page show again who it is, good for `TICKET_LIFE`."""
        until = self._line.now() + TICKET_LIFE
        return visitors.ticket(self._line.key, self._line.channel, self._visitor, until)

    async def go(self, code: int) -> None:
        with suppress(Exception):  # whoever is gone already needs no word
            await self._socket.close(code=code)

    # --- what the browser says

    async def _read(self) -> None:
        async for told in self._socket:
            if told.type is not WSMsgType.TEXT:
                await self.go(WSCloseCode.UNSUPPORTED_DATA)
                return
            if self._frames.take("", self._line.now()):
                figures.REFUSED.labels("chat", "too_often").inc()
                await self.go(WSCloseCode.POLICY_VIOLATION)
                return
            try:
                await self._answer(webchat.frame(told.data))
            except Malformed as error:
                figures.REFUSED.labels("chat", "malformed").inc()
                await self._tell({"type": "malformed", "why": str(error)})

    async def _answer(self, told: Mapping[str, Any]) -> None:
        match told["type"]:
            case "ping":
                await self._tell({"type": "pong", "ticket": self.ticket()})  # a line may outlive the first one
            case "say" | "edit" | "withdraw":
                await self._store(told)
            case "got":
                await self._receipt(told, Status.DELIVERED)
            case "seen":
                await self._receipt(told, Status.READ)
            case "older":
                shown, _ = await self._look(WINDOW, _place(told))
                views = [view for _, view in self._fresh(shown)]
                await self._tell({"type": "older", "items": views, "more": len(shown) == WINDOW})
            case "facts":
                await self._tell({"type": "facts", **await self._line.facts(self._language)})
            case _:
                raise Malformed("Nobody knows this frame.")

    async def _store(self, told: Mapping[str, Any]) -> None:
        """Acknowledge after the commit, and only then. A message that comes again is acknowledged again."""
        id = told.get("id") if isinstance(told.get("id"), str) else ""
        try:
            event = self._event(told)
        except Malformed as error:
            await self._refuse(id, error)
            return
        own = str(self._visitor.address(self._line.channel))
        line = self._line
        if wait := take_all(line.now(), (line.by_visitor, own, 1), (line.by_client, self._client, 1)):
            figures.REFUSED.labels("chat", "too_often").inc()
            await self._tell({"type": "later", "id": id, "after": wait.total_seconds()})
            return
        try:
            stored = await self._receive([event])
        except Malformed as error:
            await self._refuse(id, error)
            return
        if stored:
            await self._tell({"type": "stored", "id": id})
        else:
            await self._tell({"type": "later", "id": id, "after": 3})

    async def _refuse(self, id: object, error: Malformed) -> None:
        figures.REFUSED.labels("chat", "malformed").inc()
        await self._tell({"type": "refused", "id": id, "why": str(error)})

    def _event(self, told: Mapping[str, Any]) -> Event:
        channel, visitor, now = self._line.channel, self._visitor, self._line.shop()
        if told["type"] == "withdraw":
            return webchat.withdrawn(channel, visitor, str(told.get("id")), now)
        message = webchat.said(told)
        if not shows(message.text) and not message.files:
            raise Malformed("The message is empty.")
        if told["type"] == "edit":
            before = next((one for one in self._known.values() if self._own(one) == message.id), None)
            if before is None or before.files or before.withdrawn:
                raise Malformed("There is no such message to change.")
            return webchat.edited(channel, visitor, message, now, reply_to=before.reply_to, quoted=before.quoted)
        answered = self._known.get(_place({"place": message.reply.split(".")})) if message.reply else None
        return webchat.received(
            channel,
            visitor,
            message,
            now,
            files=[self._file(seal) for seal in dict.fromkeys(message.files)],
            reply_to=_name(answered) if answered else "",
            quoted=answered.text if answered else "",
            language=self._language,
        )

    def _file(self, seal: str) -> Attachment:
        purpose = upload_purpose(self._line.channel, self._visitor)
        found = visitors.opened(self._line.key, purpose, seal, self._line.now())
        if found is None:
            raise Malformed("The file is not there any more.")
        return webchat.kept(found)

    async def _claim(self, message: Received) -> None:
        """Keep its uploads for good. Raises `Malformed` where another message carries one of them already."""
        own, name = self._visitor.address(self._line.channel), message.external_id
        async with self._line.database.transaction() as c:
            if not await chat.claim(c, self._line.channel, own, name, [file.path for file in message.attachments]):
                raise Malformed("Another message carries this file already.")

    async def _receipt(self, told: Mapping[str, Any], status: Status) -> None:
        """Up to and with a bubble, all of ours was delivered or read."""
        upto = _place(told)
        at = self._line.shop()
        receipts = [
            Receipt(channel=self._line.channel, status=status, at=at, delivery=one.delivery)
            for place, one in self._known.items()
            if one.delivery is not None and place <= upto and one.status < status
        ]
        if receipts:
            await self._receive(receipts)

    async def _receive(self, events: Sequence[Event]) -> bool:
        """Store, and let all tabs of this visitor know. False when that has to be tried again. Raises `Malformed`."""
        try:
            for event in events:
                if isinstance(event, Received) and event.attachments:
                    await self._claim(event)
            await self._line.intake.receive(events)
            if not all(isinstance(event, Received) for event in events):  # of new messages the intake hints itself
                async with self._line.database.connection() as c:
                    await chat.tell(c, self._line.channel, self.addresses)
        except (Away, Overloaded):
            return False
        except Exception as error:
            if away(error):
                return False
            raise
        return True

    # --- what the browser shows

    async def _push(self) -> None:
        while True:
            with suppress(TimeoutError):  # an answer that is taken back before it leaves makes no noise
                async with asyncio.timeout(UNDONE if self._answering else None):
                    await self.changed.wait()
            self.changed.clear()
            try:
                shown, answering = await self._look(WINDOW)
            except Exception as error:  # noqa: BLE001 - the database may be back in a moment
                log.info("chat.not_read", error=type(error).__name__)
                await asyncio.sleep(RELISTEN)
                self.changed.set()
                continue
            views = [view for _, view in self._fresh(shown)]
            if views or answering != self._answering:
                self._answering = answering
                await self._tell({"type": "items", "items": views, "answering": answering})

    async def _look(self, most: int, before: Place = NEWEST) -> tuple[list[Shown], bool]:
        async with self._line.database.connection() as c:
            found = await chat.shown(c, self._line.channel, self.addresses, most, before)
            return found, await chat.answering(c, self._line.channel, self.addresses)

    def _fresh(self, shown: Sequence[Shown]) -> list[tuple[Place, Mapping[str, Any]]]:
        """What the browser does not know yet, or knows otherwise."""
        fresh = []
        for one in shown:
            view = self._view(one)
            told = orjson.dumps(view)
            if self._told.get(one.place) != told:
                self._told[one.place] = told
                fresh.append((one.place, view))
            self._known[one.place] = one
        while len(self._known) > REMEMBERED:
            oldest = min(self._known)
            del self._known[oldest], self._told[oldest]
        return fresh

    def _own(self, one: Shown) -> str:
        return webchat.browser_id(one.external_id, self._visitor.browser) if one.delivery is None else ""

    def _view(self, one: Shown) -> Mapping[str, Any]:
        """A bubble as the widget takes it; what is empty is left out."""
        place = ".".join(map(str, one.place))
        view: dict[str, Any] = {
            "id": place,
            "mine": one.delivery is None,
            "key": self._own(one),
            "text": one.text,
            "spans": [[span.kind.value, span.start, span.end, span.url] for span in one.spans],
            "name": one.author_name,
            "bot": one.author == "bot",
            "at": int(one.at.timestamp() * 1000),
            "edited": one.edited_at is not None and not one.withdrawn,
            "gone": one.withdrawn,
            "read": one.delivery is not None and one.status >= Status.READ,
            "quoted": one.quoted,
            "choices": [{"label": str(x.get("label")), "payload": str(x.get("payload"))} for x in one.choices],
            "files": [self._shown_file(file) for file in one.files],
        }
        return {key: value for key, value in view.items() if value or key in ("id", "at")}

    def _shown_file(self, file: chat.ShownFile) -> Mapping[str, Any]:
        url = file_url(self._line.key, self._line.channel, file, self._line.now()) if file.path else ""
        return {"name": file.filename, "type": file.media_type, "size": file.size, "url": url}

    async def _tell(self, told: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(SLOW):
                await self._socket.send_str(orjson.dumps(told).decode())
        except (ConnectionError, TimeoutError):
            await self.go(WSCloseCode.GOING_AWAY)


def file_purpose(channel: str) -> str:
    return f"file:{channel}"


def file_url(key: bytes, channel: str, file: chat.ShownFile, now: datetime) -> str:
    """A link to a file for whoever has been shown it, as it stands behind `/chat/{channel}/`.

    It stays the same for a day, so that browsers need not fetch it anew.
    """
    day = int(now.timestamp() // FILE_LIFE.total_seconds()) + 2
    until = datetime.fromtimestamp(day * FILE_LIFE.total_seconds(), now.tzinfo)
    return f"files/{visitors.sealed(key, file_purpose(channel), {'id': file.id}, until)}"


def _place(told: Mapping[str, Any]) -> Place:
    """The place of a bubble, sent as three numbers. Raises `Malformed`."""
    place = told.get("place")
    try:
        came, message, part = map(int, place) if isinstance(place, list) else (0, 0, 0)
    except (TypeError, ValueError, OverflowError):
        raise Malformed("There is no such place.") from None
    if not (0 < came < NEWEST[0] and 0 < message < NEWEST[0] and 0 <= part < 2**31):
        raise Malformed("There is no such place.")
    return came, message, part


def _name(one: Shown) -> str:
    """By what id the inbox knows a bubble."""
    return str(one.delivery) if one.delivery is not None else one.external_id
