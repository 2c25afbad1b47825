"""Why a backup or a restore was not done.

Rule: each message is for whoever runs it, and says what to do. Nothing was changed.
"""

from __future__ import annotations


class BackupFailed(Exception):
    """The backup or restore was not done; nothing was changed."""


class NotABackup(BackupFailed):
    """This file is not a backup of Santral."""


class Damaged(BackupFailed):
    """This backup was cut short or altered."""


class WouldOverwrite(BackupFailed):
    """There is something in the database already."""


class InUse(BackupFailed):
    """Somebody is using the database."""


class ToolsMissing(BackupFailed):
    """There is no pg_dump or pg_restore that fits this server."""
