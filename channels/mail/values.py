"""A mail, taken apart: the values that the modules of this package hand to each other.

Rule: every text here is clean Unicode without NUL and lone surrogates; every list is bounded; bytes are as they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from channels.message import Proof

MOST_BYTES = 30 << 20  # of a mail that is read; a larger one is kept and shown as a stub
MOST_PARTS = 1_000
MOST_DEPTH = 30
MOST_HEADERS = 256 << 10  # bytes of the header block
MOST_HEADER = 10_000  # characters of one decoded header
MOST_TEXT = 200_000  # characters of body that are looked through for quotes and shown
MOST_RECIPIENTS = 200
MOST_REFERENCES = 50

PROVEN, CLAIMED = "email", "email-claimed"  # kinds of address: one that was proven, and a name anybody may write


class MailKind(StrEnum):
    """What a mail is. Only a MESSAGE may open a conversation; the values are printed by `santral mail read`."""

    MESSAGE = "message"
    AUTO_REPLY = "auto-reply"  # a vacation note, an acknowledgement by another system
    BOUNCE = "bounce"  # not delivered, delayed or, on request, delivered
    REPORT = "report"  # a complaint (ARF), or figures about our domain (DMARC, TLS-RPT): those have no fates
    READ_RECEIPT = "read-receipt"
    CALENDAR = "calendar"  # an answer to an invitation, made by a calendar
    LIST = "list"  # a newsletter, a mailing list, a notification by a program
    LOOP = "loop"  # our own mail come back


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A name and an address of a header. `address` is in lower case, its domain in ASCII or Unicode as written."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @property
    def local(self) -> str:
        return self.address.rpartition("@")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """Header fields top to bottom: names in lower case, values unfolded but not decoded, 8-bit bytes made readable."""

    fields: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value for found, value in self.fields if found == name)

    def first(self, name: str) -> str:
        """The topmost field's value, "" when there is none."""
        return next((value for found, value in self.fields if found == name), "")

    def __contains__(self, name: str) -> bool:
        return any(found == name for found, _ in self.fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a mail. `filename` is safe to show and to offer for download, and never a path."""

    media_type: str
    filename: str
    data: bytes = field(repr=False)
    inline: bool = False  # shown inside the text by its writer, such as a picture or a logo
    content_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A part made by a machine for machines: `message/delivery-status`, `message/feedback-report` and their like."""

    media_type: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A raw mail, parsed and decoded. `defects` says in words for an agent what could not be read as it was meant."""

    headers: Headers = Headers()
    media_type: str = "text/plain"  # of the whole
    subject: str = ""
    from_: tuple[Mailbox, ...] = ()
    from_trouble: str = ""  # why From cannot be believed whoever vouches: two headers, two addresses, `a@x <b@y>`
    sender: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    message_id: str = ""  # with its angle brackets, as all ids here
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    date: datetime | None = None  # aware; what the mail claims, never to be sorted by
    text: str = ""  # the plain text to read: format=flowed joined, several text parts in order
    html: str = field(default="", repr=False)  # the HTML body as decoded, not sanitised
    text_of_html: bool = False  # `text` was made from `html`, because there was no plain text worth reading
    files: tuple[File, ...] = ()
    reports: tuple[Report, ...] = ()
    enclosed: tuple[Mail, ...] = ()  # message/rfc822 parts; their headers mean nothing for threading or trust
    calendar: str = ""  # text of a text/calendar part
    seal: str = ""  # "signed" or "encrypted" (S/MIME, PGP); of an encrypted mail there is nothing to show but files
    all_text: str = ""  # of all parts, reports too, at most 100,000 characters: to search for ids
    defects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What was known about a mail besides its bytes. Empty where the way it came does not tell."""

    mail_from: str | None = None  # "" is the null sender; None: not told
    recipients: tuple[str, ...] = ()
    client_ip: str = ""
    folder: str = ""  # as the server names it
    spam: bool = False  # it lay in the spam folder, or its receiver says so
    verdicts: Mapping[str, str] = field(default_factory=dict)  # "spf", "dkim", "dmarc" as a trusted service judged them


@dataclass(frozen=True, slots=True, kw_only=True)
class Us:
    """Which addresses and receivers are ours."""

    addresses: frozenset[str] = frozenset()  # every mailbox of the shop, lower case
    domains: frozenset[str] = frozenset()  # that we send from
    contact_forms: frozenset[str] = frozenset()  # senders whose Reply-To is the customer
    trusted_authserv: frozenset[str] = frozenset()  # whose Authentication-Results are believed; "" means an id-less one
    sealers: frozenset[str] = frozenset({"google.com", "microsoft.com"})  # whose ARC seals are believed


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A text taken apart: `text` in the sender's own words, `hidden` the quoted past and the signature, whole.

    `why` names the rule that decided, for `santral mail read`: "attribution", "header block", "trailing quote",
    "signature", "interleaved", "forward", "whole".
    """

    text: str
    hidden: str = ""
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What a bounce tells of one recipient."""

    recipient: str  # "" when it does not say
    outcome: str  # "failed", "delayed", "delivered" or "relayed"
    code: str = ""  # enhanced status code such as "5.1.1", "" when it tells none
    detail: str = ""  # the receiver's words, at most 500 characters
    hard: bool = False  # this address will never work: silence it
    ours: bool = False  # a policy refuses us (5.7.x, spam): the operator has to act, the recipient is fine


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a person wrote this. `automatic`: never acknowledged, never answered by a program."""

    kind: MailKind
    automatic: bool
    why: str = ""  # which sign decided, e.g. "Auto-Submitted: auto-replied"
    fates: tuple[Fate, ...] = ()  # of a BOUNCE or REPORT
    about: tuple[str, ...] = ()  # Message-IDs of the mail it is about, best first
    deliveries: tuple[UUID, ...] = ()  # ids of ours that it is about


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far the sender is who they say."""

    proof: Proof
    why: str  # in words for an agent: "DMARC passed for example.com, says mx.google.com"
    refused: bool = False  # DMARC fails and the domain asks to reject or quarantine such mail
    # Codes: "two_froms", "no_sender", "broken_sender", "name_hides_address", "lookalike", "bidi", "reply_to_differs"
    warnings: tuple[str, ...] = ()
