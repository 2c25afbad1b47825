"""Words by which people end and begin again what they are sent: STOP, DUR, СТОП. Pure.

Rule: only a message that is nothing but such a word counts. "Stop, that was the wrong parcel" is a message.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from enum import Enum

from channels.message import OptedIn, OptedOut, Received
from channels.values import name


class Wish(Enum):
    """What a message that is one of these words asks for."""

    OUT = "out"
    IN = "in"
    HELP = "help"


def folded(text: str) -> str:
    """Lower case without dots over i, without the marks of Arabic, without what surrounds it."""
    plain = unicodedata.normalize("NFKD", text.replace("İ", "i").replace("I", "i")).casefold()
    bare = "".join(char for char in plain if not unicodedata.combining(char)).replace("ı", "i").replace("ـ", "")
    return " ".join(re.sub(r"[^\w\s]", " ", bare).split())


def _words(text: str) -> frozenset[str]:
    return frozenset(folded(word) for word in text.split(","))


# What nobody says of an order: anywhere these mean messages.
OUT = _words(
    "stop, stop all, stopall, unsubscribe, opt out, optout, opt-out, dur, durdur, ret, abonelikten çık, mesaj atma, "
    "стоп, отписаться, отписка, отпишите меня, stopp, abmelden, abbestellen, توقف, إيقاف, ايقاف, إلغاء الاشتراك"
)
IN = _words(
    "start, unstop, subscribe, opt in, optin, opt-in, başla, başlat, abone ol, старт, начать, подписаться, "
    "anmelden, abonnieren, ابدأ, اشترك, اشتراك"
)
# The carriers' own, which block whatever the sender thought of: one cancels orders with them, but not by SMS. They
# compare the whole text in any case, so "Cancel!" is an order. twilio.com, "Twilio support for opt-out keywords"
CARRIER_OUT = frozenset(("end", "quit", "revoke", "cancel"))
CARRIER_IN = frozenset(("yes",))
CARRIER_HELP = frozenset(("help", "info"))


def wish(text: str, *, carrier: bool) -> Wish | None:
    """What a message asks for, None for every other message. `carrier`: with the words that only carriers take so."""
    if len(text) > 40:
        return None
    word, bare = folded(text), text.strip().lower()
    if word in OUT or (carrier and bare in CARRIER_OUT):
        return Wish.OUT
    if word in IN or (carrier and bare in CARRIER_IN):
        return Wish.IN
    return Wish.HELP if carrier and bare in CARRIER_HELP else None


def asking(message: Received) -> tuple[Received | OptedOut | OptedIn, ...]:
    """A message by an app that leaves STOP to us, and what it asks for where it is nothing but such a word.

    No program answers one: an acknowledgement would be the very thing they do not want.
    """
    asked = None if message.attachments else wish(message.text, carrier=False)
    if asked is None:
        return (message,)
    channel, sender, at = message.channel, message.sender, message.sent_at
    quiet = replace(message, quiet=True)
    if asked is Wish.OUT:
        return (quiet, OptedOut(channel=channel, sender=sender, at=at, why=f"wrote {name(message.text, 40)}"))
    return (OptedIn(channel=channel, sender=sender, at=at), quiet)
