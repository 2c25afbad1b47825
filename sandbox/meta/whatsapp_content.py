"""What a WhatsApp message may contain: each type checked against its limits before anything is sent.

Rule: pure. A refusal here is a 400; what Meta finds out only later (windows, links, recipients) is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.meta.templates import Filled, fill
from sandbox.meta.values import ApiError, Json, Template, invalid

TEXT = 4096
CAPTION = 1024  # and the body of an interactive message
LINE = 60  # header text and footer
BUTTONS, BUTTON_TITLE, BUTTON_ID = 3, 20, 256
SECTIONS, ROWS, ROW_TITLE, ROW_DESCRIPTION, ROW_ID, SECTION_TITLE = 10, 10, 24, 72, 200, 24
CTA_TEXT, FLOW_TEXT = 20, 30
CONTACTS = 5
TRACKER = 512

MEDIA = ("image", "audio", "document", "video", "sticker")
TYPES = ("text", *MEDIA, "location", "contacts", "interactive", "reaction", "template")


@dataclass(slots=True, kw_only=True)
class Content:
    """A message ready to go. `media` is {"id": …} or {"link": …} of a file to go with it, of kind `media_kind`."""

    kind: str
    text: str = ""
    media: Json = field(default_factory=dict)
    media_kind: str = ""
    choices: list[Json] = field(default_factory=list)
    filled: Filled | None = None


def bad(details: str) -> ApiError:
    return ApiError(131009, "(#131009) Parameter value is not valid", details=details)


def missing(name: str) -> ApiError:
    details = f"The parameter {name} is required."
    return ApiError(131008, "(#131008) Required parameter is missing", details=details)


def check(values: Json, templates: list[Template]) -> Content:
    """Check a message. Raises `ApiError`."""
    kind = values.get("type") or "text"
    if kind not in TYPES:
        raise invalid(f'Param type must be one of {{{", ".join(TYPES).upper()}}} - got "{kind}".')
    part: Any = values.get(kind)
    if not part:
        raise missing(kind)
    if kind == "contacts":
        return _contacts(part)
    if not isinstance(part, dict):
        raise invalid(f"Param {kind} must be a JSON object.")
    if kind in MEDIA:
        return _media(kind, part)
    if kind == "template":
        return _template(part, templates)
    return {"text": _text, "location": _location, "interactive": _interactive, "reaction": _reaction}[kind](part)


def _words(value: Any, name: str, most: int, *, required: bool = True) -> str:
    if value in (None, "") and not required:
        return ""
    if not isinstance(value, str) or not value.strip():
        raise missing(name)
    if len(value) > most:
        raise invalid(f"Param {name} must be at most {most} characters long.")
    return value


def _text(part: Json) -> Content:
    return Content(kind="text", text=_words(part.get("body"), "text['body']", TEXT))


def _media(kind: str, part: Json) -> Content:
    if bool(part.get("id")) is bool(part.get("link")):
        raise bad(f"{kind} takes either an id or a link")
    if kind in ("audio", "sticker") and part.get("caption"):
        raise invalid(f'Unexpected key "caption" on param "{kind}".')
    if kind != "document" and part.get("filename"):
        raise invalid(f'Unexpected key "filename" on param "{kind}".')
    caption = _words(part.get("caption"), f"{kind}['caption']", CAPTION, required=False)
    return Content(kind=kind, text=caption, media=part, media_kind=kind)


def _location(part: Json) -> Content:
    try:
        latitude, longitude = float(part["latitude"]), float(part["longitude"])
    except (KeyError, TypeError, ValueError) as error:
        raise missing("location['latitude'] and location['longitude']") from error
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise bad("location is not on Earth")
    named = [str(part[name]) for name in ("name", "address") if part.get(name)]
    return Content(kind="location", text="\n".join([*named, f"{latitude}, {longitude}"]))


def _contacts(part: Any) -> Content:
    if not isinstance(part, list) or not all(isinstance(one, dict) for one in part):
        raise invalid("Param contacts must be an array.")
    if len(part) > CONTACTS:
        raise bad(f"contacts has at most {CONTACTS}")
    lines = []
    for card in part:
        name = card.get("name") or {}
        _words(name.get("formatted_name"), "contacts['name']['formatted_name']", CAPTION)
        if not set(name) & {"first_name", "last_name", "middle_name", "suffix", "prefix"}:
            raise missing("contacts['name']['first_name']")
        lines.append(
            " ".join([name["formatted_name"], *(str(one.get("phone", "")) for one in card.get("phones") or [])])
        )
    return Content(kind="contacts", text="\n".join(lines))


def _reaction(part: Json) -> Content:
    if not part.get("message_id"):
        raise missing("reaction['message_id']")
    if not isinstance(part.get("emoji"), str):
        raise missing("reaction['emoji']")
    return Content(kind="reaction", text=part["emoji"])


def _template(part: Json, templates: list[Template]) -> Content:
    filled = fill(templates, part)
    kind = next(iter(filled.media), "")
    content = Content(kind="template", text=filled.text, choices=filled.choices, filled=filled)
    if kind in MEDIA:
        content.media, content.media_kind = filled.media[kind], kind
    return content


def _interactive(part: Json) -> Content:
    kind = part.get("type")
    checks: dict[str, Callable[[Json], list[Json]]] = {
        "button": _buttons,
        "list": _list,
        "cta_url": _link,
        "flow": _flow,
        "location_request_message": lambda action: [],
    }
    if kind not in checks:
        raise invalid(f"Param interactive['type'] must be one of {{{', '.join(checks).upper()}}}")
    body = _words((part.get("body") or {}).get("text"), "interactive['body']['text']", CAPTION)
    footer = _words((part.get("footer") or {}).get("text"), "interactive['footer']['text']", LINE, required=False)
    action = part.get("action")
    if not isinstance(action, dict):
        raise missing("interactive['action']")
    header = part.get("header") or {}
    sort = header.get("type", "")
    content = Content(kind="interactive", choices=checks[str(kind)](action))
    top = ""
    if sort == "text":
        top = _words(header.get("text"), "interactive['header']['text']", LINE)
    elif sort in ("image", "video", "document") and kind in ("button", "cta_url", "flow"):
        content.media, content.media_kind = header.get(sort) or {}, sort
        if bool(content.media.get("id")) is bool(content.media.get("link")):
            raise bad("the header takes either an id or a link")
    elif sort:
        raise bad(f"a header of type {sort} does not go with {kind}")
    content.text = "\n".join(one for one in (top, body, footer) if one)
    return content


def _titled(title: Any, most: int, what: str) -> str:
    if not isinstance(title, str) or not 1 <= len(title) <= most:
        raise bad(f"{what} title length invalid. Min length: 1, Max length: {most}")
    return title


def _identified(id: Any, most: int, what: str, seen: set[str]) -> str:
    if not isinstance(id, str) or not 1 <= len(id) <= most:
        raise bad(f"{what} id length invalid. Min length: 1, Max length: {most}")
    if id in seen:
        raise bad(f"Duplicated {what.lower()} id {id}")
    seen.add(id)
    return id


def _buttons(action: Json) -> list[Json]:
    buttons = action.get("buttons") or []
    if not 1 <= len(buttons) <= BUTTONS:
        raise bad(f"Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: {BUTTONS}")
    choices: list[Json] = []
    seen: set[str] = set()
    for button in buttons:
        reply = button.get("reply")
        if button.get("type") != "reply" or not isinstance(reply, dict):
            raise bad("a button has type reply")
        title = _titled(reply.get("title"), BUTTON_TITLE, "Button")
        if title in [one["label"] for one in choices]:
            raise bad(f"Duplicated button title {title}")
        payload = _identified(reply.get("id"), BUTTON_ID, "Button", seen)
        choices.append({"label": title, "payload": payload, "kind": "button_reply"})
    return choices


def _list(action: Json) -> list[Json]:
    _titled(action.get("button"), BUTTON_TITLE, "Button")
    sections = action.get("sections") or []
    if not 1 <= len(sections) <= SECTIONS:
        raise bad(f"Invalid sections count. Min: 1, Max: {SECTIONS}")
    choices: list[Json] = []
    seen: set[str] = set()
    for section in sections:
        if len(sections) > 1 or section.get("title"):
            _titled(section.get("title"), SECTION_TITLE, "Section")
        for row in section.get("rows") or []:
            title = _titled(row.get("title"), ROW_TITLE, "Row")
            description = str(row.get("description") or "")
            if len(description) > ROW_DESCRIPTION:
                raise bad(f"Row description is too long. Max length: {ROW_DESCRIPTION}")
            payload = _identified(row.get("id"), ROW_ID, "Row", seen)
            choices.append({"label": title, "payload": payload, "kind": "list_reply", "description": description})
    if not 1 <= len(choices) <= ROWS:
        raise bad(f"Total row count exceed max allowed count: {ROWS}")
    return choices


def _link(action: Json) -> list[Json]:
    given = action.get("parameters") or {}
    title = _titled(given.get("display_text"), CTA_TEXT, "Button")
    if not str(given.get("url", "")).startswith(("http://", "https://")):
        raise bad("cta_url needs a url")
    return [{"label": title, "payload": given["url"], "kind": "url"}]


def _flow(action: Json) -> list[Json]:
    given = action.get("parameters") or {}
    title = _titled(given.get("flow_cta"), FLOW_TEXT, "Button")
    return [{"label": title, "payload": str(given.get("flow_id", "")), "kind": "url"}]
