"""The teams as the desk needs them: where a team's conversations stand in Slack, and how its people answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from desk.commands import Replies as Plain
from inbox.changes import Conversation, Put


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    name: str
    slack_channel: str
    members: frozenset[str] = frozenset()  # user and user group ids; empty: everyone in the Slack channel
    plain: Plain = Plain.SEND  # what plain thread text is
    ask_first: bool = True
    undo: timedelta = timedelta(seconds=5)


def post_lane(slack_channel: str) -> str:
    """The lane of everything posted to one Slack channel, which takes about a message a second."""
    return f"slack:{slack_channel}"


UPDATE_LANE = "slack-update"


class Teams:
    """Teams by name; a conversation whose team is unknown belongs to the first."""

    def __init__(self, teams: Sequence[Team]) -> None:
        self._teams = {team.name: team for team in teams}
        self.first = teams[0]

    def __iter__(self) -> Iterator[Team]:
        return iter(self._teams.values())

    def of(self, conversation: Conversation) -> Team:
        return self._teams.get(conversation.team, self.first)

    def at(self, slack_channel: str) -> Team | None:
        """The team whose Slack channel this is."""
        return next((team for team in self._teams.values() if team.slack_channel == slack_channel), None)

    def follow_up(self, conversation: Conversation, *, lines: bool) -> Iterable[Put]:
        """The work a changed conversation needs: new lines in its thread, or only a true card."""
        id = str(conversation.id)
        if lines:
            lane = post_lane(self.of(conversation).slack_channel)
            return [Put(kind="mirror", key=id, lane=lane, priority=conversation.priority)]
        return [Put(kind="card", key=id, lane=UPDATE_LANE, priority=conversation.priority)]
