"""One call of the API: who makes it, with what, and how it is answered."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from sandbox.journal import Json
from sandbox.x.values import ApiError, Token, invalid, problem
from sandbox.x.world import World

MAX_BODY = 64 << 20  # a sandbox keeps files in memory


@dataclass(slots=True, kw_only=True)
class Upload:
    filename: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Call:
    """`path` are the parameters in the path. `delivery` ends when the events it caused have been attempted."""

    world: World
    token: Token
    path: dict[str, str]
    query: dict[str, str]
    body: Json
    upload: Upload | None = None
    delivery: asyncio.Task[None] | None = None

    def words(self, name: str, known: Collection[str]) -> frozenset[str]:
        """Read a parameter that lists words with commas. Raises 400 for a word X does not know."""
        given = [word.strip() for word in self.query.get(name, "").split(",") if word.strip()]
        for word in given:
            if word not in known:
                listed = ",".join(sorted(known))
                raise invalid(f"The `{name}` query parameter value [{word}] is not one of [{listed}]", **{name: word})
        return frozenset(given)

    def fields(self, allowed: Collection[str], required: Collection[str] = ()) -> Json:
        """Take the body as it must be. Raises 400 for a field too many or missing."""
        for name in self.body:
            if name not in allowed:
                raise invalid(
                    f"$.{name}: is not defined in the schema and the schema does not allow additional properties"
                )
        for name in required:
            if name not in self.body:
                raise invalid(f"$.{name}: is missing but it is required")
        return self.body

    def pay(self, price: float, *things: str) -> None:
        """Raises 402 when the account has not enough credits."""
        if not self.world.charge(price, *things):
            raise problem(
                402,
                "CreditsDepleted",
                f"Your enrolled account [{self.world.app.id}] does not have any credits to fulfill this request.",
                "credits",
                account_id=int(self.world.app.id),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`raw` goes out as it is, with its media type; otherwise `body` as JSON."""

    status: int = 200
    body: Json = field(default_factory=dict)
    raw: bytes | None = field(default=None, repr=False)
    media_type: str = "application/json"

    def response(self, headers: dict[str, str]) -> web.Response:
        raw = orjson.dumps(self.body) if self.raw is None else self.raw
        return web.Response(status=self.status, body=raw, content_type=self.media_type, headers=headers)


async def read_body(request: web.Request) -> tuple[Json, Upload | None]:
    """Read JSON, a form, or multipart with its `media` file. Raises 400, and 413 for what is too large."""
    try:
        if request.content_type.startswith(("multipart/", "application/x-www-form-urlencoded")):
            return await _form(request)
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise ApiError(413, {"title": "Payload Too Large", "type": "about:blank", "status": 413}) from error
    except ValueError as error:
        raise invalid("Request body could not be read") from error
    try:
        body = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as error:
        raise invalid("Requests with bodies must have valid JSON") from error
    if not isinstance(body, dict):
        raise invalid("$: must be an object")
    return body, None


async def _form(request: web.Request) -> tuple[Json, Upload | None]:
    body: dict[str, Any] = {}
    upload: Upload | None = None
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            with value.file:
                data = value.file.read()
            upload = Upload(filename=value.filename, media_type=value.content_type, data=data)
        elif name == "media":
            data = value.encode() if isinstance(value, str) else bytes(value)
            upload = Upload(filename="", media_type="", data=data)
        else:
            body[name] = value.decode() if isinstance(value, bytes | bytearray) else value
    return body, upload


def unpacked(text: Any) -> bytes:
    """Read the base64 of a JSON upload. Raises 400."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise invalid("$.media: must be base64") from error
