"""One harness for every adapter. An adapter's test is two tables, and the harness adds what an author would forget.

`Arrives`: a payload file, and the events it must become. `Leaves`: what is asked of the channel, what the provider
answers, and the exact calls and outcome. The provider is a real HTTP server, the adapter runs with its real SDK.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import traceback
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import strategies as st

from channels.channel import Request
from channels.errors import ChannelError, Malformed, SendFailed
from channels.message import Edited, Event, Letter, Received, SentElsewhere, Unreadable

AT = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)

# --- what a table is made of


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One kind of channel, as the harness needs it."""

    kind: str
    make: Callable[[str], Any]  # the provider's base URL to a channel that gives up on an answer after a second
    secrets: tuple[str, ...]
    signed: Callable[[bytes], Request]
    signature: str  # the header that carries it
    covers_body: bool  # False: the signature is a shared word, not a digest
    payloads: Path
    send: Callable[[Any], Awaitable[Any]]  # the plainest message there is
    http: bool = True  # its provider is called over HTTP
    carried: bool = True  # a provider brings its messages, so that they can be forged and it can be away

    def payload(self, file: str) -> bytes:
        return (self.payloads / f"{file}.json").read_bytes()

    def files(self) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in self.payloads.glob("*.json")))


@dataclass(frozen=True, slots=True)
class Arrives:
    """`file` becomes `events`. Their `raw` is not compared: it is the body as it came, or the event's part of it."""

    file: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the provider answers to one call. `body` that is not bytes goes as JSON."""

    body: Any = b""
    status: int = 200
    content_type: str = "application/json"
    location: str = ""  # of a redirect
    dropped: bool = False  # the request was read, then the line broke
    cut: bool = False  # the line breaks in the middle of the body
    silent: bool = False  # the request was read, and no answer ever comes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as the provider got it: secrets in the path read `{secret}`, JSON inside form fields is decoded."""

    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """`do` makes exactly `calls` and ends in `outcome`: a value, or an error compared by type and what it names."""

    name: str
    do: Callable[[Any], Awaitable[Any]]
    answers: tuple[Answer, ...]
    calls: tuple[Call, ...] | None  # None: whatever they are, they are as many as the answers
    outcome: Any


# --- inbound


def check_arrives(subject: Subject, row: Arrives) -> None:
    body = subject.payload(row.file)
    channel = subject.make("http://127.0.0.1:9")
    request = subject.signed(body)
    with nothing_leaks(subject) as told:
        channel.verify(request)
        got = tuple(channel.parse(request, AT))
        assert tuple(with_raw(event, b"") for event in got) == row.events
        for event in got:
            kept = raw_of(event)
            assert kept in (None, request.body) or event in channel.parse(replace(request, body=kept), AT), (
                "what is kept of an event of a batch can be read again by itself"
            )
        assert tuple(channel.parse(subject.signed(body), AT)) == got, (
            "the same bytes at the same time are the same events"
        )
        for event in got:
            storable(event)
        told.append(repr(got))


def posted(payload: bytes) -> tuple[bytes, dict[str, str]]:
    """The form that a payload file of a provider stands for which posts forms, and the query below its key "?".

    A list is a field several times; what is no JSON object goes as it is.
    """
    try:
        named = json.loads(payload)
    except (ValueError, RecursionError):
        return payload, {}
    if not isinstance(named, dict):
        return payload, {}
    query = named.pop("?", {})
    pairs = [
        (key, value if isinstance(value, str) else json.dumps(value))
        for key, values in named.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    found = {key: str(value) for key, value in query.items()} if isinstance(query, dict) else {}
    return urlencode(pairs, errors="surrogatepass").encode(), found


def with_raw(event: Event, body: bytes) -> Event:
    match event:
        case Received() | Unreadable() | SentElsewhere():
            return replace(event, raw=body)
        case Edited():
            return replace(event, message=replace(event.message, raw=body))
        case _:
            return event


def raw_of(event: Event) -> bytes | None:
    match event:
        case Received() | Unreadable() | SentElsewhere():
            return event.raw
        case Edited():
            return event.message.raw
        case _:
            return None


def storable(value: Any) -> None:
    """No NUL, no lone surrogate, no number over 64 bits, no naive time: what every database takes."""
    match value:
        case str():
            value.encode()
            assert "\x00" not in value
        case datetime():
            assert value.tzinfo is not None
        case bool() | bytes() | None | float() | UUID():
            pass
        case int():
            assert -(2**63) <= value < 2**63
        case tuple() | list():
            for item in value:
                storable(item)
        case dict():
            json.dumps(value)
            for key, item in value.items():
                storable(key)
                storable(item)
        case _:
            assert is_dataclass(value), type(value)
            for part in fields(value):
                storable(getattr(value, part.name))


def forgeries(subject: Subject, body: bytes) -> Iterator[tuple[str, Request]]:
    """Requests nobody may accept, each with what is wrong with it."""
    request = subject.signed(body)
    true = request.headers[subject.signature]
    others = {key: value for key, value in request.headers.items() if key != subject.signature}
    yield "no signature", replace(request, headers=others)
    for what, wrong in {
        "empty": "",
        "cut short": true[:-1],
        "one character more": true + "x",
        "one character other": ("x" if true[0] != "x" else "y") + true[1:],
        "other case": true.swapcase(),
        "not ASCII": "ş" + true[1:],
        "a lone surrogate": "\udcff" + true[1:],
        "blanks around it": f" {true} ",
        "a NUL": true + "\x00",
    }.items():
        yield f"signature: {what}", replace(request, headers={**others, subject.signature: wrong})
    if subject.covers_body:
        yield "body changed", replace(request, body=body + b" ")


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -0.0, 99999999999]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.text(st.characters(categories=["Cs", "Cc", "Cf", "So"]), max_size=20),
    st.recursive(
        st.just({}), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*path, key))


def changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    if not path:
        return to
    key, *rest = path
    items = dict(value) if isinstance(value, dict) else list(value)
    items[key] = changed(value[key], tuple(rest), to)
    return items


@st.composite
def mutations(draw: st.DrawFn, body: bytes) -> bytes:
    """A payload with a few of its parts replaced by something else, or with its bytes damaged."""
    value = json.loads(body)
    for _ in range(draw(st.integers(1, 3))):
        value = changed(value, draw(st.sampled_from(list(places(value)))), draw(JUNK))
    text = json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.binary(max_size=6)) + text[at + draw(st.integers(0, 6)) :]
    return text


def check_survives(subject: Subject, body: bytes) -> None:
    """Whatever a verified sender sends is events that can be stored, or `Malformed`; never another exception."""
    try:
        events = subject.make("http://127.0.0.1:9").parse(subject.signed(body), AT)
    except Malformed:
        return
    for event in events:
        assert isinstance(event, Event | Letter)
        storable(event)


# --- outbound


class Provider:
    """Gives the canned answers in order and keeps what it was asked."""

    def __init__(self, subject: Subject, answers: tuple[Answer, ...]) -> None:
        self.subject = subject
        self.answers = deque(answers)
        self.calls: list[Call] = []
        self.url = ""
        self.closing = asyncio.Event()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(await self.read(request))
        if not self.answers:
            return web.Response(status=599, text="no answer is left for this call")
        answer = self.answers.popleft()
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        if answer.silent:
            await self.closing.wait()
        if answer.cut:
            response = web.StreamResponse(status=answer.status, headers={"Content-Length": str(len(body) + 100)})
            await response.prepare(request)
            await response.write(body)
        if (answer.dropped or answer.cut) and request.transport:
            request.transport.abort()
        headers = {"Location": answer.location} if answer.location else {}
        return web.Response(status=answer.status, body=body, content_type=answer.content_type, headers=headers)

    async def read(self, request: web.Request) -> Call:
        path = request.path_qs
        for secret in self.subject.secrets:
            path = path.replace(secret, "{secret}")
        posted: dict[str, Any] = {}
        files: dict[str, tuple[str, bytes]] = {}
        if request.content_type == "application/json":
            posted = await request.json()
        else:
            for key, value in (await request.post()).items():
                if isinstance(value, web.FileField):
                    files[key] = (value.filename, value.file.read())
                else:
                    posted[key] = json.loads(value) if value[:1] in ("{", "[") else value
        for count, key in enumerate(list(files), 1):  # SDKs name uploads by chance
            known = f"upload-{count}"
            files[known] = files.pop(key)
            posted = {it: v.replace(key, known) if isinstance(v, str) else v for it, v in posted.items()}
        return Call(method=request.method, path=path, fields=posted, files=files)


@asynccontextmanager
async def provider(subject: Subject, *answers: Answer) -> AsyncIterator[Provider]:
    canned = Provider(subject, answers)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", canned.serve)
    server = TestServer(app)
    await server.start_server(access_log=None)  # the provider may write down what we may not
    canned.url = str(server.make_url("")).rstrip("/")
    try:
        yield canned
    finally:
        canned.closing.set()
        await server.close()


async def check_leaves(subject: Subject, row: Leaves) -> None:
    async with provider(subject, *row.answers) as canned:
        with nothing_leaks(subject) as told, only_talks_to(canned.url):
            channel = subject.make(canned.url)
            try:
                outcome = await row.do(channel)
            except ChannelError as error:
                outcome = error
                told.append("".join(traceback.format_exception(error)))
                told.extend(f"{cause!r} {vars(cause)}" for cause in causes(error))
            finally:
                await channel.close()
            told.extend((repr(channel), repr(outcome)))
        if row.calls is None:
            assert len(canned.calls) == len(row.answers)
        else:
            assert canned.calls == list(row.calls)
        assert not canned.answers, "every canned answer is asked for"
    if isinstance(row.outcome, SendFailed):
        assert isinstance(outcome, SendFailed), outcome
        assert type(outcome) is type(row.outcome), f"{outcome!r} {vars(outcome)}"
        named = {key: value for key, value in vars(row.outcome).items() if value}
        assert {key: vars(outcome)[key] for key in named} == named
    else:
        assert outcome == row.outcome


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


# --- what every row is checked for

CONNECTED: list[Any] = []
sys.addaudithook(lambda event, args: CONNECTED.append(args[1]) if event == "socket.connect" else None)


@contextmanager
def only_talks_to(url: str) -> Iterator[None]:
    """No connection leaves for another place than the configured one."""
    host, _, port = url.partition("//")[2].partition(":")
    before = len(CONNECTED)
    yield
    assert {tuple(address[:2]) for address in CONNECTED[before:]} <= {(host, int(port))}


@contextmanager
def nothing_leaks(subject: Subject) -> Iterator[list[str]]:
    """No secret in any log line or in what the row adds to the list: errors with all their causes, reprs, results."""
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(handler.format(record))  # type: ignore[method-assign]
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield told
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
    for line in told:
        for secret in subject.secrets:
            assert secret not in line
