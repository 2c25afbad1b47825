"""The control side over HTTP: play the customers, bend the rules, and look at what happened.

Rule: every route is one action of `World`. What is wrong is said as `{"error": …}` with 400 or 404.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from sandbox.telegram.records import Json
from sandbox.x.values import ApiError
from sandbox.x.world import World

MAX_BODY = 64 << 20  # a file in base64
SHOWN = (
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "audio/",
    "video/",
)  # never SVG or HTML: they run scripts

Deed = Callable[[Json], Awaitable[Any]]


def control_routes(world: World) -> list[web.RouteDef]:
    """List the control routes of one world."""
    side = _Control(world)
    deeds: dict[str, Deed] = {
        "app": side.app,
        "lines": side.lines,
        "people": side.people,
        "grant": side.grant,
        "say": lambda body: _named(world.say(**body)),
        "press": lambda body: _named(world.press(**body)),
        "encrypt": lambda body: _named(world.encrypt(**body)),
        "elsewhere": lambda body: _named(world.elsewhere(**body)),
        "read": lambda body: _named(world.read(**body)),
        "typing": lambda body: _named(world.typing(**body)),
        "block": lambda body: _named(world.block(**body)),
        "unblock": lambda body: _named(world.unblock(**body)),
        "suspend": lambda body: _named(world.suspend(**body)),
        "unsend": lambda body: _named(world.unsend(**body)),
        "revoke": lambda body: _named(world.revoke(**body)),
        "raw": lambda body: world.raw(**body),
        "repeat": lambda body: world.repeat(**body),
        "hold": lambda body: world.hold(**body),
        "release": lambda body: world.release(**body),
        "check": lambda body: world.check(**body),
        "trick": lambda body: world.trick(**body),
        "settings": world.settle,
        "trouble": side.trouble,
        "reset": lambda body: world.reset(**body),
    }
    return [
        *(web.post(f"/control/{name}", _deed(act)) for name, act in deeds.items()),
        web.delete("/control/trouble", side.calm),
        web.get("/control/trouble", side.troubles),
        web.get("/control/state", side.state),
        web.get("/control/calls", side.calls),
        web.get("/control/attempts", side.attempts),
        web.get("/control/stream", side.stream),
        web.get("/control/files/{id}", side.file),
    ]


def _deed(act: Deed) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        raw = await request.clone(client_max_size=MAX_BODY).read()
        try:
            body = orjson.loads(raw) if raw else {}
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            result = await act(body)
        except KeyError as error:
            return _answer({"error": str(error.args[0])}, 404)
        except ApiError as error:
            return _answer({"error": str(error)}, 400)
        except (ValueError, TypeError) as error:
            return _answer({"error": str(error)}, 400)
        return _answer({"ok": True} if result is None else result)

    return handle


async def _named(made: Awaitable[str]) -> Json:
    return {"id": await made}


def _answer(body: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def _base(request: web.Request) -> str:
    """The prefix the emulator is mounted under."""
    return request.path.partition("/control/")[0]


def _since(request: web.Request) -> int:
    since = request.query.get("since", "0")
    return int(since) if since.isdigit() else 0


class _Control:
    def __init__(self, world: World) -> None:
        self._world = world

    async def app(self, body: Json) -> Json:
        app = self._world.add_app(**body)
        return {"id": app.id, "name": app.name, "consumer_key": app.consumer_key, "client_id": app.client_id}

    async def lines(self, body: Json) -> Json:
        account = self._world.add_line(**body)
        return {"id": account.id, "name": account.name, "username": account.username}

    async def people(self, body: Json) -> Json:
        account = self._world.add_person(**body)
        return {"id": account.id, "name": account.name, "username": account.username}

    async def grant(self, body: Json) -> Json:
        return self._world.grant(**body)

    async def trouble(self, body: Json) -> None:
        rules = body.get("rules")
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise ValueError("rules must be a list of objects")
        self._world.troubles.add(rules)

    async def calm(self, request: web.Request) -> web.Response:
        self._world.troubles.clear()
        return _answer({"ok": True})

    async def troubles(self, request: web.Request) -> web.Response:
        return _answer({"rules": self._world.troubles.plain()})

    async def state(self, request: web.Request) -> web.Response:
        return _answer(self._world.state(_base(request)))

    async def calls(self, request: web.Request) -> web.Response:
        method = request.query.get("method", "")
        return _answer({"calls": self._world.journal.calls(_since(request), method)})

    async def attempts(self, request: web.Request) -> web.Response:
        return _answer({"attempts": self._world.journal.attempts(_since(request))})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        base = _base(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        async with contextlib.aclosing(self._world.journal.listen()) as records:
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                # The first line tells the watcher that nothing from now on is missed.
                await response.write(b": listening\n\n")
                async for record in records:
                    await response.write(b"data: " + orjson.dumps(_placed(record, base)) + b"\n\n")
        return response

    async def file(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        file = self._world.media.get(wanted)
        if file is None:
            return _answer({"error": "no such file"}, 404)
        shown = file.media_type.startswith(SHOWN)
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Content-Disposition": "inline" if shown else "attachment",
        }
        media_type = file.media_type if shown else "application/octet-stream"
        return web.Response(body=file.data, headers={**headers, "Content-Type": media_type})


def _placed(record: Json, base: str) -> Json:
    """Give the file of an entry the URL it has under this prefix."""
    entry = record.get("entry")
    if not base or not isinstance(entry, dict) or not entry.get("file"):
        return record
    file = {**entry["file"], "url": base + entry["file"]["url"]}
    return {**record, "entry": {**entry, "file": file}}
