"""Instagram: customers write to the shop's professional account, connected through its Facebook page or by itself.

Rule: Instagram fetches what we send from us, so a file leaves as a link, and it counts text in bytes.
Pages are below https://developers.facebook.com/documentation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

from channels.channel import Capabilities, Finding, Pulled, Rate, Request
from channels.errors import Refused
from channels.message import Address, Attachment, Event, Letter, Outgoing, Profile
from channels.meta import calls, graph, past, setup
from channels.meta.graph import Graph
from channels.meta.parse import Account, read
from channels.values import name as shown

# --- facts

# /instagram-platform/webhooks, the events of an account that this file reads; echoes come with its messages.
FIELDS = frozenset(
    {
        "messages",
        "messaging_postbacks",
        "messaging_seen",
        "message_reactions",
        "message_edit",
        "messaging_referral",
        "standby",
    }
)
ON_PAGE = frozenset({"messages"})  # a page must tell the app of something, or it hears nothing of the account behind it
SCOPES = frozenset({"instagram_basic", "instagram_manage_messages", "pages_manage_metadata", "pages_messaging"})
ITS_OWN = "graph.instagram.com"  # the host for accounts connected without a page
SOON = timedelta(days=14)
REFRESH = "Refresh it, as docs/channels/instagram.md says, and put the new access_token and token_until here."


def size(text: str) -> int:
    """Bytes in UTF-8: a Cyrillic letter is two, an emoji four or more."""
    return len(text.encode("utf-8", "surrogatepass"))


# /business-messaging/instagram-messaging/features/attachment-upload
IMAGES = dict.fromkeys(("image/png", "image/jpeg", "image/gif"), 8 << 20)
SOUNDS = dict.fromkeys(("audio/aac", "audio/mp4", "audio/x-m4a", "audio/wav", "audio/x-wav"), 25 << 20)
AVI = ("video/x-msvideo", "video/avi")  # one format under two names
FILMS = dict.fromkeys(("video/mp4", "video/ogg", *AVI, "video/quicktime", "video/webm"), 25 << 20)

CAPABILITIES = Capabilities(
    max_text=1000,  # /instagram-platform/instagram-api-with-instagram-login/messaging-api
    measure=size,
    unit="bytes",
    max_choices=calls.MAX_CHOICES,
    max_choice=calls.MAX_CHOICE,
    media={**IMAGES, **SOUNDS, **FILMS, "application/pdf": 25 << 20},
    reply_window=calls.REPLY_WINDOW,
    agent_window=calls.AGENT_WINDOW,
    receipts=frozenset({"read"}),
    rate=Rate(count=300),  # /business-messaging/messenger-platform/overview/rate-limiting
    links=True,
    echoes=True,
    misses=timedelta(minutes=15),
)

# --- config


@dataclass(frozen=True, slots=True, kw_only=True)
class InstagramConfig:
    """One account. With `page_id`, or at graph.facebook.com, it is reached through its page and the page's token."""

    ig_id: str
    access_token: str = field(repr=False)
    app_secret: str = field(repr=False)
    verify_token: str = field(repr=False)
    page_id: str | None = None
    instagram_app_secret: str | None = field(default=None, repr=False)  # either of the two may sign webhooks
    token_until: date | None = None  # nobody can be asked when a token of graph.instagram.com ends
    api_url: str = "https://graph.facebook.com"
    siblings: tuple[tuple[str, str], ...] = ()  # account and channel of the app's others, told at the same address
    send_seconds: float = 10  # an answer later than this leaves the outcome in doubt

    @property
    def by_itself(self) -> bool:
        return urlsplit(self.api_url).hostname == ITS_OWN

    @property
    def node(self) -> str:
        """Whose `messages` and `conversations` are called: the token's own page where its id is not told."""
        return self.page_id or ("me" if urlsplit(self.api_url).hostname == "graph.facebook.com" else self.ig_id)


# --- channel


class Instagram:
    kind = "instagram"
    capabilities = CAPABILITIES

    def __init__(
        self,
        name: str,
        config: InstagramConfig,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: float = past.PAUSE,
    ) -> None:
        self.name = name
        self.config = config
        self._now = now
        self._account = Account(channel=name, kind=self.kind, object="instagram", id=config.ig_id)
        self._listing = past.Listing(
            account=self._account,
            node=config.node,
            platform="instagram",
            fields=f"{past.FIELDS},shares,story",
            pause=pause,
        )
        self._setup = setup.Setup(
            channel=name,
            node=config.node,
            object="instagram",
            on_node=FIELDS if config.node == config.ig_id else ON_PAGE,
            on_app=FIELDS,
            scopes=SCOPES,
            token=config.access_token,
            verify_token=config.verify_token,
            siblings=tuple(channel for _, channel in config.siblings),
            asked=not config.by_itself,
        )
        self._graph = Graph(
            "Instagram",
            config.api_url,
            config.access_token,
            config.app_secret,
            seconds=config.send_seconds,
            proven=not config.by_itself,
        )

    def __repr__(self) -> str:
        return f"Instagram({self.name!r}, {self.config!r})"

    def verify(self, request: Request) -> None:
        graph.verify(request, self.config.app_secret, self.config.instagram_app_secret or "")

    def answer(self, request: Request) -> str:
        return graph.answer(request, self.config.verify_token)

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        return read(self._account, request.body, at, self.config.siblings)

    async def send(self, message: Outgoing) -> str:
        told = calls.body(message, self._account, marked=False)
        if message.attachment is not None:
            told["message"].pop("text", None)
            told["message"]["attachment"] = linked(message.attachment)
        return await calls.send(self._graph, self.config.node, json=told, late="tag" in told)

    async def typing(self, message: Outgoing) -> None:
        person = calls.recipient(message.to, self._account)
        await calls.typing(self._graph, self.config.node, person)

    def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        return calls.fetch(self._graph, attachment)

    async def missed(self, after: str) -> Pulled:
        return await past.missed(self._graph, self._listing, after, self._now())

    async def profile(self, address: Address) -> Profile:
        person = calls.recipient(address, self._account)
        told = await calls.told_of(self._graph, person, "name,username")
        return Profile(name=shown(str(told.get("name") or told.get("username") or "")))

    async def link(self) -> str:
        username = await self._username()
        return f"https://ig.me/m/{username}" if username else ""

    async def register(self, url: str) -> None:
        """Subscribe the account. Where an app of an account by itself delivers to is set by hand."""
        await setup.register(self._graph, self._setup, url)

    async def check(self, url: str) -> Sequence[Finding]:
        async def the_account() -> Sequence[Finding]:
            return (Finding(ok=True, what=f"The account @{await self._username()} answers."),)

        async def what_nobody_tells() -> Sequence[Finding]:
            if not self.config.by_itself:
                return ()
            there = (Finding(ok=True, what=f"Where Instagram delivers cannot be asked for; it should be {url}."),)
            return (*lasting(self.config, self._now()), *(there if url else ()))

        return await setup.check(self._graph, self._setup, url, self._now(), the_account, what_nobody_tells)

    async def close(self) -> None:
        await self._graph.close()

    async def _username(self) -> str:
        told = await self._graph.call("GET", self.config.ig_id, query={"fields": "username"}, repeatable=True)
        return shown(str(told.get("username") or ""))


# --- small functions


def linked(file: Attachment) -> dict[str, object]:
    """A file as Instagram takes it: where it can fetch it from."""
    if not file.link:
        raise Refused("Instagram fetches files from us, and this one has no public address.")
    kind = file.media_type.partition("/")[0]
    return {"type": kind if kind in ("image", "video", "audio") else "file", "payload": {"url": file.link}}


def lasting(config: InstagramConfig, now: datetime) -> tuple[Finding, ...]:
    """How long the token lasts, which only whoever made it knows: 60 days, if it is not refreshed before."""
    if config.token_until is None:
        what = "Nobody told when the access token ends: 60 days after it was made."
        return (Finding(ok=False, what=what, fix="Write that day into token_until, to be reminded in time."),)
    left = config.token_until - now.date()
    if left < timedelta(0):
        return (Finding(ok=False, what=f"The access token ended on {config.token_until}.", fix=REFRESH),)
    what = f"The access token ends on {config.token_until}."
    return (Finding(ok=left > SOON, what=what, fix="" if left > SOON else REFRESH),)
