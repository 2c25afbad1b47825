"""Messenger and Instagram, from a customer's phone to the thread and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from channels.channel import Registers
from channels.errors import WindowClosed
from channels.message import Address, Author, Outgoing
from tests.providers import INSTAGRAM, PAGE, PAGE_TOKEN
from tests.scenarios.desk import card_shows, marked, query, say, start_of, thread_shows
from tests.scenarios.meta import (
    PHOTO,
    account,
    answers,
    calls,
    chat,
    checked,
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
from tests.world import World, eventually

Json = dict[str, Any]
SENT, ARRIVED, READ, FAILED = "white_check_mark", "ballot_box_with_check", "eyes", "x"
LINES = {"messenger": PAGE, "instagram": INSTAGRAM}
both = pytest.mark.parametrize("kind", ["messenger", "instagram"])


async def begun(world: World, kind: str, text: str = "Kargom nerede?", key: str = "ayse", **facts: Any) -> Json:
    """Santral with the page or account, and a customer who wrote; the card."""
    if world.app is None:
        await world.add_channels(kind)
        await world.start()
    if key not in meta(world).accounts.people:
        person(world, key, **facts)
    await meta(world).say(key, LINES[kind], text)
    return await world.card_with(text)


def sent(world: World) -> list[Json]:
    """The messages that Meta was asked to bring somebody; an Instagram account's go by its page."""
    return calls(world, "messenger.messages")


@both
async def test_everything_a_customer_can_send_is_shown(world: World, kind: str) -> None:
    card = await begun(world, kind, "Merhaba")
    phone, line = meta(world), LINES[kind]
    await phone.say("ayse", line, "", file=PHOTO)
    await phone.say("ayse", line, "", file={"data": b"audio", "media_type": "audio/mp4"})
    await phone.say("ayse", line, "", file={"data": b"%PDF-1.7", "media_type": "application/pdf", "filename": "f.pdf"})
    await phone.share_location("ayse", line, 41.0256, 28.9741, "Galata")
    for shared in ("fallback", "ig_reel", "reel", "ig_post", "share", "ephemeral", "like_heart", "hologram"):
        await phone.share("ayse", line, shared)
    await phone.thumbs_up("ayse", line)
    await phone.start("ayse", line, "KARGO", "Kargom nerede?")
    await phone.refer("ayse", line, "yaz-indirimi")
    await phone.come_from_ad("ayse", line, "Bundan var mı?", "Yaz indirimi")
    await phone.send_unsupported("ayse", line)
    first = chat(world, line)[0].id
    await phone.say("ayse", line, "bu yazdığıma", reply_to=first)
    await phone.say("ayse", line, "bilinmeyene", reply_to="m_unknown")
    await phone.react("ayse", line, first, "❤")
    for words in ("Galata", "My Documents", "instagram.com/reel/123", "👍", "Yaz indirimi", "bilinmeyene", "hologram"):
        await thread_shows(world, card["ts"], words)
    found = await files_in(world, card["ts"], 3)
    assert PHOTO["data"] in found and b"%PDF-1.7" in found
    await eventually(lambda: _told(world, "reacted"))
    assert await people_known(world) == 1 and len(await world.roots()) == 1
    await quiet(world)
    assert notes(world) == []


async def _told(world: World, what: str) -> bool:
    return bool(await query(world, "select 1 from messages where body ->> 'event' = $1", what))


@both
async def test_an_answer_leaves_with_its_file_and_rises_to_read(world: World, kind: str) -> None:
    card = await begun(world, kind)
    data = PHOTO["data"]
    ts = await said(world, card, "Fotoğraf burada", files=[("şubat kargo.png", "image/png", data)])
    line = LINES[kind]
    await eventually(lambda: len(answers(world, line)) == 2)
    words, file = [entry for entry in chat(world, line) if entry.author == "shop"]
    assert words.text == "Fotoğraf burada" and file.kind == "image"
    assert file.file is not None and file.file.data == data
    await marked(world, ts, ARRIVED if kind == "messenger" else SENT)
    await meta(world).read("ayse", line)
    await marked(world, ts, READ)
    await quiet(world)
    assert await texts(world, "out") == ["Fotoğraf burada"] and notes(world) == []


@both
async def test_a_customer_has_the_name_the_platform_tells_or_none(world: World, kind: str) -> None:
    await begun(world, kind)
    await eventually(lambda: _named(world, "Ayşe Yılmaz"))
    await begun(world, kind, "Ben de buradayım", "gizli", name="Gizli Kişi", profile=False)
    await quiet(world)
    assert await _named(world, "Ayşe Yılmaz") and await people_known(world) == 2
    assert len(await query(world, "select 1 from customers where name = ''")) == 1


async def _named(world: World, name: str) -> bool:
    return bool(await query(world, "select 1 from customers where name = $1", name))


@both
async def test_edge_06_and_16_echoes_of_our_own_words_are_no_words_of_others(world: World, kind: str) -> None:
    """Before the answer to the call, twice and in any order."""
    card = await begun(world, kind)
    await meta(world).settle({"callback_first": True, "auto_read": True, "duplicates": 1.0, "order": "shuffled"})
    ts = await said(world, card, "Bir")
    await said(world, card, "İki")
    await reads(world, LINES[kind], "Bir", "İki")
    await marked(world, ts, READ)
    await hurry(world)
    await quiet(world)
    await hurry(world)
    await quiet(world)
    assert await texts(world, "out") == ["Bir", "İki"]


@both
async def test_edge_16_what_is_written_elsewhere_is_shown_once_and_never_sent_again(world: World, kind: str) -> None:
    card = await begun(world, kind)
    phone, line = meta(world), LINES[kind]
    await phone.write_from_page_inbox(line, "ayse", "Gelen kutusundan")
    id = await phone.write_from_phone_app(line, "ayse", "Telefondan")
    await phone.write_from_phone_app(line, "ayse", "Başka programdan", app_id="77")
    await phone.write_from_phone_app(line, "ayse", file=PHOTO)
    await eventually(lambda: len(phone.journal.attempts(0)) >= 5)
    await hurry(world)
    await thread_shows(world, card["ts"], "Page inbox")
    await thread_shows(world, card["ts"], "Telefondan")
    await phone.repeat(id)
    await files_in(world, card["ts"], 1)
    await hurry(world)
    await quiet(world)
    assert sorted(await texts(world, "out")) == ["", "Başka programdan", "Gelen kutusundan", "Telefondan"]
    assert sent(world) == []
    # To somebody nobody has heard of yet: they get a conversation, and a name once they write.
    person(world, "yeni", "Yeni Kişi")
    await phone.write_from_phone_app(line, "yeni", "Merhaba, biz yazalım dedik")
    await phone.say("yeni", line, "Buyurun")
    await world.card_with("Buyurun")
    await hurry(world)
    await eventually(lambda: _named(world, "Yeni Kişi"))


@both
async def test_an_answer_whose_line_broke_is_settled_by_its_echo_and_never_doubled(world: World, kind: str) -> None:
    card = await begun(world, kind)
    await spoil(world, match="messenger.messages", action="drop_after", times=1)
    ts = await said(world, card, "Paranız iade edildi")
    await eventually(lambda: answers(world, LINES[kind]) == ["Paranız iade edildi"])
    await eventually(lambda: _settled(world))
    await quiet(world)
    assert len(sent(world)) == 1 and await texts(world, "out") == ["Paranız iade edildi"]
    await meta(world).read("ayse", LINES[kind])
    await marked(world, ts, READ)


async def _settled(world: World) -> bool:
    await hurry(world)
    (row,) = await query(world, "select status, external_id from deliveries")
    return row["status"] >= 2 and bool(row["external_id"])


@both
async def test_edge_17_an_unsent_message_is_forgotten_whenever_that_is_told(world: World, kind: str) -> None:
    card = await begun(world, kind, "Merhaba")
    phone, line = meta(world), LINES[kind]
    id = await phone.say("ayse", line, "Kartım 4242", file=PHOTO)
    await thread_shows(world, card["ts"], "Kartım 4242")
    await files_in(world, card["ts"], 1)
    await said(world, card, "Kartınızı yazmayın")
    await reads(world, line, "Kartınızı yazmayın")
    await phone.unsend("ayse", line, id)
    await thread_shows(world, card["ts"], say("line.erased"))
    await eventually(lambda: not [file for file in world.slack.files.values() if file.data == PHOTO["data"]])

    await phone.settle({"batch": True})
    await phone.hold()
    early = await phone.say("ayse", line, "Bunu da unutun: 4343")
    await phone.unsend("ayse", line, early)
    await phone.say("ayse", line, "Teşekkürler")
    await phone.release("reverse")
    await thread_shows(world, card["ts"], "Teşekkürler")
    await quiet(world)
    (root,) = await world.roots()
    for secret in ("4242", "4343"):
        assert secret not in str(root)
        assert await _kept(world, secret) == []


async def _kept(world: World, words: str) -> list[str]:
    """Where in the database words still stand."""
    found = await query(
        world,
        """
        select 'text' as place from messages where text like '%' || $1 || '%'
        union all select 'body' from messages where body::text like '%' || $1 || '%'
        union all select 'received' from messages where received::text like '%' || $1 || '%'
        union all select 'raw' from messages where convert_from(raw, 'utf8') like '%' || $1 || '%'
        union all select 'notices' from notices where notices::text like '%' || $1 || '%'
        """,
        words,
    )
    return [row["place"] for row in found]


@both
async def test_edge_18_edits_out_of_order_leave_the_last_one(world: World, kind: str) -> None:
    card = await begun(world, kind, "Merhaba")
    phone, line = meta(world), LINES[kind]
    await phone.settle({"num_edit_text": kind == "messenger"})
    answered = await phone.say("ayse", line, "Adres: Kadıköy")
    await thread_shows(world, card["ts"], "Adres: Kadıköy")
    await said(world, card, "Tamam, Kadıköy")
    await reads(world, line, "Tamam, Kadıköy")
    await phone.hold()
    unseen = await phone.say("ayse", line, "Kapı 1")
    for address, door in (("Moda", "2"), ("Beşiktaş", "3"), ("Üsküdar", "4")):
        await phone.edit("ayse", line, answered, f"Adres: {address}")
        await phone.edit("ayse", line, unseen, f"Kapı {door}")
    await phone.release("reverse")
    await thread_shows(world, card["ts"], "Adres: Üsküdar")
    await thread_shows(world, card["ts"], "Kapı 4")
    await quiet(world)
    assert await texts(world) == ["Merhaba", "Adres: Üsküdar", "Kapı 4"]


async def test_edge_19_of_a_story_nothing_but_the_link_is_kept(world: World) -> None:
    card = await begun(world, "instagram")
    await meta(world).mention_in_story("ayse", INSTAGRAM, PHOTO)
    await meta(world).reply_to_story("ayse", INSTAGRAM, "Bu ne kadar?", PHOTO)
    await thread_shows(world, card["ts"], say.word("stub", "story_mention"))
    await thread_shows(world, card["ts"], "Bu ne kadar?")
    await quiet(world)
    assert await query(world, "select 1 from attachments") == []
    (root,) = await world.roots()
    assert not [file for message in (root, *root["replies"]) for file in message["files"]]
    assert meta(world).base + "/cdn/" in str(root)


async def test_edge_19_a_story_that_was_missed_leaves_nothing_but_its_link_either(world: World) -> None:
    card = await begun(world, "instagram")
    await quiet(world)
    await meta(world).unsubscribe(INSTAGRAM)
    await meta(world).mention_in_story("ayse", INSTAGRAM, PHOTO)
    await meta(world).reply_to_story("ayse", INSTAGRAM, "Bu ne kadar?", PHOTO)
    await hurry(world)
    await thread_shows(world, card["ts"], say.word("stub", "story_mention"))
    await thread_shows(world, card["ts"], "Bu ne kadar?")
    await quiet(world)
    assert await query(world, "select 1 from attachments") == []


@both
async def test_edge_20_one_poisoned_entry_costs_nobody_else(world: World, kind: str) -> None:
    await world.add_channels(kind)
    phone, line = meta(world), LINES[kind]
    phone.add_page(id="999", name="Başka dükkân", token="token-of-somebody")
    phone.add_instagram(id="998", username="baska", page="999")
    await world.start()
    phone.accounts.subscribe(account(world, "998" if kind == "instagram" else "999"))
    await phone.settle({"batch": True})
    await phone.hold()
    person(world)
    person(world, "can", "Can K")
    await phone.say("ayse", line, "Bir")
    for item in ({"sender": 7, "message": 8}, {"message": {"mid": ""}}, {"sender": {"id": "5"}, "message": {"mid": 5}}):
        await phone.raw(line, item)
    await phone.say("can", line, "İki")
    await phone.say("can", "998" if kind == "instagram" else "999", "Başkasına")
    await phone.test_button(line)
    await phone.release()
    await world.card_with("Bir")
    await world.card_with("İki")
    await quiet(world)
    assert sorted(await texts(world)) == ["Bir", "İki"]
    assert len(await query(world, "select 1 from quarantine")) >= 1


@both
async def test_edge_21_after_a_day_people_may_still_answer_for_a_week(world: World, kind: str) -> None:
    card = await begun(world, kind)
    line = LINES[kind]
    await said(world, card, "Hemen")
    await reads(world, line, "Hemen")
    assert sent(world)[-1]["params"]["messaging_type"] == "RESPONSE"
    await later(world, hours=25)
    await said(world, card, "Ertesi gün")
    await reads(world, line, "Hemen", "Ertesi gün")
    assert sent(world)[-1]["params"]["tag"] == "HUMAN_AGENT"
    assert world.app is not None
    adapter = world.app.channels[kind]
    (row,) = await query(world, "select kind, value from addresses")
    heard = datetime.now(UTC)
    message = Outgoing(
        id=uuid4(),
        to=Address(kind=row["kind"], value=row["value"]),
        author=Author.BOT,
        text="Ben bir programım",
        answers_at=heard,
        at=datetime.now(UTC).replace(year=heard.year + 1),
    )
    before = len(sent(world))
    with pytest.raises(WindowClosed):
        await adapter.send(message)
    await later(world, days=7, hours=1)
    ts = await said(world, card, "Çok geç")
    await marked(world, ts, FAILED)
    await thread_shows(world, card["ts"], start_of("failure.window_closed"))
    assert len(sent(world)) == before
    await meta(world).say("ayse", line, "Hâlâ bekliyorum")
    await thread_shows(world, card["ts"], "Hâlâ bekliyorum")
    await said(world, card, "Yeniden buradayız")
    await eventually(lambda: answers(world, line)[-1] == "Yeniden buradayız")
    assert notes(world) == []


@both
async def test_edge_21_without_metas_leave_to_answer_late_the_agent_is_told(world: World, kind: str) -> None:
    card = await begun(world, kind)
    await meta(world).settle({"human_agent": False})
    await later(world, hours=25)
    ts = await said(world, card, "Ertesi gün")
    await marked(world, ts, FAILED)
    await thread_shows(world, card["ts"], start_of("failure.window_closed"))


async def test_edge_22_a_long_answer_on_instagram_leaves_in_bytes_in_order_and_part_by_part(world: World) -> None:
    card = await begun(world, "instagram")
    long = "Здравствуйте! Ваш заказ уже в пути 🚚🇹🇷. " * 40
    await said(world, card, long.strip())
    await eventually(lambda: " ".join(answers(world, INSTAGRAM)).split() == long.split())
    parts = answers(world, INSTAGRAM)
    assert len(parts) >= 3 and all(len(part.encode()) <= 1000 for part in parts)
    await quiet(world)

    refusal = {"error": {"message": "(#100) Invalid parameter", "type": "OAuthException", "code": 100}}
    await spoil(world, match="messenger.messages", action="status", status=400, json=refusal, times=1, after=1)
    ts = await said(world, card, ("Ы" * 450 + ". ") * 3)
    await marked(world, ts, FAILED)
    told = await thread_shows(world, card["ts"], say("failure.parts", arrived="2", parts="3"))
    (button,) = (each for each in told["blocks"][-1]["elements"] if "again" in each["action_id"])
    before = len(answers(world, INSTAGRAM))
    await world.slack.press("U0AYSE0001", button["action_id"], channel="C0SUPPORT1", ts=told["ts"])
    await eventually(lambda: len(answers(world, INSTAGRAM)) == before + 1)


@both
async def test_edge_23_a_dead_token_holds_answers_back_and_what_was_missed_is_asked_for(
    world: World, kind: str
) -> None:
    card = await begun(world, kind)
    phone, line = meta(world), LINES[kind]
    await phone.expire_token(line, 460)
    ts = await said(world, card, "Yarın sizde")
    await thread_shows(world, card["ts"], start_of("failure.misconfigured"))
    await phone.say("ayse", line, "Orada mısınız?")
    await thread_shows(world, card["ts"], "Orada mısınız?")
    assert answers(world, line) == []
    wrong = [what for what, ok in (await checked(world, kind)).items() if not ok]
    assert wrong == ["Meta does not accept the access token: it has expired, or was withdrawn."]

    await phone.unsubscribe(line)  # what Meta does to those who fail too long
    await phone.say("ayse", line, "Bunu kimse duymadı", file=None)
    await phone.say("ayse", line, "", file=PHOTO)
    await phone.write_from_phone_app(line, "ayse", "Telefondan yanıtladık")
    await phone.expire_token(line, 0)
    await hurry(world)
    await thread_shows(world, card["ts"], "Bunu kimse duymadı")
    assert await files_in(world, card["ts"], 1) == [PHOTO["data"]]
    await reads(world, line, "Yarın sizde")
    await marked(world, ts, SENT)
    await hurry(world)
    await thread_shows(world, card["ts"], "Telefondan yanıtladık")
    assert not all((await checked(world, kind)).values())  # nobody is told of anything: santral serve mends it
    await world.stop()
    await world.start()
    assert all((await checked(world, kind)).values())
    await quiet(world)
    assert sorted(await texts(world)) == ["", "Bunu kimse duymadı", "Kargom nerede?", "Orada mısınız?"]
    assert sorted(await texts(world, "out")) == ["Telefondan yanıtladık", "Yarın sizde"]


@both
async def test_edge_23_what_was_written_while_santral_was_away_is_asked_for_at_its_start(
    world: World, kind: str
) -> None:
    card = await begun(world, kind)
    await quiet(world)
    await world.stop()
    phone, line = meta(world), LINES[kind]
    await phone.unsubscribe(line)
    await phone.say("ayse", line, "Kapalıyken yazdım")
    await world.start()
    await thread_shows(world, card["ts"], "Kapalıyken yazdım")
    await quiet(world)
    assert await texts(world) == ["Kargom nerede?", "Kapalıyken yazdım"]


@both
async def test_edge_24_oneself_and_other_programs_talks(world: World, kind: str) -> None:
    card = await begun(world, kind)
    phone, line = meta(world), LINES[kind]
    own = {"sender": {"id": line}, "recipient": {"id": line}, "timestamp": 1, "message": {"mid": "m_self", "text": "b"}}
    await phone.raw(line, own)
    await phone.standby(line)
    await phone.say("ayse", line, "Başka programla konuşuyorum")
    await thread_shows(world, card["ts"], "Başka programla konuşuyorum")
    ts = await said(world, card, "Biz de buradayız")
    await marked(world, ts, FAILED)
    await phone.standby(line, on=False)
    await said(world, card, "Şimdi olur")
    await reads(world, line, "Şimdi olur")
    await stored(world, "Kargom nerede?", "Başka programla konuşuyorum")


@both
async def test_a_customer_who_blocked_us_is_known_after_one_try(world: World, kind: str) -> None:
    card = await begun(world, kind)
    await meta(world).block("ayse", LINES[kind])
    ts = await said(world, card, "Yarın sizde")
    await marked(world, ts, FAILED)
    await card_shows(world, card["ts"], "🚫")
    await meta(world).say("ayse", LINES[kind], "Vazgeçtim")
    await card_shows(world, card["ts"], without=["🚫"])
    await said(world, card, "Hoş geldiniz")
    await reads(world, LINES[kind], "Hoş geldiniz")


@both
async def test_a_file_whose_link_died_is_fetched_by_its_message(world: World, kind: str) -> None:
    card = await begun(world, kind)
    phone, line = meta(world), LINES[kind]
    await phone.hold()
    id = await phone.say("ayse", line, file=PHOTO)
    await phone.expire_media(id)
    await phone.release()
    assert await files_in(world, card["ts"], 1) == [PHOTO["data"]]
    await quiet(world)
    assert notes(world) == []


@both
async def test_a_forged_webhook_changes_nothing(world: World, kind: str) -> None:
    await begun(world, kind)
    meta(world).accounts.app_secret = "somebody-elses"
    await meta(world).say("ayse", LINES[kind], "Sahte")
    await eventually(lambda: [one for one in meta(world).journal.attempts(0) if one["status"] == 401])
    await stored(world, "Kargom nerede?")


@both
async def test_two_accounts_of_one_app_share_an_address_and_each_keeps_its_own(world: World, kind: str) -> None:
    await world.add_channels(kind)
    phone = meta(world)
    phone.add_page(id="108264108264999", name="Kumbara Almanya", token="token-of-the-second")
    if kind == "instagram":
        phone.add_instagram(id="17841400000000999", username="kumbara.de", page="108264108264999")
    second = "108264108264999" if kind == "messenger" else "17841400000000999"
    (first,) = world.more
    own = {"page_id": "108264108264999"} | ({"ig_id": second} if kind == "instagram" else {})
    world.more.append({**first, **own, "name": "ikinci", "access_token": "token-of-the-second"})
    await world.start()
    assert world.app is not None
    adapter = world.app.channels["ikinci"]
    assert isinstance(adapter, Registers)
    await adapter.register(f"{world.url}/webhooks/ikinci")
    told = await checked(world, "ikinci")
    passed_on = f"The webhook points to channel {kind!r}, which passes on what is for this one."
    assert all(told.values()) and passed_on in told
    assert all((await checked(world, kind)).values())
    person(world)
    await phone.say("ayse", LINES[kind], "Birinciye")
    await phone.say("ayse", second, "İkinciye")
    card = await world.card_with("İkinciye")
    await world.card_with("Birinciye")
    await said(world, card, "İkinciden yanıt")
    await reads(world, second, "İkinciden yanıt")
    rows = await query(world, "select channel, text from messages where direction = 'in' order by text")
    assert [(row["channel"], row["text"]) for row in rows] == [(kind, "Birinciye"), ("ikinci", "İkinciye")]
    await quiet(world)


@both
async def test_santral_check_names_each_part_that_is_wrong_and_serve_mends_it_once(world: World, kind: str) -> None:
    await world.add_channels(kind)
    await world.start()
    assert world.app is not None
    phone, url = meta(world), f"{world.url}/webhooks/{kind}"
    adapter = world.app.channels[kind]
    assert isinstance(adapter, Registers)
    assert all((await checked(world, kind)).values())

    async def wrong() -> str:
        return " ".join(what for what, ok in (await checked(world, kind)).items() if not ok)

    token = phone.accounts.tokens[PAGE_TOKEN]
    scopes, token.scopes = token.scopes, ()
    assert "lacks: " in await wrong() and "pages_manage_metadata" in await wrong()
    token.scopes = scopes
    await phone.unsubscribe(LINES[kind])
    assert "The app is not told of: " in await wrong()
    app = phone.accounts.subscriptions["page" if kind == "messenger" else "instagram"]
    app.fields = ("messages",)
    assert "Meta is not asked for: " in await wrong()
    await adapter.register(url)
    assert await wrong() == ""
    before = len(calls(world, ""))
    await adapter.register(url)
    assert {call["verb"] for call in calls(world, "")[before:]} == {"GET"}
    app = phone.accounts.subscriptions["page" if kind == "messenger" else "instagram"]
    app.callback_url = "https://elsewhere.example/hook"
    assert "Meta delivers to elsewhere.example/hook instead of here." in await wrong()
    await adapter.register(url)
    assert app.callback_url == "https://elsewhere.example/hook"  # somebody relies on it
