"""What a message says in plain words: tags, signals and a priority, each with the words that told it. Pure.

Rule: a phrase is heard only where its words stand, and never where the customer denies it ("I don't want a refund").
Phrases live in `routing/words/*.toml`, a file per language; all languages of the shop are heard at once, because
people mix them.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any

import ahocorasick

from inbox.changes import Priority
from routing.folding import LONGEST, ends_sentence, is_word, places, typed
from routing.patterns import NEAR, NEXT, Element, Form, PhraseError, fits, written
from routing.weighing import DENIABLE, SAID_NOT, SIGNALS, STRENGTHS, TAGS, Told, Weighed, weigh

LANGUAGES = ("tr", "ru", "en", "de", "ar")  # those with a starter file
_DENIAL_REACH = 4  # words between "I don't want" and what is not wanted
_TAKES_AWAY = "!"  # before the tag of a phrase that unsays it; no tag of a shop begins so
# What denies: a wish before or behind it, a thing said behind a "not" or before it, a word that is its own "not".
_BEFORE, _BEHIND, _NOT, _NOT_BEHIND, _ITSELF = "!before", "!behind", "!not", "!not-behind", "!itself"
_MISSED, _WHILE = "!missed", "!while"  # what looks like a denial and is none: "still no", the "not" of "before"
_LIGHT = "!light"  # words that may stand between a "not" and what it denies
_DENIALS = {
    kind.removeprefix(_TAKES_AWAY): kind
    for kind in (_BEFORE, _BEHIND, _NOT, _NOT_BEHIND, _ITSELF, _MISSED, _WHILE, _LIGHT)
}
REMEMBERED = 50_000  # words whose places in phrases are known; about 10 MB
_NO_SLOTS: frozenset[int] = frozenset()
_SHOWN = 60  # characters of a customer's words that a reason quotes


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A phrase that was heard. `tag` is a tag or a signal, `start` and `end` its place in the text."""

    tag: str
    weight: float
    phrase: str  # as the file or the rule has it
    start: int
    end: int
    said: str  # as the customer wrote it
    denied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the words of one message say."""

    hits: tuple[Hit, ...] = ()
    weighed: Weighed

    @property
    def tags(self) -> tuple[Told, ...]:
        """Tags with their scores, the main one first; empty where no phrase was heard."""
        return self.weighed.tags

    @property
    def signals(self) -> tuple[Told, ...]:
        """What else is said: somebody may be hurt, time runs out, anger. Names are those of `weighing.SIGNALS`."""
        return self.weighed.signals

    @property
    def priority(self) -> Priority:
        """What the words alone ask for."""
        return self.weighed.priority

    @property
    def because(self) -> str:
        """Why, in words an agent reads."""
        return self.weighed.because


@dataclass(frozen=True, slots=True, eq=False)  # each is itself alone: found by its place in memory
class _Line:
    """One variant of a phrase, its places as numbers of what is looked for."""

    tag: str
    weight: float
    phrase: str
    first: int
    rest: tuple[tuple[int, int], ...]  # each slot after the first, with its reach
    either_side: bool
    needed: frozenset[int]
    denies: bool  # says no tag, but what else is not meant


_Found = tuple[_Line, list[int]]  # a line that was heard, and its words


_Anchored = tuple[tuple[frozenset[int], _Line], ...]  # lines, each with all it needs


@dataclass(frozen=True, slots=True, eq=False)
class _Filled:
    """What a word may be in phrases: the slots it fills, and the lines that are looked at where one of them is."""

    slots: frozenset[int]
    alone: tuple[_Line, ...]  # lines that need nothing more
    others: frozenset[int]  # without one of these no further line can be heard
    beside: Mapping[int, _Anchored]  # the further lines by that slot


@dataclass(frozen=True, slots=True)
class _Source:
    tag: str
    weight: float
    phrase: str
    language: str
    elements: tuple[Element, ...]


class Phrases:
    """Compiled phrases. Building takes a moment, reading some hundredths of a millisecond."""

    def __init__(self, sources: Iterable[_Source], *, of_rules: bool = False) -> None:
        self._sources = tuple(sources)
        self._of_rules = of_rules

    @classmethod
    def denials(cls) -> Phrases:
        """Only what customers deny with, in every language: any phrase added to it can be denied. For rules."""
        every = itertools.chain.from_iterable(map(_starter_sources, LANGUAGES))
        return cls((one for one in every if one.tag in _DENIALS.values()), of_rules=True)

    @classmethod
    def load(cls, languages: Sequence[str]) -> Phrases:
        """The starter phrases of those `languages` (BCP 47) that have some; all of them where none has."""
        bases = [language.partition("-")[0].lower() for language in languages]
        return _loaded(tuple(language for language in LANGUAGES if language in bases) or LANGUAGES)

    def with_more(self, phrases: Mapping[str, Sequence[str]], *, language: str = "") -> Phrases:
        """The same and the shop's own phrases by tag; these weigh as much as a clear phrase.

        Without a `language` a word takes up to three more letters. Raises PhraseError.
        """
        more = [
            _Source(tag, STRENGTHS["clear"], phrase, language, elements)
            for tag, texts in phrases.items()
            for phrase in texts
            for elements in written(phrase, language, {})
        ]
        return Phrases((*self._sources, *more), of_rules=self._of_rules)

    def __len__(self) -> int:
        """How many phrases there are, each variant counted once."""
        return len(self._sources)

    def read(self, text: str) -> Reading:
        """What `text` says. Of very long texts the first 4,000 characters are read."""
        text = text[:LONGEST]
        known = typed(text)
        heard = _Heard(known.tokens)
        seen, found, denying = self._lines_heard(heard)
        if not found:
            return Reading(weighed=weigh((), text))
        refused = {line.tag.removeprefix(_TAKES_AWAY) for line, _ in found if line.tag.startswith(_TAKES_AWAY)}
        if not self._of_rules and not any(line.tag in DENIABLE or line.tag in SAID_NOT for line, _ in found):
            denying = [line for line in denying if line.tag == _WHILE]
        denials = _Denials(denying, refused, seen, heard, self._index.light, of_rules=self._of_rules)
        hits = _hits(found, denials, heard, known.folded, text)
        return Reading(hits=hits, weighed=weigh(_told(hits), text))

    def _lines_heard(self, heard: _Heard) -> tuple[dict[int, list[int]], list[_Found], list[_Line]]:
        """Lines with the numbers of their words where they stand first, and those that deny and may stand somewhere.

        Before them the slots that these lines have, with the places of the words that fill them.
        """
        index = self._index
        known = index.known
        filled = [known.get(word) or index.look_up(word) for word in heard.words]
        slots = _NO_SLOTS.union(*[one.slots for one in filled])
        complete: dict[_Line, frozenset[int]] = {}
        for one in filled:
            for line in one.alone:
                complete[line] = line.needed
            for slot in one.others & slots:
                for needed, line in one.beside[slot]:
                    if needed <= slots:
                        complete[line] = needed
        seen: dict[int, list[int]] = {}
        found: list[_Found] = []
        denying: list[_Line] = []
        if not complete:
            return seen, found, denying
        wanted = _NO_SLOTS.union(*complete.values())
        for place, one in enumerate(filled):
            for slot in wanted & one.slots:
                seen.setdefault(slot, []).append(place)
        for line in complete:
            if line.denies:
                denying.append(line)
            elif stands := _standing(line, seen, heard):
                found.append((line, stands))
        return seen, found, denying

    @cached_property
    def _index(self) -> _Index:
        return _Index(self._sources)


class _Index:
    """What is looked for: an automaton of stems, and the lines by the slot that fewest of them share."""

    def __init__(self, sources: Sequence[_Source]) -> None:
        numbers: dict[frozenset[Form], int] = {}
        lines = []
        light: set[str] = set()
        kinds = frozenset(_DENIALS.values())
        for source in sources:
            if source.tag == _LIGHT:
                light.update(form.stem for element in source.elements for form in element.forms)
                continue
            slots = tuple(numbers.setdefault(element.forms, len(numbers)) for element in source.elements)
            reaches = tuple(element.reach for element in source.elements)
            sides = any(element.either_side for element in source.elements)
            rest = tuple(zip(slots[1:], reaches[1:], strict=True))
            needed, denies = frozenset(slots), source.tag in kinds
            lines.append(_Line(source.tag, source.weight, source.phrase, slots[0], rest, sides, needed, denies))
        self.light = frozenset(light)
        common = [sum(map(_commonness, forms)) for forms in numbers]
        self._alone: dict[int, list[_Line]] = {}  # by their one slot
        # The others by the slot that is rarest, and the one after it: few messages have both.
        self._beside: dict[int, dict[int, list[tuple[frozenset[int], _Line]]]] = {}
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
        self._filled: dict[frozenset[int], _Filled] = {}  # many words fill the same slots, or none
        self.known: dict[str, _Filled] = {}  # words that were looked up before: people use few words often

    def look_up(self, word: str) -> _Filled:
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

    def _anchored(self, slots: frozenset[int]) -> _Filled:
        anchors = sorted(slots)
        beside: dict[int, _Anchored] = {}
        for anchor in anchors:
            for slot, lines in self._beside.get(anchor, {}).items():
                beside[slot] = (*beside.get(slot, ()), *lines)
        return _Filled(
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


class _Heard:
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


def _standing(line: _Line, seen: Mapping[int, list[int]], heard: _Heard) -> list[int]:
    """The words where a line stands first, in the order of the phrase; none where it does not."""
    begins = seen[line.first]
    if not line.rest:
        return begins[:1]
    for begin in begins:
        if stands := _standing_from(begin, line, seen, heard.sentences):
            return stands
    return []


def _standing_from(begin: int, line: _Line, seen: Mapping[int, list[int]], sentences: Sequence[int]) -> list[int]:
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


class _Denials:
    """What a message denies with, and whether it denies a hit. A word that a phrase has itself never denies it."""

    def __init__(
        self,
        denying: Sequence[_Line],
        refused: Set[str],
        seen: Mapping[int, list[int]],
        heard: _Heard,
        light: frozenset[str],
        *,
        of_rules: bool,
    ) -> None:
        self._seen, self._heard, self._light, self._refused, self._of_rules = seen, heard, light, refused, of_rules
        self._of_wishes: list[tuple[str, int, int]] = []
        self._plain: list[tuple[str, list[int]]] = []
        self._while: list[list[int]] = []
        none: list[frozenset[int]] = []
        for line in sorted(denying, key=lambda line: line.tag not in (_MISSED, _WHILE)):
            for begin in seen[line.first]:
                stands = _standing_from(begin, line, seen, heard.sentences)
                if not stands:
                    continue
                if line.tag in (_MISSED, _WHILE):
                    none.append(frozenset(stands))
                    if line.tag == _WHILE:
                        self._while.append(stands)
                elif all(other.isdisjoint(stands) for other in none):
                    if line.tag in (_BEFORE, _BEHIND):
                        self._of_wishes.append((line.tag, min(stands), max(stands)))
                    else:
                        self._plain.append((line.tag, stands))

    def where_said(self, line: _Line, stands: list[int]) -> list[int] | None:
        """The words where `line` says what it says and nothing denies it; None where every place is denied.

        `stands` is its first place. A phrase of a rule can always be denied, of the tags some can.
        """
        if line.tag in self._refused:
            return None
        if not self._denied(line, stands):
            return stands
        for begin in self._seen[line.first]:
            again = _standing_from(begin, line, self._seen, self._heard.sentences)
            if again and not self._denied(line, again):
                return again
        return None

    def _denied(self, line: _Line, stands: Sequence[int]) -> bool:
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
            if kind == _BEFORE and first <= low - own and abs(last - low) <= _DENIAL_REACH:
                return True
            if kind == _BEHIND and last >= high + own and abs(first - high) <= _DENIAL_REACH:
                return True
        return False

    def _said_not(self, stands: Sequence[int]) -> bool:
        for kind, denial in self._plain:
            first, last = denial[0], denial[-1]
            if kind == _ITSELF:
                denied = first in stands
            elif kind == _NOT:
                denied = first not in stands and any(self._next_to(last, place) for place in stands if place > first)
            else:
                denied = last not in stands and any(self._next_to(place, first) for place in stands if place < last)
            if denied:
                return True
        return False

    def _next_to(self, first: int, last: int) -> bool:
        """Whether only light words of the same clause stand between two words."""
        heard = self._heard
        if not -_DENIAL_REACH <= last - first <= _DENIAL_REACH + 1 or heard.clauses[first] != heard.clauses[last]:
            return False
        return self._light.issuperset(heard.words[first + 1 : last])


def _hits(found: Iterable[_Found], denials: _Denials, heard: _Heard, folded: str, text: str) -> tuple[Hit, ...]:
    hits: dict[tuple[str, int, int], Hit] = {}
    said_at = [
        (line, said, min(stands), max(stands))
        for line, first in found
        if not line.tag.startswith(_TAKES_AWAY)
        for said in [denials.where_said(line, first)]
        for stands in [said or first]
    ]
    last = max((last for *_, last in said_at), default=-1)
    spans = places(folded, heard.numbers[last] + 1) if said_at else []
    for line, said, low, high in said_at:
        start, end = spans[heard.numbers[low]][0], spans[heard.numbers[high]][1]
        key = (line.tag, start, end)
        if key in hits and hits[key].weight >= line.weight:
            continue
        hits[key] = Hit(
            tag=line.tag,
            weight=line.weight,
            phrase=line.phrase,
            start=start,
            end=end,
            said=_quoted(text[start:end]),
            denied=said is None,
        )
    return tuple(sorted(hits.values(), key=lambda hit: (hit.start, hit.end, hit.tag)))


def _quoted(words: str) -> str:
    short = " ".join(words.split())
    return short if len(short) <= _SHOWN else short[: _SHOWN - 1].rstrip() + "…"


def _told(hits: Iterable[Hit]) -> tuple[Told, ...]:
    """The hits that count: not denied, and of those of one tag that lie within each other the strongest."""
    counted: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (-hit.weight, hit.start - hit.end, hit.start)):
        if not hit.denied and not _overlaps(hit, counted):
            counted.append(hit)
    return tuple(Told(name=hit.tag, score=hit.weight, because=f"says ‘{hit.said}’", at=hit.start) for hit in counted)


def _overlaps(hit: Hit, counted: Iterable[Hit]) -> bool:
    for other in counted:
        if hit.tag == other.tag and hit.start < other.end and other.start < hit.end:
            return True
    return False


@lru_cache(maxsize=4)
def _loaded(languages: tuple[str, ...]) -> Phrases:
    """Made once in a process, with what `Phrases` compiles of them: it takes a third of a second for all five."""
    return Phrases(itertools.chain.from_iterable(map(_starter_sources, languages)))


@lru_cache(maxsize=len(LANGUAGES))
def _starter_sources(language: str) -> tuple[_Source, ...]:
    return tuple(_sources(_starter(language) | _starter(f"{language}-signals"), language))


def _starter(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("routing") / "words" / f"{name}.toml").read_text(encoding="utf-8"))


def _sources(content: Mapping[str, Any], language: str) -> list[_Source]:
    words: Mapping[str, str] = content.get("words", {})
    sources: list[_Source] = []

    def add(tag: str, weight: float, phrases: Iterable[str]) -> None:
        for phrase in phrases:
            try:
                variants = written(phrase, language, words)
            except PhraseError as error:
                raise PhraseError(f"routing/words/{language}.toml, {tag}: {error}") from None
            sources.extend(_Source(tag, weight, phrase, language, elements) for elements in variants)

    for name, section in content.items():
        if name == "words":
            continue
        if name == "signals":
            for signal, phrases in section.items():
                if signal not in SIGNALS:
                    raise PhraseError(f"routing/words/{language}.toml: {signal!r} is no signal")
                add(signal, 1.0, phrases)
            continue
        if name == "denial":
            for kind, phrases in section.items():
                if kind not in _DENIALS:
                    raise PhraseError(f"routing/words/{language}.toml: {kind!r} is no kind of denial")
                add(_DENIALS[kind], 1.0, phrases)
            continue
        if name not in TAGS:
            raise PhraseError(f"routing/words/{language}.toml: {name!r} is no tag")
        for strength, phrases in section.items():
            if strength == "not":
                add(_TAKES_AWAY + name, 1.0, phrases)
            else:
                add(name, STRENGTHS[strength], phrases)
    return sources
