"""What the reading of mailboxes is made of: fingerprints, folders, cursors, words, tokens; and odd servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from channels.channel import Pulled
from channels.errors import Misconfigured, Retry
from channels.mail.digest import digest
from channels.mail.imap import places as cursors
from channels.mail.imap.box import Account, Mailbox
from channels.mail.imap.folders import Folder, choose
from channels.mail.imap.line import listed
from channels.mail.imap.places import WINDOW, Place
from channels.mail.imap.wire import is_private
from channels.mail.imap.words import LATEST, LONGEST, login_pause, pause, refused, shortened
from channels.mail.oauth import OAuth
from sandbox.mail.values import Settings, Stored
from sandbox.mail.world import World

MOST_SECONDS = 20
SHOP = "support@shop.example"
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)

# --- the fingerprint

MAIL = b"From: Ada <ada@example.com>\r\nSubject: Where is it\r\nDate: Mon, 4 May 2026 12:00:00 +0300\r\n\r\nHello\r\n"
TRACE = (
    b"Return-Path: <ada@example.com>\r\n",
    b"Received: from a.example by b.example\r\n\twith ESMTPS; Mon, 4 May 2026 12:00:01 +0300\r\n",
    b"Delivered-To: support@shop.example\r\n",
    b"Authentication-Results: mx.shop.example;\r\n dkim=pass\r\n",
    b"X-Received: by 2002:a05\r\n",
    b"ARC-Seal: i=1; a=rsa-sha256\r\n",
    b"X-Spam-Status: No\r\n",
)


@given(st.lists(st.sampled_from(TRACE)), st.booleans(), st.sampled_from([b"", b"\r\n", b"\n\n\r\n"]))
def test_one_mail_over_two_ways_has_one_digest(trace: list[bytes], bare: bool, end: bytes) -> None:
    raw = b"".join(trace) + MAIL + end
    assert digest(raw.replace(b"\r\n", b"\n") if bare else raw) == digest(MAIL)


@given(st.integers(0, len(MAIL) - 3), st.integers(0, 255))
def test_two_mails_have_two(at: int, byte: int) -> None:
    other = MAIL[:at] + bytes([byte]) + MAIL[at + 1 :]
    assert (digest(other) == digest(MAIL)) == (
        other.replace(b"\r\n", b"\n") == MAIL.replace(b"\r\n", b"\n")
    ) or _reads_as_trace(other)


def _reads_as_trace(raw: bytes) -> bool:
    return raw[:1] in b" \t"


def test_what_a_sender_writes_below_counts_though_it_is_called_received() -> None:
    below = MAIL.replace(b"Subject:", b"Received: by hand\r\nSubject:")
    assert digest(below) != digest(MAIL)


@pytest.mark.parametrize("tail", [b"\r", b"\n", b"x\r\ny"])
def test_a_line_end_on_the_edge_of_a_piece_is_one(tail: bytes) -> None:
    for length in range((1 << 20) - 3, (1 << 20) + 2):
        raw = b"A: b\n\n" + b"x" * (length - 6) + b"\r\n" + tail + b"end"
        assert digest(raw) == digest(raw.replace(b"\r\n", b"\n"))


@given(st.binary(max_size=300))
def test_any_bytes_have_a_digest(raw: bytes) -> None:
    assert len(digest(raw)) == 32


# --- folders


def folder(name: str, *marks: str, delimiter: str = "/") -> Folder:
    return Folder(name=name, marks=marks, delimiter=delimiter)


def test_what_the_server_marks_counts_before_a_name() -> None:
    found = choose([folder("INBOX"), folder("Spam"), folder("Çöp", "\\HasNoChildren", "\\Junk"), folder("Sent")])
    assert found.read == ("INBOX", "Çöp")
    assert found.spam == {"Çöp"}
    assert found.sent == ("Sent",)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Spam",
            "INBOX.Spam",
            "[Gmail]/Spam",
            "Junk E-mail",
            "Gereksiz E-posta",
            "ISTENMEYEN",
            "İstenmeyen",
            "Önemsiz",
        ),
        *("Спам", "Нежелательная почта", "Courrier indésirable", "Correo no deseado", "Unerwünscht", "垃圾邮件"),
        *(
            "迷惑メール",
            "البريد العشوائي",
            "Posta indesiderata",
            "Ongewenste e-mail",
            "Skräppost",
            "[Google Mail]/Spam",
        ),
    ],
)
def test_the_spam_folder_is_known_in_many_languages(name: str) -> None:
    found = choose([folder("INBOX"), folder("Archive"), folder(name, delimiter="." if "INBOX." in name else "/")])
    assert found.read == ("INBOX", name)
    assert found.spam == {name}


def test_a_folder_that_cannot_be_opened_is_not_read() -> None:
    found = choose([folder("INBOX"), folder("Spam", "\\NoSelect"), folder("Mail/Junk")])
    assert found.read == ("INBOX", "Mail/Junk")


def test_wanted_folders_are_found_by_either_name_and_missed_in_words() -> None:
    there = [folder("INBOX"), folder("Shop/İadeler"), folder("Shop")]
    found = choose(there, ("iadeler", "shop", "inbox", "Returns"))
    assert found.read == ("INBOX", "Shop/İadeler", "Shop")
    assert found.missing == ("Returns",)
    assert not found.spam


@pytest.mark.parametrize(
    ("item", "name", "delimiter"),
    [
        (rb'(\HasNoChildren \Junk) "/" Junk', "Junk", "/"),
        (b'() "." "INBOX.&BCEEPwQwBDw-"', "INBOX.Спам", "."),
        (rb'(\Noselect) "\\" "a \"b\" c"', 'a "b" c', "\\"),
        ((b'() "/" {5}', b'ab"cd'), 'ab"cd', "/"),
        (b"() NIL R&D", "R&D", ""),  # not as it has to be written
        ('() "/" "Спам"'.encode(), "Спам", "/"),
        (b'() "/" "\xff\xfe"', "ÿþ", "/"),
    ],
)
def test_folders_are_listed_whatever_they_are_called(item: Any, name: str, delimiter: str) -> None:
    found = listed(item)
    assert found is not None
    assert (found.name, found.delimiter) == (name, delimiter)


# --- the cursor

places = st.builds(
    lambda last, back, validity: Place(
        validity=validity,
        last=last,
        since=1_777_000_000,
        waiting=tuple(sorted({last - step for step in back if last - step > 0})),
    ),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 5_000), max_size=60),
    st.integers(0, 2**32 - 1),
)


@given(st.dictionaries(st.text(max_size=20).filter(lambda text: text.isprintable()), places, max_size=4))
def test_a_cursor_says_what_was_put_into_it(known: dict[str, Place]) -> None:
    assert cursors.read(cursors.write(known)) == known


@pytest.mark.parametrize(
    "cursor", ["", "{", "[]", "17", '{"INBOX": 1}', '{"INBOX": [1, 2]}', '{"INBOX": [1, 2, 3, "a"]}']
)
def test_what_is_no_cursor_is_none(cursor: str) -> None:
    assert cursors.read(cursor) == {}


def answer(place: Place, server: set[int]) -> list[int]:
    """What a server answers to a question of ours: with its `n:*` habit, and in no order."""
    found = []
    for word in place.question.split(","):
        first, _, last = word.partition(":")
        end = max(server, default=0) if last == "*" else int(last or first)
        low, high = sorted((int(first), end))
        found += [uid for uid in server if low <= uid <= high]
    return found


@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(1, 400), max_size=30), st.integers(1, 9), st.sets(st.integers(1, 400), max_size=5)
        ),
        max_size=12,
    )
)
def test_each_mail_is_read_once_whenever_its_number_shows_up(rounds: list[tuple[set[int], int, set[int]]]) -> None:
    """Numbers appear late, some mails go before they are read, and a pull takes only so many."""
    place = Place(validity=1, last=0, since=0)
    server: set[int] = set()
    read: list[int] = []
    missed: set[int] = set()
    for come, most, gone in rounds:
        missed |= {uid for uid in come - server if uid <= place.last - WINDOW}
        server = (server | come) - gone
        there = place.new(answer(place, server))
        taken = there[:most]
        read += taken
        place = place.after(there, taken)
    while taken := place.new(answer(place, server)):
        read += taken
        place = place.after(taken, taken)
    assert len(read) == len(set(read)), "read twice"
    assert server - set(read) <= missed, "passed by"


def test_a_long_backlog_is_asked_for_in_lines_a_server_takes() -> None:
    place = Place(validity=1, last=4_000, since=0, waiting=tuple(range(1, 4_000, 2)))
    server, read = set(range(1, 4_100)), []
    while there := place.new(answer(place, server)):
        assert len(place.question) < 8_000
        read += there[:500]
        place = place.after(there, there[:500])
    assert read == [*range(1, 4_000, 2), *range(4_001, 4_100)]


# --- words


@pytest.mark.parametrize(
    ("said", "host", "kind", "words"),
    [
        ("[AUTHENTICATIONFAILED] Invalid credentials (Failure)", "imap.gmail.com", Misconfigured, "apppasswords"),
        ("[ALERT] Application-specific password required", "imap.gmail.com", Misconfigured, "apppasswords"),
        ("[ALERT] Your account is not enabled for IMAP use", "imap.gmail.com", Misconfigured, "IMAP is turned off"),
        ("LOGIN failed.", "outlook.office365.com", Misconfigured, "OAuth"),
        ("[AUTHENTICATIONFAILED] AUTHENTICATE failed.", "imap.yandex.com.tr", Misconfigured, "id.yandex.com"),
        ("[AUTHENTICATIONFAILED] Authentication failed.", "imap.mail.ru", Misconfigured, "external applications"),
        ("[AUTHENTICATIONFAILED] Authentication failed", "imap.mail.me.com", Misconfigured, "account.apple.com"),
        ("[AUTHENTICATIONFAILED] Authentication failed.", "mail.shop.example", Misconfigured, "user name"),
        ("[UNAVAILABLE] Temporary authentication failure.", "mail.shop.example", Retry, "Temporary"),
        ("[LIMIT] Too many simultaneous connections.", "imap.gmail.com", Retry, "Too many"),
        ("Server error - Please try again later", "outlook.office365.com", Retry, "later"),
    ],
)
def test_a_refused_login_says_what_to_do(said: str, host: str, kind: type[Exception], words: str) -> None:
    failure = refused(said, host, oauth=False)
    assert type(failure) is kind
    assert words in failure.detail


@given(st.text(min_size=6, alphabet="abcXYZ019!$§"), st.text(max_size=300), st.text(max_size=3_000))
def test_a_secret_said_back_is_not_shown(secret: str, before: str, after: str) -> None:
    said = f"{before} {secret} {after}"
    assert secret not in shortened(said, (secret,)) or secret in shortened(f"{before} {after}")
    assert len(shortened(said)) <= 200


@given(st.integers(1, 10_000), st.text(max_size=10))
def test_pauses_grow_and_end(failures: int, name: str) -> None:
    assert timedelta() < pause(failures, name) <= LONGEST
    assert pause(failures, name) <= pause(failures + 2, name) or pause(failures, name) > LONGEST * 0.7
    assert timedelta(minutes=1) <= login_pause(failures) <= login_pause(failures + 1) <= LATEST


# --- the URL


def test_a_url_says_it_all() -> None:
    account = Account.from_url("imaps://support%40shop.example:p%3A%2Fw@imap.example", folders=("Returns",))
    assert (account.host, account.port, account.security) == ("imap.example", 993, "tls")
    assert (account.user, account.password) == (SHOP, "p:/w")
    assert account.folders == ("Returns",)
    assert "p:/w" not in repr(account)
    assert Account.from_url("imap://a:b@imap.example").security == "starttls"
    assert Account.from_url("imap://a:b@imap.example").port == 143
    assert Account.from_url("imap://a:b@localhost:1143?starttls=off").security == "none"
    assert Account.from_url("imaps://a:b@imap.example?auth=xoauth2").by_token


@pytest.mark.parametrize(
    "url",
    [
        *("", "https://a:hunter2@h", "imaps://h", "imaps://a:hunter2@h:port", "imaps://a:hunter2@h?auth=plain"),
        *(
            "imaps://a:hunter2@h?x=1",
            "imaps://a:hunter2%0d%0aLOGOUT@h",
            "imaps://[a:hunter2@h",
            "imap://a:hunter2@h?starttls",
        ),
    ],
)
def test_a_wrong_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match="imap") as caught:
        Account.from_url(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "private"),
    [
        *(("127.0.0.1", True), ("::1", True), ("10.1.2.3", True), ("192.168.0.9", True), ("fe80::1%eth0", True)),
        *(("fd00::5", True), ("::ffff:172.16.0.1", True)),
        *(("8.8.8.8", False), ("::ffff:8.8.8.8", False), ("2001:4860:4860::8888", False)),
    ],
)
def test_only_what_is_near_may_go_without_encryption(address: str, private: bool) -> None:
    assert is_private(address) is private


# --- tokens


class TokenServer:
    def __init__(self) -> None:
        self.status = 200
        self.answer: Any = {"access_token": "t1", "expires_in": 3600}
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._give)
        self.server = TestServer(app, host="127.0.0.1")

    async def _give(self, request: web.Request) -> web.Response:
        self.asked.append({name: str(value) for name, value in (await request.post()).items()})
        body = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
        return web.Response(status=self.status, text=body, headers=self.headers)

    def oauth(self, **more: Any) -> OAuth:
        given = {"client_id": "app", "client_secret": "s3cret", "refresh_token": "r3fresh", "scope": "mail"}
        return OAuth(token_url=str(self.server.make_url("/token")), **{**given, **more})


@pytest_asyncio.fixture
async def tokens() -> AsyncIterator[TokenServer]:
    made = TokenServer()
    await made.server.start_server()
    yield made
    await made.server.close()


async def ask(oauth: OAuth, at: datetime = NOON, **more: str) -> str:
    return await asyncio.to_thread(oauth.token, at, **more)


async def test_a_token_is_kept_until_shortly_before_its_end(tokens: TokenServer) -> None:
    oauth = tokens.oauth()
    assert await ask(oauth) == "t1"
    tokens.answer = {"access_token": "t2", "expires_in": "3600"}
    assert await ask(oauth, NOON + timedelta(minutes=54)) == "t1"
    assert await ask(oauth, NOON + timedelta(minutes=56)) == "t2"
    assert len(tokens.asked) == 2


async def test_many_who_ask_at_once_make_one_request(tokens: TokenServer) -> None:
    oauth = tokens.oauth()
    assert set(await asyncio.gather(*(ask(oauth) for _ in range(5)))) == {"t1"}
    assert set(await asyncio.gather(*(ask(oauth, instead_of="t0") for _ in range(5)))) == {"t1"}
    assert len(tokens.asked) == 1


async def test_an_app_of_its_own_asks_with_its_credentials(tokens: TokenServer) -> None:
    await ask(tokens.oauth(refresh_token=""))
    assert tokens.asked == [
        {"client_id": "app", "client_secret": "s3cret", "scope": "mail", "grant_type": "client_credentials"}
    ]


@pytest.mark.parametrize(
    ("status", "answer", "kind", "words"),
    [
        (400, {"error": "invalid_grant", "error_description": "r3fresh is bad"}, Misconfigured, "oauth_refresh_token"),
        (401, {"error": "invalid_client"}, Misconfigured, "oauth_client_secret"),
        (400, {"error": "invalid_scope"}, Misconfigured, "oauth_scope"),
        (404, "<html>", Misconfigured, "oauth_"),
        (200, {"token": "x"}, Misconfigured, "oauth_token_url"),
        (200, {"access_token": "a\r\nX: y"}, Misconfigured, "oauth_token_url"),
        (200, "[" * 100_000, Misconfigured, "oauth_token_url"),
        (429, {}, Retry, "just now"),
        (503, "<html>", Retry, "just now"),
        (400, {"error": "temporarily_unavailable"}, Retry, "just now"),
    ],
)
async def test_without_a_token_it_is_said_why(
    tokens: TokenServer, status: int, answer: Any, kind: type[Misconfigured | Retry], words: str
) -> None:
    tokens.status, tokens.answer = status, answer
    with pytest.raises(kind) as caught:
        await ask(tokens.oauth())
    assert words in caught.value.detail
    for secret in ("s3cret", "r3fresh "):
        assert secret not in caught.value.detail


async def test_secrets_are_not_carried_to_where_a_redirect_points(tokens: TokenServer) -> None:
    tokens.status, tokens.headers = 307, {"Location": "/elsewhere"}
    with pytest.raises(Misconfigured):
        await ask(tokens.oauth())
    assert len(tokens.asked) == 1


async def test_secrets_go_over_no_open_line(tokens: TokenServer) -> None:
    with pytest.raises(ValueError, match="https"):
        OAuth(token_url="http://login.example/token", client_id="app")
    oauth = tokens.oauth()
    await tokens.server.close()
    with pytest.raises(Retry):
        await ask(oauth)
    assert "s3cret" not in repr(oauth)


# --- odd servers


class Shop:
    """A mailbox in the emulated mail world, and what Santral would have stored of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cursor = ""
        self.subjects: list[str] = []
        self.folder = world.add_account(SHOP, password="hunter2").folders["INBOX"]

    def account(self, **more: Any) -> Account:
        return Account.from_url(self.world.imap_url(SHOP), **{"timeout": 10, **more})

    def box(self, **more: Any) -> Mailbox:
        return Mailbox("support", self.account(**more), now=lambda: datetime.now(UTC))

    def deliver(self, subject: str) -> Stored:
        return self.folder.add(f"Subject: {subject}\r\n\r\nHi\r\n".encode(), datetime.now(UTC))

    async def pull(self, box: Mailbox) -> Pulled:
        pulled = await asyncio.wait_for(box.pull(self.cursor), MOST_SECONDS)
        self.cursor = pulled.cursor
        self.subjects += [letter.raw.partition(b"\r\n")[0].decode()[9:] for letter in pulled.letters]
        return pulled

    async def pull_until(self, box: Mailbox, count: int) -> None:
        async with asyncio.timeout(MOST_SECONDS):
            while len(self.subjects) < count:
                await self.pull(box)


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[Shop]:
    world = World(Settings())
    await world.start()
    yield Shop(world)
    await world.close()


async def test_a_number_that_shows_up_late_is_found(shop: Shop) -> None:
    for number in range(1, 6):
        shop.deliver(f"n{number}")
    late = shop.folder.mails.pop(3)
    box = shop.box(idle_seconds=0.05)
    await shop.pull_until(box, 4)
    shop.folder.mails = dict(sorted({**shop.folder.mails, 3: late}.items()))
    await shop.pull_until(box, 5)
    await shop.pull(box)
    assert shop.subjects == ["n1", "n2", "n4", "n5", "n3"]
    await box.close()


async def test_a_mail_that_is_refused_for_now_comes_later(shop: Shop) -> None:
    shop.deliver("n1")
    shop.deliver("n2")
    # Of four fetches the first asks for dates and sizes, then both mails are asked for, then each alone.
    shop.world.troubles.add([{"match": "imap.uid-fetch", "action": "status", "after": 3, "times": 3}])
    box = shop.box(idle_seconds=0.05)
    await shop.pull_until(box, 2)
    assert shop.subjects == ["n1", "n2"]
    await box.close()


async def test_a_server_that_is_tired_is_left_alone_for_a_while(shop: Shop) -> None:
    shop.world.troubles.add([{"match": "imap.login", "action": "ratelimit", "times": 1}])
    box = shop.box()
    with pytest.raises(Retry, match="exceeded"):
        await shop.pull(box)
    shop.deliver("one")
    await shop.pull_until(box, 1)
    await box.close()


async def test_a_greeting_that_sends_us_away_is_no_fault_of_ours(shop: Shop) -> None:
    shop.world.troubles.add([{"match": "imap.connect", "action": "down", "body": "Too many connections", "times": 1}])
    with pytest.raises(Retry, match="Too many connections"):
        await shop.pull(shop.box())


async def test_a_mailbox_moved_under_us_is_read_anew(shop: Shop) -> None:
    shop.deliver("one")
    box = shop.box()
    await shop.pull_until(box, 1)
    pulling = asyncio.create_task(shop.pull(box))
    while not shop.world.idlers(SHOP) and not pulling.done():
        await asyncio.sleep(0)
    shop.world.renew(SHOP)
    with pytest.raises(Retry):
        await asyncio.wait_for(pulling, MOST_SECONDS)
    await shop.pull_until(box, 2)
    assert shop.subjects == ["one", "one"]
    await box.close()


async def test_a_refused_token_is_asked_for_once_more_and_then_said(shop: Shop, tokens: TokenServer) -> None:
    oauth = tokens.oauth()
    box = Mailbox("support", replace(shop.account(), oauth=oauth), now=lambda: NOON)
    with pytest.raises(Misconfigured) as caught:
        await shop.pull(box)
    assert "oauth_scope" in caught.value.detail
    assert len(tokens.asked) == 2
    assert "t1" not in caught.value.detail.split()
    shop.world.add_account(SHOP, tokens={"t1"})
    shop.deliver("one")
    good = Mailbox("support", replace(shop.account(), oauth=oauth), now=lambda: NOON)
    await shop.pull_until(good, 1)
    await good.close()


async def test_names_and_passwords_may_be_in_any_script(shop: Shop) -> None:
    shop.world.add_account(SHOP, password="şifre çok gizli")
    shop.deliver("one")
    box = shop.box()
    await shop.pull_until(box, 1)
    await box.close()
    wrong = Mailbox("support", replace(shop.account(), password='yanlış"\\'), now=lambda: NOON)
    with pytest.raises(Misconfigured):
        await shop.pull(wrong)
