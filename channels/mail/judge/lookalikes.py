"""Domains made to be taken for others: letters of two alphabets, Punycode that reads like Latin, a name inside a name.

Rule: an honest international domain is no look-alike; only what cannot be told from something else by eye is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "GEORGIAN")
# Letters of other alphabets, and digits, that are drawn like Latin ones.
_DRAWN = str.maketrans(
    "аіӏοеорсухѕјԛԝһԁɡҽνυτικρωαβγεηьвкмнтг01ı",
    "aiioeopcyxsjqwhdgevutikpwabyenbbkmhtroii",
)
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def looks_alike(domain: str, ours: Iterable[str]) -> bool:
    """Whether a domain imitates one of ours or hides what alphabet it is written in."""
    name = domain.lower().rstrip(".")[:253]
    labels = [_readable(label) for label in name.split(".")]
    if any(label is None for label in labels):
        return True  # Punycode that means nothing
    shown = ".".join(label or "" for label in labels)
    if any(_mixed(label or "") or _all_drawn(label or "") for label in labels):
        return True
    for own in ours:
        if shown == own or shown.endswith("." + own):
            continue
        if _drawn(shown) == _drawn(own) or f".{own}." in f".{shown}":
            return True
    return False


def _readable(label: str) -> str | None:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return None


def _mixed(label: str) -> bool:
    scripts = {_script(letter) for letter in label if letter.isalpha()}
    return len(scripts & set(_SCRIPTS)) > 1


def _all_drawn(label: str) -> bool:
    """Wholly Cyrillic or Greek, and every letter of it is drawn like a Latin one: аррӏе."""
    letters = [letter for letter in label if letter.isalpha()]
    foreign = [letter for letter in letters if _script(letter) in ("CYRILLIC", "GREEK")]
    return len(foreign) > 2 and len(foreign) == len(letters) and _drawn(label).isascii()


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _drawn(text: str) -> str:
    """What a text looks like in Latin letters without accents."""
    plain = "".join(x for x in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(x))
    plain = plain.translate(_DRAWN).replace("l", "i")
    for pair, one in _PAIRS:
        plain = plain.replace(pair.replace("l", "i"), one)
    return plain
