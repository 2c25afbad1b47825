"""How commands speak: what was asked for on stdout, for people or programs; everything else on stderr.

Rule: no secret of the configuration in use is ever shown on stderr.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from app.backup_file import Progress
    from channels.channel import Finding

    Result = TypeVar("Result")

FAILED, MISUSED = 1, 2  # what a command leaves with that did not do it, or was called or configured wrongly
SECRETS: set[str] = set()  # of the configuration in use: masked in whatever failure is shown


def say(text: str) -> None:
    """Write a line of what was asked for."""
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    """Write a line of what went wrong, or of what is going on."""
    if SECRETS:
        from app.problems import without_secrets

        text = without_secrets(text, SECRETS)
    sys.stderr.write(text + "\n")


def one_line(text: str) -> str:
    """Put words that may stand on several lines on one."""
    return " ".join(text.split())


def print_json(entries: Iterable[object]) -> None:
    """Print a list for a program to read, dataclasses as objects."""
    plain = [asdict(entry) if is_dataclass(entry) and not isinstance(entry, type) else entry for entry in entries]
    say(json.dumps(plain, ensure_ascii=False, indent=2, default=_json))


def _json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Draw a table; where nobody looks (a pipe), tabs between the values serve better."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            say("\t".join(one_line(value) for value in row))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(value)) for value in row))
    console.print(Padding(table, (1, 2)))


def show_findings(findings: Sequence[Finding], file: Path) -> None:
    """Print what `check` found: what is well in one line each, what is not with its fix below."""
    console = Console(highlight=False)
    fine, wrong, arrow = ("✓", "✗", "→") if console.encoding.lower().startswith("utf") else ("+", "x", "->")
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(
            Text(fine if finding.ok else wrong, style="green" if finding.ok else "bold red"),
            Text(finding.what, style="" if finding.ok else "bold"),
        )
        if finding.fix:
            table.add_row("", Text(f"{arrow} {finding.fix}"))
    bad = sum(not finding.ok for finding in findings)
    if not bad:
        verdict = Text(f"{len(findings)} checks, all well. `santral serve` can start.", style="green")
    else:
        verdict = Text(f"{bad} of {len(findings)} {'needs' if bad == 1 else 'need'} you.", style="bold red")
    console.print(Padding(Text(f"santral check  {file}", style="dim"), (1, 2, 0, 2)))
    console.print(Padding(table, (1, 2)))
    console.print(Padding(verdict, (0, 2, 1, 2)))


def with_progress(doing: str, work: Callable[[Progress], Coroutine[Any, Any, Result]]) -> Result:
    """Run something long; on a terminal, say what it is at."""
    with Console(stderr=True).status(f"{doing}…") as status:

        def progress(step: str, done: int, total: int) -> None:
            status.update(f"{doing} {step}…" + (f" {done:,} of {total:,}" if total else ""))

        return asyncio.run(work(progress))
