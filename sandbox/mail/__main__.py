"""Run the mail world alone: `python -m sandbox mail --imap-port 1143 --smtp-port 1587 --port 8082`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from aiohttp import web

from sandbox.mail import World, application


async def run(options: argparse.Namespace) -> None:
    world = World()
    await world.start(options.host, imap_port=options.imap_port, smtp_port=options.smtp_port)
    runner = web.AppRunner(application(world), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, options.host, options.port).start()
    sys.stdout.write(f"http://{options.host}:{runner.addresses[0][1]}\n")
    sys.stdout.write(f"imap://{options.host}:{world.imap_port}\nsmtp://{options.host}:{world.smtp_port}\n")
    for name in options.account:
        address, _, password = name.partition(":")
        account = world.add_account(address, **({"password": password} if password else {}))
        sys.stdout.write(f"{account.address} {world.imap_url(account.address)} {world.smtp_url(account.address)}\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox mail", description="Mailboxes with an IMAP and SMTP server."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="of the control side; 0: any free port, which is printed")
    parser.add_argument("--imap-port", type=int, default=0)
    parser.add_argument("--smtp-port", type=int, default=0)
    parser.add_argument("--account", action="append", default=[], metavar="ADDRESS[:PASSWORD]", help="open a mailbox")
    try:
        asyncio.run(run(parser.parse_args(arguments)))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
