"""How long an SMS is: in septets of GSM-7, in units of UCS-2, and in the parts that carriers bill. Pure.

Rule: one character outside GSM-7 makes the whole text UCS-2, which more than halves what a part holds: one ş does it.
Figures: 3GPP TS 23.038 §6.2.1 (alphabet), TS 23.040 §9.2.3.24.1 (parts), and what Twilio bills. Twilio does not use the
national tables of the standard, so that Turkish ğ, ı, İ, ş and small ç are outside.
"""

from __future__ import annotations

GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")  # behind an escape, so two septets each

ONE_GSM, PART_GSM = 160, 153  # septets of a lone part, and of one among several, whose header takes seven
ONE_UCS2, PART_UCS2 = 70, 67  # UTF-16 units

MOST = 1500
"""`weight` of a text that surely fits into ten parts: each may stay a septet or a unit short of full."""


def segments(text: str) -> int:
    """In how many parts a text travels and is billed; none for an empty one. No character is cut in two."""
    if not text:
        return 0
    gsm = septets(text)
    one, part = (ONE_UCS2, PART_UCS2) if gsm is None else (ONE_GSM, PART_GSM)
    sizes = [_units(char) if gsm is None else _septets(char) for char in text]
    if sum(sizes) <= one:
        return 1
    parts, room = 1, part
    for size in sizes:
        if size > room:
            parts, room = parts + 1, part
        room -= size
    return parts


def septets(text: str) -> int | None:
    """The length in GSM-7, None where it cannot be written in it."""
    if not all(char in GSM or char in EXTENDED for char in text):
        return None
    return sum(_septets(char) for char in text)


def units(text: str) -> int:
    """The length in UTF-16 units: 😀 is two."""
    return len(text) if text.isascii() else sum(_units(char) for char in text)


def weight(text: str) -> int:
    """How much of a long SMS a text takes, in septets; a unit of UCS-2 takes as much of a part as 153/67 of them."""
    gsm = septets(text)
    return gsm if gsm is not None else -(-units(text) * PART_GSM // PART_UCS2)


def _septets(char: str) -> int:
    return 2 if char in EXTENDED else 1


def _units(char: str) -> int:
    return 2 if char > "\uffff" else 1
