"""What Slack's message box makes of what a person types: escaped mrkdwn, and the rich_text block beside it.

Rule: pure. `<@U…>`, `<#C…>`, `<!here>` and `<!subteam^S…>` typed literally count as picked from the box's menu.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]

# The box turns these into names as Slack stores them; others stay as typed.
EMOJI = {
    "👍": "+1",
    "👎": "-1",
    "🎉": "tada",
    "🙏": "pray",
    "😀": "grinning",
    "😂": "joy",
    "🙂": "slightly_smiling_face",
    "😉": "wink",
    "😊": "blush",
    "😍": "heart_eyes",
    "😢": "cry",
    "😭": "sob",
    "😡": "rage",
    "🤔": "thinking_face",
    "👋": "wave",
    "👀": "eyes",
    "🔥": "fire",
    "🚀": "rocket",
    "✅": "white_check_mark",
    "❌": "x",
    "⚠️": "warning",
    "❤️": "heart",
    "📦": "package",
    "🚚": "truck",
    "💯": "100",
    "👏": "clap",
    "💪": "muscle",
    "🤝": "handshake",
    "📷": "camera",
    "⭐": "star",
}
_UNICODE = {name: "-".join(f"{ord(char):x}" for char in sign) for sign, name in EMOJI.items()}

_PART = re.compile(
    r"""
    ```(?P<pre>.+?)``` |
    `(?P<code>[^`\n]+)` |
    <@(?P<user>[UW][A-Z0-9]+)> |
    <\#(?P<channel>C[A-Z0-9]+)(?:\|[^>]*)?> |
    <!subteam\^(?P<group>S[A-Z0-9]+)(?:\|[^>]*)?> |
    <!(?P<range>here|channel|everyone)> |
    (?P<url>https?://[^\s<>|]+[^\s<>|.,;:!?)]) |
    :(?P<emoji>[a-z0-9_+'-]+): |
    (?P<sign>"""
    + "|".join(re.escape(sign) for sign in EMOJI)
    + r""") |
    (?<![\w@])@(?P<at>[\w.-]+) |
    (?<!\w)\*(?P<bold>[^*\s](?:[^*\n]*[^*\s])?)\*(?!\w) |
    (?<!\w)_(?P<italic>[^_\s](?:[^_\n]*[^_\s])?)_(?!\w) |
    (?<!\w)~(?P<strike>[^~\s](?:[^~\n]*[^~\s])?)~(?!\w)
    """,
    re.VERBOSE | re.DOTALL,
)
_STYLES = {"bold": "*", "italic": "_", "strike": "~"}


def escape(text: str) -> str:
    """Slack stores these three, and only these, as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def compose(text: str, users: Mapping[str, str]) -> tuple[str, Json | None]:
    """Turn typed `text` into stored text and its rich_text block. `users` maps a name after @ to a user id."""
    if not text:
        return "", None
    stored: list[str] = []
    elements: list[Json] = []
    section: list[Json] = []

    def close() -> None:
        if section:
            elements.append({"type": "rich_text_section", "elements": list(section)})
            section.clear()

    for part, element in _parts(text, users, {}):
        stored.append(part)
        if element["type"] == "rich_text_preformatted":
            close()
            elements.append(element)
        elif element["type"] == "text" and section and _joins(section[-1], element):
            section[-1] = {**section[-1], "text": section[-1]["text"] + element["text"]}
        else:
            section.append(element)
    close()
    return "".join(stored), {"type": "rich_text", "elements": elements}


def _joins(before: Json, after: Json) -> bool:
    return before["type"] == "text" and before.get("style") == after.get("style")


def _parts(text: str, users: Mapping[str, str], style: Json) -> Iterator[tuple[str, Json]]:
    """The text as (stored, element) pairs; `style` is what surrounds it."""
    styled = {"style": style} if style else {}
    at = 0
    for found in _PART.finditer(text):
        kind = found.lastgroup or ""
        value = found[kind] if kind else ""
        if kind == "at" and value not in users:
            continue
        if found.start() > at:
            yield _words(text[at : found.start()], styled)
        at = found.end()
        match kind:
            case "pre":
                pre = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": value}], "border": 0}
                yield f"```{escape(value)}```", pre
            case "code":
                yield f"`{escape(value)}`", {"type": "text", "text": value, "style": {**style, "code": True}}
            case "user" | "at":
                user = value if kind == "user" else users[value]
                yield f"<@{user}>", {"type": "user", "user_id": user, **styled}
            case "channel":
                yield f"<#{value}>", {"type": "channel", "channel_id": value, **styled}
            case "group":
                yield f"<!subteam^{value}>", {"type": "usergroup", "usergroup_id": value, **styled}
            case "range":
                yield f"<!{value}>", {"type": "broadcast", "range": value, **styled}
            case "url":
                yield f"<{escape(value)}>", {"type": "link", "url": value, **styled}
            case "emoji" | "sign":
                name = value if kind == "emoji" else EMOJI[value]
                unicode = {"unicode": _UNICODE[name]} if name in _UNICODE else {}
                yield f":{name}:", {"type": "emoji", "name": name, **unicode, **styled}
            case _:
                sign = _STYLES[kind]
                inner = list(_parts(value, users, {**style, kind: True}))
                yield sign + inner[0][0] + (sign if len(inner) == 1 else ""), inner[0][1]
                for place, (stored, element) in enumerate(inner[1:], start=2):
                    yield stored + (sign if place == len(inner) else ""), element
    if at < len(text):
        yield _words(text[at:], styled)


def _words(text: str, styled: Json) -> tuple[str, Json]:
    return escape(text), {"type": "text", "text": text, **styled}
