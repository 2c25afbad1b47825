from tests.inbox.test_elsewhere import *
from tests.inbox.test_elsewhere import intake
import asyncio, time
from uuid import uuid4
from inbox.store import arrivals, chat, withdrawals
from inbox.changes import AddTag
from inbox.replies import Draft, Replies
from channels.webchat import Webchat, WebchatConfig

async def test_q_arrived_then_echo(database, intake):
    await intake.receive([said("1")])
    d = await sending(database, status=2)   # a person said "it arrived": no external id
    await rows(database, "update deliveries set sending_at = null")
    await intake.receive([echo()])
    await settle(database)
    print("\nARRIVED-THEN-ECHO out messages:", await one(database, "select count(*) from messages where direction='out'"))

async def test_q_many_addresses(database, intake):
    # adoption by two processes: same stranger at once
    await intake.receive([said("1", USER_ID)])
    second = Intake(database, decide=lambda f: Decision(), follow_up=follow_up, now=lambda: AT)
    third = Intake(database, decide=lambda f: Decision(), follow_up=follow_up, now=lambda: AT)
    people = [Address(kind="phone", value=f"+9055500{n:05}") for n in range(40)]
    for p in people:
        await intake.receive([said(f"u{p.value}", Address(kind="whatsapp", value=f"TR.{p.value}"))])
    def both(tag):
        return [said(f"{tag}{p.value}", p, proofs=((Address(kind="whatsapp", value=f"TR.{p.value}"), Proof.PLATFORM),)) for p in people]
    await asyncio.gather(second.receive(both("a")), third.receive(list(reversed(both("b")))))
    print("\nADOPT customers", await one(database, "select count(*) from customers"), "messages", await one(database, "select count(*) from messages"), "quarantine", await one(database, "select count(*) from quarantine"), "empty conv", await one(database, "select count(*) from conversations where last_position = 0"))
    print("positions ok", await one(database, "select count(*) from conversations c where last_position <> (select count(*) from messages m where m.conversation_id = c.id)"))

async def test_q_shuffle(database):
    import random
    rnd = random.Random(5)
    intakes = [Intake(database, decide=lambda f: Decision(), follow_up=follow_up, now=lambda: AT) for _ in range(3)]
    people = [Address(kind="phone", value=f"+9055500{n:05}") for n in range(12)]
    events = []
    for n in range(600):
        p = rnd.choice(people)
        w = Address(kind="whatsapp", value=f"TR.{p.value}")
        kind = rnd.randrange(8)
        at = AT + timedelta(seconds=n)
        match kind:
            case 0 | 1 | 2: events.append(said(str(n), p, sent_at=at, proofs=((w, Proof.PLATFORM),)))
            case 3: events.append(said(str(n), w, sent_at=at, proofs=((p, Proof.CARRIER),)))
            case 4: events.append(Reacted(channel="wa", external_id=str(rnd.randrange(max(n,1))), sender=p, emoji="x", at=at))
            case 5: events.append(Withdrawn(channel="wa", external_id=str(rnd.randrange(max(n,1))), sender=p, at=at, erase=True))
            case 6: events.append(rnd.choice([OptedOut(channel="wa", sender=p, at=at, why="x"), OptedIn(channel="wa", sender=w, at=at)]))
            case 7: events.append(SentElsewhere(channel="wa", external_id=f"e{n}", to=rnd.choice([p, w]), at=at, text=f"e{n}"))
    events += rnd.sample(events, 40)
    rnd.shuffle(events)
    t0 = time.monotonic()
    async def feed(i):
        for n in range(i, len(events), 3 * 10):
            batch = events[n:n+30:3]
            await intakes[i % 3].receive(batch)
    await asyncio.gather(*(feed(i) for i in range(3)))
    print("\nSHUFFLE took", round(time.monotonic() - t0, 1), "customers", await one(database, "select count(*) from customers"), "quarantine", await rows(database, "select reason, detail from quarantine limit 3"))
    print("bad positions", await one(database, "select count(*) from conversations c where last_position <> (select coalesce(max(position),0) from messages m where m.conversation_id = c.id)"), "gaps", await one(database, "select count(*) from conversations c where last_position <> (select count(*) from messages m where m.conversation_id = c.id)"))
    print("erased left:", await one(database, "select count(*) from messages m where withdrawn_at is not null and text <> ''"))
    print("missing messages", len({e.external_id for e in events if type(e).__name__ == 'Received'}) - await one(database, "select count(*) from messages where direction='in'"))
