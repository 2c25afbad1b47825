"""What people do to a conversation: answer, note, take, resolve, undo, settle a doubt. Each is one transaction.

Rule: a reply and its planned deliveries are stored together; the delivery loop sends them. Doing the same thing twice,
by a double click or a repeated event, is noticed and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from channels.channel import Capabilities, Channel
from channels.message import Attachment, Author, Choice, Span, Status, Template
from inbox import changes, due
from inbox.changes import Change, Conversation, FollowUp, Recorded, SetState, State
from inbox.clock import later, turned
from inbox.plan import Part, most_bytes, plan
from inbox.store import arrivals, attachments, corrections, deliveries, messages, notices, work
from inbox.store import replies as table
from inbox.store.database import Connection, Database
from inbox.windows import may_send

# The changes by which an agent says how a message should have been read.
TEACHING = (changes.AddTag, changes.RemoveTag, changes.SetPriority, changes.SetLanguage, changes.WishLanguage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What an agent or the bot wants to say. `source` is the (channel, external id) it was written in, and unique."""

    text: str
    spans: tuple[Span, ...] = ()
    files: tuple[Attachment, ...] = ()
    source: tuple[str, str]
    author: str
    author_name: str = ""
    kind: Author = Author.AGENT
    at: datetime
    holding: bool = False  # says only that somebody will answer: the customer's wait goes on
    window: bool = False  # an agent wrote it elsewhere than in the Slack thread, which has to show it
    choices: tuple[Choice, ...] = ()
    template: Template | None = None  # approved by the provider; `text` is what the customer will read of it


class NoAddress(Exception):
    """This customer has never written to us, so there is nowhere to answer."""


class Replies:
    """The acts on a conversation."""

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Channel],
        *,
        follow_up: FollowUp,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._channels = channels
        self._follow_up = follow_up
        self._now = now

    async def reply(self, conversation_id: int, draft: Draft, *, undo: timedelta = timedelta(0)) -> int | None:
        """Store a reply to leave after `undo`. None when this draft was stored before. Raises `NoAddress`."""
        async with self._database.transaction() as c:
            return await self.reply_in(c, conversation_id, draft, undo=undo)

    async def reply_in(
        self, c: Connection, conversation_id: int, draft: Draft, *, undo: timedelta = timedelta(0)
    ) -> int | None:
        """As `reply`, inside the caller's transaction."""
        now = self._now()
        conversation = await arrivals.load(c, conversation_id)
        target = await deliveries.target(c, conversation_id)
        if target is None:
            raise NoAddress
        message_id = await self._message(c, conversation, draft, "out", target.address_id)
        if message_id is None:
            return None
        ids = await arrivals.attach(c, draft.source[0], list(_numbered(message_id, draft.files)))
        await self._plan(c, conversation, message_id, draft, target, ids, later(now + undo, now))
        if draft.holding:
            after = replace(conversation, last_position=conversation.last_position + 1)
        else:
            after = changes.answered(conversation, now)
        await arrivals.save(c, [after])
        if draft.kind is Author.AGENT:
            await messages.answered_by(c, draft.author, now)
        typed = draft.kind is Author.AGENT and not draft.window  # then it stands in the Slack thread already
        await work.put(
            c,
            [
                *map(due.media, ids),
                due.line(target.channel, target.address_id, conversation.priority, later(now + undo, now)),
                due.marks(message_id),
                *self._follow_up(after, lines=False),
                *([] if typed else self._follow_up(after, lines=True)),
            ],
        )
        return message_id

    async def note(self, conversation_id: int, draft: Draft) -> int | None:
        """Store an internal note. None when it was stored before."""
        async with self._database.transaction() as c:
            conversation = await arrivals.load(c, conversation_id)
            message_id = await self._message(c, conversation, draft, "note", None)
            if message_id is None:
                return None
            ids = await arrivals.attach(c, draft.source[0], list(_numbered(message_id, draft.files)))
            after = replace(conversation, last_position=conversation.last_position + 1)
            await arrivals.save(c, [after])
            await work.put(
                c,
                [
                    *map(due.media, ids),
                    due.marks(message_id),
                    *self._follow_up(after, lines=True),  # a note from a window is not in the thread yet
                ],
            )
            return message_id

    async def change(self, conversation_id: int, wanted: Iterable[Change], *, by: str, because: str = "") -> bool:
        """Apply changes and record who made them. False when the conversation was so already."""
        async with self._database.transaction() as c:
            return bool((await self._change(c, conversation_id, wanted, by, because))[1])

    async def correct(self, conversation_id: int, wanted: Iterable[Change], *, by: str, tags: Sequence[str]) -> bool:
        """As `change`, by an agent who knows better what was said: how it should have been read is kept to learn from.

        `tags` are those the conversation is to have, what it is mainly about first.
        """
        async with self._database.transaction() as c:
            after, made = await self._change(c, conversation_id, wanted, by)
            if any(isinstance(change, TEACHING) for change in made):
                named = [tag for tag in dict.fromkeys(tags) if tag in after.tags]
                await corrections.keep(
                    c,
                    conversation_id,
                    language=after.language,
                    tags=[*named, *sorted(after.tags - set(named))],
                    priority=after.priority,
                    by=by,
                    at=self._now(),
                )
            return bool(made)

    async def _change(
        self, c: Connection, conversation_id: int, wanted: Iterable[Change], by: str, because: str = ""
    ) -> tuple[Conversation, Sequence[Change]]:
        """The conversation as it stands then, and those of the changes that were none before."""
        now = self._now()
        conversation = await arrivals.load(c, conversation_id)
        made = [change for change in wanted if changes.apply(conversation, [change], now) != conversation]
        if not made:
            return conversation, ()
        after = changes.apply(conversation, made, now)
        await arrivals.save(c, [after])
        recorded = [Recorded(conversation_id=conversation_id, by=by, change=x, because=because) for x in made]
        await arrivals.record(c, recorded, now)
        await work.put(c, self._follow_up(after, lines=False))
        return after, made

    async def take(self, conversation_id: int, agent: str) -> bool:
        """Give a conversation to an agent who asks for it. False when somebody else was quicker."""
        now = self._now()
        async with self._database.transaction() as c:
            conversation = await arrivals.load(c, conversation_id)
            if conversation.agent and conversation.agent != agent:
                return False
            wanted: list[Change] = [changes.Assign(agent=agent)] if not conversation.agent else []
            if conversation.state is State.RESOLVED:
                wanted.append(SetState(state=State.OPEN))
            after = changes.apply(conversation, wanted, now)
            await arrivals.save(c, [after])
            await arrivals.record(
                c, [Recorded(conversation_id=conversation_id, by=agent, change=x) for x in wanted], now
            )
            await work.put(c, self._follow_up(after, lines=False))
            return True

    async def hand_over(self, conversation_id: int, agent: str) -> bool:
        """Take a conversation from whoever has it."""
        return await self.change(conversation_id, [changes.Assign(agent=agent)], by=agent)

    async def send_note(self, source: tuple[str, str], *, by: str, undo: timedelta) -> bool:
        """Send a note to the customer after all. False when it is no note."""
        now = self._now()
        async with self._database.transaction() as c:
            found = await messages.by_source(c, source)
            if found is None or found.direction != "note":
                return False
            conversation = await arrivals.load(c, found.conversation_id)
            target = await deliveries.target(c, found.conversation_id)
            if target is None:
                return False
            draft = await messages.draft_of(c, found.id)
            ids = [id for id, _ in draft.files]
            words = Draft(
                text=found.text,
                spans=deliveries.spans(draft.spans),
                files=tuple(file for _, file in draft.files),
                source=source,
                author=by,
                author_name=draft.author_name,
                at=now,
            )
            await messages.make_reply(c, found.id, target.address_id)
            await self._plan(c, conversation, found.id, words, target, ids, later(now + undo, now))
            after = replace(changes.answered(conversation, now), last_position=conversation.last_position)
            await arrivals.save(c, [after])
            await work.put(
                c,
                [
                    due.line(target.channel, target.address_id, conversation.priority, later(now + undo, now)),
                    due.marks(found.id),
                    *self._follow_up(after, lines=False),
                ],
            )
            return True

    async def undo(self, source: tuple[str, str], *, as_note: bool = False) -> bool:
        """Take a reply back while nothing of it has left; `as_note` keeps it as a note. False when it is too late.

        Who asks for it twice is told the same twice.
        """
        async with self._database.transaction() as c:
            found = await messages.by_source(c, source)
            if found is None or found.direction != "out":
                return as_note and found is not None and found.direction == "note"
            if not await table.cancel(c, found.id):
                return not as_note and await table.is_undone(c, found.id)
            if as_note:
                await table.discard(c, found.id)
                await messages.make_note(c, found.id)
            else:
                await messages.withdraw(c, found.id, self._now())
            conversation = await arrivals.load(c, found.conversation_id)
            waits = await messages.unanswered_since(c, conversation.id)
            after = replace(
                conversation,
                waiting_since=waits,
                state=State.OPEN if waits and conversation.state is State.WAITING else conversation.state,
            )
            await arrivals.save(c, [after])
            # What stands in the thread as a post of ours says so; an agent's own words carry a mark less.
            await work.put(c, [due.marks(found.id), due.revise(*source), *self._follow_up(after, lines=False)])
            return True

    async def rewrite(self, draft: Draft, *, undo: timedelta) -> str:
        """The agent edited a reply: "changed" before it left, "sent_on" to the customer's app, or "too_late"."""
        async with self._database.transaction() as c:
            found = await messages.by_source(c, draft.source)
            if found is None or found.text == draft.text:
                return ""
            await messages.rewrite(c, found.id, draft.text, draft.spans, draft.at)
            if found.direction != "out":
                return ""
            parts = await deliveries.of_message(c, found.id)
            target = await deliveries.target(c, found.conversation_id)
            if target is None or not parts:
                return ""
            conversation = await arrivals.load(c, found.conversation_id)
            if all(part.status is Status.QUEUED and part.sending_at is None for part in parts):
                ids = sorted({id for part in parts for id in part.files})
                kept = [await attachments.file(c, id) for id in ids]
                await table.discard(c, found.id)
                now = self._now()
                leaves = max(min(part.due_at for part in parts), later(now + undo, now))
                files = tuple(file.attachment for file in kept if file)
                await self._plan(c, conversation, found.id, replace(draft, files=files), target, ids, leaves)
                await work.put(c, [due.line(target.channel, target.address_id, conversation.priority, leaves)])
                return "changed"
            return await self._send_on(c, conversation, parts, draft)

    async def retract(self, source: tuple[str, str]) -> str:
        """The agent deleted a reply: "undone" before it left, "sent_on" as a withdrawal, or "too_late"."""
        if await self.undo(source):
            return "undone"
        async with self._database.transaction() as c:
            found = await messages.by_source(c, source)
            if found is None or found.direction != "out":
                return ""
            await messages.withdraw(c, found.id, self._now())
            await table.cancel_rest(c, found.id)
            sent = [part for part in await deliveries.of_message(c, found.id) if part.status is not Status.FAILED]
            if not all(part.external_id for part in sent):
                return "too_late"
            for part in sent:
                await table.revise(c, part.id, "withdraw")
                await work.put(c, [due.line(part.channel, part.address_id)])
            return "sent_on"

    async def settle_doubt(self, delivery: UUID, *, arrived: bool, by: str) -> bool:
        """A person says what became of a delivery in doubt. False when it was settled before."""
        async with self._database.transaction() as c:
            if not await deliveries.decide_doubt(c, delivery, arrived=arrived):
                return False
            found = await deliveries.delivery(c, delivery)
            if found is None:
                return False
            act = {"change": "settle_doubt", "value": "arrived" if arrived else "again", "delivery": str(delivery)}
            await messages.record_act(c, found.conversation_id, by, act, self._now())
            await work.put(c, [due.line(found.channel, found.address_id), due.marks(found.message_id)])
            return True

    async def send_again(self, delivery: UUID, *, by: str) -> bool:
        """Send once more what failed of the reply this is a part of, in order. False when nothing of it failed."""
        async with self._database.transaction() as c:
            found = await table.reply_of(c, delivery)
            if found is None:
                return False
            conversation_id, message_id = found
            await arrivals.load(c, conversation_id)  # first, as everybody locks
            queued = await table.send_again(c, message_id)
            if not queued:
                return False
            act = {"change": "send_again", "value": "again", "message": str(message_id)}
            await messages.record_act(c, conversation_id, by, act, self._now())
            lines = {due.line(part.channel, part.address_id) for part in queued}
            await work.put(c, [*lines, due.marks(message_id)])
            return True

    async def answer_elsewhere(self, message_id: int, place: str, *, by: str, undo: timedelta) -> bool:
        """Send what failed of a reply another way, a `changes.place_of`. False when nothing of it counts as failed."""
        now = self._now()
        async with self._database.transaction() as c:
            _, conversation_id = await messages.place(c, message_id)
            conversation = await arrivals.load(c, conversation_id)  # first, as everybody locks
            failed = await table.failed_parts(c, message_id)
            channel, _, address_id = place.rpartition("/")
            target = await deliveries.target(c, conversation_id, channel=channel, address_id=int(address_id))
            if not failed or target is None:
                return False
            whole = len(failed) == len(await deliveries.of_message(c, message_id))
            leaves = later(now + undo, now)
            for draft, ids in await self._drafts(c, message_id, failed, by, whole=whole):
                first = await table.next_part(c, message_id)
                await self._plan(c, conversation, message_id, draft, target, ids, leaves, first=first)
            await table.sent_elsewhere(c, failed)
            act = {"change": "answer_elsewhere", "value": place, "message": str(message_id)}
            await messages.record_act(c, conversation_id, by, act, now)
            await work.put(
                c,
                [
                    due.line(target.channel, target.address_id, conversation.priority, leaves),
                    due.marks(message_id),
                    due.revise(*await messages.name_of(c, message_id)),
                    *self._follow_up(conversation, lines=False),
                ],
            )
            return True

    async def _drafts(
        self, c: Connection, message_id: int, failed: Sequence[deliveries.Delivery], by: str, *, whole: bool
    ) -> list[tuple[Draft, list[int]]]:
        """What failed as it was written, to be planned anew, each with the ids of its files: all of it or its parts."""
        written = await messages.draft_of(c, message_id)
        files = dict(written.files)
        kind = Author(failed[0].body.get("author", "agent"))

        def draft(text: str, spans: Any, ids: Sequence[int]) -> tuple[Draft, list[int]]:
            kept = [id for id in ids if id in files]
            return (
                Draft(
                    text=text,
                    spans=deliveries.spans(spans),
                    files=tuple(files[id] for id in kept),
                    source=("", ""),  # it is stored already
                    author=by,
                    author_name=written.author_name,
                    kind=kind,
                    at=self._now(),
                ),
                kept,
            )

        if whole:
            return [draft(written.text, written.spans, list(files))]
        return [draft(part.body.get("text", ""), part.body.get("spans", ()), part.files) for part in failed]

    async def _message(
        self, c: Connection, conversation: Conversation, draft: Draft, direction: str, address_id: int | None
    ) -> int | None:
        body: dict[str, Any] = {"spans": messages.spans_json(draft.spans)} if draft.spans else {}
        if draft.holding:
            body["holding"] = True
        return await table.insert_message(
            c,
            conversation_id=conversation.id,
            position=conversation.last_position + 1,
            direction=direction,
            channel=draft.source[0],
            external_id=draft.source[1],
            address_id=address_id,
            author=draft.author,
            author_name=draft.author_name,
            text=draft.text,
            body=body,
            at=draft.at + turned(self._now()),
        )

    async def _plan(
        self,
        c: Connection,
        conversation: Conversation,
        message_id: int,
        draft: Draft,
        target: deliveries.Target,
        attachment_ids: Sequence[int],
        leaves: datetime,
        *,
        first: int = 0,
    ) -> None:
        """Cut a draft into deliveries, numbered from `first`."""
        channel = self._channels.get(target.channel)
        if channel is None:
            parts: Sequence[Part] = [Part(text=draft.text, refused="channel_gone")]
        else:
            heard_at = await deliveries.heard_at(c, conversation.id, target.channel, target.address_id)
            parts = planned(draft, channel.capabilities, heard_at, self._now())
        quotes = channel is not None and channel.capabilities.quotes
        rest = not target.silenced and any(not part.refused for part in parts)
        for number, part in enumerate(parts):
            id = uuid4()
            refused = part.refused or target.cut_off
            await table.insert_delivery(
                c,
                id=id,
                message_id=message_id,
                conversation_id=conversation.id,
                target=target,
                part=first + number,
                body={
                    "text": part.text,
                    "spans": messages.spans_json(part.spans),
                    "author": draft.kind.value,
                    "author_name": draft.author_name,
                    "team": conversation.team,
                    "context": dict(target.context),
                    **({"quoted": dict(target.quoted)} if quotes and target.quoted else {}),
                    **({"more": [attachment_ids[number] for number in part.more]} if part.more else {}),
                    **({"choices": [asdict(choice) for choice in part.choices]} if part.choices else {}),
                    **({"template": asdict(draft.template)} if draft.template else {}),
                },
                attachment_id=attachment_ids[part.file] if part.file is not None else None,
                due_at=leaves,
                refused=refused,
            )
            if refused:
                notice = {
                    "notice": "failure",
                    "delivery": str(id),
                    "channel": target.channel,
                    "code": refused,
                    "message": message_id,
                }
                if channel is not None and part.refused and part.file is not None:
                    file = draft.files[part.file]
                    notice |= {"file": file.filename, "most": most_bytes(channel.capabilities, file)}
                    notice |= {"rest": True} if rest else {}
                await notices.notify_desk(c, conversation.id, f"failure:{id}:0", notice)
                await work.put(c, self._follow_up(conversation, lines=True))

    async def _send_on(
        self, c: Connection, conversation: Conversation, parts: Sequence[deliveries.Delivery], draft: Draft
    ) -> str:
        channel = self._channels.get(parts[0].channel)
        if channel is None or channel.capabilities.edits is None:
            return "too_late"
        texts = [part for part in parts if part.body.get("text")]
        planned = [part for part in plan(draft.text, draft.spans, (), channel.capabilities) if part.file is None]
        if len(planned) != len(texts) or not all(part.external_id for part in texts):
            return "too_late"
        for new, old in zip(planned, texts, strict=True):
            if new.text != old.body.get("text"):
                body = {**old.body, "text": new.text, "spans": messages.spans_json(new.spans)}
                await table.revise(c, old.id, "edit", body)
        await work.put(c, [due.line(parts[0].channel, parts[0].address_id, conversation.priority)])
        return "sent_on"


def planned(draft: Draft, can: Capabilities, heard_at: datetime | None, now: datetime) -> tuple[Part, ...]:
    """The parts of a draft; what the channel's window no longer lets through is refused here, before it waits."""
    if draft.template is not None:
        return (Part(text=draft.text),)
    parts = plan(draft.text, draft.spans, draft.files, can, draft.choices)
    if may_send(can, draft.kind, heard_at, now):
        return parts
    return tuple(replace(part, refused=part.refused or "window_closed") for part in parts)


def _numbered(message_id: int, files: Sequence[Attachment]) -> Iterable[tuple[int, int, Attachment]]:
    return ((message_id, number, file) for number, file in enumerate(files))
