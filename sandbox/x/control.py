"""The control side over HTTP: play the customers, bend the rules, and look at what happened.

Rule: every route is one action of `World`. What is wrong is said as `{"error": …}` with 400 or 404.
"""

from __future__ import annotations

from collections.abc import Awaitable

from aiohttp import web

from sandbox.control import Deed, deed_routes, look_routes, trouble_routes
from sandbox.journal import Json
from sandbox.x.values import ApiError
from sandbox.x.world import World


def control_routes(world: World) -> list[web.RouteDef]:
    """List the control routes of one world."""
    side = _Control(world)
    deeds: dict[str, Deed] = {
        "app": side.app,
        "lines": side.lines,
        "people": side.people,
        "grant": side.grant,
        "say": lambda body: _named(world.say(**body)),
        "press": lambda body: _named(world.press(**body)),
        "encrypt": lambda body: _named(world.encrypt(**body)),
        "elsewhere": lambda body: _named(world.elsewhere(**body)),
        "read": lambda body: _named(world.read(**body)),
        "typing": lambda body: _named(world.typing(**body)),
        "block": lambda body: _named(world.block(**body)),
        "unblock": lambda body: _named(world.unblock(**body)),
        "suspend": lambda body: _named(world.suspend(**body)),
        "unsend": lambda body: _named(world.unsend(**body)),
        "revoke": lambda body: _named(world.revoke(**body)),
        "raw": lambda body: world.raw(**body),
        "repeat": lambda body: world.repeat(**body),
        "hold": lambda body: world.hold(**body),
        "release": lambda body: world.release(**body),
        "check": lambda body: world.check(**body),
        "trick": lambda body: world.trick(**body),
        "settings": world.settle,
        "reset": lambda body: world.reset(**body),
    }
    return [
        *deed_routes(deeds, refusals=(ApiError,)),
        *trouble_routes(world.troubles),
        *look_routes(world.state, world.journal, "entry", world.media.get),
    ]


async def _named(made: Awaitable[str]) -> Json:
    return {"id": await made}


class _Control:
    def __init__(self, world: World) -> None:
        self._world = world

    async def app(self, body: Json) -> Json:
        app = self._world.add_app(**body)
        return {"id": app.id, "name": app.name, "consumer_key": app.consumer_key, "client_id": app.client_id}

    async def lines(self, body: Json) -> Json:
        account = self._world.add_line(**body)
        return {"id": account.id, "name": account.name, "username": account.username}

    async def people(self, body: Json) -> Json:
        account = self._world.add_person(**body)
        return {"id": account.id, "name": account.name, "username": account.username}

    async def grant(self, body: Json) -> Json:
        return self._world.grant(**body)
