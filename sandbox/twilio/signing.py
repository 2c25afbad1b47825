"""How Twilio signs what it posts to the shop.

Rule: pure, and exact to the byte. The URL is signed as it is written in the settings, without its fragment.
Pages: www.twilio.com/docs/usage/security and /docs/usage/webhooks/webhook-shared-keys.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson

Params = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What signs. With an `id` it is a shared key (SHA-256, named in a header), else an account's token (SHA-1)."""

    secret: str = field(repr=False)
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request ready to be made. `url` is to be used as it is: quoting it again would break the signature."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def signature(secret: str, url: str, params: Iterable[tuple[str, str]] = (), *, algorithm: str = "sha1") -> str:
    """Sign a URL and form parameters; equal pairs count once, blank values count."""
    text = url + "".join(name + value for name, value in sorted(set(params)))
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), algorithm).digest()).decode()


def without_port(url: str) -> str:
    """Take the port away: Twilio has signed both ways."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.hostname or "")) if parts.port else url


def extended(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def signed(
    url: str, method: str, params: Params, key: Key, *, as_json: bool = False, portless: bool = False
) -> Request:
    """Make the request for one webhook: a form, a query (GET), or JSON whose SHA-256 is part of the signed URL."""
    bare, body, counted = url.partition("#")[0], b"", Params()
    headers: dict[str, str] = {}
    if method.upper() == "GET":
        bare = extended(bare, urlencode(params))
    elif as_json:
        body = orjson.dumps(dict(params))
        bare = extended(bare, f"bodySHA256={hashlib.sha256(body).hexdigest()}")
        headers["Content-Type"] = "application/json"
    else:
        body, counted = urlencode(params).encode(), params
        headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
    address = without_port(bare) if portless else bare
    if key.id:
        headers["X-Twilio-Webhooks-Signature-Settings"] = f"key={key.id},algorithm=HMAC_SHA256"
    headers["X-Twilio-Signature"] = signature(key.secret, address, counted, algorithm="sha256" if key.id else "sha1")
    return Request(method=method.upper(), url=bare, headers=headers, body=body)
