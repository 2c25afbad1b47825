"""Whether two mails are the same mail: a fingerprint of the bytes below what each receiver writes on top.

Rule: a mail to two of our mailboxes, or one that came over two ways, has one digest; two mails written apart have two.
"""

from __future__ import annotations

import hashlib

# Written by each server that a mail passes, above what it found. No DKIM-Signature: the first of them is the sender's.
TRACE = frozenset(
    {
        b"return-path",
        b"received",
        b"received-spf",
        b"delivered-to",
        b"envelope-to",
        b"delivery-date",
        b"authentication-results",
        b"authentication-results-original",
        b"arc-seal",
        b"arc-message-signature",
        b"arc-authentication-results",
        b"x-received",
        b"x-original-to",
        b"x-envelope-to",
        b"x-envelope-from",
        b"x-forwarded-to",
        b"x-forwarded-for",
        b"x-original-authentication-results",
        b"x-google-smtp-source",
        b"x-gm-message-state",
        b"x-gm-original-to",
        b"x-virus-scanned",
        b"x-spam-checker-version",
        b"x-spam-flag",
        b"x-spam-level",
        b"x-spam-status",
        b"x-spam-score",
        b"x-spam-report",
        b"x-spamd-result",
        b"x-rspamd-queue-id",
        b"x-rspamd-server",
        b"x-yandex-spam",
        b"x-yandex-fwd",
        b"x-yandex-front",
        b"x-yandex-timemark",
    }
)
LONGEST_NAME = 80  # bytes; of a longer one it is enough to know that it is none of the above
PIECE = 1 << 20  # bytes that are copied at a time, however large the mail


def digest(raw: bytes) -> bytes:
    """SHA-256 of a mail below its leading trace headers. Line ends, and blank lines at the end, do not count."""
    start = below_trace(raw)
    end = len(raw)
    while end > start and raw[end - 1] in b"\r\n":
        end -= 1
    found = hashlib.sha256()
    while start < end:
        stop = min(start + PIECE, end)
        if raw[stop - 1] == 13 and stop < end:  # a CRLF is not to be torn apart
            stop += 1
        found.update(raw[start:stop].replace(b"\r\n", b"\n"))
        start = stop
    return found.digest()


def below_trace(raw: bytes) -> int:
    """Where the first line that is not of a trace header begins. A blank line always ends the headers."""
    at = 0
    inside = False
    if raw.startswith(b"From "):  # the separator of an mbox file
        at = _next_line(raw, 0)
    while at < len(raw):
        if raw[at] in b" \t":
            if not inside:
                return at
        else:
            colon = raw.find(b":", at, at + LONGEST_NAME)
            inside = colon > at and raw[at:colon].strip().lower() in TRACE
            if not inside:
                return at
        at = _next_line(raw, at)
    return at


def _next_line(raw: bytes, at: int) -> int:
    found = raw.find(b"\n", at)
    return len(raw) if found < 0 else found + 1
