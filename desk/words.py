"""A customer's words and names as Slack shows them: literally, unable to mention, format or link their way in.

Rule: whatever a customer wrote passes through here before it goes to Slack. The way back is `desk.reading`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from channels.message import Span, SpanKind, Status
from channels.subject import bare_subject
from desk.reading import Said, read

__all__ = [
    "NOTE",
    "Said",
    "date",
    "display_name",
    "escape",
    "inline",
    "literal_blocks",
    "mark",
    "marks",
    "one_line",
    "pieces",
    "plain",
    "read",
    "shorten",
    "topic",
]

Block = dict[str, Any]

ELEMENT_LIMIT = 3_000  # code points in one block: what Slack documents for a section, kept for rich text too
TEXT_LIMIT = 9_000  # of one customer message in one post; Slack refuses a post whose blocks hold much more
FALLBACK_LIMIT = 3_500  # chat.update refuses a text beyond 4,000
NAME_LIMIT = 80  # code points of a username
LINK_LIMIT = 2_000
SUBJECT_LIMIT = 1_000  # of which so much tells what it is about:
TOPIC_LIMIT = 200
SPAN_LIMIT = 500  # no app sends more; it keeps hostile formatting from taking time

WORD_JOINER = "\u2060"  # invisible; breaks up what Slack might read as a mention, and does not break the line

_GONE = [*range(0x09), *range(0x0E, 0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_CONTROLS = {
    **dict.fromkeys([*_GONE, 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB]),
    **dict.fromkeys([0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029], "\n"),
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_MENTION = re.compile(r"<(?=[!@#]|\Z)|@(?=here|channel|everyone|group|\Z)", re.IGNORECASE)
_SHORTCODE = re.compile(r":(?=[\w+'-]+:)")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2061-\u2065\u206a-\u206f\u3164\uffa0]"
)
_STACKED = re.compile(r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})"
                      r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")  # fmt: skip
_LOOKALIKES = str.maketrans({"*": "∗", "_": "ˍ", "~": "∼", "`": "ˋ"})
_BRACKETS = str.maketrans({"<": "‹", ">": "›"})
_LINK = re.compile(r"(?:https?://|mailto:|tel:)[^\s<>|\"\\^`{}]+", re.IGNORECASE)

_STYLES = {
    SpanKind.BOLD: "bold",
    SpanKind.ITALIC: "italic",
    SpanKind.STRIKE: "strike",
    SpanKind.CODE: "code",
}
_SECTION, _PRE, _QUOTE = "rich_text_section", "rich_text_preformatted", "rich_text_quote"

# What mail programs put before a subject, in lower case: English, German, Nordic, Turkish, French, Spanish, Portuguese,
# Italian, Polish, Czech, Hungarian, Finnish, Dutch, Greek, Russian, Arabic, Hebrew, Chinese, Japanese, Korean.
NOTE = "memo"  # the reaction on what stays inside the team
_MARKS = {
    Status.QUEUED: "hourglass_flowing_sand",
    Status.IN_DOUBT: "warning",
    Status.SENT: "white_check_mark",
    Status.DELIVERED: "ballot_box_with_check",
    Status.READ: "eyes",
    Status.FAILED: "x",
}
_OURS = frozenset([*_MARKS.values(), NOTE])


def plain(text: str) -> str:
    """Take out what no text needs and a screen can be fooled with: controls, bidi overrides, halves of characters."""
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\r\n", "\n").translate(_CONTROLS)


def one_line(text: str, limit: int = 150) -> str:
    """`text` on one line of at most `limit` code points, defused, for plain text elements."""
    return shorten(_defuse(" ".join(plain(text).split())), limit)


def inline(text: str, limit: int = 150) -> str:
    """`text` on one line that stays literal even inside mrkdwn, where a word's stars would make it bold."""
    line = _SHORTCODE.sub(":" + WORD_JOINER, one_line(text, limit).translate(_LOOKALIKES))
    return _escaped(line)


def escape(text: str, limit: int = FALLBACK_LIMIT) -> str:
    """`text` for the fallback of a post: escaped, and cut to `limit` without cutting an entity."""
    escaped = _escaped(_defuse(plain(text)))
    if len(escaped) <= limit:
        return escaped
    cut = escaped[: limit - 1]
    entity = cut.rfind("&", len(cut) - 4)  # "&amp;" is the longest of the three
    if entity >= 0 and ";" not in cut[entity:]:
        cut = cut[:entity]
    return cut + "…"


def shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: _boundary(text, limit - 1)] + "…"


def display_name(name: str, channel: str, *, nobody: str = "Customer") -> str:
    """The name a customer's posts carry: "Ayşe Yılmaz · Telegram". `channel` and `nobody` are words of the catalogue.

    The channel at the end is what keeps a customer who calls himself like an agent from passing for one.
    """
    suffix = f" · {channel}"
    kept = _STACKED.sub(r"\1", _INVISIBLE.sub("", plain(name))).translate(_BRACKETS)
    kept = "".join(char for char in kept if unicodedata.category(char) not in {"Co", "Cn"})
    kept = " ".join(kept.replace("·", " ").split()).lstrip("@#/ ")
    kept = _SHORTCODE.sub(":" + WORD_JOINER, _defuse(kept))
    if not any(unicodedata.category(char)[0] in "LNSP" for char in kept):
        kept = nobody
    return shorten(kept, NAME_LIMIT - len(suffix)) + suffix


def date(at: datetime, form: str) -> str:
    """A moment for mrkdwn, which every reader sees in their own time zone; `form` such as `{ago}` or `{time}`."""
    return f"<!date^{int(at.timestamp())}^{form}|{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC>"


def literal_blocks(
    text: str, spans: Sequence[Span] = (), *, limit: int = TEXT_LIMIT, more: str = "…"
) -> list[Block]:  # fmt: skip
    """Rich text blocks that show a customer's text as it is. Formatting comes from `spans` alone, never from the text.

    Beyond `limit` code points the text is cut and `more` says so. Empty for a text with nothing to see.
    """
    blocks: list[Block] = []
    room = 0
    box = ""
    for run in _within(_joined(_runs(text, spans)), limit, more):
        rest = run.text
        while rest:
            if room <= 0 or (run.url and len(rest) > room):
                blocks.append({"type": "rich_text", "elements": []})
                room, box = ELEMENT_LIMIT, ""
            piece = rest[: _boundary(rest, room)]
            if run.box != box:
                box = run.box
                blocks[-1]["elements"].append({"type": box, "elements": []})
            blocks[-1]["elements"][-1]["elements"].append(_element(run, piece))
            rest = rest[len(piece) :]
            room -= len(piece)
    return blocks


def pieces(text: str, size: int = ELEMENT_LIMIT) -> Iterator[str]:
    """A text of any length, literal, in parts of at most `size` code points with something to see in each."""
    left = _literal(text).strip()
    at = 0
    while at < len(left):
        end = at + _boundary(left[at : at + size + 1], size)
        if left[at:end].strip(WORD_JOINER).strip():
            yield left[at:end]
        at = end


def topic(subject: str) -> str:
    """What a subject is about, to be compared: without Re, Fwd and their like in any language, case and spacing."""
    return bare_subject(subject[:SUBJECT_LIMIT]).casefold()[:TOPIC_LIMIT]


def mark(status: Status) -> str:
    """The reaction an agent's message carries for how far its delivery got."""
    return _MARKS[status]


def marks(wanted: str | None, shown: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which of our reactions to add and then which to take away. Adding comes first: a message is never without one."""
    add = (wanted,) if wanted and wanted not in shown else ()
    return add, tuple(sorted(name for name in shown if name in _OURS and name != wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Text with one formatting. With `url` it is a link that shows `text`, which is its true target."""

    text: str
    box: str = _SECTION
    styles: tuple[str, ...] = ()
    url: str = ""


def _runs(text: str, spans: Sequence[Span]) -> Iterator[_Run]:
    spans = [span for span in spans[:SPAN_LIMIT] if 0 <= span.start < span.end <= len(text)]
    edges = sorted({0, len(text), *(edge for span in spans for edge in (span.start, span.end))})
    for start, end in pairwise(edges):
        over = [span for span in spans if span.start <= start and end <= span.end]
        kinds = {span.kind for span in over}
        box = _PRE if SpanKind.PRE in kinds else _QUOTE if SpanKind.QUOTE in kinds else _SECTION
        styles = () if box == _PRE else tuple(style for kind, style in _STYLES.items() if kind in kinds)
        run = _Run(text=_literal(text[start:end]), box=box, styles=styles)
        link = next((span for span in over if span.kind is SpanKind.LINK and span.url), None)
        if link is None:
            yield run
        else:
            yield from _linked(run, link, text[link.start : link.end], first=start == link.start, last=end == link.end)


def _linked(run: _Run, link: Span, label: str, *, first: bool, last: bool) -> Iterator[_Run]:
    """A link shows where it leads: alone when its label is that address, else in brackets behind the label."""
    safe = link.url if _safe(link.url) else ""
    if safe and _bare(safe) == _bare(label.strip()):
        if first:
            yield replace(run, text=_literal(label.strip()), url=safe)
        return
    yield run
    if last:
        yield replace(run, text=" (", styles=())
        yield replace(run, text=safe or _literal(shorten(link.url, LINK_LIMIT)), styles=(), url=safe)
        yield replace(run, text=")", styles=())


def _joined(runs: Iterable[_Run]) -> list[_Run]:
    """Take away the line breaks at the edges of quotes and code, where Slack breaks the line by itself."""
    kept = [run for run in runs if run.text]
    for at in range(len(kept) - 1):
        if kept[at].box != kept[at + 1].box:
            kept[at] = replace(kept[at], text=kept[at].text.removesuffix("\n"))
            kept[at + 1] = replace(kept[at + 1], text=kept[at + 1].text.removeprefix("\n"))
    if kept:
        kept[0] = replace(kept[0], text=kept[0].text.lstrip("\n"))
        kept[-1] = replace(kept[-1], text=kept[-1].text.rstrip())
    return kept if any(run.text.strip(WORD_JOINER).strip() for run in kept) else []


def _within(runs: Iterable[_Run], limit: int, more: str) -> Iterator[_Run]:
    for run in runs:
        if len(run.text) > limit:
            if not run.url:
                yield replace(run, text=run.text[: _boundary(run.text, limit)])
            yield _Run(text=more, styles=("italic",))
            return
        limit -= len(run.text)
        yield run


def _element(run: _Run, piece: str) -> Block:
    element: Block = {"type": "text", "text": piece}
    if run.url:
        element = {"type": "link", "url": run.url}
        if piece != run.url:
            element["text"] = piece
    if run.styles:
        element["style"] = dict.fromkeys(run.styles, True)
    return element


def _boundary(text: str, room: int) -> int:
    """Where to cut so that at most `room` code points stay, at a space near the end or at least between characters."""
    if len(text) <= room:
        return len(text)
    for at in range(room, room * 3 // 4, -1):
        if text[at - 1] in " \n":
            return at
    at = room
    while at > max(1, room - 16) and (_clings(text[at]) or text[at - 1] == "\u200d"):
        at -= 1
    return max(at, 1)


def _clings(char: str) -> bool:
    return char in "\u200d\u2060" or "\U0001f3fb" <= char <= "\U0001f3ff" or unicodedata.category(char) in {"Mn", "Me"}


def _literal(text: str) -> str:
    return _defuse(re.sub(r"\n{4,}", "\n\n\n", plain(text)))


def _defuse(text: str) -> str:
    """Break up every form of a mention, whether or not Slack would read it where it stands."""
    return _MENTION.sub(lambda found: found[0] + WORD_JOINER, text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _safe(url: str) -> bool:
    return (
        len(url) <= LINK_LIMIT
        and _LINK.fullmatch(url) is not None
        and plain(url) == url
        and not any(unicodedata.category(char) in {"Cf", "Cs", "Co", "Cn"} for char in url)
    )


def _bare(url: str) -> str:
    for scheme in ("https://", "http://", "mailto:", "tel:"):
        url = url.removeprefix(scheme)
    return url.removesuffix("/")
