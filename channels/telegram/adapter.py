"""Telegram: customers write to a bot, or to a shop owner's account the bot is connected to.

Rule: making a channel must stay cheap, so aiogram is loaded with the first call and never to read an update.
Pages: https://core.telegram.org/bots/api, Bot API 10.3.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from channels.channel import Capabilities, Finding, Pulled, Rate, Request
from channels.errors import FILE_TOO_BIG, Malformed, Misconfigured, Refused, Retry, SendFailed, Unverified
from channels.message import Attachment, Event, Letter, Outgoing, Received, Unreadable
from channels.telegram.parse import external_id, read, units

if TYPE_CHECKING:
    from aiogram.types import WebhookInfo

    from channels.telegram.api import Client

# --- facts

SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105  its name; /bots/api#setwebhook
MAX_DOWNLOAD = 20 << 20  # bytes, /bots/api#getfile
MAX_CONNECTIONS = 100  # the most /bots/api#setwebhook allows: arrivals are stored in groups, so many at once are cheap

# Told at every start: left out, Telegram would keep whatever was asked for last.
UPDATES = (
    "message",
    "edited_message",
    "callback_query",
    "my_chat_member",
    "message_reaction",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
)

CAPABILITIES = Capabilities(
    max_text=4096,  # /bots/api#sendmessage
    measure=units,
    unit="UTF-16 units",
    max_caption=1024,  # /bots/api#sendphoto
    max_choices=100,  # a bound of ours: no page names one
    media={"image/*": 50 << 20, "*/*": 50 << 20},  # /bots/api#sending-files; pictures above 10 MB go as documents
    formatting=True,
    edits=timedelta(hours=48),  # /bots/api#editmessagetext, the stricter case: a business account's messages
    withdraws=timedelta(hours=48),  # /bots/api#deletemessage
    rate=Rate(count=30),  # /bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
    address_rate=Rate(count=1),
)

# --- config


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramConfig:
    """One bot. A webhook without a `secret` would believe everybody, so without one it believes nobody."""

    token: str = field(repr=False)
    secret: str = field(default="", repr=False)  # 1-256 of A-Z a-z 0-9 _ -
    receive: Literal["webhook", "poll"] = "webhook"
    api_url: str = "https://api.telegram.org"
    poll_seconds: int = 25  # Telegram allows 50
    send_seconds: float = 10  # an answer later than this leaves the outcome in doubt


# --- channel


class Telegram:
    kind = "telegram"
    capabilities = CAPABILITIES

    def __init__(
        self, name: str, config: TelegramConfig, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.name = name
        self.config = config
        self._now = now
        self._starting = asyncio.Lock()
        self._client: Client | None = None
        self._limited = ""  # the address last told to wait, until any send gets through

    def __repr__(self) -> str:
        return f"Telegram({self.name!r}, {self.config!r})"

    def verify(self, request: Request) -> None:
        given = request.headers.get(SECRET_HEADER, "").encode("utf-8", "surrogatepass")
        if not self.config.secret or not hmac.compare_digest(given, self.config.secret.encode()):
            raise Unverified

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        return read(self.name, request.body, at)

    async def send(self, message: Outgoing) -> str:
        client = await self._connected()
        try:
            sent = await client.send(message)
        except Retry as error:
            if error.provider_code == "429":
                # One customer may be written to too often; two in a row means the whole bot is.
                error.whole_channel = self._limited not in ("", message.to.value)
                self._limited = message.to.value
            raise
        self._limited = ""
        connection = str(message.context.get("business_connection_id") or "")
        if not sent.message_id:  # Telegram still works on a video: it has no number to be named by yet
            return f"scheduled:{message.id}"
        return external_id(connection, sent.chat.id, sent.message_id)

    async def edit(self, external_id: str, message: Outgoing) -> None:
        await (await self._connected()).edit(*place(external_id), message)

    async def withdraw(self, external_id: str, message: Outgoing) -> None:
        await (await self._connected()).withdraw(*place(external_id))

    async def typing(self, message: Outgoing) -> None:
        client = await self._connected()
        await client.typing(message)

    async def acknowledge(self, message: Received) -> None:
        kind, _, query_id = message.external_id.partition(":")
        if kind == "callback":
            await (await self._connected()).acknowledge(query_id)

    async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        if attachment.size is not None and attachment.size > MAX_DOWNLOAD:
            words = f"The file is larger than the {MAX_DOWNLOAD >> 20} MB Telegram lets a bot fetch."
            raise Refused(words, provider_code=FILE_TOO_BIG)
        client = await self._connected()
        async for chunk in client.file(attachment.ref, at_most=MAX_DOWNLOAD):
            yield chunk

    async def pull(self, after: str) -> Pulled:
        """The cursor is the last update's number. Asking for what comes after it makes Telegram forget it."""
        client = await self._connected()
        updates = await client.updates(int(after) + 1 if after else None, wait=self.config.poll_seconds, kinds=UPDATES)
        events: list[Event] = []
        for update in updates:
            body = json.dumps(update).encode()
            try:
                events.extend(read(self.name, body, self._now()))
                after = str(update["update_id"])
            except Malformed as error:
                events.append(Unreadable(channel=self.name, reason=error.detail, raw=body))
        return Pulled(cursor=after, events=tuple(events))

    async def link(self) -> str:
        """A bot has a username from its first day; `t.me` opens a chat with it in whatever app there is."""
        username = (await (await self._connected()).me()).username
        return f"https://t.me/{username}" if username else ""

    async def register(self, url: str) -> None:
        """Set the webhook; of a polled bot, which can have none, nothing is changed."""
        if self.config.receive == "poll":
            return
        client = await self._connected()
        await client.register(url, secret=self.config.secret, connections=MAX_CONNECTIONS, kinds=UPDATES)

    async def check(self, url: str) -> Sequence[Finding]:
        try:
            client = await self._connected()
            username = (await client.me()).username
            info = await client.webhook()
        except Misconfigured as error:
            return (Finding(ok=False, what=error.detail, fix=f"Put the bot's token into channel {self.name!r}."),)
        except SendFailed as error:
            fix = f"Check the network and api_url of channel {self.name!r}, then try again."
            return (Finding(ok=False, what=str(error), fix=fix),)
        return (Finding(ok=True, what=f"The bot @{username} answers."), *findings(self.config, url, info))

    async def prepare(self) -> None:
        await self._connected()

    async def close(self) -> None:
        if self._client:
            await self._client.close()

    async def _connected(self) -> Client:
        async with self._starting:
            if self._client is None:
                self._client = await asyncio.to_thread(connect, self.config)
        return self._client


# --- small functions


def connect(config: TelegramConfig) -> Client:
    """Load aiogram, which takes seconds the first time."""
    from channels.telegram.api import Client

    return Client(config.token, config.api_url, seconds=config.send_seconds)


def place(external_id: str) -> tuple[str, int, int]:
    """Business connection, chat and number of a message we sent."""
    *connection, chat_id, message_id = external_id.rsplit(":", 2)
    try:
        return "".join(connection), int(chat_id), int(message_id)
    except ValueError:
        pass
    raise Refused("Telegram has not given this message a number.")


def findings(config: TelegramConfig, url: str, info: WebhookInfo) -> tuple[Finding, ...]:
    """Judge how this bot's messages reach us."""
    host = urlsplit(info.url).hostname or "an unknown address"
    if config.receive == "poll":
        if info.url:
            what = f"The bot cannot be polled: Telegram delivers its messages to {host}."
            return (Finding(ok=False, what=what, fix='Set receive = "webhook", or call deleteWebhook for this bot.'),)
        return (Finding(ok=True, what="The bot can be polled."),)
    if not config.secret:
        fix = "Set secret to a long random word of letters and digits."
        return (Finding(ok=False, what="Without a secret no delivery can be trusted, so none is.", fix=fix),)
    if not url:
        fix = 'Set public_url to your https address, or receive = "poll".'
        return (Finding(ok=False, what="Telegram has no public address to deliver to.", fix=fix),)
    if not info.url:
        who = "`santral serve` sets it" if url.startswith("https://") else "it takes https addresses only"
        return (Finding(ok=True, what=f"Telegram has no webhook for this bot yet: {who}."),)
    if info.url != url:
        what = f"Telegram delivers to {host} instead of here."
        return (Finding(ok=False, what=what, fix="Start `santral serve` here: it sets the webhook itself."),)
    found = [Finding(ok=True, what="The webhook points here.")]
    if missing := set(UPDATES).difference(info.allowed_updates or UPDATES):
        what = f"Telegram is not asked for: {', '.join(sorted(missing))}."
        found.append(Finding(ok=False, what=what, fix="Start `santral serve` once: it asks for everything it reads."))
    if info.last_error_date:
        when, waiting = info.last_error_date.astimezone(UTC), info.pending_update_count
        what = f"A delivery failed at {when:%Y-%m-%d %H:%M} UTC: {info.last_error_message}. {waiting} updates wait."
        fix = "See that public_url is reachable from outside and its certificate is valid." if waiting else ""
        found.append(Finding(ok=not waiting, what=what, fix=fix))
    elif info.pending_update_count:
        found.append(Finding(ok=True, what=f"{info.pending_update_count} updates are on their way."))
    return tuple(found)
