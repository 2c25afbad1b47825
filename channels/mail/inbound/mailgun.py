"""Mailgun's routes: `forward()` to an address of ours that ends in "mime" posts the raw mail, any other its pieces.

Rule: the signature covers a time and a token and nothing else, so the token names the letter: used twice, it is stored
once. Pages: https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/ and /webhooks/.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from channels.channel import Request
from channels.errors import Malformed, Unverified
from channels.mail.inbound.arrival import address, letter, loose, word
from channels.mail.inbound.multipart import Form, form
from channels.mail.inbound.rebuild import Piece, rebuilt
from channels.message import Event, Letter, Unreadable

STAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
APART = ("body-plain", "body-html", "message-headers", "subject")  # one of these is in every mail taken apart
STORED = "Mailgun kept this mail's files to itself: make its route forward() instead of store()."


class Mailgun:
    """`secret` is the HTTP webhook signing key. A signature older than `fresh`, by `now`, is no longer believed."""

    def __init__(self, channel: str, secret: str, *, now: Callable[[], datetime], fresh: timedelta) -> None:
        self._channel = channel
        self._secret = secret.encode()
        self._now = now
        self._fresh = fresh

    def verify(self, request: Request) -> None:
        try:
            told = form(request)
        except Malformed:
            raise Unverified from None
        stamp, token = told.text("timestamp"), told.text("token")
        wanted = hmac.new(self._secret, (stamp + token).encode(), hashlib.sha256).hexdigest()
        if not (self._secret and token and STAMP.fullmatch(stamp)):
            raise Unverified
        if not hmac.compare_digest(wanted.encode(), told.value("signature") or b""):
            raise Unverified
        if abs(self._now().timestamp() - int(stamp)) > self._fresh.total_seconds():
            raise Unverified("The signature is too old.")

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        told = form(request)
        raw, token = told.value("body-mime"), word(told.text("token"))
        apart = raw is None
        if not token or (apart and not any(name in told for name in APART)):
            raise Malformed("The form is not one of Mailgun's routes.")
        if apart and "attachments" in told and not any(_files(told)):
            return (Unreadable(channel=self._channel, reason=STORED, raw=request.body),)
        return (
            letter(
                channel=self._channel,
                way="mailgun",
                at=at,
                raw=_together(told) if raw is None else raw,
                id=token,
                mail_from=address(told.text("sender")) if "sender" in told else None,
                recipients=[found for found in map(address, told.text("recipient")[:10_000].split(",")) if found],
                spam=told.text("X-Mailgun-Sflag").strip().lower() == "yes",
                rebuilt=apart,
            ),
        )

    def confirmations(self, request: Request) -> str | None:
        return None


# --- a mail taken apart


def _together(told: Form) -> bytes:
    bodies = [
        Piece(data=told.value(name) or b"", media_type=media_type, charset="utf-8")
        for name, media_type in (("body-plain", "text/plain"), ("body-html", "text/html"))
    ]
    return rebuilt(_headers(told), bodies, list(_files(told)))


def _headers(told: Form) -> Iterator[tuple[str, str]]:
    pairs = loose(told.value("message-headers") or b"")
    found = [
        (pair[0], pair[1])
        for pair in (pairs if isinstance(pairs, list) else ())
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(half, str) for half in pair)
    ]
    return iter(found or [(name.title(), told.text(name)) for name in ("from", "to", "cc", "subject") if name in told])


def _files(told: Form) -> Iterator[Piece]:
    ids = loose(told.value("content-id-map") or b"")
    content_ids = {name: word(id) for id, name in ids.items() if isinstance(name, str)} if isinstance(ids, dict) else {}
    for field in told.fields:
        if re.fullmatch(r"attachment-\d{1,4}", field.name):
            yield Piece(
                data=field.value,
                media_type=field.media_type,
                filename=word(field.filename) or field.name,
                content_id=content_ids.get(field.name, ""),
            )
