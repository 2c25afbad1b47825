"""What Meta's Conversations API lists, read as the events a webhook would have brought.

Rule: what is not surely the customer's is never read as theirs, or the shop would answer itself.
https://developers.facebook.com/documentation/business-messaging/messenger-platform/conversations
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog

from channels.channel import Pulled
from channels.errors import Malformed, Retry
from channels.message import Attachment, Event, Proof, Received, SentElsewhere
from channels.meta.calls import FILES_OF, link_in, rows
from channels.meta.content import file_at, web
from channels.meta.graph import AHEAD, Graph, those, told_at
from channels.meta.parse import Account
from channels.meta.wire import Id
from channels.values import media_type, name, shown_filename
from channels.wire import Number, Wire, decoded, mended

log = structlog.get_logger()

FIRST = timedelta(days=1)
OVERLAP = timedelta(minutes=5)  # what was told late is asked for again; it is known again by its id
PAGE = 25  # conversations a call, newest first
PAGES = 40  # calls a time: a thousand conversations moved since the last
PAUSE = 0.5  # seconds: two calls a second and account, /overview/rate-limiting
FULL = 95  # percent of Meta's limits; what is left is for what people wait for
REST = timedelta(minutes=5)
MESSAGES = 20  # of each conversation; older ones are listed without what they say
FIELDS = f"id,created_time,from,to,message,{FILES_OF}"


class Someone(Wire, frozen=True):
    id: str | Number = ""
    name: str = ""
    username: str = ""


class Recipients(Wire, frozen=True):
    data: list[msgspec.Raw] = []  # noqa: RUF012  a struct copies it


class Link(Wire, frozen=True):
    link: str = ""


class StoryTold(Wire, frozen=True):
    mention: Link | None = None
    reply_to: Link | None = None


class Past(Wire, frozen=True):
    id: Id
    created_time: str | Number = ""
    sender: Someone = Someone()
    to: Recipients = Recipients()
    message: str = ""
    attachments: Any = None
    shares: Any = None
    sticker: str = ""
    story: StoryTold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """How the conversations of one account are asked for, and which ids in them are the shop's."""

    account: Account
    node: str
    platform: str
    fields: str = FIELDS
    pause: float = PAUSE

    def ours(self, who: Someone) -> bool:
        return str(who.id) in (self.account.id, self.node)


async def missed(graph: Graph, listing: Listing, after: str, now: datetime) -> Pulled:
    """What was said since `after`, the time until which conversations were seen, in the order it was said."""
    since = told(after, now - FIRST)
    newest, found = since, []
    query = {
        "platform": listing.platform,
        "fields": f"updated_time,messages.limit({MESSAGES}){{{listing.fields}}}",
        "limit": str(PAGE),
    }
    for _ in range(PAGES):
        answer = await graph.call("GET", f"{listing.node}/conversations", query=query, repeatable=True)
        moved = [(min(told(row.get("updated_time"), now), now), row) for row in rows(answer)]
        fresh = [(at, row) for at, row in moved if at >= since - OVERLAP]
        for at, row in fresh:
            newest = max(newest, at)
            found += [it for it in past(listing, rows(row.get("messages")), now) if it[0] >= since - OVERLAP]
        following = onward(answer)
        if len(fresh) < len(moved) or not following:
            break
        if graph.used >= FULL:
            raise Retry("What Meta lets us ask is nearly used up, and answers come first.", after=REST)
        query["after"] = following
        await asyncio.sleep(listing.pause)
    else:
        log.warning("missed.too_many", channel=listing.account.channel, conversations=PAGE * PAGES)
    found.sort(key=lambda it: it[0])
    return Pulled(cursor=newest.isoformat(), events=tuple(event for _, event in found))


def past(listing: Listing, listed: list[dict[str, Any]], now: datetime) -> Iterator[tuple[datetime, Event]]:
    for row in listed:
        try:
            raw = mended(json.dumps(row).encode())
        except Malformed:
            continue
        message = decoded(msgspec.Raw(raw), Past)
        if message is not None and (event := said(listing, message, raw, now)) is not None:
            yield at_most(message.created_time, now), event


def said(listing: Listing, message: Past, raw: bytes, now: datetime) -> Event | None:
    """None for what cannot be told whose it is.

    The list does not tell whether another program has the talk, so no program answers what it brings: an
    acknowledgement that is left out is worth less than two programs speaking at once.
    """
    account, at = listing.account, at_most(message.created_time, now)
    readers = those(message.to.data, Someone)
    others = [who for who in readers if not listing.ours(who)]
    text, files, stub = content(message)
    if listing.ours(message.sender):
        if not others:
            return None
        return SentElsewhere(
            channel=account.channel,
            external_id=message.id,
            to=account.address(str(others[0].id)),
            at=at,
            text=text,
            attachments=files,
            stub=stub,
            raw=raw,
        )
    if not message.sender.id or len(others) == len(readers):
        return None
    return Received(
        channel=account.channel,
        external_id=message.id,
        sender=account.address(str(message.sender.id)),
        sender_name=name(message.sender.name or message.sender.username),
        sent_at=at,
        text=text,
        attachments=files,
        quoted=web(message.story.reply_to.link) if message.story and message.story.reply_to else "",
        stub=stub,
        proof=Proof.PLATFORM,
        retractable=True,
        quiet=True,
        raw=raw,
    )


def content(message: Past) -> tuple[str, tuple[Attachment, ...], str]:
    """Text, files and stub. Of a story nothing but its link."""
    story = message.story or StoryTold()
    if story.mention:
        text = "\n".join(filter(None, (message.message, web(story.mention.link))))
        return text, (), "story_mention"
    files = tuple(
        it for number, row in enumerate(rows(message.attachments)) if (it := attached(row, message.id, number))
    )
    if not files and (sticker := web(message.sticker)):
        files = (file_at(sticker, "sticker", message.id, 0),)
    links = [link for row in rows(message.shares) if (link := web(str(row.get("link") or "")))]
    text = "\n".join((*filter(None, (message.message,)), *links))
    if story.reply_to:
        return text, files, "story_reply"
    return text, files, "" if text or files else "empty"


def attached(row: dict[str, Any], mid: str, number: int) -> Attachment | None:
    link = web(link_in(row))
    if not link:
        return None
    kind = "image" if row.get("image_data") else "video" if row.get("video_data") else "file"
    size, filename = row.get("size"), row.get("name")
    return file_at(
        link,
        kind,
        mid,
        number,
        media_type=media_type(str(row.get("mime_type") or ""), ""),
        filename=shown_filename(filename) if isinstance(filename, str) else "",
        size=size if type(size) is int and 0 < size < 2**40 else None,
    )


def told(when: object, otherwise: datetime) -> datetime:
    """A time as Meta writes it, `2026-01-01T09:30:00+0000` or a number; `otherwise` for what is none."""
    text = str(when or "")
    if text.isdigit():
        return told_at(text, otherwise)
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return otherwise


def at_most(when: object, now: datetime) -> datetime:
    """A time as `told` reads it, as far ahead of ours as a clock of Meta's may be."""
    return min(told(when, now), now + AHEAD)


def onward(answer: dict[str, Any]) -> str:
    """The cursor of the next page, "" on the last one."""
    paging = answer.get("paging")
    cursors = paging.get("cursors") if isinstance(paging, dict) and paging.get("next") else None
    after = cursors.get("after") if isinstance(cursors, dict) else None
    return after if isinstance(after, str) else ""
