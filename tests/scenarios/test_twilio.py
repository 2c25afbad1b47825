"""Customers who write by SMS or by WhatsApp through Twilio: what comes, who they are, what they are answered."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from channels.segments import septets
from sandbox.telegram.kinds import picture
from sandbox.twilio.segments import segments
from tests.scenarios.desk import card_of, card_shows, marked, query, say, start_of, thread_shows
from tests.scenarios.twilio import (
    PHONE,
    PHOTO,
    PICTURE,
    SMS,
    WHATSAPP_TWILIO,
    Action,
    answers,
    calls,
    chat,
    files_in,
    files_on,
    hurry,
    later_at_twilio,
    outgoing,
    person,
    quiet,
    reads,
    says,
    stored,
    texts,
    trouble,
    twilio,
    writes,
)
from tests.world import AYSE, SUPPORT, World, eventually

SENT, DELIVERED, READ, FAILED = "white_check_mark", "ballot_box_with_check", "eyes", "x"
AMERICAN, AMY = "+15550100777", "+15550100778"


async def begun(world: World, *kinds: str) -> None:
    """A world in which these channels of Twilio's are set up, and Ayşe has a phone."""
    await world.add_channels(*(kinds or ("sms", "whatsapp-twilio")))
    for section in world.more:
        section["per_second"] = 100  # a long code in America sends one a second: nothing here is about that
    await world.start()
    person(world)


# what comes


async def test_all_that_whatsapp_carries_stands_in_the_thread(world: World) -> None:
    await begun(world)
    line = WHATSAPP_TWILIO
    await says(world, line, "Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    assert "Ayşe Yılmaz" in str(card) and PHONE in str(card)
    kinds = (
        ("application/pdf", b"%PDF-1.4 fatura"),
        ("audio/ogg", b"OggS voice"),
        ("video/mp4", b"film"),
        ("image/webp", b"RIFF sticker"),
    )
    await says(world, line, "Böyle geldi", file=PHOTO)
    for kind, data in kinds:
        await says(world, line, file={"data": data, "media_type": kind})
    place = {"latitude": 41.0256, "longitude": 28.9742, "label": "Galata Kulesi", "address": "Bereketzade, Beyoğlu"}
    await says(world, line, location=place)
    await says(world, line, contacts=[{"name": "Kapıcı Hasan", "phone": "+905550001009"}])
    await says(world, line, "Komşudan duydum", forwarded="often")
    headline = {"Headline": "Vazolarda indirim", "Body": "Yalnız bu hafta", "SourceUrl": "https://kumbara.example/v"}
    await says(world, line, "Reklamınızdan geliyorum", referral=headline)
    for words in ("Böyle geldi", "Galata Kulesi", "Beyoğlu", "Komşudan duydum", "Vazolarda indirim"):
        await thread_shows(world, card["ts"], words)
    held = await files_in(world, card["ts"], 6)
    vcard = next(data for data in held if b"Kap" in data)
    assert b"+905550001009" in vcard
    assert sorted(data for data in held if data is not vcard) == sorted([PICTURE, *(data for _, data in kinds)])
    raws = await query(world, "select raw from messages where direction = 'in' order by position")
    assert len(raws) == 10 and all(b"MessageSid" in row["raw"] for row in raws)
    assert twilio(world).state()["alerts"] == []


async def test_a_reply_and_a_pressed_button_say_what_they_answer(world: World) -> None:
    await begun(world)
    line = WHATSAPP_TWILIO
    await says(world, line, "Merhaba")
    card = await world.card_with("Merhaba")
    await writes(world, card, "Siparişiniz yarın sizde. Uygun mu?")
    await reads(world, line, "Siparişiniz yarın sizde. Uygun mu?")
    ours = chat(world, line)[-1]["id"]
    await says(world, line, "Evet, uygun", reply_to=ours)
    await thread_shows(world, card["ts"], "Evet, uygun")
    (answered,) = await query(world, "select body from messages where text = 'Evet, uygun'")
    assert json.loads(answered["body"])["reply_to"] == ours

    buttons = [{"title": "Evet, gelsin", "id": "deliver:1042"}, {"title": "Başka gün", "id": "later:1042"}]
    types = {"twilio/quick-reply": {"body": "Teslim edelim mi?", "actions": buttons}}
    template = twilio(world).add_template(name="teslim", types=types, language="tr", status="approved")
    await elsewhere(world, ContentSid=template.sid)
    asked = next(entry for entry in chat(world, line) if entry["choices"])
    await twilio(world).press(PHONE, line, asked["id"], 2)
    await thread_shows(world, card["ts"], "Başka gün")
    (pressed,) = await query(world, "select body, raw from messages where text = 'Başka gün'")
    assert json.loads(pressed["body"])["payload"] == "later:1042"


async def elsewhere(world: World, **form: str) -> None:
    """Another program of the shop's has Twilio send something to Ayşe."""
    account = twilio(world).account()
    url = f"{world.providers.twilio_url}/2010-04-01/Accounts/{account.sid}/Messages.json"
    given = {"From": WHATSAPP_TWILIO, "To": f"whatsapp:{PHONE}", **form}
    login = {"Authorization": aiohttp.encode_basic_auth(account.sid, account.auth_token)}
    async with aiohttp.ClientSession() as http, http.post(url, data=given, headers=login) as answer:
        assert answer.status == 201, await answer.text()
    await twilio(world).idle()


async def test_pictures_travel_by_mms_where_there_is_mms_and_as_links_elsewhere(world: World) -> None:
    await world.add_channels("sms")
    world.more.append({**world.more[0], "name": "us", "sender": AMERICAN})
    twilio(world).add_line(AMERICAN, name="Kumbara US", mms=True)
    await world.start()
    assert world.app is not None
    await world.app.channels["us"].register(f"{world.url}/webhooks/us")  # type: ignore[attr-defined]
    person(world, "Amy Baker", AMY)
    person(world)

    await twilio(world).say(AMY, AMERICAN, "It came broken", files=[PHOTO, {**PHOTO, "data": picture(60, 60)}])
    card = await world.card_with("It came broken")
    held = await files_in(world, card["ts"], 2)
    assert sorted(held) == sorted([PICTURE, picture(60, 60)])
    ts = await writes(world, card, "Your label", files=[("label.png", "image/png", picture(200, 100))])
    await marked(world, ts, DELIVERED)
    assert files_on(world, AMERICAN, AMY) == [("image/png", picture(200, 100))]

    # In Turkey an SMS has words only: the file is behind a link, in letters that do not make the message dearer.
    await says(world, SMS, "Faturam nerede?")
    card = await world.card_with("Faturam nerede?")
    pdf = b"%PDF-1.4 " + bytes(range(256)) * 8
    ts = await writes(world, card, "Faturaniz ekte", files=[("fatura.pdf", "application/pdf", pdf)])
    await marked(world, ts, DELIVERED)
    words, linked = answers(world, SMS)
    assert words == "Faturaniz ekte"
    assert re.fullmatch(r"fatura\.pdf http://127\.0\.0\.1:\d+/files/[\w-]+/fatura\.pdf", linked)
    assert septets(linked) is not None
    async with aiohttp.ClientSession() as http, http.get(linked.split()[1]) as answer:
        assert (answer.status, await answer.read()) == (200, pdf)
        assert answer.content_type == "application/pdf"
    assert files_on(world, SMS) == []


async def test_files_go_out_by_whatsapp_byte_for_byte_and_words_are_never_lost_beside_them(world: World) -> None:
    """WhatsApp through Twilio loses the words beside a document, so that they are sent before it."""
    await begun(world)
    line = WHATSAPP_TWILIO
    await says(world, line, "Etiketim nerede?")
    card = await world.card_with("Etiketim nerede?")
    label, pdf = picture(200, 120), b"%PDF-1.4 " + bytes(range(256)) * 8
    given = [("etiket.png", "image/png", label), ("fatura.pdf", "application/pdf", pdf)]
    ts = await writes(world, card, "Etiketiniz ve faturanız 🎉", files=given)
    await marked(world, ts, DELIVERED)
    assert answers(world, line) == ["Etiketiniz ve faturanız 🎉", "", ""]
    assert files_on(world, line) == [("image/png", label), ("application/pdf", pdf)]
    links = [one.media_urls[0] for one in outgoing(world) if one.media_urls]
    assert all(urlsplit(link).path.startswith("/files/") for link in links)
    spoiled = links[0].replace("/files/", "/files/A", 1)
    async with aiohttp.ClientSession() as http, http.get(spoiled) as answer:
        assert answer.status == 404

    ts = await writes(world, card, files=[("kod.exe", "application/x-msdownload", b"MZ" * 90)])
    await marked(world, ts, FAILED)
    await thread_shows(world, card["ts"], "kod.exe")
    assert len(outgoing(world)) == 3


# who they are


async def test_sms_and_whatsapp_of_one_number_are_one_conversation_answered_where_they_wrote(world: World) -> None:
    await begun(world)
    await says(world, SMS, "Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    await writes(world, card, "Yarin sizde")
    await reads(world, SMS, "Yarin sizde")
    await says(world, WHATSAPP_TWILIO, "Buradan yazayım 🙂")
    await thread_shows(world, card["ts"], "Buradan yazayım 🙂")
    await writes(world, card, "Tabii, buradan da olur")
    await reads(world, WHATSAPP_TWILIO, "Tabii, buradan da olur")
    await says(world, SMS, "SMS ile de sorayim")
    await thread_shows(world, card["ts"], "SMS ile de sorayim")
    await writes(world, card, "Buyurun")
    await reads(world, SMS, "Yarin sizde", "Buyurun")
    assert len(await world.roots()) == 1
    shown = await card_shows(world, card["ts"], "Ayşe Yılmaz", say.word("channel", "sms"))
    assert say.word("channel", "whatsapp-twilio") in str(shown)
    rows = await query(world, "select kind, value, proof from addresses")
    assert [tuple(row) for row in rows] == [("phone", PHONE, 1)]


SPELLINGS = (
    ("Lupita", "+525555550100", "+5215555550100"),
    ("João", "+5511999990000", "+551199990000"),
    ("Mateo", "+541155550100", "+5491155550100"),
)


async def test_edge_12_two_spellings_are_one_person_and_each_answer_goes_to_the_very_one_that_wrote(
    world: World,
) -> None:
    await begun(world)
    for name, phone, spelt in SPELLINGS:
        person(world, name, phone, wa_phone=spelt)
        await says(world, SMS, f"Hola de {name}", phone)
        card = await world.card_with(f"Hola de {name}")
        await says(world, WHATSAPP_TWILIO, f"Soy {name}", phone)
        await thread_shows(world, card["ts"], f"Soy {name}")
        await writes(world, card, "Por WhatsApp")
        await reads(world, WHATSAPP_TWILIO, "Por WhatsApp", who=phone)
        await says(world, SMS, "Otra vez", phone)
        await thread_shows(world, card["ts"], "Otra vez")
        await writes(world, card, "Por SMS")
        await reads(world, SMS, "Por SMS", who=phone)
        assert [one.to for one in outgoing(world)[-2:]] == [f"whatsapp:{spelt}", phone]
    assert len(await world.roots()) == len(SPELLINGS)
    assert len(await query(world, "select 1 from customers")) == len(SPELLINGS)


async def test_edge_10_and_11_who_hides_the_number_is_answered_by_their_id_and_known_by_it_later(world: World) -> None:
    await begun(world)
    line, bsuid = WHATSAPP_TWILIO, "TR.9f8e7d6c5b"
    twilio(world).add_person("Deniz", bsuid=bsuid)
    await says(world, line, "Numaram gizli", bsuid)
    card = await world.card_with("Numaram gizli")
    await writes(world, card, "Sorun değil")
    await reads(world, line, "Sorun değil", who=bsuid)
    assert outgoing(world)[-1].to == f"whatsapp:{bsuid}"  # with a plus before it, nothing would ever arrive

    # Later the number shows: it is the same person, also by SMS.
    await twilio(world).change(bsuid, phone="+905550001044")
    await says(world, line, "Numaram da bu", bsuid)
    await thread_shows(world, card["ts"], "Numaram da bu")
    await says(world, SMS, "SMS de benden", bsuid)
    await thread_shows(world, card["ts"], "SMS de benden")
    await writes(world, card, "Tamam")
    await reads(world, SMS, "Tamam", who=bsuid)
    assert len(await query(world, "select 1 from customers")) == 1


# who wants no more


@pytest.mark.parametrize(
    ("advanced", "words"),
    [
        (False, [("DUR", "BAŞLA"), ("СТОП", "СТАРТ"), ("STOP", "START")]),
        (True, [("Abmelden", "Anmelden"), ("توقف", "ابدأ")]),
    ],
    ids=["by ourselves", "by the service's words"],
)
async def test_edge_08_words_of_five_languages_end_and_begin_sms_and_the_desk_says_so(
    world: World, advanced: bool, words: list[tuple[str, str]]
) -> None:
    await begun(world, "sms")
    await twilio(world).settle({"advanced_opt_out": advanced})
    await asyncio.gather(*(leaves_and_comes_back(world, f"+9055500020{n:02}", *pair) for n, pair in enumerate(words)))
    assert len(outgoing(world)) == len(calls(world)) == len(words)


async def leaves_and_comes_back(world: World, phone: str, out: str, back: str) -> None:
    person(world, f"Müşteri {out}", phone)
    await says(world, SMS, f"Kargom nerede? {phone}", phone)
    card = await world.card_with(f"Kargom nerede? {phone}")
    await says(world, SMS, out, phone)
    await thread_shows(world, card["ts"], "🚫")
    await card_shows(world, card["ts"], "🚫")
    await marked(world, await writes(world, card, "Bunu almamalı"), FAILED)
    assert f"“{out}”" in (await thread_shows(world, card["ts"], "❌"))["text"]  # asked for, which is no block
    # Whatever else they write, only their own word brings them back.
    await says(world, SMS, "Peki kargom?", phone)
    await thread_shows(world, card["ts"], "Peki kargom?")
    await marked(world, await writes(world, card, "Bunu da almamalı"), FAILED)
    await card_shows(world, card["ts"], "🚫")
    assert answers(world, SMS, phone) == []
    await says(world, SMS, back, phone)
    await thread_shows(world, card["ts"], "👋")
    await card_shows(world, card["ts"], without=["🚫"])
    await writes(world, card, "Hos geldiniz")
    await reads(world, SMS, "Hos geldiniz", who=phone)


async def test_edge_08_on_whatsapp_a_stop_holds_until_they_write_again(world: World) -> None:
    await begun(world)
    line = WHATSAPP_TWILIO
    await says(world, line, "Merhaba")
    card = await world.card_with("Merhaba")
    await says(world, line, "Dur!")
    await card_shows(world, card["ts"], "🚫", "Dur!")
    await marked(world, await writes(world, card, "Bunu almamalı"), FAILED)
    assert calls(world) == []
    await says(world, line, "Yok yok, kargomu sorayım")
    await card_shows(world, card["ts"], without=["🚫"])
    await writes(world, card, "Yolda")
    await reads(world, line, "Yolda")
    # Nothing but the word counts: this is an order.
    await says(world, line, "Dur, yanlış adrese gidiyor!")
    await thread_shows(world, card["ts"], "yanlış adrese")
    await card_shows(world, card["ts"], without=["🚫"])


async def test_edge_08_the_words_of_a_service_end_and_begin_whatsapp_as_they_do_sms(world: World) -> None:
    """Twilio blocks then, so that unlike our own words theirs last until the customer takes them back."""
    line = WHATSAPP_TWILIO
    await world.add_channels("whatsapp-twilio")
    service = twilio(world).add_service(name="Kumbara", lines=[line])
    world.more[0].pop("sender")
    world.more[0]["messaging_service_sid"] = service.sid
    await world.start()
    person(world)
    await twilio(world).settle({"advanced_opt_out": True})
    await says(world, line, "Wo ist mein Paket?")
    card = await world.card_with("Wo ist mein Paket?")
    await says(world, line, "Abmelden")
    await card_shows(world, card["ts"], "🚫")
    await says(world, line, "Und mein Paket?")
    await thread_shows(world, card["ts"], "Und mein Paket?")
    await marked(world, await writes(world, card, "Das soll nicht ankommen"), FAILED)
    await card_shows(world, card["ts"], "🚫")
    assert calls(world) == []
    await says(world, line, "Anmelden")
    await card_shows(world, card["ts"], without=["🚫"])
    await writes(world, card, "Willkommen zurück")
    await reads(world, line, "Willkommen zurück")


@pytest.mark.parametrize("later", [False, True], ids=["at once", "by a status"])
async def test_edge_08_a_stop_that_only_twilio_heard_is_learnt_from_its_21610(world: World, later: bool) -> None:
    await begun(world, "sms")
    await twilio(world).settle({"opt_out_async": later})
    await says(world, SMS, "Kargom nerede?")
    card = await world.card_with("Kargom nerede?")
    url, twilio(world).line(SMS).url = twilio(world).line(SMS).url, ""
    await twilio(world).opt_out(PHONE, SMS)
    twilio(world).line(SMS).url = url
    ts = await writes(world, card, "Yarin sizde")
    await marked(world, ts, FAILED)
    told = await thread_shows(world, card["ts"], "STOP")
    assert "❌" in str(told)
    await card_shows(world, card["ts"], "🚫")
    ts = await writes(world, card, "Hala orada misiniz?")
    await marked(world, ts, FAILED)
    await quiet(world)
    assert len(calls(world)) == 1
    await twilio(world).opt_in(PHONE, SMS)
    await card_shows(world, card["ts"], without=["🚫"])
    await writes(world, card, "Kargonuz yolda")
    await reads(world, SMS, "Kargonuz yolda")


async def test_carriers_words_that_mean_an_order_are_shown_as_what_they_are(world: World) -> None:
    """ "Cancel" ends SMS at Twilio whatever the customer meant: the agent reads it, and that no answer arrives."""
    await begun(world, "sms")
    await says(world, SMS, "I ordered two vases")
    card = await world.card_with("two vases")
    await says(world, SMS, "Cancel")
    await thread_shows(world, card["ts"], "Cancel")
    await card_shows(world, card["ts"], "🚫")
    assert await texts(world) == ["I ordered two vases", "Cancel"]
    await says(world, SMS, "YES")
    await thread_shows(world, card["ts"], "👋")
    await thread_shows(world, card["ts"], "YES")


# what it costs, and when it may be sent


async def test_edge_09_a_long_answer_is_cut_as_sms_counts_and_never_within_a_letter(world: World) -> None:
    await begun(world, "sms")
    await says(world, SMS, "Bana her şeyi anlatır mısınız?")
    card = await world.card_with("her şeyi")
    paragraphs = [f"{number}. " + "Şişli şubemizde değişim yapılır 👩‍👩‍👧‍👦🇹🇷. " * 15 for number in range(1, 5)]
    long = "\n\n".join(paragraphs).strip()
    ts = await writes(world, card, long)
    await marked(world, ts, DELIVERED)
    parts = [one.body for one in outgoing(world)]
    assert "".join("".join(parts).split()) == "".join(long.split())
    assert len(parts) > 2 and all(segments(part) <= 10 for part in parts)
    assert all(part.count("👩‍👩‍👧‍👦") == part.count("👧") and part.count("🇹") == part.count("🇷") for part in parts)
    # What is in GSM-7 has more than twice the room, and nothing is rewritten to make it fit.
    await writes(world, card, "x" * 1500)
    await eventually(lambda: outgoing(world)[-1].body == "x" * 1500)
    assert {call["params"]["SmartEncoded"] for call in calls(world)} <= {"False", "false"}


APPROVED = """
[[approved]]
channel = "whatsapp-twilio"
name = "{sid}"
language = "tr"
category = "utility"
body = "Merhaba {{{{1}}}}, siparişinizle ilgili haberimiz var. Konuşalım mı?"
variables = ["customer"]
"""


async def test_edge_07_a_closed_window_is_said_and_a_template_opens_it(world: World) -> None:
    await world.add_channels("whatsapp-twilio")
    body = "Merhaba {{1}}, siparişinizle ilgili haberimiz var. Konuşalım mı?"
    types: dict[str, Any] = {"twilio/text": {"body": body}}
    template = twilio(world).add_template(name="haber", types=types, language="tr", status="approved")
    folder = world.folder / "templates"
    folder.mkdir()
    (folder / "approved.toml").write_text(APPROVED.format(sid=template.sid), encoding="utf-8")
    world.settings["templates"] = str(folder)
    await world.start()
    person(world)
    line = WHATSAPP_TWILIO
    await says(world, line, "Kargom nerede?")
    card = await world.card_with("Kargom nerede?")

    # Twilio's clock is ahead of ours, so that it takes the message and WhatsApp refuses it: 63016, after "sent".
    await later_at_twilio(world, timedelta(hours=25))
    ts = await writes(world, card, "Yarın sizde")
    await marked(world, ts, FAILED)
    failed = await thread_shows(world, card["ts"], start_of("failure.window_closed"))
    assert "Yarın sizde" in str(failed)
    assert [entry["code"] for entry in chat(world, line) if entry["from"] == "shop"] == ["63016"]

    # By our own clock it is over, too: nothing is even tried.
    await world.turn(world.shop_clock() + timedelta(hours=25))
    await card_shows(world, card["ts"], start_of("card.closed"))
    before = len(calls(world))
    ts = await writes(world, card, "Hâlâ orada mısınız?")
    await marked(world, ts, FAILED)
    assert len(calls(world)) == before

    async def offered() -> dict[str, Any] | None:
        replies = (await card_of(world, card["ts"]))["replies"]
        notices = [reply for reply in replies if "Hâlâ orada" in str(reply) and reply["ts"] != ts]
        return next((notice for notice in notices if '"template"' in json.dumps(notice["blocks"])), None)

    told = await eventually(offered)
    assert told is not None
    await world.slack.press(AYSE, "template", channel=SUPPORT, ts=told["ts"])
    (view,) = world.slack.views.values()
    (option,) = options(view.body["blocks"])
    await world.slack.press(AYSE, "template_choice", view_id=view.id, selected_option=option)
    await world.slack.submit(AYSE, view.id, {})
    await eventually(lambda: [entry["template"] for entry in chat(world, line) if entry["template"]] == ["haber"])
    assert "Merhaba Ayşe Yılmaz, siparişinizle" in answers(world, line)[-1]
    await says(world, line, "Evet, konuşalım")
    await thread_shows(world, card["ts"], "Evet, konuşalım")
    await writes(world, card, "Kargonuz yolda")
    await eventually(lambda: answers(world, line)[-1] == "Kargonuz yolda")


def options(blocks: list[dict[str, Any]]) -> list[str]:
    """The values of every menu among blocks."""
    found = [element for block in blocks for element in (block.get("element"), *block.get("elements", [])) if element]
    return [option["value"] for element in found for option in element.get("options", [])]


# files that do not come


async def test_edge_14_a_file_comes_when_it_can_and_holds_no_words_up(world: World) -> None:
    await begun(world)
    await twilio(world).settle({"media_absent": 2, "media_link_seconds": 0.0})
    await says(world, WHATSAPP_TWILIO, "Böyle geldi", file=PHOTO)
    card = await world.card_with("Böyle geldi")
    # Not there yet, then a link that has run out by the time it is followed: each try asks for a new one.
    await tried(world, 3)
    await twilio(world).settle({"media_link_seconds": 60.0})
    await fetched(world, 1)
    assert await files_in(world, card["ts"], 1) == [PICTURE]

    await twilio(world).settle({"media_absent": 99})
    await says(world, WHATSAPP_TWILIO, "Bu da öbürü", file={**PHOTO, "filename": "gone.png"})
    await thread_shows(world, card["ts"], "Bu da öbürü")

    async def given_up() -> bool:
        await query(world, "update work set attempts = 20 where kind = 'media' and lease is null")
        await hurry(world, "media")
        return bool(await query(world, "select 1 from attachments where state = 'failed'"))

    await eventually(given_up)
    await thread_shows(world, card["ts"], start_of("file.lost"))


async def tried(world: World, tries: int) -> None:
    """Until Twilio was asked for a file so often, by tries that did not wait."""

    async def look() -> bool:
        await hurry(world, "media")
        return len(calls(world, "media.fetch")) >= tries

    await eventually(look)


async def fetched(world: World, count: int) -> None:
    """Until so many files were fetched, by tries that did not wait."""

    async def look() -> bool:
        await hurry(world, "media")
        return len(await query(world, "select 1 from attachments where state = 'kept'")) == count

    await eventually(look)


async def test_edge_15_no_credentials_leave_and_no_private_address_is_asked(world: World) -> None:
    """The emulator's store of files refuses whoever brings credentials: the picture in Slack shows that none came."""
    await begun(world)
    await says(world, WHATSAPP_TWILIO, "Böyle geldi", file=PHOTO)
    card = await world.card_with("Böyle geldi")
    assert await files_in(world, card["ts"], 1) == [PICTURE]
    params = {
        "MessageSid": "MM000000000000000000000000000000ff",
        "AccountSid": twilio(world).account().sid,
        "From": f"whatsapp:{PHONE}",
        "To": WHATSAPP_TWILIO,
        "Body": "Bak şuna",
        "NumMedia": "3",
        "MediaUrl0": "http://169.254.169.254/latest/meta-data/",
        "MediaContentType0": "image/png",
        "MediaUrl1": "https://10.0.0.7/admin",
        "MediaContentType1": "image/png",
        "MediaUrl2": "https://[::ffff:10.0.0.7]/admin",
        "MediaContentType2": "image/png",
    }
    await twilio(world).raw(WHATSAPP_TWILIO, params)
    await thread_shows(world, card["ts"], "Bak şuna")

    async def lost() -> bool:
        rows = await query(world, "select why from attachments where state = 'failed'")
        return len(rows) == 3 and {row["why"] for row in rows} == {"The file's address is not one that may be fetched."}

    await eventually(lost)
    trouble(world, Action.STATUS, "cdn", status=500)
    await says(world, WHATSAPP_TWILIO, "Bir daha", file=PHOTO)
    await thread_shows(world, card["ts"], "Bir daha")
    await fetched(world, 2)
    assert len(await files_in(world, card["ts"], 2)) == 2
    await stored(world, "Böyle geldi", "Bak şuna", "Bir daha")
