"""The web chat's doors: loader, page, socket, files. `/chat/{channel}/…`.

Rule: a socket or an upload is taken only from pages of our own or of the shop's, and only from visitors who have shown
who they are; everything is counted against them and against where they come from.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import idna
import orjson
import structlog
from aiohttp import WSMsgType, web

from app import chat_page, contact_view
from app.chat_page import Look
from app.chat_socket import HEARTBEAT, SAYS, SAYS_NEAR, Hub, Line, Session, file_purpose
from app.chat_uploads import Uploads
from app.contact_form import spoken
from app.downloads import served
from app.limits import Buckets, client_address
from channels.errors import Malformed
from channels.webchat import adapter as webchat
from channels.webchat import visitors
from channels.webchat.adapter import Webchat
from channels.webchat.visitors import Expired, Unknown, Visitor
from inbox import figures
from inbox.files import Files
from inbox.intake import Intake
from inbox.store import chat, deliveries
from inbox.store.database import Database, away
from routing.hours import Hours
from routing.policy import Policy

HELLO = 10.0  # seconds in which a socket has to say who it is
SOCKETS = 60  # of one internet address at once; whole offices and mobile networks share one
CONNECTS = (60, timedelta(seconds=1))  # all of an office come back at once after a restart
USUAL = timedelta(minutes=10)  # for which a usual time is remembered
MONTH = timedelta(days=30)
TURNS = 6  # openings and closings a browser is told ahead
UNKNOWN_VISITOR = 4401  # close codes of our own; the widget knows them
TOO_MANY = 4429
SECOND = 1000  # milliseconds
FOREVER = "public, max-age=31536000, immutable"

log = structlog.get_logger()


class Chat:
    """The chats of all web chat channels in this process. `new_id` makes 22 random characters."""

    def __init__(
        self,
        channels: Mapping[str, Webchat],
        *,
        database: Database,
        intake: Intake,
        files: Files,
        policy: Callable[[], Policy],
        key: bytes,
        new_id: Callable[[], str],
        now: Callable[[], datetime],
        shop: Callable[[], datetime],
    ) -> None:
        self._channels = channels
        self._database = database
        self._intake = intake
        self._files = files
        self._policy = policy
        self._key = key
        self._new_id = new_id
        self._now = now
        self._shop = shop
        self._hub = Hub(database)
        self._sockets: Counter[str] = Counter()
        self._connects = Buckets(*CONNECTS)
        self._uploads = Uploads(database, files, key=key, now=now)
        self._says, self._says_near = Buckets(*SAYS), Buckets(*SAYS_NEAR)
        self._usual: dict[str, tuple[datetime, timedelta | None]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/chat/{channel}", self.page),
            web.get("/chat/{channel}/", self.bare),
            web.get("/chat/{channel}/widget.js", self.loader),
            web.get("/chat/{channel}/frame", self.frame),
            web.get("/chat/{channel}/asset/{version}/{name}", self.asset),
            web.get("/chat/{channel}/socket", self.socket),
            web.post("/chat/{channel}/files", self.upload),
            web.get("/chat/{channel}/files/{seal}", self.file),
        ]

    def attach(self, app: web.Application) -> None:
        """Become part of a web server: hear of changes while it runs, and close all sockets before it stops."""
        if not self._channels:
            return
        app.router.add_routes(self.routes())
        app.cleanup_ctx.append(self._hearing)
        app.on_shutdown.append(self._leave)

    async def _hearing(self, _: web.Application) -> AsyncIterator[None]:
        listening = asyncio.create_task(self._hub.listen(), name="chat")
        yield
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    async def _leave(self, _: web.Application) -> None:
        await self._hub.close()

    # --- pages

    async def loader(self, request: web.Request) -> web.Response:
        look = self._look(request)
        told = chat_page.loader(look, self._policy().languages[0])
        headers = {
            "Cache-Control": "public, max-age=300",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "X-Content-Type-Options": "nosniff",
        }
        return _small(web.Response(text=told, content_type="text/javascript", headers=headers))

    async def frame(self, request: web.Request) -> web.Response:
        return self._page(request, framed=True)

    async def bare(self, request: web.Request) -> web.Response:
        """The page with a slash behind it, as people write addresses."""
        look = self._look(request)
        raise web.HTTPFound(f"../{look.channel}" + (f"?{request.query_string}" if request.query_string else ""))

    async def page(self, request: web.Request) -> web.Response:
        return self._page(request, framed=False)

    def _page(self, request: web.Request, *, framed: bool) -> web.Response:
        look = self._look(request)
        otherwise = chat_page.language((), self._policy().languages[0])
        accepted = request.headers.get("Accept-Language", "")
        code = spoken(request.query.get("lang", ""), accepted, (otherwise, *chat_page.LANGUAGES))
        told = chat_page.page(look, code, framed=framed)
        headers = chat_page.headers(look, framed=framed)
        return _small(web.Response(text=told, content_type="text/html", headers=headers))

    async def asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in chat_page.ASSETS:
            raise web.HTTPNotFound
        headers = {"Cache-Control": FOREVER, "X-Content-Type-Options": "nosniff"}
        if request.match_info["version"] != chat_page.version():  # of a page older or newer than this process
            headers["Cache-Control"] = "no-cache"
        return _small(web.Response(text=chat_page.asset(name), content_type=chat_page.ASSETS[name], headers=headers))

    # --- the socket

    async def socket(self, request: web.Request) -> web.StreamResponse:
        channel = self._channel(request)
        self._own_page(request, channel)
        client = _client(request)
        if self._hub.closing:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=2 * webchat.MAX_FRAME, timeout=2)
        try:
            await socket.prepare(request)
        except ConnectionError:  # gone before we had answered
            return socket
        if self._sockets[client] >= SOCKETS or self._connects.take(client, self._now()):
            figures.REFUSED.labels("chat", "too_often").inc()
            await socket.close(code=TOO_MANY)
            return socket
        self._sockets[client] += 1
        try:
            await self._serve(socket, channel, client)
        except Exception as error:
            if not away(error):
                raise
            await socket.close(code=1013)  # try again later
        finally:
            self._sockets[client] -= 1
            self._sockets += Counter()  # drops what fell to nothing
        return socket

    async def _serve(self, socket: web.WebSocketResponse, channel: Webchat, client: str) -> None:
        try:
            async with asyncio.timeout(HELLO):
                first = await socket.receive()
            told = webchat.frame(first.data) if first.type is WSMsgType.TEXT else {}
            if told.get("type") != "hello":
                raise Malformed("The first frame is not a hello.")
            visitor = await self._unbound(channel, self._visitor(channel, told))
        except (TimeoutError, Malformed):
            await socket.close(code=1008)
            return
        except Unknown as error:
            figures.REFUSED.labels("chat", error.code).inc()
            await socket.send_str(orjson.dumps({"type": "unknown", "code": error.code}).decode())
            await socket.close(code=UNKNOWN_VISITOR)
            return
        language = told.get("language")
        session = Session(self._line(channel), socket, visitor, client, language if isinstance(language, str) else "")
        await session.run(
            {
                "type": "welcome",
                "token": visitors.browser_token(self._key, channel.name, visitor.browser),
                "ticket": session.ticket(),
                "me": visitors.mark(self._key, channel.name, visitor),
                "known": bool(visitor.account),
                "name": visitor.name,
            }
        )

    def _visitor(self, channel: Webchat, told: Mapping[str, Any]) -> Visitor:
        """Who says hello: by the shop's word, a ticket of this very page, the browser's token, or somebody new."""
        ticket, token, identity = (_text(told.get(key)) for key in ("ticket", "token", "identity"))
        ticketed = visitors.admitted(self._key, channel.name, ticket, self._now())
        browser = visitors.browser_in(self._key, channel.name, token) or (ticketed.browser if ticketed else "")
        browser = browser or self._new_id()
        if identity:
            try:
                return visitors.identified(channel.config.identity_secret, identity, browser, self._now())
            except Expired:
                if ticketed is None or not ticketed.account:
                    raise
        return ticketed or Visitor(browser=browser)

    async def _unbound(self, channel: Webchat, visitor: Visitor) -> Visitor:
        """The same visitor in a browser of their own: what was said in an account here is not the next one's to see."""
        async with self._database.connection() as c:
            taken = await chat.used_by_others(c, channel.name, visitor.browser, visitor.account)
        return replace(visitor, browser=self._new_id()) if taken else visitor

    def _line(self, channel: Webchat) -> Line:
        async def facts(language: str) -> Mapping[str, Any]:
            return await self._facts(channel.name, language)

        return Line(
            channel=channel.name,
            key=self._key,
            hub=self._hub,
            database=self._database,
            intake=self._intake,
            now=self._now,
            shop=self._shop,
            facts=facts,
            by_visitor=self._says,
            by_client=self._says_near,
        )

    async def _facts(self, channel: str, language: str) -> Mapping[str, Any]:
        """When somebody answers, and how soon they usually do."""
        policy, now = self._policy(), self._shop()
        team = policy.team(policy.team_for(language.partition("-")[0].lower(), ())[0])
        found: dict[str, Any] = {"now": int(now.timestamp() * SECOND)}
        if team.hours is not None:
            found |= {"open": team.hours.open_at(now), "turns": turns(team.hours, now), "zone": team.hours.zone.key}
            code = chat_page.language([language], policy.languages[0])
            found["place"] = contact_view.place(team.hours, now, code)
        known = self._usual.get(channel)
        if known is None or known[0] + USUAL < now or known[0] > now:
            self._usual[channel] = known = (now, known[1] if known else None)  # whoever comes meanwhile need not ask
            async with self._database.connection() as c:
                self._usual[channel] = known = (now, await chat.usual_answer(c, channel, now - MONTH))
        if known[1] is not None:
            found["usual"] = int(known[1].total_seconds())
        return found

    # --- files

    async def upload(self, request: web.Request) -> web.Response:
        channel = self._channel(request)
        self._own_page(request, channel)
        visitor = visitors.admitted(self._key, channel.name, request.headers.get("X-Santral-Ticket", ""), self._now())
        if visitor is None:
            raise web.HTTPUnauthorized
        return await self._uploads.take(request, channel.name, visitor, _client(request))

    async def file(self, request: web.Request) -> web.Response:
        channel = self._channel(request)
        found = visitors.opened(self._key, file_purpose(channel.name), request.match_info["seal"], self._now())
        if found is None:
            raise web.HTTPNotFound
        try:
            async with self._database.connection() as c:
                kept = await deliveries.file(c, found["id"])
        except Exception as error:
            if away(error):
                raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"}) from error
            raise
        if kept is None or kept.state != "kept":
            raise web.HTTPNotFound
        try:
            data = await self._files.read(kept.path)
        except FileNotFoundError:
            raise web.HTTPNotFound from None
        answer = served(data, kept.attachment.media_type, kept.attachment.filename)
        answer.headers["Cache-Control"] = "private, max-age=86400"
        return answer

    # --- who may

    def _channel(self, request: web.Request) -> Webchat:
        channel = self._channels.get(request.match_info["channel"])
        if channel is None:
            raise web.HTTPNotFound
        return channel

    def _look(self, request: web.Request) -> Look:
        channel = self._channel(request)
        config = channel.config
        return Look(
            channel=channel.name,
            title=config.title or self._policy().shop,
            color=config.color,
            side=config.side,
            origins=tuple(map(_origin, config.origins)),
            public_origin=_origin(config.public_url),
        )

    def _own_page(self, request: web.Request, channel: Webchat) -> None:
        """Refuse what no page of ours or the shop's has sent: browsers name the page, and pages cannot lie about it."""
        # Without a public_url Host is what we have: a page can set neither of the two in a visitor's browser.
        origin = request.headers.get("Origin", "").lower()
        ours = _origin(channel.config.public_url) or f"{request.scheme}://{request.host}".lower()
        if origin != ours and origin not in set(map(_origin, channel.config.origins)):
            figures.REFUSED.labels("chat", "origin").inc()
            raise web.HTTPForbidden


def turns(hours: Hours, now: datetime) -> Sequence[int]:
    """The next moments at which open and closed change, in milliseconds since 1970."""
    found: list[int] = []
    at, is_open = now, hours.open_at(now)
    while len(found) < TURNS:
        turn = hours.closes_after(at) if is_open else hours.opens_after(at)
        if turn is None:
            break
        found.append(int(turn.timestamp() * SECOND))
        at, is_open = turn, not is_open
    return found


def _small(answer: web.Response) -> web.Response:
    """Compressed where the browser takes it. Nothing secret is in these, so their length may be known."""
    answer.enable_compression()
    return answer


def _client(request: web.Request) -> str:
    return client_address(request.remote, request.headers.getall("X-Forwarded-For", ()))


def _origin(url: str) -> str:
    """Scheme, host and port of an address, as browsers write it: without the port that goes without saying."""
    if not url:
        return ""
    parts = urlsplit(url.lower())
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    if not host.isascii():
        with suppress(idna.IDNAError):  # then no browser has such an address either
            host = idna.encode(host, uts46=True).decode()
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port and parts.port != usual else "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
