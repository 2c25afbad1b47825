"""How Slack reaches the app: signed HTTP requests or Socket Mode envelopes, with three seconds to answer.

Rule: an event is retried three times (at once, after one minute, after five); a click never.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urljoin

import aiohttp
import orjson
from aiohttp import web

from sandbox.slack.settings import Settings
from sandbox.slack.workspace import App

Json = dict[str, Any]

RETRY_WAITS = (0.0, 0.0, 60.0, 300.0)  # seconds before each attempt: docs.slack.dev/apis/events-api
HOURLY = (3600.0,) * 24  # what the Delayed Events switch adds
CONNECTIONS_AT_MOST = 10
REDIRECTS_AT_MOST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the app answered. `status` 0: it did not, and `reason` says why in Slack's words for retries."""

    status: int = 0
    body: Any = None
    milliseconds: float = 0.0
    reason: str = ""
    no_retry: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Json:
        shown: Json = {"status": self.status, "body": self.body, "milliseconds": round(self.milliseconds, 1)}
        return shown | ({"reason": self.reason} if self.reason else {})


@dataclass(slots=True, eq=False)
class Connection:
    """One open Socket Mode connection. `leaving`: told to disconnect; used only while there is no other."""

    socket: web.WebSocketResponse
    leaving: bool = False
    unanswered: dict[str, asyncio.Future[Any]] = field(default_factory=dict)

    async def serve(self) -> None:
        """Read acknowledgements until the other side leaves."""
        async for message in self.socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                ack = orjson.loads(message.data)
            except orjson.JSONDecodeError:
                continue
            future = self.unanswered.pop(ack.get("envelope_id", ""), None) if isinstance(ack, dict) else None
            if future is not None and not future.done():
                future.set_result(ack.get("payload"))

    def close(self) -> None:
        for future in self.unanswered.values():
            if not future.done():
                future.set_exception(ConnectionError())
        self.unanswered.clear()


@dataclass(slots=True)
class Deliveries:
    """Everything under way to the app.

    `record` is told of every attempt, `counted` how many Socket Mode connections there are whenever that changes;
    `held` waits while Slack is down.
    """

    app: Callable[[], App]
    settings: Callable[[], Settings]
    record: Callable[[Json], None]
    counted: Callable[[int], None]
    held: Callable[[], Awaitable[None]]
    connections: list[Connection] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _session: aiohttp.ClientSession | None = None
    _verified: str = ""  # the events URL that has answered its challenge
    _verifying: asyncio.Lock = field(default_factory=asyncio.Lock)

    def event(self, envelope: Json, *, retry: int = 0, reason: str = "") -> None:
        """Deliver in the background. From `retry` on, as a late copy is."""
        for _ in range(max(1, self.settings().event_copies)):
            self.run(self._deliver(envelope, retry, reason))

    async def interaction(self, payload: Json) -> Answer:
        """Deliver a click, a shortcut or a modal's end, once, and bring back what the app answered."""
        body = orjson.dumps(payload)
        if self.app().socket_mode:
            answer = await self._push("interactive", payload, [], accepts=True)
        else:
            form = urlencode({"payload": body.decode()}).encode()
            answer = await self._post(self.app().interactive_url, form, "application/x-www-form-urlencoded", {})
        self._note("interaction", payload, answer, 0, payload["type"])
        return answer

    async def command(self, payload: Json) -> Answer:
        """Deliver a slash command, once, and bring back what the app answered. Over HTTP it is a form, not JSON."""
        app = self.app()
        if app.socket_mode:
            answer = await self._push("slash_commands", payload, [], accepts=True)
        else:
            form = urlencode(payload).encode()
            url = app.commands_url or app.interactive_url
            answer = await self._post(url, form, "application/x-www-form-urlencoded", {})
        self._note("command", payload, answer, 0, payload["command"])
        return answer

    async def verify(self, url: str) -> bool:
        """Send the url_verification challenge. Slack sends no events to an address that did not answer it."""
        async with self._verifying:
            if self._verified == url:
                return True
            challenge = secrets.token_urlsafe(32)
            body = {"token": "unused", "challenge": challenge, "type": "url_verification"}
            answer = await self._post(url, orjson.dumps(body), "application/json", {})
            told = answer.body.get("challenge") if isinstance(answer.body, dict) else answer.body
            right = answer.ok and told == challenge
            self._note("challenge", body, answer, 0, "url_verification")
            self._verified = url if right else self._verified
            return right

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it in the background, and count it as under way until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait until nothing is under way, retries included."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def forget(self) -> None:
        """Drop what is under way."""
        for task in tuple(self._tasks):
            task.cancel()
        self._verified = ""

    async def close(self) -> None:
        self.forget()
        for connection in tuple(self.connections):
            await connection.socket.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def serve(self, socket: web.WebSocketResponse) -> None:
        """Greet a Socket Mode connection and keep it until it ends."""
        app = self.app()
        refused = "link_disabled" if not app.socket_mode else ""
        if len(self.connections) >= CONNECTIONS_AT_MOST:
            refused = "too_many_websockets"
        if refused:
            await socket.send_str(_words({"type": "disconnect", "reason": refused, "debug_info": {"host": "sandbox"}}))
            await socket.close()
            return
        connection = Connection(socket)
        self.connections.append(connection)
        try:
            hello = {
                "type": "hello",
                "num_connections": len(self.connections),
                "connection_info": {"app_id": app.app_id},
                "debug_info": {"host": "sandbox", "build_number": 1, "approximate_connection_time": 18060},
            }
            await socket.send_str(_words(hello))
            self.counted(len(self.connections))
            await connection.serve()
        finally:
            self.connections.remove(connection)
            connection.close()
            self.counted(len(self.connections))

    async def disconnect(self, reason: str = "refresh_requested") -> int:
        """Ask every connection to leave and close it a moment later. Returns how many there were."""
        told = [connection for connection in self.connections if not connection.leaving]
        for connection in told:
            connection.leaving = True
            await connection.socket.send_str(_words({"type": "disconnect", "reason": reason, "debug_info": {}}))
            self.run(self._close_later(connection))
        return len(told)

    async def drop(self) -> None:
        """Cut every connection without a word."""
        for connection in tuple(self.connections):
            await connection.socket.close(code=1011)

    async def _close_later(self, connection: Connection) -> None:
        await asyncio.sleep(self.settings().disconnect_seconds)
        await connection.socket.close()

    async def _deliver(self, envelope: Json, retry: int, reason: str) -> None:
        settings = self.settings()
        if settings.event_shuffle:
            await asyncio.sleep(random.uniform(0, settings.event_shuffle))  # noqa: S311
        waits = RETRY_WAITS + (HOURLY if settings.delayed_events else ())
        tried: list[Connection] = []
        for number in range(retry, len(waits)):
            if number > retry:
                await asyncio.sleep(waits[number] * self.settings().retry_scale)
            await self.held()
            answer = await self._try_event(envelope, number, reason, tried)
            self._note("event", envelope, answer, number, envelope["event"]["type"])
            if answer.ok or answer.no_retry:
                return
            reason = answer.reason

    async def _try_event(self, envelope: Json, number: int, reason: str, tried: list[Connection]) -> Answer:
        app = self.app()
        if app.socket_mode:
            answer = await self._push("events_api", envelope, tried, retry=number, reason=reason)
            # With nobody connected Slack has nowhere to keep it: slackapi/bolt-python#1071.
            return Answer(reason="lost", no_retry=True) if answer.reason == "lost" else answer
        if not app.events_url:
            return Answer(reason="no events_url", no_retry=True)
        if not await self.verify(app.events_url):
            return Answer(reason="unverified_url")
        headers = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason} if number else {}
        return await self._post(app.events_url, orjson.dumps(envelope), "application/json", headers)

    async def _push(
        self,
        kind: str,
        payload: Json,
        tried: list[Connection],
        *,
        accepts: bool = False,
        retry: int = 0,
        reason: str = "",
    ) -> Answer:
        staying = [each for each in self.connections if not each.leaving] or self.connections
        free = [each for each in staying if each not in tried] or staying
        if not free:
            return Answer(reason="lost")
        connection = random.choice(free)  # noqa: S311
        tried.append(connection)
        envelope = str(uuid.uuid4())
        sent = {"envelope_id": envelope, "type": kind, "payload": payload, "accepts_response_payload": accepts}
        if kind == "events_api":
            sent |= {"retry_attempt": retry, "retry_reason": reason}
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        connection.unanswered[envelope] = future
        started = time.monotonic()
        try:
            await connection.socket.send_str(_words(sent))
            body = await asyncio.wait_for(future, self.settings().answer_seconds)
        except TimeoutError:
            return Answer(reason="timeout", milliseconds=_since(started))
        except (ConnectionError, aiohttp.ClientError):
            return Answer(reason="connection_failed", milliseconds=_since(started))
        finally:
            connection.unanswered.pop(envelope, None)
        return Answer(status=200, body="" if body is None else body, milliseconds=_since(started))

    async def _post(self, url: str, body: bytes, content_type: str, headers: dict[str, str]) -> Answer:
        if not url:
            return Answer(reason="no url")
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100))
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.settings().answer_seconds):
                for _ in range(REDIRECTS_AT_MOST + 1):
                    sent = {"Content-Type": content_type, **self._signed(body), **headers}
                    async with self._session.post(url, data=body, headers=sent, allow_redirects=False) as response:
                        if response.status in {301, 302, 307, 308} and "Location" in response.headers:
                            url = urljoin(url, response.headers["Location"])
                            continue
                        read = await response.read()
                        return Answer(
                            status=response.status,
                            body=_read(read),
                            milliseconds=_since(started),
                            reason="" if response.status < 300 else "http_error",
                            no_retry=response.headers.get("X-Slack-No-Retry") == "1",
                        )
                return Answer(reason="too_many_redirects", milliseconds=_since(started))
        except TimeoutError:
            reason = "http_timeout"
        except aiohttp.ClientSSLError:
            reason = "ssl_error"
        except (aiohttp.ClientConnectionError, ConnectionError):
            reason = "connection_failed"
        except aiohttp.ClientError:
            reason = "unknown_error"
        return Answer(reason=reason, milliseconds=_since(started))

    def _signed(self, body: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))
        base = b"v0:" + stamp.encode() + b":" + body
        signature = hmac.new(self.app().signing_secret.encode(), base, hashlib.sha256).hexdigest()
        return {
            "User-Agent": "Slackbot 1.0 (sandbox)",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={signature}",
        }

    def _note(self, kind: str, body: Json, answer: Answer, retry: int, what: str) -> None:
        event_id = body.get("event_id", "")
        told = answer.json()
        told["answer"] = told.pop("body", None)
        self.record({"kind": kind, "what": what, "event_id": event_id, "retry": retry, **told, "body": body})


def _words(value: Json) -> str:
    return orjson.dumps(value).decode()


def _since(started: float) -> float:
    return (time.monotonic() - started) * 1000


def _read(body: bytes) -> Any:
    text = body.decode("utf-8", "replace")
    try:
        return orjson.loads(body) if body else ""
    except orjson.JSONDecodeError:
        return text
