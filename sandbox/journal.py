"""What happened, numbered: API calls, webhook attempts, and every change for whoever watches the stream.

Rule: memory is bounded. The oldest records go first, and a listener that does not keep up is cut off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any

KEPT = 4000  # records of each kind
BEHIND = 2000  # records a listener may lag

Json = dict[str, Any]


class Journal:
    """Numbered records. `seq` rises by one over all kinds, so that "since" means the same everywhere."""

    def __init__(self) -> None:
        self._seq = 0
        self._calls: deque[Json] = deque(maxlen=KEPT)
        self._attempts: deque[Json] = deque(maxlen=KEPT)
        self._listeners: set[asyncio.Queue[Json | None]] = set()

    @property
    def seq(self) -> int:
        return self._seq

    def note(self, kind: str, at: datetime, facts: Mapping[str, Any]) -> Json:
        """Number a record, keep it if it is a call or an attempt, and tell the listeners."""
        self._seq += 1
        record: Json = {"type": kind, "seq": self._seq, "at": at.isoformat(), **facts}
        if kind == "call":
            self._calls.append(record)
        elif kind == "attempt":
            self._attempts.append(record)
        for listener in list(self._listeners):
            if listener.full():
                self._listeners.discard(listener)
                listener.get_nowait()
                listener.put_nowait(None)
            else:
                listener.put_nowait(record)
        return record

    def calls(self, since: int = 0, method: str = "") -> list[Json]:
        return [call for call in self._calls if call["seq"] > since and method in ("", call["method"])]

    def attempts(self, since: int = 0) -> list[Json]:
        return [attempt for attempt in self._attempts if attempt["seq"] > since]

    def forget(self) -> None:
        """Drop what is kept; numbers go on, listeners stay."""
        self._calls.clear()
        self._attempts.clear()

    def listen(self) -> AsyncGenerator[Json, None]:
        """Yield every record from this call on, until the journal closes or this listener lags too far."""
        queue: asyncio.Queue[Json | None] = asyncio.Queue(BEHIND)
        self._listeners.add(queue)
        return self._heard(queue)

    async def _heard(self, queue: asyncio.Queue[Json | None]) -> AsyncGenerator[Json, None]:
        try:
            while (record := await queue.get()) is not None:
                yield record
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        for listener in self._listeners:
            if listener.full():
                listener.get_nowait()
            listener.put_nowait(None)
        self._listeners.clear()
