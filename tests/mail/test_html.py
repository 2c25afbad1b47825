"""HTML of a mail, as the text that an agent reads and as the HTML that is safe to show."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from channels.mail.parse import html
from channels.mail.values import MOST_TEXT, File


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<div>one</div><div>two</div>", "one\ntwo"),
        ("<div>one</div><div><br></div><div>two</div>", "one\n\ntwo"),
        ("<div>one<br></div><div>two</div>", "one\ntwo"),
        ("one<br>two<br><br>three", "one\ntwo\n\nthree"),
        ("  many \n\t spaces&nbsp;&nbsp;here ", "many spaces here"),
        ("in<b>si</b>de <i> words</i>", "inside words"),
        ("<p class=MsoNormal>one</p><p class=MsoNormal>two</p>", "one\ntwo"),
        ("<p style='margin: 0'>one</p><p style='margin:0'>two</p>", "one\ntwo"),
        ("<h1>Title</h1>text", "Title\n\ntext"),
        ("Hi<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>bye", "Hi\n\n- a\n- b\n  - c\n\nbye"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ("<ol start=5><li>a</ol><ul><li>2 items<br>5 kg</ul>", "5. a\n\n- 2 items\n  5 kg"),
        ("<p class=MsoNormal>a</p><p class=MsoNormal><o:p>&nbsp;</o:p></p><p class=MsoNormal>b</p>", "a\n\nb"),
        (
            "<table><tr><th>Item</th><th>Size</th></tr><tr><td>Shirt</td><td>M</td></tr></table>",
            "Item | Size\nShirt | M",
        ),
        ("<table><tr><td>Order:</td><td>1042</td></tr></table>", "Order: 1042"),
        ("<table><tr><td><p>a</p><p>b</p></td><td>c</td></tr></table>", "a\n\nb\n\nc"),
        ("<pre>a  b\n  c\n\nd</pre>", "a  b\n  c\n\nd"),
        ("<hr>below", "_" * 32 + "\nbelow"),
        ("<blockquote>old<blockquote>older</blockquote></blockquote>new", "> old\n>\n> > older\n\nnew"),
        ("<blockquote style='margin:0 0 0 40px;border:none;padding:0'>set in</blockquote>", "set in"),
        ("<a href='https://example.com/x'>here</a>", "here (https://example.com/x)"),
        ("<a href='https://www.example.com/'>example.com</a>", "example.com"),
        ("<a href='https://example.com/a%20b'>https://example.com/a b</a>", "https://example.com/a b"),
        ("<a href='mailto:a@example.com?subject=x'>a@example.com</a>", "a@example.com"),
        ("<a href='mailto:a@example.com'>write</a>", "write (a@example.com)"),
        ("<a href='tel:+90212'>+90 212</a>", "+90 212"),
        ("<a href='https://example.com'><img src='https://example.com/l.png'></a>x", "x"),
        ("<a href='javascript:alert(1)'>here</a>", "here"),
        ("<img alt='😀' src='https://example.com/s.png'> hi", "😀 hi"),
        ("<img alt='Our shop' src='https://example.com/s.png'>", "[Our shop]"),
        ("<img alt='image001.png' src='cid:a@b'>x", "x"),
        ("<style>p{}</style><script>x()</script><title>t</title>seen", "seen"),
        ("<div style='display: none'>preview</div><span hidden>no</span><p style='mso-hide:all'>no</p>seen", "seen"),
        ("<!-- note --><![if !mso]>seen<![endif]>", "seen"),
        ("<html><head><meta charset=x><title>t</title></head><body>seen</body></html>", "seen"),
        ("Sipari&thorn; &amp; &#351; &lt;b&gt;", "Sipariş & ş <b>"),
        ("<p>a</p>\n\n\n<p></p><p>b</p>", "a\n\nb"),
        ("a&#0;b&#xD800;c", "a\ufffdb\ufffdc"),
        ("<p>unclosed <b>all", "unclosed all"),
        ("", ""),
        ("plain", "plain"),
    ],
)
def test_text_is_what_a_reader_sees(markup: str, text: str) -> None:
    assert html.to_text(markup) == text


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("<p onclick='x()'>a</p>", "<p>a</p>"),
        ("<script>x()</script><style>p{}</style><title>t</title>a", "a"),
        ("<p style='position:fixed' class='x' id='y' dir='rtl'>a</p>", '<p dir="rtl">a</p>'),
        ("<a href='javascript:x()'>a</a>", '<a rel="noopener noreferrer nofollow">a</a>'),
        ("<a href='&#x6A;avascript:x()'>a</a>", '<a rel="noopener noreferrer nofollow">a</a>'),
        ("<a href='/relative'>a</a>", '<a rel="noopener noreferrer nofollow">a</a>'),
        ("<a href='https://e.com'>a</a>", '<a href="https://e.com" rel="noopener noreferrer nofollow">a</a>'),
        ("<form action='https://e.com'><input name=a><button>Go</button></form>", "Go"),
        ("<iframe src='https://e.com'></iframe><base href='https://e.com'><meta http-equiv=refresh>a", "a"),
        ("<svg><script>x()</script></svg><math><mi>a</mi></math>b", "b"),
        ("<!-- a -->b", "b"),
        ("a<img src='https://e.com/t.gif' width=1>b", "ab"),
        ("a<img src='https://e.com/t.gif' alt='5 &lt; 6 &quot;x&quot;'>b", 'a5 &lt; 6 "x"b'),
        ("<img src='data:text/html,x' alt=no>", "no"),
        ("<img src='cid:unknown' alt='gone'>", "gone"),
        ("<img src=' cid:pic@x' srcset='https://e.com/x 2x' onerror=x()>", ""),
        ("<td background='https://e.com/x'>a</td>", "a"),
    ],
)
def test_shown_html_can_do_nothing_and_loads_nothing(markup: str, shown: str) -> None:
    assert html.clean(markup) == shown


def test_enclosed_pictures_stay() -> None:
    picture = File(media_type="image/png", filename="a.png", data=b"x", content_id="Pic@x")
    assert html.clean("<img src='cid:pic%40x' alt='a'>", [picture]) == '<img src="cid:pic%40x" alt="a">'
    assert html.clean("<img alt='a \" > b' src='CID:pic@x'>", [picture]).startswith("<img ")


def test_deep_and_never_closed_tags_keep_their_words() -> None:
    assert html.to_text("<div>" * 5_000 + "words") == "words"
    assert "words" in html.to_text("<b>" * 3_000 + "<p>x" * 1_000 + "words")
    assert "words" in html.clean("<font color=red>" * 3_000 + "<p>x" * 1_000 + "words")


def test_honest_html_is_not_touched_by_the_taming() -> None:
    markup = "<table><tr><td><p><b>a</b> <a href='https://e.com'>b</a></td></tr></table>" * 400
    assert html.tamed(markup) == markup


def many(count: int, quote: str = "") -> str:
    return " ".join(f"a{number}={quote}b{quote}" for number in range(count))


@pytest.mark.parametrize(
    "markup",
    [
        f"<p {many(5_000)}>words</p>",
        f"<p title='a > b' {many(5_000, chr(34))}>words</p>",
        f"<p/{many(5_000).replace(' ', '/')}/>words",
        f"<p title='<!--' {many(5_000)}>words<!-- -->",
        f"<p title='<script>' {many(5_000)}>words</p>",
        f"<!-- <p a=' --><p {many(5_000)}>words</p>",
        f"<svg><style><p a=' </style><p b=' {many(5_000)}></svg><p {many(5_000)}>words",
        f"<textarea><p a=' </textarea><p {many(5_000)}>words",
        f"<script><!--<script></script><p a=' </script> --></script><p b=' {many(5_000)}>words",
        f"words</p {many(5_000)}>",
        f"words<p {many(5_000)}",
        "".join(f"<body {many(300).replace('a', f'a{number}x')}>" for number in range(20)) + "words",
    ],
)
def test_no_tag_keeps_thousands_of_attributes(markup: str) -> None:
    tame = html.tamed(markup)
    found = [node for node in LexborHTMLParser(tame).css("*") if len(node.attributes) > 2_500]
    assert found == []
    assert "words" in html.to_text(markup)
    assert "words" in html.clean(markup)


def test_the_first_attributes_of_a_tag_count() -> None:
    markup = f"<a href='https://e.com/x' {many(5_000)}>here</a>"
    assert html.to_text(markup) == "here (https://e.com/x)"


@pytest.mark.parametrize(
    "markup",
    [
        "<table>" + "<tr>word<td>word" * 3_000,
        "<table>" + "<br>word" * 3_000,
        "<select>" + "<option>x" * 3_000 + "</select>word",
        "<svg>" * 3_000 + "word",
        "<a href=x><div>" * 3_000 + "word",
        "&" * 200_000 + "word",
    ],
)
def test_shapes_that_are_slow_to_parse_keep_their_words(markup: str) -> None:
    assert html.tamed(markup) != markup
    assert "word" in html.to_text(markup)
    assert "word" in html.clean(markup)


def test_nothing_is_nested_deeper_when_formatting_is_taken_out() -> None:
    tame = html.tamed("<a href=x><div>" * 3_000 + "word")
    assert "<a" not in tame
    assert 10 < tame.count("<div>") <= 500


@pytest.mark.parametrize(
    "padding",
    [
        "<style>p { color: red }\n" + "x" * 1_300_000 + "</style>",
        "<STYLE type='text/css'>p{}</STYLE >" * 50_000,
        "<!-- " + "x" * 1_300_000 + " -->",
        "<!--[if mso]> <p>no</p> <![endif]-->" * 40_000,
        "<script>" + "x()<!-- " * 200_000 + "</script>",
        "<img src=data:image/png;base64," + "QUJD" * 400_000 + " alt=''>",
    ],
)
def test_what_nobody_sees_does_not_push_the_words_out(padding: str) -> None:
    assert html.to_text(f"<html><body>{padding}<p>words</p>") == "words"


def test_a_document_of_more_tags_than_anybody_writes_is_shown_as_its_text() -> None:
    assert html.clean("<hr><p>a &lt;b" + "<br>" * 110_000).startswith("_" * 32 + "<br><br>a &lt;b")


def test_a_row_of_many_cells_is_one_line() -> None:
    cells = "".join(f"<td>{number}</td>" for number in range(1_000))
    assert html.to_text(f"<table><tr>{cells}</tr></table>") == " | ".join(map(str, range(1_000)))


def test_text_is_bounded() -> None:
    assert len(html.to_text("<blockquote>" * 60 + "<p>x" * 90_000)) <= MOST_TEXT


TAGS = [
    "<p>",
    "</p>",
    "<br>",
    "<li>",
    "<ul>",
    "</ul>",
    "<a href='https://e.com'>",
    "</a>",
    "<td>",
    "<table>",
    "</table>",
    "<b>",
    "<pre>",
]
PIECES = st.lists(
    st.sampled_from(
        [*TAGS, "<blockquote>", "</blockquote>", "<img alt=x>", "<!--", "&nbsp;", "word ", "<", "\x00", "\n"]
    )
)


@given(st.one_of(st.text(max_size=200), PIECES.map("".join)))
def test_any_html_gives_clean_text_and_harmless_html(markup: str) -> None:
    text = html.to_text(markup)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)
    shown = html.clean(markup)
    assert not re.search(r"<(?!/?[a-z][a-z0-9]*[ >])", shown)
    assert not re.search(r"<(script|style|iframe|form|object|svg)|<[^>]* (src|on\w+|style)=", shown)
