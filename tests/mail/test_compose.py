"""What a customer's mail program makes of the mails we write."""

from __future__ import annotations

import email
import re
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import getaddresses
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels.errors import Refused, Unreachable
from channels.mail.send import bodies, fields
from channels.mail.send.compose import Composed, Sender, compose, filename
from channels.mail.tokens import delivery_in, delivery_of
from channels.message import Address, Attachment, Author, Outgoing, Quoted, Span, SpanKind
from channels.subject import bare_subject

ID = UUID("0190aaaa-bbbb-7ccc-8ddd-eeeeffff0001")
AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SHOP = Sender(
    address="support@kumbara.example",
    name="Kumbara",
    by_team={"sales": "Kumbara Satış <sales@kumbara.example>"},
    ours=frozenset({"info@kumbara.example"}),
    zone=ZoneInfo("Europe/Istanbul"),
)
CONTEXT: Mapping[str, Any] = {
    "message_id": "<c2@mail.example.com>",
    "references": ["<c0@mail.example.com>", "<s1@kumbara.example>"],
    "subject": "Sipariş 4711 nerede?",
    "to": [],
    "cc": ["Eş <es@example.com>", "SUPPORT@kumbara.example"],
    "mailbox": "info@kumbara.example",
    "name": "Ayşe Yılmaz",
}


def answer(**changes: Any) -> Outgoing:
    given: dict[str, Any] = {
        "id": ID,
        "to": Address(kind="email", value="ayse@example.com"),
        "author_name": "Ada",
        "text": "Merhaba Ayşe,\n\nkargonuz yarın geliyor.\nİyi günler\nAda",
        "context": CONTEXT,
    }
    return Outgoing(**{**given, **changes})


def sent(message: Outgoing, sender: Sender = SHOP) -> tuple[Composed, EmailMessage]:
    composed = compose(message, sender, AT)
    return composed, email.message_from_bytes(composed.raw, policy=POLICY)


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def head(raw: bytes) -> list[tuple[str, str]]:
    """The header as RFC 5322 cuts it, which is not how a lenient parser would."""
    block = raw.partition(b"\r\n\r\n")[0].decode("utf-8")
    assert not re.search(r"\r(?!\n)|(?<!\r)\n|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]", block)
    found = [line.partition(":") for line in re.split(r"\r\n(?![ \t])", block)]
    assert all(re.fullmatch(r"[A-Za-z-]+", name) for name, _, _ in found), found
    return [(name, re.sub(r"\r\n(?=[ \t])", "", value).strip()) for name, _, value in found]


def words(value: str) -> str:
    return str(make_header(decode_header(value)))


# --- a person's mail


def test_an_answer_reads_like_a_persons_mail() -> None:
    composed, mail = sent(answer(quoted=Quoted(text="Kargom nerede?\n\n> eski", at=AT, author="Ayşe Yılmaz")))
    assert composed.recipients == ("ayse@example.com", "es@example.com")
    assert composed.mail_from == composed.sender == "info@kumbara.example"
    assert composed.subject == mail["Subject"] == "Re: Sipariş 4711 nerede?"
    assert [name for name, _ in head(composed.raw)] == [
        *("Date", "From", "To", "Cc", "Subject", "Message-ID", "In-Reply-To", "References", "X-Santral"),
        *("MIME-Version", "Content-Type"),
    ]
    assert str(mail["From"]) == "Ada · Kumbara <info@kumbara.example>"
    assert str(mail["To"]) == "Ayşe Yılmaz <ayse@example.com>"
    assert str(mail["Cc"]) == "Eş <es@example.com>", "our own mailboxes get no copies"
    assert delivery_of(mail["Message-ID"]) == ID == delivery_of(composed.message_id)
    assert composed.message_id.endswith("@kumbara.example>")
    assert mail["X-Santral"] == "kumbara.example"
    assert mail["In-Reply-To"] == "<c2@mail.example.com>"
    assert mail["References"].split() == ["<c0@mail.example.com>", "<s1@kumbara.example>", "<c2@mail.example.com>"]
    assert mail["Date"].datetime == AT
    assert part(mail, "plain") == (
        "Merhaba Ayşe,\n\nkargonuz yarın geliyor.\nİyi günler\nAda\n\n"
        "02.03.2026 12:30, Ayşe Yılmaz <ayse@example.com>:\n> Kargom nerede?\n>\n>> eski"
    )
    page = part(mail, "html")
    assert '<p dir="auto">kargonuz yarın geliyor.<br>\nİyi günler<br>\nAda</p>' in page
    assert '<blockquote type="cite" class="gmail_quote"' in page
    assert "02.03.2026 12:30, Ayşe Yılmaz &lt;ayse@example.com&gt;:" in page
    assert composed.raw.isascii()


def test_the_same_answer_is_the_same_bytes() -> None:
    file = Attachment(media_type="image/png", filename="a.png", data=b"123")
    assert compose(answer(attachment=file), SHOP, AT) == compose(answer(attachment=file), SHOP, AT)


def test_a_team_writes_from_its_alias_in_its_name() -> None:
    composed, mail = sent(answer(team="sales"))
    assert str(mail["From"]) == "Ada · Kumbara Satış <sales@kumbara.example>"
    assert composed.mail_from == "sales@kumbara.example"


def test_a_mailbox_that_is_not_ours_is_never_written_from() -> None:
    _, mail = sent(answer(context={**CONTEXT, "mailbox": "ayse@example.com"}))
    assert mail["From"].addresses[0].addr_spec == "support@kumbara.example"


def test_answers_and_bounces_come_back_to_addresses_that_name_the_delivery() -> None:
    sender = replace(SHOP, reply_token=True, bounce_address="bounce@kumbara.example", domain="mail.kumbara.example")
    composed, mail = sent(answer(), sender)
    assert delivery_in(mail["Reply-To"].addresses[0].addr_spec) == ID
    assert delivery_in(composed.mail_from) == ID
    assert composed.mail_from.startswith("bounce+b.")
    assert composed.message_id.endswith("@mail.kumbara.example>")
    long = replace(sender, address=f"{'s' * 50}@kumbara.example", ours=frozenset())
    assert "Reply-To" not in sent(answer(), long)[1], "a local part too long for many servers"


def test_a_machines_words_say_so_and_go_to_the_customer_alone() -> None:
    composed, mail = sent(answer(author=Author.BOT))
    assert composed.mail_from == ""
    assert composed.sender == "info@kumbara.example"
    assert composed.recipients == ("ayse@example.com",)
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["X-Auto-Response-Suppress"] == "All"
    assert str(mail["From"]) == "Kumbara <info@kumbara.example>"
    assert "Auto-Submitted" not in sent(answer())[1]


def test_it_goes_where_the_customer_wants_answers() -> None:
    composed, mail = sent(answer(context={**CONTEXT, "to": ["ayse@work.example", "info@kumbara.example"], "cc": []}))
    assert composed.recipients == ("ayse@work.example",)
    assert "Cc" not in mail
    only_us = sent(answer(context={**CONTEXT, "to": ["Info@Kumbara.example"], "cc": []}))[0]
    assert only_us.recipients == ("ayse@example.com",), "never to ourselves"


@pytest.mark.parametrize(
    ("theirs", "chosen", "answers", "expected"),
    [
        ("Re: AW: ynt: Sipariş", "", True, "Re: Sipariş"),
        ("Sipariş", "re: sipariş", True, "re: sipariş"),
        ("Sipariş", "Sipariş", True, "Re: Sipariş"),
        ("Sipariş", "İade etiketiniz", True, "İade etiketiniz"),
        ("", "", True, "Re: Kumbara"),
        ("", "", False, "Kumbara"),
        ("", "Hoş geldiniz", False, "Hoş geldiniz"),
    ],
)
def test_the_subject_is_the_customers_with_one_re(theirs: str, chosen: str, answers: bool, expected: str) -> None:
    context = {"subject": theirs, "message_id": "<a@b.example>" if answers else ""}
    if chosen.startswith("re:"):
        expected = "sipariş"  # another one than theirs, so a new subject
    assert sent(answer(subject=chosen, context=context))[0].subject == expected


def test_a_long_thread_keeps_its_beginning_and_its_end() -> None:
    earlier = [f"<{number}@example.com>" for number in range(60)]
    _, mail = sent(answer(context={**CONTEXT, "references": [*earlier, "no id", "<two words>", 7]}))
    found = mail["References"].split()
    assert found[0] == "<0@example.com>"
    assert found[-2:] == ["<59@example.com>", "<c2@mail.example.com>"]
    assert len(found) == 21


def test_a_first_mail_refers_to_nothing() -> None:
    _, mail = sent(answer(context={}))
    assert "In-Reply-To" not in mail
    assert "References" not in mail
    assert str(mail["To"]) == "ayse@example.com"


# --- bodies


def test_formatting_becomes_html_and_links_stay_in_the_text() -> None:
    text = "Bak: takip sayfası ve ŞİMDİ\nhttps://shop.example/a?b=1&c=2."
    spans = (
        Span(kind=SpanKind.LINK, start=5, end=18, url="https://kargo.example/4711"),
        Span(kind=SpanKind.BOLD, start=11, end=27),
        Span(kind=SpanKind.ITALIC, start=22, end=27),
    )
    _, mail = sent(answer(text=text, spans=spans))
    assert part(mail, "plain") == (
        "Bak: takip sayfası <https://kargo.example/4711> ve ŞİMDİ\nhttps://shop.example/a?b=1&c=2."
    )
    assert (
        '<p dir="auto">Bak: <a href="https://kargo.example/4711">takip <b>sayfası</b></a><b> ve <i>ŞİMDİ</i></b><br>\n'
        '<a href="https://shop.example/a?b=1&amp;c=2">https://shop.example/a?b=1&amp;c=2</a>.</p>'
    ) in part(mail, "html")


def test_quotes_and_code_are_blocks_of_their_own() -> None:
    spans = (Span(kind=SpanKind.QUOTE, start=0, end=5), Span(kind=SpanKind.PRE, start=6, end=11))
    page = bodies.rich("alıntı\na < b\nson".replace("alıntı", "alınt"), spans)
    assert page == ('<blockquote><p dir="auto">alınt</p>\n</blockquote>\n<pre>a &lt; b</pre>\n<p dir="auto">son</p>\n')


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "https://a b", 'https://x"y', "//x", ""])
def test_a_link_leads_only_where_a_mail_may_lead(url: str) -> None:
    span = Span(kind=SpanKind.LINK, start=0, end=4, url=url)
    assert bodies.rich("tıkla", (span,)) == '<p dir="auto">tıkla</p>\n'
    assert bodies.plain("tıkla", (span,)) == "tıkla"


def test_the_past_is_cut_where_a_reader_would_pause() -> None:
    quoted = Quoted(text="\n".join(f"satır {number} " + "x" * 50 for number in range(500)), at=AT)
    text = part(sent(answer(quoted=quoted))[1], "plain")
    past = text.partition("ayse@example.com:\n")[2]
    assert 3_000 < len(past) < 4_500
    assert past.endswith("x\n> …")


SPANS = st.lists(
    st.builds(
        Span,
        kind=st.sampled_from(SpanKind),
        start=st.integers(-3, 60),
        end=st.integers(-3, 60),
        url=st.one_of(st.text(max_size=20), st.just("https://x.example/?a=<b>&'\"")),
    ),
    max_size=8,
)
ANYTHING = st.text(alphabet=st.characters(), max_size=60) | st.text(alphabet='ab<>&"\r\n\x00 =?', max_size=60)


@given(ANYTHING, SPANS)
def test_whatever_is_written_the_page_says_the_same_and_nothing_more(text: str, spans: list[Span]) -> None:
    page = bodies.rich(text, spans)
    opened: list[str] = []
    for close, tag, rest in re.findall(r"<(/?)(\w+)([^>]*)>", page):
        assert tag in ("p", "br", "a", "b", "i", "u", "s", "code", "blockquote", "pre")
        assert re.fullmatch(r'( dir="auto"| href="(https?://|mailto:|tel:)[^"<>]*")?', rest)
        if close:
            assert opened.pop() == tag
        elif tag != "br":
            opened.append(tag)
    assert not opened
    shown = re.sub(r"<[^>]*>", "", page)
    assert "<" not in shown
    for entity, letter in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#x27;", "'"), ("&amp;", "&")):
        shown = shown.replace(entity, letter)
    plain = bodies.plain(text, ())
    assert "".join(shown.split()) == "".join(plain.split())


@settings(deadline=None)
@given(ANYTHING)
def test_the_text_arrives_as_it_was_written(text: str) -> None:
    _, mail = sent(answer(text=text))
    assert part(mail, "plain").rstrip("\n") == bodies.plain(text, ()).rstrip("\n")


# --- nothing from outside changes the header


NASTY = st.one_of(
    ANYTHING,
    st.sampled_from(
        [
            *(
                "a\r\nBcc: evil@example.com",
                "a\nX-Evil: 1\n\nbody",
                "=?utf-8?q?a=0D=0ABcc:_x?=",
                'x" <evil@example.com>',
            ),
            *(
                "\u2028Bcc: x",
                "a\x85b",
                "\ud800",
                "\u202eexe.gpj",
                "x" * 3000,
                "ş" * 3000,
                "<a@b>\r\n <c@d>",
                "a,b;c:d",
            ),
            *("=?utf-8?b?", "=?a?q?b?=", "\\", '"', "a\tb", "evil@example.com, x@y", "\x00"),
        ]
    ),
)
IDS = st.one_of(NASTY, NASTY.map(lambda text: f"<{text}@x.example>"))


@settings(deadline=None)  # the first mail loads the parser
@given(NASTY, NASTY, NASTY, IDS, st.lists(IDS, max_size=3), NASTY, NASTY)
def test_no_name_subject_id_or_file_name_can_add_a_field(
    subject: str, name: str, agent: str, parent: str, earlier: list[str], file: str, media_type: str
) -> None:
    context = {"subject": subject, "name": name, "references": earlier, "message_id": parent, "cc": [name, subject]}
    attachment = Attachment(media_type=media_type, filename=file, data=b"x")
    quoted = Quoted(text=subject, at=AT, author=name)
    sender = replace(SHOP, name=agent, reply_token=True)
    composed, mail = sent(answer(author_name=agent, context=context, attachment=attachment, quoted=quoted), sender)
    found = dict(head(composed.raw))
    parents = {"In-Reply-To", "References"} if fields.reference(parent) else set()
    copies = {"Cc"} if len(composed.recipients) > 1 else set()
    always = {"Date", "From", "To", "Reply-To", "Subject", "Message-ID", "X-Santral", "MIME-Version", "Content-Type"}
    assert set(found) == always | parents | copies
    assert len(found) == len(head(composed.raw))
    assert words(found["Subject"]) == composed.subject
    assert len(mail["From"].addresses) == len(mail["To"].addresses) == 1
    assert mail["From"].addresses[0].addr_spec == "support@kumbara.example"
    (to,) = getaddresses([found["To"]])
    assert to[1] == "ayse@example.com" == mail["To"].addresses[0].addr_spec
    assert words(to[0]) == fields.person(name)
    assert all(len(line) <= 998 for line in composed.raw.split(b"\r\n"))
    assert composed.raw.isascii()
    (found_file,) = mail.iter_attachments()
    assert found_file.get_payload(decode=True) == b"x"
    assert found_file.get_filename() == filename(file) or not filename(file)
    assert len(list(mail.walk())) == 5


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ayşe Yılmaz", "Ayşe Yılmaz"),
        ("Bcc: Ali", "Bcc: Ali"),
        ("_evil=40x.com?=", ""),  # what is left of an encoded word that was torn
        ("=?utf-8?Q?Ali=0D=0ABcc:_evil=40x.com?=", ""),
        ("Ali\r\nBcc: evil@x.com", ""),
        ("ayse@example.com", ""),
    ],
)
def test_a_name_leaves_clean_or_not_at_all(name: str, shown: str) -> None:
    _, mail = sent(answer(context={"name": name, "cc": [f"{name} <es@example.com>"]}))
    assert [box.display_name for box in (*mail["To"].addresses, *mail["Cc"].addresses)] == [shown, shown]
    assert mail["Bcc"] is None


@given(NASTY)
@example("Bcc: x" * 300)
@example("=?a?b" + "ö" * 40)
def test_a_subject_survives_folding(subject: str) -> None:
    field = fields.unstructured("Subject", subject)
    assert all(len(line) <= 78 or "=?" not in line for line in field.split("\r\n"))
    assert all(len(line) <= 998 for line in field.split("\r\n"))
    assert len(email.message_from_string(field + "\r\n\r\n").items()) == 1
    ((_, value),) = head(field.encode() + b"\r\n\r\n")
    assert words(value) == fields.line(subject)


@given(st.one_of(NASTY, st.emails(), st.emails().map(lambda text: text.replace(".", "\r\n"))))
@example("ayşe@örnek.example")
@example('"a b"@x.example')
@example("a@b@c.example")
@example("x@[127.0.0.1]")
def test_an_address_is_one_address_or_none(text: str) -> None:
    found = fields.address(text)
    if found:
        assert not re.search(r"[\s<>,;\x00-\x1f]", found)
        assert found.count("@") == 1 or found.startswith('"')
        assert found.rpartition("@")[2].isascii()
        assert fields.address(found) == found


def test_a_domain_in_any_script_is_written_to_in_ascii() -> None:
    composed, mail = sent(answer(to=Address(kind="email", value="ayse@Örnek.example"), context={}))
    assert composed.recipients == ("ayse@xn--rnek-4qa.example",)
    assert mail["To"].addresses[0].domain == "xn--rnek-4qa.example"
    assert not composed.utf8


def test_a_local_part_in_any_script_needs_a_server_that_can() -> None:
    composed, _ = sent(answer(to=Address(kind="email", value="ayşe@example.com")))
    assert composed.utf8
    assert composed.recipients[0] == "ayşe@example.com"
    assert "ayşe@example.com".encode() in composed.raw
    copied = sent(answer(context={**CONTEXT, "cc": ["eş@example.com"]}))[0]
    assert copied.recipients == ("ayse@example.com",), "a copy never makes a mail undeliverable"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "ayse",
        "ayse@",
        "@example.com",
        "a b@example.com",
        "a@b\r\nRCPT TO:<c@d>",
        "a@-",
        "a\x00b@c.example",
        "a\u202eb@c.example",
    ],
)
def test_what_is_no_address_is_not_written_to(value: str) -> None:
    with pytest.raises(Unreachable):
        compose(answer(to=Address(kind="email", value=value), context={}), SHOP, AT)


@pytest.mark.parametrize(
    "changes", [{"address": "support"}, {"by_team": {"a": "X <x>"}}, {"bounce_address": "ş@x.example"}]
)
def test_a_sender_that_cannot_send_is_named_at_start(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not an address that mail can be sent from"):
        replace(SHOP, **changes)


# --- files


def test_files_arrive_with_their_names_and_types() -> None:
    files = (
        Attachment(media_type="image/jpeg", filename="kırık.jpg", data=b"\xff\xd8jpeg"),
        Attachment(media_type="", filename="fatura.pdf", data=b"%PDF"),
        Attachment(media_type="message/rfc822", filename="mail.eml", data=b"From: x\n\nhi"),
        Attachment(media_type="image/png", data=b"png"),
        Attachment(media_type="text/plain", filename="ü" * 60 + ".txt", data=b"a\n"),
    )
    composed, mail = sent(answer(attachment=files[0], more=files[1:]))
    found = list(mail.iter_attachments())
    assert mail.get_content_type() == "multipart/mixed"
    assert [(file.get_content_type(), file.get_filename()) for file in found] == [
        ("image/jpeg", "kırık.jpg"),
        ("application/pdf", "fatura.pdf"),
        ("application/octet-stream", "mail.eml"),
        ("image/png", "4.png"),
        ("text/plain", "ü" * 60 + ".txt"),
    ]
    assert [file.get_payload(decode=True) for file in found] == [file.data for file in files]
    assert all(file.get_content_disposition() == "attachment" for file in found)
    assert b"multipart/alternative" in composed.raw


def test_a_file_without_its_bytes_is_not_sent_as_an_empty_one() -> None:
    with pytest.raises(Refused):
        compose(answer(attachment=Attachment(media_type="image/png", filename="a.png")), SHOP, AT)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.png", "a.png"),
        ("a\r\nb\x00.png", "a b .png"),
        ("..", ""),
        ("=?utf-8?q?a?=.txt", "=_utf-8_q_a_=.txt"),
        ("x" * 300 + ".jpeg", "x" * 139 + ".jpeg"),
        ("fatura\u202egpj.exe", "faturagpj.exe"),
    ],
)
def test_a_file_name_is_only_a_name(told: str, kept: str) -> None:
    assert filename(told) == kept


def test_twenty_megabytes_cost_memory_and_time_in_proportion() -> None:
    def cost(size: int) -> float:
        file = Attachment(media_type="video/mp4", filename="a.mp4", data=bytes(size))
        began = time.process_time()
        assert len(compose(answer(attachment=file), SHOP, AT).raw) > size * 4 // 3
        return time.process_time() - began

    small = min(cost(2 << 20) for _ in range(2)) + 0.01
    tracemalloc.start()
    large = cost(20 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * (20 << 20)
    assert large / small < 100, "ten times the bytes in a hundred times the time would be quadratic"


# --- subjects


@pytest.mark.parametrize(
    ("subject", "bare"),
    [
        ("Re: Fwd: FW: AW: WG: SV: VS: Sipariş", "Sipariş"),
        ("YNT: İLT: Sipariş", "Sipariş"),
        ("Ynt: ilt: Sipariş", "Sipariş"),
        ("Ответ: На: PD: Odp: заказ", "заказ"),
        ("TR: RV: RIF: I: ordine", "ordine"),
        ("回复：転送: 注文", "注文"),
        ("RE : Re[2]: Re(3): Re^4: x", "x"),
        ("Reklamation: kaputt", "Reklamation: kaputt"),
        ("Order: 4711", "Order: 4711"),
        ("Rebecca", "Rebecca"),
        ("Re:", ""),
        ("", ""),
    ],
)
def test_prefixes_of_many_languages_are_known(subject: str, bare: str) -> None:
    assert bare_subject(subject) == bare


@given(NASTY)
@example("re:" * 5000)
def test_a_bare_subject_stays_bare(subject: str) -> None:
    bare = bare_subject(subject)
    assert bare_subject(bare) == bare
    assert "\n" not in bare
