"""Mail as agents see it: the subject when it is news, own words, what to know before believing it, and the original."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.message import COMPLAINT, Proof
from desk import notices, tidings
from desk.blocks import Post
from desk.cards import LONG, Line, fits, lines, take_fitting
from desk.originals import Original, window
from desk.teams import Team
from desk.views import Facts, Views
from desk.words import WORD_JOINER, pieces, topic
from inbox.changes import Conversation
from inbox.store.slack import Head, Said
from templates.catalog import Catalog
from tests.desk import limits
from tests.desk.test_cards import actions, broken, seen
from tests.desk.test_words import hostile

AT = datetime(2026, 1, 5, 10, 20, tzinfo=UTC)
CATALOG = Catalog.load("en")
EN = CATALOG.voice("en")
voices = st.sampled_from([CATALOG.voice(lang) for lang in CATALOG.languages])
TEAM = Team(name="support", slack_channel="C1")
VIEWS = Views({"support": "email", "bot": "telegram"}, EN)
MAIL = Said(
    id=4,
    position=1,
    direction="in",
    channel="support",
    author="",
    author_name="Ayşe Yılmaz",
    address_kind="email",
    address="ayse@ornek.com.tr",
    subject="Order 17",
    previous_subject="",
    text="Where is it?",
    hidden=False,
    automatic=False,
    body={"proof": int(Proof.AUTHENTICATED), "why": "DMARC passed for ornek.com.tr"},
    album="",
    sent_at=AT,
    created_at=AT,
    edited_at=None,
    withdrawn_at=None,
)
HEAD = Head(
    conversation=Conversation(id=17, customer_id=3, team="support", language="tr", channel="support", waiting_since=AT),
    name="Ayşe Yılmaz",
    address_kind="email",
    address="ayse@ornek.com.tr",
    proof=Proof.AUTHENTICATED,
    cut_off="",
    channels=("support",),
)


def shown(message: Said) -> Post:
    return lines([VIEWS.line(message)], EN)


# the subject


@pytest.mark.parametrize(
    "subject",
    [
        "Order 17",
        "Re: Order 17",
        "RE[2]: order  17",
        "Fwd: Re: Order 17",
        "YNT: İLT: Order 17",
        "Ответ: Re(3): Order 17",
        "AW: WG: Order 17",
        "回复：Order 17",
        "SV:Order 17",
    ],
)
def test_an_answer_has_the_subject_of_what_it_answers(subject: str) -> None:
    assert topic(subject) == topic("order 17")
    assert "Order" not in seen(shown(replace(MAIL, subject=subject, previous_subject="Order 17")))


@pytest.mark.parametrize("subject", ["Order 18", "Return: Order 17", "17", "Reorder: Order 17"])
def test_another_subject_is_news_and_shown_as_written(subject: str) -> None:
    assert subject in seen(shown(replace(MAIL, subject=subject, previous_subject="Order 17")))


def test_the_first_subject_is_shown_and_no_subject_is_not() -> None:
    assert "Fwd: Order 17" in seen(shown(replace(MAIL, subject="Fwd: Order 17")))
    first = lines([VIEWS.line(replace(MAIL, subject=""))], EN).blocks[0]["elements"][0]["elements"]
    assert first == [{"type": "text", "text": "Where is it?"}]


@settings(deadline=None)
@given(hostile)
def test_a_topic_is_read_from_anything_and_prefixes_never_change_it(subject: str) -> None:
    assert topic("Re: " + subject) == topic("FWD: " + subject)


def test_a_subject_of_nothing_but_prefixes_takes_no_time() -> None:
    assert topic("Re: " * 100_000) == ""
    assert topic("[" * 100_000) and topic("re" + " (1" * 100_000 + ":")


# what to know before believing it


def test_a_proven_sender_needs_no_words() -> None:
    assert "⚠️" not in seen(shown(MAIL)) and "DMARC" not in seen(shown(MAIL))


def test_a_channel_that_vouches_for_everybody_says_nothing_of_proof() -> None:
    chat = replace(MAIL, channel="bot", address_kind="telegram", address="4711", body={})
    assert "verified" not in seen(shown(chat))


def test_an_unproven_sender_is_marked_with_the_reason() -> None:
    post = shown(replace(MAIL, body={"proof": 0, "why": "SPF and DKIM are missing"}))
    assert "⚠️ sender not verified: SPF and DKIM are missing" in seen(post)
    assert "⚠️ sender not verified" in seen(shown(replace(MAIL, body={}, address_kind="email-claimed")))


@pytest.mark.parametrize("lang", CATALOG.languages)
def test_every_warning_has_words_of_its_own_in_every_language(lang: str) -> None:
    codes = (
        "two_froms",
        "no_sender",
        "broken_sender",
        "name_hides_address",
        "lookalike",
        "bidi",
        "reply_to_differs",
        "spam_folder",
        "dmarc_refused",
        "encrypted",
        "cut",
    )
    one_by_one = [Line(at=AT, text="Hi", warnings=(code,)) for code in codes]
    said = " ".join(seen(lines([line], CATALOG.voice(lang))) for line in one_by_one)
    assert said.count("⚠️") == len(codes)
    assert not any(code in said for code in codes if "_" in code)


def test_a_machines_mail_and_one_that_came_twice_say_so() -> None:
    said = seen(shown(replace(MAIL, automatic=True, body={"also": ["sales", "info"]})))
    assert "🤖 looks automatic" in said and "Also came to: sales, info" in said


def test_a_mail_that_could_not_be_read_says_why_and_not_that_this_is_why_it_is_unproven() -> None:
    body = {"stub": "mail", "warnings": ["unread"], "why": "it is larger than 30 MB", "proof": 0}
    said = seen(shown(replace(MAIL, text="", body=body)))
    assert "could not be read: it is larger than 30 MB" in said and "sender not verified" in said
    assert "not verified: it is" not in said and "a mail. It is kept" in said


@pytest.mark.parametrize("body", [{"participant": True}, {"warnings": ["participant"]}])
def test_somebody_else_in_a_customers_conversation_is_named_by_address(body: dict[str, Any]) -> None:
    said = seen(shown(replace(MAIL, author_name="Ayşe Yılmaz", address="freund@example.com", body=body)))
    assert "Not the customer: freund@example.com wrote this" in said


def test_an_agent_sees_who_else_was_written_to_and_that_they_get_no_answer() -> None:
    said = seen(shown(replace(MAIL, body={"also_to": ["es@ornek.com.tr", "avukat@example.com"]})))
    assert "Also to: es@ornek.com.tr, avukat@example.com (answers go to the customer alone)" in said
    many = seen(shown(replace(MAIL, body={"also_to": [f"{n}@example.com" for n in range(20)]})))
    assert "4@example.com, +15" in many and "5@example.com" not in many
    assert "Also to" not in seen(shown(MAIL))


@pytest.mark.parametrize("why", ["", "file_empty"])
def test_an_empty_file_is_named_as_such_and_not_promised(why: str) -> None:
    size = None if why else 0
    file = {"filename": "fis.pdf", "media_type": "", "size": size, "state": "failed", "why": why, "shown_at": None}
    said = seen(shown(replace(MAIL, files=(file,))))
    assert "📎 fis.pdf · empty: it holds nothing" in said and "arriving" not in said


# what did not leave, and what does again


def failed(**more: Any) -> str:
    notice = {"notice": "failure", "channel": "support", "code": "file_too_big", "message": 7, **more}
    return VIEWS.notice(HEAD, notice, Facts(excerpt="The form")).text


@pytest.mark.parametrize("lang", CATALOG.languages)
def test_a_file_too_large_is_named_with_the_limit_and_what_becomes_of_the_words(lang: str) -> None:
    say = CATALOG.voice(lang)
    left_out = notices.LeftOut(name="big.bin", most=18_874_368, rest=True)
    post = notices.failure("file_too_big", "Ayşe", "email", say, left_out=left_out)
    said = post.text
    assert broken(post) == []
    for words in ("big.bin", "18 MB", "Ayşe", say("file_not_sent.rest_goes"), say("advice.file_too_big")):
        assert words in said


def test_of_a_file_that_was_not_sent_nobody_says_that_a_server_said_so() -> None:
    said = failed(file="big.bin", most=18_874_368, rest=True)
    assert "big.bin was not sent to Ayşe Yılmaz: it is larger than the 18 MB that E-mail carries" in said
    assert "The server says" not in said
    alone = failed(file="big.bin", most=900_000)
    assert "900 kB" in alone and "rest of this message" not in alone
    lost = failed(code="file_lost", file="form.pdf", rest=False, detail="Slack answers 404")
    assert "form.pdf was not sent" in lost and "What you wrote with it was not sent either." in lost
    assert "The file did not reach" in failed()


def test_the_end_of_an_alarm_names_the_mailbox() -> None:
    notice = {"notice": "reads_again", "channel": "support"}
    said = {Views({"support": "email"}, CATALOG.voice(lang)).alarm(notice).text for lang in CATALOG.languages}
    assert "✅ The mailbox support is being read again." in said
    assert len(said) == len(CATALOG.languages)


def test_the_card_of_a_claimed_address_warns_above_all_else() -> None:
    claimed = replace(HEAD, address_kind="email-claimed", proof=Proof.CLAIMED, looks_like="Ayşe Y.")
    post = VIEWS.card(claimed, TEAM, [MAIL], 1)
    assert broken(post) == []
    warning = " ".join(limits.strings(post.blocks[1:3]))
    for words in ("Not proven to be", "ayse@ornek.com.tr", "no order details", "Looks like customer Ayşe Y."):
        assert words in warning
    assert "ayse@ornek.com.tr (? not proven)" in seen(post)
    proven = seen(VIEWS.card(HEAD, TEAM, [MAIL], 1))
    assert "Not proven" not in proven and "ayse@ornek.com.tr (✓ sender confirmed)" in proven
    assert "E-mail" in proven


# what is left out of the thread


def test_a_button_offers_what_was_hidden_or_cut_and_nothing_else() -> None:
    assert actions(shown(MAIL)) == {}
    assert actions(shown(replace(MAIL, hidden=True))) == {"show_original": "4"}
    long = shown(replace(MAIL, text="Once upon a time " * 1_000))
    assert actions(long) == {"show_original": "4"}
    assert "kept in full" in seen(long) and len(seen(long)) < LONG + 500
    assert actions(shown(replace(MAIL, text="x" * 4_096))) == {}  # no chat's longest message is cut


def test_mails_in_one_post_each_have_their_own_button() -> None:
    several = [VIEWS.line(replace(MAIL, id=id, hidden=True)) for id in (4, 5)]
    assert take_fitting(several, EN) == 2
    buttons = [block["elements"][0] for block in lines(several, EN).blocks if block["type"] == "actions"]
    assert [button["value"] for button in buttons] == ["4", "5"]


def test_a_mail_too_long_for_the_card_begins_there_and_goes_on_in_the_thread() -> None:
    long = replace(MAIL, text="Once upon a time " * 500)
    assert fits([VIEWS.line(long)], EN) == 0
    said = seen(VIEWS.card(HEAD, TEAM, [long], 0))
    assert "Once upon a time" in said and "Continues in the thread" in said


def test_long_mails_share_a_post_only_as_far_as_they_fit() -> None:
    long = [VIEWS.line(replace(MAIL, id=id, text="word " * 20_000)) for id in range(6)]
    count = take_fitting(long, EN)
    assert count == 2
    assert broken(lines(long[:count], EN)) == []


# the window


def test_the_window_shows_where_a_mail_came_from_and_all_its_words() -> None:
    made = window(
        Original(
            sender="Ayşe Yılmaz",
            address="ayse@ornek.com.tr",
            channels=("support", "sales"),
            at=AT,
            subject="Re: Order 17",
            text="Where is it?\n:tada: *really*",
            hidden="> Your order has left\n-- \nAyşe",
            proof=Proof.AUTHENTICATED,
            why="DMARC passed for ornek.com.tr",
        ),
        EN,
    )
    assert limits.view(made) == []
    said = " ".join(limits.strings(made["blocks"]))
    for words in (
        "Ayşe Yılmaz <ayse@ornek.com.tr>",
        "support, sales",
        "Re: Order 17",
        "sender confirmed: DMARC passed",
    ):
        assert words in said
    texts = [block["text"] for block in made["blocks"] if block["type"] == "section"]
    assert [text["text"] for text in texts] == ["Where is it?\n:tada: *really*", "> Your order has left\n-- \nAyşe"]
    assert all(text["type"] == "plain_text" and text["emoji"] is False for text in texts)


def test_what_does_not_fit_the_window_is_counted() -> None:
    whole = Original(
        sender="", address="a@example.com", channels=("support",), at=AT, text="слово " * 40_000, hidden="> past"
    )
    made = window(whole, EN)
    assert limits.view(made) == []
    texts = [block["text"]["text"] for block in made["blocks"] if block["type"] == "section"]
    assert sum(map(len, texts)) > 20_000
    assert "more characters do not fit here" in " ".join(limits.strings(made["blocks"][-1]))


@settings(max_examples=40, deadline=None)
@given(hostile, hostile, st.integers(0, 4_000), voices)
def test_a_window_is_within_slacks_limits_whatever_a_mail_holds(text: str, other: str, times: int, say: Any) -> None:
    whole = Original(
        sender=text,
        address=other,
        channels=(other, text),
        at=AT,
        subject=text,
        text=(text * times)[:200_000],
        hidden=(other * times)[:200_000],
        why=other,
    )
    assert limits.view(window(whole, say)) == []


@settings(deadline=None)
@given(hostile, st.integers(20, 3_000))
def test_pieces_are_short_and_lose_nothing_that_can_be_seen(text: str, size: int) -> None:
    parts = list(pieces(text, size))
    assert all(0 < len(part) <= size and part.strip() for part in parts)
    gone = {WORD_JOINER, " ", "\n", "\t"}
    kept = [char for char in "".join(parts) if char not in gone and not char.isspace()]
    whole = [char for char in "".join(pieces(text, 10**9)) if char not in gone and not char.isspace()]
    assert kept == whole


# machines


def event(what: str, **body: str) -> Said:
    return replace(MAIL, direction="event", author_name="", text="", body={"event": what, **body})


@pytest.mark.parametrize("what", sorted(tidings.MACHINES))
def test_what_machines_write_is_one_small_line_that_names_the_customer_or_us(what: str) -> None:
    post = VIEWS.event(event(what, detail="I am on holiday until Monday"), "Ayşe", "")
    assert broken(post) == [] and len(post.blocks) == 1 and post.blocks[0]["type"] == "context"
    assert "Ayşe" in post.text or what == "loop"
    assert "holiday" in post.text or what == "complaint"


def test_a_machines_mail_without_words_is_told_by_its_subject() -> None:
    assert "Out of office" in VIEWS.event(event("auto_reply", detail="", subject="Out of office"), "Ayşe", "").text
    assert broken(VIEWS.event(event("bounced"), "", "")) == []


def test_a_complaint_reads_the_same_as_an_event_and_as_an_opt_out() -> None:
    told = VIEWS.event(event("complaint"), "Ayşe", "").text
    assert "spam" in told
    assert VIEWS.event(event("opted_out", detail=COMPLAINT), "Ayşe", "").text == told
    assert "blocked" in VIEWS.event(event("opted_out", detail="blocked by user"), "Ayşe", "").text


# what did not arrive


def failure(code: str, detail: str = "", channel: str = "support") -> Post:
    notice = {"notice": "failure", "channel": channel, "code": code, "detail": detail, "message": 4, "delivery": "d"}
    return VIEWS.notice(HEAD, notice, Facts(excerpt="Your order has left"))


def test_a_bounce_says_what_happened_what_the_server_said_and_what_can_be_done() -> None:
    post = failure("unreachable", "5.1.1 user unknown")
    for words in (
        "❌",
        "Ayşe Yılmaz",
        "mailbox does not exist",
        "5.1.1 user unknown",
        "Your order has left",
        "right address",
    ):
        assert words in seen(post)
    assert "blocked us" in seen(failure("unreachable", channel="bot"))


def test_every_reason_by_mail_reads_differently_and_none_blames_the_customer_for_our_name() -> None:
    told = {
        code: failure(code).text for code in ("unreachable", "mailbox_full", "rejected_as_spam", "refused", "gave_up")
    }
    assert len(set(told.values())) == len(told)
    assert "Whoever runs Santral" in told["rejected_as_spam"]


def test_a_code_nobody_knows_is_told_as_the_server_said_it() -> None:
    post = failure("4.7.28", "unusual rate of unsolicited mail")
    assert "mail server refused it" in seen(post) and "4.7.28 unusual rate" in seen(post)


def test_a_mailbox_that_refuses_us_is_an_alarm_with_a_way_out_and_no_secret() -> None:
    notice = {"notice": "mailbox", "channel": "support", "detail": "AUTHENTICATIONFAILED password=hunter2"}
    post = VIEWS.alarm(notice)
    assert broken(post) == []
    for words in (
        "The mailbox",
        "support",
        "refuses us",
        "AUTHENTICATIONFAILED",
        "New mail is not being read",
        "santral check",
    ):
        assert words in seen(post) + post.text
    assert "hunter2" not in seen(post)
    assert "mail" not in VIEWS.alarm({**notice, "channel": "bot", "detail": ""}).text


def test_a_parked_piece_of_work_is_told_as_before() -> None:
    since = (AT - timedelta(hours=1)).isoformat()
    notice = {"notice": "parked", "kind": "read", "since": since, "attempts": 9, "detail": "no room"}
    assert "reading what came in by mail" in VIEWS.alarm(notice).text
