"""Slack's limits on what is posted, as one check: `broken(post)` names every limit that a post or view would break."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ACTIVE = re.compile(r"<[!@#]|@(?:here|channel|everyone)", re.IGNORECASE)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
SAFE_LINK = re.compile(r"(?:https?://|mailto:|tel:)\S+", re.IGNORECASE)
RICH = {"rich_text_section", "rich_text_preformatted", "rich_text_quote", "rich_text_list"}
WORKSPACE = "https://kumbara.slack.com/"  # nothing a customer writes becomes a link there
OURS = (
    r"<!date\^\d+\^[^|<>]+\|[^<>]*>|<@U0AGENT001>|<@U0MEHMET01>|<!subteam\^S0GROUP001>"
    r"|<#C0[A-Z0-9]+>|<https://kumbara\.slack\.com/[^|<>]*\|[^<>]*>"
)
BUTTON_KEYS = {"type", "action_id", "text", "value", "style"}


def broken(text: str, blocks: Sequence[Mapping[str, Any]], *, most: int = 50) -> list[str]:
    return [*_fallback(text), *_blocks(blocks, most)]


def strings(value: object) -> Iterator[str]:
    """Every text anywhere inside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)


def view(made: Mapping[str, Any]) -> list[str]:
    found = _blocks(made["blocks"], 100)
    for part in {"title", "submit", "close"} & set(made):
        found += _text(made[part], 24, kinds=("plain_text",))
    if any(block["type"] == "input" for block in made["blocks"]) and "submit" not in made:
        found.append("an input and nothing to submit it")
    if len(json.dumps(made)) > 250_000:  # "view_too_large", and Slack's SDK sends what is not ASCII escaped
        found.append(f"a view of {len(json.dumps(made))} bytes")
    if len(made["private_metadata"]) > 3000 or len(made["callback_id"]) > 255:
        found.append("view ids too long")
    return found


def _fallback(text: str) -> list[str]:
    found = [] if text.strip() else ["no text"]
    if len(text) > 4000:
        found.append("text beyond chat.update's limit")
    if re.search(r"&(?!amp;|lt;|gt;)", text):
        found.append("a cut or foreign entity")
    return found + _clean(text)


def _blocks(blocks: Sequence[Mapping[str, Any]], most: int) -> list[str]:
    found = [] if 0 < len(blocks) <= most else [f"{len(blocks)} blocks"]
    for block in blocks:
        match block["type"]:
            case "header":
                found += _text(block["text"], 150, kinds=("plain_text",))
            case "section":
                found += _text(block["text"], 3000)
            case "context":
                if not 0 < len(block["elements"]) <= 10:
                    found.append("context elements")
                for element in block["elements"]:
                    found += _text(element, 3000)
            case "actions":
                if not 0 < len(block["elements"]) <= 25:
                    found.append("actions elements")
                ids = [element["action_id"] for element in block["elements"]]
                if len(set(ids)) != len(ids):
                    found.append("an action twice in one block")
                for element in block["elements"]:
                    found += _button(element)
            case "rich_text":
                found += _rich(block)
            case "divider":
                found += [] if set(block) <= {"type", "block_id"} else ["divider"]
            case "input":
                found += _text(block["label"], 2000, kinds=("plain_text",))
                if len(block["element"].get("initial_value", "")) > block["element"]["max_length"]:
                    found.append("initial_value beyond max_length")
            case other:
                found.append(f"unexpected block {other}")
    return found


def _text(text: Mapping[str, Any], limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> list[str]:
    found = [] if text["type"] in kinds else [f"{text['type']} where {kinds} belongs"]
    if not 0 < len(text["text"]) <= limit or not text["text"].strip():
        found.append(f"text of {len(text['text'])} where {limit} is the limit")
    if text["type"] == "mrkdwn":
        if not text.get("verbatim"):
            found.append("mrkdwn that Slack would search for mentions")
        if re.search(r"&(?!amp;|lt;|gt;)", text["text"]):
            found.append("a cut or foreign entity")
        ours = re.sub(OURS, "", text["text"])
        return found + _clean(ours) + (["raw angle bracket"] if re.search("[<>]", ours) else [])
    return found + _clean(text["text"])


def _button(button: Mapping[str, Any]) -> list[str]:
    found = _text(button["text"], 75, kinds=("plain_text",))
    if button["type"] != "button" or not set(button) <= BUTTON_KEYS:
        found.append("not a button")
    if not 0 < len(button["value"]) <= 2000 or not 0 < len(button["action_id"]) <= 255:
        found.append("button value or id")
    if button.get("style", "primary") not in {"primary", "danger"}:
        found.append("button style")
    return found


def _rich(block: Mapping[str, Any]) -> list[str]:
    found = [] if block["elements"] else ["empty rich_text"]
    total = 0
    for element in block["elements"]:
        if element["type"] not in RICH or not element["elements"]:
            found.append("empty or unknown rich_text element")
        for inner in element["elements"]:
            style = inner.get("style", {})
            if not set(style) <= {"bold", "italic", "strike", "code"} or ("style" in inner and not style):
                found.append("style")
            if element["type"] == "rich_text_preformatted" and style:
                found.append("style inside code")
            match inner["type"]:
                case "text":
                    found += ["empty text"] if not inner["text"] else _clean(inner["text"])
                    total += len(inner["text"])
                case "link":
                    if not SAFE_LINK.fullmatch(inner["url"]) or len(inner["url"]) > 3000:
                        found.append(f"link to {inner['url']!r}")
                    ours = inner["url"].startswith(WORKSPACE)
                    if not ours and "text" in inner and inner["text"].split("//")[-1] not in inner["url"]:
                        found.append("a link whose label is not its target")
                    total += len(inner.get("text", inner["url"]))
                case "channel":
                    if not re.fullmatch(r"C[A-Z0-9]+", inner["channel_id"]):
                        found.append("channel id")
                case "usergroup":
                    if not re.fullmatch(r"S[A-Z0-9]+", inner["usergroup_id"]):
                        found.append("user group id")
                case "user":
                    if not re.fullmatch(r"[UW][A-Z0-9]+", inner["user_id"]):
                        found.append("user id")
                case "date":
                    if not isinstance(inner["timestamp"], int) or "{" not in inner["format"]:
                        found.append("date")
                case other:
                    found.append(f"unexpected rich text {other}")
    return [*found, f"{total} characters in one rich_text"] if total > 3000 else found


def _clean(text: str) -> list[str]:
    found = [f"active mention in {text[:80]!r}"] if ACTIVE.search(_without_ours(text)) else []
    return [*found, "control or bidi character"] if CONTROL.search(text) else found


def _without_ours(text: str) -> str:
    return re.sub(OURS, "", text)
