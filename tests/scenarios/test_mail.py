"""A customer writes a mail, an agent answers from Slack, the customer reads the answer: over real IMAP and SMTP."""

from __future__ import annotations

import asyncio

from channels.mail.tokens import delivery_in
from sandbox.mail.clients import Enclosure
from tests.scenarios.desk import answer, card_of, marked, query, say, thread_shows
from tests.scenarios.mail import (
    AYSE,
    DENIZ,
    JONAS,
    PAVEL,
    arrive,
    forged,
    letter,
    line,
    lines,
    mails_to,
    received,
    says,
    settled,
    wrote,
)
from tests.world import MAILBOX, MEHMET, World, eventually


async def test_a_mail_is_a_card_an_answer_is_a_mail_and_its_reply_shows_only_the_new_words(mail_world: World) -> None:
    world = mail_world
    world.mail.add_account(AYSE, name="Ayşe Yılmaz", client="gmail", language="tr")
    await world.start()
    card = await wrote(world, AYSE, "Merhaba, iki haftadır bekliyorum.", subject="YNT: Re: Siparişim nerede?")
    assert "Siparişim nerede?" in str(card["blocks"])
    await answer(world, card, "Yarın elinizde olur.")
    seen = await received(world, AYSE, "Yarın elinizde olur.")
    assert seen.subject == "Re: Siparişim nerede?", "theirs, with one Re:"
    assert seen.own == "Yarın elinizde olur."
    assert "> Merhaba, iki haftadır bekliyorum." in seen.past, "what is answered stands below"
    assert seen.in_reply_to in seen.references
    world.mail.deliver(AYSE, MAILBOX, seen.subject, "Teşekkürler!", in_reply_to=seen.message_id)
    reply = await thread_shows(world, card["ts"], "Teşekkürler!")
    assert "Yarın elinizde olur." not in str(reply), "what we wrote ourselves is hidden"
    assert len(await world.roots()) == 1, "it is one conversation"


async def test_whatever_is_left_of_a_mails_threading_brings_it_to_its_conversation(mail_world: World) -> None:
    world = mail_world
    world.mail_channel |= {"reply_token": True, "per_minute": 6000}
    world.mail.add_account(AYSE, name="Ayşe Yılmaz")
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    await answer(world, card, "Yarın gelir.")
    sent = await received(world, AYSE, "Yarın gelir.")

    # Nobody here has written before: all that tells where they belong is in the mail.
    arrive(
        world, letter("Kocası yazıyor", sender=f"Can <{JONAS}>", more=[f"In-Reply-To: {sent.message_id}"]), owner=JONAS
    )
    await thread_shows(world, card["ts"], "Kocası yazıyor")
    arrive(world, letter("Jeton yeter", sender=f"Pavel <{PAVEL}>", to=sent.reply_to, subject="Soru"), owner=PAVEL)
    await thread_shows(world, card["ts"], "Jeton yeter")
    await query(world, "update deliveries set external_id = '<0102018f-000000@eu-west-1.amazonses.com>'")
    renamed = "References: <x@y.example>\r\n <0102018f-000000@eu-west-1.amazonses.com>"
    arrive(world, letter("Amazon başka ad verdi", sender=f"Deniz <{DENIZ}>", more=[renamed]), owner=DENIZ)
    friend = await thread_shows(world, card["ts"], "Amazon başka ad verdi")
    assert says("line.bystander") in str(friend)

    # From the address we wrote to, but nothing proves it: it may be shown where the answer belongs, as unproven.
    forged(world, letter("Kanıtsız yanıt", more=[f"In-Reply-To: {sent.message_id}"]))
    unproven = await thread_shows(world, card["ts"], "Kanıtsız yanıt")
    assert says("line.unproven_why") in str(unproven)
    assert len(await world.roots()) == 1


async def test_who_was_passed_our_mail_speaks_up_and_learns_nothing(mail_world: World) -> None:
    """Case 19: a friend answers with our References and token; the customer stays who they are."""
    world = mail_world
    world.mail_channel |= {"reply_token": True, "per_minute": 6000}
    world.mail.add_account(AYSE, name="Ayşe Yılmaz")
    world.mail.add_account(DENIZ, name="Deniz Kaya")
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    await answer(world, card, "Yarın gelir.")
    sent = await received(world, AYSE, "Yarın gelir.")
    arrive(
        world,
        letter(
            "Adresi değiştirin: Yeni Sokak 5", sender=f"Deniz Kaya <{DENIZ}>", to=sent.reply_to, id="d1@baska.example",
            more=[f"References: {sent.message_id}", f"Reply-To: <{DENIZ}>"],
        ),
        owner=DENIZ,
    )  # fmt: skip
    friend = await thread_shows(world, card["ts"], "Yeni Sokak 5")
    assert DENIZ in str(friend)
    assert says("line.bystander") in str(friend)
    arrive(
        world,
        letter("Yaptınız mı?", sender=f"Deniz Kaya <{DENIZ}>", more=["References: <d1@baska.example>"]), owner=DENIZ
    )  # fmt: skip
    await thread_shows(world, card["ts"], "Yaptınız mı?")
    await answer(world, card, "Adresinizi yalnızca siz değiştirebilirsiniz.")
    await received(world, AYSE, "yalnızca siz")
    await settled(world)
    assert mails_to(world, DENIZ) == []
    head = str((await card_of(world, card["ts"]))["blocks"])
    assert AYSE in head
    assert "Deniz" not in head, "the customer keeps name and address"
    assert len(await world.roots()) == 1


async def test_two_agents_answer_at_once_and_the_customer_sees_one_chain(mail_world: World) -> None:
    """Extra: two agents answering at once."""
    world = mail_world
    world.mail_channel |= {"per_minute": 6000, "from_name": "Kumbara"}
    world.mail.add_account(AYSE, name="Ayşe Yılmaz", client="apple", language="tr")
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    question = world.mail.inbox(MAILBOX)[0]
    await asyncio.gather(answer(world, card, "Yolda."), answer(world, card, "Numarası 77.", user=MEHMET))
    first, second = await received(world, AYSE, "Yolda."), await received(world, AYSE, "Numarası 77.")
    assert first.message_id != second.message_id
    assert first.in_reply_to == second.in_reply_to == question.message_id
    assert first.references == second.references == (question.message_id,)
    assert first.sender_name != second.sender_name, "each signs as themselves"
    assert first.sender_name.endswith("Kumbara")

    world.mail.deliver(AYSE, MAILBOX, "", "İkincisine yanıt", in_reply_to=second.message_id)
    await thread_shows(world, card["ts"], "İkincisine yanıt")
    world.mail.deliver(AYSE, MAILBOX, "", "Birincisine yanıt", in_reply_to=first.message_id)
    await thread_shows(world, card["ts"], "Birincisine yanıt")
    await answer(world, card, "Rica ederiz.")
    third = await received(world, AYSE, "Rica ederiz.")
    last = next(seen for seen in world.mail.inbox(MAILBOX) if "Birincisine" in seen.own)
    assert third.in_reply_to == last.message_id
    assert third.references == (question.message_id, first.message_id, last.message_id)
    assert third.subject == "Re: Siparişim"
    assert len(await world.roots()) == 1


async def test_files_go_both_ways_and_what_is_too_large_is_said(mail_world: World) -> None:
    world = mail_world
    world.mail_channel |= {"per_minute": 6000}
    world.mail.add_account(AYSE, name="Ayşe Yılmaz")
    await world.start()
    broken = Enclosure(name="kırık.png", media_type="image/png", data=b"\x89PNG broken")
    slip = Enclosure(name="../fiş\x00.pdf", media_type="application/pdf", data=b"%PDF slip")
    card = await wrote(world, AYSE, "Kutu ezik geldi", attachments=[broken, slip])
    await eventually(lambda: len(world.slack.files) == 2)
    names = {file.name: file.data for file in world.slack.files.values()}
    assert names["kırık.png"] == broken.data
    (other,) = (name for name in names if name != "kırık.png")
    assert other.endswith(".pdf")
    assert "/" not in other
    assert "\x00" not in other

    pdf, png = b"%PDF-form" * 100, b"\x89PNG label"
    form, label = ("iade formu.pdf", "application/pdf", pdf), ("etiket.png", "image/png", png)
    ts = await answer(world, card, "Formu doldurun", files=[form, label])
    seen = await received(world, AYSE, "Formu doldurun")
    assert [(file.name, file.data) for file in seen.files] == [("iade formu.pdf", pdf), ("etiket.png", png)]
    await marked(world, ts, "white_check_mark")
    assert len(mails_to(world, AYSE)) == 1, "words and files are one mail"

    video = ("video.mp4", "video/mp4", bytes(20 << 20))
    ts = await answer(world, card, "Kurulum videosu", files=[video])
    await received(world, AYSE, "Kurulum videosu")
    told = await thread_shows(world, card["ts"], say("advice.file_too_big"))
    assert "video.mp4" in str(told)
    await marked(world, ts, "white_check_mark")  # of the words, which have left


async def test_bounces_come_home_to_the_bounce_address(mail_world: World) -> None:
    """The Return-Path names the delivery, so that even a notice that tells nothing is understood."""
    world = mail_world
    bounces = "bounce@kumbara.example"
    world.mail.add_account(MAILBOX, aliases={bounces})
    world.mail_channel |= {"bounce_address": bounces, "per_minute": 6000}
    world.mail.add_account(AYSE, name="Ayşe Yılmaz")
    await world.start()
    card = await wrote(world, AYSE, "Kargom nerede?")
    ts = await answer(world, card, "Yarın gelir.")
    await received(world, AYSE, "Yarın gelir.")
    await marked(world, ts, "white_check_mark")
    (sent,) = world.mail.sent
    assert delivery_in(sent.mail_from), sent.mail_from
    notice = letter(
        "Sorry. It did not work out. 550 5.1.1 no such user.", sender="MAILER-DAEMON <mailer-daemon@ornek.com.tr>",
        to=sent.mail_from, subject="Undelivered Mail Returned to Sender",
    )  # fmt: skip
    assert world.mail.arrive(notice, sent.mail_from, mail_from="")
    await thread_shows(world, card["ts"], says("failure.unreachable-email"))
    await marked(world, ts, "x")
    assert len(await world.roots()) == 1


async def test_a_mail_that_only_repeats_our_words_in_its_quote_is_not_read_back_to_us(mail_world: World) -> None:
    """Case 12, end to end: Outlook's block in Turkish, Gmail's line without a verb in Russian, the past on a button."""
    world = mail_world
    world.mail_channel |= {"per_minute": 6000}
    for address, client, language in ((AYSE, "outlook", "tr"), (PAVEL, "gmail", "ru"), (JONAS, "apple", "de")):
        world.mail.add_account(address, name=address.partition("@")[0].title(), client=client, language=language)
    await world.start()
    for address in (AYSE, PAVEL, JONAS):
        card = await wrote(world, address, f"Ilk soru {address}")
        await answer(world, card, f"Bizim yanitimiz {address}")
        seen = await received(world, address, "Bizim yanitimiz")
        world.mail.deliver(address, MAILBOX, "", f"Son soz {address}", in_reply_to=seen.message_id)
        shown = await thread_shows(world, card["ts"], f"Son soz {address}")
        assert "Bizim yanitimiz" not in str(shown)
        stored = await line(world, f"Son soz {address}")
        assert "Bizim yanitimiz" in stored.body["hidden"]
        assert stored.text == f"Son soz {address}"
    assert len({one.conversation for one in await lines(world)}) == 3
