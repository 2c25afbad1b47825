"""Requests that could not be read or stored: listed for people, read again once what was wrong is mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from inbox.store.database import Connection
from inbox.store.models import Quarantined


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    id: int
    received_at: datetime
    channel: str
    reason: str
    detail: str
    times: int


async def waiting() -> list[Entry]:
    """What nobody has replayed, oldest first. Call inside `Database.open`."""
    rows = await Quarantined.filter(replayed_at=None).order_by("id").limit(1_000)
    return [
        Entry(
            id=row.id,
            received_at=row.received_at,
            channel=row.channel,
            reason=row.reason,
            detail=row.detail,
            times=row.times,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A request as it was kept."""

    id: int
    channel: str
    headers: Mapping[str, str]
    body: bytes


async def bodies(c: Connection, ids: Sequence[int] | None) -> list[Body]:
    """What waits; None means all."""
    rows = await c.fetch(
        """
        select id, channel, headers, body from quarantine
        where replayed_at is null and ($1::bigint[] is null or id = any($1)) order by id
        """,
        list(ids) if ids is not None else None,
    )
    return [Body(**dict(row)) for row in rows]


async def replayed(c: Connection, id: int, at: datetime) -> None:
    await c.execute("update quarantine set replayed_at = $2 where id = $1", id, at)
