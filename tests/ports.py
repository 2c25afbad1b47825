"""Ports for servers that tests start under an address they must know beforehand."""

from __future__ import annotations

import itertools
import os
import socket

# Below what the system hands out to whoever connects (32768 and up on Linux), and a block for each process that runs
# tests: between asking for a port and listening on it nobody else takes it.
FIRST, BLOCK, BLOCKS = 11_000, 1_300, 16  # above 10080, the last port that Chromium refuses to visit
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % BLOCKS
_next = itertools.count(os.getpid())  # a run soon after another begins elsewhere


def free_port() -> int:
    """A port of this machine's own address on which nobody listens."""
    while True:
        port = FIRST + _worker * BLOCK + next(_next) % BLOCK
        with socket.socket() as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                found.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
