"""Messenger: what its events become, and what leaves for it."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from channels.channel import Pulled, Request
from channels.errors import InDoubt, Misconfigured, Refused, Retry, SendFailed, Unreachable, Unverified, WindowClosed
from channels.message import (
    Address,
    Attachment,
    Author,
    Choice,
    Edited,
    Outgoing,
    Profile,
    Proof,
    Reacted,
    ReadUpTo,
    Receipt,
    Received,
    SentElsewhere,
    Status,
    Unreadable,
    Withdrawn,
)
from channels.meta import past as meta_past
from channels.meta.calls import AGENT_WINDOW, HUMAN, REPLY_WINDOW, RESPONSE, occasion, plain_filename
from channels.meta.graph import proof
from channels.meta.messenger import FIELDS, SCOPES, Messenger, MessengerConfig
from channels.meta.parse import Account, read
from channels.registry import make
from tests.channels import harness
from tests.channels.harness import AT, Answer, Arrives, Call, Leaves, Subject

TOKEN = "EAAGkumbara0TestTokenOfThePage0123456789"
APP_SECRET = "kumbara-app-secret-7f3a"
VERIFY = "kumbara-verify-word"
PAGE = "108264108264108"
PERSON = "7205330000000001"
PROOF = proof(APP_SECRET, TOKEN)
URL = "https://support.example.com/webhooks/page"


def channel(url: str) -> Messenger:
    config = MessengerConfig(
        page_id=PAGE,
        access_token=TOKEN,
        app_secret=APP_SECRET,
        verify_token=VERIFY,
        api_url=url,
        send_seconds=1.0,
    )
    return Messenger("page", config, now=lambda: AT, pause=0)


def signed(body: bytes) -> Request:
    digest = hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    return Request(
        method="POST",
        url=URL,
        headers={"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"},
        body=body,
    )


AYSE = Address(kind="messenger", value=f"{PAGE}:{PERSON}")
HELLO = Outgoing(id=UUID(int=7), to=AYSE, text="Merhaba")

SUBJECT = Subject(
    kind="messenger",
    make=channel,
    secrets=(TOKEN, APP_SECRET, VERIFY, PROOF),
    signed=signed,
    signature="x-hub-signature-256",
    covers_body=True,
    payloads=Path(__file__).parent / "messenger",
    send=lambda channel: channel.send(HELLO),
)

# --- what arrives

SENT_AT = datetime(2026, 1, 1, 0, 0, 0, 123000, tzinfo=UTC)
CDN = "https://scontent.example.com/v/t1.15752-9"
FILES = "https://cdn.example.com/v"


def said(**parts: Any) -> Received:
    """A message of Ayşe's, except for `parts`."""
    whole: dict[str, Any] = {
        "channel": "page",
        "external_id": "m_1",
        "sender": AYSE,
        "sent_at": SENT_AT,
        "proof": Proof.PLATFORM,
        "retractable": True,
    }
    return Received(**whole | parts)


def sent(media_type: str, filename: str, url: str, n: int = 0, mid: str = "m_1") -> Attachment:
    ref = json.dumps({"url": url, "mid": mid, "n": n}, separators=(",", ":"))
    return Attachment(media_type=media_type, filename=filename, ref=ref, unique_ref=f"{mid}:{n}")


def edited(text: str, number: int) -> Edited:
    return Edited(message=said(text=text), edited_at=SENT_AT + timedelta(microseconds=number))


def elsewhere(**parts: Any) -> SentElsewhere:
    whole: dict[str, Any] = {"channel": "page", "external_id": "m_9", "to": AYSE, "at": SENT_AT}
    return SentElsewhere(**whole | parts)


def reacted(emoji: str) -> Reacted:
    return Reacted(channel="page", external_id="m_9", sender=AYSE, emoji=emoji, at=SENT_AT)


def told(status: Status, external_id: str, **parts: Any) -> Receipt:
    return Receipt(channel="page", status=status, at=SENT_AT, external_id=external_id, **parts)


def unreadable(reason: str) -> Unreadable:
    return Unreadable(channel="page", reason=reason, raw=b"")


ARRIVES = (
    Arrives("text", (said(text="Merhaba, kargom nerede?"),)),
    Arrives("text_with_nul", (said(text="a\ufffdb"),)),
    Arrives("text_with_lone_surrogate", (said(text="a\ufffdb"),)),
    Arrives("quick_reply", (said(text="Evet", payload="confirm:yes"),)),
    Arrives("reply_to_message", (said(text="bu", reply_to="m_0"),)),
    Arrives(
        "images_with_text",
        (
            said(
                text="böyle geldi",
                attachments=(
                    sent("image/jpeg", "image.jpg", f"{CDN}/1.jpg?oh=a"),
                    sent("image/png", "image.png", f"{CDN}/2.png?oh=b", 1),
                ),
            ),
        ),
    ),
    Arrives("video", (said(attachments=(sent("video/quicktime", "video.mov", f"{CDN}/film.mov?oh=a"),)),)),
    Arrives("audio", (said(attachments=(sent("audio/mp4", "audio.m4a", f"{FILES}/audioclip-17.mp4?oh=a"),)),)),
    Arrives(
        "file",
        (said(attachments=(sent("application/pdf", "fatura şubat.pdf", f"{FILES}/fatura%20%C5%9Fubat.pdf?dl=1"),)),),
    ),
    Arrives(
        "file_with_hostile_name",
        (
            said(
                attachments=(
                    sent(
                        "application/octet-stream",
                        ".._.._etc_passwd .exe",
                        f"{FILES}/..%2F..%2Fetc%2Fpasswd%0A.exe?dl=1",
                    ),
                )
            ),
        ),
    ),
    Arrives("thumbs_up", (said(text="👍"),)),
    Arrives("sticker", (said(attachments=(sent("image/png", "image.png", f"{CDN}/cat.png"),)),)),
    Arrives(
        "location",
        (said(text="Ayşe's Location\nhttps://www.openstreetmap.org/?mlat=41.008238&mlon=28.978359"),),
    ),
    Arrives("location_off_the_map", (said(stub="location"),)),
    Arrives("link_with_title", (said(text="https://shop.example/elbise\nKırmızı elbise"),)),
    Arrives("fallback_of_a_file_name", (said(text="My Documents/foo.doc"),)),
    Arrives("reel", (said(text="Yeni sezon\nhttps://www.facebook.com/reel/77"),)),
    Arrives("template", (said(stub="template"),)),
    Arrives("attachment_newer_than_this_adapter", (said(stub="hologram"),)),
    Arrives("attachment_without_payload", (said(stub="image"),)),
    Arrives("unsupported", (said(stub="unsupported"),)),
    Arrives("nothing_said", (said(stub="empty"),)),
    Arrives("deleted", (Withdrawn(channel="page", external_id="m_1", sender=AYSE, at=SENT_AT, erase=True),)),
    Arrives("edited", (edited("Merhaba, kargom nerede kaldı?", 1),)),
    Arrives("edited_three_times_in_one_moment", (edited("iki", 2), edited("üç", 3), edited("bir", 1))),
    Arrives("edited_without_words", (unreadable("an edit without its words"),)),
    Arrives("button_press", (said(text="Siparişim nerede?", payload="order:where"),)),
    Arrives(
        "button_press_without_id",
        (
            said(
                external_id=f"postback:{PERSON}:1767225600123",
                text="GET_STARTED",
                payload="GET_STARTED",
                quoted="https://shop.example/iletisim",
            ),
        ),
    ),
    Arrives("button_press_that_says_nothing", (said(stub="postback"),)),
    Arrives(
        "link_followed",
        (said(external_id=f"referral:{PERSON}:1767225600123", payload="k7Jd", stub="referral", quiet=True),),
    ),
    Arrives("message_from_an_ad", (said(text="Bu hâlâ var mı?", payload="yaz", quoted="Yaz indirimi"),)),
    Arrives("message_from_an_ad_without_title", (said(text="Fiyat?", quoted="ad 6045246247433"),)),
    Arrives(
        "opted_in",
        (said(external_id=f"optin:{PERSON}:1767225600123", payload="checkout-4711", stub="optin", quiet=True),),
    ),
    Arrives("opted_in_by_nobody_known", ()),
    Arrives("reaction", (reacted("❤️"),)),
    Arrives("reaction_by_name_only", (reacted("😠"),)),
    Arrives("reaction_taken_away", (reacted(""),)),
    Arrives("delivered", (told(Status.DELIVERED, "m_8"), told(Status.DELIVERED, "m_9"))),
    Arrives("delivered_with_odd_ids", (told(Status.DELIVERED, "m_8"), told(Status.DELIVERED, "m_9"))),
    Arrives("delivered_until", ()),
    Arrives("read", (ReadUpTo(channel="page", reader=AYSE, at=SENT_AT - timedelta(milliseconds=23)),)),
    Arrives("read_by_the_shop", ()),
    Arrives("echo_of_ours", (told(Status.SENT, "m_9", delivery=UUID(int=7)),)),
    Arrives("echo_of_the_page_inbox", (elsewhere(text="Kargoda", app="Page inbox"),)),
    Arrives(
        "echo_of_another_program",
        (elsewhere(reply_to="m_1", attachments=(sent("image/jpeg", "image.jpg", f"{CDN}/1.jpg", mid="m_9"),)),),
    ),
    # every program writes what it likes beside its messages, a UUID too
    Arrives("echo_of_another_program_with_a_uuid", (elsewhere(text="Merhaba"),)),
    Arrives("echo_of_a_template", (elsewhere(text="Teşekkürler", stub="template"),)),
    Arrives("echo_taken_back", ()),
    Arrives("standby", (said(text="Alo?", quiet=True),)),
    Arrives("other_program_takes_over", ()),
    Arrives(
        "event_newer_than_this_adapter",
        (said(external_id=f"whisper:{PERSON}:1767225600123", stub="whisper", quiet=True),),
    ),
    Arrives("text_beside_a_part_newer_than_this_adapter", (said(text="Merhaba, kargom nerede?"),)),
    Arrives("message_without_id", (unreadable("a message without its id"),)),
    Arrives("event_of_nobody", (unreadable("an event of nobody"),)),
    Arrives("to_oneself", ()),
    Arrives("timestamp_in_seconds", (said(text="x", sent_at=SENT_AT.replace(microsecond=0)),)),
    Arrives("timestamp_ahead", (said(text="x", sent_at=AT + timedelta(minutes=5)),)),
    Arrives("ids_as_numbers", (said(text="sayı"),)),
    Arrives(
        "many_accounts_and_a_poisoned_event",
        (
            said(text="bir"),
            unreadable("an event that is none"),
            said(external_id="m_2", text="iki"),
            unreadable("an entry that is none"),
            said(external_id="m_3", text="üç"),
        ),
    ),
    Arrives("test_button", ()),
    Arrives("of_another_product", ()),
)
BY_FILE = {row.file: row for row in ARRIVES}


@pytest.mark.parametrize("row", ARRIVES, ids=lambda row: row.file)
def test_arrives(row: Arrives) -> None:
    harness.check_arrives(SUBJECT, row)


def test_every_payload_is_in_the_table() -> None:
    assert {row.file for row in ARRIVES} == set(SUBJECT.files())


def test_signature_of_the_known_vector() -> None:
    body = rb'{"text":"\u00e4\u00f6\u00e5","u":"https:\/\/x"}'
    digest = "8c356952e42bf195f841383d3dcaac686d8b80cd6f681ecd0f03048857e99fef"
    settings = {"page_id": PAGE, "access_token": "token123", "app_secret": "app-secret", "verify_token": VERIFY}
    made = make("messenger", "page", settings)
    assert isinstance(made, Messenger)
    request = Request(method="POST", url="", headers={"x-hub-signature-256": f"sha256={digest}"}, body=body)
    made.verify(request)
    with pytest.raises(Unverified):
        made.verify(replace(request, body=json.dumps(json.loads(body)).encode()))
    assert proof("app-secret", "token123") == "ef3d95c21167e6899e1fda0a9f0750a79f9d62b3476b644437874685942870e3"


def shaking(**query: str) -> Request:
    told = {f"hub.{key}": value for key, value in query.items()}
    return Request(method="GET", url=URL, headers={}, query=told)


def test_handshake() -> None:
    made = channel("http://127.0.0.1:9")
    assert made.answer(shaking(mode="subscribe", verify_token=VERIFY, challenge="1158201444")) == "1158201444"
    for wrong in ({"verify_token": "x"}, {"verify_token": VERIFY, "mode": "unsubscribe"}, {}):
        with pytest.raises(Unverified):
            made.answer(shaking(**{"mode": "subscribe", "challenge": "1"} | wrong))


# --- what leaves

MARKED = f"santral:{HELLO.id}"
OK = Answer(body={"recipient_id": PERSON, "message_id": "m_9"})
DONE = Answer(body={"success": True})
DAY = timedelta(days=1)


def fault(code: int, subcode: int = 0, status: int = 400, message: str = "(#1) No") -> Answer:
    error: dict[str, Any] = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A"}
    return Answer(status=status, body={"error": error | ({"error_subcode": subcode} if subcode else {})})


def call(path: str, query: str = "", **parts: Any) -> Call:
    return Call(path=f"/v25.0/{path}?{query}appsecret_proof={{secret}}", **parts)


def posted(**parts: Any) -> Call:
    fields: dict[str, Any] = {
        "recipient": {"id": PERSON},
        "messaging_type": "RESPONSE",
        "message": {"text": "Merhaba", "metadata": MARKED},
    }
    files = parts.pop("files", {})
    return call(f"{PAGE}/messages", fields=fields | parts, files=files)


def leaves(name: str, message: Outgoing, expected: Call | None, outcome: Any = "m_9", answer: Answer = OK) -> Leaves:
    calls, answers = ((expected,), (answer,)) if expected else ((), ())
    return Leaves(name=name, do=lambda channel: channel.send(message), answers=answers, calls=calls, outcome=outcome)


def refused(name: str, answer: Answer, outcome: SendFailed) -> Leaves:
    return leaves(name, HELLO, posted(), outcome, answer)


def waited(long: timedelta, author: Author) -> Outgoing:
    return replace(HELLO, author=author, answers_at=AT - long, at=AT)


def file_sent(media_type: str, kind: str, filename: str, arrives_as: str) -> Leaves:
    file = Attachment(media_type=media_type, filename=filename, data=b"bytes")
    content = {"metadata": MARKED, "attachment": {"type": kind, "payload": {"is_reusable": False}}}
    return leaves(
        f"{media_type} goes as {kind}",
        replace(HELLO, text="", attachment=file),
        posted(message=content, files={"upload-1": (arrives_as, b"bytes")}),
    )


CHOICES = (Choice(label="Evet", payload="yes"), Choice(label="Hayır", payload="no"))
QUICK = [{"content_type": "text", "title": it.label, "payload": it.payload} for it in CHOICES]
TAGGED = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}


async def drained(channel: Messenger, attachment: Attachment) -> bytes:
    return b"".join([chunk async for chunk in channel.fetch(attachment)])


async def fetched_at_home(channel: Messenger, **parts: Any) -> bytes:
    """A file whose first link leads to the provider of the test."""
    ref = {"url": f"{channel.config.api_url}/old.jpg", "mid": "m_1", "n": 1} | parts
    return await drained(channel, Attachment(media_type="image/jpeg", ref=json.dumps(ref)))


BYTES = Answer(body=b"bytes", content_type="image/jpeg")
OLD = Call(method="GET", path="/old.jpg")
FRESH = call(
    "m_1",
    "fields=attachments%7Bmime_type,name,size,image_data,video_data,file_url%7D&",
    method="GET",
)
GONE = {"attachments": {"data": [{"image_data": {"url": "https://cdn.example.com/other"}}]}}
APP = Answer(body={"data": {"app_id": "4", "is_valid": True, "expires_at": 0, "scopes": sorted(SCOPES)}})
ASK_APP = call("debug_token", "input_token={secret}&", method="GET")
ASK_HOOK = Call(method="GET", path="/v25.0/4/subscriptions")
ASK_FIELDS = call(f"{PAGE}/subscribed_apps", method="GET")
HOOK = {"object": "page", "callback_url": URL, "active": True, "fields": [{"name": it} for it in FIELDS]}
HOOKED = Answer(body={"data": [{"object": "user", "callback_url": URL}, HOOK]})
ELSEWHERE = Answer(body={"data": [HOOK | {"callback_url": "https://old.example.com/x", "fields": []}]})
SUBSCRIBED = Answer(
    body={"data": [{"id": "77", "subscribed_fields": ["feed"]}, {"id": "4", "subscribed_fields": sorted(FIELDS)}]}
)
SOME = Answer(body={"data": [{"id": "4", "subscribed_fields": [{"name": "feed"}, "messages", 7]}]})
ASK_FOR_ALL = call(f"{PAGE}/subscribed_apps", f"subscribed_fields={','.join(sorted(FIELDS | {'feed'}))}&")


def asked(*fields: str) -> Call:
    """The app told where to deliver, in its own name."""
    told = {"object": "page", "callback_url": URL, "verify_token": VERIFY, "fields": ",".join(sorted(fields))}
    return Call(path="/v25.0/4/subscriptions", fields=told)


def registered(name: str, answers: tuple[Answer, ...], *calls: Call) -> Leaves:
    return Leaves(
        name=f"register: {name}", do=lambda channel: channel.register(URL), answers=answers, calls=calls, outcome=None
    )


LEAVES = (
    leaves("text", HELLO, posted()),
    leaves("answer to a message", replace(HELLO, reply_to="m_1"), posted(reply_to={"mid": "m_1"})),
    leaves("answer to a press without an id", replace(HELLO, reply_to=f"postback:{PERSON}:17"), posted()),
    leaves(
        "choices",
        replace(HELLO, choices=CHOICES),
        posted(message={"text": "Merhaba", "quick_replies": QUICK, "metadata": MARKED}),
    ),
    leaves(
        "a button that carries too much",
        replace(HELLO, choices=(Choice(label="Evet", payload="x" * 1001),)),
        None,
        Refused("A button carries up to 1000 characters."),
    ),
    file_sent("image/jpeg", "image", "kanıt.jpg", "kanit.jpg"),
    file_sent("image/svg+xml", "file", "çizim.svg", "cizim.svg"),
    file_sent("video/mp4", "video", "film.mp4", "film.mp4"),
    file_sent("audio/mpeg", "audio", "ses.mp3", "ses.mp3"),
    file_sent("application/pdf", "file", "счёт.pdf", "file.pdf"),
    leaves(
        "an empty file",
        replace(HELLO, attachment=Attachment(media_type="image/jpeg", data=b"")),
        None,
        Refused("The file is empty."),
    ),
    leaves("another page's customer", replace(HELLO, to=replace(AYSE, value="999:1")), None, Refused()),
    leaves("an address of another kind", replace(HELLO, to=replace(AYSE, kind="instagram")), None, Refused()),
    leaves("an agent within a day", waited(DAY / 2, Author.AGENT), posted()),
    leaves("an agent after a day", waited(DAY, Author.AGENT), posted(**TAGGED)),
    leaves("an agent after a week", waited(7 * DAY, Author.AGENT), None, WindowClosed()),
    leaves("a program within a day", waited(DAY / 2, Author.BOT), posted()),
    leaves("a program after a day", waited(DAY, Author.BOT), None, WindowClosed()),
    leaves("nobody knows since when", replace(HELLO, at=AT), posted()),
    refused("token died", fault(190, 463), Misconfigured(provider_code="190/463")),
    refused("no permission", fault(200), Misconfigured(provider_code="200")),
    refused("not allowed", fault(10), Misconfigured(provider_code="10")),
    refused("another program has the talk", fault(10, 2018300), Refused(provider_code="10/2018300")),
    refused("Meta itself asks questions there", fault(10, 2018321), Retry(provider_code="10/2018321")),
    refused("a page that the token does not see", fault(100, 33), Misconfigured(provider_code="100/33")),
    refused("they cannot receive anything", fault(10, 2018108), Unreachable(provider_code="10/2018108")),
    refused("window closed", fault(10, 2018278), WindowClosed(provider_code="10/2018278")),
    refused("nobody there", fault(100, 2018001), Unreachable(provider_code="100/2018001")),
    refused("blocked", fault(551), Unreachable(provider_code="551")),
    refused("blocked, in other words", fault(200, 1545041), Unreachable(provider_code="200/1545041")),
    refused("a tag of old", fault(100, 1893061), Refused(provider_code="100/1893061")),
    refused("too fast", fault(613), Retry(provider_code="613", whole_channel=True)),
    refused("Meta stumbles", fault(2, status=500), Retry(provider_code="2")),
    refused("words that carry the token", fault(100, message=f"Bad {TOKEN} x"), Refused("Bad … x")),
    refused("an answer without an id", DONE, InDoubt()),
    Leaves(
        name="typing",
        do=lambda channel: channel.typing(HELLO),
        answers=(OK, OK),
        calls=tuple(
            call(f"{PAGE}/messages", fields={"recipient": {"id": PERSON}, "sender_action": action})
            for action in ("mark_seen", "typing_on")
        ),
        outcome=None,
    ),
    # files
    Leaves(name="file", do=fetched_at_home, answers=(BYTES,), calls=(OLD,), outcome=b"bytes"),
    Leaves(
        name="file whose link died and that is gone",
        do=fetched_at_home,
        answers=(Answer(status=403), Answer(body=GONE)),
        calls=(OLD, FRESH),
        outcome=Refused("Meta does not have the file any more."),
    ),
    Leaves(
        name="file whose link died with its message",
        do=fetched_at_home,
        answers=(Answer(status=404), fault(100, 33)),
        calls=(OLD, FRESH),
        outcome=Refused(provider_code="100/33"),
    ),
    Leaves(name="file not now", do=fetched_at_home, answers=(Answer(status=502),), calls=(OLD,), outcome=Retry()),
    Leaves(
        name="file that nobody can ask for again",
        do=lambda channel: fetched_at_home(channel, mid=""),
        answers=(Answer(status=403),),
        calls=(OLD,),
        outcome=Refused(provider_code="403"),
    ),
    Leaves(
        name="file in a private network",
        do=lambda channel: fetched_at_home(channel, url="https://10.0.0.1/x", mid=""),
        answers=(),
        calls=(),
        outcome=Refused(),
    ),
    Leaves(
        name="file without an address",
        do=lambda channel: drained(channel, Attachment(media_type="image/jpeg", ref="?")),
        answers=(),
        calls=(),
        outcome=Refused("The file has no address."),
    ),
    # people
    Leaves(
        name="profile",
        do=lambda channel: channel.profile(AYSE),
        answers=(Answer(body={"first_name": "Ayşe", "last_name": "Yılmaz", "id": PERSON}),),
        calls=(call(PERSON, "fields=first_name,last_name&", method="GET"),),
        outcome=Profile(name="Ayşe Yılmaz"),
    ),
    Leaves(
        name="profile that Meta keeps to itself",
        do=lambda channel: channel.profile(AYSE),
        answers=(fault(100, 2018218),),
        calls=None,
        outcome=Profile(),
    ),
    Leaves(
        name="profile with a dead token",
        do=lambda channel: channel.profile(AYSE),
        answers=(fault(190),),
        calls=None,
        outcome=Misconfigured(),
    ),
    Leaves(
        name="link",
        do=lambda channel: channel.link(),
        answers=(),
        calls=(),
        outcome=f"https://m.me/{PAGE}",
    ),
    # set-up
    registered(
        "where nothing is set",
        (APP, Answer(body={"data": []}), DONE, SOME, DONE, SUBSCRIBED),
        ASK_APP,
        ASK_HOOK,
        asked(*FIELDS),
        ASK_FIELDS,
        ASK_FOR_ALL,
        ASK_FIELDS,
    ),
    registered(
        "what is missing, keeping the rest",
        (APP, Answer(body={"data": [HOOK | {"fields": [{"name": "feed"}]}]}), DONE, SUBSCRIBED),
        ASK_APP,
        ASK_HOOK,
        asked(*FIELDS, "feed"),
        ASK_FIELDS,
    ),
    registered("again changes nothing", (APP, HOOKED, SUBSCRIBED), ASK_APP, ASK_HOOK, ASK_FIELDS),
    registered("what another program uses stays", (APP, ELSEWHERE, SUBSCRIBED), ASK_APP, ASK_HOOK, ASK_FIELDS),
)


@pytest.mark.parametrize("row", LEAVES, ids=lambda row: row.name)
async def test_leaves(row: Leaves) -> None:
    await harness.check_leaves(SUBJECT, row)


async def test_edge_14_a_dead_link_is_asked_for_anew() -> None:
    async with harness.provider(SUBJECT, Answer(status=403), Answer(), BYTES) as canned:
        fresh = {"image_data": {"url": f"{canned.url}/new.jpg"}}
        canned.answers[1] = Answer(body={"attachments": {"data": [{"file_url": "?"}, fresh]}})
        made = channel(canned.url)
        assert await fetched_at_home(made) == b"bytes"
        await made.close()
        assert canned.calls == [OLD, FRESH, Call(method="GET", path="/new.jpg")]


async def test_edge_15_no_token_goes_where_files_are() -> None:
    """Their links are for everybody, so not even Meta's own hosts are shown a token with them."""
    seen: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization", ""))
        return web.Response(body=b"bytes")

    app = web.Application()
    app.router.add_get("/old.jpg", serve)
    async with TestServer(app) as server:
        made = channel(str(server.make_url("")).rstrip("/"))
        assert await fetched_at_home(made) == b"bytes"
        await made.close()
    assert seen == [""]


def test_edge_16_our_own_echo_is_a_receipt_and_anybody_else_s_a_message() -> None:
    ours, inbox, other = (
        BY_FILE[file].events[0] for file in ("echo_of_ours", "echo_of_the_page_inbox", "echo_of_another_program")
    )
    assert isinstance(ours, Receipt)
    assert ours.delivery == HELLO.id
    assert isinstance(inbox, SentElsewhere)
    assert isinstance(other, SentElsewhere)


def test_edge_17_an_unsent_message_is_to_be_forgotten() -> None:
    (event,) = BY_FILE["deleted"].events
    assert isinstance(event, Withdrawn)
    assert event.erase
    assert all(event.retractable for row in ARRIVES for event in row.events if isinstance(event, Received))


def test_edge_18_the_last_of_several_edits_is_the_latest() -> None:
    edits = [event for event in BY_FILE["edited_three_times_in_one_moment"].events if isinstance(event, Edited)]
    assert max(edits, key=lambda edit: edit.edited_at).message.text == "üç"


def test_edge_20_a_poisoned_entry_harms_no_other() -> None:
    events = BY_FILE["many_accounts_and_a_poisoned_event"].events
    assert [event.text for event in events if isinstance(event, Received)] == ["bir", "iki", "üç"]
    assert SUBJECT.make("http://127.0.0.1:9").capabilities.max_request >= 8 << 20


@given(
    waited=st.timedeltas(timedelta(0), timedelta(days=30)) | st.none(),
    author=st.sampled_from(Author),
)
def test_edge_21_the_only_tag_there_is_goes_with_people_s_words_alone(waited: timedelta | None, author: Author) -> None:
    message = replace(HELLO, author=author, at=AT, answers_at=None if waited is None else AT - waited)
    try:
        found = occasion(message)
    except WindowClosed:
        assert waited is not None
        assert waited >= (AGENT_WINDOW if author is Author.AGENT else REPLY_WINDOW)
        return
    assert found in (RESPONSE, HUMAN)
    if found == HUMAN:
        assert author is Author.AGENT
        assert waited is not None
        assert REPLY_WINDOW <= waited < AGENT_WINDOW


def test_edge_21_retired_tags_are_nowhere() -> None:
    written = "".join(path.read_text() for path in Path("channels").rglob("*.py"))
    assert not [tag for tag in ("CONFIRMED_EVENT", "ACCOUNT_UPDATE", "POST_PURCHASE") if tag in written]


async def test_edge_23_a_dead_token_is_the_channel_s_trouble_and_said_so() -> None:
    async with harness.provider(SUBJECT, fault(190, 463), fault(190)) as canned:
        made = channel(canned.url)
        (finding,) = await made.check(URL)
        await made.close()
    assert not finding.ok
    assert finding.what == "Meta does not accept the access token: it has expired, or was withdrawn."
    assert "Make a token" in finding.fix


@given(told=st.text(max_size=120))
def test_a_file_name_is_plain(told: str) -> None:
    name = plain_filename(told)
    assert name
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set('/\\"\r\n')
    assert len(name) <= 100


# --- what was missed


def past(mid: str, at: str, by: str = PERSON, **parts: Any) -> dict[str, Any]:
    to = PERSON if by == PAGE else PAGE
    return {"id": mid, "created_time": at, "from": {"id": by, "name": "Ayşe"}, "to": {"data": [{"id": to}]}} | parts


def talk(updated: str, *messages: Any) -> dict[str, Any]:
    return {"id": "t_1", "updated_time": updated, "messages": {"data": list(messages)}}


def page_of(*talks: Any, after: str = "") -> Answer:
    paging = {"cursors": {"after": after}, "next": "https://graph.example.com/next"} if after else {}
    return Answer(body={"data": list(talks), "paging": paging})


SINCE = "2026-01-01T08:00:00+00:00"


async def pulled(after: str, *answers: Answer) -> tuple[Pulled, list[Call]]:
    async with harness.provider(SUBJECT, *answers) as canned:
        made = channel(canned.url)
        got = await made.missed(after)
        await made.close()
        assert not canned.answers
        return got, canned.calls


async def test_edge_23_what_was_missed_is_asked_for() -> None:
    """The talks that moved, newest first, until one that was seen before; what was said in them, oldest first."""
    first = page_of(
        talk(
            "2026-01-01T09:20:00+0000",
            past("m_4", "2026-01-01T09:20:00+0000", message="Alo?"),
            past("m_3", "2026-01-01T09:10:00+0000", by=PAGE, message="Kargoda"),
            past("m_1", "2025-12-31T09:10:00+0000", message="çok eski"),
        ),
        after="QVFI",
    )
    file = {"mime_type": "application/pdf", "name": "fatura.pdf", "size": 1200, "file_url": f"{FILES}/f?x=1"}
    second = page_of(
        talk("2026-01-01T08:30:00+0000", past("m_2", "2026-01-01T08:30:00+0000", attachments={"data": [file]})),
        talk("2026-01-01T07:00:00+0000", past("m_0", "2026-01-01T07:00:00+0000", message="gördük")),
        after="QVFJ",
    )
    got, calls = await pulled(SINCE, first, second)
    assert got.cursor == "2026-01-01T09:20:00+00:00"
    pdf = replace(sent("application/pdf", "fatura.pdf", f"{FILES}/f?x=1", mid="m_2"), size=1200)
    at = datetime(2026, 1, 1, 8, 30, tzinfo=UTC)
    said_so = [replace(it, raw=b"") for it in got.events if isinstance(it, Received | SentElsewhere)]
    assert said_so == [
        said(external_id="m_2", sender_name="Ayşe", sent_at=at, attachments=(pdf,), quiet=True),
        elsewhere(external_id="m_3", at=at + timedelta(minutes=40), text="Kargoda"),
        said(external_id="m_4", sender_name="Ayşe", sent_at=at + timedelta(minutes=50), text="Alo?", quiet=True),
    ]
    assert [call.path.partition("?")[0] for call in calls] == [f"/v25.0/{PAGE}/conversations"] * 2
    assert "platform=messenger" in calls[0].path
    assert "after=" not in calls[0].path
    assert "after=QVFI" in calls[1].path


async def test_the_first_time_nothing_older_than_a_day_is_asked_for() -> None:
    old, young = "2025-12-31T09:00:00+0000", "2025-12-31T10:00:00+0000"
    got, _ = await pulled("", page_of(talk(young, past("m_2", young, message="dün")), talk(old, past("m_1", old))))
    assert [event.external_id for event in got.events if isinstance(event, Received)] == ["m_2"]
    again, _ = await pulled(got.cursor, page_of())
    assert again == Pulled(cursor=got.cursor)


@pytest.mark.parametrize("told", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2099-01-01T00:00:00+0000"])
async def test_one_impossible_time_costs_no_neighbour_and_no_later_message(told: str) -> None:
    at = "2026-01-01T09:00:00+0000"
    talks = (talk(told, past("m_1", at, message="bir")), talk(at, past("m_2", told, message="iki")))
    got, _ = await pulled(SINCE, page_of(*talks))
    moments = {event.external_id: event.sent_at for event in got.events if isinstance(event, Received)}
    assert moments["m_1"] == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert all(at <= AT + timedelta(minutes=5) for at in moments.values())
    assert datetime.fromisoformat(got.cursor) <= AT


async def test_one_reader_that_is_none_hides_no_message() -> None:
    at = "2026-01-01T09:00:00+0000"
    got, _ = await pulled(SINCE, page_of(talk(at, past("m_1", at, message="bir", to={"data": [7, {"id": PAGE}]}))))
    assert [event.text for event in got.events if isinstance(event, Received)] == ["bir"]


@pytest.mark.parametrize(("percent", "asked"), [(94, 2), (95, 1)])
async def test_what_is_left_of_meta_s_limits_is_left_to_answers(percent: int, asked: int) -> None:
    at = "2026-01-01T09:00:00+0000"
    pages = [page_of(talk(at, past("m_1", at, message="bir")), after="QVFI"), page_of()]
    seen: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request.path)
        used = json.dumps({"call_count": percent, "total_time": 3, "total_cputime": 3})
        return web.json_response(pages[len(seen) - 1].body, headers={"X-App-Usage": used})

    app = web.Application()
    app.router.add_get("/{path:.+}", serve)
    async with TestServer(app) as server:
        made = channel(str(server.make_url("")).rstrip("/"))
        try:
            got = await made.missed(SINCE)
        except Retry as error:
            assert error.after == meta_past.REST
        else:
            assert len(got.events) == 1
        await made.close()
    assert len(seen) == asked


async def test_more_talks_than_are_asked_for_leave_a_trace() -> None:
    at = "2026-01-01T09:00:00+0000"
    pages = [page_of(talk(at), after=f"QVF{number}") for number in range(meta_past.PAGES)]
    with capture_logs() as logs:
        await pulled(SINCE, *pages)
    assert [(log["event"], log["conversations"]) for log in logs] == [("missed.too_many", 1000)]


async def test_what_is_not_surely_the_customer_s_is_not_read_as_theirs() -> None:
    at = "2026-01-01T09:00:00+0000"
    rows = (
        past("m_1", at, message="kime?", to={"data": []}),
        past("m_2", at, by=PAGE, message="kime?", to={"data": []}),
        past("m_3", at, message="iki yabancı", to={"data": [{"id": "5"}]}),
        {"id": "m_4", "created_time": at, "message": "kimden?", "to": {"data": [{"id": PAGE}]}},
        {"message": "kim?"},
    )
    got, _ = await pulled(SINCE, page_of(talk(at, *rows)))
    assert got.events == ()


async def test_missed_stickers_pictures_and_what_says_nothing() -> None:
    at = "2026-01-01T09:00:00+0000"
    rows = (
        past("m_1", at, sticker=f"{CDN}/cat.png"),
        past("m_2", at, attachments={"data": [{"image_data": {"url": f"{CDN}/1.jpg"}}, {"id": "?"}]}),
        past("m_3", at),
    )
    got, _ = await pulled(SINCE, page_of(talk(at, *rows)))
    seen = {it.external_id: it for it in got.events if isinstance(it, Received)}
    assert seen["m_1"].attachments == (sent("image/png", "sticker.png", f"{CDN}/cat.png", mid="m_1"),)
    assert seen["m_2"].attachments == (sent("image/jpeg", "image.jpg", f"{CDN}/1.jpg", mid="m_2"),)
    assert seen["m_3"].stub == "empty"


@pytest.mark.parametrize("answer", [fault(613), Answer(dropped=True), Answer(status=502)])
async def test_asking_for_what_was_missed_may_fail_and_be_repeated(answer: Answer) -> None:
    with pytest.raises(Retry):
        await pulled(SINCE, answer)


@given(
    row=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([PAGE, PERSON]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "from", "to", "data", "message", "created_time", "attachments", "story", "url"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_is_listed_is_events_that_can_be_stored(row: Any) -> None:
    listing = meta_past.Listing(
        account=Account(channel="page", kind="messenger", object="page", id=PAGE), node=PAGE, platform="messenger"
    )
    for _, event in meta_past.past(listing, [past("m_1", SINCE) | (row if isinstance(row, dict) else {})], AT):
        harness.storable(event)


# --- what `santral check` says


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What Meta says of token, subscription and webhook, and what we say; a "!" marks what is wrong."""

    name: str
    token: Answer = APP
    subscribed: Answer = SUBSCRIBED
    hook: Answer = HOOKED
    url: str = URL
    says: tuple[str, ...]


LASTS = "Meta accepts the access token, and it does not expire."
TOLD = "The app is told what happens in the account."
POINTS = "The webhook points here."
MISSING = f"! The app is not told of: {', '.join(sorted(FIELDS - {'messages'}))}."
UNASKED = f"! Meta is not asked for: {', '.join(sorted(FIELDS))}."
CHECKS = (
    Checked(name="all well", says=(LASTS, TOLD, POINTS)),
    Checked(name="not told of all", subscribed=SOME, says=(LASTS, MISSING, POINTS)),
    Checked(
        name="not told of anything",
        subscribed=Answer(status=502),
        says=(LASTS, "! The provider asks to try again later.", POINTS),
    ),
    Checked(
        name="points elsewhere",
        hook=ELSEWHERE,
        says=(LASTS, TOLD, "! Meta delivers to old.example.com/x instead of here.", UNASKED),
    ),
    Checked(
        name="no webhook",
        hook=Answer(body={"data": []}),
        says=(LASTS, TOLD, "Meta has no webhook for this channel yet: `santral serve` sets it."),
    ),
    Checked(
        name="token that may not send",
        token=Answer(body={"data": {"app_id": "4", "is_valid": True, "scopes": ["pages_manage_metadata"]}}),
        says=(LASTS, "! The access token lacks: pages_messaging.", TOLD, POINTS),
    ),
)


@pytest.mark.parametrize("row", CHECKS, ids=lambda row: row.name)
async def test_check(row: Checked) -> None:
    page = Answer(body={"id": PAGE, "name": "Kumbara"})
    async with harness.provider(SUBJECT, row.token, page, row.subscribed, row.hook) as canned:
        made = channel(canned.url)
        found = await made.check(row.url)
        await made.close()
    said_so = tuple(("" if it.ok else "! ") + it.what for it in found)
    assert said_so == ("The page Kumbara answers.", *row.says)
    assert all(it.ok or it.fix for it in found), "what is wrong comes with what to do"


async def test_check_without_a_public_address() -> None:
    async with harness.provider(SUBJECT, APP, Answer(body={"name": "Kumbara"}), SUBSCRIBED) as canned:
        made = channel(canned.url)
        found = await made.check("")
        await made.close()
    assert [it.ok for it in found] == [True, True, True, False]
    assert found[-1].what == "Meta has no public address to deliver to."


def test_what_another_page_of_the_app_was_told_is_passed_on_to_its_channel() -> None:
    here = json.loads(SUBJECT.payload("text"))["entry"][0]
    there = json.loads(json.dumps(here).replace(here["id"], "777"))
    there["messaging"][0]["message"] |= {"mid": "m_there", "text": "Oradaki"}
    body = json.dumps({"object": "page", "entry": [here, there]}).encode()
    account = Account(channel="fb", kind="messenger", object="page", id=here["id"])
    first, second = read(account, body, AT, (("777", "ikinci"),))
    assert isinstance(first, Received) and isinstance(second, Received)
    assert (first.channel, second.channel, second.text) == ("fb", "ikinci", "Oradaki")
    assert second.sender.value.startswith("777:") and b"Oradaki" not in first.raw
    assert len(read(account, body, AT)) == 1
