"""`santral demo`: the real program between emulators of every provider and Slack, with a page to play all sides.

Rule: nothing is faked inside Santral. It runs as `serve`, in a process of its own, configured by a file like anyone's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import signal
import socket
import sys
import webbrowser
from asyncio.subprocess import Process
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import aiohttp
import structlog
from rich.console import Console

from app.config import load
from app.policy import policy_of
from app.postgres import find, running
from app.postgres_errors import DataDirTaken
from sandbox.lines import approved, sections

TOKEN = "4711:demo-token-of-the-emulated-telegram"  # noqa: S105 - of the emulator
SECRET = "demo-webhook-secret"  # noqa: S105 - of the emulator
MAILBOX, MAILBOX_PASSWORD = "support@kumbara.example", "demo-mailbox"
FOLDER = Path("var") / "demo"
PATIENCE = 60.0  # seconds a slow machine may need before we say that something is wrong
CALENDAR = timedelta(days=2 * 366)  # as far as the clock of the page can be turned, both ways
END = 12.0  # seconds `serve` gets to end, two more than it promises

CONFIG = """\
# Written anew by each `santral demo`. A real one looks the same: see santral.example.toml.
public_url = "{app}"
listen = "127.0.0.1:{port}"
data_dir = "data"
database_url = "{database}"
rules = "rules.toml"
templates = "templates"

[shop]
name = "Kumbara"
country = "TR"
timezone = "Europe/Istanbul"
languages = ["en", "tr", "ru", "de", "ar"]

[slack]
bot_token = "xoxb-demo"
signing_secret = "demo-signing-secret"
api_url = "{page}/slack/api/"

# What customers are promised, counted in support hours.
[targets]
urgent = {{ first_answer = "15m", next_answer = "30m" }}
high = {{ first_answer = "1h", next_answer = "2h" }}
normal = {{ first_answer = "4h", resolution = "3d" }}
low = {{ first_answer = "1d" }}

[[agents]]
id = "U08DENIZ001"
languages = ["en", "tr", "ar"]

[[agents]]
id = "U08MARTA001"
languages = ["en", "ru", "de"]

[[teams]]
name = "support"
slack_channel = "C08KUMBARA1"
members = ["U08DENIZ001", "U08MARTA001"]
hours = "Mo-Fr 09:00-18:00; Sa 10:00-14:00; PH off"
assign = "round_robin"
escalate = {{ mention = ["U08DENIZ001"] }}
ask_first = false
undo_seconds = 3

[[teams]]
name = "returns"
slack_channel = "C08KUMBARA2"
members = ["U08DENIZ001", "U08MARTA001"]
tags = ["return", "refund", "damaged", "wrong-item"]
hours = "Mo-Fr 09:00-18:00; Sa 10:00-14:00; PH off"
ask_first = false
undo_seconds = 3

[[channels]]
name = "kumbara-bot"
kind = "telegram"
token = "{token}"
receive = "webhook"
secret = "{secret}"
api_url = "{page}/telegram"

[[channels]]
name = "mail"
kind = "email"
address = "{mailbox}"
from_name = "Kumbara"
imap = "imap://{login}@127.0.0.1:{imap}"
smtp = "smtp://{login}@127.0.0.1:{smtp}"
trusted_authserv = ["mx.kumbara.example"]

[[channels]]
name = "chat"
kind = "webchat"
title = "Kumbara"
color = "#b8481f"
origins = ["{page}"]

{apps}
"""

RULES = """\
# The rules of the demo's shop, looked at from top to bottom at every message. What they do stands on the card.
tags = ["gift"]

[[rules]]
name = "A present has a date"
when = { says = ["birthday", "doğum gün*", "день рождения", "дню рождения", "geburtstag*", "عيد ميلاد"] }
then = { raise_to = "high", add_tags = ["gift"] }

[[rules]]
name = "Nobody waits a day unseen"
when = { waiting_over = "1d", priorities = ["normal", "low"] }
unless = { tags = ["praise"] }
then = { raise_to = "high" }
"""


class DemoFailed(Exception):
    """The demo could not be shown."""


def run(*, port: int, browser: bool) -> None:
    """Show the demo until Ctrl-C. Raises `DemoFailed` or a `PostgresFailed`, in words."""
    asyncio.run(_demo(port, browser))


async def _demo(port: int, browser: bool) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console()
    port = port or _free_port()
    if not _is_free(port):
        raise DemoFailed(f"port {port} is in use. Stop what uses it, or: santral demo --port {port + 1}")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    page, app = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{_free_port()}"
    imap, smtp = _free_port(), _free_port()
    folder = _fresh_folder()
    async with AsyncExitStack() as stack:
        with console.status("Starting PostgreSQL…") as status:
            try:
                database = await stack.enter_async_context(running(folder / "postgres"))
            except DataDirTaken as error:
                raise DemoFailed("another `santral demo` runs in this folder; stop it first") from error
            (folder / "rules.toml").write_text(RULES, encoding="utf-8")
            (folder / "templates").mkdir(exist_ok=True)
            (folder / "templates" / "approved.toml").write_text(approved(), encoding="utf-8")
            config = folder / "santral.toml"
            config.write_text(
                CONFIG.format(
                    app=app, port=app.rpartition(":")[2], database=database.dsn, page=page, token=TOKEN, secret=SECRET,
                    mailbox=MAILBOX, login=f"{quote(MAILBOX, safe='')}:{MAILBOX_PASSWORD}", imap=imap, smtp=smtp,
                    apps=sections(page),
                ),
                encoding="utf-8",
            )  # fmt: skip
            clock, hours = folder / "clock", folder / "hours.json"
            hours.write_text(opening_hours(config), encoding="utf-8")
            status.update("Opening the phones and the desk…")
            emulators = await _start(
                folder / "page.log", "-m", "sandbox", "--listen", f"127.0.0.1:{port}", "--app-url", app,
                "--database", database.dsn, "--telegram-token", TOKEN,
                "--imap-port", str(imap), "--smtp-port", str(smtp), "--mailbox-password", MAILBOX_PASSWORD,
                "--clock", str(clock), "--hours", str(hours),
            )  # fmt: skip
            stack.push_async_callback(_end, emulators)
            await _answers(f"{page}/", emulators, folder / "page.log", stop)
            status.update("Starting Santral…")
            santral = await _start(
                folder / "santral.log", "-c", "from app.cli import main; main()", "serve", "--config", str(config),
                "--clock", str(clock),
            )  # fmt: skip
            stack.push_async_callback(_end, santral)
            await _answers(f"{app}/health/ready", santral, folder / "santral.log", stop)
            await _connect(page, app)
        if stop.is_set():
            return
        console.print(f"\n  [bold]Santral is running:[/] [link={page}/]{page}/[/link]")
        console.print("  Customers' phones, mailboxes and browsers on the left, Slack on the right.")
        console.print("  At the top right stands the shop's clock. It can be turned.")
        console.print(f"  [dim]Its log: {FOLDER / 'santral.log'}[/]")
        console.print("  Ctrl-C ends it.\n")
        if browser:
            with suppress(webbrowser.Error):
                await asyncio.to_thread(webbrowser.open, f"{page}/")
        await _until_any(stop, santral, emulators, folder)
    shutil.rmtree(folder / "postgres", ignore_errors=True)


def opening_hours(config: Path) -> str:
    """The moments at which the first team opens and closes, for the page, which knows nothing of Santral's hours."""
    hours = policy_of(load(config, {})).first.hours
    assert hours is not None
    began = datetime.now(UTC)
    at, spans = began - CALENDAR, []
    while at < began + CALENDAR:
        opens = at if hours.open_at(at) else hours.opens_after(at)
        closes = hours.closes_after(opens) if opens else None
        if opens is None or closes is None:
            break
        spans.append((opens.timestamp(), closes.timestamp()))
        at = closes
    return json.dumps({"zone": hours.zone.key, "text": hours.text, "spans": spans})


def _fresh_folder() -> Path:
    """The emulators remember nothing from the last time, so Santral must not either."""
    if find(FOLDER / "postgres") is None:  # else another demo runs here, and is told apart by its lock
        for old in ("data", "postgres"):
            shutil.rmtree(FOLDER / old, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER.resolve()


async def _start(log: Path, *arguments: str) -> Process:
    with log.open("wb") as output:
        return await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=output, stderr=output, start_new_session=True
        )


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _answers(url: str, process: Process, log: Path, stop: asyncio.Event) -> None:
    """Wait until a process serves `url`; its last words are shown should it end instead."""
    try:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
            while not stop.is_set():
                if process.returncode is not None:
                    raise DemoFailed(f"a part of the demo ended at once: {_last_words(log)}")
                with suppress(aiohttp.ClientError):
                    async with session.get(url) as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise DemoFailed(f"{url} does not answer; see {log}") from None


async def _connect(page: str, app: str) -> None:
    """Point the emulated Telegram at Santral, as `serve` does by itself where it has a public https address.

    The page has told the other emulators when it started.
    """
    url = f"{page}/telegram/bot{TOKEN}/setWebhook"
    values = {"url": f"{app}/webhooks/kumbara-bot", "secret_token": SECRET, "allowed_updates": "[]"}
    async with aiohttp.ClientSession() as session, session.post(url, data=values) as answer:
        if answer.status != 200:
            raise DemoFailed(f"the emulated Telegram refuses the webhook ({answer.status})")


async def _until_any(stop: asyncio.Event, santral: Process, emulators: Process, folder: Path) -> None:
    waits = {
        asyncio.create_task(stop.wait()): None,
        asyncio.create_task(santral.wait()): "santral.log",
        asyncio.create_task(emulators.wait()): "page.log",
    }
    done, rest = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    log = waits[done.pop()]
    if log is not None and not stop.is_set():
        raise DemoFailed(f"a part of the demo ended: {_last_words(folder / log)}")


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:400] if lines else f"see {log}"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
