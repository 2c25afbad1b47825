"""The command line: `santral`, its subcommands, and how failures are told.

Rule: nothing heavy is imported before a command needs it, and no failure shows more than one readable line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.rules import rules
from app.triage import model, triage

if TYPE_CHECKING:
    from app.backup import Manifest, Progress
    from app.config import Config, IntakeConfig, StoreConfig
    from app.config_sections import Section
    from channels.channel import Finding

    Needed = TypeVar("Needed", bound=Section)
    Result = TypeVar("Result")

FAILED, MISUSED = 1, 2
INTERRUPTED = 130  # what typer makes of Ctrl-C
OURS = ("app", "bot", "channels", "commerce", "desk", "inbox", "insights", "routing", "templates")
ROLES = ("web", "work", "pull")
DEFAULT_FILE = Path("santral.toml")


app = typer.Typer(
    help="Slack as the support desk of a web shop: every channel, one conversation per customer, one Slack thread.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
slack = typer.Typer(help="Set up the Slack app.", no_args_is_help=True)
quarantine = typer.Typer(help="Look at requests that could not be read, and read them again.", no_args_is_help=True)
mail = typer.Typer(help="See how mails are read, and those that nobody sees in Slack.", no_args_is_help=True)
app.add_typer(slack, name="slack")
app.add_typer(rules, name="rules")
app.add_typer(model, name="model")
app.command()(triage)
app.add_typer(mail, name="mail")
app.add_typer(quarantine, name="quarantine")

ConfigFile = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="SANTRAL_CONFIG", metavar="FILE", help="The configuration file."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]

_secrets: set[str] = set()  # of the configuration in use: masked in whatever failure is shown


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
    settings = _everything(config)
    from app.policy import read
    from app.serve import run

    run(settings, chosen, lambda: read(config, os.environ), clock)


@app.command()
def check(config: ConfigFile = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Contact everything that is configured and tell what a real set-up still lacks."""
    settings = _everything(config)
    from app.check import run

    findings = list(run(settings))
    if as_json:
        _print_json(findings)
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

    settings = _part(config, IntakeConfig)
    listed = [
        {
            "name": channel.name,
            "kind": channel.kind,
            "receives": channel.receives,
            "url": _webhook(settings, channel.name, channel.receives),
        }
        for channel in settings.channels
    ]
    kinds = dict.fromkeys(entry["kind"] for entry in listed) or dict.fromkeys(sorted(CAPABILITIES))
    if as_json:
        _print_json([{**entry, "carries": carries.plain(CAPABILITIES[entry["kind"]])} for entry in listed])
        return
    if listed:
        _print_table(("name", "kind", "receives", "url"), [tuple(entry.values()) for entry in listed])
        _say("")
    _print_table(carries.COLUMNS, [carries.row(kind, CAPABILITIES[kind]) for kind in kinds])
    if not listed:
        _say("No channels yet. Add [[channels]] to the configuration; docs/configuration.md shows each kind.")


# --- The database ---------------------------------------------------------------------------------------------------


@app.command()
def migrate(config: ConfigFile = DEFAULT_FILE) -> None:
    """Bring the database up to date; `serve` does this by itself at its start."""
    from app.config import StoreConfig
    from app.migrate import run

    run(_part(config, StoreConfig))
    _say("The database is up to date.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    config: ConfigFile = DEFAULT_FILE,
) -> None:
    """Write everything that is stored into one file, while Santral runs or not."""
    from app.backup import backup as write
    from app.config import StoreConfig

    settings = _part(config, StoreConfig)

    async def work(progress: Progress) -> Manifest:
        async with _database(settings) as (dsn, bin_dir):
            return await write(dsn, file, files=settings.files_dir, bin_dir=bin_dir, on_progress=progress)

    manifest = _with_progress("Writing", work)
    _say(f"Written to {file}: {manifest.tables.get('messages', 0):,} messages.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `santral backup` wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is stored now.")] = False,
    config: ConfigFile = DEFAULT_FILE,
) -> None:
    """Put back what a backup holds; what is stored now is replaced only with --force."""
    from app.backup import restore as put_back
    from app.config import StoreConfig

    settings = _part(config, StoreConfig)

    async def work(progress: Progress) -> Manifest:
        async with _database(settings) as (dsn, bin_dir):
            return await put_back(
                dsn, file, files=settings.files_dir, force=force, bin_dir=bin_dir, on_progress=progress
            )

    manifest = _with_progress("Restoring", work)
    _say(f"Restored from {file}, made {manifest.made_at:%Y-%m-%d %H:%M} UTC.")


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


# --- Quarantine -----------------------------------------------------------------------------------------------------


@quarantine.command("list")
def quarantine_list(config: ConfigFile = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Show the requests that came from a provider but could not be read or stored."""
    from app.config import StoreConfig
    from app.quarantine import waiting

    entries = list(waiting(_part(config, StoreConfig)))
    if as_json:
        _print_json(entries)
    elif entries:
        rows = [
            (str(entry.id), f"{entry.received_at:%Y-%m-%d %H:%M} UTC", entry.channel, entry.reason, entry.detail)
            for entry in entries
        ]
        _print_table(("id", "received", "channel", "reason", "detail"), rows)
    else:
        _say("Nothing in quarantine.")


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

    outcomes = list(replay(_part(config, IntakeConfig), None if everything else tuple(ids or ())))
    if as_json:
        _print_json(outcomes)
    else:
        for outcome in outcomes:
            why = outcome.detail if outcome.detail == NOT_THERE else f"still not readable: {outcome.detail}"
            _say(f"{outcome.id}: {'stored' if outcome.ok else why}")
    if not all(outcome.ok for outcome in outcomes):
        raise typer.Exit(FAILED)


# --- Mail -----------------------------------------------------------------------------------------------------------


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

    from app.config_mail import reading_us
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

    entries = aside(_part(config, StoreConfig))
    if as_json:
        _print_json(entries)
    elif entries:
        rows = [
            (str(entry.id), f"{entry.at:%Y-%m-%d %H:%M} UTC", entry.channel, f"{entry.size:,}", entry.why)
            for entry in entries
        ]
        _print_table(("id", "came", "channel", "bytes", "what it is"), rows)
    else:
        _say("No mail lies aside.")


@mail.command("show")
def mail_show(
    id: Annotated[int, typer.Argument(metavar="ID", help="Which one, as listed.")], config: ConfigFile = DEFAULT_FILE
) -> None:
    """Print a stored mail as it came, byte for byte."""
    from app.config import IntakeConfig
    from app.mail import raw_of

    raw = raw_of(_part(config, IntakeConfig), id)
    if raw is None:
        _complain(f"There is no mail {id}.")
        raise typer.Exit(FAILED)
    sys.stdout.buffer.write(raw)


@mail.command("admit")
def mail_admit(
    id: Annotated[int, typer.Argument(metavar="ID", help="Which one, as listed.")], config: ConfigFile = DEFAULT_FILE
) -> None:
    """Have a mail that lies aside read as a person's: it opens a conversation like any other."""
    from app.config import StoreConfig
    from app.mail import admit

    if not admit(_part(config, StoreConfig), id):
        _complain(f"No mail {id} lies aside.")
        raise typer.Exit(FAILED)
    _say(f"Mail {id} is read again as soon as Santral runs.")


# --- Edges ----------------------------------------------------------------------------------------------------------


def _version(wanted: bool) -> None:
    if wanted:
        _say(f"santral {version('santral')}")
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
        if message := _line(error.format_message()):  # empty when the help has been shown instead
            _complain(f"santral: {message.rstrip('.')}; see `{context.command_path if context else 'santral'} --help`")
        return MISUSED
    if isinstance(error, ConfigProblems):
        _complain(f"santral: {error}")
        return MISUSED
    if os.environ.get("SANTRAL_DEBUG") == "1":
        _complain("".join(traceback.format_exception(error)).rstrip())
    else:
        _complain(f"santral: {_words(error)}")
    return FAILED


def _words(error: Exception) -> str:
    """Our own errors are written for people; what comes from elsewhere says also what it is and how to see more."""
    if type(error).__module__.partition(".")[0] in OURS:
        return _line(str(error) or type(error).__doc__ or type(error).__name__)
    if isinstance(error, OSError) and error.strerror:
        return _line(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    return _line(f"{type(error).__name__}: {error}; SANTRAL_DEBUG=1 shows where")


def _line(text: str) -> str:
    return " ".join(text.split())


def _complain(text: str) -> None:
    if _secrets:
        from app.config import without_secrets

        text = without_secrets(text, _secrets)
    sys.stderr.write(text + "\n")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _part(file: Path, needs: type[Needed]) -> Needed:
    import structlog

    from app.config import load

    # What a command prints may be read by a program; `serve` sets up its own log afterwards.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    settings = load(file, os.environ, needs=needs)
    _secrets.update(settings.secrets())
    return settings


def _everything(file: Path) -> Config:
    from app.config import Config
    from app.problems import ConfigProblems

    try:
        return _part(file, Config)
    except ConfigProblems:
        from app.policy import read

        return read(file, os.environ)  # tells as well what is wrong with the files it names


@asynccontextmanager
async def _database(settings: StoreConfig) -> AsyncIterator[tuple[str, Path | None]]:
    """The database for the length of one command, as an address and the folder of its own programs, if it is ours."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value(), None
        return
    from app.postgres import connect_or_start

    async with connect_or_start(settings.data_dir) as database:
        yield database.dsn, database.bin_dir


def _with_progress(doing: str, work: Callable[[Progress], Coroutine[Any, Any, Result]]) -> Result:
    """Run something long; on a terminal, say what it is at."""
    with Console(stderr=True).status(f"{doing}…") as status:

        def progress(step: str, done: int, total: int) -> None:
            status.update(f"{doing} {step}…" + (f" {done:,} of {total:,}" if total else ""))

        return asyncio.run(work(progress))


def _roles(text: str) -> frozenset[str]:
    chosen = frozenset(role.strip() for role in text.split(",")) - {""}
    if unknown := sorted(chosen - set(ROLES)):
        raise typer.BadParameter(f"{unknown[0]} is no role; there are {', '.join(ROLES)}", param_hint="--roles")
    if not chosen:
        raise typer.BadParameter(f"name one at least of {', '.join(ROLES)}", param_hint="--roles")
    return chosen


def _webhook(settings: IntakeConfig, name: str, receives: str) -> str:
    return f"{settings.public_url}/webhooks/{name}" if receives == "webhook" else ""


def _address(url: str) -> str:
    from app.config_values import web_address
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
    _complain(f"# {way}, {why}; --url and --socket-mode choose otherwise")
    return calls


# --- Showing --------------------------------------------------------------------------------------------------------


def _print_json(entries: Iterable[object]) -> None:
    plain = [asdict(entry) if is_dataclass(entry) and not isinstance(entry, type) else entry for entry in entries]
    _say(json.dumps(plain, ensure_ascii=False, indent=2, default=_json))


def _json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Draw a table; where nobody looks (a pipe), tabs between the values serve better."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            _say("\t".join(_line(value) for value in row))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_line(value)) for value in row))
    console.print(Padding(table, (1, 2)))


def _show_calendar(settings: Config) -> None:
    """Draw the next two weeks of support hours, so that a mistake is seen before a customer meets it."""
    from datetime import UTC

    from app.calendar import drawn
    from app.policy import policy_of
    from app.problems import ConfigProblems

    try:
        picture = drawn(policy_of(settings), datetime.now(UTC))
    except ConfigProblems:
        return  # told among the findings
    if picture is not None:
        Console(highlight=False).print(picture)


def show_findings(findings: Sequence[Finding], file: Path) -> None:
    """Print what `check` found: what is well in one line each, what is not with its fix below."""
    console = Console(highlight=False)
    fine, wrong, arrow = ("✓", "✗", "→") if console.encoding.lower().startswith("utf") else ("+", "x", "->")
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(
            Text(fine if finding.ok else wrong, style="green" if finding.ok else "bold red"),
            Text(finding.what, style="" if finding.ok else "bold"),
        )
        if finding.fix:
            table.add_row("", Text(f"{arrow} {finding.fix}"))
    bad = sum(not finding.ok for finding in findings)
    if not bad:
        verdict = Text(f"{len(findings)} checks, all well. `santral serve` can start.", style="green")
    else:
        verdict = Text(f"{bad} of {len(findings)} {'needs' if bad == 1 else 'need'} you.", style="bold red")
    console.print(Padding(Text(f"santral check  {file}", style="dim"), (1, 2, 0, 2)))
    console.print(Padding(table, (1, 2)))
    console.print(Padding(verdict, (0, 2, 1, 2)))
