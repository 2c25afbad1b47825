"""Meta's Graph, as three channels share it: signatures, envelopes, and what its errors mean."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from channels.channel import Request
from channels.errors import (
    InDoubt,
    Malformed,
    Misconfigured,
    Refused,
    Retry,
    SendFailed,
    Unreachable,
    Unverified,
    WindowClosed,
)
from channels.line import Answered
from channels.meta.graph import (
    CODES,
    SIGNATURE,
    TOKEN_REFUSED,
    VERSION,
    Envelope,
    Fault,
    Graph,
    answer,
    proof,
    refusal,
    regained,
    settled,
    told_at,
    used,
    verify,
    walked,
)
from channels.phones import dialled
from tests.channels.harness import AT

# --- known answers, computed from Meta's description alone

BODY = rb'{"text":"\u00e4\u00f6\u00e5","u":"https:\/\/x"}'
SIGNED = "sha256=8c356952e42bf195f841383d3dcaac686d8b80cd6f681ecd0f03048857e99fef"


def posted(signature: str | None, body: bytes = BODY) -> Request:
    headers = {} if signature is None else {SIGNATURE: signature}
    return Request(method="POST", url="https://support.example.com/webhooks/wa", headers=headers, body=body)


def test_a_known_signature_is_accepted() -> None:
    verify(posted(SIGNED), "app-secret")
    verify(posted(SIGNED), "another", "app-secret")


def test_the_same_json_written_otherwise_is_not_what_was_signed() -> None:
    with pytest.raises(Unverified):
        verify(posted(SIGNED, json.dumps(json.loads(BODY)).encode()), "app-secret")


@pytest.mark.parametrize("secrets", [(), ("",), ("other",), ("other", "")])
def test_without_its_secret_nothing_is_believed(secrets: tuple[str, ...]) -> None:
    with pytest.raises(Unverified):
        verify(posted(SIGNED), *secrets)


def test_an_empty_secret_signs_nothing() -> None:
    empty = "sha256=" + proof("", "").rjust(64, "0")
    with pytest.raises(Unverified):
        verify(posted(empty, b""), "")


@given(signature=st.none() | st.text() | st.text(st.characters(categories=["Cs", "Cc"]), max_size=80))
def test_edge_03_whatever_stands_there_is_refused_and_nothing_else(signature: str | None) -> None:
    with pytest.raises(Unverified):
        verify(posted(signature), "app-secret")


def test_the_proof_of_a_token_is_the_known_one() -> None:
    assert proof("app-secret", "token123") == "ef3d95c21167e6899e1fda0a9f0750a79f9d62b3476b644437874685942870e3"


# --- the handshake

ASKED = {"hub.mode": "subscribe", "hub.verify_token": "kumbara", "hub.challenge": "1158201444"}


def shaken(query: dict[str, str]) -> Request:
    return Request(method="GET", url="https://support.example.com/webhooks/wa", headers={}, query=query)


def test_the_challenge_is_given_back_as_it_came() -> None:
    assert answer(shaken(ASKED), "kumbara") == "1158201444"


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({}, "kumbara"),
        ({**ASKED, "hub.verify_token": "Kumbara"}, "kumbara"),
        ({**ASKED, "hub.verify_token": "\udcff"}, "kumbara"),
        ({**ASKED, "hub.mode": "unsubscribe"}, "kumbara"),
        ({**ASKED, "hub.verify_token": ""}, ""),
    ],
)
def test_nobody_else_is_given_a_challenge(query: dict[str, str], word: str) -> None:
    with pytest.raises(Unverified):
        answer(shaken(query), word)


# --- envelopes


def accounts(envelope: Envelope) -> Any:
    return [entry and entry.account for _, entry in envelope.entries()]


def read(body: bytes) -> list[Any]:
    return list(walked(body, accounts))


def test_edge_20_every_entry_is_walked_and_a_poisoned_one_is_seen() -> None:
    body = {"object": "page", "entry": [{"id": "1", "messaging": [{}]}, 7, {"id": 2, "changes": "x"}, {"time": 1}]}
    assert read(json.dumps(body).encode()) == ["1", None, "2", ""]


def test_broken_text_is_mended_for_everybody() -> None:
    body = b'{"object":"page","entry":[{"id":"a\\ud83db"},{"id":"c\\u0000"}]}'
    assert read(body) == ["a\ufffdb", "c\ufffd"]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"object":"page"}', b'{"object":1,"entry":[]}', b"[" * 100_000])
def test_what_is_none_of_meta_s_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        walked(body, accounts)


@pytest.mark.parametrize(
    ("count", "at"),
    [
        ("1767225600", datetime(2026, 1, 1, tzinfo=UTC)),
        (1767225600, datetime(2026, 1, 1, tzinfo=UTC)),
        (1767225600250, datetime(2026, 1, 1, 0, 0, 0, 250000, tzinfo=UTC)),
        ("1767346200", AT + timedelta(minutes=5)),  # tomorrow: a clock that is wrong pushes nothing to the end
        ("99999999999999999999", AT),
        ("-5", AT),
        ("", AT),
        (None, AT),
        ("²", AT),
    ],
)
def test_a_moment_is_told_in_seconds_or_milliseconds(count: object, at: datetime) -> None:
    assert told_at(count, AT) == at


@given(count=st.integers() | st.text() | st.floats())
def test_any_moment_is_at_most_five_minutes_ahead(count: object) -> None:
    assert told_at(count, AT) <= AT + timedelta(minutes=5)


# --- errors


def answered(status: int = 400, headers: dict[str, str] | None = None, **error: Any) -> Answered:
    return Answered(status=status, headers=headers or {}, body=json.dumps({"error": error}).encode())


USAGE = {"X-Business-Use-Case-Usage": json.dumps({"1022": [{"estimated_time_to_regain_access": 19}, {}]})}

MEANINGS: list[tuple[str, Answered, SendFailed]] = [
    ("expired token", answered(401, code=190, error_subcode=463, message="Session expired"), Misconfigured()),
    ("missing permission", answered(403, code=200, message="Requires permission"), Misconfigured()),
    ("application has no right", answered(code=10, message="No permission"), Misconfigured()),
    ("Messenger's window", answered(code=10, error_subcode=2018278, message="Outside"), WindowClosed()),
    ("Instagram's window", answered(code=10, error_subcode=2534022, message="Outside"), WindowClosed()),
    ("WhatsApp's window", answered(code=131047, message="Re-engagement"), WindowClosed()),
    ("nobody there", answered(code=100, error_subcode=2018001, message="No matching user"), Unreachable()),
    ("blocked", answered(403, code=200, error_subcode=1545041, message="Not available"), Unreachable()),
    ("not available", answered(code=551, message="Not available"), Unreachable()),
    ("not on WhatsApp, maybe by SMS", answered(code=131026, message="Undeliverable"), Refused("Undeliverable")),
    ("retired tag", answered(code=100, error_subcode=1893061, message="Tag"), Refused("Tag")),
    ("no profile before consent", answered(code=230, message="Consent"), Refused("Consent")),
    ("template", answered(code=132001, message="Missing"), Refused("Missing")),
    ("account locked", answered(code=131031, message="Locked"), Misconfigured("Locked")),
    ("one person's pace", answered(code=131056), Retry(after=timedelta(seconds=6))),
    ("app's pace", answered(code=4, headers={"Retry-After": "7"}), Retry(after=timedelta(seconds=7))),
    ("account's pace", answered(code=80007, headers=USAGE), Retry(after=timedelta(minutes=19))),
    ("pace of a number", answered(code=130429, message="Hit"), Retry("Hit")),
    ("Meta stumbles", answered(500, code=2, message="Temporary"), Retry("Temporary")),
    ("Meta stumbles behind a gateway that gave up", answered(504, code=2, message="Timeout"), InDoubt("Timeout")),
    ("transient, whatever its code", answered(code=77777, is_transient=True), Retry()),
    ("unknown code", answered(code=77777, message="New"), Refused("New", provider_code="77777")),
    ("unknown code behind a 503", answered(503, code=77777, message="New"), Retry("New")),
    ("an error behind a 200", answered(200, code=190, message="Session expired"), Misconfigured()),
    ("an unknown error behind a 200", answered(200, code=77777, message="New"), Refused("New")),
    ("an error that is text", Answered(status=400, headers={}, body=b'{"error":"x"}'), Refused()),
    ("data that is text", answered(code=100, message="m", error_data="x"), Refused("m")),
    ("details are the better words", answered(code=100, message="m", error_data={"details": "d"}), Refused("d")),
    ("no error at all", Answered(status=200, headers={}, body=b"{}"), InDoubt()),
]


@pytest.mark.parametrize(("name", "got", "owed"), MEANINGS, ids=[row[0] for row in MEANINGS])
def test_an_error_is_named_by_the_next_move(name: str, got: Answered, owed: SendFailed) -> None:
    failure = refusal(got)
    assert type(failure) is type(owed)
    named = {key: value for key, value in vars(owed).items() if value}
    assert {key: vars(failure)[key] for key in named} == named


@pytest.mark.parametrize("code", [4, 17, 32, 613, 80007, 130429])
def test_a_pace_of_the_account_holds_the_whole_channel(code: int) -> None:
    failure = refusal(answered(code=code))
    assert isinstance(failure, Retry)
    assert failure.whole_channel


def test_a_pace_of_one_person_holds_nobody_else() -> None:
    failure = refusal(answered(code=131056))
    assert isinstance(failure, Retry)
    assert not failure.whole_channel


def test_edge_23_a_refused_token_is_said_in_our_words() -> None:
    assert refusal(answered(401, code=190, message="Malformed access token EAAG7x")).detail == TOKEN_REFUSED


def test_words_of_meta_s_carry_no_token_and_no_address() -> None:
    told = answered(code=100, message="token123 in https://graph.facebook.com/x?y and EAAGm0PX4ZCpsBAKZB1234567890")
    assert refusal(told, "token123").detail == "… in … and …"


@given(status=st.integers(200, 599), body=st.binary(max_size=80), repeatable=st.booleans())
def test_any_answer_is_an_error_with_a_name(status: int, body: bytes, repeatable: bool) -> None:
    failure = refusal(Answered(status=status, headers={}, body=body), repeatable=repeatable)
    assert isinstance(failure, SendFailed)
    assert not (repeatable and isinstance(failure, InDoubt))


@given(
    error=st.dictionaries(
        st.sampled_from(["code", "error_subcode", "message", "error_data", "is_transient"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.dictionaries(st.text(), st.text()),
    )
)
def test_any_error_object_is_an_error_with_a_name(error: dict[str, Any]) -> None:
    assert isinstance(refusal(answered(**error)), SendFailed)


@given(header=st.text() | st.just('{"1":[{"estimated_time_to_regain_access":1e999}]}') | st.just('{"1":{},"2":[7]}'))
def test_usage_headers_may_be_anything(header: str) -> None:
    told = regained({"X-Business-Use-Case-Usage": header})
    assert told is None or timedelta(0) < told <= timedelta(days=1)


@pytest.mark.parametrize(
    ("headers", "percent"),
    [
        ({}, 0),
        ({"X-App-Usage": '{"call_count":28,"total_time":25,"total_cputime":31}'}, 31),
        ({"X-Page-Usage": '{"call_count":96}', "X-App-Usage": "nonsense"}, 96),
        ({"X-Business-Use-Case-Usage": '{"1022":[{"type":"messenger","call_count":7},{"total_time":88}]}'}, 88),
        ({"X-App-Usage": '{"call_count":true,"total_time":"9","total_cputime":-1}'}, 0),
    ],
)
def test_how_much_of_meta_s_limits_is_used_up(headers: dict[str, str], percent: int) -> None:
    assert used(headers) == percent


@given(header=st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_a_usage_header_may_be_anything(header: str) -> None:
    assert used({"X-App-Usage": header, "X-Business-Use-Case-Usage": header}) >= 0


def test_edge_07_the_same_table_names_what_fails_later() -> None:
    assert settled(Fault(code=131047, title="Re-engagement message")) == (
        "window_closed",
        "131047 Re-engagement message",
        False,
    )
    assert settled(Fault(code=551)) == ("unreachable", "551", True)


def test_a_number_without_whatsapp_is_not_given_up_for_it_may_take_sms() -> None:
    assert settled(Fault(code=131026)) == ("unreachable", "131026", False)


@pytest.mark.parametrize("code", [code for code, kind in CODES.items() if kind in (Retry, Misconfigured)])
def test_what_failed_later_is_not_said_to_go_out_by_itself(code: str) -> None:
    main, _, sub = code.partition("/")
    assert settled(Fault(code=int(main), error_subcode=int(sub or 0)))[0] == "refused"


def test_the_version_is_one_that_lives() -> None:
    assert VERSION == "v25.0"


# --- numbers


@pytest.mark.parametrize(
    ("wa_id", "number"),
    [
        ("5215555550100", "525555550100"),
        ("525555550100", "525555550100"),
        ("551199990000", "5511999990000"),
        ("5511999990000", "5511999990000"),
        ("551133330000", "551133330000"),  # a landline has no 9
        ("905321234567", "905321234567"),
        ("5491155550100", "5491155550100"),
        ("541155550100", "5491155550100"),  # by SMS
    ],
)
def test_edge_12_two_spellings_of_one_number(wa_id: str, number: str) -> None:
    assert dialled(wa_id) == number


@given(digits=st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True))
def test_the_number_of_today_is_its_own_spelling(digits: str) -> None:
    assert dialled(dialled(digits)) == dialled(digits)


# --- calls


@asynccontextmanager
async def meta(answer: dict[str, Any]) -> AsyncIterator[tuple[str, list[tuple[str, str]]]]:
    """A server that gives one answer to everything, and what it was shown: each path with its Authorization."""
    shown: list[tuple[str, str]] = []

    async def serve(request: web.Request) -> web.Response:
        shown.append((request.path_qs, request.headers.get("Authorization", "")))
        return web.json_response(answer)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), shown


async def test_the_token_travels_in_a_header_and_is_proven() -> None:
    async with meta({"id": "1"}) as (url, shown):
        graph = Graph("WhatsApp", url, "token123", "app-secret")
        assert await graph.call("GET", "1", query={"fields": "id"}) == {"id": "1"}
        await graph.close()
    (path, authorization) = shown[0]
    assert path == f"/{VERSION}/1?fields=id&appsecret_proof={proof('app-secret', 'token123')}"
    assert authorization == "Bearer token123"


async def test_what_meta_s_people_find_a_refused_call_by_is_written_down() -> None:
    error = {"code": 131009, "message": "secret words", "fbtrace_id": "AbCdEf17"}
    async with meta({"error": error}) as (url, _):
        graph = Graph("WhatsApp", url, "token123", "app-secret")
        with capture_logs() as logs, pytest.raises(Refused):
            await graph.call("GET", "1")
        await graph.close()
    told = {
        "event": "graph.refused",
        "log_level": "info",
        "provider": "WhatsApp",
        "code": "131009",
        "trace": "AbCdEf17",
    }
    assert logs == [told]


async def test_a_host_that_takes_no_proof_gets_none() -> None:
    async with meta({"id": "1"}) as (url, shown):
        graph = Graph("Instagram", url, "token123", "app-secret", proven=False)
        await graph.call("GET", "me")
        await graph.close()
    assert shown == [(f"/{VERSION}/me", "Bearer token123")]


async def test_an_app_speaks_in_its_own_name() -> None:
    async with meta({"data": []}) as (url, shown):
        graph = Graph("WhatsApp", url, "token123", "app-secret")
        await graph.call("GET", "7/subscriptions", app="7")
        await graph.close()
    assert shown == [(f"/{VERSION}/7/subscriptions", "Bearer 7|app-secret")]


async def test_edge_15_the_token_goes_with_a_file_to_its_own_host_only() -> None:
    async with meta({"file": "x"}) as (url, shown):
        graph = Graph("WhatsApp", url, "token123", "app-secret")
        assert b"".join([chunk async for chunk in graph.fetch(f"{url}/file", at_most=100)]) == b'{"file": "x"}'
        await graph.close()
        stranger = Graph("WhatsApp", "https://graph.example", "token123", "app-secret")
        with pytest.raises(Refused):
            async for _ in stranger.fetch(f"{url}/file", at_most=100):
                pass
        await stranger.close()
    assert shown == [("/file", "Bearer token123")]
