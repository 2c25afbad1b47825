"""Web chat: the bubble on the shop's own pages. Nobody carries its messages but us.

Rule: what is committed as sent is what the visitor sees, so that `send` has nothing to do and cannot fail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from channels.channel import Capabilities, Finding
from channels.errors import Malformed
from channels.message import Attachment, Edited, Outgoing, Received, Withdrawn
from channels.values import media_type, shown_filename
from channels.webchat.visitors import SHORTEST_SECRET, Visitor
from channels.wire import clean

# --- facts, all of them bounds of our own

MAX_TEXT = 4000  # characters
MAX_FILE = 20 << 20  # bytes
MAX_FILES = 5  # in one message
MAX_FRAME = 64 << 10  # bytes of what a browser tells at once: 4,000 characters are 16,000 bytes at most
MAX_PAYLOAD = 256
QUOTED = 300  # characters of what is answered
LATE = timedelta(days=7)  # how old a message may be that a browser kept while it had no line
ALWAYS = timedelta(days=365)

UUID_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)

CAPABILITIES = Capabilities(
    max_text=MAX_TEXT,
    max_caption=MAX_TEXT,
    max_choices=10,
    max_choice=40,
    media={"*/*": MAX_FILE},
    max_files=MAX_FILES,
    formatting=True,
    edits=ALWAYS,
    withdraws=ALWAYS,
    receipts=frozenset({"delivered", "read"}),
    live=True,
)

# --- config


@dataclass(frozen=True, slots=True, kw_only=True)
class WebchatConfig:
    """One bubble. Without an `identity_secret` every visitor is a stranger at first."""

    origins: Sequence[str]  # of the pages that may show it: scheme, host, port
    identity_secret: str = field(default="", repr=False)
    title: str = ""  # "": the shop's name
    color: str = "#1f5fbf"
    side: Literal["right", "left"] = "right"
    public_url: str = ""  # where we are reached ourselves


# --- channel


class Webchat:
    kind = "webchat"
    capabilities = CAPABILITIES

    def __init__(self, name: str, config: WebchatConfig) -> None:
        self.name = name
        self.config = config

    def __repr__(self) -> str:
        return f"Webchat({self.name!r}, {self.config!r})"

    async def send(self, message: Outgoing) -> str:
        return str(message.id)

    async def edit(self, external_id: str, message: Outgoing) -> None:
        """Nothing to do: the visitor sees what is stored."""

    async def withdraw(self, external_id: str, message: Outgoing) -> None:
        """Nothing to do, as for an edit."""

    async def find(self, message: Outgoing) -> str | None:
        return str(message.id)

    async def link(self) -> str:
        return f"{self.config.public_url}/chat/{self.name}" if self.config.public_url else ""

    async def check(self, url: str) -> Sequence[Finding]:
        return findings(self.name, self.config, url)

    async def close(self) -> None:
        """Nothing is held open: the sockets are the web server's."""


# --- what browsers tell, read into events. Pure.


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message as the browser sent it, before its files and what it answers are looked up."""

    id: str  # the browser's own, a UUID: the same however often it is sent
    text: str
    files: tuple[str, ...] = ()  # receipts of uploads
    reply: str = ""  # id of the shown message it answers
    payload: str = ""
    age: timedelta = timedelta()  # how long it waited for a line in the browser


def frame(raw: str) -> Mapping[str, Any]:
    """One frame of the socket. Raises `Malformed` for what no widget of ours sends."""
    try:
        if len(raw.encode("utf-8", "surrogatepass")) > MAX_FRAME:
            raise Malformed("The frame is too large.")
        found = json.loads(raw, parse_constant=lambda word: None)
    except (ValueError, RecursionError) as error:
        raise Malformed("The frame is not JSON.") from error
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise Malformed("The frame has no type.")
    cleaned: dict[str, Any] = clean(found)
    return cleaned


def said(told: Mapping[str, Any]) -> Said:
    """Read a `say` or `edit` frame. Raises `Malformed`, with nothing of it stored."""
    id, text, files = told.get("id"), told.get("text", ""), told.get("files", [])
    reply, payload = told.get("reply", ""), told.get("payload", "")
    if not (isinstance(id, str) and UUID_TEXT.fullmatch(id)):
        raise Malformed("The message has no id.")
    if not (isinstance(text, str) and isinstance(reply, str) and isinstance(payload, str)):
        raise Malformed("The message has no text.")
    if not (isinstance(files, list) and all(isinstance(file, str) for file in files)):
        raise Malformed("The message has no files that could be found.")
    text = text.strip()
    if len(text) > MAX_TEXT or len(files) > MAX_FILES or len(reply) > 100 or len(payload) > MAX_PAYLOAD:
        raise Malformed("The message is too large.")
    if not text and not files:
        raise Malformed("The message is empty.")
    return Said(id=id, text=text, files=tuple(files), reply=reply, payload=payload, age=_age(told.get("age")))


def received(
    channel: str,
    visitor: Visitor,
    message: Said,
    now: datetime,
    *,
    files: Sequence[Attachment] = (),
    reply_to: str = "",
    quoted: str = "",
    language: str = "",
) -> Received:
    """A visitor's message. Sent again after a broken line it has the same `external_id`."""
    return Received(
        channel=channel,
        external_id=external_id(visitor, message.id),
        sender=visitor.address(channel),
        sender_name=visitor.name,
        sent_at=now - message.age,
        text=message.text,
        attachments=tuple(files),
        payload=message.payload,
        reply_to=reply_to,
        quoted=quoted[:QUOTED],
        language=language if LANGUAGE.fullmatch(language) else "",
        proof=visitor.proof,
        proofs=visitor.proofs,
        raw=json.dumps({"id": message.id, "text": message.text}, ensure_ascii=False).encode(),
    )


def edited(channel: str, visitor: Visitor, message: Said, now: datetime, *, reply_to: str, quoted: str) -> Edited:
    again = received(channel, visitor, message, now, reply_to=reply_to, quoted=quoted)
    return Edited(message=again, edited_at=now)


def withdrawn(channel: str, visitor: Visitor, id: str, now: datetime) -> Withdrawn:
    """Raises `Malformed` for what is no id."""
    if not UUID_TEXT.fullmatch(id):
        raise Malformed("The message has no id.")
    return Withdrawn(channel=channel, external_id=external_id(visitor, id), sender=visitor.address(channel), at=now)


def external_id(visitor: Visitor, id: str) -> str:
    """The id of a message by the id its browser gave it. Browsers cannot name each other's messages."""
    return f"{visitor.browser}:{id}"


def browser_id(external_id: str, browser: str) -> str:
    """The id a browser gave to a message, "" when it was another browser's."""
    owner, _, id = external_id.partition(":")
    return id if owner == browser else ""


def kept(seal: Mapping[str, Any]) -> Attachment:
    """An uploaded file, from the receipt its upload was answered with."""
    return Attachment(
        media_type=media_type(seal["type"]),
        filename=shown_filename(seal["name"]),
        size=seal["size"],
        path=seal["path"],
        unique_ref=seal["path"],
    )


def delivery(id: str) -> UUID | None:
    """The delivery a shown message is, None for the visitor's own."""
    return UUID(id) if UUID_TEXT.fullmatch(id) else None


# --- small functions


def _age(told: object) -> timedelta:
    """How long ago it was written, in milliseconds: a length of time is right even where the browser's clock is not."""
    if not isinstance(told, int | float) or isinstance(told, bool) or not 0 < told < LATE.total_seconds() * 1000:
        return timedelta()
    return timedelta(milliseconds=told)


def findings(name: str, config: WebchatConfig, url: str) -> tuple[Finding, ...]:
    """Judge whether the bubble can be shown where it is meant to be."""
    found = []
    https = [origin for origin in config.origins if origin.startswith("https:")]
    if not config.public_url:
        fix = "Set public_url to the address under which browsers reach Santral."
        found.append(Finding(ok=False, what="Pages of the shop cannot load the chat: Santral has no address.", fix=fix))
    elif https and urlsplit(config.public_url).scheme != "https":
        what = f"Browsers refuse to show the chat on {https[0]}: public_url is not https."
        found.append(
            Finding(ok=False, what=what, fix="Put a proxy with a certificate before Santral, and set public_url.")
        )
    else:
        where = ", ".join(config.origins)
        tag = f'<script src="{config.public_url}/chat/{name}/widget.js" async></script>'
        found.append(Finding(ok=True, what=f"The chat may be shown on {where}. The line for its pages: {tag}"))
    if config.identity_secret and len(config.identity_secret.encode()) < SHORTEST_SECRET:
        what = f"identity_secret is shorter than {SHORTEST_SECRET} characters, so no token signed with it is believed."
        found.append(Finding(ok=False, what=what, fix="Make one with `openssl rand -hex 32`, here and in the shop."))
    return tuple(found)
