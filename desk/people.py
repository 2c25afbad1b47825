"""Who somebody in Slack is, and whether they may answer customers. Asked of Slack, remembered for ten minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from desk.commands import Person
from desk.slack import Refusal, Slack
from inbox.store import slack as table
from inbox.store.database import Database
from inbox.store.slack import Agent

FRESH = timedelta(minutes=10)  # a guest who became a member waits this long at most

NOBODY = "nobody"  # no Slack user has this id

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Someone:
    """A person of the workspace: what we show, and what decides whether they may answer."""

    id: str
    name: str
    language: str
    person: Person | None
    answered: bool


class People:
    """The workspace's people and groups."""

    def __init__(self, database: Database, slack: Slack, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._slack = slack
        self._now = now
        self._groups: dict[str, tuple[datetime, frozenset[str]]] = {}

    async def who(self, user: str) -> Someone:
        """Describe a user. When Slack cannot say, `person` is None and nothing they write goes out.

        Raises `Failed` or `Wait` while Slack is away, so that the question is asked again later.
        """
        async with self._database.connection() as c:
            known = await table.agent(c, user)
        if known is None or known.read_at < self._now() - FRESH:
            facts = await self._ask(user)
            async with self._database.connection() as c:
                known = await table.save_agent(
                    c, user, _name(facts), str(facts.get("locale") or ""), _kept(facts), self._now()
                )
        return _someone(known, self._team_id())

    async def members(self, listed: frozenset[str]) -> frozenset[str]:
        """User ids behind a team's `members`, user groups resolved."""
        users = {id for id in listed if not id.startswith("S")}
        for group in listed - users:
            at, found = self._groups.get(group, (None, frozenset()))
            if at is None or at < self._now() - FRESH:
                found = await self._slack.group(group)
                self._groups[group] = (self._now(), found)
            users |= found
        # An empty set means everyone, and a group that has lost its last member must not.
        return frozenset(users) if users or not listed else frozenset([NOBODY])

    def _team_id(self) -> str:
        return self._slack.identity.team_id if self._slack.identity else ""

    async def _ask(self, user: str) -> Mapping[str, Any]:
        try:
            return await self._slack.person(user)
        except Refusal as error:
            if error.code not in {"user_not_found", "user_not_visible"}:
                raise
            return {}


def _kept(facts: Mapping[str, Any]) -> dict[str, Any]:
    names = ("is_bot", "deleted", "is_restricted", "is_ultra_restricted", "is_stranger", "team_id", "tz", "id")
    return {name: facts[name] for name in names if name in facts}


def _name(facts: Mapping[str, Any]) -> str:
    profile = facts.get("profile") or {}
    return str(
        profile.get("display_name") or profile.get("real_name") or facts.get("real_name") or facts.get("name") or ""
    )


def _someone(agent: Agent, team_id: str) -> Someone:
    facts = agent.facts
    person = None
    if facts.get("id"):
        foreign = bool(team_id and facts.get("team_id") and facts["team_id"] != team_id)
        person = Person(
            id=agent.slack_user,
            bot=bool(facts.get("is_bot")),
            deleted=bool(facts.get("deleted")),
            guest=bool(facts.get("is_restricted") or facts.get("is_ultra_restricted")),
            outsider=bool(facts.get("is_stranger")) or foreign,
        )
    return Someone(
        id=agent.slack_user,
        name=agent.name,
        language=agent.locale.partition("-")[0],
        person=person,
        answered=agent.answered,
    )
