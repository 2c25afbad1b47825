"""The emulated world: accounts, lines, people with phones, and everything people and tests can do.

Rule: a person's action changes the chat first and then becomes a webhook, as if their phone had done it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from yarl import URL

from sandbox.journal import Journal, Json
from sandbox.trouble import Troubles
from sandbox.twilio import phones
from sandbox.twilio.carrying import LADDER, Carrier
from sandbox.twilio.errors import WORDS
from sandbox.twilio.incoming import Incoming
from sandbox.twilio.ledger import Ledger
from sandbox.twilio.posting import Event, Post
from sandbox.twilio.values import (
    WHATSAPP,
    Account,
    ApiKey,
    Line,
    Media,
    Message,
    Person,
    Service,
    Settings,
    Template,
)

OTHER_NAME = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}


class World:
    """Every account, line, person and message.

    Actions raise ValueError for what a phone would not let a person do, and KeyError for who or what is not there.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.ledger = Ledger(settings)
        self.post = Post(self.ledger)
        self.carrier = Carrier(self.ledger, self.post)
        self._incoming = Incoming(self.ledger, self.post, self.carrier)
        self._links: dict[str, tuple[str, datetime]] = {}

    @property
    def settings(self) -> Settings:
        return self.ledger.settings

    @property
    def journal(self) -> Journal:
        return self.ledger.journal

    @property
    def troubles(self) -> Troubles:
        return self.ledger.troubles

    # life

    async def settle(self, changes: Json) -> None:
        """Change settings. A `seed` makes what is random begin anew, the same every time."""
        self.ledger.settings = self.settings.changed(changes)
        if "seed" in changes:
            self.ledger.random.seed(changes["seed"])

    async def idle(self) -> None:
        """Wait until no message and no webhook is under way. What is held back does not count."""
        await self.ledger.idle()

    async def reset(self) -> None:
        """Forget everybody and everything, settings included."""
        await self.ledger.stop()
        self.post.forget()
        self.ledger.forget()
        self._links.clear()
        self.ledger.settings = Settings()

    async def close(self) -> None:
        await self.ledger.close()

    # who is there

    def add_account(
        self, *, sid: str = "", auth_token: str = "", name: str = "", parent: str = "", secondary_token: str = ""
    ) -> Account:
        """Open an account, or a subaccount of `parent`."""
        account = Account(
            sid=sid or self.ledger.sid("AC"),
            auth_token=auth_token or self.ledger.sid(""),
            name=name,
            parent=parent,
            secondary_token=secondary_token,
            created=self.ledger.now(),
        )
        self.ledger.accounts[account.sid] = account
        self.ledger.tell("account", {"account": account.sid})
        return account

    def account(self, sid: str = "") -> Account:
        """Find an account; the first one when there is no name."""
        if not sid and self.ledger.accounts:
            return next(iter(self.ledger.accounts.values()))
        return self.ledger.accounts[sid]

    def add_key(self, *, secret: str, sid: str = "", account: str = "", main: bool = False) -> str:
        """Make an API key (SK…) and return its id."""
        sid = sid or self.ledger.sid("SK")
        self.account(account).keys[sid] = ApiKey(secret=secret, main=main)
        return sid

    def promote(self, account: str = "") -> None:
        """Make the secondary token the one that signs; the old one opens nothing any more."""
        found = self.account(account)
        if not found.secondary_token:
            raise ValueError("there is no secondary token")
        found.auth_token, found.secondary_token = found.secondary_token, ""

    def suspend(self, account: str = "", *, status: str = "suspended") -> None:
        if status not in ("active", "suspended", "closed"):
            raise ValueError("status must be active, suspended or closed")
        self.account(account).status = status

    def add_line(self, address: str, *, account: str = "", sid: str = "", service: str = "", **more: Any) -> Line:
        """Add a number, a short code, an alphanumeric name or a WhatsApp sender (`whatsapp:+…`).

        `more`: name, mms, countries, url, method, fallback_url, fallback_method, status_url, status_method, status.
        """
        if service and service not in self.ledger.services:
            raise KeyError("no such service")
        line = Line(
            address=address,
            sid=sid or self.ledger.sid("XE" if address.startswith(WHATSAPP) else "PN"),
            account=self.account(account).sid,
            service=service,
            created=self.ledger.now(),
            **more,
        )
        if line.countries is not None:
            line.countries = tuple(line.countries)
        self.ledger.lines[address] = line
        self.ledger.tell("line", {"line": address})
        return line

    def add_service(
        self, *, name: str, sid: str = "", account: str = "", lines: Sequence[str] = (), **more: Any
    ) -> Service:
        """Make a messaging service of lines. `more`: inbound_url, fallback_url, status_url, on_number and methods."""
        members = [self.line(line) for line in lines]
        owner = self.account(account).sid
        service = Service(sid=sid or self.ledger.sid("MG"), account=owner, name=name, created=self.ledger.now(), **more)
        self.ledger.services[service.sid] = service
        for line in members:
            line.service = service.sid
        return service

    def add_template(self, *, name: str, types: Json, sid: str = "", account: str = "", **more: Any) -> Template:
        """Add content. `more`: language, variables (samples), status (WhatsApp's approval) and category."""
        template = Template(
            sid=sid or self.ledger.sid("HX"),
            account=self.account(account).sid,
            name=name,
            types=types,
            created=self.ledger.now(),
            **{"language": "en", **more},
        )
        self.ledger.templates[template.sid] = template
        return template

    def judge(self, template: str, *, status: str) -> None:
        """Decide as WhatsApp about a template: approved, rejected, paused…"""
        self.ledger.templates[template].status = status

    def add_person(
        self, name: str, phone: str = "", *, bsuid: str = "", username: str = "", hides_phone: bool = False, **more: Any
    ) -> Person:
        """Add a person. One who hides the phone needs a `bsuid`. `more` are further fields of `Person`."""
        if not phone and not bsuid:
            raise ValueError("a person needs a phone number or a bsuid")
        if hides_phone and not bsuid:
            raise ValueError("who hides the phone number needs a bsuid")
        key = str(more.pop("key", "") or phone or bsuid)
        given = {"bsuid": bsuid, "username": username, "hides_phone": hides_phone, **more}
        person = self.ledger.people[key] = Person(key=key, name=name, phone=phone, **given)
        self.ledger.tell("person", {"person": key})
        return person

    async def change(self, person: str, **changes: Any) -> None:
        """Change a person: a new number, a phone switched on. What waited for the phone arrives."""
        who, allowed = self.person(person), {one.name for one in fields(Person)} - {"key", "blocked"}
        if unknown := set(changes) - allowed:
            raise ValueError(f"a person has no {', '.join(sorted(unknown))}")
        for name, value in changes.items():
            setattr(who, name, value)
        self.ledger.tell("person", {"person": who.key})
        for message in list(self.ledger.messages.values()):
            if message.person == who.key and message.whatsapp and message.status == "sent" and who.reachable:
                self.ledger.spawn(self.carrier.carry(message))

    def person(self, name: str) -> Person:
        """Find a person by key, phone, bsuid or username."""
        for person in self.ledger.people.values():
            if name and name in (person.key, person.phone, person.wa_phone, person.bsuid, person.username):
                return person
        raise KeyError("no such person")

    def line(self, name: str = "") -> Line:
        """Find a line by address or sid; the first one when there is no name."""
        if not name and self.ledger.lines:
            return next(iter(self.ledger.lines.values()))
        for line in self.ledger.lines.values():
            if name in (line.address, line.sid):
                return line
        raise KeyError("no such line")

    def message(self, sid: str) -> Message:
        if sid not in self.ledger.messages:
            raise KeyError("no such message")
        return self.ledger.messages[sid]

    # what people do

    async def say(
        self,
        person: str,
        line: str = "",
        text: str = "",
        *,
        file: Mapping[str, Any] | None = None,
        files: Sequence[Mapping[str, Any]] = (),
        location: Mapping[str, Any] | None = None,
        contacts: Sequence[Mapping[str, str]] = (),
        reply_to: str = "",
        forwarded: str | bool = False,
        referral: Mapping[str, str] | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> str:
        """Write as a person, and return the message's sid (of the first one: WhatsApp sends files one by one).

        A file is `{data (bytes or base64), media_type, filename}`. `forwarded` may be "often". `referral` names what
        follows `Referral` in the parameters; `extra` are further parameters, put in last.
        """
        who, where = self.person(person), self.line(line)
        drafts = phones.drafts(
            where,
            text=text,
            files=[*([file] if file else []), *files],
            location=location,
            contacts=contacts,
        )
        facts = phones.facts(where, forwarded=forwarded, referral=referral)
        if reply_to:
            facts |= self._quoted(where, reply_to)
        sent = [self._send(who, where, draft, facts | dict(extra or {}), reply_to) for draft in drafts]
        return sent[0].sid

    def _quoted(self, line: Line, sid: str) -> dict[str, str]:
        if line.kind != "whatsapp":
            raise ValueError("a text message cannot answer another one")
        quoted = self.message(sid)
        return {"OriginalRepliedMessageSid": sid, "OriginalRepliedMessageSender": quoted.from_}

    def _send(self, who: Person, line: Line, draft: phones.Draft, facts: Mapping[str, str], reply_to: str) -> Message:
        from_ = phones.sender(who, line)
        moment = self.ledger.now()
        message = Message(
            sid=self.ledger.sid("MM" if draft.files else "SM"),
            account=line.account,
            line=line.address,
            person=who.key,
            author="customer",
            direction="inbound",
            from_=from_,
            to=line.address,
            body=draft.text,
            shown=draft.shown,
            status="received",
            reply_to=reply_to,
            facts={**draft.facts, **facts},
            created=moment,
            updated=moment,
            sent=moment,
        )
        absent = self.settings.media_absent
        for file in draft.files:
            self.ledger.add_media(message, name=file.name, media_type=file.media_type, data=file.data, absent=absent)
        who.blocked.discard(line.address)
        self._incoming.receive(message)
        return message

    async def press(self, person: str, line: str, message: str, number: int = 1) -> str:
        """Press a button, or choose a row, of a message. `number` counts from 1."""
        who, where, pressed = self.person(person), self.line(line), self.message(message)
        if not 1 <= number <= len(pressed.choices):
            raise KeyError("no such button")
        choice = pressed.choices[number - 1]
        if choice.get("opens"):
            raise ValueError("this button opens a page or a call, and tells nobody")
        draft = phones.pressed(pressed, choice)
        return self._send(who, where, draft, self._quoted(where, message), message).sid

    async def opt_out(self, person: str, line: str = "", text: str = "STOP") -> str:
        return await self.say(person, line, text)

    async def opt_in(self, person: str, line: str = "", text: str = "START") -> str:
        return await self.say(person, line, text)

    async def read(self, person: str, line: str = "") -> None:
        """Look at a WhatsApp chat. Nobody hears of it when the person keeps that to themselves."""
        who, where = self.person(person), self.line(line)
        for message in list(self.ledger.messages.values()):
            arrived = (message.line, message.person, message.status) == (where.address, who.key, "delivered")
            if arrived and message.whatsapp and message.author == "shop" and who.read_receipts:
                self.carrier.move(message, "read")

    async def block(self, person: str, line: str = "") -> None:
        """Block a WhatsApp line; writing to it lifts that."""
        self.person(person).blocked.add(self.line(line).address)

    async def unblock(self, person: str, line: str = "") -> None:
        self.person(person).blocked.discard(self.line(line).address)

    # what happens elsewhere, and what goes wrong on the way

    async def elsewhere(self, person: str, line: str = "", text: str = "") -> str:
        """Write to a person from another program with the same account. No webhook tells; only the list does."""
        who, where, moment = self.person(person), self.line(line), self.ledger.now()
        message = Message(
            sid=self.ledger.sid("SM"),
            account=where.account,
            line=where.address,
            person=who.key,
            author="elsewhere",
            direction="outbound-api",
            from_=where.address,
            to=phones.sender(who, where),
            body=text,
            status="delivered",
            created=moment,
            updated=moment,
            sent=moment,
        )
        self.ledger.show(self.ledger.add_message(message))
        return message.sid

    async def deliver(self, message: str, to: str = "delivered") -> None:
        """Take a message on that was stopped by `carried_to` or by a phone switched off."""
        if to not in LADDER:
            raise ValueError(f"a message goes {', '.join(LADDER)}")
        await self.carrier.carry(self.message(message), to)

    async def fail(self, message: str, code: int, status: str = "failed") -> None:
        """Let a message fail now, whatever had been said of it."""
        if status not in ("failed", "undelivered"):
            raise ValueError("status must be failed or undelivered")
        self.carrier.move(self.message(message), status, code)

    async def refuse(self, code: int, *, to: str = "", times: int = 1, at_once: bool = True) -> None:
        """Refuse the next messages (to an address or a person) with a code: at once by HTTP 400, or later by status."""
        if code not in WORDS:
            raise ValueError(f"no words for {code}")
        self.ledger.refusals.append({"code": code, "to": to, "times": times, "at_once": at_once})

    async def raw(self, line: str, params: Mapping[str, str], *, secret: str | None = None) -> str:
        """Post any parameters to a line's webhook and return the event's id. Another `secret` forges the signature."""
        where = self.line(line)
        service = self.ledger.services.get(where.service)
        url = service.inbound_url if service is not None and not service.on_number else where.url
        given = [(str(name), str(value)) for name, value in params.items()]
        event = Event(
            id=self.ledger.sid(""),
            kind="message",
            lane="raw",
            message=str(params.get("MessageSid", "")),
            account=where.account,
            url=url,
            method=where.method,
            params=given,
            secret=secret or "",
        )
        self.post.send(event)
        return event.id

    async def repeat(self, message: str = "", event: str = "") -> None:
        """Post again what was posted: one event, or every one of a message."""
        found = [one for one in self.post.past.values() if event == one.id or (message and one.message == message)]
        if not found:
            raise KeyError("no such event")
        for one in found:
            self.post.repeat(one)

    async def hold(self) -> None:
        """Post nothing until `release`."""
        self.post.open = False

    async def release(self, order: str = "") -> None:
        """Post what was held back; `reverse` and `shuffle` change its order strictly, over all messages."""
        if order not in ("", "reverse", "shuffle"):
            raise ValueError("order must be reverse or shuffle")
        self.post.release(order)

    # files

    def link(self, media: Media, base: str) -> str:
        """Make a link to a file on another origin than `base`, which opens it to whoever has it for a while."""
        key = secrets.token_urlsafe(18)
        self._links[key] = (media.sid, self.ledger.now() + timedelta(seconds=self.settings.media_link_seconds))
        while len(self._links) > 4000:
            self._links.pop(next(iter(self._links)))
        here = URL(base)
        there = self.settings.cdn_base or str(here.with_host(OTHER_NAME.get(here.host or "", here.host or "")))
        return f"{there.rstrip('/')}/cdn/{key}"

    def linked(self, key: str) -> Media | None:
        sid, until = self._links.get(key, ("", None))
        return None if until is None or until < self.ledger.now() else self.ledger.media.get(sid)

    # what is to be seen

    def state(self, base: str = "") -> Json:
        """Show everything the page draws. `base` is the URL prefix the emulator is mounted under."""
        return phones.state(self.ledger, base) | {"held": len(self.post.held)}
