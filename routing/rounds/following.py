"""Which rounds a changed conversation makes necessary, beside what the desk shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from inbox.changes import Conversation, FollowUp, Put, State
from routing.policy import Policy
from routing.rounds.promising import PROMISE

ASSIGN = "assign"  # a kind of work; the key is a team


class FollowUps:
    """The desk's work, the promise's clock, and an agent where nobody has the conversation."""

    def __init__(self, desk: FollowUp, policy: Callable[[], Policy]) -> None:
        self._desk = desk
        self._policy = policy

    def __call__(self, conversation: Conversation, *, lines: bool) -> Iterable[Put]:
        found = [*self._desk(conversation, lines=lines)]
        policy = self._policy()
        if policy.targets.common or policy.targets.teams:
            found.append(Put(kind=PROMISE, key=str(conversation.id), priority=conversation.priority))
        team = policy.team(conversation.team)
        if team.method is not None and (conversation.state is State.OPEN or conversation.agent):
            # Also for who has somebody: they may have left meanwhile, or have room for another one now.
            found.append(Put(kind=ASSIGN, key=team.name, priority=conversation.priority))
        return found
