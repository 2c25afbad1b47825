"""The card, the posts and the notices: what an agent sees of a conversation, always within Slack's limits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from channels import errors
from channels.message import Proof, Span, SpanKind
from desk import alarms, notices, tidings
from desk.blocks import Place, Post
from desk.blocks import ringing as ids
from desk.cards import (
    CARD_LINES,
    PROMISES,
    Attached,
    Card,
    FileState,
    Line,
    card,
    fits,
    lines,
    moved,
    take_fitting,
)
from desk.notices import Ended, Out, Way
from templates.catalog import Catalog
from tests.desk import limits
from tests.desk.test_words import hostile

AT = datetime(2026, 1, 5, 10, 20, tzinfo=UTC)
CATALOG = Catalog.load("en")
EN = CATALOG.voice("en")
AYSE = Card(
    conversation="17",
    customer="Ayşe Yılmaz",
    channels=("telegram",),
    address="telegram:4711",
    proof=Proof.PLATFORM,
    language="tr",
    tags=("return", "refund"),
    priority="urgent",
    waiting_since=AT,
    opening=(Line(at=AT, sender="Ayşe Yılmaz", channel="telegram", text="Where is my order?"),),
)

attached = st.builds(
    Attached,
    name=hostile,
    media_type=hostile,
    size=st.none() | st.integers(0, 10**12),
    state=st.sampled_from(FileState),
)
span = st.builds(Span, kind=st.sampled_from(SpanKind), start=st.integers(0, 40), end=st.integers(0, 60), url=hostile)
line = st.builds(
    Line,
    at=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    sender=st.sampled_from(["Ayşe", "<!here>"]),
    channel=st.sampled_from(["telegram", "sms", "", "new"]),
    subject=hostile,
    text=hostile,
    spans=st.lists(span, max_size=3).map(tuple),
    attached=st.lists(attached, max_size=30).map(tuple),
    quoted=hostile,
    forwarded_from=hostile,
    stub=hostile,
    edited=st.booleans(),
    withdrawn=st.booleans(),
    erased=st.booleans(),
    id=st.sampled_from(["", "17"]),
    hidden=st.booleans(),
    automatic=st.booleans(),
    unproven=st.booleans(),
    why=hostile,
    unread=hostile,
    warnings=st.lists(st.sampled_from(["bidi", "spam_folder"]) | hostile, max_size=12).map(tuple),
    bystander=hostile,
    also=st.lists(hostile, max_size=3).map(tuple),
)
some_lines = st.lists(line, min_size=1, max_size=14)
voices = st.sampled_from([CATALOG.voice(lang) for lang in CATALOG.languages])
slow = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def broken(post: Post) -> list[str]:
    return limits.broken(post.text, post.blocks)


def actions(post: Post) -> dict[str, str]:
    """The buttons: action_id to value."""
    found = [block["elements"] for block in post.blocks if block["type"] == "actions"]
    return {element["action_id"]: element["value"] for elements in found for element in elements}


def seen(post: Post) -> str:
    return " ".join(limits.strings(post.blocks))


# the card


def test_the_card_shows_who_what_how_long_and_what_can_be_done() -> None:
    post = card(AYSE, EN)
    assert broken(post) == []
    assert post.blocks[0]["text"]["text"] == "🔴 Ayşe Yılmaz · Telegram"
    assert "Where is my order?" in seen(post)
    context = post.blocks[-2]["elements"][0]["text"]
    for word in (
        "<!date^1767608400^{ago}|",
        "Turkish",
        "`return`",
        "Urgent",
        "telegram:4711 (✓ confirmed",
        "nobody yet",
    ):
        assert word in context
    assert actions(post) == dict.fromkeys(("take", "template", "resolve", "note", "more"), "17")
    assert post.text == "🔴 Ayşe Yılmaz · Telegram: Where is my order?"


def test_a_resolved_conversation_can_be_reopened_and_no_longer_waits() -> None:
    post = card(replace(AYSE, state="resolved"), EN)
    assert actions(post) == {"reopen": "17", "note": "17", "more": "17"}
    assert post.blocks[0]["text"]["text"].startswith("✅ ")
    assert "<!date" not in seen(post) and "Resolved" in seen(post)


def test_the_agent_is_named_by_slack_id_or_by_name() -> None:
    assert "<@U0AGENT001>" in seen(card(replace(AYSE, agent="U0AGENT001"), EN))
    assert "👤 ‹" not in seen(card(replace(AYSE, agent="Deniz"), EN))
    assert "👤 &lt;" in seen(card(replace(AYSE, agent="<@everyone>"), EN))


def test_an_unproven_address_and_a_block_are_said() -> None:
    said = seen(card(replace(AYSE, proof=Proof.CLAIMED, blocked=True), EN))
    assert "(? not proven)" in said and "has blocked us" in said


def test_labels_speak_the_agents_language() -> None:
    assert "Üzerime al" in seen(card(AYSE, CATALOG.voice("tr")))
    assert "Взять" in seen(card(AYSE, CATALOG.voice("ru")))
    assert "Take" in seen(card(AYSE, CATALOG.voice("xx")))


def test_what_does_not_fit_is_announced_and_left_to_the_thread() -> None:
    many = tuple(Line(at=AT, text=f"message {number}") for number in range(14))
    assert fits(many, EN) == CARD_LINES
    post = card(replace(AYSE, opening=many), EN)
    assert "message 9" in seen(post) and "message 10" not in seen(post)
    assert "4 more in the thread" in seen(post)


def test_a_first_message_too_long_for_the_card_shows_its_beginning() -> None:
    long = (Line(at=AT, text="Once upon a time " * 200),)
    assert fits(long, EN) == 0
    post = card(replace(AYSE, opening=long), EN)
    assert "Once upon a time" in seen(post) and "Continues in the thread" in seen(post)
    assert len(seen(post)) < 1_500


def test_an_edit_cannot_push_a_message_out_of_the_card() -> None:
    opening = (Line(at=AT, text="x" * 12_000, edited=True), Line(at=AT, text="the second one"))
    post = card(replace(AYSE, opening=opening, shown=2), EN)
    assert broken(post) == []
    assert "the second one" in seen(post)


def test_a_card_full_of_long_mails_has_room_for_its_warning_and_for_how_many_more_there_are() -> None:
    codes = ("cut",) * 12
    mail = Line(id="4", at=AT, text="x" * 4_000, hidden=True, edited=True, stub="mail", warnings=codes)
    view = replace(AYSE, opening=(mail,) * 11, shown=10, claims="ayse@example.com", looks_like="Ayşe")
    post = card(view, EN)
    assert broken(post) == []
    assert "more in the thread" in seen(post)


@slow
@given(hostile, some_lines, hostile, st.none() | st.integers(0, 20), voices)
def test_a_card_is_within_slacks_limits_whatever_a_customer_does(
    name: str, opening: list[Line], other: str, shown: int | None, say: Any
) -> None:
    view = replace(
        AYSE,
        customer=name,
        opening=tuple(opening),
        shown=shown,
        address=other,
        claims=other,
        looks_like=name,
        tags=(other, "a`b"),
        language=other[:20],
        agent=other,
        team=other,
        priority=other,
        state=other,
        due_at=AT,
        due_what="resolution",
        due_state="warned",
        reasons=(other, name),
        came_from=THERE,
        blocked=bool(name),
        ended=other,
        answers_by=other,
        closes_at=AT,
        closed=not shown,
    )
    assert broken(card(view, say)) == []
    assert broken(moved(view, THERE, say)) == []


THERE = Place(slack_channel="C0RETURNS1", url="https://kumbara.slack.com/archives/C0RETURNS1/p1768000000000100")


def test_the_card_says_what_was_promised_and_how_it_stands() -> None:
    view = replace(AYSE, due_at=AT, due_what="first_answer", due_state="running")
    due = "<!date^1767608400^{ago}|2026-01-05 10:20 UTC>"
    assert f"⏱ first answer due: {due}" in seen(card(view, EN))
    assert f"⚠️ first answer due: {due}" in seen(card(replace(view, due_state="warned"), EN))
    assert f"❌ first answer was due: {due}" in seen(card(replace(view, due_state="broken"), EN))
    for silent in (
        replace(view, due_state="paused"),
        replace(view, due_at=None),
        replace(view, state="resolved"),
        replace(view, due_what="world peace"),
    ):
        assert "first answer" not in seen(card(silent, EN))


def test_the_card_gives_the_reasons_of_triage_shortened_and_literally() -> None:
    reasons = ("urgent: says ‘chargeback’ <!channel>", "order-status: says ‘where’ " + "x" * 300)
    blocks = card(replace(AYSE, reasons=reasons), EN).blocks
    (why,) = (block["elements"][0] for block in blocks if "💡" in str(block))
    assert why["type"] == "plain_text" and why["text"].startswith("💡 urgent: says ‘chargeback’")
    assert len(why["text"]) < 250 and "<!channel>" not in why["text"]
    assert "💡" not in seen(card(replace(AYSE, reasons=(" ",)), EN))


def test_a_card_that_was_left_leads_on_and_has_nothing_to_press() -> None:
    post = moved(AYSE, THERE, EN)
    assert actions(post) == {} and THERE.url in str(post.blocks)
    assert "<#C0RETURNS1>" in post.text and f"<{THERE.url}|open the thread>" in post.text
    following = card(replace(AYSE, came_from=THERE), EN)
    assert THERE.url in seen(following) and "take" in actions(following)
    unknown = moved(AYSE, Place(slack_channel="C0RETURNS1"), EN)
    assert broken(unknown) == [] and "open the thread" in seen(unknown)


# posts of customer messages


def test_waiting_messages_share_one_post_under_the_customers_name() -> None:
    several = [
        Line(at=AT, sender="Ayşe", channel="telegram", text="Hello"),
        Line(at=AT + timedelta(seconds=20), sender="Ayşe", channel="telegram", text="Anybody there?"),
        Line(at=AT + timedelta(minutes=5), sender="Ayşe", channel="telegram", text="Please answer"),
    ]
    assert take_fitting(several, EN) == 3
    post = lines(several, EN)
    assert post.username == "Ayşe · Telegram"
    assert post.text == "Hello\nAnybody there?\nPlease answer"
    assert seen(post).count("<!date^") == 1  # only the pause is worth a clock time


def test_another_channel_or_name_begins_another_post() -> None:
    first = Line(at=AT, sender="Ayşe", channel="telegram", text="1")
    assert take_fitting([first, first, replace(first, channel="sms")], EN) == 2


def test_a_post_takes_at_least_one_message_however_long() -> None:
    long = Line(at=AT, text="x" * 100_000)
    assert take_fitting([long, long], EN) == 1
    post = lines([long], EN)
    assert broken(post) == [] and "kept in full" in seen(post)
    assert take_fitting([], EN) == 0


def test_files_quotes_forwards_and_what_cannot_be_shown_are_said() -> None:
    post = lines(
        [
            Line(
                at=AT,
                attached=(
                    Attached(name="receipt.pdf", size=1_400_000),
                    Attached(media_type="image/jpeg", state=FileState.SHOWN),
                ),
                quoted="your offer",
                forwarded_from="Bank",
                stub="poll",
                edited=True,
            )
        ],
        EN,
    )
    said = seen(post)
    for part in (
        "📎 receipt.pdf · 1.4 MB · arriving…",
        "📎 image/jpeg",
        "About: your offer",
        "Forwarded from Bank",
        "a poll",
        "edited",
    ):
        assert part in said
    assert "image/jpeg · " not in said


def test_a_mail_subject_stands_in_bold_above_the_text() -> None:
    elements = lines([Line(at=AT, subject="Order 17", text="Where?")], EN).blocks[0]["elements"][0]["elements"]
    assert elements[0] == {"type": "text", "text": "Order 17", "style": {"bold": True}}


@slow
@given(some_lines, voices)
def test_every_post_is_within_slacks_limits_and_every_message_gets_posted(waiting: list[Line], say: Any) -> None:
    left = list(waiting)
    while left:
        count = take_fitting(left, say)
        assert 1 <= count <= len(left)
        post = lines(left[:count], say)
        assert broken(post) == [] and len(post.username) <= 80
        del left[:count]


# notices

PROMISED = {
    "notice": "promise",
    "promise": "first_answer",
    "state": "warned",
    "due": AT.isoformat(),
    "allowance": "1h30m",
    "agent": "",
    "mention": ["U0MEHMET01", "S0GROUP001", "<!channel>"],
}


def ways_out(text: str) -> Out:
    """Everything a failure can offer, and more ways than stand beside each other."""
    ways = tuple(Way(place=f"c/{number}", label=text) for number in range(9))
    return Out(arrived=1, parts=3, again="d-1", template="17", message="4", ways=ways)


Build = Callable[[str, Any], Post]
NOTICES: dict[str, Build] = {
    "doubt": lambda text, say: notices.doubt("d-1", text, text, text, say),
    "parked": lambda text, say: alarms.parked(text, AT, 9, text, say),
    "ask_first": lambda text, say: notices.ask_first(text, text, text, "C1:1.2", say),
    "late_reply": lambda text, say: notices.late_reply("U0AGENT001", AT, text, text, text, "C1:1.2", say),
    "undo": lambda text, say: notices.undo(text, text, 5, "C1:1.2", say),
    "edited": lambda text, say: tidings.edited(text, text, (), say),
    "withdrawn": lambda text, say: tidings.withdrawn(text, AT, text, say),
    "blocked": lambda text, say: tidings.blocked(text, text, say),
    "unblocked": lambda text, say: tidings.unblocked(text, text, say),
    "opted out": lambda text, say: tidings.opted_out(text, text, Ended(word=text), say),
    "opted out for good": lambda text, say: tidings.opted_out(text, text, Ended(for_good=True), say),
    "erased": lambda text, say: tidings.erased(text, AT, say),
    "moved on": lambda text, say: tidings.moved_on(text, text, text, text, say),
    "moved onto": lambda text, say: tidings.moved_onto(text, text, text, text, text, THERE, say),
    "moved onto nowhere": lambda text, say: tidings.moved_onto(text, text, text, text, text, None, say),
    "closing": lambda text, say: tidings.closing(text, text, AT, text, say),
    "came after all": lambda text, say: notices.came_after_all(text, say, arrived=True),
    "came not": lambda text, say: notices.came_after_all(text, say, arrived=False),
    "sent another way": lambda text, say: notices.sent_another_way(text, text, say),
    "failure with ways out": lambda text, say: notices.failure(
        "window_closed", text, text, say, excerpt=text, out=ways_out(text)
    ),
    "failure by their own wish": lambda text, say: notices.failure(
        "opted_out", text, text, say, out=replace(ways_out(text), ended=Ended(word=text, for_good=True))
    ),
    "refuses_us": lambda text, say: alarms.refuses_us(text, "email", text, say),
    "undone": lambda _, say: notices.undone(say),
    "too_late": lambda _, say: notices.too_late(say),
    "settled": lambda text, say: notices.settled(text, say, arrived=True),
    "settled again": lambda text, say: notices.settled(text, say, arrived=False),
    "settled_before": lambda _, say: notices.settled_before(say),
    "confirmed": lambda text, say: notices.confirmed(text, say, sent=True),
    "confirmed note": lambda text, say: notices.confirmed(text, say, sent=False),
    "not_yours": lambda _, say: notices.not_yours(say),
    "taken": lambda text, say: notices.taken(text, say),
    "model": lambda text, say: alarms.model_unused(text, say),
    "files refused": lambda text, say: alarms.files_refused(f"{text}\n" * 20, say),
    "gone on": lambda _, say: notices.gone_on(THERE.slack_channel, THERE.url, say),
    "gone on somewhere": lambda _, say: notices.gone_on(THERE.slack_channel, "", say),
    **{
        f"promise.{state} {what}": lambda text, say, state=state, what=what: notices.promise(  # type: ignore[misc]
            {
                **PROMISED,
                "promise": what,
                "state": state,
                "allowance": text,
                "agent": text,
                "moved_to": text,
                "raised": text,
            },
            say,
        )
        for what in sorted(PROMISES)
        for state in ("warned", "broken")
    },
    "unchangeable": lambda text, say: notices.unchangeable(say, text),
    **{
        f"failure.{reason}": lambda text, say, reason=reason: notices.failure(  # type: ignore[misc]
            reason, text, text, say, code=text, detail=text, excerpt=text
        )
        for reason in [*sorted(notices.FAILURES), "never heard of"]
    },
    **{
        f"not_sent.{why}": lambda _, say, why=why: notices.not_sent(why, say)  # type: ignore[misc]
        for why in sorted(notices.NOT_SENT)
    },
    **{
        f"failure.{reason} by mail": lambda text, say, reason=reason: notices.failure(  # type: ignore[misc]
            reason, text, "email", say, code=text, detail=text, excerpt=text
        )
        for reason in [*sorted(notices.FAILURES), "never heard of"]
    },
    **{
        f"event.{what}": lambda text, say, what=what: tidings.machine(what, text, text, say)  # type: ignore[misc]
        for what in sorted(tidings.MACHINES)
    },
}


@pytest.mark.parametrize("name", NOTICES)
@settings(max_examples=15, deadline=None)
@given(text=hostile, say=voices)
def test_every_notice_is_within_slacks_limits_in_every_language(name: str, text: str, say: Any) -> None:
    assume(not ids([text]).who)  # a text that is an id of Slack's rings where ids are meant to
    assert broken(NOTICES[name](text, say)) == []


def test_before_a_target_breaks_it_rings_for_who_has_it_and_for_nobody_else() -> None:
    alone = notices.promise(PROMISED, EN)
    assert "1 hour 30 minutes" in seen(alone) and "Nobody has taken" in seen(alone)
    assert not re.search("<[@!]", ringing(alone))
    his = notices.promise({**PROMISED, "agent": "U0AGENT001"}, EN)
    assert ringing(his) == "<@U0AGENT001>"


def test_a_broken_target_rings_for_those_it_names_and_says_what_was_done() -> None:
    done = {**PROMISED, "state": "broken", "agent": "U0MEHMET01", "moved_to": "returns", "raised": "urgent"}
    post = notices.promise(done, EN)
    assert ringing(post) == "<@U0MEHMET01><!subteam^S0GROUP001>"
    assert "Priority raised: Urgent" in seen(post) and "returns" in seen(post)
    assert "<!channel>" not in post.text


def ringing(post: Post) -> str:
    return "".join(re.findall(r"<@[A-Z0-9]+>|<!subteam\^[A-Z0-9]+>", post.text))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2h", ["2 hours", "2 saat", "2 часа", "2 Stunden"]),
        ("2d", ["2 days", "2 gün", "2 дня", "2 Tage"]),
        ("36h", ["36 hours", "36 saat", "36 часов", "36 Stunden"]),
        ("1h30m", ["1 hour 30 minutes", "1 saat 30 dakika", "1 час 30 минут", "1 Stunde 30 Minuten"]),
        ("soon", ["soon"] * 4),
    ],
)
def test_a_target_is_said_in_words(written: str, said: list[str]) -> None:
    assert [notices.in_words(written, CATALOG.voice(lang)) for lang in ("en", "tr", "ru", "de")] == said


def test_a_doubt_offers_both_ways_out() -> None:
    post = notices.doubt("d-1", "Ayşe", "telegram", "On its way!", EN)
    assert actions(post) == {"delivery_arrived": "d-1", "delivery_again": "d-1"}
    assert "On its way!" in seen(post) and "Ayşe" in seen(post) and "Telegram" in post.text


def test_questions_offer_sending_or_a_note() -> None:
    for post in (
        notices.ask_first("Ayşe", "telegram", "hi", "C1:1.2", EN),
        notices.late_reply("Deniz", AT, "Ayşe", "telegram", "hi", "C1:1.2", EN),
    ):
        assert actions(post) == {"reply_send": "C1:1.2", "reply_note": "C1:1.2"}
    assert actions(notices.undo("Ayşe", "telegram", 5, "C1:1.2", EN)) == {"undo_send": "C1:1.2"}


def test_a_settled_question_says_who_decided_and_offers_nothing_more() -> None:
    said = {
        "Deniz: it arrived": notices.settled("Deniz", EN, arrived=True),
        "Deniz had it sent again": notices.settled("Deniz", EN, arrived=False),
        "Deniz: sent to the customer": notices.confirmed("Deniz", EN, sent=True),
        "Deniz: kept as a note": notices.confirmed("Deniz", EN, sent=False),
    }
    for words, post in said.items():
        assert words in seen(post) and actions(post) == {}
    assert "<@U0AGENT001>" in notices.settled("U0AGENT001", EN, arrived=True).text


def test_who_came_second_reads_whose_it_is_and_what_the_button_on_the_card_is_called() -> None:
    for say in (CATALOG.voice(lang) for lang in CATALOG.languages):
        post = notices.taken("Marta", say)
        assert "Marta" in seen(post) and say("button.take_over") in seen(post)


def test_a_delivery_that_ended_in_any_way_is_explained_in_words_of_its_own() -> None:
    """Codes of failures as channels and planning name them."""
    refusals = (
        errors.Refused,
        errors.WindowClosed,
        errors.Unreachable,
        errors.Unwanted,
        errors.Misconfigured,
        errors.InDoubt,
    )
    planned = {"file_refused", "file_too_big", "file_lost", "no_address", "channel_gone"}
    assert {kind.code for kind in refusals} | planned <= notices.FAILURES
    told = {notices.failure(reason, "Ayşe", "telegram", EN).text for reason in notices.FAILURES}
    assert len(told) == len(notices.FAILURES)


@pytest.mark.parametrize(
    "secret",
    [
        "1234567890:" + "Ab-_" * 9,
        "xoxb-not-a-true-token",
        "xapp-1-not-a-true-token",
        "EAA" + "Zx" * 12,
        "0f" * 16,
        "hunter2",
    ],
)
def test_no_notice_carries_a_secret(secret: str) -> None:
    mentioned = {
        "hunter2": "imaps://user:hunter2@imap.example refused; Authorization: Bearer hunter2; password=hunter2",
    }
    error = mentioned.get(secret, f"GET https://api.telegram.org/file/bot{secret}/photo.jpg failed: {secret}")
    for post in (
        alarms.parked("media", AT, 9, error, EN),
        notices.failure("refused", "Ayşe", "telegram", EN, code="403", detail=error),
    ):
        assert secret not in json.dumps([post.text, post.blocks])
        assert "•••" in seen(post)


@slow
@given(hostile, voices)
def test_windows_are_within_slacks_limits(text: str, say: Any) -> None:
    assert limits.view(notices.note_modal("17", text, say)) == []
