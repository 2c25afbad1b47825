"""The one HTTP line: what a call ends in, and which addresses a file may be fetched from with whose credentials."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from channels.errors import FILE_TOO_BIG, InDoubt, Misconfigured, Refused, Retry, SendFailed
from channels.line import LONGEST, MOST, Answered, Line, gone, is_address, is_public, near, outcome, waits

SECRET = {"Authorization": "Bearer of-the-shop"}


@asynccontextmanager
async def served(*handlers: Callable[[web.Request], object]) -> AsyncIterator[tuple[list[str], list[web.Request]]]:
    """Servers on this machine, each with one handler; their addresses, and every request they got."""
    urls, asked, running = [], [], []
    for handler in handlers:

        async def answer(
            request: web.Request, handler: Callable[[web.Request], object] = handler
        ) -> web.StreamResponse:
            asked.append(request)
            made = handler(request)
            return await made if asyncio.iscoroutine(made) else made  # type: ignore[return-value]

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        server = TestServer(app)
        await server.start_server()
        running.append(server)
        urls.append(str(server.make_url("")).rstrip("/"))
    try:
        yield urls, asked
    finally:
        for server in running:
            await server.close()


async def fetched(line: Line, url: str, at_most: int = 1 << 20, **more: object) -> bytes:
    return b"".join([chunk async for chunk in line.fetch(url, at_most=at_most, **more)])  # type: ignore[arg-type]


@asynccontextmanager
async def line(api_url: str, **more: float) -> AsyncIterator[Line]:
    made = Line("Acme", api_url, **more)
    try:
        yield made
    finally:
        await made.close()


# --- calls


async def test_an_answer_is_an_answer_whatever_its_status() -> None:
    async with served(lambda _: web.json_response({"a": 1}, status=418)) as ((url,), _), line(url) as acme:
        answer = await acme.call("POST", "/x", json={})
        assert (answer.status, answer.json()) == (418, {"a": 1})


async def test_a_redirect_is_not_followed_and_what_is_posted_goes_nowhere_else() -> None:
    def away(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://127.0.0.1:9/"})

    async with served(away) as ((url,), asked), line(url) as acme:
        assert (await acme.call("POST", "/x", data=b"secret")).status == 307
        assert len(asked) == 1


async def test_an_answer_without_end_is_cut() -> None:
    async with served(lambda _: web.Response(body=b"x" * (MOST + 5_000))) as ((url,), _), line(url) as acme:
        assert len((await acme.call("GET", "/")).body) == MOST


@pytest.mark.parametrize(("repeatable", "error"), [(False, InDoubt), (True, Retry)])
async def test_a_line_that_breaks_is_a_doubt_unless_the_call_may_be_repeated(
    repeatable: bool, error: type[SendFailed]
) -> None:
    async def drop(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with served(drop) as ((url,), _), line(url) as acme:
        with pytest.raises(error) as caught:
            await acme.call("POST", "/x", repeatable=repeatable)
        assert url not in repr(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None


async def test_who_cannot_be_reached_has_got_nothing() -> None:
    async with line("http://127.0.0.1:9") as acme:
        with pytest.raises(Retry) as caught:
            await acme.call("POST", "/x")
        assert caught.value.whole_channel


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Refused), (401, Misconfigured), (429, Retry), (500, Retry), (502, InDoubt), (503, Retry), (504, InDoubt)],
)
def test_http_s_own_words(status: int, error: type[SendFailed]) -> None:
    made = outcome(Answered(status=status, headers={"Retry-After": "7"}, body=b""))
    assert type(made) is error
    if isinstance(made, Retry):
        assert made.after == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("header", "after"),
    [
        ("120", timedelta(minutes=2)),
        ("999999999999", LONGEST),
        ("Sun, 22 Nov 2026 08:00:30 GMT", timedelta(seconds=30)),
        ("Sun, 22 Nov 2026 07:00:00 GMT", timedelta(0)),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("²", None),
    ],
)
def test_how_long_to_wait(header: str, after: timedelta | None) -> None:
    assert waits(header, datetime(2026, 11, 22, 8, tzinfo=UTC)) == after


# --- files


async def test_credentials_go_to_the_provider_and_never_along_a_redirect_elsewhere() -> None:
    """Wire edge 15. Both servers are this machine; the other is reached by another of its names, at another port."""

    def cdn(_: web.Request) -> web.Response:
        return web.Response(body=b"the file")

    async with served(cdn) as ((there,), asked_there):
        elsewhere = there.replace("127.0.0.1", "localhost")

        def provider(_: web.Request) -> web.Response:
            return web.Response(status=302, headers={"Location": elsewhere + "/signed"})

        async with served(provider) as ((url,), asked), line(url) as acme:
            assert await fetched(acme, f"{url}/media", credentials=SECRET) == b"the file"
            assert asked[0].headers["Authorization"] == SECRET["Authorization"]
            assert "Authorization" not in asked_there[0].headers, "another port is another origin"


async def test_credentials_stay_at_home_when_a_stranger_names_the_address() -> None:
    async with served(lambda _: web.Response(body=b"x")) as ((url,), asked), line("http://localhost:1") as acme:
        assert await fetched(acme, f"{url}/any", credentials=SECRET) == b"x"
        assert "Authorization" not in asked[0].headers


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x",
        "https://127.0.0.1/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[64:ff9b::a00:1]/x",
        "https://0.0.0.0/x",
        "https://127.1/x",
        "https://127.0.0.1./x",
        "https://0177.0.0.1/x",
        "https://0x7f.0.0.1/x",
        "https://2130706433/x",
        "https://１０.0.0.1/x",
        "https://acme.example@127.1/x",
        "http://example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "/relative",
        "https://",
        "https://localhost/x",
        "https://[",
        "https://example.com:port/x",
        "https://example.com:99999/x",
    ],
)
async def test_private_and_plain_addresses_are_refused(url: str) -> None:
    async with line("https://api.acme.example") as acme:
        with pytest.raises(Refused):
            await fetched(acme, url, credentials=SECRET, hosts=("acme.example",))


async def test_a_redirect_into_the_private_network_is_refused() -> None:
    def inwards(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "https://10.0.0.1/"})

    async with served(inwards) as ((url,), _), line(url) as acme:
        with pytest.raises(Refused):
            await fetched(acme, f"{url}/media")


async def test_a_file_is_cut_off_while_it_streams() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"x" * (64 << 10))
        return response

    async with served(endless) as ((url,), _), line(url) as acme:
        with pytest.raises(Refused) as caught:
            await fetched(acme, f"{url}/media", at_most=100 << 10)
        assert caught.value.provider_code == FILE_TOO_BIG


async def test_a_file_that_says_it_is_too_large_is_not_begun() -> None:
    async with served(lambda _: web.Response(body=b"x" * 2_000)) as ((url,), _), line(url) as acme:
        with pytest.raises(Refused) as caught:
            await fetched(acme, url, at_most=1_000)
        assert caught.value.provider_code == FILE_TOO_BIG


async def test_a_circle_ends() -> None:
    def round_and_round(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": str(request.url)})

    async with served(round_and_round) as ((url,), asked), line(url) as acme:
        with pytest.raises(Refused):
            await fetched(acme, f"{url}/a")
        assert len(asked) < 10


@pytest.mark.parametrize(("status", "expired"), [(401, True), (403, True), (404, True), (410, True), (413, False)])
async def test_a_link_that_has_expired_is_told_from_others(status: int, expired: bool) -> None:
    async with served(lambda _: web.Response(status=status)) as ((url,), _), line(url) as acme:
        with pytest.raises(Refused) as caught:
            await fetched(acme, url)
        assert gone(caught.value) is expired


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_provider_in_trouble_is_asked_again_for_its_file(status: int) -> None:
    async with served(lambda _: web.Response(status=status)) as ((url,), _), line(url) as acme:
        with pytest.raises(Retry):
            await fetched(acme, url)


def test_all_names_of_this_machine_are_one() -> None:
    assert near("localhost", "127.0.0.1")
    assert near("::1", "localhost")
    assert not near("127.0.0.1", "api.acme.example")
    assert not near("", "")


@given(st.ip_addresses(v=4))
def test_an_address_hidden_in_another_is_no_more_public_than_by_itself(address: object) -> None:
    assert is_address(str(address))
    assert is_public(f"::ffff:{address}") == is_public(str(address))
    assert is_public(f"64:ff9b::{address}") == is_public(str(address))
