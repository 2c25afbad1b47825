"""Files that visitors upload before the message that carries them.

Rule: an upload is noted to be forgotten before its receipt is handed out, and a message that carries it takes the note
away. So whatever no message ever names is deleted, and a crash in between keeps a file rather than loses one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import unquote

from aiohttp import StreamReader, web

from app.chat_files import HEAD, sniffed
from app.limits import Buckets, take_all
from channels.values import shown_filename
from channels.webchat import adapter as webchat
from channels.webchat import visitors
from channels.webchat.visitors import Visitor
from inbox import due, figures
from inbox.files import Files, TooLarge
from inbox.store import work
from inbox.store.database import Database, away

UPLOAD_LIFE = timedelta(days=7)  # of an upload's receipt: as long as a browser keeps what it could not send
FORGOTTEN = UPLOAD_LIFE + timedelta(days=1)  # receipts end by our clock, work begins by the database's
UPLOADS = (10, timedelta(seconds=6))  # of one visitor
UPLOADS_NEAR = (40, timedelta(seconds=2))  # of one internet address, as below: saying hello makes a visitor
MEGABYTES_NEAR = 1_000  # a day; fifty of the largest files, or all the photos of an office
READING = 600.0  # seconds that 20 MB may take: a telephone in the country sends 40 kB a second
MEGABYTE = 1_000_000


class Uploads:
    """Takes files in. `now` is the machine's clock, by which receipts and limits go."""

    def __init__(self, database: Database, files: Files, *, key: bytes, now: Callable[[], datetime]) -> None:
        self._database = database
        self._files = files
        self._key = key
        self._now = now
        self._by_visitor, self._by_client = Buckets(*UPLOADS), Buckets(*UPLOADS_NEAR)
        self._bytes = Buckets(MEGABYTES_NEAR, timedelta(days=1) / MEGABYTES_NEAR)

    async def take(self, request: web.Request, channel: str, visitor: Visitor, client: str) -> web.Response:
        """Keep one file, and answer the receipt by which a message of this visitor may carry it."""
        too_large = web.HTTPRequestEntityTooLarge(webchat.MAX_FILE, request.content_length or webchat.MAX_FILE + 1)
        length = webchat.MAX_FILE if request.content_length is None else request.content_length
        if length > webchat.MAX_FILE:
            raise too_large
        now = self._now()
        own = (self._by_visitor, str(visitor.address(channel)), 1.0)
        near = (self._by_client, client, 1.0), (self._bytes, client, length / MEGABYTE)
        if wait := take_all(now, own, *near):
            figures.REFUSED.labels("chat", "too_often").inc()
            return web.Response(status=429, headers={"Retry-After": str(int(wait.total_seconds()) + 1)})
        name = shown_filename(unquote(request.headers.get("X-Santral-Name", ""), errors="replace"))
        try:
            async with asyncio.timeout(READING):
                head = await _head(request.content)
                if not head:
                    raise web.HTTPBadRequest
                path, size = await self._files.keep(_whole(head, request.content), now, webchat.MAX_FILE)
        except TooLarge:
            raise too_large from None
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        await self._note(path, now)
        found = {"path": path, "size": size, "type": sniffed(head, name), "name": name}
        seal = visitors.sealed(self._key, upload_purpose(channel, visitor), found, now + UPLOAD_LIFE)
        return web.json_response({"file": seal, "name": name, "type": found["type"], "size": size})

    async def _note(self, path: str, now: datetime) -> None:
        """Have the file forgotten unless a message claims it. Where that cannot be noted, it is not kept at all."""
        try:
            async with self._database.transaction() as c:
                await work.put(c, [replace(due.forget(path), due=now + FORGOTTEN)])
        except Exception as error:
            await self._files.forget(path)
            if away(error):
                raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"}) from error
            raise


def upload_purpose(channel: str, visitor: Visitor) -> str:
    """What an upload's receipt is good for: this visitor's messages, and nobody else's."""
    return f"upload:{channel}:{visitor.address(channel)}"


async def _head(content: StreamReader) -> bytes:
    head = b""
    while len(head) < HEAD and (chunk := await content.read(HEAD - len(head))):
        head += chunk
    return head


async def _whole(head: bytes, rest: StreamReader) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest.iter_chunked(64 << 10):
        yield chunk
