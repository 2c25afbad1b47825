"""The pieces cards and notices are made of: posts, sentences of the catalogue with values in them, buttons.

Rule: a value never becomes markup. In a sentence it is an element of its own; in small print it is made literal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from string import Formatter
from typing import Any

from desk.words import date, escape, inline, one_line
from templates.catalog import Voice

Block = dict[str, Any]

MOMENT = "{date_short_pretty} {time}"
AGO = "{ago}"
UNTIL = "{date_short_pretty} {time} ({ago})"  # of what is still to come, Slack says "in 3 hours"
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,}")
_GROUP_ID = re.compile(r"S[A-Z0-9]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What `chat.postMessage` and `chat.update` take. `username` is empty for what Santral says itself.

    `icon` names the emoji that stands beside it.
    """

    text: str
    blocks: list[Block] = field(default_factory=list)
    username: str = ""
    icon: str = ""

    def __add__(self, other: Post) -> Post:
        text = "\n".join(text for text in (self.text, other.text) if text)
        return Post(text=text, blocks=[*self.blocks, *other.blocks], username=self.username, icon=self.icon)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A Slack user, shown by the name Slack knows. It rings for them."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A provider's code or words, shown as they came."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """Several Slack users and user groups, in a list."""

    who: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackChannel:
    """A Slack channel, shown by the name Slack knows; to who may not see it, as a private one."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A place in Slack that we know, under words of ours. Without a `url` only the words."""

    url: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A Slack thread, by its Slack channel and the address of its first post."""

    slack_channel: str
    url: str = ""


Value = str | int | datetime | Mention | Mentions | Code | SlackChannel | Link


def is_person(who: str) -> bool:
    """Whether this is the id of a Slack user, rather than a name."""
    return _USER_ID.fullmatch(who) is not None


def person(who: str) -> Value:
    """An agent, by Slack user id or by name."""
    return Mention(user=who) if is_person(who) else who


def ringing(who: Iterable[str]) -> Mentions:
    """Those of these ids that Slack knows as users or user groups."""
    return Mentions(who=tuple(one for one in dict.fromkeys(who) if _USER_ID.fullmatch(one) or _GROUP_ID.fullmatch(one)))


def sentence(say: Voice, key: str, **values: Value) -> Post:
    """A text of the catalogue as a full-size line. Names stand out in bold."""
    elements, words = [], []
    for literal, value in _parts(say.template(key), values):
        if literal:
            elements.append({"type": "text", "text": literal})
            words.append(escape(literal))
        if value is not None:
            elements += _elements(value)
            words.append(_markup(value))
    section = {"type": "rich_text_section", "elements": elements}
    return Post(text="".join(words), blocks=[{"type": "rich_text", "elements": [section]}])


def small(say: Voice, key: str, **values: Value) -> Post:
    """A text of the catalogue as a small grey line."""
    words = []
    for literal, value in _parts(say.template(key), values):
        words.append(escape(literal))
        words.append("" if value is None else _markup(value))
    return Post(text="".join(words), blocks=[context(mrkdwn("".join(words)))])


def context(*elements: Block) -> Block:
    return {"type": "context", "elements": list(elements)}


def mrkdwn(text: str) -> Block:
    """`text` is markup already: every value in it went through `inline`. `verbatim`: Slack looks for no mentions."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": True}


def buttons(*elements: Block) -> Block:
    return {"type": "actions", "elements": list(elements)}


def button(say: Voice, action: str, value: str, *, label: str = "", style: str = "") -> Block:
    """A button whose label is the text `button.{label or action}`."""
    made: Block = {
        "type": "button",
        "action_id": action,
        "text": plain_text(say(f"button.{label or action}")),
        "value": value,
    }
    return made | {"style": style} if style else made


def choice_button(action: str, value: str, label: str, *, style: str = "") -> Block:
    """A button whose label is made already. `label` is cut to the 75 characters that Slack takes."""
    made: Block = {"type": "button", "action_id": action, "text": plain_text(one_line(label, 75)), "value": value}
    return made | {"style": style} if style else made


def _parts(template: str, values: dict[str, Value]) -> Iterator[tuple[str, Value | None]]:
    for literal, name, _, _ in Formatter().parse(template):
        yield literal, None if name is None else values[name]


def _elements(value: Value) -> list[Block]:
    if not isinstance(value, Mentions):
        return [_element(value)]
    made: list[Block] = []
    for who in value.who:
        made += [{"type": "text", "text": ", "}] if made else []
        group = _GROUP_ID.fullmatch(who)
        made.append({"type": "usergroup", "usergroup_id": who} if group else {"type": "user", "user_id": who})
    return made


def _element(value: str | int | datetime | Mention | Code | SlackChannel | Link) -> Block:
    match value:
        case Mention():
            return {"type": "user", "user_id": value.user}
        case SlackChannel():
            return {"type": "channel", "channel_id": value.id}
        case Link():
            said = {"type": "text", "text": value.label}
            return {"type": "link", "url": value.url, "text": value.label} if value.url else said
        case datetime():
            fallback = f"{value:%Y-%m-%d %H:%M %Z}"
            return {"type": "date", "timestamp": int(value.timestamp()), "format": MOMENT, "fallback": fallback}
        case Code():
            return {"type": "text", "text": one_line(value.text, 300) or "–", "style": {"code": True}}
        case int():
            return {"type": "text", "text": str(value)}
        case str():
            return {"type": "text", "text": one_line(value) or "–", "style": {"bold": True}}


def _markup(value: Value) -> str:
    match value:
        case Mention():
            return f"<@{value.user}>"
        case Mentions():
            return ", ".join(f"<!subteam^{who}>" if _GROUP_ID.fullmatch(who) else f"<@{who}>" for who in value.who)
        case SlackChannel():
            return f"<#{value.id}>"
        case Link():
            return f"<{value.url}|{inline(value.label)}>" if value.url else inline(value.label)
        case datetime():
            return date(value, MOMENT)
        case Code():
            return inline(value.text, 300)
        case int():
            return str(value)
        case str():
            return inline(value)
