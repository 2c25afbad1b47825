"""Telegram's rules for text: lengths in UTF-16 units, entities, parse modes, what is found by itself.

Rule: pure. Every refusal is an `ApiError` in Telegram's words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

from sandbox.journal import Json
from sandbox.telegram.values import ApiError, bad_request

MAX_TEXT = 4096  # core.telegram.org/bots/api#sendmessage, after entities parsing
MAX_CAPTION = 1024
MAX_ENTITIES = 100  # core.telegram.org/api/entities: the rest is ignored

PLAIN_ENTITIES = frozenset(
    {
        "mention",
        "hashtag",
        "cashtag",
        "bot_command",
        "url",
        "email",
        "phone_number",
        "bold",
        "italic",
        "underline",
        "strikethrough",
        "spoiler",
        "blockquote",
        "expandable_blockquote",
        "code",
    }
)
FOUND = re.compile(
    r"(?P<url>https?://[^\s<>\"]+|www\.[^\s<>\"]+)"
    r"|(?P<email>[\w.+-]+@[\w-]+\.[\w.-]*\w)"
    r"|(?<!\w)(?P<bot_command>/[A-Za-z0-9_]{1,64}(?:@\w{3,32})?)(?!\w)"
    r"|(?<!\w)(?P<mention>@[A-Za-z]\w{3,31})"
    r"|(?<!\w)(?P<hashtag>#\w*[^\W\d]\w*)"
)
MARKS = {"*": "bold", "_": "italic", "__": "underline", "~": "strikethrough", "||": "spoiler", "`": "code"}
RESERVED = frozenset(">#+-=|{}.!")
TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "blockquote": "blockquote",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
}


def units(text: str) -> int:
    """Count as Telegram does: UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def written(text: str, entities: Any, parse_mode: str, limit: int, *, caption: bool) -> tuple[str, list[Json]]:
    """Read what a bot wants to say: the text as kept, with its entities. Raises `ApiError`."""
    if parse_mode and not entities:
        text, given = parsed(text, parse_mode)
    else:
        given = checked(text, entities or [])
    kept, given = trimmed(text.replace("\r", "").replace("\x00", ""), given)
    if not kept and not caption:
        raise bad_request("message text is empty")
    if units(kept) > limit:
        raise bad_request("message caption is too long" if caption else "message is too long")
    return kept, with_found(kept, given)


def checked(text: str, entities: Any) -> list[Json]:
    """Check entities against the text they belong to. Unknown types and links without a URL are dropped, as there."""
    if not isinstance(entities, list):
        raise bad_request("expected an Array of MessageEntity")
    total, inner = units(text), _inner(text)
    good: list[Json] = []
    for entity in entities[:MAX_ENTITIES]:
        if not isinstance(entity, dict):
            raise bad_request("expected an Object as MessageEntity")
        start, length = entity.get("offset"), entity.get("length")
        if not isinstance(start, int) or not isinstance(length, int):
            raise bad_request('Field "offset" must be of type Number')
        if start < 0 or start > total:
            raise bad_request(f"receive an entity with incorrect offset {start}")
        if length < 0 or start + length > total:
            raise bad_request(f"receive an entity with incorrect length {length}")
        for where, verb in ((start, "begins"), (start + length, "ends")):
            if where in inner:
                raise bad_request(f"entity {verb} in a middle of a UTF-16 symbol at byte offset {where}")
        if length and _meaningful(entity):
            good.append(entity)
    return sorted(good, key=lambda entity: (entity["offset"], -entity["length"]))


def _meaningful(entity: Json) -> bool:
    kind = entity.get("type")
    if kind == "text_link":
        return bool(re.match(r"(https?|tg|mailto|tel|ton|ftp)://?\S|[\w-]+\.\w{2,}", str(entity.get("url", ""))))
    if kind == "pre":
        return True
    return kind in PLAIN_ENTITIES


def _inner(text: str) -> frozenset[int]:
    """Find the offsets that lie between the two halves of a character."""
    places, at = [], 0
    for character in text:
        wide = ord(character) > 0xFFFF
        if wide:
            places.append(at + 1)
        at += 2 if wide else 1
    return frozenset(places)


def trimmed(text: str, entities: Sequence[Json]) -> tuple[str, list[Json]]:
    """Strip white space from both ends, as Telegram does, and move the entities along."""
    kept = text.strip()
    lead, total = units(text) - units(text.lstrip()), units(kept)
    moved: list[Json] = []
    for entity in entities:
        start = max(0, entity["offset"] - lead)
        end = min(total, entity["offset"] + entity["length"] - lead)
        if end > start:
            moved.append({**entity, "offset": start, "length": end - start})
    return kept, moved


def with_found(text: str, entities: Sequence[Json]) -> list[Json]:
    """Add the links, commands and mentions Telegram finds by itself, outside of those given."""
    all_entities = list(entities)
    taken = [(entity["offset"], entity["offset"] + entity["length"]) for entity in entities]
    for match in FOUND.finditer(text):
        start, length = units(text[: match.start()]), units(match.group())
        if all(start >= right or start + length <= left for left, right in taken):
            all_entities.append({"offset": start, "length": length, "type": match.lastgroup})
    return sorted(all_entities, key=lambda entity: (entity["offset"], -entity["length"]))


def parsed(text: str, mode: str) -> tuple[str, list[Json]]:
    """Read text in a parse mode. Raises `ApiError` where the mark-up is broken."""
    match mode.lower():
        case "html":
            reader = _Html()
            reader.feed(text)
            reader.close()
            return reader.result()
        case "markdownv2":
            return _markdown(text, strict=True)
        case "markdown":
            return _markdown(text, strict=False)
    raise bad_request("unsupported parse_mode")


def _broken(words: str) -> ApiError:
    return bad_request(f"can't parse entities: {words}")


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._text = ""
        self._open: list[tuple[str, int, Json]] = []
        self._entities: list[Json] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS and not (tag == "span" and ("class", "tg-spoiler") in attrs):
            raise _broken(f'Unsupported start tag "{tag}" at byte offset {self.getpos()[1]}')
        entity: Json = {"type": TAGS.get(tag, "spoiler")}
        if tag == "a":
            entity["url"] = dict(attrs).get("href") or ""
        self._open.append((tag, units(self._text), entity))

    def handle_endtag(self, tag: str) -> None:
        if not self._open:
            raise _broken(f"Unexpected end tag at byte offset {self.getpos()[1]}")
        expected, start, entity = self._open.pop()
        if tag != expected:
            where = self.getpos()[1]
            raise _broken(f'Unmatched end tag at byte offset {where}, expected "</{expected}>", found "</{tag}>"')
        self._entities.append({"offset": start, "length": units(self._text) - start, **entity})

    def handle_data(self, data: str) -> None:
        self._text += data

    def result(self) -> tuple[str, list[Json]]:
        if self._open:
            raise _broken(f'Can\'t find end tag corresponding to start tag "{self._open[-1][0]}"')
        return self._text, checked(self._text, self._entities)


def _markdown(text: str, *, strict: bool) -> tuple[str, list[Json]]:
    """Read Markdown. Links `[words](url)` and the marks; in MarkdownV2 every other reserved character is an error."""
    out, entities, at = "", list[Json](), 0
    opened: dict[str, tuple[int, int]] = {}
    while at < len(text):
        here = text[at]
        if here == "\\" and at + 1 < len(text) and ord(text[at + 1]) < 127:
            out, at = out + text[at + 1], at + 2
            continue
        pair = text[at : at + 2]
        mark = pair if strict and pair in MARKS else here
        link = re.match(r"\[((?:[^\]\\]|\\.)*)\]\(((?:[^)\\]|\\.)*)\)", text[at:])
        if link:
            entity = {"type": "text_link", "offset": units(out), "length": units(link[1]), "url": link[2]}
            out, at, entities = out + link[1], at + link.end(), [*entities, entity]
        elif mark in MARKS and (strict or mark in "*_`"):
            if mark in opened:
                start, _ = opened.pop(mark)
                entities.append({"type": MARKS[mark], "offset": start, "length": units(out) - start})
            else:
                opened[mark] = (units(out), at)
            at += len(mark)
        elif strict and (here in RESERVED or here in "[]()"):
            raise _broken(f"Character '{here}' is reserved and must be escaped with the preceding '\\'")
        else:
            out, at = out + here, at + 1
    if opened:
        mark, (_, where) = next(iter(opened.items()))
        raise _broken(f"Can't find end of {MARKS[mark].capitalize()} entity at byte offset {where}")
    return out, checked(out, entities)
