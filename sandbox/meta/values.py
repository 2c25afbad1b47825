"""The things of Meta's world: its errors, lines, tokens, people, messages, files, and what a test may bend.

Rule: a *line* is what a person writes to: a WhatsApp number, a Page or an Instagram account.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

Json = dict[str, Any]

HOUR = 3600.0
DAY = 24 * HOUR
WINDOW = DAY  # all three: free answers for 24 h after a person's last message
HUMAN_AGENT_WINDOW = 7 * DAY  # Messenger and Instagram, a person's answers only

PAGE_INBOX = "263902037430900"  # the app id of Meta's own Page inbox
RANK = ("accepted", "queued", "sent", "delivered", "read")


class Kind(StrEnum):
    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    INSTAGRAM = "instagram"


OBJECTS = {Kind.WHATSAPP: "whatsapp_business_account", Kind.MESSENGER: "page", Kind.INSTAGRAM: "instagram"}


class ApiError(Exception):
    """A refusal, as Graph answers it. The HTTP status is 400 for nearly everything, which is Meta's habit."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        subcode: int = 0,
        status: int = 400,
        type: str = "OAuthException",
        details: str = "",
        title: str = "",
        transient: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.subcode = subcode
        self.status = status
        self.type = type
        self.details = details
        self.title = title
        self.transient = transient

    def plain(self, *, flat: bool = False) -> Json:
        """The body of the answer. `flat` puts `error_data` into words, as some of Meta's services do."""
        error: Json = {"message": self.message, "type": self.type, "code": self.code}
        if self.subcode:
            error["error_subcode"] = self.subcode
        if self.transient:
            error["is_transient"] = True
        if self.title:
            error |= {"error_user_title": self.title, "error_user_msg": self.details}
        if self.details:
            error["error_data"] = self.details if flat else {"messaging_product": "whatsapp", "details": self.details}
        error["fbtrace_id"] = "A" + hashlib.sha256(f"{self.code}{self.message}".encode()).hexdigest()[:22]
        return {"error": error}


def invalid(words: str, *, subcode: int = 0) -> ApiError:
    """The refusal of a parameter."""
    return ApiError(100, f"(#100) {words}", subcode=subcode)


def not_there(verb: str, id: str) -> ApiError:
    """What Graph says of an object that does not exist or that a token does not reach: it does not tell which."""
    words = (
        f"Unsupported {verb.lower()} request. Object with ID '{id}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation."
    )
    return ApiError(100, words, subcode=33, type="GraphMethodException")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a test may bend. Rates are per second; None lifts the limit."""

    clock_offset: float = 0.0  # seconds the world's clock is ahead
    retry_scale: float = 1.0  # on the waits between attempts to deliver a webhook
    webhook_timeout: float = 20.0  # seconds, Messenger's limit
    unsubscribe_after: float = 36 * HOUR  # of failing webhooks; Meta names no number
    order: str = ""  # "shuffled": events that wait together go out in any order
    duplicates: float = 0.0  # share of the events delivered twice
    batch: bool = False  # events that wait together go out in one POST
    crowded: bool = False  # and what a WhatsApp number is told in one goes out in one value
    callback_first: bool = False  # statuses and echoes are delivered before the call that caused them is answered
    auto_read: bool = False  # phones mark messages read at once
    require_proof: bool = False  # "Require app secret" is switched on
    flat_error_data: bool = False
    usage: int = 0  # percent shown in the usage headers; 0 leaves them out
    regain_minutes: int = 0  # estimated_time_to_regain_access
    timestamps: str = "usual"  # "other": seconds where milliseconds are usual, and the reverse
    human_agent: bool = True  # the Human Agent feature has been approved
    allowed_numbers: tuple[str, ...] | None = None  # a number in development: whom it may write to
    pair_burst: int | None = 45
    pair_seconds: float = 6.0  # one message to one person
    throughput: int | None = 80  # WhatsApp, per number
    page_rate: int | None = 300  # Messenger and Instagram, text
    media_rate: int | None = 10  # Messenger and Instagram, audio and video
    conversations_rate: int | None = 2
    media_url_seconds: float = 300.0
    media_url_status: int = 404  # after that; 401 has been seen too
    media_url_in_webhook: bool = False
    sha256: str = "base64"  # or "hex", as in older webhooks
    check_content: bool = True  # a picture must begin like one
    hidden_from: str = "absent"  # "bsuid": `from` holds the BSUID of a person who withholds the phone
    num_edit_text: bool = False  # `num_edit` as a string

    def changed(self, changes: Json) -> Settings:
        """Apply changes sent over HTTP. Raises ValueError naming an unknown setting."""
        unknown = sorted(set(changes) - {setting.name for setting in fields(self)})
        if unknown:
            raise ValueError(f"no such setting: {', '.join(unknown)}")
        for name, allowed in CHOICES.items():
            if name in changes and changes[name] not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(repr(one) for one in allowed)}")
        return replace(self, **changes)


CHOICES = {
    "order": ("", "shuffled"),
    "timestamps": ("usual", "other"),
    "sha256": ("base64", "hex"),
    "hidden_from": ("absent", "bsuid"),
    "media_url_status": (401, 404),
}


@dataclass(slots=True, kw_only=True)
class Token:
    """An access token. `reach` holds the ids it may touch; `expires_at` is 0 for one that lives on."""

    value: str = field(repr=False)
    kind: str  # SYSTEM_USER, PAGE or INSTAGRAM
    owner: str  # whom `/me` is
    issued_at: float
    reach: set[str] = field(default_factory=set)
    scopes: tuple[str, ...] = ()
    expires_at: float = 0.0
    subcode: int = 0  # why it is refused; 0 while it is not


@dataclass(slots=True, kw_only=True)
class Line:
    id: str
    kind: Kind
    name: str
    token: str = field(repr=False)
    waba: str = ""
    display: str = ""  # a WhatsApp number as Meta prints it
    page: str = ""  # the Page an Instagram account is linked to
    login: str = "facebook"  # or "instagram": which flavour of Instagram API
    username: str = ""
    quality: str = "GREEN"
    verification: str = "VERIFIED"
    coexistence: bool = False  # the number also runs in the phone app
    callback: str = ""  # where a WhatsApp number's events go instead of where its account's or the app's go
    standby: bool = False  # another app owns the threads
    taken: set[str] = field(default_factory=set)  # people whose thread was taken over all the same
    failures: list[int] = field(default_factory=list)  # codes the next messages fail with after they were accepted

    @property
    def account(self) -> str:
        """The id webhooks are filed under, and `subscribed_apps` is asked of."""
        return self.waba or self.id

    @property
    def digits(self) -> str:
        return "".join(letter for letter in self.display if letter.isdigit())


@dataclass(slots=True, kw_only=True)
class Person:
    """A person. Sets and dicts are keyed by line; `scoped` holds the PSID or IGSID each line knows them by."""

    key: str
    name: str
    phone: str = ""  # wa_id: digits
    username: str = ""
    bsuid: str = ""
    hidden: bool = False  # withholds the phone number
    on_whatsapp: bool = True
    reachable: bool = True  # the phone is on
    profile: bool = True  # there is one to be read
    no_marketing: bool = False
    avatar: str = ""
    blocked: set[str] = field(default_factory=set)
    scoped: dict[str, str] = field(default_factory=dict)
    typing: dict[str, float] = field(default_factory=dict)  # until when a line seems to type


@dataclass(slots=True, kw_only=True)
class File:
    """A file. `id` is a media id on WhatsApp, an attachment id elsewhere. Of a story, `data` may vanish."""

    id: str
    line: str
    media_type: str
    filename: str
    data: bytes = field(repr=False)
    at: float
    kept_until: float = math.inf
    urls: dict[str, float] = field(default_factory=dict)  # secret part of a URL: until when

    def plain(self, base: str) -> Json:
        url = f"{base}/control/files/{self.id}"
        return {"url": url, "media_type": self.media_type, "filename": self.filename, "size": len(self.data)}


@dataclass(slots=True, kw_only=True)
class Template:
    name: str
    language: str
    category: str = "UTILITY"
    status: str = "APPROVED"
    named: bool = False  # parameters have names instead of numbers
    components: list[Json] = field(default_factory=list)

    def plain(self, id: str) -> Json:
        return {
            "name": self.name,
            "parameter_format": "NAMED" if self.named else "POSITIONAL",
            "components": self.components,
            "language": self.language,
            "status": self.status,
            "category": self.category,
            "id": id,
        }

    def part(self, kind: str) -> Json:
        return next((one for one in self.components if one.get("type") == kind), {})


@dataclass(slots=True, kw_only=True)
class Entry:
    """A message in a chat, as both sides see it."""

    id: str
    line: str
    person: str
    author: str  # customer, shop, elsewhere or system
    at: float
    kind: str = "text"
    text: str = ""
    status: str = ""
    file: File | None = None
    choices: list[Json] = field(default_factory=list)  # label, payload, and the kind of what a press becomes
    reply_to: str = ""
    reactions: dict[str, str] = field(default_factory=dict)  # by author
    edits: int = 0
    withdrawn: bool = False
    template: str = ""
    code: str = ""
    tracker: str = ""  # biz_opaque_callback_data
    category: str = "service"

    def rise(self, status: str) -> bool:
        """Move the status up. False when it stands there already or higher, or has failed."""
        if self.status == "failed" or (self.status and RANK.index(self.status) >= RANK.index(status)):
            return False
        self.status = status
        return True

    def plain(self, base: str = "") -> Json:
        return {
            "id": self.id,
            "from": self.author,
            "text": self.text,
            "at": self.at,
            "status": self.status,
            "file": self.file.plain(base) if self.file else None,
            "choices": [{"label": one["label"], "payload": one["payload"]} for one in self.choices],
            "reply_to": self.reply_to,
            "reactions": list(self.reactions.values()),
            "edited": self.edits > 0,
            "withdrawn": self.withdrawn,
            "template": self.template,
            "code": self.code,
        }


@dataclass(slots=True, kw_only=True)
class Chat:
    """One person's thread with one line. `heard` is when the person last wrote, by the world's clock."""

    entries: dict[str, Entry] = field(default_factory=dict)
    heard: float = -math.inf
    sent: list[float] = field(default_factory=list)  # when the line wrote, as far as the pair limit remembers

    def by(self, *authors: str) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.author in authors]
