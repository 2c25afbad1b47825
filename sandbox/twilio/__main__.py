"""Run the emulator alone: `python -m sandbox.twilio --port 8083`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from aiohttp import web

from sandbox.twilio import application


async def run(host: str, port: int) -> None:
    runner = web.AppRunner(application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    sys.stdout.write(f"http://{host}:{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.twilio", description="An emulated Twilio.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port; the address is printed")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.host, options.port))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
