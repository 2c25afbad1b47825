"""Has a new model made from what agents corrected: when there is enough to learn, and at most once a day.

Rule: a model takes effect only where it reads the held-out messages no worse than the one in use; else it is kept,
with the reason, and a person may still choose it. Whatever happens, the one in use can be gone back to.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from channels.mail.process import Children, TooMuch
from inbox.store import understanding
from inbox.store.database import Database
from inbox.store.work import Piece
from inbox.work import Failed, Ran
from routing.model_process import Learn, Taught, Unusable
from routing.rounds.clock import later

LEARN = "learn"  # a kind of work; the key is "all"
ENOUGH = 50  # new corrections: fewer change nothing that a held-out split would show
PAUSE = timedelta(days=1)  # between two models, and between two looks whether there is enough
SECONDS = 3_600.0  # for one training; four minutes on a machine that has nothing else to do
WORK = "routing.model_learning"

log = structlog.get_logger()


class Learning:
    """Handler of the work kind `learn`. It looks once a day by itself."""

    def __init__(self, database: Database, *, now: Callable[[], datetime], work: str = WORK) -> None:
        self._database = database
        self._now = now
        self._work = work

    async def run(self, piece: Piece) -> Ran:
        now = self._now()
        async with self._database.connection() as c:
            last = await understanding.learned_at(c)
            fresh = await understanding.corrected_since(c, last)
        if last is not None and now - last < PAUSE:
            return Ran(again=later(last + PAUSE, now))
        if fresh >= ENOUGH:
            await self.learn()
        return Ran(again=later(now + PAUSE, now))

    async def learn(self) -> tuple[str, Taught]:
        """Make a model of everything that was corrected; answer its version too. Raises `Failed` in words."""
        now = self._now()
        version = f"{now:%Y-%m-%d-%H%M}"
        async with self._database.connection() as c:
            corrections = await understanding.corrections(c)
            used = await understanding.in_use(c)
            content = await understanding.content(c, used) if used else None
        if not corrections:
            raise Failed("nobody has corrected anything yet, so there is nothing to learn")
        taught = await self._taught(Learn(version=version, corrections=tuple(corrections), content=content))
        async with self._database.transaction() as c:
            kept = await understanding.keep(
                c,
                version,
                taught.content,
                examples=taught.examples,
                scores=dict(taught.scores),
                at=now,
                refused=taught.refused,
            )
        if not kept:
            raise Failed(f"a model {version} is there already; try again in a minute")
        log.info("model.learned", version=version, examples=taught.examples, used=not taught.refused)
        return version, taught

    async def _taught(self, job: Learn) -> Taught:
        children = Children(1, seconds=SECONDS, work=self._work)
        try:
            answer: Taught | Unusable = await children.ask(job)
        except TooMuch as error:
            raise Failed(f"no model could be made: {error}") from error
        finally:
            await children.close()
        if isinstance(answer, Unusable):
            raise Failed(f"no model could be made: {answer.why}")
        return answer
