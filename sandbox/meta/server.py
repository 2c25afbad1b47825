"""The emulator over HTTP: Graph at `/vNN.N/…` for the shop, media URLs, `/control/…` for whoever plays the customers.

Rule: nothing is decided here. Requests are read, passed on, recorded and answered.
"""

from __future__ import annotations

import asyncio
import re
import time

import orjson
from aiohttp import web

from sandbox.control import answer as json_answer
from sandbox.meta import graph, media
from sandbox.meta.call import Call, Upload
from sandbox.meta.control import control_routes
from sandbox.meta.values import ApiError, Json, Kind
from sandbox.meta.world import World
from sandbox.posted import posted
from sandbox.trouble import Action, Trouble

MAX_BODY = 128 << 20  # a document of 100 MB and its form around it
VERSION = re.compile(r"v\d+\.\d+")
UNANSWERED = 0.2  # seconds after which statuses do not wait for an answer that hangs
SECRETS = ("access_token", "appsecret_proof", "input_token", "verify_token")

WORLD = web.AppKey("world", World)


def application(world: World | None = None) -> web.Application:
    """Make the emulator, to run at the root or as a sub-application under any prefix.

    A large upload is let in by the emulator itself, whatever the outer application's `client_max_size` is.
    """
    world = world or World()
    app = web.Application(client_max_size=MAX_BODY)
    app[WORLD] = world
    app.add_routes(control_routes(world))
    app.router.add_get("/whatsapp_business/attachments/", _whatsapp_media)
    app.router.add_get("/cdn/{secret}/", _cdn)
    app.router.add_route("*", "/{path:.+}", _graph)

    async def close(_: web.Application) -> None:
        await world.close()

    app.on_shutdown.append(close)
    return app


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _graph(request: web.Request) -> web.StreamResponse:
    world = request.app[WORLD]
    path = [part for part in request.match_info["path"].split("/") if part]
    if not world.base:
        world.base = str(request.url.origin()) + request.path.removesuffix(request.match_info["path"]).rstrip("/")
    host = path.pop(0) if path and path[0] in graph.HOSTS else ""
    version = path.pop(0) if path and VERSION.fullmatch(path[0]) else ""
    try:
        values, uploads = await posted(request, MAX_BODY, Upload)
    except web.HTTPRequestEntityTooLarge:
        return json_answer(ApiError(1, "Request Entity Too Large").plain(), 413)
    except ValueError:
        return json_answer(ApiError(100, "(#100) The request body is not valid JSON").plain(), 400)
    bearer = _bearer(request)
    if "access_token" in request.query and path[:1] != ["refresh_access_token"]:
        world.note("an access token was sent in a URL, where logs keep it")
    call = Call(
        world=world,
        verb=request.method,
        path=tuple(path),
        values=values,
        uploads=uploads,
        bearer=bearer or str(values.get("access_token") or ""),
        host=host,
        version=version,
    )
    graph.resolve(call)
    return await _spoiled(call, request)


async def _spoiled(call: Call, request: web.Request) -> web.StreamResponse:
    """Make a call as the troubles in force let it, and let what follows from it follow."""
    world, name, started, done = call.world, graph.name(call), time.monotonic(), False
    answered = asyncio.Event()

    async def effect() -> web.StreamResponse:
        nonlocal done
        done = True
        response, answer = await _answer(call)
        _record(call, name, response.status, answer, started)
        if world.settings.callback_first:
            newest = world.post.newest
            await _follow(call)
            await world.post.tried(newest)
        else:
            world.later(_after(call, answered))
        return response

    def words(rule: Trouble) -> web.Response:
        return _words(call, rule)

    try:
        response = await world.troubles.around(name, request, effect, words)
        if not done:
            lost = request.transport is None or request.transport.is_closing()
            _record(call, name, None if lost else response.status, None, started, "before it took effect")
        elif request.transport is not None and not request.transport.is_closing():
            await response.prepare(request)
            await response.write_eof()
        return response
    finally:
        answered.set()


async def _after(call: Call, answered: asyncio.Event) -> None:
    """Go on once the caller has its answer, or plainly gets none."""
    try:
        await asyncio.wait_for(answered.wait(), UNANSWERED)
    except TimeoutError:
        call.world.tell("unanswered", {"path": "/".join(call.path)})
    await _follow(call)


async def _follow(call: Call) -> None:
    for step in call.after:
        await step()


async def _answer(call: Call) -> tuple[web.Response, Json]:
    try:
        answer = await graph.perform(call)
    except ApiError as error:
        refusal = error.plain(flat=call.world.settings.flat_error_data)
        return json_answer(refusal, error.status, _headers(call)), refusal
    return json_answer(answer, 200, _headers(call)), answer


def _headers(call: Call) -> dict[str, str]:
    """The version that answered, and how much of the limits is used up."""
    settings = call.world.settings
    headers = {"facebook-api-version": call.version or "v25.0"}
    if settings.usage:
        headers |= _usage(call, settings.usage, settings.regain_minutes)
    return headers


def _usage(call: Call, percent: int, minutes: int) -> dict[str, str]:
    """The usage headers; `minutes` until calls are let in again."""
    used = {"call_count": percent, "total_cputime": percent, "total_time": percent}
    kind = graph.name(call).partition(".")[0]
    business = {"type": kind if kind in set(Kind) else "pages", **used, "estimated_time_to_regain_access": minutes}
    account = call.path[0] if call.path else ""
    return {
        "X-App-Usage": orjson.dumps(used).decode(),
        "X-Business-Use-Case-Usage": orjson.dumps({account: [business]}).decode(),
    }


def _words(call: Call, rule: Trouble) -> web.Response:
    """Say a trouble in Meta's words."""
    if rule.action is Action.RATELIMIT or rule.status == 429:
        minutes = -(-(rule.retry_after or 60) // 60)
        status = 429 if rule.status == 429 else 400
        return json_answer(graph.throttled(call).plain(), status, _usage(call, 100, minutes))
    if rule.status == 401:
        return json_answer(ApiError(190, "Invalid OAuth access token - Cannot parse access token").plain(), 401)
    error = ApiError(2, "An unexpected error has occurred. Please retry your request later.", transient=True)
    headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
    return json_answer(error.plain(), rule.status, headers)


def _record(call: Call, name: str, status: int | None, answer: Json | None, started: float, trouble: str = "") -> None:
    files = [
        {"field": field, "name": one.name, "media_type": one.media_type, "size": len(one.data)}
        for field, one in call.uploads.items()
    ]
    params = {key: "***" if key in SECRETS else value for key, value in call.values.items()}
    call.world.tell(
        "call",
        {
            "method": name,
            "verb": call.verb,
            "path": "/" + "/".join(call.path),
            "version": call.version,
            "params": params,
            "files": files,
            "status": status,
            "answer": answer | {"access_token": "***"} if answer and "access_token" in answer else answer,
            "milliseconds": round((time.monotonic() - started) * 1000, 1),
            "trouble": trouble,
        },
    )


async def _whatsapp_media(request: web.Request) -> web.StreamResponse:
    world = request.app[WORLD]
    secret, agent = request.query.get("hash", ""), request.headers.get("User-Agent", "")

    async def effect() -> web.StreamResponse:
        return media.whatsapp_download(world, secret, _bearer(request), agent)

    return await world.troubles.around("download", request, effect, _bare)


async def _cdn(request: web.Request) -> web.StreamResponse:
    world = request.app[WORLD]

    async def effect() -> web.StreamResponse:
        return media.cdn_download(world, request.match_info["secret"], "Authorization" in request.headers)

    return await world.troubles.around("download", request, effect, _bare)


def _bare(rule: Trouble) -> web.Response:
    return web.Response(status=429 if rule.action is Action.RATELIMIT else rule.status)
