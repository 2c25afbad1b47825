"""How long an SMS is, and that what is planned for one fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.registry import CAPABILITIES
from channels.segments import MOST, segments, septets, units, weight
from inbox.plan import plan


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 0),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("ş" * 71, 2),
        ("ş" + "a" * 159, 3),
        ("ı" * 70, 1),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 33 + "a😀" * 2, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # an escape is not parted from its character
    ],
)
def test_edge_09_parts_are_counted_as_they_are_billed(text: str, parts: int) -> None:
    assert segments(text) == parts


def test_edge_09_what_is_in_the_alphabet() -> None:
    assert septets("[x]") == 5
    assert all(septets(char) == 1 for char in "öüÇéàñ@ÄΩ\n")
    assert all(septets(char) == 2 for char in "^{}\\[~]|€")
    assert all(septets(char) is None for char in "çğĞıİşŞ’`Жқ😀")


@given(st.text(st.sampled_from("aB €[]üşıЖ😀👨‍👩‍👧\n .!?"), max_size=2000))
def test_edge_09_a_planned_sms_fits_into_ten_parts(text: str) -> None:
    parts = [part.text for part in plan(text, (), (), CAPABILITIES["sms"])]
    assert all(weight(part) <= MOST and segments(part) <= 10 and units(part) <= 1600 for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@given(st.text(), st.text())
def test_a_longer_text_weighs_no_less(text: str, more: str) -> None:
    assert len(text) <= weight(text) <= weight(text + more)
    assert segments(text) <= segments(text + more)
