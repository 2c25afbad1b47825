"""Slack's slash commands and presence as the emulator plays them, spoken to by Slack's own SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import NotThere, World, application
from sandbox.slack.commands import run

SUPPORT, AYSE, MEHMET = "C0SUPPORT1", "U0AYSE0001", "U0MEHMET01"
Json = dict[str, Any]


class Desk:
    """The app: keeps what it is told, answers as it is set."""

    def __init__(self) -> None:
        self.heard: list[Json] = []
        self.answer: Json | str = ""
        self.status = 200

    async def hear(self, request: web.Request) -> web.Response:
        raw = await request.read()
        assert SignatureVerifier("sandbox-signing-secret").is_valid_request(raw, dict(request.headers))
        self.heard.append(dict(parse_qsl(raw.decode(), keep_blank_values=True)))
        if isinstance(self.answer, str):
            return web.Response(text=self.answer, status=self.status)
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.change_settings({"posts_per_second": 0, "tier_scale": 0})
    async with TestServer(application(made)) as server:
        made.learn_base("http", f"{server.host}:{server.port}", "")
        yield made


@pytest.fixture
async def desk(world: World) -> AsyncIterator[Desk]:
    made, app = Desk(), web.Application()
    app.add_routes([web.post("/clicks", made.hear)])
    async with TestServer(app) as server:
        world.change_app({"interactive_url": str(server.make_url("/clicks"))})
        yield made


@pytest.fixture
async def client(world: World) -> AsyncIterator[AsyncWebClient]:
    async with ClientSession() as session:
        yield AsyncWebClient(token=world.app.bot_token, base_url=f"{world.base}/api/", session=session)


async def test_a_command_arrives_as_a_signed_form_and_its_answer_is_for_one_person(world: World, desk: Desk) -> None:
    desk.answer = {"response_type": "ephemeral", "text": "You are away"}
    answer = await run(world, AYSE, "/inbox", " away 2h ", channel=SUPPORT)
    assert answer.ok
    (heard,) = desk.heard
    assert {
        name: heard[name] for name in ("command", "text", "user_id", "user_name", "channel_id", "channel_name")
    } == {
        "command": "/inbox",
        "text": "away 2h",
        "user_id": AYSE,
        "user_name": "ayse",
        "channel_id": SUPPORT,
        "channel_name": "support",
    }
    assert heard["response_url"].startswith(f"{world.base}/actions/")
    assert "thread_ts" not in heard
    assert [(shown["user"], shown["text"]) for shown in world.ephemerals] == [(AYSE, "You are away")]
    assert not world.channels[SUPPORT].messages


async def test_an_answer_may_be_bare_text_or_for_all_or_none(world: World, desk: Desk) -> None:
    desk.answer = "Hello"
    await run(world, AYSE, "/inbox", channel=SUPPORT)
    desk.answer = {"response_type": "in_channel", "text": "Ayşe is away"}
    await run(world, AYSE, "/inbox", channel=SUPPORT)
    desk.answer = ""
    await run(world, AYSE, "/inbox", channel=SUPPORT)
    assert [shown["text"] for shown in world.ephemerals] == ["Hello"]
    assert [message.text for message in world.channels[SUPPORT].messages.values()] == ["Ayşe is away"]


async def test_an_app_that_fails_shows_nothing_and_is_not_asked_again(world: World, desk: Desk) -> None:
    desk.answer, desk.status = "oops", 500
    answer = await run(world, AYSE, "/inbox", channel=SUPPORT)
    assert (answer.ok, len(desk.heard), list(world.ephemerals)) == (False, 1, [])


async def test_only_commands_of_the_app_from_people_who_are_there(world: World, desk: Desk) -> None:
    world.change_app({"commands": ["/inbox"]})
    with pytest.raises(NotThere):
        await run(world, AYSE, "/outbox", channel=SUPPORT)
    world.channels[SUPPORT].members.remove(MEHMET)
    with pytest.raises(ValueError, match="is not in"):
        await run(world, MEHMET, "/inbox", channel=SUPPORT)
    world.change_app({"scopes": ["chat:write"]})
    with pytest.raises(NotThere):
        await run(world, AYSE, "/inbox", channel=SUPPORT)
    assert desk.heard == []


async def test_commands_come_over_socket_mode_too(world: World, client: AsyncWebClient) -> None:
    world.change_app({"socket_mode": True})
    heard: list[SocketModeRequest] = []

    async def hear(line: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        heard.append(request)
        await line.send_socket_mode_response(
            SocketModeResponse(envelope_id=request.envelope_id, payload={"text": "Welcome back"})
        )

    line = SocketModeClient(app_token=world.app.app_token, web_client=client)
    line.socket_mode_request_listeners.append(hear)
    await line.connect()  # type: ignore[no-untyped-call]
    try:
        assert (await run(world, AYSE, "/inbox", "back", channel=SUPPORT)).ok
    finally:
        await line.close()  # type: ignore[no-untyped-call]
    assert (heard[0].type, heard[0].payload["command"], heard[0].payload["text"]) == (
        "slash_commands",
        "/inbox",
        "back",
    )
    assert [shown["text"] for shown in world.ephemerals] == ["Welcome back"]


async def test_presence_is_told_to_who_asks(world: World, client: AsyncWebClient) -> None:
    assert (await client.users_getPresence(user=AYSE)).data == {"ok": True, "presence": "active"}
    await world.set_presence(AYSE, "away")
    assert (await client.users_getPresence(user=AYSE))["presence"] == "away"
    assert "presence" not in (await client.users_info(user=AYSE))["user"]
    own = await client.api_call("users.getPresence")
    assert (own["presence"], own["online"], own["manual_away"]) == ("active", True, False)
    with pytest.raises(SlackApiError, match="user_not_found"):
        await client.users_getPresence(user="U0NOBODY01")
    with pytest.raises(ValueError, match="active or away"):
        await world.set_presence(AYSE, "busy")
    world.change_app({"scopes": ["chat:write"]})
    with pytest.raises(SlackApiError, match="missing_scope"):
        await client.users_getPresence(user=AYSE)


async def test_presence_may_be_asked_fifty_times_a_minute(world: World, client: AsyncWebClient) -> None:
    world.change_settings({"tier_scale": 0.06})
    for _ in range(3):
        await client.users_getPresence(user=AYSE)
    with pytest.raises(SlackApiError) as refused:
        await client.users_getPresence(user=AYSE)
    assert refused.value.response.status_code == 429
