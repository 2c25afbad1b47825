"""Plays a day: customers and agents do what the script says, on the emulators; then both sides are read.

Rule: people wait for what they see, never for a length of time. What is concluded is for `bench/day_verdict.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from bench.day_phones import Echoes, Edits, Phone, Place, Reacts, Unsends, marks_in, phone, picture, voice
from bench.day_script import (
    ANSWER,
    ECHO,
    EDITED,
    HELD,
    LATE,
    MARK,
    WORLD,
    Customer,
    Deed,
    Hold,
    Script,
    Turn,
    mark,
)
from bench.day_site import Form, Tab
from bench.day_verdict import Answered, Shown, Verdict, Wrote, judge

TOGETHER = 16  # customers who write at the same moment
VISIBLE = 30.0  # seconds after which what is not shown counts as not shown
HOLDS = 3.0  # seconds a provider keeps webhooks back, where too few gather
QUIET = 120.0  # seconds in which all that was begun has to end
LOOK = 0.05
REPLIES = ("Bakıyorum, hemen dönüyorum.", "Сейчас проверю.", "We are looking into it.", "Morgen ist es bei Ihnen.")
LOST_FILE = "alınamadı"  # how the desk says in Turkish that a file did not come
# Work that moves messages; what only keeps figures or waits for a promise may go on.
MOVING = ("mirror", "card", "revise", "marks", "media", "read", "echo", "deliver", "slack_thread", "alarms")

Query = Callable[[str], Awaitable[Sequence[Mapping[str, Any]]]]


class Board:
    """What the agents' Slack channel shows, and when each mark first stood there (seconds since 1970)."""

    def __init__(self, place: Place) -> None:
        self._slack, self._channel = place.slack, place.slack_channel
        self.seen: dict[str, float] = {}
        self.root: dict[str, str] = {}
        self._changes: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._news = asyncio.Event()

    async def watch(self) -> None:
        """Go on looking until cancelled."""
        self._slack.watchers.add(self._changes)
        try:
            while (change := await self._changes.get()) is not None:
                if change["type"] in ("message", "message_changed"):
                    self._note(change["message"], change["at"])
        finally:
            self._slack.watchers.discard(self._changes)

    def _note(self, message: Mapping[str, Any], at: float) -> None:
        if not message.get("bot_id"):
            return
        for found in MARK.findall(str(message.get("blocks") or message.get("text"))):
            if found not in self.seen:
                self.seen[found] = at
                self.root[found] = message.get("thread_ts") or message["ts"]
        self._news.set()

    async def until(self, mark: str, within: float = VISIBLE) -> bool:
        """Wait until a mark stands somewhere; False when that takes longer than `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while mark not in self.seen:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    def threads(self, stored: Mapping[str, int]) -> list[Shown]:
        """Everything the channel shows by now. `stored` is how many messages each thread's conversation holds."""
        messages = self._slack.channels[self._channel].messages
        found = []
        for ts, root in messages.items():
            if root.is_reply or not root.bot_id:
                continue
            posts = [each for each in (root, *(messages[reply] for reply in root.replies)) if each.bot_id]
            files = [word for post in posts for id in post.files for word in marks_in(self._slack.files[id].data)]
            shown = Shown(
                ts=ts,
                marks=tuple(word for post in posts for word in MARK.findall(_words(post)[0])),
                quoted=tuple(word for post in posts for word in MARK.findall(_words(post)[1])),
                files=tuple(files),
                lost=sum(str(post.blocks).count(LOST_FILE) for post in posts),
                stored=stored.get(ts),
            )
            found.append(shown)
        return found


def _words(post: Any) -> tuple[str, str]:
    """What a post says in a customer's own words, and what it quotes. What stands around them may name them too."""
    if not post.blocks:
        return str(post.text), ""
    parts = [part for block in post.blocks if block["type"] == "rich_text" for part in block["elements"]]
    own = [part for part in parts if part["type"] != "rich_text_quote"]
    return str(own), str([part for part in parts if part["type"] == "rich_text_quote"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the database says at the end. `left` is work that had not ended in time."""

    quarantined: Sequence[str]
    parked: Sequence[str]
    left: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A day that is over. `delays` are seconds from a message to its post, by kind, where nothing kept it back."""

    verdict: Verdict
    kept: Kept
    wrote: Sequence[Wrote]
    answers: Sequence[Answered]
    seconds: float
    delays: Mapping[str, Sequence[float]]
    troubles: Mapping[str, int]  # files that were kept from coming, by how
    lost_files: int  # that the desk was told are lost


class Day:
    """One day at one place."""

    def __init__(self, place: Place, script: Script, query: Query) -> None:
        self._place, self._script, self._query = place, script, query
        self._customers = {one.number: one for one in script.customers}
        self._phones: dict[tuple[int, str], Phone] = {}
        self._locks = {one.number: asyncio.Lock() for one in script.customers}
        self._holding: set[str] = set()
        self._said: Counter[str] = Counter()
        self._holds: set[asyncio.Task[None]] = set()
        self._wrote: list[Wrote] = []
        self._answers: list[Answered] = []
        self._posts: dict[str, str] = {}  # by an answer's mark: where in Slack the agent wrote it
        self._echoed: list[str] = []
        self._troubles: Counter[str] = Counter()
        self._board = Board(place)

    async def furnish(self, session: aiohttp.ClientSession) -> None:
        """Give everybody their apps, and open the pages of the shop."""
        for customer in self._script.customers:
            for kind in customer.kinds:
                self._phones[customer.number, kind] = await self._app(customer, kind, session)

    async def _app(self, customer: Customer, kind: str, session: aiohttp.ClientSession) -> Phone:
        if WORLD[kind] != "shop":
            return phone(self._place, customer, kind)
        page: Tab | Form = (Tab if kind == "webchat" else Form)(self._place, customer, session)
        await page.open()
        return page

    async def play(self) -> Played:
        """Play everything, wait until all is quiet, and judge."""
        watching = asyncio.create_task(self._board.watch())
        began = time.perf_counter()
        try:
            steps = iter(self._script.steps)
            async with asyncio.TaskGroup() as group:
                for _ in range(TOGETHER):
                    group.create_task(self._act(steps))
            await asyncio.gather(*self._holds)
            await self._shown()
            seconds = time.perf_counter() - began
            left = await self._until_quiet()
        finally:
            watching.cancel()
            for page in self._phones.values():
                if isinstance(page, Tab):
                    await page.close()
        return await self._judged(seconds, left)

    async def _act(self, steps: Iterator[Turn | Hold]) -> None:
        for step in steps:
            if isinstance(step, Hold):
                self._holds.add(asyncio.create_task(self._hold(step.world)))
            else:
                await self._turn(step)

    async def _hold(self, name: str) -> None:
        """Keep an emulator's webhooks back until enough have gathered, then let them go in any order."""
        late = sum(one.late for one in self._wrote)
        if name in self._holding or late >= LATE * self._script.messages:
            return
        world, before, until = self._place.holding[name], self._said[name], time.monotonic() + HOLDS
        self._holding.add(name)
        await world.hold()
        while self._said[name] - before < HELD and time.monotonic() < until:
            await asyncio.sleep(LOOK)
        self._holding.discard(name)
        await world.release("shuffle")

    # customers

    async def _turn(self, turn: Turn) -> None:
        customer = self._customers[turn.customer]
        async with self._locks[turn.customer]:
            last = [await self._say(customer, deed) for deed in turn.deeds][-1]
            if turn.answered:
                await self._answer(customer, turn, last)
        if not last.late and last.has_text and last.marked and not last.changed:
            await self._board.until(last.mark)

    async def _say(self, customer: Customer, deed: Deed) -> Wrote:
        app, world = self._phones[customer.number, deed.kind], WORLD[deed.kind]
        word = mark(customer.number, deed.number)
        paper = {"picture": picture, "voice": voice}[deed.what](word) if deed.what in ("picture", "voice") else None
        text = deed.text if deed.what == "word" else f"{deed.text} {word}"
        text = "" if deed.what == "voice" and deed.kind != "email" else text
        if customer.hours:  # what they write was written yesterday, says their provider
            await self._place.holding[world].settle({"clock_offset": -customer.hours * 3600})
        wrote = Wrote(
            customer=customer.number,
            number=deed.number,
            kind=deed.kind,
            at=time.time(),
            late=world in self._holding,
            changed=deed.then,
            has_text=bool(text),
            has_file=paper is not None,
            marked=deed.what != "word",
        )
        self._wrote.append(wrote)
        id = await app.say(text, paper, trouble=deed.trouble, twice=deed.twice)
        if customer.hours:
            await self._place.holding[world].settle({"clock_offset": 0})
        self._said[world] += 1
        self._troubles[deed.trouble] += bool(deed.trouble)
        if deed.then == "edit":
            assert isinstance(app, Edits)
            await app.edit(id, f"{deed.text} {mark(customer.number, deed.number + EDITED)}")
        elif deed.then == "unsend":
            assert isinstance(app, Unsends)
            await app.unsend(id)
        return wrote

    # agents

    async def _answer(self, customer: Customer, turn: Turn, last: Wrote) -> None:
        """Answer in the thread, and wait until the customer has it: what they write next may come by another way."""
        shown = mark(customer.number, 0) if turn.last or last.changed or not last.has_text else last.mark
        if not await self._board.until(shown):
            return  # it is lost, and counted so
        if turn.last:
            await self._taken(customer)
        word = mark(customer.number, last.number + ANSWER)
        near = {one.kind for one in self._wrote if one.customer == customer.number and self._near(one, last)}
        silent = turn.last or not customer.answerable
        near = {"email"} if near == {"form"} else near
        answer = Answered(customer=customer.number, mark=word, kinds=frozenset() if silent else frozenset(near))
        self._answers.append(answer)
        agent = self._place.agents[customer.number % len(self._place.agents)]
        text = f"{REPLIES[last.number % len(REPLIES)]} {word}"
        posted = await self._place.slack.post(agent, self._place.slack_channel, text, thread_ts=self._board.root[shown])
        self._posts[word] = posted["ts"]
        if silent:
            return
        phones = [app for (number, _), app in self._phones.items() if number == customer.number]
        if not await _until(lambda: any(word in each.heard() for each in phones)):
            return  # counted in the end
        for each in phones:
            await each.read()
        await self._after(customer, turn, last, word)

    def _near(self, one: Wrote, last: Wrote) -> bool:
        """Whether a message may have come after the last one that was written: answers go where somebody wrote last."""
        if one is last or one.late:
            return True
        return self._board.seen.get(one.mark, one.at + VISIBLE) >= last.at

    async def _after(self, customer: Customer, turn: Turn, last: Wrote, word: str) -> None:
        app = self._phones[customer.number, last.kind]
        if turn.reacts and isinstance(app, Reacts) and word in app.heard():
            await app.react()
        if turn.echoed and isinstance(app, Echoes):
            self._echoed.append(mark(customer.number, last.number + ECHO))
            await app.elsewhere(f"Yarın kargoda. {self._echoed[-1]}")

    async def _taken(self, customer: Customer) -> None:
        """Wait until the word by which they ended it has reached us: before that an answer may still go."""
        await _until(lambda: WORLD[customer.kinds[0]] not in self._holding)
        await self._place.holding[WORLD[customer.kinds[0]]].idle()

    # the end

    async def _shown(self) -> None:
        """Wait until everything that was written and can be looked for stands in Slack."""
        for one in self._wrote:
            if one.has_text and one.marked and one.changed != "unsend":
                word = mark(one.customer, one.number + EDITED) if one.changed == "edit" else one.mark
                if not await self._board.until(word):
                    return

    async def _until_quiet(self) -> list[str]:
        """Wait until nothing more is done; answers what was left when that took too long."""
        sql = f"""select kind || ' ' || key as what from work
            where parked_at is null and kind in ({", ".join(f"'{kind}'" for kind in MOVING)}) order by 1"""
        until, calm, left = time.monotonic() + QUIET, 0, ["nobody looked"]
        while calm < 3 and time.monotonic() < until:
            await asyncio.sleep(LOOK * 4)
            left = [str(row["what"]) for row in await self._query(sql)]
            calm = 0 if left else calm + 1
        return left

    async def _judged(self, seconds: float, left: Sequence[str]) -> Played:
        stored = await self._query(
            """
            select t.ts, count(*)::int as count from slack_threads t
            join messages m on m.conversation_id = t.conversation_id and m.direction = 'in'
            where t.ts is not null group by t.ts
            """
        )
        away = await self._query("select channel || ': ' || reason as what from quarantine order by id")
        parked = await self._query(
            "select kind || ' ' || key || ': ' || last_error as what from work where parked_at is not null order by 1"
        )
        taken = self._taken_at()
        for one in self._wrote:
            one.taken = taken.get(one.mark, 0.0)
        for answer in self._answers:
            answer.told = bool(answer.kinds) or self._told(answer.mark)
        threads = self._board.threads({row["ts"]: row["count"] for row in stored})
        heard = {place: app.heard() for place, app in self._phones.items()}
        heard |= {(number, "email"): marks for (number, kind), marks in heard.items() if kind == "form"}
        heard = {place: marks for place, marks in heard.items() if place[1] != "form"}
        return Played(
            verdict=judge(self._wrote, self._answers, threads, heard, self._echoed),
            kept=Kept(
                quarantined=[row["what"] for row in away], parked=[row["what"] for row in parked], left=tuple(left)
            ),
            wrote=self._wrote,
            answers=self._answers,
            seconds=seconds,
            delays=self._delays(),
            troubles=self._troubles,
            lost_files=sum(thread.lost for thread in threads),
        )

    def _delays(self) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for one in self._wrote:
            if not one.late and one.mark in self._board.seen:
                found.setdefault(one.kind, []).append(self._board.seen[one.mark] - one.at)
        return found

    def _taken_at(self) -> dict[str, float]:
        """When each message was first acknowledged, by its mark; of mail, which is fetched, when it was shown."""
        taken: dict[str, float] = {}
        for world in self._place.holding.values():
            for record in world.journal.attempts():
                if not record["error"]:
                    at = datetime.fromisoformat(record["at"]).timestamp()
                    for found in MARK.findall(str(record)):
                        taken.setdefault(found, at)
        for page in self._phones.values():
            if isinstance(page, Tab | Form):
                taken |= page.taken
        return {**self._board.seen, **taken}

    def _told(self, word: str) -> bool:
        """Whether an agent was told something of a message of theirs, or below it."""
        ts, messages = self._posts.get(word, ""), self._place.slack.channels[self._place.slack_channel].messages
        if not ts:
            return False
        own = messages[ts]
        below = [messages[each] for each in messages[own.thread_ts].replies if each > ts]
        whispered = [each for each in self._place.slack.ephemerals if each["thread_ts"] == own.thread_ts]
        return bool(own.reactions or any(each.bot_id for each in below) or whispered)


async def _until(look: Callable[[], bool], within: float = VISIBLE) -> bool:
    until = time.monotonic() + within
    while not look():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(LOOK)
    return True
