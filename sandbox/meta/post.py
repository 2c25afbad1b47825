"""The post from Meta to the shop: signed webhooks, repeated until they are answered with 200.

Rule: nothing is ordered and everything may come twice. A failing event does not hold up those behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp

from sandbox.meta.values import DAY, HOUR, OBJECTS, Json, Kind, Line

if TYPE_CHECKING:
    from sandbox.meta.world import World

KEPT = 4000  # delivered events that can be repeated
MOST = 1000  # updates in one POST
LIFE = {Kind.WHATSAPP: 7 * DAY, Kind.MESSENGER: 36 * HOUR, Kind.INSTAGRAM: 36 * HOUR}


def retry_delay(tries: int) -> float:
    """Seconds between attempt number `tries` and the next: doubling from 5 s up to 6 h. Meta names no numbers."""
    return float(min(5.0 * 2 ** (tries - 1), 6 * HOUR))


def body(payload: Json) -> bytes:
    """Write a payload as Meta does: ASCII, with unicode and slashes escaped."""
    return json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def signature(secret: str, raw: bytes) -> str:
    """The X-Hub-Signature-256 over a body as it goes out."""
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


@dataclass(slots=True, kw_only=True)
class Event:
    """One update on its way. `slot` is messaging, standby or changes; `about` is the message it tells of."""

    number: int
    line: Line
    account: str  # entry[].id
    topic: str  # the webhook field
    slot: str
    item: Json
    about: str
    lane: str
    at: float
    again: bool = False  # a duplicate
    tries: int = 0
    due: float = 0.0  # monotonic
    tried: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Lane:
    events: list[Event] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Post:
    """Events that wait and the deliveries under way. One lane per chat: lanes are served side by side."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lanes: dict[str, _Lane] = {}
        self._sent: deque[Event] = deque(maxlen=KEPT)
        self._failing: dict[str, float] = {}  # by account: since when
        self.running = asyncio.Event()
        self.running.set()
        self.newest = 0

    @property
    def waiting(self) -> list[Event]:
        return [event for lane in self._lanes.values() for event in lane.events]

    def add(
        self, line: Line, field: str, item: Json, *, slot: str, lane: str, about: str = "", account: str = ""
    ) -> bool:
        """Send an update. False when the app does not hear of such; a test button's `account` goes out anyway."""
        world = self._world
        if not account and not world.accounts.hears(line, field):
            world.tell("unheard", {"line": line.id, "field": field, "item": item})
            return False
        if OBJECTS[line.kind] not in world.accounts.subscriptions:
            raise ValueError("the app has no webhook for this")
        self.newest += 1
        event = Event(
            number=self.newest,
            line=line,
            account=account or line.account,
            topic="" if account else field,
            slot=slot,
            item=item,
            about=about,
            lane="all" if world.settings.batch or world.settings.order else f"{line.id}|{lane}",
            at=world.now(),
        )
        self._place(event)
        if world.settings.duplicates and world.rng.random() < world.settings.duplicates:
            self._place(replace(event, again=True, tried=asyncio.Event()))
        return True

    def _place(self, event: Event) -> None:
        lane = self._lanes.setdefault(event.lane, _Lane())
        lane.events.append(event)
        lane.changed.set()
        if lane.task is None:
            lane.task = asyncio.get_running_loop().create_task(self._serve(event.lane, lane))
            lane.task.add_done_callback(_loud)

    def repeat(self, wanted: str) -> int:
        """Deliver again what was delivered: the event with this number, or all about this message. Returns how many."""
        found = [event for event in self._sent if wanted in (str(event.number), event.about) and not event.again]
        for event in found:
            self._place(replace(event, again=True, tries=0, due=0.0, tried=asyncio.Event()))
        return len(found)

    def release(self, order: str) -> None:
        """Go on after `running` was cleared; `reverse` and `shuffle` mix what waits over all chats."""
        if order:
            waiting = sorted(self.waiting, key=lambda event: event.number)
            for lane in self._lanes.values():
                lane.events.clear()
                lane.changed.set()
            waiting.reverse() if order == "reverse" else self._world.rng.shuffle(waiting)
            for event in waiting:
                event.lane = "released"
                self._place(event)
        self.running.set()

    async def tried(self, since: int) -> None:
        """Wait until every event after number `since` was attempted once. At once while deliveries are held."""
        for event in [event for event in self.waiting if event.number > since]:
            if not self.running.is_set():
                return
            await event.tried.wait()

    async def idle(self) -> None:
        """Wait until nothing waits and nothing is under way. Never ends while deliveries are held."""
        while tasks := [lane.task for lane in self._lanes.values() if lane.task is not None]:
            await asyncio.wait(tasks)
            await asyncio.sleep(0)

    async def close(self) -> None:
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        self._lanes.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # deliveries

    async def _serve(self, name: str, lane: _Lane) -> None:
        """Deliver one lane until it is empty."""
        world = self._world
        while True:
            await self.running.wait()
            lane.changed.clear()
            if not lane.events:
                if self._lanes.get(name) is lane:
                    del self._lanes[name]
                return
            now = time.monotonic()
            ready = [event for event in lane.events if event.due <= now]
            if not ready:
                wait = min(event.due for event in lane.events) - now
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(lane.changed.wait(), wait)
                continue
            head = world.rng.choice(ready) if world.settings.order else ready[0]
            chosen = [head]
            if world.settings.batch:
                chosen = [event for event in ready if self._way(event) == self._way(head)][:MOST]
                if world.settings.order:
                    world.rng.shuffle(chosen)
            delivered = await self._attempt(chosen)
            for event in chosen:
                event.tries += 1
                event.tried.set()
                if delivered:
                    self._sent.append(event)
                else:
                    event.due = time.monotonic() + retry_delay(event.tries) * world.settings.retry_scale
                if (delivered or self._given_up(event)) and event in lane.events:
                    lane.events.remove(event)

    def _way(self, event: Event) -> tuple[Kind, str, str]:
        """What is equal for events that can share a POST."""
        return event.line.kind, event.line.login, self._world.accounts.callback(event.line, event.topic)

    def _given_up(self, event: Event) -> bool:
        """Note a failure. True when the event is too old to be tried again."""
        world, now = self._world, self._world.now()
        since = self._failing.setdefault(event.line.account, event.at)
        if event.line.kind is Kind.MESSENGER and now - since > world.settings.unsubscribe_after:
            world.accounts.unsubscribe(event.line)
            world.note(f"the app was unsubscribed from {event.line.id}: its webhook failed for too long")
        return now - event.at > LIFE[event.line.kind]

    async def _attempt(self, events: Sequence[Event]) -> bool:
        """Post some events of one object. True when the shop answered 200."""
        world, started = self._world, time.monotonic()
        line = events[0].line
        target = world.accounts.callback(line, events[0].topic)
        payload = envelope(OBJECTS[line.kind], events, world.settings.timestamps == "other")
        if world.settings.crowded:
            for entry in payload["entry"]:
                entry |= {"changes": crowded(entry["changes"])} if "changes" in entry else {}
        raw = body(payload)
        own = line.kind is Kind.INSTAGRAM and line.login == "instagram"
        secret = world.accounts.instagram_secret if own else world.accounts.app_secret
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature": "sha1=" + hmac.new(secret.encode(), raw, hashlib.sha1).hexdigest(),
            "X-Hub-Signature-256": signature(secret, raw),
        }
        status, error = 0, "no subscription"
        if target:
            timeout = aiohttp.ClientTimeout(total=world.settings.webhook_timeout)
            try:
                async with world.session().post(
                    target, data=raw, headers=headers, timeout=timeout, allow_redirects=False
                ) as response:
                    await response.read()
                    status = response.status
                    error = "" if status == 200 else f"answered {status}"
            except TimeoutError:
                error = "no answer in time"
            except aiohttp.ClientError as lost:
                error = type(lost).__name__
        if not error:
            self._failing.pop(line.account, None)
        world.journal.note(
            "attempt",
            datetime.now(UTC),
            {
                "object": OBJECTS[line.kind],
                "url": target,
                "events": [event.number for event in events],
                "body": payload,
                "status": status,
                "error": error,
                "retry": events[0].tries,
                "milliseconds": round((time.monotonic() - started) * 1000, 1),
            },
        )
        return not error


def _loud(task: asyncio.Task[None]) -> None:
    """Let a fault of the emulator's own be heard."""
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


def envelope(object: str, events: Sequence[Event], other_unit: bool) -> Json:
    """Put events into one payload: an entry per account, in which its events follow each other."""
    entries: dict[tuple[str, str], Json] = {}
    for event in events:
        seconds = (event.line.kind is Kind.WHATSAPP) is not other_unit
        stamp = int(event.at) if seconds else int(event.at * 1000)
        entry = entries.setdefault((event.account, event.slot), {"id": event.account, "time": stamp, event.slot: []})
        entry[event.slot].append(event.item)
    return {"object": object, "entry": list(entries.values())}


def crowded(changes: Sequence[Any]) -> list[Any]:
    """Put what one number was told of one field into one value, whose lists hold what theirs held."""
    found: list[Any] = []
    places: dict[tuple[Any, Any], Json] = {}
    for change in changes:
        value = change.get("value")
        metadata = value.get("metadata") if isinstance(value, dict) else None
        if not isinstance(metadata, dict) or not isinstance(change.get("field"), str):
            found.append(change)
            continue
        key = (change["field"], metadata.get("phone_number_id"))
        if key not in places:
            places[key] = dict(value)
            found.append({**change, "value": places[key]})
            continue
        for name, part in value.items():
            if isinstance(part, list):
                told = places[key].get(name, [])
                places[key][name] = [*told, *(one for one in part if name != "contacts" or one not in told)]
    return found
