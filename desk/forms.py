"""The windows in which agents set right what was decided, and reply with a template. Pure, within Slack's limits.

Rule: a window carries what it was opened with, so that only what an agent touched in it is changed, whatever happened
meanwhile. Slack keeps what somebody typed for as long as the id of its block stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from desk.blocks import Block, context, plain_text
from desk.notices import MODAL_TEXT, Way
from desk.words import one_line, plain
from inbox.changes import AddTag, Change, Priority, RemoveTag, SetAddress, SetPriority, SetTeam, WishLanguage
from templates.catalog import Voice

# docs.slack.dev/reference/block-kit/composition-objects/option-object, and the menus that hold them
OPTIONS = 100
LABEL = 75
VALUE = 150
ANSWER = 200  # characters of a variable that is typed; a text keeps fewer

SIGNS = {"urgent": "🔴", "high": "🟠", "normal": "🔵", "low": "⚪"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What an agent can set right. The first of `tags` is what the matter is mainly about."""

    priority: str
    tags: tuple[str, ...] = ()
    team: str = ""
    language: str = ""
    place: str = ""  # where answers go


def more(
    conversation: str,
    customer: str,
    now: Decided,
    say: Voice,
    *,
    tags: Iterable[str],
    teams: Iterable[str],
    languages: Iterable[str],
    ways: Sequence[Way] = (),
) -> dict[str, Any]:
    """The window "More…". Menus hold a hundred entries: what is set now is among them in any case.

    `ways` are those by which the customer can be answered; a single one is no choice.
    """
    every = [_option(tag, tag) for tag in _with(now.tags, tags)]
    priorities = [_option(name, f"{SIGNS[name]} {say.word('priority', name)}") for name in SIGNS]
    blocks = [
        _input("priority", say("more.priority"), _radio("priority", priorities, now.priority)),
        *([_tags(every, now.tags, say)] if every else []),
    ]
    standing = [_option(name, name) for name in _with([now.team], teams)]
    if len(standing) > 1:
        blocks.append(_menu("team", say("more.team"), standing, now.team))
    spoken = [_option(code, say.language(code)) for code in _with([now.language], languages)]
    if spoken:
        blocks.append(_menu("language", say("more.language"), spoken, now.language, hint=say("more.language_hint")))
    if len(ways) > 1:
        reached = [_option(way.place, way.label) for way in ways if len(way.place) <= VALUE][:OPTIONS]
        blocks.append(_menu("place", say("more.place"), reached, now.place, hint=say("more.place_hint")))
    return {
        "type": "modal",
        "callback_id": "more",
        "private_metadata": conversation,
        "title": plain_text(say("more.title")),
        "submit": plain_text(say("more.submit")),
        "close": plain_text(say("modal.close")),
        "blocks": [context(plain_text(say("more.about", customer=one_line(customer, 80)))), *blocks],
    }


def wanted(view: Mapping[str, Any]) -> tuple[list[Change], tuple[str, ...]]:
    """What an agent changed in the window "More…", and the tags it has now, in the order in which they stand there."""
    before, after = _read(view, _initially), _read(view, _finally)
    changes: list[Change] = []
    if after.priority and after.priority != before.priority:
        changes.append(SetPriority(priority=Priority[after.priority.upper()]))
    changes += [RemoveTag(tag=tag) for tag in before.tags if tag not in after.tags]
    changes += [AddTag(tag=tag) for tag in after.tags if tag not in before.tags]
    if after.team and after.team != before.team:
        changes.append(SetTeam(team=after.team))
    if after.language and after.language != before.language:
        # Somebody who speaks with the customer says so: it stays, whatever the next message looks like.
        changes.append(WishLanguage(language=after.language))
    if after.place and after.place != before.place:
        changes.append(SetAddress(place=after.place))
    return changes, after.tags


def _read(view: Mapping[str, Any], values: Any) -> Decided:
    found: dict[str, tuple[str, ...]] = {}
    for block in view["blocks"]:
        if block["type"] == "input":
            found[block["block_id"]] = tuple(str(option["value"]) for option in values(view, block) if option)

    def one(name: str) -> str:
        return next(iter(found.get(name, ())), "")

    return Decided(
        priority=one("priority"),
        tags=found.get("tags", ()),
        team=one("team"),
        language=one("language"),
        place=one("place"),
    )


def _initially(view: Mapping[str, Any], block: Block) -> Sequence[Block | None]:
    element = block["element"]
    return element.get("initial_options") or [element.get("initial_option")]


def _finally(view: Mapping[str, Any], block: Block) -> Sequence[Block | None]:
    held = view["state"]["values"].get(block["block_id"], {}).get(block["element"]["action_id"], {})
    return held.get("selected_options") or [held.get("selected_option")]


# reply with a template


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """A template that was chosen. `text` is empty while something that it needs is not known.

    `asks` is what the agent may type, each with whether it is needed; `given` what they have typed of it. A `fixed`
    text goes out letter by letter, as its provider has approved it.
    """

    name: str
    language: str = ""  # that of the text
    text: str = ""
    asks: Mapping[str, bool] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    fixed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What a window for templates is about. `channel` is a kind; `choices` are names and titles, the best first.

    `resolved` is what whoever has the window open knows of the conversation; `warn` where they learn it now. Where the
    channel is `closed`, the choices are what its provider has approved, and may be none.
    """

    conversation: str
    customer: str
    channel: str
    language: str  # the conversation's
    choices: Sequence[tuple[str, str]]
    resolved: bool = False
    warn: bool = False
    closed: bool = False


def template(offered: Offered, say: Voice, filling: Filling | None = None) -> dict[str, Any]:
    """The window "Reply with template": first the menu alone, then the text, which can be changed before it is sent."""
    where = say(
        "template.to",
        customer=one_line(offered.customer, 80),
        channel=say.word("channel", offered.channel),
        language=say.language(offered.language),
    )
    options = [_option(name, title) for name, title in offered.choices[:OPTIONS]]
    blocks: list[Block] = [context(plain_text(one_line(where, 300)))]
    if offered.closed:
        told = say(f"template.{'closed' if options else 'none_approved'}", channel=say.word("channel", offered.channel))
        blocks.append(context(plain_text(f"⚠️ {one_line(told, 300)}")))
    if options:
        menu = _select("template_choice", options, filling.name if filling else "")
        menu["placeholder"] = plain_text(say("template.choose"))
        blocks.append({"type": "actions", "block_id": "template", "elements": [menu]})
    if offered.warn:
        blocks.insert(1, context(plain_text(say("template.resolved"))))
    meta: dict[str, Any] = {"conversation": offered.conversation, "resolved": offered.resolved}
    view: dict[str, Any] = {
        "type": "modal",
        "callback_id": "template",
        "title": plain_text(say("template.title")),
        "close": plain_text(say("modal.close")),
        "blocks": blocks,
    }
    if filling is not None and options:
        meta |= {"name": filling.name, "given": dict(filling.given)}
        blocks += _filled(offered, filling, say)
        if filling.asks or 0 < len(filling.text) <= MODAL_TEXT:
            view["submit"] = plain_text(say("template.send" if filling.text else "template.continue"))
    return {**view, "private_metadata": orjson.dumps(meta).decode()}


def _filled(offered: Offered, filling: Filling, say: Voice) -> list[Block]:
    blocks = []
    for variable, needed in filling.asks.items():
        element: Block = {
            "type": "plain_text_input",
            "action_id": "template_value",
            "max_length": ANSWER,
            "dispatch_action_config": {"trigger_actions_on": ["on_enter_pressed"]},
        }
        if value := filling.given.get(variable):
            element["initial_value"] = value[:ANSWER]
        asked = _input(f"value:{variable}:{filling.name}", say.word("variable", variable), element)
        blocks.append(asked | {"optional": not needed, "dispatch_action": True})
        blocks[-1]["hint"] = plain_text(say("template.enter"))
    if filling.language and filling.language != offered.language:
        told = say("template.other_language", language=say.language(filling.language))
        blocks.append(context(plain_text(f"⚠️ {told}")))
    if len(filling.text) > MODAL_TEXT:
        return [*blocks, context(plain_text(say("template.too_long", count=MODAL_TEXT)))]
    if filling.text and filling.fixed:
        blocks.append(context(plain_text(say("template.fixed"))))
        quote = {"type": "rich_text_quote", "elements": [{"type": "text", "text": plain(filling.text)}]}
        blocks.append({"type": "rich_text", "elements": [quote]})
    elif filling.text:
        box: Block = {"type": "plain_text_input", "action_id": "text", "multiline": True, "max_length": MODAL_TEXT}
        # With what was typed in its id, new words take the place of the old ones.
        id = f"text:{filling.name}:{':'.join(filling.given.values())}"[:255]
        blocks.append(_input(id, say("template.text"), box | {"initial_value": filling.text}))
    return blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What came back from the window. `boxes` are the ids of its blocks by what they ask for, "text" among them."""

    conversation: int
    name: str = ""
    given: Mapping[str, str] = field(default_factory=dict)  # with which the text was made
    typed: Mapping[str, str] = field(default_factory=dict)  # what stands there now
    text: str | None = None  # None: there was no text yet
    boxes: Mapping[str, str] = field(default_factory=dict)
    resolved: bool = False  # whether the window was shown for a conversation that was so


def filled(view: Mapping[str, Any]) -> Filled:
    meta = orjson.loads(view["private_metadata"])
    typed: dict[str, str] = {}
    boxes: dict[str, str] = {}
    text: str | None = None
    for block_id, held in view["state"]["values"].items():
        kind, _, rest = str(block_id).partition(":")
        (value,) = held.values()
        if kind == "value":
            variable = rest.partition(":")[0]
            typed[variable], boxes[variable] = str(value.get("value") or "").strip(), block_id
        elif kind == "text":
            text, boxes["text"] = str(value.get("value") or ""), block_id
    return Filled(
        conversation=int(meta["conversation"]),
        name=str(meta.get("name", "")),
        given=meta.get("given", {}),
        typed={variable: value for variable, value in typed.items() if value},
        text=text,
        boxes=boxes,
        resolved=bool(meta.get("resolved")),
    )


# pieces


def _with(set_now: Iterable[str], known: Iterable[str]) -> list[str]:
    """Both without repeats, as many as a menu holds and as long as its values may be."""
    return [one for one in dict.fromkeys([*set_now, *known]) if one.strip() and len(one) <= VALUE][:OPTIONS]


def _option(value: str, label: str) -> Block:
    return {"text": plain_text(one_line(label, LABEL) or "–"), "value": value}


def _tags(every: Sequence[Block], now: Sequence[str], say: Voice) -> Block:
    chosen = {option["value"]: option for option in every}
    menu: Block = {
        "type": "multi_static_select",
        "action_id": "tags",
        "options": list(every),
        "placeholder": plain_text(say("more.tags_choose")),
    }
    if initial := [chosen[tag] for tag in now if tag in chosen]:
        menu["initial_options"] = initial
    return _input("tags", say("more.tags"), menu, hint=say("more.tags_hint")) | {"optional": True}


def _radio(action: str, options: Sequence[Block], now: str) -> Block:
    return {"type": "radio_buttons", "action_id": action, "options": list(options), **_initial(options, now)}


def _menu(name: str, label: str, options: Sequence[Block], now: str, *, hint: str = "") -> Block:
    """A menu; where nothing is set yet it may stay so, or nothing else could be saved."""
    element = _select(name, options, now)
    return _input(name, label, element, hint=hint) | {"optional": "initial_option" not in element}


def _select(action: str, options: Sequence[Block], now: str) -> Block:
    return {"type": "static_select", "action_id": action, "options": list(options), **_initial(options, now)}


def _initial(options: Sequence[Block], now: str) -> dict[str, Block]:
    option = next((option for option in options if option["value"] == now), None)
    return {"initial_option": option} if option else {}


def _input(id: str, label: str, element: Block, *, hint: str = "") -> Block:
    block = {"type": "input", "block_id": id, "label": plain_text(label), "element": element}
    return block | {"hint": plain_text(hint)} if hint else block
