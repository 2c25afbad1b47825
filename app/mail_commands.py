"""The commands of `santral mail`: see how mails are read, and those that nobody sees in Slack.

Rule: nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer

from app.options import DEFAULT_FILE, AsJson, ConfigFile, part
from app.terminal import FAILED, complain, print_json, print_table, say

mail = typer.Typer(help="See how mails are read, and those that nobody sees in Slack.", no_args_is_help=True)


@mail.command("read")
def mail_read(
    path: Annotated[str, typer.Argument(metavar="PATH|-", help="A raw mail, an mbox, or a folder of mails.")],
    trust: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A receiver whose Authentication-Results count; may be repeated."),
    ] = None,
    config: ConfigFile = DEFAULT_FILE,
) -> None:
    """Print how mails are read: a line of JSON each, with the sender's own words, what was hidden, and why."""
    from dataclasses import replace

    from app.config.mail import reading_us
    from app.mail import read
    from channels.mail.values import Us

    known = config != DEFAULT_FILE or config.exists()  # anyone may look at a mail, with nothing set up
    ours = reading_us(config, os.environ) if known else Us()
    ours = replace(ours, trusted_authserv=ours.trusted_authserv | {name.lower() for name in trust or ()})

    def show(line: dict[str, Any]) -> None:
        # UTF-8 whatever the terminal's language: a program reads this, and a letter lost here is lost.
        sys.stdout.buffer.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        sys.stdout.buffer.flush()

    read(path, ours, show)


@mail.command("list")
def mail_list(config: ConfigFile = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Show the mails that are about no conversation: newsletters, bounces of other people's mail, vacation notes."""
    from app.config import StoreConfig
    from app.mail import aside

    entries = aside(part(config, StoreConfig))
    if as_json:
        print_json(entries)
    elif entries:
        rows = [
            (str(entry.id), f"{entry.at:%Y-%m-%d %H:%M} UTC", entry.channel, f"{entry.size:,}", entry.why)
            for entry in entries
        ]
        print_table(("id", "came", "channel", "bytes", "what it is"), rows)
    else:
        say("No mail lies aside.")


@mail.command("show")
def mail_show(
    id: Annotated[int, typer.Argument(metavar="ID", help="Which one, as listed.")], config: ConfigFile = DEFAULT_FILE
) -> None:
    """Print a stored mail as it came, byte for byte."""
    from app.config import IntakeConfig
    from app.mail import raw_of

    raw = raw_of(part(config, IntakeConfig), id)
    if raw is None:
        complain(f"There is no mail {id}.")
        raise typer.Exit(FAILED)
    sys.stdout.buffer.write(raw)


@mail.command("admit")
def mail_admit(
    id: Annotated[int, typer.Argument(metavar="ID", help="Which one, as listed.")], config: ConfigFile = DEFAULT_FILE
) -> None:
    """Have a mail that lies aside read as a person's: it opens a conversation like any other."""
    from app.config import StoreConfig
    from app.mail import admit

    if not admit(part(config, StoreConfig), id):
        complain(f"No mail {id} lies aside.")
        raise typer.Exit(FAILED)
    say(f"Mail {id} is read again as soon as Santral runs.")
