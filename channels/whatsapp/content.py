"""What somebody said on WhatsApp, in words, files and pressed buttons. Pure.

Rule: what cannot be shown is named, by its kind; nothing here knows who said it, or when.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from channels.message import Attachment
from channels.meta.graph import those
from channels.values import media_type, name, on_map, shown_filename
from channels.whatsapp.wire import Card, Content, Context, Email, Form, Interactive, Item, Media, Order, Phone, Referral
from channels.wire import clean

# --- facts

# Kind of message, media type and file name for what the sender's app does not name itself.
FILES = (
    ("image", "image/jpeg", "image"),
    ("video", "video/mp4", "video"),
    ("audio", "audio/ogg", "audio"),
    ("voice", "audio/ogg", "voice"),
    ("document", "application/octet-stream", "document"),
    ("sticker", "image/webp", "sticker"),
)
ENDINGS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
    "video/3gpp": ".3gp",
    "audio/ogg": ".ogg",
    "audio/aac": ".aac",
    "audio/amr": ".amr",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "application/pdf": ".pdf",
}

# --- what was said


def said(content: Content) -> dict[str, Any]:
    """Text, attachments, payload and stub of `Received`; the stub where nothing of it can be shown."""
    parts: dict[str, Any] = {"text": "", "payload": "", "attachments": tuple(attachments(content))}
    if content.text:
        parts["text"] = content.text.body
    elif media := next(filter(None, (getattr(content, field) for field, _, _ in FILES)), None):
        parts |= {"text": media.caption} | ({} if media.id else {"stub": name(content.type) or "empty"})
    elif place := content.location:
        where = (name(place.name), name(place.address, 300), on_map(place.latitude, place.longitude))
        parts["text"] = "\n".join(filter(None, where))
    elif content.contacts:
        parts["text"] = "\n\n".join(filter(None, map(card, those(content.contacts, Card))))
    elif content.button:
        parts |= {"text": content.button.text or content.button.payload, "payload": content.button.payload}
    elif content.interactive:
        parts |= picked(content.interactive)
    elif content.order:
        parts["text"] = ordered(content.order)
    if not (parts["text"] or parts["attachments"]):
        kind = content.unsupported.type if content.unsupported else ""
        parts["stub"] = parts.get("stub") or name(kind or content.type) or "empty"
    return parts


def attachments(content: Content) -> Iterator[Attachment]:
    for field, kind, called in FILES:
        media: Media | None = getattr(content, field)
        if media and media.id:
            known = media_type(media.mime_type, kind)
            called = "voice" if media.voice else called
            yield Attachment(
                media_type=known,
                filename=shown_filename(media.filename) or called + ENDINGS.get(known, ""),
                ref=media.id,
                unique_ref=media.sha256,
            )
            return


def card(card: Card) -> str:
    called = card.name
    full = called.formatted_name or f"{called.first_name} {called.last_name}" if called else ""
    numbers = (it.phone or (f"+{it.wa_id}" if it.wa_id else "") for it in those(card.phones, Phone))
    return "\n".join(
        filter(None, (name(full), *map(name, numbers), *(name(it.email) for it in those(card.emails, Email))))
    )


def picked(interactive: Interactive) -> dict[str, Any]:
    reply = interactive.button_reply or interactive.list_reply
    if reply:
        return {"text": reply.title or reply.id, "payload": reply.id}
    if interactive.nfm_reply:
        return {"text": filled_in(interactive.nfm_reply)}
    return {"stub": name(interactive.type)}


def filled_in(form: Form) -> str:
    """A form's answers line by line, its own words where they are none. JSON inside JSON is cleaned once more."""
    try:
        answers = clean(json.loads(form.response_json))
    except (ValueError, RecursionError):
        answers = None
    plain = (str, int, float)
    rows = answers.items() if isinstance(answers, dict) else ()
    lines = [
        f"{name(key)}: {name(str(value), 1000)}"
        for key, value in rows
        if isinstance(value, plain) and key != "flow_token" and value != ""
    ]
    return "\n".join(lines) or form.body or form.name


def ordered(order: Order) -> str:
    """An order from the catalogue: two of this, one of that, at which price."""
    lines = []
    for item in those(order.product_items, Item):
        price = f"({item.item_price} {item.currency})" if item.item_price != "" else ""
        lines.append(name(f"{item.quantity} × {item.product_retailer_id or '?'} {price}"))
    return "\n".join(filter(None, (order.text, *lines)))


def referred(referral: Referral | None) -> str:
    """The advertisement a chat began with, in words."""
    if referral is None:
        return ""
    return " · ".join(filter(None, (name(referral.headline), name(referral.body, 500), name(referral.source_url, 500))))


def of_catalogue(context: Context) -> str:
    return name(context.referred_product.product_retailer_id) if context.referred_product else ""
