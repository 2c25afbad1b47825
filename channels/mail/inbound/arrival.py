"""What every way in has in common: how a mail becomes a `Letter`, and what is known about it beside its bytes.

Rule: facts are what the server of that way says of itself. Whatever stands inside the mail anybody could have written
there, so none of it becomes a fact.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import orjson

from channels.channel import Request
from channels.errors import Malformed, Unverified
from channels.mail.digest import digest as digest_of
from channels.mail.values import MOST_RECIPIENTS, Envelope
from channels.message import Event, Letter

MOST_WORD = 1_000  # characters of an address, an id or a verdict: RFC 5321 knows addresses of at most 320
BARE = dict.fromkeys((*range(32), *range(127, 160)))


class Inbound(Protocol):
    """One provider's webhook for mail. Meant to be called by the adapter that configured it."""

    def verify(self, request: Request) -> None:
        """Raise `Unverified` unless the request is the provider's, or `Retry` while that cannot be told yet."""
        ...

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        """Read a request, verified or not. Raise `Malformed` when the body is not one this provider makes."""
        ...

    def confirmations(self, request: Request) -> str | None:
        """The address to GET once, by which the provider learns that we want its mail. Only for verified requests."""
        ...


def letter(
    *,
    channel: str,
    way: str,
    at: datetime,
    raw: bytes,
    mail_from: str | None,
    recipients: Sequence[str],
    id: str = "",
    digest: bytes = b"",
    **facts: Any,
) -> Letter:
    """Make a letter; with the envelope, `facts` is what `envelope` reads, and more for the adapter.

    Without an `id` of the provider's the same bytes for the same recipients are the same delivery: a sender that never
    heard our "yes" brings it again. `digest` is given where the bytes are still elsewhere.
    """
    sender = None if mail_from is None else word(mail_from)
    to = [word(found) for found in recipients[:MOST_RECIPIENTS]]
    digest = digest or digest_of(raw)
    if not id:
        id = hashlib.sha256("\n".join([sender or "", *sorted(to), digest.hex()]).encode()).hexdigest()
    told = {name: value for name, value in facts.items() if value}
    return Letter(
        channel=channel,
        external_id=f"{way}:{word(id)}",
        digest=digest,
        at=at,
        raw=raw,
        facts={"way": way, "mail_from": sender, "recipients": to, **told},
    )


def envelope(facts: Mapping[str, Any]) -> Envelope:
    """What a letter's facts tell, whichever way it came."""
    mail_from, verdicts = facts.get("mail_from"), facts.get("verdicts")
    return Envelope(
        mail_from=mail_from if isinstance(mail_from, str) else None,
        recipients=tuple(texts(facts.get("recipients"))),
        client_ip=client(facts.get("client_ip")) if facts.get("way") != "lmtp" else "",  # there it is the next hop
        folder=word(facts.get("folder")),
        spam=facts.get("spam") is True,
        verdicts={word(name): word(said) for name, said in verdicts.items()} if isinstance(verdicts, Mapping) else {},
    )


def client(told: Any) -> str:
    """An address of the internet, or "": one of our own network says nothing about the sender."""
    try:
        return word(told) if ipaddress.ip_address(word(told)).is_global else ""
    except ValueError:
        return ""


def word(told: Any) -> str:
    """One line that may be stored: no control characters, no halves of characters, and an end."""
    if not isinstance(told, str):
        return ""
    return told[:MOST_WORD].encode("utf-8", "replace").decode().translate(BARE).strip()


def texts(told: Any) -> list[str]:
    """The strings of a list that may hold anything."""
    found: Iterable[Any] = told if isinstance(told, list | tuple) else ()
    return [word(item) for item in found if isinstance(item, str) and word(item)]


def address(told: Any) -> str:
    """What stands between angle brackets, or all of it: `<>` is the null sender, ""."""
    return word(told).removeprefix("<").removesuffix(">").strip()


def table(body: bytes | str) -> dict[str, Any]:
    """A JSON object. Raises `Malformed` for everything else."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("The body is not JSON.") from None
    if not isinstance(found, dict):
        raise Malformed("The body is not a JSON object.")
    return found


def loose(body: bytes) -> Any:
    """JSON inside a form's field, None when it is none: a broken detail must not cost the mail."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def decoded(told: Any) -> bytes:
    """Base64 as mailers write it; what is none stays as it is, so that nothing is lost."""
    coded = told.encode("utf-8", "replace") if isinstance(told, str) else b""
    try:
        return binascii.a2b_base64(coded)
    except binascii.Error:
        return coded


def check_password(request: Request, secret: str) -> None:
    """Raise `Unverified` unless the request carries `user:password` as HTTP Basic."""
    scheme, _, coded = request.headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(coded.strip(), validate=True) if scheme.lower() == "basic" else b""
    except ValueError:
        given = b""
    if not secret or not hmac.compare_digest(given, secret.encode()):
        raise Unverified


def need_password(secret: str) -> str:
    """Refuse, when the channel is configured, what could never be sent as HTTP Basic."""
    user, colon, password = secret.partition(":")
    if not (user and colon and password):
        raise ValueError("this provider signs nothing: its secret has to be user:password, as written into its URL")
    return secret
