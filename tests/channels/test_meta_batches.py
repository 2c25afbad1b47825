"""What of a batch of Meta's cannot be read is kept, and what is nobody's leaves a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from channels.message import Event, Received, Unreadable
from channels.meta.graph import broken
from channels.meta.parse import Account
from channels.meta.parse import read as read_meta
from channels.whatsapp.parse import read as read_whatsapp
from tests.channels.harness import AT, raw_of, with_raw

PAGE = Account(channel="page", kind="messenger", object="page", id="108")


def page(*entries: object) -> tuple[Event, ...]:
    return read_meta(PAGE, json.dumps({"object": "page", "entry": entries}).encode(), AT, [("109", "ikinci")])


def whatsapp(*entries: object) -> tuple[Event, ...]:
    body = {"object": "whatsapp_business_account", "entry": entries}
    return read_whatsapp("wa", "106", json.dumps(body).encode(), AT)


def told(events: tuple[Event, ...]) -> list[str]:
    return [e.reason if isinstance(e, Unreadable) else e.text for e in events if isinstance(e, Unreadable | Received)]


def written(text: str, page: str = "108") -> dict[str, Any]:
    message = {"mid": f"m_{text}", "text": text}
    return {"sender": {"id": "7001"}, "recipient": {"id": page}, "timestamp": 1767225600000, "message": message}


def change(number: str = "106", **value: object) -> dict[str, Any]:
    held = {"metadata": {"phone_number_id": number, "display_phone_number": "15550001111"}, **value}
    return {"id": "1", "changes": [{"field": "messages", "value": held}]}


TEXT = {"id": "wamid.1", "from": "905321234567", "timestamp": "1767225600", "type": "text", "text": {"body": "bir"}}


@pytest.mark.parametrize("slot", ["messaging", "standby"])
@pytest.mark.parametrize("odd", ["nonsense", {}, 7, True, ""])
def test_a_list_of_a_page_that_is_none_is_kept_beside_its_neighbours(slot: str, odd: object) -> None:
    events = page({"id": "108", "messaging": [written("bir")]}, {"id": "108", "messaging": [written("iki")], slot: odd})
    read = ["bir", f"an entry whose {slot} is no list"]
    assert told(events) == (read if slot == "messaging" else [*read, "iki"])
    kept = next(json.loads(event.raw) for event in events if isinstance(event, Unreadable))
    assert [entry[slot] for entry in kept["entry"]] == [odd]  # and none of its neighbour's words


def test_what_is_odd_of_a_sibling_is_the_siblings() -> None:
    (event,) = page({"id": "109", "messaging": "nonsense"})
    assert isinstance(event, Unreadable)
    assert event.channel == "ikinci"


@pytest.mark.parametrize("id", [{}, "", [], None])
def test_an_entry_that_names_nobody_is_kept(id: object) -> None:
    assert told(page({"id": id, "messaging": [written("bir")]})) == ["an entry that does not say whose it is"]


def test_what_is_left_out_or_null_is_no_harm() -> None:
    assert told(page({"id": "108", "messaging": [written("bir")], "standby": None})) == ["bir"]
    assert told(whatsapp(change(messages=[TEXT], statuses=None))) == ["bir"]


@pytest.mark.parametrize("slot", ["messages", "message_echoes", "statuses"])
def test_a_list_of_a_change_that_is_none_is_kept(slot: str) -> None:
    assert told(whatsapp(change(**{slot: "nonsense"}), change(messages=[TEXT]))) == [
        f"a change whose {slot} is no list",
        "bir",
    ]


def test_changes_that_are_none_are_kept_beside_their_neighbours() -> None:
    events = whatsapp(change(messages=[TEXT]), {"id": "1", "changes": {"field": "messages"}})
    assert told(events) == ["bir", "an entry whose changes is no list"]
    kept = next(event.raw for event in events if isinstance(event, Unreadable))
    assert b"wamid" not in kept


def test_another_account_leaves_a_trace_of_its_id_and_nothing_else() -> None:
    with capture_logs() as logs:
        assert page({"id": "999", "messaging": [written("gizli", "999")]}) == ()
        assert whatsapp(change("777", messages=[TEXT])) == ()
    assert logs == [
        {"event": "account_unknown", "log_level": "info", "channel": "page", "account": "999"},
        {"event": "account_unknown", "log_level": "info", "channel": "wa", "account": "777"},
    ]


def test_what_is_about_another_product_leaves_a_trace() -> None:
    with capture_logs() as logs:
        assert read_meta(PAGE, b'{"object":"instagram","entry":[{"id":"108","messaging":[{}]}]}', AT) == ()
        assert read_whatsapp("wa", "106", b'{"object":"page","entry":[]}', AT) == ()
    assert logs == [
        {"event": "object_unknown", "log_level": "info", "channel": "page", "object": "instagram"},
        {"event": "object_unknown", "log_level": "info", "channel": "wa", "object": "page"},
    ]


@given(
    files=st.lists(st.sampled_from(sorted((Path(__file__).parent / "whatsapp").glob("*.json"))), min_size=2, max_size=4)
)
def test_what_is_kept_of_an_item_in_company_says_the_same_by_itself(files: list[Path]) -> None:
    """Any items in one value: each is kept without the others, and read again it is what it was."""
    told = [entry for file in files for entry in json.loads(file.read_bytes())["entry"] if isinstance(entry, dict)]
    values = [
        it["value"] for entry in told for it in entry.get("changes", ()) if it and isinstance(it.get("value"), dict)
    ]
    held = {
        slot: [item for value in values if isinstance(value.get(slot), list) for item in value[slot]]
        for slot in ("contacts", "messages", "message_echoes", "statuses", "errors")
    }
    number = {"phone_number_id": "106540352242922", "display_phone_number": "15550783881"}
    entry = {"id": "1", "changes": [{"field": "messages", "value": {"metadata": number, **held}}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    for event in read_whatsapp("wa", "106540352242922", body, AT):
        if kept := raw_of(event):
            again = [with_raw(one, b"") for one in read_whatsapp("wa", "106540352242922", kept, AT)]
            assert with_raw(event, b"") in again

            (held_alone,) = json.loads(kept)["entry"][0]["changes"]
            parts = [part for slot, part in held_alone["value"].items() if slot not in ("metadata", "contacts")]
            assert sum(map(len, parts)) == 1 or kept == body


@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_lists_and_null_are_right_and_all_else_is_not(value: object) -> None:
    raw = msgspec.Raw(json.dumps({"x": value, "y": []}).encode())
    assert broken(raw, "x", "y", "z") == (() if value is None or isinstance(value, list) else ("x",))
