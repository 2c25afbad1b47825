"""What every test with the real program begins with."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.program import migrated


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """A migrated database to copy, so that each test starts with one of its own at once."""
    with tempfile.TemporaryDirectory(prefix="santral-crash-", ignore_cleanup_errors=True) as folder:
        yield asyncio.run(migrated(Path(folder)))
