"""Telegram: what its updates become, and what leaves for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Pulled, Request
from channels.errors import (
    InDoubt,
    Malformed,
    Misconfigured,
    Moved,
    Refused,
    Retry,
    SendFailed,
    Unreachable,
    Unverified,
    WindowClosed,
)
from channels.message import (
    Address,
    AddressChanged,
    Attachment,
    Choice,
    Edited,
    OptedIn,
    OptedOut,
    Outgoing,
    Proof,
    Reacted,
    Received,
    Span,
    SpanKind,
    Unreadable,
    Withdrawn,
)
from channels.registry import make
from channels.telegram.adapter import MAX_DOWNLOAD, UPDATES, Telegram, TelegramConfig
from channels.telegram.parse import spans, units
from channels.telegram.wire import Entity
from tests.channels import harness
from tests.channels.harness import AT, Answer, Arrives, Call, Leaves, Subject

TOKEN = "900100200:AAE-kumbara_test_token_0123456789abc"
SECRET = "kumbara-secret_7f3a"


def channel(url: str, receive: str = "webhook", secret: str = SECRET) -> Telegram:
    settings = {
        "token": TOKEN,
        "secret": secret,
        "receive": receive,
        "api_url": url,
        "send_seconds": 1.0,
        "poll_seconds": 0,
    }
    made = make("telegram", "bot", settings)
    assert isinstance(made, Telegram)
    return made


def signed(body: bytes) -> Request:
    return Request(
        method="POST",
        url="https://support.example.com/webhooks/bot",
        headers={"content-type": "application/json", "x-telegram-bot-api-secret-token": SECRET},
        body=body,
    )


AYSE = Address(kind="telegram", value="4711")
HELLO = Outgoing(id=UUID(int=7), to=AYSE, text="Merhaba")

SUBJECT = Subject(
    kind="telegram",
    make=channel,
    secrets=(TOKEN, SECRET, TOKEN.partition(":")[2]),
    signed=signed,
    signature="x-telegram-bot-api-secret-token",
    covers_body=False,
    payloads=Path(__file__).parent / "telegram",
    send=lambda channel: channel.send(HELLO),
)

# --- what arrives

SENT_AT = datetime(2026, 1, 1, tzinfo=UTC)


def said(**parts: Any) -> Received:
    """A message of Ayşe's, except for `parts`."""
    whole: dict[str, Any] = {
        "channel": "bot",
        "external_id": "4711:42",
        "sender": AYSE,
        "sender_name": "Ayşe Yılmaz",
        "sent_at": SENT_AT,
        "language": "tr",
        "proof": Proof.PLATFORM,
    }
    return Received(**whole | parts)


def sent(media_type: str, filename: str, ref: str, size: int | None) -> tuple[Attachment, ...]:
    unique = f"u-{ref}" if ref.startswith("photo") else f"u-{ref.removesuffix('-file')}"
    return (Attachment(media_type=media_type, filename=filename, ref=ref, size=size, unique_ref=unique),)


PHOTO = sent("image/jpeg", "photo.jpg", "photo-x", 180000)
BUSINESS = {"business_connection_id": "bc_Q7"}

ARRIVES = (
    Arrives("text", (said(text="Merhaba, kargom nerede?"),)),
    Arrives(
        "text_with_formatting",
        (
            said(
                text="😀 çok kırık geldi, bakın",
                spans=(
                    Span(kind=SpanKind.BOLD, start=2, end=5),
                    Span(kind=SpanKind.STRIKE, start=6, end=11),
                    Span(kind=SpanKind.LINK, start=19, end=24, url="https://example.com/a"),
                    Span(kind=SpanKind.SPOILER, start=23, end=24),
                    Span(kind=SpanKind.ITALIC, start=0, end=2),
                ),
            ),
        ),
    ),
    Arrives("text_with_nul", (said(text="a\ufffdb"),)),
    Arrives("text_with_lone_surrogate", (said(text="a\ufffdb"),)),
    Arrives(
        "photo_with_caption",
        (said(text="böyle geldi", spans=(Span(kind=SpanKind.ITALIC, start=0, end=5),), attachments=PHOTO),),
    ),
    Arrives("document", (said(attachments=sent("application/pdf", "fatura.pdf", "doc-file", 52000)),)),
    Arrives(
        "document_with_hostile_name",
        (
            said(
                attachments=sent(
                    "application/octet-stream", ".._.._etc_ gpj.exe" + "x" * 178 + ".pdf", "doc-file", None
                )
            ),
        ),
    ),
    Arrives("audio", (said(attachments=sent("audio/mp4", "kayıt.m4a", "audio-file", 90000)),)),
    Arrives("animation", (said(attachments=sent("video/mp4", "gülme.mp4", "anim-file", 7000)),)),
    Arrives("video", (said(text="çalışmıyor", attachments=sent("video/mp4", "video.mp4", "video-file", 26214400)),)),
    Arrives("voice", (said(attachments=sent("audio/ogg", "voice.ogg", "voice-file", 16000)),)),
    Arrives("video_note", (said(attachments=sent("video/mp4", "video-note.mp4", "note-file", 300000)),)),
    Arrives("sticker", (said(attachments=sent("image/webp", "sticker.webp", "sticker-file", 21000)),)),
    Arrives(
        "sticker_animated",
        (said(text="😡", stub="sticker", attachments=sent("image/webp", "sticker.webp", "thumb-file", 4000)),),
    ),
    Arrives("sticker_video_without_emoji", (said(stub="sticker"),)),
    Arrives("location", (said(text="https://www.openstreetmap.org/?mlat=41.008238&mlon=28.978359"),)),
    Arrives(
        "live_location_moves",
        (
            Edited(
                message=said(text="https://www.openstreetmap.org/?mlat=41.010000&mlon=28.980000"),
                edited_at=SENT_AT + timedelta(seconds=60, microseconds=116),
            ),
        ),
    ),
    Arrives(
        "venue",
        (said(text="Şube\nİstiklal Cd. 1\nhttps://www.openstreetmap.org/?mlat=41.000000&mlon=29.000000"),),
    ),
    Arrives(
        "contact_own",
        (
            said(
                text="Ayşe Yılmaz\n905321234567",
                proofs=((Address(kind="phone", value="+905321234567"), Proof.PLATFORM),),
            ),
        ),
    ),
    Arrives("contact_own_but_forwarded", (said(text="Ayşe\n905321234567", forwarded_from="Ayşe Yılmaz"),)),
    Arrives("contact_of_somebody_else", (said(text="Jürgen\n+49 151 23456789"),)),
    Arrives("contact_without_account", (said(text="Ayşe\n+905321234567"),)),
    Arrives(
        "album_part",
        (
            said(
                text="üç fotoğraf",
                album="4711:13977",
                attachments=sent("image/jpeg", "photo.jpg", "photo-s", 1200),
            ),
        ),
    ),
    Arrives(
        "edited_text",
        (
            Edited(
                message=said(text="Merhaba, kargom nerede kaldı?"),
                edited_at=SENT_AT + timedelta(seconds=30, microseconds=123),
            ),
        ),
    ),
    Arrives(
        "reply_to_our_message",
        (said(external_id="4711:44", text="evet", reply_to="4711:43", quoted="Bu adres doğru mu?"),),
    ),
    Arrives("reply_with_quote", (said(external_id="4711:44", text="bu", reply_to="4711:43", quoted="mavi"),)),
    Arrives(
        "reply_from_another_chat",
        (said(text="bunu diyorum", quoted="Kampanyalar: yarı fiyatına"),),
    ),
    Arrives("forwarded_from_user", (said(text="Ödemeniz alındı", forwarded_from="Mehmet"),)),
    Arrives("forwarded_from_hidden_user", (said(text="Ödemeniz alındı", forwarded_from="Gizli Kişi"),)),
    Arrives("forwarded_from_channel", (said(text="Ödemeniz alındı", forwarded_from="Kampanyalar"),)),
    Arrives(
        "button_press",
        (
            said(
                external_id="callback:4382bfdwdsb323b2d9",
                sent_at=AT,
                text="Hayır",
                payload="confirm:no",
                reply_to="4711:50",
                quoted="İade edelim mi?",
                context={"message_thread_id": 3},
            ),
        ),
    ),
    Arrives(
        "button_press_on_old_message",
        (
            said(
                external_id="callback:4382bfdwdsb323b2da",
                sent_at=AT,
                text="confirm:no",
                payload="confirm:no",
                reply_to="4711:50",
            ),
        ),
    ),
    Arrives("start_with_payload", (said(text="/start k7Jd_x-9", payload="k7Jd_x-9"),)),
    Arrives("start_with_malformed_payload", (said(text="/start ./../x y"),)),
    Arrives("bot_blocked", (OptedOut(channel="bot", sender=AYSE, at=SENT_AT, why="blocked the bot"),)),
    Arrives("bot_unblocked", (OptedIn(channel="bot", sender=AYSE, at=SENT_AT),)),
    Arrives("bot_added_to_group", ()),
    Arrives("reaction", (Reacted(channel="bot", external_id="4711:43", sender=AYSE, emoji="👍", at=SENT_AT),)),
    Arrives("reaction_custom", (Reacted(channel="bot", external_id="4711:43", sender=AYSE, emoji="❔⭐", at=SENT_AT),)),
    Arrives("reaction_taken_away", (Reacted(channel="bot", external_id="4711:43", sender=AYSE, emoji="", at=SENT_AT),)),
    Arrives("business_message", (said(external_id="bc_Q7:4711:42", text="Hâlâ bekliyorum", context=BUSINESS),)),
    Arrives("business_message_of_the_owner", ()),
    Arrives(
        "business_message_edited",
        (
            Edited(
                message=said(external_id="bc_Q7:4711:42", text="Hâlâ bekliyorum!", context=BUSINESS),
                edited_at=SENT_AT + timedelta(seconds=5, microseconds=142),
            ),
        ),
    ),
    Arrives(
        "business_messages_deleted",
        (
            Withdrawn(channel="bot", external_id="bc_Q7:4711:42", sender=AYSE, at=AT),
            Withdrawn(channel="bot", external_id="bc_Q7:4711:43", sender=AYSE, at=AT),
        ),
    ),
    Arrives("business_connected", ()),
    Arrives("message_in_a_topic", (said(text="İade konusu", context={"message_thread_id": 12}),)),
    Arrives("group_message", ()),
    Arrives(
        "group_became_supergroup",
        (
            AddressChanged(
                channel="bot",
                old=Address(kind="telegram", value="-55"),
                new=Address(kind="telegram", value="-1001234567890"),
                at=SENT_AT,
            ),
        ),
    ),
    Arrives("service_message", ()),
    Arrives("rich_message", (said(stub="rich_message"),)),
    Arrives("poll", (said(stub="poll"),)),
    Arrives("dice", (said(stub="dice"),)),
    Arrives("checklist", (said(stub="checklist"),)),
    Arrives("story", (said(stub="story"),)),
    Arrives("gift", (said(stub="gift"),)),
    Arrives("successful_payment", (said(stub="successful_payment"),)),
    Arrives("paid_media_with_caption", (said(text="bakın", stub="paid_media"),)),
    Arrives("kind_newer_than_this_adapter", (said(stub="hologram"),)),
    Arrives(
        "update_newer_than_this_adapter",
        (said(external_id="whispered_message:731000158", text="fısıltı", stub="whispered_message"),),
    ),
    Arrives(
        "update_that_says_nothing_known",
        (Unreadable(channel="bot", reason="an update of the unknown kind 'bot_mood'", raw=b""),),
    ),
    Arrives("message_without_sender", (Unreadable(channel="bot", reason="a message without a sender", raw=b""),)),
    Arrives(
        "message_with_fields_of_wrong_types",
        (said(text="yine de okunur", sender_name="Ayşe", language="", sent_at=AT),),
    ),
    Arrives("message_from_another_age", (said(text="gelecekten", sent_at=AT),)),
    Arrives(
        "name_that_hides_things",
        (said(text="merhaba", sender_name=("eşyA " + "x" * 200)[:128], language=""),),
    ),
    Arrives(
        "message_by_a_bot",
        (
            said(
                external_id="77:42",
                sender=Address(kind="telegram", value="77"),
                sender_name="Robot",
                language="",
                text="biip",
                automatic=True,
            ),
        ),
    ),
)


@pytest.mark.parametrize("row", ARRIVES, ids=lambda row: row.file)
def test_arrives(row: Arrives) -> None:
    harness.check_arrives(SUBJECT, row)


def test_every_payload_is_in_the_table() -> None:
    assert {row.file for row in ARRIVES} == set(SUBJECT.files())


def test_a_webhook_without_a_secret_believes_nobody() -> None:
    for headers in ({}, {"x-telegram-bot-api-secret-token": ""}):
        with pytest.raises(Unverified):
            channel("http://127.0.0.1:9", secret="").verify(replace(signed(b"{}"), headers=headers))


def test_a_secret_that_is_not_ascii_still_compares() -> None:
    made = channel("http://127.0.0.1:9", secret="gizli-ş")
    made.verify(replace(signed(b"{}"), headers={"x-telegram-bot-api-secret-token": "gizli-ş"}))
    with pytest.raises(Unverified):
        made.verify(replace(signed(b"{}"), headers={"x-telegram-bot-api-secret-token": "gizli-s"}))


@pytest.mark.parametrize(
    "body", [b'{"message":{}}', b'{"update_id":"7"}', b'{"update_id":null}', b'{"update_id":1e99}']
)
def test_an_object_without_an_update_id_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        channel("http://127.0.0.1:9").parse(signed(body), AT)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(text=TEXT)
def test_length_is_counted_as_telegram_does(text: str) -> None:
    assert units(text) == len(text.encode("utf-16-le")) // 2


@given(text=TEXT, start=st.integers(0, 40), length=st.integers(1, 40))
def test_formatting_covers_what_it_covered(text: str, start: int, length: int) -> None:
    """Bold on some characters, told in UTF-16 units, is bold on the same characters here."""
    bold = text[start : start + length]
    entity = Entity(type="bold", offset=units(text[:start]), length=units(bold))
    found = spans(text, [entity])
    assert [text[span.start : span.end] for span in found] == ([bold] if bold else [])


# --- what leaves

CHAT = {"id": 4711, "type": "private", "first_name": "Ayşe"}
OURS = {"message_id": 51, "date": 1767225600, "chat": CHAT, "text": "Merhaba"}
OK = Answer(body={"ok": True, "result": OURS})
DONE = Answer(body={"ok": True, "result": True})
JPEG = Attachment(media_type="image/jpeg", filename="kanıt.jpg", data=b"jpeg")


def no(status: int, description: str, **parameters: Any) -> Answer:
    body = {"ok": False, "error_code": status, "description": description}
    return Answer(status=status, body=body | ({"parameters": parameters} if parameters else {}))


def call(method: str, **fields: Any) -> Call:
    files = fields.pop("files", {})
    return Call(path=f"/bot{{secret}}/{method}", fields=fields, files=files)


def leaves(name: str, message: Outgoing, expected: Call, outcome: Any = "4711:51", answer: Answer = OK) -> Leaves:
    return Leaves(
        name=name, do=lambda channel: channel.send(message), answers=(answer,), calls=(expected,), outcome=outcome
    )


def file_sent(media_type: str, method: str, part: str, filename: str = "dosya") -> Leaves:
    attachment = Attachment(media_type=media_type, filename=filename, data=b"bytes")
    return leaves(
        f"{media_type} goes as {part}",
        replace(HELLO, text="", attachment=attachment),
        call(method, chat_id="4711", **{part: "attach://upload-1"}, files={"upload-1": (filename, b"bytes")}),
    )


def refused(name: str, answer: Answer, outcome: SendFailed) -> Leaves:
    return leaves(name, HELLO, call("sendMessage", chat_id="4711", text="Merhaba"), outcome, answer)


def told_nothing(name: str, message: Outgoing, outcome: SendFailed) -> Leaves:
    return Leaves(name=name, do=lambda channel: channel.send(message), answers=(), calls=(), outcome=outcome)


async def drained(channel: Telegram, attachment: Attachment) -> bytes:
    return b"".join([chunk async for chunk in channel.fetch(attachment)])


FILE = Attachment(media_type="image/jpeg", ref="photo-x", size=5)
PATH = Answer(body={"ok": True, "result": {"file_id": "photo-x", "file_unique_id": "u", "file_path": "photos/a b.jpg"}})
ASK = call("getFile", file_id="photo-x")
GET = Call(method="GET", path="/file/bot{secret}/photos/a%20b.jpg")
BYTES = Answer(body=b"bytes", content_type="application/octet-stream")
REDIRECT = Answer(status=307, location="http://127.0.0.2:9/elsewhere")


def fetched(
    name: str, answers: tuple[Answer, ...], calls: tuple[Call, ...], outcome: Any, file: Attachment = FILE
) -> Leaves:
    return Leaves(name=name, do=lambda channel: drained(channel, file), answers=answers, calls=calls, outcome=outcome)


POLL = {"limit": "100", "timeout": "0", "allowed_updates": list(UPDATES)}
WRITTEN = {
    "update_id": 9,
    "message": {
        "message_id": 42,
        "date": 1767225600,
        "chat": CHAT,
        "from": CHAT | {"is_bot": False},
        "text": "a\ud83d",
    },
}
STRANGE = {"update_id": 11, "message": {"message_id": "none"}}


async def pulled(channel: Telegram, after: str) -> tuple[str, list[str]]:
    got: Pulled = await channel.pull(after)
    return got.cursor, [getattr(event, "text", type(event).__name__) for event in got.events]


LEAVES = (
    leaves("text", HELLO, call("sendMessage", chat_id="4711", text="Merhaba")),
    leaves(
        "text with formatting after an emoji",
        replace(
            HELLO,
            text="😀 iade",
            spans=(
                Span(kind=SpanKind.BOLD, start=2, end=6),
                Span(kind=SpanKind.LINK, start=0, end=1, url="https://example.com/"),
                Span(kind=SpanKind.LINK, start=0, end=1),
                Span(kind=SpanKind.CODE, start=4, end=99),
            ),
        ),
        call(
            "sendMessage",
            chat_id="4711",
            text="😀 iade",
            entities=[
                {"type": "bold", "offset": 3, "length": 4},
                {"type": "text_link", "offset": 0, "length": 2, "url": "https://example.com/"},
            ],
        ),
    ),
    leaves(
        "markup in the text stays text",
        replace(HELLO, text="<b>5 * 3_4</b> [x](http://y)"),
        call("sendMessage", chat_id="4711", text="<b>5 * 3_4</b> [x](http://y)"),
    ),
    leaves(
        "answer to a message",
        replace(HELLO, reply_to="4711:42"),
        call(
            "sendMessage",
            chat_id="4711",
            text="Merhaba",
            reply_parameters={"message_id": 42, "allow_sending_without_reply": True},
        ),
    ),
    leaves(
        "answer to a button press quotes nothing",
        replace(HELLO, reply_to="callback:4382"),
        call("sendMessage", chat_id="4711", text="Merhaba"),
    ),
    leaves(
        "answer to what was said in another chat quotes nothing",
        replace(HELLO, reply_to="bc_Q7:4711:42"),
        call("sendMessage", chat_id="4711", text="Merhaba"),
    ),
    leaves(
        "back into the topic",
        replace(HELLO, context={"message_thread_id": 12}),
        call("sendMessage", chat_id="4711", text="Merhaba", message_thread_id="12"),
    ),
    leaves(
        "back through the business account",
        replace(HELLO, context=BUSINESS, reply_to="bc_Q7:4711:42"),
        call(
            "sendMessage",
            chat_id="4711",
            text="Merhaba",
            business_connection_id="bc_Q7",
            reply_parameters={"message_id": 42, "allow_sending_without_reply": True},
        ),
        "bc_Q7:4711:51",
    ),
    leaves(
        "choices",
        replace(HELLO, choices=(Choice(label="Evet", payload="yes"), Choice(label="Hayır", payload="no"))),
        call(
            "sendMessage",
            chat_id="4711",
            text="Merhaba",
            reply_markup={
                "inline_keyboard": [
                    [{"text": "Evet", "callback_data": "yes"}],
                    [{"text": "Hayır", "callback_data": "no"}],
                ]
            },
        ),
    ),
    leaves(
        "picture with words",
        replace(HELLO, attachment=JPEG, spans=(Span(kind=SpanKind.BOLD, start=0, end=7),)),
        call(
            "sendPhoto",
            chat_id="4711",
            caption="Merhaba",
            caption_entities=[{"type": "bold", "offset": 0, "length": 7}],
            photo="attach://upload-1",
            files={"upload-1": ("kanıt.jpg", b"jpeg")},
        ),
    ),
    file_sent("image/png", "sendPhoto", "photo"),
    file_sent("image/gif", "sendAnimation", "animation"),
    file_sent("image/svg+xml", "sendDocument", "document"),
    file_sent("audio/ogg; codecs=opus", "sendVoice", "voice"),
    file_sent("audio/mpeg", "sendAudio", "audio"),
    file_sent("video/mp4", "sendVideo", "video"),
    file_sent("video/quicktime", "sendDocument", "document"),
    file_sent("application/pdf", "sendDocument", "document", "fatura.pdf"),
    leaves(
        "a message still in the making has no number yet",
        HELLO,
        call("sendMessage", chat_id="4711", text="Merhaba"),
        f"scheduled:{HELLO.id}",
        Answer(body={"ok": True, "result": OURS | {"message_id": 0}}),
    ),
    told_nothing(
        "a file larger than Telegram takes",
        replace(HELLO, attachment=replace(JPEG, data=bytes((50 << 20) + 1))),
        Refused("Telegram takes files of up to 50 MB."),
    ),
    told_nothing("an empty file", replace(HELLO, attachment=replace(JPEG, data=b"")), Refused("The file is empty.")),
    told_nothing(
        "a button that carries too much",
        replace(HELLO, choices=(Choice(label="Evet", payload="ş" * 33),)),
        Refused("A button carries up to 64 bytes."),
    ),
    told_nothing(
        "an address of another kind", replace(HELLO, to=Address(kind="email", value="a@b.example")), Refused()
    ),
    told_nothing("text that is not text", replace(HELLO, text="a\ud83d"), Refused()),
    refused(
        "too fast",
        no(429, "Too Many Requests: retry after 7", retry_after=7),
        Retry(after=timedelta(seconds=7), provider_code="429"),
    ),
    refused("blocked", no(403, "Forbidden: bot was blocked by the user"), Unreachable(provider_code="403")),
    refused("account gone", no(403, "Forbidden: user is deactivated"), Unreachable()),
    refused("never wrote", no(400, "Bad Request: chat not found"), Unreachable("Bad Request: chat not found")),
    refused("gone, in capitals", no(400, "Bad Request: INPUT_USER_DEACTIVATED"), Unreachable()),
    refused(
        "became a supergroup",
        no(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1001234567890),
        Moved("-1001234567890"),
    ),
    refused("business chat closed", no(400, "Bad Request: BUSINESS_PEER_USAGE_MISSING"), WindowClosed()),
    refused("too long", no(400, "Bad Request: message is too long"), Refused("Bad Request: message is too long")),
    refused("token revoked", no(401, "Unauthorized"), Misconfigured(provider_code="401")),
    refused("token never was", no(404, "Not Found"), Misconfigured(provider_code="404")),
    refused("upload too large", no(413, "Request Entity Too Large"), Refused(provider_code="413")),
    refused("Telegram stumbles", no(500, "Internal Server Error"), Retry(provider_code="500")),
    refused("Telegram restarts", Answer(status=500, body={"ok": False}), Retry(provider_code="500")),
    refused("something before Telegram is lost", no(502, "Bad Gateway"), InDoubt(provider_code="502")),
    refused(
        "refusal behind a 200", replace(no(403, "Forbidden: bot was blocked by the user"), status=200), Unreachable()
    ),
    refused(
        "words that carry the token",
        no(400, f"Bad Request: see https://api.telegram.org/bot{TOKEN}/x or {TOKEN}"),
        Refused("Bad Request: see … or …"),
    ),
    refused("a redirect is not followed", REDIRECT, InDoubt(provider_code="307")),
    Leaves(
        name="two customers told to wait means the whole bot is",
        do=lambda channel: one_after_the_other(channel, "4711", "4712"),
        answers=(no(429, "Too Many Requests", retry_after=3),) * 2,
        calls=None,
        outcome=[False, True],
    ),
    Leaves(
        name="one customer told to wait twice is one customer",
        do=lambda channel: one_after_the_other(channel, "4711", "4711"),
        answers=(no(429, "Too Many Requests", retry_after=3),) * 2,
        calls=None,
        outcome=[False, False],
    ),
    # changing what was sent
    Leaves(
        name="edit",
        do=lambda channel: channel.edit("4711:51", replace(HELLO, text="Düzeltme")),
        answers=(OK,),
        calls=(call("editMessageText", chat_id="4711", message_id="51", text="Düzeltme"),),
        outcome=None,
    ),
    Leaves(
        name="edit of the words under a picture in a business chat",
        do=lambda channel: channel.edit("bc_Q7:4711:51", replace(HELLO, attachment=JPEG)),
        answers=(OK,),
        calls=(
            call(
                "editMessageCaption", business_connection_id="bc_Q7", chat_id="4711", message_id="51", caption="Merhaba"
            ),
        ),
        outcome=None,
    ),
    Leaves(
        name="edit that changes nothing is done",
        do=lambda channel: channel.edit("4711:51", HELLO),
        answers=(no(400, "Bad Request: message is not modified: specified new message content is the same"),),
        calls=None,
        outcome=None,
    ),
    Leaves(
        name="edit of what has no number",
        do=lambda channel: channel.edit(f"scheduled:{HELLO.id}", HELLO),
        answers=(),
        calls=(),
        outcome=Refused(),
    ),
    Leaves(
        name="edit in doubt may be made again",
        do=lambda channel: channel.edit("4711:51", HELLO),
        answers=(Answer(dropped=True),),
        calls=None,
        outcome=Retry(),
    ),
    Leaves(
        name="withdraw",
        do=lambda channel: channel.withdraw("4711:51", HELLO),
        answers=(DONE,),
        calls=(call("deleteMessage", chat_id="4711", message_id="51"),),
        outcome=None,
    ),
    Leaves(
        name="withdraw in a business chat",
        do=lambda channel: channel.withdraw("bc_Q7:4711:51", HELLO),
        answers=(DONE,),
        calls=(call("deleteBusinessMessages", business_connection_id="bc_Q7", message_ids=[51]),),
        outcome=None,
    ),
    Leaves(
        name="withdraw of what is gone is done",
        do=lambda channel: channel.withdraw("4711:51", HELLO),
        answers=(no(400, "Bad Request: message to delete not found"),),
        calls=None,
        outcome=None,
    ),
    Leaves(
        name="withdraw too late",
        do=lambda channel: channel.withdraw("4711:51", HELLO),
        answers=(no(400, "Bad Request: message can't be deleted"),),
        calls=None,
        outcome=Refused("Bad Request: message can't be deleted"),
    ),
    Leaves(
        name="typing",
        do=lambda channel: channel.typing(replace(HELLO, context={"message_thread_id": 12})),
        answers=(DONE,),
        calls=(call("sendChatAction", chat_id="4711", action="typing", message_thread_id="12"),),
        outcome=None,
    ),
    Leaves(
        name="a pressed button stops waiting",
        do=lambda channel: channel.acknowledge(said(external_id="callback:4382", payload="yes")),
        answers=(DONE,),
        calls=(call("answerCallbackQuery", callback_query_id="4382"),),
        outcome=None,
    ),
    Leaves(
        name="a button pressed long ago waits no more",
        do=lambda channel: channel.acknowledge(said(external_id="callback:4382", payload="yes")),
        answers=(no(400, "Bad Request: query is too old and response timeout expired or query ID is invalid"),),
        calls=None,
        outcome=None,
    ),
    # files
    fetched("file", (PATH, BYTES), (ASK, GET), b"bytes"),
    fetched("file whose path has expired", (PATH, Answer(status=404), PATH, BYTES), (ASK, GET, ASK, GET), b"bytes"),
    fetched("file that is gone", (PATH, Answer(status=404)) * 2, (ASK, GET, ASK, GET), Refused(provider_code="404")),
    fetched("file not now", (PATH, Answer(status=502)), (ASK, GET), Retry(provider_code="502")),
    fetched("file never, by its id", (no(400, "Bad Request: file is too big"),), (ASK,), Refused()),
    fetched(
        "file not now, by its id",
        (no(400, "Bad Request: wrong file_id or the file is temporarily unavailable"),),
        (ASK,),
        Retry(),
    ),
    fetched("file whose line breaks", (PATH, Answer(body=b"byt", cut=True)), (ASK, GET), Retry()),
    fetched("file on another host", (PATH, REDIRECT), (ASK, GET), Refused()),
    fetched("file announced as too large", (), (), Refused(), replace(FILE, size=MAX_DOWNLOAD + 1)),
    fetched(
        "file that is larger than announced",
        (PATH, replace(BYTES, body=bytes(MAX_DOWNLOAD + 1))),
        (ASK, GET),
        Refused("The file is larger than Telegram said."),
    ),
    fetched(
        "file outside the bot's folder",
        (Answer(body={"ok": True, "result": {"file_id": "f", "file_unique_id": "u", "file_path": "../x"}}),),
        (ASK,),
        Refused(),
    ),
    # polling
    Leaves(
        name="poll from the beginning",
        do=lambda channel: pulled(channel, ""),
        answers=(Answer(body={"ok": True, "result": [WRITTEN, STRANGE]}),),
        calls=(call("getUpdates", **POLL),),
        outcome=("11", ["a\ufffd", "Unreadable"]),
    ),
    Leaves(
        name="poll from where we were, and nothing came",
        do=lambda channel: pulled(channel, "11"),
        answers=(Answer(body={"ok": True, "result": []}),),
        calls=(call("getUpdates", offset="12", **POLL),),
        outcome=("11", []),
    ),
    Leaves(
        name="an update without a number does not stop the others",
        do=lambda channel: pulled(channel, "7"),
        answers=(Answer(body={"ok": True, "result": ["?", WRITTEN, {"message": {}}]}),),
        calls=None,
        outcome=("9", ["Unreadable", "a\ufffd", "Unreadable"]),
    ),
    Leaves(
        name="poll against a webhook",
        do=lambda channel: pulled(channel, ""),
        answers=(no(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook first"),),
        calls=None,
        outcome=Misconfigured(
            'A webhook is set for this bot, so it cannot be polled. Use receive = "webhook", or remove the webhook.'
        ),
    ),
    Leaves(
        name="two pollers",
        do=lambda channel: pulled(channel, ""),
        answers=(no(409, "Conflict: terminated by other getUpdates request; make sure that only one bot is running"),),
        calls=None,
        outcome=Misconfigured(
            "Another program asks for this bot's messages with the same token. Stop it, or give each its own bot."
        ),
    ),
    Leaves(
        name="poll whose line breaks may be made again",
        do=lambda channel: pulled(channel, ""),
        answers=(Answer(dropped=True),),
        calls=None,
        outcome=Retry(),
    ),
    # set-up
    Leaves(
        name="register",
        do=lambda channel: channel.register("https://support.example.com/webhooks/bot"),
        answers=(DONE,),
        calls=(
            call(
                "setWebhook",
                url="https://support.example.com/webhooks/bot",
                max_connections="100",
                allowed_updates=list(UPDATES),
                secret_token=SECRET,
            ),
        ),
        outcome=None,
    ),
    Leaves(
        name="register what Telegram refuses",
        do=lambda channel: channel.register("https://localhost/webhooks/bot"),
        answers=(no(400, "Bad Request: bad webhook: IP address 127.0.0.1 is reserved"),),
        calls=None,
        outcome=Refused("Bad Request: bad webhook: IP address 127.0.0.1 is reserved"),
    ),
)


async def one_after_the_other(channel: Telegram, *values: str) -> list[bool]:
    told = []
    for value in values:
        with pytest.raises(Retry) as error:
            await channel.send(replace(HELLO, to=Address(kind="telegram", value=value)))
        told.append(error.value.whole_channel)
    return told


@pytest.mark.parametrize("row", LEAVES, ids=lambda row: row.name)
async def test_leaves(row: Leaves) -> None:
    await harness.check_leaves(SUBJECT, row)


def test_a_picture_above_10_mb_goes_as_a_document() -> None:
    from channels.telegram.api import sender

    assert sender(replace(JPEG, data=bytes(10 << 20)))[1] == "photo"
    assert sender(replace(JPEG, data=bytes((10 << 20) + 1)))[1] == "document"


@given(status=st.integers(200, 599), body=st.binary(max_size=60) | st.just(b'{"parameters":{"retry_after":1e300}}'))
def test_any_answer_is_an_error_with_a_name(status: int, body: bytes) -> None:
    from channels.telegram.api import outcome

    assert isinstance(outcome(status, body), SendFailed)
    assert not isinstance(outcome(status, body, repeatable=True), InDoubt)


async def test_a_token_that_is_none_is_said_so() -> None:
    made = Telegram("bot", TelegramConfig(token="my token"))
    with pytest.raises(Misconfigured):
        await made.send(HELLO)


# --- what `santral check` says

URL = "https://support.example.com/webhooks/bot"
INFO: Mapping[str, Any] = {"url": URL, "has_custom_certificate": False, "pending_update_count": 0}
BOT = {"id": 900100200, "is_bot": True, "first_name": "Kumbara", "username": "kumbara_bot"}
ME = Answer(body={"ok": True, "result": BOT})
HERE = "The webhook points here."
ELSEWHERE = {"url": "https://old.example.com/x"}
FAILED = {"last_error_date": 1767225600, "last_error_message": "Connection timed out"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How Telegram describes the webhook, how we are set up, and what we say; a "!" marks what is wrong."""

    name: str
    info: Mapping[str, Any] = field(default_factory=dict)
    url: str = URL
    settings: Mapping[str, str] = field(default_factory=dict)
    says: tuple[str, ...]


CHECKS = (
    Checked(name="all well", says=(HERE,)),
    Checked(name="points elsewhere", info=ELSEWHERE, says=("! Telegram delivers to old.example.com instead of here.",)),
    Checked(
        name="no webhook",
        info={"url": ""},
        says=("Telegram has no webhook for this bot yet: `santral serve` sets it.",),
    ),
    Checked(name="no public_url", url="", says=("! Telegram has no public address to deliver to.",)),
    Checked(
        name="no secret",
        settings={"secret": ""},
        says=("! Without a secret no delivery can be trusted, so none is.",),
    ),
    Checked(
        name="not asked for edits",
        info={"allowed_updates": [kind for kind in UPDATES if kind != "edited_message"]},
        says=(HERE, "! Telegram is not asked for: edited_message."),
    ),
    Checked(
        name="deliveries fail",
        info={"pending_update_count": 3, **FAILED},
        says=(HERE, "! A delivery failed at 2026-01-01 00:00 UTC: Connection timed out. 3 updates wait."),
    ),
    Checked(
        name="deliveries failed once",
        info=FAILED,
        says=(HERE, "A delivery failed at 2026-01-01 00:00 UTC: Connection timed out. 0 updates wait."),
    ),
    Checked(name="updates wait", info={"pending_update_count": 3}, says=(HERE, "3 updates are on their way.")),
    Checked(name="polled", settings={"receive": "poll"}, info={"url": ""}, url="", says=("The bot can be polled.",)),
    Checked(
        name="polled with a webhook set",
        settings={"receive": "poll"},
        info=ELSEWHERE,
        url="",
        says=("! The bot cannot be polled: Telegram delivers its messages to old.example.com.",),
    ),
)


@pytest.mark.parametrize("row", CHECKS, ids=lambda row: row.name)
async def test_check(row: Checked) -> None:
    info = Answer(body={"ok": True, "result": {**INFO, **row.info}})
    async with harness.provider(SUBJECT, ME, info) as canned:
        made = channel(canned.url, **row.settings)
        found = await made.check(row.url)
        await made.close()
    said_so = tuple(("" if it.ok else "! ") + it.what for it in found)
    assert said_so == ("The bot @kumbara_bot answers.", *row.says)
    assert all(it.ok or it.fix for it in found), "what is wrong comes with what to do"


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (no(401, "Unauthorized"), "Telegram does not accept the bot token. Ask @BotFather for the current one."),
        (Answer(dropped=True), "The line to Telegram broke."),
    ],
)
async def test_check_of_what_does_not_answer(answer: Answer, what: str) -> None:
    async with harness.provider(SUBJECT, answer) as canned:
        made = channel(canned.url)
        (finding,) = await made.check(URL)
        await made.close()
    assert (finding.ok, finding.what) == (False, what)
    assert finding.fix


async def test_registering_a_polled_bot_changes_nothing() -> None:
    async with harness.provider(SUBJECT) as canned:
        await channel(canned.url, receive="poll").register(URL)
        assert canned.calls == []
