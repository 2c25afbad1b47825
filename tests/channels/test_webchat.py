"""The web chat as its callers see it, and what browsers tell it; the socket itself is tested in `tests/webchat`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Request
from channels.errors import Malformed
from channels.message import Address, Outgoing, Proof, Withdrawn
from channels.webchat import adapter as webchat
from channels.webchat.adapter import Webchat, WebchatConfig
from channels.webchat.visitors import Visitor
from tests.channels.harness import JUNK, Subject, changed, places, storable

AT = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
SECRET = "webchat-geheim-of-at-least-32-bytes-length"
ID = "0b4f4d2e-8a57-4b6c-9d55-0a4f4d2e8a57"
BROWSER = "AAAAAAAAAAAAAAAAAAAAAA"
NOBODY = Visitor(browser=BROWSER)
AYSE = Visitor(browser=BROWSER, account="4711", name="Ayşe", email="ayse@ornek.example", phone="+905320001122")


def channel(url: str = "https://support.example.com", **more: Any) -> Webchat:
    config = {"origins": ("https://shop.example",), "identity_secret": SECRET, "public_url": url, **more}
    return Webchat("chat", WebchatConfig(**config))


def answer() -> Outgoing:
    return Outgoing(id=UUID(int=7), to=Address(kind="visitor", value=BROWSER), text="Merhaba")


def signed(body: bytes) -> Request:
    return Request(method="POST", url="", headers={}, body=body)


SUBJECT = Subject(
    kind="webchat",
    make=channel,
    secrets=(SECRET,),
    signed=signed,
    signature="",
    covers_body=False,
    payloads=Path(__file__).parent / "webchat",
    send=lambda made: made.send(answer()),
    http=False,
    carried=False,
)


async def test_what_is_committed_is_sent() -> None:
    made = channel()
    assert await made.send(answer()) == str(UUID(int=7))
    assert await made.find(answer()) == str(UUID(int=7))
    assert await made.link() == "https://support.example.com/chat/chat"
    assert await channel("").link() == ""


def test_a_secret_is_in_no_repr() -> None:
    assert SECRET not in repr(channel())


async def test_the_check_says_what_keeps_the_bubble_from_being_shown() -> None:
    (fine,) = await channel().check("")
    assert fine.ok
    assert '<script src="https://support.example.com/chat/chat/widget.js" async></script>' in fine.what
    for url, words in {"": "has no address", "http://10.0.0.1": "public_url is not https"}.items():
        (found,) = await channel(url).check("")
        assert not found.ok
        assert words in found.what
        assert found.fix
    short = (await channel(identity_secret="kurz").check(""))[-1]
    assert not short.ok
    assert "kurz" not in short.what


def say(**more: Any) -> dict[str, Any]:
    return {"type": "say", "id": ID, "text": "Merhaba", **more}


def test_a_stranger_is_their_browser_and_an_account_is_proven_by_the_shop() -> None:
    said = webchat.said(say(age=90_000))
    stranger = webchat.received("chat", NOBODY, said, AT, language="tr-TR")
    assert stranger.sender == Address(kind="visitor", value=BROWSER)
    assert (stranger.proof, stranger.proofs) == (Proof.PLATFORM, ())
    assert (stranger.sent_at, stranger.language) == (AT - timedelta(seconds=90), "tr-TR")
    known = webchat.received("chat", AYSE, said, AT)
    assert known.sender == Address(kind="account", value="chat:4711")
    assert known.external_id == stranger.external_id, "sent again after logging in, it is the same message"
    assert known.proof is Proof.VERIFIED
    assert dict(known.proofs) == {
        Address(kind="visitor", value=BROWSER): Proof.PLATFORM,
        Address(kind="email", value="ayse@ornek.example"): Proof.VERIFIED,
        Address(kind="phone", value="+905320001122"): Proof.VERIFIED,
    }


def test_browsers_cannot_name_each_other_s_messages() -> None:
    other = Visitor(browser="B" * 22)
    mine, theirs = (webchat.received("chat", who, webchat.said(say()), AT) for who in (NOBODY, other))
    assert mine.external_id != theirs.external_id
    assert webchat.browser_id(mine.external_id, other.browser) == ""
    assert webchat.browser_id(mine.external_id, BROWSER) == ID
    gone = webchat.withdrawn("chat", other, ID, AT)
    assert isinstance(gone, Withdrawn)
    assert gone.external_id == theirs.external_id


@pytest.mark.parametrize("age", [-5, 0, "x", True, None, 1e300, 8 * 86_400_000])
def test_an_age_that_cannot_be_true_is_none(age: Any) -> None:
    assert webchat.said(say(age=age)).age == timedelta()


@given(st.data())
def test_whatever_a_browser_sends_is_a_storable_message_or_malformed(data: st.DataObject) -> None:
    told: Any = say(files=["a"], reply="1.0", payload="p", age=5)
    for _ in range(data.draw(st.integers(1, 3))):
        told = changed(told, data.draw(st.sampled_from(list(places(told)))), data.draw(JUNK))
    try:
        frame = webchat.frame(json.dumps(told))
        said = webchat.said(frame)
        storable(webchat.received("chat", AYSE, said, AT, language=str(frame.get("language"))))
    except Malformed:
        return


@given(st.text())
def test_any_text_is_a_frame_or_malformed(text: str) -> None:
    try:
        assert isinstance(webchat.frame(text)["type"], str)
    except Malformed:
        return
