"""Making the learned model: from the starter examples and from what agents corrected.

Rule: a new model takes effect only where it scores no worse on the held-out split, which no training ever sees. Same
examples, same model, byte for byte.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np

from inbox.changes import Priority
from routing.features import SLOTS, Grams, grams
from routing.model import PRIORITIES, Model, Numbers, Parts, Read, told
from routing.weighing import TAGS

LANGUAGES = ("tr", "ru", "en", "de", "ar")
FURTHER = 0.3  # what a tag that is not the main one counts beside it
_STEPS = 160  # the loss no longer moves in its third digit
_RATE = 0.05
_HOLD = 3e-3  # how strongly a retrained head is held to the one before it: some corrections move it, one does not
_SLACK = 0.005  # less of a score than this is chance on a split of this size: one message


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A message and what it should be read as. An agent's correction is one too; the main tag comes first."""

    text: str
    tags: tuple[str, ...]
    priority: Priority
    language: str = ""
    weight: float = 1.0


class BadExample(Exception):
    """An example cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How often something was said, was so, and was both."""

    said: int = 0
    so: int = 0
    both: int = 0

    @property
    def precision(self) -> float:
        return self.both / self.said if self.said else 0.0

    @property
    def recall(self) -> float:
        return self.both / self.so if self.so else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.both / (self.said + self.so) if self.said + self.so else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How well examples are read. Shares are of 1."""

    count: int
    main: float
    priority: float
    urgent: Tally
    tags: dict[str, Tally]  # by main tag
    priorities: dict[Priority, Tally]
    languages: dict[str, tuple[int, float, float]]  # how many, main tag, priority
    mistaken: tuple[tuple[str, str, int], ...]  # main tag, what it was read as, how often; the commonest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a new model may take over, and why, in words for the desk."""

    better: bool
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What triage came to for one example."""

    tags: tuple[str, ...]
    priority: Priority


def examples(lines: Iterable[str], source: str) -> list[Example]:
    """Examples of JSON lines as in `routing/data/`. Raises BadExample with `source` and line."""
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
            tags = tuple(one["tags"])
            if not tags or not set(tags) <= set(TAGS):
                raise ValueError(f"tags {list(tags)}: one or more of {', '.join(TAGS)}")
            found.append(
                Example(
                    text=str(one["text"]),
                    tags=tags,
                    priority=Priority[str(one["priority"]).upper()],
                    language=str(one.get("language", "")),
                    weight=float(one.get("weight", 1.0)),
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadExample(f"{source}, line {number}: {error}") from None
    return found


def starter() -> list[Example]:
    """The examples that come with Santral."""
    return [one for language in LANGUAGES for one in _shipped(f"train-{language}.jsonl")]


def held_out() -> list[Example]:
    """Examples that no training sees."""
    return _shipped("held-out.jsonl")


def train(corrected: Sequence[Example], base: Model, version: str, *, known: Sequence[Example] | None = None) -> Parts:
    """The `base` model and what agents corrected. `known` are the examples it came from: the starter ones.

    Seconds for embedding each thousand of examples, seconds for the rest. The encoder stays as it is.
    """
    every = [*(starter() if known is None else known), *corrected]
    meanings = base.embed([one.text for one in every])
    arrays = dict(base.parts.arrays)
    arrays |= heads(every, (meanings - arrays["mean"]) / base.parts.numbers["spread"], base.parts)
    arrays["usual"] = usual(every)
    notes = {"examples": len(every), "corrected": len(corrected), "from": base.version}
    return Parts(version=version, arrays=arrays, numbers=base.parts.numbers, notes=notes)


def heads(every: Sequence[Example], placed: Numbers, base: Parts | None) -> dict[str, Numbers]:
    """The four tables that turn meanings (`placed` around their mean) and words into scores."""
    goals = {"tags": _tag_goals(every), "priority": _priority_goals(every)}
    weights = np.array([one.weight for one in every], dtype=np.float32)
    by_words = _Words([grams(one.text) for one in every])
    found = {}
    for head, goal in goals.items():
        for name, rows, hold in (
            (f"meaning/{head}", _Meanings(placed), 1e-3),
            (f"grams/{head}", by_words, 3e-4),
        ):
            start = base.arrays[name] if base else np.zeros((rows.width + 1, goal.shape[1]), dtype=np.float32)
            found[name] = _fit(rows, goal, weights, start, _HOLD if base else hold)
    return found


def usual(every: Sequence[Example]) -> Numbers:
    """How often each priority goes with each main tag, with half an example of every kind added."""
    counts = np.full((len(TAGS), len(PRIORITIES)), 0.5, dtype=np.float32)
    for one in every:
        counts[TAGS.index(one.tags[0]), PRIORITIES.index(one.priority)] += one.weight
    return np.asarray(counts / counts.sum(1, keepdims=True), dtype=np.float32)


def answers(model: Model | Parts, every: Sequence[Example], meanings: Numbers | None = None) -> list[Answer]:
    """What a model alone says of each example. Parts need the `meanings` of its encoder."""
    if isinstance(model, Model):
        meanings, model = model.embed([one.text for one in every]), model.parts
    elif meanings is None:
        raise ValueError("parts cannot embed: give the meanings")
    reads = [told(model, meaning, one.text, {}) for meaning, one in zip(meanings, every, strict=True)]
    return [_answer(read) for read in reads]


def scored(every: Sequence[Example], said: Sequence[Answer]) -> Scores:
    """Compare what was said with what was right."""
    pairs = [(one.tags[0], answer.tags[0] if answer.tags else "") for one, answer in zip(every, said, strict=True)]
    levels = [(one.priority, answer.priority) for one, answer in zip(every, said, strict=True)]
    by_language: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(every):
        by_language[one.language].append(place)
    wrong: dict[tuple[str, str], int] = defaultdict(int)
    for right, read in pairs:
        if right != read:
            wrong[right, read] += 1
    return Scores(
        count=len(every),
        main=_share(pairs),
        priority=_share(levels),
        urgent=_tally(levels, Priority.URGENT),
        tags={tag: _tally(pairs, tag) for tag in TAGS},
        priorities={level: _tally(levels, level) for level in PRIORITIES},
        languages={
            language: (len(places), _share([pairs[place] for place in places]), _share([levels[p] for p in places]))
            for language, places in sorted(by_language.items())
        },
        mistaken=tuple((*pair, count) for pair, count in sorted(wrong.items(), key=lambda one: -one[1])),
    )


def better(new: Scores, old: Scores) -> Verdict:
    """Whether a new model may take over: no worse on main tag, on priority, and on urgent messages."""
    measures = {
        "main tag": (new.main, old.main),
        "priority": (new.priority, old.priority),
        "urgent found": (new.urgent.recall, old.urgent.recall),
        "urgent rightly": (new.urgent.precision, old.urgent.precision),
    }
    if new.count != old.count:
        return Verdict(better=False, because="the two were not scored on the same examples")
    worse = [
        f"{name} {now:.1%} instead of {before:.1%}" for name, (now, before) in measures.items() if now < before - _SLACK
    ]
    if worse:
        return Verdict(better=False, because="worse on the held-out messages: " + ", ".join(worse))
    told_of = ", ".join(f"{name} {now:.1%} (was {before:.1%})" for name, (now, before) in measures.items())
    return Verdict(better=True, because=f"no worse on the held-out messages: {told_of}")


def _answer(read: Read) -> Answer:
    return Answer(tags=read.chosen, priority=read.priority)


def _share(pairs: Sequence[tuple[object, object]]) -> float:
    return sum(right == read for right, read in pairs) / len(pairs) if pairs else 0.0


def _tally(pairs: Sequence[tuple[object, object]], of: object) -> Tally:
    return Tally(
        said=sum(read == of for _, read in pairs),
        so=sum(right == of for right, _ in pairs),
        both=sum(right == of and read == of for right, read in pairs),
    )


def _shipped(name: str) -> list[Example]:
    text = (resources.files("routing") / "data" / name).read_text(encoding="utf-8")
    return examples(text.splitlines(), name)


def _tag_goals(every: Sequence[Example]) -> Numbers:
    goals = np.zeros((len(every), len(TAGS)), dtype=np.float32)
    for row, one in zip(goals, every, strict=True):
        for place, tag in enumerate(one.tags):
            row[TAGS.index(tag)] = FURTHER if place else 1.0
    return np.asarray(goals / goals.sum(1, keepdims=True), dtype=np.float32)


def _priority_goals(every: Sequence[Example]) -> Numbers:
    goals = np.zeros((len(every), len(PRIORITIES)), dtype=np.float32)
    for row, one in zip(goals, every, strict=True):
        row[PRIORITIES.index(one.priority)] = 1.0
    return goals


class _Meanings:
    """Rows of dense features."""

    def __init__(self, rows: Numbers) -> None:
        self._rows = rows
        self.width = rows.shape[1]

    def times(self, table: Numbers) -> Numbers:
        return np.asarray(self._rows @ table, dtype=np.float32)

    def back(self, errors: Numbers) -> Numbers:
        return np.asarray(self._rows.T @ errors, dtype=np.float32)


class _Words:
    """Rows of sparse features, kept by row and by column: sums over runs, no loops."""

    width = SLOTS

    def __init__(self, rows: Sequence[Grams]) -> None:
        # A row without any feature gets one that weighs nothing: an empty run cannot be summed.
        slots = [row.slots if row.slots.size else np.zeros(1, dtype=np.int64) for row in rows]
        weights = [row.weights if row.weights.size else np.zeros(1, dtype=np.float32) for row in rows]
        sizes = [slot.size for slot in slots]
        self._slots, self._weights = np.concatenate(slots), np.concatenate(weights)[:, None]
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        order = np.argsort(self._slots, kind="stable")
        self._row_of = np.repeat(np.arange(len(rows)), sizes)[order]
        self._by_column = self._weights[order]
        self._columns, self._column_starts = np.unique(self._slots[order], return_index=True)

    def times(self, table: Numbers) -> Numbers:
        return np.asarray(np.add.reduceat(table[self._slots] * self._weights, self._starts), dtype=np.float32)

    def back(self, errors: Numbers) -> Numbers:
        found = np.zeros((SLOTS, errors.shape[1]), dtype=np.float32)
        found[self._columns] = np.add.reduceat(errors[self._row_of] * self._by_column, self._column_starts)
        return found


def _fit(rows: _Meanings | _Words, goal: Numbers, weights: Numbers, start: Numbers, hold: float) -> Numbers:
    """Multinomial logistic regression, held to `start` by `hold`; its last line is what is usual anyway. Adam."""
    table = start.copy()
    first, second = np.zeros_like(table), np.zeros_like(table)
    share = (weights / weights.sum())[:, None]
    for step in range(1, _STEPS + 1):
        raw = rows.times(table[:-1]) + table[-1]
        raw -= raw.max(1, keepdims=True)
        chance = np.exp(raw)
        chance /= chance.sum(1, keepdims=True)
        errors = (chance - goal) * share
        slope = np.concatenate([rows.back(errors) + hold * (table[:-1] - start[:-1]), errors.sum(0)[None]])
        first = 0.9 * first + 0.1 * slope
        second = 0.99 * second + 0.01 * slope * slope
        rate = _RATE * (1 - step / _STEPS) + 1e-4
        moved = rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        table = np.asarray(table - moved, dtype=np.float32)
    return table
