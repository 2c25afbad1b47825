"""One IMAP connection, from the greeting to the last word: what `imap.py` asks, and how it is said.

Rule: nothing here changes anything in the mailbox. Folders are opened to look (EXAMINE) and bodies peeked at, so what
staff have read or not read stays as they left it.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from imap_tools import BaseMailBox
from imap_tools.errors import ImapToolsError
from imap_tools.imap_utf7 import utf7_decode

from channels.errors import Misconfigured
from channels.mail.imap.account import Account
from channels.mail.imap.folders import Folder
from channels.mail.imap.wire import Wire
from channels.mail.imap.words import PLAIN, LoginRefused, Lost, lost, refused, shortened

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
AT_ONCE = 500  # mails whose dates and sizes are asked for with one command
OPENING = ("connect", "login", "greet")  # where a refusal of anything is the end
MOST_IDS = 300  # characters of a Message-ID that is searched for

_LISTED = re.compile(rb'\(([^)]*)\) (?:NIL|"(?:\\)?(.?)") (.*)', re.DOTALL)
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_UID = re.compile(rb"\bUID (\d{1,10})\b")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,19})\b")
_DATE = re.compile(rb'INTERNALDATE "\s?(\d{1,2})-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"')
_BODY = re.compile(rb'\bBODY\[\](?:<\d{1,10}>)? (?:(NIL)|"((?:[^"\\]|\\.)*)")')


class Denied(Exception):
    """The server answered NO or BAD: it will not do this one thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a server tells of a mail beside its bytes."""

    at: datetime | None  # when it took it in
    size: int  # bytes, by its own count


class Line:
    """A connection that is opened once and never again. Everything but `cut` belongs to one thread.

    Every method raises `Lost` when the line is gone, and `Denied` when the server refuses just this.
    """

    def __init__(self, account: Account, now: Callable[[], datetime]) -> None:
        self.account = account
        self.folder = ""  # the one that is open
        self.announces = False  # new mail, by IDLE
        self._now = now
        self._wire: Wire | None = None
        self._is_cut = False
        self._count: int | None = None  # mails in the open folder, as it told last

    # its life

    @property
    def is_open(self) -> bool:
        return self._wire is not None

    @property
    def encrypted(self) -> bool:
        return self._wire is not None and self._wire.encrypted

    def open(self) -> None:
        """Connect, encrypt and log in. Raises `LoginRefused`, or what asking for a token raises."""
        account = self.account
        with self._doing("connect"):
            tls = ssl.create_default_context(cafile=account.cafile or None) if account.security != "none" else None
            from_first = tls if account.security == "tls" else None
            self._wire = wire = Wire(account.timeout, from_first)
            if self._is_cut:
                raise Lost("cut")
            wire.connect(account.host, account.port)
            if tls and not from_first and "STARTTLS" in wire.capabilities:
                wire.start_tls(tls)
            if not wire.encrypted and not wire.is_private:
                raise Lost(PLAIN.format(host=account.host), stay=True)
        if wire.state != "AUTH":
            self._log_in(wire)
        with self._doing("greet"):
            wire._get_capabilities()  # many servers tell the rest only to whom they know
            self.announces = "IDLE" in wire.capabilities
            if "ID" in wire.capabilities:  # some (163.com) open no folder for a program without a name
                with contextlib.suppress(Denied), self._doing("id"):
                    wire.xatom("ID", '("name" "Santral")')

    def cut(self) -> None:
        """End it from another thread, now."""
        self._is_cut = True
        if self._wire is not None:
            self._wire.cut()

    def close(self) -> None:
        if self._wire is not None:
            self._wire.shutdown()
            self._wire = None

    def leave(self) -> None:
        """Say goodbye, so that the server frees its place at once."""
        if self._wire is not None:
            with contextlib.suppress(Exception):  # whatever is wrong with it now, it is over
                self._wire.sock.settimeout(2)
                self._wire.logout()
        self.close()

    # what can be asked

    def folders(self) -> list[Folder]:
        with self._doing("list") as wire:
            wire.untagged_responses.pop("LIST", None)
            kind, data = wire._simple_command("LIST", '""', "*")
            _want_ok(kind, data)
            told = wire.untagged_responses.pop("LIST", [])
        return [folder for item in told if (folder := listed(item)) is not None]

    def examine(self, folder: str) -> int:
        """Open a folder to look at it, anew also when it is open already. Its UIDVALIDITY, 0 when it has none."""
        with self._doing("examine") as wire:
            self.folder = ""
            _Box(wire).folder.set(folder, readonly=True)
            self.folder = folder
            told = wire.untagged_responses.pop("EXISTS", [])
            self._count = _last_number(told) if told else None
            return _last_number(wire.untagged_responses.get("UIDVALIDITY", []))

    def counters(self, folder: str) -> tuple[int, int]:
        """UIDVALIDITY and UIDNEXT of a folder that stays closed, 0 for what it does not tell."""
        with self._doing("status") as wire:
            told = _Box(wire).folder.status(folder, ("UIDVALIDITY", "UIDNEXT"))
        return told.get("UIDVALIDITY", 0), told.get("UIDNEXT", 0)

    def search(self, question: str) -> list[int]:
        """UIDs of the open folder that fit `question`, such as `UID 5:*` or `SINCE 1-Jan-2026`."""
        if self._count == 0:  # some servers take "*" of nothing for an error
            return []
        with self._doing("search") as wire:
            wire.untagged_responses.pop("SEARCH", None)
            kind, data = wire.uid("SEARCH", question)
            _want_ok(kind, data)
            return [int(word) for line in data if isinstance(line, bytes) for word in line.split() if word.isdigit()]

    def since(self, at: datetime) -> list[int]:
        """UIDs of what came since the day before `at`: servers take the day of their own time zone."""
        day = at.astimezone(UTC) - timedelta(days=1)
        return self.search(f"SINCE {day.day}-{MONTHS[day.month - 1]}-{day.year}")

    def heads(self, uids: Sequence[int]) -> dict[int, Head]:
        found: dict[int, Head] = {}
        for start in range(0, len(uids), AT_ONCE):
            for text, _ in self._fetched(uids[start : start + AT_ONCE], "(UID INTERNALDATE RFC822.SIZE)"):
                bare = _QUOTED.sub(b'""', text)
                uid, size = _UID.search(bare), _SIZE.search(bare)
                if uid and size:
                    found[int(uid[1])] = Head(at=_date(text), size=int(size[1]))
        return found

    def bodies(self, uids: Sequence[int], *, most: int | None = None) -> dict[int, bytes]:
        """Whole mails, or their first `most` bytes. Those that the server does not give are not among them."""
        found: dict[int, bytes] = {}
        part = "" if most is None else f"<0.{most}>"
        for text, literal in self._fetched(uids, f"(UID BODY.PEEK[]{part})"):
            uid = _UID.search(_QUOTED.sub(b'""', text))
            body = literal
            if body is None and (quoted := _BODY.search(text)):
                body = re.sub(rb"\\(.)", rb"\1", quoted[2] or b"")
            if uid and body is not None:
                found[int(uid[1])] = body
        return found

    def idle(self, seconds: float) -> None:
        """Wait until the open folder has something new, `seconds` at most. After it, look."""
        with self._doing("idle") as wire:
            if not self.announces:
                wire.await_line(seconds)
                return
            if self._news(wire):
                return
            tag = wire._command("IDLE")
            while wire._get_response() is not None:  # None is the "+"
                if wire.tagged_commands[tag]:
                    del wire.tagged_commands[tag]
                    self.announces = False
                    return
                wire._check_bye()
            until = time.monotonic() + seconds
            while not self._news(wire) and wire.await_line(until - time.monotonic()):
                wire._get_response()
                wire._check_bye()
            wire.send(b"DONE\r\n")
            while not wire.tagged_commands[tag]:
                wire._get_response()
                wire._check_bye()
            del wire.tagged_commands[tag]

    def holds(self, message_id: str) -> bool:
        """Whether the open folder has a mail with this Message-ID. Raises `Denied` for what cannot be asked."""
        if not message_id.isascii() or not message_id.isprintable() or set('"\\ ') & set(message_id):
            raise Denied("not a Message-ID")
        return bool(self.search(f'HEADER Message-ID "{message_id[:MOST_IDS]}"'))

    # inside

    @contextlib.contextmanager
    def _doing(self, stage: str) -> Iterator[Any]:
        try:
            yield self._wire
        except (Denied, Lost):
            raise
        except ImapToolsError as error:
            raise Denied(shortened(str(error))) from None
        except (imaplib.IMAP4.error, OSError, ValueError, IndexError) as error:
            gone = not isinstance(error, imaplib.IMAP4.error) or isinstance(error, imaplib.IMAP4.abort)
            if not gone and stage not in OPENING:
                raise Denied(shortened(str(error), self._secrets())) from None
            raise lost(error, self.account.host, self.account.port, stage, self._secrets()) from None

    def _fetched(self, uids: Sequence[int], parts: str) -> Iterator[tuple[bytes, bytes | None]]:
        """Each mail's answer without its literal, and the literal. Not in order, and others may be among them."""
        if not uids:
            return
        with self._doing("fetch") as wire:
            wire.untagged_responses.pop("FETCH", None)
            kind, data = wire.uid("FETCH", ",".join(map(str, uids)), parts)
            _want_ok(kind, data)
        text, literal = b"", None
        for piece in data:
            if isinstance(piece, tuple):
                text, literal = text + piece[0], piece[1]
            elif piece is not None:
                yield text + piece, literal
                text, literal = b"", None

    def _news(self, wire: Wire) -> bool:
        """Whether the folder's count is another than the mails known and those gone since would make."""
        told = wire.untagged_responses.get("EXISTS")
        gone = len(wire.untagged_responses.get("EXPUNGE", ()))
        return bool(told) and (self._count is None or _last_number(told) != self._count - gone)

    def _log_in(self, wire: Wire) -> None:
        token = self.account.password
        if self.account.oauth is not None:
            token = self.account.oauth.token(self._now())
        said = self._refusal(wire, token)
        if (
            said
            and self.account.oauth is not None
            and (newer := self.account.oauth.token(self._now(), instead_of=token))
        ):
            said = self._refusal(wire, newer)
            token = newer
        if not said:
            return
        secrets = (self.account.password, token)
        failure = refused(said, self.account.host, oauth=self.account.by_token, secrets=secrets)
        if isinstance(failure, Misconfigured):
            raise LoginRefused(failure)
        raise Lost(failure.detail)

    def _refusal(self, wire: Wire, secret: str) -> str:
        """Log in; "" or the server's words when it refuses."""
        user = self.account.user
        with self._doing("login"):
            try:
                if self.account.by_token:
                    wire.authenticate("XOAUTH2", _once(f"user={user}\1auth=Bearer {secret}\1\1".encode()))
                elif (user + secret).isascii() and "LOGINDISABLED" not in wire.capabilities:
                    wire.login(user, secret)
                else:
                    wire.authenticate("PLAIN", _once(f"\0{user}\0{secret}".encode()))
            except imaplib.IMAP4.abort:
                raise
            except imaplib.IMAP4.error as error:
                said = error.args[0] if error.args else ""
                return (said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) or "refused"
        return ""

    def _secrets(self) -> tuple[str, ...]:
        return (self.account.password,)


class _Box(BaseMailBox):
    """imap-tools upon our own connection: it knows how folders are named."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        return self._wire


def _once(answer: bytes) -> Callable[[bytes], bytes]:
    """The answer to the first challenge. A second one carries the reason of a refusal and wants an empty line."""
    answers = iter((answer,))
    return lambda challenge: next(answers, b"")


def _want_ok(kind: str, data: Sequence[Any]) -> None:
    if kind != "OK":
        said = data[-1] if data else b""
        raise Denied(shortened(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)))


def listed(item: bytes | tuple[bytes, bytes]) -> Folder | None:
    """Read an answer to LIST. A name that is not encoded as it should be is taken as it stands."""
    text, literal = item if isinstance(item, tuple) else (item, None)
    found = _LISTED.match(text)
    if found is None:
        return None
    name = found[3] if literal is None else literal
    if literal is None and name.startswith(b'"'):
        name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
    try:
        decoded = name.decode() if max(name, default=0) > 127 else utf7_decode(name)
    except ValueError:
        decoded = name.decode("latin-1")
    marks = tuple(found[1].decode("latin-1").split())
    return Folder(name=decoded, marks=marks, delimiter=(found[2] or b"").decode("latin-1"))


def _last_number(data: Sequence[Any] | None) -> int:
    return int(data[-1]) if data and isinstance(data[-1], bytes) and data[-1].isdigit() else 0


def _date(text: bytes) -> datetime | None:
    found = _DATE.search(text)
    if found is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = (group.decode("latin-1") for group in found.groups())
    try:
        offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
        local = (int(year), MONTHS.index(month.title()) + 1, int(day), int(hour), int(minute), min(int(second), 59))
        return datetime(*local, tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
