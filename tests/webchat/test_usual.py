"""How soon customers are usually answered, as the chat tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from inbox.store import chat
from inbox.store.database import Database

AT = datetime(2027, 2, 9, 8, 0, tzinfo=UTC)
MONTH_AGO = AT - timedelta(days=30)
ANSWERS = """
with people as (insert into customers (name) select '' from generate_series($1::int, $2) returning id),
addressed as (
    insert into addresses (customer_id, kind, value) select id, 'visitor', id::text from people
    returning id, customer_id),
talks as (
    insert into conversations (customer_id, address_id, channel) select customer_id, id, 'chat' from addressed
    returning id, address_id),
asked as (
    insert into messages (conversation_id, position, direction, channel, address_id, sent_at)
    select id, 1, 'in', 'chat', address_id, $3::timestamptz from talks),
answered as (
    insert into messages (conversation_id, position, direction, channel, address_id, sent_at)
    select id, 2, 'out', 'chat', address_id, $3::timestamptz + $4 from talks returning id, conversation_id, address_id)
insert into deliveries (id, message_id, conversation_id, address_id, channel, part, body, status, created_at, sent_at)
select gen_random_uuid(), id, conversation_id, address_id, 'chat', 0, '{"author": "agent"}', 2, $3::timestamptz + $4,
       $3::timestamptz + $4
from answered
"""


async def answers(c: Any, count: int, asked: datetime, wait: timedelta) -> None:
    await c.execute(ANSWERS, 1, count, asked, wait)


async def test_it_is_the_median_and_nothing_where_too_few_asked(database: Database) -> None:
    async with database.connection() as c:
        await answers(c, 4, AT - timedelta(days=1), timedelta(minutes=4))
        assert await chat.usual_answer(c, "chat", MONTH_AGO) is None
        await answers(c, 1, AT - timedelta(days=1), timedelta(hours=4))
        await answers(c, 9, AT - timedelta(days=40), timedelta(hours=4))
        assert await chat.usual_answer(c, "chat", MONTH_AGO) == timedelta(minutes=4)
        assert await chat.usual_answer(c, "mail", MONTH_AGO) is None


async def test_only_the_newest_answers_are_read_however_many_there_are(database: Database) -> None:
    async with database.connection() as c:
        await answers(c, 300, AT - timedelta(days=9), timedelta(hours=4))
        await answers(c, 200, AT - timedelta(days=1), timedelta(minutes=4))
        assert await chat.usual_answer(c, "chat", MONTH_AGO) == timedelta(minutes=4)
        assert "deliveries_channel" in [
            row["indexname"] for row in await c.fetch("select indexname from pg_indexes where tablename = 'deliveries'")
        ]
