"""What people at the desk do and see, for the scenario tests: agents write and press, Slack shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import asyncpg

from inbox.store.database import credentials
from sandbox.slack.workspace import User
from templates.catalog import Catalog
from tests.world import AYSE, SUPPORT, World, eventually

Json = dict[str, Any]

say = Catalog.load("tr").voice("tr")  # the language of the shop and of both agents


async def opened(world: World, text: str = "Kargom nerede?", name: str = "Ayşe Yılmaz") -> tuple[int, Json]:
    """A new customer who has written, and the card that stands in Slack for it."""
    customer = world.customer(name)
    await world.telegram.say(customer, text=text)
    return customer, await world.card_with(text)


async def answer(world: World, card: Json, text: str, user: str = AYSE, **more: Any) -> str:
    """An agent writes in a card's thread; the ts of what they wrote."""
    return str((await world.slack.post(user, SUPPORT, text, thread_ts=card["ts"], **more))["ts"])


async def card_of(world: World, ts: str) -> Json:
    """A card as it is now."""
    return next(root for root in await world.roots() if root["ts"] == ts)


async def card_shows(world: World, ts: str, *words: str, without: Iterable[str] = ()) -> Json:
    """The card once it shows all these words and none of the others."""

    async def look() -> Json | None:
        card = await card_of(world, ts)
        shown = str(card["blocks"])
        return card if all(x in shown for x in words) and not any(x in shown for x in without) else None

    found = await eventually(look)
    assert found
    return found


async def thread_shows(world: World, ts: str, words: str) -> Json:
    """The reply in a card's thread that shows these words, once there is one."""

    async def look() -> Json | None:
        replies = (await card_of(world, ts))["replies"]
        return next((reply for reply in replies if words in str(reply)), None)

    found = await eventually(look)
    assert found
    return found


async def received(world: World, customer: int, *texts: str) -> None:
    """Wait until the bot has written exactly these to a customer."""

    async def look() -> bool:
        return await world.answers(customer) == list(texts)

    await eventually(look)


async def marked(world: World, ts: str, *names: str) -> None:
    """Wait until a message in the Slack channel of the team carries exactly these marks."""
    message = world.slack.channels[SUPPORT].messages[ts]
    await eventually(lambda: list(message.reactions) == list(names) or message.reactions == dict.fromkeys(names))


def whispers(world: World, user: str) -> list[str]:
    """What only this person was shown."""
    return [str(each["text"]) for each in world.slack.ephemerals if each["user"] == user]


async def told(world: World, user: str, words: str) -> Json:
    """What only this person was shown and says these words, once they were shown it."""

    def look() -> Json | None:
        return next((x for x in world.slack.ephemerals if x["user"] == user and words in x["text"]), None)

    found = await eventually(look)
    assert found
    return found


def start_of(key: str) -> str:
    """The first words of a text, up to where it names something."""
    return re.split(r"[{]", say.template(key))[0] or re.split(r"[{}]", say.template(key))[2]


def calls(world: World, method: str) -> list[Json]:
    """The calls of a method that had their effect."""
    return [call for call in world.slack.calls if call["method"] == method and (call["answer"] or {}).get("ok")]


def refused(world: World) -> list[Json]:
    """The calls that Slack asked to slow down with."""
    return [call for call in world.slack.calls if call["status"] == 429]


def hired(world: World, user: str, name: str, **more: Any) -> str:
    """Somebody more in the workspace and in the team's Slack channel."""
    facts: Json = {"team_id": world.slack.team.id, "locale": "tr-TR", **more}
    world.slack.users[user] = User(id=user, name=name, display_name=name.title(), **facts)
    world.slack.channels[SUPPORT].members.append(user)
    return user


async def query(world: World, sql: str, *values: Any) -> list[Any]:
    """Look into the database, or change what only an owner could."""
    connection = await asyncpg.connect(**credentials(world.database_url))
    try:
        return list(await connection.fetch(sql, *values))
    finally:
        await connection.close()


def lines(root: Json, wanted: Iterable[str]) -> list[str]:
    """Which of these texts a card and its thread show, in the order and as often as they do."""
    pattern = re.compile("|".join(sorted(map(re.escape, wanted), key=len, reverse=True)))
    found: list[str] = []
    for message in (root, *root["replies"]):
        found += [text for block in message["blocks"] for text in pattern.findall(str(_words(block)))]
    return found


def _words(block: Json) -> Any:
    return block if block["type"] == "rich_text" else ""
