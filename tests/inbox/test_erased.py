"""What a platform obliges us to forget stands nowhere afterwards: no word of it in any column of any table."""

from __future__ import annotations

import base64
import re
from datetime import timedelta

import pytest

from channels.message import Attachment, Event
from inbox.burying import Burying
from inbox.changes import AddTag, Decision, Facts, Recorded
from inbox.intake import Intake
from inbox.store import arrivals, slack, understanding
from inbox.store.database import Database
from inbox.store.work import Piece
from tests.inbox.test_elsewhere import AT, follow_up, one, rows, said, unsent
from tests.providers import INSTAGRAM
from tests.scenarios.desk import card_of, card_shows, query, say, thread_shows
from tests.scenarios.meta import meta, person, quiet
from tests.world import World, eventually

SECRET = "paketim paramparça geldi"


def decide(facts: Facts) -> Decision:
    """A triage that repeats what it heard."""
    words = facts.message.text
    return Decision(changes=(AddTag(tag="damaged"),), because=f"says ‘{words}’") if SECRET in words else Decision()


@pytest.fixture
def intake(database: Database) -> Intake:
    return Intake(database, decide=decide, follow_up=follow_up, now=lambda: AT)


async def reasons(database: Database) -> list[str]:
    return [because for (because,) in await rows(database, "select because from changes order by id")]


async def standing(database: Database, words: str) -> set[str]:
    """The columns in which words stand: as text, in capitals, as bytes, or in base64 wherever they begin in it."""
    spelt = [words.encode(), words.capitalize().encode()]
    coded = {base64.b64encode(b"." * shift + one)[4:-4].decode() for one in spelt for shift in range(3)}
    wanted = [words.casefold(), *(one.hex() for one in spelt), *(one.casefold() for one in coded)]
    columns = await rows(
        database,
        "select table_name::text, column_name::text from information_schema.columns where table_schema = 'public'",
    )
    found = set()
    for table, column in columns:
        sql = f'select exists (select from "{table}" where lower("{column}"::text) ~ any($1::text[]))'
        if await one(database, sql, [re.escape(each) for each in wanted]):
            found.add(f"{table}.{column}")
    return found


async def test_why_it_was_triaged_so_goes_with_the_message(database: Database, intake: Intake) -> None:
    await intake.receive([said("1", text=SECRET, raw=SECRET.encode())])
    assert await reasons(database) == [f"says ‘{SECRET}’"]
    assert await standing(database, SECRET) >= {"messages.text", "messages.raw", "changes.because"}
    await intake.receive([unsent("1")])
    assert await standing(database, SECRET) == set()
    assert await one(database, "select tags from conversations") == ["damaged"], "what was decided stays"


async def test_in_one_batch_as_well(database: Database, intake: Intake) -> None:
    await intake.receive([said("1", text=SECRET), unsent("1")])
    assert await standing(database, SECRET) == set()


async def test_what_was_stored_at_the_same_moment_is_buried_with_its_reasons(
    database: Database, intake: Intake
) -> None:
    await intake.receive([said("1", text=SECRET)])
    await rows(database, "insert into tombstones (channel, external_id, at, erase) values ('wa', '1', $1, true)", AT)
    handler = Burying(database, follow_up=follow_up)
    (lease,) = (await rows(database, "select gen_random_uuid()"))[0]
    await handler.run(
        Piece(kind="bury", key="wa:1", lane="", priority=2, generation=1, attempts=1, lease=lease, since=AT)  # type: ignore[arg-type]
    )
    assert await standing(database, SECRET) == set()


async def test_what_is_erased_while_it_is_looked_at_closely_leaves_no_reasons(
    database: Database, intake: Intake
) -> None:
    await intake.receive([said("1", text=SECRET), said("2", text="Merhaba")])
    conversation_id = await one(database, "select id from conversations")
    async with database.connection() as c:
        matter = await understanding.matter(c, conversation_id)
    assert matter is not None
    await intake.receive([unsent("1")])
    async with database.transaction() as c:
        await arrivals.load(c, conversation_id)
        heard = Recorded(
            conversation_id=conversation_id, by="model 1", change=AddTag(tag="x"), because=matter.unread[0].text
        )
        await arrivals.record(c, [heard], AT)
        await understanding.understood(c, conversation_id, matter.unread[-1].position)
    assert await standing(database, SECRET) == set()


async def test_reasons_of_before_and_of_people_stay(database: Database, intake: Intake) -> None:
    old = AT - timedelta(days=3)
    events: list[Event] = [said("1", text=SECRET, sent_at=old)]
    await Intake(database, decide=decide, follow_up=follow_up, now=lambda: old).receive(events)
    await rows(database, "update messages set created_at = $1", old)
    await rows(
        database,
        "insert into changes (conversation_id, at, by, change, because) select id, $1, 'U0AGENT001', '{}', 'said so'"
        " from conversations",
        AT,
    )
    await intake.receive([said("2", text=SECRET + "!")])
    await intake.receive([unsent("2")])
    assert await reasons(database) == [f"says ‘{SECRET}’", "said so", ""]


async def test_a_file_that_slack_shows_after_it_was_taken_back_is_known_to_be_unwanted(
    database: Database, intake: Intake
) -> None:
    photos = [Attachment(media_type="image/jpeg", filename="card.jpg", ref=str(number)) for number in range(2)]
    await intake.receive([said("1", attachments=tuple(photos[:1])), said("2", attachments=tuple(photos[1:]))])
    await rows(database, "update attachments set state = 'kept', path = id::text, slack_file = 'F' || id")
    await intake.receive([unsent("1")])
    first, second = [id for (id,) in await rows(database, "select id from attachments order by message_id")]
    async with database.connection() as c:
        assert not await slack.file_shown(c, first)
        assert await slack.file_shown(c, second)


@pytest.mark.parametrize("action", ["slow", "hang"], ids=["before Slack has it", "before Slack has said so"])
async def test_what_is_unsent_while_it_is_being_posted_is_gone_from_slack(world: World, action: str) -> None:
    await world.add_channels("instagram")
    await world.start()
    person(world, "ayse")
    await meta(world).say("ayse", INSTAGRAM, "Merhaba")
    card = await world.card_with("Merhaba")
    await quiet(world)
    world.slack.troubles.add([{"match": "chat.postMessage", "action": action, "seconds": 30, "times": 1}])
    id = await meta(world).say("ayse", INSTAGRAM, SECRET)
    await eventually(lambda: world.slack.troubles.plain()[0]["fired"])
    await meta(world).unsend("ayse", INSTAGRAM, id)
    await eventually(lambda: query(world, "select from messages where body ? 'erased'"))

    async def looked() -> bool:
        """Whether there was nothing to change at Slack yet."""
        return not await query(world, "select from work where kind = 'revise'")

    await eventually(looked)
    world.slack.troubles.clear()
    await thread_shows(world, card["ts"], say("line.erased"))
    await quiet(world)
    assert SECRET not in str(await card_of(world, card["ts"]))


async def test_no_word_of_it_stands_in_any_table_nor_on_the_card(world: World) -> None:
    await world.add_channels("instagram")
    await world.start()
    person(world, "ayse")
    await meta(world).say("ayse", INSTAGRAM, "Merhaba")
    card = await world.card_with("Merhaba")
    id = await meta(world).say("ayse", INSTAGRAM, f"{SECRET}, rezalet!")

    async def heard() -> str:
        found = await query(world, "select because from changes where because like '%‘%'")
        return found[0]["because"] if found else ""

    because = await eventually(heard)
    assert because
    (word, *_) = re.findall("‘(.+?)’", because)
    assert word in f"{SECRET}, rezalet!"
    await card_shows(world, card["ts"], word)
    await quiet(world)  # what the closer look adds is there by now
    await meta(world).unsend("ayse", INSTAGRAM, id)
    await thread_shows(world, card["ts"], say("line.erased"))
    await card_shows(world, card["ts"], without=[word])
    await quiet(world)
    assert world.app is not None
    async with Database.open(world.database_url, connections=2) as database:
        for words in (SECRET, word, "rezalet"):
            assert await standing(database, words) == set()
