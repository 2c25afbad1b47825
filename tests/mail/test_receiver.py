"""The built-in receiver as the mail server in front of it sees it: real sockets, its own words, our answers."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import aiosmtplib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.errors import Misconfigured
from channels.mail.inbound.arrival import envelope
from channels.mail.inbound.receiver import MOST_CONNECTIONS, Listener, listen, plain
from channels.message import Letter

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OURS = frozenset({"destek@ornek.com.tr", "sales@example.com", "@buketdukkani.example"})
AYSE = "ayse@example.net"
PATIENCE = 15  # seconds until a conversation that hangs is given up
MAIL = (
    "From: Ayşe <ayse@example.net>\r\nTo: destek@ornek.com.tr\r\nSubject: Kargo\r\n"
    "Message-ID: <1@example.net>\r\n\r\nSiparişim nerede?\r\n"
).encode()


class Post:
    """What stands behind the receiver: stores each letter once by its id, or fails when told to."""

    def __init__(self) -> None:
        self.letters: dict[str, Letter] = {}
        self.failures: list[Exception] = []
        self.lost_answers = 0
        self.doing: Callable[[], Awaitable[None]] | None = None

    async def receive(self, letters: Sequence[Letter]) -> None:
        if self.doing is not None:
            await self.doing()
        if self.failures:
            raise self.failures.pop()
        self.letters |= {letter.external_id: letter for letter in letters}
        if self.lost_answers:
            self.lost_answers -= 1
            raise ConnectionError("the answer of the database got lost")

    @property
    def only(self) -> Letter:
        (letter,) = self.letters.values()
        return letter


class Office:
    """A running receiver."""

    def __init__(self, port: int, task: asyncio.Task[None]) -> None:
        self.port = port
        self.task = task
        self.talks: list[Talk] = []

    async def talk(self) -> Talk:
        talk = Talk(*await asyncio.open_connection("127.0.0.1", self.port))
        self.talks.append(talk)
        talk.greeting = await talk.hear()
        return talk


class Talk:
    """A conversation, line by line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting = ""

    async def hear(self) -> str:
        """The next reply, of one line or several. "" when the line was closed."""
        lines = []
        async with asyncio.timeout(PATIENCE):
            while line := (await self.reader.readline()).decode():
                lines.append(line.rstrip())
                if line[3:4] != "-":
                    break
        return "\n".join(lines)

    async def say(self, *lines: str | bytes) -> str:
        self.writer.write(b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines))
        return await self.hear()

    async def begin(self, *recipients: str, sender: str = AYSE, hello: str = "LHLO mx.example.net") -> None:
        assert (await self.say(hello)).startswith("250")
        assert (await self.say(f"MAIL FROM:<{sender}>")).startswith("250")
        for recipient in recipients:
            assert (await self.say(f"RCPT TO:<{recipient}>")).startswith("250")
        assert (await self.say("DATA")).startswith("354")

    async def deliver(self, mail: bytes, *recipients: str, **more: str) -> str:
        await self.begin(*recipients, **more)
        return await self.say(mail.removesuffix(b"\r\n"), b".")

    async def hang_up(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def office(post: Post, **more: Any) -> AsyncIterator[Office]:
    settings = {"protocol": "lmtp", "host": "127.0.0.1", "port": 0, "recipients": OURS, **more}
    bound: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(listen("mail", Listener(**settings), post.receive, lambda: AT, bound.set_result))
    waiting: set[asyncio.Future[Any]] = {task, bound}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    running = Office(bound.result()[1], task)
    try:
        yield running
    finally:
        for talk in running.talks:
            await talk.hang_up()
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)
        assert task.done()


# --- what is taken


async def test_a_mail_arrives_byte_for_byte_with_its_envelope() -> None:
    post = Post()
    async with office(post) as running:
        talk = await running.talk()
        assert (await talk.deliver(MAIL, "Destek@ornek.com.tr", hello="LHLO mx.example.net")).startswith("250 2.6.0")
    letter = post.only
    assert letter.raw == MAIL
    assert letter.channel == "mail"
    assert letter.at == AT
    assert letter.external_id.startswith("lmtp:")
    assert letter.facts == {
        "way": "lmtp",
        "mail_from": AYSE,
        "recipients": ["Destek@ornek.com.tr"],
        "client_ip": "127.0.0.1",
        "helo": "mx.example.net",
    }
    assert envelope(letter.facts).client_ip == "", "over LMTP it is the server in front, which proves nothing"


@pytest.mark.parametrize("letters", ["straße@bücher.example", "ayşe@örnek.com.tr"])
async def test_addresses_in_any_script_are_taken(letters: str) -> None:
    post = Post()
    async with office(post, protocol="smtp") as running:
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1", port=running.port, local_hostname="mx.example.net", start_tls=False
        )
        async with client:
            await client.ehlo()
            assert {"size", "8bitmime", "smtputf8", "pipelining"} <= set(client.esmtp_extensions)
            await client.sendmail(letters, ["destek@ornek.com.tr"], MAIL, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    assert post.only.facts["mail_from"] == letters
    assert post.only.raw == MAIL


async def test_a_client_of_the_standard_library_is_served() -> None:
    post = Post()

    def send(port: int) -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("127.0.0.1", port, "mx.example.net", timeout=PATIENCE) as client:
            return client.sendmail(AYSE, ["sales@example.com", "nobody@example.com"], MAIL)

    async with office(post, protocol="smtp") as running:
        refused = await asyncio.to_thread(send, running.port)
    assert list(refused) == ["nobody@example.com"]
    assert refused["nobody@example.com"][0] == 550
    assert post.only.facts["recipients"] == ["sales@example.com"]
    assert post.only.facts["way"] == "smtp"


async def test_the_null_sender_is_told_as_such() -> None:
    post = Post()
    async with office(post) as running:
        talk = await running.talk()
        await talk.deliver(MAIL, "sales@example.com", sender="")
    assert post.only.facts["mail_from"] == ""
    assert envelope(post.only.facts).mail_from == ""


async def test_lines_of_any_length_and_leading_dots_survive() -> None:
    mail = MAIL + b"x" * 300_000 + b"\r\n.\xfe\xff not UTF-8\r\n"
    post = Post()
    async with office(post) as running:
        talk = await running.talk()
        said = await talk.deliver(mail.replace(b"\r\n.", b"\r\n.."), "sales@example.com")
    assert said.startswith("250")
    assert post.only.raw == mail


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n"])
async def test_what_only_looks_like_the_end_of_a_mail_smuggles_no_second_one(end: bytes) -> None:
    smuggled = b"MAIL FROM:<boss@example.com>\r\nRCPT TO:<sales@example.com>\r\nDATA\r\nSubject: two\r\n\r\ntwo\r\n"
    post = Post()
    async with office(post) as running:
        talk = await running.talk()
        assert (await talk.deliver(MAIL + b"one" + end + smuggled, "sales@example.com")).startswith("250")
        assert (await talk.say("NOOP")).startswith("250"), "one mail, one reply"
    assert post.only.facts["mail_from"] == AYSE
    assert b"Subject: two" in post.only.raw


async def test_commands_may_come_all_at_once() -> None:
    post = Post()
    async with office(post) as running:
        talk = await running.talk()
        words = ["LHLO mx.example.net", f"MAIL FROM:<{AYSE}>", "RCPT TO:<sales@example.com>", "DATA"]
        assert "PIPELINING" in await talk.say(*words)
        assert [(await talk.hear())[:3] for _ in words[1:]] == ["250", "250", "354"]
        assert (await talk.say(MAIL, ".")).startswith("250")
    assert len(post.letters) == 1


# --- what is answered


async def test_yes_is_said_only_when_the_mail_is_stored() -> None:
    post, asked, may = Post(), asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        asked.set()
        await may.wait()

    post.doing = wait
    async with office(post) as running:
        talk = await running.talk()
        answer = asyncio.create_task(talk.deliver(MAIL, "sales@example.com"))
        await asyncio.wait_for(asked.wait(), PATIENCE)
        assert not answer.done()
        may.set()
        assert (await answer).startswith("250")
    assert len(post.letters) == 1


@pytest.mark.parametrize("lost", ["the mail", "the answer"])
async def test_what_failed_here_comes_again_and_is_stored_once(lost: str) -> None:
    post = Post()
    if lost == "the mail":
        post.failures.append(TimeoutError("the database is away"))
    else:
        post.lost_answers = 1
    async with office(post) as running:
        talk = await running.talk()
        assert (await talk.deliver(MAIL, "sales@example.com", "destek@ornek.com.tr")).startswith("451 4.3.0")
        assert (await talk.hear()).startswith("451 4.3.0")
        again = await running.talk()
        assert (await again.deliver(MAIL, "destek@ornek.com.tr", "sales@example.com")).startswith("250")
    assert post.only.raw == MAIL


async def test_other_recipients_other_bytes_and_another_sender_are_other_deliveries() -> None:
    post = Post()
    async with office(post) as running:
        talk = await running.talk()
        await talk.deliver(MAIL, "sales@example.com")
        await talk.deliver(MAIL, "destek@ornek.com.tr")
        await talk.deliver(MAIL, "sales@example.com", sender="x@example.net")
        await talk.deliver(MAIL + b"PS\r\n", "sales@example.com")
    assert len(post.letters) == 4
    assert len({letter.digest for letter in post.letters.values()}) == 2


@pytest.mark.parametrize("size", ["small", "too large"])
async def test_lmtp_answers_for_each_recipient(size: str) -> None:
    post = Post()
    mail = MAIL if size == "small" else MAIL + b"x" * 70 * 2_000
    async with office(post, most_bytes=100_000) as running:
        talk = await running.talk()
        first = await talk.deliver(mail, "sales@example.com", "destek@ornek.com.tr", "a@buketdukkani.example")
        replies = [first, await talk.hear(), await talk.hear()]
        assert {reply[:3] for reply in replies} == {"250" if size == "small" else "552"}
        assert (await talk.say("NOOP")).startswith("250"), "the conversation goes on in step"
    assert len(post.letters) == (size == "small")


async def test_the_size_is_advertised_and_a_larger_mail_is_refused_before_it_comes() -> None:
    async with office(Post(), most_bytes=1_234_567) as running:
        talk = await running.talk()
        assert "SIZE 1234567" in await talk.say("LHLO mx.example.net")
        assert (await talk.say(f"MAIL FROM:<{AYSE}> SIZE=1234568")).startswith("552")
        assert (await talk.say(f"MAIL FROM:<{AYSE}> SIZE=1234567")).startswith("250")


@pytest.mark.parametrize("stranger", ["nobody@example.com", "ayse@gmail.example", "destek@ornek.com.tr.evil.example"])
async def test_nothing_is_relayed_and_no_unknown_mailbox_is_accepted(stranger: str) -> None:
    post = Post()
    async with office(post) as running:
        talk = await running.talk()
        await talk.say("LHLO mx.example.net")
        await talk.say(f"MAIL FROM:<{AYSE}>")
        assert (await talk.say(f"RCPT TO:<{stranger}>")).startswith("550 5.1.1")
        assert (await talk.say("DATA")).startswith("503")
    assert not post.letters


@pytest.mark.parametrize(("hops", "answer"), [(25, "250"), (26, "554 5.4.6")])
async def test_a_mail_that_goes_in_circles_is_stopped(hops: int, answer: str) -> None:
    post = Post()
    body = b"Received: this is only quoted\r\n" * 30
    async with office(post) as running:
        talk = await running.talk()
        assert (await talk.deliver(b"Received: by mx\r\n" * hops + MAIL + body, "sales@example.com")).startswith(answer)
    assert len(post.letters) == (hops == 25)


async def test_lmtp_is_not_taken_for_smtp() -> None:
    async with office(Post()) as running:
        talk = await running.talk()
        assert (await talk.say("EHLO mx.example.net")).startswith("500")
        assert (await talk.say("HELO mx.example.net")).startswith("500")


@pytest.mark.parametrize(
    "words",
    [
        b"MAIL FROM:<",
        b"MAIL FROM:<a@b@c>",
        b"MAIL FROM:" + b"(" * 1_900,
        b"MAIL FROM:<" + b"x" * 100_000 + b"@example.net>",
        b"\xff\xfe\x00",
        b"VRFY \xff\xff",
        b"RCPT TO:<sales@example.com>",
        b"GET / HTTP/1.1",
        b"",
    ],
)
async def test_nonsense_is_answered_and_forgotten(words: bytes) -> None:
    post = Post()
    async with office(post) as running:
        talk = await running.talk()
        await talk.say("LHLO \xff\x00mx")
        assert (await talk.say(words))[:3] in ("252", "451", "500", "503", "553")
        assert (await talk.deliver(MAIL, "sales@example.com")).startswith("250")
    assert post.only.raw == MAIL


async def test_who_goes_away_in_the_middle_leaves_nothing_behind() -> None:
    post = Post()
    async with office(post) as running:
        talk = await running.talk()
        await talk.begin("sales@example.com")
        talk.writer.write(MAIL)
        await talk.hang_up()
        again = await running.talk()
        assert (await again.deliver(MAIL + b"whole\r\n", "sales@example.com")).startswith("250")
    assert post.only.raw.endswith(b"whole\r\n")


async def test_too_many_connections_are_asked_to_come_later() -> None:
    async with office(Post()) as running:
        talks = [await running.talk() for _ in range(MOST_CONNECTIONS)]
        one_more = await running.talk()
        assert one_more.greeting.startswith("421 4.3.2")
        assert await one_more.hear() == ""
        await talks[0].hang_up()
        async with asyncio.timeout(PATIENCE):
            while not (await running.talk()).greeting.startswith("220"):
                pass


# --- beginning and end


async def test_a_place_that_is_taken_is_said_so() -> None:
    async with office(Post()) as running:
        with pytest.raises(Misconfigured, match=f"127.0.0.1:{running.port}"):
            async with office(Post(), port=running.port):
                pass


async def test_what_is_being_taken_is_taken_to_its_end() -> None:
    post, asked, may = Post(), asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        asked.set()
        await may.wait()

    post.doing = wait
    async with office(post) as running:
        talk = await running.talk()
        answer = asyncio.create_task(talk.deliver(MAIL, "sales@example.com"))
        await asyncio.wait_for(asked.wait(), PATIENCE)
        running.task.cancel()
        may.set()
        assert (await answer).startswith("250")
        assert await talk.hear() == "", "then the line is closed"
        with pytest.raises(asyncio.CancelledError):
            await running.task
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", running.port)
    assert len(post.letters) == 1


@pytest.mark.parametrize("protocol", ["lmtp", "smtp"])
def test_the_place_to_listen_at_is_a_url(protocol: str) -> None:
    listener = Listener.from_url(f"{protocol}://[::1]:8024", recipients=OURS)
    assert (listener.protocol, listener.host, listener.port) == (protocol, "::1", 8024)
    assert listener.takes("sales@example.com")


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8024", "http://127.0.0.1:80", "lmtp://127.0.0.1", "lmtp://a:99999", "lmtp://:24"]
)
def test_a_place_that_is_none_is_refused_in_words(url: str) -> None:
    with pytest.raises(ValueError, match="lmtp://host:port"):
        Listener.from_url(url, recipients=OURS)


# --- for whom

LOCAL = st.text("abcdefgz019._-+=", min_size=1, max_size=12)


@given(st.sampled_from(["destek@ornek.com.tr", "sales@example.com"]), LOCAL, st.booleans())
def test_a_tag_changes_nothing_about_whose_mailbox_it_is(ours: str, tag: str, shouted: bool) -> None:
    listener = Listener(protocol="lmtp", host="", port=0, recipients=OURS)
    local, _, domain = ours.partition("@")
    tagged = f"{local}+{tag}@{domain}"
    assert listener.takes(tagged.upper() if shouted else tagged)
    assert not listener.takes(f"{local}{tag.replace('+', '-')}@{domain}")
    assert not listener.takes(f"{tagged}.example")
    assert listener.takes(f"{tag}@buketdukkani.example")


@given(st.text(max_size=60) | st.text("@.+azdestk", max_size=20).map(lambda local: f"{local}@ORNEK.com.tr"))
def test_only_what_ends_in_one_of_our_domains_is_ever_taken(recipient: str) -> None:
    listener = Listener(protocol="lmtp", host="", port=0, recipients=OURS)
    domain = plain(recipient).rpartition("@")[2]
    assert not listener.takes(recipient) or domain in ("ornek.com.tr", "example.com", "buketdukkani.example")
    assert not listener.takes("@buketdukkani.example")


def test_a_domain_is_the_same_in_either_spelling() -> None:
    listener = Listener(protocol="lmtp", host="", port=0, recipients=frozenset({"destek@mağaza.example"}))
    assert listener.takes("destek+r.1@" + "mağaza.example".encode("idna").decode())
    assert listener.takes("Destek@MAĞAZA.example")
    assert not listener.takes("destek@magaza.example")
