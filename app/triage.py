"""`santral triage` and `santral model`: how messages are understood, and the models learned from corrections.

Rule: anybody may try it on messages of their own, with nothing set up and no database; a line that cannot be read is
told with its number, and the others are read all the same. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

if TYPE_CHECKING:
    from app.config import StoreConfig
    from channels.channel import Finding
    from inbox.store.understanding import Learned
    from routing.model import Model
    from routing.model_combine import Combined
    from routing.model_process import Taught
    from routing.phrases import Phrases
    from routing.policy import Policy

LANGUAGES = ("tr", "ru", "en", "de", "ar")
STARTER = "starter"  # what `santral model use` calls the model that comes with Santral
DEFAULT_FILE = Path("santral.toml")
OFTEN = 20  # messages between two looks of the progress
NO_MODEL = "The learned model cannot be used, so the words decide alone: {why}"


class BadLine(Exception):
    """A line is no message."""


class NotThere(Exception):
    """A file or a version is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What reads messages: the words, the learned model where there is one, the shop's rules where they are given."""

    languages: tuple[str, ...]
    phrases: Phrases
    model: Model | None = None
    policy: Policy | None = None

    def read(self, line: bytes | str) -> dict[str, Any]:
        """The same line with `language`, `tags` (the main one first), `priority` and `because`. Raises `BadLine`."""
        from routing.language import guess
        from routing.model_combine import by_words, decide, read_both
        from routing.triage import said

        message = _message(line)
        if "language" in message:
            message["language"] = _code(str(message["language"] or ""))
        text = said(str(message.get("subject") or ""), message["text"])
        language = message.get("language") or guess(message["text"], self.languages)
        words = self.phrases.read(text)
        found = decide(words, read_both(self.model, words, text)) if self.model is not None else by_words(words)
        if self.policy is not None:
            found = ruled(self.policy, message, language, found)
        return {
            **message,
            "language": language,
            "tags": list(found.tags),
            "priority": found.priority.name.lower(),
            "because": found.because,
        }


def reader(languages: Sequence[str], config: Path | None, tell: Callable[[str], None]) -> Reader:
    """Make one. Where the model cannot be used, `tell` says so once. Raises `ConfigProblems`."""
    from routing.model_read import BadModel
    from routing.phrases import Phrases

    policy = _policy(config) if config is not None else None
    model = None
    if policy is None or policy.model:
        try:
            from routing.model import Model

            model = Model.load()
        except (BadModel, ImportError) as error:
            tell(NO_MODEL.format(why=error))
    if policy is not None:
        return Reader(languages=policy.languages, phrases=policy.phrases, model=model, policy=policy)
    return Reader(languages=tuple(languages), phrases=Phrases.load(languages), model=model)


def ruled(policy: Policy, message: dict[str, Any], language: str, found: Combined) -> Combined:
    """What the shop's rules make of it; a line's `channel` is the name of a channel, or a kind."""
    from channels.message import Address
    from inbox.changes import AddTag, RemoveTag, SetPriority
    from routing.model_combine import Combined
    from routing.rules import Subject

    channel = str(message.get("channel") or "")
    outcome = policy.rules.decide(
        Subject(
            text=message["text"],
            subject=str(message.get("subject") or ""),
            channel=channel,
            kind=policy.kinds.get(channel, channel),
            language=language,
            tags=frozenset(found.tags),
            priority=found.priority,
            address=Address(kind="line", value=str(message.get("id", ""))),
        )
    )
    tags, priority = list(found.tags), found.priority
    for change in outcome.changes:
        match change:
            case AddTag(tag=tag) if tag not in tags:
                tags.append(tag)
            case RemoveTag(tag=tag) if tag in tags:
                tags.remove(tag)
            case SetPriority(priority=level):
                priority = level
    because = "; ".join(part for part in (found.because, outcome.because) if part)
    return Combined(tags=tuple(tags), priority=priority, because=because)


def read(place: str, reader: Reader, show: Callable[[dict[str, Any]], None], complain: Callable[[str], None]) -> int:
    """Read messages from a file or "-", and show each as soon as it is read. Answers how many lines were bad.

    Raises `NotThere`.
    """
    watched = sys.stderr.isatty()
    bad = 0
    with _opened(place) as lines:
        # A line at a time: who pipes wants an answer to each.
        for number, line in enumerate(iter(lines.readline, b""), start=1):
            if not line.strip():
                continue
            try:
                show(reader.read(line))
            except BadLine as error:
                bad += 1
                complain(f"line {number}: {error}")
            if watched and number % OFTEN == 0:
                sys.stderr.write(f"\r{number:,} messages ")
                sys.stderr.flush()
    if watched:
        sys.stderr.write("\r")
    return bad


def _opened(place: str) -> AbstractContextManager[BinaryIO]:
    if place == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(place).open("rb")
    except OSError as error:
        raise NotThere(f"{place}: {error.strerror or error}") from None


def _code(written: str) -> str:
    """A language as its codes are written (BCP 47): TR is tr, en_gb is en-GB."""
    first, *more = written.strip().replace("_", "-").split("-")
    return "-".join((first.lower(), *(part.upper() if len(part) == 2 else part for part in more)))


def _number(written: str) -> float:
    found = float(written)
    return found if isfinite(found) else _no_number(written)


def _no_number(written: str) -> float:
    """Refuse what JSON has no word for: who reads our lines could not read it back."""
    raise BadLine(f"{written} is no number that JSON can write")


def _message(line: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_constant=_no_number, parse_float=_number)
    except UnicodeDecodeError:
        raise BadLine("it is not UTF-8 text") from None
    except (ValueError, RecursionError):
        raise BadLine("it is not JSON") from None
    if not isinstance(found, dict):
        raise BadLine('it is not an object such as {"text": "…"}')
    if not isinstance(found.get("text"), str):
        raise BadLine('it has no "text", or one that is no text')
    if not isinstance(found.get("language") or "", str):
        raise BadLine('its "language" is no text such as "tr"')
    return found


def _policy(config: Path) -> Policy:
    from app.config import IntakeConfig, load
    from app.policy import policy_of

    return policy_of(load(config, os.environ, needs=IntakeConfig))


def finding(wanted: bool = True) -> Finding:
    """What `santral check` says of the learned model; `wanted` is the configuration's `model`."""
    from channels.channel import Finding
    from routing.model_read import BadModel

    if not wanted:
        return Finding(ok=True, what="Learned model: switched off (model = false); the words decide alone.")
    try:
        from routing.model import Model

        model = Model.load()
        model.read("Where is my order?")
    except (BadModel, ImportError) as error:
        return Finding(
            ok=False,
            what=f"Learned model: it cannot be used, so the words decide alone ({error}).",
            fix="Install it with `pip install 'santral[model]'`, or say model = false if this machine cannot have it.",
        )
    return Finding(ok=True, what=f"Learned model: it reads (version {model.version}).")


# --- what was learned here


def versions(config: StoreConfig) -> list[Learned]:
    """The models learned from corrections, the newest first."""
    from app.store import opened
    from inbox.store import understanding

    async def found() -> list[Learned]:
        async with opened(config) as database, database.connection() as c:
            return await understanding.listed(c)

    return asyncio.run(found())


def use(config: StoreConfig, version: str) -> None:
    """Take a version into use, or the starter model: a running Santral from the next message on. Raises `NotThere`."""
    from app.store import opened
    from inbox.store import understanding

    async def taken() -> bool:
        async with opened(config) as database, database.transaction() as c:
            return await understanding.use(c, "" if version == STARTER else version, datetime.now(UTC))

    if not asyncio.run(taken()):
        raise NotThere(f"there is no model {version}; `santral model list` shows those there are")


def learn(config: StoreConfig) -> tuple[str, Taught]:
    """Make a model of all corrections, however few; answers its version too. Raises `Failed` in words."""
    from app.store import opened
    from routing.rounds.learning import Learning

    async def learned() -> tuple[str, Taught]:
        async with opened(config) as database:
            return await Learning(database, now=lambda: datetime.now(UTC)).learn()

    return asyncio.run(learned())


# --- the commands

ConfigFile = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="SANTRAL_CONFIG", metavar="FILE", help="The configuration file."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]

model = typer.Typer(help="Look at the models learned from what agents corrected, and choose one.", no_args_is_help=True)


def triage(
    place: Annotated[str, typer.Argument(metavar="FILE|-", help='JSON lines with "text".')],
    languages: Annotated[
        str, typer.Option(metavar="LANGUAGES", help="What the messages may be written in, with commas.")
    ] = ",".join(LANGUAGES),
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="Use this shop's languages, words and rules as well."),
    ] = None,
) -> None:
    """Print how messages are understood: the same lines with language, tags, priority and why."""

    def complain(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    def show(line: dict[str, Any]) -> None:
        # UTF-8 whatever the terminal's language: a program reads this, and a letter lost here is lost.
        sys.stdout.buffer.write(
            json.dumps(line, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"
        )
        sys.stdout.buffer.flush()

    chosen = tuple(_code(name.strip()) for name in languages.split(",") if name.strip())
    if not chosen:
        raise typer.BadParameter("name one language at least, such as en", param_hint="--languages")
    if unknown := [name for name in chosen if name.partition("-")[0] not in LANGUAGES]:
        what = f"{unknown[0]!r} is not read here; known are {', '.join(LANGUAGES)}"
        raise typer.BadParameter(what, param_hint="--languages")
    if read(place, reader(chosen, config, complain), show, complain):
        raise typer.Exit(1)


@model.command("list")
def model_list(config: ConfigFile = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Show the models that were made here, how they scored, and which one is in use."""
    from dataclasses import asdict

    from app.config import StoreConfig, load

    found = versions(load(config, os.environ, needs=StoreConfig))
    if as_json:
        entries = [asdict(one) for one in found]
        sys.stdout.write(json.dumps(entries, ensure_ascii=False, indent=2, default=_json) + "\n")
        return
    mark = " " if any(one.in_use for one in found) else "*"
    sys.stdout.write(f"{mark} {STARTER}  the model that comes with Santral\n")
    for one in found:
        said = ", ".join(f"{name.replace('_', ' ')} {share:.1%}" for name, share in _shares(one))
        refused = f"; not used: {one.refused}" if one.refused else ""
        sys.stdout.write(f"{'*' if one.in_use else ' '} {one.version}  {one.examples} corrections; {said}{refused}\n")


@model.command("train")
def model_train(config: ConfigFile = DEFAULT_FILE) -> None:
    """Make a model of everything that was corrected, now. It takes effect only where it reads no worse."""
    from app.config import StoreConfig, load

    settings = load(config, os.environ, needs=StoreConfig)
    if sys.stderr.isatty():
        sys.stderr.write("Learning takes some minutes…\n")
    version, taught = learn(settings)
    if taught.refused:
        sys.stdout.write(f"{version} is kept but not used: {taught.refused}.\n")
        sys.stdout.write(f"`santral model use {version}` takes it all the same.\n")
    else:
        sys.stdout.write(f"{version} is in use: {taught.because}.\n")


@model.command("use")
def model_use(
    version: Annotated[str, typer.Argument(metavar="VERSION", help=f"As listed, or {STARTER!r}.")],
    config: ConfigFile = DEFAULT_FILE,
) -> None:
    """Take a version into use, whatever it scored."""
    from app.config import StoreConfig, load

    use(load(config, os.environ, needs=StoreConfig), version)
    sys.stdout.write(f"{version} is in use from the next message on.\n")


def _shares(one: Learned) -> list[tuple[str, float]]:
    return [(name, float(share)) for name, share in one.scores.items() if name != "messages"]


def _json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
