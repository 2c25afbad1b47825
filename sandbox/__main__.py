"""`python -m sandbox`: the demo page with all emulators, for a Santral that runs elsewhere; `… mail`: mail alone.

Rule: what Santral must be configured with is printed; nothing of Santral is imported.
"""

from __future__ import annotations

import argparse
import sys

from aiohttp import web

from sandbox import cast
from sandbox.lines import sections
from sandbox.mail.__main__ import main as mail_alone
from sandbox.page import Options, application


def main() -> None:
    if sys.argv[1:2] == ["mail"]:
        mail_alone(sys.argv[2:])
        return
    said = argparse.ArgumentParser(
        prog="sandbox", description="Customers' phones and mailboxes and the shop's Slack on one page."
    )
    said.add_argument("--listen", default="127.0.0.1:8080", metavar="HOST:PORT")
    said.add_argument("--app-url", default="http://127.0.0.1:8090", help="where Santral listens")
    said.add_argument("--database", default="", metavar="DSN", help="Santral's PostgreSQL, read to show its rows")
    said.add_argument("--telegram-token", default=cast.TELEGRAM_TOKEN)
    said.add_argument("--slack-bot-token", default=cast.SLACK_BOT_TOKEN)
    said.add_argument("--slack-app-token", default=cast.SLACK_APP_TOKEN)
    said.add_argument("--slack-signing-secret", default=cast.SLACK_SIGNING_SECRET)
    said.add_argument("--socket-mode", action="store_true", help="Slack reaches Santral by Socket Mode")
    said.add_argument("--imap-port", type=int, default=1143, help="of the shop's mailbox")
    said.add_argument("--smtp-port", type=int, default=1587)
    said.add_argument("--mailbox-password", default=cast.MAILBOX_PASSWORD)
    said.add_argument("--clock", default="", metavar="FILE", help="where to write how far the clock is turned")
    said.add_argument("--hours", default="", metavar="FILE", help="when the shop opens and closes, as JSON")
    chosen = said.parse_args()
    host, _, port = chosen.listen.rpartition(":")
    if not host or not port.isdigit():
        said.error("--listen must be HOST:PORT")
    options = Options(
        **{name: value.rstrip("/") if name == "app_url" else value for name, value in vars(chosen).items()}
    )
    sys.stdout.write(
        f"The page:            {options.base}/\n"
        f"Telegram's api_url:  {options.base}/telegram\n"
        f"Slack's api_url:     {options.base}/slack/api/\n"
        f"The Slack channels:  {', '.join(cast.TEAM_CHANNELS)}\n"
        f"The mailbox:         {cast.MAILBOX} at imap://{host}:{options.imap_port}, smtp://{host}:{options.smtp_port}\n"
        f"The apps, for santral.toml:\n\n{sections(options.base)}"
    )
    sys.stdout.flush()
    web.run_app(
        application(options), host=host, port=int(port), print=None, handler_cancellation=True, shutdown_timeout=2
    )


if __name__ == "__main__":
    main()
