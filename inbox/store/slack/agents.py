"""The people of the workspace as Slack last described them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from inbox.store.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A person of the workspace as Slack last described them."""

    slack_user: str
    name: str = ""
    locale: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    answered: bool = False
    read_at: datetime


async def agent(c: Connection, slack_user: str) -> Agent | None:
    row = await c.fetchrow(
        """
        select slack_user, name, locale, facts, answered_at is not null as answered, read_at from agents
        where slack_user = $1
        """,
        slack_user,
    )
    return Agent(**dict(row)) if row else None


async def save_agent(
    c: Connection, slack_user: str, name: str, locale: str, facts: Mapping[str, Any], at: datetime
) -> Agent:
    row = await c.fetchrow(
        """
        insert into agents (slack_user, name, locale, facts, read_at) values ($1, $2, $3, $4, $5)
        on conflict (slack_user) do update set name = $2, locale = $3, facts = $4, read_at = $5
        returning slack_user, name, locale, facts, answered_at is not null as answered, read_at
        """,
        slack_user,
        name,
        locale,
        dict(facts),
        at,
    )
    return Agent(**dict(row))
