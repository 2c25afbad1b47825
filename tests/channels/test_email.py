"""The e-mail channel as its callers see it; what it is made of is tested in `tests/mail`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from channels.channel import Request
from channels.errors import InDoubt, Malformed, Unverified
from channels.mail.adapter import Email, EmailConfig
from channels.mail.send.compose import compose
from channels.message import Address, Letter, Outgoing, Proof, Quoted, Received
from tests.channels.harness import Subject

AT = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
SECRET = "posta:cok-gizli"
HERE = Path(__file__).parent / "email"


def channel(url: str = "http://127.0.0.1:9", **more: object) -> Email:
    """A mailbox brought by a webhook and answered over the server at `url`."""
    parts = urlsplit(url)
    config = EmailConfig(
        address="support@kumbara.example",
        smtp=f"smtp://support:smtp-geheim@{parts.hostname}:{parts.port}",
        inbound="postmark",
        inbound_secret=SECRET,
        trusted_authserv=("mx.kumbara.example",),
        **more,  # type: ignore[arg-type]
    )
    return Email("mail", config, now=lambda: AT)


def signed(body: bytes) -> Request:
    return Request(
        method="POST",
        url="https://support.example.com/webhooks/mail",
        headers={
            "authorization": "Basic " + base64.b64encode(SECRET.encode()).decode(),
            "content-type": "application/json",
        },
        body=body,
    )


def answer(to: str = "ayse@ornek.com.tr") -> Outgoing:
    return Outgoing(
        id=UUID(int=7),
        to=Address(kind="email", value=to),
        text="Merhaba",
        context={"message_id": "<1@ornek.com.tr>", "subject": "Siparişim", "to": [to]},
    )


SUBJECT = Subject(
    kind="email",
    make=channel,
    secrets=(SECRET.partition(":")[2], "smtp-geheim"),
    signed=signed,
    signature="authorization",
    covers_body=False,
    payloads=HERE,
    send=lambda made: made.send(answer()),
    http=False,
)


def letter(raw: bytes, **facts: object) -> Letter:
    return Letter(channel="mail", external_id="imap:INBOX:1:1", digest=b"1", at=AT, raw=raw, facts=facts)


MAIL = """Authentication-Results: mx.kumbara.example; dmarc=pass header.from=ornek.com.tr
From: Ayşe <ayse@ornek.com.tr>
To: support@kumbara.example
Subject: Siparişim
Message-ID: <1@ornek.com.tr>

Siparişim nerede?

> Ne zaman verdiniz?
""".encode()


async def test_a_letter_is_read_in_a_child_and_again_with_the_same_result() -> None:
    made = channel()
    try:
        (first,) = await made.read(letter(MAIL))
        (again,) = await made.read(letter(MAIL))
    finally:
        await made.close()
    assert isinstance(first, Received)
    assert first == again
    assert (first.text, first.hidden, first.proof) == (
        "Siparişim nerede?",
        "> Ne zaman verdiniz?",
        Proof.AUTHENTICATED,
    )
    assert first.sender == Address(kind="email", value="ayse@ornek.com.tr")
    assert first.names == ("<1@ornek.com.tr>",)


async def test_the_same_mail_unproven_is_another_address() -> None:
    made = channel()
    try:
        (read,) = await made.read(letter(MAIL.replace(b"mx.kumbara.example;", b"mx.somewhere.example;")))
    finally:
        await made.close()
    assert isinstance(read, Received)
    assert read.sender == Address(kind="email-claimed", value="ayse@ornek.com.tr")
    assert read.twin == Address(kind="email", value="ayse@ornek.com.tr")


async def test_one_too_large_to_fetch_is_shown_with_its_sender_and_the_reason() -> None:
    made = channel()
    try:
        (read,) = await made.read(letter(MAIL, cut=True, size=80 << 20))
    finally:
        await made.close()
    assert isinstance(read, Received)
    assert (read.subject, read.stub, read.sender.value) == ("Siparişim", "mail", "ayse@ornek.com.tr")
    assert "80 MB" in read.why


async def test_one_that_takes_too_long_is_shown_and_the_next_is_read() -> None:
    made = channel(read_seconds=0.0)
    try:
        (slow,) = await made.read(letter(MAIL))
    finally:
        await made.close()
    assert isinstance(slow, Received)
    assert (slow.stub, slow.subject) == ("mail", "Siparişim")


async def test_nothing_a_mail_can_hold_leaves_it_unseen() -> None:
    made = channel()
    try:
        for raw in (b"", b"\n", b"\x00" * 100, b"From: x\n\n", b"Subject: a\n" * 5_000, b"(" * 200_000):
            assert len(await made.read(letter(raw))) == 1, raw[:20]
    finally:
        await made.close()


async def test_a_mailbox_without_webhook_takes_no_request() -> None:
    made = Email("mail", EmailConfig(address="a@b.example", smtp="smtp://127.0.0.1:9"))
    with pytest.raises(Unverified):
        made.verify(signed(b"{}"))
    with pytest.raises(Malformed):
        made.parse(signed(b"{}"), AT)


async def test_what_became_of_a_mail_is_a_doubt_where_no_sent_folder_tells() -> None:
    made = channel()
    with pytest.raises(InDoubt):
        await made.find(answer())
    await made.close()


async def test_who_else_was_written_to_is_told_without_us_and_the_sender() -> None:
    to = "Support+r.x@kumbara.example, es@ornek.com.tr"
    cc = ", ".join(["AYSE@ornek.com.tr", "sales@kumbara.example", *(f"{n}@example.com" for n in range(30))])
    made = channel(mailboxes=("sales@kumbara.example",))
    raw = f"From: Ay <ayse@ornek.com.tr>\r\nTo: {to}\r\nCc: {cc}\r\nSubject: x\r\n\r\nMerhaba\r\n".encode()
    try:
        (event,) = await made.read(letter(raw))
    finally:
        await made.close()
    assert isinstance(event, Received)
    assert event.also_to[:2] == ("es@ornek.com.tr", "0@example.com")
    assert len(event.also_to) == 20
    assert event.context["to"] == ["ayse@ornek.com.tr"], "an answer goes to the customer alone"
    assert "cc" not in event.context


async def test_an_answer_carries_on_the_first_and_the_newest_references() -> None:
    made = channel()
    ids = " ".join(f"<{n}@ornek.com.tr>" for n in range(80))
    raw = f"From: ayse@ornek.com.tr\r\nMessage-ID: <last@x>\r\nReferences: {ids}\r\n\r\nMerhaba\r\n".encode()
    try:
        (event,) = await made.read(letter(raw))
    finally:
        await made.close()
    assert isinstance(event, Received)
    kept = [f"<{n}@ornek.com.tr>" for n in (0, *range(61, 80))]
    assert event.context["references"] == kept
    (line,) = re.findall(rb"\r\nReferences: ([^\r]*(?:\r\n [^\r]*)*)", composed(made, event.context))
    assert line.decode().split() == [*kept, "<last@x>"]


def test_the_past_is_dated_by_the_clock_of_the_shop() -> None:
    made = channel(timezone="Europe/Istanbul")
    quoted = Quoted(text="Nerede?", at=datetime(2026, 11, 22, 1, 26, tzinfo=UTC), author="Ay")
    assert b"22.11.2026 04:26, Ay" in composed(made, {}, quoted=quoted)


def composed(made: Email, context: Mapping[str, object], **more: object) -> bytes:
    """The mail of an answer."""
    return compose(replace(answer(), context=context, **more), made._from(), AT).raw  # type: ignore[arg-type]


async def test_a_check_gives_the_record_that_dns_has_to_hold_and_what_it_does_not_look_at() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    made = channel("http://127.0.0.1:1", dkim_selector="s1", dkim_key=pem)
    try:
        told = [finding.what for finding in await made.check("https://support.example.com/webhooks/mail")]
    finally:
        await made.close()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    assert any("s1._domainkey.kumbara.example" in what and f"k=ed25519; p={public}" in what for what in told)
    assert any("SPF, DKIM and DMARC of kumbara.example" in what for what in told)
    assert "PRIVATE KEY" not in str(told)
