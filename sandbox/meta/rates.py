"""How much may be sent: sliding windows that forget, by the world's clock.

Rule: a refused message takes nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rates:
    """Spent room by what it was spent on, such as ("send", line)."""

    _spent: dict[tuple[str, ...], deque[float]] = field(default_factory=dict)

    def spend(self, what: tuple[str, ...], most: int | None, seconds: float, now: float) -> bool:
        """Take room for one within any `seconds`. False when there is none; without `most` there always is."""
        if most is None:
            return True
        spent = self._spent.setdefault(what, deque())
        while spent and not now - seconds < spent[0] <= now:
            spent.popleft()
        if len(spent) >= most:
            return False
        spent.append(now)
        return True

    def drip(self, what: tuple[str, ...], burst: int | None, seconds: float, now: float) -> bool:
        """Take room from a bucket of `burst` that regains one every `seconds`. False when it is empty."""
        if burst is None:
            return True
        # Each message occupies the bucket until its own drop has run out: kept as the moments they do.
        full = self._spent.setdefault(what, deque())
        while full and full[0] <= now:
            full.popleft()
        if len(full) >= burst:
            return False
        full.append(max(full[-1] if full else now, now) + seconds)
        return True
