"""A folder as one IMAP client sees it: numbers it was told of, and what it may do with the mails behind them.

Rule: a number keeps its meaning until the client was told otherwise; answers are appended to `out`, never written here.
"""

from __future__ import annotations

import re

from sandbox.mail import commands, fetch, search
from sandbox.mail.commands import BadCommand, Token, word
from sandbox.mail.values import Account, Folder, Stored, from_utf7

UID_COMMANDS = {"EXPUNGE", "SEARCH", "FETCH", "STORE", "COPY", "MOVE"}


class No(Exception):
    """A tagged NO."""


def named(account: Account, token: Token) -> Folder:
    """Find a folder by its name on the wire. Raises `No`."""
    try:
        return account.folder(from_utf7(word(token)))
    except ValueError as error:
        raise No(f"[CANNOT] {error}") from None
    except KeyError:
        raise No(f"[NONEXISTENT] Unknown Mailbox: {word(token)} (Failure)") from None


class View:
    """What is selected. Every command returns the words after its OK, or raises `No` or `BadCommand`."""

    def __init__(self, account: Account, folder: Folder, *, writable: bool, out: list[bytes]) -> None:
        self.folder = folder
        self.writable = writable
        self._account = account
        self._validity = folder.validity
        self._uids = list(folder.mails)  # by sequence number
        self._out = out

    @property
    def gone(self) -> bool:
        """Whether every UID the client knows has become worthless."""
        return self.folder.validity != self._validity

    def look(self, *, expunges: bool = True) -> bool:
        """Tell what changed since the client heard of it, and return whether mail came."""
        if self.gone:
            return False
        mails, uids = self.folder.mails, self._uids
        if expunges:
            for number in range(len(uids), 0, -1):
                if uids[number - 1] not in mails:
                    del uids[number - 1]
                    self._say(f"* {number} EXPUNGE")
        last = uids[-1] if uids else 0
        new = [uid for uid in mails if uid > last]
        if new:
            uids += new
            self._say(f"* {len(uids)} EXISTS")
        return bool(new)

    def perform(self, name: str, arguments: list[Token], *, by_uid: bool) -> str:
        match name:
            case "SEARCH":
                return self._search(arguments, by_uid=by_uid)
            case "FETCH":
                return self._fetch(arguments, by_uid=by_uid)
            case "STORE":
                return self._store(arguments, by_uid=by_uid)
            case "COPY":
                return self._copy(arguments, by_uid=by_uid)
            case "MOVE":
                return self._move(arguments, by_uid=by_uid)
            case "EXPUNGE":
                return self._expunge(arguments, by_uid=by_uid)
            case "CHECK":
                self.look()
                return "done"
        raise BadCommand(f"{name} is not known")

    def close(self) -> None:
        """CLOSE: what is marked as deleted goes, without a word."""
        if self.writable:
            self._drop([stored for stored in self.folder.mails.values() if "\\Deleted" in stored.flags])

    def _say(self, line: str) -> None:
        self._out.append(line.encode() + b"\r\n")

    def _may_write(self) -> None:
        if not self.writable:
            raise No("[READ-ONLY] Mailbox is read-only")

    def _drop(self, mails: list[Stored]) -> None:
        for stored in mails:
            del self.folder.mails[stored.uid]
        if mails:
            self.folder.stir()

    def _chosen(self, arguments: list[Token], *, by_uid: bool) -> list[tuple[int, Stored]]:
        """Mails of a set, each with its number; gone ones are left out."""
        if not arguments:
            raise BadCommand("which messages?")
        highest = (self._uids[-1] if self._uids else 0) if by_uid else len(self._uids)
        spans = commands.numbers(word(arguments[0]), highest)
        if not by_uid and any(high > len(self._uids) for _, high in spans):
            raise BadCommand("no such message number")
        mails = self.folder.mails
        return [
            (number, mails[uid])
            for number, uid in enumerate(self._uids, start=1)
            if uid in mails and commands.within(uid if by_uid else number, spans)
        ]

    def _search(self, arguments: list[Token], *, by_uid: bool) -> str:
        if arguments and not isinstance(arguments[0], list) and word(arguments[0]).upper() == "CHARSET":
            if len(arguments) < 2 or word(arguments[1]).upper() not in ("UTF-8", "US-ASCII"):
                raise No("[BADCHARSET (US-ASCII UTF-8)] unknown charset")
            arguments = arguments[2:]
        self.look(expunges=by_uid)
        holds = search.criterion(arguments, self._uids[-1] if self._uids else 0, len(self._uids))
        mails = self.folder.mails
        found = [
            uid if by_uid else number
            for number, uid in enumerate(self._uids, start=1)
            if uid in mails and holds(mails[uid], number)
        ]
        self._say(" ".join(["* SEARCH", *map(str, found)]))
        return "done"

    def _fetch(self, arguments: list[Token], *, by_uid: bool) -> str:
        if len(arguments) != 2:
            raise BadCommand("a set and what to fetch, please")
        asked = fetch.items(arguments[1])
        if by_uid and not any(item.upper() == "UID" for item in asked):
            asked = ["UID", *asked]
        self.look(expunges=by_uid)
        for number, stored in self._chosen(arguments, by_uid=by_uid):
            given = fetch.answer(stored, asked, writable=self.writable)
            self._out.append(b"* %d FETCH (%s)\r\n" % (number, given))
        return "done"

    def _store(self, arguments: list[Token], *, by_uid: bool) -> str:
        if len(arguments) < 3:
            raise BadCommand("a set, an action and flags, please")
        self._may_write()
        found = re.fullmatch(r"([+-]?)FLAGS(\.SILENT)?", word(arguments[1]).upper())
        if found is None:
            raise BadCommand("not a way to store")
        listed = arguments[2] if isinstance(arguments[2], list) else arguments[2:]
        given = {word(flag) for flag in listed}
        for number, stored in self._chosen(arguments, by_uid=by_uid):
            match found[1]:
                case "+":
                    stored.flags |= given
                case "-":
                    stored.flags -= given
                case _:
                    stored.flags = set(given)
            if not found[2]:
                uid = b"UID %d " % stored.uid if by_uid else b""
                self._out.append(b"* %d FETCH (%s%s)\r\n" % (number, uid, fetch.flags(stored)))
        return "done"

    def _expunge(self, arguments: list[Token], *, by_uid: bool) -> str:
        self._may_write()
        mails = [one for _, one in self._chosen(arguments, by_uid=True)] if by_uid else self.folder.mails.values()
        self._drop([stored for stored in mails if "\\Deleted" in stored.flags])
        self.look()
        return "done"

    def _move(self, arguments: list[Token], *, by_uid: bool) -> str:
        self._may_write()
        chosen = [stored for _, stored in self._chosen(arguments, by_uid=by_uid)]
        done = self._copy(arguments, by_uid=by_uid)
        self._drop(chosen)
        self.look()
        return done

    def _copy(self, arguments: list[Token], *, by_uid: bool) -> str:
        if len(arguments) != 2:
            raise BadCommand("a set and a mailbox, please")
        chosen = [stored for _, stored in self._chosen(arguments, by_uid=by_uid)]
        try:
            target = named(self._account, arguments[1])
        except No as error:
            raise No(f"[TRYCREATE] {error}") from None
        copies = [target.add(one.raw, one.at, one.flags) for one in chosen]
        if not copies:
            return "done"
        olds, news = (",".join(str(one.uid) for one in mails) for mails in (chosen, copies))
        return f"[COPYUID {target.validity} {olds} {news}] done"
