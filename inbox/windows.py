"""How long a customer may be answered freely, where a provider bounds that. Pure.

Rule: a message that would only just fit in does not: it may wait in a queue of the provider's, which judges it then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from channels.channel import Capabilities
from channels.message import Author

MARGIN = timedelta(seconds=60)


class Window(Enum):
    """OPEN: anything may be sent. PERSON: only what a person wrote. CLOSED: only an approved template."""

    OPEN = "open"
    PERSON = "person"
    CLOSED = "closed"


def window(can: Capabilities, heard_at: datetime | None, now: datetime) -> Window:
    """How it stands. `heard_at` is when this customer last wrote to this channel; never counts as closed."""
    if can.reply_window is None:
        return Window.OPEN
    age = now - heard_at if heard_at is not None else timedelta.max
    if age < can.reply_window - MARGIN:
        return Window.OPEN
    if can.agent_window is not None and age < can.agent_window - MARGIN:
        return Window.PERSON
    return Window.CLOSED


def closes_at(can: Capabilities, heard_at: datetime | None) -> datetime | None:
    """When people can no longer answer freely; None where that never ends or the customer never wrote."""
    longest = can.agent_window or can.reply_window
    return heard_at + longest if longest is not None and heard_at is not None else None


def may_send(can: Capabilities, author: Author, heard_at: datetime | None, now: datetime) -> bool:
    """Whether something that is no template may be sent now."""
    match window(can, heard_at, now):
        case Window.OPEN:
            return True
        case Window.PERSON:
            return author is Author.AGENT
        case Window.CLOSED:
            return False
