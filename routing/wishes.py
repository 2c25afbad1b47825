"""Whether a customer asks to be spoken to in a language: "English please". Pure.

Rule: in doubt it is no wish. A language that is only named (of a label, a manual, a course) is not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from routing.folding import fold, squeeze, typed

_LONGEST = 300  # letters; a wish stands in a line of its own, not in a letter

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


def wish(text: str, languages: Sequence[str]) -> str:
    """The language of the shop that a message asks to be spoken to in, or "". In doubt it asks for none."""
    if len(text) > _LONGEST:
        return ""
    known = typed(text)
    if _BASE_OF.keys().isdisjoint(known.tokens) and not _SMILE.search(known.folded):
        return ""  # as most: no language is named
    folded = squeeze(_SMILE.sub(" ", known.folded))
    if not _ANY_NAME.search(folded) or _NOT_OF_THEM.search(folded):
        return ""
    bases = {base_of(language): language for language in reversed(languages)}
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


def base_of(language: str) -> str:
    """The language of a BCP 47 tag, without its region."""
    return language.partition("-")[0].lower()


def _set(*words: str) -> frozenset[str]:
    return frozenset(squeeze(fold(" ".join(words))).split())


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
