"""Text as the phrases see it: one form for every way people type the same words.

Rule: `fold` changes characters one for one, so that a place in the folded text is the same place in what was written;
`squeeze` then drops what only emphasis or a keyboard adds, and keeps the words and their order.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

LONGEST = 4_000  # characters of a message that are read; what matters is said before that, and time stays bounded

# Letters that a keyboard, a habit or a dialect swaps for each other. Decomposition does not join these.
_SAME = {
    "ı": "i",
    "İ": "i",
    "I": "i",
    "ß": "s",
    "ẞ": "s",
    "ø": "o",
    "đ": "d",
    "ł": "l",
    "ə": "e",
    "й": "й",  # a letter of its own, not an и with a sign
    "Й": "й",
    "ё": "е",
    "Ё": "е",
    "أ": "ا",
    "إ": "ا",
    "آ": "ا",
    "ٱ": "ا",
    "ى": "ي",
    "ی": "ي",
    "ئ": "ي",
    "ؤ": "و",
    "ة": "ه",
    "ک": "ك",
    "گ": "ك",
    "ـ": "'",  # the stretch of Arabic typography
    "’": "'",
    "‘": "'",
    "ʼ": "'",
    "`": "'",
    "´": "'",
    "\u200c": "'",
    "\u200d": "'",
    "\ufe0f": "'",
    "\u00ad": "'",
}
_LAST_PLAIN = 0x3000  # scripts after this one have neither case nor signs


class _Folding(dict[int, int]):
    """Grows by the characters it meets, so nothing is paid for scripts nobody writes."""

    def __missing__(self, code: int) -> int:
        folded = _folded(chr(code)) if code < _LAST_PLAIN else code
        if code < _LAST_PLAIN:
            self[code] = folded
        return folded


def _folded(char: str) -> int:
    if char in _SAME:
        return ord(_SAME[char])
    if unicodedata.combining(char):
        return ord("'")
    if char.isdecimal():
        return ord(str(unicodedata.decimal(char)))
    base = unicodedata.normalize("NFD", char)[0] if unicodedata.decomposition(char)[:1] not in ("", "<") else char
    lower = base.lower()
    lower = _SAME.get(lower, lower)
    return ord(lower) if len(lower) == 1 else ord(char)


_FOLDING = _Folding()
_REPEATED = re.compile(r"'+|([^\W\d_])(?:'*\1)+")
_TWICE = re.compile(r"(.)\1", re.DOTALL)  # half of all messages have no such place, and finding none is quick
# A word may hold apostrophes and signs; a sign of the emoji blocks is a word of its own; so is what ends a sentence.
_EMOJI = "\u2600-\u27bf\u2b50\U0001f300-\U0001faff"
_STOP = r"[.!?…;:\n,،؟؛()]"
_WORD = re.compile(rf"[^\W_]+(?:'+[^\W_]+)*|[{_EMOJI}]|{_STOP}(?:'*{_STOP})*")
_ENDS = frozenset(".!?…\n؟")


@dataclass(frozen=True, slots=True)
class Typed:
    """A text in the forms that deciding looks at."""

    folded: str
    tokens: tuple[str, ...]


@lru_cache(maxsize=8)  # language and words of one message are read one after the other: the second finds it done
def typed(text: str) -> Typed:
    """`fold`, `squeeze` and `tokens` of a text at once."""
    folded = fold(text)
    return Typed(folded, tuple(tokens(squeeze(folded))))


def fold(text: str) -> str:
    """`text` in one case and without signs, every character in its place: İ, I, ı and i are one, ё is е, أ is ا.

    Signs and apostrophes become a plain apostrophe.
    """
    return text.translate(_FOLDING)


def squeeze(folded: str) -> str:
    """Folded text without apostrophes and with every letter once: "nerdeee" is "nerde", "don't" is "dont"."""
    return _REPEATED.sub(r"\1", folded) if "'" in folded or _TWICE.search(folded) else folded


def tokens(squeezed: str) -> list[str]:
    """Words, emoji and runs of punctuation in their order. The same places hold them before squeezing: see `places`."""
    return _WORD.findall(squeezed)


def places(folded: str, count: int | None = None) -> list[tuple[int, int]]:
    """Where each of the `tokens`, or of the first `count`, stands in the folded text, and so in what was written."""
    return [match.span() for match in islice(_WORD.finditer(folded), count)]


def is_word(token: str) -> bool:
    """Whether a token is a word or an emoji, not punctuation."""
    return token[0].isalnum() or token[0] > "\u2600"


def ends_sentence(token: str) -> bool:
    """Whether punctuation ends more than a clause."""
    return not _ENDS.isdisjoint(token)
