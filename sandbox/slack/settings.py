"""What of Slack's pace and strictness can be changed while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Slack's own figures unless told otherwise. Seconds throughout; a rate of 0 means unlimited."""

    posts_per_second: float = 1.0  # per Slack channel: docs.slack.dev/apis/web-api/rate-limits
    burst: int = 1
    posts_per_minute: int = 300  # over all Slack channels: "several hundred per minute per workspace"
    tier_scale: float = 1.0  # multiplies the calls a minute of every tier
    retry_scale: float = 1.0  # multiplies the waits before event retries (0, 1 min, 5 min, then hourly)
    delayed_events: bool = False  # the switch for hourly retries over 24 hours
    answer_seconds: float = 3.0  # within which the app must answer an event or a click
    trigger_seconds: float = 3.0
    response_url_seconds: float = 1800.0
    file_delay: float = 0.3  # between completing an upload and the file's message
    disconnect_seconds: float = 1.0  # a Socket Mode connection lives on after its `disconnect` message
    event_copies: int = 1  # each event is delivered this many times, as Slack sometimes does
    event_shuffle: float = 0.0  # events wait up to this long at random, which changes their order
    file_uploads: bool = True
    max_file_size: int = 64 * 1024 * 1024  # Slack takes 1 GB; a sandbox keeps files in memory
    keep_messages: int = 20_000  # per Slack channel; the oldest go first
    keep_file_bytes: int = 256 * 1024 * 1024

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """Raises ValueError for an unknown name or a value of the wrong kind."""
        kinds = {each.name: type(each.default) for each in fields(self)}
        for name, value in changes.items():
            if name not in kinds:
                raise ValueError(f"there is no setting {name}; there are {', '.join(sorted(kinds))}")
            right = isinstance(value, bool) if kinds[name] is bool else isinstance(value, (int, float))
            if not right or (kinds[name] is not bool and (isinstance(value, bool) or value < 0)):
                raise ValueError(f"{name} must be {'true or false' if kinds[name] is bool else 'a number from 0'}")
        whole: dict[str, Any] = {name: int(value) if kinds[name] is int else value for name, value in changes.items()}
        return replace(self, **whole)
