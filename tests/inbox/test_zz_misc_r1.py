from tests.inbox.test_elsewhere import *
from tests.inbox.test_elsewhere import intake
import asyncio, time
from uuid import uuid4
from inbox.store import arrivals, chat, deliveries as dl, receipts as rc
from channels.message import *

async def test_q_touched_order(database, intake):
    """a late failure of a delivery in conversation 1 in the group of a message for conversation 2, against the opposite"""
    other = Address(kind="whatsapp", value="TR.other")
    await intake.receive([said("1", PHONE)]); await intake.receive([said("2", other)])
    async with database.connection() as c:
        for id, ext in ((1, "d1"), (2, "d2")):
            m = await c.fetchval("insert into messages (conversation_id, position, direction, channel, text, sent_at) values ($1, 50, 'out', 'slack', 'x', now()) returning id", id)
            await c.execute("insert into deliveries (id, message_id, conversation_id, address_id, channel, part, body, status, external_id) values (gen_random_uuid(), $1, $2, $2, 'wa', 0, '{}', 2, $3)", m, id, ext)
    a = Intake(database, decide=lambda f: Decision(), follow_up=follow_up, now=lambda: AT)
    b = Intake(database, decide=lambda f: Decision(), follow_up=follow_up, now=lambda: AT)
    t0 = time.monotonic()
    n = 0
    for i in range(10):
        async with database.connection() as c:
            await c.execute("update deliveries set status = 2; delete from notices")
        await asyncio.gather(
            a.receive([said(f"a{i}", other), Receipt(channel="wa", external_id="d1", status=Status.FAILED, at=AT)], line="x"),
            b.receive([said(f"b{i}", PHONE), Receipt(channel="wa", external_id="d2", status=Status.FAILED, at=AT)], line="x"))
    print("\nTOUCHED 10 rounds took", round(time.monotonic() - t0, 1))

async def test_q_hidden_stop(database, intake):
    # phone says STOP on WhatsApp (address phone), then hides the number and writes as user id
    await intake.receive([said("1", PHONE, proofs=((USER_ID, Proof.PLATFORM),))])
    await intake.receive([OptedOut(channel="wa", sender=PHONE, at=AT, why="STOP")])
    await intake.receive([said("2", USER_ID, sent_at=AT + timedelta(seconds=5))])
    print("\nHIDDEN", await rows(database, "select kind, silenced_at is not null from addresses"))

async def test_q_moved_to_third(database, intake):
    # MOVE when the deliveries queue to the old address is in process; old number written by the old owner's late message
    new = Address(kind="phone", value="+905550009999")
    await intake.receive([said("1")])
    await intake.receive([AddressChanged(channel="wa", old=PHONE, new=new, at=AT)])
    await intake.receive([said("late", PHONE, sent_at=AT - timedelta(seconds=30))])
    print("\nLATE message from before the change: customers", await one(database, "select count(*) from customers"))

async def test_q_out_of_order_move(database, intake):
    # chain: A->B, B->C redelivered A->B later
    B = Address(kind="phone", value="+905550009999"); C = Address(kind="phone", value="+905550008888")
    await intake.receive([said("1")])
    ab = AddressChanged(channel="wa", old=PHONE, new=B, at=AT)
    await intake.receive([ab]); await intake.receive([AddressChanged(channel="wa", old=B, new=C, at=AT + timedelta(days=30))])
    # years later a stranger has PHONE
    await intake.receive([said("s", PHONE, sent_at=AT + timedelta(days=400))])
    await intake.receive([ab])   # the provider repeats it (or a replay from quarantine)
    print("\nSTRANGER's address after the repeated change:", await rows(database, "select customer_id, value from addresses order by id"))
