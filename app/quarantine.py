"""`santral quarantine`: what could not be read, and another try once it can be."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.build import now, teams_of
from app.config import IntakeConfig, StoreConfig
from app.store import opened
from channels import registry
from channels.channel import Webhook
from channels.errors import Malformed
from channels.message import Unreadable
from inbox.intake import Intake
from inbox.store import quarantine
from inbox.store.quarantine import Entry
from routing.triage import triage


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
    channels = {c.name: registry.make(c.kind, c.name, c.settings()) for c in config.channels}
    outcomes = []
    async with opened(config) as database:
        teams = teams_of(config)
        intake = Intake(
            database,
            decide=triage(config.shop.languages, teams.first.name, frozenset(team.name for team in teams)),
            follow_up=teams.follow_up,
            now=now,
        )
        async with database.connection() as c:
            bodies = await quarantine.bodies(c, ids)
        known = {id for id, _, _ in bodies}
        outcomes += [Outcome(id=id, ok=False, detail="no such entry") for id in ids or () if id not in known]
        for id, name, body in bodies:
            channel = channels.get(name)
            if not isinstance(channel, Webhook):
                why = (
                    "Slack sends its events again by itself" if name == "slack" else f"no channel {name} is configured"
                )
                outcomes.append(Outcome(id=id, ok=False, detail=why))
                continue
            try:
                events = channel.parse(body, now())
            except Malformed as error:
                outcomes.append(Outcome(id=id, ok=False, detail=str(error)))
                continue
            unreadable = [event for event in events if isinstance(event, Unreadable)]
            if unreadable:
                outcomes.append(Outcome(id=id, ok=False, detail=unreadable[0].reason))
                continue
            await intake.receive(events)
            async with database.connection() as c:
                await quarantine.replayed(c, id, now())
            outcomes.append(Outcome(id=id, ok=True))
        await intake.close()
    return outcomes
