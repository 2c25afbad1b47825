"""Runs Santral until it is told to stop: database, migrations, web server, workers, pullers, in that order.

Rule: SIGTERM and SIGINT end it gracefully within ten seconds: what was accepted is finished, nothing new is begun.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

import structlog
from aiohttp import web

from app.build import App, build, now
from app.clock import TurnedClock
from app.config import Config, StoreConfig
from app.policy import policy_of
from app.postgres import Postgres
from app.reload import Reload
from app.store import reach
from channels.channel import Listens, Registers
from channels.errors import ChannelError
from inbox import figures
from inbox.changes import Put
from inbox.store import cursors, deliveries, echoes, withdrawals, work
from inbox.store import slack as slack_table
from inbox.store.database import Database
from inbox.work import Failed, Wait
from routing.rounds.promising import TIMERS, fingerprint

REQUESTS = 3.0  # seconds that requests under way get to finish; workers have seven of the ten
TIDY = 3600.0  # seconds between two rounds of forgetting
FIGURES = 5.0  # seconds between two readings of the backlog
M_MMAP_THRESHOLD, LARGE_BLOCK = -3, 1 << 20  # mallopt(3), and bytes
CLOCKS = ":clocks"  # the cursor that says by which hours and targets the promises were worked out
AGAIN = 3600.0  # seconds between two registrations
PATIENCE = 2.0  # seconds between two tries to reach Slack or a provider at the start

log = structlog.get_logger()


class CannotListen(Exception):
    """The address to listen on is not free."""


def run(config: Config, roles: frozenset[str], reread: Callable[[], Config], clock: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Raises what keeps it from starting, in words."""
    _open_standard_streams()
    _give_memory_back()
    configure_logs()
    loop_factory = _uvloop()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve(config, roles, reread, clock))


async def serve(config: Config, roles: frozenset[str], reread: Callable[[], Config], clock: Path | None = None) -> None:
    """Serve with this configuration. `reread` reads it anew for SIGHUP; `clock` is a file with a clock to turn."""
    policy = policy_of(config)  # before anything is started: what is wrong is told at once
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    asked = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(_server(config))
        database = await stack.enter_async_context(Database.open(dsn, name=f"santral {','.join(sorted(roles))}"))
        await database.migrate()
        turned = TurnedClock(clock) if clock is not None else None
        app = await build(config, database, roles, now, policy, turned)
        stack.push_async_callback(app.close)
        reload = Reload(config, app.policy, database, reread, tell=app.reload_refused)
        reloading = asyncio.create_task(_reload_when(asked, reload))
        stack.callback(reloading.cancel)
        if turned is not None:
            watching = asyncio.create_task(turned.watch(reload.look_again))
            stack.callback(watching.cancel)
        await running(config, app, database, roles, stop)
    log.info("serve.stopped")


async def _reload_when(asked: asyncio.Event, reload: Reload) -> None:
    while True:
        await asked.wait()
        asked.clear()
        await reload()


async def running(config: Config, app: App, database: Database, roles: frozenset[str], stop: asyncio.Event) -> None:
    """Run an application until `stop` is set, then end it gracefully. Raises `CannotListen`."""
    background = _Background()
    runner = None
    if "web" in roles:
        runner = web.AppRunner(app.web.application(), access_log=None, shutdown_timeout=REQUESTS)
        await runner.setup()
        try:
            await web.TCPSite(runner, config.listen.host or None, config.listen.port).start()
        except OSError as error:
            raise CannotListen(
                f"{config.listen} is not free ({error.strerror}). Stop what listens there, or change `listen`."
            ) from error
        for site in runner.addresses:
            log.info("serve.listening", address=f"{site[0]}:{site[1]}")
    for name, channel in app.listening.items():
        background.start(f"listen {name}", _listen(name, channel, app))
    if roles & {"work", "pull"}:
        async with database.connection() as c:
            await work.unpark_all(c)
            await work.put(c, app.begins)
            now_set = fingerprint(app.policy())
            if "work" in roles and await cursors.read(c, CLOCKS) != now_set:  # hours or targets changed while we stood
                await work.put(c, [Put(kind=TIMERS, key="all")])
                await cursors.move(c, CLOCKS, now_set)
        background.start("worker", app.worker.run())
        background.start("figures", _read_figures(database))
        background.start("tidy", _tidy(database))
    background.start("slack", _introduce(app))
    if app.socket is not None:
        background.start("socket", _connect(app))
    if "work" in roles and config.public_url and config.public_url.startswith("https://"):
        for section in config.channels:
            called = app.channels[section.name]
            if isinstance(called, Registers) and section.name not in app.pulled:
                registering = _register(section.name, called, config.webhook_url(section))
                background.start(f"register {section.name}", registering)
    log.info("serve.started", roles=sorted(roles))
    if not gc.isenabled():  # the command switched it off for the start
        gc.freeze()  # what is loaded by now stays: nobody need look through it for garbage again
        gc.enable()
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({waiting, *background.vital}, return_when=asyncio.FIRST_COMPLETED)
    log.info("serve.stopping")
    app.web.accepting = False
    app.puller.stop()
    app.worker.stop()
    if app.socket is not None:
        with suppress(Exception):  # it may never have been connected
            await asyncio.wait_for(app.socket.close(), REQUESTS)
    if runner is not None:
        await runner.cleanup()
    with suppress(TimeoutError):  # what a database that hangs has not stored was not acknowledged either
        await asyncio.wait_for(app.intake.close(), REQUESTS / 3)
    await background.end()


class _Background:
    """Tasks beside the web server. The worker is vital: should it end by itself, the process ends and is seen to."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def vital(self) -> set[asyncio.Task[None]]:
        return {task for name, task in self._tasks.items() if name == "worker"}

    def start(self, name: str, work_: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = asyncio.create_task(work_, name=name)

    async def end(self) -> None:
        """Wait for the worker, which was told to stop; end the others. Raises what the worker died of."""
        for name, task in self._tasks.items():
            if name != "worker":
                task.cancel()
        outcomes = await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for name, outcome in zip(self._tasks, outcomes, strict=True):
            if name == "worker" and isinstance(outcome, Exception):
                raise outcome


@asynccontextmanager
async def _server(config: StoreConfig) -> AsyncIterator[str]:
    """The database's address: the configured one, or our own server for as long as this lasts."""
    if config.database_url is not None:
        await reach(config.database_url.get_secret_value())
        yield config.database_url.get_secret_value()
        return
    postgres = Postgres(config.data_dir)
    try:
        database = await postgres.start()
        watching = asyncio.create_task(postgres.watch())
        try:
            yield database.dsn
        finally:
            watching.cancel()
    finally:
        await postgres.stop()


async def _introduce(app: App) -> None:
    """Learn who we are in Slack, however long Slack is away; until then we are not ready."""
    while True:
        try:
            who = await app.slack.introduce()
        except (Failed, Wait) as error:
            log.warning("slack.not_reached", reason=str(error))
            await asyncio.sleep(PATIENCE)
        else:
            log.info("slack.introduced", team=who.team)
            return


async def _connect(app: App) -> None:
    assert app.socket is not None
    while True:
        try:
            await app.socket.open()
        except Exception as error:  # noqa: BLE001 - whatever the SDK throws, Slack may be back in a moment
            log.warning("slack.socket_not_open", error=type(error).__name__)
            await asyncio.sleep(PATIENCE)
        else:
            return


async def _listen(name: str, channel: Listens, app: App) -> None:
    """Take what senders deliver to us. A door that cannot be opened is tried again: another process may hold it."""
    while True:
        try:
            await channel.listen(app.letters.receive)
            return
        except (ChannelError, OSError) as error:
            log.error("channel.not_listening", channel=name, reason=str(error))
            await asyncio.sleep(PATIENCE * 5)


async def _register(name: str, channel: Registers, url: str) -> None:
    """Tell a provider where to call us, and again every hour: some stop calling who was away for long."""
    pause = PATIENCE * 5
    while True:
        try:
            await channel.register(url)
        except ChannelError as error:
            log.warning("channel.not_registered", channel=name, reason=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, AGAIN)
        else:
            log.info("channel.registered", channel=name)
            pause = PATIENCE * 5
            await asyncio.sleep(AGAIN)


async def _read_figures(database: Database) -> None:
    while True:
        with suppress(Exception):  # figures never matter more than what they count
            async with database.connection() as c:
                lines = await work.backlog(c)
                for gauge in (figures.WAITING, figures.PARKED, figures.OLDEST):
                    gauge.clear()  # or a kind of which nothing is left would keep its last figure
                for line in lines:
                    figures.WAITING.labels(line.kind).set(line.waiting)
                    figures.PARKED.labels(line.kind).set(line.parked)
                    age = (now() - line.oldest).total_seconds() if line.oldest else 0
                    figures.OLDEST.labels(line.kind).set(max(age, 0))
        await asyncio.sleep(FIGURES)


async def _tidy(database: Database) -> None:
    """Forget what only served to recognise repeats."""
    while True:
        try:
            async with database.connection() as c:
                await slack_table.forget_events(c)
                await deliveries.forget_receipts(c)
                await withdrawals.forget_tombstones(c)
                await echoes.forget(c)
        except Exception as error:  # noqa: BLE001 - the next round does it
            log.warning("serve.not_tidied", error=type(error).__name__)
        await asyncio.sleep(TIDY)


def configure_logs(stream: Any = None) -> None:
    """One line of JSON an event, on stderr: names and ids, no bodies, no secrets."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _frames,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Patient(stream or sys.stderr))),
        cache_logger_on_first_use=False,
    )
    # Libraries log requests with URLs in them, and a Telegram URL carries the bot's token.
    logging.basicConfig(level=logging.CRITICAL)
    for name in ("slack_bolt", "slack_sdk", "aiogram", "tortoise", "asyncio", "aiohttp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _frames(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Where an exception came from, without its words: a database's complaint quotes what a customer wrote."""
    told = event.pop("exc_info", None)
    error = told if isinstance(told, BaseException) else sys.exc_info()[1] if told else None
    if error is not None:
        places = traceback.extract_tb(error.__traceback__)
        event["at"] = [f"{place.filename}:{place.lineno} {place.name}" for place in places[-12:]]
        event["cause"] = type(error.__cause__ or error.__context__ or error).__name__
    return event


class _Patient:
    """A stream whose reader may go away. Nobody reading the log is no reason to stop answering customers."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.write(text)

    def flush(self) -> None:
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.flush()


def _open_standard_streams() -> None:
    """Fill the places of closed standard streams, lest a socket takes one and is written to as a terminal."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _give_memory_back() -> None:
    """Have glibc return large blocks to the system once they are free. Otherwise mails of 25 MB leave 300 MB behind."""
    if sys.platform == "linux":
        import ctypes

        with suppress(AttributeError, OSError):  # other C libraries do so by themselves
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


def _uvloop() -> Any:
    try:
        import uvloop
    except ImportError:  # Windows, PyPy: asyncio's own loop does
        return None
    return uvloop.new_event_loop
