"""The learned model in a process of its own: started on first need, ended with us, or when nobody asked for a while.

Rule: who asks gets an answer or a reason in words, never an exception of the model's; nothing here loads numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from channels.errors import Retry
from channels.mail.process import Children, TooMuch
from inbox.store.understanding import Corrected
from routing.model_read import Read
from routing.phrases import Reading

SECONDS = 30.0  # for up to twenty messages, each of 50 ms at most on a machine with nothing else to do
IDLE = 600.0  # seconds after which the process ends; starting it again takes less than one
WORK = "routing.model_work"

Content = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message, and what its words told."""

    text: str
    words: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Messages to read with a version of the model; "" is the one that comes with Santral."""

    messages: tuple[Said, ...]
    version: str = ""
    content: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacks:
    """The process has another version: ask again, with the content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """The model cannot be used, in words that may be shown; keyword rules go on."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Learn:
    """Make `version` from the starter examples and these corrections. `content`: the model in use, None the starter."""

    version: str
    corrections: tuple[Corrected, ...]
    content: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """A model that was made. `refused` is "" where it may take over; `because` compares both in any case."""

    content: bytes
    examples: int
    scores: Mapping[str, Any]
    because: str
    refused: str


Answer = tuple[Read, ...] | Lacks | Unusable


class ModelProcess:
    """Reads messages with the learned model. One question at a time; the others wait their turn."""

    def __init__(self, *, seconds: float = SECONDS, idle: float = IDLE, work: str = WORK) -> None:
        self._children = Children(1, seconds=seconds, work=work)
        self._idle = idle
        self._resting: asyncio.Task[None] | None = None

    async def read(self, messages: Sequence[Said], version: str, content: Content) -> tuple[Read, ...] | Unusable:
        """Read `messages` with a `version`, whose `content` is asked for where the process does not have it yet."""
        self._wake()
        try:
            answer = await self._ask(Ask(messages=tuple(messages), version=version))
            if isinstance(answer, Lacks):
                brought = Ask(messages=tuple(messages), version=version, content=await content())
                answer = await self._ask(brought)
        except TooMuch as error:
            return Unusable(why=f"reading with it failed: {error}")
        except Retry as error:
            return Unusable(why=str(error))
        finally:
            self._rest_later()
        if isinstance(answer, Lacks):
            return Unusable(why=f"version {version} could not be loaded")
        return answer

    async def close(self) -> None:
        self._wake()
        await self._children.close()

    async def _ask(self, ask: Ask) -> Answer:
        answer: Answer = await self._children.ask(ask)
        return answer

    def _wake(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def _rest_later(self) -> None:
        self._wake()
        self._resting = asyncio.create_task(self._rest())

    async def _rest(self) -> None:
        await asyncio.sleep(self._idle)
        await self._children.rest()
