"""Conversations find somebody who is there: in turn, on shift, handed on when people go, and never lost meanwhile."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from sandbox.slack import commands
from tests.scenarios.desk import calls, card_shows, hired, opened, query, say, thread_shows
from tests.scenarios.test_acknowledge import HOURS, MONDAY_MORNING, SATURDAY_NIGHT, istanbul
from tests.world import AYSE, MEHMET, SUPPORT, World, eventually

MONDAY_NOON = istanbul("2027-03-08T12:00")


async def open_shop(world: World, at: Any = MONDAY_NOON, **team: Any) -> None:
    world.team |= {"hours": HOURS, "assign": "round_robin", **team}
    world.settings["acknowledge"] = {"enabled": False}
    await world.turn(at)
    await world.start()


async def holders(world: World) -> list[str]:
    """Who has which conversation, in the order in which they began."""
    return [row["agent"] for row in await query(world, "select agent from conversations order by id")]


async def held(world: World, *agents: str) -> None:
    async def look() -> bool:
        return await holders(world) == list(agents)

    await eventually(look)


async def looked(world: World) -> None:
    """Wait until every team has been looked at."""

    async def look() -> bool:
        due = "select from work where kind = 'assign' and (run_at <= now() or lease is not null)"
        return not await query(world, due)

    await eventually(look)


async def typed(world: World, user: str, text: str) -> str:
    """What somebody is told who types the command."""
    before = len(world.slack.ephemerals)
    answer = await commands.run(world.slack, user, "/inbox", text, channel=SUPPORT)
    assert answer.ok, answer
    (shown,) = list(world.slack.ephemerals)[before:]
    assert shown["user"] == user
    return str(shown["text"])


def until(world: World) -> str:
    """The time in the last answer, as it is where the agent is."""
    return str(re.findall(r"'fallback': '([^']+)'", str(world.slack.ephemerals[-1]["blocks"]))[0])


async def test_conversations_go_round_and_each_person_is_called_once(world: World) -> None:
    await open_shop(world)
    _, first = await opened(world, "Kargom nerede?", "Deniz Kaya")
    await held(world, AYSE)
    _, second = await opened(world, "Beden tablosu var mı?", "Elif Can")
    await held(world, AYSE, MEHMET)
    await card_shows(world, first["ts"], AYSE)
    notice = await thread_shows(world, first["ts"], AYSE)
    assert notice["text"] == say("assign.turn", who=f"<@{AYSE}>")
    await thread_shows(world, second["ts"], MEHMET)
    await looked(world)
    posts = Counter(call["arguments"].get("thread_ts") for call in calls(world, "chat.postMessage"))
    assert (posts[first["ts"]], posts[second["ts"]]) == (1, 1)


async def test_by_hand_is_the_default(world: World) -> None:
    world.team |= {"hours": HOURS}
    await world.turn(MONDAY_NOON)
    await world.start()
    await opened(world)
    assert await query(world, "select from work where kind = 'assign'") == []
    assert await holders(world) == [""]


async def test_what_comes_at_night_waits_for_the_morning(world: World) -> None:
    await open_shop(world, SATURDAY_NIGHT)
    await opened(world, "Kargom nerede?", "Deniz Kaya")
    await opened(world, "Param iade edilmedi!", "Elif Can")
    await looked(world)
    assert await holders(world) == ["", ""]
    assert await query(world, "select from work where kind = 'assign' and run_at > now() and run_at < 'infinity'")
    await world.turn(MONDAY_MORNING)
    await eventually(lambda: _both(world))


async def _both(world: World) -> bool:
    return sorted(await holders(world)) == [AYSE, MEHMET]


async def test_only_people_of_the_team_who_may_answer_are_asked(world: World) -> None:
    hired(world, "U0GUEST001", "guest", is_restricted=True)
    hired(world, "U0GONE0001", "gone", deleted=True)
    hired(world, "U0STRANGE1", "sam", is_stranger=True, team_id="T0ELSEWHR1")
    hired(world, "U0ROBOT001", "robot", is_bot=True)
    await open_shop(world)
    for name in ("Deniz Kaya", "Elif Can", "Can Su"):
        await opened(world, f"Merhaba, ben {name}", name)
    await held(world, AYSE, MEHMET, AYSE)


async def test_members_may_be_a_user_group(world: World) -> None:
    await world.slack.set_up({"user_groups": [{"id": "S0TEAM0001", "handle": "team", "users": [MEHMET]}]})
    await open_shop(world, members=["S0TEAM0001"])
    await opened(world, "Kargom nerede?", "Deniz Kaya")
    await opened(world, "Beden tablosu var mı?", "Elif Can")
    await held(world, MEHMET, MEHMET)


async def test_who_is_away_in_slack_gets_nothing_new(world: World) -> None:
    await world.slack.set_presence(AYSE, "away")
    await open_shop(world)
    await opened(world, "Kargom nerede?", "Deniz Kaya")
    await opened(world, "Beden tablosu var mı?", "Elif Can")
    await held(world, MEHMET, MEHMET)


async def test_slack_not_telling_who_is_there_stops_nothing(world: World) -> None:
    await world.slack.set_presence(AYSE, "away")
    for method in ("users.getPresence", "conversations.members", "users.info"):
        await world.slack.trouble([{"match": method, "action": "ratelimit", "retry_after": 0}])
    await open_shop(world, members=[AYSE, MEHMET])
    await opened(world, "Kargom nerede?", "Deniz Kaya")
    await opened(world, "Beden tablosu var mı?", "Elif Can")
    await held(world, AYSE, MEHMET)


async def test_who_goes_away_hands_their_customers_on_and_gets_none_until_they_are_back(world: World) -> None:
    await open_shop(world)
    _, card = await opened(world, "Kargom nerede?", "Deniz Kaya")
    await held(world, AYSE)

    said = await typed(world, AYSE, "away until 14:30")
    assert said.startswith("🌙")
    assert until(world) == "2027-03-08 14:30 +03"
    assert say("inbox.handed_on", count=1) in said
    await held(world, MEHMET)
    notice = await thread_shows(world, card["ts"], MEHMET)
    assert say("assign.away", before=f"<@{AYSE}>") in notice["text"]
    (row,) = await query(world, "select because from changes where by = 'assignment' order by id desc limit 1")
    assert row["because"] == "who had it is away; whose turn it is"
    await opened(world, "Beden tablosu var mı?", "Elif Can")
    await held(world, MEHMET, MEHMET)

    assert await typed(world, AYSE, "back") == say("inbox.back")
    await opened(world, "Fatura alabilir miyim?", "Can Su")
    await held(world, MEHMET, MEHMET, AYSE)


async def test_the_time_they_gave_brings_them_back(world: World) -> None:
    await open_shop(world)
    await typed(world, AYSE, "away 2h")
    await typed(world, MEHMET, "away")
    await opened(world, "Kargom nerede?", "Deniz Kaya")
    await looked(world)
    assert await holders(world) == [""], "nobody is there, so it stays with the team"
    await world.turn(istanbul("2027-03-08T14:01"))
    await held(world, AYSE)


async def test_who_takes_a_day_off_is_back_when_their_shift_begins(world: World) -> None:
    await open_shop(world)
    await typed(world, AYSE, "away tomorrow")
    assert until(world) == "2027-03-12 09:00 +03", "the three days until then are a feast"
    await typed(world, AYSE, "away until saturday")
    assert until(world) == "2027-03-13 10:00 +03"


async def test_status_lists_what_somebody_has_with_links_to_the_threads(world: World) -> None:
    await open_shop(world)
    assert await typed(world, AYSE, "status") == f"{say('inbox.here')}\n{say('inbox.nothing')}"
    _, card = await opened(world, "Kargom nerede?", "Deniz Kaya")
    await held(world, AYSE)
    said = await typed(world, AYSE, "status")
    assert say("inbox.carried", count=1) in said
    assert f"archives/{SUPPORT}/p{card['ts'].replace('.', '')}|Deniz Kaya>" in said


async def test_what_is_not_understood_is_answered_with_what_is(world: World) -> None:
    await open_shop(world)
    said = await typed(world, AYSE, "away sometime <!here>")
    assert "<!here>" not in said
    assert "/inbox away until friday 10:00" in said
    assert await typed(world, AYSE, "") == await typed(world, AYSE, "help")


async def test_in_a_team_by_hand_nothing_is_handed_on(world: World) -> None:
    world.team |= {"hours": HOURS}
    await world.turn(MONDAY_NOON)
    await world.start()
    assert say("inbox.by_hand") in await typed(world, AYSE, "away")


async def test_a_stranger_is_told_nothing(world: World) -> None:
    hired(world, "U0STRANGE1", "sam", is_stranger=True, team_id="T0ELSEWHR1")
    await open_shop(world)
    assert await typed(world, "U0STRANGE1", "status") == say("inbox.outsider")


async def test_the_command_works_over_socket_mode(world: World) -> None:
    world.workspace |= {"app_token": "xapp-1-sandbox-app-token", "signing_secret": None}
    await world.slack.set_up({"app": {"socket_mode": True}})
    await open_shop(world)
    assert (await typed(world, AYSE, "away 30m")).startswith("🌙")


async def test_who_answers_a_customer_again_gets_them_again(world: World) -> None:
    await open_shop(world)
    customer, card = await opened(world, "Kargom nerede?", "Deniz Kaya")
    await held(world, AYSE)
    await world.slack.post(AYSE, SUPPORT, "Yola çıktı", thread_ts=card["ts"])
    await eventually(lambda: _answered(world, customer))
    await world.slack.press(AYSE, "resolve", channel=SUPPORT, ts=card["ts"])
    await query(world, "update conversations set agent = ''")
    await opened(world, "Beden tablosu var mı?", "Elif Can")
    await world.telegram.say(customer, text="Hâlâ gelmedi")
    await held(world, AYSE, MEHMET)


async def _answered(world: World, customer: int) -> bool:
    return await world.answers(customer) == ["Yola çıktı"]
