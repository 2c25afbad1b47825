"""What an agent takes back or corrects in the very moment in which it is being sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from channels import registry
from channels.errors import FILE_TOO_BIG, Refused, Unreachable
from channels.message import Address, Attachment, Received, Status
from desk.marks import wanted
from desk.words import mark
from inbox.changes import Conversation, Decision, Put
from inbox.delivery import told
from inbox.intake import Intake
from inbox.replies import Draft, Replies
from inbox.store import arrivals, deliveries
from inbox.store.database import Database
from inbox.store.deliveries import Delivery
from inbox.store.slack import marked
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


async def _waits_for_a_lock(database: Database, count: int = 1) -> bool:
    async with database.connection() as c:
        waiting = await c.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
    return int(waiting) == count


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


async def _mark(database: Database, source: tuple[str, str]) -> str | None:
    async with database.connection() as c:
        id = await c.fetchval("select id from messages where (channel, external_id) = ($1, $2)", *source)
        found = await marked(c, id)
    assert found is not None
    return wanted(found)


async def test_a_file_too_large_is_told_by_name_and_limit_and_the_words_earn_their_own_mark(
    database: Database, replies: Replies
) -> None:
    async with database.connection() as c:
        conversation_id = await c.fetchval("select id from conversations")
    film = Attachment(media_type="video/mp4", filename="film.mp4", size=60 << 20, ref="https://files.example/1")
    source = ("slack", "C1:1772452800.000200")
    with_words = Draft(text="Kurulum videosu", files=(film,), source=source, author="U1", at=AT)
    message_id = await replies.reply(conversation_id, with_words)
    assert message_id
    async with database.transaction() as c:
        notice = await c.fetchval("select notice from notices where (notice ->> 'message')::bigint = $1", message_id)
        words, refused = await deliveries.of_message(c, message_id)
    assert (notice["file"], notice["most"], notice["rest"]) == ("film.mp4", 50 << 20, True)
    assert not notice.get("detail")
    assert (words.status, refused.status) == (Status.QUEUED, Status.FAILED)
    assert await _mark(database, source) == mark(Status.QUEUED)
    async with database.transaction() as c:
        await deliveries.settle(c, words.id, Status.SENT, external_id="4711:9")
    assert await _mark(database, source) == mark(Status.SENT)

    alone = ("slack", "C1:1772452800.000300")
    message_id = await replies.reply(conversation_id, replace(with_words, text="", source=alone))
    async with database.connection() as c:
        notice = await c.fetchval("select notice from notices where (notice ->> 'message')::bigint = $1", message_id)
    assert "rest" not in notice
    assert await _mark(database, alone) == mark(Status.FAILED)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Unreachable("This address takes no mail: 5.1.1 no such user", provider_code="5.1.1"),
         "This address takes no mail: 5.1.1 no such user"),
        (Refused("Forbidden: bot was blocked", provider_code="403"), "403 Forbidden: bot was blocked"),
        (Refused("The mail has 27 MB; the mail server takes 10 MB.", provider_code=FILE_TOO_BIG),
         "The mail has 27 MB; the mail server takes 10 MB."),
        (Refused("No."), "No."),
    ],
)  # fmt: skip
def test_a_refusal_tells_its_code_once(error: Refused, words: str) -> None:
    assert told(error) == words


# twice, and two at once


@pytest.mark.parametrize("as_note", [False, True], ids=["undo", "keep as a note"])
async def test_a_reply_that_is_taken_back_twice_is_not_said_to_have_left(
    database: Database, replies: Replies, as_note: bool
) -> None:
    assert await replies.undo(SOURCE, as_note=as_note)
    assert await replies.undo(SOURCE, as_note=as_note)
    async with database.connection() as c:
        assert await c.fetchval("select direction from messages where channel = 'slack'") == (
            "note" if as_note else "out"
        )


async def test_what_has_left_is_not_said_to_be_undone(database: Database, replies: Replies) -> None:
    for number, part in enumerate(await parts(database)):
        async with database.transaction() as c:
            await deliveries.settle(c, part.id, Status.SENT, external_id=f"4711:{number}")
    assert not await replies.undo(SOURCE)
    assert not await replies.undo(SOURCE, as_note=True)


async def test_two_agents_who_send_the_rest_again_at_once_are_told_apart(database: Database, replies: Replies) -> None:
    """Each presses below another part of the same reply."""
    both = await parts(database)
    async with database.transaction() as c:
        for part in both:
            await deliveries.settle(c, part.id, Status.FAILED, code="refused")
    async with database.transaction() as c:
        await arrivals.load(c, both[0].conversation_id)
        pressing = [asyncio.create_task(replies.send_again(part.id, by="U1")) for part in both]
        await eventually(lambda: _waits_for_a_lock(database, 2))
    assert sorted(await asyncio.gather(*pressing)) == [False, True]
    assert [part.status for part in await parts(database)] == [Status.QUEUED, Status.QUEUED]


@pytest.mark.parametrize("act", ["undo", "rewrite", "retract", "send_again"])
async def test_whoever_acts_on_a_reply_waits_for_its_conversation_before_they_hold_its_parts(
    database: Database, replies: Replies, act: str
) -> None:
    """As receipts do: they would wait for each other in a circle otherwise."""
    first, _ = await parts(database)
    acts: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "undo": lambda: replies.undo(SOURCE),
        "rewrite": lambda: replies.rewrite(replace(DRAFT, text="Kargonuz yolda"), undo=AT - AT),
        "retract": lambda: replies.retract(SOURCE),
        "send_again": lambda: replies.send_again(first.id, by="U1"),
    }
    async with database.transaction() as c:
        await arrivals.load(c, first.conversation_id)
        acting = asyncio.create_task(acts[act]())
        await eventually(lambda: _waits_for_a_lock(database))
        await c.execute("set local lock_timeout = '1s'")
        await deliveries.of_message(c, first.message_id)
    await acting
