"""What a message says in plain words: tags, signals and a priority, each with the words that told it. Pure.

Rule: a phrase is heard only where its words stand, and never where the customer denies it ("I don't want a refund").
Phrases live in `routing/words/*.toml`, a file per language; all languages of the shop are heard at once, because
people mix them.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any

import ahocorasick

from inbox.changes import Priority
from routing.folding import LONGEST, ends_sentence, fold, is_word, places, squeeze, tokens
from routing.patterns import NEAR, NEXT, Element, Form, PhraseError, fits, written
from routing.weighing import DENIABLE, SIGNALS, STRENGTHS, TAGS, Told, Weighed, weigh

LANGUAGES = ("tr", "ru", "en", "de", "ar")  # those with a starter file
_DENIAL_REACH = 4  # words between "I don't want" and what is not wanted
_TAKES_AWAY = "!"  # before the tag of a phrase that unsays it; no tag of a shop begins so
_BEFORE, _BEHIND = "!before", "!behind"  # what denies the words after it, or before it
REMEMBERED = 50_000  # words whose places in phrases are known; about 10 MB
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


@dataclass(frozen=True, slots=True)
class _Line:
    """One variant of a phrase, its places as numbers of what is looked for."""

    tag: str
    weight: float
    phrase: str
    slots: tuple[int, ...]
    reaches: tuple[int, ...]
    either_side: bool
    needed: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Source:
    tag: str
    weight: float
    phrase: str
    language: str
    elements: tuple[Element, ...]


class Phrases:
    """Compiled phrases. Building takes a moment, reading some hundredths of a millisecond."""

    def __init__(self, sources: Iterable[_Source]) -> None:
        self._sources = tuple(sources)

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
        return Phrases((*self._sources, *more))

    def __len__(self) -> int:
        """How many phrases there are, each variant counted once."""
        return len(self._sources)

    def read(self, text: str) -> Reading:
        """What `text` says. Of very long texts the first 4,000 characters are read."""
        text = text[:LONGEST]
        folded = fold(text)
        heard = _Heard(tokens(squeeze(folded)))
        found = self._lines_heard(heard)
        if not found:
            return Reading(weighed=weigh((), text, folded))
        spans = places(folded)
        hits = _hits(found, heard, spans, text)
        return Reading(hits=hits, weighed=weigh(_told(hits), text, folded))

    def _lines_heard(self, heard: _Heard) -> list[tuple[_Line, int, int]]:
        """Lines with the numbers of their first and last token."""
        index = self._index
        known, seen = index.known, dict[int, list[int]]()
        for place, word in enumerate(heard.words):
            slots = known.get(word)
            for slot in index.slots_of(word) if slots is None else slots:
                if slot in seen:
                    seen[slot].append(place)
                else:
                    seen[slot] = [place]
        heard_slots = frozenset(seen)
        found = []
        for slot in heard_slots:
            for line in index.by_anchor[slot]:
                if line.needed <= heard_slots:
                    span = _standing(line, seen, heard)
                    if span is not None:
                        found.append((line, *span))
        return found

    @cached_property
    def _index(self) -> _Index:
        return _Index(self._sources)


class _Index:
    """What is looked for: an automaton of stems, and the lines by the slot that fewest of them share."""

    def __init__(self, sources: Sequence[_Source]) -> None:
        numbers: dict[frozenset[Form], int] = {}
        lines = []
        for source in sources:
            slots = tuple(numbers.setdefault(element.forms, len(numbers)) for element in source.elements)
            reaches = tuple(element.reach for element in source.elements)
            sides = any(element.either_side for element in source.elements)
            lines.append(_Line(source.tag, source.weight, source.phrase, slots, reaches, sides, frozenset(slots)))
        common = [sum(map(_commonness, forms)) for forms in numbers]
        self.by_anchor: list[list[_Line]] = [[] for _ in numbers]
        for line in lines:
            self.by_anchor[min(line.slots, key=common.__getitem__)].append(line)
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
        self.known: dict[str, tuple[int, ...]] = {}  # what words were looked up before: people use few words often

    def slots_of(self, word: str) -> tuple[int, ...]:
        """The slots a word fills, remembered."""
        found: dict[int, None] = {}
        for end, (length, forms) in self._automaton.iter(f" {word} "):
            begin = end - length + 1
            before, behind = word[: max(begin - 1, 0)], word[end:]
            for form, slots in forms:
                if (not before and (not behind or form.behind == "*")) or fits(form, before, behind):
                    found.update(dict.fromkeys(slots))
        if len(self.known) >= REMEMBERED:
            self.known.clear()
        self.known[word] = tuple(found)
        return self.known[word]


def _commonness(form: Form) -> float:
    """Roughly how often a form stands in a text: halved by every letter of its stem, more where anything may follow."""
    return 0.5 ** len(form.stem) * (4.0 if form.behind == "*" else 2.0 if form.behind else 1.0)


class _Heard:
    """The words of a message in a row, each with its number, its sentence and its clause."""

    __slots__ = ("clauses", "numbers", "sentences", "words")

    def __init__(self, found: list[str]) -> None:
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


def _standing(line: _Line, seen: Mapping[int, list[int]], heard: _Heard) -> tuple[int, int] | None:
    """The first and last word where a line stands, or None."""
    sentences = heard.sentences
    for begin in seen[line.slots[0]]:
        low = high = last = begin
        for slot, reach in zip(line.slots[1:], line.reaches[1:], strict=True):
            for place in seen[slot]:
                if 0 < place - last <= reach:
                    break
                if line.either_side and reach > NEAR and place != last and 0 < abs(place - last) <= reach:
                    break
            else:
                break
            if NEXT < reach <= NEAR and sentences[place] != sentences[last]:
                break
            last = place
            low, high = min(low, place), max(high, place)
        else:
            return low, high
    return None


def _hits(
    found: list[tuple[_Line, int, int]], heard: _Heard, spans: Sequence[tuple[int, int]], text: str
) -> tuple[Hit, ...]:
    denials = [(low, high, line.tag) for line, low, high in found if line.tag in (_BEFORE, _BEHIND)]
    refused = {line.tag.removeprefix(_TAKES_AWAY) for line, _, _ in found if line.tag.startswith(_TAKES_AWAY)}
    hits: dict[tuple[str, int, int], Hit] = {}
    for line, low, high in found:
        if line.tag.startswith(_TAKES_AWAY):
            continue
        denied = line.tag in refused or (
            line.tag in DENIABLE
            and any(
                heard.clauses[low] == heard.clauses[first]
                and (
                    -_DENIAL_REACH <= last - low <= _DENIAL_REACH
                    if kind == _BEFORE
                    else -_DENIAL_REACH <= first - high <= _DENIAL_REACH
                )
                and (first <= low if kind == _BEFORE else last >= high)
                for first, last, kind in denials
            )
        )
        start, end = spans[heard.numbers[low]][0], spans[heard.numbers[high]][1]
        hit = Hit(
            tag=line.tag,
            weight=line.weight,
            phrase=line.phrase,
            start=start,
            end=end,
            said=_quoted(text[start:end]),
            denied=denied,
        )
        key = (line.tag, start, end)
        if key not in hits or hits[key].weight < line.weight:
            hits[key] = hit
    return tuple(sorted(hits.values(), key=lambda hit: (hit.start, hit.end, hit.tag)))


def _quoted(words: str) -> str:
    short = " ".join(words.split())
    return short if len(short) <= _SHOWN else short[: _SHOWN - 1].rstrip() + "…"


def _told(hits: Iterable[Hit]) -> tuple[Told, ...]:
    """The hits that count: not denied, and of those of one tag that lie within each other the strongest."""
    counted: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (-hit.weight, hit.start - hit.end, hit.start)):
        if hit.denied:
            continue
        if any(hit.tag == other.tag and hit.start < other.end and other.start < hit.end for other in counted):
            continue
        counted.append(hit)
    return tuple(Told(name=hit.tag, score=hit.weight, because=f"says ‘{hit.said}’", at=hit.start) for hit in counted)


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
            for side in ("before", "behind"):
                add(_TAKES_AWAY + side, 1.0, section.get(side, ()))
            continue
        if name not in TAGS:
            raise PhraseError(f"routing/words/{language}.toml: {name!r} is no tag")
        for strength, phrases in section.items():
            if strength == "not":
                add(_TAKES_AWAY + name, 1.0, phrases)
            else:
                add(name, STRENGTHS[strength], phrases)
    return sources
