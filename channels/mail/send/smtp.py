"""Sending over SMTP: one account, a few connections kept warm, and for every mail exactly one outcome.

Rule: one mail at a time over a connection, and one that was quiet for a while may have been closed: what fails on
it before the text was handed over goes once more over a fresh one.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Sequence

from channels.channel import Finding
from channels.errors import Misconfigured, Retry, SendFailed
from channels.mail.send.account import Account, Token
from channels.mail.send.compose import Composed
from channels.mail.send.line import Line
from channels.mail.send.sign import Signer

__all__ = ["Account", "Smtp", "Token", "alias"]

CONNECTIONS = 3  # at once; Gmail and Microsoft 365 take three of one account without complaint
MOST_MAILS = 50  # over one connection; several providers close it after a hundred
OURSELVES = "[127.0.0.1]"  # what we call ourselves in EHLO: a host's true name is nobody's business

_SES = re.compile(r"email-smtp(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_SES_ID = re.compile(r"ok ([0-9a-z]{8,}(?:-[0-9a-z]+){3,10})\s*", re.IGNORECASE)


class Smtp:
    """Sends the mails of one account, at most one at a time over each of its connections."""

    def __init__(
        self,
        account: Account,
        *,
        token: Token | None = None,
        signer: Signer | None = None,
        tls: ssl.SSLContext | None = None,
        seconds: float = 30,
        patience: float = 120,
        idle: float = 30,
    ) -> None:
        """`seconds`: for an answer to a command. `patience`: for the last one. `idle`: until a quiet line is closed.

        `token` gives the access token for XOAUTH2 and raises `Retry` or `Refused` itself.
        """
        if account.xoauth2 and token is None:
            raise ValueError("?auth=xoauth2 needs to know where tokens come from.")
        self.account = account
        self._token = token
        self._signer = signer
        self._tls = tls
        self._seconds = seconds
        self._patience = patience
        self._seconds_idle = idle
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[Line] = []
        self._null_refused = False
        self._closed = False

    async def send(self, mail: Composed) -> str:
        """Hand over the mail; gives the Message-ID its receivers will see.

        Raises `Retry` (not sent), `InDoubt` (may be sent) or `Refused` (will not be taken), and nothing else. The first
        recipient decides; a refused copy is left out.
        """
        data = await asyncio.to_thread(_ready, mail, self._signer)
        async with self._slots:
            while self._idle:
                line = self._idle.pop()
                line.rest()
                try:
                    return await self._over(line, mail, data)
                except Retry:
                    if line.open:
                        raise
                    # The server had closed it while nothing was said: that tells nothing about this mail.
            return await self._over(await self._connect(), mail, data)

    async def check(self) -> Sequence[Finding]:
        """Connect and log in, and say what the server offers. Sends nothing."""
        host = self.account.host
        try:
            line = await self._connect()
        except Misconfigured as error:
            return (Finding(ok=False, what=f"{host}: {error}", fix="Put it right in `smtp`, then check again."),)
        except SendFailed as error:
            return (Finding(ok=False, what=f"{host}: {error}", fix="Check host, port and network, then check again."),)
        try:
            size = line.limit
            what = f"{host} takes mail" + (f" from {self.account.user}" if self.account.user else " without a login")
            found = [Finding(ok=True, what=what + (f", up to {size >> 20} MB." if size >= 1 << 20 else "."))]
            if not line.encrypted:
                found.append(Finding(ok=True, what=f"The line to {host} is not encrypted; it is on your own network."))
            return found
        finally:
            line.leave()

    async def close(self) -> None:
        """Take leave of the server. Mails under way are finished by whoever sends them."""
        self._closed = True
        while self._idle:
            self._idle.pop().leave()

    async def _over(self, line: Line, mail: Composed, data: bytes) -> str:
        try:
            answer = await line.deliver(mail, data, null=not self._null_refused)
        except SendFailed:
            if line.open and await line.reset():
                self._keep(line)
            else:
                line.cut()
            raise
        except BaseException:
            line.cut()
            raise
        self._null_refused = self._null_refused or line.null_refused
        self._keep(line)
        return alias(self.account.host, answer) or mail.message_id

    def _keep(self, line: Line) -> None:
        if self._closed or not line.open or line.mails >= MOST_MAILS:
            line.leave()
            return
        self._idle.append(line)
        line.timer = asyncio.get_running_loop().call_later(self._seconds_idle, self._drop, line)

    def _drop(self, line: Line) -> None:
        if line in self._idle:
            self._idle.remove(line)
            line.leave()

    async def _connect(self) -> Line:
        """A line that is encrypted as it has to be and logged in."""
        from aiosmtplib import SMTP

        account = self.account
        if self._tls is None:
            self._tls = await asyncio.to_thread(_context, verify=account.tls or not account.private)
        client = SMTP(
            hostname=account.host,
            port=account.port,
            use_tls=account.tls,
            start_tls=False,
            tls_context=self._tls,
            local_hostname=OURSELVES,
            timeout=self._seconds,
        )
        line = Line(client, seconds=self._seconds, patience=self._patience)
        try:
            await line.greet(required=not account.private)
            await line.login(account, self._token)
        except BaseException:
            line.cut()
            raise
        return line


# --- small functions


def alias(host: str, answer: str) -> str:
    """The Message-ID that Amazon SES puts in place of ours, "" where ours stays.

    https://docs.aws.amazon.com/ses/latest/dg/header-fields.html
    """
    region, found = _SES.fullmatch(host.lower()), _SES_ID.fullmatch(answer)
    if region is None or found is None:
        return ""
    return f"<{found[1]}@{'email' if region[1] == 'us-east-1' else region[1]}.amazonses.com>"


def _ready(mail: Composed, signer: Signer | None) -> bytes:
    """The text as it goes over the line: signed, ended, and with its own dots doubled (RFC 5321 4.5.2)."""
    raw = mail.raw if signer is None else signer.sign(mail.raw, mail.at)
    raw = raw.replace(b"\r\n.", b"\r\n..")
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


def _context(*, verify: bool) -> ssl.SSLContext:
    """Encryption as the system trusts it. Not verified where unencrypted would do as well, on our own network."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
