"""Puts the files that customers sent into their Slack threads.

Rule: Slack shows a file some time after it took it, so one handed over is asked about before it is handed over again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from desk.posting import fence
from desk.slack import Gone, Rejected, Slack, Unknown
from desk.teams import UPDATE_LANE
from desk.views import Views
from desk.words import display_name, inline
from inbox import due
from inbox.changes import Put
from inbox.files import Files
from inbox.media import FILE_EMPTY
from inbox.store import slack as table
from inbox.store import work
from inbox.store.database import Database
from inbox.store.slack import KeptFile, Thread
from inbox.store.work import Piece
from inbox.work import Failed, Ran, Wait

SHARING = timedelta(seconds=3)  # before asking for a file whose sharing Slack did not answer
MORE = timedelta(seconds=1.2)  # before looking again for files of the same message that are still being fetched


class Attachments:
    """Shows kept files, those of one message or of one album in one post."""

    def __init__(
        self, database: Database, slack: Slack, files: Files, views: Views, *, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._slack = slack
        self._store = files
        self._views = views
        self._now = now

    async def show(self, piece: Piece, thread: Thread) -> Ran:
        """Bring a thread one post closer to showing all its files. Raises `Wait`, and `Gone` with the thread."""
        async with self._database.connection() as c:
            files, more = await table.files_due(c, thread.conversation_id, thread.shown_position)
        if more:
            return Ran(again=self._now() + MORE)
        if not files:
            await self._give_up_failed(thread)
            return Ran()
        if [file for file in files if file.slack_file and await self._is_settled(file)]:
            return Ran(again=self._now())
        uploaded = []
        for file in files:
            if (slack_file := await self._uploaded(piece, file)) is not None:
                uploaded.append((slack_file, file.filename or named(file.media_type)))
        if len(uploaded) < len(files):
            return Ran(again=self._now())
        try:
            await self._slack.share(uploaded, thread.slack_channel, str(thread.ts), self._whose(files[0]))
        except Rejected as error:
            async with self._database.transaction() as c:
                for file in files:
                    await table.file_refused(c, file.id, str(error))
            return Ran(again=self._now())
        except Unknown as error:
            raise Wait(SHARING, "Slack did not say whether it took the files", whole_lane=True) from error
        await self._shown([(file, slack_file) for file, (slack_file, _) in zip(files, uploaded, strict=True)])
        return Ran(again=self._now(), used=True)

    def _whose(self, file: KeptFile) -> str:
        say = self._views.say
        if file.elsewhere:
            return self._views.elsewhere(file.elsewhere).text
        name = display_name(file.author_name, self._views.channel_word(file.channel), nobody=say("word.customer"))
        return f"📎 {inline(name)}"

    async def _give_up_failed(self, thread: Thread) -> None:
        """What will not come is said where it was promised."""
        async with self._database.transaction() as c:
            failed = await table.files_failed(c, thread.conversation_id, thread.shown_position)
            card = Put(kind="card", key=str(thread.conversation_id), lane=UPDATE_LANE)
            await work.put(c, [card, *(due.revise(*name) for name in failed)])

    async def _is_settled(self, file: KeptFile) -> bool:
        """Learn what became of a file handed over earlier: it stands in the thread, or Slack has forgotten it."""
        try:
            if not await self._slack.shared(file.slack_file):
                return False
            await self._shown([(file, file.slack_file)])
        except Gone:
            async with self._database.transaction() as c:
                await table.file_begun(c, file.id, "")  # it is handed over again
        return True

    async def _uploaded(self, piece: Piece, file: KeptFile) -> str | None:
        """The file's id at Slack, which has its bytes then; None when Slack refuses this file for good."""
        if file.slack_file:
            return file.slack_file
        name = file.filename or named(file.media_type)
        try:
            data = await self._store.read(file.path)
            slack_file = await self._slack.begin_upload(name, data) if data else ""
        except (Rejected, FileNotFoundError) as error:
            async with self._database.transaction() as c:
                await table.file_refused(c, file.id, str(error) if isinstance(error, Rejected) else "file_lost")
            return None
        except Unknown as error:
            raise Wait(SHARING, "Slack did not say whether it took the file", whole_lane=True) from error
        if not slack_file:  # Slack takes no file without a byte; the line of its message says that it is empty
            async with self._database.transaction() as c:
                await table.file_refused(c, file.id, FILE_EMPTY)
            return None
        async with self._database.transaction() as c:
            await fence(c, piece)
            wanted = await table.file_begun(c, file.id, slack_file)
            await work.put(c, [] if wanted else [due.unshare(slack_file)])
        return slack_file if wanted else None

    async def unshare(self, piece: Piece) -> Ran:
        """Delete a file at Slack that must not be kept any longer; the key is Slack's id of it."""
        try:
            await self._slack.delete_file(piece.key)
        except Unknown as error:
            raise Failed(str(error)) from error  # to delete it twice is no harm
        async with self._database.connection() as c:
            await table.file_unshared(c, piece.key)
        return Ran()

    async def _shown(self, files: Sequence[tuple[KeptFile, str]]) -> None:
        """Record it, with their ids at Slack; the posts that promised the files need not promise them any longer."""
        async with self._database.transaction() as c:
            # Slack may have been asked to delete one before it was there.
            unwanted = [slack_file for file, slack_file in files if not await table.file_shown(c, file.id)]
            revised = [due.revise(file.channel, file.external_id) for file, _ in files]
            await work.put(c, [*map(due.unshare, unwanted), *revised])


def named(media_type: str) -> str:
    """A name for a file that came without one, with an ending that Slack shows a preview for."""
    main, _, ending = media_type.partition("/")
    ending = {"jpeg": "jpg", "ogg": "ogg", "quicktime": "mov", "plain": "txt"}.get(ending, ending)
    return f"{main or 'file'}.{ending}" if ending.isalnum() else main or "file"
