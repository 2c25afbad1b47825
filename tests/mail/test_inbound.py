"""Mail by webhook: what each provider posts, with its own signature, and what becomes of it."""

from __future__ import annotations

import asyncio
import base64
import email
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Request
from channels.errors import Malformed, Retry, Unverified
from channels.mail.inbound.arrival import envelope
from channels.mail.inbound.providers import Inbound, provider
from channels.message import Letter, Unreadable
from tests.channels.harness import storable

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FILES = Path(__file__).parent / "inbound"
RAW = (FILES / "raw.eml").read_bytes()
USER = "santral:çok gizli"
KEY = "key-4711"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:mail"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"


def post(body: bytes, **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method="POST", url="https://shop.example/webhooks/mail", headers=named, body=body)


def basic(request: Request, user: str = USER) -> Request:
    coded = base64.b64encode(user.encode()).decode()
    return replace(request, headers={**request.headers, "authorization": f"Basic {coded}"})


def form(*fields: tuple[str, str | bytes] | tuple[str, bytes, str, str]) -> Request:
    """A form as aiohttp writes it: name and value, or name, bytes, file name and media type."""

    async def write() -> tuple[str, bytes]:
        data = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
        for name, value, *file in fields:
            raw = value.encode() if isinstance(value, str) else value
            if file:
                data.add_field(name, raw, filename=file[0], content_type=file[1])
            else:
                data.add_field(name, aiohttp.BytesPayload(raw, content_type="text/plain"))
        written: Any = data()
        return written.headers["Content-Type"], await written.as_bytes()

    kind, body = asyncio.run(write())
    return post(body, content_type=kind)


def only(found: Any) -> Letter:
    (letter,) = found
    assert isinstance(letter, Letter)
    storable(dict(letter.facts))
    storable(letter.external_id)
    assert (letter.channel, letter.at) == ("mail", AT)
    return letter


def read(raw: bytes) -> EmailMessage:
    mail = email.message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def leaves(mail: EmailMessage) -> list[tuple[str, Any, bytes]]:
    """Type, file name and bytes of every part that holds some."""
    return [
        (part.get_content_type(), part.get_filename(), bytes(part.get_payload(decode=True) or b""))
        for part in mail.walk()
        if not part.is_multipart()
    ]


def shown(header: str) -> str:
    """A header in UTF-8 without encoded words (RFC 6532), which the standard library gives back as it came."""
    return header.encode("utf-8", "surrogateescape").decode()


# --- SendGrid

SENDGRID = ec.generate_private_key(ec.SECP256R1())
SENDGRID_KEY = base64.b64encode(
    SENDGRID.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
ENVELOPE = ("envelope", json.dumps({"to": ["destek@ornek.com.tr"], "from": "ayse@example.net"}))


def signed_by_sendgrid(
    request: Request, key: ec.EllipticCurvePrivateKey = SENDGRID, stamp: str = "1772366400"
) -> Request:
    signature = base64.b64encode(key.sign(stamp.encode() + request.body, ec.ECDSA(SHA256()))).decode()
    names = "x-twilio-email-event-webhook-"
    return replace(request, headers={**request.headers, f"{names}signature": signature, f"{names}timestamp": stamp})


def raw_form() -> Request:
    return form(
        ("email", RAW),
        ENVELOPE,
        ("SPF", "pass"),
        ("dkim", "{@example.net : pass, @mailer.example : fail}"),
        ("sender_ip", "8.8.8.8"),
        ("spam_score", "5.1"),
        ("to", "destek@ornek.com.tr"),
    )


def test_sendgrid_brings_the_raw_mail_and_what_it_knows_of_it() -> None:
    sendgrid = provider("sendgrid", "mail", SENDGRID_KEY)
    request = signed_by_sendgrid(raw_form())
    sendgrid.verify(request)
    letter = only(sendgrid.parse(request, AT))
    assert letter.raw == RAW
    told = envelope(letter.facts)
    assert (told.mail_from, told.recipients) == ("ayse@example.net", ("destek@ornek.com.tr",))
    assert (told.client_ip, told.spam) == ("8.8.8.8", True)
    assert told.verdicts == {"spf": "pass", "dkim": "pass", "dkim_domains": "example.net"}
    again = only(sendgrid.parse(signed_by_sendgrid(raw_form(), stamp="1772369999"), AT))
    assert again.external_id == letter.external_id, "brought again after a lost answer"


@pytest.mark.parametrize("forged", ["body", "stamp", "key", "nothing", "no base64", "rsa"])
def test_sendgrids_signature_covers_time_and_body(forged: str) -> None:
    request = signed_by_sendgrid(raw_form())
    stranger = ec.generate_private_key(ec.SECP256R1())
    name = "x-twilio-email-event-webhook-"
    attempts = {
        "body": replace(request, body=request.body.replace(b"4711", b"4712")),
        "stamp": replace(request, headers={**request.headers, f"{name}timestamp": "1772366401"}),
        "key": signed_by_sendgrid(raw_form(), stranger),
        "nothing": raw_form(),
        "no base64": replace(request, headers={**request.headers, f"{name}signature": "çok gizli"}),
        "rsa": replace(request, headers={**request.headers, f"{name}signature": base64.b64encode(b"0" * 256).decode()}),
    }
    with pytest.raises(Unverified):
        provider("sendgrid", "mail", SENDGRID_KEY).verify(attempts[forged])


def apart(**charsets: str) -> Request:
    headers = b"From: =?utf-8?q?Ay=C5=9Fe?= <ayse@example.net>\nSubject: Fwd:\n =?utf-8?q?kargo?=\nX-Raw: \xfe\xf0\n"
    about = {"attachment1": {"filename": "fiş.pdf", "type": "application/pdf", "content-id": "fis@1"}}
    return form(
        ("headers", headers + b"Content-Type: multipart/mixed; boundary=gone\nDKIM-Signature: v=1"),
        ("text", "şikâyet: ğüş".encode("iso-8859-9")),
        ("html", "<p>şikâyet</p>".encode()),
        ("charsets", json.dumps({"text": "iso-8859-9", "html": "utf-8", **charsets})),
        ENVELOPE,
        ("attachments", "2"),
        ("attachment-info", json.dumps(about)),
        ("attachment1", b"%PDF\x00\xff\r\n--not a boundary\r\n", "fis.pdf", "application/pdf"),
        ("attachment2", b"From: x@y.example\r\n\r\nenclosed", "mail.eml", "message/rfc822"),
    )


def test_a_mail_that_sendgrid_took_apart_is_put_together_again() -> None:
    letter = only(provider("sendgrid", "mail", USER).parse(apart(), AT))
    mail = read(letter.raw)
    assert letter.facts["rebuilt"] is True
    assert mail["From"] == "Ayşe <ayse@example.net>"
    assert mail["Subject"] == "Fwd: kargo"
    assert mail["DKIM-Signature"] is None
    assert mail["X-Original-DKIM-Signature"] == "v=1"
    assert b"X-Raw: \xfe\xf0\r\n" in letter.raw
    text, html, pdf, enclosed = leaves(mail)
    assert mail.get_body(("plain",)).get_content().strip() == "şikâyet: ğüş"  # type: ignore[union-attr]
    assert text[2] == "şikâyet: ğüş".encode("iso-8859-9")
    assert html == ("text/html", None, "<p>şikâyet</p>".encode())
    assert pdf == ("application/pdf", "fiş.pdf", b"%PDF\x00\xff\r\n--not a boundary\r\n")
    assert enclosed[2] == b"enclosed"
    assert b"From: x@y.example\r\n\r\nenclosed" in letter.raw


def test_a_signature_of_part_of_a_mail_proves_nothing_once_the_mail_was_taken_apart() -> None:
    block = "From: a@example.net\nDKIM-Signature: v=1; d=example.net;\n l=12; s=k1"
    fields = (("text", "x"), ("dkim", "{@example.net : pass}"))
    sendgrid = provider("sendgrid", "mail", USER)
    assert envelope(only(sendgrid.parse(form(("headers", block), *fields), AT)).facts).verdicts == {}
    whole = block.replace(" l=12;", "")
    assert envelope(only(sendgrid.parse(form(("headers", whole), *fields), AT)).facts).verdicts["dkim"] == "pass"


@pytest.mark.parametrize("charset", ["x-unknown", "iso-8859-9\r\nX-Evil: yes", "utf-7", "idna", "hex", "", "ş" * 5_000])
def test_a_charset_that_is_none_costs_nothing(charset: str) -> None:
    fields = [("subject", b"\xfe\xff+2AA- x"), ("from", b"ay\xfee@example.net"), ("text", b"\xfe\xf0")]
    charsets = ("charsets", json.dumps(dict.fromkeys(("subject", "from", "text"), charset)))
    letter = only(provider("sendgrid", "mail", USER).parse(form(*fields, charsets), AT))
    assert leaves(read(letter.raw))[0][2] == b"\xfe\xf0"
    assert b"\r\nX-Evil" not in letter.raw


def test_no_header_grows_out_of_another_ones_value() -> None:
    breaks = "x\x0bFrom: boss@ornek.com.tr\u2028From: boss@ornek.com.tr\x85From: b\rBcc: c@d.example"
    block = f"From: a@example.net\nSubject: {breaks}"
    letter = only(provider("sendgrid", "mail", USER).parse(form(("headers", block), ("text", "x")), AT))
    mail = read(letter.raw)
    assert mail.get_all("From") == ["a@example.net"]
    assert mail["Bcc"] is None
    assert "boss@ornek.com.tr" in mail["Subject"]


# --- a password in the URL


@pytest.mark.parametrize("name", ["sendgrid", "postmark"])
@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic !!!", "Bearer x", "Basic " + base64.b64encode(b"santral:wrong").decode()]
)
def test_without_the_password_nobody_is_believed(name: Any, header: str) -> None:
    reader = provider(name, "mail", USER)
    reader.verify(basic(post(b"{}")))
    with pytest.raises(Unverified):
        reader.verify(post(b"{}", authorization=header))
    with pytest.raises(Unverified):
        reader.verify(post(b"{}"))


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("sendgrid", ""),
        ("sendgrid", "no key"),
        ("sendgrid", "user:"),
        ("mailgun", ""),
        ("postmark", "only-a-word"),
        ("ses", "arn:aws:sqs:eu-west-1:123456789012:mail"),
        ("ses", TOPIC + "\n"),
    ],
)
def test_a_secret_that_cannot_be_one_is_refused_when_it_is_configured(name: Any, secret: str) -> None:
    with pytest.raises(ValueError, match=r"secret|key"):
        provider(name, "mail", secret)


# --- Mailgun


def mailgun_fields(
    more: Mapping[str, str | bytes] = {"body-mime": RAW}, *, token: str = "t" * 50, at: datetime = AT, key: str = KEY
) -> dict[str, str | bytes]:
    stamp = str(int(at.timestamp()))
    signature = hmac.new(key.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()
    common = {"recipient": "destek@ornek.com.tr", "sender": "ayse@example.net", "subject": "Kargo"}
    return {**common, **more, "timestamp": stamp, "token": token, "signature": signature}


def mailgun(now: datetime = AT) -> Inbound:
    return provider("mailgun", "mail", KEY, now=lambda: now)


def in_the_urls_manner(fields: Mapping[str, str | bytes]) -> Request:
    return post(urlencode(fields).encode(), content_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize("way", [in_the_urls_manner, lambda fields: form(*fields.items())], ids=["url", "multipart"])
def test_mailgun_brings_the_raw_mail_in_either_kind_of_form(way: Callable[[Any], Request]) -> None:
    raw = RAW + b"1 + 1 = 100 % & more\r\n"
    request = way(mailgun_fields({"body-mime": raw, "X-Mailgun-Sflag": "Yes"}))
    mailgun().verify(request)
    letter = only(mailgun().parse(request, AT))
    assert letter.raw == raw
    assert letter.external_id == "mailgun:" + "t" * 50
    told = envelope(letter.facts)
    assert (told.mail_from, told.recipients, told.spam) == ("ayse@example.net", ("destek@ornek.com.tr",), True)
    assert told.verdicts == {}, "what Mailgun found stands in the mail, where anybody may write it"


@pytest.mark.parametrize("forged", ["token", "timestamp", "signature", "key", "no token", "words", "empty"])
def test_mailguns_signature_covers_time_and_token(forged: str) -> None:
    fields = mailgun_fields()
    attempts: dict[str, dict[str, Any]] = {
        "token": {**fields, "token": "u" * 50},
        "timestamp": {**fields, "timestamp": str(int(AT.timestamp()) + 1)},
        "signature": {**fields, "signature": "ş" * 64},
        "key": mailgun_fields(key="another"),
        "no token": mailgun_fields(token=""),
        "words": {**fields, "timestamp": "yesterday"},
        "empty": {},
    }
    with pytest.raises(Unverified):
        mailgun().verify(in_the_urls_manner(attempts[forged]))


@pytest.mark.parametrize(("minutes", "believed"), [(14, True), (-14, True), (16, False), (-16, False)])
def test_an_old_signature_of_mailguns_is_no_longer_believed(minutes: int, believed: bool) -> None:
    request = in_the_urls_manner(mailgun_fields())
    checking = mailgun(AT + timedelta(minutes=minutes))
    if believed:
        checking.verify(request)
    else:
        with pytest.raises(Unverified):
            checking.verify(request)


def test_a_token_used_again_with_another_body_is_the_same_letter() -> None:
    first = only(mailgun().parse(in_the_urls_manner(mailgun_fields()), AT))
    second = only(mailgun().parse(in_the_urls_manner(mailgun_fields({"body-mime": b"Subject: forged\r\n\r\n"})), AT))
    assert first.external_id == second.external_id


def test_a_mail_that_mailgun_took_apart_is_put_together_again() -> None:
    pairs = [["Received", "by mx"], ["From", "Ayşe <ayse@example.net>"], ["To", "x@y.example"], ["Bad", 7], "junk"]
    fields = mailgun_fields(
        {
            "message-headers": json.dumps(pairs),
            "body-plain": "şikâyet",
            "body-html": "<p>şikâyet <img src='cid:foto@1'></p>",
            "stripped-text": "cut",
            "content-id-map": json.dumps({"<foto@1>": "attachment-1"}),
        }
    )
    request = form(*fields.items(), ("attachment-1", b"\x89PNG", 'kırık "fincan".png', "image/png"))
    mail = read(only(mailgun().parse(request, AT)).raw)
    assert shown(mail["From"]) == "Ayşe <ayse@example.net>"
    assert mail["Received"] == "by mx"
    (_, _, text), html, picture = leaves(mail)
    assert text.decode() == "şikâyet"
    assert html[0] == "text/html"
    assert picture == ("image/png", 'kırık "fincan".png', b"\x89PNG")
    assert [part["Content-ID"] for part in mail.walk() if part["Content-ID"]] == ["<foto@1>"]
    assert b"cut" not in text


def test_a_route_that_keeps_the_files_is_said_so() -> None:
    request = in_the_urls_manner(
        mailgun_fields({"body-plain": "see the files", "attachments": '[{"url": "https://"}]'})
    )
    (found,) = mailgun().parse(request, AT)
    assert isinstance(found, Unreadable)
    assert "forward()" in found.reason
    assert found.raw == request.body


# --- Postmark

POSTMARK: dict[str, Any] = json.loads((FILES / "postmark.json").read_text(encoding="utf-8"))


def test_postmark_brings_the_raw_mail_where_that_is_switched_on() -> None:
    raw = "Subject: =?utf-8?q?Kargo?=\r\n\r\nşikâyet\r\n"
    reader = provider("postmark", "mail", USER)
    letter = only(reader.parse(post(json.dumps({**POSTMARK, "RawEmail": raw}).encode()), AT))
    assert letter.raw == raw.encode()
    assert letter.external_id == "postmark:73e6d360-66eb-11e1-8e72-a8904824019b"
    assert "rebuilt" not in letter.facts


def test_a_mail_of_postmarks_is_put_together_again() -> None:
    letter = only(provider("postmark", "mail", USER).parse(post(json.dumps(POSTMARK).encode()), AT))
    told = envelope(letter.facts)
    assert told.mail_from == "ayse@example.net", "the first Return-Path is Postmark's, the second was in the mail"
    assert told.recipients == ("destek+r.1@ornek.com.tr",)
    assert not told.spam
    mail = read(letter.raw)
    (sender,) = mail["From"].addresses
    assert (shown(sender.display_name), sender.addr_spec) == ('Ayşe "Ay" Yılmaz', "ayse@example.net")
    assert [to.addr_spec for to in mail["To"].addresses] == ["destek+r.1@ornek.com.tr"]
    assert mail["Cc"].addresses[0].display_name == "Mehmet"
    assert (shown(mail["Subject"]), mail["Reply-To"]) == ("Siparişim gelmedi", "ayse.ev@example.net")
    assert mail["Date"].datetime == datetime(2026, 3, 1, 11, 57, 58, tzinfo=UTC)
    assert mail["Message-ID"] == "<kargo-1@example.net>"
    text, html, picture = leaves(mail)
    assert text[2].decode() == POSTMARK["TextBody"]
    assert html[2].decode() == POSTMARK["HtmlBody"]
    assert picture == ("image/png", "kırık fincan.png", b"\x89PNG\r\n\x1a\n")


def test_what_postmark_tells_twice_is_in_the_mail_once() -> None:
    headers = [*POSTMARK["Headers"], {"Name": "subject", "Value": "as it was sent"}]
    letter = only(
        provider("postmark", "mail", USER).parse(post(json.dumps({**POSTMARK, "Headers": headers}).encode()), AT)
    )
    assert read(letter.raw).get_all("Subject") == ["as it was sent"]


@pytest.mark.parametrize("first", [{"Name": "Received", "Value": "by mx"}, {"Name": 7}, "Return-Path"])
def test_a_return_path_further_down_is_not_believed(first: Any) -> None:
    headers = [first, {"Name": "Received", "Value": "by mx"}, *POSTMARK["Headers"]]
    letter = only(
        provider("postmark", "mail", USER).parse(post(json.dumps({**POSTMARK, "Headers": headers}).encode()), AT)
    )
    assert envelope(letter.facts).mail_from is None


# --- Amazon SES

SES: dict[str, Any] = json.loads((FILES / "ses.json").read_text(encoding="utf-8"))
SIGNED = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


@cache
def amazon() -> tuple[rsa.RSAPrivateKey, bytes]:
    return certified(AT - timedelta(days=1), AT + timedelta(days=300))


def certified(since: datetime, until: datetime) -> tuple[rsa.RSAPrivateKey, bytes]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .sign(key, SHA256())
    )
    return key, made.public_bytes(Encoding.PEM)


def notified(message: Mapping[str, Any] | str, version: str = "2", **more: str) -> dict[str, str]:
    told = {
        "Type": "Notification",
        "MessageId": "da41e39f-ea4d-435a-b922-c6aae3915ebe",
        "TopicArn": TOPIC,
        "Message": message if isinstance(message, str) else json.dumps(message, ensure_ascii=False),
        "Timestamp": "2026-03-01T11:58:01.000Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
        **more,
    }
    covered = "".join(f"{name}\n{told[name]}\n" for name in SIGNED if name in told)
    algorithm = SHA1() if version == "1" else SHA256()
    signature = amazon()[0].sign(covered.encode(), padding.PKCS1v15(), algorithm)
    return {**told, "Signature": base64.b64encode(signature).decode()}


def sent(told: Mapping[str, Any]) -> Request:
    return post(json.dumps(told).encode(), content_type="text/plain; charset=UTF-8")


class Amazon:
    """Where certificates are fetched from."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        answer = self.answers.pop(0) if self.answers else amazon()[1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reader(self, now: datetime = AT) -> Inbound:
        return provider("ses", "mail", TOPIC, now=lambda: now, fetch=self.fetch)


async def believed(reader: Inbound, request: Request) -> None:
    """Bring it until the certificate is there, as SNS does after a 503."""
    async with asyncio.timeout(15):
        while True:
            try:
                reader.verify(request)
            except Retry as error:
                assert error.after
                await asyncio.sleep(0)
            else:
                return


def inline(content: str = "", **action: str) -> dict[str, Any]:
    receipt = {**SES["receipt"], "action": {**SES["receipt"]["action"], **action}}
    return {**SES, "receipt": receipt, "content": content or base64.b64encode(RAW).decode()}


@pytest.mark.parametrize("version", ["1", "2"])
async def test_ses_brings_the_raw_mail_and_its_verdicts(version: str) -> None:
    there = Amazon()
    reader, request = there.reader(), sent(notified(inline(), version, Subject="Amazon SES Email Receipt"))
    with pytest.raises(Retry):
        reader.verify(request)
    await believed(reader, request)
    reader.verify(request)
    assert there.asked == [CERTIFICATE], "fetched once"
    letter = only(reader.parse(request, AT))
    assert letter.raw == RAW
    assert letter.external_id == "ses:d6iitobk75ur44p8kdnnp7g2n800"
    told = envelope(letter.facts)
    assert (told.mail_from, told.recipients, told.spam) == ("ayse@example.net", ("destek@ornek.com.tr",), False)
    assert told.verdicts == {"spam": "pass", "spf": "pass", "dkim": "none", "dmarc": "fail", "dmarc_policy": "reject"}
    assert reader.confirmations(request) is None


async def test_ses_brings_text_as_well() -> None:
    letter = only(Amazon().reader().parse(sent(notified(inline("Subject: x\r\n\r\nşikâyet", encoding="UTF-8"))), AT))
    assert letter.raw == "Subject: x\r\n\r\nşikâyet".encode()


def test_a_mail_that_lies_in_s3_is_a_letter_without_its_bytes() -> None:
    action = {"type": "S3", "bucketName": "shop-mail", "objectKeyPrefix": "in", "objectKey": "in/d6ii"}
    there = {**SES, "receipt": {**SES["receipt"], "action": action}}
    other = {**there, "mail": {**SES["mail"], "messageId": "another"}}
    first, second = (only(Amazon().reader().parse(sent(notified(told)), AT)) for told in (there, other))
    assert first.raw == b""
    assert first.facts["s3"] == {"bucket": "shop-mail", "key": "in/d6ii", "region": "eu-west-1"}
    assert first.digest != second.digest, "two mails that are not here yet are not copies of each other"


@pytest.mark.parametrize("status", ["spam", "virus"])
def test_what_ses_finds_to_be_bad_is_marked(status: str) -> None:
    told = inline()
    told["receipt"][f"{status}Verdict"] = {"status": "FAIL"}
    assert envelope(only(Amazon().reader().parse(sent(notified(told)), AT)).facts).spam


FORGED: dict[str, Callable[[dict[str, str]], Mapping[str, Any]]] = {
    "message": lambda told: {**told, "Message": told["Message"].replace("ayse@", "boss@")},
    "subject added": lambda told: {**told, "Subject": "x"},
    "another topic": lambda _: notified(inline(), TopicArn=TOPIC + "2"),
    "another account": lambda _: notified(inline(), TopicArn=TOPIC.replace("1234", "4321")),
    "another host": lambda _: notified(inline(), SigningCertURL=CERTIFICATE.replace("amazonaws.com", "evil.example")),
    "a longer host": lambda _: notified(inline(), SigningCertURL=CERTIFICATE.replace(".com", ".com.evil.example")),
    "a user": lambda _: notified(
        inline(), SigningCertURL=CERTIFICATE.replace("//", "//sns.amazonaws.com@evil.example/")
    ),
    "a port": lambda _: notified(inline(), SigningCertURL=CERTIFICATE.replace(".com/", ".com:8443/")),
    "no TLS": lambda _: notified(inline(), SigningCertURL=CERTIFICATE.replace("https", "http")),
    "another bucket": lambda _: notified(
        inline(), SigningCertURL="https://s3.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem"
    ),
    "another path": lambda _: notified(inline(), SigningCertURL=CERTIFICATE.replace("/Simple", "/x/../Simple")),
    "a query": lambda _: notified(inline(), SigningCertURL=CERTIFICATE + "?x=.pem"),
    "no signature": lambda told: {**told, "Signature": ""},
    "a number": lambda told: {**told, "Signature": 7, "SignatureVersion": 2},
    "version 3": lambda told: {**told, "SignatureVersion": "3"},
    "another type": lambda told: {**told, "Type": "Alert"},
}


@pytest.mark.parametrize("forged", FORGED)
async def test_only_amazon_is_believed_and_only_amazon_is_asked(forged: str) -> None:
    there = Amazon()
    reader = there.reader()
    await believed(reader, sent(notified(inline())))
    with pytest.raises(Unverified):
        reader.verify(sent(FORGED[forged](notified(inline()))))
    await asyncio.sleep(0)
    assert there.asked == [CERTIFICATE]


async def test_a_certificate_that_did_not_come_is_fetched_again() -> None:
    there = Amazon(TimeoutError(), b"<html>not found</html>")
    await believed(there.reader(), sent(notified(inline())))
    assert len(there.asked) == 3


async def test_a_certificate_that_has_run_out_is_worth_nothing() -> None:
    with pytest.raises(Unverified):
        await believed(Amazon().reader(AT + timedelta(days=301)), sent(notified(inline())))


async def test_another_ones_certificate_does_not_fit() -> None:
    with pytest.raises(Unverified):
        await believed(Amazon(certified(AT, AT + timedelta(days=1))[1]).reader(), sent(notified(inline())))


async def test_a_subscription_is_confirmed_where_amazon_says_and_nowhere_else() -> None:
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37"
    reader = Amazon().reader()
    request = sent(
        notified("You have chosen to subscribe", Type="SubscriptionConfirmation", Token="2336", SubscribeURL=url)
    )
    await believed(reader, request)
    assert reader.confirmations(request) == url
    assert reader.parse(request, AT) == ()
    for other in (
        "https://evil.example/",
        url.replace("//", "//x@"),
        url.replace("//", "//x"),
        url.replace(".com", ".com.evil.example"),
        url.replace("https", "http"),
        "",
    ):
        assert reader.confirmations(sent(notified("x", Type="SubscriptionConfirmation", SubscribeURL=other))) is None
    assert reader.confirmations(sent(notified("x", SubscribeURL=url))) is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (notified("You have been unsubscribed", Type="UnsubscribeConfirmation", Token="2", SubscribeURL="x"), "ended"),
        (notified("hello from the console"), "no mail"),
        (notified({"notificationType": "Bounce", "bounce": {}}), "Bounce"),
        (notified({**SES}), "without a mail"),
    ],
)
def test_what_is_no_mail_is_shown_to_the_operator(told: dict[str, str], words: str) -> None:
    request = sent(told)
    (found,) = Amazon().reader().parse(request, AT)
    assert isinstance(found, Unreadable)
    assert words in found.reason
    assert found.raw == request.body


# --- whatever comes

READERS: dict[str, Inbound] = {
    "sendgrid": provider("sendgrid", "mail", SENDGRID_KEY),
    "mailgun": mailgun(),
    "postmark": provider("postmark", "mail", USER),
    "ses": provider("ses", "mail", TOPIC),
}
BODIES: dict[str, tuple[Request, ...]] = {
    "sendgrid": (raw_form(), apart()),
    "mailgun": (in_the_urls_manner(mailgun_fields()), form(*mailgun_fields({"subject": "x"}).items())),
    "postmark": (post(json.dumps(POSTMARK).encode()),),
    "ses": (sent(notified(inline())), sent(notified(SES))),
}


def survives(name: str, request: Request) -> None:
    with pytest.raises((Unverified, Retry)):
        READERS[name].verify(request)
    try:
        found = READERS[name].parse(request, AT)
    except Malformed:
        return
    assert found == READERS[name].parse(request, AT), "the same bytes are the same letters"
    for event in found:
        if isinstance(event, Letter):
            only([event])
            envelope(event.facts)
            read(event.raw)
        else:
            assert isinstance(event, Unreadable)


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=300), st.text(max_size=80))
def test_any_bytes_are_read_or_refused_in_words(name: str, body: bytes, kind: str) -> None:
    survives(name, post(body, content_type=kind))


@given(st.data(), st.sampled_from(["sendgrid", "postmark"]))
def test_a_damaged_body_is_read_or_refused_in_words(data: st.DataObject, name: str) -> None:
    request = data.draw(st.sampled_from(BODIES[name]))
    body = bytearray(request.body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))
    survives(name, replace(request, body=bytes(body)))


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text("a<>@.\x00\r\n\ud800ş", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Name", "Value", "status"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*POSTMARK, "RawEmail"]), JSON))
def test_a_postmark_whose_values_are_of_other_kinds(told: dict[str, Any]) -> None:
    survives("postmark", post(json.dumps({"Subject": "x", **told}).encode()))


@given(
    st.dictionaries(st.sampled_from(["source", "messageId"]), JSON),
    st.dictionaries(st.sampled_from(["recipients", "action", "spamVerdict", "dmarcPolicy"]), JSON),
    st.dictionaries(st.sampled_from(["content", "mail", "receipt", "notificationType"]), JSON),
)
def test_an_ses_whose_values_are_of_other_kinds(mail: Any, receipt: Any, top: Any) -> None:
    message = json.dumps({"mail": mail, "receipt": receipt, **top})
    told = {"Type": "Notification", "TopicArn": TOPIC, "Message": message, "SigningCertURL": 7}
    survives("ses", sent(told))


@given(st.dictionaries(st.text(max_size=20), JSON | st.dictionaries(st.text(max_size=5), JSON)))
def test_facts_read_back_are_never_believed_to_be_well_made(facts: dict[str, Any]) -> None:
    names = ("mail_from", "recipients", "client_ip", "folder", "spam", "verdicts", "way")
    odd = {**facts, **dict(zip(names, facts.values(), strict=False))}
    told = envelope(odd)
    storable((told.recipients, told.client_ip, told.folder, dict(told.verdicts)))


def test_facts_of_a_mailbox_that_is_fetched_are_read_too() -> None:
    told = envelope({"way": "imap", "folder": "[Gmail]/Spam", "spam": True, "uid": 7})
    assert (told.folder, told.spam, told.mail_from, told.recipients) == ("[Gmail]/Spam", True, None, ())


@pytest.mark.parametrize(
    ("way", "address", "told"),
    [
        ("lmtp", "8.8.8.8", ""),  # the server in front
        ("smtp", "8.8.8.8", "8.8.8.8"),
        ("smtp", "2001:4860:4860::8888", "2001:4860:4860::8888"),
        ("smtp", "10.0.0.3", ""),
        ("sendgrid", "not one", ""),
    ],
)
def test_only_an_address_of_the_internet_tells_who_brought_it(way: str, address: str, told: str) -> None:
    assert envelope({"way": way, "client_ip": address}).client_ip == told


@pytest.mark.parametrize("name", READERS)
def test_what_was_set_aside_is_read_again_from_its_body_and_kind(name: str) -> None:
    for request in BODIES[name]:
        kept = {header: value for header, value in request.headers.items() if header == "content-type"}
        assert READERS[name].parse(replace(request, headers=kept), AT) == READERS[name].parse(request, AT)


def test_a_line_that_only_begins_like_the_boundary_is_none() -> None:
    raw = b"Subject: x\r\n\r\none\r\n--b-1\r\ntwo\r\n--bb--\r\n--b \r\nthree\r\n"
    body = b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\n' + raw + b"\r\n--b--\r\n"
    request = post(body, content_type="multipart/form-data; boundary=b")
    assert only(READERS["sendgrid"].parse(request, AT)).raw == raw


def test_a_form_tells_its_own_boundary_when_its_kind_got_lost() -> None:
    assert only(READERS["sendgrid"].parse(replace(raw_form(), headers={}), AT)).raw == RAW


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n\r\n" * 1_200 + b"--b--",
        b"--b" * 400_000,
        b"--b\r\n" + b"x: y\r\n" * 400_000,
        b"\r\n--" * 400_000,
        b'--b\r\nContent-Disposition: form-data; name="' + b'\\"' * 400_000,
        b"&" * 2_000_000,
        b"email=" + b"%" * 2_000_000,
        b"--b\r\nContent-Disposition: form-data; name=email\r\n\r\ncut short",
    ],
)
def test_hostile_forms_are_refused(body: bytes) -> None:
    for kind in ("multipart/form-data; boundary=b", "application/x-www-form-urlencoded"):
        for name in ("sendgrid", "mailgun"):
            request = post(body, content_type=kind)
            with pytest.raises(Unverified):
                READERS[name].verify(request)
            if kind.startswith("multipart") or not body.startswith(b"email="):
                with pytest.raises(Malformed):
                    READERS[name].parse(request, AT)


def test_a_mail_of_25_mb_is_read() -> None:
    large = RAW + (b"QUJD" * 19 + b"\r\n") * (25 * 2**20 // 78)
    body = b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\n' + large + b"\r\n--b--\r\n"
    request = post(body, content_type="multipart/form-data; boundary=b")
    assert only(READERS["sendgrid"].parse(request, AT)).raw == large
    coded = base64.b64encode(b"\x00" * (18 << 20)).decode()
    attachment = {"Name": "film.mp4", "Content": coded, "ContentType": "video/mp4"}
    letter = only(READERS["postmark"].parse(post(json.dumps({**POSTMARK, "Attachments": [attachment]}).encode()), AT))
    assert letter.raw.count(b"AAAA") > 6_000_000 - 100_000
