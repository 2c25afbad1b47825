"""Runs the work table: claims pieces, keeps their leases, settles them, backs off, and parks what will not succeed.

Rule: a handler brings something true and may run twice. Before an effect outside it checks its lease in the transaction
that marks the effect as begun (`store.work.holds`), so whoever lost the lease does nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from tenacity import RetryCallState, wait_random_exponential

from channels.errors import ChannelError
from inbox import figures
from inbox.store import work as table
from inbox.store.database import Connection, Database, away
from inbox.store.work import LEASE, Piece

POLL = timedelta(seconds=1)  # a notification can be lost with its connection; the table cannot
RENEW = LEASE / 3
CONCURRENT = 32  # pieces without a lane that one process runs at once
CROWD = 100  # pieces of one lane that one process runs at once: a provider that hangs must not fill the memory
STOP = timedelta(seconds=7)  # what running pieces get to finish; design §10 allows ten in all
RELIST = timedelta(milliseconds=250)  # between two tries to get a lost session back

SHORTEST = timedelta(seconds=1)  # between two looks at somebody who is away
LONGEST = timedelta(seconds=10)  # so that all moves again within seconds of their return, however long they were away

QUIET = 30.0  # seconds between two log lines on the same outage

log = structlog.get_logger()
_BACK_OFF = wait_random_exponential(multiplier=1, max=300, exp_base=2, min=0.5)


class LeaseLost(Exception):
    """Another worker has this piece now."""


class Wait(Exception):
    """Not now: come back after a time that somebody else set. Does not count as a failed try."""

    def __init__(self, after: timedelta, why: str, *, whole_lane: bool = False) -> None:
        super().__init__(why)
        self.after = after
        self.whole_lane = whole_lane


class Unavailable(Wait):
    """Whom this work needs is away. It waits with them, ever longer, and however long: that is nobody's failure."""

    def __init__(self, why: str) -> None:
        super().__init__(SHORTEST, why, whole_lane=True)

    @staticmethod
    def pause(age: timedelta) -> timedelta:
        """How long to leave them alone, by how long the work has been waiting: a quarter of it."""
        return min(max(age / 4, SHORTEST), LONGEST)


class Failed(Exception):
    """A try failed for a reason that may be shown: no secret is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a handler ended: run `again` at a time, and whether it `used` its lane's turn."""

    again: datetime | None = None
    used: bool = False


Handler = Callable[[Piece], Awaitable[Ran]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of work. After `tries` failures in a row it is parked and the desk alarmed; 0 never parks."""

    name: str
    run: Handler
    tries: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Work that shares a rate. `alone`: one piece at a time, and the spacing counts from its end."""

    name: str
    kinds: tuple[str, ...]
    spacing: timedelta
    alone: bool = False


Alarm = Callable[[Connection, Piece, str], Awaitable[None]]


class Worker:
    """Runs work until stopped. Any number of these, in any number of processes, may share one database."""

    def __init__(self, database: Database, kinds: Iterable[Kind], lanes: Iterable[Lane], *, alarm: Alarm) -> None:
        self._database = database
        self._kinds: Mapping[str, Kind] = {kind.name: kind for kind in kinds}
        self._lanes: Mapping[str, Lane] = {lane.name: lane for lane in lanes}
        laned = {name for lane in self._lanes.values() for name in lane.kinds}
        self._free = [name for name in self._kinds if name not in laned]
        self._alarm = alarm
        self._bells = {name: asyncio.Event() for name in ("", *self._lanes)}
        self._running: dict[asyncio.Task[None], str] = {}  # to the lane it runs in, "" without one
        self._leases: set[UUID] = set()
        self._stopping = asyncio.Event()
        self._worker = 0
        self._told: dict[str, float] = {}  # when an outage was last logged, by kind of work
        self.alive = asyncio.Event()  # set while the listening session stands

    async def run(self) -> None:
        """Work until `stop` is called, then let what runs finish for up to seven seconds. Raises what it dies of."""
        taking = [
            asyncio.create_task(self._take_free()),
            *(asyncio.create_task(self._take_lane(lane)) for lane in self._lanes.values()),
        ]
        beside = [asyncio.create_task(self._listen()), asyncio.create_task(self._renew())]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({stopping, *taking, *beside}, return_when=asyncio.FIRST_COMPLETED)
            self.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP.total_seconds()):
                    await asyncio.wait(taking)
                    while self._running:
                        await asyncio.wait(self._running)
            for task in (*taking, *beside):
                if task.done():
                    task.result()
        finally:
            tasks: list[asyncio.Task[Any]] = [stopping, *taking, *beside, *self._running]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        self._stopping.set()
        for bell in self._bells.values():
            bell.set()

    async def _listen(self) -> None:
        """Hold the session by which this worker is known to live, and ring the bells when work is put."""
        while True:
            try:
                await self._attend(await self._database.connect())
            except Exception as error:  # noqa: BLE001 - whatever the database throws, it may be back in a moment
                _complain("work.session_lost", error)
            await asyncio.sleep(RELIST.total_seconds())

    async def _attend(self, session: asyncpg.Connection) -> None:
        """Everything that one session is for, until it ends."""
        lost = asyncio.Event()
        absent: frozenset[int] = frozenset()
        session.add_termination_listener(lambda _: lost.set())
        try:
            self._worker = await table.enlist(session)
            await table.open_lanes(session, self._lanes)
            await session.add_listener(table.NOTIFY, self._ring)
            self.alive.set()
            self._ring(None, 0, "", "")
            while not session.is_closed():
                await table.adopt(session, self._worker, list(self._leases))
                # A worker that only lost its session is back within a second; one that died is missing twice.
                missing = await table.missing(session)
                if dead := missing & absent:
                    freed = await table.rescue(session, dead)
                    log.info("work.rescued", workers=sorted(dead), pieces=freed)
                    self._ring(None, 0, "", "")
                absent = missing
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL.total_seconds()):
                        await lost.wait()
        finally:
            self.alive.clear()
            session.terminate()

    def _ring(self, _session: object, _pid: int, _channel: str, doors: object) -> None:
        every = not doors or doors == table.EVERY_DOOR
        names = {*self._bells, *self._free} if every else set(str(doors).split(","))
        for name in names:
            if bell := self._bells.get(name):
                bell.set()
        if not names.isdisjoint(self._free):
            self._bells[""].set()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW.total_seconds())
            if self._leases:
                with suppress(Exception):  # the next round tries again; until then the leases stand
                    async with self._database.connection() as c:
                        await table.renew(c, list(self._leases))

    async def _take_free(self) -> None:
        bell = self._bells[""]
        while not self._stopping.is_set():
            bell.clear()
            room = CONCURRENT - self._busy("")
            pieces: list[Piece] = []
            pause = POLL
            if room > 0 and self._free and self.alive.is_set():
                try:
                    async with self._database.connection() as c:
                        pieces = await table.claim(c, self._worker, self._free, room)
                        if not pieces:
                            pause = await table.next_due(c, [""], self._free) or POLL
                except Exception as error:  # noqa: BLE001 - a worker outlives whatever the database throws
                    _complain("work.claim_failed", error)
                    pause = POLL / 2
            for piece in pieces:
                self._start(piece, None)
            if not pieces:
                await _either(bell, pause)

    async def _take_lane(self, lane: Lane) -> None:
        bell = self._bells[lane.name]
        while not self._stopping.is_set():
            bell.clear()
            piece: Piece | None = None
            pause = POLL
            if self.alive.is_set() and self._busy(lane.name) < CROWD:
                try:
                    async with self._database.connection() as c:
                        piece = await table.claim_lane(
                            c, self._worker, lane.name, lane.kinds, lane.spacing, alone=lane.alone
                        )
                        if piece is None:
                            pause = await table.next_due(c, [lane.name], lane.kinds) or POLL
                except Exception as error:  # noqa: BLE001 - as above
                    _complain("work.claim_failed", error)
                    pause = POLL / 2
            if piece is None:
                await _either(bell, pause)
            elif lane.alone:
                await asyncio.shield(self._start(piece, lane))
            else:
                self._start(piece, lane)

    def _busy(self, lane: str) -> int:
        return sum(running == lane for running in self._running.values())

    def _start(self, piece: Piece, lane: Lane | None) -> asyncio.Task[None]:
        self._leases.add(piece.lease)
        task = asyncio.create_task(self._run(piece, lane))
        self._running[task] = lane.name if lane else ""
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._bells[self._running.pop(task)].set()

    async def _run(self, piece: Piece, lane: Lane | None) -> None:
        kind = self._kinds[piece.kind]
        spacing = closed = timedelta(0)
        outcome = "done"
        try:
            try:
                ran = await kind.run(piece)
                spacing = lane.spacing if lane and ran.used else spacing
                async with self._database.connection() as c:
                    await table.done(c, piece, ran.again)
            except LeaseLost:
                outcome = "lease_lost"
            except Wait as wait:
                outcome = "waits"
                after = wait.after
                if isinstance(wait, Unavailable):
                    after = wait.pause(datetime.now(UTC) - piece.since)
                    self._tell_away(piece, wait)
                closed = after if wait.whole_lane else closed
                async with self._database.connection() as c:
                    await table.put_back(c, piece, after, _words(wait), counts=False)
            except Exception as error:  # noqa: BLE001 - whatever went wrong, the piece is tried again or parked
                outcome = await self._failed(kind, piece, error)
            if lane and (lane.alone or closed):
                async with self._database.connection() as c:
                    if lane.alone:
                        await table.leave_lane(c, piece, spacing)
                    if closed:
                        await table.close_lane(c, lane.name, closed)
        except Exception as error:  # noqa: BLE001 - the settlement failed: the lease ends and the piece runs again
            outcome = "unsettled"
            _complain("work.unsettled", error, kind=piece.kind, key=piece.key)
        finally:
            self._leases.discard(piece.lease)
            figures.RAN.labels(piece.kind, outcome).inc()

    def _tell_away(self, piece: Piece, wait: Wait) -> None:
        """Log an outage once in a while: thousands of pieces may be waiting for the same return."""
        now = time.monotonic()
        if now - self._told.get(piece.kind, -QUIET) >= QUIET:
            self._told[piece.kind] = now
            log.warning("work.unavailable", kind=piece.kind, key=piece.key, why=str(wait))

    async def _failed(self, kind: Kind, piece: Piece, error: Exception) -> str:
        words = _words(error)
        known = isinstance(error, Failed | ChannelError) or away(error)
        tell = log.warning if known else log.exception
        tell("work.failed", kind=piece.kind, key=piece.key, attempts=piece.attempts, error=words)
        if kind.tries and piece.attempts >= kind.tries:
            async with self._database.transaction() as c:
                parked = await table.park(c, piece, words)
                if parked:
                    await self._alarm(c, piece, words)
            if parked:
                return "parked"
        async with self._database.connection() as c:
            await table.put_back(c, piece, back_off(piece.attempts), words)
        return "failed"


def back_off(attempts: int) -> timedelta:
    """How long to wait after this many failures: doubling, with full jitter, five minutes at most."""
    state = RetryCallState(retry_object=Any, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
    state.attempt_number = attempts
    return timedelta(seconds=_BACK_OFF(state))


async def _either(bell: asyncio.Event, pause: timedelta) -> None:
    """Wait for the bell, but never longer than the poll."""
    seconds = min(max(pause, timedelta(milliseconds=1)), POLL).total_seconds()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await bell.wait()


def _words(error: Exception) -> str:
    """What may be kept and shown of an error. Only our own errors are known to carry no secret."""
    if isinstance(error, Failed | Wait | ChannelError):
        return str(error)[:500]
    return type(error).__name__


def _complain(event: str, error: Exception, **ids: str) -> None:
    if away(error):
        log.warning(event, error=type(error).__name__, **ids)
    else:
        log.exception(event, error=type(error).__name__, **ids)
