"""Messenger: customers write to the shop's Facebook page.

Rule: a program's answers leave within a day, people's within seven; after that only the customer can begin again.
Pages are below https://developers.facebook.com/documentation/business-messaging/messenger-platform.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp

from channels.channel import Capabilities, Finding, Pulled, Rate, Request
from channels.errors import Refused
from channels.message import Address, Attachment, Event, Letter, Outgoing, Profile
from channels.meta import calls, graph, past, setup
from channels.meta.graph import Graph
from channels.meta.parse import Account, read
from channels.values import name as shown

# --- facts

FIELDS = frozenset(  # /webhooks, the events of a page that this file reads
    {
        "messages",
        "message_echoes",
        "message_deliveries",
        "message_reads",
        "message_reactions",
        "message_edits",
        "messaging_postbacks",
        "messaging_referrals",
        "messaging_optins",
        "messaging_handovers",
        "standby",
    }
)
SCOPES = frozenset({"pages_messaging", "pages_manage_metadata"})  # what the token must be allowed
# What its app shows as such; other kinds travel as files. /send-messages#supported-attachments
SHOWN = {
    "image/jpeg": "image",
    "image/png": "image",
    "image/gif": "image",
    "video/mp4": "video",
    "video/quicktime": "video",
    "audio/mpeg": "audio",
    "audio/mp4": "audio",
    "audio/aac": "audio",
    "audio/wav": "audio",
}

CAPABILITIES = Capabilities(
    max_text=2000,  # /send-messages
    max_choices=calls.MAX_CHOICES,
    max_choice=calls.MAX_CHOICE,
    media={"*/*": calls.MAX_FILE},
    reply_window=calls.REPLY_WINDOW,
    agent_window=calls.AGENT_WINDOW,
    receipts=frozenset({"delivered", "read"}),
    rate=Rate(count=300),  # /overview/rate-limiting
    echoes=True,
    misses=timedelta(minutes=15),
)

# --- config


@dataclass(frozen=True, slots=True, kw_only=True)
class MessengerConfig:
    """One page, and the app that answers for it."""

    page_id: str
    access_token: str = field(repr=False)
    app_secret: str = field(repr=False)
    verify_token: str = field(repr=False)
    api_url: str = "https://graph.facebook.com"
    siblings: tuple[tuple[str, str], ...] = ()  # page and channel of the app's others, told at the same address
    send_seconds: float = 10  # an answer later than this leaves the outcome in doubt


# --- channel


class Messenger:
    kind = "messenger"
    capabilities = CAPABILITIES

    def __init__(
        self,
        name: str,
        config: MessengerConfig,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: float = past.PAUSE,
    ) -> None:
        self.name = name
        self.config = config
        self._now = now
        self._account = Account(channel=name, kind=self.kind, object="page", id=config.page_id)
        self._listing = past.Listing(
            account=self._account,
            node=config.page_id,
            platform="messenger",
            fields=f"{past.FIELDS},sticker",
            pause=pause,
        )
        self._setup = setup.Setup(
            channel=name,
            node=config.page_id,
            object="page",
            on_node=FIELDS,
            on_app=FIELDS,
            scopes=SCOPES,
            token=config.access_token,
            verify_token=config.verify_token,
            siblings=tuple(channel for _, channel in config.siblings),
        )
        self._graph = Graph(
            "Messenger", config.api_url, config.access_token, config.app_secret, seconds=config.send_seconds
        )

    def __repr__(self) -> str:
        return f"Messenger({self.name!r}, {self.config!r})"

    def verify(self, request: Request) -> None:
        graph.verify(request, self.config.app_secret)

    def answer(self, request: Request) -> str:
        return graph.answer(request, self.config.verify_token)

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        return read(self._account, request.body, at, self.config.siblings)

    async def send(self, message: Outgoing) -> str:
        told = calls.body(message, self._account, marked=True)
        if message.attachment is None:
            return await calls.send(self._graph, self.config.page_id, json=told, late="tag" in told)
        data = message.attachment.data
        if not data:
            raise Refused("The file is empty.")
        form = upload(told, message.attachment, data)
        return await calls.send(self._graph, self.config.page_id, data=form, size=len(data), late="tag" in told)

    async def typing(self, message: Outgoing) -> None:
        person = calls.recipient(message.to, self._account)
        await calls.typing(self._graph, self.config.page_id, person)

    def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        return calls.fetch(self._graph, attachment)

    async def missed(self, after: str) -> Pulled:
        return await past.missed(self._graph, self._listing, after, self._now())

    async def profile(self, address: Address) -> Profile:
        person = calls.recipient(address, self._account)
        told = await calls.told_of(self._graph, person, "first_name,last_name")
        return Profile(name=shown(f"{told.get('first_name') or ''} {told.get('last_name') or ''}"))

    async def link(self) -> str:
        return f"https://m.me/{self.config.page_id}"

    async def register(self, url: str) -> None:
        await setup.register(self._graph, self._setup, url)

    async def check(self, url: str) -> Sequence[Finding]:
        async def the_page() -> Sequence[Finding]:
            page = await self._graph.call("GET", self.config.page_id, query={"fields": "name"}, repeatable=True)
            return (Finding(ok=True, what=f"The page {shown(str(page.get('name') or ''))} answers."),)

        return await setup.check(self._graph, self._setup, url, self._now(), the_page)

    async def close(self) -> None:
        await self._graph.close()


# --- small functions


def upload(told: dict[str, object], file: Attachment, data: bytes) -> aiohttp.FormData:
    """A message with its file in one call, so that there is one outcome."""
    kind = SHOWN.get(file.media_type, "file")
    content = told["message"] if isinstance(told["message"], dict) else {}
    attachment = {"type": kind, "payload": {"is_reusable": False}}
    words = {key: value for key, value in content.items() if key != "text"}
    form = aiohttp.FormData()
    for key, value in {**told, "message": {**words, "attachment": attachment}}.items():
        form.add_field(key, value if isinstance(value, str) else json.dumps(value))
    form.add_field("filedata", data, filename=calls.plain_filename(file.filename), content_type=file.media_type)
    return form
