"""Provider-approved templates: what the provider would refuse is refused at start, and no gap is ever sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates.approved import Approved, ApprovedTemplate
from templates.replies import Replies
from templates.reply import BadReplies, Problem, Unfilled

REPLIES = Replies.load(["tr"], shop="Kumbara")


def entry(**changed: str) -> str:
    """A template that is right, with some of its lines changed or, where the value is "", left out."""
    lines = {
        "channel": "'whatsapp'",
        "name": "'order_update'",
        "language": "'tr'",
        "category": "'utility'",
        "body": "'Merhaba {{1}}, {{2}} numaralı siparişiniz yolda.'",
        "variables": "['customer', 'order']",
        "reply": "'order-status'",
        **changed,
    }
    return "[[approved]]\n" + "\n".join(f"{key} = {value}" for key, value in lines.items() if value)


def load(folder: Path, *entries: str, languages: tuple[str, ...] = ("tr", "en")) -> Approved:
    (folder / "approved.toml").write_text("\n".join(entries), encoding="utf-8")
    return Approved.load(languages, folder, shop="Kumbara", replies=REPLIES)


def problems(folder: Path, *entries: str) -> tuple[Problem, ...]:
    with pytest.raises(BadReplies) as bad:
        load(folder, *entries)
    return bad.value.problems


def test_a_template_is_found_by_channel_reply_and_language_and_filled(tmp_path: Path) -> None:
    approved = load(
        tmp_path, entry(header="'Kumbara'", footer="'Sorunuz varsa yazın'", buttons="['Tamam', 'Soru sor']")
    )
    found = approved.pick("whatsapp", "order-status", "tr")
    assert found is not None
    assert (found.name, found.language, found.category) == ("order_update", "tr", "utility")
    assert found.buttons == ("Tamam", "Soru sor")
    values = {"customer": "Ayşe", "order": "10293", "agent": "Deniz"}
    assert found.fill(values) == ("Ayşe", "10293")
    assert found.text(values) == "Kumbara\n\nMerhaba Ayşe, 10293 numaralı siparişiniz yolda.\n\nSorunuz varsa yazın"
    assert approved.pick("sms", "order-status", "tr") is None
    assert approved.pick("whatsapp", "thanks", "tr") is None


@pytest.mark.parametrize(
    ("wanted", "picked"),
    [
        ("en_GB", "en_GB"),
        ("en-gb", "en_GB"),
        ("en", "en_US"),
        ("en_AU", "en_US"),
        ("pt_PT", "pt_PT"),
        ("pt", "pt_BR"),
        ("de", "tr"),
        ("", "tr"),
    ],
)
def test_the_language_falls_back(tmp_path: Path, wanted: str, picked: str) -> None:
    entries = [entry(language=f"'{language}'") for language in ("en_US", "en_GB", "pt_BR", "pt_PT", "tr")]
    found = load(tmp_path, *entries).pick("whatsapp", "order-status", wanted)
    assert found is not None and found.language == picked


def test_without_the_shops_language_english_is_left_and_then_nothing(tmp_path: Path) -> None:
    english = load(tmp_path, entry(language="'en_US'"), languages=("ja",))
    found = english.pick("whatsapp", "order-status", "ko")
    assert found is not None and found.language == "en_US"
    assert load(tmp_path, entry(language="'de'")).pick("whatsapp", "order-status", "ko") is None


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert Approved.load(["tr"], tmp_path, shop="Kumbara").templates == ()
    assert Approved.load(["tr"], shop="Kumbara").templates == ()


# --- values


def made(**changed: object) -> ApprovedTemplate:
    given: dict[str, object] = {
        "channel": "whatsapp",
        "name": "n",
        "language": "tr",
        "category": "utility",
        "body": "Merhaba {{2}}, {{1}} ve {{2}} yolda.",
        "variables": ("order", "customer"),
        "shop": "Kumbara",
    }
    return ApprovedTemplate(**{**given, **changed})  # type: ignore[arg-type]


def test_a_gap_is_never_sent() -> None:
    for values in ({}, {"order": " ", "customer": "+90 532 000 00 00"}):
        with pytest.raises(Unfilled) as unfilled:
            made().fill(values)
        assert unfilled.value.names == ("customer", "order")
    assert made(body="a {{1}} b", variables=("shop",)).fill({"shop": ""}) == ("Kumbara",)
    with pytest.raises(ValueError, match="costumer"):
        made().fill({"costumer": "Ayşe"})


def test_a_value_that_looks_like_a_placeholder_stays_a_value() -> None:
    assert made().text({"order": "{{2}}", "customer": "A{{1}}"}) == "Merhaba A{{1}}, {{2}} ve A{{1}} yolda."


def test_an_order_number_keeps_its_order_in_arabic() -> None:
    arabic = made(language="ar", body="طلبكم {{1}} في الطريق", variables=("order",))
    assert arabic.fill({"order": "#10293-4"}) == ("\u2068#10293-4\u2069",)


@given(order=st.text(), agent=st.text(st.sampled_from("ab \t\n\r\v\u2028\u00a0"), max_size=30))
def test_parameters_are_what_whatsapp_accepts(order: str, agent: str) -> None:
    try:
        parameters = made(variables=("order", "agent")).fill({"order": order, "agent": agent})
    except Unfilled:
        return
    for value in parameters:
        assert value == value.strip() and value
        assert not set(value) & set("\n\t\r\v\u2028") and "  " not in value


# --- mistakes


@pytest.mark.parametrize(
    ("key", "value", "line", "what", "fix"),
    [
        ("channel", "", 1, "is missing", "add channel"),
        ("category", "", 1, "is missing", "add category"),
        ("name", "'Order-Update'", 3, "is not a name", "a-z"),
        ("name", "'" + "a" * 513 + "'", 3, "has 513 characters, of 512", "approved"),
        ("name", "''", 3, "is empty", "copy"),
        ("language", "'pt-BR'", 4, "is not the code of a language", "pt_BR"),
        ("language", "'xx'", 4, "is not the code of a language", "pt_BR"),
        ("category", "'utilty'", 5, "is not a category", "did you mean utility?"),
        ("body", "7", 6, "must be text", "write body"),
        ("body", "'{{1}} ve {{2}} yolda'", 6, "begins or ends", "words before"),
        ("body", "'Merhaba {{1}} ve {{2}} '", 6, "begins or ends", "words before"),
        ("body", "'Merhaba {{1}}{{2}} yolda'", 6, "side by side", "words between"),
        ("body", "'Merhaba {{1}} {{2}} yolda'", 6, "side by side", "words between"),
        ("body", "'Merhaba {{1}} ve {{3}} yolda'", 6, "has the placeholders 1, 3", "without gaps"),
        ("body", "'Merhaba {{0}} ve {{1}} yolda'", 6, "braces that are no placeholder", "{{1}}"),
        ("body", "'Merhaba {{customer}} yolda'", 6, "braces that are no placeholder", "{{1}}"),
        ("body", "'Merhaba {{ 1 }} yolda'", 6, "braces that are no placeholder", "{{1}}"),
        ("body", "'Merhaba {{1}} yolda'", 6, "has 1 placeholders, and variables has 2", "in their order"),
        ("body", "'" + "a" * 1000 + " {{1}} b {{2}} " + "c" * 20 + "'", 6, "characters, of 1024 at most", "approved"),
        ("variables", "['custmer', 'order']", 7, "custmer is not a variable", "did you mean customer?"),
        ("variables", "'customer'", 7, "must be a list", "variables ="),
        ("reply", "'order-stauts'", 8, 'no reply "order-stauts"', "did you mean order-status?"),
        ("header", "'Sayın {{1}}'", 9, "has a placeholder", "without"),
        ("footer", "'" + "a" * 61 + "'", 9, "has 61 characters, of 60", "approved"),
        ("buttons", "['" + "a" * 26 + "']", 9, "does not fit on a button", "25"),
        ("buttons", "[" + "'a', " * 11 + "]", 9, "are more than 10", "remove"),
        ("buttons", "['{{1}}']", 9, "has a placeholder", "without"),
        ("boddy", "'a'", 9, "is not a key", "did you mean body?"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_its_fix(
    tmp_path: Path, key: str, value: str, line: int, what: str, fix: str
) -> None:
    (problem,) = problems(tmp_path, entry(**{key: value}))
    assert (problem.file, problem.line) == (str(tmp_path / "approved.toml"), line)
    assert (problem.name, problem.key) == ("approved[1]", key)
    assert what in problem.what and fix in problem.fix


def test_everything_is_found_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, entry(), entry(language="'en'", name="'X'", category="'x'"), entry(), "[other]\na = 1")
    assert [(problem.line, problem.name, problem.key) for problem in found] == [
        (11, "approved[2]", "name"),
        (13, "approved[2]", "category"),
        (19, "approved[3]", "name"),
        (25, "other", ""),
    ]
    assert found[2].what == "order_update in tr stands in approved[1] already"


def test_a_key_that_nobody_knows_hides_no_other_mistake(tmp_path: Path) -> None:
    found = problems(tmp_path, entry(language="'xx'", category="'utilty'", reply="'order-stauts'", boddy="'a'"))
    assert [problem.key for problem in found] == ["language", "category", "reply", "boddy"]


@pytest.mark.parametrize("text", ["[approved]\nname = 'a'", "approved = 'a'", "approved = ['a']", "[[approved]\n"])
def test_what_is_no_list_of_templates_is_refused(tmp_path: Path, text: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.line == 1
