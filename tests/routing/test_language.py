"""Which of the shop's languages somebody writes in, of a message and of a conversation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.language import guess, settle, wish

SHOP = ("tr", "ru", "en")
ALL = ("tr", "ru", "en", "de", "ar")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Kargom nerede?", "tr"),
        ("kargom nerde kaldi", "tr"),
        ("KARGOM NEREDE İADE İSTİYORUM", "tr"),
        ("şikâyetim var", "tr"),
        ("param gelmedi", "tr"),
        ("stok gelirmi", "tr"),
        ("Где мой заказ?", "ru"),
        ("gde moi zakaz", "ru"),
        ("kogda otpravite?", "ru"),
        ("vernite dengi", "ru"),
        ("Where is my order?", "en"),
        ("i want a refund please", "en"),
        ("any update", "en"),
        ("wrong size", "en"),
        ("Wo bleibt das Paket", "de"),
        ("rechnung fehlt", "de"),
        ("schon verschickt?", "de"),
        ("أين طلبي", "ar"),
        ("fen el order bta3y", "ar"),
        ("merhaba, status 'held at customs' ne demek", "tr"),
        ("мой order 4471 еще processing?", "ru"),
        ("https://shop.example/where-is-my-order sipariş bu", "tr"),
        ("RB550012873 где посылка", "ru"),
    ],
)
def test_two_words_are_enough(text: str, language: str) -> None:
    assert guess(text, ALL) == language


@pytest.mark.parametrize("text", ["", "12345", "😀😀😀", "#20488", "https://shop.example/order/1", "a@b.example"])
def test_emoji_numbers_and_links_say_nothing(text: str) -> None:
    assert guess(text, SHOP) == "tr"
    assert settle((), text, SHOP).sureness < 0.6
    assert settle((), text, SHOP, kept="ru").language == "ru"
    assert settle(("where is my order",), text, SHOP).language == "en"


def test_what_is_written_counts_more_than_the_phones_setting() -> None:
    assert guess("Где мой заказ?", SHOP, "en") == "ru"
    assert guess("Where is my order?", SHOP, "tr") == "en"


def test_the_phones_setting_decides_where_the_words_do_not() -> None:
    assert guess("👍", SHOP, "ru") == "ru"
    assert guess("👍", SHOP, "fr") == "tr"


def test_a_language_with_a_region_is_answered_as_configured() -> None:
    assert guess("Where is my order?", ("tr", "en-GB")) == "en-GB"


def test_a_script_that_only_one_language_of_the_shop_has_settles_it() -> None:
    assert guess("ок", SHOP) == "ru"
    assert guess("안녕", ("en", "ko")) == "ko"
    assert guess("де мій ящик, будь ласка", ("ru", "uk")) == "uk"


def test_a_shop_may_speak_languages_without_a_profile() -> None:
    assert guess("où est ma commande s'il vous plaît", ("tr", "fr", "en")) == "fr"
    assert guess("¿dónde está mi pedido?", ("en", "es")) == "es"
    assert guess("siparişim nerede", ("tr", "fr", "es")) == "tr"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("English please", "en"),
        ("can you write in English?", "en"),
        ("İngilizce yazabilir misiniz", "en"),
        ("Türkçe yazın lütfen", "tr"),
        ("turkce konusalim", "tr"),
        ("на русском пожалуйста", "ru"),
        ("пишите по-русски", "ru"),
        ("auf Deutsch bitte", "de"),
        ("بالعربي لو سمحت", "ar"),
        ("rusça cevap verir misiniz", "ru"),
    ],
)
def test_a_wish_in_words_wins_over_everything(text: str, language: str) -> None:
    found = settle(("siparişim nerede kaldı acaba", "где мой заказ"), text, ALL, "de", kept="ar")
    assert (found.language, found.sureness, found.asked) == (language, 1.0, True)


def test_a_wish_is_remembered_until_another() -> None:
    assert settle(("English please", "siparişim nerede"), "hala gelmedi", ALL).language == "en"
    assert settle(("English please", "Türkçe yazın lütfen"), "where is it", ALL).language == "tr"


@pytest.mark.parametrize(
    "text",
    ["Is the manual in English please?", "Türkçe bilmiyorum", "English breakfast tea var mı", "I don't speak Turkish"],
)
def test_naming_a_language_is_no_wish(text: str) -> None:
    assert wish(text, ALL) == ""


def test_one_foreign_word_does_not_turn_a_conversation() -> None:
    assert settle(("kargom nerede acaba", "hâlâ bekliyorum"), "ok thanks", SHOP, kept="tr").language == "tr"


def test_who_goes_on_in_another_language_is_answered_in_it() -> None:
    history = ("kargom nerede",)
    assert settle(history, "Could you please tell me when my order will arrive?", SHOP, kept="tr").language == "en"


@given(st.text(), st.lists(st.sampled_from(["tr", "ru", "en", "de", "ar", "zh", "ja", "uk"]), min_size=1, unique=True))
def test_the_answer_is_always_one_of_the_shops_languages(text: str, languages: list[str]) -> None:
    found = settle((text,), text, languages, "xx", kept="yy")
    assert found.language in languages
    assert 0 <= found.sureness <= 1
