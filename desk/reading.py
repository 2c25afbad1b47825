"""What an agent wrote in Slack, as plain text and spans that any channel can carry.

Rule: nothing of Slack's own gets out to a customer: no user ids, no mentions, no `:codes:` where a character exists.
The rich text block is preferred because it loses nothing; the mrkdwn `text` is read when there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import emoji

from channels.message import Span, SpanKind

_STYLES = {
    "bold": SpanKind.BOLD,
    "italic": SpanKind.ITALIC,
    "strike": SpanKind.STRIKE,
    "underline": SpanKind.UNDERLINE,
    "code": SpanKind.CODE,
}
# Slack's names for emoji the emoji package knows by others
_SLACK_NAMES = {
    "simple_smile": "slightly_smiling_face",
    "slightly_smiling": "slightly_smiling_face",
    "hugging": "hugging_face",
    "the_horns": "metal",
    "hand_with_index_and_middle_fingers_crossed": "crossed_fingers",
    "smiling_face_with_3_hearts": "smiling_face_with_hearts",
}
_SKIN_TONES = {str(tone): chr(0x1F3FB + tone - 2) for tone in range(2, 7)}
_EMOJI = re.compile(r":([\w+'-]+):(?::skin-tone-([2-6]):)?")

_MARKUP = re.compile(
    r"```(?P<pre>.+?)```"
    r"|`(?P<code>[^`\n]+)`"
    r"|<(?P<angle>[^<>\n]+)>"
    r"|(?<![\w*])\*(?P<bold>(?=\S)[^*\n]+(?<=\S))\*(?![\w*])"
    r"|(?<!\w)_(?P<italic>(?=\S)[^_\n]+(?<=\S))_(?!\w)"
    r"|(?<![\w~])~(?P<strike>(?=\S)[^~\n]+(?<=\S))~(?![\w~])",
    re.DOTALL,
)
_QUOTED_LINE = re.compile(r"^(?:&gt;|>) ?")
_CHANNEL_NAME = re.compile(r"<#([A-Z0-9]+)\|([^<>|]+)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a person said in Slack. `mentions` are the Slack user ids they named."""

    text: str = ""
    spans: tuple[Span, ...] = ()
    mentions: tuple[str, ...] = ()

    def without(self, prefix: str) -> Said:
        """The same without `prefix` at the start and the space behind it."""
        rest = self.text.removeprefix(prefix)
        return _trimmed(rest, [_moved(span, len(self.text) - len(rest)) for span in self.spans], self.mentions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What Slack's ids are called. `people` and `channels` go from id to name; the others stand in for the unnamed.

    `colleague` and `team` are words of the catalogue in the customer's language.
    """

    people: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)
    colleague: str = "a colleague"
    team: str = "our team"


def read(message: Mapping[str, Any], names: Names | None = None) -> Said:
    """Read a Slack message, or the `message` inside a change. Unknown elements are skipped, never an error."""
    names = names or Names()
    text = str(message.get("text") or "")
    if "<#" in text:
        names = _with_channels(names, dict(_CHANNEL_NAME.findall(text)))
    writer = _Writer(names)
    rich = [block for block in _mappings(message.get("blocks")) if block.get("type") == "rich_text"]
    if rich:
        for block in rich:
            writer.rich_text(block)
    else:
        writer.mrkdwn(text)
    return _trimmed("".join(writer.parts), writer.spans, tuple(dict.fromkeys(writer.mentions)))


class _Writer:
    """Collects text with its spans, counted in code points."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.parts: list[str] = []
        self.spans: list[Span] = []
        self.mentions: list[str] = []
        self.length = 0
        self._last = ""
        self._after_ping = False

    def put(self, text: str, styles: Sequence[SpanKind] = ()) -> None:
        text = text.replace("\u2060", "")  # ours, copied back out of a customer's defused words
        if self._after_ping and (not self._last or self._last.isspace()):
            text = text.removeprefix(" ")
        if not text:
            return
        self._after_ping = False
        for kind in styles:
            self.spans.append(Span(kind=kind, start=self.length, end=self.length + len(text)))
        self.parts.append(text)
        self.length += len(text)
        self._last = text[-1]

    def fresh_line(self) -> None:
        if self._last and self._last != "\n":
            self.put("\n")

    def around(self, kind: SpanKind, write: Callable[[], None]) -> None:
        start = self.length
        write()
        if self.length > start:
            self.spans.append(Span(kind=kind, start=start, end=self.length))

    # the rich text block

    def rich_text(self, block: Mapping[str, Any]) -> None:
        boxed = False
        for element in _mappings(block.get("elements")):
            kind = str(element.get("type") or "")
            if boxed or kind != "rich_text_section":
                self.fresh_line()
            boxed = kind != "rich_text_section"
            if kind == "rich_text_list":
                self.listed(element)
            elif kind == "rich_text_quote":
                self.around(SpanKind.QUOTE, lambda inner=element: self.section(inner))  # type: ignore[misc]
            elif kind == "rich_text_preformatted":
                self.around(SpanKind.PRE, lambda inner=element: self.section(inner))  # type: ignore[misc]
            else:
                self.section(element)

    def listed(self, element: Mapping[str, Any]) -> None:
        indent = "    " * min(_number(element.get("indent")), 8)
        first = _number(element.get("offset")) + 1
        for number, item in enumerate(_mappings(element.get("elements")), start=first):
            self.fresh_line()
            self.put(indent + (f"{number}. " if element.get("style") == "ordered" else "• "))
            self.section(item)

    def section(self, section: Mapping[str, Any]) -> None:
        for element in _mappings(section.get("elements")):
            given = element.get("style")
            styles = [kind for name, kind in _STYLES.items() if isinstance(given, Mapping) and given.get(name)]
            self.element(element, styles)

    def element(self, element: Mapping[str, Any], styles: Sequence[SpanKind]) -> None:
        kind = str(element.get("type") or "")
        if kind == "emoji":
            self.put(_emoji(element), styles)
        elif kind == "link":
            self.link(str(element.get("url") or ""), str(element.get("text") or ""), styles)
        elif kind == "user":
            self.person(str(element.get("user_id") or ""), styles)
        elif kind == "channel":
            self.channel(str(element.get("channel_id") or ""), "", styles)
        elif kind == "broadcast":
            self._after_ping = True
        elif kind in {"usergroup", "team"}:
            self.put(self.names.team, styles)
        elif kind == "date":
            self.put(str(element.get("fallback") or ""), styles)
        elif kind == "color":
            self.put(str(element.get("value") or ""), styles)
        else:
            self.put(str(element.get("text") or ""), styles)

    def person(self, user: str, styles: Sequence[SpanKind]) -> None:
        self.mentions.append(user)
        name = self.names.people.get(user, "").strip()
        self.put(f"@{name}" if name else self.names.colleague, styles)

    def channel(self, channel: str, name: str, styles: Sequence[SpanKind]) -> None:
        name = name or self.names.channels.get(channel, "")
        self.put(f"#{name}" if name else self.names.team, styles)

    def link(self, url: str, label: str, styles: Sequence[SpanKind]) -> None:
        bare = url.removeprefix("mailto:").removeprefix("tel:")
        if not label or label in {url, bare} or url in {f"http://{label}", f"https://{label}"}:
            self.put(label or bare, styles)
        else:
            self.put(label, styles)
            self.put(f" ({bare})")

    # mrkdwn

    def mrkdwn(self, text: str) -> None:
        quoted: list[str] = []
        plain: list[str] = []
        for line in text.split("\n"):
            if line.startswith("&gt;&gt;&gt;"):
                line = line.removeprefix("&gt;&gt;&gt;").lstrip()
            mark = _QUOTED_LINE.match(line)
            if mark and "".join(plain).count("```") % 2 == 0:
                self._lines(plain)
                quoted.append(line[mark.end() :])
            else:
                self._quote(quoted)
                plain.append(line)
        self._lines(plain)
        self._quote(quoted)

    def _lines(self, lines: list[str]) -> None:
        if lines:
            self.fresh_line()
            self.inline("\n".join(lines), ())
            lines.clear()

    def _quote(self, lines: list[str]) -> None:
        if lines:
            self.fresh_line()
            self.around(SpanKind.QUOTE, lambda: self.inline("\n".join(lines), ()))
            lines.clear()

    def inline(self, text: str, styles: Sequence[SpanKind]) -> None:
        at = 0
        for found in _MARKUP.finditer(text):
            self.put(_shortcodes(unescape(text[at : found.start()])), styles)
            at = found.end()
            kind, inner = str(found.lastgroup), found[str(found.lastgroup)]
            if kind == "pre":
                self.fresh_line()
                self.put(unescape(_unlinked(inner)).strip("\n"), [SpanKind.PRE])
                if not text.startswith("\n", at):
                    self.put("\n")
            elif kind == "code":
                self.put(unescape(_unlinked(inner)), [*styles, SpanKind.CODE])
            elif kind == "angle":
                self.angle(inner, styles)
            else:
                self.inline(inner, [*styles, SpanKind(kind)])
        self.put(_shortcodes(unescape(text[at:])), styles)

    def angle(self, inner: str, styles: Sequence[SpanKind]) -> None:
        target, _, label = inner.partition("|")
        if target.startswith("@"):
            self.person(target[1:], styles)
        elif target.startswith("#"):
            self.channel(target[1:], unescape(label), styles)
        elif target.startswith("!date^"):
            self.put(unescape(label), styles)
        elif target.startswith("!subteam^"):
            self.put(self.names.team, styles)
        elif target.startswith("!"):
            self._after_ping = True
        else:
            self.link(unescape(target), _shortcodes(unescape(label)), styles)


def _emoji(element: Mapping[str, Any]) -> str:
    """One emoji element: its code points as Slack gives them, else by name; a shop's own emoji keep their name."""
    name = str(element.get("name") or "")
    with suppress(ValueError, OverflowError):
        if codes := str(element.get("unicode") or ""):
            return "".join(chr(int(code, 16)) for code in codes.split("-"))
    tone = str(element.get("skin_tone") or "")
    return _shortcodes(f":{name}::skin-tone-{tone}:" if tone in _SKIN_TONES else f":{name}:")


def _shortcodes(text: str) -> str:
    return _EMOJI.sub(_character, text) if ":" in text else text


def _character(found: re.Match[str]) -> str:
    name = found[1]
    if re.fullmatch(r"flag-[a-z]{2}", name):
        return "".join(chr(0x1F1E6 + ord(letter) - ord("a")) for letter in name[5:])
    for known in (name, _SLACK_NAMES.get(name, name), name.replace("-", "_")):
        character = emoji.emojize(f":{known}:", language="alias")
        if character != f":{known}:":
            return character.removesuffix("\ufe0f") + _SKIN_TONES[found[2]] if found[2] else character
    return found[0]


def _unlinked(text: str) -> str:
    """Slack links addresses even inside code of its mrkdwn text."""
    return re.sub(r"<((?:https?|mailto|tel):[^<>|]+)(?:\|([^<>]*))?>", lambda found: found[2] or found[1], text)


def _with_channels(names: Names, channels: Mapping[str, str]) -> Names:
    return Names(
        people=names.people,
        channels={**channels, **names.channels},
        colleague=names.colleague,
        team=names.team,
    )


def _trimmed(text: str, spans: Sequence[Span], mentions: tuple[str, ...]) -> Said:
    """Without white space at either end, except the indentation of code."""
    text = text.rstrip()
    lead = len(text) - len(text.lstrip())
    moved = (_moved(span, lead) for span in spans)
    kept: dict[tuple[SpanKind, int], Span] = {}  # by kind and end, so that neighbours grow together
    for span in sorted(moved, key=_position):
        end = min(span.end, len(text) - lead)
        if span.start < end:
            before = kept.pop((span.kind, span.start), span)
            kept[span.kind, end] = Span(kind=span.kind, start=before.start, end=end, url=span.url)
    return Said(text=text[lead:], spans=tuple(sorted(kept.values(), key=_position)), mentions=mentions)


def _moved(span: Span, by: int) -> Span:
    return Span(kind=span.kind, start=max(0, span.start - by), end=max(0, span.end - by), url=span.url)


def _position(span: Span) -> tuple[int, int]:
    return span.start, -span.end


def _mappings(items: object) -> list[Mapping[str, Any]]:
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list | tuple) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 10_000 else 0
