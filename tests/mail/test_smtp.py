"""Sending to real mail servers (aiosmtpd, and scripted ones that misbehave), over real TLS."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import dkim  # type: ignore[import-untyped]
import pytest
import uvloop
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from channels.errors import FILE_TOO_BIG, InDoubt, Misconfigured, Refused, Retry, SendFailed, Unreachable
from channels.mail.send import line as lines
from channels.mail.send.compose import Composed, Sender, compose
from channels.mail.send.refusals import Stage, outcome
from channels.mail.send.sign import Signer, relaxed_body, relaxed_field
from channels.mail.send.smtp import Account, Smtp, alias
from channels.message import Address, Attachment, Author, Outgoing

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ID = UUID("0190aaaa-bbbb-7ccc-8ddd-eeeeffff0001")
PASSWORD = "correct-horse"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def mail(text: str = "Merhaba.\n.\n..nokta", **changes: Any) -> Composed:
    given: dict[str, Any] = {"id": ID, "to": Address(kind="email", value="ayse@example.com"), "text": text}
    given["context"] = {"cc": ["es@example.com"]}
    return compose(Outgoing(**{**given, **changes}), Sender(address="support@kumbara.example", name="Kumbara"), AT)


# --- servers


@dataclass
class Post:
    """A post office. `says` scripts its answers by command, or by command and address; None closes the line."""

    says: dict[str, str | None] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()  # of what EHLO would offer
    mails: list[Envelope] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event | None = None  # what an answer to the text waits for
    port: int = 0

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if not line[4:].startswith(self.lacks or "\0")]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = self.answer(server, "MAIL", address or "<>")
        if said.startswith("250"):
            envelope.mail_from, envelope.mail_options = address, options
        return said

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = self.answer(server, "RCPT", address)
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(envelope)
        self.busy.set()
        if self.go_on is not None:
            await self.go_on.wait()
        return self.answer(server, "DATA", "")

    def answer(self, server: SMTP, command: str, address: str) -> str:
        self.asked.append(f"{command} {address}")
        said = self.says.get(f"{command} {address}", self.says.get(command, "250 OK"))
        if said is None:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "451 never heard"
        return said

    def login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(mechanism)
        if "AUTH" in self.says:
            return AuthResult(success=False, handled=False, message=self.says["AUTH"])
        return AuthResult(success=data == (b"support@kumbara.example", PASSWORD.encode()), handled=False)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        self.logins.append(base64.b64decode(args[1]).decode())
        if "AUTH" in self.says:
            await server.push("334 " + base64.b64encode(b'{"status":"400"}').decode())
            return AuthResult(success=False, handled=False, message=self.says["AUTH"])
        return AuthResult(success=True)


class Talk(SMTP):
    """aiosmtpd's side of one connection, which the post office can look at and cut."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(self.event_handler, Post)
        if self not in self.event_handler.talks:
            self.event_handler.talks.append(self)
        super().connection_made(transport)


@asynccontextmanager
async def office(
    says: dict[str, str | None] | None = None,
    *,
    lacks: tuple[str, ...] = (),
    login: bool = False,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    most: int = 33_554_432,
) -> AsyncIterator[Post]:
    post = Post(says=says or {}, lacks=lacks)
    loop = asyncio.get_running_loop()

    def talk() -> Talk:
        return Talk(
            post,
            loop=loop,
            hostname="mx.example.com",
            data_size_limit=most,
            enable_SMTPUTF8=True,
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=login,
            auth_require_tls=False,
            authenticator=post.login,
        )

    server = await loop.create_server(talk, "127.0.0.1", 0, ssl=tls)
    post.port = server.sockets[0].getsockname()[1]
    try:
        yield post
    finally:
        server.close()
        if post.go_on is not None:
            post.go_on.set()
        for one in post.talks:
            if isinstance(one.transport, asyncio.Transport):
                one.transport.abort()


@asynccontextmanager
async def scripted(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A server that does what `talk` does, and closes the line after it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def rude(**answers: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Answers each command with what is written for it, 250 otherwise; an empty answer closes the line."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = answers.get("greeting", "220 hello")
        while said:
            writer.write(said.encode() + b"\r\n")
            command = (await reader.readline()).split(b" ")[0].strip().decode()
            if not command:
                return
            said = answers.get(command, "250 OK")
            if command == "DATA" and said.startswith("354"):
                writer.write(said.encode() + b"\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                said = answers.get("dot", "250 OK")

    return talk


def at(port: int, *, login: bool = False, host: str = "127.0.0.1", scheme: str = "smtp", options: str = "") -> Account:
    who = f"support%40kumbara.example:{PASSWORD}@" if login else ""
    return Account.from_url(f"{scheme}://{who}{host}:{port}{options}")


@asynccontextmanager
async def sending(account: Account, **settings: Any) -> AsyncIterator[Smtp]:
    smtp = Smtp(account, **{"seconds": 5, "patience": 5, **settings})
    try:
        yield smtp
    finally:
        await smtp.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


# --- certificates


@dataclass(frozen=True)
class Papers:
    server: ssl.SSLContext
    trusting: ssl.SSLContext


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """A server's certificate for `localhost`, and a client that trusts who signed it."""
    folder: Path = tmp_path_factory.mktemp("papers")
    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    now = datetime.now(UTC)

    def certificate(name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(authority).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        builder = builder.not_valid_after(now + timedelta(days=2)).add_extension(extension, critical=True)
        return builder.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca = certificate(authority, root, x509.BasicConstraints(ca=True, path_length=None))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    chain = certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), leaf, names)
    chain += leaf.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(chain)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return Papers(server=server, trusting=ssl.create_default_context(cadata=ca.decode()))


# --- what arrives


async def test_a_mail_arrives_as_it_was_written() -> None:
    async with office() as post, sending(at(post.port)) as smtp:
        composed = mail()
        assert await smtp.send(composed) == composed.message_id
        (envelope,) = post.mails
        assert envelope.content == composed.raw, "lines that begin with a dot too"
        assert envelope.mail_from == "support@kumbara.example"
        assert envelope.rcpt_tos == ["ayse@example.com", "es@example.com"]
        assert any(option.startswith("SIZE=") for option in envelope.mail_options or ())
        assert post.talks[0].session is not None
        assert post.talks[0].session.host_name == "[127.0.0.1]", "the name of our host is nobody's business"


async def test_a_line_is_used_again_and_closed_when_quiet() -> None:
    async with office() as post, sending(at(post.port)) as smtp:
        await smtp.send(mail())
        await smtp.send(mail())
        assert len(post.talks) == 1
    async with office() as post, sending(at(post.port), idle=0.01) as smtp:
        await smtp.send(mail())
        await until(lambda: post.talks[0].transport is None)


async def test_at_most_three_lines_carry_any_number_of_mails() -> None:
    async with office() as post, sending(at(post.port)) as smtp:
        post.go_on = asyncio.Event()
        sends = [asyncio.create_task(smtp.send(mail())) for _ in range(12)]
        await until(lambda: len(post.mails) == 3)
        post.go_on.set()
        await asyncio.gather(*sends)
        assert len(post.mails) == 12
        assert len(post.talks) == 3


async def test_a_line_the_server_has_closed_meanwhile_costs_nothing() -> None:
    async with office() as post, sending(at(post.port)) as smtp:
        await smtp.send(mail())
        assert isinstance(post.talks[0].transport, asyncio.Transport)
        post.talks[0].transport.abort()
        assert await smtp.send(mail())
        post.says["MAIL"] = "421 4.4.2 idle too long"
        with pytest.raises(Retry):
            await smtp.send(mail())
        assert len(post.mails) == 2, "each once"


async def test_a_line_is_good_for_the_next_after_a_refusal() -> None:
    async with office({"RCPT bad@example.com": "550 5.1.1 no"}) as post, sending(at(post.port)) as smtp:
        with pytest.raises(Unreachable):
            await smtp.send(mail(to=Address(kind="email", value="bad@example.com")))
        await smtp.send(mail())
        assert len(post.talks) == 1
        assert [envelope.rcpt_tos for envelope in post.mails] == [["ayse@example.com", "es@example.com"]]


@pytest.mark.parametrize("answer", ["550 5.1.1 no such user", "451 4.7.1 greylisted"])
async def test_a_refused_copy_does_not_hold_back_the_customers(answer: str) -> None:
    async with office({"RCPT es@example.com": answer}) as post, sending(at(post.port)) as smtp:
        await smtp.send(mail())
        assert post.mails[0].rcpt_tos == ["ayse@example.com"]


async def test_a_machines_mail_bounces_to_nobody() -> None:
    async with office() as post, sending(at(post.port)) as smtp:
        await smtp.send(mail(author=Author.BOT))
        assert post.mails[0].mail_from in ("", "<>")


async def test_a_server_without_a_null_sender_gets_our_address_and_is_not_asked_again() -> None:
    async with office({"MAIL <>": "553 5.7.1 sender must match the login"}) as post, sending(at(post.port)) as smtp:
        await smtp.send(mail(author=Author.BOT))
        await smtp.send(mail(author=Author.BOT))
        assert [envelope.mail_from for envelope in post.mails] == ["support@kumbara.example"] * 2
        assert post.asked.count("MAIL <>") == 1


async def test_letters_beyond_a_z_need_a_server_that_can() -> None:
    composed = mail(to=Address(kind="email", value="ayşe@example.com"), context={})
    async with office() as post, sending(at(post.port)) as smtp:
        await smtp.send(composed)
        assert post.mails[0].rcpt_tos == ["ayşe@example.com"]
        assert post.mails[0].content == composed.raw
    async with office(lacks=("SMTPUTF8",)) as post, sending(at(post.port)) as smtp:
        with pytest.raises(Refused) as refused:
            await smtp.send(composed)
        assert type(refused.value) is Refused, "the address itself may be fine"
        assert refused.value.provider_code == "smtputf8"


async def test_a_mail_too_large_is_not_even_begun() -> None:
    async with office(most=1 << 20) as post, sending(at(post.port)) as smtp:
        file = Attachment(media_type="image/png", filename="a.png", data=bytes(3 << 19))
        with pytest.raises(Refused) as refused:
            await smtp.send(mail(attachment=file))
        assert refused.value.provider_code == FILE_TOO_BIG
        assert refused.value.detail == "The mail has 2 MB; the mail server takes 1 MB."
        assert post.mails == []


@pytest.mark.parametrize("loops", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_twenty_megabytes_go_through_either_event_loop(loops: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def run() -> None:
        async with office() as post, sending(at(post.port), seconds=30, patience=30) as smtp:
            file = Attachment(media_type="video/mp4", filename="a.mp4", data=b"\r\n.\r\n" + bytes(20 << 20))
            composed = mail(attachment=file)
            assert await smtp.send(composed) == composed.message_id
            content = post.mails[0].content
            assert isinstance(content, bytes)
            assert hashlib.sha256(content).digest() == hashlib.sha256(composed.raw).digest()

    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(run())


# --- what is refused

ROWS: list[tuple[dict[str, str | None], type[SendFailed], dict[str, Any]]] = [
    # where, what the server says, and what it means
    ({"MAIL": "421 4.3.2 shutting down"}, Retry, {"after": MINUTE, "whole_channel": True}),
    ({"MAIL": "451 4.3.0 try later"}, Retry, {"after": MINUTE, "whole_channel": True}),
    ({"MAIL": "550 5.4.5 Daily user sending limit exceeded"}, Retry, {"after": HOUR, "whole_channel": True}),
    ({"MAIL": "552 5.3.4 too big"}, Refused, {"provider_code": FILE_TOO_BIG}),
    ({"MAIL": "530 5.7.0 Authentication required"}, Misconfigured, {"provider_code": "5.7.0"}),
    ({"MAIL": "550 5.7.60 cannot send as this sender"}, Misconfigured, {}),
    ({"MAIL": "553 not your address"}, Misconfigured, {"provider_code": "553"}),
    ({"MAIL": None}, Retry, {}),
    ({"RCPT": "450 4.2.0 Greylisted, see http://example.com"}, Retry, {"after": MINUTE, "whole_channel": False}),
    ({"RCPT": "451 please try again later"}, Retry, {"after": MINUTE, "whole_channel": False}),
    ({"RCPT": "452 4.2.2 mailbox full"}, Retry, {"after": HOUR, "whole_channel": False}),
    ({"RCPT": "450 4.7.1 rate limit exceeded"}, Retry, {"after": MINUTE, "whole_channel": True}),
    ({"RCPT": "421 4.7.0 too many"}, Retry, {"whole_channel": True}),
    ({"RCPT": "550 5.1.1 <ayse@example.com>: user unknown"}, Unreachable, {"provider_code": "5.1.1"}),
    ({"RCPT": "550 5.1.2 bad destination"}, Unreachable, {}),
    ({"RCPT": "550 5.1.10 RESOLVER.ADR.RecipientNotFound"}, Unreachable, {}),
    ({"RCPT": "550 5.2.1 mailbox disabled"}, Unreachable, {}),
    ({"RCPT": "550 5.4.1 Recipient address rejected: Access denied."}, Unreachable, {}),
    ({"RCPT": "550 No such user here"}, Unreachable, {"provider_code": "550"}),
    ({"RCPT": "550 5.5.0 Requested action not taken: mailbox unavailable"}, Unreachable, {}),
    ({"RCPT": "550 go away"}, Refused, {"provider_code": "550"}),
    ({"RCPT": "552 5.2.2 mailbox full"}, Refused, {"provider_code": "5.2.2"}),
    ({"RCPT": "554 5.7.1 <ayse@example.com>: Relay access denied"}, Misconfigured, {}),
    ({"RCPT": "550 5.7.1 blocked using zen.example.org; user unknown"}, Refused, {"provider_code": "5.7.1"}),
    ({"RCPT": "554 your IP is listed, no such user policy"}, Refused, {"provider_code": "554"}),
    ({"RCPT": None}, Retry, {}),
    ({"DATA": "451 4.3.0 out of space"}, Retry, {"after": MINUTE, "whole_channel": False}),
    ({"DATA": "421 4.3.0 closing"}, Retry, {"whole_channel": True}),
    ({"DATA": "552 message size exceeds limit"}, Refused, {"provider_code": FILE_TOO_BIG}),
    ({"DATA": "550 5.7.515 Access denied, sending domain does not pass"}, Refused, {"provider_code": "5.7.515"}),
    ({"DATA": "550 5.7.26 unauthenticated"}, Refused, {"provider_code": "5.7.26"}),
    ({"DATA": "550 5.1.8 bad outbound sender"}, Misconfigured, {}),
    ({"DATA": "550 5.1.1 no such user"}, Refused, {"provider_code": "5.1.1"}),  # two recipients: which of them?
    ({"DATA": "554 5.6.0 bad content"}, Refused, {"provider_code": "5.6.0"}),
    ({"DATA": "554 transaction failed"}, Refused, {"provider_code": "554"}),
]


@pytest.mark.parametrize(("says", "kind", "told"), ROWS, ids=[str(says)[1:40] for says, _, _ in ROWS])
async def test_every_refusal_has_its_meaning(
    says: dict[str, str | None], kind: type[SendFailed], told: dict[str, Any]
) -> None:
    async with office(says) as post, sending(at(post.port)) as smtp:
        with pytest.raises(SendFailed) as failed:
            await smtp.send(mail())
        assert type(failed.value) is kind
        for name, expected in told.items():
            assert getattr(failed.value, name) == expected
        assert failed.value.detail


async def test_the_only_recipient_is_meant_when_the_text_is_refused() -> None:
    says: dict[str, str | None] = {"DATA": "554 delivery error: This user doesn't have a mail.example account"}
    async with office(says) as post, sending(at(post.port)) as smtp:
        with pytest.raises(Unreachable):
            await smtp.send(mail(context={}))


@pytest.mark.parametrize("stage", Stage)
def test_no_code_is_without_meaning_and_none_silences_a_customer_unsaid(stage: Stage) -> None:
    for code in range(400, 600):
        failure = outcome(stage, code, "\x1b[31m" + "x" * 5000)
        assert isinstance(failure, Retry if code < 500 else Refused)
        assert not isinstance(failure, Unreachable)
        assert len(failure.detail) < 400
        assert failure.detail.isprintable()


@pytest.mark.parametrize(
    ("answers", "kind", "words"),
    [
        ({"greeting": "421 4.7.0 too many connections"}, Retry, "wait"),
        ({"greeting": "554 5.7.1 your IP is blocked"}, Misconfigured, "refuses to talk to us"),
        ({"greeting": "hello"}, Retry, "means nothing"),
        ({"greeting": ""}, Retry, "cannot be reached"),
        ({"EHLO": "550 no", "HELO": "550 no"}, Misconfigured, "refuses to talk to us"),
        ({"EHLO": "421 busy"}, Retry, "wait"),
        ({"MAIL": "250-never ends\r\nxyz"}, Retry, ""),
        ({"MAIL": "354 what"}, Retry, "means nothing"),
        ({"DATA": "250 no, thanks"}, Retry, "means nothing"),
        ({"DATA": "554 5.5.1 no valid recipients"}, Refused, "refuses this mail"),
        ({"DATA": ""}, Retry, "closed the line before"),
    ],
)
async def test_a_server_that_talks_nonsense_has_not_taken_the_mail(
    answers: dict[str, str], kind: type[SendFailed], words: str
) -> None:
    async with scripted(rude(**answers)) as port, sending(at(port)) as smtp:
        with pytest.raises(SendFailed) as failed:
            await smtp.send(mail())
        assert type(failed.value) is kind
        assert words in failed.value.detail


async def test_a_server_that_knows_only_helo_is_sent_to() -> None:
    async with scripted(rude(EHLO="502 what", DATA="354 go")) as port, sending(at(port)) as smtp:
        assert await smtp.send(mail()) == mail().message_id


async def test_nobody_there_is_no_refusal() -> None:
    async with scripted(rude()) as port:
        pass
    async with sending(at(port)) as smtp:
        with pytest.raises(Retry) as failed:
            await smtp.send(mail())
        assert failed.value.whole_channel
        assert "nothing listens" in failed.value.detail


# --- the final dot


@pytest.mark.parametrize("answers", [{"dot": ""}, {"dot": "hello?"}, {"dot": "354 more"}])
async def test_without_a_clear_answer_to_the_dot_it_may_have_been_sent(answers: dict[str, str]) -> None:
    async with scripted(rude(DATA="354 go", **answers)) as port, sending(at(port)) as smtp:
        with pytest.raises(InDoubt):
            await smtp.send(mail())


async def test_silence_after_the_dot_is_a_doubt_and_before_it_is_none() -> None:
    async with office() as post, sending(at(post.port), patience=0.05) as smtp:
        post.go_on = asyncio.Event()
        with pytest.raises(InDoubt) as doubt:
            await smtp.send(mail())
        assert "has not said" in doubt.value.detail
        assert len(post.mails) == 1

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.read(1 << 20)
        await reader.read(1 << 20)

    async with scripted(deaf) as port, sending(at(port), seconds=0.05) as smtp:
        with pytest.raises(Retry):
            await smtp.send(mail())


async def test_a_server_that_hangs_up_in_the_middle_has_not_taken_the_mail() -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        for answer in (b"250 OK", b"250 OK", b"250 OK", b"250 OK", b"354 go"):
            await reader.readline()
            writer.write(answer + b"\r\n")
        await reader.readexactly(1000)
        writer.transport.abort()

    file = Attachment(media_type="video/mp4", filename="a.mp4", data=bytes(8 << 20))
    async with scripted(hangs_up) as port, sending(at(port)) as smtp:
        with pytest.raises(Retry):
            await smtp.send(mail(attachment=file))


async def test_a_server_that_refuses_in_the_middle_is_heard() -> None:
    heard = asyncio.Event()

    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        for answer in (b"250 OK", b"250 OK", b"250 OK", b"250 OK", b"354 go"):
            await reader.readline()
            writer.write(answer + b"\r\n")
        await reader.readexactly(1000)
        writer.write(b"552 5.3.4 that is too much\r\n")
        await heard.wait()  # and reads nothing more

    file = Attachment(media_type="video/mp4", filename="a.mp4", data=bytes(24 << 20))
    async with scripted(refuses) as port, sending(at(port)) as smtp:
        with pytest.raises(Refused) as refused:
            await smtp.send(mail(attachment=file))
        heard.set()
        assert refused.value.provider_code == FILE_TOO_BIG


async def test_a_send_that_is_cancelled_leaves_no_line_behind() -> None:
    async with office() as post, sending(at(post.port)) as smtp:
        post.go_on = asyncio.Event()
        send = asyncio.create_task(smtp.send(mail()))
        await post.busy.wait()
        send.cancel()
        with pytest.raises(asyncio.CancelledError):
            await send
        await until(lambda: post.talks[0].transport is None)


# --- logging in, and who could read along


async def test_a_password_is_tried_once() -> None:
    async with office(login=True) as post, sending(at(post.port, login=True)) as smtp:
        await smtp.send(mail())
        await smtp.send(mail())
        assert post.logins == ["PLAIN"]
    async with office({"AUTH": "535 5.7.8 no"}, login=True) as post, sending(at(post.port, login=True)) as smtp:
        with pytest.raises(Misconfigured):
            await smtp.send(mail())
        assert len(post.logins) == 1, "after a few attempts a mailbox is locked"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ("535 5.7.8 Username and Password not accepted", Misconfigured, "app password"),
        ("534 5.7.9 Application-specific password required", Misconfigured, "app password"),
        ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", Misconfigured, "xoauth2"),
        ("535 5.7.139 SmtpClientAuthentication is disabled for the Tenant", Misconfigured, "Microsoft 365"),
        ("530 5.7.0 Must issue a STARTTLS command first", Misconfigured, "encrypted"),
        ("538 5.7.11 Encryption required", Misconfigured, "encrypted"),
        ("504 5.5.4 Unrecognized authentication type", Misconfigured, "?auth="),
        (f"535 5.7.8 wrong: {PASSWORD}", Misconfigured, "does not accept"),
        ("454 4.7.0 Temporary authentication failure", Retry, "for now"),
        ("421 4.7.0 Too many login attempts", Retry, "for now"),
    ],
)
async def test_a_failed_login_says_what_to_do(answer: str, kind: type[SendFailed], words: str) -> None:
    async with office({"AUTH": answer}, login=True) as post, sending(at(post.port, login=True)) as smtp:
        with pytest.raises(SendFailed) as failed:
            await smtp.send(mail())
        assert type(failed.value) is kind
        assert words in failed.value.detail
        shown = "".join(traceback.format_exception(failed.value))
        assert PASSWORD not in shown
        assert base64.b64encode(f"\0support@kumbara.example\0{PASSWORD}".encode()).decode() not in shown


async def test_a_token_takes_the_place_of_a_password() -> None:
    tokens = iter(["secret-1", "secret-2"])

    async def token() -> str:
        return next(tokens)

    account = Account.from_url("smtp://support%40kumbara.example@127.0.0.1:1?auth=xoauth2")
    async with office(login=True) as post, sending(replace(account, port=post.port), token=token) as smtp:
        await smtp.send(mail())
        assert post.logins == ["user=support@kumbara.example\x01auth=Bearer secret-1\x01\x01"]
    says: dict[str, str | None] = {"AUTH": "535 5.7.3 Authentication unsuccessful"}
    async with office(says, login=True) as post, sending(replace(account, port=post.port), token=token) as smtp:
        with pytest.raises(Misconfigured) as failed:
            await smtp.send(mail())
        assert "secret-2" not in "".join(traceback.format_exception(failed.value))
    with pytest.raises(ValueError, match="tokens"):
        Smtp(account)


async def test_a_token_that_cannot_be_had_is_told_as_it_is() -> None:
    async def token() -> str:
        raise Retry("the token server is away", whole_channel=True)

    account = Account.from_url("smtp://support%40kumbara.example@127.0.0.1:1?auth=xoauth2")
    async with office(login=True) as post, sending(replace(account, port=post.port), token=token) as smtp:
        with pytest.raises(Retry, match="token server"):
            await smtp.send(mail())
        await until(lambda: post.talks[0].transport is None)


async def test_the_line_is_encrypted_where_the_server_can(papers: Papers) -> None:
    async with (
        office(starttls=papers.server, login=True) as post,
        sending(at(post.port, login=True, host="localhost"), tls=papers.trusting) as smtp,
    ):
        await smtp.send(mail())
        assert post.talks[0].session is not None
        assert post.talks[0].session.ssl is not None
        assert len(post.mails) == 1


async def test_a_server_on_our_own_network_may_have_papers_nobody_signed(papers: Papers) -> None:
    async with office(starttls=papers.server) as post, sending(at(post.port)) as smtp:
        await smtp.send(mail())
        assert post.talks[0].session is not None
        assert post.talks[0].session.ssl is not None


async def test_whoever_takes_encryption_away_gets_neither_password_nor_mail() -> None:
    # 127.1 is this machine too, but not by a name that would say so.
    account = at(1, login=True, host="127.1")
    assert not account.private
    async with office(login=True) as post, sending(replace(account, port=post.port)) as smtp:
        with pytest.raises(Misconfigured, match="encryption"):
            await smtp.send(mail())
        assert post.logins == []
        assert post.mails == []


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
async def test_papers_that_do_not_hold_end_the_talk(papers: Papers, scheme: str) -> None:
    tls = {"tls": papers.server} if scheme == "smtps" else {"starttls": papers.server}
    async with office(**tls, login=True) as post:  # type: ignore[arg-type]
        account = at(post.port, login=True, scheme=scheme)
        async with sending(account, tls=papers.trusting) as smtp:  # made out to localhost, not to an IP address
            with pytest.raises(Misconfigured, match="certificate"):
                await smtp.send(mail())
        async with sending(replace(account, host="localhost"), tls=ssl.create_default_context()) as smtp:
            with pytest.raises(Misconfigured, match="certificate"):
                await smtp.send(mail())
        assert post.logins == []


async def test_tls_from_the_first_byte(papers: Papers) -> None:
    async with office(tls=papers.server, login=True) as post:
        account = at(post.port, login=True, host="localhost", scheme="smtps")
        async with sending(account, tls=papers.trusting) as smtp:
            await smtp.send(mail(attachment=Attachment(media_type="a/b", filename="a", data=bytes(1 << 20))))
            assert len(post.mails) == 1
    async with office() as post, sending(at(post.port, scheme="smtps")) as smtp:
        with pytest.raises(Misconfigured, match="does not speak TLS"):
            await smtp.send(mail())


async def test_a_server_that_cannot_encrypt_just_now_is_asked_again() -> None:
    answers = {"EHLO": "250-me\r\n250 STARTTLS", "STARTTLS": "454 4.3.0 TLS not available"}
    async with scripted(rude(**answers)) as port, sending(at(port)) as smtp:
        with pytest.raises(Retry):
            await smtp.send(mail())


# --- the check of a set-up


async def test_the_check_says_what_is_right_and_sends_nothing(papers: Papers) -> None:
    async with (
        office(starttls=papers.server, login=True) as post,
        sending(at(post.port, login=True, host="localhost"), tls=papers.trusting) as smtp,
    ):
        (finding,) = await smtp.check()
        assert finding.ok
        assert finding.what == "localhost takes mail from support@kumbara.example, up to 32 MB."
        assert post.mails == []


async def test_the_check_says_what_to_do() -> None:
    async with office({"AUTH": "535 5.7.8 no"}, login=True) as post, sending(at(post.port, login=True)) as smtp:
        (finding,) = await smtp.check()
        assert not finding.ok
        assert "app password" in finding.what
        assert "`smtp`" in finding.fix
    async with office() as post, sending(at(post.port)) as smtp:
        assert [finding.ok for finding in await smtp.check()] == [True, True]
        await until(lambda: post.talks[0].transport is None)
    async with sending(at(post.port)) as smtp:
        (finding,) = await smtp.check()
        assert not finding.ok


# --- accounts


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtps://smtp.example.com", Account(host="smtp.example.com", port=465)),
        ("smtp://smtp.example.com", Account(host="smtp.example.com", port=587, tls=False)),
        (
            "smtps://a%40b.example:p%2Fs%3As@smtp.example.com:4650",
            Account(host="smtp.example.com", port=4650, user="a@b.example", password="p/s:s"),
        ),
        (
            "smtp://a@b.example@smtp.example.com?auth=xoauth2",
            Account(host="smtp.example.com", port=587, tls=False, user="a@b.example", xoauth2=True),
        ),
    ],
)
def test_an_account_is_a_url(url: str, expected: Account) -> None:
    assert Account.from_url(url) == expected
    assert "p/s" not in repr(Account.from_url(url))


@pytest.mark.parametrize(
    "url",
    [
        *("smtps://u:hemmelig/x@smtp.example.com", "smtps://u:hemmelig#x@smtp.example.com", "smtps://u:hemmelig?x@h"),
        *("smtps://u:hemmelig@h:99999", "smtps://u:hemmelig@[", "imaps://u:hemmelig@h", "smtps://u:hemmelig@h/path"),
        *(
            "smtps://u:hemmelig@h?auth=magic",
            "smtps://:hemmelig@h",
            "smtps://u@h",
            "smtps://",
            "",
            "smtp://h?auth=xoauth2",
        ),
        f"smtps://u:hemmelig@{'x' * 70}.example",
    ],
)
def test_what_is_no_account_is_said_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"smtp") as wrong:
        Account.from_url(url)
    assert "hemmelig" not in "".join(traceback.format_exception(wrong.value))


@pytest.mark.parametrize(
    ("host", "private"),
    [
        *(("localhost", True), ("127.0.0.1", True), ("10.1.2.3", True), ("[::1]", True), ("postfix", True)),
        *(("mail.local", True), ("smtp.gmail.com", False), ("8.8.8.8", False), ("127.1", False)),
    ],
)
def test_who_is_our_own_network(host: str, private: bool) -> None:
    assert Account.from_url(f"smtp://{host}").private is private


@pytest.mark.parametrize(
    ("host", "answer", "expected"),
    [
        (
            "email-smtp.us-east-1.amazonaws.com",
            "Ok 0100018f2a3b4c5d-1234abcd-12ab-34cd-56ef-1234567890ab-000000",
            "<0100018f2a3b4c5d-1234abcd-12ab-34cd-56ef-1234567890ab-000000@email.amazonses.com>",
        ),
        (
            "email-smtp.eu-central-1.amazonaws.com",
            "Ok 0107018f2a3b4c5d-1234abcd-12ab-34cd-56ef-1234567890ab-000000",
            "<0107018f2a3b4c5d-1234abcd-12ab-34cd-56ef-1234567890ab-000000@eu-central-1.amazonses.com>",
        ),
        ("smtp.example.com", "Ok 0107018f2a3b4c5d-1234abcd-12ab-34cd-56ef-1234567890ab-000000", ""),
        ("email-smtp.eu-central-1.amazonaws.com", "2.0.0 queued as 4711", ""),
    ],
)
def test_amazon_renames_our_mails(host: str, answer: str, expected: str) -> None:
    assert alias(host, answer) == expected


# --- DKIM


@pytest.fixture(scope="module")
def rsa_key() -> str:
    return pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def pem(key: Any) -> str:
    raw: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return raw.decode()


def verified(raw: bytes, signer: Signer) -> bool:
    """What an independent receiver says, with our record in its DNS."""
    names: list[bytes] = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        names.append(name)
        return signer.record.encode()

    good: bool = dkim.verify(raw, dnsfunc=dns)
    assert names == [b"s1._domainkey.kumbara.example."]
    return good


async def test_a_signed_mail_is_believed_by_its_receiver(rsa_key: str) -> None:
    signer = Signer("Kumbara.example", "s1", rsa_key)
    async with office() as post, sending(at(post.port), signer=signer) as smtp:
        await smtp.send(mail("Merhaba  dünya \n\n.\n\n", attachment=Attachment(media_type="", data=b"x")))
        raw = post.mails[0].content
        assert isinstance(raw, bytes)
        assert verified(raw, signer)
        assert not verified(raw.replace(b"=C3=BCnya", b"=C3=B6nya"), signer)
        assert not verified(raw.replace(b"Subject: ", b"Subject: Not "), signer)
        assert not verified(b"From: evil@example.com\r\n" + raw, signer), "a second From on top"
        folded = raw.replace(b"MIME-Version: 1.0", b"MIME-Version:\r\n   1.0 ")
        assert verified(folded, signer), "relays may refold"


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n", b" \r\n", b"a", b"a \t b \r\n \r\n\r\n", b"\ta\r\n"])
def test_bodies_of_any_end_are_hashed_as_receivers_do(body: bytes, rsa_key: str) -> None:
    signer = Signer("kumbara.example", "s1", rsa_key)
    raw = b"From: support@kumbara.example\r\nSubject:  a \r\n  b\r\n\r\n" + body
    assert verified(signer.sign(raw, AT), signer)


def test_of_repeated_fields_the_lowest_is_signed_first(rsa_key: str) -> None:
    signer = Signer("kumbara.example", "s1", rsa_key)
    raw = b"Subject: a\r\nFrom: support@kumbara.example\r\nSubject: b\r\n\r\n"
    assert verified(signer.sign(raw, AT), signer)


@pytest.mark.parametrize("written", [pem, lambda key: base64.b64encode(key.private_bytes_raw()).decode()])
def test_ed25519_signs_what_rfc_8463_says(written: Callable[[ed25519.Ed25519PrivateKey], str]) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    signer = Signer("kumbara.example", "s1", written(key))
    raw = signer.sign(mail().raw, AT)
    header, _, body = raw.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", header)
    found = dict(tag.strip().split(b"=", 1) for tag in fields[0].partition(b":")[2].replace(b"\r\n", b"").split(b";"))
    assert found[b"a"] == b"ed25519-sha256"
    assert found[b"bh"] == base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
    names = found[b"h"].split(b":")
    assert names.count(b"from") == 2
    assert names[-1] == b"from", "once more than it occurs"
    there = [relaxed_field(one) for name in names[:-1] for one in fields[1:] if one.lower().startswith(name + b":")]
    signed = b"".join(one + b"\r\n" for one in there) + relaxed_field(fields[0].rpartition(b" b=")[0] + b" b=")
    key.public_key().verify(base64.b64decode(found[b"b"]), hashlib.sha256(signed).digest())
    with pytest.raises(InvalidSignature):
        key.public_key().verify(base64.b64decode(found[b"b"]), hashlib.sha256(signed + b"x").digest())
    assert signer.record.startswith("v=DKIM1; k=ed25519; p=")


@contextmanager
def refusing(words: str) -> Iterator[None]:
    with pytest.raises(ValueError, match=words) as wrong:
        yield
    assert "BEGIN" not in "".join(traceback.format_exception(wrong.value))


def test_a_key_that_cannot_sign_is_told_at_start(rsa_key: str) -> None:
    with refusing("cannot be read"):
        Signer("kumbara.example", "s1", "nonsense")
    with refusing("cannot be read"):
        Signer("kumbara.example", "s1", rsa_key[:200])
    with refusing("neither RSA nor Ed25519"):
        Signer("kumbara.example", "s1", pem(ec.generate_private_key(ec.SECP256R1())))
    locked = rsa.generate_private_key(public_exponent=65537, key_size=1024).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    with refusing("locked"):
        Signer("kumbara.example", "s1", locked.decode())
    with refusing("domain"):
        Signer("kumbara.example; d=evil", "s1", rsa_key)
    with refusing("selector"):
        Signer("kumbara.example", "", rsa_key)
    signer = Signer("kumbara.example", "s1", rsa_key.replace("\n", "\\n"))
    assert "PRIVATE" not in repr(signer) + str(vars(signer))
    assert signer.record.startswith("v=DKIM1; k=rsa; p=")


def test_texts_for_people_are_whole_sentences() -> None:
    for name, text in vars(lines).items():
        if name.isupper() and isinstance(text, str) and name != "FILE_TOO_BIG":
            assert text.endswith("."), name
