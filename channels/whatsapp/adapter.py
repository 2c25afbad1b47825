"""WhatsApp by Meta's Cloud API: customers write to the shop's business number.

Rule: what a call answers is that Meta took the message, never that it arrived: a closed window or a number without
WhatsApp is told later, as a status. Meta cannot be asked what became of a message; the status with our id settles it.
Pages are below https://developers.facebook.com/documentation/business-messaging/whatsapp.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from channels.channel import Capabilities, Finding, Rate, Request
from channels.errors import InDoubt, Refused
from channels.line import gone
from channels.message import Attachment, Choice, Event, Letter, Outgoing
from channels.meta import graph as meta
from channels.meta.graph import Graph
from channels.phones import dialled
from channels.values import E164, media_type, name
from channels.whatsapp import setup
from channels.whatsapp.parse import BSUID, read

# --- facts

MAX_FILE = 100 << 20  # bytes of a document, business-phone-numbers/media
MAX_PICTURE = 5 << 20
MAX_SOUND = 16 << 20  # and of a video
MAX_BODY = 1024  # characters beside buttons, messages/interactive-reply-buttons-messages
MAX_BUTTONS = 3  # more become a list, messages/interactive-list-messages
MAX_BUTTON_ID, MAX_ROW_ID = 256, 200
LIST = "📋"  # the word on the button that opens a list: one that every language reads
MEDIA_HOSTS = ("fbsbx.com", "facebook.com")  # lookaside.fbsbx.com hands files out, for the same token

# What leaves as more than a document: kind and bytes at most. The rest, and what is larger, goes as a document, and so
# do a sound with words, for sounds carry none, and what is not what it is called: that would be taken, and fail later.
SHOWN: Mapping[str, tuple[str, int]] = {
    "image/jpeg": ("image", MAX_PICTURE),
    "image/png": ("image", MAX_PICTURE),
    "video/mp4": ("video", MAX_SOUND),
    "video/3gpp": ("video", MAX_SOUND),
    "audio/aac": ("audio", MAX_SOUND),
    "audio/amr": ("audio", MAX_SOUND),
    "audio/mpeg": ("audio", MAX_SOUND),
    "audio/mp4": ("audio", MAX_SOUND),
    "audio/ogg": ("audio", MAX_SOUND),
}

BEGINS: Mapping[str, bytes] = {"image/jpeg": b"\xff\xd8", "image/png": b"\x89PNG"}
OPUS = b"OpusHead"  # of sounds in OGG only those in Opus are played, and they say so in their first page
PAGE = 512

CAPABILITIES = Capabilities(
    max_text=4096,  # messages/text-messages
    max_caption=1024,  # messages/image-messages
    max_choices=10,  # rows of one list
    max_choice=20,  # of a button; a row would take 24
    media={"*/*": MAX_FILE},
    reply_window=timedelta(hours=24),  # messages/send-messages#customer-service-windows
    templates=True,
    receipts=frozenset({"delivered", "read"}),
    rate=Rate(count=80),  # throughput; to one person there is a slower pace, see `graph.WAITS`
    echoes=True,
)

# --- config


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatsAppConfig:
    """One business number. Without an `app_secret` no request can be trusted, so none is."""

    phone_number_id: str
    access_token: str = field(repr=False)  # of a system user, so that it does not expire
    app_secret: str = field(repr=False)
    verify_token: str = field(repr=False)
    business_account_id: str | None = None  # of the number; asked for where it is left out
    api_url: str = "https://graph.facebook.com"
    siblings: tuple[tuple[str, str], ...] = ()  # number and channel of the app's others, maybe told at one address
    send_seconds: float = 10  # an answer later than this leaves the outcome in doubt


# --- channel


class WhatsApp:
    kind = "whatsapp"
    capabilities = CAPABILITIES

    def __init__(
        self, name: str, config: WhatsAppConfig, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.name = name
        self.config = config
        self._now = now
        self._graph = Graph(
            "WhatsApp", config.api_url, config.access_token, config.app_secret, seconds=config.send_seconds
        )

    def __repr__(self) -> str:
        return f"WhatsApp({self.name!r}, {self.config!r})"

    def verify(self, request: Request) -> None:
        meta.verify(request, self.config.app_secret)

    def answer(self, request: Request) -> str:
        return meta.answer(request, self.config.verify_token)

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        return read(self.name, self.config.phone_number_id, request.body, at, self.config.siblings)

    async def send(self, message: Outgoing) -> str:
        """A file is handed over first, which may be repeated; the message itself is one call."""
        to = receiver(message)  # what cannot be sent is said before anything is handed over
        body = content(message)
        if message.attachment:
            body[body["type"]]["id"] = await self._upload(message.attachment)
        asked = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            **to,
            **body,
            "biz_opaque_callback_data": str(message.id),
        }
        if message.reply_to:
            asked["context"] = {"message_id": message.reply_to}
        answer = await self._graph.call("POST", f"{self.config.phone_number_id}/messages", json=asked, own=True)
        match answer.get("messages"):
            case [{"id": str(sent)}, *_] if sent:
                return sent
        raise InDoubt("WhatsApp gave the message no number.")

    async def typing(self, message: Outgoing) -> None:
        """Shown for 25 seconds or until the answer; marks what they wrote last as read, there is no other way."""
        answered = message.context.get("message_id") or message.reply_to
        if not answered:
            return
        asked = {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": answered,
            "typing_indicator": {"type": "text"},
        }
        await self._graph.call("POST", f"{self.config.phone_number_id}/messages", json=asked, repeatable=True)

    async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        """A file's address lives five minutes and its id seven days, so a lost address is asked for once more."""
        for last_try in (False, True):
            found = await self._graph.file(attachment.ref)
            url = found.get("url")
            if not isinstance(url, str):
                break
            try:
                async for chunk in self._graph.fetch(url, at_most=MAX_FILE, hosts=MEDIA_HOSTS):
                    yield chunk
                return
            except Refused as error:
                if last_try or not gone(error):
                    raise
        raise Refused("WhatsApp does not hand out this file.")

    async def link(self) -> str:
        number = await setup.number(self._graph, self.config.phone_number_id)
        digits = re.sub(r"\D", "", number.display_phone_number, flags=re.ASCII)
        return f"https://wa.me/{digits}" if digits else ""

    async def approved(self) -> Sequence[tuple[str, str, str]]:
        """Every template of the account: name, language and status, as "APPROVED". Raises `Retry` or `Refused`."""
        return await setup.templates(self._graph, await setup.account(self._graph, self.config))

    async def register(self, url: str) -> None:
        await setup.register(self._graph, self.config, url)

    async def check(self, url: str) -> Sequence[Finding]:
        return await setup.check(self._graph, self.config, url, self.name, self._now())

    async def close(self) -> None:
        await self._graph.close()

    async def _upload(self, attachment: Attachment) -> str:
        data = attachment.data or b""
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("messaging_product", "whatsapp")
        form.add_field("type", media_type(attachment.media_type))
        form.add_field("file", data, filename=called(attachment), content_type=media_type(attachment.media_type))
        path = f"{self.config.phone_number_id}/media"
        answer = await self._graph.call("POST", path, data=form, size=len(data), repeatable=True, own=True)
        if isinstance(found := answer.get("id"), str) and found:
            return found
        raise Refused("WhatsApp did not keep the file.")


# --- what we send


def receiver(message: Outgoing) -> dict[str, str]:
    """Where it goes: the exact number that wrote, else the one we know, else the id of who shows no number.

    A scoped id in the place of a number would be answered with success and never arrive.
    """
    if message.to.kind == "whatsapp" and BSUID.fullmatch(message.to.value):
        return {"recipient": message.to.value}
    wrote, known = str(message.context.get("wa_id") or ""), message.to.value.removeprefix("+")
    if message.to.kind == "phone" and E164.fullmatch(known):
        return {"to": wrote if E164.fullmatch(wrote) and dialled(wrote) == dialled(known) else known}
    raise Refused("This address is none of WhatsApp's.")


def content(message: Outgoing) -> dict[str, Any]:
    """Type and content of the message. Raises `Refused` for what WhatsApp surely would not take."""
    if template := message.template:
        values = [{"type": "text", "text": " ".join(value.split())} for value in template.values]
        parts: dict[str, Any] = {"components": [{"type": "body", "parameters": values}]} if values else {}
        language = {"policy": "deterministic", "code": template.language}
        return {"type": "template", "template": {"name": template.name, "language": language, **parts}}
    if file := message.attachment:
        kind = shown_as(file, message.text)
        named = {"filename": called(file)} if kind == "document" else {}
        return {"type": kind, kind: {**({"caption": message.text} if message.text else {}), **named}}
    if message.choices and len(message.text) <= MAX_BODY:
        return {"type": "interactive", "interactive": offered(message.text, message.choices)}
    lines = [f"{count}. {choice.label}" for count, choice in enumerate(message.choices, 1)]
    text = "\n".join((message.text, "", *lines)) if lines else message.text
    return {"type": "text", "text": {"body": text}}


def shown_as(file: Attachment, words: str) -> str:
    if not file.data:
        raise Refused("The file is empty.")
    if len(file.data) > MAX_FILE:
        raise Refused(f"WhatsApp takes files of up to {MAX_FILE >> 20} MB.")
    told = media_type(file.media_type)
    kind, most = SHOWN.get(told, ("document", MAX_FILE))
    if len(file.data) > most or (kind == "audio" and words) or not is_what_it_says(told, file.data):
        return "document"
    return kind


def is_what_it_says(told: str, data: bytes) -> bool:
    return OPUS in data[:PAGE] if told == "audio/ogg" else data.startswith(BEGINS.get(told, b""))


def called(file: Attachment) -> str:
    return name(file.filename.replace('"', "'"), 200) or "file"


def offered(text: str, choices: Sequence[Choice]) -> dict[str, Any]:
    """Up to three choices as buttons, more as a list that a button opens."""
    buttons = len(choices) <= MAX_BUTTONS
    longest = MAX_BUTTON_ID if buttons else MAX_ROW_ID
    if any(len(choice.payload) > longest for choice in choices):
        raise Refused(f"A choice carries up to {longest} characters.")
    if buttons:
        shown = [{"type": "reply", "reply": {"id": it.payload, "title": it.label}} for it in choices]
        return {"type": "button", "body": {"text": text}, "action": {"buttons": shown}}
    rows = [{"id": it.payload, "title": it.label} for it in choices]
    return {"type": "list", "body": {"text": text}, "action": {"button": LIST, "sections": [{"rows": rows}]}}
