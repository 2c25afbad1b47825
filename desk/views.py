"""From what is stored to what is shown: the lines, cards, events and notices of a conversation, as builders take them.

Rule: pure. What a channel or a kind of address is called comes from the catalogue; nothing here knows a provider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from channels.message import COMPLAINT, Proof
from desk import cards, notices
from desk.blocks import Post, context, is_person, plain_text, small
from desk.cards import Attached, Card, FileState, Line, Place
from desk.notices import LeftOut
from desk.teams import Team
from desk.words import escape, one_line, topic
from inbox.media import FILE_EMPTY
from inbox.store import deliveries
from inbox.store.slack import Head, Said
from templates.catalog import Voice

Kinds = Mapping[str, str]  # channel name to kind

CLAIMED = "-claimed"  # ends the kind of an address that is kept apart until its owner has proven to be it
_SPEAKING = ("email", "phone")  # kinds of addresses that people know by their value


class Views:
    """Shows in one language. `kinds` tells what kind each configured channel is."""

    def __init__(self, kinds: Kinds, say: Voice) -> None:
        self._kinds = kinds
        self.say = say

    def kind(self, channel: object) -> str:
        return self._kinds.get(str(channel or ""), "unknown")

    def channel_word(self, channel: str) -> str:
        return self.say.word("channel", self.kind(channel))

    # messages

    def line(self, message: Said) -> Line:
        """A customer's message."""
        body = message.body
        why, warnings = str(body.get("why", "")), body.get("warnings", ())
        unread = "unread" in warnings
        shown_before = topic(message.subject) == topic(message.previous_subject)
        return Line(
            id=str(message.id),
            at=message.sent_at,
            sender=message.author_name,
            channel=self.kind(message.channel),
            subject="" if shown_before else message.subject,
            text=message.text,
            spans=deliveries.spans(body.get("spans", ())),
            attached=tuple(_attached(file) for file in message.files),
            quoted=str(body.get("quoted", "")),
            forwarded_from=str(body.get("forwarded_from", "")),
            stub=str(body.get("stub", "")),
            edited=message.edited_at is not None,
            withdrawn=message.withdrawn_at is not None,
            hidden=message.hidden,
            automatic=message.automatic,
            unproven=_unproven(message),
            why="" if unread else why,
            unread=why if unread else "",
            warnings=tuple(str(code) for code in warnings if code not in {"participant", "unread"}),
            bystander=message.address if _bystander(body) else "",
            also=tuple(str(channel) for channel in body.get("also", ())),
            also_to=tuple(str(who) for who in body.get("also_to", ())),
        )

    def aside(self, message: Said) -> Post:
        """What stands in the thread and is not the customer's: a note from a window, what the bot said."""
        kind = self.kind(message.channel)
        line = Line(at=message.sent_at, sender=message.author_name, channel=kind, text=message.text)
        post = cards.lines([line], self.say)
        if message.direction == "note":
            return Post(text=post.text, blocks=post.blocks, username=f"{message.author_name} 🔒"[:80])
        told = self._told(message)
        mark = "📨" if _by_agent(message) else "🤖"
        return Post(text=post.text, blocks=[*told.blocks, *post.blocks], username=f"{message.author_name} {mark}"[:80])

    def _told(self, message: Said) -> Post:
        """What we said to the customer for somebody: on whose behalf and where. Its marks say how far it got."""
        if message.withdrawn_at is not None:
            return small(self.say, "aside.undone")
        if _by_agent(message):
            key = "aside.agent"
        else:
            key = f"aside.{message.told}" if message.told in {"closed", "busy"} else "aside.automatic"
        return small(self.say, key, channel=self.channel_word(message.sent_by or message.channel))

    def event(self, message: Said, customer: str, words: str) -> Post:
        """Something that is no message. `words` is the text of the message it is about, if it is about one."""
        name, kind = customer or message.author_name or self.say("word.customer"), self.kind(message.channel)
        what, detail = str(message.body.get("event", "")), str(message.body.get("detail", ""))
        match what:
            case "opted_out" if detail == COMPLAINT:
                return notices.machine("complaint", name, "", self.say)
            case "opted_out":
                return notices.blocked(name, kind, self.say)
            case "opted_in":
                return notices.unblocked(name, kind, self.say)
            case "withdrawn":
                return notices.withdrawn(name, message.sent_at, words, self.say)
            case _ if what in notices.MACHINES:
                said = detail.strip() or str(message.body.get("subject", ""))
                return notices.machine(what, name, said, self.say)
            case _:
                shown = one_line(f"{name}  {detail}", 300)
                return Post(text=escape(f"{name}: {detail}"), blocks=[context(plain_text(shown or "…"))])

    # the card

    def card(
        self, head: Head, team: Team, opened: Sequence[Said], shown: int, *, came_from: Place | None = None
    ) -> Post:
        """The card of a conversation. `shown` of the `opened` messages stand in it whole."""
        return cards.card(self._card(head, team, opened, shown, came_from), self.say)

    def moved(self, head: Head, team: Team, to: Place) -> Post:
        """The card of a thread that the conversation has left."""
        return cards.moved(self._card(head, team, (), 0, None), to, self.say)

    def _card(self, head: Head, team: Team, opened: Sequence[Said], shown: int, came_from: Place | None) -> Card:
        conversation = head.conversation
        used = [self._kinds.get(channel, channel) for channel in head.channels] or [head.address_kind]
        claimed = head.address_kind.endswith(CLAIMED)
        return Card(
            conversation=str(conversation.id),
            customer=head.name,
            channels=tuple(dict.fromkeys(used)),
            address=_address(head),
            proof=head.proof,
            claims=head.address if claimed and "@" in head.address else "",  # a mail may name no sender at all
            looks_like=head.looks_like if claimed else "",
            language=conversation.language,
            tags=head.tags or tuple(sorted(conversation.tags)),
            priority=conversation.priority.name.lower(),
            state=conversation.state.value,
            agent=conversation.agent,
            team=team.name,
            waiting_since=conversation.waiting_since,
            blocked=head.silenced,
            due_at=head.due_at,
            due_what=head.due_what,
            due_state=head.due_state,
            reasons=head.reasons,
            came_from=came_from,
            opening=tuple(self.line(message) for message in opened),
            shown=shown,
        )

    # notices

    def notice(self, head: Head, notice: Mapping[str, Any], excerpt: str) -> Post:
        """What Santral has to say in a thread. `excerpt` begins the message it is about."""
        say, name, kind = self.say, head.name or self.say("word.customer"), self.kind(notice.get("channel"))
        code, detail = str(notice.get("code", "")), str(notice.get("detail", ""))
        match notice.get("notice"):
            case "doubt":
                return notices.doubt(str(notice["delivery"]), name, kind, excerpt, say)
            case "cannot_change" | "change_in_doubt":
                return notices.unchangeable(say, kind, withdrawn=code == "withdraw")
            case "ask_first":
                return notices.ask_first(name, kind, str(notice.get("text", "")), str(notice["event"]), say)
            case "late_reply":
                at, text = datetime.fromisoformat(str(notice["at"])), str(notice.get("text", ""))
                return notices.late_reply(str(notice["by"]), at, name, kind, text, str(notice["event"]), say)
            case "edited":
                return notices.edited(name, excerpt, (), say)
            case "misconfigured":
                return notices.failure("misconfigured", name, kind, say, detail=detail)
            case "promise":
                return notices.promise(notice, say)
            case "assigned":
                return notices.assigned(notice, say)
            case "parked" | "mailbox" | "reads_again" | "model" | "rules" | "rules_again":
                return self.alarm(notice)
            case _:
                known = code in notices.FAILURES
                told = "" if known else code  # a provider's own code says more than "refused"
                left_out = _left_out(notice)
                return notices.failure(
                    code, name, kind, say, code=told, detail=detail, excerpt=excerpt, left_out=left_out
                )

    def alarm(self, notice: Mapping[str, Any]) -> Post:
        """What concerns whoever runs Santral and may belong to no conversation."""
        detail, channel = str(notice.get("detail", "")), str(notice.get("channel", ""))
        if notice.get("notice") == "mailbox":
            return notices.refuses_us(channel, self.kind(channel), detail, self.say)
        if notice.get("notice") == "reads_again":
            return notices.reads_again(channel, self.kind(channel), self.say)
        if notice.get("notice") == "model":
            return notices.model_unused(detail, self.say)
        if notice.get("notice") == "rules":
            return notices.files_refused(detail, self.say)
        if notice.get("notice") == "rules_again":
            return notices.files_in_force(self.say)
        since = datetime.fromisoformat(str(notice["since"]))
        return notices.parked(str(notice["kind"]), since, int(notice["attempts"]), detail, self.say)


def _by_agent(message: Said) -> bool:
    """Whether a person said it, in a window, rather than Santral or a bot. Only people have a Slack id for a name."""
    return is_person(message.author)


def _left_out(notice: Mapping[str, Any]) -> LeftOut | None:
    """The file that a failure is about."""
    if not notice.get("file"):
        return None
    most, rest = notice.get("most"), notice.get("rest")
    return LeftOut(
        name=str(notice["file"]),
        most=int(most) if most is not None else None,
        rest=bool(rest) if rest is not None else None,
    )


def _unproven(message: Said) -> bool:
    """Whether this very message may be somebody else's. Channels that vouch for every sender tell no proof."""
    proof = message.body.get("proof")
    if proof is None:
        return message.address_kind.endswith(CLAIMED)
    return int(proof) <= Proof.CLAIMED


def _bystander(body: Mapping[str, Any]) -> bool:
    return bool(body.get("participant")) or "participant" in body.get("warnings", ())


def _attached(file: Mapping[str, Any]) -> Attached:
    if file["size"] == 0 or file["why"] == FILE_EMPTY:
        state = FileState.EMPTY
    elif file["state"] == "failed":
        state = FileState.TOO_BIG if file["why"] == "file_too_big" else FileState.LOST
    else:
        state = FileState.ARRIVING if file["shown_at"] is None else FileState.SHOWN
    return Attached(name=file["filename"], media_type=file["media_type"], size=file["size"], state=state)


def _address(head: Head) -> str:
    """Where the customer is reached; a phone number says more to people than the id a platform uses."""
    kind = head.address_kind.removesuffix(CLAIMED)
    if not head.address or kind in _SPEAKING:
        return head.address or head.phone
    return head.phone or f"{kind}:{head.address}"
