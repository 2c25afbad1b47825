"""What is wrong with a configuration, in words: which key, what, and how to mend it.

Rule: a value is shown only when it was written in the file itself and cannot be a secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from templates.suggesting import suggest
from templates.toml_words import explained

Place = tuple[str | int, ...]

# Every token and key of the providers we know is longer, or begins so: a secret written at a wrong key stays unseen.
SHOWN_AT_MOST = 30
SECRET_BEGINNINGS = ("xox", "xapp-", "EAA", "SG.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend. `key` is dotted, lists count from 1: `channels[1] "bot" . token`."""

    key: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        said = f"{self.key}: {self.what}" if self.key else self.what
        return f"{said}; {self.fix}" if self.fix else said


class ConfigProblems(Exception):
    """The configuration cannot be used as it is."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        if len(self.problems) == 1 and not self.problems[0].key:
            said = [f"{file}: {self.problems[0]}"]
        else:
            count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
            said = [f"{file}: {count}", *(f"  {problem}" for problem in self.problems)]
        super().__init__("\n".join(said))


class Wrong(ValueError):
    """A value that its key cannot take. `what` goes on from the value: "is not a time zone"."""

    def __init__(self, what: str, fix: str = "", *, secret: bool = False) -> None:
        self.what = what
        self.fix = fix
        self.secret = secret
        super().__init__(what)


def dotted(place: Place, labels: Mapping[Place, str]) -> str:
    """Name a place in the file as a person would; `labels` holds the names of the entries of lists."""
    said = ""
    for depth, part in enumerate(place, start=1):
        if isinstance(part, int):
            said += f"[{part + 1}]"
            if label := labels.get(place[:depth]):
                said += f' "{label}"' + (" . " if depth < len(place) else "")
        else:
            said += part if not said or said.endswith(" . ") else f".{part}"
    return said


def quoted(value: object, names: Sequence[str], what: str, *, secret: bool = False) -> str:
    """Put the value before `what`, if it may be seen. `names` are the environment variables that it came from."""
    if names:
        return f"the value of {names[0]} {what}"
    shy = secret or not isinstance(value, str) or len(value) > SHOWN_AT_MOST or value.startswith(SECRET_BEGINNINGS)
    return what if shy else f'"{value}" {what}'


def explain(error: Mapping[str, Any], names: Sequence[str]) -> tuple[str, str]:
    """Put one of pydantic's errors into words: what is wrong, and the fix."""
    context = error.get("ctx", {})
    kind = str(error["type"])
    last = error["loc"][-1] if error["loc"] else ""
    if isinstance(wrong := context.get("error"), Wrong):
        return quoted(error["input"], names, wrong.what, secret=wrong.secret), wrong.fix
    if kind == "literal_error":
        words = re.findall(r"'([^']+)'", str(context["expected"]))
        value = error["input"]
        fix = suggest(value, words) if isinstance(value, str) and not names else ""
        return "must be " + " or ".join(f'"{word}"' for word in words), fix
    if kind in ("tuple_type", "list_type") and last in ("teams", "channels", "agents"):
        return "is not a list of sections", f"write [[{last}]] in double brackets, once for each"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        if isinstance(last, str):
            return "is not a section", f"write [{last}] on a line of its own, in single brackets, and its keys below"
        return "is not a section", "write its keys below a line in double brackets"
    return _PLAIN.get(kind, "is not written as this key expects").format(**context), ""


_PLAIN = {
    "string_type": "must be text in quotes",
    "bool_type": "must be true or false, without quotes",
    "bool_parsing": "must be true or false, without quotes",
    "float_type": "must be a number, without quotes",
    "float_parsing": "must be a number, without quotes",
    "finite_number": "must be an ordinary number",
    "tuple_type": 'must be a list in square brackets, like ["one", "two"]',
    "too_short": "needs at least one entry",
    "string_too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than_equal": "must be {le:g} or less",
}


def without_secrets(text: str, secrets: Collection[str]) -> str:
    """Mask every one of the secrets in a text that is about to be shown."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > 3:  # masking "a" would make the text unreadable, and tell what it is
            text = text.replace(secret, "•••")
    return text


def addition(key: str, example: object) -> str:
    """Say what to add where a key is missing. A section's example begins with its bracket."""
    if isinstance(example, str) and example.startswith("["):
        return f"add {example}"
    return f"add {key} = {json.dumps(example, ensure_ascii=False)}"


def misread(message: str) -> Problem:
    """Put a TOML syntax error into words, with line and column where they are known."""
    said, _, position = message.partition(" (at ")
    position = position.rstrip(")") or "end of document"
    where = "at the end of the file" if position == "end of document" else position
    what, fix = explained(said)
    return Problem(key=where, what=what, fix=fix)
