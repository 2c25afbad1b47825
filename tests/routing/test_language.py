"""Which of the shop's languages somebody writes in, of a message and of a conversation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.language import guess, settle
from routing.wishes import wish

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


@pytest.mark.parametrize(
    "text",
    [
        "My parcel is with Turkish Cargo, please answer me",
        "Neden bana ingilizce yazıyorsunuz?",
        "Почему вы пишете мне на турецком?",
        "Why do you write to me in English?",
        "Можно турецкие серёжки в подарочной упаковке?",
        "I prefer Turkish cotton towels",
        "only Turkish towels please",
        "Please send me Turkish delight, is it in stock?",
        "German size 40 please",
        "I would like to order the Russian doll please, can you answer about its size?",
        "I want the necklace engraved in Arabic please",
        "Kolyeye Arapça Ayşe yazabilir misiniz",
        "Kolyeye Arapça yazabilir misiniz",
        "İngilizce isim yazın lütfen etikete",
        "Kargoda ingilizce yazıyor, ne demek lütfen",
        'Напишите пожалуйста на коробке по-английски "Anna"',
        "Напишите по-английски «Anna»",
        "The label is in German, please send English one",
        "Please write in English on the box",
        "For the engraving please: write in Arabic",
        "Is it in English, please?",
        "Please don't write in English",
        "не пишите на турецком пожалуйста",
        "lütfen ingilizce yazmayın",
        "Kein Deutsch bitte",
        "Schreiben Sie bitte auf die Karte auf Englisch alles Gute",
        "İngilizce kılavuz var mı lütfen",
        "Hediye notuna İngilizce yazın lütfen",
        "Etiket Türkçe değil, İngilizce",
        "ممكن قهوة تركي لو سمحت",
        "عندكم كتاب بالعربي؟",
        "Could you send me the invoice in English please",
        "Пришлите счёт на английском пожалуйста",
        "faturayı ingilizce gönderir misiniz lütfen",
        "Rechnung auf Englisch bitte",
        "Do you ship German products? please answer",
    ],
)
def test_a_language_of_something_else_is_no_wish(text: str) -> None:
    assert wish(text, ALL) == ""


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Türkçe bilmiyorum, İngilizce yazın lütfen", "en"),
        ("Ich spreche kein Deutsch, English please", "en"),
        ("İngilizce bilmiyorum, Türkçe yazın", "tr"),
        ("ingilizce anlamıyorum türkçe lütfen", "tr"),
        ("not Turkish please, English", "en"),
        ("English please, not Turkish", "en"),
        ("I don't speak Turkish. English please", "en"),
        ("пишите на русском, а не на турецком", "ru"),
        ("Почему на турецком? Пишите по-русски", "ru"),
        ("Türkçe değil İngilizce lütfen", "en"),
    ],
)
def test_one_language_is_refused_and_another_asked_for(text: str, language: str) -> None:
    assert wish(text, ALL) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Can I talk to you in Russian?", "ru"),
        ("Could somebody help me in English?", "en"),
        ("from now on in English, thanks", "en"),
        ("türkçe bilen var mı", "tr"),
        ("هل تتحدث العربية؟", "ar"),
        ("Write to me, please, in Russian", "ru"),
        ("Hello! My order 4471 is late. Please answer in English :)", "en"),
        ("please write in English because I cannot read this", "en"),
        ("English please where is my order", "en"),
        ("Do you speak English?", "en"),
        ("switch to English", "en"),
        ("English", "en"),
        ("только на русском", "ru"),
        ("Можно на русском?", "ru"),
        ("можете отвечать по русски", "ru"),
        ("давайте по-русски", "ru"),
        ("pishite po-russki pozhaluysta", "ru"),
        ("Bundan sonra Türkçe yazar mısınız", "tr"),
        ("ingilizce devam edelim", "en"),
        ("İngilizce konuşan biri var mı?", "en"),
        ("Könnten Sie mir bitte auf Deutsch antworten?", "de"),
        ("Sprechen Sie Deutsch?", "de"),
        ("schreib bitte deutsch", "de"),
        ("siparişim gelmedi ingilizce yazar mısınız", "en"),
        ("My name is Anna please write in English", "en"),
        ("rusça yazabilir miyim", "ru"),
        ("я не понимаю по-турецки, напишите по-русски пожалуйста", "ru"),
        ("gibt es jemanden, der Deutsch spricht?", "de"),
        ("ممكن بالعربي", "ar"),
        ("اكتبوا لي باللغة العربية من فضلكم", "ar"),
        ("ممكن ترد علي بالانجليزي", "en"),
    ],
)
def test_how_people_ask_to_be_spoken_to(text: str, language: str) -> None:
    assert wish(text, ALL) == language


WORDS = (
    "English",
    "türkçe",
    "по-русски",
    "please",
    "yazın",
    "in",
    "not",
    "bilmiyorum",
    "necklace",
    "why",
    ",",
    ".",
    ":)",
)


@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join))
def test_a_wish_is_always_for_a_language_that_is_named(text: str) -> None:
    found = wish(text, ALL)
    assert found in ("", "en", "tr", "ru")
    assert not found or {"en": "English", "tr": "türkçe", "ru": "по-русски"}[found] in text


@pytest.mark.parametrize("text", ["/start", "/stop", "/help", "/help@kumbara_bot", "/start summer_sale"])
@pytest.mark.parametrize("hint", ["tr", "ru", "en"])
def test_a_command_is_in_no_language(text: str, hint: str) -> None:
    assert guess(text, SHOP, hint) == hint
    assert settle((), text, SHOP, hint, kept="ru").language == "ru"


@pytest.mark.parametrize("text", ["stok", "alo", "test", "video", "pardon", "Foto", "ok", "iPhone 15", "Anna Schmidt"])
@pytest.mark.parametrize(("hint", "languages"), [("tr", SHOP), ("tr", ALL), ("de", ALL)])
def test_a_word_that_may_be_anybodys_is_in_the_language_of_the_app(
    text: str, hint: str, languages: tuple[str, ...]
) -> None:
    assert guess(text, languages, hint) == hint
    assert settle((), text, languages, "en", kept=hint).language == hint


@pytest.mark.parametrize(
    ("text", "hint", "language"),
    [
        ("fiyat ne", "tr", "tr"),
        ("nerede", "en", "tr"),
        ("thanks", "tr", "en"),
        ("şikayet", "en", "tr"),
        ("где", "en", "ru"),
        ("ок", "tr", "ru"),
    ],
)
def test_a_common_word_or_a_letter_tells_more_than_the_app(text: str, hint: str, language: str) -> None:
    assert guess(text, SHOP, hint) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Здравствуйте! Order 12345, tracking number LX123, где посылка?", "ru"),
        ("Привет, Samsung Galaxy Watch Ultra Titanium когда будет?", "ru"),
        ("Здравствуйте! Where is my order? I have been waiting for three weeks now", "en"),
        ("merhaba, tracking number LX123, kargom nerede?", "tr"),
    ],
)
def test_words_of_another_script_are_borrowed(text: str, language: str) -> None:
    assert guess(text, SHOP) == language


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


@pytest.mark.parametrize(
    ("text", "language"), [(":denglish please", "en"), ("english please:d", "en"), ("please;-)", "")]
)
def test_a_smile_that_sticks_to_a_word_does_not_hide_it(text: str, language: str) -> None:
    assert wish(text, SHOP) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("привет Emma привет Clark", "ru"),
        ("где мой Samsung Galaxy Ultra", "ru"),
        ("…—“where is my parcel”", "en"),
        ("где мой заказ???!!! 👍👍", "ru"),
    ],
)
def test_scripts_are_told_apart_run_by_run(text: str, language: str) -> None:
    assert guess(text, SHOP) == language


@given(st.text(alphabet="abığ где بلا 日本 ελ 12.", max_size=80))
def test_what_is_remembered_of_words_changes_nothing(text: str) -> None:
    first = settle((), text, ALL)
    assert settle((), text, ALL) == first
    assert settle((), f"{text} ", ALL) == first
