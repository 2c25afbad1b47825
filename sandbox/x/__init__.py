"""X's direct messages, emulated: the API and its webhooks over HTTP, the customers' side by control calls or `World`.

Rule: it enforces what X enforces, in X's words; what X refuses must not pass here.
"""

from sandbox.x.server import application
from sandbox.x.values import ApiError, Settings
from sandbox.x.world import World

__all__ = ["ApiError", "Settings", "World", "application"]
