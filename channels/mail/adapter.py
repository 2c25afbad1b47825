"""E-mail: a mailbox that is read by IMAP, or delivered to us, or brought by a provider's webhook; answered by SMTP.

Rule: what comes is kept raw first and read as work, in a child process. This file holds the parts of `channels/mail`
together; making a channel opens no connection and loads no parser.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote, urlsplit
from zoneinfo import ZoneInfo

import aiohttp

from channels.channel import Capabilities, Finding, Pulled, Rate, Request
from channels.errors import InDoubt, Malformed, Retry, Unverified
from channels.mail.process import Children, Job, TooMuch
from channels.mail.tokens import message_id
from channels.mail.values import Us
from channels.message import Event, Letter, Outgoing

if TYPE_CHECKING:
    from channels.mail.imap.box import Mailbox
    from channels.mail.inbound.providers import Inbound
    from channels.mail.oauth import OAuth
    from channels.mail.send.compose import Composed, Sender
    from channels.mail.send.sign import Signer
    from channels.mail.send.smtp import Smtp

# --- facts

MOST_MAIL = 25 << 20  # bytes on the wire: what Gmail, Microsoft 365 and most others take
MOST_FILES = MOST_MAIL * 72 // 100  # base64 makes 18 MB of files 24 MB of mail
# Where mail to `name+anything@` is delivered to `name@` without being set up.
PLUS = frozenset({"gmail.com", "outlook.com", "office365.com", "yandex.com", "yandex.ru", "fastmail.com"})
# Domains in which everybody may have a mailbox: being there says nothing about being ours.
EVERYBODYS = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "yahoo.com",
        "icloud.com",
        "me.com",
        "aol.com",
        "gmx.de",
        "gmx.net",
        "web.de",
        "t-online.de",
        "mail.ru",
        "bk.ru",
        "inbox.ru",
        "list.ru",
        "yandex.ru",
        "yandex.com",
        "ya.ru",
        "rambler.ru",
        "proton.me",
        "protonmail.com",
        "mynet.com",
        "zoho.com",
        "fastmail.com",
    ]
)
FETCH_SECONDS = 10
FETCH_MOST = 64 << 10  # bytes of a certificate or an answer to a confirmation
QUICK = 3.0  # seconds
HEAD = 64 << 10  # bytes of an unreadable mail that its stub is made of

CAPABILITIES = Capabilities(
    max_text=200_000,  # a bound of ours: no provider names one for words
    media={"*/*": MOST_FILES},
    max_files=20,
    max_total=MOST_FILES,
    formatting=True,
    quotes=True,
    receipts=frozenset({"delivered", "read"}),
    max_request=75 << 20,  # Postmark posts a mail of 35 MB raw, and its files beside it
    rate=Rate(count=60, per=timedelta(minutes=1)),
)

# --- config


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailConfig:
    """Keys of a `kind = "email"` channel. `mailboxes` are all addresses of the shop, this one's among them."""

    address: str
    smtp: str = field(repr=False)
    imap: str = field(default="", repr=False)
    aliases: tuple[str, ...] = ()
    mailboxes: tuple[str, ...] = ()
    trusted_authserv: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    import_hours: float = 1.0
    contact_forms: tuple[str, ...] = ()
    from_name: str = ""
    senders: Mapping[str, str] = field(default_factory=dict)
    reply_token: bool | None = None  # None: where the mail server is known to deliver `name+anything@`
    bounce_address: str = ""
    per_minute: float = 60.0
    timezone: str = "UTC"  # the shop's: of the times that stand in mails we write
    cafile: str = ""
    dkim_selector: str = ""
    dkim_domain: str = ""
    dkim_key: str = field(default="", repr=False)
    oauth_token_url: str = ""
    oauth_client_id: str = ""
    oauth_client_secret: str = field(default="", repr=False)
    oauth_refresh_token: str = field(default="", repr=False)
    oauth_scope: str = ""
    listen: str = ""
    inbound: Literal["", "sendgrid", "mailgun", "postmark", "ses"] = ""
    inbound_secret: str = field(default="", repr=False)
    inbound_topic: str = ""
    read_seconds: float = 20.0  # that reading one mail may take


# --- the channel


class Email:
    """One mailbox. Its parts are made when they are first needed."""

    kind = "email"

    def __init__(
        self, name: str, config: EmailConfig, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.name = name
        self.config = config
        self.capabilities = replace(CAPABILITIES, rate=Rate(count=config.per_minute, per=timedelta(minutes=1)))
        self._now = now
        self._us = us(config)
        self._stubs = Children(1)  # what a child died of is told by another, which only looks at the head
        # Nearly all mails take milliseconds. Those that do not are read again apart, where they hold up nobody.
        self._children = Children(seconds=min(QUICK, config.read_seconds))
        self._patient = Children(1, seconds=config.read_seconds)
        self._mailbox: Mailbox | None = None
        self._smtp: Smtp | None = None
        self._signer: Signer | None = None
        self._inbound: Inbound | None = None
        self._oauth: OAuth | None = None

    def __repr__(self) -> str:
        return f"Email({self.name!r}, {self.config!r})"

    # in

    async def pull(self, after: str) -> Pulled:
        return await self._box().pull(after)

    def verify(self, request: Request) -> None:
        provider = self._provider()
        if provider is None:
            raise Unverified
        provider.verify(request)

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        provider = self._provider()
        if provider is None:
            raise Malformed("this mailbox is not brought by a webhook")
        if url := provider.confirmations(request):
            digest = hashlib.sha256(url.encode()).digest()
            return [
                Letter(
                    channel=self.name,
                    external_id=f"confirm:{digest.hex()}",
                    digest=digest,
                    at=at,
                    raw=b"",
                    facts={"confirm": url},
                )
            ]
        return provider.parse(request, at)

    async def read(self, letter: Letter) -> Sequence[Event]:
        facts, raw = dict(letter.facts), letter.raw
        if url := facts.get("confirm"):
            await confirm(str(url))
            return ()
        if place := facts.get("s3"):
            raw = await stored_at(place)
        if facts.get("cut"):
            facts["unreadable"] = f"it is too large to be shown ({int(facts.get('size', 0)) >> 20} MB)"
        job = Job(
            channel=self.name,
            external_id=letter.external_id,
            digest=letter.digest,
            at=letter.at,
            raw=raw,
            facts=facts,
            us=self._us,
        )
        try:
            return await self._children.read(job)
        except TooMuch:
            pass
        try:
            return await self._patient.read(job)
        except TooMuch as error:
            stub = replace(job, raw=raw[:HEAD], facts={**facts, "unreadable": str(error)})
        try:
            return await self._stubs.read(stub)
        except TooMuch:  # not even its head can be looked at; that it came is shown all the same
            return await self._stubs.read(replace(stub, raw=b""))

    async def listen(self, receive: Callable[[Sequence[Letter]], Awaitable[None]]) -> None:
        if not self.config.listen:
            return
        from channels.mail.inbound.receiver import Listener, listen

        ours = {*self._us.addresses, *filter(None, [self.config.bounce_address])}
        listener = Listener.from_url(self.config.listen, recipients=frozenset(ours))
        await listen(self.name, listener, receive, self._now)

    # out

    async def send(self, message: Outgoing) -> str:
        composed = await self._composed(message)
        return await self._sender().send(composed)

    async def find(self, message: Outgoing) -> str | None:
        """Sent folders are kept by some servers only, so that only finding it there says anything."""
        if self.config.imap:
            wanted = message_id(message.id, self._domain())
            if await self._box().find(wanted):
                return wanted
        raise InDoubt

    async def link(self) -> str:
        return f"mailto:{quote(self.config.address, safe='@+')}"

    async def check(self, url: str) -> Sequence[Finding]:
        """Look at both servers from outside, and at what vouches for customers' addresses."""
        found: list[Finding] = []
        if self.config.imap:
            found += await self._box().check()
        found += await self._sender().check()
        if (signer := self._signing()) is not None:
            what = f"DKIM: the TXT record of {signer.selector}._domainkey.{signer.domain} has to be: {signer.record}"
            found.append(Finding(ok=True, what=what))
        what = (
            f"Whether others take our mail for spam is told by SPF, DKIM and DMARC of {self._domain()}, "
            "which are not looked at here: any checker of mail domains shows all three."
        )
        found.append(Finding(ok=True, what=what))
        if self.config.inbound and not url:
            fix = "Set public_url to your https address."
            found.append(Finding(ok=False, what=f"{self.config.inbound} has no public address to call.", fix=fix))
        if not self.config.trusted_authserv:
            what = "No receiver is trusted to judge senders (trusted_authserv), so DKIM is verified here, mail by mail."
            found.append(Finding(ok=True, what=what))
        return found

    async def close(self) -> None:
        await self._children.close()
        await self._patient.close()
        await self._stubs.close()
        if self._mailbox is not None:
            await self._mailbox.close()
        if self._smtp is not None:
            await self._smtp.close()

    # parts, made when first needed

    def _box(self) -> Mailbox:
        if self._mailbox is None:
            from channels.mail.imap.box import Account, Mailbox

            account = Account.from_url(
                self.config.imap,
                folders=self.config.folders,
                first_hours=self.config.import_hours,
                cafile=self.config.cafile,
                oauth=self._tokens(),
            )
            self._mailbox = Mailbox(self.name, account, now=self._now)
        return self._mailbox

    def _sender(self) -> Smtp:
        if self._smtp is None:
            from channels.mail.send.account import Account
            from channels.mail.send.smtp import Smtp

            account = Account.from_url(self.config.smtp)
            token = self._token if account.xoauth2 else None
            self._smtp = Smtp(account, token=token, signer=self._signing(), tls=trusting(self.config.cafile))
        return self._smtp

    def _signing(self) -> Signer | None:
        if self._signer is None and self.config.dkim_key:
            from channels.mail.send.sign import Signer

            domain = self.config.dkim_domain or self._domain()
            self._signer = Signer(domain, self.config.dkim_selector, self.config.dkim_key)
        return self._signer

    def _tokens(self) -> OAuth | None:
        """Where access tokens come from, one place for both servers."""
        if self._oauth is None and self.config.oauth_token_url:
            from channels.mail.oauth import OAuth

            self._oauth = OAuth(
                token_url=self.config.oauth_token_url,
                client_id=self.config.oauth_client_id,
                client_secret=self.config.oauth_client_secret,
                refresh_token=self.config.oauth_refresh_token,
                scope=self.config.oauth_scope,
            )
        return self._oauth

    async def _token(self) -> str:
        """An access token: from OAuth, or the one that stands in the URL."""
        tokens = self._tokens()
        if tokens is None:
            return unquote(urlsplit(self.config.smtp).password or "")
        return await asyncio.to_thread(tokens.token, self._now())

    async def _composed(self, message: Outgoing) -> Composed:
        from channels.mail.send.compose import compose

        return await asyncio.to_thread(compose, message, self._from(), self._now())  # 18 MB of files take a while

    def _from(self) -> Sender:
        from channels.mail.send.compose import Sender

        config = self.config
        plus = config.reply_token
        own = frozenset(found.lower() for found in (config.address, *config.aliases))
        return Sender(
            address=config.address,
            name=config.from_name,
            by_team=config.senders,
            ours=own,
            others=self._us.addresses - own,
            reply_token=host_of(config.smtp) in PLUS if plus is None else plus,
            bounce_address=config.bounce_address,
            zone=ZoneInfo(config.timezone),
        )

    def _domain(self) -> str:
        return self.config.address.rpartition("@")[2]

    def _provider(self) -> Inbound | None:
        if self._inbound is None and self.config.inbound:
            from channels.mail.inbound.providers import provider

            secret = self.config.inbound_topic or self.config.inbound_secret
            # Mailgun repeats a mail for eight hours under its first signature; a token is stored once however old.
            self._inbound = provider(
                self.config.inbound, self.name, secret, now=self._now, fetch=fetch, fresh=timedelta(hours=12)
            )
        return self._inbound


# --- small functions


def us(config: EmailConfig) -> Us:
    """Which addresses and receivers are ours, as the parsers want to know it."""
    addresses = {found.lower() for found in (config.address, *config.aliases, *config.mailboxes)}
    return Us(
        addresses=frozenset(addresses),
        domains=frozenset(address.rpartition("@")[2] for address in addresses) - EVERYBODYS,
        contact_forms=frozenset(found.lower() for found in config.contact_forms),
        trusted_authserv=frozenset(found.lower() for found in config.trusted_authserv),
    )


def host_of(url: str) -> str:
    """The registered part of a mail server's name, as far as `PLUS` needs it: its last two labels."""
    return ".".join((urlsplit(url).hostname or "").split(".")[-2:])


def trusting(cafile: str) -> ssl.SSLContext | None:
    """TLS that believes a private authority, None for the system's own."""
    return ssl.create_default_context(cafile=cafile) if cafile else None


async def fetch(url: str) -> bytes:
    """GET a small document that Amazon's notifications name. Its host was checked by who asks for it."""
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        answer.raise_for_status()
        parts, size = [], 0
        async for part in answer.content.iter_chunked(FETCH_MOST):
            parts.append(part)
            size += len(part)
            if size > FETCH_MOST:
                break
        return b"".join(parts)


async def confirm(url: str) -> None:
    """Tell Amazon that its topic is ours. Raises `Retry`."""
    try:
        await fetch(url)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Retry(f"Amazon could not be told that its topic is ours ({type(error).__name__})") from None


async def stored_at(place: Mapping[str, Any]) -> bytes:
    """A mail that Amazon SES put into a bucket; credentials and region come from the environment (AWS_…)."""
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    try:
        region = str(place.get("region") or "")
        bucket = str(place.get("bucket", ""))
        store = S3Store(bucket, region=region) if region else S3Store(bucket)
        found = await store.get_async(str(place.get("key", "")))
        return bytes(await found.bytes_async())
    except (BaseError, OSError) as error:
        raise Retry(f"the bucket did not hand the mail out ({type(error).__name__})") from None
