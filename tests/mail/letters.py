"""Raw mails taken apart with the standard library alone, so that the judges are examined apart from our own parser."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses

from channels.mail.values import Headers, Mail, Mailbox, Report, Us

US = Us(
    addresses=frozenset({"destek@ornek.com.tr", "support@ornek.com.tr"}),
    domains=frozenset({"ornek.com.tr"}),
    contact_forms=frozenset({"form@ornek.com.tr"}),
    trusted_authserv=frozenset({"mx.google.com"}),
)


def mail_of(raw: bytes | str) -> Mail:
    """A mail as our parser would hand it over, as far as the judges look at it."""
    raw = raw.encode() if isinstance(raw, str) else raw
    return _mail(message_from_bytes(raw.replace(b"\r\n", b"\n")))


def _mail(message: Message) -> Mail:
    fields = tuple(
        (name.lower(), re.sub(r"\s*\n\s*", " ", str(value)).strip()) for name, value in message.raw_items()  # type: ignore[attr-defined]
    )
    headers = Headers(fields=fields)
    texts, html, reports, enclosed, every, calendar = [], "", [], [], [], ""
    for part in _leaves(message):
        kind = part.get_content_type()
        if kind == "message/rfc822":
            inner = part.get_payload(0)
            assert isinstance(inner, Message)
            enclosed.append(_mail(inner))
            every.append(inner.as_string())
            continue
        if kind.startswith("message/") or kind == "text/rfc822-headers":
            text = part.get_payload()
            text = "\n".join(block.as_string() for block in text) if isinstance(text, list) else str(text)
            reports.append(Report(media_type=kind, text=text))
            every.append(text)
            continue
        if not kind.startswith("text/"):
            continue
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        text = data.decode(part.get_content_charset() or "utf-8", "replace")
        every.append(text)
        if kind == "text/calendar":
            calendar = text
        elif kind == "text/html":
            html = text
        else:
            texts.append(text)
    names = ("from", "sender", "reply-to", "to", "cc")
    boxes = {name: tuple(_boxes(headers.all(name))) for name in names}
    return Mail(
        headers=headers,
        media_type=message.get_content_type(),
        subject=_words(headers.first("subject")),
        from_=boxes["from"],
        from_trouble="two From headers" if len(headers.all("from")) > 1 else "",
        sender=boxes["sender"],
        reply_to=boxes["reply-to"],
        to=boxes["to"],
        cc=boxes["cc"],
        message_id=headers.first("message-id"),
        in_reply_to=tuple(re.findall(r"<[^<>\s]+>", headers.first("in-reply-to"))),
        references=tuple(re.findall(r"<[^<>\s]+>", headers.first("references"))),
        text="\n".join(texts) or re.sub(r"<[^>]+>", "", re.sub(r"(?i)<br>|</p>", "\n", html)),
        html=html,
        text_of_html=not texts and bool(html),
        reports=tuple(reports),
        enclosed=tuple(enclosed),
        calendar=calendar,
        all_text="\n".join(every)[:100_000],
    )


def _leaves(message: Message) -> list[Message]:
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        return [leaf for part in message.get_payload() if isinstance(part, Message) for leaf in _leaves(part)]
    return [message]


def _words(value: str) -> str:
    return str(make_header(decode_header(value)))


def _boxes(values: tuple[str, ...]) -> list[Mailbox]:
    found = getaddresses([_words(value) for value in values])
    return [Mailbox(address=address.lower(), name=name) for name, address in found if address]
