"""Fills a text by sandboxed Jinja."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

from templates.reply import VARIABLES, base
from templates.values import FSI, RLM, right_to_left

_LEFT_OVER = re.compile(
    r"\{\{[^{}]{0,80}\}\}|\{%[^{}]{0,80}%\}|\{\{|\}\}|\{%|%\}|\{\s*(?:" + "|".join(VARIABLES) + r")\s*\}"
)


def left_over(text: str) -> str:
    """The first sign of a template in a text that is to be sent, such as `{{ order }}`; "" where there is none."""
    found = _LEFT_OVER.search(text)
    return found[0] if found else ""


class _Blank:
    """A variable without a value: false in a guard, noted where it would be shown."""

    __slots__ = ("missing", "name")

    def __init__(self, name: str, missing: set[str]) -> None:
        self.name = name
        self.missing = missing

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        self.missing.add(self.name)
        return ""


def fill(written: str, language: str, known: Mapping[str, str]) -> tuple[str, frozenset[str]]:
    """The text, and the variables that are shown in it but not known."""
    if not written:
        return "", frozenset()
    missing: set[str] = set()
    context = {name: known.get(name) or _Blank(name, missing) for name in VARIABLES}
    made = _compiled(written, base(language)).render(context)
    lines = "\n".join(line.rstrip() for line in made.strip().split("\n"))
    if right_to_left(language):  # a line that begins with a Latin name is taken for Latin by pages and phones
        lines = re.sub(f"^(?={FSI})", RLM, lines, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", lines), frozenset(missing)


@lru_cache(maxsize=2048)
def _compiled(written: str, language: str) -> Template:
    return environment(language).from_string(written)


@lru_cache(maxsize=64)
def environment(language: str) -> SandboxedEnvironment:
    """Jinja with nothing in it but our filters."""
    turkish = language in ("tr", "az")

    def upper(value: object) -> str:
        return (str(value).replace("i", "İ") if turkish else str(value)).upper()

    def lower(value: object) -> str:
        return (str(value).replace("İ", "i").replace("I", "ı") if turkish else str(value)).lower()

    def title(value: object) -> str:
        return re.sub(r"\w[\w'’]*", lambda word: upper(word[0][0]) + lower(word[0][1:]), str(value))

    environment = SandboxedEnvironment(undefined=StrictUndefined)
    environment.globals.clear()
    environment.tests.clear()
    environment.filters.clear()
    environment.filters.update(
        default=lambda value, instead: value or instead,
        lower=lower,
        title=title,
        trim=lambda value: str(value).strip(),
        upper=upper,
    )
    return environment
