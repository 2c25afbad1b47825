"""The control side over HTTP: play the customers, bend the rules, and look at what happened.

Rule: every route is one action of `World`. What is wrong is said as `{"error": …}` with 400 or 404.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from sandbox.control import Deed, deed_routes, look_routes, trouble_routes
from sandbox.meta.values import ApiError, Json
from sandbox.meta.world import World

MAX_BODY = 160 << 20  # a document in base64
DEEDS = (
    "say",
    "send",
    "press",
    "pick",
    "start",
    "refer",
    "opt_in",
    "react",
    "edit",
    "unsend",
    "read",
    "share_location",
    "share_contact",
    "order",
    "fill_form",
    "send_unsupported",
    "come_from_ad",
    "share",
    "thumbs_up",
    "mention_in_story",
    "reply_to_story",
    "expire_media",
    "change_number",
    "adopt_username",
    "block",
    "switch_phone",
    "write_from_phone_app",
    "write_from_page_inbox",
    "standby",
    "test_button",
    "expire_token",
    "unsubscribe",
    "fail_next",
    "change_template",
    "raw",
    "repeat",
    "hold",
    "release",
    "reset",
)


def control_routes(world: World) -> list[web.RouteDef]:
    """List the control routes of one world."""
    side = _Control(world)
    deeds: dict[str, Deed] = {
        **{name: _action(world, name) for name in DEEDS},
        "numbers": side.added(world.add_number),
        "pages": side.added(world.add_page),
        "instagrams": side.added(world.add_instagram),
        "people": side.people,
        "templates": side.templates,
        "subscribe": side.subscribe,
        "settings": world.settle,
    }
    return [
        *deed_routes(deeds, limit=MAX_BODY, refusals=(ApiError,)),
        *trouble_routes(world.troubles),
        *look_routes(world.state, world.journal, "message", world.shelf.files.get),
    ]


def _action(world: World, name: str) -> Deed:
    async def act(body: Json) -> Any:
        done = await getattr(world, name)(**body)
        return {"id": done} if isinstance(done, str) else done

    return act


class _Control:
    def __init__(self, world: World) -> None:
        self._world = world

    def added(self, add: Callable[..., Any]) -> Deed:
        async def act(body: Json) -> Json:
            line = add(**body)
            return {"id": line.id, "kind": line.kind.value}

        return act

    async def people(self, body: Json) -> Json:
        person = self._world.add_person(**body)
        return {"key": person.key, "bsuid": person.bsuid, "scoped": person.scoped}

    async def templates(self, body: Json) -> None:
        self._world.add_template(**body)

    async def subscribe(self, body: Json) -> None:
        self._world.subscribe(**body)
