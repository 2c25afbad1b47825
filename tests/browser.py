"""Where a Chromium is for the tests that need one."""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.async_api import expect

PATIENCE = 20_000  # milliseconds a page may take on a busy machine; nothing waits this long when all is well
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

expect.set_options(timeout=PATIENCE)


def chromium() -> str:
    """The path of a Chromium. Without one a run skips the test and says so; in CI, which installs one, it fails."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        words = "no Chromium on this machine (Debian: apt-get install chromium); the page was not tried in a browser"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    return found
