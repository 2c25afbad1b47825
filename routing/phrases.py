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

from inbox.changes import Priority
from routing.denials import KINDS, WHILE, Denials
from routing.folding import LONGEST, places, typed
from routing.patterns import PhraseError, written
from routing.phrase_lines import NO_SLOTS, TAKES_AWAY, Heard, Index, Line, Source, standing
from routing.weighing import DENIABLE, SAID_NOT, SIGNALS, STRENGTHS, TAGS, Told, Weighed, weigh

LANGUAGES = ("tr", "ru", "en", "de", "ar")  # those with a starter file
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


_Found = tuple[Line, list[int]]  # a line that was heard, and its words


class Phrases:
    """Compiled phrases. Building takes a moment, reading some hundredths of a millisecond."""

    def __init__(self, sources: Iterable[Source], *, of_rules: bool = False) -> None:
        self._sources = tuple(sources)
        self._of_rules = of_rules

    @classmethod
    def denials(cls) -> Phrases:
        """Only what customers deny with, in every language: any phrase added to it can be denied. For rules."""
        every = itertools.chain.from_iterable(map(_starter_sources, LANGUAGES))
        return cls((one for one in every if one.tag in KINDS.values()), of_rules=True)

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
            Source(tag, STRENGTHS["clear"], phrase, language, elements)
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
        heard = Heard(known.tokens)
        seen, found, denying = self._lines_heard(heard)
        if not found:
            return Reading(weighed=weigh((), text))
        refused = {line.tag.removeprefix(TAKES_AWAY) for line, _ in found if line.takes_away}
        if not self._of_rules and not any(line.tag in DENIABLE or line.tag in SAID_NOT for line, _ in found):
            denying = [line for line in denying if line.tag == WHILE]
        denials = Denials(denying, refused, seen, heard, self._index.light, of_rules=self._of_rules)
        hits = _hits(found, denials, heard, known.folded, text)
        return Reading(hits=hits, weighed=weigh(_told(hits), text))

    def _lines_heard(self, heard: Heard) -> tuple[dict[int, list[int]], list[_Found], list[Line]]:
        """Lines with the numbers of their words where they stand first, and those that deny and may stand somewhere.

        Before them the slots that these lines have, with the places of the words that fill them.
        """
        index = self._index
        known = index.known
        filled = [known.get(word) or index.look_up(word) for word in heard.words]
        slots = NO_SLOTS.union(*[one.slots for one in filled])
        complete: dict[Line, frozenset[int]] = {}
        for one in filled:
            for line in one.alone:
                complete[line] = line.needed
            for slot in one.others & slots:
                for needed, line in one.beside[slot]:
                    if needed <= slots:
                        complete[line] = needed
        seen: dict[int, list[int]] = {}
        found: list[_Found] = []
        denying: list[Line] = []
        if not complete:
            return seen, found, denying
        wanted = NO_SLOTS.union(*complete.values())
        for place, one in enumerate(filled):
            for slot in wanted & one.slots:
                seen.setdefault(slot, []).append(place)
        for line in complete:
            if line.denies:
                denying.append(line)
            elif stands := standing(line, seen, heard):
                found.append((line, stands))
        return seen, found, denying

    @cached_property
    def _index(self) -> Index:
        return Index(self._sources, frozenset(KINDS.values()))


def _hits(found: Iterable[_Found], denials: Denials, heard: Heard, folded: str, text: str) -> tuple[Hit, ...]:
    lines = [(line, denials.where_said(line, first), first) for line, first in found if not line.takes_away]
    if not lines:
        return ()
    last = max(max(said or first) for _, said, first in lines)
    spans = places(folded, heard.numbers[last] + 1)  # what stands behind the last hit need not be found
    hits: dict[tuple[str, int, int], Hit] = {}
    for line, said, first in lines:
        stands = said or first
        start, end = spans[heard.numbers[min(stands)]][0], spans[heard.numbers[max(stands)]][1]
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
def _starter_sources(language: str) -> tuple[Source, ...]:
    return tuple(_sources(_starter(language) | _starter(f"{language}-signals"), language))


def _starter(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("routing") / "words" / f"{name}.toml").read_text(encoding="utf-8"))


def _sources(content: Mapping[str, Any], language: str) -> list[Source]:
    words: Mapping[str, str] = content.get("words", {})
    sources: list[Source] = []

    def add(tag: str, weight: float, phrases: Iterable[str]) -> None:
        for phrase in phrases:
            try:
                variants = written(phrase, language, words)
            except PhraseError as error:
                raise PhraseError(f"routing/words/{language}.toml, {tag}: {error}") from None
            sources.extend(Source(tag, weight, phrase, language, elements) for elements in variants)

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
                if kind not in KINDS:
                    raise PhraseError(f"routing/words/{language}.toml: {kind!r} is no kind of denial")
                add(KINDS[kind], 1.0, phrases)
            continue
        if name not in TAGS:
            raise PhraseError(f"routing/words/{language}.toml: {name!r} is no tag")
        for strength, phrases in section.items():
            if strength == "not":
                add(TAKES_AWAY + name, 1.0, phrases)
            else:
                add(name, STRENGTHS[strength], phrases)
    return sources
