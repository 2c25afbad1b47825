"""What the child process does that makes a new model from what agents corrected. Minutes of one core that nobody needs.

Rule: it answers what it made and whether that may take over; who asked decides nothing of its own.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is loaded

from routing.model import Model, Parts
from routing.model_process import Learn, Taught, Unusable
from routing.model_read import BadModel
from routing.phrases import LANGUAGES, Phrases
from routing.training import WEIGHT, Example, Scores, better, combined, held_out, scored, train

NICE = 15  # whoever answers a customer comes first


def work(learn: Learn) -> Taught | Unusable:
    """Train, and compare with the model in use on messages that neither was trained on."""
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(max(0, NICE - os.nice(0)))
    try:
        starter = Model.load()
        known = Parts.unpacked(learn.content) if learn.content is not None else starter.parts
    except BadModel as error:
        return Unusable(why=str(error))
    corrected = [
        Example(text=one.text, tags=one.tags, priority=one.priority, language=one.language, weight=WEIGHT)
        for one in learn.corrections
    ]
    # Always from the starter model: what is corrected twice must not count twice.
    made = train(corrected, starter, learn.version)
    every = held_out()
    phrases = Phrases.load(LANGUAGES)
    words = [phrases.read(one.text) for one in every]
    meanings = starter.embed([one.text for one in every])
    new, old = (scored(every, combined(parts, every, words, meanings)) for parts in (made, known))
    verdict = better(new, old)
    return Taught(
        content=made.packed(),
        examples=len(corrected),
        scores=told(new),
        because=verdict.because,
        refused="" if verdict.better else verdict.because,
    )


def told(scores: Scores) -> dict[str, Any]:
    """The figures that are kept beside a model."""
    return {
        "messages": scores.count,
        "main": round(scores.main, 4),
        "priority": round(scores.priority, 4),
        "urgent_recall": round(scores.urgent.recall, 4),
        "urgent_precision": round(scores.urgent.precision, 4),
    }
