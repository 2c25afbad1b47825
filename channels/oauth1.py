"""OAuth 1.0a: signs a request with HMAC-SHA1 in a user's name. Pure; X is the last to want it.

Rule: of a body only a web form's fields are signed, and nothing here sends those: JSON and multipart bodies are not.
RFC 5849, https://docs.x.com/fundamentals/authentication/oauth-1-0a/creating-a-signature
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Who asks, and in whose name."""

    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    token: str = field(repr=False)
    token_secret: str = field(repr=False)


def header(
    keys: Keys,
    method: str,
    url: str,
    *,
    query: Mapping[str, str] | None = None,
    nonce: str,
    at: datetime,
) -> str:
    """The `Authorization` of one request. `query` is what is sent besides what stands in `url`.

    `nonce` must not come twice. A clock more than some minutes wrong is refused.
    """
    told = {
        "oauth_consumer_key": keys.consumer_key,
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(int(at.timestamp())),
        "oauth_token": keys.token,
        "oauth_version": "1.0",
    }
    in_url = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    told["oauth_signature"] = signature(keys, method, url, (*told.items(), *in_url, *(query or {}).items()))
    return "OAuth " + ", ".join(f'{encoded(key)}="{encoded(value)}"' for key, value in sorted(told.items()))


def signature(keys: Keys, method: str, url: str, parameters: Iterable[tuple[str, str]]) -> str:
    """The signature over all `parameters`: those of the query, of a form, and OAuth's own."""
    key = f"{encoded(keys.consumer_secret)}&{encoded(keys.token_secret)}"
    digest = hmac.new(key.encode(), base_string(method, url, parameters).encode(), hashlib.sha1)
    return base64.b64encode(digest.digest()).decode()


def base_string(method: str, url: str, parameters: Iterable[tuple[str, str]]) -> str:
    pairs = sorted((encoded(key), encoded(value)) for key, value in parameters)
    listed = "&".join(f"{key}={value}" for key, value in pairs)
    return "&".join((method.upper(), encoded(bare(url)), encoded(listed)))


def bare(url: str) -> str:
    """The address without query and fragment, and without the port its scheme has anyway (RFC 5849 §3.4.1.2)."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port and parts.port != PORTS.get(scheme) else ""
    return f"{scheme}://{host}{port}{parts.path or '/'}"


def encoded(text: str) -> str:
    """Percent-encoded as RFC 5849 §3.6 wants it: everything but letters, digits, "-", ".", "_" and "~"."""
    return quote(text.encode("utf-8", "replace"), safe="~")
