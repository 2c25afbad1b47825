"""One call to Graph: what was asked, of what, with which token, and what is to happen once it is answered.

Rule: parameters come from the query, a form or JSON alike; an object in a form is JSON in words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.meta.values import File, Json, Kind, Line, Token, invalid, not_there

if TYPE_CHECKING:
    from sandbox.meta.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    name: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Call:
    """`path` is without version and host; `host` is graph.facebook.com or graph.instagram.com, "" when not named."""

    world: World
    verb: str
    path: tuple[str, ...]
    values: Json
    uploads: dict[str, Upload]
    bearer: str = field(default="", repr=False)
    token: Token | None = None  # None for the app's own token
    host: str = ""
    version: str = ""
    after: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def text(self, name: str) -> str:
        """A parameter as text, "" when it is absent. Raises `ApiError` for an object."""
        value = self.values.get(name, "")
        if isinstance(value, dict | list):
            raise invalid(f"Param {name} must be a string")
        return "" if value is None else str(value)

    def object(self, name: str) -> Json:
        """A parameter as an object, {} when it is absent. Raises `ApiError` when it is something else."""
        value: Any = self.values.get(name)
        if isinstance(value, str) and value:
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                value = 0
        if value in (None, ""):
            return {}
        if not isinstance(value, dict):
            raise invalid(f"Param {name} must be a JSON object.")
        return value

    def reaches(self, id: str) -> bool:
        return self.token is not None and id in self.token.reach

    def line(self, id: str) -> Line:
        """A line this call may touch. Raises `ApiError`."""
        line = self.world.accounts.lines.get(id)
        if line is None or not self.reaches(id):
            raise not_there(self.verb, id)
        return line

    def media(self, id: str) -> File:
        """A media id of a WhatsApp number this call may touch. Raises `ApiError`."""
        file = self.world.shelf.find(id)
        if file is None or not self.reaches(file.line) or self.world.accounts.lines[file.line].kind != Kind.WHATSAPP:
            raise not_there(self.verb, id)
        return file
