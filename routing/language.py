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

_READ = 600  # characters; nobody changes the language after that
_WORDS_READ = 30
_REMEMBERED = 20_000  # words whose scores are known, about 4 MB
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

# The words of a wish, folded and squeezed when read. A wish is made of these alone, so that any other word (a label, a
# necklace, a towel) shows that the language belongs to something else. Adjectives with an ending are left out.
_NAMES = {
    "en": "english ingilizce ingilizceye inglizce английски английском английский englisch angliyski angliyskom",
    "tr": "turkish türkçe türkçeye türkisch турецки турецком турецкий turetski",
    "ru": "russian rusça rusçaya russisch русски русском русский russki ruski russkom ruskom",
    "de": "german almanca almancaya deutsch немецки немецком немецкий",
    "ar": "arabic arapça arapçaya arabisch арабски арабском арабский العربية عربي عربية العربي بالعربي بالعربية",
    "fr": "french fransızca französisch французски французском французский français",
    "es": "spanish ispanyolca spanisch испански испанском испанский español",
    "uk": "ukrainian ukraynaca украински украинском украинский українською ukrainisch",
    "it": "italian italyanca italienisch italiano итальянском",
    "nl": "dutch nederlands niederländisch hollandaca",
}
_ARABIC_NAMES = {"en": "انجليزي انكليزي", "tr": "تركي", "ru": "روسي", "de": "الماني", "fr": "فرنسي"}
_WRITE = (
    "write type yaz yazın yazınız yazar yazarsanız yazarmısınız yazabilir yazabilirmisiniz yazalım yazsanız yazışalım "
    "yazışabilir yazsam пиши пишите писать напиши напишите написать schreib schreiben schreibt schreibe اكتب اكتبوا "
    "اكتبو اكتبي اكتبلي تكتب تكتبوا الكتابة pishite napishite"
)
_SPEAK = (
    "reply respond answer speak speaks speaking talk talking communicate chat converse message text continue switch "
    "help contact prefer use explain konuş konuşun konuşunuz konuşalım konuşur konuşurmusunuz konuşabilir konuşan "
    "konuşuyor konuşuyorum konuşmak konuşsak konuşabiliyor görüşelim görüşebilir anlaşalım cevap cevaplayın cevapla "
    "cevaplar cevaplayabilir yanıt yanıtlayın yanıtlar devam geçelim geçebilir bilen biliyor destek yardım yardımcı "
    "tercih говори говорите говорить говорю говорит поговорить общаться пообщаться общаемся общайтесь отвечай "
    "отвечайте отвечать ответь ответьте ответить ответ давай давайте перейдем перейти продолжим разговаривать "
    "разговариваете понимаете понимает помогите помочь помогает объясните предпочитаю antworte antworten antwortet "
    "sprechen sprecht spreche sprich sprichst spricht reden redet rede weiter helfen hilft unterhalten verstehen "
    "otvechayte otvechajte otvette govorite govorit davayte davajte رد ردي ردوا ردو الرد ترد تردون تردوا تكلم تكلموا "
    "تكلمو تكلمي تكلمني تتكلم تتكلمون تتكلمين تتكلموا نتكلم اتكلم بتتكلم بتتكلموا بيتكلم يتكلم تحدث تحدثوا تتحدث "
    "تتحدثون تتحدثين نتحدث اتحدث يتحدث التحدث الكلام احكي تحكي نحكي بتحكي بيحكي كلمني كلموني كلمونا جاوب جاوبني "
    "جاوبوني اجب اجيبوا التواصل تواصلوا"
)
_ASK = (
    "please pls plz lütfen пожалуйста пожалуста пж пжл можно bitte lieber pozhaluysta pozhalujsta mozhno mojno رجاء "
    "الرجاء ممكن سمحت سمحتم سمحتو سمحتي فضلك فضلكم ارجو يرجى"
)
_POLITE = (
    "in to only just from now on then next time kindly thanks thank you hi hello hey ok okay yes instead rather "
    "better i we me us can could want would like id sorry or sadece yalnızca artık bundan sonra şimdi olarak merhaba "
    "selam iyi günler teşekkürler teşekkür ederim hayır evet tamam mümkünse bana bize rica dilinde veya на по языке "
    "язык только лучше дальше теперь впредь здравствуйте привет добрый день вечер спасибо мне прошу если возможно или "
    "auf nur ab jetzt danke hallo moin guten tag gerne gern mir oder لو من فقط بس شكرا السلام عليكم مرحبا اهلا باللغة "
    "اللغة يا الان او na po"
)
_BESIDE = (
    "will may should is it possible if that be do does with someone somebody anyone anybody there here who let lets "
    "back my language have any need benimle bizimle ben siz sen mi mı mu mü misin misiniz miyim musun musunuz miyiz "
    "var biri birisi kimse biriyle eğer mümkün acaba olur olursa olmaz verir verin veriniz verebilir verirseniz eder "
    "edin edelim edebilir ediniz istiyorum de da abi hocam нам со с мной вы ты вас ли можете могли может бы мы я "
    "можем кто нибудь то у есть хочу хотел хотела чтобы удобнее будьте добры vy vi mozhete mojete mne sie du ihr ich "
    "wir uns mit können könnten kannst könnt könnte würden kann jemand jemanden der gibt hier das ginge ist es "
    "möglich bei ihnen euch هل ان علي عليا على لي معي معايا معنا حد احد في فيه هناك يوجد شخص انت انتم انا لنا يمكن "
    "يمكنك يمكنكم"
)
_AFTER = (  # with one of these something else begins
    "i my and as where when what how if since so thanks ich mein meine und wo wann я мой моя и где когда как ve ben "
    "siparişim kargom paketim nerede nerde انا و اين وين لاني لان طلبي"
)
_BREAKS = "but because cause ama fakat ancak çünkü но а потому поэтому aber weil sondern denn لكن بل لان لاني"
_REFUSED_BEFORE = (  # "not Turkish"; in Turkish the refusal stands behind: `_REFUSED_BEHIND`
    "not no dont cant cannot doesnt never without kein keine keinen nicht не нет без لا ما مش ليس بدون"
)
_REFUSED_BEHIND = (
    "değil bilmiyorum bilmem bilmiyom bilmiyoruz anlamıyorum anlamıyoruz anlamam konuşamıyorum istemiyorum"
)
_REFUSING = "know understand read any понимаю знаю читаю verstehe kann lesen افهم اعرف اتكلم"  # what one does not do
_WHY = "why neden niye niçin почему зачем отчего warum wieso weshalb لماذا ليش ليه"
_NOT_OF_THEM = re.compile(
    r"manual|instruction|kilavuz|инструкц|anleitung|boks?\b|kitap|книг|buch|keyboard|klavye|клавиатур|tastatur|"
    r"(?<!of )course|subtitle|menu|version|dictionary|sozluk|словар|كتاب|دليل|cofe|kahve|\btea|breakfast|"
    r"engrav|gravur|gravier|гравир|надпис|вышив|embroider|inscription|نقش"
)
_WRITTEN_ON = re.compile(  # asked to write, in the same sentence: on this
    r"\b(?:label|etiket|этикет|наклейк|ملصق|necklace|kolye|ring\b|yuzu[kg]|bilezi[kg]|bracelet|box|kutu|короб|браслет|кольц|"
    r"кулон|ожерел|открытк|kete|armband|schachtel|karte|card|postcard|kart[ial]|note\b|notu|علب|سلسال|خاتم|isim|ismi|"
    r"uzerine|ustune)"
)
_SMILE = re.compile(r"[:;=]-?[)(dp3]+")
_PIECE = re.compile(r"[^\W_]+|\s[-–—]\s|[.!?…;\n؟]|[,،()]|[:\"“”„«»]")
_SENTENCE_DONE = re.compile(r"(?:m[ae]di|[iu]yorum)$")  # Turkish puts the verb last: "siparişim gelmedi"
_SENTENCE_ENDS = frozenset(".!?…;\n؟")
_REFUSAL_REACH = 4  # words between "not" and the language: "I do not speak any Turkish"


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
    before, told = _base(kept), _base(hint)
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


def wish(text: str, languages: Sequence[str]) -> str:
    """The language of the shop that a message asks to be spoken to in, or "". In doubt it asks for none."""
    if len(text) > 300:
        return ""  # a wish stands in a line of its own, not in a letter
    known = typed(text)
    if _BASE_OF.keys().isdisjoint(known.tokens) and not _SMILE.search(known.folded):
        return ""  # as most: no language is named
    folded = squeeze(_SMILE.sub(" ", known.folded))
    if not _ANY_NAME.search(folded) or _NOT_OF_THEM.search(folded):
        return ""
    bases = _shop(tuple(languages)).bases
    sentences = _sentences(folded)
    clauses = [clause for sentence in sentences for clause in sentence]
    whole = [word for clause in clauses for word in clause]
    contrast = any(map(_refuses, clauses))
    for sentence in sentences:
        joined = [word for clause in sentence for word in clause]
        surface = _WRITTEN_ON.search(" ".join(joined)) is not None
        for clause in [joined, *sentence] if _ALL_WORDS.issuperset(joined) else sentence:
            alone = _BARE.issuperset(clause) and (contrast or _BARE.issuperset(whole))
            for at, word in enumerate(clause):
                language = bases.get(_BASE_OF.get(word, ""))
                if language and (alone or _asks(clause, at, surface=surface)):
                    return language
    return ""


def _sentences(folded: str) -> list[list[list[str]]]:
    """Sentences of clauses of words. What refuses a language is a clause apart from what asks for another."""
    sentences: list[list[list[str]]] = [[[]]]
    for piece in _PIECE.findall(folded):
        clauses = sentences[-1]
        clause = clauses[-1]
        named = any(word in _BASE_OF for word in clause)
        if piece in _SENTENCE_ENDS:
            sentences.append([[]])
        elif piece in ",،()" or piece[0].isspace() or piece in _BREAKS_SET:
            clauses.append([])
        elif piece in _REFUSED_BEFORE_SET and named:
            clauses.append([piece])
        else:
            clause.append(piece)
            near = clause[-2 - _REFUSAL_REACH : -1]
            refused = piece in _BASE_OF and not _REFUSED_BEFORE_SET.isdisjoint(near)
            if refused or piece in _REFUSED_BEHIND_SET:
                clauses.append([])
    return [[clause for clause in clauses if clause] for clauses in sentences]


def _refuses(clause: Sequence[str]) -> bool:
    """Whether it says nothing but that a language is not understood or not wanted."""
    return (
        any(word in _BASE_OF for word in clause)
        and not _REFUSED.isdisjoint(clause)
        and all(word in _ALL_WORDS or word in _REFUSED or word in _REFUSING_SET for word in clause)
    )


def _asks(clause: Sequence[str], at: int, *, surface: bool) -> bool:
    """Whether the language named at `at` hangs on a word of speaking or a "please", and on nothing else."""
    if not _NO_WISH.isdisjoint(clause):
        return False
    start, end = at, at + 1
    while start and clause[start - 1] in _ALL_WORDS:
        start -= 1
    while end < len(clause) and clause[end] in _ALL_WORDS:
        end += 1
    run = clause[start:end]
    last = max(place for place, word in enumerate(run) if word in _TELLING)
    ends = end == len(clause) or clause[end] in _AFTER_SET or not _AFTER_SET.isdisjoint(run[last + 1 :])
    begins = start == 0 or clause[start - 1] in _AFTER_SET or _SENTENCE_DONE.search(clause[start - 1]) is not None
    if not ends:
        return False
    if not _VERBS.isdisjoint(run):
        speaks = not _SPEAKING.isdisjoint(run)
        return (speaks or not surface) and (begins or not _OPENERS.isdisjoint(clause[start:at]))
    told = [word for word in run[: last + 1] if word not in _BARE]
    return begins and not told and not _ASKING.isdisjoint(run)


class _Shop:
    """The languages of a shop, and what is the same for every message that it gets."""

    __slots__ = ("bases", "first", "latin", "letters", "order", "scores")

    def __init__(self, languages: Sequence[str]) -> None:
        self.first = languages[0]
        self.bases = {_base(language): language for language in reversed(languages)}
        self.order = {_base(language): number for number, language in enumerate(languages)}
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


def _base(language: str) -> str:
    return language.partition("-")[0].lower()


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


def _set(*words: str) -> frozenset[str]:
    return frozenset(squeeze(fold(" ".join(words))).split())


_NO_WORDS: frozenset[str] = frozenset()
_COMMON = {language: frozenset(tokens(squeeze(fold(words)))) for language, words in _WORDS.items()}
_BASE_OF = {word: base for base, names in _NAMES.items() for word in _set(names)} | {
    squeeze(fold(before + name + end)): base
    for base, names in _ARABIC_NAMES.items()
    for name in names.split()
    for before in ("", "ب", "ال", "بال")
    for end in ("", "ة")
}
_ANY_NAME = re.compile(r"\b(?:" + "|".join(sorted(_BASE_OF)) + r")\b")
_SPEAKING, _VERBS, _ASKING = _set(_SPEAK), _set(_WRITE, _SPEAK), _set(_ASK)
_BARE = _set(_ASK, _POLITE) | frozenset(_BASE_OF)
_ALL_WORDS = _BARE | _VERBS | _set(_BESIDE)
_TELLING = _VERBS | _ASKING | frozenset(_BASE_OF)
_OPENERS = _ASKING | _set("can could would will kindly do können könnten kannst könnt можете могли هل")
_AFTER_SET, _BREAKS_SET = _set(_AFTER), _set(_BREAKS)
_REFUSED_BEFORE_SET, _REFUSED_BEHIND_SET = _set(_REFUSED_BEFORE), _set(_REFUSED_BEHIND)
_NO_WISH = _REFUSED_BEFORE_SET | _REFUSED_BEHIND_SET | _set(_WHY)
_REFUSED, _REFUSING_SET = _REFUSED_BEFORE_SET | _REFUSED_BEHIND_SET, _set(_REFUSING)
