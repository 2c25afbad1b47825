"""Shows on an agent's message how far it got: one reaction that moves up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from channels.message import Status
from desk.slack import Gone, Rejected, Slack, Unknown
from desk.telling import Telling
from desk.words import NOTE, mark, marks
from inbox.store import slack as table
from inbox.store.database import Database
from inbox.store.slack import Marked
from inbox.store.work import Piece
from inbox.work import Failed, Ran, Wait


class Marks:
    """Handler of the work kind `marks`; the key is the id of a reply or note."""

    def __init__(self, database: Database, slack: Slack, telling: Telling, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._slack = slack
        self._telling = telling
        self._now = now

    async def run(self, piece: Piece) -> Ran:
        """Bring the mark up to date, then what the thread says of the message: both follow its deliveries."""
        ran = await self._mark(piece)
        followed = await self._telling.follow(int(piece.key))
        return Ran(again=ran.again, used=ran.used or followed)

    async def _mark(self, piece: Piece) -> Ran:
        async with self._database.connection() as c:
            found = await table.marked(c, int(piece.key))
        if found is None:
            return Ran()
        shown = list(found.marks)
        add, remove = marks(wanted(found), shown)
        try:
            for name in add:
                await self._slack.react(found.slack_channel, found.ts, name, on=True)
                shown.append(name)
                await self._save(piece, shown)
            for name in remove:
                await self._slack.react(found.slack_channel, found.ts, name, on=False)
                shown.remove(name)
                await self._save(piece, shown)
        except (Gone, Rejected):
            return Ran()  # the agent deleted their message, or this workspace forbids the reaction
        except Wait as wait:
            if set(add) <= set(shown):
                # Taking marks away is what Slack limits most; it must not hold up the marks that others wait for.
                return Ran(again=self._now() + max(wait.after, timedelta(seconds=3)))
            raise
        except Unknown as error:
            raise Failed(str(error)) from error
        return Ran(used=bool(add or remove))

    async def _save(self, piece: Piece, shown: Sequence[str]) -> None:
        async with self._database.connection() as c:
            await table.marks_shown(c, int(piece.key), shown)


def wanted(found: Marked) -> str | None:
    """The one mark this message should carry: the worst of its parts' fates, else how far the slowest part got."""
    if found.direction == "note":
        return NOTE
    if found.undone or found.withdrawn or not found.statuses:
        return None
    for status in (Status.FAILED, Status.IN_DOUBT):
        if status in found.statuses:
            return mark(status)
    return mark(min(found.statuses))
