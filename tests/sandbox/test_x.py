"""The emulator of X's direct messages, driven over HTTP under a prefix, with a shop that answers its challenges."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import time
from collections.abc import AsyncIterator, Callable
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from sandbox.telegram.kinds import picture
from sandbox.x import World, application
from sandbox.x.auth import sealed, signature
from sandbox.x.payloads import event, legacy_message, shortened
from sandbox.x.values import Dm, conversation_of

SHOP = "1500000000000000001"
AYSE = "1600000000000000002"
IVAN = "44196397"
ALL_FIELDS = "id,text,event_type,created_at,dm_conversation_id,sender_id,attachments,entities"
APP = {"Authorization": "Bearer app-bearer"}
USER = {"Authorization": "Bearer user-token"}


class Receiver:
    """A shop: it answers challenges with `answer_challenge` and events with `answer`, and remembers what it got."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.secret = "consumer-secret"
        self.answer: Callable[[], web.Response] = web.Response
        self.answer_challenge: Callable[[str], web.Response] = self.prove
        self.changed = asyncio.Condition()
        self.url = ""

    def prove(self, token: str) -> web.Response:
        return web.json_response({"response_token": sealed(self.secret, token.encode())})

    async def challenged(self, request: web.Request) -> web.Response:
        return self.answer_challenge(request.query["crc_token"])

    async def receive(self, request: web.Request) -> web.Response:
        answer = self.answer()
        async with self.changed:
            self.raw.append(await request.read())
            self.headers.append(dict(request.headers))
            self.got.append(json.loads(self.raw[-1]))
            self.changed.notify_all()
        return answer

    async def until(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: len(self.got) >= count)
        return self.got

    def texts(self) -> list[str]:
        return [
            message["message_create"]["message_data"]["text"]
            for body in self.got
            for message in body["data"]["payload"].get("direct_message_events", [])
        ]

    def kinds(self) -> list[str]:
        return [body["data"]["event_type"] for body in self.got]


class Sandbox:
    """The emulator under /x, its API and its control side."""

    def __init__(self, world: World, address: str, http: aiohttp.ClientSession) -> None:
        self.world = world
        self.address = f"{address}/x"
        self.http = http
        self.headers: dict[str, str] = {}

    async def tell(self, path: str, **body: Any) -> dict[str, Any]:
        async with self.http.post(f"{self.address}/control/{path}", json=body) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, answer
            return answer

    async def see(self, path: str) -> dict[str, Any]:
        async with self.http.get(f"{self.address}/control/{path}") as response:
            assert response.status == 200
            seen: dict[str, Any] = await response.json()
            return seen

    async def call(
        self, method: str, path: str, auth: dict[str, str] | None = None, **request: Any
    ) -> tuple[int, dict[str, Any]]:
        headers = USER if auth is None else auth
        async with self.http.request(method, self.address + path, headers=headers, **request) as response:
            self.headers = dict(response.headers)
            answer: dict[str, Any] = await response.json()
            return response.status, answer

    async def good(self, method: str, path: str, auth: dict[str, str] | None = None, **request: Any) -> dict[str, Any]:
        status, answer = await self.call(method, path, auth, **request)
        assert status in (200, 201), answer
        return answer

    async def send(self, person: str = AYSE, **body: Any) -> tuple[int, dict[str, Any]]:
        return await self.call("POST", f"/2/dm_conversations/with/{person}/messages", json=body)

    async def say(self, text: str = "", person: str = AYSE, **more: Any) -> str:
        said: str = (await self.tell("say", person=person, line=SHOP, text=text, **more))["id"]
        return said

    async def connect(self, receiver: Receiver, *kinds: str) -> str:
        """Register the receiver and subscribe it to events of the shop's account."""
        made = await self.good("POST", "/2/webhooks", APP, json={"url": receiver.url})
        webhook: str = made["data"]["id"]
        for kind in kinds:
            body = {"event_type": kind, "filter": {"user_id": SHOP}, "webhook_id": webhook, "tag": "support"}
            await self.good("POST", "/2/activity/subscriptions", json=body)
        return webhook

    def sign(self, method: str, path: str, query: dict[str, str] | None = None, **changed: str) -> dict[str, str]:
        """Sign a call with OAuth 1.0a as the shop's account."""
        values = {
            "oauth_consumer_key": "consumer-key",
            "oauth_nonce": token_hex(8),
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_timestamp": str(int(time.time())),
            "oauth_token": "1-token",
            "oauth_version": "1.0",
        }
        pairs = [*values.items(), *(query or {}).items()]
        values["oauth_signature"] = signature(method, self.address + path, pairs, "consumer-secret", "token-secret")
        listed = ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in {**values, **changed}.items())
        return {"Authorization": f"OAuth {listed}"}


async def served(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    world = World()
    outer = web.Application()
    outer.add_subapp("/x", application(world))
    runner, address = await served(outer)
    async with aiohttp.ClientSession() as http:
        box = Sandbox(world, address, http)
        await box.tell("settings", local_urls=True, seed=7)
        await box.tell(
            "lines",
            id=SHOP,
            name="Kumbara",
            username="kumbara",
            access_token="1-token",
            access_secret="token-secret",
            bearer="user-token",
            refresh_token="first-refresh",
        )
        await box.tell("people", id=AYSE, name="Ayşe Kaya", username="aysekaya")
        await box.tell("people", id=IVAN, name="Иван Петров", username="ivanp")
        yield box
    await runner.cleanup()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_get("/hook", receiver.challenged)
    app.router.add_post("/hook", receiver.receive)
    runner, address = await served(app)
    receiver.url = f"{address}/hook"
    yield receiver
    await runner.cleanup()


# vectors


def test_a_challenge_is_answered_as_the_known_vector_says() -> None:
    assert sealed("consumer-secret", b"challenge_string") == "sha256=S/mG8E9n5SjoGuCqHguvP8K8uuu5ogCPF0dOpIdyZlk="


def test_a_request_is_signed_as_the_example_of_oauth_core_has_it() -> None:
    parameters = [
        ("file", "vacation.jpg"),
        ("size", "original"),
        ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
        ("oauth_token", "nnch734d00sl2jdk"),
        ("oauth_nonce", "kllo9940pd9333jh"),
        ("oauth_timestamp", "1191242096"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_version", "1.0"),
    ]
    url = "http://photos.example.net/photos"
    assert signature("GET", url, parameters, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00") == "tR3+Ty81lMeYAr/Fid0kMTYa/WM="


@given(st.integers(1, 10**19 - 1), st.integers(1, 10**19 - 1))
def test_a_conversation_is_named_by_numbers_not_by_letters(one: int, other: int) -> None:
    low, high = conversation_of(str(one), str(other)).split("-")
    assert int(low) <= int(high)
    assert conversation_of(str(other), str(one)) == f"{low}-{high}"


@given(st.lists(st.sampled_from(["a & b", "<3", "https://shop.example/a?b=1&c=2", "ş 😀", "http://x.example/é"])))
def test_links_stand_where_the_entities_say(pieces: list[str]) -> None:
    text = " ".join(pieces)
    numbers = iter(range(1000))
    links = shortened(text, lambda: f"s{next(numbers)}")
    world = World()
    dm = Dm(id="9", conversation="1-2", sender="1", recipient="2", text=text, at=world.now(), links=links)
    data = legacy_message(dm, "")["message_create"]["message_data"]
    plain = event(dm, ["entities"])
    for url in data["entities"]["urls"]:
        start, end = url["indices"]
        assert data["text"][start:end] == url["url"]
    for url in plain.get("entities", {"urls": []})["urls"]:
        assert plain["text"][url["start"] : url["end"]] == url["url"]
        assert url["expanded_url"] in text
    assert html.unescape(data["text"]) == plain["text"]
    assert "example" not in plain["text"]


# who may call


async def test_a_signature_is_really_verified(sandbox: Sandbox) -> None:
    query = {"max_results": "5", "dm_event.fields": "sender_id,created_at"}
    await sandbox.say("Merhaba")
    good = sandbox.sign("GET", "/2/dm_events", query)
    answer = await sandbox.good("GET", "/2/dm_events", good, params=query)
    assert answer["data"][0]["sender_id"] == AYSE
    for refused in (
        good,  # the same nonce again
        sandbox.sign("GET", "/2/dm_events"),  # the query was left out
        sandbox.sign("POST", "/2/dm_events", query),
        sandbox.sign("GET", "/2/dm_events", query, oauth_token="another"),
        sandbox.sign("GET", "/2/dm_events", query, oauth_timestamp="1191242096"),
        {"Authorization": "Bearer unknown"},
        {},
    ):
        status, answer = await sandbox.call("GET", "/2/dm_events", refused, params=query)
        assert (status, answer["title"]) == (401, "Unauthorized")


async def test_a_form_is_signed_with_what_it_says(sandbox: Sandbox) -> None:
    path = f"/2/dm_conversations/with/{AYSE}/messages"
    signed = sandbox.sign("POST", path, {"text": "Merhaba"})
    assert (await sandbox.call("POST", path, signed, data={"text": "Para gönder"}))[0] == 401
    assert (await sandbox.call("POST", path, sandbox.sign("POST", path), json={"text": "Merhaba"}))[0] == 201
    signed = sandbox.sign("POST", path, {"text": "Merhaba"})
    assert (await sandbox.call("POST", path, signed, data={"text": "Merhaba"}))[0] == 201


async def test_a_file_larger_than_the_outer_application_takes_is_let_in(sandbox: Sandbox) -> None:
    body = {"media": base64.b64encode(picture(8, 8) + bytes(2 << 20)).decode(), "media_category": "dm_image"}
    assert (await sandbox.call("POST", "/2/media/upload", json=body))[0] == 200
    body["media"] = base64.b64encode(picture(8, 8) + bytes(5 << 20)).decode()
    assert (await sandbox.call("POST", "/2/media/upload", json=body))[0] == 400


async def test_each_call_takes_only_its_kind_of_token(sandbox: Sandbox) -> None:
    status, answer = await sandbox.call("GET", "/2/dm_events", APP)
    assert status == 403
    assert answer["type"].endswith("/unsupported-authentication")
    assert (await sandbox.call("GET", "/2/webhooks", USER))[0] == 403
    granted = await sandbox.tell("grant", line=SHOP, scopes="tweet.read users.read dm.read")
    reader = {"Authorization": f"Bearer {granted['access_token']}"}
    assert "refresh_token" not in granted
    assert (await sandbox.call("GET", "/2/dm_events", reader))[0] == 200
    body = {"text": "hi"}
    status, answer = await sandbox.call("POST", f"/2/dm_conversations/with/{AYSE}/messages", reader, json=body)
    assert (status, answer["detail"]) == (403, "Missing scopes: dm.write")


async def test_a_refresh_token_works_once(sandbox: Sandbox) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(b"client-id:client-secret").decode()}
    form = {"grant_type": "refresh_token", "refresh_token": "first-refresh"}
    assert (await sandbox.call("POST", "/2/oauth2/token", {}, data=form))[0] == 401
    new = await sandbox.good("POST", "/2/oauth2/token", basic, data=form)
    assert new["expires_in"] == 7200
    bearer = {"Authorization": f"Bearer {new['access_token']}"}
    assert (await sandbox.good("GET", "/2/users/me", bearer))["data"] == {
        "id": SHOP,
        "name": "Kumbara",
        "username": "kumbara",
    }
    status, answer = await sandbox.call("POST", "/2/oauth2/token", basic, data=form)
    assert (status, answer["error"]) == (400, "invalid_request")
    await sandbox.tell("settings", clock_offset=7300)
    assert (await sandbox.call("GET", "/2/users/me", bearer))[0] == 401
    form["refresh_token"] = new["refresh_token"]
    assert (await sandbox.good("POST", "/2/oauth2/token", basic, data=form))["refresh_token"] != new["refresh_token"]
    calls = (await sandbox.see("calls?method=oauth2.token"))["calls"]
    assert "first-refresh" not in json.dumps(calls)


async def test_an_app_gets_its_own_bearer(sandbox: Sandbox) -> None:
    form = {"grant_type": "client_credentials"}
    basic = {"Authorization": "Basic " + base64.b64encode(b"consumer-key:consumer-secret").decode()}
    assert (await sandbox.good("POST", "/oauth2/token", basic, data=form))["access_token"] == "app-bearer"
    assert (await sandbox.call("POST", "/oauth2/token", {}, data=form))[0] == 403


# sending


async def test_a_message_reaches_the_person(sandbox: Sandbox) -> None:
    status, answer = await sandbox.send(text="Kargonuz yolda & geliyor")
    assert status == 201
    assert answer["data"]["dm_conversation_id"] == f"{SHOP}-{AYSE}"
    (entry,) = (await sandbox.see("state"))["chats"][f"{SHOP}|{AYSE}"]
    assert (entry["from"], entry["text"], entry["status"]) == ("shop", "Kargonuz yolda & geliyor", "delivered")
    assert entry["id"] == answer["data"]["dm_event_id"]
    await sandbox.tell("read", person=AYSE, line=SHOP)
    (entry,) = (await sandbox.see("state"))["chats"][f"{SHOP}|{AYSE}"]
    assert entry["status"] == "read"


async def test_a_conversation_must_exist_and_be_named_rightly(sandbox: Sandbox) -> None:
    # Forty million is less than 1.5 quintillion, though "4" comes after "1".
    name, wrong = f"{IVAN}-{SHOP}", f"{SHOP}-{IVAN}"
    body = {"text": "Да"}
    assert (await sandbox.call("POST", f"/2/dm_conversations/{name}/messages", json=body))[0] == 404
    await sandbox.say("Где заказ?", IVAN)
    sent = await sandbox.good("POST", f"/2/dm_conversations/{name}/messages", json=body)
    assert sent["data"]["dm_conversation_id"] == name
    assert (await sandbox.call("POST", f"/2/dm_conversations/{wrong}/messages", json=body))[0] == 404
    assert (await sandbox.call("POST", f"/2/dm_conversations/{IVAN}-{AYSE}/messages", json=body))[0] == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": "x" * 10_001},
        {"text": "hi", "metadata": "own id"},
        {"attachments": []},
        {"attachments": [{"media_id": "1"}, {"media_id": "2"}]},
        {"attachments": [{"media_id": "1"}]},
        {"text": 5},
    ],
)
async def test_a_body_that_does_not_fit_is_refused(sandbox: Sandbox, body: dict[str, Any]) -> None:
    status, answer = await sandbox.send(**body)
    assert (status, answer["title"]) == (400, "Invalid Request")
    assert answer["errors"][0]["message"]
    assert not sandbox.world.dms


async def test_ten_thousand_characters_pass(sandbox: Sandbox) -> None:
    assert (await sandbox.send(text="ş" * 10_000))[0] == 201


async def test_who_takes_no_messages_gets_none(sandbox: Sandbox) -> None:
    await sandbox.tell("people", id="77", name="Mert", username="mert", open_dms=False)
    status, answer = await sandbox.send("77", text="Merhaba")
    assert (status, answer["detail"]) == (403, "You do not have permission to DM one or more participants.")
    await sandbox.say("Merhaba, bir sorum var", "77")
    assert (await sandbox.send("77", text="Buyurun"))[0] == 201
    await sandbox.tell("block", person="77", line=SHOP)
    assert (await sandbox.send("77", text="Orada mısınız?"))[0] == 403
    await sandbox.tell("unblock", person="77", line=SHOP)
    assert (await sandbox.send("77", text="Orada mısınız?"))[0] == 201
    assert (await sandbox.send("5", text="nobody"))[0] == 400


async def test_limits_are_counted_told_and_over_after_the_window(sandbox: Sandbox) -> None:
    for count in range(15):
        assert (await sandbox.send(text=f"{count}"))[0] == 201
        assert sandbox.headers["x-rate-limit-remaining"] == str(14 - count)
    status, answer = await sandbox.send(text="one too many")
    assert (status, answer["errors"][0]["code"]) == (429, 88)
    assert sandbox.headers["x-rate-limit-limit"] == "15"
    assert 0 < int(sandbox.headers["x-rate-limit-reset"]) - time.time() <= 901
    assert sandbox.headers["x-user-limit-24hour-remaining"] == "1425"
    assert len(sandbox.world.dms) == 15
    # Every way of listing spends the same budget.
    for path in ("/2/dm_events", f"/2/dm_conversations/with/{AYSE}/dm_events", "/2/dm_events/1") * 5:
        assert (await sandbox.call("GET", path))[0] == 200
    assert (await sandbox.call("GET", "/2/dm_events"))[0] == 429
    await sandbox.tell("settings", clock_offset=901)
    assert (await sandbox.send(text="later"))[0] == 201


async def test_without_credits_nothing_goes(sandbox: Sandbox) -> None:
    await sandbox.tell("settings", credits=0.03)
    first = await sandbox.say("Merhaba")
    for _ in range(3):
        assert (await sandbox.call("GET", f"/2/dm_events/{first}"))[0] == 200  # paid for once a day
    assert (await sandbox.send(text="Buyurun"))[0] == 201
    status, answer = await sandbox.send(text="Bir şey daha")
    assert (status, answer["title"]) == (402, "CreditsDepleted")
    assert answer["type"].endswith("/credits")
    await sandbox.tell("settings", credits=1)
    assert (await sandbox.send(text="Bir şey daha"))[0] == 201


# listing


async def test_an_event_shows_little_unless_more_is_asked_for(sandbox: Sandbox) -> None:
    first = await sandbox.say("A <b> & https://shop.example/p?a=1&b=2")
    answer = await sandbox.good("GET", "/2/dm_events")
    assert set(answer["data"][0]) == {"id", "text", "event_type"}
    assert "includes" not in answer
    params = {"dm_event.fields": ALL_FIELDS, "expansions": "sender_id", "user.fields": "created_at"}
    answer = await sandbox.good("GET", f"/2/dm_events/{first}", params=params)
    data = answer["data"]
    assert (data["sender_id"], data["dm_conversation_id"]) == (AYSE, f"{SHOP}-{AYSE}")
    assert data["text"].startswith("A <b> & https://t.co/")
    assert data["entities"]["urls"][0]["expanded_url"] == "https://shop.example/p?a=1&b=2"
    assert "participant_ids" not in data
    assert set(answer["includes"]["users"][0]) == {"id", "name", "username", "created_at"}
    status, answer = await sandbox.call("GET", "/2/dm_events", params={"dm_event.fields": "everything"})
    assert (status, answer["errors"][0]["parameters"]) == (400, {"dm_event.fields": ["everything"]})


async def test_data_and_errors_may_come_together(sandbox: Sandbox) -> None:
    await sandbox.say("Merhaba")
    await sandbox.tell("suspend", person=AYSE)
    answer = await sandbox.good("GET", "/2/dm_events", params={"expansions": "sender_id"})
    assert answer["data"]
    assert answer["errors"][0]["resource_id"] == AYSE
    assert "errors" in await sandbox.good("GET", f"/2/users/{AYSE}", APP)
    assert "errors" in await sandbox.good("GET", "/2/dm_events/12")


async def test_pages_go_from_new_to_old_and_end(sandbox: Sandbox) -> None:
    said = [await sandbox.say(str(number), AYSE if number % 2 else IVAN) for number in range(5)]
    seen: list[str] = []
    params = {"max_results": "2"}
    for size in (2, 2, 1):
        answer = await sandbox.good("GET", "/2/dm_events", params=params)
        assert answer["meta"]["result_count"] == size
        seen += [data["id"] for data in answer["data"]]
        if size == 2:
            params["pagination_token"] = answer["meta"]["next_token"]
    assert seen == said[::-1]
    assert "next_token" not in answer["meta"]
    only = await sandbox.good("GET", f"/2/dm_conversations/{IVAN}-{SHOP}/dm_events")
    assert [data["text"] for data in only["data"]] == ["4", "2", "0"]
    for params in ({"max_results": "101"}, {"max_results": "0"}, {"pagination_token": "zzz"}, {"event_types": "X"}):
        assert (await sandbox.call("GET", "/2/dm_events", params=params))[0] == 400


async def test_what_is_old_deleted_taken_back_or_encrypted_is_not_listed(sandbox: Sandbox) -> None:
    old = await sandbox.say("old")
    await sandbox.tell("settings", clock_offset=30 * 86_400 + 60, rate_limits=False)
    granted = await sandbox.tell("grant", line=SHOP)
    user = {"Authorization": f"Bearer {granted['access_token']}"}
    deleted, taken, kept = [await sandbox.say(text) for text in ("deleted", "taken back", "kept")]
    await sandbox.tell("encrypt", person=AYSE, line=SHOP, text="secret")
    await sandbox.tell("unsend", person=AYSE, line=SHOP, id=taken)
    answer = await sandbox.good("DELETE", f"/2/dm_events/{deleted}", user)
    assert answer == {"data": {"deleted": True}}
    answer = await sandbox.good("GET", "/2/dm_events", user)
    assert [data["id"] for data in answer["data"]] == [kept]
    assert (await sandbox.call("DELETE", f"/2/dm_events/{old}", user))[0] == 404
    # The person still has what only the shop deleted.
    entries = (await sandbox.see("state"))["chats"][f"{SHOP}|{AYSE}"]
    assert [entry["withdrawn"] for entry in entries] == [False, False, True, False, False]


# webhooks


async def test_a_message_arrives_signed_and_in_the_old_shape(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.received", "dm.sent")
    said = await sandbox.say("1 < 2 & see https://shop.example/x?a=1&b=2.")
    (body,) = await receiver.until(1)
    assert receiver.headers[0]["x-twitter-webhooks-signature"] == sealed("consumer-secret", receiver.raw[0])
    data = body["data"]
    assert (data["event_type"], data["filter"], data["tag"]) == ("dm.received", {"user_id": SHOP}, "support")
    int(data["event_uuid"])
    (message,) = data["payload"]["direct_message_events"]
    assert (message["type"], message["id"]) == ("message_create", said)
    assert message["created_timestamp"].isdigit()
    create = message["message_create"]
    assert (create["sender_id"], create["target"]) == (AYSE, {"recipient_id": SHOP})
    url = create["message_data"]["entities"]["urls"][0]
    assert create["message_data"]["text"] == f"1 &lt; 2 &amp; see {url['url']}."
    assert url["expanded_url"] == "https://shop.example/x?a=1&b=2"
    assert data["payload"]["users"][AYSE]["data"]["name"] == "Ayşe Kaya"


async def test_event_ids_are_signed_numbers(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.received")
    for number in range(12):
        await sandbox.say(str(number))
    bodies = await receiver.until(12)
    ids = [int(body["data"]["event_uuid"]) for body in bodies]
    assert min(ids) < 0 < max(ids)
    assert receiver.texts() == [str(number) for number in range(12)]


@pytest.mark.parametrize(
    ("answer", "valid_after"),
    [
        (lambda token: web.json_response({"response_token": "sha256=wrong"}), False),
        (lambda token: web.Response(status=302, headers={"Location": "/hook"}), False),
        (lambda token: web.Response(text="hello"), False),
        (lambda token: web.Response(status=503), True),
    ],
)
async def test_a_webhook_lives_by_its_answers(
    sandbox: Sandbox, receiver: Receiver, answer: Callable[[str], web.Response], valid_after: bool
) -> None:
    right = receiver.answer_challenge
    receiver.answer_challenge = answer
    status, refusal = await sandbox.call("POST", "/2/webhooks", APP, json={"url": receiver.url})
    assert status == 400
    assert refusal["errors"][0]["message"].startswith("CrcValidationFailed")
    receiver.answer_challenge = right
    webhook = await sandbox.connect(receiver, "dm.received")
    receiver.answer_challenge = answer
    assert (await sandbox.tell("check"))["webhooks"][0]["valid"]  # validated less than a day ago: not asked
    assert (await sandbox.tell("check", force=True))["webhooks"][0]["valid"] is valid_after
    await sandbox.say("Merhaba")
    await sandbox.world.idle()
    assert len(receiver.got) == valid_after
    await sandbox.tell("settings", clock_offset=28 * 3600 + 60)
    assert not (await sandbox.tell("check"))["webhooks"][0]["valid"]
    receiver.answer_challenge = right
    assert await sandbox.good("PUT", f"/2/webhooks/{webhook}", APP) == {"data": {"valid": True}}
    await sandbox.say("Orada mısınız?")
    await sandbox.world.idle()
    assert receiver.texts()[-1] == "Orada mısınız?"


async def test_whoever_signs_any_challenge_signs_a_strangers_message(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.received")
    body = {"for_user_id": SHOP, "direct_message_events": []}
    assert await sandbox.tell("trick", body=body) == {"signed": True, "status": 200}
    assert receiver.got == [body]
    receiver.answer_challenge = lambda token: web.Response(status=403)
    assert not (await sandbox.tell("trick", body=body))["signed"]


async def test_a_webhook_must_be_https_without_a_port_and_not_twice(sandbox: Sandbox, receiver: Receiver) -> None:
    origin, _, _ = receiver.url.rpartition("/")
    await sandbox.tell("settings", local_urls=False, reach={"https://shop.example": origin})
    for url in (receiver.url, "https://shop.example:8443/hook", "http://shop.example/hook", "shop.example", 5):
        status, answer = await sandbox.call("POST", "/2/webhooks", APP, json={"url": url})
        assert status == 400
        assert answer["errors"][0]["message"].startswith("UrlValidationFailed")
    good = {"url": "https://shop.example/hook"}
    made = await sandbox.good("POST", "/2/webhooks", APP, json=good)
    assert made["data"]["valid"]
    for body, reason in ((good, "DuplicateUrlFailed"), ({"url": "https://shop.example/2"}, "WebhookLimitExceeded")):
        status, answer = await sandbox.call("POST", "/2/webhooks", APP, json=body)
        assert status == 400
        assert answer["errors"][0]["message"].startswith(reason)
    assert (await sandbox.good("GET", "/2/webhooks", APP))["meta"] == {"result_count": 1}
    await sandbox.good("DELETE", f"/2/webhooks/{made['data']['id']}", APP)
    assert (await sandbox.good("GET", "/2/webhooks", APP))["data"] == []


async def test_the_newer_secret_signs_too(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.tell("settings", signatures="client")
    receiver.secret = "client-secret"
    await sandbox.connect(receiver, "dm.received")
    await sandbox.say("Merhaba")
    await receiver.until(1)
    assert receiver.headers[0]["x-twitter-webhooks-signature-oauth2"] == sealed("client-secret", receiver.raw[0])
    assert "x-twitter-webhooks-signature" not in receiver.headers[0]


async def test_private_events_need_their_own_user(sandbox: Sandbox, receiver: Receiver) -> None:
    webhook = await sandbox.connect(receiver, "dm.received")
    path, body = "/2/activity/subscriptions", {"event_type": "dm.read", "filter": {"user_id": SHOP}}
    assert (await sandbox.call("POST", path, APP, json=body))[0] == 403
    assert (await sandbox.call("POST", path, json={**body, "filter": {"user_id": AYSE}}))[0] == 403
    assert (await sandbox.call("POST", path, json={**body, "event_type": "dm.eaten"}))[0] == 400
    assert (await sandbox.call("POST", path, json={**body, "event_type": "oauth.revoke"}))[0] == 400
    assert (await sandbox.call("POST", path, json={**body, "webhook_id": "1"}))[0] == 400
    for shape in ("list", "object", "openapi"):
        await sandbox.tell("settings", subscription_answer=shape)
        made = await sandbox.good("POST", path, sandbox.sign("POST", path), json={**body, "webhook_id": webhook})
        data = {"list": lambda d: d[0], "object": lambda d: d, "openapi": lambda d: d["subscription"]}[shape](
            made["data"]
        )
        assert made["meta"]["total_subscriptions"] == 2
        status, answer = await sandbox.call("POST", path, json={**body, "webhook_id": webhook})
        assert status == 400
        assert answer["errors"][0]["message"].startswith("DuplicateSubscriptionFailed")
        gone = await sandbox.good("DELETE", f"{path}/{data['subscription_id']}")
        assert gone == {"data": {"deleted": True}, "meta": {"total_subscriptions": 1}}
    (left,) = (await sandbox.good("GET", path, APP))["data"]
    changed = await sandbox.good("PUT", f"{path}/{left['subscription_id']}", json={"tag": "new"})
    assert changed["data"]["subscription"]["tag"] == "new"


async def test_subscriptions_are_listed_page_by_page(sandbox: Sandbox, receiver: Receiver) -> None:
    events = ("dm.received", "dm.sent", "dm.read")
    await sandbox.connect(receiver, *events)
    await sandbox.tell("settings", subscriptions_page=2)
    path = "/2/activity/subscriptions"
    first = await sandbox.good("GET", path, APP)
    token = first["meta"]["next_token"]
    assert len(token) >= 16
    second = await sandbox.good("GET", f"{path}?pagination_token={token}", APP)
    assert tuple(row["event_type"] for row in first["data"] + second["data"]) == events
    assert "next_token" not in second["meta"]
    assert len((await sandbox.good("GET", f"{path}?max_results=1", APP))["data"]) == 1
    for wrong in ("max_results=0", "max_results=1001", "max_results=x", "pagination_token=zzz"):
        assert (await sandbox.call("GET", f"{path}?{wrong}", APP))[0] == 400


async def test_reading_typing_and_encrypted_chats_are_told(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.read", "dm.indicate_typing", "chat.received")
    await sandbox.tell("typing", person=AYSE, line=SHOP)
    _, sent = await sandbox.send(text="Buyurun")
    await sandbox.tell("read", person=AYSE, line=SHOP)
    await sandbox.tell("read", person=AYSE, line=SHOP)  # nothing new: nothing told
    await sandbox.tell("encrypt", person=AYSE, line=SHOP, text="gizli soru")
    await sandbox.world.idle()
    told = {body["data"]["event_type"]: body["data"]["payload"] for body in receiver.got}
    assert sorted(receiver.kinds()) == ["chat.received", "dm.indicate_typing", "dm.read"]
    (typing,) = told["dm.indicate_typing"]["direct_message_indicate_typing_events"]
    assert typing["sender_id"] == AYSE
    (read,) = told["dm.read"]["direct_message_mark_read_events"]
    assert (read["sender_id"], read["last_read_event_id"]) == (AYSE, sent["data"]["dm_event_id"])
    chat = told["chat.received"]
    assert chat["sender_id"] == AYSE
    assert set(chat["conversation_id"].split(":")) == {AYSE, SHOP}
    assert not any(b"gizli" in raw or base64.b64encode(b"gizli") in raw for raw in receiver.raw)


async def test_what_the_shop_sent_comes_back_whoever_sent_it(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.sent", "dm.read")
    await sandbox.tell("settings", auto_read=True)
    await sandbox.send(text="by us")
    await sandbox.tell("elsewhere", line=SHOP, person=AYSE, text="from the phone")
    await sandbox.tell("elsewhere", line=SHOP, person=AYSE, text="by another app", app="99")
    await sandbox.world.idle()
    messages = [m for body in receiver.got for m in body["data"]["payload"].get("direct_message_events", [])]
    apps = {m["message_create"]["message_data"]["text"]: m["message_create"].get("source_app_id") for m in messages}
    assert apps == {"by us": sandbox.world.app.id, "from the phone": None, "by another app": "99"}
    assert receiver.kinds().count("dm.read") == 3
    entries = (await sandbox.see("state"))["chats"][f"{SHOP}|{AYSE}"]
    assert [entry["from"] for entry in entries] == ["shop", "elsewhere", "elsewhere"]


async def test_an_encrypted_answer_from_the_app_is_told_without_its_words(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.sent", "chat.sent")
    await sandbox.tell("elsewhere", line=SHOP, person=AYSE, text="gizli cevap", encrypted=True)
    (body,) = await receiver.until(1)
    assert body["data"]["event_type"] == "chat.sent"
    assert body["data"]["payload"]["sender_id"] == SHOP
    assert b"gizli" not in receiver.raw[0]


async def test_two_accounts_of_the_shop_are_each_told(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.tell("lines", id="90", name="Kumbara DE", username="kumbara_de", bearer="second-token")
    webhook = await sandbox.connect(receiver, "dm.sent")
    body = {"event_type": "dm.received", "filter": {"user_id": "90"}, "webhook_id": webhook}
    await sandbox.good("POST", "/2/activity/subscriptions", {"Authorization": "Bearer second-token"}, json=body)
    _, sent = await sandbox.send("90", text="Hallo")
    bodies = await receiver.until(2)
    assert {(b["data"]["event_type"], b["data"]["filter"]["user_id"]) for b in bodies} == {
        ("dm.sent", SHOP),
        ("dm.received", "90"),
    }
    ids = {b["data"]["payload"]["direct_message_events"][0]["id"] for b in bodies}
    assert ids == {sent["data"]["dm_event_id"]}


async def test_a_quick_reply_brings_its_metadata(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.received")
    await sandbox.tell("press", person=AYSE, line=SHOP, label="Evet", payload="yes-1")
    (body,) = await receiver.until(1)
    data = body["data"]["payload"]["direct_message_events"][0]["message_create"]["message_data"]
    assert (data["text"], data["quick_reply_response"]) == ("Evet", {"type": "options", "metadata": "yes-1"})


async def test_the_older_api_wraps_and_nests_differently(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.received", "dm.sent", "chat.received")
    await sandbox.tell("settings", envelope="aaa")
    await sandbox.tell("encrypt", person=AYSE, line=SHOP, text="x")
    await sandbox.say("Merhaba")
    await sandbox.send(text="Buyurun")
    await sandbox.world.idle()
    received, sent = receiver.got
    assert received["for_user_id"] == SHOP
    assert received["users"][AYSE]["screen_name"] == "aysekaya"
    assert "apps" not in received
    assert sent["apps"][sandbox.world.app.id]["id"] == sandbox.world.app.id


async def test_a_revoked_permission_is_told_and_ends_everything(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.received")
    await sandbox.tell("revoke", line=SHOP)
    (body,) = await receiver.until(1)
    assert (body["data"]["event_type"], body["data"]["filter"]) == ("oauth.revoke", {})
    assert body["data"]["payload"]["user_id"] == SHOP
    assert (await sandbox.call("GET", "/2/users/me"))[0] == 401
    assert (await sandbox.see("state"))["subscriptions"] == []


# order, repetition, loss


async def test_events_can_be_held_turned_around_and_doubled(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.received")
    await sandbox.tell("hold")
    for text in "abc":
        await sandbox.say(text)
    await sandbox.world.idle()
    assert receiver.got == []
    await sandbox.tell("release", order="reverse")
    await receiver.until(3)
    assert receiver.texts() == ["c", "b", "a"]
    await sandbox.tell("repeat", event=receiver.got[0]["data"]["event_uuid"])
    await receiver.until(4)
    assert receiver.got[3] == receiver.got[0]
    await sandbox.tell("settings", duplicates=1.0, order="shuffled", shuffle_seconds=0.002)
    await sandbox.say("d")
    await sandbox.say("e")
    await receiver.until(8)
    assert sorted(receiver.texts()[4:]) == ["d", "d", "e", "e"]


async def test_a_failed_delivery_comes_again_only_by_replay(sandbox: Sandbox, receiver: Receiver) -> None:
    webhook = await sandbox.connect(receiver, "dm.received")
    receiver.answer = lambda: web.Response(status=500)
    await sandbox.say("missed")
    await sandbox.world.idle()
    (attempt,) = (await sandbox.see("attempts"))["attempts"]
    assert attempt["status"] == 500
    receiver.answer = web.Response
    await sandbox.tell("settings", clock_offset=120)
    now = sandbox.world.now()
    dates = {
        "webhook_id": webhook,
        "from_date": time.strftime("%Y%m%d%H%M", time.gmtime(now.timestamp() - 3600)),
        "to_date": time.strftime("%Y%m%d%H%M", time.gmtime(now.timestamp())),
    }
    job = (await sandbox.good("POST", "/2/webhooks/replay", APP, json=dates))["data"]["job_id"]
    bodies = await receiver.until(3)
    assert bodies[1] == bodies[0]
    assert bodies[2]["replay_job_status"]["job_id"] == job
    assert bodies[2]["replay_job_status"]["job_state"] == "Complete"
    for wrong in ({"from_date": "yesterday"}, {"to_date": dates["from_date"]}, {"to_date": "999912312359"}):
        status, answer = await sandbox.call("POST", "/2/webhooks/replay", APP, json={**dates, **wrong})
        assert status == 400
        assert answer["errors"][0]["message"].startswith("QueryParamInvalid")


async def test_the_echo_may_come_before_the_answer(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.sent")
    await sandbox.tell("settings", echo_first=True)
    _, answer = await sandbox.send(text="Buyurun")
    (body,) = receiver.got
    assert body["data"]["payload"]["direct_message_events"][0]["id"] == answer["data"]["dm_event_id"]


async def test_a_line_may_break_after_the_message_went_out(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.sent")
    await sandbox.tell("trouble", rules=[{"match": "messages.create", "action": "drop_after", "times": 1}])
    with pytest.raises(aiohttp.ClientError):
        await sandbox.send(text="went out")
    await receiver.until(1)
    assert receiver.texts() == ["went out"]
    await sandbox.tell("trouble", rules=[{"match": "messages.*", "action": "ratelimit", "retry_after": 60, "times": 1}])
    status, answer = await sandbox.send(text="not this")
    assert (status, answer["errors"][0]["code"]) == (429, 88)
    assert len(sandbox.world.dms) == 1
    calls = (await sandbox.see("calls?method=messages.create"))["calls"]
    assert [call["trouble"] for call in calls] == ["", "before it took effect"]


# files


async def test_a_customers_picture_is_fetched_with_the_users_token(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.received")
    data = picture(30, 20)
    file = {"data": base64.b64encode(data).decode(), "media_type": "image/png", "filename": "kutu.png"}
    await sandbox.say("Kırık geldi", file=file)
    (body,) = await receiver.until(1)
    message = body["data"]["payload"]["direct_message_events"][0]["message_create"]["message_data"]
    media = message["attachment"]["media"]
    assert (message["attachment"]["type"], media["type"]) == ("media", "photo")
    assert message["text"] == f"Kırık geldi {media['url']}"
    path = media["media_url_https"].removeprefix("https://ton.twitter.com/1.1/ton/data/dm/")
    new, old = f"/2/dm_conversations/media/{path}", f"/1.1/ton/data/dm/{path}"
    async with sandbox.http.get(sandbox.address + new, headers=USER) as response:
        assert (response.status, await response.read()) == (200, data)
        assert response.content_type == "application/octet-stream"
    async with sandbox.http.get(sandbox.address + old, headers=sandbox.sign("GET", old)) as response:
        assert (response.status, await response.read()) == (200, data)
    assert (await sandbox.call("GET", new, sandbox.sign("GET", new)))[0] == 403
    assert (await sandbox.call("GET", new, {}))[0] == 401
    assert (await sandbox.call("GET", new.replace(".png", ".jpg")))[0] == 404
    params = {"expansions": "attachments.media_keys", "media.fields": "url"}
    answer = await sandbox.good("GET", "/2/dm_events", params=params)
    assert answer["includes"]["media"][0]["media_key"] == answer["data"][0]["attachments"]["media_keys"][0]
    assert answer["includes"]["media"][0]["url"].endswith(path)
    (entry,) = (await sandbox.see("state"))["chats"][f"{SHOP}|{AYSE}"]
    assert entry["file"] | {"url": ""} == {
        "url": "",
        "media_type": "image/png",
        "filename": "kutu.png",
        "size": len(data),
    }
    async with sandbox.http.get(sandbox.address.removesuffix("/x") + entry["file"]["url"]) as response:
        assert await response.read() == data


async def test_a_picture_goes_up_and_out(sandbox: Sandbox) -> None:
    form = aiohttp.FormData({"media_category": "dm_image"})
    form.add_field("media", picture(8, 8), filename="a.png", content_type="image/png")
    made = (await sandbox.good("POST", "/2/media/upload", data=form))["data"]
    assert made["media_key"] == f"3_{made['id']}"
    assert made["expires_after_secs"] == 86_400
    status, _ = await sandbox.send(attachments=[{"media_id": made["id"]}])
    assert status == 201
    path = "/2/media/upload"
    body = {"media": base64.b64encode(picture(8, 8)).decode(), "media_category": "tweet_image"}
    other = (await sandbox.good("POST", path, sandbox.sign("POST", path), json=body))["data"]
    assert (await sandbox.send(attachments=[{"media_id": other["id"]}]))[0] == 400  # not a category for messages
    await sandbox.tell("settings", clock_offset=86_401)
    granted = await sandbox.tell("grant", line=SHOP)
    late = {"Authorization": f"Bearer {granted['access_token']}"}
    path = f"/2/dm_conversations/with/{AYSE}/messages"
    assert (await sandbox.call("POST", path, late, json={"attachments": [{"media_id": made["id"]}]}))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        {"media": "!", "media_category": "dm_image"},
        {"media": base64.b64encode(b"%PDF-1.7").decode(), "media_category": "dm_image"},
        {"media": base64.b64encode(picture(8, 8)).decode(), "media_category": "dm_video"},
        {"media": base64.b64encode(picture(8, 8)).decode()},
        {"media_category": "dm_image"},
    ],
)
async def test_what_is_no_picture_or_film_stays_out(sandbox: Sandbox, body: dict[str, Any]) -> None:
    assert (await sandbox.call("POST", "/2/media/upload", json=body))[0] == 400


async def test_a_film_goes_up_in_pieces_and_takes_a_while(sandbox: Sandbox) -> None:
    film = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 8
    body: dict[str, Any] = {"media_type": "video/mp4", "total_bytes": len(film), "media_category": "dm_video"}
    made = (await sandbox.good("POST", "/2/media/upload/initialize", json=body))["data"]
    path = f"/2/media/upload/{made['id']}"
    half = len(film) // 2
    second = {"segment_index": 1, "media": base64.b64encode(film[half:]).decode()}
    await sandbox.good("POST", f"{path}/append", json=second)
    status, answer = await sandbox.call("POST", f"{path}/finalize")
    assert (status, answer["errors"][0]["message"]) == (400, "Segments do not add up to provided total file size.")
    form = aiohttp.FormData({"segment_index": "0"})
    form.add_field("media", film[:half], filename="blob")
    await sandbox.good("POST", f"{path}/append", data=form)
    done = (await sandbox.good("POST", f"{path}/finalize"))["data"]
    assert (done["size"], done["processing_info"]["state"]) == (len(film), "pending")
    attachment: dict[str, Any] = {"attachments": [{"media_id": made["id"]}]}
    assert (await sandbox.send(**attachment))[0] == 400
    params = {"command": "STATUS", "media_id": made["id"]}
    answer = await sandbox.good("GET", "/2/media/upload", params=params)
    assert answer["data"]["processing_info"]["state"] == "succeeded"
    assert (await sandbox.send(**attachment))[0] == 201


# the control side


async def test_the_control_side_says_what_is_wrong(sandbox: Sandbox) -> None:
    for path, body, status in (
        ("say", {"person": "1", "line": SHOP, "text": "x"}, 404),
        ("say", {"person": AYSE, "line": AYSE, "text": "x"}, 404),
        ("say", {"person": AYSE, "line": SHOP, "text": " "}, 400),
        ("say", {"person": AYSE, "line": SHOP, "file": {"media_type": "application/pdf", "data": ""}}, 400),
        ("settings", {"speed": 3}, 400),
        ("settings", {"order": "backwards"}, 400),
        ("repeat", {"event": "1"}, 404),
        ("release", {"order": "sideways"}, 400),
    ):
        async with sandbox.http.post(f"{sandbox.address}/control/{path}", json=body) as response:
            assert response.status == status, (path, body)
            assert (await response.json())["error"]
    await sandbox.tell("block", person=AYSE, line=SHOP)
    async with sandbox.http.post(
        f"{sandbox.address}/control/say", json={"person": AYSE, "line": SHOP, "text": "x"}
    ) as response:
        assert response.status == 400
    await sandbox.tell("reset")
    state = await sandbox.see("state")
    assert (state["chats"], state["people"], state["lines"]) == ({}, {}, {})


async def test_a_watcher_sees_everything_as_it_happens(sandbox: Sandbox) -> None:
    async with sandbox.http.get(f"{sandbox.address}/control/stream") as response:
        await response.content.readline()
        file = {"data": base64.b64encode(picture(8, 8)).decode(), "media_type": "image/png"}
        said = await sandbox.say("Merhaba", file=file)
        async with asyncio.timeout(20):
            while not (line := await response.content.readline()).startswith(b"data: "):
                pass
        record = json.loads(line.removeprefix(b"data: "))
    assert (record["type"], record["chat"], record["entry"]["id"]) == ("message", f"{SHOP}|{AYSE}", said)
    assert record["entry"]["file"]["url"].startswith("/x/control/files/")


async def test_chance_repeats_itself_with_the_same_seed(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver, "dm.received")
    for _ in range(2):
        await sandbox.tell("settings", seed=11)
        await sandbox.say("https://shop.example/a")
        await sandbox.world.idle()
    first, second = (body["data"]["event_uuid"] for body in receiver.got)
    assert first == second
    assert receiver.texts()[0] == receiver.texts()[1]


async def test_anything_at_all_can_be_posted(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.connect(receiver)
    await sandbox.tell("raw", body={"data": {"event_type": "something.new"}})
    await receiver.until(1)
    assert receiver.headers[0]["x-twitter-webhooks-signature"] == sealed("consumer-secret", receiver.raw[0])
