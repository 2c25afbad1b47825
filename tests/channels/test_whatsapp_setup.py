"""How a WhatsApp number is set up at Meta, and what `santral check` says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from channels.errors import Misconfigured, Retry
from channels.whatsapp.adapter import WhatsApp
from tests.channels import harness
from tests.channels.harness import AT, Answer, Call, Leaves
from tests.channels.test_whatsapp import ACCOUNT, APP, DONE, NUMBER, SUBJECT, URL, VERIFY, channel, no, path

# --- set-up

WELL = {"app_id": APP, "is_valid": True, "expires_at": 0, "scopes": [], "granular_scopes": []}
GRANTED = [
    {"scope": "whatsapp_business_messaging", "target_ids": [ACCOUNT]},
    {"scope": "whatsapp_business_management", "target_ids": [ACCOUNT]},
]


def token(**parts: Any) -> Answer:
    return Answer(body={"data": {**WELL, "granular_scopes": GRANTED, **parts}})


def subscribed(url: str = URL, *fields: str, active: bool = True) -> Answer:
    names = fields or ("messages", "smb_message_echoes")
    row = {
        "object": "whatsapp_business_account",
        "callback_url": url,
        "active": active,
        "fields": [{"name": name, "version": "v25.0"} for name in names],
    }
    return Answer(body={"data": [{"object": "page", "callback_url": "https://x.example"}, row]})


def number(hooks: Mapping[str, str] | None = None, **parts: Any) -> Answer:
    known = {
        "display_phone_number": "+1 555-078-3881",
        "verified_name": "Kumbara",
        "quality_rating": "GREEN",
        "status": "CONNECTED",
        "id": NUMBER,
    }
    return Answer(body={**known, **({} if hooks is None else {"webhook_configuration": hooks}), **parts})


def apps(*ids: str) -> Answer:
    return Answer(body={"data": [{"whatsapp_business_api_data": {"id": it, "name": "Kumbara"}} for it in ids]})


def templates(*rows: tuple[str, str, str], after: str = "") -> Answer:
    data = [{"name": name, "language": language, "status": status, "id": "1"} for name, language, status in rows]
    paging = {"paging": {"cursors": {"after": after}, "next": "https://graph.example/x"}} if after else {}
    return Answer(body={"data": data, **paging})


ELSEWHERE = "https://support.example.com/webhooks/other"
TOLD = Call(method="GET", path=path("debug_token", "input_token={secret}&"))
LOOKED = Call(method="GET", path=f"/v25.0/{APP}/subscriptions")
NUMBERED = Call(
    method="GET",
    path=path(NUMBER, "fields=display_phone_number,verified_name,quality_rating,status,webhook_configuration&"),
)
APPS = Call(method="GET", path=path(f"{ACCOUNT}/subscribed_apps"))


def subscribing(fields: str = "messages,smb_message_echoes") -> Call:
    posted = {"object": "whatsapp_business_account", "callback_url": URL, "verify_token": VERIFY, "fields": fields}
    return Call(path=f"/v25.0/{APP}/subscriptions", fields=posted)


LED = Call(
    path=path(NUMBER),
    fields={"webhook_configuration": {"override_callback_uri": URL, "verify_token": VERIFY}},
)
JOINED = Call(path=path(f"{ACCOUNT}/subscribed_apps"))


def registers(name: str, answers: tuple[Answer, ...], *calls: Call, outcome: Any = None) -> Leaves:
    return Leaves(name=name, do=lambda channel: channel.register(URL), answers=answers, calls=calls, outcome=outcome)


REGISTERS = (
    registers(
        "all is well",
        (token(), subscribed(), apps(APP), number({"application": URL})),
        TOLD,
        LOOKED,
        APPS,
        NUMBERED,
    ),
    registers(
        "an app that is told of nothing",
        (token(), Answer(body={"data": []}), DONE, apps(), DONE, number()),
        TOLD,
        LOOKED,
        subscribing(),
        APPS,
        JOINED,
        NUMBERED,
    ),
    registers(
        "an app that is not asked for echoes keeps what it is asked for",
        (token(), subscribed(URL, "messages", "account_update"), DONE, apps(APP), number()),
        TOLD,
        LOOKED,
        subscribing("account_update,messages,smb_message_echoes"),
        APPS,
        NUMBERED,
    ),
    registers(
        "an app whose webhook was switched off",
        (token(), subscribed(active=False), DONE, apps(APP), number()),
        TOLD,
        LOOKED,
        subscribing(),
        APPS,
        NUMBERED,
    ),
    registers(
        "an app that others rely on is left alone, and this number is led here",
        (token(), subscribed(ELSEWHERE), apps(APP), number({"application": ELSEWHERE}), DONE),
        TOLD,
        LOOKED,
        APPS,
        NUMBERED,
        LED,
    ),
    registers(
        "a number that is led here already",
        (token(), subscribed(ELSEWHERE), apps(APP), number({"application": ELSEWHERE, "phone_number": URL})),
        TOLD,
        LOOKED,
        APPS,
        NUMBERED,
    ),
    registers(
        "a number that is led elsewhere although the app is ours",
        (token(), subscribed(), apps(APP), number({"phone_number": ELSEWHERE}), DONE),
        TOLD,
        LOOKED,
        APPS,
        NUMBERED,
        LED,
    ),
    registers(
        "a token for several accounts",
        (
            token(granular_scopes=[{"scope": "whatsapp_business_management", "target_ids": ["1", ACCOUNT]}]),
            subscribed(),
            Answer(body={"data": [{"id": "999"}]}),
            Answer(body={"data": [{"id": NUMBER}]}),
            apps(APP),
            number(),
        ),
        TOLD,
        LOOKED,
        Call(method="GET", path=path("1/phone_numbers", "fields=id&limit=100&")),
        Call(method="GET", path=path(f"{ACCOUNT}/phone_numbers", "fields=id&limit=100&")),
        APPS,
        NUMBERED,
    ),
    registers(
        "a token that tells no account",
        (token(granular_scopes=[]), subscribed()),
        TOLD,
        LOOKED,
        outcome=Misconfigured("The token does not tell which WhatsApp Business account the number belongs to."),
    ),
    registers("a token that is none", (token(is_valid=False),), TOLD, outcome=Misconfigured(provider_code="190")),
    registers("Meta is away", (Answer(status=503),), TOLD, outcome=Retry(whole_channel=True)),
    Leaves(
        name="templates, page by page",
        do=lambda channel: channel.approved(),
        answers=(token(), templates(("hello", "tr", "APPROVED"), after="QVFI"), templates(("hello", "ru", "PENDING"))),
        calls=(
            TOLD,
            Call(
                method="GET",
                path=path(f"{ACCOUNT}/message_templates", "fields=name,language,status&limit=100&"),
            ),
            Call(
                method="GET",
                path=path(f"{ACCOUNT}/message_templates", "fields=name,language,status&limit=100&after=QVFI&"),
            ),
        ),
        outcome=(("hello", "tr", "APPROVED"), ("hello", "ru", "PENDING")),
    ),
)


@pytest.mark.parametrize("row", REGISTERS, ids=lambda row: row.name)
async def test_setting_up(row: Leaves) -> None:
    await harness.check_leaves(SUBJECT, row)


VALID = "Meta accepts the access token, and it does not expire."
ABLE = "+1 555-078-3881 (Kumbara) can send and receive."
HERE = "The webhook points here."
MEMBER = "The app is told what happens in the WhatsApp Business account."
MADE = "1 of 1 templates are approved."
HELLO_TR = templates(("hello", "tr", "APPROVED"))
DENIED = no(401, 190, "Session expired", error_subcode=463)
NEITHER = "Meta does not accept the access token: it has expired, or was withdrawn."

CHECKS: Mapping[str, tuple[tuple[Answer, ...], str, tuple[str, ...]]] = {
    "all well": (
        (token(), number(), subscribed(), number({"application": URL}), apps(APP), HELLO_TR),
        URL,
        (VALID, ABLE, HERE, MEMBER, MADE),
    ),
    "token refused, and everything else with it": ((DENIED,) * 5, URL, (f"! {NEITHER}",)),
    "token that ends soon and may not send": (
        (
            token(expires_at=1767830400, granular_scopes=[GRANTED[1]]),
            number(),
            subscribed(),
            number(),
            apps(APP),
            HELLO_TR,
        ),
        URL,
        (
            "! The access token expires on 2026-01-08.",
            "! The access token lacks: whatsapp_business_messaging.",
            ABLE,
            HERE,
            MEMBER,
            MADE,
        ),
    ),
    "number not ready, nothing set up yet": (
        (token(), number(status="PENDING"), Answer(body={"data": []}), number(), apps("7"), templates()),
        URL,
        (
            VALID,
            "! +1 555-078-3881 (Kumbara) cannot send yet: its status is PENDING.",
            "Meta has no webhook for this channel yet: `santral serve` sets it.",
            "! The app is not told what happens in the WhatsApp Business account.",
            "No template is made: 24 hours after their last message nobody can be written to.",
        ),
    ),
    "events go elsewhere, and not all of them": (
        (
            token(),
            number(quality_rating="RED"),
            subscribed(ELSEWHERE, "messages"),
            number(),
            apps(APP),
            templates(("hello", "tr", "REJECTED"), ("hello", "ru", "APPROVED")),
        ),
        URL,
        (
            VALID,
            "! +1 555-078-3881 (Kumbara) is rated low by customers.",
            "! Meta delivers to support.example.com/webhooks/other instead of here.",
            "! Meta is not asked for: smb_message_echoes.",
            MEMBER,
            "1 of 2 templates are approved; hello (tr): REJECTED.",
        ),
    ),
    "this number is led here": (
        (token(), number(), subscribed(ELSEWHERE), number({"phone_number": URL}), apps(APP), HELLO_TR),
        URL,
        (VALID, ABLE, HERE, MEMBER, MADE),
    ),
    "no public address": (
        (token(), number(), subscribed(), number(), apps(APP), HELLO_TR),
        "",
        (VALID, ABLE, "! Meta has no public address to deliver to.", MEMBER, MADE),
    ),
    "one part is away, the others are looked at": (
        (token(), no(500, 2, "Temporary"), subscribed(), number(), apps(APP), no(400, 100, "No such account")),
        URL,
        (VALID, "! Temporary", HERE, MEMBER, "! No such account"),
    ),
}


@pytest.mark.parametrize("name", CHECKS)
async def test_check(name: str) -> None:
    answers, url, says = CHECKS[name]
    async with harness.provider(SUBJECT, *answers) as canned:
        made = WhatsApp("wa", channel(canned.url).config, now=lambda: AT)
        with harness.nothing_leaks(SUBJECT) as told_, harness.only_talks_to(canned.url):
            found = await made.check(url)
            told_.append(repr(found))
        await made.close()
        assert not canned.answers
        assert all(call.method == "GET" for call in canned.calls), "a check changes nothing"
    assert tuple(("" if it.ok else "! ") + it.what for it in found) == says
    assert all(it.ok or it.fix for it in found), "what is wrong comes with what to do"


async def test_a_known_account_is_not_asked_for() -> None:
    async with harness.provider(SUBJECT, HELLO_TR) as canned:
        made = channel(canned.url, business_account_id=ACCOUNT)
        assert await made.approved() == (("hello", "tr", "APPROVED"),)
        await made.close()
