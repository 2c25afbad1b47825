"""What the learned model makes of a message, as values that cross from its process to ours. Loads no numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inbox.changes import Priority


class BadModel(Exception):
    """The learned model cannot be used; keyword rules go on without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What the model makes of one message. Probabilities are calibrated: of ten at 0.8 about eight are right."""

    tags: tuple[tuple[str, float], ...]  # all of them, the likeliest first
    priorities: Mapping[Priority, float]
    priority: Priority  # the decision: urgent already from a lower probability, because a missed one costs more
    also: float  # a further tag from this probability on
    sure: bool
    version: str

    @property
    def main(self) -> str:
        """The likeliest tag."""
        return self.tags[0][0]

    @property
    def chosen(self) -> tuple[str, ...]:
        """The main tag, and others about as likely."""
        return (self.main, *(tag for tag, probability in self.tags[1:] if probability >= self.also))
