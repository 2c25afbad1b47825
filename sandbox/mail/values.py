"""What the mail world consists of: accounts, their folders and mails, and the limits on them.

Rule: a mail is kept as the bytes that were delivered, its receiver's trace headers on top.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

Json = dict[str, Any]

QUOTA = 256 << 20  # bytes an account may hold
FOLDERS = (("INBOX", ""), ("Sent", "\\Sent"), ("Junk", "\\Junk"))
_validities = itertools.count(1_700_000_001)


class Fate(StrEnum):
    """What becomes of mail to an address, beside being delivered."""

    OK = "ok"
    REFUSE = "refuse"  # 550 5.1.1 at RCPT
    FULL = "full"  # 452 4.2.2 at RCPT
    GREYLIST = "greylist"  # 451 4.7.1 at the first RCPT, then taken
    BOUNCE = "bounce"  # taken, then a report: no such user
    BOUNCE_FULL = "bounce_full"  # taken, then a report: mailbox full
    BOUNCE_POLICY = "bounce_policy"  # taken, then a report: we do not want your mail
    BOUNCE_PLAIN = "bounce_plain"  # taken, then words about it that no RFC knows
    DELAY = "delay"  # taken, then a report that it is late; delivered all the same
    VANISH = "vanish"  # taken and never seen again


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a test may bend. None lifts a limit."""

    idle: bool = True  # whether IMAP's IDLE is offered
    idle_seconds: float = 1740.0  # until an idle connection is told BYE
    size_limit: int = 25 << 20  # bytes of a mail as it is written on the wire
    per_minute: int | None = None  # mails an account may send
    connections: int | None = 15  # IMAP connections of one account
    files_sent: bool = True  # what is submitted is filed under Sent by the server, as the large providers do
    bounce_seconds: float = 0.0  # until a report comes
    vacation_seconds: float = 0.0  # until a vacation note comes
    clock_offset: float = 0.0  # seconds the world's clock is ahead
    authserv: str = ""  # who signs the verdicts on incoming mail; "" is mx. and the mailbox's domain

    def changed(self, changes: Json) -> Settings:
        """Apply changes sent over HTTP. Raises ValueError naming an unknown setting."""
        unknown = sorted(set(changes) - {setting.name for setting in fields(self)})
        if unknown:
            raise ValueError(f"no such setting: {', '.join(unknown)}")
        return replace(self, **changes)


@dataclass(slots=True, kw_only=True, eq=False)
class Stored:
    """A mail in a folder: the bytes as delivered, and what IMAP keeps beside them."""

    uid: int
    raw: bytes = field(repr=False)
    at: datetime
    flags: set[str] = field(default_factory=set)
    shown: Json | None = field(default=None, repr=False)  # what a page was told of it, which never changes


@dataclass(slots=True, kw_only=True, eq=False)
class Folder:
    """One folder. `stir` wakes whoever idles on it."""

    name: str
    use: str = ""  # its special use, such as `\\Junk`
    validity: int = field(default_factory=lambda: next(_validities))
    next_uid: int = 1
    mails: dict[int, Stored] = field(default_factory=dict)  # by UID, rising
    watchers: set[asyncio.Event] = field(default_factory=set)

    def add(self, raw: bytes, at: datetime, flags: Iterable[str] = ()) -> Stored:
        stored = Stored(uid=self.next_uid, raw=raw, at=at, flags=set(flags))
        self.mails[stored.uid] = stored
        self.next_uid += 1
        self.stir()
        return stored

    def renew(self) -> None:
        """Make every known UID worthless, as a restored backup does: same mails, new validity, counted from 1."""
        kept = list(self.mails.values())
        self.validity = next(_validities)
        self.mails = dict(enumerate(kept, start=1))
        for number, stored in self.mails.items():
            stored.uid = number
        self.next_uid = len(kept) + 1
        self.stir()

    def stir(self) -> None:
        for watcher in self.watchers:
            watcher.set()

    @property
    def size(self) -> int:
        return sum(len(stored.raw) for stored in self.mails.values())


@dataclass(slots=True, kw_only=True, eq=False)
class Account:
    """Somebody with a mailbox: the shop, or a customer with a mail program."""

    address: str
    name: str = ""
    password: str = field(repr=False)
    aliases: frozenset[str] = frozenset()
    tokens: set[str] = field(default_factory=set, repr=False)  # of OAuth, as good as the password
    client: str = "gmail"  # the program they write with: gmail, outlook or apple
    language: str = "en"
    signature: str = ""
    fate: Fate = Fate.OK
    vacation: str = ""  # the words of a note that answers for them; "" for none
    answered: set[str] = field(default_factory=set)  # whom the note told already
    folders: dict[str, Folder] = field(
        default_factory=lambda: {name: Folder(name=name, use=use) for name, use in FOLDERS}
    )

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @property
    def mailbox(self) -> str:
        """Name and address as they stand in a header, not yet encoded."""
        return f"{self.name} <{self.address}>" if self.name else self.address

    def owns(self, address: str) -> bool:
        """Whether they may send as `address`: theirs, an alias, or either with +something."""
        local, _, domain = address.lower().rpartition("@")
        return f"{local.partition('+')[0]}@{domain}" in {self.address, *self.aliases}

    def folder(self, name: str) -> Folder:
        """Find a folder; INBOX is known in any case. Raises KeyError."""
        found = self.folders.get("INBOX" if name.upper() == "INBOX" else name)
        if found is None:
            raise KeyError(f"no such folder: {name}")
        return found

    @property
    def size(self) -> int:
        return sum(folder.size for folder in self.folders.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A mail that a program handed in by SMTP and the server took."""

    account: str
    mail_from: str
    recipients: tuple[str, ...]
    raw: bytes = field(repr=False)
    at: datetime
    queue_id: str


def to_utf7(name: str) -> str:
    """Write a folder's name in IMAP's modified UTF-7."""
    out: list[str] = []
    for printable, run in itertools.groupby(name, lambda sign: " " <= sign <= "~"):
        text = "".join(run)
        if printable:
            out.append(text.replace("&", "&-"))
        else:
            coded = base64.b64encode(text.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
            out.append(f"&{coded.decode()}-")
    return "".join(out)


def from_utf7(name: str) -> str:
    """Read a folder's name from modified UTF-7. Raises ValueError for what is none."""
    if not name.isascii():
        raise ValueError("not in modified UTF-7")
    plain, *coded = name.split("&")
    out = [plain]
    for part in coded:
        run, dash, rest = part.partition("-")
        if not dash:
            raise ValueError("not in modified UTF-7")
        try:
            padded = run.replace(",", "/") + "=" * (-len(run) % 4)
            out.append(base64.b64decode(padded, validate=True).decode("utf-16-be") if run else "&")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError("not in modified UTF-7") from error
        out.append(rest)
    return "".join(out)
