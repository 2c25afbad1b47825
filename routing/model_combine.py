"""Keywords and the learned model put together. Pure.

Rule: in a live conversation the model comes after the keywords and may only add tags and raise the priority; `decide`
is for who asks about a text alone and wants the best answer of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inbox.changes import Priority
from routing.model_read import Read
from routing.phrases import Reading

if TYPE_CHECKING:
    from routing.model import Model

_ALSO_SAID = 3.0  # a keyword score that makes a further tag although the model doubts it: a clear phrase
_RATHER = 0.4  # below it a priority was chosen because missing it costs more than a false alarm
_DOUBTED = 0.04  # … unless it is all but sure that it is not so


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """What both layers come to."""

    tags: tuple[str, ...]  # the main one first
    priority: Priority
    because: str


def read_both(model: Model, words: Reading, text: str) -> Read:
    """The model's reading with what the keywords found as evidence."""
    heard = bool(words.tags or words.signals)
    return model.read(
        text,
        hints={one.name: one.score for one in words.tags},
        level=words.priority if heard else None,
    )


def decide(words: Reading, read: Read) -> Combined:
    """The best decision of both; `read` comes from `read_both`."""
    tags = list(read.chosen)
    chances = dict(read.tags)
    for one in words.tags:
        if one.name not in tags and one.score >= _ALSO_SAID and chances.get(one.name, 0.0) >= _DOUBTED:
            tags.append(one.name)
    parts = [f"{read.main}: {_said(words, read.main) or _meant(read, read.main)}"]
    if read.priority is not Priority.NORMAL:
        same = read.priority is words.priority and words.because
        parts.append(f"{read.priority.name.lower()}: {_reason(words) if same else _level(read)}")
    return Combined(tags=tuple(tags), priority=read.priority, because="; ".join(parts))


def by_words(words: Reading) -> Combined:
    """The decision without a model."""
    tags = tuple(one.name for one in words.tags) or ("other",)
    return Combined(tags=tags, priority=words.priority, because=words.because or "nothing that the words tell")


def add(
    tags: Sequence[str],
    priority: Priority,
    words: Reading,
    read: Read,
    *,
    never: frozenset[str] = frozenset(),
    raises: bool = True,
) -> Combined | None:
    """What the model adds to a conversation that has `tags` and `priority` already; None where it adds nothing.

    An unsure model adds no tag. Spam is never added to a conversation that is tagged as something else, and what is
    tagged as spam is never raised. Tags in `never` are not added, and without `raises` the priority stays.
    """
    new = [
        tag
        for tag in read.chosen
        if tag not in tags and tag not in never and tag != "other" and (tag != "spam" or not tags)
    ]
    added = tuple(new) if read.sure else ()
    raised = raises and read.priority < priority and "spam" not in tags and read.main != "spam"
    if not added and not raised:
        return None
    parts = [f"{tag}: {_said(words, tag) or _meant(read, tag)}" for tag in added]
    if raised:
        parts.append(f"{read.priority.name.lower()}: {_level(read)}")
    return Combined(tags=(*tags, *added), priority=read.priority if raised else priority, because="; ".join(parts))


def _said(words: Reading, tag: str) -> str:
    return next((one.because for one in words.tags if one.name == tag), "")


def _reason(words: Reading) -> str:
    return words.because.rpartition(": ")[2] if ": " in words.because else words.because


def _meant(read: Read, tag: str) -> str:
    return f"reads like it ({dict(read.tags)[tag]:.0%})"


def _level(read: Read) -> str:
    chance = read.priorities[read.priority]
    return f"{'reads like it' if chance >= _RATHER else 'cannot be ruled out'} ({chance:.0%})"
