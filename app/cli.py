"""The command line: `santral`, its subcommands, and how failures are told.

Rule: nothing heavy is imported before a command needs it, and no failure shows more than one readable line.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app.mail_commands import mail
from app.options import DEFAULT_FILE, AsJson, ConfigFile, everything, part
from app.quarantine_commands import quarantine
from app.rules import rules
from app.terminal import (
    FAILED,
    MISUSED,
    complain,
    one_line,
    print_json,
    print_table,
    say,
    show_findings,
    with_progress,
)
from app.triage import model, triage

if TYPE_CHECKING:
    from app.backup_file import Manifest, Progress
    from app.config import Config, StoreConfig

INTERRUPTED = 130  # what typer makes of Ctrl-C
OURS = ("app", "bot", "channels", "commerce", "desk", "inbox", "insights", "routing", "templates")
ROLES = ("web", "work", "pull")

app = typer.Typer(
    help="Slack as the support desk of a web shop: every channel, one conversation per customer, one Slack thread.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
slack = typer.Typer(help="Set up the Slack app.", no_args_is_help=True)
app.add_typer(slack, name="slack")
app.add_typer(rules, name="rules")
app.add_typer(model, name="model")
app.add_typer(mail, name="mail")
app.add_typer(quarantine, name="quarantine")


# --- Running --------------------------------------------------------------------------------------------------------


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where the page is served; 0 takes a free port.")] = 8080,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Try Santral with made-up customers and a made-up Slack: no account, no server, no key."""
    from app.demo import run

    run(port=port, browser=browser)


@app.command()
def serve(
    roles: Annotated[
        str, typer.Option(metavar="ROLES", help="What this process does, of web, work and pull, with commas.")
    ] = "web,work,pull",
    config: ConfigFile = DEFAULT_FILE,
    clock: Annotated[Path | None, typer.Option(hidden=True, metavar="FILE", help="A clock to turn.")] = None,
) -> None:
    """Run Santral until it is told to stop."""
    gc.disable()  # until everything is loaded: a third of the time to start would go into looking for garbage
    for told in (signal.SIGTERM, signal.SIGINT):  # from the first moment on, long before there is a loop to hear them
        signal.signal(told, lambda *_: sys.exit(0))
    chosen = _roles(roles)
    settings = everything(config)
    from app.policy import read
    from app.serve import run

    run(settings, chosen, lambda: read(config, os.environ), clock)


@app.command()
def check(config: ConfigFile = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Contact everything that is configured and tell what a real set-up still lacks."""
    settings = everything(config)
    from app.check import run

    findings = list(run(settings))
    if as_json:
        print_json(findings)
    else:
        show_findings(findings, config)
        _show_calendar(settings)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(FAILED)


@app.command()
def channels(config: ConfigFile = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """List the channels customers can write to and what each kind carries, without contacting anyone."""
    from app import carries
    from app.config import IntakeConfig
    from channels.registry import CAPABILITIES

    settings = part(config, IntakeConfig)
    listed = [
        {
            "name": channel.name,
            "kind": channel.kind,
            "receives": channel.receives,
            "url": settings.webhook_url(channel) if channel.receives == "webhook" else "",
        }
        for channel in settings.channels
    ]
    kinds = dict.fromkeys(entry["kind"] for entry in listed) or dict.fromkeys(sorted(CAPABILITIES))
    if as_json:
        print_json([{**entry, "carries": carries.plain(CAPABILITIES[entry["kind"]])} for entry in listed])
        return
    if listed:
        print_table(("name", "kind", "receives", "url"), [tuple(entry.values()) for entry in listed])
        say("")
    print_table(carries.COLUMNS, [carries.row(kind, CAPABILITIES[kind]) for kind in kinds])
    if not listed:
        say("No channels yet. Add [[channels]] to the configuration; docs/configuration.md shows each kind.")


app.command()(triage)


# --- The database ---------------------------------------------------------------------------------------------------


@app.command()
def migrate(config: ConfigFile = DEFAULT_FILE) -> None:
    """Bring the database up to date; `serve` does this by itself at its start."""
    from app.config import StoreConfig
    from app.migrate import run

    run(part(config, StoreConfig))
    say("The database is up to date.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    config: ConfigFile = DEFAULT_FILE,
) -> None:
    """Write everything that is stored into one file, while Santral runs or not."""
    from app.backup import backup as write
    from app.config import StoreConfig

    settings = part(config, StoreConfig)

    async def work(progress: Progress) -> Manifest:
        async with _database(settings) as (dsn, bin_dir):
            return await write(dsn, file, files=settings.files_dir, bin_dir=bin_dir, on_progress=progress)

    manifest = with_progress("Writing", work)
    say(f"Written to {file}: {manifest.tables.get('messages', 0):,} messages.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `santral backup` wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is stored now.")] = False,
    config: ConfigFile = DEFAULT_FILE,
) -> None:
    """Put back what a backup holds; what is stored now is replaced only with --force."""
    from app.backup import restore as put_back
    from app.config import StoreConfig

    settings = part(config, StoreConfig)

    async def work(progress: Progress) -> Manifest:
        async with _database(settings) as (dsn, bin_dir):
            return await put_back(
                dsn, file, files=settings.files_dir, force=force, bin_dir=bin_dir, on_progress=progress
            )

    manifest = with_progress("Restoring", work)
    say(f"Restored from {file}, made {manifest.made_at:%Y-%m-%d %H:%M} UTC.")


# --- Slack ----------------------------------------------------------------------------------------------------------


@slack.command("manifest")
def slack_manifest(
    url: Annotated[str, typer.Option("--url", help="Slack posts events to this address, your public_url.")] = "",
    socket_mode: Annotated[
        bool, typer.Option("--socket-mode", help="Santral fetches events itself: no public address needed.")
    ] = False,
    name: Annotated[str, typer.Option(help="What the app is called in Slack.")] = "Santral",
    config: ConfigFile = DEFAULT_FILE,
) -> None:
    """Print the manifest to paste at api.slack.com/apps; what is not told here is taken from the configuration."""
    from app.manifest import NAME_AT_MOST, manifest

    if url and socket_mode:
        raise typer.BadParameter("give --url or --socket-mode, not both")
    name = name.strip()
    if not 0 < len(name) <= NAME_AT_MOST or not name.isprintable():
        raise typer.BadParameter(f"a name has 1 to {NAME_AT_MOST} visible characters", param_hint="--name")
    calls = _address(url) if url else None if socket_mode else _slack_calls(config)
    sys.stdout.write(manifest(calls, name))


# --- Edges ----------------------------------------------------------------------------------------------------------


def _version(wanted: bool) -> None:
    if wanted:
        say(f"santral {version('santral')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Options of `santral` itself; the subcommands have their own."""


def main() -> None:
    """Run one command and leave with 0 (done), 1 (it failed) or 2 (wrong usage or configuration)."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command, tell a failure on stderr, and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that an ASCII terminal cannot write is no reason to fail
    try:
        code = app(list(arguments), prog_name="santral", standalone_mode=False)
        if sys.stdout is not None:  # it is when it was closed from outside
            sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more when it ends
        return FAILED
    except Exception as error:  # noqa: BLE001  every failure is told here, in words, and none is a traceback
        return _told(error)
    if code == INTERRUPTED:
        return FAILED
    return code if isinstance(code, int) else 0


def _told(error: Exception) -> int:
    from app.problems import ConfigProblems

    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        if message := one_line(error.format_message()):  # empty when the help has been shown instead
            complain(f"santral: {message.rstrip('.')}; see `{context.command_path if context else 'santral'} --help`")
        return MISUSED
    if isinstance(error, ConfigProblems):
        complain(f"santral: {error}")
        return MISUSED
    if os.environ.get("SANTRAL_DEBUG") == "1":
        complain("".join(traceback.format_exception(error)).rstrip())
    else:
        complain(f"santral: {_words(error)}")
    return FAILED


def _words(error: Exception) -> str:
    """Our own errors are written for people; what comes from elsewhere says also what it is and how to see more."""
    if type(error).__module__.partition(".")[0] in OURS:
        return one_line(str(error) or type(error).__doc__ or type(error).__name__)
    if isinstance(error, OSError) and error.strerror:
        return one_line(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    return one_line(f"{type(error).__name__}: {error}; SANTRAL_DEBUG=1 shows where")


@asynccontextmanager
async def _database(settings: StoreConfig) -> AsyncIterator[tuple[str, Path | None]]:
    """The database for the length of one command, as an address and the folder of its own programs, if it is ours."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value(), None
        return
    from app.postgres import connect_or_start

    async with connect_or_start(settings.data_dir) as database:
        yield database.dsn, database.bin_dir


def _roles(text: str) -> frozenset[str]:
    chosen = frozenset(role.strip() for role in text.split(",")) - {""}
    if unknown := sorted(chosen - set(ROLES)):
        raise typer.BadParameter(f"{unknown[0]} is no role; there are {', '.join(ROLES)}", param_hint="--roles")
    if not chosen:
        raise typer.BadParameter(f"name one at least of {', '.join(ROLES)}", param_hint="--roles")
    return chosen


def _address(url: str) -> str:
    from app.config.values import web_address
    from app.problems import Wrong

    try:
        return web_address(url)
    except Wrong as wrong:
        raise typer.BadParameter(f"{wrong.what}; {wrong.fix}", param_hint="--url") from None


def _slack_calls(file: Path) -> str | None:
    """Where Slack is to call, as the configuration has it; Socket Mode needs nothing, so it is for who has none yet."""
    from app.config import slack_calls

    known = file.exists() or file != DEFAULT_FILE
    calls = slack_calls(file, os.environ) if known else None
    why = f"as {file} says" if known else f"as there is no {file} yet"
    way = f"for events sent to {calls}" if calls else "for Socket Mode"
    complain(f"# {way}, {why}; --url and --socket-mode choose otherwise")
    return calls


def _show_calendar(settings: Config) -> None:
    """Draw the next two weeks of support hours, so that a mistake is seen before a customer meets it."""
    from datetime import UTC, datetime

    from app.calendar import drawn
    from app.policy import policy_of
    from app.problems import ConfigProblems

    try:
        picture = drawn(policy_of(settings), datetime.now(UTC))
    except ConfigProblems:
        return  # told among the findings
    if picture is not None:
        Console(highlight=False).print(picture)
