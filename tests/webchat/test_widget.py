"""The bubble on a shop's page, in a real browser: the shop is one origin, the chat another, Santral and Slack run."""

from __future__ import annotations

import base64
import gzip
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import BrowserContext, ConsoleMessage, FrameLocator, Locator, Page, async_playwright, expect

from app import chat_page
from tests.browser import chromium
from tests.scenarios.desk import answer, thread_shows
from tests.webchat.browser import CHANNEL, identity
from tests.world import World, free_port

ARGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
PICTURE = base64.b64decode(  # a red dot
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=="
)
HOSTILE = "<img src=x onerror=top.document.title='gone'> javascript:alert(1) https://ornek.example/a_(b). son"


@dataclass(slots=True)
class Shop:
    """A shop's page with the bubble on it, in a browser of a visitor."""

    world: World
    url: str
    context: BrowserContext
    page: Page
    wrong: list[str] = field(default_factory=list)

    @property
    def chat(self) -> FrameLocator:
        return self.page.frame_locator("iframe")

    @property
    def bubble(self) -> Locator:
        return self.page.locator("santral-chat button")

    @property
    def log(self) -> Locator:
        return self.chat.locator("#items .text")

    async def visit(self, language: str = "tr", page: Page | None = None, more: str = "") -> None:
        await (page or self.page).goto(f"{self.url}/?lang={language}{more}")

    async def open(self, language: str = "tr", more: str = "") -> None:
        await self.visit(language, more=more)
        await self.bubble.click()
        await expect(self.chat.locator("#text")).to_be_visible()

    async def write(self, text: str) -> None:
        await self.chat.locator("#text").fill(text)
        await self.chat.locator("#text").press("Enter")

    async def picture(self, name: str) -> None:
        """Keep a picture of the page where somebody who wants to look at it says so."""
        if folder := os.environ.get("SANTRAL_PICTURES"):
            await self.page.wait_for_timeout(300)
            await self.page.screenshot(path=Path(folder) / f"{name}.png")


@pytest_asyncio.fixture
async def shop(world: World) -> AsyncIterator[Shop]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    world.more = [{**CHANNEL, "origins": [url], "title": "Kumbara Destek", "color": "#7a1f4b"}]
    world.team |= {"hours": "Mo-Su 00:00-24:00"}
    await world.start()

    async def page(request: web.Request) -> web.Response:
        signed = identity(sub=request.query["sub"], name="Ayşe") if "sub" in request.query else ""
        text = f"""<!doctype html><meta charset=utf-8><meta name=viewport content="width=device-width">
            <title>Kumbara</title><link rel=icon href="data:,">
            <style>button, iframe, div {{ display: none !important; color: lime }}
            body {{ font: 16px Georgia; padding: 2em }}</style><h1>Kumbara</h1><p>El yapımı kumbaralar.
            <a href="#top" id="before">Ürünler</a></p>
            <script src="{world.url}/chat/chat/widget.js" data-language="{request.query.get("lang", "tr")}"
            data-identity="{signed}" async></script>"""
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGS)
        context = await browser.new_context(viewport={"width": 1000, "height": 760}, timezone_id="Europe/Istanbul")
        context.set_default_timeout(10_000)
        made = Shop(world, url, context, await context.new_page())
        watch(made, made.page)
        yield made
        await browser.close()
    await runner.cleanup()
    assert made.wrong == [], "a page complained"


def watch(shop: Shop, page: Page) -> None:
    def said(message: ConsoleMessage) -> None:
        # A line that is cut on purpose is no mistake of the page's.
        if message.type == "error" and "WebSocket" not in message.text and "ERR_" not in message.text:
            shop.wrong.append(message.text)

    page.on("console", said)
    page.on("pageerror", lambda error: shop.wrong.append(str(error)))


pytestmark = pytest.mark.browser


async def test_a_visitor_opens_it_writes_and_is_answered(shop: Shop) -> None:
    await shop.open()
    await expect(shop.chat.locator("#text")).to_be_focused()
    await expect(shop.chat.locator("#hours")).to_have_text("Şu an açığız")
    await shop.picture("tr-empty")
    await shop.write("Kargom nerede?\nİki gündür bekliyorum")
    await expect(shop.log).to_have_text(["Kargom nerede?\nİki gündür bekliyorum"])
    await expect(shop.chat.locator(".mark")).to_contain_text("Gönderildi")
    card = await shop.world.card_with("Kargom nerede?")
    await answer(shop.world, card, "Yarın sizde olur, *söz*. Takip: https://kargo.example/12")
    await expect(shop.log).to_have_count(2)
    await expect(shop.chat.locator(".theirs b")).to_have_text("söz")
    link = shop.chat.locator(".theirs a")
    await expect(link).to_have_attribute("href", "https://kargo.example/12")
    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow ugc")
    await shop.picture("tr-answered")


async def test_the_keyboard_alone_is_enough_and_escape_leads_back(shop: Shop) -> None:
    await shop.visit()
    await shop.bubble.focus()
    await shop.page.keyboard.press("Enter")
    await expect(shop.chat.locator("#text")).to_be_focused()
    for _ in range(8):
        await shop.page.keyboard.press("Tab")
    assert await shop.page.evaluate("document.activeElement.localName") == "santral-chat", "focus has left the chat"
    await shop.page.keyboard.press("Escape")
    await expect(shop.bubble).to_be_focused()
    await expect(shop.bubble).to_have_attribute("aria-expanded", "false")


async def test_what_people_write_is_never_markup(shop: Shop) -> None:
    await shop.open()
    await shop.write(HOSTILE)
    await expect(shop.log).to_have_text([HOSTILE])
    await expect(shop.chat.locator(".text img")).to_have_count(0)
    await expect(shop.chat.locator(".text a")).to_have_text(["https://ornek.example/a_(b)"])
    card = await shop.world.card_with("ornek.example")
    await answer(shop.world, card, "<b>kalın</b> &lt;script&gt;alert(1)&lt;/script&gt; javascript:alert(2)")
    await expect(shop.log).to_have_count(2)
    await expect(shop.chat.locator(".text script, .text b")).to_have_count(0)
    assert await shop.page.title() == "Kumbara"


async def test_the_page_and_the_chat_cannot_script_each_other(shop: Shop) -> None:
    await shop.open()
    with pytest.raises(Exception, match="cross-origin"):
        await shop.page.locator("santral-chat iframe").evaluate("held => held.contentWindow.document.title")
    frame = shop.page.frames[1]
    with pytest.raises(Exception, match="cross-origin"):
        await frame.evaluate("parent.document.title")


async def test_a_file_is_chosen_sent_and_shown(shop: Shop) -> None:
    await shop.open()
    await shop.chat.locator("#pick").set_input_files(
        files={"name": 'kırık "kumbara".png', "mimeType": "image/png", "buffer": PICTURE}
    )
    await expect(shop.chat.locator("#files li")).to_contain_text('kırık "kumbara".png')
    await expect(shop.chat.locator("#send")).to_be_enabled()
    await shop.write("Kırık geldi")
    picture = shop.chat.locator(".picture img")
    await expect(picture).to_have_js_property("naturalWidth", 5)
    card = await shop.world.card_with("Kırık geldi")
    await thread_shows(shop.world, card["ts"], "kumbara")
    file = ("kılavuz.txt", "text/plain", "Kullanma kılavuzu".encode())
    await answer(shop.world, card, "Kılavuz ekte", files=[file])
    await expect(shop.chat.locator(".theirs a.file")).to_contain_text("kılavuz.txt")
    await shop.picture("tr-files")


async def test_the_hours_are_told_in_the_visitor_s_own_time(shop: Shop) -> None:
    await shop.world.stop()
    shop.world.team |= {"hours": "Mo-Fr 09:00-18:00"}
    await shop.world.start()
    await shop.world.turn(datetime(2026, 11, 28, 12, 0, tzinfo=UTC))  # a Saturday
    browser = shop.context.browser
    assert browser is not None
    for zone, words in {"Europe/Istanbul": "Back Monday 09:00", "Europe/Berlin": "Back Monday 07:00"}.items():
        page = await (await browser.new_context(timezone_id=zone)).new_page()
        watch(shop, page)
        await page.goto(f"{shop.world.url}/chat/chat?lang=en")
        await expect(page.locator("#hours")).to_have_text(re.compile(words.replace(" ", ".{1,4}")))


async def test_what_is_written_without_a_line_waits_and_is_sent_once(shop: Shop) -> None:
    await shop.open()
    await shop.write("bir")
    await expect(shop.chat.locator(".mark")).to_contain_text("Gönderildi")
    await shop.world.stop()
    await shop.write("iki")
    await expect(shop.chat.locator(".mark").last).to_contain_text("Gönderiliyor")
    await shop.world.start()
    await expect(shop.chat.locator(".mark").last).to_contain_text("Gönderildi", timeout=30_000)
    await expect(shop.log).to_have_text(["bir", "iki"])
    await shop.visit()
    await expect(shop.log).to_have_text(["bir", "iki"])
    assert await shop.page.evaluate("sessionStorage.length") == 1


async def test_an_unread_answer_is_counted_on_the_bubble_and_all_tabs_agree(shop: Shop) -> None:
    await shop.open()
    await shop.write("Merhaba")
    card = await shop.world.card_with("Merhaba")
    await shop.chat.locator("#close").click()
    await answer(shop.world, card, "Buyurun")
    await expect(shop.bubble).to_have_attribute("aria-label", "Sohbeti aç. Okunmamış mesaj: 1")
    await shop.picture("tr-unread")
    other = await shop.context.new_page()
    watch(shop, other)
    await shop.visit(page=other)
    await expect(other.locator("santral-chat button")).to_contain_text("1")
    await other.locator("santral-chat button").click()
    await expect(other.frame_locator("iframe").locator("#items .text")).to_have_text(["Merhaba", "Buyurun"])
    await expect(shop.bubble).to_have_attribute("aria-label", "Sohbeti aç")


async def test_a_customer_who_is_logged_in_finds_their_chat_in_another_browser(shop: Shop) -> None:
    await shop.open(more="&sub=4711")
    await shop.write("Benim siparişim")
    await expect(shop.chat.locator(".mark")).to_contain_text("Gönderildi")
    await shop.context.clear_cookies()
    page = await (await shop.context.browser.new_context()).new_page()  # type: ignore[union-attr]
    watch(shop, page)
    await shop.visit(page=page, more="&sub=4711")
    await page.locator("santral-chat button").click()
    await expect(page.frame_locator("iframe").locator("#items .text")).to_have_text(["Benim siparişim"])


async def test_a_visitor_corrects_answers_and_deletes(shop: Shop) -> None:
    await shop.open()
    await shop.write("Mavi olsn")
    await expect(shop.chat.locator(".mark")).to_contain_text("Gönderildi")
    await shop.chat.get_by_role("button", name="Düzenle").click()
    await expect(shop.chat.locator("#text")).to_have_value("Mavi olsn")
    await shop.write("Mavi olsun")
    await expect(shop.log).to_have_text(["Mavi olsun"])
    await expect(shop.chat.locator(".foot")).to_contain_text("düzenlendi")
    await shop.chat.get_by_role("button", name="Yanıtla").click()
    await shop.write("Ya da yeşil")
    await expect(shop.chat.locator("blockquote")).to_have_text("Mavi olsun")
    await shop.chat.get_by_role("button", name="Sil").first.click()
    await expect(shop.chat.locator("p.gone")).to_have_text("Bu mesaj silindi")


@pytest.mark.parametrize("language", chat_page.LANGUAGES)
async def test_every_language_speaks_for_itself(shop: Shop, language: str) -> None:
    texts = chat_page.texts()[language]
    await shop.open(language)
    await expect(shop.chat.locator("html")).to_have_attribute("lang", language)
    await expect(shop.chat.locator("html")).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
    await expect(shop.chat.get_by_role("textbox", name=texts["label"])).to_be_visible()
    await expect(shop.chat.locator("#greeting")).to_have_text(texts["greeting"])
    hello = {"ar": "مرحبًا، أين طلبي رقم 1042؟", "ru": "Здравствуйте, где мой заказ 1042?"}.get(language, "1042?")
    await shop.write(hello)
    await expect(shop.chat.locator(".mark")).to_contain_text(texts["stored"])
    card = await shop.world.card_with("1042")
    await answer(shop.world, card, {"ar": "أهلًا! سيصلك غدًا.", "ru": "Привезём завтра."}.get(language, "Yarın!"))
    await expect(shop.log).to_have_count(2)
    await shop.picture(f"{language}-talk")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone_it_fills_the_screen(shop: Shop, scheme: Any) -> None:
    await shop.page.set_viewport_size({"width": 390, "height": 780})
    await shop.page.emulate_media(color_scheme=scheme)
    await shop.open()
    box = await shop.page.locator("iframe").bounding_box()
    assert box == {"x": 0, "y": 0, "width": 390, "height": 780}
    await shop.write("Merhaba, sepetteki kumbara hediye paketiyle gelir mi? Bir de faturayı şirket adına istiyorum.")
    await expect(shop.chat.locator(".mark")).to_contain_text("Gönderildi")
    card = await shop.world.card_with("hediye paketiyle")
    await answer(shop.world, card, "Tabii, paketleriz.")
    await expect(shop.log).to_have_count(2)
    wide = await shop.page.frames[1].evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    await shop.picture(f"phone-{scheme}")


async def test_a_page_of_its_own_for_links_and_phones(shop: Shop) -> None:
    await shop.page.goto(f"{shop.world.url}/chat/chat?lang=en")
    await expect(shop.page.locator("#close")).to_be_hidden()
    await shop.page.fill("#text", "Do you ship to Berlin?")
    await shop.page.press("#text", "Enter")
    await expect(shop.page.locator(".mark")).to_contain_text("Sent")
    await shop.world.card_with("Berlin")


async def test_a_browser_that_keeps_nothing_can_still_chat(shop: Shop) -> None:
    await shop.context.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });"
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('no', 'SecurityError'); } });"
    )
    await shop.open()
    await shop.write("Gizli pencereden")
    await expect(shop.chat.locator(".mark")).to_contain_text("Gönderildi")


def test_loader_and_chat_together_are_small() -> None:
    look = chat_page.Look(channel="chat", title="x", color="#000000", side="right", origins=(), public_origin="")
    for code in chat_page.LANGUAGES:
        parts = [chat_page.loader(look, "tr"), chat_page.page(look, code, framed=True)]
        parts += [chat_page.asset(name) for name in chat_page.ASSETS]
        assert sum(len(gzip.compress(part.encode())) for part in parts) < 30_000
