"""Tokens of visitors: what was not signed for this purpose, this channel and this time is never believed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.webchat import visitors
from channels.webchat.visitors import Expired, Unknown, Visitor
from tests.webchat.browser import IDENTITY_SECRET, identity

NOW = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
KEY = bytes(range(32))
BROWSER = "AbCdEfGhIjKlMnOpQrSt_-"


WAYS: dict[str, Any] = {"email": " Ayse@Ornek.example ", "phone": "+90 532 000 11 22"}


def read(token: str, secret: str = IDENTITY_SECRET, now: datetime = NOW) -> Visitor:
    return visitors.identified(secret, token, BROWSER, now)


def test_what_the_shop_says_is_read_as_it_says_it() -> None:
    token = identity(sub=4711, exp=SECONDS + 60, name="Ayşe\nYılmaz", **WAYS)
    assert read(token) == Visitor(
        browser=BROWSER, account="4711", name="Ayşe Yılmaz", email="ayse@ornek.example", phone="+905320001122"
    )


def test_a_token_that_another_program_has_signed() -> None:
    """RFC 7515, appendix A.1: its key is 64 bytes, which no text is, so only the shape of the refusal is tried."""
    token = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    with pytest.raises(Unknown):
        read(token)


def test_the_guide_s_own_example_signs_what_is_believed() -> None:
    guide = (Path(__file__).parents[2] / "docs/channels/webchat.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", guide, re.S)[0]
    there: dict[str, Any] = {}
    exec(example, there)
    token = there["santral_token"](IDENTITY_SECRET, {"sub": "4711", "name": "Ayşe Yılmaz"})
    found = read(token, now=datetime.now(UTC))
    assert (found.account, found.name) == ("4711", "Ayşe Yılmaz")


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": ""},
        {"sub": None},
        {"sub": True},
        {"sub": "x" * 201},
        {"sub": "ayse\u202e"},  # cleaned it would be somebody else's
        {"sub": " ayse"},
        {"sub": "ay  se"},
        {"sub": "ayse\x00"},
        {"sub": "ayse\ud800"},
        {"sub": "1", "exp": None},
        {"sub": "1", "exp": "tomorrow"},
        {"sub": "1", "exp": float("inf")},
        {"sub": "1", "exp": SECONDS + 86_400 + 120},
        {"sub": "1", "nbf": SECONDS + 600},
    ],
    ids=str,
)
def test_claims_that_name_nobody_or_no_time_are_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(Unknown) as error:
        read(identity(**{"exp": SECONDS + 60, **claims}))
    assert not isinstance(error.value, Expired)


def test_a_token_ends_with_a_minute_s_grace() -> None:
    token = identity(sub="1", exp=SECONDS)
    assert read(token, now=NOW + timedelta(seconds=59)).account == "1"
    with pytest.raises(Expired):
        read(token, now=NOW + timedelta(seconds=60))


@pytest.mark.parametrize("head", [{"alg": "none"}, {"alg": "HS512"}, {"alg": "RS256"}, {"alg": ["HS256"]}, {}])
def test_a_token_does_not_choose_how_it_is_believed(head: dict[str, Any]) -> None:
    with pytest.raises(Unknown):
        read(
            identity(head=head, sub="1", exp=SECONDS + 60)
            if head
            else identity(sub="1", exp=SECONDS + 60, head={"x": 1})
        )


def test_a_short_or_empty_secret_signs_nothing() -> None:
    for secret in ("", "kurz", "x" * 31):
        with pytest.raises(Unknown):
            read(identity(secret, sub="1", exp=SECONDS + 60), secret)


@given(st.integers(0, 10_000), st.characters())
def test_a_changed_token_is_refused(at: int, char: str) -> None:
    token = identity(sub="4711", exp=SECONDS + 60)
    at %= len(token)
    changed = token[:at] + char + token[at + 1 :]
    if changed == token:
        return
    with pytest.raises(Unknown):
        read(changed)


@given(st.text())
def test_no_text_is_a_token_or_a_browser_or_a_seal(text: str) -> None:
    with pytest.raises(Unknown):
        read(text)
    assert visitors.browser_in(KEY, "chat", text) is None
    assert visitors.opened(KEY, "file:chat", text, NOW) is None


@given(st.sampled_from(["visitor", "channel", "key", "bit"]), st.integers(0, 500))
def test_a_browser_s_token_is_good_for_itself_and_its_channel_only(what: str, at: int) -> None:
    token = visitors.browser_token(KEY, "chat", BROWSER)
    assert visitors.browser_in(KEY, "chat", token) == BROWSER
    match what:
        case "visitor":
            assert visitors.browser_in(KEY, "chat", "B" * 22 + token[22:]) is None
        case "channel":
            assert visitors.browser_in(KEY, "other", token) is None
        case "key":
            assert visitors.browser_in(KEY[::-1], "chat", token) is None
        case _:
            at %= len(token)
            other = "x" if token[at] != "x" else "y"
            assert visitors.browser_in(KEY, "chat", token[:at] + other + token[at + 1 :]) is None


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text() | st.integers()), st.integers(-100, 100))
def test_a_seal_is_good_for_its_purpose_until_its_time(
    purpose: str, other: str, value: dict[str, Any], age: int
) -> None:
    seal = visitors.sealed(KEY, purpose, value, NOW)
    opened = visitors.opened(KEY, purpose, seal, NOW + timedelta(seconds=age))
    assert opened == (value if age < 0 else None)
    if other != purpose:
        assert visitors.opened(KEY, other, seal, NOW - timedelta(days=1)) is None


def test_a_ticket_is_no_other_token() -> None:
    visitor = Visitor(browser=BROWSER, account="4711", name="Ayşe")
    ticket = visitors.ticket(KEY, "chat", visitor, NOW + timedelta(hours=1))
    assert visitors.admitted(KEY, "chat", ticket, NOW) == visitor
    assert visitors.admitted(KEY, "other", ticket, NOW) is None
    assert visitors.admitted(KEY, "chat", ticket, NOW + timedelta(hours=2)) is None
    assert visitors.browser_in(KEY, "chat", ticket) is None
