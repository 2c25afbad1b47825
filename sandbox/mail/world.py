"""The mail world: its accounts, what people and their programs do, and how mail gets from one to the other.

Rule: every mail is delivered by its receiver's host, which writes on top what it knows: from where it came, and whether
its sender is who From says. Only the owner of an address, writing from here, gets a pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from sandbox.journal import Journal
from sandbox.mail import clients, machines, trace
from sandbox.mail.clients import Draft, Enclosure
from sandbox.mail.commands import LINE_LIMIT
from sandbox.mail.imap import Session
from sandbox.mail.reading import Seen, look
from sandbox.mail.search import head
from sandbox.mail.smtp import Submissions
from sandbox.mail.values import QUOTA, Account, Fate, Folder, Json, Sent, Settings, Stored
from sandbox.trouble import Troubles

KEPT = 2000  # submitted mails remembered


class World:
    """Every account and every mail. `start` opens the sockets; without it people can write, but no program can look.

    Actions raise ValueError for what nobody could do, and KeyError for who or what is not there.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.journal = Journal()
        self.troubles = Troubles()
        self.accounts: dict[str, Account] = {}  # by address
        self.policies: dict[str, str] = {}  # DMARC policy by domain: none, quarantine or reject; none unless told
        self.sent: deque[Sent] = deque(maxlen=KEPT)
        self.sessions: set[Session] = set()
        self.imap_port = self.smtp_port = 0
        self.host = "127.0.0.1"
        self._servers: list[asyncio.Server] = []
        self._later: set[asyncio.TimerHandle] = set()
        self._talks: set[asyncio.Task[Any]] = set()

    # life

    async def start(
        self, host: str = "127.0.0.1", *, imap_port: int = 0, smtp_port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        """Open both servers; port 0 takes any free one. With `tls` SMTP offers STARTTLS."""
        loop = asyncio.get_running_loop()
        imap = await asyncio.start_server(self._greet, host, imap_port, limit=LINE_LIMIT)
        smtp = await loop.create_server(Submissions(self, tls).protocol, host, smtp_port)
        self._servers = [imap, smtp]
        self.host = host
        self.imap_port, self.smtp_port = (server.sockets[0].getsockname()[1] for server in self._servers)

    async def close(self) -> None:
        for timer in self._later:
            timer.cancel()
        self._later.clear()
        self.troubles.clear()
        for server in self._servers:
            server.close()
        for session in tuple(self.sessions):
            session.cut()
        if self._talks:
            await asyncio.wait(self._talks, timeout=2)
        self._servers = []
        self.journal.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self.sessions.add(session)
        self._talks.add(task)
        try:
            await session.serve()
        finally:
            self.sessions.discard(session)
            self._talks.discard(task)

    def reset(self) -> None:
        """Forget everybody and everything, settings included, and hang up on everybody."""
        for session in tuple(self.sessions):
            session.cut()
        self.settings = Settings()
        self.troubles.clear()
        self.accounts.clear()
        self.policies.clear()
        self.sent.clear()
        self.journal.forget()

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.settings.clock_offset)

    def tell(self, kind: str, **facts: Any) -> None:
        self.journal.note(kind, datetime.now(UTC), facts)  # what was seen, not what their clocks said

    def change_settings(self, changes: Json) -> None:
        self.settings = self.settings.changed(changes)

    def later(self, seconds: float, act: Any, *arguments: Any) -> None:
        """Do something when its time has come; at once where there is no loop to wait in."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            act(*arguments)
            return

        def due() -> None:
            self._later.discard(timer)
            act(*arguments)

        timer = loop.call_later(seconds, due)
        self._later.add(timer)

    # who is there

    def add_account(self, address: str, **more: Any) -> Account:
        """Open a mailbox, or change the one with this address. `more` are fields of `Account`."""
        address = address.strip().lower()
        if address.count("@") != 1 or address.startswith("@") or address.endswith("@"):
            raise ValueError("an address is name@domain")
        if "client" in more and more["client"] not in clients.PROGRAMS:
            raise ValueError(f"client must be one of {', '.join(clients.PROGRAMS)}")
        for name in ("aliases", "tokens"):
            if name in more:
                more[name] = frozenset(more[name]) if name == "aliases" else set(more[name])
        if "fate" in more:
            more["fate"] = Fate(more["fate"])
        known = {"name", "password", "aliases", "tokens", "client", "language", "signature", "fate", "vacation"}
        if unknown := sorted(set(more) - known):
            raise ValueError(f"an account has no {', '.join(unknown)}")
        account = self.accounts.get(address)
        if account is None:
            account = Account(address=address, **{"password": secrets.token_urlsafe(9), **more})
            self.accounts[address] = account
        else:
            for name, value in more.items():
                setattr(account, name, value)
        self.tell("account", account=address)
        return account

    def account(self, address: str) -> Account:
        """Find an account by its address, an alias or either with +something. Raises KeyError."""
        found = self.receiver(address)
        if found is None:
            raise KeyError(f"no such account: {address}")
        return found

    def receiver(self, address: str) -> Account | None:
        exact = self.accounts.get(address.lower())
        return exact or next((one for one in self.accounts.values() if one.owns(address)), None)

    def enters(self, name: str, *, password: str = "", token: str = "") -> Account | None:
        """Whose account this login opens, if any."""
        account = self.accounts.get(name.lower())
        if account is None or not (password or token):
            return None
        given = password.encode() if password else token.encode()
        right = [account.password] if password else list(account.tokens)
        return account if any(secrets.compare_digest(given, one.encode()) for one in right) else None

    def imap_url(self, address: str) -> str:
        account = self.accounts[address]
        return f"imap://{quote(address, safe='')}:{quote(account.password, safe='')}@{self.host}:{self.imap_port}"

    def smtp_url(self, address: str) -> str:
        account = self.accounts[address]
        return f"smtp://{quote(address, safe='')}:{quote(account.password, safe='')}@{self.host}:{self.smtp_port}"

    # what people do

    def deliver(
        self,
        sender: str,
        to: str | Sequence[str],
        subject: str = "",
        text: str = "",
        *,
        html: str = "",
        attachments: Iterable[Enclosure] = (),
        in_reply_to: str = "",
        spoofed: bool = False,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        name: str = "",
        at: datetime | None = None,
    ) -> Stored | None:
        """Let somebody write a mail with their program, and deliver it. The copy in their Sent folder is returned.

        `in_reply_to` is the Message-ID of a mail in their mailbox, which is quoted as their program quotes. Whoever has
        no account yet gets one. `spoofed`: a stranger writes it in their name, from elsewhere; then None is returned.
        `headers` are put on top as they stand, whatever they are.
        """
        recipients = [to] if isinstance(to, str) else list(to)
        address = sender.strip().lower()
        account = self.receiver(address) if spoofed else (self.receiver(address) or self.add_account(address))
        if account is None:
            account = Account(address=address, password="")  # a stranger's idea of them
        past = self._found(account, in_reply_to) if in_reply_to and not spoofed else None
        draft = Draft(
            to=recipients,
            subject=subject,
            text=text,
            html=html,
            files=tuple(attachments),
            past=past,
            at=(at or self.now()).replace(microsecond=0),
            name=name,
            address=address,
        )
        raw = clients.write(account, draft)
        extra = headers.items() if isinstance(headers, Mapping) else headers
        raw = b"".join(f"{key}: {value}\r\n".encode() for key, value in extra) + raw
        copy = None if spoofed else account.folder("Sent").add(raw, self.now(), {"\\Seen"})
        for recipient in recipients:
            self.arrive(raw, recipient, mail_from=address, honest=None if spoofed else account)
        self.tell("written", account=address, subject=subject)
        return copy

    def reply(self, account: str, uid: int, text: str, *, folder: str = "INBOX", **more: Any) -> Stored | None:
        """Answer a mail of theirs from their program. What `deliver` takes beside may be given."""
        owner = self.account(account)
        seen = look(self.stored(owner, uid, folder).raw)
        more = {"to": seen.reply_to or seen.sender_address, "in_reply_to": seen.message_id, **more}
        return self.deliver(owner.address, text=text, **more)

    def newsletter(self, sender: str, to: str, subject: str, text: str) -> None:
        """Send an issue of a newsletter."""
        account = self.receiver(sender) or self.add_account(sender)
        raw = machines.newsletter(account, to, subject, text, self.now())
        self.arrive(raw, to, mail_from=f"bounce@{account.domain}", honest=account)

    def stored(self, account: Account, uid: int, folder: str = "INBOX") -> Stored:
        found = account.folder(folder).mails.get(int(uid))
        if found is None:
            raise KeyError("no such mail")
        return found

    def mark_seen(self, account: str, uid: int, folder: str = "INBOX") -> None:
        owner = self.account(account)
        self.stored(owner, uid, folder).flags.add("\\Seen")
        self.tell("seen", account=owner.address)

    def inbox(self, address: str, folder: str = "INBOX") -> list[Seen]:
        """What somebody finds in a folder, oldest first, read as their program reads it."""
        return [look(stored.raw) for stored in self.account(address).folder(folder).mails.values()]

    def _found(self, account: Account, wanted: str) -> Seen:
        for folder in account.folders.values():
            for stored in folder.mails.values():
                seen = look(head(stored.raw))
                if seen.message_id == wanted:
                    return look(stored.raw)
        raise KeyError("no mail with this Message-ID in their mailbox")

    # what programs do to the shop's connections

    def cut(self, address: str = "") -> int:
        """Break every IMAP connection of an account, or all; how many there were."""
        found = [one for one in self.sessions if not address or (one.account and one.account.address == address)]
        for session in found:
            session.cut()
        return len(found)

    def bye(self, address: str = "", words: str = "Session expired, please login again.") -> int:
        """Say BYE to every IMAP connection of an account, or all; how many there were."""
        found = [one for one in self.sessions if not address or (one.account and one.account.address == address)]
        for session in found:
            session.bye(words)
        return len(found)

    def renew(self, address: str, folder: str = "INBOX") -> int:
        """Give a folder a new UIDVALIDITY, as a move to another server does. The new one is returned."""
        found = self.account(address).folder(folder)
        found.renew()
        return found.validity

    def idlers(self, address: str, folder: str = "INBOX") -> int:
        """How many connections wait in IDLE on a folder."""
        wanted = self.account(address).folder(folder)
        return sum(session.idles_on is wanted for session in self.sessions)

    # delivery

    def file(
        self, account: Account, folder: Folder, raw: bytes, *, at: datetime | None = None, flags: Iterable[str] = ()
    ) -> Stored | None:
        """Put bytes into a folder as they are; None when the mailbox is full."""
        if account.size + len(raw) > QUOTA:
            return None
        stored = folder.add(raw, at or self.now(), flags)
        self.tell("mail", account=account.address, folder=folder.name, uid=stored.uid)
        return stored

    def arrive(
        self,
        raw: bytes,
        recipient: str,
        *,
        mail_from: str = "",
        honest: Account | None = None,
        signed: str = "",
        folder: str = "",
        at: datetime | None = None,
    ) -> Stored | None:
        """Receive bytes at the recipient's host, with its trace headers on top.

        `honest` is who handed it in where that was certain, None for a stranger. `signed` replaces the verdicts the
        host would write; "-" writes none. None is returned where nobody has that address or the mailbox is full.
        """
        account = self.receiver(recipient)
        if account is None:
            return None
        host = self.settings.authserv or f"mx.{account.domain}"
        policy = self.policies.get(trace.author_domain(raw), "none")
        way = trace.Way(mail_from=mail_from, recipient=recipient, host=host, policy=policy, at=self.now())
        traced = trace.written(raw, way, honest, signed)
        unwanted = policy != "none" and not trace.aligned(raw, honest)
        target = account.folder(folder or ("Junk" if unwanted else "INBOX"))
        return self.file(account, target, traced, at=at)

    def submit(self, sender: Account, mail_from: str, recipients: Sequence[str], raw: bytes) -> str:
        """Take a mail that a program handed in, and bring it on its way. The queue's id for it is returned."""
        queue_id = secrets.token_hex(5).upper()
        self.sent.append(
            Sent(
                account=sender.address,
                mail_from=mail_from,
                recipients=tuple(recipients),
                raw=raw,
                at=self.now(),
                queue_id=queue_id,
            )
        )
        if self.settings.files_sent:
            self.file(sender, sender.folder("Sent"), raw, flags={"\\Seen"})
        for recipient in recipients:
            self._forward(sender, mail_from, recipient, raw)
        return queue_id

    def _forward(self, sender: Account, mail_from: str, recipient: str, raw: bytes) -> None:
        receiver = self.receiver(recipient)
        if receiver is None or receiver.fate is Fate.VANISH:
            return
        bounces = receiver.fate in (Fate.BOUNCE, Fate.BOUNCE_FULL, Fate.BOUNCE_POLICY, Fate.BOUNCE_PLAIN)
        if bounces or receiver.fate is Fate.DELAY:
            self.later(self.settings.bounce_seconds, self._report, receiver.fate, sender, mail_from, recipient, raw)
        if bounces:
            return
        if self.arrive(raw, recipient, mail_from=mail_from, honest=sender) is None:
            self.later(self.settings.bounce_seconds, self._report, Fate.BOUNCE_FULL, sender, mail_from, recipient, raw)
        elif receiver.vacation:
            self.later(self.settings.vacation_seconds, self._note, receiver, raw, mail_from)

    def _report(self, fate: Fate, sender: Account, mail_from: str, recipient: str, raw: bytes) -> None:
        if not mail_from:
            return  # nobody asked to be told
        host = f"mx.{sender.domain}"
        told = machines.report(fate, raw, recipient, host, self.now())
        self.arrive(told, mail_from, honest=Account(address=f"mailer-daemon@{host}", password=""))

    def _note(self, receiver: Account, raw: bytes, mail_from: str) -> None:
        """Answer for somebody who is away: each sender once, and never a machine."""
        seen = look(raw)
        to = seen.reply_to or seen.sender_address
        automatic = seen.header("Auto-Submitted").lower() not in ("", "no") or not mail_from
        if automatic or to in receiver.answered:
            return
        receiver.answered.add(to)
        with contextlib.suppress(KeyError):
            self.arrive(machines.vacation(receiver, seen, self.now()), to, honest=receiver)
