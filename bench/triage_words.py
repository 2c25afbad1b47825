"""How well and how fast the words alone decide: language, main tag, priority, and what 5,000 phrases cost a message."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from inbox.changes import Priority
from routing.language import guess
from routing.phrases import LANGUAGES, Phrases

BUDGET = 0.2  # ms a message with 5,000 phrases
_ROUNDS = 5


def triage_words(messages: Path) -> list[tuple[str, str]]:
    """Figures as pairs of what was measured and its figure. `messages` is a file of labelled messages, JSON lines."""
    rows = [json.loads(line) for line in messages.read_text(encoding="utf-8").splitlines()]
    phrases = Phrases.load(LANGUAGES)
    more = max(0, 5_000 - len(phrases))
    phrases = phrases.with_more({"vip": [f"membership{number} level" for number in range(more)]})
    phrases.read("")  # compiles
    texts = [row["text"] for row in rows]
    found = [
        ("phrases", f"{len(phrases):,}"),
        ("reading a message", f"{_cost(phrases.read, texts):.3f} ms (budget {BUDGET} ms)"),
        ("language of a message", f"{_cost(lambda text: guess(text, LANGUAGES), texts):.3f} ms"),
    ]
    for language in ("all", *LANGUAGES):
        chosen = [row for row in rows if language in ("all", row["language"])]
        if chosen:
            found += [(f"{what}, {language}", figure) for what, figure in _quality(phrases, chosen)]
    return found


def _quality(phrases: Phrases, rows: Sequence[dict[str, Any]]) -> Iterable[tuple[str, str]]:
    main = sure = sure_right = priority = language = 0
    wanted = given = both = 0
    for row in rows:
        reading = phrases.read(row["text"])
        first = reading.tags[0] if reading.tags else None
        main += first is not None and first.name == row["tags"][0]
        if first is not None and first.score >= 3:
            sure += 1
            sure_right += first.name == row["tags"][0]
        urgent = reading.priority is Priority.URGENT
        priority += reading.priority.name.lower() == row["priority"]
        wanted += row["priority"] == "urgent"
        given += urgent
        both += urgent and row["priority"] == "urgent"
        language += guess(row["text"], LANGUAGES) == row["language"]
    count = len(rows)
    yield "main tag", _share(main, count)
    yield "main tag where a clear phrase was heard", f"{_share(sure_right, sure)} of {_share(sure, count)}"
    yield "priority", _share(priority, count)
    yield "urgent recall", _share(both, wanted)
    yield "urgent precision", _share(both, given)
    yield "language", _share(language, count)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _cost(run: Callable[[str], object], texts: Sequence[str]) -> float:
    """Milliseconds of CPU a text costs in the quickest round: the rest is other programs."""
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.process_time()
        for text in texts:
            run(text)
        best = min(best, time.process_time() - started)
    return best * 1000 / len(texts)
