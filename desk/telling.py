"""The notices in a conversation's Slack thread, as things stand by now: when they are posted, and afterwards.

Rule: a notice about a reply follows it. What was in doubt, or had failed, says in the same post what became of it, and
nobody is offered a button that no longer does anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

import orjson

from channels.channel import Capabilities
from desk import ways
from desk.blocks import Place, Post
from desk.notices import Way
from desk.slack import Gone, Rejected, Slack, Unknown
from desk.views import CUT_OFF, Facts, Views
from inbox.changes import place_of
from inbox.store import places
from inbox.store import slack as table
from inbox.store.database import Connection, Database
from inbox.store.slack import Head, Notice
from inbox.work import Failed


class Telling:
    """Makes and mends the posts of notices. `approved` tells whether a channel has templates of its provider's."""

    def __init__(
        self,
        database: Database,
        slack: Slack,
        views: Views,
        *,
        capabilities: Mapping[str, Capabilities],
        approved: Callable[[str], bool],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._slack = slack
        self._views = views
        self._capabilities = capabilities
        self._approved = approved
        self._now = now  # the shop's clock, by which windows close

    async def post(self, c: Connection, head: Head, notice: Notice) -> Post:
        """A notice as it is to be shown now."""
        return self._views.notice(head, notice.notice, await self._facts(c, head, notice))

    async def follow(self, message_id: int) -> bool:
        """Bring the posts that say something of a message up to date. True when Slack was asked for anything."""
        async with self._database.connection() as c:
            posted = await table.notices_about(c, message_id)
            head = await table.head(c, posted[0].conversation_id) if posted else None
            if head is None:
                return False
            posts = [await self.post(c, head, each.notice) for each in posted]
        changed = False
        for old, post in zip(posted, posts, strict=True):
            if face(post) == old.face:
                continue
            changed = True
            try:
                await self._slack.update(old.slack_channel, old.ts, post)
            except Unknown as error:
                raise Failed(str(error)) from error
            except (Gone, Rejected):
                pass  # somebody deleted it: there is nothing to be true any more
            async with self._database.connection() as c:
                await table.notice_faced(c, old.notice.key, face(post))
        return changed

    async def _facts(self, c: Connection, head: Head, notice: Notice) -> Facts:
        told = notice.notice
        message_id = int(told.get("message") or 0)
        excerpt = await table.excerpt(c, message_id)
        match told.get("notice"):
            case "doubt" | "failure" if told.get("delivery"):
                fate = await table.fate(c, UUID(str(told["delivery"])), notice.id)
                channel, code = str(told.get("channel", "")), str(told.get("code", ""))
                found = await self._ways(c, head) if fate is not None and code in CUT_OFF else []
                templates = code == "window_closed" and channel == head.conversation.channel and self._approved(channel)
                return Facts(excerpt=excerpt, fate=fate, ways=tuple(found), templates=templates)
            case "moved_onto" | "same_person":
                other = await table.whose(c, str(told.get("kind", "")), str(told.get("detail", "")))
                if other is None:
                    return Facts()
                thread = None
                if other.ts:
                    url = self._slack.link(other.slack_channel, other.ts)
                    thread = Place(slack_channel=other.slack_channel, url=url)
                return Facts(other=other.name, thread=thread)
            case "edited":
                return Facts(excerpt=excerpt, erased=await table.is_erased(c, message_id))
            case _:
                return Facts(excerpt=excerpt)

    async def _ways(self, c: Connection, head: Head) -> list[Way]:
        conversation = head.conversation
        here = place_of(conversation.channel, conversation.address_id)
        reached = await places.reached(c, conversation.id)
        usable = ways.usable(reached, here, self._capabilities, self._now())
        return ways.named(usable, self._views.channel_word)


def face(post: Post) -> str:
    """Equal for posts that look the same."""
    return hashlib.blake2b(orjson.dumps([post.text, post.blocks]), digest_size=12).hexdigest()
