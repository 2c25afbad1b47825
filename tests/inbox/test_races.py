"""What comes at the same moment or in an unlucky order: batches, races at addresses, words that must not return."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from channels.errors import Refused
from channels.line import Line
from channels.message import (
    Address,
    AddressChanged,
    Attachment,
    Edited,
    Event,
    OptedIn,
    OptedOut,
    Proof,
    Receipt,
    Span,
    SpanKind,
    Status,
)
from inbox.changes import Decision
from inbox.files import Files
from inbox.intake import Intake
from inbox.media import Media
from inbox.store import arrivals, deliveries, messages, places, receipts, slack
from inbox.store.database import Connection, Database
from inbox.store.work import Piece
from tests.inbox.test_elsewhere import (
    AT,
    PHONE,
    SECRET,
    USER_ID,
    echo,
    follow_up,
    intake,
    one,
    rows,
    said,
    sending,
    settle,
    unsent,
)
from tests.providers import INSTAGRAM
from tests.scenarios.desk import query, say, thread_shows
from tests.scenarios.meta import meta, person, quiet
from tests.world import MEHMET, SUPPORT, World, eventually

__all__ = ["intake"]
NEW = Address(kind="phone", value="+905550009999")


def another(database: Database) -> Intake:
    """The intake of a second process."""
    return Intake(database, decide=lambda facts: Decision(), follow_up=follow_up, now=lambda: AT)


async def waiting(watching: Connection, count: int, doing: asyncio.Task[Any]) -> None:
    """Until so many sessions wait for a lock, or it is done."""
    sql = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    while not doing.done() and await watching.fetchval(sql) < count:
        await asyncio.sleep(0)


def edited(id: str, text: str) -> Edited:
    return Edited(message=said(id, text=text, raw=text.encode()), edited_at=AT + timedelta(seconds=1))


async def words(database: Database) -> str:
    return str(await rows(database, "select text, body, received, convert_from(raw, 'utf8') from messages"))


# --- erased words


async def test_a_late_edit_does_not_bring_back_what_was_unsent(database: Database, intake: Intake) -> None:
    await intake.receive([said("1", text=SECRET)])
    await intake.receive([unsent("1")])
    await intake.receive([edited("1", SECRET + "!")])
    assert SECRET not in await words(database)


async def test_an_edit_that_comes_first_of_all_does_not_bring_back_what_was_unsent(
    database: Database, intake: Intake
) -> None:
    await intake.receive([unsent("1")])
    await intake.receive([edited("1", SECRET)])
    assert SECRET not in await words(database)


async def test_a_file_that_was_unsent_while_it_was_fetched_is_not_kept(
    database: Database, intake: Intake, tmp_path: Path
) -> None:
    photo = Attachment(media_type="image/jpeg", filename="card.jpg", ref="x")
    await intake.receive([said("1", text="my card", attachments=(photo,))])

    class Source:
        async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
            await intake.receive([unsent("1")])
            yield b"the card"

    files = Files.in_folder(tmp_path)
    media = Media(database, files, {"wa": Source()}, follow_up=follow_up, now=lambda: AT)
    id = await one(database, "select id from attachments")
    await media.run(
        Piece(kind="media", key=str(id), lane="", priority=2, generation=1, attempts=1, lease=uuid4(), since=AT)  # type: ignore[arg-type]
    )
    assert await rows(database, "select state, path from attachments") == [("failed", "")]
    assert await one(database, "select count(*) from work where kind = 'forget'") == 1


# --- order inside one commit


async def test_who_says_stop_a_second_time_stays_silenced(database: Database, intake: Intake) -> None:
    def stop(id: str, seconds: int) -> list[Event]:
        at = AT + timedelta(seconds=seconds)
        return [said(id, text="STOP", sent_at=at), OptedOut(channel="wa", sender=PHONE, at=at, why="STOP")]

    await intake.receive(stop("1", 0))
    assert await one(database, "select silences ? 'wa' from addresses")
    await intake.receive(stop("2", 9))
    assert await one(database, "select silences ? 'wa' from addresses")


async def test_a_stop_that_is_told_twice_counts_once(database: Database, intake: Intake) -> None:
    stop = OptedOut(channel="wa", sender=PHONE, at=AT, why="STOP")
    await intake.receive([said("1", text="STOP"), stop])
    await intake.receive([said("2", text="where is my parcel?", sent_at=AT + timedelta(hours=1))])
    await intake.receive([said("1", text="STOP"), stop])
    assert not await one(database, "select silences ? 'wa' from addresses")


async def test_a_start_that_is_told_twice_does_not_end_a_later_stop(database: Database, intake: Intake) -> None:
    start = OptedIn(channel="sms", sender=PHONE, at=AT)
    stop = OptedOut(channel="sms", sender=PHONE, at=AT + timedelta(hours=1), why="STOP", lasting=True)
    await intake.receive([said("1", channel="sms")])
    for event in (start, stop, start):
        await intake.receive([event])
    assert await one(database, "select opted_out ? 'sms' from addresses")


async def test_a_stop_on_whatsapp_does_not_shorten_one_by_sms(database: Database, intake: Intake) -> None:
    await intake.receive([said("1", channel="sms")])
    await intake.receive([OptedOut(channel="sms", sender=PHONE, at=AT, why="STOP", lasting=True)])
    await intake.receive([OptedOut(channel="wa", sender=PHONE, at=AT + timedelta(hours=1), why="STOP")])
    assert await one(database, "select opted_out from addresses")


async def test_who_writes_after_stop_in_one_batch_is_heard(database: Database, intake: Intake) -> None:
    later = AT + timedelta(seconds=9)
    await intake.receive(
        [
            said("1", text="STOP"),
            OptedOut(channel="wa", sender=PHONE, at=AT, why="STOP"),
            said("2", text="where is my parcel?", sent_at=later),
        ]
    )
    assert not await one(database, "select silences ? 'wa' from addresses")


async def test_who_said_stop_by_sms_and_writes_elsewhere_can_be_answered_there(
    database: Database, intake: Intake
) -> None:
    await intake.receive([said("1", channel="sms")])
    await intake.receive([OptedOut(channel="sms", sender=PHONE, at=AT, why="STOP", lasting=True)])
    await intake.receive([said("2", channel="wa", text="where is my parcel?", sent_at=AT + timedelta(seconds=9))])
    async with database.connection() as c:
        target = await deliveries.target(c, await one(database, "select id from conversations"))
    assert target is not None and (target.channel, target.silenced) == ("wa", False)


async def test_a_number_that_changes_and_writes_in_one_batch_is_one_customer(
    database: Database, intake: Intake
) -> None:
    await intake.receive([said("1")])
    await intake.receive([AddressChanged(channel="wa", old=PHONE, new=NEW, at=AT), said("2", NEW)], line="one")
    assert await one(database, "select count(*) from customers") == 1


async def test_an_id_that_changes_right_after_a_message_is_answered_at_the_new_one(
    database: Database, intake: Intake
) -> None:
    new = Address(kind="whatsapp", value="TR.new")
    await intake.receive([said("0", USER_ID)])
    await intake.receive(
        [said("1", USER_ID), AddressChanged(channel="wa", old=USER_ID, new=new, at=AT, keeps=True)], line="one"
    )
    found = "select a.value from conversations c join addresses a on a.id = c.address_id"
    assert await one(database, found) == "TR.new"


async def test_a_change_of_number_that_is_told_twice_counts_once(database: Database, intake: Intake) -> None:
    """They went back to the old number meanwhile."""
    there, back = (AddressChanged(channel="wa", old=o, new=n, at=AT) for o, n in ((PHONE, NEW), (NEW, PHONE)))
    await intake.receive([said("1")])
    for event in (there, replace(back, at=AT + timedelta(days=1)), there):
        await intake.receive([event])
    assert await one(database, "select value from addresses") == PHONE.value


# --- races


async def test_a_failure_that_comes_with_a_message_locks_in_order(database: Database, intake: Intake) -> None:
    """The message is in a later conversation than the delivery that failed."""
    await intake.receive([said("1", PHONE)])
    await sending(database, status=2, external_id="d1")
    await intake.receive([said("2", USER_ID)])
    failed = Receipt(channel="wa", external_id="d1", status=Status.FAILED, at=AT)
    async with database.transaction() as c, database.connection() as watching:
        await c.execute("set local deadlock_timeout = '20ms'")
        await arrivals.find(c, [("phone", PHONE.value)])
        receiving = asyncio.create_task(intake.receive([said("3", USER_ID), failed], line="one"))
        await waiting(watching, 1, receiving)
        await arrivals.find(c, [("whatsapp", USER_ID.value)])
    await receiving


async def test_a_number_that_changes_while_its_first_message_is_stored_is_not_lost(
    database: Database, intake: Intake
) -> None:
    """The first message from the new number is in another transaction that commits just then."""
    await intake.receive([said("1")])
    async with database.transaction() as c:
        await c.execute(
            """
            with made as (insert into customers default values returning id),
                 spoken as (insert into conversations (customer_id) select id from made)
            insert into addresses (customer_id, kind, value, proof) select id, 'phone', $1, 1 from made
            """,
            NEW.value,
        )
        changing = asyncio.create_task(intake.receive([AddressChanged(channel="wa", old=PHONE, new=NEW, at=AT)]))
        async with database.connection() as watching:
            await waiting(watching, 1, changing)
    await changing
    assert await rows(database, "select reason, detail from quarantine") == []
    assert await rows(database, "select notice ->> 'notice' from notices") == [("moved_onto",)]


async def test_a_receipt_that_comes_while_its_send_is_written_counts(database: Database, intake: Intake) -> None:
    await intake.receive([said("1")])
    delivery = await sending(database)
    failed = Receipt(channel="wa", status=Status.FAILED, at=AT, external_id="m1", code="131026")
    async with database.transaction() as hook:
        async with database.transaction() as sender, database.connection() as watching:
            await deliveries.settle(sender, delivery, Status.SENT, external_id="m1")
            receiving = asyncio.create_task(receipts.receive(hook, failed))
            await waiting(watching, 1, receiving)
        await receiving
    assert await rows(database, "select status, code from deliveries") == [(9, "131026")]


# --- echoes


async def test_an_echo_without_words_settles_no_doubt_about_a_file(database: Database, intake: Intake) -> None:
    await intake.receive([said("1")])
    delivery = await sending(database, status=1, text="")
    await intake.receive([echo(text="")])
    await settle(database)
    assert await rows(database, "select id, status from deliveries") == [(delivery, 1)]


async def test_an_echo_of_what_a_person_said_to_have_arrived_is_not_shown_again(
    database: Database, intake: Intake
) -> None:
    await intake.receive([said("1")])
    delivery = await sending(database, status=1)
    async with database.connection() as c:
        assert await deliveries.decide_doubt(c, delivery, arrived=True)
    await intake.receive([echo()])
    await settle(database)
    assert await one(database, "select count(*) from messages where direction = 'out'") == 1


async def test_an_answer_given_elsewhere_keeps_its_form(database: Database, intake: Intake) -> None:
    bold = Span(kind=SpanKind.BOLD, start=0, end=3)
    await intake.receive([said("1"), replace(echo(), spans=(bold,), raw=b"{}")])
    await settle(database)
    ((form, raw),) = await rows(database, "select body -> 'spans', raw from messages where direction = 'out'")
    assert (form, raw) == (messages.spans_json((bold,)), b"{}")


# --- privacy


async def test_a_claimed_alias_takes_nobody_s_later_messages(database: Database, intake: Intake) -> None:
    liar = Address(kind="visitor", value="x")
    await intake.receive([said("1", liar, proofs=((PHONE, Proof.CLAIMED),))])
    await intake.receive([said("2", PHONE)])
    assert await one(database, "select count(*) from customers") == 2


async def test_one_person_known_as_two_customers_is_told_to_somebody(database: Database, intake: Intake) -> None:
    await intake.receive([said("1", PHONE, channel="sms"), said("2", USER_ID)])
    await intake.receive([said("3", PHONE, proofs=((USER_ID, Proof.PLATFORM),))])
    assert await one(database, "select count(*) from customers") == 2
    assert await one(database, "select count(*) from notices") == 1


async def test_two_accounts_that_used_one_browser_are_two_customers(database: Database, intake: Intake) -> None:
    browser = Address(kind="visitor", value="b")
    for number, account in enumerate(["chat:ada", "chat:bob"]):
        await intake.receive(
            [
                said(
                    str(number),
                    Address(kind="account", value=account),
                    proof=Proof.VERIFIED,
                    proofs=((browser, Proof.PLATFORM),),
                )
            ]
        )
    assert await one(database, "select count(*) from customers") == 2


async def test_what_is_unsent_while_it_is_being_stored_is_forgotten(database: Database, intake: Intake) -> None:
    """One process stores the message while another is told that it was taken back."""
    other = another(database)
    await intake.receive([said("1")])
    async with database.transaction() as holding, database.connection() as watching:
        await holding.execute("select from work where kind = 'mirror' for update")  # what the first will need last
        storing = asyncio.create_task(intake.receive([said("2", text=SECRET, raw=SECRET.encode())]))
        await waiting(watching, 1, storing)
        forgetting = asyncio.create_task(other.receive([unsent("2")]))
        await waiting(watching, 2, forgetting)
    await asyncio.gather(storing, forgetting)
    assert SECRET not in await words(database)


async def test_a_withdrawal_locks_in_the_order_everybody_does(database: Database, intake: Intake) -> None:
    await intake.receive([said("1")])
    async with database.transaction() as c, database.connection() as watching:
        await c.execute("set local deadlock_timeout = '20ms'")
        await arrivals.find(c, [("phone", PHONE.value)])
        forgetting = asyncio.create_task(intake.receive([unsent("1")]))
        await waiting(watching, 1, forgetting)
        await c.execute("update messages set marks = '{}' where external_id = '1'")
    await forgetting


async def test_what_was_unsent_stands_in_no_table(world: World) -> None:
    await world.add_channels("instagram")
    await world.start()
    person(world, "ayse")
    await meta(world).say("ayse", INSTAGRAM, "Merhaba")
    card = await world.card_with("Merhaba")
    id = await meta(world).say("ayse", INSTAGRAM, SECRET)
    await thread_shows(world, card["ts"], SECRET)
    await meta(world).unsend("ayse", INSTAGRAM, id)
    await thread_shows(world, card["ts"], say("line.erased"))
    await quiet(world)
    assert await standing(world, SECRET) == []


async def test_what_stood_in_a_post_that_somebody_deleted_stands_in_no_table(world: World) -> None:
    await world.add_channels("instagram")
    await world.start()
    person(world, "ayse")
    id = await meta(world).say("ayse", INSTAGRAM, SECRET)
    card = await world.card_with(SECRET)
    await world.slack.delete(MEHMET, SUPPORT, card["ts"])
    await eventually(lambda: query(world, "select from slack_events where outcome = 'root_gone'"))
    await meta(world).unsend("ayse", INSTAGRAM, id)
    await eventually(lambda: query(world, "select from messages where body ? 'erased'"))
    await quiet(world)
    assert await standing(world, SECRET) == []


async def standing(world: World, words: str) -> list[str]:
    """The tables in which words still stand, in whatever column."""
    tables = await query(world, "select tablename as name from pg_tables where schemaname = 'public'")
    hexed = words.encode().hex()
    found = []
    for table in tables:
        sql = f'select count(*) as n from "{table["name"]}" t where strpos(t::text, $1) > 0 or strpos(t::text, $2) > 0'
        if (await query(world, sql, words, hexed))[0]["n"]:
            found.append(table["name"])
    return sorted(found)


# --- the line


@pytest.mark.parametrize("host", ["127.0.0.1", "１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1"])
async def test_no_spelling_of_a_private_address_is_connected_to(host: str) -> None:
    called = []

    async def listening(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.append(host)
        writer.close()

    server = await asyncio.start_server(listening, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = Line("Acme", "https://api.acme.example")
    with pytest.raises(Refused):
        async for _ in line.fetch(f"https://{host}:{port}/card.jpg", at_most=1000):
            pass
    await line.close()
    server.close()
    assert called == []


# --- windows


async def test_a_late_message_does_not_close_the_window_that_a_newer_one_opened(
    database: Database, intake: Intake
) -> None:
    await intake.receive([said("2", text="are you there?", sent_at=AT)])
    await intake.receive([said("1", text="hello", sent_at=AT - timedelta(hours=25))])
    async with database.connection() as c:
        conversation, address = (
            await one(database, "select id from conversations"),
            await one(database, "select id from addresses"),
        )
        assert await deliveries.heard_at(c, conversation, "wa", address) == AT
        (way,) = await places.reached(c, conversation)
        head = await slack.head(c, conversation)
        assert head is not None and head.heard_at == way.heard_at == AT
