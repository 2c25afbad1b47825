"""The shop's own site as customers use it: the web chat over its real socket, and the contact form over HTTP.

Rule: as a browser does. Each has an internet address of its own, as customers have, and a lost line is opened again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiohttp

from bench.day_phones import Paper, Place
from bench.day_script import MARK, Customer

SHOP = "https://kumbara.example"
CHAT = "chat"
IDENTITY_SECRET = "a secret of the shop and of Santral, 32 bytes at least"
PATIENCE = 30.0  # seconds for one answer of the socket
READS = 1.0  # seconds until a form that was sent too soon is sent again: people take longer to fill it in
TAKEN, TOO_SOON, TOO_MANY = 303, 422, 429
TICKET = re.compile(r'name="ticket" value="([^"]+)"')

Json = dict[str, Any]


def signed(customer: Customer) -> str:
    """What the shop's backend says of a customer who is logged in: a JWT."""

    def part(value: Json) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {
        "sub": f"k-{customer.number}",
        "name": customer.name,
        "email": customer.email,
        "phone": customer.phone,
        "exp": int(time.time()) + 3600,
    }
    said = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    mac = hmac.new(IDENTITY_SECRET.encode(), said.encode(), hashlib.sha256).digest()
    return f"{said}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


class Tab:
    """A page with the web chat. It stays open; what it said before a line broke it says again."""

    def __init__(self, place: Place, customer: Customer, session: aiohttp.ClientSession) -> None:
        self._place, self._customer, self._session = place, customer, session
        self._headers = {"Origin": SHOP, "X-Forwarded-For": f"10.20.{customer.number // 200}.{customer.number % 200}"}
        self._url = f"{place.url}/chat/{CHAT}"
        self._identity = signed(customer) if len(customer.kinds) > 1 else ""
        self._token = self._ticket = ""
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._items: dict[str, Json] = {}
        self._news = asyncio.Event()
        self._said = 0
        self.taken: dict[str, float] = {}  # when each message was acknowledged, by its mark

    async def open(self) -> None:
        """Open the socket and say who this is."""
        self._socket = await self._session.ws_connect(f"{self._url}/socket", headers=self._headers)
        self._reading = asyncio.create_task(self._read(self._socket))
        hello: Json = {"type": "hello", "token": self._token, "language": self._customer.language}
        if self._identity:
            hello["identity"] = self._identity
        welcome = await self._ask("welcome", hello)
        self._token, self._ticket = welcome["token"], welcome["ticket"]

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reading is not None:
            await self._reading

    async def say(self, text: str, file: Paper | None = None, *, trouble: str = "", twice: bool = False) -> str:
        self._said += 1
        id = str(UUID(int=(self._customer.number << 64) + self._said, version=4))
        told: Json = {"type": "say", "id": id, "text": text}
        if file is not None:
            told["files"] = [await self._uploaded(file)]
        await self._stored(told)
        for found in MARK.findall(text):
            self.taken.setdefault(found, time.time())
        if twice:  # the line broke before the browser heard of it
            await self.close()
            await self.open()
            await self._stored(told)
        return id

    async def edit(self, id: str, text: str) -> None:
        """Change what was said, once it stands in the chat: before that there is nothing to press."""
        async with asyncio.timeout(PATIENCE):
            while not any(item.get("key") == id for item in self._items.values()):
                self._news.clear()
                await self._news.wait()
        await self._stored({"type": "edit", "id": id, "text": text})

    async def unsend(self, id: str) -> None:
        await self._stored({"type": "withdraw", "id": id})

    async def read(self) -> None:
        ours = [place for place, item in self._items.items() if not item.get("mine")]
        if ours:
            newest = max([int(part) for part in place.split(".")] for place in ours)
            await self._tell({"type": "seen", "place": newest})

    def heard(self) -> list[str]:
        ours = [item.get("text", "") for item in self._items.values() if not item.get("mine")]
        return MARK.findall("\n".join(ours))

    async def _stored(self, told: Json) -> None:
        """Say it until it is acknowledged, waiting when asked to."""
        while (answer := await self._ask(told["id"], told))["type"] != "stored":
            if answer["type"] != "later":
                raise RuntimeError(f"the chat refused a message: {answer}")
            await asyncio.sleep(answer["after"])

    async def _uploaded(self, file: Paper) -> str:
        named = {"X-Santral-Ticket": self._ticket, "X-Santral-Name": quote(file.name)}
        while True:
            async with self._session.post(
                f"{self._url}/files", data=file.data, headers={**self._headers, **named}
            ) as answer:
                if answer.status != TOO_MANY:
                    answer.raise_for_status()
                    return str((await answer.json())["file"])
            await asyncio.sleep(float(answer.headers["Retry-After"]))

    async def _ask(self, key: str, told: Json) -> Json:
        self._waiting[key] = asyncio.get_running_loop().create_future()
        await self._tell(told)
        async with asyncio.timeout(PATIENCE):
            return await self._waiting[key]

    async def _tell(self, told: Json) -> None:
        assert self._socket is not None
        await self._socket.send_str(json.dumps(told))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for told in socket:
            frame = json.loads(told.data)
            for item in frame.get("items", ()):
                self._items[item["id"]] = item
            self._news.set()
            key = frame["type"] if frame["type"] == "welcome" else frame.get("id", "")
            waiting = self._waiting.pop(key, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)


class Form:
    """The contact page, opened when the day begins. It is answered by mail, to an address that was only typed in."""

    def __init__(self, place: Place, customer: Customer, session: aiohttp.ClientSession) -> None:
        self._place, self._customer, self._session = place, customer, session
        self._headers = {
            "Accept-Language": customer.language,
            "X-Forwarded-For": f"10.30.{customer.number // 200}.{customer.number % 200}",
        }
        self._mailbox = place.mail.add_account(customer.email, name=customer.name)
        self._ticket = ""
        self.taken: dict[str, float] = {}

    async def open(self) -> None:
        async with self._session.get(f"{self._place.url}/contact", headers=self._headers) as page:
            found = TICKET.search(await page.text())
        if found is None:
            raise RuntimeError("the contact page has no form")
        self._ticket = found[1]

    async def close(self) -> None:
        """Nothing is held open."""

    async def say(self, text: str, file: Paper | None = None, *, trouble: str = "", twice: bool = False) -> str:
        for _ in range(2 if twice else 1):
            while (status := await self._sent(text)) == TOO_SOON:
                await asyncio.sleep(READS)
            if status != TAKEN:
                raise RuntimeError(f"the contact form answered {status}")
        for found in MARK.findall(text):
            self.taken.setdefault(found, time.time())
        return ""

    async def _sent(self, text: str) -> int:
        form = aiohttp.FormData()
        typed = {"name": self._customer.name, "email": self._customer.email, "subject": "Siparişim", "message": text}
        for key, value in {"ticket": self._ticket, "website": "", **typed}.items():
            form.add_field(key, value)
        form.add_field("files", b"", filename="", content_type="application/octet-stream")
        url = f"{self._place.url}/contact"
        async with self._session.post(url, data=form, headers=self._headers, allow_redirects=False) as answer:
            return answer.status

    async def read(self) -> None:
        """Nobody is told."""

    def heard(self) -> list[str]:
        found = self._place.mail.inbox(self._mailbox.address)
        return [word for seen in found for word in MARK.findall(seen.own)]
