"""Phrases laid out so that a message is held against ten thousand of them at once: which stand in it, and where.

Rule: each word of a message is looked up once and remembered; a phrase is looked at only where its two rarest words
may stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import ahocorasick

from routing.folding import ends_sentence, is_word
from routing.patterns import NEAR, NEXT, Element, Form, fits

TAKES_AWAY = "!"  # before the tag of a phrase that unsays it; no tag of a shop begins so
LIGHT = "!light"  # words that may stand between a "not" and what it denies
REMEMBERED = 50_000  # words whose places in phrases are known; about 12 MB
NO_SLOTS: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)  # each is itself alone: found by its place in memory
class Line:
    """One variant of a phrase, its places as numbers of what is looked for."""

    tag: str
    weight: float
    phrase: str
    first: int
    rest: tuple[tuple[int, int], ...]  # each slot after the first, with its reach
    either_side: bool
    needed: frozenset[int]
    denies: bool  # says no tag, but what else is not meant
    takes_away: bool  # unsays its tag


Anchored = tuple[tuple[frozenset[int], Line], ...]  # lines, each with all it needs


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """What a word may be in phrases: the slots it fills, and the lines that are looked at where one of them is."""

    slots: frozenset[int]
    alone: tuple[Line, ...]  # lines that need nothing more
    others: frozenset[int]  # without one of these no further line can be heard
    beside: Mapping[int, Anchored]  # the further lines by that slot


@dataclass(frozen=True, slots=True)
class Source:
    """One variant of a phrase, read but not yet laid out."""

    tag: str
    weight: float
    phrase: str
    language: str
    elements: tuple[Element, ...]


class Index:
    """What is looked for: an automaton of stems, and the lines by the slot that fewest of them share."""

    def __init__(self, sources: Sequence[Source], denials: Set[str]) -> None:
        """`denials` are the tags of phrases that say no tag, but what else is not meant."""
        numbers: dict[frozenset[Form], int] = {}
        lines = []
        light: set[str] = set()
        for source in sources:
            if source.tag == LIGHT:
                light.update(form.stem for element in source.elements for form in element.forms)
                continue
            slots = tuple(numbers.setdefault(element.forms, len(numbers)) for element in source.elements)
            reaches = tuple(element.reach for element in source.elements)
            sides = any(element.either_side for element in source.elements)
            rest = tuple(zip(slots[1:], reaches[1:], strict=True))
            lines.append(
                Line(
                    tag=source.tag,
                    weight=source.weight,
                    phrase=source.phrase,
                    first=slots[0],
                    rest=rest,
                    either_side=sides,
                    needed=frozenset(slots),
                    denies=source.tag in denials,
                    takes_away=source.tag.startswith(TAKES_AWAY),
                )
            )
        self.light = frozenset(light)
        common = [sum(map(_commonness, forms)) for forms in numbers]
        self._alone: dict[int, list[Line]] = {}  # by their one slot
        # The others by the slot that is rarest, and the one after it: few messages have both.
        self._beside: dict[int, dict[int, list[tuple[frozenset[int], Line]]]] = {}
        for line in lines:
            anchor, *more = sorted(line.needed, key=common.__getitem__)
            if more:
                self._beside.setdefault(anchor, {}).setdefault(more[0], []).append((line.needed, line))
            else:
                self._alone.setdefault(anchor, []).append(line)
        by_key: dict[str, dict[Form, list[int]]] = {}
        for forms, number in numbers.items():  # a dictionary keeps its order: the number of a slot is its place
            for form in forms:
                key = form.stem
                if not form.before:
                    key = " " + key
                    if not form.behind:
                        key += " "
                by_key.setdefault(key, {}).setdefault(form, []).append(number)
        self._automaton = ahocorasick.Automaton()
        for key, found in by_key.items():
            self._automaton.add_word(key, (len(key), tuple((form, tuple(slots)) for form, slots in found.items())))
        self._automaton.add_word("\0", (1, ()))  # an automaton without words cannot be asked
        self._automaton.make_automaton()
        self._filled: dict[frozenset[int], Filled] = {}  # many words fill the same slots, or none
        self.known: dict[str, Filled] = {}  # words that were looked up before: people use few words often

    def look_up(self, word: str) -> Filled:
        """What a word fills, remembered."""
        if len(self.known) >= REMEMBERED:
            self.known.clear()
            self._filled.clear()
        slots = frozenset(self._slots_of(word))
        filled = self._filled.get(slots)
        if filled is None:
            filled = self._filled[slots] = self._anchored(slots)
        self.known[word] = filled
        return filled

    def _anchored(self, slots: frozenset[int]) -> Filled:
        anchors = sorted(slots)
        beside: dict[int, Anchored] = {}
        for anchor in anchors:
            for slot, lines in self._beside.get(anchor, {}).items():
                beside[slot] = (*beside.get(slot, ()), *lines)
        return Filled(
            slots=slots,
            alone=tuple(line for anchor in anchors for line in self._alone.get(anchor, ())),
            others=frozenset(beside),
            beside=beside,
        )

    def _slots_of(self, word: str) -> Iterator[int]:
        for end, (length, forms) in self._automaton.iter(f" {word} "):
            begin = end - length + 1
            before, behind = word[: max(begin - 1, 0)], word[end:]
            for form, slots in forms:
                if (not before and (not behind or form.behind == "*")) or fits(form, before, behind):
                    yield from slots


def _commonness(form: Form) -> float:
    """Roughly how often a form stands in a text: halved by every letter of its stem, more where anything may follow."""
    return 0.5 ** len(form.stem) * (4.0 if form.behind == "*" else 2.0 if form.behind else 1.0)


class Heard:
    """The words of a message in a row, each with its number, its sentence and its clause."""

    __slots__ = ("clauses", "numbers", "sentences", "words")

    def __init__(self, found: Sequence[str]) -> None:
        self.words: list[str] = []
        self.numbers: list[int] = []  # of the token a word was
        self.sentences: list[int] = []
        self.clauses: list[int] = []
        sentence = clause = 0
        for number, token in enumerate(found):
            if is_word(token):
                self.words.append(token)
                self.numbers.append(number)
                self.sentences.append(sentence)
                self.clauses.append(clause)
            else:
                clause += 1
                sentence += ends_sentence(token)


def standing(line: Line, seen: Mapping[int, list[int]], heard: Heard) -> list[int]:
    """The words where a line stands first, in the order of the phrase; none where it does not."""
    begins = seen[line.first]
    if not line.rest:
        return begins[:1]
    for begin in begins:
        if stands := standing_from(begin, line, seen, heard.sentences):
            return stands
    return []


def standing_from(begin: int, line: Line, seen: Mapping[int, list[int]], sentences: Sequence[int]) -> list[int]:
    last = begin
    stands = [begin]
    for slot, reach in line.rest:
        for place in seen[slot]:
            if 0 < place - last <= reach:
                break
            if line.either_side and reach > NEAR and place != last and 0 < abs(place - last) <= reach:
                break
        else:
            return []
        if NEXT < reach <= NEAR and sentences[place] != sentences[last]:
            return []
        last = place
        stands.append(place)
    return stands
