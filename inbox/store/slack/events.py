"""What Slack told us, kept by the id of each event until somebody has acted on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from inbox.store.database import Connection
from inbox.text import storable


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    event_id: str
    thread_ts: str
    body: Mapping[str, Any]
    received_at: datetime


async def store_event(
    c: Connection, event_id: str, slack_channel: str, thread_ts: str, body: Mapping[str, Any], outcome: str
) -> bool:
    """Keep an event by its id. False when we have it. An `outcome` given at once means there is nothing to do."""
    answer = await c.execute(
        """
        insert into slack_events (event_id, slack_channel, thread_ts, body, settled_at, outcome)
        values ($1, $2, $3, $4, case when $5 <> '' then now() end, $5) on conflict (event_id) do nothing
        """,
        storable(event_id),
        storable(slack_channel),
        storable(thread_ts),
        _storable(dict(body)),
        outcome,
    )
    return answer.endswith(" 1")


def _storable(value: Any) -> Any:
    """A JSON value whose every text PostgreSQL takes."""
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(name): _storable(inner) for name, inner in value.items()}
        case list():
            return [_storable(inner) for inner in value]
        case _:
            return value


async def unsettled(c: Connection, slack_channel: str, thread_ts: str) -> list[Event]:
    """The events of one Slack thread that nobody has acted on, in the order in which they happened."""
    rows = await c.fetch(
        """
        select event_id, thread_ts, body, received_at from slack_events
        where slack_channel = $1 and thread_ts = $2 and settled_at is null
        order by coalesce(body -> 'event' ->> 'event_ts', body -> 'event' ->> 'ts'), event_id
        """,
        slack_channel,
        thread_ts,
    )
    return [Event(**dict(row)) for row in rows]


async def event(c: Connection, event_id: str) -> Event | None:
    row = await c.fetchrow(
        "select event_id, thread_ts, body, received_at from slack_events where event_id = $1", event_id
    )
    return Event(**dict(row)) if row else None


async def latest_change(c: Connection, slack_channel: str, thread_ts: str, ts: str) -> Mapping[str, Any] | None:
    """The last event that changed or deleted a message, whatever was done about it."""
    found = await c.fetchval(
        """
        select body -> 'event' from slack_events
        where slack_channel = $1 and thread_ts = $2 and $3 in (body #>> '{event,message,ts}', body #>> '{event,deleted_ts}')
          and body #>> '{event,subtype}' in ('message_changed', 'message_deleted')
        order by body #>> '{event,event_ts}' desc limit 1
        """,
        slack_channel,
        thread_ts,
        ts,
    )
    return found if isinstance(found, Mapping) else None


async def settle_event(c: Connection, event_id: str, outcome: str) -> None:
    await c.execute(
        "update slack_events set settled_at = now(), outcome = $2 where event_id = $1", event_id, outcome[:200]
    )


async def forget_events(c: Connection, days: int = 7) -> None:
    """Slack repeats an event for a day at most; a week is plenty to know it again."""
    await c.execute("delete from slack_events where settled_at < now() - make_interval(days => $1)", days)
