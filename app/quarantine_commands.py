"""The commands of `santral quarantine`: look at requests that could not be read, and read them again.

Rule: nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

from typing import Annotated

import typer

from app.options import DEFAULT_FILE, AsJson, ConfigFile, part
from app.terminal import FAILED, print_json, print_table, say

quarantine = typer.Typer(help="Look at requests that could not be read, and read them again.", no_args_is_help=True)


@quarantine.command("list")
def quarantine_list(config: ConfigFile = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Show the requests that came from a provider but could not be read or stored."""
    from app.config import StoreConfig
    from app.quarantine import waiting

    entries = list(waiting(part(config, StoreConfig)))
    if as_json:
        print_json(entries)
    elif entries:
        rows = [
            (str(entry.id), f"{entry.received_at:%Y-%m-%d %H:%M} UTC", entry.channel, entry.reason, entry.detail)
            for entry in entries
        ]
        print_table(("id", "received", "channel", "reason", "detail"), rows)
    else:
        say("Nothing in quarantine.")


@quarantine.command("replay")
def quarantine_replay(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Which ones, as listed.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, oldest first.")] = False,
    config: ConfigFile = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Read requests from quarantine again, once what was wrong is mended."""
    if bool(ids) == everything:
        raise typer.BadParameter("give the ids to replay, or --all")
    from app.config import IntakeConfig
    from app.quarantine import NOT_THERE, replay

    outcomes = list(replay(part(config, IntakeConfig), None if everything else tuple(ids or ())))
    if as_json:
        print_json(outcomes)
    else:
        for outcome in outcomes:
            why = outcome.detail if outcome.detail == NOT_THERE else f"still in quarantine: {outcome.detail}"
            say(f"{outcome.id}: {'stored' if outcome.ok else why}")
    if not all(outcome.ok for outcome in outcomes):
        raise typer.Exit(FAILED)
