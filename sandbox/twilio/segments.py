"""How many parts a text message takes, and the look-alikes SmartEncoded folds.

Rule: pure. GSM 03.38's basic alphabet only: Twilio does not use the national shift tables, so one Turkish letter
turns a whole text into UCS-2. Page: www.twilio.com/docs/glossary/what-sms-character-limit.
"""

from __future__ import annotations

from collections.abc import Iterable

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("^{}\\[~]|€\f")  # behind an escape: two septets
FOLDED = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " ", "`": "'"}
)


def smart(text: str) -> str:
    """Fold the look-alikes that alone would make a text UCS-2."""
    return text.translate(FOLDED)


def septets(text: str) -> int | None:
    """Length in GSM-7, or None for a text that does not fit into it."""
    if any(letter not in BASIC and letter not in EXTENSION for letter in text):
        return None
    return len(text) + sum(letter in EXTENSION for letter in text)


def units(text: str) -> int:
    """Length in UTF-16 units, as UCS-2 and Twilio's limit of 1600 count."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def segments(text: str) -> int:
    """Count the parts; a character is never torn apart between two of them. An empty text is one part."""
    length = septets(text)
    if length is not None:
        return 1 if length <= 160 else _packed((1 + (letter in EXTENSION) for letter in text), 153)
    return 1 if units(text) <= 70 else _packed((units(letter) for letter in text), 67)


def _packed(widths: Iterable[int], room: int) -> int:
    parts, used = 1, 0
    for width in widths:
        if used + width > room:
            parts, used = parts + 1, 0
        used += width
    return parts
