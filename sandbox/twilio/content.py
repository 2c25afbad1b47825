"""Templates of the Content API: read, filled in, and shown as the API shows them.

Rule: pure. WhatsApp shows every type, SMS only text and media. Page: www.twilio.com/docs/content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from sandbox.journal import Json
from sandbox.twilio.errors import ApiError
from sandbox.twilio.values import Template, iso

PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
UNFIT = re.compile(r"[\n\t]| {5,}")  # not allowed inside a variable
PLAIN = ("twilio/text", "twilio/media")  # what a text message can be made of
RICH = ("twilio/list-picker", "twilio/quick-reply", "twilio/call-to-action", "twilio/card", "whatsapp/card")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A template with its variables in place. `unfilled`: WhatsApp will miss one (63028)."""

    body: str = ""
    media: tuple[str, ...] = ()
    choices: tuple[Json, ...] = ()
    listed: bool = False
    unfilled: bool = False


def variables(text: str) -> dict[str, str]:
    """Read `ContentVariables`. Raises ApiError 21656 for what is no JSON object of plain values."""
    if not text:
        return {}
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ApiError(21656, "not JSON") from error
    if not isinstance(given, dict) or not all(isinstance(value, str | int | float) for value in given.values()):
        raise ApiError(21656, "must be an object of strings")
    values = {str(name): str(value) for name, value in given.items()}
    for name, value in values.items():
        if not value.strip() or UNFIT.search(value):
            raise ApiError(21656, f"{name} is empty, or holds a line break, a tab or more than 4 spaces")
    return values


def filled(template: Template, given: Mapping[str, str], *, whatsapp: bool) -> Filled | None:
    """Fill in a template for a channel; None when it has nothing this channel can show."""
    kind = next((kind for kind in ((*RICH, *PLAIN) if whatsapp else PLAIN) if kind in template.types), None)
    if kind is None:
        return None
    content: Json = template.types[kind]
    values = dict(given) or template.variables
    missing = False

    def put(text: object) -> str:
        nonlocal missing
        missing = missing or any(name not in values for name in PLACE.findall(str(text or "")))
        return PLACE.sub(lambda found: values.get(found[1], ""), str(text or ""))

    listed = kind == "twilio/list-picker"
    rows = content.get("items" if listed else "actions") or ()
    choices = tuple(
        {
            "label": put(row.get("item") or row.get("title")),
            "payload": put(row.get("id") or row.get("url") or row.get("phone")),
            "opens": row.get("type") in ("URL", "PHONE_NUMBER"),
        }
        for row in rows
    )
    parts = [put(content.get("title") if kind.endswith("card") else ""), put(content.get("body"))]
    if subtitle := content.get("subtitle"):
        parts.append(put(subtitle))
    media = tuple(put(url) for url in content.get("media") or ())
    body = "\n".join(part for part in parts if part)
    return Filled(body=body, media=media, choices=choices, listed=listed, unfilled=missing)


def check(types: object) -> Json:
    """Check the types of new content. Raises ApiError 20001."""
    if not isinstance(types, dict) or not types:
        raise ApiError(20001, "types is required")
    limits = {"twilio/quick-reply": ("actions", 10), "twilio/list-picker": ("items", 10)}
    for kind, content in types.items():
        if kind not in (*RICH, *PLAIN) or not isinstance(content, dict):
            raise ApiError(20001, f"types has no {kind}")
        name, most = limits.get(kind, ("", 0))
        if name and not 1 <= len(content.get(name) or ()) <= most:
            raise ApiError(20001, f"{kind} needs 1 to {most} {name}")
    return types


def shown(template: Template, base: str) -> Json:
    """As the Content API shows it. `base` is the host and prefix the caller used."""
    url = f"{base}/v1/Content/{template.sid}"
    return {
        "sid": template.sid,
        "account_sid": template.account,
        "friendly_name": template.name,
        "language": template.language,
        "variables": template.variables,
        "types": template.types,
        "date_created": iso(template.created),
        "date_updated": iso(template.created),
        "url": url,
        "links": {
            "approval_create": f"{url}/ApprovalRequests/whatsapp",
            "approval_fetch": f"{url}/ApprovalRequests",
        },
    }


def approval(template: Template, base: str) -> Json:
    return {
        "sid": template.sid,
        "account_sid": template.account,
        "url": f"{base}/v1/Content/{template.sid}/ApprovalRequests",
        "whatsapp": {
            "type": "whatsapp",
            "name": template.name,
            "category": template.category,
            "content_type": next(iter(template.types), ""),
            "status": template.status,
            "rejection_reason": "TAG_CONTENT_MISMATCH" if template.status == "rejected" else "",
            "allow_category_change": False,
        },
    }
