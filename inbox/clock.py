"""Two clocks: the shop's, by which is decided, and the machine's, by which work is due.

They differ only where the shop's is turned: in the demo, and in tests.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def later(at: datetime, now: datetime) -> datetime:
    """When `at` will be on the machine's clock, if it is `now` on the shop's."""
    return datetime.now(UTC) + (at - now)


def turned(now: datetime) -> timedelta:
    """How far the shop's clock, which says `now`, is ahead of the machine's; nothing where it was not turned."""
    ahead = now - datetime.now(UTC)
    return ahead if abs(ahead) >= timedelta(seconds=1) else timedelta()
