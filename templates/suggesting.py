"""Which known word was meant by one that nobody knows, said the same everywhere. Pure.

Rule: a word is offered only when it is near; whoever asks says otherwise which words there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LIKENESS = 0.6  # of two words, 1 for the same; the standard library's own measure of what is near


def nearest(word: str, known: Iterable[str], likeness: float = LIKENESS) -> str:
    """Return the known word that is nearest in any case, "" where none is near."""
    by_case = {candidate.casefold(): candidate for candidate in sorted(known)}
    near = get_close_matches(word.casefold(), by_case, n=1, cutoff=likeness)
    return by_case[near[0]] if near else ""


def suggest(word: str, known: Iterable[str], likeness: float = LIKENESS) -> str:
    """Return "did you mean …?" when one of the known words is near in any case, else ""."""
    return meant(nearest(word, known, likeness))


def meant(word: str | None) -> str:
    """Return "did you mean …?" for the word that is surely meant, "" where there is none."""
    return f"did you mean {word}?" if word else ""
