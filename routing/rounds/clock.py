"""The moment at which work is due, by the clock of the machine."""

from inbox.clock import later

__all__ = ["later"]
