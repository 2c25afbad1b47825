"""X: customers write direct messages to the shop's account. Experimental, because most of them are encrypted by now.

Rule: X takes no id of ours, so a doubt is settled by looking for our own words; where that is not sure it stays one.
Pages are below https://docs.x.com.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from channels.channel import Capabilities, Finding, Pulled, Rate, Request
from channels.errors import InDoubt, Refused, SendFailed, Unverified
from channels.message import Address, Attachment, Event, Letter, Outgoing, Profile, SentElsewhere, Unreadable
from channels.x import setup
from channels.x.calls import CATEGORIES, Calls, Wiring, digits, part, rows, text
from channels.x.oauth1 import Keys
from channels.x.parse import listed, read, shown, snowflake

# --- facts

# Each signature header, and whose secret makes it. /x-api/webhooks/introduction#signature-headers
BY_CONSUMER = "x-twitter-webhooks-signature"
BY_CLIENT = "x-twitter-webhooks-signature-oauth2"
# What may be asked of us as a challenge. Its answer is the signature of these very bytes, so nothing that could be
# the body of a webhook may be among them, or anybody could have us sign one.
CHALLENGE = re.compile(r"[A-Za-z0-9+/=._~-]{1,256}", re.ASCII)
MAX_FILE = 64 << 20  # bytes of what customers send; X names no bound for it
PAGE = 50  # events a call; every one costs, the first time in a day (UTC)
PAGES = 10  # calls a time, of the 15 in 15 minutes that all reading shares
OVERLAP = timedelta(minutes=5)  # what was told late is asked for again; it is known again by its id
SKEW = timedelta(seconds=5)  # between our clock and X's
SETTLES = timedelta(seconds=30)  # how long a message may take until lists have it
FIELDS: Mapping[str, str] = {  # X gives next to nothing unless it is asked for; /x-api/direct-messages/lookup/integrate
    "dm_event.fields": "id,event_type,text,created_at,dm_conversation_id,sender_id,attachments,entities",
    "event_types": "MessageCreate",
    "expansions": "sender_id,attachments.media_keys",
    "media.fields": "media_key,type,url,variants",
    "user.fields": "name,username,affiliation",
    "max_results": str(PAGE),
}
LINK_LIKE = re.compile(r"\S*\w\.\w\S*")  # what X rewrites when it is sent: "shop.example/a" becomes a short link

CAPABILITIES = Capabilities(
    max_text=10_000,  # not in the description of the API any more; what the app takes
    max_caption=10_000,
    media={media_type: most for media_type, (_, most) in CATEGORIES.items()},
    receipts=frozenset({"read"}),
    # /x-api/fundamentals/rate-limits, and 1,440 a day. X says when the fifteen are used up, and until when.
    rate=Rate(count=15, per=timedelta(minutes=15), at_will=True),
    handshake="application/json",
    echoes=True,
    misses=timedelta(minutes=15),
    experimental=True,
)

# --- config


@dataclass(frozen=True, slots=True, kw_only=True)
class XConfig:
    """One account, and the app that acts for it. OAuth 1.0a keys do not expire, so nothing has to be renewed."""

    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    access_token_secret: str = field(repr=False)
    user_id: str
    client_secret: str = field(default="", repr=False)  # of OAuth 2.0; an app that has one may be called with it
    api_url: str = "https://api.x.com"
    send_seconds: float = 10  # an answer later than this leaves the outcome in doubt


# --- channel


class X:
    kind = "x"
    capabilities = CAPABILITIES

    def __init__(
        self,
        name: str,
        config: XConfig,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self.name = name
        self.config = config
        self._now = now
        keys = Keys(
            consumer_key=config.consumer_key,
            consumer_secret=config.consumer_secret,
            token=config.access_token,
            token_secret=config.access_token_secret,
        )
        self._calls = Calls(
            Wiring(keys=keys, api_url=config.api_url, seconds=config.send_seconds, now=now, nonce=nonce)
        )

    def __repr__(self) -> str:
        return f"X({self.name!r}, {self.config!r})"

    def verify(self, request: Request) -> None:
        good = False
        for header, secret in ((BY_CONSUMER, self.config.consumer_secret), (BY_CLIENT, self.config.client_secret)):
            given = request.headers.get(header, "").encode("utf-8", "surrogatepass")
            good |= bool(secret) and hmac.compare_digest(given, signature(secret, request.body).encode())
        if not good:
            raise Unverified

    def answer(self, request: Request) -> str:
        """X's challenge, which it sends again every hour or so. /x-api/webhooks/quickstart#2-the-crc-check"""
        challenge = request.query.get("crc_token", "")
        if not CHALLENGE.fullmatch(challenge):
            raise Unverified
        secret = self.config.client_secret or self.config.consumer_secret
        return json.dumps({"response_token": signature(secret, challenge.encode())})

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        return read(self.name, self.config.user_id, request.body, at)

    async def send(self, message: Outgoing) -> str:
        path = f"/2/dm_conversations/with/{person(message.to)}/messages"
        body: dict[str, Any] = {"text": message.text} if message.text else {}
        if message.attachment is not None:
            body["attachments"] = [{"media_id": await self._calls.upload(message.attachment)}]
        if not body:
            raise Refused("There is nothing to send.")
        told = await self._calls.call("POST", path, body=body)
        sent = digits(part(told, "data").get("dm_event_id"))
        if not sent:
            raise InDoubt
        return sent

    async def find(self, message: Outgoing) -> str | None:
        """Look for our words in the conversation, since they were sent."""
        if message.at is None:
            raise InDoubt
        since = snowflake(message.at - SKEW)
        path = f"/2/dm_conversations/with/{person(message.to)}/dm_events"
        try:
            told = await self._calls.call("GET", path, query=FIELDS, repeatable=True)
        except SendFailed as error:
            raise InDoubt(str(error)) from error
        events = rows(told, "data")
        later = [row for row in events if int(digits(row.get("id")) or 0) >= since]
        found = [
            it for it in listed(self.name, self.config.user_id, told, self._now()) if isinstance(it, SentElsewhere)
        ]
        ours = [it for it in found if int(it.external_id) >= since]
        same = [it for it in ours if alike(it, message)]
        if same:
            return same[0].external_id
        if (len(later) == len(events) and onward(told)) or self._now() - message.at < SETTLES:
            raise InDoubt
        return None

    def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        return self._calls.fetch(attachment.ref, at_most=MAX_FILE)

    async def missed(self, after: str) -> Pulled:
        """The cursor is the highest id seen. The first time nothing is asked for: what is older costs, and is read."""
        if not digits(after):
            return Pulled(cursor=str(snowflake(self._now())))
        newest, since = int(after), int(after) - (int(OVERLAP.total_seconds() * 1000) << 22)
        pages: list[tuple[Event, ...]] = []
        query = dict(FIELDS)
        for _ in range(PAGES):
            told = await self._calls.call("GET", "/2/dm_events", query=query, repeatable=True)
            events = rows(told, "data")
            fresh = [row for row in events if int(digits(row.get("id")) or 0) > since]
            newest = max((newest, *(int(digits(row.get("id"))) for row in fresh)))
            pages.append(listed(self.name, self.config.user_id, {**told, "data": fresh}, self._now()))
            query["pagination_token"] = onward(told)
            if len(fresh) < len(events) or not query["pagination_token"]:
                break
        else:
            reason = f"more than {PAGE * PAGES} messages were missed: the older ones stand in X only"
            pages.append((Unreadable(channel=self.name, reason=reason, raw=b"{}"),))
        return Pulled(cursor=str(newest), events=tuple(event for page in reversed(pages) for event in page))

    async def profile(self, address: Address) -> Profile:
        """Messages bring names along; encrypted ones do not."""
        query = {"user.fields": "name,username"}
        told = await self._calls.call("GET", f"/2/users/{person(address)}", query=query, repeatable=True)
        return Profile(name=shown(part(told, "data")))

    async def link(self) -> str:
        return f"https://x.com/messages/compose?recipient_id={self.config.user_id}"

    async def register(self, url: str) -> None:
        await setup.register(self._calls, self.config.user_id, url)

    async def check(self, url: str) -> Sequence[Finding]:
        return await setup.findings(self._calls, self.name, self.config.user_id, url)

    async def close(self) -> None:
        await self._calls.close()


# --- small functions


def signature(secret: str, body: bytes) -> str:
    """Of a webhook's body, and of a challenge."""
    return "sha256=" + base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def person(address: Address) -> str:
    if address.kind != "x" or not digits(address.value):
        raise Refused("This address has no number at X.")
    return address.value


def alike(found: SentElsewhere, message: Outgoing) -> bool:
    """Whether a message of ours in X's list says what `message` says, whatever X made of its links."""
    return bare(found.text) == bare(message.text) and bool(found.attachments or found.stub) == bool(message.attachment)


def bare(words: str) -> str:
    return " ".join(LINK_LIKE.sub(" ", words).split())


def onward(told: Mapping[str, Any]) -> str:
    return text(part(told, "meta").get("next_token"))
