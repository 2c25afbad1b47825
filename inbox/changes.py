"""Anything done to a conversation, as data: rules, agents and the bot all speak it.

Rule: `apply` is the only place that says what a change means; everything here is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Protocol

from channels.message import Address, Proof, Received


class Priority(IntEnum):
    """Lower comes first, in queues as on the card."""

    URGENT = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


class State(StrEnum):
    OPEN = "open"
    WAITING = "waiting"  # on the customer
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """All messages of one customer, as it stands in the database."""

    id: int
    customer_id: int
    state: State = State.OPEN
    priority: Priority = Priority.NORMAL
    tags: frozenset[str] = frozenset()
    team: str = ""
    agent: str = ""  # Slack user id
    language: str = ""
    address_id: int | None = None  # where the customer wrote from last
    channel: str = ""
    last_position: int = 0
    waiting_since: datetime | None = None
    last_in_at: datetime | None = None
    last_out_at: datetime | None = None
    resolved_at: datetime | None = None
    wish: str = ""  # the language the customer asked for in words


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLanguage:
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WishLanguage:
    """The customer asked for a language: it stays, whatever they write in later."""

    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTeam:
    team: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPriority:
    priority: Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class SetState:
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """Give the conversation to an agent; "" gives it back to the team."""

    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTag:
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTag:
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAddress:
    """Answer another way until the customer writes again. `place` is a `place_of`: one they wrote from before."""

    place: str


Change = SetLanguage | WishLanguage | SetTeam | SetPriority | SetState | SetAddress | Assign | AddTag | RemoveTag

_NAMES: Mapping[type[Change], str] = {
    SetLanguage: "set_language",
    WishLanguage: "wish_language",
    SetTeam: "set_team",
    SetPriority: "set_priority",
    SetState: "set_state",
    SetAddress: "set_address",
    Assign: "assign",
    AddTag: "add_tag",
    RemoveTag: "remove_tag",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a decision may look at."""

    conversation: Conversation
    message: Received
    known: bool  # wrote to us before
    address: Address
    proof: Proof
    now: datetime
    before: State = State.OPEN  # what the message found
    fresh: bool = False  # the first message, or the first since the last matter was resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """A piece of work made necessary: see `inbox.work`. `due` None means at once."""

    kind: str
    key: str
    lane: str = ""
    priority: Priority = Priority.NORMAL
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to change, why, in words the agent reads, and the work that becomes necessary."""

    changes: tuple[Change, ...] = ()
    because: str = ""
    puts: tuple[Put, ...] = ()


class FollowUp(Protocol):
    """Names the work a changed conversation needs at the desk."""

    def __call__(self, conversation: Conversation, *, lines: bool) -> Iterable[Put]:
        """`lines` when the Slack thread has something new to show, else only its card has."""
        ...


def place_of(channel: str, address_id: int | None) -> str:
    """A channel and an address reached by it, as `SetAddress` names them."""
    return f"{channel}/{address_id or 0}"


def changes_nothing(conversation: Conversation, change: Change) -> bool:
    """Whether a conversation is already as a change would make it."""
    match change:
        case SetLanguage(language=language):
            return conversation.language == language
        case AddTag(tag=tag):
            return tag in conversation.tags
        case RemoveTag(tag=tag):
            return tag not in conversation.tags
        case SetPriority(priority=priority):
            return conversation.priority == priority
        case SetTeam(team=team):
            return conversation.team == team
        case Assign(agent=agent):
            return conversation.agent == agent
        case SetAddress(place=place):
            return place == place_of(conversation.channel, conversation.address_id)
        case WishLanguage(language=language):
            return conversation.language == conversation.wish == language
        case SetState(state=state):
            return conversation.state is state


def apply(conversation: Conversation, changes: Iterable[Change], now: datetime) -> Conversation:
    """Fold changes into a conversation. One new value for all of them: making it costs more than all the rest."""
    made: dict[str, Any] = {}
    for change in changes:
        match change:
            case SetLanguage(language=language):
                made["language"] = language
            case WishLanguage(language=language):
                made |= {"language": language, "wish": language}
            case SetTeam(team=team):
                made["team"] = team
            case SetPriority(priority=priority):
                made["priority"] = priority
            case SetState(state=State.RESOLVED):
                made |= {"state": State.RESOLVED, "resolved_at": now, "waiting_since": None}
            case SetState(state=state):
                waiting = made.get("waiting_since", conversation.waiting_since)
                if state is State.OPEN and made.get("state", conversation.state) is State.RESOLVED:
                    waiting = waiting or now
                made |= {"state": state, "resolved_at": None, "waiting_since": waiting}
            case SetAddress(place=place):
                channel, _, address = place.rpartition("/")
                made |= {"channel": channel, "address_id": int(address)}
            case Assign(agent=agent):
                made["agent"] = agent
            case AddTag(tag=tag):
                made["tags"] = made.get("tags", conversation.tags) | {tag}
            case RemoveTag(tag=tag):
                made["tags"] = made.get("tags", conversation.tags) - {tag}
    return replace(conversation, **made) if made else conversation


def arrived(conversation: Conversation, message: Received, address_id: int, position: int = 0) -> Conversation:
    """What any arrival does before anyone decides: it reopens, starts the wait, and says where to answer.

    `position` is the message's place; 0 takes the next. Written out because `replace` costs four times as much, and
    this runs once a message.
    """
    wakes = not message.automatic
    at = message.sent_at
    return Conversation(
        id=conversation.id,
        customer_id=conversation.customer_id,
        state=State.OPEN if wakes else conversation.state,
        priority=conversation.priority,
        tags=conversation.tags,
        team=conversation.team,
        agent=conversation.agent,
        language=conversation.language,
        address_id=address_id if wakes or conversation.address_id is None else conversation.address_id,
        channel=message.channel if wakes or not conversation.channel else conversation.channel,
        last_position=position or conversation.last_position + 1,
        waiting_since=conversation.waiting_since or at if wakes else conversation.waiting_since,
        last_in_at=at if conversation.last_in_at is None or at > conversation.last_in_at else conversation.last_in_at,
        last_out_at=conversation.last_out_at,
        resolved_at=None if wakes else conversation.resolved_at,
        wish=conversation.wish,
    )


def answered(conversation: Conversation, now: datetime) -> Conversation:
    """What an answer to the customer does: the wait is over and it is their turn."""
    state = State.WAITING if conversation.state is State.OPEN else conversation.state
    return replace(
        conversation,
        state=state,
        waiting_since=None,
        last_out_at=now,
        last_position=conversation.last_position + 1,
    )


def as_json(change: Change) -> dict[str, Any]:
    """The stored form of a change: its name and its one value."""
    (value,) = (getattr(change, name) for name in change.__slots__)
    return {"change": _NAMES[type(change)], "value": value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A change that was made, by whom and why."""

    conversation_id: int
    by: str
    change: Change
    because: str = field(default="")
