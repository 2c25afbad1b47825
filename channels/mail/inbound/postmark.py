"""Postmark's inbound webhook: one JSON object a mail, with the raw mail in it where that is switched on.

Rule: Postmark signs nothing; a password in the webhook's URL is all that tells it from anybody else.
Page: https://postmarkapp.com/developer/webhooks/inbound-webhook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from channels.channel import Request
from channels.errors import Malformed
from channels.mail.inbound.arrival import address, check_password, decoded, letter, need_password, table, word
from channels.mail.inbound.rebuild import Piece, rebuilt
from channels.mail.values import MOST_PARTS
from channels.message import Event, Letter

APART = ("TextBody", "HtmlBody", "Headers", "Subject")  # one of these is in every mail without its raw bytes
PEOPLE = (("FromFull", "From"), ("ToFull", "To"), ("CcFull", "Cc"))


class Postmark:
    """`secret` is `user:password`, as written into the webhook's URL."""

    def __init__(self, channel: str, secret: str) -> None:
        self._channel = channel
        self._password = need_password(secret)

    def verify(self, request: Request) -> None:
        check_password(request, self._password)

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        told = table(request.body)
        raw = told.get("RawEmail")
        apart = not isinstance(raw, str) or not raw
        if apart and not any(name in told for name in APART):
            raise Malformed("The body is not one of Postmark's inbound webhook.")
        headers = list(_headers(told))
        recipient = address(told.get("OriginalRecipient"))
        return (
            letter(
                channel=self._channel,
                way="postmark",
                at=at,
                raw=_together(told, headers) if not isinstance(raw, str) or not raw else raw.encode("utf-8", "replace"),
                id=word(told.get("MessageID")),
                mail_from=_return_path(headers),
                recipients=[recipient] if recipient else [],
                spam=next((v for n, v in headers if n.lower() == "x-spam-status"), "").strip().lower() == "yes",
                rebuilt=apart,
            ),
        )

    def confirmations(self, request: Request) -> str | None:
        return None


def _return_path(headers: Sequence[tuple[str, str]]) -> str | None:
    """Only the first field is Postmark's own; a Return-Path further down came with the mail."""
    if headers and headers[0][0].lower() == "return-path":
        return address(headers[0][1])
    return None


def _headers(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for found in _objects(told.get("Headers")):
        name, value = found.get("Name"), found.get("Value")
        if isinstance(name, str) and isinstance(value, str):
            yield name, value


def _objects(told: Any) -> list[Mapping[str, Any]]:
    found = [told] if isinstance(told, dict) else told if isinstance(told, list) else []
    return [item for item in found[:MOST_PARTS] if isinstance(item, dict)]


# --- a mail taken apart


def _together(told: Mapping[str, Any], headers: Sequence[tuple[str, str]]) -> bytes:
    """Postmark takes the best known fields out of `Headers`; they go back on top, as far as they are not there."""
    there = {name.lower() for name, _ in headers}
    taken = [(name, ", ".join(map(_mailbox, _objects(told.get(key))))) for key, name in PEOPLE]
    taken += [
        (name, told[key])
        for key, name in (("ReplyTo", "Reply-To"), ("Subject", "Subject"), ("Date", "Date"))
        if isinstance(told.get(key), str)
    ]
    bodies = [
        Piece(data=_bytes(told.get(name)), media_type=media_type, charset="utf-8")
        for name, media_type in (("TextBody", "text/plain"), ("HtmlBody", "text/html"))
    ]
    own = [*headers[:1], *((n, v) for n, v in taken if v and n.lower() not in there), *headers[1:]]
    return rebuilt(own, bodies, [_file(found) for found in _objects(told.get("Attachments"))])


def _mailbox(person: Mapping[str, Any]) -> str:
    name = word(person.get("Name")).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}" <{word(person.get("Email"))}>' if name else word(person.get("Email"))


def _file(found: Mapping[str, Any]) -> Piece:
    return Piece(
        data=decoded(found.get("Content")),
        media_type=word(found.get("ContentType")),
        filename=word(found.get("Name")) or "attachment",
        content_id=word(found.get("ContentID")),
    )


def _bytes(told: Any) -> bytes:
    return told.encode("utf-8", "replace") if isinstance(told, str) else b""
