"""The windows "More…" and "Reply with template", opened, filled in and submitted.

Rule: what a window asks for is committed before it is acknowledged, under the id of the window: submitted twice, it
happens once. Nothing leaves that still lacks something, and nothing that the agent has not seen as it will be sent.
The window "Reply with template" is the question whether something is meant for the customer: `ask_first` asks no other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from slack_bolt.async_app import AsyncApp

from channels.message import Template
from desk import forms, notices, ways
from desk.commands import NOTE_PREFIXES
from desk.desk import Desk
from desk.forms import Decided, Filled, Filling, Offered
from desk.notices import MODAL_TEXT, Way
from desk.offers import APPROVED, approved_asked, approved_choices, approved_for, approved_name, asked, fitting
from desk.people import Someone
from desk.pressed import WINDOW, Body, Pressed
from inbox.changes import State, place_of
from inbox.replies import Draft, NoAddress
from inbox.store import deliveries, places, work
from inbox.store import slack as table
from inbox.store.slack import Head
from inbox.windows import Window, window
from templates.approved import ApprovedTemplate
from templates.catalog import Voice
from templates.filling import left_over
from templates.reply import Unfilled, base, normal
from templates.values import shows

Ack = Callable[..., Awaitable[Any]]


class Windows:
    """Listeners of the two windows. Whoever opens one may act for the team; who submits it is asked again."""

    def __init__(self, desk: Desk, pressed: Pressed) -> None:
        self._desk = desk
        self._pressed = pressed

    def register(self, app: AsyncApp) -> None:
        app.action("more")(self.open_more)
        app.view("more")(self.correct)
        app.action("template")(self.open_template)
        app.action("template_choice")(self.choose)
        app.action("template_value")(self.fill)
        app.view("template")(self.send)

    # more

    async def open_more(self, ack: Ack, body: Body) -> None:
        someone, conversation_id, say = await self._pressed.asked(body)
        head = await self._head(conversation_id)
        if head is not None and await self._pressed.may(body, someone, say):
            conversation, offers = head.conversation, self._desk.offers()
            now = Decided(
                priority=conversation.priority.name.lower(),
                tags=head.tags,
                team=self._desk.teams.of(conversation).name,
                language=conversation.language,
                place=place_of(conversation.channel, conversation.address_id),
            )
            teams = [team.name for team in self._desk.teams]
            ways = await self._ways(head, say)
            view = forms.more(
                str(conversation.id),
                head.name or say("word.customer"),
                now,
                say,
                tags=offers.tags,
                teams=teams,
                languages=offers.languages,
                ways=ways,
            )
            await self._pressed.open(body, view)
        await ack()

    async def correct(self, ack: Ack, body: Body) -> None:
        someone, say = await self._who(body)
        head = await self._head(int(body["view"]["private_metadata"]))
        if head is None:
            await ack()
            return
        if refusal := await self._refusal(head, someone, say):
            await ack(response_action="errors", errors={"priority": refusal})
            return
        changes, tags = forms.wanted(body["view"])
        await self._desk.replies.correct(head.conversation.id, changes, by=someone.id, tags=tags)
        await ack()

    async def _ways(self, head: Head, say: Voice) -> list[Way]:
        """Every way to the customer; of those that take no free answer now, that it is so."""
        async with self._desk.database.connection() as c:
            found = await places.reached(c, head.conversation.id)
        found = [way for way in found if way.channel in self._desk.kinds]
        usable = {way.place for way in ways.usable(found, "", self._desk.capabilities, self._desk.shop())}

        def word(channel: str) -> str:
            return say.word("channel", self._desk.kinds[channel])

        return [
            way if way.place in usable else replace(way, label=say("more.place_closed", way=way.label))
            for way in ways.named(found, word)
        ]

    # reply with a template

    async def open_template(self, ack: Ack, body: Body) -> None:
        someone, conversation_id, say = await self._pressed.asked(body)
        head = await self._head(conversation_id)
        if head is not None and await self._pressed.may(body, someone, say):
            await self._pressed.open(body, forms.template(self._offered(head, say), say))
        await ack()

    async def choose(self, ack: Ack, body: Body) -> None:
        """A template was picked from the menu: show its text."""
        picked = (body["actions"][0].get("selected_option") or {}).get("value")
        filled = forms.filled(body["view"])
        await self._show(body, replace(filled, name=str(picked or "")))
        await ack()

    async def fill(self, ack: Ack, body: Body) -> None:
        """Something that the text needs was typed and entered: put it into the text."""
        filled = forms.filled(body["view"])
        variable = str(body["actions"][0]["block_id"]).split(":")[1]
        typed = {**filled.typed, variable: str(body["actions"][0].get("value") or "").strip()}
        await self._show(body, replace(filled, typed={name: said for name, said in typed.items() if said}))
        await ack()

    async def _show(self, body: Body, filled: Filled) -> None:
        someone, say = await self._who(body)
        head = await self._head(filled.conversation)
        filling = self._filling(head, filled, someone) if head else None
        if head is not None and filling is not None:
            # What is known stays what it was when the window was opened, or its end would not be told.
            offered = replace(self._offered(head, say), resolved=filled.resolved)
            await self._pressed.change(body, forms.template(offered, say, filling))

    async def send(self, ack: Ack, body: Body) -> None:
        someone, say = await self._who(body)
        filled = forms.filled(body["view"])
        head = await self._head(filled.conversation)
        filling = self._filling(head, filled, someone) if head else None
        if head is None or filling is None:
            await ack()
            return
        if refusal := await self._refusal(head, someone, say):
            await ack(response_action="errors", errors=dict.fromkeys(filled.boxes.values(), refusal))
            return
        missing = [name for name, needed in filling.asks.items() if needed and not filling.given.get(name)]
        if missing and filled.text is None:
            told = say("template.needed")
            await ack(response_action="errors", errors={filled.boxes[name]: told for name in missing})
            return
        if filling.fixed:
            await self._send_fixed(ack, body, head, filled, filling, someone, say)
            return
        if filled.text is None or (filled.typed != filled.given and self._untouched(head, filled, someone)):
            view = forms.template(replace(self._offered(head, say), resolved=filled.resolved), say, filling)
            await ack(response_action="update", view=view)
            return
        if wrong := _unfit(filled.text, say):
            await ack(response_action="errors", errors={filled.boxes["text"]: wrong})
            return
        offered = self._offered(head, say)
        if offered.resolved and not filled.resolved:
            shown = replace(filling, text=filled.text, given=filled.given)  # the same boxes, so what was typed stays
            view = forms.template(replace(offered, warn=True), say, shown)
            await ack(response_action="update", view=view)
            return
        await self._reply(body, head, filled.text.strip(), someone, say)
        await ack()

    async def _send_fixed(
        self, ack: Ack, body: Body, head: Head, filled: Filled, filling: Filling, someone: Someone, say: Voice
    ) -> None:
        """What the provider has approved leaves as it was shown: what was typed since is shown first."""
        made = self._approved(head, filled.name)
        offered = self._offered(head, say)
        warn = offered.resolved and not filled.resolved
        if made is None or filled.typed != filled.given or not filling.text or warn:
            view = forms.template(replace(offered, warn=warn), say, filling)
            await ack(response_action="update", view=view)
            return
        values = {**self._values(head, someone), **filling.given}
        template = Template(name=made.name, language=made.language, values=made.fill(values))
        await self._reply(body, head, filling.text, someone, say, template=template)
        await ack()

    async def _reply(
        self, body: Body, head: Head, text: str, someone: Someone, say: Voice, *, template: Template | None = None
    ) -> None:
        team, id = self._desk.teams.of(head.conversation), str(body["view"]["id"])
        draft = Draft(
            text=text,
            source=(WINDOW, id),
            author=someone.id,
            author_name=someone.name,
            at=self._desk.now(),
            window=True,
            template=template,
        )
        try:
            stored = await self._desk.replies.reply(head.conversation.id, draft, undo=team.undo)
        except NoAddress:
            async with self._desk.database.transaction() as c:
                notice = {"notice": "failure", "code": "no_address", "channel": ""}
                if await deliveries.notify_desk(c, head.conversation.id, f"no_address:{WINDOW}:{id}", notice):
                    await work.put(c, self._desk.teams.follow_up(head.conversation, lines=True))
            return
        if stored is not None and team.undo:
            await self._offer_undo(head, someone, say, f"{WINDOW}:{id}", round(team.undo.total_seconds()))

    async def _offer_undo(self, head: Head, someone: Someone, say: Voice, key: str, seconds: int) -> None:
        async with self._desk.database.connection() as c:
            thread = await table.thread(c, head.conversation.id)
        if thread is not None and thread.ts is not None:
            name = head.name or say("word.customer")
            post = notices.undo(name, self._kind(head), seconds, key, say)
            await self._desk.slack.whisper(thread.slack_channel, someone.id, post, thread_ts=thread.ts)

    def _offered(self, head: Head, say: Voice) -> Offered:
        offers, closed = self._desk.offers(), self._closed(head)
        if closed:
            found = approved_for(offers.approved, head.conversation.channel, self._language(head))
            choices = approved_choices(found, offers.replies, say.lang)
        else:
            choices = [(choice.name, choice.title) for choice in offers.replies.names(head.tags, say.lang)]
        return Offered(
            conversation=str(head.conversation.id),
            customer=head.name or say("word.customer"),
            channel=self._kind(head),
            language=self._language(head),
            choices=choices,
            resolved=head.conversation.state is State.RESOLVED,
            closed=closed,
        )

    def _closed(self, head: Head) -> bool:
        """Whether only what the provider has approved may be sent where this conversation is answered."""
        can = self._desk.capabilities.get(head.conversation.channel)
        return can is not None and window(can, head.heard_at, self._desk.shop()) is Window.CLOSED

    def _approved(self, head: Head, name: str) -> ApprovedTemplate | None:
        found = approved_for(self._desk.offers().approved, head.conversation.channel, self._language(head))
        return next((made for made in found if approved_name(made) == name), None)

    def _filling(self, head: Head, filled: Filled, someone: Someone) -> Filling | None:
        """The chosen template with what is known and typed; None for one that is no longer there."""
        replies, language = self._desk.offers().replies, self._language(head)
        values = self._values(head, someone)
        if filled.name.startswith(APPROVED):
            made = self._approved(head, filled.name)
            if made is None:
                return None
            filling = _approved_filling(made, filled, values)
            same = base(normal(filling.language)) == base(normal(language))
            return replace(filling, language=language) if same else filling
        try:
            asks = asked(replies, filled.name, language, values)
            given = {name: said for name, said in filled.typed.items() if name in asks}
            can = self._desk.capabilities.get(head.conversation.channel)
            reply = fitting(replies, filled.name, language, {**values, **given}, can, MODAL_TEXT)
        except KeyError:
            return None
        except Unfilled:
            return Filling(name=filled.name, asks=asks, given=given)
        return Filling(name=filled.name, language=reply.language, text=reply.text, asks=asks, given=given)

    def _untouched(self, head: Head, filled: Filled, someone: Someone) -> bool:
        """Whether the text still is as we made it, so that one made anew takes nothing away."""
        before = self._filling(head, replace(filled, typed=filled.given), someone)
        return before is not None and before.text.split() == (filled.text or "").split()

    def _values(self, head: Head, someone: Someone) -> dict[str, str]:
        team, language = self._desk.teams.of(head.conversation).name, self._language(head)
        known = {"customer": head.name, "agent": someone.name, **self._desk.offers().looked_up(team, language)}
        return {name: said for name, said in known.items() if said}

    def _language(self, head: Head) -> str:
        return head.conversation.language or self._desk.catalog.first

    def _kind(self, head: Head) -> str:
        return self._desk.kinds.get(head.conversation.channel, "unknown")

    async def _head(self, conversation_id: int | None) -> Head | None:
        if conversation_id is None:
            return None
        async with self._desk.database.connection() as c:
            return await table.head(c, conversation_id)

    async def _who(self, body: Body) -> tuple[Someone, Voice]:
        someone = await self._desk.people.who(str(body["user"]["id"]))
        return someone, self._desk.catalog.voice(someone.language)

    async def _refusal(self, head: Head, someone: Someone, say: Voice) -> str:
        refusal = await self._pressed.refusal(self._desk.teams.of(head.conversation), someone, say)
        return refusal.text if refusal else ""


def _approved_filling(made: ApprovedTemplate, filled: Filled, values: Mapping[str, str]) -> Filling:
    """As `Windows._filling`, for what a provider has approved."""
    asks = approved_asked(made, values)
    given = {name: said for name, said in filled.typed.items() if name in asks}
    language = made.language.replace("_", "-")
    try:
        text = made.text({**values, **given})
    except Unfilled:
        text = ""
    return Filling(name=filled.name, language=language, text=text, asks=asks, given=given, fixed=True)


def _unfit(text: str, say: Voice) -> str:
    """Why a text is not sent to a customer as it stands in the window; "" when it is."""
    if not shows(text):
        return say("template.empty")
    if text.lstrip().startswith(NOTE_PREFIXES):
        return say("template.note")
    return say("template.left_over", words=braces) if (braces := left_over(text)) else ""
