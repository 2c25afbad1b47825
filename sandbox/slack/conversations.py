"""Web API methods that read Slack channels, their history and their threads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sandbox.slack.calls import Call, make_cursor, method, open_cursor, page
from sandbox.slack.refusal import Refusal
from sandbox.slack.workspace import Channel, Message

Json = dict[str, Any]

_TS = re.compile(r"\d{1,12}(\.\d{1,6})?")
_TYPES = {"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}


@method("conversations.info")
async def conversations_info(call: Call) -> Json:
    channel = _readable(call, "read")
    shown = channel.json(call.world.app.bot_user)
    if call.flag("include_num_members"):
        shown["num_members"] = len(channel.members)
    return {"channel": shown}


@method("conversations.list")
async def conversations_list(call: Call) -> Json:
    return _listed(call, [channel for channel in call.world.channels.values() if call.sees(channel)])


@method("users.conversations")
async def users_conversations(call: Call) -> Json:
    user = call.text("user", call.world.app.bot_user)
    if user not in call.world.users:
        raise Refusal("user_not_found")
    mine = [each for each in call.world.channels.values() if user in each.members and call.sees(each)]
    return _listed(call, mine)


@method("conversations.members")
async def conversations_members(call: Call) -> Json:
    members, more = page(_readable(call, "read").members, call)
    return {"members": members, **more}


@method("conversations.join", "channels:join")
async def conversations_join(call: Call) -> Json:
    channel = call.channel()
    if channel.is_private or channel.is_im:
        raise Refusal("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise Refusal("is_archived")
    shown: Json = {}
    if call.world.app.bot_user in channel.members:
        shown = {"warning": "already_in_channel", "response_metadata": {"warnings": ["already_in_channel"]}}
    call.world.join(channel, call.world.app.bot_user)
    return {"channel": channel.json(call.world.app.bot_user), **shown}


@method("conversations.open", "im:write", "mpim:write")
async def conversations_open(call: Call) -> Json:
    if call.text("channel"):
        return {"channel": call.channel().json(call.world.app.bot_user)}
    users = [user.strip() for user in call.required("users").split(",") if user.strip()]
    if len(users) != 1:
        raise Refusal("method_not_supported_for_channel_type")
    user = call.world.users.get(users[0])
    if user is None:
        raise Refusal("user_not_found")
    if user.is_bot:
        raise Refusal("cannot_dm_bot")
    if user.deleted:
        raise Refusal("user_disabled")
    before = len(call.world.channels)
    im = call.world.im(user.id)
    known = {"no_op": True, "already_open": True} if len(call.world.channels) == before else {}
    return known | {"channel": im.json(call.world.app.bot_user) if call.flag("return_im") else {"id": im.id}}


@method("conversations.history")
async def conversations_history(call: Call) -> Json:
    channel = _readable(call, "history")
    _member(call, channel)
    limit = call.number("limit", 100, at_most=999)
    shown = list(_between(call, (each for each in channel.messages.values() if each.at_top)))
    # With `oldest` alone Slack pages forward from it, otherwise backward from the newest; each page newest first.
    forward = bool(call.text("oldest")) and float(call.text("oldest")) > 0 and not call.text("latest")
    after = open_cursor(call, "next_ts")
    if after:
        shown = [each for each in shown if (_tick(each.ts) > _tick(after)) == forward and each.ts != after]
    part = shown[:limit] if forward else shown[-limit:]
    has_more = len(shown) > len(part)
    last = (part[-1] if forward else part[0]).ts if part else ""
    return {
        "messages": _shown(call, reversed(part)),
        "has_more": has_more,
        "pin_count": 0,
        **_next(has_more, last),
    }


@method("conversations.replies")
async def conversations_replies(call: Call) -> Json:
    channel = _readable(call, "history")
    _member(call, channel)
    found = call.place(call.required("ts"), channel=channel, missing="thread_not_found").message
    root = channel.messages.get(found.thread_ts, found) if found.is_reply else found
    limit = call.number("limit", 1000, at_most=1000)
    after = open_cursor(call, "next_ts")
    replies = list(_between(call, (channel.messages[ts] for ts in root.replies)))
    if after:
        replies = [each for each in replies if _tick(each.ts) > _tick(after)]
    part = replies[: max(1, limit - 1)]  # the root is part of every page
    has_more = len(replies) > len(part)
    return {
        "messages": _shown(call, [root, *part]),
        "has_more": has_more,
        **_next(has_more, part[-1].ts if part else ""),
    }


def _next(has_more: bool, last: str) -> Json:
    return {"response_metadata": {"next_cursor": make_cursor("next_ts", last)}} if has_more else {}


def _shown(call: Call, messages: Iterable[Message]) -> list[Json]:
    metadata = call.flag("include_all_metadata")
    return [call.world.message_json(message, metadata=metadata) for message in messages]


def _between(call: Call, messages: Iterable[Message]) -> Iterable[Message]:
    oldest, latest = _bound(call, "oldest"), _bound(call, "latest")
    inclusive = call.flag("inclusive")
    for message in messages:
        tick = _tick(message.ts)
        if oldest is not None and (tick < oldest or (tick == oldest and not inclusive)):
            continue
        if latest is not None and (tick > latest or (tick == latest and not inclusive)):
            continue
        yield message


def _bound(call: Call, name: str) -> int | None:
    value = call.text(name)
    if not value:
        return None
    if _TS.fullmatch(value) is None:
        raise Refusal(f"invalid_ts_{name}")
    return _tick(value)


def _tick(ts: str) -> int:
    """Microseconds. Through a float the last digits would be lost."""
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * 1_000_000 + int(fraction.ljust(6, "0") or "0")


def _readable(call: Call, what: str) -> Channel:
    call.required("channel")
    channel = call.channel()
    call.needs(f"{channel.family}:{what}")
    return channel


def _member(call: Call, channel: Channel) -> None:
    if call.world.app.bot_user not in channel.members:
        raise Refusal("not_in_channel")


def _listed(call: Call, channels: Iterable[Channel]) -> Json:
    wanted = [each.strip() for each in call.text("types", "public_channel").split(",")]
    if not set(wanted) <= set(_TYPES):
        raise Refusal("invalid_types")
    for each in wanted:
        call.needs(f"{_TYPES[each]}:read")
    families = {_TYPES[each] for each in wanted}
    archived = not call.flag("exclude_archived")
    kept = [each for each in channels if each.family in families and (archived or not each.is_archived)]
    shown, more = page(kept, call)
    return {"channels": [channel.json(call.world.app.bot_user) for channel in shown], **more}
