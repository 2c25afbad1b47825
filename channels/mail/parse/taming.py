"""HTML without what makes a parser slow: tags with a hundred thousand attributes, nested as deep, never closed.

Rule: tags are told apart as the HTML standard does it, so that nothing hides from us what a parser will see. Where a
parser decides by what stands around (scripts, foreign content, form fields), those places are taken out first. Linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

MOST_HTML = 1_000_000  # characters; the largest newsletters have 500,000
_HARMLESS = 4_000  # characters in which no parser loses time, when there are few tags
_MOST_OPEN = 400  # levels; a hundred answers quoted in each other reach 300
_MOST_MISNESTED = 300_000  # tags times formatting left open: how many nodes the parser would add by itself
_MOST_ATTRIBUTES = 200  # of one tag; a parser compares each with all others, and honest tags have twenty
_MOST_BODIES = 10  # html and body tags: a parser adds the attributes of each to the first
_MOST_FOSTERED = 1_000  # pieces between the cells of tables
_MOST_ENTITIES = 100_000  # a long mail in which every letter is one has 50,000

_TABLES = frozenset({"table", "tbody", "thead", "tfoot", "tr", "colgroup"})
_CELLS = frozenset({"td", "th", "caption"})
_VOID = frozenset(re.findall(r"\S+", "area base br col embed hr img input link meta param source track wbr"))
_SELF_CLOSING = _VOID | frozenset(re.findall(r"\S+", "p li td th tr tbody thead tfoot dd dt option html head body"))
_FORMATTING = frozenset(re.findall(r"\S+", "a b big code em font i nobr s small strike strong tt u"))
_RAW = frozenset(re.findall(r"\S+", "style script title textarea xmp iframe noembed noframes"))
_SKIPPED = frozenset({"svg", "math", "select", "template"})  # with everything in them
_ODD = (_RAW - {"style", "script", "title"}) | _SKIPPED
_ODD_TAGS = _ODD | frozenset({"plaintext", "noscript", "frameset", "frame", "option", "optgroup"})

_SPACE = r"[\t\n\f\r ]"
_ATTRIBUTE = (
    rf"[^\t\n\f\r />][^\t\n\f\r />=]*+"
    rf"(?:{_SPACE}*+={_SPACE}*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|(?=>)|[^\t\n\f\r >\"'][^\t\n\f\r >]*+|\Z))?+"
)
_TOKEN = re.compile(
    rf"<!--(?:-?>|.*?(?:--!?>|\Z))"
    rf"|<(?P<name>/?[a-zA-Z][^\t\n\f\r />]*+)(?:[\t\n\f\r /]++|{_ATTRIBUTE})*+>?"
    rf"|<(?:[!?]|/[^a-zA-Z>])[^>]*+>?",
    re.DOTALL,
)
_ONE = re.compile(rf"[\t\n\f\r /]*+{_ATTRIBUTE}")
_NAME = re.compile(r"</?[^\t\n\f\r />]*+")
_ENDS = {name: re.compile(rf"</{name}(?=[\t\n\f\r />]|\Z)", re.IGNORECASE) for name in _RAW | _SKIPPED}
_ENTITY = re.compile(r"&(?:#?\w{1,32}+;)?")
_COMMENT_END = re.compile("--!?>")
_PADDING = re.compile(r"<!--|<(?:(style)|(script))(?=[\t\n\f\r />])", re.IGNORECASE)
_ENCLOSED = re.compile(r"(data:[\w.+-]{1,60}/)[^\"'\s<>()]{200,}+")

_Token = tuple[int, int, str]  # from, to, the name in lower case: "/b" where it closes, "#" for what is no tag


@lru_cache(maxsize=4)
def tamed(html: str) -> str:
    """Return `html` cut to its largest size and without the tags that would make a parser explode or nest too deep."""
    html = unpadded(html)[:MOST_HTML]
    if html.count("&") > _MOST_ENTITIES:
        *few, rest = html.split("&", _MOST_ENTITIES)
        html = "&".join(few) + _ENTITY.sub(" ", f"&{rest}")
    if len(html) < _HARMLESS and html.count("<") < _MOST_OPEN:
        return html
    found = list(_tokens(html))
    is_odd = any(name.lstrip("/") in _ODD_TAGS or (name == "#script" and "<!--" in html[a:b]) for a, b, name in found)
    changes = dict(_heavy(html, found))
    if is_odd:
        changes |= dict(_unclear(html, found))
    if _fostered(html, found) > _MOST_FOSTERED:
        changes |= {token: " " for token in found if token[2].lstrip("/") in _TABLES | _CELLS}
    kept = [token for token in found if token not in changes]
    worst, deep = _levels(kept, frozenset())
    if worst * len(found) > _MOST_MISNESTED and worst > 12:
        changes |= {token: "" for token in kept if token[2].lstrip("/") in _FORMATTING}
        _, deep = _levels(kept, _FORMATTING)
    changes |= dict.fromkeys(deep, "")
    if not changes:
        return html
    pieces, at = [], 0
    for (start, end, _), instead in sorted(changes.items()):
        pieces += [html[at:start], instead]
        at = end
    return "".join([*pieces, html[at:]])


def unpadded(html: str) -> str:
    """Return HTML that is too large without what nobody sees: styles, scripts, comments, enclosed data."""
    if len(html) <= MOST_HTML:
        return html
    pieces, at = [], 0
    while found := _PADDING.search(html, at):
        pieces.append(html[at : found.start()])
        end = _ENDS["style"] if found[1] else _ENDS["script"] if found[2] else _COMMENT_END
        closed = end.search(html, found.start() + (2 if end is _COMMENT_END else 0))
        if closed is None:
            at = len(html)
            break
        at = closed.end() if end is _COMMENT_END else html.find(">", closed.end()) + 1 or len(html)
    return _ENCLOSED.sub(r"\1", "".join([*pieces, html[at:]]))


def _tokens(html: str) -> Iterator[_Token]:
    """Yield tags, comments, and the contents of elements that hold no tags, in order."""
    at = 0
    endless: set[str] = set()  # is closed nowhere behind: looking again and again would be quadratic
    while found := _TOKEN.search(html, at):
        start, at = found.span()
        name = found["name"]
        if name is None:
            yield start, at, "#"
            continue
        name = name[:40].lower()
        yield start, at, name
        if name in _ENDS and name not in endless and not (name in _SKIPPED and found[0].endswith("/>")):
            end = _ENDS[name].search(html, at)
            if end is None and name in _SKIPPED:
                endless.add(name)
            else:
                stop = end.start() if end else len(html)
                yield at, stop, f"#{name}"
                at = stop


def _heavy(html: str, found: Iterable[_Token]) -> Iterator[tuple[_Token, str]]:
    """What to write instead of tags with too many attributes."""
    bodies = 0
    for token in found:
        start, end, name = token
        bodies += name in ("html", "body")
        if name in ("html", "body") and bodies > _MOST_BODIES:
            yield token, ""
        elif end - start > 2 * _MOST_ATTRIBUTES and name[0] != "#":
            named = _NAME.match(html, start)
            begin = named.end() if named else start
            most = list(islice(_ONE.finditer(html, begin, end), _MOST_ATTRIBUTES + 1))
            if len(most) > _MOST_ATTRIBUTES:
                yield token, f"{html[start : most[-2].end()]}>"


def _fostered(html: str, found: Iterable[_Token]) -> int:
    """Tell how much stands in tables outside of their cells: a parser moves each piece before the table."""
    count, last, is_between = 0, 0, False
    for start, end, name in found:
        bare = name.lstrip("/")
        count += is_between and not html[last:start].isspace() and last < start
        if bare in _TABLES:
            is_between = name != "/table"
        elif bare in _CELLS:
            is_between = name[0] == "/"
        else:
            count += is_between and name[0] not in "/#"
        last = end
    return count


def _unclear(html: str, found: Iterable[_Token]) -> Iterator[tuple[_Token, str]]:
    """What to write instead of everything that a parser reads in one way here and in another way there."""
    for token in found:
        start, end, name = token
        if name in ("#textarea", "#xmp"):
            yield token, html[start:end].replace("<", "&lt;")
        elif name[0] == "#" or name.lstrip("/") in _ODD_TAGS | _RAW:
            yield token, ""


def _levels(found: Iterable[_Token], without: frozenset[str]) -> tuple[int, list[_Token]]:
    """Tell how many formatting tags are open at most, and which tags open one level too many."""
    open_tags: dict[str, int] = {}
    level = formatting = worst = 0
    deep: list[_Token] = []
    for token in found:
        name = token[2]
        if name in _SELF_CLOSING or name[0] == "#":
            continue
        bare = name.lstrip("/")
        if bare in without:
            continue
        if name[0] == "/":
            if open_tags.get(bare):
                open_tags[bare] -= 1
                level -= 1
                formatting -= bare in _FORMATTING
        elif level >= _MOST_OPEN:
            deep.append(token)
        else:
            open_tags[name] = open_tags.get(name, 0) + 1
            level += 1
            formatting += name in _FORMATTING
            worst = max(worst, formatting)
    return worst, deep
