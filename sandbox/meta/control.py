"""The control side over HTTP: play the customers, bend the rules, and look at what happened.

Rule: every route is one action of `World`. What is wrong is said as `{"error": …}` with 400 or 404.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from sandbox.meta.values import ApiError, Json
from sandbox.meta.world import World

MAX_BODY = 160 << 20  # a document in base64
SHOWN = (
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "audio/",
    "video/",
)  # SVG and HTML run scripts
DEEDS = (
    "say",
    "send",
    "press",
    "pick",
    "start",
    "refer",
    "opt_in",
    "react",
    "edit",
    "unsend",
    "read",
    "share_location",
    "share_contact",
    "order",
    "fill_form",
    "send_unsupported",
    "come_from_ad",
    "share",
    "thumbs_up",
    "mention_in_story",
    "reply_to_story",
    "expire_media",
    "change_number",
    "adopt_username",
    "block",
    "switch_phone",
    "write_from_phone_app",
    "write_from_page_inbox",
    "standby",
    "test_button",
    "expire_token",
    "unsubscribe",
    "fail_next",
    "change_template",
    "raw",
    "repeat",
    "hold",
    "release",
    "reset",
)

Deed = Callable[[Json], Awaitable[Any]]


def control_routes(world: World) -> list[web.RouteDef]:
    """List the control routes of one world."""
    side = _Control(world)
    deeds: dict[str, Deed] = {
        **{name: _action(world, name) for name in DEEDS},
        "numbers": side.added(world.add_number),
        "pages": side.added(world.add_page),
        "instagrams": side.added(world.add_instagram),
        "people": side.people,
        "templates": side.templates,
        "subscribe": side.subscribe,
        "settings": world.settle,
        "trouble": side.trouble,
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


def _action(world: World, name: str) -> Deed:
    async def act(body: Json) -> Any:
        done = await getattr(world, name)(**body)
        return {"id": done} if isinstance(done, str) else done

    return act


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
            return _answer({"error": error.message}, 400)
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

    def added(self, add: Callable[..., Any]) -> Deed:
        async def act(body: Json) -> Json:
            line = add(**body)
            return {"id": line.id, "kind": line.kind.value}

        return act

    async def people(self, body: Json) -> Json:
        person = self._world.add_person(**body)
        return {"key": person.key, "bsuid": person.bsuid, "scoped": person.scoped}

    async def templates(self, body: Json) -> None:
        self._world.add_template(**body)

    async def subscribe(self, body: Json) -> None:
        self._world.subscribe(**body)

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
        file = self._world.shelf.files.get(request.match_info["id"])
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
    """Give the file of a message the URL it has under this prefix."""
    message = record.get("message")
    if not base or not isinstance(message, dict) or not message.get("file"):
        return record
    file = {**message["file"], "url": base + message["file"]["url"]}
    return {**record, "message": {**message, "file": file}}
