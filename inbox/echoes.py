"""What the shop sent past us is shown as an answer of the shop's, once it is sure not to be our own send.

Rule: an echo may overtake the answer to our own send, so while anything is on its way to that address it waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from channels.message import Proof, Receipt, Received, SentElsewhere, Status
from inbox import changes, due
from inbox.changes import Conversation, FollowUp, Put
from inbox.clock import later
from inbox.store import arrivals, attachments, echoes, receipts, work
from inbox.store.arrivals import key
from inbox.store.database import Connection, Database
from inbox.store.work import Piece
from inbox.work import Ran

GRACE = timedelta(seconds=3)  # what a provider takes at most between its echo and its answer, as a rule
ECHO = "echo"


def settling(echo: SentElsewhere, at: datetime | None = None) -> Put:
    """Find out whose an echo is."""
    return Put(kind=ECHO, key=f"{echo.channel}:{echo.external_id}", due=at)


async def arrived(c: Connection, echo: SentElsewhere, now: datetime) -> list[Put]:
    """An echo came, inside the commit of the intake. Answers the work that is left."""
    sender = key(echo.to)
    known = (await arrivals.find(c, [sender])).get(sender)
    found = await echoes.sends(c, echo, known.address_id if known else None)
    if found.ours:
        return []
    if known is None:
        stranger = Received(
            channel=echo.channel, external_id=echo.external_id, sender=echo.to, sent_at=echo.at, proof=Proof.PLATFORM
        )
        known = (await arrivals.find_or_create(c, {sender: stranger}))[sender]
    return [settling(echo, later(now + GRACE, now))] if await echoes.park(c, echo, known.address_id) else []


def _receipt(echo: SentElsewhere, delivery: UUID) -> Receipt:
    """An echo that says what a delivery in doubt said settles the doubt."""
    return Receipt(
        channel=echo.channel, status=Status.SENT, at=echo.at, external_id=echo.external_id, delivery=delivery
    )


class Echoes:
    """Handler of the work kind `echo`; the key is `channel:external id`."""

    def __init__(self, database: Database, *, follow_up: FollowUp, now: Callable[[], datetime]) -> None:
        self._database = database
        self._follow_up = follow_up
        self._now = now

    async def run(self, piece: Piece) -> Ran:
        channel, _, external_id = piece.key.partition(":")
        now = self._now()
        async with self._database.transaction() as c:
            conversation = await self._locked(c, channel, external_id)
            waiting = await echoes.parked(c, channel, external_id) if conversation is not None else None
            if conversation is None or waiting is None:
                return Ran()
            echo, address_id = waiting
            found = await echoes.sends(c, echo, address_id)
            if found.under_way and not found.ours:
                return Ran(again=now + GRACE)
            await echoes.drop(c, channel, external_id)
            if found.ours:
                return Ran()
            if found.doubt is not None:
                told = await receipts.receive(c, _receipt(echo, found.doubt))
                await work.put(c, [due.marks(told.message_id)] if told else [])
                return Ran()
            message_id = await echoes.keep(c, echo, conversation.id, conversation.last_position + 1, address_id)
            if message_id is None:
                return Ran()
            after = changes.answered(conversation, echo.at)
            if conversation.last_in_at is not None and echo.at < conversation.last_in_at:  # they have written since
                after = replace(conversation, last_position=conversation.last_position + 1)
            await arrivals.save(c, [after])
            files = [due.media(id) for id in await attachments.files_due(c, message_id)]
            await work.put(c, [*files, *self._follow_up(after, lines=True)])
        return Ran()

    async def _locked(self, c: Connection, channel: str, external_id: str) -> Conversation | None:
        """The conversation first, as everybody locks: then nobody waits for each other in a circle."""
        waiting = await echoes.waiting_for(c, channel, external_id)
        return None if waiting is None else await arrivals.load(c, await echoes.conversation_of(c, waiting))
