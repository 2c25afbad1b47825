"""Telegram's Bot API as we call it: aiogram's client, and the one place where its failures get our names.

Rule: import this module on first need and in a thread: aiogram takes seconds and a hundred megabytes. Nothing raised
here carries the bot's token or a URL, not even as its cause.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast
from urllib.parse import quote

import aiohttp
import msgspec
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import AiogramError
from aiogram.methods import (
    AnswerCallbackQuery,
    DeleteBusinessMessages,
    DeleteMessage,
    EditMessageCaption,
    EditMessageText,
    GetFile,
    GetMe,
    GetWebhookInfo,
    SendAnimation,
    SendAudio,
    SendChatAction,
    SendDocument,
    SendMessage,
    SendPhoto,
    SendVideo,
    SendVoice,
    SetWebhook,
    TelegramMethod,
)
from aiogram.types import (
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
    MessageEntity,
    ReplyParameters,
    User,
    WebhookInfo,
)
from aiogram.utils.token import TokenValidationError
from aiohttp import ClientTimeout

from channels.errors import (
    FILE_TOO_BIG,
    InDoubt,
    Misconfigured,
    Moved,
    Refused,
    Retry,
    SendFailed,
    Unreachable,
    WindowClosed,
)
from channels.message import Attachment, Choice, Outgoing, Span, SpanKind
from channels.telegram.parse import offsets
from channels.values import name

# --- facts

MAX_PHOTO = 10 << 20  # bytes; a larger picture goes as a document, /bots/api#sendphoto
MAX_UPLOAD = 50 << 20  # /bots/api#sending-files
MAX_PAYLOAD = 64  # bytes of callback_data, /bots/api#inlinekeyboardbutton

SENDERS: dict[str, tuple[type[TelegramMethod[Message]], str]] = {
    "image/jpeg": (SendPhoto, "photo"),
    "image/png": (SendPhoto, "photo"),
    "image/webp": (SendPhoto, "photo"),
    "image/gif": (SendAnimation, "animation"),
    "audio/ogg": (SendVoice, "voice"),
    "audio/mpeg": (SendAudio, "audio"),
    "audio/mp4": (SendAudio, "audio"),
    "audio/x-m4a": (SendAudio, "audio"),
    "video/mp4": (SendVideo, "video"),
}

ENTITIES = {
    SpanKind.BOLD: "bold",
    SpanKind.ITALIC: "italic",
    SpanKind.UNDERLINE: "underline",
    SpanKind.STRIKE: "strikethrough",
    SpanKind.CODE: "code",
    SpanKind.PRE: "pre",
    SpanKind.QUOTE: "blockquote",
    SpanKind.SPOILER: "spoiler",
    SpanKind.LINK: "text_link",
}

# Telegram has no error codes beyond HTTP's: these are pieces of its descriptions, in lower case.
REFUSALS: tuple[tuple[str, type[SendFailed]], ...] = (
    ("chat not found", Unreachable),
    ("user not found", Unreachable),
    ("peer_id_invalid", Unreachable),
    ("deactivated", Unreachable),
    ("user_is_blocked", Unreachable),
    ("chat_write_forbidden", Unreachable),
    ("business_peer_usage_missing", WindowClosed),
    ("temporarily unavailable", Retry),
)
SETUP = {
    401: "Telegram does not accept the bot token. Ask @BotFather for the current one.",
    404: "Telegram knows no bot with this token, or api_url is not Telegram's.",
    409: "Another program asks for this bot's messages with the same token. Stop it, or give each its own bot.",
}
WEBHOOK_SET = 'A webhook is set for this bot, so it cannot be polled. Use receive = "webhook", or remove the webhook.'

# --- client

T = TypeVar("T")


class Answered(Exception):
    """Telegram answered, and not with what was asked for."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body
        super().__init__(status)


class Session(AiohttpSession):
    """aiogram's session, except that the HTTP status survives, line errors stay aiohttp's, and no redirect is followed.

    aiogram alone tells 502 (may have arrived) from 503 (has not) no more than it reads an answer that is not UTF-8.
    """

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: Any = None) -> Any:
        session = await self.create_session()
        url = self.api.api_url(token=bot.token, method=method.__api_method__)
        form = self.build_form_data(bot=bot, method=method)
        async with session.post(url, data=form, timeout=timeout, allow_redirects=False) as response:
            status, body = response.status, await response.read()
        try:
            return self.check_response(bot, method, status, body.decode("utf-8", "replace")).result
        except (AiogramError, TypeError):
            pass
        raise Answered(status, body)

    async def close(self) -> None:
        """aiohttp waits for TLS to end by itself; aiogram would add a quarter of a second to every stop."""
        if self._session is not None:
            await self._session.close()


class Updates(TelegramMethod[list[Any]]):
    """getUpdates without aiogram's types, so that an update newer than they are is not lost."""

    __returning__ = list[Any]
    __api_method__ = "getUpdates"

    offset: int | None = None
    limit: int | None = None
    timeout: int | None = None
    allowed_updates: list[str] | None = None


class Client:
    """Calls that raise `Retry`, `InDoubt`, `Refused` or a subclass, and nothing else. Make it off the event loop."""

    def __init__(self, token: str, api_url: str, *, seconds: float) -> None:
        """`seconds` is how long one call may take before its outcome is in doubt."""
        self.seconds = seconds
        self.session = Session(api=TelegramAPIServer.from_base(api_url))
        try:
            self.bot = Bot(token, session=self.session)
            return
        except TokenValidationError:
            pass
        raise Misconfigured(SETUP[401])

    async def call(self, method: TelegramMethod[T], *, repeatable: bool = False, longer: float = 0) -> T:
        """`repeatable` calls do no harm when made twice, so what is in doubt may simply be tried again."""
        timeout = ClientTimeout(total=self.seconds + longer, sock_connect=min(5, self.seconds))
        try:
            return await self.bot(method, request_timeout=cast(int, timeout))
        except Answered as answer:
            failure = outcome(answer.status, answer.body, repeatable=repeatable)
        except (aiohttp.ClientError, TimeoutError) as error:
            failure = broken(error, repeatable=repeatable)
        except ValueError:
            failure = Refused("The message holds characters that cannot be sent.")
        raise failure

    async def send(self, message: Outgoing) -> Message:
        size = len(message.attachment.data or b"") if message.attachment else 0
        return await self.call(sending(message), longer=size / (256 << 10))  # a slow line still carries 2 Mbit/s

    async def edit(self, connection: str, chat_id: int, message_id: int, message: Outgoing) -> None:
        where: dict[str, Any] = {
            "business_connection_id": connection or None,
            "chat_id": chat_id,
            "message_id": message_id,
            "reply_markup": keyboard(message.choices),
        }
        method: TelegramMethod[Any]
        if message.attachment:
            method = EditMessageCaption(
                **where, caption=message.text, caption_entities=entities(message.text, message.spans)
            )
        else:
            method = EditMessageText(**where, text=message.text, entities=entities(message.text, message.spans))
        try:
            await self.call(method, repeatable=True)
        except Refused as error:
            if "message is not modified" not in error.detail.lower():
                raise

    async def withdraw(self, connection: str, chat_id: int, message_id: int) -> None:
        method: TelegramMethod[bool] = DeleteMessage(chat_id=chat_id, message_id=message_id)
        if connection:
            method = DeleteBusinessMessages(business_connection_id=connection, message_ids=[message_id])
        try:
            await self.call(method, repeatable=True)
        except Refused as error:
            if "message to delete not found" not in error.detail.lower():
                raise

    async def typing(self, message: Outgoing) -> None:
        await self.call(
            SendChatAction(
                chat_id=number(message.to.value),
                action="typing",
                business_connection_id=message.context.get("business_connection_id"),
                message_thread_id=message.context.get("message_thread_id"),
            ),
            repeatable=True,
        )

    async def acknowledge(self, query_id: str) -> None:
        """Take the waiting mark off a button; Telegram stops caring after a few minutes, and so do we."""
        try:
            await self.call(AnswerCallbackQuery(callback_query_id=query_id), repeatable=True)
        except Refused as error:
            if "query is too old" not in error.detail.lower():
                raise

    async def register(self, url: str, *, secret: str, connections: int, kinds: Sequence[str]) -> None:
        """Never drops what waits at Telegram; setting the same again changes nothing there."""
        method = SetWebhook(url=url, secret_token=secret, max_connections=connections, allowed_updates=list(kinds))
        await self.call(method, repeatable=True)

    async def me(self) -> User:
        return await self.call(GetMe(), repeatable=True)

    async def webhook(self) -> WebhookInfo:
        return await self.call(GetWebhookInfo(), repeatable=True)

    async def file(self, file_id: str, *, at_most: int) -> AsyncIterator[bytes]:
        """Stream a file. Its path lives about an hour, so a lost one is asked for once more."""
        timeout = ClientTimeout(total=120, sock_connect=5, sock_read=15)
        for last_try in (False, True):
            url = self.session.api.file_url(self.bot.token, await self.path(file_id))
            failure: SendFailed
            try:
                session = await self.session.create_session()
                async with session.get(url, timeout=timeout, allow_redirects=False) as response:
                    if response.status == 404 and not last_try:
                        continue
                    failure = lost(response.status)
                    if response.status == 200:
                        got = 0
                        async for chunk in response.content.iter_chunked(64 << 10):
                            got += len(chunk)
                            if got > at_most:
                                failure = Refused("The file is larger than Telegram said.", provider_code=FILE_TOO_BIG)
                                break
                            yield chunk
                        else:
                            return
            except (aiohttp.ClientError, TimeoutError) as error:
                failure = broken(error, repeatable=True)
            raise failure

    async def path(self, file_id: str) -> str:
        try:
            path = (await self.call(GetFile(file_id=file_id), repeatable=True)).file_path or ""
        except Refused as error:
            if "file is too big" in error.detail.lower():
                error.provider_code = FILE_TOO_BIG
            raise
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise Refused("Telegram does not hand out this file.")
        return quote(path)

    async def updates(self, offset: int | None, *, wait: int, kinds: Sequence[str]) -> list[Any]:
        method = Updates(offset=offset, limit=100, timeout=wait, allowed_updates=list(kinds))
        return await self.call(method, repeatable=True, longer=wait)

    async def close(self) -> None:
        await self.session.close()


# --- what we send


def sending(message: Outgoing) -> TelegramMethod[Message]:
    """The one call that sends `message`. Raises `Refused` for what Telegram surely would not take."""
    frame: dict[str, Any] = {
        "chat_id": number(message.to.value),
        "business_connection_id": message.context.get("business_connection_id"),
        "message_thread_id": message.context.get("message_thread_id"),
        "reply_parameters": answered(message),
        "reply_markup": keyboard(message.choices),
        "parse_mode": None,
    }
    formatting = entities(message.text, message.spans)
    if message.attachment is None:
        return SendMessage(**frame, text=message.text, entities=formatting)
    method, field = sender(message.attachment)
    frame[field] = upload(message.attachment)
    frame |= {"caption": message.text or None, "caption_entities": formatting}
    return method(**frame)


def sender(attachment: Attachment) -> tuple[type[TelegramMethod[Message]], str]:
    method, field = SENDERS.get(attachment.media_type.partition(";")[0].strip().lower(), (SendDocument, "document"))
    if method is SendPhoto and len(attachment.data or b"") > MAX_PHOTO:
        return SendDocument, "document"
    return method, field


def upload(attachment: Attachment) -> BufferedInputFile:
    if not attachment.data:
        raise Refused("The file is empty.")
    if len(attachment.data) > MAX_UPLOAD:
        raise Refused(f"Telegram takes files of up to {MAX_UPLOAD >> 20} MB.")
    return BufferedInputFile(attachment.data, filename=name(attachment.filename.replace('"', "'"), 200) or "file")


def entities(text: str, spans: Sequence[Span]) -> list[MessageEntity] | None:
    starts = offsets(text)
    inside = [span for span in spans if 0 <= span.start < span.end <= len(text)]
    return [
        MessageEntity(
            type=ENTITIES[span.kind],
            offset=starts[span.start],
            length=starts[span.end] - starts[span.start],
            url=span.url or None,
        )
        for span in inside
        if span.url or span.kind is not SpanKind.LINK
    ] or None


def keyboard(choices: Sequence[Choice]) -> InlineKeyboardMarkup | None:
    if any(len(choice.payload.encode("utf-8", "replace")) > MAX_PAYLOAD for choice in choices):
        raise Refused(f"A button carries up to {MAX_PAYLOAD} bytes.")
    rows = [[InlineKeyboardButton(text=choice.label, callback_data=choice.payload)] for choice in choices]
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def answered(message: Outgoing) -> ReplyParameters | None:
    """The message this one answers. A button press has no number of its own, and numbers differ from chat to chat."""
    connection = message.context.get("business_connection_id")
    chat = f"{connection}:{message.to.value}" if connection else message.to.value
    answered_chat, _, message_id = message.reply_to.rpartition(":")
    if answered_chat != chat or not re.fullmatch("[0-9]{1,18}", message_id, re.ASCII):
        return None
    return ReplyParameters(message_id=int(message_id), allow_sending_without_reply=True)


def number(value: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,19}", value, re.ASCII):
        raise Refused("This address or message has no number at Telegram.")
    return int(value)


# --- what went wrong


class Parameters(msgspec.Struct):
    retry_after: float | None = None
    migrate_to_chat_id: int | None = None


class Refusal(msgspec.Struct):
    error_code: int | None = None
    description: str = ""
    parameters: Parameters = msgspec.field(default_factory=Parameters)


def outcome(status: int, body: bytes, *, repeatable: bool = False) -> SendFailed:
    """Name an answer that is not the one asked for by what to do next: docs at /bots/api#making-requests."""
    try:
        refusal = msgspec.json.decode(body, type=Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        refusal = Refusal()
    if status < 400 and refusal.error_code:
        status = refusal.error_code
    words, code = told(refusal.description), str(status)
    if refusal.parameters.migrate_to_chat_id:
        return Moved(str(refusal.parameters.migrate_to_chat_id))
    if status == 429 or refusal.parameters.retry_after:
        wait = refusal.parameters.retry_after
        after = None if wait is None else timedelta(seconds=min(max(wait, 0), 86400))
        return Retry(words, after=after, provider_code=code)
    if status in (500, 503):
        return Retry(words, whole_channel=status == 503, provider_code=code)
    if status in SETUP:
        return Misconfigured(WEBHOOK_SET if "webhook" in words.lower() else SETUP[status], provider_code=code)
    if status == 403:
        return Unreachable(words, provider_code=code)
    if status == 413:
        return Refused(words or "The file is too large for Telegram.", provider_code=code)
    if 400 <= status < 500:
        kind = next((kind for piece, kind in REFUSALS if piece in words.lower()), Refused)
        return kind(words, provider_code=code)
    return (Retry if repeatable else InDoubt)(words, provider_code=code)


def broken(error: Exception, *, repeatable: bool = False) -> SendFailed:
    """Name a line that broke: nothing was written before the connection stood."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Retry("Telegram cannot be reached.", whole_channel=True)
    if isinstance(error, aiohttp.InvalidURL):
        return Misconfigured("api_url is not a web address.")
    return Retry("The line to Telegram broke.") if repeatable else InDoubt()


def lost(status: int) -> SendFailed:
    """Name what a download answered; its body may be anybody's, so it is not read."""
    if status == 429 or status >= 500:
        return Retry("Telegram does not hand out the file now.", provider_code=str(status))
    return Refused("Telegram does not have the file any more.", provider_code=str(status))


def told(description: str) -> str:
    """Telegram's words, without anything that looks like an address or a bot's token."""
    return name(re.sub(r"\S*://\S*|\d{3,}:[\w-]{10,}", "…", description), 300)
