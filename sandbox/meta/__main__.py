"""Run the emulator alone: `python -m sandbox.meta --port 8082`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from aiohttp import web

from sandbox.meta import World, application


async def run(host: str, port: int, world: World) -> None:
    runner = web.AppRunner(application(world), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    world.base = f"http://{host}:{runner.addresses[0][1]}"
    sys.stdout.write(f"{world.base}\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.meta", description="An emulated Graph API of Meta.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port; the address is printed")
    parser.add_argument("--app-id", default="4000000000000001")
    parser.add_argument("--app-secret", default="app-secret")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.host, options.port, World(app_id=options.app_id, app_secret=options.app_secret)))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
