"""What agents see of windows, opt-outs, echoes and unsent messages: cards, posts and notices as values."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from channels.channel import Capabilities
from channels.message import Address, Proof, Received, Status
from channels.registry import KINDS
from desk import forms, ways
from desk.blocks import Place, Post
from desk.cards import ICONS, lines
from desk.forms import Decided
from desk.notices import FAILURES, Way
from desk.offers import APPROVED, approved_asked, approved_choices, approved_for, approved_name
from desk.teams import Team
from desk.views import Facts, Views
from inbox.changes import Conversation, SetAddress, apply, arrived, changes_nothing, place_of
from inbox.store.places import Reached
from inbox.store.slack import Fate, Head, Said
from sandbox.slack.blocks import check_view
from templates.approved import Approved, ApprovedTemplate
from templates.catalog import Catalog
from templates.replies import Replies
from tests.desk.test_cards import AT, actions, broken, seen
from tests.desk.test_forms import submitted
from tests.desk.test_mail import HEAD, MAIL

CATALOG = Catalog.load("en")
EN = CATALOG.voice("en")
HOUR = timedelta(hours=1)
TEAM = Team(name="support", slack_channel="C1")
KIND = {"wa": "whatsapp", "text": "sms", "bot": "telegram", "mail": "email"}
CAN = {
    "wa": Capabilities(max_text=4096, reply_window=24 * HOUR, templates=True),
    "text": Capabilities(max_text=1600),
    "bot": Capabilities(max_text=4096),
    "mail": Capabilities(max_text=100_000),
}
VIEWS = Views(KIND, EN, CAN)
CONVERSATION = Conversation(id=17, customer_id=3, language="tr", channel="wa", address_id=5, waiting_since=AT)
ON_WHATSAPP = replace(
    HEAD,
    conversation=CONVERSATION,
    address_kind="phone",
    address="+905550001122",
    proof=Proof.CARRIER,
    channels=("wa", "bot"),
    heard_at=AT,
)
FATE = Fate(
    message_id=4,
    status=Status.FAILED,
    code="refused",
    told_since=False,
    parts=1,
    arrived=0,
    failed=1,
    resendable=1,
    by="",
    act="",
    value="",
    stop_word="",
    opted_out=False,
)
WAYS = (Way(place="bot/6", label="Telegram"), Way(place="mail/7", label="E-mail"))
voices = pytest.mark.parametrize("lang", CATALOG.languages)


def card(head: Head, now: datetime = AT) -> Post:
    return VIEWS.card(head, TEAM, (), 0, now=now)


def failure(code: str, fate: Fate | None = FATE, **facts: Any) -> Post:
    notice = {"notice": "failure", "channel": "wa", "code": code, "message": 4, "delivery": "d-1"}
    return VIEWS.notice(ON_WHATSAPP, notice, Facts(excerpt="On its way!", fate=fate, **facts))


def doubt(fate: Fate) -> Post:
    notice = {"notice": "doubt", "channel": "wa", "code": "in_doubt", "message": 4, "delivery": "d-1"}
    return VIEWS.notice(ON_WHATSAPP, notice, Facts(excerpt="On its way!", fate=fate))


def event(**body: Any) -> Post:
    said = replace(MAIL, direction="event", channel="wa", text="", subject="", body=body)
    return VIEWS.event(said, "Ayşe", "")


# the card


def test_the_card_counts_down_to_the_end_of_the_window_and_says_when_it_is_over() -> None:
    closes = int((AT + 24 * HOUR).timestamp())
    still = seen(card(ON_WHATSAPP))
    assert f"🕓 WhatsApp window closes: <!date^{closes}^" in still and "({ago})" in still
    over = seen(card(ON_WHATSAPP, AT + 25 * HOUR))
    assert f"🔒 WhatsApp window closed: <!date^{closes}^{{ago}}|" in over and "🕓" not in over


def test_the_card_says_nothing_of_windows_where_there_is_none_or_nobody_waits_for_one() -> None:
    free = replace(ON_WHATSAPP, conversation=replace(CONVERSATION, channel="bot"))
    assert "window" not in seen(card(free))
    resolved = replace(CONVERSATION, state=type(CONVERSATION.state)("resolved"))
    assert "window" not in seen(card(replace(ON_WHATSAPP, conversation=resolved)))


def test_the_card_says_by_what_answers_go_when_an_agent_chose_another_way() -> None:
    assert "answers go by" not in seen(card(ON_WHATSAPP))
    chosen = replace(ON_WHATSAPP, conversation=replace(CONVERSATION, channel="mail", address_id=7))
    assert "answers go by E-mail" in seen(card(chosen))


@pytest.mark.parametrize(
    ("cut_off", "word", "for_good", "told"),
    [
        ("opted_out", "DUR", True, "wrote “DUR”"),
        ("opted_out", "СТОП", False, "wrote “СТОП”"),
        ("opted_out", "", True, "asked for no more messages"),
        ("unreachable", "", False, "has blocked us"),
    ],
)
def test_the_card_tells_who_blocked_us_from_who_asked_for_no_more(
    cut_off: str, word: str, for_good: bool, told: str
) -> None:
    assert told in seen(card(replace(ON_WHATSAPP, cut_off=cut_off, stop_word=word, opted_out=for_good)))


# stop


def test_an_opt_out_names_the_word_the_channel_and_what_brings_them_back() -> None:
    lasting = event(event="opted_out", detail="wrote DUR", word="DUR", lasting=True)
    assert "“DUR”" in lasting.text and "WhatsApp" in lasting.text and "START" in lasting.text
    passing = event(event="opted_out", detail="СТОП", word="СТОП")
    assert "“СТОП”" in passing.text and "START" not in passing.text
    unheard = event(event="opted_out", detail="", lasting=True)
    assert "asked for no more" in unheard.text and "START" in unheard.text
    assert "blocked" in event(event="opted_out", detail="blocked the bot").text


def test_a_failure_that_the_customer_wished_for_says_so() -> None:
    ended = replace(FATE, code="opted_out", stop_word="DUR", opted_out=True)
    post = failure("opted_out", ended, ways=WAYS)
    assert "“DUR”" in post.text and "START" in post.text and "blocked" not in post.text
    assert actions(post) == {"answer_by_0": "4:bot/6", "answer_by_1": "4:mail/7"}
    assert "blocked" in failure("unreachable").text


# what can be done about a failure


def test_a_closed_window_offers_a_template_and_every_other_way() -> None:
    post = failure("window_closed", ways=WAYS, templates=True)
    assert broken(post) == []
    assert actions(post) == {"template": "17", "answer_by_0": "4:bot/6", "answer_by_1": "4:mail/7"}
    assert "Answer by Telegram" in seen(post) and "Answer by E-mail" in seen(post)
    assert actions(failure("window_closed")) == {}


def test_of_a_reply_in_parts_it_is_said_how_many_got_through_and_the_rest_can_be_sent_again() -> None:
    post = failure("refused", replace(FATE, parts=3, arrived=2))
    assert "2 of 3" in seen(post) and actions(post) == {"delivery_again": "d-1"}
    assert "Send the rest again" in seen(post)
    alone = failure("refused")
    assert "1 of 1" not in seen(alone) and actions(alone) == {}
    lost = failure("file_too_big", replace(FATE, parts=2, arrived=1, resendable=0))
    assert "1 of 2" in seen(lost) and actions(lost) == {}


@voices
def test_every_failure_with_all_its_ways_out_is_within_slacks_limits(lang: str) -> None:
    views = Views(KIND, CATALOG.voice(lang), CAN)
    for code in FAILURES:
        notice = {"notice": "failure", "channel": "wa", "code": code, "message": 4, "delivery": "d-1"}
        many = tuple(Way(place=f"mail/{number}", label=f"{'x' * 90} {number}") for number in range(9))
        facts = Facts(excerpt="…", fate=replace(FATE, parts=3), ways=many, templates=True)
        assert broken(views.notice(ON_WHATSAPP, notice, facts)) == []


def test_a_notice_becomes_what_came_of_it_and_loses_its_buttons() -> None:
    open_doubt = replace(FATE, status=Status.IN_DOUBT)
    assert set(actions(doubt(open_doubt))) == {"delivery_arrived", "delivery_again"}
    by: dict[str, Any] = {"by": "U0AGENT001"}
    became = {
        "has confirmed it": doubt(replace(FATE, status=Status.DELIVERED)),
        "did not arrive": doubt(FATE),
        "it arrived": doubt(replace(FATE, status=Status.SENT, act="settle_doubt", value="arrived", **by)),
        "sent again": doubt(replace(open_doubt, told_since=True, act="settle_doubt", value="again", **by)),
        "had it sent again": failure("refused", replace(FATE, status=Status.QUEUED, act="send_again", **by)),
        "another way: Telegram": failure(
            "window_closed", replace(FATE, code="sent_elsewhere", act="answer_elsewhere", value="bot/6", **by)
        ),
    }
    for words, post in became.items():
        assert words in seen(post) and actions(post) == {}
        assert broken(post) == []


def test_a_notice_about_what_was_planned_anew_stays_as_it_was() -> None:
    assert "On its way!" in seen(failure("refused", None)) and actions(failure("refused", None)) == {}


# ways


def reached(channel: str, address: int, value: str, *, silenced: bool = False, ago: timedelta = HOUR) -> Reached:
    return Reached(channel=channel, address_id=address, kind="k", value=value, silenced=silenced, heard_at=AT - ago)


def test_only_ways_that_are_open_now_are_offered_and_equal_ones_are_told_apart() -> None:
    found = [
        reached("wa", 5, "+90"),
        reached("bot", 6, "4711", silenced=True),
        reached("mail", 7, "a@x.example"),
        reached("mail", 8, "b@x.example"),
        reached("gone", 9, "?"),
    ]
    usable = ways.usable(found, "wa/5", CAN, AT)
    assert [way.place for way in usable] == ["mail/7", "mail/8"]
    assert [way.label for way in ways.named(usable, VIEWS.channel_word)] == [
        "E-mail · a@x.example",
        "E-mail · b@x.example",
    ]
    assert ways.usable([reached("wa", 5, "+90", ago=25 * HOUR)], "", CAN, AT) == []


def test_where_answers_go_is_chosen_and_holds_until_the_customer_writes() -> None:
    now = Decided(priority="normal", team="support", language="tr", place="wa/5")
    here = (Way(place="wa/5", label="WhatsApp"), WAYS[0])
    view = forms.more("17", "Ayşe", now, EN, tags=[], teams=["support"], languages=["tr"], ways=here)
    check_view(view)
    assert forms.wanted(submitted(view))[0] == []
    assert forms.wanted(submitted(view, {"place": "bot/6"}))[0] == [SetAddress(place="bot/6")]
    alone = forms.more("17", "Ayşe", now, EN, tags=[], teams=["support"], languages=["tr"], ways=here[:1])
    assert "place" not in {block.get("block_id") for block in alone["blocks"]}

    moved = apply(CONVERSATION, [SetAddress(place="bot/6")], AT)
    assert (moved.channel, moved.address_id) == ("bot", 6) and place_of("bot", 6) == "bot/6"
    assert changes_nothing(moved, SetAddress(place="bot/6"))
    written = Received(channel="wa", external_id="1", sender=Address(kind="phone", value="+90"), sent_at=AT)
    back = arrived(moved, written, 5)
    assert (back.channel, back.address_id) == ("wa", 5)


# approved templates

ORDER = ApprovedTemplate(
    channel="wa",
    name="order_update",
    language="tr",
    category="utility",
    body="Merhaba {{1}}, {{2}} yolda.",
    variables=("customer", "order"),
    reply="order-status",
)
HELLO = replace(ORDER, name="hello", language="en_US", body="Hello there", variables=(), reply="")


def test_what_is_approved_for_a_channel_comes_in_the_customers_language_first() -> None:
    approved = Approved(templates=(HELLO, ORDER, replace(ORDER, channel="other")), first="en")
    assert approved_for(approved, "wa", "tr") == [ORDER, HELLO]
    assert approved_for(approved, "wa", "en-GB") == [HELLO, ORDER]
    replies = Replies.load(["en"], shop="Kumbara")
    choices = approved_choices([ORDER, replace(HELLO, name="x" * 512)], replies, "en")
    assert [title.rpartition(" · ")[2] for _, title in choices] == ["tr", "en_US"]
    assert choices[0][1] != "order_update · tr"  # the title of the reply it stands for
    assert all(name.startswith(APPROVED) and len(name) <= 150 for name, _ in choices)
    assert approved_name(ORDER) != approved_name(replace(ORDER, language="en"))
    assert approved_asked(ORDER, {"customer": "Ayşe"}) == {"order": True}
    assert approved_asked(ORDER, {}) == {"customer": True, "order": True}


def test_an_approved_text_is_shown_and_cannot_be_changed() -> None:
    choices = [(approved_name(ORDER), "Order status · tr")]
    about = forms.Offered(
        conversation="17", customer="Ayşe", channel="whatsapp", language="tr", choices=choices, closed=True
    )
    asks, text = {"order": True}, "Merhaba Ayşe, TR-1 yolda."
    filling = forms.Filling(
        name=choices[0][0], language="tr", text=text, asks=asks, given={"order": "TR-1"}, fixed=True
    )
    view = forms.template(about, EN, filling)
    check_view(view)
    assert text in str(view) and forms.filled(submitted(view)).text is None
    assert "no free answers" in str(view) and view["submit"]["text"] == "Send"
    bare = forms.template(replace(about, choices=[]), EN)
    check_view(bare)
    assert "no approved template" in str(bare) and "submit" not in bare


# said elsewhere, taken back, of a new kind


def test_an_answer_given_elsewhere_is_no_word_of_the_customers() -> None:
    said = replace(MAIL, direction="out", channel="wa", author_name="", subject="", text="Tomorrow")
    post = VIEWS.aside(replace(said, body={"elsewhere": "WhatsApp Business"}))
    assert post.text.startswith("📱 Answered elsewhere, in WhatsApp Business:") and "Tomorrow" in seen(post)
    assert post.username == "The shop · WhatsApp" and actions(post) == {}
    stub = VIEWS.aside(replace(said, text="", body={"elsewhere": "?", "stub": "poll"}))
    assert "not from this thread" in stub.text and "a poll" in seen(stub)


def test_what_has_to_be_forgotten_shows_nothing_of_it() -> None:
    said = replace(MAIL, channel="wa", text="", subject="", body={"erased": True}, withdrawn_at=AT)
    line = VIEWS.line(said)
    post = lines([line, replace(line, erased=False, text="Still here")], EN)
    assert "asks us to forget it" in seen(post) and "Still here" in seen(post)
    assert "(an empty message)" not in seen(post)
    assert "gone here too" in event(event="withdrawn", detail="1", erased=True).text
    assert "We keep it" in event(event="withdrawn", detail="1").text
    edited = VIEWS.notice(ON_WHATSAPP, {"notice": "edited", "message": 4}, Facts(excerpt="", erased=True))
    assert "forget it" in edited.text


@pytest.mark.parametrize(
    "kind",
    [
        "unsupported",
        "encrypted",
        "ephemeral",
        "story_mention",
        "story_reply",
        "share",
        "order",
        "poll",
        "template",
        "referral",
        "edit",
        "revoke",
        "empty",
    ],
)
def test_what_cannot_be_shown_is_named_in_every_language_and_what_is_new_by_its_own_name(kind: str) -> None:
    names = {CATALOG.word("stub", kind, lang) for lang in CATALOG.languages}
    assert kind not in names and len(names) >= len(CATALOG.languages) - 1
    said: Said = replace(MAIL, text="", subject="", body={"stub": "hologram"})
    assert "hologram" in seen(lines([VIEWS.line(said)], EN))


def test_every_kind_of_channel_has_a_word_in_every_language_and_an_icon() -> None:
    for kind in {*KINDS, "x", "form"}:
        assert ICONS[kind]
        assert all(CATALOG.word("channel", kind, lang) != kind for lang in CATALOG.languages)
    assert lines([VIEWS.line(replace(MAIL, channel="wa"))], EN).icon == ICONS["whatsapp"]


# numbers


def test_a_number_that_is_somebody_else_s_leads_to_them_and_joins_nobody() -> None:
    notice = {"notice": "moved_onto", "channel": "wa", "old": "+90555", "detail": "+90777", "kind": "phone"}
    there = Place(slack_channel="C1", url="https://kumbara.slack.com/archives/C1/p1")
    post = VIEWS.notice(ON_WHATSAPP, notice, Facts(other="Deniz", thread=there))
    assert broken(post) == [] and actions(post) == {}
    for words in ("+90555", "+90777", "Deniz", there.url, "Nobody was joined"):
        assert words in post.text
    post = VIEWS.notice(ON_WHATSAPP, {**notice, "notice": "moved_on"})
    assert "+90777" in post.text and "same customer" in post.text


def test_before_a_window_closes_it_rings_for_who_has_the_conversation() -> None:
    notice = {"notice": "closing", "channel": "wa", "closes": AT.isoformat(), "agent": "U0AGENT001"}
    post = VIEWS.notice(ON_WHATSAPP, notice)
    assert "<@U0AGENT001>" in post.text and "WhatsApp" in post.text and broken(post) == []
    assert "<@" not in VIEWS.notice(ON_WHATSAPP, {**notice, "agent": ""}).text
