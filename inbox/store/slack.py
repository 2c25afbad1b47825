"""What the desk remembers of Slack: threads, posts, events, agents. Slack's ids and `ts` are text, never numbers.

Rule: a post is committed as begun before Slack is called, under an id that travels in its metadata, so that a post whose
answer was lost can be found again instead of being repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from channels.message import Proof, Status
from inbox.changes import Conversation
from inbox.store import arrivals
from inbox.store.database import Connection
from inbox.store.messages import Source
from inbox.text import storable


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """The Slack thread of a conversation. `ts` is None while the outcome of its first post is unknown."""

    conversation_id: int
    slack_channel: str
    ts: str | None
    post_id: UUID
    opening: tuple[int, ...]
    shown_position: int
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
class Said:
    """A message as the desk shows it."""

    id: int
    position: int
    direction: str
    channel: str
    author: str
    author_name: str
    subject: str
    text: str
    body: Mapping[str, Any]
    album: str
    sent_at: datetime
    created_at: datetime
    edited_at: datetime | None
    withdrawn_at: datetime | None
    files: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the card says about a conversation and its customer."""

    conversation: Conversation
    name: str
    address_kind: str
    address: str
    proof: Proof
    silenced: bool
    channels: tuple[str, ...]
    phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    id: int
    key: str
    notice: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A person of the workspace as Slack last described them."""

    slack_user: str
    name: str = ""
    locale: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    answered: bool = False
    read_at: datetime


# threads


async def thread(c: Connection, conversation_id: int) -> Thread | None:
    row = await c.fetchrow(
        """
        select conversation_id, slack_channel, ts, post_id, opening, shown_position, card_hash
        from slack_threads where conversation_id = $1
        """,
        conversation_id,
    )
    return Thread(**{**dict(row), "opening": tuple(row["opening"])}) if row else None


async def conversation_of(c: Connection, slack_channel: str, ts: str) -> int | None:
    """The conversation a Slack thread belongs to: also one whose card was deleted, where people may write on."""
    found = await c.fetchval(
        """
        select conversation_id from slack_threads where slack_channel = $1 and ts = $2
        union all select conversation_id from slack_posts where slack_channel = $1 and ts = $2 and kind = 'card' limit 1
        """,
        slack_channel,
        ts,
    )
    return int(found) if found else None


async def owner(c: Connection, slack_channel: str, ts: str) -> tuple[int | None, bool]:
    """As `conversation_of`, and whether some thread of this Slack channel is being opened.

    One statement, so one moment: asked one after the other, a thread recorded in between would be neither.
    """
    row = await c.fetchrow(
        """
        select coalesce(
                   (select conversation_id from slack_threads where slack_channel = $1 and ts = $2),
                   (select conversation_id from slack_posts where slack_channel = $1 and ts = $2 and kind = 'card')
               ) as conversation_id,
               exists (select from slack_threads where slack_channel = $1 and ts is null) as opening
        """,
        slack_channel,
        ts,
    )
    return row["conversation_id"], row["opening"]


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


# posts


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
        update slack_posts set ts = $2, sent_at = now() where id = $1 returning conversation_id, kind, key, last_position
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
    elif row["kind"] == "notice":
        await notice_shown(c, row["key"])


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


# what to show

_SAID = """
select m.id, m.position, m.direction, m.channel, m.author, m.author_name, m.subject, m.text, m.body, m.album, m.sent_at,
       m.created_at, m.edited_at, m.withdrawn_at,
       coalesce((select jsonb_agg(to_jsonb(a) order by a.number) from attachments a where a.message_id = m.id), '[]') as files
from messages m
"""


def _said(row: Any) -> Said:
    values = dict(row)
    return Said(**{**values, "files": tuple(values["files"])})


async def unshown(c: Connection, conversation_id: int, after: int, limit: int = 60) -> list[Said]:
    """What the Slack thread does not show yet: what agents wrote there themselves is there already."""
    rows = await c.fetch(
        _SAID
        + " where m.conversation_id = $1 and m.position > $2 and m.channel <> 'slack' order by m.position limit $3",
        conversation_id,
        after,
        limit,
    )
    return [_said(row) for row in rows]


async def said(c: Connection, conversation_id: int, positions: Sequence[int]) -> list[Said]:
    rows = await c.fetch(
        _SAID + " where m.conversation_id = $1 and m.position = any($2::bigint[]) order by m.position",
        conversation_id,
        list(positions),
    )
    return [_said(row) for row in rows]


async def said_between(c: Connection, conversation_id: int, first: int, last: int) -> list[Said]:
    rows = await c.fetch(
        _SAID
        + " where m.conversation_id = $1 and m.position between $2 and $3 and m.channel <> 'slack' order by m.position",
        conversation_id,
        first,
        last,
    )
    return [_said(row) for row in rows]


async def by_external_id(c: Connection, channel: str, external_id: str) -> tuple[int, int] | None:
    """The conversation and position of a customer's message."""
    row = await c.fetchrow(
        "select conversation_id, position from messages where channel = $1 and external_id = $2", channel, external_id
    )
    return (row["conversation_id"], row["position"]) if row else None


async def external_ids(c: Connection, message_ids: Sequence[int]) -> list[Source]:
    """Channels and external ids of messages."""
    rows = await c.fetch("select channel, external_id from messages where id = any($1::bigint[])", list(message_ids))
    return [(row["channel"], row["external_id"]) for row in rows]


async def head(c: Connection, conversation_id: int) -> Head | None:
    row = await c.fetchrow(
        f"""
        select {arrivals.COLUMNS}, p.name as customer_name, a.kind as address_kind, a.value as address_value, a.proof,
            a.silenced_at is not null as silenced,
            (select value from addresses x where x.customer_id = p.id and x.kind = 'phone' order by x.id limit 1) as phone,
            (select array_agg(channel order by latest desc) from (
                select channel, max(position) as latest from messages m
                where m.conversation_id = c.id and m.direction = 'in' group by channel) as used) as channels
        from conversations c join customers p on p.id = c.customer_id left join addresses a on a.id = c.address_id
        where c.id = $1
        """,
        conversation_id,
    )
    if row is None:
        return None
    return Head(
        conversation=arrivals.conversation(row),
        name=row["customer_name"],
        address_kind=row["address_kind"] or "",
        address=row["address_value"] or "",
        proof=Proof(row["proof"] or 0),
        silenced=bool(row["silenced"]),
        channels=tuple(row["channels"] or ()),
        phone=row["phone"] or "",
    )


async def notice_due(c: Connection, conversation_id: int) -> Notice | None:
    row = await c.fetchrow(
        "select id, key, notice from notices where conversation_id = $1 and shown_at is null order by id limit 1",
        conversation_id,
    )
    return Notice(**dict(row)) if row else None


async def notice_without_thread(c: Connection) -> Notice | None:
    """The first alarm that belongs to no conversation and was not shown."""
    row = await c.fetchrow(
        "select id, key, notice from notices where conversation_id is null and shown_at is null order by id limit 1"
    )
    return Notice(**dict(row)) if row else None


async def notice_shown(c: Connection, key: str) -> None:
    await c.execute("update notices set shown_at = now() where key = $1", key)


async def notice_due_again(c: Connection, key: str) -> None:
    await c.execute("update notices set shown_at = null where key = $1", key)


async def excerpt(c: Connection, message_id: int) -> str:
    return str(await c.fetchval("select left(text, 300) from messages where id = $1", message_id) or "")


async def customer_of_message(c: Connection, message_id: int) -> str:
    """The name of the customer a message belongs to."""
    found = await c.fetchval(
        """
        select p.name from messages m join conversations c on c.id = m.conversation_id
        join customers p on p.id = c.customer_id where m.id = $1
        """,
        message_id,
    )
    return str(found or "")


async def words_of(c: Connection, channel: str, external_id: str) -> str:
    """The text of a customer's message, which they may have deleted since."""
    found = await c.fetchval(
        "select left(text, 300) from messages where channel = $1 and external_id = $2", channel, external_id
    )
    return str(found or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A customer's file that is to stand in the thread. `slack_file` is "" until Slack has its bytes."""

    id: int
    filename: str
    media_type: str
    path: str
    slack_file: str
    author_name: str
    channel: str
    external_id: str


async def files_due(c: Connection, conversation_id: int, shown: int) -> tuple[list[KeptFile], bool]:
    """The kept files of the first shown message, or of its album, whose files are not in the thread yet.

    Also answers whether to wait for more: a part of it came less than twenty seconds ago and is still being fetched.
    """
    rows = await c.fetch(
        """
        with next as (
            select m.id, m.album from attachments a join messages m on m.id = a.message_id
            where m.conversation_id = $1 and m.position <= $2 and m.direction = 'in' and a.state = 'kept'
              and a.shown_at is null order by m.position, a.number limit 1
        )
        select a.id, a.filename, a.media_type, a.path, a.slack_file, m.author_name, m.channel, m.external_id,
               a.state = 'due' and m.created_at > now() - interval '20 seconds' as coming, a.state = 'kept' as kept
        from next join messages m on m.id = next.id or (m.album <> '' and m.album = next.album and m.conversation_id = $1)
        join attachments a on a.message_id = m.id
        where m.position <= $2 and m.direction = 'in' and a.state in ('kept', 'due') and a.shown_at is null
        order by m.position, a.number limit 10
        """,
        conversation_id,
        shown,
    )
    names = KeptFile.__dataclass_fields__
    kept = [KeptFile(**{name: row[name] for name in names}) for row in rows if row["kept"]]
    return kept, any(row["coming"] for row in rows)


async def files_failed(c: Connection, conversation_id: int, shown: int) -> list[Source]:
    """Mark as told the files that will not come, and name the shown messages that still promise them."""
    rows = await c.fetch(
        """
        update attachments a set shown_at = now() from messages m
        where m.id = a.message_id and m.conversation_id = $1 and m.position <= $2 and m.direction = 'in'
          and a.state = 'failed' and a.shown_at is null
        returning m.channel, m.external_id
        """,
        conversation_id,
        shown,
    )
    return [(row["channel"], row["external_id"]) for row in rows]


async def file_begun(c: Connection, attachment_id: int, slack_file: str) -> None:
    await c.execute("update attachments set slack_file = $2 where id = $1", attachment_id, slack_file)


async def file_shown(c: Connection, attachment_id: int) -> None:
    await c.execute("update attachments set shown_at = now() where id = $1", attachment_id)


async def file_refused(c: Connection, attachment_id: int, why: str) -> None:
    await c.execute("update attachments set state = 'failed', why = $2 where id = $1", attachment_id, why)


# marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """An agent's message in Slack, how far its deliveries got, and the marks it carries."""

    conversation_id: int
    slack_channel: str
    ts: str
    direction: str
    withdrawn: bool
    statuses: tuple[Status, ...]
    undone: bool
    marks: tuple[str, ...]
    due_at: datetime | None


async def marked(c: Connection, message_id: int) -> Marked | None:
    row = await c.fetchrow(
        """
        select m.conversation_id, m.external_id, m.direction, m.withdrawn_at, m.marks,
            coalesce(array_agg(d.status order by d.part) filter (where d.id is not null), '{}') as statuses,
            coalesce(bool_or(d.code = 'undone'), false) as undone, min(d.due_at) as due_at
        from messages m left join deliveries d on d.message_id = m.id
        where m.id = $1 and m.channel = 'slack' group by m.id
        """,
        message_id,
    )
    if row is None or ":" not in (row["external_id"] or ""):
        return None
    slack_channel, ts = row["external_id"].split(":", 1)
    return Marked(
        conversation_id=row["conversation_id"],
        slack_channel=slack_channel,
        ts=ts,
        direction=row["direction"],
        withdrawn=row["withdrawn_at"] is not None,
        statuses=tuple(Status(status) for status in row["statuses"]),
        undone=row["undone"],
        marks=tuple(row["marks"]),
        due_at=row["due_at"],
    )


async def marks_shown(c: Connection, message_id: int, marks: Sequence[str]) -> None:
    await c.execute("update messages set marks = $2 where id = $1", message_id, list(marks))


# events


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    event_id: str
    thread_ts: str
    body: Mapping[str, Any]
    received_at: datetime


async def store_event(
    c: Connection, event_id: str, slack_channel: str, thread_ts: str, body: Mapping[str, Any], outcome: str
) -> bool:
    """Keep an event by its id. False when we have it. An `outcome` given at once means there is nothing to do."""
    answer = await c.execute(
        """
        insert into slack_events (event_id, slack_channel, thread_ts, body, settled_at, outcome)
        values ($1, $2, $3, $4, case when $5 <> '' then now() end, $5) on conflict (event_id) do nothing
        """,
        storable(event_id),
        storable(slack_channel),
        storable(thread_ts),
        _storable(dict(body)),
        outcome,
    )
    return answer.endswith(" 1")


def _storable(value: Any) -> Any:
    """A JSON value whose every text PostgreSQL takes."""
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(name): _storable(inner) for name, inner in value.items()}
        case list():
            return [_storable(inner) for inner in value]
        case _:
            return value


async def unsettled(c: Connection, slack_channel: str, thread_ts: str) -> list[Event]:
    """The events of one Slack thread that nobody has acted on, in the order in which they happened."""
    rows = await c.fetch(
        """
        select event_id, thread_ts, body, received_at from slack_events
        where slack_channel = $1 and thread_ts = $2 and settled_at is null
        order by coalesce(body -> 'event' ->> 'event_ts', body -> 'event' ->> 'ts'), event_id
        """,
        slack_channel,
        thread_ts,
    )
    return [Event(**dict(row)) for row in rows]


async def event(c: Connection, event_id: str) -> Event | None:
    row = await c.fetchrow(
        "select event_id, thread_ts, body, received_at from slack_events where event_id = $1", event_id
    )
    return Event(**dict(row)) if row else None


async def latest_change(c: Connection, slack_channel: str, thread_ts: str, ts: str) -> Mapping[str, Any] | None:
    """The last event that changed or deleted a message, whatever was done about it."""
    found = await c.fetchval(
        """
        select body -> 'event' from slack_events
        where slack_channel = $1 and thread_ts = $2 and $3 in (body #>> '{event,message,ts}', body #>> '{event,deleted_ts}')
          and body #>> '{event,subtype}' in ('message_changed', 'message_deleted')
        order by body #>> '{event,event_ts}' desc limit 1
        """,
        slack_channel,
        thread_ts,
        ts,
    )
    return found if isinstance(found, Mapping) else None


async def settle_event(c: Connection, event_id: str, outcome: str) -> None:
    await c.execute(
        "update slack_events set settled_at = now(), outcome = $2 where event_id = $1", event_id, outcome[:200]
    )


async def forget_events(c: Connection, days: int = 7) -> None:
    """Slack repeats an event for a day at most; a week is plenty to know it again."""
    await c.execute("delete from slack_events where settled_at < now() - make_interval(days => $1)", days)


# agents


async def agent(c: Connection, slack_user: str) -> Agent | None:
    row = await c.fetchrow(
        """
        select slack_user, name, locale, facts, answered_at is not null as answered, read_at from agents
        where slack_user = $1
        """,
        slack_user,
    )
    return Agent(**dict(row)) if row else None


async def save_agent(
    c: Connection, slack_user: str, name: str, locale: str, facts: Mapping[str, Any], at: datetime
) -> Agent:
    row = await c.fetchrow(
        """
        insert into agents (slack_user, name, locale, facts, read_at) values ($1, $2, $3, $4, $5)
        on conflict (slack_user) do update set name = $2, locale = $3, facts = $4, read_at = $5
        returning slack_user, name, locale, facts, answered_at is not null as answered, read_at
        """,
        slack_user,
        name,
        locale,
        dict(facts),
        at,
    )
    return Agent(**dict(row))


# alarms


async def conversation_of_work(c: Connection, kind: str, key: str) -> int | None:
    """The conversation a piece of work is about, if it is about one."""
    match kind:
        case "mirror" | "card":
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
