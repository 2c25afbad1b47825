"""Who could carry a conversation, which ones wait for somebody, and who said that they are away.

Rule: whoever gives conversations away holds `alone` until their transaction ends, so nobody is counted with less than
they carry; what is given is locked with `claim` and looked at again, because people and rules change it meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from inbox.changes import Conversation, Priority
from inbox.store import arrivals
from inbox.store.database import Connection

ASSIGNMENT_LOCK = 0x5A17_0002  # any constant of our own; every Santral process uses the same
LOOK_BACK = 200  # messages in which the last person who answered is looked for
_PERSON = "^[UW][A-Z0-9]{2,}$"  # a Slack user: neither the bot nor a rule

Place = tuple[int, datetime, int]  # of a conversation in the queue: priority, since when its customer waits, id


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A team's conversations; the first team also has those of teams that are gone from the configuration."""

    team: str
    first: bool
    teams: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who could take a conversation. `load`: the open conversations they have, over all teams."""

    id: str
    load: int
    away_since: datetime | None  # said so themselves
    away_until: datetime | None  # None: until they say that they are back
    present: bool | None  # as Slack last answered; None: never asked
    seen_at: datetime | None  # since when Slack has answered so
    assigned_at: datetime | None

    def away(self, now: datetime) -> bool:
        return self.away_since is not None and (self.away_until is None or self.away_until > now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """An open conversation that nobody has, or that somebody has who may not be there."""

    id: int
    agent: str
    priority: Priority
    since: datetime | None  # when the customer's wait began
    language: str
    tags: frozenset[str]
    answered_last: str  # a Slack user
    answered_at: datetime | None  # when somebody last answered
    taken_at: datetime | None  # when a person gave it to `agent`; None: it was assigned
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """An open conversation that somebody has, and where it stands in Slack."""

    id: int
    team: str
    customer: str
    priority: Priority
    waiting_since: datetime | None
    slack_channel: str
    ts: str  # "" before its thread is open


async def alone(c: Connection) -> None:
    """Wait until nobody else gives conversations away, and keep others from it until the transaction ends."""
    await c.execute("select pg_advisory_xact_lock($1)", ASSIGNMENT_LOCK)


async def people(c: Connection, ids: Collection[str]) -> list[Person]:
    """What is known of these people, whoever was never heard of included."""
    rows = await c.fetch(
        """
        select i.id, a.away_since, a.away_until, a.present, a.seen_at, a.assigned_at,
            (select count(*) from conversations c where c.agent = i.id and c.agent <> '' and c.state = 'open') as load
        from unnest($1::text[]) as i (id) left join agents a on a.slack_user = i.id order by i.id
        """,
        sorted(set(ids)),
    )
    return [Person(**dict(row)) for row in rows]


_OURS = "c.state = 'open' and (c.team = $1 or ($2 and c.team <> all($3::text[])))"
# Where only machines wrote nobody waits, and spam is nobody's turn: a person who thinks otherwise takes it.
_NOBODYS = f"""c.agent = '' and {_OURS} and (c.waiting_since is not null or c.last_out_at is not null)
    and not (c.priority = {Priority.LOW:d} and 'spam' = any(c.tags))"""
_SOMEBODYS = f"c.agent <> '' and {_OURS} and c.waiting_since is not null"


async def any_waits(c: Connection, scope: Scope) -> bool:
    """Whether there is anything to give or to take away, were the right people there or not there."""
    return bool(
        await c.fetchval(
            f"""
            select exists (select from conversations c where {_NOBODYS})
                or exists (select from conversations c where {_SOMEBODYS})
            """,
            scope.team,
            scope.first,
            list(scope.teams),
        )
    )


_WAITS = f"""
with queue as (
    select * from (
        select c.id, c.priority, coalesce(c.waiting_since, 'infinity') as since from conversations c where {_NOBODYS}
        union all
        select c.id, c.priority, c.waiting_since from conversations c where {_SOMEBODYS} and c.agent <> all($4::text[])
    ) as both_kinds
    where $5::smallint is null or (priority, since, id) > ($5, $6, $7)
    order by priority, since, id limit $8
)
select c.id, c.agent, c.priority, c.waiting_since, c.language, c.tags, queue.since as place_since,
    coalesce(said.author, '') as answered_last, c.last_out_at as answered_at,
    case when given.by ~ '{_PERSON}' then given.at end as taken_at
from queue join conversations c on c.id = queue.id
left join lateral (
    select m.author from messages m
    where m.conversation_id = c.id and m.position > c.last_position - {LOOK_BACK} and m.direction = 'out'
      and m.author ~ '{_PERSON}' and m.withdrawn_at is null
    order by m.position desc limit 1
) as said on true
left join lateral (
    select k.at, k.by from changes k where k.conversation_id = c.id and k.change ->> 'change' = 'assign'
    order by k.id desc limit 1
) as given on c.agent <> ''
order by queue.priority, queue.since, queue.id
"""


async def waiting(
    c: Connection, scope: Scope, here: Collection[str], after: Place | None, limit: int
) -> Sequence[Waits]:
    """What nobody has, and what people have who are not `here`: urgent first, then whoever waits longest.

    `after` is the place of the last one already looked at.
    """
    priority, since, id = after or (None, None, None)
    rows = await c.fetch(
        _WAITS, scope.team, scope.first, list(scope.teams), sorted(set(here)), priority, since, id, limit
    )
    return [
        Waits(
            id=row["id"],
            agent=row["agent"],
            priority=Priority(row["priority"]),
            since=row["waiting_since"],
            language=row["language"],
            tags=frozenset(row["tags"]),
            answered_last=row["answered_last"],
            answered_at=row["answered_at"],
            taken_at=row["taken_at"],
            place=(row["priority"], row["place_since"], row["id"]),
        )
        for row in rows
    ]


async def claim(c: Connection, ids: Collection[int]) -> dict[int, Conversation]:
    """These conversations as they stand, locked until the transaction ends."""
    rows = await c.fetch(
        f"select {arrivals.COLUMNS} from conversations c where c.id = any($1::bigint[]) order by c.id for no key update of c",
        sorted(ids),
    )
    return {row["id"]: arrivals.conversation(row) for row in rows}


async def given(c: Connection, latest: Mapping[str, datetime]) -> None:
    """Remember when people last got a conversation, for whose turn is next."""
    await c.execute(
        """
        insert into agents (slack_user, read_at, assigned_at)
        select slack_user, 'epoch', at from unnest($1::text[], $2::timestamptz[]) as t (slack_user, at) order by slack_user
        on conflict (slack_user) do update set assigned_at = greatest(agents.assigned_at, excluded.assigned_at)
        """,
        list(latest),
        list(latest.values()),
    )


async def saw(c: Connection, answers: Mapping[str, bool], watched: Collection[str], at: datetime) -> None:
    """Keep how Slack shows people. Of those not `watched` all along it is not known since when they are so."""
    await c.execute(
        """
        insert into agents (slack_user, read_at, present, seen_at)
        select slack_user, 'epoch', present, $3 from unnest($1::text[], $2::boolean[]) as t (slack_user, present)
        order by slack_user
        on conflict (slack_user) do update set present = excluded.present,
            seen_at = case when agents.present = excluded.present and agents.slack_user = any($4::text[])
                      then agents.seen_at else excluded.seen_at end
        """,
        list(answers),
        list(answers.values()),
        at,
        list(watched),
    )


async def go_away(c: Connection, user: str, at: datetime, until: datetime | None) -> None:
    """Somebody says that they are away; saying it again changes until when."""
    await c.execute(
        """
        insert into agents (slack_user, read_at, away_since, away_until) values ($1, 'epoch', $2, $3)
        on conflict (slack_user) do update set away_since = excluded.away_since, away_until = excluded.away_until
        """,
        user,
        at,
        until,
    )


async def come_back(c: Connection, user: str, at: datetime) -> None:
    """Somebody says that they are back: whoever can say so in Slack is there, whatever its dot shows."""
    await c.execute(
        """
        insert into agents (slack_user, read_at, present, seen_at) values ($1, 'epoch', true, $2)
        on conflict (slack_user) do update set away_since = null, away_until = null, present = true, seen_at = $2
        """,
        user,
        at,
    )


async def carried(c: Connection, user: str) -> list[Carried]:
    """The open conversations of somebody: urgent first, then whoever waits longest."""
    rows = await c.fetch(
        """
        select c.id, c.team, p.name as customer, c.priority, c.waiting_since, coalesce(t.slack_channel, '') as slack_channel,
            coalesce(t.ts, '') as ts
        from conversations c join customers p on p.id = c.customer_id
        left join slack_threads t on t.conversation_id = c.id
        where c.agent = $1 and c.agent <> '' and c.state = 'open' order by c.priority, c.waiting_since, c.id
        """,
        user,
    )
    return [Carried(**{**dict(row), "priority": Priority(row["priority"])}) for row in rows]
