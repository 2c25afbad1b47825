"""SIGHUP while Santral serves: new hours, rules and texts hold at once; what is wrong changes nothing and is said."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from app.build import _Alarm
from app.policy import policy_of, read
from app.reload import Reload
from desk.teams import Team, Teams
from inbox.store.database import Database
from routing.policy import Live
from tests.crash.program import Program
from tests.scenarios.desk import query
from tests.world import SUPPORT, World, eventually

HOURS = "Mo-Fr 09:00-18:00; PH off"
NEVER = "Mo-Fr 09:00-18:00; Mo-Su off"
RULES = """
tags = ["zebra"]

[[rules]]
name = "zebras"
when = {{ {key} = ["zebra desenli"] }}
then = {{ add_tags = ["zebra"], priority = "urgent" }}
"""
TEXTS = """
[acknowledge-closed]
title = "Kapalıyız"
text = "{text}"
"""


@pytest.fixture
def files(world: World) -> World:
    """A shop whose rules and texts are files of its own, which say nothing yet."""
    (world.folder / "texts").mkdir()
    (world.folder / "rules.toml").touch()
    world.settings |= {"rules": "rules.toml", "templates": "texts"}
    return world


def rules(world: World, key: str = "says") -> None:
    (world.folder / "rules.toml").write_text(RULES.format(key=key), encoding="utf-8")


def closed_these_days() -> dict[str, str]:
    today = datetime.now(UTC).date()
    return {(today + timedelta(days=days)).isoformat(): "off" for days in (-1, 0, 1)}


# --- one reload -----------------------------------------------------------------------------------------------------


class Running:
    """A running policy, and what the desk was told of it."""

    def __init__(self, world: World, database: Database) -> None:
        self.world = world
        self.database = database
        config = self.reread()
        self.live = Live(policy_of(config))
        self.told: list[str] = []
        self.troubles = 0  # how often telling fails
        self.reload = Reload(config, self.live, database, self.reread, tell=self._tell, pause=0)

    def reread(self) -> Any:
        return read(self.world.config_file(), {})

    async def _tell(self, said: str) -> None:
        if self.troubles:
            self.troubles -= 1
            raise ConnectionError
        self.told.append(said)


@pytest_asyncio.fixture
async def running(files: World, database: Database) -> Running:
    await files.open()
    return Running(files, database)


async def test_hours_rules_texts_targets_and_people_are_taken_over_as_one(running: Running, files: World) -> None:
    before = running.live()
    files.team |= {"hours": HOURS, "targets": {"urgent": {"first_answer": "15m"}}, "assign": "round_robin"}
    rules(files)
    (files.folder / "texts/tr.toml").write_text(TEXTS.format(text="Şu an kapalıyız."), encoding="utf-8")
    with capture_logs() as logs:
        assert await running.reload()
    after = running.live()
    assert after is not before
    assert after.first.hours is not None
    assert [rule.name for rule in after.rules.rules] == ["zebras"]
    assert after.replies.acknowledgement("closed", "tr", {}).text == "Şu an kapalıyız."
    assert after.targets.teams.keys() == {"support"}
    assert [line for line in logs if line["event"].startswith("serve.")] == [
        {"event": "serve.reloaded", "log_level": "info", "rules": 1, "teams": ["support"]}
    ]
    assert running.told == []


async def test_open_clocks_and_assignments_are_looked_at_again(running: Running, files: World) -> None:
    files.team |= {"assign": "round_robin"}
    await running.reload()
    assert {(row["kind"], row["key"]) for row in await query(files, "select kind, key from work")} == {
        ("timers", "all"),
        ("assign", "support"),
    }


async def test_what_is_wrong_leaves_the_running_policy_in_force_and_is_told(running: Running, files: World) -> None:
    before = running.live()
    files.team |= {"hours": NEVER, "patience": "soon"}
    rules(files, key="sais")
    with capture_logs() as logs:
        assert not await running.reload()
    assert running.live() is before
    (line,) = (line for line in logs if line["event"] == "serve.reload_refused")
    assert running.told == ["\n".join(line["problems"])]
    assert [problem.partition(": ")[0] for problem in line["problems"]] == [
        'teams[1] "support" . patience',
        'rules.toml:6 "zebras" . when.sais',
        'teams[1] "support" . hours',
    ]
    assert await query(files, "select 1 from work") == []

    files.team |= {"hours": HOURS, "patience": "2h"}
    rules(files)
    assert await running.reload()
    assert running.live() is not before
    assert running.told[1:] == [""]  # nothing is wrong any more
    assert await running.reload()
    assert len(running.told) == 2


async def test_the_desk_is_told_once_that_refused_files_are_in_force_and_again_of_the_next_mistake(
    running: Running,
) -> None:
    one, other = (_Alarm(Teams([Team(name="support", slack_channel=SUPPORT)])) for _ in range(2))  # two processes
    for alarm in (one, other):
        async with running.database.transaction() as c:
            await alarm.files_refused(c, "rules.toml:6: no such condition")
    await query(running.world, "update notices set shown_at = now() returning 1")
    for alarm in (one, other, one):
        async with running.database.transaction() as c:
            await alarm.files_in_force(c)
    told = [row["notice"] for row in await query(running.world, "select notice::text from notices")]
    assert [json.loads(notice) for notice in told] == [{"notice": "rules_again"}]
    async with running.database.transaction() as c:
        await one.files_refused(c, "rules.toml:6: no such condition")
    assert len(await query(running.world, "select 1 from notices")) == 2


async def test_what_nobody_saw_refused_needs_no_all_clear(running: Running) -> None:
    alarm = _Alarm(Teams([Team(name="support", slack_channel=SUPPORT)]))
    async with running.database.transaction() as c:
        await alarm.files_refused(c, "rules.toml:6: no such condition")
        await alarm.files_in_force(c)
    assert await query(running.world, "select 1 from notices") == []


async def test_a_file_that_is_gone_is_told_as_well(running: Running, files: World) -> None:
    (files.folder / "rules.toml").unlink()
    assert not await running.reload()
    assert running.told == [
        'rules: "rules.toml" is not there; mend the name, or leave the key out for the rules that Santral brings'
    ]


async def test_a_long_list_of_problems_is_told_in_part(running: Running, files: World) -> None:
    files.team |= {"tags": [f"nothing-{number}" for number in range(20)]}
    assert not await running.reload()
    lines = running.told[0].splitlines()
    assert (len(lines), lines[-1]) == (9, "and 12 more")


async def test_what_only_a_start_can_change_is_named(running: Running, files: World) -> None:
    files.team |= {"undo_seconds": 7, "capacity": 3}
    files.channel |= {"secret": "another-secret"}
    files.workspace |= {"posts_per_second": 3}
    files.port += 1
    with capture_logs() as logs:
        assert await running.reload()
    assert running.live().first.capacity == 3
    (line,) = (line for line in logs if line["event"] == "serve.reload_needs_restart")
    assert line["changed"] == ["public_url", "listen", "slack", 'teams "support" . undo_seconds', 'channels "bot"']


async def test_a_team_that_came_or_went_needs_a_restart(running: Running, files: World) -> None:
    before = running.live()
    files.team |= {"name": "helpers"}
    assert not await running.reload()
    assert running.live() is before
    assert running.told == [
        'teams: "helpers" is new; restart Santral for that\nteams: "support" is gone; restart Santral for that'
    ]


async def test_a_desk_that_cannot_be_told_now_is_told_later(running: Running, files: World) -> None:
    files.team |= {"hours": NEVER}
    running.troubles = 3
    assert not await running.reload()
    assert len(running.told) == 1


async def test_what_nobody_thought_of_leaves_the_running_policy_in_force(running: Running, files: World) -> None:
    before = running.live()

    def reread() -> Any:
        raise RuntimeError("token 123:geheim")

    running.reload = Reload(running.reread(), running.live, running.database, reread, tell=running._tell)
    assert not await running.reload()
    assert running.live() is before
    assert running.told == ["RuntimeError while they were read; the log says more"]


# --- the program ----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def program(files: World) -> AsyncIterator[Program]:
    """`santral serve` with the files of `files`, told where the emulators are."""
    made = Program(files)
    await made.start()
    await files.connect()
    yield made
    await made.close()


async def reload(program: Program, event: str) -> dict[str, Any]:
    """Send SIGHUP after the configuration was written anew, and wait for what the log says of it."""
    before = len(program.lines())
    program.world.config_file()
    program.process.send_signal(signal.SIGHUP)

    def look() -> dict[str, Any] | None:
        return next((line for line in program.lines()[before:] if line["event"] == event), None)

    found = await eventually(look)
    assert found is not None
    return found


async def shown(world: World, words: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The card with these words, once it is as it should be."""

    async def look() -> dict[str, Any] | None:
        return next((root for root in await world.roots() if words in str(root) and fits(root)), None)

    found = await eventually(look)
    assert found is not None
    return found


def tagged(root: dict[str, Any]) -> bool:
    return "zebra" in str(root).replace("zebra desenli", "")


async def test_the_running_program_takes_over_rules_hours_and_texts(program: Program, files: World) -> None:
    first, second = files.customer("Ece Ak"), files.customer("Can Er")
    await files.telegram.say(first, text="Selam, zebra desenli kutum geldi mi acaba")
    assert not tagged(await shown(files, "zebra desenli", lambda root: True))

    rules(files)
    text = "Şu an kapalıyız, {{ shop }} size {{ opening }} yazar."
    (files.folder / "texts/tr.toml").write_text(
        TEXTS.format(text="{% if opening %}" + text + "{% else %}Kapalıyız.{% endif %}"), encoding="utf-8"
    )
    files.team |= {"hours": "Mo-Su 00:00-24:00", "exceptions": closed_these_days()}
    assert (await reload(program, "serve.reloaded"))["rules"] == 1

    await files.telegram.say(second, text="Selam, zebra desenli kutum hani nerede kaldı")
    await shown(files, "nerede kaldı", tagged)

    async def told() -> bool:
        return any(said.startswith("Şu an kapalıyız,") for said in await files.answers(second))

    await eventually(told)
    assert await files.answers(first) == []


async def test_the_desk_is_told_in_its_slack_channel_and_the_program_serves_on(program: Program, files: World) -> None:
    rules(files)
    await reload(program, "serve.reloaded")
    rules(files, key="sais")
    files.team |= {"hours": NEVER}
    line = await reload(program, "serve.reload_refused")
    assert len(line["problems"]) == 2

    async def told() -> bool:
        return any("when.sais" in str(root) and "never open" in str(root) for root in await files.roots(SUPPORT))

    await eventually(told)
    await files.telegram.say(files.customer("Ece Ak"), text="Selam, zebra desenli kutum hani nerede kaldı")
    await shown(files, "nerede kaldı", tagged)
    assert await files.ready()


async def test_reloads_amid_traffic_lose_nothing_and_double_nothing(program: Program, files: World) -> None:
    customers = [files.customer(f"Müşteri {number}") for number in range(10)]

    async def write(customer: int) -> None:
        for number in range(4):
            await files.telegram.say(customer, text=f"Selam {customer}-{number}.")

    async def turn() -> None:
        for number in range(6):
            rules(files, key="sais" if number % 2 else "says")
            files.team |= {"capacity": number + 1}
            await reload(program, "serve.reload_refused" if number % 2 else "serve.reloaded")

    await asyncio.gather(turn(), *map(write, customers))
    wanted = [f"Selam {customer}-{number}." for customer in customers for number in range(4)]

    async def all_shown() -> bool:
        said = str(await files.roots())
        return all(said.count(words) >= 1 for words in wanted)

    await eventually(all_shown, within=30)
    rows = await query(files, "select text, count(*) as many from messages where direction = 'in' group by text")
    assert {row["text"]: row["many"] for row in rows} == dict.fromkeys(wanted, 1)
    assert program.alive
