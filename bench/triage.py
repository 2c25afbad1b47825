"""How well messages are read, and how fast: keywords, the learned model, both. Each set says who was trained on it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from bench.rows import Row, at_most, held, told
from bench.triage_words import cost, with_many
from channels.message import Address, Proof, Received
from inbox.changes import Conversation, Facts
from routing.language import guess
from routing.model_combine import by_words
from routing.phrases import LANGUAGES, Phrases, Reading
from routing.policy import Policy, TeamPolicy
from routing.rules import Known, Rules
from routing.training import Answer, Example, Scores, Tally, combined, examples, held_out, scored
from routing.triage import decided
from routing.weighing import TAGS
from templates.approved import Approved
from templates.replies import Replies

WORDS_BUDGET, DECISION_BUDGET = 0.2, 0.5  # ms a message, of the words with 5,000 phrases, and of the whole decision
SLOWEST, LARGEST = 50.0, 400.0  # ms a message, MB of the process: design §8
MAIN, PRIORITY, URGENT_FOUND, URGENT_RIGHTLY = 0.85, 0.85, 0.95, 0.75
MESSAGES = Path(__file__).resolve().parents[2] / "shared" / "data" / "triage" / "messages.jsonl"
AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LONG = 1_500  # letters of the mails by which the slowest are told


async def triage(folder: Path, *, quick: bool) -> list[Row]:
    """All lines of this part. Nothing of it needs `folder`."""
    phrases = Phrases.load(LANGUAGES)
    every = held_out()
    rows = [
        told("held-out messages", str(len(every)), note="no training saw them"),
        *_quality(every, phrases, judged=True),
    ]
    if MESSAGES.exists():
        known = examples(MESSAGES.read_text(encoding="utf-8").splitlines(), MESSAGES.name)
        note = "the model was trained on them and the words were written with them in view: no measure of quality"
        rows += [told("starter messages", str(len(known)), note=note), *_quality(known, phrases, judged=False)]
    texts = [one.text for one in every]
    many = with_many(phrases)
    rows.append(
        at_most("words, a message", cost(many.read, texts), WORDS_BUDGET, note=f"{len(many):,} phrases, CPU, best of 5")
    )
    rows.append(
        at_most(
            "whole decision", _deciding(many, texts), DECISION_BUDGET, note="words, language, rules; CPU, best of 5"
        )
    )
    return [*rows, *await asyncio.to_thread(_process, texts[: 60 if quick else None])]


def _quality(every: Sequence[Example], phrases: Phrases, *, judged: bool) -> list[Row]:
    from routing.model import BadModel, Model

    words = [phrases.read(one.text) for one in every]
    languages = sum(guess(one.text, LANGUAGES) == one.language for one in every)
    rows = [told("language", f"{languages / len(every):.1%}", note="of a message by itself, among five")]
    rows.append(_line("keywords alone", scored(every, [_by_words(reading) for reading in words])))
    try:
        model = Model.load()
    except BadModel as error:
        return [*rows, told("learned model", "missing", note=str(error))]
    both = scored(every, combined(model.parts, every, words, model.embed([one.text for one in every])))
    if not judged:
        return [*rows, _line("both", both)]
    measures = (
        ("both: main tag", both.main, MAIN),
        ("both: priority", both.priority, PRIORITY),
        ("both: urgent found", both.urgent.recall, URGENT_FOUND),
        ("both: urgent rightly", both.urgent.precision, URGENT_RIGHTLY),
    )
    rows += [held(name, f"{share:.1%}", f"≥ {goal:.0%}", share >= goal) for name, share, goal in measures]
    rows += [
        told(f"both, {language}", f"{main:.0%} / {level:.0%}", note=f"main tag / priority of {count}")
        for language, (count, main, level) in both.languages.items()
    ]
    rows += [_tally(f"both, {tag}", tally) for tag, tally in both.tags.items()]
    return rows + [_tally(f"both, {level.name.lower()}", tally) for level, tally in both.priorities.items()]


def _by_words(reading: Reading) -> Answer:
    found = by_words(reading)
    return Answer(tags=found.tags, priority=found.priority)


def _deciding(phrases: Phrases, texts: Sequence[str]) -> float:
    """Milliseconds of CPU of `routing.triage.decided`, which runs inside the intake."""
    known = Known(
        tags=frozenset(TAGS), teams=("support",), channels={"bot": "telegram"}, languages=LANGUAGES, agents=None
    )
    policy = Policy(
        shop="Kumbara",
        languages=LANGUAGES,
        zone=ZoneInfo("Europe/Istanbul"),
        teams={"support": TeamPolicy(name="support")},
        phrases=phrases,
        rules=Rules.starter(known),
        replies=Replies.load(LANGUAGES, shop="Kumbara"),
        approved=Approved(),
        kinds={"bot": "telegram"},
    )
    address = Address(kind="telegram", value="4711")
    facts = [
        Facts(
            conversation=Conversation(id=1, customer_id=1),
            message=Received(
                channel="bot", external_id=str(number), sender=address, text=text, sent_at=AT, proof=Proof.PLATFORM
            ),
            known=False,
            address=address,
            proof=Proof.PLATFORM,
            now=AT,
            fresh=True,
        )
        for number, text in enumerate(texts)
    ]
    return cost(lambda one: decided(one, policy), facts)


_PROGRAM = """
import json, resource, sys, time
from routing.model_process import Ask, Said
from routing.model_work import work
from routing.phrases import LANGUAGES, Phrases
texts = json.load(sys.stdin)
phrases = Phrases.load(LANGUAGES)
said = [Said(text=text, words=phrases.read(text)) for text in texts]
work(Ask(messages=(said[0],)))
spent = []
for one in said:
    started = time.perf_counter()
    work(Ask(messages=(one,)))
    spent.append(1_000 * (time.perf_counter() - started))
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([spent, most / (1 << 20 if sys.platform == "darwin" else 1 << 10)]))
"""


def _process(texts: Sequence[str]) -> list[Row]:
    """The model in a process of its own, as it runs: every tenth message is a long mail."""
    mails = [(" ".join(texts[place : place + 20]))[:LONG] for place in range(0, len(texts), 10)]
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps([*texts, *mails]),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(place or os.getcwd() for place in sys.path)},
    )
    if run.returncode:
        return [told("model, a message", "not measured", note=run.stderr.strip().splitlines()[-1][:100])]
    spent, megabytes = json.loads(run.stdout)
    spent.sort()
    return [
        told("model, a message, p50", f"{spent[len(spent) // 2]:.1f} ms"),
        at_most(
            "model, a message, p99", spent[int(len(spent) * 0.99)], SLOWEST, note=f"every eleventh has {LONG:,} letters"
        ),
        at_most("model, memory of the process", megabytes, LARGEST, "MB"),
    ]


def _line(what: str, scores: Scores) -> Row:
    urgent = f"urgent found {scores.urgent.recall:.0%}, rightly {scores.urgent.precision:.0%}"
    return told(what, f"{scores.main:.1%} / {scores.priority:.1%}", note=f"main tag / priority; {urgent}")


def _tally(what: str, tally: Tally) -> Row:
    shares = f"{tally.precision:.0%} / {tally.recall:.0%} / {tally.f1:.0%}"
    return told(what, shares, note=f"precision / recall / F1 of {tally.so}")
