"""How a message of the shop gets on: sent, on the phone, read; and how the shop is told of each.

Rule: a status only rises. A phone that is off, or that has blocked the line, never reports delivery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.meta import page_events
from sandbox.meta.values import Entry, Kind, Line, Person
from sandbox.meta.whatsapp_events import status

if TYPE_CHECKING:
    from sandbox.meta.world import World


def rise(world: World, line: Line, person: Person, entry: Entry, to: str) -> bool:
    """Move a message up, and say so where WhatsApp does. False when it stands there or higher."""
    if not entry.rise(to):
        return False
    world.show("changed", entry)
    if line.kind is Kind.WHATSAPP:
        change = status(entry, line, person, world.now(), world.settings)
        world.send_change(line, person.key, change, about=entry.id)
    return True


def arrive(world: World, line: Line, person: Person, entry: Entry) -> None:
    """Let a sent message reach the phone, if it can."""
    if entry.status != "sent" or not person.reachable or line.id in person.blocked:
        return
    rise(world, line, person, entry, "delivered")
    if line.kind is Kind.MESSENGER:
        told = {"mids": [entry.id], "watermark": page_events.stamp(entry.at + 0.001, world.settings)}
        world.send_item(line, person, "message_deliveries", about=entry.id, delivery=told)
    if world.settings.auto_read and entry.kind != "reaction":
        look(world, line, person)


def look(world: World, line: Line, person: Person) -> str:
    """Let everything that arrived be read. Returns the last message's id, "" when nothing was unread."""
    fresh = [one for one in world.chat(line, person.key).by("shop") if rise(world, line, person, one, "read")]
    if not fresh:
        return ""
    if line.kind is not Kind.WHATSAPP:
        mark = page_events.stamp(fresh[-1].at + 0.001, world.settings)
        told = {"watermark": mark} if line.kind is Kind.MESSENGER else {"mid": fresh[-1].id}
        world.send_item(line, person, page_events.READ_FIELD[line.kind], about=fresh[-1].id, read=told)
    return fresh[-1].id


async def switch_phone(world: World, person: str, on: bool) -> None:
    """Turn a person's phone off, or on again, whereupon what was sent meanwhile arrives."""
    who = world.accounts.person(person)
    who.reachable = on
    for (line, key), chat in list(world.chats.items()):
        if on and key == who.key:
            for entry in chat.by("shop"):
                arrive(world, world.accounts.lines[line], who, entry)
    world.tell("person", {"person": who.key})
