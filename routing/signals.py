"""What raises a priority beside the words: waiting, writing again, a promised day gone by. Pure.

Rule: a signal only ever raises, by the steps named here, and says why; automatic mail and spam are never raised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from inbox.changes import Priority

UNANSWERED_HIGH, UNANSWERED_URGENT = 2, 3  # messages in a row without an answer, this one included
TOGETHER = timedelta(minutes=10)  # what is written in one breath is one message, however many bubbles it takes
WAITED_HIGH, WAITED_URGENT = timedelta(hours=24), timedelta(hours=72)  # of support time without an answer
CHANNELS_HIGH = 2  # channels tried while nobody answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known beside the text. Times are aware."""

    now: datetime
    since_answer: tuple[datetime, ...] = ()  # the customer's messages since our last answer, this one included
    waited: timedelta = timedelta()  # support time since the first of them
    channels: frozenset[str] = field(default=frozenset())  # those they came through
    promised: datetime | None = None  # the day the shop named for the parcel or the money
    known: bool = False  # bought or wrote before
    automatic: bool = False
    spam: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """A priority at least as urgent as the one given, and what raised it."""

    priority: Priority
    because: tuple[str, ...] = ()


def times_written(moments: Iterable[datetime]) -> int:
    """How often somebody wrote: bubbles less than ten minutes apart are one time."""
    count, last = 0, None
    for moment in sorted(moments):
        if last is None or moment - last > TOGETHER:
            count += 1
        last = moment
    return count


def raised(priority: Priority, circumstances: Circumstances) -> Raised:
    """What `priority`, as the words ask for it, becomes under these `circumstances`."""
    if circumstances.automatic or circumstances.spam or priority is Priority.LOW:
        return Raised(priority=priority)
    found: list[tuple[Priority, str]] = []
    times = times_written(circumstances.since_answer)
    if times >= UNANSWERED_HIGH:
        level = Priority.URGENT if times >= UNANSWERED_URGENT else Priority.HIGH
        found.append((level, f"wrote {times} times without an answer"))
    if circumstances.waited >= WAITED_HIGH:
        level = Priority.URGENT if circumstances.waited >= WAITED_URGENT else Priority.HIGH
        found.append((level, f"waiting {_hours(circumstances.waited)}"))
    if len(circumstances.channels) >= CHANNELS_HIGH and times >= UNANSWERED_HIGH:
        found.append((Priority.HIGH, f"tried {len(circumstances.channels)} channels"))
    if circumstances.promised is not None and circumstances.promised < circumstances.now:
        found.append((Priority.HIGH, f"promised for {circumstances.promised:%Y-%m-%d}"))
    if circumstances.known and any(level is Priority.HIGH for level, _ in found):
        found.append((Priority.HIGH, "known customer"))
    raising = [(level, why) for level, why in found if level < priority]
    if not raising:
        return Raised(priority=priority)
    return Raised(priority=min(level for level, _ in raising), because=tuple(why for _, why in raising))


def _hours(waited: timedelta) -> str:
    hours = int(waited.total_seconds() // 3600)
    return f"{hours} h" if hours < 96 else f"{hours // 24} days"
