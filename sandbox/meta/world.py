"""The emulated world: lines, people and their chats, and everything people can do.

Rule: a person's action changes the chat first and then becomes a webhook, as if the app on their phone had done it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any

import aiohttp

from sandbox.journal import Journal
from sandbox.meta import incidents, page_events, people, receipts, shares
from sandbox.meta.accounts import FIELDS, LOGIN_SCOPES, SCOPES, Accounts, Subscription
from sandbox.meta.post import Post
from sandbox.meta.rates import Rates
from sandbox.meta.shelf import CDN_LIFE, Shelf
from sandbox.meta.values import (
    OBJECTS,
    Chat,
    Entry,
    File,
    Json,
    Kind,
    Line,
    Person,
    Settings,
    Template,
)
from sandbox.meta.view import shown
from sandbox.trouble import Troubles

NOTES = 400  # different ones


class World:
    """Everything Meta knows, and every phone.

    Actions take a person by key and a line by id or name, and return the id of the entry they made or changed. They
    raise ValueError for what the app would not let a person do, and KeyError for who or what is not there.
    `base` is the address of the emulator, as the shop reaches it; it is learned from the first request when not told.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        app_id: str = "4000000000000001",
        app_secret: str = "app-secret",  # noqa: S107
        instagram_secret: str = "",
        seed: int | None = None,
        base: str = "",
    ) -> None:
        self.settings = settings or Settings()
        self.base = base
        self.journal = Journal()
        self.troubles = Troubles()
        self.rates = Rates()
        self.rng = random.Random(seed)  # noqa: S311
        self.accounts = Accounts(
            app_id=app_id, app_secret=app_secret, instagram_secret=instagram_secret or app_secret, seed=seed or 0
        )
        self.shelf = Shelf(self.rng, self.now)
        self.post = Post(self)
        self.chats: dict[tuple[str, str], Chat] = {}  # by line and person
        self.notes: dict[str, int] = {}  # what a careful reviewer would say, and how often
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # life

    def now(self) -> float:
        """Seconds since 1970 by the world's clock."""
        return time.time() + self.settings.clock_offset

    def session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self._session

    async def settle(self, changes: Json) -> None:
        """Change settings. `seed` makes what is left to chance begin anew."""
        changes = dict(changes)
        seed = changes.pop("seed", None)
        if isinstance(allowed := changes.get("allowed_numbers"), list):
            changes["allowed_numbers"] = tuple(allowed)
        self.settings = self.settings.changed(changes)
        if seed is not None:
            self.rng.seed(seed)

    async def reset(self) -> None:
        """Forget everybody and everything but the app, settings included. Listeners of the stream stay."""
        await self._stop()
        self.post = Post(self)
        old = self.accounts
        self.accounts = Accounts(
            app_id=old.app_id, app_secret=old.app_secret, instagram_secret=old.instagram_secret, seed=old.seed
        )
        self.settings = Settings()
        self.rates = Rates()
        self.shelf.clear()
        self.journal.forget()
        self.chats.clear()
        self.notes.clear()

    async def close(self) -> None:
        await self._stop()
        self.journal.close()
        if self._session is not None:
            await self._session.close()

    async def _stop(self) -> None:
        self.troubles.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.post.close()

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on with something without being waited for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def idle(self) -> None:
        """Wait until every webhook was delivered or given up. Never ends while deliveries are held."""
        while self._tasks or self.post.waiting:
            if self._tasks:
                await asyncio.wait(set(self._tasks))
            await self.post.idle()

    def tell(self, kind: str, facts: Json) -> None:
        self.journal.note(kind, datetime.now(UTC), facts)

    def note(self, words: str) -> None:
        """Remember something that works and should not be done."""
        if words in self.notes or len(self.notes) < NOTES:
            self.notes[words] = self.notes.get(words, 0) + 1

    # who is there

    def add_number(self, *, id: str, waba: str, display: str, name: str, token: str, **more: Any) -> Line:
        """Add a WhatsApp number: `display` as Meta prints it, `coexistence`, `quality`, `verification` in `more`."""
        line = Line(id=id, kind=Kind.WHATSAPP, name=name, token=token, waba=waba, display=display, **more)
        self.accounts.templates.setdefault(waba, [])
        return self.accounts.add(line, self.now(), SCOPES[Kind.WHATSAPP])

    def add_page(self, *, id: str, name: str, token: str) -> Line:
        line = Line(id=id, kind=Kind.MESSENGER, name=name, token=token)
        return self.accounts.add(line, self.now(), SCOPES[Kind.MESSENGER])

    def add_instagram(
        self, *, id: str, username: str, token: str = "", name: str = "", page: str = "", login: str = "facebook"
    ) -> Line:
        """Add an Instagram account: by `page` it answers to that Page's token, by `login="instagram"` to its own."""
        if (login == "instagram") is bool(page) or login not in ("facebook", "instagram"):
            raise ValueError("an Instagram account has either a page, or login instagram")
        token = self.accounts.line(page).token if page else token
        line = Line(
            id=id, kind=Kind.INSTAGRAM, name=name or username, token=token, page=page, login=login, username=username
        )
        return self.accounts.add(line, self.now(), SCOPES[Kind.INSTAGRAM] if page else LOGIN_SCOPES)

    def add_template(self, waba: str, *, name: str, language: str, body: str = "", **more: Any) -> Template:
        """Add a template by its `body` text, or by whole `components`."""
        components = list(more.pop("components", None) or [{"type": "BODY", "text": body}])
        template = Template(name=name, language=language, components=components, **more)
        self.accounts.templates.setdefault(waba, []).append(template)
        return template

    def add_person(self, key: str, name: str, **facts: Any) -> Person:
        """Add a person, or change the one with this key: `phone`, `username`, `hidden`, `on_whatsapp`, …"""
        person = self.accounts.add_person(key, name, facts)
        for line in self.accounts.lines.values():
            self.accounts.scoped(line, person)
        self.tell("person", {"person": key})
        return person

    def chat(self, line: Line, person: str) -> Chat:
        return self.chats.setdefault((line.id, person), Chat())

    def find(self, id: str) -> Entry | None:
        """A message by its id, in whatever chat."""
        return next((found for chat in self.chats.values() if (found := chat.entries.get(id))), None)

    def entry(self, line: Line, person: Person, id: str) -> Entry:
        found = self.chat(line, person.key).entries.get(id)
        if found is None:
            raise KeyError("no such message")
        return found

    def new_id(self, line: Line) -> str:
        number = f"{self.rng.getrandbits(96):024X}"
        return {Kind.WHATSAPP: "wamid.HBg", Kind.MESSENGER: "m_", Kind.INSTAGRAM: "aWdfZAG1faXRlbT"}[line.kind] + number

    def subscribe(self, url: str, verify_token: str, lines: Iterable[str] = ()) -> None:
        """Connect lines (all, when none are named) to a webhook, as the dashboard would, without the handshake."""
        chosen = [self.accounts.line(id) for id in lines] or list(self.accounts.lines.values())
        for line in chosen:
            object = OBJECTS[line.kind]
            self.accounts.subscriptions[object] = Subscription(
                object=object, callback_url=url, verify_token=verify_token, fields=FIELDS[object]
            )
            self.accounts.subscribe(line)

    # what is written

    def write(self, line: Line, person: str, author: str, **facts: Any) -> Entry:
        """Put a message into a chat."""
        entry = Entry(id=self.new_id(line), line=line.id, person=person, author=author, at=self.now(), **facts)
        self.chat(line, person).entries[entry.id] = entry
        self.show("message", entry)
        return entry

    def show(self, kind: str, entry: Entry) -> None:
        self.tell(kind, {"chat": f"{entry.line}|{entry.person}", "message": entry.plain()})

    def url(self, line: Line, file: File, seconds: float = 0) -> str:
        """A URL to a file as its line's provider makes them."""
        if line.kind is Kind.WHATSAPP:
            seconds = seconds or self.settings.media_url_seconds
            until, secret = int(self.now() + seconds), self.shelf.lend(file, seconds)
            return f"{self.base}/whatsapp_business/attachments/?mid={file.id}&ext={until}&hash={secret}"
        seconds = seconds or CDN_LIFE
        return f"{self.base}/cdn/{self.shelf.lend(file, seconds)}/?oe={int(self.now() + seconds):X}"

    def send_item(
        self, line: Line, person: Person, field: str, *, about: str = "", ours: bool = False, **rest: Any
    ) -> None:
        """Post an item of Messenger or Instagram; `ours` when the shop's account is the sender."""
        scoped = self.accounts.scoped(line, person)
        pair = (line.id, scoped) if ours else (scoped, line.id)
        item = page_events.item(*pair, self.now(), self.settings, **rest)
        aside = line.standby and person.key not in line.taken
        slot = "standby" if aside else "messaging"
        self.post.add(line, "standby" if aside else field, item, slot=slot, lane=person.key, about=about)

    def send_change(self, line: Line, person: str, change: Json, *, about: str = "") -> None:
        """Post a change of WhatsApp."""
        self.post.add(line, change["field"], change, slot="changes", lane=person, about=about)

    def state(self, base: str = "") -> Json:
        """Show everything the phones draw. `base` is the URL prefix the emulator is mounted under."""
        return shown(self, base)

    # what people do

    say = people.say
    send = people.send
    press = people.press
    pick = people.press
    start = people.start
    refer = people.refer
    opt_in = people.opt_in
    react = people.react
    edit = people.edit
    unsend = people.unsend
    read = people.read
    share_location = shares.share_location
    share_contact = shares.share_contact
    order = shares.order
    fill_form = shares.fill_form
    send_unsupported = shares.send_unsupported
    come_from_ad = shares.come_from_ad
    share = shares.share
    thumbs_up = shares.thumbs_up
    mention_in_story = shares.mention_in_story
    reply_to_story = shares.reply_to_story

    # what happens

    expire_media = shares.expire_media
    change_number = incidents.change_number
    adopt_username = incidents.adopt_username
    block = incidents.block
    switch_phone = receipts.switch_phone
    write_from_phone_app = incidents.write_from_phone_app
    write_from_page_inbox = incidents.write_from_page_inbox
    standby = incidents.standby
    test_button = incidents.test_button
    expire_token = incidents.expire_token
    unsubscribe = incidents.unsubscribe
    fail_next = incidents.fail_next
    change_template = incidents.change_template
    raw = incidents.raw
    repeat = incidents.repeat
    hold = incidents.hold
    release = incidents.release
