"""The emulator over HTTP: Twilio's hosts under one address, and `/control/…` for whoever plays the customers.

Rule: nothing is decided here. Requests are let in, passed on, recorded and answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import orjson
from aiohttp import hdrs, web

from sandbox.journal import Json
from sandbox.trouble import Action, Trouble
from sandbox.twilio import messages, products
from sandbox.twilio.call import Call, opened, read
from sandbox.twilio.control import control_routes
from sandbox.twilio.errors import ApiError
from sandbox.twilio.world import World

MAX_BODY = 8 << 20
UNANSWERED = 0.05  # seconds until statuses of a call that hangs are reported although it has no answer yet

WORLD = web.AppKey("world", World)
Deed = Callable[[Call], Awaitable[web.Response]]

_OLD = "/2010-04-01/Accounts/{account}"
_MESSAGE = _OLD + "/Messages/{message:[^/.]+}"
_SERVICE = "/v1/Services/{service}"
_CONTENT = "/v1/Content/{content}"
# The names are what trouble rules match.
ROUTES: tuple[tuple[str, str, str, Deed], ...] = (
    ("GET", "/2010-04-01/Accounts/{account:[^/.]+}.json", "accounts.fetch", messages.account),
    ("POST", _OLD + "/Messages.json", "messages.create", messages.create),
    ("GET", _OLD + "/Messages.json", "messages.list", messages.listed),
    ("GET", _MESSAGE + ".json", "messages.fetch", messages.fetch),
    ("POST", _MESSAGE + ".json", "messages.update", messages.update),
    ("DELETE", _MESSAGE + ".json", "messages.delete", messages.delete),
    ("GET", _MESSAGE + "/Media.json", "media.list", messages.media_list),
    ("GET", _MESSAGE + "/Media/{media}", "media.fetch", messages.media),
    ("DELETE", _MESSAGE + "/Media/{media}", "media.delete", messages.media_delete),
    ("GET", _OLD + "/IncomingPhoneNumbers.json", "numbers.list", messages.numbers),
    ("GET", _OLD + "/IncomingPhoneNumbers/{number:[^/.]+}.json", "numbers.fetch", messages.number),
    ("POST", _OLD + "/IncomingPhoneNumbers/{number:[^/.]+}.json", "numbers.update", messages.number_update),
    ("GET", "/v1/Services", "services.list", products.services),
    ("GET", _SERVICE, "services.fetch", products.service),
    ("POST", _SERVICE, "services.update", products.service_update),
    ("GET", _SERVICE + "/PhoneNumbers", "services.numbers", products.service_numbers),
    ("GET", "/v2/Channels/Senders", "senders.list", products.senders),
    ("GET", "/v2/Channels/Senders/{sender}", "senders.fetch", products.sender),
    ("POST", "/v2/Channels/Senders/{sender}", "senders.update", products.sender_update),
    ("POST", "/{version:v2|v3}/Indicators/Typing.json", "typing", products.typing),
    ("GET", "/v1/Content", "content.list", products.templates),
    ("GET", "/v1/ContentAndApprovals", "content.approvals", products.templates_and_approvals),
    ("POST", "/v1/Content", "content.create", products.template_create),
    ("GET", _CONTENT, "content.fetch", products.template),
    ("DELETE", _CONTENT, "content.delete", products.template_delete),
    ("GET", _CONTENT + "/ApprovalRequests", "content.approval", products.approval),
    ("POST", _CONTENT + "/ApprovalRequests/whatsapp", "content.submit", products.approval_create),
    ("GET", "/v1/Alerts", "alerts.list", products.alerts),
)


def application(world: World | None = None) -> web.Application:
    """Make the emulator, to run at the root or as a sub-application under any prefix."""
    world = world or World()
    app = web.Application(client_max_size=MAX_BODY)
    app[WORLD] = world
    served = _Served(world)
    for method, path, name, deed in ROUTES:
        app.router.add_route(method, path, served.route(name, deed))
    app.router.add_get("/cdn/{key}", served.download)
    app.add_routes(control_routes(world))

    async def close(_: web.Application) -> None:
        await world.close()

    app.on_shutdown.append(close)
    return app


class _Served:
    def __init__(self, world: World) -> None:
        self._world = world
        self._under_way = 0

    def route(self, name: str, deed: Deed) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            self._under_way += 1
            try:
                return await self._answered(name, deed, request)
            finally:
                self._under_way -= 1

        return handle

    async def _answered(self, name: str, deed: Deed, request: web.Request) -> web.StreamResponse:
        world, started = self._world, time.monotonic()
        call: Call | None = None
        done = False

        async def effect() -> web.StreamResponse:
            nonlocal call, done
            done = True
            try:
                call = await self._read(request)
                response = await deed(call)
            except ApiError as error:
                response = refused(error, request)
            said = orjson.loads(response.body) if isinstance(response.body, bytes) and response.body else {}
            if call is not None and call.message is not None:
                await self._set_out(call, answered)
            self._record(name, request, call, response.status, said, started)
            return response

        answered = asyncio.Event()
        try:
            response = await world.troubles.around(name, request, effect, lambda rule: _words(rule, request))
            if not done:
                self._record(name, request, None, response.status, None, started, "before it took effect")
            response.headers["Twilio-Request-Id"] = world.ledger.sid("RQ")
            transport = request.transport
            if call is not None and call.message is not None and transport is not None and not transport.is_closing():
                # The statuses come after the answer, unless a setting says otherwise.
                await response.prepare(request)
                await response.write_eof()
            return response
        finally:
            answered.set()

    async def _set_out(self, call: Call, answered: asyncio.Event) -> None:
        """Carry the message a call has made: at once, or when the call has been answered."""
        world, message = self._world, call.message
        if message is None:
            return
        if world.settings.callback_first:
            await world.carrier.carry(message)
            if world.post.open:
                await world.post.delivered(message.sid)
            return

        async def carry() -> None:
            waiting = asyncio.ensure_future(answered.wait())
            await asyncio.wait({waiting}, timeout=UNANSWERED)
            waiting.cancel()
            await world.carrier.carry(message)

        world.ledger.spawn(carry())

    async def _read(self, request: web.Request) -> Call:
        ledger, limit = self._world.ledger, self._world.settings.concurrency
        if limit is not None and self._under_way > limit:
            raise ApiError(20429, retry_after=1)
        account, main = opened(ledger, request.headers.get(hdrs.AUTHORIZATION, ""))
        if account.status != "active" and request.method != "GET":
            raise ApiError(20005)
        form, body = await read(request)
        prefix, path = split(request)
        return Call(
            world=self._world,
            account=account,
            main=main,
            method=request.method,
            base=str(request.url.origin()) + prefix,
            path=path,
            match=request.match_info,
            query=request.query,
            form=form,
            json=body,
        )

    def _record(
        self,
        name: str,
        request: web.Request,
        call: Call | None,
        status: int | None,
        answer: Json | None,
        started: float,
        trouble: str = "",
    ) -> None:
        given: Json = dict(request.query)
        if call is not None:
            for key in call.form:
                values = call.form.getall(key)
                given[key] = values[0] if len(values) == 1 else values
            given |= call.json or {}
        lost = request.transport is None or request.transport.is_closing()
        facts: Json = {
            "method": name,
            "path": request.path,
            "account": call.account.sid if call else "",
            "params": given,
            "status": None if lost else status,
            "answer": {key: "***" if key == "auth_token" else value for key, value in (answer or {}).items()},
            "milliseconds": round((time.monotonic() - started) * 1000, 1),
            "trouble": trouble,
        }
        self._world.ledger.tell("call", facts)

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Hand a file out, as a store of files does: by a link that runs out, and to no one who brings credentials."""

        async def effect() -> web.StreamResponse:
            if hdrs.AUTHORIZATION in request.headers:
                words = "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>"
                return web.Response(status=400, text=words, content_type="application/xml")
            media = self._world.linked(request.match_info["key"])
            if media is None:
                words = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
                return web.Response(status=403, text=words, content_type="application/xml")
            return web.Response(body=media.data, headers={hdrs.CONTENT_TYPE: media.media_type})

        return await self._world.troubles.around("cdn", request, effect, lambda rule: _words(rule, request))


def split(request: web.Request) -> tuple[str, str]:
    """Part a path into the prefix the emulator is mounted under, and the path as Twilio has it."""
    for root in ("/2010-04-01/", "/v1/", "/v2/", "/v3/", "/cdn/", "/control/"):
        prefix, found, rest = request.path.partition(root)
        if found:
            return prefix, root + rest
    return "", request.path


def refused(error: ApiError, request: web.Request) -> web.Response:
    """Say a refusal: the newest API says it as RFC 9457 has it."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if split(request)[1].startswith("/v3/"):
        body, kind = error.problem(), "application/problem+json"
    else:
        body, kind = error.plain(), "application/json"
    return web.Response(status=error.status, body=orjson.dumps(body), content_type=kind, headers=headers)


def _words(rule: Trouble, request: web.Request) -> web.Response:
    """Say a trouble in Twilio's words."""
    if rule.action is Action.RATELIMIT or rule.status == HTTPStatus.TOO_MANY_REQUESTS:
        return refused(ApiError(20429, retry_after=rule.retry_after), request)
    code = {401: 20003, 404: 20404, 503: 20503}.get(rule.status, 20500)
    return refused(ApiError(code, status=rule.status, retry_after=rule.retry_after), request)
