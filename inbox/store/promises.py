"""What a conversation's promises are worked out from, and how the next one stands, for its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from inbox.store.database import Connection

LONG = 500  # messages and changes of one matter: beyond that only the newest count


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """`what` is "asked", "answered", or a state that an agent set."""

    at: datetime
    what: str


async def history(c: Connection, conversation_id: int) -> Sequence[Happened]:
    """What happened since the last time the conversation was resolved, that included, in order of time."""
    rows = await c.fetch(
        """
        with since as (
            select coalesce(max(at), '-infinity') as at from changes
            where conversation_id = $1 and change @> '{"change": "set_state", "value": "resolved"}'
        )
        select at, what from (
            (select m.sent_at as at, case when m.direction = 'in' then 'asked' else 'answered' end as what
             from messages m, since
             where m.conversation_id = $1 and m.sent_at > since.at and m.withdrawn_at is null
               and ((m.direction = 'in' and not m.automatic) or (m.direction = 'out' and not m.body ? 'holding'))
             order by m.position desc limit $2)
            union all
            (select k.at, k.change ->> 'value' as what from changes k, since
             where k.conversation_id = $1 and k.at >= since.at and k.change ->> 'change' = 'set_state'
             order by k.id desc limit $2)
        ) as happened order by at
        """,
        conversation_id,
        LONG,
    )
    return [Happened(at=row["at"], what=row["what"]) for row in rows]


async def escalated(c: Connection, conversation_id: int) -> int:
    """How often broken promises raised the priority since anything else set it: what was promised stays as it was."""
    return int(
        await c.fetchval(
            """
            select count(*) from changes k where k.conversation_id = $1 and k.by = 'santral'
              and k.change ->> 'change' = 'set_priority' and k.id > coalesce((
                  select max(o.id) from changes o where o.conversation_id = $1 and o.by <> 'santral'
                    and o.change ->> 'change' = 'set_priority'), 0)
            """,
            conversation_id,
        )
    )


async def show(c: Connection, conversation_id: int, *, at: datetime | None, what: str, state: str) -> bool:
    """Note which promise is next and how it stands. False when the card says so already."""
    found = await c.fetchval(
        """
        update conversations set due_at = $2, due_what = $3, due_state = $4
        where id = $1 and (due_at, due_what, due_state) is distinct from ($2, $3, $4) returning true
        """,
        conversation_id,
        at,
        what,
        state,
    )
    return bool(found)


async def unresolved(c: Connection, after: int, limit: int = 1_000) -> list[int]:
    """Conversations whose clocks may run, by id: all of them are looked at again when hours or targets change."""
    rows = await c.fetch(
        "select id from conversations where id > $1 and state <> 'resolved' order by id limit $2", after, limit
    )
    return [row["id"] for row in rows]
