"""Who of a team is there, asked of the emulated Slack: whole lists, few calls, and what holds when Slack is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from aiohttp.test_utils import TestServer

from desk.desk import Desk
from desk.offers import Offers
from desk.people import People
from desk.presence import DOT, MEMBERS, PAUSE, WATCHED, Presence
from desk.slack import Slack
from desk.teams import Team, Teams
from inbox.replies import Replies
from inbox.store import assignments
from inbox.store import slack as table
from inbox.store.assignments import Person
from inbox.store.database import Database
from sandbox.slack import World, application
from sandbox.slack.workspace import User
from templates.catalog import Catalog
from templates.replies import Replies as Words
from tests.world import AYSE, MEHMET, SUPPORT

BOTH = (AYSE, MEHMET)


@dataclass
class Office:
    """A workspace, and one process that asks who is there. Its clock stands until it is moved."""

    world: World
    database: Database
    slack: Slack
    now: datetime = datetime(2027, 3, 8, 9, tzinfo=UTC)

    def presence(self, *teams: Team) -> Presence:
        """As one process begins."""
        clock = lambda: self.now  # noqa: E731
        desk = Desk(
            database=self.database,
            slack=self.slack,
            teams=Teams(teams or [Team(name="support", slack_channel=SUPPORT)]),
            people=People(self.database, self.slack, now=clock),
            replies=Replies(self.database, {}, follow_up=lambda conversation, *, lines: [], now=clock),
            kinds={},
            capabilities={},
            offers=lambda: Offers(replies=Words.load(("tr",), None, shop="Kumbara")),
            catalog=Catalog.load("tr"),
            now=clock,
            shop=clock,
        )
        return Presence(desk, now=clock)

    def calls(self, method: str) -> int:
        return sum(call["method"] == method for call in self.world.calls)

    async def known(self, user: str) -> Person:
        async with self.database.connection() as c:
            (person,) = await assignments.people(c, [user])
        return person

    async def troubled(self, *methods: str) -> None:
        await self.world.trouble([{"match": method, "action": "status", "status": 503} for method in methods])


@pytest_asyncio.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    world = World()
    world.change_settings({"tier_scale": 0})
    async with TestServer(application(world)) as server:
        slack = Slack(world.app.bot_token, f"http://{server.host}:{server.port}/api/")
        await slack.open(repeat=False)
        await slack.introduce()
        yield Office(world, database, slack)
        await slack.close()


def hire(world: World, user: str, **facts: Any) -> None:
    world.users[user] = User(id=user, name=user.lower(), **{"team_id": world.team.id, **facts})
    world.channels[SUPPORT].members.append(user)


async def test_a_slack_channel_of_several_pages_is_read_whole(office: Office) -> None:
    new = [f"U0NEW{number:05}" for number in range(230)]
    async with office.database.connection() as c:
        for user in new:
            hire(office.world, user)
            facts = {"id": user, "team_id": office.world.team.id}
            await table.save_agent(c, user, user, "tr-TR", facts, office.now)
    presence = office.presence()
    assert await presence.candidates("support") == tuple(sorted([*BOTH, *new]))
    assert office.calls("conversations.members") == 2
    assert await presence.candidates("support") == tuple(sorted([*BOTH, *new]))
    assert office.calls("conversations.members") == 2, "and not asked for again for a while"
    office.world.channels[SUPPORT].members.remove(MEHMET)
    office.now += MEMBERS
    assert MEHMET not in await presence.candidates("support")


async def test_who_may_not_answer_is_no_candidate(office: Office) -> None:
    hire(office.world, "U0GUEST001", is_restricted=True)
    hire(office.world, "U0GONE0001", deleted=True)
    hire(office.world, "U0STRANGE1", is_stranger=True, team_id="T0ELSEWHR1")
    hire(office.world, "U0ROBOT001", is_bot=True)
    assert await office.presence().candidates("support") == BOTH
    named = Team(
        name="named", slack_channel=SUPPORT, members=frozenset({AYSE, "U0GUEST001", "U0GONE0001", "U0NOBODY01"})
    )
    presence = office.presence(named)
    assert await presence.candidates("named") == (AYSE, "U0GUEST001"), "a guest where the shop names them"
    assert await presence.candidates("elsewhere") == ()


async def test_who_is_deactivated_leaves_within_minutes(office: Office) -> None:
    presence = office.presence()
    await presence.candidates("support")
    office.world.users[MEHMET].deleted = True
    office.now += MEMBERS + timedelta(seconds=1)
    assert await presence.candidates("support") == (AYSE,)


async def test_while_slack_is_away_the_last_list_holds_and_slack_is_left_alone(office: Office) -> None:
    presence = office.presence()
    await presence.candidates("support")
    office.now += MEMBERS
    await office.troubled("conversations.members")
    before = office.calls("conversations.members")
    for _ in range(5):
        assert await presence.candidates("support") == BOTH
    assert office.calls("conversations.members") == before + 1
    office.world.troubles.clear()
    office.world.channels[SUPPORT].members.remove(MEHMET)
    office.now += PAUSE
    assert await presence.candidates("support") == (AYSE,)


async def test_without_any_list_only_those_whom_the_shop_names_are_known(office: Office) -> None:
    await office.troubled("conversations.members", "usergroups.users.list", "users.info")
    named = Team(name="named", slack_channel=SUPPORT, members=frozenset({AYSE, "S0TEAM0001"}))
    assert await office.presence().candidates("support") == ()
    assert await office.presence(named).candidates("named") == (AYSE,)


async def test_whom_slack_cannot_describe_is_who_the_shop_says_but_not_whoever_joined(office: Office) -> None:
    await office.troubled("users.info")
    named = Team(name="named", slack_channel=SUPPORT, members=frozenset({AYSE}))
    assert await office.presence().candidates("support") == ()
    assert await office.presence(named).candidates("named") == (AYSE,)


async def test_how_slack_shows_people_is_kept_and_not_asked_too_often(office: Office) -> None:
    presence = office.presence()
    await office.world.set_presence(AYSE, "away")
    assert await presence.look(BOTH) == set(BOTH)
    assert (await office.known(AYSE)).present is False
    assert (await office.known(MEHMET)).present is True
    await presence.look(BOTH)
    assert office.calls("users.getPresence") == 2
    office.now += DOT
    await presence.look([AYSE])
    assert office.calls("users.getPresence") == 3


async def test_since_when_is_only_known_of_who_was_watched_all_along(office: Office) -> None:
    presence, began = office.presence(), office.now
    await office.world.set_presence(AYSE, "away")
    await presence.look([AYSE])
    office.now += WATCHED - timedelta(seconds=1)
    await presence.look([AYSE])
    assert (await office.known(AYSE)).seen_at == began
    office.now += WATCHED + timedelta(seconds=1)
    await presence.look([AYSE])
    assert (await office.known(AYSE)).seen_at == office.now, "they may have been there in between"


async def test_a_failure_keeps_what_was_learned_and_tells_whom_it_is_known_of(office: Office) -> None:
    presence = office.presence()
    await presence.look([AYSE])
    office.now += DOT
    await office.troubled("users.getPresence")
    assert await presence.look(BOTH) == {AYSE}, "of Ayşe from two minutes ago, of Mehmet nothing"
    assert (await office.known(MEHMET)).present is None
    office.now += 2 * DOT
    assert await presence.look(BOTH) == frozenset()
    assert (await office.known(AYSE)).present is True, "what it said last"


async def test_one_unknown_person_does_not_hide_the_others(office: Office) -> None:
    assert await office.presence().look(["U0NOBODY01", *BOTH]) == set(BOTH)


async def test_the_teams_of_somebody_are_all_of_them_while_slack_does_not_say(office: Office) -> None:
    teams = [
        Team(name="support", slack_channel=SUPPORT),
        Team(name="named", slack_channel=SUPPORT, members=frozenset({MEHMET})),
        Team(name="other", slack_channel="C0GENERAL1", members=frozenset({AYSE, MEHMET})),
    ]
    assert await office.presence(*teams).teams_of(AYSE) == ["support", "other"]
    await office.troubled("conversations.members")
    assert await office.presence(*teams).teams_of(AYSE) == ["support", "other"]
