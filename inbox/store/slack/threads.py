"""The Slack threads of conversations, and the posts made in them.

Rule: a post is committed as begun before Slack is called, under an id that travels in its metadata, so that a post whose
answer was lost can be found again instead of being repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from inbox import due
from inbox.store import work
from inbox.store.database import Connection
from inbox.store.messages import Source
from inbox.store.slack.notices import notice_shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """The Slack thread of a conversation. `ts` is None while the outcome of its first post is unknown.

    Of the `opening` messages, its card was made to hold those up to `card_position`.
    """

    conversation_id: int
    slack_channel: str
    ts: str | None
    post_id: UUID
    opening: tuple[int, ...]
    shown_position: int
    card_position: int
    card_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A post that was begun and not seen to end."""

    id: UUID
    kind: str
    key: str
    last_position: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose Slack thread it is. `opening`: some thread of this Slack channel is being opened; `moved`: it is left."""

    conversation_id: int | None
    opening: bool
    moved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A Slack thread that a conversation has left for another Slack channel. `told` names the one its card leads to."""

    id: UUID
    slack_channel: str
    ts: str
    told: str


async def thread(c: Connection, conversation_id: int) -> Thread | None:
    row = await c.fetchrow(
        """
        select t.conversation_id, t.slack_channel, t.ts, t.post_id, t.opening, t.shown_position, t.card_hash,
            coalesce(p.last_position, t.shown_position) as card_position
        from slack_threads t left join slack_posts p on p.id = t.post_id where t.conversation_id = $1
        """,
        conversation_id,
    )
    return Thread(**{**dict(row), "opening": tuple(row["opening"])}) if row else None


async def conversation_of(c: Connection, slack_channel: str, ts: str) -> int | None:
    """The conversation a Slack thread belongs to: also one whose card was deleted, where people may write on."""
    found = await c.fetchval(
        """
        select conversation_id from slack_threads where slack_channel = $1 and ts = $2
        union all select conversation_id from slack_posts
        where slack_channel = $1 and ts = $2 and kind in ('card', 'left') limit 1
        """,
        slack_channel,
        ts,
    )
    return int(found) if found else None


async def owner(c: Connection, slack_channel: str, ts: str) -> Owner:
    """As `conversation_of`, and how the thread stands.

    One statement, so one moment: asked one after the other, a thread recorded in between would be neither.
    """
    row = await c.fetchrow(
        """
        select coalesce(
                   (select conversation_id from slack_threads where slack_channel = $1 and ts = $2), post.conversation_id
               ) as conversation_id,
               exists (select from slack_threads where slack_channel = $1 and ts is null) as opening,
               coalesce(post.kind = 'left', false) as moved
        from (select) as always left join (
            select conversation_id, kind from slack_posts where slack_channel = $1 and ts = $2 and kind in ('card', 'left')
        ) as post on true
        """,
        slack_channel,
        ts,
    )
    return Owner(**dict(row))


async def begin_thread(
    c: Connection, conversation_id: int, slack_channel: str, post_id: UUID, opening: Sequence[int], shown: int
) -> None:
    """Open a Slack thread, or open it anew where its first post is gone."""
    await c.execute(
        """
        insert into slack_threads (conversation_id, slack_channel, post_id, opening, shown_position)
        values ($1, $2, $3, $4, $5)
        on conflict (conversation_id) do update set slack_channel = $2, ts = null, post_id = $3, opening = $4,
            shown_position = greatest(slack_threads.shown_position, $5), card_hash = ''
        """,
        conversation_id,
        slack_channel,
        post_id,
        list(opening),
        shown,
    )
    await begin_post(c, post_id, conversation_id, slack_channel, "card", "", None, shown)


async def leave_threads(c: Connection, conversation_id: int) -> None:
    """The conversation goes on in another Slack channel: what is written in its threads so far reaches nobody."""
    await c.execute(
        "update slack_posts set kind = 'left' where conversation_id = $1 and kind = 'card' and ts is not null",
        conversation_id,
    )


async def left(c: Connection, conversation_id: int) -> list[Left]:
    """The Slack threads that a conversation has left, the latest first."""
    rows = await c.fetch(
        """
        select id, slack_channel, ts, split_part(key, '>', 2) as told from slack_posts
        where conversation_id = $1 and kind = 'left' order by created_at desc
        """,
        conversation_id,
    )
    return [Left(**dict(row)) for row in rows]


async def left_told(c: Connection, id: UUID, told: str) -> None:
    """The card of a thread that was left leads to the thread of this post now, or is gone itself."""
    await c.execute("update slack_posts set key = id::text || '>' || $2 where id = $1", id, told)


async def thread_opened(c: Connection, conversation_id: int, post_id: UUID, ts: str, card_hash: str) -> None:
    await c.execute(
        "update slack_threads set ts = $3, card_hash = $4 where conversation_id = $1 and post_id = $2",
        conversation_id,
        post_id,
        ts,
        card_hash,
    )
    await post_sent(c, post_id, ts)


async def lose_thread(c: Connection, conversation_id: int, ts: str | None) -> bool:
    """The head of the thread is gone at Slack: the next run opens a new one. False when one was opened since."""
    answer = await c.execute(
        "update slack_threads set ts = null, card_hash = 'lost' where conversation_id = $1 and ts = $2",
        conversation_id,
        ts,
    )
    if not answer.endswith(" 1"):
        return False
    await c.execute("delete from slack_posts where conversation_id = $1 and ts is null", conversation_id)
    return True


async def card_shown(c: Connection, conversation_id: int, card_hash: str) -> None:
    await c.execute("update slack_threads set card_hash = $2 where conversation_id = $1", conversation_id, card_hash)


async def begin_post(
    c: Connection,
    id: UUID,
    conversation_id: int,
    slack_channel: str,
    kind: str,
    key: str,
    first: int | None,
    last: int | None,
) -> None:
    await c.execute(
        """
        insert into slack_posts (id, conversation_id, slack_channel, kind, key, first_position, last_position)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        id,
        conversation_id,
        slack_channel,
        kind,
        key,
        first,
        last,
    )


async def post_sent(c: Connection, id: UUID, ts: str) -> None:
    """Slack has this post; what it shows counts as shown."""
    row = await c.fetchrow(
        """
        update slack_posts set ts = $2, sent_at = now() where id = $1
        returning conversation_id, kind, key, first_position, last_position
        """,
        id,
        ts,
    )
    if row is None:
        return
    if row["kind"] == "lines":
        await c.execute(
            "update slack_threads set shown_position = greatest(shown_position, $2) where conversation_id = $1",
            row["conversation_id"],
            row["last_position"],
        )
        # How far it got may have been known before there was a post to show it on.
        said = await c.fetch(
            """
            select id from messages
            where conversation_id = $1 and position between $2 and $3 and direction in ('out', 'note')
              and channel <> 'slack'
            """,
            row["conversation_id"],
            row["first_position"],
            row["last_position"],
        )
        await work.put(c, [due.marks(message["id"]) for message in said])
    elif row["kind"] == "notice":
        about = await notice_shown(c, row["key"])
        await work.put(c, [due.marks(about)] if about else [])


async def changed_in_post(c: Connection, id: UUID) -> list[Source]:
    """The messages of a post that were changed or taken back, before it was made or since."""
    rows = await c.fetch(
        """
        select m.channel, m.external_id from slack_posts p join messages m on m.conversation_id = p.conversation_id
          and m.position between p.first_position and p.last_position
        where p.id = $1 and p.kind = 'lines' and m.direction = 'in'
          and (m.edited_at is not null or m.withdrawn_at is not null)
        """,
        id,
    )
    return [(row["channel"], row["external_id"]) for row in rows]


async def forget_post(c: Connection, id: UUID) -> None:
    """This post surely never arrived."""
    await c.execute("delete from slack_posts where id = $1 and ts is null", id)


async def begun(c: Connection, conversation_id: int) -> Begun | None:
    """The post in this thread whose outcome nobody recorded, other than its first."""
    row = await c.fetchrow(
        """
        select id, kind, key, last_position, created_at from slack_posts
        where conversation_id = $1 and ts is null and kind <> 'card' order by created_at limit 1
        """,
        conversation_id,
    )
    return Begun(**dict(row)) if row else None


async def began_at(c: Connection, post_id: UUID) -> datetime | None:
    """When a post was begun; None for one that is not remembered."""
    found = await c.fetchval("select created_at from slack_posts where id = $1 and ts is null", post_id)
    return found if isinstance(found, datetime) else None


async def post_showing(c: Connection, conversation_id: int, position: int) -> tuple[str, str, int, int] | None:
    """The post (Slack channel, ts, first and last position) in which a message stands."""
    row = await c.fetchrow(
        """
        select slack_channel, ts, first_position, last_position from slack_posts
        where conversation_id = $1 and first_position <= $2 and last_position >= $2 and kind = 'lines' and ts is not null
        """,
        conversation_id,
        position,
    )
    return (row["slack_channel"], row["ts"], row["first_position"], row["last_position"]) if row else None


async def source_of_post(c: Connection, slack_channel: str, ts: str) -> Source | None:
    """Where the reply or note that a post of ours shows was written: in a window, or by Santral."""
    row = await c.fetchrow(
        """
        select m.channel, m.external_id from slack_posts p join messages m on m.conversation_id = p.conversation_id
          and m.position = p.first_position and m.direction in ('out', 'note') and m.channel <> 'slack'
        where p.slack_channel = $1 and p.ts = $2 and p.kind = 'lines'
        """,
        slack_channel,
        ts,
    )
    return (row["channel"], row["external_id"]) if row else None


async def conversation_of_work(c: Connection, kind: str, key: str) -> int | None:
    """The conversation a piece of work is about, if it is about one."""
    match kind:
        case "mirror" | "card" | "closing":
            return int(key)
        case "marks":
            found = await c.fetchval("select conversation_id from messages where id = $1", int(key))
        case "media":
            found = await c.fetchval(
                "select m.conversation_id from attachments a join messages m on m.id = a.message_id where a.id = $1",
                int(key),
            )
        case "deliver":
            found = await c.fetchval(
                """
                select c.id from addresses a join conversations c on c.customer_id = a.customer_id where a.id = $1
                """,
                int(key.rpartition("/")[2]),
            )
        case "slack_thread":
            slack_channel, _, ts = key.partition(":")
            return await conversation_of(c, slack_channel, ts)
        case _:
            return None
    return int(found) if found else None


# catch-up


async def last_seen(c: Connection, slack_channel: str, since: datetime) -> dict[str, str]:
    """The Slack threads of a Slack channel opened since then, each with the `ts` of the newest post we know in it."""
    rows = await c.fetch(
        """
        select t.ts, greatest(
            t.ts,
            (select max(p.ts) from slack_posts p where p.conversation_id = t.conversation_id and p.ts is not null),
            (select max(e.body -> 'event' ->> 'ts') from slack_events e
             where e.slack_channel = t.slack_channel and e.thread_ts = t.ts)
        ) as seen
        from slack_threads t where t.slack_channel = $1 and t.ts > $2
        """,
        slack_channel,
        f"{since.timestamp():.6f}",
    )
    return {row["ts"]: row["seen"] for row in rows}


async def known(c: Connection, slack_channel: str, ts: Sequence[str]) -> set[str]:
    """Which of these Slack messages we stored or were told of."""
    rows = await c.fetch(
        """
        select x.ts from unnest($2::text[]) as x (ts)
        where exists (select from messages m where m.channel = 'slack' and m.external_id = $1 || ':' || x.ts)
           or exists (select from slack_posts p where p.slack_channel = $1 and p.ts = x.ts)
           or exists (select from slack_events e where e.slack_channel = $1 and e.body -> 'event' ->> 'ts' = x.ts)
        """,
        slack_channel,
        list(ts),
    )
    return {row["ts"] for row in rows}
