"""`santral check` against emulators: each thing that can be wrong is named with its fix, and hides nothing else."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from app import check
from app.config import Config
from app.manifest import SCOPES
from app.postgres import Database, Postgres
from channels import registry
from channels.channel import Finding
from inbox.store.database import Database as Store
from sandbox import slack, telegram
from tests.ports import free_port

SUPPORT, AYSE, BOT_USER = "C0SUPPORT1", "U0AYSE0001", "U0SANTRAL1"
TOKEN = "900100200:AAE-sandbox_token_of_the_kumbara_bot"
SECRETS = ("xoxb-sandbox-bot-token", "xapp-1-sandbox-app-token", "sandbox-signing-secret", TOKEN, "geheim")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDKs take a proxy from the environment even for this machine."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data_dir of a server that somebody runs."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def postgres(served: Path) -> Iterator[Database]:
    server = Postgres(served)
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
        bot = {"token": TOKEN, "username": "kumbara_bot", "name": "Kumbara"}
        async with ClientSession() as http, http.post(f"{base}/telegram/control/bots", json=bot) as answer:
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


@pytest.mark.parametrize("kind", sorted(check.SDKS))
def test_what_is_loaded_before_any_patience_begins_is_what_a_channel_calls_with(kind: str) -> None:
    """A module that has moved would be loaded within a server's ten seconds again, or stop the check."""
    module = registry.KINDS[kind].adapter.__module__
    assert f"from {check.SDKS[kind]} import Client" in inspect.getsource(sys.modules[module])


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
        "The desk's own texts: complete in",
    ):
        assert about(said, words), words
    assert "`santral serve` brings it up to date" in about(said, "Database: PostgreSQL at ")[0]


async def test_looking_leaves_the_database_as_it_was(shop: Shop, postgres: Database) -> None:
    await shop.check()
    line = await asyncpg.connect(postgres.dsn)
    tables = await line.fetchval("select count(*) from pg_tables where schemaname = 'public'")
    await line.close()
    assert tables == 0


# Slack


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("token_revoked", "Slack says that bot_token was revoked."),
        (
            "account_inactive",
            "Slack says that the app was taken out of the workspace, or that its bot was deactivated.",
        ),
        ("invalid_auth", "Slack does not know bot_token."),
        ("org_login_required", "Slack refuses bot_token: org_login_required."),
    ],
)
async def test_a_token_slack_refuses_hides_nothing_else(shop: Shop, error: str, words: str) -> None:
    await shop.slack.revoke("xoxb-sandbox-bot-token", error)
    found = await shop.check()
    assert [finding.what for finding in found if not finding.ok] == [words]
    assert about([finding.what for finding in found], "bot: The bot @kumbara_bot answers.")


async def test_an_app_token_slack_refuses(shop: Shop) -> None:
    await shop.slack.revoke("xapp-1-sandbox-app-token", "invalid_auth")
    assert await shop.wrong() == ["Slack events: Slack refuses app_token (invalid_auth)."]


async def test_each_missing_scope_is_named_with_what_it_is_for(shop: Shop) -> None:
    left = [scope for scope in SCOPES if scope not in {"files:read", "users:read"}]
    await shop.slack.set_up({"app": {"scopes": left}})
    assert await shop.wrong() == [
        "Slack: the scope files:read is missing; it is there to: send agents' files to customers.",
        "Slack: the scope users:read is missing; it is there to: agents' names, languages and time zones, "
        "and who is there to be given a conversation.",
        "Team support: Slack refuses users.info: missing_scope.",
    ]


async def test_a_bot_that_was_not_invited(shop: Shop) -> None:
    await shop.slack.kick(SUPPORT)
    (finding,) = [finding for finding in await shop.check() if not finding.ok]
    assert finding.what == "Team support: santral is not in the Slack channel #support."
    assert finding.fix == "Write /invite @santral in #support."


async def test_slack_channels_that_do_not_serve(shop: Shop) -> None:
    everyone = [BOT_USER, AYSE]
    await shop.slack.set_up(
        {
            "channels": [
                {"id": "C0ARCHIVED", "name": "old", "members": everyone, "is_archived": True},
                {"id": "C0SHARED01", "name": "partner", "members": everyone, "is_ext_shared": True},
                {"id": "C0PRIVATE1", "name": "private", "members": [AYSE], "is_private": True},
            ]
        }
    )
    names = {"old": "C0ARCHIVED", "shared": "C0SHARED01", "private": "C0PRIVATE1", "typo": "C0NOWHERE1"}
    shop.values["teams"] = [{"name": name, "slack_channel": id} for name, id in names.items()]
    assert await shop.wrong() == [
        "Team old: the Slack channel #old is archived.",
        "Team shared: the Slack channel #partner is shared with another company, which would read every customer.",
        "Team private: there is no Slack channel C0PRIVATE1, or it is private and santral is not in it.",
        "Team typo: there is no Slack channel C0NOWHERE1, or it is private and santral is not in it.",
    ]


async def test_members_nobody_knows_who_left_or_who_are_no_people(shop: Shop) -> None:
    people = [
        {"id": AYSE, "name": "ayse"},
        {"id": "U0GONE0001", "name": "gone", "deleted": True},
        {"id": "U0OTHERBOT", "name": "helper", "is_bot": True},
    ]
    groups = [{"id": "S0EMPTY001", "handle": "empty"}, {"id": "S0FULL0001", "handle": "full", "users": [AYSE]}]
    await shop.slack.set_up({"users": people, "user_groups": groups})
    members = [AYSE, "S0FULL0001", "U0NOBODY01", "U0GONE0001", "U0OTHERBOT", "S0EMPTY001", "S0NOWHERE1"]
    shop.values["teams"][0]["members"] = members
    assert await shop.wrong() == [
        "Team support: the member U0NOBODY01 is nobody in this workspace.",
        "Team support: the member U0GONE0001 (gone) has been deactivated in Slack.",
        "Team support: the member U0OTHERBOT (helper) is a bot, and bots never answer customers.",
        "Team support: nobody is in the user group S0EMPTY001.",
        "Team support: the member S0NOWHERE1 is nobody in this workspace.",
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"action": "down"}, "Slack answered http_503"),
        ({"action": "drop_before"}, "Slack did not answer"),
        ({"action": "ratelimit", "retry_after": 30}, "Slack asks to wait with"),
    ],
)
async def test_slack_is_down(shop: Shop, rule: dict[str, Any], words: str) -> None:
    await shop.slack.trouble([rule])
    found = await shop.check()
    wrong = [finding.what for finding in found if not finding.ok]
    assert len(about(wrong, f"Slack: {words}")) == len(about(wrong, f"Slack events: {words}")) == 1, wrong
    assert len(wrong) == 2 and about([finding.what for finding in found], "bot: ")


async def test_an_address_where_nobody_is_slack(shop: Shop) -> None:
    shop.values["slack"]["api_url"] = f"http://127.0.0.1:{free_port()}/api"
    assert await shop.wrong() == ["Slack: Slack cannot be reached.", "Slack events: Slack cannot be reached."]


async def test_events_that_slack_is_to_send(shop: Shop) -> None:
    del shop.values["slack"]["app_token"]
    shop.values["slack"]["signing_secret"] = "sandbox-signing-secret"
    (what,) = await shop.wrong()
    assert what.startswith("Slack events: they cannot reach us.")
    shop.values["public_url"] = "https://support.example.com"
    said = [finding.what for finding in await shop.check() if finding.ok]
    assert "https://support.example.com/slack/events" in about(said, "Slack events:")[0]
    assert about(said, "Public address: https://support.example.com")


# channels


async def test_a_webhook_that_leads_elsewhere_and_an_address_without_https(shop: Shop) -> None:
    shop.values["public_url"] = "http://santral.internal"
    shop.values["channels"][0]["receive"] = "webhook"
    hook = {"url": "https://old.example.com/x"}
    async with ClientSession() as http, http.post(f"{shop.base}/telegram/bot{TOKEN}/setWebhook", json=hook) as answer:
        assert (await answer.json())["ok"]
    assert await shop.wrong() == ["bot: Telegram delivers to old.example.com instead of here."]
    shop.values["slack"]["api_url"] = "https://slack.com/api/"
    (finding,) = await check.public_address(Config.model_validate(shop.values))
    assert not finding.ok
    assert finding.what == "Public address: http://santral.internal is not https, so no provider calls it."


async def test_a_channel_whose_provider_is_away_hides_no_other(shop: Shop) -> None:
    away = {"name": "second", "kind": "telegram", "token": "1:x", "api_url": f"http://127.0.0.1:{free_port()}"}
    shop.values["channels"].insert(0, away)
    found = await shop.check()
    wrong = [finding.what for finding in found if not finding.ok]
    assert len(wrong) == 1 and wrong[0].startswith("second: ")
    assert about([finding.what for finding in found], "bot: The bot @kumbara_bot answers.")


async def test_a_mailbox_whose_keys_do_not_fit_is_told_in_its_own_words(shop: Shop) -> None:
    shop.values["channels"] = [
        {
            "name": "mail",
            "kind": "email",
            "address": "support@shop.example",
            "smtp": "smtp://127.0.0.1:2525",
            "dkim_key": "A" * 43 + "=",
        }
    ]
    assert about(await shop.wrong(), "mail") == ["mail: The DKIM selector '' is not a name that DNS can hold."]


async def test_a_shop_without_channels(shop: Shop) -> None:
    shop.values["channels"] = []
    assert await shop.wrong() == ["There is no channel yet, so no customer can write."]


# the database


async def test_wrong_addresses_of_the_database(shop: Shop, postgres: Database) -> None:
    port = free_port()
    shop.values["database_url"] = f"postgres://santral:geheim@127.0.0.1:{port}/santral"
    assert await shop.wrong() == [f"Database: nothing answers at 127.0.0.1:{port}."]
    shop.values["database_url"] = "postgres://santral:geheim@nowhere.invalid/santral"
    assert await shop.wrong() == ["Database: there is no host for nowhere.invalid:5432."]
    shop.values["database_url"] = postgres.dsn.replace("/santral?", "/sontral?")
    (what,) = await shop.wrong()
    assert what.endswith("has no database 'sontral'.")
    shop.values["database_url"] = postgres.dsn.replace("//santral@", "//nobody:geheim@")
    (what,) = await shop.wrong()
    assert what.endswith("refuses the user or password.")


async def test_a_database_that_serve_has_prepared(shop: Shop, postgres: Database) -> None:
    line = await asyncpg.connect(postgres.dsn)
    await line.execute("create database prepared")
    await line.close()
    dsn = shop.values["database_url"] = postgres.dsn.replace("/santral?", "/prepared?")
    async with Store.open(dsn, connections=2) as store:
        await store.migrate()
    said = [finding.what for finding in await shop.check() if finding.ok]
    assert about(said, "Database: ")[0].endswith("its tables are up to date.")


async def test_a_database_whose_user_may_make_no_tables(shop: Shop, postgres: Database) -> None:
    line = await asyncpg.connect(postgres.dsn)
    await line.execute("create role reader login")
    shop.values["database_url"] = postgres.dsn.replace("//santral@", "//reader@")
    try:
        assert await shop.wrong() == ["Database: the user may not make tables in 'santral'."]
    finally:
        await line.execute("drop role reader")
        await line.close()


@pytest.mark.usefixtures("postgres")
async def test_our_own_database_while_it_is_served(shop: Shop, served: Path) -> None:
    del shop.values["database_url"]
    shop.values["data_dir"] = str(served)
    said = [finding.what for finding in await shop.check() if finding.ok]
    assert about(said, "Database: Santral's own PostgreSQL is running (version ")


async def test_our_own_database_before_the_first_start(shop: Shop, tmp_path: Path) -> None:
    del shop.values["database_url"]
    shop.values["data_dir"] = str(tmp_path / "var")
    said = [finding.what for finding in await shop.check() if finding.ok]
    assert about(said, "Database: Santral's own PostgreSQL starts (version ")


async def test_our_own_database_that_nothing_installed_can_open(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    del shop.values["database_url"]
    shop.values["data_dir"] = str(tmp_path)
    (finding,) = [finding for finding in await shop.check() if not finding.ok]
    assert finding.what.startswith("Database: The database in ") and "PostgreSQL 9" in finding.what
    assert "santral backup" in finding.fix


# deciding


async def test_hours_rules_and_texts_are_told(shop: Shop) -> None:
    shop.values["teams"][0]["hours"] = "24/7"
    said = [finding.what for finding in await shop.check()]
    assert about(said, "Support hours (support): 24/7; open now")
    (rules,) = about(said, "Rules: Santral's own, ")
    assert "in force" in rules
    assert about(said, "Templates: Santral's own, ")


async def test_a_shop_without_hours_is_reminded(shop: Shop) -> None:
    said = [finding.what for finding in await shop.check()]
    assert about(said, "Support hours (support): none given")


async def test_hours_that_do_not_open_for_two_months_need_somebody(shop: Shop) -> None:
    far = (datetime.now(UTC) + timedelta(days=120)).strftime("%b")
    shop.values["teams"][0]["hours"] = f"{far} 15 09:00-10:00"
    (wrong,) = await shop.wrong()
    assert wrong.endswith("closed, and does not open within 60 days.")


async def test_everything_that_is_wrong_with_deciding_is_named_with_its_place(shop: Shop, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rules]]\nname = "x"\nwhen = { tgas = ["refund"] }\nthen = { team = "support" }\n')
    shop.values |= {"rules": str(rules)}
    shop.values["teams"][0] |= {"hours": "Mo-Fr 09:00-18:00; Mo-Su off", "languages": ["de"]}
    assert await shop.wrong() == [
        'rules.toml:3 "x" . when.tgas: is not a key that Santral knows.',
        'teams[1] "support" . languages[1]: "de" is no language of the shop.',
        'teams[1] "support" . hours: "Mo-Fr 09:00-18:00; Mo-Su off" is never open.',
    ]


async def test_the_program_draws_the_calendar(shop: Shop, tmp_path: Path) -> None:
    shop.values["teams"][0]["hours"] = "Mo-Su 09:00-18:00"
    file = tmp_path / "santral.toml"
    tables = {key: value for key, value in shop.values.items() if isinstance(value, dict | list)}
    written = [f"{key} = {json.dumps(value)}" for key, value in shop.values.items() if key not in tables]
    for key, value in tables.items():
        for table in value if isinstance(value, list) else [value]:
            written += [f"[[{key}]]" if isinstance(value, list) else f"[{key}]"]
            written += [f"{name} = {json.dumps(item)}" for name, item in table.items()]
    file.write_text("\n".join(written))
    program = Path(sys.executable).parent / "santral"
    process = await asyncio.create_subprocess_exec(
        program, "check", "--config", str(file), stdout=PIPE, stderr=PIPE, env={**os.environ, "PYTHONUTF8": "1"}
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    lines = out.decode().splitlines()
    (title,) = (number for number, line in enumerate(lines) if line.startswith("  support   Europe/Istanbul, now "))
    days = lines[title + 2 : title + 16]
    assert all("·········█████████······  09:00-18:00" in line for line in days)
    assert [line.startswith("  ▸ ") for line in days] == [True] + 13 * [False]
