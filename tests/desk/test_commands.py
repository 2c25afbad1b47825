"""What an agent's message becomes. Each case is something that would otherwise reach a customer, or fail to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.message import Span, SpanKind
from desk.commands import (
    AskFirst,
    ChangeReply,
    Facts,
    Ignore,
    Note,
    Person,
    Refusal,
    Refuse,
    Replies,
    Send,
    Silence,
    SlackFile,
    WithdrawReply,
    author,
    decide,
    refused,
)

DENIZ = Person(id="U0DENIZ01")
SENDING = Facts(person=DENIZ, workspaces=frozenset({"T0SHOP001"}))
NOTING = replace(SENDING, replies=Replies.NOTE)
HELLO: dict[str, Any] = {
    "type": "message",
    "channel": "C0SUPPORT",
    "user": "U0DENIZ01",
    "team": "T0SHOP001",
    "ts": "1712345678.000200",
    "thread_ts": "1712345600.000100",
    "text": "Hello &amp; welcome",
}
KEY = "C0SUPPORT:1712345678.000200"
PHOTO = {"id": "F1", "name": "box.jpg", "mimetype": "image/jpeg", "size": 9, "url_private_download": "https://files/F1"}


def changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "channel": "C0SUPPORT",
        "ts": "1712345699.000900",
        "message": new,
        "previous_message": old,
    }


def sent(**differences: Any) -> dict[str, Any]:
    return {**HELLO, **differences}


def test_plain_text_in_a_sending_team_goes_to_the_customer() -> None:
    assert decide(HELLO, SENDING) == Send(key=KEY, by="U0DENIZ01", text="Hello & welcome")


def test_plain_text_in_a_note_taking_team_stays_inside() -> None:
    assert decide(HELLO, NOTING) == Note(key=KEY, by="U0DENIZ01", text="Hello & welcome")


@pytest.mark.parametrize(
    "text", ["// call the courier", "//call the courier", "  // call the courier", "／／ call the courier"]
)
def test_a_double_slash_keeps_words_inside_in_every_team(text: str) -> None:
    for facts in (SENDING, NOTING, replace(SENDING, ask_first=True)):
        assert decide(sent(text=text), facts) == Note(key=KEY, by="U0DENIZ01", text="call the courier")


@pytest.mark.parametrize("text", ["-&gt; Hello", "→ Hello", "-&gt;Hello"])
def test_an_arrow_sends_from_a_note_taking_team(text: str) -> None:
    assert decide(sent(text=text), NOTING) == Send(key=KEY, by="U0DENIZ01", text="Hello")


def test_an_arrow_in_pasted_code_sends_nothing() -> None:
    assert isinstance(decide(sent(text="```-&gt; step 1```"), NOTING), Note)


def test_an_arrow_in_a_sending_team_is_just_an_arrow() -> None:
    command = decide(sent(text="→ then press OK"), SENDING)
    assert isinstance(command, Send) and command.text == "→ then press OK"


def test_formatting_moves_with_the_words_behind_a_prefix() -> None:
    command = decide(sent(text="// ask *Ayşe* first"), SENDING)
    assert command == Note(
        key=KEY, by="U0DENIZ01", text="ask Ayşe first", spans=(Span(kind=SpanKind.BOLD, start=4, end=8),)
    )


def test_a_file_without_words_goes_out_and_an_empty_message_does_not() -> None:
    command = decide(sent(subtype="file_share", text="", files=[PHOTO, {"no": "id"}]), SENDING)
    assert isinstance(command, Send)
    assert command.files == (
        SlackFile(id="F1", name="box.jpg", media_type="image/jpeg", size=9, url="https://files/F1"),
    )
    for text in ("", "   ", "//", "<!here>"):
        assert decide(sent(text=text), SENDING) == Ignore(reason=Silence.EMPTY)


def test_a_file_slack_no_longer_hands_out_is_known() -> None:
    command = decide(sent(subtype="file_share", files=[{**PHOTO, "mode": "tombstone"}]), SENDING)
    assert isinstance(command, Send) and command.files[0].lost


@pytest.mark.parametrize("subtype", ["file_share", "thread_broadcast", "me_message"])
def test_every_way_of_speaking_counts_once(subtype: str) -> None:
    assert isinstance(decide(sent(subtype=subtype), SENDING), Send)


@pytest.mark.parametrize(
    "differences",
    [
        {"subtype": "channel_join"},
        {"subtype": "bot_message"},
        {"subtype": "huddle_thread"},
        {"subtype": "something_slack_adds_next_year"},
        {"hidden": True},
        {"message": {"text": "nested: message_replied arrives without its subtype"}},
        {"type": "app_mention"},
        {"thread_ts": None},
        {"thread_ts": HELLO["ts"]},
        {"bot_id": "B1"},
        {"bot_profile": {"id": "B1"}},
        {"user": None},
        {"user": "USLACKBOT"},
    ],
)
def test_nothing_but_a_persons_own_reply_goes_out(differences: dict[str, Any]) -> None:
    assert isinstance(decide(sent(**differences), SENDING), Ignore)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(SENDING, person=replace(DENIZ, outsider=True)), Refusal.OUTSIDER),
        (replace(SENDING, person=replace(DENIZ, deleted=True)), Refusal.OUTSIDER),
        (replace(SENDING, person=None), Refusal.OUTSIDER),
        (replace(SENDING, workspaces=frozenset({"T0OTHER01"})), Refusal.OUTSIDER),
        (replace(SENDING, person=replace(DENIZ, outsider=True), members=frozenset({"U0DENIZ01"})), Refusal.OUTSIDER),
        (replace(SENDING, person=replace(DENIZ, guest=True)), Refusal.GUEST),
        (replace(SENDING, members=frozenset({"U0OTHER01"})), Refusal.NOT_MEMBER),
    ],
)
def test_who_may_not_answer_is_told_so(facts: Facts, reason: Refusal) -> None:
    assert decide(HELLO, facts) == Refuse(key=KEY, by="U0DENIZ01", reason=reason)


@pytest.mark.parametrize(
    ("person", "members", "reason"),
    [
        (DENIZ, set(), None),
        (DENIZ, {"U0DENIZ01"}, None),
        (DENIZ, {"U0OTHER01"}, Refusal.NOT_MEMBER),
        (replace(DENIZ, guest=True), set(), Refusal.GUEST),
        (replace(DENIZ, guest=True), {"U0OTHER01"}, Refusal.GUEST),
        (replace(DENIZ, guest=True), {"U0DENIZ01"}, None),
        (replace(DENIZ, outsider=True), {"U0DENIZ01"}, Refusal.OUTSIDER),
        (replace(DENIZ, deleted=True), {"U0DENIZ01"}, Refusal.OUTSIDER),
        (replace(DENIZ, bot=True), {"U0DENIZ01"}, Refusal.OUTSIDER),
        (None, {"U0DENIZ01"}, Refusal.OUTSIDER),
    ],
)
def test_a_button_is_for_whoever_may_answer(person: Person | None, members: set[str], reason: Refusal | None) -> None:
    assert refused(person, "U0DENIZ01", frozenset(members)) is reason


def test_bots_are_never_answered() -> None:
    assert decide(HELLO, replace(SENDING, person=replace(DENIZ, bot=True))) == Ignore(reason=Silence.BOT)


def test_members_may_answer_even_as_guests_and_colleagues_may_leave_notes() -> None:
    guest = replace(DENIZ, guest=True)
    assert isinstance(decide(HELLO, replace(SENDING, person=guest, members=frozenset({"U0DENIZ01"}))), Send)
    outside_the_team = replace(SENDING, person=guest, members=frozenset({"U0OTHER01"}))
    assert isinstance(decide(sent(text="// fyi"), outside_the_team), Note)
    stranger = replace(SENDING, person=replace(DENIZ, outsider=True))
    assert isinstance(decide(sent(text="// fyi"), stranger), Refuse)


def test_a_persons_first_reply_is_asked_about_once() -> None:
    asking = replace(SENDING, ask_first=True)
    assert decide(HELLO, asking) == AskFirst(key=KEY, by="U0DENIZ01", text="Hello & welcome")
    assert isinstance(decide(HELLO, replace(asking, answered_before=True)), Send)
    assert isinstance(decide(sent(text="→ hi"), replace(asking, replies=Replies.NOTE)), Send)


def test_asking_or_noting_is_never_mistaken_for_sending() -> None:
    assert not isinstance(decide(HELLO, replace(SENDING, ask_first=True)), Send)
    assert not isinstance(decide(HELLO, NOTING), Send)


# changes


def edit(text: str, ts: str = "1712345690.000000", **differences: Any) -> dict[str, Any]:
    return sent(text=text, edited={"user": "U0DENIZ01", "ts": ts}, **differences)


def test_an_edit_changes_the_reply() -> None:
    assert decide(changed(HELLO, edit("Hello *again*")), SENDING) == ChangeReply(
        key=KEY,
        ts="1712345678.000200",
        by="U0DENIZ01",
        text="Hello again",
        spans=(Span(kind=SpanKind.BOLD, start=6, end=11),),
        edited="1712345690.000000",
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (HELLO, sent(language={"locale": "tr-TR"})),  # language detection
        (HELLO, sent(attachments=[{"title": "preview"}])),  # link preview
        (HELLO, sent(reply_count=3)),
        (edit("Hello"), edit("Hello", attachments=[{"title": "preview"}])),  # a preview after an edit
        (edit("new", "1712345691.000000"), edit("old", "1712345690.000000")),  # out of order
        (HELLO, edit("Hello &amp; welcome")),
    ],
)
def test_what_slack_itself_changes_is_no_edit(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert decide(changed(old, new), SENDING) == Ignore(reason=Silence.UNCHANGED)


def test_two_edits_within_one_second_both_count() -> None:
    """Slack gives the moment of an edit in whole seconds."""
    command = decide(changed(edit("first"), edit("second")), replace(SENDING, edited="1712345690.000000"))
    assert isinstance(command, ChangeReply) and command.text == "second"


def test_an_edit_older_than_what_was_done_already_is_ignored() -> None:
    late = replace(SENDING, edited="1712345695.000000")
    assert decide(changed(HELLO, edit("older")), late) == Ignore(reason=Silence.UNCHANGED)


def test_turning_a_reply_into_a_note_is_said() -> None:
    command = decide(changed(HELLO, edit("// Hello")), SENDING)
    assert isinstance(command, ChangeReply) and command.note and command.text == "Hello"


def test_our_own_updates_of_cards_and_posts_are_ignored() -> None:
    ours = edit("Ayşe: hello", bot_id="B0SANTRAL", user=None)
    assert decide(changed(ours, {**ours, "text": "x"}), SENDING) == Ignore(reason=Silence.OURS)


def test_an_outsider_cannot_change_what_was_sent() -> None:
    facts = replace(SENDING, person=replace(DENIZ, outsider=True))
    assert isinstance(decide(changed(HELLO, edit("mine now")), facts), Refuse)


def test_deleting_a_reply_withdraws_it_but_deleting_our_post_does_nothing() -> None:
    event = {
        "type": "message",
        "subtype": "message_deleted",
        "hidden": True,
        "channel": "C0SUPPORT",
        "deleted_ts": HELLO["ts"],
        "previous_message": HELLO,
    }
    assert decide(event, SENDING) == WithdrawReply(key=KEY, ts="1712345678.000200")
    ours = {**event, "previous_message": {**HELLO, "bot_id": "B0SANTRAL"}}
    assert decide(ours, SENDING) == Ignore(reason=Silence.OURS)
    root = changed(HELLO, {"subtype": "tombstone", "ts": HELLO["ts"], "user": "USLACKBOT"})
    assert decide(root, SENDING) == Ignore(reason=Silence.NOT_SPOKEN)


def test_the_author_is_found_in_every_shape() -> None:
    assert author(HELLO) == author(changed(HELLO, edit("x"))) == "U0DENIZ01"
    assert author({"subtype": "message_deleted", "previous_message": HELLO}) == "U0DENIZ01"
    assert author({"subtype": "bot_message"}) == ""


shapes = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "message_changed", "message_deleted", "U0DENIZ01"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "subtype",
                    "user",
                    "message",
                    "previous_message",
                    "ts",
                    "thread_ts",
                    "edited",
                    "files",
                    "id",
                    "mode",
                    "text",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*HELLO, "subtype", "message", "previous_message", "files", "edited"]), shapes))
def test_no_shape_of_event_is_a_crash(event: dict[str, Any]) -> None:
    decide(event, SENDING)
    author(event)


@given(st.dictionaries(st.sampled_from(["subtype", "hidden", "message", "bot_id", "user", "files"]), shapes), st.text())
def test_only_a_person_who_may_ever_gets_words_out(differences: dict[str, Any], text: str) -> None:
    for facts in (NOTING, replace(SENDING, person=replace(DENIZ, outsider=True)), replace(SENDING, person=None)):
        command = decide(sent(**differences, text=text.replace("-", "").replace("→", "")), facts)
        assert not isinstance(command, Send | AskFirst)
