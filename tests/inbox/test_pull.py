"""A channel that is asked: what goes wrong there delays it by seconds, however often it went wrong before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from channels.channel import Pulled
from channels.errors import ChannelError, Misconfigured, Retry
from inbox.changes import Decision, Priority, Put
from inbox.files import Files
from inbox.intake import Intake
from inbox.letters import Letters
from inbox.pull import Puller
from inbox.store import deliveries, slack, work
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

    async def reads(_: Connection, channel: str) -> None:
        told.append((channel, "is read"))

    letters = Letters(database, Files.in_folder(tmp_path), intake, {}, now=lambda: AT)
    broken = Broken(error=error)
    puller = Puller(database, intake, letters, {"bot": broken}, refused=refused, reads=reads, now=lambda: AT)
    with pytest.raises(outcome) as raised:
        await puller.run(PIECE)
    assert type(raised.value) is outcome
    # A refused login is for whoever runs the shop to mend: the desk is told. A broken line mends itself.
    assert told == ([("bot", "The token was revoked.")] if isinstance(error, Misconfigured) else [])


@dataclass(slots=True, kw_only=True)
class Turning:
    """A provider that answers with what it was given, one after the other."""

    answers: list[Pulled | ChannelError]

    async def pull(self, after: str) -> Pulled:
        answer = self.answers.pop(0)
        if isinstance(answer, ChannelError):
            raise answer
        return answer


async def test_that_a_channel_is_read_is_told_once_after_each_start_and_each_refusal(
    database: Database, tmp_path: Path
) -> None:
    intake = Intake(database, decide=lambda facts: Decision(), follow_up=lambda *_, lines: [], now=lambda: AT)
    letters = Letters(database, Files.in_folder(tmp_path), intake, {}, now=lambda: AT)
    no, yes = Misconfigured("The password was changed."), Pulled(cursor="")
    channel = Turning(answers=[yes, yes, no, no, yes, yes, Retry("The line broke.")])
    told: list[str] = []

    async def refused(_: Connection, channel: str, why: str) -> None:
        told.append("refused")

    async def reads(_: Connection, channel: str) -> None:
        told.append("reads")

    puller = Puller(database, intake, letters, {"bot": channel}, refused=refused, reads=reads, now=lambda: AT)
    async with database.transaction() as c:
        await work.put(c, [Put(kind="pull", key="bot")])
        (piece,) = await work.claim(c, 1, ["pull"], 1)
    while channel.answers:
        with pytest.raises((Failed, Unavailable)):
            await puller.run(piece)
    assert told == ["reads", "refused", "refused", "reads"]


async def test_a_notice_taken_back_can_be_left_again_and_it_is_known_whether_it_was_shown(database: Database) -> None:
    async with database.transaction() as c:
        assert await deliveries.notify_desk(c, None, "mailbox:mail", {"notice": "mailbox"})
        assert not await deliveries.notify_desk(c, None, "mailbox:mail", {"notice": "mailbox"})
        assert not await deliveries.forget_notice(c, "mailbox:mail"), (
            "nobody has seen it, so nothing is to be put right"
        )
        assert await deliveries.notify_desk(c, None, "mailbox:mail", {"notice": "mailbox"})
        await slack.notice_shown(c, "mailbox:mail")
        await deliveries.forget_notice(c, "mailbox:mail", before=datetime.now(UTC) - timedelta(days=1))
        assert not await deliveries.notify_desk(c, None, "mailbox:mail", {"notice": "mailbox"}), "it is of today"
        assert await deliveries.forget_notice(c, "mailbox:mail")
        assert not await deliveries.forget_notice(c, "mailbox:mail")
