"""The stage stories play on: what customers, agents and the page do there, and what can be seen of it.

Rule: a step waits until what it speaks of is there to be seen, and never for a length of time it hopes to be enough.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from sandbox import cast
from sandbox.cast import Agent, Person, Writer
from sandbox.mail import World as Mail
from sandbox.mail.reading import Seen
from sandbox.slack import World as Slack
from sandbox.slack.workspace import Message
from sandbox.telegram import World as Telegram

Json = dict[str, Any]
Found = TypeVar("Found")

PICTURES = Path(__file__).parent / "static" / "pictures"
READ = 0.055  # seconds a character of a sentence takes to read, beside what is to be seen
LOOK = 1.6  # seconds at least


class Stuck(Exception):
    """What the story waited for did not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the page shows of a story that plays. `until` is the end of a countdown, in seconds since 1970."""

    id: str
    title: str
    steps: int
    step: int = -1
    say: str = ""
    look: str = ""  # phone, desk or drawer
    person: str = ""
    agent: str = ""
    channel: str = ""
    thread: str = ""
    until: float = 0.0
    counting: str = ""
    over: bool = False
    failed: bool = False

    def plain(self) -> Json:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A message in the support channel: its own ts, and its thread's."""

    ts: str
    thread: str


@dataclass(slots=True, kw_only=True)
class Stage:
    """Where a story plays. `pace` stretches the time there is to read; 0 leaves none."""

    telegram: Telegram
    slack: Slack
    mail: Mail
    show: Callable[[Scene], None]
    scene: Scene
    pace: float = 1.0
    patience: float = 30.0  # seconds
    began: float = field(default_factory=time.time)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    # telling

    def now(self, say: str, **shown: Any) -> None:
        """Begin the next step."""
        cleared = {"until": 0.0, "counting": ""}
        self.scene = replace(self.scene, **{**cleared, "step": self.scene.step + 1, "say": say, **shown})
        self.show(self.scene)

    async def read(self) -> None:
        """Leave time to read the sentence and look."""
        await asyncio.sleep(self.pace * max(LOOK, READ * len(self.scene.say)))

    async def breathe(self, seconds: float = 0.7) -> None:
        await asyncio.sleep(self.pace * seconds)

    async def until(self, what: str, look: Callable[[], Found | None], patience: float | None = None) -> Found:
        """Wait for something to be seen. Raises `Stuck` saying `what` did not happen."""
        deadline = time.monotonic() + (self.patience if patience is None else patience)
        while (found := look()) is None or found is False:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Stuck(what)
            self.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), min(left, 0.5))
        return found

    # customers

    async def writes(self, person: Person, text: str) -> Json:
        return await self.telegram.say(person.id, kind="text", text=text)

    async def sends(self, person: Person, pictures: tuple[str, ...], caption: str) -> Json:
        files = [{"name": name, "media_type": "image/png", "data": _picture(name)} for name in pictures]
        return await self.telegram.say(person.id, kind="photo", caption=caption, files=files)

    def taken(self, update_id: int, times: int = 1) -> bool | None:
        """Whether Santral said 2xx to an update, so many times."""
        attempts = self.telegram.journal.attempts()
        done = [one for one in attempts if one["update_id"] == update_id and 200 <= one["status"] < 300]
        return len(done) >= times or None

    def heard(self, person: Person, text: str) -> bool | None:
        """Whether the person's phone shows this from the shop."""
        chat = self.telegram.state()["chats"].get(str(person.id), [])
        return any(one["from"] == "bot" and text in (one["text"] + one["caption"]) for one in chat) or None

    def mails(self, writer: Writer, subject: str, text: str) -> None:
        self.mail.deliver(writer.address, cast.MAILBOX, subject, text)

    def got(self, writer: Writer, text: str) -> Seen | None:
        """The newest mail in their inbox that says this."""
        found = [one for one in self.mail.inbox(writer.address) if text in one.own]
        return found[-1] if found else None

    # the desk

    def messages(self) -> Iterator[Message]:
        yield from list(self.slack.channels[cast.SUPPORT_CHANNEL].messages.values())

    def found(self, text: str) -> Place | None:
        """The newest message on the desk that says this."""
        seen = [one for one in self.messages() if one.bot_id and text in words_of(one)]
        return Place(ts=seen[-1].ts, thread=seen[-1].thread_ts or seen[-1].ts) if seen else None

    def count(self, text: str) -> int:
        """How often the desk shows this, cards and threads together."""
        return sum(words_of(one).count(text) for one in self.messages() if one.bot_id)

    def says(self, thread: str, text: str) -> bool:
        """Whether Santral says this in a thread."""
        return any(
            (one.thread_ts or one.ts) == thread and one.bot_id and text in words_of(one) for one in self.messages()
        )

    def button(self, thread: str, *action_ids: str) -> tuple[str, str] | None:
        """The newest message of a thread with one of these buttons, as (ts, action_id)."""
        for message in reversed(list(self.messages())):
            if (message.thread_ts or message.ts) == thread and message.bot_id:
                for action_id in _actions(message.blocks):
                    if action_id in action_ids:
                        return message.ts, action_id
        return None

    async def press(self, agent: Agent, ts: str, action_id: str) -> None:
        await self.slack.press(agent.id, action_id, channel=cast.SUPPORT_CHANNEL, ts=ts)

    async def answers(self, agent: Agent, thread: str, text: str) -> str:
        """Write into a thread as an agent and, if Santral asks whether that is meant for the customer, say yes."""
        posted = await self.slack.post(agent.id, cast.SUPPORT_CHANNEL, text, thread_ts=thread)
        return str(posted["ts"])

    async def says_yes(
        self, agent: Agent, thread: str, after: str, done: Callable[[], Found | None], what: str
    ) -> Found:
        """Wait until `done`, pressing the main button of a question to this agent on the way."""
        asked: set[str] = set()

        def look() -> Found | str | None:
            return done() or self._question(agent, thread, after, asked)

        while True:
            found = await self.until(what, look)
            if not (isinstance(found, str) and found.startswith("question:")):
                return found  # type: ignore[return-value]
            ts, action_id = found.removeprefix("question:").split(" ", 1)
            asked.add(ts)
            await self.breathe(1.5)
            await self.press(agent, ts, action_id)

    def _question(self, agent: Agent, thread: str, after: str, asked: set[str]) -> str | None:
        hidden = [
            (one["ts"], one.get("blocks") or [])
            for one in self.slack.ephemerals
            if one["user"] == agent.id and one.get("thread_ts") == thread
        ]
        shown = [(one.ts, one.blocks) for one in self.messages() if one.thread_ts == thread and one.bot_id]
        for ts, blocks in [*hidden, *shown]:
            if ts <= after or ts in asked:
                continue
            for element in _elements(blocks):
                if element.get("style") == "primary" and not element["action_id"].startswith("delivery_"):
                    return f"question:{ts} {element['action_id']}"
        return None


def _picture(name: str) -> str:
    return base64.b64encode((PICTURES / name).read_bytes()).decode()


def words_of(message: Message) -> str:
    """Everything a message on the desk says, as text."""
    shown = json.dumps([message.text, message.blocks, message.attachments], ensure_ascii=False)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _elements(blocks: list[Json]) -> Iterator[Json]:
    for block in blocks:
        if block.get("type") == "actions":
            yield from (one for one in block.get("elements", []) if one.get("action_id"))
        elif "action_id" in block.get("accessory", {}):
            yield block["accessory"]


def _actions(blocks: list[Json]) -> Iterator[str]:
    yield from (str(element["action_id"]) for element in _elements(blocks))
