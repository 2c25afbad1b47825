"""Reads and checks `santral.toml`.

Rule: every problem is found in one reading and said in words; a secret is in none of them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar, get_args, overload

from pydantic import ValidationError

from app.config.across import across, tables
from app.config.deciding import WrongPart
from app.config.kinds import KINDS
from app.config.sections import Section
from app.config.values import NAME
from app.config.variables import VARIABLE, expand
from app.config.whole import LISTS, SECTIONS, Config, IntakeConfig, PublicConfig
from app.problems import ConfigProblems, Place, Problem, Wrong, addition, dotted, explain, misread, quoted
from templates.suggesting import meant, nearest, suggest

PERSON = re.compile(r"[UW][A-Z0-9]{2,20}")
Needed = TypeVar("Needed", bound=Section)


@overload
def load(path: Path, environ: Mapping[str, str]) -> Config: ...
@overload
def load(path: Path, environ: Mapping[str, str], *, needs: type[Needed]) -> Needed: ...
def load(path: Path, environ: Mapping[str, str], *, needs: type[Section] = Config) -> Section:
    """Read and check the file.

    `needs` says how much of it a command uses: sections it has no field for may be absent, wrong, or name unset
    variables. Raises `ConfigProblems` with every problem there is.
    """
    written = _read(path)
    reading = _Reading(written, environ, needs)
    config = reading.config(path.absolute().parent)
    if reading.problems or config is None:
        raise ConfigProblems(str(path), reading.in_order())
    return config


def right_part(path: Path, environ: Mapping[str, str]) -> IntakeConfig | None:
    """What is right in a file that is not, for the checks of its hours, rules and texts that can go on.

    Teams and agents keep their places; one whose name is wrong has the name "". None where too little is right.
    """
    try:
        reading = _Reading(_read(path), environ, IntakeConfig)
    except ConfigProblems:
        return None
    reading.config(path.absolute().parent)
    return reading.right(path.absolute().parent)


def slack_calls(path: Path, environ: Mapping[str, str]) -> str | None:
    """Return the `public_url` that Slack is to call, or None for Socket Mode, from a file that may be unfinished."""

    slack = _read(path).get("slack")
    if isinstance(slack, dict) and "app_token" in slack:
        return None
    return load(path, environ, needs=PublicConfig).public_url


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")  # editors on Windows put a mark first
        return tomllib.loads(text)
    except FileNotFoundError:
        problem = Problem(
            key="",
            what="there is no such file",
            fix="try `santral demo`, which needs none, or copy santral.example.toml and fill it in",
        )
    except IsADirectoryError:
        problem = Problem(key="", what="this is a folder", fix="name the file in it")
    except OSError as error:
        problem = Problem(key="", what=f"the file cannot be read ({error.strerror})", fix="mend its permissions")
    except UnicodeDecodeError:
        problem = Problem(key="", what="the file is not UTF-8 text", fix="save it as UTF-8")
    except tomllib.TOMLDecodeError as error:
        problem = misread(str(error))
    raise ConfigProblems(str(path), [problem])


class _Reading:
    """One reading of one file: what was written, and the problems found on the way."""

    def __init__(self, written: dict[str, Any], environ: Mapping[str, str], needs: type[Section]) -> None:
        self.needs = needs
        self.problems: dict[Place, list[Problem]] = {}
        self.names: dict[Place, tuple[str, ...]] = {}  # the variables a value came from
        self.meant: dict[Place, Any] = {}  # what stands under a misspelled key, by the key that is meant
        self.labels: dict[Place, str] = {
            (section, position): name
            for section in ("teams", "channels", "agents")
            for position, table in tables(written, section)
            if isinstance(name := table.get("id" if section == "agents" else "name"), str)
            and (PERSON if section == "agents" else NAME).fullmatch(name)
        }
        for key in written:
            if key not in Config.model_fields:
                self.unknown((key,), written[key])
        used = needs.part({key: value for key, value in written.items() if key in needs.model_fields})
        self.values: dict[str, Any] = self.expanded(used, (), environ)

    def config(self, folder: Path) -> Section | None:
        for _, table in tables(self.values, "channels"):
            if table.get("kind") == "telegram":
                table.setdefault("receive", "webhook" if self.values.get("public_url") else "poll")
        config = None
        try:
            config = self.needs.model_validate(self.values, context={"folder": folder})
        except ValidationError as failed:
            # Keys nobody knows come first: what one of them stands for is not missing as well.
            for error in sorted(failed.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden"):
                self.invalid(error)
        wrong = frozenset(self.problems)  # in itself: no need to say that it does not fit the others either
        for place, what, fix in across(self.as_meant()):
            if place not in wrong:
                self.add(place, what, fix)
        return config

    def right(self, folder: Path) -> IntakeConfig | None:
        """What `right_part` answers. A wrong entry of a list makes the whole list wrong."""
        wrong = {place[: 3 if place[1:] and isinstance(place[1], int) else 2] for place in self.problems}

        def kept(place: Place, table: object) -> dict[str, Any]:
            given = table if isinstance(table, dict) else {}
            return {key: value for key, value in given.items() if (*place, key) not in wrong}

        def entries(section: str, needed: Mapping[str, str]) -> list[dict[str, Any]]:
            return [{**needed, **kept((section, position), table)} for position, table in tables(self.values, section)]

        def named(section: str, key: str, made: Iterable[Needed]) -> tuple[Needed, ...]:
            right = (kept((section, position), table) for position, table in tables(self.values, section))
            return tuple(
                one if key in table else one.model_copy(update={key: ""})
                for one, table in zip(made, right, strict=True)
            )

        values = {
            **kept((), self.values),
            "shop": {"name": "?", "timezone": "UTC", **kept(("shop",), self.values.get("shop"))},
            "teams": entries("teams", {"name": "team", "slack_channel": "C0123456789"}),
            "agents": entries("agents", {"id": "U0123456789"}),
            "channels": (),
        }
        try:
            config = IntakeConfig.model_validate(values, context={"folder": folder})
        except ValidationError:
            return None  # without its country and languages nothing can be said of a shop
        channels = (table for _, table in tables(self.values, "channels"))
        return config.model_copy(
            update={
                "teams": named("teams", "name", config.teams),
                "agents": named("agents", "id", config.agents),
                "channels": tuple(
                    KINDS[kind].model_construct(name=name, kind=kind)
                    for table in channels
                    if NAME.fullmatch(name := str(table.get("name"))) and (kind := str(table.get("kind"))) in KINDS
                ),
            }
        )

    def as_meant(self) -> dict[str, Any]:
        """The values with every misspelled key as it was meant: what it says is there, only its name is wrong."""
        values = deepcopy(self.values)
        for place, value in self.meant.items():
            table: Any = values
            for part in place[:-1]:
                table = table[part]
            table.setdefault(place[-1], value)
        return values

    def in_order(self) -> list[Problem]:
        """Problems in the order of the documentation: first the keys at the top, then section by section."""
        order = ["shop", "slack", "teams", "targets", "acknowledge", "contact", "agents", "channels"]

        def rank(place: Place) -> tuple[int, int]:
            top = order.index(str(place[0])) if place and place[0] in order else -1
            return top, place[1] if len(place) > 1 and isinstance(place[1], int) else -1

        return [problem for place in sorted(self.problems, key=rank) for problem in self.problems[place]]

    def add(self, place: Place, what: str, fix: str) -> None:
        problem = Problem(key=dotted(place, self.labels), what=what, fix=fix)
        self.problems.setdefault(place, []).append(problem)

    def expanded(self, value: Any, place: Place, environ: Mapping[str, str]) -> Any:
        if isinstance(value, dict):
            return {key: self.expanded(item, (*place, key), environ) for key, item in value.items()}
        if isinstance(value, list):
            return [self.expanded(item, (*place, position), environ) for position, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        if names := tuple(found["name"] for found in VARIABLE.finditer(value) if found["name"]):
            self.names[place] = names
        try:
            return expand(value, environ)
        except Wrong as wrong:
            self.add(place, f"the value {wrong.what}" if wrong.what.startswith("has ") else wrong.what, wrong.fix)
            return value

    def invalid(self, error: Mapping[str, Any]) -> None:
        place: Place = tuple(error["loc"])
        if place[:1] == ("channels",) and len(place) > 2 and place[2] in KINDS:
            place = (*place[:2], *place[3:])  # pydantic puts the kind there
        wrong = error.get("ctx", {}).get("error")
        if isinstance(wrong, WrongPart) and self.names.get(place):
            error = {**error, "ctx": {"error": wrong.plain}}  # what a variable holds is nobody's to see
        if place[-1:] == ("[key]",):  # told of the table: what should be a day may be anything
            self.add(place[:-2], *explain(error, ()))
        elif error["type"] == "extra_forbidden":
            self.unknown(place, error["input"])
        elif place in self.problems or (error["type"] == "too_short" and error["input"]):
            return  # its variable is not set, or its entries have been named one by one
        elif error["type"] == "missing" and place in self.meant:
            return
        elif error["type"] == "missing":
            self.add(place, "is missing", self.missing(place))
        elif error["type"] == "union_tag_not_found":
            self.add((*place, "kind"), "is missing", addition("kind", "telegram"))
        elif error["type"] == "union_tag_invalid":
            place = (*place, "kind")
            kind, names = str(error["ctx"]["tag"]), self.names.get(place, ())
            if place not in self.problems:
                near = "" if names else suggest(kind, KINDS)
                self.add(place, quoted(kind, names, "is no kind of channel"), near or "known are " + ", ".join(KINDS))
        elif str(error["type"]).startswith("date_"):
            what = quoted(error["input"], self.names.get(place, ()), "is not a date")
            self.add(place, what, 'write it like "2026-12-31"')
        else:
            self.add(place, *explain({**error, "loc": place}, self.names.get(place, ())))

    def section(self, place: Place) -> type[Section]:
        """The model whose keys stand at `place`."""
        if not place:
            return Config
        if place[0] == "channels" and len(place) > 1 and isinstance(place[1], int):
            return KINDS.get(str(self.values["channels"][place[1]].get("kind")), Section)
        model: type[Section] = Config
        for part in place:
            model = model if isinstance(part, int) else _inner(model).get(part, Section)
        return model

    def missing(self, place: Place) -> str:
        key = str(place[-1])
        field = self.needs.model_fields[key] if len(place) == 1 else self.section(place[:-1]).model_fields[key]
        return addition(key, field.examples[0]) if field.examples else f"add {key}"

    def unknown(self, place: Place, value: Any) -> None:
        key = str(place[-1])
        fields = self.section(place[:-1]).model_fields
        homes = [name for name, model in SECTIONS.items() if key in model.model_fields]
        home = homes[0] if homes else None
        near = nearest(key, fields)
        fix = meant(f"[[{near}]]" if near in LISTS else f"[{near}]" if near in SECTIONS else near) if near else ""
        inner = _inner(self.section(place[:-1])) if len(place) > 1 else {}
        within = next((name for name, model in inner.items() if key in model.model_fields), None)
        if within is not None:
            fix = f"write it in {within} = {{ {key} = … }}"
        elif len(place) > 1 and key in Config.model_fields and key not in SECTIONS and key != "channels":
            fix = "it belongs at the top of the file, before the first section"
        elif (len(place) > 1 and (home == place[0] or (not fix and len(homes) > 1))) or (not fix and home is None):
            fix = "known here are " + ", ".join(fields)
        elif not fix:
            fix = f"it belongs in {f'[[{home}]]' if home in LISTS else f'[{home}]'}"
        else:
            self.meant[*place[:-1], near] = value
        self.add(place, "is not a key that Santral knows", fix)


def _inner(model: type[Section]) -> Mapping[str, type[Section]]:
    """The keys of a section that are sections themselves, or lists of one kind of section."""
    found = {}
    for key, field in model.model_fields.items():
        parts = [field.annotation, *get_args(field.annotation)]
        kinds = [getattr(part, "__origin__", part) for part in parts]  # what Annotated is about
        sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
        if len(sections) == 1:
            found[key] = sections[0]
    return found
