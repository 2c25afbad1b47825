"""One call of the Web API: its arguments as the methods read them, and the register of methods.

Rule: a method is a function from a Call to what is answered beside `ok`; it refuses by raising `Refusal`.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sandbox.slack.ledger import Place
from sandbox.slack.refusal import Refusal, invalid_arguments
from sandbox.slack.workspace import Channel, Message
from sandbox.slack.world import World

Json = dict[str, Any]

# The kinds of token a method may take.
BOT, APP, ANY = "xoxb", "xapp", ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    world: World
    method: str
    arguments: Json

    def text(self, name: str, default: str = "") -> str:
        value = self.arguments.get(name)
        return default if value is None else value if isinstance(value, str) else str(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.text(name).lower()
        return default if not value else value in {"1", "true"}

    def number(self, name: str, default: int, *, at_most: int) -> int:
        value = self.text(name) or str(default)
        if not value.isdecimal() or int(value) < 1:
            raise Refusal("invalid_limit" if name == "limit" else "invalid_arguments")
        return min(int(value), at_most)

    def json(self, name: str) -> Any:
        """A structured argument: JSON text in a form, itself in a JSON body. None when absent or empty."""
        value = self.arguments.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            raise Refusal({"blocks": "invalid_blocks_format"}.get(name, "invalid_arguments")) from None

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise invalid_arguments(f"missing required field: {name}")
        return value

    def needs(self, *scopes: str) -> None:
        """Raises `missing_scope` unless the app has one of them."""
        provided = self.world.app.scopes
        if not set(scopes) & set(provided):
            raise Refusal("missing_scope", needed=",".join(scopes), provided=",".join(provided))

    def channel(self, name: str = "channel") -> Channel:
        """The Slack channel of an argument, if the bot can see it: by id, or by name with or without #."""
        wanted = self.text(name).removeprefix("#")
        for channel in self.world.channels.values():
            if wanted and wanted in {channel.id, channel.name} and self.sees(channel):
                return channel
        raise Refusal("channel_not_found")

    def sees(self, channel: Channel) -> bool:
        return self.world.app.bot_user in channel.members or not (channel.is_private or channel.is_im)

    def open_channel(self, name: str = "channel") -> Channel:
        """A Slack channel the bot can write to. A person's id stands for their direct messages."""
        person = self.text(name)
        if person in self.world.users:
            return self.world.im(person)
        channel = self.channel(name)
        if channel.is_archived:
            raise Refusal("is_archived")
        if self.world.app.bot_user not in channel.members and "chat:write.public" not in self.world.app.scopes:
            raise Refusal("not_in_channel")
        if channel.is_read_only:
            raise Refusal("restricted_action")
        return channel

    def place(self, ts: str, *, channel: Channel | None = None, missing: str = "message_not_found") -> Place:
        found = channel or self.channel()
        message = found.messages.get(ts)
        if message is None:
            raise Refusal(missing)
        return Place(channel=found, message=message)

    def root(self, channel: Channel, ts: str) -> Message:
        """The root of the thread a post goes to; the ts of a reply leads to its root."""
        message = self.place(ts, channel=channel, missing="thread_not_found").message
        if message.is_reply:
            message = self.place(message.thread_ts, channel=channel, missing="thread_not_found").message
        if message.locked:
            raise Refusal("restricted_action_thread_locked")
        return message

    def count_post(self, channel: Channel) -> None:
        self.world.pace.post(channel.id, self.world.settings, time.monotonic())


Answered = Awaitable[Json]
Work = Callable[[Call], Answered]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """`scopes`: one of them is needed; none when the method looks for itself. `token`: the kind it takes."""

    work: Work
    scopes: tuple[str, ...]
    token: str


METHODS: dict[str, Method] = {}


def method(name: str, *scopes: str, token: str = BOT) -> Callable[[Work], Work]:
    def register(work: Work) -> Work:
        METHODS[name] = Method(work=work, scopes=scopes, token=token)
        return work

    return register


def page(items: Sequence[Any], call: Call, *, default: int = 100, at_most: int = 1000) -> tuple[list[Any], Json]:
    """One page of a list by `limit` and `cursor`, and the response_metadata that leads on."""
    limit = call.number("limit", default, at_most=at_most)
    start = int(open_cursor(call, "offset") or 0)
    following = start + limit
    cursor = make_cursor("offset", str(following)) if following < len(items) else ""
    return list(items[start:following]), {"response_metadata": {"next_cursor": cursor}}


def make_cursor(kind: str, value: str) -> str:
    return base64.b64encode(f"{kind}:{value}".encode()).decode()


def open_cursor(call: Call, kind: str) -> str:
    """What `make_cursor` put in; "" without a cursor. Raises `invalid_cursor`."""
    cursor = call.text("cursor")
    if not cursor:
        return ""
    try:
        found, _, value = base64.b64decode(cursor, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refusal("invalid_cursor") from None
    if found != kind or not value.replace(".", "").isdecimal():
        raise Refusal("invalid_cursor")
    return value
