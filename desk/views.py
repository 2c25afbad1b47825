"""From what is stored to what is shown: the lines, cards, events and notices of a conversation, as builders take them.

Rule: pure. What a channel or a kind of address is called comes from the catalogue; nothing here knows a provider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from channels.channel import Capabilities
from channels.errors import Unwanted
from channels.message import COMPLAINT, Proof, Status
from desk import alarms, cards, notices, tidings
from desk.blocks import Place, Post, context, is_person, plain_text, small
from desk.cards import Attached, Card, FileState, Line
from desk.notices import Ended, LeftOut, Out, Way
from desk.teams import Team
from desk.words import escape, one_line, topic
from inbox.media import FILE_EMPTY
from inbox.store import deliveries
from inbox.store.replies import ELSEWHERE
from inbox.store.slack import Fate, Head, Said
from inbox.windows import Window, closes_at, window
from templates.catalog import Voice

Kinds = Mapping[str, str]  # channel name to kind

CLAIMED = "-claimed"  # ends the kind of an address that is kept apart until its owner has proven to be it
UNTOLD = "?"  # the app in which the shop answered past us, where the platform does not tell
CUT_OFF = frozenset({"window_closed", "unreachable", "opted_out", "channel_gone"})  # what only another way mends
_SPEAKING = ("email", "phone")  # kinds of addresses that people know by their value


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a notice is about, as it stands by now."""

    excerpt: str = ""  # the beginning of the message
    fate: Fate | None = None  # of the delivery
    ways: tuple[Way, ...] = ()  # other ways by which the customer may be answered now
    templates: bool = False  # the provider has approved some for this channel
    other: str = ""  # the customer whose address it turned out to be
    thread: Place | None = None  # where that one's conversation is
    erased: bool = False  # the message it is about had to be forgotten


NOTHING = Facts()


class Views:
    """Shows in one language. `kinds` tells what kind each configured channel is, `capabilities` what it carries."""

    def __init__(self, kinds: Kinds, say: Voice, capabilities: Mapping[str, Capabilities] | None = None) -> None:
        self._kinds = kinds
        self._capabilities = capabilities or {}
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
            sender=message.author_name or ("" if _bystander(body) else message.customer),
            channel=self.kind(message.channel),
            subject="" if shown_before else message.subject,
            text=message.text,
            spans=deliveries.spans(body.get("spans", ())),
            attached=tuple(_attached(file) for file in message.files),
            quoted=str(body.get("quoted", "")) or message.about,
            forwarded_from=str(body.get("forwarded_from", "")),
            stub=str(body.get("stub", "")),
            edited=message.edited_at is not None,
            withdrawn=message.withdrawn_at is not None,
            erased=bool(body.get("erased")),
            hidden=message.hidden,
            automatic=message.automatic and not body.get("idle"),
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
        if message.body.get("elsewhere"):
            return self._elsewhere(message)
        kind = self.kind(message.channel)
        line = Line(at=message.sent_at, sender=message.author_name, channel=kind, text=message.text)
        post = cards.lines([line], self.say)
        if message.direction == "note":
            return Post(text=post.text, blocks=post.blocks, username=f"{message.author_name} 🔒"[:80])
        told = self._told(message)
        mark = "📨" if _by_agent(message) else "🤖"
        return Post(text=post.text, blocks=[*told.blocks, *post.blocks], username=f"{message.author_name} {mark}"[:80])

    def _elsewhere(self, message: Said) -> Post:
        """What the shop answered past us: no words of the customer, and none that we have to see through."""
        line = replace(self.line(message), sender=self.say("word.shop"), subject="", unproven=False)
        post, told = cards.lines([line], self.say), self.elsewhere(str(message.body["elsewhere"]))
        return replace(post, text=f"{told.text}\n{post.text}", blocks=[*told.blocks, *post.blocks])

    def elsewhere(self, app: str) -> Post:
        """The line above what the shop answered past us, in an app that may not be known."""
        if app == UNTOLD:
            return small(self.say, "aside.elsewhere_untold")
        return small(self.say, "aside.elsewhere", app=app)

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
                return tidings.machine("complaint", name, "", self.say)
            case "opted_out" if "word" in message.body or "lasting" in message.body:
                ended = Ended(word=str(message.body.get("word", "")), for_good="lasting" in message.body)
                return tidings.opted_out(name, kind, ended, self.say)
            case "opted_out":
                return tidings.blocked(name, kind, self.say)
            case "opted_in":
                return tidings.unblocked(name, kind, self.say)
            case "withdrawn" if message.body.get("erased"):
                return tidings.erased(name, message.sent_at, self.say)
            case "withdrawn":
                return tidings.withdrawn(name, message.sent_at, words, self.say)
            case "reacted":
                return tidings.reacted(name, detail, message.about, self.say)
            case _ if what in tidings.MACHINES:
                said = detail.strip() or str(message.body.get("subject", ""))
                return tidings.machine(what, name, said, self.say)
            case _:
                shown = one_line(f"{name}  {detail}", 300)
                return Post(text=escape(f"{name}: {detail}"), blocks=[context(plain_text(shown or "…"))])

    # the card

    def card(
        self,
        head: Head,
        team: Team,
        opened: Sequence[Said],
        shown: int,
        *,
        came_from: Place | None = None,
        now: datetime | None = None,
    ) -> Post:
        """The card of a conversation. `shown` of the `opened` messages stand in it whole."""
        return cards.card(self._card(head, team, opened, shown, came_from, now), self.say)

    def moved(self, head: Head, team: Team, to: Place) -> Post:
        """The card of a thread that the conversation has left."""
        return cards.moved(self._card(head, team, (), 0, None, None), to, self.say)

    def _card(
        self,
        head: Head,
        team: Team,
        opened: Sequence[Said],
        shown: int,
        came_from: Place | None,
        now: datetime | None,
    ) -> Card:
        conversation = head.conversation
        can = self._capabilities.get(conversation.channel)
        ended = Ended(word=head.stop_word, for_good=head.opted_out) if head.cut_off == Unwanted.code else None
        last = next(iter(head.channels), conversation.channel)
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
            blocked=bool(head.cut_off),
            ended=ended.word if ended else "",
            ended_for_good=bool(ended and ended.for_good),
            answers_by=self.kind(conversation.channel) if conversation.channel not in ("", last) else "",
            closes_at=closes_at(can, head.heard_at) if can else None,
            closed=bool(can and now and window(can, head.heard_at, now) is Window.CLOSED),
            due_at=head.due_at,
            due_what=head.due_what,
            due_state=head.due_state,
            reasons=head.reasons,
            came_from=came_from,
            opening=tuple(self.line(message) for message in opened),
            shown=shown,
        )

    # notices

    def notice(self, head: Head, notice: Mapping[str, Any], facts: Facts = NOTHING) -> Post:
        """What Santral has to say in a thread."""
        say, name, kind = self.say, head.name or self.say("word.customer"), self.kind(notice.get("channel"))
        code, detail, excerpt = str(notice.get("code", "")), str(notice.get("detail", "")), facts.excerpt
        match notice.get("notice"):
            case "doubt":
                settled = self._doubt_settled(facts.fate, kind)
                return settled or notices.doubt(str(notice["delivery"]), name, kind, excerpt, say)
            case "failure" if (settled := self._failure_settled(facts.fate)) is not None:
                return settled
            case "moved_on":
                return tidings.moved_on(name, kind, str(notice.get("old", "")), detail, say)
            case "moved_onto":
                old = str(notice.get("old", ""))
                return tidings.moved_onto(name, kind, old, detail, facts.other, facts.thread, say)
            case "same_person":
                return tidings.same_person(name, detail, facts.other, facts.thread, say)
            case "closing":
                at, agent = datetime.fromisoformat(str(notice["closes"])), str(notice.get("agent", ""))
                return tidings.closing(name, kind, at, agent, say)
            case "edited" if facts.erased:
                return small(say, "line.erased")
            case "cannot_change" | "change_in_doubt":
                return notices.unchangeable(say, kind, withdrawn=code == "withdraw")
            case "ask_first":
                return notices.ask_first(name, kind, str(notice.get("text", "")), str(notice["event"]), say)
            case "late_reply":
                at, text = datetime.fromisoformat(str(notice["at"])), str(notice.get("text", ""))
                return notices.late_reply(str(notice["by"]), at, name, kind, text, str(notice["event"]), say)
            case "edited":
                return tidings.edited(name, excerpt, (), say)
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
                return notices.failure(
                    code,
                    name,
                    kind,
                    say,
                    code=told,
                    detail=detail,
                    excerpt=excerpt,
                    left_out=_left_out(notice),
                    out=self._out(head, code, str(notice.get("delivery", "")), facts),
                )

    def _doubt_settled(self, fate: Fate | None, kind: str) -> Post | None:
        """What a doubt has become; None while it is one."""
        if fate is None or (fate.status is Status.IN_DOUBT and not fate.told_since):
            return None
        if fate.by:
            return notices.settled(fate.by, self.say, arrived=fate.value == "arrived")
        if fate.status is Status.QUEUED:
            return notices.settled_before(self.say)
        return notices.came_after_all(kind, self.say, arrived=fate.status is not Status.FAILED)

    def _failure_settled(self, fate: Fate | None) -> Post | None:
        """What a failure has become; None while it is one."""
        if fate is None or (fate.status is Status.FAILED and not fate.told_since and fate.code != ELSEWHERE):
            return None
        if fate.act == "answer_elsewhere" and fate.code == ELSEWHERE:
            channel = self.kind(fate.value.rpartition("/")[0])
            return notices.sent_another_way(fate.by, channel, self.say)
        return notices.settled(fate.by, self.say, arrived=False) if fate.by else notices.settled_before(self.say)

    def _out(self, head: Head, code: str, delivery: str, facts: Facts) -> Out:
        """What can be done about a failure."""
        fate = facts.fate
        if fate is None:
            return notices.ALONE
        cut_off = code in CUT_OFF
        return Out(
            arrived=fate.arrived,
            parts=fate.parts,
            again=delivery if fate.parts > 1 and fate.resendable and not cut_off else "",
            template=str(head.conversation.id) if code == "window_closed" and facts.templates else "",
            message=str(fate.message_id),
            ways=facts.ways if cut_off else (),
            ended=Ended(word=fate.stop_word, for_good=fate.opted_out),
        )

    def alarm(self, notice: Mapping[str, Any]) -> Post:
        """What concerns whoever runs Santral and may belong to no conversation."""
        detail, channel = str(notice.get("detail", "")), str(notice.get("channel", ""))
        if notice.get("notice") == "mailbox":
            return alarms.refuses_us(channel, self.kind(channel), detail, self.say)
        if notice.get("notice") == "reads_again":
            return alarms.reads_again(channel, self.kind(channel), self.say)
        if notice.get("notice") == "model":
            return alarms.model_unused(detail, self.say)
        if notice.get("notice") == "rules":
            return alarms.files_refused(detail, self.say)
        if notice.get("notice") == "rules_again":
            return alarms.files_in_force(self.say)
        since = datetime.fromisoformat(str(notice["since"]))
        return alarms.parked(str(notice["kind"]), since, int(notice["attempts"]), detail, self.say)


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
