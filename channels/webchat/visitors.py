"""Who a visitor of the web chat is: a browser that was here before, or an account of the shop's, signed by its backend.

Rule: everything here is checked by a key and compared in constant time. Pure: keys, time and chance are parameters.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from channels.message import Address, Proof
from channels.values import E164, name
from channels.wire import clean

BROWSER = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)  # 16 random bytes
EMAIL = re.compile(r"[^@\s<>\"(),:;\\\[\]]{1,64}@[^@\s<>\"(),:;\\\[\]]{1,189}")
LEEWAY = timedelta(seconds=60)  # between the shop's clock and ours
MOST_AGE = timedelta(days=1)  # of an identity token: one that leaks is worthless tomorrow
MOST_BYTES = 4096  # of a token
SHORTEST_SECRET = 32  # bytes: RFC 7518, 3.2, asks for a key as long as SHA-256 is
MOST_SUBJECT = 200  # characters


class Unknown(Exception):
    """The shop's word on who this visitor is cannot be believed."""

    code = "identity_refused"


class Expired(Unknown):
    """The shop's word on who this visitor is has expired."""

    code = "identity_expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A browser, and whose account it is logged in to, if the shop has said so."""

    browser: str
    account: str = ""  # what the shop calls this customer
    name: str = ""
    email: str = ""
    phone: str = ""  # "+" and digits

    def address(self, channel: str) -> Address:
        """Where this visitor is answered."""
        return account_address(channel, self.account) if self.account else browser_address(self.browser)

    @property
    def proof(self) -> Proof:
        return Proof.VERIFIED if self.account else Proof.PLATFORM

    @property
    def proofs(self) -> tuple[tuple[Address, Proof], ...]:
        """What else is theirs, by the shop's word: none of it without an account."""
        if not self.account:
            return ()
        found = [(browser_address(self.browser), Proof.PLATFORM)]
        if self.email:
            found.append((Address(kind="email", value=self.email), Proof.VERIFIED))
        if self.phone:
            found.append((Address(kind="phone", value=self.phone), Proof.VERIFIED))
        return tuple(found)


def browser_address(browser: str) -> Address:
    return Address(kind="visitor", value=browser)


def account_address(channel: str, account: str) -> Address:
    return Address(kind="account", value=f"{channel}:{account}")


def browser_token(key: bytes, channel: str, browser: str) -> str:
    """What a browser keeps to be known again. Whoever has it is that browser."""
    return f"{browser}.{_mac(key, 'browser', channel, browser)}"


def browser_in(key: bytes, channel: str, token: str) -> str | None:
    """The browser a token was given to, None when it is not one of ours for this channel."""
    browser, _, mac = token.partition(".")
    if not BROWSER.fullmatch(browser):
        return None
    return browser if _same(mac, _mac(key, "browser", channel, browser)) else None


def identified(secret: str, token: str, browser: str, now: datetime) -> Visitor:
    """Read a token by which the shop's backend says who is logged in: a JWT signed with HS256 (RFC 7519).

    It needs `sub` and `exp`, at most a day ahead, and may have `name`, `email`, `phone` and `nbf`. Raises `Unknown`,
    or `Expired`.
    """
    claims = _claims(secret, token)
    until, since = _number(claims.get("exp")), _number(claims.get("nbf", 0))
    account = claims.get("sub")
    if isinstance(account, int) and not isinstance(account, bool):
        account = str(account)
    if not isinstance(account, str):
        raise Unknown
    if name(clean(account), MOST_SUBJECT + 1) != account or not 0 < len(account) <= MOST_SUBJECT:
        raise Unknown  # two names that only look the same are two accounts, and neither may become the other
    second = now.timestamp()
    if until + LEEWAY.total_seconds() <= second:
        raise Expired
    if until > second + (MOST_AGE + LEEWAY).total_seconds() or since > second + LEEWAY.total_seconds():
        raise Unknown
    return Visitor(
        browser=browser,
        account=account,
        name=name(_text(claims, "name")),
        email=_email(_text(claims, "email")),
        phone=_phone(_text(claims, "phone")),
    )


def mark(key: bytes, channel: str, visitor: Visitor) -> str:
    """Tells visitors apart without saying who they are: for what a browser keeps."""
    return _mac(key, "mark", channel, str(visitor.address(channel)))[:22]


def ticket(key: bytes, channel: str, visitor: Visitor, until: datetime) -> str:
    """What lets a page that has shown who it is show it again, for uploads and after a broken line."""
    return sealed(key, f"ticket:{channel}", asdict(visitor), until)


def admitted(key: bytes, channel: str, ticket: str, now: datetime) -> Visitor | None:
    """The visitor a ticket was given to, None when it is not ours or no longer good."""
    found = opened(key, f"ticket:{channel}", ticket, now)
    return Visitor(**found) if found is not None else None


def sealed(key: bytes, purpose: str, value: Mapping[str, Any], until: datetime) -> str:
    """A value that others may carry and read but not change, good for one purpose and until a time."""
    body = _b64(json.dumps([int(until.timestamp()), dict(value)], ensure_ascii=False).encode())
    return f"{body}.{_mac(key, 'sealed', purpose, body)}"


def opened(key: bytes, purpose: str, seal: str, now: datetime) -> Mapping[str, Any] | None:
    """The value of a seal, None when it is not ours, for something else, or too old."""
    body, _, mac = seal.partition(".")
    if not _same(mac, _mac(key, "sealed", purpose, body)):
        return None
    until, value = json.loads(_bytes(body))
    return value if now.timestamp() < until else None


def _mac(key: bytes, *parts: str) -> str:
    told = "\n".join(parts).encode("utf-8", "surrogatepass")
    return _b64(hmac.new(key, told, hashlib.sha256).digest())


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


def _claims(secret: str, token: str) -> dict[str, Any]:
    """What a token says, if the secret signed it. Its times are judged by the caller, who has a clock."""
    if len(secret.encode()) < SHORTEST_SECRET or len(token) > MOST_BYTES:
        raise Unknown
    import jwt  # with the first account that comes, for it brings a whole library of ciphers along

    judged = ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti")
    try:
        # Only this one: a token that names another algorithm, or none, chooses how it wants to be believed.
        found = jwt.decode(token, secret, algorithms=["HS256"], options=cast(Any, dict.fromkeys(judged, False)))
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unknown from None
    cleaned: dict[str, Any] = clean(found)
    if "sub" in found:
        cleaned["sub"] = found["sub"]  # as it was signed
    return cleaned


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Raises `ValueError` unless `text` is URL-safe base64 without padding, and the only way to write these bytes."""
    raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _b64(raw) != text:
        raise ValueError
    return raw


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 2**53:
        raise Unknown
    return value


def _text(claims: Mapping[str, Any], key: str) -> str:
    value = claims.get(key)
    return value.strip() if isinstance(value, str) else ""


def _email(text: str) -> str:
    """In small letters. A Turkish keyboard's İ is an i there; `lower` would make two signs of it."""
    return text.replace("İ", "i").lower() if EMAIL.fullmatch(text) else ""


def _phone(text: str) -> str:
    """Only whole numbers with their country: of any other nobody knows whose it is."""
    digits = re.sub(r"[\s().-]", "", text)
    return digits if digits.startswith("+") and E164.fullmatch(digits[1:]) else ""
