"""`santral check` against emulators: each thing that can be wrong is named with its fix, and hides nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app import check
from app.config import Config
from app.manifest import SCOPES
from app.postgres import Database, Postgres
from channels.channel import Finding
from sandbox import slack, telegram

SUPPORT, AYSE, BOT_USER = "C0SUPPORT1", "U0AYSE0001", "U0SANTRAL1"
TOKEN = "900100200:AAE-sandbox_token_of_the_kumbara_bot"
SECRETS = ("xoxb-sandbox-bot-token", "xapp-1-sandbox-app-token", "sandbox-signing-secret", TOKEN, "geheim")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDKs take a proxy from the environment even for this machine."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A server that somebody runs; `data_dir` is the parent of its cluster."""
    server = Postgres(tmp_path_factory.mktemp("served"))
    yield asyncio.run(server.start())
    asyncio.run(server.stop())


@dataclass
class Shop:
    """A configuration and the outside world it talks to."""

    slack: slack.World
    telegram: telegram.World
    base: str
    values: dict[str, Any] = field(default_factory=dict)

    async def check(self) -> list[Finding]:
        found = await check.check(Config.model_validate(self.values))
        for finding in found:
            assert finding.ok or finding.fix, f"{finding.what} comes without a fix"
            assert not [secret for secret in SECRETS if secret in f"{finding.what} {finding.fix}"]
        return found

    async def wrong(self) -> list[str]:
        return [finding.what for finding in await self.check() if not finding.ok]


@pytest.fixture
async def shop(postgres: Database) -> AsyncIterator[Shop]:
    """All is well: a workspace with the bot in #support, a polled bot at Telegram, Socket Mode, a database."""
    workspace, messenger = slack.World(), telegram.World()
    workspace.change_settings({"tier_scale": 0})
    page = web.Application()
    page.add_subapp("/slack", slack.application(workspace))
    page.add_subapp("/telegram", telegram.application(messenger))
    async with TestServer(page) as server:
        base = str(server.make_url("")).rstrip("/")
        await workspace.set_up({"app": {"scopes": list(SCOPES)}})
        async with server_client() as http, http.post(
            f"{base}/telegram/control/bots", json={"token": TOKEN, "username": "kumbara_bot", "name": "Kumbara"}
        ) as answer:
            assert answer.status == 200
        yield Shop(
            slack=workspace,
            telegram=messenger,
            base=base,
            values={
                "database_url": postgres.dsn,
                "shop": {"name": "Kumbara", "country": "TR", "timezone": "Europe/Istanbul", "languages": ["tr"]},
                "slack": {
                    "bot_token": "xoxb-sandbox-bot-token",
                    "app_token": "xapp-1-sandbox-app-token",
                    "api_url": f"{base}/slack/api",
                },
                "teams": [{"name": "support", "slack_channel": SUPPORT, "members": [AYSE]}],
                "channels": [
                    {"name": "bot", "kind": "telegram", "token": TOKEN, "api_url": f"{base}/telegram"},
                ],
            },
        )


def server_client() -> Any:
    import aiohttp

    return aiohttp.ClientSession()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def about(found: Sequence[str], part: str) -> list[str]:
    return [what for what in found if what.startswith(part)]


async def test_all_is_well(shop: Shop) -> None:
    found = await shop.check()
    assert [finding.what for finding in found if not finding.ok] == []
    said = [finding.what for finding in found]
    for words in (
        "Slack: signed in as santral in",
        "Slack: the app has every scope it needs.",
        "Team support: the Slack channel #support is ready.",
        "Team support: all its members are known to Slack.",
        "Slack events: Socket Mode opens.",
        "bot: The bot @kumbara_bot answers.",
        "Texts: complete in",
    ):
        assert about(said, words), words
    assert "`santral serve` brings it up to date" in about(said, "Database: PostgreSQL at ")[0]


async def test_looking_leaves_the_database_as_it_was(shop: Shop, postgres: Database) -> None:
    await shop.check()
    line = await asyncpg.connect(postgres.dsn)
    tables = await line.fetchval("select count(*) from pg_tables where schemaname = 'public'")
    await line.close()
    assert tables == 0
