"""What happens around the chats: new numbers and names, echoes of other apps, lost tokens, and the dashboard.

Rule: each is an action of `World`, whose first parameter it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.meta import page_events, whatsapp_events
from sandbox.meta.people import body_of, kind_of_file
from sandbox.meta.values import OBJECTS, PAGE_INBOX, Json, Kind, Line

if TYPE_CHECKING:
    from sandbox.meta.world import World


async def change_number(world: World, person: str, new: str) -> str:
    """Move a person's WhatsApp to another number, and tell every number they wrote to. Returns the last notice's id."""
    who = world.accounts.person(person)
    old = {"phone": who.phone, "bsuid": who.bsuid}
    who.phone = "".join(letter for letter in new if letter.isdigit())
    who.bsuid = world.accounts.new_bsuid(who)
    last = ""
    for line_id, key in [pair for pair in world.chats if pair[1] == who.key]:
        line = world.accounts.lines[line_id]
        if line.kind is Kind.WHATSAPP:
            entry = world.write(line, key, "system", kind="system", text=f"{old['phone']} → {who.phone}")
            change = whatsapp_events.system(entry.id, line, old, who, entry.at, world.settings)
            world.send_change(line, key, change, about=entry.id)
            last = entry.id
    world.tell("person", {"person": who.key})
    return last


async def adopt_username(world: World, person: str, username: str, hidden: bool = True) -> None:
    """Take a WhatsApp username; the phone number is withheld from then on."""
    who = world.accounts.person(person)
    who.username, who.hidden = username, hidden
    world.tell("person", {"person": who.key})


async def block(world: World, person: str, line: str) -> None:
    """Block a line. It learns of it only when it writes."""
    who, whom = world.accounts.person(person), world.accounts.line(line)
    who.blocked.add(whom.id)
    world.tell("person", {"person": who.key})


async def write_from_phone_app(
    world: World, line: str, person: str, text: str = "", file: Json | None = None, app_id: str = ""
) -> str:
    """Write for the shop elsewhere: in the phone app, or as the app with `app_id`. The shop's own app gets an echo."""
    whom, who = world.accounts.line(line), world.accounts.person(person)
    if whom.kind is Kind.WHATSAPP and not whom.coexistence:
        raise ValueError("this number does not run in the phone app")
    kept = world.shelf.read(whom, file) if file is not None else None
    kind = kind_of_file(whom, kept) if kept else "text"
    entry = world.write(whom, who.key, "elsewhere", kind=kind, text=text, file=kept, status="sent")
    body = body_of(world, whom, entry)
    if whom.kind is Kind.WHATSAPP:
        change = whatsapp_events.echo(entry.id, whom, who, entry.at, world.settings, body)
        world.send_change(whom, who.key, change, about=entry.id)
    else:
        sender = {"app_id": int(app_id)} if app_id else {}
        message = {"mid": entry.id, "is_echo": True, **sender, **body}
        field = page_events.ECHO_FIELD[whom.kind]
        world.send_item(whom, who, field, about=entry.id, ours=True, message=message)
    return entry.id


async def write_from_page_inbox(world: World, line: str, person: str, text: str) -> str:
    """Answer in Meta's own inbox."""
    return await write_from_phone_app(world, line, person, text, app_id=PAGE_INBOX)


async def standby(world: World, line: str, on: bool = True) -> None:
    """Let another app own a line's threads; what people write comes as `standby` then."""
    whom = world.accounts.line(line)
    whom.standby = on
    whom.taken.clear()


async def test_button(world: World, line: str) -> None:
    """Press Test in the dashboard: a webhook with ids nobody has."""
    whom = world.accounts.line(line)
    if OBJECTS[whom.kind] not in world.accounts.subscriptions:
        raise ValueError("the app has no webhook for this")
    slot, item = "changes", whatsapp_events.test_button(whatsapp_events.stamp(world.now(), world.settings))
    if whom.kind is not Kind.WHATSAPP:
        slot, item = page_events.test_button(whom)
    world.post.add(whom, "messages", item, slot=slot, lane="test", account="0")


async def expire_token(world: World, line: str, subcode: int = 463) -> None:
    """Kill a line's token: 463 expired, 460 password changed, 458 app removed, 467 invalid, 492 role lost.

    0 revives it.
    """
    token = world.accounts.tokens[world.accounts.line(line).token]
    token.subcode = subcode


async def unsubscribe(world: World, line: str) -> None:
    """Take the app off a line's account, as Meta does after prolonged failures."""
    world.accounts.unsubscribe(world.accounts.line(line))


async def fail_next(world: World, line: str, code: int, times: int = 1) -> None:
    """Let a WhatsApp number's next messages fail with a code after they were accepted."""
    world.accounts.line(line).failures += [int(code)] * times


async def change_template(world: World, waba: str, name: str, language: str, status: str) -> None:
    """Approve, pause or disable a template, and tell the shop."""
    found = [
        (place, one)
        for place, one in enumerate(world.accounts.templates.get(waba, []))
        if (one.name, one.language) == (name, language)
    ]
    if not found:
        raise KeyError("no such template")
    place, template = found[0]
    template.status = status
    told = {
        "event": status,
        "message_template_id": int(template_id(waba, place)),
        "message_template_name": name,
        "message_template_language": language,
        "reason": "NONE",
    }
    for line in world.accounts.of_waba(waba)[:1]:
        item: Json = {"field": "message_template_status_update", "value": told}
        world.post.add(line, "message_template_status_update", item, slot="changes", lane="templates")


def template_id(waba: str, place: int) -> str:
    return f"{waba[-6:]}{place + 1:06d}"


async def raw(world: World, line: str, item: Json, field: str = "messages", slot: str = "") -> None:
    """Send any item, whether or not Meta would."""
    whom: Line = world.accounts.line(line)
    slot = slot or ("changes" if whom.kind is Kind.WHATSAPP else "messaging")
    world.post.add(whom, field, item, slot=slot, lane="raw")


async def repeat(world: World, id: Any) -> Json:
    """Deliver again: the event with this number, or every event about the message with this id."""
    count = world.post.repeat(str(id))
    if not count:
        raise KeyError("no such event")
    return {"repeated": count}


async def hold(world: World) -> None:
    """Deliver nothing until `release`."""
    world.post.running.clear()


async def release(world: World, order: str = "") -> None:
    """Deliver what was held back; `reverse` and `shuffle` change its order over all chats."""
    if order not in ("", "reverse", "shuffle"):
        raise ValueError("order must be reverse or shuffle")
    world.post.release(order)
