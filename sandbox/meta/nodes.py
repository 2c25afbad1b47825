"""What can be looked up: numbers, WABAs, Pages, accounts, people's profiles, conversations and messages.

Rule: a profile is a favour. Messenger may have none, and Instagram gives none before the person has written.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.meta import page_events
from sandbox.meta.call import Call
from sandbox.meta.pages import Fields, chosen, fields, paged
from sandbox.meta.shelf import STORY_LIFE
from sandbox.meta.values import ApiError, Chat, Entry, Json, Kind, Line, Person, invalid, not_there

STORIES = {"story_mention": "mention", "story_reply": "reply_to"}  # told apart from attachments, and listed as `story`
DETAILED = 20  # the latest messages of a conversation; of older ones only the id and the time are told


def _wanted(call: Call, usual: str = "id,name") -> Fields:
    return fields(call.text("fields") or usual)


async def app(call: Call, id: str) -> Json:
    """GET /app and /{app_id}."""
    if id not in ("app", call.world.accounts.app_id):
        raise not_there(call.verb, id)
    whole = {"id": call.world.accounts.app_id, "name": "Shop", "category": "Business", "link": "https://shop.example/"}
    return chosen(whole, _wanted(call, "id,name,category,link"))


async def system_user(call: Call, id: str) -> Json:
    """GET /me with the token of a system user."""
    return chosen({"id": id, "name": "Shop support"}, _wanted(call))


async def waba(call: Call, id: str) -> Json:
    """GET /{waba}."""
    if not call.reaches(id):
        raise not_there(call.verb, id)
    whole = {
        "id": id,
        "name": call.world.accounts.of_waba(id)[0].name,
        "currency": "EUR",
        "timezone_id": "1",
        "message_template_namespace": f"ns_{id}",
        "account_review_status": "APPROVED",
    }
    return chosen(whole, _wanted(call, "id,name,currency,timezone_id,message_template_namespace"))


async def phone_numbers(call: Call, id: str) -> Json:
    """GET /{waba}/phone_numbers."""
    if not call.reaches(id):
        raise not_there(call.verb, id)
    usual = "id,display_phone_number,verified_name,quality_rating,code_verification_status,platform_type"
    rows = [chosen(_number(call, line), _wanted(call, usual)) for line in call.world.accounts.of_waba(id)]
    return paged(call, f"{id}/phone_numbers", rows)


def _number(call: Call, line: Line) -> Json:
    accounts = call.world.accounts
    app = accounts.subscriptions.get("whatsapp_business_account")
    hooks = {
        "phone_number": line.callback,
        "whatsapp_business_account": accounts.callbacks.get(line.waba, ""),
        "application": app.callback_url if app else "",
    }
    return {
        "id": line.id,
        "display_phone_number": line.display,
        "verified_name": line.name,
        "quality_rating": line.quality,
        "code_verification_status": line.verification,
        "name_status": "APPROVED",
        "status": "CONNECTED",
        "platform_type": "CLOUD_API",
        "is_on_biz_app": line.coexistence,
        "messaging_limit_tier": "TIER_1K",
        "throughput": {"level": "STANDARD"},
        "webhook_configuration": {level: url for level, url in hooks.items() if url},
    }


async def line(call: Call, id: str) -> Json:
    """GET of a number, a Page or an Instagram account, by its id or as /me."""
    found = call.line(id)
    if found.kind is Kind.WHATSAPP:
        usual = "id,display_phone_number,verified_name,quality_rating,code_verification_status,platform_type"
        return chosen(_number(call, found), _wanted(call, usual))
    whole: Json = {"id": id, "name": found.name}
    if found.kind is Kind.MESSENGER:
        linked = call.world.accounts.linked(id)
        whole |= {"link": f"https://www.facebook.example/{id}"}
        whole |= {"instagram_business_account": {"id": linked.id}} if linked else {}
    else:
        whole |= {
            "user_id": id,
            "username": found.username,
            "account_type": "BUSINESS",
            "profile_picture_url": f"https://scontent.example/{id}.jpg",
        }
    return chosen(whole, _wanted(call))


# people


async def person(call: Call, id: str) -> Json:
    """GET /{psid} and /{igsid}."""
    found = _known(call, id)
    if found is None:
        raise not_there(call.verb, id)
    line, who = found
    if line.kind is Kind.MESSENGER:
        if not who.profile:
            raise invalid("No profile available for this user.", subcode=2018218)
        first, _, last = who.name.partition(" ")
        names = {"first_name": first, "last_name": last, "name": who.name}
        seen: Json = {"id": id, **names, "profile_pic": who.avatar or f"https://scontent.example/{id}.jpg"}
        return chosen(seen, _wanted(call, "id,first_name,last_name,profile_pic"))
    if not who.profile or not call.world.chat(line, who.key).by("customer"):
        raise ApiError(230, "(#230) User consent is required to access user profile")
    whole: Json = {
        "id": id,
        "name": who.name,
        "username": who.username or who.key,
        "profile_pic": who.avatar or f"https://scontent.example/{id}.jpg",
        "follower_count": 120,
        "is_verified_user": False,
        "is_user_follow_business": True,
        "is_business_follow_user": False,
    }
    return chosen(whole, _wanted(call, "id,name,username"))


def _known(call: Call, id: str) -> tuple[Line, Person] | None:
    for one in call.world.accounts.lines.values():
        if one.kind is not Kind.WHATSAPP and call.reaches(one.id):
            who = call.world.accounts.by_scoped(one, id)
            if who is not None:
                return one, who
    return None


# conversations


async def conversations(call: Call, id: str) -> Json:
    """GET /{page|ig}/conversations: the latest first; `platform=instagram` for the account linked to a Page."""
    found = call.line(id)
    platform = call.text("platform") or ("instagram" if found.kind is Kind.INSTAGRAM else "messenger")
    if platform == "instagram" and found.kind is Kind.MESSENGER:
        linked = call.world.accounts.linked(id)
        if linked is None:
            raise invalid("This Page has no Instagram account")
        found = linked
    elif platform != found.kind.value:
        raise invalid("Param platform must be one of {messenger, instagram}")
    now, most = call.world.now(), call.world.settings.conversations_rate
    if not call.world.rates.spend(("conversations", id), most, 1.0, now):
        raise ApiError(613, "(#613) Calls to this api have exceeded the rate limit.", transient=True)
    chats = [
        (key, chat)
        for (line_id, key), chat in call.world.chats.items()
        if line_id == found.id and _listed(chat) and _is(call, found, key)
    ]
    chats.sort(key=lambda pair: _listed(pair[1])[-1].at, reverse=True)
    wanted = _wanted(call, "id,updated_time")
    rows = [chosen(_conversation(call, found, key, chat), wanted) for key, chat in chats]
    return paged(call, f"{id}/conversations", rows)


def _is(call: Call, line: Line, key: str) -> bool:
    user = call.text("user_id")
    return not user or call.world.accounts.person(key).scoped.get(line.id) == user


async def conversation(call: Call, id: str) -> Json:
    """GET /{conversation}."""
    _, line_id, scoped = id.split("_", 2)
    found = call.line(line_id)
    who = call.world.accounts.by_scoped(found, scoped)
    if who is None:
        raise not_there(call.verb, id)
    whole = _conversation(call, found, who.key, call.world.chat(found, who.key))
    return chosen(whole, _wanted(call, "id,updated_time"))


async def message(call: Call, id: str) -> Json:
    """GET /{message}."""
    entry = call.world.find(id)
    if entry is None or not call.reaches(entry.line) or entry.withdrawn:
        raise not_there(call.verb, id)
    found = call.world.accounts.lines[entry.line]
    if found.kind is Kind.WHATSAPP:
        raise not_there(call.verb, id)
    return chosen(
        _message(call, found, call.world.accounts.person(entry.person), entry), _wanted(call, "id,created_time")
    )


def _listed(chat: Chat) -> list[Entry]:
    return [entry for entry in chat.entries.values() if not entry.withdrawn and entry.status != "failed"]


def _conversation(call: Call, line: Line, key: str, chat: Chat) -> Json:
    who = call.world.accounts.person(key)
    latest = list(reversed(_listed(chat)))
    messages = [
        _message(call, line, who, entry) if place < DETAILED else {"id": entry.id, "created_time": _time(entry.at)}
        for place, entry in enumerate(latest)
    ]
    return {
        "id": f"t_{line.id}_{call.world.accounts.scoped(line, who)}",
        "updated_time": _time(latest[0].at if latest else call.world.now()),
        "participants": {"data": [_customer(call, line, who), _shop(line)]},
        "messages": {"data": messages},
    }


def _customer(call: Call, line: Line, who: Person) -> Json:
    id = call.world.accounts.scoped(line, who)
    if line.kind is Kind.INSTAGRAM:
        return {"username": who.username or who.key, "id": id}
    return {"name": who.name, "email": f"{id}@facebook.com", "id": id}


def _shop(line: Line) -> Json:
    return (
        {"username": line.username, "id": line.id}
        if line.kind is Kind.INSTAGRAM
        else {"name": line.name, "id": line.id}
    )


def _message(call: Call, line: Line, who: Person, entry: Entry) -> Json:
    customer, shop = _customer(call, line, who), _shop(line)
    writer, reader = (customer, shop) if entry.author == "customer" else (shop, customer)
    told: Json = {
        "id": entry.id,
        "created_time": _time(entry.at),
        "from": writer,
        "to": {"data": [reader]},
        "message": entry.text if entry.kind != "story_mention" else "",
    }
    if entry.kind in STORIES:
        link = call.world.url(line, entry.file, STORY_LIFE) if entry.file is not None else ""
        told["story"] = {STORIES[entry.kind]: {"link": link, "id": entry.file.id if entry.file else ""}}
    elif entry.kind in page_events.SHARES and entry.file is None:
        told |= {"message": "", "shares": {"data": [{"link": entry.text}]}}
    elif entry.file is not None:
        url = call.world.url(line, entry.file)
        named = {"id": entry.file.id, "mime_type": entry.file.media_type, "name": entry.file.filename}
        where = {"image": {"image_data": {"url": url}}, "video": {"video_data": {"url": url}}}
        told["attachments"] = {
            "data": [named | {"size": len(entry.file.data)} | where.get(entry.kind, {"file_url": url})]
        }
    return told


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
