"""What one line of the result says.

Rule: a budget is a number with a reason in the design; a line without one tells and is not judged.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

BUSY = 0.25  # cores; with more than this used by others, absolute figures say little


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured thing. `met` None: there is nothing to judge it by."""

    what: str
    figure: str
    budget: str = ""
    ratio: str = ""
    met: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The lines of one part of a run, and how many cores others used meanwhile."""

    name: str
    rows: Sequence[Row]
    others: float | None = None
    seconds: float = 0.0
    failed: bool = False


def at_most(what: str, value: float, budget: float, unit: str = "ms", *, ratio: str = "", note: str = "") -> Row:
    """A line that is good when it is small."""
    figure, limit = f"{_number(value)} {unit}", f"≤ {_number(budget)} {unit}"
    return Row(what=what, figure=figure, budget=limit, ratio=ratio, met=value <= budget, note=note)


def at_least(what: str, value: float, budget: float, unit: str, *, ratio: str = "", note: str = "") -> Row:
    """A line that is good when it is large."""
    figure, limit = f"{_number(value)} {unit}", f"≥ {_number(budget)} {unit}"
    return Row(what=what, figure=figure, budget=limit, ratio=ratio, met=value >= budget, note=note)


def told(what: str, figure: str, *, ratio: str = "", note: str = "") -> Row:
    """A line that is not judged."""
    return Row(what=what, figure=figure, ratio=ratio, note=note)


def held(what: str, figure: str, budget: str, met: bool, *, note: str = "") -> Row:
    """A line about something that is so or is not."""
    return Row(what=what, figure=figure, budget=budget, met=met, note=note)


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def times(ours: float, theirs: float) -> str:
    """How many times the bare baseline, as people read it."""
    return f"{ours / theirs:.2f} ×" if theirs else ""


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
