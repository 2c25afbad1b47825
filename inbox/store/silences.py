"""Whom nothing may be sent to: customers who asked for no more, blocked us, or are gone.

Rule: an opt-out that lasts belongs to an address and a channel, every other silence to the address (decision 23). What
is older than what is known counts nothing.
"""

from __future__ import annotations

from datetime import datetime

from channels.errors import Unreachable, Unwanted
from channels.message import OptedIn, OptedOut
from inbox.store.database import Connection
from inbox.text import storable


def cut_off(channel: str) -> str:
    """SQL for why nothing may be sent to the address `a` by a channel: the code of an error, "" where all may be."""
    return f"""case when a.opted_out ? {channel} or (a.silenced_at is not null and a.silenced_word <> '')
        then '{Unwanted.code}' when a.silenced_at is not null then '{Unreachable.code}' else '' end"""


def stop_word(channel: str) -> str:
    """SQL for the word by which they asked for no more, "" where that is not known."""
    return f"""case when a.opted_out ? {channel} then coalesce(a.opted_out -> {channel} ->> 'word', '')
        when a.silenced_at is not null then a.silenced_word else '' end"""


async def opt_out(c: Connection, address_id: int, event: OptedOut, word: str) -> None:
    """They asked for no more, in this `word` if it was one. The caller holds their conversation locked."""
    why, word = storable(event.why, 500), storable(word, 40)
    if event.lasting:
        await c.execute(
            "update addresses set opted_out = opted_out || jsonb_build_object($2::text, $3::jsonb) where id = $1",
            address_id,
            event.channel,
            {"at": event.at.isoformat(), "why": why, "word": word},
        )
    else:
        await c.execute(
            "update addresses set silenced_at = $2, silenced_why = $3, silenced_word = $4 where id = $1",
            address_id,
            event.at,
            why,
            word,
        )


async def opt_in(c: Connection, address_id: int, event: OptedIn) -> None:
    """They came back. Who came back before they went away, as a repeated message may tell it, is still away."""
    await c.execute(
        """
        update addresses set opted_out = opted_out - $2,
            silenced_at = case when silenced_at > $3 then silenced_at end,
            silenced_why = case when silenced_at > $3 then silenced_why else '' end,
            silenced_word = case when silenced_at > $3 then silenced_word else '' end
        where id = $1 and coalesce((opted_out -> $2 ->> 'at')::timestamptz, '-infinity') <= $3
        """,
        address_id,
        event.channel,
        event.at,
    )


async def came_back(c: Connection, address_id: int, event: OptedOut) -> bool:
    """Whether they ended this silence after the moment it is told of: it was told late."""
    return bool(
        await c.fetchval(
            """
            select exists (
                select from messages m
                join addresses a on a.id = $1 join conversations v on v.id = m.conversation_id
                where v.customer_id = a.customer_id and m.address_id = a.id and m.sent_at > $3
                  and ((m.channel = $2 and m.direction = 'event' and m.body ->> 'event' = 'opted_in')
                       or (m.direction = 'in' and not $4)))
            """,
            address_id,
            event.channel,
            event.at,
            event.lasting,
        )
    )


async def is_news(c: Connection, address_id: int, event: OptedOut) -> bool:
    """Whether a lasting opt-out that a provider tells of is not known, and was not ended since."""
    known = await c.fetchval("select opted_out ? $2 from addresses where id = $1", address_id, event.channel)
    return known is False and not await came_back(c, address_id, event)


async def silence(c: Connection, address_id: int, why: str, at: datetime) -> None:
    """Nothing will ever arrive at this address: nothing more is sent there until they write again."""
    await c.execute(
        """
        update addresses set silenced_at = coalesce(silenced_at, $3), silenced_why = $2,
            silenced_word = case when silenced_at is null then '' else silenced_word end
        where id = $1
        """,
        address_id,
        storable(why, 500),
        at,
    )
