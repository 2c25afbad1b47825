"""What a rules file says, once it is read: conditions, what follows from them, and what may be named. Pure values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from channels.message import Proof
from inbox.changes import Priority, State
from routing.weighing import TAGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a rule may name. `channels` are kinds by name; `agents` None accepts everything that is a person's id."""

    tags: frozenset[str] = frozenset(TAGS)
    teams: tuple[str, ...] = ()
    channels: Mapping[str, str] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    agents: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend. `line` counts from 1, `rule` is its name, or its number where the name is not there."""

    file: str
    line: int
    rule: str
    key: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        inner = " . ".join(part for part in (f'"{self.rule}"' if self.rule else "", self.key) if part)
        said = f"{self.file}:{self.line}{f' {inner}' if inner else ''}: {self.what}"
        return f"{said}; {self.fix}" if self.fix else said


class RulesProblems(Exception):
    """The rules file cannot be used as it is."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """All of them must hold; of a list one. None and empty stand for a condition that is not there."""

    says: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    all_tags: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    assigned: bool | None = None
    priorities: frozenset[Priority] = frozenset()
    states: frozenset[State] = frozenset()
    known: bool | None = None
    proof: Proof | None = None  # at least
    addresses: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    files: bool | tuple[str, ...] | None = None
    support: bool | None = None  # open
    waiting_over: timedelta | None = None
    automatic: bool | None = None

    def given(self) -> dict[str, Any]:
        """Those that are there."""
        values = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {name: value for name, value in values if value or value is False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """What a rule does."""

    team: str = ""
    priority: Priority | None = None
    raise_to: Priority | None = None
    add_tags: frozenset[str] = frozenset()
    remove_tags: frozenset[str] = frozenset()
    agent: str = ""
    acknowledge: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. Without `unless` nothing keeps it from firing."""

    name: str
    line: int
    enabled: bool = True
    when: Conditions
    unless: Conditions | None = None
    then: Then
    stop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFile:
    """A file without mistakes. `phrases` are (tag, language or "", words)."""

    tags: frozenset[str] = frozenset()
    phrases: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    rules: tuple[Rule, ...] = ()
