"""What Santral itself says in a Slack thread about its own doing: doubts, failures, promises, questions, small print.

Rule: a notice says what happened and what can be done now, in the agent's language, and never carries a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from babel.dates import format_timedelta

from desk.blocks import (
    Block,
    Code,
    Link,
    Post,
    SlackChannel,
    Value,
    button,
    buttons,
    choice_button,
    context,
    person,
    plain_text,
    ringing,
    sentence,
    small,
)
from desk.words import one_line
from templates.catalog import LAST_RESORT, Voice

EXCERPT = 200  # of the message a notice is about
MODAL_TEXT = 3_000  # what Slack's multi-line input takes

# Every way a delivery fails that has words of its own: the codes of channels.errors, then what planning finds.
FAILURES = frozenset(
    {
        "refused",
        "window_closed",
        "unreachable",
        "opted_out",
        "misconfigured",
        "too_long",
        "file_too_big",
        "file_refused",
        "file_lost",
        "no_address",
        "channel_gone",
        "gave_up",
        "in_doubt",
        "mailbox_full",
        "rejected_as_spam",
    }
)
FILE_FAILURES = frozenset({"file_too_big", "file_refused", "file_lost"})  # of them, what is about one file
# Why words in a thread did not go out.
NOT_SENT = frozenset({"not_member", "guest", "outsider", "blocked", "file_lost", "expired"})

_UNITS: Mapping[str, Literal["day", "hour", "minute"]] = {"d": "day", "h": "hour", "m": "minute"}

_SECRETS = (
    re.compile(r"\d{5,}:[\w-]{20,}"),  # Telegram
    re.compile(r"x(?:ox[a-z]|app)-[\w-]+"),  # Slack
    re.compile(r"EAA\w{20,}"),  # Meta
    re.compile(r"(?i)\b(?:bearer|basic)\s+[\w.+/=-]+"),
    re.compile(r"(?i)\b(?:access_token|auth_token|token|secret|password|passwd|api_key|signature)[\"']?\s*[=:]\s*\S+"),
    re.compile(r"(?<=//)[^\s/@]+:[^\s/@]*@"),
    re.compile(r"[0-9a-fA-F]{32,}"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that was not sent."""

    name: str
    most: int | None = None  # bytes that the channel takes of such a file
    rest: bool | None = None  # whether what it was written with goes out; None when that was nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Another way to a customer: a `changes.place_of`, and the channel and address as people know them."""

    place: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a customer ended what is sent to them. `word` is what they wrote, "" where that is not known."""

    word: str = ""
    for_good: bool = False  # only their own word begins it again, whatever else they write


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """What can be done about a failure, and what it is a part of."""

    arrived: int = 0  # of the `parts` of the reply, how many are on their way or there
    parts: int = 1
    again: str = ""  # a delivery: what failed of its reply can be sent again
    template: str = ""  # a conversation, in which a template may still be sent
    message: str = ""  # the reply, which can be sent by one of these `ways`:
    ways: tuple[Way, ...] = ()
    ended: Ended = Ended(for_good=True)  # how, if they asked for no more messages


ALONE = Out()
WAYS = 5  # offered beside each other; "More…" on the card has all of them


def redacted(text: str, limit: int = 300) -> str:
    """`text` without anything that looks like a credential, on one line."""
    for secret in _SECRETS:
        text = secret.sub("•••", text)
    return one_line(text, limit)


# about a delivery


def doubt(delivery: str, customer: str, channel: str, excerpt: str, say: Voice) -> Post:
    """Nobody can tell whether a message arrived. `channel` is a kind; the buttons carry the delivery's id."""
    said = sentence(say, "doubt.what", customer=customer, channel=say.word("channel", channel))
    choice = buttons(
        button(say, "delivery_arrived", delivery, style="primary"),
        button(say, "delivery_again", delivery),
    )
    return said + quote(excerpt) + small(say, "doubt.advice") + Post(text="", blocks=[choice])


def settled(who: str, say: Voice, *, arrived: bool) -> Post:
    """What a doubt becomes once somebody has decided: it keeps who said so, and no buttons."""
    return small(say, "doubt.arrived" if arrived else "doubt.again", who=person(who))


def came_after_all(channel: str, say: Voice, *, arrived: bool) -> Post:
    """What a doubt becomes when the provider settles it: a receipt came late, or an echo."""
    return small(say, "doubt.came" if arrived else "doubt.failed", channel=say.word("channel", channel))


def sent_another_way(who: str, channel: str, say: Voice) -> Post:
    """What a failure becomes once its words went out another way."""
    return small(say, "failure.sent_another_way", who=person(who), channel=say.word("channel", channel))


def settled_before(say: Voice) -> Post:
    """Somebody else pressed a doubt's button first."""
    return small(say, "doubt.settled")


def failure(
    reason: str,
    customer: str,
    channel: str,
    say: Voice,
    *,
    code: str = "",
    detail: str = "",
    excerpt: str = "",
    left_out: LeftOut | None = None,
    out: Out = ALONE,
) -> Post:
    """A message did not arrive and will not by itself. `reason` is one of `FAILURES`, else it counts as refused."""
    known = reason if reason in FAILURES else "refused"
    if known == "opted_out":
        post = _unwanted(out.ended, customer, channel, say)
    else:
        post = _named(known, customer, channel, left_out, say) or sentence(
            say, fitting(say, f"failure.{known}", channel), customer=customer, channel=say.word("channel", channel)
        )
    post += quote(excerpt)
    if out.parts > 1:
        post += small(say, "failure.parts", arrived=out.arrived, parts=out.parts)
    if left_out is not None and left_out.rest is not None:
        post += small(say, "file_not_sent.rest_goes" if left_out.rest else "file_not_sent.rest_stays")
    words = redacted(f"{code} {detail}")
    if words:
        post += small(say, fitting(say, "failure.provider", channel), words=Code(text=words))
    if known == "opted_out":
        post += small(say, "advice.ended_for_good" if out.ended.for_good else "advice.ended")
    else:
        post += small(say, fitting(say, f"advice.{known}", channel))
    offered = _ways_out(out, say)
    return post + Post(text="", blocks=[buttons(*offered)]) if offered else post


def _unwanted(ended: Ended, customer: str, channel: str, say: Voice) -> Post:
    """They asked for nothing more, which is no block: what brings them back is another thing."""
    values: dict[str, Value] = {"customer": customer, "channel": say.word("channel", channel)}
    if ended.word:
        return sentence(say, "failure.ended", **values, words=ended.word)
    return sentence(say, "failure.ended_silently", **values)


def _ways_out(out: Out, say: Voice) -> list[Block]:
    found = [button(say, "delivery_again", out.again, label="rest_again" if out.parts > 1 else "")] if out.again else []
    if out.template:
        found.append(button(say, "template", out.template))
    for number, way in enumerate(out.ways[:WAYS]):
        label = say("button.answer_by", channel=way.label)
        found.append(choice_button(f"answer_by_{number}", f"{out.message}:{way.place}", label))
    return found


def _named(reason: str, customer: str, channel: str, left_out: LeftOut | None, say: Voice) -> Post | None:
    """The same said of a file by name, where its reason is one of files and all that is to be said is known."""
    too_big = reason == "file_too_big"
    if left_out is None or reason not in FILE_FAILURES or (too_big and left_out.most is None):
        return None
    values: dict[str, Value] = {"file": left_out.name, "customer": customer, "channel": say.word("channel", channel)}
    if too_big and left_out.most is not None:
        # Rounded down in the larger unit: what any program calls a file of that size or less is taken.
        whole = left_out.most >> 20
        values["limit"] = f"{whole} MB" if whole else say.size(left_out.most)
    return sentence(say, f"file_not_sent.{reason}", **values)


def promise(notice: Mapping[str, Any], say: Voice) -> Post:
    """A target comes near, or was missed: until when it is or was, whose turn it is, and what was done about it.

    Before it breaks it rings for the agent who has the conversation, after it for those named in `mention` as well.
    """
    what, broken = str(notice.get("promise", "")), notice.get("state") == "broken"
    due, agent = str(notice.get("due", "")), str(notice.get("agent", ""))
    key = f"promise.{'broken' if broken else 'warned'}_{what}"
    at = datetime.fromisoformat(due) if due else "–"
    post = sentence(say, key, at=at, target=in_words(str(notice.get("allowance", "")), say))
    rings = ringing([agent, *(str(who) for who in notice.get("mention", ()))] if broken else [agent])
    if rings.who:
        post += sentence(say, "promise.look" if broken else "promise.turn", who=rings)
    elif not broken:
        post += small(say, "promise.nobody")
    if raised := str(notice.get("raised", "")):
        post += small(say, "promise.raised", priority=say.word("priority", raised))
    if to := str(notice.get("moved_to", "")):
        post += small(say, "promise.moved", team=to)
    return post


def in_words(allowance: str, say: Voice) -> str:
    """A target as the configuration has it ("1h30m", "2d"), as people say it."""
    language = next((code for code in (say.lang, say.catalog.first) if code in say.catalog.texts), LAST_RESORT)
    said = [
        # Nothing is turned into a larger unit: two working days are no 48 hours, and 36 hours no day and a half.
        format_timedelta(timedelta(**{f"{unit}s": int(count)}), granularity=unit, threshold=10**6, locale=language)
        for count, letter in re.findall(r"(\d+)([dhm])", allowance)
        for unit in [_UNITS[letter]]
    ]
    return " ".join(said) or allowance


def assigned(notice: Mapping[str, Any], say: Voice) -> Post:
    """Somebody was given a conversation, and is called by their name, once: why it is them, and who had it before."""
    code = str(notice.get("language", ""))
    language = say.language(code) if code else ""
    post = sentence(say, f"assign.{notice['why']}", who=person(str(notice["agent"])), language=language)
    if left := str(notice.get("left", "")):
        post += small(say, f"assign.{left}", before=person(str(notice.get("before", ""))))
    if language and notice["why"] != "pressing":
        post += small(say, "assign.speaks", language=language)
    if tags := [str(tag) for tag in notice.get("tags", ())]:
        post += small(say, "assign.knows", tags=", ".join(tags))
    return post


# about an agent's words


def ask_first(customer: str, channel: str, excerpt: str, key: str, say: Voice) -> Post:
    """Ask a first-time replier whether this is meant for the customer. `key` comes back as the buttons' value."""
    post = sentence(say, "ask.first", customer=customer, channel=say.word("channel", channel))
    return post + quote(excerpt) + _send_or_note(key, say) + small(say, "ask.once")


def late_reply(who: str, at: datetime, customer: str, channel: str, excerpt: str, key: str, say: Voice) -> Post:
    """A reply written while Santral was away: too old to send without asking."""
    name = say.word("channel", channel)
    post = sentence(say, "ask.late", who=person(who), at=at, customer=customer, channel=name)
    return post + quote(excerpt) + _send_or_note(key, say)


def not_sent(why: str, say: Voice) -> Post:
    """Tell one person that what they wrote did not go out. `why` is one of `NOT_SENT`."""
    return small(say, f"not_sent.{why}")


def gone_on(slack_channel: str, url: str, say: Voice) -> Post:
    """Tell who wrote in a thread that its conversation has left where it goes on: nothing was sent."""
    thread = Link(url=url, label=say("card.thread"))
    return small(say, "not_sent.moved", slack_channel=SlackChannel(id=slack_channel), thread=thread)


def undo(customer: str, channel: str, seconds: int, key: str, say: Voice) -> Post:
    """Only the sender sees this: their words are on the way, and for how long they can be held back."""
    post = small(say, "undo.going", customer=customer, channel=say.word("channel", channel), seconds=seconds)
    return post + Post(text="", blocks=[buttons(button(say, "undo_send", key))])


def undone(say: Voice) -> Post:
    """The author took a reply back before it left."""
    return small(say, "undo.done")


def too_late(say: Voice) -> Post:
    """What somebody wants back has left, or was never on its way."""
    return small(say, "undo.too_late")


def confirmed(who: str, say: Voice, *, sent: bool) -> Post:
    """What the question of `ask_first` or `late_reply` becomes once its author has decided."""
    return small(say, "ask.sent" if sent else "ask.kept", who=person(who))


def not_yours(say: Voice) -> Post:
    """A question was answered by somebody else than the author of the words, or for a second time."""
    return small(say, "ask.not_yours")


def unchangeable(say: Voice, channel: str, *, withdrawn: bool = False) -> Post:
    """The agent edited or deleted a reply, and the customer's copy cannot follow any more."""
    return small(say, "late.delete" if withdrawn else "late.edit", channel=say.word("channel", channel))


def taken(name: str, say: Voice) -> Post:
    """Two people wanted a conversation at once: tell the slower one whose it is and how to take it anyway."""
    return small(say, "change.taken", name=name, button=say("button.take_over"))


# windows


def note_modal(conversation: str, customer: str, say: Voice) -> dict[str, Any]:
    """The window for an internal note. Its text comes back in `values["text"]["text"]["value"]`."""
    field: Block = {"type": "plain_text_input", "action_id": "text", "multiline": True, "max_length": MODAL_TEXT}
    label = plain_text(say("modal.note_label", customer=one_line(customer, 80)))
    return {
        "type": "modal",
        "callback_id": "note",
        "private_metadata": conversation,
        "title": plain_text(say("modal.note_title")),
        "submit": plain_text(say("modal.note_submit")),
        "close": plain_text(say("modal.close")),
        "blocks": [
            {"type": "input", "block_id": "text", "label": label, "element": field},
            context(plain_text(say("modal.note_hint"))),
        ],
    }


def fitting(say: Voice, key: str, kind: str) -> str:
    """The text for a kind of channel where there is one of its own: `failure.unreachable-email`."""
    try:
        say.template(f"{key}-{kind}")
    except KeyError:
        return key
    return f"{key}-{kind}"


def _send_or_note(key: str, say: Voice) -> Post:
    send, note = button(say, "reply_send", key, style="primary"), button(say, "reply_note", key)
    return Post(text="", blocks=[buttons(send, note)])


def quote(text: str) -> Post:
    """The beginning of the message a notice is about."""
    words = one_line(text, EXCERPT)
    if not words:
        return Post(text="")
    quote = {"type": "rich_text_quote", "elements": [{"type": "text", "text": words}]}
    return Post(text="", blocks=[{"type": "rich_text", "elements": [quote]}])
