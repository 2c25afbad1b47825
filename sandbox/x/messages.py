"""Direct messages and users over the API: send, list, look up, delete, fetch a file.

Rule: a caller sees only conversations its user takes part in, not older than 30 days, and only what it asked for.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from sandbox.journal import Json
from sandbox.x.call import Call, Reply
from sandbox.x.payloads import (
    EVENT_FIELDS,
    EXPANSIONS,
    MEDIA_FIELDS,
    TWEET_FIELDS,
    USER_FIELDS,
    event,
    included,
    user,
)
from sandbox.x.values import (
    DM_CREATE,
    DM_READ,
    KEPT_FOR,
    MAX_TEXT,
    NOT_ALLOWED,
    USER_READ,
    Dm,
    Media,
    conversation_of,
    forbidden,
    invalid,
    missing,
    not_found,
)

NUMBER = re.compile(r"[0-9]{1,19}")
PAIR = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")
TYPES = frozenset({"MessageCreate", "ParticipantsJoin", "ParticipantsLeave"})


# sending


async def send_with(call: Call) -> Reply:
    return await _send(call, call.path["participant_id"])


async def send_in(call: Call) -> Reply:
    """Write into a conversation that exists; its id has the smaller number first, and no other order is known."""
    name = call.path["dm_conversation_id"]
    others = _others(call, name)
    if not any(dm.conversation == name for dm in call.world.dms.values()):
        raise not_found("dm_conversation", "dm_conversation_id", name)
    return await _send(call, others)


def _others(call: Call, name: str) -> str:
    """Find the other one of a 1:1 conversation. Raises 400 for no id, 403 for other people's, 404 for none."""
    pair = PAIR.fullmatch(name)
    if pair is None and not NUMBER.fullmatch(name):
        raise invalid(f"The `dm_conversation_id` query parameter value [{name}] is not valid", dm_conversation_id=name)
    if pair is None or conversation_of(*pair.groups()) != name:
        raise not_found("dm_conversation", "dm_conversation_id", name)
    if call.token.user not in pair.groups():
        raise forbidden()
    low, high = pair.groups()
    return high if low == call.token.user else low


async def _send(call: Call, recipient: str) -> Reply:
    world, sender = call.world, call.token.user
    text, media = _content(call)
    if not NUMBER.fullmatch(recipient) or recipient not in world.accounts or recipient == sender:
        raise invalid(
            f"The `participant_id` query parameter value [{recipient}] is not valid", participant_id=recipient
        )
    _permitted(call, recipient)
    call.pay(DM_CREATE, f"create {world.new_id()}")
    dm = world.write(sender, recipient, text, media, origin="api", app=world.app.id)
    call.delivery = world.courier.post(world.written(dm))
    return Reply(status=201, body={"data": {"dm_conversation_id": dm.conversation, "dm_event_id": dm.id}})


def _content(call: Call) -> tuple[str, Media | None]:
    body = call.fields({"text", "attachments"})
    text, attachments = body.get("text", ""), body.get("attachments", [])
    if "text" not in body and "attachments" not in body:
        raise invalid("At least one of `text`, `attachments` is required.")
    if not isinstance(text, str) or ("text" in body and not text):
        raise invalid("$.text: must be a string of at least 1 character")
    if len(text) > MAX_TEXT:
        raise invalid("The text of your direct message is over the max character limit.")
    if not isinstance(attachments, list) or not all(
        isinstance(one, dict) and set(one) == {"media_id"} and NUMBER.fullmatch(str(one["media_id"]))
        for one in attachments
    ):
        raise invalid("$.attachments: must be a list of objects with a media_id")
    if len(attachments) > 1:
        raise invalid("$.attachments: there must be a maximum of 1 items in the array")
    if not attachments:
        if not text:
            raise invalid("At least one of `text`, `attachments` is required.")
        return text, None
    return text, _attached(call, str(attachments[0]["media_id"]))


def _attached(call: Call, id: str) -> Media:
    media = call.world.media.get(id)
    mine = media is not None and media.owner == call.token.user
    if media is None or not mine or not media.ready or media.checks or media.until <= call.world.now():
        raise invalid("Your media IDs are invalid.", media_id=id)
    if not media.category.startswith("dm_"):
        raise invalid("The media category does not allow use in direct messages.", media_id=id)
    return media


def _permitted(call: Call, recipient: str) -> None:
    """Refuse what the recipient does not take: blocked, suspended, or closed to those never written to."""
    world, sender = call.world, call.token.user
    person, account = world.accounts[recipient], world.accounts[sender]
    wrote = any(dm.sender == recipient and dm.recipient == sender for dm in world.dms.values())
    if sender in person.blocked or person.suspended or not (person.open_dms or wrote):
        raise forbidden(NOT_ALLOWED)
    if account.suspended:
        raise forbidden("Your account is suspended and is not permitted to access this feature.")


# reading


async def list_all(call: Call) -> Reply:
    return _listed(call, call.world.dms.values())


async def list_with(call: Call) -> Reply:
    other = call.path["participant_id"]
    if not NUMBER.fullmatch(other):
        raise invalid(f"The `participant_id` query parameter value [{other}] is not valid", participant_id=other)
    name = conversation_of(call.token.user, other)
    return _listed(call, (dm for dm in call.world.dms.values() if dm.conversation == name))


async def list_in(call: Call) -> Reply:
    name = call.path["id"]
    _others(call, name)
    return _listed(call, (dm for dm in call.world.dms.values() if dm.conversation == name))


def _visible(call: Call, dm: Dm) -> bool:
    me = call.token.user
    return (
        me in (dm.sender, dm.recipient)
        and me not in dm.hidden_from
        and not dm.withdrawn
        and not dm.encrypted
        and dm.at > call.world.now() - KEPT_FOR
    )


def _listed(call: Call, dms: Iterable[Dm]) -> Reply:
    count = _count(call)
    before = _before(call)
    types = call.words("event_types", TYPES) or TYPES
    found = [dm for dm in dms if _visible(call, dm) and (before is None or int(dm.id) < before)]
    found = sorted(found, key=lambda dm: int(dm.id), reverse=True) if "MessageCreate" in types else []
    page = found[:count]
    body = _shown(call, page)
    meta: Json = {"result_count": len(page)}
    if len(found) > count:
        meta["next_token"] = base64.b32hexencode(page[-1].id.encode()).decode().rstrip("=").lower()
    return Reply(body={**body, "meta": meta})


def _count(call: Call) -> int:
    given = call.query.get("max_results", "100")
    if not given.isdigit() or not 1 <= int(given) <= 100:
        raise invalid(f"The `max_results` query parameter value [{given}] is not between 1 and 100", max_results=given)
    return int(given)


def _before(call: Call) -> int | None:
    token = call.query.get("pagination_token")
    if token is None:
        return None
    try:
        return int(base64.b32hexdecode(token.upper() + "=" * (-len(token) % 8)))
    except (binascii.Error, ValueError) as error:
        raise invalid(
            f"The `pagination_token` query parameter value [{token}] is not valid", pagination_token=token
        ) from error


def _shown(call: Call, dms: list[Dm]) -> Json:
    """Show messages with what was asked for; `data` is not there when there is none. Raises 402."""
    wanted = call.words("dm_event.fields", EVENT_FIELDS)
    expansions = call.words("expansions", EXPANSIONS)
    users, media = call.words("user.fields", USER_FIELDS), call.words("media.fields", MEDIA_FIELDS)
    call.words("tweet.fields", TWEET_FIELDS)
    call.pay(DM_READ, *(f"read {dm.id}" for dm in dms))
    # An expansion brings the field it expands.
    wanted |= {name.partition(".")[0] for name in expansions}
    includes, errors = included(
        dms,
        call.world.accounts,
        expansions=expansions,
        user_fields=users,
        media_fields=media,
        ton_url=call.world.settings.ton_url,
    )
    body: Json = {"data": [event(dm, wanted) for dm in dms]} if dms else {}
    return body | ({"includes": includes} if includes else {}) | ({"errors": errors} if errors else {})


async def look_up(call: Call) -> Reply:
    """Show one message. One that is not there is an error in an answer of 200."""
    id = call.path["event_id"]
    dm = call.world.dms.get(id)
    if dm is None or not _visible(call, dm):
        return Reply(body={"errors": [missing("dm_event", "event_id", id)]})
    body = _shown(call, [dm])
    return Reply(body={**body, "data": body["data"][0]})


async def delete(call: Call) -> Reply:
    """Take a message out of the caller's own view; the other side keeps it."""
    id = call.path["event_id"]
    dm = call.world.dms.get(id)
    if dm is None or not _visible(call, dm):
        raise not_found("dm_event", "event_id", id)
    dm.hidden_from.add(call.token.user)
    return Reply(body={"data": {"deleted": True}})


async def download(call: Call) -> Reply:
    """Give the bytes of an attachment to somebody in its conversation."""
    dm = call.world.dms.get(call.path["dm_id"])
    media = dm.media if dm is not None else None
    named = (call.path["media_id"], call.path["resource_id"])
    if dm is None or media is None or dm.withdrawn or not media.data or (media.id, media.resource) != named:
        raise not_found("media", "media_id", call.path["media_id"])
    if call.token.user not in (dm.sender, dm.recipient):
        raise forbidden()
    signed = call.token.kind == "oauth1"
    return Reply(raw=media.data, media_type=media.media_type if signed else "application/octet-stream")


# users


async def me(call: Call) -> Reply:
    wanted = call.words("user.fields", USER_FIELDS)
    call.pay(USER_READ, f"user {call.token.user}")
    return Reply(body={"data": user(call.world.accounts[call.token.user], wanted)})


async def user_by_id(call: Call) -> Reply:
    wanted, id = call.words("user.fields", USER_FIELDS), call.path["id"]
    if not NUMBER.fullmatch(id):
        raise invalid(f"The `id` query parameter value [{id}] is not valid", id=id)
    account = call.world.accounts.get(id)
    if account is None or account.suspended:
        error = missing("user", "id", id)
        if account is not None:
            error |= {"title": "Forbidden", "detail": f"User has been suspended: [{id}]."}
        return Reply(body={"errors": [error]})
    call.pay(USER_READ, f"user {id}")
    return Reply(body={"data": user(account, wanted)})
