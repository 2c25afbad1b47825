"""Whether to tell a customer that their message arrived and when a person will answer.

Rule: when in doubt, silence. A customer who is told nothing still gets an answer; a machine that is told something
answers it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from routing.hours import Hours
from routing.moments import moment

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # closes the closed time of hours that have not been open for a year


class Kind(StrEnum):
    """Which text to send."""

    CLOSED = "closed"  # outside support hours
    BUSY = "busy"  # open, but the wait is long


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What keeps acknowledgements from becoming a nuisance or a loop."""

    fresh: timedelta = timedelta(hours=1)  # older messages came late, after an outage: an agent is about to see them
    talk: timedelta = timedelta(minutes=30)  # an agent's answer this recent is an ongoing talk
    address_day: int = 1  # mails to one address in 24 hours, and
    address_week: int = 3  # in seven days, as RFC 3834 (section 2) asks of automatic answers
    exchanged: int = 4  # messages both ways with one address in ten minutes: more is two machines talking
    per_minute: int = 60  # over all customers: more is an attack or a mistake of ours
    long_wait: timedelta | None = None  # in hours: acknowledge when the wait will be longer; None: never


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything the decision looks at. What is counted is counted as stored, this message included."""

    now: datetime
    hours: Hours
    language: str
    sent_at: datetime  # of the message, as its provider says
    zone: ZoneInfo | None = None  # the customer's, when known
    automatic: bool = False  # a machine wrote it
    quiet: bool = False  # a person may have, but no program may answer
    bounce: bool = False
    bot: bool = False  # the sender is a bot on its platform
    blocked: bool = False
    opted_out: bool = False
    tags: frozenset[str] = frozenset()
    mail: bool = False  # the answer would be a mail
    answered_at: datetime | None = None  # an agent's last answer to the customer, over all channels
    acknowledged: datetime | None = None  # `once` of the customer's last acknowledgement, over all channels
    promised: datetime | None = None  # the opening that acknowledgement named
    address_day: int = 0  # acknowledgements to this address in the last 24 hours
    address_week: int = 0  # in the last seven days
    exchanged: int = 0  # messages from and to this address in the last ten minutes
    last_minute: int = 0  # acknowledgements to anybody in the last minute
    waiting_since: datetime | None = None
    expected_wait: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """Send the text of this kind. (customer, `once`) must be unique where it is stored: two processes may decide so.

    `once` is when the present closed time began; for a long wait, when the wait did. `opens_at` is the true next
    opening and `opening` the same in words; None and "" if there is none within 60 days.
    """

    kind: Kind
    language: str
    once: datetime
    opens_at: datetime | None = None
    opening: str = ""
    expected_wait: timedelta | None = None
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Send nothing. `because` goes to the log and the thread's details, in the words of agents."""

    because: str


def decide(situation: Situation, limits: Limits | None = None) -> Acknowledge | Silence:
    """Decide for one message that has just been stored."""
    limits = limits or Limits()
    told = next(_objections(situation, limits), "")
    if told:
        return Silence(because=told)
    if situation.hours.open_at(situation.now):
        return _busy(situation, limits)
    return _closed(situation)


def _closed(situation: Situation) -> Acknowledge | Silence:
    now, hours = situation.now, situation.hours
    once = hours.closed_since(now) or LONG_AGO
    if situation.acknowledged is not None and situation.acknowledged >= once:
        return Silence(because="already told in this closed time")
    if situation.promised is not None and now < situation.promised:
        return Silence(because="already told when somebody will answer")
    opens_at = hours.opens_after(now)
    opening = moment(opens_at, now, situation.language, situation.zone or hours.zone) if opens_at else ""
    return Acknowledge(
        kind=Kind.CLOSED,
        language=situation.language,
        once=once,
        opens_at=opens_at,
        opening=opening,
        because="outside support hours",
    )


def _busy(situation: Situation, limits: Limits) -> Acknowledge | Silence:
    wait = situation.expected_wait
    if limits.long_wait is None or wait is None or wait <= limits.long_wait:
        return Silence(because="support is open")
    once = situation.waiting_since or situation.sent_at
    if situation.acknowledged is not None and situation.acknowledged >= once:
        return Silence(because="already told in this wait")
    return Acknowledge(
        kind=Kind.BUSY,
        language=situation.language,
        once=once.astimezone(UTC),
        expected_wait=wait,
        because="the wait is long",
    )


def _objections(situation: Situation, limits: Limits) -> Iterator[str]:
    """Why nothing may be sent, whatever the hours say; the weightiest first."""
    facts = (
        (situation.bounce, "a bounce"),
        (situation.automatic, "an automatic message"),
        (situation.quiet, "no program may answer it"),
        (situation.bot, "the sender is a bot"),
        (situation.blocked, "the address is blocked"),
        (situation.opted_out, "the customer opted out"),
        ("spam" in situation.tags, "tagged as spam"),
        (situation.now - situation.sent_at > limits.fresh, "the message is old"),
        (_talking(situation, limits), "an agent is talking with the customer"),
        (situation.exchanged > limits.exchanged, "too many messages in ten minutes: this may be a loop"),
        (situation.mail and situation.address_day >= limits.address_day, "this address was told within a day"),
        (situation.mail and situation.address_week >= limits.address_week, "this address was told often this week"),
        (situation.last_minute >= limits.per_minute, "too many acknowledgements this minute"),
    )
    return (words for holds, words in facts if holds)


def _talking(situation: Situation, limits: Limits) -> bool:
    return situation.answered_at is not None and situation.now - situation.answered_at <= limits.talk
