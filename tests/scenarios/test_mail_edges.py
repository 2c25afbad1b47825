"""The nastiest mails, the whole way: what a person at the desk sees. Numbers are those of the list of hard cases."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from channels.mail.adapter import Email, EmailConfig
from channels.mail.tokens import message_id
from channels.message import Address, Letter, Received
from sandbox.trouble import Action
from tests.scenarios.desk import answer, card_of, query, say, thread_shows
from tests.scenarios.mail import (
    AYSE,
    DENIZ,
    JONAS,
    PAVEL,
    SALES,
    US,
    arrive,
    forged,
    letter,
    line,
    lines,
    mails_to,
    read,
    received,
    says,
    second_mailbox,
    settled,
    verdicts,
    wrote,
)
from tests.world import MAILBOX, MAILBOX_PASSWORD, World, eventually

FORM = "form@kumbara.example"


@pytest.fixture
def shop(mail_world: World) -> World:
    """The shop, without a limit on how fast it may write."""
    mail_world.mail_channel |= {"per_minute": 6000}
    mail_world.mail.add_account(AYSE, name="Ayşe Yılmaz", client="gmail", language="tr")
    return mail_world


async def cards(world: World) -> list[str]:
    """The cards in the team's Slack channel, each with its thread, as text."""
    return [str(root) for root in await world.roots()]


# --- who wrote it


async def test_whoever_only_claims_to_be_a_customer_stays_apart_and_is_marked(shop: World) -> None:
    """Cases 1 and 2: two addresses in From, a forged verdict, a spoof whose domain disowns it, a look-alike."""
    world = shop
    world.mail.policies["ornek.com.tr"] = "none"
    await world.start()
    true = await wrote(world, AYSE, "Siparişim 1001 nerede?")

    two = letter("Siparişimin adresi ne?", sender=f"{AYSE} <{DENIZ}>", id="1@x")
    arrive(world, two, owner=DENIZ, signed=verdicts("pass", "baska.example"))
    await line(world, "Siparişimin adresi ne?")

    lie = [f"Authentication-Results: {US}; dmarc=pass header.from=ornek.com.tr"]
    forged(world, letter("Paramı bu hesaba iade edin", more=lie, id="2@x"))
    await line(world, "Paramı bu hesaba iade edin")

    hidden = letter("Bana yazın", sender=f'"{AYSE}" <{DENIZ}>', id="3@x")
    arrive(world, hidden, owner=DENIZ)
    await line(world, "Bana yazın")

    refused = verdicts("fail", "ornek.com.tr")
    forged(world, letter("Kartımı unuttum", id="4@x"), signed=refused)
    await read(world, 5)
    await settled(world)

    roots = await world.roots()
    (own,) = [root for root in roots if root["ts"] == true["ts"]]
    assert not own["replies"], "nothing of it reached the customer's own thread"
    apart = {words: next(str(root) for root in roots if words in str(root)) for words in (
        "Siparişimin adresi ne?", "Paramı bu hesaba", "Bana yazın",
    )}  # fmt: skip
    assert say.word("warning", "two_froms") in apart["Siparişimin adresi ne?"]
    assert says("card.claimed") in apart["Paramı bu hesaba"]
    assert says("card.looks_like") in apart["Paramı bu hesaba"]
    assert say.word("warning", "name_hides_address") in apart["Bana yazın"]
    assert "Kartımı unuttum" not in str(roots), "its own domain disowns it: nobody is bothered with it"
    assert len(await query(world, "select 1 from letters where outcome = 'aside'")) == 1, "and it is kept"
    assert not world.mail.sent

    world.mail.deliver(AYSE, MAILBOX, "Ek", "Unutmayın beni")
    await thread_shows(world, true["ts"], "Unutmayın beni")


async def test_each_form_mail_is_its_own_customer_and_answers_go_to_them(shop: World) -> None:
    """Case 20: From is the shop's own form, Reply-To the customer."""
    world = shop
    world.mail_channel |= {"contact_forms": [FORM]}
    world.mail.add_account(FORM, name="Kumbara form")
    await world.start()
    people = [f"kisi{number}@posta.example" for number in range(12)]
    for number, address in enumerate(people):
        world.mail.add_account(address)
        text = f"Adres: {address}\nMesaj: form sorusu {number}."
        arrive(
            world,
            letter(text, sender=f"Kumbara form <{FORM}>", subject="İletişim formu", more=[f"Reply-To: <{address}>"]),
            owner=FORM,
        )
    await read(world, len(people))
    await settled(world)
    stored = await lines(world)
    assert len({one.conversation for one in stored}) == len(people)
    (row,) = await query(world, "select count(*) as n from addresses where value = $1", FORM)
    assert row["n"] == 0, "nobody is called like the form"
    card = await world.card_with("form sorusu 7.")
    await answer(world, card, "Size yazıyoruz.")
    seen = await received(world, people[7], "Size yazıyoruz.")
    assert seen.recipients == (people[7],)
    world.mail.deliver(people[7], MAILBOX, "", "Aldım, sağ olun", in_reply_to=seen.message_id)
    await thread_shows(world, card["ts"], "Aldım, sağ olun")
    assert len(await world.roots()) == len(people)
    await settled(world)
    assert len(world.mail.sent) == 1


# --- what it says


async def test_what_a_mail_says_is_shown_as_its_writer_meant_it(shop: World) -> None:
    """Cases 9 to 11, 13 and 16, and the extra about names of files and people."""
    world = shop
    await world.start()
    blank = (
        b"--b\r\nContent-Type: text/plain\r\n\r\n \r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        b"<p>Bozuk <b>geldi</b></p>\r\n--b--"
    )
    arrive(world, letter(blank, kind='multipart/alternative; boundary="b"', id="9@o"))
    turkish = "Sipariş iade edilsin, ışık yanmıyor".encode("windows-1254")
    arrive(world, letter(turkish, kind="text/plain; charset=iso-8859-1", id="10@o"))
    russian = "Здравствуйте, где мой заказ? Жду уже две недели.".encode("koi8-r")
    arrive(world, letter(russian, kind="text/plain; charset=windows-1251", id="11a@o"))
    arrive(world, letter("Nerede kaldı?".encode("windows-1254"), kind="text/plain; charset=x-unknown", id="11b@o"))
    raw = letter("Konuya bakın", id="11c@o").replace("Siparişim".encode(), "Şikâyet çok büyük".encode("windows-1254"))
    arrive(world, raw)
    arrive(world, letter("> Hangi beden?\n42\n> Hangi renk?\nMavi olsun", id="13a@o"))
    forward = (
        "---------- Forwarded message ---------\nFrom: Depo <depo@kargo.example>\nDate: Tue, Nov 3, 2026 at 10:12\n"
        "Subject: Teslimat\nTo: <ayse@ornek.com.tr>\n\nPaketiniz iade edildi."
    )
    arrive(world, letter(forward, subject="Fwd: Teslimat", id="13b@o"))
    tnef = base64.encodebytes(b"\x78\x9f\x3e\x22 not a real one").decode()
    photo = (
        f"--b\nContent-Type: text/plain\n\nFotoğraf ekte\n--b\nContent-Type: application/ms-tnef; name=winmail.dat\n"
        f"Content-Transfer-Encoding: base64\n\n{tnef}\n--b--"
    )
    arrive(world, letter(photo, kind='multipart/mixed; boundary="b"', id="16@o"))
    await read(world, 8)
    await settled(world)
    shown = [one.text for one in await lines(world)]
    assert shown[0] == "Bozuk geldi"
    assert shown[1] == "Sipariş iade edilsin, ışık yanmıyor"
    assert shown[2] == "Здравствуйте, где мой заказ? Жду уже две недели."
    assert "Nerede kald" in shown[3]
    assert (await lines(world))[4].subject == "Şikâyet çok büyük"
    assert "42" in shown[5]
    assert "Mavi olsun" in shown[5]
    assert "Paketiniz iade edildi." in shown[6]
    (thread,) = await cards(world)
    for words in ("Bozuk geldi", "ışık yanmıyor", "Paketiniz iade edildi.", "Mavi olsun", "winmail.dat"):
        assert words in thread


async def test_hostile_mail_is_visible_as_something_and_stops_nobody_behind_it(shop: World) -> None:
    """Cases 14 and 15, and the extra about header injection: endless words, nested parts, headers in a name."""
    world = shop
    await world.start()
    arrive(world, letter("On " * 70_000, subject="Sonsuz", id="14a@o"))
    arrive(world, letter("\n" * 50_000 + "en altta", subject="Boşluk", id="14b@o"))
    nested = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(2_000)).encode()
    arrive(world, letter(nested, kind='multipart/mixed; boundary="b0"', subject="İç içe", id="15a@o"))
    many = b"--b\r\nContent-Type: text/plain\r\n\r\n.\r\n" * 100_000 + b"--b--"
    arrive(world, letter(many, kind='multipart/mixed; boundary="b"', subject="Yüz bin parça", id="15b@o"))
    evil = "=?utf-8?q?Eve=0D=0ABcc:_victim@x.example=00?="
    arrive(world, letter("Adım tuhaf", sender=f"{evil} <{AYSE}>", subject=evil, id="crlf@o"))
    await read(world, 5)
    world.mail.deliver(AYSE, MAILBOX, "Normal", "Arkadan gelen sıradan mail")
    root = str(await world.card_with("Arkadan gelen sıradan mail"))
    await settled(world)
    stored = await lines(world)
    assert len(stored) == 6
    for words in ("Sonsuz", "Boşluk", "en altta", "İç içe", "Yüz bin parça"):
        assert words in root, words

    odd = await world.card_with("Adım tuhaf")
    assert say.word("warning", "name_hides_address") in str(odd)
    await answer(world, odd, "Yanıtımız budur.")
    seen = await received(world, AYSE, "Yanıtımız budur.")
    assert not seen.header("Bcc")
    (sent,) = world.mail.sent
    assert sent.recipients == (AYSE,)


async def test_of_a_mail_too_large_to_read_the_head_tells_whose_it_is() -> None:
    """Case 15: 80 MB. Its stub stands where the whole would, because the receiver's verdict is in the head."""
    channel = Email("mail", EmailConfig(address=MAILBOX, smtp="smtp://127.0.0.1:1", trusted_authserv=(US,)))
    ours = uuid4()
    judged, answered = verdicts("pass", "ornek.com.tr"), message_id(ours, "kumbara.example")
    head = [f"Authentication-Results: {judged}", f"In-Reply-To: {answered}"]
    raw = letter("video" * 100, subject="Video", more=head)
    facts = {"way": "imap", "cut": True, "size": 80 << 20}
    try:
        (stub,) = await channel.read(
            Letter(channel="mail", external_id="1", digest=b"1", at=datetime.now(UTC), raw=raw, facts=facts)
        )
    finally:
        await channel.close()
    assert isinstance(stub, Received)
    assert (stub.sender, stub.subject, stub.stub) == (Address(kind="email", value=AYSE), "Video", "mail")
    assert stub.answers == (ours,)
    assert "80 MB" in stub.why


# --- once, in order, whatever happens to the line


async def test_one_mail_by_several_ways_is_one_message_and_one_id_for_two_mails_is_two(shop: World) -> None:
    """Case 8: support@ and sales@ are two channels; a forwarder brings the same mail a third time."""
    world = shop
    second_mailbox(world)
    await world.start()
    world.mail.deliver(AYSE, [MAILBOX, SALES], "Fiyat", "İki kutuya birden yazdım")
    card = await world.card_with("İki kutuya birden yazdım")
    copy = world.mail.accounts[AYSE].folder("Sent").mails[1].raw
    assert world.mail.arrive(
        b"Received: from forwarder.example by mx; Sun, 22 Nov 2026 10:00:00 +0000\r\nX-Forwarded-To: us\r\n" + copy,
        MAILBOX, mail_from="srs0=x@forwarder.example",
    )  # fmt: skip
    await settled(world)
    (only,) = await lines(world)
    assert only.body["also"] in (["sales"], ["mail"])
    assert says("line.also") in str(await card_of(world, card["ts"]))
    await answer(world, card, "Fiyatı 100 lira")
    seen = await received(world, AYSE, "Fiyatı 100 lira")
    assert seen.sender_address in (MAILBOX, SALES), "whichever of the two may be written from here"

    for words in ("Birinci başka söz", "İkinci başka söz"):
        arrive(world, letter(words, id="same@broken.example", more=["Date: Sun, 22 Nov 2026 10:00:00 +0000"]))
    await eventually(lambda: query(world, "select 1 from messages having count(*) = 3"))


async def test_who_answers_to_all_is_shown_there_even_when_both_mails_came_while_nobody_read(shop: World) -> None:
    """After an outage what refers to each other comes in one batch."""
    world = shop
    arrive(world, letter("Kargom nerede?", to=f"{MAILBOX}, {DENIZ}", id="a@ornek.com.tr"))
    friend = f"Deniz <{DENIZ}>"
    arrive(
        world, letter("Ben de soruyorum", sender=friend, id="b@b", more=["References: <a@ornek.com.tr>"]), owner=DENIZ
    )
    arrive(world, letter("Hâlâ bekliyoruz", sender=friend, id="c@b", more=["References: <b@b>"]), owner=DENIZ)
    arrive(world, letter("Evet, bekliyoruz", id="d@ornek.com.tr"))
    await world.start()
    await read(world, 4)
    stored = await lines(world)
    assert [one.text for one in stored] == ["Kargom nerede?", "Ben de soruyorum", "Hâlâ bekliyoruz", "Evet, bekliyoruz"]
    assert len({one.conversation for one in stored}) == 1


async def test_a_mailbox_in_trouble_loses_and_doubles_nothing(shop: World) -> None:
    """Cases 5 to 7: cut, BYE, stalled, numbered anew, restarted; every mail is there once and in order."""
    world = shop
    await world.start()
    await wrote(world, AYSE, "posta 1.")
    await eventually(lambda: world.mail.idlers(MAILBOX))
    world.mail.cut(MAILBOX)
    world.mail.deliver(AYSE, MAILBOX, "Seri", "posta 2.")
    await line(world, "posta 2.")
    await eventually(lambda: world.mail.idlers(MAILBOX))
    world.mail.bye(MAILBOX)
    world.mail.deliver(AYSE, MAILBOX, "Seri", "posta 3.")
    await line(world, "posta 3.")

    world.mail.troubles.add([{"match": "imap.uid-fetch", "action": Action.DROP_BEFORE, "times": 1}])
    world.mail.deliver(AYSE, MAILBOX, "Seri", "posta 4.")
    await line(world, "posta 4.")
    world.mail.troubles.clear()

    world.mail.renew(MAILBOX)
    for number in range(5, 30):
        world.mail.deliver(AYSE, MAILBOX, "Seri", f"posta {number}.")
    await world.stop()
    world.mail.renew(MAILBOX)
    world.mail.deliver(AYSE, MAILBOX, "Seri", "posta 30.")
    await world.start()
    await line(world, "posta 30.")
    await settled(world)
    assert [one.text for one in await lines(world)] == [f"posta {number}." for number in range(1, 31)]
    assert not world.mail.sent


async def test_a_login_that_is_refused_rings_once_and_reading_goes_on_when_it_is_mended(shop: World) -> None:
    world = shop
    world.mail.add_account(MAILBOX, password="changed by the provider")
    world.mail.deliver(AYSE, MAILBOX, "Erken", "Kapı kapalıyken geldi")
    await world.start()
    alarm = await world.card_with(says("refuses_us.what-email"))
    assert say("refuses_us.advice") in str(alarm)
    await query(world, "update work set run_at = now() where kind = 'pull'")
    tried = await query(world, "select attempts from work where kind = 'pull' and key = 'mail'")
    await eventually(lambda: query(world, "select 1 from work where kind = 'pull' and attempts > $1", tried[0][0]))
    assert len(await world.roots()) == 1, "told once, however often it fails"
    await world.stop()
    world.mail.add_account(MAILBOX, password=MAILBOX_PASSWORD)
    await world.start()
    await world.card_with("Kapı kapalıyken geldi")
    await world.card_with(says("reads_again.what-email"))
    assert len(await world.roots()) == 3


async def test_the_first_connect_takes_the_last_hour_and_the_spam_folder_marked(shop: World) -> None:
    world = shop
    old = world.mail.now() - timedelta(days=3)
    arrive(world, letter("Üç günlük", id="old@o"), at=old)
    arrive(world, letter("Yeni geldi", sender=f"Pavel <{PAVEL}>", id="new@o"), owner=PAVEL)
    arrive(world, letter("Spama düştüm", sender=f"Jonas <{JONAS}>", id="spam@o"), owner=JONAS, folder="Junk")
    await world.start()
    await world.card_with("Yeni geldi")
    spam = await world.card_with("Spama düştüm")
    assert say.word("warning", "spam_folder") in str(spam)
    assert (await line(world, "Spama düştüm")).body["quiet"], "no program answers it"
    assert "Üç günlük" not in str(await cards(world))

    world.mail.renew(MAILBOX)  # the old ones come up again with new numbers
    await wrote(world, AYSE, "Sonraki")
    await settled(world)
    assert sorted(one.text for one in await lines(world)) == ["Sonraki", "Spama düştüm", "Yeni geldi"]
    assert mails_to(world, AYSE) == []


async def test_what_was_being_read_when_santral_stopped_is_there_once(shop: World) -> None:
    """Case 6: stopped with letters fetched and unread, and again with some of them read."""
    world = shop
    for number in range(120):
        world.mail.deliver(AYSE, MAILBOX, "Yığın", f"yığın {number:03}")
    await world.start()
    await eventually(lambda: query(world, "select 1 from letters"))
    await world.stop()
    await world.start()
    await eventually(lambda: query(world, "select 1 from messages"))
    await world.stop()
    await world.start()
    await read(world, 120)
    assert [one.text for one in await lines(world)] == [f"yığın {number:03}" for number in range(120)]
