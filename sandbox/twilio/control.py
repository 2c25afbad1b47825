"""The control side over HTTP: play the customers, bend the rules, and look at what happened.

Rule: every route is one action of `World`. What is wrong is said as `{"error": …}` with 400 or 404.
"""

from __future__ import annotations

from collections.abc import Awaitable

from aiohttp import web

from sandbox.control import Deed, deed_routes, look_routes, trouble_routes
from sandbox.journal import Json
from sandbox.twilio.world import World


def control_routes(world: World) -> list[web.RouteDef]:
    """List the control routes of one world."""
    side = _Control(world)
    deeds: dict[str, Deed] = {
        "accounts": side.accounts,
        "keys": side.keys,
        "promote": side.promote,
        "suspend": side.suspend,
        "lines": side.lines,
        "services": side.services,
        "templates": side.templates,
        "judge": side.judge,
        "people": side.people,
        "change": lambda body: world.change(**body),
        "say": lambda body: side.sent(world.say(**body)),
        "press": lambda body: side.sent(world.press(**body)),
        "opt_out": lambda body: side.sent(world.opt_out(**body)),
        "opt_in": lambda body: side.sent(world.opt_in(**body)),
        "elsewhere": lambda body: side.sent(world.elsewhere(**body)),
        "raw": lambda body: side.sent(world.raw(**body)),
        "read": lambda body: world.read(**body),
        "block": lambda body: world.block(**body),
        "unblock": lambda body: world.unblock(**body),
        "deliver": lambda body: world.deliver(**body),
        "fail": lambda body: world.fail(**body),
        "refuse": lambda body: world.refuse(**body),
        "repeat": lambda body: world.repeat(**body),
        "hold": lambda body: world.hold(**body),
        "release": lambda body: world.release(**body),
        "settings": world.settle,
        "idle": lambda body: world.idle(**body),
        "reset": lambda body: world.reset(**body),
    }
    return [
        *deed_routes(deeds),
        *trouble_routes(world.troubles),
        *look_routes(world.state, world.journal, "entries", world.ledger.media.get),
    ]


class _Control:
    def __init__(self, world: World) -> None:
        self._world = world

    async def sent(self, work: Awaitable[str]) -> Json:
        return {"id": await work}

    async def accounts(self, body: Json) -> Json:
        account = self._world.add_account(**body)
        return {"sid": account.sid, "auth_token": account.auth_token}

    async def keys(self, body: Json) -> Json:
        return {"sid": self._world.add_key(**body)}

    async def promote(self, body: Json) -> None:
        self._world.promote(**body)

    async def suspend(self, body: Json) -> None:
        self._world.suspend(**body)

    async def lines(self, body: Json) -> Json:
        line = self._world.add_line(**body)
        return {"address": line.address, "sid": line.sid}

    async def services(self, body: Json) -> Json:
        return {"sid": self._world.add_service(**body).sid}

    async def templates(self, body: Json) -> Json:
        return {"sid": self._world.add_template(**body).sid}

    async def judge(self, body: Json) -> None:
        self._world.judge(**body)

    async def people(self, body: Json) -> Json:
        return self._world.add_person(**body).plain()
