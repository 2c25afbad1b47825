"""`santral rules` as whoever writes the rules meets it: what is wrong, and what would have been."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from app.config import IntakeConfig, load
from app.policy import policy_of
from app.rules import Tried, show, tried_on
from channels.message import Address, Attachment, Proof, Received
from inbox.changes import Priority, SetPriority, SetTeam
from inbox.intake import Intake
from inbox.replies import Draft, Replies
from inbox.store import past
from inbox.store.database import Database
from routing.triage import triage

NOW = datetime.now(UTC)
SINCE = NOW - timedelta(days=30)
AYSE = "U0AYSE0001"

CONFIG = """
database_url = "{database_url}"
{top}
[shop]
name = "Kumbara"
country = "TR"
timezone = "Europe/Istanbul"
languages = ["en", "tr"]

[[teams]]
name = "support"
slack_channel = "C0SUPPORT1"

[[teams]]
name = "founders"
slack_channel = "C0FOUNDER1"

[[channels]]
name = "bot"
kind = "telegram"
token = "1:x"
receive = "poll"
"""

RULES = """
tags = ["vip"]

[[phrases]]
tag = "vip"
words = ["gold member*"]

[[rules]]
name = "Chargebacks to the founders"
when = { says = ["chargeback"] }
then = { team = "founders", priority = "urgent" }

[[rules]]
name = "Pictures"
when = { files = ["image/*"] }
then = { raise_to = "high" }

[[rules]]
name = "Never"
when = { languages = ["tr"], known = true }
then = { priority = "low" }
"""

Santral = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]

PROGRAM = """
import sys
from app import cli
from app.rules import rules
if "rules" not in {group.name for group in cli.app.registered_groups}:
    cli.app.add_typer(rules, name="rules")
sys.exit(cli.run(sys.argv[1:]))
"""


@pytest.fixture
def santral(tmp_path: Path) -> Santral:
    async def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SANTRAL_")}
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=tmp_path,
            env={**inherited, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


def configured(folder: Path, database_url: str = "postgres://nowhere/x", rules: str = "") -> IntakeConfig:
    """A configuration file in `folder`, with rules of its own or those that Santral brings."""
    if rules:
        (folder / "rules.toml").write_text(rules, encoding="utf-8")
    top = 'rules = "rules.toml"' if rules else ""
    (folder / "santral.toml").write_text(CONFIG.format(database_url=database_url, top=top), encoding="utf-8")
    return load(folder / "santral.toml", {}, needs=IntakeConfig)


def now() -> datetime:
    return datetime.now(UTC)


class Shop:
    """Customers who write, decided about with the rules of a configuration."""

    def __init__(self, database: Database, config: IntakeConfig) -> None:
        self.database = database
        self.numbers = iter(range(1, 1_000_000))
        policy = policy_of(config)
        self.intake = Intake(database, decide=triage(lambda: policy), follow_up=lambda _, *, lines: (), now=now)
        self.replies = Replies(database, {}, follow_up=lambda _, *, lines: (), now=now)

    async def writes(self, who: str, text: str, *, files: tuple[str, ...] = (), sent_at: datetime = NOW) -> int:
        """Somebody writes; returns their conversation."""
        message = Received(
            channel="bot",
            external_id=str(next(self.numbers)),
            sender=Address(kind="telegram", value=who),
            sent_at=sent_at,
            text=text,
            proof=Proof.PLATFORM,
            attachments=tuple(Attachment(media_type=file, ref="x") for file in files),
        )
        await self.intake.receive([message])
        async with self.database.connection() as c:
            found = await c.fetchval(
                "select conversation_id from messages where channel = 'bot' and external_id = $1", message.external_id
            )
        return int(found)


async def tried(database: Database, config: IntakeConfig, *, rows: int = 50, since: datetime = SINCE) -> Tried:
    return await tried_on(database, policy_of(config), since, rows, lambda done, total: None)


# --- check


async def test_check_reads_the_rules_to_you(santral: Santral, tmp_path: Path) -> None:
    configured(tmp_path, rules=RULES)
    told = await santral("rules", "check")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.splitlines() == [
        "8\tChargebacks to the founders\tsays chargeback\tteam founders, priority urgent",
        "13\tPictures\tfiles image/*\tat least high",
        "18\tNever\tlanguages tr, known yes\tpriority low",
        "rules.toml: 3 rules, 2 phrases, all fine.",
    ]


async def test_check_without_a_file_reads_the_rules_that_santral_brings(santral: Santral, tmp_path: Path) -> None:
    configured(tmp_path)
    told = await santral("rules", "check", "--json")
    found = json.loads(told.stdout)
    assert (told.returncode, found["ok"], found["problems"]) == (0, True, [])
    assert found["file"].startswith("starter-rules.toml")
    assert len(found["rules"]) >= 3


async def test_check_shows_every_mistake_with_its_place_and_its_fix(santral: Santral, tmp_path: Path) -> None:
    configured(tmp_path)
    (tmp_path / "mine.toml").write_text(
        '[[rules]]\nname = "A \x9b1m\\u001b[31m"\nwhen = { tags = ["legall"] }\nthen = { team = "founder" }\n',
        encoding="utf-8",
    )
    told = await santral("rules", "check", "mine.toml")
    assert told.returncode == 1
    assert "\x1b" not in told.stdout
    assert "\x9b" not in told.stdout
    assert 'mine.toml:3 "rules[1]" . when.tags' not in told.stdout
    lines = [line.strip() for line in told.stdout.splitlines()]
    assert lines[0].startswith("mine.toml:2")
    assert '"legall" is no tag' in lines
    assert "→ did you mean legal?, or add it to tags at the top of the file" in lines
    assert "→ did you mean founders?" in lines
    assert lines[-1].startswith("mine.toml: 3 problems.")
    as_json = json.loads((await santral("rules", "check", "mine.toml", "--json")).stdout)
    assert [(one["line"], one["key"]) for one in as_json["problems"]] == [
        (2, "name"), (3, "when.tags"), (4, "then.team")
    ]  # fmt: skip


async def test_check_puts_a_slip_of_toml_into_words(santral: Santral, tmp_path: Path) -> None:
    configured(tmp_path)
    (tmp_path / "mine.toml").write_text("[[rules]]\nname = no quotes\n", encoding="utf-8")
    told = await santral("rules", "check", "mine.toml")
    assert told.returncode == 1
    assert "mine.toml:2" in told.stdout
    assert "a value is not written right" in told.stdout
    assert "→ text needs double quotes" in told.stdout


# --- try


async def test_trying_shows_what_would_stand_otherwise_and_changes_nothing(
    santral: Santral, database: Database, database_url: str, tmp_path: Path
) -> None:
    shop = Shop(database, configured(tmp_path, database_url))
    first = await shop.writes("1", "Hello, I have a\x1b[31m question\u202e")
    await shop.writes("1", "If nobody answers I do a chargeback")
    await shop.writes("2", "As a gold member I want to know: where is my order?")
    await shop.writes("3", "thank you so much!")
    (tmp_path / "mine.toml").write_text(RULES, encoding="utf-8")
    line = await asyncpg.connect(database_url)
    before = await line.fetch("select * from conversations order by id")
    told = await santral("rules", "try", "mine.toml", "--json")
    assert (told.returncode, told.stderr) == (0, "")
    found = json.loads(told.stdout)
    assert (found["messages"], found["conversations"], found["changed"]) == (4, 3, 2)
    assert [(one["name"], one["messages"], one["conversations"]) for one in found["rules"]] == [
        ("Chargebacks to the founders", 1, 1),
        ("Pictures", 0, 0),
        ("Never", 0, 0),
    ]
    to_founders, gold = found["changes"]
    assert to_founders["conversation_id"] == first
    assert to_founders["words"] == "If nobody answers I do a chargeback"
    assert "team support" in to_founders["now"]
    assert "team founders" in to_founders["then"]
    assert "rule ‘Chargebacks to the founders’: says ‘chargeback’" in to_founders["because"]
    assert (gold["now"], gold["then"]) == (["no vip"], ["vip"])
    assert await line.fetch("select * from conversations order by id") == before
    await line.close()


async def test_what_is_shown_is_counted_where_it_is_not_listed_and_cannot_break_a_terminal(
    database: Database, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(database, configured(tmp_path, database_url))
    await shop.writes("1", "a \x1b[31m\u202egold\n\tmember\x9b1m [red]I am[/red] " + "and so on " * 30)
    await shop.writes("2", "gold members' hour?")
    config = configured(tmp_path, database_url, RULES)
    policy = policy_of(config)
    show(await tried(database, config, rows=1), policy.rules, days=30)
    told = capsys.readouterr().out
    assert not [char for char in told if not char.isprintable() and char not in "\n\t"]
    lines = told.splitlines()
    assert lines[0] == "2 messages of customers in 2 conversations, the last 30 days, decided once more."
    assert lines[4] == "2 conversations would stand otherwise today:"
    words, stands, would, why = lines[5].split("\t")
    assert words.startswith("a [31m gold member 1m [red]I am[/red] and so on")
    assert len(words) <= 70
    assert (stands, would) == ("no vip", "vip")
    assert "vip: says ‘gold member" in why
    assert "… and 1 more" in lines[6]
    assert lines[7] == "no vip\tvip\t2"


async def test_rules_that_are_in_force_already_would_change_nothing(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    config = configured(tmp_path, database_url, RULES)
    shop = Shop(database, config)
    await shop.writes("1", "chargeback!")
    await shop.writes("2", "look at this broken cup", files=("image/jpeg",))
    found = await tried(database, config)
    assert (found.messages, found.changed) == (2, 0)
    assert found.fired == {"Chargebacks to the founders": 1, "Pictures": 1}


async def test_a_rule_that_is_taken_out_shows_what_it_had_done(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    shop = Shop(database, configured(tmp_path, database_url, RULES))
    await shop.writes("2", "please see the picture", files=("image/jpeg",))
    found = await tried(database, configured(tmp_path, database_url))
    (one,) = found.shown
    assert (one.now, one.then, one.words) == (("high",), ("normal",), "please see the picture")
    assert "no longer:" in one.because
    assert "rule ‘Pictures’" in one.because


async def test_what_people_decided_stays(database: Database, database_url: str, tmp_path: Path) -> None:
    shop = Shop(database, configured(tmp_path, database_url))
    talk = await shop.writes("1", "hello, there will be a chargeback")
    for team, priority in (("founders", Priority.HIGH), ("support", Priority.NORMAL)):
        await shop.replies.change(talk, [SetTeam(team=team), SetPriority(priority=priority)], by=AYSE)
    async with past.reading(database) as c:
        made = (await past.made(c, [talk]))[talk]
        (stands,) = await past.conversations(c, SINCE, behind=0, limit=10)
    assert [one.by for one in made][-4:] == [AYSE] * 4
    found = await tried(database, configured(tmp_path, database_url, RULES))
    assert found.fired["Chargebacks to the founders"] == 1
    assert (stands.team, found.shown) == ("support", [])


async def test_only_the_days_asked_for_are_read_and_pages_lose_nothing(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    config = configured(tmp_path, database_url, RULES)
    shop = Shop(database, config)
    await shop.writes("old", "chargeback", sent_at=NOW - timedelta(days=40))
    for number in range(7):
        await shop.writes(str(number % 3), f"chargeback {number}")
    seen: list[tuple[int, int]] = []
    policy = policy_of(config)

    def tell(done: int, total: int) -> None:
        seen.append((done, total))

    found = await tried_on(database, policy, SINCE, 50, tell, conversations=2, messages=2)
    assert (found.messages, found.conversations) == (7, 3)
    assert (found.fired["Chargebacks to the founders"], found.fired_in["Chargebacks to the founders"]) == (7, 3)
    assert seen == [(2, 3), (3, 3)]


async def test_nothing_can_be_changed_while_reading(database: Database) -> None:
    async with past.reading(database) as c:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await c.execute("delete from messages")


async def test_an_answer_is_told_from_a_note_and_a_holding_text(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    shop = Shop(database, configured(tmp_path, database_url))
    talk = await shop.writes("1", "hello")
    await shop.replies.note(talk, Draft(source=("slack", "1"), text="a note", author=AYSE, at=NOW))
    async with past.reading(database) as c:
        found = await past.said(c, [talk], SINCE, behind=(0, 0), limit=10)
    assert [one.message is not None for one in found] == [True]
    assert found[0].message is not None
    assert (found[0].message.sender, found[0].proof) == (Address(kind="telegram", value="1"), Proof.PLATFORM)
