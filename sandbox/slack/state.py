"""The whole workspace as one JSON picture, for the demo page and for tests to look at."""

from __future__ import annotations

from typing import Any

from sandbox.slack.workspace import Channel, Message
from sandbox.slack.world import World

Json = dict[str, Any]


def state(world: World, prefix: str = "") -> Json:
    """Everything there is. File addresses start with `prefix` and need no token."""
    team, app = world.team, world.app
    return {
        "seq": world.seq,
        "team": team.json(),
        "app": {"app_id": app.app_id, "name": app.name, "bot_user": app.bot_user, "bot_id": app.bot_id},
        "users": [{**user.json(locale=True), "presence": user.presence} for user in world.users.values()],
        "user_groups": [group.json(team.id, users=True) for group in world.groups.values()],
        "channels": [_channel(world, channel, prefix) for channel in world.channels.values()],
        "ephemerals": list(world.ephemerals),
        "views": [{"user": view.user, **view.json(team.id, app)} for view in world.views.values()],
        "home": {user: view.json(team.id, app) for user, view in world.homes.items()},
        "connections": len(world.deliveries_under_way.connections),
        "down": world.is_down,
        "trouble": world.troubles.plain(),
    }


def _channel(world: World, channel: Channel, prefix: str) -> Json:
    # A reply whose root is too old to be kept still has to be somewhere.
    tops = [each for each in channel.messages.values() if each.at_top or each.thread_ts not in channel.messages]
    return {
        **channel.json(world.app.bot_user),
        "members": list(channel.members),
        "messages": [_message(world, channel, each, prefix) for each in tops],
    }


def _message(world: World, channel: Channel, message: Message, prefix: str) -> Json:
    reactions = message.reactions.items()
    return {
        "ts": message.ts,
        "user": message.user,
        "bot_id": message.bot_id,
        "username": message.username,
        "icon_emoji": message.icons.get("emoji", ""),
        "icon_url": message.icons.get("image_48", ""),
        "subtype": message.subtype,
        "text": message.text,
        "blocks": message.blocks,
        "files": [_file(world, file, prefix) for file in message.files],
        "reactions": [{"name": name, "users": list(users)} for name, users in reactions],
        "edited": message.edited or None,
        "metadata": message.metadata,
        "locked": message.locked,
        "thread_ts": message.thread_ts or (message.ts if message.replies else ""),
        "reply_count": len(message.replies),
        "replies": [_message(world, channel, channel.messages[ts], prefix) for ts in message.replies],
    }


def _file(world: World, file: str, prefix: str) -> Json:
    stored = world.files.get(file)
    if stored is None or stored.deleted:
        return {"id": file, "name": "", "mimetype": "", "size": 0, "url": "", "deleted": True}
    shown = {"id": file, "name": stored.name, "title": stored.title or stored.name, "mimetype": stored.mimetype}
    return {**shown, "size": stored.size, "url": f"{prefix}/control/files/{file}"}
