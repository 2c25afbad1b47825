"""Two processes decide at once: one customer is told once. And how long a wait is, in words that can be promised."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from channels.message import Address, Received
from inbox.changes import Conversation, Priority, Put
from inbox.intake import Intake
from inbox.replies import Replies
from inbox.store.database import Database
from inbox.store.work import Piece
from routing.acknowledge import Limits
from routing.policy import Live
from routing.rounds.acknowledging import Acknowledging, in_words
from routing.triage import triage
from tests.routing.test_triage import HOURS, POLICY

NIGHT = datetime(2027, 2, 6, 20, 40, tzinfo=UTC)  # Saturday, 23:40 in Istanbul
ALWAYS_CLOSED_AT_NIGHT = Live(replace(POLICY, teams={"support": replace(POLICY.first, hours=HOURS)}))


def nothing(conversation: Conversation, *, lines: bool) -> Iterable[Put]:
    return ()


def night() -> datetime:
    return NIGHT


def acknowledging(database: Database, live: Live = ALWAYS_CLOSED_AT_NIGHT) -> Acknowledging:
    replies = Replies(database, {}, follow_up=nothing, now=night)
    return Acknowledging(database, replies, live, now=night)


def piece(conversation_id: int) -> Piece:
    return Piece(
        kind="acknowledge",
        key=str(conversation_id),
        lane="",
        priority=Priority.NORMAL,
        generation=1,
        attempts=0,
        lease=uuid4(),
        since=NIGHT,
    )


async def arrives(database: Database, id: str, channel: str = "bot", **more: object) -> None:
    """A message of one and the same customer, by whatever channel."""
    intake = Intake(database, decide=triage(ALWAYS_CLOSED_AT_NIGHT), follow_up=nothing, now=night)
    message = Received(
        channel=channel,
        external_id=id,
        sender=Address(kind="phone", value="+905321112233"),
        sent_at=NIGHT,
        text="Kargom nerede?",
    )
    await intake.receive([replace(message, **more)])  # type: ignore[arg-type]
    await intake.close()


async def told(database: Database) -> int:
    async with database.connection() as c:
        return int(await c.fetchval("select count(*) from messages where direction = 'out'"))


async def conversation(database: Database) -> int:
    async with database.connection() as c:
        return int(await c.fetchval("select id from conversations"))


async def test_two_processes_that_decide_at_once_tell_a_customer_once(database: Database) -> None:
    await arrives(database, "1")
    id = await conversation(database)
    await asyncio.gather(*(acknowledging(database).run(piece(id)) for _ in range(6)))
    assert await told(database) == 1


async def test_all_channels_of_a_customer_count_together(database: Database) -> None:
    for number, channel in enumerate(("sms", "whatsapp", "sms")):
        await arrives(database, str(number), channel)
        await acknowledging(database).run(piece(await conversation(database)))
    assert await told(database) == 1


@pytest.mark.parametrize("more", [{"automatic": True}, {"quiet": True}, {"sent_at": NIGHT - timedelta(hours=2)}])
async def test_nothing_is_said_to_machines_or_to_what_came_late(database: Database, more: dict[str, object]) -> None:
    await arrives(database, "1", **more)
    await acknowledging(database).run(piece(await conversation(database)))
    assert await told(database) == 0


async def test_somebody_who_opted_out_is_not_written_to(database: Database) -> None:
    await arrives(database, "1")
    async with database.connection() as c:
        await c.execute("update addresses set silenced_at = now()")
    await acknowledging(database).run(piece(await conversation(database)))
    assert await told(database) == 0


async def test_a_flood_of_acknowledgements_is_stopped(database: Database) -> None:
    await arrives(database, "1")
    id = await conversation(database)
    async with database.connection() as c:
        await c.execute(
            """
            insert into customers (id) select 1000 + n from generate_series(1, 60) n;
            """
        )
        await c.execute(
            """
            insert into acknowledgements (customer_id, once, conversation_id, address_id, kind, at)
            select 1000 + n, $1, $2, (select id from addresses limit 1), 'closed', $1 from generate_series(1, 60) n
            """,
            NIGHT - timedelta(seconds=5),
            id,
        )
    await acknowledging(database).run(piece(id))
    assert await told(database) == 0


async def test_a_flood_that_comes_all_at_once_is_stopped_too(database: Database) -> None:
    live = Live(replace(ALWAYS_CLOSED_AT_NIGHT(), limits=Limits(per_minute=3)))
    for number in range(8):
        sender = Address(kind="phone", value=f"+90532111223{number}")
        await arrives(database, str(number), sender=sender)
    async with database.connection() as c:
        ids = [row["id"] for row in await c.fetch("select id from conversations")]
    await asyncio.gather(*(acknowledging(database, live).run(piece(id)) for id in ids))
    assert await told(database) == 3


async def test_what_a_clock_promised_that_ran_ahead_keeps_nobody_silent(database: Database) -> None:
    await arrives(database, "1")
    id = await conversation(database)
    async with database.connection() as c:
        await c.execute(
            """
            insert into acknowledgements (customer_id, once, conversation_id, address_id, kind, at, opens_at)
            select customer_id, $1, id, address_id, 'closed', $1, $1 from conversations
            """,
            NIGHT + timedelta(days=365),
        )
    await acknowledging(database).run(piece(id))
    assert await told(database) == 1


async def test_the_opening_is_named_on_the_customers_clock_where_their_number_tells_it(database: Database) -> None:
    await arrives(database, "1", sender=Address(kind="phone", value="+81312345678"))
    await acknowledging(database).run(piece(await conversation(database)))
    async with database.connection() as c:
        words = await c.fetchval("select text from messages where direction = 'out'")
    assert "yarın 15:00'te" in words  # nine in Istanbul is three in Tokyo


@pytest.mark.parametrize(
    ("minutes", "language", "words"),
    [
        (17, "en", "20 minutes"),
        (61, "en", "2 hours"),
        (61, "tr", "2 saat"),
        (90, "de", "2 Stunden"),
        (17, "ru", "20 минут"),
        (1500, "en", "2 days"),
    ],
)
def test_a_wait_is_rounded_up_and_said_as_people_do(minutes: int, language: str, words: str) -> None:
    assert in_words(timedelta(minutes=minutes), language) == words
