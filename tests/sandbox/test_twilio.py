"""The Twilio emulator: its API, its webhooks and the phones, over HTTP and under a prefix."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from sandbox.twilio import World, application
from sandbox.twilio.posting import Policy
from sandbox.twilio.segments import segments, septets, smart
from sandbox.twilio.signing import Key, signature, signed, without_port
from sandbox.twilio.twiml import orders
from sandbox.twilio.words import meaning

SID = "AC" + "a" * 32
TOKEN = "12345"
ACCOUNT = f"/2010-04-01/Accounts/{SID}"
NUMBER = "+15005550006"
SENDER = "whatsapp:+15005550010"
AYSE = "+905321234567"
IVAN = "+79161234567"
AMY = "+14155550123"
BSUID = "TR.9f8e7d6c5b"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"\x00" * 64
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def twiml(text: str = EMPTY) -> web.Response:
    return web.Response(text=text, content_type="text/xml")


class Shop:
    """The shop's side: webhooks that answer as they are told and remember what came, and files to be sent."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.got: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[str], web.Response] = lambda path: twiml()
        self.before: Callable[[], Awaitable[object]] | None = None
        self.url = ""

    async def hook(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if request.content_type == "application/json":
            params = json.loads(raw)
        else:
            params = dict(parse_qsl(raw.decode(), keep_blank_values=True)) or dict(request.query)
        self.paths.append(request.raw_path)
        self.got.append(params)
        self.headers.append(dict(request.headers))
        if self.before is not None:
            await self.before()
        return self.answer(request.path)

    async def file(self, request: web.Request) -> web.Response:
        data = PICTURE + b"\x00" * int(request.query.get("more", "0"))
        headers = {"Content-Type": request.query.get("type", "image/png")}
        return web.Response(body=data, headers={**headers, "Content-Disposition": 'inline; filename="vase.png"'})

    def statuses(self) -> list[str]:
        return [params["MessageStatus"] for params in self.got if "MessageStatus" in params]


class Sandbox:
    """The emulator under /twilio, called with the account's credentials unless others are given."""

    def __init__(self, world: World, address: str, http: aiohttp.ClientSession) -> None:
        self.world = world
        self.base = f"{address}/twilio"
        self.http = http

    async def ask(
        self, method: str, path: str, *, login: tuple[str, str] | None = (SID, TOKEN), **more: Any
    ) -> tuple[int, dict[str, Any]]:
        headers = dict(more.pop("headers", {}))
        if login is not None:
            headers["Authorization"] = aiohttp.encode_basic_auth(*login)
        async with self.http.request(method, self.base + path, headers=headers, **more) as response:
            raw = await response.read()
            body: dict[str, Any] = json.loads(raw) if raw else {}
            return response.status, body

    async def send(self, **form: str | list[str]) -> tuple[int, dict[str, Any]]:
        """Create a message, from the number to Ayşe unless said otherwise."""
        given: dict[str, str | list[str]] = {"To": AYSE, **form}
        if "MessagingServiceSid" not in given:
            given.setdefault("From", NUMBER)
        return await self.ask("POST", f"{ACCOUNT}/Messages.json", data=urlencode(given, doseq=True), headers=FORM)

    async def tell(self, path: str, **body: Any) -> dict[str, Any]:
        async with self.http.post(f"{self.base}/control/{path}", json=body) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, answer
            return answer

    def chat(self, line: str, person: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.world.state()["chats"].get(f"{line}|{person}", [])
        return entries

    def alerts(self) -> list[int]:
        return [alert["code"] for alert in self.world.state()["alerts"]]


async def served(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    app = web.Application()
    app.router.add_route("*", "/hook/{name}", shop.hook)
    app.router.add_get("/file", shop.file)
    runner, shop.url = await served(app)
    yield shop
    await runner.cleanup()


@pytest.fixture
async def sandbox(shop: Shop) -> AsyncIterator[Sandbox]:
    world = World()
    outer = web.Application()
    outer.add_subapp("/twilio", application(world))
    runner, address = await served(outer)
    async with aiohttp.ClientSession() as http:
        world.add_account(sid=SID, auth_token=TOKEN, name="Kumbara")
        world.add_line(NUMBER, name="Support", mms=True, url=f"{shop.url}/hook/sms?x=%C5%9F")
        world.add_line(SENDER, name="Kumbara", url=f"{shop.url}/hook/wa")
        world.add_person(name="Ayşe Kaya", phone=AYSE)
        world.add_person(name="Иван", phone=IVAN, bsuid=BSUID, username="ivan", hides_phone=True)
        world.add_person(name="Amy", phone=AMY)
        yield Sandbox(world, address, http)
    await runner.cleanup()


# signatures, segments, and what else is pure


def test_signatures_are_the_known_ones() -> None:
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    call = {"CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309"}
    params = [*call.items(), ("To", "+18005551212")]
    assert signature("12345", url, params) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    request = signed("https://ex.com/hook#rc=2", "POST", [("a", "ğ")], Key(secret="12345"), as_json=True)
    digest = "3c38bedb2e5918cd381eef0e6bd1013146ae49e8fa5c71856630ba4592dd7dcd"
    assert request.url == f"https://ex.com/hook?bodySHA256={digest}"
    assert request.headers["X-Twilio-Signature"] == "96hGbG49Lv+2B4QMECakNkyIXWw="


def test_a_blank_parameter_and_the_scheme_count_and_a_port_may_be_left_out() -> None:
    plain = signature("k", "https://ex.com/h", [("a", "1")])
    assert signature("k", "https://ex.com/h", [("a", "1"), ("b", "")]) != plain
    assert signature("k", "http://ex.com/h", [("a", "1")]) != plain
    assert without_port("https://ex.com:8443/h?a=%20") == "https://ex.com/h?a=%20"


def test_segments_are_the_known_ones() -> None:
    counts = {"a" * 160: 1, "a" * 161: 2, "€" * 80: 1, "ş" * 71: 2, "ş" + "a" * 159: 3, "": 1, "ÖÜÇéàñ" * 26: 1}
    assert {text: segments(text) for text in counts} == counts
    assert septets("[x]") == 5
    assert [septets(letter) for letter in "çğĞıİşŞ’`Я😀"] == [None] * 11
    # Neither an escaped character nor an emoji is torn apart between two parts.
    assert segments("a" * 152 + "€" + "a" * 152) == 3
    assert segments("😀" * 66) == 2


@given(st.text(max_size=400), st.text(max_size=20))
def test_more_text_is_never_fewer_parts_and_folding_never_makes_more(text: str, more: str) -> None:
    assert segments(text + more) >= segments(text)
    assert segments(smart(text)) <= segments(text) or "…" in text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://x/h", Policy()),
        (
            "http://x/h#rc=3&rp=5xx,ct,rt&ct=2000&rt=4000",
            Policy(retries=3, causes=frozenset({"5xx", "ct", "rt"}), connect=2, read=4),
        ),
        ("http://x/h#rc=9&ct=5&tt=ten&rp=cake", Policy()),
    ],
)
def test_the_fragment_says_how_to_repeat(url: str, expected: Policy) -> None:
    assert Policy.of(url) == expected


@pytest.mark.parametrize(
    ("kind", "body", "texts", "problem"),
    [
        ("text/xml", EMPTY, [], 0),
        (
            "text/xml; charset=utf-8",
            "<Response><Message>a</Message><Message><Body>b</Body></Message></Response>",
            ["a", "b"],
            0,
        ),
        ("text/plain; charset=utf-8", "OK", ["OK"], 0),
        ("application/json", "{}", [], 12300),
        ("text/html", "OK", [], 12100),
        ("text/xml", "<html/>", [], 12100),
        ("text/xml", " " * 70_000, [], 11750),
    ],
)
def test_an_answer_is_read_as_it_is(kind: str, body: str, texts: list[str], problem: int) -> None:
    found = orders(kind, body.encode())
    assert ([reply.text for reply in found.replies], found.problem) == (texts, problem)


@pytest.mark.parametrize(
    ("text", "plain", "advanced"),
    [
        (" Stop ", "STOP", "STOP"),
        ("stop it", "", ""),
        ("DUR", "", "STOP"),
        ("İPTAL", "", "STOP"),
        ("СТОП", "", "STOP"),
        ("yes", "START", "START"),
    ],
)
def test_only_the_whole_text_is_a_word(text: str, plain: str, advanced: str) -> None:
    assert (meaning(text, advanced=False), meaning(text, advanced=True)) == (plain, advanced)


# sending


async def test_a_message_goes_out_and_its_statuses_come_signed(sandbox: Sandbox, shop: Shop) -> None:
    callback = f"{shop.url}/hook/status?uuid=u-1#rc=2"
    answered = asyncio.Event()
    shop.before = answered.wait  # would hold the answer up for ever if it waited for the statuses
    status, body = await sandbox.send(Body="Kargonuz yola çıktı", StatusCallback=callback)
    answered.set()
    assert (status, body["status"], body["num_segments"], body["error_code"]) == (201, "queued", "1", None)
    assert body["uri"] == f"{ACCOUNT}/Messages/{body['sid']}.json"
    await sandbox.world.idle()
    assert shop.statuses() == ["sending", "sent", "delivered"]
    assert shop.paths[0] == "/hook/status?uuid=u-1"
    for params, headers in zip(shop.got, shop.headers, strict=True):
        expected = signature(TOKEN, f"{shop.url}/hook/status?uuid=u-1", params.items())
        assert headers["X-Twilio-Signature"] == expected
    assert (shop.got[2]["MessageSid"], shop.got[2]["From"], shop.got[2]["To"]) == (body["sid"], NUMBER, AYSE)
    assert shop.got[2]["RawDlrDoneDate"].isdigit()
    (entry,) = sandbox.chat(NUMBER, AYSE)
    assert (entry["from"], entry["text"], entry["status"]) == ("shop", "Kargonuz yola çıktı", "delivered")


async def test_statuses_can_beat_the_answer(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.tell("settings", callback_first=True)
    _, body = await sandbox.send(Body="hi", StatusCallback=f"{shop.url}/hook/s")
    assert shop.statuses() == ["sending", "sent", "delivered"]
    assert body["status"] == "queued"


async def test_a_service_accepts_first_and_chooses_the_sender(sandbox: Sandbox, shop: Shop) -> None:
    sandbox.world.add_service(sid="MG1", name="Support", lines=[NUMBER, SENDER], status_url=f"{shop.url}/hook/s")
    _, body = await sandbox.send(Body="hi", MessagingServiceSid="MG1")
    assert (body["status"], body["from"], body["num_segments"]) == ("accepted", None, "0")
    await sandbox.world.idle()
    assert shop.statuses() == ["queued", "sending", "sent", "delivered"]
    assert {(params["From"], params["MessagingServiceSid"]) for params in shop.got} == {(NUMBER, "MG1")}


REFUSED: list[tuple[int, dict[str, str | list[str]]]] = [
    (21604, {"To": "", "Body": "x"}),
    (21211, {"To": "0532 123", "Body": "x"}),
    (21211, {"To": f"whatsapp:+{BSUID}", "From": SENDER, "Body": "x"}),
    (21266, {"To": NUMBER, "Body": "x"}),
    (21603, {"From": "", "Body": "x"}),
    (21606, {"From": "+15005550099", "Body": "x"}),
    (21212, {"From": "Kumbara", "Body": "x"}),
    (63007, {"From": "whatsapp:+15005550099", "To": f"whatsapp:{AYSE}", "Body": "x"}),
    (21701, {"MessagingServiceSid": "MG0", "Body": "x"}),
    (21910, {"From": SENDER, "Body": "x"}),
    (21910, {"To": f"whatsapp:{AYSE}", "Body": "x"}),
    (21619, {}),
    (21617, {"Body": "a" * 1601}),
    (21617, {"Body": "😀" * 801}),
    (21623, {"To": AMY, "MediaUrl": ["http://x.example/1"] * 11}),
    (21620, {"To": AMY, "MediaUrl": ["ftp://x.example/1"]}),
    (21612, {"MediaUrl": ["http://x.example/1"]}),
    (21612, {"To": "+18765550100", "MediaUrl": ["http://x.example/1"]}),
    (21609, {"Body": "x", "StatusCallback": "http://my_shop.example/s"}),
    (21655, {"ContentSid": "HX0"}),
    (20001, {"Body": "x", "ValidityPeriod": "36001"}),
]


@pytest.mark.parametrize(("code", "form"), REFUSED)
async def test_what_twilio_refuses_at_once(sandbox: Sandbox, code: int, form: dict[str, Any]) -> None:
    status, body = await sandbox.send(**form)
    assert (status, body["code"], body["status"]) == (400, code, 400)
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert not sandbox.world.state()["chats"]


async def test_settings_refuse_countries_landlines_and_full_queues(sandbox: Sandbox) -> None:
    await sandbox.tell("settings", regions=["TR"], knows_landlines=True, queue_limit=1, carried_to="queued")
    assert (await sandbox.send(To=AMY, Body="x"))[1]["code"] == 21408
    await sandbox.tell("change", person=AYSE, landline=True)
    assert (await sandbox.send(Body="x"))[1]["code"] == 21614
    await sandbox.tell("change", person=AYSE, landline=False)
    assert [(await sandbox.send(Body="x"))[0] for _ in range(2)] == [201, 400]
    sandbox.world.add_line("KUMBARA", countries=("DE",))
    assert (await sandbox.send(From="KUMBARA", Body="x"))[1]["code"] == 21612
    with pytest.raises(ValueError, match="nobody can write to a name"):
        await sandbox.world.say(AYSE, "KUMBARA", "hi")


@pytest.mark.parametrize(
    ("changes", "code"), [({"landline": True}, "30006"), ({"reachable": False}, "30003"), ({}, "30007")]
)
async def test_a_carrier_fails_late(sandbox: Sandbox, shop: Shop, changes: dict[str, Any], code: str) -> None:
    await sandbox.tell("settings", filtered_words=["casino"])
    await sandbox.tell("change", person=AYSE, **changes)
    await sandbox.send(Body="x" if changes else "CASINO", StatusCallback=f"{shop.url}/hook/s")
    await sandbox.world.idle()
    assert shop.statuses() == ["sending", "sent", "undelivered"]
    assert shop.got[-1]["ErrorCode"] == code
    (entry,) = sandbox.chat(NUMBER, AYSE)
    assert (entry["status"], entry["code"]) == ("failed", code)


async def test_without_receipts_a_message_stays_sent_and_nobody_is_30005(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.tell("change", person=AYSE, receipts=False)
    await sandbox.send(Body="x")
    await sandbox.send(To="+905320000000", Body="x")
    await sandbox.world.idle()
    assert sandbox.chat(NUMBER, AYSE)[0]["status"] == "sent"
    assert sandbox.chat(NUMBER, "+905320000000")[0]["code"] == "30005"


async def test_a_code_can_be_asked_for(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.tell("refuse", code=30001, to=AYSE, at_once=True)
    await sandbox.tell("refuse", code=30004, to=AYSE, at_once=False)
    assert (await sandbox.send(Body="x"))[1]["code"] == 30001
    await sandbox.send(Body="x")
    await sandbox.send(Body="x")
    await sandbox.world.idle()
    assert [entry["code"] for entry in sandbox.chat(NUMBER, AYSE)] == ["30004", ""]
    await sandbox.tell("fail", message=sandbox.chat(NUMBER, AYSE)[1]["id"], code=30008)
    assert sandbox.chat(NUMBER, AYSE)[1]["code"] == "30008"


async def test_files_are_really_fetched(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.send(To=AMY, Body="two", MediaUrl=[f"{shop.url}/file", f"{shop.url}/file?more=9"])
    await sandbox.world.idle()
    first, second = sandbox.chat(NUMBER, AMY)
    assert (first["file"]["filename"], first["file"]["size"], second["file"]["size"]) == ("vase.png", 72, 81)
    assert (first["text"], second["text"], second["id"]) == ("two", "", f"{first['id']}/1")
    for query, code in (("?type=image/jpeg", "12300"), (f"?more={5 << 20}", "11751"), ("/none", "11200")):
        await sandbox.send(To=AMY, MediaUrl=f"{shop.url}/file{query}")
        await sandbox.world.idle()
        assert sandbox.chat(NUMBER, AMY)[-1]["code"] == code


async def test_messages_are_listed_by_page_newest_first_and_filtered(sandbox: Sandbox) -> None:
    for number in range(3):
        await sandbox.send(Body=str(number))
    await sandbox.world.say(AYSE, NUMBER, "merhaba")
    await sandbox.world.idle()
    uri, bodies = f"{ACCOUNT}/Messages.json?PageSize=2", []
    while uri:
        _, page = await sandbox.ask("GET", uri)
        bodies += [one["body"] for one in page["messages"]]
        # What comes between two pages shifts nothing.
        await sandbox.world.say(AYSE, NUMBER, "later")
        uri = page["next_page_uri"]
    assert bodies == ["merhaba", "2", "1", "0"]
    today = sandbox.world.ledger.now().date().isoformat()
    for query, count in (
        ({"To": NUMBER, "DateSent>": today}, 3),
        ({"From": NUMBER, "DateSent<": today}, 3),
        ({"DateSent": "2020-01-01"}, 0),
        ({"DateSent>": "2020-01-01T10:00:00Z"}, 6),
    ):
        _, page = await sandbox.ask("GET", f"{ACCOUNT}/Messages.json?{urlencode(query)}")
        assert len(page["messages"]) == count, query
    _, page = await sandbox.ask("GET", f"{ACCOUNT}/Messages.json?To={urlencode({'': NUMBER})[1:]}&DateSent>={today}")
    assert {(one["direction"], one["status"]) for one in page["messages"]} == {("inbound", "received")}


async def test_a_message_can_be_emptied_and_deleted_when_it_is_done(sandbox: Sandbox) -> None:
    await sandbox.tell("settings", carried_to="queued")
    _, body = await sandbox.send(Body="secret")
    path = f"{ACCOUNT}/Messages/{body['sid']}.json"
    assert (await sandbox.ask("DELETE", path))[0] == 409
    await sandbox.world.idle()
    await sandbox.tell("deliver", message=body["sid"])
    assert (await sandbox.ask("POST", path, data="Body=", headers=FORM))[1]["body"] == ""
    assert (await sandbox.ask("DELETE", path))[0] == 204
    assert (await sandbox.ask("GET", path))[1]["code"] == 20404


# who may


async def test_credentials(sandbox: Sandbox) -> None:
    path = f"{ACCOUNT}.json"
    assert (await sandbox.ask("GET", path))[1]["friendly_name"] == "Kumbara"
    for login in (None, (SID, "wrong"), ("AC0", TOKEN)):
        status, body = await sandbox.ask("GET", path, login=login)
        assert (status, body["code"]) == (401, 20003)
    key = sandbox.world.add_key(secret="s", sid="SK1")
    assert (await sandbox.ask("GET", f"{ACCOUNT}/Messages.json", login=(key, "s")))[0] == 200
    assert (await sandbox.ask("GET", path, login=(key, "s")))[0] == 401
    sandbox.world.account().secondary_token = "next"
    assert (await sandbox.ask("GET", path, login=(SID, "next")))[0] == 200
    await sandbox.tell("promote")
    assert (await sandbox.ask("GET", path, login=(SID, TOKEN)))[0] == 401


async def test_a_parent_reaches_its_subaccounts_and_nobody_else_does(sandbox: Sandbox) -> None:
    sandbox.world.add_account(sid="AC1", auth_token="one", parent=SID)
    sandbox.world.add_account(sid="AC2", auth_token="two")
    assert (await sandbox.ask("GET", "/2010-04-01/Accounts/AC1.json"))[0] == 200
    assert (await sandbox.ask("GET", "/2010-04-01/Accounts/AC2.json"))[1]["code"] == 20404
    sandbox.world.suspend("AC1")
    form = urlencode({"From": NUMBER, "To": AYSE, "Body": "x"})
    status, body = await sandbox.ask("POST", "/2010-04-01/Accounts/AC1/Messages.json", data=form, headers=FORM)
    assert (status, body["code"]) == (403, 20005)


# what comes in


async def test_a_text_comes_signed_with_every_parameter(sandbox: Sandbox, shop: Shop) -> None:
    sid = await sandbox.world.say(AYSE, NUMBER, "Siparişim nerede?\x00")
    await sandbox.world.idle()
    (params,), (headers,) = shop.got, shop.headers
    assert headers["X-Twilio-Signature"] == signature(TOKEN, f"{shop.url}/hook/sms?x=%C5%9F", params.items())
    assert shop.paths == ["/hook/sms?x=%C5%9F"]
    assert (params["MessageSid"], params["SmsSid"], params["SmsMessageSid"]) == (sid, sid, sid)
    assert (params["From"], params["To"], params["Body"]) == (AYSE, NUMBER, "Siparişim nerede?\x00")
    assert (params["NumMedia"], params["AccountSid"], params["FromCity"], params["FromCountry"]) == ("0", SID, "", "TR")
    assert headers["I-Twilio-Idempotency-Token"]


async def test_the_newer_ways_to_sign(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.tell("settings", shared_key="shared", json_webhooks=True)
    await sandbox.world.say(AYSE, NUMBER, "a")
    await sandbox.world.idle()
    digest = hashlib.sha256(json.dumps(shop.got[0], ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
    assert shop.paths == [f"/hook/sms?x=%C5%9F&bodySHA256={digest}"]
    assert shop.headers[0]["X-Twilio-Signature"] == signature("shared", shop.url + shop.paths[0], algorithm="sha256")
    named = shop.headers[0]["X-Twilio-Webhooks-Signature-Settings"]
    assert named == "key=webhooks_sharedkey_0001,algorithm=HMAC_SHA256"
    await sandbox.tell("settings", shared_key="", json_webhooks=False)
    sandbox.world.line(NUMBER).method = "GET"
    await sandbox.world.say(AYSE, NUMBER, "b ş")
    await sandbox.world.idle()
    assert shop.headers[1]["X-Twilio-Signature"] == signature(TOKEN, shop.url + shop.paths[1])
    assert shop.got[1]["Body"] == "b ş"


async def test_ok_is_texted_to_the_customer(sandbox: Sandbox, shop: Shop) -> None:
    shop.answer = lambda path: web.Response(text="OK")
    await sandbox.world.say(AYSE, NUMBER, "hi")
    await sandbox.world.idle()
    assert [(entry["from"], entry["text"]) for entry in sandbox.chat(NUMBER, AYSE)] == [
        ("customer", "hi"),
        ("shop", "OK"),
    ]


async def test_twiml_is_obeyed(sandbox: Sandbox, shop: Shop) -> None:
    pages = {
        "/hook/sms": '<Response><Message statusCallback="s"><Body>Merhaba</Body></Message>'
        "<Redirect>next</Redirect></Response>",
        "/hook/next": "<Response><Message>Buradayız</Message></Response>",
    }
    shop.answer = lambda path: twiml(pages.get(path, EMPTY))
    await sandbox.world.say(AYSE, NUMBER, "hi")
    await sandbox.world.idle()
    assert [entry["text"] for entry in sandbox.chat(NUMBER, AYSE)] == ["hi", "Merhaba", "Buradayız"]
    assert "/hook/s" in shop.paths


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda: web.json_response({}), 12300),
        (lambda: twiml("<Response>"), 12100),
        (lambda: web.Response(status=500), 11200),
        (lambda: twiml("<Response>" + " " * 66_000 + "</Response>"), 11750),
    ],
)
async def test_what_cannot_be_read_goes_to_the_debugger_and_the_fallback(
    sandbox: Sandbox, shop: Shop, answer: Callable[[], web.Response], code: int
) -> None:
    sandbox.world.line(NUMBER).fallback_url = f"{shop.url}/hook/second"
    shop.answer = lambda path: answer() if path == "/hook/sms" else twiml()
    await sandbox.world.say(AYSE, NUMBER, "hi")
    await sandbox.world.idle()
    assert sandbox.alerts() == [code]
    # Without a fragment a 500 is not repeated.
    assert shop.paths == ["/hook/sms?x=%C5%9F", "/hook/second"]
    assert (shop.got[1]["ErrorCode"], shop.got[1]["ErrorUrl"]) == (str(code), f"{shop.url}/hook/sms?x=%C5%9F")
    _, alerts = await sandbox.ask("GET", "/v1/Alerts")
    assert [one["error_code"] for one in alerts["alerts"]] == [str(code)]


async def test_a_fragment_makes_twilio_repeat_with_one_token(sandbox: Sandbox, shop: Shop) -> None:
    sandbox.world.line(NUMBER).url = f"{shop.url}/hook/sms#rc=3&rp=5xx"
    answers = iter([500, 503])
    shop.answer = lambda path: web.Response(status=next(answers, 204))
    sid = await sandbox.world.say(AYSE, NUMBER, "hi")
    await sandbox.world.idle()
    assert {params["MessageSid"] for params in shop.got} == {sid}
    assert len({headers["I-Twilio-Idempotency-Token"] for headers in shop.headers}) == 1
    attempts = sandbox.world.journal.attempts()
    assert [(one["status"], one["retry"]) for one in attempts] == [(500, 0), (503, 1), (204, 2)]
    assert not sandbox.alerts()


async def test_no_connection_is_tried_once_more_and_a_silent_shop_is_not(sandbox: Sandbox, shop: Shop) -> None:
    sandbox.world.line(NUMBER).url = "http://127.0.0.1:9/hook"
    await sandbox.world.say(AYSE, NUMBER, "hi")
    await sandbox.world.idle()
    assert [one["retry"] for one in sandbox.world.journal.attempts()] == [0, 1]
    assert sandbox.alerts() == [11205]
    never = asyncio.Event()
    shop.before = never.wait
    sandbox.world.line(NUMBER).url = f"{shop.url}/hook/sms#rt=100"
    await sandbox.world.say(AYSE, NUMBER, "hi")
    await sandbox.world.idle()
    assert len(shop.got) == 1
    assert sandbox.alerts() == [11205, 11200]
    never.set()


async def test_a_service_takes_what_comes_to_its_numbers_or_drops_it(sandbox: Sandbox, shop: Shop) -> None:
    service = sandbox.world.add_service(name="Support", lines=[NUMBER], inbound_url=f"{shop.url}/hook/service")
    await sandbox.world.say(AYSE, NUMBER, "one")
    await sandbox.world.idle()
    path = f"/v1/Services/{service.sid}"
    await sandbox.ask("POST", path, data="InboundRequestUrl=", headers=FORM)
    await sandbox.world.say(AYSE, NUMBER, "dropped")
    _, body = await sandbox.ask("POST", path, data="UseInboundWebhookOnNumber=true", headers=FORM)
    assert (body["use_inbound_webhook_on_number"], body["inbound_request_url"]) == (True, None)
    await sandbox.world.say(AYSE, NUMBER, "three")
    await sandbox.world.idle()
    assert [(params["Body"], params["MessagingServiceSid"]) for params in shop.got] == [
        ("one", service.sid),
        ("three", service.sid),
    ]
    _, numbers = await sandbox.ask("GET", f"{path}/PhoneNumbers")
    assert [one["phone_number"] for one in numbers["phone_numbers"]] == [NUMBER]


async def test_a_file_needs_credentials_here_and_none_there(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.tell("settings", media_absent=1)
    file = {"data": PICTURE, "media_type": "image/png", "filename": "kırık.png"}
    await sandbox.world.say(AMY, NUMBER, "broken", file=file)
    await sandbox.world.idle()
    params = shop.got[0]
    assert (params["NumMedia"], params["MediaContentType0"], params["MessageSid"][:2]) == ("1", "image/png", "MM")
    assert params["MediaUrl0"].startswith(f"https://api.twilio.com{ACCOUNT}/Messages/")
    path = params["MediaUrl0"].removeprefix("https://api.twilio.com")
    assert (await sandbox.ask("GET", path, login=None))[0] == 401
    assert (await sandbox.ask("GET", path))[1]["code"] == 20404
    auth = {"Authorization": aiohttp.encode_basic_auth(SID, TOKEN)}
    async with sandbox.http.get(sandbox.base + path, headers=auth, allow_redirects=False) as response:
        link = response.headers["Location"]
        assert (response.status, response.headers["Location"].startswith("http://localhost:")) == (307, True)
    # The origin differs, so a client that keeps its credentials on the way is found out.
    async with sandbox.http.get(link, headers=auth) as response:
        assert response.status == 400
    async with sandbox.http.get(link) as response:
        assert (await response.read(), response.content_type) == (PICTURE, "image/png")
    await sandbox.tell("settings", clock_offset=15_000)
    async with sandbox.http.get(link) as response:
        assert response.status == 403
    _, listed = await sandbox.ask("GET", path.rpartition("/")[0] + ".json")
    assert [one["content_type"] for one in listed["media_list"]] == ["image/png"]


# leaving and coming back


async def test_stop_blocks_until_start(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.world.opt_out(AYSE, NUMBER)
    assert (await sandbox.send(Body="x"))[1]["code"] == 21610
    await sandbox.tell("settings", opt_out_async=True)
    _, body = await sandbox.send(Body="x")
    await sandbox.world.idle()
    assert (body["status"], sandbox.chat(NUMBER, AYSE)[-1]["code"]) == ("queued", "21610")
    await sandbox.world.opt_in(AYSE, NUMBER)
    await sandbox.send(Body="welcome back")
    await sandbox.world.idle()
    assert [entry["from"] for entry in sandbox.chat(NUMBER, AYSE)] == [
        *("customer", "system", "shop"),
        *("customer", "system", "shop"),
    ]
    assert sandbox.chat(NUMBER, AYSE)[-1]["status"] == "delivered"
    assert [params["Body"] for params in shop.got] == ["STOP", "START"]
    assert "OptOutType" not in shop.got[0]


async def test_advanced_opt_out_knows_local_words_and_names_them(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.tell("settings", advanced_opt_out=True)
    await sandbox.world.say(AYSE, NUMBER, "dur")
    await sandbox.world.say(AYSE, SENDER, "STOP")
    await sandbox.world.idle()
    assert {params["To"]: params.get("OptOutType") for params in shop.got} == {NUMBER: "STOP", SENDER: None}
    assert sandbox.world.state()["left"] == [[NUMBER, AYSE]]


async def test_advanced_opt_out_of_a_service_is_for_its_whatsapp_senders_too(sandbox: Sandbox, shop: Shop) -> None:
    service = sandbox.world.add_service(name="Kumbara", lines=[SENDER], inbound_url=sandbox.world.line(SENDER).url)
    await sandbox.tell("settings", advanced_opt_out=True)
    await sandbox.world.say(AYSE, SENDER, "İptal istiyorum")
    await sandbox.world.say(AYSE, SENDER, "dur")
    assert (await sandbox.send(From=SENDER, To=f"whatsapp:{AYSE}", Body="x"))[1]["code"] == 21610
    await sandbox.tell("settings", opt_out_async=True)
    await sandbox.send(From=SENDER, To=f"whatsapp:{AYSE}", Body="x")
    await sandbox.world.idle()
    assert sandbox.chat(SENDER, AYSE)[-1]["code"] == "21610"
    assert sandbox.world.state()["left"] == [[service.sid, f"whatsapp:{AYSE}"]]
    await sandbox.world.say(AYSE, SENDER, "başla")
    assert (await sandbox.send(From=SENDER, To=f"whatsapp:{AYSE}", Body="x"))[0] == 201
    await sandbox.world.idle()
    told = [params.get("OptOutType") for params in shop.got if "Body" in params]
    assert told == [None, "STOP", "START"]


# WhatsApp


TEMPLATE: dict[str, Any] = {
    "twilio/quick-reply": {
        "body": "{{1}}, your parcel {{2}} is here.",
        "actions": [{"title": "Thanks", "id": "ok"}, {"title": "Not here", "id": "no"}],
    },
    "twilio/text": {"body": "{{1}}, your parcel {{2}} is here."},
}


async def test_the_window_closes_after_a_day_and_only_approved_templates_pass(sandbox: Sandbox, shop: Shop) -> None:
    sandbox.world.add_template(sid="HX1", name="parcel", types=TEMPLATE, status="approved", category="UTILITY")
    sandbox.world.add_template(
        sid="HX2", name="paused", types=TEMPLATE, status="paused", variables={"1": "a", "2": "b"}
    )
    to: dict[str, Any] = {"From": SENDER, "To": f"whatsapp:{AYSE}"}
    await sandbox.send(**to, Body="too early")
    await sandbox.world.say(AYSE, SENDER, "hi")
    await sandbox.send(**to, Body="open", StatusCallback=f"{shop.url}/hook/s")
    await sandbox.world.idle()
    await sandbox.tell("settings", clock_offset=24 * 3600 + 1)
    await sandbox.send(**to, Body="too late", StatusCallback=f"{shop.url}/hook/late")
    await sandbox.send(**to, ContentSid="HX1", ContentVariables='{"1":"Ayşe","2":"4711"}')
    await sandbox.send(**to, ContentSid="HX1", ContentVariables='{"1":"Ayşe"}')
    await sandbox.send(**to, ContentSid="HX2")
    await sandbox.world.idle()
    shown = [(entry["text"], entry["status"], entry["code"]) for entry in sandbox.chat(SENDER, AYSE)]
    assert shown == [
        ("too early", "failed", "63016"),
        ("hi", "", ""),
        ("open", "delivered", ""),
        ("too late", "failed", "63016"),
        ("Ayşe, your parcel 4711 is here.", "delivered", ""),
        ("Ayşe, your parcel  is here.", "failed", "63028"),
        ("a, your parcel b is here.", "failed", "63041"),
    ]
    assert [one["MessageStatus"] for one in shop.got if one.get("ErrorCode") == "63016"] == ["failed"]
    for variables in ("[1]", "{", '{"1":null}', '{"1":"a\\nb"}'):
        assert (await sandbox.send(**to, ContentSid="HX1", ContentVariables=variables))[1]["code"] == 21656


async def test_buttons_and_rows_are_pressed(sandbox: Sandbox, shop: Shop) -> None:
    rows = {"twilio/list-picker": {"body": "Which?", "button": "Choose", "items": [{"item": "Vase", "id": "v1"}]}}
    _, made = await sandbox.ask("POST", "/v1/Content", json={"friendly_name": "which", "language": "en", "types": rows})
    sandbox.world.add_template(
        sid="HX1", name="parcel", types=TEMPLATE, variables={"1": "a", "2": "b"}, status="approved"
    )
    await sandbox.world.say(AYSE, SENDER, "hi")
    for sid in ("HX1", made["sid"]):
        await sandbox.send(From=SENDER, To=f"whatsapp:{AYSE}", ContentSid=sid)
    await sandbox.world.idle()
    _, first, second = sandbox.chat(SENDER, AYSE)
    assert first["choices"] == [{"label": "Thanks", "payload": "ok"}, {"label": "Not here", "payload": "no"}]
    await sandbox.world.press(AYSE, SENDER, first["id"], 2)
    await sandbox.world.press(AYSE, SENDER, second["id"], 1)
    await sandbox.world.idle()
    button, row = shop.got[-2:]
    assert (button["MessageType"], button["Body"], button["ButtonText"], button["ButtonPayload"]) == (
        "button",
        *("Not here", "Not here", "no"),
    )
    assert (button["OriginalRepliedMessageSid"], button["OriginalRepliedMessageSender"]) == (first["id"], SENDER)
    assert (row["MessageType"], row["ListId"], row["ListTitle"], row["Body"]) == ("interactive", "v1", "Vase", "Vase")
    with pytest.raises(KeyError):
        await sandbox.world.press(AYSE, SENDER, first["id"], 3)


async def test_what_whatsapp_people_send(sandbox: Sandbox, shop: Shop) -> None:
    say = sandbox.world.say
    sid = await say(AYSE, SENDER, "hi", forwarded="often", referral={"Body": "Sale", "CtwaClid": "c1"})
    await say(AYSE, SENDER, "this", reply_to=sid, extra={"Fresh": "1"})
    await say(AYSE, SENDER, location={"latitude": 41.0, "longitude": 29.0, "label": "Ev"})
    await say(AYSE, SENDER, contacts=[{"name": "Can", "phone": "+905320000001"}])
    picture = {"data": PICTURE, "media_type": "image/png", "filename": "a.png"}
    await say(AYSE, SENDER, "look", files=[picture, picture])
    await sandbox.world.idle()
    text, reply, place, contact, one, two = shop.got
    assert (text["FrequentlyForwarded"], text["ReferralBody"], text["ReferralCtwaClid"]) == ("true", "Sale", "c1")
    assert (text["ProfileName"], text["WaId"], text["From"]) == ("Ayşe Kaya", AYSE[1:], f"whatsapp:{AYSE}")
    assert json.loads(text["ChannelMetadata"])["data"]["context"]["WaId"] == AYSE[1:]
    assert (reply["OriginalRepliedMessageSid"], reply["Fresh"]) == (sid, "1")
    assert (place["MessageType"], place["Latitude"], place["Label"], place["Body"]) == ("location", "41.0", "Ev", "")
    assert (contact["MessageType"], contact["MediaContentType0"]) == ("contacts", "text/vcard")
    assert [(message["NumMedia"], message["Body"]) for message in (one, two)] == [("1", "look"), ("1", "")]
    with pytest.raises(ValueError, match="a text message carries no place"):
        await say(AYSE, NUMBER, location={"latitude": 1, "longitude": 2})


async def test_a_person_without_a_number_writes_by_another_id(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.world.say("ivan", SENDER, "привет")
    await sandbox.world.idle()
    (params,) = shop.got
    assert (params["From"], params["ExternalUserId"]) == (f"whatsapp:{BSUID}", f"whatsapp:{BSUID}")
    assert "WaId" not in params
    sandbox.world.add_template(
        sid="HX1", name="code", types={"twilio/text": {"body": "1"}}, status="approved", category="AUTHENTICATION"
    )
    await sandbox.send(From=SENDER, To=f"whatsapp:{BSUID}", Body="Здравствуйте")
    await sandbox.send(From=SENDER, To=f"whatsapp:{BSUID}", ContentSid="HX1")
    await sandbox.world.idle()
    assert [entry["code"] for entry in sandbox.chat(SENDER, IVAN)] == ["", "", "63024"]


async def test_a_number_may_be_spelled_in_two_ways(sandbox: Sandbox, shop: Shop) -> None:
    sandbox.world.add_person(name="Ana", phone="+5511987654321", wa_phone="+551187654321")
    await sandbox.world.say("+5511987654321", SENDER, "oi")
    for number in ("+5511987654321", "+551187654321"):
        await sandbox.send(From=SENDER, To=f"whatsapp:{number}", Body="x")
    await sandbox.world.idle()
    assert shop.got[0]["From"] == "whatsapp:+551187654321"
    assert len(sandbox.chat(SENDER, "+5511987654321")) == 3


async def test_whatsapp_fails_late_and_receipts_are_the_persons_choice(sandbox: Sandbox, shop: Shop) -> None:
    to: dict[str, Any] = {"From": SENDER, "To": f"whatsapp:{AYSE}", "StatusCallback": f"{shop.url}/hook/s"}
    await sandbox.world.say(AYSE, SENDER, "hi")
    await sandbox.tell("change", person=AYSE, reachable=False)
    await sandbox.send(**to, Body="phone is off")
    await sandbox.send(**to, Body="lost", MediaUrl=f"{shop.url}/none")
    await sandbox.send(**to, Body="large", MediaUrl=f"{shop.url}/file?more={5 << 20}")
    await sandbox.send(From=SENDER, To="whatsapp:+905320000000", Body="nobody")
    await sandbox.world.idle()
    assert [entry["status"] for entry in sandbox.chat(SENDER, AYSE)] == ["", "sent", "failed", "failed"]
    assert [entry["code"] for entry in sandbox.chat(SENDER, AYSE)] == ["", "", "63019", "63034"]
    assert sandbox.chat(SENDER, "+905320000000")[0]["code"] == "63003"
    await sandbox.tell("change", person=AYSE, reachable=True)
    await sandbox.world.idle()
    assert shop.got[-1]["MessageStatus"] == "delivered"
    await sandbox.tell("read", person=AYSE, line=SENDER)
    await sandbox.world.idle()
    assert (shop.got[-1]["MessageStatus"], shop.got[-1]["EventType"]) == ("read", "READ")
    assert shop.got[-1]["ChannelPrefix"] == "whatsapp"
    await sandbox.tell("block", person=AYSE, line=SENDER)
    await sandbox.send(**to, Body="blocked")
    await sandbox.world.idle()
    assert sandbox.chat(SENDER, AYSE)[-1]["code"] == "63033"


async def test_typing_by_form_and_by_json_only(sandbox: Sandbox, shop: Shop) -> None:
    sid = await sandbox.world.say(AYSE, SENDER, "hi")
    form = urlencode({"channel": "whatsapp", "messageId": sid})
    assert await sandbox.ask("POST", "/v2/Indicators/Typing.json", data=form, headers=FORM) == (200, {"success": True})
    assert sandbox.world.state()["lines"][SENDER]["typing"] == [AYSE]
    status, body = await sandbox.ask("POST", "/v3/Indicators/Typing.json", data=form, headers=FORM)
    assert (status, body["code"], body["title"]) == (400, 20001, "Invalid parameter")
    given = {"channel": "WHATSAPP", "messageId": sid}
    assert (await sandbox.ask("POST", "/v3/Indicators/Typing.json", json=given))[0] == 200
    await sandbox.tell("settings", clock_offset=26)
    assert sandbox.world.state()["lines"][SENDER]["typing"] == []


# settings of the shop's own


async def test_webhooks_are_set_by_the_api(sandbox: Sandbox) -> None:
    _, numbers = await sandbox.ask("GET", f"{ACCOUNT}/IncomingPhoneNumbers.json?PhoneNumber=%2B15005550006")
    (number,) = numbers["incoming_phone_numbers"]
    path = f"{ACCOUNT}/IncomingPhoneNumbers/{number['sid']}.json"
    form = urlencode({"SmsUrl": "https://shop.example/h#rc=3", "SmsMethod": "post"})
    _, body = await sandbox.ask("POST", path, data=form, headers=FORM)
    assert (body["sms_url"], body["sms_method"]) == ("https://shop.example/h#rc=3", "POST")
    assert (await sandbox.ask("POST", path, data="SmsUrl=shop", headers=FORM))[1]["code"] == 21402
    assert (await sandbox.ask("GET", "/v2/Channels/Senders"))[0] == 400
    _, senders = await sandbox.ask("GET", "/v2/Channels/Senders?Channel=whatsapp")
    (sender,) = senders["senders"]
    assert (sender["sender_id"], sender["status"]) == (SENDER, "ONLINE")
    webhook = {"callback_url": "https://shop.example/w", "callback_method": "POST"}
    status, body = await sandbox.ask("POST", f"/v2/Channels/Senders/{sender['sid']}", json={"webhook": webhook})
    assert (status, body["webhook"]["callback_url"]) == (202, "https://shop.example/w")


async def test_content_is_listed_with_absolute_addresses_and_approved(sandbox: Sandbox) -> None:
    for number in range(3):
        sandbox.world.add_template(name=f"t{number}", types=TEMPLATE, language="tr")
    url, sids = f"{sandbox.base}/v1/Content?PageSize=2", []
    while url:
        assert url.startswith(sandbox.base)
        _, page = await sandbox.ask("GET", url.removeprefix(sandbox.base))
        sids += [one["sid"] for one in page["contents"]]
        url = page["meta"]["next_page_url"]
    assert len(sids) == 3
    path = f"/v1/Content/{sids[0]}"
    given = {"name": "parcel_here", "category": "UTILITY"}
    assert (await sandbox.ask("POST", f"{path}/ApprovalRequests/whatsapp", json=given))[1]["status"] == "received"
    await sandbox.tell("judge", template=sids[0], status="approved")
    _, found = await sandbox.ask("GET", f"{path}/ApprovalRequests")
    assert (found["whatsapp"]["status"], found["whatsapp"]["name"]) == ("approved", "parcel_here")
    assert (await sandbox.ask("GET", path))[1]["types"] == TEMPLATE
    assert (await sandbox.ask("DELETE", path))[0] == 204
    assert (await sandbox.ask("GET", path))[1]["code"] == 20404


# what goes wrong on the way


async def test_the_message_went_out_and_the_answer_did_not_come_back(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.tell("trouble", rules=[{"match": "messages.create", "action": "drop_after", "times": 1}])
    with pytest.raises(aiohttp.ClientError):
        await sandbox.send(Body="once", StatusCallback=f"{shop.url}/hook/s?uuid=u-2")
    await sandbox.world.idle()
    assert shop.statuses() == ["sending", "sent", "delivered"]
    _, page = await sandbox.ask("GET", f"{ACCOUNT}/Messages.json")
    assert [one["body"] for one in page["messages"]] == ["once"]
    assert [call["status"] for call in sandbox.world.journal.calls(method="messages.create")] == [201]


async def test_a_call_that_hangs_is_reported_all_the_same(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.tell("trouble", rules=[{"match": "messages.create", "action": "hang", "seconds": 60}])
    records = sandbox.world.journal.listen()
    sending = asyncio.create_task(sandbox.send(Body="once", StatusCallback=f"{shop.url}/hook/s"))
    async with asyncio.timeout(20):
        while len(shop.statuses()) < 3:
            await anext(records)
    assert not sending.done()
    async with sandbox.http.delete(f"{sandbox.base}/control/trouble"):
        with pytest.raises(aiohttp.ClientError):
            await sending
    await records.aclose()


async def test_smart_encoding_folds_what_alone_would_cost_a_part(sandbox: Sandbox) -> None:
    text = "It’s on its way. " * 9
    assert (await sandbox.send(Body=text))[1]["num_segments"] == "3"
    _, body = await sandbox.send(Body=text, SmartEncoded="true")
    assert (body["num_segments"], "'" in body["body"]) == ("1", True)


async def test_a_call_that_is_refused_by_trouble_took_no_effect(sandbox: Sandbox) -> None:
    rules = [{"action": "ratelimit", "retry_after": 3, "times": 1}, {"action": "status", "status": 500, "times": 1}]
    await sandbox.tell("trouble", rules=rules)
    assert [(await sandbox.send(Body="x"))[1]["code"] for _ in range(2)] == [20429, 20500]
    await sandbox.tell("settings", concurrency=0)
    status, body = await sandbox.send(Body="x")
    assert (status, body["code"]) == (429, 20429)
    assert not sandbox.world.state()["chats"]


async def test_held_callbacks_come_in_another_order_and_again(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.tell("hold")
    _, body = await sandbox.send(Body="x", StatusCallback=f"{shop.url}/hook/s")
    await sandbox.world.idle()
    assert not shop.got
    assert sandbox.world.state()["held"] == 3
    await sandbox.tell("release", order="reverse")
    await sandbox.world.idle()
    assert shop.statuses() == ["delivered", "sent", "sending"]
    await sandbox.tell("repeat", message=body["sid"])
    await sandbox.world.idle()
    assert sorted(shop.statuses()) == ["delivered", "delivered", "sending", "sending", "sent", "sent"]


async def test_a_seed_makes_disorder_and_duplicates_the_same(sandbox: Sandbox, shop: Shop) -> None:
    seen = []
    for _ in range(2):
        await sandbox.tell("settings", seed=7, order="shuffled", duplicates=0.5)
        await sandbox.send(Body="x", StatusCallback=f"{shop.url}/hook/s")
        await sandbox.world.say(AYSE, NUMBER, "hi")
        await sandbox.world.idle()
        seen.append([params.get("MessageStatus", "said") for params in shop.got])
        shop.got.clear()
    assert seen[0] == seen[1]
    assert set(seen[0]) == {"sending", "sent", "delivered", "said"}


async def test_anything_can_be_posted_and_forged(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.tell("raw", line=NUMBER, params={"Body": "x", "AccountSid": SID}, secret="guess")
    await sandbox.world.idle()
    right, wrong = (signature(key, f"{shop.url}/hook/sms?x=%C5%9F", shop.got[0].items()) for key in (TOKEN, "guess"))
    assert shop.headers[0]["X-Twilio-Signature"] == wrong != right


async def test_what_was_written_elsewhere_is_only_in_the_list(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.world.elsewhere(AYSE, NUMBER, "from the console")
    await sandbox.world.idle()
    assert not shop.got
    _, page = await sandbox.ask("GET", f"{ACCOUNT}/Messages.json")
    assert [(one["direction"], one["status"]) for one in page["messages"]] == [("outbound-api", "delivered")]
    assert sandbox.chat(NUMBER, AYSE)[0]["from"] == "elsewhere"


async def test_the_control_side_shows_chats_files_and_a_stream(sandbox: Sandbox) -> None:
    async with sandbox.http.get(f"{sandbox.base}/control/stream") as stream:
        assert await stream.content.readline() == b": listening\n"
        data = "iVBORw0KGgo="
        said = await sandbox.tell(
            "say", person=AMY, line=NUMBER, text="hi", file={"data": data, "media_type": "image/png", "filename": "a"}
        )
        await stream.content.readuntil(b"data: ")
        record = json.loads(await stream.content.readline())
    assert (record["type"], record["chat"], record["entries"][0]["id"]) == ("entry", f"{NUMBER}|{AMY}", said["id"])
    async with sandbox.http.get(f"{sandbox.base}/control/state") as response:
        state = await response.json()
    (entry,) = state["chats"][f"{NUMBER}|{AMY}"]
    assert entry == record["entries"][0]
    assert set(entry) == {
        *("id", "from", "text", "at", "status", "file", "choices", "reply_to", "reactions"),
        *("edited", "withdrawn", "template", "code"),
    }
    async with sandbox.http.get(sandbox.base.removesuffix("/twilio") + entry["file"]["url"]) as response:
        assert (response.status, await response.read()) == (200, b"\x89PNG\r\n\x1a\n")
    assert "shared_key" not in state["settings"]
    async with sandbox.http.post(f"{sandbox.base}/control/say", json={"person": "+1", "line": NUMBER}) as response:
        assert (response.status, await response.json()) == (404, {"error": "no such person"})
    await sandbox.tell("reset")
    assert not sandbox.world.state()["chats"]
