"""One form for every way people type the same words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.folding import fold, is_word, places, squeeze, tokens, typed


@pytest.mark.parametrize("text", ["iade", "IADE", "İADE", "ıade", "İade", "i\u0307ade", "İA\u0301de"])
def test_the_four_letters_i_are_one(text: str) -> None:
    assert squeeze(fold(text)) == "iade"


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("sipariş", "siparis"),
        ("ÇÖĞÜŞ", "cogus"),
        ("Größe", "grose"),
        ("ещё", "еще"),
        ("йод", "йод"),
        ("إلغاء", "الغاء"),
        ("مُحَامٍ", "محام"),
        ("شـــكرا", "شكرا"),
        ("رسالة", "رساله"),
        ("don’t", "dont"),
        ("nerdeeee", "nerde"),
        ("iii", "i"),
        ("٣ أيام", "3 ايام"),
    ],
)
def test_signs_and_emphasis_do_not_matter(written: str, plain: str) -> None:
    assert squeeze(fold(written)) == plain


def test_digits_are_not_emphasis() -> None:
    assert squeeze(fold("2200 TL")) == "2200 tl"


def test_emoji_and_the_ends_of_sentences_are_tokens_of_their_own() -> None:
    assert tokens(squeeze(fold("Harika😍😍! Peki 3'te mi?"))) == ["harika", "😍", "😍", "!", "peki", "3te", "mi", "?"]


@given(st.text())
def test_every_character_keeps_its_place(text: str) -> None:
    assert len(fold(text)) == len(text)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(alphabet="aAbİıI'’şü. !?😀\ufe0f\u0307_-5٣\n"))
def test_squeezing_keeps_every_token_in_its_order(text: str) -> None:
    folded = fold(text)
    found = tokens(squeeze(folded))
    assert len(found) == len(places(folded))
    for token, (start, end) in zip(found, places(folded), strict=True):
        assert not is_word(token) or squeeze(folded[start:end]) == token


@given(st.text(alphabet="aabbİı'’ü .!?😀٣\n"))
def test_squeezing_leaves_no_sign_of_emphasis(text: str) -> None:
    squeezed = squeeze(fold(text))
    assert "'" not in squeezed
    assert not any(one == other and one.isalpha() for one, other in pairwise(squeezed))


@given(st.text(alphabet="aabbİı'’ü .!?😀٣\n"))
def test_a_text_is_typed_in_the_forms_it_has_one_by_one(text: str) -> None:
    found = typed(text)
    assert found.folded == fold(text)
    assert list(found.tokens) == tokens(squeeze(fold(text)))


@given(st.text(alphabet="ab' .!😀\n"), st.integers(min_value=0, max_value=10))
def test_the_first_places_are_those_of_the_first_tokens(text: str, count: int) -> None:
    assert places(fold(text), count) == places(fold(text))[:count]
