"""What an agent reads of a customer's words, and what a customer reads of an agent's."""

from __future__ import annotations

import re
import unicodedata
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.message import Span, SpanKind, Status
from desk.reading import Names
from desk.words import (
    NAME_LIMIT,
    WORD_JOINER,
    display_name,
    escape,
    inline,
    literal_blocks,
    mark,
    marks,
    plain,
    read,
)
from tests.desk.limits import ACTIVE, CONTROL, broken

NAMES = Names(
    people={"U0DENIZ01": "Deniz"}, channels={"C0ORDERS1": "orders"}, colleague="bir arkadaşım", team="ekibimiz"
)

HOSTILE = [
    "<!here> <!channel> <!everyone> <!subteam^S0123|@support>",
    "<@U0123456> <#C0123456|general>",
    "@here @Channel @EVERYONE",
    "<https://evil.example|https://bank.example>",
    "[x](!channel) [pay](https://evil.example)",
    "*bold* _it_ ~st~ `code` ```pre``` > quote",
    "&lt;!here&gt; &amp;",
    "a\x00b\x1b[31mc\x85d",
    "\u202eevil\u202c \u2066iso\u2069",
    "half \ud83d a character \udc00",
    "😀" * 10_000,
    "👨‍👩‍👧‍👦🏳️‍🌈" * 900,
    "x" * 20_000,
    "<" * 4_000,
    "&" * 4_000,
    "@",
    " \n\t ",
    "",
    "Z" + "\u0301" * 3_000,
    ":white_check_mark: Delivered",
]
hostile = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(alphabet=st.characters(), max_size=200),
    st.text(alphabet="<>!@#&;|*_~`: \nhereCHANNEL\u202e\x00\u2060", max_size=80),
)


@st.composite
def formatted(draw: st.DrawFn) -> tuple[str, tuple[Span, ...]]:
    text = draw(hostile)
    edges = st.integers(-2, len(text) + 3)
    url = st.sampled_from(
        ["https://a.example/x", "javascript:alert(1)", "mailto:a@b.example", "https://x|y>", text[:50]]
    )
    span = st.builds(Span, kind=st.sampled_from(SpanKind), start=edges, end=edges, url=url)
    return text, tuple(draw(st.lists(span, max_size=6)))


def shown(blocks: list[dict[str, Any]]) -> str:
    """The text as a reader sees it."""
    boxes = (element["elements"] for block in blocks for element in block["elements"])
    return "\n".join("".join(inner.get("text") or inner["url"] for inner in box) for box in boxes)


# to Slack


@given(formatted())
def test_no_text_or_formatting_of_a_customer_breaks_a_limit_or_mentions_anyone(
    case: tuple[str, tuple[Span, ...]],
) -> None:
    text, spans = case
    blocks = literal_blocks(text, spans)
    if blocks:
        assert broken("x", blocks) == []
    else:
        assert not plain(text).strip(WORD_JOINER + " \n\t") or not plain(text).strip()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), min_size=1, max_size=300))
def test_ordinary_text_is_shown_letter_for_letter(text: str) -> None:
    assert shown(literal_blocks(text)).replace(WORD_JOINER, "") == (text.rstrip() if text.strip() else "")


@given(hostile, st.integers(10, 4000))
def test_the_fallback_text_is_escaped_and_never_ends_inside_an_entity(text: str, limit: int) -> None:
    escaped = escape(text, limit)
    assert len(escaped) <= limit
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", escaped)
    assert not ACTIVE.search(unescape(escaped)) and not CONTROL.search(escaped)


@given(hostile)
def test_small_print_keeps_a_name_on_one_line_without_formatting(text: str) -> None:
    line = inline(text)
    assert not re.search(r"[<>*_~`\n]", line)
    assert not re.search(r":[\w+-]+:", line)


def test_mentions_stay_readable_but_dead() -> None:
    assert shown(literal_blocks("<!here> look @channel")) == f"<{WORD_JOINER}!here> look @{WORD_JOINER}channel"


def test_a_mention_cut_in_two_by_formatting_is_dead_too() -> None:
    blocks = literal_blocks("<!here>", [Span(kind=SpanKind.BOLD, start=0, end=1)])
    assert [inner["text"] for inner in blocks[0]["elements"][0]["elements"]] == [f"<{WORD_JOINER}", "!here>"]


def test_only_the_customers_app_can_format() -> None:
    blocks = literal_blocks("*no* yes", [Span(kind=SpanKind.BOLD, start=5, end=8)])
    assert blocks[0]["elements"][0]["elements"] == [
        {"type": "text", "text": "*no* "},
        {"type": "text", "text": "yes", "style": {"bold": True}},
    ]


def test_code_and_quotes_stand_in_boxes_of_their_own() -> None:
    text = "see\nlet x\nand\nwords"
    spans = [Span(kind=SpanKind.PRE, start=4, end=9), Span(kind=SpanKind.QUOTE, start=14, end=19)]
    elements = literal_blocks(text, spans)[0]["elements"]
    assert [(element["type"], element["elements"][0]["text"]) for element in elements] == [
        ("rich_text_section", "see"),
        ("rich_text_preformatted", "let x"),
        ("rich_text_section", "and"),
        ("rich_text_quote", "words"),
    ]


@pytest.mark.parametrize(
    ("label", "url", "seen", "clickable"),
    [
        ("https://shop.example/1", "https://shop.example/1", "https://shop.example/1", True),
        ("shop.example", "https://shop.example/", "shop.example", True),
        ("https://bank.example", "https://evil.example", "https://bank.example (https://evil.example)", True),
        ("click", "javascript:alert(1)", "click (javascript:alert(1))", False),
        ("click", "https://a\u202eb.example", "click (https://ab.example)", False),
        ("ring", "tel:+905321234567", "ring (tel:+905321234567)", True),
    ],
)
def test_a_link_shows_where_it_leads(label: str, url: str, seen: str, clickable: bool) -> None:
    blocks = literal_blocks(label, [Span(kind=SpanKind.LINK, start=0, end=len(label), url=url)])
    assert shown(blocks) == seen
    kinds = {inner["type"] for inner in blocks[0]["elements"][0]["elements"]}
    assert ("link" in kinds) is clickable


def test_ten_thousand_emoji_are_shown_whole_characters_up_to_the_limit_and_the_rest_announced() -> None:
    blocks = literal_blocks("👍🏽" * 5_000, more=" (more)")
    texts = [inner["text"] for block in blocks for inner in block["elements"][0]["elements"]]
    assert texts[-1] == " (more)"
    assert set("".join(texts[:-1])) == {"👍", "🏽"} and not any(text.startswith("🏽") for text in texts)


@given(hostile)
def test_a_name_is_one_short_harmless_line_with_its_channel(name: str) -> None:
    made = display_name(name, "Telegram", nobody="Müşteri")
    assert made.endswith(" · Telegram") and made.count(" · ") == 1
    assert len(made) <= NAME_LIMIT and len(made) > len(" · Telegram")
    assert not ACTIVE.search(made) and not CONTROL.search(made) and "\n" not in made


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Ayşe Yılmaz", "Ayşe Yılmaz · Telegram"),
        ("", "Müşteri · Telegram"),
        ("\u200b\u2060\u202e", "Müşteri · Telegram"),
        ("Deniz · Support", "Deniz Support · Telegram"),
        ("@here", "here · Telegram"),
        ("<!channel>", "‹!channel› · Telegram"),
        ("محمد", "محمد · Telegram"),
        ("👩‍💻", "👩‍💻 · Telegram"),
    ],
)
def test_names(name: str, made: str) -> None:
    assert display_name(name, "Telegram", nobody="Müşteri") == made


def test_a_name_piled_with_accents_stays_on_its_line() -> None:
    made = display_name("Z" + "\u0301" * 500, "Telegram")
    assert sum(unicodedata.category(char) == "Mn" for char in made) <= 3


def test_marks_add_before_they_remove_and_touch_only_our_own() -> None:
    assert marks(mark(Status.SENT), ["hourglass_flowing_sand", "tada"]) == (
        ("white_check_mark",),
        ("hourglass_flowing_sand",),
    )
    assert marks(mark(Status.SENT), ["white_check_mark"]) == ((), ())
    assert marks(None, ["x", "eyes", "heart"]) == ((), ("eyes", "x"))
    assert len({mark(status) for status in Status}) == len(Status)


# from Slack


def rich(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"text": "ignored", "blocks": [{"type": "rich_text", "elements": list(elements)}]}


def section(*elements: dict[str, Any], kind: str = "rich_text_section") -> dict[str, Any]:
    return {"type": kind, "elements": list(elements)}


def words(text: str, **style: bool) -> dict[str, Any]:
    return {"type": "text", "text": text} | ({"style": style} if style else {})


def test_rich_text_becomes_plain_text_with_spans() -> None:
    said = read(rich(section(words("Hi "), words("Ayşe", bold=True), words(" & co"))))
    assert said.text == "Hi Ayşe & co"
    assert said.spans == (Span(kind=SpanKind.BOLD, start=3, end=7),)


def test_lists_keep_their_bullets_numbers_and_depth() -> None:
    said = read(
        rich(
            section(words("Please:\n")),
            {"type": "rich_text_list", "style": "bullet", "indent": 0, "elements": [section(words("photo"))]},
            {
                "type": "rich_text_list",
                "style": "ordered",
                "indent": 1,
                "offset": 2,
                "elements": [section(words("box"))],
            },
            section(words("Thanks")),
        )
    )
    assert said.text == "Please:\n• photo\n    3. box\nThanks"


def test_code_and_quotes_begin_on_their_own_line() -> None:
    said = read(
        rich(
            section(words("You wrote:")),
            section(words("where is it"), kind="rich_text_quote"),
            section(words("Run this:")),
            section(words("a < b"), kind="rich_text_preformatted"),
        )
    )
    assert said.text == "You wrote:\nwhere is it\nRun this:\na < b"
    assert [(span.kind, said.text[span.start : span.end]) for span in said.spans] == [
        (SpanKind.QUOTE, "where is it"),
        (SpanKind.PRE, "a < b"),
    ]


@pytest.mark.parametrize(
    ("element", "text"),
    [
        ({"type": "emoji", "name": "tada", "unicode": "1f389"}, "🎉"),
        ({"type": "emoji", "name": "+1", "unicode": "1f44d-1f3fd", "skin_tone": 4}, "👍🏽"),
        ({"type": "emoji", "name": "+1", "skin_tone": 4}, "👍🏽"),
        ({"type": "emoji", "name": "hugging"}, "🤗"),
        ({"type": "emoji", "name": "flag-tr"}, "🇹🇷"),
        ({"type": "emoji", "name": "our_logo"}, ":our_logo:"),
        ({"type": "emoji", "name": "x", "unicode": "zz"}, "❌"),
        ({"type": "user", "user_id": "U0DENIZ01"}, "@Deniz"),
        ({"type": "user", "user_id": "U0SECRET1"}, "bir arkadaşım"),
        ({"type": "usergroup", "usergroup_id": "S0SECRET1"}, "ekibimiz"),
        ({"type": "channel", "channel_id": "C0ORDERS1"}, "#orders"),
        ({"type": "channel", "channel_id": "C0SECRET1"}, "ekibimiz"),
        ({"type": "broadcast", "range": "here"}, ""),
        ({"type": "date", "timestamp": 1, "format": "{date}", "fallback": "5 May"}, "5 May"),
        ({"type": "link", "url": "https://a.example"}, "https://a.example"),
        ({"type": "link", "url": "https://a.example", "text": "a.example"}, "a.example"),
        ({"type": "link", "url": "https://a.example/r", "text": "our policy"}, "our policy (https://a.example/r)"),
        ({"type": "link", "url": "mailto:a@b.example", "text": "a@b.example"}, "a@b.example"),
        ({"type": "new_in_2031", "text": "still read"}, "still read"),
        ({"type": "new_in_2031"}, ""),
    ],
)
def test_elements_of_rich_text(element: dict[str, Any], text: str) -> None:
    assert read(rich(section(element)), NAMES).text == text


@pytest.mark.parametrize(
    ("mrkdwn", "text"),
    [
        ("Tom &amp; Jerry &lt;3", "Tom & Jerry <3"),
        ("&amp;lt; stays", "&lt; stays"),
        ("*bold* _it_ ~no~ 2*3*4 snake_case_name", "bold it no 2*3*4 snake_case_name"),
        ("hi :tada: :+1::skin-tone-3: at 10:30:45", "hi 🎉 👍🏼 at 10:30:45"),
        ("`:tada:` stays code", ":tada: stays code"),
        ("ask <@U0DENIZ01> or <@U0SECRET1>", "ask @Deniz or bir arkadaşım"),
        ("in <#C0SECRET1|returns>", "in #returns"),
        ("Hi <!here> please <!channel|channel>", "Hi please"),
        ("<!subteam^S0SECRET1|@billing> knows", "ekibimiz knows"),
        ("on <!date^1392734382^{date}|18 Feb>", "on 18 Feb"),
        ("see <https://a.example/?a=1&amp;b=2|the &lt;list&gt;>", "see the <list> (https://a.example/?a=1&b=2)"),
        ("<https://a.example>", "https://a.example"),
        ("&gt; you said\nyes", "you said\nyes"),
        ("```x = 1\ny = 2```", "x = 1\ny = 2"),
        ("", ""),
    ],
)
def test_mrkdwn_is_read_when_there_is_no_rich_text(mrkdwn: str, text: str) -> None:
    assert read({"text": mrkdwn}, NAMES).text == text


def test_mentions_are_told() -> None:
    assert read({"text": "<@U0DENIZ01> <@U0DENIZ01> <@U0SECRET1>"}, NAMES).mentions == ("U0DENIZ01", "U0SECRET1")


def test_words_copied_back_from_a_customer_lose_our_invisible_marks() -> None:
    assert read(rich(section(words(f"you wrote @{WORD_JOINER}here")))).text == "you wrote @here"


@given(hostile)
def test_reading_never_fails_and_spans_lie_inside_the_text(text: str) -> None:
    for said in (read({"text": text}, NAMES), read(rich(section(words(text, bold=True), words(text))), NAMES)):
        assert said.text == said.text.strip()
        assert all(0 <= span.start < span.end <= len(said.text) for span in said.spans)
        assert WORD_JOINER not in said.text


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["type", "elements", "text", "style", "name", "url", "indent"]), inner)
        ),
        max_leaves=15,
    )
)
def test_blocks_of_any_shape_are_survived(blocks: Any) -> None:
    read({"text": "x", "blocks": blocks})
    read({"text": "x", "blocks": [{"type": "rich_text", "elements": blocks}]})
    read(rich({"type": "rich_text_section", "elements": blocks}))
