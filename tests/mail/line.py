"""A TCP line between a client and a server of the tests, to listen in on, to cut and to let go dead."""

from __future__ import annotations

import asyncio
import contextlib
import re

MOST_SECONDS = 20  # that a test waits for anything


class Line:
    """A line between us and a server, that remembers what went over it and can be cut or go dead."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.count = 0  # of connections so far
        self.breaks_at: re.Pattern[bytes] | None = None  # what we say and the server, it seems, dies of
        self.ours, self.theirs = bytearray(), bytearray()  # what was said by either side
        self._to = port
        self._dead = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stirred = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self.cut()
        if self._server:
            self._server.close()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def die(self, *, dead: bool = True) -> None:
        """Stay connected and carry nothing any more; connections made after `dead=False` work."""
        self._dead = dead

    async def said(self, words: bytes, times: int = 1) -> None:
        """Wait until the server has said this."""
        while self.theirs.count(words) < times:
            self._stirred.clear()
            await asyncio.wait_for(self._stirred.wait(), MOST_SECONDS)

    async def is_quiet(self) -> None:
        """Wait until nobody is connected any more."""
        while self._writers:
            self._stirred.clear()
            await asyncio.wait_for(self._stirred.wait(), MOST_SECONDS)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        ways = (self._carry(reader, far_writer, self.ours), self._carry(far_reader, writer, self.theirs))
        tasks = [asyncio.create_task(way) for way in ways]
        self._tasks |= set(tasks)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in (writer, far_writer):
            one.transport.abort()
        self._writers -= {writer, far_writer}
        self._stirred.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytearray) -> None:
        dead = False
        with contextlib.suppress(OSError):
            while piece := await reader.read(1 << 20):
                dead = dead or self._dead
                if dead:
                    continue
                if said is self.ours and self.breaks_at and self.breaks_at.search(piece):
                    return
                said += piece
                writer.write(piece)
                await writer.drain()
                self._stirred.set()
