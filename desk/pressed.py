"""Who pressed something, about which conversation, whether they may, and how they are answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError

from desk import commands, notices
from desk.blocks import Post
from desk.desk import Desk
from desk.events import SOURCE
from desk.people import Someone
from desk.slack import Gone, Unknown
from desk.teams import Team
from inbox.store import slack as table
from inbox.store.messages import Source
from inbox.work import Failed, Wait
from templates.catalog import Voice

Body = Mapping[str, Any]

WINDOW = "slack-window"  # the channel name under which what agents write in windows is stored

log = structlog.get_logger()


class Pressed:
    """What the listeners of buttons, menus, shortcuts and windows have in common."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def asked(self, body: Body) -> tuple[Someone, int | None, Voice]:
        """Who asks, about which conversation, and in which language they are answered."""
        someone = await self._desk.people.who(str(body["user"]["id"]))
        say = self._desk.catalog.voice(someone.language)
        pressed = value(body)
        if pressed.isdigit():
            return someone, int(pressed), say
        message = body.get("message") or {}
        async with self._desk.database.connection() as c:
            thread_ts = str(message.get("thread_ts") or message.get("ts") or "")
            found = await table.conversation_of(c, slack_channel(body), thread_ts)
        return someone, found, say

    async def may(self, body: Body, someone: Someone, say: Voice) -> bool:
        """Whether they may act for the team whose Slack channel it is; if not, they are told why."""
        team = self._desk.teams.at(slack_channel(body)) or self._desk.teams.first
        refusal = await self.refusal(team, someone, say)
        if refusal is not None:
            await self.tell(body, someone, refusal)
        return refusal is None

    async def refusal(self, team: Team, someone: Someone, say: Voice) -> Post | None:
        """Why they may not act for a team; None when they may."""
        why = commands.refused(someone.person, someone.id, await self._desk.people.members(team.members))
        return None if why is None else notices.not_sent(why.value, say)

    async def source(self, body: Body) -> Source:
        """Where the reply was written that was pressed on: in the thread, or in a window whose words we posted."""
        pressed = value(body)
        if pressed.startswith(f"{WINDOW}:"):
            return WINDOW, pressed.removeprefix(f"{WINDOW}:")
        ts = str((body.get("message") or {}).get("ts") or "")
        if not pressed:
            async with self._desk.database.connection() as c:
                posted = await table.source_of_post(c, slack_channel(body), ts)
            if posted is not None:
                return posted
        return SOURCE, pressed or commands.key(slack_channel(body), ts)

    async def tell(self, body: Body, someone: Someone, post: Post) -> None:
        """Show it to them alone, in the thread they pressed in."""
        message = body.get("message") or {}
        container = body.get("container") or {}
        thread_ts = message.get("thread_ts") or container.get("thread_ts") or message.get("ts")
        await self._desk.slack.whisper(
            slack_channel(body), someone.id, post, thread_ts=str(thread_ts) if thread_ts else None
        )

    async def open(self, body: Body, view: Mapping[str, Any]) -> None:
        """Open a window, which Slack allows for three seconds after the press."""
        try:
            await self._desk.slack.open_view(str(body["trigger_id"]), view)
        except (Failed, Wait, Unknown, SlackApiError) as error:
            log.info("slack.window_refused", error=type(error).__name__)

    async def change(self, body: Body, view: Mapping[str, Any]) -> None:
        """Put another content into the window that was pressed in, if it is still open."""
        try:
            await self._desk.slack.update_view(str(body["view"]["id"]), view)
        except (Failed, Wait, Unknown, Gone, SlackApiError) as error:
            log.info("slack.window_refused", error=type(error).__name__)


def value(body: Body) -> str:
    actions = body.get("actions") or [{}]
    return str(actions[0].get("value") or "")


def slack_channel(body: Body) -> str:
    return str((body.get("channel") or {}).get("id") or (body.get("container") or {}).get("channel_id") or "")
