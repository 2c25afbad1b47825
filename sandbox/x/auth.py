"""Who calls: OAuth 1.0a signatures, OAuth 2.0 bearers, and refresh tokens that work once.

Rule: a signature is computed anew from the request as it came; nothing is believed because it looks right.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from secrets import token_urlsafe
from urllib.parse import parse_qsl, quote, unquote

from aiohttp import web

from sandbox.journal import Json
from sandbox.x.values import DM_SCOPES, TOKEN_LIFE, ApiError, App, Token, problem, unauthorized

SKEW = 300.0  # seconds a signed request may be old
NAMES = {
    "oauth1": "OAuth 1.0a User Context",
    "oauth2": "OAuth 2.0 User Context",
    "app": "OAuth 2.0 Application-Only",
}


def encoded(text: str) -> str:
    """Percent-encode as RFC 3986 has it: only letters, digits and -._~ stay."""
    return quote(text, safe="-._~")


def signature(
    method: str, url: str, parameters: Iterable[tuple[str, str]], consumer_secret: str, token_secret: str
) -> str:
    """Sign a request with HMAC-SHA1. `url` is without query; `parameters` are query, form and oauth_* together."""
    pairs = sorted((encoded(name), encoded(value)) for name, value in parameters)
    joined = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join((method.upper(), encoded(url), encoded(joined)))
    key = f"{encoded(consumer_secret)}&{encoded(token_secret)}"
    return base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()).decode()


def sealed(secret: str, data: bytes) -> str:
    """Sign a webhook body, or answer a challenge: `sha256=` and base64."""
    return "sha256=" + base64.b64encode(hmac.new(secret.encode(), data, hashlib.sha256).digest()).decode()


def said(header: str) -> dict[str, str]:
    """Read the parameters of an `Authorization: OAuth …` header."""
    found: dict[str, str] = {}
    for part in header.partition(" ")[2].split(","):
        name, _, value = part.strip().partition("=")
        found[unquote(name)] = unquote(value.strip('"'))
    return found


class Keys:
    """The tokens of one app."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.tokens: dict[str, Token] = {}
        self.refreshes: dict[str, Token] = {}
        self._nonces: dict[str, float] = {}

    def clear(self) -> None:
        self.tokens.clear()
        self.refreshes.clear()
        self._nonces.clear()

    def grant(self, user: str, scopes: frozenset[str] = DM_SCOPES) -> Json:
        """Give an app what a user allowed, as the token endpoint answers."""
        access = token_urlsafe(24)
        self.tokens[access] = Token(kind="oauth2", user=user, scopes=scopes, until=self._now() + TOKEN_LIFE)
        answer: Json = {
            "token_type": "bearer",
            "expires_in": int(TOKEN_LIFE / timedelta(seconds=1)),
            "access_token": access,
            "scope": " ".join(sorted(scopes)),
        }
        if "offline.access" in scopes:
            refresh = token_urlsafe(24)
            self.refreshes[refresh] = Token(kind="refresh", user=user, scopes=scopes)
            answer["refresh_token"] = refresh
        return answer

    def revoke(self, user: str) -> None:
        for held in (self.tokens, self.refreshes):
            for name in [name for name, token in held.items() if token.user == user]:
                del held[name]

    def refresh(self, app: App, header: str, form: dict[str, str]) -> Json:
        """Change a refresh token for a new pair. The old one is dead from then on, whoever asks."""
        self._client(app, header, form)
        if form.get("grant_type") != "refresh_token":
            raise _oauth(400, "unsupported_grant_type", "Missing or unsupported grant type.")
        known = self.refreshes.pop(form.get("refresh_token", ""), None)
        if known is None:
            raise _oauth(400, "invalid_request", "Value passed for the token was invalid.")
        return self.grant(known.user, known.scopes)

    def _client(self, app: App, header: str, form: dict[str, str]) -> None:
        """Confidential clients say their secret by Basic, public ones their id in the form."""
        if header.startswith("Basic "):
            if basic(header) != (app.client_id, app.client_secret):
                raise _oauth(401, "unauthorized_client", "Missing valid authorization header")
        elif app.client_secret:
            raise _oauth(401, "unauthorized_client", "Missing valid authorization header")
        elif form.get("client_id") != app.client_id:
            raise _oauth(400, "invalid_request", "Value passed for the client id was invalid.")

    async def caller(self, app: App, request: web.Request, allowed: frozenset[str], scopes: frozenset[str]) -> Token:
        """Find who calls. Raises 401 for bad credentials, 403 for a kind or scope the call does not take."""
        header = request.headers.get("Authorization", "")
        if header.startswith("OAuth "):
            token = await self._signed(app, request, said(header))
        elif header.startswith("Bearer "):
            token = self._borne(app, header.removeprefix("Bearer ").strip())
        else:
            raise unauthorized()
        if token.kind not in allowed:
            supported = ", ".join(NAMES[kind] for kind in NAMES if kind in allowed)
            raise problem(
                403,
                "Unsupported Authentication",
                f"Authenticating with {NAMES[token.kind]} is forbidden for this endpoint.  "
                f"Supported authentication types are [{supported}].",
                "unsupported-authentication",
            )
        if token.kind == "oauth2" and not scopes <= token.scopes:
            raise problem(403, "Forbidden", f"Missing scopes: {', '.join(sorted(scopes - token.scopes))}")
        return token

    def _borne(self, app: App, value: str) -> Token:
        if app.bearer and hmac.compare_digest(value.encode(), app.bearer.encode()):
            return Token(kind="app")
        token = self.tokens.get(value)
        if token is None or token.kind != "oauth2" or (token.until is not None and token.until <= self._now()):
            raise unauthorized()
        return token

    async def _signed(self, app: App, request: web.Request, given: dict[str, str]) -> Token:
        token = self.tokens.get(given.get("oauth_token", ""))
        if token is None or token.kind != "oauth1" or given.get("oauth_consumer_key") != app.consumer_key:
            raise unauthorized()
        if given.get("oauth_signature_method") != "HMAC-SHA1" or given.get("oauth_version", "1.0") != "1.0":
            raise unauthorized()
        self._fresh(given)
        parameters = [(name, value) for name, value in given.items() if name not in ("oauth_signature", "realm")]
        parameters += parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True)
        if request.content_type == "application/x-www-form-urlencoded":
            parameters += parse_qsl((await request.read()).decode(), keep_blank_values=True)
        expected = signature(request.method, _address(request), parameters, app.consumer_secret, token.secret)
        if not hmac.compare_digest(expected.encode(), given.get("oauth_signature", "").encode()):
            raise unauthorized()
        return token

    def _fresh(self, given: dict[str, str]) -> None:
        """Refuse a stale or repeated request. The world's clock may be ahead, and then the app's may or may not be."""
        stamp, nonce = given.get("oauth_timestamp", ""), given.get("oauth_nonce", "")
        real = time.time()
        if not stamp.isdigit() or not nonce or nonce in self._nonces:
            raise unauthorized()
        if min(abs(real - int(stamp)), abs(self._now().timestamp() - int(stamp))) > SKEW:
            raise unauthorized()
        self._nonces = {known: at for known, at in self._nonces.items() if real - at < 2 * SKEW}
        self._nonces[nonce] = real


def basic(header: str) -> tuple[str, str]:
    """Read Basic credentials, which are percent-encoded inside. Anything else reads as empty."""
    try:
        name, _, secret = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote(name), unquote(secret)


def _oauth(status: int, error: str, description: str) -> ApiError:
    return ApiError(status, {"error": error, "error_description": description})


def _address(request: web.Request) -> str:
    """The address that was signed: lower-case scheme and host, no default port, the path as it was encoded."""
    host = request.host.lower()
    host = host.removesuffix(":80" if request.scheme == "http" else ":443")
    return f"{request.scheme}://{host}{request.rel_url.raw_path}"
