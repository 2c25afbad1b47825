"""Everything the shop has laid down about deciding, as one value: words, rules, teams, hours, promises, replies.

Rule: a policy is whole or it is not used. A reload makes a new one and puts it in the place of the old in one step;
what is wrong leaves the old one in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo

from routing.acknowledge import Limits
from routing.assignment import PATIENCE, Method
from routing.hours import Hours
from routing.phrases import Phrases
from routing.promises import Targets
from routing.rules import Rules
from templates.approved import Approved
from templates.replies import Replies

CAPACITY = 10  # conversations one person carries at once unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """What happens when a promise is broken, beside the line in the thread."""

    mention: tuple[str, ...] = ()  # Slack users or user groups
    raise_priority: bool = True  # by one step
    move_to: str = ""  # a team


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamPolicy:
    """How one team works. Without `hours` it always answers; without a `method` nobody is assigned by themselves."""

    name: str
    hours: Hours | None = None
    languages: frozenset[str] = frozenset()  # conversations in these come here
    tags: frozenset[str] = frozenset()  # conversations with one of these come here
    method: Method | None = None
    capacity: int = CAPACITY
    patience: timedelta = PATIENCE
    escalation: Escalation = field(default_factory=Escalation)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPolicy:
    """What is known of an agent beyond Slack. Without `hours` the team's hold."""

    id: str  # Slack user id
    languages: frozenset[str] = frozenset()
    skills: frozenset[str] = frozenset()
    capacity: int | None = None
    hours: Hours | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The first of `languages` and of `teams` is the one for whatever nothing else fits."""

    shop: str
    languages: tuple[str, ...]
    zone: ZoneInfo
    teams: Mapping[str, TeamPolicy]  # by name, in the order of the configuration
    phrases: Phrases
    rules: Rules
    replies: Replies
    approved: Approved
    kinds: Mapping[str, str] = field(default_factory=dict)  # kind by channel
    agents: Mapping[str, AgentPolicy] = field(default_factory=dict)
    targets: Targets = field(default_factory=Targets)
    limits: Limits = field(default_factory=Limits)
    acknowledges: bool = True
    model: bool = True  # the learned layer is asked

    @property
    def first(self) -> TeamPolicy:
        return next(iter(self.teams.values()))

    def team(self, name: str) -> TeamPolicy:
        """A team; the first for a name that is gone from the configuration."""
        return self.teams.get(name) or self.first

    def team_for(self, language: str, tags: Iterable[str]) -> tuple[str, str]:
        """The team of a new matter, and why: by tag, then by language, else the first, which needs no reason."""
        tags = frozenset(tags)
        for team in self.teams.values():
            if shared := sorted(team.tags & tags):
                return team.name, f"{team.name} answers {shared[0]}"
        for team in self.teams.values():
            if language and language in team.languages:
                return team.name, f"{team.name} answers {language}"
        return self.first.name, ""


class Live:
    """The policy in force. The one thing in a running process that is replaced: by a reload, whole."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def __call__(self) -> Policy:
        return self._policy

    def replace(self, policy: Policy) -> None:
        self._policy = policy
