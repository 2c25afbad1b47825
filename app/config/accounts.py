"""What two channels must not share: the account of a provider that both would read.

Rule: values are compared as written, for the parts may be wrong in themselves; none of them is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.problems import Place

# The key that names the account a kind of channel reads. Mailboxes: `config_mail_values.across_mailboxes`.
ACCOUNTS = {
    "telegram": "token",
    "sms": "sender",
    "whatsapp-twilio": "sender",
    "whatsapp": "phone_number_id",
    "messenger": "page_id",
    "instagram": "ig_id",
    "x": "user_id",
}
SERVICE = "messaging_service_sid"  # calls one address, whichever kind its senders are
FIX = "give every channel its own, or remove one of the two"


def across_accounts(tables: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[tuple[Place, str, str]]:
    """Name every account that an earlier channel has: its messages would come twice, or never to one of the two."""
    seen: dict[tuple[str, str], int] = {}
    for position, table in tables:
        kind = table.get("kind")
        if not isinstance(kind, str) or kind not in ACCOUNTS:
            continue
        keys = (ACCOUNTS[kind], SERVICE) if ACCOUNTS[kind] == "sender" else (ACCOUNTS[kind],)
        for key in keys:
            written = table.get(key)
            if not isinstance(written, str) or not written.strip():
                continue
            first = seen.setdefault(_account(kind, key, written.strip()), position)
            if first != position:
                what = "is the same bot" if key == "token" else f"has the same {key}"
                yield ("channels", position, key), f"channels[{first + 1}] {what}", FIX


def _account(kind: str, key: str, written: str) -> tuple[str, str]:
    if key == "token":
        return kind, written.partition(":")[0]  # the bot's id; a new token ends the old one
    if key == "sender":
        return kind, written.removeprefix("whatsapp:").casefold()
    return key, written
