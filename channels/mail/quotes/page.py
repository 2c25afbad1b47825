"""What a person wrote in an HTML mail: the quoted past is taken out of the document, where programs mark it better.

Rule: the document is walked once, top to bottom, and never into what is known to be quoted; what remains is judged by
the same rule as plain text, line by line, and every line knows the nodes it came from. A document that is too large to
be walked is shown whole.
"""

from __future__ import annotations

import html as escapes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from selectolax.lexbor import LexborHTMLParser, LexborNode

from channels.mail.parse.html import MOST_HTML, tamed, to_text
from channels.mail.quotes.lines import Split, split
from channels.mail.values import Own

MOST_TAGS = 60_000  # a document with more is not even parsed
MOST_NODES = 5_000  # walked outside of known quotations: some 20 ms
MOST_LINES = 2_000
MOST_HEAD = 600  # characters of a quotation that are looked at, to tell a forward
MOST_SIGNATURE = 600  # characters: a longer one holds more than a signature
MOST_LOOKS = 30  # into elements that are then walked all the same

_QUOTES = frozenset(
    re.findall(
        r"\S+",
        """gmail_attr moz-cite-prefix yahoo_quoted yahoo-quoted-begin tutanota_quote zmail_extra zmail_extra_hr
        js-readmsg-msg ms-outlook-mobile-reference-message missive_quote front-blockquote spark_quote
        OLK_SRC_BODY_SECTION mail-editor-reference-message-container reply-intro name:quote""",
    )
)
_CONTAINERS = frozenset({"gmail_quote", "gmail_quote_container", "protonmail_quote", "name:messageReplySection"})
_CUTS = frozenset({"divRplyFwdMsg", "appendonsend", "stopSpelling"})
_SIGNATURES = frozenset(
    re.findall(
        r"\S+",
        """gmail_signature gmail_signature_prefix moz-signature protonmail_signature_block
        ms-outlook-mobile-signature composer_signature Signature AppleMailSignature name:messageSignatureSection""",
    )
)
_OUTLOOK_RULES = ("#e1e1e1", "#b5c4df", "rgb(225,225,225)", "rgb(181,196,223)")

_SKIPPED = frozenset({"script", "style", "head", "title", "template", "noscript", "-comment"})
_BLOCKS = frozenset(
    re.findall(
        r"\S+",
        """address article aside body blockquote center dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4
        h5 h6 header li main nav ol p pre section table tbody tfoot thead tr ul""",
    )
)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_PICTURE = "\ufffc"


class _Part(Enum):
    """What an element is known to be."""

    QUOTE = 1
    SIGNATURE = 2
    CUT = 3  # and everything after it


@dataclass(slots=True)
class _Lines:
    """The lines of a document, and for each the nodes it came from with what they gave to it."""

    texts: list[str] = field(default_factory=list)
    nodes: list[list[tuple[LexborNode, str]]] = field(default_factory=list)
    parts: dict[int, _Part] = field(default_factory=dict)
    bare: list[int] = field(default_factory=list)  # where quotations begin that nothing introduces inside
    cut: LexborNode | None = None


class _TooLargeError(Exception):
    """The document has more nodes or lines than are walked."""


def own_words_html(
    html: str, *, ours: frozenset[str] = frozenset(), sent: Sequence[str] = (), forward: bool = False
) -> tuple[str, Own]:
    """The document without its quotations and signature, still to be sanitised, and both as text.

    Parameters as of `quotes.own_words`. Where nothing would be left, the document comes back as it is.
    """
    if len(html) > MOST_HTML or html.count("<") > MOST_TAGS:
        return html, Own(text=to_text(html), why=("whole",))
    tree = LexborHTMLParser(tamed(html))
    body = tree.body
    if body is None:
        return html, Own(text=to_text(html), why=("whole",))
    try:
        lines = _Walk().lines_of(body)
    except _TooLargeError:
        return html, Own(text=to_text(html), why=("whole",))
    if forward and lines.cut is not None:
        return html, Own(text=to_text(html), why=("forward",))
    found = split(lines.texts, ours=ours, sent=sent, forward=forward, certain=lines.parts.keys(), bare=lines.bare)
    if not any(found.hidden):
        return html, Own(text=to_text(html), why=found.why)
    hidden = to_text(_take_out(lines, found))
    left = tree.html or ""
    text = to_text(left)
    if not text.strip() and not any(_PICTURE in lines.texts[i] for i, gone in enumerate(found.hidden) if not gone):
        return html, Own(text=to_text(html), why=("forward",))
    return left, Own(text=text, hidden=hidden, why=_why(lines, found))


def _why(lines: _Lines, found: Split) -> tuple[str, ...]:
    """The rules that decided: by elements alone it may have been a signature and no quotation."""
    parts = set(lines.parts.values())
    if parts == {_Part.SIGNATURE}:
        return tuple(dict.fromkeys("signature" if why == "trailing quote" else why for why in found.why))
    return tuple(dict.fromkeys((*found.why, "signature"))) if _Part.SIGNATURE in parts else found.why


class _Walk:
    """One walk through a document. Without recursion, for hostile ones are deep."""

    def __init__(self) -> None:
        self.lines = _Lines()
        self.text: list[str] = []
        self.nodes: list[tuple[LexborNode, str]] = []
        self.quoted = 0
        self.looks = 0
        self.kept = 0  # how many elements around us keep their line breaks

    def lines_of(self, body: LexborNode) -> _Lines:
        stack: list[tuple[LexborNode, bool, int, int]] = [(body, False, 0, 0)]  # node, left, changes of quoted and kept
        walked = 0
        while stack and self.lines.cut is None:
            node, left, quoted, kept = stack.pop()
            if left:
                self._end_line()
                self.quoted -= quoted
                self.kept -= kept
                continue
            walked += 1
            if walked > MOST_NODES:
                raise _TooLargeError
            if node.next is not None and node is not body:
                stack.append((node.next, False, 0, 0))
            tag = node.tag or ""
            if tag == "-text":
                self._words(node)
            elif tag not in _SKIPPED and not self._known(node, tag):
                self._enter(node, tag, stack)
        self._end_line()
        return self.lines

    def _enter(self, node: LexborNode, tag: str, stack: list[tuple[LexborNode, bool, int, int]]) -> None:
        if tag in {"br", "hr", "img"}:
            self._atom(node, tag)
            return
        quoted = kept = 0
        if tag in _BLOCKS:
            self._end_line()
            style = _style(node)
            quoted = int(tag == "blockquote" and "border:none" not in style and "border-width:0" not in style)
            kept = int(tag == "pre" or "white-space:pre" in style)
            self.quoted += quoted
            self.kept += kept
            stack.append((node, True, quoted, kept))
        elif tag in {"td", "th"}:
            self.text.append(" ")
        if node.child is not None:
            stack.append((node.child, False, 0, 0))

    def _atom(self, node: LexborNode, tag: str) -> None:
        if tag == "hr":
            self._end_line()
            self.text.append("_" * 8)
        self.nodes.append((node, ""))
        if tag == "img":
            self.text.append("" if (node.attributes.get("width") or "") in {"0", "1"} else _PICTURE)
        else:
            self._end_line(blank=True)

    def _words(self, node: LexborNode) -> None:
        text = node.text_content or ""
        if not self.kept:
            self.nodes.append((node, text))
            self.text.append(_SPACE.sub(" ", text))
            return
        first, *more = text.split("\n")
        self.nodes.append((node, first))
        self.text.append(first)
        for line in more:
            self._end_line(blank=True)
            self.nodes.append((node, line))
            self.text.append(line)

    def _end_line(self, *, blank: bool = False) -> None:
        text = "".join(self.text) if self.kept else _SPACE.sub(" ", "".join(self.text)).strip(" ")
        if text or self.nodes or blank:
            self._add(">" * self.quoted + " " + text if self.quoted else text, self.nodes)
        self.text, self.nodes = [], []

    def _add(self, text: str, nodes: list[tuple[LexborNode, str]], part: _Part | None = None) -> None:
        if part is not None:
            self.lines.parts[len(self.lines.texts)] = part
        if len(self.lines.texts) >= MOST_LINES:
            raise _TooLargeError
        self.lines.texts.append(text)
        self.lines.nodes.append(nodes)

    def _known(self, node: LexborNode, tag: str) -> bool:
        """Take an element that is known for what it is as a whole, or pass over one that nobody sees."""
        attributes = node.attributes
        if not attributes or tag == "body":
            return False
        if "display:none" in _style(node):
            return True
        part = self._part(node, tag, attributes)
        if part is None:
            return False
        self._end_line()
        if part is _Part.SIGNATURE:
            self._add("", [(node, "")], part)
            return True
        if part is _Part.CUT:
            self.lines.cut = node
        text = (node.text(deep=True, separator="\n") or "")[:MOST_HEAD]
        head = [line.strip() for line in text.split("\n") if line.strip()][:8] or [""]
        if tag == "blockquote" and not _introduced(head):
            self.lines.bare.append(len(self.lines.texts))
        for line in head:
            self._add(f"> {line}", [(node, "")], part)
        return True

    def _part(self, node: LexborNode, tag: str, attributes: dict[str, str | None]) -> _Part | None:
        names = (attributes.get("class") or "")[:500].split()
        names += [(attributes.get("id") or "")[:200], f"name:{(attributes.get('name') or '')[:200]}"]
        marks = {name.removeprefix("x_") for name in names}
        if marks & _QUOTES:
            return _Part.QUOTE
        if tag == "blockquote" and (attributes.get("type") == "cite" or marks & _CONTAINERS):
            return _Part.QUOTE
        if marks & _CUTS and tag != "span":
            return _Part.CUT
        if marks & _CONTAINERS and self._look():
            # Answers may stand between the quotations, so only a container without any is one itself.
            return None if node.css_first("blockquote, .gmail_attr") is not None else _Part.QUOTE
        if marks & _SIGNATURES and self._look():
            return _Part.SIGNATURE if len((node.text(deep=True) or "").strip()) <= MOST_SIGNATURE else None
        style = _style(node) if tag == "div" else ""
        if "border-top:" in style and any(colour in style for colour in _OUTLOOK_RULES) and self._look():
            return _Part.CUT if (node.text(deep=True) or "")[:MOST_HEAD].count(":") >= 3 else None
        return None

    def _look(self) -> bool:
        self.looks += 1
        return self.looks <= MOST_LOOKS


def _introduced(head: Sequence[str]) -> bool:
    """Whether a quotation says itself, in its first lines, who wrote it and when."""
    ends = next((place for place, line in enumerate(head[:4]) if line.endswith(":")), None)
    return ends is not None and re.search(r"[\d@]", "".join(head[: ends + 1])) is not None


def _style(node: LexborNode) -> str:
    return (node.attributes.get("style") or "")[:2_000].lower().replace(" ", "")


def _take_out(lines: _Lines, found: Split) -> str:
    """Remove what is hidden from the document. Returns it as HTML, in the document's order."""
    gone: list[str] = []
    places: dict[int, list[tuple[int, LexborNode, str]]] = {}
    last: int | None = None
    for line, hidden in enumerate(found.hidden):
        for node, words in lines.nodes[line]:
            places.setdefault(node.mem_id, []).append((line, node, words))
        if not hidden:
            continue
        if line not in lines.parts:
            gone.append(f"{escapes.escape(lines.texts[line])}<br>")
            continue
        node = lines.nodes[line][0][0]
        if node.mem_id != last:
            last = node.mem_id
            gone += [one.html or "" for one in (_from(node) if lines.parts[line] is _Part.CUT else [node])]
    doomed: list[LexborNode] = []
    for here in places.values():
        node = here[0][1]
        kept = [words for line, _, words in here if not found.hidden[line]]
        if not kept:
            doomed += _from(node) if node is lines.cut else [node]
        elif len(kept) < len(here):
            node.replace_with("\n".join(kept))
    for node in doomed:
        _remove(node)
    return "".join(gone)


def _from(node: LexborNode) -> list[LexborNode]:
    """A node and everything after it in the document, as whole subtrees."""
    found = [node]
    here: LexborNode | None = node
    while here is not None and here.tag != "body":
        sibling = here.next
        while sibling is not None:
            found.append(sibling)
            sibling = sibling.next
        here = here.parent
    return found


def _remove(node: LexborNode) -> None:
    """Take a node out, and what it leaves empty around it."""
    while node.parent is not None and node.tag != "body":
        parent = node.parent
        node.decompose()
        if parent.child is not None:
            return
        node = parent
