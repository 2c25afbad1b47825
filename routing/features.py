"""What the learned model looks at beside meaning: words, pairs and pieces of words, as numbered features. Pure.

Rule: the numbering is part of a model file. Whoever changes anything here raises `KIND`, and older files are refused.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from routing.folding import fold, squeeze

KIND = 1
SLOTS = 1 << 14  # two features share a slot now and then; measured no worse than four times as many
LONGEST = 1_500  # characters read; a mail's matter stands in its first lines
_SIZES = (3, 4, 5)  # letters in a piece of a word: a stem or an ending
_PARTS = re.compile(r"[^\W_]+|[^\w\s]")
_SHORT, _LONG = 3, 40  # words


@dataclass(frozen=True, slots=True)
class Grams:
    """The features of one text: ascending slots and how much each weighs. The squares of the weights sum to 1."""

    slots: NDArray[np.int64]
    weights: NDArray[np.float32]


def grams(text: str) -> Grams:
    """The features of `text`, the same for every way of typing it (see `routing.folding`)."""
    counts = Counter(zlib.crc32(name.encode("utf-8", "replace")) % SLOTS for name in _names(text[:LONGEST]))
    slots = np.array(sorted(counts), dtype=np.int64)
    weights = np.array([1 + math.log(counts[int(slot)]) for slot in slots], dtype=np.float32)
    length = float(np.linalg.norm(weights))
    return Grams(slots, weights / length if length else weights)


def _names(text: str) -> Iterator[str]:
    parts = ["#" if part.isdigit() else part for part in _PARTS.findall(squeeze(fold(text)))]
    for part in parts:
        yield f"word {part}"
        padded = f" {part} "
        for size in _SIZES:
            for start in range(len(padded) - size + 1):
                yield padded[start : start + size]
    for first, second in pairwise(parts):
        yield f"pair {first} {second}"
    letters = [char for char in text if char.isalpha()]
    if len(letters) > _LONG // 4 and sum(char.isupper() for char in letters) * 2 > len(letters):
        yield "in capitals"
    if "!!" in text:
        yield "exclaims"
    if "?" in text or "؟" in text:
        yield "asks"
    if "\n\n" in text:
        yield "a letter"
    if len(parts) <= _SHORT:
        yield "short"
    elif len(parts) > _LONG:
        yield "long"
