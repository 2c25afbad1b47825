"""What tells languages of one alphabet apart: how often three letters follow each other, learned from example messages.

Rule: learned from folded text, so that Turkish without its signs and German with ue look like themselves; Russian and
Arabic in Latin letters have profiles of their own. `learn` made `routing/words/profiles.json`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

from routing.folding import fold, squeeze, tokens

_KEPT = 2_300  # threes of letters; the rarer ones weigh next to nothing
_TELLING = 3  # tenths of a nat; less tells nothing
_STEP = 10  # stored weights are tenths of a nat
_PRIOR = 0.4  # of a sighting, for every three not seen

_LATIN = (
    dict(zip("абвгдезийклмнопрстуфыэ", "abvgdeziyklmnoprstufye", strict=True)),
    {"ж": "zh", "х": "h", "ц": "c", "ч": "ch", "ш": "sh", "щ": "sch", "ю": "yu", "я": "ya", "ъ": "", "ь": "", "ё": "e"},
    {"ж": "j", "х": "kh", "ц": "ts", "ю": "u", "я": "ia", "й": "i", "щ": "shch"},
)
LATIN_RUSSIAN = str.maketrans({**_LATIN[0], **_LATIN[1]})
LATIN_RUSSIAN_OTHERWISE = str.maketrans({**_LATIN[0], **_LATIN[1], **_LATIN[2]})

Profile = Mapping[str, float]


def threes(word: str) -> Iterable[str]:
    """The threes of letters of a folded and squeezed word, its edges marked."""
    edged = f" {word} "
    return (edged[at : at + 3] for at in range(len(edged) - 2))


def learn(texts: Mapping[str, Iterable[str]]) -> dict[str, dict[str, int]]:
    """Weights per language: tenths of a nat by which a three speaks for it, against all languages together."""
    counts = {language: Counter(_all_threes(found)) for language, found in texts.items()}
    totals = {language: sum(count.values()) or 1 for language, count in counts.items()}
    known = set().union(*counts.values())
    weights: dict[str, dict[str, int]] = {language: {} for language in texts}
    for three in known:
        shares = {
            language: (counts[language][three] + _PRIOR) / (totals[language] + _PRIOR * len(known))
            for language in texts
        }
        middle = sum(shares.values()) / len(shares)
        for language, share in shares.items():
            weights[language][three] = round(math.log(share / middle) * _STEP)
    chosen = [three for three, _ in sum(counts.values(), Counter[str]()).most_common(_KEPT)]
    return {
        language: {three: of[three] for three in chosen if abs(of[three]) >= _TELLING}
        for language, of in weights.items()
    }


def _all_threes(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        for token in tokens(squeeze(fold(text))):
            if token.isalpha() and token.isascii():
                yield from threes(token)


@cache
def profiles() -> Mapping[str, Profile]:
    """The learned profiles by language; Latin Russian is "ru"."""
    text = (resources.files("routing") / "words" / "profiles.json").read_text(encoding="utf-8")
    stored: dict[str, dict[str, int]] = json.loads(text)
    return {language: {three: weight / _STEP for three, weight in found.items()} for language, found in stored.items()}
