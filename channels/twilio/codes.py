"""What Twilio's error codes mean for us: one table, for what it answers at once and for what it tells later.

Rule: a code is named by the caller's next move. Codes: https://www.twilio.com/docs/api/errors
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from channels.errors import Misconfigured, Refused, Retry, SendFailed, Unreachable, Unwanted, WindowClosed
from channels.line import Answered, outcome
from channels.values import name

LEAST = 10_000  # a smaller number is an HTTP status that stands where a code would
GAVE_UP = "gave_up"  # the desk's word for what may be sent again when the way is free
PAUSE = timedelta(minutes=2)  # before the next try where a queue of Twilio's is full: it empties at a message a second
TOO_MANY_CALLS = 20429  # at once, which is over as soon as one of them is answered

CODES: Mapping[int, tuple[type[SendFailed], str]] = {
    # Our access and set-up: nothing can be sent until that is mended.
    20003: (Misconfigured, "Twilio does not accept the account SID and auth token, or the API key."),
    20005: (Misconfigured, "The Twilio account is suspended or closed."),
    20404: (Misconfigured, "Twilio does not know this account or service, or api_url is not Twilio's."),
    21603: (Misconfigured, "Twilio was given no number to send from."),
    21606: (Misconfigured, "The sender is not a number of this Twilio account that can send this."),
    21609: (Misconfigured, "Twilio does not accept public_url as an address for receipts."),
    21659: (Misconfigured, "The sender is not a number of this Twilio account."),
    21660: (Misconfigured, "The sender belongs to another Twilio account."),
    21701: (Misconfigured, "Twilio does not know the messaging service."),
    21703: (Misconfigured, "The messaging service has no number to send from."),
    21910: (Misconfigured, "The sender is not one of this channel: WhatsApp and SMS cannot be mixed."),
    30002: (Misconfigured, "The Twilio account is suspended."),
    63007: (Misconfigured, "Twilio does not know the sender as a WhatsApp number."),
    # Too fast, or a queue is full: the same message may be sent later.
    20429: (Retry, "Twilio asks to send more slowly."),
    21611: (Retry, "Twilio's queue for this sender is full."),
    30001: (Retry, "Twilio's queue was full for too long."),
    30022: (Retry, "The carriers' limit for this sender is reached."),
    63017: (Retry, "WhatsApp asks to send more slowly."),
    63018: (Retry, "WhatsApp asks to send more slowly."),
    # May well work later, but was not delivered now.
    30003: (Retry, "The phone is switched off or out of reach."),
    30008: (Retry, "The carrier does not say why."),
    30017: (Retry, "The carrier's network is congested."),
    30021: (Retry, "The carrier does not say why."),
    30410: (Retry, "The carrier did not answer in time."),
    63010: (Retry, "WhatsApp had an error of its own."),
    63012: (Retry, "WhatsApp had an error of its own."),
    63023: (Retry, "WhatsApp had an error of its own."),
    # Nothing will ever arrive there.
    21211: (Unreachable, "This is not a phone number."),
    21214: (Unreachable, "This number cannot be reached."),
    21217: (Unreachable, "This is not a phone number."),
    21610: (Unwanted, "The customer has answered STOP. They can write START to hear from us again."),
    21614: (Unreachable, "This is not a mobile number."),
    30005: (Unreachable, "The number does not exist any more."),
    30006: (Unreachable, "This is a landline, or its carrier takes no messages."),
    63003: (Unreachable, "This number is not on WhatsApp."),
    63014: (Unreachable, "The customer has blocked us on WhatsApp."),
    63024: (Unreachable, "This number is not on WhatsApp."),
    63032: (Unreachable, "WhatsApp does not let us write to this customer."),
    63033: (Unreachable, "The customer has blocked us on WhatsApp."),
    # The customer has to write first.
    63016: (WindowClosed, "WhatsApp's 24 hours for a free answer are over."),
    # Everything about this one message or this one country.
    11200: (Refused, "Twilio could not fetch the file."),
    11751: (Refused, "The file is too large for MMS."),
    12300: (Refused, "The file is not of the kind it was called."),
    21408: (Refused, "Sending to this country is not switched on in the Twilio console."),
    21608: (Refused, "A trial account sends to verified numbers only."),
    21612: (Refused, "The sender cannot send to this number."),
    21617: (Refused, "The text is too long."),
    21620: (Refused, "Twilio cannot fetch the file: its address is not public."),
    21623: (Refused, "These are too many files."),
    21654: (Refused, "Twilio does not know the template."),
    21655: (Refused, "Twilio does not know the template."),
    21656: (Refused, "The template's values are not those it asks for."),
    30004: (Refused, "The carrier or the customer blocks this message."),
    30007: (Refused, "The carrier took it for spam."),
    30018: (Refused, "The sender's name has to be registered in this country first."),
    30019: (Refused, "The file is too large for the carrier."),
    30032: (Refused, "The sender has to be registered with the carriers first."),
    30034: (Refused, "The sender has to be registered with the carriers first."),
    63005: (Refused, "WhatsApp does not take this content."),
    63013: (Refused, "WhatsApp's rules forbid this message."),
    63015: (Refused, "The customer has not joined the WhatsApp sandbox."),
    63019: (Refused, "Twilio could not fetch the file."),
    63021: (Refused, "WhatsApp does not take this content."),
    63026: (Refused, "WhatsApp took it for spam."),
    63027: (Refused, "The template does not exist in this language."),
    63028: (Refused, "The template asks for another number of values."),
    63034: (Refused, "The file is too large for WhatsApp."),
    63037: (Refused, "WhatsApp does not take this file."),
    63040: (Refused, "WhatsApp has rejected the template."),
    63041: (Refused, "WhatsApp has paused the template."),
    63049: (Refused, "WhatsApp holds back offers to this customer for now."),
    63050: (Refused, "The customer does not want offers on WhatsApp."),
    92007: (Refused, "The template is not valid."),
}


def refusal(answer: Answered, *, repeatable: bool = False) -> SendFailed:
    """Name an answer that is not the one asked for."""
    told = answer.json()
    told = told if isinstance(told, dict) else {}
    code = told.get("code")
    words = told.get("message") or told.get("detail") or ""
    if not isinstance(code, int) or code < LEAST or answer.status >= 500:
        return outcome(answer, shown(str(words)), repeatable=repeatable)
    kind, ours = CODES.get(code, (None, ""))
    if kind is None:
        return outcome(answer, shown(str(words)), code=str(code), repeatable=repeatable)
    if issubclass(kind, Retry):
        after = answer.after or (None if code == TOO_MANY_CALLS else PAUSE)
        return kind(ours, after=after, whole_channel=code in (TOO_MANY_CALLS, 21611), provider_code=str(code))
    return kind(ours, provider_code=str(code))


def told(code: int | None, words: str) -> tuple[str, str, bool]:
    """Code, detail and whether the address is lost, of a delivery that Twilio tells later it gave up on.

    What was to be tried again or mended first is refused all the same: Twilio has let it go, and nobody sends it again
    by itself.
    """
    kind, ours = CODES.get(code or 0, (Refused, ""))
    if issubclass(kind, WindowClosed | Unreachable):
        final = kind.code
    else:
        final = GAVE_UP if issubclass(kind, Retry) else Refused.code
    detail = f"{code}: {ours or shown(words)}" if code else shown(words)
    return final, detail.rstrip(": "), issubclass(kind, Unreachable)


def shown(words: str) -> str:
    """Twilio's words in one line, without the addresses of ours they may repeat."""
    return name(re.sub(r"\S*://\S*", "…", words), 300)
