"""Mail at the desk, through Slack: what stands in the thread, what a button shows, and what machines tell us."""

from __future__ import annotations

import json

from tests.desk.limits import strings, view
from tests.scenarios.desk import answer, card_shows, marked, opened, query, say, start_of, thread_shows
from tests.world import AYSE, SUPPORT, World, eventually

LATE = {"notice": "failure", "channel": "telegram", "code": "mailbox_full", "detail": "452 4.2.2 over quota"}


async def test_what_a_mail_leaves_out_is_one_click_away(world: World) -> None:
    await world.start()
    _, card = await opened(world, "Kargom nerede?")
    mail = {"hidden": "> Siparişiniz yola çıktı", "proof": 0, "why": "DKIM yok", "warnings": ["lookalike"]}
    changed = "update messages set subject = 'Sipariş 17', body = body || $1::jsonb where text = 'Kargom nerede?'"
    await query(world, changed, json.dumps(mail))
    await world.slack.press(AYSE, "take", channel=SUPPORT, ts=card["ts"])
    shown = await card_shows(
        world, card["ts"], "Sipariş 17", "DKIM yok", say.word("warning", "lookalike"), say("button.show_original")
    )
    assert "yola çıktı" not in str(shown)

    await world.slack.press(AYSE, "show_original", channel=SUPPORT, ts=card["ts"])
    (window,) = await eventually(lambda: list(world.slack.views.values()))
    said = " ".join(strings(window.body["blocks"]))
    for words in ("Ayşe Yılmaz", "Sipariş 17", "Kargom nerede?", "> Siparişiniz yola çıktı", "DKIM yok"):
        assert words in said
    assert view(window.body) == []


async def test_a_vacation_note_is_a_small_line_and_wakes_nobody(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    await query(
        world,
        """
        with line as (
            insert into messages (conversation_id, position, direction, channel, external_id, text, body, sent_at)
            select id, last_position + 1, 'event', 'telegram', 'machine-1', 'Ofis dışındayım', $1::jsonb, now()
            from conversations
        )
        update conversations set last_position = last_position + 1
        """,
        json.dumps({"event": "auto_reply", "detail": "Ofis dışındayım, pazartesi döneceğim"}),
    )
    await world.telegram.say(customer, text="Bakar mısınız?")
    line = await thread_shows(world, card["ts"], "pazartesi döneceğim")
    assert [block["type"] for block in line["blocks"]] == ["context"]
    assert start_of("event.auto_reply") in line["blocks"][0]["elements"][0]["text"]
    await thread_shows(world, card["ts"], "Bakar mısınız?")
    assert await world.answers(customer) == []


async def test_a_reply_that_comes_back_after_it_was_sent_is_marked_and_explained(world: World) -> None:
    await world.start()
    customer, card = await opened(world)
    reply = await answer(world, card, "Yolda")
    await marked(world, reply, "white_check_mark")
    (delivery,) = await query(world, "update deliveries set status = 9 returning message_id, conversation_id")
    await query(
        world,
        "insert into notices (conversation_id, key, notice) values ($1, 'failure:late', $2::jsonb)",
        delivery["conversation_id"],
        json.dumps({**LATE, "message": delivery["message_id"]}),
    )
    await query(world, "insert into work (kind, key) values ('marks', $1)", str(delivery["message_id"]))
    await world.telegram.say(customer, text="Hâlâ bekliyorum")
    await marked(world, reply, "x")
    told = await thread_shows(world, card["ts"], "452 4.2.2 over quota")
    for words in ("❌", "Ayşe Yılmaz", "Yolda", say("advice.mailbox_full")):
        assert words in str(told)


async def test_who_only_claims_a_customers_address_is_shown_as_such_and_whom_they_look_like(world: World) -> None:
    await world.start()
    _, card = await opened(world, "Siparişim nerede?", "Ayşe Yılmaz")
    await query(
        world,
        """
        with known as (insert into customers (name) values ('Ayşe Y. (asıl)') returning id)
        insert into addresses (customer_id, kind, value, proof) select id, 'email', 'ayse@ornek.com.tr', 3 from known
        """,
    )
    await query(
        world, "update addresses set kind = 'email-claimed', value = 'ayse@ornek.com.tr', proof = 0 where proof = 2"
    )
    await world.slack.press(AYSE, "take", channel=SUPPORT, ts=card["ts"])
    await card_shows(world, card["ts"], start_of("card.claimed"), "ayse@ornek.com.tr", "Ayşe Y. (asıl)")
