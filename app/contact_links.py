"""The links of all channels a customer can begin to write on, kept at hand.

Rule: nobody waits for a provider but whoever looks first, and that for half a second: links are asked for in the
background, and the last one that was given stays while its provider is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from app.contact_view import Way, way
from channels.channel import Channel, Linked
from channels.errors import ChannelError

FRESH = timedelta(hours=1)  # names and numbers change rarely
AGAIN = timedelta(minutes=1)  # after a provider did not answer
GRACE = 0.5  # seconds
PATIENCE = 20.0  # seconds for one link, the loading of a provider's library among them

log = structlog.get_logger()


class Links:
    """Asks every channel that has a link for it."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._linked = {
            name: (channel.kind, channel) for name, channel in channels.items() if isinstance(channel, Linked)
        }
        self._known: dict[str, str] = {}
        self._due: dict[str, datetime] = {}  # when to ask again
        self._asked: set[str] = set()  # those that have answered, or have been waited for in vain
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def ways(self, now: datetime) -> tuple[Way, ...]:
        """The ways to write that are known by now, in the order of the configuration."""
        for name in self._linked:
            if name not in self._asking and self._due.get(name, now) <= now:
                self._due[name] = now + AGAIN
                self._asking[name] = asyncio.create_task(self._ask(name, now))
        if first := {name: task for name, task in self._asking.items() if name not in self._asked}:
            self._asked |= first.keys()
            await asyncio.wait(first.values(), timeout=GRACE)
        found = (way(kind, link) for name, (kind, _) in self._linked.items() if (link := self._known.get(name)))
        return tuple(one for one in found if one is not None)

    async def close(self) -> None:
        """Ask no more."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _ask(self, name: str, now: datetime) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                self._known[name] = await self._linked[name][1].link()
            self._due[name] = now + FRESH
        except TimeoutError:
            self._due[name] = now  # a busy start: the library goes on loading, and is there for whoever looks next
            log.info("contact.no_link", channel=name, error="TimeoutError")
        except ChannelError as error:
            log.info("contact.no_link", channel=name, error=type(error).__name__)
        finally:
            del self._asking[name]
