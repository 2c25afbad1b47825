"""What Slack tells us: every event is stored by its id before it is answered, then acted on as work, thread by thread.

Rule: acting is safe to repeat. A reply is stored under the Slack message it was written in, which is unique.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import structlog

from channels.message import Attachment
from desk import commands, notices
from desk.blocks import Post
from desk.commands import AskFirst, ChangeReply, Facts, Ignore, Note, Refuse, Send, Silence, SlackFile, WithdrawReply
from desk.desk import Desk
from desk.people import Someone
from desk.reading import Names
from desk.teams import Team, post_lane
from inbox.changes import Put
from inbox.replies import Draft, NoAddress
from inbox.store import deliveries, messages, work
from inbox.store import slack as table
from inbox.store.database import away
from inbox.store.slack import Event, Head
from inbox.store.work import Piece
from inbox.work import Failed, Ran, Wait
from templates.catalog import Voice

# What an admin does so that posts can be made again; the bot's own coming back is looked at more closely.
_MENDED = frozenset({"channel_unarchive", "group_unarchive", "member_joined_channel"})
FOUND = "found:"  # begins the id of an event that Slack never told us of and `desk.catchup` found
LATE = timedelta(minutes=30)  # after that an answer may no longer be what its author would say
SOURCE = "slack"  # the channel name under which agents' messages are stored
TRIES = 3  # of one event that fails for a reason of its own
PATIENCE = timedelta(minutes=10)  # for an event of a thread that is being opened to find its conversation
RELOOK = timedelta(seconds=2)

_WORDS = frozenset({"text", "blocks", "attachments", "files"})  # what a Slack message says

_MENTION = re.compile(r'(?:<@|"user_id":")([UW][A-Z0-9]{2,})')

log = structlog.get_logger()


class Events:
    """Receives Slack's events, over HTTP and Socket Mode alike, and acts on them. Work kind `slack_thread`.

    Rule: of what nobody acts on, and of our own posts, no words are kept: a customer may unsend what stands in them.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def receive(self, envelope: Mapping[str, Any]) -> None:
        """Store an event; it may be answered once this returns. Raises what `away` knows when the database is."""
        event = envelope.get("event")
        event_id = str(envelope.get("event_id") or "")
        if not event_id or not isinstance(event, Mapping):
            return
        slack_channel, thread_ts, outcome = self._sorted(event)
        async with self._desk.database.transaction() as c:
            kept = {} if outcome else {**envelope, "event": _without_ours(event)}
            fresh = await table.store_event(c, event_id, slack_channel, thread_ts, kept, outcome)
            if fresh and not outcome:
                await work.put(c, [Put(kind="slack_thread", key=f"{slack_channel}:{thread_ts}")])
            if fresh and self._mended(event):
                await work.wake(c, post_lane(str(event["channel"])))

    def _sorted(self, event: Mapping[str, Any]) -> tuple[str, str, str]:
        """Which Slack thread an event belongs to, and why there is nothing to do, if there is not."""
        if event.get("type") != "message":
            return "", "", f"ignored:{event.get('type')}"
        slack_channel = str(event.get("channel") or "")
        inner = event.get("message") or event.get("previous_message") or event
        ours = self._desk.slack.identity
        deleted = event.get("subtype") == "message_deleted"
        if ours and inner.get("bot_id") == ours.bot_id and not deleted:
            return slack_channel, "", "ours"
        if self._desk.teams.at(slack_channel) is None:
            return slack_channel, "", "other_channel"
        if not (inner.get("thread_ts") or event.get("message") or deleted):
            return slack_channel, "", "not_in_a_thread"
        thread_ts = str(
            inner.get("thread_ts") or event.get("thread_ts") or event.get("deleted_ts") or inner.get("ts") or ""
        )
        return slack_channel, thread_ts, "" if thread_ts else "no_thread"

    def _mended(self, event: Mapping[str, Any]) -> bool:
        """Whether posts that were refused in a Slack channel of ours can be made from now on."""
        if event.get("type") not in _MENDED or self._desk.teams.at(str(event.get("channel"))) is None:
            return False
        ours = self._desk.slack.identity
        return event["type"] != "member_joined_channel" or (ours is not None and event.get("user") == ours.user_id)

    async def run(self, piece: Piece) -> Ran:
        """Act on what happened in one Slack thread, in the order in which it happened."""
        slack_channel, _, thread_ts = piece.key.partition(":")
        async with self._desk.database.connection() as c:
            events = await table.unsettled(c, slack_channel, thread_ts)
            owner = await table.owner(c, slack_channel, thread_ts)
        if not events:
            return Ran()
        conversation_id = owner.conversation_id
        if conversation_id is None:
            if owner.opening and any(event.received_at > self._desk.now() - PATIENCE for event in events):
                return Ran(again=self._desk.now() + RELOOK)
            for event in events:
                await self._settle(event, "not_ours")
            return Ran()
        for event in events:
            try:
                outcome = await self._act(event, conversation_id, moved=owner.moved)
            except (Wait, Failed):
                raise
            except Exception as error:
                if away(error) or piece.attempts < TRIES:
                    raise
                log.exception("slack.event_given_up", id=event.event_id, error=type(error).__name__)
                outcome = f"failed:{type(error).__name__}"
                await self._give_up(event, conversation_id)
            await self._settle(event, outcome)
        return Ran()

    async def _give_up(self, event: Event, conversation_id: int) -> None:
        """One message that we stumble over must not hold up its thread: say so there, and go on with the next."""
        async with self._desk.database.transaction() as c:
            head = await table.head(c, conversation_id)
            notice = {"notice": "failure", "code": "gave_up", "channel": head.conversation.channel if head else ""}
            if head and await deliveries.notify_desk(c, conversation_id, f"gave_up:{event.event_id}", notice):
                await work.put(c, self._desk.teams.follow_up(head.conversation, lines=True))

    async def confirm(self, event_id: str, by: str, *, send: bool) -> bool:
        """The author of a first reply says what it was meant as. False when nothing is left to decide."""
        async with self._desk.database.connection() as c:
            event = await table.event(c, event_id)
        if event is None:
            return False
        message = event.body["event"]
        if commands.author(message) != by:
            return False
        async with self._desk.database.transaction() as c:
            conversation_id = await table.conversation_of(c, str(message["channel"]), event.thread_ts)
            await messages.answered_by(c, by, self._desk.now())
        if conversation_id is None:
            return False
        head, team, someone = await self._facts(conversation_id, message)
        command = await self._meant(event, head, team, replace(someone, answered=True))
        if not isinstance(command, Send | Note) or (isinstance(command, Send) and _nothing_left(command)):
            return False
        if send and isinstance(command, Send):
            return await self._reply(head, team, command, someone, undo=timedelta(0)) is not None
        return await self._desk.replies.note(conversation_id, self._draft(command, someone)) is not None

    async def _act(self, event: Event, conversation_id: int, *, moved: bool) -> str:
        message = event.body["event"]
        if _root_gone(message):
            async with self._desk.database.transaction() as c:
                head = await table.head(c, conversation_id)
                if head is not None and await table.lose_thread(c, conversation_id, event.thread_ts):
                    await work.put(c, self._desk.teams.follow_up(head.conversation, lines=True))
            return "root_gone"
        author = commands.author(message)
        if not author and message.get("subtype") != "message_deleted":
            return "ignored:no_author"
        head, team, someone = await self._facts(conversation_id, message)
        command = await self._meant(event, head, team, someone)
        say = self._desk.catalog.voice(someone.language)
        match command:
            case Note():
                await self._desk.replies.note(conversation_id, self._draft(command, someone))
                return "note"
            case Send() | AskFirst() if moved:
                await self._whisper(message, author, await self._where(conversation_id, say))
                return "refused:moved"
            case AskFirst():
                await self._ask(event, head, command)
                return "asked"
            case Send() if event.event_id.startswith(FOUND) and self._is_late(command):
                await self._ask(event, head, command, late=True)
                return "asked_late"
            case Send() if _nothing_left(command):
                await self._whisper(message, author, notices.not_sent("file_lost", say))
                return "refused:file_lost"
            case Send():
                stored = await self._reply(head, team, command, someone, undo=team.undo)
                if any(file.lost for file in command.files):
                    await self._whisper(message, author, notices.not_sent("file_lost", say))
                if stored is not None and team.undo:
                    await self._offer_undo(message, head, team, command, say)
                return "sent" if stored is not None else "sent_before"
            case Refuse(reason=reason):
                await self._whisper(message, author, notices.not_sent(reason.value, say))
                return f"refused:{reason.value}"
            case ChangeReply():
                return await self._change(message, head, team, command, someone, say)
            case WithdrawReply(key=key):
                outcome = await self._desk.replies.retract((SOURCE, key))
                if outcome == "too_late" and author:
                    kind = self._desk.kinds.get(head.conversation.channel, "unknown")
                    await self._whisper(message, author, notices.unchangeable(say, kind, withdrawn=True))
                return f"withdrawn:{outcome}"
            case Ignore(reason=silence):
                return f"ignored:{silence.value}"

    async def _where(self, conversation_id: int, say: Voice) -> Post:
        """Where a conversation goes on that has left the thread in which somebody answered."""
        async with self._desk.database.connection() as c:
            thread = await table.thread(c, conversation_id)
        assert thread is not None
        url = self._desk.slack.link(thread.slack_channel, thread.ts) if thread.ts else ""
        return notices.gone_on(thread.slack_channel, url, say)

    async def _change(
        self, message: Mapping[str, Any], head: Head, team: Team, command: ChangeReply, someone: Someone, say: Voice
    ) -> str:
        if command.note:
            # The new words are for the team: should the old ones have left, they are called back and never replaced.
            kept = await self._desk.replies.undo((SOURCE, command.key), as_note=True)
            outcome = "" if kept else await self._desk.replies.retract((SOURCE, command.key))
            if outcome == "too_late":
                kind = self._desk.kinds.get(head.conversation.channel, "unknown")
                await self._whisper(message, command.by, notices.unchangeable(say, kind, withdrawn=True))
            if outcome:
                return f"withdrawn:{outcome}"
        draft = Draft(
            text=command.text,
            spans=command.spans,
            source=(SOURCE, command.key),
            author=command.by,
            author_name=someone.name,
            at=_time(command.edited),
        )
        outcome = await self._desk.replies.rewrite(draft, undo=team.undo)
        if outcome == "too_late":
            kind = self._desk.kinds.get(head.conversation.channel, "unknown")
            await self._whisper(message, command.by, notices.unchangeable(say, kind))
        return f"changed:{outcome}"

    async def _facts(self, conversation_id: int, message: Mapping[str, Any]) -> tuple[Head, Team, Someone]:
        async with self._desk.database.connection() as c:
            head = await table.head(c, conversation_id)
        assert head is not None
        team = self._desk.teams.at(str(message.get("channel"))) or self._desk.teams.of(head.conversation)
        author = commands.author(message)
        if not author or message.get("bot_id"):
            return head, team, Someone(id=author, name="", language="", person=None, answered=False)
        return head, team, await self._desk.people.who(author)

    async def _meant(self, event: Event, head: Head, team: Team, someone: Someone) -> commands.Command:
        """What a message asks for by its words as they stand: its edit or deletion may have come before it."""
        message = event.body["event"]
        command = await self._decide(message, head, team, someone)
        if not isinstance(command, Send | AskFirst):
            return command
        slack_channel = str(message["channel"])
        async with self._desk.database.connection() as c:
            changed = await table.latest_change(c, slack_channel, event.thread_ts, str(message.get("ts")))
        if changed is None:
            return command
        if changed["subtype"] == "message_deleted":
            return Ignore(reason=Silence.EMPTY)
        return await self._decide({**changed["message"], "channel": slack_channel}, head, team, someone)

    async def _decide(self, message: Mapping[str, Any], head: Head, team: Team, someone: Someone) -> commands.Command:
        language = head.conversation.language
        facts = Facts(
            person=someone.person,
            replies=team.plain,
            members=await self._desk.people.members(team.members),
            ask_first=team.ask_first,
            answered_before=someone.answered,
            workspaces=frozenset([self._desk.slack.identity.team_id] if self._desk.slack.identity else []),
            names=await self._names(message, language),
        )
        return commands.decide(message, facts)

    async def _names(self, message: Mapping[str, Any], language: str) -> Names:
        """What the people mentioned in a message are called, so that no Slack id reaches a customer."""
        say = self._desk.catalog.voice(language)
        people = {}
        for user in mentioned(message):
            people[user] = (await self._desk.people.who(user)).name
        return Names(
            people={user: name for user, name in people.items() if name},
            colleague=say("word.colleague"),
            team=say("word.team"),
        )

    async def _reply(self, head: Head, team: Team, command: Send, someone: Someone, *, undo: timedelta) -> int | None:
        try:
            return await self._desk.replies.reply(head.conversation.id, self._draft(command, someone), undo=undo)
        except NoAddress:
            async with self._desk.database.transaction() as c:
                notice = {"notice": "failure", "code": "no_address", "channel": ""}
                if await deliveries.notify_desk(c, head.conversation.id, f"no_address:{command.key}", notice):
                    await work.put(c, self._desk.teams.follow_up(head.conversation, lines=True))
            return None

    def _is_late(self, command: Send) -> bool:
        return _time(command.key.partition(":")[2]) < self._desk.now() - LATE

    async def _ask(self, event: Event, head: Head, command: AskFirst | Send, *, late: bool = False) -> None:
        async with self._desk.database.transaction() as c:
            notice = {
                "notice": "late_reply" if late else "ask_first",
                "event": event.event_id,
                "channel": head.conversation.channel,
                "text": command.text[:300],
                "by": command.by,
                "at": _time(command.key.partition(":")[2]).isoformat(),
            }
            if await deliveries.notify_desk(c, head.conversation.id, f"ask:{command.key}", notice):
                await work.put(c, self._desk.teams.follow_up(head.conversation, lines=True))

    async def _offer_undo(self, message: Mapping[str, Any], head: Head, team: Team, command: Send, say: Voice) -> None:
        kind = self._desk.kinds.get(head.conversation.channel, "unknown")
        name = head.name or say("word.customer")
        await self._whisper(
            message, command.by, notices.undo(name, kind, round(team.undo.total_seconds()), command.key, say)
        )

    async def _whisper(self, message: Mapping[str, Any], user: str, post: Post) -> None:
        inner = message.get("message") or message.get("previous_message") or message
        thread_ts = str(inner.get("thread_ts") or message.get("thread_ts") or "")
        await self._desk.slack.whisper(str(message["channel"]), user, post, thread_ts=thread_ts or None)

    def _draft(self, command: Send | Note, someone: Someone) -> Draft:
        return Draft(
            text=command.text,
            spans=command.spans,
            files=tuple(_attachment(file) for file in command.files if not file.lost),
            source=(SOURCE, command.key),
            author=command.by,
            author_name=someone.name,
            at=_time(command.key.partition(":")[2]),
        )

    async def _settle(self, event: Event, outcome: str) -> None:
        log.info("slack.event", id=event.event_id, outcome=outcome)
        async with self._desk.database.connection() as c:
            await table.settle_event(c, event.event_id, outcome)


def _nothing_left(command: Send) -> bool:
    """Whether all that was to be sent are files Slack no longer hands out."""
    return not command.text and all(file.lost for file in command.files)


def _without_ours(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event without what programs wrote, which is never acted on, and without the words of what was deleted."""
    bare = {name: value for name, value in event.items() if name not in _WORDS} if event.get("bot_id") else {**event}
    for inside in ("message", "previous_message"):
        inner = bare.get(inside)
        deleted = inside == "previous_message" and event.get("subtype") == "message_deleted"
        if isinstance(inner, Mapping) and (inner.get("bot_id") or deleted):
            bare[inside] = {name: value for name, value in inner.items() if name not in _WORDS}
    return bare


def _root_gone(message: Mapping[str, Any]) -> bool:
    """Whether somebody deleted the first post of a thread: Slack says so in two ways."""
    if message.get("subtype") == "message_deleted":
        old = message.get("previous_message") or {}
        return bool(old.get("bot_id")) and old.get("thread_ts", old.get("ts")) == message.get("deleted_ts")
    inner = message.get("message") or {}
    return message.get("subtype") == "message_changed" and inner.get("subtype") == "tombstone"


def mentioned(message: Mapping[str, Any]) -> frozenset[str]:
    """The users a message mentions, in any of its blocks or words."""
    inner = message.get("message") or message
    words = orjson.dumps([inner.get("text"), inner.get("blocks")]).decode()
    return frozenset(_MENTION.findall(words))


def _attachment(file: SlackFile) -> Attachment:
    return Attachment(media_type=file.media_type, filename=file.name, size=file.size or None, ref=file.url)


def _time(ts: str) -> datetime:
    """A Slack `ts` as a time."""

    return datetime.fromtimestamp(float(ts or 0), UTC)
