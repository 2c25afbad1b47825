"""How Slack says no: HTTP 200 with `ok: false` and a word, or 429."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """Slack refuses the call."""

    def __init__(self, error: str, *, retry_after: int | None = None, **more: Any) -> None:
        """`more` is answered beside the error word; `retry_after` makes it a 429."""
        super().__init__(error)
        self.error = error
        self.retry_after = retry_after
        self.more = more

    def json(self) -> dict[str, Any]:
        return {"ok": False, "error": self.error, **self.more}


def invalid_arguments(*messages: str) -> Refusal:
    return Refusal("invalid_arguments", response_metadata={"messages": [f"[ERROR] {message}" for message in messages]})
