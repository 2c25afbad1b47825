"""From the configuration and its files to the policy by which Santral decides. Every mistake is told at once.

Rule: what `serve` starts with and what a reload brings is made here, by the same checks.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.config import Config, IntakeConfig, load, right_part
from app.config.deciding import told
from app.config.sections import AgentConfig, TeamConfig
from app.problems import ConfigProblems, Place, Problem, dotted
from channels import registry
from routing import holidays
from routing.acknowledge import Limits
from routing.assignment import Method
from routing.hours import BadHours, Hours
from routing.phrases import Phrases
from routing.policy import AgentPolicy, Escalation, Policy, TeamPolicy
from routing.promises import Allowance, Targets, parse
from routing.rules import Known, Rules, RulesProblems
from routing.weighing import TAGS
from templates.approved import Approved
from templates.replies import Replies
from templates.reply import BadReplies, Limit
from templates.suggesting import suggest

DEFAULT_TEAM = TeamConfig.model_construct(name="", slack_channel="C000000000")


def read(path: Path, environ: Mapping[str, str]) -> Config:
    """Read and check the whole configuration.

    Raises `ConfigProblems`. Where the file itself is wrong, its hours, rules and texts have been looked at as well, as
    far as what is right of it allows, so that nobody mends one mistake only to be told of the next.
    """
    try:
        return load(path, environ)
    except ConfigProblems as wrong:
        more: tuple[Problem, ...] = ()
        if part := right_part(path, environ):
            try:
                policy_of(part)
            except ConfigProblems as also:
                more = also.problems
        raise ConfigProblems(wrong.file, [*wrong.problems, *more]) from None


def policy_of(config: IntakeConfig) -> Policy:
    """Make the policy, half a second of work at the first time. Raises `ConfigProblems` with every problem there is."""
    with _uncollected():
        return _policy(config)


def _policy(config: IntakeConfig) -> Policy:
    made = _Making(config)
    known = known_of(config)
    rules = made.rules(known)
    tags = frozenset(TAGS) | rules.tags if rules is not None else None  # None: a wrong file may name more
    region = made.region()
    teams = {
        team.name: made.team(("teams", position), team, tags, region)
        for position, team in enumerate(config.teams or (DEFAULT_TEAM,))
    }
    agents = {
        agent.id: made.agent(("agents", position), agent, tags, region) for position, agent in enumerate(config.agents)
    }
    replies = made.replies(tags)
    approved = made.approved(replies)
    if made.problems or rules is None or replies is None or approved is None:
        raise ConfigProblems("the configuration", made.problems)
    acknowledge = config.acknowledge
    return Policy(
        shop=config.shop.name,
        languages=config.shop.languages,
        zone=config.shop.zone,
        teams=teams,
        phrases=_phrases(config.shop.languages, rules.phrases),
        rules=rules,
        replies=replies,
        approved=approved,
        kinds=known.channels,
        agents=agents,
        targets=Targets(
            common=parse(config.targets.written()),
            teams={team.name: parse(own) for team in config.teams if (own := team.targets.written())},
        ),
        limits=Limits(
            per_minute=acknowledge.per_minute,
            long_wait=_time(acknowledge.long_wait) if acknowledge.long_wait is not None else None,
        ),
        acknowledges=acknowledge.enabled,
        model=config.model,
    )


def known_of(config: IntakeConfig) -> Known:
    """What the rules may name."""
    return Known(
        tags=frozenset(TAGS),
        teams=tuple(team.name for team in config.teams) or ("",),
        channels={channel.name: channel.kind for channel in config.channels},
        languages=config.shop.languages,
        agents=None,
    )


def rules_of(config: IntakeConfig, known: Known) -> Rules:
    """The shop's rules, or those that Santral brings. Raises `RulesProblems`."""
    if config.rules is None:
        return Rules.starter(known)
    return Rules.read(config.rules, known=known)


class _Making:
    """A policy being made, and the problems found on the way, in the order of the documentation."""

    def __init__(self, config: IntakeConfig) -> None:
        self.config = config
        self.problems: list[Problem] = []
        self._labels: dict[Place, str] = {
            **{("teams", position): team.name for position, team in enumerate(config.teams)},
            **{("agents", position): agent.id for position, agent in enumerate(config.agents)},
        }

    def wrong(self, place: Place, what: str, fix: str = "") -> None:
        self.problems.append(Problem(key=dotted(place, self._labels), what=what, fix=fix))

    def rules(self, known: Known) -> Rules | None:
        try:
            return rules_of(self.config, known)
        except RulesProblems as wrong:
            for one in wrong.problems:
                key = _within(one.file, one.line, one.rule, one.key)
                self.problems.append(Problem(key=key, what=one.what, fix=one.fix))
            return None

    def replies(self, tags: frozenset[str] | None) -> Replies | None:
        shop, folder = self.config.shop, self.config.templates
        carried = {channel.name: registry.CAPABILITIES.get(channel.kind) for channel in self.config.channels}
        limits = {name: Limit(most=can.max_text, measure=can.measure) for name, can in carried.items() if can}
        try:
            return Replies.load(shop.languages, folder, shop=shop.name, limits=limits, tags=tags)
        except BadReplies as wrong:
            self._texts(wrong)
            return None

    def approved(self, replies: Replies | None) -> Approved | None:
        shop, folder = self.config.shop, self.config.templates
        try:
            return Approved.load(shop.languages, folder, shop=shop.name, replies=replies)
        except BadReplies as wrong:
            self._texts(wrong)
            return None

    def _texts(self, wrong: BadReplies) -> None:
        for one in wrong.problems:
            file = "/".join(Path(one.file).parts[-2:])  # the folder and the file in it
            self.problems.append(Problem(key=_within(file, one.line, one.name, one.key), what=one.what, fix=one.fix))

    def region(self) -> str:
        """Whose holidays count: the country, with its region where that is known."""
        shop = self.config.shop
        if shop.region is None or holidays.known(f"{shop.country}-{shop.region}"):
            return shop.country + (f"-{shop.region}" if shop.region else "")
        fix = "write the code that stands behind the country, like BY for DE-BY, or leave it out"
        self.wrong(("shop", "region"), f'"{shop.region}" is no region of {shop.country} with holidays of its own', fix)
        return shop.country

    def team(self, place: Place, team: TeamConfig, tags: Collection[str] | None, region: str) -> TeamPolicy:
        self._unknown((*place, "languages"), team.languages, self.config.shop.languages, _NO_LANGUAGE)
        self._unknown((*place, "tags"), team.tags, tags, _NO_TAG)
        own = {**self.config.shop.exceptions, **team.exceptions}
        escalate = team.escalate
        return TeamPolicy(
            name=team.name,
            hours=self._hours((*place, "hours"), team.hours, team.timezone, region, own),
            languages=frozenset(team.languages),
            tags=frozenset(team.tags),
            method=None if team.assign == "by_hand" else Method(team.assign),
            capacity=team.capacity,
            patience=_time(team.patience),
            escalation=Escalation(
                mention=escalate.mention,
                raise_priority=escalate.raise_priority,
                move_to=escalate.move_to or "",
            ),
        )

    def agent(self, place: Place, agent: AgentConfig, tags: Collection[str] | None, region: str) -> AgentPolicy:
        self._unknown((*place, "languages"), agent.languages, self.config.shop.languages, _NO_LANGUAGE)
        self._unknown((*place, "skills"), agent.skills, tags, _NO_TAG)
        # A holiday of the shop is everybody's.
        hours = self._hours((*place, "hours"), agent.hours, agent.timezone, region, self.config.shop.exceptions)
        return AgentPolicy(
            id=agent.id,
            languages=frozenset(agent.languages),
            skills=frozenset(agent.skills),
            capacity=agent.capacity,
            hours=hours,
        )

    def _hours(
        self, place: Place, text: str | None, timezone: str | None, region: str, exceptions: Mapping[str, str]
    ) -> Hours | None:
        if text is None:
            return None
        zone = ZoneInfo(timezone) if timezone else self.config.shop.zone
        dated = {date.fromisoformat(day): hours for day, hours in exceptions.items()}
        try:
            return Hours.parse(text, zone=zone, country=region, exceptions=dated)
        except BadHours as wrong:
            self.wrong(place, *told(str(wrong)))
            return None

    def _unknown(self, place: Place, named: Iterable[str], known: Collection[str] | None, words: _Words) -> None:
        if known is None:
            return
        for position, name in enumerate(named):
            if name not in known:
                fix = suggest(name, known) or words.fix.format(", ".join(known))
                self.wrong((*place, position), f'"{name}" {words.what}', fix)


class _Words(NamedTuple):
    what: str
    fix: str


_NO_LANGUAGE = _Words("is no language of the shop", "add it to languages of [shop], which are {}")
_NO_TAG = _Words("is neither a tag of Santral nor of the rules file", 'add it to the rules file: tags = ["…"]')


@lru_cache(maxsize=4)
def _phrases(languages: tuple[str, ...], more: tuple[tuple[str, str, tuple[str, ...]], ...]) -> Phrases:
    """Our phrases and those of the rules file, ready to read: what a reload does not change is not compiled again."""
    phrases = Phrases.load(languages)
    for tag, language, words in more:
        phrases = phrases.with_more({tag: words}, language=language)
    phrases.read("")  # compiles now rather than inside the first message's intake
    return phrases


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile: there is none, and among so many new values looking takes a third of the time."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


def _time(text: str) -> timedelta:
    return Allowance.parse(text).time


def _within(file: str, line: int, name: str, key: str) -> str:
    inner = " . ".join(part for part in (f'"{name}"' if name else "", key) if part)
    return f"{file}{f':{line}' if line else ''} {inner}".strip()
