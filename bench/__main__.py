"""`python -m bench`: measure, print, and append to bench/RESULTS.md. A missed budget is no error, a lost message is."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console

from bench import machine
from bench.burst import burst
from bench.day import day
from bench.desk import desk
from bench.intake import intake, memory
from bench.mail import mail
from bench.program import BenchFailed
from bench.quotes import quotes
from bench.report import append, print_table
from bench.rows import Part, Row, told
from bench.starting import starting
from bench.triage import triage
from bench.work import work

Measure = Callable[..., Coroutine[Any, Any, list[Row]]]
PARTS: dict[str, tuple[str, Measure]] = {
    "start": ("Starting and stopping", starting),
    "intake": ("Intake, web role", intake),
    "desk": ("Desk, unloaded", desk),
    "memory": ("Memory of a process", memory),
    "work": ("Work", work),
    "mail": ("E-mail", mail),
    "quotes": ("Quoted pasts", quotes),
    "triage": ("Understanding messages", triage),
    "burst": ("Burst into one Slack channel", burst),
    "day": ("A day over every channel", day),
}
ON_DEMAND = frozenset({"burst", "day"})  # minutes of waiting by their nature
PROMISES = frozenset({"day"})  # what is judged there has to hold on any machine


def main() -> int:
    """Run what was asked for. 1 only when something could not be measured at all, or a promise was broken."""
    wanted = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.basicConfig(level=logging.CRITICAL)  # libraries in this process have nothing to add
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # everything here is on this machine, and slack_sdk would take them for it too
    console = Console(width=None if sys.stdout.isatty() else 150)
    chosen = wanted.only or [name for name in PARTS if name not in ON_DEMAND or wanted.burst]
    # /var/tmp is on a disk where /tmp may be in memory, and a commit there would cost nothing.
    disk = Path("/var/tmp") if "TMPDIR" not in os.environ and Path("/var/tmp").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="santral-bench-", dir=disk, ignore_cleanup_errors=True) as made:
        folder = Path(made)
        folder.chmod(0o755)  # as root the database runs as somebody else, who has to get in
        facts = machine.facts(datetime.now(UTC), folder)
        parts = []
        for name in chosen:
            with console.status(f"{PARTS[name][0]}…"):
                parts.append(_measured(name, folder / name, quick=wanted.quick))
    print_table(console, facts, parts)
    if not wanted.no_results:
        append(facts, parts, quick=wanted.quick)
    return 1 if any(part.failed for part in parts) else 0


def _measured(name: str, folder: Path, *, quick: bool) -> Part:
    title, measure = PARTS[name]
    started = time.perf_counter()
    failed = False
    with machine.watching() as watch, asyncio.Runner(loop_factory=_uvloop()) as runner:
        try:
            rows = runner.run(measure(folder, quick=quick))
            failed = name in PROMISES and any(row.met is False for row in rows)
        except (BenchFailed, OSError, TimeoutError, RuntimeError) as error:
            failed, rows = True, [told("could not be measured", type(error).__name__, note=str(error)[:200])]
    seconds = time.perf_counter() - started
    return Part(name=title, rows=rows, others=watch.others, seconds=seconds, failed=failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what Santral promises.")
    parser.add_argument("--only", action="append", choices=PARTS, metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: about a minute")
    parser.add_argument("--burst", action="store_true", help="also the burst, which takes two minutes")
    parser.add_argument("--no-results", action="store_true", help="do not append to bench/RESULTS.md")
    return parser.parse_args()


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
