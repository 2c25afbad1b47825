"""WhatsApp by Meta's Cloud API, from a customer's phone to the thread and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Registers
from tests.providers import BUSINESS_ID, NUMBER_ID, SMS
from tests.scenarios import twilio
from tests.scenarios.desk import card_shows, marked, query, say, start_of, thread_shows
from tests.scenarios.meta import (
    PHOTO,
    answers,
    calls,
    chat,
    checked,
    due,
    files_in,
    hurry,
    later,
    meta,
    notes,
    people_known,
    person,
    quiet,
    reads,
    said,
    spoil,
    stored,
    texts,
)
from tests.scenarios.test_deciding_desk import block, window
from tests.scenarios.test_desk_channels import button, press
from tests.world import AYSE, World, eventually

Json = dict[str, Any]
ARRIVED, READ, FAILED = "ballot_box_with_check", "eyes", "x"


async def begun(
    world: World, text: str = "Kargom nerede?", key: str = "ayse", name: str = "Ayşe Yılmaz", **facts: Any
) -> Json:
    """Santral with the number, and a customer who wrote; the card."""
    if world.app is None:
        await world.add_channels("whatsapp")
        await world.start()
    if key not in meta(world).accounts.people:
        person(world, key, name, **facts)
    await meta(world).say(key, NUMBER_ID, text)
    return await world.card_with(text)


def sent(world: World) -> list[Json]:
    """The messages that Meta was asked to bring somebody, with what it answered."""
    return calls(world, "whatsapp.messages")


async def test_everything_a_customer_can_send_is_shown(world: World) -> None:
    card = await begun(world, "Merhaba")
    phone = meta(world)
    for file, kind, text in (
        (PHOTO, "", "Kırık geldi"),
        ({"data": b"OggS voice", "media_type": "audio/ogg"}, "voice", ""),
        ({"data": b"%PDF-1.7", "media_type": "application/pdf", "filename": "fatura şubat.pdf"}, "", "Faturam"),
        ({"data": b"\x00\x00\x00 ftypmp42", "media_type": "video/mp4"}, "", ""),
        ({"data": b"RIFF....WEBP", "media_type": "image/webp"}, "sticker", ""),
    ):
        await phone.say("ayse", NUMBER_ID, text, file=file, kind=kind)
    await phone.share_location("ayse", NUMBER_ID, 41.0256, 28.9741, "Galata", "Bereketzade")
    await phone.share_contact("ayse", NUMBER_ID, "Fatma Kaya", "+90 555 000 20 02")
    await phone.share_contact("ayse", NUMBER_ID, "", "+90 555 000 20 03")
    goods = [{"product_retailer_id": "KUPA-7", "quantity": 2, "item_price": 90, "currency": "TRY"}]
    await phone.order("ayse", NUMBER_ID, goods, "Hediye paketi olsun")
    await phone.come_from_ad("ayse", NUMBER_ID, "Bundan var mı?", "Yaz indirimi")
    await phone.send_unsupported("ayse", NUMBER_ID, "poll")
    await phone.send("ayse", NUMBER_ID, "", {"type": "hologram", "hologram": {"depth": 3}})
    await phone.fill_form("ayse", NUMBER_ID, chat(world, NUMBER_ID)[0].id, {"beden": "M", "flow_token": "x"})
    await phone.fill_form("ayse", NUMBER_ID, chat(world, NUMBER_ID)[0].id, "no json")
    await phone.say("ayse", NUMBER_ID, "Bu yazdığıma", reply_to=chat(world, NUMBER_ID)[0].id)
    await phone.say("ayse", NUMBER_ID, "bilinmeyene yanıt", reply_to="wamid.OLD")
    await phone.say("ayse", NUMBER_ID, "iletilen", extra={"context": {"forwarded": True}})
    for words in ("Kırık geldi", "Faturam", "Galata", "Fatma Kaya", "+90 555 000 20 03", "2 × KUPA-7 (90 TRY)"):
        await thread_shows(world, card["ts"], words)
    for words in ("Hediye paketi olsun", "Yaz indirimi", "hologram", "beden: M", "Sent", "bilinmeyene yanıt"):
        await thread_shows(world, card["ts"], words)
    await thread_shows(world, card["ts"], say.word("stub", "poll"))
    await thread_shows(world, card["ts"], start_of("line.forwarded"))
    found = await files_in(world, card["ts"], 5)
    assert PHOTO["data"] in found and b"OggS voice" in found and b"%PDF-1.7" in found
    assert len(await texts(world)) == 18 and await people_known(world) == 1
    await quiet(world)
    assert notes(world) == []


async def test_reactions_and_words_that_stop_and_begin_again(world: World) -> None:
    card = await begun(world)
    ts = await said(world, card, "Yarın sizde")
    await reads(world, NUMBER_ID, "Yarın sizde")
    answer = chat(world, NUMBER_ID)[-1]
    await meta(world).react("ayse", NUMBER_ID, answer.id, "🎉")
    await thread_shows(world, card["ts"], "🎉")
    await meta(world).react("ayse", NUMBER_ID, answer.id, "")
    await marked(world, ts, ARRIVED)
    await meta(world).say("ayse", NUMBER_ID, "DUR")
    await card_shows(world, card["ts"], "🚫")
    refused = await said(world, card, "Bir şey daha")
    await marked(world, refused, FAILED)
    await meta(world).say("ayse", NUMBER_ID, "Vazgeçtim, buradayım")
    await card_shows(world, card["ts"], without=["🚫"])
    await said(world, card, "Hoş geldiniz")
    await reads(world, NUMBER_ID, "Yarın sizde", "Hoş geldiniz")
    await quiet(world)


async def test_an_answer_with_files_leaves_in_order_and_rises_to_read(world: World) -> None:
    card = await begun(world)
    ts = await said(world, card, "Fotoğraf burada", files=[("kargo.png", "image/png", PHOTO["data"])])
    long = "Uzun bir açıklama. " * 300
    longer = await said(world, card, long)
    await eventually(lambda: len(answers(world, NUMBER_ID)) == 3)
    shown = [entry for entry in chat(world, NUMBER_ID) if entry.author == "shop"]
    assert [entry.kind for entry in shown] == ["image", "text", "text"]
    assert shown[0].file is not None and shown[0].file.data == PHOTO["data"] and shown[0].text == "Fotoğraf burada"
    assert " ".join(entry.text for entry in shown[1:]).split() == long.split()
    await meta(world).read("ayse", NUMBER_ID)
    await marked(world, ts, READ)
    await marked(world, longer, READ)
    await quiet(world)
    assert [call["status"] for call in sent(world)] == [200, 200, 200]
    assert notes(world) == []


async def test_edge_06_receipts_before_the_answer_shuffled_and_twice_end_at_read_once(world: World) -> None:
    card = await begun(world)
    await meta(world).settle({"callback_first": True, "auto_read": True, "duplicates": 1.0, "order": "shuffled"})
    first = await said(world, card, "Bir")
    second = await said(world, card, "İki")
    await reads(world, NUMBER_ID, "Bir", "İki")
    await marked(world, first, READ)
    await marked(world, second, READ)
    await quiet(world)
    rows = await query(world, "select status, external_id from deliveries order by line")
    assert [row["status"] for row in rows] == [4, 4] and len({row["external_id"] for row in rows}) == 2


async def test_an_answer_whose_line_broke_is_settled_by_its_receipt_and_never_doubled(world: World) -> None:
    card = await begun(world)
    await spoil(world, match="whatsapp.messages", action="drop_after", times=1)
    ts = await said(world, card, "Paranız iade edildi")
    await marked(world, ts, ARRIVED)
    await quiet(world)
    assert answers(world, NUMBER_ID) == ["Paranız iade edildi"] and len(sent(world)) == 1


async def test_an_answer_that_surely_was_not_taken_is_tried_again(world: World) -> None:
    card = await begun(world)
    await spoil(world, match="whatsapp.messages", action="down", times=2)
    ts = await said(world, card, "Yarın sizde")
    await marked(world, ts, ARRIVED)
    assert answers(world, NUMBER_ID) == ["Yarın sizde"] and len(sent(world)) == 3


async def test_edge_07_a_window_that_is_closed_is_seen_before_and_after_sending(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "approved.toml").write_text(
        """[[approved]]
channel = "whatsapp"
name = "order_update"
language = "tr"
category = "utility"
body = "Merhaba {{1}}, siparişiniz hakkında bir haberimiz var."
variables = ["customer"]
""",
        encoding="utf-8",
    )
    world.settings["templates"] = str(folder)
    card = await begun(world)
    meta(world).add_template(
        BUSINESS_ID, name="order_update", language="tr", body="Merhaba {{1}}, siparişiniz hakkında bir haberimiz var."
    )
    await meta(world).fail_next(NUMBER_ID, 131047)  # Meta's clock says otherwise than ours
    late = await said(world, card, "Yarın sizde")
    await marked(world, late, FAILED)
    await thread_shows(world, card["ts"], start_of("failure.window_closed"))

    await later(world, hours=23)
    await said(world, card, "Hâlâ olur")
    await reads(world, NUMBER_ID, "Hâlâ olur")
    await later(world, hours=25)
    closed = await said(world, card, "Artık olmaz")
    await marked(world, closed, FAILED)
    assert len(sent(world)) == 2  # not even tried

    view = await window(world, AYSE, "template", card)
    (choice,) = (option["value"] for option in block(view, "template")["elements"][0]["options"])
    await world.slack.press(AYSE, "template_choice", view_id=view.id, value=choice)
    await eventually(lambda: "Ayşe" in json.dumps(view.body["blocks"], ensure_ascii=False))
    await world.slack.submit(AYSE, view.id, {})
    await eventually(lambda: chat(world, NUMBER_ID)[-1].template == "order_update")
    assert chat(world, NUMBER_ID)[-1].text == "Merhaba Ayşe Yılmaz, siparişiniz hakkında bir haberimiz var."
    await meta(world).say("ayse", NUMBER_ID, "Teşekkürler")
    await thread_shows(world, card["ts"], "Teşekkürler")
    await said(world, card, "Rica ederiz")
    await eventually(lambda: answers(world, NUMBER_ID)[-1] == "Rica ederiz")
    await quiet(world)


@pytest.mark.parametrize("hidden_from", ["absent", "bsuid"])
async def test_edge_10_and_11_people_without_a_number_are_answered_by_their_id(world: World, hidden_from: str) -> None:
    await world.add_channels("whatsapp")
    await meta(world).settle({"hidden_from": hidden_from})
    await world.start()
    person(world, "can", "", username="can.k", hidden=True)
    await meta(world).say("can", NUMBER_ID, "Merhaba")
    card = await world.card_with("Merhaba")
    assert [row["name"] for row in await query(world, "select name from customers")] == ["@can.k"]
    await said(world, card, "Buyurun")
    await reads(world, NUMBER_ID, "Buyurun", key="can")
    (call,) = sent(world)
    assert call["params"]["recipient"].startswith("TR.") and "to" not in call["params"]
    # They give up hiding: the number is one more address of the same customer.
    meta(world).add_person("can", "Can K", hidden=False)
    await meta(world).say("can", NUMBER_ID, "Numaram artık açık")
    await thread_shows(world, card["ts"], "Numaram artık açık")
    await said(world, card, "Gördük")
    await reads(world, NUMBER_ID, "Buyurun", "Gördük", key="can")
    assert await people_known(world) == 1 and len(await world.roots()) == 1
    await quiet(world)
    assert notes(world) == []  # nothing was dropped in silence


async def test_edge_10_who_hides_the_number_later_stays_who_they_are(world: World) -> None:
    card = await begun(world)
    await meta(world).adopt_username("ayse", "ayse.y")
    await meta(world).say("ayse", NUMBER_ID, "Numaramı gizledim")
    await thread_shows(world, card["ts"], "Numaramı gizledim")
    await said(world, card, "Sorun değil")
    await reads(world, NUMBER_ID, "Sorun değil")
    assert await people_known(world) == 1 and len(await world.roots()) == 1


@pytest.mark.parametrize("wa_id", ["5215500000001", "555500000001", "5491100000001"])
async def test_edge_12_an_answer_goes_to_the_very_number_that_wrote(world: World, wa_id: str) -> None:
    await world.add_channels("whatsapp")
    await world.start()
    person(world, "lucia", "Lucía", phone=wa_id)
    await meta(world).say("lucia", NUMBER_ID, "¿Dónde está mi pedido?")
    card = await world.card_with("¿Dónde está mi pedido?")
    await said(world, card, "En camino")
    await reads(world, NUMBER_ID, "En camino", key="lucia")
    assert sent(world)[0]["params"]["to"] == wa_id


async def test_edge_13_a_new_number_is_the_same_customer_and_old_webhooks_still_find_them(world: World) -> None:
    card = await begun(world)
    await meta(world).hold()
    await meta(world).say("ayse", NUMBER_ID, "Eski numaramdan")
    await meta(world).change_number("ayse", "+90 555 000 10 99")
    await meta(world).say("ayse", NUMBER_ID, "Yeni numaramdan")
    await meta(world).release()
    await thread_shows(world, card["ts"], start_of("customer.moved_on"))
    await thread_shows(world, card["ts"], "Eski numaramdan")
    await thread_shows(world, card["ts"], "Yeni numaramdan")
    await said(world, card, "Not ettik")
    await reads(world, NUMBER_ID, "Not ettik")
    assert sent(world)[-1]["params"]["to"] == "905550001099"
    assert await people_known(world) == 1


async def test_edge_13_a_number_that_is_somebody_elses_joins_nobody(world: World) -> None:
    card = await begun(world)
    await begun(world, "Ben başkasıyım", "fatma", "Fatma Kaya", phone="905550002002")
    await meta(world).change_number("ayse", "905550002002")
    await thread_shows(world, card["ts"], start_of("customer.moved_onto"))
    await quiet(world)
    assert await people_known(world) == len(await world.roots()) == 2


@pytest.mark.parametrize("status", [401, 404])
async def test_edge_14_a_link_that_died_is_asked_for_anew(world: World, status: int) -> None:
    card = await begun(world)
    await spoil(world, match="download", action="status", status=status, times=1)
    await meta(world).say("ayse", NUMBER_ID, "Kırık geldi", file=PHOTO)
    await thread_shows(world, card["ts"], "Kırık geldi")
    assert await files_in(world, card["ts"], 1) == [PHOTO["data"]]
    assert len(calls(world, "media")) == 2


async def test_edge_14_a_file_that_is_gone_is_said_and_its_words_are_there(world: World) -> None:
    card = await begun(world)
    await meta(world).hold()
    id = await meta(world).say("ayse", NUMBER_ID, "Kırık geldi", file=PHOTO)
    lost = next(entry for entry in chat(world, NUMBER_ID) if entry.id == id).file
    assert lost is not None
    meta(world).shelf.files.pop(lost.id)
    await meta(world).release()
    await thread_shows(world, card["ts"], "Kırık geldi")
    await thread_shows(world, card["ts"], say("file.lost"))
    await quiet(world)


async def test_edge_16_what_the_shop_writes_on_its_phone_is_shown_once_and_never_sent_again(world: World) -> None:
    await world.add_channels("whatsapp")
    meta(world).accounts.line(NUMBER_ID).coexistence = True
    card = await begun_here(world)
    id = await meta(world).write_from_phone_app(NUMBER_ID, "ayse", "Telefondan yazıyorum", file=None)
    await meta(world).write_from_phone_app(NUMBER_ID, "ayse", "", file=PHOTO)
    await thread_shows(world, card["ts"], "WhatsApp Business app")
    await meta(world).repeat(id)
    await files_in(world, card["ts"], 1)
    await said(world, card, "Bu da buradan")
    await reads(world, NUMBER_ID, "Bu da buradan")
    await quiet(world)
    assert await texts(world, "out") == ["Telefondan yazıyorum", "", "Bu da buradan"]
    assert len(sent(world)) == 1


async def begun_here(world: World) -> Json:
    """As `begun`, where the channels are there already."""
    await world.start()
    person(world)
    await meta(world).say("ayse", NUMBER_ID, "Kargom nerede?")
    return await world.card_with("Kargom nerede?")


async def test_edge_17_a_message_taken_back_is_named_before_and_after_it_was_answered(world: World) -> None:
    card = await begun(world, "Merhaba")
    phone = meta(world)
    first = await phone.say("ayse", NUMBER_ID, "Kart numaram 4242")
    await thread_shows(world, card["ts"], "Kart numaram 4242")
    await said(world, card, "Kartınızı yazmayın")
    await reads(world, NUMBER_ID, "Kartınızı yazmayın")
    await phone.unsend("ayse", NUMBER_ID, first)
    await thread_shows(world, card["ts"], say("line.withdrawn"))
    await phone.hold()
    overtaken = await phone.say("ayse", NUMBER_ID, "Bunu da unutun")
    await phone.unsend("ayse", NUMBER_ID, overtaken)
    await phone.release("reverse")
    await thread_shows(world, card["ts"], "Bunu da unutun")
    await quiet(world)
    rows = await query(world, "select text, withdrawn_at is not null as gone from messages where direction = 'in'")
    assert {row["text"]: row["gone"] for row in rows} == {
        "Merhaba": False,
        "Kart numaram 4242": True,
        "Bunu da unutun": True,
    }


async def test_edge_18_edits_out_of_order_leave_the_last_one(world: World) -> None:
    card = await begun(world, "Merhaba")
    phone = meta(world)
    answered = await phone.say("ayse", NUMBER_ID, "Adres: Kadıköy")
    await thread_shows(world, card["ts"], "Adres: Kadıköy")
    await said(world, card, "Tamam, Kadıköy")
    await reads(world, NUMBER_ID, "Tamam, Kadıköy")
    await phone.hold()
    unseen = await phone.say("ayse", NUMBER_ID, "Kapı 1")
    for seconds, address, door in ((10, "Moda", "2"), (20, "Beşiktaş", "3"), (30, "Üsküdar", "4")):
        await phone.settle({"clock_offset": seconds})  # WhatsApp tells whole seconds
        await phone.edit("ayse", NUMBER_ID, answered, f"Adres: {address}")
        await phone.edit("ayse", NUMBER_ID, unseen, f"Kapı {door}")
    await phone.release("reverse")
    await thread_shows(world, card["ts"], "Adres: Üsküdar")
    await thread_shows(world, card["ts"], "Kapı 4")
    await quiet(world)
    assert await texts(world) == ["Merhaba", "Adres: Üsküdar", "Kapı 4"]
    (root,) = await world.roots()
    shown = str([root["blocks"], *(reply["blocks"] for reply in root["replies"])])
    assert "Beşiktaş" not in shown and "Kapı 3" not in shown and say("line.edited") in shown


async def test_edge_20_one_poisoned_entry_costs_nobody_else_and_a_large_batch_is_taken(world: World) -> None:
    await world.add_channels("whatsapp")
    await world.start()
    phone = meta(world)
    await phone.settle({"batch": True})
    await phone.hold()
    for number in range(30):
        person(world, f"p{number}", f"Kişi {number}", phone=f"90555000{3000 + number}")
        await phone.say(f"p{number}", NUMBER_ID, f"Soru {number} " + "ş" * 4000)
        if number == 7:
            for item in ({"field": "messages", "value": {"messages": [{"id": "wamid.1"}]}}, {"field": 7}, {}):
                await phone.raw(NUMBER_ID, item)
            metadata = {"phone_number_id": NUMBER_ID, "display_phone_number": "905550100003"}
            odd = {"metadata": metadata, "messages": [{"id": "wamid.2", "type": "text", "text": {"body": 7}}, 8]}
            await phone.raw(NUMBER_ID, {"field": "messages", "value": odd})
    await phone.release()
    await eventually(lambda: _count(world, 30))
    await quiet(world)
    bodies = [attempt for attempt in phone.journal.attempts(0) if attempt["status"] == 200]
    assert max(len(json.dumps(attempt["body"])) for attempt in bodies) > 700_000
    assert len(await query(world, "select 1 from quarantine")) >= 1
    assert len(await world.roots()) == 30


async def test_edge_20_two_people_in_one_value_are_two_customers_and_neither_is_kept_with_the_other(
    world: World,
) -> None:
    await world.add_channels("whatsapp")
    await world.start()
    phone = meta(world)
    await phone.settle({"batch": True, "crowded": True})
    person(world)
    person(world, "can", "Can Demir", phone="905550001005")
    await phone.hold()
    await phone.say("ayse", NUMBER_ID, "Bir")
    await phone.say("can", NUMBER_ID, "İki")
    await phone.release()
    await world.card_with("Bir")
    await world.card_with("İki")
    rows = await query(
        world,
        """
        select m.text, convert_from(m.raw, 'utf8') as raw, c.name from messages m
        join conversations v on v.id = m.conversation_id join customers c on c.id = v.customer_id order by m.text
        """,
    )
    assert [(row["text"], row["name"]) for row in rows] == [("Bir", "Ayşe Yılmaz"), ("İki", "Can Demir")]
    ayse, can = (json.dumps(json.loads(row["raw"]), ensure_ascii=False) for row in rows)
    assert "Can" not in ayse and "İki" not in ayse and "Ayşe" not in can and "Bir" not in can


async def _count(world: World, count: int) -> bool:
    return len(await texts(world)) == count


async def test_edge_23_a_dead_token_holds_answers_back_and_nothing_that_comes(world: World) -> None:
    card = await begun(world)
    await meta(world).expire_token(NUMBER_ID)
    ts = await said(world, card, "Yarın sizde")
    await thread_shows(world, card["ts"], start_of("failure.misconfigured"))
    await meta(world).say("ayse", NUMBER_ID, "Orada mısınız?")
    await thread_shows(world, card["ts"], "Orada mısınız?")
    assert answers(world, NUMBER_ID) == []
    told = await checked(world, "whatsapp")
    assert [what for what, ok in told.items() if not ok] == [
        "Meta does not accept the access token: it has expired, or was withdrawn."
    ]
    await meta(world).expire_token(NUMBER_ID, 0)
    await hurry(world)
    await reads(world, NUMBER_ID, "Yarın sizde")
    await marked(world, ts, ARRIVED)


async def test_edge_23_a_file_that_came_while_the_token_was_dead_is_fetched_once_it_lives(world: World) -> None:
    card = await begun(world)
    await meta(world).expire_token(NUMBER_ID)
    await meta(world).say("ayse", NUMBER_ID, "Kırık geldi", file=PHOTO)
    await thread_shows(world, card["ts"], "Kırık geldi")
    await eventually(lambda: [call for call in calls(world, "media") if call["status"] == 401])
    await meta(world).expire_token(NUMBER_ID, 0)
    await hurry(world)
    assert await files_in(world, card["ts"], 1) == [PHOTO["data"]]


async def test_edge_24_groups_oneself_and_other_businesses(world: World) -> None:
    card = await begun(world)
    phone = meta(world)
    await phone.say("ayse", NUMBER_ID, "gruba", extra={"group_id": "g1"})
    person(world, "own", "Kumbara", phone="905550100003")
    await phone.say("own", NUMBER_ID, "kendime")
    await phone.test_button(NUMBER_ID)
    await phone.say("ayse", NUMBER_ID, "size")
    await thread_shows(world, card["ts"], "size")
    await stored(world, "Kargom nerede?", "size")
    await phone.fail_next(NUMBER_ID, 131026)
    ts = await said(world, card, "Merhaba")
    await marked(world, ts, FAILED)
    await thread_shows(world, card["ts"], "131026")
    await quiet(world)
    assert await people_known(world) == 1


async def test_a_number_without_whatsapp_is_still_reached_by_sms(world: World) -> None:
    await world.add_channels("whatsapp", "sms")
    await world.start()
    person(world)
    twilio.person(world)  # with the same number
    await twilio.says(world, SMS, "SMS ile yazıyorum")
    card = await world.card_with("SMS ile yazıyorum")
    await meta(world).say("ayse", NUMBER_ID, "Buradan da")
    await thread_shows(world, card["ts"], "Buradan da")
    await meta(world).fail_next(NUMBER_ID, 131026)
    ts = await said(world, card, "Kargonuz yolda")
    await marked(world, ts, FAILED)
    await thread_shows(world, card["ts"], say("button.answer_by", channel="SMS"))
    other = await button(world, card["ts"], "131026", "answer_by_")
    await press(world, AYSE, other)
    await twilio.reads(world, SMS, "Kargonuz yolda")
    await marked(world, ts, ARRIVED)
    await quiet(world)


async def test_the_pace_to_one_person_is_kept_and_holds_back_nobody_else(world: World) -> None:
    card = await begun(world)
    other = await begun(world, "Ben de buradayım", "mehmet", "Mehmet Demir", phone="905550001002")
    await said(world, card, "Bir")
    await reads(world, NUMBER_ID, "Bir")
    await spoil(world, match="whatsapp.messages", action="status", status=400, json=_pair(), times=1)
    second = await said(world, card, "İki")
    await eventually(lambda: len(sent(world)) == 2)
    await said(world, other, "Size de")
    await eventually(lambda: any(entry.text == "Size de" for entry in chat(world, NUMBER_ID, "mehmet")))
    await eventually(lambda: _alone(world))
    await hurry(world)
    await reads(world, NUMBER_ID, "Bir", "İki")
    await marked(world, second, ARRIVED)


async def _alone(world: World) -> bool:
    """Whether one line waits, as long as Meta has it."""
    return [wait > 3 for wait in await due(world, "deliver")] == [True]


def _pair() -> Json:
    words = "(#131056) (Business Account, Consumer Account) pair rate limit hit"
    return {"error": {"message": words, "type": "OAuthException", "code": 131056}}


async def test_metas_minutes_until_calls_are_taken_again_are_waited_for(world: World) -> None:
    card = await begun(world)
    await spoil(world, match="whatsapp.messages", action="ratelimit", retry_after=120, times=1)
    await said(world, card, "Yarın sizde")
    await eventually(lambda: sent(world))
    waits = await eventually(lambda: _waiting(world))
    assert 60 < max(waits) < 125  # two clocks: the database says when, the program asks how long
    await hurry(world)
    await quiet(world)


async def _waiting(world: World) -> list[float]:
    return [wait for wait in await due(world, "deliver") if wait > 30]


async def test_two_numbers_of_one_app_each_hear_their_own(world: World) -> None:
    """The second number is led to its own channel, and what comes to the first one's address is passed on."""
    await world.add_channels("whatsapp")
    second, token = "106540352242999", "token-of-the-second-number"
    meta(world).add_number(id=second, waba=BUSINESS_ID, display="+90 555 010 00 09", name="Kumbara 2", token=token)
    (first,) = (section for section in world.more if section["kind"] == "whatsapp")
    world.more.append({**first, "name": "whatsapp-2", "phone_number_id": second, "access_token": token})
    await world.start()
    assert world.app is not None
    person(world)
    person(world, "can", "Can K", phone="905550001005")
    await meta(world).say("can", second, "Yönlendirilmeden önce")
    card = await world.card_with("Yönlendirilmeden önce")
    await said(world, card, "Buradan yanıt")
    await reads(world, second, "Buradan yanıt", key="can")

    adapter = world.app.channels["whatsapp-2"]
    assert isinstance(adapter, Registers)
    await adapter.register(f"{world.url}/webhooks/whatsapp-2")
    assert all((await checked(world, "whatsapp-2")).values()) and all((await checked(world, "whatsapp")).values())
    await meta(world).say("can", second, "Yönlendirildikten sonra")
    await meta(world).say("ayse", NUMBER_ID, "Birinciye")
    await world.card_with("Yönlendirildikten sonra")
    await world.card_with("Birinciye")
    rows = await query(world, "select channel, text from messages where direction = 'in' order by text")
    assert [(row["channel"], row["text"]) for row in rows] == [
        ("whatsapp", "Birinciye"),
        ("whatsapp-2", "Yönlendirildikten sonra"),
        ("whatsapp-2", "Yönlendirilmeden önce"),
    ]
    urls = [attempt["url"].rpartition("/")[2] for attempt in meta(world).journal.attempts(0)]
    assert urls[0] == "whatsapp" and "whatsapp-2" in urls
    await quiet(world)


async def test_setting_up_changes_nothing_the_second_time(world: World) -> None:
    await world.add_channels("whatsapp")
    await world.start()
    assert world.app is not None
    adapter = world.app.channels["whatsapp"]
    assert isinstance(adapter, Registers)
    before = len(meta(world).journal.calls(0, ""))
    await adapter.register(f"{world.url}/webhooks/whatsapp")
    again = meta(world).journal.calls(0, "")[before:]
    assert again and {call["verb"] for call in again} == {"GET"}


async def test_santral_check_names_each_part_that_is_wrong(world: World) -> None:
    await world.add_channels("whatsapp")
    await world.start()
    accounts = meta(world).accounts
    assert all((await checked(world, "whatsapp")).values())

    async def wrong() -> str:
        return " ".join(what for what, ok in (await checked(world, "whatsapp")).items() if not ok)

    accounts.line(NUMBER_ID).quality = "RED"
    assert "is rated low by customers" in await wrong()
    accounts.line(NUMBER_ID).quality = "GREEN"
    token = accounts.tokens[accounts.line(NUMBER_ID).token]
    scopes, token.scopes = token.scopes, token.scopes[:1]
    assert "lacks: whatsapp_business_messaging" in await wrong()
    token.scopes = scopes
    subscribed = accounts.subscribed.pop(BUSINESS_ID)
    assert "The app is not told" in await wrong()
    accounts.subscribed[BUSINESS_ID] = subscribed
    app = accounts.subscriptions["whatsapp_business_account"]
    ours, app.callback_url = app.callback_url, "https://elsewhere.example/hook"
    assert "Meta delivers to elsewhere.example/hook instead of here." in await wrong()
    app.callback_url, fields, app.fields = ours, app.fields, ("messages",)
    assert "Meta is not asked for: smb_message_echoes" in await wrong()
    app.fields = fields
    meta(world).add_template(BUSINESS_ID, name="teklif", language="tr", body="Merhaba", status="REJECTED")
    assert any("teklif (tr): REJECTED" in what for what in await checked(world, "whatsapp"))
    assert await wrong() == ""
