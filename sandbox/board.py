"""What is told to the pages of the demo: numbered, kept for a while, and followed as it happens.

Rule: a page that lost its line catches up from the number it had, and is told to start over where that cannot be.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import orjson

Json = dict[str, Any]

KEPT = 4000  # things told that a page which reconnects can still catch up with
TRAIL = 400  # entries a fresh page is given
BEHIND = 2000  # things a page may lag before it is told to start over
HEARTBEAT = 15.0  # seconds


class Board:
    """Everything told to the pages, numbered within one life of this server."""

    def __init__(self) -> None:
        self.life = secrets.token_hex(4)
        self.seq = 0
        self.entries: deque[Json] = deque(maxlen=TRAIL)
        self._told: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._pages: set[asyncio.Queue[tuple[int, bytes] | None]] = set()

    @property
    def mark(self) -> str:
        return f"{self.life}.{self.seq}"

    def tell(self, kind: str, **what: Any) -> None:
        if kind == "went":
            self.entries.append(what["entry"])
        self.seq += 1
        told = (self.seq, orjson.dumps({"type": kind, **what}))
        self._told.append(told)
        for page in tuple(self._pages):
            try:
                page.put_nowait(told)
            except asyncio.QueueFull:
                self._pages.discard(page)
                page.get_nowait()
                page.put_nowait(None)

    def close(self) -> None:
        for page in tuple(self._pages):
            with contextlib.suppress(asyncio.QueueFull):
                page.put_nowait(None)

    def since(self, mark: str) -> list[tuple[str, bytes]] | None:
        """Everything told after `mark`; None when that cannot be said any more, or never could."""
        life, _, number = mark.partition(".")
        oldest = self._told[0][0] if self._told else self.seq + 1
        if life != self.life or not number.isdigit() or not oldest - 1 <= int(number) <= self.seq:
            return None
        return [(f"{self.life}.{seq}", told) for seq, told in self._told if seq > int(number)]

    async def follow(self, mark: str) -> AsyncGenerator[tuple[str, bytes], None]:
        """Everything told after `mark`, then everything as it is told; empty bytes now and then keep the line alive."""
        page: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(BEHIND)
        self._pages.add(page)
        try:
            caught_up = self.since(mark)
            if caught_up is None:
                yield self.mark, orjson.dumps({"type": "start-over"})
                return
            # What is told while these are written waits in the queue as well; numbers tell it apart.
            known = self.seq
            for at, told in caught_up:
                yield at, told
            while True:
                try:
                    item = await asyncio.wait_for(page.get(), HEARTBEAT)
                except TimeoutError:
                    yield "", b""
                    continue
                if item is None:
                    return
                if item[0] > known:
                    yield f"{self.life}.{item[0]}", item[1]
        finally:
            self._pages.discard(page)
