"""The app's own business: tokens looked at and refreshed, webhooks subscribed with a handshake, lines subscribed.

Rule: two subscriptions are needed, the app's to a kind of object and the account's to the app; without either, silence.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

import aiohttp
import orjson
from yarl import URL

from sandbox.meta.accounts import FIELDS, PAGE_FIELDS, TOKEN_LIFE, Subscription
from sandbox.meta.call import Call
from sandbox.meta.values import DAY, ApiError, Json, Kind, Token, invalid, not_there

FIRST_REFRESH = DAY  # an Instagram token is refreshed when it is that old

DEAD = {
    458: "Error validating access token: The user has not authorized application {app}.",
    460: "Error validating access token: The session has been invalidated because the user changed their password or "
    "Facebook has changed the session for security reasons.",
    463: "Error validating access token: Session has expired.",
    467: "Error validating access token: The session is invalid because the user logged out.",
    492: "Error validating access token: The user is no longer an admin of the Page.",
}


def subcode_of(token: Token, now: float) -> int:
    """Why a token is refused, 0 when it is not."""
    return token.subcode or (463 if token.expires_at and token.expires_at <= now else 0)


def dead(app: str, subcode: int) -> ApiError:
    words = DEAD.get(subcode, "Error validating access token").format(app=app)
    return ApiError(190, words, subcode=subcode, status=401)


async def debug_token(call: Call, _: str) -> Json:
    """GET /debug_token: what a token is good for."""
    accounts, now = call.world.accounts, call.world.now()
    token = accounts.tokens.get(call.text("input_token"))
    if token is None:
        error = {"code": 190, "message": "Invalid OAuth access token - Cannot parse access token"}
        return {"data": {"error": error, "is_valid": False, "scopes": []}}
    subcode = subcode_of(token, now)
    data: Json = {
        "app_id": accounts.app_id,
        "type": {"SYSTEM_USER": "SYSTEM_USER", "PAGE": "PAGE"}.get(token.kind, "USER"),
        "application": "Shop",
        "expires_at": int(token.expires_at),
        "is_valid": not subcode,
        "issued_at": int(token.issued_at),
        "scopes": list(token.scopes),
        "granular_scopes": [{"scope": scope, "target_ids": sorted(token.reach)} for scope in token.scopes],
    }
    if token.kind == "PAGE":
        data["profile_id"] = token.owner
    if subcode:
        words = dead(accounts.app_id, subcode).message
        data["error"] = {"code": 190, "message": words, "subcode": subcode}
    return {"data": data}


async def refresh(call: Call, _: str) -> Json:
    """GET /refresh_access_token: another 60 days for an Instagram user's token that is at least a day old."""
    token, now = call.token, call.world.now()
    if call.text("grant_type") != "ig_refresh_token":
        raise invalid("Param grant_type must be ig_refresh_token")
    if token is None or token.kind != "INSTAGRAM":
        raise ApiError(190, "Invalid OAuth access token - Cannot parse access token", status=401)
    if now - token.issued_at < FIRST_REFRESH:
        raise invalid("A token must be at least 24 hours old to be refreshed")
    value = f"IGAA{call.world.rng.getrandbits(160):040x}"
    fresh = Token(
        value=value,
        kind=token.kind,
        owner=token.owner,
        issued_at=now,
        reach=set(token.reach),
        scopes=token.scopes,
        expires_at=now + TOKEN_LIFE,
    )
    call.world.accounts.tokens[value] = fresh
    call.world.accounts.lines[token.owner].token = value
    return {"access_token": value, "token_type": "bearer", "expires_in": int(TOKEN_LIFE)}


# webhooks of the app


def _app_only(call: Call, id: str) -> None:
    if id != call.world.accounts.app_id:
        raise not_there(call.verb, id)
    if call.token is not None:
        raise ApiError(15, "(#15) This method must be called with an app access_token.")


async def subscriptions(call: Call, id: str) -> Json:
    """GET /{app}/subscriptions."""
    _app_only(call, id)
    rows = [
        {
            "object": one.object,
            "callback_url": one.callback_url,
            "active": True,
            "fields": [{"name": field, "version": "v25.0"} for field in one.fields],
        }
        for one in call.world.accounts.subscriptions.values()
    ]
    return {"data": rows}


async def subscribe(call: Call, id: str) -> Json:
    """POST /{app}/subscriptions: ask the shop whether it wants it, then tell it."""
    _app_only(call, id)
    object, url, token = call.text("object"), call.text("callback_url"), call.text("verify_token")
    if object not in FIELDS:
        raise invalid(f"Param object must be one of {{{', '.join(FIELDS)}}}")
    fields = _names(call, "fields")
    if unknown := set(fields) - {*FIELDS[object], "message_edits", "history", "smb_app_state_sync"}:
        raise invalid(f"Param fields must be valid subscription fields of {object}: {', '.join(sorted(unknown))}")
    _web_address(url, "callback_url")
    await handshake(call, url, token)
    call.world.accounts.subscriptions[object] = Subscription(
        object=object, callback_url=url, verify_token=token, fields=fields or FIELDS[object]
    )
    return {"success": True}


async def handshake(call: Call, url: str, verify_token: str) -> None:
    """Call the shop as Meta does before it trusts an address. Raises `ApiError` 2200."""
    challenge = str(call.world.rng.randrange(10**8, 10**10))
    asked = URL(url).update_query(
        {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
    )
    failed = "(#2200) Callback verification failed with the following errors: "
    try:
        timeout = aiohttp.ClientTimeout(total=call.world.settings.webhook_timeout)
        async with call.world.session().get(asked, timeout=timeout, allow_redirects=False) as response:
            status, answer = response.status, await response.text()
    except (TimeoutError, aiohttp.ClientError) as lost:
        raise ApiError(2200, f"{failed}{type(lost).__name__}") from lost
    if status != 200:
        raise ApiError(2200, f"{failed}HTTP Status Code = {status}")
    if not hmac.compare_digest(answer.encode(), challenge.encode()):
        raise ApiError(2200, f"{failed}HTTP Body does not match the challenge")


async def unsubscribe(call: Call, id: str) -> Json:
    """DELETE /{app}/subscriptions: one object's, or all."""
    _app_only(call, id)
    object = call.text("object")
    for one in [object] if object else list(call.world.accounts.subscriptions):
        call.world.accounts.subscriptions.pop(one, None)
    return {"success": True}


def _names(call: Call, name: str) -> tuple[str, ...]:
    """A list given as `a,b` or as JSON."""
    value = call.values.get(name) or ()
    if isinstance(value, str) and value.startswith("["):
        value = orjson.loads(value)
    found = value.split(",") if isinstance(value, str) else list(value)
    return tuple(str(one).strip() for one in found if str(one).strip())


# the app on an account


def _account(call: Call, id: str) -> Kind:
    if not call.reaches(id):
        raise not_there(call.verb, id)
    line = call.world.accounts.lines.get(id)
    if line is None:
        return Kind.WHATSAPP
    if line.kind is Kind.INSTAGRAM and line.login == "facebook":
        raise not_there(call.verb, id)  # its Page is subscribed instead
    return line.kind


async def subscribed_apps(call: Call, id: str) -> Json:
    """GET /{page|waba|ig}/subscribed_apps."""
    kind = _account(call, id)
    fields = call.world.accounts.subscribed.get(id)
    if fields is None:
        return {"data": []}
    app = {"link": "https://shop.example/", "name": "Shop", "id": call.world.accounts.app_id}
    if kind is Kind.WHATSAPP:
        elsewhere = call.world.accounts.callbacks.get(id)
        hook = {"override_callback_uri": elsewhere} if elsewhere else {}
        return {"data": [{"whatsapp_business_api_data": app, **hook}]}
    return {"data": [app | {"subscribed_fields": list(fields)}]}


async def subscribe_account(call: Call, id: str) -> Json:
    """POST /{page|waba|ig}/subscribed_apps; a WABA takes no fields but an address, the others need fields."""
    kind = _account(call, id)
    fields = _names(call, "subscribed_fields")
    if kind is Kind.WHATSAPP:
        elsewhere = await _elsewhere(call, call.values)
        call.world.accounts.callbacks.pop(id, None)  # a call without an address goes back to the app's
        call.world.accounts.callbacks |= {id: elsewhere} if elsewhere else {}
    else:
        known = {*PAGE_FIELDS} if kind is Kind.MESSENGER else {*FIELDS["instagram"], "message_edits"}
        if not fields:
            raise invalid("The parameter subscribed_fields is required.")
        if set(fields) - known:
            raise invalid(f"Param subscribed_fields must be one of {{{', '.join(sorted(known))}}}")
    call.world.accounts.subscribed[id] = fields if kind is not Kind.WHATSAPP else ()
    return {"success": True}


async def unsubscribe_account(call: Call, id: str) -> Json:
    """DELETE /{page|waba|ig}/subscribed_apps."""
    _account(call, id)
    call.world.accounts.subscribed.pop(id, None)
    call.world.accounts.callbacks.pop(id, None)
    return {"success": True}


async def configure_number(call: Call, id: str) -> Json:
    """POST /{phone_number_id}: bring this number's events elsewhere, or, with an empty address, back to the usual."""
    line, given = call.line(id), call.object("webhook_configuration")
    if "override_callback_uri" not in given:
        raise invalid("The parameter webhook_configuration is required.")
    if line.waba not in call.world.accounts.subscribed:
        raise ApiError(100, "(#100) The app has to be subscribed to the WhatsApp Business Account first")
    line.callback = await _elsewhere(call, given)
    return {"success": True}


async def _elsewhere(call: Call, given: Json) -> str:
    """The address of an override, once it has proved itself; "" where none is given."""
    url = str(given.get("override_callback_uri") or "")
    if url:
        _web_address(url, "override_callback_uri")
        await handshake(call, url, str(given.get("verify_token") or ""))
    return url


def _web_address(url: str, name: str) -> None:
    parts = urlsplit(url)
    here = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme != "https" and not here:
        raise invalid(f"Param {name} must be an https address")
