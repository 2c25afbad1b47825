"""What browsers load of the chat: small, and readable on every color a shop may choose."""

from __future__ import annotations

import gzip
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app import chat_page
from app.chat_page import GROUNDS, STANDS_OUT, contrast, edge, ink

READABLE = 4.5  # of text: WCAG 2.2, 1.4.3
COLORS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
CSS = chat_page.asset("chat.css")


def test_loader_and_chat_together_are_small() -> None:
    look = chat_page.Look(channel="chat", title="x", color="#000000", side="right", origins=(), public_origin="")
    for code in chat_page.LANGUAGES:
        parts = [chat_page.loader(look, "tr"), chat_page.page(look, code, framed=True)]
        parts += [chat_page.asset(name) for name in chat_page.ASSETS]
        assert sum(len(gzip.compress(part.encode())) for part in parts) < 30_000


def test_contrast_is_what_the_guidelines_say() -> None:
    assert contrast("#000000", "#ffffff") == contrast("#ffffff", "#000000") == 21
    assert contrast("#808080", "#808080") == 1
    assert round(contrast("#767676", "#ffffff"), 2) == 4.54


@given(COLORS)
@example("#767676")
@example("#777777")
@example("#f90000")
def test_the_ink_on_any_color_can_be_read(color: str) -> None:
    assert contrast(ink(color), color) >= READABLE


@given(COLORS)
@example("#ffffff")
@example("#17191d")
@example("#fefefe")
def test_what_is_drawn_in_any_color_stands_out_from_both_grounds(color: str) -> None:
    for ground in GROUNDS:
        drawn = edge(color, ground)
        assert contrast(drawn, ground) >= STANDS_OUT
        assert drawn == color.lower() or contrast(color, ground) < STANDS_OUT


def schemes() -> list[dict[str, str]]:
    """The chat's own colors, light and dark."""
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in CSS.split("@media")[:2])
    return [light, {**light, **dark}]


@pytest.mark.parametrize("scheme", schemes(), ids=["light", "dark"])
def test_the_chat_s_own_colors_can_be_read_on_each_other(scheme: dict[str, str]) -> None:
    assert scheme["ground"] in GROUNDS
    pairs = [
        ("words", "ground"),
        ("quiet", "ground"),
        ("words", "theirs"),
        ("quiet", "theirs"),
        ("warn", "warn-ground"),
    ]
    for text, ground in pairs:
        assert contrast(scheme[text], scheme[ground]) >= READABLE, (text, ground)
