"""Telegram's Bot API, emulated: the provider's side over HTTP, the customers' side by control calls or by `World`.

Rule: it enforces what Telegram enforces, in Telegram's words; what Telegram refuses must not pass here.
"""

from sandbox.telegram.server import application
from sandbox.telegram.values import ApiError, Settings
from sandbox.telegram.world import World

__all__ = ["ApiError", "Settings", "World", "application"]
