"""What agents choose from in windows: tags, languages and reply texts, as they are in force at the moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from channels.channel import Capabilities
from templates.replies import Replies
from templates.reply import Rendered, Unfilled

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
