"""What happened with a customer that is no message of theirs: taken back, moved, blocked, proven; and their machines.

Rule: as for notices. It says what it means for the agent where that is not plain.
"""

from __future__ import annotations

from datetime import datetime

from channels.message import Span
from desk.blocks import Code, Link, Place, Post, Value, ringing, sentence, small
from desk.notices import EXCERPT, Ended, quote
from desk.words import escape, literal_blocks, one_line
from templates.catalog import Voice

# What machines tell us about a customer or about our messages to them; each is one small line.
MACHINES = frozenset({"auto_reply", "delayed", "bounced", "complaint", "read", "calendar", "list", "loop"})


def edited(customer: str, text: str, spans: tuple[Span, ...], say: Voice) -> Post:
    """The customer changed a message whose post can no longer be changed: show what it says now."""
    said = literal_blocks(text, spans, more=f" {say('line.more')}")
    return small(say, "customer.edited", customer=customer) + Post(text=escape(one_line(text, EXCERPT)), blocks=said)


def withdrawn(customer: str, at: datetime, excerpt: str, say: Voice) -> Post:
    return small(say, "customer.withdrew", customer=customer, at=at) + quote(excerpt)


def reacted(customer: str, emoji: str, excerpt: str, say: Voice) -> Post:
    """The customer put a reaction on a message, theirs or ours, or took it back where there is no `emoji`."""
    key = "customer.reacted" if emoji.strip() else "customer.unreacted"
    post = small(say, key, customer=customer, emoji=one_line(emoji, 40))
    return post + quote(excerpt) if excerpt else post


def erased(customer: str, at: datetime, say: Voice) -> Post:
    """The customer took a message back, and the platform asks us to forget it as well."""
    return small(say, "customer.erased", customer=customer, at=at)


def moved_on(customer: str, channel: str, old: str, new: str, say: Voice) -> Post:
    """The provider tells that a customer is reached elsewhere from now on."""
    post = sentence(say, "customer.moved_on", customer=customer, channel=say.word("channel", channel))
    return post + small(say, "customer.moved_from_to", old=_id(old), new=_id(new))


def moved_onto(customer: str, channel: str, old: str, new: str, other: str, thread: Place | None, say: Voice) -> Post:
    """As `moved_on`, but the new address is another customer's: somebody has to look, and nobody is joined."""
    post = sentence(say, "customer.moved_onto", customer=customer, channel=say.word("channel", channel), new=_id(new))
    post += small(say, "customer.moved_from_to", old=_id(old), new=_id(new))
    link = Link(url=thread.url, label=say("card.thread")) if thread is not None else "–"
    return post + small(say, "customer.moved_look", other=other or say("word.customer"), thread=link)


def same_person(customer: str, new: str, other: str, thread: Place | None, say: Voice) -> Post:
    """A message proved an address that is another customer's: most likely one person, whom only people may join."""
    post = sentence(say, "customer.same_person", customer=customer, new=_id(new))
    link = Link(url=thread.url, label=say("card.thread")) if thread is not None else "–"
    return post + small(say, "customer.moved_look", other=other or say("word.customer"), thread=link)


def closing(customer: str, channel: str, at: datetime, agent: str, say: Voice) -> Post:
    """Soon the customer, who waits, can no longer be answered freely. It rings for the agent who has them."""
    post = sentence(say, "closing.what", customer=customer, channel=say.word("channel", channel), at=at)
    rings = ringing([agent])
    post += sentence(say, "promise.turn", who=rings) if rings.who else small(say, "promise.nobody")
    return post + small(say, "closing.advice")


def opted_out(customer: str, channel: str, ended: Ended, say: Voice) -> Post:
    """The customer wrote that they want nothing more."""
    values: dict[str, Value] = {"customer": customer, "channel": say.word("channel", channel)}
    if ended.word:
        post = sentence(say, "customer.ended", **values, words=ended.word)
    else:
        post = sentence(say, "customer.ended_silently", **values)
    return post + small(say, "advice.ended_for_good" if ended.for_good else "advice.ended")


def blocked(customer: str, channel: str, say: Voice) -> Post:
    return sentence(say, "customer.blocked", customer=customer, channel=say.word("channel", channel)) + small(
        say, "advice.unreachable"
    )


def unblocked(customer: str, channel: str, say: Voice) -> Post:
    return small(say, "customer.unblocked", customer=customer, channel=say.word("channel", channel))


def machine(what: str, customer: str, words: str, say: Voice) -> Post:
    """A machine wrote, about a customer or in their name. `what` is one of `MACHINES`, `words` how it begins."""
    return small(say, f"event.{what}", customer=customer, words=one_line(words) or "…")


def _id(value: str) -> Code:
    """A number or id as its platform writes it."""
    return Code(text=one_line(value, 80))
