"""Updates on their way to one bot: numbered, queued, pushed to its webhook or polled.

Rule: FIFO inside a queue, parallel across queues. An update that is not answered with 2xx stays at the head of its own
queue and holds up nothing else, as Telegram's open-source server does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Protocol

import aiohttp
import orjson

from sandbox.journal import Journal, Json
from sandbox.telegram.values import (
    ALLOWED_BY_DEFAULT,
    CALLBACK_LIFE,
    UPDATE_LIFE,
    ApiError,
    Bot,
    Settings,
    Webhook,
)

GONE_FOR = timedelta(hours=23)  # after that long of 410 the webhook is removed
LIVES = {
    "callback_query": CALLBACK_LIFE,
    "inline_query": timedelta(seconds=30),
    "chosen_inline_result": timedelta(seconds=600),
}
TERMINATED = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"

Queue = tuple[str, int]


class Surroundings(Protocol):
    """What the mail needs of the world around it."""

    settings: Settings
    journal: Journal
    running: asyncio.Event  # cleared while deliveries are held back

    def now(self) -> datetime: ...

    def session(self) -> aiohttp.ClientSession: ...


@dataclass(slots=True, kw_only=True)
class Pending:
    """An update that waits. `tries` counts attempts made, `due` is monotonic seconds."""

    update: Json
    kind: str
    queue: Queue
    expires: datetime
    tries: int = 0
    due: float = 0.0
    under_way: bool = False
    serial: int = 0

    @property
    def id(self) -> int:
        return int(self.update["update_id"])


def kind_of(update: Json) -> str:
    return next((name for name in update if name != "update_id"), "")


def queue_of(update: Json) -> Queue:
    """Name the queue of an update: messages and edits share their chat's, a button press has its person's."""
    kind = kind_of(update)
    body = update.get(kind)
    body = body if isinstance(body, dict) else {}
    chat = body.get("chat", {}).get("id") or body.get("from", {}).get("id") or 0
    if kind in ("message", "edited_message"):
        return "chat", chat
    if kind == "callback_query":
        return "user", body.get("from", {}).get("id", 0)
    return kind, chat


def expiry(update: Json, now: datetime) -> datetime:
    kind = kind_of(update)
    body = update.get(kind)
    stamp = body.get("edit_date" if kind == "edited_message" else "date") if isinstance(body, dict) else None
    born = datetime.fromtimestamp(stamp, UTC) if "message" in kind and isinstance(stamp, int) and stamp else now
    return born + LIVES.get(kind, UPDATE_LIFE)


def retry_delay(tries: int) -> float:
    """Seconds to the next attempt after `tries` failed ones: at once, then 2, 4, 8 …, at most a random 60 to 120."""
    if tries <= 1:
        return 0.0
    return float(min(2 ** min(tries - 1, 10), random.randint(60, 120)))  # noqa: S311  # jitter, not a secret


@dataclass(slots=True, kw_only=True)
class _Poll:
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended_by: str = ""


class Mail:
    """The updates of one bot. Everything here runs on one event loop."""

    def __init__(
        self, bot: Bot, world: Surroundings, answer_call: Callable[[str, Json], Awaitable[object]], first_id: int
    ) -> None:
        self._bot = bot
        self._world = world
        self._answer_call = answer_call
        self.next_id = first_id
        self._serial = 0
        self._pending: dict[int, Pending] = {}  # by serial, in order of arrival
        self._queues: dict[Queue, deque[Pending]] = {}
        self._past: dict[int, Pending] = {}
        self._drains: dict[Queue, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(bot.webhook.max_connections)
        self._poll: _Poll | None = None
        self._gone_since: datetime | None = None
        self.last_error: tuple[datetime, str] | None = None

    @property
    def count(self) -> int:
        self._drop_expired()
        return len(self._pending)

    def allowed(self, kind: str) -> bool:
        return kind in (self._bot.webhook.allowed_updates or ALLOWED_BY_DEFAULT)

    def add(self, kind: str, body: Json) -> int | None:
        """Queue an update of ours and return its id; None when the bot does not want this kind."""
        if not self.allowed(kind):
            return None
        return self.inject({kind: body})

    def inject(self, update: Json) -> int:
        """Queue any update. One that brings no id gets the next."""
        if "update_id" not in update:
            update = {"update_id": self.next_id, **update}
            self.next_id += 1
        now = self._world.now()
        pending = Pending(update=update, kind=kind_of(update), queue=queue_of(update), expires=expiry(update, now))
        self._past[pending.id] = pending
        while len(self._past) > 4000:
            self._past.pop(next(iter(self._past)))
        self._enqueue(pending)
        return pending.id

    def repeat(self, update_id: int) -> bool:
        """Queue an update once more, as if its acknowledgement had been lost. False when it is not remembered."""
        past = self._past.get(update_id)
        if past is None:
            return False
        self._enqueue(
            Pending(update=past.update, kind=past.kind, queue=past.queue, expires=self._world.now() + UPDATE_LIFE)
        )
        return True

    def _enqueue(self, pending: Pending) -> None:
        self._place(pending)
        if self._poll is not None:
            self._poll.changed.set()
        self._start(pending.queue)

    def _place(self, pending: Pending) -> None:
        self._serial += 1
        pending.serial = self._serial
        self._pending[pending.serial] = pending
        self._queues.setdefault(pending.queue, deque()).append(pending)

    def _forget(self, pending: Pending) -> None:
        if self._pending.pop(pending.serial, None) is None:
            return
        queue = self._queues[pending.queue]
        if queue[0] is pending:
            queue.popleft()
        else:
            # By identity: a repeated update equals its first copy.
            queue = self._queues[pending.queue] = deque(other for other in queue if other is not pending)
        if not queue:
            del self._queues[pending.queue]

    def drop_pending(self) -> None:
        self._pending.clear()
        self._queues.clear()

    def reorder(self, order: str) -> None:
        """Shuffle or reverse what waits, and deliver it strictly so: one queue for all of it."""
        waiting = [pending for pending in self._pending.values() if not pending.under_way]
        for pending in waiting:
            self._forget(pending)
        if order == "reverse":
            waiting.reverse()
        elif order == "shuffle":
            random.shuffle(waiting)
        for pending in waiting:
            pending.queue = ("released", 0)
            self._place(pending)

    # webhook

    def webhook_changed(self) -> None:
        """Begin anew with the bot's webhook as it is now: attempts under way are cut off and made again."""
        for drain in self._drains.values():
            drain.cancel()
        self._drains.clear()
        self._slots = asyncio.Semaphore(self._bot.webhook.max_connections)
        self._gone_since = None
        if self._bot.webhook.url:
            self._end_poll("Conflict: terminated by setWebhook request")
            for pending in self._pending.values():
                pending.due = 0.0
        self.wake()

    def wake(self) -> None:
        """Start a delivery for each queue that has none."""
        for queue in list(self._queues):
            self._start(queue)

    def _start(self, queue: Queue) -> None:
        running = self._drains.get(queue)
        if not self._bot.webhook.url or (running is not None and not running.done()):
            return
        task = asyncio.get_running_loop().create_task(self._drain(queue))
        self._drains[queue] = task
        task.add_done_callback(lambda done: self._drained(queue, done))

    def _drained(self, queue: Queue, task: asyncio.Task[None]) -> None:
        if self._drains.get(queue) is task:
            del self._drains[queue]
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _drain(self, queue: Queue) -> None:
        """Deliver one queue until it is empty."""
        while True:
            await self._world.running.wait()
            waiting = self._queues.get(queue)
            if not waiting:
                return
            head = waiting[0]
            if head.expires <= self._world.now():
                self._forget(head)
                continue
            if (wait := head.due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
                continue
            async with self._slots:
                if not self._world.running.is_set():
                    continue
                head.under_way = True
                try:
                    delivered = await self._attempt(head, self._bot.webhook)
                finally:
                    head.under_way = False
            if delivered:
                self._forget(head)

    async def _attempt(self, pending: Pending, webhook: Webhook) -> bool:
        """Post one update. True when it is done with: delivered, or without another chance before it expires."""
        world, started = self._world, time.monotonic()
        status, error, answer, after = 0, "", b"", None
        headers = {"Content-Type": "application/json"}
        if webhook.secret_token:
            headers["X-Telegram-Bot-Api-Secret-Token"] = webhook.secret_token
        timeout = aiohttp.ClientTimeout(total=world.settings.webhook_timeout)
        try:
            async with world.session().post(
                webhook.url, data=orjson.dumps(pending.update), headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                status, after = response.status, response.headers.get("Retry-After")
                answer = await response.read()
                error = "" if 200 <= status < 300 else f"Wrong response from the webhook: {status} {response.reason}"
        except TimeoutError:
            status, error = 0, "Read timeout expired"
        except aiohttp.ClientConnectorError:
            status, error = 0, "Connection refused"
        except aiohttp.ClientError:
            status, error = 0, "Connection closed"
        pending.tries += 1
        world.journal.note(
            "attempt",
            datetime.now(UTC),
            {
                "bot": self._bot.id,
                "update_id": pending.id,
                "kind": pending.kind,
                "body": pending.update,
                "status": status,
                "error": error,
                "milliseconds": round((time.monotonic() - started) * 1000, 1),
                "retry": pending.tries - 1,
            },
        )
        if not error:
            self._gone_since = None
            await self._follow(answer)
            return True
        self.last_error = (world.now(), error)
        return self._put_off(pending, status, after)

    def _put_off(self, pending: Pending, status: int, after: str | None) -> bool:
        """Plan the next attempt. True when there will be none."""
        now = self._world.now()
        self._gone_since = (self._gone_since or now) if status == 410 else None
        if self._gone_since is not None and now - self._gone_since > GONE_FOR:
            self._bot.webhook = Webhook(allowed_updates=self._bot.webhook.allowed_updates)
            self._world.journal.note("bot", now, {"bot": self._bot.id})
            asyncio.get_running_loop().call_soon(self.webhook_changed)
            return False
        delay = retry_delay(pending.tries)
        if after is not None and after.strip().isdigit():
            delay = float(min(3600, int(after)))
        delay *= self._world.settings.retry_scale
        pending.due = time.monotonic() + delay
        return now + timedelta(seconds=delay) >= pending.expires

    async def _follow(self, answer: bytes) -> None:
        """Make the call a webhook answered with. Nobody hears of its result."""
        with contextlib.suppress(orjson.JSONDecodeError):
            call = orjson.loads(answer) if answer.startswith(b"{") else None
            forbidden = ("get", "setwebhook", "deletewebhook", "close", "logout")
            if not isinstance(call, dict) or not isinstance(method := call.pop("method", None), str):
                return
            if not method.lower().startswith(forbidden):
                await self._answer_call(method, call)

    def _drop_expired(self) -> None:
        now = self._world.now()
        for pending in [pending for pending in self._pending.values() if pending.expires <= now]:
            self._forget(pending)

    # getUpdates

    async def poll(self, offset: int, limit: int, timeout: float) -> list[Json]:
        """Answer getUpdates: confirm what is below `offset`, then wait for what is above. Raises 409."""
        if self._bot.webhook.url:
            raise ApiError(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        self._end_poll(TERMINATED)
        self._confirm(offset)
        poll = self._poll = _Poll()
        deadline = time.monotonic() + timeout
        try:
            while not (found := self._ready(limit)):
                poll.changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(poll.changed.wait(), max(0.0, deadline - time.monotonic()))
                if poll.ended_by:
                    raise ApiError(409, poll.ended_by)
                if time.monotonic() >= deadline:
                    found = self._ready(limit)
                    break
            return found
        finally:
            if self._poll is poll:
                self._poll = None

    def _ready(self, limit: int) -> list[Json]:
        self._drop_expired()
        if not self._world.running.is_set():
            return []
        return [pending.update for pending in islice(self._pending.values(), limit)]

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            confirmed = list(self._pending.values())[:offset]
        elif offset <= self.next_id:
            confirmed = [pending for pending in self._pending.values() if pending.id < offset]
        else:
            # An offset ahead of every id comes from before the ids began anew, and confirms nothing.
            confirmed = []
        for pending in confirmed:
            self._forget(pending)

    def _end_poll(self, words: str) -> None:
        if self._poll is not None:
            self._poll.ended_by = words
            self._poll.changed.set()
            self._poll = None

    def nudge(self) -> None:
        """Let a waiting poll look again."""
        if self._poll is not None:
            self._poll.changed.set()
        self.wake()

    async def close(self) -> None:
        """Stop every delivery under way and end a waiting poll."""
        self._end_poll("Conflict: the emulator is closing")
        drains = list(self._drains.values())
        self._drains.clear()
        for drain in drains:
            drain.cancel()
        await asyncio.gather(*drains, return_exceptions=True)
