"""Block Kit as Slack checks it: which blocks a surface takes, what they must hold, and how much of it.

Rule: pure. A block or element we do not know is refused by name, as Slack does with what it does not know.
Limits: docs.slack.dev/reference/block-kit; refused blocks are told in Slack's own json-pointer words.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from sandbox.slack.refusal import Refusal, invalid_arguments

Json = dict[str, Any]

BLOCKS_AT_MOST = {"message": 50, "modal": 100, "home": 100}
# Undocumented; slackapi/bolt-js#2509 and #2867 measure a cumulative limit of about 13,300 characters that counts
# the blocks' own structure too, so the compact JSON is what is counted here.
ALL_BLOCKS_AT_MOST = 13_200
VIEW_BYTES_AT_MOST = 250_000

_EVERYWHERE = frozenset({"message", "modal", "home"})
_SURFACES = {
    "section": _EVERYWHERE,
    "divider": _EVERYWHERE,
    "header": _EVERYWHERE,
    "image": _EVERYWHERE,
    "context": _EVERYWHERE,
    "actions": _EVERYWHERE,
    "input": _EVERYWHERE,
    "rich_text": _EVERYWHERE,
    "video": _EVERYWHERE,
    "markdown": frozenset({"message"}),
    "file": frozenset({"message"}),
    "table": frozenset({"message"}),
    "context_actions": frozenset({"message"}),
}
_SELECTS = frozenset(
    f"{many}{what}_select"
    for many in ("", "multi_")
    for what in ("static", "external", "users", "conversations", "channels")
)
_ACTIONS = (
    frozenset({"button", "overflow", "datepicker", "timepicker", "datetimepicker", "checkboxes", "radio_buttons"})
    | _SELECTS
    | {"workflow_button"}
)
_INPUTS = (_ACTIONS - {"button", "overflow", "workflow_button"}) | {
    "plain_text_input",
    "email_text_input",
    "url_text_input",
    "number_input",
    "file_input",
    "rich_text_input",
}
_RICH = frozenset({"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"})
_RICH_LEAVES = {
    "text": "text",
    "link": "url",
    "emoji": "name",
    "user": "user_id",
    "channel": "channel_id",
    "usergroup": "usergroup_id",
    "team": "team_id",
    "broadcast": "range",
    "color": "value",
    "date": "timestamp",
}
_STYLES = frozenset({"bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"})


def check_message(blocks: object) -> list[Json]:
    """Return the blocks as Slack stores them. Raises `invalid_blocks_format`, `invalid_blocks` or
    `msg_blocks_too_long`."""
    if not isinstance(blocks, list):
        raise Refusal("invalid_blocks_format")
    problems = list(_blocks(blocks, "message"))
    if problems:
        messages = [f"[ERROR] {problem}" for problem in problems]
        raise Refusal("invalid_blocks", errors=problems, response_metadata={"messages": messages})
    if len(orjson.dumps(blocks).decode()) > ALL_BLOCKS_AT_MOST:
        raise Refusal("msg_blocks_too_long")
    return [stored(block) for block in blocks]


def check_view(view: object) -> Json:
    """Return the view as Slack stores it. Raises `invalid_arguments` or `view_too_large`."""
    if not isinstance(view, dict):
        raise invalid_arguments("must provide an object [json-pointer:/view]")
    surface = _kind(view)
    if surface not in {"modal", "home"}:
        raise invalid_arguments("must be one of: modal, home [json-pointer:/view/type]")
    if not isinstance(view.get("blocks"), list):
        raise invalid_arguments("missing required field: blocks [json-pointer:/view]")
    if len(orjson.dumps(view)) > VIEW_BYTES_AT_MOST:
        raise Refusal("view_too_large")
    problems = [_at(problem, "/view") for problem in _view(view, surface)]
    if problems:
        raise invalid_arguments(*problems)
    return {**view, "blocks": [stored(block) for block in view["blocks"]]}


def stored(block: Json) -> Json:
    """The block with the ids Slack adds where there are none."""
    kept = {**block, "block_id": block.get("block_id") or secrets.token_urlsafe(4)}
    if isinstance(kept.get("elements"), list) and kept["type"] == "actions":
        kept["elements"] = [_named(element) for element in kept["elements"]]
    for name in ("accessory", "element"):
        if isinstance(kept.get(name), dict) and kept[name].get("type") in _ACTIONS | _INPUTS:
            kept[name] = _named(kept[name])
    return kept


def elements(blocks: Sequence[Json]) -> Iterator[tuple[Json, Json]]:
    """Every interactive element as (block, element)."""
    for block in blocks:
        listed = block.get("elements")
        for candidate in [*(listed if isinstance(listed, list) else ()), block.get("accessory"), block.get("element")]:
            if isinstance(candidate, dict) and "action_id" in candidate:
                yield block, candidate


def _named(element: Json) -> Json:
    return {**element, "action_id": element.get("action_id") or secrets.token_urlsafe(4)}


def _at(problem: str, prefix: str) -> str:
    return problem.replace("[json-pointer:", f"[json-pointer:{prefix}", 1)


def _view(view: Json, surface: str) -> Iterator[str]:
    if surface == "modal":
        yield from _text(view.get("title"), "/title", 24, plain=True)
        if "submit" not in view and any(
            isinstance(each, dict) and each.get("type") == "input" for each in view["blocks"]
        ):
            yield "missing required field: submit [json-pointer:]"
    for name in ("submit", "close"):
        if view.get(name) is not None:
            yield from _text(view[name], f"/{name}", 24, plain=True)
    yield from _length(view.get("private_metadata", ""), "/private_metadata", 3000)
    yield from _length(view.get("callback_id", ""), "/callback_id", 255)
    yield from _blocks(view["blocks"], surface)


def _blocks(blocks: list[Any], surface: str) -> Iterator[str]:
    at_most = BLOCKS_AT_MOST[surface]
    if len(blocks) > at_most:
        yield f"no more than {at_most} items allowed [json-pointer:/blocks]"
    seen: set[str] = set()
    for place, block in enumerate(blocks):
        path = f"/blocks/{place}"
        if not isinstance(block, dict):
            yield f"must be an object [json-pointer:{path}]"
            continue
        kind = _kind(block)
        if kind not in _SURFACES or surface not in _SURFACES[kind]:
            yield f"unsupported type: {kind} [json-pointer:{path}/type]"
            continue
        name = block.get("block_id", "")
        yield from _length(name, f"{path}/block_id", 255)
        if name and isinstance(name, str) and name in seen:
            yield f"block_id {name} already exists [json-pointer:{path}/block_id]"
        seen.add(str(name))
        yield from _block(block, kind, path)
        actions = [element["action_id"] for _, element in elements([block])]
        actions = [each for each in actions if isinstance(each, str) and each]
        for action in sorted({each for each in actions if actions.count(each) > 1}):
            yield f'`action_id` "{action}" already exists [json-pointer:{path}]'


def _block(block: Json, kind: str, path: str) -> Iterator[str]:
    match kind:
        case "section":
            yield from _section(block, path)
        case "header":
            yield from _text(block.get("text"), f"{path}/text", 150, plain=True)
        case "markdown":
            yield from _string(block.get("text"), f"{path}/text", 12_000)
        case "image":
            yield from _image(block, path)
            if "title" in block:
                yield from _text(block["title"], f"{path}/title", 2000, plain=True)
        case "context":
            for at, element in _items(block, "elements", path, 10):
                if isinstance(element, dict) and element.get("type") == "image":
                    yield from _image(element, at)
                else:
                    yield from _text(element, at, 3000)
            yield from _count(block, "elements", path, 10)
        case "actions":
            yield from _count(block, "elements", path, 25)
            for at, element in _items(block, "elements", path, 25):
                yield from _element(element, at, _ACTIONS)
        case "input":
            yield from _text(block.get("label"), f"{path}/label", 2000, plain=True)
            if "hint" in block:
                yield from _text(block["hint"], f"{path}/hint", 2000, plain=True)
            yield from _element(block.get("element"), f"{path}/element", _INPUTS)
        case "rich_text":
            yield from _rich(block, path)


def _section(block: Json, path: str) -> Iterator[str]:
    if "text" not in block and "fields" not in block:
        yield f"missing required field: text or fields [json-pointer:{path}]"
    if "text" in block:
        yield from _text(block["text"], f"{path}/text", 3000)
    if "fields" in block:
        yield from _count(block, "fields", path, 10)
        for at, each in _items(block, "fields", path, 10):
            yield from _text(each, at, 2000)
    if "accessory" in block:
        accessory = block["accessory"]
        if isinstance(accessory, dict) and accessory.get("type") == "image":
            yield from _image(accessory, f"{path}/accessory")
        else:
            yield from _element(accessory, f"{path}/accessory", _ACTIONS)


def _image(block: Json, path: str) -> Iterator[str]:
    if not block.get("image_url") and not block.get("slack_file"):
        yield f"missing required field: image_url or slack_file [json-pointer:{path}]"
    yield from _length(block.get("image_url", ""), f"{path}/image_url", 3000)
    yield from _string(block.get("alt_text"), f"{path}/alt_text", 2000)


def _element(element: object, path: str, allowed: frozenset[str]) -> Iterator[str]:
    if not isinstance(element, dict):
        yield f"must be an object [json-pointer:{path}]"
        return
    kind = _kind(element)
    if kind not in allowed:
        yield f"unsupported type: {kind} [json-pointer:{path}/type]"
        return
    yield from _length(element.get("action_id", ""), f"{path}/action_id", 255)
    if kind == "button":
        yield from _text(element.get("text"), f"{path}/text", 75, plain=True)
        yield from _length(element.get("value", ""), f"{path}/value", 2000)
        yield from _length(element.get("url", ""), f"{path}/url", 3000)
        if element.get("style", "primary") not in ("primary", "danger"):
            yield f"must be one of: primary, danger [json-pointer:{path}/style]"
    if "placeholder" in element:
        yield from _text(element["placeholder"], f"{path}/placeholder", 150, plain=True)
    if "confirm" in element:
        yield from _confirm(element["confirm"], f"{path}/confirm")
    if kind in {"static_select", "multi_static_select", "overflow", "checkboxes", "radio_buttons"}:
        yield from _choices(element, kind, path)
        yield from _initial(element, kind, path)
    if kind == "plain_text_input":
        yield from _typed(element, path)


def _choices(element: Json, kind: str, path: str) -> Iterator[str]:
    at_most = {"overflow": 5, "checkboxes": 10, "radio_buttons": 10}.get(kind, 100)
    if "option_groups" in element:
        yield from _count(element, "option_groups", path, 100)
        for at, group in _items(element, "option_groups", path, 100):
            if not isinstance(group, dict):
                yield f"must be an object [json-pointer:{at}]"
                continue
            yield from _text(group.get("label"), f"{at}/label", 75, plain=True)
            yield from _count(group, "options", at, 100)
            for place, option in _items(group, "options", at, 100):
                yield from check_option(option, place)
        return
    yield from _count(element, "options", path, at_most)
    for at, option in _items(element, "options", path, at_most):
        yield from check_option(option, at)


def _initial(element: Json, kind: str, path: str) -> Iterator[str]:
    """What is chosen at first must be one of the options, word for word."""
    many = kind in {"multi_static_select", "checkboxes"}
    name = "initial_options" if many else "initial_option"
    if name not in element:
        return
    if many:
        yield from _count(element, name, path, 100)
    given = element[name] if many and isinstance(element[name], list) else [element[name]]
    groups = element.get("option_groups", ())
    offered = [*element.get("options", ()), *(option for group in groups for option in group.get("options", ()))]
    for option in given:
        if option not in offered:
            yield f"{name} must match one of the options [json-pointer:{path}/{name}]"


def _typed(element: Json, path: str) -> Iterator[str]:
    most = element.get("max_length", 3000)
    if not isinstance(most, int) or not 1 <= most <= 3000:
        yield f"must be between 1 and 3000 [json-pointer:{path}/max_length]"
        return
    yield from _length(element.get("initial_value", ""), f"{path}/initial_value", most)
    triggers = element.get("dispatch_action_config", {}).get("trigger_actions_on", [])
    if unknown := set(triggers) - {"on_enter_pressed", "on_character_entered"}:
        yield f"unknown trigger: {', '.join(sorted(unknown))} [json-pointer:{path}/dispatch_action_config]"


def check_option(option: object, path: str) -> Iterator[str]:
    if not isinstance(option, dict):
        yield f"must be an object [json-pointer:{path}]"
        return
    yield from _text(option.get("text"), f"{path}/text", 75)
    yield from _string(option.get("value"), f"{path}/value", 150)
    if "description" in option:
        yield from _text(option["description"], f"{path}/description", 75)


def _confirm(confirm: object, path: str) -> Iterator[str]:
    if not isinstance(confirm, dict):
        yield f"must be an object [json-pointer:{path}]"
        return
    for name, at_most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        if name in confirm or name in {"title", "text"}:
            yield from _text(confirm.get(name), f"{path}/{name}", at_most, plain=name != "text")


def _rich(block: Json, path: str) -> Iterator[str]:
    if not isinstance(block.get("elements"), list):
        yield f"missing required field: elements [json-pointer:{path}]"
        return
    for at, element in _items(block, "elements", path, None):
        if not isinstance(element, dict) or _kind(element) not in _RICH:
            yield f"unsupported type: {_kind(element)} [json-pointer:{at}/type]"
            continue
        inner = _items(element, "elements", at, None)
        if element["type"] == "rich_text_list":
            if element.get("style") not in ("bullet", "ordered"):
                yield f"must be one of: bullet, ordered [json-pointer:{at}/style]"
            for place, section in inner:
                if _kind(section) != "rich_text_section":
                    yield f"unsupported type: {_kind(section)} [json-pointer:{place}/type]"
                else:
                    for leaf_at, leaf in _items(section, "elements", place, None):
                        yield from _leaf(leaf, leaf_at)
            continue
        for place, leaf in inner:
            yield from _leaf(leaf, place)


def _leaf(leaf: object, path: str) -> Iterator[str]:
    kind = _kind(leaf)
    if kind not in _RICH_LEAVES or not isinstance(leaf, dict):
        yield f"unsupported type: {kind} [json-pointer:{path}/type]"
        return
    needed = _RICH_LEAVES[kind]
    if leaf.get(needed) in (None, ""):
        yield f"must be more than 0 characters [json-pointer:{path}/{needed}]"
    style = leaf.get("style", {})
    if not isinstance(style, dict):
        yield f"must be an object [json-pointer:{path}/style]"
    elif unknown := sorted(set(style) - _STYLES):
        yield f"unexpected style: {', '.join(unknown)} [json-pointer:{path}/style]"


def _kind(element: object) -> str:
    kind = element.get("type") if isinstance(element, dict) else None
    return kind if isinstance(kind, str) else ""


def _items(holder: Json, name: str, path: str, at_most: int | None) -> Iterator[tuple[str, Any]]:
    items = holder.get(name)
    if isinstance(items, list):
        for place, item in enumerate(items[:at_most]):
            yield f"{path}/{name}/{place}", item


def _count(holder: Json, name: str, path: str, at_most: int) -> Iterator[str]:
    items = holder.get(name)
    if not isinstance(items, list) or not items:
        yield f"no fewer than 1 items allowed [json-pointer:{path}/{name}]"
    elif len(items) > at_most:
        yield f"no more than {at_most} items allowed [json-pointer:{path}/{name}]"


def _text(value: object, path: str, at_most: int, *, plain: bool = False) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"must provide an object [json-pointer:{path}]"
        return
    kinds = {"plain_text"} if plain else {"plain_text", "mrkdwn"}
    if _kind(value) not in kinds:
        yield f"must be one of: {', '.join(sorted(kinds))} [json-pointer:{path}/type]"
    yield from _string(value.get("text"), f"{path}/text", at_most)


def _string(value: object, path: str, at_most: int) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"must be a string [json-pointer:{path}]"
    elif not value:
        yield f"must be more than 0 characters [json-pointer:{path}]"
    else:
        yield from _length(value, path, at_most)


def _length(value: object, path: str, at_most: int) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"must be a string [json-pointer:{path}]"
    elif len(value) > at_most:
        yield f"must be less than {at_most + 1} characters [json-pointer:{path}]"
