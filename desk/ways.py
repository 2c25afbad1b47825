"""The ways by which a customer can be answered, as agents choose among them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from channels.channel import Capabilities
from channels.message import Author
from desk.notices import Way
from inbox.store.places import Reached
from inbox.windows import may_send


def usable(ways: Iterable[Reached], but: str, capabilities: Mapping[str, Capabilities], now: datetime) -> list[Reached]:
    """Those by which an agent may answer freely now, without the place `but`. Channels no longer set up are none."""
    return [
        way
        for way in ways
        if way.place != but
        and not way.silenced
        and way.channel in capabilities
        and may_send(capabilities[way.channel], Author.AGENT, way.heard_at, now)
    ]


def named(ways: Sequence[Reached], word: Callable[[str], str]) -> list[Way]:
    """With names: what `word` calls the channel, and the address too where two would be called the same."""
    called = Counter(word(way.channel) for way in ways)
    return [
        Way(place=way.place, label=name if called[name] == 1 else f"{name} · {way.value}")
        for way in ways
        for name in [word(way.channel)]
    ]
