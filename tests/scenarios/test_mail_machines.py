"""What machines do to our mail: servers that refuse, delay or lose it, notes that answer it, and those that loop."""

from __future__ import annotations

import asyncio

import pytest

from app.mail import admit
from sandbox.mail.values import Fate
from sandbox.trouble import Action
from tests.scenarios.desk import answer, card_shows, marked, query, say, thread_shows
from tests.scenarios.mail import (
    AYSE,
    arrive,
    forged,
    letter,
    line,
    lines,
    mails_to,
    read,
    received,
    says,
    settled,
    sooner,
    wrote,
)
from tests.world import AYSE as AGENT
from tests.world import MAILBOX, SUPPORT, World, eventually


@pytest.fixture
def shop(mail_world: World) -> World:
    """The shop with one customer by mail, and no limit on how fast it may write."""
    mail_world.mail_channel |= {"per_minute": 6000}
    mail_world.mail.add_account(AYSE, name="Ayşe Yılmaz", client="gmail", language="tr")
    return mail_world


async def waits(world: World) -> None:
    """Wait until an answer was put off."""
    late = "select 1 from work where kind = 'deliver' and greatest(run_at, held_until) > now() + interval '20 seconds'"
    await eventually(lambda: query(world, late))


# --- sending trouble


async def test_an_address_that_is_refused_is_silent_until_it_writes_again(shop: World) -> None:
    world = shop
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    world.mail.add_account(AYSE, fate="refuse")
    ts = await answer(world, card, "Yarın gelir.")
    await marked(world, ts, "x")
    told = await thread_shows(world, card["ts"], says("failure.unreachable-email"))
    assert "5.1.1" in str(told)
    assert say("advice.unreachable-email") in str(told)

    second = await answer(world, card, "Duydunuz mu?")
    await marked(world, second, "x")
    assert len(world.mail.sent) == 0

    world.mail.add_account(AYSE, fate="ok")
    world.mail.deliver(AYSE, MAILBOX, "", "Kutum yine açık")
    await thread_shows(world, card["ts"], "Kutum yine açık")
    third = await answer(world, card, "Hoş geldiniz.")
    await received(world, AYSE, "Hoş geldiniz.")
    await marked(world, third, "white_check_mark")
    assert len(mails_to(world, AYSE)) == 1, "what was refused is not sent by itself"


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"match": "smtp.rcpt", "status": 451, "body": "451 4.7.1 Greylisted"}, id="greylisted"),
        pytest.param({"match": "smtp.mail", "status": 421, "body": "421 4.7.0 Too many messages"}, id="421"),
        pytest.param({"match": "smtp.rcpt", "status": 452, "body": "452 4.2.2 Mailbox full"}, id="full for now"),
    ],
)
async def test_what_is_put_off_arrives_once_and_the_agent_has_nothing_to_do(
    shop: World, rule: dict[str, object]
) -> None:
    world = shop
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    world.mail.troubles.add([{"action": Action.STATUS, "times": 1, **rule}])
    ts = await answer(world, card, "Yarın gelir.")
    await waits(world)
    assert world.mail.inbox(AYSE) == []
    await sooner(world)
    await received(world, AYSE, "Yarın gelir.")
    await marked(world, ts, "white_check_mark")
    assert len(mails_to(world, AYSE)) == 1
    assert "❌" not in str(await world.roots())


async def test_a_login_that_is_refused_is_said_and_nothing_is_lost(shop: World) -> None:
    world = shop
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    said = "535 5.7.8 Username and Password not accepted."
    world.mail.troubles.add([{"match": "smtp.auth", "action": Action.STATUS, "body": said}])
    ts = await answer(world, card, "Yarın gelir.")
    told = await thread_shows(world, card["ts"], says("failure.misconfigured-email"))
    assert say("advice.misconfigured") in str(told)
    again = await answer(world, card, "Takip no 77.")
    world.mail.troubles.clear()
    await sooner(world)
    await marked(world, ts, "white_check_mark")
    await sooner(world)
    await marked(world, again, "white_check_mark")
    await received(world, AYSE, "Yarın gelir.")
    await received(world, AYSE, "Takip no 77.")
    assert [seen.own for seen in world.mail.inbox(AYSE)] == ["Yarın gelir.", "Takip no 77."]


async def test_a_line_lost_after_the_last_dot_is_settled_by_the_sent_folder(shop: World) -> None:
    world = shop
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    world.mail.troubles.add([{"match": "smtp.data", "action": Action.DROP_AFTER, "times": 1}])
    ts = await answer(world, card, "Yarın gelir.")
    await marked(world, ts, "white_check_mark")
    await received(world, AYSE, "Yarın gelir.")
    assert len(mails_to(world, AYSE)) == 1, "it lies in Sent, so nobody is asked and nothing is sent twice"
    assert say("button.delivery_again") not in str(await world.roots())


@pytest.mark.parametrize("choice", ["delivery_arrived", "delivery_again"])
async def test_a_line_lost_after_the_last_dot_is_asked_about_where_no_sent_folder_tells(
    shop: World, choice: str
) -> None:
    world = shop
    world.mail.change_settings({"files_sent": False})
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    lost = choice == "delivery_again"
    how = Action.DROP_BEFORE if lost else Action.DROP_AFTER
    world.mail.troubles.add([{"match": "smtp.data", "action": how, "times": 1}])
    ts = await answer(world, card, "Yarın gelir.")
    asked = await thread_shows(world, card["ts"], says("doubt.what"))
    assert "Yarın gelir." in str(asked)
    assert len(world.mail.inbox(AYSE)) == (0 if lost else 1)
    await world.slack.press(AGENT, choice, channel=SUPPORT, ts=asked["ts"])
    await marked(world, ts, "white_check_mark")
    await received(world, AYSE, "Yarın gelir.")
    await settled(world)
    assert len(world.mail.inbox(AYSE)) == 1
    assert len({seen.message_id for seen in mails_to(world, AYSE)}) == 1


# --- bounces


@pytest.mark.parametrize(
    ("fate", "failure", "silent"),
    [
        (Fate.BOUNCE, "failure.unreachable-email", True),
        (Fate.BOUNCE_PLAIN, "failure.refused-email", False),
        (Fate.BOUNCE_FULL, "failure.mailbox_full", False),
        (Fate.BOUNCE_POLICY, "failure.rejected_as_spam", False),
    ],
)
async def test_a_bounce_is_about_the_answer_and_nobody_called_mailer_daemon_is_a_customer(
    shop: World, fate: Fate, failure: str, silent: bool
) -> None:
    """Cases 17 and 18: with and without RFC 3464; only hard codes silence an address, and a policy is our trouble."""
    world = shop
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    world.mail.add_account(AYSE, fate=fate)
    ts = await answer(world, card, "Yarın gelir.")
    await thread_shows(world, card["ts"], says(failure))
    await marked(world, ts, "x")
    (row,) = await query(world, "select silenced_at is not null as silent from addresses where value = $1", AYSE)
    assert row["silent"] is silent
    assert len(await query(world, "select 1 from customers")) == 1
    await settled(world)
    assert len(await world.roots()) == 1
    assert len(world.mail.sent) == 1, "nothing answers a bounce"


async def test_a_delay_is_no_failure(shop: World) -> None:
    """Case 18: delayed, then delivered."""
    world = shop
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    world.mail.add_account(AYSE, fate=Fate.DELAY)
    ts = await answer(world, card, "Yarın gelir.")
    await thread_shows(world, card["ts"], says("event.delayed"))
    await received(world, AYSE, "Yarın gelir.")
    await marked(world, ts, "white_check_mark")
    world.mail.add_account(AYSE, fate=Fate.OK)
    again = await answer(world, card, "Geldi mi?")
    await marked(world, again, "white_check_mark")
    assert "❌" not in str(await world.roots())


async def test_a_bounce_of_what_we_never_sent_is_shown_to_nobody(shop: World) -> None:
    """Somebody sent spam in our name: its bounces come to us by the thousand."""
    world = shop
    await world.start()
    for number in range(3):
        notice = letter(
            f"<x{number}@elsewhere.example>: 550 5.1.1 no such user\n\nMessage-ID: <spam{number}@bot.example>",
            sender="Mail Delivery System <MAILER-DAEMON@elsewhere.example>", subject="Undelivered Mail",
            id=f"b{number}@elsewhere.example",
        )  # fmt: skip
        forged(world, notice)
    await read(world, 3)
    await settled(world)
    assert await world.roots() == []
    assert await query(world, "select 1 from customers") == []
    assert len(await query(world, "select 1 from letters where outcome = 'aside'")) == 3, "santral mail list shows them"
    assert not world.mail.sent


# --- notes and loops


async def test_who_is_away_wakes_nobody_and_gets_no_second_mail(shop: World) -> None:
    """Case 3: an out-of-office note on our answer is a small line; nothing answers it."""
    world = shop
    world.mail.add_account(AYSE, vacation="Pazartesiye kadar yokum")
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    await answer(world, card, "Yarın gelir.")
    await received(world, AYSE, "Yarın gelir.")
    note = await thread_shows(world, card["ts"], "Pazartesiye kadar yokum")
    assert [block["type"] for block in note["blocks"]] == ["context"]
    await card_shows(world, card["ts"], say.word("state", "waiting"))
    assert (await line(world, "Pazartesiye kadar")).direction == "event"
    await settled(world)
    assert len(world.mail.sent) == 1


async def test_two_support_systems_that_acknowledge_each_other_stop_with_us(shop: World) -> None:
    """Case 4: their acknowledgements carry no sign of a machine but their sender's; nothing of ours answers them."""
    world = shop
    await world.start()
    for number in range(6):
        talk = letter(
            f"Ticket {number} has been received. We will be back to you.", sender="Help <no-reply@desk.example>",
            subject=f"[#{number}] received", id=f"t{number}@desk.example",
        )  # fmt: skip
        arrive(world, talk, owner="no-reply@desk.example")
    await read(world, 6)
    await world.card_with("Ticket 5")
    await settled(world)
    stored = await lines(world)
    assert len({one.conversation for one in stored}) == 1
    assert all(one.automatic for one in stored), "a program must not answer these"
    assert all(one.body["quiet"] for one in stored)
    assert not world.mail.sent


async def test_our_own_mail_come_back_is_filed_and_never_answered(shop: World) -> None:
    world = shop
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    await answer(world, card, "Yarın gelir.")
    await received(world, AYSE, "Yarın gelir.")
    (sent,) = world.mail.sent
    for _ in range(2):
        assert world.mail.arrive(sent.raw, MAILBOX, mail_from=AYSE)
    shown = await thread_shows(world, card["ts"], says("event.loop"))
    assert [block["type"] for block in shown["blocks"]] == ["context"]
    await settled(world)
    assert len(world.mail.sent) == 1
    assert [one.direction for one in await lines(world)] == ["in", "out", "event"]


async def test_a_complaint_stops_all_mail_to_who_complained(shop: World) -> None:
    world = shop
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    await answer(world, card, "Yarın gelir.")
    seen = await received(world, AYSE, "Yarın gelir.")
    report = letter(
        "--b\nContent-Type: text/plain\n\nThis is an abuse report.\n"
        "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: FBL/1\nVersion: 1\n"
        f"Original-Rcpt-To: <{AYSE}>\n"
        f"--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: {seen.message_id}\nTo: {AYSE}\nSubject: Re\n--b--",
        sender="<fbl@postalar.example>", subject="complaint about message",
        kind='multipart/report; report-type=feedback-report; boundary="b"',
    )  # fmt: skip
    arrive(world, report, owner="fbl@postalar.example")
    await thread_shows(world, card["ts"], says("event.complaint"))
    await card_shows(world, card["ts"], say("card.blocked"))
    ts = await answer(world, card, "Özür dileriz")
    await marked(world, ts, "x")
    await settled(world)
    assert len(world.mail.sent) == 1


async def test_newsletters_open_no_conversation_and_can_be_let_in(shop: World) -> None:
    world = shop
    await world.start()
    world.mail.newsletter("news@marka.example", MAILBOX, "Haftanın ürünleri", "İndirim başladı")
    world.mail.deliver(AYSE, MAILBOX, "Soru", "Ben bir insanım", headers={"Precedence": "first-class"})
    await world.card_with("Ben bir insanım")
    await read(world, 2)
    assert len(await world.roots()) == 1
    (row,) = await query(world, "select id from letters where outcome = 'aside'")
    assert await asyncio.to_thread(admit, world.config(), row["id"])
    await world.card_with("İndirim başladı")
    assert (await line(world, "İndirim başladı")).body["quiet"], "a person may answer it, a program may not"
    assert not world.mail.sent
