"""Reply texts: ours read well whatever is known, and no mistake of a shop reaches a customer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.acknowledge import Kind
from routing.moments import moment
from routing.weighing import TAGS
from templates.replies import Replies
from templates.reply import OURS, SURE, VARIABLES, BadReplies, Limit, Problem, Unfilled
from templates.values import FSI, PDI, RLM, clean, fits_segment, isolated

SPOKEN = ("tr", "ru", "en", "de", "ar")
REPLIES = Replies.load(["tr", "ru", "en"], shop="Kumbara")
VALUES = {
    "customer": "Ayşe",
    "agent": "Deniz",
    "order": "10293",
    "hours": "09:00-18:00",
    "opening": "09:00",
    "wait": "40",
}
SATURDAY = datetime(2026, 11, 14, 20, 40, tzinfo=UTC)


def load(folder: Path, *languages: str, limits: Mapping[str, Limit] | None = None, **files: str) -> Replies:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return Replies.load(languages or ["tr", "en"], folder, shop="Kumbara", limits=limits, tags=TAGS)


def problems(folder: Path, *languages: str, limits: Mapping[str, Limit] | None = None, **files: str) -> list[Problem]:
    with pytest.raises(BadReplies) as bad:
        load(folder, *languages, limits=limits, **files)
    assert str(bad.value).count("\n") == len(bad.value.problems) - 1
    return list(bad.value.problems)


def reply(text: str, name: str = "parcel", **more: str) -> str:
    lines = [f"[{name}]", f'title = "About {name}"', f"text = '''{text}'''"]
    return "\n".join([*lines, *(f"{key} = '''{value}'''" for key, value in more.items())])


def bare(text: str) -> str:
    return text.replace(FSI, "").replace(PDI, "")


# --- ours


def test_ours_pass_every_check_that_a_shops_own_must_pass() -> None:
    limits = {"sms": Limit(most=1600, segment=True), "telegram": Limit(most=4096)}
    assert Replies.load(SPOKEN, OURS, shop="Kumbara", limits=limits).texts.keys() == set(SPOKEN)


def test_every_language_has_the_same_replies_with_the_same_tags() -> None:
    english = {name: (it.tags, bool(it.short), bool(it.subject)) for name, it in REPLIES.texts["en"].items()}
    assert len(english) >= 20 + len(SURE)
    for language in SPOKEN:
        here = {name: (it.tags, bool(it.short), bool(it.subject)) for name, it in REPLIES.texts[language].items()}
        assert here == english, language


@pytest.mark.parametrize("language", SPOKEN)
def test_ours_read_well_whatever_is_known(language: str) -> None:
    for name, it in REPLIES.texts[language].items():
        sure = SURE.get(name, frozenset())
        for count in range(3):
            for left_out in combinations(VALUES.keys() - sure, count):
                values = {key: value for key, value in VALUES.items() if key not in left_out}
                for short in (False, True):
                    made = REPLIES.render(name, language, values, short=short)
                    assert made.language == language
                    assert len(made.text) <= 700, name
                    gaps = re.findall(r"  | [.,;:!?،؛؟](?!\S)|[{}]|\(\)|None|\n\n\n", made.text + made.subject)
                    assert not gaps, (name, made.text)
                    assert made.text[-1] in ".!?؟0", (name, made.text)
        nothing = REPLIES.render(name, language, {key: VALUES[key] for key in sure if key in VALUES})
        assert nothing.text and "Ayşe" not in nothing.text, it.title


def test_ours_are_written_with_the_letters_of_their_language() -> None:
    """A Latin word in an Arabic text turns the order of what follows; Turkish without its letters reads like spam."""
    foreign = {"ar": r"[A-Za-z]", "ru": r"[A-Za-z]"}
    for language, letters in foreign.items():
        for it in REPLIES.texts[language].values():
            words = re.sub(r"\{.*?\}\}?", "", it.title + it.text + it.short + it.shorter + it.subject)
            assert not re.findall(letters, words), it.name
    turkish = " ".join(it.text for it in REPLIES.texts["tr"].values()).lower().split()
    assert not {"siparis", "musteri", "lutfen", "iade-", "icin", "degil", "tesekkur"} & set(turkish)


# --- acknowledgements


def test_an_acknowledgement_names_the_opening_in_the_words_of_the_language() -> None:
    monday = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)
    zone = ZoneInfo("Europe/Istanbul")
    for language in SPOKEN:
        opening = moment(monday, SATURDAY, language, zone)
        made = REPLIES.acknowledgement(Kind.CLOSED, language, {"customer": "Ayşe", "opening": opening})
        assert opening in made.text and "Ayşe" in made.text and made.subject
        segment = REPLIES.acknowledgement(Kind.CLOSED, language, {"opening": opening}, segment=True)
        assert opening in segment.text and "Kumbara" in segment.text and fits_segment(segment.text)


def test_an_acknowledgement_without_a_known_opening_promises_none() -> None:
    for language in SPOKEN:
        for segment in (False, True):
            made = REPLIES.acknowledgement("closed", language, {}, segment=segment)
            assert not re.search(r"\d", made.text)


def test_a_busy_acknowledgement_needs_the_wait() -> None:
    for language in SPOKEN:
        assert "40" in REPLIES.acknowledgement(Kind.BUSY, language, {"wait": "40"}).text
        assert fits_segment(REPLIES.acknowledgement("busy", language, {"wait": "4" * 60}, segment=True).text)


@settings(max_examples=400, deadline=None)
@given(
    language=st.sampled_from(SPOKEN),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    minutes=st.integers(1, 400 * 24 * 60),
    zone=st.sampled_from(["Europe/Istanbul", "America/St_Johns", "Asia/Kolkata", "UTC", "Pacific/Chatham"]),
    offset=st.booleans(),
    shop=st.text(st.sampled_from("abcdefgŞığüöçÄßЖждمتجر €[]#-'🛍"), min_size=1, max_size=20),
)
def test_every_opening_fits_one_sms(
    language: str, now: datetime, minutes: int, zone: str, offset: bool, shop: str
) -> None:
    opening = moment(now + timedelta(minutes=minutes), now, language, ZoneInfo(zone), offset=offset)
    replies = Replies.load([language], shop=shop)
    made = replies.acknowledgement("closed", language, {"customer": "Ayşe", "opening": opening}, segment=True)
    assert fits_segment(made.text)
    assert opening in bare(made.text), "the opening is what the message is for"
    assert made.language == language


@given(value=st.text(max_size=90), shop=st.text(max_size=90))
def test_whatever_is_filled_in_an_sms_stays_one(value: str, shop: str) -> None:
    replies = Replies.load(["ru"], shop=shop)
    for language in ("tr", "ar", "xx"):
        assert fits_segment(replies.acknowledgement("closed", language, {"opening": value}, segment=True).text)


def test_the_shops_name_is_dropped_before_the_text_is_shortened() -> None:
    long_name = Replies.load(["tr"], shop="Kocaman Bir Dükkân 1")
    opening = "28 Ağustos 2027 Cumartesi 13:40'ta"
    made = long_name.acknowledgement("closed", "tr", {"opening": opening}, segment=True)
    assert made.text == f"Mesajınız ulaştı, {opening} yanıtlarız."


def test_a_shops_acknowledgement_that_is_too_long_for_an_sms_gives_way_to_ours(tmp_path: Path) -> None:
    long = reply("{{ shop }} " + "ğ" * 80 + "{% if opening %} {{ opening }}{% endif %}", "acknowledge-closed")
    replies = load(tmp_path, tr=long)
    assert "ğğğ" in replies.acknowledgement("closed", "tr", {}).text
    made = replies.acknowledgement("closed", "tr", {"opening": "Pazartesi 09:00'da"}, segment=True)
    assert made.text == "Kumbara: Mesajınız ulaştı, Pazartesi 09:00'da yanıtlarız."
    short = load(tmp_path, tr=reply("x" * 200, "acknowledge-closed", short="{{ shop }}" + "ş" * 64, shorter="Kısa"))
    assert short.acknowledgement("closed", "tr", {}, segment=True).text == "Kısa"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a" * 160, True),
        ("a" * 161, False),
        ("€" * 80, True),
        ("€" * 80 + "a", False),
        ("[" + "a" * 158, True),
        ("[" + "a" * 159, False),
        ("ş" + "a" * 69, True),
        ("ş" + "a" * 70, False),
        ("ç" * 71, False),
        ("äöüßñàÇ" * 22, True),
        ("’" + "a" * 70, False),
        ("🛍" * 35, True),
        ("🛍" * 36, False),
        ("\ud800" * 70, True),
        ("", True),
    ],
)
def test_an_sms_segment_is_counted_as_the_network_counts(text: str, fits: bool) -> None:
    assert fits_segment(text) is fits


# --- choosing and falling back


@pytest.mark.parametrize(
    ("wanted", "first", "spoken"),
    [
        ("ru", "tr", "ru"),
        ("ru-RU", "tr", "ru"),
        ("de_AT", "tr", "de"),
        ("AR", "tr", "ar"),
        ("fr", "tr", "tr"),
        ("", "tr", "tr"),
        ("fr", "de-CH", "de"),
        ("fr", "ja", "en"),
    ],
)
def test_the_language_falls_back(wanted: str, first: str, spoken: str) -> None:
    replies = Replies.load([first], shop="Kumbara")
    assert replies.language("thanks", wanted) == spoken
    assert replies.render("thanks", wanted, {}).language == spoken
    assert replies.acknowledgement("closed", wanted, {}, segment=True).language == spoken


def test_a_dialect_wins_over_its_base(tmp_path: Path) -> None:
    (tmp_path / "de-AT.toml").write_text(reply("Servus!", "thanks"), encoding="utf-8")
    replies = load(tmp_path, "de", de=reply("Danke schön!", "praise-short"))
    assert replies.render("thanks", "de_AT", {}).text == "Servus!"
    assert replies.render("thanks", "de", {}).text.startswith("Vielen Dank")
    assert replies.render("invoice", "de-AT", {}).language == "de"


def test_replies_for_the_tags_come_first_the_main_tag_before_the_next() -> None:
    names = [choice.name for choice in REPLIES.names(["refund", "payment"], "en")]
    assert names[:3] == ["return-received", "refund-started", "refund-when"]
    assert names.index("ask-order-number") < names.index("payment-failed") < names.index("order-status")
    assert set(names) == REPLIES.texts["en"].keys() - SURE.keys()
    assert len(names) == len(set(names))
    assert REPLIES.names([], "ru")[0].title == "Где мой заказ"
    assert REPLIES.names(["brand-new"], "xx")[0].title == "Siparişim nerede"


def test_a_shops_own_replaces_ours_and_adds(tmp_path: Path) -> None:
    replies = load(tmp_path, tr=reply("Sağ olun!", "thanks") + "\n" + reply("Hediye paketi yaparız.", "gift-wrap"))
    assert replies.render("thanks", "tr", {}).text == "Sağ olun!"
    assert replies.render("thanks", "ru", {}).text.startswith("Спасибо")
    assert replies.render("gift-wrap", "ru", {}).language == "tr"
    assert "gift-wrap" in {choice.name for choice in replies.names(["refund"], "ru")}
    assert REPLIES.render("thanks", "tr", {}).text != "Sağ olun!"
    with pytest.raises(KeyError):
        REPLIES.render("gift-wrap", "tr", {})
    with pytest.raises(KeyError):
        REPLIES.acknowledgement("asleep", "tr", {})


def test_a_short_form_is_taken_where_there_is_one(tmp_path: Path) -> None:
    replies = load(tmp_path, tr=reply("Uzun.", short="Kısa.", subject="Bir  konu"))
    assert replies.render("parcel", "tr", {}, short=True).text == "Kısa."
    assert replies.render("parcel", "tr", {}).text == "Uzun."
    assert replies.render("parcel", "tr", {}).subject == "Bir konu"
    assert REPLIES.render("thanks", "tr", {}, short=True) == REPLIES.render("thanks", "tr", {})


# --- values


def test_a_variable_that_is_used_and_not_known_stops_the_reply(tmp_path: Path) -> None:
    replies = load(tmp_path, tr=reply("{{ order }} {{ agent|upper }} {{ shop }} {% if wait %}{{ wait }}{% endif %}"))
    for values in ({}, {"order": "", "agent": " \n"}, {"order": "\u202e", "agent": "\x00"}):
        with pytest.raises(Unfilled) as unfilled:
            replies.render("parcel", "tr", values)
        assert unfilled.value.names == ("agent", "order")
    assert replies.render("parcel", "tr", {"order": "7", "agent": "i"}).text == "7 İ Kumbara"
    with pytest.raises(ValueError, match="costumer"):
        replies.render("parcel", "tr", {"costumer": "Ayşe"})


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ayşe Yılmaz", "Ayşe Yılmaz"),
        ("{{ shop }}", "{{ shop }}"),
        ("{% if 1 %}x", "{% if 1 %}x"),
        ("Ay\nşe\r\n\tY", "Ay şe Y"),
        ("A\u2028B\u0085C", "A B C"),
        ("\u202eeşyA", "eşyA"),
        ("Ay\x00\x1b[31mşe", "Ay[31mşe"),
        ("Ayşe\u2067x\u2069", "Ayşex"),
        ("Ays\u0327e", "Ayşe"),
        ("x" * 500, "x" * 39 + "…"),
        ("Ali " * 200, "Ali Ali Ali Ali Ali Ali Ali Ali Ali Ali…"),
        ("👩\u200d🚀 Ada", "👩\u200d🚀 Ada"),
        ("a\ud800b", "ab"),
        ("WIN at http://shop.example", ""),
        ("free-stuff.example", ""),
        ("www.x", ""),
        ("ada@shop.example", ""),
        ("+90 532 123 45 67", ""),
        ("🌸🌸", ""),
        ("\u3164", ""),
        ("   ", ""),
        ("J. R. Ada", "J. R. Ada"),
        ("O'Neil-Çelik", "O'Neil-Çelik"),
    ],
)
def test_a_customers_name_is_cleaned_or_left_out(name: str, shown: str) -> None:
    assert clean("customer", name) == shown
    greeting = f"Hello {shown}, please" if shown else "Hello, please"
    assert REPLIES.render("ask-order-number", "en", {"customer": name}).text.startswith(greeting)


@given(name=st.text(), language=st.sampled_from(SPOKEN))
def test_no_name_breaks_a_reply(name: str, language: str) -> None:
    without = REPLIES.render("thanks", language, {}).text
    made = REPLIES.render("thanks", language, {"customer": name}).text
    added = len(made) - len(without)
    assert added <= VARIABLES["customer"] + 7  # with a comma, a space, and isolates around two or three runs
    assert made.count("\n") == without.count("\n")
    assert all(unicodedata.category(sign) not in ("Cc", "Cs", "Co") for sign in made.replace("\n", ""))
    directions = [sign for sign in made if unicodedata.category(sign) == "Cf" and sign not in "\u200c\u200d"]
    assert "".join(directions).replace(FSI + PDI, "") == "", "every isolate is closed, and nothing else turns the text"


@pytest.mark.parametrize(
    ("value", "language", "shown"),
    [
        ("Ayşe Yılmaz", "ar", "⟨Ayşe Yılmaz⟩"),
        ("أحمد", "ar", "أحمد"),
        ("أحمد", "en", "⟨أحمد⟩"),
        ("Ayşe", "en", "Ayşe"),
        ("10293", "ar", "10293"),
        ("#10293-4", "ar", "⟨#10293-4⟩"),
        ("TR-77", "ar", "⟨TR-77⟩"),
        ("يوم الاثنين الساعة 09:00", "ar", "يوم الاثنين الساعة 09:00"),
        ("يوم الثلاثاء 24 نوفمبر 2027 الساعة 08:05", "ar", "يوم الثلاثاء 24 نوفمبر 2027 الساعة 08:05"),
        ("غدًا الساعة 09:00 (GMT+03:00)", "ar", "غدًا الساعة ⟨09:00 (GMT+03:00)⟩"),
        ("2026-11-24 08:05", "ar", "⟨2026-11-24 08:05⟩"),
        ("09:00-18:00", "ar", "09:00-18:00"),
        ("من 09:00 – 18:00 ، عدا الجمعة", "ar", "من 09:00 – 18:00 ، عدا الجمعة"),
        ("John Smith أحمد", "ar", "⟨John Smith⟩ أحمد"),
        ("أحمد Smith، John", "ar", "أحمد ⟨Smith، John⟩"),
        ("السبت 09:00-12:30, 13:30-18:00، الأحد Kumbara.", "ar", "السبت 09:00-12:30, 13:30-18:00، الأحد ⟨Kumbara⟩."),
        ("0532 123 45", "ar", "⟨0532 123 45⟩"),
        ("", "ar", ""),
    ],
)
def test_what_runs_the_other_way_is_kept_in_one_piece(value: str, language: str, shown: str) -> None:
    assert isolated(value, language).replace(FSI, "⟨").replace(PDI, "⟩") == shown


def test_an_arabic_line_that_begins_with_a_latin_name_still_runs_from_the_right(tmp_path: Path) -> None:
    replies = load(tmp_path, "ar", ar=reply("{{ shop }}: أهلًا\n{{ agent }} معكم"))
    made = replies.render("parcel", "ar", {"agent": "Deniz"}).text
    assert made == f"{RLM}{FSI}Kumbara{PDI}: أهلًا\n{RLM}{FSI}Deniz{PDI} معكم"
    assert not replies.render("parcel", "ar", {"agent": "أحمد"}).text.split("\n")[1].startswith(RLM)


def test_filters_know_turkish(tmp_path: Path) -> None:
    text = "{{ customer|default('ısı')|title }} {{ order|upper|trim }} {{ order|lower }}"
    replies = load(tmp_path, tr=reply(text), en=reply(text))
    values = {"customer": "ilk ISI", "order": "iIİı"}
    assert replies.render("parcel", "tr", values).text == "İlk Isı İIİI iıiı"
    assert replies.render("parcel", "en", {"order": "i"}).text == "Isı I i"


# --- mistakes

TITLE = 'title = "A"\n'


@pytest.mark.parametrize(
    ("text", "line", "key", "what", "fix"),
    [
        ("text = 'a'", 1, "title", "is missing", "add title"),
        (TITLE, 1, "text", "is missing", "add text"),
        (TITLE + "text = ' '", 3, "text", "is empty", "write the text"),
        (TITLE + "text = 7", 3, "text", "must be text", "write text"),
        (TITLE + "text = 'a'\nshrot = 'b'", 4, "shrot", "is not a key", "did you mean short?"),
        (TITLE + "text = 'a'\ntags = 'return'", 4, "tags", "must be a list", "order-status"),
        (TITLE + "text = 'a'\ntags = ['Return!']", 4, "tags", "must be a list", "order-status"),
        ("title = '{{ shop }}'\ntext = 'a'", 2, "title", "cannot be shown", "75"),
        (f"title = '{'a' * 76}'\ntext = 'a'", 2, "title", "cannot be shown", "75"),
        (TITLE + "text = 'Hi {{ custmer }}'", 3, "text", "custmer is not a variable", "did you mean customer?"),
        (TITLE + "text = 'Hi {{ x }}'", 3, "text", "x is not a variable", "known are customer"),
        (TITLE + "text = '''\n\nHi\n{{ x }}'''", 6, "text", "x is not a variable", "known are customer"),
        (TITLE + "text = '''Hi\n{{ x }}'''", 4, "text", "x is not a variable", "known are customer"),
        (TITLE + "text = 'Hi {{ customer }'", 3, "text", "Jinja cannot read it", "{{ name }}"),
        (TITLE + "text = '''\n{% if order %}\nHi'''", 4, "text", "Jinja cannot read it", "{{ name }}"),
        (TITLE + "text = '{% blink %}'", 3, "text", "Jinja cannot read it", "{{ name }}"),
        (TITLE + "text = 'a{{ shop.title }}'", 3, "text", "looks inside a value", "{{ name }}"),
        (TITLE + "text = 'a{{ shop[0] }}'", 3, "text", "looks inside a value", "{{ name }}"),
        (TITLE + "text = 'a{{ shop() }}'", 3, "text", "calls something", "{{ name }}"),
        (TITLE + "text = 'a{{ \"\".__class__.__mro__ }}'", 3, "text", "looks inside a value", "{{ name }}"),
        (TITLE + "text = 'a{{ range(9) }}'", 3, "text", "calls something", "{{ name }}"),
        (TITLE + "text = '{% for a in shop %}{{ a }}{% endfor %}'", 3, "text", "has a loop", "{{ name }}"),
        (TITLE + "text = '{% include \"x\" %}'", 3, "text", "brings in another text", "{{ name }}"),
        (TITLE + "text = '{% import \"x\" as y %}'", 3, "text", "brings in another text", "{{ name }}"),
        (TITLE + "text = 'a{% set shop = 1 %}'", 3, "text", "sets a variable", "{{ name }}"),
        (TITLE + "text = 'a{% if order == \"1\" %}b{% endif %}'", 3, "text", "compares values", "{{ name }}"),
        (TITLE + "text = 'a{% if order is defined %}b{% endif %}'", 3, "text", 'uses "is"', "{{ name }}"),
        (TITLE + "text = 'a{{ shop * 9 }}'", 3, "text", "does more than", "{{ name }}"),
        (TITLE + "text = 'a{{ shop|tilte }}'", 3, "text", "tilte is not a filter", "did you mean title?"),
        (TITLE + "text = 'a{{ shop|default }}'", 3, "text", "is not written so", "default"),
        (TITLE + "text = 'a{{ shop|upper(1) }}'", 3, "text", "is not written so", "upper"),
        (TITLE + "text = 'a{{ order if order }}'", 3, "text", "if without else", "else"),
        (TITLE + "text = 'Hi {{ customer }}'", 3, "text", "customer is not always known", "{% if customer %}"),
        (TITLE + "text = 'a'\nshort = 'Hi {{ hours }}'", 4, "short", "hours is not always known", "{% if hours %}"),
        (TITLE + "text = '{% if order %}a{% endif %}'", 3, "text", "says nothing when order", "{% else %}"),
        (
            TITLE + "text = '{% if order %}{% if wait %}a{% endif %}{% else %}b{% endif %}'",
            3, "text", "says nothing when wait", "{% else %}",
        ),
        (TITLE + "text = '{# nothing #}'", 3, "text", "says nothing", "write"),
        (TITLE + f"text = '{'{% if order %}' * 30}a{'{% endif %}' * 30}'", 3, "text", "too many parts", "simpler"),
        (TITLE + f"text = 'a{{{{ {'(' * 3000}shop{')' * 3000} }}}}'", 3, "text", "too many parts", "simpler"),
        (TITLE + "text = \"\u200b\"", 3, "text", "is empty", "write the text"),
        (
            TITLE + "text = '{% if order %}a{% else %}\u200b{% endif %}'",
            3, "text", "says nothing when order", "{% else %}",
        ),
        (TITLE + "text = 'a{{ customer|default(\"{{order}}\") }}'", 3, "text", "has {{order}} in it", "no braces"),
        (TITLE + "text = 'a{% raw %}{{ order }}{% endraw %}'", 3, "text", "has {{ order }} in it", "no braces"),
        (TITLE + "text = 'Hi {order}'", 3, "text", "has {order} in it", "no braces"),
        (TITLE + "text = 'a{{ \"{\" }}{{ \"{\" }}'", 3, "text", "comes to {{", "no braces"),
        (TITLE + "text = 'a'\nshorter = 'b'", 4, "shorter", "in an acknowledgement only", "`short`"),
        (TITLE + "text = 'a'\nsubject = \"b\\nc\"", 4, "subject", "more than one line", "on one"),
        (TITLE + "text = 'a'\ntags = ['nope']", 4, "tags", "there is no tag nope", "top of the rules file"),
        (TITLE + "text = 'a'\ntags = ['retrun']", 4, "tags", "there is no tag retrun", "did you mean return?"),
        (TITLE + "text = 'a'\ntags = ['return', 'return']", 4, "tags", "return stands there twice", "take one"),
        (TITLE + f"text = '{'a' * 10_001}'", 3, "text", "longer than 10000", "shorten"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place_and_its_fix(
    tmp_path: Path, text: str, line: int, key: str, what: str, fix: str
) -> None:
    (problem, *more) = problems(tmp_path, tr=f"[parcel]\n{text}")
    assert not more, more
    assert problem.file == str(tmp_path / "tr.toml")
    assert (problem.line, problem.name, problem.key) == (line, "parcel", key)
    assert what in problem.what and fix in problem.fix
    assert str(problem).startswith(f"{tmp_path / 'tr.toml'}:{line}: parcel.{key}: ")


@pytest.mark.parametrize("text", ["{{ customer }}", "{{ order }}", "{{ agent }}", "{{ opening }}"])
def test_an_acknowledgement_asks_nobody(tmp_path: Path, text: str) -> None:
    for name in SURE:
        (problem,) = problems(tmp_path, tr=reply(f"{{{{ shop }}}} {text}", name))
        assert "is not always known" in problem.what
    assert load(tmp_path, tr=reply("{{ wait }}", "acknowledge-busy"))


def test_everything_is_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "de.toml").write_bytes(b"\xff\xfe")
    found = problems(
        tmp_path,
        tr=f"stray = 1\n[Bad_Name]\n{TITLE}text = '{{{{ a }}}}{{{{ b }}}}'\n{reply('x', 'acknowledge-later')}",
        en=reply("Hi", "only-here") + "\n" + reply("{{ shop", "second", subject="{{ c }}"),
        ru="[a]\ntitle = 'never closed\n",
        turkish=reply("x"),
        approved="not even TOML",
    )
    said = [(Path(problem.file).name, problem.line, problem.name or problem.key, problem.what) for problem in found]
    assert [(file, line, name) for file, line, name, _ in said] == [
        ("de.toml", 0, ""),
        ("en.toml", 1, "only-here"),
        ("en.toml", 4, "second"),
        ("en.toml", 6, "second"),
        ("en.toml", 7, "second"),
        ("ru.toml", 2, ""),
        ("tr.toml", 1, "stray"),
        ("tr.toml", 2, "Bad_Name"),
        ("tr.toml", 4, "Bad_Name"),
        ("tr.toml", 4, "Bad_Name"),
        ("tr.toml", 5, "acknowledge-later"),
        ("turkish.toml", 0, ""),
    ]
    assert "first language" in said[1][3] and "first language" in said[2][3]


def test_two_replies_cannot_have_one_title(tmp_path: Path) -> None:
    taken = REPLIES.texts["tr"]["invoice"].title
    (problem,) = problems(tmp_path, tr=f"[bill]\ntitle = '{taken.upper()} '\ntext = 'a'")
    assert (problem.line, problem.name, problem.key) == (2, "bill", "title")
    assert "title of invoice" in problem.what
    twins = problems(tmp_path, tr=f"[a]\n{TITLE}text = 'a'\n[b]\n{TITLE}text = 'b'")
    assert [problem.what for problem in twins] == ["is also the title of a"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path / "nowhere")
    assert problem.line == 0 and "no such folder" in problem.what
    assert load(tmp_path).render("thanks", "tr", {}).text


def test_two_files_of_one_language_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pt-BR.toml").write_text(reply("a"), encoding="utf-8")
    (problem,) = problems(tmp_path, pt_br=reply("b"), tr=reply("c"))
    assert "the same language as pt-BR.toml" in problem.what


def test_a_text_has_to_fit_every_channel_in_full_or_short(tmp_path: Path) -> None:
    limits = {"sms": Limit(most=70), "mail": Limit(most=10_000), "bytes": Limit(most=200, measure=lambda t: 2 * len(t))}
    (first, second) = problems(tmp_path, limits=limits, tr=reply("a" * 101))
    assert (first.key, first.line) == ("text", 3) and "the channel sms, which takes 70" in first.what
    assert "the channel bytes, which takes 200" in second.what
    assert load(tmp_path, limits=limits, tr=reply("a" * 101, short="a"))
    (problem,) = problems(tmp_path, limits=limits, tr=reply("a" * 31 + "{{ order }}"))
    assert "sms" in problem.what, "a value may be as long as it may be"


def test_an_acknowledgement_has_to_fit_one_sms_where_there_is_sms(tmp_path: Path) -> None:
    limits = {"sms": Limit(most=1600, segment=True)}
    for text in ("ş" * 71, "{{ shop }}"):
        (problem,) = problems(tmp_path, limits=limits, tr=reply(text, "acknowledge-closed"))
        assert "does not fit one SMS, as the channel sms needs" in problem.what
    assert load(tmp_path, limits=limits, tr=reply("ş" * 71, "acknowledge-closed", shorter="a"))
    assert load(tmp_path, limits=limits, tr=reply("ş" * 71, "parcel"))
    assert load(tmp_path, tr=reply("ş" * 71, "acknowledge-closed"))


PIECES = re.split(
    "~",
    "{{~}}~{%~%}~{#~#}~{~}~|~.~(~)~'~a~if~not~order~customer~shop~upper~endif~else~for~in~raw~endraw~ ~\\~\n"
    "~{% if customer %}~{% else %}~{% endif %}~{{ shop }}~{{ order }}~{% raw %}",
)


@settings(max_examples=200, deadline=None)
@given(
    text=st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join),
    values=st.dictionaries(st.sampled_from(["customer", "order", "agent"]), st.text(max_size=9)),
)
def test_a_text_is_refused_or_can_be_sent(
    tmp_path_factory: pytest.TempPathFactory, text: str, values: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("replies")
    try:
        replies = load(folder, tr=reply(text.replace("'", '"')))
    except BadReplies as bad:
        assert all(problem.file and problem.what for problem in bad.problems)
        return
    try:
        assert replies.render("parcel", "tr", values).text
    except Unfilled as unfilled:
        assert set(unfilled.names) <= {"order", "agent"}
