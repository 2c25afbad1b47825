"""Which known word was meant: near in any case, offered in one wording, and never a word that nobody knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates.suggesting import meant, nearest, suggest

WORDS = st.text(st.characters(categories=("L", "Nd", "Pd")), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("word", "likeness", "said"),
    [
        ("titel", 0.6, "did you mean title?"),
        ("TITEL", 0.6, "did you mean title?"),
        ("url", 0.6, "did you mean URL?"),
        ("zzz", 0.6, ""),
        ("titel", 0.95, ""),
    ],
)
def test_a_near_word_is_offered_as_it_is_spelled(word: str, likeness: float, said: str) -> None:
    assert suggest(word, ["title", "URL"], likeness) == said


def test_nothing_is_offered_where_nothing_is_meant() -> None:
    assert meant("") == meant(None) == suggest("tag", []) == ""


@given(st.lists(WORDS), WORDS)
def test_only_a_known_word_is_ever_offered(known: list[str], word: str) -> None:
    assert nearest(word, known) in {"", *known}


@given(st.lists(WORDS, min_size=1), st.data())
def test_a_known_word_is_its_own_nearest(known: list[str], data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(known))
    assert nearest(word, known).casefold() == word.casefold()
