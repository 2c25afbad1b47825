"""The work table: one row a (kind, key), put in the transaction that makes it necessary. SQL only; `inbox.work` runs it.

Rule: a row names what must be brought true, never an event, so doing it twice is harmless and ten reasons are one row.
`run_at` says in one column when a row may next be claimed: it is due, it backs off, or its lease ends then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from inbox.changes import Priority, Put
from inbox.store.database import WORKER_LOCKS, Connection

NOTIFY = "santral_work"
LEASE = timedelta(seconds=15)  # a dead worker's pieces are free after this at the latest
EVERY_DOOR = "*"
REOPEN = timedelta(seconds=1)  # a lane whose holder died may just have been used; Slack wants a second between posts
_NOTIFY_BYTES = 7_900  # PostgreSQL refuses a payload of 8,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A claimed row. `lease` proves the claim: whoever lost it must not act."""

    kind: str
    key: str
    lane: str
    priority: Priority
    generation: int
    attempts: int
    lease: UUID
    since: datetime


PUT = """
insert into work (kind, key, lane, priority, run_at)
select kind, key, lane, priority, coalesce(due, now())
from unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::timestamptz[]) as t (kind, key, lane, priority, due)
order by kind, key
on conflict (kind, key) do update set
    generation = work.generation + 1,
    lane = excluded.lane,
    priority = least(work.priority, excluded.priority),
    attempts = case when work.parked_at is null then work.attempts else 0 end,
    since = case when work.parked_at is null then work.since else now() end,
    parked_at = null,
    due_at = case when work.lease is null then work.due_at else least(work.due_at, excluded.run_at) end,
    run_at = case when work.lease is null
                  then greatest(least(work.run_at, excluded.run_at), work.held_until)
                  else work.run_at end
"""


async def put(c: Connection, pieces: Iterable[Put]) -> None:
    """Make work necessary, inside the caller's transaction; workers hear of it when that commits."""
    columns, doors = arrays(pieces)
    if columns[0]:
        await c.execute(PUT, *columns)
        await c.execute("select pg_notify($1, $2)", NOTIFY, doors)


def arrays(pieces: Iterable[Put]) -> tuple[list[list[object]], str]:
    """The parameters of `PUT`, and the doors at which workers wait for these pieces."""
    unique = _merged(pieces)
    columns: list[list[object]] = [
        [p.kind for p in unique],
        [p.key for p in unique],
        [p.lane for p in unique],
        [p.priority for p in unique],
        [p.due for p in unique],
    ]
    doors = ",".join(sorted({door(p.kind, p.lane) for p in unique}))
    return columns, doors if len(doors) < _NOTIFY_BYTES else EVERY_DOOR


async def wake(c: Connection, lane: str) -> None:
    """Try a lane's pieces at once, also those that were given up: what held them back has just been mended."""
    await c.execute(
        """
        update work set parked_at = null, attempts = 0, run_at = now(), held_until = '-infinity', since = now()
        where lane = $1 and lease is null and (parked_at is not null or held_until > now())
        """,
        lane,
    )
    await c.execute("select pg_notify($1, $2)", NOTIFY, lane)


def door(kind: str, lane: str) -> str:
    """What a worker waits at: its lane, or its kind when the work has no lane."""
    return lane or kind


def _merged(pieces: Iterable[Put]) -> Sequence[Put]:
    """One put for each (kind, key), as urgent and as early as any: PostgreSQL updates no row twice in one statement."""
    unique: dict[tuple[str, str], Put] = {}
    for piece in pieces:
        place = (piece.kind, piece.key)
        other = unique.get(place)
        if other is not None:
            due = None if piece.due is None or other.due is None else min(piece.due, other.due)
            piece = replace(piece, priority=min(piece.priority, other.priority), due=due)
        unique[place] = piece
    return list(unique.values())


_CLAIMED = """
update work set lease = best.lease, worker = $1, run_at = now() + $2, due_at = 'infinity',
    attempts = attempts + 1, claimed = work.generation
from best where work.kind = best.kind and work.key = best.key
returning work.kind, work.key, work.lane, work.priority, work.generation, work.attempts, work.lease, work.since
"""

# A lateral for each priority class walks the index in order; one ORDER BY over all classes would sort what is ready.
_CLAIM = (
    """
with best as (
    select w.kind, w.key, gen_random_uuid() as lease
    from unnest($3::text[]) as k (kind), generate_series(0, 3) as p (priority),
    lateral (
        select kind, key, run_at from work
        where lane = '' and work.kind = k.kind and work.priority = p.priority and run_at <= now() and run_at < 'infinity'
        order by run_at limit $4 for update skip locked
    ) as w
    order by p.priority, w.run_at limit $4
)"""
    + _CLAIMED
)

# The lane is closed only when there is a piece to run: one that a put has locked just now must not close it for nothing.
_CLAIM_LANE = (
    """
with free as materialized (
    select lane from lanes where lane = $3 and free_at <= now() for update skip locked
), best as materialized (
    select w.kind, w.key, gen_random_uuid() as lease
    from free, unnest($6::text[]) as k (kind), generate_series(0, 3) as p (priority),
    lateral (
        select kind, key, run_at from work
        where work.lane = $3 and work.kind = k.kind and work.priority = p.priority
          and run_at <= now() and run_at < 'infinity'
        order by run_at limit 1 for update skip locked
    ) as w
    order by p.priority, w.run_at limit 1
), closed as (
    update lanes set free_at = now() + $4, holder = case when $5 then best.lease end from best where lanes.lane = $3
)"""
    + _CLAIMED
)


async def claim(c: Connection, worker: int, kinds: Sequence[str], limit: int) -> list[Piece]:
    """Lease up to `limit` due pieces that have no lane, the most urgent and then the oldest first."""
    return [_piece(row) for row in await c.fetch(_CLAIM, worker, LEASE, list(kinds), limit)]


async def claim_lane(
    c: Connection, worker: int, lane: str, kinds: Sequence[str], spacing: timedelta, *, alone: bool
) -> Piece | None:
    """Lease the best piece of a lane that is free. Closes the lane for `spacing`, or for the piece that runs `alone`."""
    rows = await c.fetch(_CLAIM_LANE, worker, LEASE, lane, LEASE if alone else spacing, alone, list(kinds))
    return _piece(rows[0]) if rows else None


async def open_lanes(c: Connection, lanes: Iterable[str]) -> None:
    """Make sure that these lanes exist."""
    await c.execute("insert into lanes (lane) select unnest($1::text[]) on conflict do nothing", sorted(set(lanes)))


async def close_lane(c: Connection, lane: str, wait: timedelta) -> None:
    """Nothing runs in this lane for at least `wait`, whoever asked for that."""
    await c.execute("update lanes set free_at = greatest(free_at, now() + $2) where lane = $1", lane, wait)


async def leave_lane(c: Connection, piece: Piece, spacing: timedelta) -> None:
    """The piece that ran alone is done: the next may run after `spacing`."""
    await c.execute(
        "update lanes set free_at = now() + $3, holder = null where lane = $1 and holder = $2",
        piece.lane,
        piece.lease,
        spacing,
    )


async def next_due(c: Connection, lanes: Sequence[str], kinds: Sequence[str]) -> timedelta | None:
    """How long until something at these doors can be claimed; None when nothing is waiting."""
    row = await c.fetchval(
        """
        select min(greatest(run_at, coalesce((select free_at from lanes where lanes.lane = d.lane), '-infinity'))) - now()
        from (select lane, k.kind, p.priority from unnest($1::text[]) as lane, unnest($2::text[]) as k (kind),
              generate_series(0, 3) as p (priority)) as d,
        lateral (select run_at from work where work.lane = d.lane and work.kind = d.kind and
                 work.priority = d.priority and run_at < 'infinity' order by run_at limit 1) as w
        """,
        list(lanes),
        list(kinds),
    )
    return row if isinstance(row, timedelta) else None


async def done(c: Connection, piece: Piece, again: datetime | None = None) -> None:
    """Settle a piece: it is gone, unless it was put anew while it ran or asks to run `again` later."""
    await c.execute(
        """
        with gone as (
            delete from work where kind = $1 and key = $2 and lease = $3 and generation = $4 and $5::timestamptz is null
            returning 1
        )
        update work set lease = null, worker = null, attempts = 0, held_until = '-infinity', last_error = '', since = now(),
            run_at = least(case when generation = $4 then 'infinity' else due_at end, $5::timestamptz)
        where kind = $1 and key = $2 and lease = $3 and not exists (select from gone)
        """,
        piece.kind,
        piece.key,
        piece.lease,
        piece.generation,
        again,
    )


async def put_back(c: Connection, piece: Piece, wait: timedelta, error: str, *, counts: bool = True) -> None:
    """A try failed: run again after `wait`, which no new reason shortens. `counts` False gives the attempt back."""
    await c.execute(
        """
        update work set lease = null, worker = null, run_at = now() + $4, held_until = now() + $4, last_error = $5,
            attempts = attempts - $6
        where kind = $1 and key = $2 and lease = $3
        """,
        piece.kind,
        piece.key,
        piece.lease,
        wait,
        error,
        0 if counts else 1,
    )


async def park(c: Connection, piece: Piece, error: str) -> bool:
    """Stop trying until a new reason comes. False when one came during this very try, or when the lease was lost."""
    answer = await c.execute(
        """
        update work set lease = null, worker = null, run_at = 'infinity', parked_at = now(), last_error = $4
        where kind = $1 and key = $2 and lease = $3 and generation = $5
        """,
        piece.kind,
        piece.key,
        piece.lease,
        error,
        piece.generation,
    )
    return answer.endswith(" 1")


async def holds(c: Connection, piece: Piece) -> bool:
    """Whether the lease still stands, locked until the caller's transaction ends: the fence before any effect outside."""
    found = await c.fetchval(
        "select 1 from work where kind = $1 and key = $2 and lease = $3 for update", piece.kind, piece.key, piece.lease
    )
    return found is not None


async def renew(c: Connection, leases: Sequence[UUID]) -> None:
    """Keep what runs, and keep the lanes closed in which it runs alone."""
    await c.execute(
        """
        with kept as (update work set run_at = now() + $2 where lease = any($1::uuid[]) returning lease)
        update lanes set free_at = now() + $2 where holder in (select lease from kept)
        """,
        list(leases),
        LEASE,
    )


async def unpark_all(c: Connection) -> None:
    """Try everything again that was given up: whoever starts Santral has usually just mended something."""
    await c.execute(
        """
        update work set parked_at = null, attempts = 0, run_at = now(), held_until = '-infinity', since = now()
        where parked_at is not null
        """
    )


async def enlist(c: Connection) -> int:
    """A number for this worker, known to be alive as long as this session lasts."""
    worker = int(await c.fetchval("select nextval('workers')"))
    await c.execute("select pg_advisory_lock($1::int, $2::int)", WORKER_LOCKS, worker)
    return worker


async def adopt(c: Connection, worker: int, leases: Sequence[UUID]) -> None:
    """Write this number on what its worker claimed under an earlier one, before it lost its session."""
    if leases:
        await c.execute(
            "update work set worker = $1 where lease = any($2::uuid[]) and worker <> $1", worker, list(leases)
        )


async def missing(c: Connection) -> frozenset[int]:
    """The workers that hold leases and whose session is gone."""
    rows = await c.fetch(
        """
        select distinct worker from work where lease is not null and worker not in (
            select objid::bigint::int from pg_locks where locktype = 'advisory' and classid = $1 and objsubid = 2
              and database = (select oid from pg_database where datname = current_database())
        )
        """,
        WORKER_LOCKS,
    )
    return frozenset(row["worker"] for row in rows)


async def rescue(c: Connection, workers: Iterable[int]) -> int:
    """Free what these workers held, at once instead of when the lease ends, and the lanes in which it ran alone."""
    return int(
        await c.fetchval(
            """
            with dead as (
                select kind, key, lease from work where lease is not null and worker = any($1::int[]) for update
            ), freed as (
                update work set lease = null, run_at = least(run_at, now()) from dead
                where work.kind = dead.kind and work.key = dead.key
            ), opened as (
                update lanes set holder = null, free_at = least(free_at, now() + $2)
                where holder in (select lease from dead)
            )
            select count(*) from dead
            """,
            sorted(workers),
            REOPEN,
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    kind: str
    waiting: int
    parked: int
    oldest: datetime | None


async def backlog(c: Connection) -> list[Backlog]:
    """How much waits of each kind, and since when the oldest due piece has."""
    rows = await c.fetch(
        """
        select kind, count(*) filter (where parked_at is null) as waiting, count(parked_at) as parked,
               min(since) filter (where parked_at is null and run_at <= now()) as oldest
        from work group by kind
        """
    )
    return [Backlog(**dict(row)) for row in rows]


def _piece(row: object) -> Piece:
    values = dict(row)  # type: ignore[call-overload]
    return Piece(**{**values, "priority": Priority(values["priority"])})
