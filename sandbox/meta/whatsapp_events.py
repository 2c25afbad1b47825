"""What WhatsApp tells the shop: the `value` of a change, for messages, statuses, echoes and changed identities.

Rule: pure. What is absent in Meta's payloads is absent here: `contacts` of system messages, `from` of people who
withhold their number.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from sandbox.meta.values import Entry, File, Json, Line, Person, Settings

ERRORS = {
    130472: "User's number is part of an experiment",
    130497: "Business account is restricted from messaging users in this country",
    131000: "Something went wrong",
    131026: "Message undeliverable",
    131042: "Business eligibility payment issue",
    131047: "Re-engagement message",
    131048: "Spam rate limit hit",
    131049: "This message was not delivered to maintain healthy ecosystem engagement.",
    131050: "User has stopped receipt of marketing messages",
    131051: "Message type unknown",
    131053: "Media upload error",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
}
DETAILS = {
    131026: "Message Undeliverable.",
    131047: "Message failed to send because more than 24 hours have passed since the customer last replied.",
    131050: "The recipient has chosen to stop receiving marketing messages from your business.",
    131051: "Message type is currently not supported.",
}


def stamp(at: float, settings: Settings) -> str:
    """Seconds as a string, which have been seen as milliseconds too."""
    return str(int(at * 1000) if settings.timestamps == "other" else int(at))


def change(line: Line, field: str = "messages", **rest: Any) -> Json:
    metadata = {"display_phone_number": line.digits, "phone_number_id": line.id}
    return {"field": field, "value": {"messaging_product": "whatsapp", "metadata": metadata, **rest}}


def error(code: int, details: str = "") -> Json:
    title = ERRORS.get(code, "Unable to deliver the message")
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details or DETAILS.get(code, title)},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }


def contact(person: Person, settings: Settings) -> Json:
    profile = {"name": person.name} | ({"username": person.username} if person.username else {})
    return {"profile": profile, **_number("wa_id", person, settings), "user_id": person.bsuid}


def _number(name: str, person: Person, settings: Settings) -> Json:
    if not person.hidden:
        return {name: person.phone}
    return {name: person.bsuid} if settings.hidden_from == "bsuid" else {}


def message(entry_id: str, line: Line, person: Person, at: float, settings: Settings, body: Json) -> Json:
    """A message a person sent, of whatever type `body` makes it."""
    head = {**_number("from", person, settings), "from_user_id": person.bsuid, "id": entry_id}
    told = {**head, "timestamp": stamp(at, settings), **body}
    return change(line, contacts=[contact(person, settings)], messages=[told])


def media(kind: str, file: File, caption: str, settings: Settings, url: str = "") -> Json:
    """The part that names a file. `kind` is image, video, audio, voice, document or sticker."""
    digest = hashlib.sha256(file.data)
    told: Json = {
        "id": file.id,
        "mime_type": file.media_type,
        "sha256": digest.hexdigest() if settings.sha256 == "hex" else base64.b64encode(digest.digest()).decode(),
    }
    if url:
        told["url"] = url
    shown = "audio" if kind == "voice" else kind
    if shown == "audio":
        told["voice"] = kind == "voice"
    elif shown == "sticker":
        told["animated"] = b"ANIM" in file.data[:64]
    else:
        told |= {"filename": file.filename} if shown == "document" else {}
        told |= {"caption": caption} if caption else {}
    return {"type": shown, shown: told}


def system(entry_id: str, line: Line, old: Json, person: Person, at: float, settings: Settings) -> Json:
    """A number or an id that changed. `old` holds `phone` and `bsuid` as they were; there are no contacts."""
    ids = {"user_id": person.bsuid, "previous_user_id": old["bsuid"]}
    if person.hidden:
        body = f"{person.name} has a new user id"
        told: Json = {"body": body, "type": "user_changed_user_id", **ids}
        head: Json = {}
    else:
        body = f"User {person.name} changed from {old['phone']} to {person.phone}"
        told = {"body": body, "type": "user_changed_number", "wa_id": person.phone, **ids}
        head = {"from": old["phone"]}
    head |= {"from_user_id": old["bsuid"], "id": entry_id, "timestamp": stamp(at, settings)}
    return change(line, messages=[{**head, "type": "system", "system": told}])


def echo(entry_id: str, line: Line, person: Person, at: float, settings: Settings, body: Json) -> Json:
    """A message written in the phone app of a number that also runs there."""
    to = {} if person.hidden else {"to": person.phone}
    head = {"from": line.digits, **to, "to_user_id": person.bsuid, "id": entry_id, "timestamp": stamp(at, settings)}
    return change(line, "smb_message_echoes", message_echoes=[{**head, **body}])


def status(entry: Entry, line: Line, person: Person | None, at: float, settings: Settings, details: str = "") -> Json:
    """How a message of the shop fares. `person` is None where nobody has the number dialled, in `entry.person`."""
    to: Json = {"recipient_id": entry.person.removeprefix("+")}
    if person is not None:
        to = ({} if person.hidden else {"recipient_id": person.phone}) | {"recipient_user_id": person.bsuid}
    told: Json = {"id": entry.id, "status": entry.status, "timestamp": stamp(at, settings), **to}
    if entry.status == "failed":
        told["errors"] = [error(int(entry.code), details)]
    else:
        free = entry.category == "service"
        told["pricing"] = {
            "billable": not free,
            "pricing_model": "PMP",
            "category": entry.category,
            "type": "free_customer_service" if free else "regular",
        }
    if entry.tracker:
        told["biz_opaque_callback_data"] = entry.tracker
    return change(line, statuses=[told])


def referral(text: str, number: str) -> Json:
    """An advertisement that opened the chat."""
    return {
        "source_url": f"https://fb.me/{number}",
        "source_id": number,
        "source_type": "ad",
        "headline": text,
        "body": text,
        "media_type": "image",
        "image_url": f"https://scontent.example/{number}.jpg",
        "ctwa_clid": f"Aff{number}",
    }


def test_button(stamp: str) -> Json:
    """What the dashboard's Test button sends: a number nobody has."""
    metadata = {"display_phone_number": "16505551111", "phone_number_id": "123456123"}
    written = {"from": "16315551181", "id": "ABGGFlA5Fpa", "timestamp": stamp, "type": "text"}
    value = {
        "messaging_product": "whatsapp",
        "metadata": metadata,
        "contacts": [{"profile": {"name": "test user name"}, "wa_id": "16315551181"}],
        "messages": [{**written, "text": {"body": "this is a text message"}}],
    }
    return {"field": "messages", "value": value}
