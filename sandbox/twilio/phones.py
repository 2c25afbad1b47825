"""What people's phones can send, and what is to be seen on them.

Rule: pure. A phone does not send what its app would not: no picture to a name, no reply by SMS, no empty text.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sandbox.journal import Json
from sandbox.twilio.ledger import Ledger
from sandbox.twilio.values import Line, Message, Person, Settings

HIDDEN = frozenset({"shared_key"})
MAX_FILES = 10  # of one MMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    name: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One message before it is sent. `shown` is its text in the chat where that is not the body."""

    text: str = ""
    shown: str | None = None
    files: tuple[Attached, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def drafts(
    line: Line,
    *,
    text: str,
    files: Sequence[Mapping[str, Any]],
    location: Mapping[str, Any] | None,
    contacts: Sequence[Mapping[str, str]],
) -> list[Draft]:
    """Make what a phone sends for one action. Raises ValueError for what the app would not send."""
    attached = [_attached(file) for file in files]
    if line.kind == "alphanumeric":
        raise ValueError("nobody can write to a name")
    if line.kind == "sms":
        if location or contacts:
            raise ValueError("a text message carries no place and no contact")
        if not text.strip() and not attached:
            raise ValueError("the app sends no empty text")
        if len(attached) > MAX_FILES or (attached and not line.mms):
            raise ValueError("this number takes no such pictures")
        return [Draft(text=text, files=tuple(attached))]
    made: list[Draft] = []
    for file in attached:
        kind = _kind(file.media_type)
        captioned = text if not made and kind in ("image", "video", "document") else ""
        made.append(Draft(text=captioned, files=(file,), facts={"MessageType": kind}))
    if location:
        made.append(_place(location))
    if contacts:
        made.append(_contacts(contacts))
    if text.strip() and not any(draft.text for draft in made):
        made.insert(0, Draft(text=text, facts={"MessageType": "text"}))
    if not made:
        raise ValueError("the app sends no empty text")
    return made


def _attached(file: Mapping[str, Any]) -> Attached:
    data = file.get("data", b"")
    if isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise ValueError("data must be base64") from error
    if not isinstance(data, bytes) or not data or not file.get("media_type"):
        raise ValueError("a file needs data and a media_type")
    return Attached(name=str(file.get("filename") or ""), media_type=str(file["media_type"]), data=data)


def _kind(media_type: str) -> str:
    if media_type == "image/webp":
        return "sticker"
    main = media_type.partition("/")[0]
    return main if main in ("image", "video", "audio") else "document"


def _place(location: Mapping[str, Any]) -> Draft:
    names = {"Latitude": "latitude", "Longitude": "longitude", "Label": "label", "Address": "address"}
    facts = {name: str(location[key]) for name, key in names.items() if location.get(key) not in (None, "")}
    if "Latitude" not in facts or "Longitude" not in facts:
        raise ValueError("a place needs latitude and longitude")
    words = [str(location.get("label") or ""), str(location.get("address") or "")]
    shown = ", ".join([*(word for word in words if word), f"{facts['Latitude']}, {facts['Longitude']}"])
    return Draft(shown=shown, facts={"MessageType": "location", **facts})


def _contacts(contacts: Sequence[Mapping[str, str]]) -> Draft:
    cards = [
        f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{one.get('name', '')}\r\n"
        f"TEL;TYPE=CELL:{one.get('phone', '')}\r\nEND:VCARD\r\n"
        for one in contacts
    ]
    file = Attached(name="contact.vcf", media_type="text/vcard", data="".join(cards).encode())
    return Draft(files=(file,), facts={"MessageType": "contacts"})


def pressed(message: Message, choice: Mapping[str, Any]) -> Draft:
    """Make what pressing sends: a template's button, a button of the talk, or a row of a list."""
    label, payload = str(choice["label"]), str(choice["payload"])
    if message.listed:
        facts = {"MessageType": "interactive", "ListTitle": label, "ListId": payload}
    else:
        approved = message.template is not None and message.template.status == "approved"
        kind = "button" if approved else "interactive"
        facts = {"MessageType": kind, "ButtonText": label, "ButtonPayload": payload or label}
    return Draft(text=label, facts=facts)


def facts(line: Line, *, forwarded: str | bool, referral: Mapping[str, str] | None) -> dict[str, str]:
    """Name further parameters. Raises ValueError on SMS, which has none."""
    found: dict[str, str] = {}
    if forwarded:
        found["FrequentlyForwarded" if forwarded == "often" else "Forwarded"] = "true"
    if referral:
        found["ReferralNumMedia"] = "0"
        found |= {f"Referral{name}": str(value) for name, value in referral.items()}
    if found and line.kind != "whatsapp":
        raise ValueError("only WhatsApp forwards, or leads here from an advertisement")
    return found


def sender(person: Person, line: Line) -> str:
    """The address a person has towards a line. Raises ValueError when there is none."""
    if line.kind == "whatsapp" and not person.on_whatsapp:
        raise ValueError("this person is not on WhatsApp")
    if line.kind != "whatsapp" and not person.phone:
        raise ValueError("this person has no phone number")
    return person.address(line)


def state(ledger: Ledger, base: str) -> Json:
    """Show everything. `base` is the URL prefix the emulator is mounted under."""
    now = ledger.now()
    chats: dict[str, list[Json]] = {}
    for message in ledger.messages.values():
        chats.setdefault(message.chat, []).extend(message.entries(base))
    typing: dict[str, list[str]] = {}
    for (line, person), until in ledger.typing.items():
        if until > now:
            typing.setdefault(line, []).append(person)
    return {
        "seq": ledger.journal.seq,
        "now": now.timestamp(),
        "settings": {
            one.name: getattr(ledger.settings, one.name) for one in fields(Settings) if one.name not in HIDDEN
        },
        "accounts": [
            {"sid": one.sid, "name": one.name, "status": one.status, "parent": one.parent}
            for one in ledger.accounts.values()
        ],
        "lines": {one.address: _line(one) | {"typing": typing.get(one.address, [])} for one in ledger.lines.values()},
        "services": {one.sid: {"name": one.name, "url": one.inbound_url} for one in ledger.services.values()},
        "templates": {
            one.sid: {"name": one.name, "language": one.language, "status": one.status, "types": one.types}
            for one in ledger.templates.values()
        },
        "people": {key: person.plain() for key, person in ledger.people.items()},
        "left": sorted(list(pair) for pair in ledger.left),
        "alerts": list(ledger.alerts),
        "chats": chats,
    }


def _line(line: Line) -> Json:
    return {
        "kind": line.kind,
        "sid": line.sid,
        "name": line.name,
        "service": line.service,
        "status": line.status,
        "url": line.url,
        "mms": line.mms,
    }
