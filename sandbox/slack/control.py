"""The other side over HTTP: what tests and the demo page use to act as people and admins, and to see what happened.

Rule: JSON in and out. 404 for what is not there, 400 in words for what cannot be done.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import chain
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sandbox.slack import commands
from sandbox.slack.delivery import Answer
from sandbox.slack.refusal import Refusal
from sandbox.slack.state import state
from sandbox.slack.world import NotThere, World

Json = dict[str, Any]

WATCHED_AT_ONCE = 10_000  # changes a slow watcher may be behind before it is sent away
HEARTBEAT = 15.0  # seconds; keeps proxies from closing a quiet stream
_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "video/", "application/pdf", "text/plain")


def routes(world: World) -> list[web.RouteDef]:
    """The control side of `world`."""
    verbs: Mapping[str, Callable[..., Awaitable[Any]]] = {
        "reset": world.reset,
        "post": world.post,
        "edit": world.edit,
        "delete": world.delete,
        "touch": world.touch,
        "react": world.react,
        "unreact": world.unreact,
        "press": world.press,
        "shortcut": world.shortcut,
        "command": partial(commands.run, world),
        "presence": world.set_presence,
        "submit": world.submit,
        "dismiss": world.dismiss,
        "suggest": world.suggest,
        "home": world.open_home,
        "archive": world.archive,
        "kick": world.kick,
        "invite": world.invite,
        "lock_thread": world.lock_thread,
        "event": world.event,
        "repeat": world.repeat,
        "revoke": world.revoke,
        "disconnect": world.disconnect,
        "trouble": world.trouble,
        "down": world.down,
        "settle": world.settle,
    }

    async def act(request: web.Request) -> web.Response:
        verb = verbs.get(request.match_info["verb"])
        if verb is None:
            raise NotThere(f"there is no /control/{request.match_info['verb']}")
        arguments = await _body(request)
        if "files" in arguments:
            arguments["files"] = [_file(each) for each in arguments["files"]]
        try:
            inspect.signature(verb).bind(**arguments)
        except TypeError as error:
            raise ValueError(str(error)) from None
        return _answer(_told(await verb(**arguments)))

    async def set_up(request: web.Request) -> web.Response:
        return _answer(await world.set_up(await _body(request)))

    async def settings(request: web.Request) -> web.Response:
        world.change_settings(await _body(request))
        return _answer({"ok": True})

    async def clear(_: web.Request) -> web.Response:
        world.troubles.clear()
        return _answer({"ok": True})

    async def shown(request: web.Request) -> web.Response:
        return _answer(state(world, request.path.removesuffix("/control/state")))

    async def calls(request: web.Request) -> web.Response:
        method, since = request.query.get("method"), _since(request.query.get("since"))
        kept = [each for each in world.calls if each["seq"] > since and method in {None, each["method"]}]
        return _answer({"calls": kept})

    async def deliveries(request: web.Request) -> web.Response:
        since = _since(request.query.get("since"))
        return _answer({"deliveries": [each for each in world.deliveries if each["seq"] > since]})

    async def stream(request: web.Request) -> web.StreamResponse:
        since = request.headers.get("Last-Event-ID") or request.query.get("since")
        first = world.seq if since is None else _since(since)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        await _stream(world, response, first)
        return response

    async def file(request: web.Request) -> web.Response:
        stored = world.files.get(request.match_info["id"])
        if stored is None or stored.data is None:
            raise NotThere("there is no such file")
        # What people upload is shown, never run: SVG and HTML could carry scripts.
        safe = stored.mimetype.startswith(_SHOWN)
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox",
            "Cache-Control": "private",
        }
        if not safe:
            headers["Content-Disposition"] = "attachment"
        media_type = stored.mimetype if safe else "application/octet-stream"
        return web.Response(body=stored.data, content_type=media_type.partition(";")[0], headers=headers)

    return [
        web.post("/control/workspace", set_up),
        web.post("/control/settings", settings),
        web.delete("/control/trouble", clear),
        web.get("/control/state", shown),
        web.get("/control/calls", calls),
        web.get("/control/deliveries", deliveries),
        web.get("/control/stream", stream),
        web.get("/control/files/{id}", file),
        web.post("/control/{verb}", act),
    ]


def in_words(world: World) -> Middleware:
    """Answer what cannot be done with 404 or 400 and the reason."""

    @web.middleware
    async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
        if "/control/" not in request.path:
            return await handler(request)
        if not world.base:  # the app's own address for us is better, but has not been seen yet
            world.learn_base(request.scheme, request.host, request.path.rpartition("/control/")[0])
        try:
            return await handler(request)
        except NotThere as error:
            return _answer({"ok": False, "error": str(error)}, 404)
        except Refusal as error:
            return _answer(error.json(), 400)
        except ValueError as error:
            return _answer({"ok": False, "error": str(error)}, 400)

    return told


async def _stream(world: World, response: web.StreamResponse, since: int) -> None:
    """Send what happened after `since`, then everything as it happens."""
    queue: asyncio.Queue[Json | None] = asyncio.Queue(WATCHED_AT_ONCE)
    world.watchers.add(queue)
    try:
        known = [each for each in chain(world.changes, world.calls, world.deliveries) if each["seq"] > since]
        for change in sorted(known, key=lambda each: each["seq"]):
            await response.write(_event(change))
            since = change["seq"]
        await response.write(b": ready\n\n")
        while True:
            try:
                change_or_end = await asyncio.wait_for(queue.get(), HEARTBEAT)
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            if change_or_end is None:
                return
            if change_or_end["seq"] > since:
                await response.write(_event(change_or_end))
    except ConnectionError:
        return
    finally:
        world.watchers.discard(queue)


def _event(change: Json) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (change["seq"], change["type"].encode(), orjson.dumps(change))


async def _body(request: web.Request) -> Json:
    raw = await request.read()
    try:
        body = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    return body


def _since(given: str | None) -> int:
    if given is not None and not given.isdecimal():
        raise ValueError("since must be a number")
    return int(given or 0)


def _file(given: Any) -> tuple[str, str, bytes]:
    try:
        data = base64.b64decode(given["data"], validate=True)
        return str(given["name"]), str(given["media_type"]), data
    except (KeyError, TypeError, binascii.Error):
        raise ValueError("a file needs name, media_type and data in base64") from None


def _told(result: Any) -> Json:
    match result:
        case Answer():
            return result.json()
        case {"event_id": event_id}:
            return {"ok": True, "event_id": event_id, "envelope": result}
        case {"ts": ts}:
            return {"ok": True, "ts": ts, "message": result}
        case int():
            return {"ok": True, "count": result}
        case _:
            return {"ok": True}


def _answer(body: Json, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json", status=status)
