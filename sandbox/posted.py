"""What a request to an emulator's API brings: its parameters and files, from wherever a client may put them.

Rule: what cannot be read raises; how that is said is the provider's own way.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import orjson
from aiohttp import web

Kept = TypeVar("Kept", covariant=True)
Upload = TypeVar("Upload")


class Keep(Protocol[Kept]):
    """How an emulator keeps a file it was sent."""

    def __call__(self, *, name: str, media_type: str, data: bytes) -> Kept: ...


async def posted(request: web.Request, limit: int, keep: Keep[Upload]) -> tuple[dict[str, Any], dict[str, Upload]]:
    """Read parameters from the query and the body: urlencoded, multipart with files, or JSON.

    `limit` is of the body, in bytes, and holds whatever the outer `client_max_size` is. Raises `ValueError`
    for what is no JSON object, and aiohttp's `HTTPRequestEntityTooLarge`.
    """
    request = request.clone(client_max_size=limit)
    values: dict[str, Any] = dict(request.query)
    uploads: dict[str, Upload] = {}
    if request.content_type == "application/json":
        body = await request.read()
        given = orjson.loads(body) if body else {}
        if not isinstance(given, dict):
            raise ValueError("not an object")
        return values | given, uploads
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            with value.file:
                uploads[name] = keep(name=value.filename, media_type=value.content_type, data=value.file.read())
        else:
            values[name] = value.decode() if isinstance(value, bytes | bytearray) else value
    return values, uploads
