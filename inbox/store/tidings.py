"""Events that are no message, written: edits, changed addresses, small lines of a conversation.

Rule: what is told twice changes nothing the second time. The caller holds the conversation locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from channels.message import (
    AddressChanged,
    Attachment,
    Automated,
    Edited,
    OptedIn,
    OptedOut,
    Reacted,
    Withdrawn,
)
from inbox.changes import Conversation
from inbox.store.arrivals import Known, body, key
from inbox.store.database import Connection
from inbox.text import storable


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A message that an edit changed. `files` are those it did not have before."""

    conversation_id: int
    message_id: int
    files: tuple[Attachment, ...]


async def edit(c: Connection, event: Edited, *, overtook: bool) -> Changed | None:
    """Put newer words in place, keeping the first ones. None when nothing changed.

    An edit that `overtook` its original changes nothing either, but must be known to be newer than other late edits.
    """
    message = event.message
    row = await c.fetchrow(
        """
        update messages m set text = $3, body = $4, edited_at = $5, raw = $6,
            received = coalesce(m.received, jsonb_build_object('text', old.text, 'body', old.body))
        from (select id, text, body from messages
              where channel = $1 and external_id = $2 and direction = 'in' and withdrawn_at is null for no key update) as old
        where m.id = old.id and (m.edited_at is null or m.edited_at < $5)
          and ($7 or (m.text, m.body) is distinct from ($3, $4::jsonb))
        returning m.conversation_id, m.id, old.body -> 'files' as files
        """,
        message.channel,
        message.external_id,
        storable(message.text),
        body(message),
        event.edited_at,
        message.raw,
        overtook,
    )
    if row is None:
        return None
    before = row["files"] or []
    files = () if overtook else tuple(file for file in message.attachments if storable(file.unique_ref) not in before)
    return Changed(conversation_id=row["conversation_id"], message_id=row["id"], files=files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What became of a changed address: of which customer, and whether the new one was theirs to have."""

    conversation_id: int
    done: bool


async def move(c: Connection, event: AddressChanged) -> Moved | None:
    """An address has a new value. None when we know nobody by the old one, or the change already.

    Not `done` when the new one is somebody else's by now, which a person must look at.
    """
    row = await c.fetchrow(
        """
        select o.id, o.customer_id, o.proof, v.id as conversation_id, n.customer_id as owner
        from addresses o join conversations v on v.customer_id = o.customer_id
        left join addresses n on n.kind = $3 and n.value = $4
        where o.kind = $1 and o.value = $2
        """,
        event.old.kind,
        event.old.value,
        event.new.kind,
        event.new.value,
    )
    if row is None or row["owner"] == row["customer_id"]:
        return None
    if row["owner"] is not None:
        return Moved(conversation_id=row["conversation_id"], done=False)
    # Made before anything else: whoever stores a first message from there right now, one of us two comes first.
    made = await c.fetchval(
        """
        insert into addresses (customer_id, kind, value, proof, name, opted_out, silences, silenced_at, silenced_why)
        select customer_id, $2, $3, proof, name, opted_out, silences, silenced_at, silenced_why
        from addresses where id = $1
        on conflict (kind, value) do nothing returning id
        """,
        row["id"],
        event.new.kind,
        event.new.value,
    )
    if made is None:
        return Moved(conversation_id=row["conversation_id"], done=False)
    if event.keeps:
        await c.execute(
            "update conversations set address_id = $3 where id = $1 and address_id = $2",
            row["conversation_id"],
            row["id"],
            made,
        )
    else:
        await c.execute("delete from addresses where id = $1", made)
        await c.execute(
            "update addresses set kind = $2, value = $3 where id = $1", row["id"], event.new.kind, event.new.value
        )
    return Moved(conversation_id=row["conversation_id"], done=True)


async def note_event(
    c: Connection, known: Known, event: Reacted | OptedOut | OptedIn | Withdrawn, what: str, detail: str, word: str = ""
) -> bool:
    """A small line of the conversation that is no message: a reaction, a block. Stored once.

    `word` is the one by which they asked for no more messages.
    """
    channel, external_id = event.channel, f"{what}:{key(event.sender)[1]}:{int(event.at.timestamp() * 1000)}:{detail}"
    position = known.conversation.last_position + 1
    parts: dict[str, Any] = {"event": what, "detail": storable(detail, 200)}
    if word:
        parts["word"] = storable(word, 40)
    if isinstance(event, Reacted):
        parts["about"] = event.external_id
    if isinstance(event, OptedOut) and event.lasting:
        parts["lasting"] = True
    if isinstance(event, Withdrawn) and event.erase:
        parts["erased"] = True
    found = await c.fetchval(
        """
        insert into messages (conversation_id, position, direction, channel, external_id, address_id, text, body, sent_at)
        values ($1, $2, 'event', $3, $4, $5, '', $6, $7) on conflict (channel, external_id) do nothing returning id
        """,
        known.conversation.id,
        position,
        channel,
        external_id[:1_000],
        known.address_id,
        parts,
        event.at,
    )
    if found is None:
        return False
    await c.execute("update conversations set last_position = $2 where id = $1", known.conversation.id, position)
    return True


async def note_automated(c: Connection, conversation: Conversation, event: Automated, address_id: int | None) -> bool:
    """A machine's words as a small line of a conversation the caller holds locked. Stored once."""
    position = conversation.last_position + 1
    found = await c.fetchval(
        """
        insert into messages (conversation_id, position, direction, channel, external_id, address_id, subject, text, body,
                              automatic, sent_at)
        values ($1, $2, 'event', $3, $4, $5, $6, $7, $8, true, $9) on conflict (channel, external_id) do nothing returning id
        """,
        conversation.id,
        position,
        event.channel,
        event.external_id,
        address_id,
        storable(event.subject, 1_000),
        storable(event.text, 10_000),
        {"event": event.what, "detail": storable(event.text, 300), "subject": storable(event.subject, 300)},
        event.at,
    )
    if found is None:
        return False
    await c.execute("update conversations set last_position = $2 where id = $1", conversation.id, position)
    return True
