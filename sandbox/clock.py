"""The clock of the demo, which can be turned: phones and mailboxes go by it, and Santral reads how far from a file.

Rule: only the distance to the real clock is kept, so that time goes on by itself and alike in every process. Slack's
ids are times, which never go backwards: it stays with the real clock, and the page shows what it says as the shop's.
"""

from __future__ import annotations

import json
import os
import tempfile
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sandbox import cast

Json = dict[str, Any]

FURTHEST = timedelta(days=2 * 366)  # what the list of opening hours reaches
SATURDAY = 5  # as `datetime.weekday` counts
NIGHT = (23, 40)
LAST_MINUTES = timedelta(minutes=20)  # a story that begins by day should also end by day
WEEK = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When somebody answers in the shop. `spans` are (opens, closes) in order; none where nobody said."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo(cast.ZONE))
    text: str = ""
    spans: tuple[tuple[datetime, datetime], ...] = ()

    @classmethod
    def read(cls, path: str) -> Hours:
        """Read `{"zone": …, "text": …, "spans": [[opens, closes], …]}`, moments in seconds since 1970."""
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        spans = tuple((datetime.fromtimestamp(a, UTC), datetime.fromtimestamp(z, UTC)) for a, z in told["spans"])
        return cls(zone=ZoneInfo(told["zone"]), text=told["text"], spans=spans)

    def stand(self, at: datetime) -> tuple[bool | None, datetime | None]:
        """Whether somebody answers, and until when that holds. None for what is not known."""
        behind = bisect_right(self.spans, (at, datetime.max.replace(tzinfo=UTC)))
        if behind and at < self.spans[behind - 1][1]:
            return True, self.spans[behind - 1][1]
        if behind < len(self.spans):
            return False, self.spans[behind][0]
        return None, None

    def opening(self, after: datetime) -> datetime:
        """The next moment at which the shop opens. Raises ValueError where none is known."""
        behind = bisect_right(self.spans, (after, datetime.max.replace(tzinfo=UTC)))
        if behind >= len(self.spans):
            raise ValueError("nobody said when the shop opens")
        return self.spans[behind][0]

    def between(self, first: datetime, last: datetime) -> Sequence[tuple[datetime, datetime]]:
        return [(opens, closes) for opens, closes in self.spans if closes > first and opens < last]


class Clock:
    """Turned with `turn`. With a `file`, how far is written there, in seconds."""

    def __init__(self, hours: Hours | None = None, file: str = "") -> None:
        self.hours = hours or Hours()
        self.offset = timedelta(0)
        self._turns: list[tuple[datetime, timedelta]] = []  # by the real clock, with how far it was turned from then on
        self._file = Path(file) if file else None
        self._write()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    @property
    def closed(self) -> bool:
        """Whether it is known that nobody answers now, or soon will not."""
        now = self.now()
        return any(self.hours.stand(moment)[0] is False for moment in (now, now + LAST_MINUTES))

    def local(self) -> datetime:
        """The time on the shop's wall."""
        return self.now().astimezone(self.hours.zone)

    def find(self, wish: Json) -> datetime | None:
        """The moment somebody wants to turn to; None is the real time. Raises ValueError for what is no moment.

        `{"by": seconds}`, or `{"to": …}` with "now", "opening", "saturday" (the next, 23:40) or a local date and time.
        """
        if "by" in wish:
            by = wish["by"]
            if isinstance(by, bool) or not isinstance(by, int | float) or abs(by) > FURTHEST.total_seconds():
                raise ValueError("by must be seconds, two years at most")
            return self.now() + timedelta(seconds=by)
        match to := str(wish.get("to", "")):
            case "now":
                return None
            case "opening":
                return self.hours.opening(self.now())
            case "saturday":
                return self._saturday_night()
        try:
            moment = datetime.fromisoformat(to)
        except ValueError:
            raise ValueError("to must be now, opening, saturday, or a date and time like 2026-11-28T23:40") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=self.hours.zone)

    def turn(self, to: datetime | None) -> None:
        """Make it this moment; None is the real time. It goes on from there. Raises ValueError for what is too far."""
        offset = to - datetime.now(UTC) if to is not None else timedelta(0)
        if abs(offset) > FURTHEST:
            raise ValueError("the clock can be turned by two years at most")
        self.offset = offset
        self._turns.append((datetime.now(UTC), offset))
        self._write()

    def plain(self) -> Json:
        """The clock as the page draws it: moments in seconds since 1970."""
        now, local = self.now(), self.local()
        is_open, until = self.hours.stand(now)
        monday = (local - timedelta(days=local.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
        week = self.hours.between(monday, monday + timedelta(days=WEEK))
        return {
            "offset": self.offset.total_seconds(),
            "turns": [[at.timestamp(), offset.total_seconds()] for at, offset in self._turns],
            "zone": self.hours.zone.key,
            "hours": self.hours.text,
            "open": is_open,
            "until": until.timestamp() if until else None,
            "monday": monday.date().isoformat(),
            "week": [[opens.timestamp(), closes.timestamp()] for opens, closes in week],
        }

    def _saturday_night(self) -> datetime:
        local = self.local()
        hour, minute = NIGHT
        found = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
        found += timedelta(days=(SATURDAY - found.weekday()) % WEEK)
        return found if found > local else found + timedelta(days=WEEK)

    def _write(self) -> None:
        """Whole or not at all: whoever reads meanwhile must not find half a number."""
        if self._file is None:
            return
        number, name = tempfile.mkstemp(dir=self._file.parent)
        with os.fdopen(number, "w", encoding="ascii") as beside:
            beside.write(f"{self.offset.total_seconds():.3f}\n")
        os.replace(name, self._file)
