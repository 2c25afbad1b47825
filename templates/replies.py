"""Reply texts by language (acknowledgements, canned replies): checked when loaded, filled when sent.

Rule: an unfilled variable never reaches a customer, and a value is never read as a template. Our texts are the files in
`templates/replies/`, one a language; a shop's own folder adds to them. `docs/templates.md` says how to write them.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError
from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import SandboxedEnvironment

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

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€\f")  # two septets each: 3GPP TS 23.038
FSI, PDI, RLM = "\u2068", "\u2069", "\u200f"  # first strong isolate, its end, right-to-left mark


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """Every reply in every language. Made by `load`; it never changes, so a reload that fails leaves it in force."""

    shop: str
    first: str
    texts: Texts = field(repr=False)
    ours: Texts = field(repr=False)  # the same without the shop's own

    @classmethod
    def load(
        cls,
        languages: Sequence[str],
        folder: Path | None = None,
        *,
        shop: str,
        limits: Mapping[str, Limit] | None = None,
        tags: Collection[str] | None = None,
    ) -> Replies:
        """Read the texts that ship with Santral and the shop's own in `folder`, which win.

        `languages` are the shop's; the first is what others fall back to. `limits` are what its channels take, by the
        channel's name: a text of the shop has to fit each of them, in full or as `short`. `tags` are all there are;
        None leaves those of the shop's texts unchecked. Raises `BadReplies`.
        """
        first = normal(languages[0]) if languages else LAST_RESORT
        ours = _shipped()
        if folder is None:
            return cls(shop=shop, first=first, texts=ours, ours=ours)
        sources, problems = _sources(folder)
        own = {}
        for language, source in sources.items():
            own[language], found = _read_replies(source, language, limits or {}, tags)
            problems += found
        texts = {language: _over(own.get(language, {}), ours.get(language, {})) for language in {**own, **ours}}
        problems += _missing(sources, own, texts, first)
        problems += (problem for language in own for problem in _same_titles(sources[language], own, texts[language]))
        if problems:
            raise BadReplies(problems)
        return cls(shop=shop, first=first, texts=texts, ours=ours)

    def names(self, tags: Iterable[str] = (), language: str = "") -> tuple[Choice, ...]:
        """List what an agent can pick, in titles of the language; replies for the first tag first, then the next."""
        ranks = {tag: rank for rank, tag in reversed(list(enumerate(tags)))}
        found: dict[str, Reply] = {}
        for spoken in self._order(language):
            found = _over(found, self.texts.get(spoken, {}))
        picked = sorted(
            (reply for name, reply in found.items() if name not in SURE),
            key=lambda reply: min((ranks[tag] for tag in reply.tags if tag in ranks), default=len(ranks)),
        )
        return tuple(Choice(name=reply.name, title=reply.title) for reply in picked)

    def language(self, name: str, language: str) -> str:
        """The language a reply will be in: the one to put `opening` and `wait` into words of. Raises `KeyError`."""
        return self._find(name, language, self.texts).language

    def render(self, name: str, language: str, values: Mapping[str, str], *, short: bool = False) -> Rendered:
        """Fill a reply, the short form if wanted and there is one.

        Values are cleaned; an empty one counts as unknown, the shop's name is known. Raises `KeyError` for an unknown
        name, `Unfilled` for a variable that is used and not known, `ValueError` for a value that is no variable.
        """
        reply = self._find(name, language, self.texts)
        return self._rendered(reply, (short and reply.short) or reply.text, values)

    def acknowledgement(
        self, kind: str, language: str, values: Mapping[str, str], *, segment: bool = False
    ) -> Rendered:
        """Fill the acknowledgement for `"closed"` or `"busy"`, the words of `routing.acknowledge.Kind`.

        With `segment` it fits one SMS segment: the customer's and the shop's name are left out if need be, then shorter
        texts are taken, in the end ours without a moment. Raises as `render` does.
        """
        name = f"acknowledge-{kind}"
        reply, ours = self._find(name, language, self.texts), self._find(name, language, self.ours)
        if not segment:
            return self._rendered(reply, reply.text, values)
        for candidate in (reply, ours) if ours != reply else (reply,):
            for text in dict.fromkeys((candidate.short or candidate.text, candidate.shorter or candidate.text)):
                for left_out in ((), ("customer",), ("customer", "shop")):
                    try:
                        made = self._rendered(candidate, text, values, left_out)
                    except Unfilled:
                        if not left_out:
                            raise
                        continue  # a text of the shop that cannot do without its name
                    if fits_segment(made.text):
                        return made
        return self._rendered(ours, ours.shorter, {}, tuple(VARIABLES))

    def _rendered(self, reply: Reply, text: str, values: Mapping[str, str], left_out: Sequence[str] = ()) -> Rendered:
        given = {name: clean(name, value) for name, value in values.items()}
        given["shop"] = given.get("shop") or clean("shop", self.shop)
        known = {name: isolated(value, reply.language) for name, value in given.items() if name not in left_out}
        (made, missing), (subject, also) = (_fill(written, reply.language, known) for written in (text, reply.subject))
        if missing or also:
            raise Unfilled(missing | also)
        return Rendered(text=made, subject=" ".join(subject.split()), language=reply.language)

    def _find(self, name: str, language: str, texts: Texts) -> Reply:
        for spoken in self._order(language):
            if found := texts.get(spoken, {}).get(name):
                return found
        raise KeyError(name)

    def _order(self, language: str) -> Iterator[str]:
        for spoken in (normal(language), self.first, LAST_RESORT):
            yield from (spoken, _base(spoken))


def fits_segment(text: str) -> bool:
    """Tell whether a text is one SMS segment: 160 characters of the GSM alphabet, or 70 UTF-16 units of anything."""
    if all(sign in _GSM or sign in _GSM_TWICE for sign in text):
        return len(text) + sum(sign in _GSM_TWICE for sign in text) <= 160
    return len(text.encode("utf-16-le", "surrogatepass")) // 2 <= 70


def normal(language: str) -> str:
    """A language's code (BCP 47) as the files are looked up by: `pt_BR` and `pt-BR` are one."""
    return language.replace("_", "-").lower()


def _base(language: str) -> str:
    return language.partition("-")[0]


def _over(first: Mapping[str, Reply], second: Mapping[str, Reply]) -> dict[str, Reply]:
    """Both, where the first wins and comes first."""
    return {**first, **second, **first}


# --- values

_JOINERS = frozenset("\u200c\u200d")  # Persian words and many emoji are held together by these
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # count as letters or signs, and show nothing
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Mn", "Me"))  # a mark over nothing is nothing
_NO_NAME = re.compile(r"://|www\.|[@/\\<>]|\w\.\w\w", re.IGNORECASE)


def shows(text: str) -> bool:
    """Tell whether anything of a text can be seen: spaces, joiners and marks that stand alone cannot."""
    return any(not sign.isspace() and sign not in _BLANK and unicodedata.category(sign) not in _UNSEEN for sign in text)


def clean(name: str, value: str) -> str:
    """Make the value of a variable plain words on one line: no control or direction characters, not too long.

    A customer's name that has no letters, or looks like a link, is no name and becomes "": who fills in a
    form with another person's address must not make us send that person an advertisement. Raises `ValueError` for a
    name that is no variable.
    """
    if name not in VARIABLES:
        raise ValueError(f"{name} is not a variable")
    signs = (" " if sign.isspace() else sign for sign in unicodedata.normalize("NFC", value))
    kept = (sign for sign in signs if sign in _JOINERS or unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co"))
    plain = " ".join("".join(sign for sign in kept if sign not in _BLANK).split()).strip("\u200c\u200d")
    if name == "customer" and (_NO_NAME.search(plain) or not any(sign.isalpha() for sign in plain)):
        return ""
    return _shortened(plain, VARIABLES[name])


def _shortened(plain: str, most: int) -> str:
    if len(plain) <= most:
        return plain
    head, space, _ = plain[:most].rpartition(" ")
    cut = head if space and len(head) > most // 2 else plain[: most - 1]
    while cut and (cut[-1] in _JOINERS or unicodedata.combining(plain[len(cut)])):
        cut = cut[:-1]
    return f"{cut.rstrip()}…"


_PLAIN_NUMBERS = re.compile(r"\d+(?:[:.,/]\d+)*|\d+:\d+(?:[\s,،–-]+\d+:\d+)*")
_ENDS = " ,.;:،"  # belong to the sentence around


def isolated(value: str, language: str) -> str:
    """Keep a value in one piece among words that run the other way (Unicode isolates, UAX 9).

    A number and clock times stay as they are: digits keep their order by themselves, and a span of times is read in the
    direction of the text.
    """
    if not _right_to_left(language):
        return f"{FSI}{value}{PDI}" if any(map(_runs_left, value)) else value
    made: list[str] = []
    foreign: list[str] = []
    for word in [*value.split(" "), ""]:
        if word and not any(map(_runs_left, word)):
            foreign.append(word)
            continue
        run = " ".join(foreign)
        core = run.rstrip(_ENDS)
        if _PLAIN_NUMBERS.fullmatch(core) or not any(sign.isalnum() for sign in core):
            made += [run, word]
        else:
            made += [f"{FSI}{core}{PDI}{run[len(core) :]}", word]
        foreign = []
    return " ".join(part for part in made if part)


def _runs_left(sign: str) -> bool:
    return unicodedata.bidirectional(sign) in ("R", "AL")


@lru_cache(maxsize=64)
def _right_to_left(language: str) -> bool:
    try:
        return Locale.parse(_base(language)).text_direction == "rtl"
    except (UnknownLocaleError, ValueError):
        return False


# --- filling

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


def _fill(written: str, language: str, known: Mapping[str, str]) -> tuple[str, frozenset[str]]:
    """The text, and the variables that are shown in it but not known."""
    if not written:
        return "", frozenset()
    missing: set[str] = set()
    context = {name: known.get(name) or _Blank(name, missing) for name in VARIABLES}
    made = _compiled(written, _base(language)).render(context)
    lines = "\n".join(line.rstrip() for line in made.strip().split("\n"))
    if _right_to_left(language):  # a line that begins with a Latin name is taken for Latin by pages and phones
        lines = re.sub(f"^(?={FSI})", RLM, lines, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", lines), frozenset(missing)


@lru_cache(maxsize=2048)
def _compiled(written: str, language: str) -> Template:
    return _environment(language).from_string(written)


@lru_cache(maxsize=64)
def _environment(language: str) -> SandboxedEnvironment:
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


# --- reading


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


_HEADER = re.compile(r"""\s*(?P<list>\[?)\[\s*["']?(?P<name>[^\]"']+?)["']?\s*\]""")
_KEY = re.compile(r"""\s*["']?(?P<key>[\w-]+)["']?\s*=\s*(?P<quotes>\"{3}|'{3})?""")


def read(path: Path) -> Source:
    """Read a TOML file; the n-th `[[name]]` is the section `name[n]`. Raises `BadReplies`."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return Source(file=str(path), table=tomllib.loads(text), places=_places(text))
    except OSError as error:
        what, fix, line = f"the file cannot be read ({error.strerror})", "mend its permissions", 0
    except UnicodeDecodeError:
        what, fix, line = "the file is not UTF-8 text", "save it as UTF-8", 0
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        said, _, position = str(error).partition(" (at ")
        found = re.match(r"line (\d+)", position)
        line = int(found[1]) if found else len(text.splitlines())
        what, fix = f"this is not TOML: {said}", 'texts of several lines stand between """ and """'
    raise BadReplies([Problem(file=str(path), line=line, what=what, fix=fix)])


def _places(text: str) -> dict[tuple[str, str], tuple[int, int]]:
    places: dict[tuple[str, str], tuple[int, int]] = {}
    section, closing, count = "", "", dict[str, int]()
    for number, line in enumerate(text.split("\n"), start=1):
        if closing:
            closing = "" if closing in line else closing
        elif header := _HEADER.match(line):
            section = header["name"]
            if header["list"]:
                count[section] = count.get(section, 0) + 1
                section = f"{section}[{count[section]}]"
            places.setdefault((section, ""), (number, 0))
        elif key := _KEY.match(line):
            rest, quotes = line[key.end() :].strip(), key["quotes"] or ""
            places.setdefault((section, key["key"]), (number, number + (not rest) if quotes else 0))
            closing = quotes if quotes and quotes not in rest else ""
    return places


@lru_cache(maxsize=1)
def _shipped() -> Texts:
    """Our own texts. They are checked by the tests, so that a start does not pay for it."""
    return {
        path.stem: {name: _reply(name, path.stem, table) for name, table in read(path).table.items()}
        for path in sorted(OURS.glob("*.toml"))
    }


def _sources(folder: Path) -> tuple[dict[str, Source], list[Problem]]:
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


def near(word: str, known: Iterable[str]) -> str:
    """Return "did you mean …?" when one of the known words is near, else nothing."""
    found = get_close_matches(word.lower(), sorted(known), n=1)
    return f"did you mean {found[0]}?" if found else ""


def _read_replies(
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
        fix = near(name, SURE) or "there are " + " and ".join(SURE)
        yield source.problem(name, "", "is not an acknowledgement that Santral sends", fix)
    for key, value in table.items():
        if key not in KEYS:
            fix = near(key, KEYS) or "known here are " + ", ".join(KEYS)
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
            fix = near(tag, known) or "add it to tags at the top of the rules file, or leave it out"
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
        tree = _environment("").parse(written)
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
        return f"{node.name} is not a variable", near(node.name, VARIABLES) or "known are " + ", ".join(VARIABLES)
    if isinstance(node, nodes.Filter):
        if node.name not in FILTERS:
            return f"{node.name} is not a filter", near(node.name, FILTERS) or "known are " + ", ".join(FILTERS)
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
                made, missing = _fill(written, reply.language, _sample(used - set(unknown)))
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
    longest = {key: _fill(getattr(reply, key), reply.language, _sample(VARIABLES))[0] for key in TEXTS}
    bare = {"opening": "x" * 45, "wait": "x" * 20}  # the longest moment in words without its offset; "45 минут"
    for channel, limit in limits.items():
        fits = (limit.measure(longest[key]) <= limit.most for key in ("text", "short") if longest[key])
        if longest["text"] and not any(fits):
            what = f"is too long for the channel {channel}, which takes {limit.most}"
            yield source.problem(reply.name, "text", what, "shorten it, or add a `short` that fits")
        if limit.segment and reply.name in SURE:
            filled = (_fill(getattr(reply, key) or reply.text, reply.language, bare) for key in ("short", "shorter"))
            if not any(fits_segment(made) and not missing for made, missing in filled):
                what = f"does not fit one SMS, as the channel {channel} needs, not even without the names"
                fix = "add a `short` or `shorter` that can do without them: 70 characters, or 160 of plain Latin"
                yield source.problem(reply.name, "", what, fix)


def _missing(sources: Mapping[str, Source], own: Texts, texts: Texts, first: str) -> Iterator[Problem]:
    """Replies of the shop that a customer with another language would not get."""
    known = {**texts.get(_base(first), {}), **texts.get(first, {})}
    for language, replies in own.items():
        for name in sorted(replies.keys() - known.keys()):
            fix = f"add [{name}] to {first}.toml"
            yield sources[language].problem(name, "", "is missing in the shop's first language", fix)


def _same_titles(source: Source, own: Texts, texts: Mapping[str, Reply]) -> Iterator[Problem]:
    """Titles in one language by which an agent could not tell two replies apart."""
    seen: dict[str, Reply] = {}
    for reply in texts.values():
        other = seen.setdefault(reply.title.strip().casefold(), reply)
        if other is not reply and reply.title.strip():
            at = reply if reply in own[reply.language].values() else other
            twin = other if at is reply else reply
            yield source.problem(at.name, "title", f"is also the title of {twin.name}", "choose another")
