"""Customers who write direct messages on X, and the agents who answer them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import aiohttp
import pytest_asyncio

from channels.x.adapter import X
from sandbox.telegram.kinds import picture
from tests.providers import X_USER
from tests.scenarios.desk import Json, answer, lines, marked, query, thread_shows
from tests.world import AYSE as AGENT
from tests.world import SUPPORT, World, eventually

AYSE, IVAN = "1500000000000000001", "1500000000000000002"
EVENTS = {"dm.received", "dm.sent", "dm.read", "chat.received", "chat.sent"}
SENT, DOUBT, FAILED = "white_check_mark", "warning", "x"
PHOTO: Json = {"data": picture(120, 90), "media_type": "image/png", "filename": "kutu.png"}


@pytest_asyncio.fixture
async def shop(world: World) -> World:
    """Santral with an account on X, and two customers; not started yet."""
    providers = await world.add_channels("x")
    await providers.x.settle({"ton_url": providers.x_url, "seed": 5})
    providers.x.add_person(id=AYSE, name="Ayşe Yılmaz", username="ayseyilmaz")
    providers.x.add_person(id=IVAN, name="Иван Петров", username="ivanpetrov")
    return world


async def says(world: World, text: str = "", person: str = AYSE, **more: Any) -> str:
    return await world.providers.x.say(person=person, line=X_USER, text=text, **more)


def chat(world: World, person: str = AYSE) -> list[Json]:
    """What a customer's phone shows."""
    found: list[Json] = world.providers.x.state()["chats"].get(f"{X_USER}|{person}", [])
    return found


def answers(world: World, person: str = AYSE) -> list[str]:
    return [entry["text"] for entry in chat(world, person) if entry["from"] == "shop"]


async def reads(world: World, *texts: str, person: str = AYSE) -> None:
    """Until the customer's phone shows exactly these answers."""
    await eventually(lambda: answers(world, person) == list(texts))


def channel(world: World) -> X:
    assert world.app is not None
    made = world.app.channels["x"]
    assert isinstance(made, X)
    return made


def calls(world: World, name: str) -> list[Json]:
    return world.providers.x.journal.calls(0, name)


async def heard(world: World, *texts: str) -> None:
    """Until exactly this is what customers said, in this order."""

    async def look() -> bool:
        found = await query(
            world, "select text from messages where direction = 'in' order by conversation_id, position"
        )
        return [row["text"] for row in found] == list(texts)

    await eventually(look)


async def said(world: World, card: Json, text: str, **more: Any) -> str:
    """Write as an agent; returns once Santral has it, so that the next words surely come later."""
    ts = await answer(world, card, text, **more)
    await eventually(lambda: query(world, "select 1 from messages where external_id = $1", f"{SUPPORT}:{ts}"))
    return ts


async def talking(world: World, text: str = "Kargom nerede?") -> Json:
    """A customer who has written, and the card that stands in Slack for it."""
    await world.start()
    await says(world, text)
    return await world.card_with(text)


def trouble(world: World, match: str, **rule: Any) -> None:
    world.providers.x.troubles.add([{"match": match, **rule}])


async def test_x_is_connected_checks_us_and_cannot_be_made_to_sign_for_strangers(shop: World) -> None:
    await shop.start()
    x = shop.providers.x
    (hook,) = x.webhooks.values()
    assert hook.url == f"{shop.url}/webhooks/x"
    assert {each.event_type for each in x.subscriptions.values()} == EVENTS
    await shop.connect()
    for shape in ("object", "list"):
        await x.settle({"subscription_answer": shape})
        gone = next(iter(x.subscriptions))
        del x.subscriptions[gone]
        await channel(shop).register(hook.url)
        assert sorted(each.event_type for each in x.subscriptions.values()) == sorted(EVENTS)
    await x.settle({"subscriptions_page": 2})  # X refuses to make what it has, on whatever page that stands
    await channel(shop).register(hook.url)
    assert all(ok for ok, _ in await found(shop))
    hook.valid = False
    await channel(shop).register(hook.url)
    assert hook.valid
    async with (
        aiohttp.ClientSession() as session,
        session.get(hook.url, params={"crc_token": "a-challenge"}) as given,
    ):
        assert (given.status, given.content_type) == (200, "application/json")
        assert list(await given.json()) == ["response_token"]
    assert all(each["valid"] for each in (await x.check(force=True))["webhooks"])

    forged = {"sender_id": AYSE, "target": {"recipient_id": X_USER}, "message_data": {"text": "İade edin"}}
    event = {"type": "message_create", "id": "1700000000000000001", "message_create": forged}
    tricked = await x.trick({"for_user_id": X_USER, "direct_message_events": [event]})
    assert tricked == {"signed": False, "status": 401}
    assert await query(shop, "select 1 from messages") == []


async def test_words_go_both_ways_in_order_and_once(shop: World) -> None:
    x = shop.providers.x
    card = await talking(shop, "Kargom <nerede>? & https://kumbara.example/siparis/1042")
    for text in ("Hâlâ bekliyorum", "1042 numaralı"):
        await says(shop, text)
    await says(shop, "Где мой заказ?", IVAN)
    other = await shop.card_with("Где мой заказ?")
    assert "Ayşe Yılmaz" in str(card["blocks"])
    assert "Иван Петров" in str(other["blocks"])
    said_ = ("Kargom <nerede>? & https://kumbara.example/siparis/1042", "Hâlâ bekliyorum", "1042 numaralı")
    await heard(shop, *said_, "Где мой заказ?")

    first = await said(shop, card, "Yarın sizde")
    second = await said(shop, card, "Takip: https://kumbara.example/t/7")
    await reads(shop, "Yarın sizde", "Takip: https://kumbara.example/t/7")
    assert answers(shop, IVAN) == []
    await x.read(person=AYSE, line=X_USER)
    for ts in (first, second):
        await marked(shop, ts, "eyes")

    await x.hold()
    for text in ("bir", "iki", "üç"):
        await says(shop, text)
    await x.release("reverse")
    await x.idle()
    late = ("üç", "iki", "bir")  # as they arrived
    await heard(shop, *said_, *late, "Где мой заказ?")
    for attempt in [each for each in x.journal.attempts() if each["kind"] == "dm.received"]:
        await x.repeat(attempt["event"])
    await x.idle()
    await says(shop, "dört")
    await heard(shop, *said_, *late, "dört", "Где мой заказ?")

    async def all_shown() -> bool:
        shown = next(root for root in await shop.roots() if root["ts"] == card["ts"])
        return lines(shown, (*said_[1:], *late, "dört")) == [*said_[1:], *late, "dört"]

    await eventually(all_shown)
    assert len(await shop.roots()) == 2


async def test_the_older_api_tells_the_same(shop: World) -> None:
    x = shop.providers.x
    await x.settle({"envelope": "aaa"})
    card = await talking(shop, "Kargom nerede?")
    assert "Ayşe Yılmaz" in str(card["blocks"])
    await says(shop, "Kutu ezilmiş", file=PHOTO)
    await x.press(person=AYSE, line=X_USER, label="Evet", payload="yes-1")
    await heard(shop, "Kargom nerede?", "Kutu ezilmiş", "Evet")
    ts = await said(shop, card, "Yarın sizde")
    await reads(shop, "Yarın sizde")
    await marked(shop, ts, SENT)
    await x.elsewhere(line=X_USER, person=AYSE, text="Telefonla konuştuk", app="29829999")
    await thread_shows(shop, card["ts"], "Telefonla konuştuk")
    await x.idle()
    assert answers(shop) == ["Yarın sizde"]
    assert await query(shop, "select 1 from quarantine") == []


async def test_files_go_both_ways_byte_for_byte(shop: World) -> None:
    card = await talking(shop)
    await says(shop, "Kutu ezilmiş", file=PHOTO)
    film = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 40
    await says(shop, file={"data": film, "media_type": "video/mp4", "filename": "kutu.mp4"})

    async def both() -> list[bytes]:
        root = next(root for root in await shop.roots() if root["ts"] == card["ts"])
        found = [file for message in (root, *root["replies"]) for file in message["files"]]
        return [shop.slack.files[file["id"]].data or b"" for file in found] if len(found) == 2 else []

    assert sorted(await eventually(both)) == sorted([PHOTO["data"], film])
    await heard(shop, "Kargom nerede?", "Kutu ezilmiş", "")

    png = picture(200, 120)
    ts = await said(shop, card, "Etiketiniz", files=[("etiket.png", "image/png", png)])
    await marked(shop, ts, SENT)
    ts = await said(shop, card, "Film", files=[("film.mp4", "video/mp4", film)])
    await marked(shop, ts, SENT)
    sent = [entry for entry in chat(shop) if entry["from"] == "shop"]
    assert [entry["text"] for entry in sent] == ["Etiketiniz", "Film"]
    kept = shop.providers.x.media
    assert [kept[entry["file"]["url"].rpartition("/")[2]].data for entry in sent] == [png, film]

    pdf = b"%PDF-1.4 " + bytes(range(256))
    ts = await said(shop, card, "Faturanız", files=[("fatura.pdf", "application/pdf", pdf)])
    await thread_shows(shop, card["ts"], "fatura.pdf")
    await marked(shop, ts, SENT)  # its words are there
    assert [entry["text"] for entry in chat(shop) if entry["from"] == "shop"] == ["Etiketiniz", "Film", "Faturanız"]


async def test_edge_14_and_15_a_file_comes_when_it_can_and_only_from_x(shop: World) -> None:
    """Where it lies is said by the message, so no other host gets our keys, and none of our own network is asked."""
    x = shop.providers.x
    card = await talking(shop)
    trouble(shop, "dm_media.get", action="status", status=503, times=2)
    await says(shop, "Kutu ezilmiş", file=PHOTO)

    async def files() -> list[Any]:
        root = next(root for root in await shop.roots() if root["ts"] == card["ts"])
        return [file for message in (root, *root["replies"]) for file in message["files"]]

    await eventually(files)
    assert [call["status"] for call in calls(shop, "dm_media.get")] == [503, 503, 200]

    for number, host in enumerate(("http://192.168.0.1", "https://10.0.0.7", "https://[fd00::1]"), start=1):
        await x.settle({"ton_url": host})
        await says(shop, f"bir de bu {number}", file=PHOTO)

    async def refused() -> bool:
        return len(await query(shop, "select 1 from attachments where state = 'failed'")) == 3

    await eventually(refused)
    await heard(shop, "Kargom nerede?", "Kutu ezilmiş", *(f"bir de bu {number}" for number in (1, 2, 3)))
    assert len(calls(shop, "dm_media.get")) == 3
    assert len(await files()) == 1


async def test_an_encrypted_chat_is_a_line_that_says_so(shop: World) -> None:
    await shop.start()
    x = shop.providers.x
    await x.encrypt(person=AYSE, line=X_USER, text="kimse okuyamaz")
    card = await shop.card_with("yalnızca X uygulamasında okunabilir")

    async def named() -> bool:
        return "Ayşe Yılmaz" in str((await shop.roots())[0]["blocks"])

    await eventually(named)
    assert "kimse okuyamaz" not in json.dumps(await shop.state())
    ts = await said(shop, card, "Merhaba, nasıl yardımcı olabiliriz?")
    await reads(shop, "Merhaba, nasıl yardımcı olabiliriz?")
    await marked(shop, ts, SENT)
    await says(shop, "Kargom nerede?")
    await thread_shows(shop, card["ts"], "Kargom nerede?")
    await x.elsewhere(line=X_USER, person=AYSE, text="bunu da kimse okuyamaz", encrypted=True)
    told = await thread_shows(shop, card["ts"], "📱")
    assert "yalnızca X uygulamasında okunabilir" in str(told)
    assert "okuyamaz" not in json.dumps(await shop.state(), ensure_ascii=False)
    assert len(await shop.roots()) == 1


async def test_edge_16_our_own_echo_is_no_second_line_and_others_answers_are_shown(shop: World) -> None:
    x = shop.providers.x
    card = await talking(shop)
    await x.settle({"echo_first": True})
    ts = await said(shop, card, "Yarın sizde")
    await reads(shop, "Yarın sizde")
    await marked(shop, ts, SENT)
    await x.elsewhere(line=X_USER, person=AYSE, text="Telefonda anlattım")
    shown = await thread_shows(shop, card["ts"], "Telefonda anlattım")
    assert "📱" in str(shown)
    await x.elsewhere(line=X_USER, person=IVAN, text="Здравствуйте, это магазин")
    await shop.card_with("Здравствуйте")
    await x.idle()
    await says(shop, "Teşekkürler")
    await thread_shows(shop, card["ts"], "Teşekkürler")
    assert answers(shop) == ["Yarın sizde"]
    root = next(root for root in await shop.roots() if root["ts"] == card["ts"])
    echoed = [reply for reply in root["replies"] if reply.get("bot_id") and "Yarın sizde" in str(reply["blocks"])]
    assert echoed == []


async def test_what_is_told_of_an_account_that_is_not_ours_is_kept_aside_and_counted(shop: World) -> None:
    """Somebody had it brought here and waits for an answer: it is not thrown away, and no customer of ours."""
    await shop.start()
    x = shop.providers.x
    payload: Json = {"direct_message_events": [{"type": "message_create", "id": "1700000000000000001"}]}
    await x.raw({"for_user_id": IVAN, **payload})
    event = {"event_uuid": "-7", "event_type": "dm.received", "filter": {"user_id": IVAN}, "payload": payload}
    await x.raw({"data": event})
    await x.idle()
    assert [each["status"] for each in x.journal.attempts()] == [200, 200]
    rows = await query(shop, "select channel, reason from quarantine")
    assert [tuple(row) for row in rows] == [("x", "an event of another account than this channel's")] * 2
    assert await query(shop, "select 1 from messages") == []


async def test_a_file_waits_for_keys_that_are_refused(shop: World) -> None:
    card = await talking(shop)
    trouble(shop, "dm_media.get", action="status", status=401, times=2)
    await says(shop, "Kutu ezilmiş", file=PHOTO)
    await thread_shows(shop, card["ts"], "Kutu ezilmiş")

    async def kept() -> bool:
        await query(shop, "update work set run_at = now() where kind = 'media' and lease is null")
        return bool(await query(shop, "select 1 from attachments where state = 'kept'"))

    await eventually(kept)
    assert [call["status"] for call in calls(shop, "dm_media.get")] == [401, 401, 200]


async def test_twenty_answers_wait_for_the_end_of_xs_window_and_keep_their_order(shop: World) -> None:
    x = shop.providers.x
    card = await talking(shop)
    await x.settle({"rate_limits": True, "window_seconds": 900.0})
    wanted = [f"cevap {number}" for number in range(1, 21)]
    for text in wanted:
        await said(shop, card, text)

    async def waits() -> bool:
        """Whether the account's line is closed until X's window ends, give or take what the test has taken so far."""
        held = (
            "select 1 from lanes where free_at > now() + interval '10 minutes' and free_at < now() + interval '900 s'"
        )
        return bool(await query(shop, held))

    await eventually(waits)
    assert answers(shop) == wanted[:15]
    assert [call["status"] for call in calls(shop, "messages.create")] == [201] * 15 + [429]

    x.windows.clear()  # a quarter of an hour passes
    await query(shop, "update lanes set free_at = now()")
    await query(shop, "update work set run_at = now(), held_until = '-infinity' where kind = 'deliver'")
    await reads(shop, *wanted)
    assert [call["status"] for call in calls(shop, "messages.create")][16:] == [201] * 5


async def test_who_takes_no_messages_is_told_once_and_writing_opens_the_way_again(shop: World) -> None:
    card = await talking(shop)
    await shop.providers.x.block(person=AYSE, line=X_USER)
    ts = await said(shop, card, "Yarın sizde")
    await marked(shop, ts, FAILED)
    assert [call["status"] for call in calls(shop, "messages.create")] == [403]
    ts = await said(shop, card, "Hâlâ orada mısınız?")
    await marked(shop, ts, FAILED)
    assert len(calls(shop, "messages.create")) == 1
    await shop.providers.x.unblock(person=AYSE, line=X_USER)
    await says(shop, "Buradayım")
    await thread_shows(shop, card["ts"], "Buradayım")
    await said(shop, card, "Hoş geldiniz")
    await reads(shop, "Hoş geldiniz")


async def test_without_credits_answers_wait_and_say_why(shop: World) -> None:
    x = shop.providers.x
    card = await talking(shop)
    await x.settle({"credits": 0.0})
    ts = await said(shop, card, "Yarın sizde")
    await thread_shows(shop, card["ts"], "credits")
    assert answers(shop) == []
    assert "no credits left" in str([what for ok, what in await found(shop) if not ok])
    await x.settle({"credits": None})
    await reads(shop, "Yarın sizde")
    await marked(shop, ts, SENT)


async def test_edge_23_what_came_while_we_were_away_is_asked_for_once_and_in_order(shop: World) -> None:
    x = shop.providers.x
    card = await talking(shop)
    await shop.stop()
    for text in ("bir", "iki", "üç"):
        await says(shop, text)
    await says(shop, "fotoğraf", file=PHOTO)
    await x.elsewhere(line=X_USER, person=AYSE, text="Telefondan cevap")
    await x.idle()
    assert all(each["error"] for each in x.journal.attempts() if "bir" in str(each["body"]))
    await shop.start()
    await heard(shop, "Kargom nerede?", "bir", "iki", "üç", "fotoğraf")
    await thread_shows(shop, card["ts"], "Telefondan cevap")

    # And X can be asked to bring everything of the last day again.
    (hook,) = x.webhooks.values()
    x.courier.replay(hook, "1", x.now() - timedelta(hours=1), x.now() + timedelta(seconds=1))
    await x.idle()
    await says(shop, "dört")
    await heard(shop, "Kargom nerede?", "bir", "iki", "üç", "fotoğraf", "dört")
    assert {each["status"] for each in x.journal.attempts()[-8:]} == {200}
    root = next(root for root in await shop.roots() if root["ts"] == card["ts"])
    assert lines(root, ("bir", "iki", "üç")) == ["bir", "iki", "üç"]
    assert await query(shop, "select 1 from quarantine") == []


async def test_edge_05_an_answer_in_doubt_is_looked_up_before_anybody_is_asked(shop: World) -> None:
    card = await talking(shop)
    trouble(shop, "messages.create", action="status", status=500, times=1)
    ts = await said(shop, card, "bir")
    await reads(shop, "bir")
    await marked(shop, ts, SENT)
    trouble(shop, "messages.create", action="drop_after", times=1)
    ts = await said(shop, card, "iki")
    await marked(shop, ts, SENT)
    await reads(shop, "bir", "iki")
    # It never came, and X cannot yet say so for sure: a person is asked, and the next answer is not held back.
    trouble(shop, "messages.create", action="drop_before", times=1)
    ts = await said(shop, card, "üç")
    await marked(shop, ts, DOUBT)
    await said(shop, card, "dört")
    await reads(shop, "bir", "iki", "dört")
    notice = await thread_shows(shop, card["ts"], "delivery_again")
    await shop.slack.press(AGENT, "delivery_again", channel=SUPPORT, ts=notice["ts"])
    await reads(shop, "bir", "iki", "dört", "üç")
    await marked(shop, ts, SENT)


async def test_check_says_what_is_missing_at_x(shop: World) -> None:
    await shop.start()
    x = shop.providers.x
    assert all(ok for ok, _ in await found(shop))
    x.subscriptions.pop(next(iter(x.subscriptions)))
    (hook,) = x.webhooks.values()
    hook.valid = False
    bad = [what for ok, what in await found(shop) if not ok]
    assert len(bad) == 2
    assert "given up calling us" in bad[0]
    assert "not asked for: dm.received" in bad[1]
    await x.revoke(line=X_USER)
    assert any("does not accept the keys" in what for ok, what in await found(shop) if not ok)


async def found(world: World) -> list[tuple[bool, str]]:
    """What `santral check` says of the channel."""
    made = channel(world)
    return [(each.ok, each.what) for each in await made.check(f"{world.url}/webhooks/x")]
