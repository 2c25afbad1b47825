"""The Slack app's manifest: what a workspace grants Santral and where Slack finds it, as YAML to paste.

Rule: only scopes and events that Santral uses; `santral check` compares a token's scopes with these.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

# Each scope with the reason a workspace admin will ask for.
SCOPES: Mapping[str, str] = {
    "channels:history": "read what agents write in the threads, and catch up after a break",
    "channels:read": "see whether the Slack channel exists and who is in it",
    "chat:write": "post conversations",
    "chat:write.customize": "post a customer's message under the customer's name",
    "commands": "message shortcuts, and the command /inbox",
    "files:read": "send agents' files to customers",
    "files:write": "show customers' files",
    "groups:history": "the same in private Slack channels",
    "groups:read": "the same in private Slack channels",
    "metadata.message:read": "recognise its own posts after a broken line, so that nothing is posted twice",
    "reactions:write": "mark what was sent, delivered and read",
    "usergroups:read": "let a user group be a team",
    "users:read": "agents' names, languages and time zones, and who is there to be given a conversation",
}

EVENTS: Sequence[str] = (
    "app_uninstalled",
    "channel_archive",
    "channel_deleted",
    "channel_id_changed",
    "channel_left",
    "channel_rename",
    "channel_unarchive",
    "group_archive",
    "group_deleted",
    "group_left",
    "group_rename",
    "group_unarchive",
    "member_joined_channel",
    "message.channels",
    "message.groups",
    "subteam_members_changed",
    "subteam_updated",
    "tokens_revoked",
    "user_change",
)

# callback id: name (24 characters at most) and description, as shown in a message's menu.
SHORTCUTS: Mapping[str, tuple[str, str]] = {
    "conv_assign_me": ("Take conversation", "Take this conversation"),
    "conv_resolve": ("Resolve conversation", "Mark this conversation as resolved"),
    "conv_note": ("Keep as note", "Keep this message inside the team"),
    "conv_send": ("Send to customer", "Send this message to the customer"),
    "conv_undo": ("Undo sending", "Take this message back before it is sent"),
}

# What people type: description and usage hint.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "/inbox": ("Go away, come back, see what you carry", "away [until 14:30 | 2h | tomorrow] | back | status"),
}

NAME_AT_MOST = 35  # api.slack.com/reference/manifests: display_information.name


def manifest(public_url: str | None, name: str = "Santral") -> str:
    """Write the manifest for an app whose events Slack posts to `public_url`, or sends by Socket Mode if it is None.

    `name` is what the workspace sees, 35 characters at most.
    """
    events: dict[str, object] = {"bot_events": list(EVENTS)}
    interactivity: dict[str, object] = {"is_enabled": True}
    called: dict[str, object] = {}
    if public_url is not None:
        root = public_url.rstrip("/")
        events = {"request_url": f"{root}/slack/events", **events}
        interactivity["request_url"] = f"{root}/slack/interactive"
        called = {"url": f"{root}/slack/interactive"}
    content: dict[str, object] = {
        "_metadata": {"major_version": 1, "minor_version": 1},
        "display_information": {
            "name": name,
            "description": "Customers' messages from every channel, one Slack thread each",
        },
        "features": {
            "bot_user": {"display_name": name, "always_online": True},
            "shortcuts": [
                {"name": label, "type": "message", "callback_id": callback_id, "description": description}
                for callback_id, (label, description) in SHORTCUTS.items()
            ],
            "slash_commands": [
                {"command": command, **called, "description": description, "usage_hint": hint, "should_escape": False}
                for command, (description, hint) in COMMANDS.items()
            ],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": public_url is None,
            "token_rotation_enabled": False,
        },
    }
    return "\n".join(_lines(content)) + "\n"


def _lines(value: object, indent: str = "") -> Iterator[str]:
    """Write YAML whose every scalar is JSON, so that no text can be read as anything but text."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                yield f"{indent}{key}:"
                yield from _lines(item, indent + "  ")
            else:
                yield f"{indent}{key}: {json.dumps(item, ensure_ascii=False)}"
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                first, *rest = _lines(item)
                yield f"{indent}- {first}"
                yield from (f"{indent}  {line}" for line in rest)
            else:
                yield f"{indent}- {json.dumps(item, ensure_ascii=False)}"
