"""Everything Twilio knows: who owns what, who wrote what, who wants no more, and what went wrong.

Rule: kept and looked up here, decided elsewhere. Memory is bounded: the oldest messages go first.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import deque
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from sandbox.journal import Journal, Json
from sandbox.trouble import Troubles
from sandbox.twilio.errors import WORDS
from sandbox.twilio.values import (
    WHATSAPP,
    Account,
    Line,
    Media,
    Message,
    Person,
    Service,
    Settings,
    Template,
)

KEPT = 20_000  # messages
FILES_KEPT = 256 << 20  # bytes over all files
PLACED = re.compile(r"whatsapp:[A-Z]{2}\.[A-Za-z0-9.]{1,128}")  # a business-scoped user id, which has no plus
NUMBER = re.compile(r"(whatsapp:)?\+[1-9]\d{6,14}")


class Ledger:
    """The provider's memory and its clock."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.random = random.Random(self.settings.seed)  # noqa: S311 - the order of an emulator's deeds
        self.journal = Journal()
        self.troubles = Troubles()
        self.accounts: dict[str, Account] = {}
        self.lines: dict[str, Line] = {}  # by address
        self.services: dict[str, Service] = {}
        self.templates: dict[str, Template] = {}
        self.people: dict[str, Person] = {}
        self.messages: dict[str, Message] = {}
        self.media: dict[str, Media] = {}
        self.left: set[tuple[str, str]] = set()  # service or line, and the person's number, after STOP
        self.heard: dict[tuple[str, str], datetime] = {}  # when a person last wrote to a line
        self.typing: dict[tuple[str, str], datetime] = {}  # until when a line seems to type
        self.alerts: deque[Json] = deque(maxlen=1000)  # the Debugger
        self.refusals: list[Json] = []  # asked for by `World.refuse`
        self._kept = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.settings.clock_offset)

    def sid(self, prefix: str) -> str:
        """Make an id of 34 characters."""
        return f"{prefix}{self.random.getrandbits(128):032x}"

    def session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._session = aiohttp.ClientSession(
                connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True
            )
        return self._session

    # work of its own

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def idle(self) -> None:
        """Wait until nothing is under way any more. What is held back does not count."""
        while others := self._tasks - {asyncio.current_task()}:
            await asyncio.gather(*others)

    async def stop(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.troubles.clear()

    async def close(self) -> None:
        await self.stop()
        self.journal.close()
        if self._session is not None:
            await self._session.close()

    def forget(self) -> None:
        """Forget everybody and everything; listeners of the stream stay."""
        self.journal.forget()
        self.alerts.clear()
        self.refusals.clear()
        self.left.clear()
        self._kept = 0
        known = (self.accounts, self.lines, self.services, self.templates, self.people, self.messages, self.media)
        for things in (*known, self.heard, self.typing):
            things.clear()

    # what is told

    def tell(self, kind: str, facts: Json) -> None:
        self.journal.note(kind, datetime.now(UTC), facts)  # what was seen, not what their clocks said

    def show(self, message: Message) -> None:
        self.tell("entry", {"chat": message.chat, "entries": message.entries("")})

    def alert(self, code: int, url: str, resource: str, detail: str = "") -> None:
        """Write into the Debugger."""
        alert: Json = {
            "sid": self.sid("NO"),
            "code": code,
            "message": WORDS.get(code, "Error"),
            "detail": detail,
            "url": url.partition("#")[0],
            "resource": resource,
            "at": self.now().timestamp(),
        }
        self.alerts.append(alert)
        self.tell("alert", alert)

    # what is looked up

    def person_at(self, address: str) -> Person | None:
        return next((person for person in self.people.values() if person.answers_to(address)), None)

    def pool(self, service: str) -> list[Line]:
        return [line for line in self.lines.values() if line.service == service]

    def scope(self, line: Line) -> str:
        """What STOP leaves: the whole service, or one number."""
        return line.service or line.address

    def window_open(self, line: str, person: str, length: timedelta) -> bool:
        heard = self.heard.get((line, person))
        return heard is not None and self.now() - heard < length

    # what is added

    def add_message(self, message: Message) -> Message:
        self.messages[message.sid] = message
        while len(self.messages) > KEPT:
            self.remove(next(iter(self.messages.values())))
        return message

    def remove(self, message: Message) -> None:
        self.messages.pop(message.sid, None)
        for media in message.media:
            self.drop_media(media)

    def add_media(self, message: Message, *, name: str, media_type: str, data: bytes, absent: int = 0) -> Media:
        media = Media(
            sid=self.sid("ME"),
            message=message.sid,
            account=message.account,
            name=name,
            media_type=media_type,
            data=data,
            created=self.now(),
            absent=absent,
        )
        message.media.append(media)
        self.media[media.sid] = media
        self._kept += len(data)
        while self._kept > FILES_KEPT and len(self.media) > 1:
            self.drop_media(next(iter(self.media.values())))
        return media

    def drop_media(self, media: Media) -> None:
        if self.media.pop(media.sid, None) is None:
            return
        self._kept -= len(media.data)
        owner = self.messages.get(media.message)
        if owner is not None and media in owner.media:
            owner.media.remove(media)


def address_is_valid(address: str) -> bool:
    """Whether something can be written to it: E.164, WhatsApp's form of it, or a business-scoped user id."""
    return NUMBER.fullmatch(address) is not None or PLACED.fullmatch(address) is not None


def is_whatsapp(address: str) -> bool:
    return address.startswith(WHATSAPP)
