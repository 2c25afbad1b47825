"""Who of a team is there: its people as Slack lists them, and whether Slack shows them as active.

Rule: Slack being away stops nothing. What it said last holds until it speaks again; whom it never spoke of is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError, SlackClientError

from desk.commands import refused
from desk.desk import Desk
from desk.slack import Gone, Unknown
from desk.teams import Team
from inbox.store import assignments
from inbox.work import Failed, Wait

MEMBERS = timedelta(minutes=10)  # how long a list of people is taken for true
DOT = timedelta(minutes=2)  # as long for how Slack shows one of them: users.getPresence may be asked 50 times a minute
WATCHED = timedelta(minutes=15)  # after a longer break nobody knows what was between two looks
PAUSE = timedelta(minutes=1)  # that Slack is left alone after it failed
WAIT = 3.0  # seconds an assignment waits for Slack
ANSWER = 1.5  # seconds a person waits for Slack who must be answered within three
AT_ONCE = 4  # calls
PAGE = 200  # members a call; Slack recommends no more than that
NEVER = timedelta.max

log = structlog.get_logger()

_UNKNOWN_USER = {"user_not_found", "user_not_visible"}  # says nothing about Slack, and nothing about the others
_FAILURES = (
    Failed, Wait, Unknown, Gone, SlackApiError, SlackClientError, aiohttp.ClientError, OSError, TimeoutError,
)  # fmt: skip


class Presence:
    """The people of the teams. Remembers in this process what Slack said; how it shows people is kept for all."""

    def __init__(self, desk: Desk, *, now: Callable[[], datetime]) -> None:
        self._desk = desk
        self._now = now  # the shop's clock, by which is decided who is there
        self._lists: dict[str, tuple[datetime, tuple[str, ...]]] = {}  # by team: until when it holds, and who is in it
        self._may: dict[tuple[str, str], bool] = {}  # whether (team, user) may answer customers, where ever known
        self._looked: dict[str, datetime] = {}
        self._quiet_until: datetime | None = None

    async def candidates(self, team: str) -> Sequence[str]:
        """The users who may be given a team's conversations: those who may answer in it, there or not.

        None while Slack has not yet said who is in the Slack channel of a team that names no members.
        """
        found = next((one for one in self._desk.teams if one.name == team), None)
        if found is None:
            return ()
        until, known = self._lists.get(team, (None, self._named(found)))
        if self._quiet() or (until is not None and self._now() < until):
            return known
        listed: Collection[str] | None = None
        holds = MEMBERS
        try:
            async with asyncio.timeout(WAIT):
                listed = await self._listed(found)
                await _each(lambda user: self._judge(found, user), listed)
        except _FAILURES as error:
            self._failed("slack.members_not_read", error)
            if listed is None:
                return known
            holds = PAUSE
        # Whom Slack could not describe is who the shop says they are, but not whoever has joined a Slack channel.
        people = tuple(sorted(user for user in listed if self._may.get((team, user), bool(found.members))))
        self._lists[team] = (self._now() + holds, people)
        return people

    async def teams_of(self, user: str) -> list[str]:
        """The teams somebody is in; all that might be while Slack does not say, for somebody waits for an answer."""
        teams = list(self._desk.teams)
        elsewhere: set[str] = set()

        async def ask(team: Team) -> None:
            until, known = self._lists.get(team.name, (None, ()))
            fresh = until is not None and self._now() < until
            if user not in (known if fresh else await self._listed(team)):
                elsewhere.add(team.name)

        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER):
                await asyncio.gather(*map(ask, teams), return_exceptions=True)
        return [team.name for team in teams if team.name not in elsewhere]

    async def look(self, ids: Collection[str]) -> frozenset[str]:
        """Ask Slack how it shows these people, where that is not known of late; tell of whom it is known now."""
        now = self._now()
        ages = {user: now - at for user, at in self._looked.items()}
        due = [user for user in ids if ages.get(user, NEVER) >= DOT]
        due.sort(key=lambda user: ages.get(user, NEVER), reverse=True)  # whoever was not looked at for longest first
        if due and not self._quiet():
            answers: dict[str, bool] = {}
            try:
                async with asyncio.timeout(WAIT):
                    await _each(lambda user: self._ask(user, answers), due)
            except _FAILURES as error:
                self._failed("slack.presence_not_read", error)
            if answers:
                watched = [user for user in answers if ages.get(user, NEVER) < WATCHED]
                async with self._desk.database.connection() as c:
                    await assignments.saw(c, answers, watched, now)
                self._looked |= dict.fromkeys(answers, now)
                ages |= dict.fromkeys(answers, timedelta())
        return frozenset(user for user in ids if ages.get(user, NEVER) < 2 * DOT)

    def _named(self, team: Team) -> tuple[str, ...]:
        """Those whom the configuration names one by one."""
        return tuple(sorted(user for user in team.members if not user.startswith("S")))

    async def _listed(self, team: Team) -> Collection[str]:
        if team.members:
            return await self._desk.people.members(team.members)
        ours = self._desk.slack.identity
        return [user for user in await self._joined(team.slack_channel) if ours is None or user != ours.user_id]

    async def _joined(self, slack_channel: str) -> list[str]:
        """Everybody in a Slack channel, people and programs."""
        found: list[str] = []
        cursor = ""
        while True:
            answer: Any = await self._desk.slack.client.conversations_members(
                channel=slack_channel, limit=PAGE, **({"cursor": cursor} if cursor else {})
            )
            found += answer.get("members") or []
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return found

    async def _judge(self, team: Team, user: str) -> None:
        """Learn whether somebody may answer a team's customers. A guest may where the team names them."""
        someone = await self._desk.people.who(user)
        listed = frozenset([user]) if team.members else frozenset[str]()
        self._may[team.name, user] = refused(someone.person, user, listed) is None

    async def _ask(self, user: str, answers: dict[str, bool]) -> None:
        try:
            answer: Any = await self._desk.slack.client.users_getPresence(user=user)
        except SlackApiError as error:
            if error.response.get("error") not in _UNKNOWN_USER:
                raise
            return
        answers[user] = answer.get("presence") != "away"

    def _quiet(self) -> bool:
        return self._quiet_until is not None and self._now() < self._quiet_until

    def _failed(self, event: str, error: BaseException) -> None:
        self._quiet_until = self._now() + PAUSE
        log.warning(event, error=type(error).__name__)


async def _each(ask: Callable[[str], Awaitable[None]], users: Iterable[str]) -> None:
    """Ask a few at a time. The first failure ends it and is raised; what was learned before stays learned."""
    pace = asyncio.Semaphore(AT_ONCE)

    async def one(user: str) -> None:
        async with pace:
            await ask(user)

    tasks = [asyncio.create_task(one(user)) for user in users]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
