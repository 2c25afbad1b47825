"""What an agent takes back or corrects in the very moment in which it is being sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest_asyncio

from channels import registry
from channels.message import Address, Received, Status
from inbox.changes import Conversation, Decision, Put
from inbox.intake import Intake
from inbox.replies import Draft, Replies
from inbox.store import deliveries
from inbox.store.database import Database
from inbox.store.deliveries import Delivery
from tests.world import eventually

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SOURCE = ("slack", "C1:1772452800.000100")
LONG = "Kargonuz yarın sizde. " * 250  # two Telegram messages
DRAFT = Draft(text=LONG, source=SOURCE, author="U1", at=AT)


def follow_up(conversation: Conversation, *, lines: bool) -> Iterable[Put]:
    return [Put(kind="mirror" if lines else "card", key=str(conversation.id))]


@pytest_asyncio.fixture
async def replies(database: Database) -> Replies:
    """The acts on the conversation of one customer, who has been answered in two parts that wait."""
    intake = Intake(database, decide=lambda facts: Decision(), follow_up=follow_up, now=lambda: AT)
    sender = Address(kind="telegram", value="4711")
    await intake.receive(
        [Received(channel="bot", external_id="4711:1", sender=sender, sent_at=AT, text="Kargom nerede?")]
    )
    channels = {"bot": registry.make("telegram", "bot", {"token": "4711:token"})}
    made = Replies(database, channels, follow_up=follow_up, now=lambda: AT)
    async with database.connection() as c:
        conversation_id = await c.fetchval("select id from conversations")
    assert await made.reply(conversation_id, DRAFT)
    return made


async def parts(database: Database) -> list[Delivery]:
    async with database.transaction() as c:
        return await deliveries.of_message(c, await c.fetchval("select id from messages where direction = 'out'"))


async def begun(database: Database) -> Delivery:
    """What the sender finds on the line, marked as being sent."""
    address_id = (await parts(database))[0].address_id
    async with database.transaction() as c:
        found = await deliveries.next_on_line(c, "bot", address_id)
        assert found
        await deliveries.begin(c, found.id)
    return found


async def _waits_for_a_lock(database: Database) -> bool:
    async with database.connection() as c:
        return bool(
            await c.fetchval(
                "select true from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            )
        )


async def test_a_reply_whose_first_part_is_just_leaving_is_not_half_undone(
    database: Database, replies: Replies
) -> None:
    first, _ = await parts(database)
    async with database.transaction() as c:
        await deliveries.begin(c, first.id)
        undoing = asyncio.create_task(replies.undo(SOURCE))
        await eventually(lambda: _waits_for_a_lock(database))
    assert await undoing is False
    assert [part.status for part in await parts(database)] == [Status.QUEUED, Status.QUEUED]


async def test_a_correction_made_while_another_one_is_on_its_way_follows_it(
    database: Database, replies: Replies
) -> None:
    for number, part in enumerate(await parts(database)):
        async with database.transaction() as c:
            await deliveries.settle(c, part.id, Status.SENT, external_id=f"4711:{number}")
    corrected, again = LONG.replace("yarın", "bugün", 1), LONG.replace("yarın", "hemen", 1)

    assert await replies.rewrite(replace(DRAFT, text=corrected), undo=AT - AT) == "sent_on"
    found = await begun(database)
    assert await replies.rewrite(replace(DRAFT, text=again), undo=AT - AT) == "sent_on"
    async with database.transaction() as c:
        await deliveries.revised(c, found)

    last = await begun(database)
    assert (last.id, last.revision, last.sending_at) == (found.id, "edit", None)
    assert str(last.body["text"]).startswith("Kargonuz hemen")
    async with database.transaction() as c:
        await deliveries.revised(c, last)
        assert await deliveries.next_on_line(c, "bot", last.address_id) is None


async def test_of_a_deleted_reply_nothing_more_leaves_and_what_left_is_withdrawn(
    database: Database, replies: Replies
) -> None:
    first, second = await parts(database)
    async with database.transaction() as c:
        await deliveries.settle(c, first.id, Status.SENT, external_id="4711:1")

    assert await replies.retract(SOURCE) == "sent_on"

    left, kept = await parts(database)
    assert (left.id, left.revision) == (first.id, "withdraw")
    assert (kept.id, kept.status) == (second.id, Status.FAILED)
