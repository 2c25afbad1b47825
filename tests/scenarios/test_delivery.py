"""An agent's answer on its way to Telegram: once, in order, or said to be failed or in doubt."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import structlog

from app.serve import configure_logs
from channels.telegram.adapter import Telegram
from sandbox.telegram.kinds import picture
from tests.providers import SMS
from tests.scenarios.desk import card_shows, say, start_of, thread_shows
from tests.scenarios.test_arrivals import only, quiet, rows, seen, shows
from tests.world import AYSE, MEHMET, SUPPORT, TOKEN, World, eventually

SENT, DELIVERED, DOUBT, FAILED = "white_check_mark", "ballot_box_with_check", "warning", "x"
PHONE = "+905550001001"


async def conversation(world: World, name: str = "Ayşe Yılmaz", text: str = "Kargom nerede?") -> tuple[int, str]:
    """A customer who wrote, and the Slack thread it opened."""
    if world.app is None:
        await world.start()
    customer = world.customer(name)
    await world.telegram.say(customer, text=text)
    card = await world.card_with(name)
    return customer, str(card["ts"])


async def answer(world: World, thread: str, text: str = "", **more: Any) -> str:
    """Write as an agent; returns once Santral has it, so that the next words surely come later."""
    ts = str((await world.slack.post(AYSE, SUPPORT, text, thread_ts=thread, **more))["ts"])
    await eventually(lambda: rows(world, "select 1 from messages where external_id = $1", f"{SUPPORT}:{ts}"))
    return ts


async def reads(world: World, customer: int, *answers: str) -> None:
    """Until the customer's phone shows exactly these answers."""

    async def look() -> bool:
        return await world.answers(customer) == list(answers)

    await eventually(look)


async def mark_of(world: World, ts: str) -> list[str]:
    for root in await world.roots():
        for reply in root["replies"]:
            if reply["ts"] == ts:
                return [mark["name"] for mark in reply["reactions"]]
    return []


async def marked(world: World, ts: str, mark: str) -> None:
    async def look() -> bool:
        return await mark_of(world, ts) == [mark]

    await eventually(look)


def calls(world: World, method: str) -> list[dict[str, Any]]:
    return world.telegram.journal.calls(0, method)


def trouble(world: World, **rule: Any) -> None:
    world.telegram.troubles.add([{"match": "send*", **rule}])


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """What Santral writes to its log, as it would be written."""
    lines = io.StringIO()
    configure_logs(lines)
    yield lines
    structlog.reset_defaults()


async def test_a_blocked_customer_is_shown_and_no_send_is_tried(world: World) -> None:
    customer, thread = await conversation(world)
    await world.telegram.block(customer)
    await shows(world, "🚫")
    ts = await answer(world, thread, "Yarın sizde")
    await marked(world, ts, FAILED)
    await shows(world, "❌ Mesaj ulaşmadı")
    assert calls(world, "sendMessage") == []

    await world.telegram.unblock(customer)
    await shows(world, "👋")
    await answer(world, thread, "Kargonuz yolda")
    await reads(world, customer, "Kargonuz yolda")


async def test_a_new_message_heals_a_block_we_only_heard_of_by_a_403(world: World) -> None:
    customer, thread = await conversation(world)
    trouble(world, action="status", status=403, times=1)
    ts = await answer(world, thread, "Yarın sizde")
    await marked(world, ts, FAILED)
    await shows(world, "🚫", "❌ Mesaj ulaşmadı")
    await quiet(world)
    await answer(world, thread, "Bunu da okuyamaz")
    await eventually(lambda: _failures(world, 2))
    assert len(calls(world, "sendMessage")) == 1

    await world.telegram.say(customer, text="Buradayım")
    await shows(world, "Buradayım")
    await answer(world, thread, "Hoş geldiniz")
    await reads(world, customer, "Hoş geldiniz")


async def _failures(world: World, count: int) -> bool:
    return len(await rows(world, "select 1 from deliveries where status = 9 and code = 'unreachable'")) == count


async def test_a_closed_account_is_told(world: World) -> None:
    customer, thread = await conversation(world)
    await world.telegram.deactivate(customer)
    ts = await answer(world, thread, "Yarın sizde")
    await marked(world, ts, FAILED)
    await shows(world, "❌ Mesaj ulaşmadı")


async def test_telegrams_retry_after_is_obeyed_and_the_order_kept(world: World) -> None:
    customer, thread = await conversation(world)
    trouble(world, action="ratelimit", retry_after=2, times=1)
    for text in ("bir", "iki", "üç"):
        await answer(world, thread, text)
    await reads(world, customer, "bir", "iki", "üç")
    sent = calls(world, "sendMessage")
    assert [call["status"] for call in sent] == [429, 200, 200, 200]
    assert [call["params"]["text"] for call in sent] == ["bir", "bir", "iki", "üç"]
    first, second = (datetime.fromisoformat(call["at"]) for call in sent[:2])
    assert (second - first).total_seconds() >= 2


@pytest.mark.parametrize("rule", [{"status": 500}, {"status": 503}, {"action": "down"}])
async def test_a_provider_in_trouble_delays_and_never_doubles(world: World, rule: dict[str, Any]) -> None:
    customer, thread = await conversation(world)
    trouble(world, **{"action": "status", "times": 2, **rule})
    ts = await answer(world, thread, "Yarın sizde")
    await reads(world, customer, "Yarın sizde")
    await marked(world, ts, SENT)
    assert len(calls(world, "sendMessage")) == 3


@pytest.mark.parametrize("how", ["drop_after", "drop_before"])
async def test_a_line_that_breaks_is_a_doubt_that_a_person_settles_once(world: World, how: str) -> None:
    """Telegram knows no id of ours: whether it arrived, only the customer knows."""
    customer, thread = await conversation(world)
    trouble(world, action=how, times=1)
    ts = await answer(world, thread, "Paranız iade edildi")
    await answer(world, thread, "Başka sorunuz var mı?")
    arrived = ["Paranız iade edildi"] if how == "drop_after" else []
    await reads(world, customer, *arrived, "Başka sorunuz var mı?")
    await marked(world, ts, DOUBT)
    root = await shows(world, "delivery_arrived", "delivery_again")
    (notice,) = [reply for reply in root["replies"] if "delivery_again" in json.dumps(reply["blocks"])]
    assert "Paranız iade edildi" in json.dumps(notice["blocks"], ensure_ascii=False)
    assert len(calls(world, "sendMessage")) == 2

    action = "delivery_arrived" if how == "drop_after" else "delivery_again"
    await asyncio.gather(
        *(world.slack.press(who, action, channel=SUPPORT, ts=notice["ts"]) for who in (AYSE, MEHMET, AYSE)),
    )
    await marked(world, ts, SENT)
    await quiet(world)
    expected = {
        "drop_after": ["Paranız iade edildi", "Başka sorunuz var mı?"],
        "drop_before": ["Başka sorunuz var mı?", "Paranız iade edildi"],
    }
    assert await world.answers(customer) == expected[how]
    root = await only(world)
    assert seen(root, "delivery_again") == 0
    settled = await rows(world, "select by from changes where change ->> 'change' = 'settle_doubt'")
    assert len(settled) == 1


async def test_a_provider_that_says_nothing_is_a_doubt_within_15_seconds(world: World) -> None:
    await world.start()
    assert world.app is not None
    bot = world.app.channels["bot"]
    assert isinstance(bot, Telegram)
    assert bot.config.send_seconds <= 10  # the rest is for Slack; waiting less here changes nothing else
    bot.config = replace(bot.config, send_seconds=0.5)
    customer, thread = await conversation(world)
    trouble(world, action="hang", seconds=30, times=1)
    ts = await answer(world, thread, "Paranız iade edildi")
    await marked(world, ts, DOUBT)
    await shows(world, "delivery_arrived", "delivery_again")
    assert await world.answers(customer) == ["Paranız iade edildi"]


async def test_a_gateways_502_may_have_arrived(world: World) -> None:
    _, thread = await conversation(world)
    trouble(world, action="status", status=502, body="<html>Bad Gateway</html>", times=1)
    ts = await answer(world, thread, "Paranız iade edildi")
    await marked(world, ts, DOUBT)
    await shows(world, "delivery_arrived", "delivery_again")


async def test_a_revoked_token_delays_rings_once_and_stays_secret(world: World, logs: io.StringIO) -> None:
    customer, thread = await conversation(world)
    bot = world.telegram.bots.pop(TOKEN)
    first = await answer(world, thread, "bir")
    root = await shows(world, "⏸")
    other = world.customer("Иван Петров")
    assert "Kumbara" not in root["text"]
    await answer(world, thread, "iki")
    await eventually(lambda: _queued(world, 2))
    await world.stop()
    new = "4711:another-token-of-the-same-bot-012345"
    bot.token = new
    world.telegram.bots[new] = bot
    world.channel["token"] = new
    await world.start(connect=False)
    await reads(world, customer, "bir", "iki")
    await marked(world, first, SENT)
    root = await only(world)
    assert seen(root, "santral check") == 1
    await world.telegram.say(other, text="Где мой заказ?")
    await world.card_with("Где мой заказ?")
    for token in (TOKEN, new):
        assert token not in logs.getvalue()
        assert token.partition(":")[2] not in json.dumps(await world.state())
    assert "work.failed" in logs.getvalue()


async def _queued(world: World, count: int) -> bool:
    return len(await rows(world, "select 1 from deliveries where status = 0")) == count


async def test_the_token_is_in_no_log_and_no_slack_post_whatever_fails(world: World, logs: io.StringIO) -> None:
    """aiogram puts the file's address, which holds the token, into its exceptions."""
    customer, thread = await conversation(world)
    world.telegram.troubles.add(
        [
            {"match": "download", "action": "status", "status": 404, "times": 2},
            {"match": "getFile", "action": "drop_before", "times": 1},
            {"match": "sendMessage", "action": "status", "status": 400, "times": 1},
        ]
    )
    leak = {"ok": False, "error_code": 400, "description": f"Bad Request: see https://x/bot{TOKEN}/sendMessage"}
    world.telegram.troubles.add([{"match": "sendMessage", "action": "status", "status": 400, "json": leak, "times": 1}])
    await world.telegram.say(customer, kind="document", caption="fatura")
    for text in ("bir", "iki", "üç"):
        await answer(world, thread, text)
    await reads(world, customer, "üç")
    await eventually(lambda: _failed_file(world))
    await quiet(world)
    secret = TOKEN.partition(":")[2]
    assert secret not in logs.getvalue()
    assert secret not in json.dumps(await world.state())
    held = await rows(
        world, "select to_jsonb(d)::text as row from deliveries d union all select notice::text from notices"
    )
    assert not [row for row in held if secret in row["row"]]


async def _failed_file(world: World) -> bool:
    return bool(await rows(world, "select 1 from attachments where state = 'failed'"))


async def test_a_long_answer_arrives_in_order_cut_as_telegram_counts(world: World) -> None:
    customer, thread = await conversation(world)
    text = "\n\n".join(f"{number}. " + "😀 kargo " * 250 for number in range(1, 5)).strip()
    ts = await answer(world, thread, text)

    async def whole() -> bool:
        return "".join("".join(await world.answers(customer)).split()) == "".join(text.split())

    await eventually(whole)
    parts = await world.answers(customer)
    assert len(parts) > 2
    assert all(len(part.encode("utf-16-le")) // 2 <= 4096 for part in parts)
    await marked(world, ts, SENT)


async def test_an_agents_file_reaches_the_customer_byte_for_byte(world: World) -> None:
    customer, thread = await conversation(world)
    data = picture(200, 120)
    pdf = b"%PDF-1.4 " + bytes(range(256)) * 40
    ts = await answer(world, thread, "Etiketiniz", files=[("etiket.png", "image/png", data)])
    await marked(world, ts, SENT)
    await answer(
        world, thread, "Faturanız", files=[("fatura.pdf", "application/pdf", pdf), ("a.png", "image/png", data)]
    )

    async def arrived() -> bool:
        return len([message for message in await world.chat(customer) if message["file"]]) == 3

    await eventually(arrived)
    sent = [message for message in await world.chat(customer) if message["from"] == "bot"]
    assert [message["caption"] or message["text"] for message in sent] == ["Etiketiniz", "Faturanız", "", ""]
    kept = [file.data for file in world.telegram.files.values() if file.data in (data, pdf)]
    assert sorted(kept) == sorted([data, pdf, data])


async def test_an_agents_correction_and_withdrawal_follow_to_the_phone(world: World) -> None:
    customer, thread = await conversation(world)
    ts = await answer(world, thread, "Salı günü gelir")
    await marked(world, ts, SENT)
    await world.slack.edit(AYSE, SUPPORT, ts, "Çarşamba günü gelir")
    await reads(world, customer, "Çarşamba günü gelir")
    await world.slack.delete(AYSE, SUPPORT, ts)

    async def gone() -> bool:
        return all(message["deleted"] for message in await world.chat(customer) if message["from"] == "bot")

    await eventually(gone)
    assert len(calls(world, "sendMessage")) == 1


async def test_a_doubt_of_one_customer_holds_nobody_else_up(world: World) -> None:
    first, thread = await conversation(world)
    second, other_thread = await conversation(world, "Иван Петров", "Где мой заказ?")
    trouble(world, action="ratelimit", retry_after=30, times=1)
    await answer(world, thread, "bekleyen")
    await eventually(lambda: calls(world, "sendMessage"))
    await answer(world, other_thread, "Завтра")
    await reads(world, second, "Завтра")
    assert await world.answers(first) == []


async def test_a_restart_sends_what_waited_and_nothing_twice(world: World) -> None:
    customer, thread = await conversation(world)
    trouble(world, action="status", status=503, times=1)
    await answer(world, thread, "bir")
    await answer(world, thread, "iki")
    await eventually(lambda: calls(world, "sendMessage"))
    await world.stop()
    await world.start(connect=False)
    await reads(world, customer, "bir", "iki")
    await quiet(world)
    assert await world.answers(customer) == ["bir", "iki"]


@pytest.mark.parametrize("later", [False, True], ids=["at once", "by a status"])
async def test_a_stop_that_only_the_carrier_heard_is_shown_lasts_and_ends_with_start(world: World, later: bool) -> None:
    """What the customer writes meanwhile is shown and does not end it, as after a STOP that we heard."""
    await world.add_channels("sms")
    twilio = world.providers.twilio
    twilio.add_person("Ayşe Yılmaz", PHONE)
    await twilio.settle({"opt_out_async": later})
    await world.start()
    await twilio.say(PHONE, SMS, "Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    heard, twilio.line(SMS).url = twilio.line(SMS).url, ""  # Twilio takes the word and tells nobody
    await twilio.opt_out(PHONE, SMS)
    twilio.line(SMS).url = heard

    await marked(world, await answer(world, card["ts"], "Yarin sizde"), FAILED)
    told = await thread_shows(world, card["ts"], start_of("customer.ended_silently"))
    assert say("advice.ended_for_good") in str(told) and "START" in str(told)
    failed = await thread_shows(world, card["ts"], start_of("failure.ended_silently"))
    assert say("advice.ended_for_good") in str(failed)
    await card_shows(world, card["ts"], say("card.ended_silently"))

    await twilio.say(PHONE, SMS, "Peki kargom?")
    await thread_shows(world, card["ts"], "Peki kargom?")
    await marked(world, await answer(world, card["ts"], "Yolda"), FAILED)
    assert len(twilio.journal.calls(0, "messages.create")) == 1
    counted = await rows(world, "select count(*) from messages where body ->> 'event' = 'opted_out'")
    assert [tuple(row) for row in counted] == [(1,)]

    await twilio.opt_in(PHONE, SMS)
    await card_shows(world, card["ts"], without=[say("card.ended_silently")])
    await marked(world, await answer(world, card["ts"], "Hos geldiniz"), DELIVERED)
