"""The rules file as a person writes it: what may stand in it, and everything that is wrong with it at once. Pure.

Rule: what is accepted here can do something. A rule that could never hold, or would change nothing, is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, KeysView, Mapping, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from channels.message import Proof
from inbox.changes import Priority, State
from routing.patterns import PhraseError, checked
from routing.phrases import LANGUAGES
from routing.promises import Allowance, BadPromise
from routing.rule_values import Conditions, Known, Problem, Rule, RulesFile, RulesProblems, Then
from routing.weighing import SIGNALS
from routing.wildcards import PATTERNS
from templates.suggesting import suggest
from templates.toml_lines import BadToml, Place, Written, read

PRIORITIES = {priority.name.lower(): priority for priority in Priority}
STATES = {state.value: state for state in State}
PROOFS = {proof.name.lower(): proof for proof in Proof}
ADDRESS_KINDS = ("email", "email-claimed", "phone")  # of several channels; others have one named as they are
LONGEST_NAME = 80  # it is shown in Slack beside the reason
_MOST_NAMED = 25  # known names that a fix lists
_SHOWN = 60

_TAG = re.compile(r"[^\W_][\w-]{0,39}")
_KIND = re.compile(r"[A-Za-z][A-Za-z-]*")  # what else has a colon behind it is part of an address
_PERSON = re.compile(r"[UW][A-Z0-9]{2,20}")

T = TypeVar("T")


def parse(text: str, *, file: str, known: Known) -> RulesFile:
    """Read a rules file's text. Raises `RulesProblems` with all mistakes, from top to bottom."""
    try:
        content = read(text)
    except BadToml as bad:
        # The words for people are in `app.problems.misread`, which takes just this message.
        raise RulesProblems([Problem(file=file, line=bad.line, rule="", key="", what=str(bad))]) from None
    reading = _Reading(content, file, known)
    found = reading.whole()
    if reading.problems:
        raise RulesProblems(sorted(reading.problems, key=lambda problem: problem.line))
    return found


def says_language(languages: Iterable[str]) -> str:
    """The language whose word forms `says` takes: the one the rule is for, or "" where it is for several or any."""
    bases = set(map(_base, languages))
    return bases.pop() if len(bases) == 1 and bases <= set(LANGUAGES) else ""


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where in the file something stands, and how a person would name it."""

    place: Place
    rule: str = ""
    key: str = ""

    def at(self, name: str) -> _Spot:
        return _Spot((*self.place, name), self.rule, f"{self.key}.{name}" if self.key else name)

    def entry(self, number: int) -> _Spot:
        return _Spot((*self.place, number), self.rule, self.key)


class _Reading:
    """One reading of one file, and the problems found on the way. What is wrong reads as if it were not there."""

    def __init__(self, written: Written, file: str, known: Known) -> None:
        self.written = written
        self.file = file
        self.known = known
        self.tags = known.tags
        self.problems: list[Problem] = []

    def add(self, spot: _Spot, what: str, fix: str = "") -> None:
        line = self.written.line(spot.place)
        self.problems.append(Problem(file=self.file, line=line, rule=spot.rule, key=spot.key, what=what, fix=fix))

    # --- The whole

    def whole(self) -> RulesFile:
        content = self.written.content
        top = _Spot(())
        self.no_others(top, content, ("tags", "phrases", "rules"))
        own = self.own_tags(top.at("tags"), content["tags"]) if "tags" in content else frozenset()
        self.tags = self.known.tags | own
        phrases = [self.phrases(spot, table) for spot, table in self.tables(top.at("phrases"), content)]
        rules = [self.rule(spot, table) for spot, table in self.tables(top.at("rules"), content)]
        self.same_names(rules)
        self.unreached(rules)
        return RulesFile(tags=own, phrases=tuple(filter(None, phrases)), rules=tuple(rules))

    def tables(self, spot: _Spot, content: Mapping[str, Any]) -> Iterator[tuple[_Spot, Mapping[str, Any]]]:
        found = content.get(spot.key, [])
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            self.add(spot, "is not a list of sections", f"write [[{spot.key}]] in double brackets, once for each")
            return
        for number, table in enumerate(found):
            label = f"{spot.key}[{number + 1}]"
            if spot.key == "phrases":
                yield _Spot((spot.key, number), "", label), table
                continue
            name = table.get("name")
            named = isinstance(name, str) and name.strip() and len(name) <= LONGEST_NAME
            yield _Spot((spot.key, number), name.strip() if named else label), table

    def own_tags(self, spot: _Spot, value: object) -> frozenset[str]:
        own: set[str] = set()
        for inner, tag in self.texts(spot, value, "wholesale"):
            if tag in self.known.tags:
                self.add(inner, f'"{tag}" is a tag that Santral brings', "leave it out here; rules may name it")
            elif tag in SIGNALS:
                self.add(inner, f'"{tag}" is a word that Santral keeps for itself', "choose another")
            elif not _TAG.fullmatch(tag) or any(char.isupper() for char in tag):
                self.add(
                    inner, f"{_shown(tag)} is no name for a tag", "write small letters, digits, - and _, 40 at most"
                )
            else:
                own.add(tag)
        return frozenset(own)

    def phrases(self, spot: _Spot, table: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]] | None:
        self.no_others(spot, table, ("tag", "language", "words"))
        tag = self.one_of(spot.at("tag"), table, self.tags, "tag")
        language = self.language(spot.at("language"), table["language"]) if "language" in table else ""
        if "tag" not in table:
            self.add(spot, "tag is missing", 'add tag = "wholesale", the tag that the words tell')
        if "words" not in table:
            self.add(spot, "words are missing", 'add words = ["bulk order", "reseller*"]')
            return None
        words = self.words(spot.at("words"), table["words"], language)
        return (tag, language, words) if tag and words else None

    def language(self, spot: _Spot, value: object) -> str:
        choices = dict.fromkeys((*self.known.languages, *LANGUAGES))
        if not isinstance(value, str):
            self.add(spot, "must be text in quotes", 'write language = "en"')
        elif value not in choices:
            self.add(spot, f"{_shown(value)} is no language here", _near(value, choices))
        else:
            return _base(value)
        return ""

    # --- A rule

    def rule(self, spot: _Spot, table: Mapping[str, Any]) -> Rule:
        self.no_others(spot, table, ("name", "enabled", "when", "unless", "then", "stop"))
        self.name(spot.at("name"), table.get("name"))
        when = unless = None
        if "when" not in table:
            self.add(spot, "when is missing", "add when = { … }; when = {} takes every message")
        else:
            when = self.conditions(spot.at("when"), table["when"])
        if "unless" in table:
            unless = self.conditions(spot.at("unless"), table["unless"])
        then = self.then(spot.at("then"), table.get("then", {}))
        rule = Rule(
            name=spot.rule,
            line=self.written.line(spot.place),
            enabled=self.flag(spot.at("enabled"), table, True),
            when=when or Conditions(),
            unless=unless,
            then=then or Then(),
            stop=self.flag(spot.at("stop"), table, False),
        )
        if when is not None and (unless is not None or "unless" not in table):
            self.can_hold(spot, rule)
        if then == Then() and not rule.stop:
            self.add(
                spot.at("then") if "then" in table else spot, "then does nothing", 'add then = { priority = "high" }'
            )
        elif then is not None and when is not None and not rule.stop:
            self.does_something(spot.at("then"), rule)
        return rule

    def name(self, spot: _Spot, name: object) -> None:
        if name is None:
            self.add(_Spot(spot.place[:-1], spot.rule), "name is missing", 'add name = "what this rule is for"')
        elif not isinstance(name, str):
            self.add(spot, "must be text in quotes", 'write name = "what this rule is for"')
        elif not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            self.add(spot, f"a name has 1 to {LONGEST_NAME} visible characters on one line")

    def conditions(self, spot: _Spot, table: object) -> Conditions | None:
        """What a table of conditions says; None when there is a mistake in it."""
        if not isinstance(table, dict):
            self.add(spot, "is not a table", 'write it in braces: { tags = ["legal"] }')
            return None
        before = len(self.problems)
        self.no_others(spot, table, _CONDITIONS)
        found = {key: _CONDITIONS[key](self, spot.at(key), table[key]) for key in _CONDITIONS if key in table}
        if "says" in table:
            language = says_language(found.get("languages", frozenset()))
            found["says"] = self.words(spot.at("says"), table["says"], language)
        return Conditions(**found) if len(self.problems) == before else None

    def then(self, spot: _Spot, table: object) -> Then | None:
        if not isinstance(table, dict):
            self.add(spot, "is not a table", 'write it in braces: { priority = "high" }')
            return None
        before = len(self.problems)
        self.no_others(spot, table, ("team", "priority", "raise_to", "add_tags", "remove_tags", "agent", "acknowledge"))
        then = Then(
            team=self.one_of(spot.at("team"), table, self.known.teams, "team") or "",
            priority=self.choice(spot.at("priority"), table, PRIORITIES, "priority"),
            raise_to=self.choice(spot.at("raise_to"), table, PRIORITIES, "priority"),
            add_tags=self.tag_names(spot.at("add_tags"), table["add_tags"]) if "add_tags" in table else frozenset(),
            remove_tags=self.tag_names(spot.at("remove_tags"), table["remove_tags"])
            if "remove_tags" in table
            else frozenset(),
            agent=self.agent(spot.at("agent"), table["agent"]) if "agent" in table else "",
            acknowledge=self.flag(spot.at("acknowledge"), table, True),
        )
        if then.priority is not None and then.raise_to is not None:
            self.add(spot.at("raise_to"), "priority is set as well", "keep one of the two")
        if then.raise_to is Priority.LOW:
            self.add(spot.at("raise_to"), "nothing is below low", "raise to normal, high or urgent")
        if both := sorted(then.add_tags & then.remove_tags):
            self.add(spot.at("remove_tags"), f'"{both[0]}" is added by the same rule', "keep one of the two")
        if table.get("acknowledge") is True:
            fix = "write false, or leave the key out"
            self.add(spot.at("acknowledge"), "true changes nothing: a customer is told anyway", fix)
        return then if len(self.problems) == before else None

    def agent(self, spot: _Spot, value: object) -> str:
        if not isinstance(value, str):
            self.add(spot, "must be text in quotes", 'write agent = "U0123456789"')
        elif not _PERSON.fullmatch(value):
            fix = "copy the member id from the ⋮ menu of a Slack profile (U0123456789)"
            self.add(spot, f"{_shown(value)} is not the id of a person in Slack", fix)
        elif self.known.agents is not None and value not in self.known.agents:
            self.add(spot, f"{_shown(value)} is nobody who answers here", _near(value, self.known.agents))
        else:
            return value
        return ""

    # --- Rules that are well written and yet can do nothing

    def can_hold(self, spot: _Spot, rule: Rule) -> None:
        when, unless = rule.when, rule.unless
        if when.channels and when.kinds and not {self.known.channels[name] for name in when.channels} & when.kinds:
            self.add(spot.at("when").at("kinds"), "none of the channels named is of this kind", "leave one of them out")
        if unless is not None:
            given, against = when.given(), unless.given()
            if not against:
                self.add(spot.at("unless"), "holds always, so the rule never does", "add a condition or leave it out")
            elif all(name in given and _within(name, given[name], value) for name, value in against.items()):
                self.add(spot.at("unless"), "holds whenever the rule does, so it never fires", "narrow it")

    def does_something(self, spot: _Spot, rule: Rule) -> None:
        then, when = rule.then, rule.when
        sure = when.all_tags | (when.tags if len(when.tags) == 1 else frozenset())
        does = (
            (then.team and when.teams != {then.team})
            or (then.priority is not None and when.priorities != {then.priority})
            or (then.raise_to is not None and not (when.priorities and max(when.priorities) <= then.raise_to))
            or then.add_tags - sure
            or then.remove_tags
            or then.agent
            or not then.acknowledge
        )
        if not does:
            self.add(spot, "changes nothing that `when` does not ask for already", "change one of them")

    def same_names(self, rules: Iterable[Rule]) -> None:
        seen: dict[str, int] = {}
        for number, rule in enumerate(rules):
            first = seen.setdefault(rule.name.casefold(), rule.line)
            if first != rule.line:
                self.add(
                    _Spot(("rules", number, "name"), rule.name, "name"),
                    f"the rule in line {first} has the same name",
                    "choose another",
                )

    def unreached(self, rules: Iterable[Rule]) -> None:
        last = ""
        for number, rule in enumerate(rules):
            table = self.written.content["rules"][number]
            if last and rule.enabled:
                what = f'is never reached: "{last}" takes every message and stops'
                self.add(_Spot(("rules", number), rule.name), what, "move it up, or give that rule conditions")
            if not last and rule.enabled and rule.stop and table.get("when") == {} and "unless" not in table:
                last = rule.name

    # --- Values

    def no_others(self, spot: _Spot, table: Mapping[str, Any], known: Collection[str]) -> None:
        for key in table:
            if key not in known:
                fix = _near(key, known)
                if (
                    spot.rule
                    and spot.key == ""
                    and key in (*_CONDITIONS, "team", "add_tags", "remove_tags", "raise_to")
                ):
                    fix = f"it belongs into {'when or unless' if key in _CONDITIONS else 'then'}"
                self.add(spot.at(key), "is not a key that Santral knows", fix)

    def flag(self, spot: _Spot, table: Mapping[str, Any], usual: bool) -> bool:
        value = table.get(str(spot.place[-1]), usual)
        if not isinstance(value, bool):
            self.add(spot, "must be true or false, without quotes")
            return usual
        return value

    def texts(self, spot: _Spot, value: object, example: str) -> Iterator[tuple[_Spot, str]]:
        """The entries of a list of texts, each where it stands."""
        if not isinstance(value, list):
            self.add(spot, "must be a list in square brackets", f'write {spot.place[-1]} = ["{example}"]')
            return
        if not value:
            self.add(spot, "is an empty list, of which nothing can hold", "add an entry or leave it out")
        seen: set[str] = set()
        for number, entry in enumerate(value):
            if not isinstance(entry, str):
                self.add(spot.entry(number), "must be text in quotes", f'write "{example}"')
            elif not entry.strip():
                self.add(spot.entry(number), "has an empty entry", "fill it or take it out")
            elif entry.strip() in seen:
                self.add(spot.entry(number), f"{_shown(entry.strip())} stands there twice", "take one of them out")
            else:
                seen.add(entry.strip())
                yield spot.entry(number), entry.strip()

    def words(self, spot: _Spot, value: object, language: str) -> tuple[str, ...]:
        found = []
        for inner, phrase in self.texts(spot, value, "chargeback"):
            try:
                checked(phrase, language)
            except PhraseError as wrong:
                said = str(wrong)
                what = said if repr(phrase) in said else f"{_shown(phrase)}: {said}"
                self.add(inner, what, "docs/rules.md shows how phrases are written")
            else:
                found.append(phrase)
        return tuple(dict.fromkeys(found))

    def names(self, spot: _Spot, value: object, known: Collection[str], noun: str, else_: str = "") -> frozenset[str]:
        found = set()
        for inner, name in self.texts(spot, value, min(filter(None, known), default="…")):
            if name in known:
                found.add(name)
            else:
                self.add(inner, f"{_shown(name)} is no {noun}", ", ".join(filter(None, (_near(name, known), else_))))
        return frozenset(found)

    def tag_names(self, spot: _Spot, value: object) -> frozenset[str]:
        return self.names(spot, value, self.tags, "tag", "or add it to tags at the top of the file")

    def one_of(self, spot: _Spot, table: Mapping[str, Any], known: Collection[str], noun: str) -> str | None:
        value = table.get(str(spot.place[-1]))
        if value is None:
            return None
        if not isinstance(value, str):
            self.add(spot, "must be text in quotes", f'write {spot.place[-1]} = "{_first(known)}"')
        elif value not in known or not value:
            self.add(spot, f"{_shown(value)} is no {noun}", _near(value, known))
        else:
            return value
        return None

    def choice(self, spot: _Spot, table: Mapping[str, Any], choices: Mapping[str, T], noun: str) -> T | None:
        found = self.one_of(spot, table, choices, noun)
        return choices[found] if found is not None else None

    def languages_of(self, spot: _Spot, value: object) -> frozenset[str]:
        """Those of the shop: "de" is also its "de-AT"."""
        bases = {_base(language) for language in self.known.languages}
        named = self.names(spot, value, dict.fromkeys((*self.known.languages, *sorted(bases))), "language of the shop")
        return frozenset(language for language in self.known.languages if {language, _base(language)} & named)

    def patterns(self, spot: _Spot, value: object) -> tuple[str, ...]:
        key = str(spot.place[-1])
        kinds = sorted({*ADDRESS_KINDS, *self.known.channels.values()})
        found = []
        for inner, pattern in self.texts(spot, value, PATTERNS[key][1]):
            kind, colon, _ = pattern.partition(":")
            if wrong := PATTERNS[key][0](pattern):
                self.add(inner, f"{_shown(pattern)} {wrong[0]}", wrong[1])
            elif key == "addresses" and colon and _KIND.fullmatch(kind) and kind.casefold() not in kinds:
                self.add(inner, f"{_shown(kind)} is no kind of address", _near(kind, kinds))
            else:
                found.append(pattern)
        return tuple(found)

    def files(self, spot: _Spot, value: object) -> bool | tuple[str, ...] | None:
        return value if isinstance(value, bool) else self.patterns(spot, value)

    def length(self, spot: _Spot, value: object) -> timedelta | None:
        fix = "write it like 30m, 2h, 1h30m or 2d"
        if not isinstance(value, str):
            self.add(spot, "must be text in quotes", fix)
            return None
        try:
            found = Allowance.parse(value)
        except BadPromise:
            self.add(spot, f"{_shown(value)} is no length of time up to a year", fix)
            return None
        return found.time + timedelta(days=found.days)

    def yes_or_no(self, spot: _Spot, value: object) -> bool | None:
        if isinstance(value, bool):
            return value
        self.add(spot, "must be true or false, without quotes")
        return None

    def proof(self, spot: _Spot, value: object) -> Proof | None:
        found = self.choice(spot, {"proof": value}, PROOFS, "proof of an address")
        if found is Proof.CLAIMED:
            self.add(spot, '"claimed" holds for every address', "leave it out, or ask for more: carrier, platform…")
        return found

    def support(self, spot: _Spot, value: object) -> bool | None:
        return self.choice(spot, {"support": value}, {"open": True, "closed": False}, "word for support hours")


_Check = Callable[[_Reading, _Spot, Any], Any]

_CONDITIONS: Mapping[str, _Check] = {
    "says": lambda self, spot, value: (),  # read last: its word forms depend on the languages
    "tags": _Reading.tag_names,
    "all_tags": _Reading.tag_names,
    "languages": _Reading.languages_of,
    "channels": lambda self, spot, value: self.names(spot, value, self.known.channels, "channel"),
    "kinds": lambda self, spot, value: self.names(
        spot, value, dict.fromkeys(self.known.channels.values()), "kind of a channel that is configured"
    ),
    "teams": lambda self, spot, value: self.names(spot, value, self.known.teams, "team"),
    "assigned": _Reading.yes_or_no,
    "priorities": lambda self, spot, value: frozenset(
        PRIORITIES[name] for name in self.names(spot, value, PRIORITIES, "priority")
    ),
    "states": lambda self, spot, value: frozenset(STATES[name] for name in self.names(spot, value, STATES, "state")),
    "known": _Reading.yes_or_no,
    "proof": _Reading.proof,
    "addresses": _Reading.patterns,
    "subject": _Reading.patterns,
    "files": _Reading.files,
    "support": _Reading.support,
    "waiting_over": _Reading.length,
    "automatic": _Reading.yes_or_no,
}


def _within(name: str, narrow: Any, wide: Any) -> bool:
    """Whether what `narrow` lets through, `wide` lets through too."""
    if name == "all_tags":
        return bool(narrow >= wide)
    if name in ("proof", "waiting_over"):
        return bool(narrow >= wide)
    if name == "files" and wide is True:
        return narrow is not False
    if isinstance(narrow, (frozenset, tuple)) and isinstance(wide, (frozenset, tuple)):
        return set(narrow) <= set(wide)
    return bool(narrow == wide)


def _first(known: Iterable[str]) -> str:
    return next(filter(None, sorted(known)), "…")


def _base(language: str) -> str:
    return language.partition("-")[0].lower()


def _shown(value: str) -> str:
    plain = "".join(char if char.isprintable() else "�" for char in value)
    return f'"{plain if len(plain) <= _SHOWN else plain[: _SHOWN - 1] + "…"}"'


def _near(word: str, known: Iterable[str]) -> str:
    """Return "did you mean …?" when one of the known words is near, else which there are."""
    in_order = sorted(known) if isinstance(known, Set) and not isinstance(known, KeysView) else known
    listed = list({candidate.casefold(): candidate for candidate in in_order if candidate}.values())
    if near := suggest(word, listed):
        return near
    if not listed:
        return "there is none yet"
    return f"known are {', '.join(listed[:_MOST_NAMED])}{'…' if len(listed) > _MOST_NAMED else ''}"
