"""Webhooks and subscriptions over the API, the challenge really asked, and replay.

Rule: private events need the token of the very user they are about; nothing else may subscribe to them.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sandbox.journal import Json
from sandbox.x.call import Call, Reply
from sandbox.x.values import REPLAYABLE, Subscription, Webhook, forbidden, invalid, iso, problem, words

# openapi.json, CreateActivitySubscriptionRequest
PRIVATE = words(
    "chat.received chat.sent chat.conversation.join chat.conversation_join chat.conversation.member_added "
    "chat.conversation.member_removed chat.conversation.admin_added chat.conversation.admin_removed "
    "chat.update.group_name chat.update.restrictions dm.sent dm.received dm.indicate_typing dm.read "
    "mute.mute mute.unmute block.block block.unblock post.mention.create subscriptions.subscribe "
    "subscriptions.unsubscribe"
)
PUBLIC = words(
    "profile.update.bio profile.update.profile_picture profile.update.banner_picture profile.update.screenname "
    "profile.update.geo profile.update.url profile.update.verified_badge profile.update.affiliate_badge "
    "profile.update.handle news.new follow.follow follow.unfollow spaces.start spaces.end broadcast.start "
    "broadcast.end broadcast.chat post.create post.delete post.reply.create post.quote.create post.repost.create "
    "like.create"
)
DATE = re.compile(r"[0-9]{12}")


def _refused(reason: str, detail: str) -> Exception:
    return invalid(f"{reason}: {detail}")


def _url(call: Call, url: object) -> str:
    parts = urlsplit(str(url))
    try:
        port = parts.port
    except ValueError:
        port = -1
    proper = parts.scheme == "https" and port is None
    local = call.world.settings.local_urls and parts.scheme in ("http", "https") and port != -1
    if not isinstance(url, str) or not parts.hostname or parts.fragment or not (proper or local):
        raise _refused("UrlValidationFailed", "the URL must be https and name no port")
    return url


async def create_webhook(call: Call) -> Reply:
    """Register a URL that answers the challenge; one that does not is not kept."""
    world = call.world
    url = _url(call, call.fields({"url"}, ["url"])["url"])
    if any(webhook.url == url for webhook in world.webhooks.values()):
        raise _refused("DuplicateUrlFailed", "a webhook is registered for this URL already")
    if len(world.webhooks) >= world.settings.max_webhooks:
        raise _refused("WebhookLimitExceeded", f"the app may have {world.settings.max_webhooks}")
    now = world.now()
    webhook = Webhook(id=world.new_id(), url=url, created=now, validated=now, valid=False)
    if not await world.courier.challenge(webhook):
        raise _refused("CrcValidationFailed", "the URL did not answer the challenge rightly")
    world.webhooks[webhook.id] = webhook
    return Reply(body={"data": webhook.plain()})


async def list_webhooks(call: Call) -> Reply:
    shown = [webhook.plain() for webhook in call.world.webhooks.values()]
    return Reply(body={"data": shown, "meta": {"result_count": len(shown)}})


def _webhook(call: Call, id: str) -> Webhook:
    webhook = call.world.webhooks.get(id)
    if webhook is None:
        raise _refused("WebhookIdInvalid", "no webhook of this app has this id")
    return webhook


async def validate_webhook(call: Call) -> Reply:
    """Challenge a webhook again, and let it live again if it answers rightly."""
    webhook = _webhook(call, call.path["webhook_id"])
    if not await call.world.courier.challenge(webhook):
        raise _refused("CrcValidationFailed", "the URL did not answer the challenge rightly")
    return Reply(body={"data": {"valid": webhook.valid}})


async def delete_webhook(call: Call) -> Reply:
    """Forget a webhook; its subscriptions stay, with nowhere to go."""
    webhook = _webhook(call, call.path["webhook_id"])
    del call.world.webhooks[webhook.id]
    for subscription in call.world.subscriptions.values():
        if subscription.webhook == webhook.id:
            subscription.webhook = ""
    return Reply(body={"data": {"deleted": True}})


# subscriptions


async def subscribe(call: Call) -> Reply:
    body = call.fields({"event_type", "filter", "tag", "webhook_id"}, ["event_type", "filter"])
    world, kind, chosen = call.world, body["event_type"], body["filter"]
    known = PRIVATE | PUBLIC | ({"oauth.revoke"} if world.settings.takes_revoke else set())
    if kind not in known:
        raise invalid("$.event_type: does not have a value in the enumeration", event_type=kind)
    if not isinstance(chosen, dict) or not set(chosen) <= {"user_id", "keyword", "direction", "qualifiers"}:
        raise invalid("$.filter: must be an object with user_id, keyword, direction or qualifiers")
    if chosen.get("direction", "inbound") not in ("inbound", "outbound"):
        raise invalid("$.filter.direction: does not have a value in the enumeration [inbound, outbound]")
    if kind in PRIVATE:
        _private(call, str(kind), chosen)
    tag = _tag(body)
    hook = _webhook(call, str(body["webhook_id"])).id if body.get("webhook_id") else ""
    if any(s.event_type == kind and s.filter == chosen and s.webhook == hook for s in world.subscriptions.values()):
        raise _refused("DuplicateSubscriptionFailed", "there is one for this event, filter and webhook already")
    if len(world.subscriptions) >= world.settings.max_subscriptions:
        raise _refused("SubscriptionLimitExceeded", f"the app may have {world.settings.max_subscriptions}")
    now = world.now()
    made = Subscription(
        id=world.new_id(), event_type=str(kind), filter=chosen, webhook=hook, tag=tag, created=now, updated=now
    )
    world.subscriptions[made.id] = made
    return Reply(body={"data": _shaped(call, made), "meta": _total(call)})


def _private(call: Call, kind: str, chosen: Json) -> None:
    if not chosen.get("user_id"):
        raise invalid("$.filter.user_id: is missing but it is required")
    if call.token.kind == "app":
        raise forbidden(f"{kind} is a private event and needs the authorization of the user")
    if call.token.kind == "oauth2" and kind.startswith(("dm.", "chat.")) and "dm.read" not in call.token.scopes:
        raise problem(403, "Forbidden", "Missing scopes: dm.read")
    if chosen["user_id"] != call.token.user:
        raise forbidden("filter.user_id must identify the authenticated user")


def _tag(body: Json) -> str:
    tag = body.get("tag", "")
    if not isinstance(tag, str) or len(tag) > 200 or ("tag" in body and not tag):
        raise invalid("$.tag: must be a string of 1 to 200 characters")
    return tag


def _shaped(call: Call, subscription: Subscription) -> Json | list[Json]:
    """X's own texts show three shapes of this answer."""
    shown = subscription.plain()
    match call.world.settings.subscription_answer:
        case "object":
            return shown
        case "list":
            return [shown]
        case _:
            return {"subscription": shown}


def _total(call: Call) -> Json:
    return {"total_subscriptions": len(call.world.subscriptions)}


async def list_subscriptions(call: Call) -> Reply:
    """List the app's subscriptions, page by page; a user's token sees its own."""
    shown = [
        subscription.plain()
        for subscription in call.world.subscriptions.values()
        if call.token.kind == "app" or subscription.filter.get("user_id") == call.token.user
    ]
    most = call.world.settings.subscriptions_page
    asked = call.query.get("max_results", str(most))
    if not asked.isdigit() or not 1 <= int(asked) <= 1000:
        raise invalid(f"The `max_results` query parameter value [{asked}] is not between 1 and 1000", max_results=asked)
    start = 0
    if token := call.query.get("pagination_token", ""):
        try:
            start = int(base64.b32hexdecode(token.encode()))
        except ValueError as error:
            raise invalid(f"The `pagination_token` [{token}] is not valid", pagination_token=token) from error
    end = start + min(int(asked), most)
    onward = base64.b32hexencode(f"{end:010}".encode()).decode()
    more = {"next_token": onward} if end < len(shown) else {}
    page = shown[start:end]
    return Reply(body={"data": page, "meta": {**_total(call), "result_count": len(page), **more}})


def _subscription(call: Call) -> Subscription:
    subscription = call.world.subscriptions.get(call.path["subscription_id"])
    mine = subscription is not None and call.token.kind != "app"
    if subscription is None or (mine and subscription.filter.get("user_id") != call.token.user):
        raise _refused("SubscriptionNotFound", "no subscription of this app has this id")
    return subscription


async def update_subscription(call: Call) -> Reply:
    """Change a tag or a webhook; event and filter never change."""
    body = call.fields({"tag", "webhook_id"})
    subscription = _subscription(call)
    if "webhook_id" in body:
        subscription.webhook = _webhook(call, str(body["webhook_id"])).id
    if "tag" in body:
        subscription.tag = _tag(body)
    subscription.updated = call.world.now()
    return Reply(body={"data": _shaped(call, subscription), "meta": _total(call)})


async def unsubscribe(call: Call) -> Reply:
    del call.world.subscriptions[_subscription(call).id]
    return Reply(body={"data": {"deleted": True}, "meta": _total(call)})


async def unsubscribe_many(call: Call) -> Reply:
    ids = [id for id in call.query.get("ids", "").split(",") if id]
    if not 1 <= len(ids) <= 100:
        raise invalid("The `ids` query parameter must have 1 to 100 items")
    for id in ids:
        call.world.subscriptions.pop(id, None)
    return Reply(body={"data": {"deleted": True}, "meta": _total(call)})


# replay


async def replay(call: Call) -> Reply:
    """Begin to deliver again what a webhook was meant to get between two minutes (UTC) of the last 24 hours."""
    body = call.fields({"webhook_id", "from_date", "to_date"}, ["webhook_id", "from_date", "to_date"])
    world = call.world
    webhook = _webhook(call, str(body["webhook_id"]))
    start, end, now = _minute(body["from_date"]), _minute(body["to_date"]), world.now()
    if start >= end:
        raise _refused("QueryParamInvalid", "from_date must be before to_date")
    if start < now - REPLAYABLE or end > now:
        raise _refused("QueryParamInvalid", "both dates must be within the last 24 hours")
    if webhook.id in world.courier.replaying:
        raise _refused("ReplayConflictError", "a replay job is in progress for this webhook")
    if not await world.courier.challenge(webhook):
        raise _refused("CrcValidationFailed", "the URL did not answer the challenge rightly")
    job = world.new_id()
    world.courier.replay(webhook, job, start, end)
    return Reply(body={"data": {"job_id": job, "created_at": iso(now)}})


def _minute(value: object) -> datetime:
    try:
        if not DATE.fullmatch(str(value)):
            raise ValueError("not yyyymmddhhmm")
        return datetime.strptime(str(value), "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError as error:
        raise _refused("QueryParamInvalid", "dates are yyyymmddhhmm") from error
