"""Web API methods that show modals and Home tabs."""

from __future__ import annotations

import secrets
import time
from typing import Any

from sandbox.slack.blocks import check_view
from sandbox.slack.calls import Call, method
from sandbox.slack.ledger import Trigger
from sandbox.slack.refusal import Refusal, invalid_arguments
from sandbox.slack.workspace import View, new_id

Json = dict[str, Any]

STACK_AT_MOST = 3  # modals above each other


@method("views.open")
async def views_open(call: Call) -> Json:
    view = _checked(call, "modal")
    trigger = _trigger(call)
    return {"view": _json(call, call.world.show_view(trigger.user, view))}


@method("views.push")
async def views_push(call: Call) -> Json:
    view = _checked(call, "modal")
    trigger = _trigger(call, peek=True)
    below = call.world.views.get(trigger.view)
    if below is None:
        raise Refusal("not_found")
    if sum(each.root == below.root for each in call.world.views.values()) >= STACK_AT_MOST:
        raise Refusal("push_limit_reached")
    trigger.used = True
    return {"view": _json(call, call.world.show_view(trigger.user, view, above=below))}


@method("views.update")
async def views_update(call: Call) -> Json:
    wanted = call.text("view_id")
    external = call.text("external_id")
    if not wanted and not external:
        raise invalid_arguments("missing required field: view_id")
    found = [each for each in call.world.views.values() if wanted == each.id or _named(each, external)]
    if not found:
        raise Refusal("not_found")
    view = _checked(call, "modal")
    if call.text("hash") not in {"", found[0].hash}:
        raise Refusal("hash_conflict")
    return {"view": _json(call, call.world.show_view(found[0].user, view, replaced=found[0]))}


@method("views.publish")
async def views_publish(call: Call) -> Json:
    view = _checked(call, "home")
    user = call.required("user_id")
    if user not in call.world.users:
        raise invalid_arguments("invalid user_id [json-pointer:/user_id]")
    home = call.world.homes.get(user)
    if home is not None and call.text("hash") not in {"", home.hash}:
        raise Refusal("hash_conflict")
    stamp = f"{time.time():.0f}.{secrets.token_hex(4)}"
    made = View(id=home.id if home else new_id("V"), user=user, body=view, hash=stamp)
    call.world.homes[user] = made
    call.world.tell("home", user=user, view=_json(call, made))
    return {"view": _json(call, made)}


def _named(view: View, external: str) -> bool:
    return bool(external) and view.body.get("external_id") == external


def _json(call: Call, view: View) -> Json:
    return view.json(call.world.team.id, call.world.app)


def _checked(call: Call, kind: str) -> Json:
    view = check_view(call.json("view"))
    if view["type"] != kind:
        raise invalid_arguments(f"must be {kind} [json-pointer:/view/type]")
    external = view.get("external_id")
    others = [each for each in call.world.views.values() if each.id != call.text("view_id")]
    if external and any(_named(each, external) for each in others) and call.text("external_id") != external:
        raise Refusal("duplicate_external_id")
    return view


def _trigger(call: Call, *, peek: bool = False) -> Trigger:
    """A trigger_id opens one modal within three seconds."""
    name = call.text("trigger_id") or call.text("interactivity_pointer")
    if not name:
        raise invalid_arguments("missing required field: trigger_id")
    trigger = call.world.triggers.get(name)
    if trigger is None:
        raise Refusal("invalid_trigger_id")
    if trigger.used:
        raise Refusal("exchanged_trigger_id")
    if time.monotonic() > trigger.until:
        raise Refusal("expired_trigger_id")
    trigger.used = not peek
    return trigger
