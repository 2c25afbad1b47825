"""What comes whole is kept before it is read: none is lost, and none stops the ones behind it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from channels.channel import Pulled
from channels.errors import Retry
from channels.message import Address, Attachment, Event, Letter, Received
from inbox import letters as module
from inbox.changes import Decision, Priority
from inbox.files import Files
from inbox.intake import Intake
from inbox.letters import Letters
from inbox.pull import Puller
from inbox.store import cursors, work
from inbox.store import letters as table
from inbox.store.database import Connection, Database
from inbox.store.work import Piece
from inbox.work import LeaseLost
from tests.world import eventually

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def letter(number: int, raw: bytes = b"", *, id: str = "") -> Letter:
    raw = raw or f"letter {number}".encode()
    return Letter(
        channel="mail",
        external_id=id or f"imap:INBOX:1:{number}",
        digest=hashlib.sha256(raw).digest(),
        at=AT,
        raw=raw,
        facts={"folder": "INBOX"},
    )


class Reader:
    """Reads letters whose text says what is wrong with them."""

    def __init__(self) -> None:
        self.read_: list[str] = []
        self.away = False
        self.released = asyncio.Event()

    async def read(self, letter: Letter) -> Sequence[Event]:
        self.read_.append(letter.external_id)
        words = letter.raw[:200].decode()
        if "slow" in words:
            await self.released.wait()
        if "broken" in words:
            raise ValueError("a mistake of ours")
        if "away" in words and self.away:
            raise Retry("the bucket is away", after=timedelta(seconds=7))
        if "nothing" in words:
            return ()
        files = (Attachment(media_type="image/png", filename="a.png", data=b"png"),) if "picture" in words else ()
        return (
            Received(
                channel=letter.channel,
                external_id=letter.external_id,
                sender=Address(kind="email", value="ayse@ornek.com.tr"),
                sent_at=letter.at,
                text=words[:40],
                attachments=files,
            ),
        )


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def intake(database: Database) -> Intake:
    return Intake(database, decide=lambda facts: Decision(), follow_up=lambda *_, lines: [], now=lambda: AT)


@pytest.fixture
def letters(database: Database, intake: Intake, reader: Reader, tmp_path: Path) -> Letters:
    return Letters(
        database, Files.in_folder(tmp_path / "files"), intake, {"mail": reader}, now=lambda: datetime.now(UTC)
    )


async def leased(database: Database, kind: str = "read", key: str = "mail") -> Piece:
    """A piece of work held by nobody else, as a worker has it."""
    async with database.connection() as c:
        await c.execute("delete from work where kind = $1", kind)  # whoever had it is done
        await work.put(c, [module.due.reading(key)] if kind == "read" else [module.due.Put(kind=kind, key=key)])
        (piece,) = await work.claim(c, 1, (kind,), 1)
    return piece


async def texts(database: Database) -> list[str]:
    async with database.connection() as c:
        return [row["text"] for row in await c.fetch("select text from messages order by position")]


async def test_letters_are_read_in_the_order_in_which_they_came(database: Database, letters: Letters) -> None:
    await letters.receive([letter(number) for number in range(70)])
    await letters.run(await leased(database))
    assert await texts(database) == [f"letter {number}" for number in range(70)]


async def test_a_letter_comes_twice_and_is_one(database: Database, letters: Letters, reader: Reader) -> None:
    await letters.receive([letter(1)])
    await letters.receive([letter(1), letter(1, id="imap:INBOX:2:1")])  # its server numbered anew
    await letters.run(await leased(database))
    assert reader.read_ == ["imap:INBOX:1:1"]


async def test_a_large_letter_lies_beside_the_database_and_comes_back_whole(
    database: Database, letters: Letters
) -> None:
    raw = b"large " + b"x" * (module.LARGE + 1)
    await letters.receive([letter(1, raw)])
    async with database.connection() as c:
        (unread,) = await table.unread(c, "mail", 5)
    assert unread.raw is None
    assert unread.path
    await letters.run(await leased(database))
    assert (await texts(database))[0].startswith("large xxx")


async def test_files_of_a_letter_are_kept_with_its_message(
    database: Database, letters: Letters, tmp_path: Path
) -> None:
    await letters.receive([letter(1, b"with a picture")])
    await letters.run(await leased(database))
    async with database.connection() as c:
        row = await c.fetchrow("select state, path, size, filename from attachments")
        assert await c.fetchval("select count(*) from work where kind = 'media'") == 0, "nothing is left to fetch"
    assert (row["state"], row["size"], row["filename"]) == ("kept", 3, "a.png")
    assert await Files.in_folder(tmp_path / "files").read(row["path"]) == b"png"


async def test_one_that_cannot_be_read_stops_none_behind_it_and_ends_up_aside(
    database: Database, letters: Letters
) -> None:
    await letters.receive([letter(1, b"broken"), letter(2)])
    for _ in range(module.TRIES):
        async with database.connection() as c:
            await c.execute("update letters set due_at = now()")
        await letters.run(await leased(database))
    assert await texts(database) == ["letter 2"]
    async with database.connection() as c:
        (aside,) = await table.aside(c)
        assert await table.next_due(c, "mail") is None
    assert aside.why == "failed: ValueError"


async def test_one_that_takes_long_holds_up_its_own_sender_and_nobody_else(
    database: Database, letters: Letters, reader: Reader
) -> None:
    slow, own, other = b"From: a@x.example\nslow", b"From: a@x.example\nsecond", b"From: b@x.example\nother"
    await letters.receive([letter(1, slow), letter(2, own), letter(3, other)])
    running = asyncio.create_task(letters.run(await leased(database)))

    async def stored() -> list[str]:
        return [text.partition("\n")[2] for text in await texts(database)]

    await eventually(lambda: _is(stored(), ["other"]))
    await letters.receive([letter(4, b"From: c@x.example\nlater")])
    await eventually(lambda: _is(stored(), ["other", "later"]))
    reader.released.set()
    await running
    assert await stored() == ["other", "later", "slow", "second"]


async def _is(found: Awaitable[list[str]], wanted: list[str]) -> bool:
    return await found == wanted


async def test_what_needs_something_that_is_away_is_read_when_it_is_back(
    database: Database, letters: Letters, reader: Reader
) -> None:
    reader.away = True
    await letters.receive([letter(1, b"away"), letter(2)])
    ran = await letters.run(await leased(database))
    assert await texts(database) == ["letter 2"]
    assert ran.again is not None
    reader.away = False
    async with database.connection() as c:
        await c.execute("update letters set due_at = now()")
    await letters.run(await leased(database))
    assert await texts(database) == ["letter 2", "away"]


async def test_an_agent_may_have_a_letter_that_lies_aside_read_again(
    database: Database, letters: Letters, reader: Reader
) -> None:
    await letters.receive([letter(1)])
    async with database.connection() as c:
        await table.set_aside(c, "mail", letter(1).external_id, "list")
        await c.execute("update letters set read_at = now()")
        (aside,) = await table.aside(c)
        assert await table.admit(c, aside.id) == "mail"
        assert await table.admit(c, aside.id) is None, "it lies there no more"
        (unread,) = await table.unread(c, "mail", 5)
    assert unread.facts == {"folder": "INBOX", "person": True}


async def test_reading_is_given_up_by_whoever_lost_the_lease(database: Database, letters: Letters) -> None:
    await letters.receive([letter(1)])
    piece = await leased(database)
    stale = Piece(**{**{name: getattr(piece, name) for name in piece.__slots__}, "lease": uuid4()})
    with pytest.raises(LeaseLost):
        await letters.run(stale)
    async with database.connection() as c:
        assert len(await table.unread(c, "mail", 5)) == 1, "and the next one reads it again, and stores it once"
    await letters.run(piece)
    assert await texts(database) == ["letter 1"]


class Box:
    """A mailbox with what it brings next."""

    def __init__(self, pulls: Sequence[Pulled]) -> None:
        self._pulls = list(pulls)
        self.asked: list[str] = []

    async def pull(self, after: str) -> Pulled:
        self.asked.append(after)
        if self._pulls:
            return self._pulls.pop(0)
        return await asyncio.get_running_loop().create_future()


async def refused(_: Connection, channel: str, why: str) -> None:
    raise AssertionError(f"{channel}: {why}")


async def reads(_: Connection, channel: str) -> None:
    assert channel == "mail"


async def test_letters_and_cursor_are_one_commit(database: Database, intake: Intake, letters: Letters) -> None:
    box = Box([Pulled(cursor="1", letters=(letter(1),)), Pulled(cursor="2", letters=(letter(2),))])
    puller = Puller(database, intake, letters, {"mail": box}, refused=refused, reads=reads, now=lambda: AT)
    piece = await leased(database, "pull")
    running = asyncio.create_task(puller.run(piece))
    while len(box.asked) < 3:
        await asyncio.sleep(0)
    puller.stop()
    await running
    async with database.connection() as c:
        assert await cursors.read(c, "mail") == "2"
        assert len(await table.unread(c, "mail", 5)) == 2
    assert box.asked == ["", "1", "2"]


async def test_who_lost_the_lease_moves_neither_cursor_nor_letters(
    database: Database, intake: Intake, letters: Letters
) -> None:
    box = Box([Pulled(cursor="1", letters=(letter(1),))])
    puller = Puller(database, intake, letters, {"mail": box}, refused=refused, reads=reads, now=lambda: AT)
    stale = Piece(
        kind="pull", key="mail", lane="", priority=Priority.NORMAL, generation=1, attempts=1, lease=uuid4(), since=AT
    )
    with pytest.raises(LeaseLost):
        await puller.run(stale)
    async with database.connection() as c:
        assert await cursors.read(c, "mail") == ""
        assert await table.unread(c, "mail", 5) == []
