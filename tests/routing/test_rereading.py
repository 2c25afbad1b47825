"""A conversation decided once more: only words and rules decide anew, everything else stays as it happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from channels.message import Address, Proof, Received
from inbox.changes import (
    AddTag,
    Assign,
    Conversation,
    Decision,
    Facts,
    Priority,
    SetPriority,
    SetState,
    SetTeam,
    State,
)
from routing.rereading import DECIDED, Difference, Past, Rereading

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
AYSE = "U0AYSE0001"


def decide(facts: Facts) -> Decision:
    """Whoever says "court" goes to the founders; a new matter begins as normal."""
    changes: list[Any] = [SetPriority(priority=Priority.NORMAL)] if facts.fresh else []
    if "court" in facts.message.text:
        changes += [SetTeam(team="founders"), AddTag(tag="legal"), SetPriority(priority=Priority.URGENT)]
    return Decision(changes=tuple(changes), because="says court" if "court" in facts.message.text else "")


def now(**values: Any) -> Conversation:
    return Conversation(**{"id": 7, "customer_id": 1, **values})


def past(minutes: float, change: Any, by: str = DECIDED, because: str = "") -> Past:
    return Past(at=AT + minutes * MINUTE, by=by, change=change, because=because)


def reread(stands: Conversation, told: list[Past], *said: tuple[int, str | None], first: int = 1) -> Difference | None:
    """`said` are minutes and words; None is an answer."""
    found = Rereading(stands, told, decide)
    for number, (minutes, text) in enumerate(said, first):
        at = AT + minutes * MINUTE
        if text is None:
            found.answered(at)
            continue
        message = Received(
            channel="bot",
            external_id=str(number),
            sender=Address(kind="telegram", value="1"),
            sent_at=at,
            text=text,
        )
        found.received(message, position=number, at=at, proof=Proof.PLATFORM)
    return found.difference()


def test_what_would_be_decided_otherwise_is_shown_by_the_words_that_decide_it() -> None:
    found = reread(
        now(team="support"), [past(0, SetTeam(team="support"))], (0, "hello"), (5, "see you in\ncourt"), (9, "well?")
    )
    assert found == Difference(
        conversation_id=7,
        at=AT + 5 * MINUTE,
        words="see you in court",
        now=("normal", "team support", "no legal"),
        then=("urgent", "team founders", "legal"),
        because="says court",
    )


def test_what_stands_so_already_is_no_difference() -> None:
    stands = now(team="founders", tags=frozenset({"legal"}), priority=Priority.URGENT)
    assert reread(stands, [], (0, "court")) is None
    assert Rereading(stands, [], decide).difference() is None


def test_what_people_and_the_model_did_stays_as_it_happened() -> None:
    stands = now(team="warehouse", tags=frozenset({"legal", "damaged"}), priority=Priority.HIGH, agent=AYSE)
    told = [
        past(1, AddTag(tag="damaged"), by="model"),
        past(2, SetPriority(priority=Priority.HIGH), by=AYSE),
        past(2, SetTeam(team="warehouse"), by=AYSE),
        past(3, Assign(agent=AYSE), by="santral"),
    ]
    assert reread(stands, told, (0, "court"), (4, "and?")) is None


def test_what_was_decided_then_and_is_not_any_more_is_shown_with_its_reason() -> None:
    stands = now(team="support", tags=frozenset({"vip"}))
    told = [past(-0.01, AddTag(tag="vip"), because="rule ‘Key customers’"), past(-0.01, SetTeam(team="support"))]
    found = reread(stands, [*told, past(3, SetTeam(team="support"), by=AYSE)], (0, "hello"), (9, "there?"))
    assert found is not None
    assert (found.words, found.now, found.then) == ("hello", ("vip",), ("no vip",))
    assert found.because == "no longer: rule ‘Key customers’"


def test_only_reasons_that_hold_no_longer_are_told() -> None:
    stands = now(team="support", tags=frozenset({"vip"}), priority=Priority.URGENT)
    because = "says court; rule ‘Key customers’"
    found = reread(
        stands,
        [past(-0.01, SetTeam(team="founders"), because=because), past(-0.01, AddTag(tag="vip"), because=because)],
        (0, "court"),
    )
    assert found is not None
    assert found.because == "says court; no longer: rule ‘Key customers’"


def test_a_conversation_begins_as_it_stood_before_the_first_message_that_is_read() -> None:
    stands = now(team="support", tags=frozenset({"vip"}), priority=Priority.HIGH)
    told = [
        past(-90, SetTeam(team="support")),
        past(-90, SetPriority(priority=Priority.HIGH)),
        past(-80, AddTag(tag="vip"), by=AYSE),
    ]
    assert reread(stands, told, (0, "hello"), first=5) is None


def test_what_comes_after_a_matter_was_resolved_is_a_new_one() -> None:
    told = [past(-90, SetPriority(priority=Priority.HIGH)), past(-60, SetState(state=State.RESOLVED), by=AYSE)]
    found = reread(now(priority=Priority.HIGH), told, (0, "hello"), (1, None), first=5)
    assert found is not None
    assert (found.now, found.then) == (("high",), ("normal",))
