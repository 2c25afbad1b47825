"""The window that shows a message whole: where it came from and all its words, the quoted past and signature too.

Rule: plain text within Slack's limits on windows. What does not fit is counted, and kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels.message import Proof
from desk.blocks import MOMENT, Block, context, plain_text
from desk.words import one_line, pieces
from templates.catalog import Voice

BLOCKS = 96  # of the 100 that Slack takes in a window, the rest are headings
WEIGHT = 180_000  # of the 250,000 bytes that Slack takes as a window, counted as the JSON of Slack's SDK
HEADER = 300  # code points of one header


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A message as it came. `channels` are the names of those by which it came, the first one first."""

    sender: str
    address: str
    channels: tuple[str, ...]
    at: datetime
    subject: str = ""
    text: str = ""
    hidden: str = ""
    proof: Proof = Proof.CLAIMED
    why: str = ""


def window(message: Original, say: Voice) -> dict[str, Any]:
    """Made for `views.open`. It has nothing to submit."""
    blocks: list[Block] = [_headers(message, say)]
    room = _Room()
    for heading, text in (("words", message.text), ("hidden", message.hidden)):
        if not text.strip():
            continue
        blocks.append({"type": "divider"})
        blocks.append(context(plain_text(say(f"original.{heading}"))))
        shown = 0
        for piece in room.take(pieces(text)):
            shown += len(piece)
            blocks.append({"type": "section", "text": {"type": "plain_text", "text": piece, "emoji": False}})
        if room.full:
            blocks.append(context(plain_text(say("original.cut", count=max(len(text) - shown, 1)))))
            break
    return {
        "type": "modal",
        "callback_id": "original",
        "private_metadata": "",
        "title": plain_text(say("original.title")),
        "close": plain_text(say("original.close")),
        "blocks": blocks,
    }


class _Room:
    """How much of a window is left. Slack's SDK escapes every letter that is not ASCII into six bytes or twelve."""

    def __init__(self) -> None:
        self._blocks = BLOCKS - 7  # the headers, two headings of two blocks each, what was cut
        self._weight = WEIGHT
        self.full = False

    def take(self, parts: Iterator[str]) -> Iterator[str]:
        for part in parts:
            escaped = sum(11 if char > "\uffff" else 5 for char in part if not char.isascii())
            weight = len(part) + escaped + sum(map(part.count, '\n"\\')) + 100
            if self._blocks <= 0 or weight > self._weight:
                self.full = True
                return
            self._blocks -= 1
            self._weight -= weight
            yield part


def _headers(message: Original, say: Voice) -> Block:
    proof = say.word("proof", message.proof.name.lower())
    who = f"{message.sender} <{message.address}>" if message.sender else message.address
    at = {
        "type": "date",
        "timestamp": int(message.at.timestamp()),
        "format": MOMENT,
        "fallback": f"{message.at:%Y-%m-%d %H:%M %Z}",
    }
    lines: list[tuple[str, str | Block]] = [
        ("from", who),
        ("to", ", ".join(message.channels)),
        ("date", at),
        ("subject", message.subject),
        ("proof", f"{proof}: {message.why}" if message.why else proof),
    ]
    elements: list[Block] = []
    for name, value in lines:
        shown = value if isinstance(value, dict) else {"type": "text", "text": one_line(value, HEADER)}
        if shown.get("text") == "":
            continue
        label = f"{say(f'original.{name}')}: "
        start = "\n" if elements else ""
        elements += [{"type": "text", "text": start + label, "style": {"bold": True}}, shown]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}
