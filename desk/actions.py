"""Buttons, shortcuts and windows, through Bolt: each listener does one thing in the database and answers within 3 s.

Rule: Slack never repeats an interaction, so what it asks for is committed before it is acknowledged, and two people
pressing at once are told apart by the database.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse

from desk import notices
from desk.blocks import Post
from desk.desk import Desk
from desk.events import Events
from desk.inbox import Inbox
from desk.originals import Original, window
from desk.people import Someone
from desk.pressed import WINDOW, Body, Pressed, slack_channel, value
from desk.slack import Slack
from desk.windows import Windows
from inbox.changes import SetState, State
from inbox.replies import Draft
from inbox.store import slack as table
from templates.catalog import Voice

Ack = Callable[..., Awaitable[Any]]

log = structlog.get_logger()


class Actions:
    """What agents press. `app` is the Bolt application that HTTP and Socket Mode dispatch to."""

    def __init__(self, desk: Desk, events: Events, inbox: Inbox, *, token: str, signing_secret: str) -> None:
        self._desk = desk
        self._events = events
        self._pressed = Pressed(desk)
        self.app = AsyncApp(
            signing_secret=signing_secret,
            client=desk.slack.client,
            # Bolt's own look-up drops the first request when Slack limits auth.test.
            authorize=_authorize(desk.slack, token),
            request_verification_enabled=bool(signing_secret),
        )
        for action, listener in {
            "take": self.take,
            "resolve": self.resolve,
            "reopen": self.reopen,
            "delivery_arrived": self.settle_arrived,
            "delivery_again": self.settle_again,
            "undo_send": self.undo_send,
            "reply_send": self.confirm_send,
            "reply_note": self.confirm_note,
            "note": self.open_note,
            "show_original": self.show_original,
        }.items():
            self.app.action(action)(listener)
        self.app.action(re.compile(r"answer_by_\d+"))(self.answer_by)
        for callback, listener in {
            "conv_assign_me": self.take,
            "conv_resolve": self.resolve,
            "conv_note": self.keep_as_note,
            "conv_send": self.send_note,
            "conv_undo": self.undo_send,
        }.items():
            self.app.message_shortcut(callback)(listener)
        self.app.view("note")(self.write_note)
        Windows(desk, self._pressed).register(self.app)
        inbox.register(self.app)
        self.app.error(self.failed)

    async def failed(self, error: Exception, body: Body) -> BoltResponse:
        """Slack shows the person that it did not work; we keep why."""
        log.error("slack.action_failed", type=body.get("type"), error=type(error).__name__, exc_info=error)
        return BoltResponse(status=500)

    async def take(self, ack: Ack, body: Body) -> None:
        someone, conversation_id, say = await self._pressed.asked(body)
        if conversation_id is not None and await self._pressed.may(body, someone, say):
            taken = await self._desk.replies.take(conversation_id, someone.id)
            if not taken:
                await self._hand_over(body, conversation_id, someone, say)
        await ack()

    async def resolve(self, ack: Ack, body: Body) -> None:
        await self._set(ack, body, State.RESOLVED)

    async def reopen(self, ack: Ack, body: Body) -> None:
        await self._set(ack, body, State.OPEN)

    async def settle_arrived(self, ack: Ack, body: Body) -> None:
        await self._settle(ack, body, arrived=True)

    async def settle_again(self, ack: Ack, body: Body) -> None:
        await self._settle(ack, body, arrived=False)

    async def undo_send(self, ack: Ack, body: Body) -> None:
        """From the button only the sender sees, or as a shortcut on the message itself."""
        someone, _, say = await self._pressed.asked(body)
        if await self._pressed.may(body, someone, say):
            done = await self._desk.replies.undo(await self._pressed.source(body))
            await self._pressed.tell(body, someone, notices.undone(say) if done else notices.too_late(say))
        await ack()

    async def keep_as_note(self, ack: Ack, body: Body) -> None:
        someone, _, say = await self._pressed.asked(body)
        if await self._pressed.may(body, someone, say):
            done = await self._desk.replies.undo(await self._pressed.source(body), as_note=True)
            if not done:
                await self._pressed.tell(body, someone, notices.too_late(say))
        await ack()

    async def send_note(self, ack: Ack, body: Body) -> None:
        """A note that was meant for the customer after all."""
        someone, _, say = await self._pressed.asked(body)
        if await self._pressed.may(body, someone, say):
            team = self._desk.teams.at(slack_channel(body)) or self._desk.teams.first
            source = await self._pressed.source(body)
            if not await self._desk.replies.send_note(source, by=someone.id, undo=team.undo):
                await self._pressed.tell(body, someone, notices.too_late(say))
        await ack()

    async def confirm_send(self, ack: Ack, body: Body) -> None:
        await self._confirm(ack, body, send=True)

    async def confirm_note(self, ack: Ack, body: Body) -> None:
        await self._confirm(ack, body, send=False)

    async def open_note(self, ack: Ack, body: Body) -> None:
        someone, conversation_id, say = await self._pressed.asked(body)
        if conversation_id is not None and await self._pressed.may(body, someone, say):
            async with self._desk.database.connection() as c:
                head = await table.head(c, conversation_id)
            name = head.name if head and head.name else say("word.customer")
            await self._pressed.open(body, notices.note_modal(str(conversation_id), name, say))
        await ack()

    async def show_original(self, ack: Ack, body: Body) -> None:
        """Open a message whole. Whoever can press the button reads the conversation anyway."""
        someone = await self._desk.people.who(str(body["user"]["id"]))
        message_id = value(body)
        async with self._desk.database.connection() as c:
            found = await table.original(c, int(message_id)) if message_id.isdigit() else None
        if found is not None:
            original = Original(
                sender=found.sender,
                address=found.address,
                channels=(found.channel, *found.also),
                at=found.sent_at,
                subject=found.subject,
                text=found.text,
                hidden=found.hidden,
                proof=found.proof,
                why=found.why,
            )
            await self._pressed.open(body, window(original, self._desk.catalog.voice(someone.language)))
        await ack()

    async def write_note(self, ack: Ack, body: Body) -> None:
        view = body["view"]
        someone = await self._desk.people.who(str(body["user"]["id"]))
        text = str(view["state"]["values"]["text"]["text"].get("value") or "").strip()
        if text and str(view["private_metadata"]).isdigit():
            await self._desk.replies.note(
                int(view["private_metadata"]),
                Draft(
                    text=text,
                    source=(WINDOW, str(view["id"])),
                    author=someone.id,
                    author_name=someone.name,
                    at=self._desk.now(),
                ),
            )
        await ack()

    async def _set(self, ack: Ack, body: Body, state: State) -> None:
        someone, conversation_id, say = await self._pressed.asked(body)
        if conversation_id is not None and await self._pressed.may(body, someone, say):
            await self._desk.replies.change(conversation_id, [SetState(state=state)], by=someone.id)
        await ack()

    async def _settle(self, ack: Ack, body: Body, *, arrived: bool) -> None:
        someone, _, say = await self._pressed.asked(body)
        if await self._pressed.may(body, someone, say):
            delivery = UUID(value(body))
            settled = await self._desk.replies.settle_doubt(delivery, arrived=arrived, by=someone.id)
            # The same button sends again what has failed. What the post becomes then, `desk.telling` brings about.
            if not settled and (arrived or not await self._desk.replies.send_again(delivery, by=someone.id)):
                await self._pressed.tell(body, someone, notices.settled_before(say))
        await ack()

    async def answer_by(self, ack: Ack, body: Body) -> None:
        """Words that did not reach the customer go out another way."""
        someone, _, say = await self._pressed.asked(body)
        message_id, _, place = value(body).partition(":")
        if await self._pressed.may(body, someone, say):
            team = self._desk.teams.at(slack_channel(body)) or self._desk.teams.first
            sent = await self._desk.replies.answer_elsewhere(int(message_id), place, by=someone.id, undo=team.undo)
            if not sent:
                await self._pressed.tell(body, someone, notices.settled_before(say))
        await ack()

    async def _confirm(self, ack: Ack, body: Body, *, send: bool) -> None:
        someone, _, say = await self._pressed.asked(body)
        if await self._pressed.may(body, someone, say):
            if await self._events.confirm(value(body), someone.id, send=send):
                await self._replace(body, notices.confirmed(someone.id, say, sent=send))
            else:
                await self._pressed.tell(body, someone, notices.not_yours(say))
        await ack()

    async def _hand_over(self, body: Body, conversation_id: int, someone: Someone, say: Voice) -> None:
        """Somebody has it: from a card that said so this is a take-over, from one that did not it came second."""
        async with self._desk.database.connection() as c:
            head = await table.head(c, conversation_id)
        holder = head.conversation.agent if head else ""
        if holder and f"<@{holder}>" in str(body.get("message", {})):
            await self._desk.replies.hand_over(conversation_id, someone.id)
        else:
            name = (await self._desk.people.who(holder)).name if holder else ""
            await self._pressed.tell(body, someone, notices.taken(name or holder, say))

    async def _replace(self, body: Body, post: Post) -> None:
        """A question that is settled says so instead of keeping its buttons."""
        ts = (body.get("container") or {}).get("message_ts") or (body.get("message") or {}).get("ts")
        if not ts:
            return
        try:
            await self._desk.slack.update(slack_channel(body), str(ts), post)
        except Exception as error:  # noqa: BLE001 - what counted is committed
            log.info("slack.question_kept", error=type(error).__name__)


def _authorize(slack: Slack, token: str) -> Callable[..., Awaitable[AuthorizeResult]]:
    async def authorize() -> AuthorizeResult:
        who = slack.identity
        return AuthorizeResult(
            enterprise_id=None,
            team_id=who.team_id if who else None,
            bot_user_id=who.user_id if who else None,
            bot_id=who.bot_id if who else None,
            bot_token=token,
        )

    return authorize
