"""SMS and WhatsApp by Twilio: what its forms become, and what leaves for it.

Tests named `edge_NN` are those of the list of edge cases that these adapters alone can settle.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import kinds
from channels.channel import Pulled, Request
from channels.errors import InDoubt, Misconfigured, Refused, Retry, SendFailed, Unreachable, Unwanted, WindowClosed
from channels.message import (
    Address,
    Attachment,
    OptedIn,
    OptedOut,
    Outgoing,
    Proof,
    Receipt,
    Received,
    Status,
    Template,
    Unreadable,
)
from channels.registry import CAPABILITIES, make
from channels.twilio.adapter import Sms, TwilioConfig, WhatsAppByTwilio
from channels.twilio.client import below
from channels.twilio.codes import CODES, refusal, told
from channels.twilio.parse import unwrapped
from channels.twilio.sending import sending
from tests.channels import harness
from tests.channels.harness import AT, Answer, Arrives, Call, Leaves, Subject

ACCOUNT = "AC00000000000000000000000000000407"
TOKEN = "kumbara-auth-token-0123456789abcdef"
BASIC = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
HOOK = "https://support.example.com/webhooks/sms"
API = f"/2010-04-01/Accounts/{ACCOUNT}"
SENT = "SM00000000000000000000000000000077"


def made(kind: str, url: str, **settings: Any) -> Any:
    """A channel whose clock stands at AT."""
    known: dict[str, Any] = {
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "sender": "+908505550100",
        "api_url": url,
        "webhook_url": HOOK,
        "send_seconds": 1.0,
    } | settings
    if "messaging_service_sid" in settings:
        known["sender"] = None
    return {"sms": Sms, "whatsapp-twilio": WhatsAppByTwilio}[kind](kind, TwilioConfig(**known), lambda: AT)


def signed(payload: bytes, **headers: str) -> Request:
    """As Twilio does it, written down once more from its page."""
    body, query = harness.posted(payload)
    url = HOOK + "".join(f"?{key}={value}" for key, value in query.items())
    try:
        pairs = sorted({(key, value) for key, values in fields_of(body).items() for value in values})
    except ValueError:
        pairs = []
    text = url + "".join(f"{key}{value}" for key, value in pairs)
    digest = hmac.new(TOKEN.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha1).digest()
    return Request(
        method="POST",
        url=url,
        headers={
            "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
            "x-twilio-signature": base64.b64encode(digest).decode(),
            **headers,
        },
        body=body,
        query=query,
    )


def fields_of(body: bytes) -> dict[str, list[str]]:
    from urllib.parse import parse_qs

    return parse_qs(body.decode(), keep_blank_values=True)


AYSE = Address(kind="phone", value="+905325550147")
BSUID = Address(kind="whatsapp", value="TR.4Kq81jXw0aB")
ID = UUID(int=7)
HELLO = Outgoing(id=ID, to=AYSE, text="Merhaba", at=AT)
HERE = Path(__file__).parent / "twilio"

SMS = Subject(
    kind="sms",
    make=lambda url: made("sms", url),
    secrets=(TOKEN, BASIC),
    signed=signed,
    signature="x-twilio-signature",
    covers_body=True,
    payloads=HERE / "sms",
    send=lambda channel: channel.send(HELLO),
)
WHATSAPP = replace(
    SMS,
    kind="whatsapp-twilio",
    make=lambda url: made("whatsapp-twilio", url),
    payloads=HERE / "whatsapp",
)

# --- what arrives


def sms(**parts: Any) -> Received:
    whole: dict[str, Any] = {
        "channel": "sms",
        "external_id": "SM00000000000000000000000000000042",
        "sender": AYSE,
        "sent_at": AT,
        "proof": Proof.CARRIER,
        "text": "Merhaba, kargom nerede?",
    } | parts
    whole.setdefault("context", {"to": whole["sender"].value, "message": whole["external_id"]})
    return Received(**whole)


def whatsapp(**parts: Any) -> Received:
    whole: dict[str, Any] = {
        "channel": "whatsapp-twilio",
        "external_id": "SM00000000000000000000000000000043",
        "sender": AYSE,
        "sender_name": "Ayşe Yılmaz",
        "sent_at": AT,
        "proof": Proof.CARRIER,
        "text": "Hâlâ bekliyorum 😡",
    } | parts
    whole.setdefault("context", {"to": f"whatsapp:{whole['sender'].value}", "message": whole["external_id"]})
    return Received(**whole)


MM = "MM00000000000000000000000000000044"


def sent(*files: tuple[str, str]) -> tuple[Attachment, ...]:
    names = [f"ME0000000000000000000000000000000{index}" for index in range(len(files))]
    return tuple(
        Attachment(
            media_type=kind,
            filename=filename,
            ref=f"https://api.twilio.com{API}/Messages/{MM}/Media/{sid}",
            unique_ref=sid,
        )
        for sid, (kind, filename) in zip(names, files, strict=True)
    )


def receipt(status: Status, **parts: Any) -> Receipt:
    whole: dict[str, Any] = {"channel": "sms", "at": AT, "external_id": SENT, "delivery": ID} | parts
    return Receipt(status=status, **whole)


def out(why: str, channel: str = "sms", lasting: bool = True) -> OptedOut:
    return OptedOut(channel=channel, sender=AYSE, at=AT, why=why, lasting=lasting)


def again(channel: str = "sms") -> OptedIn:
    return OptedIn(channel=channel, sender=AYSE, at=AT)


def aside(reason: str, channel: str = "sms") -> Unreadable:
    return Unreadable(channel=channel, reason=reason, raw=b"")


ARRIVES_BY_SMS = (
    Arrives("text", (sms(),)),
    Arrives("text_with_nul", (sms(text="a\ufffdb"),)),
    Arrives("text_empty", (sms(text="", stub="empty"),)),
    Arrives(
        "text_of_a_number_that_is_short",
        (sms(sender=Address(kind="sms", value="3344"), proof=Proof.CLAIMED, text="Kodunuz 123456", automatic=True),),
    ),
    Arrives(
        "text_of_a_name",
        (sms(sender=Address(kind="sms", value="KARGO"), proof=Proof.CLAIMED, text="Paketiniz yolda", automatic=True),),
    ),
    Arrives("text_of_ourselves", ()),
    Arrives("text_to_another_number", (aside("a message to another number than this channel's"),)),
    Arrives("text_by_rcs", (aside("a message to another number than this channel's"),)),
    Arrives("text_without_sender", (aside("a message without a sender"),)),
    Arrives("text_with_repeated_field", (sms(text="ilk"),)),
    Arrives("text_with_fields_newer_than_this_adapter", (sms(),)),
    Arrives(
        "mms",
        (
            sms(
                external_id=MM,
                text="böyle geldi",
                attachments=sent(("image/jpeg", "photo.jpg"), ("text/x-vcard", "contact.vcf")),
            ),
        ),
    ),
    Arrives(
        "mms_in_base64",
        (
            sms(
                external_id=MM,
                text="I was charged twice for order 1042 and nobody answers my letters, what now?",
            ),
        ),
    ),
    Arrives("word_stop", (out("wrote Stop."),)),
    Arrives("word_dur", (out("wrote DUR"),)),
    Arrives("word_cancel", (sms(text="Cancel", quiet=True), out("wrote Cancel"))),
    Arrives("word_cancel_with_a_mark", (sms(text="Cancel!"),)),
    Arrives("word_start", (again(),)),
    Arrives("word_yes", (again(), sms(text="Yes"))),
    Arrives("word_help", (sms(text="HELP", quiet=True),)),
    Arrives("word_within_a_sentence", (sms(text="Stop, that was the wrong parcel"),)),
    Arrives("opt_out_type_stop", (out("wrote IPTAL"),)),
    Arrives("opt_out_type_start", (again(),)),
    Arrives("opt_out_type_help", ()),
    Arrives("status_queued", (receipt(Status.SENT),)),
    Arrives("status_sent", (receipt(Status.SENT),)),
    Arrives("status_delivered", (receipt(Status.DELIVERED),)),
    Arrives("status_without_our_id", (receipt(Status.DELIVERED, delivery=None),)),
    Arrives("status_with_an_id_that_is_none", (receipt(Status.DELIVERED, delivery=None),)),
    Arrives(
        "status_undelivered_opted_out",
        (
            receipt(
                Status.FAILED,
                code="opted_out",
                detail="21610: The customer has answered STOP. They can write START to hear from us again.",
                unreachable=True,
            ),
        ),
    ),
    Arrives(
        "status_undelivered_landline",
        (
            receipt(
                Status.FAILED,
                code="unreachable",
                detail="30006: This is a landline, or its carrier takes no messages.",
                unreachable=True,
            ),
        ),
    ),
    Arrives(
        "status_undelivered_phone_off",
        (receipt(Status.FAILED, code="gave_up", detail="30003: The phone is switched off or out of reach."),),
    ),
    Arrives(
        "status_failed_suspended",
        (receipt(Status.FAILED, code="refused", detail="30002: The Twilio account is suspended."),),
    ),
    Arrives(
        "status_failed_of_an_unknown_code",
        (receipt(Status.FAILED, code="refused", detail="39999: Something new, see …"),),
    ),
    Arrives("status_failed_without_code", (receipt(Status.FAILED, code="refused"),)),
    Arrives("status_of_an_unknown_kind", (aside("a status of the unknown kind 'teleported'"),)),
)

WA = {"channel": "whatsapp-twilio"}
NUMBERED = ((BSUID, Proof.PLATFORM),)

ARRIVES_BY_WHATSAPP = (
    Arrives("text", (whatsapp(proofs=NUMBERED),)),
    Arrives("text_without_number", (whatsapp(sender=BSUID, proof=Proof.PLATFORM),)),
    Arrives(
        "text_of_brazil_without_9",
        (
            whatsapp(
                sender=Address(kind="phone", value="+5551985550147"),
                context={"to": "whatsapp:+555185550147", "message": "SM00000000000000000000000000000043"},
            ),
        ),
    ),
    Arrives("image_with_caption", (whatsapp(text="böyle geldi", attachments=sent(("image/jpeg", "photo.jpg"))),)),
    Arrives("voice", (whatsapp(text="", attachments=sent(("audio/ogg", "voice.ogg"))),)),
    Arrives("sticker", (whatsapp(text="", attachments=sent(("image/webp", "sticker.webp"))),)),
    Arrives("document", (whatsapp(text="fatura", attachments=sent(("application/pdf", "document.pdf"))),)),
    Arrives("contact", (whatsapp(text="", attachments=sent(("text/vcard", "contact.vcf"))),)),
    Arrives(
        "location",
        (whatsapp(text="Şube\nİstiklal Cd. 1\nhttps://www.openstreetmap.org/?mlat=41.008238&mlon=28.978359"),),
    ),
    Arrives("location_that_is_none", (whatsapp(text="", stub="location"),)),
    Arrives("button", (whatsapp(text="İade et", payload="return:yes", reply_to=SENT),)),
    Arrives("list_reply", (whatsapp(text="Orta", payload="size:m"),)),
    Arrives("reply", (whatsapp(reply_to=SENT),)),
    Arrives("forwarded", (whatsapp(forwarded_from="?"),)),
    Arrives("from_an_advertisement", (whatsapp(quoted="Yaz indirimi\nTüm kumbaralar\nhttps://fb.example/ad"),)),
    Arrives("kind_newer_than_this_adapter", (whatsapp(text="", stub="hologram"),)),
    Arrives(
        "word_stop", (whatsapp(text="СТОП", quiet=True), out("wrote СТОП", channel="whatsapp-twilio", lasting=False))
    ),
    Arrives("word_cancel", (whatsapp(text="cancel"),)),
    Arrives("word_start", (again("whatsapp-twilio"), whatsapp(text="başla", quiet=True))),
    Arrives("opt_out_type_stop", (out("wrote IPTAL", channel="whatsapp-twilio"),)),
    Arrives("opt_out_type_start", (again("whatsapp-twilio"),)),
    Arrives("opt_out_type_help", ()),
    Arrives("sms_to_it", (aside("a message to another number than this channel's", "whatsapp-twilio"),)),
    Arrives("status_read", (receipt(Status.READ, **WA),)),
    Arrives(
        "status_failed_window_closed",
        (
            receipt(
                Status.FAILED,
                code="window_closed",
                detail="63016: WhatsApp's 24 hours for a free answer are over.",
                **WA,
            ),
        ),
    ),
    Arrives(
        "status_failed_too_fast",
        (receipt(Status.FAILED, code="gave_up", detail="63018: WhatsApp asks to send more slowly.", **WA),),
    ),
)


@pytest.mark.parametrize("row", ARRIVES_BY_SMS, ids=lambda row: row.file)
def test_arrives_by_sms(row: Arrives) -> None:
    harness.check_arrives(SMS, row)


@pytest.mark.parametrize("row", ARRIVES_BY_WHATSAPP, ids=lambda row: row.file)
def test_arrives_by_whatsapp(row: Arrives) -> None:
    harness.check_arrives(WHATSAPP, row)


def test_every_payload_is_in_a_table() -> None:
    assert set(SMS.files()) == {row.file for row in ARRIVES_BY_SMS}
    assert set(WHATSAPP.files()) == {row.file for row in ARRIVES_BY_WHATSAPP}


def test_what_comes_to_any_number_of_a_service_is_the_service_s() -> None:
    body = SMS.payload("text_to_another_number")
    channel = made("sms", "http://127.0.0.1:9", messaging_service_sid="MG0123")
    (event,) = channel.parse(signed(body), AT)
    assert isinstance(event, Received)


def test_edge_12_our_own_number_may_be_spelt_otherwise_too() -> None:
    form = json.loads(WHATSAPP.payload("text")) | {"To": "whatsapp:+5215555550100"}
    body = json.dumps(form).encode()
    (event,) = made("whatsapp-twilio", "http://127.0.0.1:9", sender="+525555550100").parse(signed(body), AT)
    assert isinstance(event, Received)
    (event,) = made("whatsapp-twilio", "http://127.0.0.1:9", sender="+525555550101").parse(signed(body), AT)
    assert isinstance(event, Unreadable)


def test_edge_12_the_answer_goes_to_the_very_id_they_wrote_from() -> None:
    (event,) = made("whatsapp-twilio", "http://127.0.0.1:9").parse(
        signed(WHATSAPP.payload("text_of_brazil_without_9")), AT
    )
    config = TwilioConfig(account_sid=ACCOUNT, auth_token=TOKEN, sender="+908505550100")
    # Known by the spelling that is dialled, and still answered where it came from.
    reply = replace(HELLO, to=Address(kind="phone", value="+5551985550147"), context=event.context)
    assert sending(reply, config, whatsapp=True)["to"] == "whatsapp:+555185550147"
    # The same customer by SMS: what WhatsApp told is not for there.
    assert sending(reply, config, whatsapp=False)["to"] == "+5551985550147"


@given(st.text())
def test_words_that_are_not_wrapped_stay(text: str) -> None:
    wrapped = base64.b64encode(text.encode()).decode()
    if " " in text.strip():
        assert unwrapped(text) == text
    if len(wrapped) >= 60 and text.isascii() and text.isprintable():
        assert unwrapped(wrapped) == text


def test_edge_01_twilio_reads_an_empty_answer() -> None:
    for kind in ("sms", "whatsapp-twilio"):
        body, content_type = CAPABILITIES[kind].answer
        assert body == '<?xml version="1.0" encoding="UTF-8"?><Response/>'
        assert content_type == "text/xml"


def test_edge_06_receipts_of_any_order_name_our_delivery() -> None:
    """They may come before Twilio's own id is known to us; that they only move up is the inbox's."""
    channel = made("sms", "http://127.0.0.1:9")
    for file in ("status_delivered", "status_sent", "status_queued"):
        (event,) = channel.parse(signed(SMS.payload(file)), AT)
        assert event.delivery == ID


# --- what leaves

CREATED = Answer(body={"sid": SENT, "status": "queued", "error_code": None}, status=201)


def no(code: int, message: str = "", status: int = 400) -> Answer:
    return Answer(status=status, body={"code": code, "message": message, "status": status, "more_info": "https://x"})


def post(**fields: Any) -> Call:
    known = {
        "From": "+908505550100",
        "StatusCallback": f"{HOOK}?delivery={ID}",
        "ValidityPeriod": "14400",
        "SmartEncoded": "false",
    } | fields
    return Call(path=f"{API}/Messages.json", fields={key: value for key, value in known.items() if value})


PDF = Attachment(media_type="application/pdf", filename="fatura.pdf", size=52_000, link="https://s.example/files/k3")
JPEG = Attachment(media_type="image/jpeg", filename="kutu.jpg", size=90_000, link="https://s.example/files/k4")
NORTH = Address(kind="phone", value="+12025550147")
JAMAICA = Address(kind="phone", value="+18765550147")


def leaves(
    name: str, message: Outgoing, *calls: Call, answer: Answer = CREATED, outcome: Any = SENT, **settings: Any
) -> tuple[Leaves, Mapping[str, Any]]:
    row = Leaves(
        name=name,
        do=lambda channel: channel.send(message),
        answers=(answer,) if calls else (),
        calls=calls,
        outcome=outcome,
    )
    return row, settings


SENDS_BY_SMS = (
    leaves("text", HELLO, post(To=AYSE.value, Body="Merhaba")),
    leaves(
        "by a messaging service",
        HELLO,
        post(To=AYSE.value, Body="Merhaba", From="", MessagingServiceSid="MG0123"),
        messaging_service_sid="MG0123",
    ),
    leaves("without a public address", HELLO, post(To=AYSE.value, Body="Merhaba", StatusCallback=""), webhook_url=""),
    leaves(
        "a file as a link",
        replace(HELLO, text="", attachment=PDF),
        post(To=AYSE.value, Body="fatura.pdf https://s.example/files/k3"),
    ),
    leaves(
        "a picture within America",
        replace(HELLO, text="", to=NORTH, attachment=JPEG),
        post(To=NORTH.value, From="+12025550100", MediaUrl="https://s.example/files/k4"),
        sender="+12025550100",
    ),
    leaves(
        "a picture to an island that has a number like America's",
        replace(HELLO, text="", to=JAMAICA, attachment=JPEG),
        post(To=JAMAICA.value, From="+12025550100", Body="kutu.jpg https://s.example/files/k4"),
        sender="+12025550100",
    ),
    leaves(
        "a picture that carriers would not take",
        replace(HELLO, text="", to=NORTH, attachment=replace(JPEG, size=6 << 20)),
        post(To=NORTH.value, From="+12025550100", Body="kutu.jpg https://s.example/files/k4"),
        sender="+12025550100",
    ),
    leaves(
        "a file without a link",
        replace(HELLO, attachment=replace(PDF, link="")),
        outcome=Refused("There is no address from which Twilio could fetch the file."),
    ),
    leaves("to who has no number", replace(HELLO, to=BSUID), outcome=Refused("This is no number.")),
    leaves("to a name", replace(HELLO, to=Address(kind="sms", value="KARGO")), outcome=Refused("This is no number.")),
    leaves(
        "a template",
        replace(HELLO, template=Template(name="HX0123", language="tr", values=("Ayşe", "1042"))),
        post(
            To=AYSE.value,
            SmartEncoded="",
            ContentSid="HX0123",
            ContentVariables={"1": "Ayşe", "2": "1042"},
        ),
    ),
    leaves(
        "a template of another provider",
        replace(HELLO, template=Template(name="order_update", language="tr")),
        outcome=Refused("Twilio knows a template by its content SID, which begins with HX."),
    ),
    leaves(
        "edge_08: who has opted out",
        HELLO,
        post(To=AYSE.value, Body="Merhaba"),
        answer=no(21610, "Attempt to send to unsubscribed recipient"),
        outcome=Unwanted(
            "The customer has answered STOP. They can write START to hear from us again.", provider_code="21610"
        ),
    ),
    leaves(
        "a code of none of ours",
        HELLO,
        post(To=AYSE.value, Body="Merhaba"),
        answer=no(21999, f"Not so, see {HOOK}?delivery=1 and think"),
        outcome=Refused("Not so, see … and think", provider_code="21999"),
    ),
    leaves(
        "the newer shape of an error",
        HELLO,
        post(To=AYSE.value, Body="Merhaba"),
        answer=Answer(status=400, body={"title": "Bad", "code": 21211, "detail": "no"}),
        outcome=Unreachable("This is not a phone number.", provider_code="21211"),
    ),
    leaves(
        "too fast",
        HELLO,
        post(To=AYSE.value, Body="Merhaba"),
        answer=no(20429, "Too Many Requests", 429),
        outcome=Retry(whole_channel=True, provider_code="20429"),
    ),
    leaves(
        "a wrong token",
        HELLO,
        post(To=AYSE.value, Body="Merhaba"),
        answer=no(20003, "Authenticate", 401),
        outcome=Misconfigured(
            "Twilio does not accept the account SID and auth token, or the API key.", provider_code="20003"
        ),
    ),
    leaves(
        "a suspended account",
        HELLO,
        post(To=AYSE.value, Body="Merhaba"),
        answer=no(20005, "Account not active", 403),
        outcome=Misconfigured("The Twilio account is suspended or closed.", provider_code="20005"),
    ),
    leaves(
        "an error with a code behind a gateway is in doubt",
        HELLO,
        post(To=AYSE.value, Body="Merhaba"),
        answer=no(21610, "", 502),
        outcome=InDoubt(),
    ),
    leaves(
        "made without an id",
        HELLO,
        post(To=AYSE.value, Body="Merhaba"),
        answer=Answer(status=201, body={"sid": None}),
        outcome=InDoubt(),
    ),
)


def by_whatsapp(to: str = "whatsapp:+905325550147", **fields: Any) -> Call:
    return post(To=to, From="whatsapp:+908505550100", **fields)


SENDS_BY_WHATSAPP = (
    leaves("text", HELLO, by_whatsapp(Body="Merhaba")),
    leaves("a sender written with its prefix", HELLO, by_whatsapp(Body="Merhaba"), sender="whatsapp:+908505550100"),
    leaves(
        "edge_10: to who has no number",
        replace(HELLO, to=BSUID),
        by_whatsapp("whatsapp:TR.4Kq81jXw0aB", Body="Merhaba"),
    ),
    leaves(
        "edge_11: to what is neither a number nor an id",
        replace(HELLO, to=Address(kind="whatsapp", value="+90532.12")),
        outcome=Refused("This is not an address that can be written to by WhatsApp."),
    ),
    leaves(
        "a file",
        replace(HELLO, text="", attachment=PDF),
        by_whatsapp(MediaUrl="https://s.example/files/k3"),
    ),
    leaves(
        "edge_07: outside the window",
        HELLO,
        by_whatsapp(Body="Merhaba"),
        answer=no(63016),
        outcome=WindowClosed("WhatsApp's 24 hours for a free answer are over.", provider_code="63016"),
    ),
)


@pytest.mark.parametrize(("row", "settings"), SENDS_BY_SMS, ids=lambda it: getattr(it, "name", ""))
async def test_leaves_by_sms(row: Leaves, settings: Mapping[str, Any]) -> None:
    await harness.check_leaves(replace(SMS, make=lambda url: made("sms", url, **settings)), row)


@pytest.mark.parametrize(("row", "settings"), SENDS_BY_WHATSAPP, ids=lambda it: getattr(it, "name", ""))
async def test_leaves_by_whatsapp(row: Leaves, settings: Mapping[str, Any]) -> None:
    await harness.check_leaves(replace(WHATSAPP, make=lambda url: made("whatsapp-twilio", url, **settings)), row)


TYPING = replace(HELLO, context={"to": "whatsapp:+905325550147", "message": "SM43"})
OTHER_CALLS_OF_WHATSAPP = (
    Leaves(
        name="typing",
        do=lambda channel: channel.typing(TYPING),
        answers=(Answer(body={"success": True}),),
        calls=(Call(path="/v2/Indicators/Typing.json", fields={"messageId": "SM43", "channel": "whatsapp"}),),
        outcome=None,
    ),
    Leaves(
        name="typing to who has not written",
        do=lambda channel: channel.typing(HELLO),
        answers=(),
        calls=(),
        outcome=None,
    ),
    Leaves(
        name="templates over two pages",
        do=lambda channel: channel.approved(),
        answers=(
            Answer(
                body={
                    "contents": [{"sid": "HX1", "language": "tr", "approval_requests": {"status": "approved"}}],
                    # Somewhere else is not where we go with our token.
                    "meta": {"key": "contents", "next_page_url": "https://evil.example/v1/ContentAndApprovals?Page=1"},
                }
            ),
            Answer(
                body={
                    "contents": [{"sid": "HX2", "language": "en"}],
                    "meta": {"key": "contents", "next_page_url": None},
                }
            ),
        ),
        calls=(
            Call(method="GET", path="/v1/ContentAndApprovals?PageSize=1000"),
            Call(method="GET", path="/v1/ContentAndApprovals?Page=1"),
        ),
        outcome=[("HX1", "tr", "approved"), ("HX2", "en", "unsubmitted")],
    ),
)


@pytest.mark.parametrize("row", OTHER_CALLS_OF_WHATSAPP, ids=lambda row: row.name)
async def test_other_calls_of_whatsapp(row: Leaves) -> None:
    await harness.check_leaves(WHATSAPP, row)


def test_only_whatsapp_shows_that_somebody_writes() -> None:
    assert not hasattr(Sms, "typing")
    assert hasattr(WhatsAppByTwilio, "typing")


def test_products_live_beside_twilio_s_own_api_and_on_one_host_elsewhere() -> None:
    asked = "https://messaging.twilio.com/v1/Services?PageSize=1"
    path = "/v1/Services?PageSize=1"
    assert below(asked, "https://api.twilio.com") == asked
    assert below(asked, "https://api.dublin.ie1.twilio.com") == f"https://messaging.dublin.ie1.twilio.com{path}"
    assert below(asked, "https://api.twilio.com.evil.example") == f"https://api.twilio.com.evil.example{path}"
    assert below(asked, "http://127.0.0.1:9") == f"http://127.0.0.1:9{path}"
    assert below(f"https://evil.example{path}", "https://api.twilio.com") == f"https://api.twilio.com{path}"


@given(status=st.integers(200, 599), body=st.binary(max_size=60) | st.just(b'{"code":1e400}'))
def test_any_answer_is_an_error_with_a_name(status: int, body: bytes) -> None:
    from channels.line import Answered

    answer = Answered(status=status, headers={}, body=body)
    assert isinstance(refusal(answer), SendFailed)
    assert not isinstance(refusal(answer, repeatable=True), InDoubt)


@given(st.sampled_from([*CODES, 0, 12345]), st.text())
def test_what_twilio_gave_up_on_is_never_said_to_go_out_by_itself(code: int, words: str) -> None:
    named, detail, unreachable = told(code, words)
    assert named in ("window_closed", "unreachable", "opted_out", "refused", "gave_up")
    assert unreachable == (named in ("unreachable", "opted_out"))
    assert "://" not in detail


# --- whether it arrived

LATER = AT - timedelta(seconds=30)  # when a sending began that has had its time


def listed(sid: str = SENT, ago: float = 29, **parts: Any) -> dict[str, Any]:
    created = (AT - timedelta(seconds=ago)).strftime("%a, %d %b %Y %H:%M:%S +0000")
    return {
        "sid": sid,
        "direction": "outbound-api",
        "body": "Merhaba",
        "num_media": "0",
        "date_created": created,
        "date_sent": None,
        "from": "+908505550100",
        "to": AYSE.value,
    } | parts


def finds(name: str, outcome: Any, *messages: Any, began: datetime = LATER, **parts: Any) -> Leaves:
    message = replace(HELLO, at=began, **parts)
    return Leaves(
        name=name,
        do=lambda channel: channel.find(message),
        answers=(Answer(body={"messages": list(messages)}),),
        calls=(Call(method="GET", path=f"{API}/Messages.json?To=%2B905325550147&PageSize=100"),),
        outcome=outcome,
    )


FINDS = (
    finds("it is there", SENT, listed(), listed("SMold", ago=3600)),
    finds("it is there already", SENT, listed(ago=1), began=AT - timedelta(seconds=2)),
    finds("it is not there", None, listed(ago=3600), listed("SMin", ago=5, direction="inbound")),
    finds("it is not there yet", Retry("Twilio may still be at it."), began=AT - timedelta(seconds=5)),
    finds("it is there twice", InDoubt(), listed(), listed("SMother")),
    finds("something else is there", InDoubt(), listed(body="Sent from your trial account - Merhaba")),
    finds("a file is there instead", InDoubt(), listed(body="", num_media="1")),
    finds("a file is there", SENT, listed(body="", num_media="1"), text=""),
    finds("a page is not all", InDoubt(), *(listed(f"SM{n}", direction="inbound") for n in range(100))),
    finds("a template", InDoubt(), listed(), template=Template(name="HX1", language="tr")),
    finds("nothing readable", Retry("Twilio's answer could not be read."), 7),
    finds("nothing that says what it is", None, {"direction": None}),
)


@pytest.mark.parametrize("row", FINDS, ids=lambda row: row.name)
async def test_edge_05_what_is_in_doubt_is_looked_for_before_it_is_sent_again(row: Leaves) -> None:
    await harness.check_leaves(SMS, row)


async def test_what_did_not_say_when_it_began_stays_in_doubt() -> None:
    with pytest.raises(InDoubt):
        await made("sms", "http://127.0.0.1:9").find(replace(HELLO, at=None))


# --- what the webhook did not bring


def inbound(sid: str, minutes: float, body: str, **parts: Any) -> dict[str, Any]:
    at = (AT - timedelta(minutes=minutes)).strftime("%a, %d %b %Y %H:%M:%S +0000")
    return {
        "sid": sid,
        "direction": "inbound",
        "body": body,
        "num_media": "0",
        "date_sent": at,
        "from": AYSE.value,
        "to": "+908505550100",
        "messaging_service_sid": None,
    } | parts


async def asked(channel: Callable[[str], Any], after: str, *answers: Answer) -> tuple[Pulled, list[Call]]:
    async with harness.provider(SMS, *answers) as canned:
        open_ = channel(canned.url)
        try:
            return await open_.missed(after), canned.calls
        finally:
            await open_.close()


async def test_edge_04_what_the_webhook_did_not_bring_is_listed() -> None:
    page = Answer(
        body={
            "messages": [inbound("SM3", 1, "üç"), listed(), inbound(MM, 2, "", num_media="1")],
            "next_page_uri": f"{API}/Messages.json?Page=1",
        }
    )
    files = Answer(body={"media_list": [{"sid": "ME1", "content_type": "image/jpeg"}]})
    rest = Answer(body={"messages": [inbound("SM1", 3, "bir")], "next_page_uri": None})
    got, calls = await asked(lambda url: made("sms", url), "2026-01-01T09:25:00+00:00", page, rest, files)
    assert calls == [
        Call(
            method="GET", path=f"{API}/Messages.json?To=%2B908505550100&DateSent%3E=2026-01-01T09:15:00Z&PageSize=100"
        ),
        Call(method="GET", path=f"{API}/Messages.json?Page=1"),
        Call(method="GET", path=f"{API}/Messages/{MM}/Media.json?PageSize=16"),
    ]
    assert got.cursor == AT.isoformat()
    bir, iki, uc = got.events
    assert [one.text for one in (bir, iki, uc)] == ["bir", "", "üç"]
    assert bir == replace(sms(external_id="SM1", text="bir", sent_at=AT - timedelta(minutes=3)), raw=bir.raw)
    (file,) = iki.attachments
    assert (file.filename, file.unique_ref) == ("photo.jpg", "ME1")
    assert file.ref.endswith(f"{API}/Messages/{MM}/Media/ME1")


async def test_the_first_look_goes_back_a_day() -> None:
    got, (call,) = await asked(lambda url: made("sms", url), "", Answer(body={"messages": []}))
    assert "DateSent%3E=2025-12-31T09:30:00Z" in call.path
    assert got == Pulled(cursor=AT.isoformat())


async def test_of_a_service_only_its_own_messages_are_taken() -> None:
    messages = [
        inbound("SM1", 1, "bizim", messaging_service_sid="MG0123", to="+908505550111"),
        inbound("SM2", 1, "değil", messaging_service_sid="MG9"),
    ]
    got, (call,) = await asked(
        lambda url: made("sms", url, messaging_service_sid="MG0123"), "", Answer(body={"messages": messages})
    )
    assert [event.text for event in got.events] == ["bizim"]
    assert "To=" not in call.path


@pytest.mark.parametrize(
    ("kind", "said", "left"),
    [
        ("sms", ["STOP"], ["out"]),
        ("sms", ["STOP", "START"], ["in"]),
        ("sms", ["STOP", "başka bir şey"], ["out", "başka bir şey"]),
        ("sms", ["START", "STOP"], ["out"]),
        ("whatsapp-twilio", ["STOP"], ["STOP", "out"]),
        ("whatsapp-twilio", ["STOP", "neredesiniz"], ["STOP", "neredesiniz"]),
    ],
)
async def test_a_stop_that_holds_no_more_is_not_told_again(kind: str, said: list[str], left: list[str]) -> None:
    prefix = "whatsapp:" if kind != "sms" else ""
    parties = {"from": prefix + AYSE.value, "to": prefix + "+908505550100"}
    messages = [inbound(f"SM{n}", 9 - n, text, **parties) for n, text in enumerate(said)]
    got, _ = await asked(lambda url: made(kind, url), "", Answer(body={"messages": messages[::-1]}))
    names = {OptedOut: "out", OptedIn: "in"}
    assert [names.get(type(event)) or event.text for event in got.events] == left


@pytest.mark.parametrize(("kind", "left"), [("sms", ["bir", "iki"]), ("whatsapp-twilio", ["bir"])])
async def test_what_the_list_tells_less_of_is_left_to_its_webhook_for_a_while(kind: str, left: list[str]) -> None:
    """On WhatsApp the list has no button, place or name. What it told first would be all that is ever kept."""
    prefix = "whatsapp:" if kind != "sms" else ""
    parties = {"from": prefix + AYSE.value, "to": prefix + "+908505550100"}
    messages = [inbound("SM2", 19 / 60, "iki", **parties), inbound("SM1", 21 / 60, "bir", **parties)]
    got, _ = await asked(lambda url: made(kind, url), "", Answer(body={"messages": messages}))
    assert [event.text for event in got.events] == left
    assert got.cursor == AT.isoformat()  # the next look begins ten minutes before it


async def test_a_list_that_is_longer_than_can_be_read_is_read_as_far_as_it_goes_and_said() -> None:
    ours = [{"sid": f"SM{n}", "direction": "outbound-api"} for n in range(20_000)]
    got, _ = await asked(
        lambda url: made("sms", url), "", Answer(body={"messages": [inbound("SM0", 1, "bir"), *ours[:-1]]})
    )
    lost, kept = got.events
    assert isinstance(lost, Unreadable) and "20,000" in lost.reason
    assert (kept.text, got.cursor) == ("bir", AT.isoformat())


async def test_a_list_that_cannot_be_read_moves_no_cursor() -> None:
    with pytest.raises(Retry):
        await asked(lambda url: made("sms", url), "", Answer(body=b"{", status=200))


# --- files


async def collected(stream: Any) -> bytes:
    return b"".join([chunk async for chunk in stream])


def fetches(name: str, answers: tuple[Answer, ...], outcome: Any, *paths: str) -> Leaves:
    async def do(channel: Any) -> bytes:
        url = channel.config.api_url + f"{API}/Messages/{MM}/Media/ME1"
        return await collected(channel.fetch(Attachment(media_type="image/jpeg", ref=url)))

    first = Call(method="GET", path=f"{API}/Messages/{MM}/Media/ME1")
    return Leaves(
        name=name,
        do=do,
        answers=answers,
        calls=(first, *(Call(method="GET", path=path) for path in paths)),
        outcome=outcome,
    )


FETCHES = (
    fetches("a file", (Answer(body=b"\xff\xd8jpeg", content_type="image/jpeg"),), b"\xff\xd8jpeg"),
    fetches(
        "behind a redirect",
        (Answer(status=307, location="/cdn/abc"), Answer(body=b"jpeg", content_type="image/jpeg")),
        b"jpeg",
        "/cdn/abc",
    ),
    fetches("edge_14: not there yet", (Answer(status=404),), Retry(provider_code="404")),
    fetches(
        "edge_15: a redirect into a private network",
        (Answer(status=307, location="https://10.0.0.7/secret"),),
        Refused("The file's address is not one that may be fetched."),
    ),
)


@pytest.mark.parametrize("row", FETCHES, ids=lambda row: row.name)
async def test_fetch(row: Leaves) -> None:
    await harness.check_leaves(SMS, row)


# --- the rest


@pytest.mark.parametrize(
    ("kind", "settings", "link"),
    [
        ("sms", {}, "sms:+908505550100"),
        ("whatsapp-twilio", {"sender": "whatsapp:+908505550100"}, "https://wa.me/908505550100"),
        ("sms", {"sender": "KUMBARA"}, ""),
        ("whatsapp-twilio", {"messaging_service_sid": "MG0123"}, ""),
    ],
)
async def test_link(kind: str, settings: Mapping[str, Any], link: str) -> None:
    assert await made(kind, "http://127.0.0.1:9", **settings).link() == link


def test_what_stands_in_the_configuration_makes_the_channel() -> None:
    section = kinds.TwilioConfig.model_validate(
        {
            "name": "sms",
            "kind": "sms",
            "account_sid": ACCOUNT,
            "auth_token": TOKEN,
            "sender": "+908505550100",
            "shared_keys": ["one", "two"],
            "per_second": 5,
        }
    )
    assert {"one", "two", TOKEN} <= section.secrets()
    channel = make(section.kind, section.name, {**section.settings(), "webhook_url": HOOK})
    assert isinstance(channel, Sms)
    assert channel.config.shared_keys == ("one", "two")
    assert (channel.config.previous_auth_token, channel.config.messaging_service_sid) == ("", None)


def test_the_rate_of_a_faster_sender_can_be_told() -> None:
    channel = make("sms", "sms", {"account_sid": ACCOUNT, "auth_token": TOKEN, "sender": "3344", "per_second": 100})
    assert channel.capabilities.rate is not None
    assert channel.capabilities.rate.spacing == timedelta(milliseconds=10)
