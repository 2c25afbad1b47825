"""A reply cut for a channel: nothing lost, nothing doubled, within what the provider counts, no character torn."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.channel import Capabilities
from channels.message import Attachment, Choice, Span, SpanKind
from inbox.plan import carries, cut_spans, plan, split


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def utf8(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


FAMILY, FLAG, KEYCAP, WAVE, ACCENT = "👨‍👩‍👧‍👦", "🇹🇷", "1️⃣", "👋🏽", "e\u0301"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
PIECES = [
    "a",
    "ş",
    "İ",
    " ",
    "\n",
    "\n\n",
    ". ",
    "! ",
    "? ",
    "word ",
    "😀",
    FAMILY,
    FLAG,
    KEYCAP,
    WAVE,
    ACCENT,
    "漢",
    "。",
]
MEASURES = st.sampled_from([len, utf16, utf8])
words = st.lists(st.sampled_from(PIECES), max_size=120).map("".join) | st.text(max_size=200)


def can(limit: int, measure: Callable[[str], int] = len, *, caption: int = 0, formatting: bool = True) -> Capabilities:
    media = {"image/*": 1_000, "application/pdf": 5_000}
    return Capabilities(max_text=limit, measure=measure, max_caption=caption, media=media, formatting=formatting)


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@given(words, st.integers(4, 60), MEASURES)
@example("x" * 100, 10, len)
@example("   \n ", 10, len)
def test_no_word_is_lost_and_none_is_said_twice(text: str, limit: int, measure: Callable[[str], int]) -> None:
    pieces = list(split(text, can(limit, measure)))
    assert squeezed("".join(piece for _, piece in pieces)) == squeezed(text)
    end = 0
    for start, piece in pieces:
        assert start >= end
        assert text[start : start + len(piece)] == piece
        assert text[end:start].strip() == ""
        end = start + len(piece)
    assert text[end:].strip() == ""


@given(words, st.integers(4, 60), MEASURES)
@example("😀" * 4096, 4096, utf16)
def test_every_part_fits_what_the_provider_counts(text: str, limit: int, measure: Callable[[str], int]) -> None:
    for _, piece in split(text, can(limit, measure)):
        assert 0 < measure(piece) <= limit
        assert piece == piece.strip()


@given(
    st.lists(st.sampled_from([FAMILY, FLAG, FLAG, KEYCAP, WAVE, ACCENT, ENGLAND, "a", "😀", " "]), max_size=60),
    st.integers(30, 50),
)
def test_a_character_people_see_as_one_is_never_cut(characters: list[str], limit: int) -> None:
    text = "".join(characters)
    starts = {0}
    for character in characters:
        starts.add(max(starts) + len(character))
    for start, piece in split(text, can(limit, utf16)):
        assert start in starts
        assert start + len(piece) in starts


def test_a_run_of_flags_is_cut_between_two_of_them() -> None:
    pieces = [piece for _, piece in split(FLAG * 50, can(31))]
    assert all(len(piece) % 2 == 0 for piece in pieces)
    assert "".join(pieces) == FLAG * 50


def test_a_single_character_longer_than_the_limit_still_leaves() -> None:
    text = "e" + "\u0301" * 40
    pieces = [piece for _, piece in split(text, can(10))]
    assert "".join(pieces) == text
    assert all(len(piece) <= 10 for piece in pieces)


def test_the_best_seam_wins() -> None:
    text = "First paragraph, it is long.\n\nSecond one. It goes on and on until the end"
    assert [piece for _, piece in split(text, can(45))] == [
        "First paragraph, it is long.",
        "Second one. It goes on and on until the end",
    ]
    assert [piece for _, piece in split("one two three four", can(9))] == ["one two", "three", "four"]


@given(
    words.filter(lambda text: bool(text)),
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 200)), max_size=6),
    st.integers(4, 60),
)
def test_formatting_stays_on_the_same_letters(text: str, places: list[tuple[int, int]], limit: int) -> None:
    spans = tuple(
        Span(kind=SpanKind.BOLD, start=start, end=min(start + length, len(text)))
        for start, length in places
        if start < len(text)
    )
    bold = {at for span in spans for at in range(span.start, span.end) if not text[at].isspace()}
    found = set()
    for start, piece in split(text, can(limit)):
        for span in cut_spans(spans, start, start + len(piece)):
            assert 0 <= span.start < span.end <= len(piece)
            found |= {start + at for at in range(span.start, span.end) if not piece[at].isspace()}
    assert found == bold


def test_a_channel_without_formatting_gets_none() -> None:
    spans = [Span(kind=SpanKind.BOLD, start=0, end=2)]
    assert plan("hi", spans, (), can(100, formatting=False))[0].spans == ()


def file(media_type: str = "image/png", size: int | None = 10, name: str = "a.png") -> Attachment:
    return Attachment(media_type=media_type, filename=name, size=size)


def test_words_that_fit_are_the_caption_of_a_single_file() -> None:
    (part,) = plan("look", (), [file()], can(100, caption=50))
    assert (part.text, part.file, part.refused) == ("look", 0, "")


def test_words_too_long_for_a_caption_come_first_and_alone() -> None:
    parts = plan("x" * 60, (), [file()], can(100, caption=50))
    assert [(part.text, part.file) for part in parts] == [("x" * 60, None), ("", 0)]


def test_several_files_follow_the_words_in_their_order() -> None:
    parts = plan("look", (), [file(), file(), file()], can(100, caption=50))
    assert [part.file for part in parts] == [None, 0, 1, 2]


@pytest.mark.parametrize(
    ("attachment", "why"),
    [
        (file(), ""),
        (file(size=1_000), ""),
        (file(size=1_001), "file_too_big"),
        (file(size=None), ""),
        (file("application/pdf", 4_000), ""),
        (file("application/zip"), "file_refused"),
        (file(""), "file_refused"),
    ],
)
def test_a_file_the_channel_does_not_take_is_told_and_not_sent(attachment: Attachment, why: str) -> None:
    assert carries(can(100), attachment) == why
    (part,) = plan("", (), [attachment], can(100, caption=50))
    assert part.refused == why


def test_words_still_leave_when_their_file_cannot() -> None:
    words_part, file_part = plan("look", (), [file("application/zip")], can(100, caption=50))
    assert (words_part.text, words_part.refused) == ("look", "")
    assert file_part.refused == "file_refused"


def test_nothing_to_say_is_nothing_to_send() -> None:
    assert plan("  \n ", (), (), can(100)) == ()
    assert unicodedata.combining("\u0301")  # what ACCENT above stands on


# --- choices, and channels that count many characters as one

PAID, OPEN_ORDER = Choice(label="Paid", payload="paid"), Choice(label="Where is it?", payload="where")


def test_choices_stand_under_the_last_words_as_buttons_where_the_channel_has_them() -> None:
    can = Capabilities(max_text=20, max_choices=3, max_choice=12)
    parts = plan("Which of these is it about, please?", (), (), can, (PAID, OPEN_ORDER))
    assert [part.choices for part in parts[:-1]] == [()] * (len(parts) - 1)
    assert parts[-1].choices == (PAID, OPEN_ORDER)


@pytest.mark.parametrize("can", [Capabilities(max_text=200), Capabilities(max_text=200, max_choices=2, max_choice=5)])
def test_choices_become_numbered_lines_elsewhere(can: Capabilities) -> None:
    (part,) = plan("Which?", (), (), can, (PAID, OPEN_ORDER))
    assert part.text == "Which?\n\n1. Paid\n2. Where is it?"
    assert part.choices == ()


def test_a_channel_that_counts_in_segments_gets_full_messages() -> None:
    can = Capabilities(max_text=3, measure=lambda text: -(-len(text) // 100))
    text = "word " * 200
    parts = plan(text, (), (), can)
    assert all(can.measure(part.text) <= 3 for part in parts)
    assert len(parts) == 4, "three hundred characters fit into three segments of a hundred"
