"""POST /{page}/messages and /{ig}/messages: Messenger and Instagram, whose sending is one API with two sets of limits.

Rule: a refusal comes at once: the window, the tag, the length, the file. What is accepted comes back as an echo.
"""

from __future__ import annotations

from functools import partial

from sandbox.meta import media
from sandbox.meta.call import Call
from sandbox.meta.messenger_content import Content, check, instagram_text, recipient_id
from sandbox.meta.page_events import ECHO_FIELD, attachment
from sandbox.meta.receipts import arrive
from sandbox.meta.values import (
    HUMAN_AGENT_WINDOW,
    WINDOW,
    ApiError,
    Entry,
    File,
    Json,
    Kind,
    Line,
    Person,
    invalid,
)
from sandbox.meta.world import World

TYPING = 20.0  # seconds
ACTIONS = ("typing_on", "typing_off", "mark_seen", "react", "unreact")
TYPES = ("RESPONSE", "UPDATE", "MESSAGE_TAG")
RETIRED = ("CONFIRMED_EVENT_UPDATE", "ACCOUNT_UPDATE", "POST_PURCHASE_UPDATE")


async def messages(call: Call, id: str) -> Json:
    """Send a message or an action. A Page's path serves its Instagram account too: the recipient's id tells."""
    line, person = _parties(call, id)
    if "sender_action" in call.values:
        return _act(call, line, person)
    if line.standby and person.key not in line.taken:
        raise ApiError(
            10, "(#10) Message failed to send because another app is controlling this thread now.", subcode=2018300
        )
    if line.id in person.blocked:
        raise ApiError(551, "(#551) This person isn't available right now.", subcode=1545041)
    _window(call, line, person)
    given = call.object("message")
    content = check(line.kind, given)
    if line.kind is Kind.INSTAGRAM:
        instagram_text(content)
    _spend(call.world, line, content)
    reply_to = str(call.object("reply_to").get("mid", ""))
    if reply_to and reply_to not in call.world.chat(line, person.key).entries:
        raise invalid("Param reply_to[mid] is not a message of this thread")
    file = await _file(call, line, content)
    entry = call.world.write(
        line,
        person.key,
        "shop",
        kind=content.kind,
        text=content.text,
        file=file,
        choices=content.choices,
        reply_to=reply_to,
        status="accepted",
    )
    person.typing.pop(line.id, None)
    call.after.append(partial(_carry, call.world, line, person, entry, given))
    answer = {"recipient_id": recipient_id(call), "message_id": entry.id}
    if file is not None and content.reusable:
        answer["attachment_id"] = file.id
    return answer


def _parties(call: Call, id: str) -> tuple[Line, Person]:
    """The line that writes and the person who is written to. Raises `ApiError`."""
    accounts, line = call.world.accounts, call.line(id)
    if line.kind is Kind.INSTAGRAM and line.login == "facebook":
        raise ApiError(
            100,
            f"Unsupported post request. Object with ID '{id}' does not support this operation: send by its Page.",
            subcode=33,
            type="GraphMethodException",
        )
    wanted = recipient_id(call)
    for one in filter(None, (line, accounts.linked(line.id))):
        if (person := accounts.by_scoped(one, wanted)) is not None:
            return one, person
    raise invalid("No matching user found", subcode=2018001)


def _act(call: Call, line: Line, person: Person) -> Json:
    """Typing, seen, or a reaction of the shop's."""
    action = call.text("sender_action").lower()
    if action not in ACTIONS:
        raise invalid(f"Param sender_action must be one of {{{', '.join(ACTIONS)}}}")
    if "message" in call.values:
        raise invalid("sender_action goes without a message")
    if action == "typing_on":
        person.typing[line.id] = call.world.now() + TYPING
    elif action == "typing_off":
        person.typing.pop(line.id, None)
    elif action != "mark_seen":
        payload = call.object("payload")
        target = call.world.chat(line, person.key).entries.get(str(payload.get("message_id")))
        if target is None:
            raise invalid("Param payload[message_id] is not a message of this thread")
        if action == "react":
            target.reactions["shop"] = {"love": "❤"}.get(
                str(payload.get("reaction")), str(payload.get("reaction", "❤"))
            )
        else:
            target.reactions.pop("shop", None)
        call.world.show("changed", target)
    return {"recipient_id": recipient_id(call)}


def _window(call: Call, line: Line, person: Person) -> None:
    """Refuse what comes too late, or under a tag that does not stand for it."""
    sort, tag = call.text("messaging_type") or "RESPONSE", call.text("tag")
    if sort not in TYPES:
        raise invalid(f"Param messaging_type must be one of {{{', '.join(TYPES)}}}")
    if tag in RETIRED:
        raise ApiError(
            100, "(#100) Invalid parameter", subcode=1893061, title="This message tag is no longer supported"
        )
    if tag not in ("", "HUMAN_AGENT"):
        raise invalid("Param tag must be one of {HUMAN_AGENT}")
    if (sort == "MESSAGE_TAG") is not bool(tag):
        raise invalid("A tag goes with messaging_type MESSAGE_TAG, and that with a tag")
    age = call.world.now() - call.world.chat(line, person.key).heard
    if tag:
        if not call.world.settings.human_agent:
            raise ApiError(200, "(#200) The app has no permission to use the tag HUMAN_AGENT")
        if age <= WINDOW:
            call.world.note(f"HUMAN_AGENT was used on {line.id} within 24 hours, where no tag is needed")
    if age > (HUMAN_AGENT_WINDOW if tag else WINDOW):
        subcode = 2534022 if line.kind is Kind.INSTAGRAM else 2018278
        raise ApiError(10, "(#10) This message is sent outside of allowed window.", subcode=subcode)


def _spend(world: World, line: Line, content: Content) -> None:
    heavy = content.kind in ("audio", "video")
    most = world.settings.media_rate if heavy else world.settings.page_rate
    if not world.rates.spend(("send", line.id, "heavy" if heavy else ""), most, 1.0, world.now()):
        raise ApiError(613, "(#613) Calls to this api have exceeded the rate limit.", transient=True)


async def _file(call: Call, line: Line, content: Content) -> File | None:
    """The file of a message: known by id, uploaded along with it, or fetched from a URL."""
    if content.kind in ("text", "template"):
        return None
    if content.attachment_id:
        file = call.world.shelf.find(content.attachment_id)
        if file is None or file.line != line.id:
            raise invalid("Invalid attachment_id", subcode=2018074)
        return file
    upload = call.uploads.get("filedata")
    if upload is not None:
        data, media_type, name = upload.data, upload.media_type, upload.name
    elif content.url:
        try:
            data, media_type, name = await media.fetch(call.world, content.url)
        except ValueError as error:
            raise invalid(f"Failed to fetch the file from the url: {error}", subcode=2018008) from error
    else:
        raise invalid("An attachment needs a url, an attachment_id or filedata")
    wrong = media.unfit(line.kind, content.kind, media_type, data, check_content=call.world.settings.check_content)
    if wrong:
        raise invalid(f"Upload attachment failure: {wrong}", subcode=2018047)
    return media.keep(call.world, line, data, media_type, name)


async def _carry(world: World, line: Line, person: Person, entry: Entry, given: Json) -> None:
    """Echo a message to the app that sent it, and let it arrive."""
    entry.rise("sent")
    world.show("changed", entry)
    message: Json = {"mid": entry.id, "is_echo": True, "app_id": int(world.accounts.app_id)}
    message |= {"metadata": given["metadata"]} if given.get("metadata") else {}
    message |= {"text": entry.text} if entry.text and entry.kind == "text" else {}
    if entry.file is not None:
        message["attachments"] = [attachment(entry.kind, world.url(line, entry.file))]
    elif entry.kind == "template":
        message["attachments"] = [{"type": "template", "payload": given["attachment"]["payload"]}]
    if entry.reply_to:
        message["reply_to"] = {"mid": entry.reply_to}
    world.send_item(line, person, ECHO_FIELD[line.kind], about=entry.id, ours=True, message=message)
    arrive(world, line, person, entry)


async def upload(call: Call, id: str) -> Json:
    """POST /{page}/message_attachments: keep a file for later messages. `platform` chooses Instagram's rules."""
    line = call.line(id)
    if call.text("platform") == "instagram":
        linked = call.world.accounts.linked(id)
        line = line if line.kind is Kind.INSTAGRAM else linked or line
        if line.kind is not Kind.INSTAGRAM:
            raise invalid("This Page has no Instagram account")
    content = check(line.kind, call.object("message"))
    if content.kind in ("text", "template"):
        raise invalid("An attachment is needed")
    file = await _file(call, line, content)
    return {"attachment_id": file.id if file else ""}


async def take_thread(call: Call, id: str) -> Json:
    """POST /{page}/take_thread_control: own a thread that another app owns."""
    line, person = _parties(call, id)
    line.taken.add(person.key)
    return {"success": True}
