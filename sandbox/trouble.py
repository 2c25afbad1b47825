"""Misbehaviour on request: rules that make an emulator slow, silent, refusing or gone, before or after the effect.

Rule: a rule decides when and how a call goes wrong; the words a provider would use for it stay with each emulator.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

import orjson
from aiohttp import web


class Action(StrEnum):
    STATUS = "status"  # answer `status` instead of doing it
    SLOW = "slow"  # wait `seconds`, then go on, meeting the next rule that matches
    DROP_BEFORE = "drop_before"  # close the connection; nothing took effect
    DROP_AFTER = "drop_after"  # do it, then close the connection: the caller cannot know
    HANG = "hang"  # do it, say nothing for `seconds`, then close the connection
    DOWN = "down"  # 503 as a proxy in front of a dead provider writes it: HTML, no JSON
    RATELIMIT = "ratelimit"  # the provider's own 429 with `retry_after`


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One rule. `match` is a call's name or a glob (`send*`); the first `after` matching calls pass unharmed."""

    match: str = "*"
    action: Action
    status: int = 500
    body: str | None = None
    json: Any = None
    retry_after: int | None = None  # seconds; also sent as Retry-After with `status` and `down`
    seconds: float = 0.0
    times: int | None = None  # None: until cleared
    after: int = 0

    @classmethod
    def read(cls, rule: Mapping[str, Any]) -> Trouble:
        """Read a rule as sent over HTTP. Raises ValueError naming what is wrong with it."""
        unknown = sorted(set(rule) - set(cls.__slots__))
        if unknown:
            raise ValueError(f"a trouble rule has no {', '.join(unknown)}")
        if rule.get("action") not in set(Action):
            raise ValueError(f"action must be one of {', '.join(Action)}")
        return cls(**{**rule, "action": Action(rule["action"])})

    def plain(self) -> dict[str, Any]:
        """Show the rule the way `read` takes it."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}


@dataclass(slots=True)
class _Armed:
    rule: Trouble
    seen: int = 0
    fired: int = 0

    def meets(self, name: str) -> bool:
        if not fnmatchcase(name, self.rule.match):
            return False
        self.seen += 1
        if self.seen <= self.rule.after:
            return False
        return self.rule.times is None or self.fired < self.rule.times


Effect = Callable[[], Awaitable[web.StreamResponse]]
Words = Callable[[Trouble], web.Response]


@dataclass(slots=True)
class Troubles:
    """The rules in force, in order. Every rule counts the calls it matches; the first that is due decides."""

    _armed: list[_Armed] = field(default_factory=list)
    _cleared: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Put rules in force after those already there. Raises ValueError, and then adds none."""
        self._armed += [_Armed(rule) for rule in [Trouble.read(rule) for rule in rules]]

    def clear(self) -> None:
        """Lift every rule and wake whoever is held up by one."""
        self._armed.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    def plain(self) -> list[dict[str, Any]]:
        return [armed.rule.plain() | {"seen": armed.seen, "fired": armed.fired} for armed in self._armed]

    def meet(self, name: str) -> tuple[float, Trouble | None]:
        """Count one call: how many seconds it is slowed, and the rule that spoils it, if any."""
        slowed, spoiled = 0.0, None
        for armed in self._armed:
            if not armed.meets(name) or spoiled is not None:
                continue
            armed.fired += 1
            if armed.rule.action is Action.SLOW:
                slowed += armed.rule.seconds
            else:
                spoiled = armed.rule
        return slowed, spoiled

    async def around(self, name: str, request: web.Request, effect: Effect, words: Words) -> web.StreamResponse:
        """Run one call through the rules.

        `effect` does the call and makes its answer. `words` makes the provider's answer for `status` (unless the rule
        brings its own body) and `ratelimit`.
        """
        slowed, rule = self.meet(name)
        if slowed:
            await self.pause(slowed)
        if rule is None:
            return await effect()
        match rule.action:
            case Action.DROP_BEFORE:
                return drop(request)
            case Action.DROP_AFTER | Action.HANG:
                await effect()
                if rule.action is Action.HANG:
                    await self.pause(rule.seconds)
                return drop(request)
            case Action.DOWN:
                return _written(rule, 503, "<html><body><h1>503 Service Unavailable</h1></body></html>", "text/html")
            case Action.STATUS if rule.json is not None:
                return _written(rule, rule.status, orjson.dumps(rule.json).decode(), "application/json")
            case Action.STATUS if rule.body is not None:
                return _written(rule, rule.status, rule.body, "text/plain")
            case _:
                return words(rule)

    async def pause(self, seconds: float) -> None:
        """Wait, but not longer than until the rules are cleared."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._cleared.wait(), seconds)


def drop(request: web.Request) -> web.Response:
    """Cut the connection without a word. The response returned is never written."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _written(rule: Trouble, status: int, text: str, content_type: str) -> web.Response:
    headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
    return web.Response(status=status, text=text, content_type=content_type, headers=headers)
