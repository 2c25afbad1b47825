"""A channel that is asked: what goes wrong there delays it by seconds, however often it went wrong before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from channels.channel import Pulled
from channels.errors import ChannelError, Misconfigured, Retry
from inbox.changes import Decision, Priority
from inbox.files import Files
from inbox.intake import Intake
from inbox.letters import Letters
from inbox.pull import Puller
from inbox.store.database import Connection, Database
from inbox.store.work import Piece
from inbox.work import Failed, Unavailable, Wait

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PIECE = Piece(
    kind="pull", key="bot", lane="", priority=Priority.NORMAL, generation=1, attempts=9, lease=uuid4(), since=AT
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A provider that fails at every question."""

    error: ChannelError

    async def pull(self, after: str) -> Pulled:
        raise self.error


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Retry("The line broke."), Unavailable),
        (Retry("Slower.", after=timedelta(seconds=7)), Wait),
        (Misconfigured("The token was revoked."), Failed),
    ],
)
async def test_only_what_waiting_does_not_mend_counts_as_a_failed_try(
    database: Database, tmp_path: Path, error: ChannelError, outcome: type[Exception]
) -> None:
    intake = Intake(database, decide=lambda facts: Decision(), follow_up=lambda *_, lines: [], now=lambda: AT)
    told: list[tuple[str, str]] = []

    async def refused(_: Connection, channel: str, why: str) -> None:
        told.append((channel, why))

    letters = Letters(database, Files.in_folder(tmp_path), intake, {}, now=lambda: AT)
    puller = Puller(database, intake, letters, {"bot": Broken(error=error)}, refused=refused, now=lambda: AT)
    with pytest.raises(outcome) as raised:
        await puller.run(PIECE)
    assert type(raised.value) is outcome
    # A refused login is for whoever runs the shop to mend: the desk is told. A broken line mends itself.
    assert told == ([("bot", "The token was revoked.")] if isinstance(error, Misconfigured) else [])
