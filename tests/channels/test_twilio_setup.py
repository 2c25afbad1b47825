"""What `santral serve` sets at Twilio, and what `santral check` says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from channels.channel import Finding
from channels.errors import Misconfigured
from channels.message import Attachment
from channels.twilio.client import basic
from channels.twilio.setup import AGAIN
from tests.channels import harness
from tests.channels.harness import Answer, Call, Leaves
from tests.channels.test_twilio import API, BASIC, HELLO, HOOK, SMS, TOKEN, made, no, signed

WANTED = HOOK + AGAIN
NUMBER: Mapping[str, Any] = {
    "sid": "PN1",
    "phone_number": "+908505550100",
    "sms_url": WANTED,
    "sms_method": "POST",
    "sms_application_sid": "",
    "capabilities": {"sms": True},
}
SERVICE: Mapping[str, Any] = {
    "sid": "MG0123",
    "friendly_name": "Kumbara",
    "inbound_request_url": WANTED,
    "inbound_method": "POST",
    "use_inbound_webhook_on_number": False,
}
SENDER: Mapping[str, Any] = {
    "sid": "XE1",
    "sender_id": "whatsapp:+908505550100",
    "status": "ONLINE",
    "webhook": {"callback_url": WANTED, "callback_method": "POST", "status_callback_url": "https://other.example/s"},
}
OF_SERVICE = {"messaging_service_sid": "MG0123"}


def numbers(**parts: Any) -> Answer:
    return Answer(body={"incoming_phone_numbers": [{**NUMBER, **parts}]})


def senders(**parts: Any) -> tuple[Answer, Answer]:
    one = {**SENDER, **parts}
    return Answer(body={"senders": [one], "meta": {"key": "senders", "next_page_url": None}}), Answer(body=one)


def registers(
    name: str, kind: str, answers: tuple[Answer, ...], changes: Call | None, outcome: Any = None, **settings: Any
) -> tuple[str, Leaves, Mapping[str, Any], Call | None]:
    row = Leaves(
        name=name,
        do=lambda channel: channel.register(HOOK),
        answers=answers if changes is None else (*answers, Answer(body={})),
        calls=None,
        outcome=outcome,
    )
    return kind, row, settings, changes


OLD = "https://old.example.com/x"
REGISTERS = (
    registers("a number that is right", "sms", (numbers(),), None),
    registers(
        "a number that calls elsewhere",
        "sms",
        (numbers(sms_url=OLD),),
        Call(path=f"{API}/IncomingPhoneNumbers/PN1.json", fields={"SmsUrl": WANTED, "SmsMethod": "POST"}),
    ),
    registers(
        "edge_04: a number whose failures are not tried again",
        "sms",
        (numbers(sms_url=HOOK),),
        Call(path=f"{API}/IncomingPhoneNumbers/PN1.json", fields={"SmsUrl": WANTED, "SmsMethod": "POST"}),
    ),
    registers(
        "a number that an application answers",
        "sms",
        (numbers(sms_application_sid="AP1"),),
        Call(
            path=f"{API}/IncomingPhoneNumbers/PN1.json",
            fields={"SmsUrl": WANTED, "SmsMethod": "POST", "SmsApplicationSid": ""},
        ),
    ),
    registers(
        "a number of somebody else",
        "sms",
        (Answer(body={"incoming_phone_numbers": []}),),
        None,
        Misconfigured("This Twilio account has no number +908505550100."),
    ),
    registers(
        "a short number",
        "sms",
        (Answer(body={"short_codes": [{"sid": "SC1", "short_code": "3344", "sms_url": OLD}]}),),
        Call(path=f"{API}/SMS/ShortCodes/SC1.json", fields={"SmsUrl": WANTED, "SmsMethod": "POST"}),
        sender="3344",
    ),
    registers("a name, to which nobody can write", "sms", (), None, sender="KUMBARA"),
    registers("a service that is right", "sms", (Answer(body=SERVICE),), None, **OF_SERVICE),
    registers(
        "a service that leaves it to its numbers",
        "sms",
        (Answer(body={**SERVICE, "use_inbound_webhook_on_number": True}),),
        Call(
            path="/v1/Services/MG0123",
            fields={"InboundRequestUrl": WANTED, "InboundMethod": "POST", "UseInboundWebhookOnNumber": "false"},
        ),
        **OF_SERVICE,
    ),
    registers("a WhatsApp sender that is right", "whatsapp-twilio", senders(), None),
    registers(
        "a WhatsApp sender that calls elsewhere",
        "whatsapp-twilio",
        senders(webhook={**SENDER["webhook"], "callback_url": OLD, "fallback_url": None}),
        Call(
            path="/v2/Channels/Senders/XE1",
            fields={
                "webhook": {
                    "callback_url": WANTED,
                    "callback_method": "POST",
                    "status_callback_url": "https://other.example/s",
                }
            },
        ),
    ),
    registers("the sandbox", "whatsapp-twilio", (), None, sender="+14155238886"),
)


@pytest.mark.parametrize(("kind", "row", "settings", "changes"), REGISTERS, ids=lambda it: getattr(it, "name", ""))
async def test_register_changes_only_what_is_needed(
    kind: str, row: Leaves, settings: Mapping[str, Any], changes: Call | None
) -> None:
    subject = replace(SMS, make=lambda url: made(kind, url, **settings))
    await harness.check_leaves(subject, row)
    async with harness.provider(subject, *row.answers) as canned:
        channel = subject.make(canned.url)
        if not isinstance(row.outcome, Misconfigured):
            await channel.register(HOOK)
        await channel.close()
        assert [call for call in canned.calls if call.method == "POST"] == ([changes] if changes else [])


def pool(**parts: Any) -> Answer:
    """The account's messaging services."""
    return Answer(body={"services": [{**SERVICE, **parts}], "meta": {"key": "services"}})


NUMBERS = {"key": "phone_numbers"}
ALONE = Answer(body={"services": [], "meta": {"key": "services"}})
IN_POOL = Answer(body={"phone_numbers": [{"sid": "PN1", "phone_number": "+908505550100"}], "meta": NUMBERS})
ACTIVE = Answer(body={"status": "active", "type": "Full", "friendly_name": "Kumbara"})
GOOD = "The Twilio account Kumbara answers."
WELL = "The number +908505550100 calls here."
PAGE = Answer(body={"messages": []})
KEY = {"api_key": "SK00000000000000000000000000000001", "api_secret": "kumbara-api-secret-0123456789"}


def with_token(token: str) -> Answer:
    return Answer(body={**ACTIVE.body, "auth_token": token})


NO_TEMPLATES = Answer(body={"contents": [], "meta": {"key": "contents"}})
REFUSED = Answer(
    body={"contents": [{"sid": "HX2", "approval_requests": {"status": "rejected"}}], "meta": {"key": "contents"}}
)
TEMPLATES = Answer(
    body={
        "contents": [
            {"sid": "HX1", "language": "tr", "approval_requests": {"status": "approved"}},
            {"sid": "HX2", "language": "tr", "approval_requests": {"whatsapp": {"status": "rejected"}}},
        ],
        "meta": {"key": "contents"},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What Twilio answers, how we are set up, and what we say; a "!" marks what is wrong."""

    name: str
    kind: str = "sms"
    answers: tuple[Answer, ...]
    url: str = HOOK
    settings: Mapping[str, Any] = field(default_factory=dict)
    says: tuple[str, ...]


CHECKS = (
    Checked(name="all well", answers=(ACTIVE, numbers(), ALONE), says=(GOOD, "The number +908505550100 calls here.")),
    Checked(
        name="points elsewhere",
        answers=(ACTIVE, numbers(sms_url=OLD), ALONE),
        says=(GOOD, "! The number +908505550100 does not call here."),
    ),
    Checked(
        name="is not tried again",
        answers=(ACTIVE, numbers(sms_url=HOOK), ALONE),
        says=(GOOD, "! The number +908505550100 calls here, but what fails is not tried again."),
    ),
    Checked(
        name="calls with GET, which is not served",
        answers=(ACTIVE, numbers(sms_method="GET"), ALONE),
        says=(GOOD, "! The number +908505550100 calls here with GET."),
    ),
    Checked(
        name="no public_url",
        answers=(ACTIVE, numbers()),
        url="",
        says=(GOOD, "! Twilio has no public address to call."),
    ),
    Checked(
        name="an address that is not https",
        answers=(ACTIVE, numbers(), ALONE),
        url="http://127.0.0.1:8080/webhooks/sms",
        says=(GOOD, "The number +908505550100 does not call here: it is set for https addresses only."),
    ),
    Checked(
        name="a number for calls alone",
        answers=(ACTIVE, numbers(capabilities={"sms": False, "voice": True}), ALONE),
        says=(
            GOOD,
            "! The number +908505550100: It cannot send or receive SMS.",
            "The number +908505550100 calls here.",
        ),
    ),
    Checked(
        name="a trial account, and the rest is looked at",
        answers=(Answer(body={"status": "active", "type": "Trial", "friendly_name": "Kumbara"}), numbers(), ALONE),
        says=(
            GOOD,
            "! It is a trial account: it writes to verified numbers only, with a line of Twilio's before every text.",
            "The number +908505550100 calls here.",
        ),
    ),
    Checked(
        name="a suspended account",
        answers=(Answer(body={"status": "suspended", "friendly_name": "Kumbara"}), numbers(), ALONE),
        says=("! The Twilio account Kumbara is suspended.", "The number +908505550100 calls here."),
    ),
    Checked(
        name="a wrong token is said once",
        answers=(no(20003, status=401), no(20003, status=401)),
        says=("! Twilio does not accept the account SID and auth token, or the API key.",),
    ),
    Checked(
        name="an API key",
        answers=(ACTIVE, PAGE, numbers(), ALONE),
        settings=KEY,
        says=(GOOD, "The API key opens the account's messages.", "The number +908505550100 calls here."),
    ),
    Checked(
        name="an API key of another account is said once",
        answers=(ACTIVE, no(20003, status=401), no(20003, status=401)),
        settings=KEY,
        says=(GOOD, "! Twilio does not accept the API key."),
    ),
    Checked(
        name="a wrong token beside a good API key, which nothing else would show",
        answers=(no(20003, status=401), PAGE, numbers(), ALONE),
        settings=KEY,
        says=(
            "! Twilio does not accept auth_token: what it brings would be refused, because the token proves it.",
            "The API key opens the account's messages.",
            "The number +908505550100 calls here.",
        ),
    ),
    Checked(
        name="half an API key",
        answers=(ACTIVE, numbers(), ALONE),
        settings={"api_key": "SK1"},
        says=(
            GOOD,
            "! Of api_key and api_secret one is missing, so the auth token is used for calls.",
            "The number +908505550100 calls here.",
        ),
    ),
    Checked(
        name="the secondary token, which opens the API and signs nothing",
        answers=(with_token("another-primary-token"), numbers(), ALONE),
        says=(
            GOOD,
            "! auth_token is the secondary one: Twilio signs with the primary, so what it brings would be refused.",
            "The number +908505550100 calls here.",
        ),
    ),
    Checked(
        name="a token about to become the primary one, while the present one is believed",
        answers=(with_token("present-token"), numbers(), ALONE),
        settings={"previous_auth_token": "present-token"},
        says=(GOOD, "The number +908505550100 calls here."),
    ),
    Checked(name="the primary token", answers=(with_token(TOKEN), numbers(), ALONE), says=(GOOD, WELL)),
    Checked(
        name="a line that breaks, and the rest is looked at",
        answers=(Answer(body=b'{"status"', cut=True), numbers(), ALONE),
        says=("! The line to Twilio broke.", "The number +908505550100 calls here."),
    ),
    Checked(
        name="a name is one-way",
        answers=(ACTIVE,),
        settings={"sender": "KUMBARA"},
        says=(GOOD, "! KUMBARA is a name: customers can neither answer it nor write STOP to it."),
    ),
    Checked(
        name="a number in a service that calls elsewhere",
        answers=(ACTIVE, numbers(), pool(inbound_request_url=OLD), IN_POOL),
        says=(
            GOOD,
            "! The number +908505550100 is in the messaging service Kumbara, which takes its messages elsewhere.",
        ),
    ),
    Checked(
        name="a number in a service that takes nothing",
        answers=(ACTIVE, numbers(), pool(inbound_request_url=None), IN_POOL),
        says=(
            GOOD,
            "! The number +908505550100 is in the messaging service Kumbara, which takes its messages elsewhere.",
        ),
    ),
    Checked(
        name="a number in a service that leaves it to its numbers",
        answers=(ACTIVE, numbers(), pool(inbound_request_url=OLD, use_inbound_webhook_on_number=True)),
        says=(GOOD, "The number +908505550100 calls here."),
    ),
    Checked(
        name="a number in a service that calls here",
        answers=(ACTIVE, numbers(), pool()),
        says=(GOOD, "The number +908505550100 calls here."),
    ),
    Checked(
        name="a number beside a service of others",
        answers=(ACTIVE, numbers(), pool(inbound_request_url=OLD), Answer(body={"phone_numbers": [], "meta": NUMBERS})),
        says=(GOOD, "The number +908505550100 calls here."),
    ),
    Checked(
        name="a service",
        answers=(ACTIVE, Answer(body=SERVICE)),
        settings=OF_SERVICE,
        says=(GOOD, "The messaging service Kumbara calls here."),
    ),
    Checked(
        name="a WhatsApp sender",
        kind="whatsapp-twilio",
        answers=(ACTIVE, *senders(), TEMPLATES),
        says=(GOOD, "The WhatsApp sender +908505550100 calls here.", "1 of 2 templates are approved."),
    ),
    Checked(
        name="a WhatsApp sender that is not let in yet, without templates",
        kind="whatsapp-twilio",
        answers=(ACTIVE, *senders(status="TWILIO_REVIEW"), NO_TEMPLATES),
        says=(
            GOOD,
            "! The WhatsApp sender +908505550100: WhatsApp does not let it send yet: TWILIO_REVIEW.",
            "The WhatsApp sender +908505550100 calls here.",
            "No template is made: 24 hours after their last message nobody can be written to.",
        ),
    ),
    Checked(
        name="a WhatsApp sender whose templates are refused",
        kind="whatsapp-twilio",
        answers=(ACTIVE, *senders(), REFUSED),
        says=(
            GOOD,
            "The WhatsApp sender +908505550100 calls here.",
            "! No template is approved: a customer who wrote more than 24 hours ago cannot be answered.",
        ),
    ),
    Checked(
        name="the sandbox",
        kind="whatsapp-twilio",
        answers=(ACTIVE, TEMPLATES),
        settings={"sender": "whatsapp:+14155238886"},
        says=(
            GOOD,
            "! This is WhatsApp's sandbox: only who has joined it can write, and every three days they join anew.",
            "1 of 2 templates are approved.",
        ),
    ),
)


@pytest.mark.parametrize("row", CHECKS, ids=lambda row: row.name)
async def test_check(row: Checked) -> None:
    async with harness.provider(SMS, *row.answers) as canned:
        channel = made(row.kind, canned.url, **row.settings)
        found: tuple[Finding, ...] = await channel.check(row.url)
        await channel.close()
        assert all(call.method == "GET" for call in canned.calls), "a check changes nothing"
    assert tuple(("" if it.ok else "! ") + it.what for it in found) == row.says
    assert all(it.ok or it.fix for it in found), "what is wrong comes with what to do"
    for one in found:
        assert not any(secret in f"{one.what} {one.fix}" for secret in (TOKEN, "-token", KEY["api_secret"])), one


async def test_calls_are_made_with_the_api_key_and_only_the_token_s_own_check_is_not() -> None:
    """Twilio's signature is over the auth token whatever calls are made with, so `check` proves both."""
    from aiohttp import web
    from aiohttp.test_utils import TestServer

    seen: list[tuple[str, str]] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append((f"{request.method} {request.path}", request.headers["Authorization"]))
        lists = request.method == "GET" and request.path.endswith("/Messages.json")
        return web.json_response({"messages": []} if lists else {"sid": "SM1", "status": "active"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    server = TestServer(app)
    await server.start_server()
    url = str(server.make_url("")).rstrip("/")
    by_key = basic(KEY["api_key"], KEY["api_secret"])
    for settings, login in (({}, f"Basic {BASIC}"), (KEY, by_key)):
        seen.clear()
        channel = made("sms", url, **settings)
        with harness.nothing_leaks(replace(SMS, secrets=(TOKEN, BASIC, KEY["api_secret"], by_key))) as told:
            await channel.send(HELLO)
            await channel.missed("")
            ref = f"{url}{API}/Messages/MM1/Media/ME1"
            assert [chunk async for chunk in channel.fetch(Attachment(media_type="image/jpeg", ref=ref))]
            await channel.check("")
            told.append(repr(channel))
        await channel.close()
        assert (f"GET {API}.json", f"Basic {BASIC}") in seen
        assert {given for what, given in seen if what != f"GET {API}.json"} == {login}
        assert f"POST {API}/Messages.json" in dict(seen), "the account is named by its own SID, not by the key's"
        signed_by_token = signed(SMS.payload("text"))
        channel.verify(signed_by_token)
    await server.close()
