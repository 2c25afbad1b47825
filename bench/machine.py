"""What the machine is, what it did besides, and how much memory a process holds.

Rule: only Linux tells all of it; what another system does not tell is None, and shown as unknown.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from app.postgres_programs import binaries

ROOT = Path(__file__).resolve().parent.parent
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One run's surroundings."""

    at: datetime
    commit: str
    cores: int
    processor: str
    memory_gb: float | None
    system: str
    python: str
    postgres: str
    fdatasync_ms: float | None

    def lines(self) -> list[str]:
        memory = f"{self.memory_gb:.0f} GB" if self.memory_gb else "memory unknown"
        disk = f"fdatasync {self.fdatasync_ms:.2f} ms" if self.fdatasync_ms is not None else "disk unknown"
        return [
            f"{self.at:%Y-%m-%d %H:%M} UTC, commit {self.commit}",
            f"{self.cores} cores ({self.processor}), {memory}, {disk}",
            f"{self.system}, {self.python}, {self.postgres}",
        ]


def facts(at: datetime, folder: Path) -> Facts:
    """Look around. `folder` is where the databases will lie."""
    server = next(iter(binaries()), None)
    return Facts(
        at=at,
        commit=_commit(),
        cores=cores(),
        processor=_processor(),
        memory_gb=_memory_gb(),
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        postgres=_said([str(server / "postgres"), "--version"]).replace("postgres (PostgreSQL)", "PostgreSQL")
        if server
        else "no PostgreSQL",
        fdatasync_ms=_fdatasync(folder),
    )


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(slots=True)
class Watch:
    """CPU used by everybody else while something was measured, in cores; None where that is not told."""

    others: float | None = None
    _seen: list[float] = field(default_factory=list)


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch what else the machine does for the length of the block."""
    watch = Watch()
    started, before = time.perf_counter(), _others()
    try:
        yield watch
    finally:
        after = _others()
        if before is not None and after is not None:
            watch.others = max(0.0, (after - before) / (time.perf_counter() - started))


def cpu(pid: int) -> tuple[float, float]:
    """CPU seconds of a process so far, and of all processes it started."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0
    own = (int(words[11]) + int(words[12])) / _TICKS
    return own, _tree(pid) - own


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a process holds. `pss` counts what it shares with others only in part; Linux tells it."""

    rss: float
    pss: float | None = None

    def __str__(self) -> str:
        return f"{self.rss:.0f} MB" + (f" ({self.pss:.0f} PSS)" if self.pss is not None else "")


def memory(pid: int) -> Memory:
    """Megabytes a process holds now."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return Memory(rss=int(_said(["ps", "-o", "rss=", "-p", str(pid)]) or 0) / 1024)
    values = {line.split(":")[0]: int(line.split()[1]) for line in told.splitlines()[1:]}
    return Memory(rss=values["Rss"] / 1024, pss=values["Pss"] / 1024)


def _others() -> float | None:
    """CPU seconds since boot that were not ours."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    user, nice, system, _idle, _wait, hard, soft, stolen = (int(word) for word in words[1:9])
    return (user + nice + system + hard + soft + stolen) / _TICKS - _tree(os.getpid())


def _tree(root: int) -> float:
    """CPU seconds of a process and all its descendants; a dead one's are its parent's once it was waited for."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            pid = int(entry.name)
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            parents[pid] = int(words[1])
            used[pid] = sum(int(word) for word in words[11:15]) / _TICKS
    total = 0.0
    for pid in used:
        ancestor = pid
        while ancestor not in (root, 0, 1):
            ancestor = parents.get(ancestor, 0)
        total += used[pid] if ancestor == root else 0.0
    return total


def _commit() -> str:
    found = _said(["git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD"])
    changed = _said(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
    return (found or "unknown") + (" with changes" if changed else "")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return _said(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.machine() or sys.platform


def _memory_gb() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _MB / 1024
    except (AttributeError, ValueError, OSError):
        return None


def _fdatasync(folder: Path) -> float | None:
    """Milliseconds the disk says a small durable write takes: what every commit waits for."""
    sync = getattr(os, "fdatasync", None)
    if sync is None:
        return None
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(40):
            file.write(b"x" * 8192)
            file.flush()
            started = time.perf_counter()
            sync(file.fileno())
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def _said(command: list[str]) -> str:
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""
