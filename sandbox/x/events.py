"""What a webhook is told: each thing that happens, once for every subscription it fits.

Rule: the payload keeps the old names of v1.1; only the envelope and the nesting of users differ between the two APIs.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from random import Random
from typing import Protocol

from sandbox.journal import Json
from sandbox.x.delivery import Parcel
from sandbox.x.payloads import legacy_message, milliseconds, users_of
from sandbox.x.values import DM_RECEIVED, Account, App, Dm, Settings, Subscription, Webhook

DIRECTIONS = {"dm.sent": "outbound", "chat.sent": "outbound"}  # everything else comes in
PAID = {"dm.received", "chat.received"}


class Surroundings(Protocol):
    """What events need of the world around them."""

    settings: Settings
    app: App
    chance: Random
    accounts: dict[str, Account]
    subscriptions: dict[str, Subscription]
    webhooks: dict[str, Webhook]

    def now(self) -> datetime: ...

    def charge(self, price: float, *things: str) -> bool: ...


def uuid(world: Surroundings) -> str:
    """Make an event id: a signed number of 64 bits, so half of them are negative."""
    return str(world.chance.getrandbits(64) - 2**63)


def _parcels(world: Surroundings, kind: str, owner: str, queue: str, thing: str, payload: Json) -> list[Parcel]:
    fitting = [
        subscription
        for subscription in world.subscriptions.values()
        if subscription.webhook
        and subscription.event_type == kind
        and subscription.filter.get("user_id") == owner
        and subscription.filter.get("direction", "") in ("", DIRECTIONS.get(kind, "inbound"))
    ]
    if fitting and kind in PAID and not world.charge(DM_RECEIVED, f"{kind} {thing}"):
        return []
    at = world.now()
    parcels = []
    for subscription in fitting:
        event = uuid(world)
        body = _wrapped(world.settings.envelope, event, kind, subscription, payload)
        if body is not None:
            parcels.append(Parcel(event=event, kind=kind, webhook=subscription.webhook, queue=queue, body=body, at=at))
    return parcels


def _wrapped(envelope: str, event: str, kind: str, subscription: Subscription, payload: Json) -> Json | None:
    if envelope == "aaa":
        # The older API never learned of encrypted chats.
        return None if kind.startswith("chat.") else {"for_user_id": subscription.filter["user_id"], **payload}
    data: Json = {"event_uuid": event, "filter": subscription.filter, "event_type": kind}
    if subscription.tag:
        data["tag"] = subscription.tag
    return {"data": {**data, "payload": payload}}


def message(world: Surroundings, dm: Dm) -> list[Parcel]:
    """Tell the sender's subscriptions that it was sent, the recipient's that it was received."""
    if dm.encrypted:
        return [
            *_parcels(world, "chat.sent", dm.sender, dm.conversation, dm.id, _sealed_chat(world.chance, dm)),
            *_parcels(world, "chat.received", dm.recipient, dm.conversation, dm.id, _sealed_chat(world.chance, dm)),
        ]
    payload: Json = {"direct_message_events": [legacy_message(dm, world.settings.ton_url)]}
    if dm.app and world.settings.envelope == "aaa":
        name = world.app.name if dm.app == world.app.id else "Another app"
        payload["apps"] = {dm.app: {"id": dm.app, "name": name, "url": "https://shop.example"}}
    payload["users"] = _users(world, dm.sender, dm.recipient)
    return [
        *_parcels(world, "dm.sent", dm.sender, dm.conversation, dm.id, payload),
        *_parcels(world, "dm.received", dm.recipient, dm.conversation, dm.id, payload),
    ]


def _users(world: Surroundings, *ids: str) -> Json:
    return users_of(world.settings.envelope, [world.accounts[id] for id in ids])


def read(world: Surroundings, reader: Account, writer: Account, last: str) -> list[Parcel]:
    """Tell the writer how far the reader has read."""
    event = {
        "created_timestamp": milliseconds(world.now()),
        "sender_id": reader.id,
        "target": {"recipient_id": writer.id},
        "last_read_event_id": last,
    }
    payload = {"direct_message_mark_read_events": [event], "users": _users(world, reader.id, writer.id)}
    return _parcels(world, "dm.read", writer.id, f"{reader.id} reads", last, payload)


def typing(world: Surroundings, person: Account, line: Account) -> list[Parcel]:
    event = {
        "created_timestamp": milliseconds(world.now()),
        "sender_id": person.id,
        "target": {"recipient_id": line.id},
    }
    payload = {"direct_message_indicate_typing_events": [event], "users": _users(world, person.id, line.id)}
    return _parcels(world, "dm.indicate_typing", line.id, f"{person.id} types", person.id, payload)


def revoked(world: Surroundings, line: Account) -> list[Parcel]:
    """Tell every webhook that has a subscription of this account, or one of revocations; the filter is empty."""
    at = world.now()
    when = at.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    told = {
        subscription.webhook
        for subscription in world.subscriptions.values()
        if subscription.webhook
        and (subscription.filter.get("user_id") == line.id or subscription.event_type == "oauth.revoke")
    }
    parcels = []
    for webhook in sorted(told):
        event = uuid(world)
        payload: Json = {"date_time": when, "user_id": line.id, "app_id": world.app.id}
        body: Json = {
            "data": {"event_uuid": event, "filter": {}, "event_type": "oauth.revoke", "payload": payload},
        }
        if world.settings.envelope == "aaa":
            target, source = {"app_id": world.app.id}, {"user_id": line.id}
            body = {"user_event": {"revoke": {"date_time": when, "target": target, "source": source}}}
        parcels.append(Parcel(event=event, kind="oauth.revoke", webhook=webhook, queue=line.id, body=body, at=at))
    return parcels


def _sealed_chat(chance: Random, dm: Dm) -> Json:
    """Show an encrypted message: who, when, and nothing of what it says."""

    def noise(count: int) -> str:
        return base64.b64encode(chance.randbytes(count)).decode()

    low, high = dm.conversation.split("-")
    raw = chance.getrandbits(128)
    text = f"{raw:032x}"
    signature: Mapping[str, str] = {
        "public_key_version": "1765382634817",
        "signature": noise(64).rstrip("="),
        "signature_version": "7",
        "signing_public_key": noise(91),
    }
    return {
        "conversation_token": f"{noise(27)}.{noise(60)}",
        "id": "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])),
        "created_at_msec": milliseconds(dm.at),
        "sender_id": dm.sender,
        "conversation_id": f"{high}:{low}",
        "conversation_key_version": "1768236281331",
        "encoded_event": noise(120),
        "message_event_signature": dict(signature),
    }
