"""What customers of Meta's apps do and see, for the scenario tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from channels.channel import Checks
from sandbox.meta.values import Entry, Line, Person
from sandbox.meta.world import World as Meta
from sandbox.telegram.kinds import picture
from tests.scenarios.desk import query
from tests.world import AYSE, SUPPORT, World, eventually

Json = dict[str, Any]

PHOTO: Json = {"data": picture(120, 90), "media_type": "image/png", "filename": "kutu.png"}


def meta(world: World) -> Meta:
    return world.providers.meta


def person(world: World, key: str = "ayse", name: str = "Ayşe Yılmaz", **facts: Any) -> Person:
    """Somebody with a phone and all of Meta's apps on it."""
    return meta(world).add_person(key, name, **({"phone": "905550001001"} | facts))


def account(world: World, line: str) -> Line:
    return meta(world).accounts.line(line)


def chat(world: World, line: str, key: str = "ayse") -> list[Entry]:
    """What a customer's phone shows."""
    return list(meta(world).chat(account(world, line), key).entries.values())


def answers(world: World, line: str, key: str = "ayse") -> list[str]:
    """What the shop's words are on a customer's phone, in their order."""
    return [entry.text for entry in chat(world, line, key) if entry.author == "shop" and entry.status != "failed"]


async def reads(world: World, line: str, *texts: str, key: str = "ayse") -> None:
    """Until the customer's phone shows exactly these answers."""
    await eventually(lambda: answers(world, line, key) == list(texts) or f"shown: {answers(world, line, key)}" * 0)


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


async def people_known(world: World) -> int:
    return len(await query(world, "select 1 from customers"))


async def quiet(world: World) -> None:
    """Until every webhook was answered and no work is due."""

    async def look() -> bool:
        due = "select kind from work where kind <> 'pull' and (lease is not null or run_at < now() + interval '5 s')"
        waiting = await query(world, due)
        return not waiting and not meta(world).post.waiting

    await eventually(look)


async def said(world: World, card: Json, text: str, **more: Any) -> str:
    """Write as an agent into a card's thread; returns once Santral has it."""
    ts = str((await world.slack.post(AYSE, SUPPORT, text, thread_ts=card["ts"], **more))["ts"])
    await eventually(lambda: query(world, "select 1 from messages where external_id = $1", f"{SUPPORT}:{ts}"))
    return ts


async def files_in(world: World, ts: str, count: int) -> list[bytes]:
    """The files of a thread, once there are so many."""

    async def look() -> tuple[list[bytes]] | None:
        root = next(root for root in await world.roots() if root["ts"] == ts)
        found = [file for message in (root, *root["replies"]) for file in message["files"]]
        return ([world.slack.files[file["id"]].data or b"" for file in found],) if len(found) == count else None

    return (await eventually(look) or ([],))[0]


async def later(world: World, **span: float) -> None:
    """Turn the clocks of the shop and of Meta ahead of the real one."""
    await world.turn(datetime.now(UTC) + timedelta(**span))


def calls(world: World, name: str) -> list[Json]:
    """The calls that Meta got: `whatsapp.messages`, `messenger.messages`, `media`, …"""
    return meta(world).journal.calls(0, name)


async def due(world: World, kind: str) -> list[float]:
    """In how many seconds each piece of work of a kind runs."""
    waits = "select extract(epoch from run_at - now())::float as wait from work where kind = $1 and lease is null"
    rows = await query(world, waits, kind)
    return [row["wait"] for row in rows]


async def hurry(world: World) -> None:
    """Let every wait be over."""
    await query(world, "update lanes set free_at = now()")
    await query(world, "update work set run_at = now() where lease is null")


async def spoil(world: World, **rule: Any) -> None:
    """Bring trouble over Meta's calls."""
    meta(world).troubles.add([rule])


def notes(world: World) -> list[str]:
    """What a careful reviewer at Meta would say."""
    return sorted(meta(world).notes)


async def checked(world: World, channel: str) -> dict[str, bool]:
    """What `santral check` says of a channel, and whether it is content with it."""
    assert world.app is not None
    made = world.app.channels[channel]
    assert isinstance(made, Checks)
    found = await made.check(f"{world.url}/webhooks/{channel}")
    assert all(finding.ok or finding.fix for finding in found)
    return {finding.what: finding.ok for finding in found}
