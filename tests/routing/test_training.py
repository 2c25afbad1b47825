"""Making a model from examples, and when it may take over."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from inbox.changes import Priority
from routing.model import Model, Parts
from routing.training import (
    Answer,
    BadExample,
    Example,
    Tally,
    answers,
    better,
    examples,
    held_out,
    scored,
    starter,
    train,
)
from routing.weighing import TAGS

LINE = '{"language": "en", "text": "hi", "tags": ["other"], "priority": "normal"}'


@cache
def model() -> Model:
    return Model.load()


def test_the_starter_examples_cover_every_tag_and_priority_in_every_language() -> None:
    every = starter()
    for language in ("tr", "ru", "en", "de", "ar"):
        own = [one for one in every if one.language == language]
        assert len(own) >= 900
        assert {one.tags[0] for one in own} == set(TAGS)
        assert {one.priority for one in own} == set(Priority)


def test_nothing_held_out_is_trained_on() -> None:
    trained = [_plain(one.text) for one in starter()]
    held = [_plain(one.text) for one in held_out()]
    assert len(trained) >= 5_000
    assert len(held) == 300
    assert not set(trained) & set(held)
    assert max(Counter(trained).values()) == max(Counter(held).values()) == 1


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold())) or text


def test_spam_and_praise_are_low_and_legal_is_urgent_in_all_examples() -> None:
    fixed = {"spam": Priority.LOW, "praise": Priority.LOW, "legal": Priority.URGENT}
    for one in (*starter(), *held_out()):
        if len(one.tags) == 1:  # praise that asks something waits for an answer
            assert one.priority is fixed.get(one.tags[0], one.priority), one.text


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"text": "hi", "tags": [], "priority": "normal"}',
        '{"text": "hi", "tags": ["delivery"], "priority": "normal"}',
        '{"text": "hi", "tags": ["other"], "priority": "soon"}',
        '{"tags": ["other"], "priority": "normal"}',
    ],
)
def test_a_bad_example_is_named_by_file_and_line(line: str) -> None:
    with pytest.raises(BadExample, match=r"mine\.jsonl, line 3"):
        examples([LINE, "", line], "mine.jsonl")


def test_examples_are_read() -> None:
    assert examples([LINE], "x") == [
        Example(text="hi", tags=("other",), priority=Priority.NORMAL, language="en", weight=1.0)
    ]


def _example(text: str, tag: str, priority: Priority = Priority.NORMAL, weight: float = 1.0) -> Example:
    return Example(text=text, tags=(tag,), priority=priority, language="en", weight=weight)


KNOWN = [
    _example("where is it", "order-status"),
    _example("it came broken", "damaged", Priority.HIGH),
    _example("thank you", "praise", Priority.LOW),
    _example("my lawyer will write", "legal", Priority.URGENT),
]


def test_corrections_are_learned() -> None:
    text = "the zorblax is not ticking"
    before = dict(model().read(text).tags)["stock"]
    wrong = [_example(text, "stock", weight=8), _example("zorblax does not tick either", "stock", weight=8)]
    made = train(wrong, model(), "2", known=KNOWN)
    after = Model(made).read(text)
    assert dict(after.tags)["stock"] > before * 2
    assert after.version == "2"
    assert made.notes["corrected"] == 2


def test_the_same_examples_make_the_same_model() -> None:
    once, again = (train(KNOWN[:2], model(), "2", known=KNOWN) for _ in range(2))
    assert once.packed() == again.packed()


def test_one_correction_does_not_turn_everything_over() -> None:
    texts = ["Where is my order?", "Ürün kırık geldi", "Спасибо большое!", "Ich will mein Geld zurück"]
    before = [model().read(text).main for text in texts]
    made = Model(train([_example("hm", "other")], model(), "2", known=KNOWN))
    assert [made.read(text).main for text in texts] == before


def test_a_trained_model_survives_its_file() -> None:
    made = train([], model(), "2", known=KNOWN)
    again = Parts.unpacked(made.packed())
    assert again.version == "2"
    assert np.allclose(again.arrays["tags"], made.arrays["tags"], atol=1e-2)


EVERY = [_example("a", "refund"), _example("b", "return"), _example("c", "legal", Priority.URGENT)]
RIGHT = [
    Answer(tags=("refund",), priority=Priority.NORMAL),
    Answer(tags=("return",), priority=Priority.NORMAL),
    Answer(tags=("legal",), priority=Priority.URGENT),
]


def test_scores_count() -> None:
    scores = scored(EVERY, [RIGHT[0], replace(RIGHT[1], tags=("refund",)), replace(RIGHT[2], priority=Priority.HIGH)])
    assert scores.main == pytest.approx(2 / 3)
    assert scores.priority == pytest.approx(2 / 3)
    assert scores.urgent == Tally(said=0, so=1, both=0)
    assert scores.tags["refund"] == Tally(said=2, so=1, both=1)
    assert (scores.tags["refund"].precision, scores.tags["refund"].recall) == (0.5, 1.0)
    assert scores.tags["refund"].f1 == pytest.approx(2 / 3)
    assert scores.mistaken == (("return", "refund", 1),)
    assert scores.languages == {"en": (3, pytest.approx(2 / 3), pytest.approx(2 / 3))}
    assert Tally().f1 == 0


def test_no_worse_is_good_enough() -> None:
    perfect = scored(EVERY, RIGHT)
    verdict = better(perfect, perfect)
    assert verdict.better
    assert "main tag 100.0% (was 100.0%)" in verdict.because


@pytest.mark.parametrize(
    ("place", "answer", "named"),
    [
        (1, Answer(tags=("refund",), priority=Priority.NORMAL), "main tag 66.7% instead of 100.0%"),
        (1, Answer(tags=("return",), priority=Priority.URGENT), "urgent rightly 50.0% instead of 100.0%"),
        (2, Answer(tags=("legal",), priority=Priority.HIGH), "urgent found 0.0% instead of 100.0%"),
    ],
)
def test_worse_at_anything_is_refused(place: int, answer: Answer, named: str) -> None:
    worse = scored(EVERY, [answer if at == place else right for at, right in enumerate(RIGHT)])
    verdict = better(worse, scored(EVERY, RIGHT))
    assert not verdict.better
    assert named in verdict.because


def test_scores_of_different_examples_do_not_compare() -> None:
    assert not better(scored(EVERY, RIGHT), scored(EVERY[:2], RIGHT[:2])).better


def test_the_shipped_model_is_no_worse_than_when_it_was_made() -> None:
    every = held_out()[::3]
    scores = scored(every, answers(model(), every))
    assert scores.main >= 0.60
    assert scores.priority >= 0.72
    assert scores.urgent.recall >= 0.75
