"""What whoever runs Santral has to know, told in Slack: nothing comes in, files are not taken over, work is given up.

Rule: as for notices. An alarm may belong to no conversation.
"""

from __future__ import annotations

from datetime import datetime

from desk.blocks import Code, Post, sentence, small
from desk.notices import fitting, redacted
from templates.catalog import Voice

MISTAKES = 10  # of changed files, shown in one post; the log has them all


def refuses_us(channel: str, kind: str, detail: str, say: Voice) -> Post:
    """Alarm: a channel that has to be asked for its messages refuses us, so nothing comes in by it."""
    post = sentence(say, fitting(say, "refuses_us.what", kind), channel=channel)
    if words := redacted(detail):
        post += small(say, fitting(say, "failure.provider", kind), words=Code(text=words))
    return post + small(say, "refuses_us.advice")


def reads_again(channel: str, kind: str, say: Voice) -> Post:
    """The end of `refuses_us`."""
    return sentence(say, fitting(say, "reads_again.what", kind), channel=channel)


def model_unused(detail: str, say: Voice) -> Post:
    """Alarm: the learned model cannot be used. What words alone tell goes on."""
    post = sentence(say, "model.what")
    if words := redacted(detail):
        post += small(say, "model.why", words=Code(text=words))
    return post + small(say, "model.advice")


def files_refused(detail: str, say: Voice) -> Post:
    """Alarm: changed files were not taken over. `detail` has a mistake a line: file, line, what, and the fix."""
    found = [line for line in detail.splitlines() if line.strip()]
    post = sentence(say, "reload.what")
    for line in found[:MISTAKES]:
        # Only its blocks: what is read where there are none has room for less.
        post += Post(text="", blocks=small(say, "reload.mistake", words=Code(text=redacted(line))).blocks)
    if len(found) > MISTAKES:
        post += small(say, "reload.more", count=len(found) - MISTAKES)
    return post + small(say, "reload.advice")


def files_in_force(say: Voice) -> Post:
    """The end of `files_refused`."""
    return sentence(say, "reload.again")


def parked(what: str, since: datetime, attempts: int, error: str, say: Voice) -> Post:
    """Alarm: work was given up on. `what` is a kind of work (`work.{kind}` in the catalogue)."""
    post = sentence(say, "parked.what", what=say.word("work", what), since=since, attempts=attempts)
    return post + small(say, "parked.why", error=Code(text=redacted(error))) + small(say, "parked.advice")
