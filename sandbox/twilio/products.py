"""The newer products: messaging services, WhatsApp senders, typing, content, and the Debugger's alerts.

Pages: www.twilio.com/docs/messaging/api/service-resource, /docs/whatsapp/api/senders,
/docs/whatsapp/api/typing-indicators-resource, /docs/content/content-api-resources, /docs/usage/monitor-alert.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import web

from sandbox.journal import Json
from sandbox.twilio import content, resources
from sandbox.twilio.call import Call
from sandbox.twilio.errors import ApiError
from sandbox.twilio.messages import answer, check_url
from sandbox.twilio.values import TYPING_LIFE, Line, Service, Template

APPROVAL_NAME = re.compile(r"[a-z0-9_]{1,512}")
CATEGORIES = ("UTILITY", "MARKETING", "AUTHENTICATION")


# messaging services


async def services(call: Call) -> web.Response:
    own = [one for one in call.ledger.services.values() if one.account == call.account.sid]
    shown = [resources.service(one, call.base) for one in own]
    return answer(200, resources.new_list("services", shown, call.query, call.base + call.path))


def _service(call: Call) -> Service:
    service = call.ledger.services.get(call.match["service"])
    if service is None or service.account != call.account.sid:
        raise call.absent()
    return service


async def service(call: Call) -> web.Response:
    return answer(200, resources.service(_service(call), call.base))


async def service_update(call: Call) -> web.Response:
    found, given = _service(call), {name: call.form[name] for name in call.form}
    for name in ("InboundRequestUrl", "FallbackUrl", "StatusCallback"):
        check_url(given.get(name, ""))
    found.name = given.get("FriendlyName", found.name)
    found.inbound_url = given.get("InboundRequestUrl", found.inbound_url)
    found.inbound_method = given.get("InboundMethod", found.inbound_method).upper()
    found.fallback_url = given.get("FallbackUrl", found.fallback_url)
    found.fallback_method = given.get("FallbackMethod", found.fallback_method).upper()
    found.status_url = given.get("StatusCallback", found.status_url)
    found.on_number = given.get("UseInboundWebhookOnNumber", str(found.on_number)).lower() == "true"
    call.ledger.tell("service", {"service": found.sid})
    return answer(200, resources.service(found, call.base))


async def service_numbers(call: Call) -> web.Response:
    pool = [line for line in call.ledger.pool(_service(call).sid) if line.kind == "sms"]
    shown = [resources.pooled(line, call.base) for line in pool]
    return answer(200, resources.new_list("phone_numbers", shown, call.query, call.base + call.path))


# WhatsApp senders


async def senders(call: Call) -> web.Response:
    """List the senders of one channel, which must be named."""
    if call.query.get("Channel", "").lower() != "whatsapp":
        raise ApiError(20001, "Channel must be whatsapp")
    own = [line for line in call.ledger.lines.values() if line.kind == "whatsapp" and line.account == call.account.sid]
    shown = [resources.sender(line, call.base) for line in own]
    return answer(200, resources.new_list("senders", shown, call.query, call.base + call.path))


def _sender(call: Call) -> Line:
    for line in call.ledger.lines.values():
        if line.sid == call.match["sender"] and line.account == call.account.sid and line.kind == "whatsapp":
            return line
    raise call.absent()


async def sender(call: Call) -> web.Response:
    return answer(200, resources.sender(_sender(call), call.base))


async def sender_update(call: Call) -> web.Response:
    """Change the webhooks of a sender. 202: the true service takes its time."""
    line, body = _sender(call), call.body()
    webhook = body.get("webhook") or {}
    if not isinstance(webhook, dict):
        raise ApiError(20001, "webhook must be an object")
    for name in ("callback_url", "fallback_url", "status_callback_url"):
        check_url(str(webhook.get(name) or ""))
    line.url = _given(webhook, "callback_url", line.url)
    line.method = _given(webhook, "callback_method", line.method).upper()
    line.fallback_url = _given(webhook, "fallback_url", line.fallback_url)
    line.fallback_method = _given(webhook, "fallback_method", line.fallback_method).upper()
    line.status_url = _given(webhook, "status_callback_url", line.status_url)
    line.status_method = _given(webhook, "status_callback_method", line.status_method).upper()
    call.ledger.tell("line", {"line": line.address})
    return answer(202, resources.sender(line, call.base))


def _given(webhook: Mapping[str, object], name: str, before: str) -> str:
    return str(webhook[name] or "") if name in webhook else before


# typing


async def typing(call: Call) -> web.Response:
    """Show "typing", which also marks the message read. Version 2 takes a form, version 3 JSON only."""
    if call.match["version"] == "v3":
        body = call.body()
        channel, sid = str(body.get("channel", "")), str(body.get("messageId", ""))
    else:
        channel, sid = call.form.get("channel", ""), call.form.get("messageId", "")
    if channel.lower() != "whatsapp":
        raise ApiError(20001, "channel must be whatsapp")
    message = call.ledger.messages.get(sid)
    if message is None or message.account != call.account.sid or message.direction != "inbound" or not message.whatsapp:
        raise ApiError(20404, f"messageId {sid}")
    call.ledger.typing[message.line, message.person] = call.ledger.now() + TYPING_LIFE
    call.ledger.tell("typing", {"chat": message.chat, "message": sid})
    return answer(200, {"success": True})


# content


async def templates(call: Call) -> web.Response:
    own = [one for one in call.ledger.templates.values() if one.account == call.account.sid]
    shown = [content.shown(one, call.base) for one in own]
    return answer(200, resources.new_list("contents", shown, call.query, call.base + call.path))


async def templates_and_approvals(call: Call) -> web.Response:
    """List content with what WhatsApp says of it, which stands there without the app's name around it."""
    own = [one for one in call.ledger.templates.values() if one.account == call.account.sid]
    shown = [
        content.shown(one, call.base) | {"approval_requests": content.approval(one, call.base)["whatsapp"]}
        for one in own
    ]
    return answer(200, resources.new_list("contents", shown, call.query, call.base + call.path))


async def template_create(call: Call) -> web.Response:
    body = call.body()
    language, samples = str(body.get("language") or ""), body.get("variables") or {}
    if not language or not isinstance(samples, dict):
        raise ApiError(20001, "language is required, and variables must be an object")
    made = Template(
        sid=call.ledger.sid("HX"),
        account=call.account.sid,
        name=str(body.get("friendly_name") or ""),
        language=language,
        types=content.check(body.get("types")),
        variables={str(name): str(value) for name, value in samples.items()},
        created=call.ledger.now(),
    )
    call.ledger.templates[made.sid] = made
    return answer(201, content.shown(made, call.base))


def _template(call: Call) -> Template:
    template = call.ledger.templates.get(call.match["content"])
    if template is None or template.account != call.account.sid:
        raise call.absent()
    return template


async def template(call: Call) -> web.Response:
    return answer(200, content.shown(_template(call), call.base))


async def template_delete(call: Call) -> web.Response:
    call.ledger.templates.pop(_template(call).sid)
    return web.Response(status=204)


async def approval(call: Call) -> web.Response:
    return answer(200, content.approval(_template(call), call.base))


async def approval_create(call: Call) -> web.Response:
    """Hand a template in. WhatsApp's people answer later: `World.judge`."""
    found, body = _template(call), call.body()
    name, category = str(body.get("name") or ""), str(body.get("category") or "").upper()
    if not APPROVAL_NAME.fullmatch(name) or category not in CATEGORIES:
        raise ApiError(20001, "name takes a-z, 0-9 and _; category is UTILITY, MARKETING or AUTHENTICATION")
    found.name, found.category, found.status = name, category, "received"
    approved: Json = content.approval(found, call.base)["whatsapp"]
    return answer(201, approved)


# what went wrong


async def alerts(call: Call) -> web.Response:
    """List the Debugger, the newest first."""
    shown = [resources.alert(one, call.account.sid) for one in reversed(call.ledger.alerts)]
    return answer(200, resources.new_list("alerts", shown, call.query, call.base + call.path))
