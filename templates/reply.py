"""What a reply is made of, what may be wrong with one, and what a text may name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

LAST_RESORT = "en"
OURS = Path(__file__).parent / "replies"
APPROVED = "approved.toml"  # stands in the same folder, read by `templates.approved`

# What a text may name, and the most characters a value keeps. A shop's name has 80 at most; the others are what still
# reads well inside a sentence. Support hours may be a short list.
VARIABLES = {"customer": 40, "agent": 40, "shop": 80, "order": 40, "hours": 240, "opening": 80, "wait": 60}

# An acknowledgement has no agent who fills in what is missing: these values alone are sure. A canned reply has one, but
# what is looked up is not typed either, so its text has to read well without.
SURE = {"acknowledge-closed": frozenset({"shop"}), "acknowledge-busy": frozenset({"shop", "wait"})}
LOOKED_UP = frozenset({"customer", "hours", "opening", "wait"})

TEXTS = ("text", "short", "shorter", "subject")
KEYS = ("title", "tags", *TEXTS)
NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
LONGEST_NAME = 60
LONGEST_TITLE = 75  # what an option of a Slack menu shows: docs.slack.dev, option object
LONGEST_TEXT = 10_000  # characters as written; more is a mistake
DEEPEST = 20  # parts inside parts: at some depth Jinja and Python give up
FILTERS = ("default", "lower", "title", "trim", "upper")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend. `line` counts from 1; 0 when the whole file, or the lack of one, is meant."""

    file: str
    line: int = 0
    name: str = ""
    key: str = ""
    what: str
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        about = ".".join(part for part in (self.name, self.key) if part)
        said = f"{about}: {self.what}" if about else self.what
        return f"{place}: {said}; {self.fix}" if self.fix else f"{place}: {said}"


class BadReplies(Exception):
    """The texts cannot be used as they are. `problems` is everything there is to mend, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Unfilled(Exception):
    """A text uses variables that have no value, so it was not made. `names` are these variables."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(sorted(names))
        super().__init__("no value for " + ", ".join(self.names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a channel takes, measured as its provider counts; `segment`: an acknowledgement is one SMS segment."""

    most: int
    measure: Callable[[str], int] = len
    segment: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What an agent picks from."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A text without gaps. `subject` is "" if the reply has none; `language` is the one it was found in."""

    text: str
    subject: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply in one language, as written."""

    name: str
    language: str
    title: str = ""
    tags: tuple[str, ...] = ()
    text: str = ""
    short: str = ""
    shorter: str = ""
    subject: str = ""


Texts = Mapping[str, Mapping[str, Reply]]  # language to name to reply


def normal(language: str) -> str:
    """A language's code (BCP 47) as the files are looked up by: `pt_BR` and `pt-BR` are one."""
    return language.replace("_", "-").lower()


def base(language: str) -> str:
    return language.partition("-")[0]
