"""Says what was measured: a table for whoever waits, and a section in RESULTS.md for whoever compares later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.machine import Facts
from bench.rows import BUSY, Part

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"

HEAD = """\
# Results

Written by `make bench`, newest last. How to read it: docs/benchmarks.md. Compare ratios, and CPU a message; the rest
moves by a third from run to run. "Others" is CPU used by other programs meanwhile: above 0.25 cores a time says little.
"""


def print_table(console: Console, facts: Facts, parts: Sequence[Part]) -> None:
    """Print all parts as one table, and what to think of it."""
    console.print()
    for line in facts.lines():
        console.print(Text(f"  {line}", style="dim"))
    table = Table(box=SIMPLE_HEAD, header_style="dim", pad_edge=True)
    for name, justify in (("", "left"), ("measured", "right"), ("budget", "right"), ("to bare", "right")):
        table.add_column(name, justify=justify, no_wrap=bool(name))  # type: ignore[arg-type]
    table.add_column("", no_wrap=True)
    table.add_column("", style="dim")
    for part in parts:
        table.add_row(Text(part.name, style="bold"), "", "", "", "", meanwhile(part))
        for row in part.rows:
            word = Text({True: "met", False: "missed", None: ""}[row.met])
            word.stylize({True: "green", False: "yellow", None: ""}[row.met])
            table.add_row(Text(f"  {row.what}"), row.figure, row.budget, row.ratio, word, Text(row.note))
        table.add_section()
    console.print(table)
    console.print(Text(f"  {verdict(parts)}"))
    console.print()


def verdict(parts: Sequence[Part]) -> str:
    """One sentence on the whole run."""
    judged = [row for part in parts for row in part.rows if row.met is not None]
    missed = sum(1 for row in judged if not row.met)
    said = f"{len(judged) - missed} of {len(judged)} budgets met."
    if failed := sum(part.failed for part in parts):
        said += f" {failed} of {len(parts)} parts failed."
    busy = [part.others for part in parts if part.others is not None and part.others > BUSY]
    if busy:
        said += f" Others used up to {max(busy):.1f} cores: run it again on a quiet machine before believing a miss."
    return said


def append(facts: Facts, parts: Sequence[Part], *, quick: bool, path: Path = RESULTS) -> None:
    """Add this run to the results."""
    lines = [] if path.exists() else [HEAD]
    first, *rest = facts.lines()
    lines += ["", f"## {first}{' (quick)' if quick else ''}", "", *(f"{line}  " for line in rest), ""]
    lines += ["| | measured | budget | to bare | | |", "|--|--:|--:|--:|--|--|"]
    for part in parts:
        lines.append(f"| **{part.name}** | | | | | {meanwhile(part)} |")
        for row in part.rows:
            word = {True: "met", False: "**missed**", None: ""}[row.met]
            lines.append(f"| {row.what} | {row.figure} | {row.budget} | {row.ratio} | {word} | {_cell(row.note)} |")
    lines += ["", verdict(parts)]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def meanwhile(part: Part) -> str:
    """What others used while a part was measured, and how long that took."""
    used = "others unknown" if part.others is None else f"others {part.others:.2f} cores"
    return f"{used}, {part.seconds:.0f} s"
