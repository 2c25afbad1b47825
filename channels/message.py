"""What travels between a channel and the inbox: plain values, the same for every provider.

Rule: nothing here knows a provider. Ids a provider made (`external_id`, `Address.value`, `Attachment.ref`, `context`)
are opaque to everyone but the adapter that made them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID


class Proof(IntEnum):
    """How we know that an address belongs to who writes from it. Customers are joined at CARRIER or better only."""

    CLAIMED = 0  # they say so
    CARRIER = 1  # a phone number the carrier vouches for (SMS, WhatsApp)
    PLATFORM = 2  # an account id the platform vouches for (Telegram, Meta, X)
    AUTHENTICATED = 3  # mail with aligned DMARC, DKIM or SPF, judged by a receiver we trust
    VERIFIED = 4  # one-time code, signed visitor token, single-use link


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a customer can be reached: `telegram:4711`, `phone:+905321234567`, `email:ayse@example.com`."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


class SpanKind(StrEnum):
    """Formatting that some channel carries; the values are stored."""

    BOLD = "bold"
    ITALIC = "italic"
    UNDERLINE = "underline"
    STRIKE = "strike"
    CODE = "code"
    PRE = "pre"
    QUOTE = "quote"
    SPOILER = "spoiler"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Formatting of `text[start:end]`, counted in code points; adapters convert to what their provider counts."""

    kind: SpanKind
    start: int
    end: int
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that came or goes. Inbound: `ref` is what `Fetches.fetch` needs, or `data` the bytes. Outbound: `data`.

    `media_type` and `filename` are the sender's words, made safe for display but never to be trusted.
    """

    media_type: str
    filename: str = ""
    size: int | None = None  # bytes, as the provider says; None when it does not
    ref: str = ""
    data: bytes | None = field(default=None, repr=False)
    unique_ref: str = ""  # stays the same when the provider hands out a new ref for the same file
    path: str = ""  # where the inbox has it already, set by nobody else
    link: str = ""  # outbound, for channels whose `links` is set: where anybody who has it can fetch it for a while


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One thing a customer said.

    `proofs` are further addresses this message proves to be the sender's, such as an own phone number they shared.
    `album` is equal for the parts of one album, each of which is its own message.
    `automatic` marks machines: they are stored and shown but never answered.
    `stub` names the kind of a message this adapter cannot show; its payload is kept in `raw`.
    `context` goes back to the adapter with every `Outgoing` to the same address.
    """

    channel: str
    external_id: str
    sender: Address
    sent_at: datetime
    sender_name: str = ""
    subject: str = ""
    text: str = ""
    spans: tuple[Span, ...] = ()
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    payload: str = ""  # of a pressed button or a start link
    reply_to: str = ""  # external_id of the message it answers
    quoted: str = ""  # what it answers or forwards, in words, when the provider tells
    forwarded_from: str = ""  # whose words these are, when not the sender's own
    also_to: tuple[str, ...] = ()  # who else was written to, as agents know them; an answer does not go there
    album: str = ""
    stub: str = ""
    language: str = ""  # BCP 47, as the sender's app says
    proof: Proof = Proof.CLAIMED
    proofs: tuple[tuple[Address, Proof], ...] = ()
    automatic: bool = False
    retractable: bool = False  # its provider may tell of its withdrawal, even before it tells of it
    quiet: bool = False  # a person may have written it, but no program may answer
    twin: Address | None = None  # this address at the other level of proof; see `inbox.identity`
    hidden: str = ""  # quoted history and signature, cut from `text`, never thrown away
    warnings: tuple[str, ...] = ()  # codes of what an agent should know before believing it; the desk has the words
    why: str = ""  # why `proof` is what it is, in words
    once: str = ""  # equal for copies of one message that came by several ways; only the first is stored
    answers: tuple[UUID, ...] = ()  # deliveries of ours it answers, best evidence first
    refers_to: tuple[str, ...] = ()  # ids of earlier messages it refers to, in either direction, best evidence first
    names: tuple[str, ...] = ()  # ids by which later messages may refer to it
    context: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes = field(default=b"", repr=False)


# Stubs of what a customer did without a word: a link followed, a box ticked. Nobody has to answer one.
WORDLESS = frozenset({"referral", "optin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Automated:
    """A machine wrote, in a customer's name or about our mail: a vacation note, a newsletter, a delayed delivery.

    It is shown as a small line where its conversation is known, opens none, wakes nobody and is never answered.
    """

    channel: str
    external_id: str
    sender: Address
    what: str  # "auto_reply", "delayed", "calendar", "list", "loop": the desk has the words; REFUSED is never shown
    at: datetime
    subject: str = ""
    text: str = ""
    proof: Proof = Proof.CLAIMED
    once: str = ""
    answers: tuple[UUID, ...] = ()
    refers_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """Something that came and is too heavy to be read on arrival: kept whole now, read as work after the commit.

    `external_id` is unique in its channel, `digest` equal for the same bytes come twice. `facts` is what the way it
    came tells beside the bytes; it and `raw` are opaque to everybody but the adapter.
    """

    channel: str
    external_id: str
    digest: bytes
    at: datetime  # when its receiver took it, not when its sender says to have written it
    raw: bytes = field(repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The customer changed a message. Carries it whole, so that an edit overtaking its original loses nothing."""

    message: Received
    edited_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """The customer deleted a message. We keep it and say so; where `erase`, the provider obliges us to forget it."""

    channel: str
    external_id: str
    sender: Address
    at: datetime
    erase: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SentElsewhere:
    """The shop answered past us: in its phone's app, in another program. Shown as such and never sent again.

    It may be our own send, whose answer it overtook: whoever stores it looks whether `external_id` is one of ours, and
    waits while something is on its way to the same address. What carries our own id is a `Receipt` instead.
    """

    channel: str
    external_id: str
    to: Address
    at: datetime
    text: str = ""
    spans: tuple[Span, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    reply_to: str = ""
    app: str = ""  # what it was written in, as people call it; "" when the provider does not tell
    stub: str = ""
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reacted:
    """The customer put a reaction on a message, theirs or ours; an empty `emoji` took it away."""

    channel: str
    external_id: str  # of the message reacted to
    sender: Address
    emoji: str
    at: datetime


class Status(IntEnum):
    """How far a delivery got. Receipts only move up; FAILED is final and shown even when it comes late."""

    QUEUED = 0
    IN_DOUBT = 1
    SENT = 2
    DELIVERED = 3
    READ = 4
    FAILED = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a provider tells of a delivery later: by its own id, by ours, or by the address it went to.

    `unreachable`: nothing will ever arrive at that address, so nothing more may be sent there.
    """

    channel: str
    status: Status
    at: datetime
    external_id: str = ""
    delivery: UUID | None = None
    recipient: Address | None = None  # where the ids tell nothing: the last delivery to this address is meant
    code: str = ""
    detail: str = ""
    unreachable: bool = False
    earlier: bool = False  # read, and so is everything that went to the same address before
    letter: str = ""  # external_id of the letter that told it; set aside when it is about nothing of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadUpTo:
    """Everything sent to this address until `at` was read."""

    channel: str
    reader: Address
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OptedOut:
    """They blocked us or said STOP: nothing may be sent to this address until they come back.

    Whatever they write brings them back; where it is `lasting`, as the carriers have it for SMS, only `OptedIn` does.
    """

    channel: str
    sender: Address
    at: datetime
    why: str = ""  # COMPLAINT, or in words
    lasting: bool = False


COMPLAINT = "complaint"  # they called our mail spam
REFUSED = "refused"  # the domain in From disowns a mail and asks that it be refused


@dataclass(frozen=True, slots=True, kw_only=True)
class OptedIn:
    """They came back: sending is allowed again."""

    channel: str
    sender: Address
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChanged:
    """The provider says that this person is reached elsewhere from now on.

    `keeps`: nobody else will ever have the old address, and late messages may still name it.
    """

    channel: str
    old: Address
    new: Address
    at: datetime
    keeps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """One item of a batch that could not be read. It goes to quarantine; its neighbours go on."""

    channel: str
    reason: str
    raw: bytes = field(repr=False)


Event = (
    Received
    | Edited
    | Withdrawn
    | SentElsewhere
    | Reacted
    | Automated
    | Receipt
    | ReadUpTo
    | OptedOut
    | OptedIn
    | AddressChanged
    | Unreadable
)


class Author(Enum):
    """Who speaks to the customer; some providers want to know. The values are stored."""

    AGENT = "agent"
    BOT = "bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A button or numbered line the customer may pick. `payload` comes back in `Received.payload`."""

    label: str
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A text the provider has approved before, the only thing it takes outside a window. `values` fill {{1}}, {{2}}…

    `name` and `language` are in the provider's spelling: WhatsApp's own name, or Twilio's content SID in `name`.
    """

    name: str
    language: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a platform tells of a person who wrote to us."""

    name: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """What a message answers, for channels that carry the past along."""

    text: str
    at: datetime
    author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One provider message, planned to fit the channel's capabilities: one `send` is one call and one id."""

    id: UUID  # ours; goes to the provider where it takes one, so that a doubt can be settled
    to: Address
    author: Author = Author.AGENT
    author_name: str = ""  # the agent's, as customers may see it
    team: str = ""
    text: str = ""
    spans: tuple[Span, ...] = ()
    subject: str = ""
    attachment: Attachment | None = None
    more: tuple[Attachment, ...] = ()  # further files, where the channel carries several in one message
    quoted: Quoted | None = None
    choices: tuple[Choice, ...] = ()
    template: Template | None = None  # then `text` is what the customer will read of it
    reply_to: str = ""  # external_id in the customer's channel
    answers_at: datetime | None = None  # when this customer last wrote to this channel; None: never, as far as we know
    at: datetime | None = None  # now, for whoever has to judge how long ago that was
    context: Mapping[str, Any] = field(default_factory=dict)
