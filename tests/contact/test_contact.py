"""The contact form from the page to the mailbox: over real HTTP, a real database, and emulators on both sides."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import pytest

from channels.message import Proof
from inbox.store.database import credentials
from tests.contact.visitor import FILLED, HOURS, SATURDAY_NIGHT, TUESDAY, Refusals, Visitor, pass_time
from tests.scenarios.desk import answer, query, say, thread_shows
from tests.scenarios.mail import AYSE, lines, mails_to, received, settled
from tests.world import MAILBOX, World, eventually

NOT_LOST = "yazdıklarınız kaybolmadı"


async def visited(world: World, **how: str) -> Visitor:
    """A visitor who has the page open."""
    visitor = Visitor(world, **how)
    await visitor.look()
    assert visitor.status == 200
    return visitor


def kept(world: World) -> list[str]:
    """The files that lie in the folder of files."""
    return [path.name for path in (world.folder / "var/files").rglob("*") if path.is_file()]


async def test_what_is_written_in_the_form_is_a_thread_and_the_answer_leaves_by_mail(mail_world: World) -> None:
    world = mail_world
    world.mail.add_account(AYSE, name="Ayşe Yılmaz")
    await world.start()
    visitor = await visited(world)
    await visitor.send(phone="+90 532 000 00 00", order="4711", files=[("../kutu.jpg", b"\xff\xd8 kutu")])
    assert (visitor.status, visitor.location) == (303, "contact/thanks?lang=tr")
    card = await world.card_with("iki haftadır bekliyorum")
    shown = str(card["blocks"])
    for words in ("Kargom nerede?", "Sipariş numarası: 4711", "Telefon: +90 532 000 00 00", AYSE):
        assert words in shown
    assert "kanıtlanmadı" in shown, "nobody vouches for the address"
    await eventually(lambda: any("kutu.jpg" in file.name for file in world.slack.files.values()))

    await answer(world, card, "Yarın elinizde olur.")
    seen = await received(world, AYSE, "Yarın elinizde olur.")
    assert seen.subject == "Re: Kargom nerede?"
    assert "> Merhaba, iki haftadır bekliyorum." in seen.past
    world.mail.deliver(AYSE, MAILBOX, seen.subject, "Teşekkürler!", in_reply_to=seen.message_id)
    await thread_shows(world, card["ts"], "Teşekkürler!")
    assert len(await world.roots()) == 1, "the mail that answers ours proves the address and is the same conversation"
    (row,) = await query(world, "select kind, proof from addresses where kind like 'email%' and value = $1", AYSE)
    assert (row["kind"], row["proof"]) != ("email-claimed", int(Proof.CLAIMED))


async def test_a_second_click_and_a_reload_store_once_and_other_words_once_more(mail_world: World) -> None:
    await mail_world.start()
    visitor = await visited(mail_world)
    await asyncio.gather(visitor.send(), visitor.send())
    await visitor.look("/contact/thanks")
    again = await visited(mail_world)
    await again.send(message="Bir kez")
    await again.send(message="Bir kez")  # reloaded
    await again.send(message="Geri dönüp bir şey daha yazdım")
    assert again.status == 303
    texts = [line.text for line in await lines(mail_world)]
    assert sorted(texts) == sorted([FILLED["message"], "Bir kez", "Geri dönüp bir şey daha yazdım"])


async def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(mail_world: World) -> None:
    await mail_world.start()
    refusals = await Refusals(mail_world).since()
    visitor = await visited(mail_world)
    hostile = '"><script>alert(1)</script>{{ shop }}'
    before = visitor.ticket
    await visitor.send(
        email="ayse@ornek", subject=hostile, message="\n <b>1</b>\n2 </textarea>", files=[("a.pdf", b"%PDF")]
    )
    assert visitor.status == 422
    assert "e-posta adresi" in visitor.error("email")
    assert visitor.error("files") == "Lütfen dosyalarınızı yeniden seçin: tarayıcı onları saklamıyor."
    assert not any(visitor.error(key) for key in ("name", "subject", "message"))
    assert visitor.typed("email") == "ayse@ornek"
    assert visitor.typed("subject") == hostile
    assert visitor.typed("message") == "<b>1</b>\n2 </textarea>"
    assert "script" not in {node.tag for node in visitor.page.css("main *")}
    field = visitor.page.css_first("#email")
    assert field and field.attributes["aria-invalid"] == "true"
    assert "email-error" in str(field.attributes["aria-describedby"])
    assert "autofocus" in field.attributes, "the first that is wrong"
    assert visitor.ticket == before
    assert await query(mail_world, "select 1 from messages") == []
    assert kept(mail_world) == []
    await visitor.send(email=AYSE, subject="Kargom", message="2")
    assert visitor.status == 303
    assert await refusals.now() == {"incomplete": 1}


async def test_programs_are_told_apart_from_people_and_people_may_try_again(mail_world: World) -> None:
    await mail_world.start()
    refusals = await Refusals(mail_world).since()
    visitor = Visitor(mail_world)
    pass_time(mail_world)
    await visitor.look(hurry=True)
    fresh = visitor.ticket
    await visitor.send()
    assert (visitor.status, visitor.ticket) == (422, fresh)
    assert "Çok hızlı" in visitor.text(".notice")
    pass_time(mail_world, timedelta(minutes=1))
    await visitor.send(website="https://seo.example")
    assert visitor.status == 422
    assert "İnsanların görmediği" in visitor.text(".notice")
    assert visitor.typed("website") == ""
    page = visitor.order
    visitor.order = [*(key for key in page if key != "website"), "website"]  # as a page of before this version has it
    await visitor.send(website="https://seo.example", files=[("a.pdf", b"%PDF")])
    assert visitor.status == 422
    assert "İnsanların görmediği" in visitor.text(".notice")
    assert kept(mail_world) == []
    for forged in ("", "nonsense", fresh[:-2] + "AA"):
        await visitor.send(ticket=forged)
        assert visitor.status == 422
        assert visitor.typed("message") == FILLED["message"]
        assert visitor.ticket not in ("", forged)
    pass_time(mail_world, timedelta(hours=25))
    await visitor.send(ticket=fresh)
    assert "uzun süredir açıktı" in visitor.text(".notice")
    assert await query(mail_world, "select 1 from messages") == []
    pass_time(mail_world, timedelta(minutes=1))
    await visitor.send()
    assert visitor.status == 303
    assert await refusals.now() == {"too_soon": 1, "trap": 2, "too_old": 4}


async def test_an_advertisement_is_stored_and_said_to_be_one(mail_world: World) -> None:
    await mail_world.start()
    visitor = await visited(mail_world)
    await visitor.send(
        subject="Best SEO https://seo.example", message="We are the best [url=https://seo.example]SEO[/url]"
    )
    assert visitor.status == 303
    card = await mail_world.card_with("We are the best")
    assert say("warning.form_links") in str(card["blocks"])


async def test_one_mailbox_and_one_address_can_write_only_so_often(mail_world: World) -> None:
    await mail_world.start()
    refusals = await Refusals(mail_world).since()
    pass_time(mail_world)
    visitor = await visited(mail_world, address="198.51.100.7")
    for number in range(6):
        await visitor.send(message=f"Mesaj {number}")
    assert visitor.status == 429
    assert 1 <= int(visitor.answered["Retry-After"]) <= 300
    assert NOT_LOST in visitor.text(".notice")
    assert visitor.typed("message") == "Mesaj 5"
    assert len(await lines(mail_world)) == 5
    pass_time(mail_world, timedelta(minutes=5))
    await visitor.send(message="Mesaj 5")
    assert visitor.status == 303

    spammer = Visitor(mail_world, address="203.0.113.9")
    outcomes = []
    for number in range(12):
        await spammer.look()
        await spammer.send(email=f"a{number}@post.example")
        outcomes.append(spammer.status)
    assert outcomes == [303] * 10 + [429] * 2
    other = await visited(mail_world, address="192.0.2.77")
    await other.send(email="jonas@post.example")
    assert other.status == 303, "nobody else is held up"
    assert await refusals.now() == {"too_many": 3}


async def test_what_is_sent_again_counts_once_and_other_files_count_anew(mail_world: World) -> None:
    await mail_world.start()
    pass_time(mail_world)
    visitor = await visited(mail_world, address="198.51.100.7")
    photo = ("kutu.jpg", b"\xff\xd8 kutu")
    for _ in range(7):  # reloaded, and clicked twice
        await visitor.send(files=[photo])
        assert visitor.status == 303
    await asyncio.gather(*(visitor.send(files=[photo]) for _ in range(3)))
    for number in range(4):
        await visitor.send(files=[("kutu.jpg", b"\xff\xd8 %d" % number)])
        assert visitor.status == 303, "that is another message"
    await visitor.send(files=[("kutu.jpg", b"\xff\xd8 the sixth")])
    assert visitor.status == 429
    assert visitor.error("files"), "the browser does not keep them"
    await visitor.send(files=[photo])
    assert visitor.status == 303, "it is stored already"
    assert len(await lines(mail_world)) == 5
    assert len(kept(mail_world)) == 5


async def test_who_is_refused_for_their_files_may_mend_that_for_nothing(mail_world: World) -> None:
    await mail_world.start()
    pass_time(mail_world)
    visitor = await visited(mail_world, address="198.51.100.7")
    for _ in range(8):
        await visitor.send(files=[(f"{number}.txt", b"x") for number in range(6)])
        assert visitor.status == 422
    await visitor.send(files=[("1.txt", b"x")])
    assert visitor.status == 303


async def test_too_many_and_too_large_files_are_said_and_leave_nothing_behind(mail_world: World) -> None:
    world = mail_world
    await world.start()
    visitor = await visited(world)
    await visitor.send(files=[(f"{number}.txt", b"x") for number in range(6)])
    assert (visitor.status, visitor.error("files")[:22]) == (422, "Lütfen en çok 5 dosya ")
    half = bytes(11 << 20)
    await visitor.send(files=[("a.bin", half), ("b.bin", half)])
    assert visitor.status == 422
    assert "20 MB" in visitor.error("files")
    assert kept(world) == []
    assert await query(world, "select 1 from messages") == []
    await visitor.send(files=[("a.bin", half), ("b.txt", b"two")])
    assert visitor.status == 303
    rows = await query(world, "select filename, size from attachments order by number")
    assert [(row["filename"], row["size"]) for row in rows] == [("a.bin", 11 << 20), ("b.txt", 3)]


async def test_what_was_typed_stays_when_a_whole_network_has_tried_too_often(mail_world: World) -> None:
    await mail_world.start()
    pass_time(mail_world)
    visitor = await visited(mail_world, address="198.51.100.7")
    for _ in range(60):
        await visitor.send(name="")
        assert visitor.status == 422
    await visitor.send(message="Buraya kadar yazdım")
    assert visitor.status == 429
    assert NOT_LOST in visitor.text(".notice")
    assert visitor.typed("message") == "Buraya kadar yazdım"
    pass_time(mail_world, timedelta(minutes=1))
    assert await _sent(visitor, message="Buraya kadar yazdım")


async def test_what_was_typed_stays_when_files_cannot_be_kept(mail_world: World) -> None:
    await mail_world.start()
    visitor = await visited(mail_world)
    folder = mail_world.folder / "var/files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("no folder")
    await visitor.send(message="Faturam ekte", files=[("fatura.pdf", b"%PDF")])
    assert visitor.status == 503
    assert NOT_LOST in visitor.text(".notice")
    assert (visitor.typed("message"), bool(visitor.error("files"))) == ("Faturam ekte", True)
    folder.unlink()
    await visitor.send(message="Faturam ekte", files=[("fatura.pdf", b"%PDF")])
    assert visitor.status == 303


async def test_what_no_form_sends_is_refused_in_words(mail_world: World) -> None:
    await mail_world.start()
    refusals = await Refusals(mail_world).since()
    visitor = await visited(mail_world)
    for kind, body in [
        ("multipart/form-data; boundary=x", b"--x\r\nnonsense"),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=name\r\n\r\nAy"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Length: a\r\n\r\n"),
        ("multipart/form-data; boundary=" + "x" * 90, b"--x"),
        ("multipart/form-data", b"x"),
        ("application/json", b"{}"),
        ("text/plain", b""),
    ]:
        await visitor.post_raw(body, kind)
        assert visitor.status == 400, kind
        assert "okunamadı" in visitor.text(".notice")
    await visitor.post_raw(b"ticket=1&name=" + b"x" * (600 << 10), "application/x-www-form-urlencoded")
    assert visitor.status == 413
    await visitor.post_raw(b"name=Ay%C5%9Fe&message=Merhaba", "application/x-www-form-urlencoded")
    assert (visitor.status, visitor.typed("name"), visitor.typed("message")) == (422, "Ayşe", "Merhaba")
    assert await refusals.now() == {"unreadable": 9, "too_old": 1, "too_large": 1}


async def test_while_the_database_is_away_the_page_says_so_and_keeps_what_was_typed(mail_world: World) -> None:
    world = mail_world
    await world.start()
    visitor = await visited(world)
    name = credentials(world.database_url)["database"]
    await query_elsewhere(world, f"alter database {name} allow_connections false")
    await query_elsewhere(world, f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
    try:
        await visitor.send(message="Orada mısınız?")
        assert visitor.status == 503
        assert int(visitor.answered["Retry-After"]) > 0
        assert NOT_LOST in visitor.text(".notice")
        assert visitor.typed("message") == "Orada mısınız?"
        await Visitor(world).look()
    finally:
        await query_elsewhere(world, f"alter database {name} allow_connections true")
    await eventually(lambda: _sent(visitor))
    assert [line.text for line in await lines(world)] == ["Orada mısınız?"]


async def test_files_of_a_message_that_may_have_been_stored_stay_until_it_is_known(mail_world: World) -> None:
    world = mail_world
    await world.start()
    visitor = await visited(world)
    invoice = ("fatura.pdf", b"%PDF")
    name = credentials(world.database_url)["database"]
    await query_elsewhere(world, f"alter database {name} allow_connections false")
    await query_elsewhere(world, f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
    try:
        await visitor.send(message="Faturam ekte", files=[invoice])
        assert visitor.status == 503
        assert len(kept(world)) == 1, "the answer to a commit may be lost after the commit"
    finally:
        await query_elsewhere(world, f"alter database {name} allow_connections true")
    pass_time(world, timedelta(minutes=2))
    await eventually(lambda: _sent(visitor, message="Faturam ekte", files=[invoice]))
    await the_files_are_those_of_the_messages(world, 1)


async def test_a_second_click_keeps_no_second_copy_of_the_files(mail_world: World) -> None:
    await mail_world.start()
    visitor = await visited(mail_world)
    for _ in range(2):
        await visitor.send(files=[("a.pdf", b"%PDF-1"), ("b.pdf", b"%PDF-2")])
        assert visitor.status == 303
    await the_files_are_those_of_the_messages(mail_world, 2)


async def the_files_are_those_of_the_messages(world: World, count: int) -> None:
    rows = await query(world, "select path from attachments where state = 'kept'")
    assert sorted(kept(world)) == sorted(row["path"].rpartition("/")[2] for row in rows)
    assert len(rows) == count


async def _sent(visitor: Visitor, message: str = "Orada mısınız?", files: Sequence[tuple[str, bytes]] = ()) -> bool:
    await visitor.send(message=message, files=files)
    return visitor.status == 303


async def query_elsewhere(world: World, sql: str) -> None:
    """Speak to the server while its database lets nobody in."""
    connection = await asyncpg.connect(**{**credentials(world.database_url), "database": "postgres"})
    await connection.execute(sql)
    await connection.close()


@pytest.mark.parametrize(
    ("language", "closed", "opened"),
    [
        ("tr", "Ekibimiz Pazartesi 09:00'da döner", "Şu an buradayız"),
        ("ru", "Мы вернёмся в понедельник в 09:00", "Мы на связи"),
        ("en", "We are back on Monday at 09:00", "We are here now"),
    ],
)
async def test_who_is_thanked_is_told_when_a_person_answers(
    mail_world: World, language: str, closed: str, opened: str
) -> None:
    world = mail_world
    world.team |= {"hours": HOURS}
    await world.turn(SATURDAY_NIGHT)
    await world.start()
    visitor = await visited(world, language=language)
    await visitor.send(path="/contact")
    thanks = f"contact/thanks?lang={language}"
    assert visitor.location == thanks
    await visitor.look(f"/{thanks}")
    assert closed in visitor.text(".thanks")
    await world.turn(TUESDAY)
    await visitor.look(f"/{thanks}")
    assert opened in visitor.text(".thanks")
    await settled(world)
    assert mails_to(world, AYSE) == [], "no program writes to an address that somebody typed into a form"


async def test_the_page_shows_hours_ways_and_languages_and_lets_nobody_else_in(mail_world: World) -> None:
    world = mail_world
    world.team |= {"hours": HOURS}
    await world.turn(SATURDAY_NIGHT)
    await world.start()
    visitor = await visited(world, language="en")
    assert (visitor.text("h1"), visitor.text(".shop bdi")) == ("How can we help?", "Kumbara")
    assert visitor.text(".status") == "Closed now opens Monday 09:00 · Istanbul (GMT+3)"
    assert len(visitor.page.css(".week tr")) == 7
    assert "İstanbul" not in visitor.text(".week + .hint")
    await eventually(lambda: _shows(visitor, "t.me/kumbara_bot"))
    links = [str(link.attributes["href"]) for link in visitor.page.css(".ways a")]
    assert links == ["https://t.me/kumbara_bot", f"mailto:{MAILBOX}"]
    assert visitor.text(".languages a[aria-current]") == "English"
    policy = visitor.answered["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "Set-Cookie" not in visitor.answered
    for place in ("contact.css", "contact.js"):
        await visitor.look(f"/contact/{place}")
        assert visitor.status == 200
    for place in ("..%2fcontact.py", "base.html", "icons.html"):
        await visitor.look(f"/contact/{place}")
        assert visitor.status == 404


async def _shows(visitor: Visitor, words: str) -> bool:
    await visitor.look()
    return words in visitor.text(".ways")


async def test_a_provider_that_is_away_takes_its_link_along_and_nothing_else(mail_world: World) -> None:
    world = mail_world
    world.telegram_url = "http://127.0.0.1:9"
    await world.start(connect=False)
    visitor = await visited(world)
    assert [str(link.attributes["href"]) for link in visitor.page.css(".ways a")] == [f"mailto:{MAILBOX}"]


async def test_an_address_of_a_turkish_keyboard_is_the_one_that_exists(mail_world: World) -> None:
    await mail_world.start()
    visitor = await visited(mail_world)
    await visitor.look("/contact/?lang=tr")
    assert (visitor.status, visitor.location) == (302, "../contact?lang=tr")
    await visitor.send(email="İSMAİL@ORNEK.COM.TR")
    assert visitor.status == 303
    found = await query(mail_world, "select value from addresses")
    assert {row["value"] for row in found} == {"ismail@ornek.com.tr"}


async def test_without_a_mailbox_there_is_no_form_and_the_page_says_how_else_to_write(world: World) -> None:
    await world.start()
    visitor = await visited(world)
    assert visitor.page.css_first("form") is None
    assert "Bize nereden yazmak istediğinizi seçin." in visitor.text(".hint") or not visitor.page.css(".ways")
    await visitor.post_raw(b"name=x", "application/x-www-form-urlencoded")
    assert visitor.status == 405


async def test_page_and_form_can_each_be_left_out(mail_world: World) -> None:
    world = mail_world
    world.settings["contact"] = {"page": False, "languages": ["ru", "en"]}
    await world.start()
    visitor = await visited(world, language="tr")
    assert visitor.page.css_first("form") is not None
    assert visitor.page.css_first(".ways") is None
    assert visitor.page.css_first("html").attributes["lang"] == "ru"  # type: ignore[union-attr]
    await world.stop()
    world.settings["contact"] = {"page": False, "form": False}
    await world.start()
    await visitor.look()
    assert visitor.status == 404
