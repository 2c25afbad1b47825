"""Why the embedded PostgreSQL cannot be used.

Rule: each message is for whoever runs it, and says what to do.
"""

from __future__ import annotations


class PostgresFailed(Exception):
    """The embedded PostgreSQL cannot be used."""


class BinariesMissing(PostgresFailed):
    """There is no PostgreSQL to start."""


class DataDirTaken(PostgresFailed):
    """Another process owns this data_dir."""


class WrongVersion(PostgresFailed):
    """The database was made by another major version of PostgreSQL."""


class AccessDenied(PostgresFailed):
    """The server's account cannot reach its files."""


class StartFailed(PostgresFailed):
    """PostgreSQL did not start."""
