"""The contact page as people meet it: in a real browser, with JavaScript and without, wide and narrow."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.browser import chromium
from tests.contact.visitor import HOURS, SATURDAY_NIGHT, TUESDAY, pass_time
from tests.scenarios.mail import lines
from tests.world import World, eventually

pytestmark = pytest.mark.browser

ARGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
PICTURES = os.environ.get("SANTRAL_PICTURES", "")  # a folder to put pictures into, for who wants to look


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    path = chromium()
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=ARGS)
        yield running
        await running.close()


async def opened(world: World) -> None:
    """A shop with hours and five languages, on a Saturday night."""
    world.team |= {"hours": HOURS}
    world.shop |= {"languages": ["tr", "ru", "en", "de", "ar"]}
    await world.turn(SATURDAY_NIGHT)
    await world.start()


async def visit(browser: Browser, world: World, path: str = "/contact", **how: Any) -> tuple[Page, list[str]]:
    """A page, and what went wrong on it: complaints of the browser, and requests to anybody else."""
    how = {"viewport": {"width": 1180, "height": 1000}, "timezone_id": "Europe/Istanbul", "locale": "tr-TR", **how}
    context: BrowserContext = await browser.new_context(**how)
    page = await context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(world.url) else wrong.append(asked.url))
    await page.goto(f"{world.url}{path}")
    return page, wrong


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=str(Path(PICTURES) / f"contact-{name}.png"), full_page=True)


async def fill(page: Page) -> None:
    await page.fill("#name", "Ayşe Yılmaz")
    await page.fill("#email", "ayse@ornek.com.tr")
    await page.fill("#subject", "Kargom nerede?")
    await page.fill("#message", "Merhaba,\niki haftadır bekliyorum.")


@pytest.mark.parametrize("scripts", [True, False], ids=["with-javascript", "without"])
async def test_a_visitor_writes_and_is_thanked(
    browser: Browser, mail_world: World, scripts: bool, tmp_path: Path
) -> None:
    await opened(mail_world)
    page, wrong = await visit(browser, mail_world, java_script_enabled=scripts)
    await expect(page.locator("h1")).to_have_text("Size nasıl yardımcı olalım?")
    await expect(page.locator(".status")).to_contain_text("açılış: Pazartesi 09:00")
    await picture(page, f"tr-{'js' if scripts else 'plain'}")
    await fill(page)
    (tmp_path / "kutu.txt").write_text("ezik")
    await page.set_input_files("#files", tmp_path / "kutu.txt")
    await page.click("button[type=submit]")
    await expect(page.locator(".notice")).to_contain_text("Çok hızlı")
    await expect(page.locator("#message")).to_have_value("Merhaba,\niki haftadır bekliyorum.")
    await picture(page, "tr-quick")
    pass_time(mail_world, timedelta(minutes=1))
    await page.set_input_files("#files", tmp_path / "kutu.txt")
    await page.click("button[type=submit]")
    await expect(page.locator("h1")).to_have_text("Teşekkürler, mesajınız bize ulaştı")
    await expect(page.locator(".thanks")).to_contain_text("Pazartesi 09:00'da")
    await picture(page, "tr-thanks")
    await page.reload()
    (line,) = await lines(mail_world)
    assert line.text == "Merhaba,\niki haftadır bekliyorum."
    assert len(line.body["files"]) == 1
    assert [words for words in wrong if "422" not in words] == [], "but for the browser's own line about our answer"


BY_THEIR_CLOCK = [
    ("tr", "Europe/Istanbul", "açılış: Pazartesi 09:00"),
    ("en", "Europe/Berlin", "opens Monday 07:00 (your time)"),
    ("de", "Europe/Berlin", "wieder da: Montag, 07:00 Uhr (Ihre Ortszeit)"),
    ("ru", "Asia/Vladivostok", "откроемся: завтра, 16:00 (по вашему времени)"),
    ("ar", "America/Los_Angeles", "نعود غدًا الساعة 22:00 (بتوقيتكم)"),
]


async def test_when_it_opens_is_told_by_the_visitors_own_clock(browser: Browser, mail_world: World) -> None:
    await opened(mail_world)
    for language, zone, words in BY_THEIR_CLOCK:
        page, wrong = await visit(browser, mail_world, locale=language, timezone_id=zone)
        await expect(page.locator("html")).to_have_attribute("lang", language)
        await expect(page.locator(".status .change")).to_have_text(words)
        await picture(page, language)
        await page.goto(f"{mail_world.url}/contact/thanks?lang={language}")
        if zone != "Europe/Istanbul":
            await expect(page.locator(".yours")).not_to_be_empty()
        await picture(page, f"{language}-thanks")
        assert wrong == []


async def test_on_a_phone_everything_fits_and_what_is_wrong_is_seen(browser: Browser, mail_world: World) -> None:
    await opened(mail_world)
    for language in ("tr", "ru", "ar"):
        page, wrong = await visit(
            browser, mail_world, locale=language, viewport={"width": 390, "height": 844}, color_scheme="dark",
            java_script_enabled=language != "ru",
        )  # fmt: skip
        await expect(page.locator("html")).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        await picture(page, f"{language}-phone")
        await fill(page)
        await page.fill("#email", "ayse@ornek")
        pass_time(mail_world, timedelta(minutes=1))
        await page.click("button[type=submit]")
        await expect(page.locator("#email-error")).to_be_visible()
        await expect(page.locator("#email")).to_be_focused()
        await expect(page.locator("#name")).to_have_value("Ayşe Yılmaz")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        await picture(page, f"{language}-phone-wrong")
        assert [words for words in wrong if "422" not in words] == []


async def test_the_page_can_be_used_with_the_keyboard_and_heard(browser: Browser, mail_world: World) -> None:
    await opened(mail_world)
    page, wrong = await visit(browser, mail_world, "/contact?lang=en")
    names = []
    for _ in range(40):
        await page.keyboard.press("Tab")
        name = await page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        names.append(str(name))
        if name == "Send message":
            break
    assert "website" not in names, "the trap is not in the way"
    assert [name for name in names if name in ("name", "email", "phone", "order", "subject", "message", "files")] == [
        "name", "email", "phone", "order", "subject", "message", "files",
    ]  # fmt: skip
    for label in ("Your name", "Your e-mail address", "What is it about?", "Your message"):
        await expect(page.get_by_label(label)).to_have_count(1)
    await expect(page.get_by_role("link", name=re.compile("E-mail"))).to_have_attribute("href", re.compile("^mailto:"))
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        faint = await page.evaluate(FAINT)
        assert faint == [], scheme
    assert wrong == []


async def test_what_is_too_large_is_said_before_it_travels(browser: Browser, mail_world: World, tmp_path: Path) -> None:
    await opened(mail_world)
    page, wrong = await visit(browser, mail_world, "/contact?lang=en")
    (tmp_path / "big.bin").write_bytes(bytes(21 << 20))
    await fill(page)
    await page.set_input_files("#files", tmp_path / "big.bin")
    told = await page.evaluate("document.querySelector('#files').validationMessage")
    assert "larger than 20 MB" in told
    await page.click("button[type=submit]")
    assert page.url.endswith("/contact?lang=en"), "nothing was sent"
    await page.set_input_files("#files", [])
    assert await page.evaluate("document.querySelector('#files').validity.valid")
    assert wrong == []


async def test_while_it_is_open_the_page_says_until_when(browser: Browser, mail_world: World) -> None:
    await opened(mail_world)
    await mail_world.turn(TUESDAY)
    page, wrong = await visit(browser, mail_world, "/contact?lang=en", timezone_id="Europe/Berlin")
    await expect(page.locator(".status.open")).to_contain_text("Open now until 16:00 (your time)")
    await eventually(lambda: _telegram(page))
    await picture(page, "en-open")
    assert wrong == []


async def _telegram(page: Page) -> bool:
    await page.reload()
    return await page.locator("a[href='https://t.me/kumbara_bot']").count() == 1


# Texts whose contrast with what lies behind them is under 4.5 (WCAG 2.2, 1.4.3).
FAINT = """
() => {
  const light = (parts) => {
    const even = (part) => (part <= 10.3 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parts.map(even);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const color = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const found = color(getComputedStyle(node).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll("main *, header *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || node.closest(".trap")) continue;
    const [a, b] = [light(color(getComputedStyle(node).color).slice(0, 3)), light(behind(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(`${node.tagName} ${node.className} ${node.textContent.trim()}`);
  }
  return faint;
}
"""
