"""What is shown of a mail and what is hidden below it: on a corpus of programs and languages, and on hostile texts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.mail.parse.html import to_text
from channels.mail.quotes.own import MOST_LINES, own_words, read_words
from channels.mail.quotes.page import own_words_html
from channels.mail.values import MOST_TEXT, Mail, Own
from tests.mail.quote_corpus import (
    ADDRESS,
    NAME,
    OURS,
    Page,
    Sample,
    below_labels,
    below_labels_attributed,
    endings,
    generated,
    hostile,
    hostile_pages,
    pages,
    pages_below_labels,
    written,
)

GENERATED = list(generated())
ODDITIES, TRAPS, BETWEEN = written("oddities"), written("traps"), written("interleaved")
# The one line of a telephone, in a language that the word list does not have, that stays in sight.
KNOWN_LEAKS = {"ka iPhone"}
REPLY = "\n\nOn Tue, Nov 5, 2024 at 10:12 AM Ornek <support@ornek.example> wrote:\n> Which size?\n"


def named(value: Sample | Page) -> str:
    return value.name


def folded(text: str) -> str:
    return " ".join(text.split())


def lines_of(text: str) -> list[str]:
    """The lines that are not blank, without the blanks at their ends."""
    return sorted(line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip())


# --- the corpus


@pytest.mark.parametrize("ours", [OURS, frozenset()], ids=["known", "unknown"])
def test_what_programs_quote_is_hidden_in_every_language(ours: frozenset[str]) -> None:
    assert len({sample.name.split()[0] for sample in GENERATED}) >= 30
    wrong = {
        sample.name for sample in GENERATED if folded(own_words(sample.text, ours=ours).text) != folded(sample.own)
    }
    assert wrong == KNOWN_LEAKS


@pytest.mark.parametrize("sample", ODDITIES, ids=named)
def test_an_odd_way_of_quoting_is_understood(sample: Sample) -> None:
    own = own_words(sample.text, ours=sample.ours)
    assert folded(own.text) == folded(sample.own)
    assert own.hidden


@pytest.mark.parametrize("greeting", ["", "Hello,\n\n", "Merhaba\n"], ids=["bare", "greeted", "closely"])
@pytest.mark.parametrize("sample", TRAPS, ids=named)
def test_what_only_looks_like_a_quotation_is_shown(sample: Sample, greeting: str) -> None:
    text = (greeting + sample.text).strip("\n")
    assert own_words(text, ours=sample.ours) == Own(text=text, why=("whole",))


@pytest.mark.parametrize("sample", BETWEEN, ids=named)
def test_answers_below_and_between_and_forwards_are_shown(sample: Sample) -> None:
    assert folded(own_words(sample.text, ours=sample.ours).text) == folded(sample.own)


@pytest.mark.parametrize("page", pages(), ids=named)
def test_a_html_mail_shows_its_writers_words_only(page: Page) -> None:
    html, own = own_words_html(page.html, ours=OURS)
    for words in page.own:
        assert words in own.text and words in html and words not in own.hidden
    for words in page.quoted:
        assert words not in own.text and words not in html and words in own.hidden


# --- a form of the customer's own right above a header: a word of theirs hidden is the worst of faults


def shown_otherwise(samples: Iterable[Sample], ours: frozenset[str] = OURS) -> list[str]:
    return [sample.name for sample in samples if folded(own_words(sample.text, ours=ours).text) != folded(sample.own)]


# One in so many of all there are: a number prime to those of endings, languages, orders and gaps leaves none out.
def test_labels_of_the_customers_own_stay_above_a_header() -> None:
    assert shown_otherwise(islice(below_labels(), 0, None, 19)) == []


def test_labels_stay_above_a_header_even_where_we_do_not_know_our_names() -> None:
    listed = (sample for sample in below_labels() if ", ka " not in sample.name)  # a language without labels
    assert shown_otherwise(islice(listed, 0, None, 29), frozenset()) == []


def test_labels_of_the_customers_own_stay_above_an_attribution() -> None:
    assert shown_otherwise(islice(below_labels_attributed(), 0, None, 11)) == []


def test_labels_of_the_customers_own_stay_above_a_header_in_html() -> None:
    for page in islice(pages_below_labels(), 0, None, 101):
        html, own = own_words_html(page.html, ours=OURS)
        for words in page.own:
            assert words in own.text and to_text(escape(words)) in to_text(html), page.name
        for words in page.quoted:
            assert words not in own.text and words in own.hidden, page.name


@pytest.mark.parametrize("words", endings().values(), ids=endings().keys())
@pytest.mark.parametrize("greeting", ["", "Hello,\n\n"], ids=["bare", "greeted"])
def test_labels_with_nothing_quoted_below_are_shown(words: str, greeting: str) -> None:
    text = greeting + words
    assert own_words(text, ours=OURS) == Own(text=text, why=("whole",))


# --- what is promised of every text


@pytest.mark.parametrize("sample", [*GENERATED[::7], *ODDITIES, *TRAPS, *BETWEEN], ids=named)
def test_no_line_is_lost(sample: Sample) -> None:
    own = own_words(sample.text, ours=sample.ours)
    assert lines_of(f"{own.text}\n{own.hidden}") == lines_of(sample.text)


PIECES = st.sampled_from(
    [
        *("Hello", "", "> quoted", ">", ">> deep", "-- ", "--", "___", "Ann", "42", "Sent from my iPhone", " \t"),
        *("On Tue, Nov 5, 2024 at 10:12 AM Ann <a@b.example> wrote:", "wrote:", "5.11.2024 10:12, Ann <a@b.example>:"),
        *("From: Ann <a@b.example>", "Sent: 5.11.2024 10:12", "To: Ben", "Subject: x", "*Von:* x", "\u202e"),
        *("-----Original Message-----", "---------- Forwarded message ---------", "Begin forwarded message:", "写道："),
        *("Am 5.11.2024 schrieb Ann <a@b.example", "> wrote:", "a\rb", "x" * 90, "<"),
    ]
)


@given(st.lists(PIECES | st.text(max_size=30), max_size=25))
def test_no_line_of_any_text_is_lost_or_made_up(pieces: list[str]) -> None:
    text = "\n".join(pieces)
    own = own_words(text, ours=frozenset({"a@b.example"}), sent=["quoted\nHello\nAnn and her forty-two shoes"])
    assert lines_of(f"{own.text}\n{own.hidden}") == lines_of(text)
    assert bool(own.text.strip()) == bool(text.strip()) and own.why


TAGS = st.sampled_from(
    [
        *("<div>", "</div>", "<br>", "<hr>", "<p>", "<blockquote>", "</blockquote>", "<pre>", "</pre>", "<!-- x -->"),
        *("<table><tr><td>", "</table>", "<img src=x>", "<style>", "<b>", '<blockquote type="cite">', '<p hidden="">'),
        *('<div class="gmail_quote">', '<div class="gmail_attr">', '<div class="gmail_signature">'),
        *('<div id="divRplyFwdMsg">', '<div style="border-top:solid #E1E1E1">', '<div style="display:none">'),
    ]
)


@given(st.lists(PIECES.map(lambda piece: piece.replace("<", "&lt;")) | TAGS, max_size=25))
def test_no_html_loses_all_its_words(pieces: list[str]) -> None:
    html = "\n".join(pieces)
    left, own = own_words_html(html)
    if to_text(html).strip() and "<img" not in html:
        assert own.text.strip()
    assert not own.hidden or left != html


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(sorted(hostile())), st.sampled_from(["", REPLY]))
def test_hostile_text_is_shown_and_hidden_without_loss(name: str, end: str) -> None:
    text = "Hello\n" + hostile()[name] + end
    own = own_words(text, ours=OURS, sent=[text[:1000]])
    assert "Hello" in own.text
    assert lines_of(f"{own.text}\n{own.hidden}") == lines_of(text)


@pytest.mark.parametrize("name", ["nested div", "nested cited quotes", "nested styles", "signatures", "angles", "pre"])
def test_hostile_html_is_read(name: str) -> None:
    _, own = own_words_html("<p>Hello</p>" + hostile_pages()[name])
    assert "Hello" in own.text


# --- limits


@pytest.mark.parametrize("text", ["x" * MOST_TEXT + REPLY, "x\n" * MOST_LINES + REPLY], ids=["long", "many lines"])
def test_a_text_beyond_the_limits_is_shown_whole(text: str) -> None:
    assert own_words(text) == Own(text=text, why=("whole",))


def test_a_long_own_text_below_the_limits_is_cut() -> None:
    text = "a word\n" * (MOST_LINES - 100)
    assert own_words(text + REPLY).text == text.rstrip()


# --- reasons


def test_the_rule_that_decided_is_told() -> None:
    assert own_words("Hi" + REPLY).why == ("attribution",)
    assert own_words("Hi\n\n-- \nAnn" + REPLY).why == ("attribution", "signature")
    assert own_words("Hi\n\n> a\n> b").why == ("trailing quote",)
    assert own_words(REPLY.strip() + "\n42").why == ("attribution", "interleaved")
    assert own_words("---- Forwarded message ----\nHi").why == ("forward",)
    assert own_words("Hi\n\nFrom: A <a@b.example>\nSent: 5.11.2024 10:12\nTo: B\nSubject: c\n\nx").why == (
        "header block",
    )
    assert own_words("Hi").why == ("whole",)


def test_hidden_is_the_very_text_that_was_taken_away() -> None:
    own = own_words("Hi\n\n-- \nAnn" + REPLY)
    assert own.hidden == "-- \nAnn" + "\n\n" + REPLY.strip()


def test_a_signature_of_thirteen_lines_is_no_signature() -> None:
    twelve = "".join(f"line {number} of it\n" for number in range(12))
    assert own_words(f"Hi\n-- \n{twelve}").text == "Hi"
    assert own_words(f"Hi\n-- \n{twelve}one more\n").why == ("whole",)


# --- our own last words

SENT = """Dear Ann,

your order 1001 left our warehouse yesterday and should be with you by Friday evening.
Please tell us whether you would like to keep the smaller pair.

Kind regards
Ornek Store"""


def test_a_copy_of_our_words_that_nothing_introduces_is_hidden() -> None:
    wrapped = SENT.replace("yesterday and", "yesterday\nand")
    own = own_words(f"Thanks, I keep it.\n\n{wrapped}\n", sent=["something older", SENT])
    assert own.text == "Thanks, I keep it."
    assert "Kind regards" in own.hidden
    assert own_words(f"Thanks, I keep it.\n\n{wrapped}\n").why == ("whole",)


def test_an_unknown_introduction_of_our_words_goes_with_them() -> None:
    own = own_words(f"Takk!\n\nOrnek Store 5.11. kl. 10:\n{SENT}", sent=[SENT])
    assert own.text == "Takk!"


def test_our_quoted_words_are_hidden_between_answers() -> None:
    text = "> Please tell us whether you would like to keep the smaller pair.\nYes\n> Kind regards\nBye"
    assert own_words(text, sent=[SENT]).text == "Yes\nBye"
    assert own_words(text).why == ("whole",)


def test_a_mail_of_nothing_but_our_words_is_shown() -> None:
    assert own_words(SENT, sent=[SENT]).text == SENT


def test_an_own_sentence_that_repeats_ours_is_kept() -> None:
    text = (
        "You say: your order 1001 left our warehouse yesterday.\nIt did not.\nNobody has seen it, not even the courier."
    )
    assert own_words(text, sent=[SENT]).text == text


# --- whole mails


def mail(**told: object) -> Mail:
    return Mail(**told)  # type: ignore[arg-type]


HTML = (
    '<p>Zu klein.</p><div class="gmail_quote">'
    f'<div class="gmail_attr">Am 5.11.2024 schrieb {NAME} &lt;{ADDRESS}&gt;:</div>'
    "<blockquote>Unterwegs.</blockquote></div>"
)


def test_a_mail_of_text_alone_has_no_html() -> None:
    own, html = read_words(mail(text="Hi" + REPLY))
    assert (own.text, html) == ("Hi", "")


def test_text_made_of_html_is_read_from_the_html() -> None:
    own, html = read_words(mail(text=to_text(HTML), html=HTML, text_of_html=True))
    assert own.text.strip() == "Zu klein."
    assert "Unterwegs" not in html and "Zu klein." in html


def test_of_both_the_text_is_read_and_both_are_cut() -> None:
    own, html = read_words(mail(text="Zu klein, sagt der Text." + REPLY, html=HTML))
    assert own.text == "Zu klein, sagt der Text."
    assert "Unterwegs" not in html


def test_a_quotation_that_only_the_html_shows_is_cut() -> None:
    own, _ = read_words(mail(text="Zu klein.\nUnterwegs.", html=HTML))
    assert own.text.strip() == "Zu klein."
    assert "Unterwegs" in own.hidden


@pytest.mark.parametrize(
    ("subject", "kept"),
    [
        ("FW: 1001", True),
        ("WG: 1001", True),
        ("İLT: 1001", True),
        ("Re: 1001", False),
        ("YNT: 1001", False),
        ("", False),
    ],
)
def test_a_forward_is_known_by_its_subject(subject: str, kept: bool) -> None:
    text = "Is this yours?\n\nFrom: A <a@b.example>\nSent: 5.11.2024 10:12\nTo: B\nSubject: c\n\nOn its way."
    html = '<p>Is this yours?</p><div id="divRplyFwdMsg"><b>From:</b> A</div><p>On its way.</p>'
    own, left = read_words(mail(subject=subject, text=text, html=html))
    assert ("On its way" in own.text) is kept
    assert ("On its way" in left) is kept


def test_an_answer_of_a_picture_alone_hides_the_quotation() -> None:
    html = '<div><img src="cid:photo"></div><blockquote type="cite">Please send a picture.</blockquote>'
    left, own = own_words_html(html)
    assert "cid:photo" in left and "Please send" not in left + own.text


def test_html_that_is_nothing_but_a_quotation_is_shown() -> None:
    html = '<blockquote type="cite"><p>Please send a picture.</p></blockquote>'
    left, own = own_words_html(html)
    assert left == html and "Please send" in own.text and not own.hidden


def test_a_forward_in_html_is_shown_whole() -> None:
    html = (
        '<div>Yours?</div><div class="gmail_quote"><div class="gmail_attr">---------- Forwarded message ---------<br>'
        "Von: A &lt;a@b.example&gt;<br></div><p>On its way.</p></div>"
    )
    left, own = own_words_html(html)
    assert left == html and own.why == ("forward",) and "On its way" in own.text
