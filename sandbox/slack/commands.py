"""Slash commands: what Slack sends when somebody types one, and how it shows the answer.

Rule: an app that does not answer within three seconds is not asked again; the person is told to try anew.
"""

from __future__ import annotations

from typing import Any

from sandbox.slack import chat
from sandbox.slack.delivery import Answer
from sandbox.slack.world import NotThere, World

Json = dict[str, Any]


async def run(world: World, user: str, command: str, text: str = "", *, channel: str) -> Answer:
    """Type one of the app's commands into a Slack channel; threads take none of an app's.

    What the app answers is shown to this person alone, unless the answer says otherwise. Raises `NotThere` for what is
    no command of the app, `Refusal` when Slack cannot show the answer.
    """
    place = world.member_of(user, channel)
    known = not world.app.commands or command in world.app.commands
    if not command.startswith("/") or not known or "commands" not in world.app.scopes:
        raise NotThere(f"{command} is no command here")
    url = world.new_response_url(user, place.id)
    body: Json = {
        "token": "unused",
        "team_id": world.team.id,
        "team_domain": world.team.domain,
        "channel_id": place.id,
        "channel_name": "directmessage" if place.is_im else "privategroup" if place.is_private else place.name,
        "user_id": user,
        "user_name": world.users[user].name,
        "command": command,
        "text": text.strip(),
        "api_app_id": world.app.app_id,
        "is_enterprise_install": "false",
        "response_url": url,
        "trigger_id": world.new_trigger(user),
    }
    answer = Answer(reason="down") if world.is_down else await world.deliveries_under_way.command(body)
    if answer.ok and answer.body:
        told = answer.body if isinstance(answer.body, dict) else {"text": answer.body}
        shown = world.new_response_url(user, place.id)  # the answer itself counts as no use of the one the app has
        chat.respond(world, shown.partition("/actions/")[2], told)
    return answer
