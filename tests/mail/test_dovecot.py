"""A mailbox read from a real Dovecot: mail that comes while somebody listens, and lines, servers and numbers that go.

Rule: whatever happens to the line, each mail is brought exactly once, and the mailbox is left as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from imap_tools.imap_utf7 import utf7_encode

from channels.channel import Pulled
from channels.errors import Misconfigured, Retry
from channels.mail.imap.box import Account, Mailbox
from channels.mail.oauth import OAuth
from channels.message import Letter
from tests.mail.dovecot import Dovecot, dovecot
from tests.mail.line import MOST_SECONDS, Line

pytestmark = pytest.mark.xdist_group("dovecot")

PASSWORD = "correct horse"
_users = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    users = {f"user{number}": PASSWORD for number in range(60)}
    with dovecot(users=users) as running:
        yield running


class Desk:
    """Somebody with a mailbox of their own on the server, and what Santral would have stored of it."""

    def __init__(self, server: Dovecot, line: Line) -> None:
        self.server = server
        self.line = line
        self.user = f"user{next(_users)}"
        self.time = timedelta()
        self.cursor = ""
        self.letters: list[Letter] = []
        self._made: list[Mailbox] = []

    def url(self, *, password: str = PASSWORD, more: str = "?starttls=off") -> str:
        return f"imap://{self.user}:{password.replace(' ', '%20')}@127.0.0.1:{self.line.port}{more}"

    def account(self, url: str = "", **more: Any) -> Account:
        return Account.from_url(url or self.url(), **{"timeout": MOST_SECONDS / 2, **more})

    def box(self, url: str = "", **more: Any) -> Mailbox:
        made = Mailbox("support", self.account(url, **more), now=self.now)
        self._made.append(made)
        return made

    def now(self) -> datetime:
        return datetime.now(UTC) + self.time

    def deliver(self, subject: str, **more: Any) -> bytes:
        raw = mail(subject)
        self.server.deliver(raw, to=self.user, **more)
        return raw

    async def pull(self, box: Mailbox) -> Pulled:
        """Pull once and store what came, as the inbox does."""
        pulled = await asyncio.wait_for(box.pull(self.cursor), MOST_SECONDS)
        self.cursor = pulled.cursor
        self.letters += pulled.letters
        return pulled

    async def pull_until(self, box: Mailbox, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(MOST_SECONDS):
            while not done():
                await self.pull(box)

    async def adopt(self, box: Mailbox) -> None:
        """Pull until every folder is known."""
        await self.pull_until(box, lambda: len(json.loads(self.cursor or "{}")) >= 2)

    @contextlib.asynccontextmanager
    async def waiting(self, box: Mailbox) -> AsyncIterator[asyncio.Task[Pulled]]:
        """A pull that waits in IDLE."""
        known = self.line.theirs.count(b"+ idling")
        task = asyncio.create_task(self.pull(box))
        await self.line.said(b"+ idling", known + 1)
        yield task
        if not task.done():
            await asyncio.wait_for(task, MOST_SECONDS)

    @property
    def subjects(self) -> list[str]:
        return [subject(letter.raw) for letter in self.letters]

    async def close(self) -> None:
        for box in self._made:
            await box.close()


def mail(subject: str, body: str = "Merhaba, siparişim nerede?") -> bytes:
    head = f"From: Ada <ada@example.com>\r\nTo: support@shop.example\r\nSubject: {subject}\r\n"
    kind = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    return (head + kind + f"\r\n{body}\r\n").encode()


def subject(raw: bytes) -> str:
    return raw.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()


@pytest_asyncio.fixture
async def desk(server: Dovecot) -> AsyncIterator[Desk]:
    line = Line(server.port)
    await line.open()
    made = Desk(server, line)
    yield made
    await made.close()
    await line.close()


async def refused(box: Mailbox, cursor: str = "") -> str:
    with pytest.raises(Misconfigured) as caught:
        await asyncio.wait_for(box.pull(cursor), MOST_SECONDS)
    return caught.value.detail


# --- what comes


async def test_a_mail_that_comes_is_announced_and_brought_as_it_is(desk: Desk) -> None:
    box = desk.box()
    await desk.adopt(box)
    async with desk.waiting(box):
        raw = desk.deliver("Where is it")
    (letter,) = desk.letters
    assert letter.raw == raw
    assert letter.channel == "support"
    assert abs(letter.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert letter.facts == {"way": "imap", "folder": "INBOX", "spam": False}
    assert letter.external_id.startswith("imap:INBOX:")


async def test_what_comes_while_nobody_listens_is_brought_by_the_next_pull(desk: Desk) -> None:
    box = desk.box()
    await desk.adopt(box)
    async with desk.waiting(box):
        desk.deliver("one")
    desk.deliver("two")
    desk.deliver("three")
    await desk.pull_until(box, lambda: len(desk.letters) == 3)
    assert desk.subjects == ["one", "two", "three"]


async def test_the_last_mail_is_not_brought_again(desk: Desk) -> None:
    desk.deliver("the only one")
    box = desk.box(idle_seconds=0.05)
    await desk.pull_until(box, lambda: bool(desk.letters))
    before = desk.cursor
    assert (await desk.pull(box)).letters == ()
    assert (await desk.pull(box)).letters == ()
    assert desk.cursor == before
    assert desk.subjects == ["the only one"]


async def test_the_mailbox_stays_as_it_was(desk: Desk) -> None:
    path = desk.server.deliver(mail("unread"), to=desk.user)
    box = desk.box()
    await desk.pull_until(box, lambda: bool(desk.letters))
    await box.close()
    assert path.exists(), "it is not new any more: another program would not show it as such"


async def test_spam_is_brought_and_marked(desk: Desk) -> None:
    desk.deliver("You won", folder=".Junk")
    desk.deliver("Where is it")
    box = desk.box()
    await desk.pull_until(box, lambda: len(desk.letters) == 2)
    assert {subject(letter.raw): letter.facts["spam"] for letter in desk.letters} == {
        "You won": True,
        "Where is it": False,
    }


async def test_spam_that_comes_later_is_found_when_it_is_looked_for(desk: Desk) -> None:
    box = desk.box(poll_seconds=0.05)
    await desk.adopt(box)
    async with desk.waiting(box):
        desk.deliver("You won", folder=".Junk")
    await desk.pull_until(box, lambda: bool(desk.letters))
    assert desk.subjects == ["You won"]


async def test_a_folder_may_have_any_name(desk: Desk) -> None:
    desk.deliver("A return", folder="." + utf7_encode("Müşteri İadeleri & возврат").decode())
    box = desk.box(folders=("müşteri iadeleri & ВОЗВРАТ",))
    await desk.pull_until(box, lambda: bool(desk.letters))
    assert desk.letters[0].facts["folder"] == "Müşteri İadeleri & возврат"


async def test_a_server_that_announces_nothing_is_asked(desk: Desk) -> None:
    with dovecot(users={desk.user: PASSWORD}, capability="IMAP4rev1 LITERAL+ SPECIAL-USE") as dumb:
        url = f"imap://{desk.user}:correct%20horse@127.0.0.1:{dumb.port}?starttls=off"
        box = desk.box(url, poll_seconds=0.05)
        await desk.adopt(box)
        task = asyncio.create_task(desk.pull(box))
        dumb.deliver(mail("one"), to=desk.user)
        await task
        await desk.pull_until(box, lambda: bool(desk.letters))
        assert desk.subjects == ["one"]
        assert any("no IDLE" in finding.what for finding in await box.check())
        await box.close()


# --- how much


async def test_a_mailbox_of_5000_mails_comes_whole_and_in_order(desk: Desk) -> None:
    for number in range(5000):
        desk.deliver(f"n{number}", ago=timedelta(days=30))
    for number in range(7):
        desk.deliver(f"new{number}")
    straight = f"imap://{desk.user}:correct%20horse@127.0.0.1:{desk.server.port}?starttls=off"
    box = desk.box(straight)
    await desk.pull_until(box, lambda: len(desk.letters) >= 7)
    assert desk.subjects == [f"new{number}" for number in range(7)], "what is older than an hour is not new mail"
    desk.letters, desk.cursor = [], ""
    everything = desk.box(straight, first_hours=24 * 60)
    most = 0
    while len(desk.letters) < 5007:
        most = max(most, len((await desk.pull(everything)).letters))
    assert most == 50
    assert desk.subjects == [*(f"n{number}" for number in range(5000)), *(f"new{number}" for number in range(7))]
    assert len({letter.external_id for letter in desk.letters}) == 5007


async def test_old_mail_is_left_alone_when_none_is_wanted(desk: Desk) -> None:
    desk.deliver("just before")
    box = desk.box(first_hours=0)
    await desk.adopt(box)
    async with desk.waiting(box):
        desk.deliver("after")
    assert desk.subjects == ["after"]


async def test_one_pull_carries_no_more_than_one_commit_should(desk: Desk) -> None:
    sizes = (600_000, 600_000, 600_000, 3_000_000, 10)
    for number, size in enumerate(sizes):
        desk.server.deliver(mail(f"n{number}", "x" * size), to=desk.user)
    box = desk.box(batch_bytes=1_500_000)
    batches = []
    while len(desk.letters) < len(sizes):
        batches.append([subject(letter.raw) for letter in (await desk.pull(box)).letters])
    assert [batch for batch in batches if batch] == [["n0", "n1"], ["n2"], ["n3"], ["n4"]]


async def test_of_a_mail_beyond_all_size_there_is_the_beginning(desk: Desk) -> None:
    raw = mail("A film", "x" * 1_000_000)
    desk.server.deliver(raw, to=desk.user)
    desk.deliver("small")
    box = desk.box(most_bytes=500_000)
    await desk.pull_until(box, lambda: len(desk.letters) == 2)
    film = desk.letters[0]
    assert film.facts["cut"] is True
    assert film.facts["size"] == len(raw)
    assert raw.startswith(film.raw)
    assert 64_000 < len(film.raw) < 70_000
    assert "cut" not in desk.letters[1].facts


# --- what breaks


async def test_a_line_that_breaks_is_known_and_nothing_is_missed(desk: Desk) -> None:
    box = desk.box()
    await desk.adopt(box)
    async with desk.waiting(box) as pull:
        desk.line.cut()
        with pytest.raises(Retry) as caught:
            await asyncio.wait_for(pull, MOST_SECONDS)
    assert caught.value.whole_channel
    assert caught.value.after is not None
    desk.deliver("meanwhile")
    await desk.pull_until(box, lambda: bool(desk.letters))
    assert desk.subjects == ["meanwhile"]


async def test_a_line_that_broke_between_two_pulls_is_no_trouble(desk: Desk) -> None:
    box = desk.box()
    await desk.adopt(box)
    desk.line.cut()
    await desk.line.is_quiet()
    desk.deliver("one")
    await desk.pull(box)
    assert desk.subjects == ["one"]


async def test_the_server_process_dies_while_we_listen(desk: Desk) -> None:
    box = desk.box()
    await desk.adopt(box)
    async with desk.waiting(box) as pull:
        assert desk.server.kill_sessions() > 0
        with pytest.raises(Retry):
            await asyncio.wait_for(pull, MOST_SECONDS)
    desk.deliver("one")
    await desk.pull_until(box, lambda: bool(desk.letters))
    assert desk.subjects == ["one"]


async def test_the_server_is_restarted_while_we_listen(desk: Desk) -> None:
    box = desk.box()
    await desk.adopt(box)
    async with desk.waiting(box) as pull:
        await asyncio.to_thread(desk.server.stop)
        try:
            with pytest.raises(Retry) as caught:
                await asyncio.wait_for(pull, MOST_SECONDS)
            first = caught.value.after
            with pytest.raises(Retry) as caught:
                await box.pull(desk.cursor)
            assert first is not None
            assert caught.value.after is not None
            assert caught.value.after > first, "the longer it is away, the less often it is asked"
        finally:
            await asyncio.to_thread(desk.server.start)
    assert b"* BYE" in desk.line.theirs
    desk.deliver("back again")
    await desk.pull_until(box, lambda: bool(desk.letters))
    assert desk.subjects == ["back again"]


async def test_a_line_that_carries_nothing_any_more_is_given_up(desk: Desk) -> None:
    box = desk.box(idle_seconds=0.5, timeout=1)
    await desk.adopt(box)
    async with desk.waiting(box) as pull:
        desk.line.die()
        with pytest.raises(Retry, match="silent"):
            await asyncio.wait_for(pull, MOST_SECONDS)
    desk.deliver("meanwhile")
    desk.line.die(dead=False)
    await desk.pull_until(box, lambda: bool(desk.letters))
    assert desk.subjects == ["meanwhile"]


async def test_a_pull_that_is_cancelled_ends_its_line_and_its_thread(desk: Desk) -> None:
    box = desk.box()
    await desk.adopt(box)
    async with desk.waiting(box) as pull:
        pull.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(pull, MOST_SECONDS)
        assert not [thread for thread in threading.enumerate() if thread.name == "imap"]
        await desk.line.is_quiet()
    desk.deliver("afterwards")
    await desk.pull_until(box, lambda: bool(desk.letters))
    assert desk.subjects == ["afterwards"]


async def test_the_mailbox_is_numbered_anew(desk: Desk) -> None:
    box = desk.box()
    await desk.adopt(box)
    desk.deliver("before we came", ago=timedelta(days=3))
    for number in range(3):
        desk.deliver(f"n{number}")
    await desk.pull_until(box, lambda: "n2" in desk.subjects)
    known = list(desk.letters)
    await box.close()
    desk.server.renumber(to=desk.user)
    desk.letters = []
    desk.deliver("after")
    await desk.pull_until(box, lambda: "after" in desk.subjects)
    assert sorted(desk.subjects) == ["after", "n0", "n1", "n2"], "all that was ours, and nothing that never was"
    assert {letter.external_id for letter in known}.isdisjoint(letter.external_id for letter in desk.letters)
    assert {letter.digest for letter in known} - {letter.digest for letter in desk.letters} == {
        letter.digest for letter in known if subject(letter.raw) == "before we came"
    }


async def test_a_mail_at_which_the_server_breaks_holds_up_no_other_and_is_seen_in_the_end(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.deliver(f"n{number}")
    desk.line.breaks_at = re.compile(rb"UID FETCH (?:\d+,)*2(?:,\d+)* \(UID BODY")
    box = desk.box()
    while len(desk.letters) < 3:
        with contextlib.suppress(Retry):
            await desk.pull(box)
    assert desk.subjects == ["n1", "n3", ""]
    stub = desk.letters[2]
    assert "does not hand it out" in stub.facts["unreadable"]
    desk.deliver("n4")
    await desk.pull_until(box, lambda: len(desk.letters) > 3)
    assert desk.subjects[3:] == ["n4"]


# --- who is let in


async def test_starttls_comes_before_the_password(desk: Desk) -> None:
    url = desk.url(more="").replace("127.0.0.1", "localhost")
    desk.deliver("one")
    box = desk.box(url, cafile=desk.server.cafile)
    await desk.pull_until(box, lambda: bool(desk.letters))
    assert b"STARTTLS" in desk.line.ours
    assert PASSWORD.encode() not in desk.line.ours
    assert b"LOGIN" not in desk.line.ours.upper().replace(b"LOGINDISABLED", b"")


async def test_tls_from_the_first_byte(desk: Desk) -> None:
    url = f"imaps://{desk.user}:correct%20horse@localhost:{desk.server.tls_port}"
    box = desk.box(url, cafile=desk.server.cafile)
    await desk.adopt(box)
    task = asyncio.create_task(desk.pull(box))
    desk.deliver("one")
    await task
    assert desk.subjects == ["one"]
    assert "with TLS" in (await box.check())[0].what


@pytest.mark.parametrize("scheme", ["imap", "imaps"])
async def test_a_certificate_nobody_vouches_for_is_refused_before_the_password(desk: Desk, scheme: str) -> None:
    if scheme == "imap":
        url = desk.url(more="")
    else:
        url = f"imaps://{desk.user}:correct%20horse@localhost:{desk.server.tls_port}"
    box = desk.box(url)
    assert "certificate" in await refused(box)
    assert PASSWORD.encode() not in desk.line.ours
    (finding,) = await box.check()
    assert not finding.ok
    assert "cafile" in finding.fix


async def test_tls_on_a_port_without_it_says_so(desk: Desk) -> None:
    box = desk.box(desk.url(more="").replace("imap:", "imaps:"))
    assert "does not speak TLS" in await refused(box)


async def test_a_wrong_password_is_said_with_what_to_do_and_not_tried_over_and_over(desk: Desk) -> None:
    box = desk.box(desk.url(password="tr0ub4dor"))
    words = await refused(box)
    assert "password" in words
    assert "tr0ub4dor" not in words
    assert "tr0ub4dor" not in repr(box)
    tried = desk.line.count
    assert await refused(box) == words
    assert desk.line.count == tried, "it was tried again at once"
    desk.time = timedelta(minutes=2)
    await refused(box)
    assert desk.line.count == tried + 1
    desk.time = timedelta(minutes=3)
    await refused(box)
    assert desk.line.count == tried + 1, "the second pause is longer"
    (finding,) = await box.check()
    assert not finding.ok
    assert finding.fix


async def test_a_server_that_is_not_there_is_said(desk: Desk) -> None:
    port = desk.line.port
    await desk.line.close()
    box = desk.box()
    with pytest.raises(Retry, match=str(port)):
        await box.pull("")
    (finding,) = await box.check()
    assert not finding.ok
    assert "host and port" in finding.fix


async def test_the_check_names_what_is_read(desk: Desk) -> None:
    box = desk.box(folders=("Returns",))
    findings = await box.check()
    assert any(finding.ok and "INBOX, Junk (spam)" in finding.what for finding in findings)
    (missing,) = [finding for finding in findings if not finding.ok]
    assert "Returns" in missing.what
    assert "Sent" in missing.fix


async def test_a_mail_of_ours_is_found_among_the_sent_ones(desk: Desk) -> None:
    desk.server.deliver(
        b"Message-ID: <a.b@shop.example>\r\nSubject: Re: it\r\n\r\nHi\r\n", to=desk.user, folder=".Sent"
    )
    box = desk.box()
    assert await box.find("<a.b@shop.example>") is True
    assert await box.find("<other@shop.example>") is False
    assert await box.find('<"\r\nx">') is None
    assert await desk.box(desk.url(password="wrong")).find("<a.b@shop.example>") is None


# --- OAuth


class Tokens:
    """An OAuth server, and what a mail server asks to know whose a token is."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.good: set[str] = set()
        self.forms: list[dict[str, str]] = []
        self.refuses = ""
        app = web.Application()
        app.router.add_post("/token", self._give)
        app.router.add_get("/info", self._tell)
        self.server = TestServer(app, host="127.0.0.1")

    async def _give(self, request: web.Request) -> web.Response:
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        if self.refuses:
            return web.json_response({"error": self.refuses, "error_description": "no, r3fresh"}, status=400)
        token = f"access-{len(self.forms)}"
        self.good = {token}
        return web.json_response({"access_token": token, "expires_in": 3600, "refresh_token": f"r{len(self.forms)}"})

    async def _tell(self, request: web.Request) -> web.Response:
        known = request.query_string.rpartition("access_token=")[2] in self.good
        return web.json_response({"user": self.user}) if known else web.json_response({}, status=401)


async def test_a_mailbox_is_opened_with_tokens_that_are_renewed(desk: Desk) -> None:
    tokens = Tokens(desk.user)
    await tokens.server.start_server()
    rotated: list[str] = []
    oauth = OAuth(
        token_url=str(tokens.server.make_url("/token")),
        client_id="santral",
        client_secret="s3cret",
        refresh_token="r3fresh",
        scope="mail",
        rotated=rotated.append,
    )
    info = f"{tokens.server.make_url('/info')}?access_token="
    try:
        with await asyncio.to_thread(lambda: contextlib.ExitStack()) as stack:
            running = stack.enter_context(dovecot(users={desk.user: "unused"}, tokeninfo=info))
            account = desk.account(f"imap://{desk.user}:x@127.0.0.1:{running.port}?starttls=off&auth=xoauth2")
            box = Mailbox("support", replace(account, oauth=oauth), now=desk.now)
            running.deliver(mail("one"), to=desk.user)
            await desk.pull_until(box, lambda: bool(desk.letters))
            assert tokens.forms[0]["grant_type"] == "refresh_token"
            assert rotated == ["r1"]
            await box.close()

            tokens.good = set()  # taken back before its time
            running.deliver(mail("two"), to=desk.user)
            await desk.pull_until(box, lambda: len(desk.letters) == 2)
            assert [form["refresh_token"] for form in tokens.forms] == ["r3fresh", "r1"]
            assert await box.token() == "access-2"
            await box.close()

            desk.time = timedelta(minutes=56)  # four minutes before its end it is not good enough any more
            assert await box.token() == "access-3"
            desk.time, tokens.refuses = timedelta(hours=3), "invalid_grant"
            words = await refused(box, desk.cursor)
            assert "oauth_refresh_token" in words
            assert "r3fresh" not in words.replace("oauth_refresh_token", "")
            assert desk.subjects == ["one", "two"]
    finally:
        await tokens.server.close()
