"""What Twilio tells, read as what a customer did. Pure: the same form at the same time gives the same events.

Rule: Twilio adds fields without notice, so every one but the ids may be missing, wrong or new.
Pages: https://www.twilio.com/docs/messaging/guides/webhook-request and …/outbound-message-status-in-status-callbacks
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from channels.errors import Malformed
from channels.message import (
    Address,
    Attachment,
    Event,
    OptedIn,
    OptedOut,
    Proof,
    Receipt,
    Received,
    Status,
    Unreadable,
)
from channels.opting import Wish, asking, wish
from channels.phones import dialled
from channels.twilio.codes import told
from channels.values import E164, media_type, name, on_map
from channels.wire import clean

# --- facts

WHATSAPP = "whatsapp:"
MAX_FIELDS = 1000  # of a form; Twilio's largest has about sixty
MAX_FILES = 16  # of a message; MMS carries ten
SID = re.compile(r"[A-Za-z0-9]{2,64}", re.ASCII)
BSUID = re.compile(
    r"[A-Z]{2}\.[A-Za-z0-9._-]{1,120}", re.ASCII
)  # of WhatsApp users who keep their number to themselves
AHEAD = timedelta(minutes=5)  # the most a clock of Twilio's may be before ours

STATUSES: Mapping[str, Status] = {
    # Twilio has it: that is all a send that returned tells as well, and it settles a doubt.
    "accepted": Status.SENT,
    "scheduled": Status.SENT,
    "queued": Status.SENT,
    "sending": Status.SENT,
    "sent": Status.SENT,
    "partially_delivered": Status.SENT,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
    "undelivered": Status.FAILED,
    "failed": Status.FAILED,
    "canceled": Status.FAILED,
}

# What the file of a message is called, which Twilio does not tell.
FILES: Mapping[str, str] = {
    "image/jpeg": "photo.jpg",
    "image/png": "image.png",
    "image/gif": "image.gif",
    "image/webp": "sticker.webp",
    "audio/ogg": "voice.ogg",
    "audio/amr": "voice.amr",
    "audio/mpeg": "audio.mp3",
    "audio/mp4": "audio.m4a",
    "video/mp4": "video.mp4",
    "video/3gpp": "video.3gp",
    "application/pdf": "document.pdf",
    "text/vcard": "contact.vcf",
    "text/x-vcard": "contact.vcf",
    "text/plain": "text.txt",
}

# --- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What every form of one channel is read with. `sender` are the digits of our number, "" for those of a service."""

    channel: str
    whatsapp: bool
    sender: str
    service: str
    at: datetime
    body: bytes

    def unreadable(self, reason: str) -> tuple[Event, ...]:
        return (Unreadable(channel=self.channel, reason=reason, raw=self.body),)


def fields(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form as they were signed, blank and repeated ones too, or of a JSON object.

    Raises `Malformed` when it is neither.
    """
    if body.lstrip().startswith(b"{"):  # which a form writes %7B
        try:
            told = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Malformed("The body is neither a form nor JSON.") from error
        return [(key, str(value)) for key, value in told.items() if isinstance(value, str | int | float)]
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Malformed("The body is not a form.") from error


def read(reading: Reading, query: Mapping[str, str]) -> tuple[Event, ...]:
    """Read one request. Raises `Malformed` when it names no message.

    Nothing comes of what we wrote to ourselves. What was written to a number of another channel is kept aside, because
    an answer from here would come from a number that the customer does not know.
    """
    form: dict[str, str] = {}
    for key, value in fields(reading.body):
        form.setdefault(clean(key), clean(value))
    sid = form.get("MessageSid") or form.get("SmsMessageSid") or form.get("SmsSid") or ""
    if not SID.fullmatch(sid):
        raise Malformed("The form names no message.")
    status = (form.get("MessageStatus") or form.get("SmsStatus") or "received").lower()
    if status in ("received", "receiving"):
        return received(reading, sid, form)
    return receipt(reading, sid, status, form, query)


def receipt(
    reading: Reading, sid: str, status: str, form: Mapping[str, str], query: Mapping[str, str]
) -> tuple[Event, ...]:
    if status not in STATUSES:
        return reading.unreadable(f"a status of the unknown kind {name(status)!r}")
    code, detail, unreachable = "", "", False
    if STATUSES[status] is Status.FAILED:
        words = form.get("ErrorMessage") or form.get("ChannelStatusMessage") or ""
        code, detail, unreachable = told(number(form.get("ErrorCode", "")), words)
    return (
        Receipt(
            channel=reading.channel,
            status=STATUSES[status],
            at=reading.at,
            external_id=sid,
            delivery=ours(query.get("delivery", "")),
            code=code,
            detail=detail,
            unreachable=unreachable,
        ),
    )


def received(reading: Reading, sid: str, form: Mapping[str, str], sent_at: datetime | None = None) -> tuple[Event, ...]:
    """What a customer wrote, and what that means for whether they may be written to.

    The carriers' own words end and begin SMS at Twilio whatever the customer meant, who is told so by Twilio. What only
    those words say stays, because a shop's customer may well have meant an order; no program answers it. The words of a
    messaging service's Advanced Opt-Out do the same to WhatsApp. /docs/messaging/tutorials/advanced-opt-out
    """
    sender, recipient = form.get("From", "").strip(), form.get("To", "").strip()
    person = who(sender)
    if person is None:
        return reading.unreadable("a message without a sender")
    if sender == recipient:
        return ()
    if not addressed(reading, sender, recipient, form.get("MessagingServiceSid", "")):
        return reading.unreadable("a message to another number than this channel's")
    address, proof = person
    at = min(sent_at or reading.at, reading.at + AHEAD)
    message = said(reading, sid, form, address, proof, at)
    opted = Opted(reading.channel, address, at, message.text)
    match form.get("OptOutType", "").upper():  # the service's own words: Twilio has acted on them and answered
        case "STOP":
            return (opted.out(lasting=True),)
        case "START":
            return (opted.again(),)
        case "HELP":
            return ()
    if reading.whatsapp:
        return asking(message)
    plain = wish(message.text, carrier=False)
    match None if message.attachments else wish(message.text, carrier=True):
        case Wish.OUT:
            return (opted.out(lasting=True),) if plain else (quiet(message), opted.out(lasting=True))
        case Wish.IN:
            return (opted.again(),) if plain else (opted.again(), message)
        case Wish.HELP:
            return (quiet(message),)
    return (message,)


@dataclass(frozen=True, slots=True)
class Opted:
    """Who wrote a word that ends or begins messages."""

    channel: str
    sender: Address
    at: datetime
    word: str

    def out(self, *, lasting: bool) -> OptedOut:
        why = f"wrote {name(self.word, 40)}"
        return OptedOut(channel=self.channel, sender=self.sender, at=self.at, why=why, lasting=lasting)

    def again(self) -> OptedIn:
        return OptedIn(channel=self.channel, sender=self.sender, at=self.at)


# --- parts of a message


def said(reading: Reading, sid: str, form: Mapping[str, str], address: Address, proof: Proof, at: datetime) -> Received:
    label = form.get("ButtonText") or form.get("ListTitle") or ""
    payload = form.get("ButtonPayload") or form.get("ListId") or ""
    text = label or form.get("Body", "")
    if not reading.whatsapp:
        text = unwrapped(text)
    text = "\n".join(dict.fromkeys(filter(None, (text, *place(form))))) or payload
    files = tuple(attachments(form))
    forwarded = "true" in (form.get("Forwarded", "").lower(), form.get("FrequentlyForwarded", "").lower())
    kind = name(form.get("MessageType", ""))
    return Received(
        channel=reading.channel,
        external_id=sid,
        sender=address,
        sender_name=name(form.get("ProfileName", "")),
        sent_at=at,
        text=text,
        attachments=files,
        payload=payload,
        reply_to=name(form.get("OriginalRepliedMessageSid", "")),
        quoted="\n".join(filter(None, (name(form.get(key, ""), 1000) for key in REFERRAL))),
        forwarded_from="?" if forwarded else "",
        stub="" if text or files else kind if kind not in ("", "text") else "empty",
        proof=proof,
        proofs=tuple(further(form, address)),
        automatic=address.kind == "sms",
        context=context(form, sid),
        raw=reading.body,
    )


REFERRAL = ("ReferralHeadline", "ReferralBody", "ReferralSourceUrl")  # of the advertisement they came from


def who(sender: str) -> tuple[Address, Proof] | None:
    """Whose address this is. A number is a customer's, and the same by SMS and WhatsApp however they spell it; a name
    or a short number is a machine's, and anybody can write under a name."""
    bare = sender.removeprefix(WHATSAPP)
    if bare.startswith("+") and E164.fullmatch(bare[1:]):
        return Address(kind="phone", value=f"+{dialled(bare[1:])}"), Proof.CARRIER
    if sender.startswith(WHATSAPP):
        return (Address(kind="whatsapp", value=bare), Proof.PLATFORM) if BSUID.fullmatch(bare) else None
    return (Address(kind="sms", value=name(bare, 20)), Proof.CLAIMED) if name(bare) else None


def further(form: Mapping[str, str], sender: Address) -> Iterator[tuple[Address, Proof]]:
    """WhatsApp's own id of whoever wrote under a number, which stays when they hide it later."""
    found = who(form.get("ExternalUserId", ""))
    if found is not None and found[0].kind == "whatsapp" and found[0] != sender:
        yield found


def context(form: Mapping[str, str], sid: str) -> dict[str, Any]:
    """The very id they wrote from, which may be spelt otherwise than the number that is dialled, and what to answer."""
    return {"to": form["From"].strip(), "message": sid}


def addressed(reading: Reading, sender: str, recipient: str, service: str) -> bool:
    """Whether it came the way that this channel answers, to a number of its own, in whatever spelling."""
    if {way(sender), way(recipient)} != {"whatsapp" if reading.whatsapp else ""}:
        return False
    if reading.sender:
        return dialled(digits(recipient)) == dialled(reading.sender)
    return service in ("", reading.service)


def attachments(form: Mapping[str, str]) -> Iterator[Attachment]:
    most = number(form.get("NumMedia", ""))
    for index in range(MAX_FILES if most is None else min(most, MAX_FILES)):
        url = form.get(f"MediaUrl{index}", "")
        if not url:
            return
        kind = media_type(form.get(f"MediaContentType{index}", ""))
        yield Attachment(
            media_type=kind,
            filename=FILES.get(kind, "file"),
            ref=url,
            unique_ref=name(url.partition("?")[0].rstrip("/").rpartition("/")[2]),
        )


def place(form: Mapping[str, str]) -> Iterator[str]:
    """A shared location, in lines."""
    try:
        latitude, longitude = float(form["Latitude"]), float(form["Longitude"])
    except (KeyError, ValueError):
        return
    if abs(latitude) <= 90 and abs(longitude) <= 180:
        yield from (name(form.get("Label", "")), name(form.get("Address", ""), 300), on_map(latitude, longitude))


def unwrapped(text: str) -> str:
    """The words of a long SMS that came in base64, as some carriers hand them on; any other text as it is.

    As nyaruka/courier tells them: sixty characters or more of nothing else, and half of what is inside is ASCII.
    """
    bare = "".join(text.split())
    if len(bare) < 60 or len(bare) % 4 or not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", bare, re.ASCII):
        return text
    try:
        inside = clean(base64.b64decode(bare, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        return text
    plain = sum(char.isascii() and (char.isprintable() or char in "\r\n\t") for char in inside)
    return inside if plain * 2 >= len(inside) else text


def quiet(message: Received) -> Received:
    return replace(message, quiet=True)


def way(address: str) -> str:
    """What stands before the colon of an address: "whatsapp", "rcs", "messenger"; nothing for SMS."""
    return address.partition(":")[0] if ":" in address else ""


def digits(address: str) -> str:
    return address.removeprefix(WHATSAPP).removeprefix("+")


def number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def ours(text: str) -> UUID | None:
    """Our own id of a delivery, out of the address Twilio was given for it."""
    try:
        return UUID(text)
    except ValueError:
        return None
