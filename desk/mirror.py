"""Makes Slack show a conversation as it is: its thread, what the customer wrote, notices, files, and the card.

Rule: one run makes at most one post, because Slack takes one a second per Slack channel; what is left makes the next
run. Every post is begun in the database first and known again by its metadata, so none is made twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import structlog

from desk import cards, notices
from desk.blocks import Post, context, plain_text
from desk.cards import Attached, Card, FileState, Line
from desk.slack import Gone, NotAllowed, Rejected, Slack, Unknown
from desk.teams import UPDATE_LANE, Team, Teams
from desk.words import display_name, escape, inline, one_line
from inbox import due
from inbox.changes import Put
from inbox.files import Files
from inbox.store import deliveries, work
from inbox.store import slack as table
from inbox.store.database import Connection, Database
from inbox.store.slack import Head, KeptFile, Notice, Said, Thread
from inbox.store.work import Piece
from inbox.work import Failed, LeaseLost, Ran, Wait
from templates.catalog import Voice

SETTLING = timedelta(seconds=1)  # before looking for a post that may have been made; it counts against the rate too
SHARING = timedelta(seconds=3)  # the same for a file, which Slack shows some time after it has taken it
ALBUM = timedelta(seconds=1.2)  # after its latest part an album counts as complete; Telegram marks no end

Kinds = Mapping[str, str]  # channel name to kind

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
        kinds: Kinds,
        say: Voice,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._slack = slack
        self._teams = teams
        self._store = files
        self._kinds = kinds
        self._say = say
        self._now = now

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
            return await self._look(piece, thread, begun)
        waiting = self._album_open(said)
        if waiting is not None:
            return Ran(again=waiting)
        try:
            if said:
                return await self._lines(piece, thread, said)
            if notice is not None:
                return await self._notice(piece, head, thread, notice)
            return await self._files(piece, thread)
        except Gone:
            async with self._database.transaction() as c:
                await table.lose_thread(c, conversation_id, thread.ts)
            return Ran(again=self._now())

    # the thread

    async def _open(self, piece: Piece, head: Head, thread: Thread | None, said: Sequence[Said]) -> Ran:
        """Post the card that heads the thread, with the messages that are waiting in it."""
        if thread is not None:
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
        team = self._teams.of(head.conversation)
        lines = [self._line(message) for message in said]
        if thread is None:
            count = cards.fits(lines, self._say)
            opening = tuple(message.position for message in said[:count])
            shown = opening[-1] if opening else 0
            post_id = uuid4()
        else:
            opening, shown, post_id = thread.opening, thread.shown_position, uuid4()
        async with self._database.transaction() as c:
            await _fence(c, piece)
            if thread is not None:
                await table.forget_post(c, thread.post_id)
            await table.begin_thread(c, head.conversation.id, team.slack_channel, post_id, opening, shown)
            thread = await table.thread(c, head.conversation.id)
            opened = await table.said(c, head.conversation.id, opening)
        assert thread is not None
        post = self._card(head, team, opened)
        ts = await self._posted(team.slack_channel, post, post_id, None)
        await self._opened(head, thread, ts, _hash(post))
        return Ran(again=self._now(), used=True)

    async def _opened(self, head: Head, thread: Thread, ts: str, card_hash: str, *more: Put) -> None:
        """Record where the thread is, and wake what waited for that."""
        async with self._database.transaction() as c:
            await table.thread_opened(c, head.conversation.id, thread.post_id, ts, card_hash)
            key = f"{thread.slack_channel}:{ts}"
            await work.put(
                c, [Put(kind="slack_thread", key=key), *self._teams.follow_up(head.conversation, lines=False), *more]
            )

    async def _look(self, piece: Piece, thread: Thread, begun: table.Begun) -> Ran:
        """A post was begun and its end not seen: find it, or forget it so that it is made again."""
        found = await self._slack.find(thread.slack_channel, str(begun.id), begun.created_at, thread_ts=thread.ts)
        async with self._database.transaction() as c:
            await _fence(c, piece)
            if found is not None:
                await table.post_sent(c, begun.id, found)
            else:
                await table.forget_post(c, begun.id)
        return Ran(again=self._now())

    # what goes into it

    async def _lines(self, piece: Piece, thread: Thread, said: Sequence[Said]) -> Ran:
        if said[0].direction == "in":
            run = []
            for message in said:
                if message.direction != "in":
                    break
                run.append(message)
            lines = [self._line(message) for message in run]
            count = cards.take_fitting(lines, self._say)
            post, last = cards.lines(lines[:count], self._say), run[count - 1].position
        else:
            post, last = await self._small(said[0]), said[0].position
        await self._once(piece, thread, "lines", "", said[0].position, last, post)
        await self._look_again(thread, [message for message in said if message.position <= last])
        return Ran(again=self._now(), used=True)

    async def _look_again(self, thread: Thread, posted: Sequence[Said]) -> None:
        """A message changed while it was being posted still shows its old words."""
        async with self._database.transaction() as c:
            now = await table.said(c, thread.conversation_id, [message.position for message in posted])
            changed = [new for new, old in zip(now, posted, strict=True) if new.edited_at != old.edited_at]
            names = await table.external_ids(c, [message.id for message in changed])
            await work.put(c, [due.revise(*name) for name in names])

    async def _small(self, message: Said) -> Post:
        """What is no customer message: an event of their app, a note from a window, what the bot said."""
        name = message.author_name or self._say("word.customer")
        kind = self._kinds.get(message.channel, "unknown")
        if message.direction == "event":
            async with self._database.connection() as c:
                head = await table.customer_of_message(c, message.id)
            name = head or name
            what = str(message.body.get("event", ""))
            if what == "opted_out":
                return notices.blocked(name, kind, self._say)
            if what == "opted_in":
                return notices.unblocked(name, kind, self._say)
            if what == "withdrawn":
                async with self._database.connection() as c:
                    words = await table.words_of(c, message.channel, str(message.body.get("detail", "")))
                return notices.withdrawn(name, message.sent_at, words, self._say)
            detail = str(message.body.get("detail", ""))
            words = one_line(f"{name}  {detail}", 300)
            return Post(text=escape(f"{name}: {detail}"), blocks=[context(plain_text(words or "…"))])
        line = Line(at=message.sent_at, sender=message.author_name, channel=kind, text=message.text)
        post = cards.lines([line], self._say)
        mark = "🔒" if message.direction == "note" else "🤖"
        return Post(text=post.text, blocks=post.blocks, username=f"{message.author_name} {mark}"[:80])

    async def _notice(self, piece: Piece, head: Head, thread: Thread, due: Notice) -> Ran:
        notice = due.notice
        async with self._database.connection() as c:
            excerpt = await table.excerpt(c, int(notice.get("message") or 0))
        post = self._worded(head, notice, excerpt)
        await self._once(piece, thread, "notice", due.key, None, None, post)
        return Ran(again=self._now(), used=True)

    def _worded(self, head: Head, notice: Mapping[str, Any], excerpt: str) -> Post:
        name, kind = head.name or self._say("word.customer"), self._kinds.get(str(notice.get("channel", "")), "unknown")
        code, detail = str(notice.get("code", "")), str(notice.get("detail", ""))
        match notice.get("notice"):
            case "doubt":
                return notices.doubt(str(notice["delivery"]), name, kind, excerpt, self._say)
            case "cannot_change" | "change_in_doubt":
                return notices.unchangeable(self._say, kind, withdrawn=code == "withdraw")
            case "ask_first":
                return notices.ask_first(name, kind, str(notice.get("text", "")), str(notice["event"]), self._say)
            case "late_reply":
                at, text = datetime.fromisoformat(str(notice["at"])), str(notice.get("text", ""))
                return notices.late_reply(str(notice["by"]), at, name, kind, text, str(notice["event"]), self._say)
            case "edited":
                return notices.edited(name, excerpt, (), self._say)
            case "misconfigured":
                return notices.failure("misconfigured", name, kind, self._say, detail=detail)
            case "parked":
                since = datetime.fromisoformat(str(notice["since"]))
                return notices.parked(str(notice["kind"]), since, int(notice["attempts"]), detail, self._say)
            case _:
                return notices.failure(code, name, kind, self._say, detail=detail, excerpt=excerpt)

    async def _files(self, piece: Piece, thread: Thread) -> Ran:
        """Put the customer's kept files into the thread: those of one message, or of one album, in one post."""
        async with self._database.connection() as c:
            files, more = await table.files_due(c, thread.conversation_id, thread.shown_position)
        if more:
            return Ran(again=self._now() + ALBUM)
        if not files:
            async with self._database.transaction() as c:
                failed = await table.files_failed(c, thread.conversation_id, thread.shown_position)
                card = Put(kind="card", key=str(thread.conversation_id), lane=UPDATE_LANE)
                await work.put(c, [card, *(due.revise(*name) for name in failed)])
            return Ran()
        begun = [file for file in files if file.slack_file]
        settled = [file for file in begun if await self._is_settled(file)]
        if settled:
            return Ran(again=self._now())
        uploaded = []
        for file in files:
            if (slack_file := await self._uploaded(piece, file)) is not None:
                uploaded.append((slack_file, file.filename or _named(file.media_type)))
        if len(uploaded) < len(files):
            return Ran(again=self._now())
        sender = display_name(
            files[0].author_name, self._kind_word(files[0].channel), nobody=self._say("word.customer")
        )
        try:
            await self._slack.share(uploaded, thread.slack_channel, str(thread.ts), f"📎 {inline(sender)}")
        except Rejected as error:
            async with self._database.transaction() as c:
                for file in files:
                    await table.file_refused(c, file.id, str(error))
            return Ran(again=self._now())
        except Unknown as error:
            raise Wait(SHARING, "Slack did not say whether it took the files", whole_lane=True) from error
        await self._files_shown(files)
        return Ran(again=self._now(), used=True)

    async def _is_settled(self, file: KeptFile) -> bool:
        """Learn what became of a file handed over earlier: it stands in the thread, or Slack has forgotten it."""
        try:
            if not await self._slack.shared(file.slack_file):
                return False
            await self._files_shown([file])
        except Gone:
            async with self._database.transaction() as c:
                await table.file_begun(c, file.id, "")
        return True

    async def _uploaded(self, piece: Piece, file: KeptFile) -> str | None:
        """The file's id at Slack, which has its bytes then; None when Slack refuses this file for good."""
        if file.slack_file:
            return file.slack_file
        name = file.filename or _named(file.media_type)
        try:
            slack_file = await self._slack.begin_upload(name, await self._store.read(file.path))
        except (Rejected, FileNotFoundError) as error:
            async with self._database.transaction() as c:
                await table.file_refused(c, file.id, str(error) if isinstance(error, Rejected) else "file_lost")
            return None
        except Unknown as error:
            raise Wait(SHARING, "Slack did not say whether it took the file", whole_lane=True) from error
        async with self._database.transaction() as c:
            await _fence(c, piece)
            await table.file_begun(c, file.id, slack_file)
        return slack_file

    async def _files_shown(self, files: Sequence[KeptFile]) -> None:
        """Record it; the posts that promised the files need not promise them any longer."""
        async with self._database.transaction() as c:
            for file in files:
                await table.file_shown(c, file.id)
            await work.put(c, [due.revise(file.channel, file.external_id) for file in files])

    async def _once(
        self,
        piece: Piece,
        thread: Thread,
        kind: str,
        key: str,
        first: int | None,
        last: int | None,
        post: Post,
    ) -> None:
        """Make a post that is not repeated when its answer is lost, and made of bare words when Slack rejects it."""
        id = uuid4()
        async with self._database.transaction() as c:
            await _fence(c, piece)
            await table.begin_post(c, id, thread.conversation_id, thread.slack_channel, kind, key, first, last)
        try:
            ts = await self._posted(thread.slack_channel, post, id, thread.ts)
        except Rejected as error:
            if not post.blocks:
                raise
            log.error("slack.post_rejected", conversation=thread.conversation_id, error=str(error))
            await self._once(piece, thread, kind, key, first, last, replace(post, blocks=[]))
            return
        async with self._database.transaction() as c:
            await table.post_sent(c, id, ts)

    async def _posted(self, slack_channel: str, post: Post, id: UUID, thread_ts: str | None) -> str:
        try:
            return await self._slack.post(slack_channel, post, id=str(id), thread_ts=thread_ts)
        except (Wait, NotAllowed, Rejected, Gone):  # surely not posted
            async with self._database.transaction() as c:
                await table.forget_post(c, id)
            raise
        except Unknown as error:
            raise Wait(SETTLING, str(error), whole_lane=True) from error

    async def alarms(self, piece: Piece) -> Ran:
        """Post an alarm that belongs to no conversation, into the Slack channel that is the key."""
        async with self._database.connection() as c:
            notice = await table.notice_without_thread(c)
        if notice is None:
            return Ran()
        detail = str(notice.notice.get("detail", ""))
        since = datetime.fromisoformat(str(notice.notice["since"]))
        post = notices.parked(str(notice.notice["kind"]), since, int(notice.notice["attempts"]), detail, self._say)
        async with self._database.transaction() as c:
            await _fence(c, piece)
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
        post = self._card(head, self._teams.of(head.conversation), opened)
        if _hash(post) == thread.card_hash:
            return Ran()
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
            await table.card_shown(c, conversation_id, _hash(post))
        return Ran(used=True)

    async def revise(self, piece: Piece) -> Ran:
        """A customer edited a message: the post that shows it is changed, or the thread says what it says now."""
        channel, _, external_id = piece.key.partition(":")
        async with self._database.connection() as c:
            place = await table.by_external_id(c, channel, external_id)
            thread = await table.thread(c, place[0]) if place else None
            if place is None or thread is None or thread.ts is None or place[1] > thread.shown_position:
                return Ran()
            showing = await table.post_showing(c, *place)
            said = await table.said_between(c, place[0], showing[2], showing[3]) if showing else []
        if showing is None:
            async with self._database.transaction() as c:
                await work.put(c, [Put(kind="card", key=str(place[0]), lane=UPDATE_LANE)])
            return Ran()
        post = cards.lines([self._line(message) for message in said], self._say)
        try:
            await self._slack.update(showing[0], showing[1], post)
        except (Rejected, Gone):
            async with self._database.transaction() as c:
                message = next(x for x in said if x.position == place[1])
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

    # words

    def _card(self, head: Head, team: Team, opened: Sequence[Said]) -> Post:
        conversation = head.conversation
        used = [self._kinds.get(channel, channel) for channel in head.channels] or [head.address_kind]
        view = Card(
            conversation=str(conversation.id),
            customer=head.name,
            channels=tuple(dict.fromkeys(used)),
            address=head.phone or _address(head),
            proof=head.proof,
            language=conversation.language,
            tags=tuple(sorted(conversation.tags)),
            priority=conversation.priority.name.lower(),
            state=conversation.state.value,
            agent=conversation.agent,
            team=team.name,
            waiting_since=conversation.waiting_since,
            blocked=head.silenced,
            opening=tuple(self._line(message) for message in opened),
            shown=len(opened),
        )
        return cards.card(view, self._say)

    def _line(self, message: Said) -> Line:
        body = message.body
        return Line(
            at=message.sent_at,
            sender=message.author_name,
            channel=self._kinds.get(message.channel, "unknown"),
            subject=message.subject,
            text=message.text,
            spans=deliveries.spans(body.get("spans", ())),
            attached=tuple(_attached(file) for file in message.files),
            quoted=str(body.get("quoted", "")),
            forwarded_from=str(body.get("forwarded_from", "")),
            stub=str(body.get("stub", "")),
            edited=message.edited_at is not None,
            withdrawn=message.withdrawn_at is not None,
        )

    def _kind_word(self, channel: str) -> str:
        return self._say.word("channel", self._kinds.get(channel, "unknown"))

    def _album_open(self, said: Sequence[Said]) -> datetime | None:
        """Until when to wait for the rest of an album, if the newest message is part of one."""
        if not said or not said[-1].album:
            return None
        complete = said[-1].created_at + ALBUM
        return complete if complete > self._now() else None


async def _fence(c: Connection, piece: Piece) -> None:
    if not await work.holds(c, piece):
        raise LeaseLost


def _attached(file: Mapping[str, Any]) -> Attached:
    if file["state"] == "failed":
        state = FileState.TOO_BIG if file["why"] == "file_too_big" else FileState.LOST
    else:
        state = FileState.ARRIVING if file["shown_at"] is None else FileState.SHOWN
    return Attached(name=file["filename"], media_type=file["media_type"], size=file["size"], state=state)


def _address(head: Head) -> str:
    return f"{head.address_kind}:{head.address}" if head.address else ""


def _named(media_type: str) -> str:
    """A name for a file that came without one, with an ending that Slack shows a preview for."""
    main, _, ending = media_type.partition("/")
    ending = {"jpeg": "jpg", "ogg": "ogg", "quicktime": "mov", "plain": "txt"}.get(ending, ending)
    return f"{main or 'file'}.{ending}" if ending.isalnum() else main or "file"


def _hash(post: Post) -> str:
    return hashlib.blake2b(orjson.dumps([post.text, post.blocks]), digest_size=12).hexdigest()
