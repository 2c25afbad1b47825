"""A clock that can be turned while Santral runs, for the demo and for whoever tries hours out: `serve --clock FILE`.

Rule: it is the real clock plus the seconds that stand in the file. Real set-ups have no such file and go by `now`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

LOOK = 0.5  # seconds between two looks for whether it was turned
FURTHEST = timedelta(days=36_500)  # beyond a century times no longer fit into PostgreSQL and Python alike

log = structlog.get_logger()


class TurnedClock:
    """Call it for the time. The file is asked each time whether it has changed, which takes a few microseconds."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None  # inode and time of change of what was read
        self._offset = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset()

    def offset(self) -> timedelta:
        """How far the clock is turned. What cannot be read changes nothing; a missing file is the real time."""
        try:
            found = self._file.stat()
        except OSError:
            self._seen, self._offset = None, timedelta(0)
            return self._offset
        if (found.st_ino, found.st_mtime_ns) != self._seen:
            self._seen = (found.st_ino, found.st_mtime_ns)
            self._offset = self._read(self._offset)
        return self._offset

    async def watch(self, turned: Callable[[], Awaitable[None]]) -> None:
        """Await `turned` after each turn, so that what was due by then is looked at now."""
        known = self.offset()
        while True:
            await asyncio.sleep(LOOK)
            if (offset := self.offset()) == known:
                continue
            try:
                await turned()
            except Exception as error:  # noqa: BLE001 - a database that is away is asked again at the next look
                log.warning("clock.not_told", error=type(error).__name__)
                continue
            known = offset
            log.info("clock.turned", seconds=offset.total_seconds())

    def _read(self, before: timedelta) -> timedelta:
        try:
            seconds = float(self._file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return before
        if not math.isfinite(seconds) or abs(seconds) > FURTHEST.total_seconds():
            return before
        return timedelta(seconds=seconds)
