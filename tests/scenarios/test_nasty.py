"""Bad input and bad days: forged, broken, huge and hostile requests, and a database that is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from app import quarantine
from app.postgres import Postgres
from inbox.store.database import Database
from tests.scenarios.test_arrivals import only, quiet, rows, seen, shows, texts
from tests.world import AYSE, MEHMET, SECRET, SUPPORT, World, eventually

HEADER = "X-Telegram-Bot-Api-Secret-Token"


def update(text: str = "Merhaba", *, number: int = 1, **sender: Any) -> dict[str, Any]:
    """An update as Telegram writes it."""
    who = {"id": 4712, "is_bot": False, "first_name": "Ayşe", **sender}
    chat = {"id": 4712, "type": "private", "first_name": "Ayşe"}
    message = {"message_id": number, "from": who, "chat": chat, "date": 1_772_000_000 + number, "text": text}
    return {"update_id": 9_000 + number, "message": message}


async def deliver(world: World, body: bytes | dict[str, Any], headers: Mapping[str, str] | None = None) -> int:
    """Call our webhook; the status it answered."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{world.url}/webhooks/bot", data=data, headers=headers or {HEADER: SECRET}) as answer,
    ):
        return answer.status


async def figure(world: World, line: str) -> float:
    """A figure of `/metrics`, by its name and labels."""
    async with aiohttp.ClientSession() as session, session.get(f"{world.url}/metrics") as answer:
        found = [each for each in (await answer.text()).splitlines() if each.startswith(line)]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


async def stored(world: World) -> int:
    query = (
        "select (select count(*) from messages) + (select count(*) from customers) + (select count(*) from quarantine)"
    )
    ((count,),) = await rows(world, query)
    return int(count)


async def test_a_forged_request_is_refused_counted_and_leaves_no_trace(world: World) -> None:
    await world.start()
    refused = 'santral_refused_total{door="bot",reason="unverified"}'
    before = await figure(world, refused)
    forged: list[dict[str, str]] = [{"X-Other": "1"}, {HEADER: ""}, {HEADER: "wrong"}, {HEADER: SECRET + "x"}]
    for headers in forged:
        assert await deliver(world, update(), headers) == 401
        assert await deliver(world, b"{not even json", headers) == 401
    assert await raw_status(world, HEADER.encode() + b": \xf0\x9f\x98\x80\xff\xfe") == 401
    assert await figure(world, refused) == before + 9
    assert await stored(world) == 0
    async with aiohttp.ClientSession() as session:
        assert (await session.post(f"{world.url}/webhooks/nobody", data=b"{}")).status == 404
        assert (await session.put(f"{world.url}/webhooks/bot", data=b"{}")).status == 405


async def raw_status(world: World, header: bytes, *, size: int | None = None, body: bytes = b"{}") -> int:
    """The status of a request no HTTP library would write. `size` is what it claims to bring."""
    where = urlsplit(world.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = b"POST /webhooks/bot HTTP/1.1\r\nHost: santral\r\nContent-Length: %d\r\n" % (size or len(body))
    writer.write(head + header + b"\r\n\r\n" + body)
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    return int(line.split()[1])


async def test_what_cannot_be_read_is_kept_once_listed_and_replayed(world: World) -> None:
    await world.start()
    for _ in range(3):
        assert await deliver(world, b'{"update_id": 1, "message": ') == 400
    for body in (b"", b"[]", b"null", b'"text"', b"{}", b'{"update_id": "a"}', b"\xff\xfe", b"[" * 100_000):
        assert await deliver(world, body) == 400, body
    listed = await asyncio.to_thread(quarantine.waiting, world.config())
    assert [(entry.channel, entry.reason, entry.times) for entry in listed[:1]] == [("bot", "unreadable", 3)]
    assert len(listed) == 9

    outcomes = await asyncio.to_thread(quarantine.replay, world.config(), (listed[0].id, 999_999))
    assert [(outcome.id, outcome.ok) for outcome in outcomes] == [(999_999, False), (listed[0].id, False)]
    assert outcomes[0].detail == quarantine.NOT_THERE

    await rows(world, "update quarantine set body = $1 where id = $2", json.dumps(update()).encode(), listed[0].id)
    (outcome,) = await asyncio.to_thread(quarantine.replay, world.config(), (listed[0].id,))
    assert outcome.ok
    await shows(world, "Merhaba")
    assert listed[0].id not in [entry.id for entry in await asyncio.to_thread(quarantine.waiting, world.config())]


async def test_one_bad_update_does_not_freeze_its_customer(world: World) -> None:
    """Telegram repeats what is not answered with 2xx for a day, and holds back everything behind it."""
    await world.start()
    customer = world.customer()
    chat = world.telegram.user(customer).chat()
    for broken in ({"chat": chat}, {"message_id": "x", "chat": chat, "text": 5}, {"chat": chat, "date": "yesterday"}):
        await world.telegram.raw({"message": broken})
    await world.telegram.raw({"a_kind_of_next_year": {"chat": chat, "surprise": [1, 2]}})
    await world.telegram.say(customer, text="Ben buradayım")
    await shows(world, "Ben buradayım")
    await quiet(world)
    assert len(await asyncio.to_thread(quarantine.waiting, world.config())) == 4


async def test_an_oversized_request_is_refused_before_it_is_read(world: World) -> None:
    await world.start()
    line = 'santral_refused_total{door="webhooks",reason="too_large"}'
    before = await figure(world, line)
    header = f"{HEADER}: {SECRET}".encode()
    nine, promised = 9 << 20, 900 << 20
    assert await raw_status(world, header, size=promised, body=b" " * nine) == 413
    assert await figure(world, line) == before + 1
    assert await deliver(world, update("x" * 100_000)) == 200
    assert await stored(world) == 2


BIDI = "\u202e\u2066\u200f"
NASTY = {
    "nul": "a\x00b",
    "bidi": f"{BIDI}txt.exe",
    "surrogates": "\ud800 \udfff ok",
    "tags": "<!channel> <@U0AYSE0001> @here <http://evil|bank> *bold* `code`",
    "rtl": "مرحبا أين طلبي",
    "zalgo": "e" + "\u0301" * 200,
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028\u2029\ufeff",
    "spaces": " \u200b\u00a0 ",
}


@pytest.mark.parametrize("kind", NASTY)
async def test_hostile_words_and_names_are_stored_and_shown_safely(world: World, kind: str) -> None:
    nasty = NASTY[kind]
    await world.start()
    assert await deliver(world, update(nasty, first_name=nasty, last_name=nasty)) == 200
    assert await deliver(world, update(f"{nasty} END1", number=2, first_name=nasty)) == 200
    await shows(world, "END1")
    assert await deliver(world, update(f"{nasty} END2", number=3, first_name=nasty)) == 200
    document = {"file_id": "none", "file_name": nasty + ".pdf", "mime_type": nasty}
    with_file = update(number=4, first_name=nasty)
    del with_file["message"]["text"]
    with_file["message"] |= {"document": document, "caption": f"{nasty} END3"}
    assert await deliver(world, with_file) == 200
    root = await shows(world, "END2", "END3")
    assert len(await texts(world)) == 4
    shown = json.dumps([root, root["replies"]], ensure_ascii=False)
    assert not any(each in shown for each in ("\x00", "\u202e", "\ud800", "<!channel>", "<@U0AYSE0001>"))
    assert not any("\\u0000" in json.dumps(each) for each in (root, root["replies"]))
    assert await asyncio.to_thread(quarantine.waiting, world.config()) == []

    ts = (await world.slack.post(AYSE, SUPPORT, "Tamam", thread_ts=root["ts"]))["ts"]
    await eventually(lambda: rows(world, "select 1 from messages where external_id = $1", f"{SUPPORT}:{ts}"))


async def test_a_name_of_4096_characters_is_cut_and_harms_nothing(world: World) -> None:
    await world.start()
    for number, name in enumerate(("W" * 4096, "😀" * 4096, "\u202e" * 4096), 1):
        told = update("Merhaba", number=number, id=5_000 + number, first_name=name)
        told["message"]["chat"]["id"] = 5_000 + number
        assert await deliver(world, told) == 200

    async def shown() -> bool:
        return len(await world.roots()) == 3

    await eventually(shown)
    assert all(len(root["text"]) < 600 for root in await world.roots())


async def test_ten_thousand_emoji_are_stored_whole_and_shown_as_far_as_slack_goes(world: World) -> None:
    await world.start()
    text = "😀" * 10_000
    assert await deliver(world, update(text)) == 200
    await shows(world, "😀😀😀")
    assert await deliver(world, update("👨‍👩‍👧‍👦" * 10_000, number=2)) == 200
    await shows(world, "👨‍👩‍👧‍👦")
    assert await texts(world) == [text, ("👨‍👩‍👧‍👦" * 10_000)[:100_000]]


@pytest_asyncio.fixture
async def fragile(tmp_path: Path) -> AsyncIterator[tuple[World, Postgres]]:
    """A world on a PostgreSQL of its own, which the test may stop and start."""
    settings = {"fsync": "off", "synchronous_commit": "off"}
    postgres = Postgres(tmp_path / "own", settings=settings)
    found = await postgres.start()
    async with Database.open(found.dsn, connections=2) as database:
        await database.migrate()
    world = World(found.dsn, tmp_path)
    await world.open()
    yield world, postgres
    await postgres.start()
    await world.close()
    await postgres.stop()


async def test_a_database_that_is_away_delays_and_drops_nothing(fragile: tuple[World, Postgres]) -> None:
    world, postgres = fragile
    tmp = world.folder
    tmp.chmod(0o755)
    await world.start()
    customer, other = world.customer(), world.customer("Иван Петров")
    await world.telegram.say(customer, text="önce")
    root = await shows(world, "önce")
    await postgres.stop()

    async with aiohttp.ClientSession() as session:
        answer = await session.post(f"{world.url}/webhooks/bot", json=update(), headers={HEADER: SECRET})
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        broken = await session.post(f"{world.url}/webhooks/bot", data=b"{", headers={HEADER: SECRET})
        assert broken.status == 503
        assert (await session.get(f"{world.url}/health/live")).status == 200
        assert (await session.get(f"{world.url}/health/ready")).status == 503
    for number in range(3):
        await world.telegram.say(customer, text=f"sırada {number}")
    await world.telegram.say(other, text="Где мой заказ?")
    await world.slack.post(AYSE, SUPPORT, "Bakıyorum", thread_ts=root["ts"])
    await eventually(lambda: any(attempt["status"] == 503 for attempt in world.telegram.journal.attempts(0)))

    await postgres.start()

    async def there() -> bool:
        found = await rows(world, "select text from messages where direction = 'in' order by conversation_id, position")
        return [row["text"] for row in found] == ["önce", "sırada 0", "sırada 1", "sırada 2", "Где мой заказ?"]

    await eventually(there)
    await eventually(lambda: world.answers(customer))
    assert await world.answers(customer) == ["Bakıyorum"]
    await eventually(world.ready)
    await world.card_with("Где мой заказ?")
    found = await world.card_with("sırada 2")
    assert [seen(found, text) for text in ("önce", "sırada 0", "sırada 1", "sırada 2")] == [1, 1, 1, 1]


async def test_two_agents_who_answer_at_once_are_both_read(world: World) -> None:
    await world.start()
    customer = world.customer()
    await world.telegram.say(customer, text="Kargom nerede?")
    root = await shows(world, "Kargom nerede?")
    await asyncio.gather(
        world.slack.post(AYSE, SUPPORT, "Ben bakıyorum", thread_ts=root["ts"]),
        world.slack.post(MEHMET, SUPPORT, "Ben de", thread_ts=root["ts"]),
    )

    async def both() -> bool:
        return sorted(await world.answers(customer)) == ["Ben bakıyorum", "Ben de"]

    await eventually(both)
    assert len((await only(world))["replies"]) == 2
