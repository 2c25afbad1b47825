"""What people with a phone do and see by SMS and by WhatsApp through Twilio, for the scenario tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from inbox.store.work import EVERY_DOOR, NOTIFY
from sandbox.telegram.kinds import picture
from sandbox.trouble import Action
from sandbox.twilio.values import Message, Person
from sandbox.twilio.world import World as Twilio
from tests.providers import SMS, WHATSAPP_TWILIO
from tests.scenarios.desk import query
from tests.world import AYSE, SUPPORT, World, eventually

Json = dict[str, Any]

PHONE = "+905550001001"
PICTURE: bytes = picture(120, 90)
PHOTO: Json = {"data": PICTURE, "media_type": "image/png", "filename": "kutu.png"}


def twilio(world: World) -> Twilio:
    return world.providers.twilio


def person(world: World, name: str = "Ayşe Yılmaz", phone: str = PHONE, **facts: Any) -> Person:
    return twilio(world).add_person(name, phone, **facts)


async def says(world: World, line: str, text: str = "", who: str = PHONE, **more: Any) -> str:
    """Write as a person; the SID of what they wrote."""
    return await twilio(world).say(who, line, text, **more)


def chat(world: World, line: str, who: str = PHONE) -> list[Json]:
    """What a phone shows, oldest first."""
    return list(twilio(world).state(world.providers.twilio_url)["chats"].get(f"{line}|{who}", []))


def answers(world: World, line: str, who: str = PHONE) -> list[str]:
    """The shop's words that arrived on a phone, in their order. A file without words is an empty text."""
    return [
        entry["text"] for entry in chat(world, line, who) if entry["from"] == "shop" and entry["status"] != "failed"
    ]


async def reads(world: World, line: str, *texts: str, who: str = PHONE) -> None:
    """Until a phone shows exactly these answers."""

    def look() -> bool:
        return answers(world, line, who) == list(texts)

    await eventually(look)


def files_on(world: World, line: str, who: str = PHONE) -> list[tuple[str, bytes]]:
    """Media type and bytes of every file of the shop's that arrived on a phone."""
    sent = [one for one in outgoing(world) if one.line == line and one.person == who]
    return [(media.media_type, media.data) for one in sent for media in one.media]


def outgoing(world: World) -> list[Message]:
    """What the shop had Twilio send, oldest first."""
    return [one for one in twilio(world).ledger.messages.values() if one.author == "shop"]


def calls(world: World, method: str = "messages.create") -> list[Json]:
    """The API calls of a method: `messages.create`, `messages.list`, `media.fetch`, …"""
    return twilio(world).journal.calls(0, method)


def posts(world: World, message: str) -> list[int]:
    """What we answered to each webhook about a message."""
    return [one["status"] for one in twilio(world).journal.attempts(0) if one["message"] == message]


def trouble(world: World, action: Action, match: str = "messages.create", **rule: Any) -> None:
    twilio(world).troubles.add([{"match": match, "action": action, "times": 1, **rule}])


async def texts(world: World, direction: str = "in") -> list[str]:
    """What was said, in the order of the conversations."""
    rows = await query(
        world, "select text from messages where direction = $1 order by conversation_id, position", direction
    )
    return [row["text"] for row in rows]


async def stored(world: World, *said: str) -> None:
    """Until exactly this is what customers said."""

    async def look() -> bool:
        return await texts(world) == list(said)

    await eventually(look)


async def quiet(world: World) -> None:
    """Until every webhook was answered and no work is due soon."""
    await twilio(world).idle()

    async def look() -> bool:
        waiting = await query(
            world,
            "select kind from work where kind <> 'pull' and (lease is not null or run_at < now() + interval '2 s')",
        )
        return not waiting

    await eventually(look)
    await twilio(world).idle()


async def writes(world: World, card: Json, text: str = "", **more: Any) -> str:
    """Write as an agent into a card's thread; returns once Santral has it, so that the next words surely come later."""
    ts = str((await world.slack.post(AYSE, SUPPORT, text, thread_ts=card["ts"], **more))["ts"])
    await eventually(lambda: query(world, "select 1 from messages where external_id = $1", f"{SUPPORT}:{ts}"))
    return ts


async def files_in(world: World, ts: str, count: int) -> list[bytes]:
    """The files of a thread, once there are so many."""

    async def look() -> list[bytes] | None:
        root = next(root for root in await world.roots() if root["ts"] == ts)
        found = [file for message in (root, *root["replies"]) for file in message["files"]]
        return [world.slack.files[file["id"]].data or b"" for file in found] if len(found) == count else None

    return await eventually(look) or []


async def hurry(world: World, kind: str) -> None:
    """Have work of a kind that was put off done now."""
    await query(world, "update work set run_at = now() where kind = $1 and lease is null", kind)
    await query(world, "select pg_notify($1, $2)", NOTIFY, EVERY_DOOR)


async def reads_at_once(world: World, line: str, *texts: str) -> None:
    """Until a phone shows exactly these answers, none of which waits for its time to be tried again."""

    async def look() -> bool:
        await hurry(world, "deliver")
        return answers(world, line) == list(texts)

    await eventually(look)


async def later_at_twilio(world: World, span: timedelta) -> None:
    """Turn Twilio's clock, and nobody else's."""
    await twilio(world).settle({"clock_offset": span.total_seconds()})


__all__ = ["SMS", "WHATSAPP_TWILIO", "Action"]
