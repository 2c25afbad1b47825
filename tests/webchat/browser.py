"""A visitor's browser as the server sees it: a socket, the frames it got, and what it remembers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import aiohttp

from tests.world import PATIENCE, World

SHOP = "https://kumbara.example"
IDENTITY_SECRET = "a secret of the shop and of Santral, 32 bytes at least"
CHANNEL: dict[str, Any] = {
    "name": "chat",
    "kind": "webchat",
    "origins": [SHOP],
    "identity_secret": IDENTITY_SECRET,
}
Json = dict[str, Any]


def identity(secret: str = IDENTITY_SECRET, head: Json | None = None, **claims: Any) -> str:
    """What the shop's backend signs: a JWT."""

    def part(value: Json) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"exp": int(datetime.now(UTC).timestamp()) + 3600, **claims}
    signed = f"{part(head or {'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def place(id: str) -> list[int]:
    """Where a bubble stands."""
    return [int(part) for part in id.split(".")]


class Visit:
    """One tab. `token` is what the browser keeps between visits."""

    def __init__(self, world: World, *, token: str = "", origin: str = "", **hello: Any) -> None:
        self.world = world
        self.token = token
        self.origin = origin or world.url
        self.hello = hello
        self.frames: list[Json] = []
        self.items: dict[str, Json] = {}
        self.welcome: Json = {}
        self.closed: int | None = None
        self._session = aiohttp.ClientSession()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Visit:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()
        await self._session.close()

    async def open(self) -> None:
        self.closed, self.welcome = None, {}
        url = f"{self.world.url}/chat/chat/socket"
        self._socket = await self._session.ws_connect(url, headers={"Origin": self.origin})
        self._reading = asyncio.create_task(self._read(self._socket))
        await self.send(type="hello", token=self.token, **{"language": "tr", **self.hello})
        await self.until(lambda: self.welcome or self.closed is not None)

    async def leave(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reading is not None:
            await self._reading
        self.welcome = {}

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for told in socket:
            frame = json.loads(told.data)
            if frame["type"] == "welcome":
                self.welcome, self.token = frame, frame["token"]
            for item in frame.get("items", ()):
                self.items[item["id"]] = item
            async with self._news:
                self.frames.append(frame)
                self._news.notify_all()
        async with self._news:
            self.closed = socket.close_code
            self._news.notify_all()

    async def send(self, **frame: Any) -> None:
        assert self._socket is not None
        await self._socket.send_str(json.dumps(frame))

    async def raw(self, text: str) -> None:
        assert self._socket is not None
        await self._socket.send_str(text)

    async def until(self, look: Callable[[], Any], *, within: float = PATIENCE) -> Any:
        """Wait for what `look` answers to be true."""
        async with self._news:
            try:
                async with asyncio.timeout(within):
                    await self._news.wait_for(look)
            except TimeoutError:
                raise AssertionError(f"did not happen; got {self.frames!r}") from None
        return look()

    async def say(self, text: str = "", *, id: str = "", **more: Any) -> str:
        """Say something and wait until it is stored. Answers its id."""
        id = id or str(uuid4())
        await self.send(type="say", id=id, text=text, **more)
        await self.until(lambda: any(f["type"] == "stored" and f["id"] == id for f in self.frames))
        return id

    def told(self, kind: str) -> list[Json]:
        return [frame for frame in self.frames if frame["type"] == kind]

    def texts(self, *, mine: bool | None = None) -> list[str]:
        """What stands in the chat, in order."""
        ordered = sorted(self.items.values(), key=lambda item: place(item["id"]))
        return [item.get("text", "") for item in ordered if mine is None or item.get("mine", False) == mine]

    async def sees(self, *texts: str) -> None:
        """Wait until exactly this stands in the chat."""
        await self.until(lambda: self.texts() == list(texts))

    async def upload(
        self, data: bytes | AsyncIterator[bytes], name: str = "foto.png", **headers: str
    ) -> aiohttp.ClientResponse:
        sent = {
            "Origin": self.origin,
            "X-Santral-Ticket": self.welcome.get("ticket", ""),
            "X-Santral-Name": quote(name),
        }
        url = f"{self.world.url}/chat/chat/files"
        return await self._session.post(url, data=data, headers={**sent, **headers})

    async def fetch(self, path: str) -> aiohttp.ClientResponse:
        return await self._session.get(f"{self.world.url}/chat/chat/{path}")
