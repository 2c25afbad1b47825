"""Tells a customer at once that the message arrived and when a person answers.

Rule: one transaction takes the right to tell this customer for this closed time and plans the message; a crash before
it has told nothing, one after it sends what is planned.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
import structlog
from babel.dates import format_timedelta
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from channels.message import Author
from inbox import figures
from inbox.replies import Draft, NoAddress, Replies
from inbox.store import acknowledgements
from inbox.store.acknowledgements import Circumstances
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.work import Ran
from routing.acknowledge import Acknowledge, Kind, Silence, Situation, decide
from routing.hours import Hours
from routing.policy import Policy, TeamPolicy
from templates.reply import Rendered

AUTHOR = "santral"  # of what we say ourselves; also the channel such words are kept under

log = structlog.get_logger()


class Acknowledging:
    """Handler of the work kind `acknowledge`; the key is a conversation."""

    def __init__(
        self, database: Database, replies: Replies, policy: Callable[[], Policy], *, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._replies = replies
        self._policy = policy
        self._now = now

    async def run(self, piece: Piece) -> Ran:
        conversation_id, policy, now = int(piece.key), self._policy(), self._now()
        async with self._database.connection() as c:
            found = await acknowledgements.circumstances(c, conversation_id, now)
            if found is None:
                return Ran()
            team = policy.team(found.team)
            wait = None
            if policy.limits.long_wait is not None:
                wait = await acknowledgements.expected_wait(c, team.name, now)
        if team.hours is None and wait is None:
            return Ran()
        decision = decide(situation(found, team, policy, now, wait), policy.limits)
        if isinstance(decision, Silence):
            log.info("acknowledge.silent", conversation=conversation_id, because=decision.because)
            figures.ACKNOWLEDGED.labels("silent").inc()
            return Ran()
        words = self._words(decision, found, policy)
        async with self._database.transaction() as c:
            mine = await acknowledgements.claim(
                c, found, conversation_id, kind=decision.kind.value, once=decision.once, at=now,
                opens_at=decision.opens_at, per_minute=policy.limits.per_minute,
            )  # fmt: skip
            if not mine:
                return Ran()
            draft = Draft(
                text=words.text,
                source=(AUTHOR, f"acknowledge:{found.customer_id}:{decision.once.isoformat()}"),
                author=AUTHOR,
                author_name=policy.shop,
                kind=Author.BOT,
                at=datetime.now(UTC),
                holding=True,
            )
            try:
                await self._replies.reply_in(c, conversation_id, draft)
            except NoAddress:
                return Ran()
        figures.ACKNOWLEDGED.labels(decision.kind.value).inc()
        return Ran(used=True)

    def _words(self, decision: Acknowledge, found: Circumstances, policy: Policy) -> Rendered:
        values = {"customer": found.customer}
        if decision.opening:
            values["opening"] = decision.opening
        if decision.expected_wait is not None:
            values["wait"] = in_words(decision.expected_wait, decision.language)
        segment = policy.kinds.get(found.channel) == "sms"
        return policy.replies.acknowledgement(decision.kind.value, decision.language, values, segment=segment)


def situation(
    found: Circumstances, team: TeamPolicy, policy: Policy, now: datetime, wait: timedelta | None
) -> Situation:
    """From what is stored to what is decided on, in a language there is a text in."""
    spoken = policy.replies.language("acknowledge-closed", found.language or policy.languages[0])
    hours = team.hours or Hours.parse("24/7", zone=policy.zone, country="")
    return Situation(
        now=now,
        hours=hours,
        language=spoken,
        sent_at=found.sent_at,
        zone=zone_of(found),
        automatic=found.automatic,
        quiet=found.quiet,
        bot=found.bot,
        opted_out=found.silenced,
        tags=found.tags,
        mail=found.address_kind.startswith("email"),
        answered_at=found.answered_at,
        acknowledged=found.acknowledged,
        promised=found.promised,
        address_day=found.address_day,
        address_week=found.address_week,
        exchanged=found.exchanged,
        last_minute=found.last_minute,
        waiting_since=found.waiting_since,
        expected_wait=wait,
    )


def zone_of(found: Circumstances) -> ZoneInfo | None:
    """Where the customer's day begins: as we were told, else as their number says if its country has one zone."""
    named = found.zone
    if not named and found.phone:
        try:
            zones = time_zones_for_number(phonenumbers.parse(found.phone))
        except phonenumbers.NumberParseException:
            zones = ()
        named = zones[0] if len(zones) == 1 and zones[0] != UNKNOWN_TIMEZONE else ""
    try:
        return ZoneInfo(named) if named else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


def in_words(wait: timedelta, language: str) -> str:
    """A length of time as a person says it, rounded up to what can be promised: 20 minutes, 3 hours, 2 days."""
    minutes = max(int(wait.total_seconds()) // 60, 1)
    if minutes < 60:
        rounded = timedelta(minutes=-(-minutes // 5) * 5)
    elif minutes < 24 * 60:
        rounded = timedelta(hours=-(-minutes // 60))
    else:
        rounded = timedelta(days=-(-minutes // (24 * 60)))
    return str(format_timedelta(rounded, threshold=2, locale=language.replace("-", "_")))


__all__ = ["AUTHOR", "Acknowledging", "Kind", "in_words", "situation"]
