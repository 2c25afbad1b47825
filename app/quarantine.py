"""`santral quarantine`: what could not be read, and another try once it can be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from multidict import CIMultiDict

from app.build import now, teams_of
from app.config import IntakeConfig, StoreConfig
from app.policy import policy_of
from app.store import opened
from channels import registry
from channels.channel import Channel, Request, Webhook
from channels.errors import Malformed
from channels.message import Letter, Unreadable
from inbox.files import Files
from inbox.intake import Intake
from inbox.letters import Letters
from inbox.store import quarantine
from inbox.store.quarantine import Body, Entry
from routing.policy import Live
from routing.rounds.following import FollowUps
from routing.triage import triage

NOT_THERE = "it is not in quarantine; `santral quarantine list` shows what is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    id: int
    ok: bool
    detail: str = ""


def waiting(config: StoreConfig) -> list[Entry]:
    """What nobody has replayed, oldest first."""

    async def work() -> list[Entry]:
        async with opened(config):
            return await quarantine.waiting()

    return asyncio.run(work())


def replay(config: IntakeConfig, ids: tuple[int, ...] | None) -> list[Outcome]:
    """Read requests again as if they had just come; None means all. What was stored before stays stored once."""
    return asyncio.run(_replay(config, ids))


async def _replay(config: IntakeConfig, ids: tuple[int, ...] | None) -> list[Outcome]:
    channels = {c.name: registry.make(c.kind, c.name, config.settings_of(c)) for c in config.channels}
    outcomes = []
    async with opened(config) as database:
        teams = teams_of(config)
        live = Live(policy_of(config))
        intake = Intake(
            database,
            decide=triage(live),
            follow_up=FollowUps(teams.follow_up, live),
            now=now,
        )
        letters = Letters(database, Files.in_folder(config.files_dir), intake, {}, now=now)
        async with database.connection() as c:
            bodies = await quarantine.bodies(c, ids)
        known = {kept.id for kept in bodies}
        outcomes += [Outcome(id=id, ok=False, detail=NOT_THERE) for id in ids or () if id not in known]
        for kept in bodies:
            detail = await _again(kept, channels, intake, letters)
            if not detail:
                async with database.connection() as c:
                    await quarantine.replayed(c, kept.id, now())
            outcomes.append(Outcome(id=kept.id, ok=not detail, detail=detail))
        await intake.close()
    return outcomes


async def _again(kept: Body, channels: Mapping[str, Channel], intake: Intake, letters: Letters) -> str:
    """Read a request once more and store what it says; why not, when that still cannot be done."""
    channel = channels.get(kept.channel)
    if not isinstance(channel, Webhook):
        slack = kept.channel == "slack"
        return "Slack sends its events again by itself" if slack else f"no channel {kept.channel} is configured"
    request = Request(method="POST", url="", headers=CIMultiDict(kept.headers), body=kept.body)
    try:
        arrived = channel.parse(request, now())
    except Malformed as error:
        return str(error)
    for event in arrived:
        if isinstance(event, Unreadable):
            return event.reason
    await letters.receive([event for event in arrived if isinstance(event, Letter)])
    await intake.receive([event for event in arrived if not isinstance(event, Letter)])
    return ""
