"""The HTTP side: webhooks, Slack, health, figures. Nothing here is slow, and 2xx is answered after the commit only."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, cast

import orjson
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp

from app.chat import Chat
from app.contact import Contact
from app.downloads import Downloads
from channels.channel import Channel, Handshake, Reads, Request, Webhook
from channels.errors import Malformed, Retry
from channels.message import Event, Letter, Unreadable
from desk.events import Events
from inbox import figures
from inbox.intake import Away, Intake, Overloaded
from inbox.letters import Letters
from inbox.store.arrivals import collided
from inbox.store.database import away

MOST = 8 << 20  # bytes of a request, where a channel does not say that its provider sends larger ones
CONTENT = ("Content-Type", "Content-Encoding")  # the headers without which a body cannot be read again
DIGITS = 12  # of a time in seconds; Python refuses to read a number of thousands
SECONDS = 300.0  # how old a signed request of Slack's may be (docs.slack.dev, "Verifying requests from Slack")

log = structlog.get_logger()
Health = Callable[[], Awaitable[Mapping[str, bool]]]


class Web:
    """The aiohttp application. `accepting` turns False when Santral stops, so that balancers look elsewhere."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        intake: Intake,
        letters: Letters,
        *,
        public_url: str,
        health: Health,
        now: Callable[[], datetime],
        shop: Callable[[], datetime] | None = None,
        events: Events | None = None,
        signing_secret: str = "",
        bolt: AsyncApp | None = None,
        downloads: Downloads | None = None,
        chat: Chat | None = None,
        contact: Contact | None = None,
    ) -> None:
        # Looked up once: asking whether an object fits a protocol takes longer than reading a message does.
        self._webhooks = {name: channel for name, channel in channels.items() if isinstance(channel, Webhook)}
        self._channels = channels
        self._reading = {name for name, channel in channels.items() if isinstance(channel, Reads)}
        self._handshakes = {name: channel for name, channel in channels.items() if isinstance(channel, Handshake)}
        self._intake = intake
        self._letters = letters
        self._public_url = public_url.rstrip("/")
        self._health = health
        self._now = now
        self._shop = shop or now  # customers' phones go by it where it is turned
        self._events = events
        self._bolt = bolt
        self._signing_secret = signing_secret.encode()
        self._downloads = downloads
        self._chat = chat
        self._contact = contact
        self.accepting = True

    def application(self) -> web.Application:
        most = max((channel.capabilities.max_request for channel in self._channels.values()), default=MOST)
        app = web.Application(client_max_size=max(most, MOST), middlewares=[_words])
        app.router.add_post("/webhooks/{name}", self.webhook)
        app.router.add_get("/webhooks/{name}", self.handshake)
        app.router.add_get("/health/live", self.live)
        app.router.add_get("/health/ready", self.ready)
        app.router.add_get("/metrics", self.metrics)
        if self._downloads is not None:
            app.router.add_routes(self._downloads.routes())
        if self._chat is not None:
            self._chat.attach(app)
        if self._contact is not None:
            self._contact.attach(app)
        if self._signing_secret:
            app.router.add_post("/slack/events", self.slack_events)
            app.router.add_post("/slack/interactive", self.slack_interactive)
        return app

    async def webhook(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        channel = self._webhooks.get(name)
        if channel is None:
            raise web.HTTPNotFound
        body = await request.read()
        if len(body) > self._channels[name].capabilities.max_request:
            raise web.HTTPRequestEntityTooLarge(self._channels[name].capabilities.max_request, len(body))
        told = self._request(request, body)
        try:
            channel.verify(told)
        except Retry as error:
            return _later(error)
        except Exception as error:  # noqa: BLE001 - whatever a verifier stumbles over, the request is refused
            figures.REFUSED.labels(name, "unverified").inc()
            # Providers sign the address they called: where that is not the one we believe in, nothing else tells.
            log.info("webhook.refused", channel=name, error=type(error).__name__, url=told.url[:300])
            return self._answered(name, 401, "not signed by the provider\n")
        try:
            arrived = channel.parse(told, self._shop())
        except Malformed as error:
            headers = {header: request.headers[header] for header in CONTENT if header in request.headers}
            return await self._set_aside(name, body, str(error), headers)
        try:
            if name in self._reading:
                await self._letters.receive([event for event in arrived if isinstance(event, Letter)])
                await self._intake.receive([event for event in arrived if not isinstance(event, Letter)])
            else:
                await self._intake.receive(cast(Sequence[Event], arrived))
        except (Away, Overloaded) as error:
            return _later(error)
        return self._answered(name)

    async def handshake(self, request: web.Request) -> web.Response:
        channel = self._handshakes.get(request.match_info["name"])
        if channel is None:
            raise web.HTTPNotFound
        try:
            answer = channel.answer(self._request(request, b""))
        except Exception:  # noqa: BLE001 - as for webhooks
            figures.REFUSED.labels(request.match_info["name"], "handshake").inc()
            return web.Response(status=403)
        kind = self._channels[request.match_info["name"]].capabilities.handshake
        return web.Response(text=answer, content_type=kind)

    async def slack_events(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._signed(request, body):
            figures.REFUSED.labels("slack", "unverified").inc()
            return web.Response(status=401, text="not signed by Slack\n")
        try:
            envelope = orjson.loads(body)
            if not isinstance(envelope, dict):
                raise ValueError("not an object")
        except ValueError as error:
            return await self._set_aside("slack", body, str(error))
        if envelope.get("type") == "url_verification":
            return web.json_response({"challenge": envelope.get("challenge", "")})
        if self._events is not None:
            try:
                await self._events.receive(envelope)
            except Exception as error:  # noqa: BLE001 - whatever cannot be stored is kept for a person
                if away(error) or collided(error):
                    return _later(error)
                return await self._set_aside("slack", body, f"{type(error).__name__}: {error}")
        return web.Response()

    async def slack_interactive(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._signed(request, body):
            figures.REFUSED.labels("slack", "unverified").inc()
            return web.Response(status=401, text="not signed by Slack\n")
        if self._bolt is None:
            raise web.HTTPNotFound
        try:
            pressed = await to_bolt_request(request)
        except Exception as error:  # noqa: BLE001 - Bolt reads the body here and throws whatever it stumbles over
            return await self._set_aside("slack", body, type(error).__name__)
        return await to_aiohttp_response(await self._bolt.async_dispatch(pressed))

    async def live(self, _: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(self, _: web.Request) -> web.Response:
        parts = {**await self._health(), "accepting": self.accepting}
        ready = all(parts.values())
        return web.json_response({"ready": ready, **parts}, status=200 if ready else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _answered(self, name: str, status: int = 200, words: str = "") -> web.Response:
        """What a provider is answered. Where it would text our words to the customer, they are only ever its own."""
        channel = self._channels.get(name)
        body, content_type = channel.capabilities.answer if channel is not None else ("", "text/plain")
        return web.Response(status=status, text=body or words, content_type=content_type)

    async def _set_aside(
        self, name: str, body: bytes, detail: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> web.Response:
        """A provider sent what cannot be read: keep it, count it, and say so."""
        figures.QUARANTINED.labels(name).inc()
        try:
            await self._intake.quarantine(Unreadable(channel=name, reason="unreadable", raw=body), detail, headers)
        except Away as error:
            return _later(error)
        log.warning("webhook.quarantined", channel=name)
        return self._answered(name, 400, "unreadable; kept for a person to look at\n")

    def _signed(self, request: web.Request, body: bytes) -> bool:
        stamp = request.headers.get("X-Slack-Request-Timestamp", "")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= DIGITS):
            return False
        if abs(self._now().timestamp() - int(stamp)) > SECONDS:
            return False
        wanted = hmac.new(self._signing_secret, b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        given = request.headers.get("X-Slack-Signature", "")
        return hmac.compare_digest(f"v0={wanted}".encode(), given.encode("utf-8", "replace"))

    def _request(self, request: web.Request, body: bytes) -> Request:
        return Request(
            method=request.method,
            url=self._public_url + request.raw_path,
            headers=request.headers,  # finds a name in any case
            body=body,
            query=dict(request.query) if request.query_string else {},
        )


@web.middleware
async def _words(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
    """Count what is too large, and let no exception's words out."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        figures.REFUSED.labels(request.path.split("/")[1], "too_large").inc()
        return web.Response(status=413, text="too large\n")
    except web.HTTPException:
        raise
    except Exception as error:
        log.exception("web.failed", path=request.path, error=type(error).__name__)
        return web.Response(status=500, text="that failed here; it is logged\n")


def _later(error: Exception) -> web.Response:
    """Ask the provider to bring it again. Spread out, so that not everybody comes back in the same second."""
    log.warning("web.later", error=type(error).__name__)
    figures.REFUSED.labels("web", "later").inc()
    return web.Response(status=503, headers={"Retry-After": str(random.randint(2, 6))})  # noqa: S311
