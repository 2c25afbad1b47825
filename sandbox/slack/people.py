"""Web API methods about the app itself, the team, its people and user groups."""

from __future__ import annotations

import secrets
import time
from typing import Any

from sandbox.slack.calls import ANY, APP, Call, method, page
from sandbox.slack.refusal import Refusal

Json = dict[str, Any]


@method("auth.test", token=ANY)
async def auth_test(call: Call) -> Json:
    world, app = call.world, call.world.app
    if call.text("token") == app.app_token:
        return {"app_name": app.name, "app_id": app.app_id}
    return {
        "url": f"https://{world.team.domain}.slack.com/",
        "team": world.team.name,
        "user": world.users[app.bot_user].name,
        "team_id": world.team.id,
        "user_id": app.bot_user,
        "bot_id": app.bot_id,
        "is_enterprise_install": False,
    }


@method("apps.connections.open", token=APP)
async def apps_connections_open(call: Call) -> Json:
    ticket = secrets.token_urlsafe(24)
    call.world.socket_tickets[ticket] = time.monotonic() + 30
    while len(call.world.socket_tickets) > 100:
        del call.world.socket_tickets[next(iter(call.world.socket_tickets))]
    base = call.world.base.replace("http", "ws", 1)
    return {"url": f"{base}/link/?ticket={ticket}&app_id={call.world.app.app_id}"}


@method("team.info", "team:read")
async def team_info(call: Call) -> Json:
    if call.text("team") not in {"", call.world.team.id}:
        raise Refusal("team_not_found")
    return {"team": call.world.team.json()}


@method("bots.info", "users:read")
async def bots_info(call: Call) -> Json:
    if call.text("bot", call.world.app.bot_id) != call.world.app.bot_id:
        raise Refusal("bot_not_found")
    return {"bot": call.world.bot_json()}


@method("users.info", "users:read")
async def users_info(call: Call) -> Json:
    user = call.world.users.get(call.text("user"))
    if user is None:
        raise Refusal("user_not_found")
    return {"user": user.json(locale=call.flag("include_locale"), email=_email(call))}


@method("users.list", "users:read")
async def users_list(call: Call) -> Json:
    users, more = page(list(call.world.users.values()), call)
    locale = call.flag("include_locale")
    return {"members": [user.json(locale=locale, email=_email(call)) for user in users], **more}


@method("users.getPresence", "users:read")
async def users_get_presence(call: Call) -> Json:
    """The dot of somebody; to the bot about itself with how Slack came to it (docs.slack.dev, users.getPresence)."""
    user = call.world.users.get(call.text("user", call.world.app.bot_user))
    if user is None:
        raise Refusal("user_not_found")
    shown: Json = {"presence": "away" if user.deleted else user.presence}
    if user.id != call.world.app.bot_user:
        return shown
    return {
        **shown,
        "online": True,
        "auto_away": False,
        "manual_away": user.presence == "away",
        "connection_count": len(call.world.deliveries_under_way.connections),
        "last_activity": int(time.time()),
    }


@method("usergroups.list", "usergroups:read")
async def usergroups_list(call: Call) -> Json:
    users = call.flag("include_users")
    return {"usergroups": [group.json(call.world.team.id, users=users) for group in call.world.groups.values()]}


@method("usergroups.users.list", "usergroups:read")
async def usergroups_users_list(call: Call) -> Json:
    group = call.world.groups.get(call.text("usergroup"))
    if group is None:
        raise Refusal("no_such_subteam")
    return {"users": list(group.users)}


def _email(call: Call) -> bool:
    return "users:read.email" in call.world.app.scopes
