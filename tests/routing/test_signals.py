"""What raises a priority beside the words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.changes import Priority
from routing.signals import Circumstances, raised, times_written

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def written(*hours_ago: float) -> tuple[datetime, ...]:
    return tuple(NOW - HOUR * ago for ago in hours_ago)


@pytest.mark.parametrize(
    ("circumstances", "priority", "because"),
    [
        (Circumstances(now=NOW), Priority.NORMAL, ()),
        (Circumstances(now=NOW, since_answer=written(0)), Priority.NORMAL, ()),
        (Circumstances(now=NOW, since_answer=written(5, 0)), Priority.HIGH, ("wrote 2 times without an answer",)),
        (Circumstances(now=NOW, since_answer=written(9, 5, 0)), Priority.URGENT, ("wrote 3 times without an answer",)),
        (Circumstances(now=NOW, waited=26 * HOUR), Priority.HIGH, ("waiting 26 h",)),
        (Circumstances(now=NOW, waited=120 * HOUR), Priority.URGENT, ("waiting 5 days",)),
        (Circumstances(now=NOW, promised=NOW - 24 * HOUR), Priority.HIGH, ("promised for 2026-03-01",)),
        (Circumstances(now=NOW, promised=NOW + HOUR), Priority.NORMAL, ()),
        (Circumstances(now=NOW, known=True), Priority.NORMAL, ()),
    ],
)
def test_each_circumstance_raises_by_its_step(
    circumstances: Circumstances, priority: Priority, because: tuple[str, ...]
) -> None:
    found = raised(Priority.NORMAL, circumstances)
    assert (found.priority, found.because) == (priority, because)


def test_several_channels_count_when_nobody_answered() -> None:
    tried = Circumstances(now=NOW, since_answer=written(5, 0), channels=frozenset({"bot", "mail"}))
    assert raised(Priority.NORMAL, tried).because == ("wrote 2 times without an answer", "tried 2 channels")
    once = replace(tried, since_answer=written(0))
    assert raised(Priority.NORMAL, once).priority is Priority.NORMAL


def test_bubbles_of_one_breath_are_one_time() -> None:
    assert times_written(NOW + timedelta(seconds=20) * number for number in range(12)) == 1
    assert times_written(written(2, 1.9, 0)) == 2


@pytest.mark.parametrize("exempt", [{"automatic": True}, {"spam": True}])
def test_automatic_mail_and_spam_are_never_raised(exempt: dict[str, bool]) -> None:
    worst = Circumstances(now=NOW, since_answer=written(9, 5, 0), waited=200 * HOUR, **exempt)  # type: ignore[arg-type]
    assert raised(Priority.NORMAL, worst).priority is Priority.NORMAL


def test_thanks_need_no_hurry_however_often_they_come() -> None:
    assert raised(Priority.LOW, Circumstances(now=NOW, since_answer=written(9, 5, 0))).priority is Priority.LOW


@given(
    st.sampled_from(list(Priority)),
    st.lists(st.integers(0, 200), max_size=8),
    st.integers(0, 300),
    st.booleans(),
)
def test_nothing_is_ever_lowered_and_every_raise_has_a_reason(
    priority: Priority, ago: list[int], waited: int, known: bool
) -> None:
    circumstances = Circumstances(now=NOW, since_answer=written(*ago), waited=waited * HOUR, known=known)
    found = raised(priority, circumstances)
    assert found.priority <= priority
    assert bool(found.because) is (found.priority < priority)
