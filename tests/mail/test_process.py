"""A mail that harms its reader harms nobody else, and no reader outlives its parent."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop

from channels.mail.process import Children, Job, TooMuch
from channels.mail.values import Us
from channels.message import Event, Letter, Received
from inbox.changes import Decision
from inbox.due import reading
from inbox.files import Files
from inbox.intake import Intake
from inbox.letters import Letters
from inbox.store import work
from inbox.store.database import Database
from tests.mail.hostile import event
from tests.world import eventually

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOSTILE = "tests.mail.hostile"
HARM = {"loop": "it took too long", "eat": "too much memory", "nest": "nested", "die": "broke off"}
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes where Linux shows them")


def job(text: str, number: int = 1, **facts: Any) -> Job:
    raw = text.encode()
    return Job(
        channel="mail",
        external_id=f"imap:INBOX:1:{number}",
        digest=hashlib.sha256(raw).digest(),
        at=AT,
        raw=raw,
        facts=facts,
        us=Us(),
    )


async def read(children: Children, text: str, **facts: Any) -> Received:
    (found,) = await children.read(job(text, **facts))
    assert isinstance(found, Received)
    return found


def is_there(pid: str) -> bool:
    """Whether a process runs, or is dead and nobody has taken note of it."""
    return Path("/proc", pid).exists()


def is_busy(pid: str) -> bool:
    return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] == "R"


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_mail_that_harms_its_reader_is_told_and_the_next_is_read(
    factory: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    async def scene() -> None:
        children = Children(1, seconds=1, work=HOSTILE)
        try:
            for harm, why in HARM.items():
                with pytest.raises(TooMuch, match=why):
                    await read(children, f"{harm} whatever")
                assert (await read(children, f"after {harm}")).text == f"after {harm}"
            killed = await read(children, "once by somebody else", mark=str(tmp_path / "mark"))
            assert killed.text == "once by somebody else"
        finally:
            await children.close()

    run(factory, scene())


@needs_proc
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_there_are_two_readers_at_most_and_none_after_closing(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scene() -> None:
        children = Children(seconds=10, work=HOSTILE)
        first = await read(children, "alone")
        assert (await read(children, "alone again")).sender_name == first.sender_name, "one is enough for one at a time"
        many = await asyncio.gather(*(read(children, f"mail {number}") for number in range(40)))
        pids = {found.sender_name for found in many} | {first.sender_name}
        assert len(pids) == 2
        assert [found.text for found in many] == [f"mail {number}" for number in range(40)]
        given_up = asyncio.create_task(read(children, "loop while nobody waits for it"))
        await eventually(lambda: any(map(is_busy, pids)))
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        pids.add((await read(children, "the next")).sender_name)
        await children.close()
        assert not any(map(is_there, pids))

    run(factory, scene())


async def test_a_large_mail_goes_to_its_reader_and_back_whole() -> None:
    children = Children(1, work=HOSTILE)
    text = "large " + "x" * (9 << 20)
    assert (await read(children, text)).text == text[:40]
    await children.close()


class Box:
    """A mailbox whose reader may be harmed: what it died of is shown as a stub."""

    def __init__(self, children: Children) -> None:
        self._children = children

    async def read(self, letter: Letter) -> Sequence[Event]:
        wanted = Job(
            channel=letter.channel,
            external_id=letter.external_id,
            digest=letter.digest,
            at=letter.at,
            raw=letter.raw,
            facts={},
            us=Us(),
        )
        try:
            return await self._children.read(wanted)
        except TooMuch as error:
            return (event(wanted, f"stub: {error}"),)


async def test_hostile_mails_among_two_hundred_cost_only_themselves(database: Database, tmp_path: Path) -> None:
    intake = Intake(database, decide=lambda facts: Decision(), follow_up=lambda *_, lines: [], now=lambda: AT)
    children = Children(seconds=1, work=HOSTILE)
    letters = Letters(
        database, Files.in_folder(tmp_path), intake, {"mail": Box(children)}, now=lambda: datetime.now(UTC)
    )
    harmful = {3: "loop", 4: "eat", 90: "nest", 150: "die", 198: "loop"}
    texts = [f"{harmful.get(number, 'mail')} {number}" for number in range(200)]
    await letters.receive(
        [
            Letter(
                channel="mail",
                external_id=f"imap:INBOX:1:{number}",
                digest=hashlib.sha256(text.encode()).digest(),
                at=AT,
                raw=text.encode(),
            )
            for number, text in enumerate(texts)
        ]
    )
    async with database.connection() as c:
        await c.execute("delete from work")
        await work.put(c, [reading("mail")])
        (piece,) = await work.claim(c, 1, ("read",), 1)
    await letters.run(piece)
    await children.close()
    async with database.connection() as c:
        stored = [row["text"] for row in await c.fetch("select text from messages order by position")]
        assert await c.fetchval("select count(*) from letters where read_at is null") == 0
    assert [text.partition(":")[0] for text in stored] == [
        "stub" if number in harmful else text for number, text in enumerate(texts)
    ]


def run(factory: Callable[[], asyncio.AbstractEventLoop], scene: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scene)
