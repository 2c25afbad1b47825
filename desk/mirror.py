"""Makes Slack show a conversation as it is: its thread, what the customer wrote, notices, files, and the card.

Rule: one run makes at most one post, because Slack takes one a second per Slack channel; what is left makes the next
run. Every post is begun in the database first and known again by its metadata, so none is made twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from uuid import uuid4

import structlog

from desk import cards
from desk.attachments import Attachments
from desk.blocks import Place, Post
from desk.posting import Posting, fence
from desk.slack import Gone, NotAllowed, Rejected, Slack, Unknown
from desk.teams import UPDATE_LANE, Teams, post_lane
from desk.telling import Telling, face
from desk.views import Views
from inbox import due
from inbox.changes import Put
from inbox.files import Files
from inbox.store import deliveries, work
from inbox.store import slack as table
from inbox.store.database import Database
from inbox.store.slack import Head, Left, Notice, Said, Thread
from inbox.store.work import Piece
from inbox.work import Failed, Ran, Wait

LAST = 5  # messages with which a conversation begins in the Slack channel it has moved to
ALBUM = timedelta(seconds=1.2)  # after its latest part an album counts as complete; Telegram marks no end

log = structlog.get_logger()


class Mirror:
    """Handlers of the work kinds `mirror`, `card` and `revise`."""

    def __init__(
        self,
        database: Database,
        slack: Slack,
        teams: Teams,
        files: Files,
        *,
        views: Views,
        telling: Telling,
        now: Callable[[], datetime],
        shop: Callable[[], datetime],
    ) -> None:
        """`now` is the machine's clock, `shop` the one by which windows close."""
        self._database = database
        self._slack = slack
        self._teams = teams
        self._now = now
        self._shop = shop
        self._views = views
        self._telling = telling
        self._posting = Posting(database, slack, now=now)
        self._attachments = Attachments(database, slack, files, self._views, now=now)
        self.unshare = self._attachments.unshare

    async def mirror(self, piece: Piece) -> Ran:
        """Bring the Slack thread of a conversation one post closer to the truth."""
        conversation_id = int(piece.key)
        async with self._database.connection() as c:
            head = await table.head(c, conversation_id)
            thread = await table.thread(c, conversation_id)
            if head is None:
                return Ran()
            shown = thread.shown_position if thread else 0
            said = await table.unshown(c, conversation_id, shown)
            notice = await table.notice_due(c, conversation_id)
            begun = await table.begun(c, conversation_id)
        if thread is None or thread.ts is None:
            if thread is None and not said and notice is None:
                return Ran()
            return await self._open(piece, head, thread, said)
        if begun is not None:
            return await self._posting.look(piece, thread, begun)
        if self._stands_elsewhere(head, thread):
            return await self._open(piece, head, thread, said)
        waiting = self._album_open(said)
        if waiting is not None:
            return Ran(again=waiting)
        try:
            if said:
                return await self._lines(piece, thread, said)
            if notice is not None:
                return await self._notice(piece, head, thread, notice)
            return await self._attachments.show(piece, thread)
        except Gone:
            async with self._database.transaction() as c:
                await table.lose_thread(c, conversation_id, thread.ts)
            return Ran(again=self._now())

    # the thread

    async def _open(self, piece: Piece, head: Head, thread: Thread | None, said: Sequence[Said]) -> Ran:
        """Post the card that heads the thread, with the messages that are waiting in it.

        One that stands in the Slack channel of another team is left for a new one, whose card begins with the last
        messages. What was begun in it has been settled by then.
        """
        team = self._teams.of(head.conversation)
        if piece.lane != post_lane(team.slack_channel):
            async with self._database.transaction() as c:
                await work.put(c, self._teams.follow_up(head.conversation, lines=True))
            return Ran()  # it comes again in the lane of the Slack channel it is to be posted to
        if thread is not None and thread.ts is None:
            async with self._database.connection() as c:
                began = await table.began_at(c, thread.post_id)
            found = await self._slack.find(thread.slack_channel, str(thread.post_id), began) if began else None
            if found is not None:
                # Whoever died before recording this thread also missed what agents wrote in it since.
                await self._opened(head, thread, found, "", Put(kind="catchup", key=thread.slack_channel))
                return Ran(again=self._now())
        waiting = self._album_open(said)
        if waiting is not None:
            return Ran(again=waiting)
        moves = self._stands_elsewhere(head, thread)
        if thread is None:
            opening, shown = self._fitting(_customers(said))
        elif moves and thread.ts is not None:
            opening, shown = await self._last(thread)
        else:
            opening, shown = thread.opening, thread.shown_position
        post_id = uuid4()
        async with self._database.transaction() as c:
            await fence(c, piece)
            if thread is not None:
                await table.forget_post(c, thread.post_id)
            if moves:
                await table.leave_threads(c, head.conversation.id)
            await table.begin_thread(c, head.conversation.id, team.slack_channel, post_id, opening, shown)
            thread = await table.thread(c, head.conversation.id)
            opened = await table.said(c, head.conversation.id, opening)
            left = await table.left(c, head.conversation.id)
        assert thread is not None
        post = self._card(head, thread, opened, left)
        ts = await self._posting.begun(team.slack_channel, post, post_id, None)
        await self._opened(head, thread, ts, face(post))
        return Ran(again=self._now(), used=True)

    def _fitting(self, run: Sequence[Said]) -> tuple[tuple[int, ...], int]:
        """Which of these messages a new card takes, and up to where it shows them whole."""
        count = cards.fits([self._views.line(message) for message in run], self._views.say)
        # Of a message too long for the card it shows the beginning; the thread shows it all.
        opening = tuple(message.position for message in run[: max(count, 1)])
        return opening, opening[-1] if count else 0

    async def _last(self, thread: Thread) -> tuple[tuple[int, ...], int]:
        """The last messages that were shown in a thread, for the card of the one that follows it."""
        async with self._database.connection() as c:
            run = await table.recent(c, thread.conversation_id, thread.shown_position, LAST)
        while run:
            opening, shown = self._fitting(run)
            if len(opening) == len(run):
                return opening, shown
            run = run[1:]
        return (), 0

    def _stands_elsewhere(self, head: Head, thread: Thread | None) -> bool:
        """Whether the conversation is another team's by now, which reads another Slack channel."""
        return thread is not None and thread.slack_channel != self._teams.of(head.conversation).slack_channel

    async def _opened(self, head: Head, thread: Thread, ts: str, card_hash: str, *more: Put) -> None:
        """Record where the thread is, and wake what waited for that."""
        async with self._database.transaction() as c:
            await table.thread_opened(c, head.conversation.id, thread.post_id, ts, card_hash)
            key = f"{thread.slack_channel}:{ts}"
            await work.put(
                c, [Put(kind="slack_thread", key=key), *self._teams.follow_up(head.conversation, lines=False), *more]
            )

    # what goes into it

    async def _lines(self, piece: Piece, thread: Thread, said: Sequence[Said]) -> Ran:
        if said[0].direction == "in":
            run = _customers(said)
            lines = [self._views.line(message) for message in run]
            count = cards.take_fitting(lines, self._views.say)
            post, last = cards.lines(lines[:count], self._views.say), run[count - 1].position
        else:
            post, last = await self._small(said[0]), said[0].position
        await self._posting.once(piece, thread, "lines", "", post, first=said[0].position, last=last)
        await self._look_again(thread, [message for message in said if message.position <= last])
        return Ran(again=self._now(), used=True)

    async def _look_again(self, thread: Thread, posted: Sequence[Said]) -> None:
        """A message that was changed or taken back while it was being posted still shows its old words."""
        async with self._database.transaction() as c:
            now = await table.said(c, thread.conversation_id, [message.position for message in posted])
            changed = [
                new
                for new, old in zip(now, posted, strict=True)
                if (new.edited_at, new.withdrawn_at) != (old.edited_at, old.withdrawn_at)
            ]
            names = await table.external_ids(c, [message.id for message in changed])
            await work.put(c, [due.revise(*name) for name in names])

    async def _small(self, message: Said) -> Post:
        """What is no customer message: an event of their app, a note from a window, what the bot said."""
        if message.direction != "event":
            return self._views.aside(message)
        async with self._database.connection() as c:
            customer = await table.customer_of_message(c, message.id)
            words = await table.words_of(c, message.channel, str(message.body.get("detail", "")))
        return self._views.event(message, customer, words)

    async def _notice(self, piece: Piece, head: Head, thread: Thread, due: Notice) -> Ran:
        async with self._database.connection() as c:
            post = await self._telling.post(c, head, due)
            await table.notice_faced(c, due.key, face(post))
        await self._posting.once(piece, thread, "notice", due.key, post)
        return Ran(again=self._now(), used=True)

    async def alarms(self, piece: Piece) -> Ran:
        """Post an alarm that belongs to no conversation, into the Slack channel that is the key."""
        async with self._database.connection() as c:
            notice = await table.notice_without_thread(c)
        if notice is None:
            return Ran()
        post = self._views.alarm(notice.notice)
        async with self._database.transaction() as c:
            await fence(c, piece)
            await table.notice_shown(c, notice.key)
        try:
            await self._slack.post(piece.key, post, id=notice.key[:200])
        except Unknown:
            pass  # an alarm may be lost with its answer, but never rings twice
        except (Wait, Failed, Gone):
            async with self._database.transaction() as c:
                await table.notice_due_again(c, notice.key)
            raise
        return Ran(again=self._now(), used=True)

    # the card

    async def card(self, piece: Piece) -> Ran:
        """Keep the card true with one update, whatever number of changes there were."""
        conversation_id = int(piece.key)
        async with self._database.connection() as c:
            head = await table.head(c, conversation_id)
            thread = await table.thread(c, conversation_id)
            if head is None or thread is None or thread.ts is None:
                return Ran()
            opened = await table.said(c, conversation_id, thread.opening)
            left = await table.left(c, conversation_id)
        if self._stands_elsewhere(head, thread):
            async with self._database.transaction() as c:
                await work.put(c, self._teams.follow_up(head.conversation, lines=True))
            return Ran()
        post = self._card(head, thread, opened, left)
        if face(post) == thread.card_hash:
            return await self._lead_on(head, thread, left)
        try:
            await self._slack.update(thread.slack_channel, thread.ts, post)
        except Gone:
            async with self._database.transaction() as c:
                await table.lose_thread(c, conversation_id, thread.ts)
                await work.put(c, self._teams.follow_up(head.conversation, lines=True))
            return Ran()
        except Unknown as error:
            raise Failed(str(error)) from error
        async with self._database.transaction() as c:
            await table.card_shown(c, conversation_id, face(post))
        return Ran(again=self._now() if _behind(thread, left) else None, used=True)

    def _card(self, head: Head, thread: Thread, opened: Sequence[Said], left: Sequence[Left]) -> Post:
        came_from = self._place(left[0].slack_channel, left[0].ts) if left else None
        team = self._teams.of(head.conversation)
        shown = _in_card(thread, opened)
        return self._views.card(head, team, opened, shown, came_from=came_from, now=self._shop())

    def _place(self, slack_channel: str, ts: str) -> Place:
        return Place(slack_channel=slack_channel, url=self._slack.link(slack_channel, ts))

    async def _lead_on(self, head: Head, thread: Thread, left: Sequence[Left]) -> Ran:
        """Have the card of a thread that was left say where the conversation goes on."""
        behind = _behind(thread, left)
        if behind is None:
            return Ran()
        here = self._place(thread.slack_channel, str(thread.ts))
        post = self._views.moved(head, self._teams.of(head.conversation), here)
        try:
            await self._slack.update(behind.slack_channel, behind.ts, post)
        except (Gone, NotAllowed, Rejected) as error:
            log.info("slack.left_card_kept", conversation=thread.conversation_id, error=type(error).__name__)
        except Unknown as error:
            raise Failed(str(error)) from error
        async with self._database.transaction() as c:
            await table.left_told(c, behind.id, str(thread.post_id))
        return Ran(again=self._now(), used=True)

    async def revise(self, piece: Piece) -> Ran:
        """A customer edited a message: the post that shows it is changed, or the thread says what it says now."""
        channel, _, external_id = piece.key.partition(":")
        async with self._database.connection() as c:
            place = await table.by_external_id(c, channel, external_id)
            thread = await table.thread(c, place[0]) if place else None
            if place is None or thread is None or thread.ts is None or place[1] > thread.shown_position:
                return Ran()
            showing = await table.post_showing(c, *place)
            opens = place[1] in thread.opening
            said = await table.said_between(c, place[0], showing[2], showing[3]) if showing else []
        if showing is None or opens:
            async with self._database.transaction() as c:
                await work.put(c, [Put(kind="card", key=str(place[0]), lane=UPDATE_LANE)])
        message = next((message for message in said if message.position == place[1]), None)
        if showing is None or message is None:
            return Ran()  # what an agent wrote in the thread stands there by itself
        if message.body.get("erased"):
            await self._telling.follow(message.id)
        ours = message.direction != "in"
        if ours:
            post = await self._small(message)
        else:
            post = cards.lines([self._views.line(message) for message in said], self._views.say)
        try:
            await self._slack.update(showing[0], showing[1], post)
        except (Rejected, Gone):
            if ours or message.withdrawn_at is not None:
                return Ran()
            async with self._database.transaction() as c:
                key = f"edited:{message.id}:{message.edited_at}"
                notice = {"notice": "edited", "channel": channel, "message": message.id}
                if await deliveries.notify_desk(c, place[0], key, notice):
                    head = await table.head(c, place[0])
                    assert head is not None
                    await work.put(c, self._teams.follow_up(head.conversation, lines=True))
        except Unknown as error:
            raise Failed(str(error)) from error
        async with self._database.connection() as c:
            now = await table.said_between(c, place[0], showing[2], showing[3])
        # Two messages of one post may be revised at once, and the older words of one reach Slack last.
        return Ran(again=self._now() if now != said else None, used=True)

    def _album_open(self, said: Sequence[Said]) -> datetime | None:
        """Until when to wait for the rest of an album, if the newest message is part of one."""
        if not said or not said[-1].album:
            return None
        complete = said[-1].created_at + ALBUM
        return complete if complete > self._now() else None


def _customers(said: Sequence[Said]) -> list[Said]:
    """The customer's messages up to what is none."""
    return list(takewhile(lambda message: message.direction == "in", said))


def _behind(thread: Thread, left: Sequence[Left]) -> Left | None:
    """A thread that was left and whose card does not lead to this one yet."""
    return next((old for old in left if old.told != str(thread.post_id)), None)


def _in_card(thread: Thread, opened: Sequence[Said]) -> int:
    """How many of the opening messages the card was made to hold."""
    return sum(message.position <= thread.card_position for message in opened)
