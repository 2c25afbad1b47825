"""What an arrival changes, decided inside the intake: language, tags, priority and team, each with its reason. Pure.

Rule: words and rules decide here, in less than half a millisecond. What needs the database, a model or somebody else
is named as work and follows: the acknowledgement, and a closer look at what was said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta

from inbox.changes import (
    AddTag,
    Change,
    Conversation,
    Decision,
    Facts,
    Priority,
    Put,
    RemoveTag,
    SetLanguage,
    SetPriority,
    SetTeam,
    WishLanguage,
    apply,
    changes_nothing,
)
from routing.language import settle
from routing.phrases import Reading
from routing.policy import Policy
from routing.rules import Outcome, Subject
from routing.weighing import TAGS

ACKNOWLEDGE, UNDERSTAND = "acknowledge", "understand"  # kinds of work, a conversation each
SURE = 2.0  # score from which a tag that words tell is set: a likely phrase, or two hints
ALL_TAGS = frozenset(TAGS)

_NO_MATTER = frozenset({"spam", "other", "praise"})
_COMMAND = re.compile(r"/[A-Za-z_]{1,32}(@\w+)?", re.ASCII)  # a button of a messenger writes so: nobody asked

_NOTHING = Outcome()


def triage(policy: Callable[[], Policy]) -> Callable[[Facts], Decision]:
    """A decision function for the intake. `policy` answers the one in force."""

    def decide(facts: Facts) -> Decision:
        return decided(facts, policy())

    return decide


def decided(facts: Facts, policy: Policy) -> Decision:
    """Decide about one message that has arrived."""
    matter = _Matter(facts)
    if facts.fresh and not facts.message.automatic:
        matter.begin_anew()
    matter.add(*_language(facts, policy))
    outcome = _NOTHING
    if not facts.message.automatic:
        words = policy.phrases.read(said(facts.message.subject, facts.message.text))
        matter.add(*_words(matter.now, words, fresh=facts.fresh))
    outcome = policy.rules.decide(_subject(facts, matter.now, policy))
    matter.add(outcome.changes, outcome.because)
    matter.add(*_team(facts, matter.now, policy, outcome))
    return Decision(
        changes=tuple(matter.changes),
        because="; ".join(matter.because),
        puts=tuple(_puts(facts, matter.now, policy, outcome)),
    )


def said(subject: str, text: str) -> str:
    """A message as the words are read: a mail's subject is a sentence of its own."""
    return f"{subject}.\n{text}" if subject else text


class _Matter:
    """What was decided so far, and the conversation as it stands by then."""

    def __init__(self, facts: Facts) -> None:
        self.now: Conversation = facts.conversation
        self.at = facts.now
        self.changes: list[Change] = []
        self.because: list[str] = []

    def add(self, changes: Iterable[Change], because: str = "") -> None:
        made = [change for change in changes if not changes_nothing(self.now, change)]
        if made:
            self.now = apply(self.now, made, self.at)
            self.changes += made
            if because:
                self.because.append(because)

    def begin_anew(self) -> None:
        """What the last matter was about says nothing of this one; the shop's own tags stay."""
        stale = sorted(self.now.tags & ALL_TAGS)
        self.add([*(RemoveTag(tag=tag) for tag in stale), SetPriority(priority=Priority.NORMAL)], "a new matter")


def _language(facts: Facts, policy: Policy) -> tuple[list[Change], str]:
    conversation, message = facts.conversation, facts.message
    if message.automatic and conversation.language:
        return [], ""
    if not (message.text or message.language):
        return [], ""
    settled = settle((), message.text, policy.languages, message.language, kept=conversation.language)
    if settled.asked:
        return [WishLanguage(language=settled.language)], f"asks for {settled.language}"
    if conversation.wish in policy.languages or (conversation.language in policy.languages and not settled.sureness):
        return [], ""
    return [SetLanguage(language=settled.language)], ""  # the card shows it, and anybody sees why


def _words(conversation: Conversation, words: Reading, *, fresh: bool) -> tuple[list[Change], str]:
    """What the words tell. They add tags; within a matter they raise the priority, and never lower it."""
    tags = [one.name for one in words.tags if one.score >= SURE]
    changes: list[Change] = [AddTag(tag=tag) for tag in tags if tag != "other" or not conversation.tags]
    spam = tags[:1] == ["spam"]
    if "spam" in conversation.tags and not spam and set(tags) - _NO_MATTER:
        changes.append(RemoveTag(tag="spam"))  # whoever has a matter is a customer after all
        changes.append(SetPriority(priority=words.priority))
        return changes, words.because
    spam = spam or "spam" in conversation.tags
    raises = words.priority < conversation.priority and not spam
    lowers = fresh and words.priority is Priority.LOW
    if raises or lowers:
        changes.append(SetPriority(priority=words.priority))
    return changes, words.because


def _subject(facts: Facts, conversation: Conversation, policy: Policy) -> Subject:
    message = facts.message
    hours = policy.team(conversation.team).hours
    since = conversation.waiting_since
    return Subject(
        text=message.text,
        subject=message.subject,
        channel=message.channel,
        kind=policy.kinds.get(message.channel, ""),
        language=conversation.language,
        tags=conversation.tags,
        priority=conversation.priority,
        team=conversation.team,
        agent=conversation.agent,
        state=facts.before,
        known=facts.known,
        proof=facts.proof,
        address=facts.address,
        files=tuple(file.media_type for file in message.attachments),
        automatic=message.automatic,
        open=hours is None or hours.open_at(facts.now),
        waited=facts.now - since if since else timedelta(),
    )


def _team(facts: Facts, conversation: Conversation, policy: Policy, outcome: Outcome) -> tuple[list[Change], str]:
    """A new matter goes to the team it fits, unless a rule said which; otherwise it stays where it is."""
    placed = any(isinstance(change, SetTeam) for change in outcome.changes)
    stays = conversation.team in policy.teams and not (facts.fresh and not facts.message.automatic)
    if placed or stays:
        return [], ""
    if conversation.team in policy.teams and facts.known and conversation.agent:
        return [], ""  # somebody has it
    team, because = policy.team_for(conversation.language, conversation.tags)
    return [SetTeam(team=team)], because


def _puts(facts: Facts, conversation: Conversation, policy: Policy, outcome: Outcome) -> Iterable[Put]:
    message = facts.message
    if message.automatic or _COMMAND.fullmatch(message.text):
        return
    key = str(conversation.id)
    if policy.acknowledges and outcome.acknowledge and not message.quiet and "spam" not in conversation.tags:
        hours = policy.team(conversation.team).hours
        closed = hours is not None and not hours.open_at(facts.now)
        if closed or policy.limits.long_wait is not None:
            yield Put(kind=ACKNOWLEDGE, key=key, priority=Priority.URGENT)
    if message.text or message.subject:
        yield Put(kind=UNDERSTAND, key=key, priority=conversation.priority)
