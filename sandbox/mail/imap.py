"""IMAP4rev1 as the large providers speak it, one connection: what may be said when, and what is answered.

Rule: an answer is written in one piece after its command was done, so that a scripted trouble can lose all of it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.mail import commands, folders
from sandbox.mail.commands import BadCommand, Token, word
from sandbox.mail.values import Account, Folder, to_utf7
from sandbox.mail.view import UID_COMMANDS, No, View, named
from sandbox.trouble import Action, Trouble

if TYPE_CHECKING:
    from sandbox.mail.world import World

LOGOUT = "BYE Logging out"
CAPABILITIES = "IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN AUTH=XOAUTH2 ID NAMESPACE SPECIAL-USE UIDPLUS MOVE UNSELECT"
ALWAYS = {"CAPABILITY", "NOOP", "LOGOUT", "ID"}
BEFORE = {"LOGIN", "AUTHENTICATE"}
SELECTED = {"CHECK", "CLOSE", "UNSELECT", *UID_COMMANDS}
FLAGS = "\\Answered \\Flagged \\Deleted \\Seen \\Draft"
_TOLD = {"LOGIN", "AUTHENTICATE", "APPEND"}  # what a page shows even when nothing came of it


class Session:
    """One connection, until `serve` returns."""

    def __init__(self, world: World, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.account: Account | None = None
        self.view: View | None = None
        self._world = world
        self._reader = reader
        self._writer = writer
        self._stirred = asyncio.Event()
        self._out: list[bytes] = []
        self._over = False

    # what the world does to it

    def bye(self, words: str) -> None:
        """Say BYE and hang up, at once."""
        if not self._writer.is_closing():
            self._writer.write(f"* BYE {words}\r\n".encode())
            self._writer.close()

    def cut(self) -> None:
        """Break the line without a word."""
        self._writer.transport.abort()

    @property
    def idles_on(self) -> Folder | None:
        return self.view.folder if self.view and self._stirred in self.view.folder.watchers else None

    # the conversation

    async def serve(self) -> None:
        _, rule = self._world.troubles.meet("imap.connect")
        if rule is not None:
            if rule.action is Action.HANG:
                await self._world.troubles.pause(rule.seconds)
            if rule.action in (Action.DROP_BEFORE, Action.DROP_AFTER, Action.HANG):
                self.cut()
            else:
                self.bye(rule.body or "Too many connections, try again later")
            return
        self._say(f"* OK [CAPABILITY {self._capabilities()}] ready")
        try:
            while not self._over:
                await self._flush()
                await self._turn()
            await self._flush()
        except ConnectionError:
            pass
        finally:
            self._leave()
            self._writer.close()

    async def _turn(self) -> None:
        try:
            read = await commands.read(self._reader, self._invite)
        except BadCommand as error:
            tag, _, words = str(error).partition(" ")
            self._over = tag == "*"
            self._say(f"{tag} BAD {words}")
            return
        if read is None:
            self._over = True
            return
        tag, name, arguments = read
        if name == "UID" and arguments:
            name = f"UID {word(arguments.pop(0)).upper()}"
        started = time.monotonic()
        slowed, rule = self._world.troubles.meet(f"imap.{name.lower().replace(' ', '-')}")
        if slowed:
            await self._world.troubles.pause(slowed)
        ended = await (self._spoiled(rule, tag, name, arguments) if rule else self._done(tag, name, arguments))
        milliseconds = round((time.monotonic() - started) * 1000, 1)
        gave = any(b"BODY" in line for line in self._out)
        if name in _TOLD or gave or (not ended.startswith("OK") and name != "LOGOUT"):
            text = self.view.folder.name if self.view else ""
            self._world.tell(
                "call",
                method=f"IMAP {name}",
                account=self.account.address if self.account else "",
                text=text,
                status=ended.partition(" ")[0] if not rule else ended,
                ok=ended.startswith("OK"),
                milliseconds=milliseconds,
                answer=ended,
            )

    async def _done(self, tag: str, name: str, arguments: list[Token]) -> str:
        """Do a command and write its end; what it ended with."""
        try:
            ended = "OK " + await self._perform(tag, name, arguments)
        except No as error:
            ended = f"NO {error}"
        except BadCommand as error:
            ended = f"BAD {error}"
        if not (self._over and name == "IDLE"):
            self._say(f"{tag} {ended}")
        if self.view is not None and self.view.gone:
            self._say("* BYE [UNAVAILABLE] Mailbox was replaced under you, select it anew")
            self._over = True
        return ended

    async def _spoiled(self, rule: Trouble, tag: str, name: str, arguments: list[Token]) -> str:
        match rule.action:
            case Action.STATUS | Action.RATELIMIT:
                limited = "[LIMIT] Account exceeded command or bandwidth limits. (Failure)"
                said = rule.body or (limited if rule.action is Action.RATELIMIT else "[UNAVAILABLE] Temporary failure")
                self._say(f"{tag} NO {said}")
                return f"NO {said}"
            case Action.DOWN:
                self.bye(rule.body or "Server shutting down")
            case Action.DROP_AFTER | Action.HANG:
                await self._done(tag, name, arguments)
                self._out.clear()
                if rule.action is Action.HANG:
                    await self._world.troubles.pause(rule.seconds)
                self.cut()
            case _:
                self.cut()
        self._over = True
        return f"{rule.action}"

    async def _perform(self, tag: str, name: str, arguments: list[Token]) -> str:
        by_uid = name.startswith("UID ")
        root = name.removeprefix("UID ")
        known = root in SELECTED if by_uid or root in SELECTED else hasattr(self, f"_do_{root.lower()}")
        if not known or (by_uid and root not in UID_COMMANDS):
            raise BadCommand(f"{name} is not known")
        if root in BEFORE and self.account is not None:
            raise BadCommand("already authenticated")
        if root not in ALWAYS | BEFORE and self.account is None:
            raise BadCommand("not authenticated")
        if root == "IDLE":
            return await self._do_idle(arguments)
        if root not in SELECTED:
            deed: Callable[[list[Token]], Awaitable[str]] = getattr(self, f"_do_{root.lower()}")
            return await deed(arguments)
        if self.view is None:
            raise BadCommand("no mailbox is selected")
        if root in ("CLOSE", "UNSELECT"):
            if root == "CLOSE":
                self.view.close()
            self._leave()
            return "done"
        return self.view.perform(root, arguments, by_uid=by_uid)

    # writing

    def _say(self, line: str) -> None:
        self._out.append(line.encode() + b"\r\n")

    async def _flush(self) -> None:
        for piece in self._out:
            self._writer.write(piece)
        self._out.clear()
        await self._writer.drain()

    async def _invite(self) -> None:
        self._say("+ go ahead")
        await self._flush()

    def _capabilities(self) -> str:
        return CAPABILITIES + (" IDLE" if self._world.settings.idle else "")

    # for everybody

    async def _do_capability(self, arguments: list[Token]) -> str:
        _none(arguments)
        self._say(f"* CAPABILITY {self._capabilities()}")
        return "done"

    async def _do_noop(self, arguments: list[Token]) -> str:
        _none(arguments)
        if self.view is not None:
            self.view.look()
        return "done"

    async def _do_logout(self, arguments: list[Token]) -> str:
        _none(arguments)
        self._say(f"* {LOGOUT}")
        self._over = True
        return "done"

    async def _do_id(self, arguments: list[Token]) -> str:
        self._say('* ID ("name" "sandbox")')
        return "done"

    # logging in

    async def _do_login(self, arguments: list[Token]) -> str:
        name, password = _words(arguments, 2)
        return self._enter(self._world.enters(name, password=password))

    async def _do_authenticate(self, arguments: list[Token]) -> str:
        method = word(arguments[0]).upper() if arguments else ""
        if method not in ("PLAIN", "XOAUTH2"):
            raise No("[CANNOT] unsupported authentication mechanism")
        said = word(arguments[1]) if len(arguments) > 1 else await self._challenge("")
        try:
            response = base64.b64decode("" if said == "=" else said, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise BadCommand("not base64") from None
        if method == "PLAIN":
            _, _, rest = response.partition("\x00")
            name, _, password = rest.partition("\x00")
            return self._enter(self._world.enters(name, password=password))
        found = re.fullmatch(r"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01", response)
        account = self._world.enters(found[1], token=found[2]) if found else None
        if account is None:
            # Google's way: the reason as a challenge, an empty answer, then the refusal.
            reason = orjson.dumps({"status": "400", "schemes": "Bearer", "scope": "https://mail.example/"})
            await self._challenge(base64.b64encode(reason).decode())
        return self._enter(account)

    async def _challenge(self, words: str) -> str:
        self._say(f"+ {words}")
        await self._flush()
        line = (await self._reader.readline()).rstrip(b"\r\n").decode("latin-1")
        if line == "*":
            raise BadCommand("cancelled")
        return line

    def _enter(self, account: Account | None) -> str:
        if account is None:
            raise No("[AUTHENTICATIONFAILED] Invalid credentials (Failure)")
        limit = self._world.settings.connections
        if limit is not None and sum(one.account is account for one in self._world.sessions) >= limit:
            raise No("[LIMIT] Too many simultaneous connections. (Failure)")
        self.account = account
        return f"[CAPABILITY {self._capabilities()}] {account.address} authenticated"

    # folders

    @property
    def _owner(self) -> Account:
        assert self.account is not None
        return self.account

    async def _do_select(self, arguments: list[Token]) -> str:
        return self._open(arguments, writable=True)

    async def _do_examine(self, arguments: list[Token]) -> str:
        return self._open(arguments, writable=False)

    def _open(self, arguments: list[Token], *, writable: bool) -> str:
        self._leave()
        if len(arguments) != 1:
            raise BadCommand("one mailbox, please")
        folder = named(self._owner, arguments[0])
        self.view = View(self._owner, folder, writable=writable, out=self._out)
        self._say(f"* FLAGS ({FLAGS})")
        self._say(f"* OK [PERMANENTFLAGS ({FLAGS + ' ' if writable else ''}\\*)] Flags permitted.")
        self._say(f"* {len(folder.mails)} EXISTS")
        self._say("* 0 RECENT")
        self._say(f"* OK [UIDVALIDITY {folder.validity}] UIDs valid.")
        self._say(f"* OK [UIDNEXT {folder.next_uid}] Predicted next UID.")
        return f"[READ-{'WRITE' if writable else 'ONLY'}] {to_utf7(folder.name)} selected"

    def _leave(self) -> None:
        if self.view is not None:
            self.view.folder.watchers.discard(self._stirred)
        self.view = None

    async def _do_list(self, arguments: list[Token]) -> str:
        return self._list("LIST", arguments)

    async def _do_lsub(self, arguments: list[Token]) -> str:
        return self._list("LSUB", arguments)

    def _list(self, name: str, arguments: list[Token]) -> str:
        for line in folders.listed(self._owner, name, arguments):
            self._say(line)
        return "done"

    async def _do_namespace(self, arguments: list[Token]) -> str:
        self._say('* NAMESPACE (("" "/")) NIL NIL')
        return "done"

    async def _do_create(self, arguments: list[Token]) -> str:
        folders.create(self._owner, arguments)
        return "done"

    async def _do_delete(self, arguments: list[Token]) -> str:
        folders.delete(self._owner, arguments)
        return "done"

    async def _do_subscribe(self, arguments: list[Token]) -> str:
        return "done"

    async def _do_unsubscribe(self, arguments: list[Token]) -> str:
        return "done"

    async def _do_status(self, arguments: list[Token]) -> str:
        self._say(folders.status(self._owner, arguments))
        return "done"

    async def _do_append(self, arguments: list[Token]) -> str:
        folder, raw, flags, at = folders.to_append(self._owner, arguments)
        stored = self._world.file(self._owner, folder, raw, at=at, flags=flags)
        if stored is None:
            raise No("[OVERQUOTA] Out of storage quota")
        if self.view is not None:
            self.view.look()
        return f"[APPENDUID {folder.validity} {stored.uid}] done"

    # idling

    async def _do_idle(self, arguments: list[Token]) -> str:
        _none(arguments)
        if not self._world.settings.idle:
            raise BadCommand("IDLE is not known")
        self._say("+ idling")
        if self.view is not None:
            self.view.folder.watchers.add(self._stirred)
        said = asyncio.ensure_future(self._reader.readline())
        try:
            await self._idle(said)
        finally:
            if self.view is not None:
                self.view.folder.watchers.discard(self._stirred)
            if not said.done():
                said.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await said
        if self._over or said.cancelled():
            return "IDLE ended"
        if said.result().rstrip(b"\r\n").upper() != b"DONE":
            self._over = not said.result()
            raise BadCommand("DONE was expected")
        return "IDLE terminated"

    async def _idle(self, said: asyncio.Future[bytes]) -> None:
        """Push what comes until something is said, the time is up or the line is to end."""
        ends = time.monotonic() + self._world.settings.idle_seconds
        while not said.done():
            self._stirred.clear()
            came = self.view is not None and self.view.look()
            if self.view is not None and self.view.gone:
                return
            if came:
                await self._push(self.view.folder.name if self.view else "")
                if self._over:
                    return
            await self._flush()
            left = ends - time.monotonic()
            if left <= 0:
                self._say("* BYE IDLE for too long")
                self._over = True
                return
            stirred = asyncio.ensure_future(self._stirred.wait())
            waits: set[asyncio.Future[Any]] = {said, stirred}
            await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            stirred.cancel()

    async def _push(self, folder: str) -> None:
        """Let what is about to be pushed meet the troubles in force."""
        slowed, rule = self._world.troubles.meet("imap.push")
        if slowed:
            await self._world.troubles.pause(slowed)
        if rule is None:
            said = self._out[-1].decode().strip()
            facts = {"method": "IMAP EXISTS", "account": self._owner.address, "text": folder, "answer": said}
            self._world.tell("call", **facts, status="pushed", ok=True, milliseconds=None)
            return
        self._out.clear()
        self._over = True
        if rule.action is Action.HANG:
            # A line that is dead without either side knowing.
            await self._world.troubles.pause(rule.seconds)
            self.cut()
        elif rule.action in (Action.DROP_BEFORE, Action.DROP_AFTER):
            self.cut()
        else:
            self.bye(rule.body or "Server shutting down")


def _none(arguments: list[Token]) -> None:
    if arguments:
        raise BadCommand("no arguments, please")


def _words(arguments: list[Token], count: int) -> list[str]:
    if len(arguments) != count:
        raise BadCommand(f"{count} arguments, please")
    return [word(one) for one in arguments]
