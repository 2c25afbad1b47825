"""The shop's own rules: what they look at, in which order, and what follows. Pure.

Rule: rules are looked at from top to bottom, and each sees what those above it changed. A machine's mail and spam are
never made more urgent, unless a rule says `automatic = true` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from itertools import chain
from pathlib import Path

from channels.message import Address, Proof
from inbox.changes import AddTag, Assign, Change, Priority, RemoveTag, SetPriority, SetTeam, State
from routing.phrases import Phrases
from routing.rule_values import Conditions, Known, Problem, Rule, RulesFile, RulesProblems
from routing.rules_text import parse, says_language
from routing.wildcards import fits, plain

__all__ = ["Known", "Outcome", "Problem", "Rule", "Rules", "RulesProblems", "Subject"]

STARTER = "starter-rules.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Everything a rule may look at: a message, and its conversation as it stands before the rules."""

    text: str
    subject: str = ""
    channel: str
    kind: str
    language: str = ""
    tags: frozenset[str] = frozenset()
    priority: Priority = Priority.NORMAL
    team: str = ""
    agent: str = ""
    state: State = State.OPEN
    known: bool = False  # wrote before
    proof: Proof = Proof.CLAIMED
    address: Address
    files: tuple[str, ...] = ()  # media types
    automatic: bool = False
    open: bool = True  # within support hours of its team
    waited: timedelta = timedelta()  # plain time since the first message that nobody has answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the rules come to. `changes` lead from the subject to where they leave it.

    A team that a rule names is among them even where the conversation is with that team already. `fired` are the
    names of all rules that held, `because` tells of those that did something.
    """

    changes: tuple[Change, ...] = ()
    because: str = ""
    fired: tuple[str, ...] = ()
    acknowledge: bool = True


_NOTHING = Outcome()


class Rules:
    """The rules of one file, ready to decide. Made by `parse`, `read` or `starter`."""

    def __init__(self, content: RulesFile) -> None:
        self.rules = content.rules
        self.tags = content.tags
        self.phrases = content.phrases
        self._words = _Words()
        self._ready = tuple(_Ready(rule, self._words) for rule in content.rules if rule.enabled)
        self._words.compile()

    @classmethod
    def parse(cls, text: str, *, file: str, known: Known) -> Rules:
        """Read the text of a rules file. Raises `RulesProblems` with everything that is wrong."""
        return cls(parse(text, file=file, known=known))

    @classmethod
    def read(cls, path: Path, *, known: Known) -> Rules:
        """Read a rules file. Raises `RulesProblems`, also for a file that cannot be read."""
        try:
            text = path.read_bytes().decode("utf-8-sig")  # editors on Windows put a mark first
        except OSError as error:
            what, fix = f"the file cannot be read ({error.strerror})", "name an existing file, or mend its permissions"
        except UnicodeDecodeError:
            what, fix = "the file is not UTF-8 text", "save it as UTF-8"
        else:
            return cls.parse(text, file=path.name, known=known)
        raise RulesProblems([Problem(file=path.name, line=1, rule="", key="", what=what, fix=fix)])

    @classmethod
    def starter(cls, known: Known) -> Rules:
        """The rules that Santral brings: they fit every shop."""
        return cls.parse(starter_text(), file=STARTER, known=known)

    def __len__(self) -> int:
        """How many are in force."""
        return len(self._ready)

    def decide(self, subject: Subject) -> Outcome:
        """Say what the rules change for this message, and why."""
        now = _Now(subject)
        for rule in self._ready:
            for check in rule.checks:
                if not check(subject, now):
                    break
            else:
                if rule.heard(subject, now, self._words) and not rule.kept(subject, now, self._words):
                    rule.fire(subject, now)
                    if rule.stop:
                        break
        return now.outcome(subject) if now.fired else _NOTHING


def starter_text() -> str:
    """The starter file as it is, with its examples."""
    return (resources.files("routing") / STARTER).read_text(encoding="utf-8")


class _Now:
    """The conversation as the rules have left it so far, and what was heard in the message."""

    __slots__ = (
        "_address",
        "_title",
        "acknowledge",
        "agent",
        "because",
        "fired",
        "heard",
        "placed",
        "priority",
        "tags",
        "team",
    )

    def __init__(self, subject: Subject) -> None:
        self.tags = subject.tags
        self.priority = subject.priority
        self.team = subject.team
        self.placed = False  # a rule named the team
        self.agent = subject.agent
        self.acknowledge = True
        self.heard: Mapping[int, str] | None = None  # what was said, by the number of its phrase; None: not read yet
        self.because: list[str] = []
        self.fired: list[str] = []
        self._address: tuple[str, str] | None = None
        self._title: str | None = None

    def address(self, subject: Subject) -> tuple[str, str]:
        """The address as patterns see it, without its kind and with it."""
        if self._address is None:
            self._address = (plain(subject.address.value), plain(str(subject.address)))
        return self._address

    def title(self, subject: Subject) -> str:
        """The subject line as patterns see it."""
        if self._title is None:
            self._title = plain(subject.subject)
        return self._title

    def outcome(self, subject: Subject) -> Outcome:
        changes: list[Change] = []
        if self.placed:
            changes.append(SetTeam(team=self.team))
        if self.priority is not subject.priority:
            changes.append(SetPriority(priority=self.priority))
        changes += [RemoveTag(tag=tag) for tag in sorted(subject.tags - self.tags)]
        changes += [AddTag(tag=tag) for tag in sorted(self.tags - subject.tags)]
        if self.agent != subject.agent:
            changes.append(Assign(agent=self.agent))
        return Outcome(
            changes=tuple(changes),
            because="; ".join(self.because),
            fired=tuple(self.fired),
            acknowledge=self.acknowledge,
        )


_Check = Callable[[Subject, _Now], bool]


class _Ready:
    """One rule with its conditions as functions, those that cost least first and the words last."""

    __slots__ = ("_rule", "_says", "_unless", "_unless_says", "checks", "stop")

    def __init__(self, rule: Rule, words: _Words) -> None:
        self._rule = rule
        self.checks = _checks(rule.when)
        self._says = words.numbers(rule.when)
        self._unless = _checks(rule.unless) if rule.unless is not None else ()
        self._unless_says = words.numbers(rule.unless) if rule.unless is not None else frozenset()
        self.stop = rule.stop

    def heard(self, subject: Subject, now: _Now, words: _Words) -> bool:
        """Whether the words are said that the rule asks for, if it does."""
        return not self._says or not self._says.isdisjoint(words.heard(subject, now))

    def kept(self, subject: Subject, now: _Now, words: _Words) -> bool:
        """Whether `unless` keeps the rule from firing."""
        if self._rule.unless is None or not all(check(subject, now) for check in self._unless):
            return False
        return not self._unless_says or not self._unless_says.isdisjoint(words.heard(subject, now))

    def fire(self, subject: Subject, now: _Now) -> None:
        then = self._rule.then
        now.fired.append(self._rule.name)
        now.placed = now.placed or bool(then.team)
        team, agent = then.team or now.team, then.agent or now.agent
        tags = now.tags
        if not then.remove_tags.isdisjoint(tags) or not then.add_tags <= tags:
            tags = (tags - then.remove_tags) | then.add_tags
        priority = now.priority
        if then.priority is not None:
            priority = then.priority
        elif then.raise_to is not None:
            priority = min(priority, then.raise_to)
        never_raised = (subject.automatic or "spam" in tags) and self._rule.when.automatic is not True
        if priority < now.priority and never_raised:
            priority = now.priority
        acknowledge = now.acknowledge and then.acknowledge
        after = (team, agent, tags, priority, acknowledge)
        if after != (now.team, now.agent, now.tags, now.priority, now.acknowledge):
            now.because.append(f"rule ‘{self._rule.name}’: {self._why(subject, now)}")
            now.team, now.agent, now.tags, now.priority, now.acknowledge = after

    def _why(self, subject: Subject, now: _Now) -> str:
        said = [text for number, text in (now.heard or {}).items() if number in self._says]
        return ", ".join(chain([f"says ‘{said[0]}’"] if said else [], _reasons(self._rule.when, subject, now)))


def _checks(conditions: Conditions) -> tuple[_Check, ...]:
    """All conditions but the words."""
    found: list[_Check] = []
    c = conditions
    if c.automatic is not None:
        found.append(lambda subject, now: subject.automatic is c.automatic)
    if c.known is not None:
        found.append(lambda subject, now: subject.known is c.known)
    if c.support is not None:
        found.append(lambda subject, now: subject.open is c.support)
    if c.channels:
        found.append(lambda subject, now: subject.channel in c.channels)
    if c.kinds:
        found.append(lambda subject, now: subject.kind in c.kinds)
    if c.languages:
        found.append(lambda subject, now: subject.language in c.languages)
    if c.states:
        found.append(lambda subject, now: subject.state in c.states)
    if (proof := c.proof) is not None:
        found.append(lambda subject, now: subject.proof >= proof)
    if (least := c.waiting_over) is not None:
        found.append(lambda subject, now: subject.waited > least)
    if c.assigned is not None:
        found.append(lambda subject, now: bool(now.agent) is c.assigned)
    if c.teams:
        found.append(lambda subject, now: now.team in c.teams)
    if c.priorities:
        found.append(lambda subject, now: now.priority in c.priorities)
    if c.tags:
        found.append(lambda subject, now: not c.tags.isdisjoint(now.tags))
    if c.all_tags:
        found.append(lambda subject, now: c.all_tags <= now.tags)
    if isinstance(c.files, bool):
        found.append(lambda subject, now: bool(subject.files) is c.files)
    elif c.files:
        of_kind = fits(c.files)
        found.append(lambda subject, now: any(of_kind(plain(file.partition(";")[0])) for file in subject.files))
    if c.subject:
        titled = fits(c.subject)
        found.append(lambda subject, now: bool(subject.subject and titled(now.title(subject))))
    if c.addresses:
        found.append(_from(fits(c.addresses)))
    return tuple(found)


def _from(like: Callable[[str], object]) -> _Check:
    def check(subject: Subject, now: _Now) -> bool:
        value, whole = now.address(subject)
        return bool(like(value) or like(whole))

    return check


def _reasons(c: Conditions, subject: Subject, now: _Now) -> Iterable[str]:
    """What holds, in words an agent reads."""
    if tags := sorted((c.tags | c.all_tags) & now.tags):
        yield f"tag {' and '.join(tags)}"
    if c.languages:
        yield f"writes {subject.language}"
    if c.channels:
        yield f"through {subject.channel}"
    if c.kinds:
        yield f"by {subject.kind}"
    if c.teams:
        yield f"team {now.team}"
    if c.assigned is not None:
        yield "somebody has it" if c.assigned else "nobody has it"
    if c.priorities:
        yield f"priority {now.priority.name.lower()}"
    if c.states:
        yield f"was {subject.state.value}"
    if c.known is not None:
        yield "wrote before" if c.known else "never wrote before"
    if c.proof is not None:
        yield f"address {subject.proof.name.lower()}"
    if c.addresses:
        yield f"address {subject.address.value}"
    if c.subject:
        yield f"subject ‘{' '.join(subject.subject.split())[:60]}’"
    if c.files is not None:
        yield f"sends {', '.join(dict.fromkeys(subject.files))[:60]}" if subject.files else "sends no file"
    if c.support is not None:
        yield "within support hours" if c.support else "outside support hours"
    if c.waiting_over is not None:
        hours, minutes = divmod(int(subject.waited.total_seconds()) // 60, 60)
        yield f"waiting {f'{hours} h' if hours else f'{minutes} min'}"
    if c.automatic is not None:
        yield "sent by a machine" if c.automatic else "written by a person"
    if not c.given():
        yield "every message"


class _Words:
    """The phrases of all rules in one automaton, so that a message is read once, and only if a rule asks for it."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}  # (language, phrase)
        self._phrases: Phrases | None = None

    def numbers(self, conditions: Conditions) -> frozenset[int]:
        """The numbers of the phrases of `says`; the same phrase of two rules is one."""
        language = says_language(conditions.languages)
        return frozenset(self._numbers.setdefault((language, phrase), len(self._numbers)) for phrase in conditions.says)

    def compile(self) -> None:
        if not self._numbers:
            return
        phrases = Phrases.denials()
        for language in dict.fromkeys(language for language, _ in self._numbers):
            own = {str(n): [phrase] for (of, phrase), n in self._numbers.items() if of == language}
            phrases = phrases.with_more(own, language=language)
        self._phrases = phrases
        phrases.read("")  # compiles now rather than at the first message

    def heard(self, subject: Subject, now: _Now) -> Mapping[int, str]:
        """What the message says of them, by number; read once."""
        if now.heard is None:
            now.heard = self._read(f"{subject.subject}.\n{subject.text}" if subject.subject else subject.text)
        return now.heard

    def _read(self, text: str) -> Mapping[int, str]:
        if self._phrases is None or not text:
            return {}
        heard: dict[int, str] = {}
        for hit in self._phrases.read(text).hits:
            if not hit.denied:
                heard.setdefault(int(hit.tag), hit.said)
        return heard
