"""`santral serve` as whoever runs it meets it: a real process that starts, answers, complains in words and ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from inbox.store.database import Database
from tests.crash.program import Program, command
from tests.world import AYSE, SECRET, SUPPORT, TOKEN, World, eventually

LOUD = "Siparişim 4711 nerede, çok kızgınım"  # what a customer says, and no log may repeat
QUIET = "Kargonuz yolda efendim"


@pytest_asyncio.fixture
async def alone(tmp_path: Path) -> AsyncIterator[World]:
    """The emulators, for a program with a database of its own."""
    world = World("", tmp_path)
    world.settings["database_url"] = None
    await world.open()
    yield world
    await world.close()


@pytest_asyncio.fixture
async def started(world: World) -> AsyncIterator[Callable[..., Awaitable[Program]]]:
    """Start programs; they are ended afterwards."""
    programs: list[Program] = []

    async def start(*arguments: str, log: str = "santral.log", closed: bool = False, ready: bool = True) -> Program:
        program = Program(world, *arguments, log=log, closed=closed)
        programs.append(program)
        await program.start(ready=ready)
        return program

    yield start
    for program in programs:
        await program.close()


Started = Callable[..., Awaitable[Program]]


async def both_ways(world: World, say: str = LOUD, answer: str = QUIET) -> None:
    """A customer writes and reads the agent's answer."""
    customer = world.customer("Nilgün Öztürk")
    await world.telegram.say(customer, text=say)
    card = await world.card_with(say)
    await world.slack.post(AYSE, SUPPORT, answer, thread_ts=card["ts"])

    async def answered() -> bool:
        return await world.answers(customer) == [answer]

    await eventually(answered, within=60)


async def test_its_own_database_is_made_kept_over_a_restart_and_ended_with_it(alone: World) -> None:
    program = Program(alone)
    try:
        await program.start()
        await alone.connect()
        await alone.telegram.say(alone.customer(), text="Merhaba, kutu ezik")
        await alone.card_with("kutu ezik")

        second, _, words = await command(alone, "serve", "--config", str(alone.config_file()))
        assert second == 1
        assert "is in use by process" in words
        assert len(words.splitlines()) == 1

        postmaster = program.postmaster()
        assert await program.stop() == 0
        assert not _runs(postmaster)

        await program.start()
        await alone.telegram.say(alone.customer("Mehmet Kaya"), text="İkinci gün")
        await alone.card_with("İkinci gün")
        assert "kutu ezik" in str(await alone.roots())
        assert await program.stop(signal.SIGINT) == 0
    finally:
        await program.close()
    events = [line["event"] for line in program.lines()]
    assert events.count("serve.stopped") == 2


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_taken_port_is_said_in_words(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", world.port))
        taken.listen()
        code, _, words = await command(world, "serve", "--config", str(world.config_file()))
    assert code == 1
    last = words.splitlines()[-1]
    assert last.startswith(f"santral: 127.0.0.1:{world.port} is not free")
    assert "`listen`" in last
    assert "Traceback" not in words


async def test_a_database_that_is_not_there_is_said_in_words_without_its_password(world: World) -> None:
    world.database_url = "postgres://santral:hushhush@127.0.0.1:1/santral"
    code, _, words = await command(world, "serve", "--config", str(world.config_file()))
    assert code == 1
    assert "Traceback" not in words
    assert "hushhush" not in words


async def test_roles_in_processes_of_their_own_carry_messages_both_ways(world: World, started: Started) -> None:
    web, work = await asyncio.gather(
        started("--roles", "web", log="web.log", ready=False), started("--roles", "work", log="work.log", ready=False)
    )
    await eventually(web.ready, within=40)
    await world.connect()
    await both_ways(world)
    assert await web.stop() == 0
    assert await work.stop() == 0
    assert "serve.listening" not in {line["event"] for line in work.lines()}


async def test_a_process_that_only_pulls_and_works_reaches_customers_without_a_public_address(
    world: World, started: Started
) -> None:
    world.settings["public_url"] = None
    world.channel = {"receive": "poll"}
    world.workspace |= {"app_token": world.slack.app.app_token, "signing_secret": None}
    await world.slack.set_up({"app": {"socket_mode": True}})
    pull = await started("--roles", "pull", log="pull.log", ready=False)
    work = await started("--roles", "work", log="work.log", ready=False)

    await eventually(lambda: len(world.slack.deliveries_under_way.connections) > 0, within=40)
    await both_ways(world)
    assert await work.stop() == 0
    assert await pull.stop() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_request_under_way_is_answered_before_the_end(
    world: World, started: Started, database: Database, how: signal.Signals
) -> None:
    program = await started()
    body = (
        '{"update_id": 1, "message": {"message_id": 5, "date": 1700000000, "text": "son söz", '
        '"chat": {"id": 77, "type": "private", "first_name": "Ece"}, "from": {"id": 77, "is_bot": false, '
        '"first_name": "Ece"}}}'
    ).encode()
    headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
    async with database.transaction() as c, aiohttp.ClientSession() as session:
        await c.execute(
            "lock table messages in exclusive mode"
        )  # so that the commit is under way when the signal comes
        asking = asyncio.create_task(_status(session, f"{world.url}/webhooks/bot", body, headers))

        async def waiting() -> bool:
            return bool(await c.fetchval("select count(*) from pg_locks where not granted"))

        await eventually(waiting)
        program.process.send_signal(how)

        async def stopping() -> bool:
            return any(line["event"] == "serve.stopping" for line in program.lines())

        await eventually(stopping)
        await c.execute("commit")
        assert await asyncio.wait_for(asking, 10) == 200
        await c.execute("begin")
    assert await asyncio.wait_for(program.process.wait(), 10) == 0
    await program.start()
    await world.card_with("son söz")


async def _status(session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str]) -> int:
    async with session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_a_hang_up_signal_does_not_end_it(world: World, started: Started) -> None:
    program = await started()
    program.process.send_signal(signal.SIGHUP)

    async def heard() -> bool:
        return any(line["event"] == "serve.reloaded" for line in program.lines())

    await eventually(heard)
    assert (await program.get("/health/ready"))[0] == 200


async def test_probes_and_figures_are_served(world: World, started: Started) -> None:
    program = await started()
    await world.connect()
    assert (await program.get("/health/live"))[0] == 200
    await both_ways(world)
    status, text = await program.get("/metrics")
    assert status == 200
    names = set(re.findall(r"^# TYPE (santral_\w+)", text, re.MULTILINE))
    for wanted in ("arriv", "deliver", "work", "provider"):
        assert any(wanted in name for name in names), (wanted, names)
    assert TOKEN not in text


async def test_the_log_is_json_and_names_nobody(world: World, started: Started) -> None:
    program = await started()
    await world.connect()
    world.telegram.troubles.add([{"match": "sendMessage", "action": "status", "status": 500, "times": 1}])
    world.slack.troubles.add([{"match": "chat.postMessage", "action": "drop_before", "times": 1}])
    await both_ways(world)
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"X-Telegram-Bot-Api-Secret-Token": SECRET}):
            async with session.post(f"{world.url}/webhooks/bot", data=b"{" + LOUD.encode(), headers=headers) as answer:
                assert answer.status in (400, 401)
    assert await program.stop() == 0
    assert {line["event"] for line in program.lines()} >= {"serve.started", "webhook.refused", "serve.stopped"}
    written = program.log.read_bytes().decode()
    secrets = [TOKEN, TOKEN.partition(":")[2], SECRET, "xoxb-sandbox-bot-token", "sandbox-signing-secret"]
    people = [LOUD, QUIET, "4711 nerede", "Nilgün", "Öztürk", "Ayşe"]
    for hidden in [*secrets, *people, *(ascii(word)[1:-1] for word in people)]:
        assert hidden not in written, hidden


async def test_nobody_reading_its_output_does_not_stop_it(world: World, started: Started) -> None:
    program = await started(closed=True)
    await world.connect()
    await both_ways(world)
    assert await program.stop() == 0
