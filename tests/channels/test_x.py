"""X: what its events become, and what leaves for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Finding, Request
from channels.errors import InDoubt, Malformed, Misconfigured, Refused, Retry, SendFailed, Unreachable, Unverified
from channels.line import Answered
from channels.message import (
    Address,
    Attachment,
    Event,
    Outgoing,
    Profile,
    Proof,
    ReadUpTo,
    Receipt,
    Received,
    SentElsewhere,
    Status,
    Unreadable,
)
from channels.registry import make
from channels.x.adapter import FIELDS, PAGE, PAGES, X, XConfig, signature
from channels.x.calls import FORBIDDEN, NO_CREDITS, TOKEN_REFUSED, refusal
from channels.x.parse import EPOCH, snowflake, snowflake_at
from channels.x.setup import EVENTS
from tests.channels import harness
from tests.channels.harness import AT, Answer, Arrives, Call, Leaves, Subject

CONSUMER_KEY = "kumbara-consumer-key-51d2"
CONSUMER_SECRET = "kumbara-consumer-secret-8c07"
TOKEN = "7000000001-kumbara-token-a91e"
TOKEN_SECRET = "kumbara-token-secret-44b6"
CLIENT_SECRET = "kumbara-client-secret-0f3d"
BEARER = "AAAAkumbara-bearer-77c1"
OURS = "7000000001"
URL = "https://support.example.com/webhooks/x"


def settings(url: str) -> dict[str, Any]:
    return {
        "consumer_key": CONSUMER_KEY,
        "consumer_secret": CONSUMER_SECRET,
        "access_token": TOKEN,
        "access_token_secret": TOKEN_SECRET,
        "user_id": OURS,
        "api_url": url,
        "send_seconds": 1.0,
    }


def channel(url: str) -> X:
    made = make("x", "x", settings(url))
    assert isinstance(made, X)
    return made


def timed(url: str) -> X:
    """A channel that lives at AT."""
    return X("x", XConfig(**settings(url)), now=lambda: AT, nonce=lambda: "one")


def signed(body: bytes) -> Request:
    headers = {"content-type": "application/json", "x-twitter-webhooks-signature": signature(CONSUMER_SECRET, body)}
    return Request(method="POST", url=URL, headers=headers, body=body)


AYSE = Address(kind="x", value="7000000002")
HELLO = Outgoing(id=UUID(int=7), to=AYSE, text="Merhaba", at=AT)

SUBJECT = Subject(
    kind="x",
    make=timed,
    secrets=(CONSUMER_KEY, CONSUMER_SECRET, TOKEN, TOKEN_SECRET, CLIENT_SECRET, BEARER),
    signed=signed,
    signature="x-twitter-webhooks-signature",
    covers_body=True,
    payloads=Path(__file__).parent / "x",
    send=lambda channel: channel.send(HELLO),
)

# --- what arrives

SENT_AT = datetime(2026, 1, 1, tzinfo=UTC)
TON = "https://ton.twitter.com/1.1/ton/data/dm/2000000000000000001/1999/oP5p.jpg"
PHOTO = Attachment(media_type="image/jpeg", filename="photo.jpg", ref=TON, unique_ref="1999")


def said(**parts: Any) -> Received:
    """A message of Ayşe's, except for `parts`."""
    whole: dict[str, Any] = {
        "channel": "x",
        "external_id": "2000000000000000001",
        "sender": AYSE,
        "sender_name": "Ayşe Yılmaz",
        "sent_at": SENT_AT,
        "proof": Proof.PLATFORM,
    }
    return Received(**whole | parts)


def elsewhere(**parts: Any) -> SentElsewhere:
    whole: dict[str, Any] = {"channel": "x", "external_id": "2000000000000000009", "to": AYSE, "at": SENT_AT}
    return SentElsewhere(**whole | parts)


def unreadable(reason: str) -> Unreadable:
    return Unreadable(channel="x", reason=reason, raw=b"")


READ_AT = SENT_AT + timedelta(minutes=1)
HAS_READ = (
    Receipt(channel="x", status=Status.READ, at=READ_AT, external_id="2000000000000000009"),
    ReadUpTo(channel="x", reader=AYSE, at=READ_AT),
)
IN_TOWN = "https://www.openstreetmap.org/?mlat=41.008238&mlon=28.978359"
ENCRYPTED = "chat:e4f4d3fc-8bbf-4928-92eb-e5058d6bb6f6"

ARRIVES = (
    Arrives("text", (said(text="Merhaba, kargom nerede?"),)),
    Arrives("text_with_escapes", (said(text="5 < 7 &amp; &quot;iade&quot; &copy;"),)),
    Arrives(
        "text_with_links",
        (said(text="Bakın: https://kumbara.example/urun?a=1&copy=2 ve https://t.co/Yabanci9 & son"),),
    ),
    Arrives("text_with_nul", (said(text="a\ufffdb"),)),
    Arrives("photo_with_words", (said(text="böyle geldi", attachments=(PHOTO,)),)),
    Arrives(
        "photo_png",
        (
            said(
                attachments=(
                    replace(PHOTO, media_type="image/png", filename="photo.png", ref=TON.replace(".jpg", ".png")),
                )
            ),
        ),
    ),
    Arrives(
        "video",
        (
            said(
                attachments=(
                    Attachment(
                        media_type="video/mp4",
                        filename="video.mp4",
                        ref="https://video.twimg.com/dm_video/1999/vid/720x1280/b.mp4",
                        unique_ref="1999",
                    ),
                )
            ),
        ),
    ),
    Arrives(
        "animated_gif",
        (
            said(
                attachments=(
                    Attachment(
                        media_type="video/mp4",
                        filename="animation.mp4",
                        ref="https://video.twimg.com/dm_gif/1999/a.mp4",
                        unique_ref="1999",
                    ),
                )
            ),
        ),
    ),
    Arrives("location", (said(text=IN_TOWN),)),
    Arrives("place", (said(text="burada\nKadıköy, İstanbul"),)),
    Arrives("place_off_the_map", (said(stub="location"),)),
    Arrives("quick_reply", (said(text="Hayır", payload="confirm:no"),)),
    Arrives(
        "prompted_by_a_post",
        (said(text="Bunun mavisi var mı?", quoted="https://x.com/i/status/1999999999999999999"),),
    ),
    Arrives("attachment_newer_than_this_adapter", (said(text="dinleyin", stub="voice"),)),
    Arrives("message_newer_than_this_adapter", (said(stub="reaction_create"),)),
    Arrives("nothing_said", (said(stub="empty"),)),
    Arrives("photo_without_address", (said(stub="media"),)),
    Arrives("ids_as_numbers", (said(text="merhaba"),)),
    Arrives("message_from_the_future", (said(text="gelecekten", sent_at=AT + timedelta(minutes=5)),)),
    Arrives(
        "message_without_ids",
        (unreadable("a message without its ids"), said(external_id="2000000000000000002", text="ama bu okunur")),
    ),
    Arrives("id_too_long", (unreadable("a message without its ids"),)),
    Arrives("no_users", (said(text="merhaba", sender_name=""),)),
    Arrives("name_that_hides_things", (said(text="merhaba", sender_name=("eşyA " + "x" * 200)[:128]),)),
    Arrives("by_a_labelled_program", (said(text="biip", quiet=True),)),
    Arrives("sent", (elsewhere(text="Bugün yolda."),)),
    Arrives("sent_photo", (elsewhere(external_id="2000000000000000010", attachments=(PHOTO,)),)),
    Arrives("of_another_account_of_ours", (unreadable("an event of another account than this channel's"),)),
    Arrives("to_oneself", ()),
    Arrives("between_others", (unreadable("a message between others"),)),
    Arrives("message_that_is_not_there", (unreadable("an event of the kind 'dm.received' without its message"),)),
    Arrives("read", HAS_READ),
    Arrives("read_told_flat", HAS_READ),
    Arrives("read_by_us", ()),
    Arrives("read_by_nobody", (unreadable("a read receipt without its reader"),)),
    Arrives("typing", ()),
    Arrives("post", ()),
    Arrives("encrypted", (said(external_id=ENCRYPTED, sender_name="", stub="encrypted"),)),
    Arrives("encrypted_sent", (elsewhere(external_id=ENCRYPTED, stub="encrypted"),)),
    Arrives("encrypted_group", ()),
    Arrives("encrypted_without_ids", (unreadable("an encrypted message without its ids"),)),
    Arrives("legacy_text", (said(text="Merhaba, kargom nerede?"),)),
    Arrives("legacy_sent_by_a_program", (elsewhere(text="Bugün yolda.", app="Kampanyacı"),)),
    Arrives("legacy_read", HAS_READ),
    Arrives("legacy_typing", ()),
    Arrives("legacy_of_another_account", (unreadable("an event of another account than this channel's"),)),
    Arrives(
        "legacy_poisoned_batch",
        (
            said(text="bir"),
            unreadable("a message without its ids"),
            unreadable("a message without its ids"),
            said(external_id="2000000000000000002", text="iki"),
        ),
    ),
    Arrives("replayed", ()),
)


@pytest.mark.parametrize("row", ARRIVES, ids=lambda row: row.file)
def test_arrives(row: Arrives) -> None:
    harness.check_arrives(SUBJECT, row)


def test_every_payload_is_in_the_table() -> None:
    assert {row.file for row in ARRIVES} == set(SUBJECT.files())


def test_both_ways_x_tells_of_a_message_are_one_message() -> None:
    told = [timed("http://127.0.0.1:9").parse(signed(SUBJECT.payload(it)), AT) for it in ("text", "legacy_text")]
    assert [replace(it, raw=b"") for events in told for it in events if isinstance(it, Received)] == [
        said(text="Merhaba, kargom nerede?")
    ] * 2


@pytest.mark.parametrize("body", [b'{"data":{}}', b'{"data":{"event_type":7}}', b'{"for_user":"7"}'])
def test_an_object_that_names_no_event_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        timed("http://127.0.0.1:9").parse(signed(body), AT)


@given(st.datetimes(datetime(2011, 1, 1), datetime(2080, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_id_tells_when_it_was_made(at: datetime) -> None:
    made = snowflake_at(str(snowflake(at)))
    assert timedelta(0) <= at - made < timedelta(milliseconds=2)


def test_an_id_x_published_tells_when_it_was_made() -> None:
    assert int(snowflake_at("2080763914820927863").timestamp() * 1000) == 1784927750674
    assert snowflake(datetime.fromtimestamp(EPOCH / 1000, UTC)) == 0


# --- who asks


def asked(token: str) -> Request:
    return Request(method="GET", url=f"{URL}?crc_token=x", headers={}, query={"crc_token": token})


def test_the_known_challenge_has_the_known_answer() -> None:
    config = XConfig(**settings("http://127.0.0.1:9") | {"consumer_secret": "consumer-secret"})
    told = X("x", config).answer(asked("challenge_string"))
    assert json.loads(told) == {"response_token": "sha256=S/mG8E9n5SjoGuCqHguvP8K8uuu5ogCPF0dOpIdyZlk="}


@pytest.mark.parametrize("token", ["", "a b", "a" * 257, "ş", "\udcff", '{"for_user_id":"7000000001"}', "{}"])
def test_a_challenge_that_could_be_a_webhook_is_not_signed(token: str) -> None:
    """Its answer would be that webhook's signature, for whoever asks."""
    with pytest.raises(Unverified):
        timed("http://127.0.0.1:9").answer(asked(token))


def test_no_challenge_at_all_is_refused() -> None:
    with pytest.raises(Unverified):
        timed("http://127.0.0.1:9").answer(Request(method="GET", url=URL, headers={}))


@given(token=st.text(max_size=40))
def test_what_is_signed_for_strangers_is_never_a_body(token: str) -> None:
    made = timed("http://127.0.0.1:9")
    try:
        made.answer(asked(token))
    except Unverified:
        return
    with pytest.raises(Malformed):
        made.parse(signed(token.encode()), AT)


def test_an_app_with_a_client_secret_may_be_called_with_either() -> None:
    made = X("x", XConfig(**settings("http://127.0.0.1:9"), client_secret=CLIENT_SECRET))
    body = SUBJECT.payload("text")
    newer = {"x-twitter-webhooks-signature-oauth2": signature(CLIENT_SECRET, body)}
    made.verify(signed(body))
    made.verify(replace(signed(body), headers=newer))
    made.verify(replace(signed(body), headers={**newer, "x-twitter-webhooks-signature": "sha256=old"}))
    crossed = {"x-twitter-webhooks-signature-oauth2": signature(CONSUMER_SECRET, body)}
    for headers in (crossed, {"x-twitter-webhooks-signature": signature(CLIENT_SECRET, body)}):
        with pytest.raises(Unverified):
            made.verify(replace(signed(body), headers=headers))
    assert json.loads(made.answer(asked("abc")))["response_token"] == signature(CLIENT_SECRET, b"abc")


def test_without_a_client_secret_its_header_proves_nothing() -> None:
    headers = {"x-twitter-webhooks-signature-oauth2": signature("", b"{}")}
    with pytest.raises(Unverified):
        timed("http://127.0.0.1:9").verify(replace(signed(b"{}"), headers=headers))


# --- what leaves

SEND = "/2/dm_conversations/with/7000000002/messages"
OK = Answer(
    status=201, body={"data": {"dm_conversation_id": f"{OURS}-7000000002", "dm_event_id": "2000000000000000050"}}
)
SENT = Call(path=SEND, fields={"text": "Merhaba"})
JPEG = Attachment(media_type="image/jpeg", filename="kanıt.jpg", data=b"jpeg")
VIDEO = Attachment(media_type="video/mp4", filename="film.mp4", data=b"film")
MEDIA = Answer(body={"data": {"id": "1880028106020515840", "media_key": "13_1880028106020515840"}})
UPLOAD = "/2/media/upload/1880028106020515840"


def problem(status: int, detail: str, type: str = "about:blank", title: str = "Forbidden") -> Answer:
    return Answer(status=status, body={"title": title, "detail": detail, "type": type, "status": status})


def working(state: str) -> Answer:
    told = {"id": "1880028106020515840", "processing_info": {"state": state, "check_after_secs": 0}}
    return Answer(body={"data": told})


def uploaded(media_type: str, category: str, data: bytes) -> tuple[Call, ...]:
    begin = {"media_type": media_type, "total_bytes": len(data), "media_category": category}
    return (
        Call(path="/2/media/upload/initialize", fields=begin),
        Call(path=f"{UPLOAD}/append", fields={"segment_index": "0"}, files={"upload-1": ("file", data)}),
        Call(path=f"{UPLOAD}/finalize"),
    )


ASK_STATE = Call(method="GET", path="/2/media/upload?command=STATUS&media_id=1880028106020515840")
WITH_FILE = [{"media_id": "1880028106020515840"}]


def refused(name: str, answer: Answer, outcome: SendFailed) -> Leaves:
    return Leaves(name=name, do=lambda x: x.send(HELLO), answers=(answer,), calls=(SENT,), outcome=outcome)


def told_nothing(name: str, message: Outgoing, outcome: SendFailed) -> Leaves:
    return Leaves(name=name, do=lambda x: x.send(message), answers=(), calls=(), outcome=outcome)


def sends(name: str, message: Outgoing, answers: tuple[Answer, ...], calls: tuple[Call, ...], outcome: Any) -> Leaves:
    return Leaves(name=name, do=lambda x: x.send(message), answers=answers, calls=calls, outcome=outcome)


async def drained(x: X, attachment: Attachment) -> bytes:
    return b"".join([chunk async for chunk in x.fetch(attachment)])


SENDING = (
    sends("text", HELLO, (OK,), (SENT,), "2000000000000000050"),
    sends(
        "a picture with words",
        replace(HELLO, text="Bu mu?", attachment=JPEG),
        (MEDIA, Answer(status=204), MEDIA, OK),
        (
            *uploaded("image/jpeg", "dm_image", b"jpeg"),
            Call(path=SEND, fields={"text": "Bu mu?", "attachments": WITH_FILE}),
        ),
        "2000000000000000050",
    ),
    sends(
        "a video that X works on for a while",
        replace(HELLO, text="", attachment=VIDEO),
        (MEDIA, Answer(body={}), working("pending"), working("in_progress"), working("succeeded"), OK),
        (
            *uploaded("video/mp4", "dm_video", b"film"),
            ASK_STATE,
            ASK_STATE,
            Call(path=SEND, fields={"attachments": WITH_FILE}),
        ),
        "2000000000000000050",
    ),
    sends(
        "a video that X cannot read",
        replace(HELLO, attachment=VIDEO),
        (MEDIA, Answer(body={}), working("failed")),
        uploaded("video/mp4", "dm_video", b"film"),
        Refused("X could not make anything of the file."),
    ),
    sends(
        "a video that X works on for ever",
        replace(HELLO, attachment=VIDEO),
        (MEDIA, Answer(body={}), *(working("pending"),) * 13),
        (*uploaded("video/mp4", "dm_video", b"film"), *(ASK_STATE,) * 12),
        Retry("X is still working on the file.", after=timedelta(seconds=5)),
    ),
    sends(
        "an upload in doubt is no doubt about the message",
        replace(HELLO, attachment=JPEG),
        (MEDIA, Answer(dropped=True)),
        uploaded("image/jpeg", "dm_image", b"jpeg")[:2],
        Retry("The line to X broke."),
    ),
    sends(
        "an upload that gets no number",
        replace(HELLO, attachment=JPEG),
        (Answer(body={"data": {"id": 1e99}}),),
        uploaded("image/jpeg", "dm_image", b"jpeg")[:1],
        Retry("X did not take the file."),
    ),
    told_nothing(
        "a kind of file X has no place for",
        replace(HELLO, attachment=replace(JPEG, media_type="application/pdf")),
        Refused("X carries pictures, GIFs and MP4 videos only."),
    ),
    told_nothing("an empty file", replace(HELLO, attachment=replace(JPEG, data=b"")), Refused("The file is empty.")),
    told_nothing(
        "a file that is too large",
        replace(HELLO, attachment=replace(JPEG, data=bytes((5 << 20) + 1))),
        Refused("X takes such files up to 5 MB."),
    ),
    told_nothing("nothing", replace(HELLO, text=""), Refused("There is nothing to send.")),
    told_nothing(
        "an address of another kind",
        replace(HELLO, to=Address(kind="phone", value="905321234567")),
        Refused("This address has no number at X."),
    ),
    told_nothing(
        "an address that is a path",
        replace(HELLO, to=Address(kind="x", value="7/../8")),
        Refused("This address has no number at X."),
    ),
    refused(
        "they take no messages from us",
        problem(403, "You do not have permission to DM one or more participants."),
        Unreachable("You do not have permission to DM one or more participants.", provider_code="403"),
    ),
    refused(
        "the old code for the same",
        Answer(status=403, body={"errors": [{"code": 349, "message": "You cannot send messages to this user."}]}),
        Unreachable("You cannot send messages to this user.", provider_code="349"),
    ),
    refused(
        "the app may not send direct messages",
        problem(403, "Your client app is not configured.", "https://api.x.com/2/problems/oauth1-permissions"),
        Misconfigured(provider_code="oauth1-permissions"),
    ),
    refused("nobody can say which of the two", problem(403, "Forbidden"), Refused(FORBIDDEN, provider_code="403")),
    refused(
        "their account is gone",
        Answer(
            status=404,
            body={
                "type": "https://api.x.com/2/problems/resource-not-found",
                "detail": "Could not find user.",
                "resource_type": "user",
            },
        ),
        Unreachable(provider_code="resource-not-found"),
    ),
    refused(
        "no credits are left",
        problem(402, "credits depleted", "https://api.x.com/2/problems/credits-depleted", "Payment Required"),
        Misconfigured(NO_CREDITS, provider_code="credits-depleted"),
    ),
    refused("the keys are withdrawn", problem(401, "Unauthorized"), Misconfigured(TOKEN_REFUSED, provider_code="401")),
    refused(
        "too many",
        problem(429, "Too Many Requests", title="Too Many Requests"),
        Retry("Too Many Requests", whole_channel=True, provider_code="429"),
    ),
    refused(
        "too many, says a 403 of old",
        Answer(status=403, body={"errors": [{"code": 88, "message": "Rate limit exceeded"}]}),
        Retry("Rate limit exceeded", whole_channel=True, provider_code="88"),
    ),
    refused(
        "a field X does not take",
        problem(400, "See https://api.x.com/2/problems and aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.", "about:blank"),
        Refused("See … and ….", provider_code="400"),
    ),
    refused("taken, but without a number", Answer(status=201, body={"data": {}}), InDoubt()),
    refused(
        "an error that calls itself success",
        Answer(status=200, body={"errors": [{"detail": "You cannot send messages to this user."}]}),
        Unreachable("You cannot send messages to this user."),
    ),
)

# --- what became of it


def row(id: int, text: str = "Merhaba", sender: str = OURS, **more: Any) -> dict[str, Any]:
    return {
        "id": str(id),
        "event_type": "MessageCreate",
        "text": text,
        "sender_id": sender,
        "dm_conversation_id": f"{OURS}-{AYSE.value}",
        "created_at": snowflake_at(str(id)).isoformat().replace("+00:00", "Z"),
        **more,
    }


def at(seconds: float) -> int:
    """An id X made so many seconds after AT."""
    return snowflake(AT + timedelta(seconds=seconds)) + 7


def page(*rows: Mapping[str, Any], onward: str = "") -> Answer:
    meta = {"result_count": len(rows)} | ({"next_token": onward} if onward else {})
    return Answer(body={"meta": meta} | ({"data": list(rows)} if rows else {}))


SHORT: dict[str, Any] = {
    "entities": {"urls": [{"url": "https://t.co/Kisa0001", "expanded_url": "https://kumbara.example/takip"}]}
}
LATER = replace(HELLO, at=AT - timedelta(minutes=2))


def found(name: str, message: Outgoing, answer: Answer, outcome: Any) -> Leaves:
    return Leaves(name=name, do=lambda x: x.find(message), answers=(answer,), calls=None, outcome=outcome)


FINDING = (
    found("there it is", HELLO, page(row(at(9), "Başka"), row(at(1)), row(at(-60))), str(at(1))),
    found("the first of two alike", HELLO, page(row(at(9)), row(at(1))), str(at(1))),
    found("what was said before it is another", LATER, page(row(at(-125.5))), None),
    found("what they say is not ours", LATER, page(row(at(-100), sender=AYSE.value)), None),
    found("it surely is not there", LATER, page(), None),
    found("it may not be listed yet", HELLO, page(), InDoubt()),
    found("more was said since than a page holds", LATER, page(row(at(0), "x"), onward="n" * 16), InDoubt()),
    found(
        "with the link X made short",
        replace(LATER, text="Takip: kumbara.example/takip & teşekkürler"),
        page(row(at(-119), "Takip: https://t.co/Kisa0001 &amp; teşekkürler", **SHORT)),
        str(at(-119)),
    ),
    found(
        "with its file",
        replace(LATER, text="", attachment=JPEG),
        page(
            row(at(-118), "https://t.co/FileAbc123", attachments={"media_keys": ["3_1"]}),
            row(at(-119), "https://t.co/Kisa0001", **SHORT),
        ),
        str(at(-118)),
    ),
    found("X is away", LATER, Answer(status=503), InDoubt()),
    Leaves(
        name="nobody knows when it was sent",
        do=lambda x: x.find(replace(HELLO, at=None)),
        answers=(),
        calls=(),
        outcome=InDoubt(),
    ),
)

# --- files


def fetched(name: str, ref: str, answers: tuple[Answer, ...], calls: tuple[Call, ...], outcome: Any) -> Leaves:
    async def do(x: X) -> bytes:
        return await drained(x, replace(PHOTO, ref=f"{x.config.api_url}{ref}" if ref.startswith("/") else ref))

    return Leaves(name=name, do=do, answers=answers, calls=calls, outcome=outcome)


TON_PATH = "/1.1/ton/data/dm/2000000000000000001/1999/oP5p.jpg"
GET_FILE = Call(method="GET", path=TON_PATH)
BYTES = Answer(body=b"jpeg", content_type="image/jpeg")

FETCHING = (
    fetched("a file", TON_PATH, (BYTES,), (GET_FILE,), b"jpeg"),
    fetched(
        "edge 15: a file that leads into our own network",
        TON_PATH,
        (Answer(status=302, location="http://10.0.0.1/secret"),),
        (GET_FILE,),
        Refused("The file's address is not one that may be fetched."),
    ),
    fetched(
        "edge 15: a file of a private address",
        "https://169.254.169.254/latest",
        (),
        (),
        Refused("The file's address is not one that may be fetched."),
    ),
    *(
        fetched(
            f"a file behind keys that may be mended: {status}",
            TON_PATH,
            (Answer(status=status),),
            (GET_FILE,),
            Retry("X does not hand out the file now.", provider_code=str(status)),
        )
        for status in (401, 403)
    ),
    fetched(
        "edge 14: a file that is gone",
        TON_PATH,
        (Answer(status=404),),
        (GET_FILE,),
        Refused("X does not have the file any more."),
    ),
)

# --- who it is

PROFILES = (
    Leaves(
        name="a profile",
        do=lambda x: x.profile(AYSE),
        answers=(Answer(body={"data": {"id": AYSE.value, "name": "Ayşe Yılmaz", "username": "ayse_ornek"}}),),
        calls=(Call(method="GET", path="/2/users/7000000002?user.fields=name,username"),),
        outcome=Profile(name="Ayşe Yılmaz"),
    ),
    Leaves(
        name="the link customers follow",
        do=lambda x: x.link(),
        answers=(),
        calls=(),
        outcome=f"https://x.com/messages/compose?recipient_id={OURS}",
    ),
)

# --- setting up

APP = Answer(body={"token_type": "bearer", "access_token": BEARER})
ASK_TOKEN = Call(path="/oauth2/token", fields={"grant_type": "client_credentials"})
HOOK = {"id": "1146654567674912769", "url": URL, "valid": True, "created_at": "2026-01-01T00:00:00.000Z"}
ASK_HOOKS = Call(method="GET", path="/2/webhooks")
ASK_SUBSCRIPTIONS = Call(method="GET", path="/2/activity/subscriptions")
SUBSCRIBED = Answer(body={"data": {"subscription": {"subscription_id": "1"}}})


def hooks(*listed: Mapping[str, Any]) -> Answer:
    return Answer(body={"data": list(listed), "meta": {"result_count": len(listed)}})


def subscription(event: str, hook: str = "1146654567674912769", whose: str = OURS) -> dict[str, Any]:
    return {"subscription_id": "77", "event_type": event, "filter": {"user_id": whose}, "webhook_id": hook}


def subscribed_page(*events: str, onward: str = "") -> Answer:
    meta = {"next_token": onward} if onward else {}
    return Answer(body={"data": [subscription(event) for event in events], "meta": meta})


ALL = hooks(*(subscription(event) for event in EVENTS))


def subscribe(event: str) -> Call:
    fields = {"event_type": event, "filter": {"user_id": OURS}, "webhook_id": "1146654567674912769"}
    return Call(path="/2/activity/subscriptions", fields=fields)


def registered(name: str, answers: tuple[Answer, ...], calls: tuple[Call, ...], outcome: Any = None) -> Leaves:
    return Leaves(
        name=name, do=lambda x: x.register(URL), answers=(APP, *answers), calls=(ASK_TOKEN, *calls), outcome=outcome
    )


REGISTERING = (
    registered(
        "for the first time",
        (hooks(), Answer(body={"data": HOOK}), hooks(), *(SUBSCRIBED,) * len(EVENTS)),
        (
            ASK_HOOKS,
            Call(path="/2/webhooks", fields={"url": URL}),
            ASK_SUBSCRIPTIONS,
            *(subscribe(event) for event in EVENTS),
        ),
    ),
    registered("when all is well nothing is changed", (hooks(HOOK), ALL), (ASK_HOOKS, ASK_SUBSCRIPTIONS)),
    registered(
        "what stands on a later page is there",
        (hooks(HOOK), subscribed_page(*EVENTS[:2], onward="a" * 16), subscribed_page(*EVENTS[2:])),
        (
            ASK_HOOKS,
            ASK_SUBSCRIPTIONS,
            replace(ASK_SUBSCRIPTIONS, path="/2/activity/subscriptions?pagination_token=" + "a" * 16),
        ),
    ),
    registered(
        "edge 23: a webhook X gave up is checked anew",
        (hooks({**HOOK, "valid": False}), Answer(body={"data": {"valid": True}}), ALL),
        (ASK_HOOKS, Call(method="PUT", path="/2/webhooks/1146654567674912769"), ASK_SUBSCRIPTIONS),
    ),
    registered(
        "a subscription that leads elsewhere is led here; other accounts' are left alone",
        (
            hooks(HOOK),
            hooks(
                subscription("dm.received", hook="5"),
                subscription("dm.sent"),
                subscription("chat.received"),
                subscription("chat.sent"),
                subscription("dm.read", whose="7000000003"),
            ),
            SUBSCRIBED,
            SUBSCRIBED,
        ),
        (
            ASK_HOOKS,
            ASK_SUBSCRIPTIONS,
            Call(
                method="PUT",
                path="/2/activity/subscriptions/77",
                fields={"webhook_id": "1146654567674912769"},
            ),
            subscribe("dm.read"),
        ),
    ),
    registered(
        "one event that is refused does not cost the others",
        (hooks(HOOK), hooks(), problem(403, "Client app not enrolled."), *(SUBSCRIBED,) * (len(EVENTS) - 1)),
        (ASK_HOOKS, ASK_SUBSCRIPTIONS, *(subscribe(event) for event in EVENTS)),
        Misconfigured("Client app not enrolled."),
    ),
    registered(
        "X could not reach us",
        (hooks(), problem(400, "CrcValidationFailed", title="Invalid Request")),
        (ASK_HOOKS, Call(path="/2/webhooks", fields={"url": URL})),
        Refused("CrcValidationFailed"),
    ),
    registered(
        "a token withdrawn meanwhile is asked for anew",
        (problem(401, "Unauthorized"), APP, hooks(HOOK), ALL),
        (ASK_HOOKS, ASK_TOKEN, ASK_HOOKS, ASK_SUBSCRIPTIONS),
    ),
    Leaves(
        name="keys that are none",
        do=lambda x: x.register(URL),
        answers=(Answer(status=403, body={"errors": [{"code": 99, "message": "Unable to verify your credentials"}]}),),
        calls=(ASK_TOKEN,),
        outcome=Misconfigured(TOKEN_REFUSED),
    ),
)

ME = Answer(body={"data": {"id": OURS, "name": "Kumbara", "username": "kumbara_ornek"}})
ASK_ME = Call(method="GET", path="/2/users/me")
LOOKED = (ASK_ME, ASK_TOKEN, ASK_HOOKS, ASK_SUBSCRIPTIONS)
SHOULD_SERVE = "Start `santral serve` here: it subscribes to all it reads."
WELL = Finding(ok=True, what="The account @kumbara_ornek answers.")
HERE = Finding(ok=True, what="The webhook points here.")
TOLD = Finding(ok=True, what="X tells us of messages, read receipts and encrypted chats.")
EXPERIMENTAL = Finding(
    ok=True,
    what="Experimental: most people's messages on X are encrypted, and of those only that they came can be shown.",
)
LOST_FIX = "Look at the keys of channel 'x', and at the app's permissions and credits in X's console."


def checked(name: str, answers: tuple[Answer, ...], outcome: tuple[Finding, ...], url: str = URL) -> Leaves:
    return Leaves(name=name, do=lambda x: x.check(url), answers=answers, calls=None, outcome=outcome)


CHECKING = (
    checked("all is well", (ME, APP, hooks(HOOK), ALL), (WELL, HERE, TOLD, EXPERIMENTAL)),
    checked(
        "no webhook and no subscription yet",
        (ME, APP, hooks(), hooks()),
        (
            WELL,
            Finding(ok=False, what="X has no webhook for this app yet.", fix="Start `santral serve` here: it sets it."),
            Finding(
                ok=False,
                what="X is not asked for: dm.received, dm.sent, dm.read, chat.received, chat.sent.",
                fix=SHOULD_SERVE,
            ),
            EXPERIMENTAL,
        ),
    ),
    checked(
        "a webhook elsewhere",
        (ME, APP, hooks({**HOOK, "url": "https://old.example.com/"}), ALL),
        (
            WELL,
            Finding(
                ok=False,
                what="The X app has a webhook, but not here.",
                fix="Start `santral serve` here. If X then says that there are too many, delete the other one in its "
                "console.",
            ),
            Finding(
                ok=False,
                what="X is not asked for: dm.received, dm.sent, dm.read, chat.received, chat.sent.",
                fix=SHOULD_SERVE,
            ),
            EXPERIMENTAL,
        ),
    ),
    checked(
        "a webhook X gave up",
        (ME, APP, hooks({**HOOK, "valid": False}), ALL),
        (
            WELL,
            Finding(
                ok=False,
                what="X has given up calling us: our answer to its check was late or wrong.",
                fix="See that public_url is reachable from outside, then start `santral serve`: it has X look again.",
            ),
            TOLD,
            EXPERIMENTAL,
        ),
    ),
    checked(
        "no public address",
        (ME, APP, hooks(), hooks()),
        (
            WELL,
            Finding(ok=False, what="X has no public address to deliver to.", fix="Set public_url, with https."),
            EXPERIMENTAL,
        ),
        url="",
    ),
    checked(
        "a token of another account, and no credits",
        (
            Answer(body={"data": {"id": "7000000003", "username": "baska_ornek"}}),
            APP,
            problem(402, "credits depleted"),
        ),
        (
            Finding(
                ok=False,
                what="The access token is not user_id's: it belongs to @baska_ornek.",
                fix="Set user_id of channel 'x' to 7000000003, or make a token as the other.",
            ),
            Finding(ok=False, what=NO_CREDITS, fix=LOST_FIX),
            EXPERIMENTAL,
        ),
    ),
    checked(
        "keys withdrawn, webhook fine",
        (problem(401, "Unauthorized"), APP, hooks(HOOK), ALL),
        (Finding(ok=False, what=TOKEN_REFUSED, fix=LOST_FIX), HERE, TOLD, EXPERIMENTAL),
    ),
    checked(
        "a wrong consumer key is said once",
        (problem(401, "Unauthorized"), problem(401, "Unauthorized")),
        (Finding(ok=False, what=TOKEN_REFUSED, fix=LOST_FIX), EXPERIMENTAL),
    ),
)

LEAVES = (*SENDING, *FINDING, *FETCHING, *PROFILES, *REGISTERING, *CHECKING)


@pytest.mark.parametrize("row", LEAVES, ids=lambda row: row.name)
async def test_leaves(row: Leaves) -> None:
    await harness.check_leaves(SUBJECT, row)


async def test_edge_16_an_echo_of_ours_has_the_id_that_sending_gave() -> None:
    """The inbox knows its own sends by nothing else: X echoes no id of ours."""
    async with harness.provider(SUBJECT, replace(OK, body={"data": {"dm_event_id": "2000000000000000009"}})) as canned:
        made = timed(canned.url)
        sent = await made.send(HELLO)
        await made.close()
    [echo] = made.parse(signed(SUBJECT.payload("sent")), AT)
    assert isinstance(echo, SentElsewhere)
    assert echo.external_id == sent


def test_edge_20_one_poisoned_message_costs_only_itself() -> None:
    events = timed("http://127.0.0.1:9").parse(signed(SUBJECT.payload("legacy_poisoned_batch")), AT)
    assert [type(it).__name__ for it in events] == ["Received", "Unreadable", "Unreadable", "Received"]


def test_edge_24_programs_and_ourselves_start_no_loop() -> None:
    made = timed("http://127.0.0.1:9")
    assert made.parse(signed(SUBJECT.payload("to_oneself")), AT) == ()
    [program] = made.parse(signed(SUBJECT.payload("by_a_labelled_program")), AT)
    assert isinstance(program, Received)
    assert program.quiet


# --- limits


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-rate-limit-reset": "1767259860"}, 60),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "1767259860"}, 60),
        ({"x-rate-limit-remaining": "3", "x-rate-limit-reset": "1767259860"}, None),
        (
            {
                "x-rate-limit-remaining": "3",
                "x-rate-limit-reset": "1767259860",
                "x-user-limit-24hour-remaining": "0",
                "x-user-limit-24hour-reset": "1767263400",
            },
            3600,
        ),
        ({"x-rate-limit-reset": "1767259000"}, 0),
        ({"x-rate-limit-reset": "9999999999"}, 86400),
        ({"x-rate-limit-reset": "soon"}, None),
        ({"Retry-After": "7", "x-rate-limit-reset": "1767259860"}, 7),
        ({}, None),
    ],
)
def test_the_end_of_a_limit_is_waited_for(headers: dict[str, str], seconds: int | None) -> None:
    assert int(AT.timestamp()) == 1767259800
    error = refusal(Answered(status=429, headers=headers, body=b'{"errors":[{"code":88}]}'), AT)
    assert isinstance(error, Retry)
    assert error.whole_channel
    assert error.after == (None if seconds is None else timedelta(seconds=seconds))


@given(status=st.integers(200, 599), body=st.binary(max_size=60) | st.sampled_from([b'{"errors":[7]}', b'{"type":7}']))
def test_any_answer_has_a_name(status: int, body: bytes) -> None:
    assert isinstance(refusal(Answered(status=status, headers={}, body=body), AT), SendFailed)


# --- what its webhook did not bring


async def missed(after: str, *answers: Answer) -> tuple[str, list[Event], list[Call]]:
    async with harness.provider(SUBJECT, *answers) as canned:
        made = timed(canned.url)
        pulled = await made.missed(after)
        await made.close()
        assert not canned.answers
    bare = [replace(it, raw=b"") if isinstance(it, Received | SentElsewhere) else it for it in pulled.events]
    return pulled.cursor, bare, canned.calls


async def test_the_first_time_nothing_is_asked_for_and_nothing_is_paid() -> None:
    cursor, events, calls = await missed("")
    assert snowflake_at(cursor) == AT
    assert (events, calls) == ([], [])


async def test_edge_23_what_came_while_we_were_away_is_asked_for_and_told_in_order() -> None:
    users = {"users": [{"id": AYSE.value, "name": "Ayşe Yılmaz", "username": "ayse_ornek"}]}
    media = {"media": [{"media_key": "3_1999", "type": "photo", "url": TON}]}
    asked = row(at(-60), "Foto https://t.co/FileAbc123", AYSE.value, attachments={"media_keys": ["3_1999"]})
    first = page(row(at(-30), "Bugün yolda."), asked)
    first = replace(first, body={**first.body, "includes": users | media})
    cursor, events, calls = await missed(str(at(-600)), first)
    assert cursor == str(at(-30))
    assert events == [
        said(external_id=str(at(-60)), text="Foto", attachments=(PHOTO,), sent_at=snowflake_at(str(at(-60)))),
        elsewhere(external_id=str(at(-30)), text="Bugün yolda.", at=snowflake_at(str(at(-30)))),
    ]
    assert [it.path.partition("?")[0] for it in calls] == ["/2/dm_events"]
    assert FIELDS["event_types"] == "MessageCreate"


async def test_pages_are_turned_until_something_known() -> None:
    pages = (
        page(row(at(-10), "dört"), row(at(-20), "üç"), onward="a" * 16),
        page(row(at(-30), "iki"), row(at(-2000), "eski"), onward="b" * 16),
    )
    cursor, events, calls = await missed(str(at(-600)), *pages)
    assert [it.text for it in events if isinstance(it, SentElsewhere)] == ["iki", "üç", "dört"]
    assert cursor == str(at(-10))
    assert "pagination_token=" + "a" * 16 in calls[1].path


async def test_nothing_new_leaves_the_cursor_where_it_was() -> None:
    assert (await missed(str(at(-600)), page()))[:2] == (str(at(-600)), [])
    assert (await missed(str(at(-600)), page(row(at(-2000)))))[:2] == (str(at(-600)), [])


async def test_what_was_told_late_is_asked_for_again() -> None:
    cursor, events, _ = await missed(str(at(-600)), page(row(at(-800)), row(at(-2000))))
    assert (cursor, len(events)) == (str(at(-600)), 1)


async def test_groups_strangers_and_other_events_are_left_out() -> None:
    rows = (
        row(at(-1), dm_conversation_id="1578398451921985538"),
        row(at(-2), dm_conversation_id="7000000004-7000000005", sender="7000000004"),
        row(at(-3), event_type="ParticipantsJoin"),
        row(at(-4), sender="none"),
        row(at(-5), "", AYSE.value, attachments={"media_keys": ["3_1"]}),
        row(at(-6), created_at="9999-12-31T23:59:59-14:00"),
        {"id": 7},
    )
    _, events, _ = await missed(str(at(-600)), page(*rows))
    assert [(type(it).__name__, getattr(it, "stub", "")) for it in events] == [
        ("SentElsewhere", ""),
        ("Received", "media"),
    ]


async def test_more_than_can_be_asked_for_is_said() -> None:
    whole = [page(*(row(at(-n - 1) - k) for k in range(PAGE)), onward="c" * 16) for n in range(PAGES)]
    _, events, _ = await missed(str(at(-600)), *whole)
    assert len(events) == PAGE * PAGES + 1
    assert isinstance(events[0], Unreadable)


# --- how calls are signed


async def test_every_call_in_the_account_s_name_is_signed_for_it() -> None:
    from aiohttp import web
    from aiohttp.test_utils import TestServer

    from channels.x.oauth1 import Keys, header

    seen: list[tuple[str, str]] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append((str(request.url), request.headers["Authorization"]))
        return web.json_response({"data": {"id": AYSE.value, "name": "Ayşe"}})

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    server = TestServer(app)
    await server.start_server()
    made = timed(str(server.make_url("")).rstrip("/"))
    await made.profile(AYSE)
    await made.close()
    await server.close()
    keys = Keys(consumer_key=CONSUMER_KEY, consumer_secret=CONSUMER_SECRET, token=TOKEN, token_secret=TOKEN_SECRET)
    [(url, authorization)] = seen
    assert authorization == header(keys, "GET", url, nonce="one", at=AT)


async def test_edge_15_a_file_elsewhere_is_fetched_without_our_keys() -> None:
    """Pictures lie with X, films on a host that anybody may ask: only X itself is told who we are."""
    from aiohttp import web
    from aiohttp.test_utils import TestServer

    seen: list[tuple[str, bool]] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append((request.path, "Authorization" in request.headers))
        if request.path == "/onward":
            raise web.HTTPFound(f"http://localhost:{request.url.port}/film")
        return web.Response(body=b"film")

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    server = TestServer(app)
    await server.start_server()
    url = str(server.make_url("")).rstrip("/")
    made = timed(url)
    for ref in (f"{url}/photo", f"http://localhost:{server.port}/film", f"{url}/onward"):
        assert await drained(made, replace(PHOTO, ref=ref)) == b"film"
    await made.close()
    await server.close()
    assert seen == [("/photo", True), ("/film", False), ("/onward", True), ("/film", False)]
