"""The intake on a real PostgreSQL: grouped, once, in order, whatever comes together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from channels.message import (
    Address,
    AddressChanged,
    Attachment,
    Edited,
    Event,
    OptedIn,
    OptedOut,
    Proof,
    Reacted,
    Receipt,
    Received,
    Status,
    Unreadable,
    Withdrawn,
)
from inbox.changes import AddTag, Conversation, Decision, Facts, Put, SetLanguage
from inbox.intake import Away, Intake, Overloaded
from inbox.store.database import Database
from tests.world import eventually

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def now() -> datetime:
    return AT


def decide(facts: Facts) -> Decision:
    if "poison" in facts.message.text:
        raise RuntimeError("this text breaks the rules")
    changes = (SetLanguage(language="tr"),) if not facts.conversation.language else ()
    return Decision(changes=changes, because="a test says so")


def follow_up(conversation: Conversation, *, lines: bool) -> Iterable[Put]:
    return [Put(kind="mirror" if lines else "card", key=str(conversation.id))]


def intake_on(database: Database) -> Intake:
    return Intake(database, decide=decide, follow_up=follow_up, now=now)


@pytest.fixture
def intake(database: Database) -> Intake:
    return intake_on(database)


@pytest_asyncio.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """A second pool, as another process has."""
    async with Database.open(database_url, connections=8) as opened:
        yield opened


def who(name: str = "1") -> Address:
    return Address(kind="telegram", value=name)


def said(number: int | str, sender: str = "1", text: str = "", **more: Any) -> Received:
    return Received(
        channel="bot",
        external_id=f"{sender}:{number}",
        sender=who(sender),
        sent_at=AT,
        text=text or f"text {number}",
        proof=Proof.PLATFORM,
        **{"sender_name": f"Customer {sender}", "raw": b'{"n": 1}', **more},
    )


def edited(number: int | str, text: str, seconds: float, sender: str = "1", **more: Any) -> Edited:
    return Edited(message=said(number, sender, text, **more), edited_at=AT + timedelta(seconds=seconds))


async def rows(database: Database, query: str, *values: Any) -> list[tuple[Any, ...]]:
    async with database.connection() as c:
        return [tuple(row) for row in await c.fetch(query, *values)]


async def texts(database: Database, sender: str = "1") -> list[str]:
    found = await rows(
        database,
        "select text from messages m join addresses a on a.id = m.address_id where a.value = $1 "
        "and direction = 'in' order by position",
        sender,
    )
    return [text for (text,) in found]


async def counted(database: Database, table: str) -> int:
    return int((await rows(database, f"select count(*) from {table}"))[0][0])


async def together(intake: Intake, events: Sequence[Event]) -> None:
    """Each event as its own request, all at once."""
    await asyncio.gather(*(intake.receive([event]) for event in events))


async def test_what_waits_together_is_stored_together_and_in_order(database: Database, intake: Intake) -> None:
    senders = [str(number) for number in range(12)]
    await together(intake, [said(number, sender) for number in range(20) for sender in senders])
    for sender in senders:
        assert await texts(database, sender) == [f"text {number}" for number in range(20)]
    assert await counted(database, "customers") == await counted(database, "conversations") == len(senders)
    positions = await rows(
        database, "select conversation_id, array_agg(position order by position) from messages group by 1"
    )
    assert all(found == list(range(1, 21)) for _, found in positions)
    mirrors = await rows(database, "select key from work where kind = 'mirror'")
    assert len(mirrors) == len(senders)


async def test_the_same_message_in_one_group_in_the_next_and_alone_is_one(database: Database, intake: Intake) -> None:
    await together(intake, [said(1), said(1), said(2), said(1), said(2)])
    await intake.receive([said(1)])
    await intake.receive([said(2), said(3), said(3)])
    assert await texts(database) == ["text 1", "text 2", "text 3"]
    ((last,),) = await rows(database, "select last_position from conversations")
    ((highest,),) = await rows(database, "select max(position) from messages")
    assert last == highest


async def test_a_repeated_message_changes_nothing_else_either(database: Database, intake: Intake) -> None:
    await intake.receive([said(1)])
    await intake.receive([OptedOut(channel="bot", sender=who(), at=AT + timedelta(seconds=5), why="blocked the bot")])
    before = await rows(
        database, "select c.*, a.* from conversations c join addresses a on a.customer_id = c.customer_id"
    )
    await intake.receive([said(1, sender_name="Somebody Else")])
    after = await rows(
        database, "select c.*, a.* from conversations c join addresses a on a.customer_id = c.customer_id"
    )
    assert after == before


async def test_an_edit_that_overtakes_its_original_loses_nothing(database: Database, intake: Intake) -> None:
    await intake.receive([edited(1, "second", 20)])
    await intake.receive([said(1, text="original")])
    await intake.receive([edited(1, "first", 10)])
    assert await texts(database) == ["second"]
    await together(intake, [edited(2, "b", 20), edited(2, "a", 10), said(2, text="original")])
    assert await texts(database) == ["second", "b"]


async def test_edits_follow_each_other_and_late_copies_do_not_undo_them(database: Database, intake: Intake) -> None:
    first, second = edited(1, "first", 10.000001), edited(1, "second", 10.000002)
    await together(intake, [said(1, text="original"), first, second])
    assert await texts(database) == ["second"]
    await together(intake, [first, second, first])
    assert await texts(database) == ["second"]
    ((received,),) = await rows(database, "select received ->> 'text' from messages")
    assert received == "original"


async def test_an_edit_that_shows_nothing_new_is_no_edit(database: Database, intake: Intake) -> None:
    await intake.receive([said(1, text="same")])
    await intake.receive([edited(1, "same", 10)])
    assert await rows(database, "select edited_at, received from messages") == [(None, None)]


async def test_files_are_noted_once_and_a_replaced_one_is_added(database: Database, intake: Intake) -> None:
    old = Attachment(media_type="image/png", filename="a.png", ref="r1", unique_ref="u1")
    again = Attachment(media_type="image/png", filename="a.png", ref="r1-again", unique_ref="u1")
    new = Attachment(media_type="image/png", filename="b.png", ref="r2", unique_ref="u2")
    await together(intake, [said(1, attachments=(old,)), said(1, attachments=(old,))])
    await intake.receive([edited(1, "other words", 5, attachments=(again,))])
    assert await rows(database, "select number, ref from attachments order by number") == [(0, "r1")]
    await intake.receive([edited(1, "other words", 9, attachments=(new,))])
    assert await rows(database, "select number, ref from attachments order by number") == [(0, "r1"), (1, "r2")]
    assert await rows(database, "select count(*) from work where kind = 'media'") == [(2,)]


async def test_a_poisonous_event_is_set_aside_and_its_neighbours_go_on(database: Database, intake: Intake) -> None:
    events: list[Event] = [said(number, str(number % 3)) for number in range(9)]
    events.insert(4, said("bad", "1", "poison", raw=b"the poison"))
    await together(intake, events)
    assert await counted(database, "messages") == 9
    (kept,) = await rows(database, "select channel, reason, body from quarantine")
    assert kept == ("bot", "could not be stored", b"the poison")
    for sender in "012":
        assert await texts(database, sender) == [f"text {number}" for number in range(9) if str(number % 3) == sender]


async def test_what_could_not_be_read_of_a_batch_is_kept_beside_what_could(database: Database, intake: Intake) -> None:
    broken = Unreadable(channel="bot", reason="a message without its ids", raw=b"{}")
    await intake.receive([said(1), broken, said(2), broken])
    assert await texts(database) == ["text 1", "text 2"]
    assert await rows(database, "select reason, times, body from quarantine") == [
        ("a message without its ids", 2, b"{}")
    ]


async def test_two_processes_never_make_two_customers_and_never_block_each_other(
    database: Database, other: Database
) -> None:
    """Every message reaches both, as two web processes behind a balancer see a provider's repeats."""
    senders = [str(number) for number in range(30)]
    events: list[Event] = [said(number, sender) for sender in senders for number in range(6)]
    events += [edited(number, f"edited {number}", 1, sender) for sender in senders for number in range(0, 6, 2)]
    events += [Reacted(channel="bot", external_id=f"{x}:1", sender=who(x), emoji="👍", at=AT) for x in senders]
    events += [OptedOut(channel="bot", sender=who(x), at=AT) for x in senders[::2]]
    first, second = events[:], events[:]
    random.Random(1).shuffle(first)
    random.Random(2).shuffle(second)
    await asyncio.gather(
        *(
            intake.receive(batch[start : start + 25])
            for intake, batch in ((intake_on(database), first), (intake_on(other), second))
            for start in range(0, len(batch), 25)
        )
    )
    assert await counted(database, "customers") == await counted(database, "conversations") == len(senders)
    assert await counted(database, "addresses") == len(senders)
    assert await rows(database, "select count(*) from messages where direction = 'in'") == [(len(senders) * 6,)]
    assert await counted(database, "quarantine") == 0
    for sender in senders:
        assert sorted(await texts(database, sender)) == sorted(
            f"edited {number}" if number % 2 == 0 else f"text {number}" for number in range(6)
        )


async def waiting(database: Database) -> bool:
    return bool(await rows(database, "select 1 from pg_locks where not granted"))


async def test_transactions_that_wait_for_each_other_are_made_again(database: Database, intake: Intake) -> None:
    """Somebody holds what we need and needs what we hold: PostgreSQL gives up one of both, and here that is us."""
    await intake.receive([said(1)])
    async with database.transaction() as c:
        await c.execute("set local deadlock_timeout = '10 s'")
        await c.execute("select 1 from work for update")
        arriving = asyncio.create_task(intake.receive([said(2)]))
        await eventually(lambda: waiting(database))
        await c.execute("select 1 from conversations for update")
    await arriving
    assert await counted(database, "quarantine") == 0
    assert await texts(database) == ["text 1", "text 2"]


async def test_the_desk_may_refer_to_a_conversation_that_is_being_written(database: Database, intake: Intake) -> None:
    """A worker that holds its piece and begins a post, and a message that arrives, must not wait for each other."""
    await intake.receive([said(1)])
    async with database.transaction() as c:
        await c.execute("set local lock_timeout = '100 ms'")
        await c.execute("select 1 from work for update")
        arriving = asyncio.create_task(intake.receive([said(2)]))
        await eventually(lambda: waiting(database))
        await c.execute("insert into changes (conversation_id, by, change) select id, 'desk', '{}' from conversations")
    await arriving
    assert await texts(database) == ["text 1", "text 2"]


async def test_a_block_heals_by_the_next_message_and_is_told_once(database: Database, intake: Intake) -> None:
    await intake.receive([said(1)])
    gone = OptedOut(channel="bot", sender=who(), at=AT, why="blocked the bot")
    await together(intake, [gone, gone])
    await intake.receive([gone])
    assert await rows(database, "select silences -> 'bot' ->> 'why' from addresses") == [("blocked the bot",)]
    assert await rows(database, "select count(*) from messages where direction = 'event'") == [(1,)]
    await intake.receive([said(2)])
    assert await rows(database, "select silences from addresses") == [({},)]
    await intake.receive([OptedOut(channel="bot", sender=who(), at=AT + timedelta(hours=1))])
    await intake.receive([OptedIn(channel="bot", sender=who(), at=AT + timedelta(hours=2))])
    assert await rows(database, "select silences from addresses") == [({},)]


async def test_a_stranger_who_only_presses_start_or_reacts_makes_no_customer(
    database: Database, intake: Intake
) -> None:
    await intake.receive(
        [
            OptedIn(channel="bot", sender=who("9"), at=AT),
            OptedOut(channel="bot", sender=who("9"), at=AT),
            Reacted(channel="bot", external_id="9:1", sender=who("9"), emoji="👍", at=AT),
            Withdrawn(channel="bot", external_id="9:1", sender=who("9"), at=AT),
            Receipt(channel="bot", status=Status.READ, at=AT, external_id="9:1"),
            AddressChanged(channel="bot", old=who("9"), new=who("10"), at=AT),
        ]
    )
    assert await counted(database, "customers") == await counted(database, "messages") == 0


async def test_events_of_one_group_keep_their_places(database: Database, intake: Intake) -> None:
    """A message, its reaction and the next message, all in one request."""
    like = Reacted(channel="bot", external_id="1:1", sender=who(), emoji="👍", at=AT)
    gone = Withdrawn(channel="bot", external_id="1:1", sender=who(), at=AT)
    await intake.receive([said(1), like, gone, said(2)])
    found = await rows(database, "select position, direction from messages order by position")
    assert [position for position, _ in found] == sorted({position for position, _ in found})
    assert sorted(direction for _, direction in found) == ["event", "event", "in", "in"]
    ((last,),) = await rows(database, "select last_position from conversations")
    assert last == found[-1][0]
    assert await texts(database) == ["text 1", "text 2"]


async def test_an_own_phone_is_an_address_of_the_same_customer(database: Database, intake: Intake) -> None:
    phone = (Address(kind="phone", value="+905321234567"), Proof.PLATFORM)
    await intake.receive([said(1, proofs=(phone,)), said(1, "2", proofs=(phone,))])
    found = await rows(database, "select customer_id, value, proof from addresses where kind = 'phone'")
    assert len(found) == 1
    ((owner,),) = await rows(database, "select customer_id from addresses where value = '1'")
    assert found[0] == (owner, "+905321234567", int(Proof.PLATFORM))
    assert await counted(database, "customers") == 2


async def test_a_customer_who_moves_keeps_the_conversation(database: Database, intake: Intake) -> None:
    await intake.receive([said(1)])
    await intake.receive([AddressChanged(channel="bot", old=who("1"), new=who("77"), at=AT)])
    await intake.receive([said(2, "77")])
    assert await texts(database, "77") == ["text 1", "text 2"]
    assert await counted(database, "customers") == 1


async def test_the_newest_name_counts(database: Database, intake: Intake) -> None:
    await intake.receive([said(1, sender_name="Ayşe")])
    await intake.receive([said(2, sender_name="Ayşe Yılmaz")])
    await intake.receive([said(3, sender_name="")])
    assert await rows(database, "select name from customers") == [("Ayşe Yılmaz",)]


async def test_what_was_decided_is_kept_with_its_reason(database: Database, database_url: str) -> None:
    tag = Decision(changes=(AddTag(tag='a "quoted", {odd} \\ tag'),), because="it is odd")
    intake = Intake(database, decide=lambda facts: tag, follow_up=follow_up, now=now)
    await intake.receive([said(1)])
    assert await rows(database, "select tags from conversations") == [(['a "quoted", {odd} \\ tag'],)]
    found = await rows(database, "select by, because, change ->> 'change' from changes")
    assert found == [("triage", "it is odd", "add_tag")]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "😀" * 10_000, "x" * 200_000, "\u202e"])
async def test_no_text_is_unstorable(database: Database, intake: Intake, text: str) -> None:
    nasty = {
        "sender_name": text,
        "subject": text,
        "quoted": text,
        "forwarded_from": text,
        "html": text,
        "payload": text,
    }
    attachment = Attachment(media_type=text, filename=text, ref=text, unique_ref=text)
    await intake.receive([said(1, text=text, attachments=(attachment,), **nasty)])
    await intake.receive([edited(1, text + "!", 5, **nasty)])
    assert await counted(database, "messages") == 1
    assert await counted(database, "quarantine") == 0


async def test_a_database_that_is_away_stores_nothing_and_says_so(database: Database, intake: Intake) -> None:
    await intake.receive([said(1)])
    async with database.connection() as c:
        own = await c.fetchval("select pg_backend_pid()")
        await c.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> $1",
            own,
        )
    unreachable = "postgres://nobody@127.0.0.1:9/nothing"
    async with Database.open(unreachable, connections=1) as gone:
        with pytest.raises(Away):
            await intake_on(gone).receive([said(2)])
        with pytest.raises(Away):
            await intake_on(gone).quarantine(Unreadable(channel="bot", reason="x", raw=b"x"))
    await intake.receive([said(2)])
    assert await texts(database) == ["text 1", "text 2"]


async def test_more_than_can_be_taken_is_sent_back_not_swallowed(
    database: Database, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inbox.intake.WAITING", 5)
    first = asyncio.create_task(intake.receive([said(number) for number in range(10)]))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await intake.receive([said(99)])
    await first
    await intake.receive([said(99)])
    assert await texts(database) == [*(f"text {number}" for number in range(10)), "text 99"]


async def test_a_request_that_is_given_up_is_stored_all_the_same(database: Database, intake: Intake) -> None:
    """The provider hung up before we answered; it will repeat it, and then it is a duplicate."""
    arriving = asyncio.create_task(intake.receive([said(1), said(2)]))
    await asyncio.sleep(0)
    arriving.cancel()
    await intake.close()
    assert await texts(database) == ["text 1", "text 2"]
    await intake.receive([said(1), said(2)])
    assert await texts(database) == ["text 1", "text 2"]
