"""The shop's accounts and the customers' phones, entered into the emulators of Twilio, Meta and X.

Rule: done once, before anybody can write. What Santral would tell the providers itself is told here, because the demo
has no https address to tell them.
"""

from __future__ import annotations

from sandbox import cast
from sandbox.lines import (
    ACCESS,
    APPS,
    BUSINESS,
    CONSUMER,
    HURRY,
    INSTAGRAM_LINE,
    META_VERIFY,
    NUMBER_TOKEN,
    PAGE_LINE,
    PAGE_TOKEN,
    RETRIES,
    SMS_LINE,
    TEMPLATE,
    TEMPLATES,
    TWILIO_ACCOUNT,
    TWILIO_TOKEN,
    TWILIO_WHATSAPP_LINE,
    WHATSAPP_LINE,
    WHATSAPP_NUMBER,
    X_EVENTS,
    X_LINE,
)
from sandbox.meta import World as Meta
from sandbox.twilio import World as Twilio
from sandbox.x import World as X
from sandbox.x.values import Subscription, Webhook


def person_in(app: str, person: cast.Person) -> str:
    """What the emulator of an app calls a person."""
    return str(person.id) if APPS[app].world == "x" else person.key


async def enter(twilio: Twilio, meta: Meta, x: X, base: str) -> None:
    """Open the shop's accounts and the customers' phones. `base` is the page's address, below which all are mounted."""
    twilio.add_account(sid=TWILIO_ACCOUNT, auth_token=TWILIO_TOKEN, name=cast.SHOP)
    twilio.add_line(SMS_LINE, name=cast.SHOP)
    twilio.add_line(TWILIO_WHATSAPP_LINE, name=cast.SHOP)
    await twilio.settle({"api_base": f"{base}/twilio"})
    meta.base = f"{base}/meta"
    meta.add_number(
        id=WHATSAPP_LINE, waba=BUSINESS, display=WHATSAPP_NUMBER, name=cast.SHOP, token=NUMBER_TOKEN, coexistence=True
    )
    meta.add_page(id=PAGE_LINE, name=cast.SHOP, token=PAGE_TOKEN)
    meta.add_instagram(id=INSTAGRAM_LINE, username="kumbara.shop", name=cast.SHOP, page=PAGE_LINE)
    for language, body in TEMPLATES.items():
        meta.add_template(BUSINESS, name=TEMPLATE, language=language, body=body)
    await meta.settle({"retry_scale": HURRY})
    x.add_app(consumer_key=CONSUMER[0], consumer_secret=CONSUMER[1])
    x.add_line(id=X_LINE, name=cast.SHOP, username="kumbara", access_token=ACCESS[0], access_secret=ACCESS[1])
    await x.settle({"local_urls": True, "rate_limits": False, "ton_url": f"{base}/x"})
    for person in cast.PEOPLE:
        worlds = {APPS[app].world for app in person.apps}
        if "twilio" in worlds:
            twilio.add_person(person.name, person.phone, key=person.key)
        if "meta" in worlds:
            meta.add_person(person.key, person.name, phone=person.phone.lstrip("+"), username=person.username)
        if "x" in worlds:
            x.add_person(id=str(person.id), name=person.name, username=person.username)


def connect(twilio: Twilio, meta: Meta, x: X, app_url: str) -> None:
    """Point all webhooks at Santral, as `serve` does by itself where it has a public https address."""

    def url(app: str) -> str:
        return f"{app_url}/webhooks/{APPS[app].channel}"

    twilio.line(SMS_LINE).url = url("sms") + RETRIES
    twilio.line(TWILIO_WHATSAPP_LINE).url = url("whatsapp-twilio") + RETRIES
    for app in ("whatsapp", "messenger", "instagram"):
        meta.subscribe(url(app), META_VERIFY, [APPS[app].line])
    now = x.now()
    hook = Webhook(id=x.new_id(), url=url("x"), created=now, validated=now)
    x.webhooks[hook.id] = hook
    for event in X_EVENTS:
        made = Subscription(
            id=x.new_id(),
            event_type=event,
            filter={"user_id": X_LINE},
            webhook=hook.id,
            tag="",
            created=now,
            updated=now,
        )
        x.subscriptions[made.id] = made
