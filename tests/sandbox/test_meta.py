"""The emulator of Meta's Graph API, driven over HTTP by a shop that receives webhooks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from sandbox.meta import World, application
from sandbox.meta.accounts import spellings
from sandbox.meta.graph import proof_of
from sandbox.meta.pages import fields
from sandbox.meta.post import body, retry_delay, signature
from sandbox.meta.rates import Rates

SECRET = "app-secret"
NUMBER, WABA, PAGE, IG, IG_LOGIN = (
    "106540000000001",
    "102290000000001",
    "20000000001",
    "17840000000001",
    "17840000000002",
)
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
DAY = 86_400

Json = dict[str, Any]


class Shop:
    """The shop's webhook: checks signatures, answers what it is told to, and remembers."""

    def __init__(self) -> None:
        self.got: list[Json] = []
        self.raw: list[bytes] = []
        self.answers: Callable[[Json], int] = lambda payload: 200
        self.changed = asyncio.Condition()
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        raw = await request.read()
        expected = "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        assert request.headers["X-Hub-Signature-256"] == expected
        payload = json.loads(raw)
        status = self.answers(payload)
        async with self.changed:
            self.got.append(payload)
            self.raw.append(raw)
            self.changed.notify_all()
        return web.Response(status=status)

    async def shake(self, request: web.Request) -> web.Response:
        if request.query["hub.verify_token"] != "verify-me":
            return web.Response(status=403)
        return web.Response(text=request.query["hub.challenge"])

    async def picture(self, request: web.Request) -> web.Response:
        return web.Response(body=PNG, content_type=request.query.get("type", "image/png"))

    async def until(self, count: int) -> list[Json]:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: len(self.got) >= count)
        return self.got

    def items(self, object: str = "") -> list[Json]:
        """Everything told (of one object), flat: items of messaging and standby, values of changes."""
        found: list[Json] = []
        for payload in self.got:
            for entry in payload["entry"] if object in ("", payload["object"]) else []:
                found += entry.get("messaging", []) + entry.get("standby", [])
                found += [change["value"] for change in entry.get("changes", [])]
        return found

    def statuses(self) -> list[Json]:
        return [status for item in self.items() for status in item.get("statuses", [])]


class Sandbox:
    def __init__(self, world: World, address: str, http: aiohttp.ClientSession) -> None:
        self.world = world
        self.address = address
        self.http = http

    async def call(
        self, method: str, path: str, token: str | None = "T-WA", version: str = "v25.0", **values: Any
    ) -> tuple[int, Json]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        sent = {"params": values} if method == "GET" else {"json": values}
        async with self.http.request(
            method,
            f"{self.address}/meta/{version}/{path}",
            headers=headers,
            **sent,  # type: ignore[arg-type]
        ) as response:
            return response.status, await response.json()

    async def wa(self, to: str = "905550000101", **message: Any) -> tuple[int, Json]:
        message.setdefault("type", "text")
        whom = {} if "recipient" in message else {"to": to}
        return await self.call("POST", f"{NUMBER}/messages", messaging_product="whatsapp", **whom, **message)

    async def page(self, line: str = PAGE, person: str = "ayse", **message: Any) -> tuple[int, Json]:
        world = self.world
        scoped = world.accounts.scoped(world.accounts.lines[line], world.accounts.person(person))
        token = world.accounts.lines[line].token
        path = PAGE if line == IG else line
        given = {"recipient": {"id": scoped}, "messaging_type": "RESPONSE", **message}
        return await self.call("POST", f"{path}/messages", token=token, **given)

    async def tell(self, path: str, **values: Any) -> Json:
        async with self.http.post(f"{self.address}/meta/control/{path}", json=values) as response:
            answer: Json = await response.json()
            assert response.status == 200, answer
            return answer

    def entry(self, line: str, person: str = "ayse", place: int = -1) -> Json:
        entry: Json = self.world.state("")["chats"][f"{line}|{person}"][place]
        return entry


def code(answer: tuple[int, Json]) -> tuple[int, int]:
    error = answer[1]["error"]
    return error["code"], error.get("error_subcode", 0)


async def served(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    app = web.Application()
    app.router.add_get("/hook", shop.shake)
    app.router.add_post("/hook", shop.receive)
    app.router.add_get("/picture.png", shop.picture)
    runner, address = await served(app)
    shop.url = f"{address}/hook"
    yield shop
    await runner.cleanup()


@pytest.fixture
async def sandbox(shop: Shop) -> AsyncIterator[Sandbox]:
    world = World(app_secret=SECRET, seed=7)
    outer = web.Application()
    outer.add_subapp("/meta", application(world))
    runner, address = await served(outer)
    world.base = f"{address}/meta"
    await world.settle({"retry_scale": 0.0001})
    world.add_number(id=NUMBER, waba=WABA, display="+90 555 000 01 00", name="Kumbara", token="T-WA", coexistence=True)
    world.add_page(id=PAGE, name="Kumbara", token="T-PAGE")
    world.add_instagram(id=IG, username="kumbara", page=PAGE)
    world.add_instagram(id=IG_LOGIN, username="kumbara.intl", login="instagram", token="T-IG")
    world.add_template(WABA, name="order_ready", language="tr", body="Merhaba {{1}}, {{2}} hazır.")
    world.add_person("ayse", "Ayşe Kaya", phone="+90 555 000 01 01", username="ayse.k")
    world.subscribe(shop.url, "verify-me")
    async with aiohttp.ClientSession() as http:
        yield Sandbox(world, address, http)
    await runner.cleanup()


# vectors


def test_bodies_and_signatures_are_those_of_the_vectors() -> None:
    raw = body({"text": "äöå", "u": "https://x"})
    assert raw == b'{"text":"\\u00e4\\u00f6\\u00e5","u":"https:\\/\\/x"}'
    assert signature(SECRET, raw) == "sha256=8c356952e42bf195f841383d3dcaac686d8b80cd6f681ecd0f03048857e99fef"
    assert proof_of(SECRET, "token123") == "ef3d95c21167e6899e1fda0a9f0750a79f9d62b3476b644437874685942870e3"


@given(st.dictionaries(st.text(), st.text()))
def test_a_body_is_ascii_and_says_what_was_meant(payload: dict[str, str]) -> None:
    raw = body(payload)
    assert raw.isascii()
    assert json.loads(raw) == payload


def test_waits_grow_and_end() -> None:
    waits = [retry_delay(tries) for tries in range(1, 30)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (5.0, 21_600.0)


def test_one_mobile_has_two_spellings() -> None:
    for short, long in (("551187654321", "5511987654321"), ("525512345678", "5215512345678")):
        assert spellings(short) == spellings(long) == {short, long}
    assert spellings("905550000101") == {"905550000101"}


def test_fields_expand() -> None:
    assert fields("participants,messages.limit(5){id,from{name}}") == {
        "participants": {},
        "messages": {"id": {}, "from": {"name": {}}},
    }


@given(st.integers(1, 20), st.floats(0.5, 10))
def test_a_bucket_gives_its_burst_and_then_one_each_interval(burst: int, seconds: float) -> None:
    rates = Rates()
    assert [rates.drip(("pair",), burst, seconds, 1000.0) for _ in range(burst + 1)] == [True] * burst + [False]
    assert rates.drip(("pair",), burst, seconds, 1000.0 + seconds * 1.001)
    assert not rates.drip(("pair",), burst, seconds, 1000.0 + seconds * 1.001)


# webhooks


async def test_a_text_comes_signed_in_whatsapps_shape(sandbox: Sandbox, shop: Shop) -> None:
    said = await sandbox.tell("say", person="ayse", line=NUMBER, text="Siparişim nerede?")
    (payload,) = await shop.until(1)
    assert (payload["object"], payload["entry"][0]["id"]) == ("whatsapp_business_account", WABA)
    value = payload["entry"][0]["changes"][0]["value"]
    assert value["metadata"] == {"display_phone_number": "905550000100", "phone_number_id": NUMBER}
    contact, message = value["contacts"][0], value["messages"][0]
    assert contact["profile"] == {"name": "Ayşe Kaya", "username": "ayse.k"}
    assert contact["user_id"] == message["from_user_id"]
    assert (message["from"], message["id"], message["text"]) == (
        "905550000101",
        said["id"],
        {"body": "Siparişim nerede?"},
    )
    assert isinstance(message["timestamp"], str)
    assert b"\\u015f" in shop.raw[0]


async def test_a_webhook_is_repeated_until_200_and_holds_up_nobody(sandbox: Sandbox, shop: Shop) -> None:
    refusals = iter([500, 302, 201])

    def answers(payload: Json) -> int:
        return next(refusals, 200) if "one" in json.dumps(payload) else 200

    shop.answers = answers
    await sandbox.world.say("ayse", PAGE, "one")
    await sandbox.world.say("ayse", PAGE, "two")
    await sandbox.world.idle()
    texts = [item["message"]["text"] for item in shop.items()]
    assert texts.count("one") == 4
    assert texts.count("two") == 1
    attempts = [one["status"] for one in sandbox.world.journal.attempts() if "one" in json.dumps(one["body"])]
    assert attempts == [500, 302, 201, 200]


async def test_nothing_comes_without_both_subscriptions(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    await world.unsubscribe(NUMBER)
    await world.say("ayse", NUMBER, "anybody?")
    await world.idle()
    assert shop.got == []
    assert await sandbox.call("GET", f"{WABA}/subscribed_apps") == (200, {"data": []})
    assert await sandbox.call("POST", f"{WABA}/subscribed_apps") == (200, {"success": True})
    await world.say("ayse", NUMBER, "and now?")
    await world.idle()
    assert len(shop.got) == 1


async def test_the_handshake_decides_about_a_subscription(sandbox: Sandbox, shop: Shop) -> None:
    path, token = f"{sandbox.world.accounts.app_id}/subscriptions", sandbox.world.accounts.app_token
    given = {"object": "page", "callback_url": shop.url, "fields": "messages,message_echoes"}
    assert code(await sandbox.call("POST", path, token=token, verify_token="wrong", **given)) == (2200, 0)
    assert code(await sandbox.call("POST", path, verify_token="verify-me", **given)) == (15, 0)
    assert await sandbox.call("POST", path, token=token, verify_token="verify-me", **given) == (200, {"success": True})
    _, answer = await sandbox.call("GET", path, token=token)
    (page,) = [row for row in answer["data"] if row["object"] == "page"]
    assert [field["name"] for field in page["fields"]] == ["messages", "message_echoes"]
    _, answer = await sandbox.call(
        "POST", f"{PAGE}/subscribed_apps", token="T-PAGE", subscribed_fields=["messages", "standby"]
    )
    assert answer == {"success": True}
    _, answer = await sandbox.call("GET", f"{PAGE}/subscribed_apps", token="T-PAGE")
    assert answer["data"][0]["subscribed_fields"] == ["messages", "standby"]


async def test_a_number_or_its_account_may_be_told_elsewhere(sandbox: Sandbox, shop: Shop) -> None:
    """The number's own address comes first, then its account's, then the app's; templates are the app's alone."""
    world = sandbox.world

    def led(url: str, word: str = "verify-me") -> Json:
        return {"override_callback_uri": url, "verify_token": word}

    async def heard() -> str:
        await world.say("ayse", NUMBER, "Merhaba")
        await world.idle()
        return str(world.journal.attempts(0)[-1]["url"]).removeprefix(shop.url)

    async def told(**given: Any) -> int:
        return (await sandbox.call("POST", NUMBER, token="T-WA", webhook_configuration=given))[0]

    async def wanted() -> Json:
        answer = (await sandbox.call("GET", NUMBER, token="T-WA", fields="webhook_configuration"))[1]
        return dict(answer["webhook_configuration"])

    assert await heard() == "" and await wanted() == {"application": shop.url}
    account = {**led(f"{shop.url}?of=account")}
    assert (await sandbox.call("POST", f"{WABA}/subscribed_apps", token="T-WA", **account))[0] == 200
    assert await heard() == "?of=account"
    assert await told(**led(f"{shop.url}?of=number", "wrong")) == 400
    assert await told(**led(f"{shop.url}?of=number")) == 200
    assert await heard() == "?of=number"
    assert (await wanted())["phone_number"] == f"{shop.url}?of=number"
    await world.change_template(WABA, "order_ready", "tr", "PAUSED")
    await world.idle()
    assert world.journal.attempts(0)[-1]["url"] == shop.url
    assert await told(override_callback_uri="") == 200
    assert (await sandbox.call("POST", f"{WABA}/subscribed_apps", token="T-WA"))[0] == 200
    assert await heard() == ""


async def test_a_batch_carries_entries_of_several_accounts(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    world.add_page(id="20000000002", name="Second", token="T-PAGE2")
    world.subscribe(shop.url, "verify-me", ["20000000002"])
    await world.settle({"batch": True})
    await world.hold()
    for line in (PAGE, "20000000002", PAGE):
        await world.say("ayse", line, "hi")
    await world.release()
    await world.idle()
    (payload,) = shop.got
    assert [(entry["id"], len(entry["messaging"])) for entry in payload["entry"]] == [(PAGE, 2), ("20000000002", 1)]


async def test_what_a_number_is_told_at_once_may_share_one_value(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    world.add_person("boris", "Борис", phone="+90 555 000 01 02")
    await world.settle({"batch": True, "crowded": True})
    await world.hold()
    await world.say("ayse", NUMBER, "bir")
    await world.say("boris", NUMBER, "iki")
    await world.say("ayse", NUMBER, "üç")
    await world.raw(NUMBER, {"field": 7})
    await world.release()
    await world.idle()
    (payload,) = shop.got
    value, odd = (change.get("value") for change in payload["entry"][0]["changes"])
    assert [one["text"]["body"] for one in value["messages"]] == ["bir", "iki", "üç"]
    assert len(value["contacts"]) == 2 and odd is None


async def test_order_duplicates_and_repeats_are_chosen_by_the_seed(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    await world.hold()
    for number in range(6):
        await world.say("ayse", PAGE, str(number))
    await world.release("reverse")
    await world.idle()
    assert [item["message"]["text"] for item in shop.items()] == ["5", "4", "3", "2", "1", "0"]
    await world.settle({"order": "shuffled", "duplicates": 1.0, "seed": 3})
    shop.got.clear()
    await world.hold()
    for number in range(6):
        await world.say("ayse", PAGE, str(number))
    await world.release()
    await world.idle()
    texts = [item["message"]["text"] for item in shop.items()]
    assert sorted(texts) == sorted("012345" * 2)
    assert texts != sorted(texts)
    await world.settle({"order": "", "duplicates": 0})
    shop.got.clear()
    said = await world.say("ayse", NUMBER, "again")
    await world.idle()
    assert await sandbox.tell("repeat", id=said) == {"repeated": 1}
    await world.idle()
    assert shop.got[0] == shop.got[1]


async def test_a_webhook_that_fails_too_long_is_unsubscribed(sandbox: Sandbox, shop: Shop) -> None:
    shop.answers = lambda payload: 500
    await sandbox.world.say("ayse", PAGE, "hello")
    await shop.until(1)
    await sandbox.world.settle({"clock_offset": 37 * 3600})
    await sandbox.world.idle()
    assert not sandbox.world.state()["lines"][PAGE]["subscribed"]


async def test_the_test_button_sends_what_nobody_wrote(sandbox: Sandbox, shop: Shop) -> None:
    for line in (NUMBER, PAGE, IG):
        await sandbox.world.test_button(line)
    await sandbox.world.idle()
    entries = [payload["entry"][0] for payload in shop.got]
    assert {entry["id"] for entry in entries} == {"0"}
    assert sum("changes" in entry for entry in entries) == 2


async def test_timestamps_come_in_the_other_unit_on_request(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.world.settle({"timestamps": "other"})
    await sandbox.world.say("ayse", NUMBER, "hi")
    await sandbox.world.say("ayse", PAGE, "hi")
    await sandbox.world.idle()
    whatsapp = next(item for item in shop.items() if "messages" in item)
    page = next(item for item in shop.items() if "message" in item)
    assert len(whatsapp["messages"][0]["timestamp"]) == 13
    assert page["timestamp"] < 10**11


# WhatsApp


async def test_a_message_rises_to_read_and_carries_our_word_back(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.world.say("ayse", NUMBER, "hi")
    status, answer = await sandbox.wa(text={"body": "merhaba"}, biz_opaque_callback_data="ours-1")
    assert status == 200
    assert answer["contacts"][0]["wa_id"] == "905550000101"
    await sandbox.world.idle()
    await sandbox.world.read("ayse", NUMBER)
    await sandbox.world.idle()
    told = shop.statuses()
    assert [one["status"] for one in told] == ["sent", "delivered", "read"]
    assert {one["id"] for one in told} == {answer["messages"][0]["id"]}
    assert {one["biz_opaque_callback_data"] for one in told} == {"ours-1"}
    assert sandbox.entry(NUMBER)["status"] == "read"


async def test_a_status_may_beat_the_answer(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.world.say("ayse", NUMBER, "hi")
    await sandbox.world.idle()
    await sandbox.world.settle({"callback_first": True})
    _, answer = await sandbox.wa(text={"body": "merhaba"})
    assert [one["id"] for one in shop.statuses()] == [answer["messages"][0]["id"]] * 2


async def test_outside_the_window_a_text_is_accepted_and_fails_and_a_template_goes(
    sandbox: Sandbox, shop: Shop
) -> None:
    world = sandbox.world
    await world.say("ayse", NUMBER, "hi")
    await world.settle({"clock_offset": DAY + 1})
    status, _ = await sandbox.wa(text={"body": "too late"})
    assert status == 200
    await world.idle()
    (failed,) = shop.statuses()
    assert (failed["status"], failed["errors"][0]["code"]) == ("failed", 131047)
    assert (sandbox.entry(NUMBER)["status"], sandbox.entry(NUMBER)["code"]) == ("failed", "131047")
    parameters = [{"type": "text", "text": "Ayşe"}, {"type": "text", "text": "A-12"}]
    template = {
        "name": "order_ready",
        "language": {"policy": "deterministic", "code": "tr"},
        "components": [{"type": "body", "parameters": parameters}],
    }
    status, answer = await sandbox.wa(type="template", template=template)
    assert (status, answer["messages"][0]["message_status"]) == (200, "accepted")
    await world.idle()
    entry = sandbox.entry(NUMBER)
    assert (entry["template"], entry["text"], entry["status"]) == (
        "order_ready",
        "Merhaba Ayşe, A-12 hazır.",
        "delivered",
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"language": {"code": "tr_TR"}}, 132001),
        ({"name": "nope"}, 132001),
        ({"components": []}, 132000),
        ({"components": [{"type": "body", "parameters": [{"type": "text", "text": "a\nb"}] * 2}]}, 132012),
        ({"components": [{"type": "body", "parameters": [{"type": "currency"}] * 2}]}, 132012),
        ({"components": [{"type": "body", "parameters": [{"type": "text", "text": "x" * 600}] * 2}]}, 132005),
    ],
)
async def test_templates_are_checked(sandbox: Sandbox, change: Json, expected: int) -> None:
    template = {"name": "order_ready", "language": {"code": "tr"}, **change}
    assert code(await sandbox.wa(type="template", template=template))[0] == expected


async def test_paused_templates_and_pages_of_templates(sandbox: Sandbox, shop: Shop) -> None:
    sandbox.world.add_template(WABA, name="order_ready", language="ru", body="Готово")
    await sandbox.world.change_template(WABA, "order_ready", "ru", "PAUSED")
    paused = await sandbox.wa(type="template", template={"name": "order_ready", "language": {"code": "ru"}})
    assert code(paused) == (132015, 0)
    _, first = await sandbox.call("GET", f"{WABA}/message_templates", limit="1")
    assert [row["language"] for row in first["data"]] == ["tr"]
    async with sandbox.http.get(first["paging"]["next"], headers={"Authorization": "Bearer T-WA"}) as response:
        second = await response.json()
    assert [(row["language"], row["status"]) for row in second["data"]] == [("ru", "PAUSED")]
    assert "next" not in second["paging"]


async def test_a_bsuid_goes_to_recipient_and_is_dropped_in_silence_in_to(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    await world.adopt_username("ayse", "ayse.k")
    await world.say("ayse", NUMBER, "hi")
    await world.idle()
    (message,) = shop.items()[0]["messages"]
    assert "from" not in message
    assert "wa_id" not in shop.items()[0]["contacts"][0]
    status, answer = await sandbox.wa(to=message["from_user_id"], text={"body": "lost"})
    assert (status, answer["messages"][0]["id"][:5]) == (200, "wamid")
    await world.idle()
    assert (shop.statuses(), len(world.state()["chats"][f"{NUMBER}|ayse"])) == ([], 1)
    assert "dropped in silence" in world.state()["notes"][0]["note"]
    status, answer = await sandbox.wa(recipient=message["from_user_id"], text={"body": "here"})
    assert (status, "wa_id" in answer["contacts"][0]) == (200, False)
    await world.idle()
    assert [one["status"] for one in shop.statuses()] == ["sent", "delivered"]
    assert code(await sandbox.wa(recipient=message["from_user_id"], recipient_type="bsuid"))[0] == 100
    world.add_template(WABA, name="login_code", language="tr", body="{{1}}", category="AUTHENTICATION")
    sign_in: Json = {"name": "login_code", "language": {"code": "tr"}}
    sign_in |= {"components": [{"type": "body", "parameters": [{"type": "text", "text": "1234"}]}]}
    answered = await sandbox.wa(recipient=message["from_user_id"], type="template", template=sign_in)
    assert code(answered) == (131062, 0)


def interactive(kind: str, action: Json, text: str = "Seçin") -> Json:
    return {"type": "interactive", "interactive": {"type": kind, "body": {"text": text}, "action": action}}


def buttons(*titles: str) -> Json:
    return {"buttons": [{"type": "reply", "reply": {"id": f"id-{title}", "title": title}} for title in titles]}


def rows(*titles: str, description: str = "") -> Json:
    listed = [{"id": f"id-{title}", "title": title, "description": description} for title in titles]
    return {"button": "Seç", "sections": [{"title": "Hepsi", "rows": listed}]}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"text": {"body": "x" * 4097}}, 100),
        ({"text": {}}, 131008),
        ({"type": "poll"}, 100),
        ({"text": {"body": "x"}, "biz_opaque_callback_data": "x" * 513}, 100),
        ({"type": "image", "image": {"link": "https://x/y.png", "caption": "x" * 1025}}, 100),
        ({"type": "audio", "audio": {"link": "https://x/y.mp3", "caption": "x"}}, 100),
        ({"type": "image", "image": {"id": "404"}}, 100),
        (interactive("button", buttons("x" * 21)), 131009),
        (interactive("button", buttons("a", "b", "c", "d")), 131009),
        (interactive("button", buttons("a", "a")), 131009),
        (interactive("button", buttons("a"), "x" * 1025), 100),
        (interactive("button", buttons("a"), ""), 131008),
        (interactive("list", rows(*"abcdefghijk")), 131009),
        (interactive("list", rows("x" * 25)), 131009),
        (interactive("list", rows("a", description="x" * 73)), 131009),
        ({"type": "contacts", "contacts": [{"name": {"formatted_name": "A", "first_name": "A"}}] * 6}, 131009),
        ({"type": "reaction", "reaction": {"message_id": "wamid.none", "emoji": "👍"}}, 131009),
    ],
)
async def test_what_is_malformed_is_refused(sandbox: Sandbox, message: Json, expected: int) -> None:
    assert code(await sandbox.wa(**message))[0] == expected


async def test_who_cannot_be_written_to(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    assert code(await sandbox.wa(to="+90 555 000 01 00", text={"body": "x"})) == (131021, 0)
    assert (await sandbox.wa(to="+905550009999", text={"body": "x"}))[0] == 200
    await world.idle()
    assert [one["errors"][0]["code"] for one in shop.statuses()] == [131026]
    await world.settle({"allowed_numbers": ["905550000101"]})
    assert code(await sandbox.wa(to="905550009999", text={"body": "x"})) == (131030, 0)


async def test_limits_of_a_pair_and_of_a_number(sandbox: Sandbox) -> None:
    await sandbox.world.settle({"pair_burst": 2})
    answers = [await sandbox.wa(text={"body": "x"}) for _ in range(3)]
    assert [status for status, _ in answers] == [200, 200, 400]
    assert code(answers[2]) == (131056, 0)
    await sandbox.world.settle({"pair_burst": None, "throughput": 0})
    assert code(await sandbox.wa(text={"body": "x"})) == (130429, 0)


async def test_buttons_and_lists_are_pressed(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    await world.say("ayse", NUMBER, "hi")
    await sandbox.wa(**interactive("button", buttons("İade", "Değişim")))
    asked = sandbox.entry(NUMBER)
    assert asked["choices"] == [{"label": "İade", "payload": "id-İade"}, {"label": "Değişim", "payload": "id-Değişim"}]
    await world.press("ayse", NUMBER, asked["id"], "İade")
    await sandbox.wa(**interactive("list", rows("Bir", "İki", description="d")))
    await world.pick("ayse", NUMBER, sandbox.entry(NUMBER)["id"], "id-İki")
    await world.idle()
    replies = [item["messages"][0] for item in shop.items() if "messages" in item][1:]
    assert replies[0]["context"] == {"from": "905550000100", "id": asked["id"]}
    assert replies[0]["interactive"]["button_reply"] == {"id": "id-İade", "title": "İade"}
    assert replies[1]["interactive"]["list_reply"] == {"id": "id-İki", "title": "İki", "description": "d"}


async def test_whatsapp_tells_what_people_do(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    said = await world.say("ayse", NUMBER, "helo")
    await world.edit("ayse", NUMBER, said, "hello")
    await world.react("ayse", NUMBER, said, "❤")
    await world.react("ayse", NUMBER, said, "")
    await world.unsend("ayse", NUMBER, said)
    await world.share_location("ayse", NUMBER, 41.0, 29.0, "Kadıköy")
    await world.share_contact("ayse", NUMBER, "", "+90 555 000 02 02")
    await world.order(
        "ayse", NUMBER, [{"product_retailer_id": "S1", "quantity": 1, "item_price": 5, "currency": "TRY"}]
    )
    await world.fill_form("ayse", NUMBER, said, "not json")
    await world.send_unsupported("ayse", NUMBER)
    await world.come_from_ad("ayse", NUMBER, "price?")
    await world.say("ayse", NUMBER, "in a group", extra={"group_id": "G1"})
    await world.write_from_phone_app(NUMBER, "ayse", "from the phone")
    await world.idle()
    told = [(item.get("messages") or item["message_echoes"])[0] for item in shop.items()]
    assert [one["type"] for one in told] == [
        *("text", "edit", "reaction", "reaction", "revoke", "location", "contacts", "order", "interactive"),
        *("unsupported", "text", "text", "text"),
    ]
    assert told[1]["edit"] == {"original_message_id": said, "message": {"type": "text", "text": {"body": "hello"}}}
    assert told[1]["id"] != said
    assert (told[2]["reaction"]["emoji"], told[3]["reaction"]["emoji"]) == ("❤", "")
    assert told[4]["revoke"] == {"original_message_id": said}
    assert "name" not in told[6]["contacts"][0]
    assert told[8]["interactive"]["nfm_reply"]["response_json"] == "not json"
    assert told[9]["errors"][0]["code"] == 131051
    assert told[10]["referral"]["source_type"] == "ad"
    assert (told[12]["from"], told[12]["to"]) == ("905550000100", "905550000101")
    first = sandbox.entry(NUMBER, place=0)
    assert (first["edited"], first["withdrawn"], first["reactions"]) == (True, True, [])


async def test_a_changed_number_is_told_without_contacts(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    old = world.accounts.person("ayse").bsuid
    await world.say("ayse", NUMBER, "hi")
    await world.change_number("ayse", "+90 555 000 03 03")
    await world.idle()
    value = shop.items()[1]
    assert "contacts" not in value
    system = value["messages"][0]["system"]
    assert (system["type"], system["wa_id"], system["previous_user_id"]) == ("user_changed_number", "905550000303", old)
    assert system["user_id"] == world.accounts.person("ayse").bsuid != old
    await world.adopt_username("ayse", "ayse.k")
    await world.change_number("ayse", "+90 555 000 04 04")
    await world.idle()
    hidden = shop.items()[2]["messages"][0]
    assert (hidden["system"]["type"], "from" in hidden) == ("user_changed_user_id", False)


async def test_received_media_is_had_for_five_minutes_with_the_token(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    picture = {"data": base64.b64encode(PNG).decode(), "media_type": "image/png"}
    await sandbox.tell("say", person="ayse", line=NUMBER, text="look", file=picture)
    await world.idle()
    image = shop.items()[0]["messages"][0]["image"]
    assert (image["caption"], base64.b64decode(image["sha256"])) == ("look", hashlib.sha256(PNG).digest())
    _, told = await sandbox.call("GET", image["id"])
    assert (told["file_size"], told["mime_type"]) == (len(PNG), "image/png")

    async def fetched(token: str) -> tuple[int, bytes]:
        async with sandbox.http.get(told["url"], headers={"Authorization": f"Bearer {token}"}) as response:
            return response.status, await response.read()

    assert await fetched("T-WA") == (200, PNG)
    assert (await fetched("T-PAGE"))[0] == 401
    assert code(await sandbox.call("GET", image["id"], token="T-PAGE")) == (100, 33)
    await world.settle({"clock_offset": 301})
    assert (await fetched("T-WA"))[0] == 404
    assert (await sandbox.call("GET", image["id"]))[0] == 200
    await world.settle({"clock_offset": 7 * DAY + 1})
    assert code(await sandbox.call("GET", image["id"])) == (100, 33)


async def test_media_is_uploaded_or_fetched_and_must_fit(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    await world.say("ayse", NUMBER, "hi")
    form = aiohttp.FormData({"messaging_product": "whatsapp", "type": "image/png"})
    form.add_field("file", PNG, filename="p.png", content_type="image/png")
    url = f"{sandbox.address}/meta/v25.0/{NUMBER}/media"
    async with sandbox.http.post(url, data=form, headers={"Authorization": "Bearer T-WA"}) as response:
        id = (await response.json())["id"]
    link = shop.url.replace("/hook", "/picture.png")
    assert (await sandbox.wa(type="image", image={"id": id, "caption": "c"}))[0] == 200
    assert (await sandbox.wa(type="image", image={"link": link}))[0] == 200
    assert (await sandbox.wa(type="document", document={"link": link, "filename": "fatura.png"}))[0] == 200
    await world.idle()
    chat = world.state()["chats"][f"{NUMBER}|ayse"]
    assert [(one["file"]["filename"], one["status"]) for one in chat[1:]] == [
        ("p.png", "delivered"),
        ("picture.png", "delivered"),
        ("fatura.png", "delivered"),
    ]
    shop.got.clear()
    await sandbox.wa(type="image", image={"link": f"{link}?type=image/webp"})
    await sandbox.wa(type="audio", audio={"id": id})
    await sandbox.wa(type="image", image={"link": f"{link}x"})
    await world.idle()
    assert [one["errors"][0]["code"] for one in shop.statuses()] == [131053] * 3


async def test_typing_and_reading_and_our_reaction_are_seen(sandbox: Sandbox) -> None:
    world = sandbox.world
    said = await world.say("ayse", NUMBER, "hi")
    status, answer = await sandbox.call(
        "POST",
        f"{NUMBER}/messages",
        messaging_product="whatsapp",
        status="read",
        message_id=said,
        typing_indicator={"type": "text"},
    )
    assert (status, answer) == (200, {"success": True})
    assert world.state()["people"]["ayse"]["typing"] == [NUMBER]
    await world.settle({"clock_offset": 26})
    assert world.state()["people"]["ayse"]["typing"] == []
    await sandbox.wa(type="reaction", reaction={"message_id": said, "emoji": "🙏"})
    assert sandbox.entry(NUMBER)["reactions"] == ["🙏"]


async def test_failures_on_request_and_a_phone_that_is_off(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    await world.say("ayse", NUMBER, "hi")
    await world.fail_next(NUMBER, 131049)
    await sandbox.wa(text={"body": "a"})
    await world.switch_phone("ayse", False)
    await sandbox.wa(text={"body": "b"})
    await world.idle()
    assert [one["status"] for one in shop.statuses()] == ["failed", "sent"]
    await world.settle({"auto_read": True})
    await world.switch_phone("ayse", True)
    await world.idle()
    assert [one["status"] for one in shop.statuses()] == ["failed", "sent", "delivered", "read"]


# Messenger and Instagram


async def test_a_send_comes_back_as_an_echo_with_our_metadata(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    await world.say("ayse", PAGE, "hi")
    await world.idle()
    await world.settle({"callback_first": True})
    _, answer = await sandbox.page(message={"text": "hello", "metadata": "ours-2"})
    echo, delivery = shop.items()[1:]
    assert (echo["sender"]["id"], echo["recipient"]["id"]) == (PAGE, answer["recipient_id"])
    assert echo["message"] == {
        "mid": answer["message_id"],
        "is_echo": True,
        "app_id": int(world.accounts.app_id),
        "metadata": "ours-2",
        "text": "hello",
    }
    assert delivery["delivery"]["mids"] == [answer["message_id"]]
    await world.read("ayse", PAGE)
    await world.idle()
    assert shop.items()[-1]["read"]["watermark"] >= echo["timestamp"]
    await world.say("ayse", IG, "hi")
    _, answer = await sandbox.page(IG, message={"text": "hello"})
    await world.idle()
    await world.read("ayse", IG)
    await world.idle()
    assert shop.items()[-1]["read"] == {"mid": answer["message_id"]}


@pytest.mark.parametrize(
    ("line", "message", "expected"),
    [
        (PAGE, {"message": {"text": "x" * 2001}}, (100, 0)),
        (IG, {"message": {"text": "ж" * 501}}, (100, 0)),
        (IG, {"message": {"text": "x", "attachment": {"type": "image", "payload": {"url": "https://x/y"}}}}, (100, 0)),
        (PAGE, {"message": {}}, (100, 0)),
        (PAGE, {"message": {"text": "x"}, "messaging_type": "NEWS"}, (100, 0)),
        (PAGE, {"message": {"text": "x"}, "messaging_type": "MESSAGE_TAG"}, (100, 0)),
        (PAGE, {"message": {"text": "x"}, "messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"}, (100, 1893061)),
        (PAGE, {"message": {"text": "x"}, "recipient": {"id": "1"}}, (100, 2018001)),
        (
            PAGE,
            {"message": {"attachment": {"type": "image", "payload": {"url": "http://127.0.0.1:9/x"}}}},
            (100, 2018008),
        ),
        (PAGE, {"sender_action": "dance"}, (100, 0)),
    ],
)
async def test_pages_refuse_at_once(sandbox: Sandbox, line: str, message: Json, expected: tuple[int, int]) -> None:
    await sandbox.world.say("ayse", line, "hi")
    assert code(await sandbox.page(line, **message)) == expected


@pytest.mark.parametrize("count", [13, 14])
async def test_quick_replies_are_thirteen_and_vanish_when_pressed(sandbox: Sandbox, shop: Shop, count: int) -> None:
    await sandbox.world.say("ayse", PAGE, "hi")
    replies = [{"content_type": "text", "title": f"R{one}", "payload": f"P{one}"} for one in range(count)]
    status, answer = await sandbox.page(message={"text": "choose", "quick_replies": replies})
    if count == 14:
        assert answer["error"]["code"] == 100
        return
    assert status == 200
    await sandbox.world.idle()
    await sandbox.world.press("ayse", PAGE, answer["message_id"], "R3")
    await sandbox.world.idle()
    assert shop.items()[-1]["message"]["quick_reply"] == {"payload": "P3"}
    assert sandbox.entry(PAGE, place=1)["choices"] == []


async def test_the_windows_of_a_page(sandbox: Sandbox) -> None:
    world = sandbox.world
    human: Json = {"message": {"text": "x"}, "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    assert code(await sandbox.page(message={"text": "first"})) == (10, 2018278)
    for line in (PAGE, IG):
        await world.say("ayse", line, "hi")
        assert (await sandbox.page(line, message={"text": "x"}))[0] == 200
    await world.settle({"clock_offset": DAY + 1})
    assert code(await sandbox.page(message={"text": "x"})) == (10, 2018278)
    assert code(await sandbox.page(IG, message={"text": "x"})) == (10, 2534022)
    assert (await sandbox.page(**human))[0] == 200
    await world.settle({"human_agent": False})
    assert code(await sandbox.page(**human))[0] == 200
    await world.settle({"human_agent": True, "clock_offset": 7 * DAY + 1})
    assert code(await sandbox.page(**human)) == (10, 2018278)
    await world.block("ayse", PAGE)
    assert code(await sandbox.page(message={"text": "x"})) == (551, 1545041)


async def test_attachments_come_and_go(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    await world.say("ayse", PAGE, file={"data": PNG, "media_type": "image/png", "filename": "a.png"})
    await world.idle()
    url = shop.items()[0]["message"]["attachments"][0]["payload"]["url"]
    async with sandbox.http.get(url) as response:
        assert (response.status, await response.read()) == (200, PNG)
    await world.expire_media(sandbox.entry(PAGE)["id"])
    async with sandbox.http.get(url) as response:
        assert response.status == 403
    link = shop.url.replace("/hook", "/picture.png")
    attachment = {"type": "image", "payload": {"url": link, "is_reusable": True}}
    _, answer = await sandbox.page(message={"attachment": attachment})
    again = {"type": "image", "payload": {"attachment_id": answer["attachment_id"]}}
    assert (await sandbox.page(message={"attachment": again}))[0] == 200
    wrong = {"type": "video", "payload": {"url": link}}
    assert code(await sandbox.page(message={"attachment": wrong})) == (100, 2018047)
    form = aiohttp.FormData(
        {"message": json.dumps({"attachment": {"type": "image", "payload": {}}}), "platform": "instagram"}
    )
    form.add_field("filedata", PNG, filename="p.png", content_type="image/png")
    address = f"{sandbox.address}/meta/v25.0/{PAGE}/message_attachments"
    async with sandbox.http.post(address, data=form, headers={"Authorization": "Bearer T-PAGE"}) as response:
        uploaded = (await response.json())["attachment_id"]
    await world.say("ayse", IG, "hi")
    sent = {"type": "image", "payload": {"attachment_id": uploaded}}
    assert (await sandbox.page(IG, message={"attachment": sent}))[0] == 200
    assert sandbox.entry(IG)["file"]["filename"] == "p.png"


async def test_pages_tell_what_people_do(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    story = {"data": PNG, "media_type": "image/png"}
    await world.settle({"num_edit_text": True})
    said = await world.say("ayse", IG, "helo")
    await world.edit("ayse", IG, said, "hello")
    await world.react("ayse", IG, said, "❤")
    await world.unsend("ayse", IG, said)
    await world.share("ayse", IG, "like_heart")
    await world.share("ayse", IG, "ig_reel")
    await world.share("ayse", IG, "fallback")
    await world.mention_in_story("ayse", IG, story)
    await world.reply_to_story("ayse", IG, "güzel", story)
    await world.start("ayse", PAGE)
    await world.refer("ayse", PAGE, "spring")
    await world.opt_in("ayse", PAGE, user_ref="box-1")
    await world.write_from_page_inbox(PAGE, "ayse", "from the inbox")
    await world.thumbs_up("ayse", PAGE)
    await world.idle()
    told, page = shop.items("instagram"), shop.items("page")
    edited, reaction = told[1]["message_edit"], told[2]["reaction"]
    assert edited == {"mid": said, "text": "hello", "num_edit": "1"}
    assert reaction == {"mid": said, "action": "react", "reaction": "love", "emoji": "❤"}
    assert told[3]["message"] == {"mid": said, "is_deleted": True}
    attachments = [item["message"]["attachments"][0] for item in told[4:8]]
    assert attachments[0] == {"type": "like_heart"}
    assert [one["payload"]["url"] for one in attachments[1:3]] == ["/reel/123/", "My Documents/foo.doc"]
    assert attachments[3]["type"] == "story_mention"
    assert set(told[8]["message"]["reply_to"]["story"]) == {"id", "url"}
    assert page[0]["postback"]["payload"] == "GET_STARTED"
    assert page[1]["referral"]["ref"] == "spring"
    assert page[2]["sender"] == {"user_ref": "box-1"}
    assert page[3]["message"]["app_id"] == 263902037430900
    assert page[4]["message"]["attachments"][0]["payload"]["sticker_id"] == 369239263222822


async def test_another_app_owns_the_thread_until_it_is_taken(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    await world.standby(PAGE)
    await world.say("ayse", PAGE, "hi")
    await world.idle()
    assert "standby" in shop.got[0]["entry"][0]
    assert code(await sandbox.page(message={"text": "x"})) == (10, 2018300)
    recipient = {"id": world.accounts.person("ayse").scoped[PAGE]}
    taken = await sandbox.call("POST", f"{PAGE}/take_thread_control", token="T-PAGE", recipient=recipient)
    assert taken == (200, {"success": True})
    assert (await sandbox.page(message={"text": "x"}))[0] == 200


async def test_profiles_are_a_favour(sandbox: Sandbox) -> None:
    world = sandbox.world
    scoped = world.accounts.person("ayse").scoped
    _, profile = await sandbox.call("GET", scoped[PAGE], token="T-PAGE", fields="first_name,last_name")
    assert profile == {"id": scoped[PAGE], "first_name": "Ayşe", "last_name": "Kaya"}
    assert code(await sandbox.call("GET", scoped[IG], token="T-PAGE")) == (230, 0)
    await world.say("ayse", IG, "hi")
    assert (await sandbox.call("GET", scoped[IG], token="T-PAGE"))[1]["username"] == "ayse.k"
    world.add_person("ayse", "Ayşe Kaya", profile=False)
    assert code(await sandbox.call("GET", scoped[PAGE], token="T-PAGE")) == (100, 2018218)
    assert len(set(scoped.values())) == len(scoped)


async def test_conversations_fill_a_gap(sandbox: Sandbox) -> None:
    world = sandbox.world
    for number in range(25):
        await world.say("ayse", PAGE, str(number))
    given = {"platform": "messenger", "fields": "participants,messages{id,created_time,from,message}"}
    _, answer = await sandbox.call("GET", f"{PAGE}/conversations", token="T-PAGE", **given)
    (conversation,) = answer["data"]
    messages = conversation["messages"]["data"]
    assert [one.get("message") for one in messages[:21]] == [*(str(number) for number in range(24, 4, -1)), None]
    assert messages[0]["from"]["name"] == "Ayşe Kaya"
    assert "updated_time" not in conversation
    _, one = await sandbox.call("GET", conversation["id"], token="T-PAGE", fields="messages{id}")
    assert len(one["messages"]["data"]) == 25
    await world.settle({"conversations_rate": 1})
    assert code(await sandbox.call("GET", f"{PAGE}/conversations", token="T-PAGE")) == (613, 0)


async def test_a_listed_story_is_a_link_and_no_attachment(sandbox: Sandbox) -> None:
    world, story = sandbox.world, {"data": PNG, "media_type": "image/png"}
    await world.mention_in_story("ayse", IG, story)
    await world.reply_to_story("ayse", IG, "güzel", story)
    await world.share("ayse", IG, "ig_post", "https://www.instagram.example/p/7")
    fields = "messages{id,message,attachments{file_url},shares,story}"
    _, answer = await sandbox.call("GET", f"{PAGE}/conversations", token="T-PAGE", platform="instagram", fields=fields)
    shared, replied, mentioned = answer["data"][0]["messages"]["data"]
    assert shared["shares"] == {"data": [{"link": "https://www.instagram.example/p/7"}]}
    assert set(replied["story"]) == {"reply_to"} and replied["message"] == "güzel"
    assert set(mentioned["story"]["mention"]) == {"link", "id"} and mentioned["message"] == ""
    assert not any("attachments" in one for one in (shared, replied, mentioned))


async def test_instagram_login_is_another_host_and_another_token(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    await world.say("ayse", IG_LOGIN, "hi")
    scoped = world.accounts.person("ayse").scoped
    message: Json = {"recipient": {"id": scoped[IG_LOGIN]}, "message": {"text": "hello"}}
    host = "graph.instagram.com/v25.0"
    assert (await sandbox.call("POST", "me/messages", token="T-IG", version=host, **message))[0] == 200
    assert (await sandbox.call("POST", f"{IG_LOGIN}/messages", token="T-IG", **message))[0] == 200
    assert code(await sandbox.call("POST", "me/messages", token="T-IG", version="graph.facebook.com/v25.0"))[0] == 190
    assert code(await sandbox.call("POST", f"{IG}/messages", token="T-PAGE", **message)) == (100, 33)
    assert scoped[IG] != scoped[IG_LOGIN]
    assert (await sandbox.call("GET", "me", token="T-WA"))[1]["name"] == "Shop support"
    _, me = await sandbox.call("GET", "me", token="T-IG", fields="user_id,username")
    assert me == {"id": IG_LOGIN, "user_id": IG_LOGIN, "username": "kumbara.intl"}
    refresh = {"grant_type": "ig_refresh_token", "access_token": "T-IG"}
    assert code(await sandbox.call("GET", "refresh_access_token", token=None, **refresh)) == (100, 0)
    await world.settle({"clock_offset": 2 * DAY})
    _, fresh = await sandbox.call("GET", "refresh_access_token", token=None, **refresh)
    assert fresh["expires_in"] == 60 * DAY
    await world.settle({"clock_offset": 61 * DAY})
    assert code(await sandbox.call("GET", "me", token="T-IG")) == (190, 463)
    assert (await sandbox.call("GET", "me", token=fresh["access_token"]))[0] == 200


# tokens, versions, troubles


async def test_tokens_are_checked(sandbox: Sandbox) -> None:
    world = sandbox.world
    assert code(await sandbox.call("GET", NUMBER, token=None))[0] == 104
    assert code(await sandbox.call("GET", NUMBER, token="nonsense"))[0] == 190
    assert code(await sandbox.call("GET", NUMBER, token="T-PAGE")) == (100, 33)
    await world.expire_token(NUMBER, 460)
    assert code(await sandbox.call("GET", NUMBER)) == (190, 460)
    _, answer = await sandbox.call("GET", "debug_token", token=world.accounts.app_token, input_token="T-WA")
    assert (answer["data"]["is_valid"], answer["data"]["error"]["subcode"]) == (False, 460)
    await world.expire_token(NUMBER, 0)
    await world.settle({"require_proof": True})
    assert code(await sandbox.call("GET", NUMBER))[0] == 100
    assert code(await sandbox.call("GET", NUMBER, appsecret_proof="00"))[0] == 100
    status, number = await sandbox.call(
        "GET", NUMBER, appsecret_proof=proof_of(SECRET, "T-WA"), fields="quality_rating"
    )
    assert (status, number) == (200, {"id": NUMBER, "quality_rating": "GREEN"})


async def test_what_should_not_be_done_is_noted(sandbox: Sandbox) -> None:
    await sandbox.call("GET", NUMBER, version="v19.5")
    await sandbox.world.settle({"clock_offset": 4 * 365 * DAY})
    await sandbox.call("GET", NUMBER, version="v20.0")
    await sandbox.call("GET", NUMBER, token=None, access_token="T-WA")
    notes = " ".join(one["note"] for one in sandbox.world.state()["notes"])
    assert "v19.5 is not a version" in notes
    assert "v20.0 ended on 2026-09-24" in notes
    assert "in a URL" in notes
    assert all(call["params"].get("access_token", "***") == "***" for call in sandbox.world.journal.calls())


async def test_an_answer_lost_after_the_message_went_out(sandbox: Sandbox, shop: Shop) -> None:
    world = sandbox.world
    await world.say("ayse", NUMBER, "hi")
    await sandbox.tell("trouble", rules=[{"match": "whatsapp.messages", "action": "drop_after", "times": 1}])
    with pytest.raises(aiohttp.ClientConnectionError):
        await sandbox.wa(text={"body": "did it?"}, biz_opaque_callback_data="ours-3")
    await world.idle()
    assert [one["biz_opaque_callback_data"] for one in shop.statuses()] == ["ours-3", "ours-3"]
    assert sandbox.entry(NUMBER)["status"] == "delivered"


async def test_troubles_speak_metas_words(sandbox: Sandbox) -> None:
    rules = [
        {"match": "*.messages", "action": "ratelimit", "retry_after": 600, "times": 1},
        {"match": "*.messages", "action": "status", "status": 500, "times": 1},
        {"match": "*.messages", "action": "drop_before", "times": 1},
    ]
    await sandbox.tell("trouble", rules=rules)
    url = f"{sandbox.address}/meta/v25.0/{NUMBER}/messages"
    async with sandbox.http.post(url, json={}, headers={"Authorization": "Bearer T-WA"}) as response:
        assert (await response.json())["error"]["code"] == 80007
        usage = json.loads(response.headers["X-Business-Use-Case-Usage"])
    assert usage[NUMBER][0]["estimated_time_to_regain_access"] == 10
    status, answer = await sandbox.wa(text={"body": "x"})
    assert (status, answer["error"]["is_transient"]) == (500, True)
    with pytest.raises(aiohttp.ClientConnectionError):
        await sandbox.wa(text={"body": "x"})
    assert sandbox.world.state()["chats"] == {}


async def test_usage_is_shown_and_error_data_may_be_words(sandbox: Sandbox) -> None:
    await sandbox.world.settle({"usage": 85, "flat_error_data": True})
    url = f"{sandbox.address}/meta/v25.0/{NUMBER}/messages"
    async with sandbox.http.post(
        url, json={"messaging_product": "whatsapp"}, headers={"Authorization": "Bearer T-WA"}
    ) as answer:
        assert json.loads(answer.headers["X-App-Usage"])["call_count"] == 85
        assert isinstance((await answer.json())["error"]["error_data"], str)


async def test_a_mistaken_order_is_refused_in_words(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession(f"{sandbox.address}/meta/control/") as http:
        for path, given, status, words in (
            ("say", {"person": "nobody", "line": PAGE, "text": "x"}, 404, "no such person"),
            ("say", {"person": "ayse", "line": PAGE}, 400, "no empty text"),
            ("settings", {"speed": 1}, 400, "no such setting: speed"),
            ("settings", {"order": "odd"}, 400, "order must be one of"),
            ("press", {"person": "ayse", "line": PAGE, "entry": "x", "choice": "y"}, 404, "no such message"),
        ):
            async with http.post(path, json=given) as response:
                assert response.status == status
                assert words in (await response.json())["error"]


async def test_state_and_files_are_seen_under_the_prefix_and_forgotten(sandbox: Sandbox) -> None:
    file = {"data": base64.b64encode(b"%PDF-1.7").decode(), "media_type": "application/pdf", "filename": "fatura.pdf"}
    await sandbox.tell("say", person="ayse", line=NUMBER, file=file)
    async with sandbox.http.get(f"{sandbox.address}/meta/control/state") as response:
        state = await response.json()
    assert "T-WA" not in json.dumps(state)
    (entry,) = state["chats"][f"{NUMBER}|ayse"]
    assert (entry["from"], entry["file"]["filename"]) == ("customer", "fatura.pdf")
    async with sandbox.http.get(sandbox.address + entry["file"]["url"]) as response:
        assert await response.read() == b"%PDF-1.7"
    await sandbox.tell("reset")
    assert sandbox.world.state()["lines"] == {}
