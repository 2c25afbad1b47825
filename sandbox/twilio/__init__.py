"""Twilio's SMS and WhatsApp, emulated: the provider's side over HTTP, people's phones by control calls or by `World`.

Rule: it enforces what Twilio enforces, with Twilio's codes; what Twilio refuses must not pass here.
"""

from sandbox.twilio.errors import ApiError
from sandbox.twilio.server import application
from sandbox.twilio.values import Settings
from sandbox.twilio.world import World

__all__ = ["ApiError", "Settings", "World", "application"]
