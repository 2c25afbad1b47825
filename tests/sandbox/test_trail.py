"""What the demo page is told: entries made of anything, and a stream that can be taken up again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import trail
from sandbox.page import Board


@given(st.lists(st.integers(0, 3), max_size=12))
def test_whoever_follows_in_pieces_hears_everything_once(pieces: list[int]) -> None:
    board, heard, mark, told = Board(), [], "", 0
    mark = board.mark
    for piece in pieces:
        for _ in range(piece):
            board.tell("changed", side=str(told))
            told += 1
        caught_up = board.since(mark)
        assert caught_up is not None
        heard += [at for at, _ in caught_up]
        mark = heard[-1] if heard else mark
    assert heard == [f"{board.life}.{number + 1}" for number in range(told)]


@pytest.mark.parametrize("mark", ["", "another.3", "nonsense"])
def test_a_mark_of_another_life_means_starting_over(mark: str) -> None:
    board = Board()
    board.tell("changed", side="slack")
    assert board.since(mark) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=5), st.integers(0, 599), st.text(max_size=12))
def test_no_update_however_odd_stops_the_trail(inner: dict[str, Any], status: int, kind: str) -> None:
    record = {
        "type": "attempt",
        "seq": 1,
        "at": "2026-11-21T12:00:00+00:00",
        "milliseconds": 2.0,
        "update_id": 5,
        "kind": kind,
        "body": {"update_id": 5, kind: inner},
        "status": status,
        "error": "",
        "retry": 0,
    }
    entry = trail.from_telegram(record)
    assert entry is not None
    assert entry["ok"] == (200 <= status < 300)
