"""What every kind of channel owes its callers, whoever its provider is."""

from __future__ import annotations

import inspect
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels import channel as contract
from channels.channel import Channel
from channels.errors import InDoubt, Malformed, Misconfigured, Refused, Retry, SendFailed, Unverified
from channels.registry import CAPABILITIES, KINDS
from tests.channels import (
    harness,
    test_email,
    test_instagram,
    test_messenger,
    test_telegram,
    test_twilio,
    test_webchat,
    test_whatsapp,
    test_x,
)
from tests.channels.harness import AT, Answer, Leaves, Subject

SUBJECTS: Mapping[str, Subject] = {
    "email": test_email.SUBJECT,
    "instagram": test_instagram.SUBJECT,
    "messenger": test_messenger.SUBJECT,
    "sms": test_twilio.SMS,
    "telegram": test_telegram.SUBJECT,
    "webchat": test_webchat.SUBJECT,
    "whatsapp": test_whatsapp.SUBJECT,
    "whatsapp-twilio": test_twilio.WHATSAPP,
    "x": test_x.SUBJECT,
}
ABILITIES = [it for it in vars(contract).values() if inspect.isclass(it) and getattr(it, "_is_runtime_protocol", False)]

every_kind = pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
CARRIED = {name: subject for name, subject in SUBJECTS.items() if subject.carried}
every_kind_that_is_carried = pytest.mark.parametrize("subject", CARRIED.values(), ids=CARRIED)
OVER_HTTP = {name: subject for name, subject in SUBJECTS.items() if subject.http}
every_kind_over_http = pytest.mark.parametrize("subject", OVER_HTTP.values(), ids=OVER_HTTP)


HEAVY = {"aiogram", "aiosmtplib", "chardet", "dkim", "imap_tools", "nh3", "pydantic", "selectolax", "twilio"}

PAYLOADS = [
    pytest.param(subject, file, id=f"{subject.kind}-{file}")
    for subject in SUBJECTS.values()
    for file in subject.files()
]


def test_every_kind_in_the_registry_is_tested() -> None:
    assert set(SUBJECTS) == set(KINDS)


@every_kind
async def test_a_channel_has_a_name_a_kind_and_what_the_registry_promises(subject: Subject) -> None:
    channel: Channel = subject.make("http://127.0.0.1:9")
    assert channel.name
    assert channel.kind == subject.kind
    assert channel.capabilities == CAPABILITIES[subject.kind]
    assert inspect.iscoroutinefunction(channel.send)
    assert inspect.iscoroutinefunction(channel.close)


@every_kind
def test_an_ability_is_there_with_the_contract_s_own_parameters(subject: Subject) -> None:
    channel = subject.make("http://127.0.0.1:9")
    for ability in ABILITIES:
        if isinstance(channel, ability):
            for verb, owed in vars(ability).items():
                if inspect.isfunction(owed) and not verb.startswith("_"):
                    given_ = list(inspect.signature(getattr(channel, verb)).parameters)
                    assert given_ == list(inspect.signature(owed).parameters)[1:], f"{ability.__name__}.{verb}"


@every_kind
def test_capabilities_are_sane(subject: Subject) -> None:
    promised = CAPABILITIES[subject.kind]
    assert promised.max_text > 0
    assert promised.measure("") == 0
    assert promised.measure("a" * 10) <= promised.measure("😀" * 10)
    assert 0 <= promised.max_caption <= promised.max_text
    assert promised.max_choices >= 0
    assert all("/" in pattern and size > 0 for pattern, size in promised.media.items())
    assert promised.receipts <= {"delivered", "read"}
    for window in (promised.reply_window, promised.agent_window, promised.edits, promised.withdraws):
        assert window is None or window > timedelta(0)
    for rate in (promised.rate, promised.address_rate):
        assert rate is None or rate.spacing > timedelta(0)
    if promised.rate and promised.address_rate:
        assert promised.address_rate.spacing >= promised.rate.spacing


@pytest.mark.parametrize("kind", KINDS)
def test_reading_loads_no_sdk(kind: str) -> None:
    """A process that only takes webhooks neither waits for the provider's SDK nor keeps it in memory."""
    program = f"import sys, channels.registry; print(sorted({HEAVY!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@every_kind_over_http
async def test_closing_twice_or_unused_is_harmless(subject: Subject) -> None:
    unused = subject.make("http://127.0.0.1:9")
    await unused.close()
    await unused.close()
    async with harness.provider(subject, Answer(status=500)) as canned:
        used = subject.make(canned.url)
        with pytest.raises(SendFailed):
            await subject.send(used)
        await used.close()
        await used.close()


# --- inbound


@every_kind_that_is_carried
def test_a_forged_request_is_refused(subject: Subject) -> None:
    channel = subject.make("http://127.0.0.1:9")
    body = subject.payload(subject.files()[0])
    channel.verify(subject.signed(body))
    for what, forged in harness.forgeries(subject, body):
        with harness.nothing_leaks(subject) as told:
            with pytest.raises(Unverified) as refusal:
                channel.verify(forged)
            told.extend(repr(cause) for cause in harness.causes(refusal.value))
        assert refusal.type is Unverified, what


@every_kind_that_is_carried
@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"text"', b"{", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"<html></html>"],
    ids=lambda body: repr(body[:8]),
)
def test_a_body_that_is_none_of_the_provider_s_is_malformed(subject: Subject, body: bytes) -> None:
    with pytest.raises(Malformed):
        subject.make("http://127.0.0.1:9").parse(subject.signed(body), AT)


@pytest.mark.parametrize(("subject", "file"), PAYLOADS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_payload_is_events_or_malformed(subject: Subject, file: str, data: st.DataObject) -> None:
    harness.check_survives(subject, data.draw(harness.mutations(subject.payload(file))))


@every_kind_that_is_carried
@settings(max_examples=100, deadline=None)
@given(body=st.binary())
def test_any_bytes_are_events_or_malformed(subject: Subject, body: bytes) -> None:
    harness.check_survives(subject, body)


# --- outbound: the caller's next move, whatever the provider's words

PAGE = b"<html><body>Something between us and the provider</body></html>"
FAILURES: Mapping[str, tuple[Answer, SendFailed]] = {
    "400": (Answer(status=400, body=PAGE), Refused()),
    "401": (Answer(status=401, body=PAGE), Misconfigured()),
    "413": (Answer(status=413, body=PAGE), Refused()),
    "429": (Answer(status=429, body=PAGE), Retry()),
    "500": (Answer(status=500, body=PAGE), Retry()),
    "502": (Answer(status=502, body=PAGE), InDoubt()),
    "503": (Answer(status=503, body=PAGE), Retry(whole_channel=True)),
    "504": (Answer(status=504, body=PAGE), InDoubt()),
    "an answer that is no JSON": (Answer(body=PAGE, content_type="text/html"), InDoubt()),
    "an answer of another shape": (Answer(body=[1, {"ok": None}]), InDoubt()),
    "an answer that is no text": (Answer(body=b"\xff\xfe\x00"), InDoubt()),
    "an answer cut short": (Answer(body=b'{"ok":true', cut=True), InDoubt()),
    "the line breaks after the request": (Answer(dropped=True), InDoubt()),
    "no answer at all": (Answer(silent=True), InDoubt()),
}


@every_kind_over_http
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failure_is_named_by_the_next_move(subject: Subject, failure: str) -> None:
    answer, error = FAILURES[failure]
    row = Leaves(name=failure, do=subject.send, answers=(answer,), calls=None, outcome=error)
    await harness.check_leaves(subject, row)


@every_kind_over_http
@pytest.mark.parametrize("status", [403, 404, 409, 302])
async def test_other_refusals_are_never_in_silence(subject: Subject, status: int) -> None:
    """Which of them they are is the provider's own table; that nothing is called sent is everybody's."""
    async with harness.provider(subject, Answer(status=status, body=PAGE)) as canned:
        channel = subject.make(canned.url)
        with pytest.raises(SendFailed):
            await subject.send(channel)
        await channel.close()


@every_kind_that_is_carried
async def test_a_provider_that_cannot_be_reached_has_not_got_the_message(subject: Subject) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    channel = subject.make(url)
    with harness.nothing_leaks(subject) as told:
        with pytest.raises(Retry) as error:
            await subject.send(channel)
        told.extend(f"{cause!r} {vars(cause)}" for cause in harness.causes(error.value))
    assert error.value.whole_channel
    await channel.close()
