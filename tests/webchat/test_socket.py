"""The line between a browser and the chat: nothing is lost and nothing is doubled, whatever happens to it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from inbox.store.database import credentials
from tests.scenarios.desk import answer, thread_shows
from tests.webchat.browser import CHANNEL, Visit, identity, place
from tests.world import World, eventually

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 64


@pytest_asyncio.fixture
async def shop(world: World) -> World:
    """A running Santral with a web chat beside the bot."""
    world.more = [CHANNEL]
    await world.start()
    return world


SOME_ID = "0f8e2c1a-7b64-4c1e-9a0d-3d1f5e6a7b8c"


async def rows(world: World, sql: str, *args: Any) -> list[Any]:
    c = await asyncpg.connect(**credentials(world.database_url))
    try:
        return list(await c.fetch(sql, *args))
    finally:
        await c.close()


async def test_a_visitor_writes_and_an_agent_answers(shop: World) -> None:
    async with Visit(shop) as tab:
        assert tab.welcome["items"] == []
        await tab.say("Kargom nerede?")
        card = await shop.card_with("Kargom nerede?")
        await answer(shop, card, "Yarın sizde olur.")
        await tab.sees("Kargom nerede?", "Yarın sizde olur.")
        [item] = [item for item in tab.items.values() if not item.get("mine")]
        assert item["name"]
        assert "read" not in item
        await tab.send(type="seen", place=place(item["id"]))
        await tab.until(lambda: tab.items[item["id"]].get("read"))
    [found] = await rows(shop, "select status from deliveries")
    assert found["status"] == 4


async def test_what_is_sent_again_after_a_broken_line_is_stored_once(shop: World) -> None:
    id = str(uuid4())
    async with Visit(shop) as tab:
        await tab.say("bir", id=id)
        await tab.say("bir", id=id)
        token = tab.token
    async with Visit(shop, token=token) as tab:
        await tab.say("bir", id=id)
        assert tab.texts() == ["bir"]
        assert [item["key"] for item in tab.items.values()] == [id]


async def test_a_laptop_that_was_closed_and_a_server_that_was_restarted_lose_and_double_nothing(shop: World) -> None:
    async with Visit(shop) as tab:
        await tab.say("Kargom nerede?")
        card = await shop.card_with("Kargom nerede?")
        await tab.leave()
        await answer(shop, card, "Yolda.")
        await eventually(lambda: _sent(shop, 1))
        await answer(shop, card, "Yarın sizde olur.")
        await eventually(lambda: _sent(shop, 2))
        await tab.open()
        await tab.sees("Kargom nerede?", "Yolda.", "Yarın sizde olur.")
        await shop.stop()
        await tab.until(lambda: tab.closed == 1012)
        await shop.start()
        tab.items.clear()
        await tab.open()
        assert tab.texts() == ["Kargom nerede?", "Yolda.", "Yarın sizde olur."]
        await tab.say("Teşekkürler")
        await tab.sees("Kargom nerede?", "Yolda.", "Yarın sizde olur.", "Teşekkürler")


async def _sent(world: World, count: int) -> bool:
    return len(await rows(world, "select from deliveries where status >= 2")) == count


async def test_tabs_of_one_browser_agree_from_the_very_first_message(shop: World) -> None:
    async with Visit(shop) as one, Visit(shop, token=one.token) as other, Visit(shop) as stranger:
        await one.say("Merhaba")
        await other.sees("Merhaba")
        await other.say("Orada mısınız?")
        await one.sees("Merhaba", "Orada mısınız?")
        card = await shop.card_with("Orada mısınız?")
        await answer(shop, card, "Buradayız")
        for tab in (one, other):
            await tab.sees("Merhaba", "Orada mısınız?", "Buradayız")
        answered = max(one.items, key=place)
        await one.send(type="seen", place=place(answered))
        await other.until(lambda: other.items[answered].get("read"))
        assert stranger.items == {}


async def test_an_answer_that_is_edited_or_taken_back_changes_in_the_chat(shop: World) -> None:
    async with Visit(shop) as tab:
        await tab.say("Kaç günde gelir?")
        card = await shop.card_with("Kaç günde gelir?")
        ts = await answer(shop, card, "İki gün")
        await tab.sees("Kaç günde gelir?", "İki gün")
        await shop.slack.edit("U0AYSE0001", "C0SUPPORT1", ts, "Üç gün")
        await tab.sees("Kaç günde gelir?", "Üç gün")
        await shop.slack.delete("U0AYSE0001", "C0SUPPORT1", ts)
        await tab.until(lambda: any(item.get("gone") for item in tab.items.values()))
        assert tab.texts() == ["Kaç günde gelir?", ""]


async def test_a_visitor_edits_and_takes_back_their_own_words_only(shop: World) -> None:
    async with Visit(shop) as tab, Visit(shop) as stranger:
        id = await tab.say("Mavi olsun")
        await tab.sees("Mavi olsun")
        await stranger.say("Kırmızı olsun")
        await stranger.send(type="edit", id=id, text="Hiç olmasın")
        await stranger.send(type="withdraw", id=id)
        await tab.send(type="edit", id=id, text="Yeşil olsun")
        await tab.sees("Yeşil olsun")
        assert next(iter(tab.items.values()))["edited"]
        await tab.send(type="withdraw", id=id)
        await tab.until(lambda: any(item.get("gone") for item in tab.items.values()))
        assert [item.get("gone") for item in stranger.items.values()] == [None]


async def test_an_answer_that_is_about_to_leave_shows_as_somebody_typing(world: World) -> None:
    world.more = [CHANNEL]
    world.team |= {"undo_seconds": 60}
    await world.start()
    async with Visit(world) as tab:
        await tab.say("Merhaba")
        await answer(world, await world.card_with("Merhaba"), "Buyurun")
        await tab.until(lambda: any(frame.get("answering") for frame in tab.frames))
        assert tab.texts() == ["Merhaba"]
        await rows(world, "update deliveries set due_at = now()")  # the minute is over
        await rows(world, "update work set run_at = now(), due_at = now() where kind = 'deliver'")
        await rows(world, "select pg_notify('santral_work', '*')")
        await tab.sees("Merhaba", "Buyurun")
        await tab.until(lambda: [x["answering"] for x in tab.frames if "answering" in x][-1] is False)


async def test_notes_and_other_channels_are_not_in_the_chat(shop: World) -> None:
    async with Visit(shop) as tab:
        await tab.say("Merhaba")
        card = await shop.card_with("Merhaba")
        await answer(shop, card, "// bu müşteri geçen ay iade etti")
        await answer(shop, card, "Nasıl yardımcı olabiliriz?")
        await tab.sees("Merhaba", "Nasıl yardımcı olabiliriz?")
    assert len(await eventually(lambda: rows(shop, "select from messages where direction = 'note'"))) == 1


async def test_a_file_goes_both_ways_and_is_called_what_it_is(shop: World) -> None:
    async with Visit(shop) as tab:
        uploaded = await (await tab.upload(PNG, "kırık.html")).json()
        assert (uploaded["type"], uploaded["size"]) == ("image/png", len(PNG))
        await tab.say("Kırık geldi", files=[uploaded["file"]])
        await tab.until(lambda: any(item.get("files") for item in tab.items.values()))
        [item] = tab.items.values()
        [file] = item["files"]
        got = await tab.fetch(file["url"])
        assert (got.status, got.content_type, await got.read()) == (200, "image/png", PNG)
        assert "sandbox" in got.headers["Content-Security-Policy"]
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert (await tab.fetch(file["url"][:-2] + "xx")).status == 404
        card = await shop.card_with("Kırık geldi")
        await thread_shows(shop, card["ts"], "kırık.html")


async def test_a_file_that_is_too_large_or_empty_is_not_kept(shop: World) -> None:
    async with Visit(shop) as tab:
        assert (await tab.upload(b"x" * ((20 << 20) + 1))).status == 413
        assert (await tab.upload(b"")).status == 400
    assert not list((shop.folder / "var").rglob("*/*/*/*"))


async def test_an_upload_is_nobody_else_s_to_send(shop: World) -> None:
    async with Visit(shop) as tab, Visit(shop) as stranger:
        uploaded = await (await tab.upload(PNG)).json()
        id = str(uuid4())
        await stranger.send(type="say", id=id, text="", files=[uploaded["file"]])
        await stranger.until(lambda: stranger.told("refused"))
        assert stranger.told("refused")[0]["id"] == id


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"<html><script>alert(1)</script>", "a.html", "text/plain"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "a.svg", "text/plain"),
        (b"MZ\x90\x00\x03", "a.png", "application/octet-stream"),
    ],
)
async def test_what_a_browser_could_run_is_never_handed_out_as_such(
    shop: World, data: bytes, name: str, kind: str
) -> None:
    async with Visit(shop) as tab:
        uploaded = await (await tab.upload(data, name)).json()
        assert uploaded["type"] == kind
        await tab.say("", files=[uploaded["file"]])
        await tab.until(lambda: any(item.get("files") for item in tab.items.values()))
        [file] = next(iter(tab.items.values()))["files"]
        got = await tab.fetch(file["url"])
        assert got.content_type == kind
        assert got.headers["Content-Disposition"].startswith("attachment")


async def test_older_messages_are_read_when_they_are_wanted(shop: World) -> None:
    async with Visit(shop) as tab:
        for number in range(60):
            shop.clock = partial(later, 3 * number)  # by which the limits count
            await tab.say(f"{number:03}")
        token = tab.token
    async with Visit(shop, token=token) as tab:
        assert len(tab.items) == 50
        assert tab.welcome["more"] is True
        await tab.send(type="older", place=min(map(place, tab.items)))
        await tab.until(lambda: tab.told("older"))
        assert tab.texts() == [f"{number:03}" for number in range(60)]
        assert tab.told("older")[0]["more"] is False


def later(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def passed(began: datetime, seconds: float) -> datetime:
    return began + timedelta(seconds=seconds)


# --- who it is


async def test_a_signed_visitor_is_the_same_customer_in_every_browser(shop: World) -> None:
    token = identity(sub="4711", name="Ayşe Yılmaz", email="Ayse@Ornek.example", phone="+90 532 000 11 22")
    async with Visit(shop, identity=token) as phone:
        assert (phone.welcome["known"], phone.welcome["name"]) == (True, "Ayşe Yılmaz")
        await phone.say("Siparişim nerede?")
        async with Visit(shop, identity=identity(sub="4711")) as laptop:
            assert laptop.texts() == ["Siparişim nerede?"]
            await laptop.say("Bir de fatura lazım")
            await phone.sees("Siparişim nerede?", "Bir de fatura lazım")
    found = await rows(shop, "select kind, value, proof from addresses order by kind, value")
    assert {row["kind"]: row["proof"] for row in found} == {"account": 4, "email": 4, "phone": 4, "visitor": 2}
    assert {row["value"] for row in found} >= {"chat:4711", "ayse@ornek.example", "+905320001122"}
    assert len(await rows(shop, "select from customers")) == 1


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (identity(sub="1", exp=1), "identity_expired"),
        (identity("another secret that is long enough, surely", sub="1"), "identity_refused"),
        (identity(head={"alg": "none"}, sub="1"), "identity_refused"),
        (identity(), "identity_refused"),
        ("rubbish", "identity_refused"),
    ],
)
async def test_a_word_that_cannot_be_believed_opens_no_chat(shop: World, token: str, code: str) -> None:
    async with Visit(shop, identity=token) as tab:
        await tab.until(lambda: tab.closed)
        assert tab.closed == 4401
        assert [frame["code"] for frame in tab.frames] == [code]


async def test_a_page_whose_token_has_expired_goes_on_with_its_ticket(shop: World) -> None:
    async with Visit(shop, identity=identity(sub="4711")) as tab:
        await tab.say("Merhaba")
        ticket = tab.welcome["ticket"]
    async with Visit(shop, identity=identity(sub="4711", exp=1), ticket=ticket) as tab:
        assert tab.texts() == ["Merhaba"]
    async with Visit(shop, ticket=ticket[:-1]) as tab:
        assert tab.texts() == []


async def test_a_page_that_stays_open_for_days_can_still_upload(shop: World) -> None:
    async with Visit(shop) as tab:
        shop.clock = partial(later, 13 * 3600)
        assert (await tab.upload(PNG)).status == 401
        await tab.send(type="ping")
        [pong] = await tab.until(lambda: tab.told("pong"))
        assert (await tab.upload(PNG, **{"X-Santral-Ticket": pong["ticket"]})).status == 200


async def test_the_next_person_at_the_same_computer_sees_nothing_of_the_one_before(shop: World) -> None:
    async with Visit(shop, identity=identity(sub="ayse")) as tab:
        await tab.say("Ayşe burada")
        token = tab.token
    async with Visit(shop, token=token) as nobody:
        assert nobody.texts() == []
        assert nobody.token != token
        await nobody.say("Misafir burada")
        await nobody.sees("Misafir burada")
    async with Visit(shop, token=token, identity=identity(sub="mehmet")) as other:
        assert other.texts() == []
        await other.say("Mehmet burada")
    async with Visit(shop, identity=identity(sub="ayse")) as tab:
        assert tab.texts() == ["Ayşe burada"]
    assert len(await rows(shop, "select from customers")) == 3


# --- who may


async def test_pages_of_strangers_are_refused(shop: World) -> None:
    for origin in ("https://evil.example", "null", f"{shop.url}.evil.example", "http://kumbara.example"):
        with pytest.raises(Exception, match="403"):
            await Visit(shop, origin=origin).open()
    async with Visit(shop, origin="https://kumbara.example") as tab:
        assert tab.welcome
        assert (await tab.upload(PNG, Origin="https://evil.example")).status == 403
        assert (await tab.upload(PNG, **{"X-Santral-Ticket": "x"})).status == 401


async def test_a_shop_whose_name_has_letters_of_its_own_is_known_by_what_browsers_call_it(world: World) -> None:
    world.more = [{**CHANNEL, "origins": ["https://kumbaracı.example"]}]
    await world.start()
    async with Visit(world, origin="https://xn--kumbarac-0kb.example") as tab:
        assert tab.welcome
        policy = (await tab.fetch("frame")).headers["Content-Security-Policy"]
        assert policy.endswith("frame-ancestors 'self' https://xn--kumbarac-0kb.example")


async def test_pages_and_scripts_travel_small_and_are_found_with_a_slash_too(shop: World) -> None:
    async with Visit(shop) as tab:
        for path in ("widget.js", "frame", "../chat", "asset/x/chat.js", ""):
            answer = await tab.fetch(path)
            assert answer.status == 200, path
            assert answer.headers["Content-Encoding"] in ("gzip", "deflate"), path


async def test_a_flood_is_told_to_wait_and_nothing_of_it_is_lost(shop: World) -> None:
    shop.clock = partial(passed, datetime.now(UTC), 0)  # however slow this machine is, no time has passed
    async with Visit(shop) as tab:
        sent = [str(uuid4()) for _ in range(14)]
        for number, id in enumerate(sent):
            await tab.send(type="say", id=id, text=f"mesaj {number}")
        await tab.until(lambda: len(tab.told("stored")) + len(tab.told("later")) == 14)
        assert [frame["id"] for frame in tab.told("stored")] == sent[:10]
        assert [frame["after"] for frame in tab.told("later")] == [2] * 4
        shop.clock = partial(passed, shop.clock(), 2 * 4)
        for number, id in list(enumerate(sent))[10:]:
            await tab.say(f"mesaj {number}", id=id)
    assert len(await rows(shop, "select from messages")) == 14


async def test_one_internet_address_cannot_open_sockets_without_end(shop: World) -> None:
    async with AsyncExitStack() as tabs:
        for _ in range(60):
            await tabs.enter_async_context(Visit(shop))
        one_more = await tabs.enter_async_context(Visit(shop))
        assert one_more.closed == 4429
        assert not one_more.welcome


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "say", "id": "1", "text": "x"},
        {"type": "say", "id": SOME_ID, "text": ""},
        {"type": "say", "id": SOME_ID, "text": "\u200b\u2060\u202e"},
        {"type": "say", "id": SOME_ID, "text": "x" * 4001},
        {"type": "say", "id": SOME_ID, "text": "x", "files": ["f"] * 6},
        {"type": "say", "id": SOME_ID, "text": {"x": 1}},
        {"type": "withdraw", "id": "../../etc"},
        {"type": "seen", "place": ["a", None]},
        {"type": "older", "place": [10**400, 0, 0]},
        {"type": "grant"},
    ],
    ids=lambda frame: str(frame)[:60].replace(SOME_ID, "id"),
)
async def test_what_no_widget_sends_changes_nothing_and_ends_nothing(shop: World, frame: Any) -> None:
    async with Visit(shop) as tab:
        await tab.send(**frame)
        await tab.until(lambda: tab.told("refused") or tab.told("malformed"))
        await tab.say("hâlâ burada")
    assert [row["text"] for row in await rows(shop, "select text from messages")] == ["hâlâ burada"]


async def test_hostile_text_is_words_at_the_desk_and_in_the_chat(shop: World) -> None:
    hostile = "<!channel> <script>alert(1)</script> \x00\u202e *bold* <https://evil.example|bank>"
    async with Visit(shop) as tab:
        await tab.say(hostile)
        await tab.until(lambda: tab.items)
        assert "<script>alert(1)</script>" in tab.texts()[0]
        assert "\x00" not in tab.texts()[0]
    card = await shop.card_with("alert(1)")
    assert "<!channel>" not in str(card)


async def test_the_page_may_be_framed_by_the_shop_only_and_runs_no_foreign_script(shop: World) -> None:
    async with Visit(shop) as tab:
        frame = await tab.fetch("frame?lang=ar")
        policy = frame.headers["Content-Security-Policy"]
        assert "frame-ancestors 'self' https://kumbara.example" in policy
        assert "script-src 'self';" in policy
        assert 'dir="rtl"' in await frame.text()
        page = await tab.fetch("../chat")
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert (await tab.fetch("asset/x/../../secret")).status == 404
