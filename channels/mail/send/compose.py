"""Writing a mail: an answer becomes bytes that look like a person's mail, and an envelope to send them in.

Rule: the same answer at the same time becomes the same bytes. What comes from outside (names, subjects, addresses, ids,
file names) goes through `fields`, so it can neither add a header field nor change who is written to; and From is always
one of our own addresses.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from email.utils import format_datetime, parseaddr
from typing import Any

from channels.errors import Refused, Unreachable
from channels.mail import tokens
from channels.mail.send import bodies, fields
from channels.mail.values import MOST_REFERENCES, Mailbox
from channels.message import Attachment, Author, Outgoing
from channels.subject import bare_subject

MOST_SUBJECT = 400  # characters
MOST_CC = 50
LAST_REFERENCES = 20  # beside the first
MOST_FILENAME = 150
MOST_LOCAL = 64  # octets of a local part, RFC 5321 4.5.3.1.1; a longer Reply-To would be refused by many

NO_ADDRESS = "This is not an address that mail can be sent to."
NO_FILE = "A file of this answer is no longer there."

_MEDIA_TYPE = re.compile(r"(?:application|audio|font|image|model|text|video)/[a-z0-9][a-z0-9!#$&^_.+-]{0,99}")
_KNOWN_TYPES = mimetypes.MimeTypes(filenames=())  # the same on every machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who writes: a mailbox of the shop. Raises `ValueError` in words when an address of it is none.

    `domain` makes Message-IDs and has to be one that is ours. With `reply_token` answers come to `address+r.…@`, with
    `bounce_address` bounces to `bounce+b.…@`: only for a domain that delivers such addresses to us.
    """

    address: str
    name: str = ""  # of the shop, as customers know it
    by_team: Mapping[str, str] = field(default_factory=dict)  # team to "Name <alias@shop.example>"
    ours: frozenset[str] = frozenset()  # further addresses of this mailbox: may answer what came to them, get no copies
    others: frozenset[str] = frozenset()  # the shop's other mailboxes: get no copies; our server does not send for them
    reply_token: bool = False
    bounce_address: str = ""
    domain: str = ""  # of Message-IDs; that of `address` when empty
    zone: tzinfo = UTC  # of the time that stands above what is quoted

    def __post_init__(self) -> None:
        for written in (self.address, self.bounce_address or self.address, *self.by_team.values()):
            found = fields.address(parseaddr(written)[1])
            if not found.isascii() or not found:
                raise ValueError(f"{written!r} is not an address that mail can be sent from.")

    @property
    def mailboxes(self) -> frozenset[str]:
        """All our addresses, as they are compared."""
        named = (self.address, *self.ours, *(parseaddr(alias)[1] for alias in self.by_team.values()))
        return frozenset(fields.address(box).lower() for box in named) - {""}

    @property
    def everywhere(self) -> frozenset[str]:
        """These, and the shop's other mailboxes."""
        return self.mailboxes | {box.lower() for box in self.others}


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A mail ready to go. The first recipient is the customer; the others get copies."""

    raw: bytes = field(repr=False)  # lines end in CRLF; pure ASCII unless `utf8`
    message_id: str  # with its angle brackets
    sender: str  # the address in From
    mail_from: str  # of the envelope: "" is the null sender, to which nothing bounces
    recipients: tuple[str, ...]
    subject: str
    at: datetime
    utf8: bool = False  # an address goes beyond ASCII: only a server with SMTPUTF8 can take it


def compose(message: Outgoing, sender: Sender, at: datetime) -> Composed:
    """Write the mail of an answer. `at` is its date; give an answer tried again the same one.

    `message.context` may hold "message_id", "references", "subject", "to", "cc", "mailbox" and "name". Encoding 20 MB
    of files takes a third of a second, so call it in a thread. Raises `Unreachable` when the customer's address is none
    and `Refused` when a file has no data.
    """
    context = message.context
    to, cc = _recipients(message, sender)
    whom = _from(message, sender)
    message_id = tokens.message_id(message.id, fields.address(f"x@{sender.domain}")[2:] or whom.domain)
    subject = _subject(message, sender)
    head = [
        f"Date: {format_datetime(at.astimezone(sender.zone))}",
        fields.mailboxes("From", (whom,)),
        fields.mailboxes("To", to),
    ]
    if cc:
        head.append(fields.mailboxes("Cc", cc))
    tagged = tokens.tagged(whom.address, "r", message.id)
    if sender.reply_token and len(tagged.rpartition("@")[0]) <= MOST_LOCAL:
        head.append(fields.mailboxes("Reply-To", (Mailbox(name=whom.name, address=tagged),)))
    head += [fields.unstructured("Subject", subject), f"Message-ID: {message_id}", *_thread(context)]
    if message.author is Author.BOT:
        head += ["Auto-Submitted: auto-replied", "X-Auto-Response-Suppress: All"]
    head += [f"X-Santral: {whom.domain}", "MIME-Version: 1.0"]  # we know our own mail by it, should it come back
    recipients = tuple(dict.fromkeys(box.address for box in (*to, *cc)))
    utf8 = not "".join(recipients).isascii()
    return Composed(
        raw="\r\n".join(head).encode("utf-8") + b"\r\n" + b"".join(_body(message, sender)),
        message_id=message_id,
        sender=whom.address,
        mail_from=_mail_from(message, sender, whom),
        recipients=recipients,
        subject=subject,
        at=at,
        utf8=utf8,
    )


def subject_of(text: str) -> str:
    """A subject as it may stand in a header, bare."""
    return bare_subject(fields.line(text, MOST_SUBJECT))


# --- who


def _recipients(message: Outgoing, sender: Sender) -> tuple[list[Mailbox], list[Mailbox]]:
    """A machine's words go to the customer alone, RFC 3834 4; copies that need more than ASCII only where To does."""
    context, ours, machine = message.context, sender.everywhere, message.author is Author.BOT
    wanted = _boxes(context, "to", ours)
    to = list(wanted.values()) or [Mailbox(address=fields.address(message.to.value))]
    if not to[0].address:
        raise Unreachable(NO_ADDRESS)
    if len(to) == 1:
        to = [Mailbox(name=to[0].name or fields.person(_text(context, "name")), address=to[0].address)]
    ascii_only = "".join(box.address for box in to).isascii()
    known = ours | {box.address.lower() for box in to}
    cc = [box for box in _boxes(context, "cc", known).values() if box.address.isascii() or not ascii_only]
    return (to[:1], []) if machine else (to, cc)


def _boxes(context: Mapping[str, Any], key: str, known: frozenset[str]) -> dict[str, Mailbox]:
    """What of `a@b` and `Name <a@b>` is an address and not known yet, each once."""
    found: dict[str, Mailbox] = {}
    for text in _texts(context, key, MOST_CC):
        name, opened, inside = text.strip().removesuffix(">").rpartition("<")
        address = fields.address(inside)
        if address and address.lower() not in known:
            name = fields.person(name.strip(' "')) if opened else ""
            found.setdefault(address.lower(), Mailbox(name=name, address=address))
    return found


def _from(message: Outgoing, sender: Sender) -> Mailbox:
    """The team's alias, or the mailbox that was written to, or the sender's own; the agent's name before the shop's."""
    name, alias = parseaddr(sender.by_team.get(message.team, ""))
    came_to = fields.address(_text(message.context, "mailbox"))
    address = fields.address(alias) or (
        came_to if came_to.lower() in sender.mailboxes else fields.address(sender.address)
    )
    agent = message.author_name if message.author is Author.AGENT else ""
    names = (fields.line(part, fields.MOST_NAME // 2 - 2) for part in (agent, name or sender.name))
    return Mailbox(name=" · ".join(dict.fromkeys(filter(None, names))), address=address)


def _mail_from(message: Outgoing, sender: Sender, whom: Mailbox) -> str:
    if message.author is Author.BOT:
        return ""
    bounces = fields.address(sender.bounce_address)
    return tokens.tagged(bounces, "b", message.id) if bounces else whom.address


# --- what it belongs to


def _subject(message: Outgoing, sender: Sender) -> str:
    """The customer's with one Re:, or a new one where somebody chose one."""
    theirs, chosen = subject_of(_text(message.context, "subject")), subject_of(message.subject)
    subject = chosen or theirs or fields.line(sender.name, MOST_SUBJECT) or sender.address.rpartition("@")[2]
    answers = bool(fields.reference(_text(message.context, "message_id")))
    return f"Re: {subject}" if answers and (not chosen or chosen == theirs) else subject


def _thread(context: Mapping[str, Any]) -> Iterator[str]:
    parent = fields.reference(_text(context, "message_id"))
    if not parent:
        return
    yield fields.references("In-Reply-To", (parent,))
    earlier = [fields.reference(text) for text in _texts(context, "references", MOST_REFERENCES)]
    chain = list(dict.fromkeys(text for text in earlier if text and text != parent))
    kept = chain if len(chain) < LAST_REFERENCES else [chain[0], *chain[1 - LAST_REFERENCES :]]
    yield fields.references("References", (*kept, parent))


def _text(context: Mapping[str, Any], key: str) -> str:
    found = context.get(key)
    return found if isinstance(found, str) else ""


def _texts(context: Mapping[str, Any], key: str, most: int) -> tuple[str, ...]:
    """At most `most`, the last of them and the first."""
    found = context.get(key)
    texts = [text for text in found if isinstance(text, str)] if isinstance(found, list | tuple) else []
    return tuple(texts if len(texts) <= most else [texts[0], *texts[1 - most :]])


# --- bodies and files


def _body(message: Outgoing, sender: Sender) -> Iterator[bytes]:
    """The parts from Content-Type on. No boundary can occur in a part, for all are quoted-printable or base64."""
    files = [file for file in (message.attachment, *message.more) if file is not None]
    inner, outer = f"=_alternative_{message.id.hex}", f"=_mixed_{message.id.hex}"
    if not files:
        yield from _alternative(message, sender, inner)
        return
    yield f'Content-Type: multipart/mixed; boundary="{outer}"\r\n\r\n'.encode()
    yield f"--{outer}\r\n".encode()
    yield from _alternative(message, sender, inner)
    for number, file in enumerate(files, 1):
        yield f"--{outer}\r\n".encode()
        yield from _file(file, number)
    yield f"--{outer}--\r\n".encode()


def _alternative(message: Outgoing, sender: Sender, boundary: str) -> Iterator[bytes]:
    text, page = bodies.plain(message.text, message.spans), bodies.rich(message.text, message.spans)
    if message.quoted is not None and (lines := bodies.past(message.quoted)) != [""]:
        above = bodies.attribution(message.quoted, sender.zone, fields.address(message.to.value))
        text += "\n\n" + bodies.plain_past(lines, above)
        page += "<br>\n" + bodies.rich_past(lines, above)
    page = (
        '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>\n'
        f"{page}</body></html>"
    )
    yield f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'.encode()
    for kind, body in (("plain", text), ("html", page)):
        yield f'--{boundary}\r\nContent-Type: text/{kind}; charset="utf-8"\r\n'.encode()
        yield from _encoded(body)
    yield f"--{boundary}--\r\n".encode()


def _encoded(text: str) -> Iterator[bytes]:
    """Text in the encoding that is shorter for its script."""
    octets = text.replace("\n", "\r\n").encode("utf-8") + b"\r\n"
    if sum(octet > 127 for octet in octets) * 5 > len(octets):
        yield b"Content-Transfer-Encoding: base64\r\n\r\n" + _base64(octets)
        return
    yield b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    yield binascii.b2a_qp(octets, istext=True)


def _base64(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def _file(file: Attachment, number: int) -> Iterator[bytes]:
    if file.data is None:
        raise Refused(NO_FILE)
    name = filename(file.filename)
    media_type = _media_type(file.media_type, name)
    if not name:
        name = f"{number}{_KNOWN_TYPES.guess_extension(media_type) or '.bin'}"
    lines = [
        f"Content-Type: {media_type}",
        *_joined("Content-Disposition: attachment", fields.filename("filename", name)),
    ]
    yield "\r\n".join((*lines, "Content-Transfer-Encoding: base64", "", "")).encode("ascii")
    yield _base64(file.data)


def _joined(start: str, parameters: Iterable[str]) -> Sequence[str]:
    return [";\r\n ".join((start, *parameters))]


def _media_type(told: str, name: str) -> str:
    """What the file says it is, or what its name says; a mail within a mail is no part of ours but a file."""
    media_type = told.partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(media_type) or media_type == "application/octet-stream":
        media_type = _KNOWN_TYPES.guess_type(name)[0] or "application/octet-stream"
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"


def filename(name: str) -> str:
    """A file name that every system can store: no folders, no controls, at most 150 characters, its ending kept."""
    name = fields.line(re.split(r"[/\\]", name[-4 * MOST_FILENAME :])[-1]).strip(". ")
    name = re.sub(r'[<>:"|?*]', "_", name)
    if len(name) <= MOST_FILENAME:
        return name
    stem, dot, ending = name.rpartition(".")
    return f"{stem[: MOST_FILENAME - 11]}.{ending}" if dot and len(ending) <= 10 else name[:MOST_FILENAME]
