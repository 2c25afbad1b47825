"""The Bot API's methods: what each demands, refuses, and does.

Rule: one function a method, in Telegram's order of complaints. A refusal is an `ApiError` and changes nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sandbox.journal import Json
from sandbox.telegram import kinds
from sandbox.telegram.call import Call
from sandbox.telegram.values import (
    DELETABLE,
    FILE_PATH_LIFE,
    TYPING_LIFE,
    UPDATE_KINDS,
    ApiError,
    Entry,
    File,
    User,
    Webhook,
    bad_request,
    too_many,
)

ACTIONS = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    }
)
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
Answer = tuple[Any, str]  # the result, and a description or ""


# what a bot is


async def get_me(call: Call) -> Answer:
    abilities = {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
    return {**call.bot.plain(), **abilities, "can_connect_to_business": False, "has_main_web_app": False}, ""


async def set_my_commands(call: Call) -> Answer:
    commands = call.json("commands")
    if not isinstance(commands, list) or len(commands) > 100:
        raise bad_request("BOT_COMMANDS_TOO_MUCH" if isinstance(commands, list) else "expected an Array of BotCommand")
    for command in commands:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", str(command.get("command", "")).removeprefix("/")):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(str(command.get("description", ""))) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    call.bot.commands = commands
    return True, ""


async def get_my_commands(call: Call) -> Answer:
    return call.bot.commands, ""


async def get_chat(call: Call) -> Answer:
    wanted = call.text("chat_id")
    user = call.world.users.get(int(wanted)) if wanted.isdigit() else None
    if user is None or call.bot.id not in user.started:
        raise bad_request("chat not found" if wanted else "chat_id is empty")
    accepted = dict.fromkeys(
        ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), False
    )
    names = {"active_usernames": [user.username]} if user.username else {}
    more = {"accent_color_id": user.id % 7, "max_reaction_count": 11, "accepted_gift_types": accepted}
    return {**user.chat(), **names, **more}, ""


# how updates come


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = not ip_address(host).is_global
    except ValueError:
        local = "." not in host or host.endswith((".localhost", ".local", ".internal", ".test"))
    if not host or parts.scheme not in ("http", "https"):
        raise bad_request("invalid webhook URL specified")
    if local:
        # As an own Bot API server started with --local: plain HTTP, any port, private addresses.
        return
    if parts.scheme != "https":
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if (parts.port or 443) not in (443, 80, 88, 8443):
        raise bad_request("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")


async def set_webhook(call: Call) -> Answer:
    url, bot = call.text("url"), call.bot
    if not url:
        return await delete_webhook(call)
    _check_url(url)
    secret = call.text("secret_token")
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", secret):
        raise bad_request("secret token contains unallowed characters")
    wanted = Webhook(
        url=url,
        secret_token=secret,
        max_connections=max(1, min(100, call.integer("max_connections", 40))),
        allowed_updates=_allowed(call),
    )
    drop = call.flag("drop_pending_updates")
    if wanted == bot.webhook and not drop:
        return True, "Webhook is already set"
    now = time.monotonic()
    if now - bot.webhook_set_at < call.world.settings.set_webhook_seconds:
        raise too_many(1)
    bot.webhook_set_at = now
    _change_webhook(call, wanted, drop=drop)
    return True, "Webhook was set"


def _allowed(call: Call) -> tuple[str, ...]:
    """Read allowed_updates: left out, the previous list stays; empty, the default; unknown names are ignored."""
    given = call.json("allowed_updates")
    if given is None:
        return call.bot.webhook.allowed_updates
    if not isinstance(given, list):
        raise bad_request("can't parse allowed updates: Expected an Array")
    return tuple(kind for kind in given if kind in UPDATE_KINDS)


def _change_webhook(call: Call, wanted: Webhook, *, drop: bool) -> None:
    mail = call.world.mail(call.bot)
    if drop:
        mail.drop_pending()
    call.bot.webhook = wanted
    mail.last_error = None
    mail.webhook_changed()
    call.world.tell("bot", {"bot": call.bot.id})


async def delete_webhook(call: Call) -> Answer:
    drop, previous = call.flag("drop_pending_updates"), call.bot.webhook
    if not previous.url and not drop:
        return True, "Webhook is already deleted"
    _change_webhook(call, Webhook(allowed_updates=previous.allowed_updates), drop=drop)
    return True, "Webhook was deleted"


async def get_webhook_info(call: Call) -> Answer:
    return call.world.webhook_info(call.bot), ""


async def get_updates(call: Call) -> Answer:
    webhook = call.bot.webhook
    if not webhook.url:
        call.bot.webhook = Webhook(allowed_updates=_allowed(call))
    limit = max(1, min(100, call.integer("limit", 100)))
    timeout = max(0, min(50, call.integer("timeout")))
    return await call.world.mail(call.bot).poll(call.integer("offset"), limit, timeout), ""


# what a bot says


async def send_message(call: Call) -> Answer:
    user = call.user()
    return call.send(user, "text", call.words(caption=False)), ""


def _send_file(kind: str) -> Callable[[Call], Awaitable[Answer]]:
    async def send_file(call: Call) -> Answer:
        user = call.user()
        caption = {} if kind in ("sticker", "video_note") else call.words(caption=True)
        file = call.file(kind, call.values.get(kind), kind)
        return call.send(user, kind, {**kinds.file_fields(kind, file), **caption}, file=file), ""

    return send_file


async def send_media_group(call: Call) -> Answer:
    user, media = call.user(), call.json("media")
    if not isinstance(media, list):
        raise bad_request("expected an Array of InputMedia")
    if len(media) > 10:
        raise bad_request("too many messages to send as an album")
    if len(media) < 2:
        # Telegram's page demands 2 to 10 items; what an own server says to one was not seen.
        raise bad_request("there must be at least 2 items in a media group")
    types = [str(item.get("type")) if isinstance(item, dict) else "" for item in media]
    mixed = len(set(types)) > 1 and not set(types) <= {"photo", "video"}
    if mixed or not set(types) <= {"photo", "video", "document", "audio"}:
        raise bad_request("can't use the media of the specified type in the album")
    group = {"media_group_id": str(time.time_ns() // 1000)}
    items: list[tuple[str, Json, File]] = []
    for kind, item in zip(types, media, strict=True):
        part = Call(world=call.world, bot=call.bot, values=item, uploads=call.uploads)
        caption = part.words(caption=True)
        file = part.file(kind, item.get("media"), "")
        items.append((kind, {**group, **kinds.file_fields(kind, file), **caption}, file))
    reply = call.reply(user)
    call.world.spend(call.bot, user.id, len(items))
    write = call.world.write_as_bot
    return [write(call.bot, user, kind, {**reply, **body}, file=file).wire for kind, body, file in items], ""


async def send_location(call: Call) -> Answer:
    user = call.user()
    return call.send(user, "location", {"location": _location(call)}), ""


def _location(call: Call) -> Json:
    try:
        place = {"latitude": float(call.text("latitude")), "longitude": float(call.text("longitude"))}
    except ValueError as error:
        raise bad_request("latitude is empty" if not call.text("latitude") else "longitude is empty") from error
    if abs(place["latitude"]) > 90 or abs(place["longitude"]) > 180:
        raise bad_request("wrong location specified")
    return place


async def send_venue(call: Call) -> Answer:
    user, place = call.user(), _location(call)
    venue = {"location": place, "title": call.text("title"), "address": call.text("address")}
    return call.send(user, "venue", {"venue": venue, "location": place}), ""


async def send_contact(call: Call) -> Answer:
    user, phone, name = call.user(), call.text("phone_number"), call.text("first_name")
    if not phone or not name:
        raise bad_request("contact phone number is empty" if not phone else "contact first name is empty")
    surname = {"last_name": call.text("last_name")} if call.text("last_name") else {}
    contact = {"phone_number": phone, "first_name": name, **surname}
    return call.send(user, "contact", {"contact": contact}), ""


async def send_chat_action(call: Call) -> Answer:
    user, action = call.user(), call.text("action")
    if action not in ACTIONS:
        raise bad_request("wrong parameter action in request")
    user.typing[call.bot.id] = call.world.now() + TYPING_LIFE
    call.world.tell("user", {"user": user.id, "typing": action})
    return True, ""


# what a bot changes


def _edit(call: Call, user: User, entry: Entry, changed: Json) -> Answer:
    if changed == {key: value for key, value in entry.wire.items() if key != "edit_date"}:
        raise bad_request(NOT_MODIFIED)
    entry.wire, entry.edited = {**changed, "edit_date": call.world.stamp()}, True
    call.world.show("edited", user.id, entry)
    return entry.wire, ""


def _without(wire: Json, *names: str) -> Json:
    return {key: value for key, value in wire.items() if key not in (*names, "edit_date")}


async def edit_message_text(call: Call) -> Answer:
    user = call.user()
    entry = call.own_entry(user, "edit")
    words, (inline, _) = call.words(caption=False), call.markup()
    if "text" not in entry.wire:
        raise bad_request("there is no text in the message to edit")
    return _edit(call, user, entry, {**_without(entry.wire, "text", "entities", "reply_markup"), **words, **inline})


async def edit_message_caption(call: Call) -> Answer:
    user = call.user()
    entry = call.own_entry(user, "edit")
    words, (inline, _) = call.words(caption=True), call.markup()
    if entry.kind not in kinds.FILE_KINDS or entry.kind in ("sticker", "video_note"):
        raise bad_request("there is no caption in the message to edit")
    kept = _without(entry.wire, "caption", "caption_entities", "reply_markup")
    return _edit(call, user, entry, {**kept, **words, **inline})


async def edit_message_reply_markup(call: Call) -> Answer:
    user = call.user()
    entry = call.own_entry(user, "edit")
    inline, _ = call.markup()
    return _edit(call, user, entry, {**_without(entry.wire, "reply_markup"), **inline})


async def delete_message(call: Call) -> Answer:
    user = call.user()
    entry = call.own_entry(user, "delete")
    if call.world.stamp() - entry.wire["date"] > DELETABLE.total_seconds():
        raise bad_request("message can't be deleted for everyone")
    entry.deleted = True
    call.world.show("deleted", user.id, entry)
    return True, ""


async def answer_callback_query(call: Call) -> Answer:
    question = call.world.questions.get(call.text("callback_query_id"))
    expired = question is None or question.bot != call.bot.id or question.until < call.world.now()
    if question is None or expired or question.answered is not None:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    if len(call.text("text")) > 200:
        raise bad_request("MESSAGE_TOO_LONG")
    question.answered = {"text": call.text("text"), "show_alert": call.flag("show_alert")}
    return True, ""


# files


async def get_file(call: Call) -> Answer:
    file_id = call.text("file_id")
    if not file_id:
        raise bad_request("file_id not specified")
    file = call.world.files.get(file_id)
    if file is None or file.bot != call.bot.id:
        # Of the right form but not ours, or forgotten; anything else is no file_id at all.
        known_form = file_id.startswith("AgAC")
        raise bad_request("wrong file_id or the file is temporarily unavailable" if known_form else "invalid file_id")
    if file.size > kinds.MAX_DOWNLOAD:
        raise bad_request("file is too big")
    if not file.path:
        folder = kinds.FOLDERS.get(_kind_of(file), "documents")
        ending = re.search(r"\.\w{1,8}$", file.name)
        # Telegram's path does not keep the sender's name.
        file.path = f"{folder}/file_{file.number}{ending[0] if ending else ''}"
    file.path_until = call.world.now() + FILE_PATH_LIFE
    return {**file.reference(), "file_path": file.path}, ""


def _kind_of(file: File) -> str:
    broad = file.media_type.partition("/")[0]
    return {"image": "photo", "audio": "audio", "video": "video"}.get(broad, "document")


METHODS: dict[str, Callable[[Call], Awaitable[Answer]]] = {
    "getMe": get_me,
    "setMyCommands": set_my_commands,
    "getMyCommands": get_my_commands,
    "getChat": get_chat,
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
    "getUpdates": get_updates,
    "sendMessage": send_message,
    "sendPhoto": _send_file("photo"),
    "sendDocument": _send_file("document"),
    "sendAudio": _send_file("audio"),
    "sendVoice": _send_file("voice"),
    "sendVideo": _send_file("video"),
    "sendAnimation": _send_file("animation"),
    "sendSticker": _send_file("sticker"),
    "sendVideoNote": _send_file("video_note"),
    "sendMediaGroup": send_media_group,
    "sendLocation": send_location,
    "sendVenue": send_venue,
    "sendContact": send_contact,
    "sendChatAction": send_chat_action,
    "editMessageText": edit_message_text,
    "editMessageCaption": edit_message_caption,
    "editMessageReplyMarkup": edit_message_reply_markup,
    "deleteMessage": delete_message,
    "answerCallbackQuery": answer_callback_query,
    "getFile": get_file,
}
BY_LOWER_CASE = {name.lower(): name for name in METHODS}


def canonical(method: str) -> str:
    """Spell a method as the documentation does; names are case-insensitive."""
    return BY_LOWER_CASE.get(method.lower(), method)


async def perform(call: Call, method: str) -> Answer:
    """Make one call. Raises `ApiError`."""
    perform_it = METHODS.get(method)
    if perform_it is None:
        raise ApiError(404, "Not Found: method not found")
    return await perform_it(call)
