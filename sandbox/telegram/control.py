"""The control side over HTTP: play the customers, bend the rules, and look at what happened.

Rule: every route is one action of `World`. What is wrong is said as `{"error": …}` with 400 or 404.
"""

from __future__ import annotations

from aiohttp import web

from sandbox.control import Deed, deed_routes, look_routes, trouble_routes
from sandbox.journal import Json
from sandbox.telegram.values import ApiError, File
from sandbox.telegram.world import World

MAX_BODY = 160 << 20  # an album of pictures in base64


def control_routes(world: World) -> list[web.RouteDef]:
    """List the control routes of one world."""
    side = _Control(world)
    deeds: dict[str, Deed] = {
        "bots": side.bots,
        "users": side.users,
        "say": lambda body: world.say(**body),
        "edit": lambda body: world.edit(**body),
        "delete": lambda body: world.delete(**body),
        "press": lambda body: world.press(**body),
        "react": lambda body: world.react(**body),
        "block": lambda body: world.block(**body),
        "unblock": lambda body: world.unblock(**body),
        "deactivate": lambda body: world.deactivate(**body),
        "raw": lambda body: world.raw(**body),
        "repeat": lambda body: world.repeat(**body),
        "hold": lambda body: world.hold(**body),
        "release": lambda body: world.release(**body),
        "settings": world.settle,
        "reset": lambda body: world.reset(**body),
    }
    return [
        *deed_routes(deeds, limit=MAX_BODY, refusals=(ApiError,)),
        *trouble_routes(world.troubles),
        *look_routes(world.state, world.journal, "message", side.file),
    ]


class _Control:
    def __init__(self, world: World) -> None:
        self._world = world

    async def bots(self, body: Json) -> Json:
        return self._world.add_bot(**body).plain()

    async def users(self, body: Json) -> Json:
        user = self._world.add_user(**body)
        return {**user.plain(), "phone": user.phone, "avatar": user.avatar}

    def file(self, id: str) -> File | None:
        return self._world.file_by_unique_id(id) or self._world.files.get(id)
