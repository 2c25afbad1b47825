"""Reads the files of replies, and tells everything that is wrong with them: file, line, name, key, what, fix."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError
from jinja2 import TemplateError, TemplateSyntaxError, nodes

from templates import toml_lines, toml_words
from templates.filling import environment, fill, left_over
from templates.reply import (
    APPROVED,
    DEEPEST,
    FILTERS,
    KEYS,
    LONGEST_NAME,
    LONGEST_TEXT,
    LONGEST_TITLE,
    LOOKED_UP,
    NAME,
    OURS,
    SURE,
    TEXTS,
    VARIABLES,
    BadReplies,
    Limit,
    Problem,
    Reply,
    Texts,
    base,
    normal,
)
from templates.suggesting import suggest
from templates.values import fits_segment, shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A TOML file, and where its keys stand: (section, key) to the line of the key and that of its long text.

    The second line is 0 unless the text stands in three quotes.
    """

    file: str
    table: Mapping[str, Any]
    places: Mapping[tuple[str, str], tuple[int, int]]

    def line(self, section: str, key: str = "") -> int:
        return (self.places.get((section, key)) or self.places.get((section, "")) or (0, 0))[0]

    def problem(self, name: str, key: str, what: str, fix: str = "", *, within: int = 0) -> Problem:
        """Say what is wrong with a key. `within` is the line of its text, from 1; 0: the key itself."""
        _, begins = self.places.get((name, key), (0, 0))
        line = begins + within - 1 if begins and within else self.line(name, key)
        return Problem(file=self.file, line=line, name=name, key=key, what=what, fix=fix)


def read(path: Path) -> Source:
    """Read a TOML file; the n-th `[[name]]` is the section `name[n]`. Raises `BadReplies`."""
    try:
        written = toml_lines.read(path.read_bytes().decode("utf-8-sig"))
        return Source(file=str(path), table=written.content, places=_places(written))
    except OSError as error:
        what, fix, line = f"the file cannot be read ({error.strerror})", "mend its permissions", 0
    except UnicodeDecodeError:
        what, fix, line = "the file is not UTF-8 text", "save it as UTF-8", 0
    except toml_lines.BadToml as bad:
        (what, fix), line = toml_words.explained(bad.said), bad.line
    raise BadReplies([Problem(file=str(path), line=line, what=what, fix=fix)])


def _places(written: toml_lines.Written) -> dict[tuple[str, str], tuple[int, int]]:
    """Where everything stands as problems name it. A table is a section, and a key of the whole file as well."""
    places: dict[tuple[str, str], tuple[int, int]] = {}
    for place, line in written.lines.items():
        match place:
            case (str(name),):
                names = [("", name), (name, "")]
            case (str(name), int(position)):
                names = [(f"{name}[{position + 1}]", "")]
            case (str(name), str(key)):
                names = [(name, key)]
            case (str(name), int(position), str(key)):
                names = [(f"{name}[{position + 1}]", key)]
            case _:
                continue
        places |= dict.fromkeys(names, (line, written.texts.get(place, 0)))
    return places


@lru_cache(maxsize=1)
def shipped() -> Texts:
    """Our own texts. They are checked by the tests, so that a start does not pay for it."""
    return {
        path.stem: {
            name: _reply(name, path.stem, table)
            for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items()
        }
        for path in sorted(OURS.glob("*.toml"))
    }


def files_of(folder: Path) -> tuple[dict[str, Source], list[Problem]]:
    """The files of a shop's folder by language, and what is wrong with them as files."""
    found: dict[str, Source] = {}
    problems: list[Problem] = []
    if not folder.is_dir():
        return found, [Problem(file=str(folder), what="there is no such folder", fix="make it, or mend `templates`")]
    for path in sorted(folder.glob("*.toml")):
        language = normal(path.stem)
        if path.name == APPROVED:
            continue
        if not is_language(language):
            fix = "name it by its language, like tr.toml or pt-BR.toml"
            problems.append(Problem(file=str(path), what=f'"{path.stem}" is not the code of a language', fix=fix))
        elif language in found:
            what = f"the same language as {Path(found[language].file).name}"
            problems.append(Problem(file=str(path), what=what, fix="put the two files into one"))
        else:
            try:
                found[language] = read(path)
            except BadReplies as bad:
                problems += bad.problems
    return found, problems


def is_language(language: str) -> bool:
    try:
        return bool(Locale.parse(language, sep="-"))
    except (UnknownLocaleError, ValueError):
        return False


def _reply(name: str, language: str, table: Mapping[str, Any]) -> Reply:
    """A reply of what is written right in the table."""
    given = {key: table[key] for key in ("title", *TEXTS) if isinstance(table.get(key), str)}
    tags = table.get("tags")
    right = tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
    return Reply(name=name, language=language, tags=right, **given)


# --- checking


def read_replies(
    source: Source, language: str, limits: Mapping[str, Limit], tags: Collection[str] | None
) -> tuple[dict[str, Reply], list[Problem]]:
    found: dict[str, Reply] = {}
    problems: list[Problem] = []
    for name, table in source.table.items():
        if not isinstance(table, dict):
            fix = "write [name] on a line of its own and the keys of the reply below"
            problems.append(source.problem("", name, "stands outside a reply", fix))
            continue
        found[name] = _reply(name, language, table)
        problems += _check_keys(source, name, table)
        problems += _check_tags(source, found[name], tags)
        wrong = [problem for key in TEXTS for problem in _check_text(source, found[name], key)]
        problems += wrong or _check_limits(source, found[name], limits)
    return found, problems


def _check_keys(source: Source, name: str, table: Mapping[str, Any]) -> Iterator[Problem]:
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        fix = f"use a-z, 0-9 and single - between them, {LONGEST_NAME} at most"
        yield source.problem(name, "", "is not the name of a reply", fix)
    elif name.startswith("acknowledge-") and name not in SURE:
        fix = suggest(name, SURE) or "there are " + " and ".join(SURE)
        yield source.problem(name, "", "is not an acknowledgement that Santral sends", fix)
    for key, value in table.items():
        if key not in KEYS:
            fix = suggest(key, KEYS) or "known here are " + ", ".join(KEYS)
            yield source.problem(name, key, "is not a key that Santral knows", fix)
        elif key == "tags":
            if not (isinstance(value, list) and all(isinstance(tag, str) and NAME.fullmatch(tag) for tag in value)):
                yield source.problem(name, key, "must be a list of tags", 'write tags = ["order-status"]')
        elif not isinstance(value, str):
            yield source.problem(name, key, "must be text in quotes", f'write {key} = "…"')
        elif not shows(value):
            yield source.problem(name, key, "is empty", "write the text, or remove the key")
        elif key == "shorter" and name not in SURE:
            what = "is read in an acknowledgement only"
            yield source.problem(name, key, what, "write it as `short`, or remove the key")
        elif key == "subject" and len(value.splitlines()) > 1:
            yield source.problem(name, key, "has more than one line", "write it on one")
        elif key == "title" and (len(value) > LONGEST_TITLE or re.search(r"\n|\{[{%#]", value)):
            fix = f"one line of {LONGEST_TITLE} characters at most, without variables"
            yield source.problem(name, key, "cannot be shown in a menu", fix)
    for key in ("title", "text"):
        if key not in table:
            yield source.problem(name, key, "is missing", f'add {key} = "…"')


def _check_tags(source: Source, reply: Reply, known: Collection[str] | None) -> Iterator[Problem]:
    for tag in dict.fromkeys(reply.tags):
        if NAME.fullmatch(tag) and known is not None and tag not in known:
            fix = suggest(tag, known) or "add it to tags at the top of the rules file, or leave it out"
            yield source.problem(reply.name, "tags", f"there is no tag {tag}", fix)
        elif reply.tags.count(tag) > 1:
            yield source.problem(reply.name, "tags", f"{tag} stands there twice", "take one of them out")


def _check_text(source: Source, reply: Reply, key: str) -> Iterator[Problem]:
    written: str = getattr(reply, key)
    if len(written) > LONGEST_TEXT:
        yield source.problem(reply.name, key, f"is longer than {LONGEST_TEXT} characters", "shorten it")
        return
    if not shows(written):
        return
    try:
        tree = environment("").parse(written)
        refused = list(dict.fromkeys(_refusals(tree)))
    except TemplateSyntaxError as wrong:
        refused = [(wrong.lineno, f"Jinja cannot read it: {(wrong.message or '').rstrip('.')}", _ALLOWED)]
    except RecursionError:
        refused = [(1, *_TOO_DEEP)]
    for line, what, fix in refused:
        yield source.problem(reply.name, key, what, fix, within=line)
    if not refused:
        used = {node.name for node in tree.find_all(nodes.Name)}
        for what, fix in _trials(reply, written, used):
            yield source.problem(reply.name, key, what, fix)


_REFUSED: Mapping[type[nodes.Node], str] = {
    nodes.Getattr: "looks inside a value",
    nodes.Getitem: "looks inside a value",
    nodes.Call: "calls something",
    nodes.For: "has a loop",
    nodes.Include: "brings in another text",
    nodes.Import: "brings in another text",
    nodes.FromImport: "brings in another text",
    nodes.Extends: "brings in another text",
    nodes.Assign: "sets a variable",
    nodes.AssignBlock: "sets a variable",
    nodes.Compare: "compares values",
    nodes.Test: 'uses "is"',
}
_PLAIN = (nodes.Template, nodes.Output, nodes.If, nodes.And, nodes.Or, nodes.Not)
_NO_BRACES = "fill a variable with {{ name }}, and write no braces otherwise"
_TOO_DEEP = ("has too many parts inside parts", "make it simpler")
_ALLOWED = "a text may have {{ name }}, {% if name %}…{% else %}…{% endif %} and the filters " + ", ".join(FILTERS)


def _refusals(tree: nodes.Template) -> Iterator[tuple[int, str, str]]:
    """What a text must not have, with its line in the text, and the fix."""
    waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        refused = _refusal(node) if depth <= DEEPEST else _TOO_DEEP
        if refused:
            yield node.lineno, *refused
        else:
            waiting += [(child, depth + 1) for child in node.iter_child_nodes()]


def _refusal(node: nodes.Node) -> tuple[str, str] | None:
    if isinstance(node, nodes.Name):
        if node.name in VARIABLES:
            return None
        return f"{node.name} is not a variable", suggest(node.name, VARIABLES) or "known are " + ", ".join(VARIABLES)
    if isinstance(node, nodes.Filter):
        if node.name not in FILTERS:
            return f"{node.name} is not a filter", suggest(node.name, FILTERS) or "known are " + ", ".join(FILTERS)
        if len(node.args) != (node.name == "default") or node.kwargs or node.dyn_args or node.dyn_kwargs:
            return f"the filter {node.name} is not written so", 'write {{ customer|default("…") }} or {{ shop|upper }}'
        return None
    if isinstance(node, nodes.CondExpr):
        return None if node.expr2 is not None else ("has an if without else inside {{ }}", 'add else "…"')
    if isinstance(node, (nodes.TemplateData, nodes.Const)):
        written = node.data if isinstance(node, nodes.TemplateData) else str(node.value)
        braces = left_over(written)
        return (f"has {braces} in it, which a customer would read", _NO_BRACES) if braces else None
    if isinstance(node, _PLAIN):
        return None
    return f"it {_REFUSED.get(type(node), 'does more than a reply may')}", _ALLOWED


def _trials(reply: Reply, written: str, used: Set[str]) -> Iterator[tuple[str, str]]:
    """Fill a text with every choice of known and unknown values, and say what would go wrong with a customer."""
    sure = SURE.get(reply.name, VARIABLES.keys() - LOOKED_UP)
    unsure = sorted(used - SURE.get(reply.name, frozenset({"shop", "agent"})))
    unguarded: set[str] = set()
    braces = ""
    empty: tuple[str, ...] | None = None
    try:
        for count in range(len(unsure) + 1):
            for unknown in combinations(unsure, count):
                made, missing = fill(written, reply.language, _sample(used - set(unknown)))
                unguarded |= missing - sure
                braces = braces or left_over(made)
                empty = unknown if empty is None and not shows(made) and not missing else empty
    except (TemplateError, SyntaxError, RecursionError, TypeError, ValueError) as error:
        yield f"cannot be filled: {str(error).rstrip('.')}", _ALLOWED
        return
    if braces:
        yield f"comes to {braces}, which a customer would read", _NO_BRACES
    for name in sorted(unguarded):
        what = f"{name} is not always known, and the text has to do without it then"
        yield what, f"put it between {{% if {name} %}} and {{% endif %}}"
    if empty is not None:
        what = f"says nothing when {' and '.join(empty)} is not known" if empty else "says nothing"
        yield what, "add a text after {% else %}" if empty else "write a text"


def _sample(known: Iterable[str]) -> dict[str, str]:
    return {name: "x" * VARIABLES[name] for name in known}


def _check_limits(source: Source, reply: Reply, limits: Mapping[str, Limit]) -> Iterator[Problem]:
    """What does not fit a channel even in its shorter form, every value as long as it may be."""
    longest = {key: fill(getattr(reply, key), reply.language, _sample(VARIABLES))[0] for key in TEXTS}
    bare = {"opening": "x" * 45, "wait": "x" * 20}  # the longest moment in words without its offset; "45 минут"
    for channel, limit in limits.items():
        fits = (limit.measure(longest[key]) <= limit.most for key in ("text", "short") if longest[key])
        if longest["text"] and not any(fits):
            what = f"is too long for the channel {channel}, which takes {limit.most}"
            yield source.problem(reply.name, "text", what, "shorten it, or add a `short` that fits")
        if limit.segment and reply.name in SURE:
            filled = (fill(getattr(reply, key) or reply.text, reply.language, bare) for key in ("short", "shorter"))
            if not any(fits_segment(made) and not missing for made, missing in filled):
                what = f"does not fit one SMS, as the channel {channel} needs, not even without the names"
                fix = "add a `short` or `shorter` that can do without them: 70 characters, or 160 of plain Latin"
                yield source.problem(reply.name, "", what, fix)


def missing(sources: Mapping[str, Source], own: Texts, texts: Texts, first: str) -> Iterator[Problem]:
    """Replies of the shop that a customer with another language would not get."""
    known = {**texts.get(base(first), {}), **texts.get(first, {})}
    for language, replies in own.items():
        for name in sorted(replies.keys() - known.keys()):
            fix = f"add [{name}] to {first}.toml"
            yield sources[language].problem(name, "", "is missing in the shop's first language", fix)


def same_titles(source: Source, own: Texts, texts: Mapping[str, Reply]) -> Iterator[Problem]:
    """Titles in one language by which an agent could not tell two replies apart."""
    seen: dict[str, Reply] = {}
    for reply in texts.values():
        other = seen.setdefault(reply.title.strip().casefold(), reply)
        if other is not reply and reply.title.strip():
            at = reply if reply in own[reply.language].values() else other
            twin = other if at is reply else reply
            yield source.problem(at.name, "title", f"is also the title of {twin.name}", "choose another")
