"""The card at the head of a Slack thread, and the customer's messages below it.

Rule: pure builders within Slack's limits, whatever a customer is called or writes. Times are Slack's own relative
dates, so that a card stays true without an update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from channels.message import Proof, Span, SpanKind
from desk.blocks import (
    AGO,
    UNTIL,
    Block,
    Link,
    Mention,
    Place,
    Post,
    SlackChannel,
    button,
    buttons,
    context,
    mrkdwn,
    person,
    plain_text,
    sentence,
    small,
)
from desk.words import TEXT_LIMIT, date, display_name, escape, inline, literal_blocks, one_line, plain, shorten
from templates.catalog import Voice

POST_BLOCKS = 50  # what Slack takes in one message
# Of these, around a card's words: its head, two of a warning, how many more, how things stand, why, where it came from,
# buttons.
AROUND = 8
CARD_TEXT = 2_600  # beyond this a card is a wall, and the words are easier to read in the thread
CARD_LINES = 10
LONG = 4_200  # of one message in the thread: what any chat takes; of a longer one, a mail, a button shows the rest
EXCERPT = 300
REASONS = 240  # of why it was triaged so
CONTEXT_ELEMENTS = 10
PAUSE = timedelta(minutes=1)  # messages closer together than this were written in one go

_PRIORITIES = {"urgent": "🔴", "high": "🟠", "low": "⚪"}
_FILES = 20  # attachments named in one line; the rest are counted
_TAGS = 12
_WARNINGS = 10
_NAMED = 5  # of those a message also went to
PROMISES = frozenset({"first_answer", "next_answer", "resolution"})
_DUE = {"running": "⏱", "warned": "⚠️", "broken": "❌"}  # a promise by how it stands; one that is paused says nothing


# What stands beside a customer's words, so that their channel is seen before it is read. Slack's names of emoji.
ICONS = {
    "telegram": "small_airplane",
    "whatsapp": "large_green_circle",
    "whatsapp-twilio": "large_green_circle",
    "sms": "iphone",
    "email": "envelope",
    "email-claimed": "envelope",
    "messenger": "zap",
    "instagram": "camera_with_flash",
    "x": "bird",
    "webchat": "speech_balloon",
    "form": "page_facing_up",
}


class FileState(StrEnum):
    ARRIVING = "arriving"
    SHOWN = "shown"  # it stands in the thread
    TOO_BIG = "too_big"
    LOST = "lost"
    EMPTY = "empty"  # of no bytes, which Slack does not take


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A file of a message, as a line names it. `size` in bytes."""

    name: str = ""
    media_type: str = ""
    size: int | None = None
    state: FileState = FileState.ARRIVING


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One customer message to show. `channel` is a kind (`telegram`), `stub` the kind of what cannot be shown.

    With an `id`, a button offers the whole of what is cut here or `hidden`.
    """

    id: str = ""
    at: datetime
    sender: str = ""
    channel: str = ""
    subject: str = ""
    text: str = ""
    spans: tuple[Span, ...] = ()
    attached: tuple[Attached, ...] = ()
    quoted: str = ""
    forwarded_from: str = ""
    stub: str = ""
    edited: bool = False
    withdrawn: bool = False
    erased: bool = False  # taken back, and the platform asks that it be forgotten
    hidden: bool = False  # a quoted past or a signature was left out
    automatic: bool = False
    unproven: bool = False  # nobody vouches for its sender
    why: str = ""  # its sender was believed or not, in words
    unread: str = ""  # why it could not be read
    warnings: tuple[str, ...] = ()  # codes: `warning.{code}` in the catalogue
    bystander: str = ""  # the address of a writer who is not the customer
    also: tuple[str, ...] = ()  # channels by which it came as well
    also_to: tuple[str, ...] = ()  # who else was written to


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A conversation as its card shows it.

    `opening` are the messages that waited when the thread was opened, all of them, and `shown` how many of them the
    card took then (`fits`): keep that number, or an edit could push a message out of the card that nobody posted.
    """

    conversation: str
    customer: str
    channels: tuple[str, ...]  # kinds, the one last used first
    address: str = ""
    proof: Proof = Proof.CLAIMED
    claims: str = ""  # the address they have not proven to be theirs
    looks_like: str = ""  # the customer whose address that is
    language: str = ""  # BCP 47
    tags: tuple[str, ...] = ()
    priority: str = "normal"
    state: str = "open"
    agent: str = ""  # Slack user id or name
    team: str = ""
    waiting_since: datetime | None = None
    blocked: bool = False
    ended: str = ""  # the word by which they ended what is sent to them
    ended_for_good: bool = False  # only their own word begins it again
    answers_by: str = ""  # the kind of channel that answers go to, where it is not the one they used last
    closes_at: datetime | None = None  # when that one takes no free answers any more
    closed: bool = False  # that is so already
    due_at: datetime | None = None  # of the promise that breaks first
    due_what: str = ""  # first_answer, next_answer, resolution
    due_state: str = ""  # running, warned, broken
    reasons: tuple[str, ...] = ()  # of triage, as it wrote them: they quote the customer
    came_from: Place | None = None  # the Slack thread it was in before
    opening: tuple[Line, ...] = ()
    shown: int | None = None


def card(view: Card, say: Voice) -> Post:
    """The head of the Slack thread: who, the words, how things stand, what can be done."""
    title = _title(view, say)
    words = _opening(view, say)
    heard = next((said for line in view.opening if (said := plain(line.text or line.subject).strip())), "")
    blocks = [
        {"type": "header", "text": plain_text(shorten(title, 150))},
        *_claim(view, say),
        *words,
        context(mrkdwn(_standing(view, say))),
        *_reasons(view, say),
        *_before(view, say),
        buttons(*_buttons(view, say)),
    ]
    return Post(text=escape(f"{title}: {shorten(heard, EXCERPT)}" if heard.strip() else title), blocks=blocks)


def moved(view: Card, to: Place, say: Voice) -> Post:
    """What becomes of the card of a thread that its conversation has left: where it goes on, and nothing to press."""
    title = _title(view, say)
    post = sentence(say, "card.moved", slack_channel=SlackChannel(id=to.slack_channel), thread=_thread(to, say))
    head = {"type": "header", "text": plain_text(shorten(title, 150))}
    return Post(text=f"{escape(title)}: {post.text}", blocks=[head, *post.blocks])


def _title(view: Card, say: Voice) -> str:
    channels = " + ".join(say.word("channel", kind) for kind in view.channels) or say("channel.unknown")
    name = display_name(view.customer, shorten(channels, 40), nobody=say("word.customer"))
    sign = "✅" if view.state == "resolved" else _PRIORITIES.get(view.priority, "")
    return f"{sign} {name}".strip()


def _thread(place: Place, say: Voice) -> Link:
    return Link(url=place.url, label=say("card.thread"))


def _claim(view: Card, say: Voice) -> list[Block]:
    """The warning above all else: this may be somebody who only says to be the customer."""
    if not view.claims:
        return []
    post = sentence(say, "card.claimed", address=view.claims)
    return (post + small(say, "card.looks_like", name=view.looks_like) if view.looks_like else post).blocks


def fits(lines: Sequence[Line], say: Voice) -> int:
    """How many of the waiting messages go into a new card. The rest, if any, are posted below it."""
    return _count(lines, say, text=CARD_TEXT, most=CARD_LINES, blocks=POST_BLOCKS - AROUND)


def lines(messages: Sequence[Line], say: Voice) -> Post:
    """Customer messages in one post, under the customer's name. Give it as many as `take_fitting` says."""
    first = messages[0]
    share = TEXT_LIMIT // len(messages) if len(messages) > 1 and _weight(messages) > TEXT_LIMIT else TEXT_LIMIT
    blocks: list[Block] = []
    for at, line in enumerate(messages):
        paused = at > 0 and line.at - messages[at - 1].at > PAUSE
        blocks += _line(line, say, limit=share, timed=paused)
    text = "\n".join(_summary(line, say) for line in messages)
    username = display_name(first.sender, say.word("channel", first.channel or "unknown"), nobody=say("word.customer"))
    icon = ICONS.get(first.channel, "")
    return Post(text=escape(text), blocks=blocks[:POST_BLOCKS], username=username, icon=icon)


def take_fitting(messages: Sequence[Line], say: Voice) -> int:
    """How many messages, from the first, go into one post: one name, one channel, within Slack's limits. Never 0."""
    same = 0
    for line in messages:
        if (line.sender, line.channel) != (messages[0].sender, messages[0].channel):
            break
        same += 1
    return max(_count(messages[:same], say, text=TEXT_LIMIT, most=POST_BLOCKS, blocks=POST_BLOCKS), min(1, same))


def _count(messages: Sequence[Line], say: Voice, *, text: int, most: int, blocks: int) -> int:
    taken = 0
    for line in messages[:most]:
        text -= _weight([line])
        # As if it were cut: beside others it may be, and then it has a button more.
        blocks -= len(_line(replace(line, hidden=True), say, limit=TEXT_LIMIT, timed=True))
        if text < 0 or blocks < 0:
            break
        taken += 1
    return taken


def _weight(messages: Sequence[Line]) -> int:
    """Code points these messages take up, each cut where it would be cut by itself."""
    return sum(min(len(line.text), _most(line)) + len(line.subject) for line in messages)


def _most(line: Line) -> int:
    return LONG if line.id else TEXT_LIMIT


def _opening(view: Card, say: Voice) -> list[Block]:
    count = fits(view.opening, say) if view.shown is None else min(view.shown, len(view.opening), CARD_LINES)
    taken = view.opening[:count]
    left = len(view.opening) - count
    blocks: list[Block] = []
    if not taken and left:
        blocks += _line(view.opening[0], say, limit=EXCERPT, timed=False)
    share = TEXT_LIMIT if _weight(taken) <= TEXT_LIMIT else TEXT_LIMIT // len(taken)
    for at, line in enumerate(taken):
        paused = at > 0 and line.at - taken[at - 1].at > PAUSE
        blocks += _line(line, say, limit=share, timed=paused)
    blocks = blocks[: POST_BLOCKS - AROUND]
    if left:
        more = say("card.more", count=left) if taken else say("card.continues")
        blocks.append(context(plain_text(more)))
    return blocks


def _standing(view: Card, say: Voice) -> str:
    """One line: how long they wait, who has it, what it is about, and how sure we are who they are."""
    parts = []
    if view.blocked and view.ended:
        parts.append(say("card.ended", words=inline(view.ended, 40)))
    elif view.blocked:
        parts.append(say("card.ended_silently" if view.ended_for_good else "card.blocked"))
    if view.state != "resolved" and view.waiting_since is not None:
        parts.append(say("card.waiting", since=date(view.waiting_since, AGO)))
    else:
        parts.append(escape(say.word("state", view.state)))
    if view.state != "resolved" and view.due_at is not None and view.due_what in PROMISES and view.due_state in _DUE:
        at = date(view.due_at, AGO)
        said = say(f"card.{'was_due' if view.due_state == 'broken' else 'due'}_{view.due_what}", at=at)
        parts.append(f"{_DUE[view.due_state]} {said}")
    if view.state != "resolved":
        parts += _way(view, say)
    parts += [f"`{inline(tag, 40)}`" for tag in view.tags[:_TAGS] if tag.strip()]
    if view.priority in _PRIORITIES:
        parts.append(escape(say.word("priority", view.priority)))
    if view.team:
        parts.append(inline(view.team, 40))
    parts.append(_agent(view.agent, say))
    if view.language:
        parts.append(inline(say.language(view.language), 40))
    if view.address:
        sure = "✓" if view.proof >= Proof.CARRIER else "?"
        proof = say.word("proof", view.proof.name.lower())
        parts.append(f"{inline(view.address, 120)} ({sure} {escape(proof)})")
    return "  ·  ".join(parts)


def _way(view: Card, say: Voice) -> list[str]:
    """Where answers go, if that is not where they wrote last, and until when."""
    channel = say.word("channel", view.answers_by or next(iter(view.channels), "unknown"))
    told = [say("card.answers_by", channel=inline(channel, 40))] if view.answers_by else []
    if view.closes_at is None:
        return told
    if view.closed:
        return [*told, say("card.closed", channel=inline(channel, 40), at=date(view.closes_at, AGO))]
    return [*told, say("card.closes", channel=inline(channel, 40), at=date(view.closes_at, UNTIL))]


def _reasons(view: Card, say: Voice) -> list[Block]:
    """Why it has these tags, this priority and this team. The words are triage's own."""
    said = one_line("; ".join(reason for reason in view.reasons if reason.strip()), REASONS)
    return [context(plain_text(f"💡 {said}"))] if said and view.state != "resolved" else []


def _before(view: Card, say: Voice) -> list[Block]:
    if view.came_from is None:
        return []
    slack_channel = SlackChannel(id=view.came_from.slack_channel)
    return small(say, "card.came_from", slack_channel=slack_channel, thread=_thread(view.came_from, say)).blocks


def _agent(agent: str, say: Voice) -> str:
    who = person(agent)
    if isinstance(who, Mention):
        return f"👤 <@{who.user}>"
    return f"👤 {inline(agent, 60)}" if agent.strip() else say("card.nobody")


def _buttons(view: Card, say: Voice) -> list[Block]:
    note, more = button(say, "note", view.conversation), button(say, "more", view.conversation)
    if view.state == "resolved":
        return [button(say, "reopen", view.conversation), note, more]
    if view.agent:
        take = button(say, "take", view.conversation, label="take_over")
    else:
        take = button(say, "take", view.conversation, style="primary")
    template = button(say, "template", view.conversation)
    return [take, template, button(say, "resolve", view.conversation), note, more]


def _line(line: Line, say: Voice, *, limit: int, timed: bool) -> list[Block]:
    if line.erased:
        masked = [mrkdwn(date(line.at, "{time}"))] if timed else []
        return _contexts([*masked, plain_text(say("line.erased"))])
    limit = min(limit, _most(line))
    above = [mrkdwn(date(line.at, "{time}"))] if timed else []
    above += [plain_text(text) for text in (*_warnings(line, say), *_about(line, say))]
    below = [plain_text(text) for text in _attachments(line, say)]
    if line.stub:
        kind = say.word("stub", line.stub)
        below.append(plain_text(say("line.stub", kind=one_line(kind, 60))))
    text, spans = line.text, line.spans
    if line.subject.strip():
        text, spans = _with_subject(line)
    said = literal_blocks(text, spans, limit=limit, more=f" {say('line.more')}")
    if not said and not below:
        below.append(plain_text(say("line.empty")))
    if line.also:
        below.append(plain_text(say("line.also", channels=one_line(", ".join(line.also), 120))))
    whole = line.id and (line.hidden or len(text) > limit)
    more = [buttons(button(say, "show_original", line.id))] if whole else []
    return [*_contexts(above), *said, *_contexts(below), *more]


def _contexts(elements: Sequence[Block]) -> list[Block]:
    return [context(*elements[at : at + CONTEXT_ELEMENTS]) for at in range(0, len(elements), CONTEXT_ELEMENTS)]


def _warnings(line: Line, say: Voice) -> list[str]:
    """What to know before believing a message."""
    told = []
    if line.bystander:
        told.append(f"👥 {say('line.bystander', who=one_line(line.bystander, 120))}")
    if line.unproven:
        why = one_line(line.why, 200)
        told.append(f"⚠️ {say('line.unproven_why', why=why) if why else say('line.unproven')}")
    told += [f"⚠️ {one_line(say.word('warning', code), 200)}" for code in line.warnings[:_WARNINGS]]
    if line.unread.strip():
        told.append(f"⚠️ {say('line.unread', why=one_line(line.unread, 200))}")
    if line.automatic:
        told.append(f"🤖 {say('line.automatic')}")
    return told


def _about(line: Line, say: Voice) -> list[str]:
    about = []
    if line.also_to:
        left = len(line.also_to) - _NAMED
        named = [one_line(who, 80) for who in line.also_to[:_NAMED]] + [f"+{left}"] * (left > 0)
        about.append(say("line.also_to", addresses=", ".join(named)))
    if line.forwarded_from:
        about.append(say("line.forwarded", who=one_line(line.forwarded_from, 80)))
    if line.quoted.strip():
        about.append(say("line.quoted", text=one_line(line.quoted, 150)))
    if line.edited:
        about.append(say("line.edited"))
    if line.withdrawn:
        about.append(say("line.withdrawn"))
    return about


def _attachments(line: Line, say: Voice) -> list[str]:
    named = [_attachment(file, say) for file in line.attached[:_FILES]]
    left = len(line.attached) - len(named)
    return [*named, say("file.more", count=left)] if left > 0 else named


def _attachment(file: Attached, say: Voice) -> str:
    name = one_line(file.name, 80) or one_line(file.media_type, 40) or say("file.unnamed")
    parts = [f"📎 {name}"]
    if file.size is not None and file.state is not FileState.EMPTY:
        parts.append(say.size(file.size))
    if file.state is not FileState.SHOWN:
        parts.append(say(f"file.{file.state.value}"))
    return " · ".join(parts)


def _with_subject(line: Line) -> tuple[str, tuple[Span, ...]]:
    subject = " ".join(line.subject.split())
    head = f"{subject}\n"
    bold = Span(kind=SpanKind.BOLD, start=0, end=len(subject))
    moved = (replace(span, start=span.start + len(head), end=span.end + len(head)) for span in line.spans)
    return head + line.text, (bold, *moved)


def _summary(line: Line, say: Voice) -> str:
    if line.erased:
        return say("line.erased")
    said = " ".join(plain(f"{line.subject} {line.text}").split())
    if said:
        return said
    return next(iter(_attachments(line, say)), "") or (say.word("stub", line.stub) if line.stub else say("line.empty"))
