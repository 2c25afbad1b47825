"""Files of customers and agents, kept as they came in a folder or an object store. Names are ours, never a sender's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import obstore
from obstore.store import LocalStore, ObjectStore

MOST = 100 << 20  # bytes of one file. Telegram hands out 20 MB; of Slack's 1 GB no channel carries more than this


class TooLarge(Exception):
    """The file is larger than Santral keeps."""


class Files:
    """Files by paths of our own making. `keep` holds a part of a file in memory at a time, `read` all of it."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def in_folder(cls, folder: Path) -> Files:
        """Keep them in a folder, which is made with the first file."""
        return cls(LocalStore(folder, mkdir=True))

    async def keep(self, parts: AsyncIterator[bytes], at: datetime, most: int = MOST) -> tuple[str, int]:
        """Store a stream whole or not at all. Answers its path and size in bytes; raises `TooLarge` beyond `most`."""
        size = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            async for part in parts:
                size += len(part)
                if size > most:
                    raise TooLarge
                yield part

        path = f"{at:%Y/%m/%d}/{uuid4().hex}"
        await obstore.put_async(self._store, path, counted())
        return path, size

    async def forget(self, path: str) -> None:
        """Delete a kept file. That it is gone already is success."""
        with suppress(FileNotFoundError):
            await obstore.delete_async(self._store, path)

    async def read(self, path: str) -> bytes:
        """The bytes of a kept file. Raises `FileNotFoundError` when it is gone."""
        result = await obstore.get_async(self._store, path)
        return bytes(await result.bytes_async())
