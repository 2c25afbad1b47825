"""What the emulated world consists of: bots, people, files, messages, webhooks, and the limits on them.

Rule: numbers are Telegram's own; those a test may bend are in `Settings`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sandbox.journal import Json

UPDATE_KINDS = frozenset(
    {
        "message",
        "edited_message",
        "channel_post",
        "edited_channel_post",
        "business_connection",
        "business_message",
        "edited_business_message",
        "deleted_business_messages",
        "message_reaction",
        "message_reaction_count",
        "inline_query",
        "chosen_inline_result",
        "callback_query",
        "shipping_query",
        "pre_checkout_query",
        "purchased_paid_media",
        "poll",
        "poll_answer",
        "my_chat_member",
        "chat_member",
        "chat_join_request",
        "chat_boost",
        "removed_chat_boost",
    }
)
ALLOWED_BY_DEFAULT = UPDATE_KINDS - {"chat_member", "message_reaction", "message_reaction_count"}


class ApiError(Exception):
    """A refusal as Telegram answers it."""

    def __init__(self, code: int, description: str, *, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after

    def plain(self) -> Json:
        answer: Json = {"ok": False, "error_code": self.code, "description": self.description}
        if self.retry_after is not None:
            answer["parameters"] = {"retry_after": self.retry_after}
        return answer


def bad_request(words: str) -> ApiError:
    return ApiError(400, f"Bad Request: {words}")


def too_many(seconds: int) -> ApiError:
    return ApiError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a test may bend. Rates are per second; None lifts the limit."""

    retry_scale: float = 1.0  # on the waits between webhook attempts, Retry-After included
    webhook_timeout: float = 60.0  # seconds without an answer
    per_chat: float | None = 1.0
    per_chat_burst: int = 5  # Telegram's limits are elastic: a few quick messages pass
    overall: float | None = 30.0
    overall_burst: int = 30
    set_webhook_seconds: float = 1.0  # between two setWebhook calls that change something
    clock_offset: float = 0.0  # seconds the world's clock is ahead
    start_message: bool = False  # the first contact sends a visible "/start" of its own

    def changed(self, changes: Json) -> Settings:
        """Apply changes sent over HTTP. Raises ValueError naming an unknown setting."""
        unknown = sorted(set(changes) - {setting.name for setting in fields(self)})
        if unknown:
            raise ValueError(f"no such setting: {', '.join(unknown)}")
        return replace(self, **changes)


@dataclass(slots=True, kw_only=True)
class Bucket:
    """A token bucket. `wait` says how long until `count` fit; `take` takes them."""

    rate: float
    burst: int
    filled: float
    at: float

    def wait(self, count: int, now: float) -> float:
        self.filled = min(float(self.burst), self.filled + (now - self.at) * self.rate)
        self.at = now
        # A large album must not wait for more than the bucket can ever hold.
        return max(0.0, (min(count, self.burst) - self.filled) / self.rate)

    def take(self, count: int) -> None:
        self.filled -= count


@dataclass(slots=True)
class Limits:
    """How much one bot may send, over all and into each chat."""

    chats: dict[int, Bucket] = field(default_factory=dict)
    overall: Bucket | None = None

    def spend(self, settings: Settings, chat: int, count: int, now: float) -> None:
        """Take room for `count` messages. Raises 429 and then takes nothing."""
        buckets: list[Bucket] = []
        if settings.per_chat is not None:
            known = self.chats.get(chat)
            if known is None or (known.rate, known.burst) != (settings.per_chat, settings.per_chat_burst):
                burst = settings.per_chat_burst
                known = self.chats[chat] = Bucket(rate=settings.per_chat, burst=burst, filled=burst, at=now)
            buckets.append(known)
        if settings.overall is not None:
            whole = self.overall
            if whole is None or (whole.rate, whole.burst) != (settings.overall, settings.overall_burst):
                burst = settings.overall_burst
                whole = self.overall = Bucket(rate=settings.overall, burst=burst, filled=burst, at=now)
            buckets.append(whole)
        wait = max((bucket.wait(count, now) for bucket in buckets), default=0.0)
        if wait > 0:
            raise too_many(max(1, math.ceil(wait)))
        for bucket in buckets:
            bucket.take(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    url: str = ""
    secret_token: str = field(default="", repr=False)
    max_connections: int = 40
    allowed_updates: tuple[str, ...] = ()  # empty: the default


@dataclass(slots=True, kw_only=True)
class Bot:
    token: str = field(repr=False)
    username: str
    name: str
    webhook: Webhook = field(default_factory=Webhook)
    commands: list[Json] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
    webhook_set_at: float = -math.inf  # monotonic

    @property
    def id(self) -> int:
        return int(self.token.partition(":")[0])

    def plain(self) -> Json:
        return {"id": self.id, "is_bot": True, "first_name": self.name, "username": self.username}


@dataclass(slots=True, kw_only=True)
class User:
    """A person. `started` and `blocked` hold the ids of bots; `typing` says until when each bot seems to type."""

    id: int
    first_name: str
    last_name: str = ""
    username: str = ""
    language_code: str = ""
    phone: str = ""
    avatar: str = ""
    deactivated: bool = False
    started: set[int] = field(default_factory=set)
    blocked: set[int] = field(default_factory=set)
    typing: dict[int, datetime] = field(default_factory=dict)

    def _named(self) -> Json:
        names = {"first_name": self.first_name, "last_name": self.last_name, "username": self.username}
        return {name: value for name, value in names.items() if value or name == "first_name"}

    def plain(self) -> Json:
        """As `from` in a message."""
        language = {"language_code": self.language_code} if self.language_code else {}
        return {"id": self.id, "is_bot": False, **self._named(), **language}

    def chat(self) -> Json:
        """As `chat` in a message: a private chat has its person's id."""
        return {"id": self.id, **self._named(), "type": "private"}


@dataclass(slots=True, kw_only=True)
class File:
    """A file as one bot sees it. `size` may claim more than `data` holds, to try limits without the bytes."""

    bot: int
    file_id: str
    unique_id: str
    name: str
    media_type: str
    size: int
    data: bytes = field(repr=False)
    width: int = 0
    height: int = 0
    number: int = 0
    path: str = ""
    path_until: datetime | None = None

    def reference(self) -> Json:
        return {"file_id": self.file_id, "file_unique_id": self.unique_id, "file_size": self.size}


@dataclass(slots=True, kw_only=True)
class Entry:
    """A message in a chat, as both sides see it. `wire` is Telegram's Message object."""

    bot: int
    author: str  # customer or bot
    kind: str
    wire: Json
    file: File | None = None
    markup: Json | None = None  # a reply keyboard, which Telegram does not echo
    edited: bool = False
    deleted: bool = False

    @property
    def message_id(self) -> int:
        return int(self.wire["message_id"])

    def plain(self, base: str) -> Json:
        """As the control side shows it. `base` is the URL prefix of the emulator."""
        wire, file = self.wire, self.file
        shown: Json = {
            "message_id": self.message_id,
            "bot": self.bot,
            "from": self.author,
            "kind": self.kind,
            "text": wire.get("text", ""),
            "entities": wire.get("entities") or wire.get("caption_entities") or [],
            "caption": wire.get("caption", ""),
            "album": wire.get("media_group_id", ""),
            "reply_to": wire.get("reply_to_message", {}).get("message_id"),
            "markup": self.markup or wire.get("reply_markup"),
            "edited": self.edited,
            "deleted": self.deleted,
            "at": wire["date"],
            "file": None,
        }
        if file is not None:
            url = f"{base}/control/files/{file.unique_id}"
            shown["file"] = {"name": file.name, "media_type": file.media_type, "size": file.size, "url": url}
        return shown


@dataclass(slots=True, kw_only=True)
class Chat:
    """One person's private chat with one bot. Message ids count from 1 in every chat: alike ids are no sameness."""

    next_id: int = 1
    entries: dict[int, Entry] = field(default_factory=dict)

    def add(self, entry: Entry, keep: int = 2000) -> None:
        self.entries[entry.message_id] = entry
        while len(self.entries) > keep:
            self.entries.pop(next(iter(self.entries)))

    def find(self, message_id: int) -> Entry | None:
        entry = self.entries.get(message_id)
        return None if entry is None or entry.deleted else entry


@dataclass(slots=True, kw_only=True)
class Question:
    """A pressed button that waits for answerCallbackQuery."""

    bot: int
    until: datetime
    answered: dict[str, Any] | None = None


CALLBACK_LIFE = timedelta(seconds=150)
UPDATE_LIFE = timedelta(hours=24)
DELETABLE = timedelta(hours=48)
FILE_PATH_LIFE = timedelta(hours=1)
TYPING_LIFE = timedelta(seconds=5)
