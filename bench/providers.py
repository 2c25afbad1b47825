"""The emulators of Telegram and Slack in the bench's own process, and the moment each marked text reaches them.

Rule: a text is marked by a word of ours in it; what an emulator refused (429) does not count as arrived.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox import slack as slack_sandbox
from sandbox import telegram as telegram_sandbox

TOKEN = "4711:bench-token-of-the-emulated-telegram"
AGENT, AGENT_CHANNEL = "U0AYSE0001", "C0SUPPORT1"  # of the emulated workspace
MARK = re.compile(r"zq[0-9]+x[0-9]+z")
_MARK_BYTES = re.compile(MARK.pattern.encode())
_BODY_AT_MOST = 64 << 20
_SHOWING = ("chat.postMessage", "chat.update")


def mark(who: int, number: int) -> str:
    """A word no customer writes, to know a text again by."""
    return f"zq{who}x{number}z"


class Providers:
    """Both emulators over HTTP. `posted` and `sent` say when a mark first reached Slack, and when Telegram."""

    def __init__(self) -> None:
        self.telegram = telegram_sandbox.World()
        self.slack = slack_sandbox.World()
        self.telegram_url = self.slack_url = ""
        self.posted: dict[str, float] = {}
        self.sent: dict[str, float] = {}
        self._heard = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, *, slack_limits: bool = False) -> AsyncIterator[Providers]:
        """Start both. Slack's own rates hold only with `slack_limits`; Telegram's never do."""
        providers = cls()
        runner = web.AppRunner(providers._site(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        providers.slack_url, providers.telegram_url = f"{url}/slack", f"{url}/telegram"
        providers.telegram.add_bot(token=TOKEN, username="kumbara_bot", name="Kumbara")
        await providers.telegram.settle({"per_chat": None, "overall": None, "set_webhook_seconds": 0})
        if not slack_limits:
            providers.slack.change_settings({"posts_per_second": 0, "tier_scale": 0})
        try:
            yield providers
        finally:
            await providers.telegram.close()
            await providers.slack.close()
            await runner.cleanup()

    async def connect(self, url: str, secret: str) -> None:
        """Tell both providers where Santral listens."""
        values = {"url": f"{url}/webhooks/bot", "secret_token": secret}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.telegram_url}/bot{TOKEN}/setWebhook", data=values) as answer,
        ):
            answer.raise_for_status()
        await self.slack.set_up(
            {"app": {"events_url": f"{url}/slack/events", "interactive_url": f"{url}/slack/interactive"}}
        )

    async def until(self, seen: dict[str, float], wanted: set[str], within: float) -> bool:
        """Wait until all of these marks were seen; False when that takes longer than `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while not wanted <= seen.keys():
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            return False
        return True

    def threads(self) -> dict[str, list[Any]]:
        """The app's messages in the agents' Slack channel: each card's ts with the card and its replies in order."""
        messages = self.slack.channels[AGENT_CHANNEL].messages
        return {
            ts: [message, *(messages[reply] for reply in message.replies)]
            for ts, message in messages.items()
            if not message.is_reply and message.bot_id
        }

    def refused(self) -> dict[str, int]:
        """How often Slack answered 429, by method."""
        found: dict[str, int] = {}
        for call in self.slack.calls:
            if call["status"] == 429:
                found[call["method"]] = found.get(call["method"], 0) + 1
        return found

    def _site(self) -> web.Application:
        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.endswith(_SHOWING):
                return await self._note_post(request, handler)
            if request.path.endswith("/sendMessage"):
                return await self._note_send(request, handler)
            return await handler(request)

        site = web.Application(middlewares=[note], client_max_size=_BODY_AT_MOST)
        site.add_subapp("/slack", slack_sandbox.application(self.slack))
        site.add_subapp("/telegram", telegram_sandbox.application(self.telegram))
        return site

    async def _note_post(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        body = await request.read()
        at = time.perf_counter()
        response = await handler(request)
        if isinstance(response, web.Response) and b'"ok":true' in bytes(response.body or b""):  # type: ignore[arg-type]
            self._note(self.posted, [found.decode() for found in _MARK_BYTES.findall(body)], at)
        return response

    async def _note_send(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        at, before = time.perf_counter(), self.telegram.journal.seq
        response = await handler(request)
        if response.status == 200:
            for call in self.telegram.journal.calls(before, "sendMessage"):
                self._note(self.sent, MARK.findall(str(call["params"].get("text"))), at)
        return response

    def _note(self, seen: dict[str, float], marks: Iterable[str], at: float) -> None:
        for found in marks:
            seen.setdefault(found, at)
        self._heard.set()


def shown(message: Any) -> list[str]:
    """The marks one Slack message shows, in the order a reader meets them."""
    return MARK.findall(str(message.blocks) if message.blocks else message.text)
