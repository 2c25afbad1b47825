"""Who asked for no more messages: heard from them, or learnt from a carrier that refuses to send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from channels.errors import Unreachable, Unwanted
from channels.message import Address, OptedIn, OptedOut, Outgoing, Proof, Receipt, Received, Status
from inbox import figures
from inbox.store import deliveries, places, silences
from inbox.store import slack as desk
from inbox.store.database import Database
from inbox.store.migrations import m0005_stop
from inbox.tidings import stop_word
from tests.inbox.line import CHANNEL, PHONE, Line, Provider, begun

SECOND = timedelta(seconds=1)
REFUSED = Unwanted("The customer has answered STOP.", provider_code="21610")


@pytest_asyncio.fixture
async def line(database: Database, tmp_path: Path) -> Line:
    return await begun(database, tmp_path, Provider())


async def told(line: Line) -> list[tuple[str, bool]]:
    """The opt-outs and opt-ins that the conversation shows, and whether only START ends them."""
    rows = await line.rows(
        "select body ->> 'event' as what, body ? 'lasting' as lasting from messages where direction = 'event'"
    )
    return [(row["what"], row["lasting"]) for row in rows]


async def cut_off(line: Line) -> tuple[str, str]:
    """Why nothing may be sent, and the word that the card shows."""
    async with line.database.connection() as c:
        head = await desk.head(c, line.conversation)
        target = await deliveries.target(c, line.conversation)
    assert head and target and target.cut_off == head.cut_off
    return head.cut_off, head.stop_word


async def ways(line: Line) -> dict[str, str]:
    """Why nothing may be sent by each channel that they have written to, "" where all may be."""
    async with line.database.connection() as c:
        found: dict[str, str] = {}
        for way in await places.reached(c, line.conversation):
            target = await deliveries.target(c, line.conversation, channel=way.channel, address_id=way.address_id)
            assert target and target.silenced == way.silenced
            found[way.channel] = target.cut_off
    return found


async def writes(line: Line, channel: str, sender: Address = PHONE, at: datetime | None = None) -> None:
    """The customer writes to another of the shop's channels."""
    count = await line.one("select count(*) from messages")
    await line.hears(
        Received(
            channel=channel, external_id=f"{channel}-{count}", sender=sender, sent_at=at or line.now(), text="Merhaba",
            proof=Proof.CARRIER if sender == PHONE else Proof.AUTHENTICATED,
        )
    )  # fmt: skip


def counted() -> float:
    return float(figures.OPTED_OUT.labels(CHANNEL)._value.get())


async def delivery(line: Line) -> UUID:
    found: UUID = await line.one("select id from deliveries order by line desc limit 1")
    return found


async def test_a_stop_that_only_the_carrier_heard_is_one_until_start(line: Line) -> None:
    before = counted()
    line.provider.outcomes = [REFUSED]
    await line.answers("Yolda")
    await line.sends()
    await line.answers("Hala orada misiniz?")
    await line.sends()
    assert [message.text for message in line.provider.sent] == ["Yolda"]
    assert [(status, code) for _, status, code in await line.deliveries()] == [(9, "opted_out")] * 2
    assert await told(line) == [("opted_out", True)]
    assert counted() == before + 1
    assert await line.one("select array_agg(notice ->> 'code') from notices") == ["opted_out", "opted_out"]

    await line.says("Peki kargom?")
    assert await cut_off(line) == ("opted_out", "")
    await line.hears(OptedIn(channel=CHANNEL, sender=PHONE, at=line.now()))
    assert await cut_off(line) == ("", "")
    await line.answers("Hos geldiniz")
    await line.sends()
    assert line.provider.sent[-1].text == "Hos geldiniz"


async def test_a_stop_that_the_carrier_tells_by_a_status_counts_as_well(line: Line) -> None:
    await line.answers("Yolda")
    await line.sends()
    failed = Receipt(
        channel=CHANNEL, status=Status.FAILED, at=line.now(), delivery=await delivery(line), external_id="id-1",
        code=Unwanted.code, detail="21610", unreachable=True,
    )  # fmt: skip
    await line.hears(failed)
    await line.hears(failed, failed)
    assert await told(line) == [("opted_out", True)]
    assert await cut_off(line) == ("opted_out", "")
    assert await line.one("select notice ->> 'code' from notices") == "opted_out"


async def test_who_writes_start_while_the_refusal_is_on_its_way_has_come_back(line: Line) -> None:
    async def refused(message: Outgoing) -> str:
        await line.hears(OptedIn(channel=CHANNEL, sender=PHONE, at=datetime.now(UTC)))
        raise REFUSED

    line.provider.outcomes = [refused]
    await line.answers("Yolda")
    await line.sends()
    assert await cut_off(line) == ("", "")
    assert await told(line) == [("opted_in", False)]


async def test_a_stop_heard_while_the_refusal_is_on_its_way_is_shown_once_and_with_its_word(line: Line) -> None:
    async def refused(message: Outgoing) -> str:
        await line.hears(OptedOut(channel=CHANNEL, sender=PHONE, at=datetime.now(UTC), why="wrote DUR", lasting=True))
        raise REFUSED

    line.provider.outcomes = [refused]
    await line.answers("Yolda")
    await line.sends()
    assert await cut_off(line) == ("opted_out", "DUR")
    assert await told(line) == [("opted_out", True)]


async def test_a_block_is_no_stop_and_ends_with_the_next_message(line: Line) -> None:
    line.provider.outcomes = [Unreachable("blocked")]
    await line.answers("Yolda")
    await line.sends()
    assert await cut_off(line) == ("unreachable", "")
    assert await told(line) == []
    await line.says("Buradayım")
    assert await cut_off(line) == ("", "")


async def test_a_block_after_a_stop_that_ended_is_not_called_a_stop(line: Line) -> None:
    await line.hears(OptedOut(channel=CHANNEL, sender=PHONE, at=line.now(), why="СТОП"))
    assert await cut_off(line) == ("opted_out", "СТОП")
    await line.says("Buradayım")
    line.provider.outcomes = [Unreachable("blocked")]
    await line.answers("Yolda")
    await line.sends()
    assert await cut_off(line) == ("unreachable", "")


async def test_a_failure_goes_on_saying_how_it_was_after_they_came_back(line: Line) -> None:
    await line.hears(OptedOut(channel=CHANNEL, sender=PHONE, at=line.now(), why="wrote DUR", lasting=True))
    await line.answers("Yolda")
    notice = await line.one("select id from notices")
    await line.hears(OptedIn(channel=CHANNEL, sender=PHONE, at=line.now()))
    async with line.database.connection() as c:
        fate = await desk.fate(c, await delivery(line), notice)
    assert fate and (fate.code, fate.opted_out) == ("opted_out", False)


@pytest.mark.parametrize("lasting", [True, False])
async def test_a_stop_that_is_told_after_they_came_back_counts_nothing(line: Line, lasting: bool) -> None:
    at = line.now()
    if lasting:
        await line.hears(OptedIn(channel=CHANNEL, sender=PHONE, at=at + SECOND))
    else:
        await line.says("Kargom?", at=at + SECOND)
    before = await told(line)
    await line.hears(OptedOut(channel=CHANNEL, sender=PHONE, at=at, why="STOP", lasting=lasting))
    assert await cut_off(line) == ("", "")
    assert await told(line) == before, "nor does the thread say that nothing is sent"


@pytest.mark.parametrize("late", [False, True], ids=["when it was sent", "by a receipt"])
async def test_who_is_gone_from_one_app_is_reached_by_the_others_until_they_write_there(line: Line, late: bool) -> None:
    await writes(line, "sms")
    await line.says()
    if not late:
        line.provider.outcomes = [Unreachable("blocked")]
    await line.answers("Yolda")
    await line.sends()
    if late:
        gone = Receipt(
            channel=CHANNEL, status=Status.FAILED, at=line.now(), delivery=await delivery(line), external_id="id-1",
            code=Unreachable.code, unreachable=True,
        )  # fmt: skip
        await line.hears(gone)
    assert await ways(line) == {CHANNEL: "unreachable", "sms": ""}
    await writes(line, "sms")
    assert await ways(line) == {CHANNEL: "unreachable", "sms": ""}
    await line.says("Engeli kaldırdım")
    assert await ways(line) == {CHANNEL: "", "sms": ""}


async def test_a_stop_on_one_app_is_none_on_the_others_and_each_is_ended_by_itself(line: Line) -> None:
    await writes(line, "sms")
    for channel in (CHANNEL, "sms"):
        await line.hears(OptedOut(channel=channel, sender=PHONE, at=line.now(), why="DUR"))
    assert await ways(line) == {CHANNEL: "opted_out", "sms": "opted_out"}
    await line.hears(OptedIn(channel="sms", sender=PHONE, at=line.now()))
    assert await ways(line) == {CHANNEL: "opted_out", "sms": ""}
    await writes(line, "sms")
    assert await ways(line) == {CHANNEL: "opted_out", "sms": ""}
    await line.says()
    assert await ways(line) == {CHANNEL: "", "sms": ""}


async def test_writing_elsewhere_after_it_does_not_make_a_stop_one_that_was_told_late(line: Line) -> None:
    at = line.now()
    await writes(line, "sms", at=at + SECOND)
    await line.hears(OptedOut(channel=CHANNEL, sender=PHONE, at=at, why="DUR"))
    assert await ways(line) == {CHANNEL: "opted_out", "sms": ""}


async def test_what_was_written_before_a_stop_and_is_told_after_it_does_not_end_it(line: Line) -> None:
    at = line.now()
    await line.hears(OptedOut(channel=CHANNEL, sender=PHONE, at=at + SECOND, why="DUR"))
    await line.says("Kargom?", at=at)
    assert await cut_off(line) == ("opted_out", "DUR")
    await line.says("Kargom?", at=at + 2 * SECOND)
    assert await cut_off(line) == ("", "")


@pytest.mark.parametrize(("lasting", "code"), [(True, "opted_out"), (False, "")], ids=["START", "any message"])
async def test_who_is_gone_after_a_stop_is_still_known_by_their_word(line: Line, lasting: bool, code: str) -> None:
    await line.hears(OptedOut(channel=CHANNEL, sender=PHONE, at=line.now(), why="wrote DUR", lasting=lasting))
    address = await line.one("select id from addresses")
    async with line.database.connection() as c:
        await silences.silence(c, address, CHANNEL, "blocked", line.now())
    assert await cut_off(line) == ("opted_out", "DUR")
    await line.says()
    assert await cut_off(line) == (code, "DUR" if code else "")


async def test_whom_the_version_before_has_silenced_is_silent_everywhere_until_they_write(line: Line) -> None:
    await writes(line, "sms")
    async with line.database.connection() as c:
        await c.execute("update addresses set silenced_at = now(), silenced_why = 'blocked'")
    assert await ways(line) == {CHANNEL: "unreachable", "sms": "unreachable"}
    await writes(line, "sms")
    assert await ways(line) == {CHANNEL: "", "sms": ""}


@pytest.mark.parametrize("kind", ["email", "email-claimed"])
async def test_a_mailbox_that_is_gone_is_gone_for_every_mail_channel(line: Line, kind: str) -> None:
    mailbox = Address(kind=kind, value="ayse@example.com")
    for channel in ("mail", "orders"):
        await writes(line, channel, mailbox)
    line.conversation, address = tuple(
        await line.one("select array[customer_id, id] from addresses where kind = $1", kind)
    )
    async with line.database.connection() as c:
        await silences.silence(c, address, "mail", "550 5.1.1", line.now())
    assert await ways(line) == {"mail": "unreachable", "orders": "unreachable"}
    await writes(line, "orders", mailbox)
    assert await ways(line) == {"mail": "", "orders": ""}


async def test_going_back_to_the_version_before_leaves_nobody_who_was_silenced_to_be_written_to(line: Line) -> None:
    await line.hears(OptedOut(channel=CHANNEL, sender=PHONE, at=line.now(), why="DUR"))
    async with line.database.connection() as c:
        await c.execute(m0005_stop.BACKWARD)
    assert await line.rows("select silenced_at is null as heard, silenced_why as why from addresses") == [
        {"heard": False, "why": "DUR"}
    ]


@pytest.mark.parametrize(
    ("why", "lasting", "word"),
    [
        ("wrote DUR", True, "DUR"),
        ("wrote IPTAL", True, "IPTAL"),  # a word that the shop has chosen at its carrier
        ("", True, ""),
        ("Dur!", False, "Dur!"),
        ("СТОП", False, "СТОП"),
        ("blocked the bot", False, ""),
    ],
)
def test_the_word_by_which_they_asked(why: str, lasting: bool, word: str) -> None:
    at = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    assert stop_word(OptedOut(channel=CHANNEL, sender=PHONE, at=at, why=why, lasting=lasting)) == word
