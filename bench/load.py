"""The load generator, a process of its own: so many requests at once over kept-open lines, all of them made beforehand.

Rule: while the clock runs it writes bytes that are ready and counts what comes back; nothing is made or parsed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from bench.updates import language_of, request, texts, update

ROOT = Path(__file__).resolve().parent.parent
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
SIGNATURE_HEADER = "X-Signature"  # of the bare receiver; both get the same bytes
PATIENCE = 60.0  # seconds for an answer; Telegram's own

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send. Customers are `known` (first id, how many) but for a share of new ones, numbered from `new` on."""

    port: int
    path: str
    secret: str = field(repr=False)
    first: int  # number of the first message
    requests: int  # at most
    seconds: float = 600.0  # at most
    lines: int = 64
    known: tuple[int, int] = (0, 0)
    new: int = 0
    new_share: float = 0.05
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came back. Times in seconds."""

    accepted: int
    refused: dict[str, int]  # by status, and "lost" for a line that broke
    new_customers: int
    seconds: float
    p50: float
    p95: float
    p99: float
    longest: float
    cpu: float

    @property
    def rate(self) -> float:
        return self.accepted / self.seconds if self.seconds else 0.0


async def load(plan: Plan) -> Outcome:
    """Run a plan in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.load",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complaint = await process.communicate(json.dumps(asdict(plan)).encode())
    if process.returncode:
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise RuntimeError(f"the load generator ended with {process.returncode}: {last}")
    return Outcome(**json.loads(told))


class _Run:
    """The requests that are left, and what came back so far."""

    def __init__(self, requests: list[bytes], seconds: float) -> None:
        self.requests: Iterator[bytes] = iter(requests)
        self.until = time.perf_counter() + seconds
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()

    def next(self) -> bytes | None:
        return None if time.perf_counter() > self.until else next(self.requests, None)


class _Line(asyncio.Protocol):
    """One connection: one request at a time, the next as soon as the last is answered."""

    def __init__(self) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting = False
        self._read = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by behaviour only

    def begin(self, run: _Run) -> None:
        self._run = run
        self._send()

    def _send(self) -> None:
        wanted = self._run.next()
        if wanted is None:
            self.waiting = False
            self._transport.close()
            return
        self.waiting = True
        self._sent = time.perf_counter()
        self._transport.write(wanted)

    def data_received(self, data: bytes) -> None:
        self._read += data
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._read, 0, end)
        if len(self._read) < end + 4 + (int(length[1]) if length else 0):
            return
        status = self._read[9:12].decode()
        self._run.latencies.append(time.perf_counter() - self._sent)
        self._run.statuses[status] += 1
        self._read = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiting:
            self._run.statuses["lost"] += 1
        if not self.over.done():
            self.over.set_result(None)


def _prepared(plan: Plan) -> tuple[list[bytes], int]:
    """All requests of a plan, and how many new customers are among them."""
    chance = random.Random(plan.seed)
    sent_at = int(time.time())
    requests, new = [], 0
    for number in range(plan.first, plan.first + plan.requests):
        if chance.random() < plan.new_share:
            customer, new = plan.new + new, new + 1
        else:
            customer = plan.known[0] + chance.randrange(plan.known[1])
        text = chance.choice(texts(language_of(customer)))
        body = update(number=number, customer=customer, text=text, sent_at=sent_at)
        signature = hmac.new(plan.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {SECRET_HEADER: plan.secret, SIGNATURE_HEADER: signature}
        requests.append(request(path=plan.path, port=plan.port, headers=headers, body=body))
    return requests, new


async def _run(plan: Plan) -> Outcome:
    requests, new = _prepared(plan)
    loop = asyncio.get_running_loop()

    async def line(run: _Run, connection: _Line) -> None:
        connection.begin(run)
        await connection.over
        while connection.waiting:  # the other side hung up in the middle; the rest goes over a new line
            connection = (await loop.create_connection(_Line, "127.0.0.1", plan.port))[1]
            connection.begin(run)
            await connection.over

    connections = [(await loop.create_connection(_Line, "127.0.0.1", plan.port))[1] for _ in range(plan.lines)]
    cpu = _cpu()
    started = time.perf_counter()
    run = _Run(requests, plan.seconds)
    async with asyncio.timeout(plan.seconds + PATIENCE):
        await asyncio.gather(*(line(run, connection) for connection in connections))
    seconds = time.perf_counter() - started
    ranked = sorted(run.latencies) or [0.0]
    accepted = sum(count for status, count in run.statuses.items() if status.startswith("2"))
    return Outcome(
        accepted=accepted,
        refused={status: count for status, count in run.statuses.items() if not status.startswith("2")},
        new_customers=new,
        seconds=seconds,
        p50=quantile(ranked, 0.5),
        p95=quantile(ranked, 0.95),
        p99=quantile(ranked, 0.99),
        longest=ranked[-1],
        cpu=_cpu() - cpu,
    )


def quantile(ranked: list[float], share: float) -> float:
    """The value below which `share` of sorted values lie."""
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Read a plan on stdin, carry it out, write the outcome to stdout."""
    plan = Plan(**{**(told := json.load(sys.stdin)), "known": tuple(told["known"])})
    try:
        import uvloop
    except ImportError:
        loop_factory = None
    else:
        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        outcome = runner.run(_run(plan))
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
