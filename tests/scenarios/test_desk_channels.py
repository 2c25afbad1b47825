"""The desk for channels with windows, echoes, opt-outs and unsent messages: what agents see of them and can do."""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from channels.message import (
    Address,
    AddressChanged,
    Event,
    OptedIn,
    OptedOut,
    Proof,
    Receipt,
    Received,
    SentElsewhere,
    Status,
    Withdrawn,
)
from inbox.store import work
from tests.providers import BUSINESS_ID, NUMBER_ID
from tests.scenarios.desk import (
    Json,
    answer,
    calls,
    card_of,
    card_shows,
    lines,
    marked,
    opened,
    query,
    received,
    say,
    start_of,
    thread_shows,
)
from tests.world import AYSE, MEHMET, SUPPORT, World, eventually

PHONE = Address(kind="phone", value="+905550001122")


def telegram(customer: int) -> Address:
    return Address(kind="telegram", value=str(customer))


async def happens(world: World, *events: Event) -> None:
    """What an adapter would have read."""
    assert world.app is not None
    await world.app.intake.receive(events)


async def on_whatsapp(world: World, customer: int, text: str = "Buradan da yazayım") -> None:
    """The same customer writes by WhatsApp, proven by their Telegram id."""
    proofs = ((telegram(customer), Proof.PLATFORM),)
    await happens(
        world,
        Received(
            channel="whatsapp",
            external_id=f"wamid.{text}",
            sender=PHONE,
            sent_at=datetime.now(UTC),
            text=text,
            proof=Proof.CARRIER,
            proofs=proofs,
        ),
    )


async def hours_later(world: World, hours: float) -> None:
    """As if so much time had passed since anything was said on WhatsApp; whoever watches windows looks."""
    back = timedelta(hours=hours)
    await query(world, "update messages set sent_at = sent_at - $1::interval where channel = 'whatsapp'", back)
    for row in await query(world, "select id::text from conversations"):  # what has ended may be due again
        await query(world, work.PUT, ["closing"], [row["id"]], [""], [2], [None])


async def again(world: World, kind: str) -> None:
    """Have all work of a kind done once more, now."""
    for row in await query(world, "select key from work where kind = $1", kind):
        await query(world, work.PUT, [kind], [row["key"]], [""], [2], [None])


async def window(world: World) -> Any:
    """The window that is open, once one is."""
    return await eventually(lambda: next(iter(world.slack.views.values()), None))


async def button(world: World, ts: str, words: str, start: str) -> Json:
    """The first button whose action begins so, below the reply in a thread that shows these words."""
    reply = await thread_shows(world, ts, words)
    elements = [each for block in reply["blocks"] if block["type"] == "actions" for each in block["elements"]]
    return {**next(each for each in elements if each["action_id"].startswith(start)), "ts": reply["ts"]}


async def press(world: World, who: str, found: Json) -> None:
    await world.slack.press(who, found["action_id"], channel=SUPPORT, ts=found["ts"], value=found["value"])


def after(key: str, **values: str) -> str:
    """The end of a text, behind what it names last of that which is not given."""
    return say.template(key).format_map(defaultdict(lambda: "§", values)).rpartition("§")[2]


async def without_buttons(world: World, ts: str, words: str) -> Json:
    """The reply in a thread that shows these words, once it has nothing to press."""

    async def look() -> Json | None:
        replies = (await card_of(world, ts))["replies"]
        return next((x for x in replies if words in str(x) and "'actions'" not in str(x["blocks"])), None)

    found = await eventually(look)
    assert found
    return found


# said elsewhere


async def test_an_answer_given_in_another_app_stands_in_the_thread_as_such_and_carries_no_mark(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    to, at = telegram(customer), datetime.now(UTC)
    await happens(
        world,
        SentElsewhere(channel="bot", external_id="e1", to=to, at=at, text="Yarın elinizde", app="WhatsApp Business"),
        SentElsewhere(channel="bot", external_id="e2", to=to, at=at, stub="revoke"),
    )
    await again(world, "echo")
    shown = await thread_shows(world, card["ts"], "Yarın elinizde")
    assert say("aside.elsewhere", app="WhatsApp Business") in shown["text"]
    assert shown["username"].startswith(say("word.shop"))
    untold = await thread_shows(world, card["ts"], say("aside.elsewhere_untold"))
    assert say.word("stub", "revoke") in str(untold)
    await card_shows(world, card["ts"], say.word("state", "waiting"))

    async def settled() -> bool:
        return not await query(world, "select 1 from work where kind in ('marks', 'mirror', 'echo')")

    await eventually(settled)
    assert await world.answers(customer) == []
    thread = world.slack.channels[SUPPORT].messages
    assert not thread[shown["ts"]].reactions and not thread[untold["ts"]].reactions


# another number


async def test_a_changed_number_is_told_and_one_that_is_somebody_else_s_is_only_suggested(world: World) -> None:
    await world.start()
    customer, card = await opened(world, "Kargom nerede?", "Ayşe Yılmaz")
    other, _ = await opened(world, "İade istiyorum", "Deniz Kaya")
    new = Address(kind="telegram", value="990001")
    at = datetime.now(UTC)
    await happens(world, AddressChanged(channel="bot", old=telegram(customer), new=telegram(other), at=at))
    told = await thread_shows(world, card["ts"], start_of("customer.moved_look"))
    assert "Deniz Kaya" in str(told) and "/archives/" in str(told) and str(other) in str(told)
    await happens(world, AddressChanged(channel="bot", old=telegram(customer), new=new, at=at))
    told = await thread_shows(world, card["ts"], start_of("customer.moved_on"))
    assert str(customer) in str(told) and "990001" in str(told)
    assert len(await query(world, "select 1 from customers")) == 2


# stop


async def test_who_wrote_stop_is_shown_with_their_word_and_with_what_brings_them_back(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    sender = telegram(customer)
    await happens(world, OptedOut(channel="bot", sender=sender, at=datetime.now(UTC), why="wrote DUR", lasting=True))
    told = await thread_shows(world, card["ts"], say("advice.ended_for_good"))
    assert "DUR" in str(told)
    await card_shows(world, card["ts"], say("card.ended", words="DUR"))

    reply = await answer(world, card, "Kampanyamız var")
    await marked(world, reply, "x")
    failed = await thread_shows(world, card["ts"], start_of("failure.ended"))
    assert "DUR" in str(failed) and say("advice.ended_for_good") in str(failed)
    assert await world.answers(customer) == []

    await happens(world, OptedIn(channel="bot", sender=sender, at=datetime.now(UTC)))
    await thread_shows(world, card["ts"], "👋")
    await card_shows(world, card["ts"], without=[say("card.ended", words="DUR")])


# windows


async def test_the_card_says_when_the_window_closes_warns_once_and_says_that_it_closed(world: World) -> None:
    await world.add_channels("whatsapp")
    await world.start()
    customer, card = await opened(world)
    await card_shows(world, card["ts"], "Telegram", without=["🕓"])
    await on_whatsapp(world, customer)
    await card_shows(world, card["ts"], "🕓", "({ago})", "WhatsApp")

    await hours_later(world, 22.5)
    warned = await thread_shows(world, card["ts"], say("closing.advice"))
    assert "Ayşe Yılmaz" in str(warned) and "WhatsApp" in str(warned)
    await again(world, "closing")
    await world.telegram.say(customer, text="Merhaba?")
    await thread_shows(world, card["ts"], "Merhaba?")
    await query(
        world, "update conversations set channel = 'whatsapp', address_id = a.id from addresses a where kind = 'phone'"
    )
    await hours_later(world, 2)
    await card_shows(world, card["ts"], "🔒", without=["🕓"])
    replies = (await card_of(world, card["ts"]))["replies"]
    assert sum(say("closing.advice") in str(reply) for reply in replies) == 1


async def test_what_the_window_kept_back_goes_out_another_way_once_however_often_it_is_pressed(world: World) -> None:
    await world.add_channels("whatsapp")
    await world.start()
    customer, card = await opened(world)
    await on_whatsapp(world, customer)
    await thread_shows(world, card["ts"], "Buradan da yazayım")
    await hours_later(world, 25)
    reply = await answer(world, card, "Kargonuz bugün elinizde")
    await marked(world, reply, "x")
    other = await button(world, card["ts"], say("advice.window_closed"), "answer_by_")
    assert other["text"]["text"] == say("button.answer_by", channel="Telegram")

    await asyncio.gather(*(press(world, who, other) for who in (AYSE, MEHMET, AYSE)))
    await received(world, customer, "Kargonuz bugün elinizde")
    await marked(world, reply, "white_check_mark")
    await without_buttons(world, card["ts"], after("failure.sent_another_way", channel="Telegram"))
    assert len(await query(world, "select 1 from deliveries where channel = 'bot'")) == 1


async def test_outside_the_window_an_approved_template_is_filled_and_sent_letter_by_letter(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    body = "Merhaba {{1}}, {{2}} numaralı siparişiniz yola çıktı."
    approved = ["[[approved]]", 'channel = "whatsapp"', 'name = "order_update"', 'language = "tr"']
    approved += [
        'category = "utility"',
        f'body = "{body}"',
        'variables = ["customer", "order"]',
        'reply = "order-status"',
    ]
    (folder / "approved.toml").write_text("\n".join(approved), "utf-8")
    world.settings["templates"] = str(folder)
    providers = await world.add_channels("whatsapp")
    providers.meta.add_person("ayse", "Ayşe Yılmaz", phone=PHONE.value)
    providers.meta.add_template(BUSINESS_ID, name="order_update", language="tr", body=body)
    await world.start()
    customer, card = await opened(world)
    await on_whatsapp(world, customer)
    await thread_shows(world, card["ts"], "Buradan da yazayım")
    await hours_later(world, 25)
    await answer(world, card, "Kargonuz yolda")
    found = await button(world, card["ts"], say("advice.window_closed"), "template")
    await press(world, AYSE, found)
    view = await window(world)
    assert say("template.closed", channel="WhatsApp") in str(view.body)
    (menu,) = (block for block in view.body["blocks"] if block.get("block_id") == "template")
    (option,) = menu["elements"][0]["options"]
    await world.slack.press(AYSE, "template_choice", view_id=view.id, value=option["value"])
    box: Json = await eventually(lambda: next((dict(x) for x in view.body["blocks"] if x["type"] == "input"), {}))
    typed = {box["block_id"]: "TR-1042"}
    await world.slack.submit(AYSE, view.id, typed)
    whole = "Merhaba Ayşe Yılmaz, TR-1042 numaralı siparişiniz yola çıktı."
    await eventually(lambda: whole in str(view.body["blocks"]))
    await world.slack.submit(AYSE, view.id, typed)
    shown = await thread_shows(world, card["ts"], say("aside.agent", channel="WhatsApp"))
    assert "TR-1042" in str(shown["blocks"])
    await marked(world, shown["ts"], "ballot_box_with_check")
    line = providers.meta.accounts.lines[NUMBER_ID]
    assert whole in str(providers.meta.chat(line, "ayse").entries)


async def test_agents_choose_where_to_answer_until_the_customer_writes_again(world: World) -> None:
    await world.add_channels("whatsapp")
    await world.start()
    customer, card = await opened(world)
    await on_whatsapp(world, customer)
    await thread_shows(world, card["ts"], "Buradan da yazayım")
    await world.slack.press(AYSE, "more", channel=SUPPORT, ts=card["ts"])
    view = await window(world)
    (menu,) = (block for block in view.body["blocks"] if block.get("block_id") == "place")
    places = {option["text"]["text"]: option["value"] for option in menu["element"]["options"]}
    assert list(places) == ["WhatsApp", "Telegram"]
    await world.slack.submit(AYSE, view.id, {"place": places["Telegram"]})
    await card_shows(world, card["ts"], say("card.answers_by", channel="Telegram"))
    await answer(world, card, "Telegram'dan yazıyorum")
    await received(world, customer, "Telegram'dan yazıyorum")
    await on_whatsapp(world, customer, "Gördüm")
    await card_shows(world, card["ts"], without=[say("card.answers_by", channel="Telegram")])


# taken back


async def test_what_the_platform_asks_to_forget_is_masked_everywhere_and_its_files_leave_slack(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    file = {"name": "kimlik.pdf", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-1").decode()}
    await world.telegram.say(customer, kind="document", caption="Kimliğim", files=[file])
    await thread_shows(world, card["ts"], "kimlik.pdf")
    (message,) = await query(world, "select external_id from messages where text = 'Kimliğim'")
    sender, at = telegram(customer), datetime.now(UTC)
    answering = {"reply_to": message["external_id"], "quoted": "Kimliğim"}
    await happens(
        world,
        Received(channel="bot", external_id="q1", sender=sender, sent_at=at, text="Yeter mi?", **answering),
    )
    quoting = await thread_shows(world, card["ts"], "Yeter mi?")
    assert "Kimliğim" in str(quoting)

    async def shared() -> Any:
        return await query(world, "select slack_file from attachments where shown_at is not null")

    ((slack_file,),) = await eventually(shared)
    world.slack.troubles.add([{"match": "files.delete", "action": "status", "status": 503, "times": 1}])
    await happens(world, Withdrawn(channel="bot", external_id=message["external_id"], sender=sender, at=at, erase=True))
    await thread_shows(world, card["ts"], say("line.erased"))
    await eventually(lambda: world.slack.files[slack_file].deleted)

    async def gone() -> bool:
        shown = str([reply["blocks"] for reply in (await card_of(world, card["ts"]))["replies"]])
        return "Kimliğim" not in shown and "Yeter mi?" in shown

    await eventually(gone)
    await thread_shows(world, card["ts"], after("customer.erased"))


# doubts and parts


async def test_a_doubt_that_a_receipt_settles_says_so_and_loses_its_buttons(world: World) -> None:
    await world.start()
    _, card = await opened(world)
    world.telegram.troubles.add([{"match": "send*", "action": "drop_before", "times": 1}])
    reply = await answer(world, card, "Paranız iade edildi")
    await marked(world, reply, "warning")
    doubt = await button(world, card["ts"], start_of("doubt.what"), "delivery_arrived")
    receipt = Receipt(channel="bot", status=Status.DELIVERED, at=datetime.now(UTC), delivery=UUID(doubt["value"]))
    await happens(world, receipt)
    settled = await without_buttons(world, card["ts"], say("doubt.came", channel="Telegram"))
    assert settled["ts"] == doubt["ts"]
    await marked(world, reply, "ballot_box_with_check")


async def test_of_a_reply_in_parts_the_failed_one_is_counted_and_sent_again_alone(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    parts = [f"{number} " + "uzun " * 700 for number in ("bir", "iki", "üç")]
    leak = {"ok": False, "error_code": 400, "description": "Bad Request: message is too strange"}
    world.telegram.troubles.add([{"match": "sendMessage", "action": "status", "status": 400, "json": leak, "times": 1}])
    reply = await answer(world, card, "\n\n".join(part.strip() for part in parts))
    await marked(world, reply, "x")
    await thread_shows(world, card["ts"], say("failure.parts", arrived=2, parts=3))
    again = await button(world, card["ts"], "too strange", "delivery_again")
    assert again["text"]["text"] == say("button.rest_again")
    await asyncio.gather(*(press(world, who, again) for who in (AYSE, MEHMET)))
    await marked(world, reply, "white_check_mark")
    await without_buttons(world, card["ts"], after("doubt.again"))
    said = await world.answers(customer)
    assert [text.split()[0] for text in said] == ["iki", "üç", "bir"]


# which channel


async def test_a_customer_s_words_show_beside_them_which_channel_they_came_by(world: World) -> None:
    await world.add_channels("whatsapp")
    await world.start()
    customer, card = await opened(world)
    await on_whatsapp(world, customer)
    await thread_shows(world, card["ts"], "Buradan da yazayım")
    posted = [call["arguments"] for call in calls(world, "chat.postMessage") if "Buradan" in str(call["arguments"])]
    assert [each["icon_emoji"] for each in posted] == [":large_green_circle:"]
    assert lines(await card_of(world, card["ts"]), ["Buradan da yazayım"]) == ["Buradan da yazayım"]
