"""The contract of a channel: a small required part, and one-method abilities for what only some providers can do.

Rule: an adapter verifies, parses and sends. It stores nothing, knows nothing of Slack, and decides nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from channels.message import Address, Attachment, Event, Letter, Outgoing, Profile, Received

Measure = Callable[[str], int]
AT_WILL = timedelta(milliseconds=50)  # between two sends at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most `count` sends every `per`: evenly spread, or at will where the provider says when to wait (`at_will`)."""

    count: float
    per: timedelta = timedelta(seconds=1)
    at_will: bool = False

    @property
    def spacing(self) -> timedelta:
        return AT_WILL if self.at_will else self.per / self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a channel carries. The inbox plans with it, the desk greys out buttons with it, the docs print it."""

    max_text: int
    measure: Measure = len  # in what the provider counts: code points, UTF-16 units, bytes, segments
    unit: str = "characters"  # what `measure` counts, in words
    max_caption: int = 0  # 0: a file travels without words
    max_choices: int = 0  # more than these, or a label that is too long, become numbered lines
    max_choice: int = 20  # characters of a choice's label
    media: Mapping[str, int] = field(default_factory=dict)  # media type pattern ("image/*") to bytes at most
    reply_window: timedelta | None = None  # since the customer's last message; None: no limit
    agent_window: timedelta | None = None
    templates: bool = False
    formatting: bool = False  # spans survive
    edits: timedelta | None = None  # how long our message can still be changed; None: never
    withdraws: timedelta | None = None
    receipts: frozenset[str] = frozenset()  # of "delivered", "read"
    max_files: int = 1  # in one message; more than one means that its words travel with them
    max_total: int | None = None  # bytes of all files of one message
    quotes: bool = False  # the past travels along below an answer
    max_request: int = 8 << 20  # bytes of a webhook's body
    rate: Rate | None = None  # over the whole channel
    address_rate: Rate | None = None  # to one address
    links: bool = False  # files leave as `Attachment.link`, which the provider or the customer fetches from us
    echoes: bool = False  # what the shop sends elsewhere is told us
    answer: tuple[str, str] = ("", "text/plain")  # body and content type of our answer to a webhook, whatever it was
    handshake: str = "text/plain"  # the content type of our answer to a handshake
    misses: timedelta | None = None  # how often to ask for what its webhook did not bring; see `CatchesUp`
    live: bool = False  # customers look at what is sent while it is sent: whoever shows it to them is told at once
    experimental: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request as it came: header names in lower case, `url` made of the configured public_url and raw path."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What one pull brought, and the cursor to store with it. Letters and cursor are one commit."""

    cursor: str
    events: tuple[Event, ...] = ()
    letters: tuple[Letter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of a set-up check, in words a shop owner can act on. `fix` is empty when all is well."""

    ok: bool
    what: str
    fix: str = ""


class Channel(Protocol):
    """What every adapter is. `name` is the shop's word for it, `kind` the provider's; nobody branches on either."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def capabilities(self) -> Capabilities: ...

    async def send(self, message: Outgoing) -> str:
        """Make the one provider call for `message` and return the provider's id.

        Raises `Retry`, `InDoubt`, `Refused` or a subclass, and nothing else.
        """
        ...

    async def close(self) -> None:
        """Let go of connections. Called once, when nothing is sent any more."""
        ...


@runtime_checkable
class Webhook(Protocol):
    """The provider calls us. Both methods are pure and quick: nothing but the bytes at hand."""

    def verify(self, request: Request) -> None:
        """Raise `Unverified` unless the request is the provider's.

        Raises `Retry` while what it takes to tell, such as a certificate, is still being fetched.
        """
        ...

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        """Read every entry of the batch. Raise `Malformed` only when the whole body is unreadable.

        Of the request only its query, its headers of content and its body count. What was set aside is read again
        without the query and with no other headers.
        """
        ...


@runtime_checkable
class Handshake(Protocol):
    """The provider proves our address with a GET first."""

    def answer(self, request: Request) -> str:
        """Give the text it wants to read. Raise `Unverified` unless the request is the provider's."""
        ...


@runtime_checkable
class Registers(Protocol):
    """The webhook can be set by a call. Called at start-up when `public_url` is https, and safe to repeat."""

    async def register(self, url: str) -> None:
        """Tell the provider to call `url`. Raises `Retry` or `Refused`."""
        ...


@runtime_checkable
class Pull(Protocol):
    """We call the provider. One puller a channel over all processes; the cursor is stored with the events."""

    async def pull(self, after: str) -> Pulled:
        """Wait up to a long poll's time for what came after the cursor ("" at first). Raises `Retry` or `Refused`."""
        ...


@runtime_checkable
class CatchesUp(Protocol):
    """The provider can be asked for what its webhook did not bring, because it or we were away."""

    async def missed(self, after: str) -> Pulled:
        """What came since the cursor ("" at first: then nothing older than a day), without waiting for more.

        Events known already are known again by their ids. Raises `Retry` or `Refused`.
        """
        ...


@runtime_checkable
class Profiles(Protocol):
    """The platform's messages carry no name of who wrote them, but it can be asked for."""

    async def profile(self, address: Address) -> Profile:
        """Who this is. A platform that will not tell gives an empty profile. Raises `Retry` or `Refused`."""
        ...


@runtime_checkable
class Linked(Protocol):
    """Customers can begin to write by following a link."""

    async def link(self) -> str:
        """The public link that opens a chat with us here, "" where there is none. Raises `Retry` or `Refused`."""
        ...


@runtime_checkable
class Listens(Protocol):
    """Senders deliver to us over a protocol of their own."""

    async def listen(self, receive: Callable[[Sequence[Letter]], Awaitable[None]]) -> None:
        """Take what is delivered until cancelled. `receive` returns after the commit; only then is it acknowledged."""
        ...


@runtime_checkable
class Reads(Protocol):
    """What came is too heavy or too dangerous to be read on arrival."""

    async def read(self, letter: Letter) -> Sequence[Event]:
        """Read a kept letter, in bounded time and memory. The same letter gives the same events, as often as asked.

        What cannot be read becomes a `Received` with a stub. Raises `Retry` while something outside is away.
        """
        ...


@runtime_checkable
class Fetches(Protocol):
    """The provider hands out files by reference. Called as work of its own, long after the message was stored."""

    def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        """Stream the file. Raises `Retry` or `Refused`; never puts a URL or a credential into the error."""
        ...


@runtime_checkable
class Edits(Protocol):
    """Our message can be changed at the customer's. Called when an agent corrects what was sent."""

    async def edit(self, external_id: str, message: Outgoing) -> None:
        """Replace what was sent. "Not modified" is success. Raises like `send`."""
        ...


@runtime_checkable
class Withdraws(Protocol):
    """Our message can be taken back at the customer's. Called when an agent deletes what was sent."""

    async def withdraw(self, external_id: str, message: Outgoing) -> None:
        """Take it back. That it is gone already is success. Raises like `send`."""
        ...


@runtime_checkable
class Shows(Protocol):
    """The customer can be shown that somebody is at it."""

    async def typing(self, message: Outgoing) -> None:
        """Show that an answer is being written, where `message` would go. Best effort."""
        ...


@runtime_checkable
class Acknowledges(Protocol):
    """The customer's app waits to hear that a pressed button arrived."""

    async def acknowledge(self, message: Received) -> None:
        """Called after a `Received` with a payload was committed. Best effort: nothing is lost when it fails."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """The first send is slow, because something has to be loaded for it."""

    async def prepare(self) -> None:
        """Load what the first send needs, ahead of it. Called when a customer first writes, and may take seconds."""
        ...


@runtime_checkable
class Reconciles(Protocol):
    """The provider can be asked what became of a message, by the id we gave it."""

    async def find(self, message: Outgoing) -> str | None:
        """After an unknown outcome: the provider's id when it has our message, None when it surely has not.

        Raises `InDoubt` while that cannot be said.
        """
        ...


@runtime_checkable
class Approves(Protocol):
    """The provider can be asked which templates it has approved."""

    async def approved(self) -> Sequence[tuple[str, str, str]]:
        """Name, language and state ("approved", "rejected", "paused"…) of each, as the provider spells them.

        Raises `Retry` or `Refused`.
        """
        ...


@runtime_checkable
class Checks(Protocol):
    """The set-up can be looked at from outside. Called by `santral check`; changes nothing anywhere."""

    async def check(self, url: str) -> Sequence[Finding]:
        """Contact the provider and say what is wrong with the set-up. `url` is our webhook's, "" without public_url."""
        ...
