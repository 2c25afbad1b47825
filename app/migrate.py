"""`santral migrate`: bring the tables up to date without serving."""

from __future__ import annotations

import asyncio

from app.config import StoreConfig
from app.store import opened


def run(config: StoreConfig) -> None:
    """Any number of these, and of `serve`, may run at once."""

    async def work() -> None:
        async with opened(config):
            pass

    asyncio.run(work())
