"""Santral between its emulators: what scenario tests drive and look at.

Both sides are only touched as people and providers touch them: a customer writes, an agent presses, Slack shows.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, overload

import aiohttp
from aiohttp import web

from app.build import App, build, now
from app.config import Config
from app.config import load as load_config
from app.serve import running
from inbox.changes import Put
from inbox.store import work
from inbox.store.database import Database
from sandbox import mail as mail_sandbox
from sandbox import slack as slack_sandbox
from sandbox import telegram as telegram_sandbox
from tests.ports import free_port
from tests.providers import Providers, register

TOKEN = "4711:abcdefghijklmnopqrstuvwxyz0123456789"
SECRET = "webhook-secret"
SUPPORT = "C0SUPPORT1"
MAILBOX, MAILBOX_PASSWORD = "support@kumbara.example", "sandbox mailbox password"
AYSE, MEHMET = "U0AYSE0001", "U0MEHMET01"  # agents of the emulated workspace
ROLES = frozenset({"web", "work", "pull"})
PATIENCE = 15.0  # seconds a condition may take on a slow machine; nothing waits this long when all is well

T = TypeVar("T")


@overload
async def eventually(look: Callable[[], Awaitable[T]], *, within: float = PATIENCE) -> T: ...
@overload
async def eventually(look: Callable[[], T], *, within: float = PATIENCE) -> T: ...
async def eventually(look: Callable[[], Any], *, within: float = PATIENCE) -> Any:
    """Wait until `look` answers something true, and return it. Fails with the last answer."""
    last: Any = None
    try:
        async with asyncio.timeout(within):
            while True:
                last = look()
                if isinstance(last, Awaitable):
                    last = await last
                if last:
                    return last
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"did not happen within {within} s; last seen: {last!r}") from None


class World:
    """`await start()` runs Santral, `await stop()` ends it gracefully; between both it may be restarted.

    With `mail=True` there is a world of mail as well, and the shop's mailbox in it is a channel named "mail".
    """

    def __init__(self, database_url: str, folder: Path, *, mail: bool = False) -> None:
        self.database_url = database_url
        self.folder = folder
        self.port = free_port()
        self.telegram = telegram_sandbox.World()
        self.slack = slack_sandbox.World()
        self._runners: list[web.AppRunner] = []
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self.app: App | None = None
        self.clock: Callable[[], datetime] = now
        self.shop_clock: Callable[[], datetime] = now  # by which is decided; see `turn`
        self.telegram_url = self.slack_url = ""
        self.settings: dict[str, Any] = {}  # top-level keys laid over the configuration
        self.team: dict[str, Any] = {"ask_first": False, "undo_seconds": 0}
        self.channel: dict[str, Any] = {"receive": "webhook", "secret": SECRET}
        self.shop: dict[str, Any] = {"languages": ["tr", "ru", "en"]}
        self.workspace: dict[str, Any] = {"posts_per_second": 200}
        self._mail = mail_sandbox.World() if mail else None
        self.mail_channel: dict[str, Any] = {}  # keys of the mail channel; what `open` puts there may be changed
        self.more: list[dict[str, Any]] = []  # further channels, each with its name and kind
        self._providers: Providers | None = None
        self.more_teams: list[dict[str, Any]] = []  # each with its name and slack_channel

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mail(self) -> mail_sandbox.World:
        assert self._mail is not None, "this world has no mail: take the fixture mail_world"
        return self._mail

    @property
    def providers(self) -> Providers:
        assert self._providers is not None, "this world has no such providers: call `add_channels`"
        return self._providers

    async def add_channels(self, *kinds: str) -> Providers:
        """Host Twilio, Meta and X, and configure a channel named like its kind for each (all, when none are named)."""
        self._providers = Providers()
        await self._providers.open(self._host)
        self.more += self._providers.channels(*kinds)
        return self._providers

    async def open(self) -> None:
        """Start the emulators, with one bot, a few customers' phones and the default workspace."""
        if self._mail is not None:
            self.mail.add_account(MAILBOX, name="Kumbara", password=MAILBOX_PASSWORD)
            await self.mail.start()
            self.mail_channel |= {
                "address": MAILBOX,
                "imap": self.mail.imap_url(MAILBOX),
                "smtp": self.mail.smtp_url(MAILBOX),
                "trusted_authserv": ["mx.kumbara.example"],
            }
        self.telegram_url = await self._host(telegram_sandbox.application(self.telegram))
        self.slack_url = await self._host(slack_sandbox.application(self.slack))
        self.telegram.add_bot(token=TOKEN, username="kumbara_bot", name="Kumbara")
        await self.telegram.settle({"retry_scale": 0.05, "per_chat": None, "overall": None})
        self.slack.change_settings({"posts_per_second": 0, "tier_scale": 0, "retry_scale": 0.02, "file_delay": 0.01})

    async def _host(self, application: web.Application) -> str:
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    def toml(self, *, token: str = TOKEN) -> str:
        """The configuration file of this world."""

        def table(values: dict[str, Any]) -> str:
            return "\n".join(f"{key} = {_toml(value)}" for key, value in values.items())

        top = {
            "listen": f"127.0.0.1:{self.port}",
            "public_url": self.url,
            "data_dir": str(self.folder / "var"),
            "database_url": self.database_url,
            "model": False,  # a process and seconds of its own: for the tests that ask for it
            **self.settings,
        }
        shop = {"name": "Kumbara", "country": "TR", "timezone": "Europe/Istanbul", **self.shop}
        slack = {
            "bot_token": "xoxb-sandbox-bot-token",
            "signing_secret": "sandbox-signing-secret",
            "api_url": f"{self.slack_url}/api/",
            **self.workspace,
        }
        team = {"name": "support", "slack_channel": SUPPORT, **self.team}
        channel = {"name": "bot", "kind": "telegram", "token": token, "api_url": self.telegram_url, **self.channel}
        mail = [{"name": "mail", "kind": "email", **self.mail_channel}] if self._mail else []
        channels = [channel, *mail, *self.more]
        written = [f"[[channels]]\n{table({k: v for k, v in one.items() if v is not None})}\n" for one in channels]
        return (
            f"{table({k: v for k, v in top.items() if v is not None})}\n[shop]\n{table(shop)}\n"
            f"[slack]\n{table({k: v for k, v in slack.items() if v is not None})}\n"
            + "".join(f"[[teams]]\n{table(one)}\n" for one in [team, *self.more_teams])
            + "".join(written)
        )

    def config_file(self) -> Path:
        path = self.folder / "santral.toml"
        path.write_text(self.toml(), encoding="utf-8")
        tomllib.loads(path.read_text(encoding="utf-8"))
        return path

    def config(self) -> Config:
        return load_config(self.config_file(), {})

    async def connect(self, *, telegram: bool = True) -> None:
        """Tell both providers where Santral listens, as setting up would."""
        if telegram and self.channel["receive"] == "webhook":
            await self.bot_call("setWebhook", url=f"{self.url}/webhooks/bot", secret_token=SECRET)
        if self.workspace.get("app_token") is None:
            await self.slack.set_up(
                {"app": {"events_url": f"{self.url}/slack/events", "interactive_url": f"{self.url}/slack/interactive"}}
            )

    async def bot_call(self, method: str, **values: Any) -> dict[str, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.telegram_url}/bot{TOKEN}/{method}", data=values) as answer,
        ):
            found: dict[str, Any] = await answer.json()
            assert found["ok"], found
            return found

    async def start(self, roles: frozenset[str] = ROLES, *, connect: bool = True) -> None:
        """Run Santral in this process until `stop`."""
        ready: asyncio.Event = asyncio.Event()
        self._stop = asyncio.Event()

        async def run() -> None:
            config = self.config()
            async with Database.open(self.database_url) as database:
                self.app = await build(config, database, roles, lambda: self.clock(), shop=lambda: self.shop_clock())
                try:
                    ready.set()
                    await running(config, self.app, database, roles, self._stop)
                finally:
                    await self.app.close()

        self._task = asyncio.create_task(run())
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()  # when Santral ended instead, the next line says of what
        await eventually(self.ready)
        if connect:
            await self.connect()
            if self._providers is not None:
                assert self.app is not None
                await register(self.app.channels, self.url)

    async def ready(self) -> bool:
        if self._task and self._task.done():
            self._task.result()
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/health/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def stop(self) -> None:
        self._stop.set()
        if self._task is not None:
            await asyncio.wait_for(self._task, 15)
            self._task = None

    async def close(self) -> None:
        if self._task is not None:
            await self.stop()
        await self.telegram.close()
        await self.slack.close()
        if self._providers is not None:
            await self._providers.close()
        if self._mail is not None:
            await self._mail.close()
        for runner in self._runners:
            await runner.cleanup()

    async def turn(self, to: datetime) -> None:
        """Turn the clock of the shop and of its customers to a moment; it goes on from there."""
        offset = to - datetime.now(UTC)
        self.shop_clock = lambda: datetime.now(UTC) + offset
        await self.telegram.settle({"clock_offset": offset.total_seconds()})
        if self._providers is not None:
            for provider in (self._providers.twilio, self._providers.meta, self._providers.x):
                await provider.settle({"clock_offset": offset.total_seconds()})
        if self._task is not None:
            async with Database.open(self.database_url, connections=1) as database, database.connection() as c:
                assert self.app is not None
                teams = self.app.policy().teams.values()
                await work.put(
                    c,
                    [
                        Put(kind="timers", key="all"),
                        *(Put(kind="assign", key=team.name) for team in teams if team.method is not None),
                    ],
                )

    # what people see

    def customer(self, name: str = "Ayşe Yılmaz", **more: Any) -> int:
        """A customer with a phone; answers their id."""
        first, _, last = name.partition(" ")
        user = self.telegram.add_user(first_name=first, last_name=last, **more)
        return int(user["id"] if isinstance(user, dict) else user.id)

    async def state(self) -> dict[str, Any]:
        """Slack as its emulator shows it."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.slack_url}/control/state") as answer,
        ):
            found: dict[str, Any] = await answer.json()
            return found

    async def roots(self, channel: str = SUPPORT) -> list[dict[str, Any]]:
        """The cards in a Slack channel, oldest first, each with its `replies`."""
        for found in (await self.state())["channels"]:
            if found["id"] == channel:
                return [
                    message for message in found["messages"] if not message.get("subtype", "").startswith("channel_")
                ]
        return []

    async def card_with(self, text: str, channel: str = SUPPORT) -> dict[str, Any]:
        """The card or thread in which some words stand, once they do."""

        async def look() -> dict[str, Any] | None:
            return next((root for root in await self.roots(channel) if text in str(root)), None)

        found: dict[str, Any] | None = await eventually(look)
        assert found is not None
        return found

    async def chat(self, user: int) -> list[dict[str, Any]]:
        """What a customer's phone shows."""
        chats = self.telegram.state()["chats"]
        found: list[dict[str, Any]] = chats.get(str(user), chats.get(user, []))
        return found

    async def answers(self, user: int) -> list[str]:
        """What the bot wrote to a customer."""
        return [message["text"] for message in await self.chat(user) if message["from"] == "bot"]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
