"""The texts: complete in every language, and no reader left without words."""

from __future__ import annotations

import pytest

from templates.catalog import Catalog, placeholders

CATALOG = Catalog.load("tr")


def test_every_language_has_every_text_with_the_same_placeholders() -> None:
    assert {"en", "tr", "ru"} <= set(CATALOG.languages)
    assert CATALOG.check() == ()


def test_a_language_falls_back_to_the_shops_first_and_then_to_english() -> None:
    assert CATALOG.text("button.take", "ru") == "Взять"
    assert CATALOG.text("button.take", "ru-RU") == "Взять"
    assert CATALOG.text("button.take", "ja") == "Üzerime al"
    assert Catalog(texts=CATALOG.texts, first="ja").text("button.take", "") == "Take"


def test_values_are_never_read_as_placeholders() -> None:
    made = CATALOG.text("undo.going", "en", customer="{channel} {0} {x.y}", channel="SMS", seconds=5)
    assert made == "📨 Going to {channel} {0} {x.y} on SMS in 5 s"


def test_a_word_nobody_translated_is_shown_as_it_is() -> None:
    assert CATALOG.word("state", "resolved", "tr") == "Çözüldü"
    assert CATALOG.word("state", "brand-new", "tr") == "brand-new"


def test_what_is_wrong_with_the_texts_is_listed() -> None:
    wrong = Catalog(
        texts={
            "en": {"a": "Hi {name}", "b": "x", "c": "y"},
            "tr": {"a": "Selam", "b": " ", "d": "z"},
            "ru": {"a": "{name!r}", "b": "x", "c": "{0}"},
        }
    )
    assert wrong.check() == (
        "tr.toml has no c",
        "tr.toml alone has d",
        "tr.toml: a does not have the placeholders of the English text",
        "tr.toml: b is empty",
        "ru.toml: a: {name} is not a plain name",
        "ru.toml: c: {0} is not a plain name",
    )
    assert Catalog(texts={}).check() == ("en.toml is missing",)


def test_every_kind_of_work_can_be_named_in_an_alarm() -> None:
    kinds = {
        "mirror",
        "card",
        "revise",
        "marks",
        "deliver",
        "media",
        "forget",
        "unshare",
        "closing",
        "echo",
        "profile",
        "missed",
        "read",
        "slack_thread",
        "pull",
        "alarms",
        "catchup",
        "acknowledge",
        "promise",
        "timers",
        "assign",
        "understand",
        "learn",
    }
    for texts in CATALOG.texts.values():
        assert {key.removeprefix("work.") for key in texts if key.startswith("work.")} == kinds


@pytest.mark.parametrize("text", ["{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{"])
def test_placeholders_are_plain_names_only(text: str) -> None:
    with pytest.raises(ValueError):
        placeholders(text)


def test_sizes_and_languages_are_named_as_readers_expect() -> None:
    assert [CATALOG.voice(lang).size(1_400_000) for lang in ("en", "tr")] == ["1.4 MB", "1,4 MB"]
    assert CATALOG.voice("en").size(12) == "12 B"
    assert [CATALOG.voice(lang).language("tr") for lang in ("en", "tr", "ru")] == ["Turkish", "Türkçe", "турецкий"]
    assert CATALOG.voice("en").language("not a code") == "not a code"


def test_turkish_texts_use_turkish_letters() -> None:
    """A text typed without them reads like spam."""
    words = " ".join(CATALOG.texts["tr"].values()).lower().split()
    assert not {"musteri", "gonder", "mesaji", "icin", "yanit"} & set(words)
