"""The stage stories play on: what customers, agents and the page do there, and what can be seen of it.

Rule: a step waits until what it speaks of is there to be seen, and never for a length of time it hopes to be enough.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sandbox import cast
from sandbox.cast import Agent, Person, Writer
from sandbox.clock import Clock
from sandbox.furnish import person_in
from sandbox.lines import APPS
from sandbox.mail import World as Mail
from sandbox.mail.reading import Seen
from sandbox.meta import World as Meta
from sandbox.slack import World as Slack
from sandbox.slack.workspace import Message
from sandbox.telegram import World as Telegram
from sandbox.twilio import World as Twilio
from sandbox.x import World as X

Json = dict[str, Any]
Found = TypeVar("Found")

PICTURES = Path(__file__).parent / "static" / "pictures"
READ = 0.055  # seconds a character of a sentence takes to read, beside what is to be seen
LOOK = 1.6  # seconds at least
WALK_INS = itertools.cycle(("Lena", "Pavel", "Grace", "Mehmet", "Sofia"))


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
    app: str = ""  # which of the person's apps is on top
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
    """A message in a team's Slack channel: its own ts, and its thread's."""

    channel: str
    ts: str
    thread: str

    def holds(self, message: Message) -> bool:
        """Whether a message stands in this thread, its head included."""
        return (message.channel, message.thread_ts or message.ts) == (self.channel, self.thread)


@dataclass(slots=True, kw_only=True)
class Stage:
    """Where a story plays. `pace` stretches the time there is to read; 0 leaves none."""

    telegram: Telegram
    slack: Slack
    mail: Mail
    twilio: Twilio
    meta: Meta
    x: X
    clock: Clock
    turn: Callable[[datetime | None], Awaitable[None]]  # None: the real time
    show: Callable[[Scene], None]
    scene: Scene
    pace: float = 1.0
    patience: float = 30.0  # seconds
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    # telling

    def now(self, say: str, **shown: Any) -> None:
        """Begin the next step."""
        cleared = {"until": 0.0, "counting": "", "app": ""}
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

    async def walks_in(self, name: str, text: str) -> None:
        """Have somebody write who has never written before. Their phone is not on the page."""
        await self.telegram.say(self.telegram.add_user(first_name=name, language_code="en").id, kind="text", text=text)

    def hears(self, person: Person, text: str) -> int:
        """How often the person's phone shows this from the shop."""
        chat = self.telegram.state()["chats"].get(str(person.id), [])
        return sum(one["from"] == "bot" and text in (one["text"] + one["caption"]) for one in chat)

    def heard(self, person: Person, text: str) -> bool | None:
        """Whether the person's phone shows this from the shop."""
        return self.hears(person, text) > 0 or None

    def providers(self) -> dict[str, Twilio | Meta | X]:
        """The emulators of the apps that are not Telegram, by their names in `lines.APPS`."""
        return {"twilio": self.twilio, "meta": self.meta, "x": self.x}

    async def texts(self, person: Person, app: str, text: str) -> str:
        """Have somebody write with an app. The id of what they wrote is returned."""
        world = self.providers()[APPS[app].world]
        return await world.say(person=person_in(app, person), line=APPS[app].line, text=text)

    def chat(self, person: Person, app: str) -> list[Json]:
        """What an app shows on a person's phone, oldest first."""
        chats = self.providers()[APPS[app].world].state()["chats"]
        found: list[Json] = chats.get(f"{APPS[app].line}|{person_in(app, person)}", [])
        return found

    def shown(self, person: Person, app: str, text: str) -> Json | None:
        """The newest message in an app that says this and that the person did not write."""
        came = [
            one
            for one in self.chat(person, app)
            if one["from"] != "customer" and text in one["text"] and one["status"] in ("", "sent", "delivered", "read")
        ]
        return came[-1] if came else None

    def mails(self, writer: Writer, subject: str, text: str) -> None:
        self.mail.deliver(writer.address, cast.MAILBOX, subject, text)

    def got(self, writer: Writer, text: str) -> Seen | None:
        """The newest mail in their inbox that says this."""
        found = [one for one in self.mail.inbox(writer.address) if text in one.own]
        return found[-1] if found else None

    # the desk

    def messages(self) -> list[Message]:
        """What stands in the teams' Slack channels, oldest first."""
        kept = [one for channel in cast.TEAM_CHANNELS for one in self.slack.channels[channel].messages.values()]
        return sorted(kept, key=lambda one: one.ts)

    def found(self, text: str) -> Place | None:
        """The newest message on the desk that says this."""
        seen = [one for one in self.messages() if one.bot_id and text in words_of(one)]
        return (
            Place(channel=seen[-1].channel, ts=seen[-1].ts, thread=seen[-1].thread_ts or seen[-1].ts) if seen else None
        )

    def card(self, place: Place) -> str:
        """Everything the card at the head of a thread says."""
        head = self.slack.channels[place.channel].messages.get(place.thread)
        return words_of(head) if head else ""

    def lines(self, place: Place) -> list[str]:
        """What Santral posted into a thread below its card, oldest first."""
        return [words_of(one) for one in self.messages() if place.holds(one) and one.bot_id and one.is_reply]

    def owns(self, agent: Agent, place: Place) -> bool | None:
        """Whether the card says that this agent has the conversation."""
        return f"<@{agent.id}>" in self.card(place) or None

    def count(self, text: str) -> int:
        """How often the desk shows this as somebody's words; a card may quote them in its small print as well."""
        spoken = [
            [block for block in one.blocks if block.get("type") != "context"] for one in self.messages() if one.bot_id
        ]
        return json.dumps(spoken, ensure_ascii=False).count(text)

    def says(self, place: Place, text: str) -> bool:
        """Whether Santral says this in a thread."""
        return any(place.holds(one) and one.bot_id and text in words_of(one) for one in self.messages())

    def button(self, place: Place, *action_ids: str) -> tuple[str, str] | None:
        """The newest message of a thread with one of these buttons, as (ts, action_id)."""
        for message in reversed(self.messages()):
            if place.holds(message) and message.bot_id:
                for action_id in _actions(message.blocks):
                    if action_id in action_ids:
                        return message.ts, action_id
        return None

    async def press(self, agent: Agent, place: Place, ts: str, action_id: str) -> None:
        await self.slack.press(agent.id, action_id, channel=place.channel, ts=ts)

    async def takes(self, agent: Agent, place: Place) -> None:
        """Have an agent take a conversation that nobody has. The viewer, or Santral, may have been quicker."""
        if not self.owns(agent, place) and (pressed := self.button(place, "take")):
            await self.press(agent, place, *pressed)
        await self.until(f"{agent.first_name} on the card", lambda: self.owns(agent, place))

    async def clears(self, *people: Person) -> None:
        """Have what these people wrote before resolved, so that what they write now is a matter of its own."""
        for person in people:
            heads = [one for one in self.messages() if not one.is_reply and person.name in words_of(one)]
            for head in heads:
                place = Place(channel=head.channel, ts=head.ts, thread=head.ts)
                if pressed := self.button(place, "resolve"):
                    await self.press(cast.DENIZ, place, *pressed)
                    await self.until(f"{person.first_name}'s last matter resolved", partial(self._resolved, place))

    def _resolved(self, place: Place) -> bool | None:
        return self.button(place, "resolve") is None or None

    async def opens(self, agent: Agent, place: Place, action_id: str) -> str:
        """Press what opens a window for an agent. The id of the window is returned."""
        before = set(self.slack.views)
        button = await self.until("the button of the window", lambda: self.button(place, action_id))
        await self.press(agent, place, *button)

        def window() -> str | None:
            return next((id for id, one in self.slack.views.items() if id not in before and one.user == agent.id), None)

        return await self.until("the window", window)

    def window(self, id: str) -> str:
        """Everything an open window says."""
        view = self.slack.views.get(id)
        return json.dumps(view.body, ensure_ascii=False) if view else ""

    async def picks(self, agent: Agent, window: str, action_id: str) -> None:
        """Pick the first entry of a menu in a window."""
        elements = [one for block in self.slack.views[window].body["blocks"] for one in block.get("elements", [])]
        menu = next(one for one in elements if one.get("action_id") == action_id)
        await self.slack.press(agent.id, action_id, view_id=window, value=menu["options"][0]["value"])

    async def submits(self, agent: Agent, window: str, values: Json) -> None:
        """Fill in a window and submit it. `values` by block."""
        await self.slack.submit(agent.id, window, values)

    # the clock

    async def turns(self, wish: Json) -> None:
        """Turn everybody's clock. What a wish may say is told at `Clock.find`."""
        await self.turn(self.clock.find(wish))

    async def turns_to(self, hour: int, minute: int) -> None:
        """Turn to a time of the day that the clock shows."""
        await self.turn(self.clock.local().replace(hour=hour, minute=minute, second=0, microsecond=0))

    async def answers(self, agent: Agent, place: Place, text: str) -> str:
        """Write into a thread as an agent. The ts of what was written is returned."""
        posted = await self.slack.post(agent.id, place.channel, text, thread_ts=place.thread)
        return str(posted["ts"])

    async def says_yes(
        self, agent: Agent, place: Place, after: str, done: Callable[[], Found | None], what: str
    ) -> Found:
        """Wait until `done`, pressing the main button of a question to this agent on the way."""
        asked: set[str] = set()

        def look() -> Found | str | None:
            return done() or self._question(agent, place, after, asked)

        while True:
            found = await self.until(what, look)
            if not (isinstance(found, str) and found.startswith("question:")):
                return found  # type: ignore[return-value]
            ts, action_id = found.removeprefix("question:").split(" ", 1)
            asked.add(ts)
            await self.breathe(1.5)
            await self.press(agent, place, ts, action_id)

    def _question(self, agent: Agent, place: Place, after: str, asked: set[str]) -> str | None:
        hidden = [
            (one["ts"], one.get("blocks") or [])
            for one in self.slack.ephemerals
            if (one["user"], one["channel"], one.get("thread_ts")) == (agent.id, place.channel, place.thread)
        ]
        shown = [(one.ts, one.blocks) for one in self.messages() if one.thread_ts and place.holds(one) and one.bot_id]
        for ts, blocks in [*hidden, *shown]:
            if ts <= after or ts in asked:
                continue
            for element in _elements(blocks):
                if element.get("style") == "primary" and not element["action_id"].startswith("delivery_"):
                    return f"question:{ts} {element['action_id']}"
        return None


def marker() -> str:
    """Something that tells this play's words from an earlier play's."""
    return f"K-{int(time.time()) % 100_000:05d}"


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
