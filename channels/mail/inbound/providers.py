"""The providers that bring mail by webhook, by name.

Rule: whichever it is, what it brings becomes a `Letter` with the raw mail, so that one parser reads them all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from channels.mail.inbound.arrival import Inbound, envelope
from channels.mail.inbound.mailgun import Mailgun
from channels.mail.inbound.postmark import Postmark
from channels.mail.inbound.sendgrid import SendGrid
from channels.mail.inbound.ses import Ses

__all__ = ["MOST_REQUEST", "Inbound", "Provider", "envelope", "provider"]

Provider = Literal["sendgrid", "mailgun", "postmark", "ses"]

# Bytes of a request: Postmark's largest mail, 35 MB, raw beside its pieces; the others stay below 40 MB.
MOST_REQUEST = 75 << 20
FRESH = timedelta(minutes=15)


async def _nowhere(url: str) -> bytes:
    raise RuntimeError(f"nothing was given to fetch {url} with")


def provider(
    name: Provider,
    channel: str,
    secret: str,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    fetch: Callable[[str], Awaitable[bytes]] = _nowhere,
    fresh: timedelta = FRESH,
) -> Inbound:
    """What reads the webhook of provider `name`. Raises ValueError, in words for a person, when `secret` cannot be one.

    `secret`: SendGrid's public key or `user:password`, Mailgun's webhook signing key, Postmark's `user:password`, the
    ARN of the SNS topic of SES. `fetch` is for SES, `fresh` (how old a signature may be) for Mailgun.
    """
    if not secret:
        raise ValueError(f"without a secret everybody could bring mail in the name of {name}")
    match name:
        case "sendgrid":
            return SendGrid(channel, secret)
        case "mailgun":
            return Mailgun(channel, secret, now=now, fresh=fresh)
        case "postmark":
            return Postmark(channel, secret)
        case "ses":
            return Ses(channel, secret, now=now, fetch=fetch)
