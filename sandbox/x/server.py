"""The emulator over HTTP: the API for apps, `/control/…` for whoever plays the people.

Rule: nothing is decided here. Who calls is found, the call counted, passed on, recorded and answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.journal import Json
from sandbox.trouble import Action, Trouble
from sandbox.x import hooks, limits, messages, uploads
from sandbox.x.auth import basic
from sandbox.x.call import MAX_BODY, Call, Reply, read_body
from sandbox.x.control import control_routes
from sandbox.x.limits import Limit, too_many
from sandbox.x.values import ApiError, Token, problem
from sandbox.x.world import World

USER = frozenset({"oauth1", "oauth2"})
APP = frozenset({"app"})
ANY = USER | APP
READ = frozenset({"dm.read", "tweet.read", "users.read"})
WRITE = frozenset({"dm.write", "tweet.read", "users.read"})
UPLOAD = frozenset({"media.write"})
LOOK = frozenset({"users.read", "tweet.read"})
NONE: frozenset[str] = frozenset()

WORLD = web.AppKey("world", World)
Act = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`name` is what troubles and the record of calls know it by."""

    method: str
    path: str
    name: str
    allowed: frozenset[str]
    scopes: frozenset[str]
    limits: tuple[Limit, ...]
    act: Act


MEDIA = "/{dm_id}/{media_id}/{resource_id}"
ENDPOINTS = (
    Endpoint(
        "POST",
        "/2/dm_conversations/with/{participant_id}/messages",
        "messages.create",
        USER,
        WRITE,
        limits.SEND_DMS,
        messages.send_with,
    ),
    Endpoint(
        "POST",
        "/2/dm_conversations/{dm_conversation_id}/messages",
        "messages.create",
        USER,
        WRITE,
        limits.SEND_DMS,
        messages.send_in,
    ),
    # OAuth 1.0a is for the old address only: docs.x.com/x-api/direct-messages/media
    Endpoint(
        "GET",
        f"/2/dm_conversations/media{MEDIA}",
        "dm_media.get",
        frozenset({"oauth2"}),
        READ,
        limits.DM_MEDIA,
        messages.download,
    ),
    Endpoint(
        "GET",
        f"/1.1/ton/data/dm{MEDIA}",
        "dm_media.get",
        frozenset({"oauth1"}),
        NONE,
        limits.DM_MEDIA,
        messages.download,
    ),
    Endpoint("GET", "/2/dm_events", "dm_events.list", USER, READ, limits.READ_DMS, messages.list_all),
    Endpoint(
        "GET",
        "/2/dm_conversations/with/{participant_id}/dm_events",
        "dm_events.list",
        USER,
        READ,
        limits.READ_DMS,
        messages.list_with,
    ),
    Endpoint(
        "GET",
        "/2/dm_conversations/{id}/dm_events",
        "dm_events.list",
        USER,
        READ,
        limits.READ_DMS,
        messages.list_in,
    ),
    Endpoint("GET", "/2/dm_events/{event_id}", "dm_events.get", USER, READ, limits.READ_DMS, messages.look_up),
    Endpoint("DELETE", "/2/dm_events/{event_id}", "dm_events.delete", USER, WRITE, limits.DELETE_DMS, messages.delete),
    Endpoint("GET", "/2/users/me", "users.me", USER, LOOK, limits.ME, messages.me),
    Endpoint("GET", "/2/users/{id}", "users.get", ANY, LOOK, limits.USERS, messages.user_by_id),
    Endpoint("POST", "/2/media/upload", "media.upload", USER, UPLOAD, limits.MEDIA, uploads.upload),
    Endpoint("GET", "/2/media/upload", "media.status", USER, UPLOAD, limits.MEDIA, uploads.status),
    Endpoint("POST", "/2/media/upload/initialize", "media.initialize", USER, UPLOAD, limits.MEDIA, uploads.initialize),
    Endpoint("POST", "/2/media/upload/{id}/append", "media.append", USER, UPLOAD, limits.MEDIA, uploads.append),
    Endpoint("POST", "/2/media/upload/{id}/finalize", "media.finalize", USER, UPLOAD, limits.MEDIA, uploads.finalize),
    Endpoint("POST", "/2/webhooks", "webhooks.create", APP, NONE, limits.WEBHOOKS, hooks.create_webhook),
    Endpoint("GET", "/2/webhooks", "webhooks.list", APP, NONE, limits.WEBHOOKS, hooks.list_webhooks),
    Endpoint("POST", "/2/webhooks/replay", "webhooks.replay", APP, NONE, limits.REPLAYS, hooks.replay),
    Endpoint(
        "PUT", "/2/webhooks/{webhook_id}", "webhooks.validate", APP, NONE, limits.WEBHOOKS, hooks.validate_webhook
    ),
    Endpoint("DELETE", "/2/webhooks/{webhook_id}", "webhooks.delete", APP, NONE, limits.WEBHOOKS, hooks.delete_webhook),
    Endpoint(
        "POST", "/2/activity/subscriptions", "subscriptions.create", ANY, NONE, limits.SUBSCRIPTIONS, hooks.subscribe
    ),
    Endpoint(
        "GET",
        "/2/activity/subscriptions",
        "subscriptions.list",
        ANY,
        NONE,
        limits.SUBSCRIPTIONS,
        hooks.list_subscriptions,
    ),
    Endpoint(
        "DELETE",
        "/2/activity/subscriptions",
        "subscriptions.delete",
        APP,
        NONE,
        limits.SUBSCRIPTIONS,
        hooks.unsubscribe_many,
    ),
    Endpoint(
        "PUT",
        "/2/activity/subscriptions/{subscription_id}",
        "subscriptions.update",
        ANY,
        NONE,
        limits.SUBSCRIPTIONS,
        hooks.update_subscription,
    ),
    Endpoint(
        "DELETE",
        "/2/activity/subscriptions/{subscription_id}",
        "subscriptions.delete",
        ANY,
        NONE,
        limits.SUBSCRIPTIONS,
        hooks.unsubscribe,
    ),
)


def application(world: World | None = None) -> web.Application:
    """Make the emulator, to run at the root or as a sub-application under any prefix."""
    world = world or World()
    app = web.Application(client_max_size=MAX_BODY)
    app[WORLD] = world
    for endpoint in ENDPOINTS:
        app.router.add_route(endpoint.method, endpoint.path, _handler(endpoint))
    app.router.add_post("/2/oauth2/token", _refresh)
    app.router.add_post("/oauth2/token", _bearer)
    app.add_routes(control_routes(world))

    async def close(_: web.Application) -> None:
        await world.close()

    app.on_shutdown.append(close)
    return app


def _handler(endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await _spoiled(request, endpoint.name, lambda: _made(request, endpoint))

    return handle


async def _spoiled(request: web.Request, name: str, make: Callable[[], Awaitable[web.Response]]) -> web.StreamResponse:
    """Make a call as the troubles in force let it."""
    world, done = request.app[WORLD], False

    async def effect() -> web.StreamResponse:
        nonlocal done
        done = True
        return await make()

    response = await world.troubles.around(name, request, effect, _words)
    if not done:
        lost = request.transport is None or request.transport.is_closing()
        status = None if lost else response.status
        world.tell("call", {"method": name, "path": request.path, "status": status, "trouble": "before it took effect"})
    return response


def _words(rule: Trouble) -> web.Response:
    """Say a trouble in X's words."""
    if rule.action is Action.RATELIMIT or rule.status == 429:
        reset = int(time.time()) + (1 if rule.retry_after is None else rule.retry_after)
        return _refused(
            too_many({"x-rate-limit-limit": "15", "x-rate-limit-remaining": "0", "x-rate-limit-reset": str(reset)})
        )
    titles = {401: "Unauthorized", 402: "CreditsDepleted", 403: "Forbidden", 404: "Not Found Error"}
    titles |= {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}
    return _refused(problem(rule.status, titles.get(rule.status, "Error")))


def _refused(error: ApiError, headers: dict[str, str] | None = None) -> web.Response:
    return Reply(status=error.status, body=error.body).response({**(headers or {}), **error.headers})


async def _made(request: web.Request, endpoint: Endpoint) -> web.Response:
    """Make one call: find who calls, count it, do it, and record it with its answer."""
    world, started = request.app[WORLD], time.monotonic()
    # A large upload is let in here, whatever the outer application's `client_max_size` is.
    request = request.clone(client_max_size=MAX_BODY)
    headers: dict[str, str] = {}
    token, call, shown = Token(kind=""), None, Json()
    try:
        token = await world.keys.caller(world.app, request, endpoint.allowed, endpoint.scopes)
        settings = world.settings
        if settings.rate_limits:
            owner = token.user or world.app.id
            now = world.now().timestamp()
            headers = world.windows.spend(endpoint.limits, owner, now, settings.window_seconds)
        body, upload = await read_body(request)
        call = Call(
            world=world,
            token=token,
            path=dict(request.match_info),
            query=dict(request.query),
            body=body,
            upload=upload,
        )
        reply = await endpoint.act(call)
        if settings.echo_first and call.delivery is not None:
            await asyncio.wait([call.delivery])
        response, shown = reply.response(headers), reply.body
    except ApiError as error:
        response, shown = _refused(error, headers), error.body
    _record(request, endpoint.name, token, call.body if call else {}, response.status, shown, started)
    return response


def _record(
    request: web.Request, name: str, token: Token, body: Json, status: int, answer: Any, started: float
) -> None:
    params = {field: "…" if field == "media" else value for field, value in body.items()}
    facts: Json = {
        "line": token.user,
        "auth": token.kind,
        "method": name,
        "path": request.path,
        "query": dict(request.query),
        "params": params,
        "status": status,
        "answer": answer,
        "milliseconds": round((time.monotonic() - started) * 1000, 1),
        "trouble": "",
    }
    request.app[WORLD].tell("call", facts)


async def _token(request: web.Request, name: str, answer: Callable[[str, dict[str, str]], Json]) -> web.StreamResponse:
    async def make() -> web.Response:
        started = time.monotonic()
        form = {field: str(value) for field, value in (await request.post()).items()}
        try:
            response = Reply(body=answer(request.headers.get("Authorization", ""), form)).response({})
        except ApiError as error:
            response = _refused(error)
        # Tokens are secrets: only how it went is recorded.
        _record(request, name, Token(kind="client"), {}, response.status, None, started)
        return response

    return await _spoiled(request, name, make)


async def _refresh(request: web.Request) -> web.StreamResponse:
    world = request.app[WORLD]
    return await _token(request, "oauth2.token", lambda header, form: world.keys.refresh(world.app, header, form))


async def _bearer(request: web.Request) -> web.StreamResponse:
    """Give an app its own bearer for its consumer key and secret."""
    app = request.app[WORLD].app

    def answer(header: str, form: dict[str, str]) -> Json:
        if form.get("grant_type") != "client_credentials" or basic(header) != (app.consumer_key, app.consumer_secret):
            words = {"code": 99, "message": "Unable to verify your credentials", "label": "authenticity_token_error"}
            raise ApiError(403, {"errors": [words]})
        return {"token_type": "bearer", "access_token": app.bearer}

    return await _token(request, "oauth2.bearer", answer)
