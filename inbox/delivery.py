"""Sends what is due on a line: the deliveries to one address over one channel, strictly in order.

Rule: each delivery is committed as *sending* by whoever holds the lease, then sent once. An unknown outcome is settled
by asking the provider where it can be asked: the line waits for that, a minute or so, because what comes next may turn
out to be second. Where nobody can say, a person decides, and the next delivery does not wait for them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from channels.channel import Channel, Edits, Prepares, Reconciles, Withdraws
from channels.errors import (
    FILE_TOO_BIG,
    InDoubt,
    Misconfigured,
    Moved,
    Refused,
    Retry,
    SendFailed,
    Unreachable,
    Unwanted,
    WindowClosed,
)
from channels.message import Attachment, Author, OptedOut, Status
from inbox import due, figures, tidings
from inbox.changes import FollowUp
from inbox.files import Files
from inbox.group import Group
from inbox.store import arrivals, attachments, deliveries, live, notices, silences, work
from inbox.store.database import Connection, Database
from inbox.store.deliveries import Delivery
from inbox.store.work import Piece
from inbox.windows import may_send
from inbox.work import Failed, LeaseLost, Ran, Unavailable, Wait

AGAIN_FOR_FILE = timedelta(seconds=30)  # a look at a line that waits for a file, should its wake-up be lost

GIVE_UP = timedelta(hours=72)  # as long as mail servers try, RFC 5321 4.5.4.1 says four days at least for theirs
PATIENT = 5  # tries at the pace the provider asks for; after them the pauses double
LONGEST = timedelta(hours=4)
TELLS = timedelta(minutes=1)  # in which a provider that may be asked says what became of a send, or a person has to
ASKED = 3  # times at least: whoever was killed may come back when that minute is long over
COLLISIONS = 5  # tries of what is written after a send: given up, it would make a doubt of what is known

log = structlog.get_logger()


class Sender:
    """Handler of the work kind `deliver`; the key is `channel/address id`."""

    def __init__(
        self,
        database: Database,
        channels: Mapping[str, Channel],
        files: Files,
        *,
        follow_up: FollowUp,
        now: Callable[[], datetime],
        shop: Callable[[], datetime] | None = None,
        link: Callable[[int, str], str] = lambda attachment_id, filename: "",
    ) -> None:
        """`now` says what is due, `shop` how long ago a customer wrote. `link` makes the public link of a file."""
        self._database = database
        self._shop = shop or now
        self._link = link
        self._channels = channels
        self._prepares = {name: channel for name, channel in channels.items() if isinstance(channel, Prepares)}
        self._files = files
        self._follow_up = follow_up
        self._now = now

    async def run(self, piece: Piece) -> Ran:
        name, _, address_id = piece.key.rpartition("/")
        channel = self._channels.get(name)
        if channel is None:
            raise Failed(f"the channel {name} is no longer configured")
        if name in self._prepares:
            await self._prepares[name].prepare()  # seconds, once: what is marked as being sent is written at once
        async with self._database.transaction() as c:
            if not await work.holds(c, piece):
                raise LeaseLost
            found = await deliveries.next_on_line(c, name, int(address_id))
            if found is None:
                return Ran()
            unknown = found.sending_at is not None
            if not unknown:
                later = await self._not_yet(c, channel, found)
                if later is not None:
                    return later
                began = await deliveries.begin(c, found.id)
                found = replace(found, sending_at=began, attempts=found.attempts + 1)
        if unknown:
            await self._settle_unknown(channel, found, piece.attempts)
        elif found.revision:
            await self._revise(channel, found)
        else:
            await self._send(channel, found)
        return Ran(again=self._now(), used=True)

    async def _not_yet(self, c: Connection, channel: Channel, found: Delivery) -> Ran | None:
        """Why this delivery does not leave now, if it does not; None when it may."""
        now = self._now()
        if found.revision:
            return None
        if found.due_at > now:
            return Ran(again=found.due_at)
        if found.cut_off:
            await self._settle(c, found, Status.FAILED, code=found.cut_off)
            return Ran(again=now)
        for attachment_id in found.files:
            file = await attachments.file(c, attachment_id)
            if file is None or file.state == "failed":
                why = file.why if file else ""
                code = FILE_TOO_BIG if why == FILE_TOO_BIG else "file_lost"
                name = file.attachment.filename if file else ""
                await self._settle(c, found, Status.FAILED, code=code, detail="" if code == why else why, file=name)
                return Ran(again=now)
            if file.state == "due":
                return Ran(again=now + AGAIN_FOR_FILE)
        if channel.capabilities.reply_window is not None and "template" not in found.body:
            heard_at = await deliveries.heard_at(c, found.conversation_id, found.channel, found.address_id)
            author = Author(found.body.get("author", "agent"))
            if not may_send(channel.capabilities, author, heard_at, self._shop()):
                await self._settle(c, found, Status.FAILED, code=WindowClosed.code)
                return Ran(again=now)
        rate = channel.capabilities.address_rate
        if rate is not None:
            last = await deliveries.last_sent(c, found.channel, found.address_id)
            if last is not None and last + rate.spacing > now:
                return Ran(again=last + rate.spacing)
        return None

    async def _send(self, channel: Channel, found: Delivery) -> None:
        try:
            files = await self._attachments(found, links=channel.capabilities.links)
            message = deliveries.outgoing(found, files, heard_at=await self._heard_at(channel, found), now=self._shop())
        except FileNotFoundError:
            await self._write(lambda c: self._settle(c, found, Status.FAILED, code="file_lost"))
            return
        except OSError as error:
            await self._wait(channel, found, Retry(f"the file could not be read ({type(error).__name__})"))
            return
        try:
            began = time.monotonic()
            try:
                external_id = await channel.send(message)
            finally:
                figures.PROVIDER.labels(channel.name, "send").observe(time.monotonic() - began)
        except InDoubt as error:
            log.warning("delivery.in_doubt", delivery=str(found.id), detail=str(error))
            await self._settle_unknown(channel, found)
            return
        except Moved as moved:
            await self._write(partial(self._moved, found, moved))
            return
        except (Retry, Misconfigured) as error:
            await self._wait(channel, found, error)
            return
        except Refused as error:
            await self._write(partial(self._refused, found, error))
            return
        await self._write(lambda c: self._settle(c, found, Status.SENT, external_id=external_id))

    async def _moved(self, found: Delivery, moved: Moved, c: Connection) -> None:
        if await deliveries.move(c, found.address_id, moved.value):
            await deliveries.not_sent(c, found.id)
        else:  # to try again would be answered so for ever
            await self._settle(c, found, Status.FAILED, code=Unreachable.code, detail=str(moved))

    async def _refused(self, found: Delivery, error: Refused, c: Connection) -> None:
        """The provider will never take it; what that tells of the customer counts from now on."""
        now = self._now()
        if isinstance(error, Unwanted):  # as of when we asked: they may write START while the answer is on its way
            stop = OptedOut(channel=found.channel, sender=found.address, at=found.sending_at or now, lasting=True)
            await tidings.learn(c, stop, found.address_id, Group(), now)
        elif isinstance(error, Unreachable):
            await silences.silence(c, found.address_id, found.channel, str(error), now)
        await self._settle(c, found, Status.FAILED, code=error.code, detail=told(error))

    async def _write(self, act: Callable[[Connection], Awaitable[None]]) -> None:
        """Write what a send came to, once more where the database gave that up in favour of another transaction."""
        for tries in range(1, COLLISIONS + 1):
            try:
                async with self._database.transaction() as c:
                    await act(c)
                return
            except Exception as error:
                if tries == COLLISIONS or not arrivals.collided(error):
                    raise
                log.info("delivery.collided", error=type(error).__name__)

    async def _wait(self, channel: Channel, found: Delivery, error: SendFailed) -> None:
        """The provider surely did not take it: give it back to its line and come again, for three days at most."""
        if found.created_at + GIVE_UP < self._now() and not isinstance(error, Misconfigured):
            await self._write(lambda c: self._settle(c, found, Status.FAILED, code="gave_up", detail=str(error)[:500]))
            return
        await self._write(partial(self._given_back, found, error))
        if isinstance(error, Retry) and error.after is not None:
            after = error.after if error.whole_channel else patience(error.after, found.attempts)
            raise Wait(after, str(error), whole_lane=error.whole_channel) from error
        if isinstance(error, Retry) and error.whole_channel:
            raise Unavailable(str(error)) from error
        raise Failed(str(error)) from error

    async def _given_back(self, found: Delivery, error: SendFailed, c: Connection) -> None:
        await deliveries.not_sent(c, found.id)
        if isinstance(error, Misconfigured):
            key = f"misconfigured:{found.channel}:{self._now():%Y-%m-%d}"
            notice = {"notice": "misconfigured", "channel": found.channel, "detail": error.detail}
            if await notices.notify_desk(c, found.conversation_id, key, notice):
                await self._tell(c, found)

    async def _settle_unknown(self, channel: Channel, found: Delivery, asked: int = 0) -> None:
        """It may have arrived. Ask the provider; where it cannot say, a person decides. `asked`: times in a row."""
        external_id: str | None = None
        certain = False
        began = found.sending_at or self._now()
        if isinstance(channel, Reconciles) and not found.revision:
            try:
                external_id = await channel.find(deliveries.outgoing(found, now=began))
                certain = True
            except (Retry, Misconfigured) as error:
                if asked < ASKED or self._now() < began + TELLS:
                    raise Failed(str(error)) from error
            except (InDoubt, Refused) as error:
                log.info("delivery.not_found_out", delivery=str(found.id), detail=str(error))
        await self._write(partial(self._settle_found, found, external_id, certain))

    async def _settle_found(self, found: Delivery, external_id: str | None, certain: bool, c: Connection) -> None:
        if found.revision:
            await deliveries.revised(c, found)
            await self._explain(c, found, "change_in_doubt", found.revision)
        elif external_id is not None:
            await self._settle(c, found, Status.SENT, external_id=external_id)
        elif certain:
            await deliveries.not_sent(c, found.id)
        else:
            await self._settle(c, found, Status.IN_DOUBT, code=InDoubt.code)

    async def _revise(self, channel: Channel, found: Delivery) -> None:
        """Change or withdraw what the customer has already; what the channel cannot do the agent is told."""
        can = channel.capabilities
        window = can.edits if found.revision == "edit" else can.withdraws
        outcome = ""
        try:
            message = deliveries.outgoing(found, now=self._now())
            if window is None:
                outcome = "cannot_change"
            elif found.revision == "edit" and isinstance(channel, Edits):
                await channel.edit(found.external_id, message)
            elif found.revision == "withdraw" and isinstance(channel, Withdraws):
                await channel.withdraw(found.external_id, message)
        except InDoubt:
            outcome = "change_in_doubt"
        except Retry as error:
            await self._wait(channel, found, error)
            return
        except Refused as error:
            log.info("delivery.not_changed", delivery=str(found.id), code=error.code)
            outcome = "cannot_change"
        async with self._database.transaction() as c:
            await deliveries.revised(c, found)
            await self._hint(c, found)
            if outcome:
                await self._explain(c, found, outcome, found.revision)

    async def _hint(self, c: Connection, found: Delivery) -> None:
        """Let a customer who looks see it at once."""
        if self._channels[found.channel].capabilities.live:
            await live.tell(c, [live.place(found.channel, found.address_id)])

    async def _heard_at(self, channel: Channel, found: Delivery) -> datetime | None:
        if channel.capabilities.reply_window is None:
            return None
        async with self._database.connection() as c:
            return await deliveries.heard_at(c, found.conversation_id, found.channel, found.address_id)

    async def _attachments(self, found: Delivery, *, links: bool = False) -> list[Attachment]:
        if not found.files:
            return []
        async with self._database.connection() as c:
            files = [await attachments.file(c, attachment_id) for attachment_id in found.files]
        return [
            replace(
                file.attachment,
                data=await self._files.read(file.path),
                ref="",
                link=self._link(file.id, file.attachment.filename) if links else "",
            )
            for file in files
            if file is not None
        ]

    async def _settle(
        self,
        c: Connection,
        found: Delivery,
        status: Status,
        *,
        external_id: str = "",
        code: str = "",
        detail: str = "",
        file: str = "",
    ) -> None:
        """Write how a delivery ended. `file`: the name of the one that kept it from being sent."""
        overtaken = await deliveries.settle(c, found.id, status, external_id=external_id, code=code, detail=detail)
        await work.put(c, [due.marks(found.message_id), *map(due.marks, overtaken.others)])
        await self._hint(c, found)
        if overtaken.failed:
            status, code, detail = Status.FAILED, overtaken.code or Refused.code, overtaken.detail
        figures.DELIVERED.labels(found.channel, code or status.name.lower()).inc()
        if status is Status.FAILED:
            await self._explain(c, found, "failure", code, detail, file)
        elif status is Status.IN_DOUBT:
            await self._explain(c, found, "doubt", code)

    async def _explain(
        self, c: Connection, found: Delivery, what: str, code: str, detail: str = "", file: str = ""
    ) -> None:
        notice = {
            "notice": what,
            "delivery": str(found.id),
            "channel": found.channel,
            "code": code,
            "detail": detail,
            "message": found.message_id,
        }
        if file:
            notice |= {"file": file} | ({"rest": False} if found.body.get("text") else {})
        if await notices.notify_desk(c, found.conversation_id, f"{what}:{found.id}:{found.attempts}", notice):
            await self._tell(c, found)

    async def _tell(self, c: Connection, found: Delivery) -> None:
        conversation = await arrivals.look(c, found.conversation_id)
        await work.put(c, self._follow_up(conversation, lines=True))


def told(error: Refused) -> str:
    """The provider's code and words: no code that the words hold already, and none that is ours alone."""
    code = "" if error.provider_code == FILE_TOO_BIG or error.provider_code in error.detail else error.provider_code
    return " ".join(filter(None, (code, error.detail)))


def patience(after: timedelta, attempts: int) -> timedelta:
    """How long to wait for one address that is deferred again and again."""
    return max(after, min(after * (1 << min(max(attempts - PATIENT, 0), 16)), LONGEST))
