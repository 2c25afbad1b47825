"""Templates a provider has approved (WhatsApp and the like), as the shop lists them in `approved.toml`.

Rule: what is listed is what the provider approved, letter by letter; only its numbered placeholders are ours to fill.
The limits are WhatsApp's: developers.facebook.com, WhatsApp Business Platform, message templates, components.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from templates.checking import Source, is_language, read
from templates.replies import Replies
from templates.reply import APPROVED, LAST_RESORT, VARIABLES, BadReplies, Problem, Unfilled, normal
from templates.suggesting import nearest, suggest
from templates.values import clean, isolated, shows

REQUIRED = ("channel", "name", "language", "category", "body")
LISTS = ("variables", "buttons")
KEYS = (*REQUIRED, "variables", "header", "footer", "buttons", "reply")
CATEGORIES = ("utility", "marketing", "authentication")
LONGEST = {"name": 512, "body": 1024, "header": 60, "footer": 60}
LONGEST_BUTTON, MOST_BUTTONS = 25, 10

_NAME = re.compile(r"[a-z0-9_]+|HX[0-9a-fA-F]{32}")  # WhatsApp's own name, or Twilio's content SID
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")
_PLACEHOLDER = re.compile(r"\{\{([1-9]\d*)\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedTemplate:
    """One template in one language. `language` is the provider's spelling (`pt_BR`), to be sent as it is."""

    channel: str
    name: str
    language: str
    category: str
    body: str
    variables: tuple[str, ...] = ()  # what {{1}}, {{2}}… stand for
    header: str = ""
    footer: str = ""
    buttons: tuple[str, ...] = ()
    reply: str = ""  # our reply it stands for
    shop: str = ""

    def fill(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The parameters in the order of the placeholders: one line each, without tabs or runs of spaces.

        An empty value counts as unknown; the shop's name is known. Raises `Unfilled` with all that is missing.
        """
        known = {name: clean(name, value) for name, value in values.items()}
        known["shop"] = known.get("shop") or clean("shop", self.shop)
        if missing := {name for name in self.variables if not known.get(name)}:
            raise Unfilled(missing)
        return tuple(isolated(known[name], normal(self.language)) for name in self.variables)

    def text(self, values: Mapping[str, str]) -> str:
        """What the customer will read, to be kept as the message. Raises `Unfilled`."""
        given = self.fill(values)
        body = _PLACEHOLDER.sub(lambda found: given[int(found[1]) - 1], self.body)
        return "\n\n".join(part for part in (self.header, body, self.footer) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Every approved template of the shop, in the order of the file. Made by `load`."""

    templates: tuple[ApprovedTemplate, ...] = ()
    first: str = LAST_RESORT

    @classmethod
    def load(
        cls, languages: Sequence[str], folder: Path | None = None, *, shop: str, replies: Replies | None = None
    ) -> Approved:
        """Read `approved.toml` in the shop's templates folder; without one there are none.

        `languages` are the shop's, the first is the fallback. With `replies`, every `reply` has to be one of them.
        Raises `BadReplies` with every problem there is.
        """
        first = languages[0] if languages else LAST_RESORT
        path = folder / APPROVED if folder is not None else None
        if path is None or not path.exists():
            return cls(first=first)
        known = {name for texts in replies.texts.values() for name in texts} if replies is not None else None
        source = read(path)
        found, problems = _read(source, known, shop)
        problems += _duplicates(source, found)
        if problems:
            raise BadReplies(problems)
        return cls(templates=tuple(found.values()), first=first)

    def pick(self, channel: str, reply: str, language: str) -> ApprovedTemplate | None:
        """Find the template of a channel that stands for a reply; None if there is none.

        Its language falls back: the exact one, its base, another of the same base (`en` to `en_US`), then the same for
        the shop's first language and for English.
        """
        fitting = [made for made in self.templates if made.channel == channel and made.reply == reply]
        for wanted in (normal(language), normal(self.first), LAST_RESORT):
            base = wanted.partition("-")[0]
            for matches in (wanted, base, f"{base}-"):
                for made in fitting:
                    spoken = normal(made.language)
                    if spoken == matches or (matches.endswith("-") and spoken.startswith(matches)):
                        return made
        return None


def _read(source: Source, known: set[str] | None, shop: str) -> tuple[dict[str, ApprovedTemplate], list[Problem]]:
    """The templates by section (`approved[1]`), and everything that is wrong with them."""
    found: dict[str, ApprovedTemplate] = {}
    problems: list[Problem] = []
    for key, tables in source.table.items():
        if key != "approved" or not isinstance(tables, list):
            fix = "each template begins with [[approved]] on a line of its own"
            line = source.line(key) or source.line("", key) or source.line(f"{key}[1]")
            problems.append(Problem(file=source.file, line=line, name=key, what="is no approved template", fix=fix))
            continue
        for number, table in enumerate(tables, start=1):
            section = f"approved[{number}]"
            if not isinstance(table, dict):
                problems.append(source.problem("", key, "is not a list of sections", "write [[approved]] for each"))
                break
            wrong = [*_keys(source, section, table)]
            told = {meant for problem in wrong for meant in _meant(problem.key)}
            made = _template({key: value for key, value in table.items() if key in KEYS and key not in told}, shop)
            if not wrong:
                found[section] = made
            wrong += (problem for problem in _rules(source, section, made) if problem.key not in told)
            if told.isdisjoint(("body", "variables")):
                wrong += _places(source, section, made)
            if made.reply and known is not None and made.reply not in known:
                fix = suggest(made.reply, known) or "name one of the replies, or leave it out"
                wrong.append(source.problem(section, "reply", f'there is no reply "{made.reply}"', fix))
            problems += wrong
    return found, problems


def _template(table: Mapping[str, Any], shop: str) -> ApprovedTemplate:
    """What is written right; a key that is not has been told."""
    lists = {key: tuple(table.get(key, ())) for key in LISTS}
    return ApprovedTemplate(**{**dict.fromkeys(REQUIRED, ""), **table, **lists}, shop=shop)


def _meant(key: str) -> Iterator[str]:
    """A key that is wrong, and where nobody knows it the one it may stand for: that one is not missing then."""
    yield key
    if key not in KEYS and (near := nearest(key, KEYS)):
        yield near


def _keys(source: Source, section: str, table: Mapping[str, Any]) -> Iterator[Problem]:
    for key in REQUIRED:
        if key not in table:
            yield source.problem(section, key, "is missing", f'add {key} = "…"')
    for key, value in table.items():
        if key not in KEYS:
            fix = suggest(key, KEYS) or "known here are " + ", ".join(KEYS)
            yield source.problem(section, key, "is not a key that Santral knows", fix)
        elif key in LISTS:
            if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
                yield source.problem(section, key, "must be a list of texts", f'write {key} = ["…", "…"]')
        elif not isinstance(value, str):
            yield source.problem(section, key, "must be text in quotes", f'write {key} = "…"')
        elif not shows(value):
            yield source.problem(section, key, "is empty", "copy it from the provider, or remove the key")


def _rules(source: Source, section: str, made: ApprovedTemplate) -> Iterator[Problem]:
    """What the provider itself refuses outside of placeholders."""
    if not _NAME.fullmatch(made.name):
        yield source.problem(section, "name", f'"{made.name}" is not a name', "use a-z, 0-9 and _, or a content SID")
    if not _LANGUAGE.fullmatch(made.language) or not is_language(normal(made.language)):
        fix = "write it as the provider does, like tr or pt_BR"
        yield source.problem(section, "language", f'"{made.language}" is not the code of a language', fix)
    if made.category not in CATEGORIES:
        fix = suggest(made.category, CATEGORIES) or "one of " + ", ".join(CATEGORIES)
        yield source.problem(section, "category", f'"{made.category}" is not a category', fix)
    for key, most in LONGEST.items():
        if len(getattr(made, key)) > most:
            what = f"has {len(getattr(made, key))} characters, of {most} at most"
            yield source.problem(section, key, what, "copy it from the provider as it was approved")
    if len(made.buttons) > MOST_BUTTONS:
        yield source.problem(section, "buttons", f"are more than {MOST_BUTTONS}", "remove some")
    for label in made.buttons:
        if not label.strip() or len(label) > LONGEST_BUTTON:
            what = f'"{label}" does not fit on a button'
            yield source.problem(section, "buttons", what, f"1 to {LONGEST_BUTTON} characters")
    for key in ("header", "footer", "buttons"):
        written = getattr(made, key)
        if any("{{" in text for text in ((written,) if isinstance(written, str) else written)):
            yield source.problem(section, key, "has a placeholder", "only the body is filled; list it without one")


def _places(source: Source, section: str, made: ApprovedTemplate) -> Iterator[Problem]:
    """What is wrong with the placeholders, and with the variables they stand for."""
    body = made.body.strip()
    for name in made.variables:
        if name not in VARIABLES:
            fix = suggest(name, VARIABLES) or "known are " + ", ".join(VARIABLES)
            yield source.problem(section, "variables", f"{name} is not a variable", fix)
    if re.search(r"\{\{|\}\}", _PLACEHOLDER.sub("", body)):
        yield source.problem(section, "body", "has braces that are no placeholder", "write {{1}}, {{2}} and so on")
        return
    numbers = {int(number) for number in _PLACEHOLDER.findall(body)}
    if numbers != set(range(1, len(numbers) + 1)):
        fix = "number them 1, 2, 3 without gaps"
        yield source.problem(section, "body", f"has the placeholders {_listed(numbers)}", fix)
    elif len(numbers) != len(made.variables):
        what = f"has {len(numbers)} placeholders, and variables has {len(made.variables)} names"
        yield source.problem(section, "body", what, "name one variable for each placeholder, in their order")
    if _PLACEHOLDER.match(body) or re.search(r"\{\{\d+\}\}\Z", body):
        yield source.problem(section, "body", "begins or ends with a placeholder", "put words before and after it")
    if re.search(r"\}\}\s*\{\{", body):
        yield source.problem(section, "body", "has two placeholders side by side", "put words between them")


def _listed(numbers: set[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))


def _duplicates(source: Source, found: Mapping[str, ApprovedTemplate]) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], str] = {}
    for section, made in found.items():
        first = seen.setdefault((made.channel, made.name, normal(made.language)), section)
        if first != section:
            what = f"{made.name} in {made.language} stands in {first} already"
            yield source.problem(section, "name", what, "remove one of the two")
