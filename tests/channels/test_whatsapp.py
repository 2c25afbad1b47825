"""WhatsApp: what its webhooks become, and what leaves for it."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Request
from channels.errors import InDoubt, Misconfigured, Refused, Retry, SendFailed, Unverified, WindowClosed
from channels.message import (
    Address,
    AddressChanged,
    Attachment,
    Choice,
    Edited,
    Event,
    OptedIn,
    OptedOut,
    Outgoing,
    Proof,
    Reacted,
    Receipt,
    Received,
    SentElsewhere,
    Status,
    Template,
    Unreadable,
    Withdrawn,
)
from channels.meta.graph import proof
from channels.registry import make
from channels.whatsapp.adapter import CAPABILITIES, MAX_FILE, WhatsApp, receiver, shown_as
from channels.whatsapp.parse import read
from tests.channels import harness
from tests.channels.harness import AT, Answer, Arrives, Call, Leaves, Subject

TOKEN = "EAAkumbaraTestToken0123456789"
APP_SECRET = "kumbara-app-secret"
VERIFY = "kumbara-verify-word"
NUMBER = "106540352242922"
ACCOUNT = "102290129340398"
APP = "670843887433847"
URL = "https://support.example.com/webhooks/wa"


def channel(url: str, **settings: Any) -> WhatsApp:
    made = make(
        "whatsapp",
        "wa",
        {
            "phone_number_id": NUMBER,
            "access_token": TOKEN,
            "app_secret": APP_SECRET,
            "verify_token": VERIFY,
            "api_url": url,
            "send_seconds": 1.0,
            **settings,
        },
    )
    assert isinstance(made, WhatsApp)
    return made


def signed(body: bytes) -> Request:
    digest = hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"}
    return Request(method="POST", url=URL, headers=headers, body=body)


AYSE = Address(kind="phone", value="+905321234567")
SCOPED = Address(kind="whatsapp", value="TR.13491208655302741918")
KNOWN = {"wa_id": "905321234567", "user_id": SCOPED.value, "message_id": "wamid.in1"}
HELLO = Outgoing(id=UUID(int=7), to=AYSE, text="Merhaba", context=KNOWN)

SUBJECT = Subject(
    kind="whatsapp",
    make=channel,
    secrets=(TOKEN, APP_SECRET, VERIFY, proof(APP_SECRET, TOKEN)),
    signed=signed,
    signature="x-hub-signature-256",
    covers_body=True,
    payloads=Path(__file__).parent / "whatsapp",
    send=lambda channel: channel.send(HELLO),
)

# --- what arrives

SENT_AT = datetime(2026, 1, 1, tzinfo=UTC)
BOTH = ((SCOPED, Proof.PLATFORM),)


def said(**parts: Any) -> Received:
    """A message of Ayşe's, except for `parts`."""
    whole: dict[str, Any] = {
        "channel": "wa",
        "external_id": "wamid.in1",
        "sender": AYSE,
        "sender_name": "Ayşe Yılmaz",
        "sent_at": SENT_AT,
        "proof": Proof.CARRIER,
        "proofs": BOTH,
        "retractable": True,
    }
    whole |= parts
    whole.setdefault("context", KNOWN | {"message_id": whole["external_id"]})
    return Received(**whole)


def file(media_type: str, filename: str) -> tuple[Attachment, ...]:
    digest = "q8vuAQ8bSoCXvE0rWqGH0Yx9VZ8xv0E7m1u6d0CjV1U="
    return (Attachment(media_type=media_type, filename=filename, ref="1013859600285441", unique_ref=digest),)


def echo(name: str, **parts: Any) -> Arrives:
    whole: dict[str, Any] = {
        "channel": "wa",
        "external_id": "wamid.ec1",
        "to": AYSE,
        "at": SENT_AT,
        "app": "WhatsApp Business app",
    }
    return Arrives(name, (SentElsewhere(**whole | parts),))


def told(status: Status, **parts: Any) -> tuple[Event, ...]:
    whole: dict[str, Any] = {"channel": "wa", "status": status, "at": SENT_AT, "external_id": "wamid.out1"}
    return (Receipt(**whole | parts),)


def unread(reason: str) -> Unreadable:
    return Unreadable(channel="wa", reason=reason, raw=b"")


def moved(kind: str, old: str, new: str) -> AddressChanged:
    return AddressChanged(
        channel="wa",
        old=Address(kind=kind, value=old),
        new=Address(kind=kind, value=new),
        at=SENT_AT,
        keeps=kind == "whatsapp",
    )


OURS = {"delivery": UUID(int=7)}
LATER = SENT_AT + timedelta(seconds=30)
CLOSED = (
    "131047 Message failed to send because more than 24 hours have passed "
    "since the customer last replied to this number."
)

ARRIVES = (
    Arrives("text", (said(text="Merhaba, kargom nerede? 📦"),)),
    Arrives("text_with_nul", (said(text="a\ufffdb"),)),
    Arrives("text_with_lone_surrogate", (said(text="a\ufffdb"),)),
    Arrives("text_reply", (said(text="evet", reply_to="wamid.out1"),)),
    Arrives("text_forwarded", (said(text="Ödemeniz alındı", forwarded_from="?"),)),
    Arrives("text_forwarded_often", (said(text="Ödemeniz alındı", forwarded_from="?"),)),
    Arrives("text_about_a_product", (said(text="bundan var mı?", reply_to="wamid.out1", quoted="🛒 KUMBARA-7"),)),
    Arrives(
        "text_from_an_ad",
        (said(text="Merhaba", quoted="Kışa özel · Yün battaniyeler · https://fb.me/3cr4Wqqkv"),),
    ),
    Arrives(
        "text_stop",
        (said(text="Dur!", quiet=True), OptedOut(channel="wa", sender=AYSE, at=SENT_AT, why="wrote Dur!")),
    ),
    Arrives("text_start", (OptedIn(channel="wa", sender=AYSE, at=SENT_AT), said(text="başla", quiet=True))),
    Arrives("image_with_caption", (said(text="böyle geldi", attachments=file("image/jpeg", "image.jpg")),)),
    Arrives("image_without_id", (said(text="böyle geldi", stub="image"),)),
    Arrives("video", (said(attachments=file("video/mp4", "video.mp4")),)),
    Arrives("audio", (said(attachments=file("audio/mpeg", "audio.mp3")),)),
    Arrives("audio_voice", (said(attachments=file("audio/ogg", "voice.ogg")),)),
    Arrives("voice_of_old", (said(attachments=file("audio/ogg", "voice.ogg")),)),
    Arrives("document", (said(text="fatura", attachments=file("application/pdf", "fatura 4.pdf")),)),
    Arrives(
        "document_with_hostile_name",
        (said(attachments=file("application/octet-stream", ".._.._etc_passwd")),),
    ),
    Arrives("sticker", (said(attachments=file("image/webp", "sticker.webp")),)),
    Arrives("location", (said(text="https://www.openstreetmap.org/?mlat=41.008238&mlon=28.978359"),)),
    Arrives(
        "location_with_name",
        (said(text="Şube\nİstiklal Cd. 1\nhttps://www.openstreetmap.org/?mlat=41.000000&mlon=29.000000"),),
    ),
    Arrives("location_nowhere", (said(stub="location"),)),
    Arrives(
        "contacts",
        (said(text="Jürgen Beispiel\n+49 30 23125 001\njuergen@example.com\n\n+447700900123"),),
    ),
    Arrives("button_of_template", (said(text="Evet", payload="order:17:yes", reply_to="wamid.out1"),)),
    Arrives("interactive_button", (said(text="Hayır", payload="confirm:no", reply_to="wamid.out1"),)),
    Arrives("interactive_list", (said(text="Sipariş 17", payload="order-17", reply_to="wamid.out1"),)),
    Arrives("interactive_form", (said(text="Beden: M\nAdet: 2\nRenk: mavi\ufffd", reply_to="wamid.out1"),)),
    Arrives("interactive_form_of_no_object", (said(text="Sent"),)),
    Arrives("interactive_unknown", (said(stub="call_permission_reply"),)),
    Arrives("order", (said(text="bunları istiyorum\n2 × KUMBARA-7 (149.9 TRY)\n1 × KUMBARA-9"),)),
    Arrives("reaction", (Reacted(channel="wa", external_id="wamid.out1", sender=AYSE, emoji="👍", at=SENT_AT),)),
    Arrives(
        "reaction_taken_away", (Reacted(channel="wa", external_id="wamid.out1", sender=AYSE, emoji="", at=SENT_AT),)
    ),
    Arrives("unsupported", (said(stub="unsupported"),)),
    Arrives("unsupported_poll", (said(stub="poll"),)),
    Arrives("kind_newer_than_this_adapter", (said(stub="hologram"),)),
    Arrives("chat_opened", ()),
    # edge 10: a person who shows a username instead of a number
    Arrives(
        "no_phone",
        (
            said(
                sender=SCOPED,
                sender_name="@ayse.yilmaz",
                text="numaram gizli",
                proof=Proof.PLATFORM,
                proofs=(),
                context={"user_id": SCOPED.value, "message_id": "wamid.in1"},
            ),
        ),
    ),
    Arrives(
        "no_phone_id_in_its_place",
        (
            said(
                sender=SCOPED,
                sender_name="Ayşe",
                text="numaram gizli",
                proof=Proof.PLATFORM,
                proofs=(),
                context={"user_id": SCOPED.value, "message_id": "wamid.in1"},
            ),
        ),
    ),
    Arrives("id_told_by_the_contact_alone", (said(text="kimim?"),)),
    Arrives(
        "sender_told_by_the_contact_alone",
        (
            said(
                sender=SCOPED,
                text="kimim?",
                proof=Proof.PLATFORM,
                proofs=(),
                context={"user_id": SCOPED.value, "message_id": "wamid.in1"},
            ),
        ),
    ),
    Arrives(
        "contact_of_somebody_else",
        (
            said(
                text="kimim?",
                sender_name="",
                proofs=(),
                context={"wa_id": "905321234567", "message_id": "wamid.in1"},
            ),
        ),
    ),
    # edge 12: two spellings of one number
    Arrives(
        "number_of_mexico",
        (
            said(
                sender=Address(kind="phone", value="+525555550100"),
                sender_name="Lucía",
                text="hola",
                proofs=(),
                context={"wa_id": "5215555550100", "message_id": "wamid.in1"},
            ),
        ),
    ),
    Arrives(
        "number_of_brazil",
        (
            said(
                sender=Address(kind="phone", value="+5511999990000"),
                sender_name="João",
                text="olá",
                proofs=(),
                context={"wa_id": "551199990000", "message_id": "wamid.in1"},
            ),
        ),
    ),
    # edge 13: somebody changes their number; the message tells no name, and the scoped id changes along
    Arrives(
        "system_number_changed",
        (moved("phone", AYSE.value, "+905329876543"), moved("whatsapp", SCOPED.value, "TR.77")),
    ),
    Arrives("system_number_changed_as_once", (moved("phone", AYSE.value, "+905329876543"),)),
    Arrives("system_id_changed", (moved("whatsapp", "CO.1234567890", "MX.0987654321"),)),
    Arrives("system_identity_changed", ()),
    Arrives("system_newer_than_this_adapter", (unread("a notice of an unknown kind: user_merged_accounts"),)),
    Arrives(
        "system_number_changed_to_nothing",
        (unread("a change of number that does not say from which to which"),),
    ),
    # edge 18: an edit carries the message whole, so that it may come first
    Arrives("edit_text", (Edited(message=said(text="Merhaba, kargom nerede kaldı?", sent_at=LATER), edited_at=LATER),)),
    Arrives(
        "edit_caption",
        (
            Edited(
                message=said(text="bakın", attachments=file("image/jpeg", "image.jpg"), sent_at=LATER),
                edited_at=LATER,
            ),
        ),
    ),
    Arrives("edit_of_nothing", (said(external_id="wamid.ed1", stub="edit"),)),
    Arrives("revoke", (Withdrawn(channel="wa", external_id="wamid.in1", sender=AYSE, at=SENT_AT),)),
    # edge 24: groups, our own number, other numbers of the shop
    Arrives("group_message", ()),
    Arrives("message_of_our_own_number", ()),
    Arrives("another_number", ()),
    Arrives("test_button", ()),
    Arrives("object_of_a_page", ()),
    Arrives("template_status", ()),
    Arrives("history", ()),
    Arrives("message_without_sender", (unread("a message without a sender"),)),
    Arrives("message_without_id", (unread("a message without an id"),)),
    Arrives(
        "message_with_fields_of_wrong_types",
        (
            said(
                text="yine de okunur",
                sender_name="",
                sent_at=AT,
                proofs=(),
                context={"wa_id": "905321234567", "message_id": "wamid.in1"},
            ),
        ),
    ),
    Arrives("message_from_tomorrow", (said(text="saatim ileri", sent_at=AT + timedelta(minutes=5)),)),
    Arrives("message_in_milliseconds", (said(text="binde birler"),)),
    Arrives(
        "two_people_in_one_change",
        (
            said(text="bir"),
            said(
                external_id="wamid.in2",
                text="iki",
                sender=Address(kind="phone", value="+905550001003"),
                sender_name="Can Demir",
                proofs=((Address(kind="whatsapp", value="TR.4711"), Proof.PLATFORM),),
                context={"wa_id": "905550001003", "user_id": "TR.4711", "message_id": "wamid.in2"},
            ),
            unread("a message without an id"),
        ),
    ),
    Arrives("change_newer_than_this_adapter", (unread("a change that holds nothing known"),)),
    # receipts
    Arrives("status_sent", told(Status.SENT, **OURS)),
    Arrives("status_delivered", told(Status.DELIVERED, **OURS)),
    Arrives("status_read_of_another_program", told(Status.READ)),
    Arrives("status_played", told(Status.READ)),
    Arrives("status_deleted", ()),
    Arrives("status_failed_window", told(Status.FAILED, code="window_closed", detail=CLOSED, **OURS)),
    Arrives(
        "status_failed_not_on_whatsapp",
        told(Status.FAILED, code="unreachable", detail="131026 Message Undeliverable.", **OURS),
    ),
    Arrives(
        "status_failed_pace",
        told(Status.FAILED, code="refused", detail="131056 Too many messages to one person.", **OURS),
    ),
    Arrives("status_failed_untold", told(Status.FAILED, code="refused")),
    Arrives("status_failed_with_data_as_text", told(Status.FAILED, code="refused", detail="131049 Not delivered")),
    Arrives(
        "errors_of_the_account",
        (unread("WhatsApp reports an error: 130429 Too many messages from this phone number."),),
    ),
    # edge 16: what the shop writes in its phone's app
    echo("echo_text", text="Bugün yola çıktı", reply_to="wamid.in1"),
    echo("echo_image", text="etiket", attachments=file("image/jpeg", "image.jpg")),
    echo("echo_edit", text="Yarın yola çıkıyor", reply_to="wamid.ec0", stub="edit"),
    echo("echo_revoke", reply_to="wamid.ec0", stub="revoke"),
    echo("echo_reaction", text="❤️", reply_to="wamid.in1"),
    echo("echo_to_no_phone", text="Merhaba", to=SCOPED),
    echo("echo_of_another_program", text="Merhaba", app=""),
    Arrives("echo_to_nobody", (unread("an echo without a receiver"),)),
    # edge 20: one POST, several entries, some of them poisoned
    Arrives(
        "batch_with_poison",
        (
            unread("an entry that is none"),
            unread("a change that is none"),
            said(external_id="wamid.b1", text="bir"),
            unread("a message without an id"),
            said(external_id="wamid.b2", text="iki"),
            *told(Status.DELIVERED),
            unread("a status without an id"),
            unread("a change that does not say which number it is about"),
            said(external_id="wamid.b3", text="üç", sender_name=""),
            said(external_id="wamid.b4", text="dört", sender_name=""),
        ),
    ),
)


@pytest.mark.parametrize("row", ARRIVES, ids=lambda row: row.file)
def test_arrives(row: Arrives) -> None:
    harness.check_arrives(SUBJECT, row)


def test_every_payload_file_is_in_the_table() -> None:
    assert {row.file for row in ARRIVES} == set(SUBJECT.files())


def events(file: str) -> list[Event]:
    return list(channel("http://127.0.0.1:9").parse(signed(SUBJECT.payload(file)), AT))  # type: ignore[arg-type]


def only(file: str) -> Any:
    (event,) = events(file)
    return event


def test_edge_06_a_status_names_our_own_id_so_it_may_come_before_the_send_returned() -> None:
    assert only("status_sent").delivery == HELLO.id
    assert only("status_sent").status < only("status_delivered").status < only("status_played").status


def test_edge_07_a_closed_window_that_is_told_later_is_named() -> None:
    assert only("status_failed_window").code == WindowClosed.code


def test_edge_10_a_person_without_a_number_can_be_answered() -> None:
    for file in ("no_phone", "no_phone_id_in_its_place"):
        received = only(file)
        to = receiver(replace(HELLO, to=received.sender, context=received.context))
        assert to == {"recipient": SCOPED.value}


@pytest.mark.parametrize("file", ["number_of_mexico", "number_of_brazil"])
def test_edge_12_the_answer_goes_to_the_exact_spelling_that_came(file: str) -> None:
    received = only(file)
    to = receiver(replace(HELLO, to=received.sender, context=received.context))
    assert to == {"to": received.context["wa_id"]}
    assert received.sender.value != f"+{to['to']}"


def test_edge_13_a_change_of_number_is_told_without_a_name_and_with_both_ids() -> None:
    assert [type(event) for event in events("system_number_changed")] == [AddressChanged, AddressChanged]


def test_edge_16_what_the_shop_wrote_in_its_phone_is_not_a_customer_s_words() -> None:
    assert only("echo_text").to == AYSE
    assert not any(isinstance(event, Received) for event in events("echo_text"))


def test_edge_18_an_edit_names_the_message_it_changes_and_carries_it_whole() -> None:
    edited = only("edit_caption")
    assert edited.message.external_id == only("image_with_caption").external_id
    assert edited.message.attachments == only("image_with_caption").attachments


def test_edge_20_one_poisoned_entry_costs_none_of_its_neighbours() -> None:
    texts = [event.text for event in events("batch_with_poison") if isinstance(event, Received)]
    assert texts == ["bir", "iki", "üç", "dört"]


def test_edge_20_what_is_kept_of_a_message_holds_no_neighbour_s_words_and_name() -> None:
    first, second, odd = events("two_people_in_one_change")
    assert isinstance(first, Received) and isinstance(second, Received) and isinstance(odd, Unreadable)
    assert b"bir" in first.raw and b"iki" not in first.raw and b"Can" not in first.raw
    assert b"iki" in second.raw and b"bir" not in second.raw and b"905321234567" not in second.raw
    assert b"numarasiz" in odd.raw and b"bir" not in odd.raw


def test_whoever_is_named_beside_two_people_s_words_without_an_address_is_neither() -> None:
    body = json.loads(SUBJECT.payload("two_people_in_one_change"))
    body["entry"][0]["changes"][0]["value"]["contacts"] = [{"profile": {"name": "Can Demir"}}]
    named = {
        event.sender_name for event in read("wa", NUMBER, json.dumps(body).encode(), AT) if isinstance(event, Received)
    }
    assert named == {""}


@pytest.mark.parametrize("file", ["group_message", "message_of_our_own_number", "another_number", "test_button"])
def test_edge_24_groups_ourselves_and_other_numbers_are_nobody_s_conversation(file: str) -> None:
    assert events(file) == []


def test_a_handshake_is_answered() -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444"}
    request = Request(method="GET", url=URL, headers={}, query=query)
    assert channel("http://127.0.0.1:9").answer(request) == "1158201444"
    with pytest.raises(Unverified):
        channel("http://127.0.0.1:9").answer(replace(request, query={**query, "hub.verify_token": "x"}))


# --- what leaves


def path(rest: str, query: str = "") -> str:
    return f"/v25.0/{rest}?{query}appsecret_proof={{secret}}"


def message(**fields: Any) -> Call:
    frame = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "905321234567",
        "biz_opaque_callback_data": str(UUID(int=7)),
    }
    whole = {key: value for key, value in {**frame, **fields}.items() if value is not None}
    return Call(path=path(f"{NUMBER}/messages"), fields=whole)


def text(body: str, **fields: Any) -> Call:
    return message(type="text", text={"body": body}, **fields)


TAKEN = Answer(
    body={
        "messaging_product": "whatsapp",
        "contacts": [{"input": "905321234567", "wa_id": "905321234567"}],
        "messages": [{"id": "wamid.out1", "message_status": "accepted"}],
    }
)
KEPT = Answer(body={"id": "88"})
DONE = Answer(body={"success": True})


def no(status: int, code: int, words: str, **error: Any) -> Answer:
    return Answer(status=status, body={"error": {"message": words, "type": "OAuthException", "code": code, **error}})


def sends(name: str, sent: Outgoing, *calls: Call, outcome: Any = "wamid.out1") -> Leaves:
    answers = (*(KEPT for _ in calls[1:]), TAKEN) if calls else ()
    return Leaves(name=name, do=lambda channel: channel.send(sent), answers=answers, calls=calls, outcome=outcome)


def uploaded(filename: str, data: bytes, media_type: str) -> Call:
    return Call(
        path=path(f"{NUMBER}/media"),
        fields={"messaging_product": "whatsapp", "type": media_type},
        files={"upload-1": (filename, data)},
    )


def carried(name: str, media_type: str, kind: str, text: str = "", data: bytes = b"bytes", **content: Any) -> Leaves:
    sent = Attachment(media_type=media_type, filename="fatura 4.pdf", data=data)
    shown = {"id": "88", **({"caption": text} if text else {}), **content}
    return sends(
        name,
        replace(HELLO, text=text, attachment=sent),
        uploaded("fatura 4.pdf", data, media_type),
        message(type=kind, **{kind: shown}),
    )


def refused(name: str, answer: Answer, outcome: SendFailed) -> Leaves:
    return Leaves(name=name, do=SUBJECT.send, answers=(answer,), calls=(text("Merhaba"),), outcome=outcome)


def choices(*labels: str) -> tuple[Choice, ...]:
    return tuple(Choice(label=label, payload=f"pick:{label}") for label in labels)


def pressed(*labels: str) -> list[dict[str, Any]]:
    return [{"type": "reply", "reply": {"id": f"pick:{label}", "title": label}} for label in labels]


PNG = b"\x89PNG\r\n\x1a\n"
OPUS, VORBIS = b"OggS\x00\x02" + bytes(22) + b"OpusHead", b"OggS\x00\x02" + bytes(22) + b"\x01vorbis"
REPEATED = choices("a", "b", "c", "d")
LUCIA = Address(kind="phone", value="+525555550100")

LEAVES = (
    sends("text", HELLO, text("Merhaba")),
    sends(
        "answer to a message",
        replace(HELLO, reply_to="wamid.in1"),
        text("Merhaba", context={"message_id": "wamid.in1"}),
    ),
    sends("to a number that never wrote here", replace(HELLO, context={}), text("Merhaba")),
    sends(
        "edge 11: a person without a number is named in another place",
        replace(HELLO, to=SCOPED),
        text("Merhaba", to=None, recipient=SCOPED.value),
    ),
    sends(
        "edge 12: the exact spelling that wrote",
        replace(HELLO, to=LUCIA, context={"wa_id": "5215555550100"}),
        text("Merhaba", to="5215555550100"),
    ),
    sends(
        "edge 13: a number they gave up is not written to",
        replace(HELLO, to=Address(kind="phone", value="+905329876543")),
        text("Merhaba", to="905329876543"),
    ),
    sends(
        "three choices are buttons",
        replace(HELLO, choices=choices("Evet", "Hayır", "Sonra")),
        message(
            type="interactive",
            interactive={
                "type": "button",
                "body": {"text": "Merhaba"},
                "action": {"buttons": pressed("Evet", "Hayır", "Sonra")},
            },
        ),
    ),
    sends(
        "four choices are a list",
        replace(HELLO, choices=REPEATED),
        message(
            type="interactive",
            interactive={
                "type": "list",
                "body": {"text": "Merhaba"},
                "action": {
                    "button": "📋",
                    "sections": [{"rows": [{"id": it.payload, "title": it.label} for it in REPEATED]}],
                },
            },
        ),
    ),
    sends(
        "choices below a text that no button carries",
        replace(HELLO, text="u" * 1025, choices=choices("Evet", "Hayır")),
        text("u" * 1025 + "\n\n1. Evet\n2. Hayır"),
    ),
    sends(
        "a choice that is too long to come back",
        replace(HELLO, choices=(Choice(label="x", payload="p" * 257),)),
        outcome=Refused(),
    ),
    sends(
        "template",
        replace(HELLO, template=Template(name="order_sent", language="tr", values=("Ayşe", "AB\n12\t  3"))),
        message(
            type="template",
            template={
                "name": "order_sent",
                "language": {"policy": "deterministic", "code": "tr"},
                "components": [
                    {
                        "type": "body",
                        "parameters": [{"type": "text", "text": "Ayşe"}, {"type": "text", "text": "AB 12 3"}],
                    }
                ],
            },
        ),
    ),
    sends(
        "template without values",
        replace(HELLO, template=Template(name="hello", language="en_US")),
        message(
            type="template",
            template={"name": "hello", "language": {"policy": "deterministic", "code": "en_US"}},
        ),
    ),
    carried("picture", "image/png", "image", "böyle", data=PNG),
    carried("video", "video/mp4", "video"),
    carried("sound", "audio/ogg", "audio", data=OPUS),
    carried("sound with words", "audio/ogg", "document", "dinleyin", data=OPUS, filename="fatura 4.pdf"),
    carried("a sound that WhatsApp does not play", "audio/ogg", "document", data=VORBIS, filename="fatura 4.pdf"),
    carried("a picture that is none", "image/jpeg", "document", data=PNG, filename="fatura 4.pdf"),
    carried("document", "application/pdf", "document", "fatura", filename="fatura 4.pdf"),
    carried("a picture WhatsApp does not show", "image/heic", "document", filename="fatura 4.pdf"),
    sends(
        "empty file",
        replace(HELLO, attachment=Attachment(media_type="image/png", data=b"")),
        outcome=Refused("The file is empty."),
    ),
    sends(
        "to an address of another kind", replace(HELLO, to=Address(kind="telegram", value="4711")), outcome=Refused()
    ),
    Leaves(
        name="a file that is not taken keeps the message back",
        do=lambda channel: channel.send(
            replace(HELLO, attachment=Attachment(media_type="application/zip", filename="a.zip", data=b"PK"))
        ),
        answers=(no(400, 100, "Param file must be a file with one of the following types"),),
        calls=(uploaded("a.zip", b"PK", "application/zip"),),
        outcome=Refused("Param file must be a file with one of the following types"),
    ),
    Leaves(
        name="a file whose line broke may be handed over again",
        do=lambda channel: channel.send(
            replace(HELLO, attachment=Attachment(media_type="image/png", filename="a.png", data=b"png"))
        ),
        answers=(Answer(dropped=True),),
        calls=None,
        outcome=Retry(),
    ),
    Leaves(
        name="a file that got no id",
        do=lambda channel: channel.send(
            replace(HELLO, attachment=Attachment(media_type="image/png", filename="a.png", data=b"png"))
        ),
        answers=(DONE,),
        calls=None,
        outcome=Refused(),
    ),
    refused("taken without a number", Answer(body={"messages": []}), InDoubt()),
    refused(
        "a number that the token does not see",
        no(400, 100, "Object does not exist", error_subcode=33),
        Misconfigured(provider_code="100/33"),
    ),
    refused("held for its quality is taken", replace(TAKEN, body={"messages": [{"id": ""}]}), InDoubt()),
    refused("edge 07: window closed at once", no(400, 131047, "Re-engagement message"), WindowClosed()),
    refused("not on WhatsApp", no(400, 131026, "Undeliverable"), Refused(provider_code="131026")),
    refused("a template only a number may get", no(400, 131062, "BSUID not supported"), Refused()),
    refused(
        "too often to one person",
        no(400, 131056, "Pair rate limit hit"),
        Retry(after=timedelta(seconds=6), provider_code="131056"),
    ),
    refused("too often for the number", no(429, 130429, "Rate limit hit"), Retry(whole_channel=True)),
    refused("template missing", no(404, 132001, "Template name does not exist"), Refused(provider_code="132001")),
    refused("token expired", no(401, 190, f"Bad token {TOKEN}", error_subcode=463), Misconfigured()),
    refused("words that carry the token", no(400, 100, f"{TOKEN} at https://x.example/y"), Refused("… at …")),
    refused("details", no(400, 131009, "(#131009)", error_data={"details": "Bad parameter"}), Refused("Bad parameter")),
    refused("redirect", Answer(status=302, location="http://127.0.0.1:9/x"), InDoubt()),
    Leaves(
        name="typing",
        do=lambda channel: channel.typing(HELLO),
        answers=(DONE,),
        calls=(
            Call(
                path=path(f"{NUMBER}/messages"),
                fields={
                    "messaging_product": "whatsapp",
                    "status": "read",
                    "message_id": "wamid.in1",
                    "typing_indicator": {"type": "text"},
                },
            ),
        ),
        outcome=None,
    ),
    Leaves(
        name="typing to somebody who never wrote",
        do=lambda channel: channel.typing(replace(HELLO, context={})),
        answers=(),
        calls=(),
        outcome=None,
    ),
    Leaves(
        name="link",
        do=lambda channel: channel.link(),
        answers=(Answer(body={"display_phone_number": "+1 555-078-3881", "id": NUMBER}),),
        calls=None,
        outcome="https://wa.me/15550783881",
    ),
)


@pytest.mark.parametrize("row", LEAVES, ids=lambda row: row.name)
async def test_leaves(row: Leaves) -> None:
    await harness.check_leaves(SUBJECT, row)


@given(value=st.text(), wa_id=st.text() | st.integers() | st.none(), kind=st.sampled_from(["phone", "whatsapp", "x"]))
def test_edge_11_a_number_is_digits_or_the_message_is_refused(value: str, wa_id: object, kind: str) -> None:
    try:
        to = receiver(replace(HELLO, to=Address(kind=kind, value=value), context={"wa_id": wa_id}))
    except Refused:
        return
    assert to.keys() == {"to"} or to.keys() == {"recipient"}
    assert to.get("to", "1").isdigit()
    assert "." in to.get("recipient", ".")


def test_edge_07_a_window_is_24_hours() -> None:
    assert CAPABILITIES.reply_window == timedelta(hours=24)
    assert CAPABILITIES.templates


@pytest.mark.parametrize(
    ("media_type", "begins", "size", "kind"),
    [
        ("image/jpeg", b"\xff\xd8", 5 << 20, "image"),
        ("image/jpeg", b"\xff\xd8", (5 << 20) + 1, "document"),
        ("video/mp4", b"", 16 << 20, "video"),
        ("video/mp4", b"", (16 << 20) + 1, "document"),
        ("image/webp", b"", 10, "document"),
        ("IMAGE/PNG; x=y", PNG, 10, "image"),
    ],
)
def test_what_is_too_large_to_be_shown_goes_as_a_document(media_type: str, begins: bytes, size: int, kind: str) -> None:
    assert shown_as(Attachment(media_type=media_type, data=begins.ljust(size, b"\0")), "") == kind


def test_what_is_too_large_for_everything_is_refused() -> None:
    with pytest.raises(Refused):
        shown_as(Attachment(media_type="application/pdf", data=bytes(MAX_FILE + 1)), "")


# --- files

FILE = file("image/jpeg", "image.jpg")[0]
ASK = Call(method="GET", path=path("1013859600285441"))
GET = Call(method="GET", path="/attachments?mid=1")


async def fetched(*answers: Answer) -> tuple[list[Call], Any]:
    """What fetching makes of these answers; the address of the file is filled in where one asks for it."""
    async with harness.provider(SUBJECT, *answers) as canned:
        for answer in canned.answers:
            if isinstance(answer.body, dict) and answer.body.get("url") == "":
                answer.body["url"] = f"{canned.url}/attachments?mid=1"
        made = channel(canned.url)
        outcome: Any
        with harness.nothing_leaks(SUBJECT) as told, harness.only_talks_to(canned.url):
            try:
                outcome = b"".join([chunk async for chunk in made.fetch(FILE)])
            except SendFailed as error:
                outcome = error
                told.extend(f"{cause!r} {vars(cause)}" for cause in harness.causes(error))
            await made.close()
        assert not canned.answers
        return canned.calls, outcome


def address() -> Answer:
    """Where the file is; a new object each time, for it is filled in."""
    return Answer(body={"url": "", "mime_type": "image/jpeg", "sha256": "x", "file_size": 5, "id": "1"})


BYTES = Answer(body=b"bytes", content_type="image/jpeg")


async def test_a_file_is_asked_for_by_its_id() -> None:
    assert await fetched(address(), BYTES) == ([ASK, GET], b"bytes")


@pytest.mark.parametrize("status", [401, 404])
async def test_edge_14_a_link_that_has_expired_is_asked_for_anew(status: int) -> None:
    expired = Answer(status=status, body={"error": {"code": 190, "message": TOKEN}})
    assert await fetched(address(), expired, address(), BYTES) == ([ASK, GET, ASK, GET], b"bytes")


async def test_edge_14_a_link_that_expires_twice_is_given_up() -> None:
    calls, outcome = await fetched(address(), Answer(status=404), address(), Answer(status=404))
    assert calls == [ASK, GET, ASK, GET]
    assert type(outcome) is Refused


async def test_a_file_whose_id_has_expired_is_gone() -> None:
    _, outcome = await fetched(no(400, 100, "Object does not exist", error_subcode=33))
    assert type(outcome) is Refused


async def test_edge_23_a_dead_token_says_nothing_of_a_file() -> None:
    _, outcome = await fetched(no(401, 190, "Session expired", error_subcode=463))
    assert type(outcome) is Retry
    assert outcome.whole_channel
    _, outcome = await fetched(no(403, 10, "No permission"))
    assert type(outcome) is Misconfigured


async def test_a_file_that_is_not_handed_out_now_is_tried_later() -> None:
    _, outcome = await fetched(address(), Answer(status=503))
    assert type(outcome) is Retry


async def test_a_file_without_an_address_is_refused() -> None:
    _, outcome = await fetched(Answer(body={"id": "1"}))
    assert type(outcome) is Refused


async def test_edge_15_a_file_elsewhere_is_not_fetched_with_our_token() -> None:
    _, outcome = await fetched(Answer(body={"url": "http://192.0.2.7/x"}))
    assert type(outcome) is Refused


# --- several numbers


def test_what_another_number_of_the_app_was_told_is_passed_on_to_its_channel() -> None:
    """A batch over two numbers, and each event keeps only what its own number was told."""
    here, there = (json.loads(SUBJECT.payload("text"))["entry"][0] for _ in range(2))
    there["changes"][0]["value"]["metadata"]["phone_number_id"] = "777"
    there["changes"][0]["value"]["messages"][0] |= {"id": "wamid.THERE", "text": {"body": "Oradaki"}}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [here, there]}).encode()
    number = here["changes"][0]["value"]["metadata"]["phone_number_id"]
    first, second = read("whatsapp", number, body, AT, (("777", "ikinci"),))
    assert isinstance(first, Received) and isinstance(second, Received)
    assert (first.channel, second.channel, second.text) == ("whatsapp", "ikinci", "Oradaki")
    assert b"Oradaki" not in first.raw and b"Oradaki" in second.raw
    assert read("ikinci", "777", second.raw, AT) == (second,)
    assert [event.channel for event in read("whatsapp", number, body, AT) if isinstance(event, Received)] == [
        "whatsapp"
    ]
