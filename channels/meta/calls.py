"""The calls Messenger and Instagram take alike: what leaves, files, profiles.

Rule: a program's words never leave later than a day after the customer's, and a person's carry the one tag there is.
Pages are below https://developers.facebook.com/documentation/business-messaging/messenger-platform.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import msgspec

from channels.errors import InDoubt, Misconfigured, Refused, WindowClosed
from channels.line import gone
from channels.message import Address, Attachment, Author, Outgoing
from channels.meta.graph import Graph
from channels.meta.parse import MARK, Account
from channels.wire import Number, Wire

REPLY_WINDOW = timedelta(hours=24)  # /policy#standard-messaging-window, the same for Instagram
AGENT_WINDOW = timedelta(days=7)  # /send-messages/message-tags
HUMAN = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}  # the other tags were retired on 2026-04-27
RESPONSE = {"messaging_type": "RESPONSE"}
MAX_CHOICES = 13  # /send-messages/quick-replies
MAX_CHOICE = 20
MAX_PAYLOAD = 1000
MAX_FILE = 25 << 20  # bytes, /send-messages#sending-attachments
NO_PROFILE = frozenset(
    {"100/2018218", "2018218", "2018247", "100/33", "230"}
)  # /identity/user-profile: nobody we may know
FORBIDDEN = re.compile(r"(10|2[0-9][0-9])(/[0-9]+)?")  # permissions, as in `graph.CODES`
FILES_OF = "attachments{mime_type,name,size,image_data,video_data,file_url}"

# --- what leaves


def body(message: Outgoing, account: Account, *, marked: bool) -> dict[str, Any]:
    """A message but for its file. `marked`: with our own id, which comes back in the echo.

    Raises `Refused` for somebody else's address, `WindowClosed` for what would be too late.
    """
    person = recipient(message.to, account)
    content: dict[str, Any] = {"text": message.text} if message.text else {}
    if any(len(choice.payload) > MAX_PAYLOAD for choice in message.choices):
        raise Refused(f"A button carries up to {MAX_PAYLOAD} characters.")
    if message.choices:
        content["quick_replies"] = [
            {"content_type": "text", "title": choice.label, "payload": choice.payload} for choice in message.choices
        ]
    if marked:
        content["metadata"] = f"{MARK}{message.id}"
    told = {"recipient": {"id": person}, **occasion(message), "message": content}
    if message.reply_to and f":{person}:" not in message.reply_to:  # those ids are made here, see `unnamed`
        told["reply_to"] = {"mid": message.reply_to}
    return told


def occasion(message: Outgoing) -> Mapping[str, str]:
    """Why we may write now, by who writes and how long ago the customer did."""
    if message.at is None or message.answers_at is None:
        return RESPONSE
    waited = message.at - message.answers_at
    if waited < REPLY_WINDOW:
        return RESPONSE
    if message.author is Author.AGENT and waited < AGENT_WINDOW:
        return HUMAN
    raise WindowClosed


def recipient(address: Address, account: Account) -> str:
    """The person's id. Ids of one page or account mean nothing to another."""
    owner, _, person = address.value.rpartition(":")
    if address.kind != account.kind or owner != account.id or not person:
        raise Refused("This address belongs to another account than this channel's.")
    return person


async def send(
    graph: Graph, node: str, *, json: Any = None, data: Any = None, size: int = 0, late: bool = False
) -> str:
    """`late` is under the one tag there is, which not every app may use: to those the window is closed by then."""
    try:
        answer = await graph.call("POST", f"{node}/messages", json=json, data=data, size=size, own=True)
    except Misconfigured as error:
        if late and FORBIDDEN.fullmatch(error.provider_code):
            raise WindowClosed(error.detail, provider_code=error.provider_code) from error
        raise
    external_id = answer.get("message_id")
    if not isinstance(external_id, str) or not external_id:
        raise InDoubt
    return external_id


async def typing(graph: Graph, node: str, person: str) -> None:
    """Show that somebody has read it, and writes; Meta shows the second for 20 seconds."""
    for action in ("mark_seen", "typing_on"):
        told = {"recipient": {"id": person}, "sender_action": action}
        await graph.call("POST", f"{node}/messages", json=told, repeatable=True)


def plain_filename(told: str) -> str:
    """A file name of ASCII letters, the only ones that uploads take: "şubat.pdf" is "subat.pdf"."""
    plain = unicodedata.normalize("NFKD", told.replace("ı", "i")).encode("ascii", "ignore").decode()
    stem, dot, suffix = plain.rpartition(".") if "." in plain else (plain, "", "")
    stem = re.sub(r"[^A-Za-z0-9 ._()-]+", "_", stem).strip("._ -")[:80]
    return (stem or "file") + dot + re.sub(r"[^A-Za-z0-9]+", "", suffix)[:12]


# --- files and people


class Pointer(Wire, frozen=True):
    """An `Attachment.ref`: where a file was, and which attachment of which message it is."""

    url: str
    mid: str = ""
    n: Number = 0


async def fetch(graph: Graph, attachment: Attachment) -> AsyncIterator[bytes]:
    """Stream a file, from a fresh link where the old one died. No credentials: the links are for everybody."""
    try:
        ref = msgspec.json.decode(attachment.ref, type=Pointer)
    except msgspec.DecodeError:
        ref = None
    if ref is None:
        raise Refused("The file has no address.")
    try:
        async for chunk in graph.line.fetch(ref.url, at_most=MAX_FILE):
            yield chunk
        return
    except Refused as error:
        if not gone(error) or not ref.mid:
            raise
    answer = await graph.file(ref.mid, FILES_OF)
    async for chunk in graph.line.fetch(link_of(answer, ref.n), at_most=MAX_FILE):
        yield chunk


def link_of(answer: Mapping[str, Any], number: int) -> str:
    """Where a file is now, by how Meta describes a message. Raises `Refused` when it has it no more."""
    listed = rows(answer.get("attachments"))
    row = listed[number] if 0 <= number < len(listed) else {}
    if link := link_in(row):
        return link
    raise Refused("Meta does not have the file any more.", provider_code="404")


def link_in(row: Mapping[str, Any]) -> str:
    """Where the file of one attachment is, "" when that is not told."""
    parts = [part for part in (row.get("image_data"), row.get("video_data")) if isinstance(part, dict)]
    links = (row.get("file_url"), *(part.get("url") for part in parts))
    return next((link for link in links if isinstance(link, str) and link), "")


async def told_of(graph: Graph, person: str, fields: str) -> Mapping[str, Any]:
    """What Meta tells of a person, empty for those it tells nothing of."""
    try:
        return await graph.call("GET", quote(person, safe=""), query={"fields": fields}, repeatable=True)
    except Refused as error:
        if error.provider_code not in NO_PROFILE and error.provider_code.partition("/")[0] != "230":
            raise
        return {}


# --- parts of answers


def rows(told: Any) -> list[dict[str, Any]]:
    """The objects of a list, as Graph wraps one."""
    data = told.get("data") if isinstance(told, dict) else None
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
