"""An emulator of Slack: the Web API, events, interactivity, Socket Mode and files of one workspace.

Rule: it refuses what Slack refuses. What is accepted here must not fail on the real one for a reason we knew.
"""

from sandbox.slack.delivery import Answer
from sandbox.slack.refusal import Refusal
from sandbox.slack.settings import Settings
from sandbox.slack.site import application
from sandbox.slack.workspace import App, Channel, File, Message, Team, User, UserGroup, View
from sandbox.slack.world import NotThere, World

__all__ = [
    "Answer",
    "App",
    "Channel",
    "File",
    "Message",
    "NotThere",
    "Refusal",
    "Settings",
    "Team",
    "User",
    "UserGroup",
    "View",
    "World",
    "application",
]
