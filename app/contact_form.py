"""The contact form as values: what was filled in, what is wrong with it, and the signed ticket its page carries.

Rule: pure. Nothing a person typed is refused for good: what is wrong is said beside it, and the rest is kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from channels.mail.forms import deliverable
from channels.values import name as one_line
from templates.values import shows

MOST_FILES = 5
MOST_BYTES = 20 << 20  # of all files together
SOONEST = timedelta(seconds=3)  # after the page was made: people need longer, programs do not
LATEST = timedelta(hours=24)
MANY_LINKS = 4  # a person names the product and the parcel; who names four sells something

# Characters of each field, and those that have to be filled in. A mail's address has 254 (RFC 5321 4.5.3.1.3).
LONGEST: Mapping[str, int] = {"name": 100, "email": 254, "phone": 40, "order": 60, "subject": 150, "message": 8000}
REQUIRED = ("name", "email", "subject", "message")

_TICKET = struct.Struct(">BQ16s")  # version, milliseconds since 1970, nonce
_VERSION, _MAC = 1, 16
_LABEL = b"santral: ticket of the contact form"
_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
_LINKS = re.compile(r"https?://|\bwww\.|\[url\b|<a\s", re.IGNORECASE)
_MARKUP = re.compile(r"\[(?:url|link)\b[^\]]*\]|<a\s[^>]*href", re.IGNORECASE)  # what only programs write into a form


class TooSoon(Exception):
    """Sent faster than anybody reads a form; the same ticket is good in a moment."""


class TooOld(Exception):
    """Not a ticket of ours, or one of yesterday; a new one makes it good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One page with a form, as long as it is good. `nonce` names what is sent from it."""

    text: str
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What was filled in, cleaned. `trap` is a field that people do not see."""

    name: str = ""
    email: str = ""
    phone: str = ""
    order: str = ""
    subject: str = ""
    message: str = ""
    trap: str = ""
    ticket: str = ""
    too_long: frozenset[str] = field(default_factory=frozenset)


def read(given: Mapping[str, str]) -> Form:
    """Clean what came. What is too long is cut and named, so that it can be shown again."""
    cleaned = {key: (_lines if key == "message" else _line)(given.get(key, "")) for key in LONGEST}
    return Form(
        **{key: text[: LONGEST[key]] for key, text in cleaned.items()},
        trap=given.get("website", "").strip()[:100],
        ticket=given.get("ticket", "")[:200],
        too_long=frozenset(key for key, text in cleaned.items() if len(text) > LONGEST[key]),
    )


def problems(form: Form) -> dict[str, str]:
    """What is wrong, by field in the order of the page: the key of the words for it."""
    found: dict[str, str] = {}
    for key in LONGEST:
        value = getattr(form, key)
        if key in form.too_long:
            found[key] = "error_too_long"
        elif key in REQUIRED and not shows(value):
            found[key] = f"error_{key}"
        elif key == "email" and not deliverable(value):
            found[key] = "error_email"
    return found


def suspicious(form: Form) -> bool:
    """Whether it looks like an advertisement. It is taken all the same: an agent is told, nobody is refused."""
    if _LINKS.search(form.name) or _LINKS.search(form.subject):
        return True
    return bool(_MARKUP.search(form.message)) or len(_LINKS.findall(form.message)) >= MANY_LINKS


def message_id(ticket: Ticket, form: Form, files: Iterable[bytes]) -> str:
    """What this message is named by: the same for a second click, another for other words from the same page.

    Whoever goes back in the browser and writes something else has written something else. `files` are digests.
    """
    said = hashlib.blake2b(digest_size=8)
    for part in (*(getattr(form, key).encode("utf-8", "surrogatepass") for key in LONGEST), *files):
        said.update(len(part).to_bytes(4, "big") + part)
    return f"{ticket.nonce}.{said.hexdigest()}"


def issue(secret: bytes, at: datetime, nonce: bytes) -> str:
    """A ticket for a page made now. `nonce` are 16 random bytes."""
    facts = _TICKET.pack(_VERSION, int(at.timestamp() * 1000), nonce)
    return base64.urlsafe_b64encode(facts + _signed(secret, facts)).decode().rstrip("=")


def redeem(secret: bytes, text: str, now: datetime) -> Ticket:
    """Read a ticket that came back. Raises `TooSoon` or `TooOld`, which is also for what we never signed."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TooOld from None
    facts, mac = raw[:-_MAC], raw[-_MAC:]
    if len(facts) != _TICKET.size or not hmac.compare_digest(mac, _signed(secret, facts)):
        raise TooOld
    _, milliseconds, nonce = _TICKET.unpack(facts)
    age = now - datetime.fromtimestamp(milliseconds / 1000, UTC)
    if age >= LATEST or age < -LATEST:
        raise TooOld
    if age < SOONEST:  # also of a process whose clock is a little behind
        raise TooSoon
    return Ticket(text=text, nonce=nonce.hex())


def spoken(asked: str, accepted: str, offered: Sequence[str]) -> str:
    """The language of a page: the one asked for, else the first of `Accept-Language` that is offered, else the
    first of all.

    `accepted` is the header as it came, whatever stands in it.
    """
    bases = {language.partition("-")[0].lower(): language for language in reversed(offered)}
    bases |= {language.lower(): language for language in offered}
    ranked: list[tuple[float, str]] = []
    for entry in accepted[:1000].split(","):
        language, _, quality = entry.partition(";")
        found = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", quality) if quality else None
        weight = float(found[1]) if found else 0.0 if quality else 1.0
        if weight > 0:
            ranked.append((-weight, language.strip().lower()))
    wanted = [asked.strip().lower(), *(language for _, language in sorted(ranked, key=lambda one: one[0]))]
    for language in wanted:
        if found_one := bases.get(language) or bases.get(language.partition("-")[0]):
            return found_one
    return offered[0]


def _line(text: str) -> str:
    return one_line(unicodedata.normalize("NFC", text), len(text) + 1)


def _lines(text: str) -> str:
    """Words on lines: no control characters, and no more than one empty line in a row."""
    text = _LINE_ENDS.sub("\n", unicodedata.normalize("NFC", text))
    kept = "".join(sign for sign in text if sign in "\n\t" or unicodedata.category(sign) not in ("Cc", "Cs"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in kept.split("\n"))).strip()


def _signed(secret: bytes, facts: bytes) -> bytes:
    return hmac.digest(secret, _LABEL + facts, "sha256")[:_MAC]
