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

from routing.folding import fold, squeeze, tokens
from routing.language_profiles import profiles, threes

_READ = 600  # characters; nobody changes the language after that
_WORDS_READ = 30
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
    "of still im dont where's order yes any this that are your with but got hey pls refund cancel whats wheres ok help",
    "de": "der das ich ist und nicht mein meine wo wann bitte danke hallo eine ein wie bestellung noch habe ihr sie "
    "für zu kein keine auf mit wurde paket moin nein wird gibt schon mal euch bekommen versand",
    "ru": "где мой моя заказ и не как когда здравствуйте спасибо пожалуйста привет это я на gde moi moy zakaz kogda "
    "zdravstvuyte zdravstvujte spasibo pozhaluysta pozhalujsta privet eto ya ne na net chto kak hochu dengi vernite "
    "posylka posilka tovar skolko mozhno est tak mne vam uzhe net pochemu kto dostavka otmenite dayte",
    "ar": "salam salaam marhaba ya fen wen wein shukran shokran inshallah mesh mish ana enta 3ayez 3awez law samaht "
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

_NOISE = re.compile(r"https?://\S+|www\.\S+|\S+@\S+|\S*\w\.\w{2,}/\S*|#\S+|\b\w*\d\w*\d\w*\b|\b[A-Z0-9]{2,}-?\d+\b")
_LETTER_RUNS = re.compile(r"[^\W\d_]+")

# 2, 3, 5 and 7 stand for Arabic letters that Latin ones lack; "3am" and "2x" are something else.
_CHAT_ARABIC = re.compile(r"[a-z][2357](?=[a-z]|$)|^[2357][a-z]{3}")

_NAMES = {
    "en": r"english|ingilizce\w*|inglizce|английск\w*|по-английски|englisch|angliyski\w*|الانجليزيه|\w*انجليزي\w*",
    "tr": r"turkish|turkce|turkisch|турецк\w*|по-турецки|التركيه|تركي|بالتركي\w*",
    "ru": r"russian|rusca|russisch|русск\w*|по-русски|الروسيه|روسي|بالروسي\w*|po-ruski|po-russki|ruski|russki\w*",
    "de": r"german|almanca|deutsch|немецк\w*|по-немецки|الالمانيه|الماني|بالالماني\w*",
    "ar": r"arabic|arapca|arabisch|арабск\w*|по-арабски|العربيه|عربي|بالعربي\w*|العربي",
    "fr": r"french|fransizca|franzosisch|французск\w*|francais",
    "es": r"spanish|ispanyolca|spanisch|испанск\w*|espanol",
    "uk": r"ukrainian|ukraynaca|украинск\w*|украинською|українською",
    "it": r"italian|italyanca|italienisch|italiano",
    "nl": r"dutch|nederlands|niederlandisch",
}
_ASK = (
    r"please|pls|plz|write|reply|speak|answer|talk|respond|prefer|switch|lutfen|yaz\w*|konus\w*|cevap\w*|devam|"
    r"пожалуйста|пж|пиш\w*|ответ\w*|отвеча\w*|говор\w*|общат\w*|можно|давайте|bitte|schreib\w*|antwort\w*|sprech\w*|"
    r"sprich\w*|reden|only|رجاء|لو سمحت\w*|من فضلك\w*|ممكن|اكتب\w*|تكلم\w*|رد\w*|كلم\w*|pozhalu[jy]sta"
)
_NOT_OF_THEM = re.compile(
    r"manual|instruction|kilavuz|инструкц|anleitung|book|kitap|книг|buch|keyboard|klavye|клавиатур|tastatur|course|"
    r"subtitle|menu|version|dictionary|sozluk|словар|كتاب|دليل|coffee|kahve|tea|breakfast"
)
_BEFORE = 12  # characters around a wish where a "don't" turns it over
_DOES_NOT = re.compile(
    r"\b(?:dont|cant|not|no|bilmiyorum|anlamiyorum|bilmem|bilmiyom|не|kein|nicht|keine|لا|ما|مش)\b"
    r"|bilmiyor|anlamiyor"
)


_ANY_NAME = re.compile("|".join(_NAMES.values()))
_WISHES = {
    base: (
        re.compile(
            rf"\b(?:{_ASK})\b(?:\W+\w+){{0,2}}?\W+(?:{names})\b|\b(?:{names})\b(?:\W+\w+){{0,2}}?\W+(?:{_ASK})\b"
        ),
        re.compile(rf"\W*(?:in |на |auf |по )?(?:{names})(?: язык\w*)?\W*"),
    )
    for base, names in _NAMES.items()
}


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
    bases = _bases(languages)
    for earlier in (text, *reversed(history)):
        wished = wish(earlier, languages)
        if wished:
            return Settled(language=wished, sureness=1.0, asked=True)
    votes: dict[str, float] = {}
    weight = 1.0
    for one in (text, *reversed(history[-8:])):
        for base, score in _scores(one, bases).items():
            votes[base] = votes.get(base, 0.0) + score * weight
        weight *= _FADING
    before = _base(kept)
    if before in bases:
        votes[before] = votes.get(before, 0.0) + _KEPT
    told = _base(hint)
    if told in bases and (votes or not any(char.isalpha() for char in text)):
        votes[told] = votes.get(told, 0.0) + _HINT
    return _answer(votes, bases, languages)


def guess(text: str, languages: Sequence[str], hint: str = "") -> str:
    """The likeliest of `languages` for one message on its own."""
    return settle((), text, languages, hint).language


def wish(text: str, languages: Sequence[str]) -> str:
    """The language of the shop that a message asks for in words, or ""."""
    if len(text) > 300:
        return ""  # a wish stands in a line of its own, not in a letter
    folded = fold(text).replace("'", "")
    if not _ANY_NAME.search(folded) or _NOT_OF_THEM.search(folded):
        return ""
    for base, language in _bases(languages).items():
        if base not in _NAMES:
            continue
        near, alone = _WISHES[base]
        found = near.search(folded)
        if alone.fullmatch(folded) or (
            found and not _DOES_NOT.search(folded[max(0, found.start() - _BEFORE) : found.end() + _BEFORE])
        ):
            return language
    return ""


def _bases(languages: Sequence[str]) -> dict[str, str]:
    return {_base(language): language for language in reversed(languages)}


def _base(language: str) -> str:
    return language.partition("-")[0].lower()


def _answer(votes: Mapping[str, float], bases: Mapping[str, str], languages: Sequence[str]) -> Settled:
    if not votes:
        return Settled(language=languages[0], sureness=0.0)
    order = {_base(language): number for number, language in enumerate(languages)}
    best = max(votes, key=lambda base: (round(votes[base], 6), -order[base]))
    if len(bases) == 1:
        return Settled(language=bases[best], sureness=1.0)
    top = votes[best]
    rest = sum(math.exp(max(votes.get(base, 0.0) - top, -50.0)) for base in bases if base != best)
    return Settled(language=bases[best], sureness=round(1 / (1 + rest), 3))


def _scores(text: str, bases: Mapping[str, str]) -> dict[str, float]:
    """Nats for each language that the text may be in, the likeliest of them at most `_LOUDEST`; empty: no words."""
    sample = _NOISE.sub(" ", text[:_READ])
    scripts = _script_shares(sample)
    if not scripts:
        return {}
    votes: dict[str, float] = {}
    for script, share in scripts.items():
        if script == "LATIN":
            for base, score in _latin(sample, [base for base in bases if _may_be_latin(base)]).items():
                votes[base] = votes.get(base, 0.0) + score * min(1.0, share * 2)
            continue
        fitting = [base for base in bases if base in _SCRIPTS.get(script, ())]
        told = _told_by_letters(sample, fitting)
        for base in fitting:
            votes[base] = votes.get(base, 0.0) + _LOUDEST * min(1.0, share * _FOREIGN) + told[base]
    top = max(votes.values(), default=0.0)
    if top > _LOUDEST:
        votes = {base: score * _LOUDEST / top for base, score in votes.items()}
    return votes


def _may_be_latin(base: str) -> bool:
    return base not in _OTHER_SCRIPTS or base in _LATIN_TOO


def _told_by_letters(sample: str, bases: Sequence[str]) -> dict[str, float]:
    """Letters and words that tell languages of one script apart."""
    lower = sample.lower().replace("i̇", "i")
    words = [token for token in tokens(squeeze(fold(sample))) if token[0].isalpha()]
    return {
        base: _LETTER * sum(1 for letter in _LETTERS.get(base, "") if letter in lower)
        + _WORD * sum(1 for word in words if word in _COMMON.get(base, ()))
        for base in bases
    }


def _latin(sample: str, bases: Sequence[str]) -> dict[str, float]:
    words = [token for token in tokens(squeeze(fold(sample))) if token.isascii() and not token.isdigit()]
    asked = tuple(bases)
    letters = sample.lower().replace("i̇", "i")
    votes = {base: _LETTER * sum(letter in letters for letter in _LETTERS.get(base, "")) for base in asked}
    for word in [word for word in words if word[0].isalnum()][:_WORDS_READ]:
        for base, score in zip(asked, _word_scores(word, asked), strict=True):
            votes[base] += score
    return votes


@lru_cache(maxsize=20_000)  # people use few words often
def _word_scores(word: str, bases: tuple[str, ...]) -> tuple[float, ...]:
    """Nats of one word for each language."""
    learned = profiles()
    scores = []
    for base in bases:
        profile = learned.get(base)
        score = _WORD if base == "ar" and _CHAT_ARABIC.search(word) else 0.0
        if word in _COMMON.get(base, ()):
            score += _WORD
        elif profile is None:
            score += _NO_WORD
        if profile is not None:
            score += sum(profile.get(three, _UNSEEN) for three in threes(word)) / 2
        scores.append(score)
    return tuple(scores)


def _script_shares(sample: str) -> dict[str, float]:
    """The share of each script among the letters; empty for a text without any."""
    letters = _LETTER_RUNS.findall(sample[:400])
    if not letters:
        return {}
    if sample.isascii():
        return {"LATIN": 1.0}
    found: Counter[str] = Counter()
    for run in letters:
        if run.isascii():
            found["LATIN"] += len(run)
        else:
            for char in run:
                found["LATIN" if char < "\u0250" else _script(char)] += 1
    total = found.total()
    return {script: count / total for script, count in found.items() if count * 10 >= total}


@lru_cache(maxsize=5_000)
def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]


_COMMON = {language: frozenset(tokens(squeeze(fold(words)))) for language, words in _WORDS.items()}
