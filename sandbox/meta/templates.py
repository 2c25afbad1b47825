"""WhatsApp templates: listed per WABA, and checked against what is sent by name.

Rule: a template is its name and its language together; `tr` is not `tr_TR`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sandbox.meta.call import Call
from sandbox.meta.incidents import template_id
from sandbox.meta.pages import paged
from sandbox.meta.values import ApiError, Json, Template, not_there

MISMATCH = "Parameter format does not match format in the created template"
BODY = 1024  # after the parameters were put in
TEXT = re.compile(r"[\n\t]| {4}")
PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(slots=True, kw_only=True)
class Filled:
    """A template with its parameters: the text a phone shows, and the payloads of its quick replies."""

    template: Template
    text: str
    choices: list[Json] = field(default_factory=list)
    media: Json = field(default_factory=dict)  # of the header: {"image": {"link": …}} or the like


def wrong(code: int, words: str, details: str) -> ApiError:
    return ApiError(code, f"(#{code}) {words}", details=details)


async def listed(call: Call, waba: str) -> Json:
    """GET /{waba}/message_templates: by name, language, status or category, with paging."""
    if not call.reaches(waba):
        raise not_there(call.verb, waba)
    rows = [
        one.plain(template_id(waba, place))
        for place, one in enumerate(call.world.accounts.templates.get(waba, []))
        if all(
            not (wanted := call.text(fact)) or wanted == getattr(one, fact)
            for fact in ("name", "language", "status", "category")
        )
    ]
    return paged(call, f"{waba}/message_templates", rows)


def fill(templates: list[Template], given: Json) -> Filled:
    """Find a template and put its parameters in. Raises `ApiError` in the 132000s."""
    name, language = str(given.get("name", "")), str((given.get("language") or {}).get("code", ""))
    if not name or not language:
        raise wrong(131008, "Required parameter is missing", "template['name'] and template['language'] are mandatory")
    template = next((one for one in templates if (one.name, one.language) == (name, language)), None)
    if template is None or template.status not in ("APPROVED", "PAUSED", "DISABLED"):
        words = "Template name does not exist in the translation"
        raise wrong(132001, words, f"template name ({name}) does not exist in {language}")
    if template.status == "PAUSED":
        raise wrong(132015, "Template is paused", f"template ({name}) is paused because of low quality")
    if template.status == "DISABLED":
        raise wrong(132016, "Template is disabled", f"template ({name}) was paused too often")
    components = {str(one.get("type", "")).lower(): one for one in given.get("components") or []}
    body = _put(template, "BODY", template.part("BODY").get("text", ""), components.get("body", {}))
    if len(body) > BODY:
        raise wrong(132005, "Translated text too long", f"body has {len(body)} characters; the most is {BODY}")
    header, media = _header(template, components.get("header", {}))
    footer = template.part("FOOTER").get("text", "")
    text = "\n".join(part for part in (header, body, footer) if part)
    return Filled(template=template, text=text, choices=_buttons(template, given), media=media)


def _put(template: Template, where: str, text: str, component: Json) -> str:
    """Put parameters into a text."""
    wanted = list(dict.fromkeys(PLACE.findall(text)))
    given = component.get("parameters") or []
    if len(given) != len(wanted):
        raise wrong(
            132000,
            "Number of parameters does not match the expected number of params",
            f"{where.lower()}: number of localizable_params ({len(given)}) does not match the expected number of "
            f"params ({len(wanted)})",
        )
    values: dict[str, str] = {}
    for place, parameter in enumerate(given):
        if parameter.get("type") != "text" or not isinstance(parameter.get("text"), str) or not parameter["text"]:
            raise wrong(132012, MISMATCH, f"{where}: not a text")
        if TEXT.search(parameter["text"]):
            details = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"
            raise wrong(132012, MISMATCH, details)
        key = str(parameter.get("parameter_name", "")) if template.named else wanted[place]
        if key not in wanted:
            details = f"{where}: there is no parameter named '{key}'"
            raise wrong(132012, MISMATCH, details)
        values[key] = parameter["text"]
    if len(values) != len(wanted):
        raise wrong(132000, "Number of parameters does not match the expected number of params", f"{where}: one twice")
    return PLACE.sub(lambda found: values[found[1]], text)


def _header(template: Template, component: Json) -> tuple[str, Json]:
    part = template.part("HEADER")
    sort = str(part.get("format", "")).lower()
    if sort in ("", "text"):
        return _put(template, "HEADER", part.get("text", ""), component), {}
    given = component.get("parameters") or []
    if len(given) != 1 or given[0].get("type") != sort or not isinstance(given[0].get(sort), dict):
        raise wrong(132012, MISMATCH, f"header: Format mismatch, expected {sort.upper()}")
    return "", {sort: given[0][sort]}


def _buttons(template: Template, given: Json) -> list[Json]:
    """The buttons a phone shows, with the payload each was given or its own text."""
    buttons = template.part("BUTTONS").get("buttons") or []
    sent = {
        str(one.get("index")): one
        for one in given.get("components") or []
        if str(one.get("type", "")).lower() == "button"
    }
    if extra := set(sent) - {str(place) for place in range(len(buttons))}:
        raise wrong(132012, MISMATCH, f"buttons: there is no button {', '.join(sorted(extra))}")
    choices: list[Json] = []
    for place, button in enumerate(buttons):
        parameters = sent.get(str(place), {}).get("parameters") or []
        if button.get("type") == "URL":
            url = str(button.get("url", ""))
            if len(parameters) != len(PLACE.findall(url)):
                words = "Number of parameters does not match the expected number of params"
                raise wrong(132000, words, f"buttons: Button at index {place} of type Url requires a parameter")
            for parameter in parameters:
                url = PLACE.sub(str(parameter.get("text", "")), url)
            choices.append({"label": button.get("text", ""), "payload": url, "kind": "url"})
        elif button.get("type") == "QUICK_REPLY":
            payload = parameters[0].get("payload", "") if parameters else button.get("text", "")
            choices.append({"label": button.get("text", ""), "payload": payload, "kind": "template"})
    return choices
