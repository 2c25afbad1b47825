"""The emulated world: bots, people and their chats, and everything people can do.

Rule: a person's action changes the chat first and then becomes an update, as if the app on their phone had done it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from sandbox.journal import Journal, Json
from sandbox.telegram import kinds
from sandbox.telegram.text import MAX_CAPTION, MAX_TEXT, checked, units, with_found
from sandbox.telegram.updates import Mail
from sandbox.telegram.values import (
    CALLBACK_LIFE,
    Bot,
    Chat,
    Entry,
    File,
    Question,
    Settings,
    User,
)
from sandbox.trouble import Troubles

FILES_KEPT = 256 << 20  # bytes over all files; the oldest go first


class World:
    """Every bot, person, chat and file.

    Actions raise ValueError for what the app would not let a person do, `ApiError` for entities that do not fit, and
    KeyError for who or what is not there.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.journal = Journal()
        self.troubles = Troubles()
        self.running = asyncio.Event()
        self.running.set()
        self.answer_call: Callable[[Bot, str, Json], Awaitable[object]] | None = None
        self.bots: dict[str, Bot] = {}  # by token
        self.users: dict[int, User] = {}
        self.chats: dict[tuple[int, int], Chat] = {}  # by bot and user
        self.files: dict[str, File] = {}  # by file_id
        self.questions: dict[str, Question] = {}  # pressed buttons by callback query id
        self._mail: dict[int, Mail] = {}
        self._session: aiohttp.ClientSession | None = None
        self._counter = 0
        self._kept = 0  # bytes of files

    # life

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.settings.clock_offset)

    def stamp(self) -> int:
        return int(self.now().timestamp())

    def session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False)
        return self._session

    async def reset(self) -> None:
        """Forget everybody and everything, settings included. Listeners of the stream stay."""
        for mail in self._mail.values():
            await mail.close()
        self.settings = Settings()
        self.troubles.clear()
        self.running.set()
        self.journal.forget()
        for known in (self.bots, self.users, self.chats, self.files, self.questions, self._mail):
            known.clear()
        self._kept = 0

    async def close(self) -> None:
        for mail in self._mail.values():
            await mail.close()
        self.troubles.clear()
        self.journal.close()
        if self._session is not None:
            await self._session.close()

    def tell(self, kind: str, facts: Json) -> None:
        self.journal.note(kind, datetime.now(UTC), facts)  # what was seen, not what their clocks said

    # who is there

    def add_bot(self, *, token: str, username: str = "support_bot", name: str = "Support") -> Bot:
        """Make a bot known, or rename it. The token is `digits:secret`."""
        number, colon, secret = token.partition(":")
        if not (number.isdigit() and colon and secret):
            raise ValueError("a token is digits, a colon and a secret")
        if bot := self.bots.get(token):
            bot.username, bot.name = username, name
            return bot
        if int(number) in self._mail:
            raise ValueError("another token of this bot is known already")
        bot = self.bots[token] = Bot(token=token, username=username, name=name)

        async def answer_call(method: str, parameters: Json) -> object:
            return None if self.answer_call is None else await self.answer_call(bot, method, parameters)

        self._mail[bot.id] = Mail(bot, self, answer_call, random.randint(10_000_000, 900_000_000))  # noqa: S311
        self.tell("bot", {"bot": bot.id})
        return bot

    def bot(self, name: int | str | None = None) -> Bot:
        """Find a bot by id, username or token; the first one when there is no name."""
        if name is None and self.bots:
            return next(iter(self.bots.values()))
        for bot in self.bots.values():
            if str(name) in (str(bot.id), bot.username, bot.token):
                return bot
        raise KeyError("no such bot" if self.bots else "no bot has been added yet")

    def mail(self, bot: Bot) -> Mail:
        return self._mail[bot.id]

    def add_user(self, *, first_name: str, id: int | None = None, **more: Any) -> User:
        """Add a person, or change the one with this id."""
        number = id or max((*self.users, 7_000_000_000)) + 1  # beyond 32 bits, as today's ids are
        unknown = set(more) - {"last_name", "username", "language_code", "phone", "avatar"}
        if unknown:
            raise ValueError(f"a user has no {', '.join(sorted(unknown))}")
        given = {name: value for name, value in more.items() if value is not None}
        if user := self.users.get(number):
            for name, value in {"first_name": first_name, **given}.items():
                setattr(user, name, value)
        else:
            user = self.users[number] = User(id=number, first_name=first_name, **given)
        self.tell("user", {"user": number})
        return user

    def user(self, number: Any) -> User:
        user = self.users.get(int(number))
        if user is None:
            raise KeyError("no such user")
        return user

    def chat(self, bot: Bot, user: User) -> Chat:
        return self.chats.setdefault((bot.id, user.id), Chat())

    def entry(self, bot: Bot, user: User, message_id: Any) -> Entry:
        entry = self.chat(bot, user).find(int(message_id))
        if entry is None:
            raise KeyError("no such message")
        return entry

    # files

    def add_file(self, bot: Bot, *, name: str, media_type: str, data: bytes, size: int | None = None) -> File:
        self._counter += 1
        width, height = kinds.dimensions(data) or (0, 0)
        file = File(
            bot=bot.id,
            file_id=f"AgAC{secrets.token_urlsafe(36)}",
            unique_id=f"AQAD{secrets.token_urlsafe(9)}",
            name=name,
            media_type=media_type,
            size=len(data) if size is None else size,
            data=data,
            width=width,
            height=height,
            number=self._counter,
        )
        self.files[file.file_id] = file
        self._kept += len(data)
        while (self._kept > FILES_KEPT or len(self.files) > 20_000) and len(self.files) > 1:
            self._kept -= len(self.files.pop(next(iter(self.files))).data)
        return file

    def file_by_unique_id(self, unique_id: str) -> File | None:
        return next((file for file in self.files.values() if file.unique_id == unique_id), None)

    # what people do

    async def say(
        self,
        user: int,
        *,
        bot: int | str | None = None,
        kind: str = "text",
        text: str | None = None,
        entities: Sequence[Json] | None = None,
        caption: str | None = None,
        reply_to: int | None = None,
        files: Sequence[Json] | None = None,
        start: str | None = None,
        extra: Json | None = None,
    ) -> Json:
        """Write as a person; several `files` make an album. Returns `message_ids` and `update_ids`.

        The first contact presses Start, and a person who blocked the bot unblocks it, as the app demands. A file is
        `{name, media_type, data (base64)}`; its `size` may claim more than the data holds. `extra` is merged into the
        message, last.
        """
        who, whom = self.user(user), self.bot(bot)
        bodies = self._bodies(who, whom, kind, text, entities, caption, files, start)
        self._enter(who, whom, announce=start is None and self.settings.start_message)
        reply: Json = {}
        if reply_to is not None:
            answered = {**self.entry(whom, who, reply_to).wire}
            answered.pop("reply_to_message", None)
            reply = {"reply_to_message": answered}
        message_ids, update_ids = [], []
        for shown, body, file in bodies:
            entry = self._write(who, whom, shown, {**reply, **body, **(extra or {})}, file)
            message_ids.append(entry.message_id)
            update_ids.append(self.mail(whom).add("message", entry.wire))
        return {"message_ids": message_ids, "update_ids": [number for number in update_ids if number is not None]}

    def _enter(self, user: User, bot: Bot, *, announce: bool) -> None:
        if user.deactivated:
            raise ValueError("this account is deactivated")
        if bot.id in user.blocked:
            self._membership(user, bot, blocked=False)
        if bot.id not in user.started:
            user.started.add(bot.id)
            self.tell("user", {"user": user.id})
            if announce:
                body = {"text": "/start", "entities": [{"offset": 0, "length": 6, "type": "bot_command"}]}
                self.mail(bot).add("message", self._write(user, bot, "text", body, None).wire)

    def _bodies(
        self,
        user: User,
        bot: Bot,
        kind: str,
        text: str | None,
        entities: Sequence[Json] | None,
        caption: str | None,
        files: Sequence[Json] | None,
        start: str | None,
    ) -> list[tuple[str, Json, File | None]]:
        """Make the fields of the messages a person sends, before anything is changed."""
        if start is not None:
            kind, text = "text", f"/start {start}".strip()
        forward = kinds.forwarded(user, self.stamp()) if kind == "forward" else {}
        if kind in ("text", "forward"):
            text = text or ""
            if not text.strip():
                raise ValueError("the app sends no empty text")
            if units(text) > MAX_TEXT:
                raise ValueError(f"the app splits text beyond {MAX_TEXT} UTF-16 units")
            spans = with_found(text, checked(text, list(entities or [])))
            return [("text", {**forward, "text": text, **({"entities": spans} if spans else {})}, None)]
        if kind in kinds.FILE_KINDS:
            return self._file_bodies(bot, kind, caption if caption is not None else text or "", entities, files)
        if maker := kinds.PLAIN_KINDS.get(kind):
            self._counter += 1
            return [(kind, maker(user, self._counter), None)]
        # A kind this emulator has no words for is all in `extra`, such as what Telegram adds next year.
        return [(kind, {}, None)]

    def _file_bodies(
        self, bot: Bot, kind: str, caption: str, entities: Sequence[Json] | None, files: Sequence[Json] | None
    ) -> list[tuple[str, Json, File | None]]:
        if units(caption) > MAX_CAPTION:
            raise ValueError(f"the app cuts captions at {MAX_CAPTION} UTF-16 units")
        spans = with_found(caption, checked(caption, list(entities or [])))
        given = list(files or [{}])
        if len(given) > 10:
            raise ValueError("an album has at most 10 items")
        group = {"media_group_id": str(random.randint(10**16, 10**17))} if len(given) > 1 else {}  # noqa: S311
        bodies: list[tuple[str, Json, File | None]] = []
        for place, spec in enumerate(given):
            shown = "video" if kind == "photo" and str(spec.get("media_type", "")).startswith("video/") else kind
            file = self._sent_file(bot, shown, spec)
            smaller = None
            if shown == "photo":
                # A photo's sizes are files of their own; the thumbnail is drawn, not scaled.
                smaller = self.add_file(bot, name="", media_type="image/png", data=kinds.picture(90, 56))
            body = {**group, **kinds.file_fields(shown, file, smaller)}
            if caption and place == 0 and shown not in ("sticker", "video_note"):
                body |= {"caption": caption, **({"caption_entities": spans} if spans else {})}
            bodies.append((shown, body, file))
        return bodies

    def _sent_file(self, bot: Bot, kind: str, spec: Json) -> File:
        self._counter += 1
        name, media_type, data = kinds.placeholder(kind, self._counter)
        if "data" in spec:
            try:
                data = spec["data"] if isinstance(spec["data"], bytes) else base64.b64decode(spec["data"])
            except binascii.Error as error:
                raise ValueError("data must be base64") from error
            name, media_type = "", kinds.MEDIA_TYPES[kind]
        name, media_type = spec.get("name") or name, spec.get("media_type") or media_type
        return self.add_file(bot, name=name, media_type=media_type, data=data, size=spec.get("size"))

    def _write(self, user: User, bot: Bot, kind: str, body: Json, file: File | None) -> Entry:
        chat = self.chat(bot, user)
        head: Json = {"message_id": chat.next_id, "from": user.plain(), "chat": user.chat(), "date": self.stamp()}
        chat.next_id += 1
        entry = Entry(bot=bot.id, author="customer", kind=kind, wire={**head, **body}, file=file)
        chat.add(entry)
        self.show("message", user.id, entry)
        return entry

    def write_as_bot(
        self, bot: Bot, user: User, kind: str, body: Json, *, file: File | None = None, markup: Json | None = None
    ) -> Entry:
        """Put a bot's message into a chat."""
        chat = self.chat(bot, user)
        head: Json = {"message_id": chat.next_id, "from": bot.plain(), "chat": user.chat(), "date": self.stamp()}
        chat.next_id += 1
        entry = Entry(bot=bot.id, author="bot", kind=kind, wire={**head, **body}, file=file, markup=markup)
        chat.add(entry)
        user.typing.pop(bot.id, None)
        self.show("message", user.id, entry)
        return entry

    def show(self, change: str, user: int, entry: Entry) -> None:
        self.tell(change, {"user": user, "message": entry.plain("")})

    async def edit(
        self,
        user: int,
        message_id: int,
        *,
        text: str | None = None,
        caption: str | None = None,
        bot: int | str | None = None,
    ) -> Json:
        """Change what a person wrote; a text becomes a caption where there is a file."""
        who, whom = self.user(user), self.bot(bot)
        entry = self.entry(whom, who, message_id)
        if entry.author != "customer":
            raise ValueError("a person edits only their own messages")
        words = text if text is not None else caption or ""
        field = "text" if "text" in entry.wire else "caption"
        if field == "text" and not words.strip():
            raise ValueError("the app sends no empty text")
        spans_field = "entities" if field == "text" else "caption_entities"
        changed = {**entry.wire, field: words, "edit_date": self.stamp()}
        changed.pop(spans_field, None)
        if spans := with_found(words, []):
            changed[spans_field] = spans
        entry.wire, entry.edited = changed, True
        self.show("edited", who.id, entry)
        return {"update_id": self.mail(whom).add("edited_message", changed)}

    async def delete(self, user: int, message_id: int, *, bot: int | str | None = None) -> None:
        """Delete a message for both sides. No update tells a bot of it."""
        who, whom = self.user(user), self.bot(bot)
        entry = self.entry(whom, who, message_id)
        entry.deleted = True
        self.show("deleted", who.id, entry)

    async def press(self, user: int, message_id: int, data: str, *, bot: int | str | None = None) -> Json:
        """Press an inline button. Raises KeyError when the message has none with this data."""
        who, whom = self.user(user), self.bot(bot)
        entry = self.entry(whom, who, message_id)
        rows = entry.wire.get("reply_markup", {}).get("inline_keyboard", [])
        if not any(button.get("callback_data") == data for row in rows for button in row):
            raise KeyError("no such button")
        query = str(random.randint(10**18, 10**19))  # noqa: S311
        self.questions[query] = Question(bot=whom.id, until=self.now() + CALLBACK_LIFE)
        while len(self.questions) > 4000:
            self.questions.pop(next(iter(self.questions)))
        instance = str(whom.id * 31 + who.id)
        body = {"id": query, "from": who.plain(), "message": entry.wire, "chat_instance": instance, "data": data}
        return {"callback_query_id": query, "update_id": self.mail(whom).add("callback_query", body)}

    async def react(self, user: int, message_id: int, emoji: str = "👍", *, bot: int | str | None = None) -> Json:
        """React to a message; an empty emoji takes the reaction away. Bots hear of it only if they asked."""
        who, whom = self.user(user), self.bot(bot)
        self.entry(whom, who, message_id)
        reaction = [{"type": "emoji", "emoji": emoji}] if emoji else []
        body = {"chat": who.chat(), "message_id": int(message_id), "user": who.plain(), "date": self.stamp()}
        update_id = self.mail(whom).add("message_reaction", {**body, "old_reaction": [], "new_reaction": reaction})
        return {"update_id": update_id}

    async def block(self, user: int, *, bot: int | str | None = None) -> Json:
        return {"update_id": self._membership(self.user(user), self.bot(bot), blocked=True)}

    async def unblock(self, user: int, *, bot: int | str | None = None) -> Json:
        return {"update_id": self._membership(self.user(user), self.bot(bot), blocked=False)}

    def _membership(self, user: User, bot: Bot, *, blocked: bool) -> int | None:
        if (bot.id in user.blocked) == blocked:
            return None
        (user.blocked.add if blocked else user.blocked.discard)(bot.id)
        self.tell("user", {"user": user.id})
        member: Json = {"user": bot.plain(), "status": "member"}
        kicked: Json = {"user": bot.plain(), "status": "kicked", "until_date": 0}
        old, new = (member, kicked) if blocked else (kicked, member)
        body = {"chat": user.chat(), "from": user.plain(), "date": self.stamp()}
        return self.mail(bot).add("my_chat_member", {**body, "old_chat_member": old, "new_chat_member": new})

    async def deactivate(self, user: int) -> None:
        """Close a person's account. Bots learn of it only by a 403."""
        who = self.user(user)
        who.deactivated = True
        self.tell("user", {"user": who.id})

    # what goes wrong on the way

    async def raw(self, update: Json, *, bot: int | str | None = None) -> Json:
        """Send any update, whether or not Telegram would."""
        return {"update_id": self.mail(self.bot(bot)).inject(dict(update))}

    async def repeat(self, update_id: int) -> None:
        """Deliver an update again."""
        if not any(mail.repeat(int(update_id)) for mail in self._mail.values()):
            raise KeyError("no such update")

    async def hold(self) -> None:
        """Deliver nothing until `release`."""
        self.running.clear()

    async def release(self, order: str = "") -> None:
        """Deliver what was held back; `reverse` and `shuffle` change its order strictly, over all chats."""
        if order not in ("", "reverse", "shuffle"):
            raise ValueError("order must be reverse or shuffle")
        for mail in self._mail.values():
            if order:
                mail.reorder(order)
        self.running.set()
        for mail in self._mail.values():
            mail.nudge()

    async def settle(self, changes: Json) -> None:
        """Change settings. `next_update_id` makes the ids of every bot go on from there, which may be lower."""
        changes = dict(changes)
        next_id = changes.pop("next_update_id", None)
        self.settings = self.settings.changed(changes)
        for mail in self._mail.values():
            mail.next_id = mail.next_id if next_id is None else int(next_id)

    # what is to be seen

    def webhook_info(self, bot: Bot) -> Json:
        mail, webhook = self.mail(bot), bot.webhook
        info: Json = {"url": webhook.url, "has_custom_certificate": False, "pending_update_count": mail.count}
        if webhook.url:
            info |= {"max_connections": webhook.max_connections, "ip_address": "127.0.0.1"}
        if webhook.url and mail.last_error is not None:
            at, words = mail.last_error
            info |= {"last_error_date": int(at.timestamp()), "last_error_message": words}
        if webhook.allowed_updates:
            info["allowed_updates"] = list(webhook.allowed_updates)
        return info

    def state(self, base: str = "") -> Json:
        """Show everything the page draws. `base` is the URL prefix the emulator is mounted under."""
        now = self.now()
        chats: dict[str, list[Json]] = {}
        for (_, user), chat in self.chats.items():
            chats.setdefault(str(user), []).extend(entry.plain(base) for entry in chat.entries.values())
        return {
            "seq": self.journal.seq,
            "settings": {name: getattr(self.settings, name) for name in Settings.__slots__},
            "bots": [
                {**bot.plain(), "webhook": self.webhook_info(bot), "commands": bot.commands}
                for bot in self.bots.values()
            ],
            "users": [
                {
                    **user.plain(),
                    "phone": user.phone,
                    "avatar": user.avatar,
                    "started": sorted(user.started),
                    "blocked": sorted(user.blocked),
                    "typing": sorted(bot for bot, until in user.typing.items() if until > now),
                    "deactivated": user.deactivated,
                }
                for user in self.users.values()
            ],
            "chats": chats,
        }

    def spend(self, bot: Bot, chat: int, count: int) -> None:
        bot.limits.spend(self.settings, chat, count, time.monotonic())
