"""What people do with their phones: write, press, react, change their mind, read.

Rule: each is an action of `World`, whose first parameter it takes. The chat changes first, then the shop is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.meta import page_events, whatsapp_events
from sandbox.meta.receipts import look
from sandbox.meta.values import Entry, File, Json, Kind, Line, Person

if TYPE_CHECKING:
    from sandbox.meta.world import World

EDITS = 5  # Messenger's and Instagram's apps stop there
EDITABLE = 15 * 60.0  # WhatsApp's app, seconds


def tell_shop(world: World, entry: Entry, line: Line, person: Person, body: Json) -> str:
    """Tell the shop of what a person wrote: `body` is a type and its part on WhatsApp, a message elsewhere."""
    if "group_id" not in body:
        world.chat(line, person.key).heard = entry.at
    if line.kind is Kind.WHATSAPP:
        context = _context(world, entry, line, person)
        change = whatsapp_events.message(entry.id, line, person, entry.at, world.settings, {**context, **body})
        world.send_change(line, person.key, change, about=entry.id)
    else:
        reply = {"reply_to": {"mid": entry.reply_to}} if entry.reply_to else {}
        message = {"mid": entry.id, **reply, **body}
        world.send_item(line, person, "messages", about=entry.id, message=message)
    return entry.id


def _context(world: World, entry: Entry, line: Line, person: Person) -> Json:
    """The quote of a reply, which names whose words are quoted."""
    if not entry.reply_to:
        return {}
    quoted = world.chat(line, person.key).entries.get(entry.reply_to)
    writer = person.phone if quoted is not None and quoted.author == "customer" else line.digits
    return {"context": {"from": writer, "id": entry.reply_to}}


def participants(world: World, person: str, line: str) -> tuple[Person, Line]:
    who, whom = world.accounts.person(person), world.accounts.line(line)
    if whom.kind is Kind.WHATSAPP and not who.on_whatsapp:
        raise ValueError("this person has no WhatsApp")
    who.blocked.discard(whom.id)  # whoever writes has unblocked first, as the apps demand
    world.accounts.scoped(whom, who)
    return who, whom


async def say(
    world: World,
    person: str,
    line: str,
    text: str = "",
    *,
    file: Json | None = None,
    kind: str = "",
    reply_to: str = "",
    extra: Json | None = None,
) -> str:
    """Write, or send a `file` of `{data, media_type, filename}`.

    `kind` names what its media type does not: voice, sticker, document, ephemeral. `reply_to` may be an id nobody
    knows. `extra` is merged into the message last: `referral`, `group_id`, `context`, …
    """
    who, whom = participants(world, person, line)
    if not text and file is None and not extra:
        raise ValueError("the app sends no empty text")
    kept = world.shelf.read(whom, file) if file is not None else None
    kind = kind or (kind_of_file(whom, kept) if kept else "text")
    entry = world.write(whom, who.key, "customer", kind=kind, text=text, file=kept, reply_to=reply_to)
    return tell_shop(world, entry, whom, who, body_of(world, whom, entry) | (extra or {}))


def body_of(world: World, line: Line, entry: Entry) -> Json:
    """A text or a file as its line's provider writes it."""
    if line.kind is Kind.WHATSAPP:
        if entry.file is None:
            return {"type": "text", "text": {"body": entry.text}}
        url = world.url(line, entry.file) if world.settings.media_url_in_webhook else ""
        return whatsapp_events.media(entry.kind, entry.file, entry.text, world.settings, url)
    text = {"text": entry.text} if entry.text else {}
    if entry.file is None:
        return text
    return text | {"attachments": [page_events.attachment(entry.kind, world.url(line, entry.file))]}


async def send(world: World, person: str, line: str, text: str, body: Json) -> str:
    """Send a message whose wire form is `body`: order, nfm_reply, unsupported, a share, or what comes next year."""
    who, whom = participants(world, person, line)
    entry = world.write(whom, who.key, "customer", kind=str(body.get("type", "other")), text=text)
    return tell_shop(world, entry, whom, who, body)


async def press(world: World, person: str, line: str, entry: str, choice: str) -> str:
    """Press a button, or pick a row of a list, by its label or payload. Raises KeyError when there is none."""
    who, whom = participants(world, person, line)
    asked = world.entry(whom, who, entry)
    found = next((one for one in asked.choices if choice in (one["payload"], one["label"])), None)
    if found is None:
        raise KeyError("no such choice")
    label, payload, sort = found["label"], found["payload"], found["kind"]
    if sort == "url":
        raise ValueError("a link opens the browser; the shop hears nothing")
    reply_to = asked.id if whom.kind is Kind.WHATSAPP else ""
    made = world.write(whom, who.key, "customer", kind=sort, text=label, reply_to=reply_to)
    if sort == "template":
        return tell_shop(world, made, whom, who, {"type": "button", "button": {"payload": payload, "text": label}})
    if sort in ("button_reply", "list_reply"):
        told = {"id": payload, "title": label}
        if sort == "list_reply" and found.get("description"):
            told["description"] = found["description"]
        return tell_shop(world, made, whom, who, {"type": "interactive", "interactive": {"type": sort, sort: told}})
    if sort == "quick_reply":
        asked.choices = []  # they vanish once one is pressed
        return tell_shop(world, made, whom, who, {"text": label, "quick_reply": {"payload": payload}})
    return _postback(world, made, whom, who, label, payload, None)


def _postback(
    world: World, made: Entry, line: Line, person: Person, title: str, payload: str, referral: Json | None
) -> str:
    world.chat(line, person.key).heard = made.at
    told = {"mid": made.id, "title": title, "payload": payload} | ({"referral": referral} if referral else {})
    world.send_item(line, person, "messaging_postbacks", about=made.id, postback=told)
    return made.id


async def start(
    world: World,
    person: str,
    line: str,
    payload: str = "GET_STARTED",
    title: str = "Get Started",
    referral: Json | None = None,
) -> str:
    """Press Get Started, an ice breaker or the persistent menu."""
    who, whom = on_a_page(world, person, line)
    made = world.write(whom, who.key, "customer", kind="postback", text=title)
    return _postback(world, made, whom, who, title, payload, referral)


async def refer(world: World, person: str, line: str, ref: str) -> str:
    """Come back by an m.me link; nothing is written."""
    who, whom = on_a_page(world, person, line)
    told = {"ref": ref, "source": "SHORTLINK", "type": "OPEN_THREAD"}
    world.send_item(whom, who, page_events.REFERRAL_FIELD[whom.kind], referral=told)
    return ""


async def opt_in(world: World, person: str, line: str, user_ref: str = "") -> str:
    """Tick a checkbox on the shop's site; with `user_ref` the sender is not known by id."""
    who, whom = on_a_page(world, person, line)
    sender = {"user_ref": user_ref} if user_ref else {"id": world.accounts.scoped(whom, who)}
    told = {"type": "one_time_notif_req", "payload": "OPT_IN"}
    item = page_events.item("", whom.id, world.now(), world.settings, optin=told) | {"sender": sender}
    world.post.add(whom, "messaging_optins", item, slot="messaging", lane=who.key)
    return ""


def on_a_page(world: World, person: str, line: str) -> tuple[Person, Line]:
    who, whom = participants(world, person, line)
    if whom.kind is Kind.WHATSAPP:
        raise ValueError("WhatsApp has nothing like it")
    return who, whom


async def react(world: World, person: str, line: str, entry: str, emoji: str = "👍") -> str:
    """React to a message; an empty emoji takes the reaction away."""
    who, whom = participants(world, person, line)
    target = world.entry(whom, who, entry)
    if emoji:
        target.reactions["customer"] = emoji
    else:
        target.reactions.pop("customer", None)
    world.show("changed", target)
    if whom.kind is Kind.WHATSAPP:
        body = {"type": "reaction", "reaction": {"message_id": entry, "emoji": emoji}}
        id, at = world.new_id(whom), world.now()
        told = whatsapp_events.message(id, whom, who, at, world.settings, body)
        world.send_change(whom, who.key, told, about=entry)
    else:
        told = page_events.reaction(entry, emoji)
        world.send_item(whom, who, "message_reactions", about=entry, reaction=told)
    return entry


async def edit(world: World, person: str, line: str, entry: str, text: str) -> str:
    """Change the text of a message the person wrote."""
    who, whom = participants(world, person, line)
    target = _own(world, whom, who, entry)
    late = whom.kind is Kind.WHATSAPP and world.now() - target.at > EDITABLE
    if late or target.edits >= EDITS:
        raise ValueError("the app edits no longer")
    target.text, target.edits = text, target.edits + 1
    world.show("changed", target)
    if whom.kind is Kind.WHATSAPP:
        inner = body_of(world, whom, target)
        body = {"type": "edit", "edit": {"original_message_id": entry, "message": inner}}
        told = whatsapp_events.message(world.new_id(whom), whom, who, world.now(), world.settings, body)
        world.send_change(whom, who.key, told, about=entry)
    else:
        told = page_events.edited(entry, text, target.edits, world.settings)
        world.send_item(whom, who, page_events.EDIT_FIELD[whom.kind], about=entry, message_edit=told)
    return entry


async def unsend(world: World, person: str, line: str, entry: str) -> str:
    """Take a message back, for both sides."""
    who, whom = participants(world, person, line)
    target = _own(world, whom, who, entry)
    target.withdrawn = True
    world.show("changed", target)
    if whom.kind is Kind.WHATSAPP:
        body = {"type": "revoke", "revoke": {"original_message_id": entry}}
        told = whatsapp_events.message(world.new_id(whom), whom, who, world.now(), world.settings, body)
        world.send_change(whom, who.key, told, about=entry)
    else:
        world.send_item(whom, who, "messages", about=entry, message={"mid": entry, "is_deleted": True})
    return entry


def _own(world: World, line: Line, person: Person, id: str) -> Entry:
    target = world.entry(line, person, id)
    if target.author != "customer" or target.withdrawn:
        raise ValueError("people change only what they wrote themselves")
    return target


async def read(world: World, person: str, line: str) -> str:
    """Open the chat: everything the shop wrote is read. Returns the last message read."""
    who, whom = participants(world, person, line)
    return look(world, whom, who)


def kind_of_file(line: Line, file: File) -> str:
    """What the app makes of a file."""
    sort = file.media_type.partition("/")[0]
    if sort in ("image", "audio", "video"):
        return sort
    return "document" if line.kind is Kind.WHATSAPP else "file"
