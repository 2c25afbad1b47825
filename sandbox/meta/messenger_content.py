"""What a message of Messenger or Instagram may contain.

Rule: pure. Text or attachment, never both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.meta.call import Call
from sandbox.meta.values import Json, Kind, invalid

TEXT = 2000  # Messenger, characters
BYTES = 1000  # Instagram, UTF-8
QUICK_REPLIES, QUICK_TITLE, PAYLOAD = 13, 20, 1000
TEMPLATE_TEXT, TEMPLATE_BUTTONS, ELEMENTS = 640, 3, 10
METADATA = 1000
KINDS = ("image", "audio", "video", "file")


@dataclass(slots=True, kw_only=True)
class Content:
    kind: str
    text: str = ""
    url: str = ""
    attachment_id: str = ""
    reusable: bool = False
    choices: list[Json] = field(default_factory=list)


def recipient_id(call: Call) -> str:
    """Whom a call is for. Raises `ApiError`."""
    recipient = call.object("recipient")
    if not recipient:
        raise invalid("The parameter recipient is required.")
    if not isinstance(recipient.get("id"), str | int) or not recipient["id"]:
        raise invalid("Param recipient[id] must be a string")
    return str(recipient["id"])


def check(kind: Kind, message: Json) -> Content:
    """Check a message. Raises `ApiError`."""
    text, attachment = message.get("text"), message.get("attachment")
    if not text and not attachment:
        raise invalid("Message cannot be empty, must provide valid attachment, text or dynamic_text")
    if text and attachment:
        raise invalid("Message cannot contain both text and attachment")
    if len(str(message.get("metadata") or "")) > METADATA:
        raise invalid(f"Length of param message[metadata] must be less than or equal to {METADATA}")
    content = _text(kind, text) if text else _attachment(attachment)
    content.choices += _quick_replies(message.get("quick_replies") or [])
    return content


def instagram_text(content: Content) -> None:
    """Refuse what Instagram does not carry beyond lengths: quick replies go with text alone."""
    if content.kind not in ("text", "template") and content.choices:
        raise invalid("Quick replies go only with text")


def _text(kind: Kind, text: Any) -> Content:
    if not isinstance(text, str):
        raise invalid("Param message[text] must be a string")
    size, most = (len(text.encode()), BYTES) if kind is Kind.INSTAGRAM else (len(text), TEXT)
    if size > most:
        raise invalid(f"Length of param message[text] must be less than or equal to {most}")
    return Content(kind="text", text=text)


def _attachment(given: Any) -> Content:
    if not isinstance(given, dict):
        raise invalid("Param message[attachment] must be an object")
    kind, payload = given.get("type"), given.get("payload") or {}
    if kind == "template":
        return _template(payload)
    if kind not in KINDS:
        raise invalid(f"Param message[attachment][type] must be one of {{{', '.join(KINDS)}, template}}")
    return Content(
        kind=kind,
        url=str(payload.get("url") or ""),
        attachment_id=str(payload.get("attachment_id") or ""),
        reusable=str(payload.get("is_reusable", "")).lower() == "true",
    )


def _template(payload: Json) -> Content:
    sort = payload.get("template_type")
    if sort == "button":
        text = payload.get("text")
        if not isinstance(text, str) or not 1 <= len(text) <= TEMPLATE_TEXT:
            raise invalid(f"A button template has a text of 1 to {TEMPLATE_TEXT} characters")
        return Content(kind="template", text=text, choices=_buttons(payload.get("buttons") or []))
    if sort != "generic":
        raise invalid("Param message[attachment][payload][template_type] must be one of {generic, button}")
    elements = payload.get("elements") or []
    if not 1 <= len(elements) <= ELEMENTS:
        raise invalid(f"A generic template has 1 to {ELEMENTS} elements")
    content = Content(kind="template")
    content.text = "\n".join(str(one.get(part)) for one in elements for part in ("title", "subtitle") if one.get(part))
    for element in elements:
        if element.get("buttons"):
            content.choices += _buttons(element["buttons"])
    return content


def _buttons(buttons: list[Json]) -> list[Json]:
    if not 1 <= len(buttons) <= TEMPLATE_BUTTONS:
        raise invalid(f"There are 1 to {TEMPLATE_BUTTONS} buttons")
    choices: list[Json] = []
    for button in buttons:
        title = _title(button.get("title"))
        link = button.get("type") == "web_url"
        payload = str(button.get("url" if link else "payload") or "")
        if not payload or button.get("type") not in ("web_url", "postback"):
            raise invalid("A button is a web_url with a url, or a postback with a payload")
        choices.append({"label": title, "payload": payload, "kind": "url" if link else "postback"})
    return choices


def _quick_replies(replies: list[Json]) -> list[Json]:
    if len(replies) > QUICK_REPLIES:
        raise invalid(f"Param message[quick_replies] must have at most {QUICK_REPLIES} elements")
    choices: list[Json] = []
    for reply in replies:
        if reply.get("content_type") != "text":
            raise invalid("Param message[quick_replies][content_type] must be text here")
        payload = str(reply.get("payload") or "")
        if not 1 <= len(payload) <= PAYLOAD:
            raise invalid(f"A quick reply has a payload of 1 to {PAYLOAD} characters")
        choices.append({"label": _title(reply.get("title")), "payload": payload, "kind": "quick_reply"})
    return choices


def _title(title: Any) -> str:
    if not isinstance(title, str) or not 1 <= len(title) <= QUICK_TITLE:
        raise invalid(f"A title has 1 to {QUICK_TITLE} characters")
    return title
