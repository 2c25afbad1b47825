"""What the words of a message say, and with which words an agent is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.changes import Priority
from routing.patterns import PhraseError, checked, written
from routing.phrases import LANGUAGES, Phrases
from routing.weighing import SIGNALS, TAGS

PHRASES = Phrases.load(LANGUAGES)


def main(text: str) -> str:
    tags = PHRASES.read(text).tags
    return tags[0].name if tags else ""


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("paketim nerede kaldı ne zaman gelir", "order-status"),
        ("Where is my parcel?", "order-status"),
        ("gde moi zakaz", "order-status"),
        ("wo bleibt meine bestellung", "order-status"),
        ("وين طلبي", "order-status"),
        ("it never showed up", "delivery-problem"),
        ("kargo iki haftadır depoda bekliyor", "delivery-problem"),
        ("посылка две недели лежит на складе", "delivery-problem"),
        ("Das Paket wurde angeblich beim Nachbarn abgegeben", "delivery-problem"),
        ("ما وصلني شي", "delivery-problem"),
        ("bardak kırık çıktı", "damaged"),
        ("чайник перестал включаться", "damaged"),
        ("Der Reißverschluss ist nach einmal Tragen gerissen", "damaged"),
        ("zarfın içi boş çıktı", "wrong-item"),
        ("the box was empty", "wrong-item"),
        ("вместо синего прислали красный", "wrong-item"),
        ("iade etmek istiyorum", "return"),
        ("ich möchte die Schuhe zurückschicken", "return"),
        ("I'd like my money back", "refund"),
        ("para hesabıma geçmedi", "refund"),
        ("когда вернёте деньги", "refund"),
        ("وين فلوسي", "refund"),
        ("siparişimi iptal edin", "cancel"),
        ("ich will stornieren", "cancel"),
        ("можно поменять адрес доставки", "change-order"),
        ("indirim kodu çalışmıyor", "payment"),
        ("beni şikayetvar'a yazdırmayın", "legal"),
        ("yarın tüketici hakem heyetine gidiyorum", "legal"),
        ("напишу в Роспотребнадзор", "legal"),
        ("die Verbraucherzentrale ist informiert", "legal"),
        ("راح اشتكي عليكم حماية المستهلك", "legal"),
        ("my lawyer will be in touch", "legal"),
    ],
)
def test_plain_words_tell_the_tag(text: str, tag: str) -> None:
    assert main(text) == tag


@pytest.mark.parametrize("text", ["siparisim nerde", "SİPARİŞİM NERDE", "Siparişim nerdeeee", "sipariiişim NERDE"])
def test_signs_case_and_emphasis_do_not_matter(text: str) -> None:
    assert main(text) == "order-status"


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("iade istemiyorum, vidaları yollayın", "return"),
        ("не хочу возвращать, пришлите новый", "return"),
        ("I don't want to cancel", "cancel"),
        ("I do NOT want a refund. Send it.", "refund"),
        ("ich will nix zurückgeben", "return"),
        ("لا أريد استرجاع الفلوس", "refund"),
        ("please don't cancel it", "cancel"),
    ],
)
def test_what_is_denied_is_not_heard(text: str, tag: str) -> None:
    reading = PHRASES.read(text)
    assert tag not in {told.name for told in reading.tags if told.score >= 2}


@pytest.mark.parametrize(
    ("tag", "texts"),
    [
        (
            "damaged",
            [
                *(
                    "nothing is broken, all fine",
                    "the glass isn't broken",
                    "nothing was damaged",
                    "nothing arrived broken",
                ),
                *("nicht kaputt", "Nichts kaputt, alles super", "kein Defekt", "ohne Schaden angekommen"),
                *("Keine Reklamation, nur eine Frage zur Größe", "bozuk değil", "kırık değil, sağlam geldi"),
                *("hiçbir şey kırılmamış", "hiç hasar yok", "не сломано", "не разбито", "нет повреждений"),
                *("It was never broken", "the mug is not really cracked", "nobody said anything is broken"),
                *("Es war weder kaputt noch schmutzig", "bozulmadan geldi teşekkürler", "чашка не разбилась"),
                *("царапин нет", "ما فيه أي خدش", "لم ينكسر شيء"),
                *("ничего не разбилось", "без дефектов", "غير مكسور", "ليس مكسور", "بدون أي كسر"),
            ],
        ),
        (
            "legal",
            [
                *("I won't sue you", "we won't go to court", "I'm not going to a lawyer", "no chargeback, no lawyer"),
                *("Nobody is talking about a chargeback", "Ich gehe nicht zum Anwalt", "ohne Anwalt, bitte"),
                *("dava açmayacağım", "я не буду подавать в суд", "لن أرفع قضية", "wir wollen keine Klage"),
                *("mahkemeye vermeyeceğim", "avukata gitmeyeceğim", "в суд не пойду, не в суд"),
            ],
        ),
        ("cancel", ["iptal etmeyelim", "siparişimi iptal etmeyelim", "я передумал отменять"]),
        ("cancel", ["غيروا العنوان قبل ما ترسلوا الطلب اليوم", "بعد ما ترسلوا الطلب خبروني"]),
        ("delivery-problem", ["بعد ما ترسلوا الطلب خبروني"]),
        ("refund", ["The heating pad scorched my son's back"]),
        ("stock", ["Kommt das Paket noch vor Freitag?"]),
        ("change-order", ["The tracking hasn't moved since Monday"]),
    ],
)
def test_what_is_said_not_to_be_is_not_heard(tag: str, texts: list[str]) -> None:
    for text in texts:
        reading = PHRASES.read(text)
        assert tag not in {told.name for told in reading.tags if told.score >= 2}, text
        assert reading.priority is not Priority.URGENT or tag not in ("damaged", "legal"), text


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("The lid is not broken. The base is broken.", "damaged"),
        ("nothing is wrong with the box but the mug is broken", "damaged"),
        ("not only broken but dirty", "damaged"),
        ("not happy with this broken mug", "damaged"),
        ("nicht nur zerkratzt, sondern ganz kaputt", "damaged"),
        ("sadece kutu değil, bardak da kırık", "damaged"),
        ("çalışmıyor", "damaged"),
        ("почему вы не заменили сломанный чайник", "damaged"),
        ("не работает чайник", "damaged"),
        ("ليش ما رديتوا والشاشة مكسورة", "damaged"),
        ("If you do not refund me I will go to court", "legal"),
        ("I won't hesitate to contact my lawyer", "legal"),
        ("without a refund I will go to court", "legal"),
        ("ohne Erstattung gehe ich zum Anwalt", "legal"),
        ("artık beklemeyeceğim, mahkemeye vereceğim", "legal"),
        ("если не вернете деньги подам в суд", "legal"),
        ("لن أنتظر، سأرفع قضية", "legal"),
        ("no lawyer? I will call my lawyer today", "legal"),
        ("передумала, отмените заказ", "cancel"),
        ("still no refund", "refund"),
    ],
)
def test_another_not_denies_nothing(text: str, tag: str) -> None:
    assert main(text) == tag


def test_a_denial_ends_with_its_clause() -> None:
    reading = PHRASES.read("I don't want another one, I want a refund")
    assert "refund" in {told.name for told in reading.tags}


@pytest.mark.parametrize(
    "text",
    [
        "I have opened a chargeback with my bank",
        "prize taktım kıvılcım çıktı",
        "Ich habe nie bei euch bestellt und ihr habt 80 € abgebucht",
        "зарядка задымилась ночью",
        "cancel it now, it ships today",
        "düğün yarın, elbise hala gelmedi",
        "البطارية انفجرت وابني انجرح",
        "bu dördüncü mesajım",
        "пишу третий раз, никто не отвечает",
        "адрес не тот, сегодня отправляете! поменяйте",
        "my card was charged and I never ordered anything from you",
        "я ничего у вас не заказывал, а деньги списали",
        "никогда не заказывала у вас",
        "my charger caught fire",
        "the plug burned my hand",
        "elimi yaktı",
        "I will sue you",
        "mahkemeye vereceğim",
        "Adresi yanlış yazmışım, kargoya vermeden düzeltebilir misiniz",
        "Der Stecker wird so heiß, dass er schmilzt",
        "انسحب من حسابي مبلغ لم أطلبه",
    ],
)
def test_what_cannot_wait_is_urgent_and_says_why(text: str) -> None:
    reading = PHRASES.read(text)
    assert reading.priority is Priority.URGENT
    assert "says ‘" in reading.because


@pytest.mark.parametrize(
    ("text", "priority"),
    [
        ("I'm a lawyer, does the bag fit A4 files?", Priority.NORMAL),
        ("Ben avukatım, bu gömleğin kumaşı terletir mi?", Priority.NORMAL),
        ("Игрушечная полицейская машина: сирена отключается?", Priority.NORMAL),
        ("kırık beyaz olanı tekrar gelecek mi", Priority.NORMAL),
        ("çok teşekkür ederim bayıldım", Priority.LOW),
        ("just curious, what is it made of", Priority.LOW),
        ("fincan kırık geldi", Priority.HIGH),
        ("деньги списали два раза", Priority.HIGH),
        ("cancel my order please, no rush", Priority.NORMAL),
    ],
)
def test_a_grave_word_alone_raises_nothing(text: str, priority: Priority) -> None:
    assert PHRASES.read(text).priority is priority


@pytest.mark.parametrize(
    "text",
    [
        *("Пришло не то, я заказывал синий", "не тот размер, покупала M", "не подошёл размер, заказывала 44"),
        *("не то пальто, заказывала другое", "Is the blanket fire resistant?", "Do you sell fire pits?"),
        *("Does this work with a Fire TV stick?", "this jacket is fire!", "I burned through my budget"),
        *("yanık turuncu renk var mı", "Bu kazak beni yakıyor çok güzel", "Mahkeme Cad. No 5 adresine gönderin"),
        *("Ship to 12 Court Street", "Gerichtsstraße 5, liefern Sie dorthin?", "Ich heiße Anwalt, Bestellung 4711"),
        *("My daughter's name is Sue, can you engrave it", "Police uniform costume: is it available in L?"),
    ],
)
def test_a_word_that_may_mean_danger_or_a_court_is_not_enough(text: str) -> None:
    assert PHRASES.read(text).priority is not Priority.URGENT


@pytest.mark.parametrize(
    "text",
    [
        *("Thanks for the refund!", "Param geldi, teşekkürler", "Geld ist angekommen, danke!"),
        "Деньги пришли, спасибо",
    ],
)
def test_thanks_for_money_that_came_are_praise(text: str) -> None:
    assert main(text) == "praise"
    assert PHRASES.read(text).priority is Priority.LOW


def test_a_hit_names_the_place_and_the_customers_own_words() -> None:
    text = "Merhaba! SİPARİŞİMİ İptal edin lütfen"
    hit = next(hit for hit in PHRASES.read(text).hits if hit.tag == "cancel")
    assert text[hit.start : hit.end] == hit.said == "SİPARİŞİMİ İptal"
    assert PHRASES.read(text).because.startswith("cancel: says ‘SİPARİŞİMİ İptal")


@pytest.mark.parametrize(
    "text", ["SIPARISIM NEREDE", "WHERE IS MY ORDER", "WHERE IS THE REFUND FOR THIS", "ГДЕ МОЙ ЗАКАЗ"]
)
def test_capitals_alone_raise_nothing(text: str) -> None:
    reading = PHRASES.read(text)
    assert reading.priority is Priority.NORMAL
    assert not reading.signals


def test_exclamation_marks_are_mild_anger() -> None:
    assert PHRASES.read("WHERE IS THE REFUND FOR THIS!!!").priority is Priority.HIGH
    assert "anger" in {told.name for told in PHRASES.read("refund!!!").signals}
    assert "anger" not in {told.name for told in PHRASES.read("Refund for SO-11820?").signals}


def test_a_shop_adds_its_own_phrases() -> None:
    more = PHRASES.with_more({"wholesale": ["toplu alım", "bayilik"], "return": ["geri postala*"]})
    tags = {told.name: told.because for told in more.read("Bayiliğiniz var mı, toplu alım yapacağım").tags}
    assert tags["wholesale"] == "says ‘Bayiliğiniz’" or tags["wholesale"] == "says ‘toplu alım’"
    assert more.read("geri postalayacağım").tags[0].name == "return"
    assert "wholesale" not in {told.name for told in PHRASES.read("toplu alım").tags}


def test_only_the_shops_languages_are_loaded() -> None:
    assert len(Phrases.load(["de-AT"])) < len(Phrases.load(["de", "en"])) < len(PHRASES)
    assert not Phrases.load(["de"]).read("siparişimi iptal edin").tags
    assert len(Phrases.load(["ja"])) == len(PHRASES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_starter_file_speaks_of_every_tag(language: str) -> None:
    found = {source.tag for source in Phrases.load([language])._sources}
    assert set(TAGS) <= found
    assert {"danger", "fraud", "unanswered", "soon", "event"} <= found & SIGNALS.keys()


@pytest.mark.parametrize(
    ("phrase", "mistake"),
    [("{order} late", "order"), ("(a|b", "nothing closes"), ("a) b", "without what opens"), ("...", "no words")],
)
def test_a_phrase_that_cannot_be_read_is_refused_with_the_reason(phrase: str, mistake: str) -> None:
    with pytest.raises(PhraseError, match=mistake):
        written(phrase, "en", {})


@pytest.mark.parametrize(
    ("phrase", "mistake"),
    [
        ("!!!", "no word"),
        ("a .... b", "'.', which is no word"),
        (".. a", "without a word on both sides"),
        ("a ..", "without a word on both sides"),
        ("a .. & b", "without a word on both sides"),
        ("(a ..|b) c", "without a word on both sides"),
        ("(a|)", "an alternative without words"),
        ("a?", "behind a bracket"),
        ("a*b", "at the edge of a word"),
        ("a..b", "between spaces"),
        ("(a|b)?", "may be left out"),
        ("(a|b)? (c|d)?", "may be left out"),
        ("a\0b", "a sign that nobody sees"),
        ("a\u200bb", "a sign that nobody sees"),
        ("(a|b", "nothing closes"),
    ],
)
def test_a_sign_that_can_do_nothing_is_refused_where_a_person_wrote_it(phrase: str, mistake: str) -> None:
    with pytest.raises(PhraseError, match=mistake):
        checked(phrase, "en")


@pytest.mark.parametrize(
    "phrase", ["🔥", "💔 ❤️", "c++", "e-mail", "don't", "24/7", "50%", "(very)? late*", "*cı", "a & (b .. c|=d)"]
)
def test_what_can_be_heard_is_taken(phrase: str) -> None:
    checked(phrase, "en")


@pytest.mark.parametrize(
    ("phrase", "text", "heard"),
    [
        ("parcel .. lost", "the parcel is completely lost", True),
        ("parcel .. lost", "the parcel came. I lost nothing", False),
        ("parcel .. lost", "parcel that I have wanted for ages is lost", False),
        ("parcel ... lost", "parcel that I have wanted for ages is lost", True),
        ("wedding & tomorrow", "tomorrow is the wedding", True),
        ("wedding tomorrow", "tomorrow wedding", False),
        ("(very)? late", "late", True),
        ("=late", "later", False),
        ("late*", "lateness", True),
        ("(a|b c) d", "b c d", True),
    ],
)
def test_the_signs_of_a_phrase(phrase: str, text: str, heard: bool) -> None:
    assert bool(Phrases([]).with_more({"x": [phrase]}, language="en").read(text).tags) is heard


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    reading = PHRASES.read(text)
    for hit in reading.hits:
        assert 0 <= hit.start < hit.end <= len(text)
        assert hit.weight > 0
    assert [told.score for told in reading.tags] == sorted((told.score for told in reading.tags), reverse=True)


@given(
    st.lists(
        st.sampled_from(
            ["iade", "kargo", "nerede", "yok", "not", "the", "refund", "cancel", "не", "деньги", "где", "заказ"]
        ),
        max_size=60,
    )
)
def test_what_is_heard_does_not_depend_on_case(words: list[str]) -> None:
    text = " ".join(words)
    assert [hit.tag for hit in PHRASES.read(text).hits] == [hit.tag for hit in PHRASES.read(text.upper()).hits]


PARTS = ("parcel", "late*", "=not", "(where|when)", "the", "parcels", "*hand")
JOINTS = (" ", " .. ", " ... ", " & ")
WRITTEN = st.lists(st.tuples(st.sampled_from(PARTS), st.sampled_from(JOINTS)), min_size=1, max_size=4).map(
    lambda parts: "".join(part for pair in parts for part in pair)[: -len(parts[-1][1])]
)
SAID = ("parcel", "parcels", "late", "later", "not", "where", "when", "the", "secondhand", "hand", ".", ",", "blue")


@given(
    st.lists(WRITTEN, min_size=1, max_size=12, unique=True), st.lists(st.sampled_from(SAID), max_size=25).map(" ".join)
)
def test_a_phrase_is_heard_among_others_exactly_where_it_is_heard_alone(phrases: list[str], text: str) -> None:
    numbered = {str(number): [phrase] for number, phrase in enumerate(phrases)}
    alone = {tag: Phrases([]).with_more({tag: own}, language="en").read(text).hits for tag, own in numbered.items()}
    every = Phrases([]).with_more(numbered, language="en").read(text).hits
    assert {(hit.tag, hit.start, hit.end) for hit in every} == {
        (hit.tag, hit.start, hit.end) for hits in alone.values() for hit in hits
    }


def test_words_that_were_forgotten_are_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routing.phrase_lines.REMEMBERED", 3)
    phrases = Phrases([]).with_more({"lost": ["parcel .. lost"]}, language="en")
    for _ in range(3):
        assert phrases.read("my parcel is completely lost, one two three four five").tags[0].name == "lost"
