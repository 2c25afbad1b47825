"""What was said and decided lately, read page by page, for trying rules on it. Changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from channels.message import Address, Attachment, Proof, Received
from inbox.changes import Change, Conversation, Priority, SetPriority, SetState, State, as_json
from inbox.store.arrivals import COLUMNS, conversation
from inbox.store.database import Connection, Database

LONGEST = 4_000  # characters of a message that are read here; whoever decides looks at no more

_KINDS: Mapping[str, Any] = {
    as_json(kind(**dict.fromkeys(kind.__slots__, "")))["change"]: kind for kind in get_args(Change)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message of a customer as it came, or, without `message`, an answer that a person sent."""

    conversation_id: int
    position: int
    at: datetime  # when it was stored
    message: Received | None
    proof: Proof = Proof.CLAIMED  # of the address today, no more than the message itself proved


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A change that somebody made. `by` is "triage" for what was decided as a message arrived."""

    at: datetime
    by: str
    change: Change
    because: str


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[Connection]:
    """A transaction in which PostgreSQL itself refuses every change. Keep it short: one page."""
    async with database.transaction() as c:
        await c.execute("set transaction read only")
        yield c


async def count(c: Connection, since: datetime) -> int:
    """How many conversations have a customer's message since then."""
    return int(await c.fetchval("select count(*) from conversations where last_in_at >= $1", since))


async def conversations(c: Connection, since: datetime, *, behind: int, limit: int) -> list[Conversation]:
    """The next of them behind the conversation `behind`, by id, as they stand now."""
    rows = await c.fetch(
        f"select {COLUMNS} from conversations c where c.last_in_at >= $1 and c.id > $2 order by c.id limit $3",
        since,
        behind,
        limit,
    )
    return [conversation(row) for row in rows]


async def made(c: Connection, conversation_ids: Sequence[int]) -> dict[int, list[Made]]:
    """All changes of these conversations in their order. Acts that change no conversation are left out."""
    rows = await c.fetch(
        """
        select conversation_id, at, by, change, because from changes
        where conversation_id = any($1::bigint[]) order by conversation_id, id
        """,
        list(conversation_ids),
    )
    found: dict[int, list[Made]] = {one: [] for one in conversation_ids}
    for row in rows:
        change = _change(row["change"])
        if change is not None:
            one = Made(at=row["at"], by=row["by"], change=change, because=row["because"])
            found[row["conversation_id"]].append(one)
    return found


async def said(
    c: Connection, conversation_ids: Sequence[int], since: datetime, *, behind: tuple[int, int], limit: int
) -> list[Said]:
    """The next messages since then behind `behind`, a conversation and a position, in this order.

    Edits do not count: what a customer wrote first is what was decided about.
    """
    rows = await c.fetch(
        """
        select m.conversation_id, m.position, m.direction, m.channel, m.external_id, m.author_name, m.subject,
               left(coalesce(m.received ->> 'text', m.text), $6) as text, coalesce(m.body ->> 'language', '') as language,
               coalesce((m.body ->> 'proof')::int, 4) as proof, coalesce((m.body ->> 'quiet')::boolean, false) as quiet,
               m.automatic and not m.body ? 'idle' as automatic, m.sent_at, m.created_at,
               coalesce(a.kind, '') as address_kind, coalesce(a.value, '') as address, coalesce(a.proof, 0) as address_proof,
               array(select f.media_type from attachments f where f.message_id = m.id order by f.number) as files
        from messages m left join addresses a on a.id = m.address_id
        where m.conversation_id = any($1::bigint[]) and (m.conversation_id, m.position) > ($2, $3)
          and (m.direction = 'in' or (m.direction = 'out' and not m.body ? 'holding' and m.withdrawn_at is null))
          and m.sent_at >= $4
        order by m.conversation_id, m.position limit $5
        """,
        list(conversation_ids),
        *behind,
        since,
        limit,
        LONGEST,
    )
    return [_said(row) for row in rows]


def _said(row: Mapping[str, Any]) -> Said:
    place = {"conversation_id": row["conversation_id"], "position": row["position"], "at": row["created_at"]}
    if row["direction"] == "out":
        return Said(**place, message=None)
    message = Received(
        channel=row["channel"],
        external_id=row["external_id"] or "",
        sender=Address(kind=row["address_kind"], value=row["address"]),
        sent_at=row["sent_at"],
        sender_name=row["author_name"],
        subject=row["subject"],
        text=row["text"],
        attachments=tuple(Attachment(media_type=media_type) for media_type in row["files"]),
        language=row["language"],
        automatic=row["automatic"],
        quiet=row["quiet"],
    )
    return Said(**place, message=message, proof=Proof(min(row["proof"], row["address_proof"])))


def _change(stored: Mapping[str, Any]) -> Change | None:
    """A change from its stored form; None for what is no change of a conversation, or of a later version."""
    kind = _KINDS.get(str(stored.get("change")))
    if kind is None or "value" not in stored:
        return None
    value = stored["value"]
    if kind is SetPriority:
        value = Priority(value)
    elif kind is SetState:
        value = State(value)
    found: Change = kind(**{kind.__slots__[0]: value})
    return found
