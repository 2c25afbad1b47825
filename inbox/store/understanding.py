"""What a closer look at a conversation needs, what people corrected, and the models learned from it. SQL only.

Rule: at most one learned version is in use, the one that was taken into use last; none means the starter model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from inbox.changes import Priority
from inbox.store import withdrawals
from inbox.store.database import Connection

MOST = 20  # messages looked at in one go; of a longer row only the newest
LONG = 200  # the customer's messages since our last answer that are counted
KEPT = 10  # learned versions whose numbers are kept, and always the one in use


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A customer's message that was not looked at closely yet."""

    id: int
    position: int
    subject: str
    text: str
    came: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One of the customer's messages in this matter since our last answer; a holding one says nothing."""

    at: datetime
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What there is to understand about a conversation. `promised` is a promise that was broken."""

    unread: Sequence[Unread]
    written: Sequence[Written]  # in order
    known: bool  # had an earlier matter resolved
    promised: datetime | None
    understood: int  # position up to which messages were looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class ByPeople:
    """What people changed in this matter, by their own hand."""

    removed: Mapping[str, datetime]  # tags taken away, and when
    priority: datetime | None  # when one last set it


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A message as a person says it should have been read; the main tag comes first."""

    text: str
    language: str
    tags: tuple[str, ...]
    priority: Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A model learned here. `refused` says why it did not take effect, "" where it may."""

    version: str
    made_at: datetime
    examples: int
    scores: Mapping[str, Any]
    used_at: datetime | None
    refused: str
    in_use: bool


async def matter(c: Connection, conversation_id: int) -> Matter | None:
    """How things stand, read without a lock. None where the conversation is gone."""
    row = await c.fetchrow(
        """
        select c.understood, case when c.due_state = 'broken' then c.due_at end as promised,
            exists (select from changes k where k.conversation_id = c.id
                    and k.change @> '{"change": "set_state", "value": "resolved"}') as known,
            coalesce((select m.position from messages m
                      where m.conversation_id = c.id and m.direction = 'out' and m.withdrawn_at is null
                        and not m.body ? 'holding'
                      order by m.position desc limit 1), 0) as answered,
            coalesce((select max(k.at) from changes k where k.conversation_id = c.id
                      and k.change @> '{"change": "set_state", "value": "resolved"}'), '-infinity') as resolved
        from conversations c where c.id = $1
        """,
        conversation_id,
    )
    if row is None:
        return None
    unread = await c.fetch(
        """
        select id, position, subject, text, sent_at as came from (
            select id, position, subject, text, sent_at from messages
            where conversation_id = $1 and position > $2 and direction = 'in' and not automatic and withdrawn_at is null
            order by position desc limit $3
        ) as newest order by position
        """,
        conversation_id,
        row["understood"],
        MOST,
    )
    written = await c.fetch(
        """
        select at, channel from (
            select sent_at as at, channel, position from messages
            where conversation_id = $1 and position > $2 and direction = 'in' and not automatic and withdrawn_at is null
              and sent_at > $4
            order by position desc limit $3
        ) as newest order by at
        """,
        conversation_id,
        row["answered"],
        LONG,
        row["resolved"],
    )
    return Matter(
        unread=[Unread(**dict(one)) for one in unread],
        written=[Written(**dict(one)) for one in written],
        known=row["known"],
        promised=row["promised"],
        understood=row["understood"],
    )


async def by_people(c: Connection, conversation_id: int) -> ByPeople:
    """What people changed since the conversation was last resolved. Slack's ids begin with U or W; ours do not."""
    rows = await c.fetch(
        """
        with since as (
            select coalesce(max(id), 0) as id from changes
            where conversation_id = $1 and change @> '{"change": "set_state", "value": "resolved"}'
        )
        select k.change ->> 'change' as what, k.change ->> 'value' as value, max(k.at) as at
        from changes k, since
        where k.conversation_id = $1 and k.id > since.id and k.by ~ '^[UW][A-Z0-9]+$'
          and k.change ->> 'change' in ('remove_tag', 'set_priority')
        group by 1, 2
        """,
        conversation_id,
    )
    set_at = [row["at"] for row in rows if row["what"] == "set_priority"]
    return ByPeople(
        removed={row["value"]: row["at"] for row in rows if row["what"] == "remove_tag"},
        priority=max(set_at, default=None),
    )


async def understood(c: Connection, conversation_id: int, position: int) -> None:
    """Note up to where messages were looked at. What was erased while it was leaves no reasons."""
    erased = await c.fetch(
        """
        select m.id from conversations v join messages m on m.conversation_id = v.id
        where v.id = $1 and m.position > v.understood and m.position <= $2 and m.body ? 'erased'
        """,
        conversation_id,
        position,
    )
    if erased:
        await withdrawals.forget_reasons(c, [row["id"] for row in erased])
    await c.execute(
        "update conversations set understood = greatest(understood, $2) where id = $1", conversation_id, position
    )


# what people corrected


async def corrections(c: Connection) -> list[Corrected]:
    """All messages that people corrected, in the order they wrote. Those whose words are gone teach nothing."""
    rows = await c.fetch(
        """
        select case when m.subject = '' then m.text else m.subject || E'.\\n' || m.text end as text,
            k.language, k.tags, k.priority
        from corrections k join messages m on m.id = k.message_id
        where m.text <> '' or m.subject <> '' order by k.message_id
        """
    )
    return [
        Corrected(
            text=row["text"], language=row["language"], tags=tuple(row["tags"]), priority=Priority(row["priority"])
        )
        for row in rows
    ]


async def corrected_since(c: Connection, at: datetime | None) -> int:
    """How many corrections came after a moment; all of them for None."""
    found = await c.fetchval("select count(*) from corrections where $1::timestamptz is null or at > $1", at)
    return int(found)


# what was learned


async def learned_at(c: Connection) -> datetime | None:
    """When a model was last made, taken into use or not."""
    found: datetime | None = await c.fetchval("select max(made_at) from learned")
    return found


async def keep(
    c: Connection, version: str, content: bytes, *, examples: int, scores: Mapping[str, Any], at: datetime, refused: str
) -> bool:
    """Keep a model; it takes effect at once unless it was `refused`. False where this version is kept already."""
    answer = await c.execute(
        """
        insert into learned (version, made_at, examples, scores, content, refused) values ($1, $2, $3, $4, $5, $6)
        on conflict (version) do nothing
        """,
        version,
        at,
        examples,
        dict(scores),
        content,
        refused,
    )
    kept = answer.endswith(" 1")
    if kept and not refused:
        await use(c, version, at)
    await c.execute(
        """
        delete from learned where version in (
            select version from learned where version is distinct from (
                select version from learned where used_at is not null order by used_at desc limit 1)
            order by made_at desc offset $1)
        """,
        KEPT,
    )
    return kept


async def in_use(c: Connection) -> str:
    """The version in use, "" for the starter model."""
    found = await c.fetchval("select version from learned where used_at is not null order by used_at desc limit 1")
    return found or ""


async def content(c: Connection, version: str) -> bytes | None:
    """The numbers of a version. None where it is gone."""
    found = await c.fetchval("select content from learned where version = $1", version)
    return bytes(found) if found is not None else None


async def listed(c: Connection) -> list[Learned]:
    """All versions, the newest first."""
    used = await in_use(c)
    rows = await c.fetch(
        "select version, made_at, examples, scores, used_at, refused from learned order by made_at desc, version desc"
    )
    return [Learned(**dict(row), in_use=row["version"] == used) for row in rows]


async def use(c: Connection, version: str, at: datetime) -> bool:
    """Take a version into use, whatever it scored: a person says so. "" goes back to the starter. False: not known."""
    if not version:
        await c.execute("update learned set used_at = null where used_at is not null")
        return True
    known = await c.fetchval("select true from learned where version = $1", version)
    if known:
        # Of the others the time goes: clocks may differ, and the one that was chosen last is in use.
        await c.execute(
            "update learned set used_at = case when version = $1 then $2::timestamptz end"
            " where version = $1 or used_at is not null",
            version,
            at,
        )
    return bool(known)
