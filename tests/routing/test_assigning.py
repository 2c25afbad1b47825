"""Assignment carried out on a real database: who gets what, what is taken from whom, and never twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from inbox import changes
from inbox.changes import Assign, Conversation, Priority, Put
from inbox.replies import Replies
from inbox.store import arrivals, assignments
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.work import Ran
from routing.assignment import Method
from routing.hours import Hours
from routing.phrases import Phrases
from routing.policy import AgentPolicy, Policy, TeamPolicy
from routing.rounds.assigning import ABSENT, AUTHOR, RELOOK, STALE, Assigning
from routing.rules import Known, Rules
from routing.weighing import TAGS
from templates.approved import Approved
from templates.replies import Replies as Words
from tests.world import eventually

ZONE = ZoneInfo("Europe/Istanbul")
NIGHT, NINE, NOON = (datetime(2027, 3, 8, hour, tzinfo=ZONE).astimezone(UTC) for hour in (3, 9, 12))  # a Monday
DAYTIME = Hours.parse("Mo-Fr 09:00-18:00", zone=ZONE, country="TR")
ADA, BORA, CEM, DILA, EMRE = CREW = ("U0ADA", "U0BORA", "U0CEM", "U0DILA", "U0EMRE")


@lru_cache
def plain() -> dict[str, Any]:
    """What a policy has beside teams, made once."""
    known = Known(tags=frozenset(TAGS), teams=("support",), channels={}, languages=("tr",), agents=None)
    words = Words.load(("tr",), None, shop="Kumbara")
    rules = Rules.starter(known)
    return {"phrases": Phrases.load(("tr",)), "rules": rules, "replies": words, "approved": Approved()}


def policy(*teams: TeamPolicy, agents: Iterable[AgentPolicy] = ()) -> Policy:
    return Policy(
        shop="Kumbara",
        languages=("tr",),
        zone=ZONE,
        teams={team.name: team for team in teams},
        agents={agent.id: agent for agent in agents},
        **plain(),
    )


def team(name: str = "support", **more: Any) -> TeamPolicy:
    return TeamPolicy(name=name, **{"method": Method.ROUND_ROBIN, "hours": DAYTIME, "capacity": 100, **more})


@dataclass
class People:
    """A roster that Slack would have told of. `seen` is how it shows people; without it Slack is away."""

    members: Sequence[str] = CREW
    seen: dict[str, bool] = field(default_factory=dict)
    database: Database | None = None
    now: datetime = NOON
    asked: list[str] = field(default_factory=list)

    async def candidates(self, team: str) -> Sequence[str]:
        return self.members

    async def look(self, ids: Collection[str]) -> Collection[str]:
        self.asked += ids
        if self.database is not None and self.seen:
            async with self.database.connection() as c:
                await assignments.saw(c, self.seen, self.seen, self.now)
        return frozenset(self.seen)


def follow_up(conversation: Conversation, *, lines: bool) -> Iterable[Put]:
    return [Put(kind="mirror" if lines else "card", key=str(conversation.id))]


async def assign(
    database: Database, at: datetime, policy: Policy, people: People | None = None, key: str = "support"
) -> Ran:
    """Run the round once, as a worker would."""
    people = people or People()
    people.now = at
    assigning = Assigning(database, lambda: policy, people, follow_up=follow_up, now=lambda: at)
    piece = Piece(
        kind="assign", key=key, lane="", priority=Priority.NORMAL, generation=1, attempts=1, lease=uuid4(), since=at
    )
    return await assigning.run(piece)


async def conversations(
    database: Database, count: int = 1, *, since: datetime | None = NIGHT, **columns: Any
) -> list[int]:
    """Conversations that wait; each a second longer than the one after it."""
    given = {"team": "support", "state": "open", "language": "tr", "priority": 2, "agent": "", "tags": [], **columns}
    async with database.connection() as c:
        rows = await c.fetch(
            """
            with people as (insert into customers (name) select 'C' || i from generate_series(1, $1) i returning id)
            insert into conversations
                (customer_id, waiting_since, last_in_at, team, state, language, priority, agent, tags)
            select id, $2::timestamptz + (row_number() over (order by id)) * interval '1 second', $2, $3, $4, $5, $6,
                $7, $8
            from people order by id returning id
            """,
            count,
            since,
            *given.values(),
        )
    return sorted(row["id"] for row in rows)


async def answered(database: Database, conversation_id: int, agent: str, at: datetime) -> None:
    """Somebody has answered, and the customer has written again since."""
    async with database.connection() as c:
        await c.execute(
            """
            insert into messages (conversation_id, position, direction, author, sent_at)
            values ($1, 1, 'out', $2, $3)
            """,
            conversation_id,
            agent,
            at,
        )
        await c.execute(
            "update conversations set last_position = 1, last_out_at = $2 where id = $1", conversation_id, at
        )


async def holders(database: Database) -> dict[int, str]:
    async with database.connection() as c:
        return {row["id"]: row["agent"] for row in await c.fetch("select id, agent from conversations order by id")}


async def history(database: Database, conversation_id: int | None = None) -> list[tuple[int, str, str]]:
    """Who was given what, and why, in order."""
    async with database.connection() as c:
        rows = await c.fetch(
            "select conversation_id, change ->> 'value' as agent, because from changes where by = $1 order by id",
            AUTHOR,
        )
    found = [(row["conversation_id"], row["agent"], row["because"]) for row in rows]
    return [one for one in found if conversation_id in (None, one[0])]


async def notices(database: Database) -> list[dict[str, Any]]:
    async with database.connection() as c:
        return [row["notice"] for row in await c.fetch("select notice from notices order by id")]


async def taken(database: Database, conversation_id: int, agent: str, at: datetime) -> None:
    """Somebody takes a conversation by hand."""
    replies = Replies(database, {}, follow_up=follow_up, now=lambda: at)
    assert await replies.take(conversation_id, agent)


async def test_what_waits_through_the_night_is_given_out_at_once_when_the_shift_begins(database: Database) -> None:
    ids = await conversations(database, 195)
    urgent = await conversations(database, 5, since=NIGHT + timedelta(hours=2), priority=0)
    rules = policy(team())

    ran = await assign(database, NIGHT, rules)
    assert set((await holders(database)).values()) == {""}
    assert ran.again is not None
    assert abs(ran.again - datetime.now(UTC) - (NINE - NIGHT)) < timedelta(seconds=10)

    await assign(database, NINE, rules)
    assert Counter((await holders(database)).values()) == dict.fromkeys(CREW, 40)
    told = await history(database)
    assert [one for one, _, _ in told] == [*urgent, *ids], "urgent first, then whoever waits longest"
    assert len(await notices(database)) == 200


async def test_two_processes_give_each_conversation_to_one_person(database: Database, database_url: str) -> None:
    ids = await conversations(database, 60)
    rules = policy(team(capacity=10))
    async with Database.open(database_url, connections=4) as other:
        await asyncio.gather(*(assign(one, NOON, rules) for one in (database, other, database, other)))
    told = await history(database)
    assert len(told) == len({one for one, _, _ in told}) == 50
    assert Counter(agent for _, agent, _ in told) == dict.fromkeys(CREW, 10), "and nobody gets more than they carry"
    assert [one for one, _, _ in sorted(told)] == ids[:50]
    assert len(await notices(database)) == 50


async def test_people_of_two_teams_carry_what_they_can_over_both(database: Database, database_url: str) -> None:
    await conversations(database, 30)
    await conversations(database, 30, team="returns")
    rules = policy(team(capacity=4), team("returns", capacity=4))
    async with Database.open(database_url, connections=4) as other:
        await asyncio.gather(assign(database, NOON, rules), assign(other, NOON, rules, key="returns"))
    counted = Counter((await holders(database)).values())
    counted.pop("")
    assert counted == dict.fromkeys(CREW, 4)


async def somebody_waits(database: Database) -> bool:
    """Whether somebody waits for a lock in this database."""
    async with database.connection() as c:
        return bool(
            await c.fetchval(
                """
                select count(*) from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock'
                """
            )
        )


async def test_who_takes_it_in_the_same_moment_keeps_it(database: Database) -> None:
    (id,) = await conversations(database)
    rules = policy(team())
    async with database.transaction() as c:
        conversation = await arrivals.load(c, id)  # somebody presses Take …
        running = asyncio.create_task(assign(database, NOON, rules))
        await eventually(lambda: somebody_waits(database))  # … while the round has chosen and waits for the row
        await arrivals.save(c, [changes.apply(conversation, [Assign(agent=EMRE)], NOON)])
    await running
    assert await holders(database) == {id: EMRE}
    assert await history(database) == []
    assert await notices(database) == []


async def test_turns_go_on_from_round_to_round(database: Database) -> None:
    rules = policy(team())
    for _ in range(7):
        await conversations(database)
        await assign(database, NOON, rules)
    assert list((await holders(database)).values()) == [*CREW, ADA, BORA]
    assert {because for _, _, because in await history(database)} == {"whose turn it is"}


async def test_the_least_busy_gets_it_counted_over_all_teams(database: Database) -> None:
    for agent, open_ones in zip(CREW, (3, 1, 4, 1, 5), strict=True):
        await conversations(database, open_ones, agent=agent, team="returns", since=None)
    await conversations(database, 3, agent=BORA, state="waiting", since=None)  # the customer's turn: no load
    (first,) = await conversations(database)
    (second,) = await conversations(database)
    await assign(database, NOON, policy(team(method=Method.LEAST_BUSY), team("returns")))
    told = await holders(database)
    assert (told[first], told[second]) == (BORA, DILA)


async def test_whoever_answered_last_gets_it_again(database: Database) -> None:
    (id,) = await conversations(database)
    await answered(database, id, CEM, NIGHT)
    await assign(database, NOON, policy(team()))
    assert await history(database) == [(id, CEM, "answered this customer last")]
    assert (await notices(database))[0]["why"] == "known"


async def test_a_language_waits_for_who_speaks_it_but_not_longer_than_the_team_has_patience(database: Database) -> None:
    (id,) = await conversations(database, since=NINE, language="ru")
    rules = policy(
        team(), agents=[AgentPolicy(id=EMRE, languages=frozenset({"ru"}), capacity=1),
                        *(AgentPolicy(id=one, languages=frozenset({"tr"})) for one in CREW[:4])]
    )  # fmt: skip
    busy = await conversations(database, agent=EMRE, since=None)
    ran = await assign(database, NINE + timedelta(minutes=30), rules)
    assert (await holders(database))[id] == ""
    assert ran.again is not None
    assert ran.again - datetime.now(UTC) < RELOOK + timedelta(seconds=10), "looked at again by the clock"

    await assign(database, NINE + timedelta(minutes=61), rules)
    assert (await holders(database))[id] == ADA
    (told,) = await notices(database)
    assert (told["agent"], told["why"], told["language"]) == (ADA, "pressing", "ru")

    (other,) = await conversations(database, since=NOON, language="ru")
    async with database.connection() as c:
        await c.execute("update conversations set state = 'resolved' where id = $1", busy[0])
    await assign(database, NOON, rules)
    assert (await holders(database))[other] == EMRE
    assert (await notices(database))[1]["language"] == "ru"


async def test_what_nobody_waits_for_is_nobodys(database: Database) -> None:
    await conversations(database, since=None)  # only machines wrote
    await conversations(database, tags=["spam"], priority=3)
    await conversations(database, state="waiting")
    await conversations(database, state="snoozed")
    await conversations(database, state="resolved")
    people = People()
    await assign(database, NOON, policy(team()), people)
    assert set((await holders(database)).values()) == {""}
    assert people.asked == [], "and Slack is not asked who is there"


async def test_a_team_by_hand_is_left_alone_and_the_first_has_those_of_teams_that_are_gone(
    database: Database,
) -> None:
    (by_hand,) = await conversations(database, team="vip")
    (gone,) = await conversations(database, team="was here last year")
    rules = policy(team(), team("vip", method=None))
    assert await assign(database, NOON, rules, key="vip") == Ran()
    await assign(database, NOON, rules)
    told = await holders(database)
    assert (told[by_hand], told[gone]) == ("", ADA)


# what somebody has who is not there


async def test_who_says_they_are_away_keeps_no_customer_waiting(database: Database) -> None:
    (id,) = await conversations(database, agent=ADA)
    async with database.connection() as c:
        await assignments.go_away(c, ADA, NOON, NOON + timedelta(hours=2))
    ran = await assign(database, NOON, policy(team()))
    assert await history(database) == [(id, BORA, "who had it is away; whose turn it is")]
    (told,) = await notices(database)
    assert (told["agent"], told["left"], told["before"]) == (BORA, "away", ADA)
    assert ran.again is not None
    assert ran.again - datetime.now(UTC) < timedelta(hours=2)

    (other,) = await conversations(database)
    await assign(database, NOON + timedelta(hours=2), policy(team()))
    assert (await holders(database))[other] == ADA, "back at the time they gave, and it is their turn"


async def test_a_shift_that_ends_hands_on_to_who_is_there(database: Database) -> None:
    evening = Hours.parse("Mo-Fr 18:00-23:00", zone=ZONE, country="TR")
    (id,) = await conversations(database, agent=ADA)
    rules = policy(team(), agents=[AgentPolicy(id=EMRE, hours=evening)])
    six = datetime(2027, 3, 8, 18, tzinfo=ZONE).astimezone(UTC)
    await assign(database, six - timedelta(minutes=1), rules)
    assert await holders(database) == {id: ADA}
    await assign(database, six, rules)
    assert await history(database) == [(id, EMRE, "the shift of who had it is over; whose turn it is")]


async def test_at_closing_time_nobody_is_there_and_it_stays_where_it_is(database: Database) -> None:
    (id,) = await conversations(database, agent=ADA)
    await assign(database, NIGHT, policy(team()))
    assert await holders(database) == {id: ADA}
    assert await history(database) == []


async def test_who_is_no_longer_in_the_team_has_nothing(database: Database) -> None:
    (id,) = await conversations(database, agent="U0LEFT")
    await taken(database, id, "U0LEFT", NOON)
    await assign(database, NOON, policy(team()))
    assert await history(database) == [(id, ADA, "who had it is not in this team; whose turn it is")]


async def test_the_dot_in_slack_says_little_until_it_has_been_so_for_a_quarter_of_an_hour(database: Database) -> None:
    (held,) = await conversations(database, agent=ADA)
    people = People(seen={ADA: False, BORA: True}, database=database)
    rules = policy(team())
    await assign(database, NOON, rules, people)
    (fresh,) = await conversations(database)
    await assign(database, NOON + ABSENT / 2, rules, people)
    told = await holders(database)
    assert (told[held], told[fresh]) == (ADA, BORA), "nothing new goes to them, what they have stays"
    await assign(database, NOON + ABSENT, rules, people)
    assert (await history(database, held))[0][2].startswith("who had it has not been in Slack for a while")


async def test_a_dot_that_comes_and_goes_begins_anew(database: Database) -> None:
    (held,) = await conversations(database, agent=ADA)
    people = People(seen={ADA: False}, database=database)
    rules = policy(team())
    await assign(database, NOON, rules, people)
    people.seen = {ADA: True}
    await assign(database, NOON + ABSENT / 2, rules, people)
    people.seen = {ADA: False}
    await assign(database, NOON + ABSENT, rules, people)
    assert await holders(database) == {held: ADA}


async def test_a_dot_only_counts_within_hours(database: Database) -> None:
    (held,) = await conversations(database, agent=ADA)
    people = People(seen={ADA: False, BORA: True}, database=database)
    async with database.connection() as c:
        await assignments.saw(c, {ADA: False}, (), NIGHT)
    await assign(database, NINE + ABSENT / 2, policy(team()), people)
    assert await holders(database) == {held: ADA}, "who comes to work at nine is not absent since three"


async def test_while_slack_is_away_what_it_said_last_holds_but_not_for_ever(database: Database) -> None:
    async with database.connection() as c:
        await assignments.saw(c, {ADA: False}, (), NINE)
    held, fresh = await conversations(database, agent=ADA), await conversations(database)
    await assign(database, NINE + timedelta(minutes=30), policy(team()))
    told = await holders(database)
    assert (told[held[0]], told[fresh[0]]) == (ADA, BORA), "nothing is taken from anybody on an old answer"
    await conversations(database, 4)
    await assign(database, NINE + STALE + timedelta(minutes=1), policy(team()))
    assert set((await holders(database)).values()) == set(CREW)


async def test_what_somebody_took_by_hand_stays_for_as_long_as_the_team_has_patience(database: Database) -> None:
    (id,) = await conversations(database)
    rules = policy(team(patience=timedelta(minutes=40)), agents=[AgentPolicy(id=ADA, hours=Hours.parse(
        "Mo-Fr 09:00-12:00", zone=ZONE, country="TR"))])  # fmt: skip
    await taken(database, id, ADA, NOON - timedelta(minutes=10))
    ran = await assign(database, NOON, rules)
    assert await holders(database) == {id: ADA}
    assert ran.again is not None
    assert abs(ran.again - datetime.now(UTC) - timedelta(minutes=30)) < timedelta(seconds=10)
    await assign(database, NOON + timedelta(minutes=30), rules)
    assert await holders(database) == {id: BORA}


async def test_who_says_they_are_away_after_taking_it_means_it(database: Database) -> None:
    (early,) = await conversations(database)
    (late,) = await conversations(database)
    await taken(database, early, ADA, NOON - timedelta(minutes=10))
    async with database.connection() as c:
        await assignments.go_away(c, ADA, NOON - timedelta(minutes=5), None)
    await taken(database, late, ADA, NOON - timedelta(minutes=1))  # and still took this one
    await assign(database, NOON, policy(team()))
    told = await holders(database)
    assert (told[early], told[late]) == (BORA, ADA)


async def test_nobody_is_pulled_out_of_a_talk(database: Database) -> None:
    (id,) = await conversations(database, agent=ADA, since=NOON)
    rules = policy(team(), agents=[AgentPolicy(id=ADA, hours=Hours.parse(
        "Mo-Fr 09:00-12:00", zone=ZONE, country="TR"))])  # fmt: skip
    await answered(database, id, ADA, NOON)
    await assign(database, NOON + timedelta(minutes=29), rules)
    assert await holders(database) == {id: ADA}
    await assign(database, NOON + timedelta(minutes=30), rules)
    assert await holders(database) == {id: BORA}


@pytest.mark.parametrize("members", [(), (ADA,)])
async def test_nobody_else_there_changes_nothing(database: Database, members: tuple[str, ...]) -> None:
    (id,) = await conversations(database, agent=ADA)
    async with database.connection() as c:
        await assignments.go_away(c, ADA, NOON, None)
    ran = await assign(database, NOON, policy(team()), People(members=members))
    assert await holders(database) == {id: ADA}
    assert ran.again is not None
