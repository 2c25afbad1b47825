"""Which of the shop's languages somebody writes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.language import guess

SHOP = ("tr", "ru", "en")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Kargom nerede?", "tr"),
        ("kargom nerde kaldi", "tr"),
        ("KARGOM NEREDE İADE İSTİYORUM", "tr"),
        ("şikâyetim var", "tr"),
        ("Где мой заказ?", "ru"),
        ("Where is my order?", "en"),
        ("i want a refund please", "en"),
        ("", "tr"),
        ("12345", "tr"),
        ("😀😀😀", "tr"),
        ("أين طلبي", "tr"),
    ],
)
def test_the_words_tell(text: str, language: str) -> None:
    assert guess(text, SHOP) == language


def test_what_is_written_counts_more_than_the_phones_setting() -> None:
    assert guess("Где мой заказ?", SHOP, "en") == "ru"
    assert guess("Where is my order?", SHOP, "tr") == "en"


def test_the_phones_setting_decides_where_the_words_do_not() -> None:
    assert guess("ok", SHOP, "en-GB") == "en"
    assert guess("👍", SHOP, "ru") == "ru"
    assert guess("👍", SHOP, "fr") == "tr"


def test_a_language_with_a_region_is_answered_as_configured() -> None:
    assert guess("Where is my order?", ("tr", "en-GB")) == "en-GB"
    assert guess("ok", ("tr", "en-GB"), "en") == "en-GB"


def test_a_script_that_only_one_language_of_the_shop_has_settles_it() -> None:
    assert guess("ок", SHOP) == "ru"
    assert guess("안녕", ("en", "ko")) == "ko"


@given(st.text(), st.lists(st.sampled_from(["tr", "ru", "en", "de", "ar", "zh", "ja", "uk"]), min_size=1, unique=True))
def test_the_answer_is_always_one_of_the_shops_languages(text: str, languages: list[str]) -> None:
    assert guess(text, languages, "xx") in languages
