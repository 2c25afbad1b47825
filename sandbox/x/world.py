"""The emulated world: the shop's accounts, people, their messages, and everything people can do.

Rule: a person's action changes the conversation first and then becomes events, as if the app on their phone had done
it. A line is an account of the shop; a chat is named `line|person`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import aiohttp
import orjson

from sandbox.journal import Journal, Json
from sandbox.trouble import Troubles
from sandbox.x import events, view
from sandbox.x.auth import Keys
from sandbox.x.delivery import Courier, Parcel
from sandbox.x.limits import Windows
from sandbox.x.payloads import shortened
from sandbox.x.values import (
    CATEGORIES,
    DM_SCOPES,
    ENDINGS,
    KINDS,
    MAX_TEXT,
    MEDIA_LIFE,
    STALE_AFTER,
    TOKEN_LIFE,
    TYPING_LIFE,
    Account,
    App,
    Dm,
    Media,
    Settings,
    Subscription,
    Token,
    Webhook,
    conversation_of,
)

LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz0123456789"
EPOCH_MS = 1_288_834_974_657  # when X's ids begin
FILES_KEPT = 256 << 20  # bytes over all files; the oldest lose their content first


class World:
    """Every account, message, file, webhook and token of one app.

    Actions raise ValueError for what the app on a phone would not let a person do, and KeyError for who or what is not
    there. Those of people return the id of the entry they made or changed.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.journal = Journal()
        self.troubles = Troubles()
        self.chance = Random(self.settings.seed)  # noqa: S311  # made-up ids, not secrets
        self.app = App()
        self.keys = Keys(self.now)
        self.windows = Windows()
        self.accounts: dict[str, Account] = {}
        self.dms: dict[str, Dm] = {}  # in order of their ids
        self.media: dict[str, Media] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.courier = Courier(self, self.webhooks.get)
        self.spent = 0.0  # dollars
        self._paid: set[tuple[str, str]] = set()  # what was paid for on which UTC day
        self._session: aiohttp.ClientSession | None = None
        self._last_id = 0

    # life

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.settings.clock_offset)

    def session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False)
        return self._session

    async def reset(self) -> None:
        """Forget everybody and everything, settings included. Listeners of the stream stay."""
        await self.courier.close()
        self.courier.clear()
        self.settings, self.app, self.spent = Settings(), App(), 0.0
        self.chance = Random()  # noqa: S311
        self.troubles.clear()
        self.journal.forget()
        self.keys.clear()
        self.windows.clear()
        self._paid.clear()
        for known in (self.accounts, self.dms, self.media, self.webhooks, self.subscriptions):
            known.clear()

    async def close(self) -> None:
        await self.courier.close()
        self.troubles.clear()
        self.journal.close()
        if self._session is not None:
            await self._session.close()

    def tell(self, kind: str, facts: Json) -> None:
        self.journal.note(kind, datetime.now(UTC), facts)  # what was seen, not what their clocks said

    def new_id(self) -> str:
        """Make an id above every one before, with the time in it as X does."""
        self._last_id = max(self._last_id + 1, (int(self.now().timestamp() * 1000) - EPOCH_MS) << 22)
        return str(self._last_id)

    def slug(self, length: int = 10) -> str:
        return "".join(self.chance.choices(LETTERS, k=length))

    # who is there

    def add_app(self, **values: str) -> App:
        """Say what the developer's app is called and which secrets it has; what is not named stays."""
        unknown = set(values) - {value.name for value in fields(App)}
        if unknown:
            raise ValueError(f"an app has no {', '.join(sorted(unknown))}")
        self.app = replace(self.app, **values)
        return self.app

    def add_line(
        self,
        *,
        id: str,
        name: str = "Shop",
        username: str = "shop",
        access_token: str = "",
        access_secret: str = "",
        bearer: str = "",
        refresh_token: str = "",
        **more: Any,
    ) -> Account:
        """Add an account of the shop with the tokens it gave the app: OAuth 1.0a's pair, OAuth 2.0's pair, or both."""
        account = self._account(str(id), name, username, line=True, **more)
        if access_token:
            self.keys.tokens[access_token] = Token(kind="oauth1", user=account.id, secret=access_secret)
        if bearer:
            self.keys.tokens[bearer] = Token(kind="oauth2", user=account.id, until=self.now() + TOKEN_LIFE)
        if refresh_token:
            self.keys.refreshes[refresh_token] = Token(kind="refresh", user=account.id)
        return account

    def add_person(self, *, id: str = "", name: str, username: str = "", **more: Any) -> Account:
        """Add a person, or change the one with this id. `open_dms=False` takes messages only after writing first."""
        return self._account(str(id) or self.new_id(), name, username, line=False, **more)

    def _account(self, id: str, name: str, username: str, *, line: bool, **more: Any) -> Account:
        unknown = set(more) - {"picture", "description", "open_dms"}
        if unknown:
            raise ValueError(f"an account has no {', '.join(sorted(unknown))}")
        if not id.isdigit():
            raise ValueError("an id is digits")
        account = self.accounts.get(id)
        if account is None:
            account = Account(id=id, name=name, username=username, line=line, since=self.now() - timedelta(days=900))
            self.accounts[id] = account
        for field, value in {"name": name, "username": username or account.username, **more}.items():
            setattr(account, field, value)
        self.tell("account", {"account": id, "line": line})
        return account

    def account(self, id: str) -> Account:
        account = self.accounts.get(str(id))
        if account is None:
            raise KeyError("no such account")
        return account

    def line(self, id: str) -> Account:
        account = self.account(id)
        if not account.line:
            raise KeyError("no such line")
        return account

    def grant(self, line: str, scopes: str = "") -> Json:
        """Let the app use a line, as after the consent page: what the token endpoint answers."""
        return self.keys.grant(self.line(line).id, frozenset(scopes.split()) or DM_SCOPES)

    def find(self, id: str) -> Dm:
        dm = self.dms.get(str(id))
        if dm is None:
            raise KeyError("no such message")
        return dm

    # money

    def charge(self, price: float, *things: str) -> bool:
        """Pay for each thing once a UTC day. False, and nothing paid, when the credits do not suffice."""
        day = self.now().strftime("%Y-%m-%d ")
        new = {(day, thing) for thing in things} - self._paid
        cost = price * len(new)
        limit = self.settings.credits
        # Without a balance nothing goes, not even what was paid for today.
        if limit is not None and (limit - self.spent <= 0 or cost > limit - self.spent + 1e-9):
            return False
        self._paid |= new
        self.spent += cost
        return True

    # messages

    def write(
        self,
        sender: str,
        recipient: str,
        text: str,
        media: Media | None = None,
        *,
        origin: str = "phone",
        app: str = "",
        quick_reply: str | None = None,
        encrypted: bool = False,
    ) -> Dm:
        """Put a message into a conversation; what follows from it is for `events` to say."""
        dm = Dm(
            id=self.new_id(),
            conversation=conversation_of(sender, recipient),
            sender=sender,
            recipient=recipient,
            text=text,
            at=self.now(),
            origin=origin,
            app=app,
            media=media,
            quick_reply=quick_reply,
            links=shortened(text, self.slug),
            media_link=f"https://t.co/{self.slug()}" if media else "",
            encrypted=encrypted,
        )
        self.dms[dm.id] = dm
        self.accounts[sender].typing.pop(recipient, None)
        self.show("message", dm)
        return dm

    def show(self, change: str, dm: Dm) -> None:
        for line, person in ((dm.sender, dm.recipient), (dm.recipient, dm.sender)):
            if self.accounts[line].line:
                self.tell(change, {"chat": f"{line}|{person}", "entry": view.entry(dm, line, self.app.id, "")})

    def written(self, dm: Dm) -> list[Parcel]:
        """Say which events a new message causes, that of an app which reads at once included."""
        parcels = events.message(self, dm)
        reader = self.accounts[dm.recipient]
        if self.settings.auto_read and not reader.line and not dm.encrypted:
            parcels += self._read(reader, self.accounts[dm.sender])
        return parcels

    def keep_media(self, media: Media) -> Media:
        self.media[media.id] = media
        kept = sum(len(other.data) for other in self.media.values())
        for other in list(self.media.values()):
            if kept <= FILES_KEPT or other is media:
                break
            kept -= len(other.data)
            other.data = b""
        return media

    def _sent_file(self, owner: str, spec: Mapping[str, Any]) -> Media:
        data = spec.get("data", b"")
        if isinstance(data, str):
            try:
                data = base64.b64decode(data, validate=True)
            except binascii.Error as error:
                raise ValueError("data must be base64") from error
        media_type = str(spec.get("media_type", ""))
        if media_type not in KINDS:
            raise ValueError(f"the app attaches only {', '.join(KINDS)}")
        return self.keep_media(
            Media(
                id=self.new_id(),
                owner=owner,
                media_type=media_type,
                category=CATEGORIES[KINDS[media_type]],
                data=bytes(data),
                filename=str(spec.get("filename") or f"file.{ENDINGS[media_type]}"),
                resource=f"{self.slug(8)}.{ENDINGS[media_type]}",
                until=self.now() + MEDIA_LIFE,
                ready=True,
            )
        )

    # what people do

    async def say(
        self,
        *,
        person: str,
        line: str,
        text: str = "",
        file: Mapping[str, Any] | None = None,
        quick_reply: str | None = None,
    ) -> str:
        """Write to a line; a file is `{data (bytes or base64), media_type, filename}`."""
        return await self._say(self.account(person), self.line(line), text, file, quick_reply=quick_reply)

    async def press(self, *, person: str, line: str, label: str, payload: str) -> str:
        """Answer with a quick reply's button: its label is the text, its payload goes along as metadata."""
        return await self._say(self.account(person), self.line(line), label, None, quick_reply=payload)

    async def encrypt(self, *, person: str, line: str, text: str = "") -> str:
        """Write in an encrypted chat: apps are told that there is something, and cannot read it."""
        return await self._say(self.account(person), self.line(line), text or "…", None, encrypted=True)

    async def elsewhere(
        self, *, line: str, person: str, text: str = "", file: Mapping[str, Any] | None = None, **more: Any
    ) -> str:
        """Write as the shop from X's own app. `more`: `app`, another developer's id, and `encrypted`."""
        return await self._say(self.line(line), self.account(person), text, file, **more)

    async def _say(
        self, sender: Account, recipient: Account, text: str, file: Mapping[str, Any] | None, **more: Any
    ) -> str:
        if not text.strip() and file is None:
            raise ValueError("the app sends nothing empty")
        if len(text) > MAX_TEXT:
            raise ValueError(f"the app stops at {MAX_TEXT} characters")
        if recipient.id in sender.blocked or sender.id in recipient.blocked:
            raise ValueError("one has blocked the other")
        if sender.suspended:
            raise ValueError("this account is suspended")
        media = self._sent_file(sender.id, file) if file is not None else None
        dm = self.write(sender.id, recipient.id, text, media, **more)
        self.courier.post(self.written(dm))
        return dm.id

    async def read(self, *, person: str, line: str) -> str:
        """Open the conversation: everything the line wrote is read. Returns the newest such entry, or nothing."""
        who, whom = self.account(person), self.line(line)
        newest = max((dm.id for dm in self._between(who, whom) if dm.sender == whom.id), key=int, default="")
        self.courier.post(self._read(who, whom))
        return newest

    def _between(self, one: Account, other: Account) -> list[Dm]:
        name = conversation_of(one.id, other.id)
        return [dm for dm in self.dms.values() if dm.conversation == name]

    def _read(self, reader: Account, writer: Account) -> list[Parcel]:
        unread = [dm for dm in self._between(reader, writer) if dm.sender == writer.id and not dm.read]
        for dm in unread:
            dm.read = True
            self.show("read", dm)
        return events.read(self, reader, writer, unread[-1].id) if unread else []

    async def typing(self, *, person: str, line: str) -> str:
        who, whom = self.account(person), self.line(line)
        who.typing[whom.id] = self.now() + TYPING_LIFE
        self.courier.post(events.typing(self, who, whom))
        return ""

    async def block(self, *, person: str, line: str) -> str:
        """Block a line. The app learns of it by a 403."""
        self.account(person).blocked.add(self.line(line).id)
        self.tell("account", {"account": str(person), "line": False})
        return ""

    async def unblock(self, *, person: str, line: str) -> str:
        self.account(person).blocked.discard(self.line(line).id)
        self.tell("account", {"account": str(person), "line": False})
        return ""

    async def suspend(self, *, person: str) -> str:
        """Have X suspend an account: it writes and gets nothing, and look-ups do not find it."""
        self.account(person).suspended = True
        self.tell("account", {"account": str(person), "line": False})
        return ""

    async def unsend(self, *, person: str, line: str, id: str) -> str:
        """Delete one's own message for both. No event tells an app; it is gone from what apps can list."""
        dm = self.find(id)
        if dm.sender != self.account(person).id or dm.recipient != self.line(line).id:
            raise ValueError("a person deletes only their own messages for both")
        dm.withdrawn = True
        self.show("withdrawn", dm)
        return dm.id

    async def revoke(self, *, line: str) -> str:
        """Take the app's permission away, as in a line's settings: its tokens and subscriptions die."""
        account = self.line(line)
        self.courier.post(events.revoked(self, account))
        self.keys.revoke(account.id)
        for id in [id for id, sub in self.subscriptions.items() if sub.filter.get("user_id") == account.id]:
            del self.subscriptions[id]
        return ""

    # what goes wrong on the way

    async def raw(self, body: Json, webhook: str = "") -> None:
        """Post any body, signed, whether or not X would: to one webhook, or to all."""
        at = self.now()
        for id in [webhook] if webhook else list(self.webhooks):
            parcel = Parcel(event=events.uuid(self), kind="raw", webhook=id, queue="raw", body=body, at=at)
            self.courier.post([parcel])

    async def repeat(self, event: str) -> None:
        """Deliver an event (its event_uuid) again."""
        self.courier.repeat(str(event))

    async def hold(self) -> None:
        """Deliver nothing until `release`."""
        self.courier.hold()

    async def release(self, order: str = "") -> None:
        """Deliver what was held back, strictly in its order, `reverse`d or `shuffle`d."""
        self.courier.release(order)

    async def check(self, force: bool = False) -> Json:
        """Do X's half-hourly check: challenge every webhook not validated for 24 hours; all of them if forced."""
        stale = self.now() - STALE_AFTER
        for webhook in list(self.webhooks.values()):
            if force or webhook.validated < stale:
                await self.courier.challenge(webhook)
        return {"webhooks": [webhook.plain() for webhook in self.webhooks.values()]}

    async def trick(self, body: Json) -> Json:
        """Try to have the first webhook sign a body by asking for it as a challenge, as anybody may, and to post it."""
        for webhook in self.webhooks.values():
            return await self.courier.trick(webhook, orjson.dumps(body))
        raise KeyError("no webhook")

    async def settle(self, changes: Json) -> None:
        """Change settings. A seed makes chance begin anew; new credits fill the account."""
        self.settings = self.settings.changed(changes)
        if "seed" in changes:
            self.chance = Random(self.settings.seed)  # noqa: S311
        if "credits" in changes:
            self.spent = 0.0

    async def idle(self) -> None:
        """Wait until no delivery is under way. Those held back do not count."""
        while tasks := self.courier.under_way():
            await asyncio.wait(tasks)

    # what is to be seen

    def state(self, base: str = "") -> Json:
        """Show everything the page draws. `base` is the URL prefix the emulator is mounted under."""
        return view.state(self, base)
