"""Messages their senders took back, also where that is told before the message itself, or has to be forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from channels.message import Address, Received, Withdrawn
from inbox.store.arrivals import Name, load
from inbox.store.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a withdrawal took: the conversation it was said in, and what has to go with the words.

    `paths` are files of ours, `slack_files` those that stand in Slack, `quoting` the messages that quoted it.
    """

    conversation_id: int
    paths: tuple[str, ...] = ()
    slack_files: tuple[str, ...] = ()
    quoting: tuple[Name, ...] = ()


async def withdraw(c: Connection, event: Withdrawn) -> Taken | None:
    """Note that the customer deleted a message, and erase it where the provider obliges us. None when nothing changed.

    A message we have not seen yet leaves a tombstone, which it meets when it comes.
    """
    row = await c.fetchrow(
        """
        update messages set withdrawn_at = $3 where channel = $1 and external_id = $2 and direction = 'in'
          and withdrawn_at is null returning id, conversation_id
        """,
        event.channel,
        event.external_id,
        event.at,
    )
    if row is None:
        await c.execute(
            """
            insert into tombstones (channel, external_id, at, erase) select $1, $2, $3, $4
            where not exists (select from messages where channel = $1 and external_id = $2) on conflict do nothing
            """,
            event.channel,
            event.external_id,
            event.at,
            event.erase,
        )
        return None
    taken = Taken(conversation_id=row["conversation_id"])
    return await _erase(c, row["id"], taken) if event.erase else taken


async def _erase(c: Connection, message_id: int, taken: Taken) -> Taken:
    """Forget what was said, everywhere it stands: the message, its first words, its files, what quotes it, and why it
    was triaged so."""
    await c.execute(
        """
        update messages set text = '', subject = '', received = null, raw = null,
            body = body - '{quoted,html,hidden,spans,payload,files,forwarded_from}'::text[] || '{"erased": true}'
        where id = $1
        """,
        message_id,
    )
    quoting = await c.fetch(
        """
        update messages q set body = q.body - 'quoted' from messages m
        where m.id = $1 and q.conversation_id = m.conversation_id and m.external_id in (q.body ->> 'reply_to', q.body ->> 'about')
        returning q.channel, q.external_id
        """,
        message_id,
    )
    await forget_reasons(c, [message_id])
    rows = await c.fetch(
        """
        with old as (select id, path from attachments where message_id = $1 for update)
        update attachments a set state = 'failed', why = 'withdrawn', path = '', ref = '', filename = '', size = null
        from old where a.id = old.id returning old.path, a.slack_file
        """,
        message_id,
    )
    return replace(
        taken,
        paths=tuple(row["path"] for row in rows if row["path"]),
        slack_files=tuple(row["slack_file"] for row in rows if row["slack_file"]),
        quoting=tuple((row["channel"], row["external_id"]) for row in quoting),
    )


async def forget_reasons(c: Connection, message_ids: Sequence[int]) -> None:
    """Forget why programs decided anything since these messages came: a reason may name a word of theirs.

    Which reason is of which message is not kept, so that those of later ones go as well. What was decided stays.
    """
    await c.execute(
        """
        update changes k set because = '' from messages m
        where m.id = any($1::bigint[]) and k.conversation_id = m.conversation_id and k.because <> ''
          and k.by !~ '^[UW][A-Z0-9]{2,}$' and k.at > least(m.created_at, m.sent_at) - interval '1 day' -- two clocks: decision 19
        """,
        list(message_ids),
    )


async def known_before(c: Connection, messages: Iterable[Received]) -> dict[Name, Withdrawn]:
    """The withdrawals that came before their messages."""
    asked = {(message.channel, message.external_id): message for message in messages}
    if not asked:
        return {}
    rows = await c.fetch(
        """
        select t.channel, t.external_id, t.at, t.erase from unnest($1::text[], $2::text[]) as k (channel, external_id)
        join tombstones t using (channel, external_id)
        """,
        [channel for channel, _ in asked],
        [external_id for _, external_id in asked],
    )
    return {
        (row["channel"], row["external_id"]): Withdrawn(
            channel=row["channel"],
            external_id=row["external_id"],
            sender=asked[row["channel"], row["external_id"]].sender,
            at=row["at"],
            erase=row["erase"],
        )
        for row in rows
    }


async def tombstone(c: Connection, channel: str, external_id: str) -> Withdrawn | None:
    """A withdrawal whose message is there after all and stands yet. Its conversation is locked."""
    row = await c.fetchrow(
        """
        select m.conversation_id, t.at, t.erase, a.kind, a.value
        from tombstones t join messages m using (channel, external_id) join addresses a on a.id = m.address_id
        where t.channel = $1 and t.external_id = $2 and m.withdrawn_at is null
        """,
        channel,
        external_id,
    )
    if row is None:
        return None
    await load(c, row["conversation_id"])
    return Withdrawn(
        channel=channel,
        external_id=external_id,
        sender=Address(kind=row["kind"], value=row["value"]),
        at=row["at"],
        erase=row["erase"],
    )


def blank(message: Received) -> Received:
    """A message as it is stored when it has to be forgotten before it came."""
    return replace(
        message, text="", subject="", html="", hidden="", quoted="", spans=(), attachments=(), payload="", raw=b""
    )


async def forget_tombstones(c: Connection, days: int = 7) -> None:
    """Withdrawals of what never came."""
    await c.execute("delete from tombstones where at < now() - make_interval(days => $1)", days)
