"""The emulator over HTTP: `/bot{token}/{method}` and files for bots, `/control/…` for whoever plays the customers.

Rule: nothing is decided here. Requests are read, passed on, recorded and answered.
"""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from sandbox.control import answer as json_answer
from sandbox.journal import Json
from sandbox.posted import posted
from sandbox.telegram.call import Call, Upload
from sandbox.telegram.control import control_routes
from sandbox.telegram.methods import canonical, perform
from sandbox.telegram.values import ApiError, Bot, too_many
from sandbox.telegram.world import World
from sandbox.trouble import Action, Trouble

MAX_BODY = 64 << 20  # an upload of 50 MB and its form around it

SAID = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    404: "Not Found",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}

WORLD = web.AppKey("world", World)


def application(world: World | None = None) -> web.Application:
    """Make the emulator, to run at the root or as a sub-application under any prefix.

    A large upload is let in by the emulator itself, whatever the outer application's `client_max_size` is.
    """
    world = world or World()
    app = web.Application(client_max_size=MAX_BODY)
    app[WORLD] = world

    async def answer_call(bot: Bot, method: str, values: Json) -> object:
        return await _answer(Call(world=world, bot=bot, values=values, uploads={}), canonical(method))

    world.answer_call = answer_call
    app.router.add_route("*", "/bot{token:[^/]+}/{method}", _call)
    app.router.add_get("/file/bot{token:[^/]+}/{path:.+}", _download)
    app.add_routes(control_routes(world))

    async def close(_: web.Application) -> None:
        await world.close()

    app.on_shutdown.append(close)
    return app


def _refused(error: ApiError) -> web.Response:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return json_answer(error.plain(), error.code, headers)


async def _answer(call: Call, method: str) -> web.Response:
    """Make a call, record it with its answer, and put the answer into a response."""
    started = time.monotonic()
    try:
        result, description = await perform(call, method)
    except ApiError as error:
        response, answer = _refused(error), error.plain()
    else:
        answer = {"ok": True, "result": result} | ({"description": description} if description else {})
        response = json_answer(answer)
    # An idle long poll says nothing, and would crowd out what does.
    if not (method == "getUpdates" and answer.get("result") == []):
        _record(call, method, response.status, answer, started)
    return response


def _record(call: Call, method: str, status: int | None, answer: Any, started: float, trouble: str = "") -> None:
    hidden = {"secret_token": "***"}
    files = [
        {"field": name, "name": upload.name, "media_type": upload.media_type, "size": len(upload.data)}
        for name, upload in call.uploads.items()
    ]
    call.world.tell(
        "call",
        {
            "bot": call.bot.id,
            "method": method,
            "params": {name: hidden.get(name, value) for name, value in call.values.items()},
            "files": files,
            "status": status,
            "answer": answer,
            "milliseconds": round((time.monotonic() - started) * 1000, 1),
            "trouble": trouble,
        },
    )


async def _call(request: web.Request) -> web.StreamResponse:
    world = request.app[WORLD]
    token, method = request.match_info["token"], canonical(request.match_info["method"])
    number, _, secret = token.partition(":")
    if not number.isdigit() or not secret:
        return _refused(ApiError(404, "Not Found"))
    bot = world.bots.get(token)
    if bot is None:
        return _refused(ApiError(401, "Unauthorized"))
    try:
        values, uploads = await posted(request, MAX_BODY, Upload)
    except web.HTTPRequestEntityTooLarge:
        return _refused(ApiError(413, "Request Entity Too Large"))
    except ValueError:
        return _refused(ApiError(400, "Bad Request: can't parse request body"))
    call = Call(world=world, bot=bot, values=values, uploads=uploads)
    return await _spoiled(world, method, request, call)


async def _spoiled(world: World, method: str, request: web.Request, call: Call) -> web.StreamResponse:
    """Make a call as the troubles in force let it."""
    started, done = time.monotonic(), False

    async def effect() -> web.StreamResponse:
        nonlocal done
        done = True
        return await _answer(call, method)

    response = await world.troubles.around(method, request, effect, _words)
    if not done:
        lost = request.transport is None or request.transport.is_closing()
        _record(call, method, None if lost else response.status, None, started, "before it took effect")
    return response


def _words(rule: Trouble) -> web.Response:
    """Say a trouble in Telegram's words."""
    if rule.action is Action.RATELIMIT or rule.status == 429:
        return _refused(too_many(1 if rule.retry_after is None else rule.retry_after))
    return _refused(ApiError(rule.status, SAID.get(rule.status, "Error"), retry_after=rule.retry_after))


async def _download(request: web.Request) -> web.StreamResponse:
    world = request.app[WORLD]
    bot = world.bots.get(request.match_info["token"])
    if bot is None:
        return _refused(ApiError(401, "Unauthorized"))
    path = request.match_info["path"]
    file = next((file for file in world.files.values() if file.bot == bot.id and file.path == path), None)
    if file is None or file.path_until is None or file.path_until < world.now():
        return _refused(ApiError(404, "Not Found"))
    found = file

    async def effect() -> web.StreamResponse:
        return web.Response(body=found.data, content_type="application/octet-stream")

    return await world.troubles.around("download", request, effect, _words)
