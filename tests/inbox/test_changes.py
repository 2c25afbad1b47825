"""What changes and arrivals do to a conversation. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from channels.message import Address, Received
from inbox.changes import (
    AddTag,
    Assign,
    Change,
    Conversation,
    Priority,
    RemoveTag,
    SetLanguage,
    SetPriority,
    SetState,
    SetTeam,
    State,
    answered,
    apply,
    arrived,
    as_json,
)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=3)
OPEN = Conversation(id=1, customer_id=1, waiting_since=EARLIER, last_in_at=EARLIER, channel="bot", address_id=7)

names = st.text(max_size=8)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(SetLanguage, language=names),
    st.builds(SetTeam, team=names),
    st.builds(SetPriority, priority=st.sampled_from(Priority)),
    st.builds(SetState, state=st.sampled_from(State)),
    st.builds(Assign, agent=names),
    st.builds(AddTag, tag=names),
    st.builds(RemoveTag, tag=names),
)


def said(at: datetime = NOW, *, automatic: bool = False, channel: str = "bot") -> Received:
    sender = Address(kind="telegram", value="1")
    return Received(channel=channel, external_id="1", sender=sender, sent_at=at, text="hi", automatic=automatic)


@given(st.lists(CHANGES, max_size=8))
def test_making_the_same_changes_again_changes_nothing(changes: list[Change]) -> None:
    once = apply(OPEN, changes, NOW)
    for change in changes[-1:]:
        assert apply(once, [change], NOW) == once


@given(st.lists(CHANGES, max_size=8))
def test_nobody_waits_in_a_resolved_conversation(changes: list[Change]) -> None:
    after = apply(OPEN, changes, NOW)
    assert (after.state is State.RESOLVED) == (after.resolved_at is not None)
    if after.state is State.RESOLVED:
        assert after.waiting_since is None


@given(CHANGES)
def test_every_change_can_be_stored_by_a_name_of_its_own(change: Change) -> None:
    stored = as_json(change)
    assert set(stored) == {"change", "value"}
    assert stored["value"] == getattr(change, change.__slots__[0])


def test_resolving_ends_the_wait_and_reopening_begins_it_anew() -> None:
    resolved = apply(OPEN, [SetState(state=State.RESOLVED)], NOW)
    assert (resolved.waiting_since, resolved.resolved_at) == (None, NOW)
    reopened = apply(resolved, [SetState(state=State.OPEN)], NOW + timedelta(hours=1))
    assert (reopened.waiting_since, reopened.resolved_at) == (NOW + timedelta(hours=1), None)


def test_a_message_reopens_what_was_resolved() -> None:
    resolved = apply(OPEN, [SetState(state=State.RESOLVED)], EARLIER)
    after = arrived(resolved, said(), 8)
    assert (after.state, after.resolved_at, after.waiting_since) == (State.OPEN, None, NOW)
    assert (after.address_id, after.last_position) == (8, 1)


def test_the_wait_counts_from_the_first_unanswered_message() -> None:
    assert arrived(OPEN, said(), 7).waiting_since == EARLIER


def test_a_machine_reopens_nothing_and_is_not_where_to_answer() -> None:
    resolved = apply(OPEN, [SetState(state=State.RESOLVED)], EARLIER)
    after = arrived(resolved, said(automatic=True, channel="mail"), 9)
    assert (after.state, after.waiting_since, after.address_id, after.channel) == (State.RESOLVED, None, 7, "bot")
    assert after.last_position == 1


def test_a_late_message_does_not_turn_the_clock_back() -> None:
    after = arrived(arrived(OPEN, said(NOW), 7), said(EARLIER - timedelta(days=1)), 7)
    assert after.last_in_at == NOW


def test_an_answer_ends_the_wait_and_it_is_the_customers_turn() -> None:
    after = answered(OPEN, NOW)
    assert (after.state, after.waiting_since, after.last_out_at) == (State.WAITING, None, NOW)
    snoozed = apply(OPEN, [SetState(state=State.SNOOZED)], NOW)
    assert answered(snoozed, NOW).state is State.SNOOZED
