"""The command line as a person at a terminal meets it: words, exit codes, nothing heavy before it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.manifest import EVENTS, SCOPES, SHORTCUTS, manifest
from app.terminal import show_findings
from channels.channel import Finding

SANTRAL = Path(sys.executable).with_name("santral")
TOKEN = "123456789:AA-geheim"

GOOD = """
public_url = "https://support.example.com"

[shop]
name = "Kumbara"
country = "TR"
timezone = "Europe/Istanbul"
languages = ["tr", "en"]

[[channels]]
name = "bot"
kind = "telegram"
token = "${TELEGRAM_TOKEN}"

[[channels]]
name = "second"
kind = "telegram"
token = "1:x"
receive = "poll"
"""


@pytest.fixture
def santral(tmp_path: Path):
    def call(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SANTRAL_")}
        return subprocess.run(
            [SANTRAL, *arguments],
            cwd=tmp_path,
            env={**inherited, "COLUMNS": "200", **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


@pytest.mark.parametrize(
    "command",
    [(), ("serve",), ("check",), ("slack", "manifest"), ("quarantine", "replay"), ("backup",)],
)
def test_help_is_everywhere(santral, command):
    told = santral(*command, "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert "Usage: santral" in told.stdout


def test_help_names_every_command(santral):
    told = santral("--help").stdout
    for command in ["demo", "serve", "check", "migrate", "backup", "restore", "channels", "slack", "quarantine"]:
        assert f" {command} " in told


def test_help_waits_for_nothing_heavy():
    script = (
        "import sys; from app.cli import run; run(['--help']); "
        "heavy = {'aiogram', 'aiohttp', 'asyncpg', 'babel', 'phonenumbers', 'pydantic', 'slack_bolt', 'slack_sdk', "
        "'tortoise'}; print('loaded', sorted(heavy & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "loaded []"


def test_a_process_loads_the_adapters_of_its_own_kinds_alone():
    script = (
        "import sys; from channels.registry import CAPABILITIES, KINDS, make; "
        "make('telegram', 'bot', {'token': '1:x'}); assert 'x' in KINDS and len(CAPABILITIES) == 9; "
        "print({name.split('.')[1] for name in sys.modules if name.startswith('channels.') and name.count('.') > 1})"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == "{'telegram'}\n"


def test_version(santral):
    told = santral("--version")
    assert told.returncode == 0
    assert told.stdout.startswith("santral 0.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sevre",), "No such command 'sevre'. Did you mean 'serve'?; see `santral --help`"),
        (("serve", "--rolls", "web"), "see `santral serve --help`"),
        (("serve", "--roles", "web,cook"), "cook is no role; there are web, work, pull"),
        (("serve", "--roles", ","), "name one at least of web, work, pull"),
        (("backup",), "Missing argument 'FILE'"),
        (("quarantine", "replay"), "give the ids to replay, or --all"),
        (("quarantine", "replay", "7", "--all"), "give the ids to replay, or --all"),
        (("quarantine", "replay", "seven"), "Invalid value"),
        (("slack", "manifest", "--url", "https://a.example", "--socket-mode"), "give --url or --socket-mode, not both"),
        (("slack", "manifest", "--url", "http://a.example"), "is not encrypted; write https://"),
        (("slack", "manifest", "--socket-mode", "--name", "x" * 36), "a name has 1 to 35 visible characters"),
    ],
)
def test_wrong_usage_is_one_line_and_2(santral, arguments, words):
    told = santral(*arguments)
    assert told.returncode == 2
    assert told.stdout == ""
    assert len(told.stderr.splitlines()) == 1
    assert words in told.stderr


def test_a_broken_configuration_lists_everything_and_is_2(santral, tmp_path):
    (tmp_path / "santral.toml").write_text(GOOD.replace('"TR"', '"Turkey"'))
    for command in ("serve", "check"):
        told = santral(command, SLACK_TOKEN="xoxb-geheim")
        assert told.returncode == 2
        assert told.stdout == ""
        assert told.stderr.splitlines() == [
            "santral: santral.toml: 4 problems",
            '  shop.country: "Turkey" is not a country code of two letters; did you mean TR?',
            "  slack: is missing; add [slack] with bot_token, and app_token or signing_secret",
            "  teams: is missing; add [[teams]] with a name and a slack_channel",
            '  channels[1] "bot" . token: TELEGRAM_TOKEN is not set in the environment; export it or write the value',
        ]


def test_no_configuration_says_how_to_begin(santral):
    told = santral("serve")
    assert told.returncode == 2
    assert told.stderr == (
        "santral: santral.toml: there is no such file; "
        "try `santral demo`, which needs none, or copy santral.example.toml and fill it in\n"
    )


def test_the_file_is_named_by_the_option_or_else_by_the_environment(santral, tmp_path):
    (tmp_path / "one.toml").write_text(GOOD)
    (tmp_path / "two.toml").write_text(GOOD.replace("bot", "two"))
    by_option = santral("channels", "--config", "one.toml", SANTRAL_CONFIG="two.toml", TELEGRAM_TOKEN=TOKEN)
    by_environment = santral("channels", SANTRAL_CONFIG="two.toml", TELEGRAM_TOKEN=TOKEN)
    assert by_option.stdout.startswith("bot\t")
    assert by_environment.stdout.startswith("two\t")


def test_channels_as_json_shows_addresses_and_no_secret(santral, tmp_path):
    (tmp_path / "santral.toml").write_text(GOOD)
    told = santral("channels", "--json", TELEGRAM_TOKEN=TOKEN)
    assert told.returncode == 0
    listed = json.loads(told.stdout)
    assert [entry.pop("carries")["max_text"] for entry in listed] == [4096, 4096]
    assert listed == [
        {
            "name": "bot",
            "kind": "telegram",
            "receives": "webhook",
            "url": "https://support.example.com/webhooks/bot",
        },
        {"name": "second", "kind": "telegram", "receives": "poll", "url": ""},
    ]
    assert "geheim" not in told.stdout + told.stderr


@pytest.mark.parametrize("debug", ["", "1"])
def test_what_fails_is_told_without_a_secret_and_is_1(santral, tmp_path, debug):
    (tmp_path / "santral.toml").write_text('database_url = "postgres://santral:geheim@127.0.0.1:1/santral"\n')
    told = santral("migrate", SANTRAL_DEBUG=debug)
    assert told.returncode == 1
    assert told.stdout == ""
    assert "geheim" not in told.stderr
    assert ("Traceback" in told.stderr) == bool(debug)
    assert debug or len(told.stderr.splitlines()) == 1


def test_a_reader_that_goes_away_is_no_failure_worth_words(tmp_path):
    (tmp_path / "santral.toml").write_text(GOOD)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        told = subprocess.run(
            [SANTRAL, "channels"],
            cwd=tmp_path,
            env={**os.environ, "TELEGRAM_TOKEN": TOKEN},
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert told.stderr == ""


def test_findings_are_shown_with_their_fix(capsys):
    found = [
        Finding(ok=True, what="Slack: the bot token works, in the workspace Kumbara [prod]"),
        Finding(ok=False, what='Telegram "bot": the webhook points elsewhere', fix="start `santral serve` once"),
    ]
    show_findings(found, Path("santral.toml"))
    assert [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()] == [
        "santral check  santral.toml",
        "✓ Slack: the bot token works, in the workspace Kumbara [prod]",
        '✗ Telegram "bot": the webhook points elsewhere',
        "→ start `santral serve` once",
        "1 of 2 needs you.",
    ]


# --- The Slack app's manifest ---------------------------------------------------------------------------------------


def test_without_a_configuration_the_manifest_is_for_socket_mode(santral):
    told = santral("slack", "manifest")
    assert told.returncode == 0
    assert yaml.safe_load(told.stdout)["settings"]["socket_mode_enabled"] is True
    assert told.stderr.startswith("# for Socket Mode, as there is no santral.toml yet")


def test_the_manifest_knows_the_address_from_an_unfinished_configuration(santral, tmp_path):
    (tmp_path / "santral.toml").write_text('public_url = "https://support.example.com/desk/"\n')
    settings = yaml.safe_load(santral("slack", "manifest").stdout)["settings"]
    assert settings["event_subscriptions"]["request_url"] == "https://support.example.com/desk/slack/events"


def test_the_manifest_for_events_by_http():
    read = yaml.safe_load(manifest("https://support.example.com", "Kumbara"))
    settings = read["settings"]
    assert settings["socket_mode_enabled"] is False
    assert settings["event_subscriptions"] == {
        "request_url": "https://support.example.com/slack/events",
        "bot_events": list(EVENTS),
    }
    assert settings["interactivity"] == {
        "is_enabled": True,
        "request_url": "https://support.example.com/slack/interactive",
    }
    assert read["display_information"]["name"] == "Kumbara"
    assert read["oauth_config"]["scopes"]["bot"] == list(SCOPES)


def test_the_manifest_for_socket_mode_names_no_address():
    text = manifest(None)
    assert "request_url" not in text
    assert yaml.safe_load(text)["settings"]["socket_mode_enabled"] is True


def test_every_shortcut_fits_slack_and_is_what_the_desk_listens_to():
    shortcuts = yaml.safe_load(manifest(None))["features"]["shortcuts"]
    assert {shortcut["callback_id"] for shortcut in shortcuts} == {
        "conv_assign_me",
        "conv_resolve",
        "conv_note",
        "conv_send",
        "conv_undo",
    }
    assert len(shortcuts) <= 10
    assert all(len(label) <= 24 for label, _ in SHORTCUTS.values())
    assert {shortcut["type"] for shortcut in shortcuts} == {"message"}


def test_every_event_has_the_scope_that_slack_asks_for():
    needed = {
        "message.channels": "channels:history",
        "message.groups": "groups:history",
        "user_change": "users:read",
        "subteam_updated": "usergroups:read",
        "subteam_members_changed": "usergroups:read",
        "member_joined_channel": "channels:read",
        "channel_archive": "channels:read",
        "group_archive": "groups:read",
    }
    assert set(needed) <= set(EVENTS)
    assert set(needed.values()) <= set(SCOPES)


@given(st.text(min_size=1, max_size=35).filter(str.isprintable))
def test_any_name_survives_yaml(name):
    assert yaml.safe_load(manifest(None, name))["display_information"]["name"] == name
