"""Webhooks on their way to the shop: signed, repeated as the URL's fragment says, held, shuffled, doubled.

Rule: by default Twilio tries again once, and only when no connection came about. A 500 is not repeated unless the
fragment says so. Redirects are not followed. Page: www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

import aiohttp
from yarl import URL

from sandbox.journal import Json
from sandbox.twilio.ledger import Ledger
from sandbox.twilio.signing import Key, Params, signed

KEPT = 4000  # events, to be repeated
RANGES = {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000), "rc": (0, 5)}
CAUSES = frozenset({"4xx", "5xx", "ct", "rt", "all"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one URL is called. Times are seconds; `total` is over all tries."""

    retries: int = 1
    causes: frozenset[str] = frozenset({"ct"})
    connect: float = 5.0
    read: float = 15.0
    total: float = 15.0

    @classmethod
    def of(cls, url: str) -> Policy:
        """Read the fragment. What is out of range or unknown counts as not written."""
        given = dict(parse_qsl(url.partition("#")[2]))
        found: dict[str, int] = {}
        for name, (low, high) in RANGES.items():
            if given.get(name, "").isdigit() and low <= int(given[name]) <= high:
                found[name] = int(given[name])
        causes = frozenset(given.get("rp", "").split(",")) & CAUSES
        return cls(
            retries=found.get("rc", 1),
            causes=causes or frozenset({"ct"}),
            connect=found.get("ct", 5000) / 1000,
            read=found.get("rt", 15_000) / 1000,
            total=found.get("tt", 15_000) / 1000,
        )

    def again(self, cause: str) -> bool:
        return cause in self.causes or "all" in self.causes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the shop said. `cause` is empty when it was 2xx, else what `rp` calls it; status 0 is no answer."""

    status: int = 0
    content_type: str = ""
    body: bytes = b""
    cause: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One webhook. Events of one `lane` go one after the other; `then` gets the answer."""

    id: str
    kind: str  # message, status
    lane: str
    message: str
    account: str
    url: str
    method: str
    params: Params
    secret: str = field(default="", repr=False)  # signs instead of the account's token
    then: Callable[[Event, Answer], Awaitable[None]] | None = None


class Post:
    """Everything that is posted to the shop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.open = True
        self.held: list[Event] = []
        self.past: dict[str, Event] = {}
        self._lanes: dict[str, deque[Event]] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}  # by lane; the empty one shuffles
        self._gathered: list[Event] = []

    def send(self, event: Event) -> None:
        """Send an event, or keep it while events are held back."""
        self.past[event.id] = event
        while len(self.past) > KEPT:
            self.past.pop(next(iter(self.past)))
        twice = self._ledger.random.random() < self._ledger.settings.duplicates
        for _ in range(2 if twice else 1):
            if self.open:
                self._start(event)
            else:
                self.held.append(event)

    def repeat(self, event: Event) -> None:
        """Send an event again, as if nobody had noticed that it came."""
        self._start(event)

    def release(self, order: str) -> None:
        """Send what was held back; `reverse` and `shuffle` say in which order, strictly over all lanes."""
        held, self.held, self.open = self.held, [], True
        if order == "reverse":
            held.reverse()
        elif order == "shuffle":
            self._ledger.random.shuffle(held)
        for event in held:
            self._start(replace(event, lane="released") if order else event)

    def forget(self) -> None:
        self.held.clear()
        self.past.clear()
        self._lanes.clear()
        self._gathered.clear()
        self.open = True

    def _start(self, event: Event) -> None:
        if self._ledger.settings.order == "shuffled":
            self._gathered.append(event)
            if len(self._gathered) == 1:
                self._workers[""] = self._ledger.spawn(self._shuffled())
            return
        waiting = self._lanes.get(event.lane)
        if waiting is None:
            self._lanes[event.lane] = deque([event])
            self._workers[event.lane] = self._ledger.spawn(self._run(event.lane))
        else:
            waiting.append(event)

    async def _run(self, lane: str) -> None:
        waiting = self._lanes[lane]
        try:
            while waiting:
                await self._deliver(waiting.popleft())
        finally:
            self._lanes.pop(lane, None)
            self._workers.pop(lane, None)

    async def delivered(self, lane: str) -> None:
        """Wait until what is under way in a lane has been answered."""
        if workers := [worker for name in ("", lane) if (worker := self._workers.get(name)) is not None]:
            await asyncio.wait(workers)

    async def _shuffled(self) -> None:
        await asyncio.sleep(self._ledger.settings.shuffle_seconds)
        events, self._gathered = self._gathered, []
        self._ledger.random.shuffle(events)
        for event in events:
            await self._deliver(event)

    async def _deliver(self, event: Event) -> None:
        answer = await self.fetch(event)
        if event.then is not None:
            await event.then(event, answer)

    async def fetch(self, event: Event) -> Answer:
        """Call the event's URL as its fragment says, and give the last answer."""
        policy, scale = Policy.of(event.url), self._ledger.settings.retry_scale
        clock = asyncio.get_running_loop().time
        until = clock() + policy.total * scale
        answer = Answer(cause="rt", words="no time left")
        for retry in range(policy.retries + 1):
            left = until - clock()
            if retry and left <= 0:
                break
            timeout = aiohttp.ClientTimeout(
                total=left, sock_connect=min(left, policy.connect * scale), sock_read=min(left, policy.read * scale)
            )
            answer = await self._attempt(event, timeout)
            self._record(event, answer, retry)
            if not answer.cause or not policy.again(answer.cause):
                break
        return answer

    def _key(self, event: Event) -> Key:
        settings = self._ledger.settings
        if event.secret:
            return Key(secret=event.secret)
        if settings.shared_key:
            return Key(secret=settings.shared_key, id=settings.shared_key_id)
        return Key(secret=self._ledger.accounts[event.account].auth_token)

    async def _attempt(self, event: Event, timeout: aiohttp.ClientTimeout) -> Answer:
        settings = self._ledger.settings
        request = signed(
            event.url,
            event.method,
            event.params,
            self._key(event),
            as_json=settings.json_webhooks,
            portless=settings.sign_without_port,
        )
        headers = {**request.headers, "I-Twilio-Idempotency-Token": event.id, "User-Agent": "TwilioProxy/1.1"}
        try:
            async with self._ledger.session().request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body or None,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return Answer(
                    status=response.status,
                    content_type=response.headers.get("Content-Type", ""),
                    body=await response.read(),
                    cause=_cause(response.status),
                    words="" if response.ok else f"HTTP {response.status}",
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Answer(cause="ct", words=type(error).__name__)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Answer(cause="rt", words=type(error).__name__)

    def _record(self, event: Event, answer: Answer, retry: int) -> None:
        facts: Json = {
            "event": event.id,
            "kind": event.kind,
            "message": event.message,
            "url": event.url,
            "params": dict(event.params),
            "status": answer.status,
            "error": answer.words,
            "retry": retry,
        }
        self._ledger.tell("attempt", facts)


def _cause(status: int) -> str:
    if 200 <= status < 300:
        return ""
    return "5xx" if status >= 500 else "4xx"
