"""How a WhatsApp number is set up at Meta: token, number, webhook, business account, templates.

Rule: the app's own webhook is set only where there is none. Where it leads elsewhere, another channel or program relies
on it, and this number alone is led here instead: /documentation/business-messaging/whatsapp/webhooks/override
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from channels.channel import Finding
from channels.errors import Misconfigured, Refused, SendFailed
from channels.meta.graph import UNKNOWN, Graph, T, shaped
from channels.meta.graph_setup import Token, delivered, inspected, judged, looked, subscribe, subscription
from channels.values import name
from channels.whatsapp.parse import OBJECT
from channels.wire import Wire

FIELDS = frozenset({"messages", "smb_message_echoes"})
MESSAGING, MANAGEMENT = "whatsapp_business_messaging", "whatsapp_business_management"  # permissions of the token
NUMBER_FIELDS = "display_phone_number,verified_name,quality_rating,status,webhook_configuration"
PAGES = 20  # of a hundred templates, more than an account may have without asking Meta for more
NO_ACCOUNT = "The token does not tell which WhatsApp Business account the number belongs to."


class Config(Protocol):
    """What of the adapter's config is needed here."""

    @property
    def phone_number_id(self) -> str: ...
    @property
    def access_token(self) -> str: ...
    @property
    def verify_token(self) -> str: ...
    @property
    def business_account_id(self) -> str | None: ...
    @property
    def siblings(self) -> tuple[tuple[str, str], ...]: ...


class Hooks(Wire, frozen=True):
    """Where this number's events go: the first of these that is set."""

    phone_number: str = ""
    whatsapp_business_account: str = ""
    application: str = ""


class Number(Wire, frozen=True):
    id: str = ""
    display_phone_number: str = ""
    verified_name: str = ""
    quality_rating: str = ""
    status: str = ""
    webhook_configuration: Hooks | None = None


class App(Wire, frozen=True):
    id: str = ""


class Subscribed(Wire, frozen=True):
    whatsapp_business_api_data: App | None = None


class Made(Wire, frozen=True):
    name: str = ""
    language: str = ""
    status: str = ""


async def number(graph: Graph, phone_number_id: str) -> Number:
    answer = await graph.call("GET", phone_number_id, query={"fields": NUMBER_FIELDS}, repeatable=True)
    return shaped(answer, Number) or Number()


async def account(graph: Graph, config: Config, token: Token | None = None) -> str:
    """The id of the business account the number belongs to. Raises `Misconfigured` when nothing tells it."""
    if config.business_account_id:
        return config.business_account_id
    token = token or await inspected(graph, config.access_token)
    targets = token.targets(MANAGEMENT, MESSAGING)
    if len(targets) == 1:
        return targets[0]
    for target in targets:
        query = {"fields": "id", "limit": "100"}
        try:
            answer = await graph.call("GET", f"{target}/phone_numbers", query=query, repeatable=True)
        except Refused as error:
            if error.provider_code == UNKNOWN:  # no business account, or one that is closed
                continue
            raise
        if any(found.id == config.phone_number_id for found in rows(answer, Number)):
            return target
    raise Misconfigured(NO_ACCOUNT)


async def templates(graph: Graph, account_id: str) -> tuple[tuple[str, str, str], ...]:
    """Name, language and status of each, in Meta's spelling."""
    found: list[Made] = []
    query = {"fields": "name,language,status", "limit": "100"}
    for _ in range(PAGES):
        answer = await graph.call("GET", f"{account_id}/message_templates", query=query, repeatable=True)
        found.extend(rows(answer, Made))
        match answer.get("paging"):
            case {"next": str(), "cursors": {"after": str(after)}}:
                query["after"] = after
            case _:
                break
    return tuple((it.name, it.language, it.status) for it in found if it.name)


async def register(graph: Graph, config: Config, url: str) -> None:
    """Have this number's events brought to `url`. Only what is not so yet is changed. Raises `Retry` or `Refused`.

    Leading a number elsewhere works for accounts only whose app is told of them, so that comes first.
    """
    token = await inspected(graph, config.access_token)
    app = await subscription(graph, token.app_id, OBJECT)
    if app is None:
        await subscribe(graph, token.app_id, OBJECT, url, config.verify_token, FIELDS)
    elif app.callback_url == url and not (app.active and app.names >= FIELDS):
        await subscribe(graph, token.app_id, OBJECT, url, config.verify_token, FIELDS | app.names)
    owner = await account(graph, config, token)
    if not await told(graph, owner, token.app_id):
        await graph.call("POST", f"{owner}/subscribed_apps", repeatable=True)
    if target(await number(graph, config.phone_number_id), app.callback_url if app else url) != url:
        led = {"webhook_configuration": {"override_callback_uri": url, "verify_token": config.verify_token}}
        await graph.call("POST", config.phone_number_id, json=led, repeatable=True)


def target(number: Number, app_url: str) -> str:
    """Where Meta brings the number's events."""
    hooks = number.webhook_configuration or Hooks()
    return hooks.phone_number or hooks.whatsapp_business_account or hooks.application or app_url


async def told(graph: Graph, account_id: str, app: str) -> bool:
    """Whether the app is told of what happens in the business account at all."""
    answer = await graph.call("GET", f"{account_id}/subscribed_apps", repeatable=True)
    known = (row.whatsapp_business_api_data for row in rows(answer, Subscribed))
    return any(found.id == app for found in known if found)


def rows(answer: dict[str, object], shape: type[T]) -> list[T]:
    listed = answer.get("data")
    return [found for row in (listed if isinstance(listed, list) else ()) if (found := shaped(row, shape))]


# --- what `santral check` says


async def check(graph: Graph, config: Config, url: str, channel: str, now: datetime) -> tuple[Finding, ...]:
    """Every part is looked at, whatever became of the others; `channel` is the shop's word for it."""
    try:
        token = await inspected(graph, config.access_token)
    except SendFailed as error:
        token, failure = None, error

    async def the_token() -> Sequence[Finding]:
        if token is None:
            raise failure
        return judged(token, (MESSAGING, MANAGEMENT), channel, now)

    async def the_number() -> Sequence[Finding]:
        return (able(await number(graph, config.phone_number_id)),)

    async def the_webhook() -> Sequence[Finding]:
        app = await subscription(graph, token.app_id, OBJECT) if token else None
        where = target(await number(graph, config.phone_number_id), app.callback_url if app else "")
        found = [delivered(where, url, (name for _, name in config.siblings))]
        if app and (missing := FIELDS - app.names):
            fix = "Start `santral serve` once, or tick these fields in Meta's console under WhatsApp, Configuration."
            found.append(Finding(ok=False, what=f"Meta is not asked for: {', '.join(sorted(missing))}.", fix=fix))
        return found

    async def the_account() -> Sequence[Finding]:
        owner = await account(graph, config, token)
        if token is None or await told(graph, owner, token.app_id):
            return (Finding(ok=True, what="The app is told what happens in the WhatsApp Business account."),)
        what = "The app is not told what happens in the WhatsApp Business account."
        return (Finding(ok=False, what=what, fix="Start `santral serve` once: it subscribes the app."),)

    async def the_templates() -> Sequence[Finding]:
        return (counted(await templates(graph, await account(graph, config, token))),)

    parts: tuple[tuple[str, Callable[[], Awaitable[Sequence[Finding]]]], ...] = (
        ("phone_number_id", the_token),
        ("phone_number_id", the_number),
        ("phone_number_id", the_webhook),
        ("business_account_id", the_account),
        ("business_account_id", the_templates),
    )
    found = [finding for keys, part in parts for finding in await looked(part(), channel, keys)]
    return tuple(dict.fromkeys(found))  # a token that is refused is refused everywhere


def able(number: Number) -> Finding:
    """Whether the number can send. CONNECTED is what it should be; a red quality comes before a lower limit."""
    who = f"{name(number.display_phone_number) or 'The number'} ({name(number.verified_name) or 'no name yet'})"
    if number.status and number.status != "CONNECTED":
        fix = "Open WhatsApp Manager, Phone numbers: it says what the number still needs."
        return Finding(ok=False, what=f"{who} cannot send yet: its status is {name(number.status)}.", fix=fix)
    if number.quality_rating == "RED":
        fix = "Customers block or report the number: send fewer templates, and only to people who expect them."
        return Finding(ok=False, what=f"{who} is rated low by customers.", fix=fix)
    return Finding(ok=True, what=f"{who} can send and receive.")


def counted(templates: Sequence[tuple[str, str, str]]) -> Finding:
    if not templates:
        return Finding(ok=True, what="No template is made: 24 hours after their last message nobody can be written to.")
    others = [it for it in templates if it[2] != "APPROVED"]
    what = f"{len(templates) - len(others)} of {len(templates)} templates are approved"
    named = (f"{name(called)} ({name(language)}): {name(status)}" for called, language, status in others[:5])
    return Finding(ok=True, what="; ".join((what, *named)) + ".")
