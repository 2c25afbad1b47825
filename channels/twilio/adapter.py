"""SMS and WhatsApp by Twilio: customers write to a number, or to a messaging service that has several.

Rule: the answer to a webhook is what Twilio would send the customer, so it is always the empty TwiML of `Capabilities`.
Twilio has no key by which a message is known again: our id travels in the address it calls with receipts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from channels.channel import Capabilities, Finding, Pulled, Rate, Request
from channels.errors import InDoubt, Retry, Unverified
from channels.message import Address, Attachment, Event, Letter, OptedIn, OptedOut, Outgoing, Received, Unreadable
from channels.segments import MOST, units, weight
from channels.twilio.parse import Reading, digits, read, received
from channels.twilio.sending import identity, sending
from channels.twilio.setup import Setup, findings
from channels.twilio.signature import authentic
from channels.values import E164

if TYPE_CHECKING:
    from channels.twilio.client import Client, Listed

# --- facts

TWIML = ('<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml")
MISSES = timedelta(minutes=5)  # Twilio repeats a webhook within fifteen seconds or never
OVERLAP = timedelta(minutes=10)  # between two looks, for what Twilio lists late
FIRST = timedelta(days=1)
UNDER_WAY = timedelta(seconds=20)  # by then its webhook has brought a message, or Twilio has given up
MOST_LISTED = 20_000  # messages of one look: two days of a busy shop
SETTLED = timedelta(seconds=20)  # twice as long as we wait for an answer: what is not listed by then did not arrive
SKEW = timedelta(seconds=5)  # between Twilio's clock and ours
LOOKED_AT = 100  # messages to an address, among which one in doubt is looked for

SMS = Capabilities(
    max_text=MOST,  # ten parts, which is less than the 1,600 characters Twilio takes: more would not be put together
    measure=weight,
    unit="GSM-7 characters",
    media={"*/*": 20 << 20},  # as a link
    receipts=frozenset({"delivered"}),
    rate=Rate(count=1),  # the slowest sender there is, a long code in America: what is sent faster waits at Twilio
    links=True,
    answer=TWIML,
    misses=MISSES,
)
WHATSAPP_BY_TWILIO = Capabilities(
    max_text=1600,  # /docs/api/errors/21617
    measure=units,
    unit="UTF-16 units",
    media={  # /docs/whatsapp/guidance-whatsapp-media-messages
        "image/jpeg": 5 << 20,
        "image/png": 5 << 20,
        "audio/*": 16 << 20,
        "video/mp4": 16 << 20,
        "video/3gpp": 16 << 20,
        "text/vcard": 16 << 20,
        "text/x-vcard": 16 << 20,
        "application/pdf": 16 << 20,
        "application/msword": 16 << 20,
        "application/vnd.openxmlformats-officedocument.*": 16 << 20,
    },
    reply_window=timedelta(hours=24),  # /docs/api/errors/63016; people have no longer than programs
    templates=True,
    receipts=frozenset({"delivered", "read"}),
    rate=Rate(count=10),  # what every WhatsApp sender may, though most may 80
    address_rate=Rate(count=1),  # parts of an answer sent at once may arrive in another order
    links=True,
    answer=TWIML,
    misses=MISSES,
)

# --- config


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioConfig:
    """One number of ours, or one messaging service. `webhook_url` is where receipts come; without it there are none.

    Calls are made with the API key, where there is one. What Twilio brings is proved by the auth token all the same.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    api_key: str = ""  # SK…
    api_secret: str = field(default="", repr=False)
    previous_auth_token: str = field(default="", repr=False)  # believed as well, while a new one takes its place
    shared_keys: tuple[str, ...] = field(default=(), repr=False)  # of webhooks signed with SHA-256
    sender: str | None = None
    messaging_service_sid: str | None = None
    per_second: float | None = None  # messages a sender may send, where that is not what its kind may
    api_url: str = "https://api.twilio.com"
    webhook_url: str = ""
    send_seconds: float = 10  # an answer later than this leaves the outcome in doubt


# --- channel


class Sms:
    kind = "sms"
    limits = SMS
    whatsapp = False

    def __init__(
        self, name: str, config: TwilioConfig, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.name = name
        self.config = config
        self.capabilities = (
            replace(self.limits, rate=Rate(count=config.per_second)) if config.per_second else self.limits
        )
        self._now = now
        self._starting = asyncio.Lock()
        self._client: Client | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.config!r})"

    def verify(self, request: Request) -> None:
        try:
            if authentic(request, self.config):
                return
        except Exception:  # noqa: BLE001, S110 - whatever a verifier stumbles over, the request is refused
            pass
        raise Unverified

    def parse(self, request: Request, at: datetime) -> Sequence[Event | Letter]:
        return read(self._reading(at, request.body), request.query)

    async def send(self, message: Outgoing) -> str:
        call = sending(message, self.config, whatsapp=self.whatsapp)
        return await (await self._connected()).create(call)

    async def find(self, message: Outgoing) -> str | None:
        """Look for it among what was sent to that address since `message.at`, when its sending began.

        Only what has its words or is a file as it was is it, and only once; anything else we have sent there since may
        be it. Where nothing was, `Retry` until Twilio has surely done with it.
        """
        if message.at is None:
            raise InDoubt
        call = sending(message, self.config, whatsapp=self.whatsapp)
        found = await (await self._connected()).sent_to(call["to"], LOOKED_AT)
        began = message.at.replace(microsecond=0) - SKEW
        since = [one for one in found if one.direction.startswith("outbound") and (one.at is None or one.at >= began)]
        same = [one for one in since if alike(one, call.get("body", ""), template="content_sid" in call)]
        if len(same) == 1 and same[0].sid:
            return same[0].sid
        whole = len(found) < LOOKED_AT or any(one.at is not None and one.at < began for one in found)
        if since or not whole:
            raise InDoubt
        if self._now() < message.at + SETTLED:
            raise Retry("Twilio may still be at it.")
        return None

    async def missed(self, after: str) -> Pulled:
        """The cursor is the time up to which everything was listed. Files are listed message by message.

        What a button or a place was is not listed: such a message comes with its words alone, or as a stub. One that
        its webhook may still bring is therefore left to it, and to the next look.
        """
        client, now = await self._connected(), self._now()
        since = min(datetime.fromisoformat(after), now) - OVERLAP if after else now - FIRST
        ours = identity(self.config.sender, whatsapp=self.whatsapp) if self.config.sender else None
        listed = await client.since(since, MOST_LISTED, ours)
        listed.reverse()  # their times are whole seconds: within one their order counts
        events: list[Event] = []
        for one in sorted(listed, key=lambda one: one.at or now):
            service = self.config.messaging_service_sid
            if one.direction != "inbound" or not one.sid or (service and one.service != service):
                continue
            if self.whatsapp and one.at is not None and one.at > now - UNDER_WAY:
                continue
            form = {"From": one.sender, "To": one.recipient, "Body": one.body, "NumMedia": str(one.files)}
            form |= await client.files(one.sid) if one.files else {}
            reading = self._reading(now, json.dumps(one.told()).encode())
            events.extend(received(reading, one.sid, form | {"MessagingServiceSid": one.service}, one.at))
        found = still([event for event in events if not isinstance(event, Unreadable)])
        if len(listed) >= MOST_LISTED:
            reason = f"Twilio listed {MOST_LISTED:,} messages and has more: the older ones stand there only"
            found = (Unreadable(channel=self.name, reason=reason, raw=b"{}"), *found)
        return Pulled(cursor=now.isoformat(), events=found)

    async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        async for chunk in (await self._connected()).fetch(attachment.ref):
            yield chunk

    async def register(self, url: str) -> None:
        await (await self._setup()).register(url)

    async def check(self, url: str) -> Sequence[Finding]:
        return await findings(await self._setup(), self.name, url)

    async def link(self) -> str:
        number = digits(self.config.sender or "")
        if not E164.fullmatch(number):
            return ""
        return f"https://wa.me/{number}" if self.whatsapp else f"sms:+{number}"

    async def prepare(self) -> None:
        await self._connected()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> Client:
        async with self._starting:
            if self._client is None:
                self._client = await asyncio.to_thread(connect, self.config)
        return self._client

    async def _setup(self) -> Setup:
        config = self.config
        return Setup(
            await self._connected(),
            sender=config.sender or "",
            service=config.messaging_service_sid or "",
            whatsapp=self.whatsapp,
            believed=(config.auth_token, config.previous_auth_token),
            half_a_key=bool(config.api_key) != bool(config.api_secret),
        )

    def _reading(self, at: datetime, body: bytes) -> Reading:
        return Reading(
            channel=self.name,
            whatsapp=self.whatsapp,
            sender=digits(self.config.sender or ""),
            service=self.config.messaging_service_sid or "",
            at=at,
            body=body,
        )


class WhatsAppByTwilio(Sms):
    """The same wire under other limits, and with what only WhatsApp has."""

    kind = "whatsapp-twilio"
    limits = WHATSAPP_BY_TWILIO
    whatsapp = True

    async def typing(self, message: Outgoing) -> None:
        """Show it for 25 seconds, or until an answer comes, and mark what the customer wrote last as read."""
        answered = str(message.context.get("message") or "")
        if answered:
            await (await self._connected()).typing(answered)

    async def approved(self) -> Sequence[tuple[str, str, str]]:
        """The templates there are: content SID, language, and how far WhatsApp is with them ("approved")."""
        return await (await self._setup()).approved()


# --- small functions


def connect(config: TwilioConfig) -> Client:
    """Load Twilio's SDK."""
    from channels.twilio.client import Client

    key = (config.api_key, config.api_secret) if config.api_key and config.api_secret else None
    return Client(config.account_sid, config.auth_token, config.api_url, seconds=config.send_seconds, key=key)


def alike(one: Listed, words: str, *, template: bool) -> bool:
    """Whether a message Twilio lists has the words of one that was to be sent, or is a file as that was.

    Words and file never share a message here. What a template became is not known, so nothing is like one.
    """
    return not template and one.body.strip() == words.strip() and bool(one.files) == (not words)


def still(events: Sequence[Event]) -> tuple[Event, ...]:
    """What still holds of events that may be known already: a STOP that was followed by words or a START does not."""
    found: list[Event] = []
    back: set[Address] = set()
    spoke: set[Address] = set()
    for event in reversed(events):
        match event:
            case OptedOut(sender=sender, lasting=lasting):
                if sender in back or (not lasting and sender in spoke):
                    continue
                back.add(sender)
            case OptedIn(sender=sender):
                if sender in back:
                    continue
                back.add(sender)
            case Received(sender=sender):
                found.append(event)
                spoke.add(sender)
                continue
        found.append(event)
    return tuple(reversed(found))
