"""The Telegram emulator, driven by the real aiogram and by a webhook receiver, over HTTP and under a prefix."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.types import (
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    KeyboardButton,
    MessageEntity,
    ReplyKeyboardMarkup,
    ReplyParameters,
    Update,
)
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from sandbox.telegram import ApiError, World, application
from sandbox.telegram.kinds import FILE_KINDS, PLAIN_KINDS, dimensions, picture
from sandbox.telegram.text import checked, parsed, trimmed, units, with_found
from sandbox.telegram.updates import retry_delay

TOKEN = "4711:test-token"
AYSE = 7_000_000_101
IVAN = 7_000_000_102


class Receiver:
    """A webhook receiver that answers what it is told to, 200 by default, and remembers what it got."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: Callable[[dict[str, Any]], web.Response] = lambda update: web.Response()
        self.gate = asyncio.Event()
        self.gate.set()
        self.most = self.under_way = 0
        self.changed = asyncio.Condition()
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        update = await request.json()
        answer = self.answers(update)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        async with self.changed:
            self.got.append(update)
            self.headers.append(dict(request.headers))
            self.changed.notify_all()
        await self.gate.wait()
        self.under_way -= 1
        return answer

    async def until(self, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: condition(self.got))
        return self.got

    def texts(self) -> list[str]:
        return [update["message"]["text"] for update in self.got if "message" in update]


class Sandbox:
    """The emulator under /telegram, with the address of its control side."""

    def __init__(self, world: World, address: str, http: aiohttp.ClientSession) -> None:
        self.world = world
        self.address = address
        self._http = http

    async def tell(self, path: str, **body: Any) -> dict[str, Any]:
        async with self._http.post(f"{self.address}/telegram/control/{path}", json=body) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, answer
            return answer

    async def see(self, path: str) -> dict[str, Any]:
        async with self._http.get(f"{self.address}/telegram/control/{path}") as response:
            assert response.status == 200
            seen: dict[str, Any] = await response.json()
            return seen

    async def call(self, method: str, token: str = TOKEN, **parameters: Any) -> tuple[int, dict[str, Any], str | None]:
        url = f"{self.address}/telegram/bot{token}/{method}"
        async with self._http.post(url, json=parameters) as response:
            return response.status, await response.json(), response.headers.get("Retry-After")

    async def attempted(self, count: int) -> list[dict[str, Any]]:
        """Wait for webhook attempts. They are recorded after the receiver has answered."""
        records = self.world.journal.listen()
        async with asyncio.timeout(20):
            while len(attempts := self.world.journal.attempts()) < count:
                await anext(records)
        await records.aclose()
        return attempts


async def served(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    world = World()
    outer = web.Application()
    outer.add_subapp("/telegram", application(world))
    runner, address = await served(outer)
    async with aiohttp.ClientSession() as http:
        box = Sandbox(world, address, http)
        await box.tell("settings", retry_scale=0.001, per_chat=None, overall=None, set_webhook_seconds=0)
        await box.tell("bots", token=TOKEN, username="kumbara_bot", name="Kumbara")
        await box.tell("users", id=AYSE, first_name="Ayşe", last_name="Kaya", language_code="tr", phone="+905321234567")
        await box.tell("users", id=IVAN, first_name="Иван", username="ivan")
        yield box
    await runner.cleanup()


@pytest.fixture
async def bot(sandbox: Sandbox) -> AsyncIterator[Bot]:
    server = TelegramAPIServer.from_base(f"{sandbox.address}/telegram")
    bot = Bot(TOKEN, session=AiohttpSession(api=server, timeout=20))
    yield bot
    await bot.session.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.receive)
    runner, address = await served(app)
    receiver.url = f"{address}/hook"
    yield receiver
    await runner.cleanup()


async def refusal(call: Any) -> str:
    with pytest.raises(TelegramBadRequest) as caught:
        await call
    return caught.value.message


# how updates come


async def test_a_message_arrives_with_the_secret_and_in_telegrams_shape(
    sandbox: Sandbox, bot: Bot, receiver: Receiver
) -> None:
    await bot.set_webhook(receiver.url, secret_token="s3cret-1", allowed_updates=["message"])
    said = await sandbox.tell("say", user=AYSE, start="abc")
    (raw,) = await receiver.until(lambda got: len(got) == 1)
    assert receiver.headers[0]["X-Telegram-Bot-Api-Secret-Token"] == "s3cret-1"
    assert raw["update_id"] == said["update_ids"][0]
    message = Update.model_validate(raw, context={"bot": bot}).message
    assert message is not None
    assert message.from_user is not None
    assert (message.chat.id, message.chat.type, message.from_user.language_code) == (AYSE, "private", "tr")
    assert message.text == "/start abc"
    assert message.entities is not None
    assert [(entity.type, entity.length) for entity in message.entities] == [("bot_command", 6)]


async def test_a_failing_update_is_retried_until_200_and_holds_up_only_its_own_chat(
    sandbox: Sandbox, bot: Bot, receiver: Receiver
) -> None:
    refusals = iter([503, 500, 302, 404])

    def answers(update: dict[str, Any]) -> web.Response:
        poison = update["message"]["text"] == "one"
        return web.Response(status=next(refusals, 200) if poison else 200)

    receiver.answers = answers
    await bot.set_webhook(receiver.url)
    for text in ("one", "two", "three"):
        await sandbox.tell("say", user=AYSE, text=text)
    await sandbox.tell("say", user=IVAN, text="привет")
    await receiver.until(lambda got: len(got) == 8)
    assert [text for text in receiver.texts() if text != "привет"] == ["one"] * 5 + ["two", "three"]
    attempts = [one for one in await sandbox.attempted(8) if one["body"]["message"]["text"] == "one"]
    assert [(one["status"], one["retry"]) for one in attempts] == [(503, 0), (500, 1), (302, 2), (404, 3), (200, 4)]


@pytest.mark.parametrize("connections", [1, 2])
async def test_chats_are_served_side_by_side_up_to_max_connections(
    sandbox: Sandbox, bot: Bot, receiver: Receiver, connections: int
) -> None:
    receiver.gate.clear()
    await bot.set_webhook(receiver.url, max_connections=connections)
    await sandbox.tell("say", user=AYSE, text="a1")
    await sandbox.tell("say", user=AYSE, text="a2")
    await sandbox.tell("say", user=IVAN, text="b1")
    await receiver.until(lambda got: len(got) == connections)
    receiver.gate.set()
    await receiver.until(lambda got: len(got) == 3)
    assert receiver.most == connections
    assert [text for text in receiver.texts() if text != "b1"] == ["a1", "a2"]


async def test_a_webhook_that_is_gone_for_23_hours_is_removed(sandbox: Sandbox, bot: Bot, receiver: Receiver) -> None:
    receiver.answers = lambda update: web.Response(status=410)
    await bot.set_webhook(receiver.url)
    await sandbox.tell("say", user=AYSE, text="hi")
    await sandbox.attempted(2)
    changes = sandbox.world.journal.listen()
    await sandbox.tell("settings", clock_offset=23 * 3600 + 60)
    while (await anext(changes))["type"] != "bot":
        assert receiver.got
    info = await bot.get_webhook_info()
    assert (info.url, info.pending_update_count) == ("", 1)


async def test_waits_grow_as_telegrams_do() -> None:
    assert [retry_delay(tries) for tries in range(1, 7)] == [0, 2, 4, 8, 16, 32]
    assert all(60 <= retry_delay(tries) <= 120 for tries in range(8, 40))


async def test_retry_after_is_obeyed_until_the_time_scale_lets_it_pass(
    sandbox: Sandbox, bot: Bot, receiver: Receiver
) -> None:
    answers = iter([web.Response(status=503, headers={"Retry-After": "600"})])
    receiver.answers = lambda update: next(answers, web.Response())
    await sandbox.tell("settings", retry_scale=1)
    await bot.set_webhook(receiver.url)
    await sandbox.tell("say", user=AYSE, text="held up")
    await sandbox.tell("say", user=IVAN, text="not held up")
    await sandbox.attempted(2)
    info = await bot.get_webhook_info()
    assert (info.pending_update_count, info.last_error_message) == (
        1,
        "Wrong response from the webhook: 503 Service Unavailable",
    )
    await sandbox.tell("settings", clock_offset=86_401)
    assert (await bot.get_webhook_info()).pending_update_count == 0


async def test_a_receiver_that_is_not_there_loses_nothing(sandbox: Sandbox, bot: Bot, receiver: Receiver) -> None:
    await bot.set_webhook("http://127.0.0.1:9/hook")
    await sandbox.tell("say", user=AYSE, text="anybody?")
    attempts = await sandbox.attempted(2)
    assert {(one["status"], one["error"]) for one in attempts} == {(0, "Connection refused")}
    await bot.set_webhook(receiver.url)
    await receiver.until(lambda got: len(got) == 1)
    assert receiver.texts() == ["anybody?"]


async def test_the_same_update_can_come_twice_and_held_ones_in_another_order(
    sandbox: Sandbox, bot: Bot, receiver: Receiver
) -> None:
    await bot.set_webhook(receiver.url)
    await sandbox.tell("hold")
    ids = []
    for user, text in ((AYSE, "1"), (AYSE, "2"), (IVAN, "3")):
        ids += (await sandbox.tell("say", user=user, text=text))["update_ids"]
    assert (await bot.get_webhook_info()).pending_update_count == 3
    await sandbox.tell("release", order="reverse")
    await receiver.until(lambda got: len(got) == 3)
    assert receiver.texts() == ["3", "2", "1"]
    await sandbox.tell("repeat", update_id=ids[0])
    await receiver.until(lambda got: len(got) == 4)
    assert receiver.got[3] == receiver.got[2]


async def test_polling_confirms_by_offset_and_survives_ids_that_begin_anew(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("settings", next_update_id=1000)
    await sandbox.tell("say", user=AYSE, text="a")
    await sandbox.tell("say", user=AYSE, text="b")
    assert [update.update_id for update in await bot.get_updates()] == [1000, 1001]
    assert [update.update_id for update in await bot.get_updates(offset=1001, limit=1)] == [1001]
    await sandbox.tell("settings", next_update_id=5)
    waiting = asyncio.create_task(bot.get_updates(offset=1002, timeout=20))
    await sandbox.tell("say", user=AYSE, text="c")
    updates = await waiting
    assert updates[-1].update_id == 5


async def test_two_receivers_conflict(sandbox: Sandbox, bot: Bot, receiver: Receiver) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=20))
    second = asyncio.create_task(bot.get_updates(timeout=20))
    done, _ = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
    error = next(iter(done)).exception()
    assert isinstance(error, TelegramConflictError)
    assert "terminated by other getUpdates request" in error.message
    await bot.set_webhook(receiver.url)
    (left,) = {first, second} - done
    with pytest.raises(TelegramConflictError, match="terminated by setWebhook"):
        await left
    with pytest.raises(TelegramConflictError, match="can't use getUpdates method while webhook is active"):
        await bot.get_updates()


async def test_allowed_updates_left_out_stay_and_empty_means_the_default(
    sandbox: Sandbox, bot: Bot, receiver: Receiver
) -> None:
    await bot.set_webhook(receiver.url, allowed_updates=["message", "message_reaction"])
    await bot.set_webhook(receiver.url, secret_token="another")
    assert (await bot.get_webhook_info()).allowed_updates == ["message", "message_reaction"]
    said = await sandbox.tell("say", user=AYSE, text="hi")
    reacted = await sandbox.tell("react", user=AYSE, message_id=said["message_ids"][0], emoji="👍")
    assert reacted["update_id"] is not None
    assert (await sandbox.tell("block", user=AYSE))["update_id"] is None
    await bot.set_webhook(receiver.url, allowed_updates=[])
    assert (await sandbox.tell("unblock", user=AYSE))["update_id"] is not None


async def test_set_webhook_refuses_what_telegram_refuses(sandbox: Sandbox, bot: Bot) -> None:
    assert "HTTPS URL must be provided" in await refusal(bot.set_webhook("http://example.com/hook"))
    assert "only on ports 80, 88, 443 or 8443" in await refusal(bot.set_webhook("https://example.com:444/hook"))
    assert "unallowed characters" in await refusal(bot.set_webhook("https://example.com/h", secret_token="a b"))
    await sandbox.tell("settings", set_webhook_seconds=60)
    await bot.set_webhook("https://example.com/h")
    assert (await sandbox.call("setWebhook", url="https://example.com/h"))[1]["description"] == "Webhook is already set"
    with pytest.raises(TelegramRetryAfter):
        await bot.set_webhook("https://example.com/other")


async def test_a_method_in_the_answer_is_performed(sandbox: Sandbox, bot: Bot, receiver: Receiver) -> None:
    receiver.answers = lambda update: web.json_response({"method": "sendMessage", "chat_id": AYSE, "text": "pong"})
    await bot.set_webhook(receiver.url)
    await sandbox.tell("say", user=AYSE, text="ping")
    records = sandbox.world.journal.listen()
    while not sandbox.world.journal.calls(method="sendMessage"):
        await anext(records)
    state = await sandbox.see("state")
    assert [(entry["from"], entry["text"]) for entry in state["chats"][str(AYSE)]] == [
        ("customer", "ping"),
        ("bot", "pong"),
    ]


# what people do


@pytest.mark.parametrize("kind", ["text", "forward", *FILE_KINDS, *PLAIN_KINDS])
async def test_every_kind_is_read_by_aiogram(sandbox: Sandbox, bot: Bot, kind: str) -> None:
    await sandbox.tell("say", user=AYSE, kind=kind, text="words https://example.com")
    (update,) = await bot.get_updates()
    assert update.message is not None
    assert update.message.content_type == {"forward": "text", "own_contact": "contact"}.get(kind, kind)


async def test_an_album_is_one_update_an_item_with_one_caption(sandbox: Sandbox, bot: Bot) -> None:
    files = [
        {"name": f"{n}.png", "media_type": "image/png", "data": base64.b64encode(picture(20, 20)).decode()}
        for n in "ab"
    ]
    said = await sandbox.tell("say", user=AYSE, kind="photo", caption="broken", files=files)
    assert len(said["message_ids"]) == len(said["update_ids"]) == 2
    messages = [update.message for update in await bot.get_updates()]
    assert [message.caption for message in messages if message] == ["broken", None]
    assert len({message.media_group_id for message in messages if message}) == 1


async def test_an_edit_comes_with_its_date_and_a_deletion_not_at_all(sandbox: Sandbox, bot: Bot) -> None:
    said = await sandbox.tell("say", user=AYSE, text="hallo")
    number = said["message_ids"][0]
    await sandbox.tell("edit", user=AYSE, message_id=number, text="hello")
    await sandbox.tell("delete", user=AYSE, message_id=number)
    first, second = await bot.get_updates()
    assert first.message is not None
    assert second.edited_message is not None
    assert (first.message.text, second.edited_message.text) == ("hallo", "hello")
    assert second.edited_message.edit_date is not None
    (entry,) = (await sandbox.see("state"))["chats"][str(AYSE)]
    assert (entry["text"], entry["edited"], entry["deleted"]) == ("hello", True, True)


async def test_message_ids_are_alike_in_two_chats(sandbox: Sandbox) -> None:
    ids = [(await sandbox.tell("say", user=user, text="hi"))["message_ids"] for user in (AYSE, IVAN)]
    assert ids == [[1], [1]]


async def test_a_blocked_bot_hears_of_it_and_writing_again_unblocks(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    await sandbox.tell("block", user=AYSE)
    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await bot.send_message(AYSE, "hello?")
    await sandbox.tell("say", user=AYSE, text="sorry")
    updates = await bot.get_updates()
    assert [update.event_type for update in updates] == ["message", "my_chat_member", "my_chat_member", "message"]
    changes = [update.my_chat_member for update in updates if update.my_chat_member]
    assert [change.new_chat_member.status for change in changes] == ["kicked", "member"]
    assert (await bot.send_message(AYSE, "hello!")).text == "hello!"


async def test_a_button_can_be_answered_once_and_for_150_seconds(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    button = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Good", callback_data="rate:5")]])
    asked = await bot.send_message(AYSE, "How was it?", reply_markup=button)
    first = await sandbox.tell("press", user=AYSE, message_id=asked.message_id, data="rate:5")
    second = await sandbox.tell("press", user=AYSE, message_id=asked.message_id, data="rate:5")
    assert await bot.answer_callback_query(first["callback_query_id"], "Thanks")
    assert "query is too old" in await refusal(bot.answer_callback_query(first["callback_query_id"]))
    await sandbox.tell("settings", clock_offset=151)
    assert "query is too old" in await refusal(bot.answer_callback_query(second["callback_query_id"]))
    assert [update.event_type for update in await bot.get_updates()] == ["message"]


# what a bot sends


async def test_an_unknown_token_is_401_and_an_unknown_method_404(sandbox: Sandbox) -> None:
    server = TelegramAPIServer.from_base(f"{sandbox.address}/telegram")
    async with Bot("4711:wrong", session=AiohttpSession(api=server)).context() as stranger:
        with pytest.raises(TelegramUnauthorizedError):
            await stranger.get_me()
    assert (await sandbox.call("sendLove"))[0] == 404
    assert (await sandbox.call("GETME"))[1]["result"]["username"] == "kumbara_bot"


async def test_who_never_pressed_start_or_is_gone_cannot_be_written_to(sandbox: Sandbox, bot: Bot) -> None:
    assert await refusal(bot.send_message(AYSE, "hi")) == "Bad Request: chat not found"
    await sandbox.tell("say", user=AYSE, text="hi")
    await bot.send_message(AYSE, "hi")
    await sandbox.tell("deactivate", user=AYSE)
    with pytest.raises(TelegramForbiddenError, match="user is deactivated"):
        await bot.send_message(AYSE, "hi")


async def test_text_is_measured_in_utf16_units(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    assert (await bot.send_message(AYSE, "😀" * 2048)).text == "😀" * 2048
    assert await refusal(bot.send_message(AYSE, "😀" * 2048 + "x")) == "Bad Request: message is too long"
    assert await refusal(bot.send_message(AYSE, " \n ")) == "Bad Request: message text is empty"


async def test_entities_must_fit_their_text(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    bold = MessageEntity(type="bold", offset=3, length=2)
    sent = await bot.send_message(AYSE, "😀 ok", entities=[bold])
    assert [(entity.type, entity.offset, entity.length) for entity in sent.entities or []] == [("bold", 3, 2)]
    long = MessageEntity(type="bold", offset=3, length=3)
    assert "incorrect length" in await refusal(bot.send_message(AYSE, "😀 ok", entities=[long]))
    half = MessageEntity(type="bold", offset=1, length=2)
    assert "middle of a UTF-16 symbol" in await refusal(bot.send_message(AYSE, "😀 ok", entities=[half]))
    assert "unsupported parse_mode" in await refusal(bot.send_message(AYSE, "x", parse_mode="BBCode"))
    assert "can't parse entities" in await refusal(bot.send_message(AYSE, "<b>x", parse_mode="HTML"))
    assert (await bot.send_message(AYSE, "<b>x</b> &amp; y", parse_mode="HTML")).text == "x & y"


async def test_replies_need_their_message_unless_allowed_without(sandbox: Sandbox, bot: Bot) -> None:
    said = await sandbox.tell("say", user=AYSE, text="hi")
    there = ReplyParameters(message_id=said["message_ids"][0])
    sent = await bot.send_message(AYSE, "yes", reply_parameters=there)
    assert sent.reply_to_message is not None
    gone = ReplyParameters(message_id=99)
    assert "message to be replied not found" in await refusal(bot.send_message(AYSE, "yes", reply_parameters=gone))
    lenient = ReplyParameters(message_id=99, allow_sending_without_reply=True)
    assert (await bot.send_message(AYSE, "yes", reply_parameters=lenient)).reply_to_message is None


async def test_keyboards_are_checked_and_shown(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    long = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="x", callback_data="y" * 65)]])
    assert "BUTTON_DATA_INVALID" in await refusal(bot.send_message(AYSE, "x", reply_markup=long))
    share = ReplyKeyboardMarkup(keyboard=[[KeyboardButton(text="My number", request_contact=True)]])
    await bot.send_message(AYSE, "Your number?", reply_markup=share)
    entry = (await sandbox.see("state"))["chats"][str(AYSE)][-1]
    assert entry["markup"]["keyboard"][0][0]["request_contact"] is True


async def test_a_limit_passed_is_429_in_body_and_header(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("settings", per_chat=0.01, per_chat_burst=2)
    await sandbox.tell("say", user=AYSE, text="hi")
    await sandbox.tell("say", user=IVAN, text="hi")
    await bot.send_message(AYSE, "1")
    await bot.send_message(AYSE, "2")
    with pytest.raises(TelegramRetryAfter) as caught:
        await bot.send_message(AYSE, "3")
    assert 90 <= caught.value.retry_after <= 100
    status, body, header = await sandbox.call("sendMessage", chat_id=AYSE, text="4")
    assert (status, str(body["parameters"]["retry_after"])) == (429, header)
    await bot.send_message(IVAN, "another chat has room")


async def test_edits_and_deletions_know_their_limits(sandbox: Sandbox, bot: Bot) -> None:
    said = await sandbox.tell("say", user=AYSE, text="hi")
    sent = await bot.send_message(AYSE, "one")
    where: dict[str, int] = {"chat_id": AYSE, "message_id": sent.message_id}
    assert (await bot.edit_message_text("two", **where)).edit_date  # type: ignore[arg-type, union-attr]
    assert "message is not modified" in await refusal(bot.edit_message_text("two", **where))  # type: ignore[arg-type]
    assert "message to edit not found" in await refusal(bot.edit_message_text("x", chat_id=AYSE, message_id=77))
    theirs = said["message_ids"][0]
    assert "can't be edited" in await refusal(bot.edit_message_text("x", chat_id=AYSE, message_id=theirs))
    await sandbox.tell("settings", clock_offset=48 * 3600 + 5)
    assert "can't be deleted" in await refusal(bot.delete_message(AYSE, sent.message_id))
    await sandbox.tell("settings", clock_offset=0)
    assert await bot.delete_message(AYSE, sent.message_id)
    assert "message to delete not found" in await refusal(bot.delete_message(AYSE, sent.message_id))


async def test_files_travel_both_ways(sandbox: Sandbox, bot: Bot) -> None:
    data = base64.b64encode(b"%PDF-1.7 invoice").decode()
    invoice = {"name": "fatura.pdf", "media_type": "application/pdf", "data": data}
    await sandbox.tell("say", user=AYSE, kind="document", files=[invoice], caption="my invoice")
    (update,) = await bot.get_updates()
    assert update.message is not None
    assert update.message.document is not None
    assert update.message.document.file_name == "fatura.pdf"
    downloaded = await bot.download(update.message.document)
    assert downloaded is not None
    assert downloaded.read() == b"%PDF-1.7 invoice"
    sent = await bot.send_document(AYSE, BufferedInputFile(b"label", "label.pdf"), caption="your label")
    assert sent.document is not None
    assert sent.document.file_size == 5
    again = await bot.send_document(AYSE, sent.document.file_id)
    assert again.document is not None
    assert again.document.file_unique_id == sent.document.file_unique_id
    entry = (await sandbox.see("state"))["chats"][str(AYSE)][1]
    async with aiohttp.ClientSession() as http, http.get(sandbox.address + entry["file"]["url"]) as response:
        assert (response.status, await response.read()) == (200, b"label")


async def test_files_have_limits(sandbox: Sandbox, bot: Bot) -> None:
    huge = {"name": "film.mp4", "media_type": "video/mp4", "size": (20 << 20) + 1}
    await sandbox.tell("say", user=AYSE, kind="video", files=[huge])
    (update,) = await bot.get_updates()
    assert update.message is not None
    assert update.message.video is not None
    assert await refusal(bot.get_file(update.message.video.file_id)) == "Bad Request: file is too big"
    assert "invalid file_id" in await refusal(bot.get_file("nonsense"))
    file = BufferedInputFile(picture(30, 20), "p.png")
    assert "caption is too long" in await refusal(bot.send_photo(AYSE, file, caption="x" * 1025))
    assert "IMAGE_PROCESS_FAILED" in await refusal(bot.send_photo(AYSE, BufferedInputFile(b"no picture", "p.png")))
    assert "non-empty" in await refusal(bot.send_document(AYSE, BufferedInputFile(b"", "x")))
    large = BufferedInputFile(b"x" * ((10 << 20) + 1), "p.png")
    assert "too big for a photo" in await refusal(bot.send_photo(AYSE, large))
    with pytest.raises(TelegramEntityTooLarge):
        await bot.send_document(AYSE, BufferedInputFile(bytes((50 << 20) + 1), "film.mp4"))


async def test_a_download_path_is_good_for_an_hour(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("say", user=AYSE, kind="voice")
    (update,) = await bot.get_updates()
    assert update.message is not None
    assert update.message.voice is not None
    path = (await bot.get_file(update.message.voice.file_id)).file_path
    assert path is not None
    await sandbox.tell("settings", clock_offset=3601)
    with pytest.raises(aiohttp.ClientResponseError) as caught:
        await bot.download_file(path)
    assert caught.value.status == 404


async def test_albums_hold_two_to_ten_of_a_kind(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    photo = InputMediaPhoto(media=BufferedInputFile(picture(30, 20), "a.png"), caption="both")
    other = InputMediaPhoto(media=BufferedInputFile(picture(20, 30), "b.png"))
    sent = await bot.send_media_group(AYSE, [photo, other])
    assert len({message.media_group_id for message in sent}) == 1
    assert [message.caption for message in sent] == ["both", None]
    paper = InputMediaDocument(media=BufferedInputFile(b"x", "x.txt"))
    assert "can't use the media" in await refusal(bot.send_media_group(AYSE, [photo, paper]))
    assert "too many messages" in await refusal(bot.send_media_group(AYSE, [photo] * 11))


async def test_typing_is_seen_for_a_while(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    await bot.send_chat_action(AYSE, "typing")

    async def typing() -> list[int]:
        return next(user["typing"] for user in (await sandbox.see("state"))["users"] if user["id"] == AYSE)

    assert await typing() == [4711]
    await sandbox.tell("settings", clock_offset=6)
    assert await typing() == []


# what goes wrong on request


async def test_dropped_after_it_took_effect_leaves_the_caller_in_doubt(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    await sandbox.tell("trouble", rules=[{"match": "send*", "action": "drop_after", "times": 1}])
    with pytest.raises(TelegramNetworkError):
        await bot.send_message(AYSE, "did it arrive?")
    entry = (await sandbox.see("state"))["chats"][str(AYSE)][-1]
    assert entry["text"] == "did it arrive?"
    (call,) = (await sandbox.see("calls?method=sendMessage"))["calls"]
    assert call["status"] == 200
    assert (await bot.send_message(AYSE, "again")).text == "again"


async def test_dropped_before_it_took_effect_leaves_nothing(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    await sandbox.tell("trouble", rules=[{"match": "sendMessage", "action": "drop_before", "times": 1}])
    with pytest.raises(TelegramNetworkError):
        await bot.send_message(AYSE, "lost")
    assert len((await sandbox.see("state"))["chats"][str(AYSE)]) == 1


async def test_troubles_speak_telegrams_words(sandbox: Sandbox, bot: Bot) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    rules = [
        {"match": "sendMessage", "action": "ratelimit", "retry_after": 7, "times": 1},
        {"match": "sendMessage", "action": "status", "status": 500, "times": 1},
    ]
    await sandbox.tell("trouble", rules=rules)
    with pytest.raises(TelegramRetryAfter) as caught:
        await bot.send_message(AYSE, "x")
    assert caught.value.retry_after == 7
    with pytest.raises(TelegramServerError):
        await bot.send_message(AYSE, "x")
    assert (await bot.send_message(AYSE, "x")).text == "x"


async def test_a_hung_call_is_woken_when_the_trouble_is_lifted(sandbox: Sandbox) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    await sandbox.tell("trouble", rules=[{"match": "sendMessage", "action": "hang", "seconds": 600}])
    records = sandbox.world.journal.listen()
    hanging = asyncio.create_task(sandbox.call("sendMessage", chat_id=AYSE, text="x"))
    while (await anext(records))["type"] != "call":
        assert not hanging.done()
    async with aiohttp.ClientSession() as http:
        await http.delete(f"{sandbox.address}/telegram/control/trouble")
    with pytest.raises(aiohttp.ClientConnectionError):
        await hanging


# what is to be seen


async def test_the_stream_tells_of_each_change_in_order(sandbox: Sandbox, bot: Bot) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{sandbox.address}/telegram/control/stream") as stream:
        assert await stream.content.readline() == b": listening\n"
        await sandbox.tell("say", user=AYSE, text="hi")
        await bot.send_message(AYSE, "hello")
        seen: list[Any] = []
        while len(seen) < 4:
            line = await stream.content.readline()
            if line.startswith(b"data: "):
                seen.append(json.loads(line[6:]))
    assert [record["type"] for record in seen] == ["user", "message", "message", "call"]
    assert [record["seq"] for record in seen] == sorted(record["seq"] for record in seen)
    assert TOKEN not in str(seen)


async def test_a_mistaken_order_is_refused_in_words(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession(f"{sandbox.address}/telegram/control/") as http:
        for path, body, status, words in (
            ("say", {"user": 1, "text": "x"}, 404, "no such user"),
            ("trouble", {"rules": [{"action": "explode"}]}, 400, "action must be one of"),
            ("settings", {"speed": 1}, 400, "no such setting: speed"),
            ("press", {"user": AYSE, "message_id": 5, "data": "x"}, 404, "no such message"),
        ):
            async with http.post(path, json=body) as response:
                assert response.status == status
                assert words in (await response.json())["error"]


async def test_reset_forgets_everything(sandbox: Sandbox) -> None:
    await sandbox.tell("say", user=AYSE, text="hi")
    await sandbox.tell("reset")
    state = await sandbox.see("state")
    assert (state["bots"], state["users"], state["chats"]) == ([], [], {})


# pure rules


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_found_entities_always_fit_their_text(text: str) -> None:
    found = with_found(text, [])
    assert checked(text, found) == found


@given(st.text(alphabet=" \nab😀"), st.integers(0, 20), st.integers(1, 20))
def test_trimming_moves_entities_with_their_words(text: str, start: int, length: int) -> None:
    if start + length > units(text):
        return
    wide = text.encode("utf-16-le")
    covered = wide[2 * start : 2 * (start + length)]
    kept, entities = trimmed(text, [{"type": "bold", "offset": start, "length": length}])
    for entity in entities:
        part = kept.encode("utf-16-le")[2 * entity["offset"] : 2 * (entity["offset"] + entity["length"])]
        assert part in covered


def test_markdown_v2_is_strict() -> None:
    assert parsed(r"*a* \. [b](https://x.y)", "MarkdownV2")[0] == "a . b"
    for broken in ("*a", "a.b", "1-2"):
        with pytest.raises(ApiError, match="can't parse entities"):
            parsed(broken, "MarkdownV2")


def test_pictures_have_the_size_they_claim() -> None:
    assert dimensions(picture(31, 17)) == (31, 17)
    assert dimensions(b"GIF89a\x05\x00\x06\x00") == (5, 6)
    assert dimensions(b"nothing of the kind") is None
