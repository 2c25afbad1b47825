"""The emulator as an aiohttp application: Web API, files, response URLs, Socket Mode and the control side.

Rule: it may be mounted under any prefix; every link it hands out starts where the request came in.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import orjson
from aiohttp import web

from sandbox.slack import chat, control, conversations, modals, people, uploads
from sandbox.slack.calls import METHODS, Call
from sandbox.slack.refusal import Refusal
from sandbox.slack.world import World
from sandbox.trouble import Action, Trouble

Json = dict[str, Any]

WORLD = web.AppKey("slack_world", World)
BODY_AT_MOST = 96 * 1024 * 1024  # the largest file a sandbox takes, in base64
_LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body>Sign in to Slack</body></html>"
# Registered by importing; named here so that no tool takes the imports for unused.
_METHOD_MODULES = (chat, conversations, modals, people, uploads)


def application(world: World | None = None) -> web.Application:
    """Serve `world`, or a new one, at the root or under any prefix."""
    lived_in = world or World()
    site = Site(lived_in)
    app = web.Application(client_max_size=BODY_AT_MOST, middlewares=[control.in_words(lived_in)])
    app[WORLD] = lived_in
    app.add_routes(
        [
            web.route("*", "/api/{method}", site.api),
            web.post("/upload/v1/{ticket}", site.upload),
            web.get("/files-pri/{file}/{tail:.*}", site.download),
            web.post("/actions/{name:.+}", site.respond),
            web.get("/link/", site.link),
            *control.routes(lived_in),
        ]
    )

    async def end_streams(_: web.Application) -> None:
        await lived_in.close()

    app.on_shutdown.append(end_streams)
    return app


class Site:
    """The side of Slack that apps call."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def api(self, request: web.Request) -> web.StreamResponse:
        """Do one call of the Web API and record it, whatever came of it."""
        world, method = self.world, request.match_info["method"]
        world.learn_base(request.scheme, request.host, request.path.rpartition("/api/")[0])
        started = time.monotonic()
        arguments: Json = {}
        made: dict[str, Any] = {}

        async def effect() -> web.StreamResponse:
            status, headers = 200, self._headers(method)
            try:
                arguments.update(await _arguments(request))
                answer = await self._do(method, arguments)
            except Refusal as refusal:
                answer = refusal.json()
                if refusal.retry_after is not None:
                    status, headers["Retry-After"] = 429, str(refusal.retry_after)
            made["answer"], made["response"] = answer, _answer(answer, status, headers)
            response: web.Response = made["response"]
            return response

        response = await world.troubles.around(method, request, effect, _words)
        spoiled = response is not made.get("response")
        world.record_call(
            {
                "method": method,
                "arguments": {name: value for name, value in arguments.items() if name != "token"},
                "status": response.status,
                "answer": made.get("answer"),
                "spoiled": spoiled,
                "milliseconds": round((time.monotonic() - started) * 1000, 1),
            }
        )
        return response

    async def upload(self, request: web.Request) -> web.StreamResponse:
        async def effect() -> web.StreamResponse:
            try:
                file = uploads.receive(self.world, request.match_info["ticket"], await _uploaded(request))
            except Refusal as refusal:
                return web.Response(status=400, text=refusal.error)
            return web.Response(text=f"OK - {file.size}")

        return await self.world.troubles.around("upload", request, effect, _words)

    async def download(self, request: web.Request) -> web.StreamResponse:
        """The bytes of a file for the app's token; anybody else gets a page to sign in, with 200 like on Slack."""

        async def effect() -> web.StreamResponse:
            world = self.world
            file = world.files.get(request.match_info["file"].rpartition("-")[2])
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            known = token == world.app.bot_token and token not in world.revoked and "files:read" in world.app.scopes
            if not known or file is None or file.deleted or file.data is None or not uploads.sees(world, file):
                return web.Response(text=_LOGIN_PAGE, content_type="text/html")
            media_type = file.mimetype.partition(";")[0] or "application/octet-stream"
            return web.Response(body=file.data, content_type=media_type)

        return await self.world.troubles.around("download", request, effect, _words)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        async def effect() -> web.StreamResponse:
            try:
                body = orjson.loads(await request.read())
                chat.respond(self.world, request.match_info["name"], body if isinstance(body, dict) else {})
            except orjson.JSONDecodeError:
                return _answer({"ok": False, "error": "invalid_json"}, 400)
            except Refusal as refusal:
                return _answer(refusal.json(), 404 if refusal.error in {"used_url", "expired_url"} else 400)
            return web.Response(text="ok")

        return await self.world.troubles.around("response_url", request, effect, _words)

    async def link(self, request: web.Request) -> web.StreamResponse:
        """A Socket Mode connection, with a ticket of apps.connections.open that is good once and for 30 seconds."""
        until = self.world.socket_tickets.pop(request.query.get("ticket", ""), 0.0)
        if self.world.is_down or time.monotonic() > until:
            return web.Response(status=503 if self.world.is_down else 404)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self.world.deliveries_under_way.serve(socket)
        return socket

    async def _do(self, method: str, arguments: Json) -> Json:
        world = self.world
        known = METHODS.get(method)
        if known is None:
            raise Refusal("unknown_method", req_method=method)
        token = arguments.get("token") or ""
        kinds = {world.app.bot_token: "xoxb", world.app.app_token: "xapp"}
        if not token:
            raise Refusal("not_authed")
        if token in world.revoked:
            raise Refusal(world.revoked[token])
        if token not in kinds:
            raise Refusal("invalid_auth")
        if known.token and kinds[token] != known.token:
            raise Refusal("not_allowed_token_type")
        call = Call(world=world, method=method, arguments=arguments)
        if known.scopes:
            call.needs(*known.scopes)
        world.pace.call(method, world.settings, time.monotonic())
        return {"ok": True, **await known.work(call)}

    def _headers(self, method: str) -> dict[str, str]:
        known = METHODS.get(method)
        return {
            "X-OAuth-Scopes": ",".join(self.world.app.scopes),
            "X-Accepted-OAuth-Scopes": ",".join(known.scopes) if known else "",
            "X-Slack-Req-Id": secrets.token_hex(16),
        }


async def _arguments(request: web.Request) -> Json:
    """The arguments with the token among them. A JSON body cannot carry the token itself, as on Slack."""
    arguments: Json = dict(request.query)
    header = request.headers.get("Authorization", "")
    if request.content_type == "application/json":
        try:
            body = orjson.loads(await request.read() or b"{}")
        except orjson.JSONDecodeError:
            raise Refusal("invalid_json") from None
        if not isinstance(body, dict):
            raise Refusal("json_not_object")
        arguments |= {name: value for name, value in body.items() if name != "token"}
    elif request.can_read_body:
        form = await request.post()
        arguments |= {name: value for name, value in form.items() if isinstance(value, str)}
    if header.startswith("Bearer "):
        arguments["token"] = header.removeprefix("Bearer ").strip()
    return arguments


async def _uploaded(request: web.Request) -> bytes:
    if not request.content_type.startswith("multipart/"):
        return await request.read()
    for value in (await request.post()).values():
        if isinstance(value, web.FileField):
            return value.file.read()
    return b""


def _words(rule: Trouble) -> web.Response:
    if rule.action is Action.RATELIMIT:
        headers = {"Retry-After": str(1 if rule.retry_after is None else rule.retry_after)}
        return _answer({"ok": False, "error": "ratelimited"}, 429, headers)
    return _answer({"ok": False, "error": "internal_error"}, rule.status, {})


def _answer(body: Json, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers)
