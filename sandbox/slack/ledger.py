"""What has happened in the workspace: the state, the messages, and the events that tell the app of them.

Rule: everything that changes passes here once: it is stored, told to whoever watches, and delivered to the app if the
app may know (subscribed, scope granted, bot in the Slack channel).
"""

from __future__ import annotations

import asyncio
import fnmatch
import secrets
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.slack.delivery import Deliveries
from sandbox.slack.pace import Pace
from sandbox.slack.settings import Settings
from sandbox.slack.workspace import App, Channel, File, Message, Team, User, UserGroup, View, new_id
from sandbox.trouble import Action, Troubles

Json = dict[str, Any]

CHANGES_KEPT = 5_000
CALLS_KEPT = 5_000
EPHEMERALS_KEPT = 1_000
FILES_KEPT = 5_000
# Events whose scope differs from what their name says.
_EVENT_SCOPES = {
    "app_mention": "app_mentions:read",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
    "file_deleted": "files:read",
    "user_change": "users:read",
}
_BY_KIND = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}


@dataclass(slots=True, kw_only=True)
class Trigger:
    user: str
    until: float  # monotonic
    view: str = ""
    used: bool = False


@dataclass(slots=True, kw_only=True)
class ResponseUrl:
    user: str
    channel: str
    until: float  # monotonic
    message: str = ""  # ts of what was pressed
    ephemeral: bool = False
    uses: int = 0


class Ledger:
    """The state of one workspace with one app in it."""

    def __init__(self, base: str = "") -> None:
        """`base` is where links into this emulator lead; otherwise it is learned from the first request."""
        self.fixed_base = base
        self.base = base
        self.settings = Settings()
        self.troubles = Troubles()
        self.seq = 0
        self.watchers: set[asyncio.Queue[Json | None]] = set()
        self._clear()
        self.deliveries_under_way = Deliveries(
            app=lambda: self.app,
            settings=lambda: self.settings,
            record=self._record_delivery,
            counted=self._count_connections,
            held=self.held,
        )

    def _clear(self) -> None:
        self.team = Team()
        self.app = App()
        self.users: dict[str, User] = {}
        self.groups: dict[str, UserGroup] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self.views: dict[str, View] = {}  # open modals
        self.homes: dict[str, View] = {}  # user to their Home tab
        self.ephemerals: deque[Json] = deque(maxlen=EPHEMERALS_KEPT)
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.pace = Pace()
        self.socket_tickets: dict[str, float] = {}
        self.revoked: dict[str, str] = {}
        self.changes: deque[Json] = deque(maxlen=CHANGES_KEPT)
        self.calls: deque[Json] = deque(maxlen=CALLS_KEPT)
        self.deliveries: deque[Json] = deque(maxlen=CALLS_KEPT)
        self.envelopes: dict[str, Json] = {}

    def learn_base(self, scheme: str, host: str, prefix: str) -> None:
        """Remember where requests come in, unless told at the beginning."""
        self.base = self.fixed_base or f"{scheme}://{host}{prefix}"

    # What is watched

    def tell(self, kind: str, /, **what: Any) -> Json:
        """Give a change its number and pass it to everybody who watches."""
        self.seq += 1
        change = {"seq": self.seq, "type": kind, "at": time.time(), **what}
        if kind not in {"call", "delivery"}:
            self.changes.append(change)
        for queue in tuple(self.watchers):
            try:
                queue.put_nowait(change)
            except asyncio.QueueFull:  # a watcher that does not read is sent away rather than kept in memory
                self.watchers.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)
        return change

    def record_call(self, call: Json) -> None:
        self.calls.append(self.tell("call", **call))

    def _record_delivery(self, attempt: Json) -> None:
        self.deliveries.append(self.tell("delivery", **attempt))

    def _count_connections(self, count: int) -> None:
        self.tell("connections", count=count)

    # Being down

    @property
    def is_down(self) -> bool:
        """A rule of trouble keeps events away too, as when Slack itself is down."""
        return any(
            rule["action"] == Action.DOWN
            and fnmatch.fnmatchcase("events", rule["match"])
            and rule["seen"] >= rule["after"]
            and (rule.get("times") is None or rule["fired"] < rule["times"])
            for rule in self.troubles.plain()
        )

    async def held(self) -> None:
        while self.is_down:
            await self.troubles.pause(0.05)

    # Messages

    def new_ts(self, channel: Channel) -> str:
        """Never the same twice in a Slack channel, and always later."""
        channel.last_tick = max(channel.last_tick + 1, time.time_ns() // 1000)
        return f"{channel.last_tick // 1_000_000}.{channel.last_tick % 1_000_000:06d}"

    def add(self, channel: Channel, message: Message) -> Message:
        """Store a new message, count it under its root, and tell the app."""
        message.team = message.team or self.team.id
        channel.messages[message.ts] = message
        root = channel.messages.get(message.thread_ts) if message.is_reply else None
        if root is not None:
            root.replies.append(message.ts)
        self.tell("message", channel=channel.id, message=self.message_json(message, metadata=True))
        event = self.message_json(message, metadata=self._may("metadata.message:read")) | {
            "channel": channel.id,
            "channel_type": channel.kind,
            "event_ts": message.ts,
        }
        if root is not None and message.subtype == "thread_broadcast":
            event["root"] = self.message_json(root)
        self.emit(event, channel)
        if f"<@{self.app.bot_user}>" in message.text and message.user != self.app.bot_user:
            kept = (
                "user",
                "text",
                "ts",
                "thread_ts",
                "blocks",
                "client_msg_id",
                "team",
                "files",
                "channel",
                "event_ts",
            )
            self.emit({"type": "app_mention"} | {name: event[name] for name in kept if name in event}, channel)
        while len(channel.messages) > self.settings.keep_messages:
            del channel.messages[next(iter(channel.messages))]
        return message

    def change(self, channel: Channel, message: Message, before: Json) -> None:
        """Tell that a stored message is no longer as it was `before`."""
        after = self.message_json(message, metadata=self._may("metadata.message:read"))
        self.tell("message_changed", channel=channel.id, message=self.message_json(message, metadata=True))
        self.emit(
            {
                "type": "message",
                "subtype": "message_changed",
                "hidden": True,
                "message": after | {"source_team": message.team, "user_team": message.team},
                "previous_message": before,
                **self._stamp(channel),
            },
            channel,
        )

    def remove(self, channel: Channel, message: Message) -> None:
        """Delete. A root with replies stays as a tombstone that holds its thread."""
        before = self.message_json(message)
        if message.replies:
            message.subtype, message.text, message.user = "tombstone", "This message was deleted.", "USLACKBOT"
            message.bot_id = message.app_id = message.username = ""
            message.blocks, message.attachments, message.files, message.reactions = [], [], [], {}
            message.metadata, message.icons, message.edited = {}, {}, {}
            message.more = {"hidden": True}
            self.change(channel, message, before)
            return
        root = channel.messages.get(message.thread_ts) if message.is_reply else None
        counted = self.message_json(root) if root is not None else {}
        del channel.messages[message.ts]
        if root is not None:
            root.replies.remove(message.ts)
        self.tell("message_deleted", channel=channel.id, ts=message.ts, thread_ts=message.thread_ts)
        self.emit(
            {
                "type": "message",
                "subtype": "message_deleted",
                "hidden": True,
                "deleted_ts": message.ts,
                "previous_message": before,
                **self._stamp(channel),
            },
            channel,
        )
        if root is not None and root.subtype == "tombstone" and not root.replies:
            self.remove(channel, root)
        elif root is not None:
            self.change(channel, root, counted)

    def react_to(self, channel: Channel, message: Message, user: str, name: str, *, added: bool) -> None:
        users = message.reactions.setdefault(name, [])
        if added:
            users.append(user)
        else:
            users.remove(user)
        if not users:
            del message.reactions[name]
        kind = "reaction_added" if added else "reaction_removed"
        self.tell(kind, channel=channel.id, ts=message.ts, user=user, name=name)
        event: Json = {
            "type": kind,
            "user": user,
            "reaction": name,
            "item": {"type": "message", "channel": channel.id, "ts": message.ts},
            "event_ts": self.stamp(),
        }
        self.emit(event | ({"item_user": message.user} if message.user else {}), channel)

    def join(self, channel: Channel, user: str, inviter: str = "") -> None:
        if user in channel.members:
            return
        channel.members.append(user)
        subtype = "group_join" if channel.is_private else "channel_join"
        text = f"<@{user}> has joined the {'group' if channel.is_private else 'channel'}"
        more = {"inviter": inviter} if inviter else {}
        ts = self.new_ts(channel)
        self.add(channel, Message(channel=channel.id, ts=ts, user=user, subtype=subtype, text=text, more=more))
        event = {"type": "member_joined_channel", "user": user, "channel": channel.id, "team": self.team.id, **more}
        channel_type = "G" if channel.is_private else "C"
        self.tell("channel", channel=channel.id)
        self.emit({**event, "channel_type": channel_type, "event_ts": self.stamp()}, channel)

    def share(self, channel: Channel, files: list[File], message: Message) -> Message:
        """Show files as the message that carries them."""
        for file in files:
            place: Json = {"ts": message.ts, "reply_users": [], "reply_users_count": 0, "reply_count": 0}
            file.shares.setdefault(channel.id, []).append(
                place | ({"thread_ts": message.thread_ts} if message.thread_ts else {})
            )
            if channel.is_private or channel.is_im:
                file.private_channels.add(channel.id)
            file.settled = True
        return self.add(channel, message)

    def keep(self, file: File) -> None:
        """Store a file; the oldest go when there are too many, their bytes first."""
        self.files[file.id] = file
        while len(self.files) > FILES_KEPT:
            del self.files[next(iter(self.files))]
        kept = sum(len(each.data or b"") for each in self.files.values())
        for each in self.files.values():
            if kept <= self.settings.keep_file_bytes or each is file:
                break
            kept -= len(each.data or b"")
            each.data = None

    def message_json(self, message: Message, *, metadata: bool = False) -> Json:
        """The message as the Web API and events show it."""
        shown: Json = {"type": "message", "ts": message.ts, "text": message.text}
        if message.user:
            shown["user"] = message.user
        for name in ("subtype", "bot_id", "app_id", "username", "icons", "client_msg_id", "attachments", "edited"):
            if value := getattr(message, name):
                shown[name] = value
        if message.team and message.subtype not in {"tombstone", "bot_message"}:
            shown["team"] = message.team
        if message.team and message.team != self.team.id:  # somebody of another company, in a shared Slack channel
            shown["user_team"] = shown["source_team"] = message.team
        if message.blocks:
            shown["blocks"] = message.blocks
        if message.files:
            shown["files"] = [self.file_json(file) for file in message.files]
            shown["upload"] = False
        if message.reactions:
            reactions = message.reactions.items()
            shown["reactions"] = [{"name": name, "users": list(who), "count": len(who)} for name, who in reactions]
        if message.metadata and metadata:
            shown["metadata"] = message.metadata
        if message.bot_id == self.app.bot_id and not message.username:
            shown["bot_profile"] = self.bot_json()
        if message.is_reply:
            shown["thread_ts"] = message.thread_ts
            root = self.channels[message.channel].messages.get(message.thread_ts)
            if root is not None and root.user:
                shown["parent_user_id"] = root.user
        elif message.replies:
            replies = [self.channels[message.channel].messages[ts] for ts in message.replies]
            writers = list(dict.fromkeys(reply.user or reply.bot_id for reply in replies))
            shown |= {
                "thread_ts": message.ts,
                "reply_count": len(replies),
                "reply_users_count": len(writers),
                "latest_reply": message.replies[-1],
                "reply_users": writers[:5],
                "is_locked": message.locked,
                "subscribed": False,
            }
        return shown | message.more

    def file_json(self, file: str) -> Json:
        stored = self.files.get(file)
        return stored.json(self.base, self.team.id) if stored else {"id": file, "mode": "tombstone"}

    def bot_json(self) -> Json:
        return {
            "id": self.app.bot_id,
            "deleted": False,
            "name": self.app.name,
            "updated": 1_700_000_000,
            "app_id": self.app.app_id,
            "user_id": self.app.bot_user,
            "icons": {"image_36": "", "image_48": "", "image_72": ""},
            "team_id": self.team.id,
        }

    def permalink(self, channel: Channel, message: Message) -> str:
        link = f"https://{self.team.domain}.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
        return link + (f"?thread_ts={message.thread_ts}&cid={channel.id}" if message.is_reply else "")

    # Events

    def emit(self, event: Json, channel: Channel | None = None, *, anyway: bool = False) -> Json | None:
        """Deliver an event if the app may know of it; `anyway` for what concerns a Slack channel it has just left."""
        if not anyway and not self._hears(event, channel):
            return None
        envelope = self.envelope(event, channel)
        self.deliveries_under_way.event(envelope)
        return envelope

    def envelope(self, event: Json, channel: Channel | None = None) -> Json:
        """Wrap an event as Slack sends it, and keep it so that it can be repeated."""
        authorization = {
            "enterprise_id": None,
            "team_id": self.team.id,
            "user_id": self.app.bot_user,
            "is_bot": True,
            "is_enterprise_install": False,
        }
        made: Json = {
            "token": "unused",
            "team_id": self.team.id,
            "context_team_id": self.team.id,
            "context_enterprise_id": None,
            "api_app_id": self.app.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": new_id("Ev"),
            "event_time": int(time.time()),
            "authorizations": [authorization],
            "is_ext_shared_channel": channel is not None and channel.is_ext_shared,
            "event_context": "4-" + secrets.token_urlsafe(24),
        }
        self.envelopes[made["event_id"]] = made
        while len(self.envelopes) > CALLS_KEPT:
            del self.envelopes[next(iter(self.envelopes))]
        return made

    def stamp(self) -> str:
        """An event_ts for what has no place in a Slack channel."""
        microseconds = time.time_ns() // 1000
        return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"

    def _stamp(self, channel: Channel) -> Json:
        ts = self.new_ts(channel)
        return {"channel": channel.id, "channel_type": channel.kind, "ts": ts, "event_ts": ts}

    def _may(self, scope: str) -> bool:
        return scope in self.app.scopes

    def _hears(self, event: Json, channel: Channel | None) -> bool:
        kind = event["type"]
        if self.app.bot_token in self.revoked:
            return False
        if channel is not None and self.app.bot_user not in channel.members:
            return False
        if kind == "message" and channel is not None:
            return _BY_KIND[channel.kind] in self.app.events and self._may(f"{channel.family}:history")
        return kind in self.app.events and (kind not in _EVENT_SCOPES or self._may(_EVENT_SCOPES[kind]))

    # Modals and clicks

    def new_trigger(self, user: str, view: str = "") -> str:
        """Good for one call within three seconds."""
        name = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self.triggers[name] = Trigger(user=user, view=view, until=time.monotonic() + self.settings.trigger_seconds)
        while len(self.triggers) > 1_000:
            del self.triggers[next(iter(self.triggers))]
        return name

    def new_response_url(self, user: str, channel: str, *, message: str = "", ephemeral: bool = False) -> str:
        name = f"{self.team.id}/{secrets.randbelow(10**12)}/{secrets.token_urlsafe(18)}"
        until = time.monotonic() + self.settings.response_url_seconds
        self.response_urls[name] = ResponseUrl(
            user=user, channel=channel, until=until, message=message, ephemeral=ephemeral
        )
        while len(self.response_urls) > 1_000:
            del self.response_urls[next(iter(self.response_urls))]
        return f"{self.base}/actions/{name}"

    def change_settings(self, changes: Json) -> None:
        """Raises ValueError."""
        self.settings = self.settings.changed(changes)

    def change_app(self, changes: Json) -> None:
        """Raises ValueError for what an app does not have."""
        try:
            self.app = replace(self.app, **changes)
        except TypeError as error:
            raise ValueError(f"app: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A message and the Slack channel it is in."""

    channel: Channel
    message: Message = field(repr=False)
