"""SIGHUP: reads hours, rules, templates, targets and agents again, and puts them in force as one.

Rule: what is wrong changes nothing: the running policy stays, the log and the desk say why. What only a start can
change, such as another channel, is named and left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

import structlog

from app.config import Config
from app.policy import policy_of
from app.problems import ConfigProblems, Problem
from inbox.changes import Put
from inbox.store import work
from inbox.store.database import Database
from routing.policy import Live
from routing.rounds.following import ASSIGN
from routing.rounds.promising import TIMERS

# What only a start reads: keys at the top, and keys of a team.
AT_START = ("public_url", "listen", "data_dir", "database_url", "slack", "contact")
TEAM_AT_START = ("slack_channel", "members", "replies", "ask_first", "undo_seconds")
TOLD = 8  # problems that the desk is told; the log has them all
LONGEST_PAUSE = 30.0  # seconds

log = structlog.get_logger()

Tell = Callable[[str], Awaitable[None]]


class Reload:
    """Reads the configuration again with `reread`. `tell` says at the desk what is wrong, "" that nothing is now.

    Where the database is away it is asked again, after `pause` seconds and then less and less often.
    """

    def __init__(
        self,
        config: Config,
        live: Live,
        database: Database,
        reread: Callable[[], Config],
        *,
        tell: Tell,
        pause: float = 1.0,
    ) -> None:
        self._config = config  # of the start: what only a start reads is compared with it
        self._live = live
        self._database = database
        self._reread = reread
        self._tell = tell
        self._pause = pause
        self._was_refused = False
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self) -> bool:
        """Take over what the files say now. False when the running policy stays in force."""
        async with self._one_at_a_time:
            try:
                config = await asyncio.to_thread(self._reread)
                self._same_teams(config)
                policy = await asyncio.to_thread(policy_of, config)
            except ConfigProblems as wrong:
                log.error("serve.reload_refused", problems=[str(problem) for problem in wrong.problems])
                return await self._refused(_said(wrong.problems))
            except Exception as error:
                log.error("serve.reload_refused", error=type(error).__name__, exc_info=error)
                return await self._refused(f"{type(error).__name__} while they were read; the log says more")
            self._live.replace(policy)
            if left := list(self._left(config)):
                log.warning("serve.reload_needs_restart", changed=left)
            log.info("serve.reloaded", rules=len(policy.rules.rules), teams=list(policy.teams))
            await self._surely(self.look_again)
            if self._was_refused:
                await self._surely(lambda: self._tell(""))
                self._was_refused = False
            return True

    async def _refused(self, said: str) -> bool:
        self._was_refused = True
        await self._surely(lambda: self._tell(said))
        return False

    async def look_again(self) -> None:
        """Have clocks and assignments looked at with what holds now."""
        teams = [team.name for team in self._live().teams.values() if team.method is not None]
        async with self._database.connection() as c:
            await work.put(c, [Put(kind=TIMERS, key="all"), *(Put(kind=ASSIGN, key=name) for name in teams)])

    async def _surely(self, do: Callable[[], Awaitable[None]]) -> None:
        pause = self._pause
        while True:
            try:
                return await do()
            except Exception as error:  # noqa: BLE001 - whatever the database throws, it may be back in a moment
                log.warning("serve.reload_waits", error=type(error).__name__, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _same_teams(self, config: Config) -> None:
        before, after = ([team.name for team in one.teams] for one in (self._config, config))
        new = [name for name in after if name not in before]
        gone = [name for name in before if name not in after]
        problems = [
            Problem(key="teams", what=f'"{name}" {what}', fix="restart Santral for that")
            for names, what in ((new, "is new"), (gone, "is gone"))
            for name in names
        ]
        if problems:
            raise ConfigProblems("the configuration", problems)

    def _left(self, config: Config) -> Iterator[str]:
        """What has changed in the file but needs a start."""
        yield from (key for key in AT_START if getattr(config, key) != getattr(self._config, key))
        if config.shop.languages[0] != self._config.shop.languages[0]:
            yield "shop.languages: the first one"
        before = {team.name: team for team in self._config.teams}
        for team in config.teams:
            changed = (key for key in TEAM_AT_START if getattr(team, key) != getattr(before[team.name], key))
            yield from (f'teams "{team.name}" . {key}' for key in changed)
        old, new = ({channel.name: channel for channel in one.channels} for one in (self._config, config))
        yield from (f'channels "{name}"' for name in {**old, **new} if old.get(name) != new.get(name))


def _said(problems: Sequence[Problem]) -> str:
    lines = [str(problem) for problem in problems[:TOLD]]
    return "\n".join([*lines, *([f"and {len(problems) - TOLD} more"] if len(problems) > TOLD else [])])
