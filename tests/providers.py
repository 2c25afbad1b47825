"""The emulated providers of Twilio, Meta and X, hosted for a `World`, with the shop's accounts there.

Rule: both sides are only touched as people and providers touch them. Webhooks are registered by the adapters, as
`serve` does where it has an https address.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from channels.channel import Channel, Registers
from sandbox import meta as meta_sandbox
from sandbox import twilio as twilio_sandbox
from sandbox import x as x_sandbox

ACCOUNT, AUTH_TOKEN = "AC00000000000000000000000000000001", "twilio-auth-token-of-the-sandbox"
SMS, WHATSAPP_TWILIO = "+905550100001", "whatsapp:+905550100002"
NUMBER_ID, BUSINESS_ID, NUMBER = "106540352242922", "102290129340398", "+90 555 010 00 03"
PAGE, INSTAGRAM = "108264108264108", "17841400000000000"
NUMBER_TOKEN, PAGE_TOKEN = "token-of-the-number", "token-of-the-page"
APP_SECRET, VERIFY_TOKEN = "app-secret-of-the-sandbox", "verify-token-of-the-shop"
X_USER, X_CONSUMER, X_TOKEN = (
    "2244994945",
    ("x-consumer-key", "x-consumer-secret"),
    ("x-access-token", "x-access-secret"),
)

Host = Callable[[web.Application], Awaitable[str]]
KINDS = ("sms", "whatsapp-twilio", "whatsapp", "messenger", "instagram", "x")


class Providers:
    """Twilio, Meta and X, each with one account of the shop for every kind of channel. Not hosted yet."""

    def __init__(self) -> None:
        self.twilio = twilio_sandbox.World()
        self.meta = meta_sandbox.World(app_secret=APP_SECRET)
        self.x = x_sandbox.World()
        self.twilio_url = self.meta_url = self.x_url = ""

    async def open(self, host: Host) -> None:
        self.twilio_url = await host(twilio_sandbox.application(self.twilio))
        self.meta_url = await host(meta_sandbox.application(self.meta))
        self.x_url = await host(x_sandbox.application(self.x))
        self.twilio.add_account(sid=ACCOUNT, auth_token=AUTH_TOKEN, name="Kumbara")
        self.twilio.add_line(SMS, name="Kumbara")
        self.twilio.add_line(WHATSAPP_TWILIO, name="Kumbara")
        await self.twilio.settle({"api_base": self.twilio_url})
        self.meta.base = self.meta_url
        self.meta.add_number(id=NUMBER_ID, waba=BUSINESS_ID, display=NUMBER, name="Kumbara", token=NUMBER_TOKEN)
        self.meta.add_page(id=PAGE, name="Kumbara", token=PAGE_TOKEN)
        self.meta.add_instagram(id=INSTAGRAM, username="kumbara.shop", page=PAGE)
        await self.meta.settle({"retry_scale": 0.01})
        self.x.add_app(consumer_key=X_CONSUMER[0], consumer_secret=X_CONSUMER[1])
        self.x.add_line(
            id=X_USER, name="Kumbara", username="kumbara", access_token=X_TOKEN[0], access_secret=X_TOKEN[1]
        )
        await self.x.settle({"local_urls": True, "rate_limits": False, "ton_url": self.x_url})

    async def close(self) -> None:
        for world in (self.twilio, self.meta, self.x):
            await world.close()

    async def idle(self) -> None:
        """Wait until nothing is under way at any of them."""
        for world in (self.twilio, self.meta, self.x):
            await world.idle()

    def channels(self, *kinds: str) -> list[dict[str, Any]]:
        """The sections of the configuration for these kinds, each named like its kind."""
        account = {"account_sid": ACCOUNT, "auth_token": AUTH_TOKEN, "api_url": self.twilio_url}
        app = {"app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN, "api_url": self.meta_url}
        sections: dict[str, dict[str, Any]] = {
            "sms": {**account, "sender": SMS},
            "whatsapp-twilio": {**account, "sender": WHATSAPP_TWILIO},
            "whatsapp": {
                **app,
                "access_token": NUMBER_TOKEN,
                "phone_number_id": NUMBER_ID,
                "business_account_id": BUSINESS_ID,
            },
            "messenger": {**app, "access_token": PAGE_TOKEN, "page_id": PAGE},
            "instagram": {**app, "access_token": PAGE_TOKEN, "ig_id": INSTAGRAM, "page_id": PAGE},
            "x": {
                "consumer_key": X_CONSUMER[0],
                "consumer_secret": X_CONSUMER[1],
                "access_token": X_TOKEN[0],
                "access_token_secret": X_TOKEN[1],
                "user_id": X_USER,
                "api_url": self.x_url,
            },
        }
        return [{"name": kind, "kind": kind, **sections[kind]} for kind in kinds or KINDS]


async def register(channels: dict[str, Channel], url: str) -> None:
    """Tell every provider where Santral listens, by its adapter."""
    for name, channel in channels.items():
        if name in KINDS and isinstance(channel, Registers):
            await channel.register(f"{url}/webhooks/{name}")
