"""What an agent sees of a mail: its text, its files, its sender, and what is said where something could not be read."""

from __future__ import annotations

import binascii
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from channels.mail.parse import body, headers
from channels.mail.parse.mime import parse
from channels.mail.values import MOST_BYTES, MOST_HEADERS, MOST_RECIPIENTS, MOST_TEXT, Mailbox
from tests.mail.nasty import (
    FROM,
    PDF,
    PNG,
    attached,
    enclosed,
    enveloped_smime,
    inner,
    mail,
    many_parts,
    multipart,
    nested,
    part,
    signed_smime,
    tnef,
    wrapped,
)

# --- headers


def test_an_ordinary_mail() -> None:
    raw = mail("Hello,\r\nwhere is it?\r\n", extra=["Cc: b@example.com, C <c@example.com>", "In-Reply-To: <x@shop>"])
    found = parse(raw)
    assert found.subject == "Order 1042"
    assert found.from_ == (Mailbox(name="Ayşe Yılmaz", address="ayse@example.com"),)
    assert found.from_trouble == ""
    assert [who.address for who in found.cc] == ["b@example.com", "c@example.com"]
    assert found.message_id == "<a1.42@example.com>"
    assert found.in_reply_to == ("<x@shop>",)
    assert found.date == datetime(2024, 11, 5, 7, 12, tzinfo=UTC)
    assert found.text == "Hello,\nwhere is it?"
    assert (found.files, found.defects, found.seal) == ((), (), "")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=?utf-8?B?xZ8=?= =?utf-8?B?aQ==?= x", "şi x"),
        ("=?utf-8?B?U2lwYXJpxQ==?=\r\n =?utf-8?B?nw==?=", "Sipariş"),  # a letter split between two words
        ("=?iso-8859-9?Q?Sipari=FE_nerede=3F?=", "Sipariş nerede?"),
        ("=?iso-8859-1?Q?Sipari=FE?=", "Sipariş"),
        ("=?ISO-8859-1?Q?Sipari=FE_?= =?ISO-8859-1?Q?=FDade?=", "Sipariş ıade"),
        ("=?koi8-r?B?79TXxdQ=?=", "Ответ"),
        ("=?unicode-1-1-utf-7?Q?Hi_+AOk-?=", "Hi é"),
        ("=?x-unknown?Q?caf=C3=A9?=", "café"),
        ("=?iso-2022-jp?B?GyRCLSEtahsoQg==?=", "①㈱"),
        ("=?gb2312?B?s8nG2g==?=", "成期"),
        ("=?utf-8*tr?Q?=C5=9E?=", "Ş"),  # a language behind the charset, RFC 2231
        ("=?utf-8?Q?where is it?=20Order?= 7", "where is it? Order 7"),  # a bare question mark and spaces within Q
        ("Re: =?utf-8?Q?=C5=9E?=!", "Re: Ş!"),
        ("=?utf-8?B?SGk?=", "Hi"),  # padding lost
        ("=?utf-8?Q?unended", "=?utf-8?Q?unended"),
        ("=?nonsense", "=?nonsense"),
        ("a\x00b\u202ec\u200bd", "abcd"),
        ("a\r\n\tb", "a b"),
        ("", ""),
    ],
)
def test_subjects_are_shown_as_they_were_written(value: str, shown: str) -> None:
    assert parse(mail("x", subject=value)).subject == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Sipariş nerede, çok bekledim".encode(), "Sipariş nerede, çok bekledim"),
        ("Sipariş nerede, çok bekledim".encode("cp1254"), "Sipariş nerede, çok bekledim"),
        ("Где мой заказ номер 5".encode("cp1251"), "Где мой заказ номер 5"),
        ("Где мой заказ номер 5".encode("koi8-r"), "Где мой заказ номер 5"),
    ],
)
def test_raw_8_bit_headers_are_detected(raw: bytes, shown: str) -> None:
    assert parse(b"Subject: " + raw + b"\nFrom: a@example.com\n\nx").subject == shown


def test_raw_8_bit_headers_share_the_charset_of_the_body() -> None:
    raw = b"Subject: \xd8\xf6\nContent-Type: text/plain; charset=windows-1250\n\nx"
    assert parse(raw).subject == "Řö"


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        ("Ayşe <AYSE@Example.com>", "Ayşe", "ayse@example.com"),
        ("ayse@example.com", "", "ayse@example.com"),
        ("ayse@example.com (Ayşe Y)", "Ayşe Y", "ayse@example.com"),
        ('"Yılmaz, Ayşe" <ayse@example.com>', "Yılmaz, Ayşe", "ayse@example.com"),
        ("Yilmaz, Ayse <ayse@example.com>", "Yilmaz, Ayse", "ayse@example.com"),
        ("=?utf-8?q?Y=C4=B1lmaz=2C_Ay=C5=9Fe?= <ayse@example.com>", "Yılmaz, Ayşe", "ayse@example.com"),
        ('"=?utf-8?q?Ay=C5=9Fe?=" <ayse@example.com>', "Ayşe", "ayse@example.com"),
        ("'Ayse' <'ayse@example.com'>", "Ayse", "ayse@example.com"),
        ("ayse@example.com <ayse@example.com>", "ayse@example.com", "ayse@example.com"),
        ('"bank@y.com" <ayse@example.com>', "bank@y.com", "ayse@example.com"),
        ("mailto:ayse@example.com", "", "ayse@example.com"),
        ('"ayse.y"@example.com', "", "ayse.y@example.com"),
        ("Ayşe <ayşe@ornek.com.tr>", "Ayşe", "ayşe@ornek.com.tr"),
        ('"A\\"B" <ayse@example.com>', 'A"B', "ayse@example.com"),
        ("=?utf-8?q?A=0D=0AB=00=E2=80=AEC?= <ayse@example.com>", "A BC", "ayse@example.com"),
    ],
)
def test_senders_that_are_beyond_doubt(value: str, name: str, address: str) -> None:
    found = parse(mail("x", sender=value))
    assert (found.from_, found.from_trouble) == ((Mailbox(name=name, address=address),), "")


def test_a_colon_inside_an_encoded_name_names_no_group() -> None:
    (found,) = headers.addresses(["=?utf-8?Q?Firma:_Ali=0D=0ABcc:_x=40y.com?= <a@x.com>"])
    assert (found.name, found.address) == ("Firma: Ali Bcc: x@y.com", "a@x.com")


@pytest.mark.parametrize(
    ("value", "answer_goes_to"),
    [
        ("victim@y.com <evil@x.com>", ["evil@x.com"]),
        ("victim@y.com, Shop <evil@x.com>", ["victim@y.com", "evil@x.com"]),
        ("a@x.com; b@y.com", ["a@x.com", "b@y.com"]),
        ("X <a@x.com> <b@y.com>", ["a@x.com", "b@y.com"]),
        ("undisclosed-recipients:;", []),
        ("Team: a@x.com;", ["a@x.com"]),
        ("MAILER-DAEMON", []),
        ("", []),
        ("<>", []),
        ('"unclosed <a@x.com>', ["a@x.com"]),
        ("A <a@x.com", ["a@x.com"]),
        ("A <a@x. com>", ["a@x.com"]),
        ("A <a@x.com(comment)>", ["a@x.com"]),
        ("A <a@x\u200b.com>", ["a@x.com"]),
        ("=?utf-8?B?QXlzZSA8YXlzZUBleGFtcGxlLmNvbT4=?=", ["ayse@example.com"]),
        ("A\x00B <a@x.com>", ["a@x.com"]),
        ("a@b@c.com", []),
    ],
)
def test_senders_that_nobody_can_vouch_for(value: str, answer_goes_to: list[str]) -> None:
    found = parse(mail("x", sender=value))
    assert found.from_trouble
    assert [who.address for who in found.from_] == answer_goes_to


def test_two_from_lines_are_trouble_and_so_is_none() -> None:
    twice = parse(mail("x", extra=["From: other@example.com"]))
    assert "two From" in twice.from_trouble
    assert [who.address for who in twice.from_] == ["ayse@example.com", "other@example.com"]
    assert parse(mail("x", sender=None)).from_trouble


def test_a_second_from_cannot_hide_behind_headers_that_are_not_read() -> None:
    raw = b"From: a@example.com\n" + b"X-Filler: x\n" * 50_000 + b"From: b@example.com\n\nhello"
    found = parse(raw)
    assert found.from_trouble
    assert found.text == "hello"
    assert "headers" in found.defects[0]


def test_the_body_is_what_follows_the_blank_line_however_late() -> None:
    filler = b"".join(b"X-%d: y\n" % number for number in range(60_000))
    assert len(filler) > 2 * MOST_HEADERS
    for cut in range(12):  # wherever the limit falls within a line
        found = parse(b"From: a@example.com\nX: " + b"x" * cut + b"\n" + filler + b"Subject: late\n\nhello\n\nyou")
        assert (found.text, found.subject) == ("hello\n\nyou", "late")
        assert found.from_trouble == headers.HEADERS_CUT
        assert found.defects == ("The headers of this mail are too long. Only their first part was read.",)


def test_a_body_without_a_blank_line_is_found_behind_overlong_headers() -> None:
    raw = b"From: a@example.com\n" + b"X-A: y\n" * 60_000 + b"Hello there\n\nyou"
    assert parse(raw).text == "Hello there\n\nyou"


def test_a_second_from_behind_overlong_headers_is_a_second_from() -> None:
    filler = b"X-A: y\n" * 60_000
    found = parse(b"From: a@example.com\n" + filler + b"FROM :\n b@example.com\n\nhello")
    assert found.from_trouble == headers.TWO_FROMS
    assert [who.address for who in found.from_] == ["a@example.com", "b@example.com"]
    late = parse(filler + b"From: a@example.com\n\nFrom: b@example.com")
    assert (late.from_trouble, len(late.from_)) == (headers.HEADERS_CUT, 1)


def test_a_part_with_overlong_headers_is_its_body() -> None:
    found = parse(multipart(b"X-A: y\r\n" * 60_000 + b"\r\nhello", part("you")))
    assert (found.text, found.from_trouble) == ("hello\n\nyou", "")
    assert found.defects == ("The headers of a part of this mail are too long. Only their first part was read.",)


@pytest.mark.parametrize(
    ("value", "trouble"),
    [
        ("a@x.com, b@y.com", headers.SEVERAL),
        ("a@x.com <b@y.com>", headers.HIDDEN_ADDRESS),
        ("MAILER-DAEMON", headers.NO_ADDRESS),
        ("Team: a@x.com;", headers.GROUP),
        ("A <a@x.com", headers.BROKEN),
        ("A <a@x\u200b.com>", headers.HIDDEN_CHARACTERS),
    ],
)
def test_why_a_sender_cannot_be_believed_is_told_apart(value: str, trouble: str) -> None:
    assert parse(mail("x", sender=value)).from_trouble == trouble


def test_many_recipients_are_bounded() -> None:
    found = parse(mail("x", extra=["Cc: " + ", ".join(f"n{i}@example.com" for i in range(5_000))]))
    assert len(found.cc) == MOST_RECIPIENTS


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("<a@x> <b@x>", ["<a@x>", "<b@x>"]),
        ("<a@x>\r\n\t<b@x>", ["<a@x>", "<b@x>"]),
        ("<a@x><b@x>", ["<a@x>", "<b@x>"]),
        ('Your message of "Tue, 5 Nov" <3@x>', ["<3@x>"]),
        ("<a @x.com>", ["<a@x.com>"]),
        ("a@x.com", ["<a@x.com>"]),
        ("<a@x", ["<a@x>"]),
        ("<a@x> (added by relay@example.com", ["<a@x>", "<relay@example.com>"]),
        ("<some words> <a@x>", ["<a@x>"]),
        ("<a@x> <b@x> <a@x>", ["<b@x>", "<a@x>"]),
        ("<" + "a" * 251 + ">", []),
        ("", []),
    ],
)
def test_ids_are_found_in_dirty_references(value: str, ids: list[str]) -> None:
    assert list(headers.ids(value)) == ids


def test_of_many_references_the_first_and_the_last_count() -> None:
    found = parse(mail("x", extra=["References: " + " ".join(f"<{n}@x>" for n in range(400))]))
    assert found.references == ("<0@x>", *(f"<{n}@x>" for n in range(351, 400)))


@pytest.mark.parametrize(
    "value",
    ["Sal, 5 Kas 2024 10:12:00 +0300", "5 Nov 99999 10:12:00", "Tue, 35 Nov 2024 10:12 +0300", "now", "", "1 " * 500],
)
def test_dates_that_no_clock_shows_are_left_out(value: str) -> None:
    assert parse(f"Date: {value}\n\nx".encode()).date is None


def test_a_date_without_a_zone_is_aware() -> None:
    found = parse(b"Date: 5 Nov 2024 10:12:00 -0000\n\nx").date
    assert found == datetime(2024, 11, 5, 10, 12, tzinfo=UTC)


# --- where the mail begins

WHOLE = b"From: a@example.com\nSubject: hi\n\nhello"


@pytest.mark.parametrize(
    "raw",
    [
        WHOLE,
        WHOLE.replace(b"\n", b"\r\n"),
        WHOLE.replace(b"\n", b"\r"),
        WHOLE.replace(b"\n", b"\r\r\n"),
        b"From ayse@example.com Tue Nov  5 10:12:00 2024\n" + WHOLE,
        b">From ayse@example.com Tue Nov  5 10:12:00 2024\n" + WHOLE,
        b"*** scanned by the mail wall ***\n" + WHOLE,
        b"*** scanned by the mail wall ***\n\n" + WHOLE,
        b"\r\n\r\n" + WHOLE,
        b"\xef\xbb\xbf" + WHOLE,
        WHOLE.replace(b"\nSubject", b"\na stray line\nSubject"),
        WHOLE.replace(b"\n\n", b"\n"),  # no line between headers and text
        WHOLE.replace(b"Subject:", b"Subject :"),
        WHOLE.replace(b"Subject", b"SUBJECT"),
    ],
)
def test_headers_are_found_behind_what_stands_before_them(raw: bytes) -> None:
    found = parse(raw)
    assert (found.subject.split()[0], found.text) == ("hi", "hello")
    assert found.from_[0].address == "a@example.com"


def test_text_without_any_header_is_text() -> None:
    assert parse(b"Hello there,\nmy order: 12\n\nbye").text == "Hello there,\nmy order: 12\n\nbye"
    assert parse(b"\nSome words: yes\n\nbye").text == "Some words: yes\n\nbye"


# --- text


@pytest.mark.parametrize("label", ["none", "x-unknown", "", "unknown-8bit", "utf-8-strange", "us-ascii", "iso-8859-1"])
def test_charset_labels_that_mean_nothing(label: str) -> None:
    found = parse(mail("Siparişim için teşekkürler", kind=f'text/plain; charset="{label}"'))
    assert (found.text, found.defects) == ("Siparişim için teşekkürler", ())


def test_western_labels_on_turkish() -> None:
    found = parse(mail("Sipariş gelmedi, iade istiyorum".encode("cp1254"), kind="text/plain; charset=iso-8859-1"))
    assert found.text == "Sipariş gelmedi, iade istiyorum"


def test_letters_that_cannot_be_read_are_said() -> None:
    found = parse(mail(b"Hello \xff\xfe\xfd there", kind="text/plain; charset=iso-2022-jp"))
    assert "Hello" in found.text
    assert found.defects in ((), ("Some letters of this mail could not be read.",))


def test_html_says_more_than_a_blank_text() -> None:
    raw = multipart(part(" \r\n"), part("<p>Where is my <b>order</b>?</p>", "text/html"), subtype="alternative")
    found = parse(raw)
    assert (found.text, found.text_of_html) == ("Where is my order?", True)


def test_html_says_more_than_a_stub() -> None:
    words = " ".join(f"word{number}" for number in range(100))
    found = parse(multipart(part("Hello word1"), part(f"<p>{words}</p>", "text/html"), subtype="alternative"))
    assert (found.text, found.text_of_html) == (words, True)


@pytest.mark.parametrize(
    "note",
    [
        "This message is in HTML. Please use a program that shows it.",
        "E-posta istemciniz HTML iletileri desteklemiyor.",
        "Ваш почтовый клиент не поддерживает HTML",
    ],
)
def test_html_says_more_than_a_note_that_it_is_needed(note: str) -> None:
    raw = multipart(part(note), part("<p>My parcel is broken.</p>", "text/html"), subtype="alternative")
    assert parse(raw).text == "My parcel is broken."


def test_plain_text_is_taken_where_it_is_worth_reading() -> None:
    raw = multipart(
        part("My parcel\nis broken."), part("<p>My parcel is broken.</p>", "text/html"), subtype="alternative"
    )
    found = parse(raw)
    assert (found.text, found.text_of_html, found.html) == (
        "My parcel\nis broken.",
        False,
        "<p>My parcel is broken.</p>",
    )


def test_text_picture_text_stays_in_order() -> None:
    raw = multipart(
        part("Before"), attached(PNG, "image/png", "a.png").replace(b"attachment;", b"inline;"), part("After")
    )
    found = parse(raw)
    assert found.text == "Before\n\nAfter"
    assert [(file.filename, file.inline) for file in found.files] == [("a.png", False)]


def test_html_between_plain_texts() -> None:
    rich = inner(part("Hello **you**"), part("<p>Hello <b>you</b></p>", "text/html"))
    found = parse(multipart(rich, part("Footer of <the> list")))
    assert found.text == "Hello **you**\n\nFooter of <the> list"
    assert found.html == "<p>Hello <b>you</b></p>\n<div>Footer of &lt;the&gt; list</div>"


def test_apple_mail_puts_files_into_the_rich_alternative() -> None:
    mixed = inner(
        part("<p>one</p>", "text/html"),
        attached(PDF, "application/pdf", "r.pdf"),
        part("<p>two</p>", "text/html"),
        subtype="mixed",
        boundary="b3",
    )
    found = parse(multipart(part("one\n\ntwo"), mixed, subtype="alternative"))
    assert (found.text, [file.filename for file in found.files]) == ("one\n\ntwo", ["r.pdf"])
    assert found.html == "<p>one</p>\n<p>two</p>"


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64", "x-none", "8bit"])
def test_a_multipart_has_no_transfer_encoding(encoding: str) -> None:
    assert parse(multipart(part("Hello = you"), encoding=encoding)).text == "Hello = you"


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (b"SGVsbG8=", "base64", "Hello"),
        (b"SGVs\r\nbG8", "BASE64 ", "Hello"),
        (b"SGVsbG8=SGVsbG8=", "base64", "HelloHello"),
        (b"SGVsbG8=\r\n-- \r\nlist footer\r\n", "base64", "Hello"),
        (b"Hello, this is no base64 at all!", "base64", "Hello, this is no base64 at all!"),
        (b"Hel=\r\nlo=20=C5=9E =ZZ", "quoted-printable", "Hello Ş =ZZ"),
        (b"begin 644 x\n#2&DA\n`\nend\n", "x-uuencode", "Hi!"),
        (b"Hello, no line begins a file here", "uuencode", "Hello, no line begins a file here"),
        (b"begin 644 x\nend", "uuencode", "begin 644 x\nend"),
        (b"Hello", "rot13", "Hello"),
    ],
)
def test_transfer_encodings(data: bytes, encoding: str, text: str) -> None:
    assert parse(mail(data, encoding=encoding)).text == text


@pytest.mark.parametrize(
    ("flowed", "text"),
    [
        ("one \r\ntwo\r\nthree", "one two\nthree"),
        ("> one \r\n> two\r\n>> three \r\nfour", "> one two\n>> three \nfour"),
        (" From here\r\n >not a quote", "From here\n>not a quote"),
        ("bye\r\n-- \r\nAyşe", "bye\n-- \nAyşe"),
        ("a \r\n\r\nb", "a \nb"),
    ],
)
def test_flowed_text_is_joined(flowed: str, text: str) -> None:
    assert parse(mail(flowed, kind="text/plain; charset=utf-8; format=flowed")).text == text


def test_flowed_text_whose_spaces_are_not_meant() -> None:
    assert parse(mail("成 \r\n期", kind="text/plain; charset=utf-8; format=flowed; delsp=yes")).text == "成期"


def test_a_boundary_that_is_not_told_or_not_true_is_found() -> None:
    body_ = b"--real\r\n\r\nHello\r\n--real\r\nContent-Type: text/plain\r\n\r\nyou\r\n--real--\r\n"
    assert parse(mail(body_, kind="multipart/mixed")).text == "Hello\n\nyou"
    assert parse(mail(body_, kind='multipart/mixed; boundary="other"')).text == "Hello\n\nyou"
    assert parse(mail("only words", kind='multipart/mixed; boundary="other"')).text == "only words"


def test_a_boundary_that_begins_like_another_one() -> None:
    found = parse(multipart(inner(part("a"), part("b"), subtype="mixed", boundary="b1x"), part("c"), boundary="b1"))
    assert found.text == "a\n\nb\n\nc"


def test_an_inner_multipart_that_is_never_closed_ends_with_the_outer_one() -> None:
    open_ = inner(part("a")).replace(b"--b2--", b"")
    assert parse(multipart(open_, part("c"))).text == "a\n\nc"


def test_a_mail_cut_off_in_its_middle_shows_what_came() -> None:
    raw = multipart(part("Hello"), attached(PDF, "application/pdf", "a.pdf"))
    found = parse(raw[: raw.index(b"a.pdf") + 40])
    assert found.text == "Hello"
    assert found.files[0].filename == "a.pdf"


def test_files_within_the_text_are_taken_out() -> None:
    lines = "".join(binascii.b2a_uu(PNG[at : at + 45]).decode() for at in range(0, len(PNG), 45))
    found = parse(mail(f"See:\nbegin 644 photo.png\n{lines}`\nend\nThanks"))
    assert found.text == "See:\nThanks"
    assert [(file.filename, file.media_type, file.data) for file in found.files] == [("photo.png", "image/png", PNG)]
    prose = "begin 10 minutes earlier\nbegin 100 times\nit will\nend"
    assert parse(mail(prose)).text == prose


# --- files


def test_a_mail_that_is_a_file() -> None:
    found = parse(mail(wrapped(PDF), kind='application/pdf; name="r.pdf"', encoding="base64"))
    assert (found.text, found.media_type) == ("", "application/pdf")
    assert [(file.filename, file.data) for file in found.files] == [("r.pdf", PDF)]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('filename="../../x\x00.png"', "x.png"),
        ('filename="C:\\\\temp\\\\kırık.png"', "kırık.png"),
        ("filename=/etc/passwd", "passwd"),
        ('filename="a\u202egnp.exe"', "agnp.exe"),
        ('filename="' + "x" * 400 + '.png"', "x" * 146 + ".png"),
        ('filename=""', "image.png"),
        ('filename="..."', "image.png"),
        ('filename="a;b.png"', "a;b.png"),
        ("filename=my photo.png", "my photo.png"),
        ('filename="=?utf-8?q?k=C4=B1r=C4=B1k.png?="', "kırık.png"),
        ("filename*=UTF-8''k%C4%B1r%C4%B1k.png", "kırık.png"),
        ("filename*=iso-8859-9'tr'k%FDr%FDk.png; filename=\"other.png\"", "kırık.png"),
        ("filename*0*=utf-8''k%C4%B1r; filename*1*=%C4%B1k; filename*2=\".png\"", "kırık.png"),
        ('filename="<script>.png"', "script.png"),
    ],
)
def test_file_names_are_safe(name: str, shown: str) -> None:
    raw = multipart(part("x"), part(PNG, "image/png", f"Content-Disposition: attachment; {name}"))
    assert [file.filename for file in parse(raw).files] == [shown]


def test_equal_file_names_are_numbered() -> None:
    raw = multipart(*[attached(PNG, "image/png", name) for name in ("a.png", "A.PNG", "a.png")])
    assert [file.filename for file in parse(raw).files] == ["a.png", "A (2).PNG", "a (3).png"]


def test_text_files_are_files_and_text_bodies_are_not() -> None:
    raw = multipart(part("Hello"), attached(b"a;b", "text/plain", "list.txt"), attached(b"x", "text/csv", "l.csv"))
    found = parse(raw)
    assert (found.text, [file.filename for file in found.files]) == ("Hello", ["list.txt", "l.csv"])
    named = parse(mail("Hello", kind='text/plain; charset=utf-8; name="body.txt"'))
    assert (named.text, named.files) == ("Hello", ())


def test_nameless_files_are_named_by_what_they_are_and_empty_ones_are_nothing() -> None:
    found = parse(multipart(part("Hi"), part(PDF, "application/pdf"), part("a,b", "text/csv"), part("", "text/csv")))
    assert [file.filename for file in found.files] == ["attachment.pdf", "attachment.csv"]


def test_archives_stay_closed() -> None:
    bomb = b"PK\x03\x04" + bytes(1_000)
    found = parse(multipart(part("Hi"), attached(bomb, "application/zip", "b.zip")))
    assert [(file.filename, file.data) for file in found.files] == [("b.zip", bomb)]


def _picture(cid: str, name: str, data: bytes = PNG) -> bytes:
    raw = attached(data, "image/png", name, f"Content-ID: <{cid}>")
    return raw.replace(b"attachment;", b"inline;")


def test_pictures_that_the_html_shows_are_inline_and_others_are_attachments() -> None:
    html = part("<p>See <img src=\"cid:one@x\"> and <IMG SRC='CID:tw%6f@x'></p>", "text/html")
    raw = multipart(
        html, _picture("one@x", "1.png"), _picture("two@x", "2.png"), _picture("3@x", "3.png"), subtype="related"
    )
    found = parse(raw)
    assert [(file.filename, file.inline, file.content_id) for file in found.files] == [
        ("1.png", True, "one@x"),
        ("2.png", True, "two@x"),
        ("3.png", False, "3@x"),
    ]


def test_the_same_content_id_twice_loses_neither_picture() -> None:
    html = part('<img src="cid:one@x">', "text/html")
    found = parse(multipart(html, _picture("one@x", "1.png"), _picture("one@x", "1.png", PDF), subtype="related"))
    assert [(file.filename, file.inline, file.data) for file in found.files] == [
        ("1.png", True, PNG),
        ("1 (2).png", False, PDF),
    ]


def test_pictures_by_location() -> None:
    html = part('<p>x<img src="pic.gif"></p>', "text/html")
    found = parse(multipart(html, part(PNG, "image/gif", "Content-Location: pic.gif"), subtype="related"))
    (picture,) = found.files
    assert picture.inline
    assert f'src="cid:{picture.content_id}"' in found.html


def test_pictures_written_into_the_html() -> None:
    source = "data:image/png;base64," + wrapped(PNG).decode().replace("\r\n", "")
    found = parse(mail(f'<p>broken: <img src="{source}"></p>', kind="text/html; charset=utf-8"))
    (picture,) = found.files
    assert (picture.data, picture.inline, picture.filename) == (PNG, True, "image.png")
    assert f'src="cid:{picture.content_id}"' in found.html


# --- Outlook


def test_winmail_dat_is_unpacked() -> None:
    packed = tnef(files=[("kırık ürün.jpg", PNG), ("fatura.pdf", PDF)])
    found = parse(multipart(part("See the files"), attached(packed, "application/ms-tnef", "winmail.dat")))
    assert found.text == "See the files"
    assert [(file.filename, file.data) for file in found.files] == [("kırık ürün.jpg", PNG), ("fatura.pdf", PDF)]
    assert found.files[0].media_type == "image/jpeg"
    assert found.defects == ()


def test_winmail_dat_as_octets_holds_the_text_too() -> None:
    found = parse(
        mail(
            wrapped(tnef(text="Sipariş kırık geldi")),
            kind='application/octet-stream; name="WINMAIL.DAT"',
            encoding="base64",
        )
    )
    assert (found.text, found.files) == ("Sipariş kırık geldi", ())
    rich = parse(mail(wrapped(tnef(html="<p>Merhaba</p>")), kind="application/ms-tnef", encoding="base64"))
    assert (rich.text, rich.html) == ("Merhaba", "<p>Merhaba</p>")


def test_winmail_dat_that_is_broken_is_kept() -> None:
    found = parse(
        multipart(part("Hi"), attached(b"\x78\x9f\x3e\x22" + b"\xff" * 90, "application/ms-tnef", "winmail.dat"))
    )
    assert [file.filename for file in found.files] == ["winmail.dat"]
    assert found.defects == ("Outlook attachment (winmail.dat) that could not be opened",)


# --- seals


def test_signed_mails_show_their_text_and_not_their_signature() -> None:
    for kind, name in (("application/pgp-signature", "signature.asc"), ("application/pkcs7-signature", "smime.p7s")):
        found = parse(multipart(part("Hello"), attached(b"seal", kind, name), subtype="signed"))
        assert (found.text, found.files, found.seal) == ("Hello", (), "signed")


def test_pgp_encrypted_mails_are_a_file() -> None:
    raw = multipart(
        part("Version: 1", "application/pgp-encrypted"),
        part("-----BEGIN PGP MESSAGE-----\n", "application/octet-stream"),
        subtype="encrypted",
    )
    found = parse(raw)
    assert (found.text, found.seal) == ("", "encrypted")
    assert [file.filename for file in found.files] == ["encrypted.asc"]


def test_smime_encrypted_mails_are_a_file() -> None:
    kind = "application/x-pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"
    found = parse(mail(wrapped(enveloped_smime()), kind=kind, encoding="base64"))
    assert (found.text, found.seal) == ("", "encrypted")
    assert [file.filename for file in found.files] == ["smime.p7m"]


@pytest.mark.parametrize("indefinite", [False, True])
def test_smime_signed_mails_are_read_through_their_seal(indefinite: bool) -> None:
    content = multipart(part("Hello from inside " * 20), attached(PDF, "application/pdf", "r.pdf"))
    data = wrapped(signed_smime(content, indefinite=indefinite))
    found = parse(mail(data, kind="application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", encoding="base64"))
    assert found.text.startswith("Hello from inside")
    assert (found.seal, [file.filename for file in found.files]) == ("signed", ["r.pdf"])


def test_pgp_within_the_text() -> None:
    signed = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nHello\n- -- dash\n-----BEGIN PGP SIGNATURE-----\n\nabc\n"
    )
    found = parse(mail(signed + "-----END PGP SIGNATURE-----\nbye"))
    assert (found.text, found.seal) == ("Hello\n-- dash\nbye", "signed")
    locked = parse(mail("-----BEGIN PGP MESSAGE-----\n\nabc\n-----END PGP MESSAGE-----\n"))
    assert (locked.text, locked.seal, locked.files[0].filename) == ("", "encrypted", "encrypted.asc")


# --- mails in mails, reports, calendars


def test_an_enclosed_mail_is_kept_and_read_and_told_apart() -> None:
    original = mail("Where is it?", subject="=?utf-8?q?Sipari=C5=9F/42?=").replace(b"a1.42@", b"original@")
    found = parse(multipart(part("Please handle"), part(original, "message/rfc822")))
    assert (found.text, found.message_id) == ("Please handle", "<a1.42@example.com>")
    (inside,) = found.enclosed
    assert (inside.text, inside.message_id, inside.subject) == ("Where is it?", "<original@example.com>", "Sipariş/42")
    assert [(file.filename, file.data) for file in found.files] == [("Sipariş-42.eml", original)]
    assert "<original@example.com>" in found.all_text
    assert body.enclosed_as_text(inside).split("\n") == [
        "> From: Ayşe Yılmaz <ayse@example.com>",
        "> Date: 2024-11-05 10:12 +0300",
        "> Subject: Sipariş/42",
        ">",
        "> Where is it?",
    ]


def test_an_enclosed_mail_in_base64() -> None:
    raw = multipart(part("x"), attached(mail("inside"), "message/rfc822", "m.eml"))
    found = parse(raw)
    assert [inside.text for inside in found.enclosed] == ["inside"]
    assert [file.filename for file in found.files] == ["m.eml"]


def test_a_digest_holds_mails() -> None:
    raw = multipart(b"\r\n" + mail("one"), b"\r\n" + mail("two"), subtype="digest")
    assert [inside.text for inside in parse(raw).enclosed] == ["one", "two"]


def test_a_bounce_is_its_words_and_its_reports() -> None:
    status = "Reporting-MTA: dns; mx.example.com\r\n\r\nFinal-Recipient: rfc822; x@example.com\r\nStatus: 5.1.1\r\n"
    raw = multipart(
        part("It could not be delivered."),
        part(status, "message/delivery-status"),
        part("Message-ID: <ours.1@shop.example>\r\n", "text/rfc822-headers"),
        subtype="report; report-type=delivery-status",
    )
    found = parse(raw)
    assert found.text == "It could not be delivered."
    assert [report.media_type for report in found.reports] == ["message/delivery-status", "text/rfc822-headers"]
    assert "Status: 5.1.1" in found.reports[0].text
    assert "<ours.1@shop.example>" in found.all_text
    assert found.files == ()


ICS = """BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VEVENT
SUMMARY:Teslimat\\, 2. deneme
DTSTART;TZID=Europe/Istanbul:20241105T100000
DTEND;TZID=Europe/Istanbul:20241105T110000
LOCATION:Kadıköy
ORGANIZER;CN=Ali:mailto:ali@example.com
END:VEVENT
END:VCALENDAR
"""


def test_invitations_are_readable() -> None:
    raw = multipart(
        part("See you"),
        part(ICS, "text/calendar; method=REQUEST; charset=utf-8"),
        attached(ICS.encode(), "application/ics", "invite.ics"),
    )
    found = parse(raw)
    assert found.text == "See you"
    assert [file.filename for file in found.files] == ["invite.ics"]
    assert body.calendar_as_text(found.calendar).split("\n") == [
        "Invitation: Teslimat, 2. deneme",
        "When: 2024-11-05 10:00–11:00 (Europe/Istanbul)",
        "Where: Kadıköy",
        "Organizer: ali@example.com",
    ]


@pytest.mark.parametrize(
    ("ics", "text"),
    [
        (ICS.replace("REQUEST", "CANCEL").replace("SUMMARY:Tes\\,", ""), "Cancelled appointment: Teslimat, 2. deneme"),
        ("BEGIN:VEVENT\nSUMMARY:A\nDTSTART;VALUE=DATE:20241105\nEND:VEVENT", "Appointment: A\nWhen: 2024-11-05"),
        (
            "BEGIN:VEVENT\nSUMMARY:A\n B\nDTSTART:20241105T100000Z\nEND:VEVENT",
            "Appointment: AB\nWhen: 2024-11-05 10:00 UTC",
        ),
        (
            "METHOD:REPLY\nBEGIN:VEVENT\nATTENDEE;PARTSTAT=DECLINED:mailto:a@x\nEND:VEVENT",
            "Answer to an invitation (declined): without a title",
        ),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR", ""),
        ("", ""),
    ],
)
def test_calendars_as_text(ics: str, text: str) -> None:
    assert body.calendar_as_text(ics).startswith(text)
    assert bool(body.calendar_as_text(ics)) == bool(text)


# --- limits


def test_a_mail_too_large_shows_its_headers_and_says_so() -> None:
    raw = mail(b"x" * 100, subject="Huge") + bytes(MOST_BYTES)
    found = parse(raw)
    assert (found.subject, found.text, found.files) == ("Huge", "", ())
    assert found.defects == ("This mail is larger than 30 MB. Only its headers were read.",)


def test_too_many_and_too_deep_parts_are_said() -> None:
    assert "parts" in parse(many_parts(5_000)).defects[0]
    deep = parse(nested(2_000))
    assert "deep" in deep.defects[0]
    assert deep.subject == "nested"
    assert parse(nested(20)).text == "deep"


def test_enclosed_mails_are_read_to_a_depth_and_kept_beyond() -> None:
    found, depth = parse(enclosed(50)), 0
    while found.enclosed:
        found, depth = found.enclosed[0], depth + 1
    assert 2 <= depth <= 10
    assert found.files[0].data.endswith(b"deep\n")


def test_a_text_too_long_is_cut_and_says_so() -> None:
    found = parse(mail("word " * MOST_TEXT))
    assert len(found.text) <= MOST_TEXT
    assert "longer" in found.defects[0]


def test_uuencode_never_gives_much_more_than_it_holds() -> None:
    raw = b"begin 644 x\n" + b"z\n" * 50_000
    found = parse(multipart(part(raw, "application/x-data", "Content-Transfer-Encoding: uuencode")))
    assert len(found.files[0].data) <= 3 * len(raw)


LONG = "The text of this mail is longer than 200,000 characters. The rest is in the original mail."


def test_parts_beyond_the_longest_text_are_not_read_and_it_is_said() -> None:
    words = "Sipariş gelmedi, çok üzgünüm. ".encode("cp1254") * 1_000
    found = parse(multipart(*[part(words, "text/plain")] * 30))
    assert MOST_TEXT - 100 < len(found.text) <= MOST_TEXT
    assert found.defects == (LONG,)


def test_html_parts_beyond_the_largest_html_are_not_read_and_it_is_said() -> None:
    found = parse(multipart(*[part("<p>word</p>" + "<p hidden>x</p>" * 20_000, "text/html")] * 10))
    assert len(found.html) <= 1_000_000
    assert 2 <= found.text.count("word") <= 5
    assert found.defects == (LONG,)


def test_hundreds_of_short_texts_are_read_as_far_as_it_goes() -> None:
    found = parse(multipart(*[part("x")] * 300))
    assert found.text.count("x") == 200
    assert found.defects == ("This mail has more than 200 pieces of text. The rest is in the original mail.",)


def test_a_long_text_leaves_its_html_its_report_and_its_files() -> None:
    raw = multipart(
        inner(part("word " * MOST_TEXT), part("<p>rich</p>", "text/html")),
        part("Status: 5.1.1\r\n", "message/delivery-status"),
        attached(PDF, "application/pdf", "r.pdf"),
    )
    found = parse(raw)
    assert found.html == "<p>rich</p>"
    assert "5.1.1" in found.reports[0].text
    assert [file.filename for file in found.files] == ["r.pdf"]


def test_enclosed_mails_share_one_measure_and_leave_the_outer_text() -> None:
    outer, big = part("outer"), attached(mail("word " * 30_000), "message/rfc822")
    found = parse(multipart(outer, big, big, big))
    assert found.text == "outer"
    assert sum(len(inside.text) for inside in found.enclosed) <= MOST_TEXT
    assert LONG in found.enclosed[-1].defects


def test_what_the_standard_library_writes_is_read_back() -> None:
    made = EmailMessage()
    made["From"] = FROM
    made["Subject"] = "Ürün değişimi – çok uzun bir konu satırı ki katlanmak zorunda kalsın, evet gerçekten"
    made.set_content("Merhaba\n")
    made.add_alternative("<p>Merhaba</p>", subtype="html")
    made.add_attachment(
        PDF, maintype="application", subtype="pdf", filename="çok uzun bir dosya adı, katlanacak kadar.pdf"
    )
    found = parse(made.as_bytes())
    assert found.subject == made["Subject"]
    assert (found.text, found.html.strip()) == ("Merhaba", "<p>Merhaba</p>")
    assert [file.filename for file in found.files] == ["çok uzun bir dosya adı, katlanacak kadar.pdf"]
