"""Meta's Graph API for WhatsApp, Messenger and Instagram, emulated: the provider's side over HTTP, people's by `World`.

Rule: it enforces what Meta enforces, with Meta's codes; what Meta refuses, or drops in silence, must not pass here.
"""

from sandbox.meta.server import application
from sandbox.meta.values import ApiError, Settings
from sandbox.meta.world import World

__all__ = ["ApiError", "Settings", "World", "application"]
