"""Which of the shop's languages a message is in: by script, by letters only one language has, by its commonest words.

Rule: a guess among the shop's languages only, made in microseconds; the sender's app is asked last, because people set
their phones to a language they do not write in.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_SCRIPTS = {
    "CYRILLIC": ("ru", "uk", "bg", "sr", "be", "kk", "mk"),
    "ARABIC": ("ar", "fa", "ur"),
    "GREEK": ("el",),
    "HEBREW": ("he",),
    "HANGUL": ("ko",),
    "HIRAGANA": ("ja",),
    "KATAKANA": ("ja",),
    "CJK": ("zh", "ja"),
    "GEORGIAN": ("ka",),
    "ARMENIAN": ("hy",),
    "THAI": ("th",),
    "DEVANAGARI": ("hi",),
}
_LETTERS = {
    "tr": "ğış",
    "de": "ßä",
    "uk": "іїєґ",
    "fr": "êœèà",
    "es": "ñ¿¡",
    "pl": "łżźśćń",
    "az": "ə",
    "ro": "țăș",
    "pt": "ãõ",
}
_WORDS = {
    "tr": "merhaba selam slm bir bu ne nerede nerde nasil nasıl siparis siparisim siparişim kargo kargom "
    "kargoya var yok icin için ve ama lutfen lütfen tesekkurler teşekkürler iade degil değil mi musunuz "
    "misiniz istiyorum geldi gelmedi hala",
    "en": "the is my a i to and you it have has where when what please thanks thank hello hi order not was can "
    "do how for of return refund still",
    "de": "der die das ich ist und nicht mein meine wo wann bitte danke hallo eine ein wie bestellung noch habe "
    "ihr sie für zu",
    "fr": "le la les je est et pas mon ma où quand merci bonjour une un comment commande vous pour mais de",
    "es": "el la los es y no mi donde cuando gracias hola un una como pedido por para que de está",
    "ru": "где мой заказ и не как когда здравствуйте спасибо пожалуйста привет это я на",
    "it": "il lo la è e non mio dove quando grazie ciao un una come ordine per che di",
    "nl": "de het een is en niet mijn waar wanneer bedankt hallo hoe bestelling voor ik",
}
_STRONG = 3  # a letter that only one language has weighs as much as this many common words
_COMMON = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_TOKEN = re.compile(r"[^\W\d_]+")


def guess(text: str, languages: Sequence[str], hint: str = "") -> str:
    """The likeliest of `languages` (BCP 47, the first is the fallback). `hint` is what the sender's app says."""
    bases = {language.partition("-")[0].lower(): language for language in reversed(languages)}
    sample = text[:2_000].lower().replace("i̇", "i")
    script = _script(sample)
    if script in _SCRIPTS:
        fitting = [base for base in _SCRIPTS[script] if base in bases]
    else:
        fitting = [base for base in bases if all(base not in group for group in _SCRIPTS.values())]
    if len(fitting) == 1 and script:
        return bases[fitting[0]]
    votes: Counter[str] = Counter()
    words = _TOKEN.findall(sample)
    for base in fitting:
        votes[base] += _STRONG * sum(1 for letter in _LETTERS.get(base, "") if letter in sample)
        votes[base] += sum(1 for word in words if word in _COMMON.get(base, ()))
    ranked = votes.most_common(2)
    if ranked and ranked[0][1] > 0 and (len(ranked) < 2 or ranked[0][1] > ranked[1][1]):
        return bases[ranked[0][0]]
    told = hint.partition("-")[0].lower()
    if told in bases and (told in fitting or not script):
        return bases[told]
    if fitting and script and bases.get(languages[0].partition("-")[0].lower()) not in [bases[x] for x in fitting]:
        return bases[fitting[0]]
    return languages[0]


def _script(text: str) -> str:
    """The script most letters are in: "LATIN", "CYRILLIC"…; "" for a text without letters."""
    if text.isascii():
        return "LATIN" if any(char.isalpha() for char in text) else ""
    found: Counter[str] = Counter()
    for char in text[:400]:
        if char.isalpha():
            found["LATIN" if char.isascii() else unicodedata.name(char, "").partition(" ")[0]] += 1
    return found.most_common(1)[0][0] if found else ""
