"""A small world of mail on real sockets: an IMAP and an SMTP server, the customers' mailboxes, and their mail programs.

Rule: it enforces what real servers enforce, in their words; what they refuse must not pass here.
"""

from sandbox.mail.control import application
from sandbox.mail.values import Fate, Settings
from sandbox.mail.world import World

__all__ = ["Fate", "Settings", "World", "application"]
