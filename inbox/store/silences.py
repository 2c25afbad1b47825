"""Whom nothing may be sent to: customers who asked for no more, blocked us, or are gone.

Rule: a silence belongs to an address and a channel: who is gone from one app is still reached by another. Only that of
a mailbox belongs to the address, because every mail channel reaches the same one (decision 23). `silenced_at` is that
one, and what the version before knew; it counts for all channels. What is older than what is known counts nothing.
"""

from __future__ import annotations

from datetime import datetime

from channels.errors import Unreachable, Unwanted
from channels.message import OptedIn, OptedOut
from inbox.store.database import Connection
from inbox.text import storable

MAILBOXES = ("email", "email-claimed")  # the kinds of address that mail goes to


def cut_off(channel: str) -> str:
    """SQL for why nothing may be sent to the address `a` by a channel: the code of an error, "" where all may be."""
    return f"""case when a.opted_out ? {channel} or a.silences -> {channel} ->> 'word' <> '' then '{Unwanted.code}'
        when a.silences ? {channel} or a.silenced_at is not null then '{Unreachable.code}' else '' end"""


def stop_word(channel: str) -> str:
    """SQL for the word by which they asked for no more, "" where that is not known."""
    return f"coalesce(coalesce(a.opted_out -> {channel}, a.silences -> {channel}) ->> 'word', '')"


def lasting(channel: str) -> str:
    """SQL for whether only their own word, START, ends the silence of the address `a` on a channel."""
    return f"a.opted_out ? {channel}"


def anywhere() -> str:
    """SQL for whether a message of theirs may end a silence of the address `a`, on whatever channel."""
    return "(a.silenced_at is not null or a.silences <> '{}')"


async def opt_out(c: Connection, address_id: int, event: OptedOut, word: str) -> None:
    """They asked for no more, in this `word` if it was one. The caller holds their conversation locked."""
    column = "opted_out" if event.lasting else "silences"
    await c.execute(
        f"update addresses set {column} = {column} || jsonb_build_object($2::text, $3::jsonb) where id = $1",
        address_id,
        event.channel,
        {"at": event.at.isoformat(), "why": storable(event.why, 500), "word": storable(word, 40)},
    )


async def opt_in(c: Connection, address_id: int, event: OptedIn) -> None:
    """They came back. Who came back before they went away, as a repeated message may tell it, is still away."""
    await c.execute(
        """
        update addresses set
            opted_out = case when (opted_out -> $2::text ->> 'at')::timestamptz > $3 then opted_out
                else opted_out - $2::text end,
            silences = case when (silences -> $2::text ->> 'at')::timestamptz > $3 then silences
                else silences - $2::text end,
            silenced_at = case when silenced_at > $3 then silenced_at end,
            silenced_why = case when silenced_at > $3 then silenced_why else '' end
        where id = $1
        """,
        address_id,
        event.channel,
        event.at,
    )


async def wrote(c: Connection, address_id: int, channel: str, at: datetime) -> None:
    """A message of theirs ends what silenced them there, but no opt-out that lasts, nor a word written after it."""
    await c.execute(
        """
        update addresses set silenced_at = null, silenced_why = '',
            silences = case when silences -> $2::text ->> 'word' <> ''
                and (silences -> $2::text ->> 'at')::timestamptz > $3 then silences else silences - $2::text end
        where id = $1
        """,
        address_id,
        channel,
        at,
    )


async def came_back(c: Connection, address_id: int, event: OptedOut) -> bool:
    """Whether they ended this silence after the moment it is told of: it was told late."""
    return bool(
        await c.fetchval(
            """
            select exists (
                select from messages m
                join addresses a on a.id = $1 join conversations v on v.id = m.conversation_id
                where v.customer_id = a.customer_id and m.address_id = a.id and m.sent_at > $3 and m.channel = $2
                  and ((m.direction = 'event' and m.body ->> 'event' = 'opted_in') or (m.direction = 'in' and not $4)))
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


async def silence(c: Connection, address_id: int, channel: str, why: str, at: datetime) -> None:
    """Nothing will ever arrive there: nothing more is sent by that channel, to a mailbox by any, until they write again.

    Who asked for no more is still known by their word.
    """
    await c.execute(
        """
        update addresses set
            silenced_at = case when kind = any($5::text[]) then coalesce(silenced_at, $4) else silenced_at end,
            silenced_why = case when kind = any($5::text[]) then $3 else silenced_why end,
            silences = case when kind = any($5::text[]) or silences ? $2 then silences
                else silences || jsonb_build_object($2::text, $6::jsonb) end
        where id = $1
        """,
        address_id,
        channel,
        storable(why, 500),
        at,
        list(MAILBOXES),
        {"at": at.isoformat(), "why": storable(why, 500), "word": ""},
    )
