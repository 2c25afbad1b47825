"""Web API methods that write: messages, ephemeral messages, reactions, and answers to a response_url."""

from __future__ import annotations

import re
import time
from typing import Any

import orjson

from sandbox.slack.blocks import check_message
from sandbox.slack.calls import Call, method
from sandbox.slack.ledger import Place
from sandbox.slack.refusal import Refusal
from sandbox.slack.workspace import Message
from sandbox.slack.world import World

Json = dict[str, Any]

TEXT_AT_MOST = 40_000  # chat.postMessage truncates beyond
UPDATE_TEXT_AT_MOST = 4_000  # chat.update refuses beyond
MARKDOWN_AT_MOST = 12_000
ATTACHMENTS_AT_MOST = 100
METADATA_AT_MOST = 8_000  # Slack publishes no figure: a cautious one
REACTIONS_AT_MOST = 50
RESPONSE_URL_USES = 5
# What Slack puts where blocks come without text.
_NO_TEXT = "This content can't be displayed."

_EMOJI = re.compile(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?")
_EVENT_TYPE = re.compile(r"\w{1,255}", re.ASCII)


@method("chat.postMessage", "chat:write")
async def post_message(call: Call) -> Json:
    channel = call.open_channel()
    content, warning = _content(call)
    identity = _identity(call)
    root = call.root(channel, call.text("thread_ts")) if call.text("thread_ts") else None
    metadata = _metadata(call) or {}
    call.count_post(channel)
    world = call.world
    message = Message(channel=channel.id, ts=world.new_ts(channel), **content, **identity, metadata=metadata)
    message.bot_id, message.app_id = world.app.bot_id, world.app.app_id
    if not identity:
        message.user = world.app.bot_user
    if root is not None:
        message.thread_ts = root.ts
        if call.flag("reply_broadcast"):
            message.subtype = "thread_broadcast"
    world.add(channel, message)
    return {"channel": channel.id, "ts": message.ts, "message": world.message_json(message, metadata=True), **warning}


@method("chat.update", "chat:write")
async def update(call: Call) -> Json:
    place = _own(call, call.required("ts"), "cant_update_message")
    content, _ = _content(call)
    if len(content["text"]) > UPDATE_TEXT_AT_MOST and content["text"] != _NO_TEXT:
        raise Refusal("msg_too_long")
    metadata = _metadata(call)
    revise(call.world, place, content)
    if metadata is not None:
        place.message.metadata = metadata
    shown = call.world.message_json(place.message, metadata=True)
    return {"channel": place.channel.id, "ts": place.message.ts, "text": place.message.text, "message": shown}


@method("chat.delete", "chat:write")
async def delete(call: Call) -> Json:
    place = _own(call, call.required("ts"), "cant_delete_message")
    call.world.remove(place.channel, place.message)
    return {"channel": place.channel.id, "ts": place.message.ts}


@method("chat.postEphemeral", "chat:write")
async def post_ephemeral(call: Call) -> Json:
    channel = call.open_channel()
    user = call.required("user")
    if user not in channel.members:
        raise Refusal("user_not_in_channel")
    content, _ = _content(call)
    _identity(call)
    root = call.root(channel, call.text("thread_ts")) if call.text("thread_ts") else None
    ts = whisper(call.world, channel.id, user, content, root.ts if root else "")
    return {"message_ts": ts}


@method("chat.getPermalink")
async def get_permalink(call: Call) -> Json:
    place = call.place(call.required("message_ts"))
    return {"channel": place.channel.id, "permalink": call.world.permalink(place.channel, place.message)}


@method("reactions.add", "reactions:write")
async def reactions_add(call: Call) -> Json:
    place, name, user = _reacted(call), _emoji(call), call.world.app.bot_user
    if place.channel.is_archived:
        raise Refusal("is_archived")
    if user in place.message.reactions.get(name, ()):
        raise Refusal("already_reacted")
    if name not in place.message.reactions and len(place.message.reactions) >= REACTIONS_AT_MOST:
        raise Refusal("too_many_emoji")
    call.world.react_to(place.channel, place.message, user, name, added=True)
    return {}


@method("reactions.remove", "reactions:write")
async def reactions_remove(call: Call) -> Json:
    place, name, user = _reacted(call), _emoji(call), call.world.app.bot_user
    if user not in place.message.reactions.get(name, ()):
        raise Refusal("no_reaction")
    call.world.react_to(place.channel, place.message, user, name, added=False)
    return {}


@method("reactions.get", "reactions:read")
async def reactions_get(call: Call) -> Json:
    place = _reacted(call)
    shown = call.world.message_json(place.message)
    shown["permalink"] = call.world.permalink(place.channel, place.message)
    return {"type": "message", "channel": place.channel.id, "message": shown}


def revise(world: World, place: Place, content: Json) -> None:
    """Replace what a message says. Text without blocks removes the blocks; blocks bring no "edited" mark."""
    before = world.message_json(place.message)
    place.message.text, place.message.blocks = content["text"], content["blocks"]
    place.message.attachments = content["attachments"]
    if not content["blocks"]:
        place.message.edited = {"user": world.app.bot_user, "ts": world.stamp()}
    world.change(place.channel, place.message, before)


def whisper(world: World, channel: str, user: str, content: Json, thread_ts: str) -> str:
    """Show something to one person only. It is no message: it has no history and cannot be updated."""
    ts = world.new_ts(world.channels[channel])
    shown = {"channel": channel, "user": user, "ts": ts, "thread_ts": thread_ts, **content}
    world.ephemerals.append(shown)
    world.tell("ephemeral", **shown)
    return ts


def respond(world: World, name: str, body: Json) -> None:
    """Answer at a response_url: five times within thirty minutes. Raises `Refusal`."""
    url = world.response_urls.get(name)
    if url is None or time.monotonic() > url.until or url.channel not in world.channels:
        raise Refusal("expired_url")
    if url.uses >= RESPONSE_URL_USES:
        raise Refusal("used_url")
    call = Call(world=world, method="response_url", arguments={"channel": url.channel, **body})
    channel = world.channels[url.channel]
    hidden = next((each for each in world.ephemerals if each["ts"] == url.message), None) if url.ephemeral else None
    place = Place(channel=channel, message=channel.messages[url.message]) if url.message in channel.messages else None
    if call.flag("delete_original"):
        url.uses += 1
        if hidden is not None:
            world.ephemerals.remove(hidden)
            world.tell("ephemeral_deleted", channel=url.channel, user=url.user, ts=hidden["ts"])
        elif place is not None:
            world.remove(channel, place.message)
        return
    content, _ = _content(call)
    thread = call.root(channel, call.text("thread_ts")).ts if call.text("thread_ts") else ""
    url.uses += 1
    if call.flag("replace_original") and hidden is not None:
        hidden |= content
        world.tell("ephemeral", **hidden)
    elif call.flag("replace_original") and place is not None and place.message.bot_id == world.app.bot_id:
        revise(world, place, content)
    elif call.text("response_type", "ephemeral") == "in_channel":
        message = Message(channel=url.channel, ts=world.new_ts(channel), thread_ts=thread, **content)
        message.user, message.bot_id, message.app_id = world.app.bot_user, world.app.bot_id, world.app.app_id
        world.add(channel, message)
    else:
        whisper(world, url.channel, url.user, content, thread)


def _content(call: Call) -> tuple[Json, Json]:
    """What a message says, checked; and the warning that it was cut short."""
    text, blocks, markdown = call.text("text"), call.json("blocks"), call.text("markdown_text")
    attachments = call.json("attachments") or []
    if markdown and (text or blocks):
        raise Refusal("markdown_text_conflict")
    if len(markdown) > MARKDOWN_AT_MOST:
        raise Refusal("msg_too_long")
    if not isinstance(attachments, list):
        raise Refusal("invalid_attachments")
    if len(attachments) > ATTACHMENTS_AT_MOST:
        raise Refusal("too_many_attachments")
    checked = check_message(blocks) if blocks else []
    if not (text.strip() or markdown.strip() or checked or attachments):
        raise Refusal("no_text")
    said = text or markdown or (_NO_TEXT if checked else "")
    cut = len(said) > TEXT_AT_MOST
    warning = {"warning": "message_truncated", "response_metadata": {"warnings": ["message_truncated"]}} if cut else {}
    return {"text": said[:TEXT_AT_MOST], "blocks": checked, "attachments": attachments}, warning


def _identity(call: Call) -> Json:
    """The name and picture a post takes instead of the app's."""
    username, emoji, picture = call.text("username"), call.text("icon_emoji"), call.text("icon_url")
    if not (username or emoji or picture):
        return {}
    call.needs("chat:write.customize")
    icons: Json = {"emoji": f":{emoji.strip(':')}:"} if emoji else {"image_48": picture} if picture else {}
    return {"username": username or call.world.app.name, "icons": icons, "subtype": "bot_message"}


def _metadata(call: Call) -> Json | None:
    """Ids the app leaves on its message. None when not given; {} takes them away."""
    metadata = call.json("metadata")
    if metadata is None or metadata == {}:
        return metadata  # type: ignore[no-any-return]
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_payload"), dict):
        raise Refusal("invalid_metadata_format")
    if not isinstance(metadata.get("event_type"), str) or _EVENT_TYPE.fullmatch(metadata["event_type"]) is None:
        raise Refusal("invalid_metadata_format")
    for value in metadata["event_payload"].values():
        if not all(map(_flat, value if isinstance(value, list) else [value])):
            raise Refusal("invalid_metadata_format")
    if len(orjson.dumps(metadata)) > METADATA_AT_MOST:
        raise Refusal("metadata_too_large")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}


def _flat(value: object) -> bool:
    """A plain value, or an object of plain values: docs.slack.dev/messaging/message-metadata."""
    if isinstance(value, dict):
        return all(isinstance(each, (str, int, float, bool)) for each in value.values())
    return isinstance(value, (str, int, float, bool))


def _own(call: Call, ts: str, refused: str) -> Place:
    """One of the app's own messages in a Slack channel it can write to."""
    channel = call.open_channel()
    place = call.place(ts, channel=channel)
    if place.message.bot_id != call.world.app.bot_id:
        raise Refusal(refused)
    return place


def _reacted(call: Call) -> Place:
    if not call.text("timestamp"):
        raise Refusal("no_item_specified")
    channel = call.channel()
    if call.world.app.bot_user not in channel.members:
        raise Refusal("not_in_channel")
    return call.place(call.text("timestamp"), channel=channel)


def _emoji(call: Call) -> str:
    name = call.text("name").strip(":")
    if _EMOJI.fullmatch(name) is None:
        raise Refusal("invalid_name")
    return name
