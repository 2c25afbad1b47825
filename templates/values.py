"""Values that are put into texts: plain, short, and in the direction they are written in.

Rule: what a customer calls themselves is data: nothing of it reaches anybody as a link, or as a sign that turns text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from babel import Locale, UnknownLocaleError

from templates.reply import VARIABLES, base

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€\f")  # two septets each: 3GPP TS 23.038
FSI, PDI, RLM = "\u2068", "\u2069", "\u200f"  # first strong isolate, its end, right-to-left mark

_JOINERS = frozenset("\u200c\u200d")  # Persian words and many emoji are held together by these
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # count as letters or signs, and show nothing
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Mn", "Me"))  # a mark over nothing is nothing
_NO_NAME = re.compile(r"://|www\.|[@/\\<>]|\w\.\w\w", re.IGNORECASE)


def shows(text: str) -> bool:
    """Tell whether anything of a text can be seen: spaces, joiners and marks that stand alone cannot."""
    return any(not sign.isspace() and sign not in _BLANK and unicodedata.category(sign) not in _UNSEEN for sign in text)


def clean(name: str, value: str) -> str:
    """Make the value of a variable plain words on one line: no control or direction characters, not too long.

    A customer's name that has no letters, or looks like a link, is no name and becomes "": who fills in a
    form with another person's address must not make us send that person an advertisement. Raises `ValueError` for a
    name that is no variable.
    """
    if name not in VARIABLES:
        raise ValueError(f"{name} is not a variable")
    signs = (" " if sign.isspace() else sign for sign in unicodedata.normalize("NFC", value))
    kept = (sign for sign in signs if sign in _JOINERS or unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co"))
    plain = " ".join("".join(sign for sign in kept if sign not in _BLANK).split()).strip("\u200c\u200d")
    if name == "customer" and (_NO_NAME.search(plain) or not any(sign.isalpha() for sign in plain)):
        return ""
    return _shortened(plain, VARIABLES[name])


def _shortened(plain: str, most: int) -> str:
    if len(plain) <= most:
        return plain
    head, space, _ = plain[:most].rpartition(" ")
    cut = head if space and len(head) > most // 2 else plain[: most - 1]
    while cut and (cut[-1] in _JOINERS or unicodedata.combining(plain[len(cut)])):
        cut = cut[:-1]
    return f"{cut.rstrip()}…"


_PLAIN_NUMBERS = re.compile(r"\d+(?:[:.,/]\d+)*|\d+:\d+(?:[\s,،–-]+\d+:\d+)*")
_ENDS = " ,.;:،"  # belong to the sentence around


def isolated(value: str, language: str) -> str:
    """Keep a value in one piece among words that run the other way (Unicode isolates, UAX 9).

    A number and clock times stay as they are: digits keep their order by themselves, and a span of times is read in the
    direction of the text.
    """
    if not right_to_left(language):
        return f"{FSI}{value}{PDI}" if any(map(_runs_left, value)) else value
    made: list[str] = []
    foreign: list[str] = []
    for word in [*value.split(" "), ""]:
        if word and not any(map(_runs_left, word)):
            foreign.append(word)
            continue
        run = " ".join(foreign)
        core = run.rstrip(_ENDS)
        if _PLAIN_NUMBERS.fullmatch(core) or not any(sign.isalnum() for sign in core):
            made += [run, word]
        else:
            made += [f"{FSI}{core}{PDI}{run[len(core) :]}", word]
        foreign = []
    return " ".join(part for part in made if part)


def _runs_left(sign: str) -> bool:
    return unicodedata.bidirectional(sign) in ("R", "AL")


@lru_cache(maxsize=64)
def right_to_left(language: str) -> bool:
    try:
        return Locale.parse(base(language)).text_direction == "rtl"
    except (UnknownLocaleError, ValueError):
        return False


def fits_segment(text: str) -> bool:
    """Tell whether a text is one SMS segment: 160 characters of the GSM alphabet, or 70 UTF-16 units of anything."""
    if all(sign in _GSM or sign in _GSM_TWICE for sign in text):
        return len(text) + sum(sign in _GSM_TWICE for sign in text) <= 160
    return len(text.encode("utf-16-le", "surrogatepass")) // 2 <= 70
