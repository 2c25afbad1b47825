"""Access tokens for mailboxes that take no password: asked for with a refresh token, or as an app of its own.

Rule: one `OAuth` serves reading and sending of a mailbox, from any thread, because a provider may hand out a new
refresh token with each answer, and then only the newest one counts. No secret gets into an error.
Pages: RFC 6749, 4.4, 5.2 and 6; developers.google.com/identity/protocols/oauth2; learn.microsoft.com/entra
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from channels.errors import Misconfigured, Retry
from channels.mail.imap.words import shortened

EARLY = timedelta(minutes=5)  # before its end a token is replaced: a login may take a while, a clock may be off
LIVES = timedelta(minutes=55)  # where the answer does not tell; Google and Microsoft give an hour
SECONDS = 20
MOST_ANSWER = 64 << 10  # bytes

GRANT = (
    "The permission to read this mailbox was withdrawn or has run out. Grant it again and put the new token into "
    "oauth_refresh_token. (Google ends it after 7 days while the app is in testing; a changed password ends it too.)"
)
CLIENT = (
    "The OAuth app is not known there: look at oauth_client_id and oauth_client_secret. Microsoft's secrets run out."
)
SCOPE = (
    "oauth_scope is refused. Google: https://mail.google.com/. Microsoft: https://outlook.office.com/"
    "IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access."
)
# `error` of RFC 6749, 5.2 to what the shop can do.
FIXES = {
    "invalid_grant": GRANT,
    "interaction_required": GRANT,
    "consent_required": GRANT,
    "invalid_client": CLIENT,
    "unauthorized_client": CLIENT,
    "invalid_scope": SCOPE,
}


class OAuth:
    """Where tokens come from. Without `refresh_token` they are asked for as an app (client credentials).

    `rotated` is called, in some thread, with each new refresh token that replaces the one we have; without keeping it a
    restart begins with the configured one again. Raises `ValueError` when the URL is neither https nor on this machine.
    """

    def __init__(
        self,
        *,
        token_url: str,
        client_id: str,
        client_secret: str = "",
        refresh_token: str = "",
        scope: str = "",
        rotated: Callable[[str], None] = lambda token: None,
    ) -> None:
        parts = urlsplit(token_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and _local(parts.hostname or "")):
            raise ValueError("oauth_token_url has to begin with https://.")
        self.token_url = token_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._refresh_token = refresh_token
        self._scope = scope
        self._rotated = rotated
        self._asking = threading.Lock()
        self._token = ""
        self._until: datetime | None = None

    def __repr__(self) -> str:
        return f"OAuth(token_url={self.token_url!r})"

    def token(self, now: datetime, *, instead_of: str = "") -> str:
        """An access token good for five minutes at least. Blocks up to 20 s: call it in a thread.

        `instead_of` is one that was refused though its time was not over. Raises `Retry` or `Misconfigured`.
        """
        with self._asking:
            good = self._until is not None and now < self._until - EARLY
            if not good or self._token == instead_of:
                self._ask(now)
            return self._token

    def _ask(self, now: datetime) -> None:
        answer = self._posted()
        token = answer.get("access_token")
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise Misconfigured("The OAuth server gave no access token. Look at oauth_token_url.")
        try:
            lives = timedelta(seconds=min(float(answer.get("expires_in") or LIVES.total_seconds()), 86_400))
        except (TypeError, ValueError):
            lives = LIVES
        self._token, self._until = token, now + max(lives, EARLY + timedelta(minutes=1))
        newer = answer.get("refresh_token")
        if isinstance(newer, str) and newer and self._refresh_token and newer != self._refresh_token:
            self._refresh_token = newer
            self._rotated(newer)

    def _posted(self) -> Mapping[str, Any]:
        form = {"client_id": self._client_id, "client_secret": self._client_secret, "scope": self._scope}
        if self._refresh_token:
            form |= {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        else:
            form |= {"grant_type": "client_credentials"}
        body = urlencode({name: value for name, value in form.items() if value}).encode()
        request = urllib.request.Request(self.token_url, body, {"Accept": "application/json"})  # noqa: S310 - see __init__
        try:
            with _opener.open(request, timeout=SECONDS) as answer:
                return _read(answer.read(MOST_ANSWER))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error.code, _read(error.read(MOST_ANSWER))) from None
        except (OSError, http.client.HTTPException) as error:
            words = f"{urlsplit(self.token_url).hostname} cannot be asked for a token ({type(error).__name__})"
            raise Retry(words, whole_channel=True) from None

    def _refused(self, status: int, answer: Mapping[str, Any]) -> Retry | Misconfigured:
        host = urlsplit(self.token_url).hostname
        code = shortened(str(answer.get("error", "")))
        if status >= 500 or status == 429 or code in ("temporarily_unavailable", "server_error", "slow_down"):
            return Retry(f"{host} gives no token just now ({status})", whole_channel=True, provider_code=str(status))
        secrets = (self._client_secret, self._refresh_token, self._token)
        said = shortened(str(answer.get("error_description", "")).partition("Trace ID")[0], secrets)
        words = f"{host} gives no token ({code or status}{': ' + said if said else ''})"
        fix = FIXES.get(code, "Look at the oauth_ keys.")
        return Misconfigured(f"{words}. {fix}", provider_code=code or str(status))


class _Stay(urllib.request.HTTPRedirectHandler):
    """Secrets go where they were meant to go, and nowhere that place points to."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_Stay)


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
