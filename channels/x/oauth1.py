"""OAuth 1.0a: signs a request with HMAC-SHA1 in a user's name. Pure; X is the last to want it.

Rule: of a body only a web form's fields are signed, and nothing here sends those: JSON and multipart bodies are not.
RFC 5849, https://docs.x.com/fundamentals/authentication/oauth-1-0a/creating-a-signature
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit


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

    `nonce` must not come twice. A clock more than some minutes wrong is refused. Raises ValueError for what is no
    web address.
    """
    # Loaded with the first signature: shops without X do without it.
    from oauthlib.oauth1 import Client
    from oauthlib.oauth1.rfc5849 import signature

    told = {
        "oauth_consumer_key": keys.consumer_key,
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(int(at.timestamp())),
        "oauth_token": keys.token,
        "oauth_version": "1.0",
    }
    parts = urlsplit(url)
    asked = (*parse_qsl(parts.query, keep_blank_values=True), *(query or {}).items())
    where = signature.base_string_uri(urlunsplit(parts._replace(query="", fragment="")))
    base = signature.signature_base_string(method, where, signature.normalize_parameters((*told.items(), *asked)))
    # The client's own `sign` would write keys into the debug log.
    secrets = Client("", client_secret=keys.consumer_secret, resource_owner_secret=keys.token_secret)
    told["oauth_signature"] = signature.sign_hmac_sha1_with_client(base, secrets)
    return "OAuth " + ", ".join(f'{encoded(key)}="{encoded(value)}"' for key, value in sorted(told.items()))


def encoded(text: str) -> str:
    """Percent-encoded as RFC 5849 §3.6 wants it: everything but letters, digits, "-", ".", "_" and "~"."""
    return quote(text.encode("utf-8", "replace"), safe="~")
