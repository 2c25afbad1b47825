"""Links by which a provider, or a customer it shows them to, fetches a file of ours: signed, and good for a while.

Rule: a link names one file and nothing else. It can be guessed by nobody and made by nobody but us.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from channels.values import shown_filename

LIFE = timedelta(hours=72)  # a message may queue half a day at a provider, and a customer opens it the day after
TAG = 16  # bytes of the signature
_FACTS = struct.Struct(">QI")  # attachment, the minute since 1970 at which the link ends


class Links:
    """Makes and reads them. `public_url` is where we are reached; without one there are no links."""

    def __init__(self, secret: bytes, public_url: str, now: Callable[[], datetime]) -> None:
        self._secret = secret
        self._public_url = public_url.rstrip("/")
        self._now = now

    def make(self, attachment_id: int, filename: str) -> str:
        """The link of a file, "" where nobody could reach it."""
        if not self._public_url:
            return ""
        until = int((self._now() + LIFE).timestamp()) // 60
        facts = _FACTS.pack(attachment_id, until)
        token = base64.urlsafe_b64encode(facts + self._tag(facts)).decode().rstrip("=")
        return f"{self._public_url}/files/{token}/{quote(shown_filename(filename) or 'file', safe='')}"

    def read(self, token: str) -> int | None:
        """The attachment a link names; None for a link that is none of ours or has ended."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        facts, tag = raw[: _FACTS.size], raw[_FACTS.size :]
        if len(facts) != _FACTS.size or not hmac.compare_digest(tag, self._tag(facts)):
            return None
        attachment_id, until = _FACTS.unpack(facts)
        return int(attachment_id) if datetime.fromtimestamp(until * 60, UTC) > self._now() else None

    def _tag(self, facts: bytes) -> bytes:
        return hmac.new(self._secret, b"file link" + facts, hashlib.sha256).digest()[:TAG]
