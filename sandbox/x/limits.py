"""How often X may be called: fixed windows per user and per app, shown in headers.

Rule: every answer of a limited call says what is left; the call that is one too many changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sandbox.x.values import ApiError

DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`count` calls in a window; `scope` says over whom: a user, or the whole app. `day` windows last 24 hours."""

    name: str
    count: int
    scope: str = "user"
    day: bool = False


# docs.x.com/x-api/fundamentals/rate-limits
READ_DMS = (Limit(name="dm_events", count=15),)  # one budget over every GET of messages
SEND_DMS = (
    Limit(name="dm_messages", count=15),
    Limit(name="dm_messages", count=1440, day=True),
    Limit(name="dm_messages", count=1440, scope="app", day=True),
)
DELETE_DMS = (Limit(name="dm_delete", count=300),)
MEDIA = (Limit(name="media", count=500),)
DM_MEDIA = (Limit(name="dm_media", count=900),)
ME = (Limit(name="me", count=75),)
USERS = (Limit(name="users", count=900),)
WEBHOOKS = (Limit(name="webhooks", count=450, scope="app"),)
SUBSCRIPTIONS = (Limit(name="subscriptions", count=500, scope="app"),)
REPLAYS = (Limit(name="replays", count=100, scope="app"),)


@dataclass(slots=True)
class _Window:
    until: float
    used: int = 0


@dataclass(slots=True)
class Windows:
    """The calls made, by limit and by who made them."""

    _open: dict[tuple[str, str, str, bool], _Window] = field(default_factory=dict)

    def clear(self) -> None:
        self._open.clear()

    def spend(self, limits: tuple[Limit, ...], user: str, now: float, seconds: float) -> dict[str, str]:
        """Count one call and return the headers to answer with. Raises 429, and then counts nothing."""
        windows = [(limit, self._window(limit, user, now, seconds)) for limit in limits]
        full = next((pair for pair in windows if pair[1].used >= pair[0].count), None)
        if full is None:
            for _, window in windows:
                window.used += 1
        headers: dict[str, str] = {}
        for limit, window in windows:
            left = limit.count - window.used
            prefix = f"x-{limit.scope}-limit-24hour" if limit.day else "x-rate-limit"
            headers |= {
                f"{prefix}-limit": str(limit.count),
                f"{prefix}-remaining": str(max(0, left)),
                f"{prefix}-reset": str(math.ceil(window.until)),
            }
        if full is not None:
            raise too_many(headers)
        return headers

    def _window(self, limit: Limit, user: str, now: float, seconds: float) -> _Window:
        key = (limit.name, limit.scope, user if limit.scope == "user" else "", limit.day)
        window = self._open.get(key)
        if window is None or window.until <= now:
            window = self._open[key] = _Window(until=now + (DAY if limit.day else seconds))
        return window


def too_many(headers: dict[str, str]) -> ApiError:
    body = {
        "title": "Too Many Requests",
        "detail": "Too Many Requests",
        "type": "about:blank",
        "status": 429,
        "errors": [{"code": 88, "message": "Rate limit exceeded"}],
    }
    return ApiError(429, body, headers)
