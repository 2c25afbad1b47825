"""What was said to customers at once, before a person answered: who was told, for which closed time, and how often.

Rule: (customer, `once`) is unique, so nobody is told twice whatever channels they try and however many processes decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from inbox.store.database import Connection
from inbox.store.silences import cut_off

LOOP = timedelta(minutes=10)  # in which messages both ways are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What the decision looks at. Counted at the given moment."""

    customer_id: int
    customer: str
    address_id: int
    address_kind: str
    channel: str
    language: str
    team: str
    tags: frozenset[str]
    zone: str  # of the customer, "" if not known
    phone: str  # a number of theirs, "" if not known
    silenced: bool
    waiting_since: datetime | None
    answered_at: datetime | None  # by a person, over all channels
    message_id: int  # the customer's last
    sent_at: datetime
    automatic: bool
    quiet: bool
    bot: bool
    acknowledged: datetime | None
    promised: datetime | None
    address_day: int
    address_week: int
    exchanged: int
    last_minute: int


_CIRCUMSTANCES = f"""
select c.customer_id, p.name as customer, a.id as address_id, a.kind as address_kind, c.channel, c.language, c.team,
    c.tags, p.time_zone as zone,
    coalesce((select x.value from addresses x where x.customer_id = p.id and x.kind = 'phone' order by x.id limit 1), '')
        as phone,
    {cut_off("c.channel")} <> '' as silenced, c.waiting_since, c.last_out_at as answered_at,
    m.id as message_id, m.sent_at, m.automatic, m.body ? 'quiet' as quiet, m.body ? 'bot' as bot,
    told.once as acknowledged, told.opens_at as promised,
    (select count(*) from acknowledgements k
     where k.address_id = a.id and k.at > $2::timestamptz - interval '1 day' and k.at <= $2::timestamptz) as address_day,
    (select count(*) from acknowledgements k
     where k.address_id = a.id and k.at > $2::timestamptz - interval '7 days' and k.at <= $2::timestamptz) as address_week,
    -- Both ways: a person who types five lines is no loop.
    (select 2 * least(count(*) filter (where x.direction = 'in'), count(*) filter (where x.direction = 'out'))
     from messages x
     where x.conversation_id = c.id and x.position > c.last_position - 50 and x.address_id = a.id
       and x.sent_at > $2::timestamptz - $3::interval
       and x.direction in ('in', 'out')) as exchanged,
    (select count(*) from acknowledgements k where k.at > $2::timestamptz - interval '1 minute' and k.at <= $2::timestamptz) as last_minute
from conversations c
join customers p on p.id = c.customer_id
join addresses a on a.id = c.address_id
join lateral (
    select m.id, m.sent_at, m.automatic, m.body from messages m
    where m.conversation_id = c.id and m.direction = 'in' order by m.position desc limit 1
) m on true
left join lateral (
    -- What a clock that ran ahead has promised counts for nothing once it is set right.
    select k.once, k.opens_at from acknowledgements k
    where k.customer_id = c.customer_id and k.at <= $2::timestamptz order by k.once desc limit 1
) told on true
where c.id = $1
"""


async def circumstances(c: Connection, conversation_id: int, now: datetime) -> Circumstances | None:
    """How things stand with a conversation; None where nobody wrote."""
    row = await c.fetchrow(_CIRCUMSTANCES, conversation_id, now, LOOP)
    return Circumstances(**{**dict(row), "tags": frozenset(row["tags"])}) if row else None


async def claim(
    c: Connection, told: Circumstances, conversation_id: int, *, kind: str, once: datetime, at: datetime,
    opens_at: datetime | None, per_minute: int,
) -> bool:  # fmt: skip
    """Take the right to tell this customer for this closed time.

    False when it was taken before, or when `per_minute` customers were told within the last minute: that is counted
    under a lock, because a flood comes all at once.
    """
    await c.execute("select pg_advisory_xact_lock(hashtext('santral.acknowledgements'))")
    made = await c.fetchval(
        """
        insert into acknowledgements (customer_id, once, conversation_id, address_id, kind, at, opens_at)
        select $1, $2, $3, $4, $5, $6, $7
        where (select count(*) from acknowledgements
               where at > $6::timestamptz - interval '1 minute' and at <= $6) < $8
        on conflict (customer_id, once) do nothing returning true
        """,
        told.customer_id,
        once,
        conversation_id,
        told.address_id,
        kind,
        at,
        opens_at,
        per_minute,
    )
    return made is not None


async def expected_wait(c: Connection, team: str, now: datetime, *, last: int = 20) -> timedelta | None:
    """How long customers of a team waited for a person of late: the median of the last answers within a day.

    None below five answers: too few to promise anything.
    """
    found = await c.fetchrow(
        """
        select count(*) as answers, percentile_cont(0.5) within group (order by waited) as median from (
            select o.sent_at - (
                select min(i.sent_at) from messages i where i.conversation_id = o.conversation_id and i.direction = 'in'
                  and not i.automatic and i.position < o.position and i.position > coalesce((
                      select max(b.position) from messages b where b.conversation_id = o.conversation_id
                        and b.position < o.position and b.direction = 'out' and not b.body ? 'holding'), 0)) as waited
            from messages o join conversations c on c.id = o.conversation_id
            where o.direction = 'out' and not o.body ? 'holding' and c.team = $1
              and c.last_out_at > $2::timestamptz - interval '1 day' and o.sent_at > $2::timestamptz - interval '1 day'
            order by o.sent_at desc limit $3
        ) as answered where waited is not null
        """,
        team,
        now,
        last,
    )
    if found is None or found["answers"] < 5:
        return None
    median: timedelta = found["median"]
    return median
