"""The apps that the customers of a day write with, over the emulated providers: each as far as its people can go.

Rule: nothing is asked of Santral here. What a person does is done at their provider, and what they see is seen there.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from bench.day_script import MARK, WORLD, Customer
from sandbox import mail as mail_sandbox
from sandbox import meta as meta_sandbox
from sandbox import slack as slack_sandbox
from sandbox import telegram as telegram_sandbox
from sandbox import twilio as twilio_sandbox
from sandbox import x as x_sandbox
from sandbox.mail.clients import Enclosure
from sandbox.mail.reading import look

_IN_BYTES = re.compile(MARK.pattern.encode())
LANGUAGES_OF_MAIL = ("tr", "ru", "de", "en")
WIDTH, HEIGHT = 320, 200  # larger than the small sizes that providers make of a picture
ONCE = {"telegram": "download", "twilio": "media.fetch", "meta": "download", "x": "dm_media.get"}  # where a file is got


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The emulators, the shop's `lines` there by the kind of channel, and where Santral itself is reached."""

    telegram: telegram_sandbox.World
    slack: slack_sandbox.World
    mail: mail_sandbox.World
    twilio: twilio_sandbox.World
    meta: meta_sandbox.World
    x: x_sandbox.World
    url: str
    lines: Mapping[str, str]
    urls: Mapping[str, str] = field(default_factory=dict)  # where the emulators are reached, for the configuration
    slack_channel: str = "C0SUPPORT1"
    agents: tuple[str, ...] = ("U0AYSE0001", "U0MEHMET01")

    @property
    def holding(self) -> Mapping[str, Any]:
        """The emulators that keep webhooks back, by the name the script gives them."""
        return {"telegram": self.telegram, "twilio": self.twilio, "meta": self.meta, "x": self.x}


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A file that is sent, with its mark in its bytes."""

    name: str
    media_type: str
    data: bytes = field(repr=False)

    def plain(self) -> dict[str, Any]:
        return {"data": self.data, "media_type": self.media_type, "filename": self.name}


def picture(mark: str) -> Paper:
    """A PNG of one colour, which says its mark where such files keep words."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    parts = (
        chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)),
        chunk(b"tEXt", b"Comment\x00" + mark.encode()),
        chunk(b"IDAT", zlib.compress((b"\x00" + b"\xc0\x40\x20" * WIDTH) * HEIGHT)),
        chunk(b"IEND", b""),
    )
    return Paper(name="foto.png", media_type="image/png", data=b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def voice(mark: str) -> Paper:
    """Something that begins as a voice note does."""
    return Paper(name="ses.ogg", media_type="audio/ogg", data=b"OggS\x00\x02" + bytes(22) + b"OpusHead" + mark.encode())


def marks_in(data: bytes | None) -> list[str]:
    """The mark of a file that came as it was sent; none when a byte of it is another."""
    found = [word.decode() for word in _IN_BYTES.findall(data or b"")]
    return [word for word in found if data in (picture(word).data, voice(word).data)]


class Phone(Protocol):
    """One app of one person. What only some apps can do is a protocol of its own below."""

    async def say(self, text: str, file: Paper | None = None, *, trouble: str = "", twice: bool = False) -> str:
        """Write; answers the id by which the rest names it.

        `trouble` befalls the file on its way to the shop: 500, 404 or expired once, or gone for good. `twice`: the
        shop is told again, where the emulator does not do that by itself.
        """
        ...

    async def read(self) -> None: ...

    def heard(self) -> list[str]:
        """The marks in what came from the shop, as often as they came."""
        ...


@runtime_checkable
class Edits(Protocol):
    async def edit(self, id: str, text: str) -> None: ...


@runtime_checkable
class Unsends(Protocol):
    async def unsend(self, id: str) -> None: ...


@runtime_checkable
class Reacts(Protocol):
    async def react(self) -> None:
        """To what the shop wrote last."""
        ...


@runtime_checkable
class Echoes(Protocol):
    async def elsewhere(self, text: str) -> None:
        """The shop writes from another program."""
        ...


def fails_once(place: Place, world: str, trouble: str) -> None:
    """Let the next file that is fetched from an emulator not come."""
    status = {"500": 500, "404": 404}[trouble]
    place.holding[world].troubles.add([{"match": ONCE[world], "action": "status", "status": status, "times": 1}])


class TelegramPhone:
    def __init__(self, place: Place, customer: Customer) -> None:
        self._place, self._world = place, place.telegram
        language = customer.language
        self._user = place.telegram.add_user(first_name=customer.name, language_code=language).id

    async def say(self, text: str, file: Paper | None = None, *, trouble: str = "", twice: bool = False) -> str:
        if file is None:
            said = await self._world.say(self._user, text=text)
        else:
            kind = "photo" if file.media_type.startswith("image/") else "voice"
            spec = {"name": file.name, "media_type": file.media_type, "data": file.data}
            said = await self._world.say(self._user, kind=kind, caption=text or None, files=[spec])
        id = str(said["message_ids"][0])
        if trouble in ("gone", "expired"):
            sent = self._world.entry(self._world.bot(), self._world.user(self._user), id).file
            assert sent is not None
            if trouble == "gone":
                self._world.files.pop(sent.file_id)
        elif trouble:
            fails_once(self._place, "telegram", trouble)
        if twice:
            await self._world.repeat(said["update_ids"][0])
        return id

    async def edit(self, id: str, text: str) -> None:
        await self._world.edit(self._user, int(id), text=text)

    async def unsend(self, id: str) -> None:
        await self._world.delete(self._user, int(id))

    async def react(self) -> None:
        entries = self._world.chat(self._world.bot(), self._world.user(self._user)).entries.values()
        if ours := [entry for entry in entries if entry.author == "bot"]:
            await self._world.react(self._user, ours[-1].message_id)

    async def read(self) -> None:
        """Bots are not told."""

    def heard(self) -> list[str]:
        entries = self._world.chat(self._world.bot(), self._world.user(self._user)).entries.values()
        said = [entry.wire.get("text") or entry.wire.get("caption") or "" for entry in entries if entry.author == "bot"]
        return MARK.findall("\n".join(said))


class TwilioPhone:
    def __init__(self, place: Place, customer: Customer, kind: str) -> None:
        self._place, self._world = place, place.twilio
        self._line, self._key = place.lines[kind], f"c{customer.number}"
        if self._key not in self._world.ledger.people:
            self._world.add_person(customer.name, customer.phone, key=self._key)

    async def say(self, text: str, file: Paper | None = None, *, trouble: str = "", twice: bool = False) -> str:
        id = await self._world.say(self._key, self._line, text, file=file.plain() if file else None)
        if trouble in ("gone", "expired"):
            for media in list(self._world.message(id).media):
                if trouble == "gone":
                    self._world.ledger.drop_media(media)
        elif trouble:
            fails_once(self._place, "twilio", trouble)
        return id

    async def read(self) -> None:
        await self._world.read(self._key, self._line)

    def heard(self) -> list[str]:
        found = [
            message.body
            for message in self._world.ledger.messages.values()
            if (message.author, message.person, message.line) == ("shop", self._key, self._line)
            and message.status in ("sent", "delivered", "read")
        ]
        return MARK.findall("\n".join(found))


class MetaPhone:
    def __init__(self, place: Place, customer: Customer, kind: str) -> None:
        self._place, self._world = place, place.meta
        self._line, self._key = place.lines[kind], f"c{customer.number}"
        facts = {"phone": customer.phone.lstrip("+"), "username": f"musteri.{customer.number}"}
        self._world.add_person(self._key, customer.name, **facts)

    async def say(self, text: str, file: Paper | None = None, *, trouble: str = "", twice: bool = False) -> str:
        kind = "voice" if file is not None and file.media_type.startswith("audio/") and self._is_whatsapp else ""
        id: str = await self._world.say(self._key, self._line, text, file=file.plain() if file else None, kind=kind)
        if trouble == "gone":
            found = self._world.find(id)
            assert found is not None and found.file is not None
            self._world.shelf.expire(found.file)
            self._world.shelf.files.pop(found.file.id)
        elif trouble == "expired":
            await self._world.expire_media(id)
        elif trouble:
            fails_once(self._place, "meta", trouble)
        return id

    @property
    def _is_whatsapp(self) -> bool:
        return bool(self._world.accounts.line(self._line).waba)

    async def edit(self, id: str, text: str) -> None:
        await self._world.edit(self._key, self._line, id, text)

    async def unsend(self, id: str) -> None:
        await self._world.unsend(self._key, self._line, id)

    async def react(self) -> None:
        entries = self._world.chats[self._line, self._key].entries.values()
        if ours := [entry for entry in entries if entry.author == "shop"]:
            await self._world.react(self._key, self._line, ours[-1].id, "❤")

    async def elsewhere(self, text: str) -> None:
        await self._world.write_from_page_inbox(self._line, self._key, text)

    async def read(self) -> None:
        await self._world.read(self._key, self._line)

    def heard(self) -> list[str]:
        chat = self._world.chats.get((self._line, self._key))
        entries = chat.entries.values() if chat else ()
        said = [entry.text for entry in entries if entry.author == "shop" and entry.status != "failed"]
        return MARK.findall("\n".join(said))


class XPhone:
    def __init__(self, place: Place, customer: Customer) -> None:
        self._place, self._world = place, place.x
        self._line = place.lines["x"]
        self._id = self._world.add_person(name=customer.name, username=f"musteri{customer.number}").id

    async def say(self, text: str, file: Paper | None = None, *, trouble: str = "", twice: bool = False) -> str:
        spec = file.plain() if file else None
        id = await self._world.say(person=self._id, line=self._line, text=text, file=spec)
        if trouble in ("gone", "expired"):
            media = self._world.find(id).media
            assert media is not None
            if trouble == "gone":
                self._world.media.pop(media.id)
        elif trouble:
            fails_once(self._place, "x", trouble)
        return id

    async def elsewhere(self, text: str) -> None:
        await self._world.elsewhere(line=self._line, person=self._id, text=text)

    async def read(self) -> None:
        await self._world.read(person=self._id, line=self._line)

    def heard(self) -> list[str]:
        found = [
            dm.text
            for dm in self._world.dms.values()
            if (dm.sender, dm.recipient) == (self._line, self._id) and dm.origin == "api"
        ]
        return MARK.findall("\n".join(found))


class Mailbox:
    """A customer's mail program. An answer of the shop is answered in its thread, as programs do."""

    def __init__(self, place: Place, customer: Customer) -> None:
        self._place, self._world = place, place.mail
        self._address, self._shop = customer.email, place.lines["email"]
        programs = ("gmail", "outlook", "apple")
        language = customer.language if customer.language in LANGUAGES_OF_MAIL else "en"
        client = programs[customer.number % len(programs)]
        self._world.add_account(self._address, name=customer.name, client=client, language=language)
        self._read: dict[int, list[str]] = {}

    async def say(self, text: str, file: Paper | None = None, *, trouble: str = "", twice: bool = False) -> str:
        account = self._world.account(self._address)
        enclosed = [Enclosure(name=file.name, media_type=file.media_type, data=file.data)] if file else []
        inbox = account.folder("INBOX").mails
        words = text or "Ekte."
        if inbox:
            copy = self._world.reply(self._address, max(inbox), words, attachments=enclosed)
        else:
            copy = self._world.deliver(self._address, self._shop, "Siparişim", words, attachments=enclosed)
        assert copy is not None
        if twice:
            self._world.arrive(copy.raw, self._shop, mail_from=self._address, honest=account)
        return look(copy.raw).message_id

    async def read(self) -> None:
        """Nobody is told."""

    def heard(self) -> list[str]:
        for uid, stored in self._world.account(self._address).folder("INBOX").mails.items():
            if uid not in self._read:
                self._read[uid] = MARK.findall(look(stored.raw).own)
        return [found for marks in self._read.values() for found in marks]


def phone(place: Place, customer: Customer, kind: str) -> Phone:
    """Put an app on a customer's phone. Those of the shop's own site are in `bench/day_site.py`."""
    match WORLD[kind]:
        case "telegram":
            return TelegramPhone(place, customer)
        case "twilio":
            return TwilioPhone(place, customer, kind)
        case "meta":
            return MetaPhone(place, customer, kind)
        case "x":
            return XPhone(place, customer)
        case _:
            return Mailbox(place, customer)
