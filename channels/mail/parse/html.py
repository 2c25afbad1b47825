"""HTML of a mail as plain text, and as HTML that is safe to show.

Rule: both are bounded and linear. `tamed` comes first: a few kilobytes of never closed tags or of attributes keep any
HTML parser busy for minutes, and no honest mail has them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from html import escape, unescape
from urllib.parse import unquote

import nh3
from selectolax.lexbor import LexborHTMLParser, LexborNode

from channels.mail.parse import charsets
from channels.mail.parse.taming import MOST_HTML as MOST_HTML
from channels.mail.parse.taming import tamed as tamed
from channels.mail.parse.taming import unpadded as unpadded
from channels.mail.values import MOST_TEXT, File

# --- facts

_MOST_QUOTED = 20  # levels of quotes that are drawn
_MOST_URL = 500
_MOST_NODES = 150_000  # that are walked: half a second; the largest newsletters have 20,000

_DROPPED = frozenset(
    {"style", "script", "head", "title", "template", "svg", "math", "select", "object", "iframe", "audio"}
)
_DROPPED_TOO = frozenset({"video", "canvas", "map", "datalist", "noframes", "applet", "colgroup"})
_BLOCKS = frozenset(
    re.findall(
        r"\S+",
        """address article aside body caption center dd details dialog dir div dl dt fieldset figcaption figure footer
        form header hgroup legend li main menu nav ol section summary table tbody tfoot thead tr ul""",
    )
)
_LISTS = frozenset({"ul", "ol", "menu", "dir"})
_PARAGRAPHS = frozenset(re.findall(r"\S+", "p h1 h2 h3 h4 h5 h6 pre blockquote dl"))
_GAPS = re.compile(r"\n{3,}")  # Outlook and others write an empty paragraph for each empty line
_HIDDEN = re.compile(
    r"display\s{0,9}:\s{0,9}none|mso-hide\s{0,9}:\s{0,9}all|visibility\s{0,9}:\s{0,9}hidden", re.IGNORECASE
)
_INDENTED = re.compile(r"border\s{0,9}:\s{0,9}(?:none|0)", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\r\n\f\xa0\u200b\ufeff]+")
_FILE_LIKE = re.compile(r"\.(?:png|jpe?g|gif|webp|bmp|svg|heic|tiff?)$", re.IGNORECASE)


# --- text


@lru_cache(maxsize=4)
def to_text(html: str) -> str:
    """Return what a reader of `html` sees, as lines: lists with "- ", quotes with "> ", links with their address."""
    text = _Text()
    root = LexborHTMLParser(tamed(html)).root
    if root is not None:
        text.walk(root)
    return _GAPS.sub("\n\n", charsets.clean(charsets.repaired(text.whole())))


class _Text:
    """The lines that a walk over the nodes leaves behind."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line: list[str] = []  # pieces of the line that is being written
        self.said: list[str] = []  # every piece so far, to know what a link's text was
        self.size = 0
        self.quoted = 0
        self.pre = 0
        self.lists: list[int] = []  # the next number of each open list, -1 for bullets
        self.marker = ""
        self.marked = False  # the line begins with the marker of its list item
        self.spaced = False  # a line of nothing but a hard space is an empty line that somebody wants
        self.cells: list[int] = []
        self.links: list[tuple[str, int]] = []

    def walk(self, root: LexborNode) -> None:
        """Enter and leave every node without recursion, until there is more text than anybody looks at."""
        waiting: list[tuple[LexborNode, bool]] = [(root, False)]
        walked = 0
        while waiting and self.size < MOST_TEXT and walked < 2 * _MOST_NODES:
            node, leaving = waiting.pop()
            walked += 1
            if leaving:
                self.leave(node, node.tag or "")
            elif node.is_text_node:
                self.words(node.text_content or "")
            elif node.is_element_node or node.is_document_node:
                if self.enter(node, node.tag or ""):
                    continue
                waiting.append((node, True))
                child = node.last_child
                while child is not None:
                    waiting.append((child, False))
                    child = child.prev
        self.end_line()

    def whole(self) -> str:
        lines = [line.rstrip() for line in self.lines]
        while lines and not lines[-1].strip("> "):
            lines.pop()
        first = next((place for place, line in enumerate(lines) if line.strip("> ")), 0)
        return "\n".join(lines[first:])[:MOST_TEXT]

    # pieces

    def words(self, text: str) -> None:
        if self.pre:
            for number, line in enumerate(text.replace("\r\n", "\n").split("\n")):
                if number:
                    self.end_line(keep_empty=True)
                if line:
                    self.put(line)
            return
        self.spaced = self.spaced or ("\xa0" in text and not text.strip() and not self.line)
        text = _SPACES.sub(" ", text)
        if not self.line or self.line[-1].endswith(" "):
            text = text.lstrip(" ")
        if text:
            self.put(text)

    def put(self, text: str) -> None:
        if not self.line and self.marker:
            self.line.append(self.marker)
            self.marker, self.marked = "", True
        self.line.append(text)
        self.said.append(text)
        self.size += len(text)

    def end_line(self, keep_empty: bool = False) -> None:
        text = "".join(self.line) if self.pre else "".join(self.line).rstrip(" ")
        marked, spaced = self.marked, self.spaced
        self.line, self.marked, self.spaced = [], False, False
        prefix = "> " * min(self.quoted, _MOST_QUOTED)
        if text:
            levels = 0 if self.pre else min(len(self.lists) - marked, 8)
            self.lines.append(prefix + "  " * levels + text)
        elif keep_empty or (spaced and self.lines and self.lines[-1].strip("> ")):
            self.lines.append(prefix)
        else:
            return
        self.size += len(self.lines[-1]) + 1

    def blank(self) -> None:
        """A paragraph's margin: one empty line, never two, and none at the top."""
        self.end_line()
        prefix = "> " * min(self.quoted, _MOST_QUOTED)
        if self.lines and self.lines[-1].strip("> "):
            self.lines.append(prefix)
        elif self.lines and len(self.lines[-1]) > len(prefix):
            self.lines[-1] = prefix  # a quote ended here: the empty line is outside of it

    # nodes

    def enter(self, node: LexborNode, tag: str) -> bool:
        """Begin a node. True: it and all in it is skipped."""
        if tag in _DROPPED or tag in _DROPPED_TOO or tag == "-doctype":
            return True
        if tag == "br":
            self.end_line(keep_empty=True)
            return True
        attributes = node.attributes if tag not in ("html", "body", "-document", "-undef") else {}
        if attributes and ("hidden" in attributes or _HIDDEN.search((attributes.get("style") or "")[:2000])):
            return True
        if tag == "img":
            self.image(attributes)
            return True
        if tag == "hr":
            self.end_line()
            self.lines.append("> " * min(self.quoted, _MOST_QUOTED) + "_" * 32)
            return True
        self.begin(tag, attributes)
        return False

    def begin(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag == "a":
            self.links.append(((attributes.get("href") or "").strip(), len(self.said)))
        elif tag in ("td", "th"):
            if self.cells and self.cells[-1] and self.line:
                while self.line and not (last := self.line.pop().rstrip()):
                    pass
                self.line += [last, " " if last.endswith((":", "：", "|")) else " | "]
            if self.cells:
                self.cells[-1] += 1
        elif tag in _PARAGRAPHS and not _is_tight(tag, attributes):
            self.blank()
        elif tag in _BLOCKS or tag in _PARAGRAPHS:
            self.end_line()
        if tag in _LISTS:
            if not self.lists:
                self.blank()
            start = (attributes.get("start") or "1").strip()
            self.lists.append(
                (int(start) if start.isascii() and start.isdigit() and len(start) < 6 else 1) if tag == "ol" else -1
            )
        elif tag == "li":
            self.marker = self.bullet()
        elif tag == "tr":
            self.cells.append(0)
        elif tag == "pre":
            self.pre += 1
        elif tag == "blockquote" and not _is_indented(attributes):
            self.quoted += 1

    def leave(self, node: LexborNode, tag: str) -> None:
        if tag == "a":
            self.link()
            return
        if tag in _BLOCKS or tag in _PARAGRAPHS:
            self.end_line()
        if tag in _LISTS and self.lists:
            self.lists.pop()
            if not self.lists:
                self.blank()
        elif tag == "li":
            self.marker = ""
        elif tag == "tr" and self.cells:
            self.cells.pop()
        elif tag == "pre":
            self.pre = max(0, self.pre - 1)
        elif tag == "blockquote" and not _is_indented(node.attributes):
            self.quoted = max(0, self.quoted - 1)
        if tag in _PARAGRAPHS and not _is_tight(tag, node.attributes):
            self.blank()

    def bullet(self) -> str:
        if not self.lists or self.lists[-1] < 0:
            return "- "
        self.lists[-1] += 1
        return f"{self.lists[-1] - 1}. "

    def image(self, attributes: dict[str, str | None]) -> None:
        """The words of a picture: those of an emoji or a remote one. Enclosed pictures are shown as what they are."""
        alt = _SPACES.sub(" ", attributes.get("alt") or "").strip()
        if not alt or len(alt) > 100 or _FILE_LIKE.search(alt):
            return
        if not any(letter.isalnum() for letter in alt):
            self.words(alt)
        elif not (attributes.get("src") or "").strip().lower().startswith(("cid:", "data:")):
            self.words(f"[{alt}]")

    def link(self) -> None:
        if not self.links:
            return
        url, start = self.links.pop()
        text = "".join(self.said[start : start + _MOST_URL]).strip()
        if not text or len(url) > _MOST_URL or not url.lower().startswith(("http://", "https://", "mailto:", "tel:")):
            return
        if _bare(url) != _bare(text[: 2 * _MOST_URL]):
            shown = _SPACES.sub("", unquote(url[7:].partition("?")[0]) if url.lower().startswith("mailto:") else url)
            at_end = "".join(self.line[-1:]).endswith(" ")
            self.put(f"({shown})" if at_end else f" ({shown})")


def _bare(text: str) -> str:
    """A link as people write it: `https://www.example.com/` is `example.com`."""
    text = "".join(unquote(text).lower().split())
    for start in ("mailto:", "tel:", "https://", "http://", "www."):
        text = text.removeprefix(start)
    return text.partition("?")[0].rstrip("/") if "@" in text else text.rstrip("/")


def _is_tight(tag: str, attributes: dict[str, str | None]) -> bool:
    """A paragraph without a margin: Outlook writes every line as one."""
    if tag != "p":
        return False
    style = "".join((attributes.get("style") or "")[:500].lower().split())
    return "msonormal" in (attributes.get("class") or "").lower() or "margin:0" in style or "margin-bottom:0" in style


def _is_indented(attributes: dict[str, str | None]) -> bool:
    """Gmail's indent button makes a blockquote too: without a border, a class or a source."""
    return not (attributes.get("class") or attributes.get("type") or attributes.get("cite")) and bool(
        _INDENTED.search((attributes.get("style") or "")[:500])
    )


# --- pictures

_MOST_PICTURES = 100
_QUOTE = re.compile("[\"']")


def pictures(html: str) -> tuple[str, tuple[File, ...]]:
    """Take the pictures that are written into the HTML itself (`data:`) out of it, as files that it refers to."""
    if "data:image/" not in html:
        return html, ()
    pieces: list[str] = []
    files: list[File] = []
    at = 0
    while (
        len(files) < _MOST_PICTURES
        and len(pieces) < 100 * _MOST_PICTURES
        and (start := html.find("data:image/", at)) >= 0
    ):
        quote = _QUOTE.search(html, start)
        if quote is None:
            break
        end = quote.start()
        kind, comma, data = html[start + 5 : end].partition(",")
        taken = _picture(kind, unquote(data) if comma else "", len(files))
        pieces.append(html[at:start])
        pieces.append(f"cid:{taken.content_id}" if taken else "")
        files += [taken] if taken else []
        at = end
    return "".join([*pieces, html[at:]]), tuple(files)


def _picture(kind: str, data: str, number: int) -> File | None:
    media_type = kind.partition(";")[0].lower()
    if not kind.lower().endswith("base64") or not re.fullmatch(r"image/[a-z0-9.+-]{1,40}", media_type):
        return None
    try:
        content = base64.b64decode(data.encode("ascii", "ignore"))
    except (binascii.Error, ValueError):
        return None
    if not content:
        return None
    name = f"{hashlib.sha256(content).hexdigest()[:16]}.{number}@picture.invalid"
    return File(media_type=media_type, filename="", data=content, inline=True, content_id=name)


# --- clean

_CLEANER = nh3.Cleaner(
    tags=set(
        re.findall(
            r"\S+",
            """a abbr address b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt em
            figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strike strong sub
            sup table tbody td tfoot th thead tr tt u ul var wbr""",
        )
    ),
    clean_content_tags={"script", "style", "head", "title", "template", "select", "object", "iframe", "svg", "math"},
    attributes={
        "*": {"dir", "lang", "title"},
        "a": {"href"},
        "img": {"src", "alt", "width", "height"},
        "td": {"colspan", "rowspan"},
        "th": {"colspan", "rowspan"},
        "ol": {"start", "type"},
        "blockquote": {"type"},
    },
    url_schemes={"http", "https", "mailto", "tel", "cid"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
    strip_comments=True,
)
_MOST_TAGS = 100_000  # the largest newsletters have 20,000; some shapes cost the square of their number
_IMAGE = re.compile(r"<img((?: [a-z-]+(?:=\"[^\"]*\")?)*)>")
_ATTRIBUTE = re.compile(r" ([a-z-]+)=\"([^\"]*)\"")


def clean(html: str, files: Sequence[File] = ()) -> str:
    """Return HTML without scripts, styles, forms, and anything that would be loaded from elsewhere.

    Pictures stay when they are among `files` (as `cid:` and the file's content id); of others the words stay.
    Of HTML with a hundred thousand tags only the text is left.
    """
    known = {file.content_id.lower() for file in files if file.content_id}
    if html.count("<") > _MOST_TAGS:
        return escape(to_text(html), quote=False).replace("\n", "<br>")
    whole = _CLEANER.clean(charsets.clean(tamed(html)))
    return _IMAGE.sub(lambda found: _kept(found, known), whole)


def _kept(image: re.Match[str], known: set[str]) -> str:
    attributes = dict(_ATTRIBUTE.findall(image[1]))
    source = unescape(attributes.get("src", ""))
    name = source[4:] if source[:4].lower() == "cid:" else ""
    if name and (name.lower() in known or unquote(name).lower() in known):
        return image[0]
    return escape(unescape(attributes.get("alt", "")).strip(), quote=False)
