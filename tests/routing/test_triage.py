"""What an arrival changes before anybody sees it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from channels.message import Address, Proof, Received
from inbox.changes import (
    AddTag,
    Conversation,
    Decision,
    Facts,
    Priority,
    RemoveTag,
    SetLanguage,
    SetPriority,
    SetTeam,
    State,
    WishLanguage,
    apply,
)
from routing.acknowledge import Limits
from routing.hours import Hours
from routing.phrases import Phrases
from routing.policy import Live, Policy, TeamPolicy
from routing.rules import Known, Rules
from routing.triage import decided, triage
from templates.approved import Approved
from templates.replies import Replies

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
SENDER = Address(kind="telegram", value="1")
ISTANBUL = ZoneInfo("Europe/Istanbul")
LANGUAGES = ("tr", "ru", "en")
HOURS = Hours.parse("Mo-Fr 09:00-18:00", zone=ISTANBUL, country="TR")
KNOWN = Known(
    tags=frozenset({"order-status", "return", "legal", "spam"}),
    teams=("support", "returns", "moscow"),
    channels={"bot": "telegram"},
    languages=LANGUAGES,
    agents=None,
)


def policy(rules: str = "", **more: Any) -> Policy:
    found = Policy(
        shop="Kumbara",
        languages=LANGUAGES,
        zone=ISTANBUL,
        teams={
            "support": TeamPolicy(name="support", hours=HOURS),
            "returns": TeamPolicy(name="returns", tags=frozenset({"return"})),
            "moscow": TeamPolicy(name="moscow", languages=frozenset({"ru"})),
        },
        phrases=Phrases.load(LANGUAGES),
        rules=Rules.parse(rules, file="rules.toml", known=KNOWN),
        replies=Replies.load(LANGUAGES, shop="Kumbara"),
        approved=Approved(),
        kinds={"bot": "telegram"},
    )
    return replace(found, **more)


POLICY = policy()


def facts(
    text: str = "Где мой заказ?",
    *,
    at: datetime = NOW,
    fresh: bool | None = None,
    conversation: Conversation | None = None,
    **more: Any,
) -> Facts:
    message = Received(channel="bot", external_id="1", sender=SENDER, sent_at=at, text=text, **more)
    found = conversation or Conversation(id=1, customer_id=1)
    return Facts(
        conversation=found,
        message=message,
        known=conversation is not None,
        address=SENDER,
        proof=Proof.PLATFORM,
        now=at,
        fresh=conversation is None if fresh is None else fresh,
    )


def after(given: Facts, decision: Decision) -> Conversation:
    return apply(given.conversation, decision.changes, given.now)


def kinds(decision: Decision) -> list[str]:
    return [put.kind for put in decision.puts]


def test_a_newcomer_gets_a_language_tags_a_team_and_the_reasons_are_said() -> None:
    decision = decided(facts(), POLICY)
    assert decision.changes == (SetLanguage(language="ru"), AddTag(tag="order-status"), SetTeam(team="moscow"))
    assert decision.because.startswith("order-status: ")
    assert "где мой" in decision.because.lower()
    assert decision.because.endswith("moscow answers ru")


def test_tags_count_before_languages_when_a_team_is_chosen() -> None:
    given = facts("Хочу вернуть товар, размер не подошёл")
    assert after(given, decided(given, POLICY)).team == "returns"


def test_a_threat_is_urgent_at_once() -> None:
    given = facts("Bankama harcama itirazı yapıyorum, avukatım sizinle görüşecek")
    found = after(given, decided(given, POLICY))
    assert found.priority is Priority.URGENT
    assert "legal" in found.tags


def test_within_a_matter_priority_is_never_lowered_and_tags_only_come_in_addition() -> None:
    running = Conversation(
        id=1, customer_id=1, language="tr", team="support", priority=Priority.URGENT, tags=frozenset({"legal"})
    )
    given = facts("Teşekkürler, çok memnun kaldım", conversation=running)
    found = after(given, decided(given, POLICY))
    assert found.priority is Priority.URGENT
    assert found.tags == {"legal", "praise"}


def test_a_new_matter_begins_without_the_old_ones_tags_but_with_the_shops_own() -> None:
    old = Conversation(
        id=1, customer_id=1, language="tr", team="returns", priority=Priority.URGENT, tags=frozenset({"return", "vip"})
    )
    given = facts("Kargom nerede?", conversation=old, fresh=True)
    decision = decided(given, POLICY)
    found = after(given, decision)
    assert (found.priority, found.tags, found.team) == (Priority.NORMAL, {"order-status", "vip"}, "support")
    assert RemoveTag(tag="return") in decision.changes
    assert SetPriority(priority=Priority.NORMAL) in decision.changes


def test_a_running_matter_stays_with_its_team() -> None:
    running = Conversation(id=1, customer_id=1, language="tr", team="moscow", agent="U1")
    given = facts("İade etmek istiyorum", conversation=running)
    assert after(given, decided(given, POLICY)).team == "moscow"


def test_a_picture_without_words_waits_for_words_unless_the_phone_tells() -> None:
    assert decided(facts(""), POLICY).changes == (SetTeam(team="support"),)
    assert SetLanguage(language="en") in decided(facts("", language="en"), POLICY).changes


def test_a_language_asked_for_stays_whatever_is_written_later() -> None:
    given = facts("English please", conversation=Conversation(id=1, customer_id=1, language="tr", team="support"))
    decision = decided(given, POLICY)
    assert WishLanguage(language="en") in decision.changes
    later = facts("Kargom nerede kaldı acaba?", conversation=after(given, decision))
    assert after(later, decided(later, POLICY)).language == "en"


def test_a_conversation_of_a_team_that_is_gone_goes_to_one_that_is_there() -> None:
    orphan = Conversation(id=1, customer_id=1, language="tr", team="closed-down")
    given = facts("Merhaba", conversation=orphan)
    assert after(given, decided(given, POLICY)).team == "support"


def test_machines_change_nothing_but_the_team_they_need() -> None:
    given = facts("Son uyarı: ödemenizi hemen yapın, avukat, mahkeme", automatic=True)
    decision = decided(given, POLICY)
    found = after(given, decision)
    assert (found.priority, found.tags) == (Priority.NORMAL, frozenset())
    assert decision.puts == ()


def test_a_rule_decides_last_and_sees_what_the_words_told() -> None:
    rules = """
    [[rules]]
    name = "Returns to the second team, and quickly"
    when = { tags = ["return"] }
    then = { team = "moscow", raise_to = "high" }
    """
    given = facts("İade etmek istiyorum")
    decision = decided(given, policy(rules))
    found = after(given, decision)
    assert (found.team, found.priority) == ("moscow", Priority.HIGH)
    assert "Returns to the second team, and quickly" in decision.because


def test_who_writes_outside_support_hours_is_to_be_told_so() -> None:
    night = NOW.replace(hour=20)
    assert kinds(decided(facts("Kargom nerede?", at=night), POLICY)) == ["acknowledge", "understand"]
    assert kinds(decided(facts("Kargom nerede?"), POLICY)) == ["understand"]


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        ({"automatic": True}, {}),
        ({"quiet": True}, {}),
        ({}, {"acknowledges": False}),
        ({"text": "Takipçi satın al! SEO hizmeti, backlink paketi"}, {}),
    ],
)
def test_whom_nobody_is_to_answer_by_themselves(more: dict[str, Any], changed: dict[str, Any]) -> None:
    given = facts(**{"text": "Kargom nerede?", **more}, at=NOW.replace(hour=20))
    assert "acknowledge" not in kinds(decided(given, replace(POLICY, **changed)))


def test_a_rule_may_say_that_nobody_is_told() -> None:
    rules = """
    [[rules]]
    name = "Quiet"
    when = { tags = ["order-status"] }
    then = { acknowledge = false }
    """
    assert "acknowledge" not in kinds(decided(facts("Kargom nerede?", at=NOW.replace(hour=20)), policy(rules)))


def test_within_hours_a_long_wait_is_looked_at_where_the_shop_wants_it() -> None:
    wants = replace(POLICY, limits=Limits(long_wait=timedelta(hours=2)))
    assert "acknowledge" in kinds(decided(facts("Kargom nerede?"), wants))


def test_deciding_twice_about_the_same_facts_says_the_same_and_nothing_more() -> None:
    given = facts()
    decision = decided(given, POLICY)
    assert decision == decided(replace(given), POLICY)
    again = replace(given, conversation=after(given, decision), fresh=False)
    assert decided(again, POLICY).changes == ()


def test_the_policy_in_force_decides() -> None:
    live = Live(POLICY)
    decide = triage(live)
    before = decide(facts("Merhaba"))
    live.replace(replace(POLICY, teams={"night": TeamPolicy(name="night")}))
    assert (before.changes[-1], decide(facts("Merhaba")).changes[-1]) == (
        SetTeam(team="support"),
        SetTeam(team="night"),
    )


def test_an_answered_question_that_is_asked_again_is_the_same_matter() -> None:
    running = Conversation(
        id=1, customer_id=1, language="tr", team="returns", state=State.OPEN, tags=frozenset({"return"})
    )
    given = facts("Kargom nerede?", conversation=running)
    found = after(given, decided(given, POLICY))
    assert (found.team, found.tags) == ("returns", {"return", "order-status"})


def test_who_was_taken_for_spam_and_has_a_matter_is_a_customer_after_all() -> None:
    taken = Conversation(
        id=1, customer_id=1, language="tr", team="support", priority=Priority.LOW, tags=frozenset({"spam"})
    )
    given = facts("Pardon, kargom nerede kaldı, 3 haftadır bekliyorum?", conversation=taken, at=NOW.replace(hour=20))
    decision = decided(given, POLICY)
    found = after(given, decision)
    assert "spam" not in found.tags
    assert found.priority <= Priority.NORMAL
    assert "acknowledge" in kinds(decision)


@pytest.mark.parametrize("command", ["/start", "/help@kumbara_bot"])
def test_a_button_of_the_app_asks_nothing_and_is_told_nothing(command: str) -> None:
    assert kinds(decided(facts(command, at=NOW.replace(hour=20)), POLICY)) == []


def test_a_button_of_the_app_is_in_the_language_of_the_app_and_changes_none() -> None:
    assert SetLanguage(language="ru") in decided(facts("/start", language="ru"), POLICY).changes
    given = facts("/help", language="en", conversation=Conversation(id=1, customer_id=1, language="tr", team="support"))
    assert after(given, decided(given, POLICY)).language == "tr"


def test_a_language_asked_for_gives_way_to_another_that_is_asked_for() -> None:
    wished = Conversation(id=1, customer_id=1, language="en", wish="en", team="support")
    given = facts("Türkçe yazabilir misiniz artık", conversation=wished)
    found = after(given, decided(given, POLICY))
    assert (found.language, found.wish) == ("tr", "tr")


def test_goods_that_carry_a_languages_name_change_no_language() -> None:
    spoken = Conversation(id=1, customer_id=1, language="ru", team="moscow")
    given = facts("Можно турецкие серёжки в подарочной упаковке?", conversation=spoken)
    found = after(given, decided(given, POLICY))
    assert (found.language, found.wish) == ("ru", "")
