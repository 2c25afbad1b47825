"""What an arrival changes before anybody sees it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from channels.message import Address, Proof, Received
from inbox.changes import Conversation, Facts, SetLanguage, SetTeam
from routing.triage import triage

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SENDER = Address(kind="telegram", value="1")
DECIDE = triage(["tr", "ru", "en"], "support", frozenset({"support", "returns"}))


def facts(text: str = "Где мой заказ?", *, language: str = "", conversation: Conversation | None = None) -> Facts:
    message = Received(channel="bot", external_id="1", sender=SENDER, sent_at=NOW, text=text, language=language)
    found = conversation or Conversation(id=1, customer_id=1)
    return Facts(conversation=found, message=message, known=False, address=SENDER, proof=Proof.PLATFORM, now=NOW)


def test_a_newcomer_gets_a_language_and_a_team_and_the_reasons_are_said() -> None:
    decision = DECIDE(facts())
    assert decision.changes == (SetLanguage(language="ru"), SetTeam(team="support"))
    assert decision.because == "writes ru; the default team"


def test_what_is_settled_stays() -> None:
    settled = Conversation(id=1, customer_id=1, language="tr", team="returns")
    assert DECIDE(facts("Where is my order?", conversation=settled)).changes == ()


def test_a_picture_without_words_waits_for_words_unless_the_phone_tells() -> None:
    assert DECIDE(facts("")).changes == (SetTeam(team="support"),)
    assert SetLanguage(language="en") in DECIDE(facts("", language="en")).changes


def test_a_conversation_of_a_team_that_is_gone_goes_to_the_default_one() -> None:
    orphan = Conversation(id=1, customer_id=1, language="tr", team="closed-down")
    assert DECIDE(facts(conversation=orphan)).changes == (SetTeam(team="support"),)


def test_deciding_twice_about_the_same_facts_says_the_same() -> None:
    given = facts()
    assert DECIDE(given) == DECIDE(replace(given))
