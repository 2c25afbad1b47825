"""Instagram: what its events become, and what leaves for it, through a page and by itself."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Request
from channels.errors import Misconfigured, Refused, Unreachable, Unverified, WindowClosed
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
    Receipt,
    Received,
    SentElsewhere,
    Status,
    Withdrawn,
)
from channels.meta.graph import proof
from channels.meta.instagram import FIELDS, REFRESH, SCOPES, Instagram, InstagramConfig, lasting, size
from channels.registry import CAPABILITIES
from inbox.plan import plan
from tests.channels import harness
from tests.channels.harness import AT, Answer, Arrives, Call, Leaves, Subject

TOKEN = "IGAAkumbara0TestTokenOfTheAccount012345"
APP_SECRET = "kumbara-app-secret-7f3a"
OTHER_SECRET = "kumbara-instagram-secret-9c"
VERIFY = "kumbara-verify-word"
ACCOUNT = "17841400000000000"
PAGE = "108264108264108"
PERSON = "1604000000000001"
PROOF = proof(APP_SECRET, TOKEN)
URL = "https://support.example.com/webhooks/insta"


def config(url: str, **parts: Any) -> InstagramConfig:
    whole: dict[str, Any] = {
        "ig_id": ACCOUNT,
        "access_token": TOKEN,
        "app_secret": APP_SECRET,
        "verify_token": VERIFY,
        "instagram_app_secret": OTHER_SECRET,
        "page_id": PAGE,
        "api_url": url,
        "send_seconds": 1.0,
    }
    return InstagramConfig(**whole | parts)


def channel(url: str, **parts: Any) -> Instagram:
    return Instagram("insta", config(url, **parts), now=lambda: AT, pause=0)


def signed(body: bytes, secret: str = APP_SECRET) -> Request:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return Request(
        method="POST",
        url=URL,
        headers={"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"},
        body=body,
    )


OLGA = Address(kind="instagram", value=f"{ACCOUNT}:{PERSON}")
HELLO = Outgoing(id=UUID(int=7), to=OLGA, text="Здравствуйте")

SUBJECT = Subject(
    kind="instagram",
    make=channel,
    secrets=(TOKEN, APP_SECRET, OTHER_SECRET, VERIFY, PROOF),
    signed=signed,
    signature="x-hub-signature-256",
    covers_body=True,
    payloads=Path(__file__).parent / "instagram",
    send=lambda channel: channel.send(HELLO),
)

# --- what arrives

SENT_AT = datetime(2026, 1, 1, 0, 0, 0, 123000, tzinfo=UTC)
CDN = "https://lookaside.example.com/ig_messaging_cdn/?asset_id=17&signature=Ab"


def said(**parts: Any) -> Received:
    """A message of Olga's, except for `parts`."""
    whole: dict[str, Any] = {
        "channel": "insta",
        "external_id": "m_1",
        "sender": OLGA,
        "sent_at": SENT_AT,
        "proof": Proof.PLATFORM,
        "retractable": True,
    }
    return Received(**whole | parts)


def sent(media_type: str, filename: str) -> tuple[Attachment, ...]:
    ref = json.dumps({"url": CDN, "mid": "m_1", "n": 0}, separators=(",", ":"))
    return (Attachment(media_type=media_type, filename=filename, ref=ref, unique_ref="m_1:0"),)


def elsewhere(**parts: Any) -> SentElsewhere:
    whole: dict[str, Any] = {"channel": "insta", "external_id": "m_9", "to": OLGA, "at": SENT_AT, "text": "В пути"}
    return SentElsewhere(**whole | parts)


ARRIVES = (
    Arrives("text", (said(text="Здравствуйте, где мой заказ?"),)),
    Arrives("quick_reply", (said(text="Да", payload="confirm:yes"),)),
    Arrives("reply_to_message", (said(text="это", reply_to="m_0"),)),
    Arrives("image_by_itself", (said(attachments=sent("image/jpeg", "image.jpg")),)),
    Arrives("voice", (said(attachments=sent("audio/mp4", "audio.m4a")),)),
    Arrives("story_mention", (said(text=CDN, stub="story_mention"),)),
    Arrives("story_mention_gone", (said(stub="story_mention"),)),
    Arrives("story_reply", (said(text="Сколько стоит?", quoted=CDN, stub="story_reply"),)),
    Arrives("like_heart", (said(text="❤️"),)),
    Arrives("reel_without_host", (said(text="Новая коллекция\nhttps://www.instagram.com/reel/Cx1/"),)),
    Arrives("post_shared", (said(text=f"такое есть?\n{CDN}"),)),
    Arrives("disappearing", (said(stub="ephemeral"),)),
    Arrives("unsupported", (said(stub="unsupported"),)),
    Arrives("about_a_product", (said(text="Есть M?", quoted="product 4711"),)),
    Arrives("deleted", (Withdrawn(channel="insta", external_id="m_1", sender=OLGA, at=SENT_AT, erase=True),)),
    Arrives(
        "edited",
        (Edited(message=said(text="где мой заказ 17?"), edited_at=SENT_AT + timedelta(microseconds=1)),),
    ),
    Arrives("edit_that_is_none", ()),
    Arrives("ice_breaker", (said(text="Доставка", payload="ice:delivery"),)),
    Arrives(
        "link_followed",
        (said(external_id=f"referral:{PERSON}:1767225600123", payload="k7Jd", stub="referral", quiet=True),),
    ),
    Arrives("reaction", (Reacted(channel="insta", external_id="m_9", sender=OLGA, emoji="🔥", at=SENT_AT),)),
    Arrives("seen", (Receipt(channel="insta", status=Status.READ, at=SENT_AT, external_id="m_9", earlier=True),)),
    Arrives("echo", (elsewhere(),)),
    Arrives("echo_of_the_inbox", (elsewhere(app="Page inbox"),)),
    Arrives("to_oneself", ()),
    Arrives("standby", (said(text="Ау?", quiet=True),)),
    Arrives("test_button", ()),
    Arrives("many_accounts", (said(text="раз"),)),
)


@pytest.mark.parametrize("row", ARRIVES, ids=lambda row: row.file)
def test_arrives(row: Arrives) -> None:
    harness.check_arrives(SUBJECT, row)


def test_every_payload_is_in_the_table() -> None:
    assert {row.file for row in ARRIVES} == set(SUBJECT.files())


def test_either_secret_of_the_app_signs() -> None:
    body = SUBJECT.payload("text")
    made = channel("http://127.0.0.1:9")
    made.verify(signed(body, OTHER_SECRET))
    with pytest.raises(Unverified):
        made.verify(signed(body, "another"))
    with pytest.raises(Unverified):
        channel("http://127.0.0.1:9", instagram_app_secret=None).verify(signed(body, ""))


def test_handshake() -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444"}
    request = Request(method="GET", url=URL, headers={}, query=query)
    assert channel("http://127.0.0.1:9").answer(request) == "1158201444"
    with pytest.raises(Unverified):
        channel("http://127.0.0.1:9").answer(replace(request, query=query | {"hub.verify_token": "x"}))


def test_edge_19_of_a_story_nothing_but_its_link_is_kept() -> None:
    """Its picture may not be stored, so there is no attachment that anybody could fetch for keeping."""
    for row in ARRIVES:
        for event in row.events:
            if row.file.startswith("story"):
                assert isinstance(event, Received)
                assert event.attachments == ()
                assert event.stub in ("story_mention", "story_reply")


# --- what leaves

OK = Answer(body={"recipient_id": PERSON, "message_id": "m_9"})


def fault(code: int, subcode: int = 0) -> Answer:
    error: dict[str, Any] = {"message": "(#1) No", "type": "OAuthException", "code": code, "fbtrace_id": "A"}
    return Answer(status=400, body={"error": error | ({"error_subcode": subcode} if subcode else {})})


def call(path: str, query: str = "", **parts: Any) -> Call:
    return Call(path=f"/v25.0/{path}?{query}appsecret_proof={{secret}}", **parts)


def posted(**parts: Any) -> Call:
    fields = {"recipient": {"id": PERSON}, "messaging_type": "RESPONSE", "message": {"text": "Здравствуйте"}}
    return call(f"{PAGE}/messages", fields=fields | parts)


def leaves(name: str, message: Outgoing, expected: Call | None, outcome: Any = "m_9", answer: Answer = OK) -> Leaves:
    calls, answers = ((expected,), (answer,)) if expected else ((), ())
    return Leaves(name=name, do=lambda channel: channel.send(message), answers=answers, calls=calls, outcome=outcome)


def file_sent(media_type: str, kind: str) -> Leaves:
    link = "https://support.example.com/files/k7Jd"
    file = Attachment(media_type=media_type, filename="файл", data=b"bytes", link=link)
    content = {"attachment": {"type": kind, "payload": {"url": link}}}
    return leaves(f"{media_type} goes as {kind}", replace(HELLO, attachment=file), posted(message=content))


def waited(days: float, author: Author) -> Outgoing:
    return replace(HELLO, author=author, answers_at=AT - timedelta(days=days), at=AT)


CHOICES = (Choice(label="Да", payload="yes"),)
USERNAME = Answer(body={"username": "kumbara.home", "id": ACCOUNT})
APP = Answer(body={"data": {"app_id": "4", "is_valid": True, "expires_at": 0, "scopes": sorted(SCOPES)}})
HOOK = {"object": "instagram", "callback_url": URL, "active": True, "fields": [{"name": it} for it in FIELDS]}
HOOKED = Answer(body={"data": [HOOK]})
ASK_USERNAME = call(ACCOUNT, "fields=username&", method="GET")


def told(*fields: str) -> Answer:
    """What the page or account tells the app."""
    return Answer(body={"data": [{"id": "4", "subscribed_fields": sorted(fields)}]})


LEAVES = (
    leaves("text", HELLO, posted()),
    leaves("answer to a message", replace(HELLO, reply_to="m_1"), posted(reply_to={"mid": "m_1"})),
    leaves(
        "choices",
        replace(HELLO, choices=CHOICES),
        posted(
            message={
                "text": "Здравствуйте",
                "quick_replies": [{"content_type": "text", "title": "Да", "payload": "yes"}],
            }
        ),
    ),
    file_sent("image/png", "image"),
    file_sent("video/mp4", "video"),
    file_sent("audio/mp4", "audio"),
    file_sent("application/pdf", "file"),
    leaves(
        "a file nobody can fetch",
        replace(HELLO, attachment=Attachment(media_type="image/png", data=b"x")),
        None,
        Refused("Instagram fetches files from us, and this one has no public address."),
    ),
    leaves(
        "an agent after a day",
        waited(2, Author.AGENT),
        posted(messaging_type="MESSAGE_TAG", tag="HUMAN_AGENT"),
    ),
    leaves("an agent after a week", waited(7, Author.AGENT), None, WindowClosed()),
    leaves("a program after a day", waited(2, Author.BOT), None, WindowClosed()),
    leaves("window closed", HELLO, posted(), WindowClosed(provider_code="10/2534022"), fault(10, 2534022)),
    leaves("nobody there", HELLO, posted(), Unreachable(), fault(100, 2018001)),
    leaves("token died", HELLO, posted(), Misconfigured(), fault(190)),
    Leaves(
        name="profile",
        do=lambda channel: channel.profile(OLGA),
        answers=(Answer(body={"name": "Ольга Светлова", "username": "olga.sv"}),),
        calls=(call(PERSON, "fields=name,username&", method="GET"),),
        outcome=Profile(name="Ольга Светлова"),
    ),
    Leaves(
        name="profile of who has no name",
        do=lambda channel: channel.profile(OLGA),
        answers=(Answer(body={"username": "olga.sv"}),),
        calls=None,
        outcome=Profile(name="olga.sv"),
    ),
    Leaves(
        name="profile before they wrote",
        do=lambda channel: channel.profile(OLGA),
        answers=(fault(230),),
        calls=None,
        outcome=Profile(),
    ),
    Leaves(
        name="link",
        do=lambda channel: channel.link(),
        answers=(USERNAME,),
        calls=(ASK_USERNAME,),
        outcome="https://ig.me/m/kumbara.home",
    ),
    Leaves(
        name="register through a page",
        do=lambda channel: channel.register(URL),
        answers=(APP, HOOKED, Answer(body={"data": []}), Answer(body={"success": True}), told("messages")),
        calls=(
            call("debug_token", "input_token={secret}&", method="GET"),
            Call(method="GET", path="/v25.0/4/subscriptions"),
            call(f"{PAGE}/subscribed_apps", method="GET"),
            call(f"{PAGE}/subscribed_apps", "subscribed_fields=messages&"),
            call(f"{PAGE}/subscribed_apps", method="GET"),
        ),
        outcome=None,
    ),
)


@pytest.mark.parametrize("row", LEAVES, ids=lambda row: row.name)
async def test_leaves(row: Leaves) -> None:
    await harness.check_leaves(SUBJECT, row)


@pytest.mark.parametrize(
    ("parts", "node", "proven"),
    [
        ({"page_id": PAGE, "api_url": "https://graph.facebook.com"}, PAGE, True),
        ({"page_id": None, "api_url": "https://graph.facebook.com"}, "me", True),
        ({"page_id": None, "api_url": "https://graph.instagram.com"}, ACCOUNT, False),
    ],
    ids=["page", "page of the token", "by itself"],
)
def test_where_an_account_is_reached(parts: dict[str, Any], node: str, proven: bool) -> None:
    made = config("", **parts)
    assert (made.node, not made.by_itself) == (node, proven)


async def test_an_account_by_itself_is_subscribed_by_itself() -> None:
    async with harness.provider(
        SUBJECT, APP, HOOKED, Answer(body={"data": [{"id": "4"}]}), Answer(body={"success": True}), told(*FIELDS)
    ) as canned:
        made = channel(canned.url, page_id=None)
        await made.register(URL)
        await made.close()
        fields = ",".join(sorted(FIELDS))
        assert canned.calls[-2] == call(f"{ACCOUNT}/subscribed_apps", f"subscribed_fields={fields}&")


# --- bytes


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_length_is_counted_in_bytes(text: str) -> None:
    assert size(text) == len(text.encode())


@given(text=st.text(st.sampled_from("жщы ё. 👨‍👩‍👧a\n"), max_size=900))
def test_edge_22_parts_fit_into_a_thousand_bytes_and_lose_nothing(text: str) -> None:
    parts = plan(text, (), (), CAPABILITIES["instagram"])
    assert all(size(part.text) <= 1000 for part in parts)
    assert "".join("".join(part.text for part in parts).split()) == "".join(text.split())


def test_edge_22_a_long_answer_and_its_file_are_messages_of_their_own() -> None:
    picture = Attachment(media_type="image/png", filename="x.png", data=b"x", size=1)
    parts = plan("Я" * 501, (), (picture,), CAPABILITIES["instagram"])
    assert [(size(part.text), part.file) for part in parts] == [(1000, None), (2, None), (0, 0)]


# --- what was missed


async def test_edge_19_missed_stories_leave_nothing_but_their_link_either() -> None:
    at = "2026-01-01T09:00:00+0000"
    row = {"created_time": at, "from": {"id": PERSON, "username": "olga.sv"}, "to": {"data": [{"id": ACCOUNT}]}}
    picture = {"data": [{"image_data": {"url": CDN}}]}
    talk = {
        "updated_time": at,
        "messages": {
            "data": [
                row | {"id": "m_1", "attachments": picture, "story": {"mention": {"link": CDN, "id": "1"}}},
                row | {"id": "m_2", "message": "Сколько?", "story": {"reply_to": {"link": CDN, "id": "1"}}},
                row | {"id": "m_3", "shares": {"data": [{"link": "https://www.instagram.com/p/Cx1/"}]}},
            ]
        },
    }
    async with harness.provider(SUBJECT, Answer(body={"data": [talk]})) as canned:
        made = channel(canned.url)
        got = await made.missed("")
        await made.close()
        assert canned.calls[0].path.startswith(f"/v25.0/{PAGE}/conversations?platform=instagram&")
    common = {"sender_name": "olga.sv", "sent_at": datetime(2026, 1, 1, 9, tzinfo=UTC), "quiet": True}
    assert [replace(it, raw=b"") for it in got.events if isinstance(it, Received)] == [
        said(external_id="m_1", text=CDN, stub="story_mention", **common),
        said(external_id="m_2", text="Сколько?", quoted=CDN, stub="story_reply", **common),
        said(external_id="m_3", text="https://www.instagram.com/p/Cx1/", **common),
    ]


# --- what `santral check` says


async def test_check_through_a_page() -> None:
    subscribed = Answer(body={"data": [{"id": "4", "subscribed_fields": ["messages"]}]})
    async with harness.provider(SUBJECT, APP, USERNAME, subscribed, HOOKED) as canned:
        made = channel(canned.url)
        found = await made.check(URL)
        await made.close()
    assert [("" if it.ok else "! ") + it.what for it in found] == [
        "The account @kumbara.home answers.",
        "Meta accepts the access token, and it does not expire.",
        "The app is told what happens in the account.",
        "The webhook points here.",
    ]


@pytest.mark.parametrize(
    ("until", "what", "fix"),
    [
        (date(2026, 2, 20), "The access token ends on 2026-02-20.", ""),
        (date(2026, 1, 10), "The access token ends on 2026-01-10.", REFRESH),
        (date(2025, 12, 31), "The access token ended on 2025-12-31.", REFRESH),
        (
            None,
            "Nobody told when the access token ends: 60 days after it was made.",
            "Write that day into token_until, to be reminded in time.",
        ),
    ],
)
def test_edge_23_a_token_that_ends_is_told_before(until: date | None, what: str, fix: str) -> None:
    (finding,) = lasting(config("https://graph.instagram.com", page_id=None, token_until=until), AT)
    assert (finding.ok, finding.what, finding.fix) == (not fix, what, fix)
