"""POST /{phone_number_id}/messages: to whom, what, and how it fares afterwards.

Rule: 200 means accepted. Closed windows, people without WhatsApp and links that lead nowhere are told by a status; a
BSUID in `to` is not told at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from sandbox.meta import media
from sandbox.meta.call import Call
from sandbox.meta.receipts import arrive, rise
from sandbox.meta.values import WINDOW, ApiError, Entry, File, Json, Kind, Line, Person, invalid
from sandbox.meta.whatsapp_content import TRACKER, Content, bad, check, missing
from sandbox.meta.whatsapp_events import status
from sandbox.meta.world import World

TYPING = 25.0  # seconds
COEXISTENCE_RATE = 20
NEVER = re.compile(r"[.A-Za-z]")  # in a phone number


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """Who a message is for. `person` is None where nobody is there; `dropped` where it goes nowhere in silence."""

    given: str
    person: Person | None
    by_bsuid: bool = False
    dropped: bool = False


async def messages(call: Call, id: str) -> Json:
    """Send a message, or mark one as read."""
    line, world = call.line(id), call.world
    if call.text("messaging_product") != "whatsapp":
        raise invalid("The parameter messaging_product is required.")
    if call.text("status"):
        return _mark_read(call, line)
    whom = _addressee(call)
    tracker = call.text("biz_opaque_callback_data")
    if len(tracker) > TRACKER:
        raise invalid(f"Param biz_opaque_callback_data must be at most {TRACKER} characters long.")
    content = check(call.values, world.accounts.templates.get(line.waba, []))
    if whom.by_bsuid and content.filled is not None and content.filled.template.category == "AUTHENTICATION":
        raise ApiError(131062, "(#131062) Business-scoped user ids are not supported for this message")
    file = _known_file(call, line, content)
    _spend(world, line, whom)
    entry = _accepted(call, line, whom, content, file, tracker)
    failure = line.failures.pop(0) if line.failures and not whom.dropped else 0
    if whom.dropped:
        world.note(f"a BSUID was put into `to` of {line.id}: the message was dropped in silence")
    else:
        call.after.append(partial(_carry, world, line, whom.person, entry, content, failure))
    return _answer(whom, entry, content)


def _answer(whom: Addressee, entry: Entry, content: Content) -> Json:
    contact: Json = {"input": whom.given}
    if whom.person is not None:
        contact |= {} if whom.person.hidden else {"wa_id": whom.person.phone}
        contact["user_id"] = whom.person.bsuid
    elif not whom.by_bsuid:
        contact["wa_id"] = "".join(letter for letter in whom.given if letter.isdigit()) or whom.given
    made = {"id": entry.id} | ({"message_status": "accepted"} if content.filled is not None else {})
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [made]}


def _addressee(call: Call) -> Addressee:
    accounts = call.world.accounts
    sort = call.text("recipient_type") or "individual"
    if sort != "individual":
        raise invalid("Param recipient_type must be one of {INDIVIDUAL}")
    to, recipient = call.text("to"), call.text("recipient")
    if not to and not recipient:
        raise missing("to")
    if not to:
        return Addressee(given=recipient, person=accounts.by_bsuid(recipient), by_bsuid=True)
    if NEVER.search(to):
        return Addressee(given=to, person=None, dropped=True)
    digits = "".join(letter for letter in to if letter.isdigit())
    if not 5 <= len(digits) <= 15:
        raise bad(f"to is not a phone number: {to}")
    return Addressee(given=to, person=accounts.by_phone(digits))


def _known_file(call: Call, line: Line, content: Content) -> File | None:
    id = content.media.get("id")
    if not id:
        return None
    file = call.world.shelf.find(str(id))
    if file is None or file.line != line.id:
        raise ApiError(100, "(#100) Invalid parameter", details=f"Media ID {id} does not exist or has expired")
    if content.media.get("filename"):
        file.filename = str(content.media["filename"])
    return file


def _spend(world: World, line: Line, whom: Addressee) -> None:
    """Refuse what goes beyond the limits, or to whom a number may not write."""
    settings, now = world.settings, world.now()
    digits = "".join(letter for letter in whom.given if letter.isdigit())
    if not whom.by_bsuid and digits == line.digits:
        raise ApiError(131021, "(#131021) Recipient cannot be sender")
    if settings.allowed_numbers is not None and not whom.by_bsuid and digits not in settings.allowed_numbers:
        raise ApiError(131030, "(#131030) Recipient phone number not in allowed list")
    most = settings.throughput
    if line.coexistence and most is not None:
        most = min(most, COEXISTENCE_RATE)
    if not world.rates.spend(("send", line.id), most, 1.0, now):
        raise ApiError(130429, "(#130429) Rate limit hit", details="Too many messages per second")
    key = whom.person.key if whom.person else digits
    if not world.rates.drip(("pair", line.id, key), settings.pair_burst, settings.pair_seconds, now):
        words = "(#131056) (Business Account, Consumer Account) pair rate limit hit"
        raise ApiError(131056, words, details="Too many messages to the same phone number in a short time")


def _accepted(call: Call, line: Line, whom: Addressee, content: Content, file: File | None, tracker: str) -> Entry:
    """Put the message into the chat, when there is somebody to have one with."""
    world = call.world
    context = call.object("context")
    facts: Json = {"kind": content.kind, "text": content.text, "file": file, "choices": content.choices}
    facts |= {"reply_to": str(context.get("message_id", "")), "tracker": tracker, "status": "accepted"}
    if content.filled is not None:
        template = content.filled.template
        facts |= {"template": template.name, "category": template.category.lower()}
    if whom.person is None or content.kind == "reaction":
        if whom.person is not None:
            _react(call, line, whom.person)
        key = whom.person.key if whom.person else whom.given
        return Entry(id=world.new_id(line), line=line.id, person=key, author="shop", at=world.now(), **facts)
    whom.person.typing.pop(line.id, None)
    return world.write(line, whom.person.key, "shop", **facts)


def _react(call: Call, line: Line, person: Person) -> None:
    given = call.object("reaction")
    target = call.world.chat(line, person.key).entries.get(str(given["message_id"]))
    if target is None:
        raise bad("reaction['message_id'] is not a message of this chat")
    if given["emoji"]:
        target.reactions["shop"] = given["emoji"]
    else:
        target.reactions.pop("shop", None)
    call.world.show("changed", target)


async def _carry(world: World, line: Line, person: Person | None, entry: Entry, content: Content, failure: int) -> None:
    """Let a message go its way, and tell the shop by statuses."""
    details = ""
    if not failure and person is not None and not person.on_whatsapp:
        failure = 131026
    failure = failure or (131026 if person is None else _refusal(world, line, person, entry, content))
    if not failure and content.media_kind:
        details = await _attach(world, line, entry, content)
        failure = 131053 if details else 0
    if failure:
        entry.status, entry.code = "failed", str(failure)
        if entry.person in world.accounts.people:
            world.show("changed", entry)
        world.send_change(line, entry.person, status(entry, line, person, world.now(), world.settings, details))
        return
    assert person is not None
    rise(world, line, person, entry, "sent")
    arrive(world, line, person, entry)


def _refusal(world: World, line: Line, person: Person, entry: Entry, content: Content) -> int:
    if content.filled is None and world.now() - world.chat(line, person.key).heard > WINDOW:
        return 131047
    if entry.category == "marketing" and person.no_marketing:
        return 131050
    return 0


async def _attach(world: World, line: Line, entry: Entry, content: Content) -> str:
    """Fetch what a link points to, and see whether it fits. Returns what is wrong with it."""
    file = entry.file or (world.shelf.find(str(content.media["id"])) if content.media.get("id") else None)
    if file is None:
        try:
            data, media_type, name = await media.fetch(world, str(content.media["link"]))
        except ValueError as error:
            return str(error)
        file = media.keep(world, line, data, media_type, str(content.media.get("filename") or name))
    entry.file = file
    check_content = world.settings.check_content
    return media.unfit(Kind.WHATSAPP, content.media_kind, file.media_type, file.data, check_content=check_content)


def _mark_read(call: Call, line: Line) -> Json:
    """Mark a person's message as read, and seem to type when asked to."""
    world = call.world
    if call.text("status") != "read":
        raise invalid("Param status must be one of {READ}")
    entry = world.find(call.text("message_id"))
    if entry is None or entry.line != line.id or entry.author != "customer":
        raise ApiError(100, "(#100) Invalid parameter", details="message_id is not a message this number received")
    if indicator := call.object("typing_indicator"):
        if indicator.get("type") != "text":
            raise invalid("Param typing_indicator['type'] must be one of {TEXT}")
        world.accounts.person(entry.person).typing[line.id] = world.now() + TYPING
    world.tell("seen", {"chat": f"{line.id}|{entry.person}", "id": entry.id})
    return {"success": True}
