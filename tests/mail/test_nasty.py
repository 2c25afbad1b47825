"""Mails that were never meant to be read: whatever comes, something bounded and clean is shown, and soon."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.mail.parse import body, html
from channels.mail.parse.mime import parse
from channels.mail.parse.tnef import unpack
from channels.mail.values import MOST_HEADER, MOST_PARTS, MOST_RECIPIENTS, MOST_REFERENCES, MOST_TEXT, Mail
from tests.mail.nasty import (
    HOSTILE,
    PDF,
    PNG,
    attached,
    enclosed,
    inner,
    mail,
    multipart,
    part,
    signed_smime,
    tnef,
    wrapped,
)

UNCLEAN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
NAME = re.compile(r'[/\\<>:"|?*\u202a-\u202e\u2066-\u2069]')


def texts(value: Any) -> Iterator[str]:
    """Every text within a value."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for each in value:
            yield from texts(each)


def check(raw: bytes) -> Mail:
    """Parse and hold the result against everything that `values` promises."""
    found = parse(raw)
    for text in texts(found):
        assert not UNCLEAN.search(text)
    assert len(found.text) <= MOST_TEXT
    assert len(found.html) <= html.MOST_HTML + 1_000
    assert len(found.all_text) <= 100_000
    assert len(found.subject) <= MOST_HEADER
    assert len(found.files) + len(found.enclosed) + len(found.reports) <= 2 * MOST_PARTS
    assert all(len(who) <= MOST_RECIPIENTS for who in (found.to, found.cc, found.from_, found.reply_to, found.sender))
    assert len(found.references) <= MOST_REFERENCES
    assert len(found.from_) == 1 or found.from_trouble
    assert found.date is None or found.date.utcoffset() is not None
    assert not any(re.match("This mail could not be read", defect) for defect in found.defects)
    names = [file.filename for file in found.files]
    assert all(name.strip() and len(name) <= 150 and not NAME.search(name) for name in names)
    assert len({name.lower() for name in names}) == len(names)
    for inside in found.enclosed:
        body.enclosed_as_text(inside)
    body.calendar_as_text(found.calendar)
    html.clean(found.html, found.files)
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mails_are_shown_as_something(name: str) -> None:
    check(HOSTILE[name]())


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_are_a_mail(raw: bytes) -> None:
    check(raw)


SEEDS = [
    mail("Hello, where is it?\r\n> quoted\r\n"),
    multipart(
        inner(part("Sipariş"), part("<p>Sipari&#351; <img src='cid:a@b'></p>", "text/html")),
        attached(PNG, "image/png", "a.png", "Content-ID: <a@b>"),
        attached(mail("inside"), "message/rfc822"),
        attached(tnef(files=[("x.pdf", PDF)], text="içerik", html="<p>x</p>"), "application/ms-tnef", "winmail.dat"),
    ),
    mail(wrapped(signed_smime(mail("inside"), indefinite=True)), kind="application/pkcs7-mime", encoding="base64"),
    multipart(part("x"), part("Status: 5.1.1\r\n", "message/delivery-status"), subtype="report"),
    mail("begin 644 a.txt\n#2&DA\n`\nend\n", extra=["References: <a@b> <c@d>", "Cc: G: a@b, c@d;, e@f (x)"]),
    enclosed(4),
]
SPLICES = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\r\n\r\n",
    b"\n--b1\n",
    b"--b1--",
    b'"',
    b"=?utf-8?q?",
    b"?=",
    b"<",
    b";",
    b"\x80",
    b"=",
    b":",
    b"(",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """An honest mail with pieces cut out, doubled, and put in."""
    raw = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 60)))
        piece = draw(st.one_of(st.sampled_from(SPLICES), st.just(raw[start:end] * 2), st.binary(max_size=8)))
        raw = raw[:start] + piece + raw[end:]
    return raw


@settings(max_examples=200, deadline=None)
@given(mutated())
def test_broken_mails_are_shown_as_something(raw: bytes) -> None:
    check(raw)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_broken_winmail_dat_never_gives_more_than_it_holds(at: int, piece: bytes) -> None:
    stream = tnef(files=[("a.pdf", PDF), ("b.png", PNG)], text="x", html="<p>x</p>")
    at %= len(stream)
    found = unpack(stream[:at] + piece + stream[at + len(piece) :])
    assert found is None or sum(len(file.data) for file in found.files) <= len(stream)


def test_cutting_a_mail_anywhere_shows_what_came_before() -> None:
    raw = SEEDS[1]
    begun = raw.index(b"\r\n\r\n") + 4
    for end in range(begun, len(raw), 37):
        found = check(raw[:end])
        assert found.subject == "Order 1042"
        assert found.from_[0].address == "ayse@example.com"
