"""One Bot API call as it came, and the parameters many methods share, each read with Telegram's complaints.

Rule: reading changes nothing but the store of files; only `send` does, after everything has been read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from sandbox.journal import Json
from sandbox.telegram import kinds
from sandbox.telegram.text import MAX_CAPTION, MAX_TEXT, written
from sandbox.telegram.values import ApiError, Bot, Entry, File, User, bad_request
from sandbox.telegram.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    name: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as it came. Values of a form are text, those of a JSON body are typed: the readers take both."""

    world: World
    bot: Bot
    values: Mapping[str, Any]
    uploads: Mapping[str, Upload]

    def text(self, name: str) -> str:
        value = self.values.get(name, "")
        return value if isinstance(value, str) else str(value)

    def integer(self, name: str, default: int = 0) -> int:
        value = self.values.get(name)
        try:
            return default if value in (None, "") else int(value)
        except (TypeError, ValueError) as error:
            raise bad_request(f"invalid {name} specified") from error

    def flag(self, name: str) -> bool:
        return str(self.values.get(name, "")).lower() in ("true", "1", "yes")

    def json(self, name: str) -> Any:
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return orjson.loads(value) if value else None
        except orjson.JSONDecodeError as error:
            raise bad_request(f"can't parse {name.replace('_', ' ')} JSON object") from error

    def user(self) -> User:
        """Find the private chat's person. Raises 400 or 403 for who cannot be written to."""
        wanted = self.text("chat_id")
        if not wanted:
            raise bad_request("chat_id is empty")
        user = self.world.users.get(int(wanted)) if re.fullmatch(r"\d{1,16}", wanted) else None
        if user is None or self.bot.id not in user.started:
            raise bad_request("chat not found")
        if user.deactivated:
            raise ApiError(403, "Forbidden: user is deactivated")
        if self.bot.id in user.blocked:
            raise ApiError(403, "Forbidden: bot was blocked by the user")
        return user

    def own_entry(self, user: User, verb: str) -> Entry:
        """Find the bot's own message that a call wants to change."""
        number = self.integer("message_id")
        if number <= 0:
            raise bad_request("message identifier is not specified")
        entry = self.world.chat(self.bot, user).find(number)
        if entry is None:
            raise bad_request(f"message to {verb} not found")
        if entry.author != "bot" and verb == "edit":
            raise bad_request("message can't be edited")
        return entry

    def reply(self, user: User) -> Json:
        """Read what the message replies to, as fields of the message."""
        given = self.json("reply_parameters")
        if given is None and self.values.get("reply_to_message_id"):
            allow = self.flag("allow_sending_without_reply")
            given = {"message_id": self.integer("reply_to_message_id"), "allow_sending_without_reply": allow}
        if not given:
            return {}
        if not isinstance(given, dict) or not isinstance(given.get("message_id"), int):
            raise bad_request('can\'t parse reply parameters: Field "message_id" must be of type Number')
        entry = self.world.chat(self.bot, user).find(given["message_id"])
        if entry is None:
            if given.get("allow_sending_without_reply"):
                return {}
            raise bad_request("message to be replied not found")
        return {"reply_to_message": {key: entry.wire[key] for key in entry.wire if key != "reply_to_message"}}

    def words(self, *, caption: bool) -> Json:
        """Read text or caption with entities, as fields of the message."""
        names = ("caption", "caption_entities") if caption else ("text", "entities")
        limit = MAX_CAPTION if caption else MAX_TEXT
        raw, entities, mode = self.text(names[0]), self.json(names[1]), self.text("parse_mode")
        kept, found = written(raw, entities, mode, limit, caption=caption)
        return ({names[0]: kept} if kept else {}) | ({names[1]: found} if found else {})

    def markup(self) -> tuple[Json, Json | None]:
        """Read reply_markup: as fields of the message, and a reply keyboard, which stays out of it."""
        inline, keyboard = kinds.keyboard(self.json("reply_markup"))
        return ({"reply_markup": inline} if inline else {}), keyboard

    def file(self, kind: str, value: Any, field_name: str) -> File:
        """Take an upload, or find a file the bot has seen. Raises 400."""
        name = str(value or "")
        upload = self.uploads.get(name.removeprefix("attach://") if name.startswith("attach://") else field_name)
        if upload is not None:
            kinds.check_upload(kind, len(upload.data), upload.data)
            media_type = kinds.MEDIA_TYPES[kind] if kind != "document" else upload.media_type
            if kind == "photo":
                media_type = upload.media_type if upload.media_type.startswith("image/") else media_type
            return self.world.add_file(self.bot, name=upload.name, media_type=media_type, data=upload.data)
        if not name:
            raise bad_request(f"there is no {kind.replace('_', ' ')} in the request")
        if name.startswith(("http://", "https://")):
            raise bad_request("failed to get HTTP URL content")
        known = self.world.files.get(name)
        if known is None or known.bot != self.bot.id:
            raise bad_request("wrong remote file identifier specified: can't unserialize it. Wrong last symbol")
        return known

    def send(self, user: User, kind: str, body: Json, *, file: File | None = None) -> Json:
        """Spend the limits and put one message into the chat."""
        inline, keyboard = self.markup()
        reply = self.reply(user)
        self.world.spend(self.bot, user.id, 1)
        fields = {**reply, **body, **inline}
        return self.world.write_as_bot(self.bot, user, kind, fields, file=file, markup=keyboard).wire
