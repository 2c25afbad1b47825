"""Which mailbox is read, and how: what the `imap` URL of the configuration says, and the times and sizes around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from channels.mail.oauth import OAuth


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One mailbox. With `oauth` tokens are used, with `xoauth2` alone the password is one.

    `security` "starttls" encrypts wherever the server offers it; "none" never does. What is not encrypted is refused
    unless the server's address is on this machine or in a private network.
    """

    host: str
    port: int
    security: Literal["tls", "starttls", "none"]
    user: str
    password: str = field(default="", repr=False)
    xoauth2: bool = False
    oauth: OAuth | None = None
    cafile: str = ""  # a private authority, instead of the system's
    folders: tuple[str, ...] = ()  # beside the inbox and the spam folder
    idle_seconds: float = 510  # routers and servers drop a silent line after 10 minutes, the standard says 29
    poll_seconds: float = 90  # of the other folders, and of servers that announce nothing
    sweep_seconds: float = 720  # after which a folder is looked through, whatever its counters say
    timeout: float = 30  # seconds without a byte
    first_hours: float = 1  # of mail from before the first connect that is imported; 0: none
    batch: int = 50  # mails of one pull
    batch_bytes: int = 8 << 20  # of one pull, but for a single larger mail
    most_bytes: int = 50 << 20  # of a mail that is fetched whole

    def __post_init__(self) -> None:
        """Raise `ValueError`, never quoting a secret."""
        if not self.user or not self.host:
            raise ValueError("`imap` has to be imaps://user:password@host.")
        if any(ord(c) < 32 or ord(c) == 127 for c in self.user + self.password + self.host):
            raise ValueError("`imap` has a control character in it.")

    @classmethod
    def from_url(cls, url: str, **more: Any) -> Account:
        """Read `imaps://user:password@host:993`, or `imap://` for STARTTLS; `?auth=xoauth2`, `?starttls=off`.

        `more` are further fields. Raises `ValueError`, never quoting the URL.
        """
        try:
            parts = urlsplit(url.strip())
            port = parts.port
            options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        except ValueError:
            raise ValueError("`imap` is not a URL such as imaps://user:password@host:993.") from None
        auth, starttls = options.pop("auth", "password"), options.pop("starttls", "on")
        if parts.scheme not in ("imap", "imaps"):
            raise ValueError("`imap` has to begin with imaps:// or imap://.")
        if options or auth not in ("password", "xoauth2") or starttls not in ("on", "off"):
            raise ValueError("`imap` takes two options: ?auth=xoauth2 and ?starttls=off.")
        tls = parts.scheme == "imaps"
        return cls(
            host=parts.hostname or "",
            port=port or (993 if tls else 143),
            security="tls" if tls else "none" if starttls == "off" else "starttls",
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            xoauth2=auth == "xoauth2",
            **more,
        )

    @property
    def by_token(self) -> bool:
        return self.xoauth2 or self.oauth is not None
