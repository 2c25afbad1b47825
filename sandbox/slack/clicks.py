"""What Slack sends when somebody presses, picks, fills in or opens something.

Rule: pure. What Slack's own client would not let a person do raises ValueError.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sandbox.slack.blocks import elements

Json = dict[str, Any]

_PICKED = {
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
}
_ONE_OPTION = frozenset({"static_select", "external_select", "radio_buttons", "overflow"})
_MANY_OPTIONS = frozenset({"multi_static_select", "multi_external_select", "checkboxes"})


def find(blocks: Sequence[Json], action_id: str, block_id: str | None, value: object) -> tuple[Json, Json] | None:
    """The element with this action_id; `block_id`, or a button's `value`, tells equal ones apart."""
    for block, element in elements(blocks):
        if element["action_id"] != action_id or (block_id is not None and block["block_id"] != block_id):
            continue
        if element["type"] == "button" and value is not None and element.get("value") != value:
            continue
        return block, element
    return None


def action(block: Json, element: Json, value: Any, selected_option: Any) -> Json:
    """One entry of `actions`. A `value` is an option's value where options are offered."""
    kind = element["type"]
    made: Json = {"type": kind, "action_id": element["action_id"], "block_id": block["block_id"]}
    if kind == "button":
        made |= {name: element[name] for name in ("text", "value", "style") if name in element}
    else:
        picked = answer(element, value if selected_option is None else selected_option)
        made |= picked
        if "placeholder" in element:
            made["placeholder"] = element["placeholder"]
    return made | {"action_ts": f"{time.time():.6f}"}


def answer(element: Json, value: Any) -> Json:
    """What an element holds once a person chose or typed `value`."""
    kind = element["type"]
    if kind in _ONE_OPTION:
        return {"type": kind, "selected_option": None if value is None else _option(element, value)}
    if kind in _MANY_OPTIONS:
        values = value if isinstance(value, list) else [] if value is None else [value]
        return {"type": kind, "selected_options": [_option(element, each) for each in values]}
    if kind in _PICKED:
        return {"type": kind, _PICKED[kind]: value}
    if kind.startswith("multi_"):
        return {"type": kind, "selected_" + kind.removeprefix("multi_").removesuffix("_select"): list(value or [])}
    if kind == "rich_text_input":
        return {"type": kind, "rich_text_value": value}
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{element['action_id']} takes text")
    length = len(value or "")
    if length > element.get("max_length", 3000):
        raise ValueError(f"{element['action_id']} takes at most {element.get('max_length', 3000)} characters")
    if value and length < element.get("min_length", 0):
        raise ValueError(f"{element['action_id']} takes at least {element['min_length']} characters")
    return {"type": kind, "value": value or None}


def state(blocks: Sequence[Json], values: Mapping[str, Any]) -> Json:
    """The `state.values` of a modal. `values` are by block_id or action_id, or whole as Slack sends them.

    Raises ValueError for a required input left empty, and for a value nothing asks for.
    """
    left = dict(values)
    made: Json = {}
    for block, element in elements(blocks):
        if element["type"] == "button":
            continue
        block_id, action_id = block["block_id"], element["action_id"]
        given = left.pop(block_id, left.pop(action_id, None))
        if isinstance(given, dict) and isinstance(given.get(action_id), dict):
            held = given[action_id]
        else:
            held = answer(element, _initial(element) if given is None else given)
        empty = not any(value for name, value in held.items() if name != "type")
        if block["type"] == "input" and empty and not block.get("optional"):
            raise ValueError(f"Slack does not submit while {block_id} ({action_id}) is empty")
        made.setdefault(block_id, {})[action_id] = held
    if left:
        raise ValueError(f"the modal has no {', '.join(sorted(left))}")
    return made


def _initial(element: Json) -> Any:
    for name in ("value", "option", "options", "user", "users", "conversation", "channel", "date", "time"):
        if f"initial_{name}" in element:
            return element[f"initial_{name}"]
    return None


def _option(element: Json, value: Any) -> Json:
    if element["type"] in {"external_select", "multi_external_select"} and isinstance(value, dict):
        return value
    wanted = value.get("value") if isinstance(value, dict) else value
    for option in _options(element):
        if option.get("value") == wanted:
            return option
    raise ValueError(f"{element['action_id']} offers no {wanted}")


def _options(element: Json) -> Iterator[Json]:
    yield from element.get("options", ())
    for group in element.get("option_groups", ()):
        yield from group.get("options", ())
