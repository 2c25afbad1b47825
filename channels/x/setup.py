"""How X is told where to bring messages, and what is wrong with that.

Rule: a webhook is the app's and is handled with the app's token; a subscription to somebody's messages is made in
that person's name. Nothing of other webhooks or other accounts is touched.
https://docs.x.com/x-api/webhooks/quickstart, /x-api/activity/quickstart
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from channels.channel import Finding
from channels.errors import Misconfigured, SendFailed
from channels.values import name
from channels.x.calls import Calls, digits, part, rows, text

# Typing costs nothing and says nothing. What is sent costs nothing either, and an encrypted message can be answered in
# X's app alone: only this tells that somebody did. /x-api/activity/event-pricing
EVENTS = ("dm.received", "dm.sent", "dm.read", "chat.received", "chat.sent")
MOST_PAGES = 100  # of a thousand subscriptions, which is what X gives the largest apps


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook of the app's."""

    id: str
    url: str
    valid: bool


async def register(calls: Calls, account: str, url: str) -> None:
    """Make the webhook if there is none here, have X check it anew if it gave it up, and subscribe what is missing.

    X calls `url` while this waits, so it must be served by now. Raises `Retry` or `Refused`.
    """
    hook = here(await webhooks(calls), url)
    if hook is None:
        told = part(await calls.as_app("POST", "/2/webhooks", body={"url": url}), "data")
        hook = Hook(id=digits(told.get("id")), url=url, valid=told.get("valid") is not False)
        if not hook.id:  # some answers have been seen without one
            hook = here(await webhooks(calls), url)
            if hook is None:
                raise Misconfigured("X did not take the webhook.")
    elif not hook.valid:
        await calls.as_app("PUT", f"/2/webhooks/{hook.id}")
    failure: SendFailed | None = None
    subscribed = await subscriptions(calls, account)
    for event in EVENTS:
        known = subscribed.get(event)
        try:
            if known is None:
                body = {"event_type": event, "filter": {"user_id": account}, "webhook_id": hook.id}
                await calls.call("POST", "/2/activity/subscriptions", body=body, repeatable=True)
            elif digits(known.get("webhook_id")) != hook.id:
                path = f"/2/activity/subscriptions/{digits(known.get('subscription_id'))}"
                await calls.as_app("PUT", path, body={"webhook_id": hook.id})
        except SendFailed as error:  # the others are worth having
            failure = failure or error
    if failure is not None:
        raise failure


async def webhooks(calls: Calls) -> tuple[Hook, ...]:
    listed = rows(await calls.as_app("GET", "/2/webhooks"), "data")
    return tuple(
        Hook(id=digits(row.get("id")), url=text(row.get("url")), valid=row.get("valid") is True) for row in listed
    )


async def subscriptions(calls: Calls, account: str) -> dict[str, dict[str, Any]]:
    """What the app is subscribed to of this account, by event."""
    found: dict[str, dict[str, Any]] = {}
    query: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        told = await calls.as_app("GET", "/2/activity/subscriptions", query=query or None)
        ours = (row for row in rows(told, "data") if digits(part(row, "filter").get("user_id")) == account)
        found |= {text(row.get("event_type")): row for row in ours}
        query = {"pagination_token": text(part(told, "meta").get("next_token"))}
        if not query["pagination_token"]:
            break
    return found


def here(hooks: tuple[Hook, ...], url: str) -> Hook | None:
    return next((hook for hook in hooks if hook.id and hook.url == url), None)


# --- checks


async def findings(calls: Calls, channel: str, account: str, url: str) -> tuple[Finding, ...]:
    """Look at account, webhook and subscriptions, each whatever became of the others."""
    found = [await who(calls, channel, account)]
    try:
        hooks = await webhooks(calls)
        hook = here(hooks, url)
        found.append(brings(hooks, hook, url))
        subscribed = await subscriptions(calls, account)
        bound = {event for event, row in subscribed.items() if hook and digits(row.get("webhook_id")) == hook.id}
        missing = [event for event in EVENTS if event not in bound]
        if url and not missing:
            found.append(Finding(ok=True, what="X tells us of messages, read receipts and encrypted chats."))
        elif url:
            what = f"X is not asked for: {', '.join(missing)}."
            found.append(Finding(ok=False, what=what, fix="Start `santral serve` here: it subscribes to all it reads."))
    except SendFailed as error:
        found.append(failed(error, channel))
    what = "Experimental: most people's messages on X are encrypted, and of those only that they came can be shown."
    found.append(Finding(ok=True, what=what))
    return tuple(dict.fromkeys(found))  # keys that are refused are refused everywhere


async def who(calls: Calls, channel: str, account: str) -> Finding:
    try:
        me = part(await calls.call("GET", "/2/users/me", repeatable=True), "data")
    except SendFailed as error:
        return failed(error, channel)
    if digits(me.get("id")) != account:
        what = f"The access token is not user_id's: it belongs to @{name(text(me.get('username')))}."
        fix = f"Set user_id of channel {channel!r} to {digits(me.get('id')) or 'its id'}, or make a token as the other."
        return Finding(ok=False, what=what, fix=fix)
    return Finding(ok=True, what=f"The account @{name(text(me.get('username')))} answers.")


def brings(hooks: tuple[Hook, ...], hook: Hook | None, url: str) -> Finding:
    if not url:
        return Finding(ok=False, what="X has no public address to deliver to.", fix="Set public_url, with https.")
    if hook is None and hooks:
        what = "The X app has a webhook, but not here."
        fix = "Start `santral serve` here. If X then says that there are too many, delete the other one in its console."
        return Finding(ok=False, what=what, fix=fix)
    if hook is None:
        return Finding(
            ok=False, what="X has no webhook for this app yet.", fix="Start `santral serve` here: it sets it."
        )
    if not hook.valid:
        what = "X has given up calling us: our answer to its check was late or wrong."
        fix = "See that public_url is reachable from outside, then start `santral serve`: it has X look again."
        return Finding(ok=False, what=what, fix=fix)
    return Finding(ok=True, what="The webhook points here.")


def failed(error: SendFailed, channel: str) -> Finding:
    fix = f"Check the network and api_url of channel {channel!r}, then try again."
    if isinstance(error, Misconfigured):
        fix = f"Look at the keys of channel {channel!r}, and at the app's permissions and credits in X's console."
    return Finding(ok=False, what=str(error), fix=fix)
