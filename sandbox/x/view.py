"""What is to be seen of the world: conversations as entries, people, lines, webhooks.

Rule: an entry has the same shape in every emulator that the page draws.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from sandbox.journal import Journal, Json
from sandbox.x.values import Account, App, Dm, Settings, Subscription, Webhook


class Seen(Protocol):
    """What is shown of the world."""

    settings: Settings
    journal: Journal
    app: App
    accounts: dict[str, Account]
    dms: dict[str, Dm]
    webhooks: dict[str, Webhook]
    subscriptions: dict[str, Subscription]
    spent: float

    def now(self) -> datetime: ...


def entry(dm: Dm, line: str, app: str, base: str) -> Json:
    """Show a message as a line sees it; what the shop wrote without `app` came from elsewhere."""
    ours = dm.sender == line
    file: Json | None = None
    if dm.media is not None:
        file = {
            "url": f"{base}/control/files/{dm.media.id}",
            "media_type": dm.media.media_type,
            "filename": dm.media.filename,
            "size": len(dm.media.data),
        }
    return {
        "id": dm.id,
        "from": ("shop" if dm.app == app else "elsewhere") if ours else "customer",
        "text": dm.text,
        "at": dm.at.timestamp(),
        "status": ("read" if dm.read else "delivered") if ours else "",
        "file": file,
        "choices": [],
        "reply_to": "",
        "reactions": [],
        "edited": False,
        "withdrawn": dm.withdrawn,
        "template": "",
        "code": "",
    }


def _account(account: Account, now: datetime) -> Json:
    return {
        "id": account.id,
        "name": account.name,
        "username": account.username,
        "picture": account.picture,
        "suspended": account.suspended,
        "blocked": sorted(account.blocked),
        "typing": sorted(line for line, until in account.typing.items() if until > now),
    }


def state(world: Seen, base: str) -> Json:
    now = world.now()
    chats: dict[str, list[Json]] = {}
    for dm in world.dms.values():
        for line, person in ((dm.sender, dm.recipient), (dm.recipient, dm.sender)):
            if world.accounts[line].line:
                chats.setdefault(f"{line}|{person}", []).append(entry(dm, line, world.app.id, base))
    accounts = world.accounts.values()
    return {
        "seq": world.journal.seq,
        "settings": {name: getattr(world.settings, name) for name in Settings.__slots__},
        "spent": round(world.spent, 3),
        "chats": chats,
        "people": {account.id: _account(account, now) for account in accounts if not account.line},
        "lines": {account.id: _account(account, now) for account in accounts if account.line},
        "webhooks": [webhook.plain() for webhook in world.webhooks.values()],
        "subscriptions": [subscription.plain() for subscription in world.subscriptions.values()],
    }
