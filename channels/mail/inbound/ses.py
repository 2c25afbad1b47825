"""Amazon SES: a receipt rule publishes each mail, or where in S3 it lies, to an SNS topic that posts it to us.

Rule: every request is signed, but by a certificate that the request names itself; so only certificates of the
configured topic's own region are fetched, and only that topic is heard.
Pages: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html and
https://docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from channels.channel import Request
from channels.errors import Malformed, Retry, Unverified
from channels.mail.inbound.arrival import address, decoded, letter, table, texts, word
from channels.message import Event, Letter, Unreadable

log = structlog.get_logger()

ARN = re.compile(r"arn:aws(?P<china>-cn|-us-gov)?:sns:(?P<region>[a-z0-9-]{1,40}):[0-9]{12}:[\w-]{1,256}", re.ASCII)
CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem", re.ASCII)
SIGNED = {  # the fields a signature covers, in this order, as far as they are there
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
# GRAY: the sender's domain makes no such promise. DISABLED says nothing, as does a word still unknown.
VERDICTS = {"PASS": "pass", "FAIL": "fail", "GRAY": "none", "PROCESSING_FAILED": "temperror"}
SUBJECTS = ("spf", "dkim", "dmarc", "spam", "virus")
MOST_CERTIFICATES = 4  # kept; SNS uses one at a time and a new one about every year
SOON = timedelta(seconds=5)

Fetch = Callable[[str], Awaitable[bytes]]


class Ses:
    """`secret` is the topic's ARN. `fetch` gets a certificate by its https address and may fail in any way."""

    def __init__(self, channel: str, secret: str, *, now: Callable[[], datetime], fetch: Fetch) -> None:
        found = ARN.fullmatch(secret)
        if found is None:
            raise ValueError("the secret of SES has to be the ARN of its SNS topic: arn:aws:sns:region:account:name")
        self._channel = channel
        self._topic = secret
        self._region = found["region"]
        self._host = f"sns.{found['region']}.amazonaws.com" + (".cn" if found["china"] == "-cn" else "")
        self._certificates = Certificates(fetch, now)

    def verify(self, request: Request) -> None:
        try:
            told = table(request.body)
        except Malformed:
            raise Unverified from None
        url = word(told.get("SigningCertURL"))
        algorithm = {"1": SHA1, "2": SHA256}.get(word(told.get("SignatureVersion")))
        covered = SIGNED.get(word(told.get("Type")))
        if algorithm is None or covered is None or not self._is_ours(told) or not self._is_certificate(url):
            raise Unverified
        key = self._certificates.key(url)
        try:
            signature = base64.b64decode(word(told.get("Signature")), validate=True)
            key.verify(signature, _canonical(told, covered), padding.PKCS1v15(), algorithm())
        except (ValueError, InvalidSignature):
            raise Unverified from None

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        told = table(request.body)
        kind = word(told.get("Type"))
        if kind == "SubscriptionConfirmation":
            return ()
        if kind == "UnsubscribeConfirmation":
            return (self._strange(request, "SNS ended this subscription: mail no longer arrives until it is renewed."),)
        if kind != "Notification" or not isinstance(told.get("Message"), str):
            raise Malformed("The body is not one of Amazon SNS.")
        try:
            about = table(told["Message"])
        except Malformed:
            # A topic's owner may publish anything, and SES itself a word to try it out.
            return (self._strange(request, "The SNS topic published something that is no mail."),)
        return self._received(request, about, at)

    def _received(self, request: Request, about: Mapping[str, Any], at: datetime) -> Sequence[Event | Letter]:
        mail, receipt = _object(about.get("mail")), _object(about.get("receipt"))
        action, content = _object(receipt.get("action")), about.get("content")
        id = word(mail.get("messageId"))
        bucket, key = action.get("bucketName"), action.get("objectKey")
        raw, elsewhere = b"", {}
        if isinstance(content, str):
            coded = word(action.get("encoding")).upper() == "BASE64"
            raw = decoded(content) if coded else content.encode("utf-8", "replace")
        elif id and isinstance(bucket, str) and isinstance(key, str):
            elsewhere = {"bucket": word(bucket), "key": word(key), "region": self._region}
        else:
            kind = word(about.get("notificationType") or about.get("eventType"))
            return (
                self._strange(request, f"Amazon SES sent a notification without a mail in it: {kind or 'unnamed'}."),
            )
        verdicts = _verdicts(receipt)
        source = mail.get("source")
        return (
            letter(
                channel=self._channel,
                way="ses",
                at=at,
                raw=raw,
                id=id,
                digest=hashlib.sha256(b"ses:" + id.encode()).digest() if elsewhere else b"",
                mail_from=address(source) if isinstance(source, str) else None,
                recipients=texts(receipt.get("recipients")),
                s3=elsewhere,
                verdicts=verdicts,
                spam=verdicts.get("spam") == "fail" or verdicts.get("virus") == "fail",
            ),
        )

    def confirmations(self, request: Request) -> str | None:
        told = table(request.body)
        url = word(told.get("SubscribeURL"))
        if told.get("Type") != "SubscriptionConfirmation" or not self._is_ours(told) or not self._is_aws(url):
            return None
        return url

    def _is_ours(self, told: Mapping[str, Any]) -> bool:
        return hmac.compare_digest(word(told.get("TopicArn")).encode(), self._topic.encode())

    def _is_aws(self, url: str) -> bool:
        """Compared whole: a port, a user or a longer host name is somebody else's."""
        try:
            found = urlsplit(url)
        except ValueError:
            return False
        return found.scheme == "https" and found.netloc == self._host

    def _is_certificate(self, url: str) -> bool:
        return self._is_aws(url) and CERTIFICATE.fullmatch(url.removeprefix(f"https://{self._host}")) is not None

    def _strange(self, request: Request, reason: str) -> Unreadable:
        return Unreadable(channel=self._channel, reason=reason, raw=request.body)


class Certificates:
    """The keys SNS signs with, by the address of their certificate, fetched one at a time and kept."""

    def __init__(self, fetch: Fetch, now: Callable[[], datetime]) -> None:
        self._fetch = fetch
        self._now = now
        self._kept: dict[str, x509.Certificate] = {}
        self._fetching: asyncio.Task[None] | None = None

    def key(self, url: str) -> rsa.RSAPublicKey:
        """Raises `Retry` until the certificate is there, `Unverified` when it is not valid now."""
        kept = self._kept.get(url)
        if kept is None:
            if self._fetching is None or self._fetching.done():
                self._fetching = asyncio.get_running_loop().create_task(self._get(url))
            raise Retry("The certificate of Amazon SNS is being fetched.", after=SOON)
        if not kept.not_valid_before_utc <= self._now() <= kept.not_valid_after_utc:
            raise Unverified("The certificate of Amazon SNS is not valid now.")
        key = kept.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise Unverified
        return key

    async def _get(self, url: str) -> None:
        try:
            found = x509.load_pem_x509_certificate(await self._fetch(url))
        except Exception as error:  # noqa: BLE001 - whatever it is, SNS brings the mail again and this is tried again
            log.warning("mail.certificate_missing", url=url, error=type(error).__name__)
            return
        self._kept[url] = found
        while len(self._kept) > MOST_CERTIFICATES:
            del self._kept[next(iter(self._kept))]


def _canonical(told: Mapping[str, Any], covered: Sequence[str]) -> bytes:
    lines = [(name, told[name]) for name in covered if isinstance(told.get(name), str)]
    return "".join(f"{name}\n{value}\n" for name, value in lines).encode("utf-8", "replace")


def _verdicts(receipt: Mapping[str, Any]) -> dict[str, str]:
    told = {name: word(_object(receipt.get(f"{name}Verdict")).get("status")) for name in SUBJECTS}
    verdicts = {name: VERDICTS[said] for name, said in told.items() if said in VERDICTS}
    policy = word(receipt.get("dmarcPolicy")).lower()
    return verdicts | ({"dmarc_policy": policy} if policy else {})


def _object(told: Any) -> Mapping[str, Any]:
    return told if isinstance(told, dict) else {}
