"""What leaves for Twilio: the one call that sends a message, and who it goes to. Pure.

Rule: the answer goes to the very id that the customer wrote from. Page: https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from channels.errors import Refused
from channels.message import Attachment, Outgoing
from channels.twilio.parse import BSUID, WHATSAPP
from channels.values import E164, media_type

if TYPE_CHECKING:
    from channels.twilio.adapter import TwilioConfig

VALIDITY = timedelta(hours=4)  # after which Twilio lets go of what it could not hand on: nobody wants it at night

MMS = 5 << 20  # bytes of a picture, /docs/messaging/guides/accepted-mime-types; America and Canada only
MMS_OTHER = 500 << 10  # of any other file: carriers take no larger ones
MMS_TYPES = re.compile(r"(image|audio|video)/.+|text/(x-)?vcard|application/pdf")
PICTURES = ("image/jpeg", "image/png", "image/gif")
# Area codes below +1 that are neither of the states nor of Canada: no carrier there is sure to take an MMS.
ISLANDS = re.compile(
    r"\+1(242|246|264|268|284|340|345|441|473|649|658|664|67[01]|684|721|758|767|78[47]|809|829|849|86[89]|876|939)"
)


def sending(message: Outgoing, config: TwilioConfig, *, whatsapp: bool) -> dict[str, Any]:
    """What `message` is for Twilio, in the SDK's words. Raises `Refused` for what Twilio surely would not take."""
    call: dict[str, Any] = {
        "to": destination(message, whatsapp=whatsapp),
        "validity_period": int(VALIDITY.total_seconds()),
    }
    if config.messaging_service_sid:
        call["messaging_service_sid"] = config.messaging_service_sid
    else:
        call["from_"] = identity(config.sender or "", whatsapp=whatsapp)
    if config.webhook_url:
        call["status_callback"] = f"{config.webhook_url}?delivery={message.id}"
    if message.template is not None:
        if not re.fullmatch(r"HX[0-9A-Za-z]+", message.template.name):
            raise Refused("Twilio knows a template by its content SID, which begins with HX.")
        call["content_sid"] = message.template.name
        if message.template.values:
            numbered = {str(place): value for place, value in enumerate(message.template.values, 1)}
            call["content_variables"] = json.dumps(numbered, ensure_ascii=False)
        return call
    call["smart_encoded"] = False  # it would change letters without telling
    words = message.text
    if file := message.attachment:
        if not file.link:
            raise Refused("There is no address from which Twilio could fetch the file.")
        if whatsapp or by_mms(file, call):
            call["media_url"] = [file.link]
        else:
            # No sign before it: one that is not in GSM-7 would double the price of the message.
            words = "\n".join(filter(None, (words, f"{file.filename} {file.link}".strip())))
    if words:
        call["body"] = words
    return call


def destination(message: Outgoing, *, whatsapp: bool) -> str:
    """Who it goes to: the very id they wrote from, which may be spelt otherwise than their number."""
    to = str(message.context.get("to") or "")
    if not to or to.startswith(WHATSAPP) != whatsapp:
        to = identity(message.to.value, whatsapp=whatsapp)
    bare = to.removeprefix(WHATSAPP)
    number = bare.startswith("+") and E164.fullmatch(bare[1:])
    if whatsapp and (number or BSUID.fullmatch(bare)):
        return to
    if not whatsapp and (number or re.fullmatch("[0-9]{3,8}", bare)):
        return to
    raise Refused("This is not an address that can be written to by WhatsApp." if whatsapp else "This is no number.")


def identity(number: str, *, whatsapp: bool) -> str:
    return WHATSAPP * whatsapp + number.removeprefix(WHATSAPP)


def by_mms(file: Attachment, call: Mapping[str, Any]) -> bool:
    """Whether a file goes along itself: where both numbers are American or Canadian, as far as carriers take it."""
    if not all(it.startswith("+1") and not ISLANDS.match(it) for it in (call["to"], call.get("from_", ""))):
        return False
    kind = media_type(file.media_type)
    size = file.size if file.size is not None else len(file.data or b"")
    return bool(MMS_TYPES.fullmatch(kind)) and 0 < size <= (MMS if kind in PICTURES else MMS_OTHER)
