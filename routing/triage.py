"""What an arrival changes. For now: the language of the conversation and the team that answers it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inbox.changes import Change, Decision, Facts, SetLanguage, SetTeam
from routing.language import guess


def triage(languages: Sequence[str], default_team: str, teams: frozenset[str]) -> Callable[[Facts], Decision]:
    """A decision function for the intake. A conversation of none of the configured `teams` gets the default."""

    def decide(facts: Facts) -> Decision:
        changes: list[Change] = []
        because = []
        conversation, message = facts.conversation, facts.message
        if not conversation.language and (message.text or message.language):
            language = guess(message.text, languages, message.language)
            changes.append(SetLanguage(language=language))
            because.append(f"writes {language}")
        if conversation.team not in teams:
            changes.append(SetTeam(team=default_team))
            because.append("the default team")
        return Decision(changes=tuple(changes), because="; ".join(because))

    return decide
