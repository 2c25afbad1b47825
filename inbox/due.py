"""The work the inbox makes necessary, a function a kind: what it is called, and the key it goes by.

Rule: whoever changes a row puts the work that follows in the same transaction. `app/build.py` says who does it.
"""

from __future__ import annotations

from datetime import datetime

from inbox.changes import Priority, Put


def send_lane(channel: str) -> str:
    """The lane in which everything to one channel is sent."""
    return f"send:{channel}"


def line(channel: str, address_id: int, priority: Priority = Priority.NORMAL, due: datetime | None = None) -> Put:
    """Send what is due on a delivery line."""
    return Put(kind="deliver", key=f"{channel}/{address_id}", lane=send_lane(channel), priority=priority, due=due)


def media(attachment_id: int) -> Put:
    """Fetch a file."""
    return Put(kind="media", key=str(attachment_id))


def marks(message_id: int) -> Put:
    """Show at the desk how far a reply got."""
    return Put(kind="marks", key=str(message_id))


def revise(channel: str, external_id: str) -> Put:
    """Show at the desk what a customer's message says by now."""
    return Put(kind="revise", key=f"{channel}:{external_id}")


def forget(path: str) -> Put:
    """Delete a file of ours."""
    return Put(kind="forget", key=path)


def unshare(slack_file: str) -> Put:
    """Delete a file that stands in Slack."""
    return Put(kind="unshare", key=slack_file)


def bury(channel: str, external_id: str, at: datetime) -> Put:
    """Look once more whether a message is there that was taken back."""
    return Put(kind="bury", key=f"{channel}:{external_id}", due=at)


def reading(channel: str) -> Put:
    """Read what letters a channel has kept."""
    return Put(kind="read", key=channel)
