"""Web API methods about files: an address to upload to, completion that shows them a moment later, and what became."""

from __future__ import annotations

import asyncio
import mimetypes
import secrets
import time
from typing import Any

from sandbox.slack.blocks import check_message
from sandbox.slack.calls import Call, method
from sandbox.slack.refusal import Refusal, invalid_arguments
from sandbox.slack.workspace import Channel, File, Message, new_id
from sandbox.slack.world import World

Json = dict[str, Any]


@method("files.getUploadURLExternal", "files:write")
async def get_upload_url(call: Call) -> Json:
    if not call.world.settings.file_uploads:
        raise Refusal("file_uploads_disabled")
    name, length = call.required("filename"), call.text("length")
    if not length.isdecimal() or int(length) < 1:
        raise invalid_arguments("must be greater than or equal to 1 [json-pointer:/length]")
    if int(length) > call.world.settings.max_file_size:
        raise Refusal("file_upload_size_restricted")
    if len(call.text("alt_txt")) > 1000:
        raise Refusal("alt_txt_too_large")
    file = File(
        id=new_id("F"),
        name=name,
        size=int(length),
        user=call.world.app.bot_user,
        created=int(time.time()),
        alt_text=call.text("alt_txt"),
        mimetype=mimetypes.guess_type(name)[0] or "application/octet-stream",
        ticket=secrets.token_urlsafe(24),
    )
    call.world.keep(file)
    return {"upload_url": f"{call.world.base}/upload/v1/{file.ticket}", "file_id": file.id}


def receive(world: World, ticket: str, data: bytes) -> File:
    """Take the bytes for an upload address. Raises `Refusal` unless they are as many as announced."""
    file = next((each for each in world.files.values() if each.ticket == ticket), None)
    if file is None or not ticket:
        raise Refusal("invalid_upload_url")
    if len(data) != file.size:
        raise Refusal("length_mismatch", expected=file.size, received=len(data))
    file.data = data
    world.keep(file)
    return file


@method("files.completeUploadExternal", "files:write")
async def complete_upload(call: Call) -> Json:
    world = call.world
    wanted = call.json("files")
    if not isinstance(wanted, list) or not wanted or not all(isinstance(each, dict) for each in wanted):
        raise invalid_arguments("missing required field: files")
    files = []
    for each in wanted:
        file = world.files.get(str(each.get("id")))
        if file is None or file.deleted or file.user != world.app.bot_user or file.data is None:
            raise Refusal("file_not_found")
        files.append(file)
    channels = [each for each in (call.text("channel_id") or call.text("channels")).split(",") if each]
    if call.text("thread_ts") and len(channels) != 1:
        raise Refusal("invalid_channel" if channels else "invalid_thread_ts")
    places = [_place(call, channel) for channel in channels]
    blocks = check_message(call.json("blocks")) if call.json("blocks") else []
    thread = call.root(places[0], call.text("thread_ts")).ts if call.text("thread_ts") else ""
    for place in places:
        call.count_post(place)
    for file, each in zip(files, wanted, strict=True):
        file.title, file.ticket = str(each.get("title") or ""), ""
    comment = "" if blocks else call.text("initial_comment")
    world.deliveries_under_way.run(_show_later(world, files, places, thread, comment, blocks))
    return {"files": [{"id": file.id, "title": file.title or file.name} for file in files]}


@method("files.info", "files:read")
async def files_info(call: Call) -> Json:
    file = _visible(call)
    world = call.world
    shown = file.json(world.base, world.team.id)
    if file.settled and file.shares:
        names = {channel.id: channel.name for channel in world.channels.values()}
        shown["shares"] = file.shares_json(names, world.team.id)
        for side, family in (("channels", "channels"), ("groups", "groups"), ("ims", "im")):
            shown[side] = [
                each.id for each in world.channels.values() if each.id in file.shares and each.family == family
            ]
    return {"file": shown, "comments": [], "response_metadata": {"next_cursor": ""}}


@method("files.delete", "files:write")
async def files_delete(call: Call) -> Json:
    file = _visible(call)
    if file.user != call.world.app.bot_user:
        raise Refusal("cant_delete_file")
    file.deleted, file.data = True, None
    call.world.tell("file_deleted", file=file.id)
    call.world.emit({"type": "file_deleted", "file_id": file.id, "event_ts": call.world.stamp()})
    return {}


def sees(world: World, file: File) -> bool:
    """The app sees what it uploaded and what is shown in a Slack channel it is in, or that is public."""
    channels = [world.channels[name] for name in file.shares if name in world.channels]
    bot = world.app.bot_user
    return file.user == bot or any(bot in each.members or not (each.is_private or each.is_im) for each in channels)


def _visible(call: Call) -> File:
    file = call.world.files.get(call.text("file"))
    if file is None or not sees(call.world, file):
        raise Refusal("file_not_found")
    if file.deleted:
        raise Refusal("file_deleted")
    return file


def _place(call: Call, channel: str) -> Channel:
    named = Call(world=call.world, method=call.method, arguments={"channel": channel})
    return named.open_channel()


async def _show_later(
    world: World, files: list[File], places: list[Channel], thread: str, comment: str, blocks: list[Json]
) -> None:
    """Show the files a moment after the call was answered, as Slack does once it has looked at them."""
    await asyncio.sleep(world.settings.file_delay)
    for file in files:
        file.settled = True
    for place in places:
        message = Message(channel=place.id, ts=world.new_ts(place), text=comment, blocks=blocks, thread_ts=thread)
        message.user, message.subtype = world.app.bot_user, "file_share"
        message.bot_id, message.app_id = world.app.bot_id, world.app.app_id
        message.files = [file.id for file in files]
        world.share(place, files, message)
