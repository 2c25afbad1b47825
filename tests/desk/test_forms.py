"""The windows "More…" and "Reply with a template": within Slack's limits, and only what was touched comes back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.channel import Capabilities
from desk import forms
from desk.forms import Decided, Filled, Filling, Offered
from desk.notices import MODAL_TEXT
from desk.offers import asked, fitting
from inbox.changes import AddTag, Priority, RemoveTag, SetPriority, SetTeam, WishLanguage
from inbox.text import storable
from sandbox.slack.blocks import check_view
from sandbox.slack.clicks import state
from templates.catalog import Catalog
from templates.replies import Replies
from templates.reply import Unfilled
from tests.desk import limits
from tests.desk.test_words import hostile

CATALOG = Catalog.load("en")
EN = CATALOG.voice("en")
NOW = Decided(priority="high", tags=("damaged", "refund"), team="support", language="tr")
KNOWN: dict[str, Any] = {
    "tags": ["refund", "legal", "damaged"],
    "teams": ["support", "returns"],
    "languages": ["tr", "ru"],
}
WRITTEN = """
[number]
title = "Your number"
tags = ["order-status"]
text = "Order {{ order }} is on its way{% if customer %}, {{ customer }}{% endif %}. {{ shop }}"
short = "{{ order }} is on its way."
[hello]
title = "Hello"
text = "Hello{% if order %} about {{ order }}{% endif %}, {{ agent }} here{% if opening %} {{ opening }}{% endif %}."
"""

languages = st.sampled_from(CATALOG.languages)
stored = hostile.map(storable)  # as everything comes out of the database
quick = settings(max_examples=60, deadline=None)


def submitted(view: dict[str, Any], values: dict[str, Any] | None = None) -> dict[str, Any]:
    """A window as it comes back from Slack."""
    return {**view, "state": {"values": state(view["blocks"], values or {})}}


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> Replies:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "en.toml").write_text(WRITTEN, encoding="utf-8")
    return Replies.load(["en"], folder, shop="Kumbara")


# more


def test_the_window_shows_what_is_set_and_untouched_changes_nothing() -> None:
    view = forms.more("17", "Ayşe", NOW, EN, **KNOWN)
    check_view(view)
    assert view["private_metadata"] == "17"
    assert forms.wanted(submitted(view)) == ([], ("damaged", "refund"))


def test_what_was_touched_becomes_changes_and_nothing_else() -> None:
    view = forms.more("17", "Ayşe", NOW, EN, **KNOWN)
    values = {"priority": "urgent", "tags": ["legal", "damaged"], "team": "returns", "language": "ru"}
    changes, tags = forms.wanted(submitted(view, values))
    assert changes == [
        SetPriority(priority=Priority.URGENT),
        RemoveTag(tag="refund"),
        AddTag(tag="legal"),
        SetTeam(team="returns"),
        WishLanguage(language="ru"),
    ]
    assert tags == ("legal", "damaged")
    changes, tags = forms.wanted(submitted(view, {"tags": []}))
    assert changes == [RemoveTag(tag="damaged"), RemoveTag(tag="refund")] and tags == ()


def test_a_menu_of_one_is_not_shown_and_one_of_thousands_holds_what_is_set() -> None:
    view = forms.more("17", "Ayşe", NOW, EN, tags=[f"tag-{n}" for n in range(3_000)], teams=["support"], languages=[])
    check_view(view)
    shown = {block["block_id"]: block.get("element") for block in view["blocks"] if "block_id" in block}
    assert "team" not in shown and len(shown["tags"]["options"]) == 100
    assert forms.wanted(submitted(view))[0] == []
    assert [option["value"] for option in shown["language"]["options"]] == ["tr"]


@quick
@given(stored, st.lists(stored, max_size=5), st.text("ab-", min_size=140, max_size=160), languages)
def test_the_window_is_within_slacks_limits_and_untouched_changes_nothing(
    name: str, words: list[str], long: str, language: str
) -> None:
    now = Decided(priority="low", tags=(*words, long), team=name, language=name)
    say = CATALOG.voice(language)
    view = forms.more("17", name, now, say, tags=words, teams=[*words, name], languages=[name, *words])
    check_view(view)
    assert limits.ACTIVE.search(str(view["blocks"][0])) is None
    assert forms.wanted(submitted(view))[0] == []


def test_where_no_language_is_known_yet_everything_else_can_be_set() -> None:
    view = forms.more("17", "Ayşe", Decided(priority="normal"), EN, **KNOWN)
    check_view(view)
    assert forms.wanted(submitted(view, {"priority": "low"})) == ([SetPriority(priority=Priority.LOW)], ())


# templates


def offered(language: str = "en", count: int = 3) -> Offered:
    choices = [(f"name-{number}", f"Title {number}") for number in range(count)]
    return Offered(conversation="17", customer="Ayşe", channel="telegram", language=language, choices=choices)


def test_before_a_template_is_chosen_there_is_nothing_to_send() -> None:
    view = forms.template(offered(count=300), EN)
    check_view(view)
    assert "submit" not in view
    (menu,) = view["blocks"][1]["elements"]
    assert len(menu["options"]) == 100
    assert forms.filled(submitted(view)) == Filled(conversation=17)


def test_the_text_comes_back_with_what_it_was_made_of() -> None:
    filling = Filling(name="name-1", language="en", text="On its way: 42", asks={"order": False}, given={"order": "42"})
    view = forms.template(offered(), EN, filling)
    check_view(view)
    back = forms.filled(submitted(view))
    assert (back.name, back.given, back.typed, back.text) == (
        "name-1",
        {"order": "42"},
        {"order": "42"},
        "On its way: 42",
    )
    assert set(back.boxes) == {"order", "text"}
    other = forms.template(offered(), EN, Filling(name="name-1", language="en", text="x", given={"order": "43"}))
    assert {block.get("block_id") for block in other["blocks"]}.isdisjoint({back.boxes["text"]})


def test_what_a_text_needs_is_asked_for_before_there_is_one() -> None:
    view = forms.template(offered(), EN, Filling(name="name-1", asks={"order": True}))
    check_view(view)
    (box,) = (block for block in view["blocks"] if block["type"] == "input")
    assert box["optional"] is False and view["submit"]["text"] == "Continue"
    assert forms.filled(submitted(view, {box["block_id"]: " 42 "})).typed == {"order": "42"}


def test_a_text_in_another_language_is_said_to_be() -> None:
    told = str(forms.template(offered("ru"), EN, Filling(name="name-1", language="en", text="Hello")))
    assert "no such text in the customer's language" in told and "English" in told
    assert "no such text" not in str(forms.template(offered(), EN, Filling(name="name-1", language="en", text="Hi")))


def test_a_text_that_does_not_fit_the_window_cannot_be_sent_cut() -> None:
    view = forms.template(offered(), EN, Filling(name="name-1", language="en", text="x" * (MODAL_TEXT + 1)))
    check_view(view)
    assert "submit" not in view and "longer than the 3000" in str(view)


@quick
@given(text=stored, given=stored, title=stored, language=languages)
def test_the_window_of_a_template_is_within_slacks_limits(text: str, given: str, title: str, language: str) -> None:
    say = CATALOG.voice(language)
    about = Offered(
        conversation="17", customer=text, channel=text, language=text[:20], choices=[("name-1", title), ("b", text)]
    )
    filling = Filling(
        name="name-1", language="en", text=text, asks={"order": False}, given={"order": given[:200]} if given else {}
    )
    check_view(forms.template(about, say, filling))
    check_view(forms.template(about, say))


# what is offered


def test_only_what_a_text_uses_is_asked_for_and_only_what_it_needs_must_be_answered(replies: Replies) -> None:
    assert asked(replies, "number", "en", {"agent": "Deniz"}) == {"order": True}
    assert asked(replies, "hello", "en", {"agent": "Deniz"}) == {"order": False}
    assert asked(replies, "hello", "en", {}) == {"agent": True, "order": False}
    assert asked(replies, "number", "en", {"order": "42"}) == {"order": True}  # known ones are shown all the same
    with pytest.raises(KeyError):
        asked(replies, "never-written", "en", {})


def test_the_short_form_goes_where_little_fits(replies: Replies) -> None:
    values = {"order": "42", "customer": "Ayşe"}
    whole, short = "Order 42 is on its way, Ayşe. Kumbara", "42 is on its way."
    assert fitting(replies, "number", "en", values, None, 3_000).text == whole
    assert fitting(replies, "number", "en", values, Capabilities(max_text=4_096), 3_000).text == whole
    assert fitting(replies, "number", "en", values, Capabilities(max_text=160), 3_000).text == short
    crowded = Capabilities(max_text=4_096, measure=lambda text: 5_000 if "Kumbara" in text else 10)
    assert fitting(replies, "number", "en", values, crowded, 3_000).text == short
    assert fitting(replies, "number", "en", values, None, 20).text == short
    assert fitting(replies, "hello", "en", {"agent": "Deniz"}, Capabilities(max_text=160), 3_000).text.startswith(
        "Hello"
    )
    with pytest.raises(Unfilled):
        fitting(replies, "number", "en", {}, None, 3_000)
