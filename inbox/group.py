"""What one transaction of the intake gathers before it writes."""

from __future__ import annotations

from dataclasses import dataclass, field

from channels.message import Received
from inbox.changes import Conversation, Put, Recorded
from inbox.store import arrivals
from inbox.store.arrivals import Known


@dataclass(slots=True)
class Group:
    """What one transaction gathers before it writes."""

    conversations: dict[int, Conversation] = field(default_factory=dict)
    changes: list[Recorded] = field(default_factory=list)
    puts: list[Put] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)
    described: list[tuple[Known, Received]] = field(default_factory=list)
    named: list[tuple[str, int, int]] = field(default_factory=list)  # id, message, conversation
    proven: list[arrivals.Proven] = field(default_factory=list)
    overtaken: set[arrivals.Name] = field(default_factory=set)  # first told of by an edit in this group
