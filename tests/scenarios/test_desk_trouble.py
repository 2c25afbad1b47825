"""The desk when Slack is slow, strict, gone or lied about: nothing lost, nothing twice, nothing believed unsigned."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import shutil
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from desk.teams import post_lane
from tests.scenarios.desk import (
    answer,
    calls,
    card_of,
    card_shows,
    lines,
    marked,
    opened,
    query,
    received,
    refused,
    say,
    thread_shows,
)
from tests.world import AYSE, MEHMET, SUPPORT, World, eventually

NAMES = ("Ali", "Banu", "Can", "Derya", "Ece", "Fuat", "Gül", "Hakan", "Işıl", "Jale")


# Slack's pace


async def test_a_burst_at_slacks_strict_pace_is_shown_whole_in_order_and_once_without_a_single_429(
    world: World,
) -> None:
    world.workspace["posts_per_second"] = 20
    world.slack.change_settings({"posts_per_second": 20, "burst": 1})
    await world.start()
    customers = [world.customer(name) for name in NAMES]
    said = {name: [f"{name} {number}." for number in range(1, 4)] for name in NAMES}
    for number in range(3):
        for customer, name in zip(customers, NAMES, strict=True):
            await world.telegram.say(customer, text=said[name][number])
    every = [text for texts in said.values() for text in texts]

    async def shown() -> bool:
        return sorted(text for root in await world.roots() for text in lines(root, every)) == sorted(every)

    await eventually(shown)
    for root in await world.roots():
        assert lines(root, every) in said.values()
    assert len(await world.roots()) == len(NAMES)
    assert refused(world) == []


async def test_of_many_who_wait_for_slack_the_urgent_one_comes_first(world: World) -> None:
    await world.start()
    customers = [world.customer(name) for name in NAMES[:5]]
    for customer, name in zip(customers, NAMES, strict=False):
        await world.telegram.say(customer, text=f"Ben {name}")
    await eventually(lambda: len(calls(world, "chat.postMessage")) == 5)
    await query(
        world, "update conversations set priority = 0 from customers p where p.name = 'Ece' and p.id = customer_id"
    )

    before = len(calls(world, "chat.postMessage"))
    world.slack.troubles.add([{"match": "chat.postMessage", "action": "slow", "seconds": 30}])
    await world.telegram.say(customers[0], text="tekrar Ali")
    await eventually(lambda: world.slack.troubles.plain()[0]["fired"])
    for customer, name in zip(customers[1:], NAMES[1:], strict=False):
        await world.telegram.say(customer, text=f"tekrar {name}")

    async def waiting() -> bool:
        return len(await query(world, "select 1 from work where kind = 'mirror'")) == 5

    await eventually(waiting)
    world.slack.troubles.clear()
    await eventually(lambda: len(calls(world, "chat.postMessage")) == before + 5)
    order = [call["arguments"]["text"] for call in calls(world, "chat.postMessage")[before:]]
    assert order[:2] == ["tekrar Ali", "tekrar Ece"]


async def test_a_429_is_waited_out_as_long_as_slack_says(world: World) -> None:
    await world.start()
    world.slack.troubles.add([{"match": "chat.postMessage", "action": "ratelimit", "retry_after": 1, "times": 1}])
    await opened(world)
    (limited,) = refused(world)
    (posted,) = calls(world, "chat.postMessage")
    assert posted["at"] - limited["at"] >= 0.95
    assert [call["method"] for call in world.slack.calls].count("chat.postMessage") == 2


# answers that never came


@pytest.mark.parametrize("action", ["drop_after", "drop_before"])
async def test_a_card_whose_answer_was_lost_is_found_and_not_posted_twice(world: World, action: str) -> None:
    world.slack.troubles.add([{"match": "chat.postMessage", "action": action, "times": 1}])
    await world.start()
    customer, card = await opened(world)
    await answer(world, card, "Buradayız")
    await received(world, customer, "Buradayız")
    assert len(await world.roots()) == 1


async def test_a_line_and_a_file_whose_answers_were_lost_are_not_shown_twice(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    world.slack.troubles.add([{"match": "chat.postMessage", "action": "drop_after", "times": 1}])
    await world.telegram.say(customer, text="Birinci")
    await eventually(lambda: world.slack.troubles.plain()[0]["fired"])
    await world.telegram.say(customer, text="İkinci")
    await thread_shows(world, card["ts"], "İkinci")
    assert lines(await card_of(world, card["ts"]), ["Birinci", "İkinci"]) == ["Birinci", "İkinci"]

    world.slack.troubles.add([{"match": "files.completeUploadExternal", "action": "drop_after", "times": 1}])
    file = {"name": "fiş.pdf", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-1").decode()}
    await world.telegram.say(customer, kind="document", caption="Fişim", files=[file])
    await eventually(lambda: calls(world, "files.info"))

    async def settled() -> bool:
        return not await query(world, "select 1 from work where kind in ('mirror', 'media')")

    await eventually(settled)
    replies = (await card_of(world, card["ts"]))["replies"]
    assert len([reply for reply in replies if reply["files"]]) == 1


async def test_a_reply_in_a_thread_we_do_not_know_of_yet_is_kept_and_matched(world: World) -> None:
    world.slack.troubles.add([{"match": "chat.postMessage", "action": "hang", "seconds": 30, "times": 1}])
    await world.start()
    customer = world.customer("Ayşe Yılmaz")
    await world.telegram.say(customer, text="Merhaba?")
    card = await world.card_with("Merhaba?")  # Slack has it; we are still waiting for its answer
    await answer(world, card, "Hoş geldiniz")
    await world.slack.settle()
    assert await world.answers(customer) == []
    world.slack.troubles.clear()
    await received(world, customer, "Hoş geldiniz")
    assert len(await world.roots()) == 1


# Slack away


async def test_what_happens_while_slack_is_down_appears_afterwards_once_and_in_order(world: World) -> None:
    await world.start()
    (first, one), (second, two) = await asyncio.gather(
        opened(world, "Ben Ali.", "Ali"), opened(world, "Ben Banu.", "Banu")
    )
    await world.slack.down(60)
    texts = ["Bir.", "İki.", "Üç."]
    for text in texts:
        for customer in (first, second):
            await world.telegram.say(customer, text=text)
    third = world.customer("Can")
    await world.telegram.say(third, text="Ben Can.")
    await answer(world, one, "Kesintide yazdım")
    await eventually(lambda: [c for c in world.slack.calls if c["method"] == "chat.postMessage" and c["status"] == 503])
    world.slack.troubles.clear()
    await received(world, first, "Kesintide yazdım")
    await world.card_with("Ben Can.")

    async def shown() -> bool:
        found = [lines(await card_of(world, card["ts"]), texts) for card in (one, two)]
        return found == [texts, texts]

    await eventually(shown)
    assert len(await world.roots()) == 3


@pytest.mark.parametrize("how", ["archive", "kick"])
async def test_while_the_slack_channel_is_closed_to_us_messages_wait_and_come_when_it_opens(
    world: World, how: str
) -> None:
    await world.start()
    customer, card = await opened(world)
    await (world.slack.archive(SUPPORT) if how == "archive" else world.slack.kick(SUPPORT))
    await world.telegram.say(customer, text="Birinci.")
    other = world.customer("Banu")
    await world.telegram.say(other, text="Ben Banu.")
    failed = ["chat.postMessage", "conversations.history"]
    await eventually(
        lambda: len([c for c in world.slack.calls if c["method"] in failed and c["answer"].get("error")]) > 2
    )
    await world.telegram.say(customer, text="İkinci.")
    await (world.slack.archive(SUPPORT, archived=False) if how == "archive" else world.slack.invite(SUPPORT))
    await thread_shows(world, card["ts"], "İkinci.")
    await world.card_with("Ben Banu.")
    assert lines(await card_of(world, card["ts"]), ["Birinci.", "İkinci."]) == ["Birinci.", "İkinci."]


async def test_a_kept_file_that_is_gone_from_the_disk_holds_nothing_up(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    world.slack.troubles.add([{"match": "chat.postMessage", "action": "down"}])
    file = {"name": "fiş.pdf", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-1").decode()}
    await world.telegram.say(customer, kind="document", caption="Fişim", files=[file])
    await eventually(lambda: query(world, "select 1 from attachments where state = 'kept'"))
    shutil.rmtree(world.folder / "var" / "files")
    world.slack.troubles.clear()
    await thread_shows(world, card["ts"], say("file.lost"))
    await world.telegram.say(customer, text="Geldi mi?")
    await thread_shows(world, card["ts"], "Geldi mi?")


async def test_an_alarm_that_slack_did_not_take_rings_when_slack_is_back(world: World) -> None:
    await world.start()
    world.slack.troubles.add([{"match": "chat.postMessage", "action": "down", "times": 2}])
    since = datetime.now(UTC).isoformat()
    notice = {"notice": "parked", "kind": "pull", "since": since, "attempts": 9, "detail": "Telegram is away."}
    await query(world, "insert into notices (key, notice) values ('parked:pull:bot', $1)", json.dumps(notice))
    await query(world, "insert into work (kind, key, lane) values ('alarms', $1, $2)", SUPPORT, post_lane(SUPPORT))
    await world.card_with("Telegram is away.")
    assert len(await world.roots()) == 1


async def test_a_thread_that_cannot_be_posted_to_rings_outside_of_it(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    no = {"ok": False, "error": "restricted_action"}
    world.slack.troubles.add([{"match": "chat.postMessage", "action": "status", "status": 200, "json": no, "times": 2}])
    await world.telegram.say(customer, text="Hâlâ bekliyorum")
    await eventually(
        lambda: query(world, "select 1 from work where kind = 'mirror' and lease is null and attempts = 1")
    )
    await query(world, "update work set attempts = 59, run_at = now(), held_until = '-infinity' where kind = 'mirror'")
    alarm = await world.card_with("chat.postMessage: restricted")
    assert alarm["ts"] != card["ts"]


async def test_without_a_valid_slack_token_we_live_but_are_not_ready(world: World) -> None:
    world.slack.revoked[world.slack.app.bot_token] = "token_revoked"
    starting = asyncio.create_task(world.start())
    async with aiohttp.ClientSession() as session:

        async def asked() -> bool:
            return any(call["method"] == "auth.test" for call in world.slack.calls)

        await eventually(asked)
        async with session.get(f"{world.url}/health/ready") as answer_:
            told = await answer_.json()
            assert (answer_.status, told["ready"], told["slack"], told["database"]) == (503, False, False, True)
        async with session.get(f"{world.url}/health/live") as answer_:
            assert answer_.status == 200
    world.slack.revoked.clear()
    await starting
    assert await world.ready()


async def test_a_button_works_while_slack_limits_the_question_who_we_are(world: World) -> None:
    await world.start()
    _, card = await opened(world)
    world.slack.troubles.add([{"match": "auth.test", "action": "ratelimit"}])
    assert (await world.slack.press(AYSE, "take", channel=SUPPORT, ts=card["ts"])).ok
    await card_shows(world, card["ts"], f"<@{AYSE}>")


async def test_what_is_written_while_we_restart_arrives_by_the_providers_retries(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    await world.stop()
    await answer(world, card, "Güncelleme sırasında yazdım")
    await world.telegram.say(customer, text="Ben de")
    await eventually(lambda: [x for x in world.slack.deliveries if x.get("reason") == "connection_failed"])
    await world.start()
    await received(world, customer, "Güncelleme sırasında yazdım")
    await thread_shows(world, card["ts"], "Ben de")


# events


async def test_an_event_delivered_twice_again_and_hours_later_is_one_message(world: World) -> None:
    world.slack.change_settings({"event_copies": 2})
    await world.start()
    customer, card = await opened(world)
    reply = await answer(world, card, "Yolda")
    await received(world, customer, "Yolda")
    await marked(world, reply, "white_check_mark")
    (event,) = {
        x["event_id"]: x for x in world.slack.deliveries if x["body"].get("event", {}).get("ts") == reply
    }.values()
    for number in (1, 3, 20):
        await world.slack.repeat(event["event_id"], num=number)
    await world.slack.event(event["body"]["event"])  # the same words under another event's name
    await world.slack.settle()

    async def settled() -> bool:
        return not await query(world, "select 1 from slack_events where settled_at is null")

    await eventually(settled)
    assert await world.answers(customer) == ["Yolda"]
    assert len(await query(world, "select 1 from deliveries")) == 1


async def test_an_edit_or_deletion_that_overtakes_its_message_is_not_forgotten(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    said = {"type": "message", "user": AYSE, "channel": SUPPORT, "thread_ts": card["ts"], "team": "T0SANDBOX1"}
    secret = {**said, "ts": "1790000000.000100", "text": "müşteri görmesin"}
    typo = {**said, "ts": "1790000000.000200", "text": "Yarin"}
    right = {**typo, "text": "Yarın", "edited": {"user": AYSE, "ts": "1790000003.000000"}}
    changed = {"type": "message", "hidden": True, "channel": SUPPORT, "ts": "1790000003.000100"}
    for event in (
        {**changed, "subtype": "message_deleted", "deleted_ts": secret["ts"], "previous_message": secret},
        {**changed, "subtype": "message_changed", "message": right, "previous_message": typo},
    ):
        await world.slack.event({**event, "event_ts": event["ts"]})
    await world.slack.settle()
    for event in (secret, typo):
        await world.slack.event({**event, "event_ts": event["ts"]})
    await received(world, customer, "Yarın")


async def test_words_slack_rejects_are_shown_bare_and_hold_nothing_up(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    refusal = {"ok": False, "error": "invalid_blocks"}
    world.slack.troubles.add(
        [{"match": "chat.postMessage", "action": "status", "status": 200, "json": refusal, "times": 1}]
    )
    await world.telegram.say(customer, text="Garip <!channel> *söz*")
    shown = await thread_shows(world, card["ts"], "Garip")
    assert shown["blocks"] == [] and "<!" not in shown["text"]
    await world.telegram.say(customer, text="Sonraki")
    await thread_shows(world, card["ts"], "Sonraki")


def signed(body: bytes, *, secret: str = "sandbox-signing-secret", stamp: str = "") -> dict[str, str]:
    stamp = stamp or str(int(time.time()))
    made = hmac.new(
        secret.encode(), b"v0:" + stamp.encode("utf-8", "replace") + b":" + body, hashlib.sha256
    ).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={made}"}


async def call(
    world: World, path: str, body: bytes, headers: dict[str, str], form: bool = False
) -> tuple[int, dict[str, Any]]:
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{world.url}{path}", data=body, headers={"Content-Type": kind, **headers}) as answered,
    ):
        text = await answered.text()
        return answered.status, json.loads(text) if text.startswith("{") else {}


async def test_what_slack_did_not_sign_just_now_is_refused_and_leaves_no_trace(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    event = {
        "type": "event_callback",
        "event_id": "Ev0FORGED01",
        "event": {"type": "message", "user": AYSE, "channel": SUPPORT, "ts": "1790000000.000100",
                  "thread_ts": card["ts"], "text": "Sahte"},
    }  # fmt: skip
    press = {
        "type": "block_actions",
        "user": {"id": AYSE},
        "channel": {"id": SUPPORT},
        "message": {"ts": card["ts"]},
        "trigger_id": "1.2.3",
        "actions": [{"action_id": "resolve", "block_id": "x", "type": "button", "value": "1", "action_ts": "1.0"}],
    }
    requests = {
        "/slack/events": json.dumps(event).encode(),
        "/slack/interactive": urlencode({"payload": json.dumps(press)}).encode(),
    }
    now = int(time.time())
    for path, body in requests.items():
        for headers in (
            {},
            signed(body, secret="wrong"),
            signed(body + b" "),
            signed(body, stamp=str(now - 330)),
            signed(body, stamp=str(now + 330)),
            signed(body, stamp=f"{now}.5"),
            signed(body, stamp="yesterday"),
            signed(body, stamp="١٢٣"),
            {**signed(body), "X-Slack-Signature": ""},
            {**signed(body), "X-Slack-Signature": "v0=ÿ"},
        ):
            assert (await call(world, path, body, headers, form="interactive" in path))[0] == 401
        assert (await call(world, path, b"\xff", {**signed(body), "X-Slack-Signature": "v0=0"}))[0] == 401
    assert await query(world, "select 1 from slack_events where event_id = 'Ev0FORGED01'") == []
    assert await query(world, "select 1 from quarantine") == []
    assert await query(world, "select 1 from conversations where state <> 'open'") == []
    assert await world.answers(customer) == []


async def test_signed_requests_of_any_shape_are_answered_and_what_cannot_be_read_is_kept(world: World) -> None:
    await world.start()
    customer, card = await opened(world)

    async def events(value: Any) -> tuple[int, dict[str, Any]]:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return await call(world, "/slack/events", body, signed(body))

    assert await events({"type": "url_verification", "challenge": "abc"}) == (200, {"challenge": "abc"})
    fine: list[Any] = [
        {"type": "app_rate_limited", "minute_rate_limited": 1518467820, "team_id": "T0SANDBOX1"},
        {"type": "event_callback", "event_id": "Ev1", "event": {"type": "something_new", "x": {"y": 1}}},
        {"type": "event_callback", "event_id": "Ev2", "event": {"type": "message", "channel": SUPPORT}},
        {"type": "event_callback", "event_id": "Ev3", "event": {"type": "message", "channel": None, "ts": 5}},
        {"type": "event_callback", "event_id": "Ev4"},
        {"type": "event_callback", "event": {"type": "message"}},
        {"type": "event_callback", "event_id": "Ev5",
         "event": {"type": "message", "subtype": "message_replied", "hidden": True, "channel": SUPPORT,
                   "message": {"ts": card["ts"], "thread_ts": card["ts"]}, "ts": "1790000000.000100"}},
    ]  # fmt: skip
    for each in fine:
        assert (await events(each))[0] == 200, each
    nul = {"type": "message", "user": AYSE, "channel": SUPPORT, "ts": "1790000000.000200", "thread_ts": card["ts"]}
    assert (await events({"type": "event_callback", "event_id": "Ev6", "event": {**nul, "text": "a\0b"}}))[0] == 200
    await received(world, customer, "ab")

    unreadable = [b"{not json", b"[]", b'"\\ud800"', b"\xff"]
    odd = {
        "type": "event_callback",
        "event_id": "Ev7",
        "event": {"type": "message", "channel": SUPPORT, "message": "x"},
    }
    for body in [*unreadable, json.dumps(odd).encode()]:
        assert (await events(body))[0] == 400
    kept = await query(world, "select body from quarantine where channel = 'slack' order by id")
    assert [row["body"] for row in kept] == [*unreadable, json.dumps(odd).encode()]

    assert (await call(world, "/slack/interactive", b"\xff", signed(b"\xff"), form=True))[0] == 400
    for form in (
        b"",
        b"payload=",
        b"payload=%7B",
        b"payload=%5B%5D",
        urlencode({"payload": '{"type":"new"}'}).encode(),
    ):
        status, _ = await call(world, "/slack/interactive", form, signed(form), form=True)
        assert 200 <= status < 500, form
    await answer(world, card, "Hâlâ buradayız", MEHMET)
    await received(world, customer, "ab", "Hâlâ buradayız")


async def test_a_message_we_stumble_over_holds_up_only_itself(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    broken = {"type": "message", "channel": SUPPORT, "user": AYSE, "text": "yarın", "thread_ts": card["ts"]}
    await world.slack.event({**broken, "ts": "never", "event_ts": "0"})
    await answer(world, card, "bugün")
    await received(world, customer, "bugün")
    await thread_shows(world, card["ts"], "❌")


async def test_answers_leave_in_the_order_they_were_written_though_slack_tells_of_them_in_another(world: World) -> None:
    world.team["undo_seconds"] = 2
    await world.start()
    customer, card = await opened(world)
    now = datetime.now(UTC).timestamp()
    said = {"type": "message", "channel": SUPPORT, "user": AYSE, "thread_ts": card["ts"]}
    for seconds, text in ((0.2, "ikinci"), (0.1, "birinci")):
        await world.slack.event({**said, "text": text, "ts": f"{now + seconds:.6f}"})
        await eventually(lambda text=text: query(world, f"select 1 from messages where text = '{text}'"))
    await received(world, customer, "birinci", "ikinci")


async def test_an_answer_written_the_moment_a_card_appears_reaches_its_customer(world: World) -> None:
    """Slack tells of it while the card's own thread is just being recorded: it must be found on either side of that."""
    await world.start()
    customers = [world.customer(f"Müşteri {number}") for number in range(30)]
    answered: set[str] = set()

    async def answer_at_once() -> bool:
        for root in await world.roots():
            if root["ts"] not in answered:
                answered.add(root["ts"])
                await answer(world, root, "hoş geldiniz")
        return len(answered) == len(customers)

    for customer in customers:
        await world.telegram.say(customer, text=f"merhaba {customer}")
    await eventually(answer_at_once)
    for customer in customers:
        await received(world, customer, "hoş geldiniz")
