"""Which words end and begin what a customer is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.opting import IN, OUT, Wish, folded, wish


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "stop",
        " Stop. ",
        "«Стоп»",
        "СТОП!",
        "Отписаться",
        "DUR",
        "dur",
        "Abonelikten ÇIK",
        "ABONELİKTEN ÇIK",
        "RET",
        "Abbestellen",
        "توقّف",
        "إيقاف",
        "opt-out",
    ],
)
def test_nothing_but_such_a_word_ends_it(text: str) -> None:
    assert wish(text, carrier=False) is wish(text, carrier=True) is Wish.OUT


@pytest.mark.parametrize("text", ["START", "Başla", "BAŞLAT", "старт", "ابدأ", "Unstop"])
def test_and_begins_it_again(text: str) -> None:
    assert wish(text, carrier=False) is Wish.IN


@pytest.mark.parametrize(
    "text",
    [
        "Stop, that was the wrong parcel",
        "dur bir dakika",
        "please stop my order",
        "bus stop",
        "",
        "?",
        "durum",
        "старт продаж",
        "STOP " * 30,
    ],
)
def test_a_sentence_with_the_word_is_a_message(text: str) -> None:
    assert wish(text, carrier=True) is None


@pytest.mark.parametrize(
    ("text", "by_sms"),
    [("cancel", Wish.OUT), ("End", Wish.OUT), ("YES", Wish.IN), ("HELP", Wish.HELP), ("info", Wish.HELP)],
)
def test_words_about_orders_count_by_sms_only_where_the_carrier_takes_them_so(text: str, by_sms: Wish) -> None:
    assert wish(text, carrier=True) is by_sms
    assert wish(text, carrier=False) is None


@pytest.mark.parametrize("text", ["Cancel!", "cancel.", "Yes, please", "yes?", "«end»", "Help!", "quit...", "CANCÉL"])
def test_a_carriers_word_with_anything_around_it_is_a_message(text: str) -> None:
    """Twilio compares the whole text, so it has blocked nobody: whoever is not answered now wrote about an order."""
    assert wish(text, carrier=True) is None


@pytest.mark.parametrize("text", [" Cancel ", "cANCEL\n", "YES\t"])
def test_blanks_around_a_carriers_word_do_not_count(text: str) -> None:
    assert wish(text, carrier=True) is not None


@given(st.text())
def test_any_text_is_read_and_nothing_is_both(text: str) -> None:
    wish(text, carrier=True)
    assert not OUT & IN
    assert folded(folded(text)) == folded(text)
