"""The contact form as values: cleaning, complaints, tickets, advertisements, languages."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import contact_form
from app.contact_form import LATEST, LONGEST, SOONEST, Form, Ticket, TooOld, TooSoon, issue, problems, read, redeem
from channels.mail.forms import deliverable, written
from channels.message import Address, Proof
from tests.contact.visitor import FILLED

KEY, NONCE = b"k" * 32, bytes(range(16))
AT = datetime(2027, 2, 9, 8, 0, tzinfo=UTC)


def test_what_is_filled_in_rightly_is_taken_as_it_is() -> None:
    form = read({**FILLED, "phone": " +90 532 000 00 00 ", "order": "4711"})
    assert problems(form) == {}
    assert (form.phone, form.order, form.message) == ("+90 532 000 00 00", "4711", FILLED["message"])


def test_what_is_missing_is_told_in_the_order_of_the_page() -> None:
    assert list(problems(read({}))) == ["name", "email", "subject", "message"]
    blank = dict.fromkeys(FILLED, " \u200b\n")
    assert list(problems(read(blank))) == ["name", "email", "subject", "message"], "what nobody sees is nothing"
    assert problems(read({**FILLED, "message": "👍"})) == {}


@pytest.mark.parametrize(
    "address",
    ["ayse", "ayse@", "@ornek.com.tr", "a b@ornek.com.tr", "ayse@ornek", "ayse@ornek..com", "a@b@c.example",
                "ayse@ornek.com.tr\r\nBcc: b@c.example", "<ayse@ornek.com.tr>", "a@b.example,c@d.example"],
)  # fmt: skip
def test_an_address_that_no_answer_reaches_is_not_taken(address: str) -> None:
    assert problems(read({**FILLED, "email": address})) == {"email": "error_email"}


def test_an_address_is_compared_as_mail_names_it() -> None:
    assert deliverable(" Ayse.Yilmaz@Ornek.COM.TR ") == "ayse.yilmaz@ornek.com.tr"
    assert deliverable("ayşe@örnek.example") == "ayşe@xn--rnek-4qa.example"


@pytest.mark.parametrize("key", LONGEST)
def test_what_is_too_long_is_shortened_and_said(key: str) -> None:
    form = read({**FILLED, key: "x" * (LONGEST[key] + 1)})
    assert problems(form)[key] == "error_too_long"
    assert len(getattr(form, key)) == LONGEST[key]


@given(st.dictionaries(st.sampled_from([*LONGEST, "website", "ticket"]), st.text(max_size=300)))
def test_whatever_is_sent_becomes_clean_text(given_: dict[str, str]) -> None:
    form = read(given_)
    for key in LONGEST:
        value = getattr(form, key)
        assert len(value) <= LONGEST[key]
        assert not any(sign < " " and sign not in "\n\t" for sign in value)
        assert key == "message" or "\n" not in value
    assert read({key: getattr(form, key) for key in LONGEST}) == read({key: getattr(form, key) for key in LONGEST})
    problems(form)
    contact_form.suspicious(form)


def test_lines_stay_lines_and_empty_ones_do_not_pile_up() -> None:
    assert read({"message": "  a\r\nb \u2028c\n\n\n\n\nd\x00\x07 "}).message == "a\nb\nc\n\nd"
    assert read({"name": "Ayşe\r\nBcc: x\u202e"}).name == "Ayşe Bcc: x"


# --- tickets


def test_a_ticket_is_good_after_a_few_seconds_for_a_day() -> None:
    text = issue(KEY, AT, NONCE)
    for age in (SOONEST, timedelta(hours=23, minutes=59)):
        assert redeem(KEY, text, AT + age) == Ticket(text=text, nonce=NONCE.hex())
    for age in (timedelta(0), SOONEST - timedelta(milliseconds=1), -timedelta(seconds=2)):
        with pytest.raises(TooSoon):
            redeem(KEY, text, AT + age)
    for age in (LATEST, -LATEST - timedelta(seconds=1)):
        with pytest.raises(TooOld):
            redeem(KEY, text, AT + age)


def test_a_ticket_of_another_secret_is_none() -> None:
    with pytest.raises(TooOld):
        redeem(b"x" * 32, issue(KEY, AT, NONCE), AT + SOONEST)


@given(st.integers(0, 40), st.integers(1, 255))
def test_a_ticket_in_which_one_bit_was_changed_is_none(at: int, bits: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(issue(KEY, AT, NONCE) + "="))
    raw[at] ^= bits
    with pytest.raises(TooOld):
        redeem(KEY, base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="), AT + SOONEST)


@given(st.text(max_size=80))
def test_whatever_is_sent_as_a_ticket_is_none(text: str) -> None:
    with pytest.raises(TooOld):
        redeem(KEY, text, AT + SOONEST)


def test_a_second_click_names_the_same_message_and_other_words_another() -> None:
    ticket = redeem(KEY, issue(KEY, AT, NONCE), AT + SOONEST)
    first = contact_form.message_id(ticket, read(FILLED), [b"file"])
    assert first == contact_form.message_id(ticket, read(FILLED), [b"file"])
    others = [
        contact_form.message_id(ticket, read({**FILLED, "message": "Bir şey daha"}), [b"file"]),
        contact_form.message_id(ticket, read(FILLED), []),
        contact_form.message_id(ticket, read(FILLED), [b"fi", b"le"]),
        contact_form.message_id(Ticket(text="", nonce="00"), read(FILLED), [b"file"]),
    ]
    assert len({first, *others}) == 5


# --- advertisements


@pytest.mark.parametrize(
    "typed",
    [
        {"subject": "Best SEO https://seo.example"},
        {"name": "www.casino.example"},
        {"message": "see [url=https://a.example]here[/url]"},
        {"message": '<a href="https://a.example">here</a>'},
        {"message": "https://a.example https://b.example https://c.example https://d.example"},
    ],
)
def test_an_advertisement_is_noticed(typed: dict[str, str]) -> None:
    assert contact_form.suspicious(read({**FILLED, **typed}))


@pytest.mark.parametrize(
    "message",
    [
        "Şu ürün: https://kumbara.example/u/4711 ve kargo takibi: https://kargo.example/t?no=77",
        "Ich möchte 3 < 4 Stück, [bitte] schnell.",
        "Ürün kumbara.example adresinden",
    ],
)
def test_a_customer_may_name_a_product_and_a_parcel(message: str) -> None:
    assert not contact_form.suspicious(read({**FILLED, "message": message}))


# --- languages


@pytest.mark.parametrize(
    ("asked", "accepted", "spoken"),
    [
        ("", "", "tr"),
        ("", "de-AT,de;q=0.9,en;q=0.8", "en"),
        ("", "en;q=0.4, ru-RU;q=0.7, *;q=0.1", "ru"),
        ("ar", "ru", "ar"),
        ("AR", "ru", "ar"),
        ("xx", "ru", "ru"),
        ("", "ru;q=0, en", "en"),
        ("", "pt-BR", "pt-BR"),
        ("", "pt", "pt-BR"),
        ("", ";;q=,,=;q=2", "tr"),
    ],
)
def test_the_language_is_the_one_asked_for_or_the_first_the_browser_names(
    asked: str, accepted: str, spoken: str
) -> None:
    assert contact_form.spoken(asked, accepted, ("tr", "ru", "en", "ar", "pt-BR")) == spoken


@given(st.text(max_size=20), st.text(max_size=60))
def test_there_is_always_a_language(asked: str, accepted: str) -> None:
    assert contact_form.spoken(asked, accepted, ("tr", "ru")) in ("tr", "ru")


# --- the message


def test_nothing_vouches_for_who_wrote_it_and_no_program_answers() -> None:
    form = read(FILLED)
    message = written(
        "mail", "Destek@Kumbara.example", "ab.cd", at=AT, sender="ayse@ornek.com.tr", name=form.name,
        subject=form.subject, text=form.message,
    )  # fmt: skip
    assert message.sender == Address(kind="email-claimed", value="ayse@ornek.com.tr")
    assert message.twin == Address(kind="email", value="ayse@ornek.com.tr")
    assert (message.proof, message.quiet, message.automatic) == (Proof.CLAIMED, True, False)
    assert message.context["to"] == ["ayse@ornek.com.tr"]
    assert message.names == (message.context["message_id"],) == ("<form.ab.cd@Kumbara.example>",)


def test_a_form_says_which_of_its_fields_were_cut() -> None:
    assert read({"name": "x" * 101}).too_long == {"name"}
    assert Form().too_long == frozenset()
