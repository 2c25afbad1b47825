"""Where and as whom mail is sent: what the `smtp` URL of the configuration says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

LOCAL_NAMES = (".local", ".internal", ".lan", ".home.arpa")

Token = Callable[[], Awaitable[str]]  # an access token that is good now; raises `Retry` or `Refused`


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where and as whom to send."""

    host: str
    port: int
    tls: bool = True  # from the first byte; else STARTTLS
    user: str = ""
    password: str = field(default="", repr=False)
    xoauth2: bool = False  # the password is not a password but comes from a `Token`, hour by hour

    @classmethod
    def from_url(cls, url: str) -> Account:
        """Read `smtps://user:password@host:port` or `smtp://…?auth=xoauth2`. Raises `ValueError`, never quoting it."""
        try:
            parts = urlsplit(url.strip())
            port = parts.port
            options = dict(parse_qsl(parts.query, keep_blank_values=True))
            (parts.hostname or "").encode("idna")
        except ValueError:
            raise ValueError(
                "smtp is no readable URL. In user and password write % and two hex digits for each of / ? # : @ %."
            ) from None
        if parts.scheme not in ("smtp", "smtps"):
            raise ValueError("smtp has to begin with smtps:// or smtp://.")
        if not parts.hostname or parts.path.strip("/") or parts.fragment:
            raise ValueError("smtp has to look like smtps://user:password@host:port, and nothing more.")
        auth = options.pop("auth", "password")
        if options or auth not in ("password", "xoauth2"):
            raise ValueError("smtp takes one option: ?auth=xoauth2.")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if (password or auth == "xoauth2") and not user:
            raise ValueError("smtp has no user.")
        if user and not password and auth == "password":
            raise ValueError("smtp has a user but no password.")
        tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname,
            port=port or (465 if tls else 587),
            tls=tls,
            user=user,
            password=password,
            xoauth2=auth == "xoauth2",
        )

    @property
    def private(self) -> bool:
        """Whether the server is on this machine or in this house, judged by its name alone."""
        try:
            found = ip_address(self.host)
        except ValueError:
            return "." not in self.host or self.host.endswith(LOCAL_NAMES)
        return found.is_private or found.is_loopback
