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
_NOISY = re.compile(r"[@#/\d]|\w\.\w")
_LETTER_RUNS = re.compile(r"[^\W\d_]+")

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
    bases = _bases(languages)
    for earlier in (text, *reversed(history)):
        wished = wish(earlier, languages)
        if wished:
            return Settled(language=wished, sureness=1.0, asked=True)
    before, told = _base(kept), _base(hint)
    favoured = next((base for base in (before, told) if base in bases), "")
    votes: dict[str, float] = {}
    weight = 1.0
    for one in (text, *reversed(history[-8:])):
        for base, score in _heard(one, bases, favoured).items():
            votes[base] = votes.get(base, 0.0) + score * weight
        weight *= _FADING
    if before in bases:
        votes[before] = votes.get(before, 0.0) + _KEPT
    if told in bases and (votes or not any(map(str.isalpha, _COMMAND.sub("", text)))):
        votes[told] = votes.get(told, 0.0) + _HINT
    return _answer(votes, bases, languages)


def guess(text: str, languages: Sequence[str], hint: str = "") -> str:
    """The likeliest of `languages` for one message on its own."""
    return settle((), text, languages, hint).language


def wish(text: str, languages: Sequence[str]) -> str:
    """The language of the shop that a message asks to be spoken to in, or "". In doubt it asks for none."""
    if len(text) > 300:
        return ""  # a wish stands in a line of its own, not in a letter
    folded = squeeze(_SMILE.sub(" ", fold(text)))
    if not _ANY_NAME.search(folded) or _NOT_OF_THEM.search(folded):
        return ""
    bases = _bases(languages)
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


def _heard(text: str, bases: Mapping[str, str], favoured: str) -> dict[str, float]:
    """The scores of a message, next to nothing for a word or two that may be a name or stand in any language.

    `favoured` is the language that decides then: the conversation's, else the app's, else none.
    """
    text = _COMMAND.sub(" ", text)
    scores = _scores(text, bases)
    if not favoured or not scores or len(_LETTER_RUNS.findall(text[:_READ])) > _SHORT:
        return scores
    if not _borrowed(text, bases, favoured):
        return scores
    top = max(map(abs, scores.values())) or 1.0
    return {base: score * _WHISPER / 2 / top for base, score in scores.items()}


def _borrowed(text: str, bases: Mapping[str, str], favoured: str) -> bool:
    """Whether no letter and no common word tells the favoured language and the others apart."""
    if any(script != "LATIN" for script in _script_shares(text)):
        return False
    lower = text.lower().replace("i̇", "i")
    if any(letter in lower for base in bases for letter in _LETTERS.get(base, "")):
        return False
    for word in tokens(squeeze(fold(_quiet(text)))):
        speakers = [base for base in bases if word in _COMMON.get(base, ())]
        if speakers and (favoured not in speakers or len(speakers) == 1):
            return False
    return True


def _quiet(text: str) -> str:
    """A text without what says nothing. Most hold none of it, and looking for it all takes as long as all the rest."""
    return _NOISE.sub(" ", text) if _NOISY.search(text) else text


def _scores(text: str, bases: Mapping[str, str]) -> dict[str, float]:
    """Nats for each language that the text may be in, the likeliest of them at most `_LOUDEST`; empty: no words."""
    sample = _quiet(text[:_READ])
    scripts = _script_shares(sample)
    if not scripts:
        return {}
    votes: dict[str, float] = {}
    of_script = {base for script in scripts for base in _SCRIPTS.get(script, ()) if base in bases}
    for script, share in scripts.items():
        if script == "LATIN":
            part = min(1.0, share * 2)
            for base, score in _latin(sample, [base for base in bases if _may_be_latin(base)]).items():
                if of_script:  # borrowed words speak no louder than their share, and not against who borrows
                    score = 0.0 if base in of_script else min(score, _LOUDEST)
                votes[base] = votes.get(base, 0.0) + score * part
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


def _set(*words: str) -> frozenset[str]:
    return frozenset(squeeze(fold(" ".join(words))).split())


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
