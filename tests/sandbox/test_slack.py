"""The Slack emulator, spoken to by Slack's own SDK: what it accepts, what it refuses, and what it tells the app."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import Refusal, Settings, World, application
from sandbox.slack.blocks import check_message, check_view
from sandbox.slack.composer import compose, escape
from sandbox.slack.pace import Pace

SUPPORT, AYSE, MEHMET = "C0SUPPORT1", "U0AYSE0001", "U0MEHMET01"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
BUTTONS = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "Order 7 is late"}},
    {
        "type": "actions",
        "elements": [
            {"type": "button", "action_id": "take", "value": "c-1", "text": {"type": "plain_text", "text": "Take"}},
            {
                "type": "static_select",
                "action_id": "priority",
                "options": [{"text": {"type": "plain_text", "text": word}, "value": word} for word in ("low", "high")],
            },
        ],
    },
]
MODAL = {
    "type": "modal",
    "callback_id": "note",
    "title": {"type": "plain_text", "text": "Note"},
    "submit": {"type": "plain_text", "text": "Save"},
    "blocks": [
        {
            "type": "input",
            "block_id": "words",
            "label": {"type": "plain_text", "text": "Words"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}


@dataclass
class Receiver:
    """The app's side: checks signatures as the SDK does, answers as told, keeps everything."""

    events: list[dict[str, Any]] = field(default_factory=list)
    clicks: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)  # to the next events, then 200
    answer_click: Callable[[dict[str, Any]], Awaitable[web.Response]] | None = None
    forged: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if not SignatureVerifier("sandbox-signing-secret").is_valid_request(raw, dict(request.headers)):
            self.forged += 1
            return web.Response(status=401)
        body = json.loads(raw)
        if body["type"] == "url_verification":
            return web.json_response({"challenge": body["challenge"]})
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.events.append(body)
        self.arrived.set()
        return self.answers.pop(0) if self.answers else web.Response()

    async def click(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if not SignatureVerifier("sandbox-signing-secret").is_valid_request(raw, dict(request.headers)):
            self.forged += 1
            return web.Response(status=401)
        payload = json.loads(parse_qs(raw.decode())["payload"][0])
        self.clicks.append(payload)
        return await self.answer_click(payload) if self.answer_click else web.Response()

    def heard(self, kind: str, subtype: str | None = None) -> list[dict[str, Any]]:
        inner = [envelope["event"] for envelope in self.events]
        return [each for each in inner if each["type"] == kind and each.get("subtype") == subtype]


@dataclass
class Stage:
    world: World
    client: AsyncWebClient
    receiver: Receiver
    http: aiohttp.ClientSession
    base: str

    async def control(self, verb: str, **body: Any) -> Any:
        async with self.http.post(f"{self.base}/control/{verb}", json=body) as response:
            return await response.json() | {"http": response.status}

    async def look(self, what: str) -> Any:
        async with self.http.get(f"{self.base}/control/{what}") as response:
            return await response.json()

    @contextmanager
    def watching(self) -> Iterator[Callable[..., Awaitable[dict[str, Any]]]]:
        """Wait for a change of a type that fits, among those since the watching began."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.world.watchers.add(queue)

        async def until(kind: str, **fitting: Any) -> dict[str, Any]:
            async with asyncio.timeout(10):
                while True:
                    change = await queue.get()
                    if change and change["type"] == kind and fitting.items() <= change.items():
                        return change

        yield until
        self.world.watchers.discard(queue)

    async def say(self, text: str = "hello", **more: Any) -> str:
        return str((await self.client.chat_postMessage(channel=SUPPORT, text=text, **more))["ts"])


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK takes a proxy from the environment even for this machine."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A workspace under a prefix, as on the demo page, with the app listening; as fast as it can be."""
    world, receiver = World(), Receiver()
    world.change_settings({"posts_per_second": 0, "tier_scale": 0, "retry_scale": 0, "file_delay": 0.01})
    app, page = web.Application(), web.Application()
    app.add_routes([web.post("/events", receiver.hear), web.post("/clicks", receiver.click)])
    page.add_subapp("/slack", application(world))
    async with TestServer(app) as app_server, TestServer(page) as slack_server, aiohttp.ClientSession() as http:
        await world.set_up(
            {
                "app": {
                    "events_url": str(app_server.make_url("/events")),
                    "interactive_url": str(app_server.make_url("/clicks")),
                }
            }
        )
        base = str(slack_server.make_url("/slack"))
        client = AsyncWebClient("xoxb-sandbox-bot-token", base_url=f"{base}/api/", session=http, retry_handlers=[])
        yield Stage(world=world, client=client, receiver=receiver, http=http, base=base)


async def refused(call: Awaitable[Any]) -> Any:
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value.response


# Who may call, and how fast


async def test_the_app_learns_who_it_is_and_what_it_may(stage: Stage) -> None:
    told = await stage.client.auth_test()
    assert (told["user_id"], told["bot_id"], told["team_id"]) == ("U0SANTRAL1", "B0SANTRAL1", "T0SANDBOX1")
    assert "chat:write" in told.headers["X-OAuth-Scopes"]


@pytest.mark.parametrize(("token", "error"), [("", "not_authed"), ("xoxb-wrong", "invalid_auth")])
async def test_a_call_without_the_right_token_is_refused(stage: Stage, token: str, error: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with stage.http.post(f"{stage.base}/api/auth.test", headers=headers) as response:
        assert (response.status, await response.json()) == (200, {"ok": False, "error": error})


async def test_a_token_in_a_json_body_does_not_count(stage: Stage) -> None:
    body = {"token": "xoxb-sandbox-bot-token"}
    async with stage.http.post(f"{stage.base}/api/auth.test", json=body) as response:
        assert (await response.json())["error"] == "not_authed"
    async with stage.http.post(f"{stage.base}/api/auth.test", data=body) as response:
        assert (await response.json())["ok"]


async def test_a_revoked_token_is_refused_and_the_app_is_told(stage: Stage) -> None:
    await stage.control("revoke", token="xoxb-sandbox-bot-token")
    assert (await refused(stage.client.auth_test()))["error"] == "token_revoked"
    await stage.world.settle()
    assert stage.receiver.heard("tokens_revoked")


async def test_a_missing_scope_is_named(stage: Stage) -> None:
    await stage.world.set_up({"app": {"scopes": ["chat:write"]}})
    answer = await refused(stage.client.reactions_add(channel=SUPPORT, timestamp="1.1", name="eyes"))
    assert (answer["error"], answer["needed"], answer["provided"]) == ("missing_scope", "reactions:write", "chat:write")
    answer = await refused(stage.client.chat_postMessage(channel=SUPPORT, text="x", username="Zeynep"))
    assert answer["needed"] == "chat:write.customize"


async def test_an_unknown_method_is_refused(stage: Stage) -> None:
    assert (await refused(stage.client.api_call("chat.shout")))["error"] == "unknown_method"


async def test_the_second_post_within_a_second_is_a_429_with_retry_after(stage: Stage) -> None:
    stage.world.change_settings({"posts_per_second": 1})
    await stage.say()
    answer = await refused(stage.say())
    assert (answer.status_code, answer["error"], answer.headers["Retry-After"]) == (429, "ratelimited", "1")
    stage.world.channels["C0GENERAL1"].members.append("U0SANTRAL1")
    assert (await stage.client.chat_postMessage(channel="C0GENERAL1", text="elsewhere"))["ok"]


async def test_a_tier_allows_so_many_calls_a_minute_of_one_method_only(stage: Stage) -> None:
    stage.world.change_settings({"tier_scale": 0.04})
    for _ in range(2):
        await stage.client.team_info()
    assert (await refused(stage.client.team_info())).status_code == 429
    assert (await stage.client.users_info(user=AYSE))["ok"]


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 5))
def test_no_pattern_of_posts_beats_the_rate(waits: list[float], burst: int) -> None:
    pace, settings, now, accepted = Pace(), Settings(burst=burst), 0.0, 0
    for wait in waits:
        now += wait
        try:
            pace.post("C1", settings, now)
        except Refusal as refusal:
            assert refusal.retry_after is not None and refusal.retry_after >= 1
            with_patience = Pace()
            with_patience._posts = dict(pace._posts)
            with_patience.post("C1", settings, now + refusal.retry_after)
        else:
            accepted += 1
    assert accepted <= burst + now * 1.06 + 1


# Messages and threads


async def test_ts_are_strings_that_only_grow(stage: Stage) -> None:
    stamps = [await stage.say(str(number)) for number in range(20)]
    assert stamps == sorted(stamps) and len(set(stamps)) == 20
    assert all(len(ts.partition(".")[2]) == 6 for ts in stamps)


async def test_a_reply_to_a_reply_joins_the_same_thread(stage: Stage) -> None:
    root = await stage.say("root")
    first = await stage.say("first", thread_ts=root)
    second = await stage.client.chat_postMessage(channel=SUPPORT, text="second", thread_ts=first)
    assert second["message"]["thread_ts"] == root
    history = (await stage.client.conversations_history(channel=SUPPORT))["messages"]
    assert [message["ts"] for message in history] == [root]
    assert (history[0]["reply_count"], history[0]["latest_reply"]) == (2, second["ts"])


async def test_threads_are_read_in_pages_that_each_repeat_the_root(stage: Stage) -> None:
    root = await stage.say("root")
    replies = [await stage.say(str(number), thread_ts=root) for number in range(5)]
    seen, cursor, pages = [], "", 0
    while True:
        page = await stage.client.conversations_replies(channel=SUPPORT, ts=root, limit=3, cursor=cursor)
        assert page["messages"][0]["ts"] == root
        seen += [message["ts"] for message in page["messages"][1:]]
        pages += 1
        if not page["has_more"]:
            break
        cursor = page["response_metadata"]["next_cursor"]
    assert (seen, pages) == (replies, 3)
    later = await stage.client.conversations_replies(channel=SUPPORT, ts=root, oldest=replies[2])
    assert [message["ts"] for message in later["messages"]] == [root, *replies[3:]]


async def test_history_is_read_backward_and_forward_without_gaps(stage: Stage) -> None:
    stamps = [await stage.say(str(number)) for number in range(7)]

    async def walk(**bounds: Any) -> list[str]:
        seen, cursor = [], ""
        while True:
            page = await stage.client.conversations_history(channel=SUPPORT, limit=2, cursor=cursor, **bounds)
            seen += [message["ts"] for message in page["messages"]]
            if not page["has_more"]:
                return seen
            cursor = page["response_metadata"]["next_cursor"]

    assert await walk() == stamps[::-1]
    assert sorted(await walk(oldest=stamps[1])) == stamps[2:]
    assert sorted(await walk(oldest=stamps[1], latest=stamps[4], inclusive=True)) == stamps[1:5]
    assert (await refused(walk(oldest="yesterday")))["error"] == "invalid_ts_oldest"
    bad = stage.client.conversations_history(channel=SUPPORT, cursor="garbage")
    assert (await refused(bad))["error"] == "invalid_cursor"


async def test_metadata_is_read_back_only_when_asked_for(stage: Stage) -> None:
    metadata = {"event_type": "santral_post", "event_payload": {"id": "d-1"}}
    ts = await stage.say("root", metadata=metadata)
    plain = await stage.client.conversations_history(channel=SUPPORT)
    assert "metadata" not in plain["messages"][0]
    whole = await stage.client.conversations_replies(channel=SUPPORT, ts=ts, include_all_metadata=True)
    assert whole["messages"][0]["metadata"] == metadata
    wrong = {"event_type": "x", "event_payload": {"id": {"deep": {"deeper": 1}}}}
    assert (await refused(stage.say("x", metadata=wrong)))["error"] == "invalid_metadata_format"


@pytest.mark.filterwarnings("ignore:The top-level `text`:UserWarning")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": "C0NOWHERE1", "text": "x"}, "channel_not_found"),
        ({"channel": "C0GENERAL1", "text": "x"}, "not_in_channel"),
        ({"channel": SUPPORT, "text": " "}, "no_text"),
        ({"channel": SUPPORT, "text": "x", "thread_ts": "1700000000.000001"}, "thread_not_found"),
        ({"channel": SUPPORT, "markdown_text": "x", "text": "x"}, "markdown_text_conflict"),
        ({"channel": SUPPORT, "text": "x", "blocks": "[{"}, "invalid_blocks_format"),
    ],
)
async def test_a_post_that_cannot_be_is_refused_by_name(stage: Stage, arguments: dict[str, Any], error: str) -> None:
    assert (await refused(stage.client.chat_postMessage(**arguments)))["error"] == error


async def test_archived_and_locked_places_take_no_posts(stage: Stage) -> None:
    root = await stage.say("root")
    await stage.control("lock_thread", channel=SUPPORT, ts=root)
    assert (await refused(stage.say("x", thread_ts=root)))["error"] == "restricted_action_thread_locked"
    await stage.control("archive", channel=SUPPORT)
    assert (await refused(stage.say()))["error"] == "is_archived"
    await stage.world.settle()
    assert stage.receiver.heard("channel_archive")


async def test_long_text_is_cut_on_posting_and_refused_on_updating(stage: Stage) -> None:
    posted = await stage.client.chat_postMessage(channel=SUPPORT, text="x" * 40_001)
    assert (len(posted["message"]["text"]), posted["warning"]) == (40_000, "message_truncated")
    update = stage.client.chat_update(channel=SUPPORT, ts=posted["ts"], text="x" * 4_001)
    assert (await refused(update))["error"] == "msg_too_long"


async def test_updating_with_text_alone_takes_the_blocks_away(stage: Stage) -> None:
    ts = await stage.say("card", blocks=BUTTONS, username="Zeynep · Telegram", icon_emoji=":package:")
    kept = await stage.client.chat_update(channel=SUPPORT, ts=ts, text="card 2", blocks=BUTTONS)
    assert "edited" not in kept["message"] and kept["message"]["username"] == "Zeynep · Telegram"
    bare = await stage.client.chat_update(channel=SUPPORT, ts=ts, text="gone")
    assert "blocks" not in bare["message"] and bare["message"]["edited"]


async def test_only_own_messages_can_be_changed_or_deleted(stage: Stage) -> None:
    ts = (await stage.world.post(AYSE, SUPPORT, "mine"))["ts"]
    assert (await refused(stage.client.chat_update(channel=SUPPORT, ts=ts, text="x")))["error"] == "cant_update_message"
    assert (await refused(stage.client.chat_delete(channel=SUPPORT, ts=ts)))["error"] == "cant_delete_message"
    unknown = stage.client.chat_update(channel=SUPPORT, ts="1.000001", text="x")
    assert (await refused(unknown))["error"] == "message_not_found"


async def test_a_deleted_root_leaves_a_tombstone_until_its_last_reply_goes(stage: Stage) -> None:
    root = await stage.say("root")
    reply = await stage.say("reply", thread_ts=root)
    await stage.client.chat_delete(channel=SUPPORT, ts=root)
    history = (await stage.client.conversations_history(channel=SUPPORT))["messages"]
    assert [message["subtype"] for message in history] == ["tombstone"]
    await stage.client.chat_delete(channel=SUPPORT, ts=reply)
    assert (await stage.client.conversations_history(channel=SUPPORT))["messages"] == []


async def test_reactions_are_added_once_and_taken_back_once(stage: Stage) -> None:
    ts = await stage.say()
    mark = {"channel": SUPPORT, "timestamp": ts, "name": "white_check_mark"}
    await stage.client.reactions_add(**mark)
    assert (await refused(stage.client.reactions_add(**mark)))["error"] == "already_reacted"
    shown = await stage.client.reactions_get(channel=SUPPORT, timestamp=ts)
    assert shown["message"]["reactions"] == [{"name": "white_check_mark", "users": ["U0SANTRAL1"], "count": 1}]
    await stage.client.reactions_remove(**mark)
    assert (await refused(stage.client.reactions_remove(**mark)))["error"] == "no_reaction"
    assert (await refused(stage.client.reactions_add(**{**mark, "name": "Ça va"})))["error"] == "invalid_name"


async def test_an_ephemeral_message_is_seen_by_one_and_is_no_message(stage: Stage) -> None:
    told = await stage.client.chat_postEphemeral(channel=SUPPORT, user=AYSE, text="only you")
    assert [each["user"] for each in (await stage.look("state"))["ephemerals"]] == [AYSE]
    update = stage.client.chat_update(channel=SUPPORT, ts=told["message_ts"], text="x")
    assert (await refused(update))["error"] == "message_not_found"


async def test_people_and_places_can_be_looked_up(stage: Stage) -> None:
    person = (await stage.client.users_info(user=AYSE, include_locale=True))["user"]
    assert (person["locale"], person["is_restricted"], person["team_id"]) == ("tr-TR", False, "T0SANDBOX1")
    assert (await refused(stage.client.users_info(user="U0NOBODY01")))["error"] == "user_not_found"
    info = await stage.client.conversations_info(channel=SUPPORT)
    assert info["channel"]["is_member"] and not info["channel"]["is_ext_shared"]
    mine = await stage.client.users_conversations(types="public_channel,private_channel")
    assert [channel["name"] for channel in mine["channels"]] == ["support"]
    assert AYSE in (await stage.client.conversations_members(channel=SUPPORT))["members"]
    im = (await stage.client.conversations_open(users=AYSE))["channel"]["id"]
    assert im == (await stage.client.conversations_open(users=AYSE))["channel"]["id"]
    assert (await stage.client.conversations_join(channel="C0GENERAL1"))["channel"]["is_member"]


# Block Kit


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(**more: Any) -> dict[str, Any]:
    label = {"type": "plain_text", "text": "x"}
    return {"type": "actions", "elements": [{"type": "button", "action_id": "a", "text": label, **more}]}


@pytest.mark.parametrize(
    ("blocks", "where"),
    [
        ([section("x" * 3_001)], "/blocks/0/text/text"),
        ([section("")], "/blocks/0/text/text"),
        ([{"type": "divider"}] * 51, "/blocks"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "/blocks/0/text/type"),
        ([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}], "/blocks/0/text/text"),
        ([{"type": "context", "elements": [section("x")["text"]] * 11}], "/blocks/0/elements"),
        ([{"type": "context", "elements": []}], "/blocks/0/elements"),
        ([button(value="x" * 2_001)], "/blocks/0/elements/0/value"),
        ([button(text={"type": "plain_text", "text": "x" * 76})], "/blocks/0/elements/0/text/text"),
        ([button(style="blue")], "/blocks/0/elements/0/style"),
        ([section("x") | {"block_id": "b"}, section("y") | {"block_id": "b"}], "/blocks/1/block_id"),
        ([{"type": "actions", "elements": button()["elements"] * 2}], "/blocks/0"),
        ([{"type": "paragraph"}], "/blocks/0/type"),
        (
            [
                {
                    "type": "rich_text",
                    "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": ""}]}],
                }
            ],
            "/blocks/0/elements/0/elements/0/text",
        ),
        (
            [
                section("x")
                | {
                    "accessory": {
                        "type": "static_select",
                        "options": [{"text": section("x")["text"], "value": "x" * 151}],
                    }
                }
            ],
            "/blocks/0/accessory/options/0/value",
        ),
    ],
)
def test_blocks_beyond_a_limit_are_refused_with_the_place(blocks: list[dict[str, Any]], where: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_message(blocks)
    assert caught.value.error == "invalid_blocks"
    assert f"[json-pointer:{where}]" in caught.value.more["response_metadata"]["messages"][0]


def test_blocks_that_are_each_allowed_can_be_too_much_together() -> None:
    with pytest.raises(Refusal, match="msg_blocks_too_long"):
        check_message([section("x" * 2_900)] * 5)


NONSENSE = st.sampled_from(
    [None, "", "x", 7, True, [], [[]], [None], {}, {"type": []}, {"type": {}}, {"text": 7}, "x" * 4_000]
)
RICH = {
    "type": "rich_text",
    "block_id": "rich",
    "elements": [
        {"type": "rich_text_section", "elements": [{"type": "text", "text": "x", "style": {"bold": True}}]},
        {
            "type": "rich_text_list",
            "style": "bullet",
            "elements": [{"type": "rich_text_section", "elements": [{"type": "user", "user_id": AYSE}]}],
        },
    ],
}


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for name, part in inner for each in paths(part, (*path, name)))]


def planted(value: Any, path: tuple[Any, ...], nonsense: Any) -> Any:
    if not path:
        return nonsense
    if isinstance(value, dict):
        return {name: planted(part, path[1:], nonsense) if name == path[0] else part for name, part in value.items()}
    return [planted(part, path[1:], nonsense) if place == path[0] else part for place, part in enumerate(value)]


@given(st.data())
def test_no_nonsense_in_blocks_or_views_is_anything_but_a_refusal(data: st.DataObject) -> None:
    for good, check in (([*BUTTONS, RICH], check_message), (MODAL, check_view)):
        bad = planted(good, data.draw(st.sampled_from(paths(good))), data.draw(NONSENSE))
        try:
            check(bad)
        except Refusal as refusal:
            assert refusal.error in {"invalid_blocks", "invalid_blocks_format", "invalid_arguments"}


def test_a_modal_needs_a_title_and_a_submit_for_its_inputs() -> None:
    assert check_view(MODAL)["blocks"][0]["block_id"] == "words"
    with pytest.raises(Refusal, match="invalid_arguments"):
        check_view({**MODAL, "title": {"type": "plain_text", "text": "x" * 25}})
    with pytest.raises(Refusal, match="invalid_arguments"):
        check_view({name: value for name, value in MODAL.items() if name != "submit"})
    with pytest.raises(Refusal, match="invalid_arguments"):
        check_view({**MODAL, "private_metadata": "x" * 3_001})


async def test_the_sdk_sees_which_block_was_wrong(stage: Stage) -> None:
    answer = await refused(stage.say("x", blocks=[section("x" * 3_001)]))
    assert answer["error"] == "invalid_blocks"
    assert "must be less than 3001 characters" in answer["response_metadata"]["messages"][0]


# What people write


def test_what_a_person_types_is_escaped_and_kept_as_rich_text() -> None:
    text, block = compose("*Hi* @ayse <b> & :tada: 👍 https://x.example/a?b=1&c=2.", {"ayse": AYSE})
    assert text == f"*Hi* <@{AYSE}> &lt;b&gt; &amp; :tada: :+1: <https://x.example/a?b=1&amp;c=2>."
    assert block is not None
    elements = block["elements"][0]["elements"]
    assert elements[0] == {"type": "text", "text": "Hi", "style": {"bold": True}}
    assert [each["type"] for each in elements if each["type"] != "text"] == ["user", "emoji", "emoji", "link"]


@given(st.text(alphabet=st.characters(exclude_characters="@<:*_~`h👍👎")))
def test_plain_words_survive_the_message_box(words: str) -> None:
    text, block = compose(words, {})
    assert "<" not in text.replace("&lt;", "") and len(text) >= len(words)
    if block is not None and not any(sign in text for sign in (":",)):
        assert "".join(each["text"] for each in block["elements"][0]["elements"]) == words
        assert text == escape(words)


# Events


async def test_events_are_signed_complete_and_about_own_posts_too(stage: Stage) -> None:
    human = await stage.world.post(AYSE, SUPPORT, "hello")
    own = await stage.say("card", username="Zeynep", thread_ts=human["ts"])
    await stage.world.settle()
    first, second = sorted(stage.receiver.events, key=lambda envelope: envelope["event"]["ts"])
    assert (first["type"], first["team_id"], first["api_app_id"]) == ("event_callback", "T0SANDBOX1", "A0SANDBOX1")
    assert first["authorizations"][0]["user_id"] == "U0SANTRAL1" and first["is_ext_shared_channel"] is False
    assert first["event_id"] != second["event_id"] and isinstance(first["event_time"], int)
    event = first["event"]
    assert (event["user"], event["channel_type"], event["ts"]) == (AYSE, "channel", human["ts"])
    assert event["client_msg_id"] and event["blocks"][0]["type"] == "rich_text" and "bot_id" not in event
    mirrored = second["event"]
    assert (mirrored["subtype"], mirrored["bot_id"], mirrored["username"]) == ("bot_message", "B0SANTRAL1", "Zeynep")
    assert (mirrored["ts"], mirrored["thread_ts"], mirrored["parent_user_id"]) == (own, human["ts"], AYSE)
    assert "user" not in mirrored and stage.receiver.forged == 0


async def test_a_failed_event_is_retried_three_times_with_number_and_reason(stage: Stage) -> None:
    stage.receiver.answers = [web.Response(status=500) for _ in range(9)]
    await stage.world.post(AYSE, SUPPORT, "hello")
    await stage.world.settle()
    numbers = [headers.get("x-slack-retry-num") for headers in stage.receiver.headers]
    assert numbers == [None, "1", "2", "3"]
    assert {headers.get("x-slack-retry-reason") for headers in stage.receiver.headers[1:]} == {"http_error"}
    assert len({event["event_id"] for event in stage.receiver.events}) == 1
    attempts = (await stage.look("deliveries"))["deliveries"]
    assert [each["retry"] for each in attempts if each["kind"] == "event"] == [0, 1, 2, 3]


async def test_the_delayed_events_switch_adds_a_day_of_hourly_retries(stage: Stage) -> None:
    stage.world.change_settings({"delayed_events": True})
    stage.receiver.answers = [web.Response(status=500) for _ in range(28)]
    await stage.world.post(AYSE, SUPPORT, "hello")
    await stage.world.settle()
    assert len(stage.receiver.events) == 28


async def test_no_retry_is_obeyed(stage: Stage) -> None:
    stage.receiver.answers = [web.Response(status=503, headers={"x-slack-no-retry": "1"})]
    await stage.world.post(AYSE, SUPPORT, "hello")
    await stage.world.settle()
    assert len(stage.receiver.events) == 1


async def test_an_answer_that_takes_too_long_is_a_timeout(stage: Stage) -> None:
    stage.world.change_settings({"answer_seconds": 0.5})
    release = asyncio.Event()

    async def slow(_: dict[str, Any]) -> web.Response:
        await release.wait()
        return web.Response()

    stage.receiver.answer_click = slow
    ts = await stage.say("card", blocks=BUTTONS)
    answer = await stage.world.press(AYSE, "take", channel=SUPPORT, ts=ts)
    release.set()
    assert (answer.status, answer.reason, len(stage.receiver.clicks)) == (0, "http_timeout", 1)


async def test_an_event_can_come_again_hours_later(stage: Stage) -> None:
    await stage.world.post(AYSE, SUPPORT, "hello")
    await stage.world.settle()
    await stage.control("repeat", event_id=stage.receiver.events[0]["event_id"], num=2)
    await stage.world.settle()
    assert stage.receiver.events[0] == stage.receiver.events[1]
    assert stage.receiver.headers[1]["x-slack-retry-num"] == "2"


async def test_slack_may_deliver_an_event_twice(stage: Stage) -> None:
    stage.world.change_settings({"event_copies": 2, "event_shuffle": 0.01})
    await stage.world.post(AYSE, SUPPORT, "hello")
    await stage.world.settle()
    assert stage.receiver.events[0] == stage.receiver.events[1]


async def test_an_events_url_that_does_not_answer_the_challenge_gets_no_events(stage: Stage) -> None:
    told = await stage.control("workspace", app={"events_url": f"{stage.base}/api/auth.test"})
    assert told["events_url_verified"] is False
    await stage.world.post(AYSE, SUPPORT, "hello")
    await stage.world.settle()
    attempts = (await stage.look("deliveries"))["deliveries"]
    assert {each["reason"] for each in attempts if each["kind"] == "event"} == {"unverified_url"}


async def test_only_what_the_app_may_see_is_told(stage: Stage) -> None:
    await stage.control("post", user=AYSE, channel="general", text="the app is not here")
    await stage.world.set_up({"app": {"events": ["message.channels"]}})
    ts = (await stage.world.post(AYSE, SUPPORT, "seen"))["ts"]
    await stage.control("react", user=AYSE, channel=SUPPORT, ts=ts, name="eyes")
    await stage.world.settle()
    assert [envelope["event"].get("text") for envelope in stage.receiver.events] == ["seen"]


async def test_every_kind_of_message_event_has_its_shape(stage: Stage) -> None:
    root = await stage.say("root")
    reply = (await stage.world.post(AYSE, SUPPORT, "reply", thread_ts=root, broadcast=True))["ts"]
    await stage.world.edit(AYSE, SUPPORT, reply, "reply, mended")
    await stage.world.delete(AYSE, SUPPORT, reply)
    await stage.world.post(AYSE, SUPPORT, "shrugs", subtype="me_message")
    await stage.world.post("", SUPPORT, "beep", bot_id="B0OTHER001")
    await stage.world.settle()
    (broadcast,) = stage.receiver.heard("message", "thread_broadcast")
    assert broadcast["root"]["ts"] == root and broadcast["thread_ts"] == root
    edit = stage.receiver.heard("message", "message_changed")[0]
    assert edit["hidden"] and edit["message"]["edited"]["user"] == AYSE
    assert (edit["previous_message"]["text"], edit["message"]["text"]) == ("reply", "reply, mended")
    (gone,) = stage.receiver.heard("message", "message_deleted")
    assert gone["deleted_ts"] == reply and gone["previous_message"]["user"] == AYSE
    assert stage.receiver.heard("message", "me_message")
    assert stage.receiver.heard("message", "bot_message")[0]["bot_id"] == "B0OTHER001"


async def test_the_app_hears_of_mentions_joins_and_its_own_removal(stage: Stage) -> None:
    await stage.control("post", user=AYSE, channel=SUPPORT, text="@santral help")
    await stage.control("kick", channel=SUPPORT)
    await stage.control("post", user=AYSE, channel=SUPPORT, text="among us")
    await stage.control("invite", channel=SUPPORT)
    await stage.control("home", user=AYSE)
    await stage.world.settle()
    assert "<@U0SANTRAL1>" in stage.receiver.heard("app_mention")[0]["text"]
    assert stage.receiver.heard("channel_left")
    assert not [each for each in stage.receiver.heard("message") if each["text"] == "among us"]
    assert stage.receiver.heard("member_joined_channel")[0]["user"] == "U0SANTRAL1"
    assert stage.receiver.heard("app_home_opened")[0]["tab"] == "home"


async def test_a_stranger_of_a_shared_channel_is_marked(stage: Stage) -> None:
    stranger = {"id": "U0STRANGE1", "name": "sam", "is_stranger": True, "team_id": "T0ELSEWHR1"}
    await stage.control(
        "workspace",
        users=[{"id": AYSE, "name": "ayse"}, stranger],
        channels=[{"id": SUPPORT, "name": "support", "is_ext_shared": True}],
    )
    await stage.control("post", user="U0STRANGE1", channel=SUPPORT, text="hi")
    await stage.world.settle()
    assert stage.receiver.events[-1]["is_ext_shared_channel"] is True
    assert stage.receiver.events[-1]["event"]["user_team"] == "T0ELSEWHR1"
    assert (await stage.client.users_info(user="U0STRANGE1"))["user"]["is_stranger"] is True


# Files


async def test_an_uploaded_file_appears_a_moment_after_the_call(stage: Stage) -> None:
    root = await stage.say("root")
    stage.world.change_settings({"file_delay": 5})
    done = await stage.client.files_upload_v2(
        channel=SUPPORT, thread_ts=root, filename="parcel.png", content=PNG, title="Parcel", initial_comment="look"
    )
    file = done["files"][0]["id"]
    assert "shares" not in (await stage.client.files_info(file=file))["file"]
    stage.world.change_settings({"file_delay": 0})
    with stage.watching() as until:
        await stage.client.files_upload_v2(channel=SUPPORT, thread_ts=root, filename="b.png", content=PNG)
        await until("message")
    shown = (await stage.client.conversations_replies(channel=SUPPORT, ts=root))["messages"][1:]
    second = shown[0]["files"][0]["id"]
    info = (await stage.client.files_info(file=second))["file"]
    assert info["shares"]["public"][SUPPORT][0]["ts"] == shown[0]["ts"] and info["mimetype"] == "image/png"


async def test_a_file_is_fetched_with_the_token_and_a_login_page_without(stage: Stage) -> None:
    await stage.say("so that the emulator knows its address")
    data = base64.b64encode(PNG).decode()
    files = [{"name": "Kutu resmi.png", "media_type": "image/png", "data": data}]
    await stage.control("post", user=AYSE, channel=SUPPORT, text="here", files=files)
    await stage.world.settle()
    (event,) = stage.receiver.heard("message", "file_share")
    file = event["files"][0]
    assert (file["mimetype"], file["size"], event["text"]) == ("image/png", len(PNG), "here")
    bearer = {"Authorization": "Bearer xoxb-sandbox-bot-token"}
    async with stage.http.get(file["url_private_download"], headers=bearer) as response:
        assert await response.read() == PNG
    async with stage.http.get(file["url_private_download"]) as response:
        assert (response.status, response.content_type) == (200, "text/html")
    shown = (await stage.look("state"))["channels"][0]["messages"][-1]["files"][0]
    async with stage.http.get(stage.base.removesuffix("/slack") + shown["url"]) as response:
        assert (await response.read(), response.content_type) == (PNG, "image/png")


async def test_the_announced_length_must_be_right(stage: Stage) -> None:
    assert (await refused(stage.client.files_getUploadURLExternal(filename="a", length=0)))[
        "error"
    ] == "invalid_arguments"
    place = await stage.client.files_getUploadURLExternal(filename="a.txt", length=3)
    async with stage.http.post(place["upload_url"], data=b"four") as response:
        assert response.status == 400
    early = stage.client.files_completeUploadExternal(files=[{"id": place["file_id"]}], channel_id=SUPPORT)
    assert (await refused(early))["error"] == "file_not_found"
    form = aiohttp.FormData()
    form.add_field("file", b"abc", filename="a.txt")
    async with stage.http.post(place["upload_url"], data=form) as response:
        assert (response.status, await response.text()) == (200, "OK - 3")


async def test_a_shared_file_counts_as_a_post(stage: Stage) -> None:
    stage.world.change_settings({"posts_per_second": 1})
    await stage.say()
    upload = stage.client.files_upload_v2(channel=SUPPORT, filename="a.txt", content="abc")
    assert (await refused(upload)).status_code == 429


# Clicks, modals and response URLs


async def test_a_pressed_button_reaches_the_app_and_its_answer_comes_back(stage: Stage) -> None:
    async def answered(_: dict[str, Any]) -> web.Response:
        return web.json_response({"fine": True})

    stage.receiver.answer_click = answered
    root = await stage.say("root")
    ts = await stage.say("card", blocks=BUTTONS, thread_ts=root)
    told = await stage.control("press", user=AYSE, channel=SUPPORT, ts=ts, action_id="take")
    assert (told["status"], told["body"]) == (200, {"fine": True}) and told["milliseconds"] >= 0
    click = stage.receiver.clicks[0]
    assert (click["type"], click["user"]["id"], click["channel"]["id"]) == ("block_actions", AYSE, SUPPORT)
    assert (click["container"]["message_ts"], click["container"]["thread_ts"]) == (ts, root)
    assert click["actions"][0] | {"action_ts": ""} == {
        "type": "button",
        "action_id": "take",
        "block_id": click["message"]["blocks"][1]["block_id"],
        "value": "c-1",
        "text": {"type": "plain_text", "text": "Take"},
        "action_ts": "",
    }
    await stage.control("press", user=AYSE, channel=SUPPORT, ts=ts, action_id="priority", selected_option="high")
    assert stage.receiver.clicks[1]["actions"][0]["selected_option"]["value"] == "high"


async def test_what_is_not_shown_cannot_be_pressed(stage: Stage) -> None:
    ts = await stage.say("card", blocks=BUTTONS)
    assert (await stage.control("press", user=AYSE, channel=SUPPORT, ts=ts, action_id="explode"))["http"] == 404
    wrong = await stage.control("press", user=AYSE, channel=SUPPORT, ts=ts, action_id="priority", value="urgent")
    assert wrong["http"] == 400 and not stage.receiver.clicks


async def test_a_trigger_opens_one_modal_and_soon_none(stage: Stage) -> None:
    ts = await stage.say("card", blocks=BUTTONS)
    await stage.world.press(AYSE, "take", channel=SUPPORT, ts=ts)
    trigger = stage.receiver.clicks[0]["trigger_id"]
    view = (await stage.client.views_open(trigger_id=trigger, view=MODAL))["view"]
    again = await refused(stage.client.views_open(trigger_id=trigger, view=MODAL))
    assert again["error"] == "exchanged_trigger_id"
    stale = await refused(stage.client.views_update(view_id=view["id"], hash="other", view=MODAL))
    assert stale["error"] == "hash_conflict"
    stage.world.change_settings({"trigger_seconds": 0})
    await stage.world.shortcut(AYSE, "conv_note", channel=SUPPORT, ts=ts)
    late = stage.client.views_open(trigger_id=stage.receiver.clicks[1]["trigger_id"], view=MODAL)
    assert (await refused(late))["error"] == "expired_trigger_id"
    assert stage.receiver.clicks[1]["message"]["ts"] == ts


async def test_a_modal_stays_open_on_errors_and_closes_when_accepted(stage: Stage) -> None:
    async def strict(payload: dict[str, Any]) -> web.Response:
        if payload["type"] != "view_submission":
            return web.Response()
        if payload["view"]["state"]["values"]["words"]["text"]["value"] == "good":
            return web.Response()
        return web.json_response({"response_action": "errors", "errors": {"words": "say good"}})

    stage.receiver.answer_click = strict
    await stage.world.shortcut(AYSE, "note")
    view = (await stage.client.views_open(trigger_id=stage.receiver.clicks[0]["trigger_id"], view=MODAL))["view"]["id"]
    assert (await stage.control("submit", user=AYSE, view_id=view, values={}))["http"] == 400
    await stage.control("submit", user=AYSE, view_id=view, values={"words": "bad"})
    assert [each["id"] for each in (await stage.look("state"))["views"]] == [view]
    await stage.control("submit", user=AYSE, view_id=view, values={"words": "good"})
    assert (await stage.look("state"))["views"] == []


async def test_a_home_tab_is_published_and_pressed(stage: Stage) -> None:
    home = await stage.client.views_publish(user_id=AYSE, view={"type": "home", "blocks": BUTTONS})
    await stage.control("press", user=AYSE, view_id=home["view"]["id"], action_id="take")
    assert stage.receiver.clicks[0]["view"]["id"] == home["view"]["id"]
    assert (await stage.look("state"))["home"][AYSE]["type"] == "home"


async def test_a_response_url_works_five_times(stage: Stage) -> None:
    ts = await stage.say("card", blocks=BUTTONS)
    await stage.world.press(AYSE, "take", channel=SUPPORT, ts=ts)
    url = stage.receiver.clicks[0]["response_url"]
    bodies = [
        {"text": "psst"},
        {"text": "taken", "replace_original": True},
        {"text": "all", "response_type": "in_channel"},
    ]
    for body in [*bodies, {"text": "4"}, {"text": "5"}, {"text": "6"}]:
        async with stage.http.post(url, json=body) as response:
            status = response.status
    assert status == 404
    shown = await stage.look("state")
    assert [each["text"] for each in shown["channels"][0]["messages"]] == ["taken", "all"]
    assert [each["text"] for each in shown["ephemerals"]] == ["psst", "4", "5"]


# Socket Mode


@dataclass
class Sockets:
    """The SDK's own Socket Mode client. `acknowledge` off: it reads and stays silent."""

    client: SocketModeClient
    requests: list[SocketModeRequest] = field(default_factory=list)
    acknowledge: bool = True
    answer: dict[str, Any] | None = None

    async def hear(self, client: Any, request: SocketModeRequest) -> None:
        self.requests.append(request)
        if self.acknowledge:
            await client.send_socket_mode_response(SocketModeResponse(request.envelope_id, payload=self.answer))


async def connected(stage: Stage, count: int = 1) -> list[Sockets]:
    await stage.world.set_up({"app": {"socket_mode": True}})
    made = []
    for _ in range(count):
        client = SocketModeClient("xapp-1-sandbox-app-token", web_client=AsyncWebClient(base_url=f"{stage.base}/api/"))
        sockets = Sockets(client)
        client.socket_mode_request_listeners.append(sockets.hear)  # type: ignore[arg-type]
        with stage.watching() as until:
            await client.connect()
            await until("connections")
        made.append(sockets)
    return made


async def test_socket_mode_carries_events_and_clicks_and_brings_answers(stage: Stage) -> None:
    (app,) = await connected(stage)
    app.answer = {"options": []}
    await stage.world.post(AYSE, SUPPORT, "hello")
    ts = await stage.say("card", blocks=BUTTONS)
    answer = await stage.world.press(AYSE, "take", channel=SUPPORT, ts=ts)
    await stage.world.settle()
    kinds = sorted(request.type for request in app.requests)
    assert kinds == ["events_api", "events_api", "interactive"]
    assert (answer.status, answer.body) == (200, {"options": []}) and not stage.receiver.events
    await app.client.close()


async def test_an_unacknowledged_envelope_goes_to_another_connection(stage: Stage) -> None:
    silent, loud = await connected(stage, 2)
    silent.acknowledge = False
    stage.world.change_settings({"answer_seconds": 1})
    for number in range(6):
        await stage.world.post(AYSE, SUPPORT, str(number))
    await stage.world.settle()
    assert {request.payload["event"]["text"] for request in loud.requests} == set("012345")
    again = [request for request in loud.requests if request.retry_attempt]
    assert len(again) == len(silent.requests)
    assert all(request.retry_reason == "timeout" for request in again)
    for each in (silent, loud):
        await each.client.close()


async def test_the_client_reconnects_when_asked_and_events_without_a_connection_are_lost(stage: Stage) -> None:
    (app,) = await connected(stage)
    with stage.watching() as until:
        assert (await stage.control("disconnect"))["count"] == 1
        await until("connections", count=1)
    await stage.world.post(AYSE, SUPPORT, "after reconnecting")
    await stage.world.settle()
    assert [request.payload["event"]["text"] for request in app.requests] == ["after reconnecting"]
    with stage.watching() as until:
        await app.client.close()
        await until("connections", count=0)
    await stage.world.post(AYSE, SUPPORT, "nobody is there")
    await stage.world.settle()
    assert (await stage.look("deliveries"))["deliveries"][-1]["reason"] == "lost"


# Trouble, and looking at what happened


async def test_a_dropped_answer_leaves_a_message_the_caller_does_not_know_of(stage: Stage) -> None:
    await stage.control("trouble", rules=[{"match": "chat.postMessage", "action": "drop_after", "times": 1}])
    with pytest.raises(aiohttp.ClientError):
        await stage.say("did it arrive?", metadata={"event_type": "santral_post", "event_payload": {"id": "d-7"}})
    found = await stage.client.conversations_history(channel=SUPPORT, include_all_metadata=True)
    assert [message["metadata"]["event_payload"]["id"] for message in found["messages"]] == ["d-7"]
    call = (await stage.look("calls?method=chat.postMessage"))["calls"][0]
    assert call["spoiled"] and call["answer"]["ok"]


async def test_the_sdks_own_retry_posts_twice_when_the_line_drops(stage: Stage) -> None:
    await stage.control("trouble", rules=[{"match": "chat.postMessage", "action": "drop_after", "times": 1}])
    careless = AsyncWebClient("xoxb-sandbox-bot-token", base_url=f"{stage.base}/api/")
    await careless.chat_postMessage(channel=SUPPORT, text="once, please")
    assert len((await stage.client.conversations_history(channel=SUPPORT))["messages"]) == 2


async def test_while_slack_is_down_calls_fail_and_events_wait(stage: Stage) -> None:
    await stage.control("trouble", rules=[{"match": "*", "action": "down"}])
    assert (await refused(stage.say())).status_code == 503
    await stage.world.post(AYSE, SUPPORT, "meanwhile")
    async with stage.http.delete(f"{stage.base}/control/trouble") as response:
        assert response.status == 200
    await stage.world.settle()
    assert [envelope["event"]["text"] for envelope in stage.receiver.events] == ["meanwhile"]


async def test_asked_for_429_and_500_look_like_slacks(stage: Stage) -> None:
    rules = [
        {"match": "chat.*", "action": "ratelimit", "retry_after": 7, "times": 1},
        {"match": "chat.*", "action": "status"},
    ]
    await stage.control("trouble", rules=rules)
    answer = await refused(stage.say())
    assert (answer.status_code, answer["error"], answer.headers["Retry-After"]) == (429, "ratelimited", "7")
    answer = await refused(stage.say())
    assert (answer.status_code, answer["error"]) == (500, "internal_error")


async def test_watchers_see_every_change_as_it_happens(stage: Stage) -> None:
    async with stage.http.get(f"{stage.base}/control/stream?since=0") as response:
        ts = await stage.say("card")
        await stage.control("react", user=AYSE, channel=SUPPORT, ts=ts, name="eyes")
        seen: dict[str, Any] = {}
        async for line in response.content:
            if line.startswith(b"data: "):
                change = json.loads(line.removeprefix(b"data: "))
                seen[change["type"]] = change
            if {"message", "call", "reaction_added"} <= set(seen):
                break
    assert seen["message"]["message"]["text"] == "card" and seen["call"]["method"] == "chat.postMessage"
    assert seen["message"]["seq"] < seen["call"]["seq"] < seen["reaction_added"]["seq"]


async def test_the_state_shows_threads_whole_and_reset_brings_the_beginning_back(stage: Stage) -> None:
    root = await stage.say("root")
    await stage.control("post", user=MEHMET, channel=SUPPORT, text="reply", thread_ts=root)
    shown = (await stage.look("state"))["channels"][0]
    assert (shown["messages"][0]["reply_count"], shown["messages"][0]["replies"][0]["user"]) == (1, MEHMET)
    await stage.control("reset")
    assert (await stage.look("state"))["channels"][0]["messages"] == []
    assert stage.world.settings == Settings()


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("post", {"user": AYSE, "channel": "nowhere", "text": "x"}, 404),
        ("post", {"user": AYSE, "channel": SUPPORT, "text": ""}, 400),
        ("post", {"user": AYSE, "channel": SUPPORT, "txt": "x"}, 400),
        ("settings", {"speed": 1}, 400),
        ("settings", {"burst": "many"}, 400),
        ("trouble", {"rules": [{"action": "explode"}]}, 400),
        ("workspace", {"app": {"colour": "red"}}, 400),
        ("dance", {}, 404),
    ],
)
async def test_control_says_what_cannot_be_done(stage: Stage, verb: str, body: dict[str, Any], status: int) -> None:
    told = await stage.control(verb, **body)
    assert told["http"] == status and told["error"]
