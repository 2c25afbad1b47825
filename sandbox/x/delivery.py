"""Events on their way to webhooks: wrapped, signed, posted once, and kept a day for replay; and the challenge (CRC).

Rule: X does not repeat a failed delivery. What a webhook missed comes again only by replay.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import orjson

from sandbox.journal import Journal, Json
from sandbox.x.auth import sealed
from sandbox.x.values import INVALID_AFTER, REPLAYABLE, App, Settings, Webhook

KEPT = 10_000  # events remembered for replay and repetition


class Surroundings(Protocol):
    """What delivery needs of the world around it."""

    settings: Settings
    journal: Journal
    app: App
    chance: Random

    def now(self) -> datetime: ...

    def session(self) -> aiohttp.ClientSession: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One event for one webhook. Parcels with the same `queue` keep their order."""

    event: str  # its event_uuid
    kind: str
    webhook: str
    queue: str
    body: Json
    at: datetime


class Courier:
    """Everything on its way to the shop. All of it runs on one event loop."""

    def __init__(self, world: Surroundings, find: Callable[[str], Webhook | None]) -> None:
        self._world = world
        self._find = find
        self._log: deque[Parcel] = deque(maxlen=KEPT)
        self._held: list[Parcel] | None = None
        self._tails: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.replaying: set[str] = set()

    def clear(self) -> None:
        self._log.clear()
        self._held = None
        self._tails.clear()
        self.replaying.clear()

    # events

    def post(self, parcels: list[Parcel]) -> asyncio.Task[None] | None:
        """Send events on their way. The task returned ends when the last of them has been attempted."""
        self._log.extend(parcels)
        if self._held is not None:
            self._held += parcels
            return None
        return self._dispatch(parcels)

    def _dispatch(self, parcels: list[Parcel]) -> asyncio.Task[None] | None:
        if not parcels:
            return None
        settings, chance = self._world.settings, self._world.chance
        tasks = []
        for parcel in parcels:
            copies = 2 if chance.random() < settings.duplicates else 1
            for _ in range(copies):
                wait = chance.random() * settings.shuffle_seconds if settings.order == "shuffled" else 0.0
                tasks.append(self._start(parcel, wait))
        return self._keep(asyncio.get_running_loop().create_task(_all(tasks)))

    def _start(self, parcel: Parcel, wait: float) -> asyncio.Task[None]:
        key = (parcel.webhook, parcel.queue)
        before = None if self._world.settings.order == "shuffled" else self._tails.get(key)
        task = self._keep(asyncio.get_running_loop().create_task(self._deliver(parcel, wait, before)))
        self._tails[key] = task
        return task

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        for key in [key for key, tail in self._tails.items() if tail is task]:
            del self._tails[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _deliver(self, parcel: Parcel, wait: float, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        if wait:
            await asyncio.sleep(wait)
        await self.attempt(parcel)

    async def attempt(self, parcel: Parcel) -> bool:
        """Post one event, once. True if the webhook answered with 2xx."""
        webhook = self._find(parcel.webhook)
        started, status, error = time.monotonic(), 0, ""
        if webhook is None or not webhook.valid:
            error = "the webhook is gone" if webhook is None else "the webhook is invalid"
        else:
            status, error = await self._send(webhook.url, orjson.dumps(parcel.body))
        facts: Json = {
            "event": parcel.event,
            "kind": parcel.kind,
            "webhook": parcel.webhook,
            "body": parcel.body,
            "status": status,
            "error": error,
            "milliseconds": round((time.monotonic() - started) * 1000, 1),
        }
        self._world.journal.note("attempt", datetime.now(UTC), facts)
        return not error

    async def _send(self, url: str, body: bytes) -> tuple[int, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "TwitterWebhooks/1.0", **self._seals(body)}
        timeout = aiohttp.ClientTimeout(total=self._world.settings.webhook_timeout)
        try:
            async with self._world.session().post(
                self._reached(url), data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                await response.read()
                good = 200 <= response.status < 300
                return response.status, "" if good else f"answered {response.status}"
        except TimeoutError:
            return 0, "timeout"
        except aiohttp.ClientError as problem:
            return 0, str(problem) or "connection closed"

    def _seals(self, body: bytes) -> dict[str, str]:
        app, which = self._world.app, self._world.settings.signatures
        seals: dict[str, str] = {}
        if which in ("consumer", "both"):
            seals["x-twitter-webhooks-signature"] = sealed(app.consumer_secret, body)
        if which in ("client", "both"):
            seals["x-twitter-webhooks-signature-oauth2"] = sealed(app.client_secret, body)
        return seals

    def _reached(self, url: str) -> str:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        return self._world.settings.reach.get(origin, origin) + url.removeprefix(origin)

    def under_way(self) -> set[asyncio.Task[None]]:
        return set(self._tasks)

    # what a test does to them

    def hold(self) -> None:
        self._held = self._held or []

    def release(self, order: str = "") -> None:
        """Deliver what was held back, one after the other; `reverse` and `shuffle` change its order."""
        if order not in ("", "reverse", "shuffle"):
            raise ValueError("order must be reverse or shuffle")
        held, self._held = self._held or [], None
        if order == "reverse":
            held.reverse()
        elif order == "shuffle":
            self._world.chance.shuffle(held)

        async def one_by_one() -> None:
            for parcel in held:
                await self.attempt(parcel)

        self._keep(asyncio.get_running_loop().create_task(one_by_one()))

    def repeat(self, event: str) -> None:
        """Deliver an event again. Raises KeyError."""
        parcels = [parcel for parcel in self._log if parcel.event == event]
        if not parcels:
            raise KeyError("no such event")
        self._dispatch(parcels)

    # challenge

    async def challenge(self, webhook: Webhook) -> bool:
        """Ask a webhook for proof and set its validity by X's rules. True if the answer was right."""
        now = self._world.now()
        verdict = await self._asked(webhook.url)
        if verdict == "right":
            webhook.valid, webhook.validated = True, now
        elif verdict == "wrong" or now - webhook.validated > INVALID_AFTER:
            webhook.valid = False
        facts = {"webhook": webhook.id, "url": webhook.url, "verdict": verdict, "valid": webhook.valid}
        self._world.journal.note("challenge", datetime.now(UTC), facts)
        return verdict == "right"

    async def _asked(self, url: str) -> str:
        """`right`; `wrong`, which is final: a wrong token, a redirect, broken TLS; or `away`, which may pass."""
        app, which = self._world.app, self._world.settings.signatures
        token = f"{self._world.chance.getrandbits(128):032x}"
        secrets = {"consumer": app.consumer_secret, "client": app.client_secret}
        good = [sealed(secret, token.encode()) for name, secret in secrets.items() if which in (name, "both")]
        timeout = aiohttp.ClientTimeout(total=self._world.settings.webhook_timeout)
        try:
            async with self._world.session().get(
                self._reached(url), params={"crc_token": token}, timeout=timeout, allow_redirects=False
            ) as response:
                body = await response.read()
        except aiohttp.ClientSSLError:
            return "wrong"
        except (TimeoutError, aiohttp.ClientError):
            return "away"
        if response.status >= 400:
            return "away"
        try:
            answer = orjson.loads(body) if response.status < 300 else None
        except orjson.JSONDecodeError:
            answer = None
        right = isinstance(answer, dict) and answer.get("response_token") in good
        return "right" if right else "wrong"

    async def trick(self, webhook: Webhook, body: bytes) -> Json:
        """Do as a stranger who has no secret: get a body signed by asking for it as a challenge, and post that body.

        `signed` is whether the webhook was so obliging, `status` what it answered to the post.
        """
        answer, _ = await self._request("GET", webhook.url, params={"crc_token": body.decode()})
        try:
            seal = orjson.loads(answer)["response_token"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            seal = ""
        headers = {"Content-Type": "application/json", "x-twitter-webhooks-signature": str(seal)}
        _, status = await self._request("POST", webhook.url, data=body, headers=headers)
        return {"signed": bool(seal), "status": status}

    async def _request(self, method: str, url: str, **what: Any) -> tuple[bytes, int]:
        timeout = aiohttp.ClientTimeout(total=self._world.settings.webhook_timeout)
        async with self._world.session().request(
            method, self._reached(url), timeout=timeout, allow_redirects=False, **what
        ) as response:
            return await response.read(), response.status

    # replay

    def replay(self, webhook: Webhook, job: str, start: datetime, end: datetime) -> None:
        """Deliver again what was meant for a webhook from `start` until before `end`, then say that it is done."""
        oldest = self._world.now() - REPLAYABLE
        wanted = [p for p in self._log if p.webhook == webhook.id and start <= p.at < end and p.at >= oldest]
        self.replaying.add(webhook.id)
        self._keep(asyncio.get_running_loop().create_task(self._replayed(webhook, job, wanted)))

    async def _replayed(self, webhook: Webhook, job: str, wanted: list[Parcel]) -> None:
        results = [await self.attempt(parcel) for parcel in wanted]
        self.replaying.discard(webhook.id)
        whole = all(results)
        status = {
            "webhook_id": webhook.id,
            "job_state": "Complete" if whole else "Incomplete",
            "job_state_description": (
                "Job completed successfully"
                if whole
                else "Job failed to deliver all events, please retry your replay job"
            ),
            "job_id": job,
        }
        body = {"replay_job_status": status}
        at = self._world.now()
        await self.attempt(Parcel(event=job, kind="replay_job_status", webhook=webhook.id, queue="", body=body, at=at))

    async def close(self) -> None:
        """Stop every delivery under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)
