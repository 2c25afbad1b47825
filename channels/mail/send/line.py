"""One SMTP connection, command by command, so that it is always known how far a mail got.

Rule: the final dot decides. Before it is written nothing was sent, whatever breaks; after it only the server's answer
tells. And a password goes over no line that others could read, which no server and nobody on the way can change.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, cast

from channels.errors import FILE_TOO_BIG, InDoubt, Misconfigured, Refused, Retry, SendFailed, Unreachable
from channels.mail.send.account import Account, Token
from channels.mail.send.compose import Composed
from channels.mail.send.refusals import SOON, Stage, outcome

if TYPE_CHECKING:
    from aiosmtplib import SMTP, SMTPResponse

CHUNK = 64 << 10  # bytes
SLOWEST = 256 << 10  # bytes a second; a slow line still carries 2 Mbit/s

UNENCRYPTED = (
    "The mail server offers no encryption (STARTTLS), so others could read along, and nothing is sent. Use smtps://, "
    "or the port on which it encrypts."
)
UNTRUSTED = "The mail server's certificate is not valid for the name in `smtp`: {why}."
NO_TLS = "The mail server does not speak TLS on this port. Use smtp:// in `smtp`, or port 465."
NO_LOGIN = "The mail server offers no way to log in that we know. Check host, port and ?auth= in `smtp`."
NO_UTF8 = "The mail server cannot send to addresses with letters beyond a-z before the @."
TOO_BIG = "The mail has {size:.0f} MB; the mail server takes {most:.0f} MB."
ODD = "The mail server gave an answer that means nothing ({code})."
CLOSED = "The mail server closed the line before the mail was handed over."
SILENT = "The mail server did not answer in time; the mail was not handed over."
DOUBT_CLOSED = "The mail server closed the line after the mail was handed over, before it said whether it takes it."
DOUBT_SILENT = "The mail was handed over, but the mail server has not said whether it takes it."


class Line:
    """One connection. Its methods raise `SendFailed` and subclasses; whether it is still good tells `open`."""

    def __init__(self, client: SMTP, *, seconds: float, patience: float) -> None:
        self.client = client
        self.mails = 0
        self.null_refused = False
        self.timer: asyncio.TimerHandle | None = None
        self._seconds = seconds
        self._patience = patience

    @property
    def open(self) -> bool:
        return self.client.is_connected

    @property
    def encrypted(self) -> bool:
        return self.client.get_transport_info("sslcontext") is not None

    @property
    def limit(self) -> int:
        """Bytes of the largest mail the server takes; 0 when it does not say."""
        size = self.client.esmtp_extensions.get("size", "").strip()
        return int(size) if size.isascii() and size.isdigit() and len(size) < 16 else 0

    def rest(self) -> None:
        """It is in use now: it is not to be closed for being quiet."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def leave(self) -> None:
        """Say goodbye, as far as the line still carries it, and do not wait for an answer."""
        self.rest()
        if self.open and self.client.protocol is not None:
            self.client.protocol.write(b"QUIT\r\n")
        self.client.close()

    def cut(self) -> None:
        self.rest()
        self.client.close()

    async def greet(self, *, required: bool) -> None:
        """Connect and, where the server offers it, encrypt. `required`: without encryption there is no line."""
        from aiosmtplib import SMTPConnectResponseError, SMTPHeloError, SMTPResponseException

        try:
            await self.client.connect()
            await self._hello()
            if not self.client.use_tls:
                if self.client.supports_extension("starttls"):
                    await self.client.starttls()
                    await self._hello()
                elif required:
                    raise Misconfigured(UNENCRYPTED)
            return
        except (SMTPConnectResponseError, SMTPHeloError) as error:
            failure = _refusal(Stage.GREETING, error.code, error.message)
        except SMTPResponseException as error:  # to STARTTLS, the one other command of this talk
            failure = _refusal(Stage.GREETING, error.code, error.message)
        except (OSError, TimeoutError) as error:
            failure = _unreached(error)
        raise failure

    async def login(self, account: Account, token: Token | None) -> None:
        """Log in, with one attempt: after a few a mailbox is locked."""
        from aiosmtplib import SMTPResponseException

        if not account.user:
            return
        client, methods = self.client, self.client.server_auth_methods
        if account.xoauth2 and token is not None:
            secret, way = await token(), client.auth_xoauth2
        elif "plain" in methods:
            secret, way = account.password, client.auth_plain
        elif "login" in methods:
            secret, way = account.password, client.auth_login
        elif "cram-md5" in methods:
            secret, way = account.password, client.auth_crammd5
        else:
            raise Misconfigured(NO_LOGIN)
        try:
            await way(account.user, secret)
            return
        except SMTPResponseException as error:
            failure = _refusal(Stage.LOGIN, error.code, error.message)
        except (OSError, TimeoutError) as error:
            failure = _unreached(error)
        raise failure

    async def reset(self) -> bool:
        """Forget a mail half told. False when the line is of no use any more."""
        try:
            return (await self._command(b"RSET")).code == 250
        except Retry:
            return False

    async def deliver(self, mail: Composed, data: bytes, *, null: bool) -> str:
        """Tell the envelope and hand over the text; gives the server's last words.

        `null`: the null sender may be tried. A server that refuses it (many do for who logs in) gets our address.
        """
        self.mails += 1
        options = self._options(mail, data)
        sender = mail.mail_from or ("" if null else mail.sender)
        answer = await self._command(b"MAIL FROM:<" + sender.encode() + b">", *options)
        if not sender and 500 <= answer.code < 600:
            self.null_refused = True
            answer = await self._command(b"MAIL FROM:<" + mail.sender.encode() + b">", *options)
        _wants(answer, 250, stage=Stage.SENDER)
        taken = 0
        for number, recipient in enumerate(mail.recipients):
            answer = await self._command(b"RCPT TO:<" + recipient.encode() + b">")
            if number == 0:
                _wants(answer, 250, 251, 252, stage=Stage.RECIPIENT)
            taken += answer.code in (250, 251, 252)
            if not self.open:
                _wants(answer, stage=Stage.RECIPIENT)
        _wants(await self._command(b"DATA"), 354, stage=Stage.TEXT)
        answer = await self._text(data)
        if 200 <= answer.code < 300:
            return answer.message
        if not 400 <= answer.code < 600:
            self.cut()
            raise InDoubt(ODD.format(code=answer.code))
        failure = outcome(Stage.TEXT, answer.code, answer.message)
        if isinstance(failure, Unreachable) and taken > 1:  # one of several: it does not say which
            failure = Refused(failure.detail, provider_code=failure.provider_code)
        raise failure

    def _options(self, mail: Composed, data: bytes) -> list[bytes]:
        extensions = self.client.esmtp_extensions
        options = []
        if mail.utf8:
            if "smtputf8" not in extensions:
                raise Refused(NO_UTF8, provider_code="smtputf8")
            options += [b"SMTPUTF8", b"BODY=8BITMIME"]
        if "size" in extensions:
            if 0 < self.limit < len(data):
                detail = TOO_BIG.format(size=len(data) / (1 << 20), most=self.limit / (1 << 20))
                raise Refused(detail, provider_code=FILE_TOO_BIG)
            options.append(b"SIZE=%d" % len(data))
        return options

    async def _text(self, data: bytes) -> SMTPResponse:
        """Write the text, then the dot. What the server says before the dot, such as "too large", ends it early."""
        from aiosmtplib import SMTPException

        protocol = self.client.protocol
        if protocol is None:
            raise Retry(CLOSED, after=SOON)
        answering = asyncio.ensure_future(protocol.read_response())
        ended = False
        try:
            async with asyncio.timeout(self._seconds + len(data) / SLOWEST):
                await self._pour(data, answering)
            if answering.done():
                answer = await answering
                self.cut()  # it will read the rest of the text as commands
                return answer
            ended = True
            protocol.write(b".\r\n")
            async with asyncio.timeout(self._patience):
                return await answering
        except (SMTPException, OSError, TimeoutError) as error:
            self.cut()
            late = isinstance(error, TimeoutError)
        finally:
            answering.cancel()
        if ended:
            raise InDoubt(DOUBT_SILENT if late else DOUBT_CLOSED)
        raise Retry(SILENT if late else CLOSED, after=SOON)

    async def _pour(self, data: bytes, answering: asyncio.Future[SMTPResponse]) -> None:
        """Write no faster than the line carries, so that the dot is not written while text still waits here."""
        protocol = self.client.protocol
        if protocol is None or protocol.transport is None:
            raise ConnectionResetError
        cast(asyncio.WriteTransport, protocol.transport).set_write_buffer_limits(high=1, low=0)
        for start in range(0, len(data), CHUNK):
            protocol.write(data[start : start + CHUNK])
            # aiosmtplib's flow control has no public name; its own `data` writes everything at once.
            drained = asyncio.ensure_future(protocol._drain_helper())
            try:
                await asyncio.wait((drained, answering), return_when=asyncio.FIRST_COMPLETED)
            finally:
                drained.cancel()
            if answering.done():
                return
            drained.result()

    async def _hello(self) -> None:
        from aiosmtplib import SMTPHeloError

        try:
            await self.client.ehlo()
        except SMTPHeloError as error:
            if not self.open or error.code < 500:
                raise
            await self.client.helo()

    async def _command(self, *parts: bytes) -> SMTPResponse:
        """One command before the text. Whatever breaks here, nothing was sent."""
        from aiosmtplib import SMTPException

        try:
            return await self.client.execute_command(*parts)
        except (SMTPException, OSError, TimeoutError) as error:
            late = isinstance(error, TimeoutError)
        self.cut()
        raise Retry(SILENT if late else CLOSED, after=SOON)


# --- small functions


def _wants(answer: SMTPResponse, *codes: int, stage: Stage) -> None:
    if answer.code not in codes:
        raise _refusal(stage, answer.code, answer.message)


def _refusal(stage: Stage, code: int, text: str) -> SendFailed:
    """Before the text an answer that means nothing is no harm: it is tried again."""
    if 400 <= code < 600:
        return outcome(stage, code, text)
    return Retry(ODD.format(code=code), after=SOON, whole_channel=True)


def _unreached(error: OSError | TimeoutError) -> SendFailed:
    """Why there is no line, without what the error quotes."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Misconfigured(UNTRUSTED.format(why=cause.verify_message))
    if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return Misconfigured(NO_TLS)
    if isinstance(error.__cause__ or error, socket.gaierror):
        why = "its name is not known"
    elif isinstance(error, TimeoutError):
        why = "it does not answer in time"
    elif isinstance(error.__cause__ or error, ConnectionRefusedError):
        why = "nothing listens at this port"
    else:
        why = "the line broke"
    return Retry(f"The mail server cannot be reached: {why}.", after=SOON, whole_channel=True)
