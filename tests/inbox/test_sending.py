"""What a send comes to: known, unknown and asked about, given up, and told by receipts that were quicker than it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from channels.errors import InDoubt, Misconfigured, Moved, Refused, Retry, SendFailed
from channels.message import Outgoing, ReadUpTo, Receipt, Status
from inbox.delivery import ASKED, GIVE_UP, TELLS
from inbox.store import deliveries, receipts
from inbox.store.database import Database
from inbox.work import Failed
from tests.inbox.line import CHANNEL, PHONE, Asked, Line, Provider, begun
from tests.world import eventually

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest_asyncio.fixture
async def line(database: Database, tmp_path: Path) -> Line:
    return await begun(database, tmp_path, Provider())


@pytest_asyncio.fixture
async def asked(database: Database, tmp_path: Path) -> Line:
    return await begun(database, tmp_path, Asked())


def found(line: Line, *outcomes: Any) -> Asked:
    """What the provider says, one after the other, when it is asked what became of a send."""
    assert isinstance(line.provider, Asked)
    line.provider.found = [*outcomes]
    return line.provider


async def statuses(line: Line) -> list[int]:
    return [status for _, status, _ in await line.deliveries()]


# unknown outcomes


async def test_a_doubt_that_nobody_can_settle_but_a_person_holds_nothing_back(line: Line) -> None:
    line.provider.outcomes = [InDoubt()]
    await line.answers("Yolda")
    await line.answers("Yarın sizde")
    await line.sends(2)
    assert await statuses(line) == [Status.IN_DOUBT, Status.SENT]


async def test_every_doubt_about_one_delivery_is_asked_about(line: Line) -> None:
    """Also where the first try ended with the process that made it."""
    line.provider.outcomes = [RuntimeError("killed"), InDoubt()]
    await line.answers("Yolda")
    with pytest.raises(RuntimeError):
        await line.run()
    await line.run()
    assert await line.one("select count(*) from notices") == 1
    id = await line.one("select id from deliveries")
    assert await line.replies.settle_doubt(id, arrived=False, by="U1")
    await line.run()
    assert await statuses(line) == [Status.IN_DOUBT]
    assert await line.one("select count(*) from notices where notice ->> 'notice' = 'doubt'") == 2


async def test_the_line_waits_while_the_provider_may_still_tell_and_keeps_its_order(asked: Line) -> None:
    provider = found(asked, Retry(), Retry(), "late")
    provider.outcomes = [InDoubt()]
    await asked.answers("Yolda")
    await asked.answers("Yarın sizde")
    for _ in range(2):
        with pytest.raises(Failed):
            await asked.run()
    assert [message.text for message in provider.sent] == ["Yolda"]
    await asked.sends(2)
    assert [message.text for message in provider.sent] == ["Yolda", "Yarın sizde"]
    assert await asked.rows("select external_id from deliveries order by line") == [
        {"external_id": "late"},
        {"external_id": "id-2"},
    ]


@pytest.mark.parametrize("error", [Retry(), Misconfigured("the token was revoked")], ids=["busy", "refused us"])
async def test_a_provider_that_never_tells_holds_the_line_a_minute_and_then_a_person_decides(
    asked: Line, error: SendFailed
) -> None:
    provider = found(asked, *[error] * 9)
    provider.outcomes = [InDoubt()]
    await asked.answers("Yolda")
    await asked.answers("Yarın sizde")
    for _ in range(ASKED + 1):
        with pytest.raises(Failed):
            await asked.run()
    asked.ahead = TELLS + SECOND
    await asked.sends(2)
    assert await statuses(asked) == [Status.IN_DOUBT, Status.SENT]
    assert await asked.one("select notice ->> 'notice' from notices") == "doubt"
    assert [message.text for message in provider.sent] == ["Yolda", "Yarın sizde"]


async def test_whoever_was_away_for_long_asks_more_than_once_before_a_person_has_to(asked: Line) -> None:
    found(asked, *[Retry()] * 9).outcomes = [InDoubt()]
    await asked.answers("Yolda")
    with pytest.raises(Failed):
        await asked.run()
    await asked.one("update work set attempts = 0 where kind = 'deliver' returning 1")
    asked.ahead = timedelta(hours=1)
    for _ in range(ASKED - 1):
        with pytest.raises(Failed):
            await asked.run()
    await asked.run()
    assert await statuses(asked) == [Status.IN_DOUBT]


async def test_a_provider_that_refuses_to_say_leaves_a_doubt(asked: Line) -> None:
    found(asked, Refused("no such list")).outcomes = [InDoubt()]
    await asked.answers("Yolda")
    await asked.run()
    assert await statuses(asked) == [Status.IN_DOUBT]


async def test_it_is_asked_for_what_was_sent_since_the_sending_began(asked: Line) -> None:
    async def slow(message: Outgoing) -> str:
        asked.ahead = MINUTE  # as long as the line took to break
        raise InDoubt

    provider = found(asked, "id-1")
    provider.outcomes = [slow]
    await asked.answers("Yolda")
    before = datetime.now(UTC)
    await asked.run()
    (question,) = provider.asked
    assert question.at is not None and abs(question.at - before) < MINUTE / 2
    assert await asked.one("select sent_at from deliveries") == question.at


# known outcomes


async def test_what_is_deferred_for_three_days_is_given_up_and_told_once(line: Line) -> None:
    await line.answers("Yolda")
    line.provider.outcomes = [Retry("try later")]
    line.ahead = GIVE_UP + MINUTE
    await line.run()
    assert await line.deliveries() == [("Yolda", Status.FAILED, "gave_up")]
    assert await line.one("select count(*) from notices") == 1


async def test_a_known_outcome_is_written_though_the_database_prefers_another_transaction(line: Line) -> None:
    """A receipt holds the delivery and waits for the provider's id, which the send holds and waits for the delivery."""
    receipt = line.database.transaction()
    c = await receipt.__aenter__()
    await c.execute("set local deadlock_timeout = '10s'")  # so that it is the other one which is given up

    async def sent(message: Outgoing) -> str:
        await c.execute("select from deliveries for no key update")
        return "id-1"

    line.provider.outcomes = [sent]
    await line.answers("Yolda")
    sending = asyncio.create_task(line.run())
    await eventually(line.waits)
    early = Receipt(channel=CHANNEL, status=Status.DELIVERED, at=line.now(), external_id="id-1")
    assert await receipts.receive(c, early) is None
    await receipt.__aexit__(None, None, None)
    await sending
    assert await statuses(line) == [Status.DELIVERED]
    assert len(line.provider.sent) == 1


async def test_a_failure_that_is_told_again_after_it_was_sent_again_spoils_nothing(line: Line) -> None:
    """Providers repeat themselves, and our own id is the same for both tries."""
    await line.answers("Bir")
    await line.sends()
    id = await line.one("select id from deliveries")
    failed = Receipt(
        channel=CHANNEL, status=Status.FAILED, at=line.now(), external_id="id-1", delivery=id, code="refused"
    )
    await line.hears(failed)
    assert await line.replies.send_again(id, by="U1")
    await line.hears(failed)
    assert await statuses(line) == [Status.QUEUED]

    async def repeated(message: Outgoing) -> str:
        await line.hears(failed)
        return "id-2"

    line.provider.outcomes = [repeated]
    await line.sends()
    await line.hears(failed)
    assert await statuses(line) == [Status.SENT]
    assert await line.one("select external_id from deliveries") == "id-2"


async def test_a_failure_of_a_try_that_a_person_has_repeated_does_not_stop_the_next(line: Line) -> None:
    line.provider.outcomes = [InDoubt()]
    await line.answers("Bir")
    await line.sends()
    id = await line.one("select id from deliveries")
    assert await line.replies.settle_doubt(id, arrived=False, by="U1")
    await line.hears(
        Receipt(channel=CHANNEL, status=Status.FAILED, at=line.now(), external_id="id-1", delivery=id, code="refused")
    )
    await line.sends()
    assert await statuses(line) == [Status.SENT]


async def test_who_has_moved_is_written_to_there(line: Line) -> None:
    line.provider.outcomes = [Moved("+905550009999")]
    await line.answers("Bir")
    await line.sends(2)
    assert [message.to.value for message in line.provider.sent] == [PHONE.value, "+905550009999"]
    assert await statuses(line) == [Status.SENT]


@pytest.mark.parametrize("to", ["+905550009999", PHONE.value], ids=["somebody else's", "where they were"])
async def test_who_has_moved_where_nobody_can_follow_is_not_asked_for_ever(line: Line, to: str) -> None:
    await line.one(
        "insert into addresses (customer_id, kind, value) select id, 'phone', $1 from customers returning 1",
        "+905550009999",
    )
    line.provider.outcomes = [Moved(to)] * 3
    await line.answers("Bir")
    await line.sends()
    assert await line.deliveries() == [("Bir", Status.FAILED, "unreachable")]
    assert await line.one("select count(*) from notices") == 1


async def test_a_failure_that_overtakes_the_answer_to_our_send_is_told(line: Line) -> None:
    async def failed(message: Outgoing) -> str:
        told = Receipt(
            channel=CHANNEL, status=Status.FAILED, at=line.now(), external_id="id-1", code="refused", detail="spam"
        )
        await line.hears(told)
        return "id-1"

    line.provider.outcomes = [failed]
    await line.answers("Bir")
    await line.sends()
    assert await line.deliveries() == [("Bir", Status.FAILED, "refused")]
    assert await line.rows("select notice ->> 'code' as code, notice ->> 'detail' as detail from notices") == [
        {"code": "refused", "detail": "spam"}
    ]


# watermarks: read up to here


def read(id: str, line: Line) -> Receipt:
    """What Instagram tells: this was read, and so is everything before it."""
    return Receipt(channel=CHANNEL, status=Status.READ, at=line.now(), external_id=id, earlier=True)


def up_to(at: datetime) -> ReadUpTo:
    """What Messenger tells."""
    return ReadUpTo(channel=CHANNEL, reader=PHONE, at=at)


async def marks(line: Line) -> int:
    """The replies whose mark at the desk is to be looked at."""
    found: int = await line.one("select count(*) from work where kind = 'marks'")
    return found


@pytest.mark.parametrize("how", ["id", "time"])
async def test_a_read_that_overtakes_the_answer_to_our_send_counts_for_all_before_it(line: Line, how: str) -> None:
    await line.answers("Bir")
    await line.answers("İki")
    await line.answers("Üç")
    await line.sends()

    async def overtaken(message: Outgoing) -> str:
        await line.hears(read("id-2", line) if how == "id" else up_to(line.now()))
        return "id-2"

    line.provider.outcomes = [overtaken]
    await line.one("delete from work where kind = 'marks'")
    await line.sends()
    assert await statuses(line) == [Status.READ, Status.READ, Status.QUEUED]
    assert await marks(line) == 2
    await line.sends()
    assert await statuses(line) == [Status.READ, Status.READ, Status.SENT], "it was sent after they had read"


async def test_a_delivered_watermark_is_no_reading(line: Line) -> None:
    await line.answers("Bir")
    await line.answers("İki")
    await line.sends(2)
    delivered = Receipt(channel=CHANNEL, status=Status.DELIVERED, at=line.now(), external_id="id-2", earlier=True)
    await line.hears(delivered)
    assert await statuses(line) == [Status.DELIVERED, Status.DELIVERED]
    await line.hears(read("id-1", line), delivered)
    assert await statuses(line) == [Status.READ, Status.DELIVERED]


@pytest.mark.parametrize("how", ["id", "time"])
@pytest.mark.parametrize(
    ("arrived", "then"), [(True, Status.READ), (False, Status.SENT)], ids=["it arrived", "sent again"]
)
async def test_a_read_settles_no_doubt_and_is_kept_until_a_person_does(
    line: Line, how: str, arrived: bool, then: Status
) -> None:
    line.provider.outcomes = [InDoubt()]
    await line.answers("Bir")
    await line.answers("İki")
    await line.sends(2)
    await line.hears(read("id-2", line) if how == "id" else up_to(line.now()))
    assert await statuses(line) == [Status.IN_DOUBT, Status.READ]
    id = await line.one("select id from deliveries order by line limit 1")
    assert await line.replies.settle_doubt(id, arrived=arrived, by="U1")
    if not arrived:
        await line.sends()
    assert await statuses(line) == [then, Status.READ]


async def test_what_a_receipt_settles_is_read_if_the_line_was_read_up_to_there(line: Line) -> None:
    line.provider.outcomes = [InDoubt()]
    await line.answers("Bir")
    await line.sends()
    await line.hears(up_to(line.now()))
    id = await line.one("select id from deliveries")
    await line.hears(Receipt(channel=CHANNEL, status=Status.SENT, at=line.now(), external_id="id-1", delivery=id))
    assert await statuses(line) == [Status.READ]


async def test_a_read_before_a_try_that_came_to_nothing_says_nothing_of_the_next(line: Line) -> None:
    async def deferred(message: Outgoing) -> str:
        await line.hears(up_to(line.now()))
        raise Retry("busy")

    line.provider.outcomes = [deferred]
    await line.answers("Bir")
    with pytest.raises(Failed):
        await line.run()
    await line.run()
    assert await statuses(line) == [Status.SENT]


async def test_earlier_is_what_was_sent_earlier_not_what_slack_told_of_first(line: Line) -> None:
    at = line.now()
    await line.answers("İki", at=at)
    await line.answers("Bir", at=at - SECOND)
    await line.sends(2)
    assert [message.text for message in line.provider.sent] == ["Bir", "İki"]
    await line.hears(read("id-1", line))
    assert await line.deliveries() == [("İki", Status.SENT, ""), ("Bir", Status.READ, "")]
    await line.hears(read("id-2", line))
    assert await statuses(line) == [Status.READ, Status.READ]


@pytest.mark.parametrize("first", ["the send", "the reading"])
async def test_a_read_and_the_end_of_a_send_written_at_once_lose_nothing(line: Line, first: str) -> None:
    await line.answers("Bir")
    id = await line.one("select id from deliveries")
    async with line.database.transaction() as c:
        await deliveries.begin(c, id)
    address_id = await line.one("select address_id from deliveries")
    now = line.now()

    async def settles() -> None:
        async with line.database.transaction() as c:
            await deliveries.settle(c, id, Status.SENT, external_id="id-1")

    async with line.database.transaction() as c:
        if first == "the send":
            await deliveries.settle(c, id, Status.SENT, external_id="id-1")
            other = asyncio.create_task(line.hears(up_to(now)))
        else:
            await receipts.read_up_to(c, up_to(now), address_id)
            other = asyncio.create_task(settles())
        await eventually(line.waits)
    await other
    assert await statuses(line) == [Status.READ]


async def test_what_is_sent_again_counts_from_then(line: Line) -> None:
    await line.answers("Bir")
    await line.sends()
    id = await line.one("select id from deliveries")
    await line.hears(Receipt(channel=CHANNEL, status=Status.FAILED, at=line.now(), external_id="id-1", code="refused"))
    between = line.now()
    assert await line.replies.send_again(id, by="U1")

    async def overtaken(message: Outgoing) -> str:
        await line.hears(up_to(between))
        return "id-2"

    line.provider.outcomes = [overtaken]
    await line.sends()
    assert await statuses(line) == [Status.SENT]
    assert await line.one("select sent_at > $1 from deliveries", between)
