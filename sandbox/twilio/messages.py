"""The 2010 API: accounts, messages, their media, and numbers.

Pages: www.twilio.com/docs/messaging/api/message-resource and …/media-resource.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from aiohttp import web

from sandbox.journal import Json
from sandbox.twilio import resources
from sandbox.twilio.call import Call
from sandbox.twilio.errors import ApiError
from sandbox.twilio.values import Line, Media, Message

DONE = frozenset({"delivered", "read", "undelivered", "failed", "received", "sent", "canceled"})


async def account(call: Call) -> web.Response:
    """Fetch an account. A standard API key may not."""
    owner = call.owner()
    if not call.main:
        raise ApiError(20003)
    return answer(200, resources.account(owner))


async def create(call: Call) -> web.Response:
    owner = call.owner()
    if owner.status != "active":
        raise ApiError(20005)
    message = call.world.carrier.accept(owner, call.form)
    call.message = message
    return answer(201, resources.message(message))


async def listed(call: Call) -> web.Response:
    """List messages, the newest first."""
    owner = call.owner()
    found = [one for one in call.ledger.messages.values() if one.account == owner.sid and _meant(call, one)]
    found.sort(key=lambda one: one.created, reverse=True)
    return answer(200, resources.old_list("messages", found, call.query, call.path, resources.message))


def _meant(call: Call, message: Message) -> bool:
    for name, value in (("To", message.to), ("From", message.from_)):
        if call.query.get(name, value) != value:
            return False
    at = message.sent or message.created
    if "DateSent" in call.query and not _within(at, call.query["DateSent"]):
        return False
    # `DateSent>=x` is the name `DateSent>` with the value x.
    if "DateSent>" in call.query and at < _moment(call.query["DateSent>"], end=False):
        return False
    return "DateSent<" not in call.query or at <= _moment(call.query["DateSent<"], end=True)


def _within(at: datetime, text: str) -> bool:
    return _moment(text, end=False) <= at <= _moment(text, end=True)


def _moment(text: str, *, end: bool) -> datetime:
    """Read a day or a moment, UTC. A day counts from its beginning or to its end, a moment to the second's end."""
    try:
        if len(text) == len("2026-01-31"):
            day = date.fromisoformat(text)
            begin, length = datetime(day.year, day.month, day.day, tzinfo=UTC), timedelta(days=1)
        else:
            given = datetime.fromisoformat(text)
            begin, length = given if given.tzinfo else given.replace(tzinfo=UTC), timedelta(seconds=1)
    except ValueError as error:
        raise ApiError(20001, f"DateSent {text}") from error
    return begin + length - timedelta(microseconds=1) if end else begin


def _message(call: Call) -> Message:
    message = call.ledger.messages.get(call.match["message"])
    if message is None or message.account != call.owner().sid:
        raise call.absent()
    return message


async def fetch(call: Call) -> web.Response:
    return answer(200, resources.message(_message(call)))


async def update(call: Call) -> web.Response:
    """Take the text out of a message: an empty Body is all that can be set."""
    message = _message(call)
    if call.form.get("Body", "-") != "":
        raise ApiError(20001, "Body can only be made empty")
    if message.status not in DONE:
        raise ApiError(20009)
    message.body = ""
    return answer(200, resources.message(message))


async def delete(call: Call) -> web.Response:
    message = _message(call)
    if message.status not in DONE:
        raise ApiError(20009)
    call.ledger.remove(message)
    return web.Response(status=204)


async def media_list(call: Call) -> web.Response:
    found = _message(call).media
    return answer(200, resources.old_list("media_list", found, call.query, call.path, resources.media))


def _media(call: Call) -> Media:
    media = call.ledger.media.get(call.match["media"].removesuffix(".json"))
    if media is None or media.message != call.match["message"] or media.account != call.owner().sid:
        raise call.absent()
    return media


async def media(call: Call) -> web.Response:
    """Show a file's facts (`.json`), or lead on to the file: another origin, which wants no credentials."""
    found = _media(call)
    if call.match["media"].endswith(".json"):
        return answer(200, resources.media(found))
    if found.absent > 0:
        found.absent -= 1
        raise call.absent()
    return web.Response(status=307, headers={"Location": call.world.link(found, call.base)})


async def media_delete(call: Call) -> web.Response:
    call.ledger.drop_media(_media(call))
    return web.Response(status=204)


async def numbers(call: Call) -> web.Response:
    owner, wanted = call.owner(), call.query.get("PhoneNumber", "")
    found = [line for line in call.ledger.lines.values() if line.kind == "sms" and line.account == owner.sid]
    # The filter is a pattern: what is not a digit or a star does not count.
    pattern = wanted.replace("*", "")
    found = [line for line in found if pattern.lstrip("+") in line.address]
    return answer(200, resources.old_list("incoming_phone_numbers", found, call.query, call.path, resources.number))


def _number(call: Call) -> Line:
    owner = call.owner()
    for line in call.ledger.lines.values():
        if line.sid == call.match["number"] and line.account == owner.sid and line.kind == "sms":
            return line
    raise call.absent()


async def number(call: Call) -> web.Response:
    return answer(200, resources.number(_number(call)))


async def number_update(call: Call) -> web.Response:
    line = _number(call)
    given = {name: call.form[name] for name in call.form}
    for name in ("SmsUrl", "SmsFallbackUrl", "StatusCallback"):
        check_url(given.get(name, ""))
    line.url = given.get("SmsUrl", line.url)
    line.method = given.get("SmsMethod", line.method).upper()
    line.fallback_url = given.get("SmsFallbackUrl", line.fallback_url)
    line.fallback_method = given.get("SmsFallbackMethod", line.fallback_method).upper()
    line.status_url = given.get("StatusCallback", line.status_url)
    line.name = given.get("FriendlyName", line.name)
    call.ledger.tell("line", {"line": line.address})
    return answer(200, resources.number(line))


def check_url(url: str) -> None:
    """Check an URL of the settings; empty takes it away. Raises ApiError 21402."""
    if url and not url.startswith(("http://", "https://")):
        raise ApiError(21402, url)


def answer(status: int, body: Json) -> web.Response:
    return web.json_response(body, status=status)
