"""How well messages are read: keywords, the learned model, and both, on the held-out split that no training sees."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from bench.rows import Row, at_most, held, told
from routing.model import BadModel, Model
from routing.model_combine import decide, read_both
from routing.phrases import Phrases, Reading
from routing.training import Answer, Example, Scores, Tally, answers, held_out, scored

LANGUAGES = ("tr", "ru", "en", "de", "ar")
SLOWEST = 50.0  # ms a message, design §8
LARGEST = 400.0  # MB of the process
MAIN, PRIORITY, URGENT_FOUND, URGENT_RIGHTLY = 0.85, 0.85, 0.95, 0.75


async def triage(folder: Path, *, quick: bool) -> list[Row]:
    """All lines of this part. Nothing of it needs `folder`."""
    examples = held_out()
    phrases = Phrases.load(LANGUAGES)
    words = [phrases.read(one.text) for one in examples]
    by_words = scored(examples, [_by_words(reading) for reading in words])
    rows = [told("held-out messages", str(len(examples))), _line("keywords alone", by_words)]
    try:
        model = Model.load()
    except BadModel as error:
        return [*rows, told("learned model", "missing", note=str(error))]
    rows.append(_line("model alone", scored(examples, answers(model, examples))))
    both, milliseconds = _both(model, examples, words)
    rows += [
        held("both: main tag", f"{both.main:.1%}", f"≥ {MAIN:.0%}", both.main >= MAIN),
        held("both: priority", f"{both.priority:.1%}", f"≥ {PRIORITY:.0%}", both.priority >= PRIORITY),
        held(
            "both: urgent found",
            f"{both.urgent.recall:.1%}",
            f"≥ {URGENT_FOUND:.0%}",
            both.urgent.recall >= URGENT_FOUND,
        ),
        held(
            "both: urgent rightly",
            f"{both.urgent.precision:.1%}",
            f"≥ {URGENT_RIGHTLY:.0%}",
            both.urgent.precision >= URGENT_RIGHTLY,
        ),
        *(
            told(f"both, {language}", f"{main:.0%} / {priority:.0%}", note=f"main tag / priority of {count}")
            for language, (count, main, priority) in both.languages.items()
        ),
        *(_tally(f"both, {tag}", tally) for tag, tally in both.tags.items()),
        *(_tally(f"both, {level.name.lower()}", tally) for level, tally in both.priorities.items()),
        at_most("model, a message", milliseconds, SLOWEST, "ms", note="mean, one thread"),
        at_most("model, memory of the process", _megabytes(), LARGEST, "MB"),
    ]
    return rows


def _both(model: Model, examples: list[Example], words: list[Reading]) -> tuple[Scores, float]:
    found, spent = [], 0.0
    for one, reading in zip(examples, words, strict=True):
        started = time.perf_counter()
        combined = decide(reading, read_both(model, reading, one.text))
        spent += time.perf_counter() - started
        found.append(Answer(tags=combined.tags, priority=combined.priority))
    return scored(examples, found), 1_000 * spent / len(examples)


def _by_words(reading: Reading) -> Answer:
    return Answer(tags=tuple(one.name for one in reading.tags) or ("other",), priority=reading.priority)


def _line(what: str, scores: Scores) -> Row:
    urgent = f"urgent found {scores.urgent.recall:.0%}, rightly {scores.urgent.precision:.0%}"
    return told(what, f"{scores.main:.1%} / {scores.priority:.1%}", note=f"main tag / priority; {urgent}")


def _tally(what: str, tally: Tally) -> Row:
    shares = f"{tally.precision:.0%} / {tally.recall:.0%} / {tally.f1:.0%}"
    return told(what, shares, note=f"precision / recall / F1 of {tally.so}")


def _megabytes() -> float:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20 if sys.platform == "darwin" else 1 << 10)


