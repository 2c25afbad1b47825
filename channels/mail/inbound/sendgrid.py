"""SendGrid's Inbound Parse: the raw mail in one field of a form, or the mail taken apart into many.

Rule: the texts of a mail taken apart come in charsets of their own, so they are passed on as bytes with their label.
Pages: https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook and
/parsing-email/securing-your-parse-webhooks.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from channels.channel import Request
from channels.errors import Malformed, Unverified
from channels.mail.inbound.arrival import address, check_password, letter, loose, need_password, texts, word
from channels.mail.inbound.multipart import Form, form
from channels.mail.inbound.rebuild import Piece, rebuilt
from channels.mail.values import MOST_HEADER, MOST_HEADERS
from channels.message import Event, Letter

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
SPAM_SCORE = 5.0  # SpamAssassin's own threshold, whose score SendGrid reports
APART = ("headers", "from", "subject", "text", "html")  # one of these is in every mail taken apart
LIMITED = re.compile(r"[;\s]l\s?=\s?\d")  # RFC 6376 3.5: a signature that leaves the end of the mail to anybody
DKIM = re.compile(r"@([\w.-]{1,253})\s?:\s?(\w{1,20})")


class SendGrid:
    """`secret` is the public key of a security policy (base64, as SendGrid shows it), or `user:password`."""

    def __init__(self, channel: str, secret: str) -> None:
        self._channel = channel
        self._key = None if ":" in secret else _key(secret)
        self._password = need_password(secret) if self._key is None else ""

    def verify(self, request: Request) -> None:
        if self._key is None:
            check_password(request, self._password)
            return
        stamp = request.headers.get(TIMESTAMP, "").encode("utf-8", "replace")
        try:
            signature = base64.b64decode(request.headers.get(SIGNATURE, ""), validate=True)
            # However old: a mail is brought again for three days, and what came before is stored once.
            self._key.verify(signature, stamp + request.body, ec.ECDSA(SHA256()))
        except (ValueError, InvalidSignature):
            raise Unverified from None

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        told = form(request)
        raw = told.value("email")
        apart = raw is None
        if raw is None:
            if not any(name in told for name in APART):
                raise Malformed("The form is not one of SendGrid's Inbound Parse.")
            raw = _together(told)
        envelope = _object(told.value("envelope"))
        sender = envelope.get("from")
        return (
            letter(
                channel=self._channel,
                way="sendgrid",
                at=at,
                raw=raw,
                mail_from=address(sender) if isinstance(sender, str) else None,
                recipients=texts(envelope.get("to")),
                client_ip=word(told.text("sender_ip")),
                verdicts=_verdicts(told),
                spam=_score(told.text("spam_score")) >= SPAM_SCORE,
                rebuilt=apart,
            ),
        )

    def confirmations(self, request: Request) -> str | None:
        return None


def _key(secret: str) -> ec.EllipticCurvePublicKey:
    try:
        found = load_der_public_key(base64.b64decode(secret, validate=True))
    except ValueError:
        found = None
    if not isinstance(found, ec.EllipticCurvePublicKey):
        raise ValueError("SendGrid's secret has to be the public key of its security policy, or user:password")
    return found


def _verdicts(told: Form) -> dict[str, str]:
    """SendGrid says which domains signed and not which one is the sender's, so these go along by name."""
    signed = DKIM.findall(told.text("dkim")[:10_000])
    passed = [domain.lower() for domain, result in signed if result.lower() == "pass"]
    verdicts = {"spf": word(told.text("SPF")).lower().partition(" ")[0]}
    if signed and not LIMITED.search(told.text("headers")):  # of a raw mail the signature can still be looked at
        verdicts |= {"dkim": "pass" if passed else "fail", "dkim_domains": " ".join(passed[:20])}
    return {name: said for name, said in verdicts.items() if said}


def _score(told: str) -> float:
    try:
        return float(told[:20])
    except ValueError:
        return 0.0


def _object(told: bytes | None) -> Mapping[str, Any]:
    found = loose(told or b"")
    return found if isinstance(found, dict) else {}


# --- a mail taken apart


def _together(told: Form) -> bytes:
    charsets = _object(told.value("charsets"))
    bodies = [
        Piece(data=told.value(name) or b"", media_type=media_type, charset=word(charsets.get(name)) or "utf-8")
        for name, media_type in (("text", "text/plain"), ("html", "text/html"))
    ]
    return rebuilt(_headers(told, charsets), bodies, list(_files(told)))


def _headers(told: Form, charsets: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if block := told.value("headers"):
        unfolded = re.sub(rb"\r?\n(?=[ \t])", b"", block[:MOST_HEADERS])
        for line in re.split(rb"\r?\n", unfolded):
            name, _, value = line.decode("utf-8", "surrogateescape").partition(":")
            yield name.strip(), value
        return
    for name in ("from", "to", "cc", "subject"):
        if value := told.value(name):
            yield name.title(), _decoded(value, word(charsets.get(name)))


def _decoded(value: bytes, charset: str) -> str:
    try:
        return value[:MOST_HEADER].decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):  # no charset, or one that cannot decode texts
        return value[:MOST_HEADER].decode("utf-8", "surrogateescape")


def _files(told: Form) -> Iterator[Piece]:
    about = _object(told.value("attachment-info"))
    for field in told.fields:
        if not re.fullmatch(r"attachment\d{1,4}", field.name):
            continue
        info = about.get(field.name)
        info = info if isinstance(info, dict) else {}
        yield Piece(
            data=field.value,
            media_type=word(info.get("type")) or field.media_type,
            filename=word(info.get("filename")) or field.filename or field.name,
            content_id=word(info.get("content-id")),
        )
