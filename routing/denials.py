"""What a message denies: "I don't want a refund", "not damaged", "still no answer", which denies nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from routing.phrase_lines import LIGHT, TAKES_AWAY, Heard, Line, standing_from
from routing.weighing import DENIABLE, SAID_NOT

_REACH = 4  # words between "I don't want" and what is not wanted
# What denies: a wish before or behind it, a thing said behind a "not" or before it, a word that is its own "not".
BEFORE, BEHIND, NOT, NOT_BEHIND, ITSELF = "!before", "!behind", "!not", "!not-behind", "!itself"
MISSED, WHILE = "!missed", "!while"  # what looks like a denial and is none: "still no", the "not" of "before"
KINDS = {
    kind.removeprefix(TAKES_AWAY): kind for kind in (BEFORE, BEHIND, NOT, NOT_BEHIND, ITSELF, MISSED, WHILE, LIGHT)
}


class Denials:
    """What a message denies with, and whether it denies a hit. A word that a phrase has itself never denies it."""

    def __init__(
        self,
        denying: Sequence[Line],
        refused: Set[str],
        seen: Mapping[int, list[int]],
        heard: Heard,
        light: frozenset[str],
        *,
        of_rules: bool,
    ) -> None:
        self._seen, self._heard, self._light, self._refused, self._of_rules = seen, heard, light, refused, of_rules
        self._of_wishes: list[tuple[str, int, int]] = []
        self._plain: list[tuple[str, list[int]]] = []
        self._while: list[list[int]] = []
        none: list[frozenset[int]] = []
        for line in sorted(denying, key=lambda line: line.tag not in (MISSED, WHILE)):
            for begin in seen[line.first]:
                stands = standing_from(begin, line, seen, heard.sentences)
                if not stands:
                    continue
                if line.tag in (MISSED, WHILE):
                    none.append(frozenset(stands))
                    if line.tag == WHILE:
                        self._while.append(stands)
                elif all(other.isdisjoint(stands) for other in none):
                    if line.tag in (BEFORE, BEHIND):
                        self._of_wishes.append((line.tag, min(stands), max(stands)))
                    else:
                        self._plain.append((line.tag, stands))

    def where_said(self, line: Line, stands: list[int]) -> list[int] | None:
        """The words where `line` says what it says and nothing denies it; None where every place is denied.

        `stands` is its first place. A phrase of a rule can always be denied, of the tags some can.
        """
        if line.tag in self._refused:
            return None
        if not self._denied(line, stands):
            return stands
        for begin in self._seen[line.first]:
            again = standing_from(begin, line, self._seen, self._heard.sentences)
            if again and not self._denied(line, again):
                return again
        return None

    def _denied(self, line: Line, stands: Sequence[int]) -> bool:
        if self._while and any(span[-1] in stands and span[0] not in stands for span in self._while):
            return True
        if self._of_wishes and (self._of_rules or line.tag in DENIABLE) and self._wished(min(stands), max(stands)):
            return True
        return bool(self._plain) and (self._of_rules or line.tag in SAID_NOT) and self._said_not(stands)

    def _wished(self, low: int, high: int) -> bool:
        clauses, own = self._heard.clauses, int(self._of_rules)  # a shop that writes a "no" into its phrase means it
        for kind, first, last in self._of_wishes:
            if clauses[low] != clauses[first]:
                continue
            if kind == BEFORE and first <= low - own and abs(last - low) <= _REACH:
                return True
            if kind == BEHIND and last >= high + own and abs(first - high) <= _REACH:
                return True
        return False

    def _said_not(self, stands: Sequence[int]) -> bool:
        for kind, denial in self._plain:
            first, last = denial[0], denial[-1]
            if kind == ITSELF:
                denied = first in stands
            elif kind == NOT:
                denied = first not in stands and any(self._next_to(last, place) for place in stands if place > first)
            else:
                denied = last not in stands and any(self._next_to(place, first) for place in stands if place < last)
            if denied:
                return True
        return False

    def _next_to(self, first: int, last: int) -> bool:
        """Whether only light words of the same clause stand between two words."""
        heard = self._heard
        if not -_REACH <= last - first <= _REACH + 1 or heard.clauses[first] != heard.clauses[last]:
            return False
        return self._light.issuperset(heard.words[first + 1 : last])
