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
from sandbox.twilio.world import World

MAX_BODY = 64 << 20  # several pictures in base64
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
        "accounts": side.accounts,
        "keys": side.keys,
        "promote": side.promote,
        "suspend": side.suspend,
        "lines": side.lines,
        "services": side.services,
        "templates": side.templates,
        "judge": side.judge,
        "people": side.people,
        "change": lambda body: world.change(**body),
        "say": lambda body: side.sent(world.say(**body)),
        "press": lambda body: side.sent(world.press(**body)),
        "opt_out": lambda body: side.sent(world.opt_out(**body)),
        "opt_in": lambda body: side.sent(world.opt_in(**body)),
        "elsewhere": lambda body: side.sent(world.elsewhere(**body)),
        "raw": lambda body: side.sent(world.raw(**body)),
        "read": lambda body: world.read(**body),
        "block": lambda body: world.block(**body),
        "unblock": lambda body: world.unblock(**body),
        "deliver": lambda body: world.deliver(**body),
        "fail": lambda body: world.fail(**body),
        "refuse": lambda body: world.refuse(**body),
        "repeat": lambda body: world.repeat(**body),
        "hold": lambda body: world.hold(**body),
        "release": lambda body: world.release(**body),
        "settings": world.settle,
        "trouble": side.trouble,
        "idle": lambda body: world.idle(**body),
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
        except (ValueError, TypeError) as error:
            return _answer({"error": str(error)}, 400)
        return _answer({"ok": True} if result is None else result)

    return handle


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

    async def sent(self, work: Awaitable[str]) -> Json:
        return {"id": await work}

    async def accounts(self, body: Json) -> Json:
        account = self._world.add_account(**body)
        return {"sid": account.sid, "auth_token": account.auth_token}

    async def keys(self, body: Json) -> Json:
        return {"sid": self._world.add_key(**body)}

    async def promote(self, body: Json) -> None:
        self._world.promote(**body)

    async def suspend(self, body: Json) -> None:
        self._world.suspend(**body)

    async def lines(self, body: Json) -> Json:
        line = self._world.add_line(**body)
        return {"address": line.address, "sid": line.sid}

    async def services(self, body: Json) -> Json:
        return {"sid": self._world.add_service(**body).sid}

    async def templates(self, body: Json) -> Json:
        return {"sid": self._world.add_template(**body).sid}

    async def judge(self, body: Json) -> None:
        self._world.judge(**body)

    async def people(self, body: Json) -> Json:
        return self._world.add_person(**body).plain()

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
        media = self._world.ledger.media.get(request.match_info["id"])
        if media is None:
            return _answer({"error": "no such file"}, 404)
        shown = media.media_type.startswith(SHOWN)
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Content-Disposition": "inline" if shown else "attachment",
            "Content-Type": media.media_type if shown else "application/octet-stream",
        }
        return web.Response(body=media.data, headers=headers)


def _placed(record: Json, base: str) -> Json:
    """Give the files of entries the URL they have under this prefix."""
    if not base or record["type"] != "entry":
        return record
    entries = [
        {**entry, "file": {**entry["file"], "url": base + entry["file"]["url"]}} if entry["file"] else entry
        for entry in record["entries"]
    ]
    return {**record, "entries": entries}
