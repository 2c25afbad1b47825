"""Submission: where a program hands in mail for its account, and what is refused, in the codes of the large providers.

Rule: a refusal comes where a real server says it: who at MAIL and RCPT, what after the final dot.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
import ssl
import time
from email import message_from_bytes
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sandbox.mail.reading import look
from sandbox.mail.search import head
from sandbox.mail.values import Account, Fate
from sandbox.trouble import Action, Trouble

if TYPE_CHECKING:
    from sandbox.mail.world import World

RECIPIENTS = 100  # of one mail
HEADER_LINE = 998  # octets without CRLF, RFC 5322 §2.1.1
RATED = 60.0  # seconds the limit per minute looks back
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_SIZE = re.compile(r"SIZE=(\d{1,15})")
REFUSED_LOGIN = "535 5.7.8 Username and Password not accepted."


class Submissions:
    """The handler of every connection. Method names and their arguments are aiosmtpd's."""

    def __init__(self, world: World, tls: ssl.SSLContext | None = None) -> None:
        self._world = world
        self._tls = tls
        self._greylisted: set[tuple[str, str]] = set()
        # It warns of its own doings at every login.
        logging.getLogger("mail.log").setLevel(logging.ERROR)

    def protocol(self) -> SMTP:
        return SMTP(
            self,
            hostname="smtp.sandbox.example",
            data_size_limit=None,
            enable_SMTPUTF8=True,
            auth_require_tls=False,
            authenticator=self._login,
            tls_context=self._tls,
            loop=asyncio.get_running_loop(),
        )

    # logging in

    def _login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        if not isinstance(given, LoginPassword):
            return AuthResult(success=False, handled=False, message=REFUSED_LOGIN)
        name, password = given.login.decode("utf-8", "replace"), given.password.decode("utf-8", "replace")
        return self._entered(self._world.enters(name, password=password), name)

    async def auth_XOAUTH2(self, server: SMTP, arguments: list[str]) -> AuthResult:
        try:
            response = base64.b64decode(arguments[1], validate=True).decode()
        except (IndexError, binascii.Error, UnicodeDecodeError):
            return AuthResult(success=False, handled=False, message="501 5.5.2 Cannot decode")
        found = re.fullmatch(r"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01", response)
        return self._entered(self._world.enters(found[1], token=found[2]) if found else None, found[1] if found else "")

    def _entered(self, account: Account | None, name: str) -> AuthResult:
        _, rule = self._world.troubles.meet("smtp.auth")
        if rule is not None:
            return AuthResult(success=False, handled=False, message=_words(rule, "454 4.7.0 Temporary failure"))
        if account is None:
            self._world.tell(
                "call", method="SMTP AUTH", account=name, text="", status="535", ok=False, milliseconds=None,
                answer=REFUSED_LOGIN,
            )  # fmt: skip
            return AuthResult(success=False, handled=False, message=REFUSED_LOGIN)
        return AuthResult(success=True, auth_data=account)

    # the conversation

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if spoiled := await self._spoiled(server, "smtp.ehlo"):
            return [spoiled]
        return [responses[0], f"250-SIZE {self._world.settings.size_limit}", "250-ENHANCEDSTATUSCODES", *responses[1:]]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not isinstance(session.auth_data, Account):
            return "530 5.7.0 Authentication required"
        if spoiled := await self._spoiled(server, "smtp.mail"):
            return spoiled
        sender = _plain(address)
        account = _account(session)
        if sender and not account.owns(sender):
            return self._refuse(
                account, f"553 5.7.1 <{sender}>: Sender address rejected: not owned by {account.address}"
            )
        size = next((int(found[1]) for option in options if (found := _SIZE.fullmatch(option))), 0)
        if size > self._world.settings.size_limit:
            return self._refuse(account, "552 5.3.4 Message size exceeds fixed limit")
        if self._too_many(account):
            return self._refuse(account, "421 4.7.0 Try again later, too many messages")
        envelope.mail_from = address or "<>"
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if spoiled := await self._spoiled(server, "smtp.rcpt"):
            return spoiled
        account = _account(session)
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return self._refuse(account, "452 4.5.3 Too many recipients")
        receiver = self._world.receiver(_plain(address))
        if receiver is None or receiver.fate is Fate.REFUSE:
            return self._refuse(account, f"550 5.1.1 <{_plain(address)}>: Recipient address rejected: User unknown")
        if receiver.fate is Fate.FULL:
            return self._refuse(account, f"452 4.2.2 <{_plain(address)}>: Mailbox full")
        pair = (account.address, receiver.address)
        if receiver.fate is Fate.GREYLIST and pair not in self._greylisted:
            self._greylisted.add(pair)
            return self._refuse(account, f"451 4.7.1 <{_plain(address)}>: Greylisted, please try again")
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        account = _account(session)
        content = envelope.content or b""
        raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else bytes(content)
        started = time.monotonic()
        slowed, rule = self._world.troubles.meet("smtp.data")
        if slowed:
            await self._world.troubles.pause(slowed)
        if rule is not None and rule.action not in (Action.DROP_AFTER, Action.HANG):
            self._told(account, envelope, raw, started, "", rule)
            return await self._misbehave(server, rule)
        said = self._fault(account, envelope, raw)
        if not said:
            queue_id = self._world.submit(account, _plain(envelope.mail_from or ""), _recipients(envelope), raw)
            said = f"250 2.0.0 Ok: queued as {queue_id}"
        self._told(account, envelope, raw, started, said, rule)
        return await self._misbehave(server, rule) if rule is not None else said

    async def handle_exception(self, error: Exception) -> str:
        return f"451 4.3.0 {type(error).__name__}"

    # what is wrong with a mail

    def _fault(self, account: Account, envelope: Envelope, raw: bytes) -> str:
        """Why this mail is not taken, "" when it is."""
        if len(raw) > self._world.settings.size_limit:
            return "552 5.3.4 Message size exceeds fixed limit"
        if _BARE.search(raw):
            return "550 5.6.11 Bare <CR> or <LF> in the message"
        block = head(raw)
        if any(len(line) > HEADER_LINE for line in block.split(b"\r\n")):
            return "550 5.6.0 Header line too long"
        if not block.isascii() and not envelope.smtp_utf8:
            return "550 5.6.7 Non-ASCII in a header without SMTPUTF8"
        if not raw.isascii() and not envelope.smtp_utf8 and "BODY=8BITMIME" not in envelope.mail_options:
            return "554 5.6.1 8-bit content without BODY=8BITMIME"
        values = [str(value) for value in message_from_bytes(block).get_all("From", [])]
        authors = [address for _, address in getaddresses(values) if address]
        if len(values) != 1 or len(authors) != 1:
            return "550 5.7.1 Messages need exactly one From with one address"
        if not account.owns(authors[0]):
            return f"553 5.7.1 <{authors[0]}>: From is not owned by {account.address}"
        return ""

    def _too_many(self, account: Account) -> bool:
        limit = self._world.settings.per_minute
        if limit is None:
            return False
        now = self._world.now()
        return (
            sum(o.account == account.address and (now - o.at).total_seconds() < RATED for o in self._world.sent)
            >= limit
        )

    # trouble

    async def _spoiled(self, server: SMTP, name: str) -> str:
        slowed, rule = self._world.troubles.meet(name)
        if slowed:
            await self._world.troubles.pause(slowed)
        return await self._misbehave(server, rule) if rule is not None else ""

    async def _misbehave(self, server: SMTP, rule: Trouble) -> str:
        if rule.action in (Action.STATUS, Action.RATELIMIT, Action.DOWN):
            limited = "421 4.7.0 Try again later, closing connection"
            words = {Action.RATELIMIT: limited, Action.DOWN: "421 4.3.2 Service shutting down"}
            return _words(rule, words.get(rule.action, f"{rule.status} Error"))
        if rule.action is Action.HANG:
            await self._world.troubles.pause(rule.seconds)
        if server.transport is not None:
            server.transport.abort()  # type: ignore[attr-defined] # of a socket, which is what it is
        await asyncio.sleep(3600)  # cancelled as soon as the loop notices that the line is gone
        return "421 4.3.2 gone"

    # telling

    def _refuse(self, account: Account, said: str) -> str:
        self._world.tell(
            "call", method="SMTP refused", account=account.address, text=said[4:], status=said[:3], ok=False,
            milliseconds=None, answer=said,
        )  # fmt: skip
        return said

    def _told(
        self, account: Account, envelope: Envelope, raw: bytes, started: float, said: str, rule: Trouble | None
    ) -> None:
        self._world.tell(
            "call",
            method="SMTP DATA",
            account=account.address,
            text=look(head(raw)).subject,
            recipients=_recipients(envelope),
            status=str(rule.action) if rule else said[:3],
            ok=rule is None and said.startswith("250"),
            milliseconds=round((time.monotonic() - started) * 1000, 1),
            answer=said,
        )


def _words(rule: Trouble, default: str) -> str:
    return rule.body or (f"{rule.status} 4.0.0 Error" if rule.action is Action.STATUS and not rule.body else default)


def _plain(address: str) -> str:
    """aiosmtpd gives the null sender as the two signs it is written with."""
    return "" if address == "<>" else address


def _recipients(envelope: Envelope) -> list[str]:
    return [_plain(address) for address in envelope.rcpt_tos]


def _account(session: Session) -> Account:
    account = session.auth_data
    assert isinstance(account, Account)
    return account
