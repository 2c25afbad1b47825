"""Bytes as somebody wrote them, under true labels, false ones, and none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.mail.parse import charsets

UNCLEAN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("ISO-8859-1", "cp1252"),
        ("latin1", "cp1252"),
        ("ISO-8859-9", "cp1254"),
        ("latin5", "cp1254"),
        ("windows-1254", "cp1254"),
        ("Windows_1251", "cp1251"),
        ("cp-1250", "cp1250"),
        ("iso-8859-15", "iso8859_15"),
        ("ISO_8859-8-I", "iso8859_8"),
        ("gb2312", "gb18030"),
        ("x-gbk", "gb18030"),
        ("iso-gb2312", "gb18030"),
        ("Shift_JIS", "cp932"),
        ("ks_c_5601-1987", "cp949"),
        ("big5", "big5hkscs"),
        ("unicode-1-1-utf-7", "utf-7"),
        (' "UTF8" ', "utf-8"),
        ("koi8-ru", "koi8-u"),
        ("x-mac-cyrillic", "mac_cyrillic"),
        ("none", ""),
        ("x-unknown", ""),
        ("", ""),
    ],
)
def test_labels_are_read_as_browsers_read_them(label: str, codec: str) -> None:
    assert charsets.codec(label) == codec


@pytest.mark.parametrize(
    "label", ["zlib", "bz2", "hex", "base64", "rot13", "unicode_escape", "idna", "punycode", "undefined"]
)
def test_codecs_that_hold_no_text_are_refused(label: str) -> None:
    assert charsets.codec(label) == ""


SAMPLES = [
    (
        "Siparişim hâlâ gelmedi, ürün kırık çıktı",
        "cp1254",
        ["iso-8859-9", "iso-8859-1", "x-unknown", "", "utf-8", "us-ascii"],
    ),
    ("Где мой заказ? Прошло две недели", "cp1251", ["windows-1251", "koi8-r", "iso-8859-1", "", "utf-8"]),
    ("Где мой заказ? Прошло две недели", "koi8-r", ["koi8-r", "windows-1251", "", "x-unknown"]),
    ("где мой заказ", "koi8-r", ["windows-1251"]),
    ("ГДЕ МОЙ ЗАКАЗ", "cp1251", ["windows-1251"]),
    ("我的订单在哪里？", "gb18030", ["gb2312", "x-gbk", "iso-8859-1", ""]),
    ("①㈱テスト", "cp932", ["shift_jis", "sjis"]),
    ("주문이 어디 있나요", "cp949", ["euc-kr", "ks_c_5601-1987"]),
    ("Grüße – das kostet 5 €", "cp1252", ["iso-8859-1", "windows-1252", "x-unknown", "us-ascii"]),
    ("Παραγγελία δεν ήρθε", "cp1253", ["iso-8859-7", "windows-1253"]),
    ("Gdzie jest moja paczka? Dziękuję, żółć", "cp1250", ["windows-1250"]),
    ("ürün çok güzel – Привет 你好", "utf-8", ["utf-8", "iso-8859-1", "windows-1254", "us-ascii", "", "none"]),
]


@pytest.mark.parametrize(
    ("text", "encoding", "label"), [(text, codec, label) for text, codec, labels in SAMPLES for label in labels]
)
def test_words_come_out_as_they_went_in(text: str, encoding: str, label: str) -> None:
    assert charsets.decode(text.encode(encoding), label) == text


def test_japanese_with_characters_that_the_standard_does_not_have() -> None:
    assert charsets.decode(b"\x1b$B-!-j%F%9%H\x1b(B abc\n\x1b(I1\x1b(B", "iso-2022-jp") == "①㈱テスト abc\nｱ"
    assert charsets.decode("テスト".encode("iso-2022-jp"), "") == "テスト"


def test_one_broken_letter_does_not_change_the_charset() -> None:
    assert (
        charsets.decode("Größe ist falsch, bitte ändern".encode() + b"\xc3", "utf-8")
        == "Größe ist falsch, bitte ändern\ufffd"
    )


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_believed_before_the_label(mark: str) -> None:
    assert charsets.decode("Şimdi".encode(mark), "iso-8859-1") == "Şimdi"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("Sipariþ", "Sipariş"),
        ("Sipariþ ve ýade", "Sipariş ve ıade"),
        ("Merhaba, ürün deðil", "Merhaba, ürün değil"),
        ("TEÞEKKÜRLER", "TEŞEKKÜRLER"),
    ],
)
def test_turkish_under_a_western_label_is_mended(wrong: str, right: str) -> None:
    assert charsets.repaired(wrong) == right


@pytest.mark.parametrize(
    "text",
    ["Þorsteinn Guðmundsson", "Það er gott að sjá þig", "nový den", "Dear Þóra, where is my order?", "Sipariş", "ı"],
)
def test_icelandic_and_others_stay_as_they_are(text: str) -> None:
    assert charsets.repaired(text) == text


def test_who_writes_turkish_needs_less_proof() -> None:
    assert charsets.repaired("Oðuz") == "Oðuz"
    assert charsets.repaired("Oðuz", turkish=True) == "Oğuz"


def test_controls_are_taken_out_and_line_breaks_made_one_kind() -> None:
    assert charsets.clean("a\r\nb\rc\x85d\x0ce\u2028f") == "a\nb\nc\nd\ne\nf"
    assert charsets.clean("a\x00b\x1b\x7f\ud800c\td") == "abc\td"


@given(
    st.binary(max_size=400),
    st.sampled_from(["", "utf-8", "utf-7", "utf-16", "iso-2022-jp", "hz", "gb2312", "big5", "cp1254", "x"]),
)
def test_any_bytes_under_any_label_give_clean_text(data: bytes, label: str) -> None:
    text = charsets.decode(data, label)
    assert not UNCLEAN.search(text)
    assert len(text) <= 2 * len(data) + 2


@given(st.text(max_size=200))
def test_utf8_comes_back_whole(text: str) -> None:
    clean = charsets.clean(text)
    if not charsets._ICELANDIC.keys() & set(map(ord, clean)) and "\x1b" not in clean:
        assert charsets.decode(clean.encode(), "utf-8") == clean
