"""Links to files: made by us alone, for one file, for a while; and what is handed out by them runs nowhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.downloads import served
from app.links import LIFE, Links

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def links(at: datetime = AT, secret: bytes = b"s" * 32) -> Links:
    return Links(secret, "https://support.example.com/", lambda: at)


def token(link: str) -> str:
    return link.split("/")[4]


def test_a_link_names_its_file_and_nothing_else_is_in_it() -> None:
    link = links().make(4711, "şubat/../faturası.pdf")
    assert link.startswith("https://support.example.com/files/")
    assert link.endswith("/%C5%9Fubat_.._faturas%C4%B1.pdf")
    assert links().read(token(link)) == 4711


def test_a_link_ends() -> None:
    made = token(links().make(4711, "a"))
    assert links(AT + LIFE - timedelta(minutes=2)).read(made) == 4711
    assert links(AT + LIFE).read(made) is None


def test_nobody_else_makes_one() -> None:
    assert links(secret=b"t" * 32).read(token(links().make(4711, "a"))) is None


@given(st.integers(0, 37), st.integers(1, 255))
def test_a_link_that_was_changed_is_none(place: int, by: int) -> None:
    import base64

    raw = bytearray(base64.urlsafe_b64decode(token(links().make(4711, "a")) + "=="))
    raw[place % len(raw)] ^= by
    assert links().read(base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")) is None


@given(st.text())
def test_whatever_is_asked_for_is_no_link(text: str) -> None:
    assert links().read(text) is None


def test_without_a_public_address_there_are_none() -> None:
    assert Links(b"s" * 32, "", lambda: AT).make(1, "a") == ""


@pytest.mark.parametrize(
    ("told", "how", "kind"),
    [
        ("image/png", "inline", "image/png"),
        ("IMAGE/JPEG; q=1", "inline", "image/jpeg"),
        ("image/svg+xml", "attachment", "image/svg+xml"),
        ("text/html", "attachment", "text/html"),
        ("nonsense", "attachment", "application/octet-stream"),
    ],
)
def test_a_browser_shows_pictures_and_runs_nothing(told: str, how: str, kind: str) -> None:
    answer = served(b"x", told, 'a"\r\nX: y.png')
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Content-Disposition"].startswith(f"{how}; filename*=UTF-8''a")
    assert "\r" not in answer.headers["Content-Disposition"]
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
