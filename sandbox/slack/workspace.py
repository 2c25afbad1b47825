"""What a Slack workspace holds: people, Slack channels, messages, files, views and the app, and how Slack shows them.

Rule: plain state. Nothing here decides, delivers or waits.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

Json = dict[str, Any]
Kind = TypeVar("Kind")

ALPHABET = string.ascii_uppercase + string.digits

# Everything the manifest of a support desk asks for.
SCOPES = (
    "app_mentions:read",
    "channels:history",
    "channels:join",
    "channels:manage",
    "channels:read",
    "chat:write",
    "chat:write.customize",
    "commands",
    "emoji:read",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "groups:write",
    "im:history",
    "im:read",
    "im:write",
    "metadata.message:read",
    "pins:write",
    "bookmarks:write",
    "reactions:read",
    "reactions:write",
    "team:read",
    "usergroups:read",
    "users:read",
    "users:read.email",
)
EVENTS = (
    "app_home_opened",
    "app_mention",
    "app_uninstalled",
    "tokens_revoked",
    "message.channels",
    "message.groups",
    "message.im",
    "reaction_added",
    "reaction_removed",
    "member_joined_channel",
    "member_left_channel",
    "channel_archive",
    "channel_unarchive",
    "channel_deleted",
    "channel_rename",
    "channel_id_changed",
    "channel_left",
    "group_archive",
    "group_unarchive",
    "group_deleted",
    "group_left",
    "file_deleted",
    "user_change",
    "subteam_updated",
    "subteam_members_changed",
)


def new_id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(10))


@dataclass(slots=True, kw_only=True)
class Team:
    id: str = "T0SANDBOX1"
    name: str = "Kumbara"
    domain: str = "kumbara"

    def json(self) -> Json:
        icon = {"image_default": True}
        return {"id": self.id, "name": self.name, "domain": self.domain, "email_domain": "", "icon": icon}


@dataclass(slots=True, kw_only=True)
class User:
    """`is_stranger`: of another company, seen through a shared Slack channel; has that company's `team_id`.

    `presence` is the dot beside the name, "active" or "away". Slack tells it to who asks, and in no other answer.
    """

    id: str
    name: str
    real_name: str = ""
    display_name: str = ""
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_admin: bool = False
    deleted: bool = False
    team_id: str = ""
    is_stranger: bool = False
    locale: str = "en-US"
    tz: str = "Europe/Istanbul"
    color: str = "4bbe2e"
    email: str = ""
    presence: str = "active"

    def json(self, *, locale: bool = False, email: bool = True) -> Json:
        real = self.real_name or self.name
        profile: Json = {
            "real_name": real,
            "real_name_normalized": real,
            "display_name": self.display_name,
            "display_name_normalized": self.display_name,
            "team": self.team_id,
            "status_text": "",
            "status_emoji": "",
        }
        if email and not self.is_bot:
            profile["email"] = self.email or f"{self.name}@example.com"
        shown: Json = {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.deleted,
            "color": self.color,
            "real_name": real,
            "tz": self.tz,
            "profile": profile,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "updated": 1_700_000_000,
        }
        if not self.deleted:
            shown |= {
                "is_admin": self.is_admin,
                "is_owner": False,
                "is_primary_owner": False,
                "is_restricted": self.is_restricted,
                "is_ultra_restricted": self.is_ultra_restricted,
            }
        if self.is_stranger:
            shown["is_stranger"] = True
        if locale:
            shown["locale"] = self.locale
        return shown


@dataclass(slots=True, kw_only=True)
class UserGroup:
    id: str
    handle: str
    name: str = ""
    users: list[str] = field(default_factory=list)

    def json(self, team: str, *, users: bool) -> Json:
        shown: Json = {
            "id": self.id,
            "team_id": team,
            "is_usergroup": True,
            "name": self.name or self.handle,
            "handle": self.handle,
            "description": "",
            "date_delete": 0,
            "user_count": len(self.users),
        }
        return shown | ({"users": list(self.users)} if users else {})


@dataclass(slots=True, kw_only=True)
class Message:
    channel: str
    ts: str
    text: str = ""
    user: str = ""
    bot_id: str = ""
    app_id: str = ""
    username: str = ""
    icons: Json = field(default_factory=dict)
    subtype: str = ""
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    edited: Json = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)
    client_msg_id: str = ""
    thread_ts: str = ""  # of a reply: its root
    replies: list[str] = field(default_factory=list)
    locked: bool = False  # the thread under it takes no more replies
    team: str = ""
    more: Json = field(default_factory=dict)

    @property
    def is_reply(self) -> bool:
        return bool(self.thread_ts) and self.thread_ts != self.ts

    @property
    def at_top(self) -> bool:
        """Shown in the Slack channel itself, not only in a thread."""
        return not self.is_reply or self.subtype == "thread_broadcast"


@dataclass(slots=True, kw_only=True)
class Channel:
    id: str
    name: str = ""
    is_private: bool = False
    is_archived: bool = False
    is_ext_shared: bool = False
    is_im: bool = False
    is_read_only: bool = False  # only admins may post
    members: list[str] = field(default_factory=list)
    created: int = 1_700_000_000
    messages: dict[str, Message] = field(default_factory=dict)  # in the order of their ts
    last_tick: int = 0  # microseconds of the newest ts given out here

    @property
    def kind(self) -> str:
        """As events call it in `channel_type`."""
        return "im" if self.is_im else "group" if self.is_private else "channel"

    @property
    def family(self) -> str:
        """As scopes and subscriptions call it: `channels:history`, `message.groups`."""
        return "im" if self.is_im else "groups" if self.is_private else "channels"

    def json(self, bot: str) -> Json:
        if self.is_im:
            other = next((member for member in self.members if member != bot), "")
            return {
                "id": self.id,
                "created": self.created,
                "is_im": True,
                "is_archived": False,
                "user": other,
                "is_open": True,
            }
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "created": self.created,
            "creator": self.members[0] if self.members else "",
            "is_channel": not self.is_private,
            "is_group": self.is_private,
            "is_im": False,
            "is_mpim": False,
            "is_private": self.is_private,
            "is_archived": self.is_archived,
            "is_general": False,
            "is_shared": self.is_ext_shared,
            "is_ext_shared": self.is_ext_shared,
            "is_org_shared": False,
            "is_member": bot in self.members,
            "is_read_only": self.is_read_only,
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        }


@dataclass(slots=True, kw_only=True)
class File:
    id: str
    name: str
    size: int
    user: str
    created: int
    title: str = ""
    alt_text: str = ""
    mimetype: str = ""
    data: bytes | None = field(default=None, repr=False)
    ticket: str = ""  # of the upload URL; empty once uploaded and completed
    settled: bool = False  # scanned and shown; before, Slack leaves mimetype empty and tells no shares
    deleted: bool = False
    shares: dict[str, list[Json]] = field(default_factory=dict)  # Slack channel to where it was shown
    private_channels: set[str] = field(default_factory=set)

    @property
    def filetype(self) -> str:
        return self.name.rsplit(".", 1)[-1].lower() if "." in self.name else "binary"

    def json(self, base: str, team: str) -> Json:
        """`base` is where this emulator is reached: the links lead there."""
        if self.deleted:
            return {"id": self.id, "mode": "tombstone"}
        path = f"{base}/files-pri/{team}-{self.id}"
        shown: Json = {
            "id": self.id,
            "created": self.created,
            "timestamp": self.created,
            "name": self.name,
            "title": self.title or self.name,
            "mimetype": self.mimetype if self.settled else "",
            "filetype": self.filetype if self.settled else "",
            "pretty_type": self.filetype.upper() if self.settled else "",
            "user": self.user,
            "user_team": team,
            "editable": False,
            "size": self.size,
            "mode": "hosted",
            "is_external": False,
            "external_type": "",
            "is_public": any(channel not in self.private_channels for channel in self.shares),
            "public_url_shared": False,
            "display_as_bot": False,
            "username": "",
            "url_private": f"{path}/{self.url_name}",
            "url_private_download": f"{path}/download/{self.url_name}",
            "permalink": f"{base}/control/files/{self.id}",
            "has_rich_preview": False,
            "file_access": "visible",
        }
        if self.alt_text:
            shown["alt_txt"] = self.alt_text
        return shown

    @property
    def url_name(self) -> str:
        """As Slack writes names into links: lower case, anything unusual as an underscore."""
        return "".join(
            char if char.isascii() and (char.isalnum() or char in ".-") else "_" for char in self.name.lower()
        )

    def shares_json(self, names: dict[str, str], team: str) -> Json:
        shown: Json = {}
        for channel, places in self.shares.items():
            side = "private" if channel in self.private_channels else "public"
            named = [place | {"channel_name": names.get(channel, ""), "team_id": team} for place in places]
            shown.setdefault(side, {})[channel] = named
        return shown


@dataclass(slots=True, kw_only=True)
class View:
    """A modal or a Home tab as one person sees it."""

    id: str
    user: str
    body: Json
    hash: str
    root: str = ""
    previous: str = ""
    state: Json = field(default_factory=dict)

    def json(self, team: str, app: App) -> Json:
        kept = ("type", "blocks", "title", "close", "submit", "callback_id", "private_metadata", "external_id")
        shown: Json = {name: self.body[name] for name in kept if name in self.body}
        return {
            "close": None,
            "submit": None,
            "callback_id": "",
            "private_metadata": "",
            "external_id": "",
            **shown,
            "id": self.id,
            "team_id": team,
            "state": {"values": self.state},
            "hash": self.hash,
            "clear_on_close": bool(self.body.get("clear_on_close")),
            "notify_on_close": bool(self.body.get("notify_on_close")),
            "root_view_id": self.root or self.id,
            "previous_view_id": self.previous or None,
            "app_id": app.app_id,
            "app_installed_team_id": team,
            "bot_id": app.bot_id,
        }


@dataclass(slots=True, kw_only=True)
class App:
    app_id: str = "A0SANDBOX1"
    bot_token: str = field(default="xoxb-sandbox-bot-token", repr=False)
    app_token: str = field(default="xapp-1-sandbox-app-token", repr=False)
    signing_secret: str = field(default="sandbox-signing-secret", repr=False)
    bot_user: str = "U0SANTRAL1"
    bot_id: str = "B0SANTRAL1"
    name: str = "Santral"
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))
    events: list[str] = field(default_factory=lambda: list(EVENTS))
    shortcuts: list[str] = field(default_factory=list)  # callback ids; empty: any
    commands: list[str] = field(default_factory=list)  # with their slash; empty: any
    commands_url: str = ""  # empty: where clicks go
    events_url: str = ""
    interactive_url: str = ""
    socket_mode: bool = False


def read(kind: type[Kind], values: Json) -> Kind:
    """Make one of the above from JSON. Raises ValueError naming what does not fit."""
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{kind.__name__.lower()} has no {', '.join(unknown)}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{kind.__name__.lower()}: {error}") from None


def default_people() -> list[User]:
    """Who is there before anybody says otherwise."""
    ayse = User(
        id="U0AYSE0001", name="ayse", real_name="Ayşe Demir", display_name="Ayşe", color="e96699", is_admin=True
    )
    mehmet = User(id="U0MEHMET01", name="mehmet", real_name="Mehmet Kaya", display_name="Mehmet", color="2b7de9")
    for each in (ayse, mehmet):
        each.locale = "tr-TR"
    return [ayse, mehmet]
