"""What the world of direct messages is made of: settings, refusals, accounts, tokens, messages, files, webhooks.

Rule: ids are strings of digits above 2^53 that rise with time, as X makes them; nobody may count on more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sandbox.journal import Json

PROBLEMS = "https://api.x.com/2/problems/"
NOT_ALLOWED = "You do not have permission to DM one or more participants."

MAX_TEXT = 10_000  # characters
KEPT_FOR = timedelta(days=30)  # GET /2/dm_events: docs.x.com/x-api/direct-messages/lookup
MEDIA_LIFE = timedelta(hours=24)  # an upload may be attached that long: docs.x.com/x-api/direct-messages/manage
TOKEN_LIFE = timedelta(hours=2)
REPLAYABLE = timedelta(hours=24)
STALE_AFTER = timedelta(hours=24)  # then the half-hourly check asks a webhook again
INVALID_AFTER = timedelta(hours=28)  # of failing checks: docs.x.com/x-api/webhooks/introduction
TYPING_LIFE = timedelta(seconds=5)

DM_SCOPES = frozenset({"dm.read", "dm.write", "tweet.read", "users.read", "media.write", "offline.access"})

# dollars: docs.x.com/x-api/getting-started/pricing
DM_READ, DM_CREATE, DM_RECEIVED, USER_READ = 0.010, 0.015, 0.010, 0.010

SIZES = {"dm_image": 5 << 20, "dm_gif": 15 << 20, "dm_video": 512 << 20}  # docs.x.com/x-api/media/quickstart
KINDS = {
    "image/jpeg": "photo",
    "image/png": "photo",
    "image/webp": "photo",
    "image/gif": "animated_gif",
    "video/mp4": "video",
    "video/quicktime": "video",
}
ENDINGS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
}
CATEGORIES = {"photo": "dm_image", "animated_gif": "dm_gif", "video": "dm_video"}
KEYS = {"photo": "3", "video": "13", "animated_gif": "16"}  # what a media key begins with


def words(text: str) -> frozenset[str]:
    """Take a list of words apart."""
    return frozenset(text.split())


class ApiError(Exception):
    """A refusal as X words it; `body` is the whole answer."""

    def __init__(self, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(body.get("detail") or body.get("error_description") or body))
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def problem(status: int, title: str, detail: str = "", kind: str = "", **more: Any) -> ApiError:
    """Make X's problem object. `kind` is the last part of its type; without one it is `about:blank`."""
    where = PROBLEMS + kind if kind else "about:blank"
    body: Json = {"title": title, "detail": detail or title, "type": where, "status": status, **more}
    return ApiError(status, body)


def invalid(message: str, **parameters: Any) -> ApiError:
    """Refuse a request with 400, naming the parameters that do not fit."""
    given = {name: [str(value)] for name, value in parameters.items()}
    body: Json = {
        "errors": [{"parameters": given, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": PROBLEMS + "invalid-request",
    }
    return ApiError(400, body)


def missing(kind: str, name: str, value: str) -> Json:
    """Describe what was not found, as it stands in `errors`."""
    return {
        "value": value,
        "detail": f"Could not find {kind} with {name}: [{value}].",
        "title": "Not Found Error",
        "resource_type": kind,
        "parameter": name,
        "resource_id": value,
        "type": PROBLEMS + "resource-not-found",
    }


def not_found(kind: str, name: str, value: str) -> ApiError:
    return ApiError(404, {**missing(kind, name, value), "status": 404})


def unauthorized() -> ApiError:
    return problem(401, "Unauthorized")


def forbidden(detail: str = "Forbidden") -> ApiError:
    return problem(403, "Forbidden", detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a test may bend. Seconds throughout."""

    seed: int | None = None  # makes chance (event ids, short links, order, copies) repeatable
    clock_offset: float = 0.0  # the world's clock is that far ahead
    retry_scale: float = 1.0  # on waits between attempts; X makes none, so this changes nothing here
    auto_read: bool = False  # people read at once
    order: str = "kept"  # or "shuffled": events wait at random, up to `shuffle_seconds`
    shuffle_seconds: float = 0.05
    duplicates: float = 0.0  # the share of events delivered twice
    echo_first: bool = False  # `dm.sent` is delivered before the call that caused it is answered
    envelope: str = "xaa"  # or "aaa": the Account Activity API's
    signatures: str = "consumer"  # which secret signs: "consumer", "client" (OAuth 2.0), or "both"
    subscription_answer: str = "openapi"  # data.subscription; the guides also show data as "object" and as "list"
    takes_revoke: bool = False  # oauth.revoke may be subscribed to; X's openapi.json does not list it
    rate_limits: bool = True
    window_seconds: float = 900.0
    credits: float | None = None  # dollars left; None: nothing is charged
    webhook_timeout: float = 10.0  # docs.x.com/x-api/webhooks/introduction
    local_urls: bool = False  # lets http and ports register, for a shop on this machine
    reach: Mapping[str, str] = field(default_factory=dict)  # origin registered -> origin really called
    max_webhooks: int = 1
    max_subscriptions: int = 1500
    subscriptions_page: int = 1000  # docs.x.com/x-api/activity/get-x-activity-subscriptions
    ton_url: str = "https://ton.twitter.com"  # where `media_url` points
    processing_checks: int = 1  # status calls a video takes until it is ready

    def changed(self, changes: Json) -> Settings:
        """Apply changes sent over HTTP. Raises ValueError naming an unknown setting or word."""
        unknown = sorted(set(changes) - {setting.name for setting in fields(self)})
        if unknown:
            raise ValueError(f"no such setting: {', '.join(unknown)}")
        choices = {
            "order": {"kept", "shuffled"},
            "envelope": {"xaa", "aaa"},
            "signatures": {"consumer", "client", "both"},
            "subscription_answer": {"openapi", "object", "list"},
        }
        for name, known in choices.items():
            if changes.get(name, next(iter(known))) not in known:
                raise ValueError(f"{name} must be one of {', '.join(sorted(known))}")
        return replace(self, **changes)


@dataclass(slots=True, kw_only=True)
class App:
    """The developer's app, which owns webhooks, subscriptions and tokens."""

    id: str = "29820001"
    name: str = "Shop support"
    consumer_key: str = "consumer-key"
    consumer_secret: str = field(default="consumer-secret", repr=False)
    client_id: str = "client-id"
    client_secret: str = field(default="client-secret", repr=False)
    bearer: str = field(default="app-bearer", repr=False)


@dataclass(slots=True, kw_only=True)
class Account:
    """A user of X: a customer, or a line, which is an account of the shop."""

    id: str
    name: str
    username: str
    picture: str = ""
    description: str = ""
    since: datetime
    line: bool = False
    open_dms: bool = True  # takes messages from those it never wrote to
    suspended: bool = False
    blocked: set[str] = field(default_factory=set)
    typing: dict[str, datetime] = field(default_factory=dict)  # line -> until


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """`kind` is oauth1, oauth2 or app; `secret` is OAuth 1.0a's. Without `until` it never expires."""

    kind: str
    user: str = ""
    secret: str = field(default="", repr=False)
    scopes: frozenset[str] = DM_SCOPES
    until: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Media:
    """An upload. `parts` are chunks not yet joined; `checks` status calls are left until it is ready."""

    id: str
    owner: str
    media_type: str
    category: str
    data: bytes = field(default=b"", repr=False)
    parts: dict[int, bytes] = field(default_factory=dict, repr=False)
    expected: int = 0
    filename: str = ""
    resource: str = ""
    until: datetime
    ready: bool = False
    checks: int = 0

    @property
    def kind(self) -> str:
        return KINDS[self.media_type]

    @property
    def key(self) -> str:
        return f"{KEYS[self.kind]}_{self.id}"


@dataclass(slots=True, kw_only=True)
class Dm:
    """One direct message. `origin` is phone or api; `app` is set where an app sent it."""

    id: str
    conversation: str
    sender: str
    recipient: str
    text: str
    at: datetime
    origin: str = "phone"
    app: str = ""
    media: Media | None = None
    quick_reply: str | None = None
    links: tuple[tuple[str, str], ...] = ()  # as written -> t.co
    media_link: str = ""
    encrypted: bool = False
    read: bool = False
    withdrawn: bool = False
    hidden_from: set[str] = field(default_factory=set)  # who deleted it from their own view


@dataclass(slots=True, kw_only=True)
class Webhook:
    id: str
    url: str
    created: datetime
    valid: bool = True
    validated: datetime

    def plain(self) -> Json:
        return {"id": self.id, "url": self.url, "valid": self.valid, "created_at": iso(self.created)}


@dataclass(slots=True, kw_only=True)
class Subscription:
    id: str
    event_type: str
    filter: Json
    webhook: str
    tag: str
    created: datetime
    updated: datetime

    def plain(self) -> Json:
        shown: Json = {
            "subscription_id": self.id,
            "event_type": self.event_type,
            "filter": self.filter,
            "created_at": iso(self.created),
            "updated_at": iso(self.updated),
        }
        return shown | ({"tag": self.tag} if self.tag else {}) | ({"webhook_id": self.webhook} if self.webhook else {})


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def conversation_of(one: str, other: str) -> str:
    """Name a 1:1 conversation: both ids, the smaller number first."""
    low, high = sorted((one, other), key=int)
    return f"{low}-{high}"
