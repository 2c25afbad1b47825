"""One delivery line in a real database: a customer, an agent who answers, and a provider that does as it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from channels.channel import Capabilities
from channels.message import Address, Event, Outgoing, Proof, Received
from inbox.changes import Conversation, Decision, Put
from inbox.delivery import Sender
from inbox.files import Files
from inbox.intake import Intake
from inbox.replies import Draft, Replies
from inbox.store import work
from inbox.store.database import Database
from inbox.work import Ran

PHONE = Address(kind="phone", value="+905550001122")
CHANNEL = "wa"

Outcome = str | Exception | Callable[[Outgoing], Awaitable[str]] | None


def follow_up(conversation: Conversation, *, lines: bool) -> Iterable[Put]:
    return [Put(kind="mirror" if lines else "card", key=str(conversation.id))]


class Provider:
    """A channel that cannot be asked. Each send ends as the next of `outcomes`; without one it succeeds."""

    name, kind = CHANNEL, "whatsapp"
    capabilities = Capabilities(max_text=4096)

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.sent: list[Outgoing] = []

    async def send(self, message: Outgoing) -> str:
        self.sent.append(message)
        found = await self._said(self.outcomes, message)
        return found or f"id-{len(self.sent)}"

    async def close(self) -> None:
        pass

    async def _said(self, outcomes: list[Outcome], message: Outgoing) -> str | None:
        outcome = outcomes.pop(0) if outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return await outcome(message) if callable(outcome) else outcome


class Asked(Provider):
    """A channel whose provider can be asked what became of a send."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Outcome] = []
        self.asked: list[Outgoing] = []

    async def find(self, message: Outgoing) -> str | None:
        self.asked.append(message)
        return await self._said(self.found, message)


@dataclass(slots=True)
class Line:
    """`ahead` turns the clock of whoever sends; the database keeps its own."""

    database: Database
    provider: Provider
    folder: Path
    ahead: timedelta = timedelta(0)
    conversation: int = 0
    _replies: list[str] = field(default_factory=list)

    @property
    def intake(self) -> Intake:
        return Intake(self.database, decide=lambda facts: Decision(), follow_up=follow_up, now=self.now)

    @property
    def replies(self) -> Replies:
        return Replies(self.database, {CHANNEL: self.provider}, follow_up=follow_up, now=self.now)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def hears(self, *events: Event) -> None:
        await self.intake.receive(events)

    async def says(self, text: str = "Kargom nerede?", at: datetime | None = None) -> None:
        """The customer writes."""
        count = await self.one("select count(*) from messages")
        said = Received(
            channel=CHANNEL, external_id=f"in-{count}", sender=PHONE, sent_at=at or self.now(), text=text,
            proof=Proof.CARRIER,
        )  # fmt: skip
        await self.hears(said)
        self.conversation = await self.one("select id from conversations")

    async def answers(self, text: str, at: datetime | None = None) -> None:
        """An agent answers; it is not sent yet."""
        self._replies.append(text)
        source = ("slack", f"C1:{len(self._replies)}")
        assert await self.replies.reply(
            self.conversation, Draft(text=text, source=source, author="U1", at=at or self.now())
        )

    async def run(self) -> Ran:
        """Let the line do its next piece of work, whatever was to be waited for. Raises what the sender raises."""
        sender = Sender(
            self.database,
            {CHANNEL: self.provider},
            Files.in_folder(self.folder),
            follow_up=follow_up,
            now=self.now,
        )
        async with self.database.connection() as c:
            await c.execute("update work set run_at = now(), held_until = '-infinity' where kind = 'deliver'")
            await work.open_lanes(c, [f"send:{CHANNEL}"])
            piece = await work.claim_lane(c, 1, f"send:{CHANNEL}", ["deliver"], timedelta(0), alone=False)
        assert piece is not None, "nothing is due on this line"
        try:
            ran = await sender.run(piece)
        except Exception as error:
            async with self.database.connection() as c:
                await work.put_back(c, piece, timedelta(0), str(error))
            raise
        async with self.database.connection() as c:
            await work.done(c, piece, ran.again)
        return ran

    async def sends(self, count: int = 1) -> None:
        for _ in range(count):
            await self.run()

    async def deliveries(self) -> list[tuple[str, int, str]]:
        """Text, status and code of each, in the order in which they were made."""
        return [
            (row["text"], row["status"], row["code"])
            for row in await self.rows("select body ->> 'text' as text, status, code from deliveries order by line")
        ]

    async def rows(self, sql: str, *values: Any) -> list[Mapping[str, Any]]:
        async with self.database.connection() as c:
            return [dict(row) for row in await c.fetch(sql, *values)]

    async def one(self, sql: str, *values: Any) -> Any:
        async with self.database.connection() as c:
            return await c.fetchval(sql, *values)

    async def waits(self) -> bool:
        """Whether a transaction waits for another."""
        return bool(
            await self.one(
                "select true from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            )
        )


async def begun(database: Database, folder: Path, provider: Provider) -> Line:
    """A line whose customer has written."""
    line = Line(database, provider, folder)
    await line.says()
    return line
