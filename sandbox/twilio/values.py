"""What the emulated world consists of: accounts, lines, services, templates, people, messages and their files.

Rule: numbers are Twilio's own; those a test may bend are in `Settings`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from email.utils import format_datetime

from sandbox.journal import Json
from sandbox.twilio.segments import segments

WHATSAPP = "whatsapp:"
MAX_BODY = 1600  # UTF-16 units; error 21617
MAX_MEDIA = 10  # error 21623
MMS_BYTES = 5 << 20  # over all files of one message
WHATSAPP_BYTES = 16 << 20
WHATSAPP_PICTURE_BYTES = 5 << 20
WINDOW = timedelta(hours=24)  # for free-form WhatsApp messages, from the customer's last one
TYPING_LIFE = timedelta(seconds=25)
VALIDITY = range(1, 36_001)  # seconds

# Countries by the longest matching beginning of a number; enough for the shops this project thinks of.
COUNTRIES = {
    "+1": "US",
    "+1242": "BS",
    "+1809": "DO",
    "+1876": "JM",
    "+20": "EG",
    "+33": "FR",
    "+34": "ES",
    "+39": "IT",
    "+44": "GB",
    "+49": "DE",
    "+52": "MX",
    "+54": "AR",
    "+55": "BR",
    "+61": "AU",
    "+7": "RU",
    "+76": "KZ",
    "+77": "KZ",
    "+90": "TR",
    "+966": "SA",
    "+971": "AE",
    "+994": "AZ",
}
MMS_COUNTRIES = frozenset({"US", "CA", "AU"})


def country(address: str) -> str:
    """The ISO code for a phone number's country, or an empty string."""
    number = address.removeprefix(WHATSAPP)
    return next((COUNTRIES[number[:size]] for size in (5, 4, 3, 2) if number[:size] in COUNTRIES), "")


def rfc2822(at: datetime | None) -> str | None:
    return None if at is None else format_datetime(at)


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a test may bend. Times are in seconds."""

    seed: int | None = None  # of shuffling, duplicates and ids; None: different every time
    clock_offset: float = 0.0  # how far the world's clock is ahead
    retry_scale: float = 1.0  # on the times an URL fragment allows (ct, rt, tt)
    order: str = ""  # "shuffled": callbacks come in no order
    shuffle_seconds: float = 0.02  # how long callbacks gather before they are shuffled
    duplicates: float = 0.0  # share of callbacks that come twice
    callback_first: bool = False  # the statuses are posted before the create call answers
    carried_to: str = "delivered"  # how far messages go by themselves: queued, sent or delivered
    status_seconds: float = 0.0  # between two statuses of a message
    auto_read: bool = False  # people look at once
    json_webhooks: bool = False  # JSON with bodySHA256 instead of a form
    shared_key: str = field(default="", repr=False)  # signs with SHA-256 when given
    shared_key_id: str = "webhooks_sharedkey_0001"
    sign_without_port: bool = False
    advanced_opt_out: bool = False
    opt_out_async: bool = False  # 21610 comes as a failed status, not at once
    knows_landlines: bool = False  # 21614 at once instead of 30006 later
    regions: tuple[str, ...] | None = None  # countries that may be written to by SMS; None: all
    filtered_words: tuple[str, ...] = ()  # an SMS with one of them fails with 30007
    queue_limit: int | None = None  # messages waiting per sender; beyond it 21611
    concurrency: int | None = None  # API calls at a time; beyond it 20429
    media_absent: int = 0  # how often a file just received answers 404 first
    media_link_seconds: float = 14_400.0  # life of the link a media resource redirects to
    api_base: str = "https://api.twilio.com"  # what media URLs in webhooks begin with
    cdn_base: str = ""  # where media is redirected to; empty: this server by its other name

    def changed(self, changes: Json) -> Settings:
        """Apply changes sent over HTTP. Raises ValueError naming an unknown setting."""
        unknown = sorted(set(changes) - {setting.name for setting in fields(self)})
        if unknown:
            raise ValueError(f"no such setting: {', '.join(unknown)}")
        if changes.get("order", "") not in ("", "shuffled"):
            raise ValueError("order must be empty or shuffled")
        if changes.get("carried_to", "delivered") not in ("queued", "sent", "delivered"):
            raise ValueError("carried_to must be queued, sent or delivered")
        lists = {name: tuple(value) for name, value in changes.items() if isinstance(value, list)}
        return replace(self, **{**changes, **lists})


@dataclass(slots=True, kw_only=True)
class ApiKey:
    """A main key may do everything; a standard one neither reads accounts nor makes keys."""

    secret: str = field(repr=False)
    main: bool = False


@dataclass(slots=True, kw_only=True)
class Account:
    """Only `auth_token` signs; `secondary_token` opens the API and signs after `World.promote`."""

    sid: str
    auth_token: str = field(repr=False)
    name: str = ""
    parent: str = ""
    status: str = "active"  # suspended, closed
    secondary_token: str = field(default="", repr=False)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    created: datetime


@dataclass(slots=True, kw_only=True)
class Line:
    """An address to write from: a number, a short code, a name (alphanumeric) or a WhatsApp sender."""

    address: str
    sid: str  # PN… or XE…
    account: str
    name: str = ""
    service: str = ""
    mms: bool = False
    countries: tuple[str, ...] | None = None  # where a name is registered; None: everywhere but the US
    status: str = "ONLINE"  # of a WhatsApp sender
    url: str = ""
    method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"
    status_url: str = ""  # of messages on WhatsApp, of calls on a number
    status_method: str = "POST"
    created: datetime

    @property
    def kind(self) -> str:
        if self.address.startswith(WHATSAPP):
            return "whatsapp"
        return "sms" if self.address.lstrip("+").isdigit() else "alphanumeric"


@dataclass(slots=True, kw_only=True)
class Service:
    """A messaging service: several lines behind one name. `on_number` leaves incoming messages to each number."""

    sid: str
    account: str
    name: str
    inbound_url: str = ""
    inbound_method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"
    status_url: str = ""
    on_number: bool = False
    created: datetime


@dataclass(slots=True, kw_only=True)
class Template:
    """Content of the Content API. `status` is WhatsApp's approval; `variables` holds samples."""

    sid: str
    account: str
    name: str
    language: str
    types: Json
    variables: dict[str, str] = field(default_factory=dict)
    status: str = "unsubmitted"  # received, pending, approved, rejected, paused, disabled
    category: str = ""  # UTILITY, MARKETING, AUTHENTICATION
    created: datetime


@dataclass(slots=True, kw_only=True)
class Person:
    """A person and their phone. `wa_phone` is how WhatsApp spells the number when it differs (MX, BR, AR)."""

    key: str
    name: str
    phone: str = ""
    wa_phone: str = ""
    bsuid: str = ""  # CC.xxxx
    username: str = ""
    hides_phone: bool = False
    on_whatsapp: bool = True
    landline: bool = False
    reachable: bool = True
    receipts: bool = True  # the carrier reports deliveries
    read_receipts: bool = True
    blocked: set[str] = field(default_factory=set)  # WhatsApp lines

    def address(self, line: Line) -> str:
        """What Twilio writes as `From` when this person writes to a line."""
        if line.kind != "whatsapp":
            return self.phone
        shown = self.bsuid if self.bsuid and (self.hides_phone or not self.phone) else self.wa_phone or self.phone
        return f"{WHATSAPP}{shown}"

    def answers_to(self, address: str) -> bool:
        bare = address.removeprefix(WHATSAPP)
        return bare != "" and bare in (self.phone, self.wa_phone, self.bsuid)

    def plain(self) -> Json:
        names = ("key", "name", "phone", "wa_phone", "bsuid", "username", "hides_phone", "on_whatsapp", "landline")
        shown: Json = {name: getattr(self, name) for name in (*names, "reachable", "receipts", "read_receipts")}
        return shown | {"blocked": sorted(self.blocked)}


@dataclass(slots=True, kw_only=True)
class Media:
    sid: str
    message: str
    account: str
    name: str
    media_type: str
    data: bytes = field(repr=False)
    created: datetime
    absent: int = 0  # how many more times it answers 404

    def plain(self, base: str) -> Json:
        """As the control side shows it. `base` is the URL prefix of the emulator."""
        url = f"{base}/control/files/{self.sid}"
        return {"url": url, "media_type": self.media_type, "filename": self.name, "size": len(self.data)}


@dataclass(slots=True, kw_only=True)
class Message:
    """A message as both sides see it. `choices` are the buttons and list rows a phone shows."""

    sid: str
    account: str
    line: str
    person: str  # key, or the address where nobody is
    author: str  # customer, shop, elsewhere, system
    direction: str  # inbound, outbound-api, outbound-reply
    from_: str
    to: str
    body: str = ""
    status: str = "queued"
    code: int | None = None
    words: str = ""
    service: str = ""
    status_url: str = ""
    status_method: str = "POST"
    media_urls: tuple[str, ...] = ()
    media: list[Media] = field(default_factory=list)
    template: Template | None = None
    unfilled: bool = False  # a variable of the template was not given
    in_window: bool = False  # of WhatsApp, when the message was taken in
    choices: tuple[Json, ...] = ()
    listed: bool = False  # the choices are rows of a list
    reply_to: str = ""
    withdrawn: bool = False
    facts: dict[str, str] = field(default_factory=dict)  # further parameters of the webhook
    shown: str | None = None  # text for the chat where it is not the body
    created: datetime
    updated: datetime
    sent: datetime | None = None

    @property
    def whatsapp(self) -> bool:
        return self.line.startswith(WHATSAPP)

    @property
    def chat(self) -> str:
        return f"{self.line}|{self.person}"

    @property
    def segments(self) -> int:
        """As the API says it: none before a service has chosen a sender."""
        return 0 if self.service and self.status == "accepted" else segments(self.body)

    def entries(self, base: str) -> list[Json]:
        """As a phone shows it: every file beyond the first is an entry of its own."""
        outgoing = self.direction != "inbound"
        first: Json = {
            "id": self.sid,
            "from": self.author,
            "text": self.body if self.shown is None else self.shown,
            "at": self.created.timestamp(),
            "status": SHOWN.get(self.status, self.status) if outgoing else "",
            "file": self.media[0].plain(base) if self.media else None,
            "choices": [{"label": choice["label"], "payload": choice["payload"]} for choice in self.choices],
            "reply_to": self.reply_to,
            "reactions": [],
            "edited": False,
            "withdrawn": self.withdrawn,
            "template": self.template.name if self.template else "",
            "code": "" if self.code is None else str(self.code),
        }
        more = [
            {**first, "id": f"{self.sid}/{place}", "text": "", "choices": [], "file": media.plain(base)}
            for place, media in enumerate(self.media[1:], 1)
        ]
        return [first, *more]


SHOWN = {"sending": "queued", "undelivered": "failed", "canceled": "failed"}
