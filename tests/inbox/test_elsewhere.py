"""What further channels tell: aliases of one person, messages unsent, answers given elsewhere, words that end it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from channels.message import (
    Address,
    AddressChanged,
    Attachment,
    Event,
    OptedIn,
    OptedOut,
    Proof,
    Receipt,
    Received,
    SentElsewhere,
    Status,
    Withdrawn,
)
from inbox.changes import Conversation, Decision, Put
from inbox.echoes import Echoes
from inbox.intake import Intake
from inbox.store import secrets
from inbox.store.database import Database
from inbox.store.work import Piece

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PHONE, USER_ID = Address(kind="phone", value="+905550001122"), Address(kind="whatsapp", value="TR.9f3a")


def follow_up(conversation: Conversation, *, lines: bool) -> Iterable[Put]:
    return [Put(kind="mirror" if lines else "card", key=str(conversation.id))]


@pytest.fixture
def intake(database: Database) -> Intake:
    return Intake(
        database,
        decide=lambda facts: Decision(),
        follow_up=follow_up,
        now=lambda: AT,
        live=["wa"],
        asked=["wa"],
    )


def said(id: str, sender: Address = PHONE, text: str = "", **more: Any) -> Received:
    proof = Proof.CARRIER if sender.kind == "phone" else Proof.PLATFORM
    return Received(
        **{
            "channel": "wa",
            "external_id": id,
            "sender": sender,
            "sent_at": AT,
            "text": text or f"text {id}",
            "proof": proof,
            "raw": b"{}",
            "retractable": True,
            **more,
        }
    )


async def rows(database: Database, query: str, *values: Any) -> list[tuple[Any, ...]]:
    async with database.connection() as c:
        return [tuple(row) for row in await c.fetch(query, *values)]


async def one(database: Database, query: str, *values: Any) -> Any:
    ((found,),) = await rows(database, query, *values)
    return found


# --- one person, several ids


async def test_a_number_that_comes_with_a_known_user_id_is_the_same_customer(
    database: Database, intake: Intake
) -> None:
    await intake.receive([said("1", USER_ID)])
    await intake.receive([said("2", PHONE, proofs=((USER_ID, Proof.PLATFORM),))])
    assert await one(database, "select count(*) from customers") == 1
    assert await rows(database, "select kind, value from addresses order by kind") == [
        ("phone", PHONE.value),
        ("whatsapp", USER_ID.value),
    ]


async def test_sms_and_whatsapp_of_one_number_are_one_conversation(database: Database, intake: Intake) -> None:
    await intake.receive([said("1"), said("SM1", channel="sms")])
    assert await one(database, "select count(*) from conversations") == 1
    assert await rows(database, "select channel from messages order by position") == [("wa",), ("sms",)]


async def test_a_claimed_alias_joins_nobody(database: Database, intake: Intake) -> None:
    await intake.receive([said("1", PHONE)])
    await intake.receive([said("2", Address(kind="visitor", value="x"), proofs=((PHONE, Proof.CLAIMED),))])
    assert await one(database, "select count(*) from customers") == 2


async def test_an_alias_of_two_customers_makes_neither_of_them_the_other(database: Database, intake: Intake) -> None:
    other = Address(kind="whatsapp", value="TR.other")
    await intake.receive([said("1", USER_ID), said("2", other)])
    await intake.receive([said("3", PHONE, proofs=((USER_ID, Proof.PLATFORM), (other, Proof.PLATFORM)))])
    assert await one(database, "select count(*) from customers") == 3


async def test_a_changed_number_stays_the_same_customer(database: Database, intake: Intake) -> None:
    new = Address(kind="phone", value="+905550009999")
    await intake.receive([said("1")])
    changed = AddressChanged(channel="wa", old=PHONE, new=new, at=AT)
    await intake.receive([changed])
    await intake.receive([changed, said("2", new)])
    assert await one(database, "select count(*) from customers") == 1
    assert await rows(database, "select notice ->> 'notice' from notices") == [("moved_on",)]


@pytest.mark.parametrize("keeps", [True, False], ids=["the old one stays theirs", "the old one may be anybody's"])
async def test_who_asked_for_no_more_is_left_alone_at_a_new_number(
    database: Database, intake: Intake, keeps: bool
) -> None:
    new = Address(kind="phone", value="+905550009999")
    await intake.receive([said("1")])
    await intake.receive([OptedOut(channel="sms", sender=PHONE, at=AT, why="STOP", lasting=True)])
    await intake.receive([OptedOut(channel="wa", sender=PHONE, at=AT, why="STOP")])
    await intake.receive([AddressChanged(channel="wa", old=PHONE, new=new, at=AT, keeps=keeps)])
    assert await rows(
        database,
        "select opted_out ? 'sms', silences -> 'wa' ->> 'word' from addresses where value = $1",
        new.value,
    ) == [(True, "STOP")]


async def test_a_number_that_is_somebody_else_s_by_now_joins_nobody(database: Database, intake: Intake) -> None:
    new = Address(kind="phone", value="+905550009999")
    await intake.receive([said("1"), said("2", new)])
    await intake.receive([AddressChanged(channel="wa", old=PHONE, new=new, at=AT)])
    assert await one(database, "select count(*) from customers") == 2
    assert await rows(database, "select notice ->> 'notice' from notices") == [("moved_onto",)]


async def test_late_messages_may_still_name_an_id_that_nobody_else_will_ever_have(
    database: Database, intake: Intake
) -> None:
    new = Address(kind="whatsapp", value="TR.new")
    await intake.receive([said("1", USER_ID)])
    await intake.receive([AddressChanged(channel="wa", old=USER_ID, new=new, at=AT, keeps=True)])
    assert (
        await one(database, "select a.value from conversations c join addresses a on a.id = c.address_id") == "TR.new"
    )
    await intake.receive([said("2", USER_ID), said("3", new)])
    assert await one(database, "select count(*) from customers") == 1


async def test_who_has_no_name_is_asked_for_once(database: Database, intake: Intake) -> None:
    await intake.receive([said("1", USER_ID), said("2", USER_ID), said("3", PHONE, sender_name="Ayşe")])
    assert await rows(database, "select key from work where kind = 'profile'") == [
        (f"wa/{await one(database, 'select id from addresses where value = $1', USER_ID.value)}",)
    ]


# --- unsent


def unsent(id: str, sender: Address = PHONE, *, erase: bool = True) -> Withdrawn:
    return Withdrawn(channel="wa", external_id=id, sender=sender, at=AT, erase=erase)


SECRET = "my card is 4242"


async def test_what_was_unsent_is_forgotten_everywhere(database: Database, intake: Intake) -> None:
    photo = Attachment(media_type="image/jpeg", filename="card.jpg", ref="x")
    await intake.receive([said("1", text=SECRET, attachments=(photo,), raw=SECRET.encode())])
    await intake.receive([said("2", text="see above", reply_to="1", quoted=SECRET)])
    await rows(database, "update attachments set state = 'kept', path = 'a/b'")
    await intake.receive([unsent("1")])
    dump = str(await rows(database, "select text, body, received, raw, subject from messages"))
    assert SECRET not in dump
    assert await rows(database, "select state, why, path, filename from attachments") == [
        ("failed", "withdrawn", "", "")
    ]
    assert await rows(database, "select key from work where kind = 'forget'") == [("a/b",)]
    assert ("revise", "wa:1") in await rows(database, "select kind, key from work")


async def test_what_was_unsent_before_it_came_is_never_stored(database: Database, intake: Intake) -> None:
    await intake.receive([unsent("1")])
    await intake.receive([said("1", text=SECRET, raw=SECRET.encode())])
    await intake.receive([said("1", text=SECRET, raw=SECRET.encode())])
    ((text, raw, withdrawn),) = await rows(database, "select text, raw, withdrawn_at from messages")
    assert (text, raw, withdrawn) == ("", None, AT)


async def test_what_was_only_withdrawn_keeps_its_words(database: Database, intake: Intake) -> None:
    await intake.receive([said("1", text="oops")])
    await intake.receive([unsent("1", erase=False)])
    assert await rows(database, "select text, withdrawn_at from messages where direction = 'in'") == [("oops", AT)]


# --- answered elsewhere


def echo(id: str = "m1", text: str = "Yes, today") -> SentElsewhere:
    return SentElsewhere(channel="wa", external_id=id, to=PHONE, at=AT, text=text, app="WhatsApp Business app")


async def settle(database: Database, since: datetime = AT) -> list[datetime | None]:
    """Let the work on echoes run."""
    handler = Echoes(database, follow_up=follow_up, now=lambda: AT)
    again = []
    for key, lease in await rows(database, "select key, gen_random_uuid() from work where kind = 'echo'"):
        piece = Piece(kind="echo", key=key, lane="", priority=2, generation=1, attempts=1, lease=lease, since=since)  # type: ignore[arg-type]
        again.append((await handler.run(piece)).again)
    return again


async def sending(
    database: Database, *, status: int = 0, external_id: str | None = None, text: str = "Yes, today"
) -> UUID:
    """A delivery of ours to the customer that is on its way, in doubt, or sent."""
    id = uuid4()
    await rows(
        database,
        """
        with said as (
            insert into messages (conversation_id, position, direction, channel, external_id, text, sent_at)
            select id, last_position + 1, 'out', 'slack', $5, $4, now() from conversations returning id, conversation_id
        ), moved as (update conversations set last_position = last_position + 1)
        insert into deliveries (id, message_id, conversation_id, address_id, channel, part, body, status, sending_at,
                                external_id)
        select $1, said.id, said.conversation_id, a.id, 'wa', 0, jsonb_build_object('text', $4::text), $2, now(), $3
        from said, addresses a where a.kind = 'phone'
        """,
        id,
        status,
        external_id,
        text,
        str(id),
    )
    return id


async def test_an_answer_given_elsewhere_is_shown_and_ends_the_wait(database: Database, intake: Intake) -> None:
    await intake.receive([said("1")])
    await intake.receive([echo(), echo()])
    assert await settle(database) == [None]
    await intake.receive([echo()])
    await settle(database)
    assert await rows(database, "select text, body ->> 'elsewhere' from messages where direction = 'out'") == [
        ("Yes, today", "WhatsApp Business app")
    ]
    assert await rows(database, "select state, waiting_since from conversations") == [("waiting", None)]
    assert await one(database, "select count(*) from deliveries") == 0, "it is never sent again"


async def test_an_echo_that_overtakes_our_own_send_is_not_shown(database: Database, intake: Intake) -> None:
    await intake.receive([said("1")])
    delivery = await sending(database)
    await intake.receive([echo()])
    (again,) = await settle(database)
    assert again is not None and again > AT, "our send may still turn out to be it"
    await rows(
        database, "update deliveries set status = 2, sending_at = null, external_id = 'm1' where id = $1", delivery
    )
    assert await settle(database) == [None]
    assert await one(database, "select count(*) from messages where direction = 'out'") == 1
    assert await one(database, "select count(*) from echoes") == 0


async def test_an_echo_settles_a_doubt_about_the_same_words(database: Database, intake: Intake) -> None:
    await intake.receive([said("1")])
    delivery = await sending(database, status=1)
    await intake.receive([echo()])
    await settle(database)
    assert await rows(database, "select id, status, external_id from deliveries") == [(delivery, 2, "m1")]
    assert await one(database, "select count(*) from messages where direction = 'out'") == 1


async def test_whom_the_shop_wrote_to_first_becomes_a_customer(database: Database, intake: Intake) -> None:
    await intake.receive([echo(text="Your parcel is ready")])
    await settle(database)
    assert (
        await one(database, "select a.value from customers c join addresses a on a.customer_id = c.id") == PHONE.value
    )
    assert await rows(database, "select direction, text from messages") == [("out", "Your parcel is ready")]


async def test_what_they_wrote_since_still_waits(database: Database, intake: Intake) -> None:
    await intake.receive([echo()])
    await intake.receive([said("1", sent_at=AT + timedelta(seconds=2))])
    await settle(database)
    assert await one(database, "select waiting_since from conversations") == AT + timedelta(seconds=2)


# --- receipts by our own id


async def test_a_receipt_by_our_own_id_settles_a_doubt(database: Database, intake: Intake) -> None:
    await intake.receive([said("1")])
    delivery = await sending(database, status=1)
    await intake.receive([Receipt(channel="wa", status=Status.DELIVERED, at=AT, external_id="SM9", delivery=delivery)])
    assert await rows(database, "select status, external_id, sending_at from deliveries") == [(3, "SM9", None)]


async def test_a_receipt_with_an_id_that_another_delivery_has_takes_it_from_nobody(
    database: Database, intake: Intake
) -> None:
    await intake.receive([said("1")])
    first, second = await sending(database, status=2, external_id="SM1"), await sending(database, status=1)
    await intake.receive([Receipt(channel="wa", status=Status.SENT, at=AT, external_id="SM1", delivery=second)])
    assert set(await rows(database, "select id, external_id from deliveries")) == {(first, "SM1"), (second, None)}


# --- words that end it


async def silenced(database: Database) -> tuple[bool, bool]:
    """Whether nothing may be sent now, and whether that lasts."""
    sql = "select silences ? 'wa' or opted_out ? 'wa', opted_out ? 'wa' from addresses"
    ((silent, lasting),) = await rows(database, sql)
    return bool(silent), bool(lasting)


@pytest.mark.parametrize(
    ("lasting", "after"),
    [(True, (True, True)), (False, (False, False))],
    ids=["SMS: until START", "WhatsApp: until they write"],
)
async def test_how_long_stop_lasts(database: Database, intake: Intake, lasting: bool, after: tuple[bool, bool]) -> None:
    stop: Event = OptedOut(channel="wa", sender=PHONE, at=AT, why="DUR", lasting=lasting)
    await intake.receive([said("1")])
    await intake.receive([stop])
    assert (await silenced(database))[0]
    await intake.receive([said("2", text="where is it?")])
    assert await silenced(database) == after
    await intake.receive([OptedIn(channel="wa", sender=PHONE, at=AT + timedelta(seconds=9))])
    assert await silenced(database) == (False, False)


# --- secrets


async def test_a_secret_is_made_once_and_by_name(database: Database) -> None:
    async with database.connection() as c:
        first, again, other = [await secrets.secret(c, name) for name in ("links", "links", "visitors")]
    assert first == again != other
    assert len(first) == secrets.BYTES
