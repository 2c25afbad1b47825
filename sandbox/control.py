"""The control side of an emulator over HTTP, as far as it is the same for all of them.

Rule: what is asked for wrongly is said as `{"error": …}`: 404 for what is not there, 400 for the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson
from aiohttp import web

from sandbox.journal import Journal, Json
from sandbox.trouble import Troubles

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
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Kept(Protocol):
    """A file an emulator keeps."""

    @property
    def media_type(self) -> str: ...
    @property
    def data(self) -> bytes: ...


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json", headers=headers or {})


def mounted(request: web.Request) -> str:
    """Tell the prefix the emulator is mounted under, empty at the root."""
    return request.path.partition("/control/")[0]


def deed_routes(
    deeds: Mapping[str, Deed], *, limit: int = MAX_BODY, refusals: tuple[type[Exception], ...] = ()
) -> list[web.RouteDef]:
    """List a POST route for each deed. `limit` is of a body, in bytes; `refusals` are answered with 400."""
    return [web.post(f"/control/{name}", _deed(act, limit, refusals)) for name, act in deeds.items()]


def trouble_routes(troubles: Troubles) -> list[web.RouteDef]:
    """List the routes that make the rules of misbehaviour, show them and lift them."""

    async def add(body: Json) -> None:
        rules = body.get("rules")
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise ValueError("rules must be a list of objects")
        troubles.add(rules)

    async def show(_: web.Request) -> web.Response:
        return answer({"rules": troubles.plain()})

    async def clear(_: web.Request) -> web.Response:
        troubles.clear()
        return answer({"ok": True})

    return [
        *deed_routes({"trouble": add}),
        web.delete("/control/trouble", clear),
        web.get("/control/trouble", show),
    ]


def look_routes(
    state: Callable[[str], Any], journal: Journal, part: str, find: Callable[[str], Kept | None]
) -> list[web.RouteDef]:
    """List the routes that show what there is and what happened; `part` as in `stream_route`.

    `find` looks a file up by its id.
    """

    async def file(request: web.Request) -> web.Response:
        found = find(request.match_info["id"])
        return answer({"error": "no such file"}, 404) if found is None else _handed(found)

    return [
        state_route(state),
        calls_route(journal),
        _attempts_route(journal),
        stream_route(journal, part),
        web.get("/control/files/{id}", file),
    ]


def state_route(state: Callable[[str], Any]) -> web.RouteDef:
    """Route to the whole state; `state` takes the prefix the emulator is mounted under."""

    async def show(request: web.Request) -> web.Response:
        return answer(state(mounted(request)))

    return web.get("/control/state", show)


def calls_route(journal: Journal) -> web.RouteDef:
    """Route to the calls there were: `?since=` a record's number, `&method=` a call's name."""

    async def show(request: web.Request) -> web.Response:
        return answer({"calls": journal.calls(_since(request), request.query.get("method", ""))})

    return web.get("/control/calls", show)


def stream_route(journal: Journal, part: str = "") -> web.RouteDef:
    """Route to the stream of all records. `part` is the key of what shows files: one object or a list of them."""

    async def stream(request: web.Request) -> web.StreamResponse:
        base = mounted(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        async with contextlib.aclosing(journal.listen()) as records:
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                # The first line tells the watcher that nothing from now on is missed.
                await response.write(b": listening\n\n")
                async for record in records:
                    await response.write(b"data: " + orjson.dumps(_placed(record, part, base)) + b"\n\n")
        return response

    return web.get("/control/stream", stream)


def _attempts_route(journal: Journal) -> web.RouteDef:
    """Route to the webhook attempts there were: `?since=` a record's number."""

    async def show(request: web.Request) -> web.Response:
        return answer({"attempts": journal.attempts(_since(request))})

    return web.get("/control/attempts", show)


def _deed(act: Deed, limit: int, refusals: tuple[type[Exception], ...]) -> Handle:
    wrong: tuple[type[Exception], ...] = (ValueError, TypeError, *refusals)

    async def handle(request: web.Request) -> web.StreamResponse:
        raw = await request.clone(client_max_size=limit).read()
        try:
            body = orjson.loads(raw) if raw else {}
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            result = await act(body)
        except KeyError as error:
            return answer({"error": str(error.args[0])}, 404)
        except wrong as error:
            return answer({"error": str(error)}, 400)
        return answer({"ok": True} if result is None else result)

    return handle


def _handed(file: Kept) -> web.Response:
    """Hand out a file so that nothing in it runs: shown when that is safe, a download otherwise."""
    shown = file.media_type.startswith(SHOWN)
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Disposition": "inline" if shown else "attachment",
        "Content-Type": file.media_type if shown else "application/octet-stream",
    }
    return web.Response(body=file.data, headers=headers)


def _since(request: web.Request) -> int:
    since = request.query.get("since", "0")
    return int(since) if since.isdigit() else 0


def _placed(record: Json, part: str, base: str) -> Json:
    """Give the files a record shows the URL they have under this prefix."""
    told = record.get(part)
    if not base or not told:
        return record
    if isinstance(told, list):
        return {**record, part: [_with_url(one, base) for one in told]}
    return {**record, part: _with_url(told, base)} if isinstance(told, dict) else record


def _with_url(shown: Json, base: str) -> Json:
    file = shown.get("file")
    return {**shown, "file": {**file, "url": base + file["url"]}} if file else shown
