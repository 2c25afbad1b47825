"""Our own marks in a mail: its Message-ID, and the part after the plus in an address. Both name a delivery.

Rule: a delivery's id holds 122 random bits and is looked up in the database, so knowing a mark is having got the mail.
It proves no more: mails are forwarded.
"""

from __future__ import annotations

import base64
import binascii
import re
from uuid import UUID

_OURS = re.compile(r"<?santral\.([0-9a-f]{32})@[^<>\s@]+>?", re.IGNORECASE)
_TOKEN = re.compile(r"\+([rb])\.([a-z2-7]{26})@", re.IGNORECASE)
_ANYWHERE = re.compile(r"santral\.([0-9a-f]{32})@", re.IGNORECASE)


def message_id(id: UUID, domain: str) -> str:
    """The Message-ID of a delivery, with its angle brackets."""
    return f"<santral.{id.hex}@{domain}>"


def delivery_of(message_id: str) -> UUID | None:
    """The delivery whose Message-ID this is, None for everybody else's."""
    found = _OURS.fullmatch(message_id.strip())
    return UUID(hex=found[1]) if found else None


def deliveries_in(text: str, most: int = 10) -> tuple[UUID, ...]:
    """The deliveries whose Message-IDs stand anywhere in a text, in order of appearance, each once."""
    found: dict[UUID, None] = {}
    for place in _ANYWHERE.finditer(text):
        found[UUID(hex=place[1])] = None
        if len(found) == most:
            break
    return tuple(found)


def token(id: UUID) -> str:
    """A delivery's id as a part of an address: 26 letters and digits, the same in either case."""
    return base64.b32encode(id.bytes).decode().rstrip("=").lower()


def untagged(address: str) -> str:
    """The address without what stands after a plus: `shop+r.…@x` is `shop@x`."""
    local, at, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"


def tagged(address: str, purpose: str, id: UUID) -> str:
    """An address with our mark in it: purpose "r" for replies, "b" for bounces."""
    local, _, domain = address.rpartition("@")
    return f"{local}+{purpose}.{token(id)}@{domain}"


def delivery_in(address: str) -> UUID | None:
    """The delivery whose mark this address carries, None without one."""
    found = _TOKEN.search(address)
    if not found:
        return None
    try:
        return UUID(bytes=base64.b32decode(found[2].upper() + "======"))
    except (binascii.Error, ValueError):
        return None
