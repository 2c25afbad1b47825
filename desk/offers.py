"""What agents choose from in windows: tags, languages and reply texts, as they are in force at the moment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from channels.channel import Capabilities
from templates.approved import Approved, ApprovedTemplate
from templates.replies import Replies
from templates.reply import Rendered, Unfilled, base, normal

# Channels that take no more than this want the short form of a text: an SMS by Twilio carries 1,600 characters, a
# direct message of Instagram 1,000 bytes.
SMALL = 1_600
TYPED = frozenset({"order"})  # what only the agent knows of what a text may name


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """`tags` are all known ones. `looked_up` answers the variables of a text that we know, by team and language."""

    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    replies: Replies
    approved: Approved = field(default_factory=Approved)
    looked_up: Callable[[str, str], Mapping[str, str]] = field(default=lambda team, language: {}, repr=False)


def asked(replies: Replies, name: str, language: str, values: Mapping[str, str]) -> dict[str, bool]:
    """What has to be asked before a text is whole, each with whether it has to be answered. Raises `KeyError`."""
    known = {variable: value for variable, value in values.items() if variable not in TYPED}
    missing: dict[str, bool] = {}
    try:
        without = replies.render(name, language, known).text
    except Unfilled as unfilled:
        missing = dict.fromkeys(unfilled.names, True)
        known |= dict.fromkeys(missing, "1")
        without = replies.render(name, language, known).text
    for variable in sorted(TYPED - missing.keys()):
        if replies.render(name, language, {**known, variable: "1"}).text != without:
            missing[variable] = False
    return missing


def fitting(
    replies: Replies, name: str, language: str, values: Mapping[str, str], can: Capabilities | None, most: int
) -> Rendered:
    """A text as its channel carries it: the short form where little fits. `most` characters in any case, if they can.

    Raises `Unfilled` and `KeyError`.
    """
    whole = replies.render(name, language, values)
    narrow = can is not None and (can.max_text <= SMALL or can.measure(whole.text) > can.max_text)
    return replies.render(name, language, values, short=True) if narrow or len(whole.text) > most else whole


APPROVED = "approved:"  # begins the name under which the menu of a window has a template of the provider's


def approved_name(made: ApprovedTemplate) -> str:
    """A name for the menu: the provider's may be longer than a menu takes, and stands there once a language."""
    told = f"{made.channel}/{made.name}/{made.language}".encode()
    return APPROVED + hashlib.blake2b(told, digest_size=12).hexdigest()


def approved_for(approved: Approved, channel: str, language: str) -> list[ApprovedTemplate]:
    """What the provider of a channel has approved, in the customer's language first, then in the shop's."""
    wanted = [base(normal(language)), base(normal(approved.first))]

    def rank(made: ApprovedTemplate) -> int:
        spoken = base(normal(made.language))
        return wanted.index(spoken) if spoken in wanted else len(wanted)

    return sorted((made for made in approved.templates if made.channel == channel), key=rank)


def approved_choices(found: Sequence[ApprovedTemplate], replies: Replies, language: str) -> list[tuple[str, str]]:
    """Names and titles for the menu. A template that stands for a reply has its title, in the agent's `language`."""
    titles = {choice.name: choice.title for choice in replies.names((), language)}
    return [(approved_name(made), f"{titles.get(made.reply, made.name)} · {made.language}") for made in found]


def approved_asked(made: ApprovedTemplate, values: Mapping[str, str]) -> dict[str, bool]:
    """What has to be typed before it is whole: everything that is not known, for there is no text without it."""
    return {name: True for name in made.variables if name in TYPED or not values.get(name)}
