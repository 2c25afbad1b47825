"""What the desk shows of a conversation: its messages, and what its card says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from channels.message import Proof, Status
from inbox.changes import Conversation
from inbox.store import arrivals
from inbox.store.database import Connection
from inbox.store.deliveries import CAUGHT_UP
from inbox.store.messages import Source
from inbox.store.silences import cut_off, lasting, stop_word


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message as the desk shows it: the beginning of its text, and whether there is more that is `hidden`."""

    id: int
    position: int
    direction: str
    channel: str
    author: str
    author_name: str
    address_kind: str
    address: str
    subject: str
    previous_subject: str  # of the last message before it that had one
    text: str
    hidden: bool
    automatic: bool
    body: Mapping[str, Any]
    album: str
    sent_at: datetime
    created_at: datetime
    edited_at: datetime | None
    withdrawn_at: datetime | None
    files: tuple[Mapping[str, Any], ...] = ()
    sent_by: str = ""  # the channel by which what we said went out
    told: str = ""  # what kind of acknowledgement this is, if it is one
    about: str = ""  # the beginning of what it answers or reacts to, theirs or ours, where that is known
    customer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the card says about a conversation and its customer."""

    conversation: Conversation
    name: str
    address_kind: str
    address: str
    proof: Proof
    cut_off: str  # why nothing may be sent to where they are answered, as the code of a failure
    channels: tuple[str, ...]
    phone: str = ""
    looks_like: str = ""  # the customer whose proven address this one claims to be
    tags: tuple[str, ...] = ()  # in the order in which they were set: what the matter was first taken for comes first
    reasons: tuple[str, ...] = ()  # why it was triaged so, the latest first; none that an agent has overruled since
    due_at: datetime | None = None
    due_what: str = ""  # the promise that breaks first: "first_answer", "next_answer" or "resolution"
    due_state: str = ""  # how it stands: "running", "paused", "warned" or "broken"
    heard_at: datetime | None = None  # when they last wrote to where they are answered
    stop_word: str = ""  # by which they asked for no more messages
    opted_out: bool = False  # only their own word ends the silence


ABOUT = 300  # code points of what a message is about
MOST = 20_000  # code points of a text: more than any post shows, and a mail may be ten times as long

# An acknowledgement is stored under the customer and the closed time it was for: that is how its kind is found.
_SAID = f"""
select m.id, m.position, m.direction, m.channel, m.author, m.author_name, m.subject, left(m.text, {MOST}) as text,
       m.body - 'hidden' - 'html' as body, coalesce(m.body ->> 'hidden', '') <> '' as hidden, m.automatic, m.album,
       m.sent_at, m.created_at, m.edited_at, m.withdrawn_at,
       coalesce(w.kind, '') as address_kind, coalesce(w.value, '') as address,
       case when m.subject = '' then '' else coalesce((
           select b.subject from messages b
           where b.conversation_id = m.conversation_id and b.position < m.position and b.direction = 'in' and b.subject <> ''
           order by b.position desc limit 1), '') end as previous_subject,
       case when m.direction = 'out' then coalesce((
           select d.channel from deliveries d where d.message_id = m.id
           order by d.code = 'sent_elsewhere', d.part limit 1), '') else '' end as sent_by,
       case when m.body ? 'holding' and m.external_id ~ '^acknowledge:[0-9]+:[0-9]{{4}}-' then coalesce((
           select k.kind from acknowledgements k where k.customer_id = split_part(m.external_id, ':', 2)::bigint
             and k.once = substring(m.external_id from '^acknowledge:[0-9]+:(.*)$')::timestamptz), '') else '' end as told,
       coalesce((select jsonb_agg(to_jsonb(a) order by a.number) from attachments a where a.message_id = m.id), '[]') as files,
       case when m.body ? 'about' or m.body ? 'reply_to' then coalesce((
           select left(coalesce(nullif(x.text, ''), (
               select a.filename from attachments a where a.message_id = x.id order by a.number limit 1)), {ABOUT})
           from messages x where x.channel = m.channel and x.conversation_id = m.conversation_id
             and x.external_id = coalesce(m.body ->> 'about', m.body ->> 'reply_to')), (
           select left(coalesce(nullif(d.body ->> 'text', ''), o.text), {ABOUT})
           from deliveries d join messages o on o.id = d.message_id
           where d.channel = m.channel and d.conversation_id = m.conversation_id
             and d.external_id = coalesce(m.body ->> 'about', m.body ->> 'reply_to')), '') else '' end as about,
       p.name as customer
from messages m join conversations v on v.id = m.conversation_id join customers p on p.id = v.customer_id
left join addresses w on w.id = m.address_id
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


async def recent(c: Connection, conversation_id: int, upto: int, limit: int) -> list[Said]:
    """The customer's last messages that the desk has shown, those up to a position, in order."""
    rows = await c.fetch(
        _SAID
        + " where m.conversation_id = $1 and m.position <= $2 and m.direction = 'in' order by m.position desc limit $3",
        conversation_id,
        upto,
        limit,
    )
    return [_said(row) for row in reversed(rows)]


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


# To somebody who never wrote, past us: it says where they are until they do.
_BEGUN_BY_US = "c.channel = '' and m.body ? 'elsewhere'"


async def head(c: Connection, conversation_id: int) -> Head | None:
    row = await c.fetchrow(
        f"""
        select {arrivals.COLUMNS}, p.name as customer_name, a.kind as address_kind, a.value as address_value, a.proof,
            {cut_off("c.channel")} as cut_off, {stop_word("c.channel")} as stop_word, {lasting("c.channel")} as opted_out,
            c.due_at, c.due_what, c.due_state,
            (select array_agg(t.tag order by t.id nulls last, t.tag) from (
                select tag, (select max(k.id) from changes k where k.conversation_id = c.id
                    and k.change = jsonb_build_object('change', 'add_tag', 'value', tag)) as id
                from unnest(c.tags) as tag) as t) as ordered_tags,
            (select array_agg(k.because order by k.latest desc) from (
                select because, max(id) as latest from changes x
                where x.conversation_id = c.id and x.because <> ''
                  and x.change ->> 'change' in ('add_tag', 'set_priority', 'set_team')
                  and x.id > coalesce((
                      select max(y.id) from changes y where y.conversation_id = c.id and y.by ~ '^[UW][A-Z0-9]{{2,}}$'
                        and y.change ->> 'change' in ('add_tag', 'remove_tag', 'set_priority', 'set_team')), 0)
                group by because order by latest desc limit 2) as k) as reasons,
            (select value from addresses x where x.customer_id = p.id and x.kind = 'phone' order by x.id limit 1) as phone,
            (select max(sent_at) from (
                select m.sent_at from messages m where m.conversation_id = c.id and m.direction = 'in'
                and m.channel = c.channel and m.address_id = c.address_id order by m.position desc limit {CAUGHT_UP}
            ) as latest) as heard_at,
            (select array_agg(channel order by latest desc) from (
                select channel, max(position) as latest from messages m
                where m.conversation_id = c.id and (m.direction = 'in' or {_BEGUN_BY_US}) group by channel) as used
            ) as channels,
            case when a.kind like '%-claimed' then (
                select y.name from addresses x join customers y on y.id = x.customer_id
                where x.kind = left(a.kind, -8) and x.value = a.value and x.customer_id <> p.id) end as looks_like
        from conversations c join customers p on p.id = c.customer_id
        left join addresses a on a.id = coalesce(c.address_id, (
            select m.address_id from messages m where m.conversation_id = c.id and {_BEGUN_BY_US}
            order by m.position desc limit 1))
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
        cut_off=row["cut_off"] or "",
        channels=tuple(row["channels"] or ()),
        phone=row["phone"] or "",
        looks_like=row["looks_like"] or "",
        tags=tuple(row["ordered_tags"] or ()),
        reasons=tuple(row["reasons"] or ()),
        due_at=row["due_at"],
        due_what=row["due_what"],
        due_state=row["due_state"],
        heard_at=row["heard_at"],
        stop_word=row["stop_word"] or "",
        opted_out=bool(row["opted_out"]),
    )


async def excerpt(c: Connection, message_id: int) -> str:
    return str(await c.fetchval("select left(text, 300) from messages where id = $1", message_id) or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """How a delivery that a notice is about stands by now, and the reply it is a part of.

    `told_since`: a later notice says more of it. `by` is who last decided about it, `act` what they did and `value` how.
    Of the reply's `parts`, so many `arrived` or `failed`; `resendable` of these may be sent again.
    """

    message_id: int
    status: Status
    code: str
    told_since: bool
    parts: int
    arrived: int
    failed: int
    resendable: int
    by: str
    act: str
    value: str
    stop_word: str
    opted_out: bool


async def fate(c: Connection, delivery: UUID, notice: int) -> Fate | None:
    """What became of a delivery after a notice, by its id, was left. None for one that was planned anew since."""
    row = await c.fetchrow(
        f"""
        select d.message_id, d.status, d.code, whole.*, exists (
                select from notices n where n.conversation_id = d.conversation_id and n.id > $2
                  and n.notice ->> 'delivery' = d.id::text and n.notice ->> 'notice' in ('doubt', 'failure')) as told_since,
            coalesce(act.by, '') as by,
            coalesce(act.change ->> 'change', '') as act, coalesce(act.change ->> 'value', '') as value,
            {stop_word("d.channel")} as stop_word, {lasting("d.channel")} as opted_out
        from deliveries d join addresses a on a.id = d.address_id
        cross join lateral (
            select count(*)::int as parts, count(*) filter (where x.status between 2 and 4)::int as arrived,
                count(*) filter (where x.status = 9 and x.code <> 'undone')::int as failed,
                count(*) filter (where x.status = 9
                    and x.code not in ('undone', 'file_refused', 'file_too_big', 'file_lost'))::int as resendable
            from deliveries x where x.message_id = d.message_id and x.code <> 'sent_elsewhere'
        ) as whole
        left join lateral (
            select k.by, k.change from changes k where k.conversation_id = d.conversation_id
              and (k.change ->> 'delivery' = d.id::text or k.change ->> 'message' = d.message_id::text)
            order by k.id desc limit 1
        ) as act on true
        where d.id = $1
        """,
        delivery,
        notice,
    )
    return Fate(**{**dict(row), "status": Status(row["status"])}) if row else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Another customer, and the Slack thread they are in, if there is one."""

    name: str
    slack_channel: str
    ts: str


async def whose(c: Connection, kind: str, value: str) -> Whose | None:
    """Whose an address is."""
    row = await c.fetchrow(
        """
        select p.name, coalesce(t.slack_channel, '') as slack_channel, coalesce(t.ts, '') as ts
        from addresses a join customers p on p.id = a.customer_id join conversations v on v.customer_id = p.id
        left join slack_threads t on t.conversation_id = v.id where a.kind = $1 and a.value = $2
        """,
        kind,
        value,
    )
    return Whose(**dict(row)) if row else None


async def is_erased(c: Connection, message_id: int) -> bool:
    """Whether a customer took a message back that we had to forget."""
    return bool(await c.fetchval("select body ? 'erased' from messages where id = $1", message_id))


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
class Original:
    """A message whole, with what is known of its way."""

    sender: str
    address: str
    channel: str
    also: tuple[str, ...]
    sent_at: datetime
    subject: str
    text: str
    hidden: str
    proof: Proof
    why: str


async def original(c: Connection, message_id: int) -> Original | None:
    """A customer's message with all that the thread leaves out."""
    row = await c.fetchrow(
        """
        select m.author_name as sender, coalesce(a.value, '') as address, m.channel, m.sent_at, m.subject, m.text,
            coalesce(m.body -> 'also', '[]') as also, coalesce(m.body ->> 'hidden', '') as hidden,
            coalesce((m.body ->> 'proof')::int, a.proof, 0) as proof, coalesce(m.body ->> 'why', '') as why
        from messages m left join addresses a on a.id = m.address_id where m.id = $1 and m.direction = 'in'
        """,
        message_id,
    )
    return Original(**{**dict(row), "also": tuple(row["also"]), "proof": Proof(row["proof"])}) if row else None
