"""The mail world as programs and people meet it: over IMAP and SMTP with other people's clients, and line by line."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import email
import imaplib
import re
import smtplib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, TypeVar

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from imap_tools import MailboxLoginError, MailBoxUnencrypted

from sandbox.mail import Fate, World, application
from sandbox.mail.clients import LANGUAGES, PROGRAMS
from sandbox.mail.commands import BadCommand, numbers, tokens, within
from sandbox.mail.reading import look, parted
from sandbox.mail.values import from_utf7, to_utf7
from tests.world import eventually

SHOP, PASSWORD = "support@kumbara.example", "p@ss:w/rd"
AYSE, JONAS = "ayse@posta.example", "jonas@brief.example"

T = TypeVar("T")


@pytest_asyncio.fixture
async def mail() -> AsyncIterator[World]:
    world = World()
    world.add_account(SHOP, name="Kumbara", password=PASSWORD, aliases=["sales@kumbara.example"], tokens=["ya29.right"])
    world.add_account(AYSE, name="Ayşe Yılmaz", client="gmail", language="tr", signature="Ayşe Yılmaz\nİzmir")
    world.add_account(JONAS, name="Jonas Weber", client="outlook", language="de")
    await world.start()
    yield world
    await world.close()


# --- programs


async def imap(world: World, act: Callable[[MailBoxUnencrypted], T]) -> T:
    """Do something with imap-tools, which is what Santral reads with."""

    def run() -> T:
        with MailBoxUnencrypted("127.0.0.1", world.imap_port, timeout=10).login(SHOP, PASSWORD) as box:
            return act(box)

    return await asyncio.to_thread(run)


def draft(*, to: str = AYSE, sender: str = f"Kumbara <{SHOP}>", text: str = "Yolda!\n") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, "Re: Sipariş"
    message["Message-ID"] = "<1@kumbara.example>"
    message.set_content(text, cte="quoted-printable")
    return message


async def submit(world: World, message: EmailMessage | bytes, *, to: str = AYSE, sender: str = SHOP) -> dict[str, Any]:
    """Hand in a mail with the standard library's client; what it reports of refused recipients."""

    def run() -> dict[str, Any]:
        with smtplib.SMTP("127.0.0.1", world.smtp_port, timeout=10) as server:
            server.login(SHOP, PASSWORD)
            if isinstance(message, bytes):
                return server.sendmail(sender, [to], message)
            return server.send_message(message, sender, [to])

    return await asyncio.to_thread(run)


async def refused(world: World, message: EmailMessage | bytes, **more: str) -> tuple[int, str]:
    with pytest.raises(smtplib.SMTPException) as caught:
        await submit(world, message, **more)
    error = caught.value
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        ((code, words),) = error.recipients.values()
    else:
        assert isinstance(error, smtplib.SMTPResponseException)
        code, words = error.smtp_code, error.smtp_error  # type: ignore[assignment] # the stubs know no text here
    return code, words.decode() if isinstance(words, bytes) else words


@dataclass(slots=True)
class Line:
    """A connection to a server, spoken by hand."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def says(self) -> str:
        return (await asyncio.wait_for(self.reader.readline(), 10)).decode().rstrip("\r\n")

    async def ask(self, command: str, tag: str = "a") -> list[str]:
        """Write a command and read to its tagged end, or to the end of the line."""
        self.writer.write(f"{tag} {command}\r\n".encode())
        said: list[str] = []
        while not said or not (said[-1].startswith((f"{tag} ", "+ ")) or self.reader.at_eof()):
            said.append(await self.says())
        return said


@pytest_asyncio.fixture
async def line(mail: World) -> AsyncIterator[Line]:
    """An IMAP connection, greeted and not logged in."""
    made = Line(*await asyncio.open_connection("127.0.0.1", mail.imap_port))
    assert (await made.says()).startswith("* OK [CAPABILITY IMAP4rev1 ")
    yield made
    made.writer.close()


async def entered(line: Line) -> Line:
    assert (await line.ask(f'LOGIN {SHOP} "{PASSWORD}"'))[-1].startswith("a OK")
    assert (await line.ask("SELECT INBOX"))[-1].startswith("a OK [READ-WRITE]")
    return line


# --- IMAP


async def test_a_mail_is_read_as_it_was_delivered_and_stays_unseen(mail: World) -> None:
    mail.deliver(AYSE, SHOP, "Siparişim", "Nerede?")
    (found,) = await imap(mail, lambda box: list(box.fetch(mark_seen=False)))
    assert (found.uid, found.subject, found.from_, found.flags) == ("1", "Siparişim", AYSE, ())
    (stored,) = mail.account(SHOP).folder("INBOX").mails.values()
    assert stored.raw.startswith(b"Return-Path: <ayse@posta.example>\r\nDelivered-To: support@kumbara.example\r\n")
    assert found.size_rfc822 == len(stored.raw)
    assert stored.flags == set()


async def test_a_search_from_beyond_the_end_gives_the_last_mail(mail: World) -> None:
    for number in range(3):
        mail.deliver(AYSE, SHOP, f"Nr. {number}", "…")
    assert await imap(mail, lambda box: box.uids("UID 4:*")) == ["3"]
    assert await imap(mail, lambda box: box.uids("UID 2:*")) == ["2", "3"]
    assert await imap(mail, lambda box: box.uids("SINCE 1-Jan-2020 UNSEEN")) == ["1", "2", "3"]
    assert await imap(mail, lambda box: box.uids("SINCE 1-Jan-2099")) == []
    wanted = look(mail.account(AYSE).folder("Sent").mails[2].raw).message_id
    assert await imap(mail, lambda box: box.uids(f'HEADER Message-ID "{wanted}"')) == ["2"]
    assert await imap(mail, lambda box: box.uids('OR SUBJECT "nr. 0" NOT UID 1:2')) == ["1", "3"]


async def test_folders_have_uses_and_names_in_modified_utf7(mail: World) -> None:
    def act(box: MailBoxUnencrypted) -> dict[str, tuple[str, ...]]:
        box.folder.create("Müşteri & Co")
        return {folder.name: folder.flags for folder in box.folder.list()}

    found = await imap(mail, act)
    assert list(found) == ["INBOX", "Sent", "Junk", "Müşteri & Co"]
    assert "\\Junk" in found["Junk"]
    assert "\\Sent" in found["Sent"]


async def test_idle_pushes_at_once_what_comes_and_ends_on_done(mail: World, line: Line) -> None:
    await entered(line)
    assert await line.ask("IDLE") == ["+ idling"]
    await eventually(lambda: mail.idlers(SHOP) == 1)
    mail.deliver(AYSE, SHOP, "Merhaba", "…")
    assert await line.says() == "* 1 EXISTS"
    mail.deliver(AYSE, SHOP, "Merhaba", "…")
    assert await line.says() == "* 2 EXISTS"
    line.writer.write(b"DONE\r\n")
    assert await line.says() == "a OK IDLE terminated"
    assert mail.idlers(SHOP) == 0


async def test_what_is_not_allowed_yet_is_refused(mail: World, line: Line) -> None:
    for command in ("SELECT INBOX", "IDLE", 'LIST "" *', "APPEND INBOX {1+}\r\nx"):
        assert (await line.ask(command))[-1] == "a BAD not authenticated", command
    assert (await line.ask("UID FETCH 1 BODY.PEEK[]"))[-1].startswith("a BAD")
    assert (await line.ask(f"LOGIN {SHOP} wrong"))[-1] == "a NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"
    await line.ask(f'LOGIN {SHOP} "{PASSWORD}"')
    assert (await line.ask(f'LOGIN {SHOP} "{PASSWORD}"'))[-1] == "a BAD already authenticated"
    assert (await line.ask("FETCH 1 FLAGS"))[-1] == "a BAD no mailbox is selected"
    assert (await line.ask("SELECT Nowhere"))[-1].startswith("a NO [NONEXISTENT]")
    assert (await line.ask("SELECT M&uml;ll"))[-1].startswith("a NO")
    await line.ask("EXAMINE INBOX")
    assert (await line.ask("STORE 1:* +FLAGS (\\Seen)"))[-1].startswith("a NO [READ-ONLY]")
    assert (await line.ask("FETCH 1 FLAGS"))[-1] == "a BAD no such message number"
    for broken in ("FETCH 1 (FLAGS", "FETCH x FLAGS", "UID SEARCH", "UID NOOP", "XYZ", "FETCH 1 BODYSTRUCTURE"):
        assert (await line.ask(broken))[-1].startswith("a BAD"), broken
    assert [said[:5] for said in await line.ask("LOGOUT")] == ["* BYE", "a OK "]
    assert await line.says() == ""


async def test_oauth_tokens_open_the_mailbox_and_wrong_ones_are_explained(mail: World, line: Line) -> None:
    def sasl(token: str) -> str:
        return base64.b64encode(f"user={SHOP}\x01auth=Bearer {token}\x01\x01".encode()).decode()

    (challenge,) = await line.ask(f"AUTHENTICATE XOAUTH2 {sasl('ya29.old')}")
    assert b'"status"' in base64.b64decode(challenge.removeprefix("+ "))
    line.writer.write(b"\r\n")
    assert (await line.says()).startswith("a NO [AUTHENTICATIONFAILED]")
    assert (await line.ask(f"AUTHENTICATE XOAUTH2 {sasl('ya29.right')}"))[-1].startswith("a OK")


async def test_parts_partial_reads_and_flags(mail: World, line: Line) -> None:
    mail.deliver(AYSE, SHOP, "Order", "Hello")
    stored = mail.account(SHOP).folder("INBOX").mails[1]
    await entered(line)
    said = await line.ask("UID FETCH 1 (BODY.PEEK[]<0.12>)")
    assert said[:2] == ["* 1 FETCH (UID 1 BODY[]<0> {12}", "Return-Path:)"]
    said = await line.ask("UID FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT X-NONE)])")
    assert said[1:3] == ["Subject: Order", ""]
    assert stored.flags == set()
    assert "FLAGS (\\Seen)" in "".join(await line.ask("UID FETCH 1 BODY[TEXT]"))
    assert await line.ask("UID STORE 1 +FLAGS (\\Deleted)") == [
        "* 1 FETCH (UID 1 FLAGS (\\Deleted \\Seen))",
        "a OK done",
    ]
    assert await line.ask("EXPUNGE") == ["* 1 EXPUNGE", "a OK done"]
    assert not mail.account(SHOP).folder("INBOX").mails


async def test_a_mail_with_everything_that_confuses_clients_comes_back_byte_for_byte(mail: World) -> None:
    hostile = b'Subject: x\r\n\r\n)\r\n{5}\r\na OK FETCH completed\r\n* 9 EXISTS\r\n\xff\xfe "\\ \r\n.\r\n' * 50

    def act(box: MailBoxUnencrypted) -> bytes:
        box.append(hostile, "Junk")
        box.folder.set("Junk")
        box.move(box.uids(), "INBOX")
        box.folder.set("INBOX")
        kind, data = box.client.uid("FETCH", "1:*", "(BODY.PEEK[])")
        assert kind == "OK"
        return bytes(data[0][1])

    assert await imap(mail, act) == hostile
    assert not mail.account(SHOP).folder("Junk").mails


async def test_a_new_uidvalidity_ends_open_connections_and_keeps_the_mails(mail: World, line: Line) -> None:
    mail.deliver(AYSE, SHOP, "1", "…")
    mail.account(SHOP).folder("INBOX").mails.clear()
    mail.deliver(AYSE, SHOP, "2", "…")
    await entered(line)
    before = mail.account(SHOP).folder("INBOX").validity
    after = mail.renew(SHOP)
    assert after > before
    assert (await line.ask("NOOP"))[-1].startswith("a OK")
    assert (await line.says()).startswith("* BYE")
    status = await imap(mail, lambda box: box.folder.status("INBOX"))
    assert (status["UIDVALIDITY"], status["UIDNEXT"], status["MESSAGES"]) == (after, 2, 1)


@pytest.mark.parametrize(
    ("rule", "meets"),
    [
        ({"match": "imap.connect", "action": "down"}, "Too many connections"),
        ({"match": "imap.login", "action": "status", "body": "[ALERT] Web login required"}, "Web login required"),
        ({"match": "imap.login", "action": "ratelimit"}, "bandwidth limits"),
        ({"match": "imap.uid-search", "action": "drop_before"}, "reset|EOF|broken"),
        ({"match": "imap.uid-search", "action": "drop_after"}, "reset|EOF|broken"),
        ({"match": "imap.select", "action": "down"}, "Server shutting down"),
    ],
)
async def test_trouble_on_request(mail: World, rule: dict[str, Any], meets: str) -> None:
    mail.troubles.add([{**rule, "times": 1}])
    with pytest.raises((MailboxLoginError, OSError, imaplib.IMAP4.error)) as caught:
        await imap(mail, lambda box: box.uids())
    assert re.search(meets, str(caught.value), re.I)
    assert await imap(mail, lambda box: box.uids()) == []


async def test_trouble_while_idling(mail: World, line: Line) -> None:
    await entered(line)
    await line.ask("IDLE")
    await eventually(lambda: mail.idlers(SHOP) == 1)
    assert mail.bye(SHOP, "Session expired") == 1
    assert await line.says() == "* BYE Session expired"
    assert await line.says() == ""
    await eventually(lambda: mail.idlers(SHOP) == 0)
    dead = Line(*await asyncio.open_connection("127.0.0.1", mail.imap_port))
    await dead.says()
    await entered(dead)
    await dead.ask("IDLE")
    await eventually(lambda: mail.idlers(SHOP) == 1)
    mail.troubles.add([{"match": "imap.push", "action": "hang", "seconds": 60, "times": 1}])
    mail.deliver(AYSE, SHOP, "nobody hears of it", "…")
    await eventually(lambda: mail.troubles.plain()[0]["fired"] == 1)
    dead.writer.write(b"DONE\r\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(dead.reader.readline(), 0.2)
    mail.troubles.clear()
    with pytest.raises((ConnectionError, AssertionError)):
        assert await dead.says(), "the line was cut"


async def test_without_idle_it_is_neither_offered_nor_taken(mail: World, line: Line) -> None:
    mail.change_settings({"idle": False})
    assert "IDLE" not in (await line.ask("CAPABILITY"))[0]
    await entered(line)
    assert (await line.ask("IDLE"))[-1] == "a BAD IDLE is not known"


async def test_an_account_has_only_so_many_connections(mail: World, line: Line) -> None:
    mail.change_settings({"connections": 1})
    await entered(line)
    with pytest.raises(MailboxLoginError, match="simultaneous"):
        await imap(mail, lambda box: None)


@given(st.text())
def test_folder_names_survive_the_wire(name: str) -> None:
    try:
        name.encode("utf-16-be")
    except UnicodeEncodeError:
        return  # half a character, which no folder has
    coded = to_utf7(name)
    assert coded.isascii()
    assert from_utf7(coded) == name


@given(st.text(alphabet='ab ()"\\[]<>*:,\x00{', max_size=60))
def test_no_command_line_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(BadCommand):
        tokens(text.replace("\x00", ""), [])


@given(st.integers(1, 50), st.integers(1, 50))
def test_a_set_that_ends_in_a_star_always_holds_the_last(start: int, last: int) -> None:
    assert within(last, numbers(f"{start}:*", last))


# --- SMTP


async def test_what_is_handed_in_reaches_the_customer_and_our_sent_folder(mail: World) -> None:
    await submit(mail, draft())
    (got,) = mail.inbox(AYSE)
    assert (got.subject, got.own, got.sender_address) == ("Re: Sipariş", "Yolda!", SHOP)
    assert "dmarc=pass" in got.header("Authentication-Results")
    (sent,) = mail.sent
    assert (sent.mail_from, sent.recipients) == (SHOP, (AYSE,))
    assert await imap(
        mail, lambda box: (box.folder.set("Sent"), box.uids('HEADER Message-ID "<1@kumbara.example>"'))[1]
    )


async def test_only_own_addresses_may_be_the_sender(mail: World) -> None:
    await submit(mail, draft(sender="sales@kumbara.example"), sender="support+bounce.1@kumbara.example")
    assert (await refused(mail, draft(sender=AYSE)))[0] == 553
    assert (await refused(mail, draft(), sender=AYSE))[0] == 553
    two = draft()
    del two["From"]
    two["From"] = f"{SHOP}, {AYSE}"
    assert (await refused(mail, two))[0] == 550
    assert len(mail.sent) == 1


async def test_nobody_sends_without_logging_in(mail: World) -> None:
    def run(password: str | None) -> None:
        with smtplib.SMTP("127.0.0.1", mail.smtp_port, timeout=10) as server:
            if password is not None:
                server.login(SHOP, password)
            server.sendmail(SHOP, [AYSE], b"Subject: x\r\n\r\nx\r\n")

    with pytest.raises(smtplib.SMTPSenderRefused, match="530"):
        await asyncio.to_thread(run, None)
    with pytest.raises(smtplib.SMTPAuthenticationError, match="535"):
        await asyncio.to_thread(run, "wrong")


@pytest.mark.parametrize(
    ("fate", "code", "enhanced"),
    [(Fate.REFUSE, 550, "5.1.1"), (Fate.FULL, 452, "4.2.2"), (Fate.GREYLIST, 451, "4.7.1")],
)
async def test_a_recipient_can_be_refused_at_once(mail: World, fate: Fate, code: int, enhanced: str) -> None:
    mail.add_account(AYSE, fate=fate)
    said, words = await refused(mail, draft())
    assert (said, enhanced in words) == (code, True)
    if fate is Fate.GREYLIST:
        await submit(mail, draft())
    else:
        await refused(mail, draft())
    assert len(mail.sent) == (fate is Fate.GREYLIST)


async def test_an_address_nobody_has_is_refused(mail: World) -> None:
    assert (await refused(mail, draft(to="nobody@posta.example"), to="nobody@posta.example"))[0] == 550


async def test_what_is_no_proper_mail_is_refused(mail: World) -> None:
    head = f"From: {SHOP}\r\nTo: {AYSE}\r\nSubject: x\r\n".encode()
    mail.change_settings({"size_limit": 20_000})
    huge = head + b"\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 400
    assert "5.3.4" in (await refused(mail, huge))[1]
    assert (await refused(mail, head + b"X-Long: " + b"z" * 1100 + b"\r\n\r\nx\r\n"))[0] == 500
    assert "8-bit" in (await refused(mail, head + b"\r\n\xc5\x9f\r\n"))[1]
    assert "5.6.7" in (await refused(mail, head + "X-Raw: ş\r\n\r\nx\r\n".encode()))[1]
    server = Line(*await asyncio.open_connection("127.0.0.1", mail.smtp_port))
    login = base64.b64encode(f"\0{SHOP}\0{PASSWORD}".encode())
    for command in (b"EHLO x", b"AUTH PLAIN " + login, f"MAIL FROM:<{SHOP}>".encode(), f"RCPT TO:<{AYSE}>".encode()):
        server.writer.write(command + b"\r\n")
    server.writer.write(b"DATA\r\n" + head + b"\r\nbare\nnewline\r\n.\r\n")
    said = await server.says()
    while not said.startswith("550"):
        assert said, "the line was closed"
        said = await server.says()
    assert "5.6.11" in said
    server.writer.close()
    assert not mail.sent


@pytest.mark.parametrize(("action", "accepted"), [("drop_before", 0), ("drop_after", 1)])
async def test_the_line_breaks_after_the_final_dot(mail: World, action: str, accepted: int) -> None:
    mail.troubles.add([{"match": "smtp.data", "action": action, "times": 1}])
    with pytest.raises(smtplib.SMTPServerDisconnected):
        await submit(mail, draft())
    assert len(mail.inbox(AYSE)) == accepted


async def test_too_many_mails_and_a_server_that_goes_away(mail: World) -> None:
    mail.change_settings({"per_minute": 1})
    await submit(mail, draft())
    assert await refused(mail, draft()) == (421, "4.7.0 Try again later, too many messages")
    mail.change_settings({"per_minute": None})
    mail.troubles.add([{"match": "smtp.ehlo", "action": "down", "times": 1}])
    with pytest.raises(smtplib.SMTPException):
        await submit(mail, draft())
    await submit(mail, draft())


# --- who says who they are


async def test_only_the_owner_of_an_address_passes(mail: World) -> None:
    mail.deliver(JONAS, SHOP, "Echt", "ich bin es")
    mail.deliver(JONAS, SHOP, "Falsch", "ich auch", spoofed=True)
    mail.policies["brief.example"] = "quarantine"
    mail.deliver(JONAS, SHOP, "Falsch und verboten", "ich auch", spoofed=True)
    true, false = mail.inbox(SHOP)
    (unwanted,) = mail.inbox(SHOP, "Junk")
    results = [one.header("Authentication-Results") for one in (true, false, unwanted)]
    assert all(result.startswith("mx.kumbara.example;") for result in results)
    assert ["dmarc=pass" in result for result in results] == [True, False, False]
    assert ["header.from=brief.example" in result for result in results] == [True] * 3
    assert {one.sender_address for one in (true, false, unwanted)} == {JONAS}
    assert len(mail.account(JONAS).folder("Sent").mails) == 1


async def test_a_second_from_never_passes_however_honest_the_sender(mail: World) -> None:
    mail.deliver(AYSE, SHOP, "x", "y", headers={"From": f"Jonas <{JONAS}>"})
    (got,) = mail.inbox(SHOP)
    assert len(got.all("From")) == 2
    assert "dmarc=pass" not in got.header("Authentication-Results")


async def test_forged_results_stay_below_the_true_ones(mail: World) -> None:
    forged = "mx.kumbara.example; dmarc=pass header.from=brief.example"
    mail.deliver(JONAS, SHOP, "x", "y", spoofed=True, headers={"Authentication-Results": forged})
    (got,) = mail.inbox(SHOP)
    true, below = got.all("Authentication-Results")
    assert "dmarc=fail" in true
    assert below == forged


# --- programs of people


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("program", PROGRAMS)
async def test_an_answer_quotes_ours_below_the_way_each_program_does(mail: World, program: str, language: str) -> None:
    mail.add_account(AYSE, client=program, language=language)
    await submit(mail, draft(text="Paketiniz yolda.\nYarın gelir.\n"))
    mail.reply(AYSE, 1, "Teşekkürler!")
    (got,) = mail.inbox(SHOP)
    assert got.in_reply_to == "<1@kumbara.example>"
    assert got.references[-1] == "<1@kumbara.example>"
    assert SHOP in got.past
    assert "Yarın gelir." in got.past
    assert got.own.startswith("Teşekkürler!")
    assert "Yarın" not in got.own
    assert "Yarın gelir." in got.html
    assert got.html.index("Teşekkürler") < got.html.index(SHOP) < got.html.index("Yarın gelir.")
    assert all(
        len(line) <= 998 and line.isascii() for line in mail.account(SHOP).folder("INBOX").mails[1].raw.split(b"\r\n")
    )


async def test_files_travel_both_ways(mail: World) -> None:
    message = draft()
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="fatura İade.pdf")
    await submit(mail, message)
    (got,) = mail.inbox(AYSE)
    assert [(file.name, file.media_type, file.data) for file in got.files] == [
        ("fatura İade.pdf", "application/pdf", b"%PDF-1.7")
    ]


async def test_a_vacation_note_answers_each_sender_once_and_never_a_machine(mail: World) -> None:
    mail.add_account(AYSE, vacation="İzindeyim.")
    await submit(mail, draft())
    (note,) = await eventually(lambda: mail.inbox(SHOP))
    assert (note.header("Auto-Submitted"), note.header("Return-Path")) == ("auto-replied", "<>")
    assert note.in_reply_to == "<1@kumbara.example>"
    assert note.own == "İzindeyim."
    await submit(mail, draft())
    mail.account(AYSE).answered.clear()
    automatic = draft()
    automatic["Auto-Submitted"] = "auto-replied"
    await submit(mail, automatic)
    await eventually(lambda: len(mail.inbox(AYSE)) == 3)
    assert len(mail.inbox(SHOP)) == 1


@pytest.mark.parametrize(
    ("fate", "status", "action"),
    [
        (Fate.BOUNCE, "5.1.1", "failed"),
        (Fate.BOUNCE_FULL, "5.2.2", "failed"),
        (Fate.BOUNCE_POLICY, "5.7.1", "failed"),
        (Fate.DELAY, "4.4.1", "delayed"),
    ],
)
async def test_a_report_comes_later_as_the_standard_wants_it(mail: World, fate: Fate, status: str, action: str) -> None:
    mail.add_account(AYSE, fate=fate)
    await submit(mail, draft(), sender="support+b.1@kumbara.example")
    await eventually(lambda: mail.inbox(SHOP))
    (stored,) = mail.account(SHOP).folder("INBOX").mails.values()
    told = email.message_from_bytes(stored.raw)
    assert (told.get_content_type(), told["Return-Path"]) == ("multipart/report", "<>")
    assert told["Delivered-To"] == "support+b.1@kumbara.example"
    fields = told.get_payload()[1].get_payload()  # type: ignore[union-attr, index]
    about = str(fields[1] if isinstance(fields, list) else fields)
    assert f"Status: {status}" in about
    assert f"Action: {action}" in about
    assert AYSE in about
    assert b"<1@kumbara.example>" in stored.raw
    assert len(mail.inbox(AYSE)) == (fate is Fate.DELAY)


async def test_some_reports_follow_no_standard(mail: World) -> None:
    mail.add_account(AYSE, fate=Fate.BOUNCE_PLAIN)
    await submit(mail, draft())
    (told,) = await eventually(lambda: mail.inbox(SHOP))
    assert "<1@kumbara.example>" in told.text
    assert told.header("Content-Type").startswith("text/plain")


async def test_a_newsletter_carries_what_bulk_mail_carries(mail: World) -> None:
    mail.newsletter("news@basar.example", SHOP, "İndirim", "Yüzde 30!")
    (got,) = mail.inbox(SHOP)
    assert got.header("List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
    assert "dmarc=pass" in got.header("Authentication-Results")


@given(st.text(max_size=300))
def test_parting_a_text_loses_none_of_it(text: str) -> None:
    own, past = parted(text)
    assert "".join((own + past).split()) == "".join(text.split())


@given(st.binary(max_size=400))
def test_showing_never_fails(raw: bytes) -> None:
    look(raw)
    look(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + raw)


# --- from outside


@pytest_asyncio.fixture
async def side(mail: World) -> AsyncIterator[str]:
    runner = web.AppRunner(application(mail))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/control"
    await runner.cleanup()


async def post(url: str, **body: Any) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        return answer.status, await answer.json()


async def get(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def test_the_control_side_plays_customers_and_shows_what_was_sent(mail: World, side: str) -> None:
    file = {"name": "a.txt", "media_type": "text/plain", "data": base64.b64encode(b"hi").decode()}
    letter = {"from": AYSE, "to": SHOP, "subject": "Sipariş", "text": "Nerede?", "attachments": [file]}
    status, told = await post(f"{side}/deliver", **letter)
    assert (status, told["uid"]) == (200, 1)
    await submit(mail, draft())
    assert (await post(f"{side}/reply", account=AYSE, uid=1, text="Sağ olun"))[0] == 200
    state = {one["address"]: one["mails"] for one in (await get(f"{side}/state"))["accounts"]}
    assert [(one["folder"], one["subject"], one["past"]) for one in state[AYSE]] == [
        ("Sent", "Re: Sipariş", True), ("INBOX", "Re: Sipariş", False), ("Sent", "Sipariş", False),
    ]  # fmt: skip
    assert state[AYSE][2]["files"][0]["name"] == "a.txt"
    (sent,) = (await get(f"{side}/sent"))["sent"]
    assert (sent["recipients"], sent["own"], sent["from"]) == ([AYSE], "Yolda!", f"Kumbara <{SHOP}>")
    assert [call["status"] for call in (await get(f"{side}/calls?method=SMTP%20DATA"))["calls"]] == ["250"]
    assert (await post(f"{side}/reply", account=AYSE, uid=99, text="x"))[0] == 404
    assert (await post(f"{side}/deliver", **{"from": AYSE, "to": SHOP, "colour": "red"}))[0] == 400
    assert (await post(f"{side}/deliver", to=SHOP))[0] == 400
    raw = base64.b64encode(b"Subject: raw\r\n\r\n\xff").decode()
    assert (await post(f"{side}/raw", to=SHOP, data=raw, signed="-"))[0] == 200
    assert mail.inbox(SHOP)[-1].header("Authentication-Results") == ""
    assert (await post(f"{side}/trouble", rules=[{"match": "smtp.*", "action": "dance"}]))[0] == 400


async def test_a_mails_html_is_shown_where_nothing_of_it_can_run(mail: World, side: str) -> None:
    mail.deliver(SHOP, AYSE, "x", "y", html="<p>own</p><blockquote>past</blockquote><script>alert(1)</script>")
    url = f"{side}/mails/{AYSE}/INBOX/1/html"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        policy, page = answer.headers["Content-Security-Policy"], await answer.text()
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    assert "own" in page
    assert "past" not in page
    async with aiohttp.ClientSession() as session, session.get(f"{url}?past=1") as answer:
        assert "past" in await answer.text()
        assert answer.headers["Content-Security-Policy"] == policy


async def test_a_fresh_start_forgets_everybody(mail: World, side: str) -> None:
    mail.change_settings({"idle": False})
    assert (await post(f"{side}/reset"))[0] == 200
    assert (await get(f"{side}/state"))["accounts"] == []
    assert mail.settings.idle
