"""What a receiving host writes on top of a mail: where it came from, and whether its sender is who From says.

Rule: pure. DMARC passes only for what the owner of an address in the very domain of From handed in.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.utils import format_datetime, getaddresses
from functools import lru_cache

from sandbox.mail.search import head
from sandbox.mail.values import Account

OURS, THEIRS = "192.0.2.25", "203.0.113.66"  # addresses for documentation: an honest host's, and a forger's
FORGER = "bulk.invalid-host.example"
NONE = "-"  # as `signed`: a host that tells no verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a mail came: the envelope, who received it, and what its From's domain asks for in DMARC."""

    mail_from: str
    recipient: str
    host: str
    policy: str
    at: datetime


@lru_cache(maxsize=16)
def author_domain(raw: bytes) -> str:
    """The domain of From, "" unless there is exactly one From with one address."""
    values = message_from_bytes(head(raw)).get_all("From", [])
    found = [address for _, address in getaddresses([str(value) for value in values])]
    return found[0].rpartition("@")[2].lower() if len(found) == 1 and len(values) == 1 else ""


def aligned(raw: bytes, honest: Account | None) -> bool:
    return honest is not None and author_domain(raw) == honest.domain


def written(raw: bytes, way: Way, honest: Account | None, signed: str = "") -> bytes:
    """Put the trace on top. `honest` handed it in, None for a stranger; `signed` replaces the host's verdicts."""
    source, ip = (f"mail.{honest.domain}", OURS) if honest else (FORGER, THEIRS)
    lines = [f"Return-Path: <{way.mail_from}>", f"Delivered-To: {way.recipient}"]
    if signed != NONE:
        lines.append(f"Authentication-Results: {signed or way.host + ';' + _verdicts(raw, way, honest)}")
    lines += [
        f"Received: from {source} ({source} [{ip}])",
        f"        by {way.host} with ESMTPS id {secrets.token_hex(6)}",
        f"        for <{way.recipient}>; {format_datetime(way.at)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n" + raw


def _verdicts(raw: bytes, way: Way, honest: Account | None) -> str:
    passes = aligned(raw, honest)
    envelope = way.mail_from.rpartition("@")[2].lower()
    spf = "none" if not envelope else "pass" if honest and envelope == honest.domain else "softfail"
    signing = f"dkim=pass header.d={honest.domain} header.s=s1" if honest else "dkim=none"
    said_from = way.mail_from or f"postmaster@{honest.domain if honest else FORGER}"
    done = "none" if passes else way.policy
    return (
        f"\r\n       {signing};"
        f"\r\n       spf={spf} smtp.mailfrom={said_from};"
        f"\r\n       dmarc={'pass' if passes else 'fail'} (p={way.policy} dis={done})"
        f" header.from={author_domain(raw) or 'unknown'}"
    )
