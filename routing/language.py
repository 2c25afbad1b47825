"""Which of the shop's languages a customer writes in: of one message, and settled over the conversation. Pure.

Rule: among the shop's languages only. A wish in words ("English please") wins over everything; then what is written,
the newest message most; the language of the sender's app is asked last, because people set their phones to a language
they do not write in. Emoji, links and order numbers say nothing.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from routing.folding import fold, squeeze, tokens, typed
from routing.language_profiles import profiles, threes
from routing.wishes import base_of, wish

_READ = 600  # characters; nobody changes the language after that
_WORDS_READ = 30
_REMEMBERED = 20_000  # words whose scores are known; about 6 MB
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
_OTHER_SCRIPTS = frozenset(language for group in _SCRIPTS.values() for language in group)
_LATIN_TOO = frozenset({"ru", "ar", "uk", "sr", "kk"})  # also typed in Latin letters
_LETTERS = {
    "tr": "ğış",
    "de": "ßä",
    "uk": "іїєґ",
    "be": "ўі",
    "kk": "әғқңөұүһ",
    "fa": "پچژگ",
    "fr": "êœèà",
    "es": "ñ¿¡",
    "pl": "łżźśćń",
    "az": "ə",
    "ro": "țăș",
    "pt": "ãõ",
}
# Words that a message of that language hardly does without, folded and squeezed when read. Those that two of the
# languages share ("var", "die", "so") are left to the profiles.
_WORDS = {
    "tr": "merhaba selam slm mrb bir bu ne nerede nerde nasil siparis siparisim kargo kargom kargoya yok icin ve ama "
    "lutfen tesekkurler tesekkur sagolun iade degil mi musunuz misiniz istiyorum geldi gelmedi hala tamam evet hayir "
    "neden niye cok daha ben siz gun kac lira beden mu acaba bunu abi abla kolay gelsin iyi gunler cevap bekliyorum",
    "en": "the is my a i to and you it have has where when what please thanks thank hello hi not was can do how for "
    "of still im dont where's order yes any this that are your with but got hey pls refund cancel whats wheres help",
    "de": "der das ich ist und nicht mein meine wo wann bitte danke hallo eine ein wie bestellung noch habe ihr sie "
    "für zu kein keine auf mit wurde paket moin nein wird gibt schon mal euch bekommen versand",
    "ru": "где мой моя заказ и не как когда здравствуйте спасибо пожалуйста привет это я на gde moi moy zakaz kogda "
    "zdravstvuyte zdravstvujte spasibo pozhaluysta pozhalujsta privet eto ya ne na net chto kak hochu dengi vernite "
    "posylka posilka tovar skolko mozhno est tak mne vam uzhe net pochemu kto dostavka otmenite dayte",
    "ar": "salam salaam marhaba ya fen wen wein shukran shokran inshallah mesh mish enta 3ayez 3awez law samaht "
    "meta emta kam el wallah habibi talabi talaby yalla mafeesh lessa order bta3y kteer",
    "fr": "le la les je est et pas mon ma où quand merci bonjour une un comment commande vous pour mais avec suis reçu",
    "es": "el los es y no mi donde dónde cuando gracias hola un una como pedido por para que está quiero mi llegado",
    "it": "il lo è e non mio dove quando grazie ciao un una come ordine per che di ho sono buongiorno pacco",
    "nl": "de het een en niet mijn waar wanneer bedankt hoe bestelling voor ik heb nog graag hallo pakket",
    "pl": "gdzie jest moje nie kiedy dziękuję proszę cześć dzień dobry zamówienie przesyłka i na czy mam",
    "pt": "o os é e não meu minha onde quando obrigado obrigada olá um uma como pedido por para que está",
    "ro": "unde este comanda mea nu când mulțumesc bună ziua și un pentru am coletul",
    "uk": "де мій моє замовлення і не як коли дякую будь ласка привіт це я на вітаю добрий день",
    "az": "salam harada sifariş sifarişim nə vaxt zəhmət olmasa təşəkkür bu mənim gəlmədi necə",
    "bg": "къде е моята поръчка не кога благодаря моля здравейте и на",
    "fa": "سلام کجاست سفارش من لطفا ممنون چه کی",
}
_LETTER, _WORD, _NO_WORD = 3.0, 2.5, -1.5  # nats; a word on the list speaks louder than its letters
_UNSEEN = -0.15  # nats for three letters no example had, in a language with a profile
_FOREIGN = 3.5  # who writes another script borrows Latin words and names, hardly ever the other way round
_LOUDEST = 14.0  # nats one message may add: a long one must not outvote a changed mind for ever
_FADING = 0.5  # what each message further back still counts
_KEPT = 2.0  # nats that the language of the conversation has ahead
_HINT = 0.3  # nats of the sender's app: only decides where words do not
_SHORT, _WHISPER = 2, 0.2  # words; and nats that so few may add where a name or a borrowed word could be meant

# A button of a messenger writes so, in no language; what follows a start is the code of a link.
_COMMAND = re.compile(r"^\s*/(?:start\s+\S+$|[A-Za-z_]+(?:@\w+)?)", re.ASCII)
_NOISE = re.compile(r"https?://\S+|www\.\S+|\S+@\S+|\S*\w\.\w{2,}/\S*|#\S+|\b\w*\d\w*\d\w*\b|\b[A-Z0-9]{2,}-?\d+\b")
_NOISY = re.compile(r"[@#/.\d](?:(?<!\.)|(?<=\w\.)(?=\w))")  # begins with one set, which is looked for fastest
_LETTER_RUNS = re.compile(r"[^\W\d_]+")
_SEVERAL = re.compile(rf"[^\W\d_](?:[\W\d_]+[^\W\d_]+){{{_SHORT}}}")  # words: more than are short
# The blocks of the usual scripts, by which a run of letters is known without asking for the name of each.
_WITHIN = {
    "LATIN": re.compile("[\x00-\u024f]+"),
    "CYRILLIC": re.compile("[\u0400-\u04ff]+"),
    "ARABIC": re.compile("[\u0620-\u06ff]+"),
}

# 2, 3, 5 and 7 stand for Arabic letters that Latin ones lack; "3am" and "2x" are something else.
_CHAT_ARABIC = re.compile(r"[a-z][2357](?=[a-z]|$)|^[2357][a-z]{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A language of the shop, and how sure that is: from 0 (nothing says so) to 1."""

    language: str
    sureness: float
    asked: bool = False  # the customer asked for it in words


def settle(history: Sequence[str], text: str, languages: Sequence[str], hint: str = "", *, kept: str = "") -> Settled:
    """The language to answer in. `history` holds earlier messages, the newest last; `kept` is the conversation's.

    `languages` are BCP 47, the first is the fallback; `hint` is what the sender's app says.
    """
    shop = _shop(tuple(languages))
    bases = shop.bases
    for earlier in (text, *reversed(history)):
        wished = wish(earlier, languages)
        if wished:
            return Settled(language=wished, sureness=1.0, asked=True)
    before, told = base_of(kept), base_of(hint)
    favoured = before if before in bases else told if told in bases else ""
    votes: dict[str, float] = {}
    weight = 1.0
    for one in (text, *reversed(history[-8:])):
        for base, score in _heard(one, shop, favoured).items():
            votes[base] = votes.get(base, 0.0) + score * weight
        weight *= _FADING
    if before in bases:
        votes[before] = votes.get(before, 0.0) + _KEPT
    if told in bases and (votes or not any(map(str.isalpha, _COMMAND.sub("", text)))):
        votes[told] = votes.get(told, 0.0) + _HINT
    return _answer(votes, shop)


def guess(text: str, languages: Sequence[str], hint: str = "") -> str:
    """The likeliest of `languages` for one message on its own."""
    return settle((), text, languages, hint).language


class _Shop:
    """The languages of a shop, and what is the same for every message that it gets."""

    __slots__ = ("bases", "first", "latin", "letters", "order", "scores")

    def __init__(self, languages: Sequence[str]) -> None:
        self.first = languages[0]
        self.bases = {base_of(language): language for language in reversed(languages)}
        self.order = {base_of(language): number for number, language in enumerate(languages)}
        self.latin = tuple(base for base in self.bases if base not in _OTHER_SCRIPTS or base in _LATIN_TOO)
        self.letters = {base: _LETTERS[base] for base in self.bases if base in _LETTERS}
        self.scores: dict[str, tuple[float, ...]] = {}  # of words, for each of `latin`: people use few words often

    def of_script(self, script: str) -> list[str]:
        """The languages written in a script, other than the Latin one."""
        speakers = _SCRIPTS.get(script, ())
        return [base for base in self.bases if base in speakers]

    def word(self, word: str) -> tuple[float, ...]:
        """Nats of one word for each of `latin`, remembered."""
        if len(self.scores) >= _REMEMBERED:
            self.scores.clear()
        scores = self.scores[word] = tuple(_word_score(word, base) for base in self.latin)
        return scores


@lru_cache(maxsize=64)
def _shop(languages: tuple[str, ...]) -> _Shop:
    return _Shop(languages)


def _answer(votes: Mapping[str, float], shop: _Shop) -> Settled:
    bases, order = shop.bases, shop.order
    if not votes:
        return Settled(language=shop.first, sureness=0.0)
    best = max(votes, key=lambda base: (round(votes[base], 6), -order[base]))
    if len(bases) == 1:
        return Settled(language=bases[best], sureness=1.0)
    top = votes[best]
    rest = 0.0
    for base in bases:
        if base != best:
            rest += math.exp(max(votes.get(base, 0.0) - top, -50.0))
    return Settled(language=bases[best], sureness=round(1 / (1 + rest), 3))


def _heard(text: str, shop: _Shop, favoured: str) -> dict[str, float]:
    """The scores of a message, next to nothing for a word or two that may be a name or stand in any language.

    `favoured` is the language that decides then: the conversation's, else the app's, else none.
    """
    text = _COMMAND.sub(" ", text)
    scores = _scores(text, shop)
    if not favoured or not scores or _SEVERAL.search(text[:_READ]):
        return scores
    if not _borrowed(text, shop, favoured):
        return scores
    top = max(map(abs, scores.values())) or 1.0
    return {base: score * _WHISPER / 2 / top for base, score in scores.items()}


def _borrowed(text: str, shop: _Shop, favoured: str) -> bool:
    """Whether no letter and no common word tells the favoured language and the others apart."""
    if any(script != "LATIN" for script in _script_shares(text)):
        return False
    lower = _lower(text)
    if any(letter in lower for letters in shop.letters.values() for letter in letters):
        return False
    for word in typed(_quiet(text)).tokens:
        speakers = [base for base in shop.bases if word in _COMMON.get(base, ())]
        if speakers and (favoured not in speakers or len(speakers) == 1):
            return False
    return True


def _quiet(text: str) -> str:
    """A text without what says nothing. Most hold none of it, and looking for it all takes as long as all the rest."""
    return _NOISE.sub(" ", text) if _NOISY.search(text) else text


def _lower(text: str) -> str:
    return text.lower().replace("i̇", "i")


def _scores(text: str, shop: _Shop) -> dict[str, float]:
    """Nats for each language that the text may be in, the likeliest of them at most `_LOUDEST`; empty: no words."""
    sample = _quiet(text[:_READ])
    scripts = _script_shares(sample)
    if not scripts:
        return {}
    votes: dict[str, float] = {}
    others = {script: shop.of_script(script) for script in scripts if script != "LATIN"}
    of_script = {base for fitting in others.values() for base in fitting}
    for script, share in scripts.items():
        if script == "LATIN":
            part = min(1.0, share * 2)
            for base, score in _latin(sample, shop).items():
                if of_script:  # borrowed words speak no louder than their share, and not against who borrows
                    score = 0.0 if base in of_script else min(score, _LOUDEST)
                votes[base] = votes.get(base, 0.0) + score * part
            continue
        told = _LOUDEST * min(1.0, share * _FOREIGN)
        if told == _LOUDEST and len(scripts) == len(others[script]) == 1:
            return dict.fromkeys(others[script], told)  # nothing to tell apart
        for base, score in _told_by_letters(sample, others[script]).items():
            votes[base] = votes.get(base, 0.0) + told + score
    top = max(votes.values(), default=0.0)
    if top > _LOUDEST:
        votes = {base: score * _LOUDEST / top for base, score in votes.items()}
    return votes


def _told_by_letters(sample: str, bases: Sequence[str]) -> dict[str, float]:
    """Letters and words that tell languages of one script apart."""
    if not bases:
        return {}
    lower = _lower(sample)
    words = [token for token in typed(sample).tokens if token[0].isalpha()]
    return {
        base: _LETTER * sum(1 for letter in _LETTERS.get(base, "") if letter in lower)
        + _WORD * sum(map(_COMMON.get(base, _NO_WORDS).__contains__, words))
        for base in bases
    }


def _latin(sample: str, shop: _Shop) -> dict[str, float]:
    words = [token for token in typed(sample).tokens if token.isascii() and token.isalnum() and not token.isdigit()]
    known = shop.scores
    rows = [known.get(word) or shop.word(word) for word in words[:_WORDS_READ]]
    votes = dict.fromkeys(shop.latin, 0.0)
    if not sample.isascii():
        letters = _lower(sample)
        for base in shop.latin:
            votes[base] = _LETTER * sum(letter in letters for letter in shop.letters.get(base, ""))
    for base, column in zip(shop.latin, zip(*rows, strict=True), strict=False):  # no column without a word
        votes[base] = sum(column, votes[base])
    return votes


def _word_score(word: str, base: str) -> float:
    """Nats of one word for a language."""
    profile = profiles().get(base)
    score = _WORD if base == "ar" and _CHAT_ARABIC.search(word) else 0.0
    if word in _COMMON.get(base, ()):
        score += _WORD
    elif profile is None:
        score += _NO_WORD
    if profile is not None:
        score += sum(profile.get(three, _UNSEEN) for three in threes(word)) / 2
    return score


def _script_shares(sample: str) -> dict[str, float]:
    """The share of each script among the letters; empty for a text without any."""
    runs = _LETTER_RUNS.findall(sample[:400])
    if not runs:
        return {}
    if sample.isascii():
        return {"LATIN": 1.0}
    if whole := _script_of("".join(runs)):
        return {whole: 1.0}
    found: Counter[str] = Counter()
    for run in runs:
        if script := _script_of(run):
            found[script] += len(run)
        else:
            found.update(map(_script, run))
    total = found.total()
    return {script: count / total for script, count in found.items() if count * 10 >= total}


def _script_of(letters: str) -> str:
    """The script that all of the letters have, of those that have a block of their own; else ""."""
    for script, within in _WITHIN.items():
        if within.fullmatch(letters):
            return script
    return ""


@lru_cache(maxsize=5_000)
def _script(char: str) -> str:
    return "LATIN" if char < "\u0250" else unicodedata.name(char, "").partition(" ")[0]


_NO_WORDS: frozenset[str] = frozenset()
_COMMON = {language: frozenset(tokens(squeeze(fold(words)))) for language, words in _WORDS.items()}
