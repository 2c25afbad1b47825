"""A shop's page with the bubble on it, in a real browser: one Chromium for all tests of a module.

Rule: these fixtures and the tests that use them live in the event loop of their module, as a browser does.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    FrameLocator,
    Locator,
    Page,
    async_playwright,
    expect,
)

from app.postgres import Database as Server
from tests.browser import chromium
from tests.conftest import TEMPLATE, dsn
from tests.ports import free_port
from tests.webchat.browser import CHANNEL, identity
from tests.world import World

ARGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
WAITS = 20_000  # milliseconds that something may take on a slow machine; nothing takes this long when all is well
_numbers = itertools.count()
expect.set_options(timeout=WAITS)


@dataclass(slots=True)
class Shop:
    """A visitor before the shop's page. What any page complains of is in `wrong`."""

    world: World
    url: str
    context: BrowserContext
    page: Page
    wrong: list[str] = field(default_factory=list)

    @property
    def browser(self) -> Browser:
        assert self.context.browser is not None
        return self.context.browser

    @property
    def chat(self) -> FrameLocator:
        return self.page.frame_locator("iframe")

    @property
    def bubble(self) -> Locator:
        return self.page.locator("santral-chat button")

    @property
    def log(self) -> Locator:
        return self.chat.locator("#items .text")

    @property
    def told(self) -> Locator:
        """What a screen reader was given last."""
        return self.chat.locator("#told")

    async def visit(self, language: str = "tr", page: Page | None = None, more: str = "") -> None:
        """Load the shop's page, and no more: with a chat that is open the frame is still on its way."""
        await (page or self.page).goto(f"{self.url}/?lang={language}{more}")

    async def open(self, language: str = "tr", more: str = "") -> None:
        """Load the shop's page, open the chat, and wait until it knows who is there."""
        await self.visit(language, more=more)
        await self.bubble.click()
        await self.welcomed()

    async def welcomed(self) -> None:
        await expect(self.chat.locator("#log[aria-busy=false]")).to_be_visible()

    async def write(self, text: str) -> None:
        await self.chat.locator("#text").fill(text)
        await self.chat.locator("#text").press("Enter")

    async def say(self, *texts: str) -> None:
        """Write one after the other, each until it is stored and stands there as the server has it."""
        for text in texts:
            await self.write(text)
            await expect(self.chat.locator("#items > li.mine[data-id]", has_text=text).last).to_be_visible()

    async def other(self, **how: Any) -> Page:
        """Another tab, or with words on `how` it is made another browser."""
        context = await self.browser.new_context(**how) if how else self.context
        page = await context.new_page()
        watch(self, page)
        return page

    async def picture(self, name: str) -> None:
        """Keep a picture of the page where somebody who wants to look at it says so."""
        if folder := os.environ.get("SANTRAL_PICTURES"):
            await self.page.wait_for_timeout(300)
            await self.page.screenshot(path=Path(folder) / f"{name}.png")


def watch(shop: Shop, page: Page) -> None:
    def said(message: ConsoleMessage) -> None:
        # A line that is cut on purpose is no mistake of the page's.
        if message.type == "error" and "WebSocket" not in message.text and "ERR_" not in message.text:
            shop.wrong.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: shop.wrong.append(str(error)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = chromium()
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=ARGS)
        yield running
        await running.close()


@asynccontextmanager
async def fresh(server: Server, folder: Path, *, mail: bool = False) -> AsyncIterator[World]:
    """A world of its own database, in the event loop of whoever asks."""
    name = f"test_{os.getpid()}_browser_{next(_numbers)}"
    admin = await asyncpg.connect(**server.kwargs)
    await admin.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
    world = World(dsn(server, name), folder, mail=mail)
    try:
        await world.open()
        yield world
    finally:
        await world.close()
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()


@asynccontextmanager
async def keeping(world: World) -> AsyncIterator[str]:
    """A shop whose page carries the bubble of `world`, and Santral behind it: the shop's address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    world.more = [{**CHANNEL, "origins": [url], "title": "Kumbara Destek", "color": "#7a1f4b"}]
    world.team |= {"hours": "Mo-Su 00:00-24:00"}
    await world.start()

    async def page(request: web.Request) -> web.Response:
        signed = identity(sub=request.query["sub"], name="Ayşe") if "sub" in request.query else ""
        text = f"""<!doctype html><meta charset=utf-8><meta name=viewport content="width=device-width">
            <title>Kumbara</title><link rel=icon href="data:,">
            <style>button, iframe, div, p {{ display: none !important; color: lime }}
            body {{ font: 16px Georgia; padding: 2em }}</style><h1>Kumbara</h1><section>El yapımı kumbaralar.
            <a href="#top" id="before">Ürünler</a></section>
            <script src="{world.url}/chat/chat/widget.js" data-language="{request.query.get("lang", "tr")}"
            data-identity="{signed}" async></script>"""
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield url
    await runner.cleanup()


@asynccontextmanager
async def visiting(world: World, url: str, browser: Browser) -> AsyncIterator[Shop]:
    """Somebody who was never here before. Fails at the end where a page complained."""
    context = await browser.new_context(viewport={"width": 1000, "height": 760}, timezone_id="Europe/Istanbul")
    context.set_default_timeout(WAITS)
    made = Shop(world, url, context, await context.new_page())
    watch(made, made.page)
    there = set(browser.contexts) - {context}
    yield made
    for opened in set(browser.contexts) - there:
        await opened.close()
    assert made.wrong == [], "a page complained"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def street(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[World, str]]:
    """One shop for the tests of a module, that is open all day and stays as it is."""
    async with fresh(server, tmp_path_factory.mktemp("street")) as world, keeping(world) as url:
        yield world, url


@pytest_asyncio.fixture(loop_scope="module")
async def shop(street: tuple[World, str], browser: Browser) -> AsyncIterator[Shop]:
    """A new visitor of the shop that all tests of the module share: what they write has to tell them apart."""
    async with visiting(*street, browser) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def own_shop(server: Server, tmp_path: Path, browser: Browser) -> AsyncIterator[Shop]:
    """A visitor of a shop of their own, that may be closed, turned and counted."""
    async with fresh(server, tmp_path) as world, keeping(world) as url, visiting(world, url, browser) as made:
        yield made
