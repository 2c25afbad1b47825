"""What most commands can be told, and the configuration they read with it.

Rule: a command reads no more of the file than it needs; `check` and `serve` need it all.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.terminal import SECRETS

if TYPE_CHECKING:
    from app.config import Config
    from app.config.sections import Section

    Needed = TypeVar("Needed", bound=Section)

DEFAULT_FILE = Path("santral.toml")

ConfigFile = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="SANTRAL_CONFIG", metavar="FILE", help="The configuration file."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


def part(file: Path, needs: type[Needed]) -> Needed:
    """Read as much of the configuration as a command needs. Raises `ConfigProblems`."""
    import structlog

    from app.config import load

    # What a command prints may be read by a program; `serve` sets up its own log afterwards.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    settings = load(file, os.environ, needs=needs)
    SECRETS.update(settings.secrets())
    return settings


def everything(file: Path) -> Config:
    """Read all of it. Raises `ConfigProblems`, with the problems of the rules and texts it names as well."""
    from app.config import Config
    from app.problems import ConfigProblems

    try:
        return part(file, Config)
    except ConfigProblems:
        from app.policy import read

        return read(file, os.environ)
