"""The workspace as the people in it use it: they write, edit, react, press and open things; admins archive and revoke.

Rule: people can do only what Slack's own client lets them do; anything else raises and changes nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sandbox.slack import clicks
from sandbox.slack.blocks import check_view
from sandbox.slack.composer import compose
from sandbox.slack.delivery import Answer
from sandbox.slack.ledger import Ledger, Place
from sandbox.slack.refusal import Refusal
from sandbox.slack.settings import Settings
from sandbox.slack.workspace import Channel, File, Message, Team, User, UserGroup, View, default_people, new_id, read

Json = dict[str, Any]


class NotThere(LookupError):
    """There is no such thing in this workspace."""


class World(Ledger):
    """One Slack workspace with one app installed, and everybody in it."""

    def __init__(self, base: str = "") -> None:
        super().__init__(base)
        self._furnish()

    async def close(self) -> None:
        await self.deliveries_under_way.close()
        for queue in tuple(self.watchers):
            queue.put_nowait(None)

    async def reset(self) -> None:
        """Back to the workspace as it was at the beginning."""
        self.deliveries_under_way.forget()
        await self.deliveries_under_way.drop()
        self.troubles.clear()
        self.settings = Settings()
        self._clear()
        self._furnish()
        self.tell("reset")

    async def settle(self) -> None:
        """Wait until every event under way was answered or given up, and every file is shown."""
        await self.deliveries_under_way.settle()

    async def set_up(self, wanted: Mapping[str, Any]) -> Json:
        """Replace the parts of the workspace that are given; `app` is changed key by key. Raises ValueError."""
        unknown = sorted(set(wanted) - {"team", "users", "user_groups", "channels", "app"})
        if unknown:
            raise ValueError(f"a workspace has no {', '.join(unknown)}")
        if "team" in wanted:
            self.team = read(Team, wanted["team"])
        if "app" in wanted:
            self.change_app(wanted["app"])
        if "users" in wanted:
            people = [read(User, each) for each in wanted["users"]]
            self.users = {each.id: each for each in people}
        self._add_bot()
        if "user_groups" in wanted:
            groups = [read(UserGroup, each) for each in wanted["user_groups"]]
            self.groups = {each.id: each for each in groups}
        if "channels" in wanted:
            channels = [self._channel(each) for each in wanted["channels"]]
            self.channels = {each.id: each for each in channels}
        self.tell("workspace")
        url = self.app.events_url
        if "events_url" not in wanted.get("app", {}) or not url or self.app.socket_mode:
            return {"ok": True}
        return {"ok": True, "events_url_verified": await self.deliveries_under_way.verify(url)}

    # What people do with messages

    async def post(
        self,
        user: str,
        channel: str,
        text: str = "",
        *,
        thread_ts: str = "",
        broadcast: bool = False,
        files: Sequence[tuple[str, str, bytes]] = (),
        subtype: str = "",
        bot_id: str = "",
    ) -> Json:
        """Write as a person, or as another app's bot when `bot_id` is given. Files are (name, media type, bytes)."""
        place = self._channel_of(channel)
        person = None if bot_id and not user else self._member(user, place)
        if place.is_archived:
            raise ValueError(f"#{place.name} is archived")
        root = self._root(place, thread_ts) if thread_ts else None
        if root is not None and root.locked:
            raise ValueError("the thread is locked")
        if not text and not files:
            raise ValueError("Slack does not send an empty message")
        stored, block = compose(text, {each.name: each.id for each in self.users.values()})
        message = Message(
            channel=place.id,
            ts=self.new_ts(place),
            text=stored,
            user=user,
            team=person.team_id if person else self.team.id,
            thread_ts=root.ts if root is not None else "",
            subtype=subtype,
        )
        if bot_id:
            message.bot_id, message.subtype = bot_id, subtype or "bot_message"
        else:
            message.client_msg_id = str(uuid.uuid4())
        if block is not None and subtype != "me_message":
            message.blocks = [{**block, "block_id": secrets.token_urlsafe(4)}]
        if broadcast and root is not None:
            message.subtype = "thread_broadcast"
        if not files:
            return self.message_json(self.add(place, message))
        uploaded = [self._file(user, name, media_type, data) for name, media_type, data in files]
        message.files = [file.id for file in uploaded]
        message.subtype = message.subtype or "file_share"
        return self.message_json(self.share(place, uploaded, message))

    async def edit(self, user: str, channel: str, ts: str, text: str) -> Json:
        place = self.place(channel, ts)
        if place.message.user != user:
            raise ValueError("people edit only what they wrote")
        before = self.message_json(place.message)
        place.message.text, block = compose(text, {each.name: each.id for each in self.users.values()})
        place.message.blocks = [{**block, "block_id": secrets.token_urlsafe(4)}] if block else []
        place.message.edited = {"user": user, "ts": self.stamp()}
        self.change(place.channel, place.message, before)
        return self.message_json(place.message)

    async def delete(self, user: str, channel: str, ts: str) -> None:
        """Anybody may here: admins can delete other people's and apps' messages."""
        place = self.place(channel, ts)
        self._member(user, place.channel)
        self.remove(place.channel, place.message)

    async def touch(self, channel: str, ts: str) -> None:
        """Let Slack tell of a change that is none to a reader, as it does for link previews."""
        place = self.place(channel, ts)
        self.change(place.channel, place.message, self.message_json(place.message))

    async def react(self, user: str, channel: str, ts: str, name: str) -> None:
        place = self.place(channel, ts)
        self._member(user, place.channel)
        if user in place.message.reactions.get(name, ()):
            raise ValueError(f"{user} has already put :{name}:")
        self.react_to(place.channel, place.message, user, name, added=True)

    async def unreact(self, user: str, channel: str, ts: str, name: str) -> None:
        place = self.place(channel, ts)
        if user not in place.message.reactions.get(name, ()):
            raise NotThere(f"{user} has put no :{name}:")
        self.react_to(place.channel, place.message, user, name, added=False)

    # What people press and open

    async def press(
        self,
        user: str,
        action_id: str,
        *,
        channel: str = "",
        ts: str = "",
        view_id: str = "",
        block_id: str | None = None,
        value: Any = None,
        selected_option: Any = None,
    ) -> Answer:
        """Press a button or pick an option of the app's message, ephemeral message, modal or Home tab."""
        if view_id:
            view = self._view(view_id)
            payload: Json = {
                "container": {"type": "view", "view_id": view.id},
                "view": view.json(self.team.id, self.app),
            }
            blocks = view.body["blocks"]
        else:
            payload, blocks = self._pressed(user, self._channel_of(channel), ts)
        found = clicks.find(blocks, action_id, block_id, value)
        if found is None:
            raise NotThere(f"nothing with action_id {action_id} is shown there")
        block, element = found
        pressed = clicks.action(block, element, value, selected_option)
        trigger = self.new_trigger(user, view_id)
        body = {"type": "block_actions", **self._who(user), "trigger_id": trigger, **payload, "actions": [pressed]}
        body.setdefault("state", {"values": {}})
        return await self._interact(body)

    async def shortcut(self, user: str, callback_id: str, *, channel: str = "", ts: str = "") -> Answer:
        """Pick one of the app's shortcuts, on a message when `ts` is given."""
        if self.app.shortcuts and callback_id not in self.app.shortcuts:
            raise NotThere(f"the app has no shortcut {callback_id}")
        body: Json = {
            **self._who(user),
            "callback_id": callback_id,
            "trigger_id": self.new_trigger(user),
            "action_ts": self.stamp(),
        }
        if not ts:
            return await self._interact({"type": "shortcut", **body})
        place = self.place(channel, ts)
        message = self.message_json(place.message)
        body |= {
            "type": "message_action",
            "channel": {"id": place.channel.id, "name": place.channel.name},
            "message_ts": ts,
            "message": message,
            "response_url": self.new_response_url(user, place.channel.id, message=ts),
        }
        return await self._interact(body)

    async def set_presence(self, user: str, presence: str) -> None:
        """Turn somebody's dot. Apps are not told of it; they have to ask."""
        if user not in self.users:
            raise NotThere(f"there is no user {user}")
        if presence not in {"active", "away"}:
            raise ValueError("people are active or away")
        self.users[user].presence = presence
        self.tell("presence", user=user, presence=presence)

    async def submit(self, user: str, view_id: str, values: Mapping[str, Any]) -> Answer:
        """Fill in a modal and submit it. `values` by block_id or action_id. The answer is applied to the modal."""
        view = self._view(view_id, user)
        view.state = clicks.state(view.body["blocks"], values)
        body: Json = {
            "type": "view_submission",
            **self._who(user),
            "trigger_id": self.new_trigger(user, view_id),
            "view": view.json(self.team.id, self.app),
            "response_urls": [],
        }
        answer = await self._interact(body)
        if answer.ok:
            self._apply(view, answer.body)
        return answer

    async def dismiss(self, user: str, view_id: str) -> Answer | None:
        """Close a modal by its cross. The app hears of it only if it asked to."""
        view = self._view(view_id, user)
        self._close(view)
        if not view.body.get("notify_on_close"):
            return None
        shown = view.json(self.team.id, self.app)
        return await self._interact({"type": "view_closed", **self._who(user), "view": shown, "is_cleared": False})

    async def suggest(self, user: str, action_id: str, value: str, *, view_id: str = "", **at: str) -> Answer:
        """Type into a menu whose options the app supplies."""
        if view_id:
            blocks = self._view(view_id).body["blocks"]
        else:
            blocks = self._pressed(user, self._channel_of(at["channel"]), at["ts"])[1]
        found = clicks.find(blocks, action_id, None, None)
        if found is None:
            raise NotThere(f"nothing with action_id {action_id} is shown there")
        names = {"action_id": action_id, "block_id": found[0]["block_id"], "value": value}
        return await self._interact({"type": "block_suggestion", **self._who(user), **names})

    async def open_home(self, user: str) -> None:
        im = self.im(user)
        event = {"type": "app_home_opened", "user": user, "channel": im.id, "tab": "home", "event_ts": self.stamp()}
        home = self.homes.get(user)
        self.emit(event | ({"view": home.json(self.team.id, self.app)} if home else {}))

    # What admins do, and what befalls the app

    async def archive(self, channel: str, *, user: str = "", archived: bool = True) -> None:
        place = self._channel_of(channel)
        place.is_archived = archived
        self.tell("channel", channel=place.id)
        what = f"{'group' if place.is_private else 'channel'}_{'archive' if archived else 'unarchive'}"
        by = user or next(iter(place.members), "")
        self.emit({"type": what, "channel": place.id, "user": by, "event_ts": self.stamp()}, place)

    async def kick(self, channel: str, *, user: str = "") -> None:
        """Remove somebody, the bot unless told otherwise."""
        place, whom = self._channel_of(channel), user or self.app.bot_user
        if whom not in place.members:
            raise NotThere(f"{whom} is not in #{place.name}")
        place.members.remove(whom)
        self.tell("channel", channel=place.id)
        event: Json = {"channel": place.id, "event_ts": self.stamp()}
        if whom == self.app.bot_user:
            kind = "group_left" if place.is_private else "channel_left"
            self.emit({"type": kind, "actor_id": next(iter(place.members), ""), **event})
        else:
            side = {"user": whom, "channel_type": "G" if place.is_private else "C", "team": self.team.id}
            self.emit({"type": "member_left_channel", **side, **event}, place)

    async def invite(self, channel: str, *, user: str = "", by: str = "") -> None:
        self.join(self._channel_of(channel), user or self.app.bot_user, by)

    async def lock_thread(self, channel: str, ts: str, *, locked: bool = True) -> None:
        place = self.place(channel, ts)
        place.message.locked = locked
        self.tell("message_changed", channel=channel, message=self.message_json(place.message, metadata=True))

    async def event(self, event: Json, *, channel: str = "") -> Json:
        """Deliver any event whatever, wrapped as Slack wraps it. Returns the envelope."""
        name = channel or (event["channel"] if isinstance(event.get("channel"), str) else "")
        envelope = self.envelope({"event_ts": self.stamp(), **event}, self.channels.get(name))
        self.deliveries_under_way.event(envelope)
        return envelope

    async def repeat(self, event_id: str, *, num: int = 1) -> None:
        """Deliver an event once more, as the retry of that number."""
        if event_id not in self.envelopes:
            raise NotThere(f"there was no event {event_id}")
        self.deliveries_under_way.event(self.envelopes[event_id], retry=num, reason="http_timeout")

    async def revoke(self, token: str, error: str = "token_revoked") -> None:
        """From now on the token is refused with `error`: token_revoked, account_inactive, invalid_auth."""
        if token == self.app.bot_token:
            users = {"oauth": [], "bot": [self.app.bot_user]}
            self.emit({"type": "tokens_revoked", "tokens": users, "event_ts": self.stamp()})
        self.revoked[token] = error
        if token == self.app.app_token:
            await self.deliveries_under_way.drop()

    async def disconnect(self) -> int:
        """Ask every Socket Mode connection to reconnect, as Slack does every few hours."""
        return await self.deliveries_under_way.disconnect()

    async def trouble(self, rules: Iterable[Mapping[str, Any]], *, seconds: float = 0) -> None:
        """Misbehave, until told otherwise or for `seconds`. `down` matching "events" keeps events away as well."""
        self.troubles.add(rules)
        if self.is_down:
            await self.deliveries_under_way.drop()
        if seconds:
            self.deliveries_under_way.run(self._clear_later(seconds))

    async def down(self, seconds: float) -> None:
        await self.trouble([{"match": "*", "action": "down"}], seconds=seconds)

    async def _clear_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.troubles.clear()

    # What is looked up

    def place(self, channel: str, ts: str) -> Place:
        """Raises NotThere."""
        found = self._channel_of(channel)
        if ts not in found.messages:
            raise NotThere(f"#{found.name} has no message {ts}")
        return Place(channel=found, message=found.messages[ts])

    def member_of(self, user: str, channel: str) -> Channel:
        """A Slack channel somebody is in. Raises NotThere, and ValueError when they are not."""
        found = self._channel_of(channel)
        self._member(user, found)
        return found

    def im(self, user: str) -> Channel:
        """The direct messages between the app and a person, opened if need be."""
        if user not in self.users:
            raise NotThere(f"there is no user {user}")
        for channel in self.channels.values():
            if channel.is_im and set(channel.members) == {user, self.app.bot_user}:
                return channel
        opened = Channel(id=new_id("D"), is_im=True, members=[user, self.app.bot_user], created=int(time.time()))
        self.channels[opened.id] = opened
        return opened

    def _furnish(self) -> None:
        people = default_people()
        self.users = {each.id: each for each in people}
        self._add_bot()
        support = Channel(id="C0SUPPORT1", name="support", members=[*self.users])
        general = Channel(id="C0GENERAL1", name="general", members=[each.id for each in people])
        self.channels = {support.id: support, general.id: general}

    def _add_bot(self) -> None:
        app = self.app
        for user in self.users.values():
            user.team_id = user.team_id or ("T0STRANGER" if user.is_stranger else self.team.id)
        if app.bot_user not in self.users:
            self.users[app.bot_user] = User(
                id=app.bot_user, name=app.name.lower(), real_name=app.name, is_bot=True, team_id=self.team.id
            )

    def _channel(self, wanted: Json) -> Channel:
        made = read(Channel, {name: value for name, value in wanted.items() if name != "messages"})
        if "members" not in wanted:
            made.members = [each.id for each in self.users.values() if not each.deleted]
        return made

    def _channel_of(self, channel: str) -> Channel:
        for each in self.channels.values():
            if channel in {each.id, each.name, f"#{each.name}"}:
                return each
        raise NotThere(f"there is no Slack channel {channel}")

    def _member(self, user: str, channel: Channel) -> User:
        if user not in self.users:
            raise NotThere(f"there is no user {user}")
        if user not in channel.members or self.users[user].deleted:
            raise ValueError(f"{user} is not in #{channel.name}")
        return self.users[user]

    def _root(self, channel: Channel, ts: str) -> Message:
        message = self.place(channel.id, ts).message
        return self.place(channel.id, message.thread_ts).message if message.is_reply else message

    def _file(self, user: str, name: str, media_type: str, data: bytes) -> File:
        file = File(id=new_id("F"), name=name, size=len(data), user=user, created=int(time.time()), data=data)
        file.mimetype, file.settled = media_type, True
        self.keep(file)
        return file

    def _view(self, view_id: str, user: str = "") -> View:
        view = self.views.get(view_id) or next((home for home in self.homes.values() if home.id == view_id), None)
        if view is None or (user and view.user != user):
            raise NotThere(f"no view {view_id} is open")
        return view

    def _pressed(self, user: str, channel: Channel, ts: str) -> tuple[Json, list[Json]]:
        """What surrounds a press on a message, and the blocks that can be pressed."""
        hidden = next((each for each in self.ephemerals if each["ts"] == ts and each["user"] == user), None)
        container: Json = {"type": "message", "message_ts": ts, "channel_id": channel.id}
        shown = {"id": channel.id, "name": "directmessage" if channel.is_im else channel.name}
        if hidden is not None:
            url = self.new_response_url(user, channel.id, message=ts, ephemeral=True)
            if hidden["thread_ts"]:
                container["thread_ts"] = hidden["thread_ts"]
            container["is_ephemeral"] = True
            return {"container": container, "channel": shown, "response_url": url}, hidden["blocks"]
        message = self.place(channel.id, ts).message
        if message.bot_id != self.app.bot_id:
            raise NotThere("the message is not the app's")
        if message.is_reply or message.replies:
            container["thread_ts"] = message.thread_ts or message.ts
        container["is_ephemeral"] = False
        url = self.new_response_url(user, channel.id, message=ts)
        payload = {"container": container, "channel": shown, "message": self.message_json(message), "response_url": url}
        return payload, message.blocks

    def _who(self, user: str) -> Json:
        if user not in self.users:
            raise NotThere(f"there is no user {user}")
        person = self.users[user]
        return {
            "user": {"id": user, "username": person.name, "name": person.name, "team_id": person.team_id},
            "team": {"id": self.team.id, "domain": self.team.domain},
            "api_app_id": self.app.app_id,
            "token": "unused",
            "enterprise": None,
            "is_enterprise_install": False,
        }

    async def _interact(self, payload: Json) -> Answer:
        if self.is_down:
            return Answer(reason="down")
        return await self.deliveries_under_way.interaction(payload)

    def _apply(self, view: View, body: Any) -> None:
        """Do to the modal what the app answered to its submission."""
        told = body if isinstance(body, dict) else {}
        match told.get("response_action"):
            case None:
                self._close(view)
            case "errors":
                blocks = {block["block_id"] for block in view.body["blocks"] if block["type"] == "input"}
                unknown = sorted(set(told.get("errors", {})) - blocks)
                if unknown or not told.get("errors"):
                    raise Refusal("invalid_errors", blocks=unknown)
                self.tell("view", view=view.json(self.team.id, self.app), errors=told["errors"])
            case "update":
                self.show_view(view.user, check_view(told.get("view")), replaced=view)
            case "push":
                self.show_view(view.user, check_view(told.get("view")), above=view)
            case "clear":
                for each in [each for each in self.views.values() if each.root == view.root]:
                    self._close(each)
            case other:
                raise Refusal("invalid_response_action", response_action=other)

    def show_view(self, user: str, body: Json, *, replaced: View | None = None, above: View | None = None) -> View:
        """Open a modal, put one above another, or change one in place."""
        stamp = f"{time.time():.0f}.{secrets.token_hex(4)}"
        if replaced is not None:
            replaced.body, replaced.hash = body, stamp
            view = replaced
        else:
            view = View(id=new_id("V"), user=user, body=body, hash=stamp)
            view.root, view.previous = (above.root, above.id) if above else (view.id, "")
            self.views[view.id] = view
            while len(self.views) > 500:
                del self.views[next(iter(self.views))]
        self.tell("view", user=user, view=view.json(self.team.id, self.app))
        return view

    def _close(self, view: View) -> None:
        self.views.pop(view.id, None)
        self.tell("view_closed", user=view.user, view_id=view.id)
