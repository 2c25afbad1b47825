"""What 5,000 phrases cost a message, and how any reading is timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from routing.phrases import Phrases

MANY = 5_000  # phrases a large shop may have beside those that come with Santral
_ROUNDS = 5

T = TypeVar("T")


def with_many(phrases: Phrases) -> Phrases:
    """The same phrases and as many invented ones as make five thousand, compiled."""
    more = max(0, MANY - len(phrases))
    made = phrases.with_more({"vip": [f"membership{number} level" for number in range(more)]})
    made.read("")
    return made


def cost(run: Callable[[T], object], values: Sequence[T]) -> float:
    """Milliseconds of CPU one value costs in the quickest round: the rest is other programs."""
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.process_time()
        for value in values:
            run(value)
        best = min(best, time.process_time() - started)
    return best * 1000 / len(values)
