"""The work table and its workers on a real PostgreSQL: nothing is lost, nothing runs twice at once, limits are kept."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.postgres import Postgres
from inbox.changes import Priority, Put
from inbox.store import work as table
from inbox.store.database import WORKER_LOCKS, Connection, Database, credentials
from inbox.store.work import LEASE, Piece
from inbox.work import Failed, Kind, Lane, LeaseLost, Ran, Wait, Worker
from tests.world import eventually

HOUR = timedelta(hours=1)
NO_SPACING = timedelta(0)


def later(hours: float = 1) -> datetime:
    return datetime.now(UTC) + hours * HOUR


async def no_alarm(_c: Connection, _piece: Piece, _error: str) -> None:
    return


def worker(
    database: Database,
    run: Callable[[Piece], Awaitable[Ran]],
    *lanes: Lane,
    tries: int = 0,
    alarm: Callable[[Connection, Piece, str], Awaitable[None]] = no_alarm,
) -> Worker:
    """A worker of one kind, `thing`."""
    return Worker(database, [Kind(name="thing", run=run, tries=tries)], lanes, alarm=alarm)


@asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.run()) for each in workers]
    try:
        for each in workers:
            await asyncio.wait_for(each.alive.wait(), 10)
        yield
    finally:
        for each in workers:
            each.stop()
        await asyncio.gather(*tasks)


async def put(database: Database, *keys: str, lane: str = "", **more: Any) -> None:
    async with database.transaction() as c:
        await table.put(c, [Put(kind="thing", key=key, lane=lane, **more) for key in keys])


async def row(database: Database, key: str = "a") -> Any:
    async with database.connection() as c:
        return await c.fetchrow("select * from work where key = $1", key)


async def left(database: Database) -> list[str]:
    async with database.connection() as c:
        return [r["key"] for r in await c.fetch("select key from work order by key")]


async def claim(database: Database, number: int = 1, limit: int = 100) -> list[Piece]:
    async with database.connection() as c:
        return await table.claim(c, number, ["thing"], limit)


async def claim_lane(database: Database, lane: str, number: int = 1) -> Piece | None:
    async with database.connection() as c:
        return await table.claim_lane(c, number, lane, ["thing"], NO_SPACING, alone=True)


async def open_lane(database: Database, lane: str) -> None:
    async with database.connection() as c:
        await table.open_lanes(c, [lane])


@pytest_asyncio.fixture
async def other(database_url: str, database: Database) -> AsyncIterator[Database]:
    """A second pool, as another process would have."""
    async with Database.open(database_url, connections=4) as opened:
        yield opened


# one piece


async def test_ten_reasons_before_it_runs_are_one_piece(database: Database) -> None:
    for _ in range(10):
        await put(database, "a")
    assert [piece.key for piece in await claim(database)] == ["a"]
    assert await claim(database) == []


async def test_reasons_in_one_put_are_as_urgent_and_as_early_as_the_strongest(database: Database) -> None:
    async with database.transaction() as c:
        await table.put(
            c,
            [
                Put(kind="thing", key="a", priority=Priority.NORMAL),
                Put(kind="thing", key="a", priority=Priority.URGENT, due=later()),
                Put(kind="thing", key="b", due=later(3)),
                Put(kind="thing", key="b", due=later(1)),
            ],
        )
    (piece,) = await claim(database)
    assert (piece.key, piece.priority) == ("a", Priority.URGENT)
    assert (await row(database, "b"))["run_at"] < later(2)


async def test_a_timer_waits_for_its_time_and_a_new_reason_makes_it_due(database: Database) -> None:
    await put(database, "a", due=later())
    assert await claim(database) == []
    await put(database, "a")
    assert len(await claim(database)) == 1


async def test_a_later_reason_never_delays_an_earlier_one(database: Database) -> None:
    await put(database, "a")
    await put(database, "a", due=later())
    assert len(await claim(database)) == 1


async def test_nothing_is_put_when_the_transaction_fails(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as c:
            await table.put(c, [Put(kind="thing", key="a")])
            raise ZeroDivisionError
    assert await left(database) == []


async def test_the_most_urgent_comes_first_and_then_the_oldest(database: Database) -> None:
    await put(database, "old")
    await put(database, "new")
    await put(database, "low", priority=Priority.LOW, due=later(-5))
    await put(database, "urgent", priority=Priority.URGENT)
    order = [(await claim(database, limit=1))[0].key for _ in range(4)]
    assert order == ["urgent", "old", "new", "low"]


async def test_the_oldest_of_several_kinds_comes_first(database: Database) -> None:
    async with database.transaction() as c:
        await table.put(c, [Put(kind="b", key="old", due=later(-2)), Put(kind="a", key="new", due=later(-1))])
    async with database.connection() as c:
        assert [piece.key for piece in await table.claim(c, 1, ["a", "b"], 1)] == ["old"]


async def test_a_piece_that_was_put_while_it_ran_is_due_again(database: Database) -> None:
    await put(database, "a")
    (piece,) = await claim(database)
    await put(database, "a")
    async with database.connection() as c:
        await table.done(c, piece)
    assert len(await claim(database)) == 1


async def test_a_put_that_commits_while_the_piece_is_settled_is_not_lost(database: Database, other: Database) -> None:
    await put(database, "a")
    (piece,) = await claim(database)
    async with other.transaction() as c:
        await table.put(c, [Put(kind="thing", key="a")])
        async with database.connection() as mine:
            settling = asyncio.create_task(table.done(mine, piece))
            await eventually(lambda: blocked(other))
            assert not settling.done()
            # The put commits now, and the settlement goes on from what it finds then.
            await c.execute("commit")
            await settling
            await c.execute("begin")
    assert len(await claim(database)) == 1


async def blocked(database: Database) -> bool:
    async with database.connection() as c:
        return bool(await c.fetchval("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"))


async def test_who_lost_the_lease_neither_holds_nor_settles(database: Database) -> None:
    await put(database, "a")
    (first,) = await claim(database)
    async with database.connection() as c:
        assert await table.holds(c, first)
        await c.execute("update work set run_at = now() - interval '1 second'")  # the lease ends
    (second,) = await claim(database, number=2)
    async with database.connection() as c:
        assert not await table.holds(c, first)
        assert await table.holds(c, second)
        await table.done(c, first)
        await table.put_back(c, first, HOUR, "")
        assert not await table.park(c, first, "")
        await table.renew(c, [first.lease])
        assert await table.holds(c, second)


@dataclass(slots=True)
class Known:
    """What a row should say. Times are whole hours from now; 0 is due."""

    run: float
    priority: int
    due: float = math.inf
    held: float = -math.inf
    attempts: int = 0
    leased: bool = False
    raised: bool = False
    parked: bool = False


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from([0, 1, 2]), st.integers(0, 3)),
        st.tuples(st.just("claim")),
        st.tuples(st.just("done"), st.sampled_from([None, 3])),
        st.tuples(st.just("fail"), st.sampled_from([0, 4])),
        st.tuples(st.just("wait"), st.sampled_from([0, 5])),
        st.tuples(st.just("park")),
    ),
    max_size=14,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_no_reason_is_lost_and_no_back_off_shortened_whatever_happens(
    database: Database, steps: Sequence[tuple[Any, ...]]
) -> None:
    async with database.connection() as c:
        await c.execute("truncate work")
        known: Known | None = None
        piece: Piece | None = None
        for step in steps:
            match step:
                case ("put", hours, priority):
                    due = later(hours) if hours else None
                    await table.put(c, [Put(kind="thing", key="a", priority=Priority(priority), due=due)])
                    if known is None:
                        known = Known(run=hours, priority=priority)
                        continue
                    known.raised = True
                    known.priority = min(known.priority, priority)
                    if known.parked:
                        known.parked, known.attempts = False, 0
                    if known.leased:
                        known.due = min(known.due, hours)
                    else:
                        known.run = max(min(known.run, hours), known.held)
                case ("claim",):
                    found = await table.claim(c, 1, ["thing"], 1)
                    assert bool(found) == (known is not None and not known.leased and known.run <= 0)
                    if found and known is not None:
                        (piece,) = found
                        known.leased, known.raised, known.due = True, False, math.inf
                        known.attempts += 1
                        assert piece.attempts == known.attempts
                case ("done", again) if piece and known:
                    await table.done(c, piece, later(again) if again else None)
                    if not known.raised and again is None:
                        known = None
                    else:
                        run = min(known.due if known.raised else math.inf, again or math.inf)
                        known = Known(run=run, priority=known.priority)
                    piece = None
                case ("fail" | "wait" as how, hours) if piece and known:
                    await table.put_back(c, piece, hours * HOUR, "no", counts=how == "fail")
                    known.leased, known.run, known.held = False, hours, hours
                    known.attempts -= how == "wait"
                    piece = None
                case ("park",) if piece and known:
                    assert await table.park(c, piece, "no") == (not known.raised)
                    if not known.raised:
                        known.leased, known.parked, known.run, piece = False, True, math.inf, None
            assert await _seen(c) == (None if known is None else _expected(known))


async def _seen(c: Connection) -> tuple[Any, ...] | None:
    found = await c.fetchrow(
        """
        select priority, attempts, lease is not null as leased, parked_at is not null as parked,
               case when lease is not null then 0 when run_at = 'infinity' then 99
                    else greatest(0, round(extract(epoch from run_at - now()) / 3600))::int end as run
        from work
        """
    )
    return tuple(found) if found else None


def _expected(known: Known) -> tuple[Any, ...]:
    run = 0 if known.leased else 99 if known.run == math.inf else int(known.run)
    return known.priority, known.attempts, known.leased, known.parked, run


# workers


@dataclass(slots=True)
class Diary:
    """What ran, how often, and whether one key ever ran twice at once."""

    now_running: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    overlaps: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        self.now_running[key] += 1
        if self.now_running[key] > 1:
            self.overlaps.append(key)
        try:
            yield
            self.runs[key] += 1
        finally:
            self.now_running[key] -= 1


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_under_many_puts_and_workers_no_key_runs_twice_at_once_and_no_reason_is_lost(
    database: Database, other: Database, seed: int
) -> None:
    chance = random.Random(seed)
    diary = Diary()
    wanted: Counter[str] = Counter()
    shown: Counter[str] = Counter()

    async def show(piece: Piece) -> Ran:
        async with diary.of(piece.key):
            seen = wanted[piece.key]
            await asyncio.sleep(chance.random() / 100)
            fate = chance.random()
            if fate < 0.05:
                raise Wait(timedelta(milliseconds=5), "not now")
            if fate < 0.1:
                return Ran(again=datetime.now(UTC))
            shown[piece.key] = max(shown[piece.key], seen)
        return Ran()

    async def customer(keys: Sequence[str]) -> None:
        for _ in range(40):
            key = chance.choice(keys)
            async with chance.choice([database, other]).transaction() as c:
                wanted[key] += 1  # before the commit, as a row is: whoever runs after it must have seen it
                await table.put(c, [Put(kind="thing", key=key, lane="l" if key.startswith("l") else "")])
            await asyncio.sleep(chance.random() / 200)

    lane = Lane(name="l", kinds=("thing",), spacing=timedelta(milliseconds=1))
    free, laned = [f"f{n}" for n in range(4)], [f"l{n}" for n in range(4)]
    # A kind with a lane takes no pieces without one, so those go to workers of their own.
    workers = (worker(pool, show, *lanes) for pool in (database, other) for lanes in ([lane], []))
    async with running(*workers):
        await asyncio.gather(*(customer(keys) for keys in (free, laned, free + laned)))
        await eventually(lambda: _empty(database))
    assert diary.overlaps == []
    assert shown == wanted


async def _empty(database: Database) -> bool:
    return await left(database) == []


async def test_a_piece_put_while_it_runs_runs_again_afterwards(database: Database) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    seen: list[int] = []
    truth = 1

    async def show(_: Piece) -> Ran:
        seen.append(truth)
        began.set()
        await go_on.wait()
        return Ran()

    async with running(worker(database, show)):
        await put(database, "a")
        await asyncio.wait_for(began.wait(), 10)
        truth = 2
        await put(database, "a")
        go_on.set()
        await eventually(lambda: _empty(database))
    assert seen == [1, 2]


async def test_a_time_set_by_the_provider_is_waited_for_whatever_is_put(database: Database) -> None:
    ran = Counter[str]()

    async def refuse(piece: Piece) -> Ran:
        ran[piece.key] += 1
        if piece.key == "a":
            raise Wait(HOUR, "Retry-After")
        return Ran()

    async with running(worker(database, refuse)):
        await put(database, "a")
        await eventually(lambda: _waits(database, "a"))
        await put(database, "a", priority=Priority.URGENT)
        await put(database, "b")
        await eventually(lambda: ran["b"])
    assert ran["a"] == 1
    assert (await row(database))["attempts"] == 0, "a provider's time is no failure of ours"


async def _waits(database: Database, key: str) -> bool:
    async with database.connection() as c:
        return bool(await c.fetchval("select held_until > now() and lease is null from work where key = $1", key))


async def test_what_keeps_failing_is_parked_with_its_alarm_and_a_new_reason_unparks_it(database: Database) -> None:
    mended = False

    async def fail(_: Piece) -> Ran:
        if not mended:
            raise Failed("no")
        return Ran()

    async def alarm(c: Connection, piece: Piece, error: str) -> None:
        await c.execute("insert into notices (key, notice) values ($1, '{}')", f"{error} {piece.since}")

    async with running(worker(database, fail, tries=2, alarm=alarm)):
        await put(database, "a")
        await eventually(lambda: _parked(database))
        assert len(await _alarms(database)) == 1
        await put(database, "a")
        assert (await row(database))["attempts"] in (0, 1), "a new reason gets all its tries"

        async def rung_again() -> bool:
            return await _parked(database) and len(await _alarms(database)) == 2

        await eventually(rung_again)
        mended = True
        await put(database, "a")
        await eventually(lambda: _empty(database))


async def test_nothing_is_parked_whose_alarm_cannot_be_raised(database: Database) -> None:
    tried = asyncio.Event()

    async def fail(_: Piece) -> Ran:
        raise Failed("no")

    async def alarm(c: Connection, _piece: Piece, _error: str) -> None:
        await c.execute("insert into notices (key, notice) values ('half', '{}')")
        tried.set()
        raise Failed("the desk is full")

    async with running(worker(database, fail, tries=1, alarm=alarm)):
        await put(database, "a")
        await asyncio.wait_for(tried.wait(), 10)
    assert (await row(database))["parked_at"] is None
    assert await _alarms(database) == []


async def _parked(database: Database) -> bool:
    found = await row(database)
    return found is not None and found["parked_at"] is not None


async def _alarms(database: Database) -> list[str]:
    async with database.connection() as c:
        return [r["key"] for r in await c.fetch("select key from notices")]


async def test_a_new_start_tries_again_what_was_given_up(database: Database) -> None:
    await put(database, "a")
    (piece,) = await claim(database)
    async with database.connection() as c:
        assert await table.park(c, piece, "")
        assert await table.next_due(c, [""], ["thing"]) is None
        await table.unpark_all(c)
    assert len(await claim(database)) == 1


# lanes


async def test_two_workers_together_keep_the_spacing_of_a_lane(database: Database, other: Database) -> None:
    spacing = timedelta(milliseconds=30)
    lane = Lane(name="l", kinds=("thing",), spacing=spacing)
    claimed: list[datetime] = []

    async def send(piece: Piece) -> Ran:
        async with database.connection() as c:  # when the claim was made, by the database's own clock
            claimed.append(await c.fetchval("select run_at - $2::interval from work where key = $1", piece.key, LEASE))
        return Ran(used=True)

    async with running(worker(database, send, lane), worker(other, send, lane)):
        await put(database, *(str(n) for n in range(20)), lane="l")
        await eventually(lambda: _empty(database))
    claimed.sort()
    assert len(claimed) == 20
    assert all(after - before >= spacing for before, after in pairwise(claimed))


async def test_pieces_of_a_lane_alone_never_overlap(database: Database, other: Database) -> None:
    lane = Lane(name="l", kinds=("thing",), spacing=timedelta(milliseconds=1), alone=True)
    diary = Diary()

    async def post(_: Piece) -> Ran:
        async with diary.of("lane"):
            await asyncio.sleep(0.005)
        return Ran(used=True)

    async with running(worker(database, post, lane), worker(other, post, lane)):
        await put(database, *(str(n) for n in range(20)), lane="l")
        await eventually(lambda: _empty(database))
    assert diary.runs["lane"] == 20
    assert diary.overlaps == []


async def test_a_slow_piece_keeps_its_lane_to_itself_as_long_as_its_lease_is_renewed(database: Database) -> None:
    await open_lane(database, "l")
    await put(database, "slow", "next", lane="l")
    slow = await claim_lane(database, "l")
    assert slow is not None
    async with database.connection() as c:
        await c.execute("update lanes set free_at = now() + interval '1 second'")  # fourteen seconds pass
        await table.renew(c, [slow.lease])
        assert await c.fetchval("select free_at > now() + interval '10 seconds' from lanes")
    assert await claim_lane(database, "l", 2) is None


async def test_a_limit_on_the_whole_lane_closes_it(database: Database, other: Database) -> None:
    lane = Lane(name="l", kinds=("thing",), spacing=timedelta(milliseconds=1), alone=True)
    ran: list[str] = []

    async def refuse(piece: Piece) -> Ran:
        ran.append(piece.key)
        raise Wait(HOUR, "429", whole_lane=True)

    async with running(worker(database, refuse, lane), worker(other, refuse, lane)):
        await put(database, "a", "b", "c", lane="l")
        await eventually(lambda: _closed(database))
    assert len(ran) == 1
    async with database.connection() as c:
        await c.execute("update work set run_at = now(), lease = null")
    assert await claim_lane(database, "l") is None


async def _closed(database: Database) -> bool:
    async with database.connection() as c:
        return bool(await c.fetchval("select free_at > now() + interval '50 minutes' from lanes"))


async def test_a_piece_that_is_just_being_put_does_not_close_its_lane_for_nothing(
    database: Database, other: Database
) -> None:
    await open_lane(database, "l")
    await put(database, "a", lane="l")
    async with other.transaction() as c:
        await table.put(c, [Put(kind="thing", key="a", lane="l")])
        assert await claim_lane(database, "l") is None
    assert await claim_lane(database, "l") is not None


async def test_a_lane_with_a_hundred_hanging_sends_leaves_other_work_alone(database: Database) -> None:
    hanging = asyncio.Event()
    lane = Lane(name="l", kinds=("send",), spacing=timedelta(microseconds=1))
    begun, done = Counter[str](), asyncio.Event()

    async def send(_: Piece) -> Ran:
        begun["send"] += 1
        await hanging.wait()
        return Ran()

    async def other_work(_: Piece) -> Ran:
        done.set()
        return Ran()

    each = Worker(database, [Kind(name="send", run=send), Kind(name="thing", run=other_work)], [lane], alarm=no_alarm)
    async with running(each):
        async with database.transaction() as c:
            await table.put(c, [Put(kind="send", key=str(n), lane="l") for n in range(60)])
        await eventually(lambda: begun["send"] == 60)
        await put(database, "a")
        await asyncio.wait_for(done.wait(), 10)
        hanging.set()


# what dies


async def test_a_dead_workers_pieces_are_taken_over_long_before_their_lease_ends(
    database: Database, database_url: str
) -> None:
    session = await asyncpg.connect(**credentials(database_url))
    dead = await table.enlist(session)
    await open_lane(database, "l")
    await put(database, "free")
    await put(database, "laned", lane="l")
    assert await claim(database, dead)
    assert await claim_lane(database, "l", dead)
    ran: list[str] = []

    async def run(piece: Piece) -> Ran:
        ran.append(piece.key)
        return Ran()

    lane = Lane(name="l", kinds=("thing",), spacing=timedelta(milliseconds=1), alone=True)
    async with running(worker(database, run), worker(database, run, lane)):
        assert ran == []
        session.terminate()
        await eventually(lambda: _empty(database), within=LEASE.total_seconds() / 2)
    assert sorted(ran) == ["free", "laned"]


async def test_a_living_workers_pieces_are_left_alone(database: Database, database_url: str) -> None:
    session = await asyncpg.connect(**credentials(database_url))
    alive = await table.enlist(session)
    await put(database, "a")
    await claim(database, alive)
    async with database.connection() as c:
        assert await table.missing(c) == frozenset()
        assert await table.missing(session) == frozenset()
    await session.close()
    async with database.connection() as c:
        await eventually(lambda: table.missing(c))
        assert await table.missing(c) == {alive}


async def _listeners(c: Connection) -> list[int]:
    rows = await c.fetch(
        """
        select pid from pg_locks where locktype = 'advisory' and classid = $1 and objsubid = 2
          and database = (select oid from pg_database where datname = current_database())
        """,
        WORKER_LOCKS,
    )
    return [r["pid"] for r in rows]


async def test_a_worker_whose_session_is_killed_comes_back_and_keeps_what_it_runs(
    database: Database, other: Database
) -> None:
    diary = Diary()
    began, go_on = asyncio.Event(), asyncio.Event()

    async def run(piece: Piece) -> Ran:
        async with diary.of(piece.key):
            if piece.key == "long":
                began.set()
                await go_on.wait()
        return Ran()

    mine, theirs = worker(database, run), worker(other, run)
    async with running(mine, theirs), database.connection() as c:
        await put(database, "long")
        await asyncio.wait_for(began.wait(), 10)
        for pid in await _listeners(c):
            await c.execute("select pg_terminate_backend($1)", pid)

        async def back() -> bool:
            return len(await _listeners(c)) == 2 and mine.alive.is_set() and theirs.alive.is_set()

        await eventually(back)
        await put(database, "short")
        await eventually(lambda: diary.runs["short"])

        async def kept() -> bool:
            return await table.missing(c) == frozenset()

        await eventually(kept)
        go_on.set()
        await eventually(lambda: _empty(database))
    assert diary.overlaps == []
    assert diary.runs["long"] == 1


async def test_who_lost_the_lease_while_running_neither_repeats_nor_parks(database: Database) -> None:
    lost = asyncio.Event()

    async def run(piece: Piece) -> Ran:
        if lost.is_set():
            return Ran()
        async with database.transaction() as c:
            await c.execute("update work set lease = gen_random_uuid(), worker = $1, run_at = now() + $2", 0, HOUR)
        async with database.transaction() as c:
            assert not await table.holds(c, piece)
        lost.set()
        raise LeaseLost

    async with running(worker(database, run, tries=1)):
        await put(database, "a")
        await eventually(lambda: _empty(database))  # worker 0 is not there, so the piece is rescued and runs
    assert lost.is_set()


async def test_work_goes_on_when_the_database_was_killed_and_came_back(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path / "var")
    server = await postgres.start()
    watching = asyncio.create_task(postgres.watch())
    diary = Diary()
    began, go_on = asyncio.Event(), asyncio.Event()

    async def run(piece: Piece) -> Ran:
        async with diary.of(piece.key):
            if piece.key == "long" and not go_on.is_set():
                began.set()
                await go_on.wait()
        return Ran()

    try:
        async with Database.open(server.dsn, connections=4) as database:
            await database.migrate()
            each = worker(database, run)
            async with running(each):
                await put(database, "long", "timer", due=None)
                await put(database, "later", due=later())
                await asyncio.wait_for(began.wait(), 10)
                await eventually(lambda: diary.runs["timer"])
                assert postgres.pid is not None
                os.kill(postgres.pid, signal.SIGKILL)
                await eventually(lambda: not each.alive.is_set())
                await eventually(each.alive.is_set)
                go_on.set()

                async def settled() -> bool:
                    return await left(database) == ["later"]

                await put(database, "after")
                await eventually(settled)
            assert diary.overlaps == []
            assert diary.runs["after"] == 1
    finally:
        await postgres.stop()
        watching.cancel()


# the end


async def test_stopping_lets_what_runs_finish_and_takes_nothing_new(database: Database) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    ran: list[str] = []

    async def run(piece: Piece) -> Ran:
        began.set()
        await go_on.wait()
        ran.append(piece.key)
        return Ran()

    lane = Lane(name="l", kinds=("laned",), spacing=NO_SPACING, alone=True)
    each = Worker(database, [Kind(name="thing", run=run), Kind(name="laned", run=run)], [lane], alarm=no_alarm)
    task = asyncio.create_task(each.run())
    await put(database, "a")
    async with database.transaction() as c:
        await table.put(c, [Put(kind="laned", key="l", lane="l")])

    async def both() -> bool:
        async with database.connection() as c:
            return bool(await c.fetchval("select count(*) = 2 from work where lease is not null"))

    await eventually(both)
    each.stop()
    await put(database, "b")
    await put(database, "c", lane="l")
    go_on.set()
    await asyncio.wait_for(task, 10)
    assert sorted(ran) == ["a", "l"]
    assert await left(database) == ["b", "c"]
    assert (await row(database, "b"))["lease"] is None


async def test_a_worker_that_never_reached_the_database_stops_at_once(database: Database) -> None:
    async def run(_: Piece) -> Ran:
        return Ran()

    async with Database.open("postgres://nobody@/nothing?host=/nowhere&port=1", connections=1) as nowhere:
        lane = Lane(name="l", kinds=("other",), spacing=NO_SPACING)
        each = worker(nowhere, run, lane)
        task = asyncio.create_task(each.run())
        each.stop()
        await asyncio.wait_for(task, 5)


# size


async def test_two_hundred_thousand_timers_do_not_slow_a_claim(database: Database) -> None:
    async with database.connection() as c:
        await open_lane(database, "l")
        await c.execute(
            """
            insert into work (kind, key, lane, priority, run_at)
            select case when n % 4 = 0 then 'other' else 'thing' end, n::text, case when n % 2 = 0 then 'l' else '' end,
                   n % 4, now() + make_interval(secs => 3600 + n)
            from generate_series(1, 200000) as n
            """
        )
        await c.execute("analyze work")
        await put(database, "now")
        await put(database, "soon", lane="l")
        statements = {
            "claim": (table._CLAIM, (1, LEASE, ["thing", "other"], 32)),
            "claim_lane": (table._CLAIM_LANE, (1, LEASE, "l", LEASE, True, ["thing", "other"])),
        }
        for name, (statement, values) in statements.items():
            plan = json.loads(await c.fetchval(f"explain (format json) {statement}", *values))
            assert _scanned(plan[0]["Plan"]) == [], name
        assert [piece.key for piece in await table.claim(c, 1, ["thing", "other"], 32)] == ["now"]
        due = await table.next_due(c, [""], ["thing", "other"])
        assert due is not None
        assert due > NO_SPACING


def _scanned(plan: dict[str, Any]) -> list[str]:
    """The tables that a plan reads from end to end."""
    here = [plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] == "work" else []
    return here + [name for part in plan.get("Plans", ()) for name in _scanned(part)]
