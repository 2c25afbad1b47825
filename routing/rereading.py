"""A conversation decided once more: what its messages would come to by other rules, beside how it stands. Pure.

Rule: only what was decided as messages arrived is decided anew. What people, clocks and the learned model did stays as
it happened, when it happened, so a difference is the doing of words and rules alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from channels.message import Proof, Received
from inbox.changes import (
    AddTag,
    Assign,
    Change,
    Conversation,
    Decision,
    Facts,
    RemoveTag,
    SetPriority,
    SetTeam,
    State,
    apply,
    arrived,
)
from inbox.changes import answered as answer

DECIDED = "triage"  # who makes the changes that are decided as a message arrives
SLACK = timedelta(seconds=10)  # a change and the message that caused it are stamped by two clocks
SHOWN = 200  # characters of a message that are kept to be shown

Decide = Callable[[Facts], Decision]
Trait = tuple[str, str]  # what of a conversation is compared: "team", "priority", "agent", or "tag" and which


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A change that somebody made."""

    at: datetime
    by: str
    change: Change
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How one conversation would stand otherwise. `now` and `then` are in the same order."""

    conversation_id: int
    at: datetime  # of the message
    words: str  # of the message that makes the difference
    now: tuple[str, ...]
    then: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class _Cause:
    at: datetime
    words: str
    because: str


class Rereading:
    """One conversation on its way through its messages; feed it in their order, then ask for the `difference`.

    `now` is how it stands, `past` every change ever made to it, in order.
    """

    def __init__(self, now: Conversation, past: Sequence[Past], decide: Decide) -> None:
        self._now = now
        self._decide = decide
        self._then: Conversation | None = None  # None until the first message
        self._decided = deque(one for one in past if one.by == DECIDED)
        self._others = deque(one for one in past if one.by != DECIDED)
        self._causes: dict[Trait, _Cause] = {}  # what is decided now, and
        self._old: dict[Trait, _Cause] = {}  # what was decided then, each by the words it is decided about
        self._last: _Cause | None = None

    @property
    def fed(self) -> bool:
        """Whether a customer's message was read."""
        return self._last is not None

    def received(self, message: Received, *, position: int, at: datetime, proof: Proof) -> None:
        """A customer wrote; `at` is when it was stored."""
        before = self._until(at)
        conversation = arrived(before, message, before.address_id or 0, position)
        facts = Facts(
            conversation=conversation,
            message=message,
            known=position > 1,
            address=message.sender,
            proof=proof,
            now=at,
            fresh=before.state is State.RESOLVED or position == 1,
        )
        decision = self._decide(facts)
        self._then = apply(conversation, decision.changes, at)
        words = " ".join(f"{message.subject} {message.text}".split())[:SHOWN]
        holds = _reasons(decision.because)
        self._last = _Cause(at, words, decision.because)
        for trait in _unlike(conversation, self._then):
            self._causes[trait] = self._last
        while self._decided and self._decided[0].at <= at + SLACK:
            old = self._decided.popleft()
            if (decided := _trait(old.change)) is not None:
                gone = "; ".join(one for one in _reasons(old.because) if one not in holds)
                self._old[decided] = _Cause(at, words, f"no longer: {gone}" if gone else "")

    def answered(self, at: datetime) -> None:
        """A person answered."""
        self._then = answer(self._until(at), at)

    def difference(self) -> Difference | None:
        """How it would stand otherwise; None where it would not, or no message was fed."""
        if self._then is None or self._last is None:
            return None
        for one in self._others:
            self._then = apply(self._then, [one.change], one.at)
        self._others.clear()
        unlike = _unlike(self._now, self._then)
        if not unlike:
            return None
        causes = [found for trait in unlike if (found := self._causes.get(trait) or self._old.get(trait))]
        return Difference(
            conversation_id=self._now.id,
            at=(causes or [self._last])[0].at,
            words=(causes or [self._last])[0].words,
            now=tuple(now for now, _ in unlike.values()),
            then=tuple(then for _, then in unlike.values()),
            because="; ".join(dict.fromkeys(found.because for found in causes if found.because)),
        )

    def _until(self, at: datetime) -> Conversation:
        """The conversation with all that others did to it before `at`."""
        then = self._then
        if then is None:
            then = Conversation(id=self._now.id, customer_id=self._now.customer_id)
            earlier = []
            for known in (self._decided, self._others):
                while known and known[0].at < at - SLACK:
                    earlier.append(known.popleft())
            for one in sorted(earlier, key=lambda one: one.at):
                then = apply(then, [one.change], one.at)
        while self._others and self._others[0].at < at:
            one = self._others.popleft()
            then = apply(then, [one.change], one.at)
        return then


def _unlike(now: Conversation, then: Conversation) -> Mapping[Trait, tuple[str, str]]:
    """Where two differ, in words."""
    found: dict[Trait, tuple[str, str]] = {}
    if now.priority is not then.priority:
        found["priority", ""] = (now.priority.name.lower(), then.priority.name.lower())
    if now.team != then.team:
        found["team", ""] = (f"team {now.team or 'none'}", f"team {then.team or 'none'}")
    if now.agent != then.agent:
        found["agent", ""] = (now.agent or "no agent", then.agent or "no agent")
    for tag in sorted(now.tags ^ then.tags):
        found["tag", tag] = (tag, f"no {tag}") if tag in now.tags else (f"no {tag}", tag)
    return found


def _reasons(because: str) -> list[str]:
    """The single reasons of a decision, which are told together."""
    return [reason for reason in because.split("; ") if reason]


def _trait(change: Change) -> Trait | None:
    match change:
        case SetPriority():
            return "priority", ""
        case SetTeam():
            return "team", ""
        case Assign():
            return "agent", ""
        case AddTag(tag=tag) | RemoveTag(tag=tag):
            return "tag", tag
    return None
