"""The two bodies of a mail we write: plain text, and the same in small, clean HTML.

Rule: nothing that was written becomes markup, and a link leads only where a mail may lead (http, mailto, tel).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from datetime import tzinfo

from channels.message import Quoted, Span, SpanKind

MOST_SPANS = 300  # a text with more is sent with the first of them
MOST_QUOTED = 4_000  # characters of the past; the customer has the rest

_TAGS = {
    SpanKind.LINK: "a",
    SpanKind.BOLD: "b",
    SpanKind.ITALIC: "i",
    SpanKind.UNDERLINE: "u",
    SpanKind.STRIKE: "s",
    SpanKind.CODE: "code",
}
_BLOCKS = {SpanKind.QUOTE: "blockquote", SpanKind.PRE: "pre"}
_URL = re.compile(r"""(?:https?://|mailto:|tel:)[^\s<>"\x00-\x20]{1,2000}""", re.IGNORECASE)
_WEB = re.compile(r"""https?://[^\s<>"]+""", re.IGNORECASE)
_ENDS = ".,;:!?)]}'’”»…"  # of the sentence around a link, not of the link
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed
_BREAKS = re.compile("\r(?!\n)|[\x85\u2028\u2029]")

_GREY = "margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex"


def plain(text: str, spans: Sequence[Span]) -> str:
    """The text with the targets of its links behind their words."""
    text = _even(text)
    at = 0
    pieces: list[str] = []
    for span in _of(spans, SpanKind.LINK, at, len(text)):
        words, url = text[span.start : span.end], link(span.url)
        pieces.append(text[at : span.end])
        at = span.end
        if url and url.partition(":")[2].strip("/") not in words:
            pieces.append(f" <{url}>")
    pieces.append(text[at:])
    return _CONTROLS.sub("", "".join(pieces)).strip("\n")


def rich(text: str, spans: Sequence[Span]) -> str:
    """The text as HTML paragraphs."""
    text, spans = _even(text), spans[:MOST_SPANS]
    at = 0
    pieces: list[str] = []
    blocks = sorted((span for span in spans if span.kind in _BLOCKS), key=lambda span: span.start)
    for span in blocks:
        start, end = max(at, span.start), min(len(text), span.end)
        if start >= end:
            continue
        tag = _BLOCKS[span.kind]
        pieces += _paragraphs(text, at, start, spans)
        inside = [_words(text[start:end])] if tag == "pre" else _paragraphs(text, start, end, spans)
        pieces += (f"<{tag}>", *inside, f"</{tag}>\n")
        at = end
    pieces += _paragraphs(text, at, len(text), spans)
    return "".join(pieces)


def link(url: str) -> str:
    """The URL when a mail may lead there, else nothing."""
    return url if _URL.fullmatch(url) else ""


def attribution(quoted: Quoted, zone: tzinfo, address: str) -> str:
    """Who wrote what is quoted and when, without a word of any language."""
    who = " ".join(_CONTROLS.sub(" ", _even(quoted.author)[:200]).split())
    if address and "@" not in who:
        who = f"{who} <{address}>" if who else address
    when = f"{quoted.at.astimezone(zone):%d.%m.%Y %H:%M}"
    return f"{when}, {who}:" if who else f"{when}:"


def past(quoted: Quoted) -> list[str]:
    """The lines to quote, as many as fit."""
    text = _CONTROLS.sub("", _even(quoted.text)).strip()
    if len(text) > MOST_QUOTED:
        cuts = [text.rfind(pause, MOST_QUOTED // 2, MOST_QUOTED) for pause in "\n "]
        text = text[: next((cut for cut in cuts if cut > 0), MOST_QUOTED)].rstrip() + "\n…"
    return [line.rstrip() for line in text.split("\n")]


def plain_past(lines: Sequence[str], above: str) -> str:
    """The quoted past as plain text."""
    return "\n".join((above, *(f">{line}" if not line or line.startswith(">") else f"> {line}" for line in lines)))


def rich_past(lines: Sequence[str], above: str) -> str:
    """The quoted past as HTML that mail programs fold away."""
    words = "<br>\n".join(_words(line) for line in lines)
    return (
        f'<div class="gmail_quote"><div dir="auto" class="gmail_attr">{html.escape(above)}<br></div>\n'
        f'<blockquote type="cite" class="gmail_quote" style="{_GREY}" dir="auto">\n{words}\n</blockquote></div>\n'
    )


def _even(text: str) -> str:
    """Every line end a line feed and no lone surrogate, without moving a single position."""
    return _BREAKS.sub("\n", text.encode("utf-8", "replace").decode("utf-8"))


def _of(spans: Sequence[Span], kind: SpanKind, start: int, end: int) -> Iterator[Span]:
    """The spans of one kind within a range, in order, cut so that none overlaps the one before."""
    found = [span for span in spans[:MOST_SPANS] if span.kind is kind]
    for span in sorted(found, key=lambda span: span.start):
        first, last = max(start, span.start), min(end, span.end)
        if first < last:
            start = last
            yield Span(kind=kind, start=first, end=last, url=span.url)


def _paragraphs(text: str, start: int, end: int, spans: Sequence[Span]) -> Iterator[str]:
    for first, last in _stretches(text, start, end):
        near = [span for span in spans if span.start < last and span.end > first]
        yield f'<p dir="auto">{_inline(text, first, last, near, tuple(_TAGS))}</p>\n'


def _stretches(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the paragraphs are: blank lines part them."""
    first: int | None = None
    last = at = start
    while at < end:
        stop = text.find("\n", at, end)
        stop = end if stop < 0 else stop
        if text[at:stop].strip():
            first, last = at if first is None else first, stop
        elif first is not None:
            yield first, last
            first = None
        at = stop + 1
    if first is not None:
        yield first, last


def _inline(
    text: str, start: int, end: int, spans: Sequence[Span], kinds: Sequence[SpanKind], seek: bool = True
) -> str:
    """`seek`: addresses of web pages in the text become links; not inside a link."""
    if not kinds:
        return _words(text[start:end], seek=seek)
    kind, rest, at = kinds[0], kinds[1:], start
    pieces: list[str] = []
    for span in _of(spans, kind, start, end):
        pieces.append(_inline(text, at, span.start, spans, rest, seek))
        at = span.end
        url = link(span.url) if kind is SpanKind.LINK else ""
        inside = _inline(text, span.start, at, spans, rest, seek and not url)
        tag = _TAGS[kind]
        if kind is SpanKind.LINK:
            pieces.append(f'<a href="{html.escape(url)}">{inside}</a>' if url else inside)
        else:
            pieces.append(f"<{tag}>{inside}</{tag}>")
    pieces.append(_inline(text, at, end, spans, rest, seek))
    return "".join(pieces)


def _words(text: str, *, seek: bool = False) -> str:
    """Text as HTML."""
    text, at = _CONTROLS.sub("", text), 0
    pieces: list[str] = []
    for found in _WEB.finditer(text) if seek else ():
        url = found[0].rstrip(_ENDS)
        if link(url):
            shown = html.escape(url)
            pieces += (_escaped(text[at : found.start()]), f'<a href="{shown}">{shown}</a>')
            at = found.start() + len(url)
    pieces.append(_escaped(text[at:]))
    return "".join(pieces)


def _escaped(text: str) -> str:
    return html.escape(text, quote=False).replace("\n", "<br>\n")
