"""Whose conversation a message belongs to: what is proven joins, what is only said stays apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from channels.message import COMPLAINT, REFUSED, Address, Automated, Proof, Receipt, Received, Status
from inbox.changes import Decision
from inbox.identity import Settled, decide
from inbox.intake import Intake
from inbox.store import deliveries, replies
from inbox.store.database import Database
from inbox.store.deliveries import Target
from inbox.store.identity import Owner, Referred

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
AYSE = Address(kind="email", value="ayse@ornek.com.tr")
SAID = Address(kind="email-claimed", value="ayse@ornek.com.tr")
FRIEND = Address(kind="email", value="deniz@ornek.com.tr")


def mail(
    id: str,
    *,
    sender: Address = AYSE,
    twin: Address | None = None,
    proof: Proof = Proof.AUTHENTICATED,
    answers: tuple[UUID, ...] = (),
    refers_to: tuple[str, ...] = (),
    channel: str = "mail",
    once: str = "",
    name: str = "Ayşe",
) -> Received:
    return Received(
        channel=channel,
        external_id=id,
        sender=sender,
        twin=twin or Address(kind="email-claimed" if sender.kind == "email" else "email", value=sender.value),
        sender_name=name,
        sent_at=AT,
        text=f"text of {id}",
        proof=proof,
        why="told so",
        answers=answers,
        refers_to=refers_to,
        names=(f"<{id}@ornek.com.tr>",),
        once=once or id,
    )


def unproven(id: str, *, answers: tuple[UUID, ...] = (), refers_to: tuple[str, ...] = ()) -> Received:
    return mail(id, sender=SAID, proof=Proof.CLAIMED, answers=answers, refers_to=refers_to)


HERE = Referred(conversation_id=7, customer_id=1, sent_to=("email", AYSE.value))
PROVEN = {("email", AYSE.value): Owner(customer_id=1, spoke=True)}


@pytest.mark.parametrize(
    ("message", "where", "owners", "filed"),
    [
        pytest.param(mail("a"), HERE, PROVEN, Settled(message=mail("a")), id="their own conversation"),
        pytest.param(
            unproven("a"), HERE, PROVEN, Settled(message=replace(unproven("a"), sender=AYSE, twin=None)),
            id="unproven, but it answers what we sent to that very address",
        ),
        pytest.param(
            unproven("a"), replace(HERE, sent_to=None), PROVEN, Settled(message=unproven("a")),
            id="unproven, and it only names a mail that others have seen as well",
        ),
        pytest.param(
            mail("a"), replace(HERE, sent_to=("email-claimed", AYSE.value)),
            {("email-claimed", AYSE.value): Owner(customer_id=1, spoke=True)}, Settled(message=mail("a"), proves=SAID),
            id="a reply proves the address that only said who it was",
        ),
        pytest.param(
            mail("a", sender=FRIEND), HERE, PROVEN, Settled(message=mail("a", sender=FRIEND), conversation_id=7),
            id="a friend to whom our mail was forwarded is a bystander",
        ),
        pytest.param(
            mail("a", sender=FRIEND), HERE, {**PROVEN, ("email", FRIEND.value): Owner(customer_id=2, spoke=True)},
            Settled(message=mail("a", sender=FRIEND)), id="a customer who answers another's mail stays themselves",
        ),
    ],
)  # fmt: skip
def test_a_message_that_refers_to_a_conversation_is_filed(
    message: Received, where: Referred, owners: dict[tuple[str, str], Owner], filed: Settled
) -> None:
    assert decide(message, where, owners) == filed


@pytest.fixture
def intake(database: Database) -> Intake:
    return Intake(database, decide=lambda facts: Decision(), follow_up=lambda *_, lines: [], now=lambda: AT)


async def conversations(database: Database) -> dict[int, list[str]]:
    """What stands in each conversation that has anything, in order."""
    async with database.connection() as c:
        rows = await c.fetch("select conversation_id, external_id from messages order by conversation_id, position")
    found: dict[int, list[str]] = {}
    for row in rows:
        found.setdefault(row["conversation_id"], []).append(row["external_id"])
    return found


async def answer(database: Database, conversation_id: int) -> UUID:
    """Send something to whom this conversation is with, as if it had left."""
    id = uuid4()
    async with database.transaction() as c:
        target = await deliveries.target(c, conversation_id)
        assert isinstance(target, Target)
        position = await c.fetchval(
            "update conversations set last_position = last_position + 1 where id = $1 returning last_position",
            conversation_id,
        )
        message_id = await replies.insert_message(
            c, conversation_id=conversation_id, position=position, direction="out", channel="slack", external_id=id.hex,
            address_id=None, author="U1", author_name="Ada", text="answer", body={}, at=AT,
        )  # fmt: skip
        assert message_id is not None
        await replies.insert_delivery(
            c, id=id, message_id=message_id, conversation_id=conversation_id, target=target, part=0, body={},
            attachment_id=None, due_at=AT,
        )  # fmt: skip
        await deliveries.settle(c, id, Status.SENT, external_id=f"<{id.hex}@shop.example>")
    return id


async def test_an_unproven_mail_in_a_known_name_stays_apart(database: Database, intake: Intake) -> None:
    await intake.receive([mail("true")])
    await intake.receive([unproven("forged")])
    assert sorted(conversations_ := (await conversations(database)).values()) == [["forged"], ["true"]], conversations_


async def test_an_unproven_answer_to_our_mail_comes_to_its_conversation_and_proves_nothing(
    database: Database, intake: Intake
) -> None:
    await intake.receive([mail("true")])
    (conversation_id,) = await conversations(database)
    sent = await answer(database, conversation_id)
    await intake.receive([unproven("reply", answers=(sent,))])
    await intake.receive([unproven("next")])
    found = await conversations(database)
    assert [one for one in found[conversation_id] if one != sent.hex] == ["true", "reply"]
    assert ["next"] in found.values(), "what answers nothing of ours is apart again"
    async with database.connection() as c:
        assert await c.fetchval("select body ->> 'proof' from messages where external_id = 'reply'") == "0"


async def test_an_answer_proves_an_address_that_only_said_who_it_was(database: Database, intake: Intake) -> None:
    await intake.receive([unproven("first")])
    (conversation_id,) = await conversations(database)
    sent = await answer(database, conversation_id)
    await intake.receive([mail("reply", answers=(sent,))])
    await intake.receive([mail("later")])
    assert list(await conversations(database)) == [conversation_id]
    async with database.connection() as c:
        row = await c.fetchrow("select kind, proof from addresses where value = $1", AYSE.value)
    assert (row["kind"], row["proof"]) == ("email", Proof.AUTHENTICATED)


async def test_a_bystander_is_shown_and_changes_nothing(database: Database, intake: Intake) -> None:
    await intake.receive([mail("true")])
    (conversation_id,) = await conversations(database)
    sent = await answer(database, conversation_id)
    await intake.receive([mail("aside", sender=FRIEND, answers=(sent,), name="Deniz")])
    found = await conversations(database)
    assert list(found) == [conversation_id]
    async with database.connection() as c:
        target = await deliveries.target(c, conversation_id)
        name = await c.fetchval(
            "select p.name from customers p join conversations c on c.customer_id = p.id where c.id = $1",
            conversation_id,
        )
        marked = await c.fetchval("select body -> 'participant' from messages where external_id = 'aside'")
    assert target is not None
    assert target.address == AYSE, "an answer goes to the customer, not to whoever spoke last"
    assert (name, marked) == ("Ayşe", True)


async def test_one_mail_to_two_mailboxes_is_one_message(database: Database, intake: Intake) -> None:
    await intake.receive([mail("1", channel="support", once="same"), mail("1", channel="sales", once="same")])
    await intake.receive([mail("2", channel="sales", once="same"), mail("3", channel="sales", once="other")])
    assert list((await conversations(database)).values()) == [["1", "3"]]
    async with database.connection() as c:
        assert await c.fetchval("select body -> 'also' from messages where external_id = '1'") == ["sales"]


async def test_the_same_letter_read_again_is_stored_once(database: Database, intake: Intake) -> None:
    for _ in range(3):
        await intake.receive([mail("1", once="same")])
    assert list((await conversations(database)).values()) == [["1"]]


async def test_a_reply_refers_by_its_senders_own_ids_too(database: Database, intake: Intake) -> None:
    await intake.receive([mail("1")])
    await intake.receive([mail("2", sender=FRIEND, refers_to=("<1@ornek.com.tr>",), name="Deniz")])
    assert list((await conversations(database)).values()) == [["1", "2"]]


def automated(
    id: str, *, answers: tuple[UUID, ...] = (), sender: Address = AYSE, what: str = "auto_reply"
) -> Automated:
    return Automated(
        channel="mail", external_id=id, sender=AYSE, what=what, at=AT, text="Bin im Urlaub.", answers=answers, once=id
    )


async def test_a_vacation_note_is_a_line_where_it_belongs_and_wakes_nobody(database: Database, intake: Intake) -> None:
    await intake.receive([mail("1")])
    (conversation_id,) = await conversations(database)
    async with database.connection() as c:
        await c.execute("update conversations set state = 'resolved', waiting_since = null")
    await intake.receive([automated("note")])
    async with database.connection() as c:
        row = await c.fetchrow("select state, waiting_since from conversations where id = $1", conversation_id)
        event = await c.fetchrow("select direction, body from messages where external_id = 'note'")
    assert (row["state"], row["waiting_since"]) == ("resolved", None)
    assert (event["direction"], event["body"]["event"]) == ("event", "auto_reply")


async def test_a_mail_that_its_domain_disowns_shows_nowhere(database: Database, intake: Intake) -> None:
    await intake.receive([mail("1")])
    (conversation_id,) = await conversations(database)
    sent = await answer(database, conversation_id)
    await intake.receive([automated("forged", what=REFUSED, answers=(sent,))])
    async with database.connection() as c:
        assert await c.fetchval("select count(*) from messages where external_id = 'forged'") == 0


async def test_a_machine_nobody_knows_opens_no_conversation(database: Database, intake: Intake) -> None:
    await intake.receive([automated("news", what="list")])
    assert await conversations(database) == {}
    async with database.connection() as c:
        assert await c.fetchval("select count(*) from customers") == 0


def receipt(*, status: Status = Status.FAILED, delivery: UUID | None = None, unreachable: bool = False) -> Receipt:
    return Receipt(
        channel="mail", status=status, at=AT, delivery=delivery, recipient=None if delivery else AYSE,
        code="unreachable" if unreachable else "refused", detail="550 5.1.1 no such user", unreachable=unreachable,
    )  # fmt: skip


async def test_a_bounce_tells_the_agent_once_and_silences_a_dead_address(database: Database, intake: Intake) -> None:
    await intake.receive([mail("1")])
    (conversation_id,) = await conversations(database)
    sent = await answer(database, conversation_id)
    for _ in range(2):
        await intake.receive([receipt(delivery=sent, unreachable=True)])
    async with database.connection() as c:
        notices = await c.fetch("select notice from notices where conversation_id = $1", conversation_id)
        status = await c.fetchval("select status from deliveries where id = $1", sent)
        silenced = await c.fetchval("select silenced_at is not null from addresses where value = $1", AYSE.value)
    assert [row["notice"]["code"] for row in notices] == ["unreachable"]
    assert (status, silenced) == (Status.FAILED, True)


async def test_a_bounce_that_names_only_its_recipient_is_about_the_last_mail_sent_there(
    database: Database, intake: Intake
) -> None:
    await intake.receive([mail("1")])
    (conversation_id,) = await conversations(database)
    first = await answer(database, conversation_id)
    second = await answer(database, conversation_id)
    async with database.connection() as c:
        await c.execute("update deliveries set created_at = created_at - interval '1 hour' where id = $1", first)
    await intake.receive([receipt()])
    async with database.connection() as c:
        failed = await c.fetch("select id from deliveries where status = 9")
    assert [row["id"] for row in failed] == [second]


async def silenced(database: Database) -> bool:
    async with database.connection() as c:
        return bool(await c.fetchval("select silenced_at is not null from addresses where value = $1", AYSE.value))


async def test_a_complaint_about_our_mail_stops_all_mail_to_that_address(database: Database, intake: Intake) -> None:
    await intake.receive([mail("1")])
    (conversation_id,) = await conversations(database)
    sent = await answer(database, conversation_id)
    await intake.receive([automated("report", what=COMPLAINT, answers=(sent,))])
    assert await silenced(database)


async def test_nobody_can_silence_a_customer_by_inventing_a_report(database: Database, intake: Intake) -> None:
    await intake.receive([mail("1")])
    (conversation_id,) = await conversations(database)
    await answer(database, conversation_id)
    await intake.receive([automated("report", what=COMPLAINT)])
    await intake.receive([receipt(unreachable=True)])  # it names the address alone
    assert not await silenced(database)


async def test_a_bounce_of_another_recipient_silences_nobody_else(database: Database, intake: Intake) -> None:
    await intake.receive([mail("1")])
    (conversation_id,) = await conversations(database)
    sent = await answer(database, conversation_id)
    await intake.receive([replace(receipt(delivery=sent, unreachable=True), recipient=FRIEND)])
    assert not await silenced(database), "a forwarding of theirs failed, not their own mailbox"


async def test_a_bounce_that_overtakes_the_return_of_its_send_keeps_its_reason(
    database: Database, intake: Intake
) -> None:
    await intake.receive([mail("1")])
    (conversation_id,) = await conversations(database)
    sent = await answer(database, conversation_id)
    async with database.connection() as c:
        await c.execute("update deliveries set status = 0, sending_at = now() where id = $1", sent)
    await intake.receive([receipt(delivery=sent, unreachable=True)])
    async with database.transaction() as c:
        await deliveries.settle(c, sent, Status.SENT, external_id="<id@shop.example>")
        row = await c.fetchrow("select status, code, detail from deliveries where id = $1", sent)
    assert (row["status"], row["code"], row["detail"]) == (9, "unreachable", "550 5.1.1 no such user")
