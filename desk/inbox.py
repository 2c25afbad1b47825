"""The command `/inbox`: going away and coming back, and what somebody carries. Answered for their eyes only.

Rule: what somebody says about themselves is stored before Slack is answered, and counts at once; whom their customers
go to is decided by the work it makes due.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from slack_bolt.async_app import AsyncApp

from desk.blocks import Code, Link, Post, sentence, small
from desk.commands import Refusal, refused
from desk.desk import Desk
from desk.people import Someone
from desk.presence import Presence
from inbox.changes import Priority, Put
from inbox.store import assignments, work
from inbox.store import slack as table
from inbox.store.assignments import Carried
from templates.catalog import Voice

COMMAND = "/inbox"
ASSIGN = "assign"  # the kind of work that finds agents; the key is a team
SHOWN = 10  # conversations in one answer
MORNING = time(9)  # "tomorrow", for somebody whose hours nobody has laid down
LONGEST = timedelta(days=366)  # beyond that it is a slip of the pen

# The week in the languages of the desk, Monday first. Any beginning of three letters will do that is no other day's.
_WEEKS = (
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("pazartesi", "salı", "çarşamba", "perşembe", "cuma", "cumartesi", "pazar"),
    ("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag sonnabend", "sonntag"),
    (
        "понедельник понедельника", "вторник вторника", "среда среду среды", "четверг четверга",
        "пятница пятницу пятницы", "суббота субботу субботы", "воскресенье воскресенья",
    ),
)  # fmt: skip
_TOMORROW = ("tomorrow", "yarın", "завтра", "morgen")
_LENGTH = re.compile(
    r"(?:(?P<days>\d{1,3}) ?d(?:ays?)?)? ?"
    r"(?:(?P<hours>\d{1,4}) ?h(?:(?:ou)?rs?)?)? ?"
    r"(?:(?P<minutes>\d{1,5}) ?m(?:in(?:ute)?s?)?)?"
)
_CLOCK = re.compile(r"(?P<hour>\d{1,2})(?:[:.](?P<minute>\d{2}))? ?(?P<half>am|pm)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

Ack = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """No more conversations until a moment, or until their next shift after it; None: until they say otherwise."""

    until: datetime | None = None
    next_shift: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """`unclear` is what could not be understood, "" when help was asked for."""

    unclear: str = ""


Asked = Away | Back | Status | Help


class Shifts(Protocol):
    """What the shop has laid down about who works when."""

    def assigns(self, team: str) -> bool:
        """Whether anybody is assigned in a team, rather than taking what they like."""
        ...

    def next_shift(self, user: str, teams: Collection[str], after: datetime) -> datetime | None:
        """When somebody next begins to work after a moment; None where that is not laid down."""
        ...


class Inbox:
    """Listens to the command. `zone` is the shop's, for people whose own Slack does not tell."""

    def __init__(
        self, desk: Desk, presence: Presence, shifts: Shifts, *, zone: ZoneInfo, now: Callable[[], datetime]
    ) -> None:
        self._desk = desk
        self._now = now
        self._presence = presence
        self._shifts = shifts
        self._zone = zone

    def register(self, app: AsyncApp) -> None:
        app.command(COMMAND)(self.command)

    async def command(self, ack: Ack, body: Mapping[str, Any]) -> None:
        someone = await self._desk.people.who(str(body["user_id"]))
        say = self._desk.catalog.voice(someone.language)
        if refused(someone.person, someone.id, frozenset()) is Refusal.OUTSIDER:
            post = small(say, "inbox.outsider")
        else:
            zone = await self._zone_of(someone)
            asked = read(str(body.get("text") or ""), self._now(), zone)
            post = await self._answer(someone, asked, zone, say)
        await ack(response_type="ephemeral", text=post.text, blocks=post.blocks)

    async def _answer(self, someone: Someone, asked: Asked, zone: ZoneInfo, say: Voice) -> Post:
        match asked:
            case Away():
                return await self._go_away(someone, asked, zone, say)
            case Back():
                return await self._come_back(someone, say)
            case Status():
                return await self._status(someone, zone, say)
            case Help(unclear=words):
                return (sentence(say, "inbox.unclear", words=Code(text=words)) if words else Post(text="")) + usage(say)

    async def _go_away(self, someone: Someone, asked: Away, zone: ZoneInfo, say: Voice) -> Post:
        now, teams = self._now(), await self._presence.teams_of(someone.id)
        until = asked.until
        if until is not None and asked.next_shift:
            begins = self._shifts.next_shift(someone.id, teams, until - timedelta.resolution)
            until = begins or _moment(until.astimezone(zone).date(), MORNING, zone)
        async with self._desk.database.transaction() as c:
            await assignments.go_away(c, someone.id, now, until)
            carried = await assignments.carried(c, someone.id)
            affected = self._affected(teams, carried)
            await work.put(c, [Put(kind=ASSIGN, key=team, priority=Priority.HIGH) for team in affected])
        post = away(until, zone, say)
        if not affected:
            return post + small(say, "inbox.by_hand")
        waiting = [one for one in carried if one.team in affected and one.waiting_since is not None]
        return post + (small(say, "inbox.handed_on", count=len(waiting)) if waiting else Post(text=""))

    async def _come_back(self, someone: Someone, say: Voice) -> Post:
        now = self._now()
        affected = self._affected(await self._presence.teams_of(someone.id), ())
        async with self._desk.database.transaction() as c:
            (person,) = await assignments.people(c, [someone.id])
            await assignments.come_back(c, someone.id, now)
            await work.put(c, [Put(kind=ASSIGN, key=team) for team in affected])
        return sentence(say, "inbox.back" if person.away(now) and affected else "inbox.here")

    async def _status(self, someone: Someone, zone: ZoneInfo, say: Voice) -> Post:
        async with self._desk.database.connection() as c:
            (person,) = await assignments.people(c, [someone.id])
            carried = await assignments.carried(c, someone.id)
        gone = person.away(self._now())
        post = away(person.away_until, zone, say) if gone else sentence(say, "inbox.here")
        if not carried:
            return post + small(say, "inbox.nothing")
        post += sentence(say, "inbox.carried", count=len(carried))
        for one in carried[:SHOWN]:
            post += self._line(one, zone, say)
        return post + (small(say, "inbox.more", count=len(carried) - SHOWN) if len(carried) > SHOWN else Post(text=""))

    def _line(self, one: Carried, zone: ZoneInfo, say: Voice) -> Post:
        """A conversation by its customer, as a link to its thread."""
        url = self._desk.slack.link(one.slack_channel, one.ts) if one.ts else ""
        customer = Link(url=url, label=one.customer or say("word.customer"))
        priority = say.word("priority", one.priority.name.lower())
        if one.waiting_since is None:
            return sentence(say, "inbox.line", customer=customer, priority=priority)
        since = one.waiting_since.astimezone(zone)
        return sentence(say, "inbox.waits", customer=customer, priority=priority, since=since)

    def _affected(self, teams: Sequence[str], carried: Sequence[Carried]) -> list[str]:
        """The teams in which somebody else may get what this person has, or would have got."""
        return sorted(team for team in {*teams, *(one.team for one in carried)} if self._shifts.assigns(team))

    async def _zone_of(self, someone: Someone) -> ZoneInfo:
        async with self._desk.database.connection() as c:
            known = await table.agent(c, someone.id)
        try:
            return ZoneInfo(str(known.facts["tz"])) if known else self._zone
        except (KeyError, ValueError, ZoneInfoNotFoundError):
            return self._zone


def away(until: datetime | None, zone: ZoneInfo, say: Voice) -> Post:
    """Say that somebody is away, and until when."""
    if until is None:
        return sentence(say, "inbox.away", command=Code(text=f"{COMMAND} back"))
    return sentence(say, "inbox.away_until", until=until.astimezone(zone), command=Code(text=f"{COMMAND} back"))


def usage(say: Voice) -> Post:
    """What the command can do."""
    examples = ("away until 14:30", "away 2h", "away tomorrow", "away until friday 10:00")
    post = sentence(say, "inbox.help_away", command=Code(text=f"{COMMAND} away"))
    post += small(say, "inbox.help_examples", examples=Code(text=" · ".join(f"{COMMAND} {one}" for one in examples)))
    post += sentence(say, "inbox.help_back", command=Code(text=f"{COMMAND} back"))
    return post + sentence(say, "inbox.help_status", command=Code(text=f"{COMMAND} status"))


def read(text: str, now: datetime, zone: ZoneInfo) -> Asked:
    """What somebody asks for. Times are theirs, in `zone`; one that has passed today means tomorrow's."""
    words = text.casefold().split()
    try:
        return _read(words, now, zone) or Help(unclear=" ".join(text.split()))
    except OverflowError:  # a date at the end of the calendar
        return Help(unclear=" ".join(text.split()))


def _read(words: Sequence[str], now: datetime, zone: ZoneInfo) -> Asked | None:
    match words:
        case [] | ["help"]:
            return Help()
        case ["back"]:
            return Back()
        case ["status"]:
            return Status()
        case ["away"]:
            return Away()
        case ["away", "until" | "till" | "for", *rest] | ["away", *rest]:
            found = _until(" ".join(rest), now, zone)
            return found if found is not None and found.until is not None and found.until - now <= LONGEST else None
        case _:
            return None


def _until(words: str, now: datetime, zone: ZoneInfo) -> Away | None:
    length = _LENGTH.fullmatch(words)
    if words and length is not None:
        parts = {name: int(value or 0) for name, value in length.groupdict().items()}
        return Away(until=now + timedelta(**parts)) if any(parts.values()) else None
    today = now.astimezone(zone).date()
    named, _, rest = words.partition(" ")
    day = _day(named, today)
    if day is None:
        at = _clock(words)
        if at is None:
            return None
        moment = _moment(today, at, zone)
        return Away(until=moment if moment > now else _moment(today + timedelta(days=1), at, zone))
    if not rest:
        return Away(until=_moment(day, time(), zone), next_shift=True) if day > today else None
    at = _clock(rest)
    until = _moment(day, at, zone) if at is not None else now
    return Away(until=until) if until > now else None


def _day(word: str, today: date) -> date | None:
    plain = _plain(word)
    if plain in map(_plain, _TOMORROW):
        return today + timedelta(days=1)
    if (weekday := _weekday(plain)) is not None:
        return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)
    if _DATE.fullmatch(word):
        try:
            return date.fromisoformat(word)
        except ValueError:
            return None
    return None


def _weekday(plain: str) -> int | None:
    """Which day of the week a name or the beginning of one is, Monday 0; None where it may be several or is none."""
    names = [(_plain(name), day) for week in _WEEKS for day, said in enumerate(week) for name in said.split()]
    whole = {day for name, day in names if name == plain}
    begun = {day for name, day in names if name.startswith(plain)} if len(plain) >= 3 else set()
    found = whole or begun
    return found.pop() if len(found) == 1 else None


def _plain(word: str) -> str:
    """A word without the signs over its letters, which not every keyboard has: yarın is yarin."""
    apart = unicodedata.normalize("NFD", word.casefold().replace("ı", "i"))
    return "".join(sign for sign in apart if not unicodedata.combining(sign))


def _clock(words: str) -> time | None:
    found = _CLOCK.fullmatch(words)
    if found is None or not (found["minute"] or found["half"]):
        return None  # a bare number may be an hour or a number of them
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"] == "pm" else 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)
