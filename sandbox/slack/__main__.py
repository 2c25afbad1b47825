"""`python -m sandbox.slack --port 8081`: the emulator alone."""

from __future__ import annotations

import argparse

from aiohttp import web

from sandbox.slack import application


def main() -> None:
    options = argparse.ArgumentParser(prog="sandbox.slack", description="A Slack workspace to try things in.")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8081)
    chosen = options.parse_args()
    web.run_app(application(), host=chosen.host, port=chosen.port)


if __name__ == "__main__":
    main()
