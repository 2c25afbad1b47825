"""What a mail program shows of a mail: the parts its reader sees, and where the quoted past begins.

Rule: never raises for content. This is a customer's program; how Santral reads mail is none of its business.
"""

from __future__ import annotations

import email
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

_BODY = re.compile(r"<body[^>]{0,500}>(.*)</body", re.I | re.S)
_QUOTE = re.compile(r'<blockquote|<div[^>]{0,200}class="[^"]{0,100}quote|<div[^>]{0,50}id="divRplyFwdMsg"', re.I)
_BLOCK = re.compile(r"^_{20,}\s*$")
_IDS = re.compile(r"<[^<>\s]{1,250}>")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFile:
    """A file of a mail."""

    name: str
    media_type: str
    data: bytes = field(repr=False)
    content_id: str = ""
    inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A mail as its reader has it before them. `own` and `past` are `text` in two, `html_body` is inside <body>."""

    headers: tuple[tuple[str, str], ...] = ()
    subject: str = ""
    sender: str = ""  # "Name <address>"
    sender_name: str = ""
    sender_address: str = ""
    to: str = ""
    recipients: tuple[str, ...] = ()
    reply_to: str = ""  # an address, "" where it is the sender's
    date: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    message_id: str = ""
    references: tuple[str, ...] = ()
    in_reply_to: str = ""
    text: str = ""
    own: str = ""
    past: str = ""
    html: str = ""
    html_body: str = ""
    files: tuple[SeenFile, ...] = ()

    def header(self, name: str) -> str:
        """The topmost header of that name, "" where there is none."""
        return next((value for found, value in self.headers if found.lower() == name.lower()), "")

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value for found, value in self.headers if found.lower() == name.lower())


def look(raw: bytes) -> Seen:
    """Read a mail for showing it."""
    message = email.message_from_bytes(raw)
    headers = tuple((name, _decoded(str(value))) for name, value in message.items())
    first = {name.lower(): value for name, value in reversed(headers)}
    senders = getaddresses([first.get("from", "")])
    name, address = senders[0] if senders else ("", "")
    text, rich, files = _parts(message)
    body = _BODY.search(rich)
    own, past = parted(text or _plain(rich))
    reply_to = next((found for _, found in getaddresses([first.get("reply-to", "")]) if found), "")
    return Seen(
        headers=headers,
        subject=first.get("subject", ""),
        sender=f"{name} <{address}>" if name else address,
        sender_name=name,
        sender_address=address.lower(),
        to=first.get("to", ""),
        recipients=tuple(
            found.lower() for _, found in getaddresses([first.get("to", ""), first.get("cc", "")]) if found
        ),
        reply_to=reply_to.lower(),
        date=_date(first.get("date", "")),
        message_id=next(iter(_IDS.findall(first.get("message-id", ""))), ""),
        references=tuple(_IDS.findall(first.get("references", ""))),
        in_reply_to=next(iter(_IDS.findall(first.get("in-reply-to", ""))), ""),
        text=text or _plain(rich),
        own=own,
        past=past,
        html=rich,
        html_body=body[1] if body else rich,
        files=files,
    )


def parted(text: str) -> tuple[str, str]:
    """Part a text into what was written and what it answers, by the common signs of the programs."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if _BLOCK.match(line) and any(":" in one for one in lines[at + 1 : at + 3]):
            return "\n".join(lines[:at]).strip(), "\n".join(lines[at:]).strip()
        if line.startswith(">"):
            end = at
            while end > 0 and not lines[end - 1].strip():
                end -= 1
            start = end
            while start > 0 and end - start < 3 and lines[start - 1].strip():
                start -= 1
            if end == 0 or not lines[end - 1].rstrip().endswith(":"):
                start = at
            return "\n".join(lines[:start]).strip(), "\n".join(lines[start:]).strip()
    return text.strip(), ""


def without_past(rich: str) -> tuple[str, bool]:
    """HTML up to where the quoted past begins, and whether there is any."""
    found = _QUOTE.search(rich)
    if found is None:
        return rich, False
    shown = rich[: found.start()].rstrip()
    while shown.endswith(("<br>", "<br/>", "<br />")):
        shown = shown[: shown.rindex("<br")].rstrip()
    return shown, True


def _parts(message: Message) -> tuple[str, str, tuple[SeenFile, ...]]:
    texts: list[str] = []
    rich = ""
    files: list[SeenFile] = []
    for part in _leaves(message):
        kind, name = part.get_content_type(), part.get_filename() or ""
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
        if part.get_content_disposition() == "attachment" or name or not kind.startswith("text/"):
            files.append(
                SeenFile(
                    name=_decoded(name) or kind.replace("/", "."),
                    media_type=kind,
                    data=data,
                    content_id=str(part.get("content-id", "")).strip("<> "),
                    inline=part.get_content_disposition() == "inline",
                )
            )
            continue
        words = _charset(data, part.get_content_charset() or "utf-8").replace("\r\n", "\n")
        if kind == "text/html":
            rich = rich or words
        else:
            texts.append(words)
    return "\n".join(texts), rich, tuple(files)


def _leaves(message: Message) -> Iterator[Message]:
    for part in message.walk():
        if not part.is_multipart():
            yield part


def _charset(data: bytes, name: str) -> str:
    try:
        return data.decode(name, "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def _decoded(value: str) -> str:
    joined = re.sub(r"\r?\n[ \t]*", " ", value)
    try:
        return str(make_header(decode_header(joined)))
    except (ValueError, LookupError):
        return joined.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _date(value: str) -> datetime:
    try:
        found = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return datetime(1970, 1, 1, tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _plain(rich: str) -> str:
    broken = re.sub(r"<br[^>]{0,20}>|</(?:div|p|tr|li|h\d)>", "\n", rich, flags=re.I)
    return html.unescape(re.sub(r"<[^>]{0,2000}>", "", broken))
