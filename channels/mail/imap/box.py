"""A mailbox that is read by IMAP: new mail as it comes, what is wrong with it, and whether a mail was sent from it.

Rule: the connection belongs to a thread, and whoever stops waiting ends it. State that has to survive is in the cursor.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from channels.channel import Finding, Pulled
from channels.errors import ChannelError, Misconfigured, Retry
from channels.mail.imap.account import Account
from channels.mail.imap.folders import INBOX, choose
from channels.mail.imap.line import Denied, Line
from channels.mail.imap.scan import Key, Scan
from channels.mail.imap.words import LoginRefused, Lost, login_pause, pause

__all__ = ["Account", "Mailbox"]

T = TypeVar("T")

ENDS_WITHIN = 1.0  # seconds that a thread whose connection was cut gets to end


class Mailbox:
    """One account. `pull` is for one caller at a time; `check` and `find` may run beside it, on lines of their own.

    After a refused login `pull` raises the same `Misconfigured` without trying, for a minute first and 15 in the end,
    so that no provider locks the account, however often it is called.
    """

    def __init__(self, channel: str, account: Account, *, now: Callable[[], datetime]) -> None:
        self.account = account
        self._channel = channel
        self._now = now
        self._scan: Scan | None = None
        self._tries: dict[Key, int] = {}
        self._failures = 0  # in a row
        self._refusals = 0
        self._refused: tuple[str, datetime] | None = None  # in which words, and until when nothing is tried

    def __repr__(self) -> str:
        return f"Mailbox({self._channel!r}, {self.account!r})"

    async def pull(self, after: str) -> Pulled:
        """Wait up to `idle_seconds` for mail after the cursor. Cancelling it ends its connection.

        Raises `Retry` with the time to wait when the server is away, `Misconfigured` when it will not have us.
        """
        self._mind_refusal()
        kept, self._scan = self._scan, None
        scan = kept or self._new_scan()
        try:
            try:
                pulled = await _in_thread(lambda: _pulled(scan, after), scan.line.cut)
            except Lost:
                if kept is None or kept.waited:
                    raise
                scan = self._new_scan()  # the old line broke while it stood by: that is no trouble yet
                pulled = await _in_thread(lambda: _pulled(scan, after), scan.line.cut)
        except (Lost, LoginRefused, ChannelError) as error:
            raise self._failed(error) from None
        self._scan = scan
        self._failures = self._refusals = 0
        return pulled

    async def check(self) -> Sequence[Finding]:
        line = Line(self.account, self._now)
        try:
            return await _in_thread(lambda: _checked(line), line.cut)
        except Lost as error:
            what, _, fix = error.words.partition(". ")
            return (Finding(ok=False, what=f"IMAP: {what}.", fix=fix or "Look at `imap`, or try again later."),)
        except (LoginRefused, ChannelError) as error:
            detail = error.failure.detail if isinstance(error, LoginRefused) else error.detail
            what, _, fix = detail.partition(". ")
            return (Finding(ok=False, what=f"IMAP: {what}.", fix=fix or "Look at the oauth_ keys and `imap`."),)

    async def find(self, message_id: str) -> bool | None:
        """Whether a mail with this id lies in a Sent folder or the inbox; None when that cannot be said.

        False proves nothing where the SMTP server keeps no copies.
        """
        if self._refused is not None and self._now() < self._refused[1]:
            return None
        line = Line(self.account, self._now)
        try:
            return await _in_thread(lambda: _found(line, message_id), line.cut)
        except (Lost, LoginRefused, ChannelError):
            return None

    async def token(self) -> str:
        """An access token that is good now, for sending as well. Raises `Retry` or `Misconfigured`."""
        oauth = self.account.oauth
        if oauth is None:
            return self.account.password
        return await _in_thread(lambda: oauth.token(self._now()), lambda: None)

    async def close(self) -> None:
        kept, self._scan = self._scan, None
        if kept is not None:
            await _in_thread(kept.line.leave, kept.line.cut)

    # inside

    def _new_scan(self) -> Scan:
        return Scan(self._channel, Line(self.account, self._now), self._now, self._tries)

    def _mind_refusal(self) -> None:
        if self._refused is not None and self._now() < self._refused[1]:
            raise Misconfigured(self._refused[0])

    def _failed(self, error: Lost | LoginRefused | ChannelError) -> ChannelError:
        """What the caller is told, and what we remember of it."""
        if isinstance(error, LoginRefused):
            error = error.failure
        if isinstance(error, Misconfigured):
            self._refusals += 1
            self._refused = (error.detail, self._now() + login_pause(self._refusals))
            return error
        self._failures += 1
        words = error.words if isinstance(error, Lost) else error.detail
        if isinstance(error, Lost) and error.stay:
            return Misconfigured(words)
        given = error.after if isinstance(error, Retry) else None
        return Retry(words, after=given or pause(self._failures, self._channel), whole_channel=True)


# --- in the thread


def _pulled(scan: Scan, after: str) -> Pulled:
    try:
        if not scan.line.is_open:
            scan.line.open()
        return scan.pull(after)
    except Denied as error:
        scan.line.close()
        raise Lost(f"{scan.line.account.host} refuses what every server can: {error}") from None
    except BaseException:
        scan.line.close()
        raise


def _found(line: Line, message_id: str) -> bool | None:
    try:
        line.open()
        folders = choose(line.folders())
        asked = False
        for name in (*folders.sent, INBOX):
            with contextlib.suppress(Denied):
                line.examine(name)
                if line.holds(message_id):
                    return True
                asked = asked or name != INBOX
        return False if asked else None
    finally:
        line.leave()


def _checked(line: Line) -> Sequence[Finding]:
    account = line.account
    try:
        line.open()
        how = "with TLS" if line.encrypted else "without encryption, inside a private network"
        found = [Finding(ok=True, what=f"IMAP: signed in to {account.host} as {account.user}, {how}.")]
        listed = line.folders()
        folders = choose(listed, account.folders)
        try:
            line.examine(INBOX)
        except Denied as error:
            fix = "Ask the provider; nothing can be read without it."
            return (*found, Finding(ok=False, what=f"IMAP: the inbox cannot be opened: {error}.", fix=fix))
        words = ", ".join(f"{name} (spam)" if name in folders.spam else name for name in folders.read)
        found.append(Finding(ok=True, what=f"IMAP: reads {words}."))
        if folders.missing:
            there = ", ".join(folder.name for folder in listed[:50])
            what = f"IMAP: there is no folder {', '.join(folders.missing)}."
            found.append(Finding(ok=False, what=what, fix=f"Write `folders` as the server does: {there}"))
        if not folders.spam:
            what = "IMAP: no spam folder was found, so a customer's mail taken for spam is not seen. If there is one, "
            found.append(Finding(ok=True, what=f"{what}name it in `folders`."))
        every = f"looked at every {account.poll_seconds:.0f} s"
        announced = (
            "announces new mail at once (IDLE)" if line.announces else f"announces nothing (no IDLE), and is {every}"
        )
        found.append(Finding(ok=True, what=f"IMAP: the server {announced}."))
        return found
    finally:
        line.leave()


async def _in_thread(work: Callable[[], T], cut: Callable[[], None]) -> T:
    """Run `work` in a thread of its own. When cancelled, `cut` is called and the thread gets a second to end.

    Unlike a pool's, this thread never holds up the end of the program, whatever the system's resolver waits for.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    done.add_done_callback(lambda future: future.cancelled() or future.exception())  # it may be that nobody waits

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="imap", daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        cut()
        await asyncio.wait({done}, timeout=ENDS_WITHIN)
        raise
