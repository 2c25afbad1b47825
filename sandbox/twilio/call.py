"""One API call as it came: who asks, and what with.

Rule: reading changes nothing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from aiohttp import web
from multidict import MultiDict, MultiMapping

from sandbox.journal import Json
from sandbox.twilio.errors import ApiError
from sandbox.twilio.ledger import Ledger
from sandbox.twilio.values import Account, Message
from sandbox.twilio.world import World


@dataclass(slots=True, kw_only=True)
class Call:
    """One call. `base` is host and prefix as the caller used them, `path` is without both."""

    world: World
    account: Account  # whose credentials opened the door
    main: bool  # they may do everything
    method: str
    base: str
    path: str
    match: Mapping[str, str]
    query: MultiMapping[str]
    form: MultiMapping[str]
    json: Json | None
    message: Message | None = None  # what the call created, still to be carried

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger

    def owner(self) -> Account:
        """The account the path names. Raises 20404 for what is not one's own or a subaccount of it."""
        account = self.ledger.accounts.get(self.match["account"])
        if account is None or self.account.sid not in (account.sid, account.parent):
            raise self.absent()
        if account.status == "closed":
            raise ApiError(20005)
        return account

    def absent(self) -> ApiError:
        return ApiError(20404, self.path)

    def body(self) -> Json:
        """The JSON body. Raises 20001 when there is none: a form is not taken for it."""
        if self.json is None:
            raise ApiError(20001, "the body must be JSON")
        return self.json


def opened(ledger: Ledger, header: str) -> tuple[Account, bool]:
    """Find the account HTTP Basic credentials open, and whether they may do everything. Raises ApiError 20003."""
    scheme, _, coded = header.partition(" ")
    try:
        name, colon, secret = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ApiError(20003) from error
    if scheme.lower() != "basic" or not colon:
        raise ApiError(20003)
    for account in ledger.accounts.values():
        if account.sid == name:
            tokens = [token for token in (account.auth_token, account.secondary_token) if token]
            if any(hmac.compare_digest(token.encode(), secret.encode()) for token in tokens):
                return account, True
        elif (key := account.keys.get(name)) and hmac.compare_digest(key.secret.encode(), secret.encode()):
            return account, key.main
    raise ApiError(20003)


async def read(request: web.Request) -> tuple[MultiMapping[str], Json | None]:
    """Read a form or a JSON object. Raises ApiError 20001 for what is neither."""
    raw = await request.read()
    if request.content_type == "application/json":
        try:
            given = orjson.loads(raw) if raw else {}
        except orjson.JSONDecodeError as error:
            raise ApiError(20001, "the body is not JSON") from error
        if not isinstance(given, dict):
            raise ApiError(20001, "the body must be an object")
        return MultiDict(), given
    form: MultiDict[str] = MultiDict()
    if request.content_type == "application/x-www-form-urlencoded":
        for name, value in (await request.post()).items():
            if isinstance(value, str):
                form.add(name, value)
    return form, None
