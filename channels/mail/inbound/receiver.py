"""The built-in receiver: a mail server in front hands over mail by LMTP, or by SMTP where it knows no LMTP.

Rule: meant for the one server in front, which has judged the sender; it never relays, and says "yes" only when the
mail is committed. It runs in a thread with a loop of its own, because taking 25 MB costs a second of computing.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from channels.errors import Misconfigured
from channels.mail.inbound.arrival import address, letter, word
from channels.mail.values import MOST_HEADERS, MOST_RECIPIENTS
from channels.message import Letter

log = structlog.get_logger()
logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd would write down who wrote to whom

MOST_CONNECTIONS = 30  # a server in front opens up to 20 at once (Postfix, default_destination_concurrency_limit)
MOST_LINE = 4 << 20  # bytes; RFC 5321 says 1,000, but mailers do put a whole page of HTML on one line
MOST_COMMAND = 2_000  # bytes; RFC 5321 says 512, which long return paths exceed
MOST_HOPS = 25  # Received fields of a mail that is not going in circles
IDLE = 300.0  # seconds between commands, RFC 5321 4.5.3.2.7; a mail has to be through within as many
COMMIT = 60.0  # seconds; a sender waits ten minutes for our yes (RFC 5321 4.5.3.2.6) and comes again after a no
LAST = 5.0  # seconds that what is being taken has left when we stop

RECEIVED = re.compile(rb"^received:", re.IGNORECASE | re.MULTILINE)
BLANK = re.compile(rb"\n\r?\n")

Receive = Callable[[Sequence[Letter]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where to listen, and for whom. A recipient may carry a `+tag`; `@example.com` takes a whole domain."""

    protocol: Literal["lmtp", "smtp"]
    host: str
    port: int  # 0: any free one
    most_bytes: int = 50 << 20  # of one mail, advertised as SIZE
    recipients: frozenset[str] = frozenset()

    @classmethod
    def from_url(cls, url: str, *, recipients: Iterable[str]) -> Listener:
        """Read `lmtp://127.0.0.1:8024`. Raises ValueError, in words for a person."""
        try:
            found = urlsplit(url)
            protocol, host, port = found.scheme, found.hostname, found.port
        except ValueError:
            protocol, host, port = "", None, None
        if protocol not in ("lmtp", "smtp") or not host or port is None:
            raise ValueError("the place to listen at has to be lmtp://host:port, or smtp:// where LMTP is not known")
        spoken: Literal["lmtp", "smtp"] = "lmtp" if protocol == "lmtp" else "smtp"
        return cls(protocol=spoken, host=host, port=port, recipients=frozenset(recipients))

    def takes(self, recipient: str) -> bool:
        local, _, domain = plain(recipient).rpartition("@")
        ours = {plain(found) for found in self.recipients}
        return bool(local) and not ours.isdisjoint(
            {f"{local}@{domain}", f"{local.partition('+')[0]}@{domain}", f"@{domain}"}
        )


def plain(mailbox: str) -> str:
    """An address to compare by: in lower case, its domain as DNS has it."""
    local, at, domain = mailbox.strip().lower().rpartition("@")
    try:
        return f"{local}{at}{domain.encode('idna').decode()}"
    except UnicodeError:
        return f"{local}{at}{domain}"


async def listen(
    channel: str,
    listener: Listener,
    receive: Receive,
    now: Callable[[], datetime],
    ready: Callable[[tuple[str, int]], None] = lambda _: None,
) -> None:
    """Take mail until cancelled; what is just being taken is then taken to its end.

    `receive` and `ready` are called in the caller's loop, `ready` with the bound host and port. Raises `Misconfigured`
    when they cannot be bound.
    """
    here = asyncio.get_running_loop()

    async def hand_over(taken: Letter) -> None:
        await receive((taken,))

    async def carry(taken: Letter) -> None:
        stored = asyncio.run_coroutine_threadsafe(hand_over(taken), here)
        async with asyncio.timeout(COMMIT):
            await asyncio.wrap_future(stored)

    door = _Door(listener, _Doorkeeper(channel, listener, carry, now))
    with ThreadPoolExecutor(1, thread_name_prefix=f"mail-{channel}") as thread:
        work = here.run_in_executor(thread, asyncio.run, door.stand(lambda at: here.call_soon_threadsafe(ready, at)))
        try:
            await asyncio.shield(work)
        except OSError as error:
            words = f"Mail cannot be taken at {listener.host}:{listener.port}: {error.strerror or error}."
            raise Misconfigured(words) from None
        finally:
            door.leave()
            await asyncio.wait([work])


class _Door:
    """The listening socket and its connections, in a loop of their own."""

    def __init__(self, listener: Listener, keeper: _Doorkeeper) -> None:
        self._listener = listener
        self._keeper = keeper
        self._over: Future[None] = Future()

    def leave(self) -> None:
        """May be called from any thread, and before `stand` has begun."""
        if not self._over.done():
            self._over.set_result(None)

    async def stand(self, ready: Callable[[tuple[str, int]], object]) -> None:
        spoken = _Lmtp if self._listener.protocol == "lmtp" else _Smtp
        server = await asyncio.get_running_loop().create_server(
            lambda: spoken(self._keeper, self._listener), self._listener.host, self._listener.port
        )
        host, port, *_ = server.sockets[0].getsockname()
        log.info("mail.listening", protocol=self._listener.protocol, host=host, port=port)
        ready((host, port))
        await asyncio.wrap_future(self._over)
        server.close()
        try:
            async with asyncio.timeout(LAST):
                await self._keeper.idle.wait()
        except TimeoutError:
            log.warning("mail.cut_short", taking=self._keeper.taking)
        for line in tuple(self._keeper.lines):
            line.hang_up()


class _Doorkeeper:
    """What aiosmtpd asks about each command. Its answers are those of RFC 5321 and RFC 3463."""

    def __init__(
        self,
        channel: str,
        listener: Listener,
        carry: Callable[[Letter], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        self._channel = channel
        self._listener = listener
        self._carry = carry
        self._now = now
        self.lines: set[_Smtp] = set()
        self.taking = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        # RFC 2033 demands it of LMTP. A command that comes early waits in the buffer.
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not self._listener.takes(address):
            return "550 5.1.1 No such mailbox here"
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw = envelope.original_content or b""
        blank = BLANK.search(raw, 0, MOST_HEADERS)
        if len(RECEIVED.findall(raw, 0, blank.start() if blank else MOST_HEADERS)) > MOST_HOPS:
            return "554 5.4.6 This mail is going in circles"
        self.taking += 1
        self.idle.clear()
        try:
            await self._carry(self._letter(session, envelope, raw))
        except Exception as error:  # noqa: BLE001 - whatever failed, the mail is not stored and has to come again
            log.warning("mail.not_stored", channel=self._channel, error=type(error).__name__)
            return "451 4.3.0 The mail could not be stored, please try again"
        finally:
            self.taking -= 1
            if not self.taking:
                self.idle.set()
        return "250 2.6.0 The mail is stored"

    async def handle_exception(self, error: Exception) -> str:
        """Something came that aiosmtpd stumbles over. Never final: a mail refused by mistake is lost."""
        log.warning("mail.stumbled", channel=self._channel, error=type(error).__name__)
        return "451 4.3.0 That was not understood"

    def _letter(self, session: Session, envelope: Envelope, raw: bytes) -> Letter:
        peer: Any = session.peer  # of a socket: host and port; of IPv6 more
        return letter(
            channel=self._channel,
            way=self._listener.protocol,
            at=self._now(),
            raw=raw,
            mail_from=address(envelope.mail_from),
            recipients=list(dict.fromkeys(envelope.rcpt_tos)),
            client_ip=word(peer[0] if peer else ""),
            helo=word(session.host_name),
        )


class _Smtp(SMTP):
    """One connection."""

    def __init__(self, keeper: _Doorkeeper, listener: Listener) -> None:
        self._keeper = keeper
        self._replies = 1
        # Of this connection and not of the class, where aiosmtpd keeps them: they grow with every EHLO.
        self.line_length_limit = MOST_LINE
        self.command_size_limit = MOST_COMMAND
        self.command_size_limits = defaultdict(lambda: MOST_COMMAND)
        super().__init__(
            keeper,
            data_size_limit=listener.most_bytes,
            enable_SMTPUTF8=True,
            hostname=socket.gethostname(),  # aiosmtpd would ask DNS for more
            ident="Santral",
            timeout=IDLE,
            loop=asyncio.get_running_loop(),
        )

    def hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._keeper.lines) < MOST_CONNECTIONS:
            self._keeper.lines.add(self)
            super().connection_made(transport)
        else:
            cast(asyncio.WriteTransport, transport).write(b"421 4.3.2 Too many connections, please try again later\r\n")
            transport.close()

    def eof_received(self) -> bool | None:
        return super().eof_received() if self in self._keeper.lines else None

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._keeper.lines:
            self._keeper.lines.remove(self)
            super().connection_lost(error)


class _Lmtp(_Smtp, LMTP):
    """One connection. After a mail LMTP wants a reply for each of its recipients, however it went (RFC 2033 4.2)."""

    async def push(self, status: Any) -> None:
        replies, self._replies = self._replies, 1
        if str(status).startswith("354") and self.envelope is not None:
            self._replies = len(self.envelope.rcpt_tos)
        for _ in range(replies):
            await super().push(status)
